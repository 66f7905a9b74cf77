//! What keeps the checks of a service, or of one of its hosts, from beginning now? For a person who
//! asks why it is not checked. Decides nothing: it asks what the schedule asks.
//!
//! Not here: a service without monitor or interval, a stopped scheduler, a witness that failed.

use crate::engine::depend::DependencyNow;
use crate::engine::{Engine, call};
use crate::model::{DependBehavior, Dependency, HostName, ServiceId};
use crate::period::Period;
use crate::time::Wall;

/// One thing that does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HeldUp<'a> {
    /// The global `exclude_period` holds: no timer advances. Until when; none where that is not
    /// known.
    Everything {
        /// Its end.
        until: Option<Wall>,
    },
    /// Its own `exclude_period` holds.
    Period {
        /// As it stands in the file.
        written: &'a str,
        /// Its end.
        until: Option<Wall>,
    },
    /// What it depends on does not hold.
    Dependency(&'a Dependency),
    /// What it depends on leads deeper than `dep_recur_limit`, or in a circle: it is never asked.
    TooDeep(&'a Dependency),
    /// No host is left to check.
    NoHost,
}

/// Why a host of a service is not checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LeftOut {
    /// `exclude_hosts` names it.
    Excluded,
    /// A person has disabled it.
    Disabled,
    /// A failing parent names it (`hostdepend`).
    ByParent,
}

impl Engine {
    /// What keeps the checks of a service from beginning now; nothing where it has no monitor.
    #[must_use]
    pub fn held_up(&self, id: ServiceId) -> Vec<HeldUp<'_>> {
        let mut held = Vec::new();
        let Some(service) = self.model.services.get(id.index()) else {
            return held;
        };
        let Some(monitor) = &service.monitor else {
            return held;
        };
        let wall = self.last.wall;
        let holds = |period: &&Period| period.holds(wall, &self.zone);
        let until = |period: &Period| period.next_change(wall, &self.zone);
        if let Some(period) = self.model.globals.exclude_period.as_ref().filter(holds) {
            let until = until(period);
            held.push(HeldUp::Everything { until });
        }
        if let Some(period) = service.exclude_period.as_ref().filter(holds) {
            held.push(HeldUp::Period {
                written: service.exclude_period_text.as_deref().unwrap_or_default(),
                until: until(period),
            });
        }
        let what = DependBehavior::Monitor;
        let dependency = service.depends(what).zip(self.dependency_now(what, id));
        match dependency {
            Some((dependency, DependencyNow::Fails)) => held.push(HeldUp::Dependency(dependency)),
            Some((dependency, DependencyNow::TooDeep)) => held.push(HeldUp::TooDeep(dependency)),
            Some((_, DependencyNow::Holds)) | None => {}
        }
        let needs_hosts = monitor.appends_hosts && !service.allow_empty_group;
        if needs_hosts && self.checked_hosts(id).is_empty() {
            held.push(HeldUp::NoHost);
        }
        held
    }

    /// Why a host of a service is not checked; none where it is.
    #[must_use]
    pub fn left_out(&self, id: ServiceId, host: &HostName) -> Option<LeftOut> {
        let service = self.model.services.get(id.index())?;
        if service.exclude_hosts.contains(host) {
            Some(LeftOut::Excluded)
        } else if self.is_host_disabled(&service.group, host) {
            Some(LeftOut::Disabled)
        } else if !self.checked_hosts(id).contains(host) {
            Some(LeftOut::ByParent)
        } else {
            None
        }
    }

    /// The hosts that a check which began now would be about.
    fn checked_hosts(&self, id: ServiceId) -> Vec<HostName> {
        let hosts = call::checked_hosts(&self.model, &self.disabled, id);
        self.without_failing(self.last, id, hosts)
    }
}
