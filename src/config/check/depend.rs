//! What the dependencies of a service say: expressions to names, names to services, and what
//! can never hold.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::config::check::Checker;
use crate::config::check::report::Report;
use crate::config::diagnostic::nearest;
use crate::config::lines::Span;
use crate::config::syntax::Statement;
use crate::depend::{Expression, Form, Name};
use crate::model::{DependBehavior, DependKind, Dependency, Depth, Model, Service, ServiceId};

/// Services of a circle that are named in a message.
const CIRCLE_NAMED_MAX: usize = 6;

/// A dependency line that was read, until all services are known.
pub(super) struct DependLine {
    service: ServiceId,
    kind: DependKind,
    /// The whole expression.
    text: Span,
    /// Where each of its names stands first.
    names: Vec<Span>,
}

/// Which keyword a word is.
pub(super) fn kind(keyword: &str) -> Option<DependKind> {
    Some(match keyword {
        "depend" => DependKind::Depend,
        "alertdepend" => DependKind::Alert,
        "monitordepend" => DependKind::Monitor,
        "hostdepend" => DependKind::Host,
        _ => return None,
    })
}

impl Checker<'_> {
    /// Reads the dependency lines of a service whose `dep_behavior` is known.
    pub(super) fn depend(&mut self, id: ServiceId, service: &mut Service, lines: &[Statement]) {
        let mut read: Vec<DependLine> = Vec::new();
        for line in lines {
            let Some(kind) = kind(self.text(line.keyword)) else {
                continue;
            };
            service.depend.retain(|(known, _)| *known != kind);
            read.retain(|known| known.kind != kind);
            let (text, span) = (self.text(line.argument), line.argument);
            if text.is_empty() {
                let message = format!("\"{}\" without an expression", self.text(line.keyword));
                self.report.warn(line.keyword, message, "it has no effect");
                continue;
            }
            let of_hosts = kind == DependKind::Host
                || kind == DependKind::Depend && service.dep_behavior == DependBehavior::Hosts;
            let form = if of_hosts {
                Form::Names
            } else {
                Form::Expression
            };
            let reading = Expression::parse(text, &service.group, form).or_else(|fault| {
                // Debian's own example has one. In mon it holds back all alerts for ever.
                let list = Expression::parse(text, &service.group, Form::Names);
                if list.is_ok() {
                    let message = format!("in a dependency, {}", fault.message);
                    let help = "all of them have to be good: say so with &&";
                    let place = span.part(fault.start, fault.end);
                    self.report.warn(place, message, help);
                }
                list.map_err(|_| fault)
            });
            match reading {
                Ok(reading) => {
                    let names = reading.places.iter();
                    read.push(DependLine {
                        service: id,
                        kind,
                        text: span,
                        names: names.map(|&(start, end)| span.part(start, end)).collect(),
                    });
                    let dependency = Dependency {
                        written: self.pool.name(&reading.written),
                        parents: vec![None; reading.expression.names().len()].into(),
                        expression: reading.expression,
                    };
                    service.depend.push((kind, dependency));
                }
                Err(fault) => {
                    let message = format!("malformed dependency: {}", fault.message);
                    let place = span.part(fault.start, fault.end);
                    self.report.error(place, message, fault.help);
                }
            }
        }
        self.depend_lines.extend(read);
    }
}

/// Finds the service of every name. One that nobody has counts as failing, as in mon, which
/// does not say so (E-19).
pub(super) fn resolve(report: &mut Report<'_>, services: &mut [Service], lines: &[DependLine]) {
    if lines.is_empty() {
        return;
    }
    let known: BTreeMap<(Arc<str>, Arc<str>), ServiceId> = (0_u32..)
        .map(ServiceId)
        .zip(services.iter())
        .map(|(id, service)| ((Arc::clone(&service.group), Arc::clone(&service.name)), id))
        .collect();
    for line in lines {
        let service = &mut services[line.service.index()];
        let behavior = service.dep_behavior;
        let own = service.depend.iter_mut();
        let Some((_, dependency)) = own.into_iter().find(|(kind, _)| *kind == line.kind) else {
            continue;
        };
        let names = dependency.expression.names().iter();
        for ((name, parent), &place) in names.zip(&mut dependency.parents).zip(&line.names) {
            *parent = known
                .get(&(Arc::clone(&name.group), Arc::clone(&name.service)))
                .copied();
            if parent.is_none() {
                let help = suggestion(name, &known)
                    .unwrap_or_else(|| effect_of_unknown(line.kind, behavior).to_owned());
                let message = format!("no service is called \"{name}\"");
                report.warn(place, message, help);
            }
        }
    }
}

