//! What waits for delivery, and what is to be done next.
//!
//! Pure: moments come in as values, decisions go out as values; contents stay in the spool.
//! A *lane* is a sequence that keeps its order: one mail recipient, or one service at one
//! webhook receiver. An *endpoint* is what can be down as a whole: the mail relay, or one
//! receiver. A lane waits after a failure of its own, all lanes of an endpoint wait after a
//! failure of the endpoint.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use crate::daemon::outbox::Limits;
use crate::daemon::outbox::group::{Rate, fitting, transactions};
use crate::engine::event::AlertId;
use crate::time::{Mono, Now, Wall};

/// A sequence that keeps its order.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Lane {
    /// Mail to one recipient.
    Mail {
        /// Complete address.
        to: String,
        /// Complete address.
        from: String,
    },
    /// One service at one receiver.
    Webhook {
        /// The receiver.
        url: Arc<str>,
        /// `group/service`
        service: String,
    },
}

/// What can be down as a whole.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Endpoint {
    /// The way out for all mail.
    Relay,
    /// A receiver of webhooks.
    Webhook(Arc<str>),
}

impl Lane {
    pub(super) fn endpoint(&self) -> Endpoint {
        match self {
            Self::Mail { .. } => Endpoint::Relay,
            Self::Webhook { url, .. } => Endpoint::Webhook(Arc::clone(url)),
        }
    }
}

/// A message that waits or is under way. The content is elsewhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    /// Its sequence.
    pub(super) lane: Lane,
    /// `group/service`: messages of one service may be collapsed.
    pub(super) service: String,
    /// Ids of its events.
    pub(super) events: Vec<String>,
    /// When it was accepted, for the greatest age.
    pub(super) accepted: Wall,
    /// When this process got it, for grouping.
    pub(super) since: Mono,
    /// Size of its content.
    pub(super) bytes: u64,
    /// Of a settled mail.
    pub(super) message_id: Option<String>,
    /// Calls that wait for its end.
    pub(super) calls: Vec<AlertId>,
    /// Earlier messages that were dropped for it.
    pub(super) left_out: u32,
    /// It could not be written to the disk.
    pub(super) in_memory: bool,
}

#[derive(Clone, Debug, Default)]
struct LaneState {
    /// Messages in order; the least number is the head.
    waiting: BTreeSet<u64>,
    /// The head is being delivered.
    in_flight: bool,
    /// Failures in a row.
    attempts: u32,
    /// Rest after a failure.
    not_before: Mono,
    /// Why the last attempt failed.
    why: String,
    /// Messages dropped from this lane since its last mail.
    left_out: u32,
}

#[derive(Clone, Debug, Default)]
struct EndpointState {
    /// Deliveries under way.
    in_flight: u32,
    /// Failures in a row.
    attempts: u32,
    /// Rest after a failure.
    not_before: Mono,
    /// Why the last attempt failed.
    why: String,
}

/// Something to deliver now; it is marked as under way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Due {
    /// Over one connection: each the same mail to several recipients.
    Mails(Vec<Vec<u64>>),
    /// One webhook, and how many messages before it were dropped.
    Webhook(u64, u32),
}

/// What came of one delivery.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// Accepted.
    Delivered,
    /// Never to be accepted.
    Refused(String),
    /// To be tried again.
    Later(String),
    /// Not even tried; the endpoint failed.
    Untried,
}

/// What is to be made one mail: the members in order, and how many before them were dropped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Group {
    /// At least one.
    pub(super) members: Vec<u64>,
    /// See [`Entry::left_out`].
    pub(super) left_out: u32,
}

/// Which bound is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Bound {
    /// All messages.
    Spool,
    /// Those that the disk did not take.
    Memory,
}

