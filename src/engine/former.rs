//! Who looks at an address that its name has left, while the table has it (D8)?
//!
//! Checks go where names lead now. Until the next address of a name is good, its real server is the
//! one at the address of before, and clients are sent there. So that one is checked too: with each
//! run of a slot, by itself and beside that run, and, while a count of its failures is running, as
//! often as a section asks (`recheck`). Sections and `lvs.alert` lines hear of it, no status and no
//! alert does: what people are told of the service is about where its names lead.
//!
//! For checks of our own that go where they are told. Programs look their names up themselves:
//! there the real server stays as it was. Pure.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::engine::Engine;
use crate::engine::beside::BESIDE_MAX;
use crate::engine::binding::{Part, Ruling};
use crate::engine::event::{Action, HostVerdict, Purpose, Report};
use crate::engine::going::{Began, Going};
use crate::engine::schedule::{Alarm, Lane};
use crate::engine::section::count::{Opinion, RecheckScope};
use crate::engine::state::HostState;
use crate::engine::witness::Doubted;
use crate::engine::{state, verdict};
use crate::model::{HostName, ServiceId};
use crate::time::Now;

impl Engine {
    /// A run of these hosts begins that goes where names lead now.
    pub(super) fn former_is_due(&mut self, id: ServiceId, hosts: &[HostName]) {
        let left = hosts.iter().filter(|host| self.has_former(id, host));
        let left: Vec<HostName> = left.cloned().collect();
        self.former_due
            .extend(left.into_iter().map(|host| (id, host)));
    }

    /// Those whose failures are being counted are to be looked at again.
    pub(super) fn former_again(&mut self, id: ServiceId) {
        let wanted = self.bindings.wants_former(id);
        match wanted.map(|it| it.scope) {
            Some(RecheckScope::Hosts(hosts)) => self.former_is_due(id, &hosts),
            Some(RecheckScope::Service) => {
                let model = Arc::clone(&self.model);
                let members = model.hostgroup(id).members.iter();
                let hosts: Vec<HostName> = members.map(|it| it.host.clone()).collect();
                self.former_is_due(id, &hosts);
            }
            None => {}
        }
    }

    /// Looks at addresses that their names have left, as far as there is room.
    pub(super) fn look_at_former(&mut self, now: Now, actions: &mut Vec<Action>) {
        if self.former_due.is_empty() {
            return;
        }
        for (id, host) in self.former_due.clone() {
            if !self.has_former(id, &host) {
                self.former_due.remove(&(id, host));
            } else if self.may_look_at_former(now, id, &host)
                && self.timetable.take_place(Lane::Checks)
            {
                self.former_due.remove(&(id, host.clone()));
                match self.single(now, id, &host, Purpose::Former) {
                    Some(run) => self.go(now, run, [].into(), actions),
                    None => self.timetable.give_place(Lane::Checks),
                }
            }
        }
    }

    /// Whether the table has an address of this host that a check of the service is to look at
    /// though its name leads elsewhere.
    fn has_former(&self, id: ServiceId, host: &HostName) -> bool {
        self.bindings.looks_at_former(id, host) && !self.bindings.former(id, host).is_empty()
    }

    fn may_look_at_former(&self, now: Now, id: ServiceId, host: &HostName) -> bool {
        let running = self.running.values();
        let mine = running.filter(|it| it.service == id && it.purpose == Purpose::Former);
        let mine: Vec<&Going> = mine.collect();
        let is_at_it = mine.iter().any(|it| it.hosts.contains(host));
        !is_at_it && mine.len() < BESIDE_MAX && self.may_start(now, id)
    }

    /// What a check found of the hosts of which this is so counts: where it looked at an address to
    /// which its name leads again, one that began before, while it led elsewhere, has nothing more
    /// to say. Where it says nothing, or does not count, that one has the last word.
    pub(super) fn overtakes_former(
        &mut self,
        id: ServiceId,
        began: &Began,
        counts: impl Fn(&HostName) -> bool,
    ) {
        let Some(run) = began.run else {
            return;
        };
        let bindings = &self.bindings;
        let is_there =
            |host: &HostName| counts(host) && bindings.is_there(id, host, began.there(host));
        let overtakes = |going: &Going| going.run < run && going.hosts.iter().any(is_there);
        let running = self.running.values_mut();
        for it in running.filter(|it| it.purpose == Purpose::Former && it.service == id) {
            it.is_overtaken |= overtakes(it);
        }
        self.witnesses.forget_former(id, overtakes);
    }

