//! Actions as the words of a timeline.

use lvsmon::engine::Engine;
use lvsmon::engine::event::{
    Action, AlertCall, Cause, DowntimeLine, HistoryLine, HostVerdict, Note, Run, RunProgram,
    SectionNews, ServerChange, Suppressed, Suppression,
};
use lvsmon::lvs::{ServerWish, ServiceWish};
use lvsmon::model::ServiceId;
use lvsmon::time::Readable;

use super::step::Shown;

/// What a story shows besides what every story shows.
#[derive(Default)]
pub(crate) struct Showing {
    runs: bool,
    calls: bool,
    history: bool,
    downtime: bool,
    variables: Vec<String>,
}

impl Showing {
    /// Shows this too from here on.
    pub(crate) fn more(&mut self, shown: Shown) {
        match shown {
            Shown::Runs => self.runs = true,
            Shown::Calls => self.calls = true,
            Shown::Variables(names) => self.variables = names,
            Shown::History => self.history = true,
            Shown::Downtime => self.downtime = true,
        }
    }
}

/// The lines of one action; none for what a story does not show.
pub(crate) fn of(action: &Action, engine: &Engine, showing: &Showing) -> Vec<String> {
    match action {
        Action::Start(run) if showing.runs => {
            let mut lines = vec![start(run, engine)];
            if let RunProgram::Executable(program) = &run.program {
                lines.extend(variables(&program.environment, showing));
            }
            lines
        }
        Action::History(line) if showing.history => vec![history(line)],
        Action::Downtime(line) if showing.downtime => vec![downtime(line)],
        Action::Start(_)
        | Action::Record(_)
        | Action::Answer(_)
        | Action::Renumber { .. }
        | Action::History(_)
        | Action::Downtime(_) => Vec::new(),
        Action::Stop(run) => vec![format!("stop run {}", run.0)],
        Action::Hold(wire) => vec![format!(
            "hold {}:{} after {:?}",
            wire.host, wire.port, wire.wait
        )],
        Action::LetGo(wire) => vec![format!("let go of {}", wire.0)],
        Action::Send(call) => {
            let mut lines = vec![send(call)];
            if showing.calls {
                lines.push(format!(
                    "  -h {:?}, exit {:?}, status {}, input {:?}",
                    call.hosts,
                    call.exit,
                    call.status.word(),
                    String::from_utf8_lossy(&call.input)
                ));
            }
            lines.extend(variables(&call.environment, showing));
            lines
        }
        Action::Resolve(host) => vec![format!("resolve {host}")],
        Action::ApplyTable => table(engine),
        Action::Suppressed(suppression) => vec![held_back(suppression, engine)],
        Action::Note(it) => vec![note(it, engine)],
    }
}

/// The variables that the story shows, as the program would see them.
fn variables(environment: &[(String, String)], showing: &Showing) -> Option<String> {
    let value = |name: &String| {
        let mut known = environment.iter().rev();
        let value = known
            .find(|(known, _)| known == name)
            .map(|(_, value)| value);
        value.map_or_else(
            || format!("{name} unset"),
            |value| format!("{name}={value:?}"),
        )
    };
    let values: Vec<String> = showing.variables.iter().map(value).collect();
    (!values.is_empty()).then(|| format!("  {}", values.join(" ")))
}

fn history(line: &HistoryLine) -> String {
    format!(
        "history: {} of {}/{} at {}: {} ({}) {:?}",
        line.kind.word(),
        line.group,
        line.service,
        line.time.seconds(),
        line.program,
        line.args,
        line.summary
    )
}

fn downtime(line: &DowntimeLine) -> String {
    format!(
        "downtime: {} {}/{} {} {} {:?}",
        line.up.seconds(),
        line.group,
        line.service,
        line.first_failure.seconds(),
        line.interval.as_secs(),
        line.summary
    )
}

fn name(id: ServiceId, engine: &Engine) -> String {
    let service = engine.model().service(id);
    format!("{}/{}", service.group, service.name)
}

fn start(run: &Run, engine: &Engine) -> String {
    let hosts: Vec<&str> = run.hosts.iter().map(|host| host.as_str()).collect();
    let what = match &run.program {
        RunProgram::Native(_) => "check".to_owned(),
        RunProgram::Executable(program) => format!("{}", program.path.display()),
    };
    format!(
        "run {} of {}: {what} on {}",
        run.id.0,
        name(run.service, engine),
        hosts.join(" ")
    )
}

fn send(call: &AlertCall) -> String {
    let mut line = format!("{} -> {}", call.kind.word(), call.command.name);
    for word in &call.command.args {
        line.push(' ');
        line.push_str(word);
    }
    let verdicts: Vec<String> = call
        .results
        .iter()
        .map(|(host, verdict, _)| match verdict {
            HostVerdict::Up => format!("{host} up"),
            HostVerdict::Down(reason) => format!("{host} down: {reason}"),
            HostVerdict::Unknown(reason) => format!("{host} unknown: {reason}"),
        })
        .collect();
    format!(
        "{line} | {} | {:?} | {}",
        call.event,
        call.summary,
        verdicts.join(", ")
    )
}

