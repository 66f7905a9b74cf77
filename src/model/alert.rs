//! Who is called on a change of a service, and by which rules of which periods?

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::options::{AlertOptions, masked};
use crate::period::Period;
use crate::text;

/// `alert [exit=N-M] NAME args` and its relatives.
#[derive(Clone, PartialEq)]
pub struct AlertCommand {
    /// Only for these exit values.
    pub exit: Option<ExitRange>,
    /// As written, such as `mail.alert`.
    pub name: Arc<str>,
    /// As split by mon's quoting rules.
    pub args: Vec<String>,
    /// The arguments as the file has them; see [`AlertCommand::shown`].
    pub written: Arc<str>,
    /// What the name became.
    pub program: AlertProgram,
}

impl AlertCommand {
    /// The arguments as histories, trials and logs may show them: what may be a password is `***`.
    #[must_use]
    pub fn shown_args(&self) -> Vec<String> {
        masked::words(&self.name, &self.args)
    }

    /// The arguments as the file has them, for histories and clients; in words of our own where
    /// a password is left out.
    #[must_use]
    pub fn shown(&self) -> Arc<str> {
        let shown = self.shown_args();
        if shown == self.args {
            return Arc::clone(&self.written);
        }
        text::words_line(&shown).into()
    }
}

impl fmt::Debug for AlertCommand {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("AlertCommand")
            .field("exit", &self.exit)
            .field("name", &self.name)
            .field("args", &self.shown_args())
            .field("written", &self.shown())
            .field("program", &self.program)
            .finish()
    }
}

/// What an alert's name became (D1).
#[derive(Clone, Debug, PartialEq)]
pub enum AlertProgram {
    /// An alert of our own. `lvs.alert` lines are here too, but are never sent: see
    /// [`Binding`](crate::model::Binding).
    Native(AlertOptions),
    /// A program of the search path.
    Executable(PathBuf),
    /// Neither; the call is not made and does not count, for this reason.
    Missing(String),
}

/// `N` or `N-M`, both ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExitRange {
    /// The least exit value.
    pub low: i32,
    /// The greatest.
    pub high: i32,
}

impl fmt::Display for ExitRange {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { low, high } = self;
        match low == high {
            true => write!(out, "{low}"),
            false => write!(out, "{low}-{high}"),
        }
    }
}

impl ExitRange {
    /// Whether the value lies in the range.
    #[must_use]
    pub const fn contains(self, exit: i32) -> bool {
        self.low <= exit && exit <= self.high
    }
}

/// A `period` of a service with its alert rules.
#[derive(Clone, Debug, PartialEq)]
pub struct AlertPeriod {
    /// The label, or the text of the specification where there is none.
    pub label: Arc<str>,
    /// When it holds.
    pub when: Period,
    /// For problem kinds.
    pub alerts: Vec<Arc<AlertCommand>>,
    /// For recoveries.
    pub upalerts: Vec<Arc<AlertCommand>>,
    /// For the start of the daemon.
    pub startupalerts: Vec<Arc<AlertCommand>>,
    /// For acknowledgements.
    pub ackalerts: Vec<Arc<AlertCommand>>,
    /// For `disable service`.
    pub disablealerts: Vec<Arc<AlertCommand>>,
    /// At most one alert in this time, with the rule for changed output.
    pub alertevery: Option<(Duration, Repeat)>,
    /// `alertafter NUM`: that many failures in a row.
    pub alertafter_count: Option<u32>,
    /// `alertafter NUM TIMEVAL`: that many failures inside a window.
    pub alertafter_window: Option<(u32, Duration)>,
    /// `alertafter TIMEVAL`: failing for longer than this.
    pub alertafter_time: Option<Duration>,
    /// An upalert only after an outage of at least this long.
    pub upalertafter: Option<Duration>,
    /// At most this many alerts for one outage; none for no limit.
    pub numalerts: Option<u32>,
    /// Upalerts also where no alert was sent.
    pub no_comp_alerts: bool,
    /// Its alerts are left out of `alerts_sent`.
    pub alerts_dont_count: bool,
    /// Failure alerts only for these exit values.
    pub alertexitrange: Option<ExitRange>,
}

impl AlertPeriod {
    /// A period without any line: it alerts nobody.
    #[must_use]
    pub fn new(label: Arc<str>, when: Period) -> Self {
        Self {
            label,
            when,
            alerts: Vec::new(),
            upalerts: Vec::new(),
            startupalerts: Vec::new(),
            ackalerts: Vec::new(),
            disablealerts: Vec::new(),
            alertevery: None,
            alertafter_count: None,
            alertafter_window: None,
            alertafter_time: None,
            upalertafter: None,
            numalerts: None,
            no_comp_alerts: false,
            alerts_dont_count: false,
            alertexitrange: None,
        }
    }
}

/// What a change of output does to `alertevery`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Repeat {
    /// A changed summary alerts at once.
    #[default]
    Summary,
    /// `observe_detail`: any changed output alerts at once.
    ObserveDetail,
    /// `ignore_summary`: nothing but the time counts; a success resets it.
    IgnoreSummary,
    /// `strict`: nothing but the time counts, successes included.
    Strict,
}
