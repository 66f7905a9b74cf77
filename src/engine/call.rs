//! What a monitor and an alert are told: arguments, environment, input.
//!
//! Pure. Composes [`Run`]s and [`AlertCall`]s from the Model and the state of a service.
//! Not here: whether there is a run or an alert at all (schedule, policy).
//!
//! Source: docs/mon.md, "Runs" and "Alerts"; E-17 kept: an upalert gets the output of the
//! failure before it.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use crate::engine::disabled::Disabled;
use crate::engine::event::{
    AlertCall, AlertId, AlertKind, Executable, HostVerdict, Purpose, Report, Run, RunId,
    RunProgram, Status, Tell, Trouble,
};
use crate::engine::policy::Call;
use crate::engine::saved;
use crate::engine::schedule::Lane;
use crate::engine::state::{EventText, HostState, ServiceState, summary_left};
use crate::model::{
    AlertCommand, DeclaredService, Globals, HostName, Model, MonitorCommand, MonitorProgram,
    Service, ServiceId,
};
use crate::pair::talk::EventKind;
use crate::pair::talk::delivered::SECTION_GROUP;
use crate::text;
use crate::time::{Now, Wall};

/// What starting a service comes to.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Attempt {
    /// A run, to be started.
    Run(Box<Run>),
    /// No host is left to check.
    NoHosts,
    /// Its program is missing, for this reason: a failure (E-7 fixed).
    Missing(String),
}

/// The limit that the runs of a monitor count against; none where nothing would run.
pub(crate) fn lane(monitor: &MonitorCommand) -> Option<Lane> {
    match monitor.program {
        MonitorProgram::Native(_) => Some(Lane::Checks),
        MonitorProgram::Executable(_) => Some(Lane::Executables),
        MonitorProgram::Missing(_) => None,
    }
}

/// The hosts that the monitor of a service checks: enabled members without `exclude_hosts`.
pub(crate) fn checked_hosts(model: &Model, disabled: &Disabled, id: ServiceId) -> Vec<HostName> {
    let service = model.service(id);
    disabled
        .enabled(model.hostgroup(id))
        .filter(|member| !service.exclude_hosts.contains(&member.host))
        .map(|member| member.host.clone())
        .collect()
}

/// Whether one host of its group can be checked by itself: the monitor is a check of our own, which
/// looks at the hosts of the group and no others.
pub(crate) fn checks_single_hosts(monitor: &MonitorCommand) -> bool {
    match &monitor.program {
        MonitorProgram::Native(options) => monitor.appends_hosts && options.own_hosts().is_empty(),
        MonitorProgram::Executable(_) | MonitorProgram::Missing(_) => false,
    }
}

/// Composes a run of the monitor of a service, which checks `hosts`.
pub(crate) fn attempt(
    model: &Model,
    hosts: Vec<HostName>,
    id: ServiceId,
    monitor: &MonitorCommand,
    state: &ServiceState,
    run: RunId,
) -> Attempt {
    let service = model.service(id);
    let program = match &monitor.program {
        MonitorProgram::Missing(reason) => return Attempt::Missing(reason.clone()),
        MonitorProgram::Native(_) | MonitorProgram::Executable(_)
            if hosts.is_empty() && monitor.appends_hosts && !service.allow_empty_group =>
        {
            return Attempt::NoHosts;
        }
        MonitorProgram::Native(options) => {
            let variables = || monitor_environment(&model.globals, service, state);
            RunProgram::Native(options.clone().in_environment(variables))
        }
        MonitorProgram::Executable(path) => {
            let mut args = monitor.args.clone();
            if monitor.appends_hosts {
                args.extend(hosts.iter().map(HostName::to_string));
            }
            RunProgram::Executable(Executable {
                path: path.clone(),
                args,
                environment: monitor_environment(&model.globals, service, state),
                limit: model.globals.monitor_timeout,
            })
        }
    };
    let hosts = match &program {
        // The hosts of a `;;` line are among its own words.
        RunProgram::Native(_) if !monitor.appends_hosts => Vec::new(),
        RunProgram::Native(_) | RunProgram::Executable(_) => hosts,
    };
    Attempt::Run(Box::new(Run {
        id: run,
        purpose: Purpose::Slot,
        service: id,
        let_go: Vec::new(),
        program,
        user: model.globals.monitor_user.clone(),
        hosts,
        tell: Tell::AtItsEnd,
        leads: BTreeMap::new(),
    }))
}

