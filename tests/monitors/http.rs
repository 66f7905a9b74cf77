//! The built-in `http` against servers that behave in every way.

use std::net::Ipv6Addr;
use std::sync::{Mutex, mpsc};
use std::time::Duration;

use lvsmon::engine::event::{HostVerdict, Reason, Report};
use lvsmon::lvs::GivenWeight;

use super::peer::{Peer, drip, head, reset, rest, say, until_closed};
use super::{SOON, check, exit, only, summary, text};
use crate::support::free_port;

const GOOD: &str = "HTTP/1.1 200 OK\r\nServer: x\r\nContent-Length: 2\r\n\r\nok";

fn get(peer: &Peer, more: &[&str]) -> Report {
    let port = peer.port();
    let mut args = vec!["-p", &port];
    args.extend(more);
    check("http.monitor", &args, &["127.0.0.1"])
}

#[track_caller]
fn assert_down(report: &Report, reason: Reason, text: &str) {
    assert_eq!(only(report), (HostVerdict::Down(reason), text));
    assert!(report.took < SOON, "{report:?}");
    assert_eq!(summary(report), "127.0.0.1");
}

#[test]
fn the_output_is_that_of_the_script() {
    let good = Peer::answering(GOOD);
    let report = get(&good, &[]);
    assert_eq!(only(&report).0, HostVerdict::Up);
    assert_eq!(
        text(&report),
        "\nHOST 127.0.0.1: ok\nHTTP/1.1 200 OK\r\nServer: x\r\nContent-Length: 2\n\n"
    );
    assert_eq!(text(&get(&good, &["-o"])), "\n");

    let bad = Peer::answering("HTTP/1.1 500 Oh no\r\nServer: x\r\n\r\nbody");
    let report = get(&bad, &[]);
    assert_down(&report, Reason::Status, "status 500 Oh no");
    assert_eq!(
        text(&report),
        "127.0.0.1\nHOST 127.0.0.1: status 500 Oh no\nHTTP/1.1 500 Oh no\r\nServer: x\n\n"
    );
}

#[test]
fn a_header_of_a_good_response_gives_the_weight() {
    let with = |header: &str| format!("HTTP/1.1 200 OK\r\n{header}Content-Length: 0\r\n\r\n");
    for (header, weight, words) in [
        (
            "X-Weight: 17\r\n",
            Some(GivenWeight::Absolute(17)),
            "status 200",
        ),
        (
            "x-weight: 0\r\n",
            Some(GivenWeight::Absolute(0)),
            "status 200",
        ),
        (
            "X-Weight: 70000\r\n",
            Some(GivenWeight::Absolute(65_535)),
            "status 200",
        ),
        (
            "X-Weight: 50%\r\n",
            Some(GivenWeight::Percent(50)),
            "status 200",
        ),
        (
            "X-Weight: -1\r\n",
            None,
            "status 200; no weight: X-Weight is \"-1\"",
        ),
        ("", None, "status 200; no weight: no header X-Weight"),
    ] {
        let report = get(&Peer::answering(with(header)), &["-w", "X-Weight"]);
        assert_eq!(only(&report), (HostVerdict::Up, words));
        assert_eq!(report.hosts[0].weight, weight, "{header}");
    }
    let failing = Peer::answering("HTTP/1.1 500 Oh no\r\nX-Weight: 9\r\n\r\n");
    let report = get(&failing, &["-w", "X-Weight"]);
    assert_down(&report, Reason::Status, "status 500 Oh no");
    assert_eq!(report.hosts[0].weight, None);
}

#[test]
fn the_request_is_the_one_of_the_script() {
    let (heard, hear) = mpsc::channel();
    let peer = Peer::new(move |mut stream| {
        heard.send(head(&mut stream)).expect("the test listens");
        say(&mut stream, GOOD.as_bytes());
    });
    let port = peer.port();
    check("http.monitor", &["-p", &port], &["here"]);
    assert_eq!(
        hear.recv_timeout(SOON).as_deref(),
        Ok("GET / HTTP/1.0\r\nHost: here\r\nUser-Agent: mon.d/http.monitor\r\n\r\n")
    );
    let args = ["-p", &port, "-u", "/a?b", "-a", "me", "-n", "www.test"];
    check("http.monitor", &args, &["here"]);
    assert_eq!(
        hear.recv_timeout(SOON).as_deref(),
        Ok("GET /a?b HTTP/1.0\r\nHost: www.test\r\nUser-Agent: me\r\n\r\n")
    );
}

