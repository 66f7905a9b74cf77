//! Who writes the files that people and mon's tools read: histories, the downtime log, mon's
//! state files?
//!
//! One thread, begun with the first line, which takes all that waits and does one job after the
//! other: a disk that hangs holds up no check. What waits meanwhile stays here and is bounded in
//! number and in bytes; of a file that is replaced as a whole only the newest text waits. What
//! does not fit is lost, which is said once, and how much it was when there is room again. A disk
//! that fails is named once for each file, and once more when it works again. Where the system
//! refuses the thread, what is to be written waits until there is one; nobody waits with it.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;
use std::time::{Duration, SystemTime};

use tokio::sync::mpsc;
use tokio::time::Sleep;

use crate::folder;
use crate::program;
use crate::protocol::known_file::Modified;
use crate::regular_file;

/// Jobs that wait for a slow disk: some minutes of the worst storm.
const JOBS_MAX: usize = 10_000;

/// Bytes of all jobs that wait: the lines of such a storm, or the `opstatus` of 10,000 services
/// with long details. As much may be with the thread. One job alone may be larger.
const BYTES_MAX: usize = 16 * 1024 * 1024;

/// How long after the system refused the thread it is tried again.
const RETRY: Duration = Duration::from_secs(1);

/// What is told to whoever waits for a job while there is no thread.
const NO_THREAD: &str = "the limit of processes leaves no thread for files at present";

/// What is done when a job is done, or why it was not.
pub(super) type Reply = Box<dyn FnOnce(Result<(), String>) + Send>;

/// One thing to write.
pub(super) enum Job {
    /// Add lines to a file, which is opened anew each time: somebody may have rotated it.
    Append {
        /// The file.
        path: PathBuf,
        /// Whole lines.
        text: String,
    },
    /// The same with what later lines are not understood without: where it cannot be written
    /// now, it comes before the next line that can.
    Head {
        /// The file.
        path: PathBuf,
        /// Whole lines.
        text: String,
    },
    /// Put texts in the place of files, each at once: a reader finds the old one or the new one
    /// (E-27).
    Replace {
        /// Files and texts.
        files: Vec<Page>,
        /// Who waits for it.
        replies: Vec<Reply>,
    },
    /// Do something else with files, in its turn.
    Run {
        /// What is done; it answers itself.
        what: Box<dyn FnOnce(Reply) + Send>,
        /// Who waits for it.
        reply: Reply,
    },
}

/// A file that is replaced.
#[derive(Clone, Debug)]
pub(super) struct Page {
    /// Which.
    pub(super) path: PathBuf,
    /// What it says then.
    pub(super) text: String,
    /// Since when it says so, by the file system.
    pub(super) modified: Modified,
}

/// What waits, and the thread.
#[derive(Debug)]
pub(super) struct Scribe {
    begin: fn() -> io::Result<Thread>,
    writer: Writer,
    /// The thread has jobs.
    is_busy: bool,
    waiting: Waiting,
}

impl Default for Scribe {
    fn default() -> Self {
        Self {
            begin,
            writer: Writer::Wanted,
            is_busy: false,
            waiting: Waiting::default(),
        }
    }
}

/// Where the thread is.
#[derive(Debug)]
enum Writer {
    /// Not begun: nobody has given anything since the start, or since one broke.
    Wanted,
    /// The system refused it; the next try is then.
    Refused(Pin<Box<Sleep>>),
    /// It works, or waits for work.
    Begun(Thread),
}

/// The ways to and from the thread.
#[derive(Debug)]
struct Thread {
    batches: SyncSender<VecDeque<Job>>,
    /// What it says when it has no jobs any more. Nobody else can, so that its end is noticed.
    idle: mpsc::Receiver<()>,
}

impl Scribe {
    /// Takes a job over; waits for nothing.
    pub(super) fn give(&mut self, job: Job) {
        self.waiting.push(job);
        self.hand_over();
    }

