//! Both directors tell people (`speak = both`), over a link that takes its time.
//!
//! Both may find an outage while the word of the other one is on its way. While they hear each
//! other, people hear of it under one number all the same. Where they do not, it may have two, and
//! each of them has its end.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use lvsmon::pair::Speak;
use lvsmon::pair::answers::ANSWER_LIMIT;
use lvsmon::pair::talk::{EventId, EventKind};

use super::seeds::{one, seeds, story};
use super::{About, Coming, World};

/// The longest way of a word: there and back within the limit, with as much again for what a
/// director does between.
const DELAY_MAX: u64 = 240;

impl World {
    /// Of two directors that both tell people; words take `delay`.
    fn of_two_that_speak(seed: u64, delay: Duration) -> Self {
        let mut world = Self::new(seed);
        world.delay = delay;
        for director in &mut world.directors {
            director.speak = Speak::Both;
        }
        world
    }

    /// Whether both tell people.
    pub(super) fn both_speak(&self) -> bool {
        let mut directors = self.directors.iter();
        directors.all(|it| it.speak == Speak::Both)
    }

    /// Both know that they tell people.
    fn begin_both(&mut self) {
        self.begin();
        self.role(1, false);
        self.live(10);
    }

    /// All is well in the end.
    fn settle_both(&mut self) {
        self.coming
            .retain(|_, what| !matches!(what, Coming::Flip | Coming::Cut | Coming::Die));
        self.live(150);
        for outages in &mut self.outages {
            if let Some((_, end @ None)) = outages.last_mut() {
                *end = Some(self.time);
            }
        }
        self.heal();
        self.live(100);
        self.forget_what_one_saw();
        self.nothing_waits();
    }

    /// Who was told of a failure under a number was told its end under that number; how many
    /// outages had two.
    fn every_number_has_its_end(&self) -> usize {
        let (mut told, mut over) = (BTreeSet::new(), BTreeSet::new());
        let mut numbers: BTreeMap<&About, BTreeSet<&str>> = BTreeMap::new();
        for mail in &self.mails {
            let id = EventId::of(&mail.event).unwrap();
            let goes_on = match &mail.about {
                About::Section(trouble) => self.goes_on(trouble),
                About::Outage(..) | About::Apart(_) | About::OneWay => None,
            };
            if goes_on.as_deref() == Some(id.outage) {
                continue;
            }
            match id.kind == EventKind::Up {
                true => over.insert(id.outage),
                false => told.insert(id.outage),
            };
            if let about @ About::Outage(..) = &mail.about {
                numbers.entry(about).or_default().insert(id.outage);
            }
        }
        assert_eq!(told.difference(&over).collect::<Vec<_>>(), [&""; 0]);
        numbers.values().filter(|it| it.len() > 1).count()
    }
}

/// Seeds of an ordinary test run.
const SEEDS: u64 = 4;

#[test]
fn two_that_both_tell_people_and_hear_each_other_tell_an_outage_under_one_number() {
    let (mut mails, mut agreed) = (0, 0);
    for seed in seeds(SEEDS, &[]) {
        let _named = crate::sim::Named("PAIR_SEED", seed);
        let delay = Duration::from_millis(DELAY_MAX * (seed % 4 + 1) / 4);
        assert!(delay * 4 < ANSWER_LIMIT);
        let mut world = World::of_two_that_speak(seed, delay);
        world.log = story();
        world.nothing_comes();
        world.begin_both();
        world.later(40, Coming::Flip);
        world.live(1_800);
        world.settle_both();
        world.nothing_has_two_ids();
        world.everything_is_told();
        world.every_number_has_its_end();
        mails += world.mails.len();
        agreed += world.renumberings;
    }
    let is_rich = mails > 100 && agreed > 3;
    assert!(one().is_some() || is_rich, "{mails} {agreed}");
}

#[test]
fn whoever_was_told_of_a_failure_under_two_numbers_is_told_the_end_of_both() {
    let mut twice = 0;
    for seed in seeds(SEEDS, &[]) {
        let _named = crate::sim::Named("PAIR_SEED", seed);
        let mut world = World::of_two_that_speak(seed, Duration::from_millis(20));
        world.log = story();
        world.nothing_comes();
        world.begin_both();
        world.later(40, Coming::Flip);
        world.later(60, Coming::Cut);
        world.later(400, Coming::Die);
        world.live(1_800);
        world.settle_both();
        world.everything_is_told();
        twice += world.every_number_has_its_end();
    }
    assert!(one().is_some() || twice > 3, "{twice}");
}