#[test]
fn a_server_that_never_answers_is_a_timeout() {
    let peer = Peer::new(|mut stream| until_closed(&mut stream));
    let report = get(&peer, &["-t", "0.5"]);
    assert_down(&report, Reason::Timeout, "timeout after 0.5 seconds");
    assert!(report.took >= Duration::from_millis(500));
}

#[test]
fn a_refused_connection_is_no_status() {
    let port = free_port().to_string();
    let report = check("http.monitor", &["-p", &port], &["127.0.0.1"]);
    let text = format!("connection refused by 127.0.0.1:{port}");
    assert_down(&report, Reason::Refused, &text);
}

#[test]
fn an_unknown_name_is_a_dns_failure() {
    let report = check("http.monitor", &[], &["nosuch.test"]);
    assert_eq!(only(&report).0, HostVerdict::Down(Reason::Dns));
}

#[test]
fn a_drip_of_headers_ends_at_the_deadline() {
    let peer = Peer::new(|mut stream| {
        head(&mut stream);
        say(&mut stream, b"HTTP/1.0 200 OK\r\n");
        drip(&mut stream, b"X-Drip: drop\r\n");
    });
    let report = get(&peer, &["-t", "0.7"]);
    assert_down(&report, Reason::Timeout, "timeout after 0.7 seconds");
}

#[test]
fn a_drip_of_a_body_does_not_hold_up_a_certain_verdict() {
    let peer = Peer::new(|mut stream| {
        head(&mut stream);
        say(&mut stream, b"HTTP/1.0 200 OK\r\n\r\n");
        drip(&mut stream, b"drop");
    });
    let report = get(&peer, &["-t", "15"]);
    assert_eq!(only(&report).0, HostVerdict::Up);
    assert!(report.took < Duration::from_secs(5), "{report:?}");
}

#[test]
fn a_drip_that_has_matched_is_good_and_one_that_has_not_is_a_timeout() {
    let peer = Peer::new(|mut stream| {
        head(&mut stream);
        say(&mut stream, b"HTTP/1.0 200 OK\r\n\r\n");
        drip(&mut stream, b"ready ");
    });
    let report = get(&peer, &["-t", "15", "-m", "ready"]);
    assert_eq!(only(&report).0, HostVerdict::Up);
    assert!(report.took < Duration::from_secs(5), "{report:?}");
    let report = get(&peer, &["-t", "0.7", "-m", "finished"]);
    assert_down(&report, Reason::Timeout, "timeout after 0.7 seconds");
    // An expression that looks at the end is judged at the deadline, as the script does.
    let report = get(&peer, &["-t", "3", "-m", "(r|re|rea|read|ready|ready )$"]);
    assert_eq!(only(&report).0, HostVerdict::Up);
    assert!(report.took >= Duration::from_secs(3));
}

#[test]
fn headers_without_end_are_a_bad_reply() {
    let peer = Peer::new(|mut stream| {
        head(&mut stream);
        say(&mut stream, b"HTTP/1.0 200 OK\r\n");
        while say(&mut stream, b"X-More: and more and more and more\r\n") {}
    });
    let report = get(&peer, &["-t", "15"]);
    assert_down(
        &report,
        Reason::Reply,
        "the headers do not end within 65536 bytes",
    );
    assert!(report.output.len() < 20_000, "the output stays small");
}

#[test]
fn a_body_without_end_is_searched_up_to_its_bound() {
    let peer = Peer::new(|mut stream| {
        head(&mut stream);
        say(&mut stream, b"HTTP/1.0 200 OK\r\n\r\n");
        while say(&mut stream, &[b'x'; 4_096]) {}
    });
    let report = get(&peer, &["-t", "15", "-m", "never"]);
    assert_down(&report, Reason::Body, "Regex match failed");
    let report = get(&peer, &["-t", "15"]);
    assert_eq!(only(&report).0, HostVerdict::Up);
}

