//! What goes over: from the journal at the start, from the old configuration at a reload.
//!
//! Gates and withdrawals that a person ends survive both. Verdicts survive a reload only, and
//! only as far as they are about the same thing.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::engine::binding::families::{Families, Turned};
use crate::engine::binding::judge::{Judge, Part};
use crate::engine::binding::latch::Entry;
use crate::engine::binding::survey::parts_of;
use crate::engine::binding::{Bindings, addresses, record};
use crate::engine::event::Action;
use crate::engine::saved::Saved;
use crate::engine::section::count::Past;
use crate::engine::section::memory::Found;
use crate::lvs::VirtualServiceKey;
use crate::model::{BoundServers, Ends, HostName, Model, ServiceId, ServiceNames};
use crate::time::{Mono, Now, Wall};

/// Prefix of the journal keys of this file.
const PREFIX: &str = "gate ";

/// An open gate in the journal.
#[derive(Debug, Serialize, Deserialize)]
struct SavedGate {
    group: String,
    service: String,
    since: Wall,
}

impl Bindings {
    /// Takes the journal in; answers with all there is to do at the start.
    pub(super) fn restore(&mut self, saved: &Saved, now: Now) -> Vec<Action> {
        let mut actions = self.adopt(now, &Past::default());
        let model = Arc::clone(&self.model);
        let names = model.service_names();
        let records = saved.records.iter();
        for (key, value) in records.filter(|(key, _)| key.starts_with(PREFIX)) {
            let gate = serde_json::from_value::<SavedGate>(value.clone()).ok();
            let service = gate
                .as_ref()
                .and_then(|gate| names.find(&gate.group, &gate.service));
            match service.and_then(|service| self.judges.get_mut(&service)) {
                Some(judge) => {
                    judge.gate = gate.map(|gate| gate.since);
                    judge.was_failing = !judge.bindings.is_empty();
                }
                None => actions.push(record(key.clone(), None::<&SavedGate>)),
            }
        }
        self.restore_latches(saved, &names, &mut actions);
        self.restore_addresses();
        let is_known = |key| self.owned.knows(key);
        let families = &self.families;
        let is_void = |id, part: &Part, was| !families.takes(&model, (id, part), was);
        let sections = &mut self.sections;
        actions.extend(sections.restore((&model, &names), saved, is_known, is_void, now));
        self.say_limits(&mut actions);
        let keys = self.all_virtual_services();
        self.decide(&keys, &mut actions);
        self.advance_wishes(now, &mut actions);
        actions
    }

    /// All that is to survive a restart, whether recorded before or not.
    pub(crate) fn record_all(&self, now: Now) -> Vec<Action> {
        let gates = self.judges.iter().filter(|(_, judge)| judge.gate.is_some());
        let gates = gates.map(|(&id, judge)| gate_record(&self.model, id, judge.gate));
        let latches = self.latches.iter();
        let latches = latches.map(|(entry, latch)| entry.record(&self.model, Some(*latch)));
        gates
            .chain(latches)
            .chain(self.owned.record_all())
            .chain(self.manual.record_all(now))
            .chain(self.sections.record_all(&self.model, now))
            .collect()
    }

