//! What does a report of a service change?

use std::collections::{BTreeMap, BTreeSet};

use crate::engine::binding::changing::Whole;
use crate::engine::binding::judge::{Judge, Part};
use crate::engine::binding::notes::unclear_note;
use crate::engine::binding::{Bindings, carry};
use crate::engine::event::{Action, HostVerdict, Reason};
use crate::engine::section::count::Opinion;
use crate::lvs::VirtualServiceKey;
use crate::model::{HostName, ServiceId};
use crate::time::Now;

/// What a failing report means for the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ruling {
    /// An `alert lvs.alert` line of some period passed its rules: the gate opens (D3).
    Passed,
    /// None did: no verdict, unless the gate is open already (D5).
    HeldBack,
    /// The report says nothing about any server, so its failure is no verdict on one, whether
    /// the gate is open or not.
    Blind,
}

impl Bindings {
    /// A failing report of a service. `hosts` has an entry for each member that was checked;
    /// `reason` is what a binding with `-R` says as its reason, none where the report says nothing
    /// of the service as a whole.
    ///
    /// A failure counts while the gate is open, and opens it when the alert rules pass (D3).
    /// What is good about a host in a failing report counts at once: the rules of alerts hold
    /// failures back, not successes.
    pub(crate) fn failed(
        &mut self,
        now: Now,
        service: ServiceId,
        ruling: Ruling,
        hosts: &BTreeMap<HostName, HostVerdict>,
        reason: Option<Reason>,
    ) -> Vec<Action> {
        let mut actions = Vec::new();
        if !self.judges.contains_key(&service) {
            return actions;
        }
        let said = reason.map_or(HostVerdict::Unknown(Reason::NoHostNamed), HostVerdict::Down);
        let apart = self.set_apart((service, said, ruling), hosts);
        let hosts = apart.hosts.as_ref();
        let nowhere = hosts.keys();
        let nowhere = nowhere.filter(|host| self.leads_nowhere(service, host));
        let nowhere: BTreeSet<HostName> = nowhere.cloned().collect();
        let mut not_good = hosts.iter().filter(|(_, it)| **it != HostVerdict::Up);
        let is_at_no_server = hosts.values().any(|it| matches!(it, HostVerdict::Down(_)))
            && not_good.all(|(host, _)| nowhere.contains(host));
        let whole = match (apart.whole, is_at_no_server) {
            (Whole::Counts, false) => Whole::Counts,
            (Whole::Changing, _) => Whole::Changing,
            (Whole::Counts | Whole::AtNoServer, _) => Whole::AtNoServer,
        };
        let Some(judge) = self.judges.get_mut(&service) else {
            return actions;
        };
        if ruling == Ruling::Passed && judge.gate.is_none() {
            judge.gate = Some(now.wall);
            actions.push(carry::gate_record(&self.model, service, judge.gate));
        }
        let left_out_before = judge.left_out_count();
        let mut is_news = false;
        let mut bad = Vec::new();
        let mut fail = |judge: &mut Judge, part: Part, reason| {
            if judge.gate.is_some() && ruling != Ruling::Blind {
                is_news |= judge.bad(&part, reason, now.wall);
                bad.push((part, reason));
            } else {
                judge.heard(&part);
            }
        };
        match (whole, reason) {
            (Whole::Counts, Some(reason)) => fail(judge, Part::Whole, reason),
            (Whole::AtNoServer, _) => _ = judge.heard(&Part::Whole),
            (Whole::Counts, None) | (Whole::Changing, _) => {}
        }
        let mut good = Vec::new();
        let mut unclear = 0;
        for (host, verdict) in hosts {
            let part = Part::Host(host.clone());
            match verdict {
                HostVerdict::Down(_) if nowhere.contains(host) => _ = judge.heard(&part),
                HostVerdict::Down(reason) => fail(judge, part, *reason),
                HostVerdict::Up => good.push(part),
                HostVerdict::Unknown(reason) => {
                    unclear += usize::from(judge.unclear(&part, *reason));
                }
            }
        }
        for part in good {
            is_news |= judge.good(&part);
        }
        is_news |= judge.left_out_count() != left_out_before;
        if unclear > 0 && !judge.is_unclear_said {
            judge.is_unclear_said = true;
            actions.push(unclear_note(service, unclear, !judge.bindings.is_empty()));
        }
        is_news |= self.latch(now, service, &bad, &mut actions);
        let counts = whole == Whole::Counts && ruling != Ruling::Blind;
        let reason = reason.filter(|_| counts);
        let whole = reason.map_or(Opinion::Unknown, Opinion::Bad);
        let mut sections = self.count_report(service, whole, hosts, &mut actions);
        sections.extend(apart.keys);
        self.heard(service, is_news, sections, &mut actions);
        actions
    }

    /// A successful report of a service: closes its gate (D4). `hosts` has an entry for each
    /// member that was checked; those that were not (excluded, disabled) keep their verdict.
    pub(crate) fn succeeded(
        &mut self,
        service: ServiceId,
        hosts: &BTreeMap<HostName, HostVerdict>,
    ) -> Vec<Action> {
        let mut actions = Vec::new();
        if !self.judges.contains_key(&service) {
            return actions;
        }
        let apart = self.set_apart((service, HostVerdict::Up, Ruling::Passed), hosts);
        let hosts = apart.hosts.as_ref();
        let Some(judge) = self.judges.get_mut(&service) else {
            return actions;
        };
        if judge.gate.take().is_some() {
            actions.push(carry::gate_record(&self.model, service, None));
        }
        judge.is_unclear_said = false;
        let (mut is_news, whole) = match apart.whole {
            Whole::Counts => (judge.good(&Part::Whole), Opinion::Good),
            Whole::Changing | Whole::AtNoServer => (false, Opinion::Unknown),
        };
        for host in hosts.keys() {
            is_news |= judge.good(&Part::Host(host.clone()));
        }
        let good = hosts.keys().map(|host| (host.clone(), HostVerdict::Up));
        let mut sections = self.count_report(service, whole, &good.collect(), &mut actions);
        sections.extend(apart.keys);
        self.heard(service, is_news, sections, &mut actions);
        actions
    }

    /// After a report: what follows for the table, also for names whose address changed.
    fn heard(
        &mut self,
        service: ServiceId,
        is_news: bool,
        sections: BTreeSet<VirtualServiceKey>,
        actions: &mut Vec<Action>,
    ) {
        let mut whole = self.change_addresses(actions);
        whole.extend(sections);
        whole.append(&mut self.weighed);
        let services: BTreeSet<ServiceId> = is_news.then_some(service).into_iter().collect();
        self.decide_after(&whole, &services, actions);
    }
}
