//! What the configuration means: hostgroups, watches, services, periods, bindings, virtual
//! services.
//!
//! Immutable after construction and valid by construction: the engine has no branch for a
//! wrong configuration. Built by [`crate::config`]; a test may build one by hand. State
//! (counters, times, verdicts) is not here but in [`crate::engine`].
//!
//! | Question | File |
//! |---|---|
//! | who is called on a change of a service, and by which rules | `alert` |
//! | which services does a service depend on | `depend` |
//! | does the end of a connection tell a service to check | `tripwire` |
//! | which service decides over which real server | `binding` |
//! | what does a `virtual` section say | `declared` |
//! | which service has this name | `names` |
//! | how does mail leave this machine | `mail` |
//! | who may be a client, and where do the ports listen | `clients`, `listener` |
//! | as whom do programs run, and what gets syslog | `user`, `facility` |
//! | what do the globals say of passwords, histories and files | `settings` |

mod alert;
mod binding;
mod clients;
mod declared;
mod depend;
mod facility;
mod listener;
mod mail;
mod names;
mod settings;
mod tripwire;
mod user;

use std::fmt;
use std::net::{Ipv6Addr, SocketAddrV6};
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

pub use alert::{AlertCommand, AlertPeriod, AlertProgram, ExitRange, Repeat};
pub use binding::{Binding, BoundServers, Creation, Ends, Withdraws};
pub use clients::{ClientPattern, Clients};
pub use declared::{
    Counts, DeclaredJudge, DeclaredServer, DeclaredService, Fallback, Initial, JudgedBy, MinLive,
    OnExit, OnFailure, OwnRules, WITNESS_ANSWER_MAX, WeightFrom,
};
pub use depend::{DependBehavior, DependKind, Dependency, Depth};
pub use facility::Facility;
pub use listener::{Bind, Listener, MetricsSettings};
pub use mail::{MailRelay, MailSettings};
pub(crate) use names::ServiceNames;
pub use settings::{AuthSettings, AuthType, DowntimeSettings, HistorySettings, ProcessSettings};
pub use tripwire::Tripwire;
pub use user::MonitorUser;

use crate::digest::Digest;
use crate::options::MonitorOptions;
use crate::pair::PairSettings;
use crate::pair::talk::PeerSettings;
use crate::period::Period;

/// A host word of a hostgroup: a name, an address, or anything a monitor understands.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HostName(Arc<str>);

impl HostName {
    /// The host of that name.
    #[must_use]
    pub fn new(name: &str) -> Self {
        Self(name.into())
    }

    /// As it stands in the file.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// As people write it with a port: an IPv6 address in brackets.
    #[must_use]
    pub fn with_port(&self, port: u16) -> String {
        match self.0.parse::<Ipv6Addr>() {
            Ok(address) => SocketAddrV6::new(address, port, 0, 0).to_string(),
            Err(_) => format!("{self}:{port}"),
        }
    }
}

impl fmt::Display for HostName {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(out)
    }
}

/// Index of a service in [`Model::services`]: file order over all watches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ServiceId(pub u32);

impl ServiceId {
    /// As an index.
    #[must_use]
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

/// Index of a hostgroup in [`Model::hostgroups`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct GroupId(pub u32);

impl GroupId {
    /// As an index.
    #[must_use]
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

/// Everything one configuration says.
#[derive(Clone, Debug, PartialEq)]
pub struct Model {
    /// The `name = value` settings.
    pub globals: Globals,
    /// In file order; a watch without a hostgroup has one made of its own name.
    pub hostgroups: Vec<Hostgroup>,
    /// In file order, services of one watch side by side.
    pub services: Vec<Service>,
    /// What `lvs.alert` lines compile to, in file order.
    pub bindings: Vec<Binding>,
    /// `witness = GROUP:SERVICE ...`: whether the director itself reaches anything (D17); any of
    /// them that is good is enough. A `virtual` section may name its own.
    pub witnesses: Vec<ServiceId>,
    /// `virtual` sections, in file order.
    pub virtual_services: Vec<DeclaredService>,
    /// `alias` records: name and lines.
    pub aliases: Vec<(Arc<str>, Vec<String>)>,
    /// `view` records: name and members (`GROUP` or `GROUP:SERVICE`).
    pub views: Vec<(Arc<str>, Vec<String>)>,
}

impl Model {
    /// The service with that index.
    #[must_use]
    pub fn service(&self, id: ServiceId) -> &Service {
        &self.services[id.index()]
    }

    /// The hostgroup that a service watches.
    #[must_use]
    pub fn hostgroup(&self, id: ServiceId) -> &Hostgroup {
        &self.hostgroups[self.service(id).hostgroup.index()]
    }

    /// All services with their indexes, in file order.
    pub fn services(&self) -> impl Iterator<Item = (ServiceId, &Service)> {
        (0_u32..).map(ServiceId).zip(&self.services)
    }
}

/// `hostgroup NAME host...`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hostgroup {
    /// Its name.
    pub name: Arc<str>,
    /// Its members in file order.
    pub members: Vec<Member>,
}

/// A host in a hostgroup.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// The host.
    pub host: HostName,
    /// Written `*host`: disabled from the start (C-10).
    pub starts_disabled: bool,
}

