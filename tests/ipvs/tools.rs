//! What a person types on a director, beside a real kernel: `check --host`, lvs.alert as a
//! program of its own, `table`. Shown by output, exit status and what became of the table.

use std::process::Command;

use serde_json::Value;

use super::farm;
use super::guest::{Farm, SOON, Said, attempt, by, run, say};
use super::lab::scenarios;
use crate::support::{lvsmon, lvsmon_path, root};

scenarios!(
    "tools",
    [
        check_host_names_what_the_machine_lacks,
        check_host_names_the_rights_that_are_missing,
        check_host_names_unsafe_folders_and_programs,
        lvs_alert_by_itself_makes_and_takes_back_every_kind_of_entry,
        lvs_alert_by_itself_takes_out_whom_the_summary_names,
        lvs_alert_by_itself_says_why_it_did_nothing,
        the_table_command_shows_what_differs,
    ]
);

fn said(command: Command) -> Said {
    said_to(command, "")
}

/// Runs it with that on its standard input.
fn said_to(mut command: Command, input: &str) -> Said {
    say(&mut command, input)
}

const NO_ADMIN: [&str; 3] = [
    "setpriv",
    "--inh-caps=-net_admin",
    "--bounding-set=-net_admin",
];

fn check() -> Command {
    lvsmon(["check", "--host", "--config", "/run/mon.cf"])
}

fn write_config(farm: &Farm) {
    let line = "lvs.alert -P tcp -V 10.0.0.3:80 -R 192.168.0.1 -F nat";
    let config = format!(
        "statedir = /run/state\nmondir = /run/mon.d\nalertdir = /run/alert.d\n\n\
         hostgroup one www1.domain.com\n\nwatch one\n    service ping\n\tinterval 1s\n\
         \tmonitor fping.monitor\n\tperiod wd {{Sun-Sat}}\n\
         \t    alert {line}\n\t    upalert {line} -B -S rr\n"
    );
    run(
        "mkdir -p -m 755 /run/mon.d /run/alert.d && cd /run/mon.d && touch own.monitor && \
         chmod 755 own.monitor",
    );
    farm.configure(&config);
}

#[track_caller]
fn expect(said: &Said, status: i32, findings: &[&str]) {
    assert_eq!(said.status, Some(status), "{said:?}");
    for finding in findings {
        assert!(said.out.contains(finding), "{finding}: {said:?}");
    }
}

fn set(name: &str, value: &str) {
    run(&format!("echo {value} >/proc/sys/net/ipv4/{name}"));
}

fn check_host_names_what_the_machine_lacks(farm: &mut Farm) {
    let (loaded, _) = attempt("grep -q '^ip_vs ' /proc/modules");
    assert!(!loaded, "this scenario has to be the first of its lab");
    write_config(farm);
    expect(
        &said(check()),
        1,
        &["problem the kernel has no IPVS", "modprobe ip_vs"],
    );

    farm.build();
    set("ip_forward", "0");
    set("vs/expire_nodest_conn", "0");
    expect(
        &said(check()),
        1,
        &[
            "good    the kernel has IPVS",
            "good    this process has CAP_NET_ADMIN",
            "good    scheduler rr is there",
            "good    this process may ping",
            "problem packets are not forwarded",
            "net.ipv4.ip_forward=1",
            "warning connections to a server that left the table hang",
            "net.ipv4.vs.expire_nodest_conn=1",
        ],
    );
    set("ip_forward", "1");
    expect(
        &said(check()),
        0,
        &["good    packets are forwarded", "warning connections"],
    );
    set("vs/expire_nodest_conn", "1");
    let good = said(check());
    expect(
        &good,
        0,
        &[
            "connections to a server that left the table end at once",
            "remembered for 15m (TCP), 2m (TCP that ends), 5m (UDP)",
        ],
    );
    assert!(!good.out.contains("problem "), "{good:?}");
}

/// A director that lacks nothing.
fn good_director(farm: &mut Farm) {
    farm.build();
    write_config(farm);
    set("ip_forward", "1");
    set("vs/expire_nodest_conn", "1");
    expect(&said(check()), 0, &[]);
}

fn check_host_names_the_rights_that_are_missing(farm: &mut Farm) {
    good_director(farm);
    let without = |what: &str| {
        let (inherited, bounding) = (
            format!("--inh-caps=-{what}"),
            format!("--bounding-set=-{what}"),
        );
        said(by(&["setpriv", &inherited, &bounding], &check()))
    };
    expect(
        &without("net_admin"),
        1,
        &["problem this process lacks CAP_NET_ADMIN"],
    );
    set("ping_group_range", "1 0");
    expect(
        &without("net_raw"),
        1,
        &[
            "problem this process may not ping",
            "net.ipv4.ping_group_range=",
        ],
    );
    set("ping_group_range", "0 2147483647");
    expect(&without("net_raw"), 0, &["may ping (ping_group_range)"]);
    set("ping_group_range", "1 0");
}

