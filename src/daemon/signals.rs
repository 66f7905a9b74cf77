//! How do the signals of the process become values?

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc::{self, error::TrySendError};

use crate::daemon::Signal;

/// SIGTERM, SIGINT and SIGHUP as values, in a channel of one place. A stop is in `leaving` as
/// soon as it comes, and waits for the place; another one that comes meanwhile is kept by the
/// system. A reload that finds the place taken is one with what waits there: that one has not
/// read the file yet, or is a stop.
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
            let is_heard = match signal {
                Signal::Stop => {
                    leaving.store(true, Ordering::Relaxed);
                    sender.send(signal).await.is_ok()
                }
                Signal::Reload => !matches!(sender.try_send(signal), Err(TrySendError::Closed(_))),
            };
            if !is_heard {
                return;
            }
        }
    });
    Ok(signals)
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::sys::signal::{Signal as Number, raise};
    use std::time::Duration;

    #[test]
    fn a_stop_is_known_at_once_behind_reloads_that_nobody_has_taken() {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async {
            let leaving = Arc::new(AtomicBool::new(false));
            let mut signals = of_process(Arc::clone(&leaving)).unwrap();
            let mut seen = signal(SignalKind::hangup()).unwrap();
            for _ in 0..3 {
                raise(Number::SIGHUP).unwrap();
                seen.recv().await;
                // Whoever else waited for it has its turn.
                tokio::task::yield_now().await;
                tokio::task::yield_now().await;
            }
            raise(Number::SIGTERM).unwrap();
            let known = async {
                while !leaving.load(Ordering::Relaxed) {
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
            };
            let known = tokio::time::timeout(Duration::from_secs(20), known).await;
            known.expect("the stop is known");
            assert_eq!(signals.recv().await, Some(Signal::Reload));
            assert_eq!(signals.recv().await, Some(Signal::Stop));
        });
    }
}
