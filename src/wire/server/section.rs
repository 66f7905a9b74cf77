//! A real server's place in its `virtual` section, how far its checks are counted, and how its
//! held connection stands, as rows.

use serde::{Deserialize, Serialize};

use crate::engine::Engine;
use crate::engine::desired::{CountView, RealServerView, ServedBy, ServerRole, ZeroBy};
use crate::engine::event::{ManualWish, TableOutcome};
use crate::engine::manual::Heed;
use crate::engine::view::{BackOff, TripwireView};
use crate::lvs::clients::ClientOdds;
use crate::lvs::{RealServerKey, ServerWish, VirtualServiceKey};
use crate::model::{DeclaredServer, DeclaredService};
use crate::time::Wall;
use crate::wire::server::weight::{self, WeightByRow};

/// Why a real server stands as it does in its section, and the section as a whole.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SectionRow {
    /// Its role; none while nothing was decided.
    pub role: Option<RoleRow>,
    /// At this share of its weight in percent while it starts slowly; else none.
    pub slow_start: Option<u32>,
    /// When it leaves its role by itself: the end of a slow start, or of a drain.
    pub role_ends: Option<i64>,
    /// Real servers that serve and that nobody withdraws.
    pub serving: usize,
    /// Real servers that the file names, without the fallback.
    pub declared: usize,
    /// At least so many stay in.
    pub min_live: usize,
    /// So many `min_live` keeps in.
    #[serde(default)]
    pub kept: usize,
    /// Whether the fallback is to take clients.
    #[serde(default)]
    pub fallback_serves: bool,
    /// Real servers that only `lvs.alert` lines name and that are to take clients.
    #[serde(default)]
    pub beside: usize,
    /// Who serves its clients; none while that is not known.
    pub served_by: Option<ServedRow>,
    /// The fallback as `HOST:PORT`; none where there is none.
    pub fallback: Option<String>,
    /// Those that are to have a weight above 0, and in the kernel's table are not there or have 0.
    #[serde(default)]
    pub missing: ServersRow,
    /// Those that have a weight above 0 in the kernel's table, and are not to have one.
    #[serde(default)]
    pub unwanted: ServersRow,
    /// What its own line in the file says in place of the section.
    #[serde(default)]
    pub own_rules: Vec<OwnRule>,
    /// Where it has its weight from; none without `weight_from check`, and where it has none.
    #[serde(default)]
    pub weight_by: Option<WeightByRow>,
}

/// A rule of the section that a line may say for its real server alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OwnRule {
    /// What becomes of it when it is withdrawn.
    OnFailure,
    /// What is done before its first verdict.
    Initial,
}

/// Some real servers of a section.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServersRow {
    /// So many.
    pub count: usize,
    /// The first of them, in table order.
    pub first: Vec<String>,
}

/// Why a real server stands as it does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RoleRow {
    /// No look at the kernel's table has come back yet.
    Unseen,
    /// In.
    Serves,
    /// Withdrawn, or given weight 0 by its check, and in with its own weight all the same:
    /// `min_live` holds.
    Kept,
    /// Withdrawn, with weight 0.
    Quiesced,
    /// Withdrawn, with weight 0 until its connections have ended.
    Draining,
    /// Withdrawn, and out.
    Out,
    /// With weight 0, as an operator wishes.
    QuiescedByWish,
    /// Healthy, with weight 0, as its check says.
    QuiescedByCheck,
    /// Healthy, with weight 0, as the file says.
    QuiescedByFile,
    /// Out, as an operator wishes.
    OutByWish,
    /// In without a verdict.
    InUntested,
    /// Out without a verdict.
    OutUntested,
    /// As found, without a verdict.
    AsFound,
    /// The fallback, and it serves.
    FallbackIn,
    /// The fallback, not needed.
    FallbackOut,
}

/// Who serves the clients of a section.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ServedRow {
    /// As many as `min_live` asks for, or more.
    Servers,
    /// Fewer; the last ones that failed stay, where there are any that may.
    TooFew,
    /// None is healthy: the fallback.
    Fallback,
    /// None is healthy, and nothing is in their place.
    Nobody,
    /// None is there yet; verdicts are still to come.
    NobodyYet,
}

