//! What a daemon keeps for people and for mon's tools: histories, the downtime log, state files.

use std::fs;

use nix::sys::signal::Signal;

use super::{SOON, Site};
use crate::support::{TempDir, wait_until};

/// Fails with a summary while the file `bad` is there; notes its hosts.
const SWITCH: &str = "#!/bin/sh\necho \"$*\" >>\"$MON_LOGDIR/hosts\"\n\
                      [ -e \"$MON_LOGDIR/bad\" ] || exit 0\necho 'web1 is bad'\nexit 3\n";

/// A service that fails on demand, an alert that does nothing, and these settings.
fn site(lines: &str) -> Site {
    let site = Site::new();
    let folder = &site.folder;
    folder.write_executable("mon.d/switch.monitor", SWITCH);
    folder.write_executable("alert.d/own.alert", "#!/bin/sh\nexit 0\n");
    site.configure(lines);
    let text = folder.read("mon.cf");
    let rest = "  monitor switch.monitor\n  period\n   alert own.alert ops \"two words\"\n   upalert own.alert ops\n";
    let text = text.replace("hostgroup web web1\n", "hostgroup web web1 web2\n");
    folder.write("mon.cf", text.replace("  monitor where.monitor\n", rest));
    site
}

fn lines(folder: &TempDir, name: &str) -> Vec<String> {
    folder.read(name).lines().map(str::to_owned).collect()
}

#[test]
fn alert_calls_and_outages_are_on_disk_in_mons_form() {
    let site = site("historicfile = history\ndtlogging = yes\ndtlogfile = down");
    let folder = &site.folder;
    folder.write("log/bad", "");
    let mut daemon = site.start([]);
    site.wait_for_text("log/history", "alert web http ");
    fs::remove_file(folder.join("log/bad")).unwrap();
    site.wait_for_text("log/history", "upalert web http ");
    site.wait_for_text("log/down", " web http ");
    daemon.signal(Signal::SIGTERM);
    assert_eq!(daemon.wait(SOON).code(), Some(0));

    let history = lines(folder, "log/history");
    let program = folder.join("alert.d/own.alert");
    let words: Vec<&str> = history[0].splitn(5, ' ').collect();
    assert_eq!(words[..3], ["alert", "web", "http"]);
    assert!(
        words[3].parse::<i64>().unwrap() > 1_700_000_000,
        "{words:?}"
    );
    let expected = format!("{} (ops \"two words\") web1 is bad", program.display());
    assert_eq!(words[4], expected);

    let down = lines(folder, "log/down");
    assert!(
        down[..3].iter().all(|line| line.starts_with('#')),
        "{down:?}"
    );
    let words: Vec<&str> = down[3].splitn(7, ' ').collect();
    assert_eq!(
        (words[1], words[2], words[6]),
        ("web", "http", "web1 is bad")
    );
    let number = |index: usize| words[index].parse::<i64>().unwrap();
    assert_eq!(
        number(0) - number(3),
        number(4),
        "up, first failure, time down: {down:?}"
    );
    assert_eq!(down.len(), 4);
}

#[test]
fn a_disk_that_fails_is_named_once_and_holds_up_nothing() {
    let site = site("historicfile = gone/history\ndtlogging = yes\ndtlogfile = gone/down");
    let folder = &site.folder;
    let _daemon = site.start([]);
    for _ in 0..3 {
        let failures = || folder.read("stderr").matches("service down").count();
        let before = failures();
        folder.write("log/bad", "");
        wait_until("an outage", SOON, || failures() > before);
        let ups = || folder.read("stderr").matches("service up").count();
        let before = ups();
        fs::remove_file(folder.join("log/bad")).unwrap();
        wait_until("its end", SOON, || ups() > before);
    }
    let named = || folder.read("stderr").matches("cannot write a file").count();
    wait_until("both files to be named", SOON, || named() >= 2);
    assert_eq!(named(), 2, "{}", folder.read("stderr"));
    fs::create_dir(folder.join("log/gone")).unwrap();
    folder.write("log/bad", "");
    site.wait_for_text("stderr", "can be written again");
    // Not the upalert of before, which may be written only now: there is to be an outage.
    wait_until("the alert of a new outage", SOON, || {
        let lines = lines(folder, "log/gone/history");
        lines.iter().any(|line| line.starts_with("alert web http "))
    });
    fs::remove_file(folder.join("log/bad")).unwrap();
    site.wait_for_text("log/gone/down", " web http ");
    // What no start could write.
    let down = lines(folder, "log/gone/down");
    let is_head: Vec<bool> = down.iter().map(|line| line.starts_with('#')).collect();
    assert_eq!(is_head[..4], [true, true, true, false], "{down:?}");
}

#[test]
fn what_is_disabled_in_mons_state_file_is_loaded_where_that_is_asked_for() {
    let all = ("web1 web2", &[][..]);
    let one = ("web1", &["-l"][..]);
    let both = ("web1", &["--loadstate", "all"][..]);
    for (hosts, words) in [all, one, both] {
        let site = site("");
        // Of another configuration, but for one line.
        let text =
            "disable host web2\ndisable host other\ndisable watch gone\ndisable service web gone\n";
        site.folder.write("state/disabled", text);
        let _daemon = site.start(words.iter().copied());
        site.wait_for_text("log/hosts", "web1");
        assert_eq!(lines(&site.folder, "log/hosts")[0], hosts, "{words:?}");
    }
}

