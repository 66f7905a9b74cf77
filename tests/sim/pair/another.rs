//! No outage is told as another one.

use std::collections::{BTreeMap, BTreeSet};

use lvsmon::pair::talk::{EventId, EventKind};
use lvsmon::time::Mono;

use super::{About, Mail, World};

impl World {
    /// The same of all others: who was told of one outage is told of its end before the next, unless
    /// the directors could not agree between those two words. What only one director sees each of
    /// them sees an outage of its own of, and the end of one may come behind the next. A message of
    /// a number that was given up may come once more (`nothing_is_told_twice`), before its end. Of
    /// two numbers that were told while they could not agree one goes on, and both have an end.
    pub(super) fn nothing_is_told_as_another(&self) {
        let mut open: BTreeMap<&str, (&str, Mono)> = BTreeMap::new();
        let mut first: BTreeMap<&str, Mono> = BTreeMap::new();
        let (mut told, mut over, mut given_up) =
            (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
        let others = |it: &&Mail| matches!(it.about, About::Section(_) | About::Apart(_));
        for mail in self.mails.iter().filter(others) {
            let id = EventId::of(&mail.event).unwrap();
            let (place, _) = id.place().unwrap();
            let is_again = !told.insert(&mail.event);
            let known = open.get(place);
            if id.kind == EventKind::Up {
                if known.is_some_and(|(outage, _)| *outage == id.outage) {
                    open.remove(place);
                }
                over.insert(id.outage);
                continue;
            }
            let other = known.filter(|(outage, _)| *outage != id.outage);
            if other.is_some() && is_again && !over.contains(id.outage) {
                given_up.insert(id.outage);
                continue;
            }
            let began = *first.entry(id.outage).or_insert(mail.at);
            if let Some(&(outage, at)) = other {
                let is_former = began < at && !over.contains(id.outage);
                let were_two = is_former && self.could_not_agree(began, at, at);
                if were_two {
                    given_up.insert(outage);
                }
                let is_excused = were_two
                    || self.could_not_agree(at, mail.at, mail.at)
                    || self.could_not_know(at, mail.at);
                assert!(is_excused, "{other:?} has no end before {mail:?}");
            }
            open.insert(place, (id.outage, mail.at));
        }
        let without_end: Vec<_> = given_up.difference(&over).collect();
        assert_eq!(without_end, [&""; 0], "nobody hears of the end");
    }
}
