//! How an event becomes alerts: the rules are asked, what passes becomes calls with their
//! lines in the history, what does not is said with the rule that objects.

use std::sync::Arc;
use std::time::Duration;

use crate::engine::binding::Ruling;
use crate::engine::call::{self, Telling};
use crate::engine::event::{Action, AlertCall, AlertKind, Note, Suppressed, Suppression};
use crate::engine::peer::counts;
use crate::engine::policy::whole::{self, ServiceMode};
use crate::engine::policy::{self, Call, Decision, Occasion};
use crate::engine::state::{EventText, HostState, Moment};
use crate::engine::{Engine, history};
use crate::model::{AlertCommand, AlertProgram, Service, ServiceId};
use crate::pair::talk::counted::Counted;
use crate::pair::talk::{EventId, EventKind};
use crate::time::Now;

/// How the calls of an event are numbered in their ids.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Numbered {
    /// On from the calls of the outage before them; without an outage uniquely.
    InOutage,
    /// As no other call of this daemon: two tests within a second are two events (D23).
    Uniquely,
}

/// One event on its way through the rules.
#[derive(Clone, Copy)]
pub(super) struct Happening<'a> {
    pub(super) id: ServiceId,
    pub(super) kind: AlertKind,
    /// None for acknowledgements and disables; `exit=` counts them as 0.
    pub(super) exit: Option<i32>,
    /// What the alerts get.
    pub(super) text: &'a EventText,
    /// What the event before said.
    pub(super) before: Option<&'a EventText>,
    /// No event came before.
    pub(super) is_first: bool,
    pub(super) hosts: &'a [HostState],
    pub(super) numbered: Numbered,
    /// `GROUP:SERVICE` that a trap was meant for, where `default` caught it.
    pub(super) intended: Option<&'a str>,
}

/// What an event is compared with.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Earlier<'a> {
    /// What the failure before said; none after a success.
    pub(super) previous: Option<&'a EventText>,
    /// What the one before that said, where that one was put off.
    pub(super) untold: Option<&'a EventText>,
    /// When the failure before was, where the check of this one was brought forward for people.
    pub(super) repeats: Option<Moment>,
}

impl Engine {
    /// What operators have said that concerns the service.
    pub(super) fn mode(&self, id: ServiceId) -> ServiceMode {
        let group = &self.model.service(id).group;
        if self.stopped.is_some() {
            ServiceMode::Stopped
        } else if self.states[id.index()].is_disabled || self.disabled.has_watch(group) {
            ServiceMode::Disabled
        } else {
            ServiceMode::InForce
        }
    }

    /// Asks the rules.
    pub(super) fn decide(
        &mut self,
        now: Now,
        service: &Service,
        happening: &Happening<'_>,
        earlier: Earlier<'_>,
    ) -> Decision {
        let kind = happening.kind;
        let stands = whole::mode(self.mode(happening.id));
        let gate_open = self.bindings.is_gate_open(happening.id);
        let state = &mut self.states[happening.id.index()];
        if let Err(why) = stands {
            return nobody_is_told(service, kind, why, Ruling::HeldBack);
        }
        if let Err(why) = whole::dependency(state, kind) {
            // What a dependency explains says nothing about any server.
            return nobody_is_told(service, kind, why, Ruling::Blind);
        }
        if kind.is_problem() && service.unack_summary {
            whole::unack(state, earlier.previous, happening.text);
        }
        let acked = whole::acknowledged(state, kind).cloned();
        let outage = state.outage.as_deref();
        let occasion = Occasion {
            kind,
            exit: happening.exit.unwrap_or(0),
            text: happening.text,
            previous: earlier.previous,
            untold: earlier.untold,
            repeats: earlier.repeats,
            consec_failures: outage.map_or(0, |outage| outage.consec_failures),
            forgiven: outage.map_or(0, |outage| outage.forgiven),
            acked: acked.as_ref(),
            outage: outage.map_or(Duration::ZERO, |outage| outage.began.moment.ago(now)),
            gate_open,
            now,
            zone: &self.zone,
        };
        let decision = policy::decide(service, state.memory(service), &occasion);
        state.drop_blank_memory();
        decision
    }

    /// Turns a decision into calls, and says what was held back.
    pub(super) fn call_alerts(
        &mut self,
        now: Now,
        happening: &Happening<'_>,
        decision: Decision,
        actions: &mut Vec<Action>,
    ) {
        let id = happening.id;
        let service = self.model.service(id);
        let label = |period: usize| {
            let period = service.periods.get(period);
            period.map(|period| Arc::clone(&period.label))
        };
        let held_back = decision.held_back.into_iter();
        let suppressed: Box<[Suppression]> = held_back
            .map(|(period, why)| Suppression {
                service: id,
                period: period.and_then(label),
                kind: happening.kind,
                why,
            })
            .collect();
        actions.extend(suppressed.iter().cloned().map(Action::Suppressed));
        self.states[id.index()].suppressed = suppressed;

        let calls = self.compose(now, happening, decision.calls);
        let count = u32::try_from(calls.len()).unwrap_or(u32::MAX);
        let state = &mut self.states[id.index()];
        state.alert_count = state.alert_count.saturating_add(count);
        for call in calls {
            let line = history::line(&call);
            self.histories.alerted(line.clone());
            actions.push(Action::Send(Box::new(call)));
            actions.push(Action::History(line));
        }
    }