/// The variables of a monitor (docs/mon.md, "Runs"), the service's own first: the built-in ones
/// win.
fn monitor_environment(
    globals: &Globals,
    service: &Service,
    state: &ServiceState,
) -> Vec<(String, String)> {
    let mut variables = Variables::of(globals, service);
    let outage = state.outage.as_deref();
    if state.status != Status::Untested {
        let text = state.text.as_deref();
        if let Some(summary) = state.summary() {
            variables.set("MON_LAST_SUMMARY", &summary);
        }
        variables.set_bytes("MON_LAST_OUTPUT", text.map_or(&[], |text| &*text.output));
        let first = outage.map(|outage| outage.began.wall);
        variables.set_time("MON_FIRST_FAILURE", first);
    }
    variables.set_time("MON_LAST_FAILURE", outage.map(|outage| outage.last_failure));
    variables.set_time("MON_LAST_SUCCESS", state.last_success);
    if let Some(holds) = state.depend_status {
        variables.set("MON_DEPEND_STATUS", if holds { "1" } else { "0" });
    }
    variables.0
}

/// One event, as all its alerts are told of it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Telling<'a> {
    pub(crate) model: &'a Model,
    pub(crate) disabled: &'a Disabled,
    pub(crate) service: ServiceId,
    pub(crate) kind: AlertKind,
    /// As of the decision: after the counters, before an outage is forgotten.
    pub(crate) state: &'a ServiceState,
    /// Exit value; none for acknowledgements and disables.
    pub(crate) exit: Option<i32>,
    /// What the alerts get on standard input.
    pub(crate) text: &'a EventText,
    /// Output of the event before; none before the first, or where it said nothing.
    pub(crate) before: Option<&'a EventText>,
    /// Whether there was an event before.
    pub(crate) is_first: bool,
    /// What the report said of each host.
    pub(crate) hosts: &'a [HostState],
    /// `GROUP:SERVICE` that a trap was meant for, where `default` caught it.
    pub(crate) intended: Option<&'a str>,
    pub(crate) now: Now,
}

/// Composes the calls of one event. `number` counts the calls of the outage and `id` all
/// calls; both are moved on.
pub(crate) fn alert_calls(
    telling: &Telling<'_>,
    calls: Vec<Call>,
    began: i64,
    number: &mut u32,
    id: &mut u64,
) -> Vec<AlertCall> {
    let service = telling.model.service(telling.service);
    let summary = telling.text.summary(Status::Fail).into_owned();
    let environment: Arc<[_]> = alert_environment(telling, service).into();
    let enabled: Vec<&str> = telling
        .disabled
        .enabled(telling.model.hostgroup(telling.service))
        .map(|member| member.host.as_str())
        .collect();
    let hosts = enabled.join(" ");
    let results: Vec<(HostName, HostVerdict, String)> = telling
        .hosts
        .iter()
        .map(|state| (state.host.clone(), state.verdict, state.text.to_string()))
        .collect();
    let record: Arc<str> = saved::key(service).into();
    let one = |call: Call| {
        *number = number.saturating_add(1);
        *id = id.saturating_add(1);
        AlertCall {
            id: AlertId(*id),
            record: Arc::clone(&record),
            event: format!(
                "{}/{}/{began}/{}/{number}",
                service.group,
                service.name,
                telling.kind.word()
            ),
            service: Some(telling.service),
            kind: telling.kind,
            command: call.command,
            group: Arc::clone(&service.group),
            name: Arc::clone(&service.name),
            period: call
                .period
                .and_then(|period| service.periods.get(period))
                .map_or_else(|| "".into(), |period| Arc::clone(&period.label)),
            hosts: hosts.clone(),
            time: telling.now.wall,
            summary: summary.clone(),
            input: Arc::clone(&telling.text.output),
            environment: Arc::clone(&environment),
            results: results.clone(),
            status: telling.state.status,
            exit: telling.exit,
            first_failure: telling.state.outage.as_deref().map(|it| it.began.wall),
        }
    };
    calls.into_iter().map(one).collect()
}

