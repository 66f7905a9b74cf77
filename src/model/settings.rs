//! What the globals say of passwords, histories and the daemon's own files.
//!
//! Paths are rebased already; a field has the name of its setting where one setting fills it.

use std::path::PathBuf;
use std::time::Duration;

use crate::model::Facility;

/// Who a client's user is, and where commands are allowed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuthSettings {
    /// Which command is allowed to whom, and who may send traps.
    pub authfile: PathBuf,
    /// The file or the command line names it; then it has to be there.
    pub is_authfile_named: bool,
    /// How a password is looked at, in this order; what can never succeed is left out.
    pub authtype: Vec<AuthType>,
    /// Users and hashes.
    pub userfile: PathBuf,
    /// For `authtype` pam, which lvsmon does not have.
    pub pamservice: String,
}

/// How the password of a client is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AuthType {
    /// The hash in the system's list of users.
    Getpwnam,
    /// The hash in `userfile`.
    Userfile,
    /// A client of this machine may call itself anybody.
    Trustlocal,
}

/// The alert history on disk.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HistorySettings {
    /// Alert calls are appended here, and read back at the start; none: not kept on disk.
    pub historicfile: Option<PathBuf>,
    /// Only entries younger than this are read back; none: all.
    pub historictime: Option<Duration>,
}

/// The downtime log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DowntimeSettings {
    /// Whether there is one.
    pub dtlogging: bool,
    /// Where it is, or would be.
    pub dtlogfile: PathBuf,
}

/// What the daemon needs of the system for itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProcessSettings {
    /// Holds the process id while the daemon runs; none: nobody is told.
    pub pidfile: Option<PathBuf>,
    /// Takes what a daemon in the background and its programs say on both outputs.
    pub monerrfile: PathBuf,
    /// Told of every `enable`, `disable` and `test` of a client.
    pub monremote: Option<String>,
    /// How syslog sorts our lines.
    pub syslog_facility: Facility,
}