/// How the checks of a host went lately, and what the section waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CountRow {
    /// Good ones in a row.
    pub good: u32,
    /// Bad ones in a row.
    pub bad: u32,
    /// So many bad ones withdraw it.
    pub fall: u32,
    /// So many good ones bring it back.
    pub rise: u32,
}

/// The connection that is held to a host between checks.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum TripwireRow {
    /// Held.
    Armed {
        /// Since when.
        since: i64,
    },
    /// The next one waits.
    BacksOff {
        /// What the host does.
        why: BackOffRow,
        /// Seconds from one that ended to the next.
        wait: f64,
        /// Until when.
        until: i64,
    },
    /// It ended, and the host is being checked.
    Tripped,
    /// None: it comes with the next good check.
    Off,
    /// None: as many as may be held at once are.
    NoRoom,
}

/// Real servers that are named in one line; the rest is counted.
const NAMED_MAX: usize = 3;

/// The place of a real server in its section.
pub(super) fn row(
    engine: &Engine,
    seen: &TableOutcome,
    view: &RealServerView,
) -> Option<SectionRow> {
    let whole = view.section?;
    let section = engine.section(view.virtual_service)?;
    let fallback = section.fallback.as_ref();
    let (missing, unwanted) = odds(engine, seen, view.virtual_service);
    let wished = by_wish(view);
    let own_rules = own_rules(section, view);
    Some(SectionRow {
        missing,
        unwanted,
        own_rules,
        weight_by: weight::row(engine, view),
        role: wished.or(zero(view)).or(view.role.map(role)),
        slow_start: slow_start(view),
        role_ends: match (wished, view.role) {
            (Some(_), _) => None,
            (None, Some(ServerRole::Serves { .. })) if slow_start(view).is_none() => None,
            (None, _) => view.role_ends.map(Wall::seconds),
        },
        serving: whole.serving,
        declared: whole.declared,
        min_live: whole.min_live,
        kept: whole.kept,
        fallback_serves: whole.fallback_serves,
        beside: whole.beside,
        served_by: whole.by.map(served),
        fallback: fallback.map(|it| it.host.with_port(it.port)),
    })
}

/// Its share in percent while it starts slowly; none where its weight is an operator's wish, or
/// is 0 however far it has come.
pub(in crate::wire) fn slow_start(view: &RealServerView) -> Option<u32> {
    let manual = view.manual.as_ref();
    let is_wished = manual.is_some_and(|it| it.heed == Heed::Obeyed);
    match view.role {
        Some(ServerRole::Serves { share })
            if share < 100 && !is_wished && view.zero_by.is_none() =>
        {
            Some(share)
        }
        Some(_) | None => None,
    }
}

/// What an operator's wish makes of the role; none where it makes nothing of it.
fn by_wish(view: &RealServerView) -> Option<RoleRow> {
    let manual = view.manual.as_ref()?;
    if manual.heed == Heed::GivesWay {
        return None;
    }
    let is_low = match manual.wish {
        ManualWish::Drain { .. } | ManualWish::Quiesce => true,
        ManualWish::Weight { weight } => weight == 0,
        ManualWish::Disable => false,
    };
    match (view.role?, view.wish) {
        // Out anyhow.
        (ServerRole::Out | ServerRole::OutUntested | ServerRole::FallbackOut, _)
        // With weight 0 anyhow.
        | (ServerRole::Quiesced | ServerRole::Draining { .. }, ServerWish::In(_))
        | (_, ServerWish::AsFound) => None,
        (_, ServerWish::Out) => Some(RoleRow::OutByWish),
        (_, ServerWish::In(_)) => is_low.then_some(RoleRow::QuiescedByWish),
    }
}

/// What the lines say that stand for it.
fn own_rules(section: &DeclaredService, view: &RealServerView) -> Vec<OwnRule> {
    let port = view.server.map(|server| server.0.port());
    let is_its = |it: &&DeclaredServer| {
        view.hosts.contains(&it.host) && port.is_none_or(|port| port == it.port)
    };
    let own = section.servers.iter().find(is_its).map(|it| it.own);
    let own = own.unwrap_or_default();
    let on_failure = own.on_failure.map(|_| OwnRule::OnFailure);
    let initial = own.initial.map(|_| OwnRule::Initial);
    on_failure.into_iter().chain(initial).collect()
}

