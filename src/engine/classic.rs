//! mon's own state files as values: what they would say now, and taking in what they say
//! (docs/mon.md, "State files").
//!
//! Not here: their text, escapes and files, which the daemon reads and writes; our own
//! journal (`saved`). What the configuration does not have and what makes no sense is passed
//! over, and said, [`SAID_MAX`] fields at most for a file.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use crate::engine::Engine;
use crate::engine::event::{Action, Note, Status, Target};
use crate::engine::report::record;
use crate::engine::saved::{Classic, ClassicDisabled};
use crate::engine::schedule::Alarm;
use crate::engine::state::{
    Acked, EventText, Kept, Moment, Outage, PeriodMemory, ServiceState, Traps, Window,
};
use crate::model::{HostName, Service, ServiceId};
use crate::time::{Now, Wall};

/// Fields of a file that are said to make no sense; how many more there were is one number. A
/// file of another program would fill the log.
const SAID_MAX: usize = 20;

/// Letters of a field and of its value that are said.
const SHOWN_MAX: usize = 60;

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
        time(outage.map(|outage| outage.first_failure))
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

/// A line of `opstatus`: whose, and its fields by mon's keys.
struct Line {
    /// `GROUP/SERVICE`
    place: String,
    values: BTreeMap<String, String>,
}

impl Line {
    /// What a field says; nothing where it is empty, as mon leaves what it does not know.
    fn value(&self, key: &str) -> Option<&str> {
        let value = self.values.get(key).map(|value| value.trim());
        value.filter(|value| !value.is_empty())
    }

    fn parsed<T: FromStr>(&self, key: &str, faults: &mut Faults) -> Option<T> {
        let value = self.value(key)?;
        let parsed = value.parse().ok();
        if parsed.is_none() {
            faults.add(self, key, &format!("it cannot be {:?}", shown(value)));
        }
        parsed
    }

    fn status(&self, key: &str, faults: &mut Faults) -> Option<Status> {
        let value = self.value(key)?;
        let status = Status::of(value);
        if status.is_none() {
            faults.add(self, key, &format!("{:?} is no status", shown(value)));
        }
        status
    }

    /// 0 stands for a moment that never was. One in the future, since the clock was set back,
    /// counts as now.
    fn time(&self, key: &str, now: Now, faults: &mut Faults) -> Option<Wall> {
        let seconds = self.parsed::<i64>(key, faults)?;
        if seconds < 0 {
            faults.add(self, key, "it is before 1970");
        }
        (seconds > 0).then(|| Wall::from_seconds(seconds).min(now.wall))
    }

    /// Says which fields are none of mon's, or of a period that the service does not have.
    fn name_strangers(&self, service: &Service, faults: &mut Faults) {
        for (key, value) in &self.values {
            if Classic::FIELDS.contains(&&**key) || value.is_empty() {
                continue;
            }
            match key.rsplit_once(':') {
                Some((label, field)) if Classic::PERIOD_FIELDS.contains(&field) => {
                    let mut periods = service.periods.iter();
                    if !periods.any(|period| &*period.label == label) {
                        faults.add(self, key, "the service has no such period");
                    }
                }
                Some(_) | None => faults.add(self, key, "there is no such field"),
            }
        }
    }
}

/// What of a file makes no sense, for the log.
#[derive(Default)]
struct Faults {
    said: Vec<Note>,
    more: usize,
}

impl Faults {
    fn add(&mut self, line: &Line, field: &str, why: &str) {
        if self.said.len() >= SAID_MAX {
            self.more = self.more.saturating_add(1);
            return;
        }
        self.said.push(Note::NotLoaded {
            service: shown(&line.place),
            field: shown(field),
            why: why.to_owned(),
        });
    }

    fn notes(self) -> impl Iterator<Item = Action> {
        let more = (self.more > 0).then(|| Note::NotLoaded {
            service: String::new(),
            field: String::new(),
            why: format!("and {} more", self.more),
        });
        self.said.into_iter().chain(more).map(Action::Note)
    }
}

fn shown(text: &str) -> String {
    text.chars().take(SHOWN_MAX).collect()
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
    let first_failure = first_failure.unwrap_or(now.wall);
    let last_failure = line.time("last_failure", now, faults);
    let failures = line.parsed("consec_failures", faults);
    let running = state.outage.take();
    if state.status == Status::Fail {
        let known = same_outage(running.as_deref(), first_failure);
        let new = || Outage::new(now, number_of_outage);
        let mut outage = known.cloned().unwrap_or_else(new);
        let last_failure = last_failure.unwrap_or(first_failure);
        outage.since = Moment::restored(first_failure, now);
        outage.first_failure = first_failure;
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
        .filter(|_| !matches!(state.status, Status::Ok | Status::Untested))
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
    running.filter(|outage| outage.first_failure.seconds() == seconds)
}