/// The service that was probably meant.
fn suggestion(name: &Name, known: &BTreeMap<(Arc<str>, Arc<str>), ServiceId>) -> Option<String> {
    let in_group = known.keys().filter(|(group, _)| *group == name.group);
    let services = in_group.map(|(_, service)| &**service);
    if let Some(service) = nearest(&name.service, services) {
        return Some(format!("did you mean \"{}:{service}\"?", name.group));
    }
    let with_service = known.keys().filter(|(_, other)| *other == name.service);
    let groups = with_service.map(|(group, _)| &**group);
    let group = nearest(&name.group, groups)?;
    Some(format!("did you mean \"{group}:{}\"?", name.service))
}

/// What a name without a service does.
fn effect_of_unknown(kind: DependKind, behavior: DependBehavior) -> &'static str {
    match (kind, behavior) {
        (DependKind::Alert, _) | (DependKind::Depend, DependBehavior::Alerts) => {
            "it counts as failing, so alerts are held back"
        }
        (DependKind::Monitor, _) | (DependKind::Depend, DependBehavior::Monitor) => {
            "it counts as failing, so the monitor is not run"
        }
        (DependKind::Host, _) | (DependKind::Depend, DependBehavior::Hosts) => {
            "it leaves no host out"
        }
    }
}

/// Names expressions that are never computed: they lead back to themselves or too deep. mon
/// takes such a file, so this is no error.
pub(super) fn report_depths(report: &mut Report<'_>, model: &Model, lines: &[DependLine]) {
    if lines.is_empty() {
        return;
    }
    let limit = model.globals.dep_recur_limit;
    for what in [DependBehavior::Alerts, DependBehavior::Monitor] {
        let depths = model.depths(what);
        for line in lines {
            let service = model.service(line.service);
            let own = service.dependency(line.kind);
            let in_force = service.depends(what);
            if !matches!((own, in_force), (Some(own), Some(it)) if std::ptr::eq(own, it)) {
                continue;
            }
            let message = match depths[line.service.index()] {
                depth if depth.is_within(limit) => continue,
                Depth::Levels(levels) => format!(
                    "dependencies over {levels} levels, more than dep_recur_limit = {limit}"
                ),
                Depth::Endless => {
                    let circle = circle(model, &depths, line.service, what);
                    format!("dependencies that go in a circle: {circle}")
                }
            };
            let help = match what {
                DependBehavior::Alerts => "every alert of the service is held back",
                DependBehavior::Monitor => "the monitor is never run",
                DependBehavior::Hosts => continue,
            };
            report.warn(line.text, message, help);
        }
    }
}

/// The way from a service into a circle, at most [`CIRCLE_NAMED_MAX`] names of it.
fn circle(model: &Model, depths: &[Depth], from: ServiceId, what: DependBehavior) -> String {
    let name = |id: ServiceId| {
        let service = model.service(id);
        format!("{}:{}", service.group, service.name)
    };
    let mut seen = vec![from];
    let mut text = name(from);
    let mut at = from;
    while let Some(dependency) = model.service(at).depends(what) {
        let endless = |id: &ServiceId| depths[id.index()] == Depth::Endless;
        let Some(next) = dependency.known_parents().find(endless) else {
            break;
        };
        if seen.len() == CIRCLE_NAMED_MAX {
            text.push_str(" -> ...");
            break;
        }
        text.push_str(" -> ");
        text.push_str(&name(next));
        if seen.contains(&next) {
            break;
        }
        seen.push(next);
        at = next;
    }
    text
}
