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
    folder.write("auth.cf", "command section\nlist: all\nsavestate: all\nack: all\nstop: all\ndisable: all\nenable: all\nloadstate: all\nreset: all\n");
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

/// What `list disabled` has, without its last line.
fn disabled(site: &Site) -> Vec<String> {
    let mut listed = Client::connect(site).ask("list disabled");
    assert_eq!(listed.pop().unwrap(), "220 list disabled completed");
    listed
}

#[test]
fn what_a_reset_enabled_is_not_disabled_again_by_an_older_file() {
    let site = site();
    let daemon = site.start([]);
    let mut client = Client::connect(&site);
    client.ask("disable service web http");
    site.wait_for_text("state/disabled", "disable service web http\n");
    client.ask("reset");
    assert_eq!(disabled(&site), [""; 0]);
    // As with mon, a client may have it again.
    assert!(site.folder.read("state/disabled").contains("web http"));
    end(daemon, Signal::SIGTERM);

    site.folder.write("log/bad", "");
    let _daemon = site.start(["-l", "all"]);
    assert_eq!(disabled(&site), [""; 0]);
    site.wait_for_text("log/alerts", "failure");
    site.wait_for_text("stderr", "the journal is newer");
    let loaded = Client::connect(&site).ask("loadstate disabled");
    assert_eq!(loaded, ["220 loadstate completed"]);
    assert_eq!(disabled(&site), ["watch web service http"]);
}

#[test]
fn what_a_start_without_l_forgot_no_later_one_finds_in_an_older_file() {
    for forgetting in [&[][..], &["-l", "opstatus"]] {
        let site = site();
        let daemon = site.start(["-l", "all"]);
        let mut client = Client::connect(&site);
        client.ask("disable service web http");
        client.ask("disable host web2");
        client.ask("disable watch web");
        site.wait_for_text("state/disabled", "disable watch web\n");
        end(daemon, Signal::SIGTERM);
        for words in [forgetting, &["-l"], &["-l", "all"]] {
            let daemon = site.start(words.iter().copied());
            assert_eq!(disabled(&site), [""; 0], "{words:?}");
            end(daemon, Signal::SIGTERM);
        }
    }
}

#[test]
fn what_was_acknowledged_before_a_reset_is_not_so_again_by_an_older_file() {
    // The file as lvsmon wrote it, and one that it has never seen.
    for foreign in ["", "# of mon's\n"] {
        let site = site();
        site.folder.write("log/bad", "");
        let daemon = site.start(["-l", "all"]);
        site.wait_for_text("log/alerts", "failure");
        let mut client = Client::connect(&site);
        client.ask("ack web http mine");
        assert_eq!(client.ask("savestate all"), ["220 savestate completed"]);
        let saved = site.folder.read("state/opstatus");
        assert!(saved.contains("mine"), "{saved}");
        site.folder.write("state/opstatus", saved + foreign);
        // Nothing is checked, and nothing known of the service, up to the next life.
        client.ask("reset stopped");
        end(daemon, Signal::SIGTERM);

        let _daemon = site.start(["-l", "all"]);
        let mut client = Client::connect(&site);
        let known = client.ask("list opstatus").swap_remove(0);
        assert!(known.contains(" opstatus=7 "), "{known}");
        assert!(!known.contains("mine"), "{known}");
        let loaded = client.ask("loadstate opstatus");
        assert_eq!(loaded, ["220 loadstate completed"]);
        let known = client.ask("list opstatus").swap_remove(0);
        assert!(known.contains("mine"), "{known}");
    }
}

#[test]
fn a_file_that_lvsmon_has_not_seen_yet_is_taken_at_the_first_start_with_l() {
    let site = site();
    site.folder.write("state/disabled", "disable watch web\n");
    // It was not asked for, and nothing is lost.
    for (words, expected) in [
        (&[][..], &[][..]),
        (&["-l", "opstatus"], &[]),
        (&["-l"], &["watch web"]),
        (&[], &[]),
        (&["-l"], &[]),
    ] {
        let daemon = site.start(words.iter().copied());
        assert_eq!(disabled(&site), expected, "{words:?}");
        end(daemon, Signal::SIGTERM);
    }
    // Somebody went back to mon for a while.
    site.folder.write("state/disabled", "disable host web2\n");
    let _daemon = site.start(["-l", "all"]);
    assert_eq!(disabled(&site), ["group web: web2"]);
}

