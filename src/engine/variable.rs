//! The variables of a service by mon's names: what `get` shows and `set` changes.
//!
//! mon's `set` writes any key of any service, unchecked. Here a value has a type, some
//! variables are only shown, and a name that means nothing to us is kept aside, bounded (P-10
//! fixed, D31). What changes the configuration lasts until the next reset, what changes the
//! state is in the journal.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use crate::engine::Engine;
use crate::engine::event::{Action, Status};
use crate::engine::report::record;
use crate::engine::schedule::{self, Alarm};
use crate::engine::state::{Acked, Dated, EventText, Moment, Outage, ServiceState};
use crate::model::{DependKind, HostName, Service, ServiceId};
use crate::time::{Now, Wall, timeval};

/// Variables kept aside for one service: people leave a note or two there.
const SCRATCH_MAX: usize = 32;

/// Bytes of a name and a value kept aside.
const SCRATCH_BYTES_MAX: usize = 4_096;

/// Variables of mon that are shown at most: changing them would run a program of somebody's
/// choice, or break what the engine relies on.
const SHOWN_ONLY: &[&str] = &[
    "_depend_status",
    "_failure_output",
    "_first_success",
    "_intended",
    "_last_detail",
    "_last_op_status",
    "_last_output",
    "_last_summary",
    "_last_trap",
    "_last_traphost",
    "_last_uptrap",
    "_monitor_duration",
    "_monitor_running",
    "_next_check",
    "_old_interval",
    "_start_of_monitor",
    "_trap_duration_timer",
    "_trap_timer",
    "_upalert",
    "_upalertoutput",
    "alertdepend",
    "dep_behavior",
    "depend",
    "exclude_period",
    "hostdepend",
    "monitor",
    "monitordepend",
    "redistribute",
];

impl Engine {
    /// A variable of a service, as `get GROUP SERVICE VARIABLE` shows it (docs/mon.md,
    /// "Variables"); none where it was never set, which is shown as an empty text.
    #[must_use]
    pub fn variable(&self, id: ServiceId, name: &str) -> Option<String> {
        let state = self.states.get(id.index())?;
        let service = self.model.service(id);
        if let Some(value) = state.scratch.get(name) {
            return Some(value.clone());
        }
        self.of_configuration(id, service, name)
            .or_else(|| self.of_schedule(id, name))
            .or_else(|| of_state(state, name, self.last))
    }

    fn of_configuration(&self, id: ServiceId, service: &Service, name: &str) -> Option<String> {
        let flag = |is_set: bool| is_set.then(|| "1".to_owned());
        let written = |kind| Some(service.dependency(kind)?.written.to_string());
        match name {
            "interval" => self.interval(id).or(service.interval).map(span),
            "failure_interval" => service.failure_interval.map(span),
            "randskew" => service.randskew.map(span),
            "traptimeout" => service.traptimeout.map(span),
            "trapduration" => service.trapduration.map(span),
            "dep_memory" => service.dep_memory.map(span),
            "description" => service.description.as_deref().map(str::to_owned),
            "monitor" => service.monitor.as_deref().map(|it| it.written.to_string()),
            "exclude_hosts" if !service.exclude_hosts.is_empty() => {
                let hosts = service.exclude_hosts.iter();
                let hosts: Vec<&str> = hosts.map(HostName::as_str).collect();
                Some(hosts.join(" "))
            }
            "depend" => written(DependKind::Depend),
            "alertdepend" => written(DependKind::Alert),
            "monitordepend" => written(DependKind::Monitor),
            "hostdepend" => written(DependKind::Host),
            "redistribute" => service
                .redistribute
                .as_deref()
                .map(|line| line.name.to_string()),
            "unack_summary" => flag(service.unack_summary),
            "allow_empty_group" => flag(service.allow_empty_group),
            "_upalert" => {
                let mut periods = service.periods.iter();
                flag(periods.any(|period| !period.upalerts.is_empty()))
            }
            "_old_interval" => {
                let is = self.interval(id)?;
                service.interval.filter(|was| *was != is).map(span)
            }
            _ => None,
        }
    }

    fn of_schedule(&self, id: ServiceId, name: &str) -> Option<String> {
        let next = || {
            let next = self.timetable.next_run(id)?;
            Some(next.since(self.timetable.clock(self.last.mono)))
        };
        match name {
            "_timer" => Some(next().unwrap_or_default().as_secs().to_string()),
            "_next_check" => {
                let next = self.last.wall.after(next()?);
                Some(next.seconds().to_string())
            }
            "_trap_timer" => Some(self.trap_timer(id)?.as_secs().to_string()),
            "_trap_duration_timer" => {
                let at = self.timetable.alarm(Alarm::TrapEnd, id)?;
                let left = at.since(self.timetable.clock(self.last.mono));
                Some(left.as_secs().to_string())
            }
            "_monitor_running" => Some(u8::from(self.timetable.is_running(id)).to_string()),
            _ => None,
        }
    }

