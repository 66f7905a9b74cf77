//! State files, histories and `monremote`, as a client asks for them.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpStream;
use std::process::Stdio;

use lvsmon::clock::Clock;
use nix::sys::signal::Signal;

use super::{SOON, Site};
use crate::support::{Running, lvsmon, wait_for, wait_until};

/// A client of mon.
pub(super) struct Client(BufReader<TcpStream>);

impl Client {
    #[track_caller]
    pub(super) fn connect(site: &Site) -> Self {
        Self(wait_for("the port of clients", SOON, || {
            let stream = TcpStream::connect(("127.0.0.1", site.port)).ok()?;
            stream.set_read_timeout(Some(SOON)).ok()?;
            Some(BufReader::new(stream))
        }))
    }

    /// What is said to a request, up to the line that ends it.
    #[track_caller]
    pub(super) fn ask(&mut self, request: &str) -> Vec<String> {
        self.say(request);
        self.hear()
    }

    /// A request alone.
    pub(super) fn say(&mut self, request: &str) {
        writeln!(self.0.get_mut(), "{request}").unwrap();
    }

    /// The answer alone.
    #[track_caller]
    pub(super) fn hear(&mut self) -> Vec<String> {
        let mut lines = Vec::new();
        loop {
            let mut line = String::new();
            assert!(self.0.read_line(&mut line).unwrap() > 0, "{lines:?}");
            lines.push(line.trim_end().to_owned());
            let (first, rest) = line.split_at(3.min(line.len()));
            if first.parse::<u16>().is_ok() && rest.starts_with(' ') {
                return lines;
            }
        }
    }
}

fn site(lines: &str) -> Site {
    let site = Site::new();
    let rules = [
        "list",
        "disable",
        "enable",
        "savestate",
        "loadstate",
        "test",
        "start",
        "stop",
        "reset",
    ];
    let rules: String = rules.iter().map(|word| format!("{word}: all\n")).collect();
    site.folder
        .write("auth.cf", format!("command section\n{rules}"));
    site.configure(lines);
    let text = site.folder.read("mon.cf");
    let text = text.replace("hostgroup web web1\n", "hostgroup web web1 web2\n");
    let period = "  period\n   alert own.alert ops\n";
    site.folder.write("mon.cf", text + period);
    site.folder
        .write_executable("alert.d/own.alert", "#!/bin/sh\nexit 0\n");
    site
}

#[test]
fn what_clients_disable_is_in_mons_file_and_comes_back_with_l() {
    let site = site("");
    let disabled = || site.folder.read("state/disabled");
    let mut daemon = site.start([]);
    let mut client = Client::connect(&site);
    client.ask("disable host web2");
    wait_until("the file", SOON, || disabled() == "disable host web2\n");
    client.ask("disable service web http");
    let both = "disable host web2\ndisable service web http\n";
    wait_until("both in the file", SOON, || disabled() == both);
    daemon.signal(Signal::SIGTERM);
    daemon.wait(SOON);
    // D20: without -l, what persons wished is forgotten, as in mon.
    for (words, expected) in [
        (
            &["-l"][..],
            vec!["group web: web2", "watch web service http"],
        ),
        (&[][..], vec![]),
    ] {
        let mut daemon = site.start(words.iter().copied());
        let mut listed = Client::connect(&site).ask("list disabled");
        assert_eq!(listed.pop().unwrap(), "220 list disabled completed");
        assert_eq!(listed, expected, "{words:?}");
        daemon.signal(Signal::SIGTERM);
        daemon.wait(SOON);
    }
}

