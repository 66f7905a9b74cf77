//! `agent`: the text protocol of HAProxy's agents, against real listeners.

use std::net::TcpStream;

use lvsmon::engine::event::{HostVerdict, Reason, Report};
use lvsmon::lvs::GivenWeight;

use super::peer::{Peer, say, until_closed};
use super::{check, exit, only, summary, text};
use crate::support::{free_port, lvsmon};

/// An agent that answers at once, whatever it is sent.
fn agent(answer: &'static str) -> Peer {
    Peer::new(move |mut stream: TcpStream| {
        say(&mut stream, answer.as_bytes());
    })
}

fn ask(peer: &Peer, more: &[&str]) -> Report {
    let port = peer.port();
    let args = [&["-p", &port, "-t", "0.5"], more].concat();
    check("agent.monitor", &args, &["127.0.0.1"])
}

#[test]
fn a_share_of_the_weight_comes_with_the_verdict() {
    let report = ask(&agent("75%\n"), &[]);
    assert_eq!(only(&report), (HostVerdict::Up, "said \"75%\""));
    assert_eq!(report.hosts[0].weight, Some(GivenWeight::Percent(75)));
    assert_eq!(text(&report), "\n\n127.0.0.1 said \"75%\"\n");
    let report = ask(&agent("drain\r\n"), &[]);
    assert_eq!(report.hosts[0].weight, Some(GivenWeight::Percent(0)));
    // Without an end of line, and with more behind the first.
    let report = ask(&agent("ready"), &[]);
    assert_eq!(report.hosts[0].weight, Some(GivenWeight::FULL));
    let report = ask(&agent("30%\ndown\n"), &[]);
    assert_eq!(report.hosts[0].weight, Some(GivenWeight::Percent(30)));
}

#[test]
fn an_answer_that_is_kept_open_counts_at_its_end_of_line() {
    let peer = Peer::new(|mut stream| {
        say(&mut stream, b"10");
        say(&mut stream, b"%\n");
        until_closed(&mut stream);
    });
    let report = ask(&peer, &[]);
    assert_eq!(report.hosts[0].weight, Some(GivenWeight::Percent(10)));
}

#[test]
fn a_server_that_says_it_is_down_is_down_and_gives_no_weight() {
    for (answer, reason) in [
        ("down #disk full\n", Reason::Status),
        ("stopped 50%\n", Reason::Status),
        ("maint\n", Reason::Admin),
        ("220 mail ESMTP\n", Reason::Reply),
        ("\n", Reason::Reply),
        ("", Reason::Reply),
    ] {
        let report = ask(&agent(answer), &[]);
        let (verdict, _) = only(&report);
        assert_eq!(verdict, HostVerdict::Down(reason), "{answer:?}");
        assert_eq!(report.hosts[0].weight, None);
        assert_eq!((exit(&report), summary(&report).as_str()), (1, "127.0.0.1"));
    }
}

#[test]
fn an_agent_that_cannot_be_asked_fails_its_host_unless_the_line_says_otherwise() {
    let quiet = Peer::new(|mut stream| until_closed(&mut stream));
    let closed = free_port().to_string();
    for (port, reason) in [(&quiet.port(), Reason::Timeout), (&closed, Reason::Refused)] {
        let args = ["-p", port, "-t", "0.3"];
        let report = check("agent.monitor", &args, &["127.0.0.1"]);
        assert_eq!(only(&report).0, HostVerdict::Down(reason));
        let args = ["-p", port, "-t", "0.3", "-i"];
        let report = check("agent.monitor", &args, &["127.0.0.1"]);
        assert_eq!(only(&report).0, HostVerdict::Unknown(reason));
    }
    // What it does say counts all the same.
    let report = ask(&agent("down\n"), &["-i"]);
    assert_eq!(only(&report).0, HostVerdict::Down(Reason::Status));
}

#[test]
fn a_flood_without_a_line_end_is_cut() {
    let peer = Peer::new(|mut stream| while say(&mut stream, &[b'x'; 4_096]) {});
    let report = ask(&peer, &[]);
    assert_eq!(only(&report).0, HostVerdict::Down(Reason::Reply));
    assert!(text(&report).len() < 5_000);
}

#[test]
fn a_trial_shows_the_weight_of_each_host() {
    let port = agent("40%\n").port();
    let tried = lvsmon(["try", "agent.monitor", "-p", &port, "127.0.0.1"])
        .output()
        .expect("it runs");
    let shown = String::from_utf8_lossy(&tried.stdout).into_owned();
    let expected = "127.0.0.1 up, weight 40%: said \"40%\"";
    assert!(shown.contains(expected), "{shown}");
}
