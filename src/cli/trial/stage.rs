//! An engine of one service that passes its time at once: nothing waits, no clock is asked.

use std::sync::Arc;
use std::time::Duration;

use jiff::tz::TimeZone;

use crate::engine::Engine;
use crate::engine::event::{Action, Event, Run};
use crate::engine::saved::Saved;
use crate::model::{Model, ServiceId};
use crate::time::Now;

/// Deadlines between two runs of the only service; a bound against a defect of ours.
const DEADLINES_MAX: usize = 1_000;

/// The only service.
pub(super) const SERVICE: ServiceId = ServiceId(0);

/// An engine of one service, in its own time.
pub(super) struct Stage {
    /// A service that decides over the table starts at once.
    waiting: Option<Run>,
    engine: Engine,
    now: Now,
}

impl Stage {
    /// An engine that starts at that moment, and what comes of that.
    pub(super) fn start(model: Arc<Model>, now: Now) -> (Self, Vec<Action>) {
        let zone = TimeZone::system();
        let mut engine = Engine::new(model, &Saved::default(), 0, zone, now);
        let actions = engine.handle(now, Event::Start);
        let stage = Self {
            waiting: started(&actions),
            engine,
            now,
        };
        (stage, actions)
    }

    /// Lets time pass until the monitor is due; none where it never starts.
    pub(super) fn next_run(&mut self) -> Option<Run> {
        if let Some(run) = self.waiting.take() {
            return Some(run);
        }
        for _ in 0..DEADLINES_MAX {
            let run = started(&self.next_deadline()?);
            if run.is_some() {
                return run;
            }
        }
        None
    }

    /// Lets time pass until the engine has something to do; none where it never has.
    pub(super) fn next_deadline(&mut self) -> Option<Vec<Action>> {
        let wait = self.engine.next_deadline()?.since(self.now.mono);
        Some(self.tell_after(wait, Event::Deadline))
    }

    /// Lets that much time pass, then tells the engine of an event.
    pub(super) fn tell_after(&mut self, wait: Duration, event: Event) -> Vec<Action> {
        self.now = Now {
            mono: self.now.mono.after(wait),
            wall: self.now.wall.after(wait),
        };
        self.engine.handle(self.now, event)
    }
}

fn started(actions: &[Action]) -> Option<Run> {
    actions.iter().find_map(Action::started).cloned()
}
