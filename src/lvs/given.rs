//! What weight a check gives a real server, and what that makes of the configured one.
//!
//! Pure. Written as a plain number, or as a share of the configured weight (`75%`). Who may give
//! one: docs/monitors.md. Whether it is used: `weight_from` of the `virtual` section.

use std::fmt;
use std::str::FromStr;

use crate::lvs::Weight;

/// The share that makes the greatest weight of the smallest, 1.
const PERCENT_MAX: u32 = 100 * Weight::MAX;

/// A weight that a check gives the host it looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum GivenWeight {
    /// This weight, whatever the file says; at most [`Weight::MAX`]. 0: no new connections.
    Absolute(u16),
    /// This share of the configured weight in percent; 0: no new connections. More than 100 is
    /// more than the file says.
    Percent(u32),
}

impl GivenWeight {
    /// All of the configured weight.
    pub const FULL: Self = Self::Percent(100);

    /// `17` or `75%`, blanks around it ignored. A number above [`Weight::MAX`] counts as that, and
    /// percents above a hundred times that as so many; none for every other text.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        match text.strip_suffix('%') {
            Some(share) => clamped(share.trim_end(), PERCENT_MAX).map(Self::Percent),
            None => clamped(text, u16::MAX).map(Self::Absolute),
        }
    }

    /// The weight that comes of it: never above [`Weight::MAX`], and 0 only where it was asked
    /// for: a share of a small weight is rounded up.
    #[must_use]
    pub fn of(self, configured: Weight) -> Weight {
        match self {
            Self::Absolute(weight) => Weight(weight.into()),
            Self::Percent(percent) => {
                let all = u64::from(configured.0).saturating_mul(percent.into());
                let share = all.div_ceil(100).min(Weight::MAX.into());
                Weight(u32::try_from(share).unwrap_or(Weight::MAX))
            }
        }
    }
}

impl fmt::Display for GivenWeight {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Absolute(weight) => write!(out, "{weight}"),
            Self::Percent(percent) => write!(out, "{percent}%"),
        }
    }
}

/// A number of digits alone; one above `most` is that.
fn clamped<N: FromStr + Ord + Copy>(digits: &str, most: N) -> Option<N> {
    let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| digits.parse().map_or(most, |number| most.min(number)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_shares_are_read_and_nothing_else() {
        for (text, expected) in [
            ("0", Some(GivenWeight::Absolute(0))),
            (" 17 ", Some(GivenWeight::Absolute(17))),
            ("65535", Some(GivenWeight::Absolute(65_535))),
            ("65536", Some(GivenWeight::Absolute(65_535))),
            (
                "99999999999999999999999",
                Some(GivenWeight::Absolute(65_535)),
            ),
            ("75%", Some(GivenWeight::Percent(75))),
            ("0 %", Some(GivenWeight::Percent(0))),
            ("1000000%", Some(GivenWeight::Percent(1_000_000))),
            ("6553501%", Some(GivenWeight::Percent(6_553_500))),
            (
                "99999999999999999999999%",
                Some(GivenWeight::Percent(6_553_500)),
            ),
            ("-1", None),
            ("+1", None),
            ("1.5", None),
            ("", None),
            ("%", None),
            ("much", None),
            ("7 7", None),
        ] {
            assert_eq!(GivenWeight::parse(text), expected, "{text:?}");
        }
    }

    #[test]
    fn a_share_is_of_the_configured_weight_and_zero_only_where_asked_for() {
        let cases = [
            (GivenWeight::Absolute(7), 100, 7),
            (GivenWeight::Absolute(0), 100, 0),
            (GivenWeight::Percent(75), 100, 75),
            (GivenWeight::Percent(1), 5, 1),
            (GivenWeight::Percent(0), 5, 0),
            (GivenWeight::Percent(50), 0, 0),
            (GivenWeight::Percent(200), 5, 10),
            (GivenWeight::Percent(u32::MAX), 65_535, 65_535),
            (GivenWeight::FULL, 65_535, 65_535),
        ];
        let too_great = GivenWeight::parse("1000000%").unwrap();
        assert_eq!(too_great.of(Weight(10)), Weight(65_535));
        let greatest = GivenWeight::parse("9999999999%").unwrap();
        assert_eq!(greatest.of(Weight(1)), Weight(65_535));
        for (given, configured, expected) in cases {
            let weight = given.of(Weight(configured));
            assert_eq!(weight, Weight(expected), "{given} of {configured}");
        }
    }
}
