//! What follows from a report: counters, alerts, verdicts for the table, a record.
//!
//! The order of docs/mon.md, "Events". Whoever hears something of a service, from a run, a
//! trap or the lack of one, says it by [`Engine::heard`]. Decides nothing itself: policy says
//! which alerts, bindings say what becomes of the table. How a decision becomes calls: `tell`.

use std::cell::OnceCell;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::engine::binding::Ruling;
use crate::engine::event::{
    Action, AlertKind, DowntimeLine, FailureLine, HostVerdict, Note, Reason, Report, Status,
};
use crate::engine::going::Began;
use crate::engine::policy::Decision;
use crate::engine::recent::Weighs;
use crate::engine::state::{self, EventText, HostState, PeriodMemory, ServiceState};
use crate::engine::tell::{Earlier, Happening, Numbered};
use crate::engine::{Engine, saved, verdict};
use crate::model::{HostName, Service, ServiceId};
use crate::time::Now;

/// Hosts that an upalert names as no longer checked: a subject has no room for more.
const LEFT_NAMED: usize = 10;

/// What was heard of a service.
#[derive(Debug)]
pub(super) struct Heard {
    /// Of which.
    pub(super) service: ServiceId,
    /// What the alerts of a failure are: [`AlertKind::Failure`], [`AlertKind::Trap`] or
    /// [`AlertKind::TrapTimeout`].
    pub(super) kind: AlertKind,
    /// Exit value, output, results.
    pub(super) report: Report,
    /// The hosts that were checked; for a trap those that would be (D9).
    pub(super) hosts: Vec<HostName>,
    /// When its check began.
    pub(super) began: Began,
    /// Its check was brought forward so that people are told at once.
    pub(super) is_early: bool,
    /// `GROUP:SERVICE` that a trap was meant for, where `default` caught it.
    pub(super) intended: Option<Arc<str>>,
}

impl Engine {
    /// Takes in what was heard of a service: the common part of all events. Dependencies have
    /// been looked at.
    pub(super) fn heard(&mut self, now: Now, heard: Heard, actions: &mut Vec<Action>) {
        let id = heard.service;
        if heard.report.ended.exit() == 0 {
            self.witnesses.forget_doubts(id, heard.began.run);
            self.succeeded(now, heard, actions);
        } else {
            let service = heard.service;
            self.failed(now, heard, actions);
            self.remember_failure(now, service);
        }
        self.remember_result(now, id);
    }

    fn failed(&mut self, now: Now, heard: Heard, actions: &mut Vec<Action>) {
        let model = Arc::clone(&self.model);
        let id = heard.service;
        let service = model.service(id);
        let exit = heard.report.ended.exit();
        let hosts = state::hosts_of(&heard.report, &heard.hosts, service);
        let reason = verdict::service_reason(&heard.report);
        let is_blind = verdict::is_blind(&heard.report);
        let text = EventText::of(heard.report);

        self.begin_behind_its_end(now, id, &heard.began, actions);
        let number = self.number_of_outage(id, now);
        let state = &mut self.states[id.index()];
        let was = state.status;
        let before = state.text.take();
        // Where `trapduration` ended the failure before, nothing of it is forgotten (E-2).
        let goes_on = state.outage.is_some();
        let latest = state.outage.as_deref().map(|outage| outage.latest);
        let untold = state
            .outage
            .as_deref()
            .and_then(|outage| outage.put_off.clone());
        state.unheard = None;
        state.fail(now, number, exit, hosts.clone());
        self.reached_before(id);
        let is_new = was != Status::Fail;
        self.note_failure(now, id, is_new, exit, &text, actions);
        let memory = self.states[id.index()].periods.clone();

        let happening = Happening {
            id,
            kind: heard.kind,
            exit: Some(exit),
            text: &text,
            before: before.as_deref(),
            is_first: was == Status::Untested,
            hosts: &hosts,
            numbered: Numbered::InOutage,
            intended: heard.intended.as_deref(),
        };
        let previous = before.as_deref().filter(|_| goes_on);
        self.redistribute(now, &happening, actions);
        let earlier = Earlier {
            previous,
            untold: untold.as_deref(),
            repeats: latest.filter(|_| heard.is_early),
        };
        let mut decision = self.decide(now, service, &happening, earlier);
        // What says nothing about any server takes none out of the table, whatever the
        // alert rules say: a monitor that went missing must not empty it.
        let ruling = match is_blind {
            true => Ruling::Blind,
            false => decision.ruling,
        };
        let of = (id, heard.kind);
        self.bad_for_table(now, of, &hosts, &heard.began, (ruling, reason), actions);
        let may_wait = heard.kind == AlertKind::Failure && !heard.is_early && !is_blind;
        let known = (previous, memory.as_deref());
        self.put_off(now, id, may_wait, known, &mut decision);
        if let Some(mut ahead) = self.ahead_of_alerts(id, is_new, memory, &decision) {
            ahead.set_text(text.clone());
            actions.push(record(service, &ahead, now));
        }
        self.call_alerts(now, &happening, decision, actions);
        self.remember_hosts(now, id, &hosts, &text.summary(Status::Fail), Weighs::Fully);
        let state = &mut self.states[id.index()];
        state.set_text(text);
        actions.push(record(service, state, now));
    }

