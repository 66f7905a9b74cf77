//! What comes of a wish whose daemon ends before the table is so?

use std::error::Error;
use std::process::ExitCode;

use crate::cli::Outcome;
use crate::cli::output::{Form, complain, fail};
use crate::cli::wishes::NOT_SO;
use crate::client::ClientError;
use crate::engine::event::Aim;
use crate::wire::refusal::RefusalReason;

/// What comes of a wish that is in the journal: where the daemon ends before the table is so, it
/// goes on with the next one. `journal_trouble` says that the disk did not take it.
pub(super) fn unless_gone(
    command: &str,
    aim: &Aim,
    is_json: bool,
    journal_trouble: Option<&str>,
    outcome: Outcome,
) -> Outcome {
    let error = match outcome {
        Err(error) if is_gone(&*error) => error,
        outcome => return outcome,
    };
    let server = &aim.server.0;
    let becomes = becomes(command, journal_trouble);
    let text = format!(
        "the daemon ended meanwhile ({error}); {becomes}: lvsmon why {server} shows it then"
    );
    complain(&format!("lvsmon {command}: {text}"));
    fail(Form::of(is_json), &text);
    Ok(ExitCode::from(NOT_SO))
}

/// What becomes of the wish when the daemon is back.
fn becomes(command: &str, journal_trouble: Option<&str>) -> String {
    match journal_trouble {
        None => format!("the {command} is kept, and goes on when it is back"),
        Some(_) => format!(
            "the journal could not be written, so the {command} may be forgotten when it is back"
        ),
    }
}

/// Whether the daemon ended while it was asked.
fn is_gone(error: &(dyn Error + 'static)) -> bool {
    match error.downcast_ref::<ClientError>() {
        Some(ClientError::Broken { .. } | ClientError::NoDaemon(_)) => true,
        Some(ClientError::Refused(refusal)) => refusal.reason == RefusalReason::Stopping,
        Some(
            ClientError::OnlyObserver { .. }
            | ClientError::NoSocket { .. }
            | ClientError::NotASocket { .. }
            | ClientError::Forbidden(_)
            | ClientError::Slow { .. }
            | ClientError::Deaf { .. },
        )
        | None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_disk_did_not_take_is_not_said_to_be_kept() {
        let kept = becomes("drain", None);
        assert_eq!(kept, "the drain is kept, and goes on when it is back");
        let lost = becomes("drain", Some("the disk is full"));
        assert!(!lost.contains("kept"), "{lost}");
        assert!(lost.contains("may be forgotten"), "{lost}");
    }
}
