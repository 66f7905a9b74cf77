//! What a person may change: disable and enable, acknowledge, stop and start, clear, test.
//!
//! Wishes arrive authorised, with their names looked up. Each is carried out or refused with
//! a reason, and everything that lasts goes to the journal. `set` is in `variable`, what
//! mon's state files say in `classic`, a real server's return in [`crate::engine::binding`].
//!
//! Nothing here changes the table but what it says of verdicts: what is disabled or stopped
//! keeps those it had (D10).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use crate::engine::event::{Action, AlertCall, AlertKind, HostVerdict, Note, Status, Target, Wish};
use crate::engine::policy::{self, Call};
use crate::engine::report::record;
use crate::engine::saved::{Classic, Record, Saved};
use crate::engine::schedule;
use crate::engine::state::{Acked, EventText, Window};
use crate::engine::tell::{self, Earlier, Happening, Numbered};
use crate::engine::{Engine, call};
use crate::model::{AlertProgram, HostName, ServiceId};
use crate::time::{Now, Wall};

#[cfg(test)]
mod tests;

/// The journal's key of `stop`.
pub(super) const STOPPED: &str = "scheduler stopped";

/// How long `test monitor` waits: what the client says right behind it, such as to disable a
/// host, counts for this run. With mon it came up to a second later.
const TEST_PAUSE: Duration = Duration::from_millis(500);

/// What comes of a wish: a sentence for the person.
type Outcome = Result<String, String>;

impl Engine {
    /// Carries a wish out, and says what came of it.
    pub(super) fn carry_out(&mut self, now: Now, wish: Wish, actions: &mut Vec<Action>) {
        let outcome = self.wished(now, &wish, actions);
        let wish = match &wish {
            // A whole state file is not repeated in the log.
            Wish::LoadState(_) => Wish::LoadState(Classic::default()),
            Wish::EnableServer(_)
            | Wish::Manual(_)
            | Wish::Enable(_)
            | Wish::Disable { .. }
            | Wish::Ack { .. }
            | Wish::Stop
            | Wish::Start
            | Wish::ClearTimers(_)
            | Wish::TestMonitor(_)
            | Wish::TestAlert { .. }
            | Wish::Set { .. }
            | Wish::SetHistoryLength(_) => wish,
        };
        let answer = Action::Answer(outcome.clone());
        actions.extend([Action::Note(Note::Wish { wish, outcome }), answer]);
    }

    fn wished(&mut self, now: Now, wish: &Wish, actions: &mut Vec<Action>) -> Outcome {
        if let Some(service) = concerned(wish)
            && service.index() >= self.states.len()
        {
            return Err("there is no such service any more".to_owned());
        }
        match wish {
            Wish::EnableServer(aim) => {
                let (outcome, more) = self.bindings.enable(now, aim);
                actions.extend(more);
                outcome
            }
            Wish::Manual(order) => {
                let (outcome, more) = self.bindings.order(now, order);
                actions.extend(more);
                outcome
            }
            Wish::Enable(target) => self.enable(now, target, actions),
            Wish::Disable { target, user } => self.disable(now, target, user, actions),
            Wish::Ack {
                service,
                user,
                comment,
            } => self.acknowledge(now, *service, user, comment, actions),
            Wish::Stop => Ok(self.stop(now, actions)),
            Wish::Start => Ok(self.go_on_again(now, actions)),
            Wish::ClearTimers(service) => Ok(self.clear_timers(now, *service, actions)),
            Wish::TestMonitor(service) => self.test_monitor(now, *service),
            Wish::TestAlert {
                service,
                period,
                kind,
                exit,
            } => self.test_alert(now, *service, *period, *kind, *exit, actions),
            Wish::Set {
                service,
                variable,
                value,
            } => {
                let outcome = self.set_variable(now, *service, variable, value, actions);
                // It may have been its `disable`.
                self.catch_up(actions);
                outcome
            }
            Wish::SetHistoryLength(length) => {
                self.histories.set_length(*length);
                Ok(format!("histories keep {} lines", self.histories.length()))
            }
            Wish::LoadState(classic) => self.load_state(now, classic.clone(), actions),
        }
    }

