//! What does the wanted table look like beside the kernel's, row by row?
//!
//! Pure; also used without a daemon, on an engine that was never started.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use crate::engine::Engine;
use crate::engine::desired::RealServerView;
use crate::engine::event::{TableLook, TableOutcome};
use crate::engine::manual::LostWish;
use crate::lvs::diff::agrees;
use crate::lvs::{
    Command, ConnectionCounts, DesiredService, RealServer, RealServerKey, ServerWish, ServiceWish,
    Strangers, Table, TableEntry, VirtualServiceKey, Weight,
};
use crate::model::{BoundServers, HostName, Model, ServiceId};
use crate::wire::contest;
use crate::wire::server as wire_server;
use crate::wire::why::CutOffRow;
use crate::wire::{
    ConnectionsRow, LostRow, RealServerRow, ServerActual, ServerWanted, ServiceActual,
    ServiceWanted, Source, TableAnswer, VirtualServiceRow,
};

mod why;

use why::why;

/// The wanted table of an engine against what was seen of the kernel's.
#[must_use]
pub fn table(engine: &Engine, seen: &TableOutcome, source: Source) -> TableAnswer {
    let actual = seen.table.read().map(|table| &**table);
    let views = engine.real_servers();
    let known: BTreeMap<_, _> = views
        .iter()
        .filter_map(|view| Some(((view.virtual_service, view.server?), view)))
        .collect();
    let declared = declared(engine.model());
    let says = |view: &RealServerView| {
        let port = view.server?.0.port();
        let mut hosts = view.hosts.iter();
        hosts.find_map(|host| declared.get(&(view.virtual_service, host, port)).copied())
    };
    let sections = engine.model().virtual_services.iter();
    let whole = sections.filter(|it| it.foreign == Strangers::Removed);
    let whole: BTreeSet<VirtualServiceKey> = whole.map(|it| it.key).collect();
    let mut virtual_services: Vec<VirtualServiceRow> = engine
        .desired()
        .iter()
        .map(|(key, desired)| {
            let row_of = |server: RealServerKey, wish: ServerWish, found: Found| {
                let view = known.get(&(*key, server));
                let why = view.map(|view| why(engine, view, found));
                let declared = view.and_then(|view| says(view));
                let mut row = real_server(server, wish, found, why.unwrap_or_default(), declared);
                if !is_told(&row, view.is_some()) {
                    return None;
                }
                let counts = seen.connections.get(&(*key, server)).copied();
                row.connections = found.connections(counts.unwrap_or_default());
                let manual = view.and_then(|view| view.manual.as_ref());
                let wish = view.map_or(ServerWish::AsFound, |view| view.wish);
                row.operator = manual.map(|it| wire_server::operator(it, (*key, wish)));
                row.checked = view.is_some_and(|view| view.is_checked());
                Some(row)
            };
            let mut row = virtual_service(*key, desired, actual, row_of);
            let is_whole = whole.contains(key);
            row.real_servers
                .extend(strangers(engine, *key, is_whole, desired, seen));
            row
        })
        .collect();
    let mut places: BTreeMap<VirtualServiceKey, usize> =
        engine.desired().keys().copied().zip(0..).collect();
    for view in views.iter().filter(|view| view.server.is_none()) {
        add_unresolved(engine, &mut virtual_services, &mut places, view);
    }
    let contested = contest::rows(seen, engine.time());
    contest::mark(&mut virtual_services, &contested);
    TableAnswer {
        source,
        virtual_services,
        unreadable: unreadable(engine, seen),
        refused: seen
            .refused
            .iter()
            .map(|(command, why)| undone(source, command, why))
            .collect(),
        contested,
        cut_off: cut_off(engine),
        lost: engine.lost_wishes().map(|it| lost(&it)).collect(),
        sync: None,
    }
}

/// Why the kernel's table is not known, where it matters.
fn unreadable(engine: &Engine, seen: &TableOutcome) -> Option<String> {
    match &seen.table {
        TableLook::Unreadable(why) => Some(why.clone()),
        TableLook::NotYet if !engine.desired().is_empty() => {
            Some("the table was not looked at yet".to_owned())
        }
        TableLook::NotYet | TableLook::Read(_) => None,
    }
}

