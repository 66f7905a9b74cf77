//! What must hold after every step, whatever happens.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use lvsmon::engine::Engine;
use lvsmon::engine::event::{Action, AlertCall, AlertKind, Run, RunId, RunProgram};
use lvsmon::lvs::ServerWish;
use lvsmon::model::ServiceId;
use lvsmon::time::{Mono, Now};

/// How much the worlds have lived through, so that a simulation in which nothing happens
/// does not pass for a good one.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Seen {
    pub(crate) runs: u64,
    pub(crate) alerts: u64,
    pub(crate) upalerts: u64,
    pub(crate) suppressed: u64,
    pub(crate) withdrawn: u64,
    pub(crate) settled_servers: u64,
    pub(crate) restarts: u64,
    pub(crate) reloads: u64,
    pub(crate) refused: u64,
    pub(crate) flushed: u64,
    pub(crate) clock_steps: u64,
    pub(crate) lost_journals: u64,
    pub(crate) late_reports: u64,
    pub(crate) throttled: u64,
    pub(crate) quiet: u64,
    pub(crate) acks: u64,
    pub(crate) refused_wishes: u64,
    pub(crate) wishes: u64,
    pub(crate) loaded_states: u64,
    pub(crate) traps: u64,
}

impl Seen {
    pub(crate) fn add(&mut self, other: &Self) {
        self.runs += other.runs;
        self.alerts += other.alerts;
        self.upalerts += other.upalerts;
        self.suppressed += other.suppressed;
        self.withdrawn += other.withdrawn;
        self.settled_servers += other.settled_servers;
        self.restarts += other.restarts;
        self.reloads += other.reloads;
        self.refused += other.refused;
        self.flushed += other.flushed;
        self.clock_steps += other.clock_steps;
        self.lost_journals += other.lost_journals;
        self.late_reports += other.late_reports;
        self.throttled += other.throttled;
        self.quiet += other.quiet;
        self.acks += other.acks;
        self.refused_wishes += other.refused_wishes;
        self.wishes += other.wishes;
        self.loaded_states += other.loaded_states;
        self.traps += other.traps;
    }

    /// All of it has happened.
    pub(crate) fn must_be_rich(&self) {
        let counts = [
            self.runs,
            self.alerts,
            self.upalerts,
            self.suppressed,
            self.withdrawn,
            self.settled_servers,
            self.restarts,
            self.reloads,
            self.refused,
            self.flushed,
            self.clock_steps,
            self.lost_journals,
            self.late_reports,
            self.throttled,
            self.quiet,
            self.acks,
            self.refused_wishes,
            self.wishes,
            self.loaded_states,
            self.traps,
        ];
        assert!(counts.iter().all(|&count| count > 0), "{self:?}");
    }
}

/// The rules that need a memory.
#[derive(Debug, Default)]
pub(crate) struct Rules {
    /// Runs that go on.
    pub(crate) going: BTreeMap<RunId, ServiceId>,
    /// Start of the latest run of each service of this daemon and configuration.
    started: BTreeMap<ServiceId, Mono>,
    /// Alerts of each outage that are not taken back: by group, service and period.
    alerted: BTreeMap<(String, String, String), u32>,
    /// Ids of all events that were told, in all lives of the daemon.
    event_ids: BTreeSet<String>,
}

impl Rules {
    /// A new daemon or a new configuration: ids begin anew.
    pub(crate) fn forget_services(&mut self) {
        self.started.clear();
    }

    /// What one step answered.
    pub(crate) fn check(
        &mut self,
        now: Now,
        engine: &Engine,
        actions: &[Action],
        may_wait: bool,
        by_whom: ByWhom,
    ) {
        for action in actions {
            match action {
                Action::Start(run) => {
                    assert_eq!(engine.stopped_since(), None, "a run of a stopped scheduler");
                    self.starts(now, engine, run, may_wait);
                }
                Action::Stop(run) => {
                    assert!(self.going.remove(run).is_some(), "{run:?} does not go on");
                }
                Action::Send(call) => {
                    self.sends(engine, call);
                    if by_whom == ByWhom::Nobody {
                        may_be_told(engine, call);
                    }
                }
                Action::Resolve(_)
                | Action::ApplyTable
                | Action::Record(_)
                | Action::History(_)
                | Action::Downtime(_)
                | Action::Suppressed(_)
                | Action::Note(_) => {}
            }
        }
        self.limits(engine);
        if let Some(next) = engine.next_deadline() {
            assert!(
                next > now.mono,
                "a deadline in the past: {next:?} at {now:?}"
            );
        }
        for server in engine.real_servers() {
            assert!(
                server.wish != ServerWish::Out
                    || !server.withdrawals.is_empty()
                    || server.hosts.is_empty(),
                "out, and nobody says why: {server:?}"
            );
        }
    }

