//! What survives a restart: the journal in the state folder, and the lock on that folder (D20).
//!
//! The journal is a file of JSON lines, the first one a heading, each other one a
//! [`Record`]; of equal keys the last one counts. It is appended to and, once it has grown
//! to [`COMPACT_RATIO`] times what it was after the last clean-up, written anew (write,
//! fsync, rename, fsync of the folder), so a crash at any moment leaves either the old or the
//! new file. A cut last line is the trace of a crash or of a full disk and is dropped. Records
//! are not held in memory: the clean-up reads the file again. A journal that somebody deletes,
//! replaces or cuts under us is noticed, said and written anew; what is lost with it the
//! engine tells again ([`Handed::TellAll`]).
//!
//! The loop hands records over without waiting ([`Store::record`]); one task writes them in
//! batches, with one fsync for each, at most [`FLUSH_EVERY`] later. What cannot be written
//! (full disk) stays in memory, newest value for each key, is said once and tried again.
//!
//! Not here: what is worth keeping ([`crate::engine::saved`]), the spool of alerts.

mod file;
mod lines;
mod lock;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::task::{JoinError, JoinHandle};

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

/// How often the journal is looked at while there is nothing to write: one that was deleted
/// is there again before somebody is likely to restart us.
const LOOK_EVERY: Duration = Duration::from_secs(60);

/// Values as JSON text, by key: as trees, those of 10,000 services that wait for a slow disk
/// would be several times the size.
type Batch = BTreeMap<String, String>;

/// The journal of a running daemon.
#[derive(Debug)]
pub struct Store {
    waiting: Batch,
    batches: mpsc::Sender<Batch>,
    progress: watch::Receiver<Progress>,
    /// Losses that the loop knows of.
    losses_told: u64,
    writer: JoinHandle<Result<(), String>>,
    /// The writer has ended, and that was said.
    is_over: bool,
}

/// How far the writer is.
#[derive(Clone, Copy, Debug, Default)]
struct Progress {
    /// How often written records were lost.
    losses: u64,
}

/// Why [`Store::hand_over`] came back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Handed {
    /// The writer took what waited.
    Batch,
    /// Records are lost that were on the disk: all of them are wanted again.
    TellAll,
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
        let (said, progress) = watch::channel(Progress::default());
        let store = Self {
            waiting: Batch::new(),
            batches,
            progress,
            losses_told: 0,
            writer: tokio::spawn(write_batches(journal, inbox, said)),
            is_over: false,
        };
        Ok(Opened {
            store,
            saved,
            remarks,
        })
    }

    /// Takes a record in; never waits.
    pub fn record(&mut self, record: Record) {
        if !self.is_over {
            self.waiting.insert(record.key, record.value.to_string());
        }
    }

    /// Hands what waits to the writer as soon as that is ready for it; never ends while there
    /// is nothing to do or to say. Cancel safe.
    ///
    /// # Errors
    ///
    /// The writer has ended, which is a defect of lvsmon: said once, nothing is kept from then
    /// on.
    pub async fn hand_over(&mut self) -> Result<Handed, StoreError> {
        if self.is_over {
            return std::future::pending().await;
        }
        loop {
            let losses = self.progress.borrow_and_update().losses;
            if losses != self.losses_told {
                self.losses_told = losses;
                return Ok(Handed::TellAll);
            }
            let is_alive = tokio::select! { biased;
                changed = self.progress.changed() => changed.is_ok(),
                place = self.batches.reserve(), if !self.waiting.is_empty() => match place {
                    Ok(place) => {
                        place.send(std::mem::take(&mut self.waiting));
                        return Ok(Handed::Batch);
                    }
                    Err(_) => false,
                },
            };
            if !is_alive {
                let why = ended((&mut self.writer).await);
                self.is_over = true;
                self.waiting.clear();
                return Err(StoreError::WriterEnded(why));
            }
        }
    }

    /// Writes what is left and closes the file; gives up after `limit`.
    pub async fn close(mut self, limit: Duration) {
        if self.is_over {
            return;
        }
        let rest = async {
            if !self.waiting.is_empty() {
                let _ = self.batches.send(self.waiting).await;
            }
            drop(self.batches);
            (&mut self.writer).await
        };
        match tokio::time::timeout(limit, rest).await {
            Ok(Ok(Ok(()))) => {}
            Ok(failed) => {
                let error = StoreError::WriterEnded(ended(failed));
                tracing::error!(%error, "journal not written, the newest state is lost");
            }
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

/// Why the writer ended before us.
fn ended(end: Result<Result<(), String>, JoinError>) -> String {
    match end {
        Ok(Ok(())) => "nobody told it to".to_owned(),
        Ok(Err(why)) => why,
        Err(error) => error.to_string(),
    }
}

/// The writer: batch by batch, with a pause so that a storm shares its fsyncs.
///
/// # Errors
///
/// A panic in the blocking part, which has taken the file with it.
async fn write_batches(
    mut journal: Journal,
    mut inbox: mpsc::Receiver<Batch>,
    progress: watch::Sender<Progress>,
) -> Result<(), String> {
    let mut failed = Failed::default();
    loop {
        let patience = if failed.records.is_empty() {
            LOOK_EVERY
        } else {
            failed.pause
        };
        // The sender being gone ends the pause: it is the last try.
        let batch = match tokio::time::timeout(patience, inbox.recv()).await {
            Ok(batch) => batch,
            Err(_) => Some(Batch::new()),
        };
        let is_ending = batch.is_none();
        let mut records = std::mem::take(&mut failed.records);
        records.extend(batch.unwrap_or_default());
        if !is_ending || !records.is_empty() {
            let written = tokio::task::spawn_blocking(move || {
                let result = journal.append(&records);
                (journal, records, result)
            });
            let (back, records, result) = written.await.map_err(|error| error.to_string())?;
            journal = back;
            failed.note(result, records, journal.path());
            say(&mut journal, &progress);
        }
        if is_ending {
            return Ok(());
        }
        tokio::time::sleep(FLUSH_EVERY).await;
    }
}

/// Says what happened to the journal under us.
fn say(journal: &mut Journal, progress: &watch::Sender<Progress>) {
    let accidents = journal.take_accidents();
    for what in accidents.said {
        let path = journal.path();
        tracing::error!(
            path = %path.display(),
            what,
            "somebody changed the journal under the running daemon; it is written anew"
        );
    }
    if accidents.has_lost {
        progress.send_modify(|progress| progress.losses += 1);
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
