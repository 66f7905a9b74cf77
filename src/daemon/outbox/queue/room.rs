//! What has to go when there is no room (D23).
//!
//! Pure. There are two bounds, each with a [`Load`] that counts what it holds: all messages,
//! and those that the disk did not take.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::daemon::outbox::queue::{Entry, Lane, Queue};
use crate::effort::visit;

/// Which bound is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::daemon::outbox) enum Bound {
    /// All messages.
    Spool,
    /// Those that the disk did not take.
    Memory,
}

/// One service in one lane: its messages may be collapsed.
type Kind = (Arc<Lane>, Arc<str>);

/// What counts for one bound.
#[derive(Clone, Debug, Default)]
pub(super) struct Load {
    count: usize,
    bytes: u64,
    /// Messages that may still be dropped: settled mails never are.
    loose: BTreeSet<u64>,
    /// The same by kind.
    kinds: BTreeMap<Kind, BTreeSet<u64>>,
    /// Kinds with more than one.
    repeated: BTreeSet<Kind>,
}

impl Load {
    pub(super) fn put(&mut self, number: u64, entry: &Entry) {
        self.count += 1;
        self.bytes = self.bytes.saturating_add(entry.bytes);
        if entry.message_id.is_some() {
            return;
        }
        self.loose.insert(number);
        let kind = (Arc::clone(&entry.lane), Arc::clone(&entry.service));
        let numbers = self.kinds.entry(kind.clone()).or_default();
        numbers.insert(number);
        if numbers.len() == 2 {
            self.repeated.insert(kind);
        }
    }

    pub(super) fn take(&mut self, number: u64, entry: &Entry) {
        self.count = self.count.saturating_sub(1);
        self.bytes = self.bytes.saturating_sub(entry.bytes);
        if !self.loose.remove(&number) {
            return;
        }
        let kind = (Arc::clone(&entry.lane), Arc::clone(&entry.service));
        if let Some(numbers) = self.kinds.get_mut(&kind) {
            numbers.remove(&number);
            match numbers.len() {
                0 => {
                    self.kinds.remove(&kind);
                }
                1 => {
                    self.repeated.remove(&kind);
                }
                _ => {}
            }
        }
    }
}

impl Queue {
    /// Makes room for one message of `bytes` bytes and drops what has to go for it (D23).
    ///
    /// First the older messages of the same service in the same lane go: they are counted in
    /// the answer, and said in the new message. Then repeats of other services; then, where
    /// nothing is repeated, the oldest message; both are said in the next mail of their lane.
    /// What is under way or settled stays.
    pub(in crate::daemon::outbox) fn make_room(
        &mut self,
        bound: Bound,
        lane: &Lane,
        service: &str,
        bytes: u64,
    ) -> (Vec<(u64, Entry)>, u32) {
        let kind = (Arc::new(lane.clone()), Arc::from(service));
        let mut dropped = Vec::new();
        let mut left_out = 0_u32;
        while self.is_full(bound, bytes) {
            let own = self.droppable(bound, &kind).next();
            let is_own = own.is_some();
            let Some(victim) = own.or_else(|| self.victim(bound)) else {
                break;
            };
            let Some(entry) = self.remove(victim) else {
                break;
            };
            let count = entry.left_out.saturating_add(1);
            if is_own {
                left_out = left_out.saturating_add(count);
            } else {
                let lane = self.lanes.entry(Arc::clone(&entry.lane)).or_default();
                lane.left_out = lane.left_out.saturating_add(count);
            }
            dropped.push((victim, entry));
        }
        (dropped, left_out)
    }

    fn is_full(&self, bound: Bound, bytes: u64) -> bool {
        let limits = &self.limits;
        let (most_count, most_bytes) = match bound {
            Bound::Spool => (limits.messages, limits.bytes),
            Bound::Memory => (limits.memory_messages, limits.memory_bytes),
        };
        let load = self.load(bound);
        load.count >= most_count || load.bytes.saturating_add(bytes) > most_bytes
    }

    const fn load(&self, bound: Bound) -> &Load {
        match bound {
            Bound::Spool => &self.spool,
            Bound::Memory => &self.memory,
        }
    }

    /// Messages of one kind that may go, the oldest first.
    fn droppable(&self, bound: Bound, kind: &Kind) -> impl Iterator<Item = u64> {
        let numbers = self.load(bound).kinds.get(kind);
        let numbers = numbers.into_iter().flatten().copied();
        numbers.filter(|&number| self.may_go(number))
    }

    /// Whether it is not under way. Few are at any time, so looking past them costs little.
    fn may_go(&self, number: u64) -> bool {
        visit();
        let Some(entry) = self.entries.get(&number) else {
            return false;
        };
        let lane = self.lanes.get(&entry.lane);
        !lane.is_some_and(|lane| lane.in_flight && lane.waiting.first() == Some(&number))
    }

    /// A repeat of any service, else the oldest message that may go.
    fn victim(&self, bound: Bound) -> Option<u64> {
        let load = self.load(bound);
        let repeated = load.repeated.iter().find_map(|kind| {
            let mut may_go = self.droppable(bound, kind);
            let first = may_go.next();
            may_go.next().and(first)
        });
        repeated.or_else(|| {
            let mut loose = load.loose.iter().copied();
            loose.find(|&number| self.may_go(number))
        })
    }
}
