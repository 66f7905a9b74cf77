//! mon's own state files as values: what they would say now, and taking in what they say
//! (docs/mon.md, "State files").
//!
//! Not here: their text, escapes and files, which the daemon reads and writes; our own
//! journal (`saved`). Names that the configuration does not have are passed over.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::engine::Engine;
use crate::engine::event::{Action, Status};
use crate::engine::report::record;
use crate::engine::saved::{Classic, ClassicDisabled};
use crate::engine::state::{
    Acked, EventText, Kept, Moment, Outage, PeriodMemory, ServiceState, Window,
};
use crate::model::{HostName, Service, ServiceId};
use crate::time::{Now, Wall};

impl Engine {
    /// What mon's own state files would say now.
    #[must_use]
    pub fn classic(&self) -> Classic {
        let services = self.model.services().zip(&self.states);
        let opstatus = services.map(|((_, service), state)| {
            let values = values(service, state, self.last);
            (service.group.to_string(), service.name.to_string(), values)
        });
        Classic {
            disabled: Some(self.classic_disabled()),
            opstatus: Some(opstatus.collect()),
        }
    }

    /// What the file `disabled` alone would say now.
    #[must_use]
    pub fn classic_disabled(&self) -> Vec<ClassicDisabled> {
        let hosts = self.model.hostgroups.iter().flat_map(|group| {
            let members = group.members.iter();
            members.filter(|member| self.disabled.has_host(group, member))
        });
        let mut seen = BTreeSet::new();
        let hosts = hosts.filter(|member| seen.insert(&member.host));
        let mut disabled: Vec<ClassicDisabled> = hosts
            .map(|member| ClassicDisabled::Host(member.host.to_string()))
            .collect();
        let watches = self.disabled.watches();
        disabled.extend(watches.map(|group| ClassicDisabled::Watch(group.to_owned())));
        let services = self.model.services().zip(&self.states);
        let off = services.filter(|(_, state)| state.is_disabled);
        disabled.extend(off.map(|((_, service), _)| {
            ClassicDisabled::Service(service.group.to_string(), service.name.to_string())
        }));
        disabled
    }

    /// `loadstate`: what is disabled is disabled, and the states become those of the file.
    pub(super) fn load_state(
        &mut self,
        now: Now,
        classic: Classic,
        actions: &mut Vec<Action>,
    ) -> Result<String, String> {
        let model = Arc::clone(&self.model);
        // A file may have as many lines as there are services.
        let ids: Ids<'_> = model
            .services()
            .map(|(id, service)| ((&*service.group, &*service.name), id))
            .collect();
        let disabled = classic.disabled.unwrap_or_default();
        let mut loaded = self.load_disabled(now, &ids, disabled, actions);
        for (group, name, values) in classic.opstatus.into_iter().flatten() {
            let Some(&id) = ids.get(&(&*group, &*name)) else {
                continue;
            };
            let service = model.service(id);
            let Some(state) = self.states.get_mut(id.index()) else {
                continue;
            };
            let number = self.numbering.next(state.last_outage, now);
            take_in(state, service, &values, number, now);
            actions.push(record(service, state, now));
            loaded = loaded.saturating_add(1);
        }
        Ok(format!("{loaded} lines of saved state taken in"))
    }

