//! What do sections count further than one failure, and what have they made of it?

use std::time::Duration;

use crate::engine::binding::Part;
use crate::engine::section::count::Tally;
use crate::engine::section::count::listener::is_bad;
use crate::model::ServiceId;

impl Tally {
    /// How soon those of these parts are to be looked at again of which a count of failures is
    /// running and that no section takes for bad; none where there is none.
    pub(crate) fn still_counted(
        &self,
        service: ServiceId,
        is_asked: impl Fn(&Part) -> bool,
    ) -> Option<Duration> {
        let parts = self.of(service).filter(|(part, _)| is_asked(part));
        let listeners = parts.filter_map(|(_, counted)| {
            let is_out = counted.listeners.values().any(|it| is_bad(it.verdict));
            let running = counted.listeners.values();
            let running = running.filter(|it| it.is_running(counted.streak));
            let soonest = running.map(|it| it.counts.recheck).min();
            soonest.filter(|_| !is_out)
        });
        listeners.min()
    }

    /// Whether a section that counts further than one failure takes a part of the service for bad.
    pub(crate) fn has_withdrawn(&self, service: ServiceId) -> bool {
        self.of(service).any(|(_, counted)| {
            let mut listeners = counted.listeners.values();
            listeners.any(|it| it.counts.fall.get() > 1 && is_bad(it.verdict))
        })
    }
}