    /// What a failing report means for the table.
    fn bad_for_table(
        &mut self,
        now: Now,
        (id, kind): (ServiceId, AlertKind),
        hosts: &[HostState],
        began: &Began,
        (ruling, reason): (Ruling, Reason),
        actions: &mut Vec<Action>,
    ) {
        if !self.bindings.decides(id) || self.mode(id).is_frozen() {
            return;
        }
        let mut verdicts = self.verdicts(id, hosts, began);
        if kind == AlertKind::TrapTimeout {
            // Nobody spoke of these, and where no trap came yet they are decided without.
            verdicts.retain(|_, verdict| !matches!(verdict, HostVerdict::Unknown(_)));
        }
        self.report_overtakes_former(id, began, ruling, &verdicts);
        self.weigh(now, (id, kind), hosts, &verdicts);
        let whole = self.is_about_whole(id, hosts, began).then_some(reason);
        actions.extend(self.bindings.failed(now, id, ruling, &verdicts, whole));
    }

    /// What has to be on record before the first alerts of an outage leave, none where it is:
    /// their number, so that they have the same event id where they are sent again after a crash,
    /// and that they may have been sent, so that the end is told whatever became of them. `memory`
    /// is that of the periods before the decision.
    fn ahead_of_alerts(
        &self,
        id: ServiceId,
        is_new: bool,
        memory: Option<Box<[PeriodMemory]>>,
        decision: &Decision,
    ) -> Option<ServiceState> {
        if decision.calls.is_empty() {
            return None;
        }
        let mut ahead = self.states[id.index()].clone();
        ahead.periods = memory;
        let memory = ahead.memory(self.model.service(id));
        let mut is_first = is_new;
        for period in decision.calls.iter().filter_map(|call| call.period) {
            if let Some(memory) = memory.get_mut(period).filter(|it| it.alert_sent == 0) {
                memory.perhaps_sent = true;
                is_first = true;
            }
        }
        is_first.then_some(ahead)
    }

    /// What a report says of hosts that may reach the table: those that were disabled while
    /// it was made keep the verdict they had (D10), and so do names that lead elsewhere since the
    /// check began (D8), and those that were checked by themselves since.
    pub(super) fn verdicts(
        &self,
        id: ServiceId,
        hosts: &[HostState],
        began: &Began,
    ) -> BTreeMap<HostName, HostVerdict> {
        let mut verdicts = state::verdicts(hosts);
        let nobody = OnceCell::new();
        verdicts.retain(|host, verdict| {
            let is_elsewhere = self.was_elsewhere(id, host, began);
            let is_nowhere = match *verdict {
                HostVerdict::Down(reason) => {
                    let bindings = &self.bindings;
                    bindings.may_have_looked_nowhere(id, host, reason, began.answers)
                        || self.takes_nobody_out(id, host, began, &nobody)
                }
                HostVerdict::Up => self.is_unsure_return(id, host, began),
                HostVerdict::Unknown(_) => false,
            };
            !is_elsewhere && !is_nowhere && !self.latest.is_later(id, host, began)
        });
        self.leave_out_disabled(id, &mut verdicts);
        verdicts
    }

