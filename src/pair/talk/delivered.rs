//! Which messages were delivered, by whichever of the two directors?
//!
//! A message is one event for one receiver: of an alert line with two recipients one may have
//! been reached and the other not. Bounded by number and age, the oldest go first; what is
//! forgotten here can only be told twice, never lost.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::effort::visit;
use crate::pair::talk::event::{EventId, EventKind};
use crate::time::Mono;

/// Deliveries that are remembered: as many as a spool holds messages, some 2 MB.
pub const DELIVERED_MAX: usize = 10_000;

/// How long they are remembered: longer than the longest interval between two checks of a service
/// that anybody writes, so that the slower director still finds what the faster one has told.
pub const DELIVERED_AGE: Duration = Duration::from_secs(86_400);

/// Longest event id and receiver that is believed, in bytes.
const TEXT_MAX: usize = 2_048;

/// The group of alerts that are about a declared virtual service; its name is the virtual service.
pub const SECTION_GROUP: &str = "virtual";

/// One message that was accepted by the relay or receiver.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Delivery {
    /// Its event id.
    pub event: Arc<str>,
    /// Whom it was for: an address, or what [`receiver`](crate::pair::post::receiver) says.
    pub to: Arc<str>,
}

/// Kind and number of calls.
type Calls = BTreeSet<(Box<str>, u32)>;

/// The deliveries that are remembered.
#[derive(Clone, Debug, Default)]
pub struct Delivered {
    /// By outage and receiver: kind and number of each.
    by_outage: BTreeMap<(Box<str>, Arc<str>), Calls>,
    /// In the order in which they were heard of.
    order: VecDeque<(Mono, Delivery)>,
    /// Number of the first in `order`.
    first: u64,
}

impl Delivered {
    /// Remembers one; false where it is known already, or is none.
    pub fn add(&mut self, now: Mono, delivery: Delivery) -> bool {
        let is_short = delivery.event.len() <= TEXT_MAX && delivery.to.len() <= TEXT_MAX;
        let Some(id) = EventId::of(&delivery.event).filter(|_| is_short) else {
            return false;
        };
        let key = (id.outage.into(), Arc::clone(&delivery.to));
        let known = self.by_outage.entry(key).or_default();
        if !known.insert((id.kind.word().into(), id.number)) {
            return false;
        }
        self.order.push_back((now, delivery));
        while self.order.len() > DELIVERED_MAX {
            self.drop_first();
        }
        true
    }

    /// The outage `from` has the number of `to` from now on: what was delivered of it counts under
    /// both, since whoever hears of it may know either.
    ///
    /// Where its end was delivered it is over, and `to` is a later one that a director which was
    /// away takes for the same: nobody was told anything of that yet. Or both are over, and are one
    /// that both told while they did not hear each other and changed their roles: what the other
    /// one still holds of that comes twice, which is better than never (docs/peer.md, "One limit").
    pub fn also(&mut self, now: Mono, from: &str, to: &str) {
        if self.has_end(from) {
            return;
        }
        let same = self.of(from).flat_map(|((_, receiver), calls)| {
            calls.iter().map(move |(kind, number)| Delivery {
                event: format!("{to}/{kind}/{number}").into(),
                to: Arc::clone(receiver),
            })
        });
        let same: Vec<Delivery> = same.collect();
        for delivery in same {
            self.add(now, delivery);
        }
    }

    /// Whether anybody was told the end of this outage.
    #[must_use]
    pub fn has_end(&self, outage: &str) -> bool {
        let mut calls = self.of(outage).flat_map(|(_, calls)| calls);
        calls.any(|(kind, _)| **kind == *EventKind::Up.word())
    }

    /// Whether this receiver was told the end of this outage.
    #[must_use]
    pub fn has_end_for(&self, outage: &str, to: &Arc<str>) -> bool {
        let calls = self.by_outage.get(&(Box::from(outage), Arc::clone(to)));
        let mut calls = calls.into_iter().flatten();
        calls.any(|(kind, _)| **kind == *"up")
    }

    /// What was delivered of this outage, by receiver.
    fn of(&self, outage: &str) -> impl Iterator<Item = (&(Box<str>, Arc<str>), &Calls)> {
        let first = (Box::from(outage), Arc::from(""));
        let all = self.by_outage.range(first..);
        all.take_while(move |((it, _), _)| **it == *outage)
    }

    /// Forgets what is older than [`DELIVERED_AGE`].
    pub fn expire(&mut self, now: Mono) {
        let is_old = |(at, _): &(Mono, Delivery)| now.since(*at) > DELIVERED_AGE;
        while self.order.front().is_some_and(is_old) {
            self.drop_first();
        }
    }

