//! Which place has a withdrawal among those of its virtual service, as both directors count it?
//!
//! A [`Turn`] is read from a clock that nobody sets: it starts with the wall clock, goes on by
//! itself, and where the two of a pair differ the one that is behind is put ahead. Pure.

use serde::{Deserialize, Serialize};

use crate::time::{Mono, Now};

/// The place of a withdrawal among those of its virtual service: the greatest were the last.
///
/// Microseconds since 1970, as a [`TurnClock`] showed them when it began.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Turn(pub i64);

impl Turn {
    /// That of what fails just now.
    pub const LATEST: Self = Self(i64::MAX);

    /// Greatest that is believed of another clock: the end of the year 9999.
    const BELIEVED_MAX: Self = Self(253_402_300_799_999_999);

    /// So many microseconds later; saturates.
    #[must_use]
    pub const fn later(self, micros: i64) -> Self {
        Self(self.0.saturating_add(micros))
    }
}

/// The clock of a director's turns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TurnClock {
    /// What it showed at this moment.
    pub turn: Turn,
    /// The moment.
    pub at: Mono,
}

impl TurnClock {
    /// That of a director that starts now.
    #[must_use]
    pub const fn started(now: Now) -> Self {
        Self {
            turn: Turn(now.wall.as_micros()),
            at: now.mono,
        }
    }

    /// What it shows.
    #[must_use]
    pub fn read(self, now: Mono) -> Turn {
        let since = i64::try_from(now.since(self.at).as_micros()).unwrap_or(i64::MAX);
        self.turn.later(since)
    }

    /// Is put ahead to this turn, where it is behind.
    pub(crate) fn reach(&mut self, turn: Turn, now: Mono) {
        if turn > self.read(now) {
            *self = Self { turn, at: now };
        }
    }

    /// The same by what another director says, as far as that can be.
    pub(crate) fn follow(&mut self, turn: Turn, now: Mono) {
        if turn <= Turn::BELIEVED_MAX {
            self.reach(turn, now);
        }
    }

    /// By how much it is behind another one, in microseconds; 0 where it is not, or where the other
    /// one shows what no clock does.
    pub(crate) fn behind(self, other: Self, now: Mono) -> i64 {
        let (Turn(own), Turn(others)) = (self.read(now), other.read(now));
        match others <= Turn::BELIEVED_MAX.0 {
            true => others.saturating_sub(own).max(0),
            false => 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn clock(turn: i64, at: u64) -> TurnClock {
        TurnClock {
            turn: Turn(turn),
            at: Mono::from_micros(at),
        }
    }

    #[test]
    fn the_clock_that_is_behind_is_put_ahead_and_no_other() {
        let now = Mono::from_micros(20);
        let (mut slow, mut fast) = (clock(100, 10), clock(500, 15));
        assert_eq!((slow.read(now), fast.read(now)), (Turn(110), Turn(505)));
        assert_eq!((slow.behind(fast, now), fast.behind(slow, now)), (395, 0));
        fast.follow(slow.read(now), now);
        slow.follow(fast.read(now), now);
        assert_eq!(fast, clock(500, 15));
        assert_eq!(slow.read(Mono::from_micros(25)), Turn(510));
    }

    #[test]
    fn a_clock_that_shows_what_none_does_is_not_followed() {
        let now = Mono::from_micros(20);
        let mut own = clock(100, 10);
        assert_eq!(own.behind(clock(i64::MAX, 0), now), 0);
        own.follow(Turn::LATEST, now);
        assert_eq!(own, clock(100, 10));
    }
}
