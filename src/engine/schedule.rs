//! When does a monitor run: slots on a grid, places, the queue for places.
//!
//! Pure bookkeeping. A service has a *slot*, the moment of its next run; the timer of the
//! slot may stand later than the slot while an exclude period holds the run back. When the
//! slot has come the service waits for a *place* in its lane (executables or native checks),
//! first due first served. Not here: whether an exclude period holds, and what a run is.
//!
//! Source: docs/mon.md, "Scheduling"; E-3 and E-4 fixed; decisions D6 and D22.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::engine::event::Status;
use crate::model::{Service, ServiceId};
use crate::time::Mono;

mod between;
mod first;
#[cfg(test)]
mod tests;

pub(crate) use first::FirstRuns;

/// A limit that is reached is said at most this often.
const THROTTLED_EVERY: Duration = Duration::from_secs(60);

/// With `randskew` at least this share of the interval passes between two runs: the skew
/// may be longer than the interval.
const SKEWED_INTERVAL_SHARE_MIN: u32 = 10;

/// What wakes the engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Timer {
    /// The global `exclude_period` may have begun or ended.
    Exclusion,
    /// The slot of a service has come, or its `exclude_period` is to be looked at again.
    Run(ServiceId),
    /// Something else of a service.
    Alarm(Alarm, ServiceId),
}

/// What a service waits for beside its slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Alarm {
    /// `traptimeout`: no trap came for that long.
    TrapTimeout,
    /// `trapduration`: the latest trap no longer counts.
    TrapEnd,
    /// `recheck` of a section: a count of failures is running.
    Recheck,
    /// The same of an address that its name has left.
    Former,
}

/// Which limit a run counts against (D22).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lane {
    /// `maxprocs`
    Executables,
    /// `maxchecks`
    Checks,
}

impl Lane {
    /// The global that sets its limit.
    pub(crate) const fn keyword(self) -> &'static str {
        match self {
            Self::Executables => "maxprocs",
            Self::Checks => "maxchecks",
        }
    }
}

/// Timers, slots and places of all services.
#[derive(Debug)]
pub(crate) struct Timetable {
    timers: BTreeSet<(Mono, Timer)>,
    slots: Vec<Slot>,
    held: BTreeSet<ServiceId>,
    alarms: BTreeMap<(Alarm, ServiceId), Mono>,
    frozen: Option<Frozen>,
    exclusion_at: Option<Mono>,
    executables: Places,
    checks: Places,
}

#[derive(Clone, Copy, Debug)]
struct Slot {
    due: Mono,
    stage: Stage,
    /// Since when a check between two slots wants the place, where it is for one.
    between: Option<Mono>,
}

impl Slot {
    /// Never polled.
    const OFF: Self = Self {
        due: Mono::ZERO,
        stage: Stage::Off,
        between: None,
    };

    /// Since when it waits, or would.
    fn waits_since(&self) -> Mono {
        self.between.unwrap_or(self.due)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// Never polled, or between two stages.
    Off,
    /// A timer stands at this moment.
    Timed(Mono),
    /// Held back until somebody releases it.
    Parked,
    Waiting(Lane),
    Running(Lane),
}

/// The global `exclude_period` holds: the timers of all services stand still.
#[derive(Debug)]
struct Frozen {
    since: Mono,
    timers: BTreeSet<(Mono, Timer)>,
}

#[derive(Debug)]
struct Places {
    limit: Option<u32>,
    running: u32,
    waiting: BTreeSet<(Mono, ServiceId)>,
    said: Option<Mono>,
}

impl Places {
    const fn new(limit: Option<u32>) -> Self {
        Self {
            limit,
            running: 0,
            waiting: BTreeSet::new(),
            said: None,
        }
    }

