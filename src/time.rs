//! Time as values: the two clocks, and mon's time values.
//!
//! Nothing here reads a clock ([`crate::clock`] does). Intervals and limits use
//! [`Mono`], which cannot step; periods and every reported time use [`Wall`].

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Microseconds since the daemon started; never goes backwards.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Mono(u64);

impl Mono {
    /// The moment the daemon started.
    pub const ZERO: Self = Self(0);

    /// The moment `micros` microseconds after the start.
    #[must_use]
    pub const fn from_micros(micros: u64) -> Self {
        Self(micros)
    }

    /// Microseconds since the start.
    #[must_use]
    pub const fn as_micros(self) -> u64 {
        self.0
    }

    /// This moment moved into the future; saturates at the end of time (584,000 years).
    #[must_use]
    pub fn after(self, span: Duration) -> Self {
        Self(self.0.saturating_add(micros(span)))
    }

    /// The time from `earlier` to this moment; zero where `earlier` is later.
    #[must_use]
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_micros(self.0.saturating_sub(earlier.0))
    }
}

/// Microseconds since 1970-01-01 00:00 UTC, as the wall clock showed them.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct Wall(i64);

impl Wall {
    /// The moment `micros` microseconds after the epoch.
    #[must_use]
    pub const fn from_micros(micros: i64) -> Self {
        Self(micros)
    }

    /// The moment `seconds` seconds after the epoch.
    #[must_use]
    pub const fn from_seconds(seconds: i64) -> Self {
        Self(seconds.saturating_mul(1_000_000))
    }

    /// Microseconds since the epoch.
    #[must_use]
    pub const fn as_micros(self) -> i64 {
        self.0
    }

    /// What our clock said at this moment of another one, which is ahead of ours by so much.
    #[must_use]
    pub const fn by_our_clock(self, ahead_micros: i64) -> Self {
        Self(self.0.saturating_sub(ahead_micros))
    }

    /// Whole seconds since the epoch, rounded down: what mon prints.
    #[must_use]
    pub const fn seconds(self) -> i64 {
        self.0.div_euclid(1_000_000)
    }

    /// This moment moved into the future; saturates.
    #[must_use]
    pub fn after(self, span: Duration) -> Self {
        let span = i64::try_from(span.as_micros()).unwrap_or(i64::MAX);
        Self(self.0.saturating_add(span))
    }

    /// This moment moved into the past; saturates.
    #[must_use]
    pub fn before(self, span: Duration) -> Self {
        let span = i64::try_from(span.as_micros()).unwrap_or(i64::MAX);
        Self(self.0.saturating_sub(span))
    }

    /// The time from `earlier` to this moment; zero where `earlier` is later.
    #[must_use]
    pub const fn since(self, earlier: Self) -> Duration {
        let span = self.0.saturating_sub(earlier.0);
        if span > 0 {
            Duration::from_micros(span.unsigned_abs())
        } else {
            Duration::ZERO
        }
    }
}

/// Both clocks, read once for each event by the shell.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Now {
    /// For intervals, limits and deadlines.
    pub mono: Mono,
    /// For periods and reported times.
    pub wall: Wall,
}

/// Why a text is not a time value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", why_no_timeval(.0))]
pub struct TimevalError(pub String);

/// Reads a time value of mon.cf: digits, an optional fraction, one unit (`s`, `m`, `h`, `d`,
/// any case), blanks around it.
///
/// Resolution 1 µs. Zero is accepted here; most keywords refuse it.
///
/// # Errors
///
/// Any other text; there is no default unit, no sign, no combination such as `1h30m`.
/// Source: mon(8), "timeval".
pub fn timeval(text: &str) -> Result<Duration, TimevalError> {
    parse_timeval(text.trim()).ok_or_else(|| TimevalError(text.trim().to_owned()))
}

fn why_no_timeval(text: &str) -> String {
    if split_timeval(text).is_some() {
        let most = u64::MAX / 86_400_000_000;
        return format!("\"{text}\" is too long: a time is {most}d at most");
    }
    let hint = in_seconds(text);
    format!(
        "\"{text}\" is not a time value: write a number and one of s, m, h, d, as in 30s or 1.5h{hint}"
    )
}

