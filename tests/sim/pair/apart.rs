//! The hosts of one group fail apart, in quick succession, and then nothing happens for a while:
//! what people were told last of the service names exactly those that fail.
//!
//! Who reads the latest mail knows how it stands, whoever of the two directors wrote it and
//! whatever became of the other one.

use std::collections::BTreeSet;
use std::time::Duration;

use fastrand::Rng;
use lvsmon::engine::event::{AlertCall, HostResult, HostVerdict};
use lvsmon::model::HostName;
use lvsmon::pair::talk::{EventId, EventKind};
use lvsmon::time::Mono;

use super::seeds::{one, seeds, story};
use super::{About, Coming, World, site};

/// The hosts of a service that fail.
pub(super) type Failing = BTreeSet<HostName>;

pub(super) const GROUP: &str = "apart";

/// Its hosts.
const NETWORK: &str = "10.1.1.";
const HOSTS: u8 = 3;

/// The group whose hosts fail apart.
#[derive(Debug, Default)]
pub(super) struct Apart {
    failing: Failing,
    /// When one of them failed or recovered last; none where the file has no such group.
    changed: Option<Mono>,
    /// How often that was looked at while some failed.
    looked: u64,
}

impl Apart {
    pub(super) fn is_down(&self, host: &HostName) -> bool {
        self.failing.contains(host)
    }

    /// All is well.
    pub(super) fn recover(&mut self, now: Mono) {
        if std::mem::take(&mut self.failing) != Failing::new() {
            self.changed = Some(now);
        }
    }
}

/// Whether this is one of the group.
pub(super) fn is_one(host: &HostName) -> bool {
    host.as_str().starts_with(NETWORK)
}

/// Which hosts a message names.
pub(super) fn failing(call: &AlertCall) -> Failing {
    let results = call.results.iter();
    let down = results.filter(|(_, verdict, _)| matches!(verdict, HostVerdict::Down(_)));
    down.map(|(host, ..)| host.clone()).collect()
}

/// What a monitor says: those that fail, where there are several to tell apart.
pub(super) fn summary(results: &[HostResult]) -> Vec<u8> {
    if results.len() < 2 {
        return Vec::new();
    }
    let down = results.iter().filter(|it| it.verdict != HostVerdict::Up);
    let down: Vec<&str> = down.map(|it| it.host.as_str()).collect();
    down.join(" ").into_bytes()
}

impl About {
    /// For the story.
    pub(super) fn failing(&self) -> String {
        match self {
            Self::Apart(failing) => format!(" {failing:?}"),
            Self::Outage(..) | Self::Section(_) | Self::OneWay => String::new(),
        }
    }
}

/// What the file has for it.
fn watch(random: &mut Rng) -> String {
    let hosts = (0..HOSTS).map(|host| format!("{NETWORK}{host}"));
    let hosts: Vec<String> = hosts.collect();
    let options = [
        "alertevery 20s",
        "alertevery 1h",
        "alertafter 2",
        "alertevery 7s",
    ];
    site::watch(random, GROUP, &hosts.join(" "), &options)
}

impl World {
    /// With a group whose hosts fail apart.
    fn with_hosts_apart(seed: u64) -> Self {
        let mut random = Rng::with_seed(seed.wrapping_mul(43));
        let mut world = Self::with(seed, &watch(&mut random));
        world.apart.changed = Some(Mono::ZERO);
        world.later(20, Coming::FlipApart);
        world
    }

    /// One host fails or recovers: soon after the one before, or when all has settled.
    pub(super) fn flip_apart(&mut self) {
        self.who_fails_is_told();
        let host = HostName::new(&format!("{NETWORK}{}", self.random.u8(..HOSTS)));
        self.note(format_args!("host {host} flips"));
        if !self.apart.failing.remove(&host) {
            self.apart.failing.insert(host);
        }
        self.apart.changed = Some(self.time);
        let millis = match self.random.u8(..4) {
            0 => self.random.u64(50_000..90_000),
            _ => self.random.u64(500..15_000),
        };
        let at = self.time.after(Duration::from_millis(millis));
        self.at(at, Coming::FlipApart);
    }

    /// When nothing happened for a while and both directors hear each other, the latest mail names
    /// who fails.
    pub(super) fn who_fails_is_told(&mut self) {
        let Some(changed) = self.apart.changed else {
            return;
        };
        if !self.is_at_rest(changed) {
            return;
        }
        let mut latest_first = self.mails.iter().rev();
        let told = latest_first.find_map(|mail| match &mail.about {
            About::Apart(failing) => Some((mail, failing)),
            About::Outage(..) | About::Section(_) | About::OneWay => None,
        });
        let Some((mail, failing)) = told else {
            assert_eq!(self.apart.failing, Failing::new(), "nobody was told");
            return;
        };
        let is_end = EventId::of(&mail.event).unwrap().kind == EventKind::Up;
        assert_eq!(is_end, failing.is_empty(), "{mail:?}");
        assert_eq!(*failing, self.apart.failing, "{mail:?} was told last");
        self.apart.looked += u64::from(!is_end);
    }
}

/// Seeds of an ordinary test run.
const SEEDS: u64 = 8;

#[test]
fn what_people_were_told_last_names_who_fails() {
    let mut looked = 0;
    for seed in seeds(SEEDS, &[]) {
        let _named = crate::sim::Named("PAIR_SEED", seed);
        let mut world = World::with_hosts_apart(seed);
        world.log = story();
        world.begin();
        world.live(1_800);
        world.settle();
        looked += world.apart.looked;
    }
    assert!(one().is_some() || looked > 10, "{looked}");
}
