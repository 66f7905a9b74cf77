//! The wall clock of one director is set by less than a minute, back and forth.
//!
//! What both number apart is compared by when it lasted: it began and ended while they did not hear
//! each other, and neither spoke by the time that they did. Until one of them speaks nobody knows
//! whose numbers people will have, and a clock may be set before and behind that. An outage lasts
//! less than a minute here, and is one all the same.

use std::time::Duration;

use super::seeds::{one, seeds, story};
use super::{Cause, HOSTS, World};

/// How far a clock is set, in milliseconds.
const STEP_MAX: i64 = 59_999;

/// How long a host is away, and is there again before it is away once more, in seconds: all checks
/// see it.
const AWAY: std::ops::Range<u64> = 20..30;

impl World {
    /// Lives for so many seconds, and every now and then the clock of one is set.
    fn live_with_clocks_set(&mut self, seconds: u64) {
        let end = self.time.after(Duration::from_secs(seconds));
        while self.time < end {
            if self.random.bool() {
                let side = self.random.usize(..2);
                let millis = self.random.i64(-STEP_MAX..=STEP_MAX);
                self.clock_is_set(side, millis);
            }
            let rest = self.random.u64(1..6);
            self.live(rest);
        }
    }

    /// Nobody speaks, and neither hears the other. A host is away twice.
    fn see_outages_apart(&mut self) {
        self.cut(Cause::Cut);
        for side in 0..2 {
            self.role(side, false);
        }
        self.live(10);
        let host = self.random.usize(..HOSTS);
        for _ in 0..2 {
            self.outages[host].push((self.time, None));
            let away = self.random.u64(AWAY);
            self.live_with_clocks_set(away);
            self.outages[host].last_mut().unwrap().1 = Some(self.time);
            let there = self.random.u64(AWAY);
            self.live_with_clocks_set(there);
        }
    }

    /// One of them speaks, and some time later the other one.
    fn speak_in_turn(&mut self) {
        let first = self.random.usize(..2);
        self.role(first, true);
        self.live_with_clocks_set(20);
        self.role(first, false);
        self.role(1 - first, true);
        self.live_with_clocks_set(20);
    }
}

/// Seeds of an ordinary test run.
const SEEDS: u64 = 6;

/// And one in which a number of one director names another outage of the other one.
const OTHERS: [u64; 1] = [10];

/// How often in each of them.
const ROUNDS: usize = 4;

#[test]
fn an_outage_has_one_number_however_clocks_are_set_by_less_than_a_minute() {
    let (mut mails, mut renumberings) = (0, 0);
    for seed in seeds(SEEDS, &OTHERS) {
        let _named = crate::sim::Named("PAIR_SEED", seed);
        let mut world = World::new(seed);
        world.log = story();
        world.nothing_comes();
        world.begin();
        world.live(30);
        for _ in 0..ROUNDS {
            world.see_outages_apart();
            world.heal();
            world.live_with_clocks_set(15);
            world.speak_in_turn();
        }
        world.live(30);
        world.everything_is_told();
        world.nothing_has_two_ids();
        world.nothing_is_told_as_another();
        world.nothing_is_told_twice();
        world.outages_end_well();
        world.troubles_have_an_end();
        world.what_is_dropped_is_needless();
        world.nothing_waits();
        mails += world.mails.len();
        renumberings += world.renumberings;
    }
    let is_rich = mails > 60 && renumberings > 20;
    assert!(one().is_some() || is_rich, "{mails} {renumberings}");
}
