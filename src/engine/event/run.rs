//! What is to be run or held: the words of [`Action::Start`](super::Action::Start) and
//! [`Action::Hold`](super::Action::Hold).

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::lead::Lead;
use crate::model::{HostName, MonitorUser, ServiceId};
use crate::options::MonitorOptions;

/// Number of a run, never used twice in the life of a daemon.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RunId(pub u64);

/// Number of a held connection, never used twice in the life of a daemon.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct WireId(pub u64);

/// An idle connection to hold to a real server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wire {
    /// Comes back in [`Event::Tripped`](super::Event::Tripped).
    pub id: WireId,
    /// Where to.
    pub host: HostName,
    /// To which addresses of the name; none where it may be any.
    pub lead: Option<Lead>,
    /// TCP.
    pub port: u16,
    /// How long to wait before it is made.
    pub wait: Duration,
}

/// What the report of a run is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// The slot has come: everything follows from it that follows from a report.
    Slot,
    /// A count of failures is running: only that count hears of it.
    Recheck,
    /// A held connection ended: as a re-check, and what refuses is down at once (D18).
    Trip,
    /// The same of one host, while a run of its service goes on.
    Beside,
    /// The name of a host leads elsewhere, and the table has its address of before (D8): that one
    /// is looked at.
    Former,
    /// Failures of others wait for its word whether the director is cut off (D17).
    Witness,
}

impl Purpose {
    /// Whether everything follows from it that follows from a report.
    #[must_use]
    pub const fn is_slot(self) -> bool {
        match self {
            Self::Slot => true,
            Self::Recheck | Self::Trip | Self::Beside | Self::Former | Self::Witness => false,
        }
    }

    /// Whether it is of one host and beside all else of its service, with a place of its own.
    #[must_use]
    pub const fn is_single(self) -> bool {
        match self {
            Self::Beside | Self::Former => true,
            Self::Slot | Self::Recheck | Self::Trip | Self::Witness => false,
        }
    }

    /// As it stands in the log.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Slot => "slot",
            Self::Recheck => "recheck",
            Self::Trip => "trip",
            Self::Beside => "beside",
            Self::Former => "former",
            Self::Witness => "witness",
        }
    }
}

/// When a run is to tell what it finds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tell {
    /// When all of it is over.
    AtItsEnd,
    /// Then, and of each host as soon as its own check is over
    /// ([`Event::HostChecked`](super::Event::HostChecked)).
    EachHost,
}

/// A monitor to run now.
#[derive(Clone, Debug, PartialEq)]
pub struct Run {
    /// Comes back in [`Event::RunEnded`](super::Event::RunEnded).
    pub id: RunId,
    /// What its report is for.
    pub purpose: Purpose,
    /// Whose run.
    pub service: ServiceId,
    /// The connections to its hosts that were let go of for it: it begins once the servers have
    /// closed them too, or have had a while to.
    pub let_go: Vec<WireId>,
    /// What to run.
    pub program: RunProgram,
    /// As whom its programs run; none for the daemon's own user.
    pub user: Option<Arc<MonitorUser>>,
    /// The hosts to check. For an executable they already stand in its arguments, where they belong
    /// there.
    pub hosts: Vec<HostName>,
    /// When it tells what it finds.
    pub tell: Tell,
    /// To which addresses a check of ours goes of names among its hosts, those of its options
    /// included; of all else to any.
    pub leads: BTreeMap<HostName, Lead>,
}

impl Run {
    /// The hosts that it looks up itself: those to check, and those that the options of a check of
    /// ours name.
    #[must_use]
    pub fn names(&self) -> Vec<HostName> {
        let own = match &self.program {
            RunProgram::Native(options) => options.own_hosts(),
            RunProgram::Executable(_) => &[],
        };
        let own = own.iter().map(|word| HostName::new(word));
        self.hosts.iter().cloned().chain(own).collect()
    }
}

/// What a run runs.
#[derive(Clone, Debug, PartialEq)]
pub enum RunProgram {
    /// A check of our own; ends by its own options (D22).
    Native(MonitorOptions),
    /// A program.
    Executable(Executable),
}

/// A program to start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Executable {
    /// The program.
    pub path: PathBuf,
    /// Its arguments, without the program's own name.
    pub args: Vec<String>,
    /// Added to the daemon's own environment; of equal names the last counts.
    pub environment: Vec<(String, String)>,
    /// Killed after this long, with its process group.
    pub limit: Duration,
}
