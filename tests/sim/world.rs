//! The world around the engine, in virtual time: everything that happens is drawn from the
//! seed and stands in one queue, ordered by time and by when it was put there.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use fastrand::Rng;
use jiff::tz::TimeZone;
use lvsmon::engine::Engine;
use lvsmon::engine::event::{
    Action, AlertId, Delivery, Ended, Event, HostResult, HostVerdict, Memory, Note, Reason, Report,
    Run, RunId, RunProgram, Status, Suppressed, TableOutcome, Trap, Wish,
};
use lvsmon::engine::saved::{Classic, Record, Saved};
use lvsmon::lvs::diff::{diff, missing, owned};
use lvsmon::lvs::{Command, ServerWish, Table, TableEntry, VirtualService, replay};
use lvsmon::model::{Ends, HostName, Model, ServiceId};
use lvsmon::time::{Mono, Now, Wall};

use super::depend::{Name, On, Reference, States};
use super::rules::{self, ByWhom, Rules, Seen, Waits, is_child};
use super::site::{Site, site};
use super::told::Told;
use super::wishes;

/// Wed 2024-03-13 08:00:00 UTC.
const START: i64 = 1_710_316_800;

/// What is going to happen.
#[derive(Clone, Debug)]
enum Coming {
    Ends { run: RunId, report: Report },
    Delivered(AlertId, Delivery),
    Resolved(HostName),
    LookAtTable { again: bool },
    HostFlips(String),
    Flush,
    Reload,
    SetClock,
    JournalLost,
    Kill,
    Wish,
    SaveState,
    Trap,
    TrapBurst,
}

pub(crate) struct World {
    seed: u64,
    random: Rng,
    engine: Engine,
    site: Site,
    variant: u64,
    /// Virtual time since the world began, and where the present daemon's clock began in it.
    time: Mono,
    origin: Mono,
    wall_offset: i64,
    coming: BTreeMap<(Mono, u64), Coming>,
    count: u64,
    /// Every record since the journal began, and when it was written.
    journal: Vec<(Mono, Record)>,
    kernel: Table,
    down: BTreeSet<String>,
    addresses: BTreeMap<HostName, u8>,
    is_calm: bool,
    rules: Rules,
    told: Told,
    /// States after the latest step.
    states: States,
    /// When each service was failing last.
    failing: BTreeMap<Name, Mono>,
    /// `savestate`, for a later `loadstate`.
    saved: Classic,
    pub(crate) seen: Seen,
    log: Option<String>,
}

fn load(site: &Site) -> Arc<Model> {
    let loaded = lvsmon::config::load_text(&site.text);
    let (model, _) = loaded.unwrap_or_else(|mistakes| panic!("{mistakes:#?}\n{}", site.text));
    Arc::new(model)
}

impl World {
    pub(crate) fn new(seed: u64) -> Self {
        let site = site(seed, 0);
        let model = load(&site);
        let now = Now {
            mono: Mono::ZERO,
            wall: Wall::from_seconds(START),
        };
        let engine = Engine::new(model, &Saved::default(), seed, TimeZone::UTC, now);
        let mut world = Self {
            seed,
            random: Rng::with_seed(seed),
            engine,
            site,
            variant: 0,
            time: Mono::ZERO,
            origin: Mono::ZERO,
            wall_offset: START * 1_000_000,
            coming: BTreeMap::new(),
            count: 0,
            journal: Vec::new(),
            kernel: Table::new(),
            down: BTreeSet::new(),
            addresses: BTreeMap::new(),
            is_calm: false,
            rules: Rules::default(),
            told: Told::default(),
            states: States::default(),
            failing: BTreeMap::new(),
            saved: Classic::default(),
            seen: Seen::default(),
            log: None,
        };
        world.states = States::of(&world.engine);
        world.set_up_director();
        for group in 0..4 {
            for host in 0..3 {
                world.later(300, Coming::HostFlips(format!("g{group}h{host}")));
            }
        }
        world.later(1_000, Coming::Flush);
        world.later(2_000, Coming::Reload);
        world.later(2_000, Coming::SetClock);
        world.later(2_000, Coming::JournalLost);
        world.later(2_000, Coming::Kill);
        world.later(100, Coming::Wish);
        world.later(100, Coming::SaveState);
        world.later(10, Coming::Trap);
        world.later(200, Coming::TrapBurst);
        world
    }

