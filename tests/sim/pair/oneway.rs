//! One host is out of reach for one director only, and the other one finds it good: a route that is
//! gone, a firewall that was changed.
//!
//! What one director has told and seen the end of, the other one may know nothing about, whichever
//! of the two speaks by then. When nothing has happened for a while and both hear each other,
//! people were told of the end of all that they were told of, and nothing waits that is about it.

mod again;
mod stall;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::time::Duration;

use fastrand::Rng;
use lvsmon::model::HostName;
use lvsmon::pair::talk::delivered::SECTION_GROUP;
use lvsmon::pair::talk::{EventId, EventKind};
use lvsmon::time::Mono;

use super::numbers::ROUND;
use super::seeds::{one, seeds, story};
use super::{About, Cause, Coming, Mail, World, site};

const GROUP: &str = "oneway";
const HOST: &str = "10.1.2.0";
const SECTION: &str = "10.0.0.4:80";

/// The host that either director may not reach.
#[derive(Debug, Default)]
pub(super) struct OneWay {
    /// Which director does not reach it.
    is_cut: [bool; 2],
    /// When that changed last; none where the file has no such host.
    changed: Option<Mono>,
    /// When which director lost its way to it.
    lost: Vec<(Mono, usize)>,
    /// When each director found the end of each outage of it, first.
    ends: BTreeMap<(usize, String), Mono>,
}

impl OneWay {
    pub(super) const fn is_down(&self, side: usize) -> bool {
        self.is_cut[side]
    }

    /// A director calls the end of this outage.
    pub(super) fn ends(&mut self, side: usize, outage: &str, now: Mono) {
        let end = self.ends.entry((side, outage.to_owned()));
        end.or_insert(now);
    }

    /// Whether only the other director had found this outage's end by then, less than a round of
    /// checks before: it is told with the next good check, and none has come since.
    pub(super) fn awaits_a_good_check(&self, side: usize, outage: &str, then: Mono) -> bool {
        let end = |side| self.ends.get(&(side, outage.to_owned()));
        let is_known = end(side).is_some_and(|at| *at <= then);
        let is_seen = |at: &Mono| *at <= then && then.since(*at) < ROUND;
        !is_known && end(1 - side).is_some_and(is_seen)
    }

    /// Both reach it.
    pub(super) fn recover(&mut self, now: Mono) {
        if std::mem::take(&mut self.is_cut) != [false; 2] {
            self.changed = Some(now);
        }
    }
}

/// Whether this is the host.
pub(super) fn is_it(host: &HostName) -> bool {
    host.as_str() == HOST
}

/// Whether an event of this is about it.
pub(super) fn is_about(group: &str, name: &str) -> bool {
    group == GROUP || (group == SECTION_GROUP && name.starts_with(SECTION))
}

/// What the file has for it.
fn watch(random: &mut Rng) -> String {
    let options = ["alertevery 20s", "alertevery 1h", "alertafter 2"];
    let mut text = site::watch(random, GROUP, HOST, &options);
    let _ = writeln!(text, "\nvirtual {SECTION}\n    real {HOST}");
    let _ = writeln!(text, "    service {GROUP}:http");
    for line in ["alert", "upalert"] {
        let _ = writeln!(text, "    {line} mail.alert ops@example.org");
    }
    text
}

impl World {
    /// With a host that one director may not reach while the other one does.
    fn with_a_host_one_way(seed: u64) -> Self {
        let mut random = Rng::with_seed(seed.wrapping_mul(47));
        let mut world = Self::with(seed, &watch(&mut random));
        world.one_way.changed = Some(Mono::ZERO);
        world.later(20, Coming::FlipOneWay);
        world
    }

    /// One director loses its way to the host, or has it back.
    pub(super) fn flip_one_way(&mut self) {
        self.what_was_told_has_its_end();
        self.what_fails_is_told();
        let side = self.random.usize(..2);
        self.reaches(side, self.one_way.is_cut[side]);
        if self.random.u8(..4) == 0 {
            self.parts();
        }
        let millis = match self.random.u8(..4) {
            0 => self.random.u64(50_000..90_000),
            _ => self.random.u64(2_000..25_000),
        };
        let at = self.time.after(Duration::from_millis(millis));
        self.at(at, Coming::FlipOneWay);
    }

    /// The link is cut for a while, and some seconds later the director that speaks is the other
    /// one.
    fn parts(&mut self) {
        if !self.is_settled() {
            return;
        }
        self.cut(Cause::Cut);
        self.later(30, Coming::Heal);
        let active = usize::from(!self.directors[0].is_active);
        let lives = self.directors.each_ref().map(|it| it.life);
        let turn = self.time.after(Duration::from_secs(self.random.u64(5..20)));
        self.at(turn, Coming::Role(active, lives[active], false));
        let other = 1 - active;
        let taken = turn.after(Duration::from_millis(500));
        self.at(taken, Coming::Role(other, lives[other], true));
        self.unsettled = taken.after(Duration::from_secs(2));
    }

    fn reaches(&mut self, side: usize, reaches: bool) {
        self.note(format_args!("{side} reaches the host: {reaches}"));
        self.one_way.is_cut[side] = !reaches;
        if !reaches {
            self.one_way.lost.push((self.time, side));
        }
        self.one_way.changed = Some(self.time);
        self.quiet_since = self.time;
    }

