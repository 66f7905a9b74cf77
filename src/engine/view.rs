//! What readers see of a service: listings, the control socket, metrics.
//!
//! A view borrows from the engine and is never stored. Nothing here changes state.

use std::borrow::Cow;

use crate::engine::event::{HostVerdict, Status, Suppression};
use crate::engine::schedule::Timetable;
use crate::engine::state::{EventText, NO_SUMMARY, ServiceState};
use crate::model::{HostName, Member, Model, Service, ServiceId};
use crate::time::{Mono, Wall};

/// One service as it is at this moment.
#[derive(Clone, Debug, PartialEq)]
pub struct ServiceView<'a> {
    /// Its place in the Model.
    pub id: ServiceId,
    /// The watch it stands in.
    pub group: &'a str,
    /// Its own name.
    pub name: &'a str,
    /// Good, failing or untested.
    pub status: Status,
    /// Exit value of the latest run; none before the first.
    pub exit: Option<i32>,
    /// First line of the latest output; `(NO SUMMARY)` for a failure without one.
    pub summary: Cow<'a, str>,
    /// Rest of the latest output.
    pub detail: Cow<'a, str>,
    /// Start of the latest run.
    pub last_check: Option<Wall>,
    /// End of the latest good run.
    pub last_success: Option<Wall>,
    /// End of the latest failing run of the present outage; none while it is good.
    pub last_failure: Option<Wall>,
    /// Start of the present outage; none while it is good.
    pub first_failure: Option<Wall>,
    /// Failures in a row.
    pub consec_failures: u32,
    /// Every member of its hostgroup, in file order.
    pub hosts: Vec<HostView<'a>>,
    /// When the next run is due, in the past while it waits for a place; none while it runs
    /// and for a service that is never polled.
    pub next_run: Option<Mono>,
    /// Whether a run is going on.
    pub running: bool,
    /// Alerts sent in the present outage, without those of periods with `alerts_dont_count`.
    pub alerts_sent: u32,
    /// What the latest event would have alerted but for a rule, in file order.
    pub suppressed: &'a [Suppression],
}

/// One host as the latest report of a service has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HostView<'a> {
    /// The host.
    pub host: &'a HostName,
    /// What the report says of it; none where it was not checked.
    pub verdict: Option<HostVerdict>,
    /// One line for a person; empty where there is nothing to say.
    pub text: &'a str,
}

/// The view of one service.
pub(crate) fn service<'a>(
    model: &'a Model,
    id: ServiceId,
    state: &'a ServiceState,
    timetable: &Timetable,
) -> ServiceView<'a> {
    let service = model.service(id);
    let outage = state.outage.as_deref();
    let text = state.text.as_deref();
    let memory = state.periods.as_deref().unwrap_or_default();
    let members = model.hostgroup(id).members.iter();
    ServiceView {
        id,
        group: &service.group,
        name: &service.name,
        status: state.status,
        exit: state.exit,
        summary: match (text, state.status) {
            (Some(text), status) => text.summary(status),
            (None, Status::Fail) => Cow::Borrowed(NO_SUMMARY),
            (
                None,
                Status::Ok
                | Status::Untested
                | Status::Coldstart
                | Status::Warmstart
                | Status::Linkdown
                | Status::Unknown
                | Status::Timeout
                | Status::Depend
                | Status::Warn,
            ) => Cow::Borrowed(""),
        },
        detail: text.map(EventText::detail).unwrap_or_default(),
        last_check: state.last_check,
        last_success: state.last_success,
        last_failure: outage.map(|outage| outage.last_failure),
        first_failure: outage.map(|outage| outage.first_failure),
        consec_failures: outage.map_or(0, |outage| outage.consec_failures),
        hosts: members.map(|member| host(service, member, state)).collect(),
        next_run: timetable.next_run(id),
        running: timetable.is_running(id),
        alerts_sent: service
            .periods
            .iter()
            .zip(memory)
            .filter(|(period, _)| !period.alerts_dont_count)
            .map(|(_, memory)| memory.alert_sent)
            .sum(),
        suppressed: &state.suppressed,
    }
}

fn host<'a>(service: &Service, member: &'a Member, state: &'a ServiceState) -> HostView<'a> {
    let is_checked = !member.starts_disabled && !service.exclude_hosts.contains(&member.host);
    let known = state
        .outage
        .as_deref()
        .and_then(|outage| outage.hosts.iter().find(|known| known.host == member.host));
    HostView {
        host: &member.host,
        verdict: match state.status {
            Status::Ok => is_checked.then_some(HostVerdict::Up),
            Status::Fail => known.map(|known| known.verdict),
            Status::Untested
            | Status::Coldstart
            | Status::Warmstart
            | Status::Linkdown
            | Status::Unknown
            | Status::Timeout
            | Status::Depend
            | Status::Warn => None,
        },
        text: known.map_or("", |known| &known.text),
    }
}
