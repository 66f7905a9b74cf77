//! What do both directors of a pair do about the wishes of their operators?
//!
//! Pure. What is wished here is looked at as a level, and gets its stamp; which of two wishes
//! counts is in [`crate::pair::talk::wishes`], what each is about in `peer::wishes`. The desk says
//! what the peer is told, what the engine is to carry out of the peer's word, and what is for the
//! journal and for the log. Stamps are in the journal, so that what ended while a director was
//! away does not come back with it.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde_json::Value;

use crate::engine::Engine;
use crate::engine::event::{Event, NoWish, PeerWish, SharedWish};
use crate::engine::saved::{Record, Saved};
use crate::pair::talk::wishes::{Cause, WISHES_MAX};
use crate::pair::talk::{StampedWish, Wishes};
use crate::time::Now;

/// What is known of wishes on both directors.
#[derive(Debug, Default)]
pub struct WishDesk {
    wishes: Wishes,
    /// Who stamps here: a number of this life of the daemon.
    writer: u64,
    /// All of it, as the peer is told.
    all: Arc<Vec<StampedWish>>,
    /// Whether the file in force names a peer.
    has_peer: bool,
    /// Wishes of the peer's that nobody can have said.
    refused: u64,
    /// Why the first of them is none; said once, as is that wishes of the peer's are left out.
    refusal: Option<NoWish>,
    is_left_out_said: bool,
}

/// What is to be done about wishes, in order.
#[derive(Clone, Debug, PartialEq)]
pub enum DeskAction {
    /// Write this to the journal.
    Record(Record),
    /// Something a person may want to read in the log.
    Note(DeskNote),
    /// What operators said on the other director holds here now: others are told as of a wish
    /// that was said here.
    CarriedOut,
}

/// What a person may want to read of wishes in the log; each by its name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DeskNote {
    /// Said on the other director, and carried out.
    Said(String),
    /// Ended there, and here.
    Ended(String),
    /// Said there, of what this director does not have or what is over.
    Waits(String),
    /// Wishes of the peer's were not taken; said once.
    LeftOut {
        /// How many so far.
        count: u64,
        /// Why the first of them was none, or why there was no room.
        why: String,
    },
}

/// What counts and does not hold here yet: the engine is told [`Errand::event`], and the desk then
/// that it was ([`WishDesk::ran`]).
#[derive(Debug)]
#[must_use]
pub struct Errand {
    differing: Vec<StampedWish>,
    /// What was heard only now.
    news: BTreeSet<String>,
}

impl Errand {
    /// What the engine is to be told.
    #[must_use]
    pub fn event(&self) -> Event {
        // What an older version took, and wrote down, may be none.
        let read = |it: StampedWish| PeerWish::try_from(it).ok();
        let wishes = self.differing.iter().cloned().filter_map(read);
        Event::PeerWishes(wishes.collect())
    }
}

impl WishDesk {
    /// As the journal has it, with what holds here. `writer` is a number of this life of the
    /// director.
    #[must_use]
    pub fn restore(saved: &Saved, engine: &Engine, writer: u64) -> Self {
        let wishes = Wishes::restore(&saved.records, &engine.wish_level());
        Self {
            all: Arc::new(wishes.all().collect()),
            wishes,
            writer,
            has_peer: has_peer(engine),
            ..Self::default()
        }
    }

    /// Wishes of the peer's that were not taken.
    #[must_use]
    pub const fn left_out(&self) -> u64 {
        self.wishes.left_out() + self.refused
    }

    /// A person has just said something here: it gets its stamp at once, where there is a peer.
    pub fn said(&mut self, now: Now, engine: &Engine) -> Vec<Record> {
        match self.has_peer {
            true => self.look(now, Cause::Person, engine),
            false => Vec::new(),
        }
    }

    /// All that is wished, for the peer, and what of that is for the journal.
    pub fn tell(&mut self, now: Now, engine: &Engine) -> (Arc<Vec<StampedWish>>, Vec<Record>) {
        let records = self.look(now, Cause::Itself, engine);
        (Arc::clone(&self.all), records)
    }

    /// The peer knows of these.
    pub fn hear(
        &mut self,
        now: Now,
        engine: &Engine,
        heard: Vec<StampedWish>,
    ) -> (Vec<DeskAction>, Option<Errand>) {
        // What was said here meanwhile is older than what is heard only now.
        let mut records = self.look(now, Cause::Itself, engine);
        let mut news = BTreeSet::new();
        for entry in heard {
            if !self.is_wish(&entry) {
                continue;
            }
            let (name, record) = (entry.key.clone(), record(&entry));
            if self.wishes.hear(entry) {
                news.insert(name);
                records.push(record);
            }
        }
        self.all = Arc::new(self.wishes.all().collect());
        let mut actions: Vec<DeskAction> = records.into_iter().map(DeskAction::Record).collect();
        actions.extend(self.what_is_left_out().map(DeskAction::Note));
        (actions, self.errand_of(now, news))
    }

