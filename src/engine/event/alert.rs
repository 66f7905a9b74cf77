//! What the engine says about alerts: those to call, those held back, and the lines that the
//! histories and the downtime log keep.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::engine::event::{HostVerdict, Status};
use crate::model::{AlertCommand, ExitRange, HostName, ServiceId};
use crate::pair::talk::EventKind;
use crate::text::one_line_with_tabs;
use crate::time::Wall;

/// Why an alert is called (docs/mon.md, "Alerts").
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AlertKind {
    /// A monitor failed.
    Failure,
    /// A success after a failure.
    Up,
    /// The daemon started.
    Startup,
    /// A failure trap.
    Trap,
    /// No trap in time.
    TrapTimeout,
    /// An acknowledgement.
    Ack,
    /// A service was disabled.
    Disable,
    /// A person tries an alert.
    Test,
}

impl AlertKind {
    /// Every kind, in the order of declaration.
    pub const ALL: [Self; 8] = [
        Self::Failure,
        Self::Up,
        Self::Startup,
        Self::Trap,
        Self::TrapTimeout,
        Self::Ack,
        Self::Disable,
        Self::Test,
    ];

    /// The kind of that word in `MON_ALERTTYPE`; none where there is none.
    #[must_use]
    pub fn of(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.word() == word)
    }

    /// The word in `MON_ALERTTYPE`.
    #[must_use]
    pub const fn word(self) -> &'static str {
        self.event().word()
    }

    /// What the events are called of which alerts of this kind tell.
    #[must_use]
    pub const fn event(self) -> EventKind<'static> {
        match self {
            Self::Failure => EventKind::Failure,
            Self::Up => EventKind::Up,
            Self::Startup => EventKind::Startup,
            Self::Trap => EventKind::Trap,
            Self::TrapTimeout => EventKind::TrapTimeout,
            Self::Ack => EventKind::Ack,
            Self::Disable => EventKind::Disable,
            Self::Test => EventKind::Test,
        }
    }

    /// The keyword whose lines are called; the word of the histories, where a trap and its
    /// timeout have words of their own.
    #[must_use]
    pub const fn history_word(self) -> &'static str {
        match self {
            // A person's try is in no history; it calls these lines.
            Self::Failure | Self::Test => "alert",
            Self::Up => "upalert",
            Self::Startup => "startupalert",
            Self::Trap => "trapalert",
            Self::TrapTimeout => "traptimeoutalert",
            Self::Ack => "ackalert",
            Self::Disable => "disablealert",
        }
    }

    /// The mark in the argument list of an alert.
    #[must_use]
    pub const fn mark(self) -> Option<&'static str> {
        match self {
            Self::Up => Some("-u"),
            Self::Trap => Some("-T"),
            Self::TrapTimeout => Some("-O"),
            Self::Ack => Some("-a"),
            Self::Disable => Some("-D"),
            Self::Failure | Self::Startup | Self::Test => None,
        }
    }

    /// Whether it reports that something is wrong.
    #[must_use]
    pub const fn is_problem(self) -> bool {
        matches!(self, Self::Failure | Self::Trap | Self::TrapTimeout)
    }
}

/// Number of an alert call, never used twice in the life of a daemon.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AlertId(pub u64);

/// An alert to deliver.
#[derive(Clone, Debug, PartialEq)]
pub struct AlertCall {
    /// Comes back in [`AlertDone`](crate::engine::event::Event::AlertDone).
    pub id: AlertId,
    /// Key of the journal's record that says what it is about: the call leaves once the journal
    /// has kept what was said there before it, and what is said there later waits for the call.
    pub record: Arc<str>,
    /// The same for every delivery of the same event, after a restart too: group, service,
    /// start of the outage in seconds, kind, and a number within the outage.
    pub event: String,
    /// Whose alert; calls of one service are delivered in order. None for one of a `virtual`
    /// section, whose group is `virtual` and whose name is the virtual service.
    pub service: Option<ServiceId>,
    /// Why.
    pub kind: AlertKind,
    /// The line that asked for it.
    pub command: Arc<AlertCommand>,
    /// `-g`
    pub group: Arc<str>,
    /// `-s`
    pub name: Arc<str>,
    /// The label of the period.
    pub period: Arc<str>,
    /// `-h`: the enabled members, joined by one blank.
    pub hosts: String,
    /// `-t`
    pub time: Wall,
    /// First line of the output, `(NO SUMMARY)` where it is blank.
    pub summary: String,
    /// Standard input of the alert: the output of the event.
    pub input: Arc<[u8]>,
    /// `MON_*` and the service's own variables, in the order in which they take effect.
    /// One copy for all alerts of an event.
    pub environment: Arc<[(String, String)]>,
    /// What the report said about each host; empty where it did not say.
    pub results: Vec<(HostName, HostVerdict, String)>,
    /// Status when it was decided.
    pub status: Status,
    /// Exit value; none for acknowledgements and disables.
    pub exit: Option<i32>,
    /// When the outage began; none without one.
    pub first_failure: Option<Wall>,
}