    /// Alerts again, or checks of hosts.
    pub(super) fn enable(
        &mut self,
        now: Now,
        target: &Target,
        actions: &mut Vec<Action>,
    ) -> Outcome {
        let said = match target {
            Target::Watch(group) => {
                if !self.has_watch(group) {
                    return Err(format!("there is no watch {group}"));
                }
                actions.push(Action::record(self.disabled.set_watch(group, false)));
                format!("watch {group} is enabled")
            }
            Target::Service(id) => {
                self.states[id.index()].is_disabled = false;
                actions.push(record(
                    self.model.service(*id),
                    &self.states[id.index()],
                    now,
                ));
                format!("service {} is enabled", self.service_name(*id))
            }
            Target::Hosts(hosts) => {
                let records = self.disabled.set_hosts(&self.model, hosts, false);
                actions.extend(records.into_iter().map(Action::record));
                format!("enabled: {}", listed(hosts))
            }
        };
        self.catch_up(actions);
        Ok(said)
    }

    /// The rules are asked before the flag is set, so that disablealerts are called at all
    /// (E-10 fixed).
    fn disable(
        &mut self,
        now: Now,
        target: &Target,
        user: &str,
        actions: &mut Vec<Action>,
    ) -> Outcome {
        match target {
            Target::Watch(group) => {
                if !self.has_watch(group) {
                    return Err(format!("there is no watch {group}"));
                }
                actions.push(Action::record(self.disabled.set_watch(group, true)));
                Ok(format!("watch {group} is disabled"))
            }
            Target::Service(id) => {
                let text = EventText::said(user);
                self.tell_of_operator(now, *id, AlertKind::Disable, &text, actions);
                self.states[id.index()].is_disabled = true;
                actions.push(record(
                    self.model.service(*id),
                    &self.states[id.index()],
                    now,
                ));
                Ok(format!("service {} is disabled", self.service_name(*id)))
            }
            Target::Hosts(hosts) => {
                let groups = &self.model.hostgroups;
                let members = groups.iter().flat_map(|group| &group.members);
                let known: BTreeSet<&HostName> = members.map(|member| &member.host).collect();
                let unknown: Vec<HostName> = hosts
                    .iter()
                    .filter(|host| !known.contains(host))
                    .cloned()
                    .collect();
                if !unknown.is_empty() {
                    return Err(format!("no hostgroup has {}", listed(&unknown)));
                }
                let records = self.disabled.set_hosts(&self.model, hosts, true);
                actions.extend(records.into_iter().map(Action::record));
                Ok(format!("disabled: {}", listed(hosts)))
            }
        }
    }

    /// What is good about a service reaches the table, now or once it may (D10).
    pub(super) fn good_for_table(
        &mut self,
        id: ServiceId,
        verdicts: &BTreeMap<HostName, HostVerdict>,
        actions: &mut Vec<Action>,
    ) {
        if !self.bindings.decides(id) {
            return;
        }
        let is_frozen = self.mode(id).is_frozen();
        let state = &mut self.states[id.index()];
        if is_frozen {
            state.unheard = Some(verdicts.keys().cloned().collect());
        } else {
            state.unheard = None;
            actions.extend(self.bindings.succeeded(id, verdicts));
        }
    }

    /// Services whose verdicts count again: where the latest event was good, that counts at
    /// once, for the hosts that it was about and that are still checked. A failure waits for
    /// the next report, which asks the rules.
    pub(super) fn catch_up(&mut self, actions: &mut Vec<Action>) {
        let model = Arc::clone(&self.model);
        for (id, _) in model.services() {
            if self.states[id.index()].unheard.is_none() || self.mode(id).is_frozen() {
                continue;
            }
            let state = &mut self.states[id.index()];
            let unheard = state.unheard.take().unwrap_or_default();
            if state.status != Status::Ok {
                continue;
            }
            let hosts = call::checked_hosts(&model, &self.disabled, id).into_iter();
            let good = hosts.filter(|host| unheard.contains(host));
            let verdicts = good.map(|host| (host, HostVerdict::Up)).collect();
            actions.extend(self.bindings.succeeded(id, &verdicts));
        }
    }

