//! What the settings of a `virtual` section do to the packets of a client: who goes where, by the
//! answers of servers that tell their names, and to which weight a check takes a server.
//!
//! Whether a real server is well says its HTTP server; those that are asked stand beside it.

use std::collections::BTreeSet;
use std::fs;
use std::process::{Command, Stdio};

use nix::sys::signal::Signal;

use super::client::{Held, from, start_echo, who_answers};
use super::guest::{Farm, SOON, attempt, run, tied_clients};
use super::lab::scenarios;
use super::table;
use crate::support::{Running, wait_until};

scenarios!(
    "settings",
    [
        calls_are_told_apart_by_the_engine_sip_once_the_kernel_has_it,
        clients_of_one_network_stay_at_one_server,
        each_packet_of_a_one_packet_service_is_a_connection,
        the_flags_of_a_scheduler_let_clients_go_elsewhere,
        the_weight_that_a_check_gives_reaches_the_kernel,
        the_weight_of_a_header_and_of_an_agent_reaches_the_kernel,
        packets_of_an_ipv6_service_reach_servers_of_the_other_family,
        by_way_of_ipvsadm_a_section_is_kept,
    ]
);

/// Two real servers, and a section with these lines.
fn config(globals: &str, virtual_service: &str, section: &str) -> String {
    format!(
        "statedir = /run/state\n{globals}\n\nhostgroup web 192.168.0.1 192.168.0.2\n\n\
         watch web\n    service http\n\tinterval 1s\n\tmonitor http.monitor -t 5 -m \"is well\"\n\n\
         virtual {virtual_service}\n    service web:http\n    {}\n\n",
        section.replace('\n', "\n    ")
    )
}

/// What both real servers serve beside HTTP.
fn serve_both(whereabouts: &str) -> [Running; 2] {
    [1, 2].map(|number| start_echo(number, whereabouts))
}

fn names(numbers: &[u8]) -> BTreeSet<String> {
    let names = numbers.iter().map(|number| format!("server {number}"));
    names.collect()
}

fn clients_of_one_network_stay_at_one_server(farm: &mut Farm) {
    const ASKS: &str = "tcp 10.0.0.3 7000";
    farm.build();
    let _ = attempt("ip -n client address add 192.168.0.10/24 dev eth0");
    let _servers = serve_both(ASKS);
    let section = "scheduler rr\nreal web\npersistent 300 mask 255.255.255.0";
    farm.start_daemon(&config("", "10.0.0.3:7000", section));
    let service = "-A -t 10.0.0.3:7000 -s rr -p 300 -M 255.255.255.0";
    let entry = |number: u8| format!("-a -t 10.0.0.3:7000 -r 192.168.0.{number}:7000 -g -w 1");
    let (one, two) = (entry(1), entry(2));
    farm.expect_table(SOON, &[service, &one, &two]);
    // In turn everybody would be at the other server each time.
    let first = from("192.168.0.9", ASKS, 3);
    assert_eq!(first.len(), 1, "{first:?}");
    assert_eq!(from("192.168.0.10", ASKS, 3), first, "of the same network");
    let other = from("10.0.0.9", ASKS, 3);
    assert_eq!(other.len(), 1, "{other:?}");
    assert_ne!(other, first, "another network is another client");
    // Its server fails: the network goes on at the other one.
    let number = if first == names(&[1]) { 1 } else { 2 };
    farm.answer(number, "out of order\n");
    farm.expect_table(SOON, &[service, &entry(3 - number)]);
    assert_eq!(from("192.168.0.9", ASKS, 3), other);
    assert_eq!(from("192.168.0.10", ASKS, 3), other);
}

