//! The link between both: when is there one, and what comes through?

use std::time::Duration;

use lvsmon::pair::talk::Word;
use lvsmon::time::Mono;

use super::{Coming, World};

/// A peer that is silent for so long is gone.
pub(super) const DEAD: Duration = Duration::from_secs(4);

/// A time without a link.
#[derive(Clone, Copy, Debug)]
pub(super) struct Deaf {
    pub(super) from: Mono,
    pub(super) to: Option<Mono>,
    pub(super) cause: Cause,
}

/// Why there is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cause {
    /// Both are at work, and lines between them are not.
    Cut,
    /// One of them died, or was not there yet.
    Death,
    /// One of them stands still, or stood still and asks for a new one.
    Stall,
}

impl World {
    /// Sends what there is to say.
    pub(super) fn speak(&mut self, side: usize) {
        for word in self.directors[side].says(self.time) {
            if let Word::Ended(ended) = &word {
                for it in ended {
                    let outage = format!("{}/{}/{}", it.of.group, it.of.service, it.id);
                    self.said_ended.entry((side, outage)).or_insert(self.time);
                }
            }
            // In order, each a little later than the one before.
            self.count += 1;
            let at = self.time.after(self.delay);
            let what = Coming::Word(1 - side, self.link, word);
            self.coming.insert((at, self.count), what);
        }
    }

    /// A word of this link arrives.
    pub(super) fn hear(&mut self, side: usize, link: u64, word: &Word) {
        if !self.is_linked || link != self.link || !self.directors[side].is_alive {
            return;
        }
        if let Word::Wishes(wishes) = word {
            self.note(format_args!("{side} hears {wishes:?}"));
        }
        let is_end = matches!(word, Word::Ended(_));
        self.ends_heard += u64::from(is_end && self.directors[side].is_linked());
        let actions = self.directors[side].hears(self.time, word);
        self.perform(side, actions);
    }

    pub(super) fn cut(&mut self, cause: Cause) {
        if self.is_linked {
            self.note(format_args!("the link is cut"));
            self.is_linked = false;
            self.link += 1;
            self.deaf.push(Deaf {
                from: self.time,
                to: None,
                cause,
            });
            let at = self.time.after(DEAD);
            self.at(at, Coming::Lost(self.link));
        }
    }

    pub(super) fn lost(&mut self) {
        for side in 0..2 {
            let life = self.directors[side].life;
            if let Some(Coming::Unlinked(..)) =
                self.not_to_a_frozen_one(Coming::Unlinked(side, life))
                && self.directors[side].is_alive
            {
                self.unlinked(side);
            }
        }
    }

    pub(super) fn unlinked(&mut self, side: usize) {
        let actions = self.directors[side].unlinked(self.time);
        self.perform(side, actions);
    }

    pub(super) fn heal(&mut self) {
        let is_alive = self.directors.iter().all(|it| it.is_alive);
        if self.is_linked || !is_alive || self.frozen.is_some() {
            return;
        }
        self.lost();
        self.note(format_args!("the link is back"));
        self.link += 1;
        self.is_linked = true;
        for side in 0..2 {
            self.directors[side].linked();
            self.speak(side);
        }
        let healed = self.time.after(Duration::from_secs(1));
        if let Some(deaf) = self.deaf.last_mut() {
            deaf.to = Some(healed);
        }
    }
}
