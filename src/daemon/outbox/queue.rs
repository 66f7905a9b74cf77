//! What waits for delivery, and what is to be done next.
//!
//! Pure: moments come in as values, decisions go out as values; contents stay in the spool.
//! What has to go when it is full is in `room`, whose turn it is in `agenda`: no step here walks
//! over all lanes, so that a storm over ten thousand of them costs each the same. Which events a
//! message tells, and whether it is for this director to tell, is in [`crate::pair::post`].
//!
//! A *lane* is a sequence that keeps its order: one mail recipient, or one service at one
//! webhook receiver. An *endpoint* is what can be down as a whole: the mail relay, or one
//! receiver. A lane waits after a failure of its own, all lanes of an endpoint wait after a
//! failure of the endpoint.

mod agenda;
mod room;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use crate::daemon::outbox::Limits;
use crate::daemon::outbox::group::{Rate, fitting, transactions};
use crate::daemon::outbox::queue::agenda::{Agenda, Turn};
use crate::daemon::outbox::queue::room::Load;
use crate::effort::visit;
use crate::engine::event::AlertId;
use crate::pair::post::{self, Came, Chance};
use crate::time::{Mono, Now, Wall};

pub(super) use room::Bound;

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
    pub(super) lane: Arc<Lane>,
    /// `group/service`: messages of one service may be collapsed.
    pub(super) service: Arc<str>,
    /// When it came, for the greatest age.
    pub(super) came: Came,
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
    /// Where it stands in the agenda; none while it has nothing to wait for.
    turn: Option<Turn>,
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

/// Everything that waits.
#[derive(Clone, Debug)]
pub(super) struct Queue {
    limits: Limits,
    group_wait: Duration,
    entries: BTreeMap<u64, Entry>,
    lanes: BTreeMap<Arc<Lane>, LaneState>,
    agenda: Agenda,
    /// Mails that left, by recipient.
    rates: BTreeMap<String, Rate>,
    /// All messages, by either clock the oldest first.
    ages: BTreeSet<(Came, u64)>,
    /// All messages, counted.
    spool: Load,
    /// Those that the disk did not take, counted.
    memory: Load,
    in_memory: BTreeSet<u64>,
    /// Nothing leaves: the other director tells people.
    is_held: bool,
    random: fastrand::Rng,
}

/// Mails over one connection; the next connection takes up the rest. Relays end a connection
/// after some number of their own, 100 with many; half of that meets none.
const MAILS_PER_CONNECTION: usize = 50;
/// Mails looked at for one connection: the same mail to many recipients is one transaction.
const MAILS_LOOKED_AT: usize = 20 * MAILS_PER_CONNECTION;

impl Queue {
    /// Nothing waits.
    pub(super) fn new(limits: Limits, group_wait: Duration, random: fastrand::Rng) -> Self {
        Self {
            limits,
            group_wait,
            entries: BTreeMap::new(),
            lanes: BTreeMap::new(),
            agenda: Agenda::default(),
            rates: BTreeMap::new(),
            ages: BTreeSet::new(),
            spool: Load::default(),
            memory: Load::default(),
            in_memory: BTreeSet::new(),
            is_held: false,
            random,
        }
    }

    /// Other settings. The relay may be another one: it is tried at once.
    pub(super) fn reload(&mut self, limits: Limits, group_wait: Duration) {
        self.limits = limits;
        self.group_wait = group_wait;
        self.agenda.try_at_once(&Endpoint::Relay);
        self.place_all();
    }

    /// From now on nothing waits to be grouped: the daemon ends.
    pub(super) fn hurry(&mut self) {
        self.group_wait = Duration::ZERO;
        self.place_all();
    }

    /// Messages that wait or are under way.
    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    /// One of them.
    pub(super) fn entry(&self, number: u64) -> Option<&Entry> {
        self.entries.get(&number)
    }

    /// One more call waits for the end of a message.
    pub(super) fn add_call(&mut self, number: u64, call: AlertId) {
        if let Some(entry) = self.entries.get_mut(&number) {
            entry.calls.push(call);
        }
    }

    /// Those that the disk did not take.
    pub(super) fn memory(&self) -> impl Iterator<Item = u64> {
        self.in_memory.iter().copied()
    }

    /// From now on nothing leaves: what comes in waits in its lanes, and is bounded as always.
    pub(super) const fn hold(&mut self) {
        self.is_held = true;
    }

    /// From now on everything leaves in its turn.
    pub(super) const fn release(&mut self) {
        self.is_held = false;
    }

    /// Puts a message in line.
    pub(super) fn insert(&mut self, number: u64, mut entry: Entry) {
        if let Some((known, _)) = self.lanes.get_key_value(&entry.lane) {
            entry.lane = Arc::clone(known); // One copy of its words for all messages.
        }
        let lane = Arc::clone(&entry.lane);
        let state = self.lanes.entry(Arc::clone(&lane)).or_default();
        state.waiting.insert(number);
        self.spool.put(number, &entry);
        if entry.in_memory {
            self.memory.put(number, &entry);
            self.in_memory.insert(number);
        }
        self.ages.insert((entry.came, number));
        self.entries.insert(number, entry);
        self.place(&lane);
    }