    fn starts(&mut self, now: Now, engine: &Engine, run: &Run, may_wait: bool) {
        let service = engine.model().service(run.service);
        assert!(
            !self.going.values().any(|&going| going == run.service),
            "a second run of {}/{}",
            service.group,
            service.name
        );
        self.going.insert(run.id, run.service);
        let before = self.started.insert(run.service, now.mono);
        let (Some(before), false) = (before, may_wait || service.exclude_period.is_some()) else {
            return;
        };
        // Interval, skew and the time limit of the run before.
        let limit = service.interval.unwrap()
            + service.randskew.unwrap_or_default()
            + engine.model().globals.monitor_timeout
            + Duration::from_secs(5);
        let gap = now.mono.since(before);
        assert!(
            gap <= limit,
            "{}/{} waited {gap:?}",
            service.group,
            service.name
        );
    }

    fn limits(&self, engine: &Engine) {
        let globals = &engine.model().globals;
        let (children, checks) = engine.runs_going();
        assert_eq!(
            usize::try_from(children + checks).unwrap(),
            self.going.len(),
            "the engine counts other runs than it started"
        );
        assert!(globals.maxprocs.is_none_or(|most| children <= most));
        assert!(checks <= globals.maxchecks);
    }

    fn sends(&mut self, engine: &Engine, call: &AlertCall) {
        let key = (
            call.group.to_string(),
            call.name.to_string(),
            call.period.to_string(),
        );
        assert_ne!(&*call.command.name, "lvs.alert", "a binding is never sent");
        let is_new = self.event_ids.insert(call.event.clone());
        assert!(is_new, "two events have one id: {}", call.event);
        if &*call.command.name == "share.alert" || call.summary == "test" {
            return;
        }
        match call.kind {
            AlertKind::Failure | AlertKind::Trap => {
                *self.alerted.entry(key).or_default() += 1;
            }
            AlertKind::Up => {
                let service = engine.model().service(call.service);
                let mut periods = service.periods.iter();
                let period = periods.find(|period| period.label == call.period).unwrap();
                assert!(
                    period.no_comp_alerts || self.alerted.contains_key(&key),
                    "an upalert without an alert: {key:?}"
                );
            }
            AlertKind::Startup | AlertKind::Ack | AlertKind::Disable | AlertKind::Test => {}
            AlertKind::TrapTimeout => panic!("nobody asked for {:?}", call.kind),
        }
    }

    /// A state file was loaded: who knows what was alerted before it was written.
    pub(crate) fn loaded(&mut self, engine: &Engine) {
        for service in &engine.model().services {
            for period in &service.periods {
                let key = (
                    service.group.to_string(),
                    service.name.to_string(),
                    period.label.to_string(),
                );
                self.alerted.entry(key).or_default();
            }
        }
    }

    /// A service came back: what was alerted is settled.
    pub(crate) fn recovered(&mut self, group: &str, name: &str) {
        self.alerted
            .retain(|(its_group, its_name, _), _| its_group != group || its_name != name);
    }

    /// A run has ended.
    pub(crate) fn ended(&mut self, run: RunId) -> bool {
        self.going.remove(&run).is_some()
    }
}

/// What is stopped, disabled or acknowledged is not told; a redistribute line is all the same.
fn may_be_told(engine: &Engine, call: &AlertCall) {
    if &*call.command.name == "share.alert" {
        return;
    }
    assert_eq!(
        engine.stopped_since(),
        None,
        "an alert of a stopped scheduler"
    );
    let view = engine.service(call.service).unwrap();
    let is_disabled = view.is_disabled || engine.is_watch_disabled(view.group);
    assert!(!is_disabled, "an alert of what is disabled: {call:?}");
    assert!(
        call.kind != AlertKind::Failure || view.ack.is_none(),
        "an alert of what is acknowledged: {call:?}"
    );
}

/// Who makes a step happen.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum ByWhom {
    /// It happens by itself.
    Nobody,
    /// An operator, by a wish or a reload.
    Operator,
}

/// Whether a run counts against `maxprocs`.
pub(crate) fn is_child(run: &Run) -> bool {
    matches!(run.program, RunProgram::Executable(_))
}
