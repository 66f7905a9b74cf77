//! What a new configuration changes: state goes over by the names of groups, services and
//! periods; what is gone is stopped and forgotten; what is new begins.
//!
//! A reload of the same file does nothing but the startup alerts that
//! `startupalerts_on_reset` asks for. The Model is complete and valid: nothing here fails.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use crate::engine::binding::{Part, Turned};
use crate::engine::depend::Depends;
use crate::engine::early::Early;
use crate::engine::event::{Action, Memory, Purpose, RunId};
use crate::engine::schedule::{Alarm, Lane};
use crate::engine::section::count::Past;
use crate::engine::state::{PeriodMemory, ServiceState};
use crate::engine::trap::Routes;
use crate::engine::witness::Witnesses;
use crate::engine::{Engine, call, saved, schedule};
use crate::model::{Model, Service, ServiceId};
use crate::time::{Mono, Now};

impl Engine {
    /// Goes over to a new configuration.
    pub(super) fn reload(
        &mut self,
        now: Now,
        model: Arc<Model>,
        memory: Memory,
        actions: &mut Vec<Action>,
    ) {
        let numbering = self.numbering;
        let old = std::mem::replace(&mut self.model, model);
        let model = Arc::clone(&self.model);
        let places = places(&old, &model);
        let turned = self.bindings.turned(&model);
        let past = self.past(&old, &places, &turned);

        actions.extend(self.tripwires.let_go_of_all());
        self.stop_what_changed(now, (&old, &places), &turned, actions);
        self.forget_what_is_gone(&old, &places, actions);
        self.carry_states(&old, &places);
        self.carry_dependencies(&places);
        let place = |old: ServiceId| places.get(old.index()).copied().flatten();
        self.witnesses.reload(&model, place);
        self.latest.renumber(&model, place);
        self.early.renumber(place);
        // The next run of the slot looks at them again.
        self.former_due.clear();
        self.owed.renumber(place);
        self.routes = Routes::new(&model);
        self.timetable.renumber(&places, model.services.len());
        let globals = &model.globals;
        self.timetable
            .set_limits(globals.maxprocs, globals.maxchecks);
        for going in self.running.values_mut() {
            // Runs of services that are gone were taken out above.
            if let Some(new) = places.get(going.service.index()).copied().flatten() {
                going.service = new;
            }
        }

        let gone = self.disabled.prune(&model).into_iter();
        actions.extend(gone.map(Action::record));
        self.histories.set_length(globals.histlength);

        actions.extend(self.bindings.reload(now, &model, (past, &turned)));
        self.forget_troubles(actions);
        let gone = self.peer.reload(&model, now).into_iter();
        actions.extend(gone.map(Action::record));
        match memory {
            Memory::Kept => {
                self.plan_what_changed(now, &old, &places);
                let behind = self.behind(&old, &places, &turned);
                self.check_at_once(now, &behind);
                self.await_traps_anew(now, &old, &places);
            }
            Memory::Forgotten => self.forget_everything(now, actions),
        }
        if self.numbering != numbering {
            actions.push(self.record_numbering());
        }
        self.look_at_exclusion(now);
        self.timetable.release_held(now.mono);
        if globals.startupalerts_on_reset {
            self.startup_alerts(now, actions);
        }
    }

    /// The services of whose real servers some are not judged by what the new file asks for: the
    /// next slot may be an hour away.
    fn behind(
        &self,
        old: &Model,
        places: &[Option<ServiceId>],
        turned: &Turned,
    ) -> BTreeSet<ServiceId> {
        let olds = old.services().zip(places);
        let asks_anew = olds.filter_map(|((_, before), place)| {
            let id = (*place)?;
            let after = self.model.service(id);
            (self.bindings.decides(id) && !runs_the_same(before, after)).then_some(id)
        });
        let behind = turned.behind().iter().copied().chain(asks_anew);
        behind.chain(self.bindings.awaited()).collect()
    }

