//! What is remembered of a section's real servers between two decisions?
//!
//! In which turn each was withdrawn (`turn`), whether its connections have ended, when it
//! came back; and how the kernel's table looked at first. What is remembered of servers is in the
//! journal: after a restart `min_live` keeps the same ones, and a drain and a slow start end when
//! they would have (D15).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::engine::event::{Action, Contested};
use crate::engine::manual::Effect;
use crate::engine::section::count::{Past, Tally};
use crate::engine::section::in_table::InTable;
use crate::engine::section::live::ServedBy;
use crate::engine::section::shared_weight::{Shared, take};
use crate::engine::section::turn::{Given, Turns};
use crate::engine::section::wanted::{Health, Held, Server, ServerRole, Wanted};
use crate::engine::section::weight::ramp_end;
use crate::engine::section::words::Words;
use crate::engine::state::{Dated, Moment};
use crate::lvs::{
    Desired, DesiredService, RealServer, RealServerKey, ServerWish, Table, VirtualServiceKey,
    Weight,
};
use crate::model::{DeclaredService, HostName, Model, WeightFrom};
use crate::pair::turn::Turn;
use crate::time::{Mono, Now};

mod journal;
mod look;

pub(crate) use journal::record;

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
    /// Its place among the withdrawals of the section.
    given: Given,
    /// Since when it waits for its connections to end, however long it was kept before.
    draining: Option<Dated>,
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

    /// Its place among those that are withdrawn; none where it is not.
    pub(crate) fn turn(&self) -> Option<Turn> {
        self.given().map(|it| it.turn)
    }

    /// The same, with by whose clock.
    pub(crate) fn given(&self) -> Option<Given> {
        self.out.map(|out| out.given)
    }

    /// Its place among those that are withdrawn is this one, where it is.
    pub(crate) const fn take_turn(&mut self, given: Given) {
        if let Some(out) = &mut self.out {
            out.given = given;
        }
    }

    /// Whether it waits for its connections to end, or has.
    pub(crate) fn drains(&self) -> bool {
        self.out.is_some_and(|out| out.draining.is_some())
    }

    /// How much longer it drains; none when that is over.
    pub(crate) fn drain_left(&self, limit: Duration, now: Now) -> Option<Duration> {
        let left = match self.out.map(|out| (out.drained, out.draining)) {
            None | Some((Drained::No, None)) => limit,
            Some((Drained::Yes, _)) => Duration::ZERO,
            Some((Drained::No, Some(began))) => limit.saturating_sub(began.moment.ago(now)),
        };
        (!left.is_zero()).then_some(left)
    }
}

/// How a section found the kernel's table. It counts until somebody is in or judged.
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
    /// At least one was, or came in since, or was judged.
    Filled,
}

/// The state of one section.
#[derive(Debug, Default)]
pub(crate) struct SectionState {
    /// Where it stands in the Model.
    index: usize,
    memories: BTreeMap<Word, Memory>,
    /// What checks of the other director gave those that are withdrawn.
    pub(crate) shared: BTreeMap<Word, Vec<Shared>>,
    /// Those that an operator keeps from their clients.
    taken: BTreeSet<Word>,
    pub(crate) found: Found,
    /// Those that are in without a verdict: put in since nobody else was, or back in their place
    /// after others took them out.
    pub(crate) put_in: BTreeSet<RealServerKey>,
    /// Those that the first look found with weight 0, as all of ours, and that are as found since:
    /// our own exit may have left them so.
    pub(crate) left_at_zero: BTreeSet<RealServerKey>,
    due: Option<Mono>,
    /// Who serves; none while that is unknown.
    pub(crate) by: Option<ServedBy>,
    /// Who would serve if all without a verdict failed.
    pub(crate) at_worst: ServedBy,
    /// Where the fallback is.
    pub(crate) fallback: Option<RealServerKey>,
    /// Why each real server stands as it does.
    pub(crate) roles: BTreeMap<RealServerKey, ServerRole>,
    /// What stays since a name has no address.
    pub(crate) held: Option<Held>,
}

impl SectionState {
    /// Where it stands in the Model.
    pub(crate) const fn index(&self) -> usize {
        self.index
    }
}

/// All sections.
#[derive(Debug, Default)]
pub(crate) struct Sections {
    pub(crate) tally: Tally,
    pub(crate) words: Words,
    pub(crate) turns: Turns,
    states: BTreeMap<VirtualServiceKey, SectionState>,
    dues: BTreeSet<(Mono, VirtualServiceKey)>,
    /// The latest look at the kernel's table that came to something, and what was wanted then.
    look: Option<(Arc<Table>, Arc<Desired>)>,
    /// Why looks since then came to nothing.
    unreadable: Option<String>,
    /// Where somebody else writes, as of that look.
    contested: BTreeMap<VirtualServiceKey, Vec<Contested>>,
}

