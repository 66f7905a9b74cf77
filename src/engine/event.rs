//! The whole vocabulary of the engine: what it is told, what it answers.
//!
//! Whoever reads these two enums, [`Event`] and [`Action`], knows the daemon. Alerts have
//! their words in `alert`, the log in `note`, declared virtual services in `section`, real servers
//! that nobody declared in `kept`, other writers of the table in `contested`, runs and held
//! connections in `run`, operators in `wish`, the other director in `peer`, what operators wish on
//! both in `shared`.

mod alert;
mod contested;
mod kept;
mod note;
mod peer;
mod run;
mod section;
mod shared;
mod wish;

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::engine::saved::Record;
use crate::lvs::{Command, Connections, Desired, Family, GivenWeight, Table, VirtualServiceKey};
use crate::model::Model;
use crate::time::Readable;

// A host word is part of a report, and a user of a run; monitors know no more of the Model than
// this.
pub use crate::model::{HostName, MonitorUser};
pub use alert::{
    AlertCall, AlertId, AlertKind, DeliveryOutcome, DowntimeLine, FailureLine, HistoryLine,
    Suppressed, Suppression,
};
pub use contested::Contested;
pub use kept::KeptStranger;
pub use note::{Cause, CutOff, Note, ServerChange};
pub use peer::{PeerTold, Renumbering};
pub use run::{Executable, Purpose, Run, RunId, RunProgram, Tell, Wire, WireId};
pub use section::{KeptOut, SectionNews, Trouble};
pub use shared::{Alerts, NoWish, PeerWish, ServerWord, SharedWish};
pub use wish::{Aim, Caution, ManualWish, Miss, Order, RealServerName, Target, Wish};

/// One thing that happened. The shell tells the engine one at a time, with the time.
#[derive(Clone, Debug)]
pub enum Event {
    /// The daemon has started; sent once, first.
    Start,
    /// `next_deadline()` was reached.
    Deadline,
    /// A run ended, was ended, or could not start.
    RunEnded {
        /// Which run; one that was forgotten since is dropped.
        run: RunId,
        /// What it found.
        report: Report,
    },
    /// The check of one host is over while its run goes on, where the run says so ([`Tell`]).
    HostChecked {
        /// Which run; one that was forgotten since is dropped.
        run: RunId,
        /// Whose check.
        host: HostName,
        /// What it found.
        verdict: HostVerdict,
    },
    /// A person's wish, already authorised.
    Operator(Wish),
    /// A report that came by the network, already authorised.
    Trap(Trap),
    /// Names were looked up (D8); each is told at first and whenever its answer changes. All that
    /// came meanwhile is told at once: what follows for a table is worked out once for all of it.
    Resolved(Vec<Resolved>),
    /// What became of an [`AlertCall`]. Nothing follows from it here (D33). It is told all the
    /// same: it comes by one queue with [`Event::Delivered`], in one order, and the shell reads
    /// both.
    AlertDone {
        /// Which call.
        alert: AlertId,
        /// What became of it.
        delivery: DeliveryOutcome,
    },
    /// A new configuration, complete and valid.
    Reload {
        /// The configuration.
        model: Arc<Model>,
        /// What becomes of what is known.
        memory: Memory,
    },
    /// What `historicfile` says, oldest first: the alert history from now on.
    HistoryRead(Vec<HistoryLine>),
    /// A held connection could not be made, or it ended (D18).
    Tripped(WireId),
    /// The kernel's table was looked at, and corrected where it differed.
    Table(TableOutcome),
    /// Records that were kept are lost; the journal begins again with those that come of this.
    JournalLost,
    /// The other director told something, or its link came or went, or it is told who speaks.
    Peer(PeerTold),
    /// The other director delivered these events to somebody, by their ids.
    PeerDelivered(Vec<Arc<str>>),
    /// This director did.
    Delivered(Vec<Arc<str>>),
    /// Operators said this on the other director.
    PeerWishes(Vec<PeerWish>),
}

/// What a name came to when it was looked up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resolved {
    /// The name.
    pub host: HostName,
    /// Its addresses, or why there are none.
    pub answer: Result<Vec<IpAddr>, String>,
    /// Whether somebody says so now.
    pub age: AnswerAge,
}

