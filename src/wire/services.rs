//! What is known of the services, row by row? Pure.

use crate::engine::Engine;
use crate::engine::event::{HostVerdict, Reason, Status};
use crate::engine::view::{HostView, ServiceView};
use crate::time::Wall;
use crate::wire::{
    HostRow, SERVICES_PER_ANSWER, ServiceRow, ServiceStatus, ServicesAnswer, Verdict,
};

/// Some services of an engine, from an index of file order on.
#[must_use]
pub fn services(engine: &Engine, from: usize) -> ServicesAnswer {
    let mut rest = engine.services().skip(from);
    let services: Vec<ServiceRow> = rest
        .by_ref()
        .take(SERVICES_PER_ANSWER)
        .map(|view| service(&view))
        .collect();
    let next = from.saturating_add(services.len());
    ServicesAnswer {
        next: rest.next().map(|_| next),
        services,
    }
}

pub(super) fn service(view: &ServiceView<'_>) -> ServiceRow {
    ServiceRow {
        group: view.group.to_owned(),
        service: view.name.to_owned(),
        status: status(view.status),
        summary: view.summary.to_string(),
        checked: view.is_checked,
        last_check: view.last_check.map(Wall::seconds),
        last_success: view.last_success.map(Wall::seconds),
        last_failure: view.last_failure.map(Wall::seconds),
        first_failure: view.first_failure.map(Wall::seconds),
        failures: view.consec_failures.into(),
        alerts_sent: view.alerts_sent.into(),
        running: view.running,
        hosts: view.hosts.iter().map(host).collect(),
    }
}

pub(super) const fn status(status: Status) -> ServiceStatus {
    match status {
        Status::Fail => ServiceStatus::Fail,
        Status::Ok => ServiceStatus::Ok,
        Status::Coldstart => ServiceStatus::Coldstart,
        Status::Warmstart => ServiceStatus::Warmstart,
        Status::Linkdown => ServiceStatus::Linkdown,
        Status::Unknown => ServiceStatus::Unknown,
        Status::Timeout => ServiceStatus::Timeout,
        Status::Untested => ServiceStatus::Untested,
        Status::Depend => ServiceStatus::Dependency,
        Status::Warn => ServiceStatus::Warn,
    }
}

/// The verdict on a host, and why; none for one that is up.
pub(super) const fn verdict(verdict: Option<HostVerdict>) -> (Verdict, Option<Reason>) {
    match verdict {
        Some(HostVerdict::Up) => (Verdict::Up, None),
        Some(HostVerdict::Down(reason)) => (Verdict::Down, Some(reason)),
        Some(HostVerdict::Unknown(reason)) => (Verdict::Unknown, Some(reason)),
        None => (Verdict::Unknown, None),
    }
}

fn host(view: &HostView<'_>) -> HostRow {
    let (verdict, reason) = verdict(view.verdict);
    HostRow {
        host: view.host.to_string(),
        verdict,
        reason,
        text: view.text.to_owned(),
    }
}
