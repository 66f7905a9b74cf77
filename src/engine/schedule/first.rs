//! When does each service run for the first time: spread evenly, what decides over a real
//! server first (D6).

use std::time::Duration;

use crate::engine::schedule::micros;
use crate::time::Mono;

/// A service that decides over a real server runs first within this time (D6).
pub(crate) const FIRST_VERDICT_WITHIN: Duration = Duration::from_secs(2);

/// First runs of other services stand at most this far apart: a small site keeps mon's
/// "one interval after the start" to the eye, a large one is spread over the interval.
const FIRST_RUN_GAP_MAX: Duration = Duration::from_millis(20);

/// Hands out first runs, so that they are spread evenly.
#[derive(Debug)]
pub(crate) struct FirstRuns {
    now: Mono,
    randstart: Option<Duration>,
    deciding: Spread,
    others: Spread,
}

#[derive(Debug, Default)]
struct Spread {
    count: u32,
    next: u32,
}

impl FirstRuns {
    /// First runs at `now` for `deciding` services that decide over a real server and
    /// `others` that do not.
    pub(crate) fn new(
        now: Mono,
        randstart: Option<Duration>,
        deciding: usize,
        others: usize,
    ) -> Self {
        let spread = |count: usize| Spread {
            count: u32::try_from(count).unwrap_or(u32::MAX).max(1),
            next: 0,
        };
        Self {
            now,
            randstart,
            deciding: spread(deciding),
            others: spread(others),
        }
    }

    /// The first run of the next service that decides over a real server: within the least
    /// of its interval and 2 s, whatever `randstart` says (D6).
    pub(crate) fn deciding(&mut self, interval: Duration) -> Mono {
        let window = interval.min(FIRST_VERDICT_WITHIN);
        let (place, count) = (self.deciding.take(), self.deciding.count);
        self.now.after(share(window, place, count))
    }

    /// The first run of the next other service: after one interval, or anywhere before
    /// `randstart`.
    pub(crate) fn other(&mut self, interval: Duration, random: &mut fastrand::Rng) -> Mono {
        let (place, count) = (self.others.take(), self.others.count);
        if let Some(randstart) = self.randstart.filter(|span| !span.is_zero()) {
            let delay = Duration::from_micros(random.u64(0..micros(randstart).max(1)));
            return self.now.after(delay);
        }
        let spread = share(interval, place, count).min(FIRST_RUN_GAP_MAX.saturating_mul(place));
        self.now.after(interval.saturating_add(spread))
    }
}

impl Spread {
    fn take(&mut self) -> u32 {
        let place = self.next.min(self.count);
        self.next = self.next.saturating_add(1);
        place
    }
}

fn share(window: Duration, place: u32, count: u32) -> Duration {
    let micros = u128::from(micros(window)) * u128::from(place) / u128::from(count.max(1));
    Duration::from_micros(u64::try_from(micros).unwrap_or(u64::MAX))
}
