//! The journal as a file. Blocking; decides nothing about state.
//!
//! The file stays open from the start on. Before each write it is compared with what stands
//! under its name: a journal that was deleted, replaced or cut under the running daemon is
//! noticed, said, and begun again, with all that its open file still holds.
//!
//! *Begun again* means: a new file is written whole and synced, what stands under the name is
//! given another one where that is worth keeping, the new file is renamed over it and the
//! folder is synced. So a kill between any two steps leaves a journal that holds everything
//! that was acknowledged. The same way leads from a damaged or missing journal to a good one,
//! and on from a write whose result is not known (a failed sync).

use std::fs::{self, File, Metadata, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use crate::engine::saved::Saved;
use crate::folder;
use crate::regular_file::{self, NotRegular};

use super::lines::{self, Found, HEADING, Reading, Survey};
use super::lock::make_folder;
use super::{Batch, COMPACT_MIN, COMPACT_RATIO};

/// Files that may be set aside beside one journal: more are no accidents, but a program that
/// should be stopped.
const ASIDE_MAX: u32 = 999;

/// Why state cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Another process holds the lock.
    #[error(
        "another lvsmon{who} already uses the state folder {folder}; stop it, or give this one \
         its own \"statedir\""
    )]
    Locked {
        /// The state folder.
        folder: PathBuf,
        /// ` (process 123)`, or nothing where it is not known.
        who: String,
    },
    /// A file operation failed.
    #[error("cannot {doing} {path}: {error}{}", advice(error, *owner))]
    File {
        /// `read`, `write`, ...
        doing: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system said.
        error: io::Error,
        /// The user whose file it is, where it is another one's than ours.
        owner: Option<u32>,
    },
    /// The writer of the journal ended before us, which is a defect of lvsmon.
    #[error("the writer of the journal ended: {0}; nothing is kept any more, restart lvsmon")]
    WriterEnded(String),
}

/// What a person may do about it.
fn advice(error: &io::Error, owner: Option<u32>) -> String {
    if NotRegular::in_error(error).is_some() {
        "; remove it, or set \"statedir\" to another folder".to_owned()
    } else if error.kind() == io::ErrorKind::ReadOnlyFilesystem {
        "; the file system is read-only: mount it with rw, or set \"statedir\" to a folder that can \
         be written"
            .to_owned()
    } else if error.kind() != io::ErrorKind::PermissionDenied {
        String::new()
    } else if let Some(owner) = owner {
        format!(
            "; it belongs to user {owner}, of an lvsmon that ran as that one: run lvsmon as that \
             user, give the state folder to this one (chown -R), or set \"statedir\" to another folder"
        )
    } else {
        "; run lvsmon as the owner of the state folder, or set \"statedir\" to a folder of this user"
            .to_owned()
    }
}

/// The user whose file this is; none where it is ours or cannot be told.
fn other_owner(path: &Path) -> Option<u32> {
    let owner = std::fs::metadata(path).ok()?.uid();
    (owner != nix::unistd::geteuid().as_raw()).then_some(owner)
}

impl StoreError {
    pub(super) fn file(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |error| Self::File {
            doing,
            path: path.to_owned(),
            owner: other_owner(path),
            error,
        }
    }
}

/// An open journal.
#[derive(Debug)]
pub(super) struct Journal {
    path: PathBuf,
    /// None as long as there was never one.
    file: Option<File>,
    /// Bytes of whole lines; what stands behind them is the rest of a failed write.
    length: u64,
    /// Length after the last clean-up.
    clean_length: u64,
    /// Lines that are known to be no records.
    bad_lines: usize,
    /// It has to be written anew before anything else is written.
    again: Option<Again>,
    accidents: Accidents,
}

/// Why a journal is begun again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Again {
    /// Nothing under its name is worth keeping.
    Plain,
    /// What stands under its name is set aside first.
    SetAside,
}

/// What happened to a journal under the running daemon.
#[derive(Debug, Default)]
pub(super) struct Accidents {
    /// For the log, each said once.
    pub(super) said: Vec<String>,
    /// Records are lost that had been written: all is to be told again.
    pub(super) has_lost: bool,
}

