//! What operators wish of real servers, by the command line, with a daemon as a process. The
//! connections are those of the file beside the table in memory.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;
use std::process::{Output, Stdio};

use nix::sys::signal::Signal;
use serde_json::Value;

use super::farm::{Farm, SOON};
use crate::support::{Running, wait_until};

/// Connections of the first server: active and persistent ones.
fn connect(farm: &Farm, active: u32, persistent: u32) {
    let port = farm.port;
    let text =
        format!("TCP 10.0.0.3:{port}\n  -> 127.0.0.11:{port}  0  {persistent}  {active}  1\n");
    farm.folder.write("state/connections.new", &text);
    let folder = farm.folder.join("state");
    fs::rename(folder.join("connections.new"), folder.join("connections")).unwrap();
}

#[track_caller]
fn did(output: &Output, code: i32) -> String {
    assert_eq!(output.status.code(), Some(code), "{output:?}");
    String::from_utf8(output.stdout.clone()).unwrap()
}

#[track_caller]
fn has(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "no {part:?} in\n{text}");
    }
}

/// `lvsmon why SERVER --json`, of the one virtual service it is in.
fn known(farm: &Farm, server: &str) -> Value {
    let output = farm.output(&["why", server, "--json"]);
    let mut answer: Value = serde_json::from_slice(&output.stdout).unwrap();
    answer["servers"][0].take()
}

#[test]
fn a_drain_waits_for_the_last_connection_and_outlives_the_daemon() {
    let mut farm = Farm::new();
    connect(&farm, 2, 0);
    farm.start_healthy();
    let mut command = farm.command(&["drain", "127.0.0.11", "--reason", "new kernel"]);
    let mut drain = Running::start(command.stdout(Stdio::piped()));
    let mut lines = BufReader::new(drain.0.stdout.take().unwrap()).lines();
    let mut line = || lines.next().unwrap().unwrap();
    has(
        &line(),
        &["weight 0, and out once no connection is active, in 10m at the latest"],
    );
    farm.wait_for_table(&[(1, 0), (2, 5)]);
    has(&line(), &["2 active, 1 inactive, 0 persistent"]);
    has(
        &did(&farm.output(&["table"]), 0),
        &["(new kernel), waits for active connections"],
    );
    has(
        &did(&farm.output(&["why", "127.0.0.11"]), 1),
        &[
            "is in with weight 0 in 10.0.0.3",
            "operator   drain by ",
            "weight 0; connections 2 active, 1 inactive, 0 persistent",
            "back with  lvsmon enable 127.0.0.11",
        ],
    );
    connect(&farm, 1, 0);
    has(&line(), &["1 active"]);
    // A daemon that is killed and started again goes on where it was.
    farm.end(Signal::SIGKILL);
    assert!(!drain.wait(SOON).success());
    farm.start();
    farm.wait_for_checks_to_go_on();
    assert_eq!(
        known(&farm, "127.0.0.11")["operator"]["drain"]["state"],
        "draining"
    );
    assert!(farm.in_table().contains(&(1, 0)));
    connect(&farm, 0, 0);
    farm.wait_for_table(&[(2, 5)]);
    farm.wait_for_log("no active connections any more");
    assert_eq!(
        known(&farm, "127.0.0.11")["operator"]["drain"]["state"],
        "drained"
    );
    farm.end(Signal::SIGTERM);
    farm.start();
    farm.wait_for_checks_to_go_on();
    farm.wait_for_table(&[(2, 5)]);
    has(
        &did(&farm.output(&["enable", "127.0.0.11"]), 0),
        &["the drain by", "is ended"],
    );
    farm.wait_for_table(&[(1, 5), (2, 5)]);
}

