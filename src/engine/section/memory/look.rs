//! What does a look at the kernel's table say of sections, and which are to be decided over anew?
//!
//! Whose connections have ended, what is there of a section that has no verdicts yet, and where
//! somebody else writes, too.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::{Drained, Found, SectionState, Sections, Word, record};
use crate::effort::visit;
use crate::engine::event::{Action, Contested, TableOutcome};
use crate::engine::section::differing::differing;
use crate::engine::section::wanted::{ServerRole, on_failure};
use crate::lvs::{Command, Desired, RealServerKey, ServerWish, Table, VirtualServiceKey, Weight};
use crate::model::{DeclaredService, HostName, Model, OnFailure};
use crate::time::{Mono, Now};

/// The kernel's table at a look, and what was wanted then.
type Look<'a> = (&'a Table, &'a Desired);

/// Real servers that were put in before a look, with their virtual services.
type Added = BTreeSet<(VirtualServiceKey, RealServerKey)>;

impl SectionState {
    /// Takes note where others emptied the section between two looks: who was in without a verdict
    /// is to come back, and nobody else. Whom we have put back since (`added`) was not left there.
    /// `lacks` tells of a real server without an address, as which a stranger counts: where the
    /// only one goes, nobody was found.
    fn empties(
        &mut self,
        key: VirtualServiceKey,
        looks: [Look<'_>; 2],
        added: &Added,
        lacks: bool,
    ) -> bool {
        let [before, (table, wanted)] = looks;
        let own = wanted.get(&key).map(|it| &it.servers);
        let counts = |it: &RealServerKey| lacks || own.is_some_and(|own| own.contains_key(it));
        let mut left = serving(table, key).filter(counts);
        if self.found != Found::Filled || left.any(|it| !added.contains(&(key, it))) {
            return false;
        }
        let is_as_found = |desired: &Desired, server: &RealServerKey| {
            let wish = desired.get(&key).and_then(|it| it.servers.get(server));
            wish == Some(&ServerWish::AsFound)
        };
        // What was wanted otherwise at either look was no one else's doing.
        let taken = serving(before.0, key)
            .filter(|it| is_as_found(before.1, it) && is_as_found(wanted, it));
        let taken: BTreeSet<RealServerKey> = taken.collect();
        if !taken.is_empty() {
            self.put_in.extend(taken);
            return true;
        }
        let mut roles = self.roles.values();
        let is_empty = !serving(table, key).any(|it| counts(&it));
        let is_theirs = lacks && takes_clients(before.0, key);
        let is_emptied = is_empty && is_theirs && roles.all(|role| *role == ServerRole::AsFound);
        if is_emptied {
            self.found = Found::Empty { since: Mono::ZERO };
        }
        is_emptied
    }
}

impl Sections {
    /// The kernel's table was looked at; answers with the sections to decide over anew.
    /// `addresses` tells where a real server is.
    pub(crate) fn table_seen(
        &mut self,
        model: &Model,
        outcome: &TableOutcome,
        address: impl Fn(VirtualServiceKey, &Word) -> Option<RealServerKey>,
        now: Now,
        actions: &mut Vec<Action>,
    ) -> BTreeSet<VirtualServiceKey> {
        let mut changed = BTreeSet::new();
        self.unreadable = outcome.table.unreadable().cloned();
        let Some(actual) = outcome.table.read() else {
            return changed;
        };
        let before = self
            .look
            .replace((Arc::clone(actual), Arc::clone(&outcome.wanted)));
        // What serves may be theirs.
        let lacks = |state: &SectionState| has_addressless(model, state, &address);
        changed.extend(self.look_at_new(now, lacks));
        changed.extend(self.take_contests(outcome));
        changed.extend(self.drained(model, (actual, outcome), &address, now, actions));
        changed.extend(self.found_otherwise(before, &outcome.applied, lacks));
        changed
    }

    /// Sections with a server whose last connection has ended since it was withdrawn.
    fn drained(
        &mut self,
        model: &Model,
        (actual, outcome): (&Table, &TableOutcome),
        address: impl Fn(VirtualServiceKey, &Word) -> Option<RealServerKey>,
        now: Now,
        actions: &mut Vec<Action>,
    ) -> BTreeSet<VirtualServiceKey> {
        let mut changed = BTreeSet::new();
        for (&key, state) in &mut self.states {
            let Some(section) = model.virtual_services.get(state.index) else {
                continue;
            };
            if state.memories.is_empty() {
                continue;
            }
            let draining = draining(section);
            for (word, memory) in &mut state.memories {
                let drains = draining.contains(&(&word.0, word.1));
                let out = memory.out.as_mut().filter(|it| it.drained == Drained::No);
                let Some(out) = out.filter(|_| drains) else {
                    continue;
                };
                let Some(server) = address(key, word) else {
                    continue;
                };
                // A look of before it was kept says nothing of what comes behind.
                if state.roles.get(&server) == Some(&ServerRole::Kept) {
                    continue;
                }
                visit();
                let entry = actual.get(&key);
                let found = entry.and_then(|entry| entry.servers.get(&server));
                let weight = found.map_or(Weight(0), |found| found.weight);
                let counts = outcome.connections.get(&(key, server));
                let active = counts.map_or(0, |counts| counts.active);
                if weight == Weight(0) && active == 0 {
                    out.drained = Drained::Yes;
                    actions.push(record(key, word, *memory, now));
                    changed.insert(key);
                }
            }
        }
        changed
    }