/// What is wished of a real server that the file no longer has.
fn lost(lost: &LostWish) -> LostRow {
    let (key, server) = lost.entry;
    LostRow {
        virtual_service: key.to_string(),
        real_server: server.to_string(),
        operator: wire_server::operator(&lost.wish, (key, ServerWish::AsFound)),
        kept_until: lost.until.seconds(),
    }
}

/// Where failures count for nothing, of all services that decide over real servers.
pub(super) fn cut_off(engine: &Engine) -> Vec<CutOffRow> {
    let model = engine.model();
    let sections = model.virtual_services.iter();
    let judges = sections.flat_map(|section| section.servers.iter().flat_map(|it| &it.judges));
    let bound = model.bindings.iter().map(|binding| binding.service);
    let services: BTreeSet<ServiceId> = bound.chain(judges.map(|it| it.service)).collect();
    let mut rows = Vec::new();
    for cut_off in services.into_iter().filter_map(|id| engine.cut_off(id)) {
        let row = CutOffRow::of(&cut_off);
        if !rows.contains(&row) {
            rows.push(row);
        }
    }
    rows
}

/// A change of the table that was not made.
#[must_use]
pub fn undone(source: Source, command: &Command, why: &str) -> String {
    match source {
        Source::Observer => format!("would {command}"),
        Source::Daemon | Source::File => format!("cannot {command}: {why}"),
    }
}

/// The row of one real server.
pub(super) fn server(engine: &Engine, seen: &TableOutcome, view: &RealServerView) -> RealServerRow {
    let Some(server) = view.server else {
        return unresolved(engine, view);
    };
    let actual = seen.table.read().map(|table| &**table);
    let entry = actual.and_then(|table| table.get(&view.virtual_service));
    let found = Found::look(actual, entry, &server);
    let why = why(engine, view, found);
    let mut row = real_server(server, view.wish, found, why, None);
    let counts = seen.connections.get(&(view.virtual_service, server));
    row.connections = found.connections(counts.copied().unwrap_or_default());
    let entry = (view.virtual_service, view.wish);
    row.operator = (view.manual.as_ref()).map(|it| wire_server::operator(it, entry));
    row.checked = view.is_checked();
    row
}

/// What the file says of the real servers that it names.
fn declared(model: &Model) -> BTreeMap<(VirtualServiceKey, &HostName, u16), RealServer> {
    let mut declared = BTreeMap::new();
    for binding in &model.bindings {
        let settings = RealServer::new(binding.forwarding, binding.weight);
        let mut add = |host, port| {
            declared.insert((binding.virtual_service, host, port), settings);
        };
        match &binding.real {
            BoundServers::One { host, port } => add(host, *port),
            BoundServers::EachHost { port } => {
                let members = &model.hostgroup(binding.service).members;
                members.iter().for_each(|member| add(&member.host, *port));
            }
        }
    }
    declared
}

/// Real servers that the kernel has in a virtual service of ours and of which the file says
/// nothing, in the order of their addresses. `is_whole` tells that the section removes them.
fn strangers(
    engine: &Engine,
    key: VirtualServiceKey,
    is_whole: bool,
    desired: &DesiredService,
    seen: &TableOutcome,
) -> Vec<RealServerRow> {
    let (wish, why) = match (desired.strangers, is_whole) {
        (Strangers::Ignored, _) => return Vec::new(),
        (Strangers::Kept, false) => (
            ServerWish::AsFound,
            "not in the file (foreign keep)".to_owned(),
        ),
        (Strangers::Kept, true) => (
            ServerWish::AsFound,
            match engine.held_until(key) {
                Some(until) => format!("not in the file: stays until {until}"),
                None => "not in the file: leaves when all others have a verdict".to_owned(),
            },
        ),
        (Strangers::Removed, _) => (
            ServerWish::Out,
            "not in the file: leaves when all others are in".to_owned(),
        ),
    };
    let entry = seen
        .table
        .read()
        .map(|table| &**table)
        .and_then(|table| table.get(&key));
    let found = entry.into_iter().flat_map(|entry| &entry.servers);
    let strangers = found.filter(|(server, _)| !desired.servers.contains_key(server));
    let row = |(server, found): (&RealServerKey, &RealServer)| {
        let found = Found::In(*found);
        let why = match seen.kept(key, *server) {
            None => why.clone(),
            Some(kept) => format!(
                "not in the file: {}",
                seen.why_kept(kept, engine.time().mono)
            ),
        };
        let mut row = real_server(*server, wish, found, why, None);
        let counts = seen.connections.get(&(key, *server)).copied();
        row.connections = found.connections(counts.unwrap_or_default());
        row.stranger = true;
        row
    };
    strangers.map(row).collect()
}

