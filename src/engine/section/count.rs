//! How many checks in a row make a verdict on a real server?
//!
//! Each (service, part) has a streak: how often in a row it was good, or bad. Each section that
//! listens to it makes its own verdict of that, with hysteresis:
//!
//! | Verdict | after a good one | after a bad one |
//! |---|---|---|
//! | none | good | bad when `fall` is reached |
//! | good | good | bad when `fall` is reached |
//! | bad | good when `rise` is reached | bad |
//!
//! What says nothing about the part changes nothing, the streak neither. A bad verdict is in the
//! journal, so that a restart puts no failed server in; half a streak is not. Pure.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::engine::binding::{self, Part, Verdict};
use crate::engine::event::{Action, HostVerdict, Reason};
use crate::engine::saved::Saved;
use crate::lvs::{GivenWeight, VirtualServiceKey};
use crate::model::{Counts, DeclaredJudge, HostName, JudgedBy, Model, ServiceId, ServiceNames};
use crate::time::Wall;

/// Prefix of the journal keys of this file.
const PREFIX: &str = "verdict ";

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
    Bad(u32),
}

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
    /// Their last verdicts, whether a section listened or not.
    pub(crate) said: BTreeMap<(ServiceId, Part), Verdict>,
}

/// One part of a service that sections listen to.
#[derive(Clone, Debug, Default)]
struct Counted {
    streak: Option<Streak>,
    /// The weight that the latest good check gave it.
    given: Option<GivenWeight>,
    /// Never empty.
    listeners: BTreeMap<VirtualServiceKey, Listener>,
}

/// One section that listens.
#[derive(Clone, Debug)]
struct Listener {
    counts: Counts,
    verdict: Option<Verdict>,
}

/// A bad verdict in the journal.
#[derive(Debug, Serialize, Deserialize)]
struct SavedVerdict {
    virtual_service: VirtualServiceKey,
    group: String,
    service: String,
    /// None for the service as a whole.
    host: Option<String>,
    reason: Reason,
    since: Wall,
}