    fn acknowledge(
        &mut self,
        now: Now,
        id: ServiceId,
        user: &str,
        comment: &str,
        actions: &mut Vec<Action>,
    ) -> Outcome {
        let name = self.service_name(id);
        let time = self.time_of_ack(now, id);
        let state = &mut self.states[id.index()];
        if matches!(state.status, Status::Ok | Status::Untested) {
            return Err(format!("{name} is in a non-failure state"));
        }
        let comment = format!("{user}: {comment}");
        let text = EventText::said(&comment);
        state.ack = Some(Box::new(Acked {
            time,
            comment: comment.into(),
        }));
        self.tell_of_operator(now, id, AlertKind::Ack, &text, actions);
        actions.push(record(
            self.model.service(id),
            &self.states[id.index()],
            now,
        ));
        Ok(format!("{name} is acknowledged"))
    }

    /// Ackalerts and disablealerts: `text` is what they read.
    pub(super) fn tell_of_operator(
        &mut self,
        now: Now,
        id: ServiceId,
        kind: AlertKind,
        text: &EventText,
        actions: &mut Vec<Action>,
    ) {
        let model = Arc::clone(&self.model);
        let state = &self.states[id.index()];
        let before = state.text.clone();
        let outage = state.outage.as_deref();
        let hosts = outage
            .map(|outage| outage.hosts.clone())
            .unwrap_or_default();
        let happening = Happening {
            id,
            kind,
            exit: None,
            text,
            before: before.as_deref(),
            is_first: state.status == Status::Untested,
            hosts: &hosts,
            numbered: Numbered::InOutage,
            intended: None,
        };
        self.redistribute(now, &happening, actions);
        let decision = self.decide(now, model.service(id), &happening, Earlier::default());
        self.call_alerts(now, &happening, decision, actions);
    }

    /// `stop`: timers stand still as inside the global `exclude_period`, nobody is told of
    /// anything. It lasts until `start`, across a restart too.
    fn stop(&mut self, now: Now, actions: &mut Vec<Action>) -> String {
        if self.stopped.is_none() {
            self.stopped = Some(now.wall);
            actions.extend(self.record_stop());
            self.look_at_exclusion(now);
        }
        "the scheduler is stopped".to_owned()
    }

    fn go_on_again(&mut self, now: Now, actions: &mut Vec<Action>) -> String {
        if self.stopped.take().is_some() {
            actions.push(Action::record(Record {
                key: STOPPED.to_owned(),
                value: serde_json::Value::Null,
            }));
            self.look_at_exclusion(now);
            self.catch_up(actions);
        }
        "the scheduler runs".to_owned()
    }

    /// That the scheduler is stopped, for the journal.
    pub(super) fn record_stop(&self) -> Option<Action> {
        let since = self.stopped?;
        // A number has no way to fail here.
        let value = serde_json::to_value(since).unwrap_or_default();
        let key = STOPPED.to_owned();
        Some(Action::record(Record { key, value }))
    }

    /// Everything that messages count begins anew, the timers of traps too, and the next run
    /// comes after one interval.
    fn clear_timers(&mut self, now: Now, id: ServiceId, actions: &mut Vec<Action>) -> String {
        let model = Arc::clone(&self.model);
        let service = model.service(id);
        if let Some(interval) = self.interval(id)
            && !self.timetable.is_running(id)
        {
            let due = self.timetable.clock(now.mono).after(interval);
            self.timetable.plan(id, due);
        }
        self.await_trap(now, id);
        self.begin_trap_end_anew(now, id);
        let state = &mut self.states[id.index()];
        if let Some(outage) = &mut state.outage {
            outage.forgiven = outage.consec_failures;
        }
        let memories = state.periods.iter_mut().flatten();
        for (period, memory) in service.periods.iter().zip(memories) {
            if period.alertevery.is_some() {
                memory.last_alert = None;
            }
            memory.messages = Window::default();
        }
        state.drop_blank_memory();
        actions.push(record(service, state, now));
        format!("timers of {} are cleared", self.service_name(id))
    }

