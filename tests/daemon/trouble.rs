//! Monitors and servers that behave badly, all at once under one daemon: each is a failed check
//! with its reason, again and again, and the farm beside them is watched as ever. What each of them
//! does to one run is shown in `monitors`.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::farm::{Farm, SOON};
use crate::monitors::peer::{Peer, drip, head, say, until_closed};
use crate::support::wait_until;

/// What it may add to the daemon's memory, in kB: far below what one flood would fill in a second.
const GROWTH_MAX_KB: u64 = 60_000;

/// Programs by name, with the reason that a failure of each is told with.
const PROGRAMS: [(&str, &str, &str); 6] = [
    ("flood", "exec cat /dev/zero", "limit"),
    ("hang", "exec sleep 600", "limit"),
    (
        "stubborn",
        "trap '' TERM; while :; do sleep 0.1; done",
        "limit",
    ),
    ("closed", "exec >&- 2>&-; exit 3", "no_host_named"),
    ("orphan", "sleep 5 & exit 2", "no_host_named"),
    ("killed", "kill -SEGV $$", "signal"),
];

/// Servers by name, with how to check them, and the reason.
fn servers() -> Vec<(&'static str, Peer, &'static str, &'static str)> {
    let asked = |answer: fn(&mut std::net::TcpStream)| {
        Peer::new(move |mut stream| {
            head(&mut stream);
            answer(&mut stream);
        })
    };
    let (http, ftp) = ("http.monitor -t 1", "ftp.monitor -t 5");
    let drips = asked(|stream| drip(stream, b"HTTP/1.0 200 OK\r\nX-Drip: "));
    let endless = asked(|stream| {
        say(stream, b"HTTP/1.0 200 OK\r\n");
        while say(stream, b"X-More: and more and more and more\r\n") {}
    });
    let interim = asked(|stream| while say(stream, b"HTTP/1.1 100 Continue\r\n\r\n") {});
    let garbage = asked(|stream| {
        say(stream, &[0xff, 0, 7, b'\n'].repeat(1_000));
        until_closed(stream);
    });
    let redirects = asked(|stream| {
        say(
            stream,
            b"HTTP/1.0 307 Again\r\nLocation: /\r\nContent-Length: 0\r\n\r\n",
        );
    });
    let banner = Peer::new(|mut stream| while say(&mut stream, b"220-and more\r\n") {});
    vec![
        ("drips", drips, http, "timeout"),
        ("endless", endless, http, "reply"),
        ("interim", interim, http, "reply"),
        ("garbage", garbage, http, "reply"),
        ("redirects", redirects, http, "status"),
        ("banner", banner, ftp, "reply"),
    ]
}

#[test]
fn bad_monitors_and_bad_servers_fail_with_their_reasons_and_hold_up_nobody() {
    let mut farm = Farm::new();
    let mut text = format!("monitor_timeout = 1s\n{}", farm.text(5, true));
    text += "hostgroup bad 127.0.0.1\n\nwatch bad\n";
    let mut expected = BTreeMap::new();
    for (name, body, reason) in PROGRAMS {
        let file = format!("mon.d/{name}.monitor");
        farm.folder
            .write_executable(&file, format!("#!/bin/sh\n{body}\n"));
        let _ = write!(
            text,
            "    service {name}\n\tinterval 0.5s\n\tmonitor {name}.monitor\n"
        );
        expected.insert(name, reason);
    }
    let servers = servers();
    for (name, peer, monitor, reason) in &servers {
        let port = peer.port();
        let _ = write!(
            text,
            "    service {name}\n\tinterval 0.5s\n\tmonitor {monitor} -p {port}\n"
        );
        expected.insert(name, reason);
    }
    farm.configure(&text);
    farm.start_healthy();
    let before_kb = farm.most_kb();
    let mut client = farm.client();
    let mut found = BTreeMap::new();
    let what = format!("each to fail twice, as in {expected:?}");
    wait_until(&what, SOON, || {
        let rows = client.services(0).unwrap().services;
        found = rows
            .iter()
            .filter(|row| row.group == "bad" && row.failures >= 2)
            .map(|row| {
                (
                    row.service.clone(),
                    row.hosts[0]
                        .reason
                        .map_or("", lvsmon::engine::event::Reason::code),
                )
            })
            .collect();
        found.len() == expected.len()
    });
    for (name, reason) in &expected {
        assert_eq!(&found[*name], reason, "{name} in {found:?}");
    }
    farm.break_server(1);
    farm.wait_for_table(&[(2, 5)]);
    farm.mend_server(1);
    farm.wait_for_table(&[(1, 5), (2, 5)]);
    let now_kb = farm.most_kb();
    assert!(
        now_kb < before_kb + GROWTH_MAX_KB,
        "{before_kb} kB before, {now_kb} kB after"
    );
    let status = farm.end(nix::sys::signal::Signal::SIGTERM);
    assert_eq!(status.code(), Some(0), "{}", farm.log());
}

#[test]
fn a_monitor_that_is_not_executable_is_a_failure_that_says_what_to_do() {
    let mut farm = Farm::new();
    let program = "mon.d/own.monitor";
    farm.folder.write_executable(program, "#!/bin/sh\nexit 0\n");
    let text = farm.text(5, true)
        + "hostgroup bad 127.0.0.1\n\nwatch bad\n    service own\n\tinterval 0.3s\n\tmonitor own.monitor\n";
    farm.configure(&text);
    farm.start_healthy();
    let mut client = farm.client();
    let mut wait_for_status = |status: &str| {
        wait_until(status, SOON, || {
            let rows = client.services(0).unwrap().services;
            rows.iter()
                .any(|row| row.service == "own" && row.status.word() == status)
        });
    };
    wait_for_status("ok");
    // Somebody forgets the mode while copying a new version into place.
    farm.folder.write("new", "#!/bin/sh\nexit 0\n");
    std::fs::rename(farm.folder.join("new"), farm.folder.join(program)).unwrap();
    wait_for_status("fail");
    farm.wait_for_log("chmod +x");
    farm.folder.write_executable(program, "#!/bin/sh\nexit 0\n");
    wait_for_status("ok");
}
