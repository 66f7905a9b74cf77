//! Reports that come by the network, and what their absence means.
//!
//! A trap is an event like the end of a run; here is whose it is, what its text is, and the
//! two timers it has: `traptimeout` and `trapduration`. Both stand in the timetable, by its
//! clock: a wall clock that is set changes nothing, and they stand still with it.
//!
//! Source: docs/mon.md, "Traps"; E-2 kept, with `trapduration_upalert` to have it otherwise.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use crate::engine::event::{Action, AlertKind, Ended, HostVerdict, Note, Report, Status, Trap};
use crate::engine::going::Began;
use crate::engine::report::{self, Heard};
use crate::engine::schedule::Alarm;
use crate::engine::state::{Moment, Traps};
use crate::engine::witness::Doubted;
use crate::engine::{Engine, call};
use crate::model::{Model, ServiceId};
use crate::time::{Mono, Now};

/// The watch and the service that catch what nobody else wants.
const DEFAULT: &str = "default";

/// Traps that nobody wants are said at most once in this time: anybody may send them.
const LOST_SAID_EVERY: Duration = Duration::from_secs(10);

/// Which trap is for which service, and those that are for none.
#[derive(Debug, Default)]
pub(super) struct Routes {
    /// Services by watch and name.
    services: BTreeMap<Arc<str>, BTreeMap<Arc<str>, ServiceId>>,
    /// Traps for nobody since the last one was said.
    lost: u64,
    lost_said: Option<Mono>,
}

impl Routes {
    /// The routes of a Model.
    pub(super) fn new(model: &Model) -> Self {
        let mut routes = Self::default();
        for (id, service) in model.services() {
            let group = routes.services.entry(Arc::clone(&service.group));
            group.or_default().insert(Arc::clone(&service.name), id);
        }
        routes
    }

    /// The service of this watch and name.
    pub(super) fn service(&self, group: &str, name: &str) -> Option<ServiceId> {
        self.services.get(group)?.get(name).copied()
    }

    /// Whose trap it is, and what it was meant for where `default` catches it.
    fn find(&self, trap: &Trap) -> Option<(ServiceId, Option<Arc<str>>)> {
        if let Some(services) = self.services.get(trap.group.as_str()) {
            let service = services.get(trap.service.as_str());
            let caught = || services.get(DEFAULT).filter(|_| trap.group == DEFAULT);
            return service.or_else(caught).map(|&id| (id, None));
        }
        let services = self.services.get(DEFAULT)?;
        let own = services.get(trap.service.as_str());
        let id = own.or_else(|| services.get(DEFAULT))?;
        let intended = format!("{}:{}", trap.group, trap.service);
        Some((*id, Some(intended.into())))
    }

    /// A trap is for nobody; how many there were since the last time this was said, where it
    /// is to be said again.
    fn lose(&mut self, now: Mono) -> Option<u64> {
        self.lost = self.lost.saturating_add(1);
        let quiet = |said| now.since(said) < LOST_SAID_EVERY;
        if self.lost_said.is_some_and(quiet) {
            return None;
        }
        self.lost_said = Some(now);
        Some(std::mem::take(&mut self.lost))
    }
}

impl Engine {
    /// Time left until a service fails for want of a trap, mon's `_trap_timer`; none where it
    /// waits for none.
    #[must_use]
    pub fn trap_timer(&self, id: ServiceId) -> Option<Duration> {
        let at = self.timetable.alarm(Alarm::TrapTimeout, id)?;
        Some(at.since(self.timetable.clock(self.last.mono)))
    }

