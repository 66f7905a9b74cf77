//! The built-in `ftp`.

use std::io::Read;
use std::net::TcpStream;
use std::time::Duration;

use lvsmon::engine::event::{HostVerdict, Reason, Report};

use super::peer::{Peer, drip, reset, say, until_closed};
use super::{SOON, check, only, text};

fn ftp(peer: &Peer, limit: &str) -> Report {
    check(
        "ftp.monitor",
        &["-p", &peer.port(), "-t", limit],
        &["127.0.0.1"],
    )
}

/// A server that greets, waits for `quit`, and answers with `goodbye`.
fn server(greeting: &'static str, goodbye: &'static str) -> Peer {
    Peer::new(move |mut stream| {
        say(&mut stream, greeting.as_bytes());
        if line(&mut stream) == "quit\r\n" {
            say(&mut stream, goodbye.as_bytes());
        }
    })
}

fn line(stream: &mut TcpStream) -> String {
    let mut line = String::new();
    let mut byte = [0];
    while !line.ends_with('\n') && stream.read(&mut byte).is_ok_and(|length| length == 1) {
        line.push(char::from(byte[0]));
    }
    line
}

#[track_caller]
fn assert_down(report: &Report, reason: Reason, text: &str) {
    assert_eq!(only(report), (HostVerdict::Down(reason), text));
    assert!(report.took < SOON, "{report:?}");
}

#[test]
fn the_dialogue_is_shown_as_the_script_shows_it() {
    let peer = server("220-hi\r\n220 hello\r\n", "221-so\r\n221 bye\r\n");
    let report = ftp(&peer, "10");
    assert_eq!(only(&report).0, HostVerdict::Up);
    let rule = "=".repeat(78);
    assert_eq!(
        text(&report),
        format!(
            "\n\n127.0.0.1 succeeded\ndetail for 127.0.0.1\n{rule}\n    < 220-hi\r\n    < 220 hello\r\n    \
             > quit\n    < 221-so\r\n    < 221 bye\r\n\n"
        )
    );
}

#[test]
fn a_server_that_refuses_is_told_in_its_own_words() {
    let peer = Peer::new(|mut stream| {
        say(&mut stream, b"421 too many users\r\n");
        until_closed(&mut stream);
    });
    let report = ftp(&peer, "15");
    assert_down(
        &report,
        Reason::Status,
        "no 220 greeting but: 421 too many users",
    );
    assert!(report.took < Duration::from_secs(5));
    let rule = "=".repeat(78);
    assert_eq!(
        text(&report),
        format!(
            "127.0.0.1\n127.0.0.1 failed with error no 220 greeting but: 421 too many users\n\
             detail for 127.0.0.1\n{rule}\n    < 421 too many users\r\n\n\n"
        )
    );
}

#[test]
fn verdicts_after_quit_are_those_of_the_script() {
    let without_answer = server("220 hello\r\n", "");
    assert_eq!(only(&ftp(&without_answer, "10")).0, HostVerdict::Up);
    let with_error = server("220 hello\r\n", "500 what?\r\n");
    assert_down(
        &ftp(&with_error, "10"),
        Reason::Reply,
        "FTP server error after quit",
    );
    let stays_open = Peer::new(|mut stream| {
        say(&mut stream, b"220 hello\r\n");
        line(&mut stream);
        say(&mut stream, b"221 bye\r\n");
        until_closed(&mut stream);
    });
    assert_down(
        &ftp(&stays_open, "0.5"),
        Reason::Timeout,
        "timeout after 0.5 seconds",
    );
    let hangs_up = Peer::new(|mut stream| {
        say(&mut stream, b"220 hello\r\n");
        reset(stream);
    });
    assert_eq!(only(&ftp(&hangs_up, "10")).0, HostVerdict::Up);
}

#[test]
fn a_banner_without_end_is_a_bad_reply() {
    let many_lines = Peer::new(|mut stream| while say(&mut stream, b"220-and more\r\n") {});
    let report = ftp(&many_lines, "15");
    assert_down(&report, Reason::Reply, "more than 1000 lines and no end");
    assert!(report.output.len() < 20_000, "the output stays small");
    let one_line = Peer::new(|mut stream| while say(&mut stream, &[b'2'; 1_000]) {});
    assert_down(
        &ftp(&one_line, "15"),
        Reason::Reply,
        "a line is longer than 4096 bytes",
    );
}

#[test]
fn a_dripping_banner_ends_at_the_deadline() {
    let peer = Peer::new(|mut stream| drip(&mut stream, b"220-drip\r\n"));
    assert_down(
        &ftp(&peer, "0.7"),
        Reason::Timeout,
        "timeout after 0.7 seconds",
    );
}

#[test]
fn silence_a_close_and_a_reset_differ() {
    let silent = Peer::new(|mut stream| until_closed(&mut stream));
    assert_down(
        &ftp(&silent, "0.3"),
        Reason::Timeout,
        "timeout after 0.3 seconds",
    );
    let closing = Peer::new(drop);
    assert_down(
        &ftp(&closing, "10"),
        Reason::Reply,
        "closed without a 220 greeting",
    );
    let port = crate::support::free_port().to_string();
    let report = check("ftp.monitor", &["-p", &port], &["127.0.0.1"]);
    assert_down(
        &report,
        Reason::Refused,
        &format!("connection refused by 127.0.0.1:{port}"),
    );
}
