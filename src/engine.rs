//! The engine: all state of all services and all policy, without effects.
//!
//! Pure and synchronous. It is told one [`Event`] at a time together with the time and
//! answers with [`Action`]s. It never touches a clock, a socket, a process, a file or a
//! random source, so a run of it is repeated by repeating its events.
//!
//! | Question | File |
//! |---|---|
//! | what can it be told, what does it answer | `event` |
//! | when does a monitor run | `schedule` |
//! | what is a monitor told, what an alert | `call` |
//! | what is known of a run that goes on | `going` |
//! | what is known of a service | `state` |
//! | what may a person change | `operator` |
//! | what are mon's variables of a service | `variable` |
//! | what would mon's state files say | `classic` |
//! | which watches and hosts are disabled | `disabled` |
//! | what do operators wish of real servers | `manual` |
//! | what was alerted, what has failed | `history` |
//! | what follows from a report | `report` |
//! | which checks run between two slots | `between` |
//! | when are people told at once of what those decide | `early` |
//! | which connections tell of a crash | `tripwire` |
//! | which hosts are checked while a run of their service goes on | `beside` |
//! | who looks at an address that its name has left | `former` |
//! | where do checks of names go | `lead` |
//! | does a failure count, or is the director cut off | `witness` |
//! | what does a trap report, what does its absence | `trap` |
//! | does a dependency hold | `depend` |
//! | how does an event become alerts | `tell` |
//! | which numbers tell events apart | `numbering` |
//! | how do both directors name one outage | `peer` |
//! | what do both do about the wishes of their operators | `desk` |
//! | which alerts does an event cause, and if none, why | `policy` |
//! | what does a report say of each host | `verdict` |
//! | which services withdraw which real servers | `binding` |
//! | what does a `virtual` section want, and when | `section` |
//! | what goes wrong with a declared virtual service as a whole | `trouble` |
//! | what is wanted of each real server | `desired` |
//! | what does a new configuration change | `reload` |
//! | what is kept across a restart | `saved` |
//! | what of it is written anew as a whole | `records` |
//! | what do readers see | `view` |
//! | why does a service, or a host, have no check now | `held_up` |
//! | how old is what is known | `gauge` |
//! | what happened lately to a service | `recent` |
//! | what did the latest check say of a host | `said` |
//!
//! Invariants: after [`Engine::handle`] no deadline lies in the past; a service has at most
//! one run, and beside it some checks of single hosts; everything happens in file order. This file
//! holds the state of the whole and hands each event to where it belongs.

mod beside;
mod between;
pub(crate) mod binding;
pub(crate) mod call;
mod classic;
pub mod depend;
pub mod desired;
pub mod desk;
pub(crate) mod disabled;
mod early;
pub mod event;
mod former;
pub mod gauge;
mod going;
pub mod held_up;
mod history;
mod lead;
pub mod manual;
mod numbering;
mod operator;
mod peer;
pub(crate) mod policy;
pub mod recent;
mod records;
mod reload;
mod report;
mod resting;
pub mod said;
pub mod saved;
pub(crate) mod schedule;
pub(crate) mod section;
pub(crate) mod state;
mod tell;
mod trap;
pub(crate) mod tripwire;
mod trouble;
mod variable;
pub(crate) mod verdict;
pub mod view;
mod witness;

#[cfg(test)]
pub(crate) mod fixture;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use jiff::tz::TimeZone;

use crate::engine::beside::Latest;
use crate::engine::binding::Bindings;
use crate::engine::call::Attempt;
use crate::engine::depend::Depends;
use crate::engine::disabled::Disabled;
use crate::engine::early::Early;
use crate::engine::event::{Action, AlertKind, Ended, Event, Note, Purpose, Report, RunId};
use crate::engine::going::Going;
use crate::engine::history::Histories;
use crate::engine::lead::Owed;
use crate::engine::numbering::Numbering;
use crate::engine::report::Heard;
use crate::engine::saved::{Record, Saved};
use crate::engine::schedule::{FirstRuns, Timer, Timetable};
use crate::engine::state::{Moment, ServiceState};
use crate::engine::trap::Routes;
use crate::engine::tripwire::Tripwires;
use crate::engine::trouble::{Troubles, Young};
use crate::engine::witness::{Doubted, Witnesses};
use crate::model::{HostName, Model, ServiceId};
use crate::period::Period;
use crate::time::{Mono, Now, Wall};

/// What an exclude period holds back is looked at again at the latest after this long, so
/// that a wall clock that was set counts even while nothing else happens.
const LOOK_AGAIN: Duration = Duration::from_secs(60);