fn check_host_names_unsafe_folders_and_programs(farm: &mut Farm) {
    good_director(farm);
    run("chmod 777 /run/mon.d");
    expect(
        &said(check()),
        1,
        &[
            "problem a folder of mondir is unsafe: everybody may write it",
            "/run/mon.d",
        ],
    );
    run(
        "chmod 755 /run/mon.d && chmod 775 /run/mon.d/own.monitor && chgrp 65534 /run/mon.d/own.monitor",
    );
    expect(
        &said(check()),
        1,
        &[
            "problem a program of mondir is unsafe: group 65534 may write it",
            "/run/mon.d/own.monitor",
        ],
    );
    run("chmod 755 /run/mon.d/own.monitor && chmod 777 /run/alert.d");
    expect(
        &said(check()),
        1,
        &["problem a folder of alertdir is unsafe", "/run/alert.d"],
    );
    run("chmod 755 /run/alert.d");
    expect(&said(check()), 0, &[]);
    // A mistake in the file, and a wrong word.
    farm.configure("hostgrup one www1.domain.com\n");
    expect(&said(check()), 1, &["good    the kernel has IPVS"]);
    assert_eq!(said(lvsmon(["check", "--hosts"])).status, Some(2));
}

/// The command by its own name, and as mon calls it, by that of the file in `alert.d`.
const LVS_ALERTS: [fn() -> Command; 2] = [
    || lvsmon(["alert", "lvs"]),
    || {
        let mut command = Command::new(root().join("alert.d/lvs.alert"));
        command.env("LVSMON", lvsmon_path());
        command
    },
];

const WEB: &str = "-A -t 10.0.0.3:80 -s rr";
const FIRST: &str = "-a -t 10.0.0.3:80 -r 192.168.0.1:80 -g -w 5";
const SECOND: &str = "-a -t 10.0.0.3:80 -r 192.168.0.2:80 -g -w 5";

/// Calls it; it has to succeed and to complain of nothing.
#[track_caller]
fn did(mut command: Command, words: &str, input: &str) -> String {
    command.args(words.split(' '));
    let answer = said_to(command, input);
    let all_is_well = (Some(0), "");
    assert_eq!(
        (answer.status, &*answer.err),
        all_is_well,
        "{words}: {answer:?}"
    );
    answer.out
}

fn lvs_alert_by_itself_makes_and_takes_back_every_kind_of_entry(farm: &mut Farm) {
    const KINDS: [(&str, &str, &str); 6] = [
        (
            "-P tcp -V 10.0.0.3:80 -R 192.168.0.1 -W 5 -F dr",
            WEB,
            FIRST,
        ),
        (
            "-P tcp -V 10.0.0.3:443 -R www2.domain.com -p 8443 -F nat",
            "-A -t 10.0.0.3:443 -s rr",
            "-a -t 10.0.0.3:443 -r 192.168.0.2:8443 -m -w 1",
        ),
        (
            "-P udp -V 10.0.0.3:53 -R 192.168.0.1 -W 3 -F nat",
            "-A -u 10.0.0.3:53 -s rr",
            "-a -u 10.0.0.3:53 -r 192.168.0.1:53 -m -w 3",
        ),
        (
            "-P sctp -V 10.0.0.3:7 -R 192.168.0.1 -F tun",
            "-A --sctp-service 10.0.0.3:7 -s rr",
            "-a --sctp-service 10.0.0.3:7 -r 192.168.0.1:7 -i -w 1 --tun-type ipip",
        ),
        (
            "-P tcp -V [2001:db8::3]:80 -R [2001:db8::11] -W 5",
            "-A -t [2001:db8::3]:80 -s rr",
            "-a -t [2001:db8::3]:80 -r [2001:db8::11]:80 -g -w 5",
        ),
        (
            "-P fwm -V 7 -R 2001:db8::11 -6",
            "-A -f 7 -6 -s rr",
            "-a -f 7 -6 -r [2001:db8::11]:0 -g -w 1",
        ),
    ];
    farm.build();
    let [own, shipped] = LVS_ALERTS;
    let all = KINDS.iter().map(|kind| (own, kind));
    for (alert, (words, service, entry)) in all.chain([(shipped, &KINDS[0])]) {
        let up = format!("{words} -B -S rr -u");
        assert_eq!(did(alert(), &up, "").lines().count(), 2, "{words}");
        farm.expect_table(SOON, &[service, entry]);
        // What is so already is not done again.
        assert_eq!(did(alert(), &up, ""), "", "{words}");
        assert_eq!(did(alert(), words, "").lines().count(), 1, "{words}");
        farm.expect_table(SOON, &[service]);
        assert_eq!(did(alert(), words, ""), "", "{words}");
        did(alert(), &up, "");
        did(alert(), &format!("{words} -D"), "");
        farm.expect_table(SOON, &[]);
    }
}

