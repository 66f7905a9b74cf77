//! Inside the lab: who asks, and who answers beside the HTTP servers of the real servers.

use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;

use lvsmon::clock::Stopwatch;

use super::guest::{GET_LIMIT, SOON, append, get_within, in_role, run};
use crate::support::{Running, wait_until};

/// A client that is in no hurry gives a request up after this time, and rests so long after
/// each: what it met says how long the service was away.
const EASY_LIMIT: Duration = Duration::from_millis(500);
const EASY_REST: Duration = Duration::from_millis(50);

/// A client of the virtual service.
pub(super) struct Client(Running);

/// What a client met.
#[derive(Debug, Default)]
pub(super) struct Met {
    pub(super) good: u32,
    pub(super) bad: u32,
    /// The longest time without a good answer.
    pub(super) gap: Duration,
}

impl Client {
    /// Sends one request after the other to the virtual service until told to stop.
    pub(super) fn start() -> Client {
        Self::start_at("hurry")
    }

    /// The same with a rest after each, and little patience.
    pub(super) fn start_at_ease() -> Client {
        Self::start_at("ease")
    }

    fn start_at(pace: &str) -> Client {
        let _ = fs::remove_file("/run/client.stop");
        let _ = fs::remove_file("/run/client.result");
        let _ = fs::remove_file("/run/client.failed");
        let mut command = in_role("client", &["nsenter", "--net=/run/netns/client"]);
        command.env("LAB_PACE", pace);
        let client = Client(Running::start(&mut command));
        client.expect_more(5);
        client
    }

    /// What it has met so far.
    pub(super) fn met(&self) -> Met {
        let text = fs::read_to_string("/run/client.result").unwrap_or_default();
        let mut words = text
            .split_whitespace()
            .map(|word| word.parse().unwrap_or(0));
        let mut next = || words.next().unwrap_or(0);
        Met {
            good: next(),
            bad: next(),
            gap: Duration::from_millis(next().into()),
        }
    }

    /// Ends it after some requests more; fails where one of all that it sent was not answered well.
    #[track_caller]
    pub(super) fn expect_no_failure(self, requests: u32) {
        self.expect_more(requests);
        let failed = self.stop().1;
        let text = fs::read_to_string("/run/client.failed").unwrap_or_default();
        assert_eq!(failed, 0, "requests failed: {text}");
    }

    /// Waits until it has made some requests more.
    #[track_caller]
    pub(super) fn expect_more(&self, requests: u32) {
        let total = || {
            let met = self.met();
            met.good + met.bad
        };
        let before = total();
        wait_until("requests of the client", SOON, || {
            total() >= before + requests
        });
    }

    /// Ends it; says how many requests went well and how many did not.
    pub(super) fn stop(mut self) -> (u32, u32) {
        fs::write("/run/client.stop", "").expect("a sign for the client");
        self.0.wait(SOON);
        let met = self.met();
        (met.good, met.bad)
    }
}

/// The client itself, a process of its own in its own namespace.
pub(super) fn ask_until_told() {
    let address: SocketAddr = "10.0.0.3:80".parse().expect("an address");
    let is_easy = std::env::var("LAB_PACE").is_ok_and(|pace| pace == "ease");
    let (mut good, mut bad, mut gap) = (0_u32, 0_u32, Duration::ZERO);
    let mut last_good = Stopwatch::start();
    while !Path::new("/run/client.stop").exists() {
        let limit = if is_easy { EASY_LIMIT } else { GET_LIMIT };
        let answer = get_within(address, limit);
        gap = gap.max(last_good.elapsed());
        match answer {
            Ok(text) if text.contains("is well") => {
                good += 1;
                last_good = Stopwatch::start();
            }
            other => {
                bad += 1;
                let text = format!("after {:.1?}: {other:?}\n", last_good.elapsed());
                let mut failed = append(Path::new("/run/client.failed"));
                failed.write_all(text.as_bytes()).expect("a failure");
            }
        }
        let result = format!("{good} {bad} {}", gap.as_millis());
        fs::write("/run/client.draft", result).expect("a result");
        fs::rename("/run/client.draft", "/run/client.result").expect("a result");
        if is_easy {
            let rest = Stopwatch::start();
            wait_until("the next request", SOON, || rest.elapsed() >= EASY_REST);
        }
    }
}