    fn has_room(&self) -> bool {
        self.limit.is_none_or(|limit| self.running < limit)
    }
}

impl Timetable {
    /// No service has a slot yet. A limit of 0 children means none (mon(8), "maxprocs").
    pub(crate) fn new(services: usize, maxprocs: Option<u32>, maxchecks: u32) -> Self {
        Self {
            timers: BTreeSet::new(),
            slots: vec![Slot::OFF; services],
            held: BTreeSet::new(),
            alarms: BTreeMap::new(),
            frozen: None,
            exclusion_at: None,
            executables: Places::new(maxprocs.filter(|&limit| limit > 0)),
            checks: Places::new(Some(maxchecks.max(1))),
        }
    }

    /// The time that slots are planned with: it stands still while the global
    /// `exclude_period` holds, so that what is planned in the meantime is put off no longer
    /// than what was planned before.
    pub(crate) fn clock(&self, now: Mono) -> Mono {
        self.frozen.as_ref().map_or(now, |frozen| frozen.since)
    }

    /// The service is to run at `due`, by [`Self::clock`].
    pub(crate) fn plan(&mut self, service: ServiceId, due: Mono) {
        self.cancel(service);
        self.slots[service.index()].due = due;
        self.set_timer(service, due);
    }

    /// The slot has come, but an exclude period holds: look again at `until`.
    pub(crate) fn hold(&mut self, service: ServiceId, until: Mono) {
        self.cancel(service);
        self.held.insert(service);
        self.set_timer(service, until);
    }

    /// The slot has come, but a dependency fails: look again at `until` or when released.
    pub(crate) fn park(&mut self, service: ServiceId, until: Option<Mono>) {
        if let Some(until) = until {
            return self.hold(service, until);
        }
        self.cancel(service);
        self.held.insert(service);
        self.slots[service.index()].stage = Stage::Parked;
    }

    /// A service that is held back is looked at again now; nothing for any other.
    pub(crate) fn release(&mut self, service: ServiceId, now: Mono) {
        if self.held.contains(&service) {
            self.cancel(service);
            self.set_timer(service, self.clock(now));
        }
    }

    /// The slots that went by while a service was held back are forgotten, its grid stays.
    pub(crate) fn catch_up(&mut self, service: ServiceId, interval: Duration, now: Mono) {
        let now = self.clock(now);
        let slot = &mut self.slots[service.index()];
        let next = next_slot(slot.due, interval, now);
        let latest = next.as_micros().saturating_sub(micros(interval));
        slot.due = slot.due.max(Mono::from_micros(latest));
    }

    /// Sets an alarm for `at`, by [`Self::clock`]; one that was set before is gone.
    pub(crate) fn set_alarm(&mut self, alarm: Alarm, service: ServiceId, at: Mono) {
        self.clear_alarm(alarm, service);
        self.alarms.insert((alarm, service), at);
        self.timers_that_count()
            .insert((at, Timer::Alarm(alarm, service)));
    }

    /// Takes an alarm back.
    pub(crate) fn clear_alarm(&mut self, alarm: Alarm, service: ServiceId) {
        if let Some(at) = self.alarms.remove(&(alarm, service)) {
            self.timers_that_count()
                .remove(&(at, Timer::Alarm(alarm, service)));
        }
    }

    /// When an alarm comes, by [`Self::clock`].
    pub(crate) fn alarm(&self, alarm: Alarm, service: ServiceId) -> Option<Mono> {
        self.alarms.get(&(alarm, service)).copied()
    }

    /// Whether all timers stand still.
    pub(crate) const fn is_frozen(&self) -> bool {
        self.frozen.is_some()
    }

    /// Whether an exclude period or a dependency holds the run of a service back.
    pub(crate) fn is_held(&self, service: ServiceId) -> bool {
        self.is_frozen() || self.held.contains(&service)
    }

    /// Everything that an exclude period holds back is looked at again now: the wall clock
    /// was set.
    pub(crate) fn release_held(&mut self, now: Mono) {
        let now = self.clock(now);
        for service in std::mem::take(&mut self.held) {
            self.cancel(service);
            self.set_timer(service, now);
        }
    }

