//! What is kept across a restart: one record for each service and each declared key (D20).
//!
//! The form of a service's record, and the way from state to record and back. A record is
//! written when something changed that the next decision needs: the status, an alert that
//! was sent, the counters of a failing service. Times are those of the wall clock; when it is
//! set, the records of all that counts time are written anew, so that spans go on behind a
//! restart. A clock that is set while no daemon runs is known of in the same boot of the machine
//! (`daemon::boot`); set before a boot, or in the moment before the daemon dies, it moves them by
//! as much; on the way back a moment in the future counts as now. Not here: the journal itself.

use std::collections::BTreeMap;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::engine::event::{Status, Target};
use crate::engine::state::{
    Acked, Dated, EventText, Kept, Moment, Outage, PeriodMemory, ServiceState, Traps, Window,
};
use crate::engine::{disabled, numbering, operator};
use crate::model::Service;
use crate::pair::talk::Reached;
use crate::pair::talk::counted::{Counts, Events};
use crate::text;
use crate::time::{Now, Wall};

#[cfg(test)]
mod tests;

/// Output kept of one service: enough to compare it with the next failure and to say in an
/// upalert what was wrong, small enough to be written at every failure.
const OUTPUT_MAX: usize = 4_096;

/// One line of the journal. A later record replaces an earlier one with the same key.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// Which state.
    pub key: String,
    /// The state itself; null where it is to be forgotten.
    pub value: serde_json::Value,
}

/// Everything a journal says, newest records only.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Saved {
    /// By key.
    pub records: BTreeMap<String, serde_json::Value>,
}

impl Saved {
    /// Leaves what was sent and what is known, and drops what persons wished: what is disabled,
    /// acknowledged or stopped. For a start as mon's, which forgets these unless it is told to
    /// load them (D20): what a file of `loaded` has is kept, as the journal knows it, and `stop`,
    /// which none has, where all of them are loaded.
    pub fn forget_wishes(&mut self, loaded: &[StateFile]) -> Forgotten {
        let goes = |file: &StateFile| !loaded.contains(file);
        let stop_goes = StateFile::ALL.iter().any(goes);
        let (disabled_goes, acks_go) = (goes(&StateFile::Disabled), goes(&StateFile::Opstatus));
        let mut forgotten = Forgotten::default();
        self.records.retain(|key, value| {
            let wished = key.strip_prefix(disabled::PREFIX).filter(|_| disabled_goes);
            let is_stop = key == operator::STOPPED && stop_goes;
            forgotten.was_stopped |= is_stop;
            forgotten.disabled.extend(wished.map(str::to_owned));
            let is_wish = is_stop || wished.is_some();
            let mut is_changed = is_wish;
            if let Some(fields) = value.as_object_mut().filter(|_| key.starts_with(PREFIX)) {
                if disabled_goes && fields.remove("disabled").is_some() {
                    forgotten.disabled.push(key.clone());
                    is_changed = true;
                }
                if acks_go && fields.remove("ack").is_some() {
                    forgotten.acknowledged.push(key.clone());
                    is_changed = true;
                }
            }
            if is_wish {
                *value = serde_json::Value::Null;
            }
            if is_changed {
                forgotten.records.push(Record {
                    key: key.clone(),
                    value: value.clone(),
                });
            }
            !is_wish
        });
        forgotten
    }
}

/// What [`Saved::forget_wishes`] dropped.
#[derive(Debug, Default)]
pub struct Forgotten {
    /// The records of what changed, for the journal: a later start that keeps wishes must not
    /// find them again.
    pub records: Vec<Record>,
    /// `watch G`, `host G H`, `service G/S` that a person had disabled, or a host that a person
    /// had enabled.
    pub disabled: Vec<String>,
    /// `service G/S` that were acknowledged.
    pub acknowledged: Vec<String>,
    /// The scheduler was stopped.
    pub was_stopped: bool,
}

/// Which of mon's state files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StateFile {
    /// What is disabled.
    Disabled,
    /// What is known of each service.
    Opstatus,
}

impl StateFile {
    /// Both, in the order in which mon reads them.
    pub const ALL: [Self; 2] = [Self::Disabled, Self::Opstatus];
}

