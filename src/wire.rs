//! What is said over the control socket: one JSON request a line, one JSON answer a line.
//!
//! Pure values, the same for both ends (`daemon::control` and [`crate::client`]).
//! Words and fields are an interface for scripts: fields are added, never renamed.
//!
//! | Question | File |
//! |---|---|
//! | how does the wanted table look beside the kernel's | `table` |
//! | why is a service as it is | `why` |
//! | what does it depend on | `depends` |
//! | why is it not checked | `held_up` |
//! | by which rules are its alerts held back | `rules` |
//! | why is a real server in or out | `server` |
//! | who else writes in the table | `contest` |
//! | what is known of the services | `services` |
//! | what do operators ask for | `wishes` |
//! | which role has this director, and is it well | `role` |
//! | which reload was refused | `reload` |
//! | why is what is asked not told or done | `refusal` |
//! | what is told in numbers | `metrics` |

pub mod contest;
mod depends;
mod held_up;
pub mod metrics;
pub mod refusal;
pub mod reload;
pub mod role;
pub mod rules;
pub mod server;
pub mod services;
pub mod table;
pub mod why;
pub mod wishes;

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::engine::event::{Aim, Caution, ManualWish, Reason};
use crate::pair::{InstanceName, State};
use crate::wire::metrics::MetricsAnswer;
use crate::wire::refusal::Refusal;
use crate::wire::role::{HealthAnswer, RoleAnswer};
use crate::wire::server::{OperatorRow, ServerAnswer};
use crate::wire::why::WhyAnswer;

/// What may be asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "request", rename_all = "snake_case")]
pub enum Request {
    /// The wanted table against the kernel's.
    Table,
    /// The state of the services, from this index of file order on, at most
    /// [`SERVICES_PER_ANSWER`] of them.
    Services {
        /// Index of the first; see [`ServicesAnswer::next`].
        #[serde(default)]
        from: usize,
    },
    /// What happened lately.
    Events {
        /// Only those with a greater number; see [`EventRow::number`].
        #[serde(default)]
        after: u64,
    },
    /// Everything about one service.
    Why {
        /// Its watch.
        group: String,
        /// Its name.
        service: String,
    },
    /// What an operator wishes of real servers.
    Wish(Desire),
    /// Everything about the real servers that a person means.
    Server(Aim),
    /// End what operators wished of a real server, and every withdrawal of it that no upalert line
    /// would end (D4).
    Enable {
        /// Address or name, with or without a port.
        server: String,
        /// Only in this virtual service.
        #[serde(default)]
        within: Option<String>,
    },
    /// What this director is to the other one.
    Role,
    /// Somebody says what it is: a notify script of the VRRP daemon, or a person.
    SetRole {
        /// Of which instance; none: of all.
        #[serde(default)]
        instance: Option<InstanceName>,
        /// What it is.
        state: State,
    },
    /// Whether anything is stuck.
    Health,
    /// Everything in numbers.
    Metrics,
}

/// What a request is to the daemon.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sort {
    /// It changes nothing.
    Question,
    /// What a person wishes, and is told whether it was done: left out where nobody waits any more.
    Wish,
    /// What became of this director: a VRRP daemon says it once, and it counts however late.
    Fact,
}

impl Request {
    /// What it is to the daemon.
    #[must_use]
    pub const fn sort(&self) -> Sort {
        match self {
            Self::Wish(_) | Self::Enable { .. } => Sort::Wish,
            Self::SetRole { .. } => Sort::Fact,
            Self::Table
            | Self::Services { .. }
            | Self::Events { .. }
            | Self::Why { .. }
            | Self::Server(_)
            | Self::Role
            | Self::Health
            | Self::Metrics => Sort::Question,
        }
    }

    /// Whether the director's place in its pair hangs on the answer, so that it has to come also
    /// where many others ask: what a VRRP daemon asks and says.
    #[must_use]
    pub const fn is_of_role(&self) -> bool {
        matches!(self, Self::Role | Self::SetRole { .. } | Self::Health)
    }
}

/// A request, and how long its answer is waited for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Asked {
    /// What is asked.
    #[serde(flatten)]
    pub request: Request,
    /// Nobody waits any more from then on: milliseconds since the machine started, those that it
    /// slept through included. A daemon that finds a wish later changes nothing; a role counts
    /// however late.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until_ms: Option<u64>,
}

