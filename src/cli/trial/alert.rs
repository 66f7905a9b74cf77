//! An alert under trial: called by the engine's composition with a sample of each kind of event.
//!
//! Executables are run as the daemon runs them. Built-in ones say what they would send, and send
//! it only where that is asked for: they have receivers.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::tz::TimeZone;
use serde::Serialize;

use crate::alert::exec::{self, ALERT_LIMIT};
use crate::alert::mail::Mailer;
use crate::alert::notice::Notice;
use crate::alert::{StandaloneError, message, standalone, trap, webhook};
use crate::cli::trial::Plan;
use crate::cli::trial::monitor::{how, shown_variables};
use crate::cli::trial::remarks::{Level, Remark};
use crate::clock::{Clock, Stopwatch};
use crate::engine::call::{self, Telling};
use crate::engine::disabled::Disabled;
use crate::engine::event::{AlertCall, AlertKind, Ended, HostVerdict, Reason, Status};
use crate::engine::policy::{self, Call};
use crate::engine::state::{Acked, EventText, HostState, Moment, Outage, ServiceState};
use crate::model::{AlertCommand, AlertPeriod, AlertProgram, Model, ServiceId};
use crate::options::AlertOptions;
use crate::options::mail::MailOptions;
use crate::period::Period;
use crate::time::{Now, Wall};

/// The hosts of the sample events.
pub(super) const HOSTS: [&str; 2] = ["web1", "web2"];

/// Every kind of event.
pub(super) const KINDS: [AlertKind; 8] = [
    AlertKind::Failure,
    AlertKind::Up,
    AlertKind::Startup,
    AlertKind::Trap,
    AlertKind::TrapTimeout,
    AlertKind::Ack,
    AlertKind::Disable,
    AlertKind::Test,
];

/// Age of the sample outage.
const OUTAGE: Duration = Duration::from_secs(300);

/// An alert that takes longer holds up those behind it for the same service.
const SLOW: Duration = Duration::from_secs(30);

/// What the sample acknowledgement says.
const ACK: &str = "operator: this is a sample";

/// The only service.
const SERVICE: ServiceId = ServiceId(0);

/// Everything there is to say of the alerts.
#[derive(Clone, Debug, Default, Serialize)]
pub(super) struct AlertTrial {
    /// `alert`
    pub(super) kind: &'static str,
    /// `GROUP/SERVICE` where it was configured.
    pub(super) service: Option<String>,
    /// What the name became and why; none for a configured service.
    pub(super) why: Option<String>,
    /// One for each event and line.
    pub(super) calls: Vec<CallRow>,
    /// What its author should know.
    pub(super) remarks: Vec<Remark>,
}

/// One call.
#[derive(Clone, Debug, Serialize)]
pub(super) struct CallRow {
    /// `MON_ALERTTYPE`
    pub(super) kind: &'static str,
    /// As it stands in the file.
    pub(super) alert: String,
    /// The label of the period, where it was configured.
    pub(super) period: String,
    /// `built-in`, `executable` or `missing`.
    pub(super) became: &'static str,
    /// The program and its arguments; of a built-in its name and words.
    pub(super) argv: Vec<String>,
    /// Beside those of the caller.
    pub(super) environment: BTreeMap<String, String>,
    /// Standard input.
    pub(super) stdin: String,
    /// How it ended, or what a built-in would do.
    pub(super) outcome: String,
    /// Exit value; none for a built-in that sent nothing.
    pub(super) exit: Option<i32>,
    /// Whether it would count as delivered.
    pub(super) is_good: bool,
    /// From start to end.
    pub(super) took_ms: u64,
    /// What it printed; of a built-in what it would send.
    pub(super) output: String,
}

impl AlertTrial {
    /// Whether a call failed.
    pub(super) fn failed(&self) -> bool {
        self.calls.iter().any(|call| !call.is_good)
    }
}

/// A period that always holds, with that line for every kind of event.
pub(super) fn period(command: AlertCommand) -> AlertPeriod {
    let lines = vec![Arc::new(command)];
    AlertPeriod {
        alerts: lines.clone(),
        upalerts: lines.clone(),
        startupalerts: lines.clone(),
        ackalerts: lines.clone(),
        disablealerts: lines,
        ..AlertPeriod::new("".into(), Period::ALWAYS)
    }
}

/// Calls every line of the plan with every kind of event that it is for.
pub(super) async fn run(plan: Plan) -> AlertTrial {
    let mut trial = AlertTrial {
        kind: "alert",
        service: plan.configured.clone(),
        why: plan.resolution.as_ref().map(|found| found.why.clone()),
        ..AlertTrial::default()
    };
    let kinds = match plan.kinds.as_slice() {
        [] => &KINDS[..],
        some => some,
    };
    for &kind in kinds {
        for call in calls(&plan.model, kind) {
            let row = attempt(&plan.model, &call, plan.really).await;
            remark(&row, &mut trial.remarks);
            trial.calls.push(row);
        }
    }
    if trial.calls.is_empty() {
        trial.remarks.push(Remark::new(
            Level::Warning,
            "no_lines",
            "no line of the service is for these kinds of events",
            "add alert, upalert or another such line to a period",
        ));
    }
    trial.remarks.sort_by_key(|remark| remark.level);
    trial
}