impl Journal {
    /// Reads a journal, mends it where it is cut or damaged, and keeps it open. The strings are
    /// remarks for the log.
    pub(super) fn open(path: &Path) -> Result<(Self, Saved, Vec<String>), StoreError> {
        let mut remarks = Vec::new();
        let (file, is_writable) = open_file(path).map_err(StoreError::file("read", path))?;
        let found = match &file {
            Some(file) => lines::read(file).map_err(StoreError::file("read", path))?,
            None => Reading::nothing(),
        };
        // Left behind by a kill; a folder of that name is said when it is in the way.
        let _ = fs::remove_file(path.with_extension("new"));
        let (again, bad_lines) = match found.state {
            Found::Foreign => (Some(Again::SetAside), 0),
            Found::Damaged { lines } => (Some(Again::SetAside), lines),
            Found::None | Found::Headless => (Some(Again::Plain), 0),
            Found::Whole | Found::Cut if !is_writable => (Some(Again::Plain), 0),
            Found::Whole | Found::Cut => (None, 0),
        };
        let mut journal = Self {
            path: path.to_owned(),
            file,
            length: found.length,
            clean_length: found.length,
            bad_lines,
            again,
            accidents: Accidents::default(),
        };
        remarks.extend(journal.mend(&found));
        let saved = Saved {
            records: found.records,
        };
        Ok((journal, saved, remarks))
    }

    /// Writes a journal anew where its reading asks for it; what is to be said of that.
    fn mend(&mut self, found: &Reading) -> Vec<String> {
        let path = self.path.display().to_string();
        let what = match found.state {
            Found::None => return Vec::new(),
            Found::Whole if !needs_clean_up(found.length, found.live) => return Vec::new(),
            Found::Whole => None,
            Found::Headless => Some(format!(
                "{path} is empty or ends within its first line, and lvsmon leaves none like that: what \
                 was kept in it is lost, wishes of operators, failures and acknowledgements among it, so look at the real servers under \
                 maintenance and say again what is to be out; it is begun anew"
            )),
            Found::Cut => return vec![format!("the last line of {path} was cut and is dropped")],
            Found::Damaged { lines } => Some(format!(
                "{lines} lines of {path} cannot be read, and what they kept, such as a wish or a \
                 failure, is lost; the others are kept, the file is set aside"
            )),
            Found::Foreign => Some(format!(
                "{path} is not a journal of lvsmon: what was kept in it is lost, wishes of operators, \
                 failures and acknowledgements among it, so look at the real servers under maintenance; \
                 it is set aside"
            )),
        };
        match (self.begin_again(&Batch::new()), what) {
            (Ok(aside), Some(what)) => {
                let aside = aside.map(|aside| format!(" as {}", aside.display()));
                vec![what + &aside.unwrap_or_default()]
            }
            (Ok(_), None) => Vec::new(),
            (Err(error), what) => {
                let error = format!("{error}; trying again");
                what.into_iter().chain([error]).collect()
            }
        }
    }

    pub(super) fn path(&self) -> PathBuf {
        self.path.clone()
    }

    /// What happened to it since this was last asked.
    pub(super) fn take_accidents(&mut self) -> Accidents {
        std::mem::take(&mut self.accidents)
    }

    /// Writes the records behind the others, to the disk; cleans up where that is due. With no
    /// records it only looks whether the journal is still there, and mends it.
    pub(super) fn append(&mut self, records: &Batch) -> Result<(), StoreError> {
        if self.again.is_none() {
            self.compare()?;
        }
        if self.again.is_some() {
            // There is no journal, and nothing to write into one.
            if self.file.is_none() && records.is_empty() {
                return Ok(());
            }
            return self.begin_again(records).map(drop);
        }
        if records.is_empty() {
            return Ok(());
        }
        self.append_lines(&lines::lines_of(records))
            .map_err(StoreError::file("write", &self.path))?;
        // The records are safe already: a clean-up that fails (full disk) may wait.
        if needs_clean_up(self.length, self.clean_length)
            && self.begin_again(&Batch::new()).is_err()
        {
            self.clean_length = self.length;
        }
        Ok(())
    }

    /// Writes a journal of these records only.
    pub(super) fn replace(&mut self, records: &Batch) -> Result<(), StoreError> {
        let old = (self.length, self.bad_lines);
        (self.length, self.bad_lines) = (0, 0);
        let result = self.begin_again(records);
        if result.is_err() && self.length == 0 {
            (self.length, self.bad_lines) = old;
        }
        result.map(drop)
    }