#[test]
fn the_end_of_a_drain_is_its_exit_status() {
    let mut farm = Farm::new();
    connect(&farm, 0, 3);
    farm.start_healthy();
    let drain = |words: &[&str]| farm.output(&[&["drain", "127.0.0.11"], words].concat());
    has(&did(&drain(&[]), 0), &["drained, and out"]);
    assert_eq!(farm.in_table().len(), 1);
    did(&farm.output(&["enable", "127.0.0.11"]), 0);
    farm.wait_for_table(&[(1, 5), (2, 5)]);
    connect(&farm, 4, 3);
    has(
        &did(&drain(&["--deadline", "3s"]), 4),
        &["4 active", "out at the deadline"],
    );
    farm.wait_for_table(&[(2, 5)]);
    farm.wait_for_log("last seen with 4 active connections; 3 persistent clients");
    did(&farm.output(&["enable", "127.0.0.11"]), 0);
    let output = drain(&["--no-wait", "--json"]);
    let json: Value = serde_json::from_str(&did(&output, 0)).unwrap();
    assert_eq!(json["servers"][0]["operator"]["drain"]["state"], "draining");
    assert_eq!(json["servers"][0]["operator"]["wish"], "drain");
    // Somebody else ends the drain that one waits for.
    let mut command = farm.command(&["drain", "127.0.0.11"]);
    let mut waiting = Running::start(command.stdout(Stdio::piped()));
    let mut lines = BufReader::new(waiting.0.stdout.take().unwrap()).lines();
    has(
        &lines.next().unwrap().unwrap(),
        &["in the place of the drain by"],
    );
    did(&farm.output(&["enable", "127.0.0.11"]), 0);
    assert_eq!(waiting.wait(SOON).code(), Some(5));
}

#[test]
fn a_drain_whose_own_time_is_over_first_says_so() {
    let mut farm = Farm::new();
    connect(&farm, 4, 0);
    farm.start_healthy();
    let text = did(&farm.output(&["drain", "127.0.0.11", "--for", "2s"]), 5);
    has(
        &text,
        &[
            "once no connection is active; ends by itself in 2s",
            ": not drained: the time of its --for is over",
        ],
    );
    // Somebody else wishes something else of it.
    let mut command = farm.command(&["drain", "127.0.0.11", "--for", "1h"]);
    let mut waiting = Running::start(command.stdout(Stdio::piped()));
    let mut lines = BufReader::new(waiting.0.stdout.take().unwrap()).lines();
    has(&lines.next().unwrap().unwrap(), &["weight 0, and out once"]);
    did(&farm.output(&["weight", "3", "127.0.0.11"]), 0);
    let last = lines.last().unwrap().unwrap();
    has(&last, &[": not drained: meanwhile there is weight 3 by "]);
    assert_eq!(waiting.wait(SOON).code(), Some(5));
}

#[test]
fn a_drain_that_ends_with_the_time_of_another_persons_says_whose() {
    let mut farm = Farm::new();
    connect(&farm, 4, 0);
    farm.start_healthy();
    let (mut waiting, lines) = waiting_drain(&farm);
    let mut command = farm.command(&["drain", "127.0.0.11", "--for", "2s", "--no-wait"]);
    did(&command.env("SUDO_USER", "bob").output().unwrap(), 0);
    let last = lines.last().unwrap();
    has(
        &last,
        &[
            ": not drained: the drain by bob",
            " took its place, and the time of that one's --for is over",
        ],
    );
    assert_eq!(waiting.wait(SOON).code(), Some(5));
}

/// Starts a drain that waits for connections, and returns it with the lines it says from there on.
fn waiting_drain(farm: &Farm) -> (Running, impl Iterator<Item = String> + use<>) {
    let mut command = farm.command(&["drain", "127.0.0.11"]);
    let mut waiting = Running::start(command.stdout(Stdio::piped()));
    let lines = BufReader::new(waiting.0.stdout.take().unwrap()).lines();
    let mut lines = lines.map(Result::unwrap);
    lines.find(|line| line.contains("4 active")).unwrap();
    (waiting, lines)
}

