//! Which checks run between two slots, and what follows from them?
//!
//! A re-check looks again at the hosts of which a `virtual` section has seen a failure but not
//! `fall` of them; a trip looks at the hosts whose held connection ended (D18), while a run goes on
//! beside it (see `beside`). All tell the sections and nobody else: no status, no alert, no
//! history, no binding of an `lvs.alert` line. Where a trip finds its host down, of which the last
//! run of a slot does not know, the next one is brought forward, and all the others learn of it.
//! So it is where a witness was asked and is found otherwise than before (D17). Who hears of a
//! withdrawal with it: `early`.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::engine::binding::{Part, Ruling};
use crate::engine::call::Attempt;
use crate::engine::event::{
    Action, AlertKind, HostVerdict, Purpose, Reason, Report, RunId, Status, WireId,
};
use crate::engine::going::{Began, Going};
use crate::engine::policy::whole;
use crate::engine::recent::Weighs;
use crate::engine::said::Between;
use crate::engine::schedule::Alarm;
use crate::engine::section::count::{Opinion, RecheckScope};
use crate::engine::state::{self, EventText, HostState};
use crate::engine::witness::Doubted;
use crate::engine::{Engine, call, tripwire, verdict};
use crate::model::{HostName, ServiceId};
use crate::time::Now;

/// What a check between two slots is to look at.
struct Planned {
    purpose: Purpose,
    /// None: all hosts, the service as a whole.
    hosts: Option<BTreeSet<HostName>>,
    /// Those of them that ended their connections.
    tripped: BTreeSet<HostName>,
}

impl Engine {
    /// What a report says of each host.
    pub(super) fn found(
        &self,
        id: ServiceId,
        report: &Report,
        checked: &[HostName],
    ) -> Box<[HostState]> {
        state::hosts_of(report, checked, self.model.service(id))
    }

    /// Plans the re-check that a service owes its sections, where that is before its slot. Not
    /// while a witness is waited for, nor while the director is cut off: it would find nothing out.
    pub(super) fn plan_recheck(&mut self, now: Now, id: ServiceId) {
        let clock = self.timetable.clock(now.mono);
        let slot = self.timetable.due(id);
        let is_idle = self.witnesses.has_doubts(id) || self.witnesses.is_cut_off(id);
        let wanted = self.bindings.wants_recheck(id).filter(|_| !is_idle);
        let at = wanted.map(|recheck| clock.after(recheck.gap));
        match at.filter(|&at| at < slot && self.interval(id).is_some()) {
            Some(at) => self.timetable.set_alarm(Alarm::Recheck, id, at),
            None => self.timetable.clear_alarm(Alarm::Recheck, id),
        }
    }

    /// A held connection ended: whose it was is checked as soon as there is a place, by itself
    /// where a section counts, else with the whole service.
    pub(super) fn tripped(&mut self, now: Now, wire: WireId) {
        if let Some(id) = self.tripwires.ended(now, wire) {
            self.check_between(now, id);
        }
    }

    /// A service is to be checked now, between two slots. Nothing while a run of it goes on:
    /// what follows from that one is looked at then.
    pub(super) fn check_between(&mut self, now: Now, id: ServiceId) {
        let model = Arc::clone(&self.model);
        let service = model.service(id);
        let Some(lane) = service.monitor.as_deref().and_then(call::lane) else {
            return;
        };
        let period = service.exclude_period.as_ref();
        if period.is_some_and(|period| period.holds(now.wall, &self.zone)) {
            return;
        }
        if !self.bindings.counts(id)
            && let Some(interval) = self.interval(id)
        {
            self.timetable.bring_forward(id, interval, now.mono);
            return;
        }
        self.timetable.wait_between(id, lane, now.mono);
    }

    /// What is planned of a service that has a place for a check between two slots; what has
    /// tripped is planned no more.
    fn take_planned(&mut self, id: ServiceId) -> Option<Planned> {
        let tripped = self.tripwires.take_tripped(id);
        if !tripped.is_empty() {
            return Some(Planned {
                purpose: Purpose::Trip,
                hosts: Some(tripped.keys().cloned().collect()),
                tripped: tripwire::ended(tripped),
            });
        }
        if self.witnesses.is_wanted(id) {
            return Some(Planned {
                purpose: Purpose::Witness,
                hosts: None,
                tripped: BTreeSet::new(),
            });
        }
        let recheck = self.bindings.wants_recheck(id)?;
        Some(Planned {
            purpose: Purpose::Recheck,
            hosts: match recheck.scope {
                RecheckScope::Service => None,
                RecheckScope::Hosts(hosts) => Some(hosts.into_iter().collect()),
            },
            tripped: BTreeSet::new(),
        })
    }

