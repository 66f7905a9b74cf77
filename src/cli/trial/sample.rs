//! How an event of each kind comes about: the engine lives through a short story of the service,
//! whose last event is the sample. So alerts are told what they are told in the daemon.
//!
//! The rules of periods are left out, since each line is to be called; programs are stand-ins
//! that the engine only names.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::cli::trial::stage::{SERVICE, Stage};
use crate::clock::Clock;
use crate::engine::event::{
    Action, AlertCall, AlertKind, Ended, Event, HostResult, HostVerdict, Reason, Report, Target,
    Trap, Wish,
};
use crate::model::{
    AlertCommand, AlertPeriod, AlertProgram, Model, MonitorCommand, MonitorProgram, Service,
};
use crate::period::Period;
use crate::time::{Now, Wall};

/// The hosts of the sample events.
pub(super) const HOSTS: [&str; 2] = ["web1", "web2"];

/// From one run, or trap, of the story to the next: the sample outage is this old.
const STEP: Duration = Duration::from_secs(300);

/// Where the service has no `traptimeout`.
const TRAP_TIMEOUT: Duration = Duration::from_secs(60);

/// The sample is the second one of an outage, as with failures and traps.
const TIMEOUTS: u32 = 2;

/// Who acknowledges and disables.
const USER: &str = "operator";

/// What the sample acknowledgement says.
const ACK: &str = "this is a sample";

/// The calls of all lines that are for this kind of event, whatever the rules of periods say.
pub(super) fn calls(model: &Model, kind: AlertKind) -> Vec<AlertCall> {
    let mut lines = Lines::default();
    let model = prepared(model, kind, &mut lines);
    let length = story_length(kind, model.service(SERVICE));
    let now = Clock::start().now();
    let began = Now {
        mono: now.mono,
        wall: earlier(now.wall, length),
    };
    let mut story = Story::begin(model, began);
    story.tell(kind);
    let calls = story.calls.into_iter();
    calls
        .filter(|call| call.kind == kind)
        .filter_map(|call| lines.restored(call))
        .collect()
}

/// Stand-ins and what they stand for.
#[derive(Debug, Default)]
struct Lines(BTreeMap<PathBuf, Arc<AlertCommand>>);

impl Lines {
    /// A line that is always called, by the engine's own rules.
    fn stand_in(&mut self, line: &Arc<AlertCommand>) -> Arc<AlertCommand> {
        let path = PathBuf::from(self.0.len().to_string());
        self.0.insert(path.clone(), Arc::clone(line));
        Arc::new(AlertCommand {
            exit: None,
            program: AlertProgram::Executable(path),
            ..AlertCommand::clone(line)
        })
    }

    /// The call of the line itself; none for the alert that only makes others possible.
    fn restored(&self, call: AlertCall) -> Option<AlertCall> {
        let AlertProgram::Executable(path) = &call.command.program else {
            return None;
        };
        let command = Arc::clone(self.0.get(path)?);
        Some(AlertCall { command, ..call })
    }
}

/// The service without all that holds runs or alerts back.
fn prepared(model: &Model, kind: AlertKind, lines: &mut Lines) -> Model {
    let mut model = model.clone();
    model.bindings = Vec::new();
    model.witnesses = Vec::new();
    model.virtual_services = Vec::new();
    for service in &mut model.services {
        let is_told_by_traps = matches!(kind, AlertKind::Trap | AlertKind::TrapTimeout);
        service.monitor = (!is_told_by_traps).then(|| {
            Arc::new(MonitorCommand {
                name: "sample".into(),
                args: Vec::new(),
                written: "sample".into(),
                appends_hosts: true,
                program: MonitorProgram::Executable(PathBuf::new()),
            })
        });
        service.interval = (!is_told_by_traps).then_some(STEP);
        service.allow_empty_group = true;
        service.traptimeout = match kind {
            AlertKind::TrapTimeout => service.traptimeout.or(Some(TRAP_TIMEOUT)),
            AlertKind::Failure
            | AlertKind::Up
            | AlertKind::Startup
            | AlertKind::Trap
            | AlertKind::Ack
            | AlertKind::Disable
            | AlertKind::Test => None,
        };
        service.trapduration = None;
        service.redistribute = None;
        for period in &mut service.periods {
            *period = without_rules(period, lines);
        }
    }
    model
}

fn without_rules(period: &AlertPeriod, lines: &mut Lines) -> AlertPeriod {
    let mut all = |list: &[Arc<AlertCommand>]| -> Vec<_> {
        list.iter().map(|line| lines.stand_in(line)).collect()
    };
    let mut open = AlertPeriod {
        alerts: all(&period.alerts),
        upalerts: all(&period.upalerts),
        startupalerts: all(&period.startupalerts),
        ackalerts: all(&period.ackalerts),
        disablealerts: all(&period.disablealerts),
        ..AlertPeriod::new(Arc::clone(&period.label), Period::ALWAYS)
    };
    // Upalerts and ackalerts follow an alert.
    open.alerts.push(Arc::new(AlertCommand {
        exit: None,
        name: "sample".into(),
        args: Vec::new(),
        written: "".into(),
        program: AlertProgram::Executable(PathBuf::new()),
    }));
    open
}

