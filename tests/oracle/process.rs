//! A story on the real program: monitors and alerts are scripts, clients come by TCP.
//!
//! Times of the configuration pass [`FASTER`]. Nothing waits for a time: a run of a monitor
//! with something to do before its end waits for a file, and behind the last run of its script
//! each monitor hangs, so that the story ends where it is told to. What is called is compared
//! alert by alert, in order; the numbers of the runs are not.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{Ipv4Addr, TcpStream};
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use nix::sys::signal::Signal;
use regex::{Captures, Regex};

use super::engine::EVERYBODY;
use super::story::{Action, Call, Entry, Story, When, masked};
use crate::support::{Running, TempDir, free_port, lvsmon, wait_for, wait_until};

/// So many times faster than it is written goes a story.
const FASTER: f64 = 70.0;

/// Longer than anything takes on a busy machine.
const SOON: Duration = Duration::from_secs(60);

/// Waits for its turn, then does what the files of this run say.
const MONITOR: &str = r#"#!/bin/sh
d=DIR/runs/$MON_GROUP.$MON_SERVICE
echo run >>$d.count
n=$(wc -l <$d.count)
[ -e $d.$n.exit ] || exec sleep 600
until [ -e $d.$n.go ]; do sleep 0.02; done
cat $d.$n.out
eval "$(cat $d.$n.exit)"
"#;

/// Keeps arguments, variables and input, in a file that appears when it is complete.
const ALERT: &str = r#"#!/bin/sh
f=DIR/calls/$(date +%s%N).$$
{
    echo "${0##*/}"
    echo "$#"
    for word; do printf '%s\n' "$word"; done
    env -0 | tr '\n\0' '\1\n'
    echo ----
    cat
} >$f.part
mv $f.part $f.call
"#;

/// Plays a story to its end; the answers of its steps and the calls, without run numbers.
pub(crate) fn play(story: &Story) -> (Vec<Vec<String>>, Vec<String>) {
    let mut player = Player::new(story);
    player.daemon = Some(player.start());
    let mut answers = vec![Vec::new(); story.steps.len()];
    for (step, answer) in story.steps.iter().zip(&mut answers) {
        if let Some((when, action)) = &step.action {
            *answer = player.act(when, action);
        }
    }
    for (service, script) in &story.scripts {
        player.wait_for_run(service, script.len() + 1);
    }
    wait_until("the calls of the story", SOON, || {
        player.calls().len() >= story.calls.len()
    });
    let mut daemon = player.daemon.take().expect("it was started");
    daemon.signal(Signal::SIGTERM);
    daemon.wait(SOON);
    let calls = player.calls();
    let line = |call: &Call| without_run(&call.line(&story.shown));
    (answers, calls.iter().map(line).collect())
}

/// A line of a call without the number of the run.
pub(crate) fn without_run(line: &str) -> String {
    Regex::new(r"^(\S+) \d+ ")
        .unwrap()
        .replace(line, "$1 ")
        .into_owned()
}

struct Player<'a> {
    folder: TempDir,
    story: &'a Story,
    config: String,
    port: u16,
    daemon: Option<Running>,
}

impl<'a> Player<'a> {
    fn new(story: &'a Story) -> Self {
        let folder = TempDir::new();
        let here = folder.path().display().to_string();
        let port = free_port();
        let globals = format!(
            "statedir = {here}/state\nlogdir = {here}\nmondir = {here}/mon.d\n\
             alertdir = {here}/alert.d\nauthfile = {here}/auth.cf\npidfile = {here}/pid\n\
             serverbind = 127.0.0.1\nserverport = {port}\ntrapbind = 127.0.0.1\n\
             trapport = {port}\n\n"
        );
        let config = faster(&story.config);
        for sub in ["state", "runs", "calls"] {
            fs::create_dir(folder.join(sub)).unwrap();
        }
        folder.write_executable("mon.d/site.monitor", MONITOR.replace("DIR", &here));
        for name in alerts(&config) {
            folder.write_executable(&format!("alert.d/{name}"), ALERT.replace("DIR", &here));
        }
        folder.write("auth.cf", EVERYBODY);
        let player = Self {
            config: globals + &config,
            folder,
            story,
            port,
            daemon: None,
        };
        player.folder.write("mon.cf", &player.config);
        player.write_scripts();
        player
    }

    fn write_scripts(&self) {
        let waiting: BTreeSet<(&str, usize)> = self
            .story
            .steps
            .iter()
            .filter_map(|step| match &step.action {
                Some((When::Before(service, run), _)) => Some((service.as_str(), *run)),
                _ => None,
            })
            .collect();
        for (service, script) in &self.story.scripts {
            for (number, entry) in (1..).zip(script) {
                let file = |end: &str| format!("runs/{}.{number}.{end}", service.replace('/', "."));
                self.folder.write(&file("out"), &entry.output);
                self.folder.write(&file("exit"), end(entry));
                if !waiting.contains(&(service.as_str(), number)) {
                    self.folder.write(&file("go"), "");
                }
            }
        }
    }

    fn start(&self) -> Running {
        let log = fs::File::create(self.folder.join("log")).unwrap();
        Running::start(
            lvsmon(["run", "--config"])
                .arg(self.folder.join("mon.cf"))
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(log),
        )
    }

