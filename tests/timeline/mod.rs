//! Golden timelines: a configuration, what happens, what the engine answers.
//!
//! Each `*.txt` in this folder is one story. Above the line `----` stands the
//! configuration; below it come steps, each with the expected answer indented under it. A
//! changed answer is written by `UPDATE=1 cargo test timeline` and reviewed as a diff.
//!
//! Steps (times count from the start of the daemon; the engine is woken at every deadline
//! it asks for on the way):
//!
//! ```text
//! start 2024-03-13 10:00:00 UTC      the local time of the start, and the zone: UTC or POSIX TZ
//! show runs                          starts of monitors are part of the answer from here on
//! show calls                         of each call also hosts, exit value, status, standard input
//! show variables MON_ACK ...         and these variables, of runs too
//! show history                       lines of the alert history; show downtime: of its log
//! +10s http exit=1 "h1\nmore"        the run of service http ends; also signal=9, timeout,
//!                                    cannot="reason"; h1=refused or h1=up for native results,
//!                                    h1=up@7 or h1=up@50% with a weight
//! +10s former http h1=refused        its check at the address that h1 has left ends
//! +10s                               time passes
//! +10s wall 2024-03-13 12:00:00      the wall clock is set
//! +10s reload                        of the configuration above the line
//! +10s reload without "lvs.alert"    of its other lines only
//! +10s reload "after 2" "after 5"    of it with another text in place of the first
//! +10s restart                       kill -9, and a new daemon from the journal; another
//!                                    configuration is named as with reload
//! +10s reset                         a reload without keepstate
//! +10s resolved h1 10.0.0.1          a name was looked up
//! +10s enable 192.168.0.1            a person's wish: a real server comes back
//! +10s drain 192.168.0.1 60s         also quiesce SERVER, disable server SERVER, weight 5 SERVER;
//!                                    behind it in "VIRTUAL", for 2h, because "WHY"
//! +10s look 192.168.0.1:80 3 0       a look at the kernel, which has all as wanted: this many
//!                                    active connections and persistent clients of that server
//! +10s found 192.168.0.1:80 5        somebody put that server into the kernel, with this weight:
//!                                    what is wanted as found stays so, over restarts too
//! +10s flushed                       a look at the kernel, of which somebody emptied the table
//! +10s disable host h1 h2            also watch NAME, service NAME; enable undoes it
//! +10s ack http "on it"              ack http by joe "on it"; stop, start; clear timers http;
//!                                    test monitor http; test upalert http 2 "PERIOD";
//!                                    set http VARIABLE "value"; set maxkeep 5
//! +10s trap web/http 1 "sum" "dtl"   a trap that was let in
//! ```

pub(crate) mod kernel;
pub(crate) mod step;
pub(crate) mod wish;
mod words;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::tz::TimeZone;
use lvsmon::engine::Engine;
use lvsmon::engine::event::{Action, Event, Purpose, Report, RunId};
use lvsmon::engine::saved::{Record, Saved};
use lvsmon::model::{HostName, Model, ServiceId};
use lvsmon::time::{Mono, Now, Wall};

use kernel::Kernel;
use step::{Change, Doing, Step, Told};
use words::Showing;

#[test]
fn every_timeline_happens_as_it_is_written() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/timeline");
    let mut files: Vec<PathBuf> = fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "txt"))
        .collect();
    files.sort();
    assert!(files.len() > 10, "no timelines in {}", folder.display());
    let update = std::env::var_os("UPDATE").is_some();
    let mut differing = String::new();
    for file in files {
        let written = fs::read_to_string(&file).unwrap();
        let happened = play(&file, &written);
        if written == happened {
            continue;
        }
        if update {
            fs::write(&file, happened).unwrap();
        } else {
            let _ = write!(differing, "{}", difference(&file, &written, &happened));
        }
    }
    assert!(
        differing.is_empty(),
        "{differing}\nUPDATE=1 writes what happens now; review it as a diff"
    );
}

/// The first line that differs, with what stands around it.
pub(crate) fn difference(file: &Path, written: &str, happened: &str) -> String {
    let (written, happened): (Vec<&str>, Vec<&str>) =
        (written.lines().collect(), happened.lines().collect());
    let same = written
        .iter()
        .zip(&happened)
        .take_while(|(one, other)| one == other)
        .count();
    let around = |lines: &[&str]| {
        let end = lines.len().min(same + 4);
        lines[same.saturating_sub(2)..end].join("\n    ")
    };
    format!(
        "{}:{}\n  written:\n    {}\n  happens:\n    {}\n",
        file.display(),
        same + 1,
        around(&written),
        around(&happened)
    )
}

