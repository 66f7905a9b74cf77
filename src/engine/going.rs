//! What is known of a run that goes on?
//!
//! Kept until its report came, and with a report that waits for a witness. What is run: `call`.
//! What follows from its end: `report`, `between`, `beside`.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

use crate::engine::Engine;
use crate::engine::event::{Action, Purpose, Run, RunId};
use crate::lead::Lead;
use crate::model::{HostName, ServiceId};
use crate::time::{Mono, Now};

/// A run that is going on.
#[derive(Debug)]
pub(super) struct Going {
    pub(super) run: RunId,
    pub(super) service: ServiceId,
    pub(super) purpose: Purpose,
    pub(super) started: Mono,
    pub(super) hosts: Vec<HostName>,
    /// Those of them that it is over with, as far as it told.
    pub(super) checked: BTreeSet<HostName>,
    /// Those of them whose held connection had ended before.
    pub(super) tripped: BTreeSet<HostName>,
    /// How many answers of name servers had been heard when it began.
    pub(super) answers: u64,
    /// It was brought forward so that people are told at once.
    pub(super) is_early: bool,
    /// Where it was told that the names among its hosts lead, and goes.
    pub(super) told: Arc<BTreeMap<HostName, Lead>>,
    /// The addresses that it looks at, where its host's name leads elsewhere ([`Purpose::Former`]).
    pub(super) former: Vec<IpAddr>,
    /// What it finds there is old: a check that began later has said something of that address.
    pub(super) is_overtaken: bool,
}

/// When a report began, to tell it from later news.
#[derive(Clone, Debug)]
pub(super) struct Began {
    /// The run that it is of; none of a trap or the lack of one, than which nothing is later.
    pub(super) run: Option<RunId>,
    /// How many answers of name servers had been heard.
    pub(super) answers: u64,
    /// Where it went, of names that lead where it was told.
    pub(super) told: Arc<BTreeMap<HostName, Lead>>,
}

impl Began {
    /// The addresses that it is about, of a name where that is certain.
    pub(super) fn there(&self, host: &HostName) -> &[IpAddr] {
        self.told.get(host).map_or(&[], Lead::known)
    }
}

impl Going {
    /// When it began.
    pub(super) fn began(&self) -> Began {
        Began {
            run: Some(self.run),
            answers: self.answers,
            told: Arc::clone(&self.told),
        }
    }
}

impl Engine {
    /// A run of a service begins. Its `tripped` hosts had a connection that ended.
    pub(super) fn go(
        &mut self,
        now: Now,
        mut run: Run,
        tripped: BTreeSet<HostName>,
        actions: &mut Vec<Action>,
    ) {
        self.say_where(&mut run);
        self.looks(&run);
        let former = match run.purpose {
            Purpose::Former => run.leads.values().flat_map(Lead::known).copied().collect(),
            Purpose::Slot
            | Purpose::Recheck
            | Purpose::Trip
            | Purpose::Beside
            | Purpose::Witness => Vec::new(),
        };
        let told = match self.bindings.goes_where_told(run.service) {
            true => Arc::new(run.leads.clone()),
            false => Arc::default(),
        };
        let is_early = run.purpose.is_slot() && self.early.begins(run.service);
        if run.purpose.is_slot() {
            self.bindings.looks(run.service, run.id);
            self.former_is_due(run.service, &run.hosts);
        }
        let going = Going {
            run: run.id,
            service: run.service,
            purpose: run.purpose,
            started: now.mono,
            hosts: run.hosts.clone(),
            checked: BTreeSet::new(),
            tripped,
            answers: self.bindings.answers(),
            is_early,
            told,
            former,
            is_overtaken: false,
        };
        run.tell = self.tell_of(&run);
        self.running.insert(run.id, going);
        actions.push(Action::Start(run));
    }
}
