//! What must hold after every step, whatever happens.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use lvsmon::engine::Engine;
use lvsmon::engine::event::{Action, AlertCall, AlertKind, Purpose, Run, RunId, RunProgram};
use lvsmon::model::{HostName, ServiceId};
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
    pub(crate) traps: u64,
    pub(crate) held_by_parent: u64,
    pub(crate) waits_for_parent: u64,
    pub(crate) cut_journals: u64,
    pub(crate) kept_servers: u64,
    pub(crate) fallbacks: u64,
    pub(crate) strangers: u64,
    pub(crate) lost_entries: u64,
    pub(crate) wars: u64,
    pub(crate) orders: u64,
    pub(crate) inherited_orders: u64,
    pub(crate) drains: u64,
    pub(crate) troubles: u64,
    pub(crate) exits: u64,
    pub(crate) loaded_states: u64,
    pub(crate) wires: u64,
    pub(crate) trips: u64,
    pub(crate) trips_at_a_run: u64,
    pub(crate) crashes: u64,
    pub(crate) beside: u64,
    pub(crate) former: u64,
    pub(crate) cut_off: u64,
    pub(crate) udp_out: u64,
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
        self.traps += other.traps;
        self.held_by_parent += other.held_by_parent;
        self.waits_for_parent += other.waits_for_parent;
        self.cut_journals += other.cut_journals;
        self.kept_servers += other.kept_servers;
        self.fallbacks += other.fallbacks;
        self.strangers += other.strangers;
        self.lost_entries += other.lost_entries;
        self.wars += other.wars;
        self.orders += other.orders;
        self.inherited_orders += other.inherited_orders;
        self.drains += other.drains;
        self.troubles += other.troubles;
        self.exits += other.exits;
        self.loaded_states += other.loaded_states;
        self.wires += other.wires;
        self.trips += other.trips;
        self.trips_at_a_run += other.trips_at_a_run;
        self.crashes += other.crashes;
        self.beside += other.beside;
        self.former += other.former;
        self.cut_off += other.cut_off;
        self.udp_out += other.udp_out;
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
            self.traps,
            self.held_by_parent,
            self.waits_for_parent,
            self.cut_journals,
            self.kept_servers,
            self.fallbacks,
            self.strangers,
            self.lost_entries,
            self.wars,
            self.orders,
            self.inherited_orders,
            self.drains,
            self.troubles,
            self.exits,
            self.loaded_states,
            self.wires,
            self.trips,
            self.trips_at_a_run,
            self.crashes,
            self.beside,
            self.former,
            self.cut_off,
            self.udp_out,
        ];
        assert!(counts.iter().all(|&count| count > 0), "{self:?}");
    }
}

/// Hosts of one service that are checked by themselves at once, beside its run.
const BESIDE_MAX: usize = 8;

/// The rules that need a memory.
#[derive(Debug, Default)]
pub(crate) struct Rules {
    /// Runs that go on.
    pub(crate) going: BTreeMap<RunId, ServiceId>,
    /// Those of them that check one host beside another run.
    beside: BTreeMap<RunId, HostName>,
    /// Those of these that look at an address that its name has left.
    former: BTreeSet<RunId>,
    /// Start of the latest run of each service of this daemon and configuration.
    started: BTreeMap<ServiceId, Mono>,
}

impl Rules {
    /// A new daemon or a new configuration: ids begin anew.
    pub(crate) fn forget_services(&mut self) {
        self.started.clear();
    }

