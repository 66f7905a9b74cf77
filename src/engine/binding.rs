//! Which services withdraw which real servers: the machine for each (service, real server).
//!
//! Levels, not edges: a report sets the level of its service, the wish for a virtual service
//! is computed from all levels that concern it ([`crate::engine::desired`]).
//!
//! | Question | File |
//! |---|---|
//! | what has a service said, is its gate open | `judge` |
//! | which withdrawals does only a person end | `latch` |
//! | which address has a host word | `addresses` |
//! | what counts while an address changes | `changing` |
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
mod declared;
mod enable;
mod families;
mod former;
mod given;
mod ground;
mod judge;
mod latch;
mod lost;
mod owned;
mod shared;
mod shown;
mod staying;
mod survey;
mod twins;
mod usual;
mod wishes;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;

use crate::engine::binding::staying::Missing;
use crate::engine::desired::{HeldUntil, RealServerView, Survey, service};
use crate::engine::event::{
    Action, HostVerdict, Note, Reason, Resolved, SectionNews, ServerChange, TableOutcome,
};
use crate::engine::manual::{EntryKey, Manual};
use crate::engine::saved::{Record, Saved};
use crate::engine::section::count::Opinion;
use crate::engine::section::memory::{Found, Sections};
use crate::lvs::{Desired, DesiredService, Family, ServerWish, VirtualServiceKey};
use crate::model::{HostName, Model, MonitorProgram, ServiceId};
use crate::time::{Mono, Now, Wall};
use addresses::{Addresses, Tick};
use changing::Whole;
use families::Led;
pub(crate) use families::{Families, Turned};
use ground::Ground;
use judge::Judge;
pub(crate) use judge::{Part, Verdict};
use latch::Latches;
use owned::{Naming, Owned};

