//! The alert history and the failure history, as clients list them.
//!
//! In memory, oldest first, at most `histlength` lines each (E-25 fixed: mon keeps one more).
//! Not here: `historicfile`, which the daemon writes from [`Action::History`] and gives back
//! with [`Event::HistoryRead`] at a start and a reset.
//!
//! [`Action::History`]: crate::engine::event::Action::History
//! [`Event::HistoryRead`]: crate::engine::event::Event::HistoryRead

use std::collections::VecDeque;
use std::sync::Arc;

use crate::engine::event::{AlertCall, FailureLine, HistoryLine};
use crate::model::AlertProgram;
use crate::text;

/// Lines kept at most, whatever `histlength` and `set maxkeep` say: each is kept in memory with
/// up to [`SUMMARY_MAX`] bytes of its summary.
pub(crate) const LENGTH_MAX: u32 = 100_000;

/// Bytes kept of a summary: a monitor without line ends says 120 kB in one, and there may be
/// [`LENGTH_MAX`] lines.
const SUMMARY_MAX: usize = 1_000;

/// What the alert history says of a call.
pub(crate) fn line(call: &AlertCall) -> HistoryLine {
    HistoryLine {
        kind: call.kind,
        group: Arc::clone(&call.group),
        service: Arc::clone(&call.name),
        time: call.time,
        program: match &call.command.program {
            AlertProgram::Executable(path) => path.display().to_string(),
            AlertProgram::Native(_) | AlertProgram::Missing(_) => call.command.name.to_string(),
        },
        args: call.command.shown(),
        summary: call.summary.clone(),
    }
}

/// Both histories.
#[derive(Debug, Default)]
pub(crate) struct Histories {
    length: u32,
    alerts: VecDeque<HistoryLine>,
    failures: VecDeque<FailureLine>,
}

impl Histories {
    /// Empty ones of at most so many lines each.
    pub(crate) fn new(length: u32) -> Self {
        Self {
            length: length.min(LENGTH_MAX),
            ..Self::default()
        }
    }

    /// Another bound; what is too much leaves from the front.
    pub(crate) fn set_length(&mut self, length: u32) {
        self.length = length.min(LENGTH_MAX);
        let most = usize::try_from(self.length).unwrap_or(usize::MAX);
        shorten(&mut self.alerts, most);
        shorten(&mut self.failures, most);
    }

    /// Lines kept at most.
    pub(crate) const fn length(&self) -> u32 {
        self.length
    }

    /// An alert was called.
    pub(crate) fn alerted(&mut self, mut line: HistoryLine) {
        cut(&mut line.summary);
        push(&mut self.alerts, line, self.length);
    }

    /// A service failed.
    pub(crate) fn failed(&mut self, mut line: FailureLine) {
        cut(&mut line.summary);
        push(&mut self.failures, line, self.length);
    }

    /// What `historicfile` says, oldest first, in place of all that is known, but for what is
    /// newer than the file: it may not have been written yet when the file was read.
    pub(crate) fn replace_alerts(&mut self, mut lines: Vec<HistoryLine>) {
        for line in &mut lines {
            cut(&mut line.summary);
        }
        let read = lines.last().map(|line| line.time.seconds());
        let is_newer = |line: &HistoryLine| read.is_none_or(|read| line.time.seconds() > read);
        let newer = std::mem::take(&mut self.alerts)
            .into_iter()
            .filter(is_newer);
        lines.extend(newer);
        self.alerts = lines.into();
        self.set_length(self.length);
    }

    /// The alerts, oldest first.
    pub(crate) fn alerts(&self) -> impl DoubleEndedIterator<Item = &HistoryLine> {
        self.alerts.iter()
    }

    /// The failures, oldest first.
    pub(crate) fn failures(&self) -> impl DoubleEndedIterator<Item = &FailureLine> {
        self.failures.iter()
    }
}

fn cut(summary: &mut String) {
    text::shorten(summary, SUMMARY_MAX);
    summary.shrink_to_fit();
}

fn push<T>(lines: &mut VecDeque<T>, line: T, length: u32) {
    lines.push_back(line);
    shorten(lines, usize::try_from(length).unwrap_or(usize::MAX));
}

fn shorten<T>(lines: &mut VecDeque<T>, most: usize) {
    let excess = lines.len().saturating_sub(most);
    lines.drain(..excess);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::AlertCommand;
    use crate::options::AlertOptions;
    use crate::options::trap::TrapOptions;
    use crate::time::Wall;

    fn failure(summary: &str) -> FailureLine {
        FailureLine {
            group: "g".into(),
            service: "s".into(),
            time: Wall::default(),
            summary: summary.into(),
        }
    }

    fn summaries(histories: &Histories) -> Vec<&str> {
        histories.failures().map(|line| &*line.summary).collect()
    }

    #[test]
    fn a_password_reaches_neither_the_history_nor_a_log() {
        let args: Vec<String> = ["-U", "me", "-P", "s3cret", "h"].map(str::to_owned).into();
        let options = TrapOptions::parse(&args).unwrap();
        let mut call = crate::alert::notice::tests::call();
        call.command = Arc::new(AlertCommand {
            exit: None,
            name: "trap.alert".into(),
            args,
            written: "-U me -P s3cret h".into(),
            program: AlertProgram::Native(AlertOptions::Trap(options)),
        });
        assert_eq!(line(&call).args[..], *"-U me -P *** h");
        let shown = format!("{:?}", call.command);
        assert!(shown.contains("-P") && !shown.contains("s3cret"), "{shown}");
    }

    #[test]
    fn what_is_newer_than_the_file_that_was_read_stays() {
        let mut histories = Histories::new(10);
        let at = |seconds: i64| {
            let mut line = line(&crate::alert::notice::tests::call());
            line.time = Wall::from_seconds(seconds);
            line
        };
        for seconds in [1, 2, 3] {
            histories.alerted(at(seconds));
        }
        let times = |histories: &Histories| {
            let alerts = histories.alerts();
            alerts.map(|line| line.time.seconds()).collect::<Vec<_>>()
        };
        histories.replace_alerts(vec![at(0), at(2)]);
        assert_eq!(times(&histories), [0, 2, 3]);
        histories.replace_alerts(Vec::new());
        assert_eq!(
            times(&histories),
            [0, 2, 3],
            "nothing of it is in the file yet"
        );
    }

    #[test]
    fn exactly_histlength_lines_are_kept_and_the_oldest_leaves_first() {
        let mut histories = Histories::new(2);
        for summary in ["a", "b", "c"] {
            histories.failed(failure(summary));
        }
        assert_eq!(summaries(&histories), ["b", "c"]);
        histories.set_length(1);
        assert_eq!(summaries(&histories), ["c"]);
        histories.set_length(0);
        histories.failed(failure("d"));
        assert_eq!(summaries(&histories), [""; 0]);
    }

    #[test]
    fn a_long_summary_is_kept_as_far_as_a_person_reads_it() {
        let mut histories = Histories::new(1);
        let long = format!("a{}", "ä".repeat(60_000));
        histories.failed(failure(&long));
        assert_eq!(summaries(&histories), [&long[..SUMMARY_MAX - 1]]);
    }
}
