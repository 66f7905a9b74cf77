//! Which weight has a real server that is in: a pure function of the file, the check, and how
//! long ago it came back.
//!
//! What an operator wishes comes last and elsewhere.

use std::time::Duration;

use crate::engine::state::Moment;
use crate::lvs::Weight;
use crate::time::{Mono, Now};

/// A ramp goes up in so many steps: each is a change of the kernel's table, and with fewer a
/// step is more than a real server with cold caches likes.
pub(crate) const RAMP_STEPS: u32 = 10;

/// How far a real server that came back is on its ramp, in parts of [`RAMP_STEPS`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Share(u32);

impl Share {
    /// At the end of the ramp, or without one.
    pub(crate) const FULL: Self = Self(RAMP_STEPS);

    /// In percent.
    pub(crate) const fn percent(self) -> u32 {
        self.0 * 100 / RAMP_STEPS
    }
}

/// The share at this moment of a real server that came back at `back`, and when the next step is
/// due; none at the end.
pub(crate) fn ramp(back: Moment, slow_start: Duration, now: Now) -> (Share, Option<Mono>) {
    // Full at the end, so one step less than there are shares.
    let step = slow_start / (RAMP_STEPS - 1);
    if step.as_micros() == 0 {
        return (Share::FULL, None);
    }
    let done = back.ago(now).as_micros() / step.as_micros();
    let done = u32::try_from(done).unwrap_or(RAMP_STEPS);
    if done >= RAMP_STEPS - 1 {
        return (Share::FULL, None);
    }
    let due = back.after(step * (done + 1));
    // A step is never due at the moment it is computed at: `due` lies behind `now` by the
    // division above.
    (Share(done + 1), Some(now.mono.after(due.left(now))))
}

/// When a slow start that began at `back` is over and may be forgotten; none where it is. Some
/// microseconds behind the last step of its ramp, which is a ninth of it without the fraction.
pub(crate) fn ramp_end(back: Moment, slow_start: Duration, now: Now) -> Option<Mono> {
    let left = back.after(slow_start).left(now);
    (!left.is_zero()).then(|| now.mono.after(left))
}

/// The weight of a real server that is in. `given` is what a check gave it, where the section
/// wants that.
///
/// Never 0 because of a ramp: a server that serves gets at least a little.
pub(crate) fn weight(configured: Weight, given: Option<Weight>, share: Share) -> Weight {
    let Weight(full) = given.unwrap_or(configured);
    let part = u64::from(full) * u64::from(share.0);
    let part = part.div_ceil(u64::from(RAMP_STEPS));
    Weight(u32::try_from(part).unwrap_or(full))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::fixture;

    #[test]
    fn the_weight_is_that_of_the_check_or_of_the_file_in_parts_of_ten() {
        let cases = [
            (5, None, 10, 5),
            (5, Some(3), 10, 3),
            (5, Some(0), 10, 0),
            (5, Some(0), 1, 0),
            (0, None, 10, 0),
            (0, None, 1, 0),
            (1, None, 1, 1),
            (5, None, 1, 1),
            (5, None, 9, 5),
            (100, None, 1, 10),
            (100, None, 9, 90),
            (65_535, None, 1, 6_554),
            (u32::MAX, None, 10, u32::MAX),
        ];
        for (configured, given, share, expected) in cases {
            let found = weight(Weight(configured), given.map(Weight), Share(share));
            assert_eq!(found.0, expected, "{configured} {given:?} {share}");
        }
    }

    #[test]
    fn a_ramp_has_ten_steps_and_an_end() {
        let back = Moment::of(fixture::at(100.0));
        let slow = Duration::from_secs(27);
        let at = |seconds: f64| {
            let (share, next) = ramp(back, slow, fixture::at(seconds));
            let next = next.map(|next| next.since(fixture::at(100.0).mono).as_secs_f64());
            (share.percent(), next)
        };
        assert_eq!(at(100.0), (10, Some(3.0)));
        assert_eq!(at(102.9), (10, Some(3.0)));
        assert_eq!(at(103.0), (20, Some(6.0)));
        assert_eq!(at(126.5), (90, Some(27.0)));
        assert_eq!(at(127.0), (100, None));
        assert_eq!(at(9_000.0), (100, None));
        let now = fixture::at(100.0);
        assert_eq!(
            ramp(back, Duration::from_nanos(3), now),
            (Share::FULL, None)
        );
    }

    #[test]
    fn a_slow_start_is_over_when_its_time_is_and_not_at_its_last_step() {
        let back = Moment::of(fixture::at(100.0));
        // Ten seconds are no nine whole steps of microseconds; nor has each time whole ones.
        let times = [
            Duration::from_secs(10),
            Duration::from_nanos(10_000_000_900),
        ];
        for slow in times {
            let last = fixture::at(109.999_999);
            let end = fixture::at(110.0);
            assert_eq!(ramp(back, slow, last), (Share::FULL, None));
            assert_eq!(ramp_end(back, slow, last), Some(end.mono));
            assert_eq!(ramp_end(back, slow, end), None);
            assert_eq!(ramp_end(back, slow, fixture::at(9_000.0)), None);
        }
    }
}
