//! How many checks in a row make a verdict on a real server?
//!
//! Each (service, part) has a streak: how often in a row it was good, or bad. Each section that
//! listens to it makes its own verdict of that, with hysteresis (`listener`).
//!
//! What says nothing about the part changes nothing, the streak neither. With another monitor a
//! streak begins anew. A bad verdict is in the journal with the monitor that found it, so that a
//! restart puts no failed server in; half a streak is not. Pure.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde::Deserialize;

use crate::digest::Digest;
use crate::engine::binding::{self, Part, Verdict};
use crate::engine::event::{Action, HostVerdict, Reason};
use crate::engine::saved::Saved;
use crate::engine::section::count::journal::{FoundBy, PREFIX, SavedVerdict, record};
use crate::engine::section::count::listener::{Failure, Inherited, Listener, is_bad};
use crate::engine::section::giving::Giving;
use crate::lvs::{Family, GivenWeight, VirtualServiceKey};
use crate::model::{
    DeclaredJudge, DeclaredService, HostName, JudgedBy, Model, ServiceId, ServiceNames, WeightFrom,
};
use crate::time::Wall;

mod journal;
mod listener;
mod undecided;

/// What one check says about a part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Opinion {
    /// It is as it should be.
    Good,
    /// It fails.
    Bad(Reason),
    /// It fails, and something beside this check says so too: `fall` is reached at once. So is
    /// the end of a held connection with a refused check behind it (D18).
    Surely(Reason),
    /// Nothing.
    Unknown,
}

impl Opinion {
    /// Whether it fails.
    pub(crate) const fn is_bad(self) -> bool {
        match self {
            Self::Bad(_) | Self::Surely(_) => true,
            Self::Good | Self::Unknown => false,
        }
    }
}

impl From<HostVerdict> for Opinion {
    fn from(verdict: HostVerdict) -> Self {
        match verdict {
            HostVerdict::Up => Self::Good,
            HostVerdict::Down(reason) => Self::Bad(reason),
            HostVerdict::Unknown(_) => Self::Unknown,
        }
    }
}

/// A check that is wanted before the next slot of its service, since a streak of bad ones is
/// running that no verdict has come of yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Recheck {
    /// What is to be checked.
    pub(crate) scope: RecheckScope,
    /// How long after the check before: the shortest that a section asks for.
    pub(crate) gap: Duration,
}

/// What a [`Recheck`] is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum RecheckScope {
    /// These hosts, in the order of their names.
    Hosts(Vec<HostName>),
    /// The service as a whole, with all its hosts.
    Service,
}

/// How the checks of a part went lately.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Streak {
    /// Good so many times in a row.
    Good(u32),
    /// Bad so many times in a row.
    Bad {
        /// So many times.
        count: u32,
        /// As the latest check said.
        reason: Reason,
    },
}

/// The monitor of a service, in short; none where only traps speak for it.
type Monitor = Option<Digest>;

/// All streaks, and what the sections make of them.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    parts: BTreeMap<(ServiceId, Part), Counted>,
}

/// What the checks of before a reload said, under the numbers of the new Model.
#[derive(Debug, Default)]
pub(crate) struct Past {
    /// The services whose monitor is the same as before: what was said of them holds.
    pub(crate) unchanged: BTreeSet<ServiceId>,
    /// The services whose checks begin anew, so that they are waited for from now on.
    pub(crate) anew: BTreeSet<ServiceId>,
    /// Their last verdicts, whether a section listened or not.
    pub(crate) said: BTreeMap<(ServiceId, Part), Verdict>,
}

/// One part of a service that sections listen to.
#[derive(Clone, Debug, Default)]
struct Counted {
    monitor: Monitor,
    streak: Option<Streak>,
    /// The weight that its checks give it; none while none did.
    given: Option<Giving>,
    /// Never empty.
    listeners: BTreeMap<VirtualServiceKey, Listener>,
}