#[test]
fn a_drain_whose_server_fails_with_connections_is_not_called_done() {
    let mut farm = Farm::new();
    connect(&farm, 4, 0);
    farm.start_healthy();
    let (mut waiting, lines) = waiting_drain(&farm);
    farm.break_server(1);
    farm.wait_for_table(&[(2, 5)]);
    let last = lines.last().unwrap();
    has(
        &last,
        &[
            ": not drained: its checks took it out (www1/http) with active connections, and it is out",
        ],
    );
    assert_eq!(waiting.wait(SOON).code(), Some(4));
    farm.wait_for_log("not drained: it left the table with 4 active connections");
    let drain = &known(&farm, "127.0.0.11")["operator"]["drain"];
    assert_eq!(drain["state"], "left");
    has(
        &did(&farm.output(&["why", "127.0.0.11"]), 1),
        &["; not drained: it left the table with active connections\n"],
    );
}

#[test]
fn a_drain_whose_server_the_file_loses_says_so() {
    let mut farm = Farm::new();
    connect(&farm, 4, 0);
    farm.start_healthy();
    let (mut waiting, lines) = waiting_drain(&farm);
    let text = farm.text(5, true);
    let kept = text.lines().filter(|line| !line.contains("-R 127.0.0.11 "));
    farm.configure(&kept.map(|line| format!("{line}\n")).collect::<String>());
    farm.signal(Signal::SIGHUP);
    let last = lines.last().unwrap();
    has(&last, &[": not drained: a reload took it from the file"]);
    assert_eq!(waiting.wait(SOON).code(), Some(5));
}

/// What a drain says that waits while the daemon stops.
fn said_of_a_drain_behind_a_stop(farm: &mut Farm) -> String {
    let mut command = farm.command(&["drain", "127.0.0.11"]);
    let child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let mut child = child.unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut lines = lines.map(Result::unwrap);
    lines.find(|line| line.contains("4 active")).unwrap();
    farm.end(Signal::SIGTERM);
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(6), "{said}");
    said
}

#[test]
fn a_drain_that_waits_while_the_daemon_stops_is_kept_and_says_so() {
    let mut farm = Farm::new();
    connect(&farm, 4, 0);
    farm.start_healthy();
    has(
        &said_of_a_drain_behind_a_stop(&mut farm),
        &["the drain is kept, and goes on when it is back: lvsmon why 127.0.0.11"],
    );
    farm.start();
    farm.wait_for_checks_to_go_on();
    let drain = &known(&farm, "127.0.0.11")["operator"]["drain"];
    assert_eq!(drain["state"], "draining");
}

#[test]
fn what_is_kept_of_a_server_that_the_file_lost_is_shown_and_ended() {
    let mut farm = Farm::new();
    farm.start_healthy();
    did(
        &farm.output(&["disable", "127.0.0.11", "--reason", "new disk"]),
        0,
    );
    let text = farm.text(5, true);
    let kept = text.lines().filter(|line| !line.contains("-R 127.0.0.11 "));
    farm.configure(&kept.map(|line| format!("{line}\n")).collect::<String>());
    farm.signal(Signal::SIGHUP);
    farm.wait_for_log("is kept for 7d");
    has(
        &did(&farm.output(&["table"]), 0),
        &[
            "127.0.0.11:",
            "is not in the file any more: disable by ",
            "(new disk) is kept until",
        ],
    );
    let table = did(&farm.output(&["table", "--json"]), 0);
    let table: Value = serde_json::from_str(&table).unwrap();
    assert_eq!(table["lost"][0]["operator"]["reason"], "new disk");
    let why = farm.output(&["why", "127.0.0.11"]);
    let said = String::from_utf8_lossy(&why.stderr);
    has(
        &said,
        &[
            "of real servers that the file lost, the disable by ",
            "lvsmon enable",
        ],
    );
    has(
        &did(&farm.output(&["enable", "127.0.0.11"]), 0),
        &[
            "where the file no longer has it: the disable by ",
            "is ended",
        ],
    );
    let table = did(&farm.output(&["table", "--json"]), 0);
    let table: Value = serde_json::from_str(&table).unwrap();
    assert_eq!(table["lost"], Value::Array(Vec::new()));
    farm.configure(&text);
    farm.signal(Signal::SIGHUP);
    farm.wait_for_table(&[(1, 5), (2, 5)]);
}