    pub(crate) fn keep_log(&mut self) {
        self.log = Some(String::new());
    }

    pub(crate) fn log(self) -> String {
        self.log.unwrap_or_default()
    }

    /// Lives for so many seconds.
    pub(crate) fn live(&mut self, seconds: u64) {
        let end = self.time.after(Duration::from_secs(seconds));
        if self.time == Mono::ZERO {
            self.tell(Event::Start);
        }
        self.until(end);
    }

    /// Nothing goes wrong any more: every service comes back, and the table is as the file
    /// wants it, without anybody's help.
    pub(crate) fn settle(&mut self) {
        self.is_calm = true;
        self.down.clear();
        self.set_up_director();
        let unrest = |what: &Coming| {
            matches!(
                what,
                Coming::HostFlips(_) | Coming::Flush | Coming::Reload | Coming::SetClock
            ) || matches!(what, Coming::JournalLost | Coming::Kill | Coming::Wish)
                || matches!(what, Coming::SaveState | Coming::TrapBurst)
        };
        self.coming.retain(|_, what| !unrest(what));
        for wish in wishes::all_back(&self.engine) {
            self.tell(Event::Operator(wish));
        }
        self.soon(Coming::LookAtTable { again: true });
        let end = self.time.after(Duration::from_secs(900));
        self.until(end);
        for view in self.engine.services() {
            assert_eq!(view.status, Status::Ok, "{view:?}\n{}", self.site.text);
        }
        let desired = self.engine.desired();
        assert_eq!(diff(desired, &self.kernel), [], "{}", self.site.text);
        for server in self.engine.real_servers() {
            let by_operator =
                |it: &lvsmon::engine::desired::Withdrawal| it.ends == Ends::ByOperator;
            let waits = server.withdrawals.iter().any(by_operator);
            let declared = !server.hosts.is_empty();
            assert!(
                !declared || waits || matches!(server.wish, ServerWish::In(_)),
                "{server:?}\n{}",
                self.site.text
            );
            self.seen.settled_servers += u64::from(matches!(server.wish, ServerWish::In(_)));
        }
    }

    fn until(&mut self, end: Mono) {
        for _ in 0..10_000_000_u64 {
            let deadline = self.engine.next_deadline();
            let deadline = deadline.map(|at| self.origin.after(at.since(Mono::ZERO)));
            let coming = self.coming.first_key_value().map(|(&(at, _), _)| at);
            // The shell takes the deadline first.
            match (deadline, coming) {
                (Some(at), other) if at <= end && other.is_none_or(|other| at <= other) => {
                    self.time = self.time.max(at);
                    self.tell(Event::Deadline);
                }
                (_, Some(at)) if at <= end => {
                    self.time = self.time.max(at);
                    if let Some((_, what)) = self.coming.pop_first() {
                        self.happen(what);
                    }
                }
                _ => {
                    self.time = end;
                    return;
                }
            }
        }
        panic!("the world does not come to its end");
    }

    fn now(&self) -> Now {
        let passed = i64::try_from(self.time.as_micros()).unwrap();
        Now {
            mono: Mono::ZERO.after(self.time.since(self.origin)),
            wall: Wall::from_micros(self.wall_offset + passed),
        }
    }

    fn at(&mut self, at: Mono, what: Coming) {
        self.count += 1;
        self.coming.insert((at, self.count), what);
    }

    /// Within a few milliseconds.
    fn soon(&mut self, what: Coming) {
        let at = self
            .time
            .after(Duration::from_micros(self.random.u64(1..5_000)));
        self.at(at, what);
    }

    /// After about so many seconds.
    fn later(&mut self, seconds: u64, what: Coming) {
        let delay = Duration::from_micros(self.random.u64(1..seconds * 2_000_000));
        let at = self.time.after(delay);
        self.at(at, what);
    }

