//! A moment that may lie before the start of the daemon, and its date.

use std::time::Duration;

use crate::time::{Now, Wall};

/// A moment of the monotonic clock that may lie before the start of the daemon, as those
/// restored from the journal do. Microseconds since the start.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Moment(i64);

impl Moment {
    /// This moment.
    pub(crate) fn of(now: Now) -> Self {
        Self(i64::try_from(now.mono.as_micros()).unwrap_or(i64::MAX))
    }

    /// A moment that the journal knows by the wall clock. One that lies in the future, since
    /// the clock was set back, counts as now.
    pub(crate) fn restored(wall: Wall, now: Now) -> Self {
        let ago = i64::try_from(now.wall.since(wall).as_micros()).unwrap_or(i64::MAX);
        Self(Self::of(now).0.saturating_sub(ago))
    }

    /// Time since then.
    pub(crate) fn ago(self, now: Now) -> Duration {
        let span = Self::of(now).0.saturating_sub(self.0);
        Duration::from_micros(u64::try_from(span).unwrap_or(0))
    }

    /// The moment so much later.
    pub(crate) fn after(self, span: Duration) -> Self {
        let span = i64::try_from(span.as_micros()).unwrap_or(i64::MAX);
        Self(self.0.saturating_add(span))
    }

    /// The moment so much earlier.
    pub(crate) fn before(self, span: Duration) -> Self {
        let span = i64::try_from(span.as_micros()).unwrap_or(i64::MAX);
        Self(self.0.saturating_sub(span))
    }

    /// Time until then.
    pub(crate) fn left(self, now: Now) -> Duration {
        let span = self.0.saturating_sub(Self::of(now).0);
        Duration::from_micros(u64::try_from(span).unwrap_or(0))
    }

    /// What the wall clock said about that moment, or says today where it was set since.
    pub(crate) fn told(self, reported: Wall, now: Now) -> Wall {
        let is = self.wall(now);
        let apart = is.as_micros().abs_diff(reported.as_micros());
        if apart < DRIFT_MICROS_MAX {
            reported
        } else {
            is
        }
    }

    /// What the wall clock of today says about that moment.
    pub(crate) fn wall(self, now: Now) -> Wall {
        let ago = i64::try_from(self.ago(now).as_micros()).unwrap_or(i64::MAX);
        Wall::from_micros(now.wall.as_micros().saturating_sub(ago))
    }
}

/// A moment, and what the wall clock said then.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Dated {
    pub(crate) moment: Moment,
    pub(crate) wall: Wall,
}

impl Dated {
    /// This moment.
    pub(crate) fn of(now: Now) -> Self {
        Self {
            moment: Moment::of(now),
            wall: now.wall,
        }
    }

    /// A moment that somebody told by the wall clock. One that lies in the future counts as now.
    pub(crate) fn restored(told: Wall, now: Now) -> Self {
        Self {
            moment: Moment::restored(told, now),
            wall: told.min(now.wall),
        }
    }

    /// What the wall clock said then, or says today where it was set since.
    pub(crate) fn told(self, now: Now) -> Wall {
        self.moment.told(self.wall, now)
    }
}

/// The two clocks drift apart by less than this unless the wall clock is set, in microseconds:
/// half of what the engine takes for that.
const DRIFT_MICROS_MAX: u64 = 500_000;
