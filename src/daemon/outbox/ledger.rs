//! How does the memory of what was told outlive a restart?
//!
//! One file in the spool's folder, to which lines are added before the files of delivered messages
//! are deleted; what they say is in [`crate::pair::ledger`]. It is written anew, with what still
//! counts, when it has doubled. Everything here blocks, as in the spool.

use std::fs::{self, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use crate::daemon::outbox::spool::in_the_way;
use crate::folder;
use crate::pair::ledger::{Entry, Line, Page};
use crate::pair::talk::delivered::DELIVERED_MAX;
use crate::regular_file;
use crate::time::Wall;

/// Its name: no number, as those of messages.
const NAME: &str = "delivered";

/// While it is written; the spool deletes it at a start.
const TEMPORARY: &str = "delivered.tmp";

/// Lines beyond which it is written anew: twice what counts, so that each line is written twice on
/// the average.
const LINES_MAX: usize = 2 * DELIVERED_MAX;

/// Of a larger file the end is read: [`LINES_MAX`] lines of 800 bytes, four times the usual.
const BYTES_MAX: u64 = 16 * 1024 * 1024;

/// The file.
#[derive(Clone, Debug)]
pub(super) struct Ledger {
    folder: PathBuf,
    /// Lines in it, whatever they say.
    lines: usize,
    /// Lines beyond which the next clean-up is.
    lines_most: usize,
    is_torn: bool,
}

/// What became of the clean-up behind lines that were added.
#[derive(Debug)]
pub(super) enum CleanUp {
    /// It was not due.
    Rests,
    /// What still counts is left.
    Done,
    /// All is as it was, and every line is there; the next try is when it has doubled.
    Failed(io::Error),
}

impl Ledger {
    /// The one in this folder, of which nothing is known yet.
    pub(super) fn new(folder: &Path) -> Self {
        Self {
            folder: folder.to_owned(),
            lines: 0,
            lines_most: LINES_MAX,
            is_torn: true,
        }
    }

    /// Reads it: what still counts, and how many lines say nothing. Afterwards they are gone.
    ///
    /// # Errors
    ///
    /// The system cannot read it.
    pub(super) fn load(&mut self, now: Wall) -> io::Result<Page> {
        let bytes = self.read()?;
        let page = Page::of(&bytes, now);
        self.lines = bytes.iter().filter(|byte| **byte == b'\n').count();
        self.is_torn = bytes.last().is_some_and(|byte| *byte != b'\n');
        if page.passed_over > 0 || self.is_torn || self.lines > LINES_MAX {
            // A disk that is full: as it is, it can be read as well.
            let _ = self.write(&page);
        }
        Ok(page)
    }

    /// Adds lines, so that they survive a crash.
    ///
    /// # Errors
    ///
    /// The disk does not take them. Some of them may be there.
    pub(super) fn add(&mut self, now: Wall, entries: &[Entry]) -> io::Result<CleanUp> {
        let mut text = String::new();
        if self.is_torn {
            text.push('\n'); // Behind half a line.
        }
        for entry in entries {
            let entry = entry.clone();
            text.push_str(&Line { at: now, entry }.text());
        }
        self.is_torn = true;
        self.append(text.as_bytes())?;
        self.is_torn = false;
        self.lines += entries.len();
        if self.lines <= self.lines_most {
            return Ok(CleanUp::Rests);
        }
        Ok(match self.clean_up(now) {
            Ok(()) => {
                self.lines_most = LINES_MAX;
                CleanUp::Done
            }
            Err(error) => {
                self.lines_most = self.lines.saturating_mul(2);
                CleanUp::Failed(error)
            }
        })
    }

    fn clean_up(&mut self, now: Wall) -> io::Result<()> {
        let page = Page::of(&self.read()?, now);
        self.write(&page)
    }

    fn read(&self) -> io::Result<Vec<u8>> {
        let mut file = match regular_file::open(&self.folder.join(NAME)) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(named(&error)),
        };
        let excess = file.metadata()?.len().saturating_sub(BYTES_MAX);
        file.seek(SeekFrom::Start(excess))?;
        let mut bytes = Vec::new();
        file.take(BYTES_MAX).read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    fn append(&self, bytes: &[u8]) -> io::Result<()> {
        let path = self.folder.join(NAME);
        let open = |is_new| {
            let mut options = OpenOptions::new();
            options.append(true).create_new(is_new).mode(0o600);
            regular_file::open_as(&path, &mut options)
        };
        let mut is_new = false;
        let opened = open(false).or_else(|error| {
            if error.kind() != io::ErrorKind::NotFound {
                return Err(error);
            }
            // The folder may have been removed under the running daemon.
            folder::make(&self.folder)?;
            is_new = true;
            open(true)
        });
        let mut file = opened.map_err(|error| named(&error))?;
        file.write_all(bytes)?;
        file.sync_data()?;
        if is_new {
            folder::sync(&self.folder)?;
        }
        Ok(())
    }

    /// Writes it anew.
    fn write(&mut self, page: &Page) -> io::Result<()> {
        let temporary = self.folder.join(TEMPORARY);
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(true).mode(0o600);
        let opened = regular_file::open_as(&temporary, &mut options);
        let opened = opened.map_err(|error| in_the_way(Path::new(TEMPORARY), error));
        let written = opened.and_then(|mut file| {
            file.write_all(page.text().as_bytes())?;
            file.sync_all()
        });
        let done = written.and_then(|()| fs::rename(&temporary, self.folder.join(NAME)));
        if done.is_err() {
            let _ = fs::remove_file(&temporary);
        }
        done?;
        (self.lines, self.is_torn) = (page.lines.len(), false);
        folder::sync(&self.folder)
    }
}

/// In the log the folder is named: what is wrong is one file there.
fn named(error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{NAME}: {error}"))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;
    use crate::pair::talk::Delivery;

    const NOW: Wall = Wall::from_micros(1_710_316_800_000_000);

    fn entry(number: usize) -> Entry {
        Entry::Delivered(Delivery {
            event: format!("g/s/{number}/up/1").into(),
            to: "ops@x".into(),
        })
    }

    fn entries(page: Page) -> Vec<Entry> {
        page.lines.into_iter().map(|line| line.entry).collect()
    }

    fn loaded(folder: &Path) -> (Ledger, Vec<Entry>) {
        let mut ledger = Ledger::new(folder);
        let page = ledger.load(NOW).unwrap();
        (ledger, entries(page))
    }

    #[test]
    fn what_was_added_is_there_after_a_restart_and_nobody_else_may_read_it() {
        let top = tempfile::tempdir().unwrap();
        let folder = top.path().join("state/spool");
        let (mut ledger, nothing) = loaded(&folder);
        assert_eq!(nothing, []);
        ledger.add(NOW, &[entry(1), entry(2)]).unwrap();
        ledger.add(NOW, &[entry(3)]).unwrap();
        assert_eq!(loaded(&folder).1, [entry(1), entry(2), entry(3)]);
        let mode = fs::metadata(folder.join(NAME))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn half_a_line_costs_itself_alone_and_is_gone_after_a_start() {
        let folder = tempfile::tempdir().unwrap();
        let (mut ledger, _) = loaded(folder.path());
        ledger.add(NOW, &[entry(1), entry(2)]).unwrap();
        let path = folder.path().join(NAME);
        let bytes = fs::read(&path).unwrap();
        fs::write(&path, &bytes[..bytes.len() - 9]).unwrap();
        // Where it could not be read at the start.
        let mut blind = Ledger::new(folder.path());
        blind.add(NOW, &[entry(3)]).unwrap();
        let page = ledger.load(NOW).unwrap();
        assert_eq!(page.passed_over, 1);
        assert_eq!(entries(page), [entry(1), entry(3)]);
        assert_eq!(ledger.load(NOW).unwrap().passed_over, 0);
        // A disk that took half of it.
        let bytes = fs::read(&path).unwrap();
        fs::write(&path, &bytes[..bytes.len() - 9]).unwrap();
        let (mut ledger, left) = loaded(folder.path());
        assert_eq!(left, [entry(1)]);
        ledger.add(NOW, &[entry(4)]).unwrap();
        assert_eq!(loaded(folder.path()).1, [entry(1), entry(4)]);
    }

    #[test]
    fn it_is_written_anew_when_it_has_doubled() {
        let folder = tempfile::tempdir().unwrap();
        let (mut ledger, _) = loaded(folder.path());
        let all: Vec<Entry> = (0..=LINES_MAX).map(entry).collect();
        ledger.add(NOW, &all[..LINES_MAX]).unwrap();
        assert_eq!(ledger.lines, LINES_MAX);
        ledger.add(NOW, &all[LINES_MAX..]).unwrap();
        assert_eq!(ledger.lines, DELIVERED_MAX);
        let left = loaded(folder.path()).1;
        assert_eq!(left, all[all.len() - DELIVERED_MAX..]);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_clean_up_that_fails_repeats_no_line_and_is_tried_when_it_has_doubled_again() {
        let folder = tempfile::tempdir().unwrap();
        let (mut ledger, _) = loaded(folder.path());
        let all: Vec<Entry> = (0..=2 * LINES_MAX).map(entry).collect();
        ledger.add(NOW, &all[..LINES_MAX]).unwrap();
        let in_the_way = folder.path().join(TEMPORARY);
        fs::create_dir(&in_the_way).unwrap();
        let added = ledger.add(NOW, &all[LINES_MAX..=LINES_MAX]);
        assert!(matches!(added, Ok(CleanUp::Failed(_))), "{added:?}");
        assert_eq!(ledger.lines, LINES_MAX + 1);
        fs::remove_dir(&in_the_way).unwrap();
        let rest = &all[LINES_MAX + 1..];
        ledger.add(NOW, &rest[..1]).unwrap();
        assert_eq!(ledger.lines, LINES_MAX + 2, "not at each line");
        ledger.add(NOW, &rest[1..]).unwrap();
        ledger.add(NOW, &[entry(0), entry(1)]).unwrap();
        assert_eq!(ledger.lines, DELIVERED_MAX);
        let left = loaded(folder.path()).1;
        assert_eq!(
            left[..DELIVERED_MAX - 2],
            all[all.len() + 2 - DELIVERED_MAX..]
        );
        assert_eq!(left[DELIVERED_MAX - 2..], [entry(0), entry(1)]);
    }

    #[test]
    fn a_pipe_in_the_way_of_a_clean_up_is_named_and_nobody_waits_for_it() {
        let folder = tempfile::tempdir().unwrap();
        let (mut ledger, _) = loaded(folder.path());
        let all: Vec<Entry> = (0..=LINES_MAX).map(entry).collect();
        ledger.add(NOW, &all[..LINES_MAX]).unwrap();
        let pipe = folder.path().join(TEMPORARY);
        nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::S_IRWXU).unwrap();
        let Ok(CleanUp::Failed(error)) = ledger.add(NOW, &all[LINES_MAX..]) else {
            panic!("it was written into a pipe")
        };
        assert_eq!(
            error.to_string(),
            "delivered.tmp: it is a pipe (FIFO), not a regular file; it is removed"
        );
        ledger.load(NOW).unwrap();
        assert_eq!(ledger.lines, DELIVERED_MAX, "it is out of the way");
    }

    #[test]
    fn a_disk_that_takes_nothing_is_said_and_used_again() {
        let top = tempfile::tempdir().unwrap();
        let folder = top.path().join("spool");
        fs::write(&folder, "in the way").unwrap();
        let mut ledger = Ledger::new(&folder);
        assert!(ledger.load(NOW).is_err());
        assert!(ledger.add(NOW, &[entry(1)]).is_err());
        fs::remove_file(&folder).unwrap();
        ledger.add(NOW, &[entry(1)]).unwrap();
        assert_eq!(loaded(&folder).1, [entry(1)]);
    }

    /// A pipe would hold up who opens it for ever, and all mail behind that.
    #[test]
    fn what_is_no_file_is_named_and_nobody_waits_for_it() {
        let folder = tempfile::tempdir().unwrap();
        let mut ledger = Ledger::new(folder.path());
        let said = |ledger: &mut Ledger| {
            let loaded = ledger.load(NOW).unwrap_err().to_string();
            assert_eq!(
                ledger.add(NOW, &[entry(1)]).unwrap_err().to_string(),
                loaded
            );
            loaded
        };
        let path = folder.path().join(NAME);
        nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRWXU).unwrap();
        let pipe = "delivered: it is a pipe (FIFO), not a regular file";
        assert_eq!(said(&mut ledger), pipe);
        fs::remove_file(&path).unwrap();
        let _socket = std::os::unix::net::UnixListener::bind(&path).unwrap();
        let socket = "delivered: it is a socket, not a regular file";
        assert_eq!(said(&mut ledger), socket);
        fs::remove_file(&path).unwrap();
        std::os::unix::fs::symlink("/dev/null", &path).unwrap();
        let device = "delivered: it is a device, not a regular file";
        assert_eq!(said(&mut ledger), device);
        fs::remove_file(&path).unwrap();
        fs::create_dir(&path).unwrap();
        assert_eq!(said(&mut ledger), "delivered: it is a folder");
        fs::remove_dir(&path).unwrap();
        ledger.add(NOW, &[entry(1)]).unwrap();
        assert_eq!(loaded(folder.path()).1, [entry(1)]);
    }
}
