//! A monitor under trial: run by the engine's order as often as asked, and what the engine makes
//! of each report.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;

use crate::cli::trial::Plan;
use crate::cli::trial::probe;
use crate::cli::trial::remarks::{self, Remark, Seen, Told};
use crate::cli::trial::stage::{SERVICE, Stage};
use crate::clock::Clock;
use crate::engine::event::{Action, Ended, Event, HostVerdict, Report, Run, RunProgram, Status};
use crate::engine::state::{self, EventText, HostState};
use crate::model::{HostName, Model, MonitorCommand, MonitorProgram};
use crate::monitor::{self, Tools};
use crate::names::Names;
use crate::wire::rules;

/// Everything there is to say of a monitor.
#[derive(Clone, Debug, Default, Serialize)]
pub(super) struct MonitorTrial {
    /// `monitor`
    pub(super) kind: &'static str,
    /// As it was called.
    pub(super) name: String,
    /// `built-in`, `executable` or `missing`.
    pub(super) became: &'static str,
    /// Why it became that.
    pub(super) why: String,
    /// `GROUP/SERVICE` where it was configured.
    pub(super) service: Option<String>,
    /// The program and its arguments; for a built-in its own name and words.
    pub(super) argv: Vec<String>,
    /// Beside those of the caller.
    pub(super) environment: BTreeMap<String, String>,
    /// The hosts to check.
    pub(super) hosts: Vec<String>,
    /// The hosts were told from the arguments by guess.
    pub(super) hosts_guessed: bool,
    /// Time limit in seconds; none for a built-in, which has its own.
    pub(super) limit_s: Option<f64>,
    /// In order.
    pub(super) runs: Vec<RunRow>,
    /// What its author should know.
    pub(super) remarks: Vec<Remark>,
}

/// One run.
#[derive(Clone, Debug, Serialize)]
pub(super) struct RunRow {
    /// How it ended, for a person.
    pub(super) ended: String,
    /// The exit value as mon counts it.
    pub(super) exit: i32,
    /// `ok` or `fail`
    pub(super) status: Status,
    /// From start to end.
    pub(super) took_ms: u64,
    /// First line of the output.
    pub(super) summary: String,
    /// The rest.
    pub(super) detail: String,
    /// What the daemon takes of each host.
    pub(super) hosts: Vec<HostRow>,
    /// What would be called, and what would be held back.
    pub(super) alerts: Vec<String>,
}

/// What the daemon takes of one host.
#[derive(Clone, Debug, Serialize)]
pub(super) struct HostRow {
    pub(super) host: String,
    /// `up`, `down` or `unknown`
    pub(super) verdict: &'static str,
    /// The reason code.
    pub(super) reason: Option<&'static str>,
    /// One line; built-ins only.
    pub(super) text: String,
    /// The weight that the check gives it, such as `17` or `75%`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) weight: Option<String>,
}

impl MonitorTrial {
    /// Whether it reported a failure.
    pub(super) fn failed(&self) -> bool {
        self.runs.iter().any(|run| run.status == Status::Fail)
    }
}

/// Tries the only monitor of the plan.
pub(super) async fn run(plan: Plan) -> MonitorTrial {
    let mut model = plan.model;
    for service in &mut model.services {
        // A trial has no time to wait for traps.
        service.traptimeout = None;
    }
    let model = Arc::new(model);
    let mut bench = Bench::new(Arc::clone(&model));
    let mut trial = described(&model, plan.configured, plan.resolution.as_ref());
    trial.hosts_guessed = plan.is_guess;
    let mut seen = Vec::new();
    let mut program = None;
    for _ in 0..plan.repeat {
        let Some(mut run) = bench.stage.next_run() else {
            break;
        };
        if let Some((families, id)) = &plan.decides {
            let names = run.names().into_iter();
            let leads = names.filter_map(|host| families.lead(*id, &host).map(|it| (host, it)));
            run.leads.extend(leads);
        }
        if trial.runs.is_empty() {
            trial.tell(&run);
        }
        if let RunProgram::Executable(found) = &run.program {
            program = Some((found.clone(), run.user.clone()));
        }
        let report = monitor::execute(run.clone(), bench.tools.clone()).await;
        let (row, told) = bench.report(&run, report);
        trial.runs.push(row);
        seen.push(told);
    }
    if seen.is_empty() {
        let (row, told) = bench.not_run();
        trial.runs.push(row);
        seen.push(told);
    }
    let was_started =
        !matches!(seen.first(), Some(one) if matches!(one.ended, Ended::NotStarted(_)));
    let probe = match program.filter(|_| plan.repeat > 1 && was_started) {
        Some((program, user)) => probe::run(&program, user.as_deref()).await,
        None => None,
    };
    let service = model.service(SERVICE);
    trial.remarks = remarks::monitor(&Told {
        runs: &seen,
        probe: probe.as_ref(),
        group: &trial.hosts,
        limit: trial.limit_s.map(Duration::from_secs_f64),
        interval: plan.interval,
        all_hosts_on_failure: service.all_hosts_on_failure,
        path: match &service.monitor.as_deref().map(|monitor| &monitor.program) {
            Some(MonitorProgram::Executable(path)) => Some(path),
            Some(MonitorProgram::Native(_) | MonitorProgram::Missing(_)) | None => None,
        },
        is_configured: trial.service.is_some(),
    });
    trial.remarks.extend(plan.late_option);
    trial
}

