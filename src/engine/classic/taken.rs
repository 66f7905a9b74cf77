//! What is taken in of what mon's state files say?
//!
//! What the configuration does not have and what makes no sense is passed over, and said.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use crate::engine::Engine;
use crate::engine::classic::line::{Faults, Line};
use crate::engine::event::{Action, Status, Target};
use crate::engine::report::record;
use crate::engine::saved::{Classic, ClassicDisabled};
use crate::engine::schedule::Alarm;
use crate::engine::state::{
    Acked, Dated, EventText, Kept, Moment, Outage, PeriodMemory, ServiceState, Traps, Window,
};
use crate::model::{HostName, Service, ServiceId};
use crate::time::{Now, Wall};

/// Services by group and name.
type Ids<'a> = BTreeMap<(&'a str, &'a str), ServiceId>;

impl Engine {
    /// What an engine that was made from a journal, and has not started, takes from files that
    /// somebody else wrote since (D20). Of `opstatus` the services that the journal does not
    /// have: it is newer of all others. `disabled` counts whole, as mon writes it with every
    /// `disable` and `enable`: what it does not name is enabled. The second one: how many lines
    /// it leaves out.
    #[must_use]
    pub fn news_of(&self, mut classic: Classic) -> (Classic, usize) {
        if let Some(lines) = &classic.disabled {
            classic.enabled = self.disabled_beside(lines);
        }
        let lines = |classic: &Classic| classic.opstatus.as_ref().map_or(0, Vec::len);
        let all = lines(&classic);
        let services = self.model.services().zip(&self.states);
        let known: BTreeSet<(&str, &str)> = services
            .filter(|(_, state)| state.is_known())
            .map(|((_, service), _)| (&*service.group, &*service.name))
            .collect();
        if let Some(lines) = &mut classic.opstatus {
            lines.retain(|(group, name, _)| !known.contains(&(&**group, &**name)));
        }
        let left = lines(&classic);
        (classic, all.saturating_sub(left))
    }

    /// What persons have disabled and these lines do not name.
    fn disabled_beside(&self, lines: &[ClassicDisabled]) -> Vec<Target> {
        let named: BTreeSet<&ClassicDisabled> = lines.iter().collect();
        let mut targets = self.disabled.beside(&named);
        let services = self.model.services().zip(&self.states);
        let off = services.filter(|(_, state)| state.is_disabled);
        targets.extend(off.filter_map(|((id, service), _)| {
            let (group, name) = (service.group.to_string(), service.name.to_string());
            let is_named = named.contains(&ClassicDisabled::Service(group, name));
            (!is_named).then_some(Target::Service(id))
        }));
        targets
    }

    /// `loadstate`: what is disabled is disabled, and the states become those of the file.
    pub(in crate::engine) fn load_state(
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
        for target in &classic.enabled {
            // What it is called is of no use: nothing was asked for by name.
            let _ = self.enable(now, target, actions);
        }
        let disabled = classic.disabled.unwrap_or_default();
        let mut loaded = self.load_disabled(now, &ids, disabled, actions);
        let mut faults = Faults::default();
        for (group, name, values) in classic.opstatus.into_iter().flatten() {
            let line = Line {
                place: format!("{group}/{name}"),
                values,
            };
            let Some(&id) = ids.get(&(&*group, &*name)) else {
                faults.add(&line, "", "there is no such service");
                continue;
            };
            let service = model.service(id);
            let Some(state) = self.states.get_mut(id.index()) else {
                continue;
            };
            let number = self.numbering.next(state.last_outage, now);
            line.name_strangers(service, &mut faults);
            take_in(state, service, &line, number, now, &mut faults);
            self.load_trap_timer(now, id, &line, &mut faults);
            let state = &self.states[id.index()];
            actions.push(record(service, state, now));
            loaded = loaded.saturating_add(1);
        }
        actions.extend(faults.notes());
        Ok(format!("{loaded} lines of saved state taken in"))
    }

    /// `traptimeout` goes on where the file was written: never longer than the file of today
    /// wants, and with mon's rule that it does not end before a `traptimeout` after the last
    /// trap.
    fn load_trap_timer(&mut self, now: Now, id: ServiceId, line: &Line, faults: &mut Faults) {
        let Some(limit) = self.model.service(id).traptimeout else {
            return;
        };
        // mon counts it down below zero.
        let Some(left) = line.parsed::<i64>("trap_timer", faults) else {
            return;
        };
        let left = Duration::from_secs(u64::try_from(left).unwrap_or(0));
        let traps = self.states[id.index()].traps.as_deref();
        let last = traps.and_then(|traps| traps.last);
        let silence = last.map(|last| limit.saturating_sub(now.wall.since(last)));
        let left = left.max(silence.unwrap_or_default()).min(limit);
        let at = self.timetable.clock(now.mono).after(left);
        self.timetable.set_alarm(Alarm::TrapTimeout, id, at);
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
                    actions.push(Action::record(self.disabled.set_watch(&group.into(), true)));
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
        actions.extend(records.into_iter().map(Action::record));
        loaded
    }
}

