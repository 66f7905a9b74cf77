//! The port for traps: when it is open, and what is said of packets that are refused.

use std::net::UdpSocket;
use std::time::Duration;

use super::site::{COMMANDS, LIMIT, Site, configure, packet, run, services};
use crate::support::{TempDir, free_port, free_udp_port, wait_until};

/// P-16 and P-17: what the log says of a trap of user `*`, and of a host without a line.
#[test]
fn the_log_says_whether_the_host_or_the_user_is_unknown() {
    for (entries, reason) in [
        ("", "no entry of the trap section is for this host"),
        (
            "10.9.9.9 * -\n",
            "no entry of the trap section is for this host",
        ),
        (
            "127.0.0.1 joe abNANd1rDfiNc\n",
            "no entry of the trap section for this host names this user",
        ),
    ] {
        let auth = format!("{COMMANDS}trap section\n{entries}");
        let site = Site::start(&services(&["ts"]), &auth);
        site.send(packet("*", "", "ts", "x"));
        wait_until("the refusal", LIMIT, || site.log().contains("trap refused"));
        let log = site.log();
        assert!(log.contains(reason), "{log}");
        assert!(log.contains("127.0.0.1"), "{log}");
        assert_eq!(site.fields("ts")["last_trap"], "0");
    }
}

#[test]
fn a_port_that_is_taken_ends_the_start() {
    let taken = UdpSocket::bind("127.0.0.1:0").expect("a port");
    let port = taken.local_addr().expect("its address").port();
    let folder = TempDir::new();
    let text = format!(
        "trapbind = 127.0.0.1\ntrapport = {port}\n{}",
        services(&["ts"])
    );
    configure(&folder, free_port(), &text, COMMANDS);
    let mut daemon = run(&folder);
    assert!(!daemon.wait(LIMIT).success());
    let log = folder.read("log");
    assert!(
        log.contains(&port.to_string()) && log.contains("trapport"),
        "{log}"
    );
}

/// D21: nobody may send anything, so nothing listens.
#[test]
fn without_a_line_for_traps_and_without_trapbind_there_is_no_port() {
    let folder = TempDir::new();
    let port = free_udp_port();
    let text = format!("trapport = {port}\n{}", services(&["ts"]));
    configure(&folder, free_port(), &text, COMMANDS);
    let mut daemon = run(&folder);
    wait_until("the port for clients", LIMIT, || {
        folder.read("log").contains("listening for clients")
    });
    UdpSocket::bind(("127.0.0.1", port)).expect("the port is free");
    daemon.signal(nix::sys::signal::Signal::SIGTERM);
    assert!(daemon.wait(LIMIT).success());
    assert!(!folder.read("log").contains("listening for traps"));
}

#[test]
fn a_stop_ends_the_thread_for_traps_too() {
    let mut site = Site::start(&services(&["ts"]), COMMANDS);
    site.daemon.signal(nix::sys::signal::Signal::SIGTERM);
    assert!(site.daemon.wait(Duration::from_secs(30)).success());
    assert!(
        !site.log().contains("did not end in time"),
        "{}",
        site.log()
    );
}
