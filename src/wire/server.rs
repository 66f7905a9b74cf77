//! The answer to "why" of a real server: is it in or out, since when, who says so, what has the
//! kernel, and what would bring it back. Pure.
//!
//! Everything a person needs at three in the morning is here in words and numbers; times are
//! Unix seconds, for the reader's own zone.
//!
//! | Question | File |
//! |---|---|
//! | what did a service say of it, and is that still being said | `said` |
//! | why does such a verdict not change | `frozen` |
//! | which services decide over it | `judges` |
//! | how does it stand in its `virtual` section | `section` |
//! | who gives it its weight | `weight` |
//! | what does its drain wait for | `drain` |
//! | what has to happen before it is back | `back` |
//! | what keeps it out though a person enabled it | `still_out` |
//! | which look at the table is spoken of | `look` |
//! | what if nobody declared it | `strangers` |

mod back;
mod drain;
#[cfg(test)]
pub(crate) mod fixture;
mod frozen;
mod judges;
mod look;
mod said;
mod section;
mod still_out;
mod strangers;
mod weight;

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::engine::Engine;
use crate::engine::desired::{RealServerView, ServerRole, Withdrawal};
use crate::engine::event::{Aim, HostVerdict, ManualWish, Miss, Reason, Status, TableOutcome};
use crate::engine::manual::{DrainView, Drained, Effect, Heed, ManualView};
use crate::engine::recent::About;
use crate::lvs::{Command, RealServerKey, ServerWish, VirtualServiceKey, Weight};
use crate::model::{Ends, HostName, ServiceId};
use crate::text;
use crate::time::{Now, Readable, Wall};
use crate::wire::contest::{self, ContestRow};
pub use crate::wire::held_up::HeldUpRow;
pub use crate::wire::server::drain::WaitsFor;
use crate::wire::server::judges::judges;
pub use crate::wire::server::look::{LastRow, LookRow};
use crate::wire::server::said::kept_since;
pub use crate::wire::server::said::{NAME_HOSTS, SaidRow, last_reports};
pub(in crate::wire) use crate::wire::server::said::{lacks, unnamed};
pub(in crate::wire) use crate::wire::server::section::slow_start;
pub use crate::wire::server::section::{
    BackOffRow, CountRow, OwnRule, RoleRow, SectionRow, ServedRow, ServersRow, TripwireRow,
};
pub use crate::wire::server::still_out::still_out;
pub use crate::wire::server::weight::{GivenRow, WeightByRow};
use crate::wire::{
    ConnectionsRow, ServerActual, ServerWanted, ServiceStatus, Source, Verdict, services, table,
};

/// Bytes of a login name that are kept.
const LOGIN_MAX: usize = 40;

/// Everything about the real servers that a person means, in table order.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ServerAnswer {
    /// The time of the answer.
    pub time: i64,
    /// Who answers; none of a daemon that does not say it.
    #[serde(default)]
    pub source: Option<Source>,
    /// One for each virtual service that it is in.
    pub servers: Vec<ServerWhy>,
    /// What the kernel does about connections of servers that leave.
    pub expiry: Expiry,
}

/// What the kernel does about connections of real servers that leave; none where nobody could
/// look, as without IPVS.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Expiry {
    /// `net.ipv4.vs.expire_nodest_conn`: connections to a server that was taken out end at once;
    /// otherwise their packets are dropped until they time out.
    pub expire_nodest_conn: Option<bool>,
    /// `net.ipv4.vs.expire_quiescent_template`: clients that persistence ties to a server with
    /// weight 0 are sent elsewhere; otherwise they keep coming back.
    pub expire_quiescent_template: Option<bool>,
}

