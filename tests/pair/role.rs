//! How a director learns its role.

use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, Output};

use nix::sys::signal::Signal;
use nix::sys::stat::Mode;
use serde_json::Value;

use crate::alerts::servers::{Relay, have_relay};
use crate::daemon::farm::{Farm, SOON};
use crate::support::{have, is_root, lvsmon_path, skip, wait_for, wait_until};

/// A farm whose file says these settings too.
fn farm(settings: &str) -> Farm {
    let farm = Farm::new();
    let text = format!("{settings}{}", farm.text(5, true));
    farm.configure(&text);
    farm
}

fn fifo(farm: &Farm) -> PathBuf {
    farm.folder.join("fifo")
}

fn with_fifo() -> Farm {
    let farm = Farm::new();
    let settings = format!("notify_fifo = {}\n", fifo(&farm).display());
    farm.configure(&format!("{settings}{}", farm.text(5, true)));
    farm
}

fn make_fifo(farm: &Farm) -> fs::File {
    nix::unistd::mkfifo(&fifo(farm), Mode::S_IRUSR | Mode::S_IWUSR).unwrap();
    let mut options = OpenOptions::new();
    options.read(true).write(true).open(fifo(farm)).unwrap()
}

fn answer(farm: &Farm) -> Option<Value> {
    let output = farm.output(&["role", "--json"]);
    serde_json::from_slice(&output.stdout).ok()
}

#[track_caller]
fn wait_for_role(farm: &Farm, role: &str) -> Value {
    wait_for(&format!("the role {role}"), SOON, || {
        answer(farm).filter(|answer| answer["role"] == role)
    })
}

/// The second of the wall clock, as answers have it.
fn now() -> i64 {
    let since = std::time::UNIX_EPOCH.elapsed().unwrap();
    i64::try_from(since.as_secs()).unwrap()
}

fn text(output: &Output) -> String {
    let both = [&*output.stdout, &*output.stderr].concat();
    String::from_utf8(both).unwrap()
}

#[test]
fn the_role_follows_the_fifo_and_outlives_a_restart() {
    let mut farm = with_fifo();
    farm.start();
    let waits = wait_for_role(&farm, "standby");
    assert_eq!(waits["speaks"], false);
    farm.wait_for_log("waiting for the VRRP daemon to make it");
    let mut writer = make_fifo(&farm);
    writer
        .write_all(b"GROUP \"G\" MASTER 100\nINSTANCE \"VI_1\" MASTER 100\n")
        .unwrap();
    let active = wait_for_role(&farm, "active");
    assert_eq!(active["why"], "the FIFO says MASTER of VI_1", "{active}");
    assert_eq!(active["speaks"], true);
    assert_eq!(active["fifo"]["others"], 1, "{active}");
    farm.wait_for_log("the role of this director changes");
    // keepalived does not say it again.
    farm.end(Signal::SIGTERM);
    farm.start();
    let again = wait_for_role(&farm, "active");
    assert_eq!(again["said"][0]["instance"], "VI_1");
    // Nor where somebody empties the journal, which the next record brings to light. Of one that
    // is deleted the writer still has all.
    let journal = farm.folder.join("state/journal");
    fs::write(&journal, "").unwrap();
    farm.break_server(1);
    wait_until("the journal written anew", SOON, || {
        let kept = fs::read_to_string(&journal).unwrap_or_default();
        kept.contains("www1") && kept.contains("VI_1")
    });
    writer
        .write_all(b"INSTANCE \"VI_1\" MASTER_RX_LOWER_PRI 100\nINSTANCE \"VI_1\" STOP 100\n")
        .unwrap();
    wait_for_role(&farm, "fault");
    let said = text(&farm.output(&["role"]));
    assert!(said.contains("fault since"), "{said}");
    assert!(said.contains("said VI_1: STOP by the FIFO"), "{said}");
}

