//! An alert under trial: called by the engine's composition with a sample of each kind of event.
//!
//! Executables are run as the daemon runs them. Built-in ones say what they would send, and send
//! it only where that is asked for: they have receivers.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::tz::TimeZone;
use serde::Serialize;

use crate::alert::exec::{self, ALERT_LIMIT, Ran};
use crate::alert::mail::Mailer;
use crate::alert::notice::Notice;
use crate::alert::{StandaloneError, message, standalone, trap, webhook};
use crate::cli::trial::monitor::shown_variables;
use crate::cli::trial::remarks::{Level, Remark};
use crate::cli::trial::{Plan, sample};
use crate::clock::Stopwatch;
use crate::engine::event::{AlertCall, AlertKind, Ended};
use crate::model::{AlertCommand, AlertPeriod, AlertProgram, Model};
use crate::options::AlertOptions;
use crate::options::mail::MailOptions;
use crate::options::masked;
use crate::period::Period;

/// An alert that takes longer holds up those behind it for the same service.
const SLOW: Duration = Duration::from_secs(30);

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
        [] => &AlertKind::ALL[..],
        some => some,
    };
    for &kind in kinds {
        for call in sample::calls(&plan.model, kind) {
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
    trial.remarks.extend(plan.late_option);
    trial.remarks.sort_by_key(|remark| remark.level);
    trial
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
            row.argv.extend(exec::marks(call));
            row.argv.extend(call.command.shown_args());
            let ran = exec::alert(path, call, ALERT_LIMIT).await;
            let ran = ran.unwrap_or_else(|unstarted| Ran::not(unstarted.why()));
            row.outcome = ran.ended.to_string();
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
            row.output = format!("POST {}\n{body}\n", masked::url(&options.url));
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
