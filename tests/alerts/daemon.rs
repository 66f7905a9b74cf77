//! The daemon delivers: from mon.cf to the relay, through `kill -9` and a full disk.

use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use nix::sys::signal::Signal;
use nix::sys::stat::Mode;

use super::harness::{LIMIT, spooled_in};
use super::servers::{Receiver, Relay, have_receiver, have_relay};
use crate::support::{
    Running, TempDir, find_program, is_root, lvsmon, lvsmon_path, skip, wait_for, wait_until,
};

/// A change that nothing holds up comes within this time; far less than a relay is waited for.
const SOON: Duration = Duration::from_secs(30);

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
         serverport = 0\ntrapport = 0\n\
         ipvs_backend = memory\nmail_relay = {url}\nmail_domain = director.example\n\
         mail_from = lvs\nmail_group_wait = 0s\n\nhostgroup farm web1\n\nwatch farm\n"
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
    let relay = Relay::start(&[]);
    relay.hold_after(3);
    let site = site();
    site.write("down", "");
    let config = config(&site, &relay, 20, |number| {
        format!("            alert mail.alert r{number}@b.example\n")
    });
    let running = daemon(&site, &config);
    let spool = || spooled_in(&site.join("state")).len();
    wait_until("a queue of which some is delivered", LIMIT, || {
        relay.mails().len() == 3 && spool() == 17
    });
    // What the journal has not as sent is called once more, and may be one that was delivered.
    wait_until("all calls in the journal", LIMIT, || {
        (1..=20).all(|number| is_sent(&record_of(&site, number)))
    });
    running.signal(Signal::SIGKILL);
    drop(running);
    relay.release();
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
        let mut ids: Vec<[String; 2]> = relay
            .mails_to(&format!("r{number}@b.example"))
            .iter()
            .map(|mail| ["Message-ID", "X-Lvsmon-Event"].map(|name| mail.header(name)))
            .collect();
        twice += ids.len() - 1;
        ids.dedup();
        assert_eq!(ids.len(), 1, "a repeated mail is the same mail: {ids:?}");
    }
    assert!(
        twice <= 1,
        "only the mail under way may come twice, not {twice}"
    );
}

/// An ipvsadm that hangs while the file `hang` is there.
const HANGING: &str = r#"#!/bin/sh
cd "$(dirname "$0")" || exit 1
[ ! -e hang ] || touch hanging
while [ -e hang ]; do sleep 0.1; done
"#;

/// One of a pair tells people for three seconds behind the last word that it may.
#[test]
fn what_is_due_at_a_stop_is_told_however_long_the_table_takes() {
    if !have_relay("what_is_due_at_a_stop_is_told_however_long_the_table_takes") {
        return;
    }
    let relay = Relay::start(&[]);
    let site = site();
    site.write_executable("ipvsadm", HANGING);
    let fifo = site.join("fifo");
    nix::unistd::mkfifo(&fifo, Mode::S_IRUSR | Mode::S_IWUSR).unwrap();
    let mut options = File::options();
    let mut vrrp = options.read(true).write(true).open(&fifo).unwrap();
    vrrp.write_all(b"INSTANCE \"VI_1\" MASTER 100\n").unwrap();
    let path = config(&site, &relay, 1, |_| {
        "            alert mail.alert a@b.example\n            \
         alert lvs.alert -P tcp -V 10.0.0.3:80 -R 127.0.0.11 -F dr -B\n"
            .to_owned()
    });
    let text = site.read("mon.cf").replace("= memory", "= ipvsadm");
    let text = text.replace("mail_group_wait = 0s", "mail_group_wait = 10m");
    site.write(
        "mon.cf",
        format!("notify_fifo = {}\n{text}", fifo.display()),
    );
    let path_variable = std::env::var("PATH").unwrap_or_default();
    let mut command = lvsmon(["run", "--config"]);
    command.arg(&path);
    command.env("PATH", format!("{}:{path_variable}", site.path().display()));
    let log = File::create(site.join("log")).expect("a log");
    let mut running = Running::start(command.stderr(log));
    wait_until("the role", LIMIT, || {
        site.read("log")
            .contains("the role of this director changes")
    });
    site.write("down", "");
    let spool = || spooled_in(&site.join("state")).len();
    wait_until("the message in the spool", LIMIT, || spool() == 1);
    site.write("hang", "");
    wait_until("a look at the table that hangs", LIMIT, || {
        site.join("hanging").exists()
    });
    running.signal(Signal::SIGTERM);
    let end = running.wait(LIMIT);
    fs::remove_file(site.join("hang")).unwrap();
    assert!(end.success(), "{}", site.read("log"));
    assert!(
        site.read("log")
            .contains("a call to the kernel does not end")
    );
    assert_eq!((relay.mails_to("a@b.example").len(), spool()), (1, 0));
}

