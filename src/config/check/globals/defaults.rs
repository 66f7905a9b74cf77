//! What counts where the file says nothing, and what the command line says instead of it.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use crate::model::{Bind, Facility, MonitorUser};

/// Bases and folders where the file says nothing. What depends on the machine (which of
/// several folders exists) is looked up by [`crate::site`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Defaults {
    /// State folder.
    pub statedir: PathBuf,
    /// Log folder.
    pub logdir: PathBuf,
    /// On which addresses ports listen (D21).
    pub bind: Bind,
    /// Port of clients: the system's entry for mon, or its number.
    pub serverport: u16,
    /// Port of traps.
    pub trapport: u16,
    /// Where the process id goes.
    pub pidfile: Option<PathBuf>,
    /// Of the files of [`crate::config::Needs::files`] those that cannot be read, and why.
    pub unreadable: BTreeMap<PathBuf, String>,
    /// The user of [`crate::config::Needs::monitor_user`], or what is wrong with it.
    pub monitor_user: Option<Result<MonitorUser, String>>,
    /// What the command line says instead of the file.
    pub overrides: Overrides,
}

impl Default for Defaults {
    fn default() -> Self {
        Self {
            statedir: PathBuf::from("/var/lib/mon"),
            logdir: PathBuf::from("/var/log/mon"),
            bind: Bind::Loopback,
            serverport: PORT,
            trapport: PORT,
            pidfile: None,
            unreadable: BTreeMap::new(),
            monitor_user: None,
            overrides: Overrides::default(),
        }
    }
}

/// Settings that the command line gives instead of the file, at every reading of it (C-26
/// fixed); folders as in the file. Of two the file has the last word, as in mon.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Overrides {
    /// `authfile`
    pub authfile: Option<String>,
    /// `pidfile`; empty for none.
    pub pidfile: Option<String>,
    /// `histlength`
    pub histlength: Option<u32>,
    /// `maxprocs`
    pub maxprocs: Option<u32>,
    /// `serverport`
    pub serverport: Option<u16>,
    /// `trapport`
    pub trapport: Option<u16>,
    /// `randstart`
    pub randstart: Option<Duration>,
    /// `syslog_facility`, unless the file has one.
    pub syslog_facility: Option<Facility>,
    /// `basedir`
    pub basedir: Option<String>,
    /// `cfbasedir`, unless the file has one.
    pub cfbasedir: Option<String>,
    /// `statedir`
    pub statedir: Option<String>,
    /// `logdir`
    pub logdir: Option<String>,
    /// `mondir`
    pub mondir: Option<String>,
    /// `alertdir`
    pub alertdir: Option<String>,
}

pub(super) const BASEDIR: &str = "/usr/lib/mon";
pub(super) const CFBASEDIR: &str = "/etc/mon";
pub(super) const MONDIR: &str = "/usr/local/lib/mon/mon.d:mon.d";
pub(super) const ALERTDIR: &str = "/usr/local/lib/mon/alert.d:alert.d";

pub(super) const AUTHFILE: &str = "auth.cf";
pub(super) const USERFILE: &str = "monusers.cf";
pub(super) const PAMSERVICE: &str = "passwd";
pub(super) const DTLOGFILE: &str = "downtime.log";
pub(super) const MONERRFILE: &str = "/dev/null";

/// The number that IANA gave mon, for clients and for traps.
const PORT: u16 = 2583;

/// Events kept for `histlength`: mon's default.
pub(super) const HISTLENGTH: u32 = 100;

/// Levels of dependencies for `dep_recur_limit`: mon's default.
pub(super) const DEP_RECUR_LIMIT: u32 = 10;

/// Native checks at once (D22): each holds a socket, and 1024 is the usual limit of a process.
pub(super) const MAXCHECKS: u32 = 512;

/// Time limit of an executable monitor (D22).
pub(super) const MONITOR_TIMEOUT: Duration = Duration::from_secs(600);
