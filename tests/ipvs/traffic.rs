//! Requests of a client through every kind of virtual service that the daemon keeps: they reach
//! the real servers that are in the table, and no other. And what the daemon leaves alone, or
//! cannot do.
//!
//! A real server is ill when its HTTP server is: the UDP and SCTP servers beside it go on
//! answering, so that only the table keeps the client away from them.

use std::collections::BTreeSet;

use super::client::{start_echo, who_answers};
use super::farm;
use super::guest::{Farm, SOON, by, name_hosts, run, say};
use super::lab::scenarios;
use super::table;
use crate::support::{lvsmon, wait_until};

scenarios!(
    "traffic",
    [
        requests_through_an_ipv6_service_follow_the_table,
        datagrams_through_a_udp_service_behind_nat_follow_the_table,
        associations_through_an_sctp_service_follow_the_table,
        requests_through_marked_services_follow_the_table,
        requests_through_a_tunnel_follow_the_table,
        what_the_operator_gave_a_virtual_service_stays,
        a_name_that_moves_brings_its_new_server_in_before_the_old_one_leaves,
        without_the_right_the_daemon_says_so_and_goes_on_checking,
    ]
);

/// Requests that are sent at once; a director that takes turns asks each server several times.
const REQUESTS: usize = 6;

/// A watch for each of the first two real servers, with these lines for lvs.alert; `{n}` stands
/// for the number of the server.
fn config(lines: &[&str]) -> String {
    let mut text = String::from("statedir = /run/state\n\n");
    for number in ["1", "2"] {
        text.push_str(&format!(
            "hostgroup www{number} www{number}.domain.com\n\nwatch www{number}\n    service http\n\
             \tinterval 1s\n\tmonitor http.monitor -t 1 -m \"is well\"\n\tperiod wd {{Sun-Sat}}\n"
        ));
        for line in lines {
            let line = line.replace("{n}", number);
            text.push_str(&format!(
                "\t    alert lvs.alert {line}\n\t    upalert lvs.alert {line} -B -S rr\n"
            ));
        }
        text.push('\n');
    }
    text
}

/// Starts the daemon; the client's requests follow the table while the first real server falls
/// ill and recovers. `entry` is the line of `ipvsadm -Sn` for a real server, `{n}` its number.
#[track_caller]
fn follows(farm: &mut Farm, lines: &[&str], services: &[(&str, &str)], asks: &[&str]) {
    farm.start_daemon(&config(lines));
    let expect = |farm: &mut Farm, numbers: &[&str]| {
        let mut wanted: Vec<String> = Vec::new();
        for (service, entry) in services {
            wanted.push((*service).to_owned());
            wanted.extend(numbers.iter().map(|number| entry.replace("{n}", number)));
        }
        let wanted: Vec<&str> = wanted.iter().map(String::as_str).collect();
        farm.expect_table(SOON, &wanted);
        let servers: BTreeSet<String> = numbers.iter().map(|it| format!("server {it}")).collect();
        for what in asks {
            let answers = who_answers(what, REQUESTS);
            let answers: BTreeSet<String> = answers
                .iter()
                .map(|answer| answer.replace(" is well", ""))
                .collect();
            assert_eq!(answers, servers, "{what}");
        }
    };
    expect(farm, &["1", "2"]);
    farm.kill_server(1);
    expect(farm, &["2"]);
    farm.serve(1);
    expect(farm, &["1", "2"]);
}

fn requests_through_an_ipv6_service_follow_the_table(farm: &mut Farm) {
    farm.build();
    follows(
        farm,
        &["-P tcp -V [2001:db8::3]:80 -R [2001:db8::1{n}] -W 5 -F dr"],
        &[(
            "-A -t [2001:db8::3]:80 -s rr",
            "-a -t [2001:db8::3]:80 -r [2001:db8::1{n}]:80 -g -w 5",
        )],
        &["http 2001:db8::3 80"],
    );
}

fn datagrams_through_a_udp_service_behind_nat_follow_the_table(farm: &mut Farm) {
    farm.build();
    // Answers go back through the director, which forwards them.
    run("cd /proc/sys/net/ipv4 && echo 1 >ip_forward && \
         echo 0 >conf/all/send_redirects && echo 0 >conf/br0/send_redirects");
    for server in ["r1", "r2"] {
        run(&format!(
            "ip -n {server} route replace 10.0.0.0/24 via 192.168.0.254"
        ));
    }
    let _servers = [1, 2].map(|number| start_echo(number, "udp 0.0.0.0 5353"));
    follows(
        farm,
        &["-P udp -V 10.0.0.3:53 -R 192.168.0.{n}:5353 -W 3 -F nat"],
        &[(
            "-A -u 10.0.0.3:53 -s rr",
            "-a -u 10.0.0.3:53 -r 192.168.0.{n}:5353 -m -w 3",
        )],
        &["udp 10.0.0.3 53"],
    );
    for server in ["r1", "r2"] {
        run(&format!(
            "ip -n {server} route replace 10.0.0.0/24 dev eth0"
        ));
    }
}

