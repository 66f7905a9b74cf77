//! `lvsmon why`: what the daemon says of one service.

use std::fs::File;
use std::process::{Output, Stdio};
use std::time::Duration;

use serde_json::Value;

use crate::support::{Running, TempDir, free_port, free_udp_port, lvsmon, wait_for, wait_until};

/// Limit of everything that should happen within a second; far more, for busy machines.
const SOON: Duration = Duration::from_secs(20);

/// A daemon with one service, whose monitor fails while the file `broken` is there.
struct Bench {
    folder: TempDir,
    daemon: Option<Running>,
}

impl Bench {
    fn start(rules: &str) -> Self {
        let folder = TempDir::new();
        let path = folder.path().display().to_string();
        folder.write_executable(
            "mon.d/own.monitor",
            format!(
                "#!/bin/sh\n[ -e {path}/broken ] || exit 0\necho h2\necho since then\nexit 3\n"
            ),
        );
        folder.write_executable(
            "alert.d/own.alert",
            format!("#!/bin/sh\necho \"$MON_ALERTTYPE\" >>{path}/alerts\n"),
        );
        folder.write_executable(
            "alert.d/bad.alert",
            "#!/bin/sh\necho no paper >&2\nexit 7\n",
        );
        folder.write(
            "mon.cf",
            format!(
                "statedir = {path}/state\nmondir = {path}/mon.d\nalertdir = {path}/alert.d\n\
                 serverport = {}\ntrapport = {}\nipvs_backend = memory\n\n\
                 hostgroup web h1 h2\n\nwatch web\n    service http\n\tinterval 0.2s\n\t\
                 description The shop\n\tmonitor own.monitor\n{rules}    service idle\n\tinterval 1h\n\t\
                 monitor own.monitor\n",
                free_port(),
                free_udp_port(),
            ),
        );
        std::fs::create_dir(folder.join("state")).unwrap();
        let log = File::create(folder.join("log")).unwrap();
        let mut command = lvsmon(["run", "--config"]);
        command.arg(folder.join("mon.cf"));
        command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log);
        let daemon = Some(Running::start(&mut command));
        let bench = Self { folder, daemon };
        wait_until("the daemon's socket", SOON, || {
            bench.folder.join("state/control").exists()
        });
        bench
    }

    fn output(&self, words: &[&str]) -> Output {
        let mut command = lvsmon(["why", "--config"]);
        let command = command.arg(self.folder.join("mon.cf")).args(words);
        command.output().expect("lvsmon runs")
    }

    /// The exit status and the answer.
    #[track_caller]
    fn ask(&self) -> (i32, Value) {
        let output = self.output(&["--json", "web/http"]);
        let said = serde_json::from_slice(&output.stdout);
        let said = said.unwrap_or_else(|error| {
            panic!("{error}: {output:?}\n{}", self.folder.read("log"));
        });
        (output.status.code().expect("an exit status"), said)
    }

    #[track_caller]
    fn wait_for(&self, what: &str, found: impl Fn(&Value) -> bool) -> Value {
        wait_for(what, SOON, || {
            let (_, said) = self.ask();
            found(&said).then_some(said)
        })
    }

    fn break_it(&self) {
        self.folder.write("broken", "");
    }

    fn mend_it(&self) {
        std::fs::remove_file(self.folder.join("broken")).unwrap();
    }
}

fn list<'a>(said: &'a Value, name: &str) -> &'a [Value] {
    said[name].as_array().map_or(&[], Vec::as_slice)
}