/// The model of a configuration.
pub(crate) fn load(file: &Path, config: &str) -> Model {
    let loaded = lvsmon::config::load_text(&format!("{config}\n"));
    let (model, _) = loaded.unwrap_or_else(|mistakes| {
        panic!("{}: {mistakes:#?}", file.display());
    });
    model
}

/// Plays a story and writes it down again with the answers of today.
fn play(file: &Path, text: &str) -> String {
    let (config, steps) = text
        .split_once("\n----\n")
        .unwrap_or_else(|| panic!("{}: no line ---- after the configuration", file.display()));
    let mut out = format!("{config}\n----\n");
    let mut world: Option<World> = None;
    for line in steps.lines() {
        if line.starts_with(' ') {
            continue;
        }
        out.push_str(line);
        out.push('\n');
        if line.trim().is_empty() || line.starts_with('#') {
            continue;
        }
        let step = Step::parse(line).unwrap_or_else(|why| {
            panic!("{}: {line}: {why}", file.display());
        });
        let said = match (&mut world, step) {
            (None, Step::Start { local, zone }) => {
                let (started, said) = World::start(load(file, config), local, zone);
                world = Some(started);
                said
            }
            (Some(world), Step::At { after, doing }) => {
                let changed = |change: &Change| Arc::new(load(file, &change.of(config)));
                match &doing {
                    Doing::Reload(change, memory) => {
                        let (model, memory) = (changed(change), *memory);
                        let event = Event::Reload { model, memory };
                        world.step(after, Doing::Tell(Box::new(event)), line)
                    }
                    Doing::Restart(Change::None) => {
                        let model = Arc::clone(world.engine.model());
                        world.restart(after, model)
                    }
                    Doing::Restart(change) => world.restart(after, changed(change)),
                    Doing::Nothing
                    | Doing::Report { .. }
                    | Doing::Former { .. }
                    | Doing::SetWall(_)
                    | Doing::Tell(_)
                    | Doing::Look(_)
                    | Doing::Found(..)
                    | Doing::Flushed
                    | Doing::Ask(_) => world.step(after, doing, line),
                }
            }
            (Some(world), Step::Show(shown)) => {
                world.showing.more(shown);
                Vec::new()
            }
            (None, _) => panic!("{}: the first step is not start", file.display()),
            (Some(_), Step::Start { .. }) => panic!("{}: a second start", file.display()),
        };
        for line in said {
            let _ = writeln!(out, "    {line}");
        }
    }
    out
}

/// The engine, its clocks, its journal, and the runs that go on.
pub(crate) struct World {
    pub(crate) engine: Engine,
    zone: TimeZone,
    /// Time from the start of the story.
    pub(crate) elapsed: Mono,
    /// Where the present daemon's own clock began.
    origin: Mono,
    /// The wall clock at the start of the story, with all steps it made since.
    wall: Wall,
    journal: BTreeMap<String, serde_json::Value>,
    kernel: Kernel,
    pub(crate) running: BTreeMap<ServiceId, (RunId, Vec<HostName>)>,
    /// Those at addresses that names have left, one of a service.
    former: BTreeMap<ServiceId, (RunId, Vec<HostName>)>,
    showing: Showing,
    /// Every action so far that nobody took out.
    pub(crate) done: Vec<Action>,
}

impl World {
    pub(crate) fn start(
        model: Model,
        local: jiff::civil::DateTime,
        zone: TimeZone,
    ) -> (Self, Vec<String>) {
        let wall = step::wall(local, &zone);
        let now = Now {
            mono: Mono::ZERO,
            wall,
        };
        let saved = Saved::default();
        let engine = Engine::new(Arc::new(model), &saved, 1, zone.clone(), now);
        let mut world = Self {
            engine,
            zone,
            elapsed: Mono::ZERO,
            origin: Mono::ZERO,
            wall,
            journal: BTreeMap::new(),
            kernel: Kernel::default(),
            running: BTreeMap::new(),
            former: BTreeMap::new(),
            showing: Showing::default(),
            done: Vec::new(),
        };
        let mut said = Vec::new();
        world.tell(Event::Start, &mut said);
        (world, said)
    }

    pub(crate) fn now(&self) -> Now {
        Now {
            mono: Mono::ZERO.after(self.elapsed.since(self.origin)),
            wall: self.wall.after(self.elapsed.since(Mono::ZERO)),
        }
    }

