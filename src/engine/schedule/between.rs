//! How does a check between two slots find a place?
//!
//! A re-check or a check after a tripped connection takes a place in its lane like any other and
//! leaves the grid of its service alone. While it waits or runs the timer of the slot is put
//! away; [`Timetable::plan`] with the same slot brings it back, also where it has come meanwhile.

use std::time::Duration;

use crate::engine::schedule::{Lane, Stage, Timetable};
use crate::model::ServiceId;
use crate::time::Mono;

impl Timetable {
    /// The service is to be checked now, between two slots; the sooner it waits `since`, the
    /// sooner it has a place. False where that cannot be: it runs or waits already, something
    /// holds it back, or all timers stand still.
    pub(crate) fn wait_between(&mut self, service: ServiceId, lane: Lane, since: Mono) -> bool {
        let Stage::Timed(_) = self.slots[service.index()].stage else {
            return false;
        };
        if self.frozen.is_some() || self.held.contains(&service) {
            return false;
        }
        self.cancel(service);
        let slot = &mut self.slots[service.index()];
        slot.stage = Stage::Waiting(lane);
        slot.between = Some(since);
        self.places(lane).waiting.insert((since, service));
        true
    }

    /// Whether the place that the service has is for a check between two slots. Not where its
    /// slot came while it waited: then the check is that of the slot.
    pub(crate) fn is_between(&mut self, service: ServiceId, now: Mono) -> bool {
        let clock = self.clock(now);
        let slot = &mut self.slots[service.index()];
        if slot.due <= clock {
            slot.between = None;
        }
        slot.between.is_some()
    }

    /// The next run comes now, as the last of the grid that has passed; the grid stays. Nothing
    /// for a service that runs, waits or is held back; answers whether it comes.
    pub(crate) fn bring_forward(
        &mut self,
        service: ServiceId,
        interval: Duration,
        now: Mono,
    ) -> bool {
        let clock = self.clock(now);
        let slot = self.slots[service.index()];
        let is_held = self.held.contains(&service);
        if is_held || !matches!(slot.stage, Stage::Timed(_)) || slot.due <= clock {
            return false;
        }
        let before = Duration::from_micros(slot.due.as_micros()).saturating_sub(interval);
        let before = Mono::from_micros(u64::try_from(before.as_micros()).unwrap_or(u64::MAX));
        self.cancel(service);
        self.slots[service.index()].due = before.min(clock);
        self.set_timer(service, clock);
        true
    }

    /// The first run of a service comes when it was planned for, or now: nothing keeps it any more.
    /// Nothing for a service that runs, waits or is held back.
    pub(crate) fn bring_first_forward(&mut self, service: ServiceId, planned: Mono) {
        let slot = self.slots[service.index()];
        let is_held = self.held.contains(&service);
        if !is_held && matches!(slot.stage, Stage::Timed(_)) && planned < slot.due {
            self.plan(service, planned);
        }
    }
}
