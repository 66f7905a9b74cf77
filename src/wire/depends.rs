//! What does a service depend on, and what follows from it now? As rows with sentences. Pure.

use serde::{Deserialize, Serialize};

use crate::engine::Engine;
use crate::engine::depend::DependencyNow;
use crate::model::{DependBehavior, DependKind, Dependency, Service, ServiceId};

/// A line of dependencies.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DependRow {
    /// `depend`, `alertdepend`, `monitordepend` or `hostdepend`.
    pub keyword: String,
    /// As it stands in the file, `SELF` replaced.
    pub expression: String,
    /// Services in it that are not good, and those that do not exist.
    pub failing: Vec<String>,
    /// What follows from it now; none while it holds, and where another line takes its place.
    #[serde(default)]
    pub follows: Option<String>,
}

/// The dependencies of a service.
pub(super) fn depends(engine: &Engine, id: ServiceId) -> Vec<DependRow> {
    let service = engine.model().service(id);
    let lines = service.depend.iter();
    let row = |(kind, dependency): &(DependKind, Dependency)| DependRow {
        keyword: word(*kind).to_owned(),
        expression: dependency.written.to_string(),
        failing: failing(engine, dependency),
        follows: follows(engine, id, *kind, dependency),
    };
    lines.map(row).collect()
}

fn follows(
    engine: &Engine,
    id: ServiceId,
    kind: DependKind,
    dependency: &Dependency,
) -> Option<String> {
    let service = engine.model().service(id);
    let what = match kind {
        DependKind::Depend => service.dep_behavior,
        DependKind::Alert => DependBehavior::Alerts,
        DependKind::Monitor => DependBehavior::Monitor,
        DependKind::Host => DependBehavior::Hosts,
    };
    let then = match what {
        DependBehavior::Alerts => "nobody is told of this service",
        DependBehavior::Monitor => "no check begins",
        DependBehavior::Hosts => {
            let is_bad = !failing(engine, dependency).is_empty();
            let text = "hosts that a failing one of them names are not checked";
            return is_bad.then(|| text.to_owned());
        }
    };
    if service.depends(what) != Some(dependency) {
        return None;
    }
    match engine.dependency_now(what, id)? {
        DependencyNow::Holds => None,
        DependencyNow::Fails => Some(format!("does not hold: {then}")),
        DependencyNow::TooDeep => Some(format!("{}, and is never asked: {then}", deep(engine))),
    }
}

/// Services that are not good, and those that do not exist.
pub(super) fn failing(engine: &Engine, dependency: &Dependency) -> Vec<String> {
    let names = dependency.expression.names().iter();
    let mut failing: Vec<String> = Vec::new();
    for (name, parent) in names.zip(dependency.parents.iter()) {
        let text = match parent.and_then(|parent| engine.service(parent)) {
            None => format!("{name} (there is no such service)"),
            Some(view) if !view.status.is_success() => format!("{}:{}", view.group, view.name),
            Some(_) => continue,
        };
        if !failing.contains(&text) {
            failing.push(text);
        }
    }
    failing
}

/// Why a dependency is never asked, behind it.
pub(super) fn deep(engine: &Engine) -> String {
    let limit = engine.model().globals.dep_recur_limit;
    format!("leads deeper than dep_recur_limit {limit}, or in a circle")
}

/// The keyword whose line acts on `what`.
pub(super) fn keyword(service: &Service, what: DependBehavior) -> &'static str {
    let general = service.dependency(DependKind::Depend);
    match general.filter(|_| service.dep_behavior == what) {
        Some(_) => word(DependKind::Depend),
        None => word(match what {
            DependBehavior::Alerts => DependKind::Alert,
            DependBehavior::Monitor => DependKind::Monitor,
            DependBehavior::Hosts => DependKind::Host,
        }),
    }
}

const fn word(kind: DependKind) -> &'static str {
    match kind {
        DependKind::Depend => "depend",
        DependKind::Alert => "alertdepend",
        DependKind::Monitor => "monitordepend",
        DependKind::Host => "hostdepend",
    }
}

#[cfg(test)]
pub(super) mod tests {
    use std::sync::Arc;

    use jiff::tz::TimeZone;

    use super::*;
    use crate::engine::event::Event;
    use crate::engine::fixture::{at, exited};
    use crate::engine::saved::Saved;

    /// An engine of this file, some seconds after its start; all checks that began have failed.
    pub(in crate::wire) fn engine(text: &str) -> Engine {
        let (model, _) = crate::config::load_text(text).expect("a good file");
        let saved = Saved::default();
        let mut engine = Engine::new(Arc::new(model), &saved, 1, TimeZone::UTC, at(0.0));
        engine.handle(at(0.0), Event::Start);
        engine.handle(at(40.0), Event::Deadline);
        loop {
            let run = engine.runs().next().map(|(run, _)| run);
            let Some(run) = run else {
                return engine;
            };
            let report = exited(1, "h1\n");
            engine.handle(at(41.0), Event::RunEnded { run, report });
        }
    }

    pub(in crate::wire) fn file(globals: &str, lines: &str) -> String {
        format!(
            "{globals}\nhostgroup core c1\n\nhostgroup web h1 h2\n\n\
             watch core\n service ping\n  interval 10s\n  monitor x\n  period wd {{Sun-Sat}}\n   \
             alert mail.alert ann\n\n\
             watch web\n service http\n  interval 10s\n  monitor x\n{lines}  \
             period wd {{Sun-Sat}}\n   alert mail.alert ann\n"
        )
    }

    #[test]
    fn a_dependency_says_what_follows_while_it_does_not_hold() {
        for (lines, failing, expected) in [
            (
                "  depend core:ping\n",
                "core:ping",
                Some("does not hold: nobody is told of this service"),
            ),
            (
                "  alertdepend core:ping || core:ping\n",
                "core:ping",
                Some("does not hold: nobody is told of this service"),
            ),
            (
                "  hostdepend core:ping\n",
                "core:ping",
                Some("hosts that a failing one of them names are not checked"),
            ),
            (
                "  depend core:pong\n",
                "core:pong (there is no such service)",
                Some("does not hold: nobody is told of this service"),
            ),
            ("  alertdepend core:ping || !core:ping\n", "core:ping", None),
        ] {
            let engine = engine(&file("", lines));
            let id = engine.model().find("web", "http").expect("the service");
            let rows = depends(&engine, id);
            let [row] = rows.as_slice() else {
                panic!("{rows:?}");
            };
            assert_eq!(row.failing, [failing], "{lines}");
            assert_eq!(row.follows.as_deref(), expected, "{lines}");
        }
    }
}
