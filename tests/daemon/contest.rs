//! Somebody else writes the table again and again: what is left alone for a while, what is said of
//! it, and what has it put right at once.

use std::process::Output;

use lvsmon::wire::ServerActual;
use nix::sys::signal::Signal;
use serde_json::Value;

use super::farm::{Farm, SOON};
use crate::support::wait_until;

/// Both real servers in a section of their own, which mails into the file `told`.
fn configure(farm: &Farm) {
    let (folder, port) = (farm.folder.path().display(), farm.port);
    let alert = format!("#!/bin/sh\ncat >> {folder}/told\n");
    farm.folder.write_executable("alert.d/told.alert", &alert);
    farm.folder.write("state/table", "");
    farm.configure(&farm.section(
        port,
        &format!("\tinterval 0.3s\n\tmonitor http.monitor -p {port} -t 5\n"),
        "    alert told.alert\n",
    ));
}

/// Somebody makes the table so, again and again, until it is left so.
#[track_caller]
fn fight(farm: &Farm, theirs: impl Fn(&str) -> String) {
    let mut client = farm.client();
    let mut rests = || {
        let contested = client.table().unwrap().contested;
        contested.iter().any(|it| it.rests_until.is_some())
    };
    wait_until("the fight before is over", SOON, || !rests());
    wait_until("the table is left as somebody else makes it", SOON, || {
        let ours = farm.folder.read("state/table");
        let theirs = theirs(&ours);
        if theirs != ours {
            // In one step: the daemon reads it at any time.
            farm.folder.write("table.new", theirs);
            let (from, to) = (
                farm.folder.join("table.new"),
                farm.folder.join("state/table"),
            );
            std::fs::rename(from, to).unwrap();
        }
        rests()
    });
}

/// Without the lines that have this in them.
fn without(table: &str, what: &str) -> String {
    let lines = table.lines().filter(|line| !line.contains(what));
    lines.map(|line| format!("{line}\n")).collect()
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn what_somebody_else_takes_out_comes_back_at_once_when_an_operator_wants_it() {
    let mut farm = Farm::new();
    configure(&farm);
    farm.start_healthy();
    fight(&farm, |table| without(table, "127.0.0.11"));
    let what = format!(
        "somebody else takes 127.0.0.11:{0} out of 10.0.0.3:{0}/tcp again and again: lvsmon waits on \
         purpose",
        farm.port
    );
    for words in [&["table"][..], &["why", "127.0.0.11"]] {
        let text = said(&farm.output(words));
        assert!(text.contains(&what), "{text}");
        assert!(
            text.contains("a reload (SIGHUP) puts it right at once"),
            "{text}"
        );
    }
    // So does the section, whoever of it is asked for.
    let page = said(&farm.output(&["why", "127.0.0.12"]));
    let line = format!(
        "section    2 of 2 real servers are wanted to serve, min_live 0; but new connections do not \
         reach 127.0.0.11:{}\n",
        farm.port
    );
    assert!(page.contains(&line), "{page}");
    let table: Value = serde_json::from_slice(&farm.output(&["table", "--json"]).stdout).unwrap();
    let row = &table["virtual_services"][0]["real_servers"][0];
    assert_eq!(row["agrees"], false, "{table}");
    assert!(
        row["why"].as_str().unwrap().contains("left so for a while"),
        "{table}"
    );
    assert!(table["contested"][0]["rests_until"].is_i64(), "{table}");
    // It rests for half a minute at least.
    assert_eq!(
        farm.output(&["disable", "127.0.0.11"]).status.code(),
        Some(0)
    );
    assert_eq!(
        farm.output(&["enable", "127.0.0.11"]).status.code(),
        Some(0)
    );
    farm.wait_for_table(&[(1, 5), (2, 5)]);
    wait_until("the section is served again", SOON, || {
        said(&farm.output(&["why", "127.0.0.12"]))
            .contains("2 of 2 real servers serve, min_live 0\n")
    });
    // And again with nothing to enable, and with a reload.
    fight(&farm, |table| without(table, "127.0.0.11"));
    let output = farm.output(&["enable", "127.0.0.11"]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    farm.wait_for_table(&[(1, 5), (2, 5)]);
    fight(&farm, |table| without(table, "127.0.0.11"));
    farm.signal(Signal::SIGHUP);
    farm.wait_for_table(&[(1, 5), (2, 5)]);
}

#[test]
fn what_somebody_else_takes_out_comes_back_at_once_with_a_good_check() {
    let mut farm = Farm::new();
    configure(&farm);
    farm.start_healthy();
    fight(&farm, |table| without(table, "127.0.0.11"));
    farm.break_server(1);
    farm.wait_for_log("real server out");
    farm.mend_server(1);
    farm.wait_for_table(&[(1, 5), (2, 5)]);
}

#[test]
fn what_somebody_else_takes_out_comes_back_at_once_at_a_takeover() {
    let mut farm = Farm::new();
    configure(&farm);
    farm.start_healthy();
    let role = |role| assert!(farm.output(&["role", role]).status.success());
    role("backup");
    fight(&farm, |table| without(table, "127.0.0.11"));
    // It rests for half a minute at least.
    role("master");
    farm.wait_for_table(&[(1, 5), (2, 5)]);
}

#[test]
fn a_stranger_that_somebody_else_puts_in_again_and_again_is_shown_and_named() {
    let mut farm = Farm::new();
    configure(&farm);
    farm.start_healthy();
    let line = format!("-a -t 10.0.0.3:{0} -r 127.0.0.77:{0} -g -w 5\n", farm.port);
    fight(&farm, |table| without(table, "127.0.0.77") + &line);
    let stranger = format!("127.0.0.77:{}", farm.port);
    let answer = farm.client().table().unwrap();
    let rows = &answer.virtual_services[0].real_servers;
    let row = rows.iter().find(|row| row.real_server == stranger);
    let row = row.unwrap_or_else(|| panic!("{rows:?}"));
    assert_eq!(
        (row.wanted.to_string(), row.actual),
        ("out".to_owned(), ServerActual::In)
    );
    assert!(!row.agrees, "{row:?}");
    let page = said(&farm.output(&["why", "127.0.0.77"]));
    let head = format!("{stranger} (not in the file) is unwanted in 10.0.0.3:");
    assert!(page.contains(&head), "{page}");
    assert!(page.contains("somebody else puts"), "{page}");
    let named = format!("puts {stranger} (not in the file) into 10.0.0.3:");
    wait_until("an alert that names it", SOON, || {
        std::fs::read_to_string(farm.folder.join("told")).is_ok_and(|told| told.contains(&named))
    });
}
