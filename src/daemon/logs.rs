//! What do the alert history and the downtime log on disk get, and what comes back at a start
//! and a reset?
//!
//! The lines' form stands in [`crate::protocol::log_file`], who writes in `scribe`.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::daemon::scribe::{Job, Scribe};
use crate::engine::event::{DowntimeLine, HistoryLine};
use crate::model::Globals;
use crate::protocol::log_file;
use crate::time::Wall;

/// So much of the end of `historicfile` is read back: more lines than `histlength` ever keeps.
const READ_MAX: u64 = 16 * 1024 * 1024;

/// Where lines go.
#[derive(Debug, Default)]
pub(super) struct Logs {
    historicfile: Option<PathBuf>,
    dtlogfile: Option<PathBuf>,
}

impl Logs {
    /// Takes the settings over; the downtime log gets its head, as at each start and reset.
    pub(super) fn begin(&mut self, globals: &Globals, now: Wall, scribe: &mut Scribe) {
        self.historicfile.clone_from(&globals.history.historicfile);
        let downtime = &globals.downtime;
        self.dtlogfile = downtime.dtlogging.then(|| downtime.dtlogfile.clone());
        if let Some(path) = self.dtlogfile.clone() {
            let text = log_file::downtime_head(now);
            scribe.give(Job::Head { path, text });
        }
    }

    /// An alert was called.
    pub(super) fn history(&self, line: &HistoryLine, scribe: &mut Scribe) {
        if let Some(path) = self.historicfile.clone() {
            let text = log_file::history_line(line);
            scribe.give(Job::Append { path, text });
        }
    }

    /// An outage ended.
    pub(super) fn downtime(&self, line: &DowntimeLine, scribe: &mut Scribe) {
        if let Some(path) = self.dtlogfile.clone() {
            let text = log_file::downtime_line(line);
            scribe.give(Job::Append { path, text });
        }
    }
}

/// The alert calls that `historicfile` tells of, as far as `historictime` and `histlength` want
/// them; none where it is not wanted, is not there or cannot be read, which is said. Blocks.
pub(super) fn read_back(globals: &Globals, now: Wall) -> Option<Vec<HistoryLine>> {
    let path = globals.history.historicfile.as_ref()?;
    let text = match end_of(path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return None,
        Err(error) => {
            let path = path.display();
            tracing::error!(%path, %error, "cannot read the alert history back");
            return None;
        }
    };
    let since = globals.history.historictime.map(|time| before(now, time));
    let max = usize::try_from(globals.histlength).unwrap_or(usize::MAX);
    Some(log_file::history(&text, since, max))
}

fn before(now: Wall, time: Duration) -> Wall {
    let micros = i64::try_from(time.as_micros()).unwrap_or(i64::MAX);
    Wall::from_micros(now.as_micros().saturating_sub(micros))
}

fn end_of(path: &Path) -> io::Result<String> {
    let mut file = File::open(path)?;
    let length = file.metadata()?.len();
    let start = length.saturating_sub(READ_MAX);
    file.seek(SeekFrom::Start(start))?;
    let mut bytes = Vec::new();
    file.take(READ_MAX).read_to_end(&mut bytes)?;
    let text = String::from_utf8_lossy(&bytes).into_owned();
    // The first line is a piece of one; reading passes over what is none, but a piece may look
    // like a shorter one.
    Ok(match start {
        0 => text,
        _ => text
            .split_once('\n')
            .map_or_else(String::new, |(_, rest)| rest.to_owned()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_an_endless_history_the_end_is_read_from_the_beginning_of_a_line() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("history");
        let line = "alert g s 1795251344 /a () 0123456789abcdef\n";
        let count = usize::try_from(READ_MAX).unwrap() / line.len() + 10;
        std::fs::write(&path, line.repeat(count)).unwrap();
        let text = end_of(&path).unwrap();
        assert!(text.len() <= usize::try_from(READ_MAX).unwrap());
        assert!(text.starts_with(line) && text.ends_with(line));
    }
}
