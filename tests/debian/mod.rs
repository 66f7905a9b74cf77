//! Debian's own monitors and alerts (package mon), run unchanged by the daemon: failure and
//! recovery against real servers, in a network and a file system of their own, because ports and
//! paths stand in the scripts.

use std::fs::File;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use nix::sys::signal::Signal;

use crate::support::{
    Running, TempDir, have, is_root, lvsmon, lvsmon_path, root, skip, wait_until,
};

/// Every step is done within a few seconds; far more, for busy machines.
const SOON: Duration = Duration::from_secs(60);

/// The monitors with their words, as services are called.
const MONITORS: [(&str, &str); 4] = [
    ("ping", "fping.monitor -r 1 -t 300"),
    ("http", "http.monitor -t 2"),
    ("tcp", "tcp.monitor -p 7000 -t 2"),
    (
        "dns",
        "dns.monitor -caching_only -retry 1 -retransmit 1 -timeout 2 -query www.example.org:A:192.0.2.7",
    ),
];

/// A file system in which /usr/lib/sendmail writes into a folder, and /var/log/mon is another;
/// then the other side, then the daemon.
const SCRIPT: &str = "set -e
    mount -t tmpfs tmpfs \"$WORK/layer\"
    mkdir \"$WORK/layer/upper\" \"$WORK/layer/work\"
    layers=lowerdir=/usr/lib,upperdir=$WORK/layer/upper,workdir=$WORK/layer/work
    mount -t overlay overlay -o \"$layers\" /usr/lib
    cp \"$WORK/sendmail\" /usr/lib/sendmail
    mkdir -p /var/log/mon
    mount --bind \"$WORK/log\" /var/log/mon
    python3 \"$WORLD\" \"$WORK\" &
    trap 'kill $!' EXIT
    until test -e \"$WORK/ready\"; do sleep 0.05; done
    \"$LVSMON\" run --config \"$WORK/mon.cf\"";

fn is_here(test: &str) -> bool {
    let needed = ["unshare", "mount", "ip", "python3", "fping"];
    let script = |name: &str| Path::new("/usr/lib/mon").join(name).is_file();
    let modules = ["-MMon::Client", "-MNet::DNS", "-e", "1"];
    let has_modules = || Command::new("perl").args(modules).output();
    let has_modules = || has_modules().is_ok_and(|output| output.status.success());
    if !is_root() || !needed.iter().all(|name| have(name)) {
        skip(test, "root, unshare, mount, iproute2, python3 and fping");
        return false;
    }
    if !script("mon.d/dns.monitor") || !script("alert.d/trap.alert") || !has_modules() {
        skip(test, "mon, mon-client and libnet-dns-perl");
        return false;
    }
    true
}

fn config(work: &str) -> String {
    let mut text = format!(
        "mondir = /usr/lib/mon/mon.d\nalertdir = /usr/lib/mon/alert.d\nstatedir = {work}/state\n\
         serverport = 2590\ntrapport = 2590\nipvs_backend = memory\nmonitor_timeout = 30s\n\n\
         hostgroup farm 192.0.2.7\n\nwatch farm\n"
    );
    for (service, monitor) in MONITORS {
        text += &format!(
            "    service {service}\n\tinterval 0.5s\n\tdescription service {service}\n\tmonitor {monitor}\n\
             \tperiod wd {{Sun-Sat}}\n\t    alertevery 1h\n"
        );
        for keyword in ["alert", "upalert"] {
            text += &format!(
                "\t    {keyword} file.alert -d {work} {service}\n\t    {keyword} mail.alert ops@example.org\n\
                 \t    {keyword} test.alert\n\t    {keyword} trap.alert 127.0.0.1\n"
            );
        }
    }
    text
}

/// The daemon and the other side, ended together.
struct World {
    work: TempDir,
    daemon: Running,
}

impl World {
    fn start() -> Self {
        let work = TempDir::new();
        let path = work.path().to_str().expect("text").to_owned();
        for folder in ["layer", "log", "state"] {
            std::fs::create_dir(work.join(folder)).expect("a folder");
        }
        work.write_executable(
            "sendmail",
            format!("#!/bin/sh\n{{ cat; echo '--end'; }} >>{path}/mail\n"),
        );
        work.write("mon.cf", config(&path));
        work.write("good", "");
        let log = File::create(work.join("daemon.log")).expect("a log");
        let mut command = Command::new("unshare");
        command
            .args([
                "--net",
                "--mount",
                "--pid",
                "--fork",
                "--kill-child",
                "sh",
                "-c",
                SCRIPT,
            ])
            .env("WORK", &path)
            .env("WORLD", root().join("tests/debian/world.py"))
            .env("LVSMON", lvsmon_path())
            .env("TZ", "UTC")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log);
        let daemon = Running::start(&mut command);
        Self { work, daemon }
    }

    #[track_caller]
    fn wait_for(&mut self, what: &str, is_so: impl Fn(&TempDir) -> bool) {
        let (work, daemon) = (&self.work, &mut self.daemon);
        wait_until(what, SOON, || {
            assert!(daemon.runs(), "{}", work.read("daemon.log"));
            is_so(work)
        });
    }
}

