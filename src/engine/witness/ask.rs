//! When are the witnesses asked that somebody waits for, and whose slot follows (D17)?
//!
//! What their answers mean says `witness`. How their runs find a place: `between`.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::engine::event::Status;
use crate::engine::schedule::Lane;
use crate::engine::{Engine, call};
use crate::model::ServiceId;
use crate::time::{Mono, Now};

/// A witness is not asked again sooner, however many wait for one and however soon it ends: a
/// run that says nothing must not be repeated without a rest. Short beside
/// [`ANSWER_MAX`](super::ANSWER_MAX), since each failure waits for it.
const ASK_REST: Duration = Duration::from_millis(100);

impl Engine {
    /// Asks all witnesses that somebody waits for, each with a rest between.
    pub(in crate::engine) fn ask_witnesses(&mut self, now: Now) {
        let wanted = self.witnesses.lists.iter().filter(|list| list.doubts > 0);
        let wanted = wanted.flat_map(|list| &list.witnesses).copied();
        let wanted: BTreeSet<ServiceId> = wanted.collect();
        self.witnesses.ask_at = None;
        for id in wanted {
            let Some(lane) = self.lane_of(id) else {
                continue;
            };
            let Some(said) = self.witnesses.said.get(&id) else {
                continue;
            };
            let rests_until = said.asked.map(|asked| asked.after(ASK_REST));
            if !self.can_testify(now, id) {
                continue;
            }
            if let Some(until) = rests_until.filter(|&until| until > now.mono) {
                let others = self.witnesses.ask_at;
                self.witnesses.ask_at = Some(others.map_or(until, |at| at.min(until)));
                continue;
            }
            if self.timetable.wait_between(id, lane, Mono::ZERO)
                && let Some(said) = self.witnesses.said.get_mut(&id)
            {
                said.asked = Some(now.mono);
            }
        }
    }

    /// Whether a witness can be asked. One that nothing lets run is none.
    pub(super) fn can_testify(&self, now: Now, id: ServiceId) -> bool {
        let service = self.model.service(id);
        let period = service.exclude_period.as_ref();
        let is_excluded = period.is_some_and(|period| period.holds(now.wall, &self.zone));
        self.lane_of(id).is_some()
            && self.interval(id).is_some()
            && !self.mode(id).is_frozen()
            && !self.timetable.is_frozen()
            && !is_excluded
            && !call::checked_hosts(&self.model, &self.disabled, id).is_empty()
            && self.may_run(now, id)
    }

    fn lane_of(&self, id: ServiceId) -> Option<Lane> {
        let monitor = self.model.service(id).monitor.as_deref();
        monitor.and_then(call::lane)
    }

    /// A witness was asked between two slots. Where it found what its service does not know yet,
    /// the slot is brought forward: its alert is the one message.
    pub(in crate::engine) fn tell_by_slot(&mut self, now: Now, id: ServiceId, exit: i32) {
        let is_bad = exit != 0;
        let was_bad = self.states[id.index()].status == Status::Fail;
        if let Some(interval) = self.interval(id).filter(|_| is_bad != was_bad) {
            self.timetable.bring_forward(id, interval, now.mono);
        }
    }
}
