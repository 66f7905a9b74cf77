//! What has to happen before a real server is in with a weight that brings it connections?
//! The one place that makes these sentences.

use crate::engine::Engine;
use crate::engine::desired::{RealServerView, ServerRole, Withdrawal, ZeroBy, is_in};
use crate::engine::event::TableOutcome;
use crate::engine::manual::{Effect, Heed, ManualView};
use crate::model::{Ends, ServiceId};
use crate::time::Wall;
use crate::wire::server::{BackRow, NAME_HOSTS, host_of, lacks, last_reports, unnamed};

/// What has to happen, all of it together, before the real server is in with a weight that
/// brings it connections. The one place that makes these sentences.
pub(super) fn back(engine: &Engine, seen: &TableOutcome, view: &RealServerView) -> Vec<BackRow> {
    let mut rows = Vec::new();
    let mut say = |text: String, at: Option<Wall>| {
        rows.push(BackRow {
            text,
            at: at.map(Wall::seconds),
        });
    };
    let called = view.server.map_or_else(
        || {
            view.hosts
                .first()
                .map(ToString::to_string)
                .unwrap_or_default()
        },
        |server| server.to_string(),
    );
    for withdrawal in &view.withdrawals {
        say(ends(engine, view, withdrawal, &called), None);
    }
    let reporter = |&service| match lacks(engine, service) {
        None => name(engine, service),
        Some(what) => format!("{} ({})", name(engine, service), mute(what)),
    };
    // It may be in before it has a verdict: it waits for none.
    let awaited = view.untested.iter();
    for service in awaited.filter(|_| view.role != Some(ServerRole::InUntested)) {
        let text = match nameless(engine, view, *service) {
            Some(why) => format!(
                "a report of {} that is good or names hosts ({why})",
                name(engine, *service)
            ),
            None => format!("a first report of {}", reporter(service)),
        };
        say(text, None);
    }
    if view.is_left_alone() && !is_in(&view.wish) {
        // Whoever speaks first decides; nobody waits for the others.
        let any: Vec<String> = view.left_out.iter().map(reporter).collect();
        say(format!("a first report of {}", any.join(", or of ")), None);
    }
    if let Some(by) = view.zero_by.as_ref().filter(|_| !is_weighed(view)) {
        say(weight(engine, by, &called), None);
    }
    if let Some(manual) = view.manual.as_ref().filter(|it| takes_away(it)) {
        if let Some(until) = manual.until {
            say(format!("{} ends by itself", manual.called()), Some(until));
        } else {
            let wish = manual.called();
            say(format!("lvsmon enable {called} (ends {wish})"), None);
        }
    }
    if view.role == Some(ServerRole::FallbackOut) {
        let key = view.virtual_service;
        say(
            format!("no real server of {key} serves any more (it is their fallback)"),
            None,
        );
    }
    if view.server.is_none() {
        say("its name gets an address".to_owned(), None);
    }
    if seen.missing.contains(&view.virtual_service) {
        let key = view.virtual_service;
        say(
            format!("virtual service {key} is made, by whoever makes it"),
            None,
        );
    }
    rows
}

/// Why a service has no verdict on a real server although it reports; none where it does not.
pub(super) fn nameless(engine: &Engine, view: &RealServerView, id: ServiceId) -> Option<String> {
    host_of(engine, view, id)?;
    let reports = last_reports(unnamed(engine, id)?);
    Some(format!(
        "its {reports} failed and named none, so it keeps them as they were found: {NAME_HOSTS}"
    ))
}

/// Whether it has a weight above 0 all the same: `min_live` keeps it in.
const fn is_weighed(view: &RealServerView) -> bool {
    matches!(view.role, Some(ServerRole::Kept))
}

/// What ends weight 0.
fn weight(engine: &Engine, by: &ZeroBy, called: &str) -> String {
    match by {
        ZeroBy::Checks(given) => {
            let names = given.iter().map(|it| name(engine, it.service));
            let names: Vec<String> = names.collect();
            format!(
                "a check of {} that gives it a weight above 0",
                names.join(" and of ")
            )
        }
        ZeroBy::File => {
            format!("a weight above 0 in the file, or lvsmon weight N {called}")
        }
    }
}

fn takes_away(manual: &ManualView) -> bool {
    manual.heed == Heed::Obeyed && Effect::at_first(&manual.wish).takes_away()
}

fn ends(engine: &Engine, view: &RealServerView, it: &Withdrawal, called: &str) -> String {
    let service = name(engine, it.service);
    let model = engine.model();
    let mut counts = view.counts.iter();
    let count = counts.find(|count| count.service == it.service);
    let (rise, good) = count.map_or((1, 0), |count| (count.rise, count.good));
    let checks = match (it.ends, lacks(engine, it.service), rise) {
        (Ends::ByOperator, _, _) => format!(
            "lvsmon enable {called} (ends the withdrawal by {service}; its next failing check \
             begins a new one)"
        ),
        (Ends::WithSuccess, Some(what), _) => {
            format!("a good trap for {service} ({})", mute(what))
        }
        (Ends::WithSuccess, None, 1) => format!("a good check of {service}"),
        (Ends::WithSuccess, None, rise) => {
            format!("{rise} good checks of {service} in a row ({good} so far)")
        }
    };
    let group = model.services.get(it.service.index()).map(|it| &*it.group);
    let is_disabled = engine.is_service_disabled(it.service)
        || group.is_some_and(|group| engine.is_watch_disabled(group));
    match (engine.stopped_since(), is_disabled) {
        (Some(_), _) => format!("{checks}, once the scheduler is started (it is stopped)"),
        (None, true) => format!("{checks}, once it is enabled (its verdict is frozen)"),
        (None, false) => checks,
    }
}

/// What is so of a service that never runs.
pub(super) fn mute(what: &str) -> String {
    format!("it has no {what}, so it never runs, and only a trap speaks for it")
}

pub(super) fn name(engine: &Engine, id: ServiceId) -> String {
    let services = &engine.model().services;
    services.get(id.index()).map_or_else(
        || "a service that is gone".to_owned(),
        |service| format!("{}/{}", service.group, service.name),
    )
}
