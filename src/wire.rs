//! What is said over the control socket: one JSON request a line, one JSON answer a line.
//!
//! Pure values, the same for both ends (`daemon::control` and [`crate::client`]).
//! Words and fields are an interface for scripts: fields are added, never renamed.

pub mod rows;
pub mod rules;

use serde::{Deserialize, Serialize};

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
    /// End every withdrawal of a real server that no upalert line would end (D4).
    Enable {
        /// Address or name, with or without a port.
        server: String,
    },
}

/// Services in one answer: so many take the loop well below a millisecond.
pub const SERVICES_PER_ANSWER: usize = 500;

/// What comes back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    /// To [`Request::Table`].
    Table(TableAnswer),
    /// To [`Request::Services`].
    Services(ServicesAnswer),
    /// To [`Request::Events`].
    Events(EventsAnswer),
    /// Carried out; a sentence for the person who asked.
    Done(String),
    /// Refused, for this reason.
    Error(String),
}

/// The wanted table against the kernel's.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TableAnswer {
    /// Who compared: `daemon`, or `file` where none was running.
    pub source: String,
    /// Every virtual service that the file names, in key order.
    pub virtual_services: Vec<VirtualServiceRow>,
    /// Why the kernel's table could not be read; then every `actual` is `unknown`.
    pub unreadable: Option<String>,
    /// What the kernel refused at the last look.
    pub refused: Vec<String>,
}

/// One virtual service of a [`TableAnswer`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VirtualServiceRow {
    /// Such as `10.0.0.3:80/tcp` or `fwmark 7`.
    pub virtual_service: String,
    /// `present`, `absent`, `as_found` or `by_others`.
    pub wanted: String,
    /// `present`, `missing` or `unknown`.
    pub actual: String,
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
    /// `in`, `out` or `as_found`.
    pub wanted: String,
    /// `in`, `out`, `differs` or `unknown`.
    pub actual: String,
    /// Whether wanted and actual agree; `as_found` agrees with everything known.
    pub agrees: bool,
    /// Why it is wanted so, or what differs.
    pub why: String,
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
    /// `ok`, `fail` or `untested`.
    pub status: String,
    /// First line of the last output.
    pub summary: String,
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
    /// `up`, `down` or `unknown`.
    pub verdict: String,
    /// The reason code; none where it is up.
    pub reason: Option<String>,
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
