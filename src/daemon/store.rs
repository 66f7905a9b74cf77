//! What survives a restart: the journal in the state folder, and the lock on that folder (D20).
//!
//! The journal is a file of JSON lines, the first one a heading, each other one a
//! [`Record`]; of equal keys the last one counts. It is appended to and, once it has grown
//! to [`COMPACT_RATIO`] times what it was after the last clean-up, written anew (write,
//! fsync, rename), so a crash at any moment leaves either the old or the new file. A cut
//! last line is the trace of a crash or of a full disk and is dropped. Records are not held
//! in memory: the clean-up reads the file again.
//!
//! The loop hands records over without waiting ([`Store::record`]); one task writes them in
//! batches, with one fsync for each, at most [`FLUSH_EVERY`] later. What cannot be written
//! (full disk) stays in memory, newest value for each key, is said once and tried again.
//!
//! Not here: what is worth keeping ([`crate::engine::saved`]), the spool of alerts.

mod file;
mod lock;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::engine::saved::{Record, Saved};

use file::Journal;
pub use file::StoreError;
pub(crate) use file::read_only;
pub use lock::Lock;

/// Time from a record to its fsync, about: short enough to lose nothing a person would miss,
/// long enough that a storm of records costs five fsyncs a second.
const FLUSH_EVERY: Duration = Duration::from_millis(200);

/// The journal is cleaned up when it has grown to this many times its clean size.
const COMPACT_RATIO: u64 = 3;

/// A journal below this size is never worth a clean-up, in bytes.
const COMPACT_MIN: u64 = 256 * 1024;

/// First and longest pause between tries to write after an error.
const RETRY: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(30));

/// Values as JSON text, by key: as trees, those of 10,000 services that wait for a slow disk
/// would be several times the size.
type Batch = BTreeMap<String, String>;

/// The journal of a running daemon.
#[derive(Debug)]
pub struct Store {
    waiting: Batch,
    batches: mpsc::Sender<Batch>,
    writer: JoinHandle<()>,
}

/// What [`Store::open`] found.
#[derive(Debug)]
pub struct Opened {
    /// To write to.
    pub store: Store,
    /// What was kept.
    pub saved: Saved,
    /// Sentences for the log: a file set aside, a cut line.
    pub remarks: Vec<String>,
}

impl Store {
    /// Opens the journal of a state folder and starts its writer.
    ///
    /// A file that is no journal is set aside under another name, a cut last line is
    /// dropped; both are remarks. Reads the disk: call it before the loop runs.
    ///
    /// # Errors
    ///
    /// A journal that exists and cannot be read: starting without it would forget withdrawn
    /// servers.
    pub fn open(folder: &Path) -> Result<Opened, StoreError> {
        let (journal, saved, remarks) = Journal::open(&folder.join("journal"))?;
        // One batch in the hand of the writer and none in the channel: what comes meanwhile
        // is merged in `waiting`, which its keys bound.
        let (batches, inbox) = mpsc::channel(1);
        let store = Self {
            // What was saved from a damaged journal and could not be written anew is written
            // as if it had just been said.
            waiting: if journal.is_empty() {
                let text =
                    |(key, value): (&String, &serde_json::Value)| (key.clone(), value.to_string());
                saved.records.iter().map(text).collect()
            } else {
                Batch::new()
            },
            batches,
            writer: tokio::spawn(write_batches(journal, inbox)),
        };
        Ok(Opened {
            store,
            saved,
            remarks,
        })
    }

    /// Takes a record in; never waits.
    pub fn record(&mut self, record: Record) {
        self.waiting.insert(record.key, record.value.to_string());
    }

    /// Hands what waits to the writer as soon as that is ready for it; never ends while
    /// nothing waits. Cancel safe.
    pub async fn hand_over(&mut self) {
        if self.waiting.is_empty() {
            std::future::pending::<()>().await;
        }
        match self.batches.reserve().await {
            Ok(place) => place.send(std::mem::take(&mut self.waiting)),
            // The writer ends after us only; a panic there is said by `close`.
            Err(_) => std::future::pending().await,
        }
    }

    /// Writes what is left and closes the file; gives up after `limit`.
    pub async fn close(mut self, limit: Duration) {
        let rest = async {
            if !self.waiting.is_empty() {
                let _ = self.batches.send(self.waiting).await;
            }
            drop(self.batches);
            (&mut self.writer).await
        };
        match tokio::time::timeout(limit, rest).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::error!(%error, "journal writer failed"),
            Err(_) => {
                self.writer.abort();
                tracing::error!(
                    ?limit,
                    "journal not written in time, the newest state is lost"
                );
            }
        }
    }
}

/// The writer: batch by batch, with a pause so that a storm shares its fsyncs.
async fn write_batches(mut journal: Journal, mut inbox: mpsc::Receiver<Batch>) {
    let mut failed = Failed::default();
    loop {
        let batch = if failed.records.is_empty() {
            inbox.recv().await
        } else {
            // The sender being gone ends the pause: it is the last try.
            match tokio::time::timeout(failed.pause, inbox.recv()).await {
                Ok(batch) => batch,
                Err(_) => Some(Batch::new()),
            }
        };
        let ending = batch.is_none();
        let mut records = std::mem::take(&mut failed.records);
        records.extend(batch.unwrap_or_default());
        if !records.is_empty() {
            let written = tokio::task::spawn_blocking(move || {
                let result = journal.append(&records);
                (journal, records, result)
            });
            let Ok((back, records, result)) = written.await else {
                // A panic in the blocking part has taken the file with it.
                tracing::error!("journal writer failed, state is no longer kept");
                return;
            };
            journal = back;
            failed.note(result, records, journal.path());
        }
        if ending {
            return;
        }
        tokio::time::sleep(FLUSH_EVERY).await;
    }
}

/// What could not be written yet.
#[derive(Debug)]
struct Failed {
    records: Batch,
    pause: Duration,
}

impl Default for Failed {
    fn default() -> Self {
        Self {
            records: Batch::new(),
            pause: RETRY.0,
        }
    }
}

impl Failed {
    /// Keeps the records of a failed write; says the first failure and the end of failing.
    fn note(&mut self, result: Result<(), StoreError>, records: Batch, path: PathBuf) {
        let was_failing = self.pause > RETRY.0;
        match result {
            Ok(()) => {
                self.pause = RETRY.0;
                if was_failing {
                    tracing::info!(path = %path.display(), "journal can be written again");
                }
            }
            Err(error) => {
                self.records = records;
                self.pause = (self.pause * 2).min(RETRY.1);
                if !was_failing {
                    tracing::error!(
                        %error,
                        "cannot write the journal, trying again; a restart now would forget the newest state"
                    );
                }
            }
        }
    }
}
