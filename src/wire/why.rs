//! The answer to "why": everything the daemon knows of one service, as rows. Pure.

use serde::{Deserialize, Serialize};

use crate::engine::Engine;
use crate::engine::event::{AlertId, AlertKind, CutOff, Reason};
use crate::engine::held_up::LeftOut;
use crate::engine::recent::{HeldEntry, ResultEntry, SentEntry};
use crate::model::{HostName, MonitorProgram, Service, ServiceId};
use crate::text;
use crate::time::{Now, Wall};
pub use crate::wire::depends::DependRow;
use crate::wire::depends::depends;
pub use crate::wire::held_up::HeldUpRow;
use crate::wire::held_up::held_up;
use crate::wire::server::unnamed;
use crate::wire::{ServiceRow, ServiceStatus, rules, services};

/// Bytes of the detail in an answer: what fits a few screens.
const DETAIL_MAX: usize = 4_096;

/// Services of the group that are named where the one asked for is unknown.
const OTHERS_MAX: usize = 20;

/// Everything about one service. Times are Unix seconds, spans seconds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct WhyAnswer {
    /// Status, times, counters and hosts.
    pub service: ServiceRow,
    /// The time of the answer.
    pub time: i64,
    /// Free text of the service.
    pub description: Option<String>,
    /// The monitor and its words; none for a service that lives on traps.
    pub monitor: Option<String>,
    /// Exit value of the latest run.
    pub exit: Option<i32>,
    /// Further lines of the latest output, at most 4096 bytes.
    pub detail: String,
    /// Time from start to start, as configured.
    pub interval: Option<f64>,
    /// Until the next run, negative while it waits for a place; none while it runs and where
    /// none is planned.
    pub next_run: Option<f64>,
    /// How long the latest run took.
    pub took: Option<f64>,
    /// Since when nothing runs at all, by a person's word.
    pub stopped_since: Option<i64>,
    /// Where a person has disabled it.
    pub disabled: Option<DisabledAs>,
    /// Members that are disabled.
    pub disabled_hosts: Vec<String>,
    /// While its failure is acknowledged.
    pub ack: Option<AckRow>,
    /// Its dependencies.
    pub depends: Vec<DependRow>,
    /// What came of them the last time; none before.
    pub depend_status: Option<bool>,
    /// What keeps its checks from beginning now.
    #[serde(default)]
    pub held_up: Vec<HeldUpRow>,
    /// Members that `exclude_hosts` names.
    #[serde(default)]
    pub excluded_hosts: Vec<String>,
    /// Members that are not checked now since a failing parent names them.
    #[serde(default)]
    pub left_out_hosts: Vec<String>,
    /// While its failures count for nothing, since the director is cut off.
    #[serde(default)]
    pub cut_off: Option<CutOffRow>,
    /// When the latest trap came, and from where.
    pub last_trap: Option<TrapRow>,
    /// In file order.
    pub periods: Vec<PeriodRow>,
    /// What it knows is of before a restart: no check has ended since, and no trap came.
    #[serde(default)]
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub restored: bool,
    /// Of one that decides over real servers: so many of its last reports failed and named no host.
    #[serde(default)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unnamed: Option<u32>,
    /// Results of late, oldest first, equal ones in a row as one; empty where it was always good.
    pub results: Vec<ResultRow>,
    /// Alerts of late, oldest first.
    pub alerts: Vec<AlertRow>,
    /// Alerts held back of late, oldest first.
    pub held_back: Vec<HeldRow>,
}

/// What a person has disabled, so that nobody is told of the service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DisabledAs {
    /// The service itself.
    Service,
    /// Its watch, and not the service.
    Watch,
}

/// An acknowledgement.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AckRow {
    /// When.
    pub time: i64,
    /// `USER: TEXT`
    pub comment: String,
}

/// The director is cut off, by the word of its witnesses.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CutOffRow {
    /// Since when.
    pub since: i64,
    /// `GROUP:SERVICE` of each; one that is good ends it.
    pub witnesses: Vec<String>,
}

