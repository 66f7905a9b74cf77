//! The daemon delivers: from mon.cf to the relay, through `kill -9` and a full disk.

use std::fmt::Write as _;
use std::fs::File;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::Command;

use nix::sys::signal::Signal;

use super::harness::LIMIT;
use super::servers::{Receiver, Relay, have_receiver, have_relay};
use crate::support::{
    Running, TempDir, find_program, is_root, lvsmon, lvsmon_path, skip, wait_for, wait_until,
};

/// A folder with a monitor that fails while the file `down` is there.
fn site() -> TempDir {
    let site = TempDir::new();
    site.write_executable(
        "mon.d/file.monitor",
        "#!/bin/sh\ntest -e \"${0%/*}/../down\" || exit 0\necho \"$*\"; echo; echo the file is there\nexit 1\n",
    );
    site
}

/// A mon.cf with `count` services; the Nth alerts with the lines that `alerts` gives.
fn config(
    site: &TempDir,
    relay: &Relay,
    count: usize,
    alerts: impl Fn(usize) -> String,
) -> PathBuf {
    let folder = site.path().display();
    let url = relay.url();
    let mut text = format!(
        "mondir = {folder}/mon.d\nalertdir = {folder}\nstatedir = {folder}/state\n\
         ipvs_backend = memory\nmail_relay = {url}\nmail_domain = director.example\n\
         mail_group_wait = 0s\n\nhostgroup farm web1\n\nwatch farm\n"
    );
    for number in 1..=count {
        let _ = write!(
            text,
            "    service s{number}\n        interval 1s\n        monitor file.monitor\n\
                     period wd {{Sun-Sat}}\n            alertevery 1h\n{}",
            alerts(number)
        );
    }
    site.write("mon.cf", text)
}

fn daemon(site: &TempDir, config: &PathBuf) -> Running {
    let log = File::options()
        .append(true)
        .create(true)
        .open(site.join("log"))
        .expect("a log");
    let mut command = lvsmon(["run", "--config"]);
    command.arg(config).stderr(log);
    Running::start(&mut command)
}

#[test]
fn after_kill_9_in_the_middle_of_the_queue_every_recipient_gets_the_mail() {
    if !have_relay("after_kill_9_in_the_middle_of_the_queue_every_recipient_gets_the_mail") {
        return;
    }
    let relay = Relay::start(&["--delay", "0.2"]);
    let site = site();
    site.write("down", "");
    let config = config(&site, &relay, 20, |number| {
        format!("            alert mail.alert r{number}@b.example\n")
    });
    let running = daemon(&site, &config);
    let spool = || std::fs::read_dir(site.join("state/spool")).map_or(0, Iterator::count);
    wait_until("a queue of which some is delivered", LIMIT, || {
        relay.mails().len() >= 3 && spool() >= 5
    });
    running.signal(Signal::SIGKILL);
    drop(running);
    let before = relay.mails().len();
    assert!(before < 20, "it must die in the middle, not after {before}");
    let again = daemon(&site, &config);
    for number in 1..=20 {
        let to = format!("r{number}@b.example");
        wait_until(&format!("the mail to {to}"), LIMIT, || {
            !relay.mails_to(&to).is_empty()
        });
    }
    wait_until("an empty spool", LIMIT, || spool() == 0);
    drop(again);
    let mut twice = 0;
    for number in 1..=20 {
        let mut ids: Vec<String> = relay
            .mails_to(&format!("r{number}@b.example"))
            .iter()
            .map(|mail| mail.header("Message-ID"))
            .collect();
        twice += ids.len() - 1;
        ids.dedup();
        assert_eq!(ids.len(), 1, "a repeated mail is the same mail");
    }
    assert!(
        twice <= 1,
        "only the mail under way may come twice, not {twice}"
    );
}

