//! Inside the lab: who asks, and who answers beside the HTTP servers of the real servers.

use std::collections::BTreeSet;
use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Stdio};

use super::guest::{SOON, append, get, in_role, run};
use crate::support::{Running, wait_until};

/// A client of the virtual service.
pub(super) struct Client(Running);

impl Client {
    /// Sends one request after the other to the virtual service until told to stop.
    pub(super) fn start() -> Client {
        let _ = fs::remove_file("/run/client.stop");
        let _ = fs::remove_file("/run/client.result");
        let mut command = in_role("client", &["nsenter", "--net=/run/netns/client"]);
        let client = Client(Running::start(&mut command));
        client.expect_more(5);
        client
    }

    fn result(&self) -> (u32, u32) {
        let text = fs::read_to_string("/run/client.result").unwrap_or_default();
        let mut words = text
            .split_whitespace()
            .map(|word| word.parse().unwrap_or(0));
        (words.next().unwrap_or(0), words.next().unwrap_or(0))
    }

    /// Waits until it has made some requests more.
    #[track_caller]
    pub(super) fn expect_more(&self, requests: u32) {
        let total = || {
            let (good, bad) = self.result();
            good + bad
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
        self.result()
    }
}

/// The client itself, a process of its own in its own namespace.
pub(super) fn ask_until_told() {
    let address: SocketAddr = "10.0.0.3:80".parse().expect("an address");
    let (mut good, mut bad) = (0_u32, 0_u32);
    while !Path::new("/run/client.stop").exists() {
        match get(address) {
            Ok(text) if text.contains("is well") => good += 1,
            _ => bad += 1,
        }
        fs::write("/run/client.draft", format!("{good} {bad}")).expect("a result");
        fs::rename("/run/client.draft", "/run/client.result").expect("a result");
    }
}

/// Who answers `times` requests that the client sends to a virtual service, one after the
/// other, each from a port of its own; `what` is transport (`http`, `udp`, `sctp`), address and
/// port. Fails when one of them is not answered.
#[track_caller]
pub(super) fn who_answers(what: &str, times: usize) -> BTreeSet<String> {
    let script = crate::support::root().join("tests/ipvs/guest/echo.py");
    let client = "nsenter --net=/run/netns/client python3";
    let text = run(&format!("{client} {} ask {what} {times}", script.display()));
    let answers: Vec<String> = text.lines().map(str::to_owned).collect();
    assert_eq!(answers.len(), times, "{what}: {text}");
    answers.into_iter().collect()
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
