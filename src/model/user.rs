//! As whom monitors run that are programs: `monitor_user` (D28).

use std::path::PathBuf;
use std::sync::Arc;

/// A user of this machine, with everything that a program needs to run as that user: looked up
/// once, when the file is read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MonitorUser {
    /// As written.
    pub name: Arc<str>,
    /// Its number.
    pub uid: u32,
    /// Its own group.
    pub gid: u32,
    /// All its groups.
    pub groups: Vec<u32>,
    /// Its home folder.
    pub home: PathBuf,
}