#[test]
fn garbage_is_a_bad_reply_at_once() {
    let peer = Peer::new(|mut stream| {
        let _ = say(&mut stream, b"\x16\x03\x01garbage\x00\xff\r\n");
        until_closed(&mut stream);
    });
    let report = get(&peer, &["-t", "15"]);
    assert_eq!(only(&report).0, HostVerdict::Down(Reason::Reply));
    assert!(report.took < Duration::from_secs(5), "{report:?}");
    assert!(
        only(&report)
            .1
            .starts_with("not an HTTP response: ???garbage"),
        "{report:?}"
    );
    assert!(
        !report.output.contains(&0),
        "no zero byte reaches a variable"
    );
}

#[test]
fn an_early_close_is_a_bad_reply() {
    let silent = Peer::new(|mut stream| {
        head(&mut stream);
    });
    assert_down(
        &get(&silent, &[]),
        Reason::Reply,
        "closed without an answer",
    );
    assert_down(
        &get(&silent, &["-m", "x"]),
        Reason::Reply,
        "closed without an answer",
    );
    let cut = Peer::answering("HTT");
    assert_down(&get(&cut, &[]), Reason::Reply, "not an HTTP response: HTT");
}

#[test]
fn a_reset_is_told_as_one() {
    let peer = Peer::new(reset);
    let report = get(&peer, &[]);
    let text = format!("connection reset by {}", peer.address);
    assert_down(&report, Reason::Refused, &text);
}

#[test]
fn redirects_are_not_followed() {
    let peer = Peer::answering("HTTP/1.0 302 Found\r\nLocation: /\r\nContent-Length: 0\r\n\r\n");
    let report = get(&peer, &[]);
    assert_eq!(only(&report).0, HostVerdict::Up);
    assert_eq!(peer.connections(), 1);
    let peer = Peer::answering("HTTP/1.0 307 Again\r\nLocation: /\r\nContent-Length: 0\r\n\r\n");
    assert_down(&get(&peer, &[]), Reason::Status, "status 307 Again");
    assert_eq!(peer.connections(), 1);
}

#[test]
fn interim_answers_are_read_over() {
    let peer = Peer::answering(
        "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>; rel=preload\r\n\r\n\
         HTTP/1.1 200 OK\r\nServer: x\r\nContent-Length: 2\r\n\r\nok",
    );
    let report = get(&peer, &[]);
    assert_eq!(only(&report).0, HostVerdict::Up, "{report:?}");
    assert_eq!(
        text(&report),
        "\nHOST 127.0.0.1: ok\nHTTP/1.1 200 OK\r\nServer: x\r\nContent-Length: 2\n\n"
    );
    assert_eq!(only(&get(&peer, &["-m", "ok$"])).0, HostVerdict::Up);
    assert_down(
        &get(&peer, &["-m", "Continue|Early"]),
        Reason::Body,
        "Regex match failed",
    );

    let peer = Peer::answering("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 500 Oh no\r\n\r\n");
    assert_down(&get(&peer, &[]), Reason::Status, "status 500 Oh no");

    let dripping = Peer::new(|mut stream| {
        head(&mut stream);
        for byte in b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n\r\n" {
            say(&mut stream, &[*byte]);
        }
    });
    assert_eq!(only(&get(&dripping, &[])).0, HostVerdict::Up);
}

#[test]
fn interim_answers_without_a_final_one_are_a_bad_reply() {
    let peer = Peer::answering("HTTP/1.1 100 Continue\r\n\r\n");
    let text = "closed after interim answers, without a final one";
    assert_down(&get(&peer, &[]), Reason::Reply, text);
    assert_down(&get(&peer, &["-m", "x"]), Reason::Reply, text);
    // Nobody asked for another protocol, so nothing else can follow.
    let peer = Peer::new(|mut stream| {
        head(&mut stream);
        say(&mut stream, b"HTTP/1.1 101 Switching Protocols\r\n\r\n");
        until_closed(&mut stream);
    });
    assert_down(
        &get(&peer, &["-t", "15"]),
        Reason::Status,
        "status 101 Switching Protocols",
    );
}

#[test]
fn interim_answers_without_end_stop_at_a_bound() {
    let peer = Peer::new(|mut stream| {
        head(&mut stream);
        while say(&mut stream, b"HTTP/1.1 102 Processing\r\n\r\n") {}
    });
    for more in [&["-t", "15"][..], &["-t", "15", "-m", "x"]] {
        let report = get(&peer, more);
        assert_down(
            &report,
            Reason::Reply,
            "no final answer within 65536 bytes of interim ones",
        );
        assert!(report.took < Duration::from_secs(5), "{report:?}");
    }
    let slow = Peer::new(|mut stream| {
        head(&mut stream);
        drip(&mut stream, b"HTTP/1.1 102 Processing\r\n\r\n");
    });
    let report = get(&slow, &["-t", "0.7"]);
    assert_down(&report, Reason::Timeout, "timeout after 0.7 seconds");
}