impl Resolved {
    /// What name servers or the hosts file say now.
    #[must_use]
    pub const fn fresh(host: HostName, answer: Result<Vec<IpAddr>, String>) -> Self {
        let age = AnswerAge::Fresh;
        Self { host, answer, age }
    }
}

/// Whether somebody says now where a name leads.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AnswerAge {
    /// Name servers or the hosts file do.
    #[default]
    Fresh,
    /// Nobody does, or not for long: it is what they said before.
    Kept,
    /// So it is of the addresses of this family.
    KeptOf(Family),
}

impl AnswerAge {
    /// Whether nobody says now where the name leads in this family.
    #[must_use]
    pub fn keeps(self, family: Family) -> bool {
        match self {
            Self::Fresh => false,
            Self::Kept => true,
            Self::KeptOf(kept) => kept == family,
        }
    }
}

/// What a reset does to states and counters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Memory {
    /// `reset keepstate`, SIGHUP (D32): everything goes over by name.
    Kept,
    /// `reset`: every service is untested again, real servers are as found (D10). Disabled
    /// watches and hosts stay disabled, services do not, as in mon.
    Forgotten,
}

/// One thing to do. The shell performs actions in order and decides nothing.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// Run a monitor.
    Start(Run),
    /// End a run that is forgotten (reload): its process group is killed.
    Stop(RunId),
    /// Hold an idle connection, and tell of its end by [`Event::Tripped`].
    Hold(Wire),
    /// Close a held connection; its end is not told.
    LetGo(WireId),
    /// Deliver an alert; never an `lvs.alert` (D2).
    Send(Box<AlertCall>),
    /// Look this name up, report it as [`Event::Resolved`], and again whenever it changes.
    Resolve(HostName),
    /// `desired()` changed: look at the kernel's table.
    ApplyTable,
    /// Write this to the journal (D20).
    Record(Box<Record>),
    /// An outage has another number from now on: what waits under the old one is renamed.
    Renumber(Renumbering),
    /// An alert that was held back, and why.
    Suppressed(Suppression),
    /// What came of the wish that this event was, for the person who said it.
    Answer(Result<String, String>),
    /// Something changed that a person may want to read in the log.
    Note(Note),
    /// A line for `historicfile`, and for `list alerthist`.
    History(HistoryLine),
    /// A line for the downtime log.
    Downtime(DowntimeLine),
}

impl Action {
    /// Writes this to the journal.
    #[must_use]
    pub(crate) fn record(record: Record) -> Self {
        Self::Record(Box::new(record))
    }

    /// The run that this starts; none for all else.
    #[must_use]
    pub const fn started(&self) -> Option<&Run> {
        let Self::Start(run) = self else {
            return None;
        };
        Some(run)
    }

    /// The alert that this delivers; none for all else.
    #[must_use]
    pub const fn sent(&self) -> Option<&AlertCall> {
        let Self::Send(call) = self else {
            return None;
        };
        Some(call)
    }

    /// What this answers a person; none for all else.
    #[must_use]
    pub const fn answered(&self) -> Option<&Result<String, String>> {
        let Self::Answer(outcome) = self else {
            return None;
        };
        Some(outcome)
    }

    /// What this says to the log; none for all else.
    #[must_use]
    pub const fn noted(&self) -> Option<&Note> {
        let Self::Note(note) = self else {
            return None;
        };
        Some(note)
    }
}

/// What a run found.
#[derive(Clone, Debug, PartialEq)]
pub struct Report {
    /// How it ended.
    pub ended: Ended,
    /// Standard output and standard error together, at most [`Report::OUTPUT_MAX`] bytes.
    pub output: Vec<u8>,
    /// One entry for each host, from native checks; empty from executables (D9).
    pub hosts: Vec<HostResult>,
    /// From start to end.
    pub took: Duration,
}

impl Report {
    /// Output kept of one run: enough for any summary, small enough for 10,000 services, and,
    /// as `MON_LAST_OUTPUT`, below the 128 KiB that the kernel takes for one variable.
    pub const OUTPUT_MAX: usize = 120_000;
}

