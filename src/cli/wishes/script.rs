//! What does a script read of a wish?

use serde::Serialize;

use crate::cli::refused;
use crate::client::Client;
use crate::wire::server::ServerAnswer;

/// What the daemon knows of the servers, and whether it can keep what was wished.
#[derive(Serialize)]
struct Noted<'a> {
    #[serde(flatten)]
    answer: &'a ServerAnswer,
    #[serde(skip_serializing_if = "Option::is_none")]
    journal_trouble: Option<&'a str>,
}

/// The answer to a wish as a JSON object.
///
/// # Errors
///
/// As [`refused::json`].
pub(super) fn json(daemon: &Client, answer: &ServerAnswer) -> serde_json::Result<String> {
    let journal_trouble = daemon.journal_trouble();
    let noted = Noted {
        answer,
        journal_trouble,
    };
    refused::json(&noted, daemon.refused_reload())
}