/// And at the earliest after this long: the two clocks may differ by some microseconds about
/// the end of a period.
const LOOK_AGAIN_MIN: Duration = Duration::from_millis(1);

/// The wall clock was set when it moved by this much more or less than the monotonic one.
const CLOCK_STEP_MICROS: u64 = 1_000_000;

/// All state of all services.
#[derive(Debug)]
pub struct Engine {
    model: Arc<Model>,
    zone: TimeZone,
    random: fastrand::Rng,
    states: Vec<ServiceState>,
    timetable: Timetable,
    running: BTreeMap<RunId, Going>,
    bindings: Bindings,
    troubles: Troubles,
    young: Young,
    tripwires: Tripwires,
    latest: Latest,
    early: Early,
    /// Hosts of which the address of before is to be looked at.
    former_due: BTreeSet<(ServiceId, HostName)>,
    owed: Owed,
    witnesses: Witnesses,
    depends: Depends,
    routes: Routes,
    disabled: Disabled,
    histories: Histories,
    /// `stop`, until `start`.
    stopped: Option<Wall>,
    /// Records that could not be read, to be told at the start.
    not_restored: Vec<Note>,
    /// Records of what the configuration no longer has, to be forgotten at the start.
    to_forget: Vec<Record>,
    is_started: bool,
    last_run: u64,
    last_alert: u64,
    numbering: Numbering,
    peer: peer::Peer,
    skipped_slots: u64,
    last: Now,
}

impl Engine {
    /// An engine that has not started; the next event is [`Event::Start`].
    ///
    /// `seed` feeds `randstart` and `randskew`; `zone` is that of the periods.
    #[must_use]
    pub fn new(model: Arc<Model>, saved: &Saved, seed: u64, zone: TimeZone, now: Now) -> Self {
        let mut not_restored = Vec::new();
        let mut states = Vec::with_capacity(model.services.len());
        for service in &model.services {
            let state = saved::restore(saved, service, now).unwrap_or_else(|reason| {
                let key = saved::key(service);
                not_restored.push(Note::NotRestored { key, reason });
                None
            });
            states.push(state.unwrap_or_default());
        }
        let globals = &model.globals;
        let (disabled, mut to_forget) = Disabled::restore(saved, &model);
        let (troubles, gone) = trouble::restore(&model, saved, now);
        to_forget.extend(gone);
        let (peer, gone) = peer::Peer::restore(&model, saved, now);
        to_forget.extend(gone);
        Self {
            timetable: Timetable::new(states.len(), globals.maxprocs, globals.maxchecks),
            bindings: Bindings::new(&model, saved, now),
            troubles,
            young: Young::default(),
            tripwires: Tripwires::default(),
            latest: Latest::default(),
            early: Early::default(),
            former_due: BTreeSet::new(),
            owed: Owed::default(),
            witnesses: Witnesses::new(&model),
            depends: Depends::new(&model, &states),
            routes: Routes::new(&model),
            disabled,
            to_forget,
            histories: Histories::new(globals.histlength),
            stopped: operator::restore_stop(saved, now),
            model,
            zone,
            random: fastrand::Rng::with_seed(seed),
            states,
            running: BTreeMap::new(),
            not_restored,
            is_started: false,
            last_run: 0,
            last_alert: 0,
            numbering: Numbering::restore(saved, now),
            peer,
            skipped_slots: 0,
            last: now,
        }
    }