    /// The wall clock was set: a restart would count the spans of wishes by what it said before.
    pub(crate) fn record_wishes(&self, now: Now) -> impl Iterator<Item = Action> + '_ {
        let sections = self.sections.record_all(&self.model, now);
        self.manual.record_all(now).chain(sections)
    }

    /// A new configuration: state goes over by key, undeclared keys are to be deleted (D7).
    /// `past` is for sections that are new to a server.
    pub(crate) fn reload(
        &mut self,
        now: Now,
        model: &Arc<Model>,
        (mut past, turned): (Past, &Turned),
    ) -> Vec<Action> {
        let found_in = self.found_in();
        let old_model = std::mem::replace(&mut self.model, Arc::clone(model));
        let old_judges = std::mem::take(&mut self.judges);
        // Under numbers of before; who rests is asked behind every event.
        self.resting.clear();
        let old_latches = std::mem::take(&mut self.latches);
        let names = model.service_names();
        let was_latching = latching_before(&old_model, &names);
        let mut keys = self.all_virtual_services();
        let mut actions = Vec::new();
        let new_id = |old: ServiceId| {
            let service = old_model.service(old);
            names.find(&service.group, &service.name)
        };
        self.addresses.renumber(new_id);
        let members_differ = |old: ServiceId| {
            new_id(old).is_none_or(|new| members(&old_model, old) != members(model, new))
        };
        let is_turned = |id, part: &Part| turned.is_void(id, part);
        past.said.retain(|(id, part), _| !is_turned(*id, part));
        let is_void = |old, part: &Part| {
            let is_of_others = *part == Part::Whole && members_differ(old);
            is_of_others || new_id(old).is_some_and(|new| is_turned(new, part))
        };
        let tally = &mut self.sections.tally;
        actions.extend(tally.renumber(&old_model, new_id, is_void));
        let judges = judges(model);
        let bound: BTreeSet<ServiceId> = model.bindings.iter().map(|it| it.service).collect();
        let mut carried: Vec<(ServiceId, Judge)> = Vec::new();
        for (old, mut judge) in old_judges {
            let kept = new_id(old).filter(|id| judges.contains(id));
            if judge.gate.is_some() && !kept.is_some_and(|id| bound.contains(&id)) {
                actions.push(gate_record(&old_model, old, None));
                judge.gate = None;
            }
            if let Some(id) = kept {
                let mut judge = still_true(judge, &old_model, old, model, id);
                judge.parts.retain(|part, _| !is_turned(id, part));
                carried.push((id, judge));
            }
        }
        self.judges = carried.into_iter().collect();
        actions.extend(self.adopt(now, &past));
        self.leave_behind(&found_in, new_id);
        self.let_go_of_what_was_held(&old_model, &mut actions);
        let entries = self.all_operator_entries();
        for (entry, latch) in old_latches {
            let moved = new_id(entry.service).map(|service| Entry {
                service,
                ..entry.clone()
            });
            match moved.filter(|moved| entries.contains(moved)) {
                Some(moved) => {
                    self.latches.insert(moved, latch);
                }
                None => actions.push(entry.record(&old_model, None)),
            }
        }
        self.latch_new_entries(|entry| was_latching.contains(entry), &mut actions);
        self.say_limits(&mut actions);
        keys.extend(self.change_addresses(&mut actions));
        keys.extend(self.all_virtual_services());
        self.decide(&keys, &mut actions);
        self.advance_wishes(now, &mut actions);
        actions
    }

    /// What stayed for names stays for those of this file only: not where its words are other ones
    /// than before and all have addresses.
    fn let_go_of_what_was_held(&mut self, old_model: &Model, actions: &mut Vec<Action>) {
        let model = Arc::clone(&self.model);
        let held = self.owned.keys().filter(|&key| self.owned.has_held(key));
        let held: BTreeSet<VirtualServiceKey> = held.collect();
        if held.is_empty() {
            return;
        }
        let (old, now) = (words(old_model, &held), words(&model, &held));
        for key in held {
            let leads = |host| self.addresses.current(host, key.family()).is_some();
            let mut own = now.get(&key).into_iter().flatten();
            if old.get(&key) != now.get(&key) && own.all(|(host, _)| leads(host)) {
                self.owned.let_go(key, actions);
            }
        }
    }

    /// `reset` without `keepstate`: nothing was ever said of any server, so each is as found
    /// (D10). What is owned stays owned.
    pub(crate) fn forget(&mut self, now: Now) -> Vec<Action> {
        let mut actions = Vec::new();
        for (&id, judge) in &mut self.judges {
            if judge.gate.take().is_some() {
                actions.push(gate_record(&self.model, id, None));
            }
            judge.was_failing = false;
            judge.parts.clear();
            judge.patience_ends = None;
            judge.is_unclear_said = false;
        }
        self.led.clear();
        self.addresses.renumber(Some);
        for entry in std::mem::take(&mut self.latches).into_keys() {
            actions.push(entry.record(&self.model, None));
        }
        actions.extend(self.sections.forget(&self.model, now));
        for section in &self.model.virtual_services {
            let state = self.sections.state(section.key);
            if state.is_some_and(|it| it.found == Found::Filled) {
                self.owned.forget_failed(section.key, &mut actions);
            }
        }
        actions.extend(self.adopt(now, &Past::default()));
        let keys = self.all_virtual_services();
        self.decide(&keys, &mut actions);
        actions
    }

    /// A person has set how often a service runs, or the like: the Model is another one that has
    /// the same names and bindings. A service that is awaited still is from the start, for as
    /// long as it may take now.
    pub(crate) fn service_was_set(&mut self, model: &Arc<Model>, id: ServiceId) {
        let was = self.patience(id);
        self.model = Arc::clone(model);
        let is = self.patience(id);
        let Some(judge) = self.judges.get_mut(&id) else {
            return;
        };
        if let Some(ends) = &mut judge.patience_ends {
            self.timers.remove(&(*ends, id));
            let began = Mono::ZERO.after(ends.since(Mono::ZERO).saturating_sub(was));
            *ends = began.after(is);
            self.timers.insert((*ends, id));
        }
    }

    /// Fits judges, timers and names to the Model; answers with the names to look up.
    fn adopt(&mut self, now: Now, past: &Past) -> Vec<Action> {
        let model = Arc::clone(&self.model);
        self.by_virtual_service.clear();
        for judge in self.judges.values_mut() {
            judge.bindings.clear();
            judge.sections.clear();
        }
        let mut wanted: BTreeSet<(ServiceId, Part)> = BTreeSet::new();
        let mut words: Vec<HostName> = Vec::new();
        let mut by_host: BTreeMap<HostName, BTreeSet<VirtualServiceKey>> = BTreeMap::new();
        for (index, binding) in model.bindings.iter().enumerate() {
            let bindings = self.by_virtual_service.entry(binding.virtual_service);
            bindings.or_default().push(index);
            let judge = self.judges.entry(binding.service).or_default();
            judge.bindings.push(index);
            for (host, _, part) in self.parts_of(binding) {
                words.push(host.clone());
                let keys = by_host.entry(host.clone()).or_default();
                keys.insert(binding.virtual_service);
                wanted.insert((binding.service, part));
            }
        }
        self.adopt_sections(&model, &mut wanted, &mut words, &mut by_host);
        self.by_host = by_host;
        self.families = Families::of(&model);
        self.timers.clear();
        let services: Vec<ServiceId> = self.judges.keys().copied().collect();
        for id in services {
            let patience_ends = now.mono.after(self.patience(id));
            if let Some(judge) = self.judges.get_mut(&id) {
                // What was awaited has come, or is checked from the beginning.
                if !judge.is_awaited() || past.anew.contains(&id) {
                    judge.patience_ends = None;
                }
                fit_parts(judge, id, &wanted);
                if judge.is_awaited() {
                    let ends = *judge.patience_ends.get_or_insert(patience_ends);
                    self.timers.insert((ends, id));
                } else {
                    judge.patience_ends = None;
                }
            }
        }
        let names = self.addresses.declare(words.iter());
        self.settle_unused();
        let mut actions: Vec<Action> = names.into_iter().map(Action::Resolve).collect();
        actions.extend(self.sections.declare(&model, now, past));
        actions
    }

    /// The addresses that names had when the daemon ended.
    fn restore_addresses(&mut self) {
        for (key, server, host) in self.owned.words() {
            if addresses::literal(host).is_some() {
                continue;
            }
            let is_bound = self.by_virtual_service.get(&key).is_some_and(|indexes| {
                let mut bindings = indexes.iter().filter_map(|&at| self.model.bindings.get(at));
                bindings.any(|binding| {
                    let port = match binding.real {
                        BoundServers::One { port, .. } | BoundServers::EachHost { port } => port,
                    };
                    port == server.0.port() && self.part_of(binding, host).is_some()
                })
            });
            if is_bound || self.is_word_of_section(key, server, host) {
                self.addresses.restore(host, server.0.ip());
            }
        }
    }

    fn all_virtual_services(&self) -> BTreeSet<VirtualServiceKey> {
        let named = self.by_virtual_service.keys().copied();
        named.chain(self.owned.keys()).collect()
    }
}

