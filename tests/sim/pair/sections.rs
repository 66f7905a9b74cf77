//! What goes wrong with sections as a whole is told with its end.

use std::collections::{BTreeMap, BTreeSet};

use lvsmon::pair::talk::EventId;
use lvsmon::time::Mono;

use super::{About, ROUND, World};

impl World {
    /// Mails about sections.
    pub(super) fn troubles(&self) -> usize {
        let of_section = |about: &About| matches!(about, About::Section(_));
        self.mails.iter().filter(|it| of_section(&it.about)).count()
    }

    /// Who hears of a trouble hears of its end, by the same number, and of no other one before:
    /// unless the directors could not agree about it.
    pub(super) fn troubles_have_an_end(&self) {
        let mut open: BTreeMap<&str, (&str, Mono)> = BTreeMap::new();
        let mut over: BTreeSet<&str> = BTreeSet::new();
        for mail in &self.mails {
            let About::Section(trouble) = &mail.about else {
                continue;
            };
            let id = EventId::of(&mail.event).unwrap();
            if id.kind == "up" {
                over.insert(id.outage);
                open.remove(&**trouble);
            } else if !over.contains(id.outage) {
                let before = open.insert(trouble, (id.outage, mail.at));
                let before = before.filter(|(outage, _)| *outage != id.outage);
                let is_one = before.is_none_or(|(_, at)| self.is_unsure(at, mail.at));
                assert!(is_one, "{before:?} has no end before {mail:?}");
            }
        }
        assert_eq!(open, BTreeMap::new(), "nobody hears of the end");
    }

    /// Whether the directors could not agree in this time: they did not hear each other, or changed
    /// their roles.
    fn is_unsure(&self, from: Mono, to: Mono) -> bool {
        let is_heard = |end: &Option<Mono>| end.is_some_and(|end| end.after(ROUND) < from);
        let mut deaf = self.deaf.iter();
        let mut turns = self.turns.iter();
        deaf.any(|(begin, end)| *begin <= to && !is_heard(end))
            || turns.any(|at| *at >= from && *at <= to)
    }
}