    /// A service has a place for a check between two slots: it starts, or the place goes back.
    pub(super) fn start_between(&mut self, now: Now, id: ServiceId, actions: &mut Vec<Action>) {
        let model = Arc::clone(&self.model);
        let planned = self.take_planned(id);
        let monitor = model.service(id).monitor.as_deref();
        let (Some(planned), Some(monitor), true) = (planned, monitor, self.may_run(now, id)) else {
            return self.back_to_slot(now, id);
        };
        let hosts = call::checked_hosts(&model, &self.disabled, id);
        let mut hosts = self.without_failing(now, id, hosts);
        if let Some(only) = &planned.hosts {
            hosts.retain(|host| only.contains(host));
        }
        self.last_run = self.last_run.saturating_add(1);
        let run = RunId(self.last_run);
        let state = &self.states[id.index()];
        let is_nothing = hosts.is_empty() && monitor.appends_hosts;
        match call::attempt(&model, hosts, id, monitor, state, run) {
            Attempt::Run(mut run) if !is_nothing => {
                run.purpose = planned.purpose;
                let mut tripped = planned.tripped;
                tripped.extend(self.give_way(id, &run.hosts, actions));
                run.let_go = self.clear_the_way(now, id, (&run.hosts, &tripped), actions);
                self.go(now, *run, tripped, actions);
            }
            Attempt::Run(_) | Attempt::NoHosts | Attempt::Missing(_) => self.back_to_slot(now, id),
        }
    }

    /// A check between two slots ended.
    pub(super) fn between_ended(
        &mut self,
        now: Now,
        going: Going,
        report: Report,
        actions: &mut Vec<Action>,
    ) {
        let (id, purpose) = (going.service, going.purpose);
        let is_witness = (purpose == Purpose::Witness).then(|| report.ended.exit());
        self.back_to_slot(now, id);
        let overtaken = self.overtaken(&going, &report);
        self.consider(now, going.started, Doubted::Run(going, report), actions);
        self.plan_recheck(now, id);
        self.look_again(now, id, overtaken);
        self.bring_what_is_owed(now, id);
        if self.tripwires.has_tripped(id) {
            self.check_between(now, id);
        } else if let Some(exit) = is_witness {
            self.tell_by_slot(now, id, exit);
        }
    }

    /// What a check between two slots found counts.
    pub(super) fn between_counts(
        &mut self,
        now: Now,
        going: &Going,
        report: &Report,
        actions: &mut Vec<Action>,
    ) {
        let id = going.service;
        let found = self.latest_of(going, &self.found(id, report, &going.hosts));
        let mut withdraws = false;
        if !self.mode(id).is_frozen() && !verdict::is_blind(report) {
            let mut opinions = self.weighed(now, id, &found, &going.began());
            if self.is_of_all(going) {
                let is_about_whole = self.is_about_whole(id, &found, &going.began());
                let whole = match report.ended.exit() {
                    0 if !self.are_unsure_returns(id, &found, &going.began()) => Opinion::Good,
                    0 => Opinion::Unknown,
                    _ if is_about_whole => Opinion::Bad(verdict::service_reason(report)),
                    _ => Opinion::Unknown,
                };
                opinions.insert(Part::Whole, whole);
            }
            // What a dependency explains says nothing about any server, as at a slot.
            if self.is_explained(now, id) {
                opinions.retain(|_, opinion| !matches!(opinion, Opinion::Bad(_)));
            }
            self.overtakes_former(id, &going.began(), |host| said_of(host, &opinions));
            withdraws = self.bindings.rechecked(id, &opinions, actions);
        }
        self.remember_between(now, id, &found, report);
        withdraws |= self.look_at_wires(now, going, &found, actions);
        let is_news = |one: &HostState| {
            matches!(one.verdict, HostVerdict::Down(_)) && !self.is_known_to_all(id, &one.host)
        };
        let is_trip = match going.purpose {
            Purpose::Trip | Purpose::Beside => true,
            Purpose::Slot | Purpose::Recheck | Purpose::Former | Purpose::Witness => false,
        };
        let is_crash = is_trip && found.iter().any(is_news);
        if let Some(interval) = self.interval(id).filter(|_| is_crash) {
            self.timetable.bring_forward(id, interval, now.mono);
        }
        if withdraws || is_crash {
            self.tell_of_withdrawal(id);
        }
    }

    /// Whether the report that status and alerts are of has found this host down itself: another
    /// run would tell them nothing, and let go of the connections of all others for it.
    fn is_known_to_all(&self, id: ServiceId, host: &HostName) -> bool {
        let state = &self.states[id.index()];
        let outage = state.outage.as_deref();
        let outage = outage.filter(|_| state.status == Status::Fail);
        let found = outage.and_then(|it| it.hosts.iter().find(|one| one.host == *host));
        matches!(found.map(|one| one.verdict), Some(HostVerdict::Down(_)))
    }

    /// What was found of hosts beside the runs of the slots, for people.
    pub(super) fn remember_between(
        &mut self,
        now: Now,
        id: ServiceId,
        found: &[HostState],
        report: &Report,
    ) {
        let text = EventText::of(report.clone());
        let summary = text.summary(Status::Fail);
        self.remember_hosts(now, id, found, &summary, Weighs::Fully);
        let state = &mut self.states[id.index()];
        state.between = Some(Between::add(state.between.take(), now.wall, found));
    }

