//! What is remembered of a section's real servers between two decisions?
//!
//! Since when each is withdrawn without a break, whether its connections have ended, when it
//! came back; and how the kernel's table looked at first. What is remembered of servers is in the
//! journal: after a restart `min_live` keeps the same ones, and a drain and a slow start end when
//! they would have (D15).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::effort::look;
use crate::engine::binding;
use crate::engine::event::{Action, Contested, TableOutcome};
use crate::engine::manual::Effect;
use crate::engine::saved::Saved;
use crate::engine::section::count::{Past, Tally};
use crate::engine::section::differing::differing;
use crate::engine::section::in_table::InTable;
use crate::engine::section::live::ServedBy;
use crate::engine::section::wanted::{Health, Held, Server, ServerRole, Wanted, on_failure};
use crate::engine::section::weight::ramp_end;
use crate::engine::section::words::Words;
use crate::engine::state::Moment;
use crate::lvs::{
    Desired, DesiredService, RealServer, RealServerKey, ServerWish, Table, VirtualServiceKey,
    Weight,
};
use crate::model::{DeclaredService, HostName, Model, OnFailure, ServiceNames};
use crate::time::{Mono, Now, Wall};

/// Prefix of the journal keys of this file.
const PREFIX: &str = "out ";

/// Places that an alert names which somebody else writes too: enough to find out who it is.
const CONTESTED_MAX: usize = 3;

/// What a section's name of a real server is: its host word and port.
pub(crate) type Word = (HostName, u16);

/// What is remembered of one real server.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Memory {
    pub(crate) out: Option<Out>,
    /// It came back at this moment, and starts slowly.
    pub(crate) back: Option<Moment>,
}

impl Memory {
    const fn is_known(&self) -> bool {
        self.out.is_some() || self.back.is_some()
    }
}

/// A withdrawal that goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Out {
    since: Moment,
    /// What the wall clock said.
    told: Wall,
    drained: Drained,
}

/// Whether a withdrawn server may still have connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Drained {
    No,
    Yes,
}

impl Memory {
    /// When the slow start that goes on is over; none where there is none.
    pub(crate) fn slow_start_end(&self, section: &DeclaredService, now: Now) -> Option<Mono> {
        ramp_end(self.back?, section.slow_start?, now)
    }

    pub(crate) fn withdrawn_since(&self, now: Now) -> Moment {
        self.out.map_or_else(|| Moment::of(now), |out| out.since)
    }

    /// How much longer it drains; none when that is over.
    pub(crate) fn drain_left(&self, limit: Duration, now: Now) -> Option<Duration> {
        let left = match self.out {
            None => limit,
            Some(out) => match out.drained {
                Drained::Yes => Duration::ZERO,
                Drained::No => limit.saturating_sub(out.since.ago(now)),
            },
        };
        (!left.is_zero()).then_some(left)
    }
}

/// How a section found the kernel's table.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Found {
    /// No look has come back yet.
    #[default]
    Unseen,
    /// No real server was in, with a weight above 0.
    Empty {
        /// When the look came back.
        since: Mono,
    },
    /// At least one was.
    Filled,
    /// At least one was, and others took them all out before the first verdict.
    Emptied,
}

/// The state of one section.
#[derive(Debug, Default)]
pub(crate) struct SectionState {
    /// Where it stands in the Model.
    index: usize,
    memories: BTreeMap<Word, Memory>,
    /// Those that an operator keeps from their clients.
    taken: BTreeSet<Word>,
    pub(crate) found: Found,
    due: Option<Mono>,
    /// Who serves; none while that is unknown.
    pub(crate) by: Option<ServedBy>,
    /// Where the fallback is.
    pub(crate) fallback: Option<RealServerKey>,
    /// Why each real server stands as it does.
    pub(crate) roles: BTreeMap<RealServerKey, ServerRole>,
    /// What stays since a name has no address.
    pub(crate) held: Option<Held>,
}

/// All sections.
#[derive(Debug, Default)]
pub(crate) struct Sections {
    pub(crate) tally: Tally,
    pub(crate) words: Words,
    states: BTreeMap<VirtualServiceKey, SectionState>,
    dues: BTreeSet<(Mono, VirtualServiceKey)>,
    /// The latest look at the kernel's table that came to something, and what was wanted then.
    look: Option<(Arc<Table>, Arc<Desired>)>,
    /// Why looks since then came to nothing.
    unreadable: Option<String>,
    /// Where somebody else writes, as of that look.
    contested: BTreeMap<VirtualServiceKey, Vec<Contested>>,
}

