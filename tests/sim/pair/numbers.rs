//! Each outage has one number, but where the directors could not agree about it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use lvsmon::pair::talk::EventId;
use lvsmon::time::Mono;

use super::frozen::ON_THE_WAY;
use super::link::Deaf;
use super::{About, Cause, Mail, World};

/// Within this time both have seen what happened to a host, and have said so.
pub(super) const ROUND: Duration = Duration::from_secs(20);

/// When each number of an outage was told first, and by which director.
type Numbers<'a> = BTreeMap<&'a str, (Mono, usize)>;

impl World {
    /// Of what both directors see one outage of; all others are for `nothing_is_told_as_another`.
    pub(super) fn nothing_has_two_ids(&self) {
        let mut numbers: BTreeMap<(usize, usize), Numbers<'_>> = BTreeMap::new();
        for mail in &self.mails {
            if let Some(outage) = self.one_outage(&mail.about) {
                let id = EventId::of(&mail.event).unwrap();
                let numbers = numbers.entry(outage).or_default();
                numbers.entry(id.outage).or_insert((mail.at, mail.side));
            }
        }
        numbers.retain(|_, numbers| numbers.len() > 1);
        for (&(host, index), numbers) in &numbers {
            let (begin, end) = self.outages[host][index];
            let found = begin.after(ROUND);
            let over = end.unwrap_or(self.time).after(ROUND);
            let is_excused = self.could_not_agree(begin, found, over);
            assert!(is_excused, "outage {index} of {host}: {numbers:?}");
            // They have agreed by the time they hear each other again.
            let heard = self.heard_again(found);
            let is_late = numbers.values().any(|(first, _)| *first > heard);
            assert!(
                !is_late,
                "outage {index} of {host} after {heard:?}: {numbers:?}"
            );
            // Neither director gave it two.
            let sides: BTreeSet<usize> = numbers.values().map(|(_, side)| *side).collect();
            assert!(
                sides.len() == numbers.len(),
                "outage {index} of {host} twice by one director: {numbers:?}"
            );
        }
    }

    /// Which outage of which host both directors see as one, or not at all: of a host that did not
    /// come and go within seconds.
    pub(super) fn one_outage(&self, about: &About) -> Option<(usize, usize)> {
        match *about {
            About::Outage(host, index) => Some((host, index)),
            About::Section(_) | About::Apart(_) | About::OneWay => None,
        }
        .filter(|&(host, index)| !self.unrest.has_flapped(host, index))
    }

    /// Whether the directors could not agree about what was found from `begin` to `found` and was
    /// over by then: both were at work and did not hear each other when they found it, and changed
    /// their roles before it was over or before they heard each other again, or one of them had
    /// stood still and did not know that the role was the other one's. One that stands still tells
    /// nothing before it has heard the other.
    pub(super) fn could_not_agree(&self, begin: Mono, found: Mono, over: Mono) -> bool {
        let deaf = || self.deaf.iter().filter(|it| it.cause != Cause::Stall);
        let is_deaf = deaf().any(|it| it.from <= found && it.to.is_none_or(|to| to >= begin));
        let heard = self.heard_again(found);
        let mut turns = self.turns.iter();
        let has_turned = turns.any(|it| it.at >= begin && it.at <= over.max(heard));
        let are_two = has_turned || self.were_both_active(begin, found);
        is_deaf && (are_two || self.both_speak())
    }

    /// Whether a director that began with something then may not know that people were told of what
    /// it had before: the other one told that and was heard no more, and only its file said so.
    pub(super) fn could_not_know(&self, told: Mono, then: Mono) -> bool {
        self.was_unheard(told, then) && self.unrest.had_two_files(told, then)
    }

    /// Whether a director that found an outage then could not know that people were told of this
    /// one before: who told of it first stood still when the relay took that, and was not heard
    /// again.
    pub(super) fn stood_still_behind(&self, outage: &str, then: Mono) -> bool {
        let is_it = |it: &&Mail| EventId::of(&it.event).unwrap().outage == outage;
        self.mails.iter().find(is_it).is_some_and(|first| {
            let cut = first.at..=first.at.after(ON_THE_WAY);
            let mut stalls = self.deaf.iter().filter(|it| it.cause == Cause::Stall);
            stalls.any(|it| cut.contains(&it.from) && it.to.is_none_or(|to| to >= then))
        })
    }

    /// Whether the end of this outage was found before this mail by the director that sent it, and
    /// not by the one that had told of it last, at that time: "a host that comes and goes between
    /// two checks may have one outage for one director and two for the other" (docs/peer.md).
    pub(super) fn saw_two(&self, outage: &str, told: Mono, mail: &Mail) -> bool {
        let end = |side| self.said_ended.get(&(side, outage.to_owned()));
        let is_over = end(mail.side).is_some_and(|at| *at <= mail.at);
        is_over && end(1 - mail.side).is_none_or(|at| *at > told)
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
