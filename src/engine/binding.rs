//! Which services withdraw which real servers: the machine for each (service, real server).
//!
//! Levels, not edges: a report sets the level of its service, the wish for a virtual service
//! is computed from all levels that concern it ([`crate::engine::desired`]).
//!
//! | Question | File |
//! |---|---|
//! | what has a service said, is its gate open | `judge` |
//! | what does a report of a service change | `reported` |
//! | what is wished for a virtual service now, what is said of it | `decide` |
//! | how are notes to a person worded | `notes` |
//! | which withdrawals does only a person end | `latch` |
//! | which address has a host word | `addresses` |
//! | what counts while an address changes | `changing` |
//! | what counts of a program while nobody says where names lead | `unsure` |
//! | what was heard of where a name leads meanwhile | `heard` |
//! | when may a changed address enter | `ready` |
//! | which service cannot be asked about a changed address, since it rests | `resting` |
//! | which names may have their changed addresses together | `twins` |
//! | of which family are the addresses that a service judges | `families` |
//! | whose word counts about the address of before | `former` |
//! | which keys are owned, which must go | `owned` |
//! | what becomes of one that must go, while it stays | `staying` |
//! | with what does a real server serve while nobody wishes anything of it | `usual` |
//! | what goes over to a new configuration | `carry` |
//! | what is said about a virtual service now | `survey` |
//! | what a verdict changes without a whole survey | `ground` |
//! | whom an operator means, what a wish does | `wishes` |
//! | what ends when a person enables a server | `enable` |
//! | how is the table left when the daemon ends, who comes back from that | `exit` |
//! | what is kept of servers that the file no longer has | `lost` |
//! | which wishes do both directors of a pair share | `shared` |
//! | what `virtual` sections add to all of this | `declared` |
//! | what does a report count for their servers | `counting` |
//! | how do readers see the servers of such a section | `shown` |
//! | which weight do checks give a server | `given` |
//! | what is said of a server that changes | `change` |
//!
//! Not here: whether an alert line passes its rules (`policy`), what a report says about a
//! host (`verdict`), what the kernel is told ([`crate::lvs::diff`]).

mod addresses;
mod carry;
mod change;
mod changing;
mod counting;
mod decide;
mod declared;
mod enable;
mod exit;
mod families;
mod former;
mod given;
mod ground;
mod heard;
mod judge;
mod latch;
mod lost;
mod notes;
mod owned;
mod ready;
mod reported;
mod resting;
mod shared;
mod shown;
mod staying;
mod survey;
mod twins;
mod unsure;
mod usual;
mod wishes;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;

use crate::engine::binding::staying::Missing;
use crate::engine::desired::RealServerView;
use crate::engine::event::{Action, Resolved, TableOutcome};
use crate::engine::manual::Manual;
use crate::engine::saved::{Record, Saved};
use crate::engine::section::memory::Sections;
use crate::lvs::{Desired, DesiredService, Family, VirtualServiceKey};
use crate::model::{HostName, Model, MonitorProgram, ServiceId};
use crate::time::{Mono, Now};
use addresses::{Addresses, Tick};
use families::Led;
pub(crate) use families::{Families, Turned};
use ground::Ground;
use judge::Judge;
pub(crate) use judge::{Part, Verdict};
use latch::Latches;
use notes::left_out_note;
use owned::Owned;
pub(crate) use reported::Ruling;
pub(crate) use resting::Resting;

/// How long a service without an interval is waited for before servers are decided without it.
const NEVER_POLLED_WAIT: Duration = Duration::from_secs(60);

/// All bindings with their gates, verdicts and withdrawals.
#[derive(Debug)]
pub(crate) struct Bindings {
    model: Arc<Model>,
    /// The bindings of each virtual service, as indexes into the Model.
    by_virtual_service: BTreeMap<VirtualServiceKey, Vec<usize>>,
    /// In which virtual services a host word stands for a real server.
    by_host: BTreeMap<HostName, BTreeSet<VirtualServiceKey>>,
    families: Families,
    /// The same of hosts over which their services decide nothing by now, as of when they did:
    /// until the next check has reported, their verdicts are of these.
    led: BTreeMap<ServiceId, Led>,
    judges: BTreeMap<ServiceId, Judge>,
    /// When patience with a service ends.
    timers: BTreeSet<(Mono, ServiceId)>,
    latches: Latches,
    addresses: Addresses,
    resting: Resting,
    owned: Owned,
    manual: Manual,
    /// What a person has been told to mend, since all was well with the word last.
    told: BTreeMap<VirtualServiceKey, BTreeMap<HostName, BTreeSet<String>>>,
    desired: Desired,
    /// What the last whole survey of each virtual service found.
    grounds: BTreeMap<VirtualServiceKey, Ground>,
    /// Claims looked at so far.
    #[cfg(test)]
    looked_at: std::cell::Cell<usize>,
    /// What the `virtual` sections know.
    sections: Sections,
    /// Sections that were decided over since this was last asked.
    decided: BTreeSet<VirtualServiceKey>,
    /// Sections with a real server that a check gave another weight, and that were not decided over
    /// since.
    weighed: BTreeSet<VirtualServiceKey>,
    /// Answers of name servers so far.
    tick: Tick,
    /// The time of the present event.
    now: Now,
    /// What the construction already has to say; taken by `start`.
    at_start: Vec<Action>,
}

