//! Why is a real server in or out, in the words of one row?

use crate::engine::Engine;
use crate::engine::desired::{Given, GivenBy, RealServerView, ServerRole, Withdrawal, ZeroBy};
use crate::engine::manual::ManualView;
use crate::lvs::{ServerWish, VirtualServiceKey, Weight};
use crate::model::{Ends, Model, ServiceId};
use crate::wire::server::{self as wire_server, DrainRow, NAME_HOSTS};
use crate::wire::table::{Found, name};

/// Who keeps it out and why; else who has not spoken yet; else what is to be mended.
pub(super) fn why(engine: &Engine, view: &RealServerView, found: Found) -> String {
    let model = engine.model();
    let mut parts = Vec::new();
    let out = |service: &Withdrawal| {
        let name = name(model, service.service);
        let runs = model.services.get(service.service.index());
        let runs = runs.is_none_or(|it| it.monitor.is_some() && it.interval.is_some());
        let kept = if runs { "" } else { " (it never runs)" };
        match service.ends {
            Ends::WithSuccess => format!("{name} says {}{kept}", service.reason),
            Ends::ByOperator => {
                format!("{name} says {}{kept}, until lvsmon enable", service.reason)
            }
        }
    };
    parts.extend(view.withdrawals.iter().map(out));
    let entry = (view.virtual_service, view.wish);
    parts.extend(view.manual.as_ref().map(|it| wish(it, entry)));
    if view.withdrawals.is_empty() {
        parts.extend(untested(engine, view));
    }
    parts.extend(left_out(engine, &view.left_out));
    parts.extend(view.zero_by.as_ref().map(|it| zero_by(model, it)));
    parts.extend(fallback_as_found(engine, view));
    parts.extend(view.role.and_then(|role| special(role, view.wish, found)));
    parts.extend(given_by(model, view));
    let share = wire_server::slow_start(view);
    parts.extend(share.map(|share| format!("slow start, at {share}% of its weight")));
    parts.extend(view.problem.clone());
    parts.join("; ")
}

/// Who has no verdict yet: who is waited for, and who reports and names no host.
fn untested(engine: &Engine, view: &RealServerView) -> Vec<String> {
    let unnamed = |id: ServiceId| wire_server::unnamed(engine, id);
    let (nameless, awaited): (Vec<ServiceId>, Vec<ServiceId>) =
        view.untested.iter().partition(|&&id| unnamed(id).is_some());
    let awaited = Some(names(engine.model(), &awaited)).filter(|names| !names.is_empty());
    let awaited = awaited.map(|names| format!("no verdict yet of {names}"));
    let nameless = nameless.into_iter().filter_map(|id| {
        let name = name(engine.model(), id);
        let reports = wire_server::last_reports(unnamed(id)?);
        Some(format!(
            "the {reports} of {name} failed and named no host: {NAME_HOSTS}"
        ))
    });
    awaited.into_iter().chain(nameless).collect()
}

/// Without whose verdict it is decided, and why.
fn left_out(engine: &Engine, services: &[ServiceId]) -> Vec<String> {
    let model = engine.model();
    let is_disabled = |id: ServiceId| {
        let group = model.services.get(id.index()).map(|it| &*it.group);
        engine.is_service_disabled(id) || group.is_some_and(|it| engine.is_watch_disabled(it))
    };
    let why = |id: ServiceId| match wire_server::lacks(engine, id) {
        Some(_) => "never runs",
        None if is_disabled(id) => "is disabled",
        None => "has not reported on it yet, decided without",
    };
    let mut said: Vec<(&str, Vec<ServiceId>)> = Vec::new();
    for &id in services {
        let why = why(id);
        match said.iter_mut().find(|(known, _)| *known == why) {
            Some((_, services)) => services.push(id),
            None => said.push((why, vec![id])),
        }
    }
    let said = said.into_iter();
    said.map(|(why, services)| format!("{} {why}", names(model, &services)))
        .collect()
}

fn names(model: &Model, services: &[ServiceId]) -> String {
    let names: Vec<String> = services.iter().map(|id| name(model, *id)).collect();
    names.join(", ")
}

/// Who gives a healthy real server weight 0.
fn zero_by(model: &Model, by: &ZeroBy) -> String {
    match by {
        ZeroBy::File => "weight 0 in the file".to_owned(),
        ZeroBy::Checks(given) => givers(model, given),
    }
}

/// Where a real server has its weight from, where that was not said with weight 0.
fn given_by(model: &Model, view: &RealServerView) -> Option<String> {
    match (view.given_by.as_ref()?, &view.zero_by) {
        (GivenBy::FileAtMost, _) => {
            Some("weight of the file, no more than the others have".to_owned())
        }
        (GivenBy::Checks(given), None) => Some(givers(model, given)),
        (GivenBy::File, None) => Some("weight of the file, as no check gave it one".to_owned()),
        (GivenBy::Checks(_) | GivenBy::File, Some(_)) => None,
    }
}

fn givers(model: &Model, given: &[Given]) -> String {
    let words = |it: &Given| it.words(&name(model, it.service));
    let words: Vec<String> = given.iter().map(words).collect();
    words.join("; ")
}

fn takes_clients(wish: ServerWish) -> bool {
    matches!(wish, ServerWish::In(settings) if settings.weight > Weight(0))
}

/// What is special about the place of a real server in its section.
fn special(role: ServerRole, wish: ServerWish, found: Found) -> Option<String> {
    match role {
        ServerRole::FallbackIn if !takes_clients(wish) => {
            Some("the fallback, kept from clients".to_owned())
        }
        ServerRole::Kept => Some("kept in by min_live".to_owned()),
        ServerRole::Quiesced => Some("weight 0 by on_failure".to_owned()),
        ServerRole::Draining { .. } => Some("waits for its connections to end".to_owned()),
        ServerRole::FallbackIn if found.takes_clients() => {
            Some("the fallback, it serves".to_owned())
        }
        ServerRole::FallbackIn => Some("the fallback, wanted to serve".to_owned()),
        ServerRole::FallbackOut => Some("the fallback, not needed".to_owned()),
        ServerRole::Unseen
        | ServerRole::Serves { .. }
        | ServerRole::Out
        | ServerRole::InUntested
        | ServerRole::OutUntested
        | ServerRole::AsFound => None,
    }
}

/// That it is the fallback, where that is left as it was found.
fn fallback_as_found(engine: &Engine, view: &RealServerView) -> Option<String> {
    let section = engine.section(view.virtual_service)?;
    let (fallback, server) = (section.fallback.as_ref()?, view.server?);
    let is_it = view.hosts.contains(&fallback.host) && server.0.port() == fallback.port;
    // One that is a real server too is that first.
    let is_it = is_it && view.counts.is_empty() && view.role == Some(ServerRole::AsFound);
    is_it.then(|| "the fallback, left as found".to_owned())
}

/// What an operator wishes of an entry, with how far a drain has come.
fn wish(manual: &ManualView, entry: (VirtualServiceKey, ServerWish)) -> String {
    let row = wire_server::operator(manual, entry);
    let called = row.called();
    if row.gives_way {
        return format!("{called}, not obeyed: min_live would not hold");
    }
    match row.drain {
        None => called,
        Some(DrainRow::Draining { waits_for, .. }) => format!("{called}, {}", waits_for.words()),
        Some(DrainRow::Drained) => format!("{called}, drained"),
        Some(DrainRow::CutOff) => format!("{called}, out at the deadline"),
        Some(DrainRow::Left) => format!("{called}, not drained: it left with active connections"),
    }
}
