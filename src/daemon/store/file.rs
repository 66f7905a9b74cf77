//! The journal as a file. Blocking; decides nothing about state.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufRead, BufReader, BufWriter, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::engine::saved::{Record, Saved};

use super::{COMPACT_MIN, COMPACT_RATIO};

/// First line of every journal; another first line makes it somebody else's file.
const HEADING: &str = "{\"lvsmon\":\"journal\",\"version\":1}\n";

/// Longest line that is read back, in bytes: above the largest record, below what would hurt.
const LINE_MAX: u64 = 4 * 1024 * 1024;

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
    #[error("cannot {doing} {path}: {error}")]
    File {
        /// `read`, `write`, ...
        doing: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system said.
        error: io::Error,
    },
}

impl StoreError {
    pub(super) fn file(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |error| Self::File {
            doing,
            path: path.to_owned(),
            error,
        }
    }
}

/// An open journal.
#[derive(Debug)]
pub(super) struct Journal {
    path: PathBuf,
    /// None while it could not be opened for writing (full disk at the start).
    file: Option<File>,
    /// Bytes of whole lines; what stands behind them is the rest of a failed write.
    length: u64,
    /// Length after the last clean-up.
    clean_length: u64,
}

impl Journal {
    /// Reads a journal, mends it where it is cut or damaged, and opens it for appending.
    pub(super) fn open(path: &Path) -> Result<(Self, Saved, Vec<String>), StoreError> {
        let mut remarks = Vec::new();
        let mut found = read(path)?;
        let mut source = path.to_owned();
        match found.state {
            Found::Whole | Found::None => {}
            Found::Cut => remarks.push(format!(
                "the last line of {} was cut and is dropped",
                path.display()
            )),
            Found::Foreign | Found::Damaged { .. } => {
                let aside = set_aside(path)?;
                remarks.push(match found.state {
                    Found::Damaged { lines } => format!(
                        "{lines} lines of {} cannot be read; the others are kept, the file is \
                         set aside as {}",
                        path.display(),
                        aside.display()
                    ),
                    Found::Whole | Found::None | Found::Cut | Found::Foreign => format!(
                        "{} is not a journal of lvsmon; it is set aside as {}",
                        path.display(),
                        aside.display()
                    ),
                });
                found.length = 0;
                source = aside;
            }
        }
        let mut journal = Self {
            path: path.to_owned(),
            file: None,
            length: found.length,
            clean_length: found.length,
        };
        let rewrite = match found.state {
            Found::Damaged { .. } => true,
            Found::Whole => needs_clean_up(found.length, found.live),
            Found::None | Found::Cut | Found::Foreign => false,
        };
        if rewrite && let Err(error) = journal.replace(&source) {
            remarks.push(format!("{error}; trying again"));
        }
        let saved = Saved {
            records: found.records,
        };
        Ok((journal, saved, remarks))
    }

    pub(super) fn path(&self) -> PathBuf {
        self.path.clone()
    }

    /// Whether it holds no line yet.
    pub(super) const fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// Writes the records behind the others, to the disk; cleans up where that is due.
    pub(super) fn append(&mut self, records: &BTreeMap<String, String>) -> Result<(), StoreError> {
        let mut lines = Vec::new();
        for (key, value) in records {
            push_line(&mut lines, key, value);
        }
        self.append_bytes(&lines)?;
        if needs_clean_up(self.length, self.clean_length) {
            // The records are safe already: a clean-up that fails (full disk) may wait.
            let source = self.path.clone();
            if self.replace(&source).is_err() {
                self.clean_length = self.length;
            }
        }
        Ok(())
    }

    fn append_bytes(&mut self, lines: &[u8]) -> Result<(), StoreError> {
        let wrong = StoreError::file("write", &self.path);
        let length = self.length;
        let file = match self.file.take() {
            Some(file) => file,
            None => open_at(&self.path, length).map_err(StoreError::file("open", &self.path))?,
        };
        // A write that failed half-way is cut off, at the latest by the next try to open.
        let length = write_at(&file, length, lines).map_err(wrong)?;
        self.length = length;
        self.file = Some(file);
        Ok(())
    }

