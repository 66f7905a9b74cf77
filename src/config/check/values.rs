//! How numbers, times and yes or no are written.

use std::time::Duration;

use crate::model::DependBehavior;
use crate::time::timeval;

/// A time value; zero only where it is allowed.
///
/// # Errors
///
/// What to do about it.
pub(super) fn time(text: &str, zero: Zero) -> Result<Duration, &'static str> {
    let time =
        timeval(text).map_err(|_| "write a number and one of s, m, h, d, as in 30s or 1.5h")?;
    if time.is_zero() && zero == Zero::Refused {
        return Err("write a time above zero");
    }
    Ok(time)
}

/// Whether a time may be zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Zero {
    Allowed,
    Refused,
}

/// Digits that fit.
pub(super) fn number(text: &str) -> Option<u32> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| text.parse().ok()).flatten()
}

/// yes or no as our own settings take it.
pub(super) fn yes_or_no(text: &str) -> Option<bool> {
    match text.to_ascii_lowercase().as_str() {
        "yes" | "true" | "on" | "1" => Some(true),
        "no" | "false" | "off" | "0" => Some(false),
        _ => None,
    }
}

/// `unack_summary` as mon takes it: anything with a `y`, else with an `n`, else 0 or 1.
pub(super) fn unack_summary(text: &str) -> Option<bool> {
    let text = text.to_ascii_lowercase();
    match text.as_str() {
        _ if text.contains('y') => Some(true),
        _ if text.contains('n') => Some(false),
        "1" => Some(true),
        "0" => Some(false),
        _ => None,
    }
}

/// `startupalerts_on_reset` as mon takes it.
pub(super) fn startupalerts_on_reset(text: &str) -> bool {
    let text = text.to_ascii_lowercase();
    text.starts_with('1') || text.contains("yes") || text.contains("true") || text.ends_with("on")
}

/// `dep_behavior`
pub(super) fn dep_behavior(text: &str) -> Option<DependBehavior> {
    match text {
        "a" => Some(DependBehavior::Alerts),
        "m" => Some(DependBehavior::Monitor),
        "hm" => Some(DependBehavior::Hosts),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn yes_and_no_of_mon_are_loose() {
        for text in ["yes", "Y", "anyway", "1"] {
            assert_eq!(unack_summary(text), Some(true), "{text}");
        }
        for text in ["no", "none", "0"] {
            assert_eq!(unack_summary(text), Some(false), "{text}");
        }
        for text in ["", "2", "off"] {
            assert_eq!(unack_summary(text), None, "{text}");
        }
        for text in ["1", "10", "yes", "TRUE", "on", "salmon"] {
            assert!(startupalerts_on_reset(text), "{text}");
        }
        for text in ["", "0", "no", "only"] {
            assert!(!startupalerts_on_reset(text), "{text}");
        }
    }

    #[test]
    fn a_number_is_digits_and_nothing_else() {
        assert_eq!(number("20"), Some(20));
        for text in ["", "-1", "+1", "1.5", "1 ", "4294967296"] {
            assert_eq!(number(text), None, "{text}");
        }
    }
}
