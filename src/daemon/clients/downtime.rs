//! What of the downtime log does a client see, and of what in it is the operator told?
//!
//! It is read part by part, so that a client that is slow to take one holds no thread up.

use std::fs::File;
use std::io::{self, BufRead as _, BufReader, Read as _};
use std::path::{Path, PathBuf};

use tokio::sync::watch;

use crate::protocol::log_file::{self, Strangers};
use crate::protocol::{LINE_MAX, data_line, list};
use crate::regular_file;

/// So much of a file is read for one part, whatever comes of it: a file of comments only must
/// not keep others from reading.
const READ_MAX: usize = 1024 * 1024;

/// A downtime log that is being read. All calls block.
#[derive(Debug)]
pub(super) struct DowntimeLog {
    file: BufReader<File>,
    /// The number of the next line, from 1 on.
    number: u64,
    /// What comes next is the rest of a line that was cut.
    is_rest: bool,
    is_over: bool,
    strangers: Strangers,
}

impl DowntimeLog {
    /// Opens the log at its beginning.
    ///
    /// # Errors
    ///
    /// There is none, or the system does not open it, or it is no regular file.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        Ok(Self {
            file: BufReader::new(regular_file::open(path)?),
            number: 1,
            is_rest: false,
            is_over: false,
            strangers: Strangers::default(),
        })
    }

    /// The next lines as a client gets them, some [`list::PART_MAX`] bytes, may be none; `None`
    /// behind the end.
    ///
    /// # Errors
    ///
    /// The disk cannot be read.
    pub(super) fn part(&mut self) -> io::Result<Option<String>> {
        if self.is_over {
            return Ok(None);
        }
        let mut text = String::new();
        let mut read = 0;
        while !self.is_over && text.len() < list::PART_MAX && read < READ_MAX {
            read += self.line(&mut text)?;
        }
        Ok(Some(text))
    }

    /// Reads one line; what is longer than a client reads is cut. Says how many bytes it read.
    fn line(&mut self, text: &mut String) -> io::Result<usize> {
        let longest = u64::try_from(LINE_MAX).unwrap_or(u64::MAX);
        let mut line = Vec::new();
        let length = (&mut self.file)
            .take(longest)
            .read_until(b'\n', &mut line)?;
        let is_whole = line.ends_with(b"\n");
        self.is_over = !is_whole && length < LINE_MAX;
        let shown = String::from_utf8_lossy(&line);
        let shown = shown.trim_end_matches('\n');
        if !self.is_rest && !log_file::is_comment(shown) {
            if log_file::is_downtime_line(shown) {
                data_line(text, shown);
            } else if !self.is_over {
                // A last line without its end may be one that is being written.
                self.strangers.add(self.number);
            }
        }
        self.is_rest = !is_whole;
        self.number = self.number.saturating_add(u64::from(is_whole));
        Ok(length)
    }

    /// The lines up to here that are none of such a log.
    pub(super) const fn strangers(&self) -> Strangers {
        self.strangers
    }
}

/// What the operator was told last of strange lines, so that each client that asks is no reason
/// to say it again.
#[derive(Debug, Default)]
pub(super) struct Told(watch::Sender<Option<(PathBuf, u64)>>);

impl Told {
    /// Whether it was another file or another count that was told of last; this one is now.
    pub(super) fn is_news(&self, path: &Path, strangers: Strangers) -> bool {
        let count = strangers.count;
        self.0.send_if_modified(|last| {
            let is_news = last
                .as_ref()
                .is_none_or(|(known, told)| known != path || *told != count);
            if is_news {
                *last = Some((path.to_owned(), count));
            }
            is_news
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OUTAGE: &str = "1795251344 web http 1795251338 6 30 was bad\n";

    fn read(text: &str) -> (Vec<String>, Strangers) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("down");
        std::fs::write(&path, text).unwrap();
        let mut log = DowntimeLog::open(&path).unwrap();
        let parts = std::iter::from_fn(|| log.part().unwrap()).collect();
        (parts, log.strangers())
    }

    #[test]
    fn a_log_comes_in_parts_and_no_line_is_lost_between_them() {
        let count = 3 * list::PART_MAX / OUTAGE.len();
        let (parts, strangers) = read(&OUTAGE.repeat(count));
        assert!(parts.len() > 2, "{}", parts.len());
        assert!(parts.iter().all(|part| part.len() < 2 * list::PART_MAX));
        assert_eq!(parts.concat(), OUTAGE.repeat(count));
        assert_eq!(strangers, Strangers::default());
    }

    #[test]
    fn a_last_line_without_its_end_is_none_to_be_told_of() {
        let outage = OUTAGE.trim_end();
        for (last, shown) in [("179525", ""), (outage, OUTAGE), ("", "")] {
            let (parts, strangers) = read(&format!("# head\nodd\n{OUTAGE}{last}"));
            assert_eq!(parts.concat(), format!("{OUTAGE}{shown}"));
            assert_eq!(strangers, Strangers { count: 1, first: 2 }, "{last}");
        }
    }

    #[test]
    fn strange_lines_are_news_once_for_each_file_and_count() {
        let told = Told::default();
        let odd = |count| Strangers { count, first: 1 };
        let (a, b) = (Path::new("/a"), Path::new("/b"));
        let asked = [(a, 1), (a, 1), (a, 2), (b, 2), (b, 2), (b, 0), (b, 2)];
        let news = asked.map(|(path, count)| told.is_news(path, odd(count)));
        assert_eq!(news, [true, false, true, true, false, true, true]);
    }
}
