//! When do people hear the end of a number that was given up?
//!
//! One outage may have been told under two numbers: its directors did not hear each other, or not
//! in time. When they do, one number stays and the other one is given up, and people were told of
//! the failure under both. The one that was given up is over for the directors and not for people:
//! its end is called with that of the outage, when the service is good again. Not at once: whoever
//! reads "up" takes the service for good, and a receiver that keeps something open for the number
//! may as well keep it until then.
//!
//! It is remembered like an outage that is over (`ended`), and its end like one that the other
//! director may have to tell (`untold`): by whoever speaks then, the one that gave the number up
//! first.

use crate::engine::Engine;
use crate::engine::event::Action;
use crate::engine::peer::ended::{EndCall, Span};
use crate::engine::peer::{Candidate, Peer};
use crate::engine::state::Dated;
use crate::pair::Speaking;
use crate::pair::talk::Reached;
use crate::pair::talk::word::{Past, ServiceName, ToldPeriods};
use crate::time::Now;

/// What people read who were told of the failure under that number.
pub(super) const UNDER_TWO: &str = "this outage was told under two numbers\n";

impl Peer {
    /// What this director gave up under this name, of which nobody has told the end.
    pub(super) fn given_up(&self, now: Now, of: &ServiceName) -> Vec<(i64, Past)> {
        if self.ended.due().is_empty() {
            return Vec::new();
        }
        let told = &self.told;
        let is_told = |number: i64| {
            let there = told.ended.get(of).and_then(|it| it.get(&number));
            let is_theirs = told.is_linked && told.peer == Speaking::Speaks;
            there.is_some_and(|it| is_theirs || it.reached == Reached::End)
        };
        let mut all = self.ended.pasts(of, now);
        all.retain(|&number, past| {
            let is_due = self.ended.due().contains(&(of.clone(), number));
            is_due && past.reached != Reached::End && !is_told(number)
        });
        all.into_iter().collect()
    }
}

impl Engine {
    /// What began then and goes on gives up the number of `ours` for the peer's; these periods
    /// alerted people. Whether they know it by that number, so that it has to have an end of its
    /// own.
    pub(super) fn give_up(
        &mut self,
        now: Now,
        of: ServiceName,
        (ours, alerts): (Candidate, Vec<u32>),
        began: Dated,
        actions: &mut Vec<Action>,
    ) -> bool {
        let is_known = ours.reached == Reached::Failure;
        if is_known {
            let periods = ToldPeriods {
                upalerts: alerts.clone(),
                alerts,
            };
            let span = Span {
                began,
                ended: Dated::of(now),
            };
            self.keep(now, of, (ours, periods), span, EndCall::Due, actions);
        }
        is_known
    }
}

#[cfg(test)]
mod tests;
