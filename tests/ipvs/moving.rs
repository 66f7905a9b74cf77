//! Moving in, beside a real kernel: what `lvsmon import` writes makes the tables that the old one
//! made of its own file, well and ill, and an observer beside it sees what differs and changes
//! nothing.
//!
//! The old one is the real keepalived, which stands here for its checkers only, or the real
//! ldirectord.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use nix::sys::signal::Signal;

use super::client::who_answers;
use super::guest::{Farm, SOON, append, run, say};
use super::lab::scenarios;
use super::table;
use crate::support::{Running, lvsmon, wait_until};

scenarios!(
    "moving",
    [
        what_is_imported_from_keepalived_makes_the_tables_that_it_made,
        what_is_imported_from_ldirectord_makes_the_tables_that_it_made,
        an_observer_beside_keepalived_sees_what_differs_and_changes_nothing,
        an_observer_beside_ldirectord_sees_what_differs_and_changes_nothing,
    ]
);

/// A group with a range of addresses and a mark, a sorry server, and one of UDP behind a ping.
const KEEPALIVED: &str = "\
virtual_server_group farm {
    10.0.0.3 80
    10.0.0.4-5 80
    fwmark 7
}

virtual_server group farm {
    delay_loop 1
    lvs_sched wrr
    lvs_method DR
    protocol TCP
    persistence_timeout 60
    sorry_server 192.168.0.3 80
    real_server 192.168.0.1 80 {
        weight 5
        HTTP_GET {
            url {
                path /
                status_code 200
            }
            connect_timeout 5
            retry 1
            delay_before_retry 1
        }
    }
    real_server 192.168.0.2 80 {
        weight 3
        HTTP_GET {
            url {
                path /
                status_code 200
            }
            connect_timeout 5
            retry 1
            delay_before_retry 1
        }
    }
}

virtual_server 10.0.0.3 53 {
    delay_loop 1
    lvs_sched rr
    lvs_method NAT
    protocol UDP
    ops
    real_server 192.168.0.3 5353 {
        weight 2
        PING_CHECK {
        }
    }
}
";

/// keepalived's own words for the table, with those real servers of the group.
fn of_keepalived(servers: &[(u8, u8)]) -> Vec<String> {
    let mut lines = vec![
        "-A -u 10.0.0.3:53 -s rr -o".to_owned(),
        "-a -u 10.0.0.3:53 -r 192.168.0.3:5353 -m -w 2".to_owned(),
    ];
    for (service, port) in [
        ("-t 10.0.0.3:80", 80),
        ("-t 10.0.0.4:80", 80),
        ("-t 10.0.0.5:80", 80),
        ("-f 7", 0),
    ] {
        lines.push(format!("-A {service} -s wrr -p 60"));
        lines.extend(servers.iter().map(|(number, weight)| {
            format!("-a {service} -r 192.168.0.{number}:{port} -g -w {weight}")
        }));
    }
    lines
}

const LDIRECTORD: &str = "\
checktimeout=5
checkinterval=1
quiescent=no
cleanstop=yes

virtual=10.0.0.3:80
\treal=192.168.0.1:80 gate 5
\treal=192.168.0.2:80 gate 3
\tfallback=192.168.0.3:80 gate
\tservice=http
\trequest=\"index.html\"
\treceive=\"is well\"
\tscheduler=wrr
\tpersistent=60
\tprotocol=tcp
\tchecktype=negotiate

virtual=7
\treal=192.168.0.1:80 masq 5
\treal=192.168.0.2:80 masq 3
\tfallback=192.168.0.3:80 masq
\tservice=http
\trequest=\"index.html\"
\treceive=\"is well\"
\tscheduler=wrr
\tprotocol=fwm
\tchecktype=negotiate

virtual=8
\treal=192.168.0.1:80 gate 5
\treal=192.168.0.2:80 gate 3
\tfallback=192.168.0.3:80 gate
\tservice=http
\trequest=\"index.html\"
\treceive=\"is well\"
\tscheduler=wrr
\tprotocol=fwm
\tchecktype=negotiate
";