#[test]
fn savestate_and_loadstate_write_and_read_mons_files() {
    let site = site("");
    let _daemon = site.start([]);
    site.wait_for_run_from("mon.d");
    let mut client = Client::connect(&site);
    client.ask("disable watch web");
    assert_eq!(client.ask("savestate all"), ["220 savestate completed"]);
    let saved = site.folder.read("state/opstatus");
    assert!(
        saved.starts_with("group=web\tservice=http\top_status="),
        "{saved}"
    );
    assert_eq!(site.folder.read("state/disabled"), "disable watch web\n");
    client.ask("enable watch web");
    wait_until("the file", SOON, || {
        site.folder.read("state/disabled").is_empty()
    });
    assert_eq!(client.ask("list disabled"), ["220 list disabled completed"]);
    site.folder
        .write("state/disabled", "disable host web1\ndisable watch gone\n");
    assert_eq!(
        client.ask("loadstate disabled"),
        ["220 loadstate completed"]
    );
    let listed = client.ask("list disabled");
    assert_eq!(listed, ["group web: web1", "220 list disabled completed"]);
}

#[test]
fn monremote_is_told_of_what_clients_enable_disable_and_test() {
    let site = site("monremote = ./remote -x");
    let told = site.folder.join("told");
    let script = format!("#!/bin/sh\necho \"$*\" >>{}\n", told.display());
    let path = site.folder.write_executable("remote", script);
    let text = site
        .folder
        .read("mon.cf")
        .replace("./remote", path.to_str().unwrap());
    site.folder.write("mon.cf", text);
    let _daemon = site.start([]);
    let mut client = Client::connect(&site);
    for request in [
        "disable host web1 web2",
        "enable host web1 web2",
        "disable host nobody",
        "disable service web http",
        "enable watch web",
        "test monitor web http",
    ] {
        client.ask(request);
    }
    site.wait_for_text("told", "test web http");
    let expected = "-x disable host web1\n-x disable host web2\n-x enable host web1\n\
                    -x enable host web2\n-x disable service web http\n-x enable watch web\n\
                    -x test web http\n";
    assert_eq!(site.folder.read("told"), expected);
}

/// A site whose `monremote` says that it began, and goes on when there is a file `go`.
fn site_with_a_slow_remote() -> Site {
    let site = site("");
    let folder = site.folder.path().display().to_string();
    let script = format!(
        "#!/bin/sh\necho \"$*\" >>{folder}/begun\nwhile [ ! -e {folder}/go ]; do sleep 0.05; done\n\
         echo \"$*\" >>{folder}/told\n"
    );
    let path = site.folder.write_executable("remote", script);
    let text = site.folder.read("mon.cf");
    site.folder
        .write("mon.cf", format!("monremote = {}\n{text}", path.display()));
    site
}

/// A daemon that was told to stop while the first of two calls of such a `monremote` goes on.
fn stopping_before_a_slow_remote() -> (Site, Running) {
    let site = site_with_a_slow_remote();
    let daemon = site.start([]);
    Client::connect(&site).ask("disable host web1 web2");
    site.wait_for_text("begun", "disable host web1");
    daemon.signal(Signal::SIGTERM);
    site.wait_for_text("stderr", "stopping, the kernel's table");
    (site, daemon)
}

#[test]
fn a_stop_waits_for_calls_of_monremote() {
    let (site, mut daemon) = stopping_before_a_slow_remote();
    // A reload that comes too late is no haste.
    daemon.signal(Signal::SIGHUP);
    site.folder.write("go", "");
    assert!(daemon.wait(SOON).success());
    let expected = "disable host web1\ndisable host web2\n";
    assert_eq!(site.folder.read("told"), expected);
    let log = site.folder.read("stderr");
    assert!(!log.contains("stopping: monremote"), "{log}");
}

#[test]
fn a_stop_in_a_hurry_says_which_calls_of_monremote_it_leaves_out() {
    let (site, mut daemon) = stopping_before_a_slow_remote();
    daemon.signal(Signal::SIGTERM);
    assert!(daemon.wait(SOON).success());
    let log = site.folder.read("stderr");
    for (said, words) in [
        ("monremote was cut off", "disable host web1"),
        ("monremote is not told", "disable host web2"),
    ] {
        let mut lines = log.lines();
        let is_said = lines.any(|line| line.contains(said) && line.contains(words));
        assert!(is_said, "{said}: {log}");
    }
    assert_eq!(site.folder.read("told"), "");
}