    /// Sections without a verdict of which the table has other servers than at the look `before`.
    /// Of those with an addressless real server (`lacks`) what nobody declared may be that one.
    fn found_otherwise(
        &mut self,
        before: Option<(Arc<Table>, Arc<Desired>)>,
        applied: &[Command],
        lacks: impl Fn(&SectionState) -> bool,
    ) -> BTreeSet<VirtualServiceKey> {
        let mut changed = BTreeSet::new();
        let Some((table, wanted)) = &self.look else {
            return changed;
        };
        let (table_before, wanted_before) = before.unwrap_or_default();
        let mut keys = differing(&table_before, table, |then, now| {
            then.servers == now.servers
        });
        for key in &keys {
            visit();
            // A server without a verdict counts as serving where the kernel has it. While verdicts
            // are waited for, one that failed is kept only where the kernel has it. One that was
            // put in for want of others is as found from then on.
            // What stays since a name has no address is told as it is found.
            let is_as_found = |it: &SectionState| {
                it.held.is_some() || it.roles.values().any(|role| role.is_untested())
            };
            if self.states.get(key).is_some_and(is_as_found) {
                changed.insert(*key);
            }
        }
        // Most looks come while the same is wanted.
        if !Arc::ptr_eq(&wanted_before, wanted) {
            keys.extend(differing(&wanted_before, wanted, |then, now| then == now));
        }
        let looks = [(&*table_before, &*wanted_before), (&**table, &**wanted)];
        let applied = applied.iter().inspect(|_| visit());
        let added: Added = applied.filter_map(Command::added).collect();
        for key in keys {
            visit();
            let Some(state) = self.states.get_mut(&key) else {
                continue;
            };
            let lacks = lacks(state);
            changed.extend(state.empties(key, looks, &added, lacks).then_some(key));
        }
        changed
    }

    /// Takes note where somebody else writes; answers with the sections where that is new or over.
    fn take_contests(&mut self, outcome: &TableOutcome) -> BTreeSet<VirtualServiceKey> {
        let mut contested: BTreeMap<VirtualServiceKey, Vec<Contested>> = BTreeMap::new();
        for it in &outcome.contested {
            let of_service = contested.entry(it.virtual_service()).or_default();
            of_service.push(it.clone());
        }
        let before_that = std::mem::replace(&mut self.contested, contested);
        let (before_that, now_that) = (before_that.keys(), self.contested.keys());
        let before_that: BTreeSet<VirtualServiceKey> = before_that.copied().collect();
        let now_that: BTreeSet<VirtualServiceKey> = now_that.copied().collect();
        let differing = before_that.symmetric_difference(&now_that);
        let mine = differing.filter(|key| self.states.contains_key(key));
        mine.copied().collect()
    }

    /// Takes note how sections are found that were never looked at, and in which of those that were
    /// found empty somebody is now; answers with them. Of those with an `addressless` real server
    /// what nobody declared may be that one.
    pub(super) fn look_at_new(
        &mut self,
        now: Now,
        has_addressless: impl Fn(&SectionState) -> bool,
    ) -> BTreeSet<VirtualServiceKey> {
        let mut seen = BTreeSet::new();
        let Some((table, wanted)) = &self.look else {
            return seen;
        };
        for (&key, state) in &mut self.states {
            if state.found == Found::Filled || !wanted.contains_key(&key) {
                continue;
            }
            let is_theirs = || takes_clients(table, key) && has_addressless(state);
            let found = if is_filled(table, wanted, key) || is_theirs() {
                Found::Filled
            } else if let Found::Empty { .. } = state.found {
                continue;
            } else {
                let entry = table.get(&key).into_iter();
                let servers = entry.flat_map(|entry| &entry.servers);
                let at_zero = servers.filter(|(_, found)| found.weight == Weight(0));
                state.left_at_zero = at_zero.map(|(&server, _)| server).collect();
                Found::Empty { since: now.mono }
            };
            state.found = found;
            seen.insert(key);
        }
        seen
    }
}

/// The real servers of a section that drain when they are withdrawn.
fn draining(section: &DeclaredService) -> BTreeSet<(&HostName, u16)> {
    let servers = section.servers.iter().inspect(|_| visit());
    let drain = servers.filter(|it| matches!(on_failure(section, it.own), OnFailure::Drain(_)));
    drain.map(|it| (&it.host, it.port)).collect()
}

/// The real servers of the virtual service that are in, with a weight above 0.
fn serving(table: &Table, key: VirtualServiceKey) -> impl Iterator<Item = RealServerKey> + '_ {
    let servers = table.get(&key).into_iter().flat_map(|it| &it.servers);
    let serving = servers.filter(|(_, found)| found.weight > Weight(0));
    serving.map(|(&server, _)| server)
}

/// Whether at least one of them is in. Strangers are nobody's.
fn is_filled(table: &Table, wanted: &Desired, key: VirtualServiceKey) -> bool {
    let own = wanted.get(&key).map(|it| &it.servers);
    own.is_some_and(|own| serving(table, key).any(|it| own.contains_key(&it)))
}

/// Whether the name of a real server of the section has no address.
fn has_addressless(
    model: &Model,
    state: &SectionState,
    address: impl Fn(VirtualServiceKey, &Word) -> Option<RealServerKey>,
) -> bool {
    let section = model.virtual_services.get(state.index);
    section.is_some_and(|section| {
        let mut words = section.servers.iter().map(|it| (it.host.clone(), it.port));
        words.any(|word| address(section.key, &word).is_none())
    })
}

/// Whether any real server of the virtual service is in, with a weight above 0.
fn takes_clients(table: &Table, key: VirtualServiceKey) -> bool {
    serving(table, key).next().is_some()
}