#[test]
fn a_failure_is_told_with_its_results_and_the_alerts_that_were_held_back() {
    let rules = "\tperiod first: wd {Sun-Sat}\n\t    alertevery 1h\n\t    alert own.alert\n\t    \
                 upalert own.alert\n\tperiod later: wd {Sun-Sat}\n\t    alertafter 100000\n\t    \
                 alert own.alert\n\tperiod never: none\n\t    alert own.alert\n\tperiod sunday: wd {Sun}\n\t    \
                 alertafter 100000\n\t    alert own.alert\n\tperiod workday: wd {Mon-Sat}\n\t    \
                 alertafter 100000\n\t    alert own.alert\n";
    let bench = Bench::start(rules);
    bench.wait_for("a good result", |said| said["service"]["status"] == "ok");
    let (code, good) = bench.ask();
    assert_eq!((code, list(&good, "results").len()), (0, 0), "{good}");
    bench.break_it();
    let said = bench.wait_for("a failure that was held back more than once", |said| {
        list(said, "held_back").iter().any(|row| {
            row["rule"] == "alertevery" && row["count"].as_u64().is_some_and(|count| count > 1)
        }) && said["alerts"][0]["delivery"] == "delivered"
    });
    assert_eq!(bench.ask().0, 1);
    let result = &list(&said, "results")[0];
    assert_eq!(
        (&result["exit"], &result["reason"]),
        (&3.into(), &"exit".into())
    );
    assert!(
        result["count"].as_u64() > Some(1),
        "equal results are one: {said}"
    );
    assert_eq!(list(&said, "alerts").len(), 1, "{said}");
    assert_eq!(said["alerts"][0]["period"], "first");
    let held = |rule: &str| {
        let rows = list(&said, "held_back").iter();
        let text = rows.clone().find(|row| row["rule"] == rule);
        text.unwrap_or_else(|| panic!("no {rule} in {said}"))["text"]
            .as_str()
            .unwrap()
    };
    let left = held("alertevery").ends_with("; 1h left");
    assert!(left || held("alertevery").contains("59m"), "{said}");
    assert!(held("alertafter").contains("of 100000 failures"), "{said}");
    assert_eq!(held("period"), "the period did not hold");
    let periods: Vec<_> = list(&said, "periods")
        .iter()
        .map(|row| &row["holds"])
        .collect();
    assert_eq!(periods[..3], [true, true, false]);
    assert_eq!(said["service"]["hosts"][1]["verdict"], "down");

    let text = String::from_utf8(bench.output(&["web/http"]).stdout).unwrap();
    for part in [
        "web/http is fail since ",
        "The shop",
        "| since then",
        "h2 down (exit)",
        "first: in force",
        "never: never",
        // One of the two holds on each day.
        "day: in force until ",
        "day: not now, next from ",
        "failure by own.alert of period first, delivered: h2",
        "alertevery: too soon",
    ] {
        assert!(text.contains(part), "no {part:?} in\n{text}");
    }
    assert!(!text.contains('\u{1b}'), "no colours in a pipe");

    bench.mend_it();
    let said = bench.wait_for("the recovery", |said| list(said, "alerts").len() == 2);
    assert_eq!(said["alerts"][1]["kind"], "up");
    let results = list(&said, "results");
    assert_eq!(results.last().unwrap()["status"], "ok", "{said}");
    assert_eq!(bench.ask().0, 0);
}

#[test]
fn an_alert_that_failed_is_told_with_the_reason() {
    let bench = Bench::start("\tperiod\n\t    numalerts 1\n\t    alert bad.alert\n");
    bench.break_it();
    let said = bench.wait_for("an alert that was given up", |said| {
        said["alerts"][0]["delivery"]["given_up"].is_string()
    });
    let why = said["alerts"][0]["delivery"]["given_up"].as_str().unwrap();
    assert!(
        why.contains("exit value 7") && why.contains("no paper"),
        "{why}"
    );
}

#[test]
fn who_cannot_be_asked_or_is_not_known_is_exit_status_3() {
    let mut bench = Bench::start("");
    for (words, code, expected) in [
        (&["web"][..], 3, "a service is named GROUP/SERVICE"),
        (&[], 2, "required"),
        (&["web/nix"], 3, "it has http, idle"),
        (&["nix/http"], 3, "no watch \"nix\""),
    ] {
        let output = bench.output(words);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(code), "{said}");
        assert!(said.contains(expected), "{said}");
    }
    // A service that was not tested yet is not a failing one.
    assert_eq!(bench.output(&["web/idle"]).status.code(), Some(0));
    bench.daemon = None;
    let output = bench.output(&["web/http"]);
    assert_eq!(output.status.code(), Some(3));
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains("no daemon answers"), "{said}");
}
