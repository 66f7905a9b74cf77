//! What is held for the other director, and what becomes of it (D26)?
//!
//! The engine's policy runs on both directors alike; only here one of them is silent. What it
//! holds is in the spool like everything, so that it outlives a restart and is bounded. It goes
//! out when this director is to speak, unless the other one has told it: it says so itself. What
//! came while nothing is heard of it, and is older than some time, it is taken to have told.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc::error::TrySendError;

use crate::daemon::outbox::courier::{Courier, receiver};
use crate::daemon::outbox::programs::ProgramCall;
use crate::daemon::outbox::queue::Entry;
use crate::daemon::outbox::{Hearing, Told, Voice};
use crate::engine::event::{Delivery, Event};
use crate::pair::talk::delivered::DELIVERED_MAX;
use crate::pair::talk::{self, EventId};
use crate::time::{Mono, Now, Wall};

/// How directors call the receiver of a program's call among themselves.
pub(super) const PROGRAM: &str = "program";

/// How they call the receiver of a webhook.
const WEBHOOK: &str = "webhook";

/// What the log and the engine hear of what became too old while the other director spoke.
const TOO_OLD: &str = "too old: it could not be told before the other director's turn came";

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
        let now = self.clock.now().mono;
        let spoke = now.since(std::mem::replace(&mut self.turned, now));
        match voice {
            Voice::Holds => {
                // After a shorter while the other director has it all, and tells it.
                if spoke > self.held_most() {
                    self.queue.own();
                    self.programs.own();
                }
                self.queue.hold();
            }
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
        let now = self.clock.now().mono;
        self.elsewhere.expire(now);
        // Under the number that the outage has here by now.
        let known = |told: &Told| {
            let event = self.renamed.now(&told.event);
            let event = event.map_or_else(|| Arc::clone(&told.event), Arc::from);
            let to = Arc::clone(&told.to);
            Told { event, to }
        };
        let told: Vec<Told> = told.iter().map(known).collect();
        for Told { event, to } in &told {
            let (event, to) = (Arc::clone(event), Arc::clone(to));
            self.elsewhere.add(now, talk::Delivery { event, to });
        }
        for Told { event, to } in &told {
            self.drop_told(event, to);
            let Some(id) = EventId::of(event).filter(|_| self.is_covering(to)) else {
                continue;
            };
            for other in self.queue.of_outage(id.outage) {
                if EventId::of(&other).is_some_and(|other| id.covers(other)) {
                    self.drop_told(&other, to);
                }
            }
        }
    }

    /// Whether the other director has told this, or while it is the one to tell, what makes it
    /// needless.
    pub(super) fn is_told_elsewhere(&self, event: &str, to: &str) -> bool {
        let receiver: Arc<str> = to.into();
        if self.is_covering(to) {
            self.elsewhere.covers(event, &receiver)
        } else {
            self.elsewhere.has(event, &receiver)
        }
    }

    /// Whether a later message to this receiver stands for the earlier ones. Two webhooks, or two
    /// programs, have one name among directors, and one of them says nothing of the other.
    fn is_covering(&self, to: &str) -> bool {
        self.voice == Voice::Holds && to != WEBHOOK && to != PROGRAM
    }

    /// Takes out what waits of it.
    pub(super) fn drop_told(&mut self, event: &str, to: &str) {
        for (number, entry) in self.queue.told(event, to) {
            tracing::info!(
                service = &*entry.service,
                to,
                "message dropped: the other director told it"
            );
            self.finish(number, entry, Err(Delivery::Elsewhere));
        }
        if to == PROGRAM {
            let calls = self.programs.take_out(|call| call.call.event == event);
            self.done
                .extend(calls.into_iter().map(|call| elsewhere(call.call.id)));
        }
    }

    /// Drops what was held for longer than the other director needs to tell it.
    pub(super) fn forget_held(&mut self) {
        let now = self.clock.now();
        let limits = &self.settings.limits;
        let held = Held {
            most: self.held_most(),
            give_up_after: limits.give_up_after,
            hearing: *self.hearing.borrow(),
            now,
        };
        let is_over = |entry: &Entry| {
            let mut events = entry.events.iter();
            events.all(|event| held.is_over(event, entry.accepted, entry.age(now)))
        };
        let old = self.queue.forget_held(is_over);
        let programs = self.programs.take_out(|call| {
            let (since, age) = (held.wall(call.since), now.mono.since(call.since));
            call.held && held.is_over(&call.call.event, since, age)
        });
        let count = old.len() + programs.len();
        if count > 0 {
            tracing::info!(
                count,
                "held messages dropped: the other director was to tell them"
            );
        }
        for (number, entry) in old {
            self.finish(number, entry, Err(Delivery::Elsewhere));
        }
        self.done
            .extend(programs.into_iter().map(|call| elsewhere(call.call.id)));
        self.give_up_own(now);
    }

    /// From which age on what is held counts as told, where nothing is heard of it.
    fn held_most(&self) -> Duration {
        let limits = &self.settings.limits;
        self.settings.held_most.unwrap_or(limits.give_up_after)
    }

    /// Gives up what this director was to tell itself, and is too old by now.
    fn give_up_own(&mut self, now: Now) {
        let most = self.settings.limits.give_up_after;
        for (number, entry) in self.queue.forget_own(now, most) {
            tracing::error!(
                service = &*entry.service,
                to = receiver(&entry.lane),
                why = TOO_OLD,
                "message given up"
            );
            self.finish(number, entry, Err(Delivery::GivenUp(TOO_OLD.to_owned())));
        }
        let is_old = |call: &ProgramCall| !call.held && now.mono.since(call.since) > most;
        for call in self.programs.take_out(is_old) {
            self.refuse(&call.call, TOO_OLD);
        }
    }

    /// These events have reached this receiver, which is said where somebody listens.
    pub(super) fn say_told(&mut self, events: impl IntoIterator<Item = Arc<str>>, to: &str) {
        if self.told.is_none() {
            return;
        }
        let to: Arc<str> = to.into();
        let told = events.into_iter().map(|event| {
            let to = Arc::clone(&to);
            Told { event, to }
        });
        self.untold.extend(told);
        // What is beyond would be forgotten behind the channel, too.
        let excess = self.untold.len().saturating_sub(DELIVERED_MAX);
        self.untold.drain(..excess);
    }

    /// Says as much of it as there is room for.
    pub(super) fn say_untold(&mut self) {
        let Some(told) = &self.told else { return };
        while let Some(next) = self.untold.pop_front() {
            match told.try_send(next) {
                Ok(()) => {}
                Err(TrySendError::Full(next)) => {
                    self.untold.push_front(next);
                    return;
                }
                Err(TrySendError::Closed(_)) => self.untold.clear(),
            }
        }
    }
}

/// When what is held counts as told, though the other director did not say so.
struct Held {
    most: Duration,
    give_up_after: Duration,
    hearing: Hearing,
    now: Now,
}

impl Held {
    fn wall(&self, at: Mono) -> Wall {
        let age = self.now.mono.since(at).as_micros();
        let age = i64::try_from(age).unwrap_or(i64::MAX);
        Wall::from_micros(self.now.wall.as_micros().saturating_sub(age))
    }

    /// Of what it is heard about, it says itself what it told: all the rest is still to be told.
    /// When the link is gone and this director is still not to tell, the other one tells what
    /// comes from then on, unheard.
    fn is_over(&self, event: &str, accepted: Wall, age: Duration) -> bool {
        let is_shared = EventId::of(event).is_some_and(EventId::is_shared);
        let is_heard = is_shared
            && match self.hearing {
                Hearing::Never => false,
                Hearing::Linked => true,
                Hearing::Lost(at) => accepted <= at,
            };
        let most = if is_heard {
            self.give_up_after
        } else {
            self.most
        };
        age > most
    }
}

pub(super) const fn elsewhere(alert: crate::engine::event::AlertId) -> Event {
    Event::AlertDone {
        alert,
        delivery: Delivery::Elsewhere,
    }
}