/// The `name = value` settings with their defaults filled in; paths already rebased
/// (docs/mon.md, "Reading").
#[derive(Clone, Debug, PartialEq)]
pub struct Globals {
    /// Search path of alerts.
    pub alertdir: Vec<PathBuf>,
    /// Search path of monitors.
    pub mondir: Vec<PathBuf>,
    /// Base of the other folders.
    pub basedir: PathBuf,
    /// Base of `authfile` and `userfile`; `MON_CFBASEDIR`.
    pub cfbasedir: PathBuf,
    /// State folder; `MON_STATEDIR`.
    pub statedir: PathBuf,
    /// Log folder; `MON_LOGDIR`.
    pub logdir: PathBuf,
    /// Child processes of monitors at once; none for no limit.
    pub maxprocs: Option<u32>,
    /// Native checks at once.
    pub maxchecks: u32,
    /// Time limit of an executable monitor.
    pub monitor_timeout: Duration,
    /// As whom monitors run that are programs; none for the daemon's own user.
    pub monitor_user: Option<Arc<MonitorUser>>,
    /// Upper bound of the random first delay.
    pub randstart: Option<Duration>,
    /// No timer advances inside it.
    pub exclude_period: Option<Period>,
    /// Entries of the alert and failure histories.
    pub histlength: u32,
    /// Deepest dependency.
    pub dep_recur_limit: u32,
    /// Run startup alerts at a reset too.
    pub startupalerts_on_reset: bool,
    /// How the kernel's table is reached.
    pub ipvs_backend: IpvsBackend,
    /// `lvs.alert` and `ipvs.alert` are the scripts of those names again (D1).
    pub external_lvs_alert: bool,
    /// Where mail goes.
    pub mail: MailSettings,
    /// Where clients connect.
    pub server: Listener,
    /// Where traps arrive.
    pub trap: Listener,
    /// Who may connect.
    pub clients: Clients,
    /// Where numbers are read.
    pub metrics: MetricsSettings,
    /// The other director.
    pub pair: PairSettings,
    /// Who may do what.
    pub auth: AuthSettings,
    /// The alert history on disk.
    pub history: HistorySettings,
    /// The downtime log.
    pub downtime: DowntimeSettings,
    /// What the daemon needs of the system for itself.
    pub process: ProcessSettings,
    /// The other director of the pair.
    pub peer: PeerSettings,
}

impl Globals {
    /// The settings of ports that are not set, so that they are reached from this machine only
    /// (D21): `serverbind`, `trapbind`, or both with "and" between.
    #[must_use]
    pub fn unbound_ports(&self) -> Option<&'static str> {
        let is_unset = |listener: &Listener| listener.bind == Bind::Loopback;
        match (is_unset(&self.server), is_unset(&self.trap)) {
            (true, true) => Some("serverbind and trapbind"),
            (true, false) => Some("serverbind"),
            (false, true) => Some("trapbind"),
            (false, false) => None,
        }
    }
}

/// Where the kernel's table is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum IpvsBackend {
    /// Generic netlink.
    #[default]
    Netlink,
    /// The program ipvsadm.
    Ipvsadm,
    /// A table in memory; changes no kernel. Only where the file asks for it.
    Memory,
}

impl fmt::Display for IpvsBackend {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Netlink => "netlink",
            Self::Ipvsadm => "ipvsadm",
            Self::Memory => "memory",
        })
    }
}

impl FromStr for IpvsBackend {
    type Err = String;

    /// `netlink`, `ipvsadm` or `memory`.
    fn from_str(word: &str) -> Result<Self, Self::Err> {
        Ok(match word {
            "netlink" => Self::Netlink,
            "ipvsadm" => Self::Ipvsadm,
            "memory" => Self::Memory,
            _ => return Err("write netlink, ipvsadm or memory".to_owned()),
        })
    }
}

