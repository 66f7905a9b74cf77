//! What follows from a report: counters, alerts, verdicts for the table, a record.
//!
//! The order of docs/mon.md, "Events". Decides nothing itself: policy says which
//! alerts, bindings say what becomes of the table. Traps will come in here too.

use std::sync::Arc;
use std::time::Duration;

use crate::engine::binding::Ruling;
use crate::engine::call::{self, Telling};
use crate::engine::event::{Action, AlertKind, FailureLine, Note, Report, Status, Suppression};
use crate::engine::policy::{self, Decision, Occasion};
use crate::engine::state::{self, EventText, HostState, ServiceState};
use crate::engine::{Engine, Going, history, saved, verdict};
use crate::model::{AlertPeriod, Service, ServiceId};
use crate::time::Now;

/// One event on its way through the rules.
struct Happening<'a> {
    id: ServiceId,
    kind: AlertKind,
    exit: i32,
    /// What the alerts get.
    text: &'a EventText,
    /// What the event before said.
    before: Option<&'a EventText>,
    /// No event came before.
    is_first: bool,
    hosts: &'a [HostState],
    /// Seconds that stand in the event ids.
    began: i64,
}

impl Engine {
    /// Takes in what a run found.
    pub(super) fn reported(
        &mut self,
        now: Now,
        going: &Going,
        report: Report,
        actions: &mut Vec<Action>,
    ) {
        self.states[going.service.index()].monitor_duration = Some(now.mono.since(going.started));
        if report.ended.exit() == 0 {
            self.succeeded(now, going, report, actions);
        } else {
            self.failed(now, going, report, actions);
        }
    }

    /// Section 5.2.
    fn failed(&mut self, now: Now, going: &Going, report: Report, actions: &mut Vec<Action>) {
        let model = Arc::clone(&self.model);
        let id = going.service;
        let service = model.service(id);
        let exit = report.ended.exit();
        let hosts = state::hosts_of(&report, &going.hosts, service);
        let reason = verdict::service_reason(&report);
        let is_blind = verdict::is_blind(&report);
        let text = EventText::of(report);

        let state = &mut self.states[id.index()];
        let was = state.status;
        let before = state.text.take();
        state.fail(now, exit, hosts.clone());
        let is_new = was != Status::Fail;
        self.histories.failed(FailureLine {
            group: Arc::clone(&service.group),
            service: Arc::clone(&service.name),
            time: now.wall,
            summary: text.summary(Status::Fail).into_owned(),
        });
        if is_new {
            actions.push(Action::Note(Note::ServiceDown {
                service: id,
                exit,
                summary: text.summary(Status::Fail).into_owned(),
            }));
        }
        // Before its first alert an outage is on record, so that an alert that is sent again
        // after a crash has the same event id.
        let outage_begun = is_new.then(|| saved::record(service, state, now));

        let happening = Happening {
            id,
            kind: AlertKind::Failure,
            exit,
            text: &text,
            before: before.as_deref(),
            is_first: was == Status::Untested,
            hosts: &hosts,
            began: state.outage.as_deref().map_or(0, |outage| outage.id),
        };
        let previous = before.as_deref().filter(|_| !is_new);
        let decision = self.decide(now, service, &happening, previous);
        if self.bindings.decides(id) {
            // What says nothing about any server takes none out of the table, whatever the
            // alert rules say: a monitor that went missing must not empty it.
            let ruling = if is_blind {
                Ruling::Blind
            } else {
                decision.ruling
            };
            let verdicts = state::verdicts(&hosts);
            actions.extend(self.bindings.failed(now, id, ruling, &verdicts, reason));
        }
        if let Some(record) = outage_begun.filter(|_| !decision.calls.is_empty()) {
            actions.push(Action::Record(Box::new(record)));
        }
        self.call_alerts(now, &happening, decision, actions);
        let state = &mut self.states[id.index()];
        state.set_text(text);
        actions.push(record(service, state, now));
    }