/// The calls that the engine composes for a sample event, whatever the rules of periods say.
fn calls(model: &Model, kind: AlertKind) -> Vec<AlertCall> {
    let now = Clock::start().now();
    let service = model.service(SERVICE);
    let lines = service
        .periods
        .iter()
        .enumerate()
        .flat_map(|(index, period)| {
            let lines = policy::lines(period, kind).iter();
            lines.map(move |command| Call {
                period: Some(index),
                command: Arc::clone(command),
            })
        });
    let hosts = hosts(model, kind);
    let failing = hosts.first().map_or("", |host| host.host.as_str());
    let text = text(kind, failing, now.wall);
    let state = state(kind, now);
    let telling = Telling {
        model,
        disabled: &Disabled::default(),
        service: SERVICE,
        kind,
        state: &state,
        exit: exit(kind),
        text: &text,
        before: (kind != AlertKind::Startup).then_some(&text),
        is_first: kind == AlertKind::Startup,
        hosts: &hosts,
        intended: None,
        now,
    };
    call::alert_calls(
        &telling,
        lines.collect(),
        now.wall.seconds(),
        &mut 0,
        &mut 0,
    )
}

fn exit(kind: AlertKind) -> Option<i32> {
    match kind {
        AlertKind::Failure | AlertKind::Trap | AlertKind::TrapTimeout => Some(1),
        AlertKind::Up | AlertKind::Startup | AlertKind::Test => Some(0),
        AlertKind::Ack | AlertKind::Disable => None,
    }
}

/// What each kind of event says (docs/mon.md, "Alerts").
fn text(kind: AlertKind, failing: &str, now: Wall) -> EventText {
    let output = match kind {
        AlertKind::Failure | AlertKind::Up | AlertKind::Trap => {
            format!(
                "{failing}\n\n{failing}: connection refused\nthis is a sample, nothing is wrong\n"
            )
        }
        AlertKind::Startup => String::new(),
        AlertKind::TrapTimeout => {
            let time = now.seconds();
            format!("trap timeout\ntrap timeout after 60s at {time}\n")
        }
        AlertKind::Ack => ACK.to_owned(),
        AlertKind::Disable => "operator".to_owned(),
        AlertKind::Test => "test\ntest detail\n".to_owned(),
    };
    EventText {
        output: output.into_bytes().into(),
        ..EventText::default()
    }
}

fn state(kind: AlertKind, now: Now) -> ServiceState {
    let ago = |span: Duration| {
        let micros = i64::try_from(span.as_micros()).unwrap_or(i64::MAX);
        Wall::from_micros(now.wall.as_micros().saturating_sub(micros))
    };
    let outage = Outage {
        since: Moment::restored(ago(OUTAGE), now),
        first_failure: ago(OUTAGE),
        consec_failures: 6,
        ..Outage::new(now)
    };
    let status = match kind {
        AlertKind::Failure | AlertKind::Trap | AlertKind::Ack | AlertKind::TrapTimeout => {
            Status::Fail
        }
        AlertKind::Up | AlertKind::Disable | AlertKind::Test => Status::Ok,
        AlertKind::Startup => Status::Untested,
    };
    let has_outage = status == Status::Fail || kind == AlertKind::Up;
    ServiceState {
        status,
        exit: exit(kind),
        last_check: Some(now.wall),
        last_success: (status != Status::Untested).then(|| ago(2 * OUTAGE)),
        outage: has_outage.then(|| Box::new(outage)),
        ack: (kind == AlertKind::Ack).then(|| {
            Box::new(Acked {
                time: now.wall,
                comment: ACK.into(),
            })
        }),
        ..ServiceState::default()
    }
}

/// What the report said of the hosts: the first of them fails.
fn hosts(model: &Model, kind: AlertKind) -> Vec<HostState> {
    let fails = matches!(kind, AlertKind::Failure | AlertKind::Trap);
    let members = model.hostgroup(SERVICE).members.iter().enumerate();
    members
        .map(|(index, member)| {
            let is_down = fails && index == 0;
            HostState {
                host: member.host.clone(),
                verdict: match is_down {
                    true => HostVerdict::Down(Reason::Refused),
                    false => HostVerdict::Up,
                },
                text: if is_down { "connection refused" } else { "" }.into(),
            }
        })
        .collect()
}