    fn drop_first(&mut self) {
        let Some((_, delivery)) = self.order.pop_front() else {
            return;
        };
        self.first += 1;
        let Some(id) = EventId::of(&delivery.event) else {
            return;
        };
        let key = (id.outage.into(), delivery.to);
        if let Some(known) = self.by_outage.get_mut(&key) {
            known.remove(&(id.kind.word().into(), id.number));
            if known.is_empty() {
                self.by_outage.remove(&key);
            }
        }
    }

    /// Whether exactly this was delivered.
    #[must_use]
    pub fn has(&self, event: &str, to: &Arc<str>) -> bool {
        self.any(event, to, |known, asked| known == asked)
    }

    /// Whether this, or what makes it needless, was delivered: see [`EventId::covers`].
    #[must_use]
    pub fn covers(&self, event: &str, to: &Arc<str>) -> bool {
        self.any(event, to, |known, asked| known.covers(asked))
    }

    /// Whether anything of this outage was delivered.
    #[must_use]
    pub fn knows(&self, outage: &str, to: &Arc<str>) -> bool {
        let key = (Box::from(outage), Arc::clone(to));
        self.by_outage.contains_key(&key)
    }

    /// Number of the latest outage of which each receiver heard, by `GROUP/SERVICE` and receiver.
    #[must_use]
    pub fn latest(&self) -> BTreeMap<(&str, &str), i64> {
        let mut latest: BTreeMap<(&str, &str), i64> = BTreeMap::new();
        for (outage, to) in self.by_outage.keys().inspect(|_| visit()) {
            let place = outage.rsplit_once('/');
            if let Some((place, number)) = place
                && let Ok(number) = number.parse()
            {
                let known = latest.entry((place, &**to)).or_insert(number);
                *known = number.max(*known);
            }
        }
        latest
    }

    fn any(
        &self,
        event: &str,
        to: &Arc<str>,
        fits: impl Fn(EventId<'_>, EventId<'_>) -> bool,
    ) -> bool {
        let Some(asked) = EventId::of(event) else {
            return false;
        };
        let Some(known) = self.by_outage.get(&(asked.outage.into(), Arc::clone(to))) else {
            return false;
        };
        known.iter().any(|(kind, number)| {
            let known = EventId {
                outage: asked.outage,
                kind: EventKind::of(kind),
                number: *number,
            };
            fits(known, asked)
        })
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.order.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.order.is_empty()
    }

    /// Number behind the newest.
    #[must_use]
    pub fn end(&self) -> u64 {
        self.first + self.order.len() as u64
    }

