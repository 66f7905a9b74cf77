//! Does a dependency hold now; which runs wait for one; which hosts are left out.
//!
//! | Acts on | Asked | While it does not hold |
//! |---|---|---|
//! | alerts (a) | at every event | step 4 of the alert decision objects |
//! | the monitor (m) | when a run could start | the run waits |
//! | hosts (hm) | when a run starts | hosts that failing parents name are left out |
//!
//! A run that waits is looked at again when one of the services that its expression leads to
//! becomes good or stops being so, and when a `dep_memory` ends: not every second.
//!
//! Source: docs/mon.md, "Dependencies"; E-14, E-20 and E-21 fixed.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use crate::engine::Engine;
use crate::engine::event::Status;
use crate::engine::state::{Blame, Moment, NO_SUMMARY, ServiceState};
use crate::model::{DependBehavior, Dependency, HostName, Model, ServiceId};
use crate::time::{Mono, Now};

/// What is known of dependencies beyond the states of the services.
#[derive(Debug, Default)]
pub(super) struct Depends {
    /// Expressions that are never computed: they lead deeper than `dep_recur_limit`.
    too_deep: BTreeSet<(DependBehavior, ServiceId)>,
    /// The latest failure of each parent, for `dep_memory`.
    failures: BTreeMap<ServiceId, Option<Failure>>,
    /// Services whose run waits, and the services that this hinges on.
    held: BTreeMap<ServiceId, Box<[ServiceId]>>,
    /// Which held services hinge on a service, and whether it was good then.
    watched: BTreeMap<ServiceId, Watched>,
}

#[derive(Clone, Debug)]
struct Failure {
    at: Moment,
    summary: Arc<str>,
}

#[derive(Debug)]
struct Watched {
    was_good: bool,
    held: BTreeSet<ServiceId>,
}

/// What an expression comes to now, for readers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DependencyNow {
    /// It holds.
    Holds,
    /// It does not.
    Fails,
    /// It leads deeper than `dep_recur_limit`, or in a circle: it is never asked, and counts as not
    /// holding.
    TooDeep,
}

/// What became of an expression.
#[derive(Debug, PartialEq)]
enum Answer {
    Holds,
    Fails {
        /// The first service in it that is not good.
        parent: Option<Arc<str>>,
        /// Every service that was looked at.
        seen: Box<[ServiceId]>,
        /// When the next `dep_memory` ends that counts in it.
        again: Option<Mono>,
    },
    TooDeep,
}

impl Depends {
    /// The dependencies of a Model; failures are known from outages that go on.
    pub(super) fn new(model: &Model, states: &[ServiceState]) -> Self {
        let mut depends = Self::default();
        let limit = model.globals.dep_recur_limit;
        for what in [DependBehavior::Alerts, DependBehavior::Monitor] {
            for ((id, _), depth) in model.services().zip(model.depths(what)) {
                if !depth.is_within(limit) {
                    depends.too_deep.insert((what, id));
                }
            }
        }
        for service in &model.services {
            let parents = service.depend.iter();
            for parent in parents.flat_map(|(_, dependency)| dependency.known_parents()) {
                let state = states.get(parent.index());
                depends
                    .failures
                    .entry(parent)
                    .or_insert_with(|| state.and_then(Failure::of_outage));
            }
        }
        depends
    }

    /// Takes over what the dependencies of the old Model remember.
    pub(super) fn carry(&mut self, old: &Self, places: &[Option<ServiceId>]) {
        for (parent, failure) in &old.failures {
            let new = places.get(parent.index()).copied().flatten();
            if let Some(known) = new.and_then(|new| self.failures.get_mut(&new)) {
                known.clone_from(failure);
            }
        }
    }

    fn hold(&mut self, id: ServiceId, seen: Box<[ServiceId]>, is_good: impl Fn(ServiceId) -> bool) {
        self.unwatch(id);
        for &parent in &seen {
            let watched = self.watched.entry(parent).or_insert_with(|| Watched {
                was_good: is_good(parent),
                held: BTreeSet::new(),
            });
            watched.held.insert(id);
        }
        self.held.insert(id, seen);
    }

    fn unwatch(&mut self, id: ServiceId) {
        for parent in self.held.get(&id).into_iter().flatten() {
            if let Some(watched) = self.watched.get_mut(parent) {
                watched.held.remove(&id);
                if watched.held.is_empty() {
                    self.watched.remove(parent);
                }
            }
        }
    }

    /// Held services that hinge on one that is now good and was not, or the other way round.
    fn changed(&mut self, is_good: impl Fn(ServiceId) -> bool) -> BTreeSet<ServiceId> {
        let watched = self.watched.iter();
        let changed = watched.filter(|(parent, watched)| is_good(**parent) != watched.was_good);
        let held: BTreeSet<ServiceId> = changed
            .flat_map(|(_, watched)| watched.held.iter().copied())
            .collect();
        for &id in &held {
            self.unwatch(id);
            if let Some(seen) = self.held.get_mut(&id) {
                *seen = Box::default();
            }
        }
        held
    }
}

