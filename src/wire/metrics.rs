//! What a monitoring system is told in numbers: one value that holds all of it. Pure.
//!
//! The engine's part is gathered here, in one pass over services and one over real servers, and
//! without any of the sentences that a person reads. What it looks like as text is in `text`.

mod text;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::engine::Engine;
use crate::engine::desired::{RealServerView, ServedBy, ServerRole};
use crate::engine::event::{ManualWish, Reason, TableOutcome};
use crate::engine::gauge::{Gauge, Polling};
use crate::engine::manual::{Effect, ManualView};
use crate::lvs::diff::diff;
use crate::lvs::{RealServer, RealServerKey, ServerWish, Table, VirtualServiceKey};
use crate::model::HostName;
use crate::pair::Role;
use crate::time::Now;
use crate::wire::role::HealthAnswer;
use crate::wire::{ServerWanted, ServiceStatus, Source, services, table};

pub use text::{CONTENT_TYPE, text};

/// Everything that the metrics say. Spans are milliseconds; what nobody knows is none.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MetricsAnswer {
    /// That of the program.
    pub version: String,
    /// Who answers.
    pub source: Source,
    /// Whether the daemon works.
    pub health: HealthAnswer,
    /// What this director is to the other one, and the link to that one.
    pub pair: PairMetrics,
    /// Whether the configuration that was read last was refused.
    pub is_reload_refused: bool,
    /// What is known of services and of the table.
    pub engine: EngineMetrics,
    /// The one writer of the table.
    pub applier: ApplierMetrics,
    /// What people are told.
    pub deliveries: DeliveryMetrics,
    /// What survives a restart.
    pub journal: JournalMetrics,
}

/// What this director is to the other one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PairMetrics {
    /// Its role.
    pub role: Role,
    /// Whether it tells people.
    pub speaks: bool,
    /// Whether it is linked to the other one; none where the file names none.
    pub is_linked: Option<bool>,
}

/// What the engine knows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EngineMetrics {
    /// In file order.
    pub services: Vec<ServiceMetrics>,
    /// In key order.
    pub virtual_services: Vec<VirtualMetrics>,
    /// Lists of witnesses none of which is good: failures count for nothing there.
    pub cut_off: u64,
    /// Slots that went by unused.
    pub skipped_slots: u64,
    /// Changes that the kernel's table needs to be as wanted; none where it could not be read.
    pub differences: Option<u64>,
    /// Those of them that the kernel refused, or that an observer leaves to others.
    pub refused: u64,
    /// Places that somebody else writes too.
    pub contested: u64,
}

/// One service.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServiceMetrics {
    /// Its watch.
    pub group: String,
    /// Its name.
    pub service: String,
    /// As mon calls it.
    pub status: ServiceStatus,
    /// Whether it should run at present.
    pub runs: bool,
    /// Whether it was checked at least once.
    pub checked: bool,
    /// Since the end of its latest run.
    pub result_age_ms: Option<u64>,
    /// How long that took.
    pub took_ms: Option<u64>,
    /// Failures in a row.
    pub failures: u32,
    /// Why it fails, each once.
    pub reasons: BTreeSet<Reason>,
}

/// One virtual service.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VirtualMetrics {
    /// Such as `10.0.0.3:80/tcp` or `fwmark 7`.
    pub virtual_service: String,
    /// Real servers that are to be in the table.
    pub wanted: u64,
    /// Those that the kernel has, strangers too; none where it could not be read.
    pub in_kernel: Option<u64>,
    /// What its `virtual` section says; none for one of `lvs.alert` lines only.
    pub section: Option<SectionMetrics>,
    /// By name.
    pub real_servers: BTreeMap<String, RealServerMetrics>,
}

/// A `virtual` section.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SectionMetrics {
    /// Real servers that serve and that nobody withdraws.
    pub live: u64,
    /// At least so many stay in.
    pub min_live: u64,
    /// Whether the fallback serves; none while that is not known.
    pub is_fallback: Option<bool>,
}