#[test]
fn a_drain_of_a_server_that_is_out_waits_for_no_connection() {
    let mut farm = Farm::new();
    farm.start_healthy();
    farm.break_server(1);
    farm.wait_for_table(&[(2, 5)]);
    has(
        &did(&farm.output(&["drain", "127.0.0.11", "--no-wait"]), 0),
        &[": stays out; its checks withdraw it anyhow: www1/http"],
    );
    has(
        &did(&farm.output(&["why", "127.0.0.11"]), 1),
        &["; out anyhow, so no connection is waited for\n"],
    );
    has(
        &did(&farm.output(&["table"]), 0),
        &["out anyhow, so no connection is waited for"],
    );
    has(
        &did(&farm.output(&["drain", "127.0.0.11"]), 0),
        &[
            "/tcp: out anyhow, so no connection is waited for\n",
            ": drained, and out\n",
        ],
    );
    farm.wait_for_log("drained: it is out of the table already");
}

#[test]
fn a_wish_and_health_are_two_reasons_and_why_names_both() {
    let mut farm = Farm::new();
    farm.start_healthy();
    let server = format!("127.0.0.11:{}", farm.port);
    let words = [
        "disable",
        &server,
        "in",
        &format!("10.0.0.3:{}", farm.port),
        "--for",
        "1h",
    ];
    has(
        &did(&farm.output(&words), 0),
        &["to be out; ends by itself in 1h"],
    );
    farm.wait_for_table(&[(2, 5)]);
    farm.break_server(1);
    wait_until("the check fails", SOON, || {
        known(&farm, "127.0.0.11")["checks"][0]["withdraws"].is_object()
    });
    has(
        &did(&farm.output(&["why", &server]), 1),
        &[
            &format!("{server} is out of 10.0.0.3:{}/tcp since ", farm.port),
            "withdrawn  by www1/http since ",
            "connection refused",
            "results    ",
            "operator   disable by ",
            "kernel     not in the table",
            "back with  a good check of www1/http",
            "and with   the disable by ",
            "ends by itself at ",
        ],
    );
    farm.mend_server(1);
    wait_until("the check is good", SOON, || {
        known(&farm, "127.0.0.11")["checks"][0]["withdraws"].is_null()
    });
    assert_eq!(farm.in_table().len(), 1);
    did(&farm.output(&["enable", &server]), 0);
    farm.wait_for_table(&[(1, 5), (2, 5)]);
    has(
        &did(&farm.output(&["why", "127.0.0.12"]), 0),
        &["is in 10.0.0.3", "www2/http up"],
    );
}

#[test]
fn maintenance_ends_by_itself_and_another_weight_is_in_the_table() {
    let mut farm = Farm::new();
    farm.start_healthy();
    did(&farm.output(&["quiesce", "127.0.0.11", "--for", "1s"]), 0);
    farm.wait_for_log("the quiesce by");
    farm.wait_for_log("real server quiesced");
    farm.wait_for_log("is over after 1s");
    farm.wait_for_table(&[(1, 5), (2, 5)]);
    farm.wait_for_log("real server in");
    has(
        &did(&farm.output(&["weight", "9", "127.0.0.12"]), 0),
        &["weight 9"],
    );
    farm.wait_for_table(&[(1, 5), (2, 9)]);
    let json: Value = serde_json::from_str(&did(&farm.output(&["table", "--json"]), 0)).unwrap();
    let row = &json["virtual_services"][0]["real_servers"][1];
    assert_eq!(
        (&row["weight"], &row["agrees"]),
        (&Value::from(9), &Value::from(true))
    );
    assert_eq!(row["operator"]["wish"], "weight");
    assert_eq!(row["operator"]["weight"], 9);
}