/// What happened to a declared virtual service, as one of its alert lines is told.
#[derive(Clone, Debug)]
pub(crate) struct SectionEvent<'a> {
    pub(crate) section: &'a DeclaredService,
    pub(crate) trouble: Trouble,
    /// [`AlertKind::Failure`] or [`AlertKind::Up`].
    pub(crate) kind: AlertKind,
    pub(crate) command: Arc<AlertCommand>,
    /// The number of the trouble.
    pub(crate) began: i64,
    /// Which of the section's lines of this kind.
    pub(crate) line: u32,
    /// When it began.
    pub(crate) first: Wall,
    pub(crate) text: &'a str,
    /// Key of the trouble's record.
    pub(crate) record: &'a str,
    /// Who is in, who is out and why: lines.
    pub(crate) servers: &'a str,
    pub(crate) now: Now,
}

/// Composes the call of one line of a section.
pub(crate) fn section_call(model: &Model, event: &SectionEvent<'_>, id: u64) -> AlertCall {
    let section = event.section;
    let name = section.key.to_string();
    let (status, exit) = match event.kind {
        AlertKind::Up => (Status::Ok, 0),
        AlertKind::Failure
        | AlertKind::Startup
        | AlertKind::Trap
        | AlertKind::TrapTimeout
        | AlertKind::Ack
        | AlertKind::Disable
        | AlertKind::Test => (Status::Fail, 1),
    };
    let mut hosts: Vec<&str> = Vec::new();
    for server in &section.servers {
        if !hosts.contains(&server.host.as_str()) {
            hosts.push(server.host.as_str());
        }
    }
    let mut variables = Variables::named(&model.globals, SECTION_GROUP, &name, Vec::new());
    variables.set("MON_ALERTTYPE", event.kind.word());
    variables.set("MON_RETVAL", &exit.to_string());
    variables.set("MON_OPSTATUS", &status.number().to_string());
    variables.set("MON_LAST_SUMMARY", event.text);
    variables.set_time("MON_FIRST_FAILURE", Some(event.first));
    let kind = match event.trouble {
        Trouble::Contested if event.kind == AlertKind::Up => EventKind::ContestedOver,
        Trouble::Contested => EventKind::Contested,
        Trouble::TooFew | Trouble::Fallback | Trouble::NoServer => event.kind.event(),
    };
    let kind = kind.word();
    AlertCall {
        id: AlertId(id),
        record: event.record.into(),
        event: format!(
            "{SECTION_GROUP}/{}/{}/{kind}/{}",
            event.trouble.name_in(section.key),
            event.began,
            event.line
        ),
        service: None,
        kind: event.kind,
        command: Arc::clone(&event.command),
        group: SECTION_GROUP.into(),
        name: name.into(),
        period: "".into(),
        hosts: hosts.join(" "),
        time: event.now.wall,
        summary: event.text.to_owned(),
        input: format!("{}\n{}", event.text, event.servers)
            .into_bytes()
            .into(),
        environment: variables.0.into(),
        results: Vec::new(),
        status,
        exit: Some(exit),
        first_failure: Some(event.first),
    }
}