    /// Without a word to anybody: no disablealert. Answers how many of the lines have a
    /// meaning here.
    fn load_disabled(
        &mut self,
        now: Now,
        ids: &Ids<'_>,
        lines: Vec<ClassicDisabled>,
        actions: &mut Vec<Action>,
    ) -> usize {
        let model = Arc::clone(&self.model);
        let keep = |record| Action::Record(Box::new(record));
        let members = model.hostgroups.iter().flat_map(|group| &group.members);
        let members: BTreeSet<&HostName> = members.map(|member| &member.host).collect();
        let groups: BTreeSet<&str> = ids.keys().map(|&(group, _)| group).collect();
        let mut hosts = Vec::new();
        let mut loaded: usize = 0;
        for line in lines {
            match line {
                ClassicDisabled::Host(host) => {
                    let host = HostName::new(&host);
                    if !members.contains(&host) {
                        continue;
                    }
                    hosts.push(host);
                }
                ClassicDisabled::Watch(group) => {
                    if !groups.contains(&*group) {
                        continue;
                    }
                    actions.push(keep(self.disabled.set_watch(&group.into(), true)));
                }
                ClassicDisabled::Service(group, name) => {
                    let Some(&id) = ids.get(&(&*group, &*name)) else {
                        continue;
                    };
                    let state = &mut self.states[id.index()];
                    state.is_disabled = true;
                    actions.push(record(model.service(id), state, now));
                }
            }
            loaded = loaded.saturating_add(1);
        }
        let records = self.disabled.set_hosts(&model, &hosts, true);
        actions.extend(records.into_iter().map(keep));
        loaded
    }
}

/// Services by group and name.
type Ids<'a> = BTreeMap<(&'a str, &'a str), ServiceId>;

/// One line of `opstatus`, by mon's keys. What mon leaves empty is empty.
fn values(service: &Service, state: &ServiceState, now: Now) -> BTreeMap<String, String> {
    let mut values = BTreeMap::new();
    let mut set = |key: &str, value: String| {
        values.insert(key.to_owned(), value);
    };
    let time = |moment: Option<Wall>| moment.map_or(0, Wall::seconds).to_string();
    let outage = state.outage.as_deref();
    let text = state.text.as_deref();
    let failure = outage.and(text);
    let traps = state.traps.as_deref();
    let summary = text.map(|text| text.summary(state.status).into_owned());
    let detail = text.map(|text| text.detail().into_owned());
    let last_failure = outage.map(|outage| outage.last_failure);
    set("op_status", state.status.number().to_string());
    set("last_op_status", state.last_status.number().to_string());
    set("failure_count", state.failure_count.to_string());
    set("alert_count", state.alert_count.to_string());
    set("last_success", time(state.last_success));
    set("first_success", String::new());
    set(
        "consec_failures",
        outage.map_or(0, |it| it.consec_failures).to_string(),
    );
    set("last_failure", time(last_failure));
    set(
        "first_failure",
        time(outage.map(|outage| outage.first_failure)),
    );
    set("last_summary", summary.clone().unwrap_or_default());
    set("last_detail", detail.clone().unwrap_or_default());
    set("last_failure_time", String::new());
    set("last_failure_summary", String::new());
    set("last_failure_detail", String::new());
    set("ack", time(state.ack.as_deref().map(|ack| ack.time)));
    let comment = state.ack.as_deref().map(|ack| ack.comment.to_string());
    set("ack_comment", comment.unwrap_or_default());
    set("last_trap", time(traps.and_then(|traps| traps.last)));
    set("last_traphost", String::new());
    set(
        "exitval",
        state
            .exit
            .map_or("undef".to_owned(), |exit| exit.to_string()),
    );
    set(
        "last_check",
        state
            .last_check
            .map_or_else(String::new, |at| at.seconds().to_string()),
    );
    set(
        "failure_output",
        failure.map(EventText::as_text).unwrap_or_default(),
    );
    values.extend(period_values(service, state, now));
    values
}

/// What each period remembers. One without a label goes by the text of its specification.
fn period_values(service: &Service, state: &ServiceState, now: Now) -> BTreeMap<String, String> {
    let mut values = BTreeMap::new();
    let nothing = PeriodMemory::default();
    for (index, period) in service.periods.iter().enumerate() {
        let memory = state.periods.as_deref().and_then(|all| all.get(index));
        let memory = memory.unwrap_or(&nothing);
        let time = |moment: Option<Moment>| {
            let wall = moment.map(|moment| moment.wall(now));
            wall.map_or(0, Wall::seconds).to_string()
        };
        let mut set = |name: &str, value: String| {
            values.insert(format!("{}:{name}", period.label), value);
        };
        set("last_alert", time(memory.last_alert));
        set("alert_sent", memory.alert_sent.to_string());
        set("1stfailtime", time(memory.messages.first));
        set("failcount", memory.messages.count.to_string());
    }
    values
}