    /// The same of a report of all that its service checks. What says nothing about any server
    /// counts as far as it is good.
    pub(super) fn report_overtakes_former(
        &mut self,
        id: ServiceId,
        began: &Began,
        ruling: Ruling,
        verdicts: &BTreeMap<HostName, HostVerdict>,
    ) {
        self.overtakes_former(id, began, |host| match verdicts.get(host) {
            Some(HostVerdict::Up) => true,
            Some(HostVerdict::Down(_)) => ruling != Ruling::Blind,
            Some(HostVerdict::Unknown(_)) | None => false,
        });
    }

    /// A check of such an address ended.
    pub(super) fn former_ended(
        &mut self,
        now: Now,
        going: Going,
        report: Report,
        actions: &mut Vec<Action>,
    ) {
        let (id, started) = (going.service, going.started);
        self.timetable.give_place(Lane::Checks);
        self.consider(now, started, Doubted::Run(going, report), actions);
        self.plan_former(now, id);
    }

    /// Plans the next look that a service owes its sections before its slot; not while it would
    /// find nothing out.
    pub(super) fn plan_former(&mut self, now: Now, id: ServiceId) {
        let is_idle = self.witnesses.has_doubts(id) || self.witnesses.is_cut_off(id);
        let is_planned = self.timetable.alarm(Alarm::Former, id).is_some();
        let wanted = self.bindings.wants_former(id);
        if let Some(wanted) = wanted.filter(|_| !is_idle && !is_planned) {
            let at = self.timetable.clock(now.mono).after(wanted.gap);
            self.timetable.set_alarm(Alarm::Former, id, at);
        }
    }

    /// What was found at such an address counts, unless the table has another one meanwhile.
    pub(super) fn former_counts(
        &mut self,
        now: Now,
        going: &Going,
        report: &Report,
        actions: &mut Vec<Action>,
    ) {
        let id = going.service;
        let found = self.found_at_former(going, report);
        if found.is_empty() {
            return;
        }
        if !self.mode(id).is_frozen() && !verdict::is_blind(report) {
            let mut verdicts = state::verdicts(&found);
            self.leave_out_disabled(id, &mut verdicts);
            let verdicts = verdicts.into_iter();
            let mut opinions: BTreeMap<Part, Opinion> = verdicts
                .map(|(host, verdict)| (Part::Host(host), verdict.into()))
                .collect();
            let group = &self.model.hostgroup(id).members;
            if group.len() == 1 {
                let all = opinions.values().next().copied();
                opinions.extend(all.map(|opinion| (Part::Whole, opinion)));
            }
            // What a dependency explains says nothing about any server, as at a slot.
            if self.is_explained(now, id) {
                opinions.retain(|_, opinion| !matches!(opinion, Opinion::Bad(_)));
            }
            actions.extend(self.bindings.found_at_former(now, id, &opinions));
        }
        self.remember_between(now, id, &found, report);
    }

    /// The director was cut off while this was found: only what is good counts.
    pub(super) fn only_good_former_counts(
        &mut self,
        now: Now,
        going: &Going,
        report: &Report,
        actions: &mut Vec<Action>,
    ) {
        let found = self.found_at_former(going, report);
        let is_good = |one: &HostState| one.verdict == HostVerdict::Up;
        if !found.is_empty() && found.iter().all(is_good) {
            self.former_counts(now, going, report, actions);
        } else {
            self.remember_doubt(now, going.service, going.purpose, &found, report);
        }
    }

    /// What a check found at the address of before, in words that say so; nothing where the table
    /// has another one since, or a later check has looked there.
    fn found_at_former(&self, going: &Going, report: &Report) -> Vec<HostState> {
        let bindings = &self.bindings;
        let is_there = |one: &HostState| {
            !going.is_overtaken && bindings.addresses_of(going.service, &one.host) == going.former
        };
        let found = self.found(going.service, report, &going.hosts);
        let mut found: Vec<HostState> = found.into_iter().filter(is_there).collect();
        let there: Vec<String> = going.former.iter().map(ToString::to_string).collect();
        for one in &mut found {
            let said = match one.text.is_empty() {
                true => "looked at".to_owned(),
                false => one.text.to_string(),
            };
            one.text = format!("{said} (at {}, which the name has left)", there.join(" ")).into();
        }
        found
    }
}