    /// Takes in one event and says what has to be done, in order.
    pub fn handle(&mut self, now: Now, event: Event) -> Vec<Action> {
        let (now, clock_was_set) = self.take_time(now);
        self.bindings.take_time(now);
        let mut actions = Vec::new();
        if clock_was_set {
            self.look_at_exclusion(now);
            self.timetable.release_held(now.mono);
            actions.extend(self.record_spans(now));
            actions.extend(self.record_troubles(now));
            actions.extend(self.peer.record_all(now));
            actions.extend(self.bindings.record_wishes(now));
        }
        match event {
            Event::Start => self.start(now, &mut actions),
            Event::Deadline => {}
            Event::RunEnded { run, report } => self.run_ended(now, run, report, &mut actions),
            Event::HostChecked { run, host, verdict } => {
                self.host_checked(now, run, host, verdict, &mut actions);
            }
            Event::Operator(wish) => self.carry_out(now, wish, &mut actions),
            Event::Trap(trap) => self.trapped(now, trap, &mut actions),
            Event::Tripped(wire) => self.tripped(now, wire),
            Event::Resolved(answers) => {
                let before = self.bindings.answers();
                actions.extend(self.bindings.resolved(&answers));
                self.note_where(now, &answers, before);
            }
            // An alert counts once its call was started, whatever becomes of it (D33).
            Event::AlertDone { .. } => {}
            Event::Reload { model, memory } => self.reload(now, model, memory, &mut actions),
            Event::HistoryRead(lines) => {
                let wanted = self.model.globals.history.historictime;
                let is_wanted = |at| wanted.is_none_or(|time| now.wall.since(at) <= time);
                self.histories.replace_alerts(lines, is_wanted);
            }
            Event::Table(outcome) => actions.extend(self.bindings.table_seen(now, &outcome)),
            Event::JournalLost => actions.extend(self.record_all(now)),
            Event::Peer(told) => self.peer_told(now, told, &mut actions),
            Event::PeerDelivered(events) => {
                self.peer_delivered(&events);
                self.people_know(now, &events, &mut actions);
            }
            Event::Delivered(events) => self.delivered(now, &events, &mut actions),
            Event::PeerWishes(wishes) => self.peer_wishes(now, &wishes, &mut actions),
        }
        self.go_on(now, &mut actions);
        self.tell_troubles(now, &mut actions);
        self.remember_alerts(now, &actions);
        self.explain(&mut actions);
        actions
    }

