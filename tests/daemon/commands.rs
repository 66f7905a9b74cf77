//! `check`, `table` and the small commands: output and exit codes.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::process::{Output, Stdio};

use serde_json::Value;

use super::farm::Farm;
use crate::support::{TempDir, lvsmon};

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[track_caller]
fn code(output: &Output, expected: i32) {
    assert_eq!(
        output.status.code(),
        Some(expected),
        "{}{}",
        text(&output.stdout),
        text(&output.stderr)
    );
}

#[test]
fn check_says_what_a_good_file_became_and_exits_with_0() {
    let farm = Farm::new();
    let output = farm.output(&["check"]);
    code(&output, 0);
    let out = text(&output.stdout);
    assert!(out.contains("http.monitor is the built-in"), "{out}");
    assert!(out.contains("lvs.alert is the built-in"), "{out}");
    assert!(!out.contains('\u{1b}'), "no colours in a pipe: {out}");
}

#[test]
fn check_shows_every_mistake_with_its_place_and_exits_with_1() {
    let farm = Farm::new();
    farm.configure(
        &farm
            .text(5, true)
            .replace("interval 0.3s", "intervall 0.3s"),
    );
    let output = farm.output(&["check"]);
    code(&output, 1);
    let out = text(&output.stdout);
    assert_eq!(out.matches("cf error: ").count(), 2, "{out}");
    assert!(out.contains("mon.cf:14:2"), "{out}");
    assert!(out.contains("did you mean \"interval\"?"), "{out}");
    assert!(out.ends_with("mon.cf: 2 mistakes\n"), "{out}");
    let output = farm.output(&["check", "--json"]);
    code(&output, 1);
    let json: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(json["valid"], false);
    let all = json["diagnostics"].as_array().unwrap();
    let errors: Vec<_> = all
        .iter()
        .filter(|one| one["severity"] == "error")
        .collect();
    assert_eq!(errors.len(), 2, "{json}");
    assert_eq!(
        (&errors[0]["line"], &errors[0]["column"]),
        (&14.into(), &2.into())
    );
}

#[test]
fn check_strict_takes_warnings_for_errors() {
    let farm = Farm::new();
    // Read, and without effect until a later version: a warning.
    farm.configure(
        &farm
            .text(5, true)
            .replace("\tinterval", "\tdepend SELF:http\n\tinterval"),
    );
    let output = farm.output(&["check"]);
    code(&output, 0);
    assert!(text(&output.stdout).contains("cf warning: "), "{output:?}");
    code(&farm.output(&["check", "--strict"]), 1);
}

#[test]
fn check_of_a_file_that_is_not_there_exits_with_1_and_names_it() {
    let output = lvsmon(["check", "--config", "/no/such/mon.cf"])
        .output()
        .unwrap();
    code(&output, 1);
    assert!(
        text(&output.stdout).contains("/no/such/mon.cf"),
        "{output:?}"
    );
}

