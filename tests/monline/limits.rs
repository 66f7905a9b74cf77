//! The limit of processes and threads: said, waited for, and never the end of the daemon, nor of
//! an alert.

use std::fs;
use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, Stdio};

use nix::sys::signal::Signal;

use super::clients::Client;
use super::{SOON, Site};
use crate::support::{Running, have, is_root, lvsmon_path, skip, wait_until};

/// A user that owns no process but ours: the limit counts all of a user's threads.
const USER: u32 = 61_234;

/// Whether these tests can be run: only root can be another user, and root has no such limit.
fn is_possible(test: &str) -> bool {
    let possible = is_root() && have("prlimit");
    if !possible {
        skip(test, "root and prlimit (util-linux)");
    }
    possible
}

/// A folder that belongs to that user, with a program that it may run.
fn site(user: u32) -> Site {
    let site = Site::new();
    let rules = "command section\nlist: all\nsavestate: all\n";
    site.folder.write("auth.cf", rules);
    fs::copy(lvsmon_path(), site.folder.join("lvsmon")).unwrap();
    give(site.folder.path(), user);
    site
}

fn give(path: &Path, user: u32) {
    chown(path, Some(user), Some(user)).unwrap();
    if path.is_dir() {
        for entry in fs::read_dir(path).unwrap() {
            give(&entry.unwrap().path(), user);
        }
    }
}

/// Starts a command of that user; what it says is in the file `stderr`.
fn start(site: &Site, user: u32, program: &str, words: &[&str]) -> Running {
    let log = fs::File::create(site.folder.join("stderr")).unwrap();
    let mut command = Command::new(program);
    command.args(words).stdin(Stdio::null()).stderr(log);
    command.env_remove("LVSMON_LOG").uid(user).gid(user);
    Running::start(&mut command)
}

/// Starts `lvsmon mon` as that user.
fn start_mon(site: &Site, user: u32) -> Running {
    let program = site.folder.join("lvsmon");
    let config = site.folder.join("mon.cf");
    let words = ["mon", "-c", config.to_str().unwrap()];
    start(site, user, program.to_str().unwrap(), &words)
}

fn limit(daemon: &Running, user: u32, processes: &str) {
    let status = Command::new("prlimit")
        .arg(format!("--pid={}", daemon.0.id()))
        .arg(format!("--nproc={processes}"))
        // Its own user may do so in a container too.
        .uid(user)
        .gid(user)
        .status();
    assert!(status.unwrap().success());
}

#[test]
fn what_needs_a_thread_waits_for_one_and_the_daemon_goes_on() {
    if !is_possible("what_needs_a_thread_waits_for_one_and_the_daemon_goes_on") {
        return;
    }
    let site = site(USER);
    let mut daemon = start_mon(&site, USER);
    site.wait_for_run_from("mon.d");
    limit(&daemon, USER, "1:");
    daemon.signal(Signal::SIGHUP);
    site.wait_for_text("stderr", "configuration reloaded");
    let mut client = Client::connect(&site);
    let refused = client.ask("savestate all").swap_remove(0);
    assert!(refused.starts_with("520 "), "{refused}");
    assert!(refused.contains("limit of processes"), "{refused}");
    site.wait_for_text("stderr", "the limit of processes is reached");
    let state = Client::connect(&site).ask("list state").swap_remove(0);
    assert_eq!(state, "scheduler running");
    limit(&daemon, USER, "100:");
    wait_until("the file that waited for a thread", SOON, || {
        site.folder.read("state/opstatus").starts_with("group=web")
    });
    assert_eq!(client.ask("savestate all"), ["220 savestate completed"]);
    assert!(site.folder.read("state/opstatus").starts_with("group=web"));
    daemon.signal(Signal::SIGTERM);
    assert_eq!(daemon.wait(SOON).code(), Some(0));
}

#[test]
fn a_start_that_gets_no_thread_ends_with_words() {
    if !is_possible("a_start_that_gets_no_thread_ends_with_words") {
        return;
    }
    let user = USER + 1;
    let site = site(user);
    let program = site.folder.join("lvsmon");
    let config = site.folder.join("mon.cf");
    // With each more it comes a step further: its runtime, the log, the traps, the table.
    for processes in ["--nproc=1", "--nproc=2", "--nproc=3", "--nproc=4"] {
        let words = [
            processes,
            program.to_str().unwrap(),
            "mon",
            "-c",
            config.to_str().unwrap(),
        ];
        let mut daemon = start(&site, user, "prlimit", &words);
        assert_eq!(daemon.wait(SOON).code(), Some(1), "{processes}");
        let log = site.folder.read("stderr");
        assert!(log.contains("temporarily unavailable"), "{log}");
        assert!(!log.contains("panicked"), "{log}");
    }
}

/// An alert that writes down its kind and summary.
const TOLD: &str = "#!/bin/sh\nread -r line\necho \"$MON_ALERTTYPE $line\" >>\"${0%/*}/told\"\n";