    /// Section 5.4.
    fn succeeded(&mut self, now: Now, going: &Going, report: Report, actions: &mut Vec<Action>) {
        let model = Arc::clone(&self.model);
        let id = going.service;
        let service = model.service(id);
        let state = &mut self.states[id.index()];
        let was = std::mem::replace(&mut state.status, Status::Ok);
        state.last_status = was;
        state.exit = Some(report.ended.exit());
        match (was, state.outage.as_deref()) {
            (Status::Untested, _) => actions.push(Action::Note(Note::ServiceTested(id))),
            (Status::Fail, Some(outage)) => actions.push(Action::Note(Note::ServiceUp {
                service: id,
                outage: outage.since.ago(now),
            })),
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
        if self.bindings.decides(id) {
            let hosts = state::hosts_of(&report, &going.hosts, service);
            let verdicts = state::verdicts(&hosts);
            actions.extend(self.bindings.succeeded(id, &verdicts));
        }
        if was == Status::Fail {
            self.tell_recovery(now, going, &report, actions);
        }
        let state = &mut self.states[id.index()];
        state.recover(now, service);
        state.set_text(EventText::of(report));
        if was != Status::Ok {
            actions.push(record(service, state, now));
        }
    }

    /// Upalerts: the output is that of the failure before (E-17), the hosts are those of the
    /// success.
    fn tell_recovery(
        &mut self,
        now: Now,
        going: &Going,
        report: &Report,
        actions: &mut Vec<Action>,
    ) {
        let model = Arc::clone(&self.model);
        let id = going.service;
        let service = model.service(id);
        let has_upalert = |period: &AlertPeriod| !period.upalerts.is_empty();
        if !service.periods.iter().any(has_upalert) {
            return;
        }
        let state = &mut self.states[id.index()];
        let failure = state.text.take();
        let text = failure.as_deref().cloned().unwrap_or_default();
        let hosts = state::hosts_of(report, &going.hosts, service);
        let happening = Happening {
            id,
            kind: AlertKind::Up,
            exit: 0,
            text: &text,
            before: Some(&text),
            is_first: false,
            hosts: &hosts,
            began: state.outage.as_deref().map_or(0, |outage| outage.id),
        };
        let decision = self.decide(now, service, &happening, None);
        self.call_alerts(now, &happening, decision, actions);
    }

    /// Startup alerts of every service.
    pub(super) fn startup_alerts(&mut self, now: Now, actions: &mut Vec<Action>) {
        let model = Arc::clone(&self.model);
        let nothing = EventText::default();
        for (id, service) in model.services() {
            if service
                .periods
                .iter()
                .all(|period| period.startupalerts.is_empty())
            {
                continue;
            }
            let state = &self.states[id.index()];
            let before = state.text.clone();
            let happening = Happening {
                id,
                kind: AlertKind::Startup,
                exit: 0,
                text: &nothing,
                before: before.as_deref(),
                is_first: state.status == Status::Untested,
                hosts: &[],
                began: now.wall.seconds(),
            };
            let decision = self.decide(now, service, &happening, None);
            self.call_alerts(now, &happening, decision, actions);
        }
    }

    fn decide(
        &mut self,
        now: Now,
        service: &Service,
        happening: &Happening<'_>,
        previous: Option<&EventText>,
    ) -> Decision {
        let state = &mut self.states[happening.id.index()];
        let outage = state.outage.as_deref();
        let occasion = Occasion {
            kind: happening.kind,
            exit: happening.exit,
            text: happening.text,
            previous,
            consec_failures: outage.map_or(0, |outage| outage.consec_failures),
            outage: outage.map_or(Duration::ZERO, |outage| outage.since.ago(now)),
            gate_open: self.bindings.is_gate_open(happening.id),
            now,
            zone: &self.zone,
        };
        let decision = policy::decide(service, state.memory(service), &occasion);
        state.drop_blank_memory();
        decision
    }

    /// Turns a decision into calls, and says what was held back.
    fn call_alerts(
        &mut self,
        now: Now,
        happening: &Happening<'_>,
        decision: Decision,
        actions: &mut Vec<Action>,
    ) {
        let id = happening.id;
        let service = self.model.service(id);
        let suppressed = decision
            .held_back
            .into_iter()
            .map(|(period, why)| Suppression {
                service: id,
                period: service
                    .periods
                    .get(period)
                    .map(|period| Arc::clone(&period.label)),
                kind: happening.kind,
                why,
            });
        let suppressed: Box<[Suppression]> = suppressed.collect();
        actions.extend(suppressed.iter().cloned().map(Action::Suppressed));

        let state = &mut self.states[id.index()];
        // A start has no outage; its calls are numbered from 1.
        let of_outage = state
            .outage
            .as_deref()
            .filter(|_| happening.kind != AlertKind::Startup);
        let mut number = of_outage.map_or(0, |outage| outage.calls);
        let telling = Telling {
            model: &self.model,
            disabled: &self.disabled,
            service: id,
            kind: happening.kind,
            state,
            exit: Some(happening.exit),
            text: happening.text,
            before: happening.before,
            is_first: happening.is_first,
            hosts: happening.hosts,
            now,
        };
        let calls = call::alert_calls(
            &telling,
            decision.calls,
            happening.began,
            &mut number,
            &mut self.last_alert,
        );
        state.suppressed = suppressed;
        let count = u32::try_from(calls.len()).unwrap_or(u32::MAX);
        state.alert_count = state.alert_count.saturating_add(count);
        if happening.kind != AlertKind::Startup
            && let Some(outage) = &mut state.outage
        {
            outage.calls = number;
        }
        for call in calls {
            let line = history::line(&call);
            self.histories.alerted(line.clone());
            actions.push(Action::Send(Box::new(call)));
            actions.push(Action::History(line));
        }
    }
}

fn record(service: &Service, state: &ServiceState, now: Now) -> Action {
    Action::Record(Box::new(saved::record(service, state, now)))
}
