//! Which service cannot be asked about the changed address of a name, so that it waits (D8)? Or
//! about a real server that our own exit left with weight 0, so that this does (`exit`)?
//!
//! A service whose checks may not begin has no word on the new address. The server at the one of
//! before is not given up for that: it may serve another virtual service well, and nobody would
//! judge the one in its place. So the name waits, and a person is told for whom. Not here: why a
//! service rests ([`crate::engine::resting`]).

use std::collections::{BTreeMap, BTreeSet};

use crate::engine::binding::Bindings;
use crate::engine::binding::judge::Judge;
use crate::engine::event::Action;
use crate::lvs::{Family, VirtualServiceKey};
use crate::model::{HostName, ServiceId};

/// The services that rest while something waits for them, and why.
pub(crate) type Resting = BTreeMap<ServiceId, String>;

impl Bindings {
    /// The services of which it counts whether they rest: changed addresses wait for their good
    /// checks, or real servers that our own exit left with weight 0 for their verdicts.
    pub(crate) fn who_may_rest(&self) -> BTreeSet<ServiceId> {
        let changing = self.addresses.changing().into_iter();
        let elsewhere = changing.flat_map(|(host, family)| self.awaited_at_next(&host, family));
        let has_left = |judge: &Judge| {
            judge
                .sections
                .iter()
                .any(|&key| self.sections.has_left(key))
        };
        let back = self.judges.iter().filter(|(_, judge)| has_left(judge));
        elsewhere.chain(back.map(|(&service, _)| service)).collect()
    }

    /// These of them rest now; what is said of names that wait for them changes with that.
    pub(crate) fn rest(&mut self, resting: Resting) -> Vec<Action> {
        let mut actions = Vec::new();
        if self.resting != resting {
            self.resting = resting;
            let changing = self.addresses.changing().into_iter();
            let keys = changing.filter_map(|(host, _)| self.by_host.get(&host));
            let sections = self
                .model
                .virtual_services
                .iter()
                .map(|section| section.key);
            let back = sections.filter(|&key| self.sections.has_left(key));
            let keys: BTreeSet<VirtualServiceKey> = keys.flatten().copied().chain(back).collect();
            self.decide(&keys, &mut actions);
        }
        actions
    }

    /// The changed address of a name waits for a service that rests: what a person may do.
    pub(super) fn waits_for_resting(&self, host: &HostName, family: Family) -> Option<String> {
        if self.resting.is_empty() {
            return None;
        }
        let next = self.addresses.next(host, family)?;
        let current = self.addresses.current(host, family)?;
        let awaited = self.awaited_at_next(host, family).into_iter();
        let resting: Vec<String> = awaited
            .filter_map(|id| {
                let why = self.resting.get(&id)?;
                Some(format!("{}, which rests ({why})", self.service_name(id)))
            })
            .collect();
        let are = match resting.len() {
            0 => return None,
            1 => "it is",
            _ => "they are",
        };
        Some(format!(
            "{host} has the address {next} now, and waits there for {}: until {are} good there {current} {}; where that is dead, write {next} in place of {host}",
            resting.join(", and for "),
            self.care_for_former(host, family).stays()
        ))
    }

    /// The services that were not good yet at the changed address of a name.
    fn awaited_at_next(&self, host: &HostName, family: Family) -> BTreeSet<ServiceId> {
        let awaited = match self.addresses.next(host, family) {
            Some(_) => self.parts_about(host, family),
            None => BTreeSet::new(),
        };
        let is_good = |part| {
            self.addresses
                .is_good(host, family, &BTreeSet::from([part]))
        };
        let awaited = awaited.into_iter().filter(|part| !is_good(part.clone()));
        awaited.map(|(service, _)| service).collect()
    }
}