fn of_ldirectord(servers: &[(u8, u8)]) -> Vec<String> {
    let mut lines = Vec::new();
    for (service, persistence, method) in [
        ("-t 10.0.0.3:80", " -p 60", 'g'),
        ("-f 7", "", 'm'),
        ("-f 8", "", 'g'),
    ] {
        lines.push(format!("-A {service} -s wrr{persistence}"));
        lines.extend(servers.iter().map(|(number, weight)| {
            format!("-a {service} -r 192.168.0.{number}:80 -{method} -w {weight}")
        }));
    }
    lines
}

/// Both of the farm, one, and what serves where none does.
const FATES: [&[(u8, u8)]; 3] = [&[(1, 5), (2, 3)], &[(2, 3)], &[(3, 1)]];

/// The servers fail one after the other; the table follows, and is as at first in the end.
#[track_caller]
fn goes_through_all(farm: &mut Farm, of: fn(&[(u8, u8)]) -> Vec<String>) {
    let expect = |farm: &mut Farm, servers: &[(u8, u8)]| {
        let lines = of(servers);
        let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
        farm.expect_table(SOON * 2, &lines);
    };
    expect(farm, FATES[0]);
    farm.kill_server(1);
    expect(farm, FATES[1]);
    farm.kill_server(2);
    expect(farm, FATES[2]);
    assert!(
        who_answers("http 10.0.0.3 80", 2)
            .iter()
            .eq(["server 3 is well"])
    );
    farm.serve(2);
    farm.serve(1);
    expect(farm, FATES[0]);
}

/// keepalived's checkers, or ldirectord.
fn start(words: &[&str], folder: &str) -> Running {
    let log = append(Path::new(folder).join("log").as_path());
    let errors = log.try_clone().expect("a log");
    let mut command = Command::new(words[0]);
    command
        .args(&words[1..])
        .stdin(Stdio::null())
        .stdout(log)
        .stderr(errors);
    Running::start(&mut command)
}

fn start_keepalived() -> Running {
    run("mkdir -p -m 755 /run/old && chmod 755 /run");
    fs::write("/run/old/keepalived.conf", KEEPALIVED).expect("a file");
    let words = [
        "keepalived --dont-fork --log-console --log-detail --check",
        "--use-file /run/old/keepalived.conf --pid /run/old/pid --checkers_pid /run/old/checkers",
    ];
    let words = words.join(" ");
    start(&words.split(' ').collect::<Vec<_>>(), "/run/old")
}

/// Both empty the table when they end.
fn stop(farm: &mut Farm, mut old: Running) {
    old.signal(Signal::SIGTERM);
    old.wait(SOON * 2);
    farm.expect_table(SOON, &[]);
}

/// What comes of the file, with a state folder of this lab.
fn import(file: &str) -> String {
    let said = say(&mut lvsmon(["import", file]), "");
    assert_eq!(said.status, Some(0), "{said:?}");
    // The first record of the file is a hostgroup, and settings stand before that.
    format!("statedir = /run/state\n{}", said.out)
}

fn what_is_imported_from_keepalived_makes_the_tables_that_it_made(farm: &mut Farm) {
    farm.build();
    let old = start_keepalived();
    goes_through_all(farm, of_keepalived);
    stop(farm, old);
    farm.start_daemon(&import("/run/old/keepalived.conf"));
    goes_through_all(farm, of_keepalived);
    // It ends as keepalived does.
    farm.stop_daemon();
    farm.expect_table(SOON, &[]);
}

fn start_ldirectord() -> Running {
    run("mkdir -p -m 755 /run/old /run/log /run/lock");
    fs::write("/run/old/ldirectord.cf", LDIRECTORD).expect("a file");
    start(
        &["ldirectord", "-d", "/run/old/ldirectord.cf", "start"],
        "/run/old",
    )
}

fn what_is_imported_from_ldirectord_makes_the_tables_that_it_made(farm: &mut Farm) {
    farm.build();
    let old = start_ldirectord();
    goes_through_all(farm, of_ldirectord);
    stop(farm, old);
    farm.start_daemon(&import("/run/old/ldirectord.cf"));
    goes_through_all(farm, of_ldirectord);
    farm.stop_daemon();
    farm.expect_table(SOON, &[]);
}

