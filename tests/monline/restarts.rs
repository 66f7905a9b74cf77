//! `-l` beside a journal: mon's files, however old, take nothing from what the journal knows.

use std::fs;

use nix::sys::signal::Signal;

use super::clients::Client;
use super::{SOON, Site};
use crate::support::{Running, wait_until};

/// A service that fails while the file `bad` is there, alerts at most once in an hour and says
/// in `log/alerts` what it was called for.
fn site() -> Site {
    let site = Site::new();
    let folder = &site.folder;
    let log = folder.join("log");
    let log = log.display();
    let monitor = format!("#!/bin/sh\necho run >>{log}/runs\n[ ! -e {log}/bad ] || exit 1\n");
    folder.write_executable("mon.d/switch.monitor", monitor);
    let alert = format!("#!/bin/sh\necho \"$MON_ALERTTYPE\" >>{log}/alerts\n");
    folder.write_executable("alert.d/own.alert", alert);
    folder.write("auth.cf", "command section\nlist: all\nsavestate: all\nack: all\nstop: all\ndisable: all\nloadstate: all\n");
    site.configure("");
    let text = folder.read("mon.cf");
    let rest = "  monitor switch.monitor\n  period\n   alertevery 1h\n   alert own.alert\n   upalert own.alert\n";
    let text = text.replace("hostgroup web web1\n", "hostgroup web web1 web2\n");
    folder.write("mon.cf", text.replace("  monitor where.monitor\n", rest));
    site
}

fn end(mut daemon: Running, signal: Signal) {
    daemon.signal(signal);
    daemon.wait(SOON);
}

/// Waits until the monitor was begun twice more: what the first of the two runs found is known.
fn wait_for_runs(site: &Site) {
    let runs = || site.folder.read("log/runs").lines().count();
    let before = runs();
    wait_until("two more runs", SOON, || runs() >= before + 2);
}

fn alerts(site: &Site) -> Vec<String> {
    let alerts = site.folder.read("log/alerts");
    alerts.lines().map(str::to_owned).collect()
}

#[test]
fn an_older_opstatus_repeats_no_alert_and_takes_no_upalert_away() {
    let site = site();
    let daemon = site.start(["-l", "all"]);
    site.wait_for_text("log/runs", "run");
    wait_for_runs(&site);
    let saved = Client::connect(&site).ask("savestate all");
    assert_eq!(saved, ["220 savestate completed"]);
    let bad = site.folder.write("log/bad", "");
    site.wait_for_text("log/alerts", "failure");
    end(daemon, Signal::SIGTERM);

    let daemon = site.start(["-l", "all"]);
    wait_for_runs(&site);
    end(daemon, Signal::SIGTERM);
    assert_eq!(alerts(&site), ["failure"]);

    // It recovers while no daemon runs.
    fs::remove_file(bad).unwrap();
    let _daemon = site.start(["-l", "all"]);
    wait_for_runs(&site);
    site.wait_for_text("log/alerts", "up");
    assert_eq!(alerts(&site), ["failure", "up"]);
    site.wait_for_text("stderr", "the journal is newer");
}

#[test]
fn an_ack_a_stop_and_what_is_disabled_come_back_with_l_all_whatever_was_saved() {
    let site = site();
    site.folder.write("log/bad", "");
    let daemon = site.start([]);
    site.wait_for_text("log/alerts", "failure");
    let mut client = Client::connect(&site);
    assert_eq!(client.ask("savestate all"), ["220 savestate completed"]);
    client.ask("ack web http mine");
    client.ask("disable host web2");
    client.ask("stop");
    end(daemon, Signal::SIGTERM);

    let daemon = site.start(["-l", "all"]);
    let mut client = Client::connect(&site);
    let state = client.ask("list state").swap_remove(0);
    assert!(state.starts_with("scheduler stopped"), "{state}");
    let disabled = client.ask("list disabled").swap_remove(0);
    assert_eq!(disabled, "group web: web2");
    let failures = client.ask("list failures").swap_remove(0);
    assert!(failures.contains("mine"), "{failures}");
    // A person may have the file's word all the same.
    assert_eq!(client.ask("loadstate all"), ["220 loadstate completed"]);
    let failures = client.ask("list failures").swap_remove(0);
    assert!(!failures.contains("mine"), "{failures}");
    end(daemon, Signal::SIGTERM);

    // As with mon, nothing of it without that word.
    let _daemon = site.start([]);
    let state = Client::connect(&site).ask("list state").swap_remove(0);
    assert_eq!(state, "scheduler running");
}
