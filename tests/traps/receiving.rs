//! What the daemon makes of packets, whoever sent them.

use std::collections::BTreeMap;
use std::net::UdpSocket;
use std::path::Path;
use std::process::{Command, Stdio};

use super::site::{COMMANDS, LIMIT, Site, packet, services};
use crate::support::{self, have, skip, wait_until};

/// Of "secret", made by crypt(3).
const HASHES: [(&str, &str); 4] = [
    ("des", "abNANd1rDfiNc"),
    ("apr1", "$apr1$saltsalt$LrttParrLPdxvgutaSXWJ0"),
    (
        "sha",
        "$5$saltstring$C3o4O1TC6aRHF4FI.QSZMXtHbaj2gSXr4sUc/3NcUi.",
    ),
    (
        "yes",
        "$y$j75$abcdefghijklmnop$vZlXu1XtxOBWRxjOpQqONp1WYfMO0dN.H4xeSMU2ZvC",
    ),
];

/// What a flood of packets may add to a daemon's memory, in kB: the queue holds small ones.
const GROWTH_MAX_KB: u64 = 16_000;

/// The state that a trap leaves, without what differs from service to service.
fn state(site: &Site, service: &str) -> BTreeMap<String, String> {
    site.wait(service, "opstatus", "0");
    let mut fields = site.fields(service);
    let now = fields["last_trap"].parse::<i64>().expect("a time");
    assert!(now > 1_500_000_000, "{fields:?}");
    for field in [
        "service",
        "last_trap",
        "last_failure",
        "first_failure",
        "failure_duration",
    ] {
        fields.remove(field);
    }
    fields
}

#[test]
fn every_program_that_sends_traps_makes_the_same_change() {
    let test = "every_program_that_sends_traps_makes_the_same_change";
    let classic = "/usr/lib/mon/alert.d/trap.alert";
    let perl = Command::new("perl")
        .args(["-MMon::Client", "-e", "1"])
        .status();
    if !Path::new(classic).exists() || !have("perl") || !perl.is_ok_and(|end| end.success()) {
        return skip(test, "mon and mon-client");
    }
    // mon's own program sends to this port and no other.
    let (bind, port) = ("127.83.7.2", 2583);
    if UdpSocket::bind((bind, port)).is_err() {
        return skip(test, "the port of mon on 127.83.7.2");
    }
    let names = ["hand", "library", "classic", "ours", "alert"];
    let auth = format!("{COMMANDS}trap section\n127.0.0.1 joe {}\n", HASHES[2].1);
    let site = Site::start_at(bind, port, &services(&names), &auth);

    send_by_hand_and_by_the_library(&site, (bind, port));
    send_by_programs(&site, classic, bind);
    let expected = state(&site, "hand");
    for (field, value) in [
        ("exitval", "3"),
        ("last_summary", "it\\27s\\20down"),
        ("last_detail", "\\0amore\\0aof\\20it"),
        ("last_trapaddr", "127.0.0.1"),
    ] {
        assert_eq!(
            expected.get(field).map(String::as_str),
            Some(value),
            "{field}: {expected:?}"
        );
    }
    for name in &names[1..] {
        assert_eq!(state(&site, name), expected, "{name}");
    }
}