fn associations_through_an_sctp_service_follow_the_table(farm: &mut Farm) {
    farm.build();
    run("modprobe -d /run/m sctp");
    for server in ["r1", "r2"] {
        // The default hash would be a module that this kernel cannot load by itself.
        run(&format!(
            "nsenter --net=/run/netns/{server} sh -c 'echo none >/proc/sys/net/sctp/cookie_hmac_alg'"
        ));
    }
    // Bound to the virtual address alone, so that the servers name no other to the client.
    let _servers = [1, 2].map(|number| start_echo(number, "sctp 10.0.0.3 7"));
    follows(
        farm,
        &["-P sctp -V 10.0.0.3:7 -R 192.168.0.{n} -W 3 -F dr"],
        &[(
            "-A --sctp-service 10.0.0.3:7 -s rr",
            "-a --sctp-service 10.0.0.3:7 -r 192.168.0.{n}:7 -g -w 3",
        )],
        &["sctp 10.0.0.3 7"],
    );
}

fn requests_through_marked_services_follow_the_table(farm: &mut Farm) {
    farm.build();
    for module in ["sch_ingress", "cls_flower", "act_skbedit"] {
        run(&format!("modprobe -d /run/m {module}"));
    }
    run("tc qdisc add dev br0 ingress");
    for (protocol, address) in [("ip", "10.0.0.3"), ("ipv6", "2001:db8::3")] {
        run(&format!(
            "tc filter add dev br0 ingress protocol {protocol} flower ip_proto tcp \
             dst_ip {address} dst_port 80 action skbedit mark 7"
        ));
    }
    follows(
        farm,
        &[
            "-P fwm -V 7 -R 192.168.0.{n} -W 3 -F dr",
            "-P fwm -V 7 -R 2001:db8::1{n} -W 3 -F dr",
        ],
        &[
            ("-A -f 7 -s rr", "-a -f 7 -r 192.168.0.{n}:0 -g -w 3"),
            (
                "-A -f 7 -6 -s rr",
                "-a -f 7 -6 -r [2001:db8::1{n}]:0 -g -w 3",
            ),
        ],
        &["http 10.0.0.3 80", "http 2001:db8::3 80"],
    );
    run("tc qdisc del dev br0 ingress");
}

fn requests_through_a_tunnel_follow_the_table(farm: &mut Farm) {
    farm.build();
    run("modprobe -d /run/m ipip");
    for server in ["r1", "r2"] {
        // Packets come out of the tunnel for the virtual address, which is on lo already.
        run(&format!("ip -n {server} link set tunl0 up"));
    }
    follows(
        farm,
        &["-P tcp -V 10.0.0.3:80 -R 192.168.0.{n} -W 5 -F tun"],
        &[(
            "-A -t 10.0.0.3:80 -s rr",
            "-a -t 10.0.0.3:80 -r 192.168.0.{n}:80 -i -w 5 --tun-type ipip",
        )],
        &["http 10.0.0.3 80"],
    );
}

/// What the operator made is his (D7): persistence, flags of the scheduler, one-packet
/// scheduling, thresholds of his own real servers. What a line of the file names is ours.
fn what_the_operator_gave_a_virtual_service_stays(farm: &mut Farm) {
    const OPERATORS: [&str; 5] = [
        "-A -t 10.0.0.3:80 -s sh -p 600 -M 255.255.255.0 -b sh-fallback,sh-port",
        "-a -t 10.0.0.3:80 -r 192.168.0.9:80 -m -w 7",
        "-A -u 10.0.0.3:53 -s rr -o",
        "-a -u 10.0.0.3:53 -r 192.168.0.1:53 -m -w 0",
        "-A -f 7 -s mh -p 60 -b mh-port",
    ];
    farm.build();
    for line in OPERATORS {
        run(&format!("ipvsadm {line}"));
    }
    run("ipvsadm -e -t 10.0.0.3:80 -r 192.168.0.9:80 -m -w 7 -x 100 -y 50");
    let expect = |farm: &mut Farm, numbers: &[u8]| {
        let mut lines: Vec<String> = OPERATORS.map(str::to_owned).to_vec();
        lines.extend(
            numbers
                .iter()
                .map(|number| format!("-a -t 10.0.0.3:80 -r 192.168.0.{number}:80 -g -w 5")),
        );
        let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
        farm.expect_table(SOON, &lines);
        let thresholds = run("ipvsadm -Ln --thresholds");
        let words = |line: &str| {
            line.split_whitespace()
                .map(str::to_owned)
                .collect::<Vec<_>>()
        };
        assert!(
            thresholds
                .lines()
                .any(|line| words(line)[..] == ["->", "192.168.0.9:80", "100", "50", "0", "0"]),
            "{thresholds}"
        );
    };
    // -B -S wrr makes a virtual service that is absent; it never changes one that is there.
    farm.start_daemon(&farm::config(&[1, 2], "-B -S wrr", ""));
    expect(farm, &[1, 2]);
    farm.kill_server(1);
    expect(farm, &[2]);
    farm.serve(1);
    expect(farm, &[1, 2]);
    farm.stop_daemon();
    farm.restart_daemon();
    farm.expect_checks(2);
    expect(farm, &[1, 2]);
}