/// What an operator wishes of real servers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Desire {
    /// Of which.
    #[serde(flatten)]
    pub aim: Aim,
    /// What.
    pub wish: ManualWish,
    /// It ends by itself after so many seconds.
    #[serde(default)]
    pub for_s: Option<u64>,
    /// Who asks, where the client knows more than the user it runs as.
    #[serde(default)]
    pub login: Option<String>,
    /// Why, for those who read it later.
    #[serde(default)]
    pub reason: String,
    /// What if it leaves fewer real servers than `min_live`.
    #[serde(default)]
    pub caution: Caution,
}

/// Services in one answer: so many take the loop well below a millisecond.
pub const SERVICES_PER_ANSWER: usize = 500;

/// What comes back.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    /// To [`Request::Table`].
    Table(TableAnswer),
    /// To [`Request::Services`].
    Services(ServicesAnswer),
    /// To [`Request::Events`].
    Events(EventsAnswer),
    /// To [`Request::Why`].
    Why(Box<WhyAnswer>),
    /// To [`Request::Role`].
    Role(Box<RoleAnswer>),
    /// To [`Request::Health`].
    Health(HealthAnswer),
    /// To [`Request::Metrics`].
    Metrics(Box<MetricsAnswer>),
    /// To [`Request::Server`].
    Server(Box<ServerAnswer>),
    /// Carried out; a sentence for the person who asked.
    Done(String),
    /// Refused, for this reason.
    Error(Refusal),
}

/// An enum whose variants are words in JSON, and the same words where a person reads them.
macro_rules! words {
    ($(#[$about:meta])* $name:ident { $($(#[$meaning:meta])* $variant:ident = $word:literal,)* }) => {
        $(#[$about])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
        pub enum $name {
            $($(#[$meaning])* #[serde(rename = $word)] $variant,)*
        }

        impl $name {
            /// The word in JSON.
            #[must_use]
            pub const fn word(self) -> &'static str {
                match self {
                    $(Self::$variant => $word,)*
                }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.write_str(&self.word().replace('_', " "))
            }
        }
    };
}

words! {
    /// Who compared the tables.
    Source {
        /// A running daemon.
        Daemon = "daemon",
        /// A running daemon that only observes.
        Observer = "observer",
        /// The command line, where none was running.
        File = "file",
    }
}

words! {
    /// What is wanted of a virtual service.
    ServiceWanted {
        /// It is ours and is to be there.
        Present = "present",
        /// It is ours and is to be away.
        Absent = "absent",
        /// It stays as it is, for now.
        AsFound = "as_found",
        /// It belongs to whoever made it.
        ByOthers = "by_others",
    }
}

words! {
    /// What was seen of a virtual service.
    ServiceActual {
        /// It is there.
        Present = "present",
        /// It is not.
        Missing = "missing",
        /// Nobody could look.
        Unknown = "unknown",
    }
}

words! {
    /// What is wanted of a real server.
    ServerWanted {
        /// It is to be in the table.
        In = "in",
        /// It is to be out of it.
        Out = "out",
        /// It stays as it is, for now.
        AsFound = "as_found",
    }
}

words! {
    /// What was seen of a real server.
    ServerActual {
        /// It is in the table.
        In = "in",
        /// It is not.
        Out = "out",
        /// It is, with other settings.
        Differs = "differs",
        /// Nobody could look.
        Unknown = "unknown",
    }
}

words! {
    /// What the last report said of a host.
    Verdict {
        /// It is well.
        Up = "up",
        /// It fails.
        Down = "down",
        /// The report does not say, or there was none.
        Unknown = "unknown",
    }
}

words! {
    /// The status of a service, by mon's words.
    ServiceStatus {
        /// It fails.
        Fail = "fail",
        /// It is good.
        Ok = "ok",
        /// Like all that follow but `untested` only set by a person.
        Coldstart = "coldstart",
        /// A warm start.
        Warmstart = "warmstart",
        /// A link is down.
        Linkdown = "linkdown",
        /// Nobody knows.
        Unknown = "unknown",
        /// No answer.
        Timeout = "timeout",
        /// Not reported on yet.
        Untested = "untested",
        /// What it depends on fails.
        Dependency = "dependency",
        /// Not quite good.
        Warn = "warn",
    }
}

/// The wanted table against the kernel's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TableAnswer {
    /// Who compared.
    pub source: Source,
    /// Every virtual service that the file names, in key order.
    pub virtual_services: Vec<VirtualServiceRow>,
    /// Why the kernel's table could not be read; then every `actual` is `unknown`.
    pub unreadable: Option<String>,
    /// What the kernel refused at the last look; of an observer what it would change.
    pub refused: Vec<String>,
    /// What somebody else changes again and again.
    #[serde(default)]
    pub contested: Vec<contest::ContestRow>,
    /// Where failures of those who decide count for nothing, since the director is cut off.
    #[serde(default)]
    pub cut_off: Vec<why::CutOffRow>,
    /// What is wished of real servers that the file no longer has.
    #[serde(default)]
    pub lost: Vec<LostRow>,
    /// Connection synchronisation, where the file asks for it or, without a daemon, some runs.
    #[serde(default)]
    pub sync: Option<role::SyncRow>,
}

/// A wish for a real server that the file no longer has.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LostRow {
    /// Such as `10.0.0.3:80/tcp`.
    pub virtual_service: String,
    /// Such as `192.168.0.1:80`.
    pub real_server: String,
    /// What an operator wishes of it.
    pub operator: server::OperatorRow,
    /// Until then it is kept, in Unix seconds, unless the file has the server again.
    pub kept_until: i64,
}

/// One virtual service of a [`TableAnswer`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VirtualServiceRow {
    /// Such as `10.0.0.3:80/tcp` or `fwmark 7`.
    pub virtual_service: String,
    /// What is wanted of it.
    pub wanted: ServiceWanted,
    /// What was seen of it.
    pub actual: ServiceActual,
    /// That of the kernel, else the wanted one.
    pub scheduler: Option<String>,
    /// Its owned real servers, in key order.
    pub real_servers: Vec<RealServerRow>,
}

