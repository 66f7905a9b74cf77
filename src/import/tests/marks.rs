//! Firewall marks: what the entries of their real servers are, by method and by program.

use super::*;

/// The section of that mark, without the comments before it.
fn section(imported: &Imported, mark: u32) -> String {
    let head = format!("virtual fwmark {mark}\n");
    let text = &imported.text;
    let from = text.find(&head).unwrap_or_else(|| panic!("{head}\n{text}"));
    let section = &text[from..];
    let to = section.find("\n\n").unwrap_or(section.len());
    section[..to].to_owned()
}

/// The words of its `real` and `fallback` lines.
fn entries(imported: &Imported, mark: u32) -> Vec<String> {
    let is_server = |line: &&str| line.starts_with("real ") || line.starts_with("fallback ");
    let section = section(imported, mark);
    let lines = section.lines().map(str::trim).filter(is_server);
    lines.map(str::to_owned).collect()
}

const LDIRECTORD: &str = "\
virtual=7
\treal=10.97.0.1:8080 masq 2
\treal=10.97.0.2 masq
\tfallback=10.97.0.9:81 masq
\tprotocol=fwm
\tchecktype=connect
\tcheckport=80

virtual=8
\treal=10.97.0.1:8080 gate 2
\treal=10.97.0.2:8081 ipip
\tfallback=127.0.0.1:81
\tprotocol=fwm
\tchecktype=connect

virtual=9
\treal=10.97.0.5:8080 masq 2
\treal=10.97.0.5:8081 masq 2
\treal=10.97.0.5:8081 masq 3
\tprotocol=fwm
\tchecktype=connect

virtual6=10
\treal6=[2001:db8::7]:8080 masq
\tprotocol=fwm
\tchecktype=connect
";

#[test]
fn ldirectord_makes_the_entries_of_a_mark_with_their_ports() {
    let imported = of(Format::Ldirectord, LDIRECTORD);
    let expected: [(u32, &[&str]); 4] = [
        (
            7,
            &[
                "real 10.97.0.1:8080 weight 2",
                "real 10.97.0.2",
                "fallback 10.97.0.9:81 forward nat",
            ],
        ),
        (
            8,
            &[
                "real 10.97.0.1:8080 weight 2 service vs-fwmark-8:tcp",
                "real 10.97.0.2:8081 forward tun service vs-fwmark-8-2:tcp",
                "fallback 127.0.0.1:81 forward dr",
            ],
        ),
        (
            9,
            &[
                "real 10.97.0.5:8080 weight 2 service vs-fwmark-9:tcp",
                "real 10.97.0.5:8081 weight 2 service vs-fwmark-9-2:tcp",
            ],
        ),
        (10, &["real [2001:db8::7]:8080"]),
    ];
    for (mark, lines) in expected {
        assert_eq!(entries(&imported, mark), lines);
    }
    let twice = "10.97.0.5 is listed twice; the first line counts";
    let said: Vec<&str> = imported.remarks.iter().map(|it| &*it.text).collect();
    assert_eq!(said, [twice]);
    assert!(config::load_text(&imported.text).is_ok());
}

/// A `virtual_server` with these lines, and one real server at that port.
fn virtual_server(name: &str, lines: &str, port: &str) -> String {
    format!(
        "virtual_server {name} {{\n protocol TCP\n {lines}\n real_server 192.168.1.1 {port} {{\n  \
         TCP_CHECK {{\n   connect_port 9\n  }}\n }}\n}}\n"
    )
}

/// It clears the port where the kernel would not change it, of a group's marks too.
#[test]
fn keepalived_makes_the_entries_of_a_mark_with_a_port_for_nat_alone() {
    let sorry = "sorry_server 10.9.9.9 81";
    let nat = format!("lvs_method NAT\n {sorry}");
    for (method, expected) in [
        (
            nat.clone(),
            ["real 192.168.1.1:8080", "fallback 10.9.9.9:81 forward nat"],
        ),
        (
            format!("lvs_method DR\n {sorry}"),
            ["real 192.168.1.1", "fallback 10.9.9.9 forward dr"],
        ),
        (
            format!("lvs_method TUN\n {sorry}"),
            ["real 192.168.1.1", "fallback 10.9.9.9 forward tun"],
        ),
        (
            format!("{nat}\n sorry_server_lvs_method DR"),
            ["real 192.168.1.1:8080", "fallback 10.9.9.9 forward dr"],
        ),
    ] {
        let text = virtual_server("fwmark 3", &method, "8080");
        let imported = of(Format::Keepalived, &text);
        assert_eq!(entries(&imported, 3), expected, "{method}");
        assert_eq!(lost(&imported), Vec::<&str>::new());
        for members in ["fwmark 3\n 10.0.0.3 80", "10.0.0.3 80\n fwmark 3"] {
            let group = format!("virtual_server_group G {{\n {members}\n}}\n");
            let text = group + &virtual_server("group G", &method, "8080");
            let imported = of(Format::Keepalived, &text);
            assert_eq!(entries(&imported, 3), expected, "{members}: {method}");
        }
    }
}

/// One without a port of its own is asked at the port that the client asked.
#[test]
fn a_server_of_a_group_without_a_port_has_that_of_each_member() {
    let group = "virtual_server_group G {\n 10.0.0.3 80\n 10.0.0.3 443\n fwmark 3\n}\n";
    let text = group.to_owned() + &virtual_server("group G", "lvs_method NAT", "");
    let imported = of(Format::Keepalived, &text);
    assert_eq!(entries(&imported, 3), ["real 192.168.1.1"]);
    for head in ["virtual 10.0.0.3:80\n", "virtual 10.0.0.3:443\n"] {
        let from = imported.text.find(head).expect("a section");
        let section = &imported.text[from..];
        let to = section.find("\n\n").unwrap_or(section.len());
        let section = &section[..to];
        assert!(section.contains("real 192.168.1.1\n"), "{section}");
    }
}