    /// Stops runs that would report on something else than the new file asks for.
    fn stop_what_changed(
        &mut self,
        now: Now,
        (old, places): (&Model, &[Option<ServiceId>]),
        turned: &Turned,
        actions: &mut Vec<Action>,
    ) {
        let model = Arc::clone(&self.model);
        let is_stale = |service: ServiceId| {
            let new = places.get(service.index()).copied().flatten();
            new.is_none_or(|new| {
                turned.may_be_elsewhere(new) || !self.checks_the_same(old, service, &model, new)
            })
        };
        let stale: Vec<(RunId, ServiceId, Purpose)> = self
            .running
            .iter()
            .map(|(run, going)| (*run, going.service, going.purpose))
            .filter(|&(_, service, _)| is_stale(service))
            .collect();
        for (run, service, purpose) in stale {
            self.running.remove(&run);
            actions.push(Action::Stop(run));
            if purpose.is_single() {
                self.timetable.give_place(Lane::Checks);
            } else {
                let clock = self.timetable.clock(now.mono);
                self.timetable.plan(service, clock);
            }
        }
    }

    /// Whether a run of the old service says what a run of the new one would.
    fn checks_the_same(&self, old: &Model, was: ServiceId, new: &Model, is: ServiceId) -> bool {
        let (before, after) = (old.service(was), new.service(is));
        runs_the_same(before, after)
            && schedule::is_polled(after)
            && call::checked_hosts(old, &self.disabled, was)
                == call::checked_hosts(new, &self.disabled, is)
    }

    /// What the checks said last, for sections that the new file has and the old one had not:
    /// of each service with the same monitor as before, and of its hosts that it still has.
    fn past(&self, old: &Model, places: &[Option<ServiceId>], turned: &Turned) -> Past {
        let mut past = Past::default();
        let olds = old.services().zip(&self.states).zip(places);
        for (((was, before), state), place) in olds {
            let Some(is) = *place else { continue };
            let after = self.model.service(is);
            let goes_on =
                self.checks_the_same(old, was, &self.model, is) && !turned.may_be_elsewhere(is);
            if schedule::is_polled(after) && !goes_on {
                past.anew.insert(is);
            }
            if !runs_the_same(before, after) {
                continue;
            }
            past.unchanged.insert(is);
            let hosts = call::checked_hosts(old, &self.disabled, was);
            let are_all = hosts == call::checked_hosts(&self.model, &self.disabled, is);
            let members = &self.model.hostgroup(is).members;
            for (part, verdict) in state.last_verdicts(&hosts) {
                let is_there = match &part {
                    Part::Whole => are_all,
                    Part::Host(host) => members.iter().any(|it| it.host == *host),
                };
                if is_there {
                    past.said.insert((is, part), verdict);
                }
            }
        }
        past
    }

    fn forget_what_is_gone(
        &mut self,
        old: &Model,
        places: &[Option<ServiceId>],
        actions: &mut Vec<Action>,
    ) {
        for ((id, service), place) in old.services().zip(places) {
            if place.is_some() {
                continue;
            }
            self.timetable.cancel(id);
            self.timetable.clear_alarm(Alarm::TrapTimeout, id);
            self.timetable.clear_alarm(Alarm::TrapEnd, id);
            self.timetable.clear_alarm(Alarm::Recheck, id);
            self.timetable.clear_alarm(Alarm::Former, id);
            self.numbering.outlive(self.states[id.index()].last_outage);
            if self.states[id.index()].is_known() {
                actions.push(Action::record(saved::forget(service)));
            }
        }
    }

    fn carry_states(&mut self, old: &Model, places: &[Option<ServiceId>]) {
        let mut states = vec![ServiceState::default(); self.model.services.len()];
        let olds = std::mem::take(&mut self.states).into_iter();
        for (mut state, ((_, old), place)) in olds.zip(old.services().zip(places)) {
            let Some(new) = *place else {
                continue;
            };
            carry_periods(&mut state, old, self.model.service(new));
            if old.monitor != self.model.service(new).monitor {
                // What another monitor found good.
                state.unheard = None;
            }
            for suppression in &mut state.suppressed {
                suppression.service = new;
            }
            states[new.index()] = state;
        }
        self.states = states;
    }