/// What mon's own files `disabled` and `opstatus` say (docs/mon.md, "State files"). Read and
/// written by [`crate::protocol`]; names that the configuration does not have are passed over.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Classic {
    /// Lines of `disabled`; none where that file was not asked for.
    pub disabled: Option<Vec<ClassicDisabled>>,
    /// Lines of `opstatus`: group, service and what is known of it, by mon's keys.
    pub opstatus: Option<Vec<ClassicService>>,
    /// What is enabled before any line counts: at a start with a `disabled` that is newer than
    /// the journal, what that does not name.
    pub enabled: Vec<Target>,
}

impl Classic {
    /// Fields of a line of `opstatus` in mon's order, behind `group` and `service`. mon writes
    /// `first_success`, `last_failure_time`, `last_failure_summary` and `last_failure_detail` and
    /// never reads them; they have no meaning here.
    pub const FIELDS: [&str; 22] = [
        "op_status",
        "failure_count",
        "alert_count",
        "last_success",
        "first_success",
        "consec_failures",
        "last_failure",
        "first_failure",
        "last_summary",
        "last_failure_time",
        "last_failure_summary",
        "last_failure_detail",
        "last_detail",
        "ack",
        "ack_comment",
        "last_trap",
        "last_traphost",
        "exitval",
        "last_check",
        "last_op_status",
        "failure_output",
        "trap_timer",
    ];

    /// Fields of each of its periods in mon's order, behind its label and a colon.
    pub const PERIOD_FIELDS: [&str; 4] = ["last_alert", "alert_sent", "1stfailtime", "failcount"];
}

/// One line of mon's `opstatus` file: group, service and what is known of it, by mon's keys.
pub type ClassicService = (String, String, BTreeMap<String, String>);

/// One line of mon's `disabled` file.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ClassicDisabled {
    /// `disable host H`
    Host(String),
    /// `disable watch G`
    Watch(String),
    /// `disable service G S`
    Service(String, String),
}

/// Prefix of the keys of services' records.
const PREFIX: &str = "service ";

/// The key of a service's record.
pub(crate) fn key(service: &Service) -> String {
    format!("{PREFIX}{}/{}", service.group, service.name)
}

/// The record of a service as it is now.
pub(crate) fn record(service: &Service, state: &ServiceState, now: Now) -> Record {
    let saved = SavedService::of(service, state, now);
    // A struct of numbers, strings and maps with string keys has no way to fail here.
    let value = serde_json::to_value(saved).unwrap_or_default();
    Record {
        key: key(service),
        value,
    }
}

/// The record that makes the journal forget a service.
pub(crate) fn forget(service: &Service) -> Record {
    Record {
        key: key(service),
        value: serde_json::Value::Null,
    }
}

/// The state of a service as a journal has it; none where it has none.
///
/// # Errors
///
/// A record of another form, such as a hand has written: the reason.
pub(crate) fn restore(
    saved: &Saved,
    service: &Service,
    now: Now,
) -> Result<Option<ServiceState>, String> {
    let Some(value) = saved.records.get(&key(service)) else {
        return Ok(None);
    };
    if value.is_null() {
        return Ok(None);
    }
    let saved = SavedService::deserialize(value).map_err(|error| error.to_string())?;
    Ok(Some(saved.into_state(service, now)))
}

/// The numbers of all outages that a journal knows of (see [`numbering`]).
pub(crate) fn numbers(saved: &Saved) -> impl Iterator<Item = i64> {
    let records = saved.records.iter();
    let services = records.filter(|(key, _)| key.starts_with(PREFIX));
    services.flat_map(|(_, value)| {
        let running = value.get("outage").and_then(|outage| outage.get("id"));
        let numbers = [running, value.get("last_outage")].into_iter().flatten();
        numbers.filter_map(serde_json::Value::as_i64)
    })
}

