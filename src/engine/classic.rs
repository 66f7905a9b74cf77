//! What would mon's own state files say now? As values (docs/mon.md, "State files").
//!
//! | Question | File |
//! |---|---|
//! | what is taken in of what they say | `taken` |
//! | what does a line of them say, and what of it makes no sense | `line` |
//!
//! Not here: their text, escapes and files, which the daemon reads and writes; our own
//! journal (`saved`).

mod line;
mod taken;

#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use crate::engine::Engine;
use crate::engine::event::Status;
use crate::engine::saved::{Classic, ClassicDisabled};
use crate::engine::state::{EventText, Moment, Outage, PeriodMemory, ServiceState};
use crate::model::Service;
use crate::time::{Now, Wall};

impl Engine {
    /// What mon's own state files would say now.
    #[must_use]
    pub fn classic(&self) -> Classic {
        let services = self.model.services().zip(&self.states);
        let opstatus = services.map(|((_, service), state)| {
            let mut values = values(service, state, self.last);
            let id = self.routes.service(&service.group, &service.name);
            let left = id.and_then(|id| self.trap_timer(id));
            let left = left.map_or_else(String::new, |left| left.as_secs().to_string());
            values.insert("trap_timer".to_owned(), left);
            (service.group.to_string(), service.name.to_string(), values)
        });
        Classic {
            disabled: Some(self.classic_disabled()),
            opstatus: Some(opstatus.collect()),
            enabled: Vec::new(),
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
}

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
    let summary = state.summary().map(Cow::into_owned);
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
        outage.map_or(0, Outage::counted_failures).to_string(),
    );
    set("last_failure", time(last_failure));
    let first_failure = if state.status == Status::Untested {
        String::new()
    } else {
        time(outage.map(|outage| outage.began.wall))
    };
    set("first_failure", first_failure);
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
        // Empty as long as nothing has happened to the service.
        let is_blank = state.status == Status::Untested && *memory == nothing;
        let unless_blank = |number: i64| {
            let number = (!is_blank).then(|| number.to_string());
            number.unwrap_or_default()
        };
        let time = |moment: Option<Moment>| {
            let wall = moment.map(|moment| moment.wall(now));
            unless_blank(wall.map_or(0, Wall::seconds))
        };
        let mut set = |name: &str, value: String| {
            values.insert(format!("{}:{name}", period.label), value);
        };
        set("last_alert", time(memory.last_alert));
        set("alert_sent", memory.alert_sent.to_string());
        set("1stfailtime", time(memory.messages.first));
        set("failcount", unless_blank(memory.messages.count.into()));
    }
    values
}