    /// Waits until the thread has done all that it was given, or broke, or may be had now; never,
    /// while it has nothing. Cancel safe. The caller then says [`Self::go_on`].
    pub(super) async fn idle(&mut self) {
        match &mut self.writer {
            Writer::Wanted => std::future::pending().await,
            Writer::Refused(retry) => retry.as_mut().await,
            Writer::Begun(thread) => {
                if thread.idle.recv().await.is_none() {
                    tracing::error!(
                        "the thread that writes histories and state files broke, with what it \
                         was given; another one is begun; this is a defect of lvsmon"
                    );
                    self.writer = Writer::Wanted;
                }
            }
        }
    }

    /// The thread has nothing to do: it gets what waits.
    pub(super) fn go_on(&mut self) {
        self.is_busy = false;
        self.hand_over();
    }

    fn hand_over(&mut self) {
        if self.is_busy || self.waiting.jobs.is_empty() {
            return;
        }
        let Some(thread) = self.writer.thread(self.begin) else {
            self.waiting.keep_nobody();
            return;
        };
        self.is_busy = true;
        // One that broke is noticed where its next word is waited for.
        let _ = thread.batches.try_send(self.waiting.take());
    }

    /// Waits until all is written.
    pub(super) async fn close(mut self, limit: Duration) {
        let all = async {
            while self.is_busy || !self.waiting.jobs.is_empty() {
                self.idle().await;
                self.go_on();
            }
        };
        if tokio::time::timeout(limit, all).await.is_err() {
            tracing::error!("the last lines of histories were lost, the disk was too slow");
        }
    }
}

impl Writer {
    /// The thread; it is begun where there is none. None where the system refuses it, which is
    /// said once; until it is time for the next try none is made.
    fn thread(&mut self, begin: fn() -> io::Result<Thread>) -> Option<&Thread> {
        let was_refused = match self {
            Self::Begun(_) => false,
            Self::Wanted => {
                self.try_to_begin(begin, false);
                false
            }
            Self::Refused(retry) if retry.is_elapsed() => {
                self.try_to_begin(begin, true);
                true
            }
            Self::Refused(_) => true,
        };
        let Self::Begun(thread) = self else {
            return None;
        };
        if was_refused {
            tracing::info!("histories and state files are written again");
        }
        Some(thread)
    }

    fn try_to_begin(&mut self, begin: fn() -> io::Result<Thread>, was_refused: bool) {
        *self = match begin() {
            Ok(thread) => Self::Begun(thread),
            Err(error) => {
                if !was_refused {
                    let advice = program::shortage(&error);
                    tracing::error!(
                        "cannot begin the thread that writes histories and state files: \
                         {error}{advice}; what is to be written waits, and it is tried again"
                    );
                }
                Self::Refused(Box::pin(tokio::time::sleep(RETRY)))
            }
        };
    }
}

/// Jobs that the thread has not been given yet.
#[derive(Default)]
struct Waiting {
    jobs: VecDeque<Job>,
    bytes: usize,
    /// Somebody waits for one of them.
    is_awaited: bool,
    /// Jobs that were refused since there was room last.
    lost: u64,
}

impl std::fmt::Debug for Waiting {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "{} jobs, {} bytes", self.jobs.len(), self.bytes)
    }
}

impl Waiting {
    fn push(&mut self, job: Job) {
        self.is_awaited |= job.is_awaited();
        let job = self.unite(job);
        let size = job.size();
        let has_room = self.jobs.len() < JOBS_MAX && self.bytes.saturating_add(size) <= BYTES_MAX;
        if has_room || self.jobs.is_empty() {
            self.bytes = self.bytes.saturating_add(size);
            self.jobs.push_back(job);
            return;
        }
        if self.lost == 0 {
            tracing::error!(
                jobs = self.jobs.len(),
                bytes = self.bytes,
                "the disk is too slow, lines of histories and state files are lost"
            );
        }
        self.lost += 1;
        job.refuse();
    }

