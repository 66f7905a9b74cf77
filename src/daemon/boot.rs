//! Was the wall clock set between the life that wrote the journal and this one?
//!
//! The journal has wall times. It also keeps at which of them this boot of the machine began:
//! a life in the same boot that finds another moment knows by how much the clock was set, and
//! restores as if that happened now; for the engine it is a step of the clock like any other.
//! After a reboot nothing is known of it.

use serde::{Deserialize, Serialize};

use crate::clock::{self, Clock};
use crate::engine::saved::{Record, Saved};
use crate::time::{Now, Wall};

#[cfg(test)]
mod tests;

/// The journal's key.
const KEY: &str = "boot";

/// Less is the clock being kept right, and moves no alert that anybody would notice.
const STEP_MIN_MICROS: i64 = 5_000_000;

/// By how much the wall clock may run away from the monotonic one before it is looked at again.
const LOOK_MICROS: u64 = 1_000_000;

/// Where the kernel tells which boot this is.
const BOOT_ID: &str = "/proc/sys/kernel/random/boot_id";

/// This boot, by the wall clock.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Stamp {
    boot: String,
    /// When it began, in microseconds since 1970.
    began: i64,
}

impl Stamp {
    /// None where the kernel does not say which boot this is.
    fn take(clock: Clock) -> Option<Self> {
        let boot = std::fs::read_to_string(BOOT_ID).ok()?.trim().to_owned();
        let lasts = i64::try_from(clock::since_boot().as_micros()).ok()?;
        let began = clock.now().wall.as_micros().saturating_sub(lasts);
        Some(Self { boot, began })
    }

    fn record(stamp: Option<&Self>) -> Record {
        Record {
            key: KEY.to_owned(),
            // A word and a number have no way to fail here.
            value: serde_json::to_value(stamp).unwrap_or_default(),
        }
    }
}

/// What this life has noted of its boot.
#[derive(Debug, Default)]
pub(super) struct Boot {
    /// Wall clock less monotonic clock, in microseconds, when it was noted.
    noted: Option<i128>,
}

impl Boot {
    /// Notes the boot again, whatever was noted.
    pub(super) const fn forget(&mut self) {
        self.noted = None;
    }

    /// What the journal is to have, where that is new: at first, and after the clock was set.
    /// It is to follow what the engine then has for the journal.
    pub(super) fn look(&mut self, clock: Clock, now: Now) -> Option<Record> {
        let offset = i128::from(now.wall.as_micros()) - i128::from(now.mono.as_micros());
        let is_near = |noted: i128| noted.abs_diff(offset) < u128::from(LOOK_MICROS);
        if self.noted.is_some_and(is_near) {
            return None;
        }
        self.noted = Some(offset);
        Some(Stamp::record(Stamp::take(clock).as_ref()))
    }
}

/// Now, by the wall clock that the journal goes by.
pub(super) fn as_journal_has_it(saved: &Saved, clock: Clock) -> Now {
    let now = clock.now();
    let step = Stamp::take(clock).map_or(0, |stamp| step(saved, &stamp));
    if step != 0 {
        tracing::warn!(
            seconds = step / 1_000_000,
            "the wall clock was set since the journal was written, spans go on all the same"
        );
    }
    before(now, step)
}

/// By how many microseconds the clock was set since the journal was written, as far as that is
/// known.
fn step(saved: &Saved, today: &Stamp) -> i64 {
    let value = saved.records.get(KEY).cloned().unwrap_or_default();
    let then: Option<Stamp> = serde_json::from_value(value).unwrap_or_default();
    let same = then.filter(|then| then.boot == today.boot);
    let step = same.map_or(0, |then| today.began.saturating_sub(then.began));
    if step.unsigned_abs() >= STEP_MIN_MICROS.unsigned_abs() {
        step
    } else {
        0
    }
}

fn before(now: Now, step: i64) -> Now {
    Now {
        mono: now.mono,
        wall: Wall::from_micros(now.wall.as_micros().saturating_sub(step)),
    }
}
