//! Why is a service, or one of its hosts, not checked? As rows with sentences. Pure.

use serde::{Deserialize, Serialize};

use crate::engine::Engine;
use crate::engine::held_up::{HeldUp, LeftOut};
use crate::model::{DependBehavior, Dependency, HostName, ServiceId};
use crate::time::Wall;
use crate::wire::depends::{deep, failing, keyword};

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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::depends::tests::{engine, file};

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
}