/// One real server in one virtual service.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ServerWhy {
    /// Such as `10.0.0.3:80/tcp`.
    pub virtual_service: String,
    /// Such as `192.168.0.1:80`; its word in the file where it has no address.
    pub real_server: String,
    /// The words that stand for it in the file.
    pub hosts: Vec<String>,
    /// What is wanted of it.
    pub wanted: ServerWanted,
    /// With which weight, where it is to be in.
    pub wanted_weight: Option<u32>,
    /// What was seen of it.
    pub actual: ServerActual,
    /// The weight that the kernel has.
    pub weight: Option<u32>,
    /// What the rest says of the kernel comes of this.
    #[serde(default)]
    pub look: LookRow,
    /// Its connections at the newest look.
    pub connections: Option<ConnectionsRow>,
    /// Since when it is wanted in or out; none where that was so when the daemon began.
    pub since: Option<i64>,
    /// What an operator wishes of it.
    pub operator: Option<OperatorRow>,
    /// Its place in its `virtual` section; none for one of `lvs.alert` lines only.
    pub section: Option<SectionRow>,
    /// The services that decide over it, in file order.
    pub checks: Vec<CheckRow>,
    /// What is to be mended, or what the kernel refused.
    pub trouble: Vec<String>,
    /// What somebody else changes again and again, of it or of its virtual service.
    #[serde(default)]
    pub contested: Vec<ContestRow>,
    /// The kernel has it in a virtual service of ours, and nobody declared it.
    #[serde(default)]
    pub stranger: bool,
    /// What would bring it back, all of it together; empty while it is in with its own weight.
    pub back: Vec<BackRow>,
}

/// What an operator wishes of a real server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OperatorRow {
    /// What.
    #[serde(flatten)]
    pub wish: ManualWish,
    /// Who.
    pub by: String,
    /// Why; may be empty.
    pub reason: String,
    /// Since when.
    pub since: i64,
    /// When it ends by itself.
    pub until: Option<i64>,
    /// How far a drain has come.
    pub drain: Option<DrainRow>,
    /// It has no effect at present: with it fewer than `min_live` would be left.
    #[serde(default)]
    pub gives_way: bool,
}

/// How far a drain has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum DrainRow {
    /// It waits for connections to end.
    Draining {
        /// Until then at the latest.
        deadline: i64,
        /// Whether there is any to wait for.
        #[serde(default)]
        waits_for: WaitsFor,
    },
    /// It is out, and no connection was active any more.
    Drained,
    /// It is out since its time was over, with active connections.
    CutOff,
    /// It left the table before, with active connections: its checks took it out, or somebody else.
    Left,
}

/// What a service says about the real server.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CheckRow {
    /// `GROUP/SERVICE`
    pub service: String,
    /// Its status as a whole.
    pub status: ServiceStatus,
    /// What its last report says of this host.
    pub verdict: Verdict,
    /// Why; none where it is up.
    pub reason: Option<Reason>,
    /// One line for a person.
    pub text: String,
    /// When it was checked last; none before the end of the first check.
    pub last_check: Option<i64>,
    /// That was before a restart, and nothing was heard since: verdict and text are of then.
    #[serde(default)]
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub restored: bool,
    /// While it keeps the real server out.
    pub withdraws: Option<WithdrawsRow>,
    /// What the text is about.
    #[serde(default = "said::of_the_host")]
    pub about: About,
    /// What it said of this host last, oldest first, runs and checks between two of them; of a
    /// service that decides as a whole what it reported. Empty where all was always good.
    pub results: Vec<SaidRow>,
    /// How far its section has counted; none where no section listens.
    pub count: Option<CountRow>,
    /// The connection that is held to the host; none without `tripwire on`.
    pub tripwire: Option<TripwireRow>,
    /// What keeps it from checking this host now.
    #[serde(default)]
    pub held_up: Vec<HeldUpRow>,
    /// What it lacks, so that it never runs: a monitor, or an interval.
    #[serde(default)]
    pub lacks: Option<String>,
    /// It lacks that, and yet a verdict of it counts: that of its last run, which was then.
    #[serde(default)]
    pub kept_since: Option<i64>,
}

/// A withdrawal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WithdrawsRow {
    /// Why.
    pub reason: Reason,
    /// Since when.
    pub since: i64,
    /// Whether only `lvsmon enable` ends it.
    pub until_enabled: bool,
}

/// One thing that has to happen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BackRow {
    /// What, for a person.
    pub text: String,
    /// When it happens by itself.
    pub at: Option<i64>,
}