/// A state as a line of `opstatus` has it. What the line does not say, or says in a form that
/// makes no sense, stays as it is; where that is the state, so do the outage, what alerts and
/// periods count, and the texts.
fn take_in(
    state: &mut ServiceState,
    service: &Service,
    line: &Line,
    number_of_outage: i64,
    now: Now,
    faults: &mut Faults,
) {
    take_in_moments(state, line, now, faults);
    let status = line.status("op_status", faults);
    // Counters of another state would hold back the alerts of this one.
    let mut unused = state.clone();
    let state = if status.is_some() { state } else { &mut unused };
    state.status = status.unwrap_or(state.status);
    if let Some(status) = line.status("last_op_status", faults) {
        state.last_status = status;
    }
    // mon's word for a run that never was.
    if line.value("exitval") != Some("undef")
        && let Some(exit) = line.parsed("exitval", faults)
    {
        state.exit = Some(exit);
    }
    let failures = line.parsed("failure_count", faults);
    state.failure_count = failures.unwrap_or(state.failure_count);
    let alerts = line.parsed("alert_count", faults);
    state.alert_count = alerts.unwrap_or(state.alert_count);
    take_in_outage(state, line, number_of_outage, now, faults);
    take_in_text(state, line);
    let memory = service.periods.iter().map(|period| {
        let key = |name: &str| format!("{}:{name}", period.label);
        let mut number = |name: &str| line.parsed(&key(name), faults).unwrap_or(0);
        let (alert_sent, count) = (number("alert_sent"), number("failcount"));
        let mut moment = |name: &str| {
            let at = line.time(&key(name), now, faults)?;
            Some(Moment::restored(at, now))
        };
        PeriodMemory {
            alert_sent,
            perhaps_sent: false,
            last_alert: moment("last_alert"),
            messages: Window {
                first: moment("1stfailtime"),
                count,
            },
            gate: Window::default(),
        }
    });
    state.periods = Some(memory.collect());
    state.drop_blank_memory();
}

/// What holds in any state.
fn take_in_moments(state: &mut ServiceState, line: &Line, now: Now, faults: &mut Faults) {
    if line.values.contains_key("last_success") {
        state.last_success = line.time("last_success", now, faults);
    }
    if line.values.contains_key("last_check") {
        state.last_check = line.time("last_check", now, faults);
    }
    take_in_trap(state, line, now, faults);
}

fn take_in_outage(
    state: &mut ServiceState,
    line: &Line,
    number_of_outage: i64,
    now: Now,
    faults: &mut Faults,
) {
    let first_failure = line.time("first_failure", now, faults);
    // Where `trapduration` ended it, nothing is forgotten until the next event (E-2).
    let is_ended = state.status == Status::Ok && first_failure.is_some();
    let first_failure = first_failure.unwrap_or(now.wall);
    let last_failure = line.time("last_failure", now, faults);
    let failures = line.parsed("consec_failures", faults);
    let running = state.outage.take();
    if state.status == Status::Fail || is_ended {
        let known = same_outage(running.as_deref(), first_failure);
        let new = || Outage::new(now, number_of_outage);
        let mut outage = known.cloned().unwrap_or_else(new);
        let last_failure = last_failure.unwrap_or(first_failure);
        outage.began = Dated::restored(first_failure, now);
        outage.last_failure = last_failure;
        outage.latest = Moment::restored(last_failure, now);
        outage.consec_failures = failures.unwrap_or(1);
        // What the file does not say begins anew, but for what messages tell of it.
        (outage.forgiven, outage.ups) = (0, 0);
        outage.hosts = Box::default();
        state.begin(outage);
    }
    state.ack = line
        .time("ack", now, faults)
        .filter(|_| is_ended || !matches!(state.status, Status::Ok | Status::Untested))
        .map(|time| {
            let comment = line.value("ack_comment").unwrap_or_default().into();
            Box::new(Acked { time, comment })
        });
}

/// The latest trap: when it came, and who sent it where the file says so.
fn take_in_trap(state: &mut ServiceState, line: &Line, now: Now, faults: &mut Faults) {
    let Some(last) = line.time("last_trap", now, faults) else {
        return;
    };
    let from = line.parsed("last_traphost", faults);
    let traps = state.traps.get_or_insert_default();
    **traps = Traps {
        last: Some(last),
        from: from.or(traps.from),
        last_up: traps.last_up,
        ends: traps.ends,
    };
}

fn take_in_text(state: &mut ServiceState, line: &Line) {
    let text = |key: &str| line.values.get(key).filter(|value| !value.is_empty());
    let output = match text("failure_output").filter(|_| state.outage.is_some()) {
        Some(output) => Some(output.clone()),
        None => text("last_summary").map(|summary| {
            let detail = text("last_detail").map_or("", String::as_str);
            format!("{summary}\n{detail}")
        }),
    };
    if let Some(output) = output {
        state.set_text(EventText {
            kept: Kept::Text,
            ..EventText::said(&output)
        });
    }
}

/// The outage that runs already, where it is that of the file: it goes on with its number and its
/// calls (D23), any other one counts as new.
fn same_outage(running: Option<&Outage>, first_failure: Wall) -> Option<&Outage> {
    let seconds = first_failure.seconds();
    running.filter(|outage| outage.began.wall.seconds() == seconds)
}
