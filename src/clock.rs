//! The only file that reads the clocks; it makes a [`Now`].

use std::time::{Duration, Instant, SystemTime};

use crate::time::{Mono, Now, Wall};

/// The two clocks of this process.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    origin: Instant,
}

impl Clock {
    /// Starts counting.
    #[must_use]
    #[expect(
        clippy::disallowed_methods,
        reason = "the one place that reads the monotonic clock"
    )]
    pub fn start() -> Self {
        Self {
            origin: Instant::now(),
        }
    }

    /// Reads both clocks.
    #[must_use]
    #[expect(
        clippy::disallowed_methods,
        reason = "the one place that reads the clocks"
    )]
    pub fn now(self) -> Now {
        let micros = u64::try_from(self.origin.elapsed().as_micros()).unwrap_or(u64::MAX);
        let wall = match SystemTime::now().duration_since(SystemTime::UNIX_EPOCH) {
            Ok(since) => i64::try_from(since.as_micros()).unwrap_or(i64::MAX),
            Err(_) => 0,
        };
        Now {
            mono: Mono::from_micros(micros),
            wall: Wall::from_micros(wall),
        }
    }

    /// Waits until a moment of this clock; returns at once where it has passed.
    pub async fn sleep_until(self, moment: Mono) {
        let target = self.origin + Duration::from_micros(moment.as_micros());
        tokio::time::sleep_until(tokio::time::Instant::from_std(target)).await;
    }

    /// The same for a moment that may not be planned; without one it waits for ever.
    pub async fn sleep_until_some(self, moment: Option<Mono>) {
        match moment {
            Some(moment) => self.sleep_until(moment).await,
            None => std::future::pending().await,
        }
    }
}

/// How long this boot of the machine lasts, also while it slept.
#[must_use]
pub fn since_boot() -> Duration {
    let since = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    Duration::try_from(since).unwrap_or_default()
}

/// The same as a moment, by which a process knows that it stood still.
#[must_use]
pub fn boot_moment() -> Mono {
    Mono::from_micros(u64::try_from(since_boot().as_micros()).unwrap_or(u64::MAX))
}

/// A watch for how long something takes.
#[derive(Clone, Copy, Debug)]
pub struct Stopwatch {
    start: Instant,
}

impl Stopwatch {
    /// Starts it.
    #[must_use]
    #[expect(
        clippy::disallowed_methods,
        reason = "the one place that reads the monotonic clock"
    )]
    pub fn start() -> Self {
        Self {
            start: Instant::now(),
        }
    }

    /// Time since the start.
    #[must_use]
    pub fn elapsed(self) -> Duration {
        self.start.elapsed()
    }
}