    /// `set`: changes a variable.
    pub(super) fn set_variable(
        &mut self,
        now: Now,
        id: ServiceId,
        name: &str,
        value: &str,
        actions: &mut Vec<Action>,
    ) -> Result<String, String> {
        if SHOWN_ONLY.contains(&name) {
            return Err(format!("{name} cannot be set"));
        }
        if !self.set_schedule(now, id, name, value)? && !self.set_configuration(id, name, value)? {
            let state = &mut self.states[id.index()];
            let number = self.numbering.next(state.last_outage, now);
            if !set_state(now, number, state, name, value)? {
                set_scratch(state, name, value)?;
            }
            let state = &self.states[id.index()];
            actions.push(record(self.model.service(id), state, now));
        }
        if name == "traptimeout" {
            self.await_trap(now, id);
        }
        Ok(format!("{name} of {} is set", self.service_name(id)))
    }

    fn set_schedule(
        &mut self,
        now: Now,
        id: ServiceId,
        name: &str,
        value: &str,
    ) -> Result<bool, String> {
        if name != "_timer" {
            return Ok(false);
        }
        let wait = a_span(value)?;
        let is_polled = schedule::is_polled(self.model.service(id));
        if !is_polled || self.timetable.is_running(id) {
            return Err("no run of it is planned".to_owned());
        }
        let due = self.timetable.clock(now.mono).after(wait);
        self.timetable.plan(id, due);
        Ok(true)
    }

    fn set_configuration(
        &mut self,
        id: ServiceId,
        name: &str,
        value: &str,
    ) -> Result<bool, String> {
        let mut changed = self.model.service(id).clone();
        match name {
            "interval" => match changed.interval {
                Some(_) => changed.interval = Some(a_lasting_span(value)?),
                None => return Err("it is never polled".to_owned()),
            },
            "failure_interval" => changed.failure_interval = Some(a_lasting_span(value)?),
            "randskew" => changed.randskew = Some(a_lasting_span(value)?),
            "traptimeout" => changed.traptimeout = Some(a_lasting_span(value)?),
            "trapduration" => changed.trapduration = Some(a_lasting_span(value)?),
            "dep_memory" => changed.dep_memory = Some(a_lasting_span(value)?),
            "description" => changed.description = Some(value.into()),
            "exclude_hosts" => {
                let words = value.split_whitespace();
                changed.exclude_hosts = words.map(HostName::new).collect();
            }
            "unack_summary" => changed.unack_summary = a_flag(value)?,
            "allow_empty_group" => changed.allow_empty_group = a_flag(value)?,
            _ => return Ok(false),
        }
        if let Some(service) = Arc::make_mut(&mut self.model).services.get_mut(id.index()) {
            *service = changed;
        }
        self.bindings.service_was_set(&self.model, id);
        Ok(true)
    }
}

fn of_state(state: &ServiceState, name: &str, now: Now) -> Option<String> {
    let outage = state.outage.as_deref();
    let traps = state.traps.as_deref();
    let text = state.text.as_deref();
    let time = |moment: Option<Wall>| Some(moment.map_or(0, Wall::seconds).to_string());
    match name {
        "_op_status" | "opstatus" => Some(state.status.number().to_string()),
        "_last_op_status" => Some(state.last_status.number().to_string()),
        "_exitval" => Some(
            state
                .exit
                .map_or("undef".to_owned(), |exit| exit.to_string()),
        ),
        "_failure_count" => Some(state.failure_count.to_string()),
        "_alert_count" => Some(state.alert_count.to_string()),
        "_consec_failures" => Some(outage.map_or(0, Outage::counted_failures).to_string()),
        "_first_failure" if state.status == Status::Untested => None,
        "_first_failure" => time(outage.map(|outage| outage.began.wall)),
        "_last_failure" => time(outage.map(|outage| outage.last_failure)),
        "_last_success" => time(state.last_success),
        "_last_check" => state.last_check.map(|at| at.seconds().to_string()),
        "_last_summary" => state.summary().map(Cow::into_owned),
        "_last_detail" => text.map(|text| text.detail().into_owned()),
        "_last_output" => text.map(EventText::as_text),
        "_failure_output" => outage.and(text).map(EventText::as_text),
        "_ack" => time(state.ack.as_deref().map(|ack| ack.shown(now.wall))),
        "_ack_comment" => Some(
            state
                .ack
                .as_deref()
                .map_or_else(String::new, |ack| ack.comment.to_string()),
        ),
        "_depend_status" => state.depend_status.map(|holds| u8::from(holds).to_string()),
        "_monitor_duration" => Some(
            state
                .monitor_duration
                .map_or_else(|| "-1".to_owned(), |took| took.as_secs().to_string()),
        ),
        "_last_trap" => time(traps.and_then(|traps| traps.last)),
        "_last_uptrap" => traps
            .and_then(|traps| traps.last_up)
            .map(|at| at.seconds().to_string()),
        "disable" => state.is_disabled.then(|| "1".to_owned()),
        _ => None,
    }
}