impl Sections {
    /// Takes exactly the sections of this Model in; what is known of one that is still there
    /// stays; `past` is for those that are new to a server. Answers with what is to be written
    /// down.
    pub(crate) fn declare(&mut self, model: &Model, now: Now, past: &Past) -> Vec<Action> {
        self.turns.start(now);
        let mut actions = self.tally.declare(model, past);
        actions.extend(self.tally.recount(model, now.wall));
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
            state.taken.retain(|word| words.contains(word));
            state.shared.retain(|word, _| words.contains(word));
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

    /// Nothing was ever said of any real server (D10). While nobody is in yet, those that failed
    /// are not put in with the others for that (D16).
    pub(crate) fn forget(&mut self, model: &Model, now: Now) -> Vec<Action> {
        let mut actions = self.tally.forget(model);
        for (&key, state) in &mut self.states {
            let is_filled = state.found == Found::Filled;
            state.memories.retain(|word, memory| {
                let is_kept = !is_filled && memory.out.is_some();
                if memory.is_known() && !is_kept {
                    actions.push(record(key, word, Memory::default(), now));
                }
                is_kept
            });
            let memories = &state.memories;
            state.shared.retain(|word, _| memories.contains_key(word));
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

    /// What is remembered of all real servers.
    pub(crate) fn memories(&self) -> impl Iterator<Item = (VirtualServiceKey, &Word, Memory)> {
        let states = self.states.iter();
        states.flat_map(|(&key, state)| {
            let memories = state.memories.iter();
            memories.map(move |(word, memory)| (key, word, *memory))
        })
    }

    /// What is remembered of the real servers of a section.
    pub(crate) fn memories_mut(
        &mut self,
        key: VirtualServiceKey,
    ) -> Option<&mut BTreeMap<Word, Memory>> {
        self.states.get_mut(&key).map(|state| &mut state.memories)
    }

    /// What checks of the other director gave those of a section that are withdrawn.
    pub(crate) fn shared_mut(
        &mut self,
        key: VirtualServiceKey,
    ) -> Option<&mut BTreeMap<Word, Vec<Shared>>> {
        self.states.get_mut(&key).map(|state| &mut state.shared)
    }

    /// Whether our own exit left real servers of a section with weight 0 that are so still.
    pub(crate) fn has_left(&self, key: VirtualServiceKey) -> bool {
        let state = self.state(key);
        state.is_some_and(|it| !it.left_at_zero.is_empty())
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
                let gave = self.turns.peers_gave(key, word);
                if section.weight_from == WeightFrom::Check && !gave.is_empty() {
                    let shared = state.shared.entry(word.clone()).or_default();
                    take(shared, gave, server.settings.weight, now.wall);
                }
                *memory = Memory {
                    out: Some(Out {
                        given: self.turns.of(key, word, now),
                        draining: None,
                        drained,
                    }),
                    back: None,
                };
            }
            Health::Good if memory.out.is_some() => {
                memory.out = None;
                state.shared.remove(word);
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

    /// Takes note of how a real server stands from now on: its time to drain begins when it leaves
    /// its clients, and not while `min_live` keeps it.
    pub(crate) fn stands(
        &mut self,
        key: VirtualServiceKey,
        word: &Word,
        role: ServerRole,
        now: Now,
    ) -> Option<Action> {
        let memory = self.states.get_mut(&key)?.memories.get_mut(word)?;
        let out = memory.out.as_mut()?;
        let before = *out;
        match role {
            ServerRole::Draining { .. } => {
                out.draining.get_or_insert_with(|| Dated::of(now));
            }
            ServerRole::Kept => {
                out.draining = None;
                out.drained = Drained::No;
            }
            ServerRole::Quiesced => out.draining = None,
            ServerRole::Unseen
            | ServerRole::Serves { .. }
            | ServerRole::Out
            | ServerRole::InUntested
            | ServerRole::OutUntested
            | ServerRole::AsFound
            | ServerRole::FallbackIn
            | ServerRole::FallbackOut => {}
        }
        (*out != before).then(|| record(key, word, *memory, now))
    }

    /// Takes note of what was decided.
    pub(crate) fn decided(&mut self, key: VirtualServiceKey, wanted: &Wanted) {
        let Some(state) = self.states.get_mut(&key) else {
            return;
        };
        if let Some(due) = state.due.take() {
            self.dues.remove(&(due, key));
        }
        let roles = &wanted.roles;
        state.put_in.retain(|it| match roles.get(it) {
            Some(role) => *role == ServerRole::FallbackIn,
            // It stays until a name leads there.
            None => wanted.service.servers.contains_key(it),
        });
        let untested = roles.iter();
        let untested = untested.filter(|(_, role)| **role == ServerRole::InUntested);
        state.put_in.extend(untested.map(|(&server, _)| server));
        let is_as_found = |it: &RealServerKey| roles.get(it) == Some(&ServerRole::AsFound);
        state.left_at_zero.retain(is_as_found);
        state.found = wanted.found;
        state.due = wanted.due;
        state.by = wanted.by;
        state.at_worst = wanted.at_worst;
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
}