impl CutOffRow {
    pub(super) fn of(cut_off: &CutOff) -> Self {
        Self {
            since: cut_off.since.seconds(),
            witnesses: cut_off.witnesses.iter().map(ToString::to_string).collect(),
        }
    }
}

/// The latest trap.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TrapRow {
    /// When it came.
    pub time: i64,
    /// From which address.
    pub from: Option<String>,
}

/// A period.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PeriodRow {
    /// Its label, or its text.
    pub label: String,
    /// Whether it holds now.
    pub holds: bool,
    /// When that changes next; none where it never does.
    #[serde(default)]
    pub changes: Option<i64>,
    /// Alerts of the present outage.
    pub alerts_sent: u32,
}

/// Results that said the same.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ResultRow {
    /// Time of the first.
    pub first: i64,
    /// Time of the last.
    pub last: i64,
    /// How many.
    pub count: u32,
    /// What it made of the service.
    pub status: ServiceStatus,
    /// Exit value.
    pub exit: Option<i32>,
    /// Why it failed.
    pub reason: Option<Reason>,
    /// First line.
    pub summary: String,
    /// How long the last of them took.
    pub took: Option<f64>,
}

/// An alert that was called.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AlertRow {
    /// When.
    pub time: i64,
    /// Why.
    pub kind: AlertKind,
    /// Its name.
    pub alert: String,
    /// The label of the period.
    pub period: String,
    /// What it was told.
    pub summary: String,
    /// What came of it.
    pub delivery: DeliveryRow,
}

/// What came of an alert.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeliveryRow {
    /// Not yet handed over.
    Waiting,
    /// Handed over.
    Delivered,
    /// Told by the other director of the pair.
    Elsewhere,
    /// Told by nobody: it began and ended before a later outage that the other director told.
    Overtaken,
    /// Left to the other director, which was not heard to tell it.
    Left,
    /// Given up, for this reason.
    GivenUp(String),
}

/// Alerts that one rule held back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeldRow {
    /// Time of the first.
    pub first: i64,
    /// Time of the last.
    pub last: i64,
    /// How many.
    pub count: u32,
    /// What kind.
    pub kind: AlertKind,
    /// The label of the period; none where a rule of the whole service objected.
    pub period: Option<String>,
    /// The rule, a constant word.
    pub rule: String,
    /// A sentence with what was left of it the last time.
    pub text: String,
}

/// Everything about the service `group/name`.
///
/// # Errors
///
/// There is none of that name; the sentence says which there are.
pub fn why(
    engine: &Engine,
    now: Now,
    group: &str,
    name: &str,
    delivery: impl Fn(AlertId) -> DeliveryRow,
) -> Result<WhyAnswer, String> {
    let model = engine.model();
    let found = model.find(group, name);
    let Some((id, view)) = found.and_then(|id| Some((id, engine.service(id)?))) else {
        return Err(unknown(engine, group, name));
    };
    let service = model.service(id);
    let recent = engine.recent(id).cloned().unwrap_or_default();
    let hosts = view.hosts.iter().filter(|host| host.is_disabled);
    let left_out = |why: LeftOut| -> Vec<String> {
        let hosts = view.hosts.iter().map(|host| host.host);
        let hosts = hosts.filter(|host| engine.left_out(id, host) == Some(why));
        hosts.map(HostName::to_string).collect()
    };
    Ok(WhyAnswer {
        time: now.wall.seconds(),
        description: service.description.as_deref().map(str::to_owned),
        monitor: monitor(service),
        exit: view.exit,
        detail: cut(&view.detail),
        interval: service.interval.map(|span| span.as_secs_f64()),
        next_run: view.next_run.map(|at| {
            let left = at.since(now.mono).as_secs_f64();
            left - now.mono.since(at).as_secs_f64()
        }),
        took: view.monitor_duration.map(|span| span.as_secs_f64()),
        stopped_since: engine.stopped_since().map(Wall::seconds),
        disabled: match (view.is_disabled, engine.is_watch_disabled(group)) {
            (true, _) => Some(DisabledAs::Service),
            (false, true) => Some(DisabledAs::Watch),
            (false, false) => None,
        },
        disabled_hosts: hosts.map(|host| HostName::to_string(host.host)).collect(),
        ack: view.ack.map(|ack| AckRow {
            time: ack.time.seconds(),
            comment: ack.comment.to_owned(),
        }),
        depends: depends(engine, id),
        held_up: held_up(engine, id, None),
        excluded_hosts: left_out(LeftOut::Excluded),
        left_out_hosts: left_out(LeftOut::ByParent),
        depend_status: view.depend_status,
        cut_off: engine.cut_off(id).as_ref().map(CutOffRow::of),
        last_trap: view.last_trap.map(|time| TrapRow {
            time: time.seconds(),
            from: view.last_trap_from.map(|address| address.to_string()),
        }),
        periods: periods(engine, id, now.wall),
        restored: engine.is_from_before(id),
        unnamed: unnamed(engine, id).filter(|_| engine.decides(id)),
        results: recent.results.iter().map(result).collect(),
        alerts: recent
            .sent
            .iter()
            .map(|entry| sent(entry, delivery(entry.id)))
            .collect(),
        held_back: recent.held.iter().map(held).collect(),
        service: services::service(&view),
    })
}