#[test]
fn every_list_names_a_server_that_is_out_for_maintenance_with_its_end_and_its_reason() {
    let mut farm = Farm::new();
    farm.start_healthy();
    let disable = [
        "disable",
        "127.0.0.11",
        "--for",
        "1h",
        "--reason",
        "new disk",
    ];
    did(&farm.output(&disable), 0);
    farm.wait_for_table(&[(2, 5)]);
    let is_complete = |operator: &Value| {
        assert_eq!(operator["wish"], "disable", "{operator}");
        assert_eq!(operator["reason"], "new disk", "{operator}");
        assert!(!operator["by"].as_str().unwrap().is_empty(), "{operator}");
        let span = operator["until"].as_i64().unwrap() - operator["since"].as_i64().unwrap();
        // Each is rounded to its second.
        assert!((3_599..=3_601).contains(&span), "{operator}");
    };
    let why = known(&farm, "127.0.0.11");
    is_complete(&why["operator"]);
    let table: Value = serde_json::from_str(&did(&farm.output(&["table", "--json"]), 0)).unwrap();
    let rows = &table["virtual_services"][0]["real_servers"];
    is_complete(&rows[0]["operator"]);
    assert_eq!(rows[1]["operator"], Value::Null);
    let by = why["operator"]["by"].as_str().unwrap();
    let called = format!("disable by {by} (new disk)");
    let text = did(&farm.output(&["table"]), 0);
    has(&text, &[&called, &format!("the wish of {by} ends at ")]);
    let text = did(&farm.output(&["why", "127.0.0.11"]), 1);
    has(&text, &[&format!("operator   {called} since "), ", until "]);
    let server = why["real_server"].as_str().unwrap();
    let text = did(&farm.output(&["metrics"]), 0);
    let samples: Vec<&str> = text
        .lines()
        .filter(|line| line.contains(&format!("real_server=\"{server}\"")))
        .filter(|line| {
            line.starts_with("lvsmon_real_server_wish{")
                || line.starts_with("lvsmon_real_server_out_reason{")
        })
        .filter_map(|line| Some(line.rsplit_once(',')?.1))
        .collect();
    assert_eq!(samples, ["reason=\"wish\"} 1", "wish=\"disable\"} 1"]);
}

#[test]
fn what_is_not_understood_changes_nothing() {
    let mut farm = Farm::new();
    farm.start_healthy();
    for (words, code, why) in [
        (vec!["disable", "127.0.0.13"], 1, "no real server is called"),
        (
            vec!["disable", "127.0.0.11", "in", "10.0.0.4:80"],
            1,
            "no virtual service is called",
        ),
        (
            vec!["disable", "127.0.0.11", "at", "10.0.0.3:80"],
            2,
            "not understood",
        ),
        (vec!["disable", "127.0.0.11", "in"], 2, "not understood"),
        (vec!["weight", "65536", "127.0.0.11"], 2, "65536"),
        (
            vec!["drain", "127.0.0.11", "--for", "soon"],
            2,
            "not a time value",
        ),
        (
            vec!["quiesce", "127.0.0.11", "--for", "999d"],
            1,
            "a wish lasts 366d at most",
        ),
        (vec!["why", "127.0.0.13"], 3, "no real server is called"),
    ] {
        let output = farm.output(&words);
        assert_eq!(output.status.code(), Some(code), "{words:?} {output:?}");
        has(&String::from_utf8_lossy(&output.stderr), &[why]);
    }
    assert_eq!(farm.in_table().len(), 2);
}

