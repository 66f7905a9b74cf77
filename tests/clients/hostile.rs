//! Clients that mean harm, all against one daemon: checks keep their schedule, the memory is
//! bounded, and who asks properly is answered.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpStream};

use super::daemon::{Client, LIMIT, OPEN, Served};
use crate::support::{have, skip, wait_for, wait_until};

/// Clients at once. The test itself needs a file for each.
const CLIENTS: usize = 2_000;

/// Growth of memory that so many clients may cause, in KiB: some 10 KiB each.
const GROWTH_MAX: u64 = 40 * 1024;

/// Lets the test open so many files.
fn raise_file_limit() {
    use nix::sys::resource::{Resource, getrlimit, setrlimit};
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
    setrlimit(Resource::RLIMIT_NOFILE, hard.min(8_192), hard).unwrap();
}

/// Checks go on while the clients are there.
fn checks_go_on(served: &Served) {
    let before = served.runs();
    wait_until("four more runs of two monitors", LIMIT, || {
        served.runs() >= before + 8
    });
}

#[test]
fn two_thousand_clients_at_once_are_all_answered_and_delay_no_check() {
    raise_file_limit();
    let served = Served::open();
    served.wait_for_reports();
    let before = served.memory();
    let mut clients: Vec<Client> = (0..CLIENTS).map(|_| served.client()).collect();
    for client in &mut clients {
        client.send("list opstatus\nlist watch\n");
    }
    checks_go_on(&served);
    for client in &mut clients {
        assert_eq!(client.reply().len(), 4);
        assert_eq!(client.reply().len(), 4);
    }
    let growth = served.memory().saturating_sub(before);
    assert!(growth < GROWTH_MAX, "{growth} KiB more");
    // Half-open ones among them say nothing more, and are not in the way.
    checks_go_on(&served);
    assert_eq!(served.client().ask("list state").len(), 2);
}

#[test]
fn a_line_of_a_hundred_megabytes_is_refused_and_takes_no_memory() {
    let served = Served::open();
    served.wait_for_reports();
    let before = served.memory();
    let mut client = served.client();
    let piece = vec![b'a'; 1 << 20];
    for _ in 0..100 {
        // The daemon closes long before the end.
        if client.stream.write_all(&piece).is_err() {
            break;
        }
    }
    let growth = served.memory().saturating_sub(before);
    assert!(growth < 8 * 1024, "{growth} KiB more");
    checks_go_on(&served);
    let mut client = served.client();
    client.send(vec![b'a'; 70_000]);
    assert_eq!(client.line().as_deref(), Some("520 invalid command"));
    assert_eq!(client.line(), None);
}

#[test]
fn wrong_logins_fill_no_log_and_all_are_counted_at_a_stop() {
    let mut served = Served::with("authtype = userfile", OPEN);
    served.wait_for_reports();
    let mut client = served.client();
    let name = "x".repeat(60_000);
    let before = served.folder.read("log").len();
    for _ in 0..100 {
        let answer = client.ask(&format!("login {name} guess"));
        assert_eq!(answer, ["530 login unsuccessful"]);
    }
    let log = served.folder.read("log");
    let said = log.matches("login refused").count();
    assert!(said <= 1, "the others wait for the end of the minute");
    assert!(log.len() < before + 10_000, "{}", log.len());
    served.running.signal(nix::sys::signal::Signal::SIGTERM);
    assert!(served.running.wait(LIMIT).success());
    let log = served.folder.read("log");
    let of_line = |line: &str| -> Option<u64> {
        if line.contains("more logins refused") {
            line.split_once("count=")?.1.split(' ').next()?.parse().ok()
        } else {
            line.contains("login refused").then_some(1)
        }
    };
    let told: u64 = log.lines().filter_map(of_line).sum();
    assert_eq!(told, 100, "{log}");
}

#[test]
fn clients_that_never_read_hold_up_themselves_only() {
    let served = Served::open();
    served.wait_for_reports();
    let before = served.memory();
    let mut deaf: Vec<TcpStream> = (0..50).map(|_| served.client().stream).collect();
    let requests = "list opstatus\n".repeat(2_000);
    for stream in &mut deaf {
        stream.set_nonblocking(true).unwrap();
        // As much as both systems take; nothing of the answers is read.
        let mut rest = requests.as_bytes();
        while let Ok(length) = stream.write(rest) {
            rest = &rest[length..];
            if rest.is_empty() {
                break;
            }
        }
    }
    checks_go_on(&served);
    let growth = served.memory().saturating_sub(before);
    assert!(growth < 20 * 1024, "{growth} KiB more");
    assert_eq!(served.client().ask("list state").len(), 2);
}

#[test]
fn half_open_clients_end_with_their_time_and_make_room() {
    let served = Served::with("cltimeout = 1s", "list: all\n");
    let mut half: Vec<TcpStream> = (0..200).map(|_| served.client().stream).collect();
    for stream in &mut half {
        stream.write_all(b"list sta").unwrap();
    }
    for mut stream in half {
        let mut rest = Vec::new();
        // Closed by the daemon, without a word.
        let ended = wait_for("the end of a half-open client", LIMIT, || {
            stream.read_to_end(&mut rest).ok()
        });
        assert_eq!(ended, 0);
        let _ = stream.shutdown(Shutdown::Both);
    }
    assert_eq!(served.client().ask("list state").len(), 2);
}

#[test]
fn many_who_test_the_configuration_at_once_take_one_reading_at_a_time() {
    if !have("m4") {
        return skip(
            "many_who_test_the_configuration_at_once_take_one_reading_at_a_time",
            "m4",
        );
    }
    let served = Served::open();
    let place = served.folder.path().display();
    let slow = format!(
        "esyscmd(mkdir {place}/lock 2>/dev/null || echo >>{place}/two; echo >>{place}/m4.runs; \
         until test -e {place}/go; do sleep 0.02; done; rmdir {place}/lock)dnl\n"
    );
    served.folder.write("slow.m4", slow);
    let text = served.folder.read("mon.cf");
    let text = text.replacen("\nalias first", "\ninclude slow.m4\n\nalias first", 1);
    served.folder.write("mon.cf", text);
    let mut clients: Vec<Client> = (0..20).map(|_| served.client()).collect();
    for client in &mut clients {
        client.send("test config\n");
    }
    wait_until("the first reading", LIMIT, || {
        served.folder.join("m4.runs").exists()
    });
    checks_go_on(&served);
    served.folder.write("go", "");
    for client in &mut clients {
        let good = ["220 test config completed OK, no errors found"];
        assert_eq!(client.reply(), good);
    }
    assert!(!served.folder.join("two").exists());
    // And the others together: all had asked while the first reading went on.
    let runs = served.folder.read("m4.runs").lines().count();
    assert!(runs <= 3, "{runs} readings");
}
