//! Which line stands for a service in `list opstatus` and its relatives?
//!
//! `key=value` with one blank between, in mon's order; clients read by key, so what is new
//! stands at the end (docs/mon.md, "Status line").

use std::fmt::{Display, Write as _};
use std::time::Duration;

use crate::engine::schedule;
use crate::engine::view::ServiceView;
use crate::model::{DependKind, Service};
use crate::protocol::escape;
use crate::time::{Now, Wall};

/// Appends the line of a service and its line end.
pub(super) fn append(out: &mut String, service: &Service, view: &ServiceView<'_>, now: Now) {
    field(out, "group", view.group);
    field(out, "service", view.name);
    number(out, "opstatus", view.status.number());
    number(out, "last_opstatus", view.last_status.number());
    match view.exit {
        Some(exit) => number(out, "exitval", exit),
        None => number(out, "exitval", "undef"),
    }
    field(out, "timer", &timer(view, now));
    moment(out, "last_success", view.last_success);
    moment(out, "last_trap", view.last_trap);
    // Always empty in mon (E-1); who sent it is the last field.
    field(out, "last_traphost", "");
    field(out, "last_check", &or_empty(view.last_check));
    moment(out, "ack", view.ack.map(|ack| ack.time));
    let comment = view.ack.map_or("", |ack| ack.comment);
    field(out, "ackcomment", comment);
    number(out, "alerts_sent", view.alerts_sent);
    field(out, "depstatus", depend_status(view));
    for (key, kind) in [
        ("depend", DependKind::Depend),
        ("hostdepend", DependKind::Host),
        ("monitordepend", DependKind::Monitor),
        ("alertdepend", DependKind::Alert),
    ] {
        field(out, key, expression(service, kind).unwrap_or_default());
    }
    let monitor = service.monitor.as_deref();
    field(out, "monitor", monitor.map_or("", |it| &*it.written));
    field(out, "last_summary", &view.summary);
    field(out, "last_detail", &view.detail);
    append_rest(out, service, view, now);
    // Every field ends with a blank.
    out.pop();
    out.push('\n');
}

/// The fields that stand there only where there is something to say.
fn append_rest(out: &mut String, service: &Service, view: &ServiceView<'_>, now: Now) {
    if let Some(time) = view.last_failure {
        number(out, "last_failure", time.seconds());
    }
    if let Some(interval) = schedule::interval_in_force(service, view.status) {
        number(out, "interval", seconds(interval));
        number(out, "monitor_duration", duration(view));
        number(out, "monitor_running", u8::from(view.running));
    }
    if let Some(text) = &service.exclude_period_text {
        field(out, "exclude_period", text);
    }
    if !service.exclude_hosts.is_empty() {
        out.push_str("exclude_hosts=");
        let hosts = service.exclude_hosts.iter();
        let hosts: Vec<&str> = hosts.map(crate::model::HostName::as_str).collect();
        escape::plain(out, &hosts.join(" "));
        out.push(' ');
    }
    if let Some(skew) = service.randskew.filter(|skew| !skew.is_zero()) {
        number(out, "randskew", seconds(skew));
    }
    if let Some(time) = view.last_alert {
        number(out, "last_alert", time.seconds());
    }
    if let Some(first) = view.first_failure {
        number(out, "first_failure", first.seconds());
        let lasts = now.wall.since(first).as_secs();
        number(out, "failure_duration", lasts);
    }
    if let Some(address) = view.last_trap_from {
        number(out, "last_trapaddr", address);
    }
}

/// `key=value` and a blank.
fn field(out: &mut String, key: &str, value: &str) {
    out.push_str(key);
    out.push('=');
    escape::field(out, value);
    out.push(' ');
}

/// The same for what needs no escape.
fn number(out: &mut String, key: &str, value: impl Display) {
    // Writing to a string cannot fail.
    let _ = write!(out, "{key}={value} ");
}

/// A time, or 0.
fn moment(out: &mut String, key: &str, time: Option<Wall>) {
    number(out, key, time.map_or(0, Wall::seconds));
}

/// Seconds of the Unix epoch, or nothing.
fn or_empty(time: Option<Wall>) -> String {
    time.map(|time| time.seconds().to_string())
        .unwrap_or_default()
}

/// Seconds to the next run; 0 while it runs or waits for a place, and where there is none.
fn timer(view: &ServiceView<'_>, now: Now) -> String {
    let left = view.next_run.map(|at| at.since(now.mono));
    // A second that has begun counts whole, as in mon's countdown.
    let left = left.unwrap_or_default().as_micros().div_ceil(1_000_000);
    left.to_string()
}

/// Result of the latest look at a dependency.
const fn depend_status(view: &ServiceView<'_>) -> &'static str {
    match view.depend_status {
        Some(true) => "1",
        Some(false) => "0",
        None => "",
    }
}

/// Seconds of the latest run, -1 before the first.
fn duration(view: &ServiceView<'_>) -> String {
    match view.monitor_duration {
        Some(took) => took.as_secs().to_string(),
        None => "-1".to_owned(),
    }
}

/// A span as mon has it: whole seconds, or a decimal fraction.
fn seconds(span: Duration) -> String {
    match span.subsec_micros() {
        0 => span.as_secs().to_string(),
        _ => span.as_secs_f64().to_string(),
    }
}

/// The expression of that keyword, with the service's own watch in place of `SELF`.
pub(super) fn expression(service: &Service, kind: DependKind) -> Option<&str> {
    service.dependency(kind).map(|it| &*it.written)
}
