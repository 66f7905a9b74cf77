//! Each outage has one number, but where the directors could not agree about it.

use std::collections::BTreeMap;
use std::time::Duration;

use lvsmon::pair::talk::EventId;
use lvsmon::time::Mono;

use super::link::Deaf;
use super::{About, Cause, World};

/// Within this time both have seen what happened to a host, and have said so.
const ROUND: Duration = Duration::from_secs(20);

impl World {
    pub(super) fn nothing_has_two_ids(&self) {
        // When each number was told first.
        let mut numbers: BTreeMap<&About, BTreeMap<&str, Mono>> = BTreeMap::new();
        for mail in &self.mails {
            let id = EventId::of(&mail.event).unwrap();
            let numbers = numbers.entry(&mail.about).or_default();
            numbers.entry(id.outage).or_insert(mail.at);
        }
        numbers.retain(|_, numbers| numbers.len() > 1);
        for (about, numbers) in &numbers {
            assert!(self.is_excused(about), "{about:?}: {numbers:?}");
            self.no_number_begins_late(about, numbers);
        }
    }

    /// Directors that could not agree have agreed by the time they hear each other again: from then
    /// on nobody is told of a number that is new.
    fn no_number_begins_late(&self, about: &About, numbers: &BTreeMap<&str, Mono>) {
        let &About::Outage(host, index) = about else {
            return; // as in `is_excused`
        };
        if self.unrest.has_flapped(host, index) {
            return;
        }
        let (begin, _) = self.outages[host][index];
        let heard = self.heard_again(begin.after(ROUND));
        let is_late = numbers.values().any(|first| *first > heard);
        assert!(!is_late, "{about:?} after {heard:?}: {numbers:?}");
    }

    /// Whether the directors could not agree about an outage: both were at work and did not hear
    /// each other when they found it, and changed their roles before it was over or before they
    /// heard each other again. One that stands still tells nothing before it has heard the other.
    fn is_excused(&self, about: &About) -> bool {
        let &About::Outage(host, index) = about else {
            return true; // `nothing_is_told_as_another`, `what_was_told_has_its_end`
        };
        if self.unrest.has_flapped(host, index) {
            return true; // `flaps_end_well`
        }
        let (begin, end) = self.outages[host][index];
        let found = begin.after(ROUND);
        self.could_not_agree(begin, found, end.unwrap_or(self.time).after(ROUND))
    }

    /// The same of what was found from `begin` to `found` and was over by then.
    pub(super) fn could_not_agree(&self, begin: Mono, found: Mono, over: Mono) -> bool {
        let deaf = || self.deaf.iter().filter(|it| it.cause != Cause::Stall);
        let is_deaf = deaf().any(|it| it.from <= found && it.to.is_none_or(|to| to >= begin));
        let heard = self.heard_again(found);
        let mut turns = self.turns.iter();
        let has_turned = turns.any(|at| *at >= begin && *at <= over.max(heard));
        is_deaf && (has_turned || self.both_speak())
    }

    /// Whether a director that began with something then may not know that people were told of what
    /// it had before: the other one told that and was heard no more, and only its file said so.
    pub(super) fn could_not_know(&self, told: Mono, then: Mono) -> bool {
        self.was_unheard(told, then) && self.unrest.had_two_files(told, then)
    }

    /// Whether no director could hear until then of what the other one told at that time.
    pub(super) fn was_unheard(&self, told: Mono, then: Mono) -> bool {
        let sent = told.after(Duration::from_secs(1));
        let mut deaf = self.deaf.iter();
        deaf.any(|it| it.from <= sent && it.to.is_none_or(|to| to >= then))
    }

    /// When the directors heard each other again after this.
    fn heard_again(&self, found: Mono) -> Mono {
        let mut heard = found;
        let deaf = self.deaf.iter().filter(|it| it.cause != Cause::Stall);
        for Deaf { from, to, .. } in deaf {
            if *from <= heard {
                heard = heard.max(to.unwrap_or(self.time));
            }
        }
        heard
    }
}
