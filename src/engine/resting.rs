//! Why does a service rest that a name with another address waits for (D8), or a real server that
//! our own exit left with weight 0? In words behind its name.
//!
//! Not here: what follows for the name ([`crate::engine::binding`]), and all that keeps a check
//! from beginning for whoever asks ([`crate::engine::held_up`]).

use jiff::Timestamp;

use crate::engine::Engine;
use crate::engine::binding::Resting;
use crate::engine::event::Action;
use crate::engine::policy::whole::ServiceMode;
use crate::model::{DependBehavior, ServiceId};
use crate::period::Period;
use crate::time::{Now, Wall};

impl Engine {
    /// Tells the bindings which services rest that something waits for.
    pub(super) fn note_resting(&mut self, now: Now, actions: &mut Vec<Action>) {
        let awaited = self.bindings.who_may_rest().into_iter();
        let resting: Resting = awaited
            .filter_map(|id| Some((id, self.rests(now, id)?)))
            .collect();
        actions.extend(self.bindings.rest(resting));
    }

    /// Why no check of a service may begin now; none where one may, or where it has none.
    fn rests(&self, now: Now, id: ServiceId) -> Option<String> {
        let service = self.model.service(id);
        service.monitor.as_ref()?;
        let holds = |period: &&Period| period.holds(now.wall, &self.zone);
        let until = |period: &Period| match period.next_change(now.wall, &self.zone) {
            Some(end) => format!(" until {}", date(end)),
            None => String::new(),
        };
        if let Some(period) = self.model.globals.exclude_period.as_ref().filter(holds) {
            return Some(format!("the global exclude_period holds{}", until(period)));
        }
        if let Some(period) = service.exclude_period.as_ref().filter(holds) {
            let written = service.exclude_period_text.as_deref().unwrap_or_default();
            let until = until(period);
            return Some(format!("exclude_period {written} holds{until}"));
        }
        if self.mode(id) == ServiceMode::Disabled {
            return Some("it is disabled".to_owned());
        }
        let dependency = service.depends(DependBehavior::Monitor)?;
        let may_run = self.may_run(now, id);
        (!may_run).then(|| format!("what it depends on does not hold: {}", dependency.written))
    }
}

fn date(time: Wall) -> Timestamp {
    Timestamp::from_second(time.seconds()).unwrap_or_default()
}