/// How often a text occurs in a file of the folder.
fn count(work: &TempDir, file: &str, text: &str) -> usize {
    work.read(file).matches(text).count()
}

#[test]
fn monitors_and_alerts_of_debian_tell_failure_and_recovery() {
    if !is_here("monitors_and_alerts_of_debian_tell_failure_and_recovery") {
        return;
    }
    let mut world = World::start();
    world.wait_for("the other side", |work| work.join("ready").exists());
    world.wait_for("four good services", |work| {
        MONITORS.iter().all(|(service, _)| is_ok(work, service))
    });
    assert_eq!(world.work.read("ping") + &world.work.read("mail"), "");

    std::fs::remove_file(world.work.join("good")).expect("the file");
    for (kind, subject) in [("failure", "ALERT"), ("up", "UPALERT")] {
        for (service, _) in MONITORS {
            world.wait_for(&format!("{kind} of {service}"), |work| {
                let told = format!("{kind} farm {service} ");
                let mail = format!("Subject: {subject} farm/{service}: ");
                let test = format!("-s {service} -g farm -h 192.0.2.7 -t ");
                let marks = if kind == "up" { 2 } else { 1 };
                count(work, service, &told) == 1
                    && count(work, "mail", &mail) == 1
                    && count(work, "log/test.alert.log", &test) == marks
                    && count(work, "traps", &format!("svc='{service}'")) >= marks
            });
        }
        world.work.write("good", "");
    }

    // What the alerts were told is what the monitors said.
    let work = &world.work;
    for service in ["ping", "http", "tcp"] {
        let told = work.read(service);
        assert!(told.contains(") 192.0.2.7"), "{told}");
        let described = format!("DESCR=service {service}\n");
        assert!(told.contains(&described), "{told}");
        assert!(
            told.contains("OPSTATUS=0\n") && told.contains("OPSTATUS=1\n"),
            "{told}"
        );
    }
    let dns = work.read("dns");
    assert!(dns.contains("www.example.org@192.0.2.7"), "{dns}");
    let mail = work.read("mail");
    assert!(mail.contains("To: ops@example.org\n"), "{mail}");
    let members = mail.lines().find(|line| line.starts_with("Members"));
    assert!(
        members.is_some_and(|line| line.ends_with(": 192.0.2.7")),
        "{mail}"
    );
    world.daemon.signal(Signal::SIGKILL);
}

/// Whether the daemon calls the service good.
fn is_ok(work: &TempDir, service: &str) -> bool {
    let mut command = lvsmon(["why", "--json", "--config"]);
    let output = command
        .arg(work.join("mon.cf"))
        .arg(format!("farm/{service}"))
        .output()
        .expect("lvsmon runs");
    String::from_utf8_lossy(&output.stdout).contains("\"status\": \"ok\"")
}

#[test]
fn a_file_of_debian_wins_over_the_built_in_of_its_name() {
    if !is_here("a_file_of_debian_wins_over_the_built_in_of_its_name") {
        return;
    }
    let folder = TempDir::new();
    let lvs = "lvs.alert -P tcp -V 10.0.0.3:80";
    let text = config(&folder.path().display().to_string())
        + &format!("\tperiod table: wd {{Sun-Sat}}\n\t    alert {lvs}\n\t    upalert {lvs}\n");
    let output = lvsmon(["check", "--config"])
        .arg(folder.write("mon.cf", text))
        .output()
        .expect("lvsmon runs");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    for name in [
        "fping.monitor",
        "http.monitor",
        "tcp.monitor",
        "mail.alert",
        "trap.alert",
    ] {
        let line = said
            .lines()
            .find(|line| line.contains(&format!(" {name} is ")));
        let line = line.unwrap_or_else(|| panic!("no {name} in {said}"));
        assert!(line.contains(" is /usr/lib/mon/"), "{line}");
        assert!(
            line.ends_with(&format!("this file wins over the built-in {name}")),
            "{line}"
        );
    }
    // The one whose script loses servers is ours whatever stands in the folder (D1).
    assert!(
        said.contains("lvs.alert is the built-in: built in, always"),
        "{said}"
    );
}
