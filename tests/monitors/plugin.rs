//! `plugin`: check plugins of the Nagios kind, real ones and shell scripts.

use std::path::Path;
use std::process::Command;

use lvsmon::engine::event::{Ended, HostVerdict, Reason, Report};

use super::peer::Peer;
use super::{check, exit, summary, text};
use crate::support::{TempDir, free_port, lvsmon, lvsmon_path, root, skip};

const GOOD: &str = "HTTP/1.0 200 OK\r\nServer: x\r\nContent-Length: 2\r\n\r\nok";

/// Whether the real plugins are here; says so where not.
fn have_plugins(test: &str) -> bool {
    let found = Path::new("/usr/lib/nagios/plugins/check_tcp").is_file();
    if !found {
        skip(test, "monitoring-plugins-basic");
    }
    found
}

/// A plugin that ends with the number in the host's name, and says what it was called with.
fn script(folder: &TempDir) -> String {
    let path = folder.write_executable(
        "check_script",
        "#!/bin/sh\n\
         printf 'said %s about %s | time=%ss\\n' \"$1\" \"$2\" \"${2#h}\"\n\
         printf 'more of %s\\n' \"$2\"\n\
         case $2 in slow) exec sleep 1000 ;; killed) kill -9 $$ ;; esac\n\
         exit \"${2#h}\"\n",
    );
    path.to_str().expect("text").to_owned()
}

fn plugin(args: &[&str], hosts: &[&str]) -> Report {
    check("plugin.monitor", args, hosts)
}

fn verdicts(report: &Report) -> Vec<(&str, HostVerdict)> {
    let results = report.hosts.iter();
    results
        .map(|one| (one.host.as_str(), one.verdict))
        .collect()
}

#[test]
fn exit_values_are_mapped_for_each_host_and_the_worst_counts() {
    let folder = TempDir::new();
    let script = script(&folder);
    let report = plugin(&["--", &script, "a b", "%h"], &["h3", "h2", "h1", "h0"]);
    assert_eq!(
        verdicts(&report),
        [
            ("h3", HostVerdict::Unknown(Reason::Exit)),
            ("h2", HostVerdict::Down(Reason::Exit)),
            ("h1", HostVerdict::Up),
            ("h0", HostVerdict::Up),
        ]
    );
    assert_eq!(exit(&report), 2);
    assert_eq!(
        text(&report),
        "h2 h3\n\n\
         h3 UNKNOWN: said a b about h3\n    more of h3\n    performance data: time=3s\n\
         h2 CRITICAL: said a b about h2\n    more of h2\n    performance data: time=2s\n\
         h1 WARNING: said a b about h1\n    more of h1\n    performance data: time=1s\n\
         h0 OK: said a b about h0\n    more of h0\n    performance data: time=0s\n"
    );
}

#[test]
fn a_warning_is_a_failure_only_where_the_line_says_so() {
    let folder = TempDir::new();
    let script = script(&folder);
    let report = plugin(&["--", &script, "x", "%h"], &["h1"]);
    assert_eq!((exit(&report), summary(&report).as_str()), (0, ""));
    let report = plugin(
        &["--warning-fails", "--", &script, "x", "%h"],
        &["h1", "h0"],
    );
    assert_eq!((exit(&report), summary(&report).as_str()), (1, "h1"));
    assert_eq!(
        verdicts(&report),
        [
            ("h1", HostVerdict::Down(Reason::Exit)),
            ("h0", HostVerdict::Up)
        ]
    );
}

#[test]
fn a_plugin_that_cannot_work_says_nothing_about_the_host() {
    let folder = TempDir::new();
    let script = script(&folder);
    let cases = [
        (script.as_str(), "slow", Reason::Limit, "no result within"),
        (&script, "killed", Reason::Signal, "killed by signal 9"),
        (&script, "h7", Reason::Exit, "exit value 7"),
        (
            "check_no_such_plugin",
            "h0",
            Reason::Exit,
            "name its folder with -d",
        ),
        ("/no/such/plugin", "h0", Reason::Exit, "No such file"),
    ];
    for (plugin_name, host, reason, words) in cases {
        let report = plugin(&["-t", "0.5", "--", plugin_name, "x", "%h"], &[host]);
        assert_eq!(verdicts(&report), [(host, HostVerdict::Unknown(reason))]);
        assert_eq!((exit(&report), summary(&report).as_str()), (3, host));
        assert!(text(&report).contains(words), "{}", text(&report));
    }
}