    fn tell(&mut self, event: Event) -> Vec<Action> {
        let now = self.now();
        if let Some(log) = &mut self.log {
            let _ = writeln!(log, "{now:?} {event:?}");
        }
        let by_whom = match &event {
            Event::Operator(_) | Event::Reload { .. } => ByWhom::Operator,
            Event::Start
            | Event::Deadline
            | Event::RunEnded { .. }
            | Event::Trap(_)
            | Event::Resolved { .. }
            | Event::AlertDone { .. }
            | Event::HistoryRead(_)
            | Event::Table(_)
            | Event::Peer(_)
            | Event::Tripped(_)
            | Event::JournalLost => ByWhom::Nobody,
        };
        let is_reload = matches!(event, Event::Reload { .. });
        let mut loaded = None;
        if let Event::Operator(Wish::LoadState(classic)) = &event {
            loaded = Some(classic.clone());
        }
        let actions = self.engine.handle(now, event);
        let after = States::of(&self.engine);
        let before = std::mem::replace(&mut self.states, after);
        if let Some(log) = &mut self.log {
            let _ = writeln!(log, "    {actions:?}");
        }
        self.rules
            .check(now, &self.engine, &actions, self.site.may_wait, by_whom);
        if is_reload {
            self.told.reloaded(&self.engine);
        } else {
            self.look_at_dependencies(now, &before, &actions);
        }
        self.told.check(self.time, &self.engine, &actions);
        if let Some(classic) = loaded {
            self.seen.loaded_states += 1;
            self.told.loaded(self.time, &self.engine, &classic);
        }
        for action in &actions {
            self.perform(action);
        }
        actions
    }

    fn perform(&mut self, action: &Action) {
        match action {
            Action::Start(run) => {
                self.seen.runs += 1;
                self.run(run);
            }
            // A stopped run may still have its report under way.
            Action::Stop(_) | Action::Hold(_) | Action::LetGo(_) => {}
            Action::Send(call) => {
                match call.kind.mark() {
                    Some("-u") => self.seen.upalerts += 1,
                    Some("-a") => self.seen.acks += 1,
                    _ => self.seen.alerts += 1,
                }
                let delivery = match self.random.bool() {
                    true => Delivery::Done,
                    false => Delivery::GivenUp("nobody listens".to_owned()),
                };
                self.later(60, Coming::Delivered(call.id, delivery));
            }
            Action::Resolve(host) => self.soon(Coming::Resolved(host.clone())),
            Action::ApplyTable => self.soon(Coming::LookAtTable { again: false }),
            Action::Record(record) => {
                let text = serde_json::to_string(record).unwrap();
                let record: Record = serde_json::from_str(&text).unwrap();
                self.journal.push((self.time, record));
            }
            Action::Suppressed(held) => {
                self.seen.suppressed += 1;
                let by_parent = matches!(held.why, Suppressed::DependFailed { .. });
                self.seen.held_by_parent += u64::from(by_parent);
            }
            Action::History(_) | Action::Renumber { .. } | Action::Downtime(_) => {}
            Action::Note(Note::NotRestored { key, reason }) => panic!("{key}: {reason}"),
            Action::Note(Note::Throttled { .. }) => self.seen.throttled += 1,
            Action::Note(Note::Wish { outcome, .. }) => {
                self.seen.wishes += 1;
                self.seen.refused_wishes += u64::from(outcome.is_err());
            }
            Action::Note(_) => {}
        }
    }

    /// A monitor runs: most end soon, some hang until they are killed, some report twice.
    fn run(&mut self, run: &Run) {
        let fate = if self.is_calm { 0 } else { self.random.u8(..) };
        let mut took = Duration::from_millis(self.random.u64(1..800));
        let mut report = self.found(run);
        match fate {
            0..=229 => {}
            230..=239 => took = Duration::from_secs(self.random.u64(1..15)),
            240..=244 if is_child(run) => {
                report.ended = Ended::Signalled(11);
                report.output = Vec::new();
            }
            245..=249 if is_child(run) => {
                took = Duration::from_secs(20);
                report.ended = Ended::TimedOut(took);
            }
            250 if is_child(run) => {
                took = Duration::ZERO;
                report.ended = Ended::NotStarted("no such file".to_owned());
                report.output = Vec::new();
            }
            _ => {
                let again = self.time.after(took + Duration::from_millis(30));
                let report = report.clone();
                self.at(
                    again,
                    Coming::Ends {
                        run: run.id,
                        report,
                    },
                );
            }
        }
        report.took = took;
        let at = self.time.after(took);
        self.at(
            at,
            Coming::Ends {
                run: run.id,
                report,
            },
        );
    }

