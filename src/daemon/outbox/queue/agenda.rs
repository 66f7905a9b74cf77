//! Whose turn it is, and when: lanes and endpoints in the order of their moments.
//!
//! Pure. A lane has at most one [`Turn`] here; the queue takes it out and puts it in anew with
//! each change of the lane. Every question costs a few steps down a tree, whatever the number
//! of lanes; a lane that has rested is looked at once when its rest is over.

use std::collections::{BTreeMap, BTreeSet};

use crate::daemon::outbox::queue::Endpoint;
use crate::effort::visit;
use crate::time::Mono;

/// Connections to one receiver at once: one slow answer does not hold the rest, and a small
/// server is not flooded after an outage.
const PER_RECEIVER: u32 = 4;
/// Webhooks under way at once, all receivers together: eight dead receivers fill it until their
/// time limit, and the sockets stay few beside those of the checks.
const WEBHOOKS: u32 = 32;

/// What a lane waits for. `head` is its first message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Turn {
    /// Its mail is settled at this moment.
    Collects { closes: Mono, head: u64 },
    /// Its head may be delivered from this moment on, fewer attempts first.
    Ready { at: Mono, attempts: u32, head: u64 },
}

/// One endpoint and the lanes that lead to it.
#[derive(Clone, Debug, Default)]
struct Line {
    /// Deliveries under way.
    in_flight: u32,
    /// Failures in a row.
    attempts: u32,
    /// Rest after a failure.
    not_before: Mono,
    /// Why the last attempt failed.
    why: String,
    /// Lanes whose mail is not settled yet, by the moment when it is.
    collecting: BTreeSet<(Mono, u64)>,
    /// Lanes that may go later: moment, attempts, head.
    resting: BTreeSet<(Mono, u32, u64)>,
    /// Lanes that may go: attempts, head.
    ready: BTreeSet<(u32, u64)>,
    /// A receiver's place among the receivers.
    offer: Option<Offer>,
}

/// Where a receiver stands while it takes one more delivery and there is one for it.
#[derive(Clone, Copy, Debug)]
enum Offer {
    /// From that moment on.
    Later(Mono),
    /// Now, with this lane: attempts, head.
    Now(u32, u64),
}

/// All turns of lanes, and the state of all endpoints.
#[derive(Clone, Debug, Default)]
pub(super) struct Agenda {
    lines: BTreeMap<Endpoint, Line>,
    later: BTreeSet<(Mono, Endpoint)>,
    now: BTreeSet<(u32, u64, Endpoint)>,
    /// Webhooks under way.
    webhooks: u32,
}

impl Line {
    fn is_empty(&self) -> bool {
        self.collecting.is_empty() && self.resting.is_empty() && self.ready.is_empty()
    }

    /// Moves the lanes whose rest is over.
    fn ripen(&mut self, now: Mono) {
        while let Some(&(at, attempts, head)) = self.resting.first()
            && at <= now
        {
            visit();
            self.resting.pop_first();
            self.ready.insert((attempts, head));
        }
    }

    /// When the first settled message may go, for all that its lane knows.
    fn first_ready(&self) -> Option<Mono> {
        if self.ready.is_empty() {
            return self.resting.first().map(|(at, ..)| *at);
        }
        Some(Mono::ZERO)
    }

    /// Whether one more may be under way. An endpoint that failed is tried with a single one.
    fn has_room(&self, endpoint: &Endpoint) -> bool {
        let most = match endpoint {
            Endpoint::Relay => 1,
            Endpoint::Webhook(_) if self.attempts > 0 => 1,
            Endpoint::Webhook(_) => PER_RECEIVER,
        };
        self.in_flight < most
    }
}

impl Agenda {
    /// A lane of this endpoint changed its turn.
    pub(super) fn move_lane(&mut self, endpoint: &Endpoint, old: Option<Turn>, new: Option<Turn>) {
        self.change(endpoint, |line| {
            match old {
                Some(Turn::Collects { closes, head }) => {
                    line.collecting.remove(&(closes, head));
                }
                Some(Turn::Ready { at, attempts, head }) => {
                    // In one of them, as its rest is over or not.
                    line.ready.remove(&(attempts, head));
                    line.resting.remove(&(at, attempts, head));
                }
                None => {}
            }
            match new {
                Some(Turn::Collects { closes, head }) => {
                    line.collecting.insert((closes, head));
                }
                Some(Turn::Ready { at, attempts, head }) => {
                    line.resting.insert((at, attempts, head));
                }
                None => {}
            }
        });
    }

    /// Whether the relay takes mail at `now`.
    pub(super) fn takes_mail(&self, now: Mono) -> bool {
        self.lines
            .get(&Endpoint::Relay)
            .is_none_or(|line| line.has_room(&Endpoint::Relay) && line.not_before <= now)
    }

    /// Heads of the lanes whose mail is to be settled at `now`.
    pub(super) fn closed_groups(&self, now: Mono) -> impl Iterator<Item = u64> {
        let line = self.lines.get(&Endpoint::Relay);
        let lanes = line.into_iter().flat_map(|line| &line.collecting);
        let lanes = lanes.inspect(|_| visit());
        let closed = lanes.take_while(move |(closes, _)| *closes <= now);
        closed.map(|(_, head)| *head)
    }