/// Everything that waits.
#[derive(Clone, Debug)]
pub(super) struct Queue {
    limits: Limits,
    group_wait: Duration,
    entries: BTreeMap<u64, Entry>,
    lanes: BTreeMap<Lane, LaneState>,
    endpoints: BTreeMap<Endpoint, EndpointState>,
    /// Mails that left, by recipient.
    rates: BTreeMap<String, Rate>,
    /// Messages that may still be dropped, by lane and service.
    repeats: BTreeMap<(Lane, String), BTreeSet<u64>>,
    bytes: u64,
    memory_count: usize,
    memory_bytes: u64,
    random: fastrand::Rng,
}

/// Connections to one receiver at once.
const PER_RECEIVER: u32 = 4;
/// Webhooks under way at once, all receivers together.
const WEBHOOKS: u32 = 32;
/// Mails over one connection; the next connection takes up the rest.
const MAILS_PER_CONNECTION: usize = 50;
/// Attempts of this process before a message is given up for its age, so that a step of the
/// clock or a long stop of the daemon alone loses nothing.
const ATTEMPTS_LEAST: u32 = 3;

impl Queue {
    /// Nothing waits.
    pub(super) fn new(limits: Limits, group_wait: Duration, random: fastrand::Rng) -> Self {
        Self {
            limits,
            group_wait,
            entries: BTreeMap::new(),
            lanes: BTreeMap::new(),
            endpoints: BTreeMap::new(),
            rates: BTreeMap::new(),
            repeats: BTreeMap::new(),
            bytes: 0,
            memory_count: 0,
            memory_bytes: 0,
            random,
        }
    }

    /// Other settings. The relay may be another one: it is tried at once.
    pub(super) fn reload(&mut self, limits: Limits, group_wait: Duration) {
        self.limits = limits;
        self.group_wait = group_wait;
        if let Some(relay) = self.endpoints.get_mut(&Endpoint::Relay) {
            relay.not_before = Mono::ZERO;
        }
    }

    /// From now on nothing waits to be grouped: the daemon ends.
    pub(super) fn hurry(&mut self) {
        self.group_wait = Duration::ZERO;
    }

    /// Messages that wait or are under way.
    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    /// One of them.
    pub(super) fn entry(&self, number: u64) -> Option<&Entry> {
        self.entries.get(&number)
    }

    /// The message of a lane that tells this event already: after a crash the engine may send
    /// an alert once more that was in the spool before.
    pub(super) fn repeated(&mut self, lane: &Lane, event: &str) -> Option<&mut Entry> {
        let waiting = &self.lanes.get(lane)?.waiting;
        let tells = |entry: &Entry| entry.events.iter().any(|known| known == event);
        let number = waiting
            .iter()
            .find(|number| self.entries.get(number).is_some_and(tells))?;
        self.entries.get_mut(number)
    }

    /// Those that the disk did not take.
    pub(super) fn memory(&self) -> impl Iterator<Item = u64> {
        let entries = self.entries.iter().filter(|(_, entry)| entry.in_memory);
        entries.map(|(&number, _)| number)
    }

    /// Puts a message in line.
    pub(super) fn insert(&mut self, number: u64, entry: Entry) {
        let lane = self.lanes.entry(entry.lane.clone()).or_default();
        lane.waiting.insert(number);
        self.bytes = self.bytes.saturating_add(entry.bytes);
        if entry.in_memory {
            self.memory_count += 1;
            self.memory_bytes = self.memory_bytes.saturating_add(entry.bytes);
        }
        if entry.message_id.is_none() {
            let key = (entry.lane.clone(), entry.service.clone());
            self.repeats.entry(key).or_default().insert(number);
        }
        self.entries.insert(number, entry);
    }

    /// Takes a message out of line.
    pub(super) fn remove(&mut self, number: u64) -> Option<Entry> {
        let entry = self.entries.remove(&number)?;
        if let Some(lane) = self.lanes.get_mut(&entry.lane) {
            lane.waiting.remove(&number);
        }
        self.bytes = self.bytes.saturating_sub(entry.bytes);
        if entry.in_memory {
            self.memory_count = self.memory_count.saturating_sub(1);
            self.memory_bytes = self.memory_bytes.saturating_sub(entry.bytes);
        }
        self.forget_repeat(&entry, number);
        Some(entry)
    }

