//! How do operators' wishes get from one director to the other?
//!
//! The loop looks at what is wished as a level whenever it tells the peer what holds; what the
//! peer's operators said is carried out by the engine as an event. Stamps are in the journal, so
//! that what ended while a director was away does not come back with it.

use std::sync::Arc;

use serde_json::Value;

use crate::daemon::Daemon;
use crate::engine::Engine;
use crate::engine::event::{Event, PeerWish};
use crate::engine::saved::{Record, Saved};
use crate::pair::talk::{StampedWish, Wishes};

/// What is known of wishes on both directors.
#[derive(Debug, Default)]
pub(super) struct Shared {
    wishes: Wishes,
    /// Who stamps here: a number of this life of the daemon.
    writer: u64,
    /// All of it, as the peer is told.
    all: Arc<Vec<StampedWish>>,
}

impl Shared {
    /// As the journal has it, with what holds here.
    pub(super) fn restore(saved: &Saved, engine: &Engine) -> Self {
        let wishes = Wishes::restore(&saved.records, engine.wish_level());
        Self {
            all: Arc::new(wishes.all().collect()),
            wishes,
            writer: fastrand::u64(..),
        }
    }
}

impl Daemon {
    /// What was wished here since the last look gets its stamps. All of it, for the peer.
    pub(super) fn wishes_for_peer(&mut self) -> Arc<Vec<StampedWish>> {
        let now = self.clock.now().wall;
        let level = self.engine.wish_level();
        let shared = &mut self.peer.shared;
        let said = shared.wishes.look(now, shared.writer, level);
        let gone = shared.wishes.tidy(now);
        if !said.is_empty() || !gone.is_empty() {
            shared.all = Arc::new(shared.wishes.all().collect());
        }
        let forgotten = gone.into_iter().map(|key| (key, Value::Null));
        let records = said.iter().map(StampedWish::record).chain(forgotten);
        for (key, value) in records {
            self.store.record(Record { key, value });
        }
        Arc::clone(&self.peer.shared.all)
    }

    /// What a person has just said gets its stamp at once, where there is a peer.
    pub(in crate::daemon) fn stamp_wishes(&mut self) {
        if self.engine.model().globals.peer.address.is_some() {
            self.wishes_for_peer();
        }
    }

    /// The peer knows of these.
    pub(super) fn peer_wishes(&mut self, heard: Vec<StampedWish>) {
        // What was said here meanwhile is older than what is heard only now.
        self.wishes_for_peer();
        let shared = &mut self.peer.shared;
        for entry in heard {
            let (key, value) = entry.record();
            if shared.wishes.hear(entry) {
                self.store.record(Record { key, value });
            }
        }
        shared.all = Arc::new(shared.wishes.all().collect());
        let now = self.clock.now().wall;
        let differing = shared.wishes.differing(now).into_iter();
        let differing = differing.map(|(name, value)| PeerWish { name, value });
        let differing: Vec<PeerWish> = differing.collect();
        if differing.is_empty() {
            return;
        }
        for PeerWish { name, value } in &differing {
            match value {
                Some(_) => tracing::info!(what = name, "said on the other director"),
                None => tracing::info!(what = name, "ended on the other director"),
            }
        }
        self.tell(Event::PeerWishes(differing));
        self.save_disabled();
        self.peer.has_news();
    }

    /// The journal begins again: all that is to survive.
    pub(in crate::daemon) fn record_peer_wishes(&mut self) {
        if self.engine.model().globals.peer.address.is_none() {
            return;
        }
        for (key, value) in self.peer.shared.wishes.all().map(|it| it.record()) {
            self.store.record(Record { key, value });
        }
    }
}