    /// A trap came.
    pub(super) fn trapped(&mut self, now: Now, trap: Trap, actions: &mut Vec<Action>) {
        let Some((id, intended)) = self.routes.find(&trap) else {
            if let Some(count) = self.routes.lose(now.mono) {
                actions.push(Action::Note(Note::TrapLost {
                    to: format!("{}:{}", trap.group, trap.service),
                    from: trap.from,
                    count,
                }));
            }
            return;
        };
        let exit = exit(&trap.status);
        let service = self.model.service(id);
        let clock = self.timetable.clock(now.mono);
        if let Some(limit) = service.traptimeout {
            let at = clock.after(limit);
            self.timetable.set_alarm(Alarm::TrapTimeout, id, at);
        }
        let ends = service.trapduration.map(|duration| {
            let at = clock.after(duration);
            self.timetable.set_alarm(Alarm::TrapEnd, id, at);
            Moment::of(now).after(duration)
        });
        let traps = self.states[id.index()].traps.get_or_insert_default();
        **traps = Traps {
            last: Some(now.wall),
            last_up: if exit == 0 {
                Some(now.wall)
            } else {
                traps.last_up
            },
            from: Some(trap.from),
            ends,
        };
        let report = Report {
            ended: Ended::Exited(exit),
            output: output(trap),
            hosts: Vec::new(),
            took: Duration::ZERO,
        };
        self.hear_of_traps(now, id, AlertKind::Trap, report, intended, actions);
    }

    /// No trap came for the time of `traptimeout`.
    fn no_trap_came(&mut self, now: Now, id: ServiceId, actions: &mut Vec<Action>) {
        let Some(limit) = self.model.service(id).traptimeout else {
            return;
        };
        let clock = self.timetable.clock(now.mono);
        self.timetable
            .set_alarm(Alarm::TrapTimeout, id, clock.after(limit));
        self.forget_trap_end(id);
        let at = Timestamp::from_microsecond(now.wall.as_micros()).unwrap_or_default();
        let at = at.to_zoned(self.zone.clone());
        let text = format!(
            "trap timeout\ntrap timeout after {}s at {}\n",
            limit.as_secs_f64(),
            at.strftime("%a %b %e %H:%M:%S %Y")
        );
        let report = Report {
            ended: Ended::Exited(1),
            output: text.into_bytes(),
            hosts: Vec::new(),
            took: Duration::ZERO,
        };
        self.hear_of_traps(now, id, AlertKind::TrapTimeout, report, None, actions);
    }

    /// The latest trap no longer counts: the state is good again. Without
    /// `trapduration_upalert` nothing else changes (E-2), but for the table, which would keep
    /// a server out for ever.
    fn trap_ends(&mut self, now: Now, id: ServiceId, actions: &mut Vec<Action>) {
        let model = Arc::clone(&self.model);
        let service = model.service(id);
        let state = &mut self.states[id.index()];
        if let Some(traps) = &mut state.traps {
            traps.ends = None;
        }
        if state.status != Status::Fail {
            return;
        }
        if service.trapduration_upalert {
            let report = Report {
                ended: Ended::Exited(0),
                output: Vec::new(),
                hosts: Vec::new(),
                took: Duration::ZERO,
            };
            return self.hear_of_traps(now, id, AlertKind::Trap, report, None, actions);
        }
        state.last_status = std::mem::replace(&mut state.status, Status::Ok);
        if let Some(outage) = state.outage.as_deref() {
            actions.push(Action::Note(Note::ServiceUp {
                service: id,
                outage: outage.began.moment.ago(now),
            }));
        }
        actions.push(report::record(service, state, now));
        let hosts = call::checked_hosts(&model, &self.disabled, id).into_iter();
        let verdicts = hosts.map(|host| (host, HostVerdict::Up)).collect();
        self.good_for_table(id, &verdicts, actions);
    }

    fn hear_of_traps(
        &mut self,
        now: Now,
        id: ServiceId,
        kind: AlertKind,
        report: Report,
        intended: Option<Arc<str>>,
        actions: &mut Vec<Action>,
    ) {
        self.look_at_alert_dependency(now, id);
        let heard = Heard {
            service: id,
            kind,
            report,
            hosts: call::checked_hosts(&self.model, &self.disabled, id),
            began: Began {
                run: None,
                answers: self.bindings.answers(),
                told: Arc::default(),
            },
            is_early: false,
            intended,
        };
        match kind {
            // The link may be what kept it from coming; one that came needs no witness.
            AlertKind::TrapTimeout => {
                self.consider(now, now.mono, Doubted::Traps(heard), actions);
            }
            AlertKind::Trap
            | AlertKind::Failure
            | AlertKind::Up
            | AlertKind::Startup
            | AlertKind::Ack
            | AlertKind::Disable
            | AlertKind::Test => self.heard(now, heard, actions),
        }
    }