impl Bindings {
    /// Nothing decided yet but what `saved` holds: open gates, withdrawals that only a person
    /// ends, and keys that were declared before.
    pub(crate) fn new(model: &Arc<Model>, saved: &Saved, now: Now) -> Self {
        let (manual, mut at_start) = Manual::restore(saved, now);
        let mut bindings = Self {
            model: Arc::clone(model),
            by_virtual_service: BTreeMap::new(),
            by_host: BTreeMap::new(),
            families: Families::default(),
            led: BTreeMap::new(),
            judges: BTreeMap::new(),
            timers: BTreeSet::new(),
            latches: Latches::default(),
            addresses: Addresses::default(),
            resting: Resting::new(),
            owned: Owned::restore(saved),
            manual,
            told: BTreeMap::new(),
            desired: Desired::new(),
            grounds: BTreeMap::new(),
            #[cfg(test)]
            looked_at: std::cell::Cell::new(0),
            sections: Sections::default(),
            decided: BTreeSet::new(),
            weighed: BTreeSet::new(),
            tick: 0,
            now,
            at_start: Vec::new(),
        };
        at_start.extend(bindings.restore(saved, now));
        bindings.at_start = at_start;
        bindings
    }

    /// The time of the events that are told from now on.
    pub(crate) fn take_time(&mut self, now: Now) {
        self.now = now;
    }

    /// At the start: names to resolve, and the first desired table.
    pub(crate) fn start(&mut self) -> Vec<Action> {
        std::mem::take(&mut self.at_start)
    }

    /// Services that have not judged all that they decide over, and are waited for.
    pub(crate) fn awaited(&self) -> impl Iterator<Item = ServiceId> {
        let judges = self.judges.iter();
        judges.filter_map(move |(&id, judge)| judge.is_awaited().then_some(id))
    }

    /// Whether the service decides over a real server, so that it runs first (D6).
    pub(crate) fn decides(&self, service: ServiceId) -> bool {
        self.judges.contains_key(&service)
    }

    /// Whether the failures of a service count for the table: its outage has passed the alert
    /// rules (D3). False for one that decides over no real server.
    ///
    /// The one place that knows: a gate opens in [`Self::failed`], closes in
    /// [`Self::succeeded`], is in the journal under a key of its own, and goes when a reload
    /// takes the last binding of its service.
    pub(crate) fn is_gate_open(&self, service: ServiceId) -> bool {
        let judge = self.judges.get(&service);
        judge.is_some_and(|judge| judge.gate.is_some())
    }

    /// Names were looked up (D8).
    pub(crate) fn resolved(&mut self, answers: &[Resolved]) -> Vec<Action> {
        let mut actions = Vec::new();
        let (mut keys, mut steady) = (BTreeSet::new(), Vec::new());
        for Resolved { host, answer, age } in answers {
            self.tick += 1;
            let mut was_steady = vec![Family::V4, Family::V6];
            was_steady.retain(|&family| !self.addresses.changes_in(host, family));
            if self.addresses.answered(host, (answer, *age), self.tick) {
                keys.extend(self.by_host.get(host).into_iter().flatten().copied());
                steady.extend(was_steady.into_iter().map(|family| (host, family)));
            }
        }
        self.settle_unused();
        for (host, family) in steady {
            if self.addresses.changes_in(host, family) {
                self.forget_told(host);
                self.forget_streaks(host, family);
            }
        }
        keys.extend(self.change_addresses(&mut actions));
        self.decide(&keys, &mut actions);
        actions
    }