/// Whether there is something to say of a real server: not of one that the file does not name any
/// more, that the kernel does not have, and that nobody wants there.
fn is_told(row: &RealServerRow, is_known: bool) -> bool {
    let is_nowhere = row.wanted == ServerWanted::AsFound && row.actual == ServerActual::Out;
    is_known || !is_nowhere
}

/// `row_of` makes the row of a real server, where it has one.
fn virtual_service(
    key: VirtualServiceKey,
    desired: &DesiredService,
    actual: Option<&Table>,
    row_of: impl Fn(RealServerKey, ServerWish, Found) -> Option<RealServerRow>,
) -> VirtualServiceRow {
    let entry = actual.and_then(|table| table.get(&key));
    let (wanted, wish) = match &desired.service {
        ServiceWish::Foreign => (ServiceWanted::ByOthers, None),
        ServiceWish::Present(service) | ServiceWish::Owned(service) => {
            (ServiceWanted::Present, Some(service))
        }
        ServiceWish::Absent => (ServiceWanted::Absent, None),
        ServiceWish::AsFound => (ServiceWanted::AsFound, None),
    };
    let scheduler = entry
        .map(|entry| &entry.service.scheduler)
        .or(wish.map(|service| &service.scheduler));
    let real_servers = desired
        .servers
        .iter()
        .filter_map(|(server, wish)| row_of(*server, *wish, Found::look(actual, entry, server)))
        .collect();
    VirtualServiceRow {
        virtual_service: key.to_string(),
        wanted,
        actual: match (actual, entry) {
            (None, _) => ServiceActual::Unknown,
            (Some(_), None) => ServiceActual::Missing,
            (Some(_), Some(_)) => ServiceActual::Present,
        },
        scheduler: scheduler.map(ToString::to_string),
        real_servers,
    }
}

/// What was seen of one real server.
#[derive(Clone, Copy)]
enum Found {
    Unknown,
    NoService,
    Out,
    In(RealServer),
}

impl Found {
    /// What is said of connections: of one that is in the table only.
    const fn connections(self, counts: ConnectionCounts) -> Option<ConnectionsRow> {
        match self {
            Self::In(_) => Some(ConnectionsRow {
                active: counts.active,
                inactive: counts.inactive,
                persistent: counts.persistent,
            }),
            Self::Unknown | Self::NoService | Self::Out => None,
        }
    }

    fn takes_clients(self) -> bool {
        matches!(self, Self::In(found) if found.weight > Weight(0))
    }

    fn look(actual: Option<&Table>, entry: Option<&TableEntry>, server: &RealServerKey) -> Self {
        match (actual, entry) {
            (None, _) => Self::Unknown,
            (Some(_), None) => Self::NoService,
            (Some(_), Some(entry)) => match entry.servers.get(server) {
                Some(found) => Self::In(*found),
                None => Self::Out,
            },
        }
    }
}