    pub(crate) fn tell(&mut self, event: Event, said: &mut Vec<String>) {
        let now = self.now();
        let actions = self.engine.handle(now, event);
        if let Some(next) = self.engine.next_deadline() {
            assert!(
                next > now.mono,
                "a deadline in the past: {next:?} at {now:?}"
            );
        }
        for action in &actions {
            match action {
                Action::Start(run) if run.purpose == Purpose::Former => {
                    let this = (run.id, run.hosts.clone());
                    self.former.insert(run.service, this);
                }
                // Other checks beside those of a service hang.
                Action::Start(run) if run.purpose.is_single() => {}
                Action::Start(run) => {
                    let before = self
                        .running
                        .insert(run.service, (run.id, run.hosts.clone()));
                    assert!(before.is_none(), "a second run of one service");
                }
                Action::Stop(run) => {
                    self.running.retain(|_, (id, _)| id != run);
                    self.former.retain(|_, (id, _)| id != run);
                }
                Action::Record(record) => {
                    let Record { key, value } = Record::clone(record);
                    self.journal.insert(key, value);
                }
                Action::Send(_)
                | Action::Resolve(_)
                | Action::ApplyTable
                | Action::Suppressed(_)
                | Action::History(_)
                | Action::Renumber { .. }
                | Action::Downtime(_)
                | Action::Hold(_)
                | Action::LetGo(_)
                | Action::Answer(_)
                | Action::Note(_) => {}
            }
            said.extend(words::of(action, &self.engine, &self.showing));
        }
        self.done.extend(actions);
    }

    /// When the engine wants to be woken next, in the time of the story.
    pub(crate) fn due(&self) -> Option<Mono> {
        let deadline = self.engine.next_deadline();
        deadline.map(|at| self.origin.after(at.since(Mono::ZERO)))
    }

    /// Wakes the engine at every deadline up to a moment of the story.
    pub(crate) fn advance(&mut self, to: Mono, said: &mut Vec<String>) {
        assert!(to >= self.elapsed, "the story goes backwards");
        for _ in 0..100_000 {
            match self.due().filter(|&due| due <= to) {
                None => {
                    self.elapsed = to;
                    return;
                }
                Some(due) => {
                    self.elapsed = self.elapsed.max(due);
                    self.tell(Event::Deadline, said);
                }
            }
        }
        panic!("more than 100,000 deadlines in one step");
    }

    /// kill -9, and a new daemon with this configuration, from the journal.
    pub(crate) fn restart(&mut self, after: std::time::Duration, model: Arc<Model>) -> Vec<String> {
        let mut said = Vec::new();
        self.advance(Mono::ZERO.after(after), &mut said);
        self.running.clear();
        self.former.clear();
        self.origin = self.elapsed;
        let saved = Saved {
            records: self.journal.clone(),
        };
        self.engine = Engine::new(model, &saved, 1, self.zone.clone(), self.now());
        self.tell(Event::Start, &mut said);
        said
    }

    fn step(&mut self, after: std::time::Duration, doing: Doing, line: &str) -> Vec<String> {
        let mut said = Vec::new();
        self.advance(Mono::ZERO.after(after), &mut said);
        match doing {
            Doing::Nothing => {}
            Doing::Report { service, report } => {
                let id = wish::find(self.engine.model(), &service);
                let ended = self.running.remove(&id);
                self.ends(ended, report, line, &mut said);
            }
            Doing::Former { service, report } => {
                let id = wish::find(self.engine.model(), &service);
                let ended = self.former.remove(&id);
                self.ends(ended, report, line, &mut said);
            }
            Doing::SetWall(local) => {
                let wanted = step::wall(local, &self.zone);
                let passed = self.elapsed.since(Mono::ZERO);
                let passed = i64::try_from(passed.as_micros()).unwrap();
                self.wall = Wall::from_micros(wanted.as_micros() - passed);
                self.tell(Event::Deadline, &mut said);
            }
            Doing::Tell(event) => self.tell(*event, &mut said),
            Doing::Look(seen) => {
                let outcome = self.kernel.look(self.engine.desired(), &seen);
                self.tell(Event::Table(outcome), &mut said);
            }
            Doing::Found(server, weight) => {
                self.kernel.fill(self.engine.desired(), server, weight);
            }
            Doing::Flushed => {
                let outcome = self.kernel.flushed(self.engine.desired());
                self.tell(Event::Table(outcome), &mut said);
            }
            Doing::Ask(asked) => {
                let wish = asked.of(self.engine.model());
                self.tell(Event::Operator(wish), &mut said);
            }
            Doing::Reload(..) | Doing::Restart(_) => {
                panic!("this is read where the configuration is: {line}")
            }
        }
        said
    }
    /// A run ends with this report.
    fn ends(
        &mut self,
        ended: Option<(RunId, Vec<HostName>)>,
        report: Told,
        line: &str,
        said: &mut Vec<String>,
    ) {
        let (run, hosts) =
            ended.unwrap_or_else(|| panic!("no run goes on: {line}\n{}", said.join("\n")));
        let report: Report = report.of(&hosts);
        self.tell(Event::RunEnded { run, report }, said);
    }
}