#[test]
fn an_answered_wish_outlives_a_crash_that_follows_at_once() {
    let mut farm = Farm::new();
    farm.start_healthy();
    for server in ["127.0.0.11", "127.0.0.12"] {
        has(
            &did(&farm.output(&["disable", server]), 0),
            &[": to be out"],
        );
    }
    farm.end(Signal::SIGKILL);
    farm.start();
    farm.wait_for_checks_to_go_on();
    for server in ["127.0.0.11", "127.0.0.12"] {
        assert_eq!(known(&farm, server)["operator"]["wish"], "disable");
        did(&farm.output(&["enable", server]), 0);
    }
    farm.end(Signal::SIGKILL);
    farm.start();
    farm.wait_for_checks_to_go_on();
    for server in ["127.0.0.11", "127.0.0.12"] {
        assert_eq!(known(&farm, server)["operator"], Value::Null);
    }
}

/// An ipvsadm whose table is the file of the farm, and which refuses changes while the file
/// `refuse` is there.
const REFUSING: &str = r#"#!/bin/sh
cd "$(dirname "$0")" || exit 1
case "$1" in
-Sn) exec cat state/table ;;
-L*) exit 0 ;;
esac
if [ -e refuse ]; then
    echo "Memory allocation problem" >&2
    exit 255
fi
[ "$1" != -d ] || sed -i "/-r $5 /d" state/table
"#;

#[test]
fn a_wish_that_the_kernel_refuses_is_said_to_be_not_so_and_is_tried_again() {
    let mut farm = Farm::new();
    let port = farm.port;
    farm.folder.write_executable("ipvsadm", REFUSING);
    farm.folder.write("refuse", "");
    let both = [1, 2].map(|it| format!("-a -t 10.0.0.3:{port} -r 127.0.0.1{it}:{port} -g -w 5\n"));
    farm.folder.write(
        "state/table",
        format!("-A -t 10.0.0.3:{port} -s wlc\n{}", both.concat()),
    );
    let text = farm.text(5, true);
    farm.configure(&text.replace("ipvs_backend = memory", "ipvs_backend = ipvsadm"));
    let path = std::env::var("PATH").unwrap_or_default();
    let path = format!("{}:{path}", farm.folder.path().display());
    let mut command = farm.command(&["run"]);
    farm.start_as(command.env("PATH", path));
    farm.wait_for_checks_to_go_on();
    let said = did(&farm.output(&["disable", "127.0.0.11"]), 6);
    has(
        &said,
        &[
            &format!("127.0.0.11:{port} in 10.0.0.3:{port}/tcp: to be out\n"),
            &format!(
                "NOT YET SO: 127.0.0.11:{port} in 10.0.0.3:{port}/tcp: it is in the kernel's table \
                 with weight 5; cannot delete real server 127.0.0.11:{port}"
            ),
            "the wish is kept, and lvsmon tries again",
        ],
    );
    let said = did(&farm.output(&["disable", "127.0.0.12", "--json"]), 6);
    let answer: Value = serde_json::from_str(&said).unwrap();
    assert_eq!(answer["servers"][0]["actual"], "in", "{said}");
    assert_eq!(answer["source"], "daemon", "{said}");
    fs::remove_file(farm.folder.join("refuse")).unwrap();
    farm.wait_for_table(&[]);
    has(
        &did(&farm.output(&["disable", "127.0.0.11"]), 0),
        &["to be out", "\nthe kernel's table is so\n"],
    );
}

/// A farm of which a period keeps the first real server from ever being checked.
fn first_never_checked() -> Farm {
    let mut farm = Farm::new();
    let text = farm.text(5, true);
    let first = "service http\n";
    farm.configure(&text.replacen(
        first,
        &format!("{first}\texclude_period wd {{Sun-Sat}}\n"),
        1,
    ));
    farm.start();
    farm.wait_for_table(&[(2, 5)]);
    farm
}

