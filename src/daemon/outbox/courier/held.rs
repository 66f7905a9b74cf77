//! What is held for the other director, and what becomes of it (D26)?
//!
//! The engine's policy runs on both directors alike; only here one of them is silent. What it
//! holds is in the spool like everything, so that it outlives a restart and is bounded. It goes
//! out when this director is to speak, unless the other one has told it: it says so itself, or,
//! where nothing is heard of it, is taken to have told everything that is older than some time.

use std::sync::Arc;

use crate::daemon::outbox::courier::Courier;
use crate::daemon::outbox::{Told, Voice};
use crate::engine::event::{Delivery, Event};

/// How directors call the receiver of a program's call among themselves.
pub(super) const PROGRAM: &str = "program";

impl Courier {
    /// From now on people are told, or everything is held.
    pub(super) fn speak(&mut self, voice: Voice) {
        if self.voice == voice {
            return;
        }
        if voice == Voice::Speaks {
            self.forget_held();
        }
        let waiting = self.queue.len() + self.programs.waiting();
        match voice {
            Voice::Speaks => tracing::info!(waiting, "this director tells people from now on"),
            Voice::Holds => {
                tracing::info!(
                    waiting,
                    "messages are held: the other director tells people"
                );
            }
        }
        self.voice = voice;
        match voice {
            Voice::Holds => self.queue.hold(),
            Voice::Speaks => self.queue.release(),
        }
    }

    /// How many messages are held.
    pub(super) fn held_count(&self) -> u64 {
        match self.voice {
            Voice::Speaks => 0,
            Voice::Holds => (self.queue.len() + self.programs.waiting()) as u64,
        }
    }

    /// The other director told these.
    pub(super) fn told_elsewhere(&mut self, told: &[Told]) {
        for Told { event, to } in told {
            for (number, entry) in self.queue.told(event, to) {
                tracing::info!(
                    service = &*entry.service,
                    to = &**to,
                    "message dropped: the other director told it"
                );
                self.finish(number, entry, Err(Delivery::Elsewhere));
            }
            if &**to == PROGRAM {
                let calls = self.programs.take_out(|call| *call.call.event == **event);
                self.done
                    .extend(calls.into_iter().map(|call| elsewhere(call.call.id)));
            }
        }
    }

    /// Drops what was held for longer than the other director needs to tell it.
    pub(super) fn forget_held(&mut self) {
        let limits = &self.settings.limits;
        let most = self.settings.held_most.unwrap_or(limits.give_up_after);
        let now = self.clock.now();
        let old = self.queue.forget_held(now.wall, most);
        let is_old = |since| now.mono.since(since) > most;
        let programs = self
            .programs
            .take_out(|call| call.held_since.is_some_and(is_old));
        let count = old.len() + programs.len();
        if count > 0 {
            tracing::debug!(
                count,
                "held messages dropped: the other director was to tell them"
            );
        }
        for (number, entry) in old {
            self.finish(number, entry, Err(Delivery::Elsewhere));
        }
        self.done
            .extend(programs.into_iter().map(|call| elsewhere(call.call.id)));
    }

    /// Says whom these events have reached, where somebody listens.
    pub(super) fn say_told(&self, events: impl IntoIterator<Item = Arc<str>>, to: &str) {
        let Some(told) = &self.told else { return };
        let to: Arc<str> = to.into();
        for event in events {
            let to = Arc::clone(&to);
            // Who has no room is told the whole again.
            let _ = told.try_send(Told { event, to });
        }
    }
}

const fn elsewhere(alert: crate::engine::event::AlertId) -> Event {
    Event::AlertDone {
        alert,
        delivery: Delivery::Elsewhere,
    }
}
