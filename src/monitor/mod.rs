//! How hosts are checked: built-in checks and executables, options in, a report out.

pub mod exec;

use crate::engine::event::{Ended, Report};
use crate::model::HostName;
use crate::names::Names;
use crate::options::MonitorOptions;

/// The stand-ins as they are shipped in `mon.d`: file name and bytes. A file with just these
/// bytes means the built-in of its name.
pub const STAND_INS: [(&str, &[u8]); 4] = [
    ("fping.monitor", include_bytes!("../../mon.d/fping.monitor")),
    ("ftp.monitor", include_bytes!("../../mon.d/ftp.monitor")),
    ("http.monitor", include_bytes!("../../mon.d/http.monitor")),
    ("tcp.monitor", include_bytes!("../../mon.d/tcp.monitor")),
];

/// What all checks of a process share: resolver, ping sockets, TLS settings. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Tools {
    names: Names,
}

impl Tools {
    /// Opens nothing yet; sockets and files are opened by the first check that needs them.
    #[must_use]
    pub fn new(names: Names) -> Self {
        Self { names }
    }
}

/// Checks all hosts at the same time.
pub async fn check(options: &MonitorOptions, hosts: &[HostName], tools: &Tools) -> Report {
    let _ = (options, hosts, tools.names.lookup("").await);
    Report {
        ended: Ended::NotStarted("not built yet".to_owned()),
        output: Vec::new(),
        hosts: Vec::new(),
        took: std::time::Duration::ZERO,
    }
}

/// `lvsmon monitor NAME ARGS`: runs a built-in as a program and returns its exit status.
///
/// `name` with or without `.monitor`. Prints the report to standard output; 2 for wrong usage.
#[must_use]
pub fn standalone(name: &str, args: &[String]) -> u8 {
    let _ = (name, args);
    2
}