/// How a run ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ended {
    /// With this exit value; native checks use 0 and 1.
    Exited(i32),
    /// Killed by this signal: a failure, exit value 128 + signal (E-9 fixed).
    Signalled(i32),
    /// Still running at its limit, and killed.
    TimedOut(Duration),
    /// Never ran, for this reason.
    NotStarted(String),
}

impl Ended {
    /// The exit value as mon counts it.
    #[must_use]
    pub const fn exit(&self) -> i32 {
        match self {
            Self::Exited(exit) => *exit,
            Self::Signalled(signal) => 128_i32.saturating_add(*signal),
            Self::TimedOut(_) | Self::NotStarted(_) => 1,
        }
    }
}

impl fmt::Display for Ended {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exited(value) => write!(out, "exit {value}"),
            Self::Signalled(signal) => write!(out, "killed by signal {signal}"),
            Self::TimedOut(limit) => write!(out, "killed at the limit of {}", Readable(*limit)),
            Self::NotStarted(why) => write!(out, "not started: {why}"),
        }
    }
}

/// What a native check found out about one host.
#[derive(Clone, Debug, PartialEq)]
pub struct HostResult {
    /// As it stands in the hostgroup.
    pub host: HostName,
    /// Up, or down for a reason.
    pub verdict: HostVerdict,
    /// One line for a person, such as `connection refused by 10.0.0.7:80`.
    pub text: String,
    /// The weight that the check gives it, where it gives one; only with [`HostVerdict::Up`].
    pub weight: Option<GivenWeight>,
    /// From start to end.
    pub took: Duration,
}

/// What one report says about one host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HostVerdict {
    /// It answered as it should.
    Up,
    /// It did not.
    Down(Reason),
    /// The report does not say (D9).
    Unknown(Reason),
}

/// Why a host is down, or its state unknown (D34).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// The connection was refused or reset.
    Refused,
    /// No answer in time.
    Timeout,
    /// No route to it.
    Unreachable,
    /// Its name has no address.
    Dns,
    /// TLS failed.
    Tls,
    /// A wrong status code.
    Status,
    /// A wrong body.
    Body,
    /// An answer that is none of the protocol.
    Reply,
    /// An executable named it or ended with a failure.
    Exit,
    /// An executable was killed by a signal.
    Signal,
    /// A limit of ours was reached.
    Limit,
    /// An executable failed and named no host.
    NoHostNamed,
    /// A person said so.
    Admin,
    /// The director itself is cut off.
    Witness,
}

impl Reason {
    /// The code as it stands in listings, mail and JSON.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Refused => "refused",
            Self::Timeout => "timeout",
            Self::Unreachable => "unreachable",
            Self::Dns => "dns",
            Self::Tls => "tls",
            Self::Status => "status",
            Self::Body => "body",
            Self::Reply => "reply",
            Self::Exit => "exit",
            Self::Signal => "signal",
            Self::Limit => "limit",
            Self::NoHostNamed => "no_host_named",
            Self::Admin => "admin",
            Self::Witness => "witness",
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.code())
    }
}

/// Operational status of a service, with mon's numbers (mon(8), `MON_OPSTATUS`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// 0
    Fail,
    /// 1
    Ok,
    /// 2; like all that follow but 7 only set by a person.
    Coldstart,
    /// 3
    Warmstart,
    /// 4
    Linkdown,
    /// 5
    Unknown,
    /// 6
    Timeout,
    /// 7, before the first report.
    #[default]
    Untested,
    /// 8
    Depend,
    /// 9
    Warn,
}

impl Status {
    /// mon's number, `MON_OPSTATUS`.
    #[must_use]
    pub const fn number(self) -> u8 {
        match self {
            Self::Fail => 0,
            Self::Ok => 1,
            Self::Coldstart => 2,
            Self::Warmstart => 3,
            Self::Linkdown => 4,
            Self::Unknown => 5,
            Self::Timeout => 6,
            Self::Untested => 7,
            Self::Depend => 8,
            Self::Warn => 9,
        }
    }