    /// Takes a message out of line.
    pub(super) fn remove(&mut self, number: u64) -> Option<Entry> {
        let entry = self.entries.remove(&number)?;
        if let Some(lane) = self.lanes.get_mut(&entry.lane) {
            lane.waiting.remove(&number);
        }
        self.spool.take(number, &entry);
        if entry.in_memory {
            self.memory.take(number, &entry);
            self.in_memory.remove(&number);
        }
        self.ages.remove(&(entry.came, number));
        self.place(&entry.lane);
        Some(entry)
    }

    /// The disk did not take it, or takes it now.
    pub(super) fn set_in_memory(&mut self, number: u64, in_memory: bool) {
        let Some(entry) = self.entries.get_mut(&number) else {
            return;
        };
        if entry.in_memory == in_memory {
            return;
        }
        entry.in_memory = in_memory;
        if in_memory {
            self.memory.put(number, entry);
            self.in_memory.insert(number);
        } else {
            self.memory.take(number, entry);
            self.in_memory.remove(&number);
        }
    }

    /// Gives a lane its place in the agenda anew: something of it has changed.
    fn place(&mut self, lane: &Arc<Lane>) {
        let turn = self
            .lanes
            .get(lane)
            .and_then(|state| self.turn(lane, state));
        if let Some(state) = self.lanes.get_mut(lane) {
            let old = std::mem::replace(&mut state.turn, turn);
            if old != turn {
                self.agenda.move_lane(&lane.endpoint(), old, turn);
            }
        }
    }

    /// The same for every lane.
    fn place_all(&mut self) {
        let lanes: Vec<Arc<Lane>> = self.lanes.keys().cloned().collect();
        for lane in &lanes {
            self.place(lane);
        }
    }

    /// What a lane waits for by itself; none while its head is under way.
    fn turn(&self, lane: &Lane, state: &LaneState) -> Option<Turn> {
        visit();
        let &head = state.waiting.first()?;
        if state.in_flight {
            return None; // The end of the delivery wakes it.
        }
        let entry = self.entries.get(&head)?;
        Some(match lane {
            Lane::Mail { to, .. } if entry.message_id.is_none() => Turn::Collects {
                closes: self.group_closes(to, entry.since).max(state.not_before),
                head,
            },
            Lane::Mail { .. } | Lane::Webhook { .. } => Turn::Ready {
                at: state.not_before,
                attempts: state.attempts,
                head,
            },
        })
    }

    /// When the mail to `to` that collects since `since` is settled.
    fn group_closes(&self, to: &str, since: Mono) -> Mono {
        let early = since.after(self.group_wait);
        if self.group_wait.is_zero() {
            return early;
        }
        let late = since.after(self.limits.digest_wait.max(self.group_wait));
        let most = self.limits.mails_per_hour;
        let storm = self.rates.get(to).and_then(|rate| rate.reached_until(most));
        storm.map_or(early, |until| late.min(until).max(early))
    }

    /// Mails that are to be settled now: their group wait is over and the relay is free.
    pub(super) fn groups(&self, now: Now) -> Vec<Group> {
        if self.is_held || !self.agenda.takes_mail(now.mono) {
            return Vec::new(); // While the relay is away or busy, events go on collecting.
        }
        let heads = self.agenda.closed_groups(now.mono);
        let mut groups: Vec<Group> = heads.filter_map(|head| self.group_of(head)).collect();
        groups.sort_by_key(|group| group.members.first().copied());
        groups
    }

    fn group_of(&self, head: u64) -> Option<Group> {
        let state = self.lanes.get(&self.entries.get(&head)?.lane)?;
        let bytes_of = |number| {
            visit();
            self.entries.get(number).map_or(0, |entry| entry.bytes)
        };
        let count = fitting(state.waiting.iter().map(bytes_of));
        Some(Group {
            members: state.waiting.iter().take(count).copied().collect(),
            left_out: state.left_out,
        })
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
        if self.is_held {
            return due;
        }
        due.extend(self.due_mails(now.mono));
        due.extend(self.due_webhooks(now.mono));
        due
    }

    fn due_mails(&mut self, now: Mono) -> Option<Due> {
        if !self.agenda.takes_mail(now) {
            return None;
        }
        // A mail on which the relay chokes does not stand before all others.
        let heads = self.agenda.ready_mails(now).take(MAILS_LOOKED_AT);
        let mails: Vec<(u64, &str)> = heads
            .filter_map(|number| Some((number, self.entries.get(&number)?.message_id.as_deref()?)))
            .collect();
        let transactions = transactions(&mails, MAILS_PER_CONNECTION);
        if transactions.is_empty() {
            return None;
        }
        for &number in transactions.iter().flatten() {
            self.mark(number);
        }
        self.agenda.started(&Endpoint::Relay);
        Some(Due::Mails(transactions))
    }

    /// Notes that the head of a lane is under way.
    fn mark(&mut self, number: u64) {
        let Some(entry) = self.entries.get(&number) else {
            return;
        };
        let lane = Arc::clone(&entry.lane);
        if let Some(state) = self.lanes.get_mut(&lane) {
            state.in_flight = true;
        }
        self.place(&lane);
    }