fn unknown(engine: &Engine, group: &str, name: &str) -> String {
    let services = engine.model().services.iter();
    let others: Vec<&str> = services
        .filter(|service| &*service.group == group)
        .map(|service| &*service.name)
        .take(OTHERS_MAX)
        .collect();
    if others.is_empty() {
        format!("there is no watch \"{group}\" in the daemon's configuration")
    } else {
        let others = others.join(", ");
        format!("watch \"{group}\" has no service \"{name}\"; it has {others}")
    }
}

fn monitor(service: &Service) -> Option<String> {
    let monitor = service.monitor.as_deref()?;
    let mut words = vec![monitor.name.to_string()];
    words.extend(monitor.args.iter().cloned());
    let missing = match &monitor.program {
        MonitorProgram::Missing(why) => format!(" (missing: {why})"),
        MonitorProgram::Native(_) | MonitorProgram::Executable(_) => String::new(),
    };
    Some(words.join(" ") + &missing)
}

fn periods(engine: &Engine, id: ServiceId, wall: Wall) -> Vec<PeriodRow> {
    let periods = engine.periods(id, wall).into_iter();
    periods
        .map(|period| PeriodRow {
            label: period.label.to_owned(),
            holds: period.holds,
            changes: period.changes.map(Wall::seconds),
            alerts_sent: period.alerts_sent,
        })
        .collect()
}

pub(super) fn result(entry: &ResultEntry) -> ResultRow {
    ResultRow {
        first: entry.first.seconds(),
        last: entry.last.seconds(),
        count: entry.count,
        status: services::status(entry.status),
        exit: entry.exit,
        reason: entry.reason,
        summary: entry.summary.to_string(),
        took: entry.took.map(|span| span.as_secs_f64()),
    }
}

fn sent(entry: &SentEntry, delivery: DeliveryRow) -> AlertRow {
    AlertRow {
        time: entry.time.seconds(),
        kind: entry.kind,
        alert: entry.alert.to_string(),
        period: entry.period.to_string(),
        summary: entry.summary.to_string(),
        delivery,
    }
}

fn held(entry: &HeldEntry) -> HeldRow {
    HeldRow {
        first: entry.first.seconds(),
        last: entry.last.seconds(),
        count: entry.count,
        kind: entry.kind,
        period: entry.period.as_deref().map(str::to_owned),
        rule: rules::rule(&entry.why).to_owned(),
        text: rules::sentence(&entry.why),
    }
}

fn cut(text: &str) -> String {
    text::cut(text, DETAIL_MAX).to_owned()
}