/// What weight 0 makes of the role of one that nobody withdraws; none where it makes nothing of it.
const fn zero(view: &RealServerView) -> Option<RoleRow> {
    match (&view.zero_by, view.role) {
        (Some(ZeroBy::Checks(_)), Some(ServerRole::Serves { .. })) => {
            Some(RoleRow::QuiescedByCheck)
        }
        (Some(ZeroBy::File), Some(ServerRole::Serves { .. })) => Some(RoleRow::QuiescedByFile),
        (Some(_), Some(_) | None) | (None, _) => None,
    }
}

/// Where wanted and kernel differ about who takes clients: who is missing, and who is unwanted.
/// Nobody while the table was not looked at.
fn odds(engine: &Engine, seen: &TableOutcome, key: VirtualServiceKey) -> (ServersRow, ServersRow) {
    let (Some(table), Some(desired)) = (seen.table.read(), engine.desired().get(&key)) else {
        return <(ServersRow, ServersRow)>::default();
    };
    let mut odds = ClientOdds::of(desired, table.get(&key));
    let held = engine.held_serving(key).iter().copied();
    let held: Vec<RealServerKey> = held.filter(|it| !odds.unwanted.contains(it)).collect();
    odds.unwanted.extend(held);
    (
        ServersRow::of(&odds.missing),
        ServersRow::of(&odds.unwanted),
    )
}

impl ServersRow {
    fn of(servers: &[RealServerKey]) -> Self {
        let first = servers.iter().take(NAMED_MAX);
        Self {
            count: servers.len(),
            first: first.map(ToString::to_string).collect(),
        }
    }

    /// Names, and how many more; none for nobody.
    #[must_use]
    pub fn words(&self) -> Option<String> {
        let named = self.first.join(", ");
        match self.count.saturating_sub(self.first.len()) {
            0 if named.is_empty() => None,
            0 => Some(named),
            more => Some(format!("{named} and {more} more")),
        }
    }
}

const fn role(role: ServerRole) -> RoleRow {
    match role {
        ServerRole::Unseen => RoleRow::Unseen,
        ServerRole::Serves { .. } => RoleRow::Serves,
        ServerRole::Kept => RoleRow::Kept,
        ServerRole::Quiesced => RoleRow::Quiesced,
        ServerRole::Draining { .. } => RoleRow::Draining,
        ServerRole::Out => RoleRow::Out,
        ServerRole::InUntested => RoleRow::InUntested,
        ServerRole::OutUntested => RoleRow::OutUntested,
        ServerRole::AsFound => RoleRow::AsFound,
        ServerRole::FallbackIn => RoleRow::FallbackIn,
        ServerRole::FallbackOut => RoleRow::FallbackOut,
    }
}

const fn served(by: ServedBy) -> ServedRow {
    match by {
        ServedBy::Servers => ServedRow::Servers,
        ServedBy::TooFew => ServedRow::TooFew,
        ServedBy::Fallback => ServedRow::Fallback,
        ServedBy::Nobody => ServedRow::Nobody,
        ServedBy::NobodyYet => ServedRow::NobodyYet,
    }
}

impl CountRow {
    pub(super) const fn of(view: &CountView) -> Self {
        Self {
            good: view.good,
            bad: view.bad,
            fall: view.fall,
            rise: view.rise,
        }
    }
}

/// Why the next connection to a host waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BackOffRow {
    /// It closes idle connections.
    Closes,
    /// It ends each at once, refuses the check behind it and is good at the next.
    Resets,
}

impl TripwireRow {
    pub(super) const fn of(view: TripwireView) -> Self {
        match view {
            TripwireView::Armed { since } => Self::Armed {
                since: since.seconds(),
            },
            TripwireView::BacksOff { why, wait, until } => Self::BacksOff {
                why: match why {
                    BackOff::Closes => BackOffRow::Closes,
                    BackOff::Resets => BackOffRow::Resets,
                },
                wait: wait.as_secs_f64(),
                until: until.seconds(),
            },
            TripwireView::Tripped => Self::Tripped,
            TripwireView::Off => Self::Off,
            TripwireView::NoRoom => Self::NoRoom,
        }
    }
}
