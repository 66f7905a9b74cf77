//! What was logged meanwhile, where a test asks?
//!
//! A test hears the lines of its own thread. Where it matters as what syslog gets a line, the log
//! of the daemon is asked (`daemon::log`).

use std::io::{Read as _, Seek as _};
use std::sync::{Arc, LazyLock};

use tracing::{Level, Subscriber};

/// One more subscriber for as long as the tests run. While there is one alone, tracing asks that
/// of whichever thread comes to a line first whether anybody wants it: a test beside ours that has
/// none would say for all that nobody does.
static SECOND: LazyLock<tracing::Dispatch> =
    LazyLock::new(|| tracing::Dispatch::new(tracing_subscriber::registry()));

/// Lets a subscriber hear what is logged meanwhile.
pub(crate) fn heard_by(subscriber: impl Subscriber + Send + Sync, work: impl FnOnce()) {
    LazyLock::force(&SECOND);
    tracing::subscriber::with_default(subscriber, work);
}

/// The lines that were logged meanwhile, of every level.
pub(crate) fn lines(work: impl FnOnce()) -> Vec<String> {
    let mut file = tempfile::tempfile().unwrap();
    let subscriber = tracing_subscriber::fmt()
        .with_writer(Arc::new(file.try_clone().unwrap()))
        .with_max_level(Level::TRACE)
        .without_time()
        .with_ansi(false);
    heard_by(subscriber.finish(), work);
    let mut text = String::new();
    file.rewind().unwrap();
    file.read_to_string(&mut text).unwrap();
    text.lines().map(str::to_owned).collect()
}