#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
struct SavedService {
    status: Status,
    #[serde(skip_serializing_if = "is_default")]
    last_status: Status,
    #[serde(skip_serializing_if = "Option::is_none")]
    exit: Option<i32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_check: Option<Wall>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_success: Option<Wall>,
    failure_count: u32,
    alert_count: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<SavedText>,
    #[serde(skip_serializing_if = "Option::is_none")]
    outage: Option<SavedOutage>,
    #[serde(skip_serializing_if = "is_default")]
    last_outage: i64,
    #[serde(skip_serializing_if = "is_default")]
    disabled: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    ack: Option<SavedAck>,
    #[serde(skip_serializing_if = "Option::is_none")]
    traps: Option<SavedTraps>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    variables: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    periods: BTreeMap<String, SavedPeriod>,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct SavedAck {
    time: Wall,
    comment: String,
}

#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
struct SavedTraps {
    #[serde(skip_serializing_if = "Option::is_none")]
    last: Option<Wall>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_up: Option<Wall>,
    #[serde(skip_serializing_if = "Option::is_none")]
    from: Option<IpAddr>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ends: Option<Wall>,
}

#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
struct SavedText {
    output: String,
    #[serde(skip_serializing_if = "is_default")]
    cut: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct SavedOutage {
    first_failure: Wall,
    id: i64,
    last_failure: Wall,
    /// The same two as today's clock has them, where it was set since.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    since: Option<Wall>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    latest: Option<Wall>,
    consec_failures: u32,
    #[serde(default, skip_serializing_if = "is_default")]
    forgiven: u32,
    calls: u32,
    #[serde(default, skip_serializing_if = "is_default")]
    reached: Reached,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    acked: Option<Wall>,
    #[serde(default, skip_serializing_if = "Events::is_empty")]
    events: Events,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    heard: Option<Box<Counts>>,
}

/// mon's names, as in its `opstatus` file, and what mon does not have.
#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
struct SavedPeriod {
    #[serde(skip_serializing_if = "is_default")]
    alert_sent: u32,
    #[serde(skip_serializing_if = "is_default")]
    perhaps_sent: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_alert: Option<Wall>,
    #[serde(rename = "1stfailtime", skip_serializing_if = "Option::is_none")]
    first_failure: Option<Wall>,
    #[serde(rename = "failcount", skip_serializing_if = "is_default")]
    failures: u32,
    #[serde(rename = "gate_1stfailtime", skip_serializing_if = "Option::is_none")]
    gate_first_failure: Option<Wall>,
    #[serde(rename = "gate_failcount", skip_serializing_if = "is_default")]
    gate_failures: u32,
}

impl SavedService {
    fn of(service: &Service, state: &ServiceState, now: Now) -> Self {
        let memory = service
            .periods
            .iter()
            .zip(state.periods.as_deref().unwrap_or_default());
        Self {
            status: state.status,
            last_status: state.last_status,
            exit: state.exit,
            last_check: state.last_check,
            last_success: state.last_success,
            failure_count: state.failure_count,
            alert_count: state.alert_count,
            text: state.known_text().map(SavedText::of),
            outage: state
                .outage
                .as_deref()
                .map(|outage| SavedOutage::of(outage, now)),
            last_outage: state.last_outage,
            disabled: state.is_disabled,
            ack: state.ack.as_deref().map(|ack| SavedAck {
                time: ack.time,
                comment: ack.comment.to_string(),
            }),
            traps: state.traps.as_deref().map(|traps| SavedTraps {
                last: traps.last,
                last_up: traps.last_up,
                from: traps.from,
                ends: traps.ends.map(|ends| now.wall.after(ends.left(now))),
            }),
            variables: state.scratch.clone(),
            periods: memory
                .filter(|(_, memory)| **memory != PeriodMemory::default())
                .map(|(period, memory)| (period.label.to_string(), SavedPeriod::of(memory, now)))
                .collect(),
        }
    }