/// A `service` of a `watch`.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct Service {
    /// The watch it stands in.
    pub group: Arc<str>,
    /// The hostgroup of that name.
    pub hostgroup: GroupId,
    /// Its own name.
    pub name: Arc<str>,
    /// Free text; `MON_DESCRIPTION`.
    pub description: Option<Arc<str>>,
    /// Time from start to start; none: never polled.
    pub interval: Option<Duration>,
    /// The interval while it fails.
    pub failure_interval: Option<Duration>,
    /// Jitter added to or taken from each interval.
    pub randskew: Option<Duration>,
    /// What checks it; none: traps only.
    pub monitor: Option<Arc<MonitorCommand>>,
    /// Run the monitor even with no host left.
    pub allow_empty_group: bool,
    /// Hosts that are never passed to the monitor.
    pub exclude_hosts: Vec<HostName>,
    /// No run starts inside it.
    pub exclude_period: Option<Period>,
    /// As it stands in the file.
    pub exclude_period_text: Option<Arc<str>>,
    /// Without a trap for this long it fails.
    pub traptimeout: Option<Duration>,
    /// A failure trap ends by itself after this long.
    pub trapduration: Option<Duration>,
    /// That end is a recovery like any other, with upalerts (E-2).
    pub trapduration_upalert: bool,
    /// Dependencies, each keyword at most once, in file order.
    pub depend: Vec<(DependKind, Dependency)>,
    /// What `depend` acts on.
    pub dep_behavior: DependBehavior,
    /// A parent counts as failing for this long after it came back.
    pub dep_memory: Option<Duration>,
    /// Called on every event.
    pub redistribute: Option<Arc<AlertCommand>>,
    /// A changed summary ends an acknowledgement.
    pub unack_summary: bool,
    /// With no member named by a failing executable, all are failing (D9).
    pub all_hosts_on_failure: bool,
    /// Whether the end of an idle connection is a reason to check at once (D18).
    pub tripwire: Tripwire,
    /// `NAME=value` lines, in file order.
    pub environment: Vec<(Arc<str>, Arc<str>)>,
    /// In file order.
    pub periods: Vec<AlertPeriod>,
}

impl Service {
    /// A service that says nothing but its name: mon's defaults.
    #[must_use]
    pub fn new(group: Arc<str>, hostgroup: GroupId, name: Arc<str>) -> Self {
        Self {
            group,
            hostgroup,
            name,
            ..Self::default()
        }
    }
}

/// `monitor NAME args`
#[derive(Clone, Debug, PartialEq)]
pub struct MonitorCommand {
    /// As written, such as `http.monitor`.
    pub name: Arc<str>,
    /// As split by mon's quoting rules.
    pub args: Vec<String>,
    /// Name and arguments as the file has them, which is what clients are shown.
    pub written: Arc<str>,
    /// Without `;;` at the end, the hosts follow the arguments.
    pub appends_hosts: bool,
    /// What the name became.
    pub program: MonitorProgram,
}

impl MonitorCommand {
    /// Whether both run the same, however they are written.
    #[must_use]
    pub fn runs_as(&self, other: &Self) -> bool {
        self.name == other.name
            && self.args == other.args
            && self.appends_hosts == other.appends_hosts
            && self.program == other.program
    }

    /// What it runs, in short: another one where [`Self::runs_as`] says so of two files.
    #[must_use]
    pub fn digest(&self) -> Digest {
        let (kind, path) = match &self.program {
            MonitorProgram::Native(_) => ("native", None),
            MonitorProgram::Executable(path) => ("executable", Some(path.to_string_lossy())),
            MonitorProgram::Missing(_) => ("missing", None),
        };
        let hosts = if self.appends_hosts { "hosts" } else { "" };
        let first = [kind, path.as_deref().unwrap_or_default(), hosts, &self.name];
        Digest::of_list(
            first
                .into_iter()
                .chain(self.args.iter().map(String::as_str)),
        )
    }
}

/// What a monitor's name became (D1).
#[derive(Clone, Debug, PartialEq)]
pub enum MonitorProgram {
    /// A check of our own, in-process.
    Native(MonitorOptions),
    /// A program of the search path.
    Executable(PathBuf),
    /// Neither; each run fails with this reason.
    Missing(String),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_monitor_that_runs_otherwise_has_another_digest() {
        let program = MonitorProgram::Executable("/usr/lib/mon/mon.d/a.monitor".into());
        let one = MonitorCommand {
            name: "a.monitor".into(),
            args: vec!["-p".to_owned(), "80".to_owned()],
            written: "a.monitor -p 80".into(),
            appends_hosts: true,
            program,
        };
        let spaced = MonitorCommand {
            written: "a.monitor  -p 80".into(),
            ..one.clone()
        };
        assert!(one.runs_as(&spaced));
        assert_eq!(one.digest(), spaced.digest());
        let others = [
            MonitorCommand {
                name: "b.monitor".into(),
                ..one.clone()
            },
            MonitorCommand {
                args: vec!["-p80".to_owned()],
                ..one.clone()
            },
            MonitorCommand {
                appends_hosts: false,
                ..one.clone()
            },
            MonitorCommand {
                program: MonitorProgram::Executable("/etc/mon/a.monitor".into()),
                ..one.clone()
            },
            MonitorCommand {
                program: MonitorProgram::Missing("no such file".to_owned()),
                ..one.clone()
            },
        ];
        for other in others {
            assert!(!one.runs_as(&other), "{other:?}");
            assert_ne!(one.digest(), other.digest(), "{other:?}");
        }
    }

    #[test]
    fn an_ipv6_address_stands_in_brackets_before_its_port() {
        for (host, written) in [
            ("fd00::5", "[fd00::5]:80"),
            ("10.0.0.5", "10.0.0.5:80"),
            ("web1", "web1:80"),
        ] {
            assert_eq!(HostName::new(host).with_port(80), written);
        }
    }
}
