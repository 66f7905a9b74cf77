//! How does a person learn, whatever was asked, that a reload was refused?
//!
//! One line behind the answer, or one more field of its JSON.

use std::io;

use jiff::tz::TimeZone;
use serde::Serialize;

use crate::cli::output::{Output, Tone};
use crate::wire::reload::RefusedReload;

/// An answer with what was refused.
#[derive(Serialize)]
struct With<'a, T> {
    #[serde(flatten)]
    answer: &'a T,
    #[serde(skip_serializing_if = "Option::is_none")]
    refused_reload: Option<&'a RefusedReload>,
}

/// The answer as a JSON object.
///
/// # Errors
///
/// None for our answers; a map whose keys are no text has no JSON.
pub(super) fn json<T: Serialize>(
    answer: &T,
    refused: Option<&RefusedReload>,
) -> serde_json::Result<String> {
    let refused_reload = refused;
    serde_json::to_string_pretty(&With {
        answer,
        refused_reload,
    })
}

/// The line, where there is anything to say.
///
/// # Errors
///
/// Those of the file behind standard output.
pub(super) fn line(refused: Option<&RefusedReload>, out: &mut Output) -> io::Result<()> {
    match refused {
        Some(refused) => {
            let text = refused.sentence(&TimeZone::system());
            out.line(&out.paint(Tone::Odd, &text))
        }
        None => Ok(()),
    }
}
