//! Dependencies as they are drawn, and what they mean: worked out from the drawing and the
//! states that readers see, by other ways than those of the engine.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use fastrand::Rng;
use lvsmon::engine::Engine;
use lvsmon::engine::event::Status;
use lvsmon::time::Mono;

/// Watch and service.
pub(crate) type Name = (String, String);

/// Longer than any `dep_memory` that is drawn.
const MEMORY_MAX: Duration = Duration::from_secs(16);

/// What a line acts on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum On {
    Alerts,
    Monitor,
    Hosts,
}

/// One line: one of these lists of services must be good as a whole.
#[derive(Clone, Debug)]
pub(crate) struct Reliance {
    pub(crate) on: On,
    any_of: Vec<Vec<Name>>,
    /// The line, or lines, of the file.
    pub(crate) line: String,
}

/// What a service relies on: nothing, or some of these services above it.
pub(crate) fn reliance(random: &mut Rng, above: &[Name]) -> Vec<Reliance> {
    let mut all = Vec::new();
    if above.is_empty() || random.u8(..) < 90 {
        return all;
    }
    let on = [On::Alerts, On::Monitor, On::Hosts][random.usize(..3)];
    let (any_of, text) = expression(random, above);
    let behavior = ["a", "m", "hm"][on as usize];
    all.push(Reliance {
        on,
        any_of,
        line: format!("depend {text}\n        dep_behavior {behavior}"),
    });
    if random.u8(..) < 100 {
        // One keyword of its own beside it.
        let own = [On::Alerts, On::Monitor, On::Hosts][random.usize(..3)];
        if own != on {
            let (any_of, text) = expression(random, above);
            let keyword = ["alertdepend", "monitordepend", "hostdepend"][own as usize];
            all.push(Reliance {
                on: own,
                any_of,
                line: format!("{keyword} {text}"),
            });
        }
    }
    all
}

fn expression(random: &mut Rng, above: &[Name]) -> (Vec<Vec<Name>>, String) {
    let mut pick = || above[random.usize(..above.len())].clone();
    let (a, b, c) = (pick(), pick(), pick());
    let word = |name: &Name| format!("{}:{}", name.0, name.1);
    let (x, y, z) = (word(&a), word(&b), word(&c));
    match random.u8(..6) {
        0 => (vec![vec![a, b]], format!("{x} && {y}")),
        1 => (vec![vec![a], vec![b]], format!("{x} || {y}")),
        2 => (vec![vec![a, b], vec![c]], format!("{x} and {y} or {z}")),
        3 => (
            vec![vec![a, c.clone()], vec![b, c]],
            format!("({x} || {y}) && {z}"),
        ),
        4 => (vec![vec![a]], format!("not !{x} && 1")),
        _ => (vec![vec![a]], x),
    }
}

/// What is known of states at one moment, and since when.
#[derive(Clone, Debug, Default)]
pub(crate) struct States(BTreeMap<Name, bool>);

impl States {
    pub(crate) fn of(engine: &Engine) -> Self {
        let services = engine.services();
        let good = services.map(|view| {
            let name = (view.group.to_owned(), view.name.to_owned());
            let good = matches!(view.status, Status::Ok | Status::Untested);
            (name, good)
        });
        Self(good.collect())
    }

    pub(crate) fn failing(&self) -> impl Iterator<Item = &Name> {
        self.0
            .iter()
            .filter(|(_, good)| !**good)
            .map(|(name, _)| name)
    }
}

/// What the lines of a site come to.
pub(crate) struct Reference<'a> {
    pub(crate) relies: &'a BTreeMap<Name, Vec<Reliance>>,
    /// When each service was failing last, at the latest.
    pub(crate) failing: &'a BTreeMap<Name, Mono>,
    pub(crate) time: Mono,
}

impl Reference<'_> {
    fn lines(&self, on: On, name: &Name) -> Option<&Reliance> {
        self.relies.get(name)?.iter().find(|line| line.on == on)
    }

    /// Whether what it relies on is good, `dep_memory` aside.
    pub(crate) fn holds(&self, on: On, name: &Name, states: &States) -> bool {
        self.lines(on, name).is_none_or(|line| {
            let good = |parent: &Name| states.0[parent] && self.holds(on, parent, states);
            line.any_of.iter().any(|all| all.iter().all(good))
        })
    }

    /// Who has a say in whether what it relies on is good, each with a `dep_memory` of its own:
    /// the service itself and those above it that rely on others in turn.
    pub(crate) fn rely<'n>(&'n self, on: On, name: &'n Name) -> BTreeSet<&'n Name> {
        let mut rely = BTreeSet::new();
        let mut open = vec![name];
        while let Some(name) = open.pop() {
            if let Some(line) = self.lines(on, name)
                && rely.insert(name)
            {
                open.extend(line.any_of.iter().flatten());
            }
        }
        rely
    }

    /// Whether something it relies on failed so lately that a `dep_memory` may count it.
    pub(crate) fn may_remember(&self, on: On, name: &Name) -> bool {
        let recent = |parent: &Name| {
            let failed = self.failing.get(parent);
            failed.is_some_and(|&at| self.time.since(at) <= MEMORY_MAX)
        };
        let line = self.lines(on, name);
        line.is_some_and(|line| {
            let mut parents = line.any_of.iter().flatten();
            parents.any(|parent| recent(parent) || self.may_remember(on, parent))
        })
    }
}
