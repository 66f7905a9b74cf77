//! The kernel's table as the kernel itself and ipvsadm tell it; nothing here uses the product.

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::process::Command;

/// What `ipvsadm -Sn` prints, line by line, in an order that does not depend on its own.
pub(super) fn ipvsadm() -> BTreeSet<String> {
    let output = Command::new("ipvsadm").arg("-Sn").output();
    let output = output.expect("ipvsadm starts");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        output.status.success(),
        "ipvsadm -Sn: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    text.lines().map(|line| line.trim().to_owned()).collect()
}

/// The kernel's own listing, one line for each entry, a real server with its service before it.
pub(super) fn proc_net() -> BTreeSet<String> {
    let text = std::fs::read_to_string("/proc/self/net/ip_vs").unwrap_or_default();
    let mut lines = BTreeSet::new();
    let mut service = String::new();
    for line in text.lines().skip(3) {
        let words: Vec<&str> = line.split_whitespace().collect();
        match words[..] {
            ["->", address, method, weight, ..] => {
                let address = readable(address);
                lines.insert(format!("{service} {address} {method} {weight}"));
            }
            [protocol, address, scheduler, ref flags @ ..] => {
                service = format!("{protocol} {}", readable(address));
                let persistent = flags.iter().position(|flag| *flag == "persistent");
                // The kernel counts the time in ticks, of which it has 100 a second.
                let ticks = persistent.map_or("0", |at| flags[at + 1]);
                let seconds = ticks.parse::<u32>().expect("ticks") / 100;
                lines.insert(format!("{service} {scheduler} {seconds}"));
            }
            _ => panic!("unknown line in /proc/net/ip_vs: {line}"),
        }
    }
    lines
}

/// How the kernel's listing shows what a line of `ipvsadm -Sn` says.
pub(super) fn as_proc_net(line: &str) -> String {
    let words: Vec<&str> = line.split_whitespace().collect();
    let after = |option: &str| {
        let at = words.iter().position(|word| *word == option)?;
        words.get(at + 1).copied()
    };
    let has = |option: &str| words.contains(&option);
    let service = [("-t", "TCP"), ("-u", "UDP"), ("--sctp-service", "SCTP")]
        .into_iter()
        .find_map(|(option, name)| Some(format!("{name} {}", after(option)?)))
        .unwrap_or_else(|| format!("FWM {}", after("-f").expect("a service")));
    if has("-A") {
        let scheduler = after("-s").expect("a scheduler");
        return format!("{service} {scheduler} {}", after("-p").unwrap_or("0"));
    }
    let method = match () {
        () if has("-m") => "Masq",
        () if has("-i") => "Tunnel",
        () => "Route",
    };
    let (server, weight) = (
        after("-r").expect("a server"),
        after("-w").expect("a weight"),
    );
    format!("{service} {server} {method} {weight}")
}

/// `0A000003:0050`, `[2001:...:0003]:0050` or a mark, as a person writes it.
fn readable(hex: &str) -> String {
    let number = |text: &str| u32::from_str_radix(text, 16).expect("a hexadecimal number");
    let Some((address, port)) = hex.rsplit_once(':') else {
        return number(hex).to_string();
    };
    let port = number(port);
    match address
        .strip_prefix('[')
        .and_then(|it| it.strip_suffix(']'))
    {
        Some(address) => format!("[{}]:{port}", address.parse::<Ipv6Addr>().expect("IPv6")),
        None => format!("{}:{port}", Ipv4Addr::from(number(address))),
    }
}

#[test]
fn the_two_listings_are_told_in_the_same_words() {
    let cases = [
        ("-A -t 10.0.0.3:80 -s rr -p 60", "TCP 10.0.0.3:80 rr 60"),
        (
            "-a -f 7 -6 -r [2001:db8::1]:0 -g -w 3",
            "FWM 7 [2001:db8::1]:0 Route 3",
        ),
        (
            "-a --sctp-service 10.0.0.3:7 -r 10.0.0.4:7 -i -w 1 --tun-type ipip",
            "SCTP 10.0.0.3:7 10.0.0.4:7 Tunnel 1",
        ),
    ];
    for (line, expected) in cases {
        assert_eq!(as_proc_net(line), expected);
    }
    assert_eq!(readable("C0A80002:1F90"), "192.168.0.2:8080");
    let six = "[2001:0db8:0000:0000:0000:0000:0000:0003]:0050";
    assert_eq!(readable(six), "[2001:db8::3]:80");
}