/// Sets a variable of the state; false where it has none of that name. `number` is that of the
/// outage, where one begins.
fn set_state(
    now: Now,
    number: i64,
    state: &mut ServiceState,
    name: &str,
    value: &str,
) -> Result<bool, String> {
    match name {
        "opstatus" | "_op_status" => {
            let status = Status::of(value).ok_or("undefined opstatus")?;
            state.last_status = std::mem::replace(&mut state.status, status);
            if status != Status::Fail {
                state.outage = None;
                state.ack = None;
            } else if state.outage.is_none() {
                state.begin(Outage::new(now, number));
            }
        }
        "_exitval" => state.exit = Some(a_number(value)?),
        "_failure_count" => state.failure_count = a_number(value)?,
        "_alert_count" => state.alert_count = a_number(value)?,
        "_consec_failures" => {
            let outage = state.outage.as_mut().ok_or("it is not failing")?;
            outage.consec_failures = a_number(value)?;
            outage.forgiven = 0;
        }
        "_first_failure" | "_last_failure" => {
            let at = a_time(value)?.min(now.wall);
            let outage = state.outage.as_mut().ok_or("it is not failing")?;
            if name == "_last_failure" {
                outage.last_failure = at;
                outage.latest = Moment::restored(at, now);
            } else {
                outage.began = Dated::restored(at, now);
            }
        }
        "_last_success" => state.last_success = Some(a_time(value)?.min(now.wall)),
        "_last_check" => state.last_check = Some(a_time(value)?.min(now.wall)),
        "_ack" => set_ack(now, state, value)?,
        "_ack_comment" => {
            let ack = state.ack.as_mut().ok_or("it is not acknowledged")?;
            ack.comment = value.into();
        }
        "disable" => state.is_disabled = a_flag(value)?,
        _ => return Ok(false),
    }
    Ok(true)
}

/// 0 ends an acknowledgement; another number is the time of one.
fn set_ack(now: Now, state: &mut ServiceState, value: &str) -> Result<(), String> {
    let time = a_time(value)?;
    if time == Wall::default() {
        state.ack = None;
        return Ok(());
    }
    if matches!(state.status, Status::Ok | Status::Untested) {
        return Err("it is not failing".to_owned());
    }
    let comment = state.ack.take().map(|ack| ack.comment);
    state.ack = Some(Box::new(Acked {
        time: time.min(now.wall),
        comment: comment.unwrap_or_else(|| "".into()),
    }));
    Ok(())
}

fn set_scratch(state: &mut ServiceState, name: &str, value: &str) -> Result<(), String> {
    if name.len().saturating_add(value.len()) > SCRATCH_BYTES_MAX {
        return Err(format!("{name} is too long to be kept"));
    }
    if state.scratch.len() >= SCRATCH_MAX && !state.scratch.contains_key(name) {
        return Err(format!(
            "there are {SCRATCH_MAX} variables of no meaning already"
        ));
    }
    state.scratch.insert(name.to_owned(), value.to_owned());
    Ok(())
}

/// Seconds, with a fraction where there is one.
fn span(span: Duration) -> String {
    span.as_secs_f64().to_string()
}

/// A time value of mon.cf, or bare seconds as `get` shows them.
fn a_span(value: &str) -> Result<Duration, String> {
    timeval(value)
        .or_else(|_| timeval(&format!("{value}s")))
        .map_err(|_| format!("\"{value}\" is not a time value"))
}

fn a_lasting_span(value: &str) -> Result<Duration, String> {
    let span = a_span(value)?;
    if span.is_zero() {
        return Err("it must be longer than nothing".to_owned());
    }
    Ok(span)
}

fn a_number<T: std::str::FromStr>(value: &str) -> Result<T, String> {
    value
        .parse()
        .map_err(|_| format!("\"{value}\" is not a number"))
}

fn a_time(value: &str) -> Result<Wall, String> {
    Ok(Wall::from_seconds(a_number(value)?))
}

fn a_flag(value: &str) -> Result<bool, String> {
    match value {
        "1" | "yes" | "on" | "true" => Ok(true),
        "0" | "no" | "off" | "false" | "" => Ok(false),
        _ => Err(format!("\"{value}\" is neither 1 nor 0")),
    }
}