fn held_back(suppression: &Suppression, engine: &Engine) -> String {
    let why = match &suppression.why {
        Suppressed::NotInPeriod => "the period does not hold".to_owned(),
        Suppressed::ExitRange { exit, .. } => format!("exit value {exit} is out of range"),
        Suppressed::NumAlerts(most) => format!("numalerts {most} are out"),
        Suppressed::AlertEvery { left } => format!("alertevery, {} left", Readable(*left)),
        Suppressed::AlertAfterCount { have, need } => {
            format!("alertafter, {have} of {need} failures")
        }
        Suppressed::AlertAfterTime { left } => format!("alertafter, {} left", Readable(*left)),
        Suppressed::UpalertAfter { outage, .. } => {
            format!("upalertafter, the outage lasted {}", Readable(*outage))
        }
        Suppressed::StillCounted => "re-checks decide first".to_owned(),
        Suppressed::JustTold => "told by the check before".to_owned(),
        Suppressed::NoAlertSent => "no alert was sent".to_owned(),
        Suppressed::NoProgram(reason) => reason.clone(),
        Suppressed::Stopped => "the scheduler is stopped".to_owned(),
        Suppressed::Disabled => "disabled".to_owned(),
        Suppressed::DependFailed { expression, parent } => match parent {
            Some(parent) => format!("{expression}: {parent} fails"),
            None => format!("{expression} does not hold"),
        },
        Suppressed::Acknowledged(comment) => format!("acknowledged: {comment}"),
    };
    format!(
        "held back {} of {} in {:?}: {why}",
        suppression.kind.word(),
        name(suppression.service, engine),
        suppression.period.as_deref().unwrap_or_default()
    )
}

fn change_in_words(change: &ServerChange, engine: &Engine) -> String {
    let reasons = |by: &[Cause]| {
        let by = by.iter();
        let by = by.map(|it| format!("{} {}", name(it.service, engine), it.reason));
        by.collect::<Vec<String>>().join(", ")
    };
    match change {
        ServerChange::In => "in".to_owned(),
        ServerChange::Kept(by) if by.is_empty() => "kept by min_live".to_owned(),
        ServerChange::Kept(by) => format!("kept by min_live although {}", reasons(by)),
        ServerChange::Moved { host, to } => format!("dropped, {host} is {to}"),
        ServerChange::Dropped => "dropped".to_owned(),
        ServerChange::OutByWish(why) => format!("out by {why}"),
        ServerChange::Out(by) => format!("out by {}", reasons(by)),
        ServerChange::Quiesced(by) => format!("to weight 0 by {}", reasons(by)),
        ServerChange::QuiescedByWish(why) => format!("to weight 0 by {why}"),
        ServerChange::Weightless => "to its own weight 0".to_owned(),
    }
}

fn note(it: &Note, engine: &Engine) -> String {
    match it {
        Note::ServiceDown {
            service,
            exit,
            summary,
        } => format!(
            "{} is down: exit {exit}, {summary:?}",
            name(*service, engine)
        ),
        Note::ServiceUp { service, outage } => {
            format!(
                "{} is up after {}",
                name(*service, engine),
                Readable(*outage)
            )
        }
        Note::AnotherOutage(service) => {
            format!("{} goes on as another outage", name(*service, engine))
        }
        Note::ServiceTested(service) => format!("{} is tested", name(*service, engine)),
        Note::Throttled {
            limit,
            value,
            waiting,
        } => format!("{limit} {value} reached, {waiting} wait"),
        Note::NoHosts(service) => format!("{} has no host to check", name(*service, engine)),
        Note::Server {
            virtual_service,
            server,
            change,
            ..
        } => {
            let change = change_in_words(change, engine);
            format!("{server} of {virtual_service} goes {change}")
        }
        Note::CutOff(it) => format!("cut off by {}", it.witnesses.join(" ")),
        Note::Reached { witnesses, .. } => format!("linked by {}", witnesses.join(" ")),
        Note::Unheeded(who) | Note::NoWitness(who) => format!("{} not heeded", who.join(" ")),
        Note::Binding { service, text, .. } => {
            format!("binding of {}: {text}", name(*service, engine))
        }
        Note::Manual {
            virtual_service,
            server,
            text,
        } => format!("{server} of {virtual_service}: {text}"),
        Note::Section {
            virtual_service,
            news,
        } => match news {
            SectionNews::Mend { text, .. } => format!("{virtual_service}: {text}"),
            SectionNews::Began(_, text) | SectionNews::Over(_, text) => text.clone(),
        },
        Note::Wish { outcome, .. } => match outcome {
            Ok(done) => format!("done: {}", done.replace('\n', " / ")),
            Err(why) => format!("refused: {why}"),
        },
        Note::AcknowledgedThere { service, comment } => {
            format!("{} acknowledged there: {comment}", name(*service, engine))
        }
        Note::TableUntouched { service, text } => {
            format!("{} and the table: {text}", name(*service, engine))
        }
        Note::TrapLost { to, from, count } => {
            format!("lost trap for {to} from {from}, {count} so far")
        }
        Note::NotRestored { .. } | Note::NotLoaded { .. } => format!("{it:?}"),
    }
}

/// The wanted table, a line for each virtual service.
fn table(engine: &Engine) -> Vec<String> {
    let desired = engine.desired().iter();
    let lines = desired.map(|(key, wanted)| {
        let service = match wanted.service {
            ServiceWish::Foreign => "",
            ServiceWish::Present(_) | ServiceWish::Owned(_) => " (ours)",
            ServiceWish::Absent => " (gone)",
            ServiceWish::AsFound => " (as found)",
        };
        let servers: Vec<String> = wanted
            .servers
            .iter()
            .map(|(server, wish)| match wish {
                ServerWish::In(real) => {
                    format!("{server} in, {} weight {}", real.forwarding, real.weight)
                }
                ServerWish::Out => format!("{server} out"),
                ServerWish::AsFound => format!("{server} as found"),
            })
            .collect();
        format!("table {key}{service}: {}", servers.join("; "))
    });
    lines.collect()
}
