//! What one event said, and how much of it alerts and readers get.

use std::borrow::Cow;
use std::sync::Arc;

use crate::engine::event::{Ended, Report, Status};
use crate::time::Readable;

/// What stands for the summary of a failure whose output begins with a blank line or is empty.
pub(crate) const NO_SUMMARY: &str = "(NO SUMMARY)";

/// What one event said: its output, as alerts get it on standard input.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct EventText {
    /// The whole output.
    pub(crate) output: Arc<[u8]>,
    /// Why the monitor never ran. Stands for the summary; the output is empty then (D31).
    pub(crate) reason: Option<Arc<str>>,
    /// How much of it the journal kept.
    pub(crate) kept: Kept,
}

/// Whether an output is whole.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Kept {
    /// As the monitor wrote it.
    #[default]
    Whole,
    /// From the journal: as text.
    Text,
    /// From the journal: the beginning, as text.
    Beginning,
}

impl EventText {
    /// The text of a report. A run that was killed says so in its first line; one that never
    /// started says so in its summary (E-5, E-7, E-9 fixed).
    pub(crate) fn of(report: Report) -> Self {
        let Report {
            ended, mut output, ..
        } = report;
        output.truncate(Report::OUTPUT_MAX);
        let first_line = match ended {
            Ended::Exited(_) => None,
            Ended::Signalled(signal) => Some(match signal_name(signal) {
                Some(name) => format!("killed by signal {signal} ({name})\n"),
                None => format!("killed by signal {signal}\n"),
            }),
            Ended::TimedOut(limit) => {
                Some(format!("no result within {}, killed\n", Readable(limit)))
            }
            Ended::NotStarted(reason) => {
                return Self {
                    reason: Some(reason.into()),
                    ..Self::default()
                };
            }
        };
        let output = match first_line {
            None => output.into(),
            Some(line) => {
                let mut text = line.into_bytes();
                text.extend(output);
                text.into()
            }
        };
        Self {
            output,
            ..Self::default()
        }
    }

    /// What a person or the engine itself says.
    pub(crate) fn said(text: &str) -> Self {
        Self {
            output: text.as_bytes().into(),
            ..Self::default()
        }
    }

    /// The same, with a remark in brackets at the end of its summary.
    pub(crate) fn with_remark(&self, remark: &str) -> Self {
        let remark = format!(" ({remark})");
        if let Some(reason) = &self.reason {
            return Self {
                reason: Some(format!("{reason}{remark}").into()),
                ..self.clone()
            };
        }
        let end = self.output.iter().position(|&byte| byte == b'\n');
        let (summary, rest) = self.output.split_at(end.unwrap_or(self.output.len()));
        Self {
            output: [summary, remark.as_bytes(), rest].concat().into(),
            ..self.clone()
        }
    }

    /// The whole output, for a client.
    pub(crate) fn as_text(&self) -> String {
        String::from_utf8_lossy(&self.output).into_owned()
    }

    /// The first line; of a failure `(NO SUMMARY)` where it is blank.
    pub(crate) fn summary(&self, status: Status) -> Cow<'_, str> {
        let summary = self.first_line();
        if self.reason.is_none() && status == Status::Fail && summary.trim().is_empty() {
            return Cow::Borrowed(NO_SUMMARY);
        }
        summary
    }

    /// Whether it says nothing at all.
    pub(super) fn is_silent(&self) -> bool {
        self.output.is_empty() && self.reason.is_none()
    }

    fn first_line(&self) -> Cow<'_, str> {
        if let Some(reason) = &self.reason {
            return Cow::Borrowed(reason);
        }
        let first = self.output.split(|&byte| byte == b'\n').next();
        String::from_utf8_lossy(first.unwrap_or_default())
    }

    /// Everything after the first line.
    pub(crate) fn detail(&self) -> Cow<'_, str> {
        let end = self.output.iter().position(|&byte| byte == b'\n');
        let rest = end.and_then(|end| self.output.get(end.saturating_add(1)..));
        String::from_utf8_lossy(rest.unwrap_or_default())
    }

    /// Whether a later failure has the same summary, as far as the journal kept this one.
    /// `form` leaves of a summary what counts.
    pub(crate) fn same_summary(&self, later: &Self, form: fn(&str) -> String) -> bool {
        let is_whole = self.reason.is_some() || self.output.contains(&b'\n');
        if self.kept == Kept::Beginning && !is_whole {
            // The journal cut within the first line.
            return form(&later.first_line()).starts_with(&form(&self.first_line()));
        }
        form(&self.summary(Status::Fail)) == form(&later.summary(Status::Fail))
    }

    /// Whether a later failure says the very same, as far as the journal kept this one.
    pub(crate) fn says_the_same(&self, later: &Self) -> bool {
        let text = || String::from_utf8_lossy(&later.output);
        let output = match self.kept {
            Kept::Whole => self.output == later.output,
            Kept::Text => *self.output == *text().as_bytes(),
            Kept::Beginning => text().as_bytes().starts_with(&self.output),
        };
        output && self.reason == later.reason
    }
}

fn signal_name(signal: i32) -> Option<&'static str> {
    Some(match signal {
        1 => "SIGHUP",
        2 => "SIGINT",
        3 => "SIGQUIT",
        4 => "SIGILL",
        6 => "SIGABRT",
        7 => "SIGBUS",
        8 => "SIGFPE",
        9 => "SIGKILL",
        11 => "SIGSEGV",
        13 => "SIGPIPE",
        14 => "SIGALRM",
        15 => "SIGTERM",
        _ => return None,
    })
}
