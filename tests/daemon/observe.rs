//! `lvsmon run --observe`: everything is decided, nothing is changed.

use std::fs::{self, File};
use std::process::{Command, Stdio};

use nix::sys::signal::Signal;

use crate::daemon::farm::SOON;
use crate::support::{self, Running, TempDir, lvsmon, wait_until};

/// As whoever works has it, while the real server is in.
const BEFORE: &str = "-A -t 10.0.0.3:80 -s wlc\n-a -t 10.0.0.3:80 -r 127.0.0.1:80 -g -w 1\n";
const AFTER: &str = "-A -t 10.0.0.3:80 -s wlc\n";

/// A service that fails, with a real server and a program to be told.
fn folder() -> TempDir {
    let folder = TempDir::new();
    let root = folder.path().display();
    let port = support::free_port();
    folder.write_executable("told.alert", format!("#!/bin/sh\ntouch {root}/told\n"));
    folder.write("state/table", BEFORE);
    folder.write(
        "mon.cf",
        format!(
            "statedir = {root}/state\nalertdir = {root}\nipvs_backend = memory\n\
             pidfile = {root}/pid\nhistoricfile = {root}/history\n\n\
             hostgroup web 127.0.0.1\n\nwatch web\n service tcp\n  interval 1s\n  \
             monitor tcp.monitor -p {port} -t 1\n  period\n   alert told.alert\n   \
             alert lvs.alert -P tcp -V 10.0.0.3:80 -F dr -B\n   \
             upalert lvs.alert -P tcp -V 10.0.0.3:80 -F dr -B\n"
        ),
    );
    folder
}

fn ask(folder: &TempDir, words: &[&str]) -> (Option<i32>, String) {
    let output = lvsmon(words)
        .arg("--config")
        .arg(folder.join("mon.cf"))
        .output()
        .expect("lvsmon runs");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    (output.status.code(), said)
}

/// Who asks for a director's health or role is told that there is none but an observer.
#[track_caller]
fn is_no_director(folder: &TempDir) {
    let only = "There is one that only observes, process ";
    for words in [&["health"][..], &["role"], &["role", "master"]] {
        let mut command = lvsmon(words);
        let command = command.arg("--config").arg(folder.join("mon.cf"));
        let output = command.output().expect("lvsmon runs");
        assert_eq!(output.status.code(), Some(1), "{words:?} {output:?}");
        let said = [output.stdout, output.stderr].concat();
        let said = String::from_utf8_lossy(&said);
        assert!(
            said.contains(only) && !said.contains("is lvsmon running"),
            "{said}"
        );
    }
}

/// What `role` and `health` say where they are asked with the observer's own folder.
fn says_that_it_observes(folder: &TempDir) {
    for (command, text) in [
        ("role", "nobody is told, as lvsmon only observes here"),
        ("health", "the observer works, and is no director"),
    ] {
        let of_observer = |words: &[&str]| {
            let mut command = lvsmon(words);
            let command = command.arg("--statedir").arg(folder.join("state/observe"));
            let output = command.output().expect("lvsmon runs");
            assert_eq!(output.status.code(), Some(0), "{output:?}");
            String::from_utf8_lossy(&output.stdout).into_owned()
        };
        let said = of_observer(&[command]);
        assert!(said.contains(text), "{said}");
        let said = of_observer(&[command, "--json"]);
        assert!(said.contains("\"source\": \"observer\""), "{said}");
        assert!(!said.contains("\"speaks\": true"), "{said}");
    }
}

/// Nor where it is asked with the observer's own folder.
fn takes_no_wish_and_no_role(folder: &TempDir) {
    for words in [
        &["disable", "127.0.0.1:80"][..],
        &["enable", "127.0.0.1:80"],
        &["role", "master"],
        &["role", "fault", "--instance", "VI_1"],
    ] {
        let mut command = lvsmon(words);
        let command = command.arg("--statedir").arg(folder.join("state/observe"));
        let output = command.output().expect("lvsmon runs");
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{words:?} {output:?}");
        assert!(said.contains("only observes"), "{words:?} {said}");
    }
}

#[test]
fn an_observer_says_what_it_would_do_and_does_nothing() {
    let folder = folder();
    let log = File::create(folder.join("log")).expect("a log");
    let mut command: Command = lvsmon(["run", "--observe", "--config"]);
    command
        .arg(folder.join("mon.cf"))
        .stdout(Stdio::null())
        .stderr(log);
    let mut observer = Running::start(&mut command);
    let says = |text: &str| folder.read("log").contains(text);
    wait_until("the difference is told", SOON, || {
        says("the table differs from what lvsmon wants")
    });
    assert!(says("observing: nothing in the table is changed"));
    assert!(
        says("delete real server 127.0.0.1:80"),
        "{}",
        folder.read("log")
    );
    wait_until("the alert is told", SOON, || {
        says("this alert would be sent")
    });

    assert_eq!(folder.read("state/table"), BEFORE, "the table was changed");
    let (code, said) = ask(&folder, &["table"]);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.starts_with("lvsmon only observes with"), "{said}");
    assert!(
        said.contains("\nwould delete real server 127.0.0.1:80"),
        "{said}"
    );
    assert!(!said.contains("cannot"), "{said}");
    let (_, said) = ask(&folder, &["why", "127.0.0.1:80"]);
    assert!(said.starts_with("lvsmon only observes"), "{said}");
    assert!(said.contains("would delete real server") && !said.contains("cannot"));
    let mut command = lvsmon(["table", "--statedir"]);
    let own = folder.join("state/observe");
    let output = command.arg(&own).output().expect("lvsmon runs");
    let said = String::from_utf8_lossy(&output.stdout);
    let whose = format!("lvsmon only observes in {}: ", own.display());
    assert!(said.starts_with(&whose), "{said}");
    // It takes no wish for one that is carried out.
    let mut command = lvsmon(["disable", "127.0.0.1:80", "--config"]);
    let output = command
        .arg(folder.join("mon.cf"))
        .output()
        .expect("lvsmon runs");
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("There is one that only observes"), "{said}");
    takes_no_wish_and_no_role(&folder);
    let (_, said) = ask(&folder, &["table", "--json"]);
    assert!(said.contains("\"source\": \"observer\""), "{said}");
    // Nobody may take it for a director that works.
    is_no_director(&folder);
    says_that_it_observes(&folder);

    // Whoever works takes the server out as well.
    fs::write(folder.join("state/table"), AFTER).expect("the table");
    wait_until("the end of the difference is told", SOON, || {
        says("a difference of the table is over")
    });
    observer.signal(Signal::SIGTERM);
    assert!(observer.wait(SOON).success());
    assert_eq!(folder.read("state/table"), AFTER);
    let others = ["state/journal", "state/lock", "state/observe/spool"];
    for name in ["told", "pid", "history"].into_iter().chain(others) {
        assert!(!folder.join(name).exists(), "{name} was made");
    }
    assert!(!says("table changed") && !says("put right again"));
    assert!(
        !says("alert sent"),
        "an alert that nobody gets is said to be sent"
    );
}