#[test]
fn a_word_that_the_fifo_says_again_changes_nothing_and_nobody_is_told() {
    if !have_relay("a_word_that_the_fifo_says_again_changes_nothing_and_nobody_is_told") {
        return;
    }
    let relay = Relay::start(&[]);
    let mut farm = Farm::new();
    let period = "\tperiod wd {Sun-Sat}\n";
    let mail = format!("{period}\t    alertevery 1h\n\t    alert mail.alert ops@d.example\n");
    farm.configure(&format!(
        "notify_fifo = {}\nmail_relay = {}\nmail_domain = d.example\nmail_group_wait = 0s\n{}",
        fifo(&farm).display(),
        relay.url(),
        farm.text(5, true).replace(period, &mail)
    ));
    let mut writer = make_fifo(&farm);
    farm.start();
    for (turn, state, role) in [(1, "MASTER", "active"), (2, "BACKUP", "standby")] {
        let word = format!("INSTANCE \"VI_1\" {state} 100\n");
        writer.write_all(word.as_bytes()).unwrap();
        let first = wait_for_role(&farm, role);
        if turn == 1 {
            farm.break_server(1);
            wait_until("the mail", SOON, || relay.mails().len() == 1);
        }
        let since = first["since"].as_i64().unwrap();
        wait_until("a later second", SOON, || now() > since);
        writer.write_all(word.repeat(2).as_bytes()).unwrap();
        let heard = first["fifo"]["words"].as_u64().unwrap() + 2;
        let again = wait_for("both words", SOON, || {
            answer(&farm).filter(|answer| answer["fifo"]["words"] == heard)
        });
        for same in ["role", "why", "since", "speaks", "held", "coming"] {
            assert_eq!(again[same], first[same], "{same}: {first} {again}");
        }
        let log = farm.log();
        let changes = log.matches("the role of this director changes").count();
        assert_eq!(changes, turn, "{log}");
        farm.wait_for_checks_to_go_on();
        assert_eq!(relay.mails().len(), 1, "{:?}", relay.mails());
    }
}

#[test]
fn notify_scripts_and_persons_say_the_role() {
    let mut farm = farm("");
    let no_daemon = farm.output(&["role", "MASTER"]);
    assert_eq!(no_daemon.status.code(), Some(1));
    farm.start_healthy();
    assert_eq!(answer(&farm).unwrap()["role"], "alone");
    for (words, role) in [
        ("INSTANCE VI_1 BACKUP 100", "standby"),
        ("GROUP VG_1 MASTER 100", "standby"),
        ("INSTANCE VI_1 FAULT 0", "fault"),
        ("INSTANCE VI_1 MASTER 100", "active"),
        ("INSTANCE VI_1 DELETED 100", "alone"),
        ("backup", "standby"),
    ] {
        let words: Vec<&str> = ["role"].into_iter().chain(words.split(' ')).collect();
        let output = farm.output(&words);
        let said = text(&output);
        // The fifth change within ten seconds is held back, which a script must hear.
        let expected = if said.contains("held back until") {
            3
        } else {
            0
        };
        assert_eq!(output.status.code(), Some(expected), "{words:?} {said}");
        wait_for_role(&farm, role);
    }
    // A program reads what the role is then.
    for words in ["GROUP VG_1 MASTER 100", "master", "backup"] {
        let words: Vec<&str> = ["role"].into_iter().chain(words.split(' ')).collect();
        let output = farm.output(&[&words[..], &["--json"]].concat());
        let said: Value = serde_json::from_slice(&output.stdout)
            .unwrap_or_else(|error| panic!("{words:?}: {error} {output:?}"));
        assert!(said["role"].is_string(), "{said}");
        let expected = if said["coming"].is_null() { 0 } else { 3 };
        assert_eq!(output.status.code(), Some(expected), "{words:?} {said}");
    }
    let wrong = farm.output(&["role", "king"]);
    assert_eq!(wrong.status.code(), Some(2), "{}", text(&wrong));
    let events = text(&farm.output(&["role", "stop", "--instance", "x"]));
    assert!(events.contains("STOP of x noted"), "{events}");
}

#[test]
fn a_lone_director_that_a_script_silenced_says_so_and_how_to_end_it() {
    let mut farm = farm("");
    farm.start_healthy();
    let help = "end that with lvsmon role DELETED --instance VI_1";
    let said = text(&farm.output(&["role", "INSTANCE", "VI_1", "BACKUP", "100"]));
    assert!(said.contains(help), "{said}");
    farm.wait_for_log("nobody is told");
    // Over a restart, too.
    farm.end(Signal::SIGTERM);
    farm.start();
    wait_for_role(&farm, "standby");
    for command in ["role", "health"] {
        let output = farm.output(&[command]);
        assert_eq!(output.status.code(), Some(0), "{command}");
        let said = text(&output);
        assert!(said.contains(help), "{command}: {said}");
    }
    farm.output(&["role", "DELETED", "--instance", "VI_1"]);
    assert_eq!(wait_for_role(&farm, "alone")["silence"], Value::Null);
    let health = text(&farm.output(&["health"]));
    assert!(!health.contains("warning"), "{health}");
}