    /// Writes the file anew with just the lines of `source` that still count.
    fn replace(&mut self, source: &Path) -> Result<(), StoreError> {
        let new = self.path.with_extension("new");
        let result = copy_newest(source, &new)
            .and_then(|length| fs::rename(&new, &self.path).map(|()| length));
        match result {
            Ok(length) => {
                self.file = None;
                self.length = length;
                self.clean_length = length;
                // The new name must survive a crash too; where the file system cannot say
                // so, the file itself is on the disk under one of its names.
                if let Some(folder) = self.path.parent() {
                    let _ = File::open(folder).and_then(|folder| folder.sync_all());
                }
                Ok(())
            }
            Err(error) => {
                let _ = fs::remove_file(&new);
                Err(StoreError::file("write", &new)(error))
            }
        }
    }
}

/// What a journal holds, without changing it: for `lvsmon table` without a daemon.
///
/// # Errors
///
/// It exists and cannot be read.
pub(crate) fn read_only(folder: &Path) -> Result<Saved, StoreError> {
    let records = read(&folder.join("journal"))?.records;
    Ok(Saved { records })
}

fn needs_clean_up(length: u64, clean_length: u64) -> bool {
    length > COMPACT_MIN && length / COMPACT_RATIO > clean_length
}

/// How a journal was found.
#[derive(Clone, Copy, Debug)]
enum Found {
    /// There is none, or an empty one.
    None,
    /// As we left it.
    Whole,
    /// The last line is not complete.
    Cut,
    /// Lines in the middle are no records.
    Damaged { lines: usize },
    /// The first line is not ours.
    Foreign,
}

#[derive(Debug)]
struct Reading {
    state: Found,
    records: BTreeMap<String, Value>,
    /// Bytes up to the end of the last whole line.
    length: u64,
    /// Bytes of the lines that still count, about.
    live: u64,
}

fn read(path: &Path) -> Result<Reading, StoreError> {
    let mut reading = Reading {
        state: Found::None,
        records: BTreeMap::new(),
        length: 0,
        live: HEADING.len() as u64,
    };
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(reading),
        Err(error) => return Err(StoreError::file("read", path)(error)),
    };
    let mut lines = Lines::new(file);
    let mut bad_lines = 0_usize;
    let mut sizes: BTreeMap<String, u64> = BTreeMap::new();
    while let Some(line) = lines.next().map_err(StoreError::file("read", path))? {
        let size = line.bytes.len() as u64;
        if line.start == 0 {
            if line.bytes != HEADING.as_bytes() {
                let cut = HEADING.as_bytes().starts_with(line.bytes);
                reading.state = if cut { Found::Cut } else { Found::Foreign };
                return Ok(reading);
            }
            reading.state = Found::Whole;
        } else if line.is_cut() {
            reading.state = Found::Cut;
            break;
        } else if let Ok(Record { key, value }) = serde_json::from_slice::<Record>(line.bytes) {
            if value.is_null() {
                sizes.remove(&key);
                reading.records.remove(&key);
            } else {
                sizes.insert(key.clone(), size);
                reading.records.insert(key, value);
            }
        } else {
            bad_lines += 1;
        }
        reading.length += size;
    }
    if bad_lines > 0 {
        reading.state = Found::Damaged { lines: bad_lines };
    }
    reading.live += sizes.values().sum::<u64>();
    Ok(reading)
}

/// Gives a file that is not ours another name, one that is free.
fn set_aside(path: &Path) -> Result<PathBuf, StoreError> {
    for number in 1..1_000_u32 {
        let aside = path.with_extension(format!("aside-{number}"));
        if fs::symlink_metadata(&aside).is_err() {
            fs::rename(path, &aside).map_err(StoreError::file("set aside", path))?;
            return Ok(aside);
        }
    }
    let full = io::Error::other("too many files were set aside already; remove journal.aside-*");
    Err(StoreError::file("set aside", path)(full))
}