/// What is remembered of a real server, in the journal.
#[derive(Debug, Serialize, Deserialize)]
struct SavedOut {
    virtual_service: VirtualServiceKey,
    host: String,
    port: u16,
    /// When it was withdrawn or came back.
    since: Wall,
    /// None where it is not withdrawn, but starts slowly.
    drained: Option<Drained>,
}

impl Sections {
    /// Takes exactly the sections of this Model in; what is known of one that is still there
    /// stays; `past` is for those that are new to a server. Answers with what is to be written
    /// down.
    pub(crate) fn declare(&mut self, model: &Model, now: Now, past: &Past) -> Vec<Action> {
        let mut actions = self.tally.declare(model, past);
        self.words = Words::of(model);
        let mut old = std::mem::take(&mut self.states);
        for (index, section) in model.virtual_services.iter().enumerate() {
            let mut state = old.remove(&section.key).unwrap_or_default();
            state.index = index;
            let words = section.servers.iter().map(|it| (it.host.clone(), it.port));
            let words: BTreeSet<Word> = words.collect();
            state.memories.retain(|word, memory| {
                let is_kept = words.contains(word);
                if memory.is_known() && !is_kept {
                    actions.push(record(section.key, word, Memory::default(), now));
                }
                is_kept
            });
            self.states.insert(section.key, state);
        }
        for (key, state) in old {
            let known = state.memories.iter().filter(|(_, it)| it.is_known());
            let blank = Memory::default();
            actions.extend(known.map(|(word, _)| record(key, word, blank, now)));
        }
        let states = &self.states;
        self.dues.retain(|(_, key)| states.contains_key(key));
        self.look_at_new(now, |_| false);
        actions
    }