/// What became of an alert call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DeliveryOutcome {
    /// Handed over: accepted by the relay or the receiver, or the program exited with 0.
    Done,
    /// Told by the other director of the pair (D26).
    Elsewhere,
    /// Told by nobody: it began and ended before a later outage that the other director told.
    Overtaken,
    /// Left to the other director, which was to tell it: whether it did was not heard.
    Left,
    /// Only said, by an observer.
    Observed,
    /// Given up, for this reason.
    GivenUp(String),
}

/// An alert that was held back.
#[derive(Clone, Debug, PartialEq)]
pub struct Suppression {
    /// Of which service.
    pub service: ServiceId,
    /// The label of the period; none where a rule of the service objected.
    pub period: Option<Arc<str>>,
    /// What kind of alert.
    pub kind: AlertKind,
    /// The first rule that objected.
    pub why: Suppressed,
}

/// Every rule that can hold an alert back, with what is missing.
#[derive(Clone, Debug, PartialEq)]
pub enum Suppressed {
    /// The period does not hold now.
    NotInPeriod,
    /// The exit value is not in `alertexitrange`, or in none of the lines' `exit=` ranges.
    ExitRange {
        /// The value.
        exit: i32,
        /// Those that were asked for, each once: the first [`Suppressed::RANGES_MAX`] of them.
        ranges: Vec<ExitRange>,
    },
    /// `numalerts` are out.
    NumAlerts(u32),
    /// `alertevery`: too soon after the last one.
    AlertEvery {
        /// Until the next may go out.
        left: Duration,
    },
    /// `alertafter NUM` or `NUM TIMEVAL`: not enough failures.
    AlertAfterCount {
        /// So many there were.
        have: u32,
        /// So many are needed.
        need: u32,
    },
    /// `alertafter TIMEVAL`: not failing for long enough.
    AlertAfterTime {
        /// Until it is long enough.
        left: Duration,
    },
    /// `upalertafter`: the outage was too short.
    UpalertAfter {
        /// How long it was.
        outage: Duration,
        /// How long it had to be.
        least: Duration,
    },
    /// `alertafter NUM` or `NUM TIMEVAL`: a failure of a host is still being counted for a section,
    /// and re-checks decide.
    StillCounted,
    /// The check came early for another period, and this one has told of the one before.
    JustTold,
    /// A recovery of which no alert was sent.
    NoAlertSent,
    /// The alert's program is missing, for this reason; it does not count as sent.
    NoProgram(String),
    /// The scheduler is stopped.
    Stopped,
    /// The service or its watch is disabled.
    Disabled,
    /// A dependency fails: the expression, and the first service in it that is not good.
    DependFailed {
        /// As it stands in the file.
        expression: Arc<str>,
        /// `GROUP:SERVICE`; none where no single one is to blame.
        parent: Option<Arc<str>>,
    },
    /// It was acknowledged by this comment.
    Acknowledged(Arc<str>),
}

impl Suppressed {
    /// A period may have very many lines, and what held an alert back is remembered.
    const RANGES_MAX: usize = 8;

    /// No line of these ranges wants the exit value.
    pub(crate) fn exit_range(exit: i32, wanted: impl Iterator<Item = ExitRange>) -> Self {
        let mut ranges = Vec::new();
        for range in wanted {
            if ranges.len() < Self::RANGES_MAX && !ranges.contains(&range) {
                ranges.push(range);
            }
        }
        Self::ExitRange { exit, ranges }
    }
}

/// One alert call, as the alert history keeps it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HistoryLine {
    /// Its kind; written as `alert`, `upalert`, `startupalert`, `trapalert` and so on.
    pub kind: AlertKind,
    /// The watch.
    pub group: Arc<str>,
    /// The service.
    pub service: Arc<str>,
    /// When it was called.
    pub time: Wall,
    /// Path of the program, or the name of a built-in alert.
    pub program: String,
    /// What stands behind it in the file, but for passwords.
    pub args: Arc<str>,
    /// First line of what it was told.
    pub summary: String,
}

impl HistoryLine {
    /// What the alert history says of a call: `KIND GROUP SERVICE TIME PROGRAM (ARGS) SUMMARY`.
    /// The caller sees to line ends in it.
    #[must_use]
    pub fn text(&self) -> String {
        let kind = self.kind.history_word();
        let (group, service, time) = (&self.group, &self.service, self.time.seconds());
        let (program, args, summary) = (&self.program, &self.args, &self.summary);
        format!("{kind} {group} {service} {time} {program} ({args}) {summary}")
    }

    /// The same in one line, as `historicfile` has it, without the newline.
    #[must_use]
    pub fn in_a_file(&self) -> String {
        one_line_with_tabs(&self.text())
    }
}

/// One failure, as the failure history keeps it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FailureLine {
    /// The watch.
    pub group: Arc<str>,
    /// The service.
    pub service: Arc<str>,
    /// When it was reported.
    pub time: Wall,
    /// First line of the output.
    pub summary: String,
}

/// One outage that ended, as the downtime log keeps it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DowntimeLine {
    /// When it ended.
    pub up: Wall,
    /// The watch.
    pub group: Arc<str>,
    /// The service.
    pub service: Arc<str>,
    /// When it began.
    pub first_failure: Wall,
    /// The interval in force; zero for a service that is never polled.
    pub interval: Duration,
    /// Of the failure.
    pub summary: String,
}
