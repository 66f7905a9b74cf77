//! Which hosts are checked while a run of their service goes on?
//!
//! A run ends with its slowest host: one that never answers keeps back what was found of all the
//! others until its limit. A crash does not wait for that. As soon as the run is over with a host
//! ([`Event::HostChecked`](super::event::Event::HostChecked)) a good one has its connection again.
//! Where that ends, the host is checked once more, by itself and beside the run, and so it is where
//! the run's own check of it fails though a connection was held until then: it may have died under
//! that check. Never while the run is at it: there are servers that allow one connection for
//! each client. A run that begins looks at its hosts anew, so checks
//! beside it give way. What the latest check of one host says is not undone by a run that began
//! before it.
//!
//! For services that a section listens to: their checks tell sections of single hosts. For all
//! others the run is what counts. Pure.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::engine::call::Attempt;
use crate::engine::event::{
    Action, HostResult, HostVerdict, Purpose, Reason, Report, Run, RunId, Tell,
};
use crate::engine::going::{Began, Going};
use crate::engine::schedule::Lane;
use crate::engine::state::HostState;
use crate::engine::tripwire::Sign;
use crate::engine::witness::Doubted;
use crate::engine::{Engine, call, tripwire};
use crate::model::{HostName, Model, ServiceId};
use crate::time::Now;

/// Checks of one service at once beside its run. One that is refused takes milliseconds, so a
/// rack that goes down is through in a few rounds; those that hang leave places of `maxchecks` to
/// other services.
pub(super) const BESIDE_MAX: usize = 8;

/// Whether a check of a single host knows more than one of the service that ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Overtaken {
    /// It does not.
    No,
    /// The one found it down, and the other good.
    ByNews,
    /// Both found it down: the sections know, and `lvs.alert` lines hear checks of the whole
    /// service alone.
    Unheard,
}

/// What the latest check of each host said that looked at it by itself.
#[derive(Debug, Default)]
pub(super) struct Latest(BTreeMap<(ServiceId, HostName), Word>);

#[derive(Clone, Copy, Debug)]
struct Word {
    run: RunId,
    is_bad: bool,
}

impl Latest {
    /// A check of single hosts is over, or of some whose connections had ended.
    fn add(&mut self, run: RunId, going: &Going, results: &[HostResult]) {
        let is_by_itself = match going.purpose {
            Purpose::Beside | Purpose::Trip => true,
            Purpose::Slot | Purpose::Recheck | Purpose::Former | Purpose::Witness => false,
        };
        let is_asked = |it: &&HostResult| is_by_itself || going.tripped.contains(&it.host);
        for it in results.iter().filter(is_asked) {
            let is_bad = match it.verdict {
                HostVerdict::Up => false,
                HostVerdict::Down(_) => true,
                HostVerdict::Unknown(_) => continue,
            };
            let word = Word { run, is_bad };
            self.0.insert((going.service, it.host.clone()), word);
        }
    }

    /// Whether a host was checked by itself since this began.
    pub(super) fn is_later(&self, id: ServiceId, host: &HostName, began: &Began) -> bool {
        let word = self.0.get(&(id, host.clone()));
        word.is_some_and(|word| began.run.is_some_and(|run| run < word.run))
    }

    /// The verdicts of this run on hosts that a check of a single one found down since.
    fn overtaken<'a>(
        &'a self,
        run: RunId,
        id: ServiceId,
        results: &'a [HostResult],
    ) -> impl Iterator<Item = HostVerdict> + 'a {
        let is_overtaken = move |it: &&HostResult| {
            let word = self.0.get(&(id, it.host.clone()));
            word.is_some_and(|word| word.run > run && word.is_bad)
        };
        results.iter().filter(is_overtaken).map(|it| it.verdict)
    }

    /// Of the services under their new numbers, none where one is gone.
    pub(super) fn renumber(
        &mut self,
        model: &Model,
        place: impl Fn(ServiceId) -> Option<ServiceId>,
    ) {
        let old = std::mem::take(&mut self.0).into_iter();
        let kept = old.filter_map(|((id, host), word)| {
            let id = place(id)?;
            let mut members = model.hostgroup(id).members.iter();
            let is_there = members.any(|it| it.host == host);
            is_there.then_some(((id, host), word))
        });
        self.0 = kept.collect();
    }

    /// Everything begins anew.
    pub(super) fn forget(&mut self) {
        self.0.clear();
    }
}