/// The variables of an alert (docs/mon.md, "Alerts").
fn alert_environment(telling: &Telling<'_>, service: &Service) -> Vec<(String, String)> {
    let mut variables = Variables::of(&telling.model.globals, service);
    let state = telling.state;
    let outage = state.outage.as_deref();
    variables.set("MON_ALERTTYPE", telling.kind.word());
    if let Some(exit) = telling.exit {
        variables.set("MON_RETVAL", &exit.to_string());
    }
    variables.set("MON_OPSTATUS", &state.status.number().to_string());
    if let Some(summary) = alert_summary(telling) {
        variables.set("MON_LAST_SUMMARY", &summary);
    }
    if outage.is_some() || !telling.is_first {
        let first = outage.map(|outage| outage.began.wall);
        variables.set_time("MON_FIRST_FAILURE", first);
    }
    if !telling.is_first {
        let before = telling.before.map_or(&[][..], |text| &*text.output);
        variables.set_bytes("MON_LAST_OUTPUT", before);
    }
    variables.set_time("MON_LAST_FAILURE", outage.map(|outage| outage.last_failure));
    variables.set_time("MON_LAST_SUCCESS", state.last_success);
    variables.set("MON_FIRST_SUCCESS", "");
    if let Some(ack) = &state.ack {
        variables.set("MON_ACK", &ack.comment);
    }
    if let Some(intended) = telling.intended {
        variables.set("MON_TRAP_INTENDED", intended);
    }
    variables.0
}

/// `MON_LAST_SUMMARY`: of a failure its own, else what the event before left. What a test says
/// is no event.
fn alert_summary<'a>(telling: &Telling<'a>) -> Option<Cow<'a, str>> {
    let state = telling.state;
    match telling.kind {
        AlertKind::Failure | AlertKind::Trap | AlertKind::TrapTimeout => {
            Some(telling.text.summary(Status::Fail))
        }
        AlertKind::Up if state.last_status == Status::Fail => summary_left(telling.before, Some(1)),
        // A `redistribute` line is told of every success.
        AlertKind::Up
        | AlertKind::Startup
        | AlertKind::Ack
        | AlertKind::Disable
        | AlertKind::Test => summary_left(telling.before, state.exit),
    }
}

/// Variables in the order in which they take effect.
struct Variables(Vec<(String, String)>);

impl Variables {
    /// Those that monitors and alerts have in common.
    fn of(globals: &Globals, service: &Service) -> Self {
        let own = service.environment.iter();
        let own = own.map(|(name, value)| (name.to_string(), value.to_string()));
        let mut variables = Self::named(globals, &service.group, &service.name, own.collect());
        if let Some(description) = &service.description {
            variables.set("MON_DESCRIPTION", description);
        }
        variables
    }

    /// Those of something with this group and name, behind its own.
    fn named(globals: &Globals, group: &str, name: &str, own: Vec<(String, String)>) -> Self {
        let mut variables = Self(own);
        variables.set("MON_GROUP", group);
        variables.set("MON_SERVICE", name);
        variables.set("MON_STATEDIR", &globals.statedir.to_string_lossy());
        variables.set("MON_LOGDIR", &globals.logdir.to_string_lossy());
        variables.set("MON_CFBASEDIR", &globals.cfbasedir.to_string_lossy());
        variables
    }

    /// Without zero bytes, which no variable can hold, and short enough for the kernel.
    fn set(&mut self, name: &str, value: &str) {
        let mut value = value.replace('\0', "");
        text::shorten(&mut value, Report::OUTPUT_MAX);
        self.0.push((name.to_owned(), value));
    }

    fn set_bytes(&mut self, name: &str, value: &[u8]) {
        self.set(name, &String::from_utf8_lossy(value));
    }

    /// Whole seconds; 0 where there is no such moment.
    fn set_time(&mut self, name: &str, moment: Option<Wall>) {
        let seconds = moment.map_or(0, Wall::seconds);
        self.0.push((name.to_owned(), seconds.to_string()));
    }
}