#[test]
fn a_fifo_that_others_may_write_to_is_refused_with_words() {
    let mut farm = with_fifo();
    let mut writer = make_fifo(&farm);
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o666);
    fs::set_permissions(fifo(&farm), mode).unwrap();
    writer.write_all(b"INSTANCE \"VI_1\" MASTER 1\n").unwrap();
    farm.start();
    farm.wait_for_log("others may write to it");
    let answer = wait_for_role(&farm, "standby");
    let trouble = answer["fifo"]["trouble"].as_str().unwrap();
    assert!(trouble.contains("chmod 600"), "{trouble}");
}

#[test]
fn a_role_that_changes_ten_times_a_second_ends_as_the_last_word_says() {
    let mut farm = with_fifo();
    let mut writer = make_fifo(&farm);
    farm.start();
    wait_for_role(&farm, "standby");
    for _ in 0..20 {
        for state in ["MASTER", "BACKUP"] {
            let line = format!("INSTANCE \"VI_1\" {state} 100\n");
            writer.write_all(line.as_bytes()).unwrap();
            // Each word is heard before the next: else only the last of them would be.
            wait_until("the word", SOON, || {
                let answer = answer(&farm).unwrap();
                let said = &answer["said"][0]["state"];
                said.as_str()
                    .is_some_and(|it| it.eq_ignore_ascii_case(state))
            });
        }
    }
    writer.write_all(b"INSTANCE \"VI_1\" MASTER 100\n").unwrap();
    let active = wait_for_role(&farm, "active");
    assert_eq!(active["why"], "the FIFO says MASTER of VI_1", "{active}");
    // It is not followed each time: neither log nor mailboxes are flooded.
    let changes = farm
        .log()
        .matches("the role of this director changes")
        .count();
    assert!((1..20).contains(&changes), "{changes} changes");
}

/// The farm's daemon in a network namespace of its own, with an interface `v0`.
struct Namespace {
    farm: Farm,
}

impl Namespace {
    fn start(settings: &str) -> Self {
        let mut farm = farm(settings);
        let script = "ip link set lo up && ip link add v0 type veth peer name v1 \
                      && ip link set v0 up && ip link set v1 up && exec \"$@\"";
        let mut command = Command::new("unshare");
        command
            .args(["--net", "sh", "-c", script, "sh"])
            .arg(lvsmon_path())
            .args(["run", "--config"])
            .arg(farm.config());
        farm.start_as(&mut command);
        farm.wait_for_log("daemon started");
        Self { farm }
    }

    fn ip(&self, words: &[&str]) {
        let pid = self.farm.daemon.as_ref().unwrap().0.id().to_string();
        let mut command = Command::new("nsenter");
        command.args(["--net", "--target", &pid, "ip"]).args(words);
        let output = command.output().unwrap();
        assert!(output.status.success(), "{words:?}: {}", text(&output));
    }
}

#[test]
fn the_address_on_an_interface_makes_active_and_that_on_lo_does_not() {
    let test = "the_address_on_an_interface_makes_active_and_that_on_lo_does_not";
    if !is_root() || !have("unshare") || !have("ip") {
        return skip(test, "root, unshare and ip");
    }
    let world = Namespace::start("vip = 10.9.9.9 2001:db8::9\n");
    let farm = &world.farm;
    wait_for_role(farm, "standby");
    world.ip(&["address", "add", "10.9.9.9/32", "dev", "lo"]);
    world.ip(&["address", "add", "2001:db8::9/64", "dev", "v0", "nodad"]);
    let other = |farm: &Farm| answer(farm).unwrap()["vips"][1]["here"].clone();
    wait_until("the second address", SOON, || other(farm) == true);
    assert_eq!(answer(farm).unwrap()["role"], "standby");
    assert_eq!(answer(farm).unwrap()["vips"][0]["here"], false);
    world.ip(&["address", "del", "10.9.9.9/32", "dev", "lo"]);
    world.ip(&["address", "add", "10.9.9.9/24", "dev", "v0"]);
    let active = wait_for_role(farm, "active");
    assert_eq!(active["why"], "10.9.9.9 is on an interface here");
    // A word that contradicts does not count, one of a fault does.
    farm.output(&["role", "BACKUP"]);
    assert_eq!(answer(farm).unwrap()["role"], "active");
    farm.output(&["role", "FAULT"]);
    wait_for_role(farm, "fault");
    farm.output(&["role", "MASTER"]);
    wait_for_role(farm, "active");
    world.ip(&["address", "del", "10.9.9.9/24", "dev", "v0"]);
    wait_for_role(farm, "standby");
}