/// What somebody else does to the table and the old one leaves so, what the table has then, and how
/// it is undone.
struct Drift {
    done: &'static str,
    found: &'static str,
    undone: &'static str,
}

/// lvsmon beside the old one, with what comes of its file: it wants the same, well and ill, says
/// what differs and leaves it so.
#[track_caller]
fn observes(farm: &mut Farm, file: &str, of: fn(&[(u8, u8)]) -> Vec<String>, drift: &Drift) {
    let expect = |farm: &mut Farm, servers: &[(u8, u8)]| {
        let lines = of(servers);
        let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
        farm.expect_table(SOON * 2, &lines);
    };
    expect(farm, FATES[0]);
    farm.configure(&import(file));
    let log = append(Path::new("/run/daemon.log"));
    let errors = log.try_clone().expect("a log");
    let mut command = lvsmon(["run", "--observe", "--config", "/run/mon.cf"]);
    command.stdin(Stdio::null()).stdout(log).stderr(errors);
    let mut observer = Running::start(&mut command);
    let shows = || {
        let said = say(
            &mut lvsmon(["table", "--json", "--config", "/run/mon.cf"]),
            "",
        );
        said.out
    };
    let agrees = |shown: &str| {
        let nothing = ["\"source\": \"observer\"", "\"refused\": []"];
        nothing.iter().all(|it| shown.contains(it)) && !shown.contains("\"agrees\": false")
    };
    wait_until("both want the same", SOON * 2, || agrees(&shows()));
    farm.kill_server(1);
    expect(farm, FATES[1]);
    wait_until("both want the same while one is down", SOON * 2, || {
        agrees(&shows())
    });
    farm.note(&shows());

    // The old one does not put it right, and the observer says what it would do.
    run(drift.done);
    farm.expect_log(1, "the table differs from what lvsmon wants");
    let said = farm.log();
    let service = drift.found.split_whitespace().nth(2).expect("a service");
    assert!(said.contains(service), "{said}");
    let shown = shows();
    assert!(!agrees(&shown) && shown.contains("would "), "{shown}");
    let found = table::ipvsadm();
    let found: Vec<&str> = found.iter().map(String::as_str).collect();
    assert!(found.contains(&drift.found), "{found:?}");
    farm.keeps_table_for_checks(&found, 6);
    run(drift.undone);
    farm.expect_log(1, "a difference of the table is over");
    assert!(!farm.log().contains("put right again"), "{}", farm.log());
    observer.signal(Signal::SIGTERM);
    assert!(observer.wait(SOON).success());
    expect(farm, FATES[1]);
}

fn an_observer_beside_keepalived_sees_what_differs_and_changes_nothing(farm: &mut Farm) {
    farm.build();
    let old = start_keepalived();
    let drift = Drift {
        done: "ipvsadm -e -t 10.0.0.4:80 -r 192.168.0.2:80 -g -w 9",
        found: "-a -t 10.0.0.4:80 -r 192.168.0.2:80 -g -w 9",
        undone: "ipvsadm -e -t 10.0.0.4:80 -r 192.168.0.2:80 -g -w 3",
    };
    observes(farm, "/run/old/keepalived.conf", of_keepalived, &drift);
    stop(farm, old);
}

/// It looks at the weights of real servers at every check, and at the scheduler when it starts.
fn an_observer_beside_ldirectord_sees_what_differs_and_changes_nothing(farm: &mut Farm) {
    farm.build();
    let old = start_ldirectord();
    let drift = Drift {
        done: "ipvsadm -E -t 10.0.0.3:80 -s rr -p 60",
        found: "-A -t 10.0.0.3:80 -s rr -p 60",
        undone: "ipvsadm -E -t 10.0.0.3:80 -s wrr -p 60",
    };
    observes(farm, "/run/old/ldirectord.cf", of_ldirectord, &drift);
    stop(farm, old);
}