    /// Compares the file under our name with the one that is open.
    fn compare(&mut self) -> Result<(), StoreError> {
        let Some(file) = &self.file else {
            return Ok(());
        };
        let standing = still_stands(&self.path, file, self.length);
        let standing = standing.map_err(StoreError::file("look at", &self.path))?;
        let (what, again, has_lost) = match standing {
            OnDisk::Stands { has_rest: false } => return Ok(()),
            OnDisk::Stands { has_rest: true } => {
                // Of a write that failed; it cannot be longer than the file.
                let cut = file.set_len(self.length);
                return cut.map_err(StoreError::file("write", &self.path));
            }
            OnDisk::Gone => ("was deleted".to_owned(), Again::Plain, false),
            // The open file still has all.
            OnDisk::Replaced => {
                let what = "was replaced by another file".to_owned();
                (what, Again::SetAside, false)
            }
            OnDisk::Cut { length } => {
                let what = format!("was cut from {} to {length} bytes", self.length);
                (what, Again::SetAside, true)
            }
            OnDisk::Overwritten => ("was written over".to_owned(), Again::SetAside, true),
        };
        self.again = Some(again);
        self.accidents.said.push(what);
        self.accidents.has_lost |= has_lost;
        Ok(())
    }

    fn append_lines(&mut self, lines: &[u8]) -> io::Result<()> {
        let Some(file) = &self.file else {
            return Err(io::Error::other("it is not open"));
        };
        if let Err(error) = file.write_all_at(lines, self.length) {
            if cut_back(file, self.length).is_err() {
                self.again = Some(Again::Plain);
            }
            return Err(error);
        }
        if let Err(error) = file.sync_data() {
            // After that the system may take lines for written that never reached the disk.
            self.again = Some(Again::Plain);
            return Err(error);
        }
        self.length += lines.len() as u64;
        Ok(())
    }

    /// Writes a new journal with the lines of the open file that still count and `records`,
    /// and puts it in its place. Returns the name of what was set aside.
    fn begin_again(&mut self, records: &Batch) -> Result<Option<PathBuf>, StoreError> {
        let new = self.path.with_extension("new");
        let result = self.write_new(&new, records);
        if result.is_err() {
            let _ = fs::remove_file(&new);
        }
        let (file, length) = result?;
        let aside = match self.again {
            Some(Again::SetAside) => {
                set_aside(&self.path).map_err(StoreError::file("set aside", &self.path))?
            }
            Some(Again::Plain) | None => None,
        };
        fs::rename(&new, &self.path).map_err(StoreError::file("replace", &self.path))?;
        self.file = Some(file);
        self.length = length;
        self.clean_length = length;
        self.bad_lines = 0;
        // Until its name is safe, it is no journal to write on with.
        self.again = Some(Again::Plain);
        if let Some(folder) = self.path.parent() {
            folder::sync(folder).map_err(StoreError::file("sync the folder of", &self.path))?;
        }
        self.again = None;
        Ok(aside)
    }

    fn write_new(&mut self, new: &Path, records: &Batch) -> Result<(File, u64), StoreError> {
        let source = self.file.as_ref().filter(|_| self.length > 0);
        let survey = source.map(|file| lines::survey(file, self.length));
        if let Some(survey) = &survey {
            self.note_losses(survey)?;
        }
        if let Some(folder) = self.path.parent() {
            // It may have been removed under the running daemon.
            make_folder(folder)?;
        }
        let wrong = || StoreError::file("write", new);
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(true);
        let file = regular_file::open_as(new, options.mode(0o600)).map_err(wrong())?;
        let source = self.file.as_ref().zip(survey.as_ref());
        let length = lines::write_anew(source, &lines::lines_of(records), &file).map_err(wrong())?;
        file.sync_all().map_err(wrong())?;
        Ok((file, length))
    }

    /// Notes lines that were written and cannot be read any more. A clean-up ends there: the
    /// old file stays until all was told again.
    fn note_losses(&mut self, survey: &Survey) -> Result<(), StoreError> {
        let is_short = survey.reached < self.length;
        if !is_short && survey.bad_lines <= self.bad_lines {
            return Ok(());
        }
        let what = if is_short {
            let (reached, length) = (survey.reached, self.length);
            format!("can be read up to byte {reached} of {length} only")
        } else {
            format!("has {} lines that are no records", survey.bad_lines)
        };
        // From now on it is as it is: what is found again is not said again.
        (self.length, self.bad_lines) = (survey.reached, survey.bad_lines);
        let is_known = std::mem::replace(&mut self.accidents.has_lost, true);
        if !is_known {
            self.accidents.said.push(what.clone());
        }
        if self.again.is_none() {
            self.again = Some(Again::SetAside);
            return Err(StoreError::file("clean up", &self.path)(io::Error::other(
                what,
            )));
        }
        Ok(())
    }
}

