//! What of a report counts for the table while the address of a name changes (D8)?
//!
//! The checks of a name go where the name leads now. Until that may enter (see `ready`), the
//! real server is the one at the address of before, and they say nothing about it; that one is
//! looked at by others (see `former`). What is good is remembered until then; what is bad keeps
//! the changed address out of the virtual services that it is about, and people are told.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use crate::engine::binding::addresses::Tick;
use crate::engine::binding::judge::Judge;
use crate::engine::binding::{Bindings, Part, Ruling};
use crate::engine::event::{Action, HostVerdict, Reason};
use crate::engine::section::count::Opinion;
use crate::lvs::{Family, VirtualServiceKey};
use crate::model::{HostName, ServiceId};

/// A report without what it says about changed addresses.
#[derive(Debug)]
pub(super) struct Apart<'a> {
    /// What it says about all other hosts.
    pub(super) hosts: Cow<'a, BTreeMap<HostName, HostVerdict>>,
    /// Whether what it says about the service as a whole is about others too.
    pub(super) whole: Whole,
    /// Virtual services about which there is something new to say.
    pub(super) keys: BTreeSet<VirtualServiceKey>,
}

/// What a report says about the service as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Whole {
    /// It counts.
    Counts,
    /// It is about changed addresses only.
    Changing,
    /// What it found bad are names that lead to no server yet.
    AtNoServer,
}

impl Bindings {
    /// How many answers of name servers were heard of so far.
    pub(crate) const fn answers(&self) -> Tick {
        self.tick
    }

    /// Where the checks of a host are to go: to the address that counts, or where what was heard
    /// last leads elsewhere, there, so that a report is about an address that is known here. None
    /// for what is no name of a real server, and for one that has and had no address of the
    /// families that this service judges.
    pub(crate) fn latest(&self, service: ServiceId, host: &HostName) -> Option<Vec<IpAddr>> {
        let families = self.families_of(service, host);
        self.addresses.latest(host, &families)
    }

    /// Whether a name led elsewhere, for checks of this service, when so many answers had been
    /// heard.
    pub(crate) fn led_elsewhere(&self, service: ServiceId, host: &HostName, answers: Tick) -> bool {
        let families = self.families_of(service, host);
        self.addresses.led_elsewhere(host, &families, answers)
    }

    /// The services whose to judge the address of a name is that began to lead elsewhere, or back,
    /// after so many answers had been heard.
    pub(crate) fn judges_of_turned(&self, host: &HostName, answers: Tick) -> BTreeSet<ServiceId> {
        let led_elsewhere =
            |family| (self.addresses).led_elsewhere(host, &BTreeSet::from([family]), answers);
        let families = [Family::V4, Family::V6].into_iter();
        let turned = families.filter(|&family| led_elsewhere(family));
        let judges = turned.flat_map(|family| self.all_parts_about(host, family));
        let judges: BTreeSet<ServiceId> = judges.map(|(service, _)| service).collect();
        let turned = |&id: &ServiceId| self.led_elsewhere(id, host, answers);
        judges.into_iter().filter(turned).collect()
    }

    /// Whether a check that was told to look at these addresses looked at the real server that a
    /// name stands for, and the name leads there now.
    pub(crate) fn is_there(&self, service: ServiceId, host: &HostName, told: &[IpAddr]) -> bool {
        !told.is_empty() && !self.changes(service, host) && self.addresses_of(service, host) == told
    }

    /// Whether a name never had an address that is this service's to judge.
    pub(super) fn is_addressless(&self, service: ServiceId, host: &HostName) -> bool {
        let families = self.families_of(service, host);
        self.addresses.is_addressless(host, &families)
    }

    /// The same of one that this service judges.
    pub(crate) fn leads_nowhere(&self, service: ServiceId, host: &HostName) -> bool {
        let families = self.families_of(service, host);
        !families.is_empty() && self.addresses.is_addressless(host, &families)
    }

    /// Whether the address of a name changed that is this service's to judge, so that its checks
    /// are not about the one that counts.
    pub(crate) fn changes(&self, service: ServiceId, host: &HostName) -> bool {
        self.addresses.is_any_changing()
            && self
                .addresses
                .changes(host, &self.families_of(service, host))
    }

