//! What does the kernel of a story have, which outlives each daemon?

use std::sync::Arc;

use lvsmon::engine::event::{TableLook, TableOutcome};
use lvsmon::lvs::{
    Connections, Desired, Forwarding, RealServer, RealServerKey, Scheduler, ServerWish, Strangers,
    Table, TableEntry, VirtualService, Weight,
};

use super::step::Seen;

/// Its table, as of the latest look.
#[derive(Default)]
pub(crate) struct Kernel {
    table: Table,
}

impl Kernel {
    /// Somebody put this real server into each of the virtual services.
    pub(crate) fn fill(&mut self, desired: &Desired, server: RealServerKey, weight: Weight) {
        for &key in desired.keys() {
            let entry = self.table.entry(key).or_insert_with(|| TableEntry {
                service: VirtualService::plain(key.family(), Scheduler::wlc()),
                servers: [].into(),
            });
            let settings = RealServer::new(Forwarding::Dr, weight);
            entry.servers.insert(server, settings);
        }
    }

    /// All is made as it is wanted, and looked at.
    pub(crate) fn look(&mut self, desired: &Desired, seen: &Seen) -> TableOutcome {
        let mut table = Table::new();
        let mut connections = Connections::new();
        for (&key, wanted) in desired {
            let before = self.table.remove(&key).map(|entry| entry.servers);
            let before = before.unwrap_or_default();
            let is_left = |server: &RealServerKey| match wanted.servers.get(server) {
                Some(wish) => *wish == ServerWish::AsFound,
                None => wanted.strangers == Strangers::Kept,
            };
            let left = before.into_iter().filter(|(server, _)| is_left(server));
            let put_in = wanted.servers.iter().filter_map(|(&it, wish)| match wish {
                ServerWish::In(settings) => Some((it, *settings)),
                ServerWish::Out | ServerWish::AsFound => None,
            });
            let entry = TableEntry {
                service: VirtualService::plain(key.family(), Scheduler::wlc()),
                servers: left.chain(put_in).collect(),
            };
            if entry.servers.contains_key(&seen.server) {
                connections.insert((key, seen.server), seen.counts);
            }
            table.insert(key, entry);
        }
        self.table = table;
        TableOutcome {
            wanted: Arc::new(desired.clone()),
            table: TableLook::Read(Arc::new(self.table.clone())),
            connections: Arc::new(connections),
            ..TableOutcome::default()
        }
    }

    /// Somebody empties it, which a look at it shows before anything is made as it is wanted.
    pub(crate) fn flushed(&mut self, desired: &Desired) -> TableOutcome {
        self.table.clear();
        TableOutcome {
            wanted: Arc::new(desired.clone()),
            table: TableLook::Read(Arc::default()),
            ..TableOutcome::default()
        }
    }
}