    /// Step 2: a `redistribute` line is told of every event, whatever is disabled, waits or
    /// was acknowledged. It is no alert: nothing counts it. Not while the scheduler is
    /// stopped, which comes first.
    pub(super) fn redistribute(
        &mut self,
        now: Now,
        happening: &Happening<'_>,
        actions: &mut Vec<Action>,
    ) {
        let Some(line) = &self.model.service(happening.id).redistribute else {
            return;
        };
        if self.stopped.is_some() {
            return;
        }
        let command = Arc::clone(line);
        if let AlertProgram::Missing(reason) = &command.program {
            actions.push(Action::Suppressed(Suppression {
                service: happening.id,
                period: None,
                kind: happening.kind,
                why: Suppressed::NoProgram(reason.clone()),
            }));
            return;
        }
        if policy::reaches_table(&command) {
            return self.would_change(happening, &command, actions);
        }
        let call = Call {
            period: None,
            command,
        };
        // Apart from the outage's alerts: those have the same numbers on both directors of a pair.
        let own = Happening {
            numbered: Numbered::Uniquely,
            ..*happening
        };
        for mut call in self.compose(now, &own, vec![call]) {
            if let Some(id) = EventId::of(&call.event) {
                call.event = id.as_kind(EventKind::Redistributed);
            }
            actions.push(Action::Send(Box::new(call)));
        }
    }

    /// Says what an `lvs.alert` line would do; where a service says the same again and again
    /// only when its status changes.
    fn would_change(
        &self,
        happening: &Happening<'_>,
        line: &AlertCommand,
        actions: &mut Vec<Action>,
    ) {
        let state = &self.states[happening.id.index()];
        let is_news = match happening.kind {
            AlertKind::Failure | AlertKind::Up | AlertKind::Trap | AlertKind::TrapTimeout => {
                state.last_status != state.status
            }
            AlertKind::Startup | AlertKind::Ack | AlertKind::Disable | AlertKind::Test => false,
        };
        if is_news {
            actions.push(Action::Note(Note::TableUntouched {
                service: happening.id,
                text: what_it_would_do(happening.kind, line),
            }));
        }
    }

    /// The calls of one event, numbered within its outage.
    pub(super) fn compose(
        &mut self,
        now: Now,
        happening: &Happening<'_>,
        calls: Vec<Call>,
    ) -> Vec<AlertCall> {
        if calls.is_empty() {
            return Vec::new();
        }
        let state = &self.states[happening.id.index()];
        let kind = happening.kind;
        let outage = match happening.numbered {
            Numbered::InOutage => state.outage.as_deref(),
            Numbered::Uniquely => None,
        };
        let is_of_outage = outage.is_some();
        let is_end = kind == AlertKind::Up;
        let said = counts::said(happening, calls.len());
        let (began, mut number) = match outage {
            Some(outage) if is_end => (outage.id, outage.ups),
            Some(outage) => (outage.id, self.calls_before(happening.id, outage, said)),
            None => {
                let unique = u32::try_from(self.last_alert).unwrap_or(u32::MAX);
                (self.numbering.life(), unique)
            }
        };
        let before = number;
        let telling = Telling {
            model: &self.model,
            disabled: &self.disabled,
            service: happening.id,
            kind,
            state,
            exit: happening.exit,
            text: happening.text,
            before: happening.before,
            is_first: happening.is_first,
            hosts: happening.hosts,
            intended: happening.intended,
            now,
        };
        let mut calls =
            call::alert_calls(&telling, calls, began, &mut number, &mut self.last_alert);
        if kind == AlertKind::Failure
            && let Some(line) = self.means_as_witness(happening.id)
        {
            add_line(&mut calls, &line);
        }
        let state = &mut self.states[happening.id.index()];
        if is_of_outage && let Some(outage) = &mut state.outage {
            if is_end {
                outage.ups = number;
            } else {
                outage.add_calls(Counted { before, said });
            }
        }
        calls
    }
}

/// Adds a line to what the alerts of one event read; one that is empty stays empty (D31).
fn add_line(calls: &mut [AlertCall], line: &str) {
    let Some(input) = calls.first().map(|call| &call.input) else {
        return;
    };
    if input.is_empty() {
        return;
    }
    let mut more = input.to_vec();
    if !more.ends_with(b"\n") {
        more.push(b'\n');
    }
    more.extend_from_slice(line.as_bytes());
    more.push(b'\n');
    let more: Arc<[u8]> = more.into();
    for call in calls {
        call.input = Arc::clone(&more);
    }
}

/// The rule of a service that holds an event back, where there is somebody to be told.
fn nobody_is_told(service: &Service, kind: AlertKind, why: Suppressed, ruling: Ruling) -> Decision {
    let mut periods = service.periods.iter();
    let has_lines = periods.any(|period| !policy::lines(period, kind).is_empty());
    let mut decision = Decision::held_back(why, ruling);
    if !has_lines {
        decision.held_back.clear();
    }
    decision
}

/// What an `lvs.alert` line would do about the table, for a person.
pub(super) fn what_it_would_do(kind: AlertKind, line: &AlertCommand) -> String {
    let words = line.shown_args().join(" ");
    let deed = match kind {
        AlertKind::Failure | AlertKind::Trap | AlertKind::TrapTimeout | AlertKind::Test => {
            "as an alert it takes its real servers out of the table"
        }
        AlertKind::Up => "as an upalert it puts its real servers back into the table",
        AlertKind::Startup | AlertKind::Ack | AlertKind::Disable => {
            "for such an event it does nothing"
        }
    };
    format!("{} {words}: {deed}; nothing was changed", line.name)
}
