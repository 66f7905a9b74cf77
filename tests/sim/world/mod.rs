//! The world around the engine, in virtual time: everything that happens is drawn from the
//! seed and stands in one queue, ordered by time and by when it was put there.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::io::Write as _;
use std::sync::Arc;
use std::time::Duration;

use fastrand::Rng;
use jiff::tz::TimeZone;
use lvsmon::engine::Engine;
use lvsmon::engine::desired::{RealServerView, ServerRole};
use lvsmon::engine::event::{
    Action, AlertId, DeliveryOutcome, Event, HostResult, Note, Purpose, Report, Run, RunId, Status,
    Suppressed, WireId, Wish,
};
use lvsmon::engine::saved::{Classic, Record, Saved};
use lvsmon::lvs::diff::diff;
use lvsmon::lvs::{RealServerKey, ServerWish, Table, VirtualServiceKey};
use lvsmon::model::{Ends, HostName, Model, ServiceId};
use lvsmon::time::{Mono, Now, Wall};

use super::cut_off::CutOff;
use super::depend::{Name, On, Reference, States};
use super::health::Health;
use super::live;
use super::orders::{Asked, Orders};
use super::rules::{self, ByWhom, Rules, Seen, Waits};
use super::site::{Site, site};
use super::told::Told;
use super::troubles::Troubles;
use super::wires::Wires;
use super::wishes;

mod links;
mod monitors;
mod restarts;
mod table;

/// Wed 2024-03-13 08:00:00 UTC.
const START: i64 = 1_710_316_800;

/// What is going to happen.
#[derive(Clone, Debug)]
enum Coming {
    Checked { run: RunId, result: HostResult },
    Ends { run: RunId, report: Report },
    Delivered(AlertId, DeliveryOutcome),
    Resolved(HostName),
    LookAtTable { again: bool },
    HostFlips(String),
    WireIsMade(WireId),
    WireEnds(WireId),
    CutOff,
    Joined,
    Flush,
    Meddler,
    NewAddress,
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
    addresses: BTreeMap<HostName, u32>,
    is_calm: bool,
    rules: Rules,
    told: Told,
    health: Health,
    orders: Orders,
    troubles: Troubles,
    wires: Wires,
    cut_off: CutOff,
    /// Runs that go on.
    runs: BTreeMap<RunId, Run>,
    /// What the present daemon saw of the table last, and when first since it has this
    /// configuration.
    looked: Option<Arc<Table>>,
    first_look: Option<Mono>,
    active: BTreeMap<(VirtualServiceKey, RealServerKey), u32>,
    /// Another writer who does not give up, until then.
    war: Option<(VirtualServiceKey, Mono)>,
    /// States after the latest step.
    states: States,
    /// When each service was failing last.
    failing: BTreeMap<Name, Mono>,
    /// `savestate`, for a later `loadstate`.
    saved: Classic,
    pub(crate) seen: Seen,
    log: Option<String>,
}

/// The end of the story of a world that broke a rule, where one was kept.
impl Drop for World {
    fn drop(&mut self) {
        /// Lines that are shown, where nobody asks for another number.
        const LINES: u64 = 60;
        if let Some(log) = self.log.as_ref().filter(|_| std::thread::panicking()) {
            let count = log.lines().count();
            let shown = super::number("SIM_LINES").unwrap_or(LINES);
            let shown = usize::try_from(shown).unwrap();
            for line in log.lines().skip(count.saturating_sub(shown)) {
                let _ = writeln!(std::io::stderr(), "{line}");
            }
        }
    }
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
            health: Health::default(),
            orders: Orders::default(),
            troubles: Troubles::default(),
            wires: Wires::default(),
            cut_off: CutOff::default(),
            runs: BTreeMap::new(),
            looked: None,
            first_look: None,
            active: BTreeMap::new(),
            war: None,
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
        world.later(300, Coming::CutOff);
        world.later(1_000, Coming::Flush);
        world.later(200, Coming::Meddler);
        world.later(500, Coming::NewAddress);
        world.later(10, Coming::LookAtTable { again: true });
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

