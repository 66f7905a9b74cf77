//! The engine: all state of all services and all policy, without effects.
//!
//! Pure and synchronous. It is told one [`Event`] at a time together with the time and
//! answers with [`Action`]s. It never touches a clock, a socket, a process, a file or a
//! random source, so a run of it is repeated by repeating its events.
//!
//! | Question | File |
//! |---|---|
//! | what can it be told, what does it answer | `event` |
//! | what is kept across a restart | `saved` |
//! | what do readers see | `view` |

pub(crate) mod binding;
pub mod desired;
pub mod event;
pub mod saved;
pub(crate) mod verdict;
pub mod view;

use std::sync::Arc;

use jiff::tz::TimeZone;

use crate::engine::event::{Action, Event};
use crate::engine::saved::Saved;
use crate::engine::view::ServiceView;
use crate::lvs::Desired;
use crate::model::Model;
use crate::time::{Mono, Now};

/// All state of all services.
#[derive(Debug)]
pub struct Engine {
    model: Arc<Model>,
    desired: Desired,
}

impl Engine {
    /// An engine that has not started; the next event is [`Event::Start`].
    ///
    /// `seed` feeds `randstart` and `randskew`; `zone` is that of the periods.
    #[must_use]
    pub fn new(model: Arc<Model>, saved: &Saved, seed: u64, zone: TimeZone, now: Now) -> Self {
        let _ = (saved, seed, zone, now);
        Self {
            model,
            desired: Desired::new(),
        }
    }

    /// Takes in one event and says what has to be done, in order.
    pub fn handle(&mut self, now: Now, event: Event) -> Vec<Action> {
        let _ = (now, event);
        Vec::new()
    }

    /// When [`Event::Deadline`] is wanted next; none while there is nothing to wait for.
    ///
    /// After `handle(now, Event::Deadline)` it is later than `now.mono`.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Mono> {
        None
    }

    /// The table as it should be.
    #[must_use]
    pub fn desired(&self) -> &Desired {
        &self.desired
    }

    /// Every service in file order, as it is now.
    pub fn services(&self) -> impl Iterator<Item = ServiceView<'_>> {
        std::iter::empty()
    }

    /// The configuration in force.
    #[must_use]
    pub fn model(&self) -> &Arc<Model> {
        &self.model
    }
}