fn calls_are_told_apart_by_the_engine_sip_once_the_kernel_has_it(farm: &mut Farm) {
    farm.build();
    let _servers = serve_both("udp 10.0.0.3 5060");
    let section = "protocol udp\nscheduler rr\nreal web\npersistent 300 engine sip";
    farm.start_daemon(&config("", "10.0.0.3:5060", section));
    farm.expect_log(1, "or no persistence engine \"sip\"");
    assert!(
        farm.log().contains("modprobe ip_vs_pe_sip"),
        "{}",
        farm.log()
    );
    farm.keeps_table_for_checks(&[], 3);
    run("modprobe -d /run/m ip_vs_pe_sip");
    let service = "-A -u 10.0.0.3:5060 -s rr -p 300 --pe sip";
    let entry = |number: u8| format!("-a -u 10.0.0.3:5060 -r 192.168.0.{number}:5060 -g -w 1");
    farm.expect_table(SOON * 3, &[service, &entry(1), &entry(2)]);
    // From whatever port: a call stays where it began. Another call of this client is another
    // client.
    let one = who_answers("sip:one 10.0.0.3 5060", 3);
    assert_eq!(one.len(), 1, "{one:?}");
    let two = who_answers("sip:two 10.0.0.3 5060", 3);
    assert_eq!(two.len(), 1, "{two:?}");
    assert_ne!(one, two);
    assert_eq!(who_answers("sip:one 10.0.0.3 5060", 2), one);
}

fn each_packet_of_a_one_packet_service_is_a_connection(farm: &mut Farm) {
    farm.build();
    let _servers = serve_both("udp 10.0.0.3 53");
    let entry = |number: u8| format!("-a -u 10.0.0.3:53 -r 192.168.0.{number}:53 -g -w 1");
    let (one, two) = (entry(1), entry(2));
    let section = "protocol udp\nscheduler rr\nreal web";
    farm.start_daemon(&config("", "10.0.0.3:53", section));
    farm.expect_table(SOON, &["-A -u 10.0.0.3:53 -s rr", &one, &two]);
    // One client that asks from one port: it stays where it is, until each packet counts.
    let answers =
        |held: &mut Held| -> BTreeSet<String> { (0..4).flat_map(|_| held.ask()).collect() };
    let mut held = Held::open("udp 10.0.0.3 53", 1);
    assert_eq!(answers(&mut held).len(), 1);
    held.close();
    let section = format!("{section}\none_packet");
    farm.configure(&config("", "10.0.0.3:53", &section));
    farm.signal_daemon(Signal::SIGHUP);
    farm.expect_table(SOON, &["-A -u 10.0.0.3:53 -s rr -o", &one, &two]);
    let mut held = Held::open("udp 10.0.0.3 53", 1);
    let answers = answers(&mut held);
    assert_eq!(answers, ["1", "2"].map(str::to_owned).into());
    held.close();
}

fn the_flags_of_a_scheduler_let_clients_go_elsewhere(farm: &mut Farm) {
    const ASKS: &str = "tcp 10.0.0.3 7001";
    farm.build();
    let _servers = serve_both(ASKS);
    let section = "scheduler sh sh-fallback sh-port\nreal web\non_failure quiesce";
    farm.start_daemon(&config("", "10.0.0.3:7001", section));
    let service = "-A -t 10.0.0.3:7001 -s sh -b sh-fallback,sh-port";
    let entry = |number: u8, weight: u8| {
        format!("-a -t 10.0.0.3:7001 -r 192.168.0.{number}:7001 -g -w {weight}")
    };
    farm.expect_table(SOON, &[service, &entry(1, 1), &entry(2, 1)]);
    // Without sh-port one address is always at one server; each question has a port of its own.
    assert_eq!(who_answers(ASKS, 30), names(&[1, 2]));
    // Without sh-fallback those whose server has weight 0 would be refused.
    farm.answer(1, "out of order\n");
    farm.expect_table(SOON, &[service, &entry(1, 0), &entry(2, 1)]);
    assert_eq!(who_answers(ASKS, 30), names(&[2]));
}