impl Engine {
    /// When a run of a service is to tell what it finds: of each host where a check of one could
    /// follow.
    pub(super) fn tell_of(&self, run: &Run) -> Tell {
        match run.hosts.len() > 1 && self.has_single_checks(run.service) {
            true => Tell::EachHost,
            false => Tell::AtItsEnd,
        }
    }

    /// Whether one host of the service can be checked by itself, and a section hears of it.
    fn has_single_checks(&self, id: ServiceId) -> bool {
        let monitor = self.model.service(id).monitor.as_deref();
        let is_single = monitor.is_some_and(call::checks_single_hosts);
        is_single && tripwire::is_wanted(self.model.service(id)) && self.bindings.counts(id)
    }

    /// The check of one host is over, its run goes on.
    pub(super) fn host_checked(
        &mut self,
        now: Now,
        run: RunId,
        host: HostName,
        verdict: HostVerdict,
        actions: &mut Vec<Action>,
    ) {
        let Some(going) = self.running.get_mut(&run) else {
            return;
        };
        let id = going.service;
        let began = going.began();
        let had_tripped = going.tripped.contains(&host);
        going.checked.insert(host.clone());
        let is_known = self.tripwires.is_tripped(id, &host) || self.is_beside(id, &host);
        if is_known || self.latest.is_later(id, &host, &began) {
            return;
        }
        match verdict {
            HostVerdict::Up => {
                let service = self.model.service(id);
                let lead = |host: &HostName| self.bindings.lead(id, host);
                let held = self.tripwires.good(now, (id, service), &host, lead);
                actions.extend(held);
            }
            HostVerdict::Down(Reason::Refused) if had_tripped => {
                self.tripwires.look_again(id, host, Sign::Ended);
            }
            // It may have died under its own check, which would count at the end of the run.
            HostVerdict::Down(reason)
                if may_be_a_crash(reason) && self.tripwires.is_paused(id, &host) =>
            {
                self.tripwires.look_again(id, host, Sign::Failed);
            }
            HostVerdict::Down(_) | HostVerdict::Unknown(_) => {}
        }
    }

    /// Looks at hosts whose connection ended while a run of their service goes on.
    pub(super) fn look_beside(&mut self, now: Now, actions: &mut Vec<Action>) {
        for (id, host) in self.tripwires.all_tripped() {
            if self.may_look_beside(now, id, &host) && self.timetable.take_place(Lane::Checks) {
                self.start_beside(now, id, host, actions);
            }
        }
    }

    /// Whether a host can be checked now, by itself and beside a run.
    fn may_look_beside(&self, now: Now, id: ServiceId, host: &HostName) -> bool {
        let mine = || self.running.values().filter(|going| going.service == id);
        let is_at_it = |going: &Going| {
            let is_there = going.purpose != Purpose::Former;
            is_there && going.hosts.contains(host) && !going.checked.contains(host)
        };
        let beside = mine().filter(|going| going.purpose == Purpose::Beside);
        self.timetable.is_running(id)
            && self.has_single_checks(id)
            && !mine().any(is_at_it)
            && beside.count() < BESIDE_MAX
            && self.may_start(now, id)
    }

    /// Whether nothing holds checks of a service back now.
    pub(super) fn may_start(&self, now: Now, id: ServiceId) -> bool {
        let period = self.model.service(id).exclude_period.as_ref();
        let is_excluded = period.is_some_and(|period| period.holds(now.wall, &self.zone));
        !self.timetable.is_frozen() && !is_excluded && self.may_run(now, id)
    }

    /// There is a place: the check of the host starts, or the place goes back.
    fn start_beside(&mut self, now: Now, id: ServiceId, host: HostName, actions: &mut Vec<Action>) {
        let has_ended = self.tripwires.take_sign(id, &host) == Some(Sign::Ended);
        let Some(mut run) = self.single(now, id, &host, Purpose::Beside) else {
            return self.timetable.give_place(Lane::Checks);
        };
        let tripped: BTreeSet<HostName> = has_ended.then_some(host).into_iter().collect();
        run.let_go = self.clear_the_way(now, id, (&run.hosts, &tripped), actions);
        self.go(now, run, tripped, actions);
    }

