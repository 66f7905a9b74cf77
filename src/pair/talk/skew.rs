//! By how much is the peer's wall clock ahead of ours?
//!
//! A word says what that clock was when it was written, and is on its way for an unknown time:
//! behind a director that was stopped for seconds, or a link that stalled, for seconds. Delay only
//! ever makes the other clock look slower, so the word that makes it look fastest was the quickest
//! and is nearest to the truth. Only those of late count, since clocks are set; and none from
//! before a time at which a director says that its own was.

use std::time::Duration;

use crate::pair::talk::conversation::DEAD_LIMIT;
use crate::time::{Mono, Now};

/// Words of one such time, and of the one before, count: a director that is silent for longer than
/// [`DEAD_LIMIT`] has no link, so that there is always one from before a stop.
const PERIOD: Duration = DEAD_LIMIT.saturating_add(Duration::from_secs(1));

/// No word is so long on its way: the link would be gone. One that says so much less than those
/// before is of a clock that was set back, by a director that does not say so.
const DELAY_MICROS_MAX: i64 = 60_000_000;

/// A clock that is set by less is one that drifts: what that leaves wrong is less than a check
/// takes.
const STEP_MICROS_MIN: u64 = 100_000;

/// Our own wall clock, to notice that it is set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct OurClock {
    /// What it said when the monotonic one began, as it stood when it was looked at last.
    began: Option<i64>,
    /// How often it was set.
    steps: u64,
}

impl OurClock {
    /// By how many microseconds it was set since the last look.
    pub(super) fn step(&mut self, now: Now) -> i64 {
        let passed = i64::try_from(now.mono.as_micros()).unwrap_or(i64::MAX);
        let began = now.wall.as_micros().saturating_sub(passed);
        let known = *self.began.get_or_insert(began);
        let step = began.saturating_sub(known);
        if step.unsigned_abs() < STEP_MICROS_MIN {
            return 0;
        }
        self.began = Some(began);
        self.steps = self.steps.saturating_add(1);
        step
    }

    /// How often it was set.
    pub(super) const fn steps(&self) -> u64 {
        self.steps
    }
}

/// What the words of late say.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Skew {
    current: Option<Period>,
    /// The quickest word of the period before.
    former: Option<i64>,
    /// How often the other clock was set by the latest word.
    steps: u64,
}

#[derive(Clone, Copy, Debug)]
struct Period {
    began: Mono,
    /// The quickest word so far.
    quickest: i64,
}

impl Skew {
    /// Takes in a word that came now, by which the other clock is so many microseconds ahead and
    /// was set so many times.
    pub(super) fn take(&mut self, now: Mono, ahead_micros: i64, steps: u64) {
        let may_be_late = self.ahead_micros().saturating_sub(ahead_micros) <= DELAY_MICROS_MAX;
        if steps != self.steps || !may_be_late {
            *self = Self {
                steps,
                ..Self::default()
            };
        }
        match &mut self.current {
            Some(period) if now.since(period.began) < PERIOD => {
                period.quickest = period.quickest.max(ahead_micros);
            }
            current => {
                self.former = current.map(|period| period.quickest);
                *current = Some(Period {
                    began: now,
                    quickest: ahead_micros,
                });
            }
        }
    }

    /// Our own clock was set by so many microseconds.
    pub(super) fn our_clock_was_set(&mut self, step: i64) {
        let current = self.current.as_mut().map(|it| &mut it.quickest);
        for ahead in current.into_iter().chain(&mut self.former) {
            *ahead = ahead.saturating_sub(step);
        }
    }

    /// By how much it is ahead, in microseconds; 0 where nothing is known.
    pub(super) fn ahead_micros(self) -> i64 {
        let current = self.current.map(|period| period.quickest);
        current.max(self.former).unwrap_or(0)
    }
}