    fn found(&mut self, run: &Run) -> Report {
        let is_down = |host: &&HostName| self.down.contains(host.as_str());
        let down: Vec<&HostName> = run.hosts.iter().filter(is_down).collect();
        let names: Vec<&str> = down.iter().map(|host| host.as_str()).collect();
        let exit = match (down.is_empty(), &run.program) {
            (true, _) => 0,
            (false, RunProgram::Native(_)) => 1,
            (false, RunProgram::Executable(_)) => self.random.i32(1..=6),
        };
        let detail = self.random.u8(..3);
        let mut output = format!("{}\ndetail {detail}\n", names.join(" "));
        if exit != 0 && self.random.u8(..) < 20 {
            output = "no host is named here\n".to_owned();
        }
        let hosts = run.hosts.iter().map(|host| HostResult {
            host: host.clone(),
            verdict: match self.down.contains(host.as_str()) {
                true => HostVerdict::Down(Reason::Refused),
                false => HostVerdict::Up,
            },
            text: String::new(),
            weight: None,
            took: Duration::ZERO,
        });
        Report {
            ended: Ended::Exited(exit),
            output: if exit == 0 {
                Vec::new()
            } else {
                output.into_bytes()
            },
            hosts: match run.program {
                RunProgram::Native(_) => hosts.collect(),
                RunProgram::Executable(_) => Vec::new(),
            },
            took: Duration::ZERO,
        }
    }

    fn trap(&mut self, group: &str, service: &str, status: &str, summary: &str) {
        self.seen.traps += 1;
        self.tell(Event::Trap(Trap {
            group: group.to_owned(),
            service: service.to_owned(),
            status: status.to_owned(),
            summary: summary.to_owned(),
            detail: "by a test".to_owned(),
            from: std::net::Ipv4Addr::LOCALHOST.into(),
        }));
    }

    fn happen(&mut self, what: Coming) {
        match what {
            Coming::Ends { run, report } => self.ends(run, report),
            Coming::Delivered(alert, delivery) => {
                self.tell(Event::AlertDone { alert, delivery });
            }
            Coming::Resolved(host) => self.resolve(&host),
            Coming::LookAtTable { again } => {
                self.look_at_table();
                if again {
                    let at = self.time.after(Duration::from_secs(5));
                    self.at(at, Coming::LookAtTable { again });
                }
            }
            Coming::HostFlips(host) => {
                let was_down = self.down.remove(&host);
                if !was_down {
                    self.down.insert(host.clone());
                }
                let flaps = self.random.u8(..) < 40;
                let seconds = match (flaps, was_down) {
                    (true, _) => 4,
                    (false, true) => 400,
                    (false, false) => 80,
                };
                self.later(seconds, Coming::HostFlips(host));
            }
            Coming::Flush => {
                self.seen.flushed += 1;
                self.kernel.clear();
                if self.random.bool() {
                    self.set_up_director();
                }
                self.soon(Coming::LookAtTable { again: false });
                self.later(1_000, Coming::Flush);
            }
            Coming::Reload => {
                self.reload();
                self.later(2_000, Coming::Reload);
            }
            Coming::SetClock => {
                self.seen.clock_steps += 1;
                self.set_clock();
                self.later(2_000, Coming::SetClock);
            }
            Coming::JournalLost => {
                self.seen.lost_journals += 1;
                self.journal.clear();
                self.tell(Event::JournalLost);
                self.later(2_000, Coming::JournalLost);
            }
            Coming::Kill => {
                self.kill();
                self.later(2_000, Coming::Kill);
            }
            Coming::Wish => {
                let wish = wishes::draw(&mut self.random, &self.engine, &self.saved);
                self.tell(Event::Operator(wish));
                // Stopped, cleared or disabled: no run comes when it would have come.
                self.rules.forget_services();
                self.later(100, Coming::Wish);
            }
            Coming::SaveState => {
                self.saved = self.engine.classic();
                self.later(300, Coming::SaveState);
            }
            Coming::Trap => self.traps(),
            Coming::TrapBurst => self.trap_burst(),
        }
    }

