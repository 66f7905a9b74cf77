//! What survives a restart: the journal in the state folder, and the lock on that folder (D20).
//!
//! The journal is a file of JSON lines, the first one a heading, each other one a
//! [`Record`]; of equal keys the last one counts. It is appended to and, once it has grown
//! to [`COMPACT_RATIO`] times what it was after the last clean-up, written anew (write,
//! fsync, rename, fsync of the folder), so a crash at any moment leaves either the old or the
//! new file. A cut last line is the trace of a crash or of a full disk and is dropped. Records
//! are not held in memory: the clean-up reads the file again. A journal that somebody deletes,
//! replaces or cuts under us is noticed, said and written anew; where records were lost with
//! it the engine tells all it knows ([`Handed::Lost`]), which then is the whole journal.
//!
//! The loop hands records over without waiting ([`Store::record`]); one task writes them in
//! batches, with one fsync for each, at most [`FLUSH_EVERY`] later. What cannot be written
//! (full disk) stays in memory, newest value for each key, is said once and tried again.
//! Alert calls pass through here too, because they and the records of their services must
//! reach the disk in order ([`order`]).
//!
//! | Question | File |
//! |---|---|
//! | how is the journal read and written as a file | `file` |
//! | how is it said as text | `lines` |
//! | who has the state folder | `lock` |
//! | what may go to the disk or to the outbox next | `order` |
//!
//! Not here: what is worth keeping ([`crate::engine::saved`]), the spool of alerts.

mod file;
mod lines;
mod lock;
mod order;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::task::{JoinError, JoinHandle};

use crate::clock::Clock;
use crate::engine::event::AlertCall;
use crate::engine::saved::{Record, Saved};
use crate::pair::Answers;
use crate::time::Readable;

use file::Journal;
pub use file::StoreError;
pub(crate) use file::read_only;
pub use lock::Lock;
pub(crate) use lock::holder_of;
use order::Order;

/// Time from a record to its fsync, about: short enough to lose nothing a person would miss,
/// long enough that a storm of records costs five fsyncs a second.
const FLUSH_EVERY: Duration = Duration::from_millis(200);

/// The journal is cleaned up when it has grown to this many times its clean size.
const COMPACT_RATIO: u64 = 3;

/// A journal below this size is never worth a clean-up, in bytes.
const COMPACT_MIN: u64 = 256 * 1024;

/// First pause between tries to write after an error; doubled with each further one.
const RETRY_MIN: Duration = Duration::from_secs(1);

/// Longest pause between tries: a disk that has room again is noticed within this time.
const RETRY_MAX: Duration = Duration::from_secs(30);

/// How often the journal is looked at while there is nothing to write: one that was deleted
/// is there again before somebody is likely to restart us.
const LOOK_EVERY: Duration = Duration::from_secs(60);

/// Values as JSON text, by key: as trees, those of 10,000 services that wait for a slow disk
/// would be several times the size.
type Batch = BTreeMap<String, String>;

/// The journal of a running daemon.
#[derive(Debug)]
pub struct Store {
    clock: Clock,
    order: Order,
    /// The next batch is all there is to keep: it replaces what was written.
    is_whole: bool,
    batches: mpsc::Sender<PendingBatch>,
    progress: watch::Receiver<Progress>,
    /// Losses that the loop knows of.
    losses_told: u64,
    writer: JoinHandle<Result<(), String>>,
    /// The writer has ended, and that was said.
    is_over: bool,
}

/// A batch on its way to the writer.
#[derive(Debug, Default)]
struct PendingBatch {
    records: Batch,
    /// It replaces what was written before.
    is_whole: bool,
}

impl PendingBatch {
    /// Adds a later one.
    fn extend(&mut self, later: Self) {
        if later.is_whole {
            *self = later;
        } else {
            self.records.extend(later.records);
        }
    }
}

/// How far the writer is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Progress {
    /// Batches that are on the disk.
    kept: u64,
    /// The last one could not be written.
    is_failing: bool,
    /// How often written records were lost.
    losses: u64,
}

