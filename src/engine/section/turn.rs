//! Which withdrawals of a section's real servers came last, as both directors of a pair count it?
//!
//! Each withdrawal gets a [`Turn`] when it begins here. Of what is withdrawn on the other director
//! too the lesser turn counts, on both, from then on, whatever becomes of the link: a takeover
//! exchanges no server that `min_live` keeps. A clock that is set changes no turn.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::effort::visit;
use crate::engine::event::Action;
use crate::engine::section::memory::{Memory, Sections, Word, record};
use crate::lvs::VirtualServiceKey;
use crate::model::{HostName, Model};
use crate::pair::talk::withdrawn::{Gave, ServerName, Turn, Withdrawn, WithdrawnServers};
use crate::time::{Mono, Now};

/// Gives withdrawals their turns.
#[derive(Debug, Default)]
pub(crate) struct Turns {
    /// The greatest turn so far, and when it was given.
    last: Option<(Turn, Mono)>,
    /// What is withdrawn on the other director; empty without a link.
    peers: Arc<WithdrawnServers>,
}

impl Turns {
    /// The turn of what is withdrawn now: greater by the time between than that of what was
    /// withdrawn before, however the wall clock is set. What is withdrawn at once has one turn.
    fn next(&mut self, now: Now) -> Turn {
        let wall = Turn(now.wall.as_micros());
        let least = self.last.map_or(wall, |(Turn(last), at)| {
            let since = i64::try_from(now.mono.since(at).as_micros()).unwrap_or(i64::MAX);
            Turn(last.saturating_add(since))
        });
        let turn = wall.max(least);
        self.last = Some((turn, now.mono));
        turn
    }

    /// The turn of this real server, which is withdrawn here from now on.
    pub(crate) fn of(&mut self, key: VirtualServiceKey, word: &Word, now: Now) -> Turn {
        let own = self.next(now);
        if self.peers.is_empty() {
            return own;
        }
        let peers = self.peers.get(&name(key, word));
        peers.map_or(own, |peers| peers.turn.min(own))
    }

    /// The weights that checks of the other director gave a real server that is withdrawn there.
    pub(crate) fn peers_gave(&self, key: VirtualServiceKey, word: &Word) -> &[Gave] {
        if self.peers.is_empty() {
            return &[];
        }
        self.peers.get(&name(key, word)).map_or(&[], |it| &it.gave)
    }

    /// The journal knows of a withdrawal with this turn: later ones are greater.
    pub(crate) fn restored(&mut self, Turn(turn): Turn, now: Now) {
        let least = Turn(turn.saturating_add(1));
        let least = self.last.map_or(least, |(last, _)| last.max(least));
        self.last = Some((least, now.mono));
    }
}

impl Sections {
    /// All that is withdrawn here. Of the same Model, as everywhere.
    pub(crate) fn withdrawn(&self, model: &Model) -> WithdrawnServers {
        let mut withdrawn = WithdrawnServers::new();
        for (key, word, memory) in self.memories() {
            visit();
            if let Some(turn) = memory.turn() {
                let gave = self.gave(model, key, word);
                withdrawn.insert(name(key, word), Withdrawn { turn, gave });
            }
        }
        withdrawn
    }

    /// What is withdrawn on the other director; none without a link. Answers with the sections in
    /// which another one is withdrawn last than before, or has another weight, with what is to be written down.
    pub(crate) fn peer_withdrew(
        &mut self,
        model: &Model,
        peers: &Arc<WithdrawnServers>,
        now: Now,
        actions: &mut Vec<Action>,
    ) -> BTreeSet<VirtualServiceKey> {
        let mut changed = BTreeSet::new();
        if Arc::ptr_eq(&self.turns.peers, peers) {
            return changed;
        }
        self.turns.peers = Arc::clone(peers);
        let mut lesser: BTreeMap<VirtualServiceKey, Vec<(Word, Turn)>> = BTreeMap::new();
        for (server, Withdrawn { turn, gave }) in &**peers {
            visit();
            let (key, word) = (server.virtual_service, word(server));
            let Some(own) = self.memory(key, &word).turn() else {
                continue;
            };
            if *turn < own {
                lesser.entry(key).or_default().push((word.clone(), *turn));
            }
            if self.take_shared(model, key, &word, gave, now.wall) {
                changed.insert(key);
            }
        }
        for (key, turns) in lesser {
            let Some(memories) = self.memories_mut(key) else {
                continue;
            };
            let before = order(memories);
            for (word, turn) in turns {
                if let Some(memory) = memories.get_mut(&word) {
                    memory.take_turn(turn);
                    actions.push(record(key, &word, *memory, now));
                }
            }
            if order(memories) != before {
                changed.insert(key);
            }
        }
        changed
    }
}

/// Those that are withdrawn, the last ones last; those of one turn together.
fn order(memories: &BTreeMap<Word, Memory>) -> Vec<Vec<Word>> {
    let mut by_turn: BTreeMap<Turn, Vec<Word>> = BTreeMap::new();
    for (word, memory) in memories {
        visit();
        if let Some(turn) = memory.turn() {
            by_turn.entry(turn).or_default().push(word.clone());
        }
    }
    by_turn.into_values().collect()
}

fn name(virtual_service: VirtualServiceKey, (host, port): &Word) -> ServerName {
    ServerName {
        virtual_service,
        host: host.to_string(),
        port: *port,
    }
}

fn word(server: &ServerName) -> Word {
    (HostName::new(&server.host), server.port)
}

#[cfg(test)]
mod tests;