/// A state as a line of `opstatus` has it. What the line does not say, or says in a form that
/// makes no sense, stays as it is.
fn take_in(
    state: &mut ServiceState,
    service: &Service,
    values: &BTreeMap<String, String>,
    number_of_outage: i64,
    now: Now,
) {
    let value = |key: &str| values.get(key).filter(|value| !value.is_empty());
    let number = |key: &str| value(key).and_then(|value| value.parse::<u32>().ok());
    // A moment in the future, since the clock was set back, counts as now.
    let time = |key: &str| {
        let seconds = value(key)?.parse::<i64>().ok().filter(|&it| it > 0)?;
        Some(Wall::from_seconds(seconds).min(now.wall))
    };
    if let Some(status) = value("op_status").and_then(|value| Status::of(value)) {
        state.status = status;
    }
    if let Some(status) = value("last_op_status").and_then(|value| Status::of(value)) {
        state.last_status = status;
    }
    if let Some(exit) = value("exitval").and_then(|value| value.parse().ok()) {
        state.exit = Some(exit);
    }
    state.failure_count = number("failure_count").unwrap_or(state.failure_count);
    state.alert_count = number("alert_count").unwrap_or(state.alert_count);
    // Nothing or 0 stands for a moment that never was.
    if values.contains_key("last_success") {
        state.last_success = time("last_success");
    }
    if values.contains_key("last_check") {
        state.last_check = time("last_check");
    }
    let first_failure = time("first_failure").unwrap_or(now.wall);
    let running = state.outage.take();
    if state.status == Status::Fail {
        let (id, calls) = numbering(running.as_deref(), first_failure, number_of_outage);
        state.begin(Outage {
            since: Moment::restored(first_failure, now),
            first_failure,
            last_failure: time("last_failure").unwrap_or(first_failure),
            consec_failures: number("consec_failures").unwrap_or(1),
            calls,
            ..Outage::new(now, id)
        });
    }
    state.ack = time("ack")
        .filter(|_| !matches!(state.status, Status::Ok | Status::Untested))
        .map(|time| {
            let comment = value("ack_comment").map_or("", String::as_str).into();
            Box::new(Acked { time, comment })
        });
    let output = match value("failure_output").filter(|_| state.outage.is_some()) {
        Some(output) => Some(output.clone()),
        None => value("last_summary").map(|summary| {
            let detail = value("last_detail").map_or("", String::as_str);
            format!("{summary}\n{detail}")
        }),
    };
    if let Some(output) = output {
        state.set_text(EventText {
            kept: Kept::Text,
            ..EventText::said(&output)
        });
    }
    let memory = service.periods.iter().map(|period| {
        let key = |name: &str| format!("{}:{name}", period.label);
        let moment = |name: &str| time(&key(name)).map(|at| Moment::restored(at, now));
        PeriodMemory {
            alert_sent: number(&key("alert_sent")).unwrap_or(0),
            last_alert: moment("last_alert"),
            messages: Window {
                first: moment("1stfailtime"),
                count: number(&key("failcount")).unwrap_or(0),
            },
            gate: Window::default(),
        }
    });
    state.periods = Some(memory.collect());
    state.drop_blank_memory();
}

/// The number of an outage in its event ids, and how many calls it had: the outage that runs
/// already goes on with them (D23), any other one counts as new.
fn numbering(running: Option<&Outage>, first_failure: Wall, new: i64) -> (i64, u32) {
    let seconds = first_failure.seconds();
    let same = running.filter(|outage| outage.first_failure.seconds() == seconds);
    same.map_or((new, 0), |outage| (outage.id, outage.calls))
}