/// Why [`Store::hand_over`] came back.
#[derive(Debug)]
pub enum Handed {
    /// The writer took what waited.
    Batch,
    /// These may leave now: to be given to the outbox, in order.
    Calls(Vec<AlertCall>),
    /// Records are lost that were on the disk. The records that come now are the journal.
    Lost,
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

/// Tells when the records that were taken in until now are on the disk.
#[derive(Debug)]
pub struct Kept {
    progress: watch::Receiver<Progress>,
    /// So many batches are to be there.
    batches: u64,
}

impl Kept {
    /// Waits for it; false where the journal cannot be written, or its writer has ended.
    pub async fn wait(mut self) -> bool {
        loop {
            let progress = *self.progress.borrow_and_update();
            if progress.kept >= self.batches {
                return true;
            }
            if progress.is_failing || self.progress.changed().await.is_err() {
                return false;
            }
        }
    }
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
        // is merged in `order`, which its keys bound.
        let (batches, inbox) = mpsc::channel(1);
        let (said, progress) = watch::channel(Progress::default());
        let writer = tokio::spawn(write_batches(journal, inbox, said));
        Ok(Opened {
            store: Self::new(batches, progress, writer),
            saved,
            remarks,
        })
    }

    fn new(
        batches: mpsc::Sender<PendingBatch>,
        progress: watch::Receiver<Progress>,
        writer: JoinHandle<Result<(), String>>,
    ) -> Self {
        Self {
            clock: Clock::start(),
            order: Order::default(),
            is_whole: false,
            batches,
            progress,
            losses_told: 0,
            writer,
            is_over: false,
        }
    }

    /// Takes a record in; never waits.
    pub fn record(&mut self, record: Record) {
        if !self.is_over {
            self.order.record(record.key, record.value.to_string());
        }
    }

    /// Tells when all records that were taken in are on the disk, but for those that wait for a
    /// call to leave.
    #[must_use]
    pub fn kept(&self) -> Kept {
        Kept {
            progress: self.progress.clone(),
            batches: self.order.batches(),
        }
    }

    /// Takes a call in that is to follow the records of its service; never waits. Answers with
    /// the call where it need not wait: it may leave at once.
    #[must_use]
    pub fn call(&mut self, call: AlertCall) -> Option<AlertCall> {
        if self.is_over {
            return Some(call);
        }
        self.order.call(self.clock.now().mono, call)
    }

    /// From now on the other director has heard of these numbers: calls of others wait a while for
    /// that.
    pub fn answered(&mut self, answers: Answers) {
        self.order.answered(answers);
    }

    /// The outbox had no room for a call that was to leave.
    pub fn refused(&mut self) {
        self.order.refused();
    }

    /// Whether the disk took the last batch.
    #[must_use]
    pub fn is_good(&self) -> bool {
        !self.is_over && !self.progress.borrow().is_failing
    }

    /// How often written records were lost.
    #[must_use]
    pub fn losses(&self) -> u64 {
        self.progress.borrow().losses
    }

    /// Hands what waits to the writer as soon as that is ready for it, and lets calls go as
    /// soon as they may; never ends while there is nothing to do or to say. `taken` is how many
    /// calls the outbox has taken. Cancel safe.
    ///
    /// # Errors
    ///
    /// The writer has ended, which is a defect of lvsmon: said once, nothing is kept from then
    /// on.
    pub async fn hand_over(
        &mut self,
        taken: &mut watch::Receiver<u64>,
    ) -> Result<Handed, StoreError> {
        loop {
            let leaving = if self.is_over {
                self.order.let_go()
            } else {
                let progress = *self.progress.borrow_and_update();
                if progress.losses != self.losses_told {
                    self.losses_told = progress.losses;
                    self.is_whole = true;
                    return Ok(Handed::Lost);
                }
                self.order.kept(progress.kept, progress.is_failing);
                self.order.taken(calls_taken(taken));
                self.order.advance(self.clock.now().mono)
            };
            if !leaving.is_empty() {
                return Ok(Handed::Calls(leaving));
            }
            if self.is_over {
                return std::future::pending().await;
            }
            let has_outbox = taken.has_changed().is_ok();
            let is_alive = tokio::select! { biased;
                changed = self.progress.changed() => changed.is_ok(),
                _ = taken.changed(), if has_outbox => true,
                place = self.batches.reserve(), if self.order.has_batch() => match place {
                    Ok(place) => {
                        place.send(PendingBatch {
                            records: self.order.hand_over(),
                            is_whole: std::mem::take(&mut self.is_whole),
                        });
                        return Ok(Handed::Batch);
                    }
                    Err(_) => false,
                },
                () = self.clock.sleep_until_some(self.order.patience()) => true,
            };
            if !is_alive {
                let why = ended((&mut self.writer).await);
                self.is_over = true;
                return Err(StoreError::WriterEnded(why));
            }
        }
    }

    /// The calls that still wait, at a stop: the outbox is to take them before it closes.
    #[must_use]
    pub fn let_go(&mut self) -> Vec<AlertCall> {
        self.order.let_go()
    }

