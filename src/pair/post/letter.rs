//! What is known of one message for one receiver?

use std::sync::Arc;
use std::time::Duration;

use crate::pair::Speaking;
use crate::time::{Mono, Now, Wall};

/// Where a letter came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// From a call of this process.
    Call,
    /// The spool had it from before.
    Spool,
}

/// When a message came, by the clock that its age counts by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Came {
    /// To this process: a clock that is set makes nothing older.
    Here(Mono),
    /// To one before it, of which the wall clock alone is known.
    Before(Wall),
}

impl Came {
    /// Of a message that was accepted at that time and that this process has since then.
    #[must_use]
    pub const fn new(origin: Origin, accepted: Wall, since: Mono) -> Self {
        match origin {
            Origin::Call => Self::Here(since),
            Origin::Spool => Self::Before(accepted),
        }
    }

    /// How long it has been there.
    #[must_use]
    pub fn age(self, now: Now) -> Duration {
        match self {
            Self::Here(since) => now.mono.since(since),
            Self::Before(accepted) => now.wall.since(accepted),
        }
    }
}

/// Who is to tell it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// The other director, as long as that is at work: it was taken while that one was to tell it,
    /// and this one has not begun to.
    Held,
    /// This director.
    Own,
    /// This director is about it just now.
    UnderWay,
}

impl Stage {
    /// Of what is taken while this director speaks, or does not.
    #[must_use]
    pub const fn of(speaking: Speaking) -> Self {
        match speaking {
            Speaking::Speaks => Self::Own,
            Speaking::Silent => Self::Held,
        }
    }
}

/// One message for one receiver. Its content is elsewhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Letter {
    /// Who is reached: an address, or what [`receiver`](crate::pair::post::receiver)
    /// says.
    pub to: Arc<str>,
    /// Ids of its events that are still to be told.
    pub events: Vec<Arc<str>>,
    /// When it was accepted.
    pub accepted: Wall,
    /// When this process got it.
    pub since: Mono,
    /// Where from, for its age.
    pub origin: Origin,
    /// Who is to tell it.
    pub stage: Stage,
}

impl Letter {
    /// How long it has been there.
    #[must_use]
    pub fn age(&self, now: Now) -> Duration {
        Came::new(self.origin, self.accepted, self.since).age(now)
    }
}

/// Attempts of this process before a message is given up for its age, so that a step of the clock
/// or a long stop of the daemon alone loses nothing.
const ATTEMPTS_LEAST: u32 = 3;

/// What chance of being told a message had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Chance {
    /// So many attempts of this process.
    Tried(u32),
    /// Nothing was tried: this process has it for so long.
    Kept(Duration),
}

/// Whether a message of that age is of no use any more and has had its chance. Whoever gives up a
/// mail, a webhook or a program for its age asks here.
#[must_use]
pub fn is_given_up(age: Duration, chance: Chance, most: Duration) -> bool {
    match chance {
        Chance::Tried(attempts) => age >= most && attempts >= ATTEMPTS_LEAST,
        Chance::Kept(span) => span >= most,
    }
}