/// The record of a gate; one that is closed is to be forgotten.
pub(super) fn gate_record(model: &Model, id: ServiceId, gate: Option<Wall>) -> Action {
    let service = model.service(id);
    let key = format!("{PREFIX}{}/{}", service.group, service.name);
    let state = gate.map(|since| SavedGate {
        group: service.group.to_string(),
        service: service.name.to_string(),
        since,
    });
    record(key, state.as_ref())
}

/// Parts that are no longer bound are dropped, new ones are awaited.
fn fit_parts(judge: &mut Judge, id: ServiceId, wanted: &BTreeSet<(ServiceId, Part)>) {
    let is_wanted = |part: &Part| wanted.contains(&(id, part.clone()));
    judge.parts.retain(|part, _| is_wanted(part));
    let from = (id, Part::Whole);
    for (_, part) in wanted
        .range(from..)
        .take_while(|(service, _)| *service == id)
    {
        judge.parts.entry(part.clone()).or_default();
    }
}

/// A verdict on a service as a whole was about the members it had: with others it is void.
fn still_true(
    mut judge: Judge,
    old_model: &Model,
    old: ServiceId,
    model: &Model,
    id: ServiceId,
) -> Judge {
    if members(old_model, old) != members(model, id) {
        judge.parts.remove(&Part::Whole);
    }
    judge
}