    /// The service is due in a moment; what holds runs back holds this one too.
    fn test_monitor(&mut self, now: Now, id: ServiceId) -> Outcome {
        let name = self.service_name(id);
        if !schedule::is_polled(self.model.service(id)) {
            return Err(format!("{name} is never polled"));
        }
        if self.timetable.is_running(id) {
            return Ok(format!("{name} is being checked already"));
        }
        if !self.timetable.is_waiting(id) {
            let soon = self.timetable.clock(now.mono).after(TEST_PAUSE);
            let due = self
                .timetable
                .next_run(id)
                .map_or(soon, |due| due.min(soon));
            self.timetable.plan(id, due);
        }
        Ok(format!("{name} is checked as soon as possible"))
    }

    /// Calls the lines of one list of one period, whatever `exit=` says (P-8 fixed) and
    /// whatever holds alerts back. Nothing counts it, no history has it.
    fn test_alert(
        &mut self,
        now: Now,
        id: ServiceId,
        period: usize,
        kind: AlertKind,
        exit: i32,
        actions: &mut Vec<Action>,
    ) -> Outcome {
        let model = Arc::clone(&self.model);
        let Some(rules) = model.service(id).periods.get(period) else {
            return Err("there is no such period".to_owned());
        };
        let text = EventText::said("test\ntest detail\n");
        let state = &self.states[id.index()];
        let before = state.text.clone();
        let happening = Happening {
            id,
            kind,
            exit: Some(exit),
            text: &text,
            before: before.as_deref(),
            is_first: state.status == Status::Untested,
            hosts: &[],
            numbered: Numbered::Uniquely,
            intended: None,
        };
        let mut said = Vec::new();
        let mut calls = Vec::new();
        for line in policy::lines(rules, kind) {
            match &line.program {
                AlertProgram::Missing(reason) => said.push(format!("{}: {reason}", line.name)),
                AlertProgram::Native(_) if policy::reaches_table(line) => {
                    let text = tell::what_it_would_do(kind, line);
                    said.push(text.clone());
                    actions.push(Action::Note(Note::TableUntouched { service: id, text }));
                }
                AlertProgram::Native(_) | AlertProgram::Executable(_) => {
                    said.push(format!("{} is called", line.name));
                    calls.push(Call {
                        period: Some(period),
                        command: Arc::clone(line),
                    });
                }
            }
        }
        let calls: Vec<AlertCall> = self.compose(now, &happening, calls);
        actions.extend(calls.into_iter().map(|call| Action::Send(Box::new(call))));
        if said.is_empty() {
            said.push("the period has no such line".to_owned());
        }
        Ok(said.join("; "))
    }

    /// Whether some service stands in this watch.
    pub(super) fn has_watch(&self, group: &str) -> bool {
        let mut services = self.model.services.iter();
        services.any(|service| &*service.group == group)
    }

    pub(super) fn service_name(&self, id: ServiceId) -> String {
        let service = self.model.service(id);
        format!("{}/{}", service.group, service.name)
    }
}

/// The service that a wish is about; none where it is about something else.
const fn concerned(wish: &Wish) -> Option<ServiceId> {
    match wish {
        Wish::Enable(Target::Service(service))
        | Wish::Disable {
            target: Target::Service(service),
            ..
        }
        | Wish::Ack { service, .. }
        | Wish::ClearTimers(service)
        | Wish::TestMonitor(service)
        | Wish::TestAlert { service, .. }
        | Wish::Set { service, .. } => Some(*service),
        Wish::EnableServer(_)
        | Wish::Manual(_)
        | Wish::Enable(Target::Watch(_) | Target::Hosts(_))
        | Wish::Disable {
            target: Target::Watch(_) | Target::Hosts(_),
            ..
        }
        | Wish::Stop
        | Wish::Start
        | Wish::SetHistoryLength(_)
        | Wish::LoadState(_) => None,
    }
}

/// Since when the scheduler is stopped, as the journal has it. A moment that lies in the
/// future, since the clock was set back, counts as now.
pub(super) fn restore_stop(saved: &Saved, now: Now) -> Option<Wall> {
    let value = saved.records.get(STOPPED)?;
    let since: Wall = serde_json::from_value(value.clone()).ok()?;
    Some(since.min(now.wall))
}

fn listed(hosts: &[HostName]) -> String {
    let names: Vec<&str> = hosts.iter().map(HostName::as_str).collect();
    names.join(", ")
}
