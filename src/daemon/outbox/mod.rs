//! The outbox: takes alert calls, spools what must not be lost, delivers, tries again [D23].

use std::path::PathBuf;
use std::time::Duration;

use tokio::sync::mpsc;

use crate::engine::event::{AlertCall, Event};
use crate::model::{Globals, MailSettings};

/// What the configuration says about delivery.
#[derive(Clone, Debug)]
pub struct OutboxSettings {
    /// `STATEDIR/spool`.
    pub spool: PathBuf,
    /// The mail globals [D24].
    pub mail: MailSettings,
}

impl OutboxSettings {
    /// Those of a configuration.
    #[must_use]
    pub fn new(globals: &Globals) -> Self {
        Self {
            spool: globals.statedir.join("spool"),
            mail: globals.mail.clone(),
        }
    }
}

/// The handle to the outbox.
#[derive(Debug)]
pub struct Outbox {
    calls: mpsc::Sender<Box<AlertCall>>,
}

impl Outbox {
    /// Starts it in the current runtime. What the spool holds from before is delivered first;
    /// the end of each call comes as [`Event::AlertDone`].
    #[must_use]
    pub fn start(settings: OutboxSettings, events: mpsc::Sender<Event>) -> Self {
        let _ = (settings, events);
        let (calls, _) = mpsc::channel(1);
        Self { calls }
    }

    /// Takes one call. Never waits.
    pub fn send(&self, call: AlertCall) {
        let _ = self.calls.try_send(Box::new(call));
    }

    /// From now on these settings hold.
    pub fn reload(&self, settings: OutboxSettings) {
        let _ = settings;
    }

    /// Takes no more calls, waits at most `limit` for what is under way, and leaves the rest
    /// in the spool.
    pub async fn close(self, limit: Duration) {
        let _ = limit;
    }
}
