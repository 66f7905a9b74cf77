//! How does a stop go?
//!
//! Whatever is under way gets some time, each its own; what is left then is on disk. The kernel's
//! table stays as it is but for what `on_exit` says.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use crate::daemon::{Daemon, Signal};
use crate::engine::event::Event;

/// How long a stop waits for checks to end, after they were told to.
const RUNS_LIMIT: Duration = Duration::from_secs(5);

/// How long a stop waits for alerts under way; the rest stays in the spool.
const ALERTS_LIMIT: Duration = Duration::from_secs(10);

/// How long a stop waits for calls of `monremote`, while it waits for alerts.
const REMOTE_LIMIT: Duration = Duration::from_secs(10);

/// How long a stop waits for the journal to reach the disk.
const JOURNAL_LIMIT: Duration = Duration::from_secs(5);

impl Daemon {
    /// Ends runs, waits for alerts under way, writes the journal. The table is left alone but for
    /// what `on_exit` of a `virtual` section says.
    pub(super) async fn stop(self) {
        let Self {
            clock,
            engine,
            mut chronicle,
            runner,
            outbox,
            mut store,
            desired,
            applier,
            mut remote,
            client_port,
            traps,
            mut inbox,
            mut signals,
            scribe,
            leaving,
            ..
        } = self;
        // Who reads a file beside the loop would hold up the end of the process.
        leaving.store(true, Ordering::Relaxed);
        // First and beside all the rest, which may take longer than the last word lasts that
        // messages may leave: what came behind it would be held for the other director.
        for call in store.let_go() {
            outbox.send(call);
        }
        let last = engine.at_exit().map(Arc::new);
        let rest = tokio::spawn(async move {
            client_port.close().await;
            traps.close().await;
            // The channel of wishes stays open until then: its end alone would end the applier,
            // with nothing done.
            applier.stop(last).await;
            drop(desired);
            runner.close(RUNS_LIMIT).await;
        });
        // What comes of deliveries that end now is still logged. The engine need not know: an
        // alert counts once its call was started (D33).
        {
            let closing =
                async { tokio::join!(outbox.close(ALERTS_LIMIT), remote.finish(REMOTE_LIMIT)) };
            tokio::pin!(closing);
            loop {
                tokio::select! { biased;
                    Some(signal) = signals.recv() => match signal {
                        Signal::Stop => break,
                        // There is nothing left to reload for.
                        Signal::Reload => {}
                    },
                    Some(event) = inbox.recv() => {
                        if let Event::AlertDone { alert, delivery } = &event {
                            chronicle.delivered(clock.now().wall, alert.0, delivery);
                        }
                    }
                    _ = &mut closing => break,
                }
            }
        }
        if let Err(error) = rest.await {
            tracing::error!(%error, "the end broke; this is a defect of lvsmon, please report it");
        }
        remote.leave().await;
        scribe.close(JOURNAL_LIMIT).await;
        store.close(JOURNAL_LIMIT).await;
    }
}
