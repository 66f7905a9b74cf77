//! What of the queue is held for the other director (D26)?
//!
//! Pure. While the queue is held nothing leaves it; what comes in waits in its lanes as always and
//! is bounded as always.

use std::sync::Arc;
use std::time::Duration;

use crate::daemon::outbox::queue::{Entry, Lane, Queue};
use crate::effort::look;
use crate::time::Wall;

impl Lane {
    /// Who is reached, as directors call it among themselves: the same on both.
    pub(in crate::daemon::outbox) fn receiver(&self) -> &str {
        match self {
            Self::Mail { to, .. } => to,
            Self::Webhook { .. } => "webhook",
        }
    }
}

impl Queue {
    /// From now on nothing leaves.
    pub(in crate::daemon::outbox) const fn hold(&mut self) {
        self.is_held = true;
    }

    /// From now on everything leaves in its turn: this director tells it, held or not.
    pub(in crate::daemon::outbox) fn release(&mut self) {
        self.is_held = false;
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

    /// Takes out what was held for longer than `most`: the other director has told it.
    pub(in crate::daemon::outbox) fn forget_held(
        &mut self,
        now: Wall,
        most: Duration,
    ) -> Vec<(u64, Entry)> {
        let is_old = |(accepted, _): &&(Wall, u64)| {
            look();
            now.since(*accepted) > most
        };
        let old = self.ages.iter().take_while(is_old);
        let is_held = |number: &u64| self.entries.get(number).is_some_and(|entry| entry.held);
        let old: Vec<u64> = old.map(|(_, number)| *number).filter(is_held).collect();
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