impl Failure {
    fn of_outage(state: &ServiceState) -> Option<Self> {
        let outage = state.outage.as_deref()?;
        Some(Self {
            at: outage.latest,
            summary: summary(state),
        })
    }
}

/// The summary of the latest event of a failing service.
fn summary(state: &ServiceState) -> Arc<str> {
    let text = state.text.as_deref();
    text.map_or_else(
        || NO_SUMMARY.into(),
        |text| text.summary(Status::Fail).into(),
    )
}

impl Engine {
    /// An event comes: is anybody to be told of it? (E-14 fixed)
    pub(super) fn look_at_alert_dependency(&mut self, now: Now, id: ServiceId) {
        let answer = self.ask(DependBehavior::Alerts, now, id);
        let model = Arc::clone(&self.model);
        let state = &mut self.states[id.index()];
        let Some((dependency, answer)) = model
            .service(id)
            .depends(DependBehavior::Alerts)
            .zip(answer)
        else {
            state.alerts_held_by = None;
            return;
        };
        let blame = |parent| {
            Some(Box::new(Blame {
                expression: Arc::clone(&dependency.written),
                parent,
            }))
        };
        match answer {
            Answer::Holds => {
                state.depend_status = Some(true);
                state.alerts_held_by = None;
            }
            Answer::Fails { parent, .. } => {
                state.depend_status = Some(false);
                state.alerts_held_by = blame(parent);
            }
            // mon leaves the status as it was, and nobody is told.
            Answer::TooDeep => state.alerts_held_by = blame(None),
        }
    }

    /// What the expression of a service that acts on `what` comes to now; none where it has none.
    #[must_use]
    pub fn dependency_now(&self, what: DependBehavior, id: ServiceId) -> Option<DependencyNow> {
        Some(match self.ask(what, self.last, id)? {
            Answer::Holds => DependencyNow::Holds,
            Answer::Fails { .. } => DependencyNow::Fails,
            Answer::TooDeep => DependencyNow::TooDeep,
        })
    }

    /// Whether no dependency keeps a run from starting now; nothing waits for it to change.
    pub(super) fn may_run(&self, now: Now, id: ServiceId) -> bool {
        match self.ask(DependBehavior::Monitor, now, id) {
            None | Some(Answer::Holds) => true,
            Some(Answer::Fails { .. } | Answer::TooDeep) => false,
        }
    }

    /// A run could start. Answers whether it waits for a dependency instead.
    pub(super) fn waits_for_dependency(&mut self, now: Now, id: ServiceId) -> bool {
        let Some(answer) = self.ask(DependBehavior::Monitor, now, id) else {
            return false;
        };
        let state = &mut self.states[id.index()];
        match answer {
            Answer::Holds => {
                state.depend_status = Some(true);
                self.depends.unwatch(id);
                if self.depends.held.remove(&id).is_some()
                    && let Some(interval) = self.interval(id)
                {
                    // Slots that went by meanwhile were not missed.
                    self.timetable.catch_up(id, interval, now.mono);
                }
                return false;
            }
            Answer::Fails { seen, again, .. } => {
                state.depend_status = Some(false);
                let states = &self.states;
                self.depends
                    .hold(id, seen, |parent| is_good(states, parent));
                self.timetable.park(id, again);
            }
            // Until a reload, which releases all.
            Answer::TooDeep => self.timetable.park(id, None),
        }
        true
    }

    /// Looks again at runs that wait, where what they wait for changed. Answers whether any
    /// is to be looked at.
    pub(super) fn release_dependents(&mut self, now: Now) -> bool {
        let states = &self.states;
        let changed = self.depends.changed(|parent| is_good(states, parent));
        for &id in &changed {
            self.timetable.release(id, now.mono);
        }
        !changed.is_empty()
    }

    /// The dependencies of a new Model, with what is remembered of the old one. States have
    /// been carried over.
    pub(super) fn carry_dependencies(&mut self, places: &[Option<ServiceId>]) {
        let mut depends = Depends::new(&self.model, &self.states);
        depends.carry(&self.depends, places);
        self.depends = depends;
    }

    /// A parent failed: `dep_memory` counts from here.
    pub(super) fn remember_failure(&mut self, now: Now, id: ServiceId) {
        let state = &self.states[id.index()];
        if let Some(known) = self.depends.failures.get_mut(&id) {
            *known = Some(Failure {
                at: Moment::of(now),
                summary: summary(state),
            });
        }
    }