    /// The slot has come: the service stands in the queue of its lane.
    pub(crate) fn wait(&mut self, service: ServiceId, lane: Lane) {
        self.cancel(service);
        let slot = &mut self.slots[service.index()];
        slot.stage = Stage::Waiting(lane);
        let due = slot.due;
        self.places(lane).waiting.insert((due, service));
    }

    /// Gives the next free place to the service that has been due for longest.
    pub(crate) fn next_to_start(&mut self) -> Option<ServiceId> {
        if self.frozen.is_some() {
            return None;
        }
        let first = |places: &Places| {
            let first = places.waiting.first().copied();
            first.filter(|_| places.has_room())
        };
        let lane = match (first(&self.executables), first(&self.checks)) {
            (None, None) => return None,
            (Some(_), None) => Lane::Executables,
            (None, Some(_)) => Lane::Checks,
            (Some(child), Some(check)) if child < check => Lane::Executables,
            (Some(_), Some(_)) => Lane::Checks,
        };
        let places = self.places(lane);
        let (_, service) = places.waiting.pop_first()?;
        places.running = places.running.saturating_add(1);
        self.slots[service.index()].stage = Stage::Running(lane);
        Some(service)
    }

    /// Takes a place for something that waits in no queue; false where none is free.
    pub(crate) fn take_place(&mut self, lane: Lane) -> bool {
        let places = self.places(lane);
        let has_room = places.has_room();
        if has_room {
            places.running = places.running.saturating_add(1);
        }
        has_room
    }

    /// Gives such a place back.
    pub(crate) fn give_place(&mut self, lane: Lane) {
        let places = self.places(lane);
        places.running = places.running.saturating_sub(1);
    }

    /// Takes the service out of every queue and gives its place back.
    pub(crate) fn cancel(&mut self, service: ServiceId) {
        let slot = &mut self.slots[service.index()];
        let (since, stage) = (slot.waits_since(), slot.stage);
        slot.stage = Stage::Off;
        slot.between = None;
        self.held.remove(&service);
        match stage {
            Stage::Off | Stage::Parked => {}
            Stage::Timed(at) => {
                self.timers_that_count().remove(&(at, Timer::Run(service)));
            }
            Stage::Waiting(lane) => {
                self.places(lane).waiting.remove(&(since, service));
            }
            Stage::Running(lane) => {
                let places = self.places(lane);
                places.running = places.running.saturating_sub(1);
            }
        }
    }

    /// The slot of the service: when it was or is to run.
    pub(crate) fn due(&self, service: ServiceId) -> Mono {
        self.slots[service.index()].due
    }

    /// When the service runs next, in the past while it waits; none while it runs or is off.
    pub(crate) fn next_run(&self, service: ServiceId) -> Option<Mono> {
        let slot = self.slots[service.index()];
        match slot.stage {
            Stage::Off => None,
            Stage::Running(_) => slot.between.map(|_| slot.due),
            Stage::Timed(at) => Some(at),
            Stage::Waiting(_) | Stage::Parked => Some(slot.due),
        }
    }

    /// Whether a run of the service is going on.
    pub(crate) fn is_running(&self, service: ServiceId) -> bool {
        matches!(self.slots[service.index()].stage, Stage::Running(_))
    }

    /// Whether the service stands in the queue for a place.
    pub(crate) fn is_waiting(&self, service: ServiceId) -> bool {
        matches!(self.slots[service.index()].stage, Stage::Waiting(_))
    }

    /// The next timer that has come, taken out.
    pub(crate) fn pop(&mut self, now: Mono) -> Option<Timer> {
        let &(at, timer) = self.timers.first()?;
        if at > now {
            return None;
        }
        self.timers.pop_first();
        match timer {
            Timer::Exclusion => self.exclusion_at = None,
            Timer::Run(service) => {
                self.held.remove(&service);
                self.slots[service.index()].stage = Stage::Off;
            }
            Timer::Alarm(alarm, service) => {
                self.alarms.remove(&(alarm, service));
            }
        }
        Some(timer)
    }