#[test]
fn what_was_said_under_a_mon_that_one_went_back_to_counts_both_ways() {
    let site = site();
    site.folder.write("log/bad", "");
    let daemon = site.start(["-l", "all"]);
    let mut client = Client::connect(&site);
    client.ask("disable service web http");
    let text = "disable service web http\n";
    site.wait_for_text("state/disabled", text);
    client.ask("enable service web http");
    wait_until("an empty file", SOON, || {
        site.folder.read("state/disabled").is_empty()
    });
    site.wait_for_text("log/alerts", "failure");
    end(daemon, Signal::SIGTERM);

    // Byte for byte what lvsmon wrote before.
    site.folder.write("state/disabled", text);
    for is_new in [true, false] {
        let daemon = site.start(["-l", "all"]);
        assert_eq!(disabled(&site), ["watch web service http"]);
        let log = site.folder.read("stderr");
        let says = "disabled_names=\"service web/http\"";
        assert_eq!(log.contains(says), is_new, "{log}");
        assert_eq!(log.contains("the journal is newer"), !is_new, "{log}");
        end(daemon, Signal::SIGTERM);
    }
    site.folder.write("state/disabled", "");
    for is_new in [true, false] {
        let daemon = site.start(["-l", "all"]);
        assert_eq!(disabled(&site), [""; 0]);
        let log = site.folder.read("stderr");
        let says = "enabled_names=\"service web/http\"";
        assert_eq!(log.contains(says), is_new, "{log}");
        end(daemon, Signal::SIGTERM);
    }
}

#[test]
fn a_kill_right_behind_a_disable_keeps_all_that_was_disabled() {
    let site = site();
    let mut daemon = site.start(["-l", "all"]);
    for (wish, line) in [
        ("disable host web2", "disable host web2\n"),
        ("disable service web http", "disable service web http\n"),
    ] {
        Client::connect(&site).ask(wish);
        site.wait_for_text("state/disabled", line);
        end(daemon, Signal::SIGKILL);
        daemon = site.start(["-l", "all"]);
    }
    assert_eq!(
        disabled(&site),
        ["group web: web2", "watch web service http"]
    );
    end(daemon, Signal::SIGTERM);
}

#[test]
fn a_journal_that_was_emptied_is_newer_than_the_files_all_the_same() {
    let site = site();
    let _daemon = site.start([]);
    let mut client = Client::connect(&site);
    client.ask("disable service web http");
    let known = "state file disabled";
    site.wait_for_text("state/journal", known);
    fs::File::create(site.folder.join("state/journal")).unwrap();
    client.ask("stop");
    site.wait_for_text("state/journal", known);
}

#[test]
fn of_two_words_behind_l_the_second_is_passed_over_as_with_mon_and_the_log_says_so() {
    let site = site();
    let mut daemon = site.start([]);
    Client::connect(&site).ask("disable host web2");
    for (words, is_said) in [
        (["-l", "disabled", "opstatus"], true),
        (["-l", "disabled", "x"], false),
    ] {
        end(daemon, Signal::SIGTERM);
        daemon = site.start(words);
        assert_eq!(disabled(&site), ["group web: web2"]);
        let log = site.folder.read("stderr");
        assert_eq!(log.contains("passed_over=\"opstatus\""), is_said, "{log}");
    }
    end(daemon, Signal::SIGTERM);
}

/// A day, in the microseconds of the journal.
const DAY: i64 = 86_400_000_000;

/// Numbers beyond this are moments in microseconds since 1970, of 2001 and later.
const MOMENT_MIN: i64 = 1_000_000_000_000_000;

/// Moves every moment of the journal: the life that wrote it had a clock that was wrong by as much.
fn move_journal(site: &Site, by: i64) {
    let journal = site.folder.read("state/journal");
    let moved = journal.lines().map(|line| {
        let mut record: serde_json::Value = serde_json::from_str(line).unwrap();
        move_moments(&mut record, by);
        format!("{record}\n")
    });
    site.folder
        .write("state/journal", moved.collect::<String>());
}

fn move_moments(value: &mut serde_json::Value, by: i64) {
    if let Some(number) = value.as_i64().filter(|number| *number > MOMENT_MIN) {
        *value = (number + by).into();
    } else if let Some(fields) = value.as_object_mut() {
        fields
            .values_mut()
            .for_each(|field| move_moments(field, by));
    }
}

#[test]
fn a_life_with_a_wrong_clock_makes_the_next_one_repeat_no_alert() {
    let site = site();
    site.folder.write("log/bad", "");
    let daemon = site.start(["-l", "all"]);
    site.wait_for_text("log/alerts", "failure");
    end(daemon, Signal::SIGTERM);

    // Its clock was a day late, and is right now: the last alert was sent a moment ago.
    move_journal(&site, -DAY);
    for _ in 0..2 {
        let daemon = site.start(["-l", "all"]);
        wait_for_runs(&site);
        end(daemon, Signal::SIGTERM);
        assert_eq!(alerts(&site), ["failure"]);
    }

    // Without knowing the boot nobody can tell: a day ago it was, and an hour is over.
    let journal = site.folder.read("state/journal");
    let others = journal.lines().filter(|line| !line.contains("\"boot\""));
    let others: Vec<&str> = others.collect();
    site.folder.write("state/journal", others.join("\n") + "\n");
    move_journal(&site, -DAY);
    let _daemon = site.start(["-l", "all"]);
    wait_until("a second alert", SOON, || alerts(&site).len() == 2);
}