#[test]
fn enable_names_what_still_keeps_a_server_from_a_verdict() {
    let farm = first_never_checked();
    did(&farm.output(&["disable", "127.0.0.11"]), 0);
    let why = "is left as found, without a verdict of www1/http: exclude_period wd {Sun-Sat} \
               holds: no check begins";
    let found = "not in the kernel's table, and left so until its first verdict";
    let said = did(&farm.output(&["enable", "127.0.0.11"]), 0);
    has(&said, &["is ended\n", why, found]);
    assert!(!said.contains("table is so"), "{said}");
    let output = farm.output(&["enable", "127.0.0.11"]);
    did(&output, 1);
    let said = String::from_utf8(output.stderr).unwrap();
    has(&said, &["nothing withdraws this real server; ", why]);
    let output = farm.output(&["enable", "127.0.0.11", "--json"]);
    let answer: Value = serde_json::from_slice(&output.stdout).unwrap();
    has(answer["error"].as_str().unwrap(), &[why]);
}

#[test]
fn why_says_what_keeps_a_service_and_a_server_from_being_checked() {
    let farm = first_never_checked();
    let waits = "exclude_period wd {Sun-Sat} holds: no check begins\n";
    let page = did(&farm.output(&["why", "www1/http"]), 0);
    has(&page, &[&format!("  waits      {waits}")]);
    assert!(!page.contains("next in"), "{page}");
    has(
        &did(&farm.output(&["why", "127.0.0.11"]), 1),
        &[&format!("  waits      www1/http: {waits}")],
    );
    let row = &known(&farm, "127.0.0.11")["checks"][0]["held_up"][0];
    assert_eq!(row["rule"], "exclude_period");
    let page = did(&farm.output(&["why", "www2/http"]), 0);
    assert!(!page.contains("waits"), "{page}");
}

/// Ends a wish, and from then on the disk takes no journal, until the folder that is answered is
/// removed.
fn break_journal(farm: &Farm) -> PathBuf {
    let state = farm.folder.join("state");
    let in_the_way = state.join("journal.new");
    fs::create_dir(&in_the_way).unwrap();
    fs::remove_file(state.join("journal")).unwrap();
    did(&farm.output(&["enable", "127.0.0.11"]), 0);
    farm.wait_for_log("cannot write the journal");
    in_the_way
}

#[test]
fn a_drain_that_the_disk_did_not_take_is_not_said_to_be_kept() {
    let mut farm = Farm::new();
    connect(&farm, 4, 0);
    farm.start_healthy();
    did(&farm.output(&["quiesce", "127.0.0.11"]), 0);
    break_journal(&farm);
    let said = said_of_a_drain_behind_a_stop(&mut farm);
    has(
        &said,
        &["the journal could not be written, so the drain may be forgotten when it is back"],
    );
    assert!(!said.contains("is kept"), "{said}");
}

#[test]
fn the_answer_to_a_wish_says_where_the_disk_takes_no_journal() {
    let mut farm = Farm::new();
    farm.start_healthy();
    let said = |words: &[&str]| {
        let output = farm.output(&[words, &["--json"]].concat());
        serde_json::from_slice::<Value>(&output.stdout).unwrap()
    };
    let quiesced = said(&["quiesce", "127.0.0.11"]);
    assert_eq!(quiesced["servers"][0]["operator"]["wish"], "quiesce");
    assert_eq!(quiesced.get("journal_trouble"), None);
    let in_the_way = break_journal(&farm);
    let trouble = "the journal cannot be written: a crash would forget this; the log says why";
    for words in [
        &["quiesce", "127.0.0.11"] as &[&str],
        &["enable", "127.0.0.11"],
        &["drain", "127.0.0.11"],
    ] {
        assert_eq!(said(words)["journal_trouble"], trouble, "{words:?}");
    }
    has(&did(&farm.output(&["enable", "127.0.0.11"]), 0), &[trouble]);
    fs::remove_dir(in_the_way).unwrap();
    let journal = farm.folder.join("state/journal");
    wait_until("a journal", SOON, || journal.exists());
    let quiesced = said(&["quiesce", "127.0.0.11"]);
    assert_eq!(quiesced["servers"][0]["operator"]["wish"], "quiesce");
    assert_eq!(quiesced.get("journal_trouble"), None);
}