    /// The withdrawals of the journal, as far as the file still has their real servers; the
    /// records of all others are to be forgotten. `is_known` tells of a virtual service that was
    /// declared before. After [`Sections::declare`].
    pub(crate) fn restore(
        &mut self,
        (model, names): (&Model, &ServiceNames<'_>),
        saved: &Saved,
        is_known: impl Fn(VirtualServiceKey) -> bool,
        now: Now,
    ) -> Vec<Action> {
        let mut actions = self.tally.restore((model, names), saved, is_known);
        let records = saved.records.iter();
        for (key, value) in records.filter(|(key, _)| key.starts_with(PREFIX)) {
            let known = serde_json::from_value::<SavedOut>(value.clone()).ok();
            let place = known.as_ref().and_then(|it| {
                let state = self.states.get_mut(&it.virtual_service)?;
                let section = model.virtual_services.get(state.index)?;
                let word = (HostName::new(&it.host), it.port);
                let mut servers = section.servers.iter();
                let is_there = servers.any(|it| it.host == word.0 && it.port == word.1);
                is_there.then(|| state.memories.entry(word).or_default())
            });
            match (place, known) {
                (Some(memory), Some(it)) => {
                    let since = Moment::restored(it.since, now);
                    let told = it.since;
                    memory.out = it.drained.map(|drained| Out {
                        since,
                        told,
                        drained,
                    });
                    memory.back = it.drained.is_none().then_some(since);
                }
                (None, _) | (_, None) => actions.push(binding::record(key.clone(), None::<&()>)),
            }
        }
        actions
    }

    /// All that is to survive a restart.
    pub(crate) fn record_all(&self, model: &Model, now: Now) -> Vec<Action> {
        let mut actions = self.tally.record_all(model);
        for (&key, state) in &self.states {
            for (word, memory) in &state.memories {
                if memory.is_known() {
                    actions.push(record(key, word, *memory, now));
                }
            }
        }
        actions
    }

    /// Nothing was ever said of any real server (D10).
    pub(crate) fn forget(&mut self, model: &Model, now: Now) -> Vec<Action> {
        let mut actions = self.tally.forget(model);
        for (&key, state) in &mut self.states {
            for (word, memory) in std::mem::take(&mut state.memories) {
                if memory.is_known() {
                    actions.push(record(key, &word, Memory::default(), now));
                }
            }
        }
        actions
    }

    /// The section of this key.
    pub(crate) fn section<'a>(
        &self,
        model: &'a Model,
        key: VirtualServiceKey,
    ) -> Option<&'a DeclaredService> {
        let state = self.states.get(&key)?;
        model.virtual_services.get(state.index)
    }

    /// The state of the section of this key.
    pub(crate) fn state(&self, key: VirtualServiceKey) -> Option<&SectionState> {
        self.states.get(&key)
    }

    /// What is remembered of a real server.
    pub(crate) fn memory(&self, key: VirtualServiceKey, word: &Word) -> Memory {
        let state = self.states.get(&key);
        let memory = state.and_then(|state| state.memories.get(word));
        memory.copied().unwrap_or_default()
    }

    /// The real servers of a virtual service that the kernel had at the latest look; none where
    /// it has no such virtual service, or none was looked for.
    pub(crate) fn kernel(
        &self,
        key: VirtualServiceKey,
    ) -> Option<&BTreeMap<RealServerKey, RealServer>> {
        let (table, _) = self.look.as_ref()?;
        Some(&table.get(&key)?.servers)
    }

    /// The latest look at the kernel's table that came to something.
    pub(crate) fn table_last_read(&self) -> Option<&Table> {
        self.look.as_ref().map(|(table, _)| &**table)
    }

    /// Whether the kernel's table serves clients as is wanted of this virtual service now.
    pub(crate) fn in_table(
        &self,
        key: VirtualServiceKey,
        wanted: Option<&DesiredService>,
    ) -> InTable {
        let look = self.look.as_ref();
        let look = look.map(|(table, wanted)| (&**table, &**wanted));
        InTable::of(key, wanted, look, self.unreadable.as_deref())
    }

    /// Remembers what is to be remembered of a real server before it is decided over. `before`
    /// is what was wanted of it.
    pub(crate) fn follow(
        &mut self,
        section: &DeclaredService,
        word: &Word,
        server: &mut Server,
        before: Option<ServerWish>,
        now: Now,
        actions: &mut Vec<Action>,
    ) {
        let key = section.key;
        let found = self
            .kernel(key)
            .map(|kernel| kernel.get(&server.key).copied());
        let Some(state) = self.states.get_mut(&key) else {
            return;
        };
        let memory = &mut server.memory;
        let remembered = *memory;
        match server.health {
            Health::Withdrawn if memory.out.is_none() => {
                // What the kernel does not have has no connections.
                let drained = match found {
                    Some(None) => Drained::Yes,
                    Some(Some(_)) | None => Drained::No,
                };
                *memory = Memory {
                    out: Some(Out {
                        since: Moment::of(now),
                        told: now.wall,
                        drained,
                    }),
                    back: None,
                };
            }
            Health::Good if memory.out.is_some() => {
                memory.out = None;
                let served = match before {
                    Some(ServerWish::In(settings)) => settings.weight > Weight(0),
                    Some(ServerWish::Out) => false,
                    Some(ServerWish::AsFound) | None => {
                        let found = found.flatten();
                        found.is_some_and(|found| found.weight > Weight(0))
                    }
                };
                if !served && section.slow_start.is_some() {
                    memory.back = Some(Moment::of(now));
                }
            }
            Health::Good | Health::Waiting | Health::Unheard | Health::Withdrawn => {}
        }
        if server.wished.is_some_and(Effect::takes_away) {
            state.taken.insert(word.clone());
        } else if state.taken.remove(word)
            && server.health == Health::Good
            && section.slow_start.is_some()
        {
            // It comes back now, however long ago its checks were content.
            memory.back = Some(Moment::of(now));
        }
        if memory.slow_start_end(section, now).is_none() {
            memory.back = None;
        }
        if *memory != remembered {
            actions.push(record(key, word, *memory, now));
        }
        if *memory == Memory::default() {
            state.memories.remove(word);
        } else {
            state.memories.insert(word.clone(), *memory);
        }
    }

    /// Takes note of what was decided.
    pub(crate) fn decided(&mut self, key: VirtualServiceKey, wanted: &Wanted) {
        let Some(state) = self.states.get_mut(&key) else {
            return;
        };
        if let Some(due) = state.due.take() {
            self.dues.remove(&(due, key));
        }
        state.due = wanted.due;
        state.by = wanted.by;
        state.fallback = wanted.fallback;
        state.roles.clone_from(&wanted.roles);
        state.held.clone_from(&wanted.held);
        if let Some(due) = wanted.due {
            self.dues.insert((due, key));
        }
    }

    /// Whether somebody else writes in this virtual service.
    pub(crate) fn is_contested(&self, key: VirtualServiceKey) -> bool {
        self.contested.contains_key(&key)
    }

    /// What somebody else does there, in words.
    pub(crate) fn who_contests(&self, key: VirtualServiceKey) -> String {
        let (Some(contested), Some((_, wanted))) = (self.contested.get(&key), &self.look) else {
            return String::new();
        };
        let all: Vec<String> = Contested::to_be_said(contested)
            .map(|it| it.what(wanted))
            .collect();
        let more = match all.len().saturating_sub(CONTESTED_MAX) {
            0 => String::new(),
            more => format!(", and {more} more"),
        };
        let named: Vec<&str> = all.iter().take(CONTESTED_MAX).map(String::as_str).collect();
        format!("it {}{more}", named.join(", "))
    }

    /// When a section changes by itself next.
    pub(crate) fn next_due(&self) -> Option<Mono> {
        self.dues.first().map(|&(due, _)| due)
    }

    /// The sections that change by themselves now.
    pub(crate) fn take_due(&mut self, now: Mono) -> BTreeSet<VirtualServiceKey> {
        let mut keys = BTreeSet::new();
        while let Some(&(due, key)) = self.dues.first()
            && due <= now
        {
            self.dues.pop_first();
            if let Some(state) = self.states.get_mut(&key) {
                state.due = None;
            }
            keys.insert(key);
        }
        keys
    }

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
        changed.extend(self.found_otherwise(before, lacks));
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
            let drains = |(host, port): &Word| {
                let mut declared = section.servers.iter();
                let declared = declared.find(|it| it.host == *host && it.port == *port);
                let own = declared.map(|it| it.own).unwrap_or_default();
                matches!(on_failure(section, own), OnFailure::Drain(_))
            };
            for (word, memory) in &mut state.memories {
                let out = memory.out.as_mut().filter(|it| it.drained == Drained::No);
                let Some(out) = out.filter(|_| drains(word)) else {
                    continue;
                };
                let Some(server) = address(key, word) else {
                    continue;
                };
                look();
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
            look();
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
        keys.extend(differing(&wanted_before, wanted, |then, now| then == now));
        for key in keys {
            look();
            let Some(state) = self.states.get_mut(&key) else {
                continue;
            };
            let mut roles = state.roles.values();
            let is_all_as_found = roles.all(|role| *role == ServerRole::AsFound);
            let is_theirs = || takes_clients(table, key) && lacks(state);
            let is_filled = || is_filled(table, wanted, key) || is_theirs();
            if state.found == Found::Filled && is_all_as_found && !is_filled() {
                state.found = Found::Emptied;
                changed.insert(key);
            }
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

    /// Takes note how sections that were never looked at are found; answers with them. Of those
    /// with an `addressless` real server what nobody declared may be that one.
    fn look_at_new(
        &mut self,
        now: Now,
        has_addressless: impl Fn(&SectionState) -> bool,
    ) -> BTreeSet<VirtualServiceKey> {
        let mut seen = BTreeSet::new();
        let Some((table, wanted)) = &self.look else {
            return seen;
        };
        for (&key, state) in &mut self.states {
            if state.found != Found::Unseen || !wanted.contains_key(&key) {
                continue;
            }
            let is_theirs = || takes_clients(table, key) && has_addressless(state);
            state.found = if is_filled(table, wanted, key) || is_theirs() {
                Found::Filled
            } else {
                Found::Empty { since: now.mono }
            };
            seen.insert(key);
        }
        seen
    }
}

/// Whether at least one real server of the virtual service is in, with a weight above 0. Strangers
/// are nobody's.
fn is_filled(table: &Table, wanted: &Desired, key: VirtualServiceKey) -> bool {
    let (Some(entry), Some(wanted)) = (table.get(&key), wanted.get(&key)) else {
        return false;
    };
    let mut servers = entry.servers.iter();
    servers.any(|(server, found)| found.weight > Weight(0) && wanted.servers.contains_key(server))
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
    let servers = table
        .get(&key)
        .into_iter()
        .flat_map(|it| it.servers.values());
    servers.into_iter().any(|found| found.weight > Weight(0))
}

/// The record of what is remembered of a real server; without anything it is to be forgotten.
fn record(key: VirtualServiceKey, (host, port): &Word, memory: Memory, now: Now) -> Action {
    let (since, drained) = match (memory.out, memory.back) {
        (Some(out), _) => (Some(out.since.told(out.told, now)), Some(out.drained)),
        (None, back) => (back.map(|back| back.wall(now)), None),
    };
    let saved = since.map(|since| SavedOut {
        virtual_service: key,
        host: host.to_string(),
        port: *port,
        since,
        drained,
    });
    binding::record(format!("{PREFIX}{key} {host} {port}"), saved.as_ref())
}