    /// Takes a waiting job with a file of this one into it: its text is old, and who waits for it
    /// is served by the new one. Not beyond a job that may read the file.
    fn unite(&mut self, job: Job) -> Job {
        let Job::Replace {
            mut files,
            mut replies,
        } = job
        else {
            return job;
        };
        let is_run = |job: &Job| matches!(job, Job::Run { .. });
        let start = self.jobs.iter().rposition(is_run).map_or(0, |run| run + 1);
        let shares = |job: &Job| match job {
            Job::Replace { files: old, .. } => old
                .iter()
                .any(|old| files.iter().any(|new| new.path == old.path)),
            Job::Append { .. } | Job::Head { .. } | Job::Run { .. } => false,
        };
        let found = self.jobs.iter().skip(start).position(shares);
        let found = found.and_then(|place| self.jobs.remove(start + place));
        if let Some(old) = found {
            self.bytes = self.bytes.saturating_sub(old.size());
            if let Job::Replace {
                files: old,
                replies: waiting,
            } = old
            {
                for page in old {
                    if files.iter().all(|new| new.path != page.path) {
                        files.push(page);
                    }
                }
                replies.splice(0..0, waiting);
            }
            return self.unite(Job::Replace { files, replies });
        }
        Job::Replace { files, replies }
    }

    /// There is no thread, perhaps for long: who waits for a job is told so. What only they wanted
    /// is not done; files are written later all the same.
    fn keep_nobody(&mut self) {
        if !std::mem::take(&mut self.is_awaited) {
            return;
        }
        let no_thread = |later: &str| Err(format!("{NO_THREAD}; {later}"));
        for job in std::mem::take(&mut self.jobs) {
            let size = job.size();
            match job {
                Job::Run { reply, .. } => {
                    self.bytes = self.bytes.saturating_sub(size);
                    reply(no_thread("ask again then"));
                }
                Job::Replace { files, replies } => {
                    for reply in replies {
                        reply(no_thread("the file is written then"));
                    }
                    let replies = Vec::new();
                    self.jobs.push_back(Job::Replace { files, replies });
                }
                Job::Append { .. } | Job::Head { .. } => self.jobs.push_back(job),
            }
        }
    }

    /// All of them; from now on there is room.
    fn take(&mut self) -> VecDeque<Job> {
        self.is_awaited = false;
        let lost = std::mem::take(&mut self.lost);
        if lost > 0 {
            tracing::error!(
                lost,
                "the disk writes again; so many lines and files were lost"
            );
        }
        self.bytes = 0;
        std::mem::take(&mut self.jobs)
    }
}

impl Job {
    /// About as many bytes of memory as it takes.
    fn size(&self) -> usize {
        size_of::<Self>()
            + match self {
                Self::Append { path, text } | Self::Head { path, text } => {
                    path.as_os_str().len() + text.len()
                }
                Self::Replace { files, .. } => files
                    .iter()
                    .map(|page| page.path.as_os_str().len() + page.text.len())
                    .sum(),
                Self::Run { .. } => 0,
            }
    }

    fn is_awaited(&self) -> bool {
        match self {
            Self::Replace { replies, .. } => !replies.is_empty(),
            Self::Run { .. } => true,
            Self::Append { .. } | Self::Head { .. } => false,
        }
    }

    fn refuse(self) {
        let why = || Err("the disk is too slow".to_owned());
        match self {
            Self::Replace { replies, .. } => replies.into_iter().for_each(|reply| reply(why())),
            Self::Run { reply, .. } => reply(why()),
            Self::Append { .. } | Self::Head { .. } => {}
        }
    }
}

fn begin() -> io::Result<Thread> {
    let (batches, given) = sync_channel(1);
    let (done, idle) = mpsc::channel(1);
    // Ends with the queue.
    let thread = thread::Builder::new().name("scribe".to_owned());
    thread.spawn(move || work(&given, &done))?;
    Ok(Thread { batches, idle })
}

