//! Whose word counts about an address that its name has left, while the table has it (D8)?
//!
//! Not here: when such an address is looked at ([`crate::engine::former`]).

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use crate::engine::binding::{Bindings, Part};
use crate::engine::call;
use crate::engine::event::Action;
use crate::engine::section::count::{Opinion, Recheck};
use crate::lvs::Family;
use crate::model::{HostName, MonitorCommand, MonitorProgram, ServiceId};
use crate::time::Now;

/// What becomes of the address of before while the next one does not enter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Former {
    /// It is checked.
    Checked,
    /// Nothing can look at it.
    Unchecked,
}

impl Former {
    /// As a person is told.
    pub(super) const fn stays(self) -> &'static str {
        match self {
            Self::Checked => "counts, by what its own checks find",
            Self::Unchecked => "counts as it stands, and is not checked any more",
        }
    }
}

impl Bindings {
    /// The addresses of a name that the table has, as far as is known, and that are this service's
    /// to judge.
    pub(crate) fn addresses_of(&self, service: ServiceId, host: &HostName) -> Vec<IpAddr> {
        let families = self.families_of(service, host);
        self.addresses.current_of(host, &families)
    }

    /// Those of them that the name has left; none of all else.
    pub(crate) fn former(&self, service: ServiceId, host: &HostName) -> Vec<IpAddr> {
        let families = self.families_of(service, host);
        self.addresses.former_of(host, &families)
    }

    /// Whether what a service finds at the address of before of this host counts for the table,
    /// and it can look there.
    pub(crate) fn looks_at_former(&self, service: ServiceId, host: &HostName) -> bool {
        let Some(judge) = self.judges.get(&service) else {
            return false;
        };
        let members = &self.model.hostgroup(service).members;
        let is_all = members.iter().all(|member| member.host == *host);
        let counts = judge.parts.contains_key(&Part::Host(host.clone()))
            || (is_all && judge.parts.contains_key(&Part::Whole));
        let monitor = self.model.service(service).monitor.as_deref();
        counts && monitor.is_some_and(can_look)
    }

    /// Whether the checks of a service go where they are told that names lead.
    pub(crate) fn goes_where_told(&self, service: ServiceId) -> bool {
        let monitor = self.model.service(service).monitor.as_deref();
        monitor.is_some_and(goes_where_told)
    }

    /// What becomes of the address of before of a name.
    pub(super) fn care_for_former(&self, host: &HostName, family: Family) -> Former {
        let mut judges = self.all_parts_about(host, family);
        match judges.any(|(service, _)| self.looks_at_former(service, host)) {
            true => Former::Checked,
            false => Former::Unchecked,
        }
    }

    /// The look at addresses of before that a service owes the sections before its next slot; none
    /// while no count of their failures is running.
    pub(crate) fn wants_former(&self, service: ServiceId) -> Option<Recheck> {
        let is_elsewhere = |part: &Part| self.is_elsewhere(service, part);
        self.sections.tally.wants_recheck(service, is_elsewhere)
    }

    /// What a service found at addresses that names have left: the word on their real servers. For
    /// lines of `lvs.alert` a failure counts while the gate of the service is open (D3).
    pub(crate) fn found_at_former(
        &mut self,
        now: Now,
        service: ServiceId,
        opinions: &BTreeMap<Part, Opinion>,
    ) -> Vec<Action> {
        let mut actions = Vec::new();
        let Some(judge) = self.judges.get_mut(&service) else {
            return actions;
        };
        let mut is_news = false;
        let mut bad = Vec::new();
        for (part, opinion) in opinions {
            match *opinion {
                Opinion::Good => is_news |= judge.good(part),
                Opinion::Bad(reason) | Opinion::Surely(reason) if judge.gate.is_some() => {
                    is_news |= judge.bad(part, reason, now.wall);
                    bad.push((part.clone(), reason));
                }
                Opinion::Bad(_) | Opinion::Surely(_) | Opinion::Unknown => {}
            }
        }
        is_news |= self.latch(now, service, &bad, &mut actions);
        let mut sections = BTreeSet::new();
        for (part, &opinion) in opinions {
            sections.extend(self.count(service, part, opinion, &mut actions));
        }
        // One that has nothing left to lose there keeps its name there no more.
        sections.extend(self.change_addresses(&mut actions));
        let services = is_news.then_some(service).into_iter().collect();
        self.decide_after(&sections, &services, &mut actions);
        actions
    }
}

/// Whether a monitor checks single hosts, where it is told that their names lead.
fn can_look(monitor: &MonitorCommand) -> bool {
    goes_where_told(monitor) && call::checks_single_hosts(monitor)
}

fn goes_where_told(monitor: &MonitorCommand) -> bool {
    match &monitor.program {
        MonitorProgram::Native(options) => options.goes_where_told(),
        MonitorProgram::Executable(_) | MonitorProgram::Missing(_) => false,
    }
}