    fn due_webhooks(&mut self, now: Mono) -> Vec<Due> {
        let mut due = Vec::new();
        while let Some((number, endpoint)) = self.agenda.next_webhook(now) {
            let lane = self
                .entries
                .get(&number)
                .and_then(|it| self.lanes.get(&it.lane));
            due.push(Due::Webhook(number, lane.map_or(0, |lane| lane.left_out)));
            self.mark(number);
            self.agenda.started(&endpoint);
        }
        due
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
        let key = Arc::clone(&self.entries.get(&number)?.lane);
        let lane = self.lanes.entry(Arc::clone(&key)).or_default();
        lane.in_flight = false;
        match outcome {
            Outcome::Delivered => {
                lane.attempts = 0;
                lane.left_out = lane.left_out.saturating_sub(told_left_out);
                let entry = self.remove(number);
                if let Lane::Mail { to, .. } = &*key {
                    self.count_mail(now.mono, to);
                }
                entry.map(|entry| (entry, Ok(())))
            }
            Outcome::Refused(why) => {
                lane.attempts = 0;
                self.remove(number).map(|entry| (entry, Err(why)))
            }
            Outcome::Later(why) => {
                lane.attempts = lane.attempts.saturating_add(1);
                let wait = backoff(&self.limits, lane.attempts, self.random.f64());
                lane.not_before = now.mono.after(wait);
                lane.why = why;
                self.place(&key);
                None
            }
            Outcome::Untried => {
                self.place(&key);
                None
            }
        }
    }

    /// How long a message waits at least for its next try: its own pause, or that of its endpoint.
    pub(super) fn again_in(&self, now: Now, number: u64) -> Duration {
        let Some(entry) = self.entries.get(&number) else {
            return Duration::ZERO;
        };
        let own = self.lanes.get(&entry.lane).map(|lane| lane.not_before);
        let rests = self.agenda.rests_until(&entry.lane.endpoint());
        rests.max(own.unwrap_or(rests)).since(now.mono)
    }

    /// One more mail to `to` has left, whatever sender it had.
    fn count_mail(&mut self, now: Mono, to: &str) {
        let rate = self.rates.entry(to.to_owned()).or_default();
        rate.count(now, self.limits.mails_per_hour);
        let first = Lane::Mail {
            to: to.to_owned(),
            from: String::new(),
        };
        let is_same = |lane: &&Arc<Lane>| matches!(&***lane, Lane::Mail { to: it, .. } if it == to);
        let lanes = self.lanes.range(Arc::new(first)..).map(|(lane, _)| lane);
        let lanes: Vec<Arc<Lane>> = lanes.take_while(is_same).cloned().collect();
        for lane in &lanes {
            self.place(lane);
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
        let Some((why, asked)) = fault else {
            self.agenda.worked(endpoint);
            return None;
        };
        let attempts = self.agenda.failed(endpoint, now.mono, why);
        let own = backoff(&self.limits, attempts, self.random.f64());
        let wait = own.max(asked.unwrap_or_default());
        self.agenda.rest(endpoint, now.mono.after(wait));
        Some(wait)
    }

    /// Whether the last attempt at an endpoint failed.
    pub(super) fn is_closed(&self, endpoint: &Endpoint) -> bool {
        self.agenda.attempts(endpoint) > 0
    }

    /// Messages that are too old and were tried often enough: they are taken out and given up,
    /// for the reason of the last failure.
    pub(super) fn give_up_old(&mut self, now: Now) -> Vec<(u64, Entry, String)> {
        let mut old = Vec::new();
        let most = self.limits.give_up_after;
        let is_old = |(came, _): &&(Came, u64)| {
            visit();
            came.age(now) >= most
        };
        let of_before = (Came::Before(Wall::from_micros(i64::MIN)), 0);
        let here = self.ages.range(..of_before).take_while(is_old);
        let before = self.ages.range(of_before..).take_while(is_old);
        for &(came, number) in here.chain(before) {
            let Some(entry) = self.entries.get(&number) else {
                continue;
            };
            let Some(lane) = self.lanes.get(&entry.lane) else {
                continue;
            };
            let endpoint = entry.lane.endpoint();
            let attempts = lane.attempts + self.agenda.attempts(&endpoint);
            let is_over = post::is_given_up(came.age(now), Chance::Tried(attempts), most);
            if lane.in_flight || !is_over {
                continue;
            }
            let reasons = [lane.why.as_str(), self.agenda.why(&endpoint)];
            let why = reasons.into_iter().find(|why| !why.is_empty());
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
    pub(super) fn next(&self) -> Option<Mono> {
        self.agenda.next().filter(|_| !self.is_held)
    }

    /// Drops what is not needed any more, so that names that come and go leave nothing.
    pub(super) fn tidy(&mut self, now: Now) {
        self.rates.retain(|_, rate| !rate.is_over(now.mono));
        self.lanes
            .retain(|_, lane| !lane.waiting.is_empty() || lane.in_flight || lane.left_out > 0);
        self.agenda.tidy();
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