    fn act(&mut self, when: &When, action: &Action) -> Vec<String> {
        let When::Before(service, run) = when else {
            panic!("times are for the engine: {action:?}");
        };
        self.wait_for_run(service, *run);
        let answer = match action {
            Action::Client(line) => self.client(line),
            Action::Reload(change) => {
                if let Some((old, new)) = change {
                    let changed = self.config.replace(old, new);
                    assert_ne!(changed, self.config, "the reload changes nothing");
                    self.config = changed;
                    self.folder.write("mon.cf", &self.config);
                }
                let daemon = self.daemon.as_ref().expect("it runs");
                daemon.signal(Signal::SIGHUP);
                wait_until("the reload", SOON, || {
                    self.folder.read("log").contains("configuration reloaded")
                });
                Vec::new()
            }
            Action::Trap(_) | Action::Restart(_) => panic!("for the engine only: {action:?}"),
        };
        let go = format!("runs/{}.{run}.go", service.replace('/', "."));
        let later = self.story.steps.iter().skip_while(
            |step| !matches!(&step.action, Some((_, known)) if std::ptr::eq(known, action)),
        );
        let is_last = !later
            .skip(1)
            .any(|step| matches!(&step.action, Some((known, _)) if known == when));
        if is_last {
            self.folder.write(&go, "");
        }
        answer
    }

    /// The answer to one line on a connection of its own, without its end.
    fn client(&self, line: &str) -> Vec<String> {
        let connect = || TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).ok();
        let mut stream = wait_for("the port of the daemon", SOON, connect);
        stream.set_read_timeout(Some(SOON)).unwrap();
        writeln!(stream, "{line}").unwrap();
        let last = Regex::new(r"^\d{3} ").unwrap();
        let mut answer = Vec::new();
        for line in BufReader::new(stream).lines() {
            let line = line.expect("an answer in time");
            answer.push(masked(&line));
            if last.is_match(&line) {
                break;
            }
        }
        answer
    }

    fn wait_for_run(&self, service: &str, number: usize) {
        let file = format!("runs/{}.count", service.replace('/', "."));
        wait_until(&format!("run {number} of {service}"), SOON, || {
            self.folder.read(&file).lines().count() >= number
        });
    }

    /// All calls so far, in their order.
    fn calls(&self) -> Vec<Call> {
        let entries = fs::read_dir(self.folder.join("calls")).unwrap();
        let mut files: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
        files.retain(|file| file.extension().is_some_and(|end| end == "call"));
        files.sort();
        files.iter().map(|file| call(file)).collect()
    }
}

/// One call as the script of the alert kept it.
fn call(file: &Path) -> Call {
    let bytes = fs::read(file).unwrap();
    let text = String::from_utf8_lossy(&bytes);
    let (head, input) = text.split_once("\n----\n").expect("variables and input");
    let mut lines = head.lines();
    let program = lines.next().expect("the name of the program").to_owned();
    let count = lines.next().and_then(|count| count.parse().ok());
    let mut args: Vec<&str> = lines.by_ref().take(count.expect("a count")).collect();
    let variables: BTreeMap<String, String> = lines
        .filter_map(|line| line.split_once('='))
        .map(|(name, value)| (name.to_owned(), value.replace('\u{1}', "\n")))
        .collect();
    let mut options = BTreeMap::new();
    while args.len() > 1 && ["-s", "-g", "-h", "-t"].contains(&args[0]) {
        options.insert(args[0], args[1]);
        args.drain(..2);
    }
    if let Some(mark) = args.first().copied()
        && ["-u", "-a", "-D", "-T", "-O"].contains(&mark)
    {
        args.remove(0);
    }
    let variable = |name: &str| variables.get(name).cloned();
    let words = "fail ok coldstart warmstart linkdown unknown timeout untested dependency warn";
    let status = variable("MON_OPSTATUS").and_then(|number| number.parse().ok());
    Call {
        service: format!("{}/{}", options["-g"], options["-s"]),
        run: 0,
        kind: variable("MON_ALERTTYPE").unwrap_or_default(),
        command: [vec![program.as_str()], args].concat().join(" "),
        hosts: options["-h"].to_owned(),
        exit: variable("MON_RETVAL").unwrap_or_else(|| "-".to_owned()),
        status: words
            .split(' ')
            .nth(status.expect("MON_OPSTATUS is a number"))
            .expect("a status")
            .to_owned(),
        input: input.to_owned(),
        variables,
    }
}

/// What a script does at the end of a run.
fn end(entry: &Entry) -> String {
    match entry.signal {
        Some(signal) => format!("kill -{signal} $$; sleep 600"),
        None => format!("exit {}", entry.exit),
    }
}

/// The configuration with shorter times.
fn faster(config: &str) -> String {
    let time = Regex::new(r"\b([0-9.]+)s\b").unwrap();
    let shorter = |found: &Captures<'_>| {
        let seconds: f64 = found[1].parse().unwrap();
        format!("{}s", seconds / FASTER)
    };
    let lines = config.lines().map(|line| {
        let word = line.split_whitespace().next().unwrap_or_default();
        let is_time = ["interval", "failure_interval", "alertafter", "alertevery"];
        let line = if is_time.contains(&word) {
            time.replace_all(line, shorter).into_owned()
        } else {
            line.to_owned()
        };
        line + "\n"
    });
    lines.collect()
}

/// The names of all alerts of a configuration.
fn alerts(config: &str) -> BTreeSet<String> {
    let name = Regex::new(r"\S+\.alert\b").unwrap();
    let names = name.find_iter(config).map(|name| name.as_str().to_owned());
    names.filter(|name| !name.starts_with("nosuch")).collect()
}