fn a_name_that_moves_brings_its_new_server_in_before_the_old_one_leaves(farm: &mut Farm) {
    const SERVICE: &str = "-A -t 10.0.0.3:80 -s wrr";
    const FIRST: &str = "-a -t 10.0.0.3:80 -r 192.168.0.1:80 -g -w 5";
    const SECOND: &str = "-a -t 10.0.0.3:80 -r 192.168.0.2:80 -g -w 5";
    farm.build();
    let line = "-P tcp -V 10.0.0.3:80 -W 5 -F dr";
    farm.start_daemon(&format!(
        "statedir = /run/state\n\nhostgroup www www1.domain.com\n\nwatch www\n    service http\n\
         \tinterval 1s\n\tmonitor http.monitor -t 1 -m \"is well\"\n\tperiod wd {{Sun-Sat}}\n\
         \t    alert lvs.alert {line}\n\t    upalert lvs.alert {line} -B -S wrr\n"
    ));
    farm.expect_table(SOON, &[SERVICE, FIRST]);
    name_hosts(["192.168.0.2", "192.168.0.2", "192.168.0.3"]);
    wait_until("the new real server", SOON, || {
        let table = table::proc_net();
        assert!(table.len() >= 2, "no real server is left: {table:?}");
        table.contains(&table::as_proc_net(SECOND))
    });
    farm.expect_table(SOON, &[SERVICE, SECOND]);
    // It is the second one that is checked now.
    farm.kill_server(1);
    farm.keeps_table_for_checks(&[SERVICE, SECOND], 3);
    farm.kill_server(2);
    farm.expect_table(SOON, &[SERVICE]);
    farm.serve(2);
    farm.expect_table(SOON, &[SERVICE, SECOND]);
}

/// As a unit file without the capability starts it: a process cannot regain the right, so all
/// that is left is to say what is missing, once, and to go on checking.
fn without_the_right_the_daemon_says_so_and_goes_on_checking(farm: &mut Farm) {
    const FOUND: [&str; 2] = [
        "-A -t 10.0.0.3:80 -s wrr",
        "-a -t 10.0.0.3:80 -r 192.168.0.1:80 -g -w 9",
    ];
    const NO_ADMIN: [&str; 3] = [
        "setpriv",
        "--inh-caps=-net_admin",
        "--bounding-set=-net_admin",
    ];
    const WHAT: &str = "cannot read the virtual server table";
    const WHY: &str =
        "operation not permitted; lvsmon needs CAP_NET_ADMIN (see README, \"Rights\")";
    farm.build();
    for (start, backend) in (1..).zip(["netlink", "ipvsadm"]) {
        for line in FOUND {
            run(&format!("ipvsadm {line}"));
        }
        let config = farm::config(&[1, 2], "-B -S wrr", &format!("ipvs_backend = {backend}"));
        farm.start_daemon_by(&NO_ADMIN, &config);
        farm.expect_log(start, WHAT);
        farm.keeps_table_for_checks(&FOUND, 4);
        assert_eq!(farm.log().matches(WHAT).count(), start, "{}", farm.log());
        let ask = &lvsmon(["table", "--config", "/run/mon.cf"]);
        let answer = say(&mut by(&["env"], ask), "");
        assert_eq!(answer.status, Some(1), "{answer:?}");
        let text = format!("the kernel's table cannot be read: {WHY}\n");
        assert!(answer.out.starts_with(&text), "{answer:?}");
        assert!(farm.log().contains(WHY), "{}", farm.log());
        farm.stop_daemon();
        farm.restart_daemon();
        let first = "-a -t 10.0.0.3:80 -r 192.168.0.1:80 -g -w 5";
        let second = "-a -t 10.0.0.3:80 -r 192.168.0.2:80 -g -w 5";
        farm.expect_table(SOON, &[FOUND[0], first, second]);
        farm.stop_daemon();
        run("ipvsadm -C");
    }
}