    /// What counts and does not hold here yet; none where it all does.
    pub fn errand(&self, now: Now) -> Option<Errand> {
        self.errand_of(now, BTreeSet::new())
    }

    fn errand_of(&self, now: Now, news: BTreeSet<String>) -> Option<Errand> {
        let differing = self.wishes.differing(now.wall);
        let has_some = self.has_peer && !differing.is_empty();
        has_some.then_some(Errand { differing, news })
    }

    /// The engine was told, and has carried out what is about something that it has.
    pub fn ran(&mut self, errand: Errand, now: Now, engine: &Engine) -> Vec<DeskAction> {
        let Errand { differing, news } = errand;
        let records = self.look(now, Cause::Itself, engine);
        let waiting = self.wishes.differing(now.wall);
        let left: BTreeSet<&str> = waiting.iter().map(|it| &*it.key).collect();
        let done = differing.into_iter().filter(|it| !left.contains(&*it.key));
        let done = done.map(|StampedWish { key, value, .. }| match value {
            Some(_) => DeskNote::Said(key),
            None => DeskNote::Ended(key),
        });
        let done: Vec<DeskNote> = done.collect();
        let carried_out = (!done.is_empty()).then_some(DeskAction::CarriedOut);
        let waits = waiting.into_iter().filter(|it| it.value.is_some());
        let waits = waits.filter(|it| news.contains(&it.key));
        let waits = waits.map(|it| DeskNote::Waits(it.key));
        let records = records.into_iter().map(DeskAction::Record);
        let actions = records.chain(done.into_iter().map(DeskAction::Note));
        let actions = actions.chain(carried_out);
        actions.chain(waits.map(DeskAction::Note)).collect()
    }

    /// Another file is about to take effect: what is wished by now gets its stamps. Where there
    /// is no peer it was said by persons, for when there is one; the journal hears of it then.
    pub fn settle(&mut self, now: Now, engine: &Engine) -> Vec<Record> {
        match self.has_peer {
            true => self.look(now, Cause::Itself, engine),
            false => {
                self.look(now, Cause::Person, engine);
                Vec::new()
            }
        }
    }

    /// Another file took effect. What it no longer has, and what a reset forgets, nobody has
    /// ended: that holds again where this director has it.
    pub fn reloaded(&mut self, now: Now, engine: &Engine) -> (Vec<Record>, Option<Errand>) {
        self.wishes.rebase(&engine.wish_level());
        self.all = Arc::new(self.wishes.all().collect());
        let had_peer = std::mem::replace(&mut self.has_peer, has_peer(engine));
        let records = match had_peer {
            true => Vec::new(),
            false => self.record_all(),
        };
        (records, self.errand(now))
    }

    /// The journal begins again: all that is to survive.
    #[must_use]
    pub fn record_all(&self) -> Vec<Record> {
        match self.has_peer {
            true => self.wishes.all().map(|it| record(&it)).collect(),
            false => Vec::new(),
        }
    }

    /// Looks at what holds; what of that is for the journal.
    fn look(&mut self, now: Now, cause: Cause, engine: &Engine) -> Vec<Record> {
        let mut said = self.wishes.look_at_clock(now);
        let now = now.wall;
        let level = engine.wish_level();
        said.extend(self.wishes.look(now, self.writer, cause, level));
        let gone = self.wishes.tidy(now);
        if !said.is_empty() || !gone.is_empty() {
            self.all = Arc::new(self.wishes.all().collect());
        }
        let value = Value::Null;
        let forgotten = gone.into_iter().map(|key| Record {
            key,
            value: value.clone(),
        });
        said.iter().map(record).chain(forgotten).collect()
    }

    /// Whether the peer's operators can have said this; counted where not.
    fn is_wish(&mut self, entry: &StampedWish) -> bool {
        let refusal = SharedWish::of(&entry.key, entry.value.as_ref()).err();
        self.refused += u64::from(refusal.is_some());
        self.refusal = self.refusal.or(refusal);
        refusal.is_none()
    }

    /// That wishes of the peer's were not taken: once, with the first reason.
    fn what_is_left_out(&mut self) -> Option<DeskNote> {
        let count = self.left_out();
        if count == 0 || self.is_left_out_said {
            return None;
        }
        self.is_left_out_said = true;
        let why = match self.refusal {
            Some(refusal) => refusal.to_string(),
            None => format!("there are more than {WISHES_MAX}, or they are from no time"),
        };
        Some(DeskNote::LeftOut { count, why })
    }
}

fn has_peer(engine: &Engine) -> bool {
    engine.model().globals.peer.address.is_some()
}

fn record(wish: &StampedWish) -> Record {
    let (key, value) = wish.record();
    Record { key, value }
}

#[cfg(test)]
mod tests;