#[test]
fn failure_and_recovery_reach_relay_and_receiver() {
    let test = "failure_and_recovery_reach_relay_and_receiver";
    if !have_relay(test) || !have_receiver(test) {
        return;
    }
    let relay = Relay::start(&[]);
    let receiver = Receiver::start(&serde_json::json!({}));
    let site = site();
    site.write("down", "");
    let hook = receiver.url();
    let config = config(&site, &relay, 1, |_| {
        ["alert", "upalert"]
            .map(|word| {
                format!("            {word} mail.alert wensong\n            {word} webhook.alert {hook}\n")
            })
            .concat()
    });
    let running = daemon(&site, &config);
    wait_until("mail and webhook of the failure", LIMIT, || {
        relay.mails().len() == 1 && receiver.requests().len() == 1
    });
    std::fs::remove_file(site.join("down")).unwrap();
    wait_until("mail and webhook of the recovery", LIMIT, || {
        relay.mails().len() == 2 && receiver.requests().len() == 2
    });
    drop(running);
    let subjects: Vec<String> = relay.mails().iter().map(|mail| mail.parsed().0).collect();
    assert!(
        subjects[0].starts_with("ALERT farm/s1: web1 ("),
        "{subjects:?}"
    );
    assert!(subjects[1].starts_with("UPALERT farm/s1: "), "{subjects:?}");
    assert_eq!(relay.mails()[0].to, ["wensong@director.example"]);
    let kinds: Vec<String> = receiver
        .requests()
        .iter()
        .map(|request| request.body["kind"].to_string())
        .collect();
    assert_eq!(kinds, ["\"failure\"", "\"up\""]);
}

#[test]
fn a_full_disk_stops_no_mail() {
    let test = "a_full_disk_stops_no_mail";
    if !have_relay(test) {
        return;
    }
    let Some(unshare) = find_program("unshare").filter(|_| is_root()) else {
        return skip(test, "root and unshare");
    };
    let mut relay = Relay::start(&[]);
    let site = site();
    let config = config(&site, &relay, 1, |_| {
        ["alert", "upalert"]
            .map(|word| format!("            {word} mail.alert a@b.example\n"))
            .concat()
    });
    std::fs::create_dir(site.join("state")).unwrap();
    // A small disk of its own, in a mount namespace that ends with the daemon.
    let mut command = Command::new(unshare);
    let script = "mount -t tmpfs -o size=256k none \"$1\" && exec \"$2\" run --config \"$3\"";
    command
        .args(["-m", "sh", "-c", script, "sh"])
        .arg(site.join("state"))
        .arg(lvsmon_path())
        .arg(&config)
        .stderr(File::create(site.join("log")).unwrap());
    let mut running = Running::start(&mut command);
    let inside = PathBuf::from(format!("/proc/{}/root", running.0.id()));
    let state = inside.join(site.join("state").strip_prefix("/").unwrap());
    let control = state.join("control");
    wait_until("the daemon, or its refusal", LIMIT, || {
        control.exists() || running.0.try_wait().unwrap().is_some()
    });
    if !control.exists() {
        return skip(test, "the right to mount");
    }
    fill(&state.join("fill"));
    site.write("down", "");
    wait_until("the mail in spite of the full disk", LIMIT, || {
        relay.mails().len() == 1
    });
    assert!(
        site.read("log").contains("cannot write to the spool"),
        "{}",
        site.read("log")
    );

    relay.kill();
    std::fs::remove_file(state.join("fill")).unwrap();
    std::fs::remove_file(site.join("down")).unwrap();
    let spooled = || {
        let files = std::fs::read_dir(state.join("spool")).ok()?;
        files.filter_map(Result::ok).next()
    };
    wait_for(
        "the recovery on the disk that has room again",
        LIMIT,
        spooled,
    );
    wait_until("the word about it in the log", LIMIT, || {
        site.read("log").contains("the spool takes messages again")
    });
    relay.up(&[]);
    wait_until("the mail of the recovery", LIMIT, || {
        relay.mails().len() == 2
    });
    drop(running);
}

/// Writes until nothing more fits.
fn fill(path: &PathBuf) {
    let mut file = File::create(path).expect("a file on the small disk");
    while file.write_all(&[0; 4_096]).is_ok() {}
    while file.write_all(&[0]).is_ok() {}
}