    /// When [`Event::Deadline`] is wanted next; none while there is nothing to wait for.
    ///
    /// After `handle(now, Event::Deadline)` it is later than `now.mono`.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Mono> {
        let bindings = self.bindings.next_deadline();
        let doubts = self.witnesses.next_deadline();
        [self.timetable.next(), bindings, doubts, self.next_trouble()]
            .into_iter()
            .flatten()
            .min()
    }

    /// The time of this event, never before that of the last one, and whether the wall clock
    /// was set in between.
    fn take_time(&mut self, now: Now) -> (Now, bool) {
        let now = Now {
            mono: now.mono.max(self.last.mono),
            wall: now.wall,
        };
        let offset = |at: Now| i128::from(at.wall.as_micros()) - i128::from(at.mono.as_micros());
        let step = offset(now).abs_diff(offset(self.last));
        self.last = now;
        (now, step >= u128::from(CLOCK_STEP_MICROS))
    }

    fn start(&mut self, now: Now, actions: &mut Vec<Action>) {
        if std::mem::replace(&mut self.is_started, true) {
            return;
        }
        let notes = std::mem::take(&mut self.not_restored);
        actions.extend(notes.into_iter().map(Action::Note));
        actions.push(self.record_numbering());
        let to_forget = std::mem::take(&mut self.to_forget).into_iter();
        actions.extend(to_forget.map(Action::record));
        actions.extend(self.bindings.start());
        self.startup_alerts(now, actions);
        self.look_at_exclusion(now);
        self.await_all_traps(now);
        let all: Vec<ServiceId> = self.model.services().map(|(id, _)| id).collect();
        self.plan_first_runs(now, &all);
    }

    /// Plans the first run of each of these services that is polled (D6).
    fn plan_first_runs(&mut self, now: Now, services: &[ServiceId]) {
        let polled = || {
            let services = services.iter().copied();
            services.filter_map(|id| self.interval(id).map(|interval| (id, interval)))
        };
        let deciding = polled()
            .filter(|&(id, _)| self.bindings.decides(id))
            .count();
        let others = polled().count().saturating_sub(deciding);
        let randstart = self.model.globals.randstart;
        let clock = self.timetable.clock(now.mono);
        let mut first = FirstRuns::new(clock, randstart, deciding, others);
        let plan: Vec<(ServiceId, Duration)> = polled().collect();
        for (id, interval) in plan {
            let due = if self.bindings.decides(id) {
                let due = first.deciding(interval);
                self.behind_first_answers(id, due, clock)
            } else {
                first.other(interval, &mut self.random)
            };
            self.timetable.plan(id, due);
        }
    }

    /// The interval in force; none for a service that is never polled.
    fn interval(&self, id: ServiceId) -> Option<Duration> {
        let state = self.states.get(id.index())?;
        schedule::interval_in_force(self.model.service(id), state.status)
    }

    /// Does what the time asks for: timers that have come, free places, bindings.
    fn go_on(&mut self, now: Now, actions: &mut Vec<Action>) {
        loop {
            while let Some(timer) = self.timetable.pop(now.mono) {
                match timer {
                    Timer::Exclusion => self.look_at_exclusion(now),
                    Timer::Run(id) => self.slot_has_come(now, id, actions),
                    Timer::Alarm(alarm, id) => self.alarmed(now, alarm, id, actions),
                }
            }
            let is_settled = self.settle_doubts(now, actions);
            // Before places are given away: others wait for their word.
            self.ask_witnesses(now);
            self.look_beside(now, actions);
            while let Some(id) = self.timetable.next_to_start() {
                self.start_run(now, id, actions);
            }
            // Behind the runs of slots, each of which may ask for some.
            self.look_at_former(now, actions);
            if !self.release_dependents(now) && !is_settled {
                break;
            }
        }
        if let Some((lane, value, waiting)) = self.timetable.throttled(now.mono) {
            actions.push(Action::Note(Note::Throttled {
                limit: lane.keyword(),
                value,
                waiting,
            }));
        }
        let due = self.bindings.next_deadline();
        if due.is_some_and(|at| at <= now.mono) {
            actions.extend(self.bindings.deadline(now));
        }
        self.note_resting(now, actions);
    }

    /// The slot of a service has come (docs/mon.md, "Scheduling"): it runs or waits for
    /// a place, unless its `exclude_period` holds.
    fn slot_has_come(&mut self, now: Now, id: ServiceId, actions: &mut Vec<Action>) {
        let model = Arc::clone(&self.model);
        let service = model.service(id);
        let Some(monitor) = &service.monitor else {
            return;
        };
        if let Some(period) = &service.exclude_period
            && period.holds(now.wall, &self.zone)
        {
            self.early.begins(id);
            let until = look_again(period, &self.zone, now);
            return self.timetable.hold(id, until);
        }
        match call::lane(monitor) {
            Some(lane) => self.timetable.wait(id, lane),
            None => self.start_run(now, id, actions),
        }
    }

    /// A service has a place: its run starts, or it is said why not.
    fn start_run(&mut self, now: Now, id: ServiceId, actions: &mut Vec<Action>) {
        let model = Arc::clone(&self.model);
        let Some(monitor) = &model.service(id).monitor else {
            return self.timetable.cancel(id);
        };
        if self.timetable.is_between(id, now.mono) {
            return self.start_between(now, id, actions);
        }
        if self.waits_for_dependency(now, id) {
            self.early.begins(id);
            return;
        }
        let hosts = call::checked_hosts(&model, &self.disabled, id);
        let hosts = self.without_failing(now, id, hosts);
        let mut tripped = tripwire::ended(self.tripwires.take_tripped(id));
        let state = &mut self.states[id.index()];
        self.last_run = self.last_run.saturating_add(1);
        let run = RunId(self.last_run);
        match call::attempt(&model, hosts, id, monitor, state, run) {
            Attempt::Run(mut run) => {
                state.no_hosts_said = false;
                state.last_check = Some(now.wall);
                tripped.extend(self.give_way(id, &run.hosts, actions));
                run.let_go = self.clear_the_way(now, id, (&run.hosts, &tripped), actions);
                self.go(now, *run, tripped, actions);
            }
            Attempt::NoHosts => {
                if !std::mem::replace(&mut state.no_hosts_said, true) {
                    actions.push(Action::Note(Note::NoHosts(id)));
                }
                self.early.begins(id);
                self.slot_looks(id);
                self.plan_next(now, id, now.mono, None);
            }
            Attempt::Missing(reason) => {
                state.last_check = Some(now.wall);
                self.slot_looks(id);
                let report = Report {
                    ended: Ended::NotStarted(reason),
                    output: Vec::new(),
                    hosts: Vec::new(),
                    took: Duration::ZERO,
                };
                let going = Going {
                    run,
                    service: id,
                    purpose: Purpose::Slot,
                    started: now.mono,
                    checked: BTreeSet::new(),
                    hosts: call::checked_hosts(&model, &self.disabled, id),
                    tripped,
                    answers: self.bindings.answers(),
                    is_early: self.early.begins(id),
                    told: Arc::default(),
                    former: Vec::new(),
                    is_overtaken: false,
                };
                self.take_report(now, going, report, actions);
            }
        }
    }

    fn run_ended(&mut self, now: Now, run: RunId, report: Report, actions: &mut Vec<Action>) {
        // A run that was forgotten, or that ends twice, has nothing more to say.
        let Some(going) = self.running.remove(&run) else {
            return;
        };
        self.note_unlooked(&going, &report);
        match going.purpose {
            Purpose::Slot => self.take_report(now, going, report, actions),
            Purpose::Recheck | Purpose::Trip | Purpose::Witness => {
                self.between_ended(now, going, report, actions);
            }
            Purpose::Beside => self.beside_ended(now, going, report, actions),
            Purpose::Former => self.former_ended(now, going, report, actions),
        }
        self.look_where_they_lead(now);
    }

    /// The run of a slot ended: its report counts or waits for a witness, and the next is planned.
    fn take_report(&mut self, now: Now, going: Going, report: Report, actions: &mut Vec<Action>) {
        let (service, started) = (going.service, going.started);
        let before = self.interval(service);
        let state = &mut self.states[service.index()];
        state.monitor_duration = Some(now.mono.since(started));
        state.reported = Some(Moment::of(now));
        let overtaken = self.overtaken(&going, &report);
        self.consider(now, started, Doubted::Run(going, report), actions);
        self.plan_next(now, service, started, before);
        self.plan_recheck(now, service);
        self.look_again(now, service, overtaken);
        self.bring_what_is_owed(now, service);
        if self.tripwires.has_tripped(service) {
            self.check_between(now, service);
        }
    }

    /// What the run of a slot found counts.
    fn slot_counts(&mut self, now: Now, going: Going, report: Report, actions: &mut Vec<Action>) {
        let service = going.service;
        self.states[service.index()].between = None;
        self.bindings.looked(service, going.run);
        let heard = Heard {
            service,
            kind: AlertKind::Failure,
            report,
            hosts: going.hosts.clone(),
            began: going.began(),
            is_early: going.is_early,
            intended: None,
        };
        self.forget_trap_end(service);
        self.look_at_alert_dependency(now, service);
        let found = self.found(service, &heard.report, &heard.hosts);
        self.heard(now, heard, actions);
        if self.look_at_wires(now, &going, &found, actions) {
            self.tell_of_withdrawal(service);
        }
    }

    /// Plans the run after one that ended (docs/mon.md, "Scheduling"). `before` is the interval
    /// that was in force: another one begins a grid of its own at the start of the run.
    fn plan_next(&mut self, now: Now, id: ServiceId, started: Mono, before: Option<Duration>) {
        let slot = self.timetable.due(id);
        self.timetable.cancel(id);
        let Some(interval) = self.interval(id) else {
            return;
        };
        let clock = self.timetable.clock(now.mono);
        let due = match self.model.service(id).randskew {
            Some(skew) => schedule::skewed_slot(started, interval, skew, clock, &mut self.random),
            None if before.is_some_and(|before| before != interval) => {
                schedule::next_slot(started, interval, clock)
            }
            None => {
                let next = schedule::next_slot(slot, interval, clock);
                let skipped = schedule::skipped(slot, interval, next);
                self.skipped_slots = self.skipped_slots.saturating_add(skipped);
                next
            }
        };
        self.timetable.plan(id, due);
    }

    /// A report counts that came some time ago, with its run begun at `started`: another interval
    /// than `before` begins its grid there.
    fn in_another_rhythm(
        &mut self,
        now: Now,
        id: ServiceId,
        started: Mono,
        before: Option<Duration>,
    ) {
        let is_busy = self.timetable.is_running(id) || self.timetable.is_waiting(id);
        let is_skewed = self.model.service(id).randskew.is_some();
        let interval = self.interval(id);
        if let Some(interval) = interval.filter(|_| interval != before && !is_busy && !is_skewed) {
            let clock = self.timetable.clock(now.mono);
            let due = schedule::next_slot(started, interval, clock);
            self.timetable.plan(id, due);
        }
    }

    /// Looks at the global `exclude_period`: inside it no timer advances, nor after `stop`.
    fn look_at_exclusion(&mut self, now: Now) {
        let period = self.model.globals.exclude_period.as_ref();
        let at = period.map(|period| look_again(period, &self.zone, now));
        self.timetable.look_at_exclusion(at);
        let is_excluded = period.is_some_and(|period| period.holds(now.wall, &self.zone));
        if is_excluded || self.stopped.is_some() {
            self.timetable.freeze(now.mono);
        } else {
            self.timetable.thaw(now.mono);
        }
    }
}

/// When a period is to be looked at again: at its next change, at the latest in a minute.
fn look_again(period: &Period, zone: &TimeZone, now: Now) -> Mono {
    let change = period.next_change(now.wall, zone);
    let wait = change.map_or(LOOK_AGAIN, |change| change.since(now.wall));
    now.mono.after(wait.clamp(LOOK_AGAIN_MIN, LOOK_AGAIN))
}