    /// `reset` without `keepstate`: every service begins anew, untested and enabled; servers
    /// are as found (D10). What was said of watches and hosts stays.
    fn forget_everything(&mut self, now: Now, actions: &mut Vec<Action>) {
        let model = Arc::clone(&self.model);
        for (run, going) in std::mem::take(&mut self.running) {
            actions.push(Action::Stop(run));
            if going.purpose.is_single() {
                self.timetable.give_place(Lane::Checks);
            }
        }
        self.latest.forget();
        self.early = Early::default();
        let mut all = Vec::with_capacity(model.services.len());
        for (id, service) in model.services() {
            let state = std::mem::take(&mut self.states[id.index()]);
            self.numbering.outlive(state.last_outage);
            if state.is_known() {
                actions.push(Action::record(saved::forget(service)));
            }
            self.timetable.cancel(id);
            self.timetable.clear_alarm(Alarm::TrapEnd, id);
            self.timetable.clear_alarm(Alarm::Recheck, id);
            self.timetable.clear_alarm(Alarm::Former, id);
            self.await_trap(now, id);
            all.push(id);
        }
        self.depends = Depends::new(&model, &self.states);
        self.witnesses = Witnesses::new(&model);
        actions.extend(self.bindings.forget(now));
        self.plan_first_runs(now, &all);
    }

    /// Slots of services that are new, or that are polled in another rhythm than before.
    fn plan_what_changed(&mut self, now: Now, old: &Model, places: &[Option<ServiceId>]) {
        let clock = self.timetable.clock(now.mono);
        let mut first_time: Vec<bool> = vec![true; self.model.services.len()];
        for ((_, before), place) in old.services().zip(places) {
            let Some(id) = *place else {
                continue;
            };
            let status = self.states[id.index()].status;
            let interval = schedule::interval_in_force(before, status);
            first_time[id.index()] = interval.is_none();
            let (Some(was), is) = (interval, self.interval(id)) else {
                continue;
            };
            let Some(is) = is else {
                self.timetable.cancel(id);
                continue;
            };
            if self.timetable.is_running(id) {
                continue;
            }
            if was != is && !self.timetable.is_waiting(id) {
                let due = in_new_rhythm(self.timetable.due(id), was, is, clock);
                self.timetable.plan(id, due);
            } else if before.monitor != self.model.service(id).monitor {
                // It may count against another limit now.
                self.timetable.plan(id, self.timetable.due(id));
            }
        }
        let new: Vec<ServiceId> = self
            .model
            .services()
            .map(|(id, _)| id)
            .filter(|id| first_time[id.index()])
            .collect();
        self.plan_first_runs(now, &new);
    }
}

/// Whether a run of one says what a run of the other would.
fn runs_the_same(before: &Service, after: &Service) -> bool {
    match (&before.monitor, &after.monitor) {
        (Some(before), Some(after)) => before.runs_as(after),
        (None, None) => true,
        (Some(_), None) | (None, Some(_)) => false,
    }
}

/// For each old service its number in the new Model; none where it is gone.
fn places(old: &Model, new: &Model) -> Vec<Option<ServiceId>> {
    let names: BTreeMap<(&str, &str), ServiceId> = new
        .services()
        .map(|(id, service)| ((&*service.group, &*service.name), id))
        .collect();
    old.services
        .iter()
        .map(|service| names.get(&(&*service.group, &*service.name)).copied())
        .collect()
}

/// Hands the memory of each period to the period of the same label.
fn carry_periods(state: &mut ServiceState, old: &Service, new: &Service) {
    let Some(memory) = state.periods.take() else {
        return;
    };
    let mut by_label: BTreeMap<&str, PeriodMemory> = old
        .periods
        .iter()
        .zip(memory)
        .map(|(period, memory)| (&*period.label, memory))
        .collect();
    let memory = new
        .periods
        .iter()
        .map(|period| by_label.remove(&*period.label).unwrap_or_default());
    state.periods = Some(memory.collect());
}

/// The next slot when the interval changes from `was` to `is`: counted from the slot before
/// `due`, or from `now` where `was` came into force since and that slot is still to come.
fn in_new_rhythm(due: Mono, was: Duration, is: Duration, now: Mono) -> Mono {
    let was = u64::try_from(was.as_micros()).unwrap_or(u64::MAX);
    let last = Mono::from_micros(due.as_micros().saturating_sub(was));
    schedule::next_slot(last.min(now), is, now)
}

#[cfg(test)]
mod tests;