#[test]
fn after_kill_9_the_receiver_gets_the_webhook_with_its_first_id() {
    let test = "after_kill_9_the_receiver_gets_the_webhook_with_its_first_id";
    if !have_relay(test) || !have_receiver(test) {
        return;
    }
    let relay = Relay::down();
    let mut receiver = Receiver::down();
    let site = site();
    site.write("down", "");
    let hook = receiver.url();
    let config = config(&site, &relay, 1, |_| {
        format!("            alert webhook.alert {hook}\n")
    });
    let running = daemon(&site, &config);
    let state = site.join("state");
    let file = wait_for("the message in the spool", LIMIT, || {
        spooled_in(&state).first().cloned()
    });
    let kept = std::fs::read_to_string(state.join("spool").join(file)).unwrap();
    let kept: serde_json::Value = serde_json::from_str(&kept).unwrap();
    let event = kept["notices"][0]["event"].as_str().unwrap().to_owned();
    running.signal(Signal::SIGKILL);
    drop(running);
    receiver.up(&serde_json::json!({}));
    let again = daemon(&site, &config);
    wait_until("an empty spool", LIMIT, || spooled_in(&state).is_empty());
    drop(again);
    let told: Vec<String> = receiver
        .requests()
        .iter()
        .map(|request| request.body["event"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(told, [event]);
}

/// Kinds of the messages in the spool.
fn kinds_in(state: &Path) -> Vec<String> {
    let files = spooled_in(state).into_iter();
    let texts = files.map(|file| std::fs::read_to_string(state.join("spool").join(file)));
    texts
        .map(|text| {
            let kept: serde_json::Value = serde_json::from_str(&text.unwrap()).unwrap();
            kept["notices"][0]["kind"].as_str().unwrap().to_owned()
        })
        .collect()
}

#[test]
fn after_kill_9_right_behind_a_failure_in_the_spool_its_end_is_told() {
    let relay = Relay::down();
    // Nobody listens there: messages stay in the spool.
    let hook = format!("http://127.0.0.1:{}/", crate::support::free_port());
    for _ in 0..3 {
        let site = site();
        site.write("down", "");
        let config = config(&site, &relay, 1, |_| {
            ["alert", "upalert"]
                .map(|word| format!("            {word} webhook.alert {hook}\n"))
                .concat()
        });
        let running = daemon(&site, &config);
        let state = site.join("state");
        wait_until("the failure in the spool", LIMIT, || {
            !spooled_in(&state).is_empty()
        });
        running.signal(Signal::SIGKILL);
        drop(running);
        std::fs::remove_file(site.join("down")).unwrap();
        let again = daemon(&site, &config);
        wait_until("the end of the outage in the spool", LIMIT, || {
            spooled_in(&state).len() > 1
        });
        drop(again);
        assert_eq!(kinds_in(&state), ["failure", "up"]);
    }
}

/// Whether a record has that an alert was sent.
fn is_sent(record: &serde_json::Value) -> bool {
    let periods = record["periods"].as_object();
    let mut periods = periods.into_iter().flat_map(|periods| periods.values());
    periods.any(|period| period["alert_sent"].as_u64() == Some(1))
}

/// The newest record of the first service in the journal.
fn record_of_service(site: &TempDir) -> serde_json::Value {
    record_of(site, 1)
}

/// The newest record of a service in the journal.
fn record_of(site: &TempDir, number: usize) -> serde_json::Value {
    let journal = site.read("state/journal");
    let key = format!("service farm/s{number}");
    let lines = journal
        .lines()
        .filter_map(|line| serde_json::from_str(line).ok());
    let mut records = lines.filter(|line: &serde_json::Value| line["key"] == *key);
    let newest = records.next_back().unwrap_or_default();
    newest["value"].clone()
}

#[test]
fn after_kill_9_while_an_alert_program_is_being_started_it_is_called() {
    let relay = Relay::down();
    let site = site();
    site.write("down", "");
    let script = "#!/bin/sh\necho \"$*\" >>\"${0%/*}/called\"\n";
    let program = site.write_executable("page.alert", script);
    let config = config(&site, &relay, 1, |_| {
        ["alert", "upalert"]
            .map(|word| format!("            {word} page.alert\n"))
            .concat()
    });
    let running = daemon(&site, &config);
    let is_open = || record_of_service(&site)["outage"].is_object();
    wait_until("the call of the failure", LIMIT, || {
        site.read("called").lines().count() == 1
    });
    wait_until("the outage in the journal", LIMIT, is_open);
    // Somebody copies a new version into place: it cannot be started for now.
    let busy = File::options().append(true).open(&program).unwrap();
    std::fs::remove_file(site.join("down")).unwrap();
    wait_until("the end in the journal", LIMIT, || !is_open());
    running.signal(Signal::SIGKILL);
    drop((running, busy));
    let again = daemon(&site, &config);
    wait_until("the call of the end", LIMIT, || {
        let called = site.read("called");
        called.lines().any(|line| line.ends_with(" -u"))
    });
    drop(again);
}

#[test]
fn a_relay_that_never_greets_delays_neither_checks_nor_the_table() {
    // Connections are made by the kernel; nobody ever speaks. The daemon waits a minute for it.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let relay = silent.local_addr().unwrap();
    let site = site();
    let folder = site.path().display();
    site.write("state/table", "-A -t 10.0.0.3:80 -s wlc\n");
    let lines = ["alert", "upalert"].map(|word| {
        format!(
            "            {word} mail.alert ops\n            {word} lvs.alert -V 10.0.0.3:80 -R 10.1.1.1\n"
        )
    });
    let config = site.write(
        "mon.cf",
        format!(
            "mondir = {folder}/mon.d\nalertdir = {folder}/alert.d\nstatedir = {folder}/state\nipvs_backend = memory\n\
             serverport = 0\ntrapport = 0\n\
             mail_relay = smtp://{relay}\nmail_group_wait = 0s\n\nhostgroup farm 10.1.1.1\n\n\
             watch farm\n    service s\n        interval 1s\n        monitor file.monitor\n        \
             period wd {{Sun-Sat}}\n{}",
            lines.concat()
        ),
    );
    let running = daemon(&site, &config);
    let is_in = || site.read("state/table").contains("-r 10.1.1.1:80");
    wait_until("the server in the table", SOON, is_in);
    for _ in 0..2 {
        site.write("down", "");
        wait_until("the server out of the table", SOON, || !is_in());
        std::fs::remove_file(site.join("down")).unwrap();
        wait_until("the server in the table again", SOON, is_in);
    }
    wait_until("the mails on the disk", SOON, || {
        spooled_in(&site.join("state")).len() >= 2
    });
    silent.set_nonblocking(true).unwrap();
    silent.accept().expect("the relay was tried");
    drop(running);
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
    let first = relay.mails().remove(0);
    assert_eq!(first.to, ["wensong@director.example"]);
    assert_eq!(first.from, "lvs@director.example");
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
    wait_until("the word about the disk in the log", LIMIT, || {
        site.read("log").contains("cannot write to the spool")
    });

    relay.kill();
    std::fs::remove_file(state.join("fill")).unwrap();
    std::fs::remove_file(site.join("down")).unwrap();
    let spooled = || {
        let files = std::fs::read_dir(state.join("spool")).ok()?;
        let mut files = files.filter_map(Result::ok);
        files.find(|file| file.file_name() != "delivered")
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
