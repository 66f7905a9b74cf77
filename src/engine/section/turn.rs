//! Which withdrawals of a section's real servers came last, as both directors of a pair count it?
//!
//! Each withdrawal gets a [`Turn`] when it begins here. Of what is withdrawn on the other director
//! too the lesser turn counts, on both, from then on, whatever becomes of the link: a takeover
//! exchanges no server that `min_live` keeps. A clock that is set changes no turn.
//!
//! Turns that this director gave alone are counted by the clock of both when they hear each other,
//! before any are compared: whoever began anew with a clock that is behind found nothing earlier.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::effort::visit;
use crate::engine::event::Action;
use crate::engine::section::memory::{Memory, Sections, Word, record};
use crate::lvs::VirtualServiceKey;
use crate::model::{HostName, Model};
use crate::pair::talk::withdrawn::{Gave, ServerName, Withdrawn, WithdrawnServers};
use crate::pair::turn::{Turn, TurnClock};
use crate::time::Now;

/// The turn of a withdrawal, and by whose clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Given {
    pub(crate) turn: Turn,
    /// It was given before this director's clock was compared with the other one's.
    pub(crate) is_alone: bool,
}

/// Gives withdrawals their turns.
#[derive(Debug, Default)]
pub(crate) struct Turns {
    /// None before the first section.
    clock: Option<TurnClock>,
    /// What is withdrawn on the other director; empty without a link.
    peers: Arc<WithdrawnServers>,
    /// The clock of their turns; none without a link, and of an older version.
    peers_clock: Option<TurnClock>,
    /// By how much that was behind when the link began, in microseconds.
    peers_behind: i64,
}

impl Turns {
    /// The clock of turns, which starts with the wall clock.
    fn clock(&mut self, now: Now) -> &mut TurnClock {
        self.clock.get_or_insert(TurnClock::started(now))
    }

    /// The same, as it is told.
    pub(crate) const fn told(&self) -> Option<TurnClock> {
        self.clock
    }

    /// The director starts, if it has not yet.
    pub(crate) fn start(&mut self, now: Now) {
        self.clock(now);
    }

    /// The turn of this real server, which is withdrawn here from now on. What is withdrawn at once
    /// has one turn.
    pub(crate) fn of(&mut self, key: VirtualServiceKey, word: &Word, now: Now) -> Given {
        let own = self.clock(now).read(now.mono);
        let peers = self.peers_withdrawal(key, word).map(|it| self.theirs(it));
        Given {
            turn: peers.map_or(own, |peers| peers.min(own)),
            is_alone: self.peers_clock.is_none(),
        }
    }

    /// The journal knows of a withdrawal with this turn: later ones are greater.
    pub(crate) fn restored(&mut self, turn: Turn, now: Now) {
        self.clock(now).reach(turn.later(1), now.mono);
    }

    /// The weights that checks of the other director gave a real server that is withdrawn there.
    pub(crate) fn peers_gave(&self, key: VirtualServiceKey, word: &Word) -> &[Gave] {
        let peers = self.peers_withdrawal(key, word);
        peers.map_or(&[], |it| &it.gave)
    }

    fn peers_withdrawal(&self, key: VirtualServiceKey, word: &Word) -> Option<&Withdrawn> {
        match self.peers.is_empty() {
            true => None,
            false => self.peers.get(&name(key, word)),
        }
    }

    /// A turn of the other director's by the clock of both.
    const fn theirs(&self, peers: &Withdrawn) -> Turn {
        match peers.alone {
            true => peers.turn.later(self.peers_behind),
            false => peers.turn,
        }
    }

    /// The other director tells this; answers with by how much later the turns are that were given
    /// alone, in microseconds, where a link begins.
    fn hear(
        &mut self,
        peers: &Arc<WithdrawnServers>,
        clock: Option<TurnClock>,
        now: Now,
    ) -> Option<i64> {
        self.peers = Arc::clone(peers);
        let is_new = self.peers_clock != clock;
        self.peers_clock = clock;
        let own = *self.clock(now);
        let shift = clock.map(|theirs| own.behind(theirs, now.mono));
        if is_new {
            self.peers_behind = clock.map_or(0, |theirs| theirs.behind(own, now.mono));
            if let Some(theirs) = clock {
                self.clock(now).follow(theirs.read(now.mono), now.mono);
            }
        }
        // What fails from now on fails later than all that either knows of.
        if let Some(greatest) = peers.values().map(|it| self.theirs(it)).max() {
            self.clock(now).follow(greatest, now.mono);
        }
        shift.filter(|_| is_new)
    }
}

impl Sections {
    /// All that is withdrawn here. Of the same Model, as everywhere.
    pub(crate) fn withdrawn(&self, model: &Model) -> WithdrawnServers {
        let mut withdrawn = WithdrawnServers::new();
        for (key, word, memory) in self.memories() {
            visit();
            if let Some(Given { turn, is_alone }) = memory.given() {
                let told = Withdrawn {
                    turn,
                    alone: is_alone,
                    gave: self.gave(model, key, word),
                };
                withdrawn.insert(name(key, word), told);
            }
        }
        withdrawn
    }

    /// What is withdrawn on the other director, and the clock of its turns; none without a link.
    /// Answers with the sections in which another one is withdrawn last than before, or has another
    /// weight, with what is to be written down.
    pub(crate) fn peer_withdrew(
        &mut self,
        model: &Model,
        peers: &Arc<WithdrawnServers>,
        clock: Option<TurnClock>,
        now: Now,
        actions: &mut Vec<Action>,
    ) -> BTreeSet<VirtualServiceKey> {
        let mut changed = BTreeSet::new();
        if Arc::ptr_eq(&self.turns.peers, peers) && self.turns.peers_clock == clock {
            return changed;
        }
        let mut others: BTreeMap<VirtualServiceKey, BTreeMap<Word, Turn>> = BTreeMap::new();
        if let Some(shift) = self.turns.hear(peers, clock, now) {
            for (key, word, memory) in self.memories() {
                visit();
                if let Some(own) = memory.given().filter(|it| it.is_alone) {
                    let turn = own.turn.later(shift);
                    others.entry(key).or_default().insert(word.clone(), turn);
                }
            }
        }
        for (server, withdrawal) in &**peers {
            visit();
            let (key, word) = (server.virtual_service, word(server));
            let Some(own) = self.memory(key, &word).given() else {
                continue;
            };
            let moved = others.get(&key).and_then(|it| it.get(&word));
            let theirs = self.turns.theirs(withdrawal);
            if theirs < moved.map_or(own.turn, |moved| *moved) {
                let others = others.entry(key).or_default();
                others.insert(word.clone(), theirs);
            }
            if self.take_shared(model, key, &word, &withdrawal.gave, now.wall) {
                changed.insert(key);
            }
        }
        let is_alone = clock.is_none();
        for (key, turns) in others {
            let Some(memories) = self.memories_mut(key) else {
                continue;
            };
            let before = order(memories);
            for (word, turn) in turns {
                if let Some(memory) = memories.get_mut(&word) {
                    memory.take_turn(Given { turn, is_alone });
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
        if let Some(Given { turn, .. }) = memory.given() {
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