    /// A run of one host; none where that is not to be checked now.
    pub(super) fn single(
        &mut self,
        now: Now,
        id: ServiceId,
        host: &HostName,
        purpose: Purpose,
    ) -> Option<Run> {
        let model = Arc::clone(&self.model);
        let hosts = call::checked_hosts(&model, &self.disabled, id);
        let mut hosts = self.without_failing(now, id, hosts);
        hosts.retain(|it| it == host);
        if hosts.is_empty() {
            return None;
        }
        let monitor = model.service(id).monitor.as_deref()?;
        self.last_run = self.last_run.saturating_add(1);
        let run = RunId(self.last_run);
        let state = &self.states[id.index()];
        match call::attempt(&model, hosts, id, monitor, state, run) {
            Attempt::Run(run) => Some(Run { purpose, ..*run }),
            Attempt::NoHosts | Attempt::Missing(_) => None,
        }
    }

    /// A check beside a run ended.
    pub(super) fn beside_ended(
        &mut self,
        now: Now,
        going: Going,
        report: Report,
        actions: &mut Vec<Action>,
    ) {
        let (id, started) = (going.service, going.started);
        self.timetable.give_place(Lane::Checks);
        self.latest.add(going.run, &going, &report.hosts);
        self.consider(now, started, Doubted::Run(going, report), actions);
        if !self.timetable.is_running(id) {
            self.plan_recheck(now, id);
            self.bring_what_is_owed(now, id);
        }
    }

    /// A run of these hosts begins, of all of the service where none is named: checks of single
    /// ones end, and the run looks at them. Answers with those.
    pub(super) fn give_way(
        &mut self,
        id: ServiceId,
        hosts: &[HostName],
        actions: &mut Vec<Action>,
    ) -> BTreeSet<HostName> {
        let is_in = |host: &HostName| hosts.is_empty() || hosts.contains(host);
        let beside = self.running.iter().filter(|(_, going)| {
            going.service == id && going.purpose == Purpose::Beside && going.hosts.iter().any(is_in)
        });
        let beside: Vec<RunId> = beside.map(|(run, _)| *run).collect();
        let mut tripped = BTreeSet::new();
        for run in beside {
            if let Some(going) = self.running.remove(&run) {
                tripped.extend(going.tripped);
                self.timetable.give_place(Lane::Checks);
                actions.push(Action::Stop(run));
            }
        }
        tripped
    }

    /// A check is over: of those hosts whose connection had ended it has the latest word; whether
    /// one of a single host knows more.
    pub(super) fn overtaken(&mut self, going: &Going, report: &Report) -> Overtaken {
        if going.purpose == Purpose::Trip {
            self.latest.add(going.run, going, &report.hosts);
        }
        let id = going.service;
        let verdicts: Vec<HostVerdict> = self
            .latest
            .overtaken(going.run, id, &report.hosts)
            .collect();
        if !verdicts.iter().all(|&verdict| is_down(verdict)) {
            Overtaken::ByNews
        } else if !verdicts.is_empty() && self.bindings.is_bound_by_lines(id) {
            Overtaken::Unheard
        } else {
            Overtaken::No
        }
    }

    /// Behind a check that was overtaken the next one of the service comes at once. Where it tells
    /// no news people hear of it once.
    pub(super) fn look_again(&mut self, now: Now, id: ServiceId, overtaken: Overtaken) {
        let is_due = overtaken != Overtaken::No;
        let Some(interval) = self.interval(id).filter(|_| is_due) else {
            return;
        };
        let is_brought = self.timetable.bring_forward(id, interval, now.mono);
        if is_brought && overtaken == Overtaken::Unheard {
            self.early.comes(id);
        }
    }

    /// The hosts of which a report has the latest word.
    pub(super) fn latest_of(&self, going: &Going, found: &[HostState]) -> Vec<HostState> {
        let id = going.service;
        let began = going.began();
        let is_latest = |one: &&HostState| !self.latest.is_later(id, &one.host, &began);
        found.iter().filter(is_latest).cloned().collect()
    }

    /// A host is being checked by itself.
    fn is_beside(&self, id: ServiceId, host: &HostName) -> bool {
        let mut mine = self.running.values().filter(|it| it.service == id);
        mine.any(|it| it.purpose == Purpose::Beside && it.hosts.contains(host))
    }
}

/// Whether a check may fail so because the server died under it: no more than its connection tells.
const fn may_be_a_crash(reason: Reason) -> bool {
    match reason {
        Reason::Refused | Reason::Reply | Reason::Tls => true,
        Reason::Timeout
        | Reason::Unreachable
        | Reason::Dns
        | Reason::Status
        | Reason::Body
        | Reason::Exit
        | Reason::Signal
        | Reason::Limit
        | Reason::NoHostNamed
        | Reason::Admin
        | Reason::Witness => false,
    }
}

const fn is_down(verdict: HostVerdict) -> bool {
    matches!(verdict, HostVerdict::Down(_))
}