    /// Writes what is left and closes the file; gives up after `limit`.
    pub async fn close(mut self, limit: Duration) {
        if self.is_over {
            return;
        }
        let rest = async {
            if self.order.has_batch() {
                let pending = PendingBatch {
                    records: self.order.hand_over(),
                    is_whole: self.is_whole,
                };
                let _ = self.batches.send(pending).await;
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
                    limit = %Readable(limit),
                    "journal not written in time, the newest state is lost"
                );
            }
        }
    }
}

/// How many calls the outbox has taken; all of them where there is none any more.
fn calls_taken(taken: &mut watch::Receiver<u64>) -> u64 {
    match taken.has_changed() {
        Ok(_) => *taken.borrow_and_update(),
        Err(_) => u64::MAX,
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
    mut inbox: mpsc::Receiver<PendingBatch>,
    progress: watch::Sender<Progress>,
) -> Result<(), String> {
    let mut work = Work::default();
    loop {
        let is_ending = work.gather(&mut inbox).await;
        let pending = std::mem::take(&mut work.pending);
        if !is_ending || !pending.records.is_empty() {
            let written = tokio::task::spawn_blocking(move || {
                let result = if pending.is_whole {
                    journal.replace(&pending.records)
                } else {
                    journal.append(&pending.records)
                };
                (journal, pending, result)
            });
            let (back, pending, result) = written.await.map_err(|error| error.to_string())?;
            journal = back;
            work.note(result, pending, journal.path());
            let has_lost = say(&mut journal);
            progress.send_if_modified(|progress| work.tell(progress, has_lost));
        }
        if is_ending {
            return Ok(());
        }
        tokio::time::sleep(FLUSH_EVERY).await;
    }
}

/// Says what happened to the journal under us, and answers whether records are lost.
fn say(journal: &mut Journal) -> bool {
    let accidents = journal.take_accidents();
    for what in accidents.said {
        let path = journal.path();
        tracing::error!(
            path = %path.display(),
            what,
            "somebody changed the journal under the running daemon; it is written anew"
        );
    }
    accidents.has_lost
}

/// What the writer is at.
#[derive(Debug, Default)]
struct Work {
    /// Not written yet.
    pending: PendingBatch,
    /// Batches that came, the one at hand included.
    received: u64,
    health: Health,
}

#[derive(Clone, Copy, Debug, Default)]
enum Health {
    #[default]
    Works,
    /// Nothing could be written; the next try is after this pause.
    Fails(Duration),
}

impl Work {
    /// Waits for the next batch or, after a failure, for the time of the next try, and merges
    /// what comes until then. True when no more will come: what is left has its last try.
    async fn gather(&mut self, inbox: &mut mpsc::Receiver<PendingBatch>) -> bool {
        let patience = match self.health {
            Health::Works => LOOK_EVERY,
            Health::Fails(pause) => pause,
        };
        let time_is_up = tokio::time::sleep(patience);
        tokio::pin!(time_is_up);
        loop {
            tokio::select! { biased;
                () = &mut time_is_up => return false,
                came = inbox.recv() => match came {
                    Some(pending) => {
                        self.pending.extend(pending);
                        self.received += 1;
                    }
                    None => return true,
                },
            }
            if matches!(self.health, Health::Works) {
                return false;
            }
        }
    }

    /// Keeps the records of a failed write; says the first failure and the end of failing.
    fn note(&mut self, result: Result<(), StoreError>, pending: PendingBatch, path: PathBuf) {
        match (result, self.health) {
            (Ok(()), Health::Works) => {}
            (Ok(()), Health::Fails(_)) => {
                self.health = Health::Works;
                tracing::info!(path = %path.display(), "journal can be written again");
            }
            (Err(error), health) => {
                self.pending = pending;
                self.health = match health {
                    Health::Works => {
                        tracing::error!(
                            %error,
                            "cannot write the journal, trying again; a restart now would forget the newest state"
                        );
                        Health::Fails(RETRY_MIN)
                    }
                    Health::Fails(pause) => Health::Fails((pause * 2).min(RETRY_MAX)),
                };
            }
        }
    }

    /// Brings what the loop is told up to date; false where that is nothing new.
    fn tell(&self, progress: &mut Progress, has_lost: bool) -> bool {
        let old = *progress;
        progress.is_failing = matches!(self.health, Health::Fails(_));
        if !progress.is_failing {
            progress.kept = self.received;
        }
        progress.losses += u64::from(has_lost);
        *progress != old
    }
}