    /// An alarm of a service that hears traps has come.
    pub(super) fn alarmed(
        &mut self,
        now: Now,
        alarm: Alarm,
        id: ServiceId,
        actions: &mut Vec<Action>,
    ) {
        match alarm {
            Alarm::TrapTimeout => self.no_trap_came(now, id, actions),
            Alarm::TrapEnd => self.trap_ends(now, id, actions),
            Alarm::Recheck => self.check_between(now, id),
            Alarm::Former => self.former_again(id),
        }
    }

    /// Something else than a trap reported since: the end of the trap ends nothing any more.
    pub(super) fn forget_trap_end(&mut self, id: ServiceId) {
        self.timetable.clear_alarm(Alarm::TrapEnd, id);
        if let Some(traps) = &mut self.states[id.index()].traps {
            traps.ends = None;
        }
    }

    /// The time of `traptimeout` begins anew: at the start, at a reset, at `clear timers`.
    pub(super) fn await_trap(&mut self, now: Now, id: ServiceId) {
        let clock = self.timetable.clock(now.mono);
        match self.model.service(id).traptimeout {
            Some(limit) => self
                .timetable
                .set_alarm(Alarm::TrapTimeout, id, clock.after(limit)),
            None => self.timetable.clear_alarm(Alarm::TrapTimeout, id),
        }
    }

    /// `clear timers`: the time of `trapduration` begins anew, whatever made the service fail.
    pub(super) fn begin_trap_end_anew(&mut self, now: Now, id: ServiceId) {
        let Some(duration) = self.model.service(id).trapduration else {
            return;
        };
        let at = self.timetable.clock(now.mono).after(duration);
        self.timetable.set_alarm(Alarm::TrapEnd, id, at);
        let traps = self.states[id.index()].traps.get_or_insert_default();
        traps.ends = Some(Moment::of(now).after(duration));
    }

    /// At the start: timers of all services, also of traps that came before a restart.
    pub(super) fn await_all_traps(&mut self, now: Now) {
        let model = Arc::clone(&self.model);
        let clock = self.timetable.clock(now.mono);
        for (id, _) in model.services() {
            self.await_trap(now, id);
            let traps = self.states[id.index()].traps.as_deref();
            if let Some(ends) = traps.and_then(|traps| traps.ends) {
                let at = clock.after(ends.left(now));
                self.timetable.set_alarm(Alarm::TrapEnd, id, at);
            }
        }
    }

    /// After a reload: timers go on where `traptimeout` is what it was. `places` has the new
    /// number of each service of the old Model.
    pub(super) fn await_traps_anew(&mut self, now: Now, old: &Model, places: &[Option<ServiceId>]) {
        let model = Arc::clone(&self.model);
        let mut is_same = vec![false; model.services.len()];
        for ((_, before), place) in old.services().zip(places) {
            if let Some(id) = *place {
                is_same[id.index()] = before.traptimeout == model.service(id).traptimeout;
                if model.service(id).trapduration.is_none() {
                    self.forget_trap_end(id);
                }
            }
        }
        for (id, _) in model.services().filter(|(id, _)| !is_same[id.index()]) {
            self.await_trap(now, id);
        }
    }
}

/// The exit value of a trap: its status is good where it is empty or exactly `0`.
fn exit(status: &str) -> i32 {
    match status {
        "" | "0" => 0,
        other => other.parse().ok().filter(|&exit| exit != 0).unwrap_or(1),
    }
}

/// The output of a trap: its summary as a line, an empty line, its detail.
fn output(trap: Trap) -> Vec<u8> {
    let mut output = trap.summary;
    if !output.ends_with('\n') {
        output.push('\n');
    }
    output.push('\n');
    output.push_str(&trap.detail);
    output.into_bytes()
}
