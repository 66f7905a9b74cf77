//! Has the kernel's table become what was wished?
//!
//! The daemon notes a wish and answers; its applier changes the table a moment later, or the kernel
//! refuses. A person is told what is so, not what is meant to be so.

use std::time::Duration;

use crate::client::{Client, ClientError};
use crate::clock::Stopwatch;
use crate::engine::event::Aim;
use crate::wire::server::{ServerAnswer, ServerWhy};
use crate::wire::{ServerActual, ServerWanted, Source};

/// Longest wait for the table: far more than the kernel takes, for machines that are busy.
const SETTLE_LIMIT: Duration = Duration::from_secs(10);

/// What stands in the way for so long is the reason: what was in the way before the wish is gone
/// with the first look at the table, which comes at once.
const REASON_AGE: Duration = Duration::from_secs(1);

/// Pause between two looks: less than a person notices.
const PAUSE: Duration = Duration::from_millis(50);

/// Asks until the table is as wanted, something stands in the way, or it takes too long.
pub(super) fn settled(daemon: &mut Client, aim: &Aim) -> Result<ServerAnswer, ClientError> {
    let watch = Stopwatch::start();
    loop {
        let answer = daemon.why_server(aim)?;
        let waited = watch.elapsed();
        let is_over = match answer.source {
            Some(Source::Observer) => true,
            Some(Source::Daemon | Source::File) | None => waited > SETTLE_LIMIT,
        };
        let has_reason = waited > REASON_AGE && open(&answer).any(|it| !it.trouble.is_empty());
        if is_over || has_reason || open(&answer).next().is_none() {
            return Ok(answer);
        }
        super::pause(PAUSE);
    }
}

/// A line for each real server of which the table is not as wanted.
pub(super) fn lines(answer: &ServerAnswer) -> Vec<String> {
    let is_observer = answer.source == Some(Source::Observer);
    let mut lines: Vec<String> = open(answer).map(|it| line(it, is_observer)).collect();
    if is_observer {
        lines.push(
            "lvsmon only observes here: it changes nothing in the table; wish it of whoever works"
                .to_owned(),
        );
    } else if !lines.is_empty() {
        lines.push("the wish is kept, and lvsmon tries again until the table is so".to_owned());
    }
    lines
}

/// The real servers of which the table is not as wanted.
fn open(answer: &ServerAnswer) -> impl Iterator<Item = &ServerWhy> {
    answer.servers.iter().filter(|it| !is_settled(it))
}

/// Whether the table has of a real server what is wanted.
pub(super) fn is_settled(server: &ServerWhy) -> bool {
    match (server.wanted, server.actual) {
        (ServerWanted::AsFound, _)
        | (ServerWanted::In, ServerActual::In)
        | (ServerWanted::Out, ServerActual::Out) => true,
        (ServerWanted::In, ServerActual::Out | ServerActual::Differs | ServerActual::Unknown)
        | (ServerWanted::Out, ServerActual::In | ServerActual::Differs | ServerActual::Unknown) => {
            false
        }
    }
}

fn line(server: &ServerWhy, is_observer: bool) -> String {
    let (name, service) = (&server.real_server, &server.virtual_service);
    let has = match (server.actual, server.weight) {
        (ServerActual::Unknown, _) => "nobody knows what the kernel has of it".to_owned(),
        (ServerActual::Out, _) | (_, None) => "it is not in the kernel's table".to_owned(),
        (ServerActual::In | ServerActual::Differs, Some(weight)) => {
            format!("it is in the kernel's table with weight {weight}")
        }
    };
    let why = match server.trouble.as_slice() {
        _ if is_observer => String::new(),
        [] => "; that has not changed in time".to_owned(),
        trouble => format!("; {}", trouble.join("; ")),
    };
    format!("NOT YET SO: {name} in {service}: {has}{why}")
}
