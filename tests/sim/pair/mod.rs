//! Seeded simulation of two directors: two engines and both ends of the talk between them, in one
//! world with one set of hosts and one mail relay. The link delays, breaks and heals; the active
//! director hands over, dies and comes back from its journal; either stands still for a while and
//! goes on with what it knew. Operators wish of real servers on either of them, roll out other
//! files and set clocks; kernels refuse, and hosts come and go within seconds.
//!
//! What must hold: every event is delivered, or what makes it needless, and who was told of a
//! failure, or of what goes wrong with a section, is told of its end, and of what fails on behind
//! that; no outage is told under two numbers, and nothing twice, but where the directors could not
//! hear each other when it began and changed their roles before they could; when nothing has
//! happened for a while both tables are the same, and so is what operators wish, which leaves
//! `min_live` unless one of them insisted.
//! `PAIR_SEED=n` plays one seed and tells its story, `PAIR_SEEDS=n` the first n beside
//! those others that an ordinary run has.

mod another;
mod apart;
mod both;
mod clocks;
mod coming;
mod director;
mod frozen;
mod hosts;
mod kept;
mod letters;
mod link;
mod mails;
mod numbers;
mod oneway;
mod post;
mod rest;
mod roles;
mod sections;
mod seeds;
mod settle;
mod site;
mod tables;
mod told;
mod unrest;
mod wishes;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::io::Write as _;
use std::time::Duration;

use fastrand::Rng;
use lvsmon::engine::event::{Action, Event};
use lvsmon::pair::talk::EventId;
use lvsmon::time::Mono;

use apart::Apart;
use coming::Coming;
use director::Director;
use letters::Renumbered;
use link::{Cause, Deaf};
use mails::{About, Mail};
use oneway::OneWay;
use roles::Turned;
use seeds::{one, seeds, story};
use site::{load, site};
use unrest::Unrest;

const HOSTS: usize = 3;

struct World {
    random: Rng,
    time: Mono,
    coming: BTreeMap<(Mono, u64), Coming>,
    count: u64,
    directors: [Director; 2],
    /// Each link has a number; words of an earlier one are lost.
    link: u64,
    /// How long a word is on its way.
    delay: Duration,
    is_linked: bool,
    /// The outages of each host: from when to when.
    outages: Vec<Vec<(Mono, Option<Mono>)>>,
    apart: Apart,
    one_way: OneWay,
    mails: Vec<Mail>,
    /// Ends that some director wanted to tell.
    ended: BTreeSet<About>,
    /// When there was no link, and when a director got or lost its role.
    deaf: Vec<Deaf>,
    turns: Vec<Turned>,
    /// What comes to one that stands still, until it goes on.
    frozen: Option<(usize, Vec<Coming>)>,
    /// A director is to stand still behind the next message of this service, and for how long.
    stall: Option<(String, Duration)>,
    /// Until then the roles go on changing.
    unsettled: Mono,
    freezes: u64,
    is_calm: bool,
    quiet_since: Mono,
    /// When an operator said something last, on either.
    wished: Mono,
    wishes: u64,
    compared: u64,
    /// How often failed servers were kept then, on either; how often others in their place could
    /// have been.
    compared_kept: u64,
    compared_chosen: u64,
    /// How often a director began anew while nothing else happened.
    begun_anew: u64,
    /// What checks give each host that is there.
    weights: [Option<u16>; HOSTS],
    /// When each director said first that an outage had ended.
    said_ended: BTreeMap<(usize, String), Mono>,
    /// Words about what ended, on links that had told their whole state.
    ends_heard: u64,
    renumbered: Renumbered,
    /// How often one was.
    renumberings: u64,
    /// Events that were not told by a director that had called them.
    dropped: u64,
    unrest: Unrest,
    log: Option<String>,
}

impl World {
    fn new(seed: u64) -> Self {
        Self::with(seed, "")
    }