async fn attempt(model: &Model, call: &AlertCall, really: bool) -> CallRow {
    let mut row = CallRow {
        kind: call.kind.word(),
        alert: call.command.name.to_string(),
        period: call.period.to_string(),
        became: "built-in",
        argv: vec![call.command.name.to_string()],
        environment: shown_variables(&call.environment),
        stdin: String::from_utf8_lossy(&call.input).into_owned(),
        outcome: String::new(),
        exit: None,
        is_good: true,
        took_ms: 0,
        output: String::new(),
    };
    row.argv.extend(call.command.shown_args());
    let watch = Stopwatch::start();
    match &call.command.program {
        AlertProgram::Executable(path) => {
            row.became = "executable";
            row.argv = vec![path.display().to_string()];
            row.argv.extend(exec::arguments(call));
            let ran = exec::alert(path, call, ALERT_LIMIT).await;
            row.outcome = how(&ran.ended);
            row.exit = Some(ran.ended.exit());
            row.is_good = ran.ended == Ended::Exited(0);
            row.output = ran.output;
        }
        AlertProgram::Missing(why) => {
            row.became = "missing";
            row.outcome = format!("never called: {why}");
            row.is_good = false;
        }
        AlertProgram::Native(options) => native(options, model, call, really, &mut row).await,
    }
    row.took_ms = u64::try_from(watch.elapsed().as_millis()).unwrap_or(u64::MAX);
    row
}

async fn native(
    options: &AlertOptions,
    model: &Model,
    call: &AlertCall,
    really: bool,
    row: &mut CallRow,
) {
    let settings = &model.globals.mail;
    let sent = match options {
        AlertOptions::Mail(options) => {
            let notice = Notice::new(call, options.subject.as_deref());
            row.output = mail(options, &notice, &Mailer::new(settings.clone()));
            if really {
                Some(standalone::mail(options, notice, settings.clone()).await)
            } else {
                None
            }
        }
        AlertOptions::Webhook(options) => {
            let notice = Notice::new(call, None);
            let body = webhook::body(&notice, Mailer::new(settings.clone()).host());
            row.output = format!("POST {}\n{body}\n", options.url);
            if really {
                Some(standalone::webhook(options, &notice, call.time).await)
            } else {
                None
            }
        }
        AlertOptions::Trap(options) => {
            let to: Vec<String> = options.receivers.iter().map(ToString::to_string).collect();
            row.output = match call.exit {
                Some(exit) => format!(
                    "a trap to {}: group {}, service {}, status {exit}\n",
                    to.join(", "),
                    call.group,
                    call.name
                ),
                None => "no trap: this kind of event has no exit value\n".to_owned(),
            };
            if really {
                let sent = trap::alert(options, call).await;
                Some(sent.map_err(StandaloneError::Failed))
            } else {
                None
            }
        }
        AlertOptions::Lvs(options) => {
            row.outcome = "sends nothing: it decides over the table".to_owned();
            row.output = format!(
                "virtual service {}: a failure takes real servers out, a success with an upalert \
                 line of the same words puts them back\n",
                options.virtual_service
            );
            return;
        }
    };
    (row.outcome, row.is_good) = match sent {
        None => ("would send this; --really sends it".to_owned(), true),
        Some(Ok(())) => ("sent".to_owned(), true),
        Some(Err(why)) => (format!("not sent: {why}"), false),
    };
}

/// The mail as it would leave.
fn mail(options: &MailOptions, notice: &Notice, mailer: &Mailer) -> String {
    let address = |found: Result<String, String>| found.unwrap_or_else(|why| format!("({why})"));
    let to = options.recipients.iter();
    let to: Vec<String> = to.map(|word| address(mailer.complete(word))).collect();
    let text = message::text(std::slice::from_ref(notice), &TimeZone::system());
    format!(
        "From: {}\nTo: {}\nSubject: {}\n\n{}",
        address(mailer.sender(options.from.as_deref())),
        to.join(", "),
        text.subject,
        text.body
    )
}

fn remark(row: &CallRow, remarks: &mut Vec<Remark>) {
    let mut add = |level, code, text: String, advice| {
        if !remarks.iter().any(|known: &Remark| known.code == code) {
            remarks.push(Remark::new(level, code, text, advice));
        }
    };
    let kind = row.kind;
    if row.outcome.starts_with("not started") || row.became == "missing" {
        add(
            Level::Problem,
            "not_started",
            row.outcome.clone(),
            "nobody is told anything by this line",
        );
        return;
    }
    if row.outcome.starts_with("killed") {
        add(
            Level::Problem,
            "killed",
            format!("with kind {kind} it was {}", row.outcome),
            "the alert counts as given up, and those behind it of the same service waited",
        );
    }
    if row.became != "executable" {
        return;
    }
    let complains = |line: &&str| {
        let line = line.to_lowercase();
        ["unknown option", "illegal option", "invalid option"]
            .iter()
            .any(|words| line.contains(words))
    };
    if let Some(line) = row.output.lines().find(complains) {
        add(
            Level::Warning,
            "unknown_mark",
            format!("with kind {kind} it complains: {line}"),
            "pass over marks that you do not know; MON_ALERTTYPE says the kind",
        );
    }
    if u128::from(row.took_ms) > SLOW.as_millis() {
        add(
            Level::Warning,
            "slow",
            format!("with kind {kind} it took {} s", row.took_ms / 1_000),
            "calls of one service wait for each other",
        );
    }
}