/// Who asks: the login name that the client says, as the user that the system knows.
#[must_use]
pub fn asked_by(login: Option<&str>, uid: u32) -> String {
    let login = login.map(|login| text::cut(&text::one_line(login.trim()), LOGIN_MAX).to_owned());
    let user = match uid {
        0 => "root".to_owned(),
        uid => format!("uid {uid}"),
    };
    match login {
        Some(login) if !login.is_empty() && login != user => format!("{login} as {user}"),
        Some(_) | None => user,
    }
}

/// Everything about the real servers that a person means. `since` tells when an entry went in
/// or out.
///
/// # Errors
///
/// Nobody is meant, or that is not clear; the sentence says what there is.
pub fn why(
    engine: &Engine,
    seen: &TableOutcome,
    now: Now,
    aim: &Aim,
    (source, expiry): (Source, Expiry),
    since: impl Fn(VirtualServiceKey, RealServerKey) -> Option<Wall>,
) -> Result<ServerAnswer, Miss> {
    let mut strangers = strangers::called(engine, seen, aim);
    let views = match engine.real_servers_called(aim) {
        Ok(views) => views,
        Err(_) if !strangers.is_empty() => Vec::new(),
        Err(why) => return Err(why),
    };
    let servers = views.iter().map(|view| {
        let withdrawn = view
            .withdrawals
            .iter()
            .map(|withdrawal| withdrawal.since)
            .min();
        // One that is kept in is in for longer than it is withdrawn.
        let withdrawn = withdrawn.filter(|_| view.role != Some(ServerRole::Kept));
        let reasons = [withdrawn, wished_away(view)].into_iter().flatten();
        let changed = || since(view.virtual_service, view.server?);
        server(engine, seen, source, view, reasons.min().or_else(changed))
    });
    let mut servers: Vec<ServerWhy> = servers.collect();
    servers.append(&mut strangers);
    Ok(ServerAnswer {
        time: now.wall.seconds(),
        source: Some(source),
        servers,
        expiry,
    })
}

/// Since when an operator's wish is a reason why it is out, or why its weight is 0.
fn wished_away(view: &RealServerView) -> Option<Wall> {
    let manual = view.manual.as_ref()?;
    let effect = manual.effect()?;
    let is_so = match view.wish {
        ServerWish::Out => effect == Effect::Out,
        ServerWish::In(settings) => effect == Effect::Weight(Weight(0)) && settings.weight.0 == 0,
        ServerWish::AsFound => false,
    };
    is_so.then_some(manual.effective)
}

fn server(
    engine: &Engine,
    seen: &TableOutcome,
    source: Source,
    view: &RealServerView,
    since: Option<Wall>,
) -> ServerWhy {
    let row = table::server(engine, seen, view);
    let found = view.server.and_then(|server| {
        let table = seen.table.read()?;
        table.get(&view.virtual_service)?.servers.get(&server)
    });
    ServerWhy {
        virtual_service: view.virtual_service.to_string(),
        hosts: view.hosts.iter().map(HostName::to_string).collect(),
        wanted: row.wanted,
        wanted_weight: match view.wish {
            ServerWish::In(settings) => Some(settings.weight.0),
            ServerWish::Out | ServerWish::AsFound => None,
        },
        actual: row.actual,
        weight: found.map(|found| found.weight.0),
        look: look::look(engine, seen, view),
        connections: row.connections,
        since: since.map(Wall::seconds),
        operator: (view.manual.as_ref()).map(|it| operator(it, (view.virtual_service, view.wish))),
        checks: judges(engine, view)
            .into_iter()
            .filter_map(|id| check(engine, view, id))
            .collect(),
        trouble: trouble(engine, seen, source, view),
        contested: contest::rows_of(seen, engine.time(), view.virtual_service, view.server),
        stranger: false,
        section: section::row(engine, seen, view),
        back: back::back(engine, seen, view),
        real_server: row.real_server,
    }
}