impl Tally {
    /// Counts for exactly the sections of this Model: streaks and verdicts of what is still
    /// there stay, and where the monitor is another, verdicts are inherited. Records of what is
    /// gone are to be forgotten. A section that begins to listen starts with what was said last: a
    /// server that is known starts in a section that is new to it as it is, and only one that
    /// nobody ever judged as the section says (D16). The Model numbers services as the one before:
    /// see [`Tally::renumber`]. [`Tally::recount`] follows.
    pub(crate) fn declare(&mut self, model: &Model, past: &Past) -> Vec<Action> {
        let old = std::mem::take(&mut self.parts);
        for section in &model.virtual_services {
            for server in &section.servers {
                for judge in &server.judges {
                    let part = self.parts.entry(judged_part(judge, &server.host));
                    let counted = part.or_default();
                    let listener = Listener {
                        counts: section.counts,
                        weight_from: section.weight_from,
                        verdict: None,
                        inherited: None,
                    };
                    counted.listeners.entry(section.key).or_insert(listener);
                }
            }
        }
        let mut actions = Vec::new();
        let mut monitors: BTreeMap<ServiceId, Monitor> = BTreeMap::new();
        for ((service, part), counted) in &mut self.parts {
            let monitor = monitors.entry(*service);
            counted.monitor = *monitor.or_insert_with(|| monitor_of(model, *service));
            let before = old.get(&(*service, part.clone()));
            let is_unchanged = past.unchanged.contains(service);
            let known = past.verdict(*service, part);
            if let Some(before) = before.filter(|_| is_unchanged) {
                counted.streak = before.streak;
                counted.given = before.given;
            }
            for (&key, listener) in &mut counted.listeners {
                let was = before.and_then(|it| it.listeners.get(&key));
                match (before, was) {
                    (Some(before), Some(was)) => {
                        listener.verdict = was.verdict;
                        listener.inherited = if is_unchanged {
                            was.inherited
                        } else {
                            // Traps give no weight that could take its place.
                            let is_polled = counted.monitor.is_some();
                            let given = match was.weight_from {
                                WeightFrom::Check => before.given_to(was),
                                WeightFrom::File => None,
                            };
                            let given = given.filter(|_| is_polled).map(Giving::weight);
                            let from = before.found_by(was);
                            Some(Inherited { from, given })
                        };
                    }
                    (Some(before), None) => {
                        let others = before.verdict_of_others(is_unchanged);
                        let (verdict, inherited) = others.unzip();
                        listener.verdict = verdict.or(known);
                        listener.inherited = inherited.flatten();
                    }
                    (None, _) => listener.verdict = known,
                }
                let failed = before.zip(was);
                let failed = failed.and_then(|(before, was)| was.failure(before.monitor));
                let failure = listener.failure(counted.monitor);
                if failed != failure {
                    actions.push(record(model, key, *service, part, failure));
                }
            }
        }
        for ((service, part), before) in &old {
            let now = self.parts.get(&(*service, part.clone()));
            let is_there =
                |key: VirtualServiceKey| now.is_some_and(|it| it.listeners.contains_key(&key));
            let gone = before.failures().filter(|&(key, _)| !is_there(key));
            actions.extend(gone.map(|(key, _)| record(model, key, *service, part, None)));
        }
        actions
    }

    /// What sections make of streaks by what the file says now: `fall` or `rise` may be another, or
    /// a section may have begun to listen.
    pub(crate) fn recount(&mut self, model: &Model, now: Wall) -> Vec<Action> {
        let mut actions = Vec::new();
        for ((service, part), counted) in &mut self.parts {
            for (&key, listener) in &mut counted.listeners {
                let failed = listener.failure(counted.monitor);
                listener.follow(counted.streak, now);
                let failure = listener.failure(counted.monitor);
                if failed != failure {
                    actions.push(record(model, key, *service, part, failure));
                }
            }
        }
        actions
    }

    /// Goes over to another numbering of services. `number` is the new one of a service, none
    /// where it is gone; `is_void` tells of a verdict that was about something else. Answers
    /// with the records to forget. Before [`Tally::declare`].
    pub(crate) fn renumber(
        &mut self,
        old: &Model,
        number: impl Fn(ServiceId) -> Option<ServiceId>,
        is_void: impl Fn(ServiceId, &Part) -> bool,
    ) -> Vec<Action> {
        let mut actions = Vec::new();
        let parts = std::mem::take(&mut self.parts);
        let services: BTreeSet<ServiceId> = parts.keys().map(|(service, _)| *service).collect();
        let numbers: BTreeMap<ServiceId, Option<ServiceId>> =
            services.into_iter().map(|it| (it, number(it))).collect();
        let number = |service| numbers.get(&service).copied().flatten();
        for ((service, part), counted) in parts {
            match number(service).filter(|_| !is_void(service, &part)) {
                Some(new) => {
                    self.parts.insert((new, part), counted);
                }
                None => actions.extend(counted.forget(old, service, &part)),
            }
        }
        actions
    }

