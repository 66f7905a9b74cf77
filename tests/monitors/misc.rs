//! `misc`: programs of keepalived's MISC_CHECK, as shell scripts.

use std::path::PathBuf;

use lvsmon::engine::event::{HostVerdict, Reason, Report};
use lvsmon::lvs::GivenWeight;

use super::{check, exit, summary, text};
use crate::support::{TempDir, lvsmon};

/// A program that ends with the number in the host's name, and says what it was called with.
fn script(folder: &TempDir) -> PathBuf {
    folder.write_executable(
        "check_shop",
        "#!/bin/sh\n\
         printf 'asked %s about %s\\n' \"$1\" \"$2\"\n\
         case $2 in slow) exec sleep 1000 ;; killed) kill -9 $$ ;; esac\n\
         exit \"${2#h}\"\n",
    )
}

fn misc(options: &[&str], program: &str, hosts: &[&str]) -> Report {
    let args = [options, &["--", program, "a b", "%h"]].concat();
    check("misc.monitor", &args, hosts)
}

fn found(report: &Report) -> Vec<(&str, HostVerdict, Option<GivenWeight>)> {
    let results = report.hosts.iter();
    results
        .map(|one| (one.host.as_str(), one.verdict, one.weight))
        .collect()
}

#[test]
fn with_d_an_exit_value_above_one_is_a_weight() {
    let folder = TempDir::new();
    let script = script(&folder);
    let program = script.to_str().expect("text");
    let hosts = ["h0", "h1", "h2", "h12", "h255"];
    let report = misc(&["-d"], program, &hosts);
    let weight = |weight| Some(GivenWeight::Absolute(weight));
    assert_eq!(
        found(&report),
        [
            ("h0", HostVerdict::Up, None),
            ("h1", HostVerdict::Down(Reason::Exit), None),
            ("h2", HostVerdict::Up, weight(0)),
            ("h12", HostVerdict::Up, weight(10)),
            ("h255", HostVerdict::Up, weight(253)),
        ]
    );
    assert_eq!((exit(&report), summary(&report).as_str()), (1, "h1"));
    assert!(
        text(&report).contains("h12 exit 12: weight 10\n    asked a b about h12\n"),
        "{}",
        text(&report)
    );
    // All but h1 are good: the service is.
    let report = misc(&["-d"], program, &["h2", "h12"]);
    assert_eq!((exit(&report), summary(&report).as_str()), (0, ""));
}

#[test]
fn without_d_every_exit_value_but_zero_is_a_failure() {
    let folder = TempDir::new();
    let script = script(&folder);
    let report = misc(&[], script.to_str().expect("text"), &["h0", "h2"]);
    assert_eq!(
        found(&report),
        [
            ("h0", HostVerdict::Up, None),
            ("h2", HostVerdict::Down(Reason::Exit), None),
        ]
    );
    assert_eq!((exit(&report), summary(&report).as_str()), (1, "h2"));
}

#[test]
fn a_program_without_a_place_for_the_host_speaks_of_each_all_the_same() {
    let folder = TempDir::new();
    let script = script(&folder);
    let program = script.to_str().expect("text");
    let report = check("misc.monitor", &["-d", "--", program, "x", "h9"], &["web1"]);
    let weight = Some(GivenWeight::Absolute(7));
    assert_eq!(found(&report), [("web1", HostVerdict::Up, weight)]);
}

#[test]
fn a_hanging_program_fails_its_host_and_one_that_cannot_work_says_nothing() {
    let folder = TempDir::new();
    let script = script(&folder);
    let program = script.to_str().expect("text");
    let report = misc(&["-d", "-t", "0.3"], program, &["slow", "killed"]);
    assert_eq!(
        found(&report),
        [
            ("slow", HostVerdict::Down(Reason::Timeout), None),
            ("killed", HostVerdict::Unknown(Reason::Signal), None),
        ]
    );
    let report = misc(&[], "/no/such/program", &["h0"]);
    assert_eq!(
        found(&report),
        [("h0", HostVerdict::Unknown(Reason::Exit), None)]
    );
    assert_eq!(exit(&report), 1);
}

#[test]
fn a_trial_takes_a_whole_line_with_hosts_and_shows_weights() {
    let folder = TempDir::new();
    let script = script(&folder);
    let program = script.to_str().expect("text");
    let words = [
        "try",
        "misc.monitor",
        "-d",
        "--",
        program,
        "x",
        "%h",
        "--",
        "h12",
    ];
    let tried = lvsmon(words).output().expect("it runs");
    let shown = String::from_utf8_lossy(&tried.stdout).into_owned();
    assert!(shown.contains("h12 up, weight 10: exit 12"), "{shown}");
}