    fn forget_repeat(&mut self, entry: &Entry, number: u64) {
        let key = (entry.lane.clone(), entry.service.clone());
        if let Some(set) = self.repeats.get_mut(&key) {
            set.remove(&number);
            if set.is_empty() {
                self.repeats.remove(&key);
            }
        }
    }

    /// The disk did not take it, or takes it now.
    pub(super) fn set_in_memory(&mut self, number: u64, in_memory: bool) {
        if let Some(mut entry) = self.remove(number) {
            entry.in_memory = in_memory;
            self.insert(number, entry);
        }
    }

    /// Makes room for one message of `bytes` bytes and drops what has to go for it (D23).
    ///
    /// First the older messages of the same service in the same lane go: they are counted in
    /// the answer, and said in the new message. Then repeats of other services; then, where
    /// nothing is repeated, the oldest message; both are said in the next mail of their lane.
    /// What is under way or settled stays.
    pub(super) fn make_room(
        &mut self,
        bound: Bound,
        lane: &Lane,
        service: &str,
        bytes: u64,
    ) -> (Vec<(u64, Entry)>, u32) {
        let key = (lane.clone(), service.to_owned());
        let mut dropped = Vec::new();
        let mut left_out = 0_u32;
        while self.is_full(bound, bytes) {
            let own = self.droppable(bound, &key).next();
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
                let lane = self.lanes.entry(entry.lane.clone()).or_default();
                lane.left_out = lane.left_out.saturating_add(count);
            }
            dropped.push((victim, entry));
        }
        (dropped, left_out)
    }

    fn is_full(&self, bound: Bound, bytes: u64) -> bool {
        let (count, size, most_count, most_size) = match bound {
            Bound::Spool => (
                self.entries.len(),
                self.bytes,
                self.limits.messages,
                self.limits.bytes,
            ),
            Bound::Memory => (
                self.memory_count,
                self.memory_bytes,
                self.limits.memory_messages,
                self.limits.memory_bytes,
            ),
        };
        count >= most_count || size.saturating_add(bytes) > most_size
    }

    /// Messages of one service in one lane that may go, the oldest first.
    fn droppable(&self, bound: Bound, key: &(Lane, String)) -> impl Iterator<Item = u64> {
        let numbers = self.repeats.get(key).into_iter().flatten().copied();
        numbers.filter(move |&number| self.may_go(bound, number))
    }

    fn may_go(&self, bound: Bound, number: u64) -> bool {
        let Some(entry) = self.entries.get(&number) else {
            return false;
        };
        let is_under_way = self
            .lanes
            .get(&entry.lane)
            .is_some_and(|lane| lane.in_flight && lane.waiting.first() == Some(&number));
        !is_under_way && (bound == Bound::Spool || entry.in_memory)
    }

    /// A repeat of any service, else the oldest message that may go.
    fn victim(&self, bound: Bound) -> Option<u64> {
        let repeated = self.repeats.iter().find_map(|(key, numbers)| {
            if numbers.len() < 2 {
                return None;
            }
            let mut may_go = self.droppable(bound, key);
            let first = may_go.next();
            may_go.next().and(first)
        });
        let is_loose = |(_, entry): &(&u64, &Entry)| entry.message_id.is_none();
        let mut loose = self.entries.iter().filter(is_loose);
        repeated.or_else(|| {
            let found = loose.find(|&(&number, _)| self.may_go(bound, number));
            found.map(|(&number, _)| number)
        })
    }

    /// Mails that are to be settled now: their group wait is over and the relay is free.
    pub(super) fn groups(&self, now: Now) -> Vec<Group> {
        if self
            .endpoint_ready_at(&Endpoint::Relay)
            .is_none_or(|at| at > now.mono)
        {
            return Vec::new(); // While the relay is away or busy, events go on collecting.
        }
        let mut groups = Vec::new();
        for (lane, state) in &self.lanes {
            let Some(at) = self.group_closes(lane, state, now.mono) else {
                continue;
            };
            if at <= now.mono {
                let sizes = state.waiting.iter().map(|&number| self.bytes_of(number));
                let count = fitting(sizes);
                groups.push(Group {
                    members: state.waiting.iter().take(count).copied().collect(),
                    left_out: state.left_out,
                });
            }
        }
        groups.sort_by_key(|group| group.members.first().copied());
        groups
    }

    fn bytes_of(&self, number: u64) -> u64 {
        self.entries.get(&number).map_or(0, |entry| entry.bytes)
    }

    /// When the mail that collects in a lane is settled; none where none collects.
    fn group_closes(&self, lane: &Lane, state: &LaneState, now: Mono) -> Option<Mono> {
        let Lane::Mail { to, .. } = lane else {
            return None;
        };
        let first = self.entries.get(state.waiting.first()?)?;
        if first.message_id.is_some() {
            return None;
        }
        let most = self.limits.mails_per_hour;
        let is_storm = self
            .rates
            .get(to)
            .is_some_and(|rate| rate.is_reached(now, most));
        let wait = if self.group_wait.is_zero() {
            Duration::ZERO
        } else if is_storm {
            self.limits.digest_wait.max(self.group_wait)
        } else {
            self.group_wait
        };
        // A lane whose messages could not be read rests first.
        Some(first.since.after(wait).max(state.not_before))
    }

    /// A group was settled: its first member stands for all of them now.
    pub(super) fn sealed(&mut self, group: &Group, message_id: &str, bytes: u64, in_memory: bool) {
        let mut members = group.members.iter();
        let Some(&first) = members.next() else { return };
        let Some(mut entry) = self.remove(first) else {
            return;
        };
        for &other in members {
            if let Some(other) = self.remove(other) {
                entry.calls.extend(other.calls);
                entry.events.extend(other.events);
            }
        }
        if let Some(lane) = self.lanes.get_mut(&entry.lane) {
            lane.left_out = lane.left_out.saturating_sub(group.left_out);
        }
        entry.message_id = Some(message_id.to_owned());
        entry.bytes = bytes;
        entry.in_memory = in_memory;
        self.insert(first, entry);
    }

    /// What is to be delivered now; all of it is marked as under way.
    pub(super) fn due(&mut self, now: Now) -> Vec<Due> {
        let mut due = Vec::new();
        due.extend(self.due_mails(now.mono));
        due.extend(self.due_webhooks(now.mono));
        due
    }

    fn due_mails(&mut self, now: Mono) -> Option<Due> {
        if self
            .endpoint_ready_at(&Endpoint::Relay)
            .is_none_or(|at| at > now)
        {
            return None;
        }
        let mut heads = Vec::new();
        for (lane, state) in &self.lanes {
            if let (Lane::Mail { .. }, Some(&head)) = (lane, state.waiting.first())
                && !state.in_flight
                && state.not_before <= now
                && let Some(id) = self.message_id(head)
            {
                heads.push((state.attempts, head, id));
            }
        }
        // A mail on which the relay chokes must not stand before all others.
        heads.sort_unstable_by_key(|&(attempts, number, _)| (attempts, number));
        let mails: Vec<(u64, &str)> = heads
            .into_iter()
            .map(|(_, number, id)| (number, id))
            .collect();
        let transactions = transactions(&mails, MAILS_PER_CONNECTION);
        if transactions.is_empty() {
            return None;
        }
        for &number in transactions.iter().flatten() {
            self.mark(number);
        }
        self.endpoints.entry(Endpoint::Relay).or_default().in_flight = 1;
        Some(Due::Mails(transactions))
    }

    fn message_id(&self, number: u64) -> Option<&str> {
        self.entries.get(&number)?.message_id.as_deref()
    }

    fn mark(&mut self, number: u64) {
        if let Some(entry) = self.entries.get(&number)
            && let Some(lane) = self.lanes.get_mut(&entry.lane)
        {
            lane.in_flight = true;
        }
    }

    fn due_webhooks(&mut self, now: Mono) -> Vec<Due> {
        let mut heads: Vec<(u32, u64, Endpoint, u32)> = Vec::new();
        for (lane, state) in &self.lanes {
            if let (Lane::Webhook { .. }, Some(&head)) = (lane, state.waiting.first())
                && !state.in_flight
                && state.not_before <= now
            {
                heads.push((state.attempts, head, lane.endpoint(), state.left_out));
            }
        }
        heads.sort_unstable_by_key(|&(attempts, number, ..)| (attempts, number));
        let mut under_way = self.webhooks_under_way();
        let mut due = Vec::new();
        for (_, number, endpoint, left_out) in heads {
            if under_way >= WEBHOOKS {
                break;
            }
            if self
                .endpoint_ready_at(&endpoint)
                .is_some_and(|at| at <= now)
            {
                self.endpoints.entry(endpoint).or_default().in_flight += 1;
                self.mark(number);
                under_way += 1;
                due.push(Due::Webhook(number, left_out));
            }
        }
        due
    }

    fn webhooks_under_way(&self) -> u32 {
        let is_webhook = |(endpoint, _): &(&Endpoint, _)| **endpoint != Endpoint::Relay;
        let busy = self.endpoints.iter().filter(is_webhook);
        busy.map(|(_, state)| state.in_flight).sum()
    }

    /// From when on an endpoint takes one more delivery; none while it is full.
    ///
    /// One that failed is tried with a single message.
    fn endpoint_ready_at(&self, endpoint: &Endpoint) -> Option<Mono> {
        let Some(state) = self.endpoints.get(endpoint) else {
            return Some(Mono::ZERO);
        };
        let most = match endpoint {
            Endpoint::Relay => 1,
            Endpoint::Webhook(_) if state.attempts > 0 => 1,
            Endpoint::Webhook(_) => PER_RECEIVER,
        };
        (state.in_flight < most).then_some(state.not_before)
    }

    /// A delivery ended. The entry comes back where it is finished, with the reason where it
    /// was given up.
    pub(super) fn settle(
        &mut self,
        now: Now,
        number: u64,
        outcome: Outcome,
        told_left_out: u32,
    ) -> Option<(Entry, Result<(), String>)> {
        let lane_key = self.entries.get(&number)?.lane.clone();
        let rest = |attempts: u32, random: &mut fastrand::Rng, limits: &Limits| {
            backoff(limits, attempts, random.f64())
        };
        let lane = self.lanes.entry(lane_key.clone()).or_default();
        lane.in_flight = false;
        match outcome {
            Outcome::Delivered => {
                lane.attempts = 0;
                lane.left_out = lane.left_out.saturating_sub(told_left_out);
                if let Lane::Mail { to, .. } = lane_key {
                    let rate = self.rates.entry(to).or_default();
                    rate.count(now.mono, self.limits.mails_per_hour);
                }
                self.remove(number).map(|entry| (entry, Ok(())))
            }
            Outcome::Refused(why) => {
                lane.attempts = 0;
                self.remove(number).map(|entry| (entry, Err(why)))
            }
            Outcome::Later(why) => {
                lane.attempts = lane.attempts.saturating_add(1);
                let wait = rest(lane.attempts, &mut self.random, &self.limits);
                lane.not_before = now.mono.after(wait);
                lane.why = why;
                None
            }
            Outcome::Untried => None,
        }
    }

    /// A delivery to an endpoint ended: it works, or it does not, for a reason and perhaps
    /// with a wait that it asked for. Returns the wait until the next attempt where it failed.
    pub(super) fn endpoint_done(
        &mut self,
        now: Now,
        endpoint: &Endpoint,
        fault: Option<(String, Option<Duration>)>,
    ) -> Option<Duration> {
        let state = self.endpoints.entry(endpoint.clone()).or_default();
        state.in_flight = state.in_flight.saturating_sub(1);
        let Some((why, asked)) = fault else {
            state.attempts = 0;
            state.not_before = Mono::ZERO;
            return None;
        };
        // Of several that failed side by side only the first counts.
        if state.not_before <= now.mono {
            state.attempts = state.attempts.saturating_add(1);
        }
        let own = backoff(&self.limits, state.attempts, self.random.f64());
        let wait = own.max(asked.unwrap_or_default());
        state.not_before = state.not_before.max(now.mono.after(wait));
        state.why = why;
        Some(wait)
    }

    /// Whether the last attempt at an endpoint failed.
    pub(super) fn is_closed(&self, endpoint: &Endpoint) -> bool {
        self.endpoints
            .get(endpoint)
            .is_some_and(|state| state.attempts > 0)
    }

    /// Messages that are too old and were tried often enough: they are taken out and given up,
    /// for the reason of the last failure.
    pub(super) fn give_up_old(&mut self, now: Now) -> Vec<(u64, Entry, String)> {
        let mut old = Vec::new();
        for (&number, entry) in &self.entries {
            if now.wall.since(entry.accepted) < self.limits.give_up_after {
                continue;
            }
            let Some(lane) = self.lanes.get(&entry.lane) else {
                continue;
            };
            let endpoint = self.endpoints.get(&entry.lane.endpoint());
            let attempts = lane.attempts + endpoint.map_or(0, |state| state.attempts);
            if lane.in_flight || attempts < ATTEMPTS_LEAST {
                continue;
            }
            let reasons = [
                Some(lane.why.as_str()),
                endpoint.map(|state| state.why.as_str()),
            ];
            let why = reasons.into_iter().flatten().find(|why| !why.is_empty());
            old.push((number, why.unwrap_or("too old").to_owned()));
        }
        let mut given_up = Vec::new();
        for (number, why) in old {
            if let Some(entry) = self.remove(number) {
                given_up.push((number, entry, why));
            }
        }
        given_up
    }

    /// When there is something to do next, without any new event.
    pub(super) fn next(&self, now: Now) -> Option<Mono> {
        let mut next: Option<Mono> = None;
        let is_full = self.webhooks_under_way() >= WEBHOOKS;
        for (lane, state) in &self.lanes {
            let is_held = is_full && matches!(lane, Lane::Webhook { .. });
            if state.in_flight || is_held || state.waiting.is_empty() {
                continue; // The end of a delivery wakes it.
            }
            let Some(ready) = self.endpoint_ready_at(&lane.endpoint()) else {
                continue;
            };
            let own = self.group_closes(lane, state, now.mono);
            let at = own.unwrap_or(state.not_before).max(ready);
            next = Some(next.map_or(at, |next| next.min(at)));
        }
        next
    }

    /// Drops what is not needed any more, so that names that come and go leave nothing.
    pub(super) fn tidy(&mut self, now: Now) {
        self.rates.retain(|_, rate| !rate.is_over(now.mono));
        self.lanes
            .retain(|_, lane| !lane.waiting.is_empty() || lane.in_flight || lane.left_out > 0);
        let lanes = &self.lanes;
        self.endpoints.retain(|endpoint, state| {
            state.in_flight > 0
                || state.attempts > 0 && lanes.keys().any(|lane| lane.endpoint() == *endpoint)
        });
    }
}

/// How long to rest after so many failures in a row: doubled each time up to a greatest
/// value, then varied by a fifth so that many do not come back together. `random` is in 0..1.
fn backoff(limits: &Limits, attempts: u32, random: f64) -> Duration {
    let doublings = attempts.saturating_sub(1).min(20);
    let wait = limits.retry_first.saturating_mul(1 << doublings);
    wait.min(limits.retry_most)
        .mul_f64(0.8 + 0.4 * random.clamp(0.0, 1.0))
}

#[cfg(test)]
mod tests;