fn the_weight_that_a_check_gives_reaches_the_kernel(farm: &mut Farm) {
    farm.build();
    run("mkdir -p -m 755 /run/weights && cd /run/weights && \
         printf '#!/bin/sh\\nprintf x >>/run/weights/asked\\nread status </run/weights/$1\\n\
         exit $status\\n' >weigh && chmod 755 weigh");
    // The exit value is the weight and two more; 1 is a failure.
    let gives = |number: u8, exit: u8| {
        let path = format!("/run/weights/192.168.0.{number}");
        fs::write(format!("{path}.draft"), format!("{exit}\n")).expect("an exit value");
        fs::rename(format!("{path}.draft"), path).expect("an exit value");
    };
    gives(1, 27);
    gives(2, 9);
    let section = "scheduler wrr\nreal web weight 5";
    let file = |section: &str| {
        let text = config("", "10.0.0.3:80", section);
        let (http, misc) = (
            "http.monitor -t 5 -m \"is well\"",
            "misc.monitor -d -t 30 -- /run/weights/weigh %h",
        );
        assert!(text.contains(http), "{text}");
        text.replace(http, misc)
    };
    let expect = |farm: &mut Farm, weights: &[(u8, u8)]| {
        let line = |&(number, weight): &(u8, u8)| {
            format!("-a -t 10.0.0.3:80 -r 192.168.0.{number}:80 -g -w {weight}")
        };
        let lines: Vec<String> = weights.iter().map(line).collect();
        let service = ["-A -t 10.0.0.3:80 -s wrr"].into_iter();
        let lines: Vec<&str> = service.chain(lines.iter().map(String::as_str)).collect();
        farm.expect_table(SOON, &lines);
    };
    // What a check gives is only shown where the section does not ask for it.
    farm.start_daemon(&file(section));
    expect(farm, &[(1, 5), (2, 5)]);
    farm.configure(&file(&format!("{section}\nweight_from check")));
    farm.signal_daemon(Signal::SIGHUP);
    expect(farm, &[(1, 25), (2, 7)]);
    gives(2, 2);
    expect(farm, &[(1, 25), (2, 0)]);
    gives(1, 1);
    gives(2, 255);
    expect(farm, &[(2, 253)]);
    gives(1, 3);
    expect(farm, &[(1, 1), (2, 253)]);
    // A restart puts no weight of the file in between.
    let asked = || {
        fs::read_to_string("/run/weights/asked")
            .unwrap_or_default()
            .len()
    };
    let (before, table) = (asked(), table::proc_net());
    farm.kill_daemon();
    farm.restart_daemon();
    wait_until("some checks of both", SOON, || {
        assert_eq!(table::proc_net(), table, "the table changed");
        asked() >= before + 6
    });
    expect(farm, &[(1, 1), (2, 253)]);
    // The weight of the file counts again.
    farm.configure(&file(section));
    farm.signal_daemon(Signal::SIGHUP);
    expect(farm, &[(1, 5), (2, 5)]);
}

fn the_weight_of_a_header_and_of_an_agent_reaches_the_kernel(farm: &mut Farm) {
    farm.build();
    run("mkdir -p -m 755 /run/weights");
    let gives = |name: &str, text: &str| {
        let path = format!("/run/weights/{name}");
        fs::write(format!("{path}.draft"), text).expect("a weight");
        fs::rename(format!("{path}.draft"), path).expect("a weight");
    };
    let script = "/run/r1/cgi-bin/weigh.cgi";
    let program = "#!/bin/sh\nprintf 'Status: 200 OK\\r\\nX-Weight: %s\\r\\n\\r\\nok\\n' \
                   \"$(cat /run/weights/header)\"\n";
    fs::write(script, program).expect("a program");
    run(&format!("chmod 755 {script}"));
    gives("header", "17");
    gives("agent", "up 50%\n");
    let mut agent = Command::new("nsenter");
    agent
        .args(["--net=/run/netns/r2", "busybox", "nc", "-ll", "-p", "7777"])
        .args(["-e", "cat", "/run/weights/agent"])
        .stdin(Stdio::null())
        .stdout(Stdio::null());
    let _agent = Running::start(&mut agent);
    let service = |name: &str, monitor: &str| {
        format!("    service {name}\n\tinterval 1s\n\tmonitor {monitor}\n")
    };
    let header = service(
        "http",
        "http.monitor -t 5 -u /cgi-bin/weigh.cgi -w X-Weight",
    );
    let agent = service("line", "agent.monitor -t 5 -p 7777");
    farm.start_daemon(&format!(
        "statedir = /run/state\n\nhostgroup one 192.168.0.1\n\nwatch one\n{header}\n\
         hostgroup two 192.168.0.2\n\nwatch two\n{agent}\n\
         virtual 10.0.0.3:80\n    scheduler wrr\n    weight_from check\n\
         \x20   real one weight 8 service one:http\n    real two weight 8 service two:line\n\n"
    ));
    let expect = |farm: &mut Farm, weights: &[(u8, u32)]| {
        let mut lines = vec!["-A -t 10.0.0.3:80 -s wrr".to_owned()];
        lines.extend(weights.iter().map(|(number, weight)| {
            format!("-a -t 10.0.0.3:80 -r 192.168.0.{number}:80 -g -w {weight}")
        }));
        let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
        farm.expect_table(SOON, &lines);
    };
    expect(farm, &[(1, 17), (2, 4)]);
    gives("header", "200");
    gives("agent", "drain\n");
    expect(farm, &[(1, 200), (2, 0)]);
    gives("header", "25%");
    gives("agent", "down#broken\n");
    expect(farm, &[(1, 2)]);
    gives("agent", "ready\n");
    expect(farm, &[(1, 2), (2, 8)]);
}