    /// Traps for somebody or nobody; when all is calm good ones for everybody.
    fn traps(&mut self) {
        let services = self.engine.services();
        let names = services.map(|view| (view.group.to_owned(), view.name.to_owned()));
        let mut names: Vec<Name> = names.collect();
        if !self.is_calm {
            names.push(("g0".to_owned(), "unheard".to_owned()));
            names.push(("nobody".to_owned(), "knows".to_owned()));
            let one = names.swap_remove(self.random.usize(..names.len()));
            names = vec![one];
        }
        for (group, service) in names {
            let status = match self.is_calm {
                true => "0",
                false => ["0", "", "1", "3", "x"][self.random.usize(..5)],
            };
            let summary = format!("trapped {}", self.random.u8(..2));
            self.trap(&group, &service, status, &summary);
        }
        self.later(10, Coming::Trap);
    }

    /// Some within the same moment, and sometimes the daemon dies of it.
    fn trap_burst(&mut self) {
        for _ in 0..self.random.u32(1..6) {
            let status = self.random.i32(0..2);
            self.trap("g0", "traps", &status.to_string(), "said so");
        }
        if self.random.u8(..) < 40 {
            self.kill();
        }
        self.later(200, Coming::TrapBurst);
    }

    /// A step of the wall clock by itself makes nothing happen, but for runs that an exclude
    /// period held back.
    fn set_clock(&mut self) {
        let seconds = match self.random.u8(..3) {
            0 => 3_600,
            1 => -3_600,
            _ => self.random.i64(-7_200..7_200),
        };
        self.wall_offset += seconds * 1_000_000;
        let actions = self.tell(Event::Deadline);
        let globals = &self.engine.model().globals;
        let is_excluded = globals.exclude_period.is_some();
        for action in &actions {
            if let Action::Start(run) = action {
                let service = self.engine.model().service(run.service);
                let is_excluded = is_excluded || service.exclude_period.is_some();
                assert!(is_excluded, "a clock starts {run:?}");
                continue;
            }
            // The records of what counts time are written again, by the new clock.
            let is_said = matches!(
                action,
                Action::Record(_)
                    | Action::Renumber { .. }
                    | Action::Note(Note::Throttled { .. } | Note::NoHosts(_))
            );
            assert!(is_said, "a clock does {action:?}");
        }
    }

    /// What depends on what, worked out anew, agrees with what the engine did.
    fn look_at_dependencies(&mut self, now: Now, before: &States, actions: &[Action]) {
        let after = &self.states;
        for name in before.failing().chain(after.failing()) {
            self.failing.insert(name.clone(), self.time);
        }
        let reference = Reference {
            relies: &self.site.relies,
            failing: &self.failing,
            time: self.time,
        };
        let name = |id: ServiceId| {
            let service = self.engine.model().service(id);
            (service.group.to_string(), service.name.to_string())
        };
        let fails = |on, name: &Name| {
            !reference.holds(on, name, before) && !reference.holds(on, name, after)
        };
        let holds = |on, name: &Name| {
            let all = reference.holds(on, name, before) && reference.holds(on, name, after);
            all && !reference.may_remember(on, name)
        };
        for action in actions {
            if let Action::Start(run) = action {
                let name = name(run.service);
                assert!(!fails(On::Monitor, &name), "{name:?} runs all the same");
            }
            if let Action::Send(call) = action
                && &*call.command.name != "share.alert"
            {
                let name = name(call.service.unwrap());
                let is_held = call.kind.is_problem() && fails(On::Alerts, &name);
                assert!(!is_held, "{name:?} is told all the same");
            }
            if let Action::Suppressed(held) = action
                && held.kind.is_problem()
                && matches!(held.why, Suppressed::DependFailed { .. })
            {
                let name = name(held.service);
                assert!(!holds(On::Alerts, &name), "{name:?} is held back");
            }
        }
        let is_still = self.engine.stopped_since().is_some() || self.site.may_wait;
        let waiting = std::cell::Cell::new(0);
        rules::nothing_freezes(now, &self.engine, |id| {
            let name = name(id);
            let holds = reference.holds(On::Monitor, &name, after)
                && !reference.may_remember(On::Monitor, &name);
            waiting.set(waiting.get() + u64::from(!holds));
            match holds && !is_still {
                true => Waits::No,
                false => Waits::Perhaps,
            }
        });
        self.seen.waits_for_parent += waiting.get();
    }