    /// A new daemon: the runs of the former one died with it, and ids begin anew.
    pub(crate) fn restarted(&mut self) {
        self.going.clear();
        self.beside.clear();
        self.former.clear();
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
                    assert!(self.ended(*run), "{run:?} does not go on");
                }
                Action::Send(call) => {
                    assert_ne!(&*call.command.name, "lvs.alert", "a binding is never sent");
                    names_enabled_hosts(engine, call);
                    if by_whom == ByWhom::Nobody {
                        may_be_told(engine, call);
                    }
                }
                Action::Resolve(_)
                | Action::ApplyTable
                | Action::Record(_)
                | Action::Renumber { .. }
                | Action::History(_)
                | Action::Downtime(_)
                | Action::Suppressed(_)
                | Action::Hold(_)
                | Action::LetGo(_)
                | Action::Answer(_)
                | Action::Note(_) => {}
            }
        }
        self.limits(engine);
        bounded(engine);
        if let Some(next) = engine.next_deadline() {
            assert!(
                next > now.mono,
                "a deadline in the past: {next:?} at {now:?}"
            );
        }
    }

    fn starts(&mut self, now: Now, engine: &Engine, run: &Run, may_wait: bool) {
        let service = engine.model().service(run.service);
        let name = format!("{}/{}", service.group, service.name);
        let mine = self.going.iter().filter(|it| *it.1 == run.service);
        // Checks of addresses that names have left look at other machines than all else.
        let is_former = run.purpose == Purpose::Former;
        let mine = mine.filter(|(it, _)| self.former.contains(*it) == is_former);
        let (beside, others): (Vec<RunId>, Vec<RunId>) = mine
            .map(|(run, _)| *run)
            .partition(|run| self.beside.contains_key(run));
        let is_single = run.purpose.is_single();
        assert!(is_single || others.is_empty(), "a second run of {name}");
        let mut checked = beside.iter().map(|run| &self.beside[run]);
        let is_twice = checked.any(|host| run.hosts.contains(host));
        assert!(
            !is_twice,
            "a second check of a host of {name}: {run:?} beside {beside:?}"
        );
        if is_single {
            let [host] = run.hosts.as_slice() else {
                panic!("a check beside a run is of one host: {run:?}");
            };
            assert!(beside.len() < BESIDE_MAX, "too many at once for {name}");
            self.beside.insert(run.id, host.clone());
            if is_former {
                self.former.insert(run.id);
            }
        }
        self.going.insert(run.id, run.service);
        for host in &run.hosts {
            let is_off = engine.is_host_disabled(&service.group, host);
            assert!(!is_off, "{host} is disabled and checked");
        }
        if is_single {
            return;
        }
        let before = self.started.insert(run.service, now.mono);
        // A run may wait for a parent, or have no host but those that a parent names.
        let may_wait = may_wait || service.exclude_period.is_some() || !service.depend.is_empty();
        let (Some(before), false) = (before, may_wait) else {
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

    /// A run has ended.
    pub(crate) fn ended(&mut self, run: RunId) -> bool {
        self.beside.remove(&run);
        self.former.remove(&run);
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
    let Some(service) = call.service else {
        return;
    };
    let view = engine.service(service).unwrap();
    let is_disabled = view.is_disabled || engine.is_watch_disabled(view.group);
    assert!(!is_disabled, "an alert of what is disabled: {call:?}");
    assert!(
        call.kind != AlertKind::Failure || view.ack.is_none(),
        "an alert of what is acknowledged: {call:?}"
    );
}

fn names_enabled_hosts(engine: &Engine, call: &AlertCall) {
    // A section names its real servers, checked or not.
    let hosts = call.service.map_or("", |_| &call.hosts);
    for host in hosts.split_whitespace() {
        let is_off = engine.is_host_disabled(&call.group, &HostName::new(host));
        assert!(!is_off, "{host} is disabled and named: {call:?}");
    }
}

/// Nothing that is only remembered for readers grows for ever.
fn bounded(engine: &Engine) {
    let most = usize::try_from(engine.history_length()).unwrap();
    assert!(engine.alert_history().count() <= most);
    assert!(engine.failure_history().count() <= most);
    for (id, service) in engine.model().services() {
        if let Some(limit) = service.traptimeout {
            let left = engine.trap_timer(id);
            assert!(
                left.is_some_and(|left| left <= limit),
                "{}/{} waits {left:?} for a trap",
                service.group,
                service.name
            );
        }
    }
}

/// Every service that may run is going to, within its interval.
pub(crate) fn nothing_freezes(now: Now, engine: &Engine, waits: impl Fn(ServiceId) -> Waits) {
    for view in engine.services() {
        let service = engine.model().service(view.id);
        let (Some(interval), Some(_), false) = (service.interval, &service.monitor, view.running)
        else {
            continue;
        };
        let name = format!("{}/{}", view.group, view.name);
        let next = view.next_run;
        let next = next.unwrap_or_else(|| panic!("{name} has no next run"));
        let skew = service.randskew.unwrap_or_default();
        let globals = &engine.model().globals;
        let at_start = globals.randstart.unwrap_or_default();
        let minute = |is_set| Duration::from_secs(60 * u64::from(is_set));
        let excluded = minute(service.exclude_period.is_some());
        // Timers stand still, until the period is looked at again.
        let standstill = minute(globals.exclude_period.is_some());
        let interval = interval.max(service.failure_interval.unwrap_or_default());
        // First runs of several services stand a little apart.
        let apart = Duration::from_secs(1);
        let longest = (interval + skew).max(at_start).max(excluded) + standstill + apart;
        let left = next.since(now.mono);
        match waits(view.id) {
            Waits::No => {
                assert!(next > now.mono, "{name} is due and does not run");
                assert!(
                    left <= longest,
                    "{name} runs in {left:?}, later than {longest:?}"
                );
            }
            Waits::Perhaps { memory } => {
                let longest = longest.max(memory);
                assert!(
                    left <= longest,
                    "{name} runs in {left:?}, later than {longest:?}"
                );
            }
        }
    }
}

/// Whether something may hold a run back.
pub(crate) enum Waits {
    No,
    Perhaps {
        /// The longest `dep_memory` whose end it may be waiting for.
        memory: Duration,
    },
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