fn lvs_alert_by_itself_takes_out_whom_the_summary_names(farm: &mut Farm) {
    farm.build();
    // As mon calls it for a group: all of it comes, and those that the summary names go.
    run(&format!("ipvsadm {WEB}"));
    let group = "-s http -g farm -t 1700000000 -l 0 -P tcp -V 10.0.0.3:80 -W 5 -F dr";
    let call = |kind: &str, summary: &str| {
        let mut command = lvsmon(["alert", "lvs", "-h", "www1.domain.com www2.domain.com"]);
        command.env("MON_ALERTTYPE", kind);
        did(command, group, summary)
    };
    call("up", "");
    farm.expect_table(SOON, &[WEB, FIRST, SECOND]);
    call("failure", "www2.domain.com\nconnection refused\n");
    farm.expect_table(SOON, &[WEB, FIRST]);
    assert!(call("ack", "www1.domain.com").contains("nothing to do"));
    farm.expect_table(SOON, &[WEB, FIRST]);
    // Settings of a real server that is there are put right; the other way to the table.
    let words = "-P tcp -V 10.0.0.3:80 -R 192.168.0.1 -W 9 -F nat";
    let mut command = lvsmon(["alert", "ipvs", "-u"]);
    command.env("LVSMON_IPVS_BACKEND", "ipvsadm");
    did(command, words, "");
    let first = "-a -t 10.0.0.3:80 -r 192.168.0.1:80 -m -w 9";
    farm.expect_table(SOON, &[WEB, first]);
    let mut command = lvsmon(["alert", "ipvs"]);
    command.env("LVSMON_IPVS_BACKEND", "ipvsadm");
    did(command, words, "");
    farm.expect_table(SOON, &[WEB]);
}

#[track_caller]
fn failed(command: Command, input: &str, status: i32, why: &str) {
    let answer = said_to(command, input);
    assert_eq!(answer.status, Some(status), "{answer:?}");
    assert!(answer.err.contains(why), "{why}: {answer:?}");
    assert!(answer.err.starts_with("lvsmon alert lvs"), "{answer:?}");
}

fn lvs_alert_by_itself_says_why_it_did_nothing(farm: &mut Farm) {
    const HOWTO: &str = "-P tcp -V 10.0.0.3:80 -R 192.168.0.1 -W 5 -F dr";
    /// What is called, with what on standard input; its exit status and what it says.
    const CALLS: [(&str, &str, i32, &str); 9] = [
        ("-V 10.0.0.3:80 -q", "", 2, "usage: lvsmon alert lvs"),
        ("-R 192.168.0.1", "", 2, "-V is missing"),
        (
            "-V 10.0.0.3:80 -R 192.168.0.1:8080 -F dr",
            "",
            2,
            "use -F nat",
        ),
        (
            "-V 10.0.0.3:80 -u -R [2001:db8::11]",
            "",
            2,
            "another family",
        ),
        ("-V 10.0.0.3:80", "", 1, "which real server?"),
        (
            "-V 10.0.0.3:80 -h www1.domain.com",
            "out of order",
            1,
            "names none of the hosts",
        ),
        (
            "-u -V 10.0.0.3:81 -R 192.168.0.1",
            "",
            1,
            "is not in the table; make it first",
        ),
        (
            "-u -V 10.0.0.3:81 -R 192.168.0.1 -B -S lblc",
            "",
            1,
            "modprobe ip_vs_lblc",
        ),
        (
            "-u -V [2001:db8::3]:80 -R www1.domain.com -B",
            "",
            1,
            "no address of the virtual",
        ),
    ];
    farm.build();
    for line in [WEB, FIRST, SECOND] {
        run(&format!("ipvsadm {line}"));
    }
    let [own, shipped] = LVS_ALERTS;
    for (words, input, status, why) in CALLS {
        let mut command = own();
        command.args(words.split(' '));
        failed(command, input, status, why);
    }
    for alert in [own, shipped] {
        let mut command = alert();
        command.args(HOWTO.split(' '));
        let command = by(&NO_ADMIN, &command);
        failed(command, "", 1, "lvsmon needs CAP_NET_ADMIN");
        // The shell's exec hands the status on.
        failed(alert(), "", 2, "-V is missing");
    }
    let mut command = own();
    command
        .args(HOWTO.split(' '))
        .env("LVSMON_IPVS_BACKEND", "nftables");
    failed(command, "", 2, "write netlink, ipvsadm or memory");
    farm.expect_table(SOON, &[WEB, FIRST, SECOND]);
}