    pub(crate) fn log(mut self) -> String {
        self.log.take().unwrap_or_default()
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
        self.cut_off.ends();
        self.set_up_director();
        let unrest = |what: &Coming| {
            matches!(
                what,
                Coming::HostFlips(_) | Coming::Flush | Coming::Reload | Coming::SetClock
            ) || matches!(what, Coming::Meddler | Coming::NewAddress)
                || matches!(what, Coming::JournalLost | Coming::Kill | Coming::Wish)
                || matches!(what, Coming::SaveState | Coming::TrapBurst)
                || matches!(what, Coming::CutOff | Coming::Joined)
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
            let is_spare = server.role == Some(ServerRole::FallbackOut);
            assert!(
                !declared || waits || is_spare || matches!(server.wish, ServerWish::In(_)),
                "{server:?}\n{}",
                self.site.text
            );
            let is_slow = matches!(server.role, Some(ServerRole::Serves { share: 0..=99 }));
            assert!(!is_slow && server.manual.is_none(), "{server:?}");
            self.seen.settled_servers += u64::from(matches!(server.wish, ServerWish::In(_)));
        }
        self.troubles.are_over(&self.engine);
        self.names_lead_to_servers();
        self.only_foreigners_are_left();
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

    pub(crate) fn now(&self) -> Now {
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
            | Event::Resolved(_)
            | Event::AlertDone { .. }
            | Event::HistoryRead(_)
            | Event::Table(_)
            | Event::Peer(_)
            | Event::PeerDelivered(_)
            | Event::Delivered(_)
            | Event::PeerWishes(_)
            | Event::Tripped(_)
            | Event::HostChecked { .. }
            | Event::JournalLost => ByWhom::Nobody,
        };
        if let Event::Operator(Wish::Enable(_) | Wish::Start) = &event {
            self.health.enabled();
        }
        let asked = Asked::of(&self.engine, self.looked.as_ref(), &event);
        let is_delivery = matches!(event, Event::AlertDone { .. });
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
        if !is_delivery {
            self.look_at_servers(now, asked, &actions, by_whom);
        }
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
                self.runs.insert(run.id, run.clone());
                let service = self.engine.model().service(run.service);
                let name = (service.group.to_string(), service.name.to_string());
                self.wires.starts(run, &name);
                self.seen.beside += u64::from(run.purpose == Purpose::Beside);
                self.seen.former += u64::from(run.purpose == Purpose::Former);
                self.run(run);
            }
            // A stopped run may still have its report under way.
            Action::Stop(run) => {
                self.runs.remove(run);
                self.wires.stops(*run);
            }
            Action::Hold(wire) => self.hold(wire),
            Action::LetGo(wire) => self.wires.let_go(*wire),
            Action::Send(call) => {
                match call.kind.mark() {
                    Some("-u") => self.seen.upalerts += 1,
                    Some("-a") => self.seen.acks += 1,
                    _ => self.seen.alerts += 1,
                }
                let delivery = match self.random.bool() {
                    true => DeliveryOutcome::Done,
                    false => DeliveryOutcome::GivenUp("nobody listens".to_owned()),
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
            Action::Answer(outcome) => {
                self.seen.wishes += 1;
                self.seen.refused_wishes += u64::from(outcome.is_err());
            }
            Action::Note(_) => {}
        }
    }

    /// Nothing reaches the director, nor it anything.
    fn lose_everybody(&mut self) {
        let name = |id| {
            let service = self.engine.model().service(id);
            (service.group.to_string(), service.name.to_string())
        };
        let going = self.rules.going.iter();
        let going = going.map(|(&run, &id)| (run, name(id))).collect();
        self.cut_off.begins(self.time, going);
        self.later(80, Coming::Joined);
    }

    fn happen(&mut self, what: Coming) {
        match what {
            Coming::Checked { run, result } => {
                let (host, verdict) = (result.host, result.verdict);
                self.tell(Event::HostChecked { run, host, verdict });
            }
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
            Coming::HostFlips(host) => self.host_flips(host),
            Coming::WireIsMade(wire) => self.wire_is_made(wire),
            Coming::WireEnds(wire) => self.wire_ends(wire),
            Coming::CutOff => self.lose_everybody(),
            Coming::Joined => {
                self.cut_off.ends();
                self.later(600, Coming::CutOff);
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
            Coming::Meddler => self.meddle(),
            Coming::NewAddress => self.new_address(),
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

    /// Every real server stands as it should.
    fn look_at_servers(&mut self, now: Now, asked: Asked, actions: &[Action], by_whom: ByWhom) {
        let views = self.engine.real_servers();
        live::nobody_is_out_without_a_reason(&self.engine, &views);
        let grace = Duration::from_secs(2);
        let is_waiting = self
            .first_look
            .is_none_or(|at| self.time <= at.after(grace));
        let kernel = self.looked.as_deref();
        live::sections_are_served(&self.engine, &views, kernel, is_waiting);
        self.health.check(&self.engine, &views);
        self.orders
            .check(now, self.time, &self.engine, &views, asked, actions);
        self.troubles.check(now, &self.engine, &views, actions);
        let engine = &self.engine;
        let was_seen = self.site.has_witness
            && !self.site.may_wait
            && self
                .cut_off
                .check(self.time, engine, &views, actions, by_whom, |run| {
                    self.rules.going.contains_key(run)
                });
        self.seen.cut_off += u64::from(was_seen);
        let is_udp = |it: &&RealServerView| live::is_udp(it.virtual_service);
        let is_out = |it: &&RealServerView| it.role == Some(ServerRole::Out);
        let udp_out = views.iter().filter(is_udp).filter(is_out).count();
        self.seen.udp_out += udp_out as u64;
        let roles = |role| views.iter().filter(|it| it.role == Some(role)).count();
        self.seen.kept_servers += roles(ServerRole::Kept) as u64;
        self.seen.fallbacks += roles(ServerRole::FallbackIn) as u64;
        self.seen.orders += self.orders.count() as u64;
        self.seen.inherited_orders += std::mem::take(&mut self.orders.inherited);
        self.seen.troubles += self.troubles.count() as u64;
        let drains = |it: &&RealServerView| matches!(it.role, Some(ServerRole::Draining { .. }));
        self.seen.drains += views.iter().filter(drains).count() as u64;
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
                && let Some(service) = call.service
                && &*call.command.name != "share.alert"
            {
                let name = name(service);
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
        let memory = |name: &Name| {
            let model = self.engine.model();
            let rely = reference.rely(On::Monitor, name).into_iter();
            let ids = rely.filter_map(|(group, service)| model.find(group, service));
            let memories = ids.filter_map(|id| model.service(id).dep_memory);
            memories.max().unwrap_or_default()
        };
        let is_still = self.engine.stopped_since().is_some() || self.site.may_wait;
        let waiting = std::cell::Cell::new(0);
        rules::nothing_freezes(now, &self.engine, |id| {
            let name = name(id);
            let holds = reference.holds(On::Monitor, &name, after)
                && !reference.may_remember(On::Monitor, &name);
            waiting.set(waiting.get() + u64::from(!holds));
            match holds && !is_still {
                true => Waits::No,
                false => Waits::Perhaps {
                    memory: memory(&name),
                },
            }
        });
        self.seen.waits_for_parent += waiting.get();
    }
}
