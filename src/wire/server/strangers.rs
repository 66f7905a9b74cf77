//! What is said of a real server that the kernel has in a virtual service of ours, and that nobody
//! declared? Pure.

use crate::engine::Engine;
use crate::engine::event::{Aim, TableOutcome};
use crate::lvs::{RealServer, RealServerKey, Strangers, VirtualServiceKey};
use crate::wire::contest;
use crate::wire::server::{LookRow, ServerWhy};
use crate::wire::{ConnectionsRow, ServerActual, ServerWanted};

/// Those that a person means by their address, in table order.
pub(super) fn called(engine: &Engine, seen: &TableOutcome, aim: &Aim) -> Vec<ServerWhy> {
    let table = seen.table.read().into_iter().flat_map(|table| table.iter());
    let found = table.flat_map(|(&key, entry)| {
        let servers = entry.servers.iter();
        servers.map(move |(&server, found)| (key, server, found))
    });
    let strangers = found.filter_map(|(key, server, found)| {
        let desired = engine.desired().get(&key)?;
        let wanted = match desired.strangers {
            Strangers::Ignored => return None,
            Strangers::Kept => ServerWanted::AsFound,
            Strangers::Removed => ServerWanted::Out,
        };
        let is_meant =
            !desired.servers.contains_key(&server) && engine.is_meant(aim, (key, server));
        is_meant.then(|| stranger(engine, seen, (key, server), wanted, found))
    });
    strangers.collect()
}

fn stranger(
    engine: &Engine,
    seen: &TableOutcome,
    entry @ (key, server): (VirtualServiceKey, RealServerKey),
    wanted: ServerWanted,
    found: &RealServer,
) -> ServerWhy {
    let (virtual_service, real_server) = (key.to_string(), server.to_string());
    let counts = seen.connections.get(&entry).copied().unwrap_or_default();
    ServerWhy {
        hosts: Vec::new(),
        wanted,
        wanted_weight: None,
        actual: ServerActual::In,
        weight: Some(found.weight.0),
        look: LookRow::Read,
        connections: Some(ConnectionsRow {
            active: counts.active,
            inactive: counts.inactive,
            persistent: counts.persistent,
        }),
        since: None,
        operator: None,
        section: None,
        checks: Vec::new(),
        trouble: (seen.kept(key, server).into_iter())
            .map(|kept| format!("it {}", seen.why_kept(kept, engine.time().mono)))
            .chain(
                engine
                    .held_until(key)
                    .map(|until| format!("it stays until {until}")),
            )
            .collect(),
        contested: contest::rows_of(seen, engine.time(), key, Some(server)),
        stranger: true,
        back: Vec::new(),
        virtual_service,
        real_server,
    }
}
