//! Which service decides over which real server, as `lvs.alert` lines say it (D2)?

use crate::lvs::{Forwarding, Scheduler, VirtualServiceKey, Weight};
use crate::model::{HostName, ServiceId};

/// One service decides over one real server, or over one for each host (D2).
///
/// Compiled from all `alert lvs.alert` and `upalert lvs.alert` lines of a service that name
/// the same virtual service and the same real server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Binding {
    /// The service whose verdicts count.
    pub service: ServiceId,
    /// `-P` and `-V`.
    pub virtual_service: VirtualServiceKey,
    /// `-R`, or each host of the hostgroup (D8).
    pub real: BoundServers,
    /// `-F` and `-W`, those of the upalert line where both say it (D11).
    pub forwarding: Forwarding,
    /// See `forwarding`.
    pub weight: Weight,
    /// Who makes the virtual service.
    pub creation: Creation,
    /// `-D`: a failing service withdraws the virtual service itself.
    pub withdraws: Withdraws,
    /// What ends a withdrawal (D4).
    pub ends: Ends,
}

/// Which real servers a binding speaks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BoundServers {
    /// `-R HOST[:PORT]`: this one; the verdict of the service as a whole counts (D9).
    One {
        /// Address or name.
        host: HostName,
        /// Port, 0 in a mark service.
        port: u16,
    },
    /// No `-R`: each host of the hostgroup, by its own result.
    EachHost {
        /// `-p`, or the port of the virtual service; 0 in a mark service.
        port: u16,
    },
}

/// Who makes the virtual service of a binding (D7).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Creation {
    /// Whoever sets up the director; when it is missing we say so and wait.
    ByOthers,
    /// `-B`: made when absent, with `-S SCHEDULER` or `wlc`; an existing one keeps its own.
    ByUs(Scheduler),
}

/// What a failing service takes away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Withdraws {
    /// The real server.
    RealServer,
    /// `-D`: the virtual service and all in it.
    VirtualService,
}

/// What ends a withdrawal (D4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ends {
    /// The next success; an `upalert lvs.alert` line is there.
    WithSuccess,
    /// `lvsmon enable`; no upalert line names the entry.
    ByOperator,
}