fn work(batches: &Receiver<VecDeque<Job>>, idle: &mpsc::Sender<()>) {
    let mut desk = Desk::default();
    while let Ok(jobs) = batches.recv() {
        for job in jobs {
            desk.work(job);
        }
        // There is room: it is taken before the next batch comes.
        let _ = idle.try_send(());
    }
}

/// What is remembered of files between jobs.
#[derive(Debug, Default)]
struct Desk {
    /// Those that could not be written at last.
    failing: BTreeSet<PathBuf>,
    /// What is to come before the next line of a file.
    heads: BTreeMap<PathBuf, String>,
}

impl Desk {
    fn work(&mut self, job: Job) {
        match job {
            Job::Append { path, text } => self.append(&path, text),
            Job::Head { path, text } => {
                self.heads.insert(path.clone(), text);
                self.append(&path, String::new());
            }
            Job::Replace { files, replies } => {
                let mut outcome = Ok(());
                for page in files {
                    let result = replace(&page);
                    self.say(&page.path, result.as_ref().err());
                    let shown = page.path.display();
                    outcome = outcome.and(result.map_err(|error| format!("{shown}: {error}")));
                }
                for reply in replies {
                    reply(outcome.clone());
                }
            }
            Job::Run { what, reply } => what(reply),
        }
    }

    fn append(&mut self, path: &Path, mut text: String) {
        if let Some(head) = self.heads.get(path) {
            text.insert_str(0, head);
        }
        let result = append(path, &text);
        if result.is_ok() {
            self.heads.remove(path);
        }
        self.say(path, result.as_ref().err());
    }

    fn say(&mut self, path: &Path, error: Option<&io::Error>) {
        let shown = path.display();
        match error {
            Some(error) => {
                if self.failing.insert(path.to_owned()) {
                    tracing::error!(path = %shown, %error, "cannot write a file");
                }
            }
            None => {
                if self.failing.remove(path) {
                    tracing::info!(path = %shown, "a file can be written again");
                }
            }
        }
    }
}

/// Adds all of it or nothing: half a line would spoil the next one. One that is there already,
/// where the system stopped in the midst of it, gets its end.
fn append(path: &Path, text: &str) -> io::Result<()> {
    let ended = match ends_within_line(path) {
        true => format!("\n{text}"),
        false => text.to_owned(),
    };
    let mut file = regular_file::open_to_append(path)?;
    let before = file.metadata()?.len();
    let result = file.write_all(ended.as_bytes());
    if result.is_err() {
        let _ = file.set_len(before);
    }
    result
}

/// Whether the last byte of a file is known and ends no line.
fn ends_within_line(path: &Path) -> bool {
    let last = || {
        // Not a pipe: whoever reads from it takes a line away.
        let mut file = regular_file::open(path)?;
        file.seek(SeekFrom::End(-1))?;
        let mut last = [0];
        file.read_exact(&mut last).map(|()| last)
    };
    last().is_ok_and(|last: [u8; 1]| last != *b"\n")
}

/// None where the system has no such time.
fn time(modified: Modified) -> Option<SystemTime> {
    let seconds = Duration::from_secs(u64::try_from(modified.0).ok()?);
    let rest = Duration::from_nanos(u64::try_from(modified.1).ok()?);
    SystemTime::UNIX_EPOCH
        .checked_add(seconds)?
        .checked_add(rest)
}

fn replace(page: &Page) -> io::Result<()> {
    let path = &page.path;
    let mut new = path.as_os_str().to_owned();
    new.push(".new");
    let new = PathBuf::from(new);
    let mut file = File::create(&new)?;
    file.write_all(page.text.as_bytes())?;
    if let Some(time) = time(page.modified) {
        // Where it has no times to set, the file is somebody else's at the next start, which says
        // what it takes from it.
        let _ = file.set_modified(time);
    }
    file.sync_all()?;
    std::fs::rename(&new, path)?;
    path.parent().map_or(Ok(()), folder::sync)
}

#[cfg(test)]
mod tests;
