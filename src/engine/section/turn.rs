//! Which withdrawals of a section's real servers came last, as both directors of a pair count it?
//!
//! Each withdrawal gets a [`Turn`] when it begins here. Of what is withdrawn on the other director
//! too the lesser turn counts, on both, from then on, whatever becomes of the link: a takeover
//! exchanges no server that `min_live` keeps. A clock that is set changes no turn. So it is with
//! the weight that an earlier check gave what is withdrawn, and that it has while it is kept.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::effort::visit;
use crate::engine::binding::Part;
use crate::engine::event::Action;
use crate::engine::section::count::judged_part;
use crate::engine::section::giving::Giving;
use crate::engine::section::memory::{Memory, Sections, Word, record};
use crate::lvs::VirtualServiceKey;
use crate::model::{DeclaredServer, HostName, Model, ServiceId, WeightFrom};
use crate::pair::talk::withdrawn::{Gave, ServerName, Turn, Withdrawn, WithdrawnServers};
use crate::pair::talk::word::ServiceName;
use crate::time::{Mono, Now, Wall};

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
    /// which another one is withdrawn last than before, with what is to be written down.
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
            changed.extend(self.take_gave(model, key, &word, gave, now.wall));
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

impl Sections {
    /// A check says that this real server fails, or gives it no weight any more: it has the weight
    /// that checks gave it before, on whichever director. Answers with the sections in which it
    /// has another one.
    pub(crate) fn hear_weights(
        &mut self,
        model: &Model,
        key: VirtualServiceKey,
        word: &Word,
        now: Wall,
    ) -> Vec<VirtualServiceKey> {
        let peers = Arc::clone(&self.turns.peers);
        let peers = match peers.is_empty() {
            true => None,
            false => peers.get(&name(key, word)),
        };
        peers.map_or_else(Vec::new, |peers| {
            self.take_gave(model, key, word, &peers.gave, now)
        })
    }

    /// The same of all real servers of this word that are withdrawn.
    pub(crate) fn hear_weights_of(
        &mut self,
        model: &Model,
        host: &HostName,
        now: Wall,
    ) -> Vec<VirtualServiceKey> {
        if self.turns.peers.is_empty() {
            return Vec::new();
        }
        let servers = self.words.servers(model, host);
        let words = servers.map(|(key, it)| (key, (host.clone(), it.port)));
        let words: Vec<(VirtualServiceKey, Word)> = words.collect();
        let withdrawn = words
            .into_iter()
            .filter(|(key, word)| self.memory(*key, word).turn().is_some());
        let withdrawn: Vec<(VirtualServiceKey, Word)> = withdrawn.collect();
        let heard = withdrawn
            .iter()
            .flat_map(|(key, word)| self.hear_weights(model, *key, word, now));
        heard.collect()
    }

    /// The weights that the checks of a real server gave it before, of those that give none now.
    fn gave(&self, model: &Model, key: VirtualServiceKey, word: &Word) -> Vec<Gave> {
        let judges = self.weighing(model, key, word).into_iter();
        let gave = judges.filter_map(|(service, part)| {
            let giving = self.tally.given(key, service, &part)?;
            Some(Gave {
                of: service_name(model, service),
                weight: giving.before()?,
            })
        });
        gave.collect()
    }

    fn take_gave(
        &mut self,
        model: &Model,
        key: VirtualServiceKey,
        word: &Word,
        theirs: &[Gave],
        now: Wall,
    ) -> Vec<VirtualServiceKey> {
        let mut changed = Vec::new();
        if theirs.is_empty() {
            return changed;
        }
        for (service, part) in self.weighing(model, key, word) {
            let of = service_name(model, service);
            let Some(theirs) = theirs.iter().find(|it| it.of == of) else {
                continue;
            };
            // What the monitor of before a reload gave counts until this one has found something.
            let is_lent = self.tally.given(key, service, &part).is_some()
                && !self.tally.has_given(service, &part);
            if !is_lent {
                let shared = |before| Giving::shared(before, theirs.weight, now);
                changed.extend(self.tally.give(service, &word.0, shared));
            }
        }
        changed
    }

    /// Whose checks give a real server its weight; nobody's where the section does not ask them.
    fn weighing(
        &self,
        model: &Model,
        key: VirtualServiceKey,
        word: &Word,
    ) -> Vec<(ServiceId, Part)> {
        let server = self.declared(model, key, word);
        let judges = server.into_iter().flat_map(|it| &it.judges);
        let parts = judges.map(|judge| judged_part(judge, &word.0));
        parts
            .filter(|(_, part)| matches!(part, Part::Host(_)))
            .collect()
    }

    /// A real server of a section that asks its checks for weights.
    fn declared<'a>(
        &self,
        model: &'a Model,
        key: VirtualServiceKey,
        (host, port): &Word,
    ) -> Option<&'a DeclaredServer> {
        match self.section(model, key)?.weight_from {
            WeightFrom::File => None,
            WeightFrom::Check => {
                let at = self.state(key)?.index();
                self.words.server_of(model, at, (host, *port))
            }
        }
    }
}

fn service_name(model: &Model, id: ServiceId) -> ServiceName {
    let service = model.service(id);
    ServiceName {
        group: service.group.to_string(),
        service: service.name.to_string(),
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