/// What is wished of an entry of which this is wanted.
pub(super) fn operator(
    view: &ManualView,
    (key, wish): (VirtualServiceKey, ServerWish),
) -> OperatorRow {
    OperatorRow {
        wish: view.wish,
        by: view.by.clone(),
        reason: view.reason.clone(),
        since: view.since.seconds(),
        until: view.until.map(Wall::seconds),
        drain: view.drain.map(|drain| match drain {
            DrainView::Going(deadline) => DrainRow::Draining {
                deadline: deadline.seconds(),
                waits_for: WaitsFor::of(key, wish),
            },
            DrainView::Done(Drained::Empty) => DrainRow::Drained,
            DrainView::Done(Drained::Deadline) => DrainRow::CutOff,
            DrainView::Done(Drained::Left) => DrainRow::Left,
        }),
        gives_way: view.heed == Heed::GivesWay,
    }
}

fn check(engine: &Engine, view: &RealServerView, id: ServiceId) -> Option<CheckRow> {
    let service = engine.service(id)?;
    let host = host_of(engine, view, id);
    let host = host.as_ref();
    let said = engine.said(id, host)?;
    let whole = || whole_verdict(engine, id, service.status);
    let verdict = match host {
        Some(_) => said.verdict,
        None => whole(),
    };
    let (verdict, reason) = services::verdict(verdict);
    let withdrawals = view.withdrawals.iter();
    let withdraws = withdrawals.filter(|withdrawal| withdrawal.service == id);
    let mut counts = view.counts.iter();
    Some(CheckRow {
        service: format!("{}/{}", service.group, service.name),
        status: services::status(service.status),
        verdict,
        reason,
        text: said.text.into_owned(),
        about: said.about,
        last_check: said.time.map(Wall::seconds),
        restored: said.is_from_before && said.time.is_some(),
        withdraws: withdraws.map(withdrawn).next(),
        results: said::results(engine, id, host),
        count: counts.find(|it| it.service == id).map(CountRow::of),
        tripwire: host.and_then(|host| engine.tripwire(id, host).map(TripwireRow::of)),
        held_up: frozen::of_server(engine, id, host),
        lacks: lacks(engine, id).map(str::to_owned),
        kept_since: kept_since(engine, id).map(Wall::seconds),
    })
}

/// The host by which a service knows a real server; none where it decides as a whole.
fn host_of(engine: &Engine, view: &RealServerView, id: ServiceId) -> Option<HostName> {
    let hosts = engine.service(id)?.hosts;
    let mut hosts = hosts.iter().map(|host| host.host);
    hosts.find(|host| view.hosts.contains(host)).cloned()
}

/// The verdict of a service that has no such host and decides as a whole.
fn whole_verdict(engine: &Engine, id: ServiceId, status: Status) -> Option<HostVerdict> {
    if status == Status::Ok {
        return Some(HostVerdict::Up);
    }
    let last = engine.recent(id).and_then(|recent| recent.results.last());
    let reason = last.and_then(|last| last.reason);
    reason
        .filter(|_| status.is_failure())
        .map(HostVerdict::Down)
}

const fn withdrawn(withdrawal: &Withdrawal) -> WithdrawsRow {
    WithdrawsRow {
        reason: withdrawal.reason,
        since: withdrawal.since.seconds(),
        until_enabled: matches!(withdrawal.ends, Ends::ByOperator),
    }
}

fn trouble(
    engine: &Engine,
    seen: &TableOutcome,
    source: Source,
    view: &RealServerView,
) -> Vec<String> {
    let is_about = |command: &Command| match command {
        Command::AddServer(key, server, _)
        | Command::EditServer(key, server, _)
        | Command::DeleteServer(key, server) => {
            *key == view.virtual_service && Some(*server) == view.server
        }
        Command::AddService(key, _)
        | Command::EditService(key, _)
        | Command::DeleteService(key) => *key == view.virtual_service,
    };
    let refused = seen.refused.iter().filter(|(command, _)| is_about(command));
    let refused = refused.map(|(command, why)| table::undone(source, command, why));
    let is_wanted = matches!(view.wish, ServerWish::In(_));
    let is_missing = is_wanted && seen.missing.contains(&view.virtual_service);
    let missing = is_missing.then(|| {
        let key = view.virtual_service;
        format!("virtual service {key} is not in the table, and not ours to make (no -B)")
    });
    let unreadable = seen.table.unreadable().into_iter();
    let unreadable = unreadable.map(|why| format!("the kernel's table cannot be read: {why}"));
    let judges = judges(engine, view).into_iter();
    let cut_off = judges.filter_map(|id| {
        let witnesses = engine.cut_off(id)?.witnesses.join(" or ");
        let service = engine.service(id)?;
        Some(format!(
            "the director is cut off: failures of {}/{} count for nothing until {witnesses} is good",
            service.group, service.name
        ))
    });
    view.problem
        .iter()
        .cloned()
        .chain(cut_off)
        .chain(missing)
        .chain(refused)
        .chain(unreadable)
        .collect()
}

