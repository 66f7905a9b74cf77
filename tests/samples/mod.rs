//! What we ship and what the README shows works: sample configurations load and run, the commands
//! it names exist.

use std::collections::BTreeSet;

use lvsmon::config;
use regex::Regex;

use crate::support::{self, TempDir};

#[test]
fn the_sample_configuration_has_no_error_and_no_warning() {
    let folder = TempDir::new();
    let text = read("etc/mon.cf");
    let (_, warnings) = config::load_text(&text).unwrap_or_else(|errors| panic!("{errors:#?}"));
    assert!(warnings.is_empty(), "{warnings:#?}");
    // The folders of the sample need not exist on this machine.
    let path = folder.write("mon.cf", local(&text, &folder, 8080));
    let output = support::lvsmon(["check", "--config"])
        .arg(path)
        .output()
        .expect("lvsmon runs");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        output.status.success(),
        "{said}{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

#[test]
fn the_howto_farm_has_no_error() {
    let output = support::lvsmon(["check", "--config"])
        .arg(support::root().join("etc/howto-farm.cf"))
        .output()
        .expect("lvsmon runs");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        output.status.success(),
        "{said}{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

/// The sample with loopback for its farm, a table in memory and a state folder of the test.
fn local(text: &str, folder: &TempDir, port: u16) -> String {
    let state = folder.path().display();
    let text = text
        .replace("192.0.2.11 192.0.2.12 192.0.2.13", "127.0.0.1")
        .replace("198.51.100.80:80", &format!("198.51.100.80:{port}"))
        .replace(
            "monitor http.monitor -t 3",
            &format!("monitor http.monitor -p {port} -t 3"),
        )
        .replace("smtp://localhost:25", "smtp://127.0.0.1:1")
        .replace("/etc/mon/mon.d", &format!("{state}"))
        .replace("/etc/mon/alert.d", &format!("{state}"));
    text.replace(
        "statedir = /var/lib/lvsmon",
        &format!("statedir = {state}/state\nipvs_backend = memory"),
    )
}

#[test]
fn every_configuration_in_the_readme_loads_without_a_word() {
    let readme = read("README.md");
    let blocks = blocks(&readme, "mon.cf");
    assert!(
        blocks.len() >= 3,
        "only {} configurations found",
        blocks.len()
    );
    for block in blocks {
        match config::load_text(&block) {
            Ok((_, warnings)) => assert!(warnings.is_empty(), "{block}\n{warnings:#?}"),
            Err(errors) => panic!("{block}\n{errors:#?}"),
        }
    }
}

#[test]
fn every_command_in_the_readme_exists() {
    let help = support::lvsmon(["--help"]).output().expect("lvsmon runs");
    let help = String::from_utf8_lossy(&help.stdout).into_owned();
    let known: BTreeSet<&str> = help
        .split_once("Commands:")
        .expect("a list of commands")
        .1
        .lines()
        .filter_map(|line| line.strip_prefix("  ")?.split_whitespace().next())
        .collect();
    let pattern = Regex::new(r"(?:`|sudo |=debug )lvsmon\s+([a-z]+)\b").expect("a valid pattern");
    let readme = read("README.md");
    let mut used = BTreeSet::new();
    for found in pattern.captures_iter(&readme) {
        let word = found.get(1).expect("a word").as_str();
        assert!(
            known.contains(word),
            "README.md names `lvsmon {word}`; there is: {known:?}"
        );
        used.insert(word);
    }
    assert!(used.len() >= 5, "{used:?}");
}

#[test]
fn every_file_the_readme_links_to_exists() {
    let readme = read("README.md");
    let pattern = Regex::new(r"\]\(([^)#:]+)\)").expect("a valid pattern");
    let mut count = 0;
    for found in pattern.captures_iter(&readme) {
        let path = found.get(1).expect("a path").as_str();
        assert!(
            support::root().join(path).exists(),
            "README.md links to {path}"
        );
        count += 1;
    }
    assert!(count >= 5, "{count} links");
}

/// The fenced blocks of `text` whose info string is `name`.
fn blocks(text: &str, name: &str) -> Vec<String> {
    let mut blocks = Vec::new();
    let mut open: Option<(bool, String)> = None;
    for line in text.lines() {
        match (&mut open, line.strip_prefix("```")) {
            (None, Some(info)) => open = Some((info.trim() == name, String::new())),
            (Some(_), Some(_)) => {
                if let Some((true, block)) = open.take() {
                    blocks.push(block);
                }
            }
            (Some((_, block)), None) => {
                block.push_str(line);
                block.push('\n');
            }
            (None, None) => {}
        }
    }
    blocks
}

fn read(path: &str) -> String {
    std::fs::read_to_string(support::root().join(path)).expect("a file of the repository")
}
