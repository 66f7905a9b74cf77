//! The alert history and the failure history, as clients list them.
//!
//! In memory, oldest first, at most `histlength` lines each (E-25 fixed: mon keeps one more).
//! Not here: `historicfile`, which the daemon writes from [`Action::History`] and gives back
//! with [`Event::HistoryRead`] at a start and a reset.
//!
//! [`Action::History`]: crate::engine::event::Action::History
//! [`Event::HistoryRead`]: crate::engine::event::Event::HistoryRead

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

use crate::engine::event::{AlertCall, FailureLine, HistoryLine};
use crate::model::AlertProgram;
use crate::text;
use crate::time::Wall;

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

    /// What `historicfile` says, oldest first, in place of all that is known, but for the calls
    /// behind those of the file: they may not have been written yet when it was read. Of all of
    /// them those leave whose time is not wanted, once it is known which the file has.
    pub(crate) fn replace_alerts(
        &mut self,
        mut lines: Vec<HistoryLine>,
        is_wanted: impl Fn(Wall) -> bool,
    ) {
        for line in &mut lines {
            cut(&mut line.summary);
        }
        let written = written(&self.alerts, &lines);
        lines.extend(self.alerts.drain(..).skip(written));
        lines.retain(|line| is_wanted(line.time));
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

/// How many of the known calls, oldest first, the lines of the file tell of: those up to its
/// last line that is known. By the lines and not by their time: many calls have one second, and
/// the clock may have been set back. A file that knows none of them is of another process, or
/// so old that they left: all are behind it.
fn written(known: &VecDeque<HistoryLine>, lines: &[HistoryLine]) -> usize {
    let seconds: BTreeSet<i64> = known.iter().map(|line| line.time.seconds()).collect();
    let mut backwards = lines.iter().rev();
    let last_known = backwards.find_map(|line| {
        if !seconds.contains(&line.time.seconds()) {
            return None;
        }
        // As often as the file has it: the same may have been called twice in a second.
        let times = lines.iter().filter(|other| is_same(line, other)).count();
        let places = (1..).zip(known).filter(|(_, known)| is_same(line, known));
        places.take(times).last().map(|(place, _)| place)
    });
    last_known.unwrap_or(0)
}

/// Whether two lines are the same in the file, which has whole seconds and no line ends.
fn is_same(a: &HistoryLine, b: &HistoryLine) -> bool {
    a.time.seconds() == b.time.seconds() && a.in_a_file() == b.in_a_file()
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

    fn called(seconds: i64, summary: &str) -> HistoryLine {
        let mut line = line(&crate::alert::notice::tests::call());
        line.time = Wall::from_micros(seconds * 1_000_000 + 7);
        line.summary = summary.to_owned();
        line
    }

    fn seen(all: &[(i64, &str)]) -> Vec<(i64, String)> {
        let all = all.iter();
        all.map(|&(seconds, summary)| (seconds, summary.to_owned()))
            .collect()
    }

    /// What is left of `known` once a file of `written` was read.
    fn replaced(known: &[(i64, &str)], written: &[(i64, &str)]) -> Vec<(i64, String)> {
        let mut histories = Histories::new(10);
        for (seconds, summary) in known {
            histories.alerted(called(*seconds, summary));
        }
        let written = written.iter().map(|(seconds, summary)| {
            let mut line = called(*seconds, summary);
            line.time = Wall::from_seconds(*seconds);
            line
        });
        histories.replace_alerts(written.collect(), |_| true);
        let alerts = histories.alerts();
        let seen = alerts.map(|line| (line.time.seconds(), line.summary.clone()));
        seen.collect()
    }

    #[test]
    fn what_is_behind_the_last_line_of_the_file_that_was_read_stays() {
        let known = [(1, "a"), (2, "b"), (3, "c")];
        let file = [(0, "z"), (2, "b")];
        assert_eq!(
            replaced(&known, &file),
            seen(&[(0, "z"), (2, "b"), (3, "c")])
        );
        assert_eq!(replaced(&known, &[]), seen(&known), "nothing is written");
        let of_before = [(0, "z"), (9, "of a time to come")];
        let all = [&of_before[..], &known[..]].concat();
        assert_eq!(replaced(&known, &of_before), seen(&all));
        // A person took lines out and added one.
        let edited = [(1, "a"), (3, "c"), (4, "by hand")];
        assert_eq!(replaced(&known, &edited), seen(&edited));
    }

    #[test]
    fn of_file_and_memory_the_same_is_left_however_long_ago_the_last_call_was() {
        for last in [None, Some((90, "b"))] {
            let known: Vec<(i64, &str)> = [(10, "a")].into_iter().chain(last).collect();
            let mut histories = Histories::new(10);
            for (seconds, summary) in &known {
                histories.alerted(called(*seconds, summary));
            }
            let file = known.iter().map(|(seconds, summary)| {
                let mut line = called(*seconds, summary);
                line.time = Wall::from_seconds(*seconds);
                line
            });
            histories.replace_alerts(file.collect(), |at| at.seconds() >= 60);
            let left: Vec<&str> = histories.alerts().map(|line| &*line.summary).collect();
            assert_eq!(left, last.map(|(_, summary)| summary).as_slice());
        }
    }

    #[test]
    fn calls_of_one_second_and_of_a_clock_that_was_set_back_stay_too() {
        for known in [
            [(1, "a"), (5, "b"), (5, "c")],
            [(1, "a"), (5, "b"), (5, "b")],
            [(1, "a"), (5, "b\nb"), (2, "set back")],
        ] {
            let written: Vec<(i64, String)> = known[..2]
                .iter()
                .map(|(seconds, summary)| (*seconds, summary.replace('\n', " ")))
                .collect();
            let file: Vec<(i64, &str)> = written.iter().map(|(at, it)| (*at, &**it)).collect();
            let all = [&file[..], &known[2..]].concat();
            assert_eq!(replaced(&known, &file), seen(&all), "{known:?}");
        }
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
