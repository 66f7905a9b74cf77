//! The rules that hold alerts back, as words and sentences for people.

use crate::engine::event::Suppressed;
use crate::time::Readable;

/// The keyword or the state that objected; a constant word for scripts.
#[must_use]
pub const fn rule(why: &Suppressed) -> &'static str {
    match why {
        Suppressed::NotInPeriod => "period",
        Suppressed::ExitRange { .. } => "exit_range",
        Suppressed::NumAlerts(_) => "numalerts",
        Suppressed::AlertEvery { .. } => "alertevery",
        Suppressed::AlertAfterCount { .. } | Suppressed::AlertAfterTime { .. } => "alertafter",
        Suppressed::UpalertAfter { .. } => "upalertafter",
        Suppressed::StillCounted => "recheck",
        Suppressed::JustTold => "just_told",
        Suppressed::NoAlertSent => "no_alert_sent",
        Suppressed::NoProgram(_) => "no_program",
        Suppressed::Stopped => "stopped",
        Suppressed::Disabled => "disabled",
        Suppressed::DependFailed { .. } => "depend",
        Suppressed::Acknowledged(_) => "acknowledged",
    }
}

/// Why it was held back and what is left of it.
#[must_use]
pub fn sentence(why: &Suppressed) -> String {
    match why {
        Suppressed::NotInPeriod => "the period did not hold".to_owned(),
        Suppressed::ExitRange { exit, ranges } => {
            let ranges: Vec<String> = ranges.iter().map(ToString::to_string).collect();
            let ranges = ranges.join(" ");
            format!("exit value {exit} is in none of the ranges {ranges} (alertexitrange, exit=)")
        }
        Suppressed::NumAlerts(most) => {
            format!("numalerts {most}: as many were sent in this outage; none until it ends")
        }
        Suppressed::AlertEvery { left } => format!(
            "alertevery: too soon after the last one; {} left",
            Readable(*left)
        ),
        Suppressed::AlertAfterCount { have, need } => {
            let left = need.saturating_sub(*have);
            let word = if left == 1 { "failure" } else { "failures" };
            format!("alertafter: {have} of {need} failures; {left} {word} left")
        }
        Suppressed::AlertAfterTime { left } => format!(
            "alertafter: not failing for long enough; {} left",
            Readable(*left)
        ),
        Suppressed::UpalertAfter { outage, least } => format!(
            "upalertafter {}: the outage was shorter, {}",
            Readable(*least),
            Readable(*outage)
        ),
        Suppressed::StillCounted => {
            "a failure of a host is still being counted; told as soon as re-checks have decided, \
             with the next check at the latest"
                .to_owned()
        }
        Suppressed::JustTold => {
            "the check came early for another period, and the one before was told".to_owned()
        }
        Suppressed::NoAlertSent => {
            "0 alerts were sent in this period for the outage, 1 is needed unless no_comp_alerts"
                .to_owned()
        }
        Suppressed::NoProgram(why) => format!("there is no program to call: {why}"),
        Suppressed::Stopped => "the scheduler is stopped, until start".to_owned(),
        Suppressed::Disabled => {
            "the service or its watch is disabled, until it is enabled".to_owned()
        }
        Suppressed::DependFailed { expression, parent } => match parent {
            Some(parent) => {
                format!("{parent} fails, on which it depends (depend {expression})")
            }
            None => format!("a dependency fails (depend {expression})"),
        },
        Suppressed::Acknowledged(comment) => {
            // The part before the colon is who did it, where a login was asked for.
            let comment = comment.trim().trim_start_matches(':').trim();
            match comment {
                "" => "the outage is acknowledged, until it ends".to_owned(),
                comment => format!("the outage is acknowledged ({comment}), until it ends"),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::model::ExitRange;

    #[test]
    fn each_rule_says_what_is_left_of_it() {
        let range = |low, high| ExitRange { low, high };
        let cases = [
            (
                Suppressed::AlertAfterCount { have: 1, need: 3 },
                "alertafter",
                "1 of 3 failures; 2 failures left",
            ),
            (
                Suppressed::AlertAfterCount { have: 2, need: 3 },
                "alertafter",
                "1 failure left",
            ),
            (
                Suppressed::AlertEvery {
                    left: Duration::from_secs(200),
                },
                "alertevery",
                "3m20s left",
            ),
            (Suppressed::NumAlerts(2), "numalerts", "numalerts 2"),
            (
                Suppressed::exit_range(4, [range(2, 2), range(5, 9), range(2, 2)].into_iter()),
                "exit_range",
                "exit value 4 is in none of the ranges 2 5-9 (",
            ),
            (
                Suppressed::UpalertAfter {
                    outage: Duration::from_secs(59),
                    least: Duration::from_secs(90),
                },
                "upalertafter",
                "upalertafter 1m30s: the outage was shorter, 59s",
            ),
            (Suppressed::StillCounted, "recheck", "still being counted"),
            (Suppressed::JustTold, "just_told", "the one before was told"),
            (
                Suppressed::NoAlertSent,
                "no_alert_sent",
                "0 alerts were sent",
            ),
            (
                Suppressed::DependFailed {
                    expression: "core:ping".into(),
                    parent: Some("core:ping".into()),
                },
                "depend",
                "core:ping fails",
            ),
            (
                Suppressed::Acknowledged("ann: on it".into()),
                "acknowledged",
                "acknowledged (ann: on it), until",
            ),
            (
                // Without a login.
                Suppressed::Acknowledged(": on it".into()),
                "acknowledged",
                "acknowledged (on it), until",
            ),
            (
                Suppressed::Acknowledged(": ".into()),
                "acknowledged",
                "acknowledged, until",
            ),
        ];
        for (why, word, part) in cases {
            assert_eq!(rule(&why), word);
            assert!(sentence(&why).contains(part), "{}", sentence(&why));
        }
    }
}
