//! Why is a service, or one of its hosts, not checked, and what does it depend on? As rows with
//! sentences. Pure.

use serde::{Deserialize, Serialize};

use crate::engine::Engine;
use crate::engine::depend::DependencyNow;
use crate::engine::held_up::{HeldUp, LeftOut};
use crate::model::{DependBehavior, DependKind, Dependency, HostName, Service, ServiceId};
use crate::time::Wall;

/// One thing that keeps a verdict from changing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeldUpRow {
    /// The keyword, or the state; a constant word.
    pub rule: String,
    /// A sentence, with what stands in the file.
    pub text: String,
    /// When it ends by itself.
    pub until: Option<i64>,
}

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

/// What keeps the checks of a service from beginning now; with a host, also those of that host.
pub(super) fn held_up(engine: &Engine, id: ServiceId, host: Option<&HostName>) -> Vec<HeldUpRow> {
    let rows = engine.held_up(id);
    let mut rows: Vec<HeldUpRow> = rows.iter().map(|it| row(engine, id, it)).collect();
    let left_out = host.and_then(|host| Some((host, engine.left_out(id, host)?)));
    rows.extend(left_out.map(|(host, why)| {
        let (rule, text) = match why {
            LeftOut::Excluded => (
                "exclude_hosts",
                format!("exclude_hosts names {host}: it is never checked"),
            ),
            LeftOut::Disabled => (
                "disabled",
                format!("host {host} is disabled: it is not checked, and its verdict is frozen"),
            ),
            LeftOut::ByParent => (
                "hostdepend",
                format!("a failing service on which it depends names {host}: it is not checked"),
            ),
        };
        HeldUpRow {
            rule: rule.to_owned(),
            text,
            until: None,
        }
    }));
    rows
}

fn row(engine: &Engine, id: ServiceId, held: &HeldUp<'_>) -> HeldUpRow {
    let model = engine.model();
    let line = |dependency: &Dependency| {
        let keyword = keyword(model.service(id), DependBehavior::Monitor);
        format!("{keyword} {}", dependency.written)
    };
    let (rule, text, until) = match held {
        HeldUp::Everything { until } => (
            "global_exclude_period",
            "the global exclude_period holds: nothing is checked".to_owned(),
            *until,
        ),
        HeldUp::Period { written, until } => (
            "exclude_period",
            format!("exclude_period {written} holds: no check begins"),
            *until,
        ),
        HeldUp::Dependency(dependency) => {
            let failing = failing(engine, dependency);
            let failing = match failing.as_slice() {
                [] => String::new(),
                some => format!(" (not good: {})", some.join(", ")),
            };
            let text = format!(
                "{} does not hold{failing}: no check begins",
                line(dependency)
            );
            ("depend", text, None)
        }
        HeldUp::TooDeep(dependency) => {
            let text = format!(
                "{} {}: no check ever begins",
                line(dependency),
                deep(engine)
            );
            ("dep_recur_limit", text, None)
        }
        HeldUp::NoHost => (
            "no_host",
            "no host is left to check: each is excluded, disabled or left out by hostdepend"
                .to_owned(),
            None,
        ),
    };
    HeldUpRow {
        rule: rule.to_owned(),
        text,
        until: until.map(Wall::seconds),
    }
}

/// Why a dependency is never asked, behind it.
fn deep(engine: &Engine) -> String {
    let limit = engine.model().globals.dep_recur_limit;
    format!("leads deeper than dep_recur_limit {limit}, or in a circle")
}

/// The keyword whose line acts on `what`.
fn keyword(service: &Service, what: DependBehavior) -> &'static str {
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
fn failing(engine: &Engine, dependency: &Dependency) -> Vec<String> {
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

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use jiff::tz::TimeZone;

    use super::*;
    use crate::engine::event::Event;
    use crate::engine::fixture::{at, exited};
    use crate::engine::saved::Saved;

    /// An engine of this file, some seconds after its start; all checks that began have failed.
    fn engine(text: &str) -> Engine {
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

    fn file(globals: &str, lines: &str) -> String {
        format!(
            "{globals}\nhostgroup core c1\n\nhostgroup web h1 h2\n\n\
             watch core\n service ping\n  interval 10s\n  monitor x\n  period wd {{Sun-Sat}}\n   \
             alert mail.alert ann\n\n\
             watch web\n service http\n  interval 10s\n  monitor x\n{lines}  \
             period wd {{Sun-Sat}}\n   alert mail.alert ann\n"
        )
    }

    fn said(text: &str, host: Option<&str>) -> Vec<(String, String)> {
        let engine = engine(text);
        let id = engine.model().find("web", "http").expect("the service");
        let host = host.map(HostName::new);
        let rows = held_up(&engine, id, host.as_ref()).into_iter();
        rows.map(|row| (row.rule, row.text)).collect()
    }

    #[test]
    fn what_keeps_checks_from_beginning_is_named_with_its_line() {
        let all = "wd {Sun-Sat}";
        let cases = [
            ("", "", vec![]),
            (
                "",
                "  exclude_period wd {Sun-Sat}\n",
                vec![(
                    "exclude_period",
                    format!("exclude_period {all} holds: no check begins"),
                )],
            ),
            (
                "exclude_period = wd {Sun-Sat}\n",
                "",
                vec![(
                    "global_exclude_period",
                    "the global exclude_period holds: nothing is checked".to_owned(),
                )],
            ),
            (
                "",
                "  exclude_hosts h1 h2\n",
                vec![(
                    "no_host",
                    "no host is left to check: each is excluded, disabled or left out by \
                     hostdepend"
                        .to_owned(),
                )],
            ),
            (
                "",
                "  monitordepend core:ping\n",
                vec![(
                    "depend",
                    "monitordepend core:ping does not hold (not good: core:ping): no check begins"
                        .to_owned(),
                )],
            ),
            ("", "  depend core:ping\n", vec![]),
            (
                "",
                "  dep_behavior m\n  depend core:ping\n",
                vec![(
                    "depend",
                    "depend core:ping does not hold (not good: core:ping): no check begins"
                        .to_owned(),
                )],
            ),
            (
                "",
                "  monitordepend web:http\n",
                vec![(
                    "dep_recur_limit",
                    "monitordepend web:http leads deeper than dep_recur_limit 10, or in a circle: \
                     no check ever begins"
                        .to_owned(),
                )],
            ),
        ];
        for (globals, lines, expected) in cases {
            let expected: Vec<(String, String)> = expected
                .into_iter()
                .map(|(rule, text): (&str, String)| (rule.to_owned(), text))
                .collect();
            assert_eq!(
                said(&file(globals, lines), None),
                expected,
                "{globals}{lines}"
            );
        }
    }

    #[test]
    fn a_host_that_is_not_checked_is_named_with_the_reason() {
        let excluded = file("", "  exclude_hosts h2\n");
        assert_eq!(said(&excluded, Some("h1")), []);
        let expected = "exclude_hosts names h2: it is never checked";
        let row = ("exclude_hosts".to_owned(), expected.to_owned());
        assert_eq!(said(&excluded, Some("h2")), [row]);
        // The parent said "h1".
        let left_out = file("", "  hostdepend core:ping\n");
        assert_eq!(said(&left_out, Some("h2")), []);
        let expected = "a failing service on which it depends names h1: it is not checked";
        let row = ("hostdepend".to_owned(), expected.to_owned());
        assert_eq!(said(&left_out, Some("h1")), [row]);
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