    /// When the next timer comes.
    pub(crate) fn next(&self) -> Option<Mono> {
        self.timers.first().map(|&(at, _)| at)
    }

    /// Looks at the global `exclude_period` again at `at`.
    pub(crate) fn look_at_exclusion(&mut self, at: Option<Mono>) {
        if let Some(at) = self.exclusion_at.take() {
            self.timers.remove(&(at, Timer::Exclusion));
        }
        if let Some(at) = at {
            self.timers.insert((at, Timer::Exclusion));
        }
        self.exclusion_at = at;
    }

    /// The global `exclude_period` begins: all timers stand still. Runs go on.
    pub(crate) fn freeze(&mut self, now: Mono) {
        if self.frozen.is_some() {
            return;
        }
        let exclusion_at = self.exclusion_at;
        self.look_at_exclusion(None);
        self.frozen = Some(Frozen {
            since: now,
            timers: std::mem::take(&mut self.timers),
        });
        self.look_at_exclusion(exclusion_at);
    }

    /// It ends: the timers go on where they stopped, so they stay as spread as they were. The
    /// grids of runs that go on and of services that wait for a place move with them.
    pub(crate) fn thaw(&mut self, now: Mono) {
        let Some(frozen) = self.frozen.take() else {
            return;
        };
        let pause = now.since(frozen.since);
        for slot in &mut self.slots {
            slot.due = slot.due.after(pause);
            slot.between = slot.between.map(|since| since.after(pause));
        }
        for places in [&mut self.executables, &mut self.checks] {
            let waiting = std::mem::take(&mut places.waiting).into_iter();
            places.waiting = waiting.map(|(due, id)| (due.after(pause), id)).collect();
        }
        for (at, timer) in frozen.timers {
            match timer {
                Timer::Exclusion => {}
                Timer::Run(service) => self.set_timer(service, at.after(pause)),
                Timer::Alarm(alarm, service) => self.set_alarm(alarm, service, at.after(pause)),
            }
        }
    }

    /// New limits, from a reload.
    pub(crate) fn set_limits(&mut self, maxprocs: Option<u32>, maxchecks: u32) {
        self.executables.limit = maxprocs.filter(|&limit| limit > 0);
        self.checks.limit = Some(maxchecks.max(1));
    }

    /// The same services under new numbers: `place[old]` is the new one, none where it is
    /// gone. The caller has cancelled those that are gone.
    pub(crate) fn renumber(&mut self, places: &[Option<ServiceId>], services: usize) {
        let place = |old: ServiceId| places.get(old.index()).copied().flatten();
        let mut slots = vec![Slot::OFF; services];
        for (old, slot) in self.slots.iter().enumerate() {
            if let Some(new) = places.get(old).copied().flatten() {
                slots[new.index()] = *slot;
            }
        }
        self.slots = slots;
        let renumbered = |timers: &mut BTreeSet<(Mono, Timer)>| {
            let old = std::mem::take(timers).into_iter();
            *timers = old
                .filter_map(|(at, timer)| match timer {
                    Timer::Exclusion => Some((at, timer)),
                    Timer::Run(old) => place(old).map(|new| (at, Timer::Run(new))),
                    Timer::Alarm(alarm, old) => {
                        place(old).map(|new| (at, Timer::Alarm(alarm, new)))
                    }
                })
                .collect();
        };
        renumbered(&mut self.timers);
        if let Some(frozen) = &mut self.frozen {
            renumbered(&mut frozen.timers);
        }
        let alarms = std::mem::take(&mut self.alarms).into_iter();
        self.alarms = alarms
            .filter_map(|((alarm, old), at)| place(old).map(|new| ((alarm, new), at)))
            .collect();
        self.held = self.held.iter().copied().filter_map(place).collect();
        let renumbered = |queue: &mut BTreeSet<(Mono, ServiceId)>| {
            let old = std::mem::take(queue).into_iter();
            *queue = old
                .filter_map(|(at, old)| place(old).map(|new| (at, new)))
                .collect();
        };
        renumbered(&mut self.executables.waiting);
        renumbered(&mut self.checks.waiting);
    }

