//! When is passed on what one director knows: by the loop to the link, and by the link to the loop?
//!
//! Both are levels, so that a storm is passed on a few times, whoever makes it: each time all of it
//! is compared with what was passed on before.

use std::time::Duration;

use crate::time::Mono;

/// Least time between two looks at what there is to pass on: each compares all that is open, on
/// this director or on the other one. What comes alone is passed on at once.
const REST: Duration = Duration::from_millis(100);

/// When it is passed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Pace {
    is_waiting: bool,
    /// Not before.
    rested: Mono,
}

impl Pace {
    /// Nothing was passed on yet.
    pub(super) const fn new() -> Self {
        Self {
            is_waiting: true,
            rested: Mono::ZERO,
        }
    }

    /// Something may be another than what was passed on.
    pub(super) const fn changed(&mut self) {
        self.is_waiting = true;
    }

    /// When to pass it on; none where nothing has changed.
    pub(super) fn due(self) -> Option<Mono> {
        self.is_waiting.then_some(self.rested)
    }

    /// All of it is.
    pub(super) fn passed_on(&mut self, now: Mono) {
        self.is_waiting = false;
        self.rested = now.after(REST);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_alone_is_passed_on_at_once_and_a_storm_ten_times_a_second() {
        let mut pace = Pace::new();
        let mut passed_on = Vec::new();
        // Something changes every millisecond of a second.
        for ms in 1_000..2_000 {
            let now = Mono::from_micros(ms * 1_000);
            pace.changed();
            if pace.due().is_some_and(|at| at <= now) {
                pace.passed_on(now);
                passed_on.push(ms);
            }
        }
        assert_eq!(
            (passed_on[0], passed_on[1], passed_on.len()),
            (1_000, 1_100, 10)
        );
        assert_eq!(pace.due(), Some(Mono::from_micros(2_000_000)));
        pace.passed_on(Mono::from_micros(2_000_000));
        assert_eq!(pace.due(), None);
        pace.changed();
        assert!(pace.due().unwrap() <= Mono::from_micros(3_000_000));
    }
}
