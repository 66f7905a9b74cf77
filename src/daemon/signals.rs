//! How do the signals of the process become values?

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;

use crate::daemon::Signal;

/// SIGTERM, SIGINT and SIGHUP as values. A signal that comes while one waits is not lost:
/// the system's own queue keeps one of each kind.
/// A stop is in `leaving` as soon as it comes.
pub(super) fn of_process(leaving: Arc<AtomicBool>) -> std::io::Result<mpsc::Receiver<Signal>> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut hangup = signal(SignalKind::hangup())?;
    let (sender, signals) = mpsc::channel(1);
    // Ends with the runtime: its receiver and this task live exactly as long as the daemon.
    tokio::spawn(async move {
        loop {
            let signal = tokio::select! {
                _ = terminate.recv() => Signal::Stop,
                _ = interrupt.recv() => Signal::Stop,
                _ = hangup.recv() => Signal::Reload,
            };
            if signal == Signal::Stop {
                leaving.store(true, Ordering::Relaxed);
            }
            if sender.send(signal).await.is_err() {
                return;
            }
        }
    });
    Ok(signals)
}
