//! How do operators' wishes get from one director to the other?
//!
//! The loop looks at what is wished as a level whenever it tells the peer what holds; what the
//! peer's operators said is carried out by the engine as an event. Stamps are in the journal, so
//! that what ended while a director was away does not come back with it.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde_json::Value;

use crate::clock::Clock;
use crate::daemon::Daemon;
use crate::engine::Engine;
use crate::engine::event::{Event, NoWish, PeerWish, SharedWish};
use crate::engine::saved::{Record, Saved};
use crate::pair::talk::wishes::{Cause, WISHES_MAX};
use crate::pair::talk::{StampedWish, Wishes};

/// What is known of wishes on both directors.
#[derive(Debug, Default)]
pub(super) struct Shared {
    wishes: Wishes,
    /// Who stamps here: a number of this life of the daemon.
    writer: u64,
    /// All of it, as the peer is told.
    all: Arc<Vec<StampedWish>>,
    /// Wishes of the peer's that nobody can have said.
    refused: u64,
    /// Why the first of them is none; said once, as is that wishes of the peer's are left out.
    refusal: Option<NoWish>,
    is_left_out_said: bool,
}

impl Shared {
    /// As the journal has it, with what holds here.
    pub(super) fn restore(saved: &Saved, engine: &Engine) -> Self {
        let wishes = Wishes::restore(&saved.records, &engine.wish_level());
        Self {
            all: Arc::new(wishes.all().collect()),
            wishes,
            writer: fastrand::u64(..),
            refused: 0,
            refusal: None,
            is_left_out_said: false,
        }
    }

    /// Wishes of the peer's that were not taken.
    pub(super) const fn left_out(&self) -> u64 {
        self.wishes.left_out() + self.refused
    }

    /// Whether the peer's operators can have said this; counted where not.
    fn is_wish(&mut self, entry: &StampedWish) -> bool {
        let refusal = SharedWish::of(&entry.key, entry.value.as_ref()).err();
        self.refused += u64::from(refusal.is_some());
        self.refusal = self.refusal.or(refusal);
        refusal.is_none()
    }

    /// Wishes of the peer's were not taken: said once, with the first reason.
    fn say_what_is_left_out(&mut self) {
        let count = self.left_out();
        if count == 0 || self.is_left_out_said {
            return;
        }
        self.is_left_out_said = true;
        let why = match self.refusal {
            Some(refusal) => refusal.to_string(),
            None => format!("there are more than {WISHES_MAX}, or they are from no time"),
        };
        let help = "both directors want the same version of lvsmon; lvsmon enable on either \
                    ends what is no longer wished";
        tracing::warn!(
            count,
            why,
            help,
            "wishes of the other director are left out"
        );
    }

    /// Looks at what holds; what of that is for the journal.
    fn look(&mut self, clock: Clock, cause: Cause, engine: &Engine) -> Vec<(String, Value)> {
        let now = clock.now().wall;
        let level = engine.wish_level();
        let said = self.wishes.look(now, self.writer, cause, level);
        let gone = self.wishes.tidy(now);
        if !said.is_empty() || !gone.is_empty() {
            self.all = Arc::new(self.wishes.all().collect());
        }
        let forgotten = gone.into_iter().map(|key| (key, Value::Null));
        let records = said.iter().map(StampedWish::record).chain(forgotten);
        records.collect()
    }
}

impl Daemon {
    /// What is wished, for the peer.
    pub(super) fn wishes_for_peer(&mut self) -> Arc<Vec<StampedWish>> {
        self.look_at_wishes(Cause::Itself);
        Arc::clone(&self.peer.shared.all)
    }

    /// What a person has just said gets its stamp at once, where there is a peer.
    pub(in crate::daemon) fn stamp_wishes(&mut self) {
        if self.has_peer() {
            self.look_at_wishes(Cause::Person);
        }
    }

    pub(in crate::daemon) fn has_peer(&self) -> bool {
        self.engine.model().globals.peer.address.is_some()
    }

    /// What was wished here since the last look gets its stamps.
    fn look_at_wishes(&mut self, cause: Cause) {
        for (key, value) in self.peer.shared.look(self.clock, cause, &self.engine) {
            self.store.record(Record { key, value });
        }
    }

