//! Which letters go because what they tell was told?

use std::sync::Arc;

use crate::pair::post::{Forgotten, Origin, Place, Post, Stage, Why};
use crate::pair::talk::EventId;

impl Post {
    /// What waits to tell of an outage that this director itself has told under the number which
    /// it gets: with its journal it lost that it had. Behind an end that people know it is other
    /// news. As it stands under the new number.
    pub(super) fn told_before(&self, from: &str, to: &str) -> Vec<Place> {
        if self.here.has_end(to) {
            return Vec::new();
        }
        let places = self
            .places_of(from)
            .filter_map(|(event, receiver, number)| {
                let event = EventId::of(event)?.within(to);
                let is_told = self.here.has(&event, receiver);
                is_told.then(|| (event.into(), Arc::clone(receiver), *number))
            });
        places.collect()
    }

    /// Takes out what waits of an event. A letter that tells others, too, is still to be told, and
    /// this event with them once more. Behind a lost journal the engine may give a number that this
    /// director delivered to other news: only what is older than the start is that.
    pub(super) fn drop_told(
        &mut self,
        event: &Arc<str>,
        to: &Arc<str>,
        why: Why,
    ) -> Vec<Forgotten> {
        let is_meant = |number: &u64| {
            let letter = self.letters.get(number);
            let is_call = letter.is_some_and(|letter| letter.origin == Origin::Call);
            why != Why::ToldBefore || !is_call
        };
        let numbers: Vec<u64> = self.telling(event, to).filter(is_meant).collect();
        self.drop_from(numbers, event, to, why)
    }

    /// Takes the event out of these letters.
    pub(super) fn drop_from(
        &mut self,
        numbers: Vec<u64>,
        event: &Arc<str>,
        to: &Arc<str>,
        why: Why,
    ) -> Vec<Forgotten> {
        let mut forgotten = Vec::new();
        for number in numbers {
            let Some(letter) = self.letters.get_mut(&number) else {
                continue;
            };
            if letter.stage == Stage::UnderWay {
                continue;
            }
            if letter.events.iter().all(|it| it == event) {
                forgotten.push(self.forget(number, why));
            } else {
                letter.events.retain(|it| it != event);
                let place = (Arc::clone(event), Arc::clone(to), number);
                self.events.remove(&place);
            }
        }
        forgotten
    }

    /// The same for whatever of a letter the other director has told.
    pub(super) fn drop_told_of(&mut self, number: u64) -> Vec<Forgotten> {
        let Some(letter) = self.letters.get(&number) else {
            return Vec::new();
        };
        let to = Arc::clone(&letter.to);
        let told = letter.events.iter();
        let told = told.filter(|event| self.is_needless(event, &to));
        let told: Vec<Arc<str>> = told.cloned().collect();
        let drop = |event: &Arc<str>| self.drop_told(event, &to, Why::ToldElsewhere);
        told.iter().flat_map(drop).collect()
    }
}