    /// Hosts that are disabled keep the verdict they had (D10).
    pub(super) fn leave_out_disabled(
        &self,
        id: ServiceId,
        verdicts: &mut BTreeMap<HostName, HostVerdict>,
    ) {
        let group = self.model.hostgroup(id);
        for member in &group.members {
            if self.disabled.has_host(group, member) {
                verdicts.remove(&member.host);
            }
        }
    }

    /// The weights that a report gives hosts which may reach the table, and to whom it gives none
    /// of which it speaks. A trap is no check: of weights it says nothing.
    pub(super) fn weigh(
        &mut self,
        now: Now,
        (id, kind): (ServiceId, AlertKind),
        hosts: &[HostState],
        verdicts: &BTreeMap<HostName, HostVerdict>,
    ) {
        for state in hosts.iter().filter(|it| verdicts.contains_key(&it.host)) {
            let speaks = match state.verdict {
                HostVerdict::Up | HostVerdict::Down(_) => kind == AlertKind::Failure,
                HostVerdict::Unknown(_) => false,
            };
            if speaks || state.weight.is_some() {
                self.bindings.weigh(now, id, &state.host, state.weight);
            }
        }
    }

    /// A failure is said in the failure history, and in the log where it begins an outage.
    fn note_failure(
        &mut self,
        now: Now,
        id: ServiceId,
        is_new: bool,
        exit: i32,
        text: &EventText,
        actions: &mut Vec<Action>,
    ) {
        let service = self.model.service(id);
        let summary = text.summary(Status::Fail).into_owned();
        self.histories.failed(FailureLine {
            group: Arc::clone(&service.group),
            service: Arc::clone(&service.name),
            time: now.wall,
            summary: summary.clone(),
        });
        if is_new {
            actions.push(Action::Note(Note::ServiceDown {
                service: id,
                exit,
                summary,
            }));
        }
    }

    fn succeeded(&mut self, now: Now, heard: Heard, actions: &mut Vec<Action>) {
        let model = Arc::clone(&self.model);
        let id = heard.service;
        let service = model.service(id);
        let interval = self.interval(id).unwrap_or_default();
        self.take_what_is_owed(id);
        self.found_good(id);
        self.early.is_good(id);
        let state = &mut self.states[id.index()];
        let was = std::mem::replace(&mut state.status, Status::Ok);
        state.last_status = was;
        state.exit = Some(heard.report.ended.exit());
        match (was, state.outage.as_deref()) {
            (Status::Untested, _) => actions.push(Action::Note(Note::ServiceTested(id))),
            (Status::Fail, Some(outage)) => {
                let text = state.text.as_deref();
                let summary = text.map(|text| text.summary(Status::Fail).into_owned());
                actions.push(Action::Note(Note::ServiceUp {
                    service: id,
                    outage: outage.began.moment.ago(now),
                }));
                if model.globals.downtime.dtlogging {
                    actions.push(Action::Downtime(DowntimeLine {
                        up: now.wall,
                        group: Arc::clone(&service.group),
                        service: Arc::clone(&service.name),
                        // A clock that was set meanwhile makes no outage longer.
                        first_failure: outage.began.told(now),
                        interval,
                        summary: summary.unwrap_or_else(|| state::NO_SUMMARY.to_owned()),
                    }));
                }
            }
            (Status::Fail, None)
            | (
                Status::Ok
                | Status::Coldstart
                | Status::Warmstart
                | Status::Linkdown
                | Status::Unknown
                | Status::Timeout
                | Status::Depend
                | Status::Warn,
                _,
            ) => {}
        }
        let hosts = state::hosts_of(&heard.report, &heard.hosts, service);
        let verdicts = self.verdicts(id, &hosts, &heard.began);
        if !self.mode(id).is_frozen() {
            self.overtakes_former(id, &heard.began, |host| verdicts.contains_key(host));
            self.weigh(now, (id, heard.kind), &hosts, &verdicts);
        }
        // Its gate stays as it is, too: the run behind the answer says.
        if !self.are_unsure_returns(id, &hosts, &heard.began) {
            self.good_for_table(id, &verdicts, actions);
        }
        self.remember_hosts(now, id, &hosts, "", Weighs::Fully);
        let upalerts = self.tell_success(now, was, &heard, &hosts, actions);
        self.outage_ends(now, id, upalerts, actions);
        let state = &mut self.states[id.index()];
        // Where `trapduration` ended the failure (E-2) it is good already, and only now is
        // the outage forgotten: by the journal too.
        let is_forgotten = state.outage.is_some() || state.ack.is_some();
        let memory = state.periods.clone();
        state.end_outage(service);
        state.last_success = Some(now.wall);
        state.set_text(EventText::of(heard.report));
        if was != Status::Ok || is_forgotten || state.periods != memory {
            actions.push(record(service, state, now));
        }
        self.tell_ends_of_the_peer(now, id, &hosts, actions);
    }

