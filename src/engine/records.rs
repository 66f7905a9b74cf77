//! Which records does the engine as a whole write anew?

use crate::engine::event::Action;
use crate::engine::{Engine, report, saved};
use crate::time::Now;

impl Engine {
    /// All that is to survive a restart, as records, whether written before or not.
    pub(super) fn record_all(&self, now: Now) -> Vec<Action> {
        let states = self.model.services().zip(&self.states);
        let known = states.filter(|(_, state)| state.is_known());
        let services =
            known.map(|((_, service), state)| Action::record(saved::record(service, state, now)));
        let disabled = self.disabled.record_all();
        let disabled = disabled.map(Action::record);
        services
            .chain(disabled)
            .chain(self.record_stop())
            .chain([self.record_numbering()])
            .chain(self.bindings.record_all(now))
            .chain(self.record_troubles(now))
            .chain(self.peer.record_all(now))
            .collect()
    }

    /// The wall clock was set: a restart would count spans by what it said before.
    pub(super) fn record_spans(&self, now: Now) -> impl Iterator<Item = Action> {
        let states = self.model.services().zip(&self.states);
        let counting = states.filter(|(_, state)| state.has_spans());
        counting.map(move |((_, service), state)| report::record(service, state, now))
    }

    /// Which numbers of events are taken, for the journal.
    pub(super) fn record_numbering(&self) -> Action {
        Action::record(self.numbering.record())
    }
}