    /// The bad verdicts of the journal, as far as their sections still listen; the records of
    /// all others are to be forgotten. A section that is new begins with those of the others: the
    /// file may have given it another address since. `is_known` tells of a virtual service that was
    /// declared before, `is_void` of a verdict that was about something else, with the family it
    /// was found in. After [`Tally::declare`].
    pub(crate) fn restore(
        &mut self,
        (model, names): (&Model, &ServiceNames<'_>),
        saved: &Saved,
        is_known: impl Fn(VirtualServiceKey) -> bool,
        is_void: impl Fn(ServiceId, &Part, Family) -> bool,
    ) -> Vec<Action> {
        let mut actions = Vec::new();
        let own = saved
            .records
            .iter()
            .filter(|(key, _)| key.starts_with(PREFIX));
        let own = own.filter_map(|(_, value)| SavedVerdict::deserialize(value).ok());
        let own: BTreeSet<VirtualServiceKey> = own.map(|it| it.virtual_service).collect();
        let is_new = |key| !own.contains(&key) && !is_known(key);
        let records = saved.records.iter();
        for (key, value) in records.filter(|(key, _)| key.starts_with(PREFIX)) {
            let known = serde_json::from_value::<SavedVerdict>(value.clone()).ok();
            let known = known.and_then(|it| Some((names.find(&it.group, &it.service)?, it)));
            let is_kept = known.is_some_and(|(service, it)| {
                let host = it.host.as_deref().map(HostName::new);
                let part = host.map_or(Part::Whole, Part::Host);
                let (reason, since) = (it.reason, it.since);
                let verdict = Some(Verdict::Bad { reason, since });
                let Some(counted) = self.parts.get_mut(&(service, part.clone())) else {
                    return false;
                };
                // Another monitor begins as behind a reload.
                let present = counted.monitor;
                let from = it.monitor.map_or(present, FoundBy::monitor);
                let inherited = (from != present).then_some(Inherited { from, given: None });
                let was_there = it.virtual_service.family();
                for (&key, listener) in &mut counted.listeners {
                    let is_asked = listener.verdict.is_none() && is_new(key);
                    if is_asked && !is_void(service, &part, was_there) {
                        (listener.verdict, listener.inherited) = (verdict, inherited);
                        let failure = listener.failure(present);
                        actions.push(record(model, key, service, &part, failure));
                    }
                }
                let listener = counted.listeners.get_mut(&it.virtual_service);
                listener
                    .map(|it| (it.verdict, it.inherited) = (verdict, inherited))
                    .is_some()
            });
            if !is_kept {
                actions.push(binding::record(key.clone(), None::<&()>));
            }
        }
        actions
    }

    /// Takes in what a check says about a part; answers with the sections whose verdict on it
    /// changed, with what is to be written down.
    pub(crate) fn hear(
        &mut self,
        model: &Model,
        (service, part): (ServiceId, &Part),
        opinion: Opinion,
        now: Wall,
    ) -> (BTreeSet<VirtualServiceKey>, Vec<Action>) {
        let mut changed = BTreeSet::new();
        let mut actions = Vec::new();
        let Some(counted) = self.parts.get_mut(&(service, part.clone())) else {
            return (changed, actions);
        };
        counted.streak = next(counted.streak, opinion);
        for (&key, listener) in &mut counted.listeners {
            let before = listener.verdict;
            let failed = listener.failure(counted.monitor);
            let lent = listener.lent().filter(|_| counted.given.is_none());
            listener.follow(counted.streak, now);
            let failure = listener.failure(counted.monitor);
            if failed != failure {
                actions.push(record(model, key, service, part, failure));
            }
            let is_taken_back = lent.is_some() && listener.lent().is_none();
            if is_taken_back || !is_alike(before, listener.verdict) {
                changed.insert(key);
            }
        }
        (changed, actions)
    }

    /// What a section makes of a part; none before its first verdict.
    pub(crate) fn verdict(
        &self,
        section: VirtualServiceKey,
        service: ServiceId,
        part: &Part,
    ) -> Option<Verdict> {
        let counted = self.parts.get(&(service, part.clone()))?;
        counted.listeners.get(&section)?.verdict
    }

    /// A check gave a host this weight, or none; answers with the sections that listen where
    /// it is another one than before.
    pub(crate) fn weigh(
        &mut self,
        (service, host): (ServiceId, &HostName),
        given: Option<GivenWeight>,
        now: Wall,
    ) -> Vec<VirtualServiceKey> {
        self.give(service, host, |before| Giving::next(before, given, now))
    }

    /// A host is given now what this makes of what it was given before; answers as
    /// [`Tally::weigh`].
    pub(crate) fn give(
        &mut self,
        service: ServiceId,
        host: &HostName,
        next: impl FnOnce(Option<Giving>) -> Option<Giving>,
    ) -> Vec<VirtualServiceKey> {
        let part = (service, Part::Host(host.clone()));
        let Some(counted) = self.parts.get_mut(&part) else {
            return Vec::new();
        };
        let before = counted.given;
        counted.given = next(before);
        if counted.given.map(Giving::weight) == before.map(Giving::weight) {
            return Vec::new();
        }
        counted.listeners.keys().copied().collect()
    }

    /// What the checks of a part give it, or else what those of the monitor before gave, for a
    /// section that has no verdict of the present one; none where none ever did.
    pub(crate) fn given(
        &self,
        section: VirtualServiceKey,
        service: ServiceId,
        part: &Part,
    ) -> Option<Giving> {
        let counted = self.parts.get(&(service, part.clone()))?;
        counted.given_to(counted.listeners.get(&section)?)
    }

    /// Whether checks of a part by the present monitor ever gave it a weight.
    pub(crate) fn has_given(&self, service: ServiceId, part: &Part) -> bool {
        let counted = self.parts.get(&(service, part.clone()));
        counted.is_some_and(|it| it.given.is_some())
    }

    /// How many good checks of a part in a row a section takes for a good verdict.
    pub(crate) fn rise(&self, section: &DeclaredService, service: ServiceId, part: &Part) -> u32 {
        let counted = self.parts.get(&(service, part.clone()));
        let listener = counted.and_then(|it| it.listeners.get(&section.key));
        listener.map_or(section.counts.rise.get(), Listener::rise)
    }

    /// How the checks of a part went lately; none where nothing was said since the start, or since
    /// a reload replaced the monitor.
    pub(crate) fn streak(&self, service: ServiceId, part: &Part) -> Option<Streak> {
        self.parts.get(&(service, part.clone()))?.streak
    }

    /// The check that a service owes its sections before its next slot, of those parts that are
    /// asked for.
    pub(crate) fn wants_recheck(
        &self,
        service: ServiceId,
        is_asked: impl Fn(&Part) -> bool,
    ) -> Option<Recheck> {
        let mut gap = None;
        let mut hosts = Vec::new();
        let mut is_whole = false;
        for (part, counted) in self.of(service).filter(|(part, _)| is_asked(part)) {
            let gaps = counted.listeners.values().filter_map(|listener| {
                let is_running = listener.is_running(counted.streak);
                is_running.then_some(listener.counts.recheck)
            });
            let Some(shortest) = gaps.min() else {
                continue;
            };
            gap = Some(gap.map_or(shortest, |gap: Duration| gap.min(shortest)));
            match part {
                Part::Whole => is_whole = true,
                Part::Host(host) => hosts.push(host.clone()),
            }
        }
        let scope = if is_whole {
            RecheckScope::Service
        } else {
            RecheckScope::Hosts(hosts)
        };
        gap.map(|gap| Recheck { scope, gap })
    }

    /// The next check of a part is the first of its streak; what sections made of it stays.
    pub(crate) fn begin_anew(&mut self, service: ServiceId, part: Part) {
        if let Some(counted) = self.parts.get_mut(&(service, part)) {
            counted.streak = None;
        }
    }

    /// A section takes a part for good whatever it counted before; answers with the record.
    pub(crate) fn takes_for_good(
        &mut self,
        model: &Model,
        section: VirtualServiceKey,
        service: ServiceId,
        part: &Part,
    ) -> Option<Action> {
        let counted = self.parts.get_mut(&(service, part.clone()))?;
        let listener = counted.listeners.get_mut(&section)?;
        let had_failed = listener.failure(counted.monitor).is_some();
        listener.verdict = Some(Verdict::Good);
        listener.inherited = None;
        had_failed.then(|| record(model, section, service, part, None))
    }

    /// Nothing was ever said of any part (D10). Answers with the records to forget.
    pub(crate) fn forget(&mut self, model: &Model) -> Vec<Action> {
        let mut actions = Vec::new();
        for ((service, part), counted) in &mut self.parts {
            actions.extend(counted.forget(model, *service, part));
            counted.streak = None;
            counted.given = None;
            for listener in counted.listeners.values_mut() {
                listener.verdict = None;
                listener.inherited = None;
            }
        }
        actions
    }

    /// All that is to survive a restart.
    pub(crate) fn record_all(&self, model: &Model) -> Vec<Action> {
        let mut actions = Vec::new();
        for ((service, part), counted) in &self.parts {
            for (key, failure) in counted.failures() {
                actions.push(record(model, key, *service, part, Some(failure)));
            }
        }
        actions
    }

    fn of(&self, service: ServiceId) -> impl Iterator<Item = (&Part, &Counted)> {
        let from = (service, Part::Whole);
        let parts = self.parts.range(from..);
        let parts = parts.take_while(move |((of, _), _)| *of == service);
        parts.map(|((_, part), counted)| (part, counted))
    }
}

impl Past {
    fn verdict(&self, service: ServiceId, part: &Part) -> Option<Verdict> {
        self.said.get(&(service, part.clone())).copied()
    }
}

impl Counted {
    /// What a section begins with that begins to listen: with the verdict of the others, bad where
    /// they differ; none where there is none. `is_unchanged` tells whether the monitor is the same.
    fn verdict_of_others(&self, is_unchanged: bool) -> Option<(Verdict, Option<Inherited>)> {
        let bad = self.listeners.values().find(|it| is_bad(it.verdict));
        let mut judged = self.listeners.values().filter(|it| it.verdict.is_some());
        let other = bad.or_else(|| judged.next())?;
        // The weight was given to the real servers of others.
        let inherited = Inherited {
            from: self.found_by(other),
            given: None,
        };
        let is_inherited = !is_unchanged || other.inherited.is_some();
        Some((other.verdict?, is_inherited.then_some(inherited)))
    }

