//! What we ship and what the README shows works: sample configurations load and run, the commands
//! it names exist.

use std::collections::BTreeSet;
use std::process::Stdio;
use std::time::Duration;

use lvsmon::config;
use lvsmon::model::IpvsBackend;
use nix::sys::signal::Signal;
use regex::Regex;

use crate::support::{self, Running, TempDir};

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
fn the_sample_of_virtual_services_has_no_error_and_no_warning() {
    let text = read("etc/virtual.cf");
    let (model, warnings) = config::load_text(&text).unwrap_or_else(|errors| panic!("{errors:#?}"));
    assert!(warnings.is_empty(), "{warnings:#?}");
    assert_eq!(model.virtual_services.len(), 3);
    let folder = TempDir::new();
    let path = folder.write("mon.cf", local(&text, &folder, 8080));
    let output = support::lvsmon(["check", "--config"])
        .arg(path)
        .output()
        .expect("lvsmon runs");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{said}");
    assert!(said.contains("3 virtual services"), "{said}");
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

#[test]
fn the_sample_configuration_runs() {
    let folder = TempDir::new();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("its address").port();
    let server = std::thread::spawn(move || serve(&listener));
    let path = folder.write("mon.cf", local(&read("etc/mon.cf"), &folder, port));
    let log = std::fs::File::create(folder.join("log")).expect("a log");
    let mut daemon = Running::start(
        support::lvsmon(["run", "--config"])
            .arg(path)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log),
    );
    support::wait_until(
        "the server of the sample in the table",
        Duration::from_secs(20),
        || folder.read("state/table").contains("-r 127.0.0.1:"),
    );
    daemon.signal(Signal::SIGTERM);
    let status = daemon.wait(Duration::from_secs(20));
    assert!(status.success(), "{status}\n{}", folder.read("log"));
    drop(server);
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
        &format!("statedir = {state}/state\nserverport = 0\ntrapport = 0\nipvs_backend = memory"),
    )
}

/// Answers 200 to everybody until the test process ends.
fn serve(listener: &std::net::TcpListener) {
    use std::io::{Read as _, Write as _};
    for stream in listener.incoming() {
        let Ok(mut stream) = stream else { continue };
        let mut request = [0; 4096];
        let _ = stream.read(&mut request);
        let _ = stream.write_all(b"HTTP/1.0 200 OK\r\nContent-Length: 3\r\n\r\nok\n");
    }
}

#[test]
fn every_configuration_in_the_readme_loads_without_a_word() {
    let blocks = blocks(&read("README.md"), "mon.cf");
    assert!(
        blocks.len() >= 3,
        "only {} configurations found",
        blocks.len()
    );
    let virtual_page = self::blocks(&read("docs/virtual.md"), "mon.cf");
    assert!(!virtual_page.is_empty());
    for block in blocks.into_iter().chain(virtual_page) {
        match config::load_text(&block) {
            Ok((_, warnings)) => assert!(warnings.is_empty(), "{block}\n{warnings:#?}"),
            Err(errors) => panic!("{block}\n{errors:#?}"),
        }
    }
}

/// The README's words on how to see the daemon work without touching the kernel, followed to the
/// letter: which line of a copy is changed, and what is written above it.
#[test]
fn a_copy_of_a_sample_with_the_two_lines_of_the_readme_has_its_own_folder_and_no_kernel() {
    let readme = read("README.md").replace('\n', " ");
    let pattern = r"change the line `([^`]+)` of a copy of the file to name a folder of yours, write `([^`]+)` above it";
    let pattern = Regex::new(pattern).expect("a valid pattern");
    let words = pattern.captures(&readme).expect("the words of the README");
    let (changed, above) = (&words[1], &words[2]);
    let (name, _) = changed.split_once('=').expect("a setting");
    for sample in ["etc/mon.cf", "etc/virtual.cf"] {
        let folder = TempDir::new();
        let own = folder.join("state");
        let text = read(sample);
        let found = text.lines().filter(|line| *line == changed).count();
        assert_eq!(found, 1, "{sample}: {changed}");
        let lines = format!("{above}\n{name}= {}", own.display());
        let copy = text.replace(changed, &lines);
        let (model, warnings) =
            config::load_text(&copy).unwrap_or_else(|errors| panic!("{sample}: {errors:#?}"));
        assert!(warnings.is_empty(), "{sample}: {warnings:#?}");
        assert_eq!(model.globals.statedir, own, "{sample}");
        assert_eq!(model.globals.ipvs_backend, IpvsBackend::Memory, "{sample}");
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
