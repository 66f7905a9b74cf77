//! How does a command that runs programs end when a person or the system ends it?
//!
//! Each program leads a process group of its own, so neither the terminal's Ctrl-C nor the end of
//! this process reaches it: whoever drops a run kills its group, and that is what happens here.

use std::fs;

use nix::sys::signal::Signal;
use tokio::signal::unix::{SignalKind, signal};

/// The signals that end a command: Ctrl-C, kill(1), a terminal that is closed.
const ENDS: [Signal; 3] = [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP];

/// What a shell adds to the number of a signal that ended a program.
const SHELL_BASE: u8 = 128;

/// A signal came before the work was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("ended by {0}; a program that was running is killed with its process group")]
pub struct Interrupted(Signal);

impl Interrupted {
    /// The exit status that a shell shows for such an end: 130 for SIGINT, 143 for SIGTERM.
    #[must_use]
    pub fn exit(self) -> u8 {
        u8::try_from(self.0 as i32).map_or(SHELL_BASE, |number| SHELL_BASE.saturating_add(number))
    }
}

/// Does the work unless SIGINT, SIGTERM or SIGHUP comes; then the work is dropped, and with it the
/// process groups of its programs are killed. A signal that the caller has this process ignore
/// (nohup(1), a job in the background of a script) stays ignored.
///
/// # Errors
///
/// The signal that came.
pub async fn unless_interrupted<T>(work: impl Future<Output = T>) -> Result<T, Interrupted> {
    let ignored = ignored();
    let [interrupt, terminate, hangup] = ENDS.map(|end| arrival(end, ignored));
    tokio::select! {
        biased; // The handlers are there before anything is started.
        end = interrupt => Err(end),
        end = terminate => Err(end),
        end = hangup => Err(end),
        done = work => Ok(done),
    }
}

async fn arrival(end: Signal, ignored: u64) -> Interrupted {
    let number = end as i32;
    let is_ignored = ignored >> (number - 1) & 1 == 1;
    if !is_ignored && let Ok(mut arrivals) = signal(SignalKind::from_raw(number)) {
        arrivals.recv().await;
        return Interrupted(end);
    }
    // Ignored; or no handler can be set, and the system's own action ends this process.
    std::future::pending().await
}

/// One bit for each signal that is ignored, SIGHUP the lowest (proc(5), `SigIgn`).
fn ignored() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok())
        .unwrap_or(0)
}