/// What to write for milliseconds, which mon.cf does not know.
fn in_seconds(text: &str) -> String {
    let millis = text.strip_suffix("ms").filter(|digits| is_digits(digits));
    let millis = millis.and_then(|digits| digits.parse::<u32>().ok());
    let seconds = millis.map(|millis| Duration::from_millis(millis.into()).as_secs_f64());
    seconds.map_or_else(String::new, |seconds| format!("; here {seconds}s"))
}

fn parse_timeval(text: &str) -> Option<Duration> {
    let (whole, fraction, micros_per_unit) = split_timeval(text)?;
    let whole: u128 = whole.parse::<u64>().ok()?.into();
    // Six digits are enough for a day in microseconds to be exact to 0.1 s of the last digit.
    let fraction = &fraction[..fraction.len().min(12)];
    let scale = 10_u128.pow(u32::try_from(fraction.len()).ok()?);
    let fraction: u128 = fraction.parse::<u64>().ok()?.into();
    let total = whole * micros_per_unit + fraction * micros_per_unit / scale;
    u64::try_from(total).ok().map(Duration::from_micros)
}

/// The digits before and behind the point, and the microseconds of the unit.
fn split_timeval(text: &str) -> Option<(&str, &str, u128)> {
    let unit = text.chars().next_back()?;
    let number = &text[..text.len() - unit.len_utf8()];
    let micros_per_unit: u128 = match unit.to_ascii_lowercase() {
        's' => 1_000_000,
        'm' => 60_000_000,
        'h' => 3_600_000_000,
        'd' => 86_400_000_000,
        _ => return None,
    };
    let (whole, fraction) = number.split_once('.').unwrap_or((number, "0"));
    (is_digits(whole) && is_digits(fraction)).then_some((whole, fraction, micros_per_unit))
}

fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

fn micros(span: Duration) -> u64 {
    u64::try_from(span.as_micros()).unwrap_or(u64::MAX)
}

/// A span as a person reads it: `450ms`, `2.5s`, `3m20s`, `5h`, `2d4h`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Readable(pub Duration);

impl fmt::Display for Readable {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let millis = self.0.as_millis();
        let seconds = self.0.as_secs();
        let pair = |out: &mut fmt::Formatter<'_>, unit: u64, big: char, small: char, part: u64| {
            let rest = seconds % unit / part;
            write!(out, "{}{big}", seconds / unit)?;
            if rest > 0 {
                write!(out, "{rest}{small}")
            } else {
                Ok(())
            }
        };
        match millis {
            0..1_000 => write!(out, "{millis}ms"),
            1_000..60_000 if millis % 1_000 >= 100 => {
                write!(out, "{}.{}s", seconds, millis % 1_000 / 100)
            }
            1_000..60_000 => write!(out, "{seconds}s"),
            60_000..3_600_000 => pair(out, 60, 'm', 's', 1),
            3_600_000..86_400_000 => pair(out, 3_600, 'h', 'm', 60),
            _ => pair(out, 86_400, 'd', 'h', 3_600),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_values_of_the_specification() {
        let cases = [
            ("30s", 30_000_000),
            ("1.5h", 5_400_000_000),
            (" 0.5s ", 500_000),
            ("2D", 172_800_000_000),
            ("0s", 0),
            ("1.0000001s", 1_000_000),
        ];
        for (text, micros) in cases {
            assert_eq!(timeval(text), Ok(Duration::from_micros(micros)), "{text}");
        }
    }

    #[test]
    fn everything_else_is_refused() {
        let texts = [
            "",
            "s",
            "30",
            ".5h",
            "5.h",
            "-1s",
            "1h30m",
            "1 h",
            "1w",
            "é",
            "99999999999999999999d",
            "18446744073709551615d",
        ];
        for text in texts {
            assert!(timeval(text).is_err(), "{text}");
        }
        let text = timeval("300ms").unwrap_err().to_string();
        assert!(text.ends_with("as in 30s or 1.5h; here 0.3s"), "{text}");
    }

    #[test]
    fn spans_read_well() {
        let cases = [
            (0.45, "450ms"),
            (2.0, "2s"),
            (2.5, "2.5s"),
            (200.0, "3m20s"),
            (18_000.0, "5h"),
            (187_200.0, "2d4h"),
        ];
        for (seconds, text) in cases {
            assert_eq!(Readable(Duration::from_secs_f64(seconds)).to_string(), text);
        }
    }
}