#[test]
fn no_more_run_at_once_than_the_line_allows() {
    let folder = TempDir::new();
    // Each counts those that run, itself included, and waits until it was seen by another one
    // or nobody can come any more.
    let script = folder.write_executable(
        "check_count",
        "#!/bin/sh\ncd \"${0%/*}\" || exit 3\nmkdir running.$1\nset -- \"$1\" running.*\n\
         echo $(($# - 1)) >>counts\ntry=0\n\
         while [ $(wc -l <counts) -lt 2 ] && [ $try -lt 200 ]; do sleep 0.05; try=$((try + 1)); done\n\
         rmdir \"running.$1\"\n",
    );
    let script = script.to_str().expect("text");
    let hosts: Vec<String> = (0..7).map(|number| format!("h{number}")).collect();
    let hosts: Vec<&str> = hosts.iter().map(String::as_str).collect();
    let report = plugin(&["-j", "2", "--", script, "%h"], &hosts);
    assert_eq!(exit(&report), 0, "{}", text(&report));
    let counts = folder.read("counts");
    assert_eq!(counts.lines().count(), 7, "{counts}");
    assert!(counts.lines().all(|count| ["1", "2"].contains(&count)));
    assert!(counts.contains('2'), "never two at once: {counts}");
}

#[test]
fn a_command_without_a_place_for_the_host_runs_once_for_the_group() {
    let folder = TempDir::new();
    let script = script(&folder);
    let report = plugin(&["--", &script, "x", "h2"], &["web1", "web2"]);
    assert_eq!(exit(&report), 2);
    assert!(report.hosts.is_empty());
    assert!(
        text(&report).starts_with("check_script\n\ncheck_script CRITICAL: said x about h2\n"),
        "{}",
        text(&report)
    );
    // With `;;` there is no host at all.
    let report = plugin(&["--", &script, "x", "h0"], &[]);
    assert_eq!((report.ended, report.hosts.len()), (Ended::Exited(0), 0));
    // With a place for it and no host there is nothing to do.
    let report = plugin(&["--", &script, "x", "%h"], &[]);
    assert_eq!((exit(&report), text(&report).as_str()), (0, ""));
}

#[test]
fn alone_it_needs_the_end_of_the_command_and_says_the_same_as_in_process() {
    let folder = TempDir::new();
    let script = script(&folder);
    let wrong = lvsmon([
        "monitor", "plugin", "-t", "5", "--", &script, "x", "%h", "h2",
    ])
    .output()
    .expect("it runs");
    assert_eq!(wrong.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&wrong.stderr).contains("end the command with --"));
    let inside = plugin(&["-t", "5", "--", &script, "x", "%h", "--"], &["h2", "h0"]);
    let words = ["-t", "5", "--", &script, "x", "%h", "--", "h2", "h0"];
    for mut command in [
        lvsmon(["monitor", "plugin"]),
        Command::new(root().join("mon.d/plugin.monitor")),
    ] {
        let alone = command
            .args(words)
            .env("LVSMON", lvsmon_path())
            .output()
            .expect("it runs");
        assert_eq!(alone.status.code(), Some(2));
        assert_eq!(String::from_utf8_lossy(&alone.stdout), text(&inside));
    }
}

#[test]
fn the_real_plugins_tell_good_from_bad_and_give_performance_data() {
    if !have_plugins("the_real_plugins_tell_good_from_bad_and_give_performance_data") {
        return;
    }
    let web = Peer::answering(GOOD);
    let good = web.port();
    let closed = free_port().to_string();
    let http = |port: &str| {
        plugin(
            &["--", "check_http", "-H", "%h", "-p", port],
            &["127.0.0.1"],
        )
    };
    let report = http(&good);
    assert_eq!(exit(&report), 0, "{}", text(&report));
    assert!(
        text(&report).contains("127.0.0.1 OK: HTTP OK"),
        "{}",
        text(&report)
    );
    assert!(text(&report).contains("    performance data: time="));
    let report = http(&closed);
    assert_eq!((exit(&report), summary(&report).as_str()), (2, "127.0.0.1"));
    assert_eq!(report.hosts[0].verdict, HostVerdict::Down(Reason::Exit));

    for (port, expected) in [(&good, 0), (&closed, 2)] {
        let report = plugin(&["--", "check_tcp", "-H", "%h", "-p", port], &["127.0.0.1"]);
        assert_eq!(exit(&report), expected, "{}", text(&report));
    }
    for (state, expected) in [("0", 0), ("1", 0), ("2", 2), ("3", 3)] {
        let report = plugin(&["--", "check_dummy", state, "%h is so"], &["web1"]);
        assert_eq!(exit(&report), expected);
        assert!(text(&report).contains("web1 is so"), "{}", text(&report));
    }
    let ping = [
        "-t",
        "15",
        "--",
        "check_ping",
        "-H",
        "%h",
        "-w",
        "100,20%",
        "-c",
        "500,60%",
        "-p",
        "1",
    ];
    let report = plugin(&ping, &["127.0.0.1"]);
    assert_eq!(exit(&report), 0, "{}", text(&report));
    assert!(
        text(&report).contains("performance data: rta="),
        "{}",
        text(&report)
    );
}