#[test]
fn the_alert_history_comes_back_from_its_file() {
    let site = site("historicfile = history\nhistlength = 2\nhistorictime = 1d");
    let now = Clock::start().now().wall.seconds();
    let line = |age: i64, summary: &str| {
        format!(
            "alert web http {} /a/own.alert (ops) {summary}\n",
            now - age
        )
    };
    let young = [
        line(90_000, "old"),
        line(30, "one"),
        line(20, "two"),
        line(10, "three"),
    ];
    site.folder.write("log/history", young.concat());
    let _daemon = site.start([]);
    let mut listed = Client::connect(&site).ask("list alerthist");
    assert_eq!(listed.pop().unwrap(), "220 list alerthist completed");
    let ends = ["two", "three"];
    assert_eq!(listed.len(), ends.len(), "{listed:?}");
    for (line, end) in listed.iter().zip(ends) {
        assert!(line.contains("own.alert") && line.ends_with(end), "{line}");
    }
}

#[test]
fn started_stopped_nothing_runs_until_a_client_says_start() {
    let site = site("");
    let _daemon = site.start(["-S"]);
    let mut client = Client::connect(&site);
    let state = client.ask("list state");
    assert!(
        state[0].starts_with("scheduler stopped since "),
        "{state:?}"
    );
    assert_eq!(site.ran_from(), None);
    assert_eq!(client.ask("start"), ["220 start completed"]);
    site.wait_for_run_from("mon.d");
}

#[test]
fn a_start_as_mons_forgets_that_it_was_stopped_for_later_starts_too() {
    let site = site("");
    let state = |mut daemon: Running| {
        let state = Client::connect(&site).ask("list state").swap_remove(0);
        daemon.signal(Signal::SIGTERM);
        assert_eq!(daemon.wait(SOON).code(), Some(0));
        state
    };
    let stopped = state(site.start(["-S"]));
    assert!(stopped.starts_with("scheduler stopped since "), "{stopped}");
    assert_eq!(state(site.start([])), "scheduler running");
    let config = site.folder.join("mon.cf");
    let run = Running::start(
        lvsmon(["run", "--config"])
            .arg(config)
            .stderr(Stdio::null()),
    );
    assert_eq!(state(run), "scheduler running");
}

#[test]
fn a_reset_reads_the_alert_history_again() {
    let site = site("historicfile = history");
    let history = site.folder.join("log/history");
    let line = |summary: &str| format!("alert web http 1795251344 /a/own.alert (ops) {summary}\n");
    std::fs::write(&history, line("one")).unwrap();
    let _daemon = site.start([]);
    let mut client = Client::connect(&site);
    assert!(client.ask("list alerthist")[0].ends_with("one"));
    std::fs::write(&history, line("one") + &line("two")).unwrap();
    let reset = client.ask("reset").swap_remove(0);
    assert!(reset.starts_with("220 reset"), "{reset}");
    let listed = client.ask("list alerthist");
    assert_eq!(listed.len(), 3, "{listed:?}");
    assert!(listed[1].ends_with("two"), "{listed:?}");
}

#[test]
fn a_start_as_mons_says_what_was_disabled_and_is_not_any_more() {
    let site = site("");
    let once = |words: &[&str], request: &str| {
        let mut daemon = site.start(words.iter().copied());
        let answer = Client::connect(&site).ask(request);
        assert!(answer.last().unwrap().starts_with("220 "), "{answer:?}");
        daemon.signal(Signal::SIGTERM);
        assert_eq!(daemon.wait(SOON).code(), Some(0));
        site.folder.read("stderr")
    };
    let said =
        |log: String| log.contains("not in force any more") && log.contains("service web/http");
    assert!(!said(once(&[], "disable service web http")));
    assert!(!said(once(&["-l"], "list state")), "the file has it");
    assert!(
        said(once(&[], "disable service web http")),
        "nothing has it"
    );
    assert!(said(once(&[], "list state")));
    assert!(!said(once(&[], "list state")), "once");
}
