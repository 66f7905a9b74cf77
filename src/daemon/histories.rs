//! What do the alert history and the downtime log on disk get, and what comes back at a start
//! and a reset?
//!
//! The lines' form stands in [`crate::protocol::log_file`], who writes in `scribe`.

use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use crate::daemon::scribe::{Job, Scribe};
use crate::engine::event::{DowntimeLine, HistoryLine};
use crate::model::Globals;
use crate::protocol::log_file::{self, Strangers};
use crate::regular_file;
use crate::time::Wall;

/// So much of the end of `historicfile` is read back: more lines than `histlength` ever keeps.
const READ_MAX: u64 = 16 * 1024 * 1024;

/// Where lines go.
#[derive(Debug, Default)]
pub(super) struct Histories {
    historicfile: Option<PathBuf>,
    dtlogfile: Option<PathBuf>,
}

impl Histories {
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

/// The alert calls that `historicfile` tells of, as many as `histlength` wants; none where it is
/// not wanted, is not there or cannot be read, which is said. Blocks.
pub(super) fn read_back(globals: &Globals) -> Option<Vec<HistoryLine>> {
    let path = globals.history.historicfile.as_ref()?;
    let end = match end_of(path) {
        Ok(end) => end,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return None,
        Err(error) => {
            let path = path.display();
            tracing::error!(%path, %error, "cannot read the alert history back");
            return None;
        }
    };
    let max = usize::try_from(globals.histlength).unwrap_or(usize::MAX);
    let (lines, strangers) = log_file::history(&end.text, max);
    say_strangers(path, strangers, end.is_all);
    Some(lines)
}

/// Says once for a reading which lines of a file were passed over; `is_all` where it was read
/// from its beginning.
pub(super) fn say_strangers(path: &Path, strangers: Strangers, is_all: bool) {
    let Strangers { count, first } = strangers;
    if count == 0 {
        return;
    }
    let counted_from = if is_all {
        "its beginning"
    } else {
        "the first line that was read, some megabytes before its end"
    };
    tracing::warn!(
        path = %path.display(),
        lines = count,
        first,
        counted_from,
        advice = "look at them, and where the file is another one, move it away",
        "no lines of such a file, passed over"
    );
}

/// The last lines of a file.
struct End {
    text: String,
    /// They are all that it has.
    is_all: bool,
}

fn end_of(path: &Path) -> io::Result<End> {
    let mut file = regular_file::open(path)?;
    let length = file.metadata()?.len();
    let start = length.saturating_sub(READ_MAX);
    file.seek(SeekFrom::Start(start))?;
    let mut bytes = Vec::new();
    file.take(READ_MAX).read_to_end(&mut bytes)?;
    let text = String::from_utf8_lossy(&bytes).into_owned();
    // The first line is a piece of one; reading passes over what is none, but a piece may look
    // like a shorter one.
    let is_all = start == 0;
    let text = match text.split_once('\n') {
        Some((_, rest)) if !is_all => rest.to_owned(),
        None if !is_all => String::new(),
        Some(_) | None => text,
    };
    Ok(End { text, is_all })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_history_that_is_a_pipe_holds_nobody_up() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("history");
        nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRWXU).unwrap();
        let (sender, read) = std::sync::mpsc::channel();
        // It would wait for ever.
        std::thread::spawn(move || sender.send(end_of(&path).err()));
        let read = read.recv_timeout(Duration::from_secs(30)).unwrap();
        assert!(read.unwrap().to_string().contains("pipe"));
    }

    #[test]
    fn of_an_endless_history_the_end_is_read_from_the_beginning_of_a_line() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("history");
        let line = "alert g s 1795251344 /a () 0123456789abcdef\n";
        let count = usize::try_from(READ_MAX).unwrap() / line.len() + 10;
        std::fs::write(&path, line.repeat(count)).unwrap();
        let End { text, is_all } = end_of(&path).unwrap();
        assert!(!is_all);
        assert!(text.len() <= usize::try_from(READ_MAX).unwrap());
        assert!(text.starts_with(line) && text.ends_with(line));
    }
}
