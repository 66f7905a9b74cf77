//! Which number in an event id makes it unlike that of every other event?
//!
//! An event id is `GROUP/SERVICE/BEGAN/KIND/NUMBER`. BEGAN is the second in which the
//! outage began or, where the service had an outage of that number or a later one already, the
//! next number: two outages within a second, or before and after the wall clock was set back,
//! are two. What is told outside of an outage has the number of this life of the daemon
//! instead, which no outage has. The journal keeps the latest number of each service, and one
//! for all that was forgotten since; a state that is loaded only raises them (D23).
//!
//! Pure numbers. What counts the calls of one BEGAN is in `tell`.

use crate::engine::saved::{self, Record, Saved};
use crate::time::Now;

/// The journal's key of what no later outage may have.
const KEY: &str = "event numbers";

/// Largest number that is believed to be ours, in seconds since 1970: the year 9999. A journal
/// that a hand has written must not leave us without a next number.
pub(crate) const NUMBER_MAX: i64 = 253_402_300_799;

/// The numbers that are taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Numbering {
    /// This life of the daemon: greater than every number before.
    life: i64,
    /// Every number of an outage that begins now is greater.
    floor: i64,
}

impl Numbering {
    /// A life after all that a journal knows of, that of services which are gone too.
    pub(crate) fn restore(saved: &Saved, now: Now) -> Self {
        let floor = saved.records.get(KEY).and_then(serde_json::Value::as_i64);
        let taken = saved::numbers(saved).chain(floor);
        let taken = taken.filter(|&number| number <= NUMBER_MAX).max();
        let life = after(taken.unwrap_or(0), now);
        Self { life, floor: life }
    }

    /// The number of what happens in no outage.
    pub(crate) const fn life(self) -> i64 {
        self.life
    }

    /// The number of an outage that begins now, of a service whose latest one was `last`.
    pub(crate) fn next(self, last: i64, now: Now) -> i64 {
        after(last.max(self.floor), now)
    }

    /// A service is forgotten, its latest outage had this number.
    pub(crate) fn outlive(&mut self, last: i64) {
        self.floor = self.floor.max(last);
    }

    /// No outage that was forgotten, and no life, had a greater number.
    pub(crate) const fn floor(self) -> i64 {
        self.floor
    }

    /// What the next life must know.
    pub(crate) fn record(self) -> Record {
        Record {
            key: KEY.to_owned(),
            value: self.floor.into(),
        }
    }
}

/// The present second, or the next number where that is taken.
fn after(taken: i64, now: Now) -> i64 {
    now.wall.seconds().max(taken.saturating_add(1))
}

#[cfg(test)]
mod tests;