/// One real server in its virtual service.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RealServerMetrics {
    /// What is wanted of it.
    pub wanted: ServerWanted,
    /// With this weight; none where it is not to be in.
    pub wanted_weight: Option<u32>,
    /// Whether the kernel has it; none where it could not be read.
    pub is_in: Option<bool>,
    /// With this weight; none where it has not.
    pub kernel_weight: Option<u32>,
    /// Whether a verdict is known of each service that decides about it.
    pub checked: bool,
    /// Why it is out, or has weight 0 by its checks, each once; none where it is in otherwise.
    pub out: BTreeSet<OutReason>,
    /// Whether `min_live` keeps it in although its checks would have it away; none for one of
    /// `lvs.alert` lines only.
    pub is_kept: Option<bool>,
    /// What an operator wishes of it.
    pub wish: Option<ManualWish>,
}

/// Why a real server is out. One that is out has at least one of these.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OutReason {
    /// A service withdraws it, for this reason.
    Check(Reason),
    /// An operator wishes it: it is disabled, or its drain is over.
    Wish,
    /// It was not checked yet (`initial out`).
    Untested,
    /// It is the fallback, which is not needed.
    NotNeeded,
    /// The file no longer has it.
    Undeclared,
    /// Its virtual service as a whole is withdrawn.
    VirtualService,
}

impl OutReason {
    /// The word of a label.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Check(reason) => reason.code(),
            Self::Wish => "wish",
            Self::Untested => "untested",
            Self::NotNeeded => "not_needed",
            Self::Undeclared => "undeclared",
            Self::VirtualService => "virtual_service",
        }
    }

    /// All that keep a real server out.
    fn all(view: &RealServerView) -> BTreeSet<Self> {
        let is_low = matches!(
            view.role,
            Some(ServerRole::Quiesced | ServerRole::Draining { .. })
        );
        let is_out = view.wish == ServerWish::Out;
        let mut all = BTreeSet::new();
        if !is_out && !is_low {
            return all;
        }
        if view.role != Some(ServerRole::Kept) {
            all.extend(view.withdrawals.iter().map(|it| Self::Check(it.reason)));
        }
        let effect = view.manual.as_ref().and_then(ManualView::effect);
        if is_out && effect == Some(Effect::Out) {
            all.insert(Self::Wish);
        }
        match view.role {
            Some(ServerRole::OutUntested) => all.extend([Self::Untested]),
            Some(ServerRole::FallbackOut) => all.extend([Self::NotNeeded]),
            Some(_) | None => {}
        }
        if all.is_empty() {
            all.insert(match view.hosts.is_empty() {
                true => Self::Undeclared,
                false => Self::VirtualService,
            });
        }
        all
    }
}

/// The one writer of the table.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApplierMetrics {
    /// Since the last look at the table that has ended; none before the first.
    pub look_age_ms: Option<u64>,
    /// Whether that look could read it.
    pub is_readable: bool,
    /// Changes made since the start.
    pub applied: u64,
    /// Those of them that undid what others had done.
    pub drift: u64,
    /// Changes that the kernel refused since the start, each try.
    pub refusals: u64,
}

/// What people are told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeliveryMetrics {
    /// Messages and alert programs that wait.
    pub waiting: u64,
    /// Messages that are held for the other director.
    pub held: u64,
    /// Alerts that were accepted since the start.
    pub sent: u64,
    /// Alerts that the other director told.
    pub elsewhere: u64,
    /// Alerts that were given up.
    pub given_up: u64,
    /// Whether the disk takes what must not be lost.
    pub is_spool_good: bool,
}

/// What survives a restart.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct JournalMetrics {
    /// Whether the disk takes it.
    pub is_good: bool,
    /// How often records that were on the disk were lost, and written anew.
    pub losses: u64,
}

impl EngineMetrics {
    /// Gathers it. `seen` is the newest look at the kernel's table.
    #[must_use]
    pub fn of(engine: &Engine, seen: &TableOutcome, now: Now) -> Self {
        let actual = seen.table.read().map(|table| &**table);
        let differences = actual.map(|actual| diff(engine.desired(), actual).len());
        Self {
            services: engine.gauges(now).map(service).collect(),
            virtual_services: virtual_services(engine, actual),
            cut_off: table::cut_off(engine).len() as u64,
            skipped_slots: engine.skipped_slots(),
            differences: differences.map(|count| count as u64),
            refused: seen.refused.len() as u64,
            contested: seen.contested.len() as u64,
        }
    }
}

