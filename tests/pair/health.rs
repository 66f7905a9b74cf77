//! Who is told that a director works.

use std::fs;
use std::os::unix::net::UnixDatagram;
use std::process::Stdio;
use std::time::Duration;

use nix::sys::signal::Signal;
use nix::sys::stat::Mode;
use serde_json::Value;

use crate::daemon::farm::{Farm, SOON};
use crate::support::wait_until;

fn health(farm: &Farm, more: &[&str]) -> (Option<i32>, String) {
    let words: Vec<&str> = ["health"].iter().chain(more).copied().collect();
    let output = farm.output(&words);
    let both = [&*output.stdout, &*output.stderr].concat();
    (output.status.code(), String::from_utf8(both).unwrap())
}

#[test]
fn health_fails_where_the_daemon_is_stuck_and_not_where_servers_are_down() {
    let mut farm = Farm::new();
    let (code, text) = health(&farm, &[]);
    assert_eq!(code, Some(1), "{text}");
    assert!(text.contains("no daemon answers"), "{text}");
    farm.start_healthy();
    let (code, text) = health(&farm, &[]);
    assert_eq!(code, Some(0), "{text}");
    assert!(text.contains("2 services"), "{text}");
    farm.break_server(1);
    farm.break_server(2);
    farm.wait_for_table(&[]);
    assert_eq!(health(&farm, &[]).0, Some(0));
    // A file with a mistake is none of the daemon's.
    farm.configure(&format!(
        "{}\nwatch nowhere\n    nonsense\n",
        farm.text(5, true)
    ));
    assert_eq!(health(&farm, &[]).0, Some(0));
    let state = farm.folder.join("state");
    let named = ["--statedir", state.to_str().unwrap(), "--json"];
    let answer: Value = serde_json::from_str(&health(&farm, &named).1).unwrap();
    assert_eq!(answer["stuck"], serde_json::json!([]));
    farm.signal(Signal::SIGSTOP);
    let (code, text) = health(&farm, &["--limit", "0.5s"]);
    farm.signal(Signal::SIGCONT);
    assert_eq!(code, Some(1), "{text}");
    assert!(text.contains("its loop is stuck"), "{text}");
    wait_until("health again", SOON, || health(&farm, &[]).0 == Some(0));
    assert_eq!(health(&farm, &["--limit", "0s"]).0, Some(2));
}

#[test]
fn health_fails_where_a_call_about_the_table_hangs() {
    // Twenty seconds are what such a call may take.
    const LIMIT: Duration = Duration::from_secs(90);
    let mut farm = Farm::new();
    farm.start_healthy();
    assert_eq!(health(&farm, &[]).0, Some(0));
    // A look reads this file last; where nobody writes into it, no look ends.
    let connections = farm.folder.join("state/connections");
    nix::unistd::mkfifo(&connections, Mode::S_IRUSR | Mode::S_IWUSR).unwrap();
    wait_until("a failing health", LIMIT, || {
        let (code, text) = health(&farm, &[]);
        code == Some(1) && text.contains("a call about the virtual server table has taken")
    });
    // It is said wherever somebody asks for the table, and nobody is told that it is as wished.
    let said = |words: &[&str]| {
        let output = farm.output(words);
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        (output.status.code(), text)
    };
    let hangs = "the kernel's table cannot be read: a call about it has taken";
    let (code, text) = said(&["table"]);
    assert_eq!(code, Some(1), "{text}");
    assert!(text.contains(hangs), "{text}");
    assert!(said(&["why", "127.0.0.11"]).1.contains(hangs));
    for wish in ["disable", "enable"] {
        let (code, text) = said(&[wish, "127.0.0.11"]);
        assert_eq!(code, Some(6), "{text}");
        let is_told = text.contains("NOT YET SO") && text.contains(hangs);
        assert!(is_told, "{text}");
    }
    let told = "a call about the virtual server table does not come back";
    farm.wait_for_log(told);
    assert_eq!(farm.log().matches(told).count(), 1);
    assert!(said(&["metrics"]).1.contains("lvsmon_table_readable 0"));
    // Checks go on meanwhile: it is none of them.
    assert!(!health(&farm, &[]).1.contains("check"));
    drop(fs::OpenOptions::new().write(true).open(&connections));
    fs::remove_file(&connections).unwrap();
    wait_until("health again", SOON, || health(&farm, &[]).0 == Some(0));
    farm.wait_for_log("the call about the virtual server table has come back");
    assert_eq!(farm.output(&["table"]).status.code(), Some(0));
}

#[test]
fn systemd_is_told_of_the_start_of_every_turn_and_of_the_end() {
    let mut farm = Farm::new();
    let path = farm.folder.join("notify");
    let socket = UnixDatagram::bind(&path).unwrap();
    socket.set_read_timeout(Some(SOON)).unwrap();
    let heard = || {
        let mut bytes = [0; 64];
        let length = socket.recv(&mut bytes).expect("systemd hears nothing");
        String::from_utf8_lossy(&bytes[..length]).into_owned()
    };
    let mut command = farm.command(&["run"]);
    command
        .env("NOTIFY_SOCKET", &path)
        .env("WATCHDOG_USEC", "400000")
        .stderr(Stdio::null());
    farm.start_as(&mut command);
    assert_eq!(heard(), "READY=1");
    for _ in 0..3 {
        assert_eq!(heard(), "WATCHDOG=1");
    }
    // While the loop stands still nothing is said.
    farm.signal(Signal::SIGSTOP);
    socket
        .set_read_timeout(Some(Duration::from_millis(500)))
        .unwrap();
    let mut bytes = [0; 64];
    while socket.recv(&mut bytes).is_ok() {}
    farm.signal(Signal::SIGCONT);
    socket.set_read_timeout(Some(SOON)).unwrap();
    assert_eq!(heard(), "WATCHDOG=1");
    farm.signal(Signal::SIGTERM);
    while heard() != "STOPPING=1" {}
}