/// From the start of the story to its last event.
fn story_length(kind: AlertKind, service: &Service) -> Duration {
    match kind {
        AlertKind::Startup => Duration::ZERO,
        AlertKind::Disable | AlertKind::Test => STEP,
        AlertKind::Failure | AlertKind::Ack => 3 * STEP,
        AlertKind::Up => 4 * STEP,
        AlertKind::Trap => 2 * STEP,
        AlertKind::TrapTimeout => TIMEOUTS * service.traptimeout.unwrap_or(TRAP_TIMEOUT),
    }
}

fn earlier(wall: Wall, span: Duration) -> Wall {
    let micros = i64::try_from(span.as_micros()).unwrap_or(i64::MAX);
    Wall::from_micros(wall.as_micros().saturating_sub(micros))
}

/// What happens to the service, and the calls of the latest event.
struct Story {
    model: Arc<Model>,
    stage: Stage,
    calls: Vec<AlertCall>,
}

impl Story {
    fn begin(model: Model, began: Now) -> Self {
        let model = Arc::new(model);
        let (stage, actions) = Stage::start(Arc::clone(&model), began);
        Self {
            model,
            stage,
            calls: calls_of(&actions),
        }
    }

    /// Ends with an event of that kind.
    fn tell(&mut self, kind: AlertKind) {
        match kind {
            AlertKind::Startup => {}
            AlertKind::Failure => self.outage(),
            AlertKind::Up => {
                self.outage();
                self.run(true);
            }
            AlertKind::Ack => {
                self.outage();
                self.wish(Wish::Ack {
                    service: SERVICE,
                    user: USER.to_owned(),
                    comment: ACK.to_owned(),
                });
            }
            AlertKind::Disable => {
                self.run(true);
                self.wish(Wish::Disable {
                    target: Target::Service(SERVICE),
                    user: USER.to_owned(),
                });
            }
            AlertKind::Test => {
                self.run(true);
                self.test();
            }
            AlertKind::Trap => {
                self.trap(Duration::ZERO, true);
                self.trap(STEP, false);
                self.trap(STEP, false);
            }
            AlertKind::TrapTimeout => {
                self.trap(Duration::ZERO, true);
                for _ in 0..TIMEOUTS {
                    let actions = self.stage.next_deadline();
                    self.calls = calls_of(&actions.unwrap_or_default());
                }
            }
        }
    }

    /// A failure that lasts for some time.
    fn outage(&mut self) {
        self.run(true);
        self.run(false);
        self.run(false);
    }

    fn run(&mut self, is_good: bool) {
        let Some(run) = self.stage.next_run() else {
            return;
        };
        let failing = self.failing();
        let hosts = run.hosts.iter().map(|host| {
            let is_down = !is_good && host.as_str() == failing;
            HostResult {
                host: host.clone(),
                verdict: match is_down {
                    true => HostVerdict::Down(Reason::Refused),
                    false => HostVerdict::Up,
                },
                text: if is_down { "connection refused" } else { "" }.to_owned(),
                weight: None,
                took: Duration::ZERO,
            }
        });
        let report = Report {
            ended: Ended::Exited(i32::from(!is_good)),
            output: match is_good {
                true => Vec::new(),
                false => format!("{failing}\n\n{}", detail(&failing)).into_bytes(),
            },
            hosts: hosts.collect(),
            took: Duration::ZERO,
        };
        let run = run.id;
        self.happen(Duration::ZERO, Event::RunEnded { run, report });
    }

    fn trap(&mut self, wait: Duration, is_good: bool) {
        let service = self.model.service(SERVICE);
        let failing = self.failing();
        let trap = Trap {
            group: service.group.to_string(),
            service: service.name.to_string(),
            status: i32::from(!is_good).to_string(),
            detail: detail(&failing),
            summary: failing,
            from: IpAddr::V4(Ipv4Addr::LOCALHOST),
        };
        self.happen(wait, Event::Trap(trap));
    }

    /// `test alert` of each period.
    fn test(&mut self) {
        let mut calls = Vec::new();
        for period in 0..self.model.service(SERVICE).periods.len() {
            self.wish(Wish::TestAlert {
                service: SERVICE,
                period,
                kind: AlertKind::Test,
                exit: 0,
            });
            calls.append(&mut self.calls);
        }
        self.calls = calls;
    }

    fn wish(&mut self, wish: Wish) {
        self.happen(Duration::ZERO, Event::Operator(wish));
    }

    fn happen(&mut self, wait: Duration, event: Event) {
        self.calls = calls_of(&self.stage.tell_after(wait, event));
    }

    /// The host that fails.
    fn failing(&self) -> String {
        let mut members = self.model.hostgroup(SERVICE).members.iter();
        let first = members.find(|member| !member.starts_disabled);
        first.map_or_else(|| "sample".to_owned(), |member| member.host.to_string())
    }
}

fn detail(failing: &str) -> String {
    format!("{failing}: connection refused\nthis is a sample, nothing is wrong\n")
}

fn calls_of(actions: &[Action]) -> Vec<AlertCall> {
    actions.iter().filter_map(Action::sent).cloned().collect()
}