    /// A run ends. A forgotten one says nothing any more, a frozen one nothing to the table.
    fn ends(&mut self, run: RunId, report: Report) {
        let frozen = self.rules.going.get(&run).copied();
        let frozen = frozen.filter(|&id| self.is_frozen(id));
        let before = frozen.map(|_| self.engine.desired().clone());
        let is_late = !self.rules.ended(run);
        self.seen.late_reports += u64::from(is_late);
        let actions = self.tell(Event::RunEnded { run, report });
        if let Some(before) = before {
            self.seen.quiet += 1;
            assert_eq!(&before, self.engine.desired(), "a frozen verdict moved");
        }
        // What was due at this very moment may start beside it.
        let starts = |action: &Action| {
            matches!(
                action,
                Action::Start(_) | Action::Note(Note::Throttled { .. })
            )
        };
        assert!(
            !is_late || actions.iter().all(starts),
            "a forgotten run still counts: {actions:?}"
        );
    }

    /// Whether the table keeps what this service said before.
    fn is_frozen(&self, id: lvsmon::model::ServiceId) -> bool {
        let view = self.engine.service(id);
        view.is_some_and(|view| {
            let is_stopped = self.engine.stopped_since().is_some();
            is_stopped || view.is_disabled || self.engine.is_watch_disabled(view.group)
        })
    }

    /// The init script of the director: virtual services that are not ours.
    fn set_up_director(&mut self) {
        for group in 0..4 {
            let key = format!("10.0.0.{group}:80/tcp").parse().unwrap();
            let plain = || TableEntry {
                service: VirtualService::plain(
                    lvsmon::lvs::Family::V4,
                    lvsmon::lvs::Scheduler::wlc(),
                ),
                servers: BTreeMap::new(),
            };
            self.kernel.entry(key).or_insert_with(plain);
        }
    }

    fn resolve(&mut self, host: &HostName) {
        let count = u8::try_from(self.addresses.len()).unwrap() + 10;
        let known = self.addresses.entry(host.clone()).or_insert(count);
        let unlucky = !self.is_calm && self.random.u8(..) < 30;
        let answer = match unlucky {
            true => Err("the name server does not answer".to_owned()),
            false => Ok(vec![format!("192.168.77.{known}").parse().unwrap()]),
        };
        if unlucky {
            self.later(20, Coming::Resolved(host.clone()));
        }
        let host = host.clone();
        self.tell(Event::Resolved { host, answer });
    }

    /// The applier: list, diff, apply, say what came of it.
    fn look_at_table(&mut self) {
        let desired = self.engine.desired().clone();
        let mut outcome = TableOutcome::default();
        for command in diff(&desired, &self.kernel) {
            let refused = !self.is_calm && self.random.u8(..) < 20;
            let applied = match refused {
                true => Err("operation not permitted".to_owned()),
                false => {
                    replay::apply(&mut self.kernel, &command).map_err(|why| format!("{why:?}"))
                }
            };
            match applied {
                Ok(()) => {
                    let takes_out = matches!(command, Command::DeleteServer(..));
                    self.seen.withdrawn += u64::from(takes_out);
                    outcome.applied.push(command);
                }
                Err(why) => {
                    self.seen.refused += 1;
                    outcome.refused.push((command, why));
                }
            }
        }
        if outcome.refused.is_empty() {
            assert_eq!(diff(&desired, &self.kernel), [], "applying does not agree");
        } else if !self.is_calm {
            self.later(10, Coming::LookAtTable { again: false });
        }
        outcome.missing = missing(&desired, &self.kernel);
        outcome.actual = Some(Arc::new(owned(&desired, self.kernel.clone())));
        self.tell(Event::Table(outcome));
    }