    /// Heads of the lanes whose settled mail may go at `now`, fewer attempts first.
    pub(super) fn ready_mails(&mut self, now: Mono) -> impl Iterator<Item = u64> {
        let line = self.lines.get_mut(&Endpoint::Relay);
        let line = line.map(|line| {
            line.ripen(now);
            &*line
        });
        let ready = line.into_iter().flat_map(|line| &line.ready);
        ready.inspect(|_| visit()).map(|(_, head)| *head)
    }

    /// The webhook that goes next, fewer attempts first; none while all there is must wait.
    pub(super) fn next_webhook(&mut self, now: Mono) -> Option<(u64, Endpoint)> {
        while let Some((at, _)) = self.later.first()
            && *at <= now
        {
            visit();
            let (_, endpoint) = self.later.pop_first()?;
            let Some(line) = self.lines.get_mut(&endpoint) else {
                continue;
            };
            line.offer = None;
            line.ripen(now);
            if let Some(&(attempts, head)) = line.ready.first() {
                line.offer = Some(Offer::Now(attempts, head));
                self.now.insert((attempts, head, endpoint));
            }
        }
        if self.webhooks >= WEBHOOKS {
            return None;
        }
        let (_, head, endpoint) = self.now.first()?;
        Some((*head, endpoint.clone()))
    }

    /// A delivery is under way.
    pub(super) fn started(&mut self, endpoint: &Endpoint) {
        if *endpoint != Endpoint::Relay {
            self.webhooks = self.webhooks.saturating_add(1);
        }
        self.change(endpoint, |line| line.in_flight += 1);
    }

    /// A delivery ended well.
    pub(super) fn worked(&mut self, endpoint: &Endpoint) {
        self.ended(endpoint);
        self.change(endpoint, |line| {
            line.attempts = 0;
            line.not_before = Mono::ZERO;
        });
    }

    /// A delivery ended badly. Answers how often in a row; of several that failed side by side
    /// only the first counts.
    pub(super) fn failed(&mut self, endpoint: &Endpoint, now: Mono, why: String) -> u32 {
        self.ended(endpoint);
        self.change(endpoint, |line| {
            if line.not_before <= now {
                line.attempts = line.attempts.saturating_add(1);
            }
            line.why = why;
        });
        self.attempts(endpoint)
    }

    /// Nothing goes there until that moment, or until a later one that was said before.
    pub(super) fn rest(&mut self, endpoint: &Endpoint, until: Mono) {
        self.change(endpoint, |line| {
            line.not_before = line.not_before.max(until)
        });
    }

    /// Until when nothing goes there.
    pub(super) fn rests_until(&self, endpoint: &Endpoint) -> Mono {
        let line = self.lines.get(endpoint);
        line.map_or(Mono::ZERO, |line| line.not_before)
    }

    /// It need not rest any longer.
    pub(super) fn try_at_once(&mut self, endpoint: &Endpoint) {
        self.change(endpoint, |line| line.not_before = Mono::ZERO);
    }

    /// Failures in a row.
    pub(super) fn attempts(&self, endpoint: &Endpoint) -> u32 {
        self.lines.get(endpoint).map_or(0, |line| line.attempts)
    }

    /// Why the last attempt failed; empty where none did.
    pub(super) fn why(&self, endpoint: &Endpoint) -> &str {
        self.lines.get(endpoint).map_or("", |line| &line.why)
    }

    /// When there is something to do without a new event. A moment in the past means now.
    pub(super) fn next(&self) -> Option<Mono> {
        let relay = self.lines.get(&Endpoint::Relay).and_then(|line| {
            let collects = line.collecting.first().map(|(closes, _)| *closes);
            let first = [collects, line.first_ready()].into_iter().flatten().min();
            let at = first?.max(line.not_before);
            line.has_room(&Endpoint::Relay).then_some(at)
        });
        let webhook = if self.webhooks >= WEBHOOKS {
            None // The end of a delivery wakes it.
        } else if self.now.is_empty() {
            self.later.first().map(|(at, _)| *at)
        } else {
            Some(Mono::ZERO)
        };
        [relay, webhook].into_iter().flatten().min()
    }

    /// Forgets endpoints for which nothing waits.
    pub(super) fn tidy(&mut self) {
        self.lines
            .retain(|_, line| line.in_flight > 0 || !line.is_empty());
    }

    fn ended(&mut self, endpoint: &Endpoint) {
        if *endpoint != Endpoint::Relay {
            self.webhooks = self.webhooks.saturating_sub(1);
        }
        self.change(endpoint, |line| {
            line.in_flight = line.in_flight.saturating_sub(1);
        });
    }

    /// Changes an endpoint and gives it its place among the others.
    fn change(&mut self, endpoint: &Endpoint, change: impl FnOnce(&mut Line)) {
        let line = self.lines.entry(endpoint.clone()).or_default();
        change(line);
        if *endpoint == Endpoint::Relay {
            return; // It stands beside the receivers, not among them.
        }
        match line.offer.take() {
            Some(Offer::Later(at)) => {
                self.later.remove(&(at, endpoint.clone()));
            }
            Some(Offer::Now(attempts, head)) => {
                self.now.remove(&(attempts, head, endpoint.clone()));
            }
            None => {}
        }
        if line.has_room(endpoint)
            && let Some(first) = line.first_ready()
        {
            let at = first.max(line.not_before);
            line.offer = Some(Offer::Later(at));
            self.later.insert((at, endpoint.clone()));
        }
    }
}