    /// Leaves out the hosts that failing parents name (hm).
    pub(super) fn without_failing(
        &self,
        now: Now,
        id: ServiceId,
        hosts: Vec<HostName>,
    ) -> Vec<HostName> {
        let service = self.model.service(id);
        let Some(dependency) = service.depends(DependBehavior::Hosts) else {
            return hosts;
        };
        let memory = service.dep_memory.unwrap_or_default();
        let summaries: Vec<Arc<str>> = dependency
            .known_parents()
            .filter_map(|parent| self.failing_summary(now, parent, memory))
            .collect();
        let named: BTreeSet<&str> = summaries.iter().flat_map(|it| words(it)).collect();
        let kept = hosts.into_iter();
        kept.filter(|host| !named.contains(host.as_str())).collect()
    }

    /// What a failing parent said last; none where it does not fail.
    fn failing_summary(&self, now: Now, parent: ServiceId, memory: Duration) -> Option<Arc<str>> {
        let state = self.states.get(parent.index())?;
        if state.status == Status::Fail {
            return Some(summary(state));
        }
        let failure = self.depends.failures.get(&parent)?.as_ref()?;
        (failure.at.ago(now) < memory).then(|| Arc::clone(&failure.summary))
    }

    /// Computes the expression of a service that acts on `what`; none where it has none.
    fn ask(&self, what: DependBehavior, now: Now, id: ServiceId) -> Option<Answer> {
        let root = self.model.service(id).depends(what)?;
        if self.depends.too_deep.contains(&(what, id)) {
            return Some(Answer::TooDeep);
        }
        // The value of the own expression of each service on the way. Each is computed once,
        // after its parents; there is no circle, or it would be too deep.
        let mut own: BTreeMap<ServiceId, bool> = BTreeMap::new();
        let mut again: Option<Mono> = None;
        let mut open = vec![id];
        while let Some(&at) = open.last() {
            let service = self.model.service(at);
            let Some(dependency) = service.depends(what).filter(|_| !own.contains_key(&at)) else {
                own.entry(at).or_insert(true);
                open.pop();
                continue;
            };
            let parents = dependency.known_parents();
            let unknown: Vec<ServiceId> = parents.filter(|it| !own.contains_key(it)).collect();
            if unknown.is_empty() {
                let memory = service.dep_memory.unwrap_or_default();
                let values = self.values(now, dependency, memory, &own, &mut again);
                own.insert(at, dependency.expression.holds(&values));
                open.pop();
            } else {
                open.extend(unknown);
            }
        }
        if own.get(&id).copied().unwrap_or_default() {
            return Some(Answer::Holds);
        }
        let memory = self.model.service(id).dep_memory.unwrap_or_default();
        let values = self.values(now, root, memory, &own, &mut again);
        let names = root.expression.names().iter().zip(values);
        let mut bad = names.filter(|(_, value)| !value);
        let seen = own.keys().copied().filter(|&seen| seen != id);
        Some(Answer::Fails {
            parent: bad.next().map(|(name, _)| name.to_string().into()),
            seen: seen.collect(),
            again,
        })
    }

    /// The values of the names of an expression, whose service remembers failures for
    /// `memory`. `again` becomes the end of the first of them, where that is sooner.
    fn values(
        &self,
        now: Now,
        dependency: &Dependency,
        memory: Duration,
        own: &BTreeMap<ServiceId, bool>,
        again: &mut Option<Mono>,
    ) -> Vec<bool> {
        let value = |parent: &Option<ServiceId>| {
            let Some(parent) = *parent else {
                return false;
            };
            let failures = &self.depends.failures;
            let failure = failures.get(&parent).and_then(Option::as_ref);
            let left = failure.and_then(|failure| memory.checked_sub(failure.at.ago(now)));
            let left = left.filter(|left| !left.is_zero());
            if let Some(left) = left {
                let ends = now.mono.after(left);
                *again = Some(again.map_or(ends, |sooner| sooner.min(ends)));
            }
            let own = own.get(&parent).copied().unwrap_or_default();
            own && left.is_none() && is_good(&self.states, parent)
        };
        dependency.parents.iter().map(value).collect()
    }
}

fn is_good(states: &[ServiceState], id: ServiceId) -> bool {
    states
        .get(id.index())
        .is_some_and(|state| state.status.is_success())
}

/// The words of a summary, as a person separates them: host names, addresses, and the port or
/// the bracket behind one cut off.
fn words(summary: &str) -> impl Iterator<Item = &str> {
    let is_end = |letter: char| letter.is_whitespace() || ",;()[]<>\"'".contains(letter);
    summary.split(is_end).flat_map(|word| {
        let bare = word.trim_end_matches(['.', ':', '!', '?', '*']);
        let host = bare.split_once(':').map_or(bare, |(host, _)| host);
        [word, bare, host]
    })
}

#[cfg(test)]
mod tests;