#[test]
fn check_of_a_pipe_says_that_a_regular_file_is_wanted() {
    let mut child = lvsmon(["check", "--config", "/dev/stdin"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdin.take());
    let output = child.wait_with_output().unwrap();
    code(&output, 1);
    let out = text(&output.stdout);
    assert!(
        out.contains("it is a pipe (FIFO), not a regular file"),
        "{out}"
    );
}

#[test]
fn check_host_names_an_unsafe_folder_and_exits_with_1() {
    let farm = Farm::new();
    let folder = farm.folder.join("mon.d");
    std::fs::set_permissions(&folder, Permissions::from_mode(0o777)).unwrap();
    let output = farm.output(&["check", "--host"]);
    code(&output, 1);
    let out = text(&output.stdout);
    let line = out.lines().find(|line| line.starts_with("problem"));
    let line = line.unwrap_or_else(|| panic!("no problem in {out}"));
    assert!(line.contains("everybody may write"), "{line}");
    assert!(line.contains(folder.to_str().unwrap()), "{line}");
    std::fs::set_permissions(&folder, Permissions::from_mode(0o755)).unwrap();
    let output = farm.output(&["check", "--host", "--json"]);
    let json: Value = serde_json::from_slice(&output.stdout).unwrap();
    let findings = json["host"].as_array().unwrap();
    assert!(
        findings.iter().all(|finding| finding["level"] != "problem"),
        "{json}"
    );
    code(&output, 0);
}

#[test]
fn check_host_looks_at_the_machine_also_where_the_file_cannot_be_read() {
    let farm = Farm::new();
    let output = lvsmon(["check", "--host", "--config", "/no/such/mon.cf"]).output();
    let output = output.unwrap();
    code(&output, 1);
    let out = text(&output.stdout);
    assert!(out.contains("CAP_NET_ADMIN"), "{out}");
    std::fs::write(farm.config(), "foo = bar\n").unwrap();
    let output = farm.output(&["check", "--host", "--json"]);
    code(&output, 1);
    let json: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!(!json["host"].as_array().unwrap().is_empty(), "{json}");
}

#[test]
fn a_wrong_command_line_exits_with_2() {
    for words in [
        &["chekc"][..],
        &[],
        &["check", "--confg", "x"],
        &["enable"],
        &["run", "--log-format", "xml"],
    ] {
        let output = lvsmon(words).output().unwrap();
        code(&output, 2);
        assert!(!output.stderr.is_empty());
    }
    code(&lvsmon(["--help"]).output().unwrap(), 0);
    code(&lvsmon(["--version"]).output().unwrap(), 0);
}

#[test]
fn the_help_of_monitor_and_alert_names_the_built_ins() {
    let cases = [
        (
            "monitor",
            &["agent", "fping", "ftp", "http", "misc", "plugin", "tcp"][..],
        ),
        ("alert", &["ipvs", "lvs", "mail", "trap", "webhook"]),
    ];
    for (command, names) in cases {
        for flag in ["--help", "-h"] {
            let output = lvsmon([command, flag]).output().unwrap();
            code(&output, 0);
            let out = text(&output.stdout);
            assert!(out.contains(&format!("lvsmon {command} <NAME>")), "{out}");
            assert!(out.contains(&names.join(", ")), "{out}");
        }
        // The help of one of them stays its own, and another flag is wrong usage.
        let output = lvsmon([command, names[0], "--help"]).output().unwrap();
        code(&output, 0);
        let out = text(&output.stdout);
        assert!(
            out.starts_with(&format!("usage: lvsmon {command} ")),
            "{out}"
        );
        code(&lvsmon([command, "--hlep"]).output().unwrap(), 2);
    }
}

#[test]
fn a_closed_pipe_is_no_error() {
    let farm = Farm::new();
    for words in [&["man"][..], &["completions", "bash"]] {
        let mut child = lvsmon(words)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        drop(child.stdout.take());
        let output = child.wait_with_output().unwrap();
        code(&output, 0);
        assert!(output.stderr.is_empty(), "{output:?}");
    }
    for words in [&["check"][..], &["table"]] {
        let mut command = farm.command(words);
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        drop(child.stdout.take());
        let output = child.wait_with_output().unwrap();
        code(&output, 0);
        assert!(output.stderr.is_empty(), "{output:?}");
    }
}

#[test]
fn completions_and_the_manual_page_know_the_subcommands() {
    for words in [
        &["man"][..],
        &["completions", "bash"],
        &["completions", "zsh"],
    ] {
        let output = lvsmon(words).output().unwrap();
        code(&output, 0);
        let out = text(&output.stdout);
        for name in ["check", "table", "enable", "monitor", "demo"] {
            assert!(out.contains(name), "{words:?} without {name}");
        }
    }
}

#[test]
fn each_subcommand_has_a_page_with_its_options_and_exit_statuses() {
    let output = lvsmon(["man", "drain"]).output().unwrap();
    code(&output, 0);
    let page = text(&output.stdout);
    for part in [".TH lvsmon-drain", "deadline", "Exit status", "no\\-wait"] {
        assert!(page.contains(part), "{part} in {page}");
    }
    code(&lvsmon(["man", "drains"]).output().unwrap(), 2);
    let folder = TempDir::new();
    let mut command = lvsmon(["man", "--all"]);
    let output = command.arg(folder.path()).output().unwrap();
    code(&output, 0);
    // Each page that another one names is there.
    let page = folder.read("lvsmon.1");
    let named = page.lines().filter_map(|line| line.strip_suffix("(1)"));
    let named: Vec<String> = named.map(|name| name.replace("\\-", "-")).collect();
    assert!(named.len() > 15, "{named:?}");
    for name in named {
        let page = folder.join(&format!("{name}.1"));
        assert!(page.is_file(), "{name}");
    }
    let output = lvsmon(["man", "--all", "/nonexistent/folder"])
        .output()
        .unwrap();
    code(&output, 1);
}

#[test]
fn who_asks_for_json_is_told_in_json_why_there_is_no_answer() {
    let farm = Farm::new();
    let missing = farm.folder.join("missing.cf");
    let missing = missing.to_str().unwrap();
    for (words, status) in [
        (&["why", "127.0.0.11"][..], 3),
        (&["why", "www1/http"], 3),
        (&["disable", "127.0.0.11"], 1),
        (&["weight", "3", "127.0.0.11"], 1),
        (&["drain", "127.0.0.11"], 1),
        (&["enable", "127.0.0.11"], 1),
        (&["role"], 1),
        (&["role", "master"], 1),
        (&["table", "--config", missing], 1),
        (&["role", "--config", missing], 1),
        (&["try", "www1/nothing"], 2),
        (&["try", "www1/http", "more"], 2),
        // What is wrong with the words themselves.
        (&["role", "king"], 2),
        (&["drain", "127.0.0.11", "in"], 2),
        (&["disable", "127.0.0.11", "at", "10.0.0.3:80"], 2),
        (&["enable", "127.0.0.11", "in"], 2),
        (&["why", "127.0.0.11", "in"], 2),
        (&["weight", "many", "127.0.0.11"], 2),
        (&["disable"], 2),
        (&["drain", "--deadline", "soon"], 2),
        (&["table", "--loud"], 2),
    ] {
        let words = [words, &["--json"]].concat();
        let output = match words.contains(&"--config") {
            true => lvsmon(&words).output().unwrap(),
            false => farm.output(&words),
        };
        code(&output, status);
        let answer: Value = serde_json::from_slice(&output.stdout)
            .unwrap_or_else(|error| panic!("{words:?}: {error} {output:?}"));
        let why = answer["error"].as_str().unwrap();
        // Persons read some of it in several lines.
        let words_of = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
        let told = words_of(&text(&output.stderr));
        assert!(told.contains(&words_of(why)), "{words:?} {output:?}");
        let is_missing = words.contains(&missing);
        assert_eq!(
            why.contains("--statedir DIR"),
            is_missing,
            "{words:?} {why}"
        );
    }
    let output = lvsmon(["health", "--config", missing]).output().unwrap();
    assert!(
        text(&output.stdout).contains("--statedir DIR"),
        "{output:?}"
    );
}

#[test]
fn a_table_of_a_state_folder_reads_no_file() {
    let farm = Farm::new();
    let state = farm.folder.join("state");
    let mut command = lvsmon(["table", "--statedir"]);
    let output = command.arg(&state).output().unwrap();
    code(&output, 1);
    let said = text(&output.stderr);
    assert!(said.contains("no daemon answers at"), "{said}");
    assert!(!said.contains("mon.cf"), "{said}");
}

#[test]
fn table_shows_wanted_against_actual_with_the_reason() {
    let mut farm = Farm::new();
    let connections = format!(
        "TCP 10.0.0.3:{0}\n  -> 127.0.0.12:{0}  5  2  3  1\n",
        farm.port
    );
    farm.folder.write("state/connections", &connections);
    farm.start_healthy();
    farm.break_server(1);
    farm.wait_for_table(&[(2, 5)]);
    let output = farm.output(&["table"]);
    code(&output, 0);
    let out = text(&output.stdout);
    let lines: Vec<Vec<&str>> = out
        .lines()
        .map(|line| {
            line.split("  ")
                .map(str::trim)
                .filter(|cell| !cell.is_empty())
                .collect()
        })
        .collect();
    assert_eq!(
        lines[0],
        [
            "virtual service",
            "real server",
            "forwarding",
            "weight",
            "wanted",
            "actual",
            "active",
            "inactive",
            "persistent",
            "why"
        ]
    );
    let service = format!("10.0.0.3:{}/tcp", farm.port);
    let server = |number: u8| format!("127.0.0.1{number}:{}", farm.port);
    assert_eq!(lines[1][..2], [&*service, &*server(1)]);
    let out = ["out", "out", "-", "-", "-", "www1/http says refused"];
    assert_eq!(lines[1][4..], out);
    let second = server(2);
    let expected = [&*service, &second, "dr", "5", "in", "in", "3", "1", "2"];
    assert_eq!(lines[2], expected);
    let output = farm.output(&["table", "--json"]);
    let json: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(json["source"], "daemon");
    let servers = &json["virtual_services"][0]["real_servers"];
    assert_eq!(servers[0]["connections"], Value::Null);
    assert_eq!(servers[1]["connections"]["persistent"], 2);
}

#[test]
fn table_without_a_daemon_compares_the_file_and_says_so() {
    let farm = Farm::new();
    let output = farm.output(&["table"]);
    code(&output, 0);
    let out = text(&output.stdout);
    assert!(out.contains("no daemon runs"), "{out}");
    assert!(
        out.contains("127.0.0.11") && out.contains("as found"),
        "{out}"
    );
    let json: Value = serde_json::from_slice(&farm.output(&["table", "--json"]).stdout).unwrap();
    assert_eq!(json["source"], "file");
    let service = &json["virtual_services"][0];
    assert_eq!(service["actual"], "present");
    assert_eq!(service["wanted"], "by_others");
    let server = &service["real_servers"][0];
    assert_eq!(server["actual"], "out");
    // Nobody checks: nobody knows.
    assert_eq!(server["wanted"], "as_found");
}

#[test]
fn table_says_of_a_missing_virtual_service_what_it_waits_for() {
    let farm = Farm::new();
    farm.folder.write("state/table", "");
    let config = farm
        .folder
        .read("mon.cf")
        .replace("-F dr", "-F dr -B -S wlc");
    farm.configure(&config);
    let out = text(&farm.output(&["table"]).stdout);
    let cells: Vec<Vec<&str>> = out
        .lines()
        .map(|line| line.split_whitespace().collect())
        .collect();
    let line = cells.iter().map(|cells| cells.join(" "));
    let expected = format!(
        "10.0.0.3:{}/tcp as found missing virtual service is not in the table: \
         made once a real server enters",
        farm.port
    );
    assert!(line.clone().any(|line| line == expected), "{out}");
    let json: Value = serde_json::from_slice(&farm.output(&["table", "--json"]).stdout).unwrap();
    assert_eq!(json["virtual_services"][0]["wanted"], "as_found");
}

#[test]
fn enable_without_a_daemon_fails_and_says_why() {
    let farm = Farm::new();
    let output = farm.output(&["enable", "127.0.0.11"]);
    code(&output, 1);
    assert!(text(&output.stderr).contains("no daemon"), "{output:?}");
}

#[test]
fn a_log_in_json_is_one_object_a_line() {
    let folder = TempDir::new();
    folder.write("mon.cf", "watch w\n    service s\n\tintervall 1s\n");
    let output = lvsmon(["run", "--log-format", "json", "--config"])
        .arg(folder.join("mon.cf"))
        .output()
        .unwrap();
    code(&output, 1);
    let log = text(&output.stderr);
    let (last, lines) = log
        .trim_end()
        .rsplit_once('\n')
        .map_or((&*log, ""), |(a, b)| (b, a));
    assert!(last.starts_with("lvsmon: "), "{log}");
    assert!(!lines.is_empty(), "{log}");
    for line in lines.lines() {
        let json: Value = serde_json::from_str(line).unwrap();
        assert!(json["message"].is_string(), "{line}");
    }
}

#[test]
fn a_mistake_that_is_not_in_force_keeps_nobody_from_asking_the_daemon() {
    let mut farm = Farm::new();
    farm.start_healthy();
    let good = farm.text(5, true);
    farm.configure(&format!(
        "monitor_timeout = 0\nmaxprocs = many\n{good}nonsense\n"
    ));
    code(&farm.output(&["check"]), 1);
    code(&farm.output(&["table"]), 0);
    code(&farm.output(&["why", "127.0.0.11"]), 0);
    code(&farm.output(&["why", "www1/http"]), 0);
    code(&farm.output(&["disable", "127.0.0.11"]), 0);
    code(&farm.output(&["enable", "127.0.0.11"]), 0);
    code(&farm.output(&["drain", "127.0.0.11", "--no-wait"]), 0);
    // Without a file at all the state folder is named.
    std::fs::remove_file(farm.config()).unwrap();
    let output = farm.output(&["enable", "127.0.0.11"]);
    code(&output, 1);
    assert!(text(&output.stderr).contains("--statedir"), "{output:?}");
    let state = farm.folder.join("state");
    let state = state.to_str().unwrap();
    code(
        &farm.output(&["enable", "127.0.0.11", "--statedir", state]),
        0,
    );
    code(&farm.output(&["table", "--statedir", state]), 0);
}