    /// The file has this, too.
    fn with(seed: u64, more: &str) -> Self {
        let mut random = Rng::with_seed(seed.wrapping_mul(41));
        let text = site(&mut random) + more;
        let model = load(&text);
        // A clock may go wrong by minutes.
        let ahead = random.i64(-1_200_000_000..1_200_000_000);
        let directors = [
            Director::new(&model, seed * 2, 0),
            Director::new(&model, seed * 2 + 1, ahead),
        ];
        let mut world = Self {
            random,
            time: Mono::ZERO,
            coming: BTreeMap::new(),
            count: 0,
            directors,
            link: 0,
            delay: Duration::from_millis(20),
            is_linked: false,
            outages: vec![Vec::new(); HOSTS],
            apart: Apart::default(),
            one_way: OneWay::default(),
            mails: Vec::new(),
            ended: BTreeSet::new(),
            deaf: vec![Deaf {
                from: Mono::ZERO,
                to: None,
                cause: Cause::Death,
            }],
            turns: Vec::new(),
            frozen: None,
            stall: None,
            unsettled: Mono::ZERO,
            freezes: 0,
            is_calm: false,
            quiet_since: Mono::ZERO,
            wished: Mono::ZERO,
            wishes: 0,
            compared: 0,
            compared_kept: 0,
            compared_chosen: 0,
            begun_anew: 0,
            weights: [None; HOSTS],
            said_ended: BTreeMap::new(),
            ends_heard: 0,
            renumbered: Renumbered::default(),
            renumberings: 0,
            dropped: 0,
            unrest: Unrest::new(seed, &model, more),
            log: None,
        };
        world.later(40, Coming::Flip);
        world.later(300, Coming::Cut);
        world.later(200, Coming::HandOver);
        world.later(400, Coming::Die);
        world.later(120, Coming::Wish);
        world.later(250, Coming::Freeze);
        world.begin_unrest();
        world
    }

    fn begin(&mut self) {
        for side in 0..2 {
            self.tell(side, Event::Start);
        }
        self.role(0, true);
        self.heal();
    }

    fn note(&mut self, text: std::fmt::Arguments<'_>) {
        if let Some(log) = &mut self.log {
            let _ = writeln!(
                log,
                "{:.3} {text}",
                self.time.since(Mono::ZERO).as_secs_f64()
            );
        }
    }

    fn tell(&mut self, side: usize, event: Event) {
        let actions = self.directors[side].tell(self.time, event);
        self.perform(side, actions);
        if std::mem::take(&mut self.directors[side].wants_link) {
            self.cut(Cause::Stall);
            self.soon(2_000, Coming::Heal);
        }
    }

    fn perform(&mut self, side: usize, actions: Vec<Action>) {
        let life = self.directors[side].life;
        for action in actions {
            if let Action::Renumber(it) = &action {
                self.note(format_args!("{side} renumbers {} to {}", it.from, it.to));
                self.renumbered.add(it);
                self.renumberings += 1;
            }
            if let Some(run) = action.started() {
                let report = self.found(side, run);
                self.soon(800, Coming::Ends(side, life, run.id, report));
            } else if let Some(call) = action.sent() {
                let is_shared = EventId::of(&call.event).is_some_and(EventId::is_shared);
                if let Some(about) = self.about(call).filter(|_| is_shared) {
                    self.note(format_args!(
                        "{side} calls {}{}",
                        call.event,
                        about.failing()
                    ));
                    if call.kind.mark() == Some("-u") {
                        self.calls_end(side, &call.event, &about);
                    }
                    self.directors[side].call(self.time, &call.event, about);
                }
            } else if let Action::Resolve(host) = action {
                self.soon(5, Coming::Resolved(side, life, host));
            } else if let Action::ApplyTable = action {
                self.soon(5, Coming::Look(side, life));
            }
        }
        self.speak(side);
        let now = self.time;
        if self.directors[side].may_send(now) && self.directors[side].outbox.has_work() {
            self.soon(300, Coming::Relay(side, life));
        }
    }
}

impl Drop for World {
    fn drop(&mut self) {
        if let Some(log) = self.log.as_ref().filter(|_| std::thread::panicking()) {
            let _ = writeln!(std::io::stderr(), "{log}");
        }
    }
}

/// Seeds of an ordinary test run.
const SEEDS: u64 = 12;

#[test]
fn two_directors_tell_everything_once_under_one_id() {
    let (mut mails, mut turns, mut compared, mut wishes) = (0, 0, 0, 0);
    let (mut freezes, mut troubles, mut ends, mut dropped) = (0, 0, 0, 0);
    let mut kept = 0;
    let mut unrest = [0; 4];
    for seed in seeds(SEEDS, &[]) {
        let _named = super::Named("PAIR_SEED", seed);
        let mut world = World::new(seed);
        world.log = story();
        world.begin();
        world.live(1_800);
        world.settle();
        mails += world.mails.len();
        turns += world.turns.len();
        compared += world.compared;
        kept += world.compared_kept;
        wishes += world.wishes;
        freezes += world.freezes;
        troubles += world.troubles();
        ends += world.ends_heard;
        dropped += world.dropped;
        let seen = world.unrest.counts();
        unrest = std::array::from_fn(|it| unrest[it] + seen[it]);
    }
    if one().is_some() {
        return;
    }
    assert!(
        mails > 20 && turns > 5 && compared > 2 && kept > 2 && wishes > 5,
        "{mails} {turns} {compared} {kept} {wishes}"
    );
    assert!(
        freezes > 3 && troubles > 3 && ends > 3 && dropped > 1_000,
        "{freezes} {troubles} {ends} {dropped}"
    );
    assert!(unrest.iter().all(|count| *count > 3), "{unrest:?}");
}
