//! Which wishes are not obeyed, since together they would leave fewer real servers than `min_live`?
//!
//! On one director a wish that would leave too few is refused. On two that do not hear each other
//! each may be told some that are allowed there, and too many together. Then the newest ones give
//! way, by when they were said: both directors have the same wishes and so decide the same. Only
//! wishes are counted, not health, which the two may see otherwise for a moment: a server under
//! maintenance is not put to work since another one fails. Where a person insisted (`--force`), or
//! a wish was accepted although few were left by then, it is always obeyed.
//!
//! A wish that gives way stays, and counts again when there are enough.

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, SocketAddr};

use crate::effort::visit;
use crate::engine::event::{Action, Caution};
use crate::engine::manual::{Effect, EntryKey, Manual, note};
use crate::lvs::{RealServerKey, VirtualServiceKey};
use crate::time::{Now, Wall};

/// A wish that takes a real server from its clients.
#[derive(Clone, Copy, Debug)]
struct Taking {
    server: RealServerKey,
    /// By the clock of the director that was told.
    said: Wall,
    caution: Caution,
}

/// Of the wishes of a section those that give way. `declared` counts its real servers.
fn giving_way(
    mut takings: Vec<Taking>,
    declared: usize,
    min_live: usize,
) -> BTreeSet<RealServerKey> {
    takings.sort_unstable_by_key(|it| (it.said, it.server));
    let mut left = declared;
    let mut giving_way = BTreeSet::new();
    for taking in takings {
        match taking.caution {
            Caution::Refuse if left <= min_live => {
                giving_way.insert(taking.server);
            }
            Caution::Refuse | Caution::Force => left = left.saturating_sub(1),
        }
    }
    giving_way
}

/// The real servers of a section, as wishes are counted against them.
#[derive(Clone, Debug)]
pub(crate) struct Section {
    /// Which one.
    pub(crate) key: VirtualServiceKey,
    /// Those with an address.
    pub(crate) servers: BTreeSet<RealServerKey>,
    /// All of them.
    pub(crate) declared: usize,
    /// How many are to be left.
    pub(crate) min_live: usize,
}

/// A wish that gives way from now on: for a warning.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct GaveWay {
    pub(crate) server: RealServerKey,
    /// `the disable by ann (new kernel)`
    pub(crate) called: String,
}

impl Manual {
    fn giving_way_in(&self, section: &Section) -> BTreeSet<RealServerKey> {
        let takings = section.servers.iter().filter_map(|&server| {
            let standing = self.wishes.get(&(section.key, server))?;
            let takes_away = Effect::at_first(&standing.wish).takes_away();
            takes_away.then_some(Taking {
                server,
                said: standing.said.since,
                caution: standing.caution,
            })
        });
        giving_way(takings.collect(), section.declared, section.min_live)
    }

    /// Whether there is nothing of which [`Manual::settle`] could find anything.
    pub(crate) fn is_settled(&self) -> bool {
        self.wishes.is_empty() && self.gives_way.is_empty()
    }

    /// Looks at which wishes of a section give way now: those that begin to, and what is said of
    /// those that count again.
    pub(crate) fn settle(&mut self, now: Now, section: &Section) -> (Vec<GaveWay>, Vec<Action>) {
        let mut gave_way = Vec::new();
        let mut actions = Vec::new();
        let give_way = self.giving_way_in(section);
        let first = RealServerKey(SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), 0));
        let before = self.gives_way.range((section.key, first)..);
        let before = before.inspect(|_| visit());
        let before = before.take_while(|it| it.0 == section.key);
        let before: BTreeSet<RealServerKey> = before.map(|it| it.1).collect();
        for &server in give_way.difference(&before) {
            let entry = (section.key, server);
            self.gives_way.insert(entry);
            self.is_stirred = true;
            if let Some(standing) = self.wishes.get_mut(&entry) {
                standing.give_way();
                actions.push(standing.record(entry, now));
                let called = standing.called();
                gave_way.push(GaveWay { server, called });
            }
        }
        for &server in before.difference(&give_way) {
            let entry = (section.key, server);
            self.gives_way.remove(&entry);
            self.is_stirred = true;
            if let Some(standing) = self.wishes.get_mut(&entry) {
                standing.begin_anew(now);
                actions.push(standing.record(entry, now));
                let text = format!("{} counts again: min_live holds with it", standing.called());
                actions.push(note(entry, text));
            }
        }
        (gave_way, actions)
    }

    /// A wish for these was accepted just now. Whatever the count says it is obeyed then, and
    /// stays so: these servers took no clients anyhow.
    pub(crate) fn accept(
        &mut self,
        now: Now,
        section: &Section,
        accepted: &BTreeSet<EntryKey>,
    ) -> Vec<Action> {
        let give_way = self.giving_way_in(section).into_iter();
        let give_way = give_way.map(|server| (section.key, server));
        let mut actions = Vec::new();
        for entry in give_way.filter(|entry| accepted.contains(entry)) {
            if let Some(standing) = self.wishes.get_mut(&entry) {
                standing.caution = Caution::Force;
                actions.push(standing.record(entry, now));
            }
        }
        actions
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server(number: u8) -> RealServerKey {
        RealServerKey(([10, 1, 0, number], 80).into())
    }

    /// Letters in the order in which they were said: `r` gives way, `f` does not. Which servers
    /// give way, by place.
    fn places(wishes: &str, declared: usize, min_live: usize) -> Vec<usize> {
        let takings = wishes.chars().zip(1_u8..).map(|(letter, number)| Taking {
            server: server(number),
            said: Wall::from_seconds(i64::from(number)),
            caution: match letter {
                'f' => Caution::Force,
                _ => Caution::Refuse,
            },
        });
        // Whatever the order in which they are found.
        let mut takings: Vec<Taking> = takings.collect();
        takings.reverse();
        let found = giving_way(takings, declared, min_live);
        let place = |it: &RealServerKey| (1_u8..9).position(|number| server(number) == *it);
        found.iter().filter_map(place).collect()
    }

    #[test]
    fn the_newest_give_way_until_enough_are_left_and_forced_ones_never() {
        for (wishes, declared, min_live, expected) in [
            ("", 4, 1, &[][..]),
            ("rrr", 4, 1, &[]),
            ("rrrr", 4, 1, &[3]),
            ("rrrr", 4, 2, &[2, 3]),
            ("rrrr", 4, 0, &[]),
            ("rrrf", 4, 1, &[]),
            ("rrfr", 4, 2, &[3]),
            ("ffff", 4, 3, &[]),
            ("fffr", 4, 2, &[3]),
            ("r", 1, 1, &[0]),
        ] {
            assert_eq!(
                places(wishes, declared, min_live),
                expected,
                "{wishes} {min_live}"
            );
        }
    }

    #[test]
    fn of_wishes_of_the_same_moment_the_order_of_the_servers_decides() {
        let taking = |number| Taking {
            server: server(number),
            said: Wall::from_seconds(7),
            caution: Caution::Refuse,
        };
        for order in [[1, 2], [2, 1]] {
            let found = giving_way(order.map(taking).to_vec(), 2, 1);
            assert_eq!(found, BTreeSet::from([server(2)]));
        }
    }
}