    /// The monitor that found what one that listens makes of the part.
    fn found_by(&self, listener: &Listener) -> Monitor {
        listener.inherited.map_or(self.monitor, |it| it.from)
    }

    /// The weight that counts for one that listens.
    fn given_to(&self, listener: &Listener) -> Option<Giving> {
        self.given.or_else(|| listener.lent())
    }

    /// The sections for which the part is bad.
    fn failures(&self) -> impl Iterator<Item = (VirtualServiceKey, Failure)> {
        let listeners = self.listeners.iter();
        listeners.filter_map(|(&key, it)| Some((key, it.failure(self.monitor)?)))
    }

    fn forget(&self, model: &Model, service: ServiceId, part: &Part) -> Vec<Action> {
        let failures = self.failures();
        failures
            .map(|(key, _)| record(model, key, service, part, None))
            .collect()
    }
}

/// Whose verdict on what a judge of a declared real server listens to.
pub(crate) fn judged_part(judge: &DeclaredJudge, host: &HostName) -> (ServiceId, Part) {
    let part = match judge.verdict {
        JudgedBy::Host => Part::Host(host.clone()),
        JudgedBy::Whole => Part::Whole,
    };
    (judge.service, part)
}

fn next(streak: Option<Streak>, opinion: Opinion) -> Option<Streak> {
    let good = match streak {
        Some(Streak::Good(count)) => count,
        Some(Streak::Bad { .. }) | None => 0,
    };
    let bad = match streak {
        Some(Streak::Bad { count, .. }) => count,
        Some(Streak::Good(_)) | None => 0,
    };
    match opinion {
        Opinion::Good => Some(Streak::Good(good.saturating_add(1))),
        Opinion::Bad(reason) => Some(Streak::Bad {
            count: bad.saturating_add(1),
            reason,
        }),
        Opinion::Surely(reason) => Some(Streak::Bad {
            count: u32::MAX,
            reason,
        }),
        Opinion::Unknown => streak,
    }
}

/// Whether the table would be the same.
const fn is_alike(before: Option<Verdict>, now: Option<Verdict>) -> bool {
    matches!(
        (before, now),
        (None, None)
            | (Some(Verdict::Good), Some(Verdict::Good))
            | (Some(Verdict::Bad { .. }), Some(Verdict::Bad { .. }))
    )
}

fn monitor_of(model: &Model, id: ServiceId) -> Monitor {
    let monitor = model.service(id).monitor.as_ref();
    monitor.map(|it| it.digest())
}

#[cfg(test)]
mod tests;