#[test]
fn a_connection_kept_alive_costs_no_time() {
    let peer = Peer::new(|mut stream| {
        head(&mut stream);
        say(&mut stream, GOOD.as_bytes());
        until_closed(&mut stream);
    });
    for more in [&["-t", "15"][..], &["-t", "15", "-m", "ok$"]] {
        let report = get(&peer, more);
        assert_eq!(only(&report).0, HostVerdict::Up);
        assert!(report.took < Duration::from_secs(5), "{report:?}");
    }
}

#[test]
fn a_half_closed_server_is_judged_by_what_it_said() {
    let peer = Peer::new(|mut stream| {
        head(&mut stream);
        say(&mut stream, b"HTTP/1.0 200 OK\r\nServer: x\r\n");
        stream
            .shutdown(std::net::Shutdown::Write)
            .expect("half of the connection closes");
        until_closed(&mut stream);
    });
    assert_eq!(only(&get(&peer, &[])).0, HostVerdict::Up);
}

#[test]
fn an_answer_in_two_writes_is_waited_for() {
    let (heard, hear) = mpsc::channel();
    let peer = Peer::new(move |mut stream| {
        head(&mut stream);
        say(&mut stream, b"HTTP/1.0 200 OK\r\nContent-Length: 4\r\n\r\n");
        let listens = rest(&mut stream, Duration::from_millis(50));
        let _ = heard.send(listens && say(&mut stream, b"body"));
        until_closed(&mut stream);
    });
    assert_eq!(only(&get(&peer, &[])).0, HostVerdict::Up);
    assert_eq!(hear.recv_timeout(SOON), Ok(true));
}

#[test]
fn ipv6_is_checked_too() {
    let peer = Peer::at(Ipv6Addr::LOCALHOST.into(), |mut stream| {
        head(&mut stream);
        say(&mut stream, GOOD.as_bytes());
    });
    let report = check("http.monitor", &["-p", &peer.port()], &["::1", "both.test"]);
    assert_eq!(exit(&report), 0, "{report:?}");
}

#[test]
fn failing_hosts_come_first_and_sorted() {
    let peer = Peer::answering(GOOD);
    let report = check(
        "http.monitor",
        &["-p", &peer.port()],
        &["127.0.0.9", "127.0.0.1", "127.0.0.10"],
    );
    let output = text(&report);
    let lines: Vec<&str> = output
        .lines()
        .filter(|line| line.starts_with("HOST") || line.starts_with("127"))
        .collect();
    let port = peer.port();
    assert_eq!(
        lines,
        [
            "127.0.0.10 127.0.0.9".to_owned(),
            format!("HOST 127.0.0.9: connection refused by 127.0.0.9:{port}"),
            format!("HOST 127.0.0.10: connection refused by 127.0.0.10:{port}"),
            "HOST 127.0.0.1: ok".to_owned(),
        ]
    );
}

#[test]
fn a_dropped_check_closes_its_connections() {
    let (asked, was_asked) = tokio::sync::oneshot::channel();
    let asked = Mutex::new(Some(asked));
    let (closed, close) = mpsc::channel();
    let peer = Peer::new(move |mut stream| {
        head(&mut stream);
        let asked = asked.lock().expect("nobody panicked").take();
        let _ = asked.map(|asked| asked.send(()));
        until_closed(&mut stream);
        closed.send("closed").expect("the test listens");
    });
    let folder = crate::support::TempDir::new();
    let options = super::options("http.monitor", &["-p", &peer.port()]);
    let tools = super::tools(&folder);
    super::run(async {
        let hosts = [lvsmon::model::HostName::new("127.0.0.1")];
        let check = lvsmon::monitor::check(&options, &hosts, &tools);
        tokio::select! {
            report = check => panic!("the server never answers: {report:?}"),
            asked = was_asked => asked.expect("one connection"),
        }
        // The connection belongs to a task, which ends when the runtime runs again.
        tokio::task::yield_now().await;
    });
    assert_eq!(close.recv_timeout(SOON), Ok("closed"));
}
