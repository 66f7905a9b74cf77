//! The journal as text: a heading, then one record a line.
//!
//! Everything is read at places of an open file, so it is the file that was opened, whatever
//! stands under its name by now, and never more of it than is asked for.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufRead, BufReader, BufWriter, Read, Write};
use std::os::unix::fs::FileExt;

use serde_json::Value;

use crate::engine::saved::Record;

use super::Batch;

/// First line of every journal; another first line makes it somebody else's file.
pub(super) const HEADING: &[u8] = b"{\"lvsmon\":\"journal\",\"version\":1}\n";

/// Longest line that is read back, in bytes: above the largest record, below what would hurt.
const LINE_MAX: u64 = 4 * 1024 * 1024;

/// How a journal was found.
#[derive(Clone, Copy, Debug)]
pub(super) enum Found {
    /// There is none.
    None,
    /// Not even the first line is there. A journal gets its name with that line in it, so this is
    /// not how we left it.
    Headless,
    /// As we left it.
    Whole,
    /// The last line is not complete.
    Cut,
    /// Lines in the middle are no records.
    Damaged { lines: usize },
    /// The first line is not ours.
    Foreign,
}

/// What a journal says.
#[derive(Debug)]
pub(super) struct Reading {
    pub(super) state: Found,
    pub(super) records: BTreeMap<String, Value>,
    /// Bytes up to the end of the last whole line.
    pub(super) length: u64,
    /// Bytes of the lines that still count, about.
    pub(super) live: u64,
}

impl Reading {
    /// Of a journal that is not there.
    pub(super) const fn nothing() -> Self {
        Self {
            state: Found::None,
            records: BTreeMap::new(),
            length: 0,
            live: HEADING.len() as u64,
        }
    }
}

/// Reads a whole journal.
pub(super) fn read(file: &File) -> io::Result<Reading> {
    let mut reading = Reading {
        state: Found::Headless,
        ..Reading::nothing()
    };
    let mut lines = Lines::new(file, file.metadata()?.len());
    let mut bad_lines = 0_usize;
    let mut sizes: BTreeMap<String, u64> = BTreeMap::new();
    while let Some(line) = lines.next()? {
        let size = line.bytes.len() as u64;
        if line.start == 0 {
            if line.bytes != HEADING {
                let cut = HEADING.starts_with(line.bytes);
                reading.state = if cut { Found::Headless } else { Found::Foreign };
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

/// Adds the line of a record.
pub(super) fn push_line(lines: &mut Vec<u8>, key: &str, value: &str) {
    let key = Value::from(key);
    lines.extend_from_slice(format!("{{\"key\":{key},\"value\":{value}}}\n").as_bytes());
}

/// The lines of these records.
pub(super) fn lines_of(records: &Batch) -> Vec<u8> {
    let mut lines = Vec::new();
    for (key, value) in records {
        push_line(&mut lines, key, value);
    }
    lines
}

/// Where the newest line of each key stands in a journal.
///
/// Keys and places only: with the values of 10,000 services the memory of the daemon would
/// double for good, as freed memory seldom goes back to the system.
#[derive(Debug, Default)]
pub(super) struct Survey {
    /// Place and size, in the order of the file.
    places: Vec<(u64, usize)>,
    /// Lines that are no records.
    pub(super) bad_lines: usize,
    /// How far it could be read.
    pub(super) reached: u64,
}

/// Looks through the first `length` bytes of a journal, as far as they can be read.
pub(super) fn survey(file: &File, length: u64) -> Survey {
    let mut survey = Survey::default();
    let mut newest: BTreeMap<String, (u64, usize)> = BTreeMap::new();
    let mut lines = Lines::new(file, length);
    // A line that cannot be read is lost, and so are those behind it; the caller sees it by
    // `reached`.
    while let Ok(Some(line)) = lines.next() {
        if line.is_cut() {
            break;
        }
        survey.reached = line.start + line.bytes.len() as u64;
        match serde_json::from_slice::<Key>(line.bytes) {
            Ok(Key { key, value: None }) => {
                newest.remove(&key);
            }
            Ok(Key { key, .. }) => {
                newest.insert(key, (line.start, line.bytes.len()));
            }
            Err(_) if line.start == 0 && line.bytes == HEADING => {}
            Err(_) => survey.bad_lines += 1,
        }
    }
    survey.places = newest.into_values().collect();
    survey.places.sort_unstable();
    survey
}

/// Writes a journal: the heading, the surveyed lines of `source`, then `more`. Returns its
/// length; nothing is synced yet.
pub(super) fn write_anew(
    source: Option<(&File, &Survey)>,
    more: &[u8],
    target: &File,
) -> io::Result<u64> {
    let mut out = BufWriter::new(target);
    out.write_all(HEADING)?;
    let mut length = (HEADING.len() + more.len()) as u64;
    if let Some((source, survey)) = source {
        let mut line = Vec::new();
        for &(start, size) in &survey.places {
            line.resize(size, 0);
            source.read_exact_at(&mut line, start)?;
            out.write_all(&line)?;
            length += size as u64;
        }
    }
    out.write_all(more)?;
    out.flush()?;
    Ok(length)
}

/// A record of which only the key counts, and whether there is a value.
#[derive(serde::Deserialize)]
struct Key {
    key: String,
    value: Option<serde::de::IgnoredAny>,
}

/// The first bytes of a file, read at their places.
struct Stretch<'a> {
    file: &'a File,
    at: u64,
    end: u64,
}

impl Read for Stretch<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = usize::try_from(self.end.saturating_sub(self.at)).unwrap_or(usize::MAX);
        let size = left.min(buffer.len());
        let (buffer, _) = buffer.split_at_mut(size);
        let count = self.file.read_at(buffer, self.at)?;
        self.at += count as u64;
        Ok(count)
    }
}

/// The lines of a file, one at a time, each bounded.
struct Lines<'a> {
    reader: BufReader<Stretch<'a>>,
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

impl<'a> Lines<'a> {
    fn new(file: &'a File, end: u64) -> Self {
        let stretch = Stretch { file, at: 0, end };
        Self {
            reader: BufReader::new(stretch),
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