    /// A limit that makes services wait and was not spoken of for a while: lane, limit and
    /// how many wait.
    pub(crate) fn throttled(&mut self, now: Mono) -> Option<(Lane, u32, usize)> {
        if self.frozen.is_some() {
            return None;
        }
        for lane in [Lane::Executables, Lane::Checks] {
            let places = self.places(lane);
            let quiet = places
                .said
                .is_none_or(|said| now.since(said) >= THROTTLED_EVERY);
            if let (Some(limit), false, true) = (places.limit, places.waiting.is_empty(), quiet) {
                places.said = Some(now);
                return Some((lane, limit, places.waiting.len()));
            }
        }
        None
    }

    /// Runs that count against the limit of a lane.
    pub(crate) fn running(&self, lane: Lane) -> u32 {
        match lane {
            Lane::Executables => self.executables.running,
            Lane::Checks => self.checks.running,
        }
    }

    fn places(&mut self, lane: Lane) -> &mut Places {
        match lane {
            Lane::Executables => &mut self.executables,
            Lane::Checks => &mut self.checks,
        }
    }

    fn set_timer(&mut self, service: ServiceId, at: Mono) {
        self.slots[service.index()].stage = Stage::Timed(at);
        self.timers_that_count().insert((at, Timer::Run(service)));
    }

    /// Where timers of services stand: those of a frozen timetable stand still.
    fn timers_that_count(&mut self) -> &mut BTreeSet<(Mono, Timer)> {
        match &mut self.frozen {
            Some(frozen) => &mut frozen.timers,
            None => &mut self.timers,
        }
    }
}

/// The first slot later than `now` on the grid that goes through `slot`. Slots that were
/// missed are skipped, the grid stays (E-4 fixed).
pub(crate) fn next_slot(slot: Mono, interval: Duration, now: Mono) -> Mono {
    let interval = micros(interval).max(1);
    let passed = micros(now.since(slot)) / interval;
    slot.after(Duration::from_micros(
        interval.saturating_mul(passed.saturating_add(1)),
    ))
}

/// How many slots of the grid lie between `slot` and `next`, unused.
pub(crate) fn skipped(slot: Mono, interval: Duration, next: Mono) -> u64 {
    (micros(next.since(slot)) / micros(interval).max(1)).saturating_sub(1)
}

/// The next run with `randskew`: `interval` after the start of the last one, plus or minus
/// up to `skew`, never before `now`.
pub(crate) fn skewed_slot(
    started: Mono,
    interval: Duration,
    skew: Duration,
    now: Mono,
    random: &mut fastrand::Rng,
) -> Mono {
    let by = Duration::from_micros(random.u64(1..=micros(skew).max(1)));
    let span = if random.bool() {
        interval.saturating_add(by)
    } else {
        let least = interval / SKEWED_INTERVAL_SHARE_MIN;
        interval.saturating_sub(by).max(least)
    };
    let next = started.after(span);
    if next > now {
        next
    } else {
        now.after(Duration::from_micros(1))
    }
}

/// Whether the engine polls the service at all.
pub(crate) fn is_polled(service: &Service) -> bool {
    service.interval.is_some() && service.monitor.is_some()
}

/// The interval in force: `failure_interval` while the service fails. None where it is
/// never polled.
pub(crate) fn interval_in_force(service: &Service, status: Status) -> Option<Duration> {
    let interval = service.interval.filter(|_| is_polled(service))?;
    let while_failing = service.failure_interval.filter(|_| status == Status::Fail);
    Some(while_failing.unwrap_or(interval))
}

fn micros(span: Duration) -> u64 {
    u64::try_from(span.as_micros()).unwrap_or(u64::MAX)
}
