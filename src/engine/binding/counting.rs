//! What does a report count for the real servers of `virtual` sections, and what is to be looked at
//! again for them?

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::engine::binding::Bindings;
use crate::engine::binding::judge::Part;
use crate::engine::event::{Action, HostVerdict};
use crate::engine::section::count::{Opinion, Recheck};
use crate::lvs::VirtualServiceKey;
use crate::model::{HostName, ServiceId};

impl Bindings {
    /// Whether a section listens to the service.
    pub(crate) fn counts(&self, service: ServiceId) -> bool {
        let judge = self.judges.get(&service);
        judge.is_some_and(|judge| !judge.sections.is_empty())
    }

    /// Whether `lvs.alert` lines bind the service.
    pub(crate) fn is_bound_by_lines(&self, service: ServiceId) -> bool {
        let judge = self.judges.get(&service);
        judge.is_some_and(|judge| !judge.bindings.is_empty())
    }

    /// The check that a service owes the sections before its next slot; none while no count of
    /// failures is running.
    pub(crate) fn wants_recheck(&self, service: ServiceId) -> Option<Recheck> {
        let counts = |part: &Part| !self.is_elsewhere(service, part);
        self.sections.tally.wants_recheck(service, counts)
    }

    /// How soon those of these parts are to be looked at again whose failures are still being
    /// counted, and that no section withdraws; none where there is none.
    pub(crate) fn still_counted(
        &self,
        service: ServiceId,
        is_asked: impl Fn(&Part) -> bool,
    ) -> Option<Duration> {
        let counts = |part: &Part| is_asked(part) && !self.is_elsewhere(service, part);
        self.sections.tally.still_counted(service, counts)
    }

    /// Whether a section with `fall` above 1 withdraws a server by this service.
    pub(crate) fn has_withdrawn(&self, service: ServiceId) -> bool {
        self.sections.tally.has_withdrawn(service)
    }

    /// What a re-check says, with the weights that it gave: it counts for the sections, and for
    /// nothing else. Whether a section withdraws somebody by it.
    pub(crate) fn rechecked(
        &mut self,
        service: ServiceId,
        opinions: &BTreeMap<Part, Opinion>,
        actions: &mut Vec<Action>,
    ) -> bool {
        let mut keys = BTreeSet::new();
        let mut withdraws = false;
        for (part, &opinion) in opinions {
            // A changed address enters by the reports of slots, and is not in to be taken out.
            if self.is_elsewhere(service, part) {
                continue;
            }
            let changed = self.count(service, part, opinion, actions);
            withdraws |= !changed.is_empty() && opinion.is_bad();
            keys.extend(changed);
        }
        keys.append(&mut self.weighed);
        self.decide(&keys, actions);
        withdraws
    }

    /// Counts a report for the sections; answers with those that it changes.
    pub(super) fn count_report(
        &mut self,
        service: ServiceId,
        whole: Opinion,
        hosts: &BTreeMap<HostName, HostVerdict>,
        actions: &mut Vec<Action>,
    ) -> BTreeSet<VirtualServiceKey> {
        let mut keys = BTreeSet::new();
        let judge = self.judges.get(&service);
        if judge.is_none_or(|judge| judge.sections.is_empty()) {
            return keys;
        }
        keys.extend(self.count(service, &Part::Whole, whole, actions));
        for (host, &verdict) in hosts {
            let opinion = match (whole, Opinion::from(verdict)) {
                // A report that says nothing about any server fails nobody.
                (Opinion::Unknown, Opinion::Bad(_) | Opinion::Surely(_)) => Opinion::Unknown,
                (_, opinion) => opinion,
            };
            keys.extend(self.count(service, &Part::Host(host.clone()), opinion, actions));
        }
        keys
    }

    pub(super) fn count(
        &mut self,
        service: ServiceId,
        part: &Part,
        opinion: Opinion,
        actions: &mut Vec<Action>,
    ) -> BTreeSet<VirtualServiceKey> {
        // Nobody looked at the server that the name will lead to.
        let opinion = match (part, opinion) {
            (Part::Host(host), Opinion::Bad(_) | Opinion::Surely(_))
                if self.is_addressless(service, host) =>
            {
                Opinion::Unknown
            }
            (_, opinion) => opinion,
        };
        let tally = &mut self.sections.tally;
        let wall = self.now.wall;
        let (keys, records) = tally.hear(&self.model, (service, part), opinion, wall);
        actions.extend(records);
        keys
    }
}