/// How long a service without an interval is waited for before servers are decided without it.
const NEVER_POLLED_WAIT: Duration = Duration::from_secs(60);

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
    owned: Owned,
    manual: Manual,
    /// What a person has been told to mend.
    told: BTreeMap<VirtualServiceKey, BTreeMap<HostName, String>>,
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
        let apart = self.set_apart((service, said), hosts);
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
        let apart = self.set_apart((service, HostVerdict::Up), hosts);
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

    /// Names were looked up (D8).
    pub(crate) fn resolved(&mut self, answers: &[Resolved]) -> Vec<Action> {
        let mut actions = Vec::new();
        let (mut keys, mut steady) = (BTreeSet::new(), Vec::new());
        for Resolved { host, answer } in answers {
            self.tick += 1;
            let mut was_steady = vec![Family::V4, Family::V6];
            was_steady.retain(|&family| !self.addresses.changes_in(host, family));
            if self.addresses.answered(host, answer, self.tick) {
                keys.extend(self.by_host.get(host).into_iter().flatten().copied());
                steady.extend(was_steady.into_iter().map(|family| (host, family)));
            }
        }
        self.settle_unused();
        for (host, family) in steady {
            if self.addresses.changes_in(host, family) {
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
        let (model, sections, addresses) = (&self.model, &self.sections, &self.addresses);
        let grounds = &self.grounds;
        let missing = |key: VirtualServiceKey| {
            let section = sections.section(model, key);
            let leads_nowhere = |host| addresses.current(host, key.family()).is_none();
            let mut servers = section.into_iter().flat_map(|it| &it.servers);
            // Before the first look nobody knows whether it is needed.
            let is_fallback_missing = || {
                let fallback = section.and_then(|it| it.fallback.as_ref());
                fallback.is_some_and(|it| leads_nowhere(&it.host))
            };
            let state = sections.state(key);
            let is_unseen = state.is_some_and(|it| it.found == Found::Unseen);
            let is_held = !is_unseen && state.is_some_and(|it| it.held.is_some())
                || grounds.get(&key).is_some_and(|it| it.held.is_some());
            match servers.any(|it| leads_nowhere(&it.host)) || is_held {
                true => Some(Missing::Server),
                false => (is_unseen && is_fallback_missing()).then_some(Missing::Fallback),
            }
        };
        let owned = &mut self.owned;
        let mut keys = owned.table_seen(outcome, is_named, missing, &mut actions);
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

    /// Computes the wishes for these virtual services afresh and says what changed.
    fn decide(&mut self, keys: &BTreeSet<VirtualServiceKey>, actions: &mut Vec<Action>) {
        self.decide_after(keys, &BTreeSet::new(), actions);
    }

    /// The same where only these services said something new, but for what is to be computed
    /// as a `whole`.
    fn decide_after(
        &mut self,
        whole: &BTreeSet<VirtualServiceKey>,
        services: &BTreeSet<ServiceId>,
        actions: &mut Vec<Action>,
    ) {
        let mut keys = whole.clone();
        for &service in services {
            keys.extend(self.virtual_services_by(service));
        }
        let mut is_changed = false;
        for key in keys {
            is_changed |= if whole.contains(&key) {
                self.decide_one(key, actions)
            } else {
                self.decide_claims(key, services, actions)
            };
        }
        if is_changed {
            actions.push(Action::ApplyTable);
        }
    }

    fn decide_one(&mut self, key: VirtualServiceKey, actions: &mut Vec<Action>) -> bool {
        let mut survey = self.survey(key);
        let declared = self.words_of(key, &survey);
        self.wish_of_new(key, declared.keys().copied(), actions);
        let naming = naming(&survey);
        let before = self.desired.get(&key);
        let wish_before = |server| {
            before
                .and_then(|wanted| wanted.servers.get(&server))
                .copied()
        };
        let was_in = |server| matches!(wish_before(server), Some(ServerWish::In(_)));
        let dropped = self.owned.declare(key, naming, &declared, was_in, actions);
        let before = before.cloned();
        let manual = &self.manual;
        self.owned
            .lay_wishes(key, |server| manual.effect((key, server)));
        let held = self.held_by_lines(key, &survey);
        let wanted = match self.decide_section(key, &survey, actions) {
            Some(wanted) => wanted,
            None => {
                let wanted = service(
                    key,
                    &survey,
                    self.owned.is_made(key),
                    (self.owned.wishes(key), held.as_ref()),
                    |server, wish| self.manual.over((key, server), wish),
                );
                self.say_changes(key, &survey, (&wanted, &BTreeMap::new()), actions);
                wanted
            }
        };
        let left = change::departures(dropped, &declared).into_iter();
        let now = self.now.wall;
        actions.extend(left.map(|(server, change)| server_note((key, server), change, now)));
        if survey.is_declared && survey.section.is_none() {
            let ground = Ground::of(&survey, &wanted, held);
            self.grounds.insert(key, ground);
        } else {
            self.grounds.remove(&key);
        }
        self.take_note_of_staying(key, &survey, actions);
        self.say_held(key, &mut survey);
        let told = self.told.remove(&key).unwrap_or_default();
        let mut tell = BTreeMap::new();
        let mut news: BTreeMap<Option<ServiceId>, Vec<(HostName, String)>> = BTreeMap::new();
        for (host, (service, text)) in survey.problems {
            if told.get(&host) != Some(&text) {
                let new = (host.clone(), text.clone());
                news.entry(service).or_default().push(new);
            }
            tell.insert(host, text);
        }
        let held = self.held_until(key).and_then(HeldUntil::address);
        for (service, mut new) in news {
            // What is said of it is more than of the others.
            new.sort_by_key(|(host, _)| Some(host) != held);
            actions.extend(mend_notes((key, service), new));
        }
        if !tell.is_empty() {
            self.told.insert(key, tell);
        }
        let is_changed = before.as_ref() != Some(&wanted);
        if survey.is_declared || self.owned.is_made(key) || !wanted.servers.is_empty() {
            self.desired.insert(key, wanted);
            is_changed
        } else {
            self.desired.remove(&key).is_some()
        }
    }

    /// The virtual services that a service decides over.
    fn virtual_services_by(&self, service: ServiceId) -> BTreeSet<VirtualServiceKey> {
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

/// What the file says of a virtual service itself.
const fn naming(survey: &Survey) -> Naming {
    if survey.creates.is_some() || survey.section.is_some() {
        Naming::Made
    } else if survey.is_declared {
        Naming::Named
    } else {
        Naming::Unnamed
    }
}

/// What a person should mend about these words: a note about each, or where name servers are gone
/// and there would be thousands, one about all of them, with the first in full.
fn mend_notes(
    of: (VirtualServiceKey, Option<ServiceId>),
    news: Vec<(HostName, String)>,
) -> Vec<Action> {
    /// As many are noted singly, or named in the one note; the rest is counted.
    const NAMED_MAX: usize = 5;
    let (Some((first, text)), Some(more)) = (news.first(), news.len().checked_sub(NAMED_MAX + 1))
    else {
        let singly = news.into_iter();
        return singly
            .map(|(host, text)| mend_note(of, Some(host), text))
            .collect();
    };
    let named = news.iter().take(NAMED_MAX).map(|(host, _)| host.as_str());
    let text = format!(
        "{} servers ({} and {} more), the first: {text}; lvsmon table shows all",
        news.len(),
        named.collect::<Vec<&str>>().join(", "),
        more + 1,
    );
    vec![mend_note(of, Some(first.clone()), text)]
}

/// What a person should mend about a line, or about a section.
fn mend_note(
    (key, service): (VirtualServiceKey, Option<ServiceId>),
    host: Option<HostName>,
    text: String,
) -> Action {
    Action::Note(match service {
        Some(service) => Note::Binding {
            service,
            host,
            text,
        },
        None => Note::Section {
            virtual_service: key,
            news: SectionNews::Mend { host, text },
        },
    })
}

fn server_note((key, server): EntryKey, change: ServerChange, since: Wall) -> Action {
    Action::Note(Note::Server {
        virtual_service: key,
        server,
        change,
        since,
    })
}

fn unclear_note(service: ServiceId, count: usize, has_lines: bool) -> Action {
    let line = if has_lines { ", or write -R" } else { "" };
    let text = format!(
        "the failing check does not say which hosts fail; the real servers of {count} hosts stay as they are: name them in the first line of output, or set all_hosts_on_failure{line}"
    );
    Action::Note(Note::Binding {
        service,
        host: None,
        text,
    })
}

fn left_out_note(service: ServiceId, parts: &[Part]) -> Action {
    /// Hosts named in one line; the rest is counted.
    const NAMED_MAX: usize = 5;
    let hosts: Vec<&str> = parts
        .iter()
        .filter_map(|part| match part {
            Part::Whole => None,
            Part::Host(host) => Some(host.as_str()),
        })
        .collect();
    let named = hosts.iter().take(NAMED_MAX).copied();
    let named = named.collect::<Vec<&str>>().join(", ");
    let about = match hosts.len() {
        0 => String::new(),
        1..=NAMED_MAX => format!(" on {named}"),
        count => format!(" on {named} and {} more", count - NAMED_MAX),
    };
    let text = format!(
        "no report{about} came within one interval; its real servers are decided without this service until one comes"
    );
    Action::Note(Note::Binding {
        service,
        host: None,
        text,
    })
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