    /// The peer knows of these.
    pub(super) fn peer_wishes(&mut self, heard: Vec<StampedWish>) {
        // What was said here meanwhile is older than what is heard only now.
        self.look_at_wishes(Cause::Itself);
        let shared = &mut self.peer.shared;
        let mut news = BTreeSet::new();
        for entry in heard {
            if !shared.is_wish(&entry) {
                continue;
            }
            let (key, value) = entry.record();
            let name = entry.key.clone();
            if shared.wishes.hear(entry) {
                news.insert(name);
                self.store.record(Record { key, value });
            }
        }
        shared.all = Arc::new(shared.wishes.all().collect());
        shared.say_what_is_left_out();
        self.carry_out_shared();
        let waiting = self.differing_wishes();
        for what in waiting.iter().filter(|it| it.value.is_some()) {
            if news.contains(&what.key) {
                tracing::info!(
                    what = what.key,
                    "said on the other director, of what this one does not have or what is over: \
                     it waits until a reload brings it"
                );
            }
        }
    }

    fn differing_wishes(&self) -> Vec<StampedWish> {
        self.peer.shared.wishes.differing(self.clock.now().wall)
    }

    /// Carries out what counts and does not hold here yet, as far as this director has what it is
    /// about.
    pub(in crate::daemon) fn carry_out_shared(&mut self) {
        let differing = self.differing_wishes();
        if differing.is_empty() || !self.has_peer() {
            return;
        }
        // What an older version took, and wrote down, may be none.
        let read = |it: StampedWish| PeerWish::try_from(it).ok();
        let wishes = differing.iter().cloned().filter_map(read);
        self.tell(Event::PeerWishes(wishes.collect()));
        self.look_at_wishes(Cause::Itself);
        let waiting = self.differing_wishes();
        let waiting: BTreeSet<&str> = waiting.iter().map(|it| &*it.key).collect();
        let done = differing.iter().filter(|it| !waiting.contains(&*it.key));
        let done: Vec<&StampedWish> = done.collect();
        for StampedWish { key, value, .. } in &done {
            match value {
                Some(_) => tracing::info!(what = key, "said on the other director"),
                None => tracing::info!(what = key, "ended on the other director"),
            }
        }
        if !done.is_empty() {
            self.save_disabled();
            self.peer.has_news();
        }
    }

    /// Another file is about to take effect: what is wished by now gets its stamps. Where there
    /// is no peer it was said by persons, and is told to nobody.
    pub(in crate::daemon) fn settle_wishes(&mut self) {
        if self.has_peer() {
            self.look_at_wishes(Cause::Itself);
        } else {
            // For when there is a peer.
            drop(
                self.peer
                    .shared
                    .look(self.clock, Cause::Person, &self.engine),
            );
        }
    }

    /// Another file took effect. What it no longer has, and what a reset forgets, nobody has
    /// ended: that holds again where this director has it.
    pub(in crate::daemon) fn rebase_wishes(&mut self) {
        let shared = &mut self.peer.shared;
        shared.wishes.rebase(&self.engine.wish_level());
        shared.all = Arc::new(shared.wishes.all().collect());
    }

    /// The journal begins again: all that is to survive.
    pub(in crate::daemon) fn record_peer_wishes(&mut self) {
        if !self.has_peer() {
            return;
        }
        for (key, value) in self.peer.shared.wishes.all().map(|it| it.record()) {
            self.store.record(Record { key, value });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::daemon::log::tests::told;
    use crate::pair::talk::Stamp;

    #[test]
    fn what_is_no_wish_is_refused_and_counted_with_the_first_reason() {
        let mut shared = Shared::default();
        let wish = |key: &str, value: Option<Value>| StampedWish {
            key: key.to_owned(),
            stamp: Stamp { time: 1, writer: 1 },
            value,
            ahead_micros: 0,
        };
        assert!(shared.is_wish(&wish("watch a", Some(true.into()))));
        assert!(shared.is_wish(&wish("watch a", None)));
        assert_eq!((shared.left_out(), shared.refusal), (0, None));
        assert!(!shared.is_wish(&wish("odd", None)));
        assert!(!shared.is_wish(&wish("watch a", Some(7.into()))));
        assert_eq!((shared.left_out(), shared.refusal), (2, Some(NoWish::Name)));
    }

    #[test]
    fn the_log_says_once_that_wishes_are_left_out_and_why() {
        let mut shared = Shared::default();
        let wish = |key: &str, value: Value| StampedWish {
            key: key.to_owned(),
            stamp: Stamp { time: 1, writer: 1 },
            value: Some(value),
            ahead_micros: 0,
        };
        let said = told(|| {
            shared.is_wish(&wish("watch a", true.into()));
            shared.say_what_is_left_out();
            shared.is_wish(&wish("odd", true.into()));
            shared.say_what_is_left_out();
            shared.is_wish(&wish("watch a", 7.into()));
            shared.say_what_is_left_out();
        });
        let [(4, line)] = said.as_slice() else {
            panic!("{said:?}")
        };
        let why = NoWish::Name.to_string();
        for word in ["wishes of the other director are left out", "count=1", &why] {
            assert!(line.contains(word), "{word}: {line}");
        }
    }
}