    /// Whether only the other director told of this outage, then for the last time, and the one
    /// that told this mail got its role behind that, and lost its way to the host within a round
    /// of checks: an end is told "of a service when a check finds it good" (docs/peer.md).
    pub(super) fn took_over_between_checks(&self, outage: &str, then: Mono, mail: &Mail) -> bool {
        let is_it = |it: &&Mail| EventId::of(&it.event).unwrap().outage == outage;
        let mut told = self.mails.iter().filter(is_it);
        let is_theirs = told.all(|it| it.side != mail.side || it.at > mail.at);
        let lost = self.one_way.lost.iter();
        let mut lost = lost.filter(|(at, side)| *side == mail.side && *at <= mail.at);
        let Some((lost, _)) = lost.next_back().filter(|_| is_theirs) else {
            return false;
        };
        let mut turns = self.turns.iter().map(|it| it.at);
        let turned = turns.any(|at| then <= at && at <= *lost && lost.since(at) < ROUND);
        turned && mail.about == About::OneWay
    }

    /// Whether both see the same of it.
    pub(super) fn sees_the_same(&self) -> bool {
        let [one, other] = self.one_way.is_cut;
        one == other
    }

    /// When nothing happened for a while and both directors hear each other, of all that people
    /// were told of and that does not go on they were told the end, and nothing about it is held:
    /// but for what fails again on the director that speaks, and for what only a director told
    /// which died with that: nobody knows of it.
    pub(super) fn what_was_told_has_its_end(&self) {
        let Some(changed) = self.one_way.changed else {
            return;
        };
        if !self.is_at_rest(changed) {
            return;
        }
        let goes_on: BTreeSet<String> = self.directors.iter().flat_map(open).collect();
        let mut known = BTreeSet::new();
        // Of each when its end was told.
        let mut told: BTreeMap<String, Option<Mono>> = BTreeMap::new();
        for mail in self.mails.iter().filter(|it| it.about == About::OneWay) {
            let id = EventId::of(&mail.event).unwrap();
            let outage = self.renumbered.now_called(id.outage);
            if !mail.is_unknown {
                known.insert(outage.clone());
            }
            let over = told.entry(outage).or_default();
            if id.kind == EventKind::Up {
                *over = Some(mail.at);
            } else if over.is_some_and(|over| !self.was_unheard(over, mail.at)) {
                *over = None;
            }
        }
        // Who hears of an end behind the beginning of a later one takes that for over: it waits.
        let speaking = self.directors.iter().filter(|it| it.is_active);
        let failing: Vec<String> = speaking.flat_map(open).collect();
        let fails = |outage: &String| failing.iter().any(|it| place(it) == place(outage));
        told.retain(|outage, _| !goes_on.contains(outage) && !fails(outage));
        told.retain(|outage, _| known.contains(outage));
        for (outage, over) in &told {
            assert!(over.is_some(), "nobody hears of the end of {outage}");
        }
        for (side, director) in self.directors.iter().enumerate() {
            for event in director.outbox.waiting() {
                let outage = self
                    .renumbered
                    .now_called(EventId::of(&event).unwrap().outage);
                assert!(!told.contains_key(&outage), "{side} holds {event} for ever");
            }
        }
    }

    /// Ends and beginnings that were told of this outage's host.
    fn told_one_way(&self, kind: EventKind<'_>) -> Vec<&str> {
        let mails = self.mails.iter().filter(|it| it.about == About::OneWay);
        let mails = mails.map(|it| EventId::of(&it.event).unwrap());
        let mails = mails.filter(|id| id.kind == kind);
        mails.map(|id| id.outage).collect()
    }
}

/// An outage without its number.
fn place(outage: &str) -> &str {
    outage.rsplit_once('/').map_or(outage, |(place, _)| place)
}

/// What goes on on one director, as in event ids.
fn open(director: &super::Director) -> Vec<String> {
    let (outages, _) = director.engine.outages();
    let outages = outages.into_iter();
    let names = outages.map(|(name, it)| format!("{}/{}/{}", name.group, name.service, it.id));
    names.collect()
}

/// Seeds of an ordinary test run.
const SEEDS: u64 = 6;

/// And one in which a director tells what only it has seen behind what it could not hear of.
const OTHERS: [u64; 1] = [22];

#[test]
fn who_was_told_of_what_one_director_saw_is_told_of_its_end() {
    let mut told = 0;
    for seed in seeds(SEEDS, &OTHERS) {
        let _named = crate::sim::Named("PAIR_SEED", seed);
        let mut world = World::with_a_host_one_way(seed);
        world.log = story();
        world.begin();
        world.live(1_200);
        world.settle();
        told += world.told_one_way(EventKind::Up).len();
    }
    assert!(one().is_some() || told > 50, "{told}");
}

/// The active director loses its way to a host while there is no link, tells of it and gives its
/// role to the other one, which has seen nothing. It finds the end as the standby.
#[test]
fn the_end_of_what_was_told_without_a_link_is_told_by_who_speaks_when_it_is_back() {
    for seed in 0..8 {
        let _named = crate::sim::Named("PAIR_SEED", seed);
        let mut world = World::with_a_host_one_way(seed);
        world.nothing_comes();
        world.begin();
        world.live(60);
        world.cut(Cause::Cut);
        world.live(10);
        world.reaches(0, false);
        world.live(40);
        let told = world.told_one_way(EventKind::Failure);
        assert!(told.len() > 1, "the service and the section: {told:?}");
        world.role(0, false);
        world.role(1, true);
        world.live(10);
        world.reaches(0, true);
        world.live(20);
        assert_eq!(world.told_one_way(EventKind::Up), Vec::<&str>::new());
        world.heal();
        world.live(60);
        let ends = world.told_one_way(EventKind::Up);
        let told: BTreeSet<&str> = world.told_one_way(EventKind::Failure).into_iter().collect();
        assert_eq!(ends.len(), told.len(), "each once: {ends:?}");
        assert_eq!(ends.into_iter().collect::<BTreeSet<_>>(), told);
        world.what_was_told_has_its_end();
    }
}