/// Who answers `times` requests that the client sends to a virtual service, one after the
/// other, each from a port of its own; `what` is transport (`http`, `tcp`, `udp`, `sctp`,
/// `sip:CALL`), address and port. Fails when one of them is not answered.
#[track_caller]
pub(super) fn who_answers(what: &str, times: usize) -> BTreeSet<String> {
    from("", what, times)
}

/// The same from that one of the client's addresses.
#[track_caller]
pub(super) fn from(source: &str, what: &str, times: usize) -> BTreeSet<String> {
    let script = crate::support::root().join("tests/ipvs/guest/echo.py");
    let client = format!("FROM={source} nsenter --net=/run/netns/client python3");
    let text = run(&format!("{client} {} ask {what} {times}", script.display()));
    let answers: Vec<String> = text.lines().map(str::to_owned).collect();
    assert_eq!(answers.len(), times, "{what}: {text}");
    answers.into_iter().collect()
}

/// Connections of the client through a virtual service that stay open.
pub(super) struct Held {
    process: Running,
    words: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Held {
    /// So many at once; `what` is transport (`tcp`, `udp`), address and port.
    #[track_caller]
    pub(super) fn open(what: &str, times: usize) -> Self {
        let script = crate::support::root().join("tests/ipvs/guest/echo.py");
        let mut command = Command::new("nsenter");
        command
            .args(["--net=/run/netns/client", "python3"])
            .arg(script)
            .arg("hold")
            .args(what.split(' '))
            .arg(times.to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        let mut process = Running::start(&mut command);
        let words = process.0.stdin.take().expect("piped");
        let answers = BufReader::new(process.0.stdout.take().expect("piped"));
        let mut held = Self {
            process,
            words,
            answers,
        };
        assert_eq!(held.line(), "ready", "connections to {what}");
        held
    }

    /// One line; it waits for seconds at most for each of the answers in it.
    fn line(&mut self) -> String {
        let mut line = String::new();
        self.answers.read_line(&mut line).expect("an answer");
        line.trim().to_owned()
    }

    /// Who answers on each of them now; `nobody` where nobody does.
    pub(super) fn ask(&mut self) -> Vec<String> {
        self.words.write_all(b"\n").expect("a question");
        let line = self.line();
        let names = line.split(',');
        names.map(|name| name.replace("server ", "")).collect()
    }

    /// Closes them.
    pub(super) fn close(mut self) {
        drop(self.words);
        self.process.wait(SOON);
    }
}

/// A server beside the HTTP server of a real server, which answers with its name; `whereabouts` is
/// transport, address and port.
pub(super) fn start_echo(number: u8, whereabouts: &str) -> Running {
    let script = crate::support::root().join("tests/ipvs/guest/echo.py");
    let log = format!("/run/r{number}/echo");
    let _ = fs::remove_file(&log);
    let mut command = Command::new("nsenter");
    command
        .arg(format!("--net=/run/netns/r{number}"))
        .arg("python3")
        .arg(script)
        .arg("serve")
        .args(whereabouts.split(' '))
        .arg(format!("server {number}"))
        .stdin(Stdio::null())
        .stdout(append(Path::new(&log)))
        .stderr(append(Path::new(&log)));
    let server = Running::start(&mut command);
    wait_until("a server that says it is ready", SOON, || {
        let text = fs::read_to_string(&log).unwrap_or_default();
        assert!(!text.contains("Error"), "{text}");
        text.starts_with("ready")
    });
    server
}
