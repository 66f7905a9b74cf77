//! What follows from two notes about when a boot of the machine began? Pure.

use serde::{Deserialize, Serialize};

use crate::engine::saved::{Record, Saved};
use crate::time::{Now, Wall};

/// The journal's key.
pub(super) const KEY: &str = "boot";

/// Less is the clock being kept right, and moves no alert that anybody would notice.
const STEP_MIN_MICROS: i64 = 5_000_000;

/// By how much the wall clock may run away from the monotonic one before the boot is noted again.
const LOOK_MICROS: u64 = 1_000_000;

/// This boot, by the wall clock.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct BootTime {
    /// Which boot this is.
    pub(super) boot: String,
    /// When it began, in microseconds since 1970.
    pub(super) began: i64,
}

/// Wall clock less monotonic clock, in microseconds, when the boot was noted; none before.
#[derive(Debug, Default)]
pub(super) struct Noted(Option<i128>);

impl BootTime {
    /// What the journal is to have of it.
    pub(super) fn record(stamp: Option<&Self>) -> Record {
        Record {
            key: KEY.to_owned(),
            // A word and a number have no way to fail here.
            value: serde_json::to_value(stamp).unwrap_or_default(),
        }
    }
}

impl Noted {
    /// Whether the boot is to be noted: at first, and after the clock was set.
    pub(super) fn is_news(&mut self, now: Now) -> bool {
        let offset = i128::from(now.wall.as_micros()) - i128::from(now.mono.as_micros());
        let is_near = |noted: i128| noted.abs_diff(offset) < u128::from(LOOK_MICROS);
        if self.0.is_some_and(is_near) {
            return false;
        }
        self.0 = Some(offset);
        true
    }
}

/// By how many microseconds the clock was set since the journal was written, as far as that is
/// known.
pub(super) fn step(saved: &Saved, today: &BootTime) -> i64 {
    let value = saved.records.get(KEY).cloned().unwrap_or_default();
    let then: Option<BootTime> = serde_json::from_value(value).unwrap_or_default();
    let same = then.filter(|then| then.boot == today.boot);
    let step = same.map_or(0, |then| today.began.saturating_sub(then.began));
    if step.unsigned_abs() >= STEP_MIN_MICROS.unsigned_abs() {
        step
    } else {
        0
    }
}

/// That moment by a wall clock that was not set by this many microseconds.
pub(super) fn before(now: Now, step: i64) -> Now {
    Now {
        mono: now.mono,
        wall: Wall::from_micros(now.wall.as_micros().saturating_sub(step)),
    }
}
