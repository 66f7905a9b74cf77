//! Each event that a director calls is followed: it is told, or people know by then what makes it
//! needless, and nothing waits in the end of which they were told.

use std::collections::{BTreeMap, BTreeSet};

use lvsmon::engine::event::Renumbering;
use lvsmon::pair::post::Why;
use lvsmon::pair::talk::{EventId, EventKind};

use super::World;
use super::post::Dropped;

/// Numbers that were given up for others, as `GROUP/SERVICE/NUMBER`.
#[derive(Debug, Default)]
pub(super) struct Renumbered(BTreeMap<String, String>);

impl Renumbered {
    pub(super) fn add(&mut self, it: &Renumbering) {
        self.0.insert(it.from.clone(), it.to.clone());
    }

    /// By which number an outage is known in the end.
    pub(super) fn now_called(&self, outage: &str) -> String {
        let mut now = outage;
        let mut seen = BTreeSet::new();
        while let Some(next) = self.0.get(now).filter(|_| seen.insert(now)) {
            now = next;
        }
        now.to_owned()
    }

    /// All numbers that an outage has or had.
    fn names<'a>(&'a self, outage: &'a str) -> BTreeSet<&'a str> {
        let mut names = BTreeSet::from([outage]);
        loop {
            let count = names.len();
            for (from, to) in &self.0 {
                if names.contains(&**from) || names.contains(&**to) {
                    names.extend([&**from, &**to]);
                }
            }
            if names.len() == count {
                return names;
            }
        }
    }
}

impl World {
    /// What the directors dropped since this was asked last.
    pub(super) fn what_is_dropped_is_needless(&mut self) {
        for side in 0..2 {
            for Dropped { event, why } in self.directors[side].outbox.take_dropped() {
                let is_right = self.is_needless(&event, why);
                assert!(is_right, "{side} drops {event}: {why:?}");
                self.dropped += 1;
            }
        }
    }

    fn is_needless(&self, event: &str, why: Why) -> bool {
        let id = EventId::of(event).unwrap();
        let told = |is_it: &dyn Fn(EventId<'_>) -> bool| {
            let names = self.renumbered.names(id.outage);
            let mut mails = self.mails.iter().rev();
            mails.any(|mail| {
                let known = EventId::of(&mail.event).unwrap();
                names.contains(known.outage) && is_it(known)
            })
        };
        match why {
            Why::ToldElsewhere => told(&|known| {
                let known = EventId {
                    outage: id.outage,
                    ..known
                };
                known.covers(id)
            }),
            Why::ToldBefore => told(&|known| (known.kind, known.number) == (id.kind, id.number)),
            Why::Overtaken => {
                let place = id.place();
                let mut mails = self.mails.iter();
                let is_later = mails.any(|mail| {
                    let later = EventId::of(&mail.event).unwrap().place();
                    later
                        .zip(place)
                        .is_some_and(|(later, it)| later.0 == it.0 && later.1 > it.1)
                });
                is_later && !told(&|_| true)
            }
            // What the other one told, or does not know, is heard with the link.
            Why::Assumed => !self.is_linked,
            Why::TooOld => false,
        }
    }

    /// In the end whoever speaks has told all, and one that does not holds only what nobody else
    /// saw from its beginning to its end, or what it died with while it told that.
    pub(super) fn nothing_waits(&self) {
        for (side, director) in self.directors.iter().enumerate() {
            let waiting: Vec<_> = director.outbox.waiting().collect();
            let calls = director.waiting_calls();
            assert_eq!(calls, 0, "{side} holds calls");
            assert!(
                !director.speaks() || waiting.is_empty(),
                "{side} does not tell {waiting:?}"
            );
            for event in &waiting {
                let id = EventId::of(event).unwrap();
                let names = self.renumbered.names(id.outage);
                let mut mails = self.mails.iter().filter(|it| !it.is_unknown);
                let known = mails.find(|it| names.contains(EventId::of(&it.event).unwrap().outage));
                assert!(known.is_none(), "{side} holds {event} for ever: {known:?}");
                let has = |is_end: bool| {
                    let mut all = waiting.iter().map(|it| EventId::of(it).unwrap());
                    all.any(|it| it.outage == id.outage && (it.kind == EventKind::Up) == is_end)
                };
                assert!(has(true) && has(false), "{side} holds {event} for ever");
            }
        }
    }
}
