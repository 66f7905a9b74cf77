//! What of the messages outlives a restart beside themselves?
//!
//! What was told, by either director: where the link was down, nobody else knows it, and a takeover
//! would tell it again.

use std::sync::Arc;

use crate::daemon::outbox::courier::{Courier, Disk};
use crate::daemon::outbox::ledger::CleanUp;
use crate::engine::event::Event;
use crate::pair::ledger::{Entry as LedgerEntry, Page};

impl Courier {
    /// What was told before this start.
    pub(super) async fn recall(&mut self) {
        let now = self.clock.now();
        let mut ledger = self.ledger.clone();
        let load = move || (ledger.load(now.wall), ledger);
        let page = match tokio::task::spawn_blocking(load).await {
            Ok((Ok(page), ledger)) => {
                self.ledger = ledger;
                page
            }
            Ok((Err(error), _)) => return self.unread(&error.to_string()),
            Err(error) => return self.unread(&error.to_string()),
        };
        let Page { lines, passed_over } = page;
        if passed_over > 0 {
            tracing::warn!(
                lines = passed_over,
                spool = %self.settings.spool.display(),
                "lines of the list of what was delivered cannot be read; a takeover may tell that again"
            );
        }
        let entries: Vec<LedgerEntry> = lines.into_iter().map(|line| line.entry).collect();
        let told = entries.iter().filter_map(|entry| match entry {
            LedgerEntry::Delivered(it) | LedgerEntry::Told(it) => Some(Arc::clone(&it.event)),
            LedgerEntry::Renumbered { .. } => None,
        });
        let told: Vec<Arc<str>> = told.collect();
        let renumbered = self.post.recall(now.mono, entries);
        self.people_know(told);
        let changed = self.rename_contents(renumbered).await;
        if !changed.is_empty() {
            self.store(changed.into_iter().collect()).await;
        }
    }

    /// The engine hears of what was told, by the ids of now, in one event with what it has not
    /// taken yet.
    pub(super) fn people_know(&mut self, events: Vec<Arc<str>>) {
        if !self.settings.has_peer || events.is_empty() {
            return;
        }
        let now_called = |event: Arc<str>| self.post.now_called(&event).map_or(event, Arc::from);
        let events = events.into_iter().map(now_called).collect();
        if let Some(Event::Delivered(known)) = self.done.back_mut() {
            known.extend::<Vec<Arc<str>>>(events);
        } else {
            self.done.push_back(Event::Delivered(events));
        }
    }

    /// There is another director from now on: what was told before counts in what both compare.
    pub(super) fn got_peer(&mut self) {
        let told = self.post.delivered_here().cloned().collect();
        self.people_know(told);
        // Tried at once, and said from now on where the disk does not take it.
        self.ledger_disk = Disk::Works;
    }

    fn unread(&self, why: &str) {
        tracing::error!(
            spool = %self.settings.spool.display(),
            why,
            "cannot read what was delivered before; a takeover may tell it again"
        );
    }

    /// Writes down what was told since the last time. What the disk does not take is tried again.
    pub(super) async fn keep(&mut self) {
        let now = self.clock.now();
        let is_rested = match self.ledger_disk {
            Disk::Works => true,
            Disk::Fails(at) => at <= now.mono,
        };
        if !self.is_loaded || !is_rested {
            return;
        }
        let entries = self.post.unkept();
        if entries.is_empty() {
            self.ledger_disk = Disk::Works;
            return;
        }
        let (mut ledger, lines) = (self.ledger.clone(), entries.clone());
        let add = move || (ledger.add(now.wall, &lines), ledger);
        let added = match tokio::task::spawn_blocking(add).await {
            Ok((added, ledger)) => {
                self.ledger = ledger;
                added.map_err(|error| error.to_string())
            }
            Err(error) => Err(error.to_string()),
        };
        let was_failing = self.ledger_disk != Disk::Works;
        let spool = self.settings.spool.display();
        match added {
            Ok(cleaned) => {
                if let CleanUp::Failed(error) = cleaned {
                    let why = "it grows until it can be written anew";
                    tracing::warn!(%spool, %error, why, "cannot clean up the list of what was delivered");
                }
                self.ledger_disk = Disk::Works;
                if was_failing && self.settings.has_peer {
                    tracing::info!(%spool, "what is delivered is written down again");
                }
            }
            Err(why) => {
                // Without another director nothing that anybody is told hangs on it yet.
                if !was_failing && self.settings.has_peer {
                    tracing::error!(
                        %spool,
                        why,
                        "cannot write down what is delivered; after a restart a takeover may tell it again"
                    );
                }
                let rest = self.settings.limits.disk_rest;
                self.ledger_disk = Disk::Fails(self.clock.now().mono.after(rest));
                self.post.keep_unkept(entries);
            }
        }
    }
}
