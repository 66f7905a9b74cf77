//! Traps with passwords that were not seen before: they wait, and are not dropped.
//!
//! All packets of a test are sent at once, so that most come while a password is looked at.

use std::collections::BTreeSet;
use std::net::UdpSocket;

use pwhash::{bcrypt, sha512_crypt};

use super::site::{COMMANDS, LIMIT, Site, packet, services};
use crate::support::wait_until;

/// Senders at once, each with an address of its own.
const SENDERS: u32 = 30;

fn address(number: u32) -> String {
    format!("127.0.0.{}", number + 2)
}

/// A line of the trap section, with a hash of "secret" that no other line has.
fn line(number: u32) -> String {
    let hash = if number.is_multiple_of(2) {
        sha512_crypt::hash_with(&*format!("$6$rounds=1000$salt{number}$"), "secret")
    } else {
        let salt = format!("saltsaltsaltsalt{number:05}.");
        let setup = bcrypt::BcryptSetup {
            salt: Some(&salt),
            cost: Some(4),
            variant: Some(bcrypt::BcryptVariant::V2b),
        };
        bcrypt::hash_with(setup, "secret")
    };
    format!(
        "{} user{number} {}\n",
        address(number),
        hash.expect("a hash")
    )
}

fn names() -> Vec<String> {
    (0..SENDERS).map(|number| format!("s{number}")).collect()
}

fn site() -> Site {
    let names = names();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let lines: String = (0..SENDERS).map(line).collect();
    // The attacker's own entry is the dearest.
    let auth = format!(
        "{COMMANDS}trap section\n{lines}127.0.0.1 joe {}\n",
        bcrypt::hash_with(
            bcrypt::BcryptSetup {
                salt: None,
                cost: Some(8),
                variant: None,
            },
            "secret"
        )
        .expect("a hash")
    );
    Site::start(&services(&names), &auth)
}

fn sender(number: u32) -> UdpSocket {
    UdpSocket::bind((address(number), 0)).expect("a port")
}

fn send(site: &Site, from: &UdpSocket, text: &str) {
    let sent = from.send_to(text.as_bytes(), &site.address);
    sent.expect("a datagram that the system takes");
}

/// Waits until the daemon has read what was sent, so that the socket has room again.
fn wait_until_read(site: &Site) {
    let (_, port) = site.address.rsplit_once(':').expect("a port");
    let own = format!("0100007F:{:04X}", port.parse::<u16>().expect("a number"));
    wait_until("an empty socket", LIMIT, || {
        let list = std::fs::read_to_string("/proc/net/udp").expect("the list of sockets");
        list.lines().any(|line| {
            let words: Vec<&str> = line.split_whitespace().collect();
            // Sent and received bytes that wait.
            words.get(1) == Some(&own.as_str()) && words[4].ends_with(":00000000")
        })
    });
}

/// Each sender's one trap; they fit into an empty socket.
fn send_all(site: &Site) {
    wait_until_read(site);
    for number in 0..SENDERS {
        let text = packet(
            &format!("user{number}"),
            "secret",
            &format!("s{number}"),
            "good",
        );
        send(site, &sender(number), &text);
    }
}

fn wait_for_all(site: &Site) {
    let mut missing: BTreeSet<String> = names().into_iter().collect();
    wait_until("the traps of all senders", LIMIT, || {
        missing.retain(|name| site.fields(name)["last_summary"] != "good");
        missing.is_empty()
    });
}

#[test]
fn each_of_30_senders_at_once_is_heard_after_a_start() {
    let site = site();
    send_all(&site);
    wait_for_all(&site);
    assert!(!site.log().contains("refused"), "{}", site.log());
}

#[test]
fn wrong_passwords_of_one_sender_keep_no_new_sender_out() {
    let site = site();
    let attacker = UdpSocket::bind("127.0.0.1:0").expect("a port");
    for number in 0..200 {
        let text = packet("joe", &format!("guess{number}"), "s0", "bad");
        send(&site, &attacker, &text);
    }
    // Rubbish, unknown users and hosts beside.
    for number in 0..2_000_u32 {
        let text = match number % 3 {
            0 => "rubbish".to_owned(),
            1 => packet("nobody", "x", "s0", "bad"),
            _ => packet("user1", &format!("{number}"), "s0", "bad"),
        };
        send(&site, &attacker, &text);
        // Fewer than the socket has room for, so that every one is read.
        if number % 100 == 99 {
            wait_until_read(&site);
        }
    }
    send_all(&site);
    wait_for_all(&site);
    let log = site.log();
    assert!(!log.contains("guess"), "{log}");
}

#[test]
fn a_wrong_trap_right_before_the_right_one_does_not_cost_it() {
    let site = site();
    let socket = sender(1);
    send(&site, &socket, &packet("user1", "wrong", "s1", "bad"));
    send(&site, &socket, &packet("user1", "secret", "s1", "good"));
    site.wait("s1", "last_summary", "good");
    wait_until("the refusal", LIMIT, || {
        site.log().contains("wrong password")
    });
}

/// Among them a trap whose password is known by then, behind one whose is not.
#[test]
fn a_failure_and_its_recovery_keep_their_order_while_they_wait() {
    let site = {
        let lines = format!("{}{}", line(1), line(3).replace(&address(3), &address(1)));
        Site::start(
            &services(&["ts", "other"]),
            &format!("{COMMANDS}trap section\n{lines}"),
        )
    };
    let socket = sender(1);
    send(&site, &socket, &packet("user3", "secret", "other", "known"));
    site.wait("other", "last_summary", "known");
    let good = |text: String| text.replace("sta='1'", "sta='0'");
    for number in 0..5 {
        let text = packet("user1", &format!("wrong{number}"), "ts", "bad");
        send(&site, &socket, &text);
    }
    send(&site, &socket, &packet("user1", "secret", "ts", "down"));
    let last = good(packet("user3", "secret", "ts", "recovered"));
    send(&site, &socket, &last);
    site.wait("ts", "last_summary", "recovered");
    let fields = site.fields("ts");
    assert_eq!(fields["opstatus"], "1", "{fields:?}");
    // A failure that came late would be the last word, and one that was lost would be in no log.
    let log = site.log();
    assert!(log.contains("summary=\"down\""), "{log}");
}

/// What has no room is told with its sender and an example.
#[test]
fn a_sender_of_whom_too_much_waits_is_named_in_the_log() {
    let site = site();
    let attacker = UdpSocket::bind("127.0.0.1:0").expect("a port");
    let mut number = 0;
    wait_until("a full share", LIMIT, || {
        for _ in 0..100 {
            number += 1;
            let text = packet("joe", &format!("guess{number}"), "s0", "bad");
            send(&site, &attacker, &text);
        }
        site.log().contains("too many traps of this sender wait")
    });
    let log = site.log();
    let told = log
        .lines()
        .find(|line| line.contains("too many traps of this sender wait"))
        .expect("its line");
    for part in ["127.0.0.1", "joe", "tg", "s0"] {
        assert!(told.contains(part), "{part}: {told}");
    }
}
