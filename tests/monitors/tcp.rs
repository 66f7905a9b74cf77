//! The built-in `tcp`.

use std::net::{Ipv6Addr, TcpListener, TcpStream};
use std::time::Duration;

use lvsmon::engine::event::{HostVerdict, Reason};

use super::peer::{Peer, until_closed};
use super::{check, exit, only, summary, text};
use crate::support::{free_port, free_port_at};

#[test]
fn a_listener_is_up_and_nothing_is_printed() {
    let peer = Peer::new(|mut stream| until_closed(&mut stream));
    let report = check("tcp.monitor", &["-p", &peer.port()], &["127.0.0.1", "here"]);
    assert_eq!((exit(&report), text(&report).as_str()), (0, ""));
    assert!(
        report
            .hosts
            .iter()
            .all(|host| host.verdict == HostVerdict::Up)
    );
}

#[test]
fn a_refused_connection_is_told_apart_from_an_unknown_name() {
    let port = free_port();
    let report = check(
        "tcp.monitor",
        &["-p", &port.to_string()],
        &["nosuch.test", "127.0.0.1"],
    );
    assert_eq!(exit(&report), 1);
    let expected = "127.0.0.1 nosuch.test\n\n\
         nosuch.test could not be resolved: cannot resolve \"nosuch.test\": not in the hosts file, \
         and no name server is known (";
    assert!(text(&report).starts_with(expected), "{}", text(&report));
    let last = format!("127.0.0.1 could not connect: connection refused by 127.0.0.1:{port}\n");
    assert!(text(&report).ends_with(&last), "{}", text(&report));
    let verdicts: Vec<HostVerdict> = report.hosts.iter().map(|host| host.verdict).collect();
    assert_eq!(
        verdicts,
        [
            HostVerdict::Down(Reason::Dns),
            HostVerdict::Down(Reason::Refused)
        ]
    );
}

#[test]
fn one_bad_host_among_good_ones_is_the_only_one_named() {
    let peer = Peer::new(|mut stream| until_closed(&mut stream));
    let report = check(
        "tcp.monitor",
        &["-p", &peer.port()],
        &["127.0.0.1", "127.0.0.9", "here"],
    );
    assert_eq!((exit(&report), summary(&report).as_str()), (1, "127.0.0.9"));
}

#[test]
fn ipv6_is_checked_too() {
    let peer = Peer::at(Ipv6Addr::LOCALHOST.into(), |mut stream| {
        until_closed(&mut stream);
    });
    for host in ["::1", "[::1]", "v6.test"] {
        let report = check("tcp.monitor", &["-p", &peer.port()], &[host]);
        assert_eq!(only(&report).0, HostVerdict::Up, "{host}");
    }
    let port = free_port_at(Ipv6Addr::LOCALHOST.into()).to_string();
    let report = check("tcp.monitor", &["-p", &port], &["::1"]);
    assert_eq!(
        only(&report),
        (
            HostVerdict::Down(Reason::Refused),
            format!("connection refused by [::1]:{port}").as_str()
        )
    );
}

#[test]
fn the_first_address_that_connects_is_enough() {
    let peer = Peer::at(Ipv6Addr::LOCALHOST.into(), |mut stream| {
        until_closed(&mut stream);
    });
    let report = check("tcp.monitor", &["-p", &peer.port()], &["both.test"]);
    assert_eq!(only(&report).0, HostVerdict::Up);
}

/// A listener that swallows connections: its queue is as short as can be, and full.
pub(super) fn full_listener(address: [u8; 4], port: u16) -> (TcpListener, Vec<TcpStream>) {
    let listener = super::run(async {
        let socket = tokio::net::TcpSocket::new_v4().expect("a socket");
        socket.set_reuseaddr(true).expect("an option of the socket");
        socket.bind((address, port).into()).expect("a port");
        let listener = socket.listen(0).expect("a listener");
        listener.into_std().expect("a listener without runtime")
    });
    let address = listener.local_addr().expect("its address");
    let mut fillers = Vec::new();
    while let Ok(filler) = TcpStream::connect_timeout(&address, Duration::from_millis(300)) {
        fillers.push(filler);
        assert!(fillers.len() < 100, "the queue never fills");
    }
    (listener, fillers)
}

#[test]
fn a_connection_that_is_never_taken_ends_in_time() {
    let (listener, _fillers) = full_listener([127, 0, 0, 1], 0);
    let port = listener.local_addr().expect("its address").port();
    let args = ["-p", &port.to_string(), "-t", "0.3"];
    let report = check("tcp.monitor", &args, &["127.0.0.1"]);
    assert_eq!(only(&report).0, HostVerdict::Down(Reason::Timeout));
    assert_eq!(text(&report), "127.0.0.1\n\n127.0.0.1 timeout\n");
    assert!(report.took < super::SOON);
}

#[test]
fn a_dead_address_leaves_time_for_the_next() {
    // two.test is 127.0.0.2, where connections are swallowed, then 127.0.0.1.
    let port = free_port();
    let _good = TcpListener::bind(("127.0.0.1", port)).expect("a free port");
    let (_dead, _fillers) = full_listener([127, 0, 0, 2], port);
    let args = ["-p", &port.to_string(), "-t", "2"];
    let report = check("tcp.monitor", &args, &["two.test"]);
    assert_eq!(only(&report).0, HostVerdict::Up, "{report:?}");
}

#[test]
fn hosts_are_checked_at_the_same_time() {
    let peer = Peer::new(|mut stream| until_closed(&mut stream));
    let hosts: Vec<String> = (0..250).map(|n| format!("127.0.1.{n}")).collect();
    let hosts: Vec<&str> = hosts.iter().map(String::as_str).chain(["here"]).collect();
    let report = check("tcp.monitor", &["-p", &peer.port()], &hosts);
    assert_eq!(report.hosts.len(), 251);
    assert_eq!(report.hosts[250].verdict, HostVerdict::Up);
    assert!(
        report.hosts[..250]
            .iter()
            .all(|host| host.verdict == HostVerdict::Down(Reason::Refused))
    );
    assert_eq!(summary(&report).split(' ').count(), 250);
}

#[test]
fn without_hosts_it_is_an_empty_success() {
    let report = check("tcp.monitor", &[], &[]);
    assert_eq!((exit(&report), text(&report).as_str()), (0, ""));
    assert!(report.hosts.is_empty());
}