/// The rows of `table --json`: real server, wanted, actual, whether they agree.
fn rows(answer: &Value) -> Vec<String> {
    let mut rows = Vec::new();
    for service in answer["virtual_services"].as_array().expect("services") {
        for row in service["real_servers"].as_array().expect("real servers") {
            let word = |name: &str| row[name].as_str().expect("a word").to_owned();
            let agrees = if row["agrees"] == true {
                "agrees"
            } else {
                "differs"
            };
            rows.push(format!(
                "{} {} {} {agrees}",
                word("real_server"),
                word("wanted"),
                word("actual")
            ));
        }
    }
    rows
}

const HEADING: &str = "virtual service real server forwarding weight wanted actual active \
     inactive persistent why";
const NO_DAEMON: &str = "no daemon runs with /run/mon.cf: this compares the file and its kept \
     state with the kernel";

/// The lines of `table`, whatever the width of its columns.
#[track_caller]
fn shows(said: &Said, lines: &[&str]) {
    assert_eq!((said.status, &*said.err), (Some(0), ""), "{said:?}");
    let words = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
    assert_eq!(said.out.lines().map(words).collect::<Vec<_>>(), lines);
}

fn the_table_command_shows_what_differs(farm: &mut Farm) {
    farm.build();
    let table = || lvsmon(["table", "--config", "/run/mon.cf"]);
    let json = || {
        let answer = said(lvsmon(["table", "--json", "--config", "/run/mon.cf"]));
        assert_eq!((answer.status, &*answer.err), (Some(0), ""), "{answer:?}");
        serde_json::from_str::<Value>(&answer.out).expect("JSON")
    };
    run("ipvsadm -A -t 10.0.0.3:80 -s wrr");
    farm.start_daemon(&farm::config(&[1, 2, 3], "", ""));
    let service = "-A -t 10.0.0.3:80 -s wrr";
    let entry = |number: u8| format!("-a -t 10.0.0.3:80 -r 192.168.0.{number}:80 -g -w 5");
    farm.expect_table(SOON, &[service, &entry(1), &entry(2), &entry(3)]);
    farm.kill_server(3);
    farm.expect_table(SOON, &[service, &entry(1), &entry(2)]);
    let answer = json();
    assert_eq!(answer["source"], "daemon");
    assert_eq!(
        rows(&answer),
        [
            "192.168.0.1:80 in in agrees",
            "192.168.0.2:80 in in agrees",
            "192.168.0.3:80 out out agrees"
        ]
    );
    // Drift that the daemon may not mend: the virtual service belongs to others.
    run("ipvsadm -C");
    farm.expect_log(1, "virtual service is not in the table");
    shows(
        &said(table()),
        &[
            HEADING,
            "10.0.0.3:80/tcp by others missing not ours to make (no -B): its real servers wait",
            "10.0.0.3:80/tcp 192.168.0.1:80 dr 5 in out - - - virtual service is missing",
            "10.0.0.3:80/tcp 192.168.0.2:80 dr 5 in out - - - virtual service is missing",
            "10.0.0.3:80/tcp 192.168.0.3:80 - - out out - - - www3/http says refused",
        ],
    );
    assert_eq!(json()["virtual_services"][0]["actual"], "missing");
    // Without a daemon the file and its kept state are held against the kernel.
    farm.stop_daemon();
    let strange = "-a -t 10.0.0.3:80 -r 192.168.0.3:80 -m -w 7";
    for line in [service, &entry(1), strange] {
        run(&format!("ipvsadm {line}"));
    }
    shows(
        &said(table()),
        &[
            NO_DAEMON,
            HEADING,
            "10.0.0.3:80/tcp 192.168.0.1:80 dr 5 as found in 0 0 0 no verdict yet of www1/http",
            "10.0.0.3:80/tcp 192.168.0.2:80 - - as found out - - - no verdict yet of www2/http",
            "10.0.0.3:80/tcp 192.168.0.3:80 nat 7 as found in 0 0 0 no verdict yet of www3/http; \
             the file says dr, weight 5",
        ],
    );
    let answer = json();
    assert_eq!(answer["source"], "file");
    assert_eq!(
        rows(&answer),
        [
            "192.168.0.1:80 as_found in agrees",
            "192.168.0.2:80 as_found out agrees",
            "192.168.0.3:80 as_found in agrees"
        ]
    );
    // It looks and changes nothing.
    farm.expect_table(SOON, &[service, &entry(1), strange]);
    let answer = said(by(&NO_ADMIN, &table()));
    assert_eq!(answer.status, Some(1), "{answer:?}");
    let why = "the kernel's table cannot be read: operation not permitted; lvsmon needs";
    assert!(answer.out.contains(why), "{answer:?}");
}