/// One real server of a [`VirtualServiceRow`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RealServerRow {
    /// Such as `192.168.0.1:80`.
    pub real_server: String,
    /// `dr`, `nat` or `tun`: wanted, else that of the kernel.
    pub forwarding: Option<String>,
    /// Wanted, else that of the kernel.
    pub weight: Option<u32>,
    /// What is wanted of it.
    pub wanted: ServerWanted,
    /// What was seen of it.
    pub actual: ServerActual,
    /// Its connections at the newest look; none where it is not in the table.
    #[serde(default)]
    pub connections: Option<ConnectionsRow>,
    /// What an operator wishes of it.
    #[serde(default)]
    pub operator: Option<OperatorRow>,
    /// The kernel has it in a virtual service of ours, and nobody declared it.
    #[serde(default)]
    pub stranger: bool,
    /// Whether a verdict is known of each service that decides about it.
    #[serde(default)]
    pub checked: bool,
    /// Whether wanted and actual agree; `as_found` agrees with everything known.
    pub agrees: bool,
    /// Why it is wanted so, or what differs.
    pub why: String,
}

/// Connections of a real server in its virtual service, as `ipvsadm -L` counts them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConnectionsRow {
    /// Established.
    pub active: u32,
    /// All others that the kernel still remembers; all of UDP.
    pub inactive: u32,
    /// Clients that persistence ties to the server.
    pub persistent: u32,
}

/// The state of some services.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServicesAnswer {
    /// In file order.
    pub services: Vec<ServiceRow>,
    /// Where to go on; none at the end.
    pub next: Option<usize>,
}

/// One service of a [`ServicesAnswer`]. Times are Unix seconds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServiceRow {
    /// Its watch.
    pub group: String,
    /// Its name.
    pub service: String,
    /// As mon calls it.
    pub status: ServiceStatus,
    /// First line of the last output.
    pub summary: String,
    /// Whether it was checked at least once, or heard of by a trap.
    #[serde(default)]
    pub checked: bool,
    /// When it was checked last.
    pub last_check: Option<i64>,
    /// When it was good last.
    pub last_success: Option<i64>,
    /// When it failed last.
    pub last_failure: Option<i64>,
    /// When the present outage began.
    pub first_failure: Option<i64>,
    /// Failures in a row.
    pub failures: u64,
    /// Alerts of the present outage.
    pub alerts_sent: u64,
    /// Whether a check is going on.
    pub running: bool,
    /// What the last report said of each host.
    pub hosts: Vec<HostRow>,
}

/// One host of a [`ServiceRow`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostRow {
    /// As it stands in the hostgroup.
    pub host: String,
    /// What was found.
    pub verdict: Verdict,
    /// Why; none where it is up.
    pub reason: Option<Reason>,
    /// One line for a person.
    pub text: String,
}

/// What happened lately.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventsAnswer {
    /// Oldest first.
    pub events: Vec<EventRow>,
}

/// One thing that happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventRow {
    /// Counted from 1 in the life of a daemon; a gap means that older ones were dropped.
    pub number: u64,
    /// Unix time in microseconds.
    pub time: i64,
    /// What kind, a constant word such as `service_down`.
    pub kind: String,
    /// `GROUP/SERVICE`; none where it concerns no service.
    pub service: Option<String>,
    /// One line for a person.
    pub text: String,
}
