//! Hosts fail and come back in quick succession, with another weight at each check, while links
//! break, clocks are set and directors die: whom `min_live` keeps, and at which weight, is the same
//! on both when nothing has happened for a while. One that begins anew exchanges no server on the
//! other one.
//!
//! What each director found itself is not: it checks at other moments, one that comes back finds
//! all at once, and one without its journal for the first time.

use std::fmt::Write as _;
use std::time::Duration;

use fastrand::Rng;

use super::seeds::{one, seeds, story};
use super::{Cause, Coming, HOSTS, World};

/// A section of all hosts that never has fewer than two.
fn section(random: &mut Rng) -> String {
    let mut text = "\nvirtual 10.0.0.4:80\n    min_live 2\n    weight_from check\n".to_owned();
    for option in ["on_failure drain 10s", "slow_start 9s", "fall 2"] {
        if random.bool() {
            let _ = writeln!(text, "    {option}");
        }
    }
    for host in 0..HOSTS {
        let _ = writeln!(text, "    real 10.1.0.{host}");
    }
    let judges = (0..HOSTS).map(|host| format!(" g{host}:http"));
    let _ = writeln!(text, "    service{}", judges.collect::<String>());
    text
}

impl World {
    fn some_host_flips(&mut self) {
        let host = self.random.usize(..HOSTS);
        // Not each director looks before it fails.
        self.weights[host] = Some(self.random.u16(1..100));
        let seconds = self.random.u64(..5);
        self.live(seconds);
        self.host_flips(host);
    }

    /// Some of it goes wrong, and then nothing more.
    fn goes_wrong(&mut self) {
        for _ in 0..self.random.u32(1..=5) {
            let side = self.random.usize(..2);
            match self.random.u8(..16) {
                0 | 1 => {
                    self.cut(Cause::Cut);
                    self.later(15, Coming::Heal);
                }
                2 => self.die(side),
                3 => {
                    self.die(side);
                    let director = &mut self.directors[side];
                    if !director.is_alive {
                        director.loses_its_journal();
                    }
                }
                4 if self.directors[side].is_alive => {
                    let millis = self.random.i64(-3_600_000..3_600_000);
                    self.clock_is_set(side, millis);
                }
                _ => self.some_host_flips(),
            }
            let seconds = self.random.u64(..5);
            self.live(seconds);
        }
        self.live(100);
        self.heal();
        self.quiet_since = self.time;
        self.live(60);
        self.compare();
        if self.random.bool() {
            self.begins_anew();
        }
    }

    /// One director loses its disk and comes back with another clock, while nothing happens to any
    /// server: the other one exchanges none.
    fn begins_anew(&mut self) {
        if !self.is_settled() || !self.both_know() {
            return;
        }
        let (side, millis) = (
            self.random.usize(..2),
            self.random.i64(-7_200_000..7_200_000),
        );
        self.die(side);
        self.note(format_args!(
            "{side} begins anew, its clock set by {millis} ms"
        ));
        let director = &mut self.directors[side];
        director.loses_its_journal();
        director.set_clock(millis);
        let is_kept_from_the_other = self.random.bool();
        let before = self.directors[1 - side].kernel.clone();
        for second in 0..150 {
            if is_kept_from_the_other && second < 80 {
                self.cut(Cause::Cut);
            }
            if second == 80 {
                self.heal();
            }
            self.live(1);
            let now = &self.directors[1 - side].kernel;
            assert_eq!(*now, before, "{side} begins anew");
        }
        self.begun_anew += 1;
        self.compare();
    }
}

/// Seeds of an ordinary test run.
const SEEDS: u64 = 4;

#[test]
fn both_directors_keep_the_same_failed_servers_at_the_same_weights() {
    let (mut compared, mut chosen, mut anew) = (0, 0, 0);
    for seed in seeds(SEEDS, &[]) {
        let _named = crate::sim::Named("PAIR_SEED", seed);
        let mut random = Rng::with_seed(seed.wrapping_mul(53));
        let mut world = World::with(seed, &section(&mut random));
        world.log = story();
        world.nothing_comes();
        world.weights = [Some(50); HOSTS];
        world.begin();
        world.live(20);
        let end = world.time.after(Duration::from_secs(1_800));
        while world.time < end {
            world.goes_wrong();
        }
        compared += world.compared;
        chosen += world.compared_chosen;
        anew += world.begun_anew;
    }
    let is_rich = compared > 20 && chosen > 5 && anew > 5;
    assert!(one().is_some() || is_rich, "{compared} {chosen} {anew}");
}
