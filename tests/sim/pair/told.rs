//! Everything is told, and nothing twice.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use lvsmon::pair::talk::{EventId, EventKind};
use lvsmon::time::Mono;

use super::{About, Mail, World};

impl World {
    pub(super) fn everything_is_told(&self) {
        let known = self.mails.iter().map(|it| it.about.clone());
        let known: BTreeSet<About> = known.chain(self.ended.iter().cloned()).collect();
        let known = known
            .iter()
            .filter(|it| !matches!(it, About::Apart(_) | About::OneWay));
        for about in known {
            let told = |kind: EventKind<'_>| {
                let mut mails = self.mails.iter().filter(|it| it.about == *about);
                mails.any(|it| EventId::of(&it.event).unwrap().kind == kind)
            };
            let goes_on = match about {
                About::Section(trouble) => self.goes_on(trouble).is_some(),
                About::Outage(..) | About::Apart(_) | About::OneWay => false,
            };
            assert!(
                goes_on || told(EventKind::Up),
                "nobody hears of the end of {about:?}"
            );
            assert!(told(EventKind::Failure), "nobody heard of {about:?}");
        }
    }

    /// Whatever was told of a host, the last word is that it is back: but for what a director tells
    /// that could not hear of the end, and is heard no more before it tells that too.
    pub(super) fn outages_end_well(&self) {
        let mut last: BTreeMap<&About, &Mail> = BTreeMap::new();
        let outages = |it: &&Mail| matches!(it.about, About::Outage(..));
        for mail in self.mails.iter().filter(outages) {
            last.insert(&mail.about, mail);
        }
        for mail in last.values() {
            let is_end = |it: &Mail| EventId::of(&it.event).unwrap().kind == EventKind::Up;
            let mut ends = self
                .mails
                .iter()
                .filter(|it| it.about == mail.about && is_end(it));
            let is_excused = ends.any(|it| self.was_unheard(it.at, mail.at));
            assert!(
                is_end(mail) || is_excused,
                "told last of a host that is back: {mail:?}"
            );
        }
    }

    /// A mail comes twice only where its director dies, or loses its role or the link, before
    /// the other one hears of it.
    pub(super) fn nothing_is_told_twice(&self) {
        let mut first: BTreeMap<&str, &Mail> = BTreeMap::new();
        let mut again: Vec<Mono> = Vec::new();
        for mail in &self.mails {
            if let Some(before) = first.insert(&mail.event, mail) {
                let soon = before.at.after(Duration::from_secs(1));
                let mut turns = self.turns.iter().map(|it| it.at);
                let turn = turns.find(|&at| at >= before.at && at <= mail.at);
                let was_cut = self
                    .deaf
                    .iter()
                    .any(|deaf| deaf.from >= before.at && deaf.from <= soon);
                let is_unheard = !before.was_linked || was_cut;
                let may_be = turn.is_some_and(|at| is_unheard || at <= soon);
                assert!(may_be, "twice: {before:?} {mail:?}");
                again.extend(turn.filter(|_| !is_unheard));
            }
        }
        let count = again.len();
        again.dedup();
        assert_eq!(count, again.len(), "two duplicates at one takeover");
    }
}