/// Milliseconds of a span.
#[must_use]
pub fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

fn service(gauge: Gauge<'_>) -> ServiceMetrics {
    ServiceMetrics {
        group: gauge.group.to_owned(),
        service: gauge.name.to_owned(),
        status: services::status(gauge.status),
        runs: match gauge.polling {
            Polling::Runs => true,
            Polling::Held | Polling::Never => false,
        },
        checked: gauge.is_checked,
        result_age_ms: gauge.result_age.map(millis),
        took_ms: gauge.took.map(millis),
        failures: gauge.failures,
        reasons: gauge.reasons,
    }
}

fn virtual_services(engine: &Engine, actual: Option<&Table>) -> Vec<VirtualMetrics> {
    let mut all: BTreeMap<VirtualServiceKey, VirtualMetrics> = BTreeMap::new();
    let views = engine.real_servers();
    for key in engine
        .desired()
        .keys()
        .chain(views.iter().map(|view| &view.virtual_service))
    {
        all.entry(*key)
            .or_insert_with(|| virtual_service(engine, *key, actual));
    }
    for view in &views {
        let Some(row) = all.get_mut(&view.virtual_service) else {
            continue;
        };
        row.section = row.section.or_else(|| section(view));
        let entry = actual.map(|table| table.get(&view.virtual_service));
        let found = entry.map(|entry| entry.and_then(|it| it.servers.get(&view.server?)));
        let server = real_server(view, found);
        // Two that have no address may go by one name.
        row.real_servers.entry(name(view)).or_insert(server);
    }
    all.into_values().collect()
}

fn virtual_service(
    engine: &Engine,
    key: VirtualServiceKey,
    actual: Option<&Table>,
) -> VirtualMetrics {
    let desired = engine.desired().get(&key);
    let is_in = |wish: &&ServerWish| matches!(wish, ServerWish::In(_));
    let wanted = desired.map_or(0, |it| it.servers.values().filter(is_in).count());
    let found = |table: &Table| table.get(&key).map_or(0, |it| it.servers.len()) as u64;
    VirtualMetrics {
        virtual_service: key.to_string(),
        wanted: wanted as u64,
        in_kernel: actual.map(found),
        section: None,
        real_servers: BTreeMap::new(),
    }
}

fn section(view: &RealServerView) -> Option<SectionMetrics> {
    let section = view.section?;
    Some(SectionMetrics {
        live: section.serving as u64,
        min_live: section.min_live as u64,
        is_fallback: section.by.map(|by| match by {
            ServedBy::Fallback => true,
            ServedBy::Servers | ServedBy::TooFew | ServedBy::Nobody | ServedBy::NobodyYet => false,
        }),
    })
}

/// `found` is none where the table could not be read.
fn real_server(view: &RealServerView, found: Option<Option<&RealServer>>) -> RealServerMetrics {
    RealServerMetrics {
        wanted: table::wanted(view.wish),
        wanted_weight: match view.wish {
            ServerWish::In(settings) => Some(settings.weight.0),
            ServerWish::Out | ServerWish::AsFound => None,
        },
        is_in: found.map(|found| found.is_some()),
        kernel_weight: found.flatten().map(|found| found.weight.0),
        checked: view.is_checked(),
        out: OutReason::all(view),
        is_kept: view.role.map(|role| role == ServerRole::Kept),
        wish: view.manual.as_ref().map(|manual| manual.wish),
    }
}

/// Its address, else the words of the file.
fn name(view: &RealServerView) -> String {
    let words = || {
        let hosts: Vec<&str> = view.hosts.iter().map(HostName::as_str).collect();
        hosts.join(" ")
    };
    view.server
        .as_ref()
        .map_or_else(words, RealServerKey::to_string)
}

#[cfg(test)]
pub(crate) mod tests;