    fn into_state(self, service: &Service, now: Now) -> ServiceState {
        let not_later = |moment: Wall| moment.min(now.wall);
        // Also where `trapduration` ended it: until the next event nothing is forgotten (E-2).
        let outage = self.outage;
        let running = outage.as_ref().map_or(0, |outage| outage.id);
        let last_outage = self.last_outage.max(running).min(numbering::NUMBER_MAX);
        let status = match (self.status, &outage) {
            (Status::Fail, None) => Status::Untested,
            (status, _) => status,
        };
        let memory = service.periods.iter().map(|period| {
            let saved = self.periods.get(&*period.label);
            saved.map_or_else(PeriodMemory::default, |saved| saved.memory(now))
        });
        let memory: Box<[PeriodMemory]> = memory.collect();
        let blank = memory
            .iter()
            .all(|memory| *memory == PeriodMemory::default());
        let ack = self.ack.map(|ack| Acked {
            time: ack.time,
            comment: ack.comment.into(),
        });
        let traps = self.traps.map(|traps| Traps {
            last: traps.last.map(not_later),
            last_up: traps.last_up.map(not_later),
            from: traps.from,
            // Without `trapduration` in the file of today nothing ends the trap.
            ends: traps.ends.zip(service.trapduration).map(|(ends, limit)| {
                let left = ends.since(now.wall);
                Moment::of(now).after(left.min(limit))
            }),
        });
        ServiceState {
            status,
            last_status: self.last_status,
            is_disabled: self.disabled,
            ack: ack.map(Box::new),
            traps: traps.map(Box::new),
            scratch: self.variables,
            exit: self.exit,
            last_check: self.last_check.map(not_later),
            reported: self.last_check.map(|at| Moment::restored(at, now)),
            last_success: self.last_success.map(not_later),
            failure_count: self.failure_count,
            alert_count: self.alert_count,
            text: self.text.map(|text| Box::new(text.into_text())),
            outage: outage.map(|outage| Box::new(outage.into_outage(now))),
            last_outage,
            periods: (!blank).then_some(memory),
            ..ServiceState::default()
        }
    }
}

impl SavedText {
    fn of(text: &EventText) -> Self {
        let mut output = String::from_utf8_lossy(&text.output).into_owned();
        let is_long = output.len() > OUTPUT_MAX;
        let cut = is_long || text.kept == Kept::Beginning;
        text::shorten(&mut output, OUTPUT_MAX);
        Self {
            output,
            cut,
            reason: text.reason.as_deref().map(str::to_owned),
        }
    }

    fn into_text(self) -> EventText {
        EventText {
            output: self.output.into_bytes().into(),
            reason: self.reason.map(Into::into),
            kept: if self.cut {
                Kept::Beginning
            } else {
                Kept::Text
            },
        }
    }
}

impl SavedOutage {
    fn of(outage: &Outage, now: Now) -> Self {
        let where_set = |moment: Moment, reported: Wall| {
            let told = moment.told(reported, now);
            (told != reported).then_some(told)
        };
        Self {
            since: where_set(outage.began.moment, outage.began.wall),
            latest: where_set(outage.latest, outage.last_failure),
            first_failure: outage.began.wall,
            id: outage.id,
            last_failure: outage.last_failure,
            consec_failures: outage.consec_failures,
            forgiven: outage.forgiven,
            calls: outage.calls,
            reached: outage.reached(),
            acked: outage.acked,
            events: outage.events.clone(),
            heard: outage.heard.clone(),
        }
    }

    fn into_outage(self, now: Now) -> Outage {
        let mut outage = Outage::new(now, self.id.min(numbering::NUMBER_MAX));
        outage.began = Dated {
            moment: Moment::restored(self.since.unwrap_or(self.first_failure), now),
            wall: self.first_failure.min(now.wall),
        };
        outage.latest = Moment::restored(self.latest.unwrap_or(self.last_failure), now);
        outage.last_failure = self.last_failure.min(now.wall);
        outage.consec_failures = self.consec_failures;
        outage.forgiven = self.forgiven;
        outage.calls = self.calls;
        outage.events = self.events;
        outage.heard = self.heard;
        outage.had_reached(self.reached);
        outage.acked = self.acked;
        outage
    }
}

impl SavedPeriod {
    fn of(memory: &PeriodMemory, now: Now) -> Self {
        let wall = |moment: Option<Moment>| moment.map(|moment| moment.wall(now));
        Self {
            alert_sent: memory.alert_sent,
            perhaps_sent: memory.perhaps_sent,
            last_alert: wall(memory.last_alert),
            first_failure: wall(memory.messages.first),
            failures: memory.messages.count,
            gate_first_failure: wall(memory.gate.first),
            gate_failures: memory.gate.count,
        }
    }

    fn memory(&self, now: Now) -> PeriodMemory {
        let moment = |wall: Option<Wall>| wall.map(|wall| Moment::restored(wall, now));
        PeriodMemory {
            alert_sent: self.alert_sent,
            perhaps_sent: self.perhaps_sent,
            last_alert: moment(self.last_alert),
            messages: Window {
                first: moment(self.first_failure),
                count: self.failures,
            },
            gate: Window {
                first: moment(self.gate_first_failure),
                count: self.gate_failures,
            },
        }
    }
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}