fn real_server(
    key: RealServerKey,
    wish: ServerWish,
    found: Found,
    why: String,
    declared: Option<RealServer>,
) -> RealServerRow {
    let settings = match (wish, found) {
        (ServerWish::In(wanted), _) => Some(wanted),
        (ServerWish::Out | ServerWish::AsFound, Found::In(found)) => Some(found),
        (ServerWish::Out | ServerWish::AsFound, _) => None,
    };
    let (actual, is_agreed, remark) = match (wish, found) {
        (_, Found::Unknown) => (ServerActual::Unknown, false, None),
        (ServerWish::In(wanted), Found::In(found)) if agrees(&wanted, &found) => {
            (ServerActual::In, true, None)
        }
        (ServerWish::In(_), Found::In(found)) => (
            ServerActual::Differs,
            false,
            Some(format!("the kernel has {}", settings_of(&found))),
        ),
        (ServerWish::In(_), Found::NoService) => (
            ServerActual::Out,
            false,
            Some("virtual service is missing".to_owned()),
        ),
        (ServerWish::In(_), Found::Out) => (ServerActual::Out, false, None),
        (ServerWish::Out, Found::In(_)) => (ServerActual::In, false, None),
        // Left alone for now; the first verdict puts it right.
        (ServerWish::AsFound, Found::In(found)) => {
            let other = declared.filter(|declared| !agrees(declared, &found));
            let remark = other.map(|other| format!("the file says {}", settings_of(&other)));
            (ServerActual::In, true, remark)
        }
        (ServerWish::Out | ServerWish::AsFound, Found::Out | Found::NoService) => {
            (ServerActual::Out, true, None)
        }
    };
    let why: Vec<String> = [Some(why), remark]
        .into_iter()
        .flatten()
        .filter(|text| !text.is_empty())
        .collect();
    RealServerRow {
        real_server: key.to_string(),
        forwarding: settings.map(|server| server.forwarding.to_string()),
        weight: settings.map(|server| server.weight.0),
        wanted: wanted(wish),
        actual,
        connections: None,
        operator: None,
        stranger: false,
        checked: false,
        agrees: is_agreed,
        why: why.join("; "),
    }
}

/// Forwarding and weight; thresholds only where there are any.
fn settings_of(server: &RealServer) -> String {
    let mut text = format!("{}, weight {}", server.forwarding, server.weight);
    if (server.upper_threshold, server.lower_threshold) != (0, 0) {
        let (upper, lower) = (server.upper_threshold, server.lower_threshold);
        // Writing to a String cannot fail.
        let _ = write!(text, ", thresholds {upper} and {lower}");
    }
    text
}

fn unresolved(engine: &Engine, view: &RealServerView) -> RealServerRow {
    let hosts: Vec<&str> = view.hosts.iter().map(HostName::as_str).collect();
    RealServerRow {
        real_server: hosts.join(" "),
        forwarding: None,
        weight: None,
        wanted: wanted(view.wish),
        actual: ServerActual::Unknown,
        connections: None,
        operator: None,
        stranger: false,
        checked: false,
        agrees: false,
        why: why(engine, view, Found::Unknown),
    }
}

/// A real server whose name has no usable address: in its service's rows, by its name. `places`
/// has the row of each virtual service.
fn add_unresolved(
    engine: &Engine,
    rows: &mut Vec<VirtualServiceRow>,
    places: &mut BTreeMap<VirtualServiceKey, usize>,
    view: &RealServerView,
) {
    let row = unresolved(engine, view);
    let place = places.get(&view.virtual_service);
    match place.and_then(|&index| rows.get_mut(index)) {
        Some(service) => service.real_servers.push(row),
        None => {
            places.insert(view.virtual_service, rows.len());
            rows.push(VirtualServiceRow {
                virtual_service: view.virtual_service.to_string(),
                wanted: ServiceWanted::AsFound,
                actual: ServiceActual::Unknown,
                scheduler: None,
                real_servers: vec![row],
            });
        }
    }
}

fn name(model: &Model, service: ServiceId) -> String {
    match model.services.get(service.index()) {
        Some(service) => format!("{}/{}", service.group, service.name),
        None => "a service that is gone".to_owned(),
    }
}

pub(super) const fn wanted(wish: ServerWish) -> ServerWanted {
    match wish {
        ServerWish::In(_) => ServerWanted::In,
        ServerWish::Out => ServerWanted::Out,
        ServerWish::AsFound => ServerWanted::AsFound,
    }
}

#[cfg(test)]
mod tests;
