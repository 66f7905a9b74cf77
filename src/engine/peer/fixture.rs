//! One director of a pair for the tests, with a clock that a test moves: its checks, its journal,
//! and what it hears of the other one.

use std::sync::Arc;

use jiff::tz::TimeZone;

use crate::engine::Engine;
use crate::engine::event::{Action, Event, PeerTold, RunId};
use crate::engine::fixture::{at, exited, watched, write};
use crate::engine::saved::Saved;
use crate::model::Model;
use crate::pair::Speaking;
use crate::pair::talk::Reached;

/// One service `g/s` of a director that has a peer, checked every ten seconds.
pub(super) struct Desk {
    pub(super) engine: Engine,
    pub(super) journal: Saved,
    /// Of the clock, from the epoch on.
    pub(super) seconds: f64,
}

impl Desk {
    /// Begins so many seconds after the epoch.
    pub(super) fn new(seconds: f64) -> Self {
        let journal = Saved::default();
        let engine = Engine::new(watched(), &journal, 1, TimeZone::UTC, at(seconds));
        let mut desk = Self {
            engine,
            journal,
            seconds,
        };
        desk.handle(Event::Start);
        desk
    }

    pub(super) fn handle(&mut self, event: Event) -> Vec<Action> {
        let actions = self.engine.handle(at(self.seconds), event);
        write(&mut self.journal, &actions);
        actions
    }

    /// A new life, with what the journal has.
    pub(super) fn restart(&mut self) {
        self.restart_with(watched());
    }

    /// The same by another file.
    pub(super) fn restart_with(&mut self, model: Arc<Model>) {
        let now = at(self.seconds);
        self.engine = Engine::new(model, &self.journal, 1, TimeZone::UTC, now);
        self.handle(Event::Start);
    }

    /// The next check begins.
    pub(super) fn starts(&mut self) -> RunId {
        let mut started = None::<RunId>;
        while started.is_none() {
            self.seconds += 0.5;
            let actions = self.handle(Event::Deadline);
            started = actions.iter().find_map(Action::started).map(|it| it.id);
        }
        started.unwrap()
    }

    /// That check ends with this value: all that it causes.
    pub(super) fn ended(&mut self, run: RunId, exit: i32) -> Vec<Action> {
        let report = exited(exit, "h1\n");
        self.handle(Event::RunEnded { run, report })
    }

    /// The next report has this value: all that it causes.
    pub(super) fn finds(&mut self, exit: i32) -> Vec<Action> {
        let run = self.starts();
        self.ended(run, exit)
    }

    /// The outage that goes on: its number, and what of it has reached people.
    pub(super) fn open(&self) -> Option<(i64, Reached)> {
        let outages = self.engine.outages().0;
        outages.values().next().map(|it| (it.id, it.reached))
    }

    /// The same of those that are over.
    pub(super) fn past(&self) -> Vec<(i64, Reached)> {
        let ended = self.engine.ended_outages();
        let past = ended.into_values().flatten();
        past.map(|(id, it)| (id, it.reached)).collect()
    }

    /// Hears all that the other one has to say, of which the link may be gone again. Who of the two
    /// tells people: this one, the other one.
    pub(super) fn listens(
        &mut self,
        other: &Self,
        [speaking, peer]: [Speaking; 2],
        is_linked: bool,
    ) -> Vec<Action> {
        let (outages, numbers) = other.engine.outages();
        self.handle(Event::Peer(PeerTold {
            is_linked,
            outages: Arc::new(outages),
            ended: Arc::new(other.engine.ended_outages()),
            withdrawn: Arc::new(other.engine.withdrawn_servers()),
            turns: other.engine.turn_clock(),
            numbers,
            speaking,
            peer,
        }))
    }
}

/// Whether an outage got another number.
pub(super) fn has_renumbered(actions: &[Action]) -> bool {
    actions.iter().any(|it| matches!(it, Action::Renumber(_)))
}