#[test]
fn lines_of_disabled_that_mean_nothing_are_named_and_the_others_count() {
    let site = site("");
    let text = "enable host web1\ndisable host web2\nlvsmon was here\n";
    site.folder.write("state/disabled", text);
    let _daemon = site.start(["-l"]);
    site.wait_for_text("log/hosts", "web1");
    assert_eq!(lines(&site.folder, "log/hosts")[0], "web1");
    let path = site.folder.join("state/disabled");
    let named = format!("path={} lines=2 first=1", path.display());
    site.wait_for_text("stderr", &named);
    assert_eq!(fs::read_to_string(path).unwrap(), text);
}

#[test]
fn a_state_file_that_is_cut_swapped_or_no_text_is_named_and_the_daemon_starts_without_it() {
    let opstatus = "group=web\tservice=http\top_status=0\n";
    let cases: [(&str, &[u8], &str); 6] = [
        ("disabled", b"disable host web2", "cut off"),
        ("opstatus", opstatus.trim_end().as_bytes(), "cut off"),
        ("opstatus", b"\x7fELF\0\xff\n", "no text"),
        ("disabled", opstatus.as_bytes(), "line 1"),
        ("disabled", b"\x7fELF\0\xff\n", "no text"),
        ("opstatus", b"disable host web2\n", "line 1"),
    ];
    for (name, bytes, why) in cases {
        let site = site("");
        site.folder.write(&format!("state/{name}"), bytes);
        let mut daemon = site.start(["-l", "all"]);
        site.wait_for_text("log/hosts", "web1 web2");
        let log = site.folder.read("stderr");
        let said = log
            .lines()
            .find(|line| line.contains("state file not used"));
        let said = said.unwrap_or_else(|| panic!("{name}: {log}"));
        assert!(
            said.contains(&format!("state/{name}")) && said.contains(why),
            "{said}"
        );
        assert!(daemon.runs());
    }
}

#[test]
fn of_a_spoiled_history_or_log_what_is_right_counts_and_the_rest_is_said_by_name() {
    let good = "alert web http 1795251344 /a/own.alert (ops) right\n";
    let cut = good.strip_suffix(" (ops) right\n").unwrap();
    let outage = "1795251344 web http 1795251338 6 30 was bad\n";
    let binary: &[u8] = b"\x7fELF\0\xff\xfe\n\0\0\n";
    let spoiled = [
        (binary, 2),
        (b"group=web\tservice=http\top_status=0\n", 1),
        (cut.as_bytes(), 1),
    ];
    for (bytes, count) in spoiled {
        let site = site("historicfile = history\ndtlogging = yes\ndtlogfile = down");
        let folder = &site.folder;
        folder.write("log/history", [good.as_bytes(), bytes].concat());
        let head = b"# a head\n";
        folder.write("log/down", [head, outage.as_bytes(), bytes].concat());
        let mut daemon = site.start(["-l", "all"]);
        site.wait_for_text("log/hosts", "web1 web2");
        assert!(daemon.runs());
        let kept = fs::read(folder.join("log/history")).unwrap();
        assert!(kept.ends_with(bytes), "a file that is read is left alone");
        let mut client = super::clients::Client::connect(&site);
        let listed = client.ask("list alerthist");
        assert!(listed[0].ends_with("right"), "{listed:?}");
        assert_eq!(listed.len(), 2, "{listed:?}");
        site.wait_for_text("log/down", "downtime log, begun");
        // The second one asks for what was said already.
        for _ in 0..2 {
            let listed = client.ask("list dtlog");
            assert_eq!(
                listed,
                [outage.trim_end(), "220 list dtlog completed"],
                "a cut line spoils no head either"
            );
        }
        for (name, first) in [("log/history", 2), ("log/down", 3)] {
            let named = format!(
                "path={} lines={count} first={first}",
                folder.join(name).display()
            );
            site.wait_for_text("stderr", &named);
        }
        let log = folder.read("stderr");
        assert_eq!(log.matches("no lines of such a file").count(), 2, "{log}");
    }
}

#[test]
fn a_line_that_was_cut_off_at_the_end_of_a_history_costs_no_later_one() {
    let site = site("historicfile = history");
    let folder = &site.folder;
    folder.write("log/history", "alert web http 17952");
    folder.write("log/bad", "");
    let _daemon = site.start([]);
    site.wait_for_text("log/history", "web1 is bad");
    let history = lines(folder, "log/history");
    assert_eq!(history[0], "alert web http 17952");
    assert!(history[1].starts_with("alert web http "), "{history:?}");
}

#[test]
fn a_journal_that_is_another_file_is_set_aside_by_name_and_the_checks_begin() {
    let others = [
        "disable host web2\n",
        "group=web\tservice=http\top_status=0\n",
    ];
    for text in others {
        let site = site("");
        site.folder.write("state/journal", text);
        let _daemon = site.start([]);
        site.wait_for_text("log/hosts", "web1 web2");
        site.wait_for_text("stderr", "state/journal.aside-1");
        assert_eq!(site.folder.read("state/journal.aside-1"), text);
    }
}

#[test]
fn a_field_of_a_state_file_that_makes_no_sense_is_named_in_the_log() {
    let site = site("");
    let text =
        "group=web\tservice=http\top_status=1\tack=soon\ngroup=gone\tservice=http\top_status=1\n";
    site.folder.write("state/opstatus", text);
    let _daemon = site.start(["-l", "opstatus"]);
    wait_until("both lines", SOON, || {
        let log = site.folder.read("stderr");
        log.matches("left out of the state file").count() >= 2
    });
    let log = site.folder.read("stderr");
    for words in [
        ["web/http", "ack", "soon"],
        ["gone/http", "no such service", ""],
    ] {
        let named = |line: &str| words.iter().all(|word| line.contains(word));
        assert!(log.lines().any(named), "{log}");
    }
}
