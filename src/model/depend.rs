//! Which services a service depends on, and how deep that goes.
//!
//! Source: docs/mon.md, "Dependencies".

use std::sync::Arc;

use crate::depend::Expression;
use crate::model::{Model, Service, ServiceId};

/// Which dependency keyword.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DependKind {
    /// `depend`
    Depend,
    /// `alertdepend`
    Alert,
    /// `monitordepend`
    Monitor,
    /// `hostdepend`
    Host,
}

/// `dep_behavior`: what an expression acts on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum DependBehavior {
    /// `a`: alerts are held back.
    #[default]
    Alerts,
    /// `m`: the monitor is not run.
    Monitor,
    /// `hm`: failing hosts of the parent are left out.
    Hosts,
}

/// One dependency line of a service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dependency {
    /// The text with `SELF` replaced by the watch, as status lines show it.
    pub written: Arc<str>,
    /// What it says.
    pub expression: Expression,
    /// Which service each of the expression's names is; none for a name that no service has,
    /// which counts as failing.
    pub parents: Box<[Option<ServiceId>]>,
}

impl Dependency {
    /// The services it names that there are.
    pub fn known_parents(&self) -> impl Iterator<Item = ServiceId> {
        self.parents.iter().filter_map(|parent| *parent)
    }
}

impl Service {
    /// The line of that keyword.
    #[must_use]
    pub fn dependency(&self, kind: DependKind) -> Option<&Dependency> {
        let mut lines = self.depend.iter();
        lines.find(|(known, _)| *known == kind).map(|(_, it)| it)
    }

    /// The expression that acts on `what`: that of `depend` where its `dep_behavior` is this
    /// one, else that of the keyword of its own.
    #[must_use]
    pub fn depends(&self, what: DependBehavior) -> Option<&Dependency> {
        let general = self.dependency(DependKind::Depend);
        let own = match what {
            DependBehavior::Alerts => DependKind::Alert,
            DependBehavior::Monitor => DependKind::Monitor,
            DependBehavior::Hosts => DependKind::Host,
        };
        general
            .filter(|_| self.dep_behavior == what)
            .or_else(|| self.dependency(own))
    }
}

/// How many expressions deep a service depends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Depth {
    /// Its parents' expressions, their parents' and so on: 0 where no parent has one.
    Levels(u32),
    /// It depends on itself, through others or at once.
    Endless,
}

impl Depth {
    /// Whether an expression so deep is computed at all (`dep_recur_limit`).
    #[must_use]
    pub const fn is_within(self, limit: u32) -> bool {
        match self {
            Self::Levels(levels) => levels <= limit,
            Self::Endless => false,
        }
    }
}

impl Model {
    /// For every service the depth of its expression for `what`; 0 where it has none.
    ///
    /// Whether an expression is too deep never hinges on the state of a service, since mon
    /// looks at every name before it computes anything.
    #[must_use]
    pub fn depths(&self, what: DependBehavior) -> Vec<Depth> {
        let expressions: Vec<Option<&Dependency>> = self
            .services
            .iter()
            .map(|service| service.depends(what))
            .collect();
        let of = |id: ServiceId| expressions.get(id.index()).copied().flatten();
        // A service is ready when all its parents with an expression are: what never becomes
        // ready depends on itself or on such a one.
        let mut open: Vec<u32> = vec![0; expressions.len()];
        let mut children: Vec<Vec<usize>> = vec![Vec::new(); expressions.len()];
        for (child, expression) in expressions.iter().enumerate() {
            let parents = expression.iter().flat_map(|it| it.known_parents());
            for parent in parents.filter(|&parent| of(parent).is_some()) {
                open[child] = open[child].saturating_add(1);
                children[parent.index()].push(child);
            }
        }
        let mut depths = vec![Depth::Endless; expressions.len()];
        let mut levels: Vec<u32> = vec![0; expressions.len()];
        let mut ready: Vec<usize> = (0..open.len()).filter(|&id| open[id] == 0).collect();
        while let Some(parent) = ready.pop() {
            let level = levels[parent];
            depths[parent] = Depth::Levels(level);
            for &child in &children[parent] {
                levels[child] = levels[child].max(level.saturating_add(1));
                open[child] = open[child].saturating_sub(1);
                if open[child] == 0 {
                    ready.push(child);
                }
            }
        }
        depths
    }
}