impl Tally {
    /// Counts for exactly the sections of this Model: streaks and verdicts of what is still
    /// there stay, also where `fall` and `rise` are others now. Records of what is gone are to
    /// be forgotten. A section that begins to listen starts with what was said last: a server that
    /// is known starts in a section that is new to it as it is, and only one that nobody ever
    /// judged as the section says (D16). The Model numbers services as the one before: see
    /// [`Tally::renumber`].
    pub(crate) fn declare(&mut self, model: &Model, past: &Past) -> Vec<Action> {
        let mut old = std::mem::take(&mut self.parts);
        for section in &model.virtual_services {
            for server in &section.servers {
                for judge in &server.judges {
                    let counted = self.parts.entry(place(judge, &server.host)).or_default();
                    let listener = Listener {
                        counts: section.counts,
                        verdict: None,
                    };
                    counted.listeners.entry(section.key).or_insert(listener);
                }
            }
        }
        let mut actions = Vec::new();
        for ((service, part), before) in &mut old {
            let mut now = self.parts.get_mut(&(*service, part.clone()));
            if let Some(now) = &mut now {
                now.streak = before.streak;
                now.given = before.given;
            }
            for (&key, listener) in &mut before.listeners {
                let now = now.as_mut().and_then(|now| now.listeners.get_mut(&key));
                match now {
                    Some(now) => now.verdict = listener.verdict,
                    None if is_bad(listener.verdict) => {
                        actions.push(record(model, key, *service, part, None));
                    }
                    None => {}
                }
            }
        }
        for ((service, part), counted) in &mut self.parts {
            let before = old.get(&(*service, part.clone()));
            let known = past.verdict(*service, part);
            let is_unchanged = past.unchanged.contains(service);
            for (&key, listener) in &mut counted.listeners {
                if !is_unchanged || before.is_some_and(|it| it.listeners.contains_key(&key)) {
                    continue;
                }
                let counted = before.and_then(|it| it.verdict_for(&listener.counts));
                listener.verdict = counted.or(known);
                if is_bad(listener.verdict) {
                    actions.push(record(model, key, *service, part, listener.verdict));
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
    /// declared before. After [`Tally::declare`].
    pub(crate) fn restore(
        &mut self,
        (model, names): (&Model, &ServiceNames<'_>),
        saved: &Saved,
        is_known: impl Fn(VirtualServiceKey) -> bool,
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
                for (&key, listener) in &mut counted.listeners {
                    if listener.verdict.is_none() && is_new(key) {
                        listener.verdict = verdict;
                        actions.push(record(model, key, service, &part, verdict));
                    }
                }
                let listener = counted.listeners.get_mut(&it.virtual_service);
                listener.map(|it| it.verdict = verdict).is_some()
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
            listener.verdict = verdict(before, counted.streak, opinion, &listener.counts, now);
            if is_bad(before) != is_bad(listener.verdict) {
                let bad = listener.verdict.filter(|_| is_bad(listener.verdict));
                actions.push(record(model, key, service, part, bad));
            }
            if !is_alike(before, listener.verdict) {
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

    /// A check gave a host this weight; answers with the sections that listen where it is
    /// another one than before.
    pub(crate) fn weigh(
        &mut self,
        service: ServiceId,
        host: &HostName,
        weight: GivenWeight,
    ) -> Vec<VirtualServiceKey> {
        let counted = self.parts.get_mut(&(service, Part::Host(host.clone())));
        match counted {
            Some(counted) if counted.given != Some(weight) => {
                counted.given = Some(weight);
                counted.listeners.keys().copied().collect()
            }
            Some(_) | None => Vec::new(),
        }
    }

    /// The weight that the latest good check gave a part; none where none named one.
    pub(crate) fn given(&self, service: ServiceId, part: &Part) -> Option<GivenWeight> {
        self.parts.get(&(service, part.clone()))?.given
    }

    /// How the checks of a part went lately; none where nothing was said since the start.
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

    /// Nothing was ever said of any part (D10). Answers with the records to forget.
    pub(crate) fn forget(&mut self, model: &Model) -> Vec<Action> {
        let mut actions = Vec::new();
        for ((service, part), counted) in &mut self.parts {
            actions.extend(counted.forget(model, *service, part));
            counted.streak = None;
            counted.given = None;
            for listener in counted.listeners.values_mut() {
                listener.verdict = None;
            }
        }
        actions
    }

    /// All that is to survive a restart.
    pub(crate) fn record_all(&self, model: &Model) -> Vec<Action> {
        let mut actions = Vec::new();
        for ((service, part), counted) in &self.parts {
            for (&key, listener) in counted.bad() {
                actions.push(record(model, key, *service, part, listener.verdict));
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
    /// The verdict of a section that begins to listen: the one of the others, where `fall` and
    /// `rise` of its own would not have ended it; none where there is none. Bad where they
    /// differ and its own counts do not settle it.
    fn verdict_for(&self, counts: &Counts) -> Option<Verdict> {
        let mut verdicts = self.listeners.values().filter_map(|it| it.verdict);
        let bad = self.bad().find_map(|(_, listener)| listener.verdict);
        match (self.streak, bad) {
            (Some(Streak::Good(count)), Some(_)) if count >= counts.rise.get() => {
                Some(Verdict::Good)
            }
            (_, Some(bad)) => Some(bad),
            (_, None) => verdicts.next(),
        }
    }

    /// The sections for which the part is bad.
    fn bad(&self) -> impl Iterator<Item = (&VirtualServiceKey, &Listener)> {
        let listeners = self.listeners.iter();
        listeners.filter(|(_, listener)| is_bad(listener.verdict))
    }

    fn forget(&self, model: &Model, service: ServiceId, part: &Part) -> Vec<Action> {
        let keys = self.bad().map(|(&key, _)| key);
        keys.map(|key| record(model, key, service, part, None))
            .collect()
    }
}

impl Listener {
    /// Whether the part has failed, but not often enough for a verdict.
    fn is_running(&self, streak: Option<Streak>) -> bool {
        match streak {
            Some(Streak::Bad(count)) => count < self.counts.fall.get() && !is_bad(self.verdict),
            Some(Streak::Good(_)) | None => false,
        }
    }
}

/// Whose verdict on what a judge of a declared real server listens to.
pub(crate) fn place(judge: &DeclaredJudge, host: &HostName) -> (ServiceId, Part) {
    let part = match judge.verdict {
        JudgedBy::Host => Part::Host(host.clone()),
        JudgedBy::Whole => Part::Whole,
    };
    (judge.service, part)
}

fn next(streak: Option<Streak>, opinion: Opinion) -> Option<Streak> {
    let good = match streak {
        Some(Streak::Good(count)) => count,
        Some(Streak::Bad(_)) | None => 0,
    };
    let bad = match streak {
        Some(Streak::Bad(count)) => count,
        Some(Streak::Good(_)) | None => 0,
    };
    match opinion {
        Opinion::Good => Some(Streak::Good(good.saturating_add(1))),
        Opinion::Bad(_) => Some(Streak::Bad(bad.saturating_add(1))),
        Opinion::Surely(_) => Some(Streak::Bad(u32::MAX)),
        Opinion::Unknown => streak,
    }
}

/// The table at the head of this file.
fn verdict(
    before: Option<Verdict>,
    streak: Option<Streak>,
    opinion: Opinion,
    counts: &Counts,
    now: Wall,
) -> Option<Verdict> {
    let reason = match opinion {
        Opinion::Unknown => return before,
        Opinion::Bad(reason) | Opinion::Surely(reason) => Some(reason),
        Opinion::Good => None,
    };
    match (before, streak) {
        (None | Some(Verdict::Good), Some(Streak::Good(_))) => Some(Verdict::Good),
        (Some(Verdict::Bad { .. }), Some(Streak::Good(count))) if count >= counts.rise.get() => {
            Some(Verdict::Good)
        }
        (None | Some(Verdict::Good), Some(Streak::Bad(count))) if count >= counts.fall.get() => {
            reason.map(|reason| Verdict::Bad { reason, since: now })
        }
        (Some(Verdict::Bad { since, reason: old }), Some(Streak::Bad(_))) => {
            let reason = reason.unwrap_or(old);
            Some(Verdict::Bad { reason, since })
        }
        (_, Some(Streak::Good(_) | Streak::Bad(_)) | None) => before,
    }
}

const fn is_bad(verdict: Option<Verdict>) -> bool {
    matches!(verdict, Some(Verdict::Bad { .. }))
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

/// The record of a verdict; one that is not bad is to be forgotten.
fn record(
    model: &Model,
    virtual_service: VirtualServiceKey,
    id: ServiceId,
    part: &Part,
    verdict: Option<Verdict>,
) -> Action {
    let service = model.service(id);
    let host = match part {
        Part::Whole => None,
        Part::Host(host) => Some(host.to_string()),
    };
    let about = host.as_deref().unwrap_or("*");
    let key = format!(
        "{PREFIX}{virtual_service} {}/{} {about}",
        service.group, service.name
    );
    let saved = match verdict {
        Some(Verdict::Bad { reason, since }) => Some(SavedVerdict {
            virtual_service,
            group: service.group.to_string(),
            service: service.name.to_string(),
            host,
            reason,
            since,
        }),
        Some(Verdict::Good) | None => None,
    };
    binding::record(key, saved.as_ref())
}

#[cfg(test)]
mod tests;