    /// Whether a check of this service that began when so many answers had been heard, and failed
    /// for this reason, may have looked at no server, since the name had no address yet.
    pub(crate) fn may_have_looked_nowhere(
        &self,
        service: ServiceId,
        host: &HostName,
        reason: Reason,
        answers: Tick,
    ) -> bool {
        let families = self.families_of(service, host);
        self.addresses
            .may_have_looked_nowhere((host, &families), reason, answers)
    }

    /// Takes out of a report what it says about changed addresses, and remembers it. `said` is
    /// what it says about the service as a whole, `ruling` what its failures mean.
    pub(super) fn set_apart<'a>(
        &mut self,
        (service, said, ruling): (ServiceId, HostVerdict, Ruling),
        hosts: &'a BTreeMap<HostName, HostVerdict>,
    ) -> Apart<'a> {
        let mut apart = Apart {
            hosts: Cow::Borrowed(hosts),
            whole: Whole::Counts,
            keys: BTreeSet::new(),
        };
        for (host, _) in self.addresses.changing() {
            let place = (service, Part::Whole);
            let families = self.families_of(service, &host);
            self.addresses
                .hear((&host, &families), place, said, self.now.wall);
        }
        if !hosts.keys().any(|host| self.changes(service, host)) {
            return apart;
        }
        let left_out = |judges: &BTreeMap<ServiceId, Judge>| {
            let judge = judges.get(&service);
            judge.map_or(0, Judge::left_out_count)
        };
        let left_out_before = left_out(&self.judges);
        let mut others = BTreeMap::new();
        for (host, &verdict) in hosts {
            if !self.changes(service, host) {
                others.insert(host.clone(), verdict);
                continue;
            }
            let part = Part::Host(host.clone());
            if let Some(judge) = self.judges.get_mut(&service) {
                judge.heard(&part);
            }
            let place = (service, part);
            let about = (host, &self.families_of(service, host));
            let heard = match (verdict, ruling) {
                (HostVerdict::Down(reason), Ruling::Blind) => HostVerdict::Unknown(reason),
                (_, _) => verdict,
            };
            if self.addresses.hear(about, place, heard, self.now.wall) {
                apart
                    .keys
                    .extend(self.by_host.get(host).into_iter().flatten());
            }
        }
        let is_down = |verdict: &HostVerdict| matches!(verdict, HostVerdict::Down(_));
        let is_about_others = if hosts.values().any(is_down) {
            others.values().any(is_down)
        } else {
            !others.is_empty()
        };
        if !is_about_others {
            apart.whole = Whole::Changing;
            if let Some(judge) = self.judges.get_mut(&service) {
                judge.heard(&Part::Whole);
            }
        }
        if left_out(&self.judges) != left_out_before {
            apart.keys.extend(self.virtual_services_by(service));
        }
        apart.hosts = Cow::Owned(others);
        apart
    }

    /// Whether what is said now about a part of a service is about changed addresses only.
    pub(super) fn is_elsewhere(&self, service: ServiceId, part: &Part) -> bool {
        match part {
            Part::Host(host) => self.changes(service, host),
            Part::Whole => {
                let members = &self.model.hostgroup(service).members;
                let mut members = members.iter().map(|member| &member.host).peekable();
                members.peek().is_some() && members.all(|host| self.changes(service, host))
            }
        }
    }

    /// What no virtual service uses of a name holds nothing up.
    pub(super) fn settle_unused(&mut self) {
        for (host, family) in self.addresses.changing() {
            let mut keys = self.by_host.get(&host).into_iter().flatten();
            if !keys.any(|key| key.family() == family) {
                self.addresses.change(&host, family);
            }
        }
    }

    /// A name leads elsewhere in this family since this answer: half a streak of its checks was
    /// about the address of before. It goes on where checks of that very address do; else none
    /// follows that would complete it.
    pub(super) fn forget_streaks(&mut self, host: &HostName, family: Family) {
        for (service, part) in self.section_parts_about(host, family) {
            if self.is_elsewhere(service, &part) && !self.looks_at_former(service, host) {
                self.sections.tally.begin_anew(service, part);
            }
        }
    }

    /// The changed address of a name has entered in this family: whatever was counted before was
    /// about the one that left.
    fn begin_streaks_anew(&mut self, host: &HostName, family: Family) {
        for (service, part) in self.section_parts_about(host, family) {
            let members = &self.model.hostgroup(service).members;
            if part != Part::Whole || members.iter().all(|it| it.host == *host) {
                self.sections.tally.begin_anew(service, part);
            }
        }
    }

    /// Lets changed addresses enter that may (D8, see `ready`), and those that nobody judges;
    /// answers with the virtual services it concerns.
    pub(super) fn change_addresses(
        &mut self,
        actions: &mut Vec<Action>,
    ) -> BTreeSet<VirtualServiceKey> {
        let mut keys = BTreeSet::new();
        let mut good: BTreeSet<(ServiceId, Part)> = BTreeSet::new();
        let mut bad: BTreeMap<ServiceId, Vec<(Part, Reason)>> = BTreeMap::new();
        let mut ready: BTreeSet<(HostName, Family)> = BTreeSet::new();
        for (host, family) in self.addresses.changing() {
            if self.is_ready(&host, family) {
                keys.extend(self.by_host.get(&host).into_iter().flatten());
                ready.insert((host, family));
            }
        }
        let entering = self.entering(ready);
        for (key, (service, part)) in self.exchanged(&entering) {
            let (model, tally) = (&self.model, &mut self.sections.tally);
            actions.extend(tally.takes_for_good(model, key, service, &part));
        }
        for (host, family) in entering {
            let mut parts = self.parts_about(&host, family);
            for (&service, failure) in self.addresses.failures(&host, family).into_iter().flatten()
            {
                let part = (service, Part::Host(host.clone()));
                if parts.contains(&part) {
                    let bad = bad.entry(service).or_default();
                    bad.push((part.1, failure.reason));
                }
            }
            parts.retain(|part| self.addresses.was_good(&host, family, part));
            good.extend(parts);
            self.begin_streaks_anew(&host, family);
            for (service, giving) in self.addresses.change(&host, family) {
                let tally = &mut self.sections.tally;
                keys.extend(tally.give(service, &host, |_| Some(giving)));
            }
        }
        for (service, part) in good {
            let judge = self.judges.get_mut(&service);
            let is_news = judge.is_some_and(|judge| judge.good(&part));
            if is_news {
                keys.extend(self.virtual_services_by(service));
            }
            // A service as a whole may have been counted with this report.
            if is_news || part != Part::Whole {
                keys.extend(self.count(service, &part, Opinion::Good, actions));
            }
        }
        for (service, bad) in bad {
            keys.extend(self.enters_bad(service, &bad, actions));
        }
        keys
    }

    /// Changed addresses enter for other virtual services than those that this service decides
    /// over: there they are out until its checks are good, as they were never in.
    fn enters_bad(
        &mut self,
        service: ServiceId,
        bad: &[(Part, Reason)],
        actions: &mut Vec<Action>,
    ) -> BTreeSet<VirtualServiceKey> {
        let mut keys = BTreeSet::new();
        let now = self.now;
        if let Some(judge) = self.judges.get_mut(&service).filter(|it| it.gate.is_some()) {
            let mut is_news = false;
            for (part, reason) in bad {
                is_news |= judge.bad(part, *reason, now.wall);
            }
            is_news |= self.latch(now, service, bad, actions);
            if is_news {
                keys.extend(self.virtual_services_by(service));
            }
        }
        for (part, reason) in bad {
            keys.extend(self.count(service, part, Opinion::Surely(*reason), actions));
        }
        keys
    }

    /// Whose verdicts are about this name, be they waited for or not.
    pub(super) fn all_parts_about<'a>(
        &'a self,
        host: &'a HostName,
        family: Family,
    ) -> impl Iterator<Item = (ServiceId, Part)> + 'a {
        let keys = self.by_host.get(host).into_iter().flatten();
        keys.filter(move |key| key.family() == family)
            .filter_map(|key| self.by_virtual_service.get(key))
            .flatten()
            .filter_map(|&index| self.model.bindings.get(index))
            .filter_map(|binding| Some((binding.service, self.part_of(binding, host)?)))
            .chain(self.section_parts_about(host, family))
    }
}