fn push_line(lines: &mut Vec<u8>, key: &str, value: &str) {
    let key = Value::from(key);
    lines.extend_from_slice(format!("{{\"key\":{key},\"value\":{value}}}\n").as_bytes());
}

fn open_at(path: &Path, length: u64) -> io::Result<File> {
    let mut options = OpenOptions::new();
    let file = options
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(path)?;
    file.set_len(length)?;
    Ok(file)
}

/// Writes lines at a place, the heading before them where the file is empty, and syncs.
/// On an error the file is cut back to where it was.
fn write_at(mut file: &File, length: u64, lines: &[u8]) -> io::Result<u64> {
    let heading: &[u8] = if length == 0 { HEADING.as_bytes() } else { b"" };
    let write = |mut file: &File| {
        file.seek(SeekFrom::Start(length))?;
        file.write_all(heading)?;
        file.write_all(lines)?;
        file.sync_data()
    };
    if let Err(error) = write(file) {
        let _ = file.set_len(length).and_then(|()| file.flush());
        return Err(error);
    }
    Ok(length + heading.len() as u64 + lines.len() as u64)
}

/// Copies the newest line of each key into a new file, in their order, and syncs it.
///
/// Holds keys and places only: with the values of 10,000 services the memory of the daemon
/// would double for good, as freed memory seldom goes back to the system.
fn copy_newest(source: &Path, target: &Path) -> io::Result<u64> {
    let mut places: BTreeMap<String, (u64, usize)> = BTreeMap::new();
    let mut lines = Lines::new(File::open(source)?);
    while let Some(line) = lines.next()? {
        if line.is_cut() {
            break;
        }
        match serde_json::from_slice::<Key>(line.bytes) {
            Ok(Key { key, value: None }) => {
                places.remove(&key);
            }
            Ok(Key { key, .. }) => {
                places.insert(key, (line.start, line.bytes.len()));
            }
            // The heading, and lines that cannot be read.
            Err(_) => {}
        }
    }
    let mut places: Vec<(u64, usize)> = places.into_values().collect();
    places.sort_unstable();
    let mut source = BufReader::new(File::open(source)?);
    let file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(target)?;
    let mut out = BufWriter::new(file);
    out.write_all(HEADING.as_bytes())?;
    let mut length = HEADING.len() as u64;
    let (mut line, mut at) = (Vec::new(), 0_u64);
    for (start, size) in places {
        // Relative, so that what is read ahead already is not read again.
        source.seek_relative(i64::try_from(start - at).map_err(io::Error::other)?)?;
        line.resize(size, 0);
        source.read_exact(&mut line)?;
        out.write_all(&line)?;
        at = start + size as u64;
        length += size as u64;
    }
    out.into_inner()?.sync_all()?;
    Ok(length)
}

/// A record of which only the key counts, and whether there is a value.
#[derive(serde::Deserialize)]
struct Key {
    key: String,
    value: Option<serde::de::IgnoredAny>,
}

/// The lines of a file, one at a time, each bounded.
struct Lines {
    reader: BufReader<File>,
    line: Vec<u8>,
    offset: u64,
}

/// One line with its end, or a part of one that is longer than [`LINE_MAX`].
struct Line<'a> {
    start: u64,
    bytes: &'a [u8],
}

impl Line<'_> {
    /// The file ends inside it.
    fn is_cut(&self) -> bool {
        self.bytes.last() != Some(&b'\n') && (self.bytes.len() as u64) < LINE_MAX
    }
}

impl Lines {
    fn new(file: File) -> Self {
        Self {
            reader: BufReader::new(file),
            line: Vec::new(),
            offset: 0,
        }
    }

    fn next(&mut self) -> io::Result<Option<Line<'_>>> {
        self.line.clear();
        let mut bounded = (&mut self.reader).take(LINE_MAX);
        let size = bounded.read_until(b'\n', &mut self.line)?;
        let start = self.offset;
        self.offset += size as u64;
        let line = Line {
            start,
            bytes: &self.line,
        };
        Ok((size > 0).then_some(line))
    }
}
