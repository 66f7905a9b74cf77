//! Why a table could not be read or changed: what, where, what to do.

use std::fmt;
use std::time::Duration;

use crate::lvs::{Command, SyncChange, VirtualService};
use crate::time::Readable;

/// A table that could not be read, or a change that was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IpvsError {
    /// What was tried; none where the table was to be read.
    pub command: Option<Command>,
    /// Why it did not work.
    pub refusal: IpvsRefusal,
}

impl fmt::Display for IpvsError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.command {
            Some(command) => write!(out, "cannot {command}: {}", self.refusal),
            None => write!(
                out,
                "cannot read the virtual server table: {}",
                self.refusal
            ),
        }
    }
}

impl std::error::Error for IpvsError {}

/// Synchronisation daemons or timeouts that could not be read, or a change that was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SyncError {
    /// What was tried; none where something was to be read.
    pub change: Option<SyncChange>,
    /// Why it did not work.
    pub refusal: IpvsRefusal,
}

impl fmt::Display for SyncError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.change {
            Some(change) => write!(out, "cannot {change}: {}", self.refusal),
            None => write!(
                out,
                "cannot read the settings of connections: {}",
                self.refusal
            ),
        }
    }
}

impl std::error::Error for SyncError {}

/// Why it was not done: as the kernel says, the program that speaks for it, or this daemon, which
/// only observes or waits no longer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum IpvsRefusal {
    /// The kernel has no IPVS.
    NoModule,
    /// The right is missing.
    NotPermitted,
    /// No scheduler of the name that a virtual service asks for.
    NoScheduler(String),
    /// No scheduler or no persistence engine of these names: the kernel does not say which.
    NoSchedulerOrEngine(String, String),
    /// The virtual service is not there.
    NoSuchService,
    /// The real server is not there.
    NoSuchServer,
    /// The entry is already there.
    Exists,
    /// No synchronisation daemon of that role runs.
    NotRunning,
    /// There is no network interface of that name.
    NoInterface(String),
    /// Connections cannot be synchronised as the table is, or with these settings.
    SyncImpossible,
    /// No answer for this long.
    TimedOut(Duration),
    /// The table changed during each of this many readings.
    KeepsChanging(u32),
    /// The program could not be started, for this reason.
    NoProgram(String),
    /// This daemon only observes.
    OnlyObserved,
    /// Any other reason, in the words of whoever said it.
    Other(String),
}

impl IpvsRefusal {
    /// What is missing where the kernel knows a name in these settings not.
    pub(super) fn unknown_name(service: &VirtualService) -> Self {
        let scheduler = service.scheduler.to_string();
        match &service.persistence_engine {
            None => Self::NoScheduler(scheduler),
            Some(engine) => Self::NoSchedulerOrEngine(scheduler, engine.to_string()),
        }
    }

    /// Whether any other change would be refused for the same reason, or would only wait as
    /// long for no answer.
    #[must_use]
    pub const fn is_general(&self) -> bool {
        match self {
            Self::NoModule
            | Self::NotPermitted
            | Self::TimedOut(_)
            | Self::NoProgram(_)
            | Self::OnlyObserved => true,
            Self::NoScheduler(_)
            | Self::NoSchedulerOrEngine(..)
            | Self::NoSuchService
            | Self::NoSuchServer
            | Self::Exists
            | Self::NotRunning
            | Self::NoInterface(_)
            | Self::SyncImpossible
            | Self::KeepsChanging(_)
            | Self::Other(_) => false,
        }
    }
}

impl fmt::Display for IpvsRefusal {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoModule => out.write_str(
                "the kernel has no IPVS; load it with `modprobe ip_vs`, and at each boot \
                 through /etc/modules-load.d",
            ),
            Self::NotPermitted => out.write_str(
                "operation not permitted; lvsmon needs CAP_NET_ADMIN (see README, \"Rights\")",
            ),
            Self::NoScheduler(name) => write!(
                out,
                "the kernel has no scheduler \"{name}\"; load it with `modprobe ip_vs_{name}`, \
                 or name another one: with `scheduler` in a virtual section, with -S of lvs.alert",
            ),
            Self::NoSchedulerOrEngine(name, engine) => write!(
                out,
                "the kernel has no scheduler \"{name}\" or no persistence engine \"{engine}\"; \
                 load them with `modprobe ip_vs_{name}` and `modprobe ip_vs_pe_{engine}`, or name \
                 others",
            ),
            Self::NoSuchService => out.write_str(
                "the virtual service is not there; whoever made it has removed it, or -B lets \
                 lvsmon make it",
            ),
            Self::NoSuchServer => out.write_str("the real server is not there"),
            Self::Exists => out.write_str("it is already there"),
            Self::NotRunning => out.write_str("it does not run"),
            Self::NoInterface(name) => write!(out, "there is no network interface \"{name}\""),
            Self::SyncImpossible => out.write_str(
                "connections cannot be synchronised so: while it runs each real server has the \
                 address family of its virtual service, and its group is a multicast address",
            ),
            Self::TimedOut(limit) => write!(
                out,
                "no answer within {}; the next look tries again",
                Readable(*limit)
            ),
            Self::KeepsChanging(times) => write!(
                out,
                "it changed during each of {times} readings; the next look tries again",
            ),
            Self::NoProgram(why) => write!(
                out,
                "ipvsadm could not be started: {why}; install the package ipvsadm, or set \
                 `ipvs_backend = netlink`",
            ),
            Self::OnlyObserved => out.write_str("lvsmon only observes here (run --observe)"),
            Self::Other(why) => out.write_str(why),
        }
    }
}