/// A service whose failures and successes go to that alert, the monitor being this script.
fn tell(site: &Site, monitor: &str) {
    site.folder.write_executable("alert.d/told.alert", TOLD);
    site.folder.write_executable("mon.d/told.monitor", monitor);
    let mut file = site.folder.read("mon.cf");
    file += " service told\n  interval 0.2s\n  monitor told.monitor\n  period P: wd {Sun-Sat}\n   \
             alert told.alert\n   upalert told.alert\n   alertevery 1h\n";
    site.folder.write("mon.cf", file);
}

/// Somebody writes the file of that alert: it cannot be started.
fn writing(site: &Site) -> fs::File {
    let mut options = fs::OpenOptions::new();
    let file = site.folder.join("alert.d/told.alert");
    options.append(true).open(file).unwrap()
}

#[test]
fn an_alert_that_gets_no_process_is_run_once_there_is_room_and_before_the_next() {
    if !is_possible("an_alert_that_gets_no_process_is_run_once_there_is_room_and_before_the_next") {
        return;
    }
    let user = USER + 2;
    let site = site(user);
    tell(&site, "#!/bin/sh\n");
    give(site.folder.path(), user);
    let mut daemon = start_mon(&site, user);
    site.wait_for_run_from("mon.d");
    limit(&daemon, user, "1:");
    site.wait_for_text("stderr", "alert program not started yet");
    limit(&daemon, user, "100:");
    site.wait_for_text("alert.d/told", "up ");
    let told = site.folder.read("alert.d/told");
    let first = told.lines().next().unwrap();
    assert!(first.starts_with("failure"), "{told}");
    let log = site.folder.read("stderr");
    assert!(log.contains("the limit of processes is reached"), "{log}");
    assert!(log.contains("alert program run at last"), "{log}");
    assert!(!log.contains("alert given up"), "{log}");
    daemon.signal(Signal::SIGTERM);
    assert_eq!(daemon.wait(SOON).code(), Some(0));
}

#[test]
fn an_alert_whose_file_is_being_written_is_run_when_it_is_complete() {
    let site = Site::new();
    tell(&site, "#!/bin/sh\necho down\nexit 1\n");
    let writer = writing(&site);
    let mut daemon = site.start([]);
    site.wait_for_text("stderr", "alert program not started yet");
    drop(writer);
    site.wait_for_text("alert.d/told", "failure down");
    assert!(!site.folder.read("stderr").contains("given up"));
    daemon.signal(Signal::SIGTERM);
    assert_eq!(daemon.wait(SOON).code(), Some(0));
}

/// An alert that cannot be started, since its file is being written, waits in the spool over this
/// end of the daemon, and is run once by the next one: with its arguments, its variables and its
/// input.
fn an_alert_outlives(end: Signal) {
    let site = Site::new();
    tell(&site, "#!/bin/sh\necho down\nexit 1\n");
    site.folder.write_executable(
        "alert.d/told.alert",
        "#!/bin/sh\nread -r line\necho \"$MON_ALERTTYPE $2 $line\" >>\"${0%/*}/told\"\n",
    );
    let writer = writing(&site);
    let mut daemon = site.start([]);
    site.wait_for_text("stderr", "alert program not started yet");
    let spool = site.folder.join("state/spool");
    // Not one that is still being written.
    let is_whole = |entry: &fs::DirEntry| entry.path().extension().is_some_and(|it| it == "json");
    let kept = || {
        let entries = fs::read_dir(&spool).into_iter().flatten().flatten();
        entries.filter(is_whole).count()
    };
    wait_until(
        "the call in the spool, and that it was sent in the journal",
        SOON,
        || {
            kept() == 1
                && site
                    .folder
                    .read("state/journal")
                    .contains("\"alert_sent\":1")
        },
    );
    daemon.signal(end);
    daemon.wait(SOON);
    let log = site.folder.read("stderr");
    assert!(!log.contains("given up"), "{log}");
    drop(writer);
    assert_eq!(kept(), 1);
    let mut daemon = site.start([]);
    site.wait_for_text("alert.d/told", "down\n");
    wait_until("an empty spool", SOON, || kept() == 0);
    daemon.signal(Signal::SIGTERM);
    assert_eq!(daemon.wait(SOON).code(), Some(0));
    // The third one has nothing to call.
    let mut daemon = site.start([]);
    site.wait_for_text("stderr", "daemon started");
    daemon.signal(Signal::SIGTERM);
    assert_eq!(daemon.wait(SOON).code(), Some(0));
    assert_eq!(site.folder.read("alert.d/told"), "failure told down\n");
}

#[test]
fn an_alert_that_could_not_be_started_is_called_by_the_next_start_after_a_stop() {
    an_alert_outlives(Signal::SIGTERM);
}

#[test]
fn an_alert_that_could_not_be_started_is_called_by_the_next_start_after_a_crash() {
    an_alert_outlives(Signal::SIGKILL);
}
