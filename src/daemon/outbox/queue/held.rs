//! What of the queue is held for the other director (D26)?
//!
//! Pure. While the queue is held nothing leaves it; what comes in waits in its lanes as always and
//! is bounded as always.

use std::sync::Arc;
use std::time::Duration;

use crate::daemon::outbox::queue::{Entry, Lane, Queue};
use crate::effort::look;
use crate::pair::talk::EventId;
use crate::time::Now;

/// Where a message came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::daemon::outbox) enum Origin {
    /// From a call of this process.
    Call,
    /// The spool had it from before.
    Spool,
}

impl Lane {
    /// Who is reached, as directors call it among themselves: the same on both.
    pub(in crate::daemon::outbox) fn receiver(&self) -> &str {
        match self {
            Self::Mail { to, .. } => to,
            Self::Webhook { .. } => "webhook",
        }
    }
}

impl Entry {
    /// How long it has been there. A clock that is set makes nothing of this process older.
    pub(in crate::daemon::outbox) fn age(&self, now: Now) -> Duration {
        match self.origin {
            Origin::Call => now.mono.since(self.since),
            Origin::Spool => now.wall.since(self.accepted),
        }
    }
}

impl Queue {
    /// From now on nothing leaves.
    pub(in crate::daemon::outbox) const fn hold(&mut self) {
        self.is_held = true;
    }

    /// From now on everything leaves in its turn, held or not.
    pub(in crate::daemon::outbox) const fn release(&mut self) {
        self.is_held = false;
    }

    /// From now on this director is to tell everything that was held for the other one.
    pub(in crate::daemon::outbox) fn own(&mut self) {
        for entry in self.entries.values_mut() {
            entry.held = false;
        }
    }

    /// The other director told this event to this receiver. A message that has nothing else to
    /// tell is taken out, unless it is under way.
    pub(in crate::daemon::outbox) fn told(&mut self, event: &str, to: &str) -> Vec<(u64, Entry)> {
        let event: Arc<str> = event.into();
        let range = (Arc::clone(&event), 0)..=(Arc::clone(&event), u64::MAX);
        let numbers = self.events.range(range).map(|(_, number)| *number);
        let is_for = |number: &u64| {
            look();
            let entry = self.entries.get(number);
            entry.is_some_and(|entry| entry.lane.receiver() == to)
        };
        let numbers: Vec<u64> = numbers.filter(is_for).collect();
        let mut over = Vec::new();
        for number in numbers {
            if self.is_under_way(number) {
                continue;
            }
            let Some(entry) = self.entries.get_mut(&number) else {
                continue;
            };
            if entry.events.iter().all(|it| *it == event) {
                over.extend(self.remove(number).map(|entry| (number, entry)));
            } else {
                // Its other events are still to be told, and this one with them once more.
                entry.events.retain(|it| *it != event);
                self.events.remove(&(Arc::clone(&event), number));
            }
        }
        over
    }

    /// Events of this outage that wait to be told, each once.
    pub(in crate::daemon::outbox) fn of_outage(&self, outage: &str) -> Vec<Arc<str>> {
        let begin = format!("{outage}/");
        let first: Arc<str> = begin.as_str().into();
        let events = self.events.range((first, 0)..).map(|(event, _)| event);
        let is_of = |event: &&Arc<str>| {
            look();
            event.starts_with(&begin)
        };
        let mut events: Vec<Arc<str>> = events.take_while(is_of).cloned().collect();
        events.dedup();
        events
    }

    /// Gives what waits of an outage another number: the messages that tell of it. Their contents
    /// are not touched.
    pub(in crate::daemon::outbox) fn renumber(&mut self, from: &str, to: &str) -> Vec<u64> {
        let mut numbers = Vec::new();
        for old in self.of_outage(from) {
            let Some(new) = EventId::of(&old).map(|id| Arc::<str>::from(id.within(to))) else {
                continue;
            };
            let range = (Arc::clone(&old), 0)..=(Arc::clone(&old), u64::MAX);
            let of_event: Vec<u64> = self.events.range(range).map(|it| it.1).collect();
            for number in of_event {
                self.events.remove(&(Arc::clone(&old), number));
                self.events.insert((Arc::clone(&new), number));
                let Some(entry) = self.entries.get_mut(&number) else {
                    continue;
                };
                for event in &mut entry.events {
                    if *event == old {
                        *event = Arc::clone(&new);
                    }
                }
                numbers.push(number);
            }
        }
        numbers
    }

    /// Takes out what is held and over: the other director has told it.
    pub(in crate::daemon::outbox) fn forget_held(
        &mut self,
        is_over: impl Fn(&Entry) -> bool,
    ) -> Vec<(u64, Entry)> {
        self.take_out(|entry| entry.held && is_over(entry))
    }

    /// Takes out what this director was to tell and never got out for so long, since this process
    /// got it.
    pub(in crate::daemon::outbox) fn forget_own(
        &mut self,
        now: Now,
        most: Duration,
    ) -> Vec<(u64, Entry)> {
        self.take_out(|entry| !entry.held && now.mono.since(entry.since) > most)
    }

    fn take_out(&mut self, is_such: impl Fn(&Entry) -> bool) -> Vec<(u64, Entry)> {
        let old = self.entries.iter().inspect(|_| look());
        let old = old.filter(|(_, entry)| is_such(entry));
        let old: Vec<u64> = old.map(|(number, _)| *number).collect();
        let old = old.into_iter().filter(|&number| !self.is_under_way(number));
        let old: Vec<u64> = old.collect();
        let taken = old.into_iter();
        taken
            .filter_map(|number| Some((number, self.remove(number)?)))
            .collect()
    }

    fn is_under_way(&self, number: u64) -> bool {
        let lane = self.entries.get(&number).map(|entry| &entry.lane);
        let lane = lane.and_then(|lane| self.lanes.get(lane));
        lane.is_some_and(|lane| lane.in_flight && lane.waiting.first() == Some(&number))
    }
}