    /// Those from this number on, the oldest first.
    pub fn from(&self, number: u64) -> impl Iterator<Item = &Delivery> {
        let skip = usize::try_from(number.saturating_sub(self.first)).unwrap_or(usize::MAX);
        self.order.iter().skip(skip).map(|(_, delivery)| delivery)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn delivery(event: &str, to: &str) -> Delivery {
        Delivery {
            event: event.into(),
            to: to.into(),
        }
    }

    #[test]
    fn an_id_is_taken_apart_from_its_end() {
        let id = EventId::of("a/b/c/17/failure/2").unwrap();
        assert_eq!(
            (id.outage, id.kind, id.number),
            ("a/b/c/17", EventKind::Failure, 2)
        );
        assert_eq!(id.within("a/b/c/18"), "a/b/c/18/failure/2");
        assert!(id.is_shared() && !EventId::of("a/b/c/17/startup/1").unwrap().is_shared());
        for own in [
            "a/b/c/17/test/1",
            "a/b/c/17/disable/1",
            "a/b/c/17/redistribute/1",
            "virtual/10.0.0.1:80/tcp/17/contested/1",
            "virtual/10.0.0.1:80/tcp/17/contested_over/1",
        ] {
            assert!(!EventId::of(own).unwrap().is_shared(), "{own}");
        }
        let section = "virtual/10.0.0.1:80/tcp/17/up/1";
        assert!(EventId::of(section).unwrap().is_shared());
        for wrong in [
            "",
            "a",
            "a/b",
            "failure/2",
            "a/b/failure/x",
            "a/b/1/failure/",
        ] {
            assert_eq!(EventId::of(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_later_call_and_the_end_of_the_outage_make_the_earlier_ones_needless() {
        let id = |text| EventId::of(text).unwrap();
        for (known, asked, expected) in [
            ("g/s/1/failure/1", "g/s/1/failure/1", true),
            ("g/s/1/failure/2", "g/s/1/failure/1", true),
            ("g/s/1/failure/1", "g/s/1/failure/2", false),
            ("g/s/1/up/1", "g/s/1/failure/7", true),
            ("g/s/1/up/1", "g/s/1/up/2", true),
            ("g/s/1/failure/7", "g/s/1/up/1", false),
            ("g/s/1/ack/7", "g/s/1/failure/1", false),
            ("g/s/2/up/1", "g/s/1/failure/1", false),
            ("g/t/1/up/1", "g/s/1/failure/1", false),
        ] {
            assert_eq!(id(known).covers(id(asked)), expected, "{known} {asked}");
        }
    }

    #[test]
    fn each_receiver_counts_for_itself() {
        let mut delivered = Delivered::default();
        assert!(delivered.add(Mono::ZERO, delivery("g/s/1/failure/2", "a@x")));
        assert!(!delivered.add(Mono::ZERO, delivery("g/s/1/failure/2", "a@x")));
        assert!(!delivered.add(Mono::ZERO, delivery("no id", "a@x")));
        let (to, other) = (Arc::from("a@x"), Arc::from("b@x"));
        assert!(delivered.has("g/s/1/failure/2", &to));
        assert!(!delivered.has("g/s/1/failure/1", &to));
        assert!(delivered.covers("g/s/1/failure/1", &to));
        assert!(!delivered.covers("g/s/1/failure/1", &other));
        assert!(!delivered.covers("g/s/2/failure/1", &to));
    }

    #[test]
    fn what_was_delivered_of_an_outage_counts_under_its_next_number_too() {
        let mut delivered = Delivered::default();
        for (event, to) in [
            ("g/s/1/failure/1", "a@x"),
            ("g/s/1/failure/2", "b@x"),
            ("g/s/10/failure/1", "a@x"),
            ("g/s/1/ack/1", "a@x"),
        ] {
            delivered.add(Mono::ZERO, delivery(event, to));
        }
        let end = delivered.end();
        delivered.also(Mono::ZERO, "g/s/1", "g/s/2");
        let new = delivered.from(end).map(|it| (&*it.event, &*it.to));
        let new: BTreeSet<(&str, &str)> = new.collect();
        let expected = [
            ("g/s/2/failure/1", "a@x"),
            ("g/s/2/failure/2", "b@x"),
            ("g/s/2/ack/1", "a@x"),
        ];
        assert_eq!(new, BTreeSet::from(expected));
        assert!(delivered.has("g/s/1/ack/1", &"a@x".into()));
        let end = delivered.end();
        delivered.also(Mono::ZERO, "g/s/2", "g/s/1");
        assert_eq!(delivered.end(), end, "nothing new");
    }

    #[test]
    fn an_outage_that_is_over_says_nothing_of_the_next_one() {
        let mut delivered = Delivered::default();
        delivered.add(Mono::ZERO, delivery("g/s/1/failure/1", "a@x"));
        let to = Arc::from("a@x");
        let mut open = delivered.clone();
        open.also(Mono::ZERO, "g/s/1", "g/s/2");
        assert!(open.has("g/s/2/failure/1", &to));
        // The director that comes back after its end takes the next one for the same.
        delivered.add(Mono::ZERO, delivery("g/s/1/up/1", "b@x"));
        delivered.also(Mono::ZERO, "g/s/1", "g/s/2");
        assert!(!delivered.covers("g/s/2/up/1", &to));
        assert!(!delivered.covers("g/s/2/failure/1", &to));
    }

    #[test]
    fn it_is_bounded_by_number_and_age_and_tells_what_is_new() {
        let mut delivered = Delivered::default();
        let to: Arc<str> = "a".into();
        for n in 0..DELIVERED_MAX + 5 {
            delivered.add(Mono::ZERO, delivery(&format!("g/s/{n}/up/1"), "a"));
        }
        assert_eq!(delivered.order.len(), DELIVERED_MAX);
        assert_eq!(delivered.by_outage.len(), DELIVERED_MAX);
        assert!(!delivered.has("g/s/4/up/1", &to) && delivered.has("g/s/5/up/1", &to));
        let told = delivered.end();
        assert_eq!(delivered.from(0).count(), DELIVERED_MAX);
        assert_eq!(delivered.from(told).count(), 0);
        let late = Mono::ZERO.after(DELIVERED_AGE);
        delivered.add(late, delivery("g/s/1/failure/1", "a"));
        assert_eq!(delivered.from(told).count(), 1);
        delivered.expire(late.after(Duration::from_secs(1)));
        assert_eq!(delivered.order.len(), 1);
        assert_eq!(delivered.by_outage.len(), 1);
        assert_eq!(delivered.from(told).count(), 1);
    }
}