fn described(
    model: &Model,
    configured: Option<String>,
    resolution: Option<&crate::site::Resolution>,
) -> MonitorTrial {
    let monitor = model.service(SERVICE).monitor.as_deref();
    let became = match monitor.map(|monitor| &monitor.program) {
        Some(MonitorProgram::Native(_)) => "built-in",
        Some(MonitorProgram::Executable(_)) => "executable",
        Some(MonitorProgram::Missing(_)) | None => "missing",
    };
    let why = match (resolution, monitor.map(|monitor| &monitor.program)) {
        (Some(resolution), _) => resolution.why.clone(),
        (None, Some(MonitorProgram::Missing(why))) => why.clone(),
        (None, Some(MonitorProgram::Executable(path))) => path.display().to_string(),
        (None, Some(MonitorProgram::Native(_)) | None) => String::new(),
    };
    let words = |monitor: &MonitorCommand| {
        let mut words = vec![monitor.name.to_string()];
        words.extend(monitor.args.iter().cloned());
        words
    };
    MonitorTrial {
        kind: "monitor",
        name: monitor.map_or_else(String::new, |monitor| monitor.name.to_string()),
        argv: monitor.map_or_else(Vec::new, words),
        became,
        why,
        service: configured,
        ..MonitorTrial::default()
    }
}

impl MonitorTrial {
    /// What the run is given; the same for all runs but for what the one before said.
    fn tell(&mut self, run: &Run) {
        self.hosts = run.hosts.iter().map(HostName::to_string).collect();
        match &run.program {
            RunProgram::Executable(program) => {
                self.argv = vec![program.path.display().to_string()];
                self.argv.extend(program.args.iter().cloned());
                self.environment = shown_variables(&program.environment);
                self.limit_s = Some(program.limit.as_secs_f64());
            }
            RunProgram::Native(_) => {
                self.argv.extend(self.hosts.iter().cloned());
            }
        }
    }
}

/// The monitor's service on its stage.
struct Bench {
    stage: Stage,
    model: Arc<Model>,
    tools: Tools,
}

impl Bench {
    fn new(model: Arc<Model>) -> Self {
        let (stage, _) = Stage::start(Arc::clone(&model), Clock::start().now());
        Self {
            stage,
            model,
            tools: Tools::new(Names::system()),
        }
    }

    /// Tells the engine what a run found.
    fn report(&mut self, run: &Run, report: Report) -> (RunRow, Seen) {
        let service = self.model.service(SERVICE);
        let hosts = state::hosts_of(&report, &run.hosts, service);
        let event = Event::RunEnded {
            run: run.id,
            report: report.clone(),
        };
        let actions = self.stage.tell_after(report.took, event);
        row(report, &hosts, alerts(&actions))
    }

    /// What the daemon makes of a monitor that it cannot find.
    fn not_run(&self) -> (RunRow, Seen) {
        let monitor = self.model.service(SERVICE).monitor.as_deref();
        let why = match monitor.map(|monitor| &monitor.program) {
            Some(MonitorProgram::Missing(why)) => why.clone(),
            Some(MonitorProgram::Native(_) | MonitorProgram::Executable(_)) | None => {
                "it has no host to check".to_owned()
            }
        };
        let report = Report {
            ended: Ended::NotStarted(why),
            output: Vec::new(),
            hosts: Vec::new(),
            took: Duration::ZERO,
        };
        row(report, &[], Vec::new())
    }
}

fn row(report: Report, hosts: &[HostState], alerts: Vec<String>) -> (RunRow, Seen) {
    let (ended, took) = (report.ended.clone(), report.took);
    let output = report.output.clone();
    let status = match ended.exit() {
        0 => Status::Ok,
        _ => Status::Fail,
    };
    let text = EventText::of(report);
    let row = RunRow {
        ended: ended.to_string(),
        exit: ended.exit(),
        status,
        took_ms: u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
        summary: text.summary(status).into_owned(),
        detail: text.detail().into_owned(),
        hosts: hosts.iter().map(host_row).collect(),
        alerts,
    };
    let seen = Seen {
        ended,
        output,
        took,
        summary: row.summary.clone(),
        detail: row.detail.clone(),
        named: hosts
            .iter()
            .filter(|host| matches!(host.verdict, HostVerdict::Down(_)))
            .map(|host| host.host.to_string())
            .collect(),
    };
    (row, seen)
}

fn host_row(host: &HostState) -> HostRow {
    let (verdict, reason) = match host.verdict {
        HostVerdict::Up => ("up", None),
        HostVerdict::Down(reason) => ("down", Some(reason.code())),
        HostVerdict::Unknown(reason) => ("unknown", Some(reason.code())),
    };
    HostRow {
        host: host.host.to_string(),
        verdict,
        reason,
        text: host.text.to_string(),
        weight: host.weight.map(|weight| weight.to_string()),
    }
}

/// Variables as they are shown: passwords only as such, since a trial is shown to others more
/// readily than mon.cf.
pub(super) fn shown_variables(variables: &[(String, String)]) -> BTreeMap<String, String> {
    let is_secret = |name: &str| name.to_ascii_uppercase().contains("PASS");
    let shown = |(name, value): &(String, String)| match is_secret(name) {
        true => (name.clone(), "***".to_owned()),
        false => (name.clone(), value.clone()),
    };
    variables.iter().map(shown).collect()
}

/// What a daemon that had just started would send, and what it would hold back.
fn alerts(actions: &[Action]) -> Vec<String> {
    let line = |action: &Action| {
        if let Action::Send(call) = action {
            let (kind, name) = (call.kind.word(), &call.command.name);
            return Some(format!(
                "{kind} alert {name} in period {}",
                label(&call.period)
            ));
        }
        if let Action::Suppressed(held) = action {
            let period = label(held.period.as_deref().unwrap_or_default());
            let why = rules::sentence(&held.why);
            return Some(format!("held back in period {period}: {why}"));
        }
        None
    };
    actions.iter().filter_map(line).collect()
}

fn label(period: &str) -> &str {
    if period.is_empty() { "always" } else { period }
}