fn members(model: &Model, id: ServiceId) -> BTreeSet<HostName> {
    let members = &model.hostgroup(id).members;
    members.iter().map(|member| member.host.clone()).collect()
}

/// The services that decide over a real server, by a line or in a section.
fn judges(model: &Model) -> BTreeSet<ServiceId> {
    let bound = model.bindings.iter().map(|binding| binding.service);
    let sections = model.virtual_services.iter();
    let servers = sections.flat_map(|section| &section.servers);
    let judges = servers.flat_map(|server| &server.judges);
    bound.chain(judges.map(|judge| judge.service)).collect()
}

/// The entries that only a person ended in the old configuration, under their new numbers.
fn latching_before(old_model: &Model, names: &ServiceNames<'_>) -> BTreeSet<Entry> {
    let mut entries = BTreeSet::new();
    for binding in &old_model.bindings {
        if binding.ends != Ends::ByOperator {
            continue;
        }
        let service = old_model.service(binding.service);
        let Some(id) = names.find(&service.group, &service.name) else {
            continue;
        };
        let mut add = |host: &HostName, port| {
            let mut entry = Entry::new(binding, host, port);
            entry.service = id;
            entries.insert(entry);
        };
        match &binding.real {
            BoundServers::One { host, port } => add(host, *port),
            BoundServers::EachHost { port } => {
                for member in &old_model.hostgroup(binding.service).members {
                    add(&member.host, *port);
                }
            }
        }
    }
    entries
}

/// The words of a file that stand for real servers of these virtual services, in sections and in
/// `lvs.alert` lines.
fn words<'a>(
    model: &'a Model,
    keys: &BTreeSet<VirtualServiceKey>,
) -> BTreeMap<VirtualServiceKey, BTreeSet<(&'a HostName, u16)>> {
    let mut words: BTreeMap<VirtualServiceKey, BTreeSet<(&HostName, u16)>> = BTreeMap::new();
    let sections = model.virtual_services.iter();
    for section in sections.filter(|it| keys.contains(&it.key)) {
        let servers = section.servers.iter().map(|it| (&it.host, it.port));
        let fallback = section.fallback.iter().map(|it| (&it.host, it.port));
        let of = words.entry(section.key).or_default();
        of.extend(servers.chain(fallback));
    }
    let lines = model.bindings.iter();
    for line in lines.filter(|it| keys.contains(&it.virtual_service)) {
        let parts = parts_of(model, line).into_iter();
        let of = words.entry(line.virtual_service).or_default();
        of.extend(parts.map(|(host, port, _)| (host, port)));
    }
    words
}