    /// Whether a failure of the service now would be explained by one that it depends on.
    pub(super) fn is_explained(&mut self, now: Now, id: ServiceId) -> bool {
        self.look_at_alert_dependency(now, id);
        whole::dependency(&self.states[id.index()], AlertKind::Failure).is_err()
    }

    /// The director was cut off while this was found: only what is good about a host counts.
    pub(super) fn only_good_counts(
        &mut self,
        now: Now,
        going: &Going,
        found: &[HostState],
        actions: &mut Vec<Action>,
    ) {
        let id = going.service;
        let good = found.iter().filter(|it| it.verdict == HostVerdict::Up);
        let good: Vec<HostState> = good.cloned().collect();
        if !self.mode(id).is_frozen() {
            if going.purpose.is_slot() {
                let verdicts = self.verdicts(id, found, &going.began());
                self.weigh(now, (id, AlertKind::Failure), &good, &verdicts);
                let (ruling, reason) = (Ruling::Blind, Reason::Witness);
                self.report_overtakes_former(id, &going.began(), ruling, &verdicts);
                let failed = &mut self.bindings;
                actions.extend(failed.failed(now, id, ruling, &verdicts, Some(reason)));
            } else {
                let opinions = self.weighed(now, id, &good, &going.began());
                self.overtakes_former(id, &going.began(), |host| said_of(host, &opinions));
                self.bindings.rechecked(id, &opinions, actions);
            }
        }
        self.look_at_wires(now, going, &good, actions);
    }

    /// What was found of each host, for the sections, which take the weights that it gives.
    fn weighed(
        &mut self,
        now: Now,
        id: ServiceId,
        found: &[HostState],
        began: &Began,
    ) -> BTreeMap<Part, Opinion> {
        let verdicts = self.verdicts(id, found, began);
        self.weigh(now, (id, AlertKind::Failure), found, &verdicts);
        let verdicts = verdicts.into_iter();
        verdicts
            .map(|(host, verdict)| (Part::Host(host), verdict.into()))
            .collect()
    }

    /// Whether a run checked all that its service checks.
    pub(super) fn is_of_all(&self, going: &Going) -> bool {
        let all = call::checked_hosts(&self.model, &self.disabled, going.service);
        going.hosts.len() == all.len() || going.hosts.is_empty()
    }

    /// A check begins: no connection of ours is in its way. Answers with those whose end it is to
    /// wait for.
    pub(super) fn clear_the_way(
        &mut self,
        now: Now,
        id: ServiceId,
        (hosts, tripped): (&[HostName], &BTreeSet<HostName>),
        actions: &mut Vec<Action>,
    ) -> Vec<WireId> {
        let let_go = self.tripwires.pause(now, id, hosts, actions);
        // A crash does not wait for those that are well.
        match tripped.is_empty() {
            true => let_go,
            false => Vec::new(),
        }
    }

    /// The slot is waited for again, also where it has come meanwhile.
    fn back_to_slot(&mut self, now: Now, id: ServiceId) {
        let Some(interval) = self.interval(id) else {
            return self.timetable.cancel(id);
        };
        let latest = self.timetable.clock(now.mono).after(interval);
        let due = self.timetable.due(id).min(latest);
        self.timetable.plan(id, due);
    }

    /// What a report means for the connections that are held to its hosts: those that refuse
    /// after their connection ended are down at once, all that are good get one. Answers whether a
    /// section withdraws somebody by it.
    pub(super) fn look_at_wires(
        &mut self,
        now: Now,
        going: &Going,
        found: &[HostState],
        actions: &mut Vec<Action>,
    ) -> bool {
        let id = going.service;
        let mut withdraws = false;
        let refused = HostVerdict::Down(Reason::Refused);
        let said = self.verdicts(id, found, &going.began()).into_iter();
        let surely = said.filter(|(host, said)| *said == refused && going.tripped.contains(host));
        let surely: BTreeMap<Part, Opinion> = surely
            .map(|(host, _)| (Part::Host(host), Opinion::Surely(Reason::Refused)))
            .collect();
        if !surely.is_empty() && !self.mode(id).is_frozen() {
            withdraws = self.bindings.rechecked(id, &surely, actions);
        }
        // A good host that the run was over with before its end has its connection since.
        let is_done =
            |one: &HostState| one.verdict == HostVerdict::Up && going.checked.contains(&one.host);
        let mut found = self.latest_of(going, found);
        found.retain(|one| !is_done(one));
        let service = (id, self.model.service(id));
        let lead = |host: &HostName| self.bindings.lead(id, host);
        self.tripwires.heard(now, service, &found, lead, actions);
        withdraws
    }
}

/// Whether something is said of this host.
fn said_of(host: &HostName, opinions: &BTreeMap<Part, Opinion>) -> bool {
    match opinions.get(&Part::Host(host.clone())) {
        Some(Opinion::Good | Opinion::Bad(_) | Opinion::Surely(_)) => true,
        Some(Opinion::Unknown) | None => false,
    }
}

#[cfg(test)]
mod tests;