fn packets_of_an_ipv6_service_reach_servers_of_the_other_family(farm: &mut Farm) {
    farm.build();
    run("modprobe -d /run/m sit");
    for server in ["r1", "r2"] {
        // Packets come out of the tunnel for the virtual address, which is on lo already.
        run(&format!("ip -n {server} link set sit0 up"));
    }
    farm.start_daemon(&config(
        "",
        "[2001:db8::3]:80",
        "scheduler rr\nforward tun\nreal web",
    ));
    let service = "-A -t [2001:db8::3]:80 -s rr";
    let entry = |number: u8| {
        format!("-a -t [2001:db8::3]:80 -r 192.168.0.{number}:80 -i -w 1 --tun-type ipip")
    };
    let (one, two) = (entry(1), entry(2));
    farm.expect_table(SOON, &[service, &one, &two]);
    assert_eq!(who_answers("http 2001:db8::3 80", 6).len(), 2);
    farm.kill_server(2);
    farm.expect_table(SOON, &[service, &one]);
    let left = who_answers("http 2001:db8::3 80", 6);
    assert!(left.iter().eq(["server 1 is well"]), "{left:?}");
    farm.serve(2);
    farm.expect_table(SOON, &[service, &one, &two]);
    for server in ["r1", "r2"] {
        run(&format!("ip -n {server} link set sit0 down"));
    }
}

fn by_way_of_ipvsadm_a_section_is_kept(farm: &mut Farm) {
    farm.build();
    let section = "scheduler wrr\npersistent 300\nreal web weight 5\non_failure quiesce";
    let text = config("ipvs_backend = ipvsadm", "10.0.0.3:80", section);
    farm.start_daemon(&text);
    let service = "-A -t 10.0.0.3:80 -s wrr -p 300";
    let entry = |number: u8, weight: u8| {
        format!("-a -t 10.0.0.3:80 -r 192.168.0.{number}:80 -g -w {weight}")
    };
    let (one, two) = (entry(1, 5), entry(2, 5));
    farm.expect_table(SOON * 3, &[service, &one, &two]);
    let first = who_answers("http 10.0.0.3 80", 1);
    let home = if first.contains("server 1 is well") {
        1
    } else {
        2
    };
    farm.kill_server(1);
    farm.expect_table(SOON * 3, &[service, &entry(1, 0), &two]);
    // The look behind the change has the client that is tied.
    let name = format!("192.168.0.{home}:80");
    wait_until("lvsmon to show who is tied", SOON, || {
        tied_clients(&name) == Some(1)
    });
    farm.serve(1);
    farm.expect_table(SOON * 3, &[service, &one, &two]);
    // A look takes two calls of the program, half a second here, and the next comes a hundred times
    // later.
    run("ipvsadm -E -t 10.0.0.3:80 -s rr && ipvsadm -a -t 10.0.0.3:80 -r 192.168.0.77:80 -g -w 9");
    farm.expect_table(SOON * 6, &[service, &one, &two]);
    // The file names another in its place.
    farm.configure(&text.replace("10.0.0.3:80", "10.0.0.3:81"));
    farm.signal_daemon(Signal::SIGHUP);
    let lines = [service, &one, &two].map(|line| line.replace(":80", ":81"));
    let lines = lines.each_ref().map(String::as_str);
    farm.expect_table(SOON * 3, &lines);
}