impl OperatorRow {
    /// Who wishes what and why, in a few words: `drain by ann as root (new kernel)`.
    #[must_use]
    pub fn called(&self) -> String {
        let what = match self.wish {
            ManualWish::Drain { .. } => "drain".to_owned(),
            ManualWish::Quiesce => "quiesce".to_owned(),
            ManualWish::Disable => "disable".to_owned(),
            ManualWish::Weight { weight } => format!("weight {weight}"),
        };
        match self.reason.as_str() {
            "" => format!("{what} by {}", self.by),
            reason => format!("{what} by {} ({reason})", self.by),
        }
    }
}

impl ServerWhy {
    /// Whether nobody declared it. Of what the file has no more, and stays for a name, something
    /// can be wished.
    #[must_use]
    pub const fn is_undeclared(&self) -> bool {
        self.stranger
    }
}

impl ServerAnswer {
    /// Whether a drain still waits for connections.
    #[must_use]
    pub fn is_draining(&self) -> bool {
        let mut drains = self
            .servers
            .iter()
            .filter_map(|server| server.operator.as_ref()?.drain);
        drains.any(|drain| matches!(drain, DrainRow::Draining { .. }))
    }

    /// What a drain waits for, one line for each real server; none where it waits for nothing.
    #[must_use]
    pub fn drain_lines(&self) -> Vec<String> {
        let mut lines = Vec::new();
        for server in &self.servers {
            let Some(DrainRow::Draining {
                deadline,
                waits_for,
            }) = server.operator.as_ref().and_then(|operator| operator.drain)
            else {
                continue;
            };
            let name = format!("{} in {}", server.real_server, server.virtual_service);
            match waits_for {
                WaitsFor::Connections => {}
                WaitsFor::Seconds | WaitsFor::Nothing => {
                    lines.push(format!("{name}: {}", waits_for.words()));
                    continue;
                }
            }
            let left = u64::try_from(deadline.saturating_sub(self.time)).unwrap_or(0);
            let counts = match (server.connections, server.actual) {
                (Some(counts), _) => format!(
                    "{} active, {} inactive, {} persistent",
                    counts.active, counts.inactive, counts.persistent
                ),
                (None, ServerActual::Unknown) => "nobody knows its connections".to_owned(),
                (None, ServerActual::In | ServerActual::Out | ServerActual::Differs) => {
                    "not in the table".to_owned()
                }
            };
            let left = Readable(Duration::from_secs(left));
            lines.push(format!("{name}: {counts}; {left} left"));
        }
        lines
    }

    /// What a person who drains should know of the kernel's settings.
    #[must_use]
    pub fn warnings(&self) -> Vec<String> {
        let mut warnings = Vec::new();
        let servers = self.servers.iter();
        let tied: u64 = servers
            .filter_map(|server| server.connections)
            .map(|counts| u64::from(counts.persistent))
            .sum();
        if tied > 0 && self.expiry.expire_quiescent_template == Some(false) {
            warnings.push(format!(
                "{tied} persistent clients keep coming back to it until it is out: \
                 net.ipv4.vs.expire_quiescent_template is 0"
            ));
        }
        if self.expiry.expire_nodest_conn == Some(false) {
            warnings.push(
                "connections that are still there when it goes out hang until they time out: \
                 net.ipv4.vs.expire_nodest_conn is 0"
                    .to_owned(),
            );
        }
        warnings
    }
}

#[cfg(test)]
mod tests;