/// What a journal holds, without changing it: for `lvsmon table` without a daemon.
///
/// # Errors
///
/// It exists and cannot be read.
pub(crate) fn read_only(folder: &Path) -> Result<Saved, StoreError> {
    let path = folder.join("journal");
    let wrong = || StoreError::file("read", &path);
    let reading = match open_with(&path, false) {
        Ok(file) => lines::read(&file).map_err(wrong())?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => Reading::nothing(),
        Err(error) => return Err(wrong()(error)),
    };
    Ok(Saved {
        records: reading.records,
    })
}

const fn needs_clean_up(length: u64, clean_length: u64) -> bool {
    length > COMPACT_MIN && length / COMPACT_RATIO > clean_length
}

/// What stands under the name of a journal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum OnDisk {
    /// The journal, perhaps with the rest of a failed write.
    Stands { has_rest: bool },
    /// Nothing.
    Gone,
    /// Another file.
    Replaced,
    /// The journal, shorter than it was.
    Cut { length: u64 },
    /// The journal with another beginning, or another end of its last line.
    Overwritten,
}

/// Compares the open journal of `length` bytes with what stands under its name.
fn still_stands(path: &Path, file: &File, length: u64) -> io::Result<OnDisk> {
    let ours = file.metadata()?;
    let named = match fs::metadata(path) {
        Ok(named) => named,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(OnDisk::Gone),
        Err(error) => return Err(error),
    };
    let identity = |of: &Metadata| (of.dev(), of.ino());
    if identity(&ours) != identity(&named) {
        return Ok(OnDisk::Replaced);
    }
    if ours.len() < length {
        let length = ours.len();
        return Ok(OnDisk::Cut { length });
    }
    let mut heading = [0; HEADING.len()];
    let mut end = [0; 1];
    // Where the disk does not give them back, it is no place to write on either.
    let read = file
        .read_exact_at(&mut heading, 0)
        .and_then(|()| file.read_exact_at(&mut end, length.saturating_sub(1)));
    if read.is_err() || heading != HEADING || end != *b"\n" {
        return Ok(OnDisk::Overwritten);
    }
    let has_rest = ours.len() > length;
    Ok(OnDisk::Stands { has_rest })
}

/// Shortens a file; one that is shorter already is not made longer, which would be zeros.
fn cut_back(file: &File, length: u64) -> io::Result<()> {
    if file.metadata()?.len() > length {
        file.set_len(length)?;
    }
    Ok(())
}

/// Opens a journal where there is one, and says whether it can be written: on a disk that is
/// read-only now it is read at least.
fn open_file(path: &Path) -> io::Result<(Option<File>, bool)> {
    match open_with(path, true) {
        Ok(file) => Ok((Some(file), true)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok((None, false)),
        Err(_) => Ok((Some(open_with(path, false)?), false)),
    }
}

/// Opens a regular file; anything else is refused and not waited for.
fn open_with(path: &Path, write: bool) -> io::Result<File> {
    regular_file::open_as(path, OpenOptions::new().read(true).write(write))
}

/// Gives what stands under this name a second one that is free; none where there is nothing
/// or it is empty. The first name stays, so that at no moment there is no journal.
fn set_aside(path: &Path) -> io::Result<Option<PathBuf>> {
    let is_empty = match fs::metadata(path) {
        Ok(found) => found.len() == 0,
        Err(error) if error.kind() == io::ErrorKind::NotFound => true,
        Err(error) => return Err(error),
    };
    if is_empty {
        return Ok(None);
    }
    for number in 1..=ASIDE_MAX {
        let aside = path.with_extension(format!("aside-{number}"));
        match fs::hard_link(path, &aside) {
            Ok(()) => return Ok(Some(aside)),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                // A kill came between this step and the next.
                if is_same(path, &aside) {
                    return Ok(Some(aside));
                }
            }
            // Not every file system has links.
            Err(_) => {
                let mut from = regular_file::open(path)?;
                let mut to = OpenOptions::new()
                    .write(true)
                    .create_new(true)
                    .mode(0o600)
                    .open(&aside)?;
                io::copy(&mut from, &mut to)?;
                to.sync_all()?;
                return Ok(Some(aside));
            }
        }
    }
    let why = "too many files were set aside already; remove journal.aside-*";
    Err(io::Error::other(why))
}

fn is_same(path: &Path, other: &Path) -> bool {
    let identity = |path| fs::metadata(path).map(|found| (found.dev(), found.ino()));
    matches!((identity(path), identity(other)), (Ok(one), Ok(two)) if one == two)
}
