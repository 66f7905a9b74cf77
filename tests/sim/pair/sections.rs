//! What goes wrong with sections as a whole is told with its end.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use fastrand::Rng;
use lvsmon::model::Model;
use lvsmon::pair::talk::delivered::SECTION_GROUP;
use lvsmon::pair::talk::{EventId, EventKind, ServiceName};
use lvsmon::time::Mono;

use super::{About, Cause, Coming, World, load, site};

impl World {
    /// Mails about sections.
    pub(super) fn troubles(&self) -> usize {
        let of_section = |about: &About| matches!(about, About::Section(_));
        self.mails.iter().filter(|it| of_section(&it.about)).count()
    }

    /// Who hears of a trouble hears of its end, by the same number, and of no other one before:
    /// unless the directors could not agree about it or not know of it. A mail that comes twice
    /// says nothing new; when it may is for `nothing_is_told_twice`.
    pub(super) fn troubles_have_an_end(&self) {
        let mut open: BTreeMap<&str, (&str, Mono)> = BTreeMap::new();
        let mut over: BTreeSet<&str> = BTreeSet::new();
        for mail in &self.mails {
            let About::Section(trouble) = &mail.about else {
                continue;
            };
            let id = EventId::of(&mail.event).unwrap();
            let is_end = id.kind == EventKind::Up;
            if over.contains(id.outage) {
                continue;
            }
            let before = match is_end {
                true => open.remove(&**trouble),
                false => open.insert(trouble, (id.outage, mail.at)),
            };
            if is_end {
                over.insert(id.outage);
            }
            let before = before.filter(|(outage, _)| *outage != id.outage);
            let is_one = before.is_none_or(|(_, at)| {
                self.could_not_agree(at, mail.at, mail.at) || self.could_not_know(at, mail.at)
            });
            assert!(is_one, "{before:?} has no end before {mail:?}");
        }
        open.retain(|trouble, (outage, _)| self.goes_on(trouble) != Some((*outage).to_owned()));
        assert_eq!(open, BTreeMap::new(), "nobody hears of the end");
    }

    /// By which number a trouble goes on, on both directors: operators may keep all servers out.
    pub(super) fn goes_on(&self, trouble: &str) -> Option<String> {
        let [one, other] = self.directors.each_ref().map(|it| {
            let (outages, _) = it.engine.outages();
            let mut outages = outages.into_iter();
            let is_it = |name: &ServiceName| name.group == SECTION_GROUP && name.service == trouble;
            let (_, open) = outages.find(|(name, _)| is_it(name))?;
            Some(format!("{SECTION_GROUP}/{trouble}/{}", open.id))
        });
        one.filter(|it| other.as_ref() == Some(it))
    }
}

/// The active director tells of the trouble. The other one is back from a restart just as the hosts
/// are, hears of it, and is alone before either has seen that.
#[test]
fn the_end_of_a_trouble_is_told_by_a_director_that_never_found_it() {
    let mut told_by_other = 0;
    for seed in 0..8 {
        let _named = crate::sim::Named("PAIR_SEED", seed);
        let mut world = World::new(seed);
        world.nothing_comes();
        world.begin();
        world.live(60);
        world.dies_for_good(1);
        world.live(10);
        for outages in &mut world.outages {
            outages.push((world.time, None));
        }
        world.live(60);
        assert!(world.troubles() > 0, "the trouble is told");
        world.come_back(1);
        world.heal();
        for outages in &mut world.outages {
            outages.last_mut().unwrap().1 = Some(world.time);
        }
        world.live(1);
        let before = world.ends_of_troubles();
        world.dies_for_good(0);
        world.live(120);
        told_by_other += world.ends_of_troubles() - before;
        world.troubles_have_an_end();
    }
    assert!(told_by_other > 3, "{told_by_other}");
}

/// A section of its own that has the first host.
fn section(option: &str) -> String {
    let alerts = ["alert", "upalert"].map(|it| format!("    {it} mail.alert ops@example.org\n"));
    let servers = "    real 10.1.0.0\n    service g0:http\n";
    format!(
        "\nvirtual 10.0.0.5:80\n{servers}{option}{}",
        alerts.concat()
    )
}

/// The active director has read a new file, tells of a trouble that the section has by it, and is
/// heard no more. The other one finds that by the old file a fallback serves, and reads the new one
/// later.
#[test]
fn a_trouble_that_only_the_file_of_a_director_which_is_not_heard_has_is_told_with_its_end() {
    for seed in 0..8 {
        let _named = crate::sim::Named("PAIR_SEED", seed);
        let mut world = World::with(seed, &section("    fallback 10.1.0.9\n"));
        let text = site(&mut Rng::with_seed(seed.wrapping_mul(41)));
        let file = load(&(text + &section("")));
        world.nothing_comes();
        world.begin();
        world.live(60);
        world.outages[0].push((world.time, None));
        world.live(30);
        world.delay = Duration::from_secs(5); // What is told from now on is not heard.
        world.reads(0, &file);
        world.live(2);
        assert_eq!(world.told("10.0.0.5:80/tcp no_server").len(), 1);
        world.cut(Cause::Stall);
        world.role(0, false);
        world.role(1, true);
        world.delay = Duration::from_millis(20);
        world.live(30);
        world.reads(1, &file);
        world.live(10);
        let told = world.told("10.0.0.5:80/tcp no_server");
        assert_eq!(told.len(), 2, "{told:?}");
        world.heal();
        world.live(30);
        world.outages[0].last_mut().unwrap().1 = Some(world.time);
        world.live(60);
        world.troubles_have_an_end();
        world.nothing_is_told_as_another();
    }
}

impl World {
    fn reads(&mut self, side: usize, file: &Arc<Model>) {
        self.directors[side].file = Arc::clone(file);
        self.reload(side, self.directors[side].life);
    }

    /// The numbers under which people were told of a trouble.
    fn told(&self, trouble: &str) -> BTreeSet<&str> {
        let about = About::Section(trouble.to_owned());
        let mails = self.mails.iter().filter(|it| it.about == about);
        mails
            .map(|it| EventId::of(&it.event).unwrap().outage)
            .collect()
    }

    fn dies_for_good(&mut self, side: usize) {
        self.die(side);
        self.coming.retain(|_, it| !matches!(it, Coming::Back(_)));
    }

    fn ends_of_troubles(&self) -> usize {
        let is_end = |event: &str| EventId::of(event).is_some_and(|id| id.kind == EventKind::Up);
        let of_section = |about: &About| matches!(about, About::Section(_));
        let mails = self.mails.iter();
        mails
            .filter(|it| of_section(&it.about) && is_end(&it.event))
            .count()
    }
}
