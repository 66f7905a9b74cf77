//! All hosts of a group are checked at the same time: servers that answer nobody before
//! everybody has asked, and one that never answers.

use std::sync::{Arc, Barrier};
use std::time::Duration;

use lvsmon::engine::event::{HostVerdict, Reason};

use super::peer::{Peer, head, say};
use super::tcp::full_listener;
use super::{check, exit, text};

/// Three names of one address, so that one server sees all three.
const HOSTS: [&str; 3] = ["127.0.0.1", "here", "v4.test"];

#[test]
fn http_asks_all_hosts_before_any_has_answered() {
    let all_have_asked = Arc::new(Barrier::new(HOSTS.len()));
    let peer = Peer::new(move |mut stream| {
        head(&mut stream);
        all_have_asked.wait();
        say(&mut stream, b"HTTP/1.0 200 OK\r\n\r\n");
    });
    let report = check("http.monitor", &["-p", &peer.port(), "-t", "15"], &HOSTS);
    assert_eq!(exit(&report), 0, "{}", text(&report));
    assert_eq!(peer.connections(), HOSTS.len());
}

#[test]
fn ftp_waits_for_all_hosts_at_once() {
    let all_have_come = Arc::new(Barrier::new(HOSTS.len()));
    let peer = Peer::new(move |mut stream| {
        all_have_come.wait();
        say(&mut stream, b"220 hello\r\n");
        let mut quit = [0; 6];
        let _ = std::io::Read::read_exact(&mut stream, &mut quit);
        say(&mut stream, b"221 bye\r\n");
    });
    let report = check("ftp.monitor", &["-p", &peer.port(), "-t", "15"], &HOSTS);
    assert_eq!(exit(&report), 0, "{}", text(&report));
    assert_eq!(peer.connections(), HOSTS.len());
}

#[test]
fn tcp_gives_all_hosts_the_same_time() {
    let (listener, _fillers) = full_listener([127, 0, 0, 1], 0);
    let port = listener.local_addr().expect("its address").port();
    let args = ["-p", &port.to_string(), "-t", "4"];
    let report = check("tcp.monitor", &args, &HOSTS);
    let timeout = HostVerdict::Down(Reason::Timeout);
    assert!(report.hosts.iter().all(|host| host.verdict == timeout));
    // One after the other it were twelve.
    assert!(report.took < Duration::from_secs(11), "{report:?}");
}
