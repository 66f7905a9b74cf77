//! Who writes the files that people and mon's tools read: histories, the downtime log, mon's
//! state files?
//!
//! One thread, begun with the first line, which takes one job after the other from a bounded
//! queue: a disk that hangs holds up no check. What does not fit is lost and counted; a disk that
//! fails is named once for each file, and once more when it works again.

use std::collections::BTreeSet;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread;
use std::time::Duration;

use tokio::sync::oneshot;

use crate::folder;

/// Jobs that wait for a slow disk: some minutes of the worst storm, a few MB.
const JOBS_MAX: usize = 10_000;

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
    /// Put texts in the place of files, each at once: a reader finds the old one or the new one
    /// (E-27).
    Replace {
        /// Files and texts.
        files: Vec<(PathBuf, String)>,
        /// Who waits for it.
        reply: Option<Reply>,
    },
    /// Do something else with files, in its turn.
    Run {
        /// What is done; it answers itself.
        what: Box<dyn FnOnce(Reply) + Send>,
        /// Who waits for it.
        reply: Reply,
    },
    /// The end.
    End(oneshot::Sender<()>),
}

/// The way to the thread.
#[derive(Debug, Default)]
pub(super) struct Scribe {
    queue: Option<SyncSender<Job>>,
    lost: u64,
}

impl Scribe {
    /// Hands a job over; waits for nothing.
    pub(super) fn give(&mut self, job: Job) {
        let queue = self.queue.get_or_insert_with(begin);
        match queue.try_send(job) {
            Ok(()) => {
                let lost = std::mem::take(&mut self.lost);
                if lost > 0 {
                    tracing::error!(lost, "lines of histories were lost, the disk was too slow");
                }
            }
            Err(TrySendError::Full(job) | TrySendError::Disconnected(job)) => {
                self.lost += 1;
                job.refuse();
            }
        }
    }

    /// Waits until all is written.
    pub(super) async fn close(self, limit: Duration) {
        let Some(queue) = self.queue else { return };
        let (done, end) = oneshot::channel();
        if queue.try_send(Job::End(done)).is_err()
            || tokio::time::timeout(limit, end).await.is_err()
        {
            tracing::error!("the last lines of histories were lost, the disk was too slow");
        }
    }
}

impl Job {
    fn refuse(self) {
        match self {
            Self::Replace {
                reply: Some(reply), ..
            }
            | Self::Run { reply, .. } => reply(Err("the disk is too slow".to_owned())),
            Self::Replace { reply: None, .. } | Self::Append { .. } | Self::End(_) => {}
        }
    }
}

fn begin() -> SyncSender<Job> {
    let (queue, jobs) = sync_channel(JOBS_MAX);
    // Ends with the queue.
    thread::spawn(move || work(&jobs));
    queue
}

fn work(jobs: &Receiver<Job>) {
    let mut desk = Desk::default();
    while let Ok(job) = jobs.recv() {
        match job {
            Job::Append { path, text } => {
                let result = append(&path, &text);
                desk.say(&path, result.as_ref().err());
            }
            Job::Replace { files, reply } => {
                let mut outcome = Ok(());
                for (path, text) in files {
                    let result = replace(&path, &text);
                    desk.say(&path, result.as_ref().err());
                    outcome =
                        outcome.and(result.map_err(|error| format!("{}: {error}", path.display())));
                }
                if let Some(reply) = reply {
                    reply(outcome);
                }
            }
            Job::Run { what, reply } => what(reply),
            Job::End(done) => {
                let _ = done.send(());
                return;
            }
        }
    }
}

/// Which files could not be written at last.
#[derive(Debug, Default)]
struct Desk {
    failing: BTreeSet<PathBuf>,
}

impl Desk {
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

fn append(path: &Path, text: &str) -> io::Result<()> {
    let mut file = OpenOptions::new().append(true).create(true).open(path)?;
    file.write_all(text.as_bytes())
}

fn replace(path: &Path, text: &str) -> io::Result<()> {
    let mut new = path.as_os_str().to_owned();
    new.push(".new");
    let new = PathBuf::from(new);
    let mut file = File::create(&new)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    std::fs::rename(&new, path)?;
    path.parent().map_or(Ok(()), folder::sync)
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;

    use super::*;

    const SOON: Duration = Duration::from_secs(20);

    fn close(scribe: Scribe) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build();
        runtime.unwrap().block_on(scribe.close(SOON));
    }

    #[test]
    fn work_that_does_not_fit_is_answered() {
        let (queue, _jobs) = sync_channel(1);
        let mut scribe = Scribe {
            queue: Some(queue),
            lost: 0,
        };
        let (said, outcomes) = channel();
        for number in 0..2 {
            let said = said.clone();
            scribe.give(Job::Run {
                what: Box::new(|reply| reply(Ok(()))),
                reply: Box::new(move |outcome| said.send((number, outcome)).unwrap()),
            });
        }
        let (number, outcome) = outcomes.recv_timeout(SOON).unwrap();
        assert_eq!(number, 1);
        assert!(outcome.unwrap_err().contains("too slow"));
    }

    #[test]
    fn jobs_are_done_in_order_before_the_end() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        let mut scribe = Scribe::default();
        for number in 0..100 {
            let text = format!("{number}\n");
            let path = path.clone();
            scribe.give(Job::Append { path, text });
        }
        close(scribe);
        let written = std::fs::read_to_string(&path).unwrap();
        let expected: String = (0..100).map(|number| format!("{number}\n")).collect();
        assert_eq!(written, expected);
    }

    #[test]
    fn a_file_is_replaced_as_a_whole_and_whoever_waits_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("disabled");
        std::fs::write(&path, "old").unwrap();
        let (told, outcomes) = channel();
        let mut scribe = Scribe::default();
        let mut replace = |files: Vec<(PathBuf, String)>| {
            let told = told.clone();
            let reply: Reply = Box::new(move |outcome| told.send(outcome).unwrap());
            scribe.give(Job::Replace {
                files,
                reply: Some(reply),
            });
            outcomes.recv_timeout(SOON).unwrap()
        };
        assert_eq!(replace(vec![(path.clone(), "new".to_owned())]), Ok(()));
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "new");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
        let gone = folder.path().join("gone/opstatus");
        let outcome = replace(vec![(gone, String::new()), (path, String::new())]);
        assert!(outcome.unwrap_err().contains("gone/opstatus"));
    }

    #[test]
    fn a_disk_that_fails_is_named_once_until_it_works_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("gone/log");
        let mut desk = Desk::default();
        for _ in 0..3 {
            let error = append(&path, "x\n").unwrap_err();
            desk.say(&path, Some(&error));
            assert_eq!(desk.failing.len(), 1);
        }
        std::fs::create_dir(folder.path().join("gone")).unwrap();
        append(&path, "x\n").unwrap();
        desk.say(&path, None);
        assert!(desk.failing.is_empty());
    }
}