    fn reload(&mut self) {
        self.seen.reloads += 1;
        let same = self.random.bool();
        let memory = match self.random.u8(..4) {
            0 => Memory::Forgotten,
            _ => Memory::Kept,
        };
        if !same {
            self.variant = self.random.u64(..3);
            self.site = site(self.seed, self.variant);
            self.rules.forget_services();
        }
        let model = load(&self.site);
        let renumbered = |world: &Self| -> BTreeMap<String, _> {
            let services = world.engine.model().services();
            services
                .map(|(id, service)| (format!("{}/{}", service.group, service.name), id))
                .collect()
        };
        let before = renumbered(self);
        self.rules.going = {
            // The engine names the services of its runs by their new numbers from now on.
            let new: BTreeMap<String, _> = model
                .services()
                .map(|(id, service)| (format!("{}/{}", service.group, service.name), id))
                .collect();
            let name = |id| before.iter().find(|(_, known)| **known == id);
            let going = std::mem::take(&mut self.rules.going).into_iter();
            going
                .map(|(run, id)| {
                    let new = name(id).and_then(|(name, _)| new.get(name));
                    // What is gone gets a number that nobody has; the engine stops it.
                    (
                        run,
                        new.copied().unwrap_or(lvsmon::model::ServiceId(u32::MAX)),
                    )
                })
                .collect()
        };
        let startup_alerts = model.globals.startupalerts_on_reset;
        let actions = self.tell(Event::Reload { model, memory });
        if memory == Memory::Forgotten {
            self.rules.forget_services();
        } else if same {
            // What was due at this very moment happens beside the reload.
            let expected = |action: &&Action| match action {
                Action::Send(_) | Action::Suppressed(_) | Action::History(_) => startup_alerts,
                Action::Start(_) | Action::Note(Note::Throttled { .. } | Note::NoHosts(_)) => true,
                Action::Stop(_)
                | Action::Hold(_)
                | Action::LetGo(_)
                | Action::Resolve(_)
                | Action::ApplyTable
                | Action::Record(_)
                | Action::Renumber { .. }
                | Action::Downtime(_)
                | Action::Note(_) => false,
            };
            let others: Vec<&Action> = actions.iter().filter(|it| !expected(it)).collect();
            assert!(others.is_empty(), "reload of the same file: {others:?}");
        }
    }

    /// kill -9, and a new daemon from the journal some seconds later.
    fn kill(&mut self) {
        self.seen.restarts += 1;
        let before = kept(&self.engine);
        let model = Arc::clone(self.engine.model());
        let is_cut = self.random.u8(..) < 90;
        if is_cut {
            self.seen.cut_journals += 1;
            let second = Duration::from_secs(1).as_micros();
            let end = self
                .time
                .as_micros()
                .saturating_sub(u64::try_from(second).unwrap());
            let end = Mono::from_micros(end);
            self.journal.retain(|&(at, _)| at < end);
            self.told.cut(end);
        }
        let mut saved = Saved::default();
        for (_, record) in self.journal.iter().cloned() {
            match record.value.is_null() {
                true => saved.records.remove(&record.key),
                false => saved.records.insert(record.key, record.value),
            };
        }
        let gone = Duration::from_secs(self.random.u64(0..30));
        self.time = self.time.after(gone);
        self.origin = self.time;
        self.rules.going.clear();
        self.rules.forget_services();
        // Reports and deliveries die with the daemon; names are asked for anew.
        self.coming.retain(|_, what| {
            !matches!(
                what,
                Coming::Ends { .. } | Coming::Delivered(..) | Coming::Resolved(_)
            )
        });
        let now = self.now();
        self.engine = Engine::new(model, &saved, self.seed, TimeZone::UTC, now);
        self.states = States::of(&self.engine);
        let after = kept(&self.engine);
        assert!(
            is_cut || before == after,
            "the journal does not say the same: {before:?} {after:?}"
        );
        self.tell(Event::Start);
    }
}

/// What a restart must not lose. Times may be clamped when the clock was set back.
fn kept(engine: &Engine) -> impl PartialEq + std::fmt::Debug + use<> {
    let services = engine.services().map(|view| {
        let hosts = view.hosts.iter().map(|host| host.is_disabled);
        (
            format!("{}/{}", view.group, view.name),
            (view.status, view.consec_failures, view.alerts_sent),
            view.first_failure.is_some(),
            (view.status == Status::Fail).then(|| view.summary.to_string()),
            view.ack.map(|ack| ack.comment.to_owned()),
            (view.is_disabled, engine.is_watch_disabled(view.group)),
            hosts.collect::<Vec<_>>(),
        )
    });
    (
        services.collect::<Vec<_>>(),
        engine.stopped_since().is_some(),
    )
}
