//! Was the wall clock set between the life that wrote the journal and this one?
//!
//! The journal has wall times. It also keeps at which of them this boot of the machine began:
//! a life in the same boot that finds another moment knows by how much the clock was set, and
//! restores as if that happened now; for the engine it is a step of the clock like any other.
//! After a reboot nothing is known of it. Here the machine is asked; what follows is in `time`.

mod time;

use crate::clock::{self, Clock};
use crate::daemon::boot::time::{BootTime, Noted, before, step};
use crate::engine::saved::{Record, Saved};
use crate::time::Now;

#[cfg(test)]
mod tests;

/// Where the kernel tells which boot this is.
const BOOT_ID: &str = "/proc/sys/kernel/random/boot_id";

/// What this life has noted of its boot.
#[derive(Debug, Default)]
pub(super) struct Boot {
    noted: Noted,
}

impl Boot {
    /// Notes the boot again, whatever was noted.
    pub(super) fn forget(&mut self) {
        self.noted = Noted::default();
    }

    /// What the journal is to have, where that is new: at first, and after the clock was set.
    /// It is to follow what the engine then has for the journal.
    pub(super) fn look(&mut self, clock: Clock, now: Now) -> Option<Record> {
        let is_news = self.noted.is_news(now);
        is_news.then(|| BootTime::record(this_boot(clock).as_ref()))
    }
}

/// Now, by the wall clock that the journal goes by.
pub(super) fn as_journal_has_it(saved: &Saved, clock: Clock) -> Now {
    let now = clock.now();
    let step = this_boot(clock).map_or(0, |stamp| step(saved, &stamp));
    if step != 0 {
        tracing::warn!(
            seconds = step / 1_000_000,
            "the wall clock was set since the journal was written, spans go on all the same"
        );
    }
    before(now, step)
}

/// None where the kernel does not say which boot this is.
fn this_boot(clock: Clock) -> Option<BootTime> {
    let boot = std::fs::read_to_string(BOOT_ID).ok()?.trim().to_owned();
    let lasts = i64::try_from(clock::since_boot().as_micros()).ok()?;
    let began = clock.now().wall.as_micros().saturating_sub(lasts);
    Some(BootTime { boot, began })
}