    /// A `redistribute` line is told of every success, upalerts of a recovery: for which periods.
    /// Their output is that of the event before (E-17), their hosts are those of the success.
    fn tell_success(
        &mut self,
        now: Now,
        was: Status,
        heard: &Heard,
        hosts: &[HostState],
        actions: &mut Vec<Action>,
    ) -> Vec<u32> {
        let model = Arc::clone(&self.model);
        let id = heard.service;
        let service = model.service(id);
        let mut periods = service.periods.iter();
        let has_upalert = periods.any(|period| !period.upalerts.is_empty());
        let is_recovery = was == Status::Fail && has_upalert;
        if service.redistribute.is_none() && !is_recovery {
            return Vec::new();
        }
        let state = &mut self.states[id.index()];
        let before = state.text.take();
        let untold = state.outage.as_deref_mut();
        let untold = untold.and_then(|outage| outage.put_off.take());
        let before = untold.or(before).unwrap_or_default();
        let text = self.text_of_the_end(id, &before);
        let happening = Happening {
            id,
            kind: AlertKind::Up,
            exit: Some(0),
            text: &text,
            before: Some(&before),
            is_first: was == Status::Untested,
            hosts,
            numbered: Numbered::InOutage,
            intended: heard.intended.as_deref(),
        };
        self.redistribute(now, &happening, actions);
        if !is_recovery {
            return Vec::new();
        }
        let decision = self.decide(now, service, &happening, Earlier::default());
        let upalerts = decision.periods();
        self.call_alerts(now, &happening, decision, actions);
        upalerts
    }

    /// What an upalert says of the failure that is over. Hosts that failed and left the file are
    /// not up, and are said not to be. Of disabled ones it says nothing, as mon (D31).
    fn text_of_the_end(&self, id: ServiceId, failure: &EventText) -> EventText {
        let Some(outage) = self.states[id.index()].outage.as_deref() else {
            return failure.clone();
        };
        let hosts = outage.hosts.iter();
        let failed = hosts.filter(|it| matches!(it.verdict, HostVerdict::Down(_)));
        let members = self.model.hostgroup(id).members.iter();
        let declared: BTreeSet<&HostName> = members.map(|member| &member.host).collect();
        let left = failed.filter(|it| !declared.contains(&it.host));
        let left: Vec<&str> = left.map(|it| it.host.as_str()).collect();
        if left.is_empty() {
            return failure.clone();
        }
        let (named, rest) = left.split_at(left.len().min(LEFT_NAMED));
        let rest = match rest.len() {
            0 => String::new(),
            count => format!(" and {count} more"),
        };
        failure.with_remark(&format!("no longer checked: {}{rest}", named.join(" ")))
    }

    /// Startup alerts of every service.
    pub(super) fn startup_alerts(&mut self, now: Now, actions: &mut Vec<Action>) {
        let model = Arc::clone(&self.model);
        let nothing = EventText::default();
        for (id, service) in model.services() {
            let mut periods = service.periods.iter();
            let has_startupalert = periods.any(|period| !period.startupalerts.is_empty());
            if service.redistribute.is_none() && !has_startupalert {
                continue;
            }
            let state = &self.states[id.index()];
            let before = state.text.clone();
            let happening = Happening {
                id,
                kind: AlertKind::Startup,
                exit: Some(0),
                text: &nothing,
                before: before.as_deref(),
                is_first: state.status == Status::Untested,
                hosts: &[],
                numbered: Numbered::Uniquely,
                intended: None,
            };
            self.redistribute(now, &happening, actions);
            let decision = self.decide(now, service, &happening, Earlier::default());
            self.call_alerts(now, &happening, decision, actions);
        }
    }
}

/// The record of a service as it is now.
pub(super) fn record(service: &Service, state: &ServiceState, now: Now) -> Action {
    Action::record(saved::record(service, state, now))
}