    /// mon's word for it, as in `set GROUP SERVICE opstatus WORD`.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Fail => "fail",
            Self::Ok => "ok",
            Self::Coldstart => "coldstart",
            Self::Warmstart => "warmstart",
            Self::Linkdown => "linkdown",
            Self::Unknown => "unknown",
            Self::Timeout => "timeout",
            Self::Untested => "untested",
            Self::Depend => "dependency",
            Self::Warn => "warn",
        }
    }

    /// The status of that number or word; none where there is none.
    #[must_use]
    pub fn of(text: &str) -> Option<Self> {
        let all = [
            Self::Fail,
            Self::Ok,
            Self::Coldstart,
            Self::Warmstart,
            Self::Linkdown,
            Self::Unknown,
            Self::Timeout,
            Self::Untested,
            Self::Depend,
            Self::Warn,
        ];
        let mut all = all.into_iter();
        all.find(|it| it.word() == text || it.number().to_string() == text)
    }

    /// Whether `list successes` shows it and dependencies count it as good.
    #[must_use]
    pub const fn is_success(self) -> bool {
        match self {
            Self::Ok | Self::Coldstart | Self::Warmstart | Self::Unknown | Self::Untested => true,
            Self::Fail | Self::Linkdown | Self::Timeout | Self::Depend | Self::Warn => false,
        }
    }

    /// Whether `list failures` shows it.
    #[must_use]
    pub const fn is_failure(self) -> bool {
        matches!(self, Self::Fail | Self::Linkdown | Self::Timeout)
    }

    /// Whether `list warnings` shows it.
    #[must_use]
    pub const fn is_warning(self) -> bool {
        matches!(
            self,
            Self::Coldstart | Self::Warmstart | Self::Unknown | Self::Warn
        )
    }
}

/// A report that came by the network instead of from a monitor (mon(8), "MON TRAPS").
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trap {
    /// The watch it is for, as sent; the engine finds the service or falls back to
    /// `default/default`.
    pub group: String,
    /// The service it is for, as sent.
    pub service: String,
    /// Exit value: 0 or empty is a success, every other text a failure; one that is no number
    /// counts as 1.
    pub status: String,
    /// First line.
    pub summary: String,
    /// The rest.
    pub detail: String,
    /// Who sent it.
    pub from: IpAddr,
}

/// What came of looking at the kernel's table.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TableOutcome {
    /// What was wanted when it was looked at; only these virtual services were looked for.
    pub wanted: Arc<Desired>,
    /// The owned part of the table as it is after the changes.
    pub table: TableLook,
    /// Connections of the owned real servers, as of the same look. Each look that finds other
    /// numbers for a real server wanted with weight 0 is told; those of others come along.
    pub connections: Arc<Connections>,
    /// What was changed.
    pub applied: Vec<Command>,
    /// How many changes had to be made although the wish was the same: someone else had
    /// changed the table.
    pub drift: usize,
    /// What somebody else changes again and again, in the order of the places: it is put right
    /// more and more seldom.
    pub contested: Vec<Contested>,
    /// What the kernel refused, with its reason.
    pub refused: Vec<(Command, String)>,
    /// Real servers that nobody declared and that stay for now.
    pub kept: Vec<KeptStranger>,
    /// Virtual services that belong to others and are missing, so that their servers wait (D7).
    pub missing: Vec<VirtualServiceKey>,
}

/// What is known of the kernel's table.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum TableLook {
    /// Nobody has looked yet.
    #[default]
    NotYet,
    /// It was read.
    Read(Arc<Table>),
    /// It could not be read, for this reason: what it has now is not known.
    Unreadable(String),
}

impl TableLook {
    /// The table, where it is known.
    #[must_use]
    pub const fn read(&self) -> Option<&Arc<Table>> {
        match self {
            Self::Read(table) => Some(table),
            Self::NotYet | Self::Unreadable(_) => None,
        }
    }

    /// Why it cannot be read.
    #[must_use]
    pub const fn unreadable(&self) -> Option<&String> {
        match self {
            Self::Unreadable(why) => Some(why),
            Self::NotYet | Self::Read(_) => None,
        }
    }
}
