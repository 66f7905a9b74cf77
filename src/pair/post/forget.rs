//! Which letters does nobody need any more, by their age or by what came after?

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use crate::effort::visit;
use crate::pair::post::{
    Chance, Forgotten, Hearing, Letter, Origin, Post, Stage, Why, is_given_up,
};
use crate::pair::talk::{Delivered, EventId, EventKind};
use crate::time::Now;

impl Post {
    /// Drops what was held for longer than the other director needs to tell it, and what this one
    /// was to tell itself and is of no use any more.
    pub(super) fn forget_old(&mut self, now: Now) -> Vec<Forgotten> {
        let letters = self.letters.iter().inspect(|_| visit());
        let old = letters.filter_map(|(&number, letter)| {
            let most = self.terms.give_up_after;
            let why = match letter.stage {
                Stage::Held => (letter.age(now) > self.most_of(letter)).then_some(Why::Assumed),
                Stage::Own => {
                    // While this one does not speak nothing is tried.
                    let chance = Chance::Kept(now.mono.since(letter.since));
                    is_given_up(letter.age(now), chance, most).then_some(Why::TooOld)
                }
                Stage::UnderWay => None,
            };
            Some((number, why?))
        });
        let old: Vec<(u64, Why)> = old.collect();
        let forget = |(number, why)| self.forget(number, why);
        old.into_iter().map(forget).collect()
    }

    /// Drops what is held of outages that began and ended unheard of before another one, of which
    /// the other director has told the same receiver: whoever hears of the end of the former one
    /// last takes the later one for over.
    pub(super) fn forget_overtaken(&mut self) -> Vec<Forgotten> {
        let is_held =
            |number: &u64| self.letters.get(number).map(|it| it.stage) == Some(Stage::Held);
        let is_end = |event: &str| EventId::of(event).is_some_and(|id| id.kind == EventKind::Up);
        let places = self.events.iter().inspect(|_| visit());
        let ends = places.filter(|(event, _, number)| is_end(event) && is_held(number));
        let mut ends = ends.peekable();
        if ends.peek().is_none() {
            return Vec::new();
        }
        let latest = self.elsewhere.latest();
        let mut overtaken = BTreeSet::new();
        for (event, to, _) in ends {
            let Some(id) = EventId::of(event) else {
                continue;
            };
            let is_later = id.place().is_some_and(|(place, number)| {
                latest.get(&(place, &**to)).is_some_and(|it| *it > number)
            });
            let is_told = |it: &Delivered| it.knows(id.outage, to);
            if !is_later || is_told(&self.elsewhere) || is_told(&self.here) {
                continue;
            }
            let its = self
                .places_of(id.outage)
                .filter(|(_, known, _)| known == to);
            let (mut has_begin, mut are_held) = (false, true);
            for (event, _, number) in its.clone() {
                has_begin |= !is_end(event);
                are_held &= is_held(number);
            }
            if has_begin && are_held {
                overtaken.extend(its.map(|(event, to, _)| (Arc::clone(event), Arc::clone(to))));
            }
        }
        let drop = |(event, to)| self.drop_told(&event, &to, Why::Overtaken);
        overtaken.into_iter().flat_map(drop).collect()
    }

    /// From which age on a letter that is held counts as told. Of what the other director is heard
    /// about, it says itself what it told: all the rest is still to be told. When the link is gone
    /// and this director is still not to tell, the other one tells what comes from then on,
    /// unheard.
    fn most_of(&self, letter: &Letter) -> Duration {
        let mut ids = letter.events.iter().map(|event| EventId::of(event));
        let is_shared = ids.any(|id| id.is_some_and(EventId::is_shared));
        let is_before = letter.origin == Origin::Spool || letter.since <= self.lost;
        let is_heard = match self.hearing {
            Hearing::Never => false,
            Hearing::Linked => true,
            Hearing::Lost => is_before,
        };
        if is_shared && is_heard {
            self.terms.give_up_after
        } else {
            self.terms.held_most
        }
    }

    pub(super) fn forget(&mut self, number: u64, why: Why) -> Forgotten {
        self.gone(number);
        Forgotten { number, why }
    }
}