/// The same report, as a packet of ours and as one of Perl's Mon::Client.
fn send_by_hand_and_by_the_library(site: &Site, (bind, port): (&str, u16)) {
    site.send(
        "sum='it\\27s\\20down'\npro='0.3807'\nsta='3'\nusr='joe'\npas='secret'\ndtl='more\\0aof\\20it'\n\
         x-unknown: 1\nxyz='2'\nsvc='hand'\ngrp=tg\n",
    );
    let library = "my $c = new Mon::Client(host => $ARGV[0], port => $ARGV[1], username => 'joe', password => 'secret');
        $c->send_trap(group => 'tg', service => 'library', retval => 3, opstatus => 'fail', summary => \"it's down\", detail => \"more\\nof it\") or die $c->error;";
    let sent = Command::new("perl")
        .args(["-MMon::Client", "-e", library, bind, &port.to_string()])
        .status();
    assert!(sent.expect("perl runs").success());
}

/// The same report, from mon's own trap.alert, from ours, and from `lvsmon trap`.
fn send_by_programs(site: &Site, classic: &str, bind: &str) {
    let as_alert = |command: &mut Command, service: &str| {
        let input = site.folder.write("input", "it's down\nmore\nof it\n");
        let input = std::fs::File::open(input).expect("its input");
        command
            .args([
                "-s",
                service,
                "-g",
                "tg",
                "-h",
                "tg",
                "-t",
                "1795215956",
                "-U",
                "joe",
            ])
            .args(["-P", "secret", bind])
            .env("MON_GROUP", "tg")
            .env("MON_SERVICE", service)
            .env("MON_RETVAL", "3")
            .env("MON_OPSTATUS", "0")
            .stdin(Stdio::from(input));
        assert!(command.status().expect("it runs").success());
    };
    as_alert(&mut Command::new(classic), "classic");
    as_alert(&mut support::lvsmon(["alert", "trap"]), "alert");
    let mut ours = support::lvsmon(["trap", "-g", "tg", "-s", "ours", "-r", "3", "-U", "joe"]);
    ours.args(["-m", "it's down", "-d", "more\nof it", bind]);
    assert!(
        ours.env("MON_TRAP_PASS", "secret")
            .status()
            .expect("it runs")
            .success()
    );
}

#[test]
fn a_trap_is_taken_from_whom_auth_cf_names_and_from_nobody_else() {
    let mut auth = format!("{COMMANDS}trap section\n# who\n");
    for (user, hash) in HASHES {
        auth.push_str(&format!("127.0.0.1 {user} {hash}\n"));
    }
    auth.push_str("127.0.0.1 slow $2y$31$abcdefghijklmnopqrstuu2r9OfJnfCsdneAXAGHnS4UpFFP8WIrW\n");
    let users = HASHES.map(|(user, _)| user);
    let site = Site::start(&services(&[&users[..], &["none"]].concat()), &auth);
    for (user, password) in [
        ("des", "guess"),
        ("sha", ""),
        ("nobody", "secret"),
        ("", "secret"),
        ("", ""),
        // P-16
        ("*", ""),
        ("*", "secret"),
        ("slow", "secret"),
    ] {
        site.send(packet(user, password, "none", "bad"));
    }
    for user in users {
        // A new password waits while others are looked at.
        wait_until(&format!("the trap of {user}"), LIMIT, || {
            site.send(packet(user, "secret", user, "good"));
            site.fields(user)["opstatus"] == "0"
        });
        assert_eq!(site.fields(user)["last_summary"], "good");
    }
    // Packets are read in their order: the bad ones were refused, not late.
    let none = site.fields("none");
    assert_eq!(
        (none["opstatus"].as_str(), none["last_trap"].as_str()),
        ("7", "0"),
        "{none:?}"
    );
    let log = site.log();
    assert!(log.contains("trap refused"), "{log}");
    assert!(
        log.contains("asks for a cost") || log.contains("cost above 14"),
        "{log}"
    );
    for secret in ["guess", "secret", "NANd1rDfiNc", "saltstring", "abcdefghij"] {
        assert!(!log.contains(secret), "{secret} in the log:\n{log}");
    }
}

#[test]
fn reload_auth_changes_whose_traps_are_taken() {
    let site = Site::start(&services(&["ts"]), COMMANDS);
    site.send(packet("joe", "x", "ts", "before"));
    wait_until("the refusal", LIMIT, || site.log().contains("trap refused"));
    site.folder
        .write("auth.cf", format!("{COMMANDS}trap section\n* * -\n"));
    assert_eq!(site.ask("reload auth"), ["220 reload completed"]);
    // The thread hears of it after the client does.
    wait_until("the trap", LIMIT, || {
        site.send(packet("joe", "x", "ts", "after"));
        site.fields("ts")["last_summary"] == "after"
    });
}

#[test]
fn names_of_the_trap_section_are_looked_up() {
    let auth = format!("{COMMANDS}trap section\nno-such-host.invalid * -\nlocalhost * -\n");
    let site = Site::start(&services(&["ts"]), &auth);
    wait_until("the trap", LIMIT, || {
        site.send(packet("", "", "ts", "x"));
        site.fields("ts")["opstatus"] == "0"
    });
}

#[test]
fn packets_that_are_no_traps_do_no_harm() {
    let site = Site::start(
        &services(&["ts"]),
        &format!("{COMMANDS}trap section\n* * -\n"),
    );
    let mut random = fastrand::Rng::with_seed(11);
    let good = packet("joe", "x", "ts", "not this one");
    for number in 0..2_000_usize {
        let length = random.usize(0..2_000);
        match number % 5 {
            0 => site.send((0..length).map(|_| random.u8(..)).collect::<Vec<u8>>()),
            // Too short to have the status, or of a service that is not there.
            1 => site.send(&good[..random.usize(0..53)]),
            2 => site.send(packet("", "", &"\\".repeat(length), "\\zz\\")),
            3 => site.send(vec![b"='\n\\"[number / 5 % 4]; length]),
            _ => site.send(packet("'", "'", "ts\\00", "'\\0")),
        }
    }
    site.send(vec![b'x'; 65_507]);
    site.send(vec![b'\n'; 65_507]);
    site.send("a=".repeat(32_000));
    site.send([]);
    let long = "\\e4".repeat(21_000);
    wait_until("a good trap", LIMIT, || {
        site.send(packet("", "", "ts", &long));
        site.fields("ts")["opstatus"] == "0"
    });
    assert!(site.fields("ts")["last_summary"].len() > 20_000);
}

/// A-2: mon's program would send nothing here. D1: a file of that name wins over the built-in.
#[test]
fn a_trap_is_passed_on_by_trap_alert_or_by_a_file_of_that_name() {
    for has_file in [false, true] {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("a port");
        socket.set_read_timeout(Some(LIMIT)).expect("a limit");
        let upstream = socket.local_addr().expect("its address");
        let watches = format!(
            "\nwatch tg\n    service ts\n        description relayed\n        MON_TRAP_USER=joe\n        \
             MON_TRAP_PASS=s3cret\n        period wd {{Sun-Sat}}\n            alert trap.alert {upstream}\n"
        );
        let site = Site::prepare(
            &watches,
            &format!("{COMMANDS}trap section\n* * -\n"),
            |folder| {
                if has_file {
                    let text = "#!/bin/sh\necho \"$@\" > \"$MON_LOGDIR/called.new\" && mv \"$MON_LOGDIR/called.new\" \"$MON_LOGDIR/called\"\n";
                    folder.write_executable("alert.d/trap.alert", text);
                }
            },
        );
        site.send(packet("", "", "ts", "it\\27s\\20down"));
        if has_file {
            wait_until("the file", LIMIT, || site.folder.join("called").exists());
            let args = site.folder.read("called");
            assert!(
                args.contains("-T") && args.contains(&upstream.to_string()),
                "{args}"
            );
            continue;
        }
        let mut bytes = [0; 65_536];
        let length = socket.recv(&mut bytes).expect("the trap in time");
        let text = String::from_utf8_lossy(&bytes[..length]).into_owned();
        for line in [
            "usr='joe'",
            "pas='s3cret'",
            "grp='tg'",
            "svc='ts'",
            "sta='1'",
            "sum='it\\27s\\20down'",
        ] {
            assert!(text.lines().any(|is| is == line), "{line}: {text}");
        }
        assert!(!site.log().contains("s3cret"), "{}", site.log());
    }
}

fn resident_kb(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("it lives");
    let size = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let size = size.and_then(|line| line.split_whitespace().next()?.parse().ok());
    size.expect("a resident size")
}

#[test]
fn a_flood_of_wrong_passwords_keeps_no_known_sender_out() {
    let auth = format!("{COMMANDS}trap section\n127.0.0.1 joe {}\n", HASHES[2].1);
    let site = Site::start(&services(&["first", "second"]), &auth);
    site.send(packet("joe", "secret", "first", "known"));
    site.wait("first", "opstatus", "0");
    let before = resident_kb(site.daemon.0.id());
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a port");
    for number in 0..100_000 {
        let packet = packet("joe", &format!("guess{number}"), "second", "bad");
        // Where there is no room, the packet is lost.
        let _ = socket.send_to(packet.as_bytes(), &site.address);
    }
    // One of a few gets through at once: what is left in the socket is read in milliseconds.
    wait_until("the trap of a known sender", LIMIT, || {
        site.send(packet("joe", "secret", "second", "good"));
        site.fields("second")["last_summary"] == "good"
    });
    let growth = resident_kb(site.daemon.0.id()).saturating_sub(before);
    assert!(growth < GROWTH_MAX_KB, "{growth} kB more");
    let lines = site
        .log()
        .lines()
        .filter(|line| line.contains("trap refused"))
        .count();
    assert!(lines <= 2, "{lines} lines of log");
}