    /// The kernel's table was looked at: deleted keys that are gone are forgotten.
    pub(crate) fn table_seen(&mut self, now: Now, outcome: &TableOutcome) -> Vec<Action> {
        let mut actions = Vec::new();
        let named = &self.by_virtual_service;
        let is_named = |key| named.contains_key(&key);
        let leaving = self.owned.keys_with_leaving();
        let missing = leaving.filter_map(|key| Some((key, self.missing(key)?)));
        let missing: BTreeMap<VirtualServiceKey, Missing> = missing.collect();
        let missing = |key| missing.get(&key).copied();
        let mut keys = self
            .owned
            .table_seen(outcome, is_named, missing, &mut actions);
        keys.extend(self.sections_saw(outcome, &mut actions));
        self.decide(&keys, &mut actions);
        self.manual.seen(outcome);
        self.advance_wishes(now, &mut actions);
        actions
    }

    /// Time passed: services that can never run leave the count after one interval (D5).
    pub(crate) fn deadline(&mut self, now: Now) -> Vec<Action> {
        let mut actions = Vec::new();
        let mut services = BTreeSet::new();
        while let Some(&(due, service)) = self.timers.first()
            && due <= now.mono
        {
            self.timers.pop_first();
            let Some(judge) = self.judges.get_mut(&service) else {
                continue;
            };
            let left_out = judge.leave_out();
            if !left_out.is_empty() {
                actions.push(left_out_note(service, &left_out));
                services.insert(service);
            }
        }
        let mut due = self.sections.take_due(now.mono);
        if !services.is_empty() {
            // Nobody waits any more for what they would have said of a changed address.
            due.extend(self.change_addresses(&mut actions));
        }
        self.decide_after(&due, &services, &mut actions);
        if self.manual.is_due(now) {
            self.advance_wishes(now, &mut actions);
        }
        actions
    }

    /// When `deadline` is wanted next.
    pub(crate) fn next_deadline(&self) -> Option<Mono> {
        let patience = self.timers.first().map(|&(due, _)| due);
        let others = [self.sections.next_due(), self.manual.next_deadline()];
        patience
            .into_iter()
            .chain(others.into_iter().flatten())
            .min()
    }

    /// Every owned real server with what is wanted and why; those that must go stand behind
    /// the others of their virtual service.
    pub(crate) fn real_servers(&self) -> Vec<RealServerView> {
        self.real_servers_of(|_, _| true)
    }

    /// Those of one virtual service.
    pub(crate) fn real_servers_in(&self, key: VirtualServiceKey) -> Vec<RealServerView> {
        self.real_servers_of(|it, _| it == key)
    }

    /// Those of the virtual services that are asked for.
    fn real_servers_of(
        &self,
        is_asked: impl Fn(VirtualServiceKey, &DesiredService) -> bool,
    ) -> Vec<RealServerView> {
        let mut views = Vec::new();
        let asked = self.desired.iter().filter(|(key, it)| is_asked(**key, it));
        for (&key, wanted) in asked {
            let survey = self.survey(key);
            let mut here = survey.views(key, wanted);
            self.add_section_views(key, &survey, wanted, &mut here);
            views.append(&mut here);
            self.add_staying(key, wanted, &mut views);
        }
        views
    }

    /// The table as it should be.
    pub(crate) fn desired(&self) -> &Desired {
        &self.desired
    }

    /// The virtual services that a service decides over.
    pub(super) fn virtual_services_by(&self, service: ServiceId) -> BTreeSet<VirtualServiceKey> {
        let Some(judge) = self.judges.get(&service) else {
            return BTreeSet::new();
        };
        let bindings = judge.bindings.iter();
        bindings
            .filter_map(|&index| self.model.bindings.get(index))
            .map(|binding| binding.virtual_service)
            .chain(judge.sections.iter().copied())
            .collect()
    }

    /// How long a service is waited for: one interval and the time limit of a run (D5, D6).
    fn patience(&self, id: ServiceId) -> Duration {
        let service = self.model.service(id);
        let interval = service.interval.or(service.traptimeout);
        let program = service.monitor.as_ref().map(|monitor| &monitor.program);
        let limit = match program {
            Some(MonitorProgram::Executable(_)) => self.model.globals.monitor_timeout,
            Some(MonitorProgram::Native(options)) => options.limit(),
            Some(MonitorProgram::Missing(_)) | None => Duration::ZERO,
        };
        let skew = service.randskew.unwrap_or_default();
        interval
            .unwrap_or(NEVER_POLLED_WAIT)
            .saturating_add(limit)
            .saturating_add(skew)
    }
}

/// A line of the journal; with no state the key is to be forgotten.
pub(crate) fn record(key: String, state: Option<&impl Serialize>) -> Action {
    let value = state.and_then(|state| serde_json::to_value(state).ok());
    Action::record(Record {
        key,
        value: value.unwrap_or(serde_json::Value::Null),
    })
}

#[cfg(test)]
mod tests;
