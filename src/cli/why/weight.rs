//! How does the `weight` line of a real server read: where has it its weight from?

use crate::cli::output::Tone;
use crate::wire::server::{GivenRow, WeightByRow};

/// The line, and how it stands out where the weight is not what its latest checks say.
pub(super) fn weight(by: &WeightByRow, moment: impl Fn(i64) -> String) -> (Option<Tone>, String) {
    let given = match by {
        WeightByRow::Checks { given } => given,
        WeightByRow::File => {
            let text = "that of the file: no check gave it one (weight_from check)";
            return (Some(Tone::Odd), text.to_owned());
        }
        WeightByRow::FileAtMost => {
            let text = "that of the file, but no more than the others have, as no check gave it \
                        one above 0 (weight_from check)";
            return (Some(Tone::Odd), text.to_owned());
        }
    };
    let is_kept = given
        .iter()
        .any(|it| it.none_since.is_some() || it.replaced);
    let texts: Vec<String> = given.iter().map(|it| words(it, &moment)).collect();
    (is_kept.then_some(Tone::Odd), texts.join("; "))
}

fn words(given: &GivenRow, moment: impl Fn(i64) -> String) -> String {
    let service = &given.service;
    let what = match given.weight.strip_suffix('%') {
        Some("0") => "0".to_owned(),
        Some(_) => format!("{} of that in the file", given.weight),
        None => given.weight.clone(),
    };
    match given.none_since {
        None if given.replaced => format!(
            "{what}, as the monitor gave it that {service} had before; the present one has given \
             none yet"
        ),
        None => format!("{what}, as {service} gives it"),
        Some(since) => {
            let since = moment(since);
            format!("{what}, as {service} gave it; kept, as its checks give none since {since}")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_weight_that_the_latest_check_did_not_give_is_said_to_be_kept() {
        let given = |service: &str, weight: &str, none_since| GivenRow {
            service: service.to_owned(),
            weight: weight.to_owned(),
            none_since,
            replaced: false,
        };
        for (rows, tone, expected) in [
            (
                vec![given("web/http", "17", None)],
                None,
                "17, as web/http gives it",
            ),
            (
                vec![
                    given("web/http", "75%", None),
                    given("web/load", "0%", None),
                ],
                None,
                "75% of that in the file, as web/http gives it; 0, as web/load gives it",
            ),
            (
                vec![
                    given("web/http", "17", Some(9)),
                    given("web/load", "17", None),
                ],
                Some(Tone::Odd),
                "17, as web/http gave it; kept, as its checks give none since 9; 17, as web/load \
                 gives it",
            ),
            (
                vec![GivenRow {
                    replaced: true,
                    ..given("web/http", "0", None)
                }],
                Some(Tone::Odd),
                "0, as the monitor gave it that web/http had before; the present one has given \
                 none yet",
            ),
        ] {
            let by = WeightByRow::Checks { given: rows };
            let found = weight(&by, |at| at.to_string());
            assert_eq!(found, (tone, expected.to_owned()));
        }
    }
}
