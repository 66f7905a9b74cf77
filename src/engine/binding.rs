//! Which services withdraw which real servers: the machine for each (service, real server).
//!
//! Levels, not edges: a report sets the level of its service, the wanted table is computed
//! from all levels. Decisions D2 to D9 are explained where they are carried out.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use crate::engine::desired::RealServerView;
use crate::engine::event::{Action, HostVerdict, RealServerName, Reason, TableOutcome};
use crate::engine::saved::Saved;
use crate::lvs::Desired;
use crate::model::{HostName, Model, ServiceId};
use crate::time::{Mono, Now};

/// What a failing report means for the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ruling {
    /// An `alert lvs.alert` line of some period passed its rules: the gate opens [D3].
    Passed,
    /// None did: no verdict, unless the gate is open already [D5].
    HeldBack,
}

/// All bindings with their gates, verdicts and withdrawals.
#[derive(Debug)]
pub(crate) struct Bindings {
    desired: Desired,
}

impl Bindings {
    /// Nothing decided yet but what `saved` holds: open gates, withdrawals that only a person
    /// ends, and keys that were declared before.
    pub(crate) fn new(model: &Arc<Model>, saved: &Saved, now: Now) -> Self {
        let _ = (model, saved, now);
        Self {
            desired: Desired::new(),
        }
    }

    /// At the start: names to resolve, and the first desired table.
    pub(crate) fn start(&mut self, now: Now) -> Vec<Action> {
        let _ = now;
        Vec::new()
    }

    /// Whether the service decides over a real server, so that it runs first [D6].
    pub(crate) fn decides(&self, service: ServiceId) -> bool {
        let _ = service;
        false
    }

    /// A failing report of a service. `hosts` has an entry for each member that was checked;
    /// `service_reason` is what a binding with `-R` says as its reason.
    pub(crate) fn failed(
        &mut self,
        now: Now,
        service: ServiceId,
        ruling: Ruling,
        hosts: &BTreeMap<HostName, HostVerdict>,
        service_reason: Reason,
    ) -> Vec<Action> {
        let _ = (now, service, ruling, hosts, service_reason);
        Vec::new()
    }

    /// A successful report of a service: closes its gate [D4]. `hosts` has an entry for each
    /// member that was checked; those that were not (excluded, disabled) keep their verdict.
    pub(crate) fn succeeded(
        &mut self,
        now: Now,
        service: ServiceId,
        hosts: &BTreeMap<HostName, HostVerdict>,
    ) -> Vec<Action> {
        let _ = (now, service, hosts);
        Vec::new()
    }

    /// A name was looked up [D8].
    pub(crate) fn resolved(
        &mut self,
        now: Now,
        host: &HostName,
        answer: &Result<Vec<IpAddr>, String>,
    ) -> Vec<Action> {
        let _ = (now, host, answer);
        Vec::new()
    }

    /// A person ends the withdrawals of a real server that nothing else would end [D4].
    /// The answer is for that person.
    pub(crate) fn enable(
        &mut self,
        now: Now,
        server: &RealServerName,
    ) -> (Result<String, String>, Vec<Action>) {
        let _ = (now, server);
        (Err(String::new()), Vec::new())
    }

    /// A new configuration: state goes over by key, undeclared keys are to be deleted [D7].
    pub(crate) fn reload(&mut self, now: Now, model: &Arc<Model>) -> Vec<Action> {
        let _ = (now, model);
        Vec::new()
    }

    /// The kernel's table was looked at: deleted keys that are gone are forgotten.
    pub(crate) fn table_seen(&mut self, now: Now, outcome: &TableOutcome) -> Vec<Action> {
        let _ = (now, outcome);
        Vec::new()
    }

    /// Time passed: services that can never run leave the count after one interval [D5].
    pub(crate) fn deadline(&mut self, now: Now) -> Vec<Action> {
        let _ = now;
        Vec::new()
    }

    /// When `deadline` is wanted next.
    pub(crate) fn next_deadline(&self) -> Option<Mono> {
        None
    }

    /// Every owned real server with what is wanted of it and why.
    pub(crate) fn real_servers(&self) -> Vec<RealServerView> {
        Vec::new()
    }

    /// The table as it should be.
    pub(crate) fn desired(&self) -> &Desired {
        &self.desired
    }
}
