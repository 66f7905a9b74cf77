//! Which wishes of operators do both directors of a pair share?
//!
//! What is wished of real servers, and which hosts, watches and services are disabled. Each has a
//! name and a value that say the same on both; which of two counts is decided over the link
//! ([`crate::pair::talk::wishes`]). What the peer's operators say is carried out here without any
//! alert: who was told tells it.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;

use crate::effort::look;
use crate::engine::Engine;
use crate::engine::event::{Action, PeerWish};
use crate::engine::manual;
use crate::engine::report;
use crate::engine::saved::Record;
use crate::model::{HostName, Model, ServiceId};
use crate::pair::talk::wishes::Level;
use crate::time::Now;

/// What a name begins with.
const SERVICE: &str = "service ";
const WATCH: &str = "watch ";
const HOST: &str = "host ";

impl Engine {
    /// All that operators wish at present.
    #[must_use]
    pub fn wish_level(&self) -> Level {
        let services = self.model.services().zip(&self.states);
        let services = services.filter(|(_, state)| state.is_disabled);
        let services = services.map(|((_, service), _)| {
            let name = format!("{SERVICE}{} {}", service.group, service.name);
            (name, Value::Bool(true))
        });
        let watches = self.disabled.watches();
        let watches = watches.map(|group| (format!("{WATCH}{group}"), Value::Bool(true)));
        let hosts = self.disabled.hosts().map(|(group, host, is_disabled)| {
            (format!("{HOST}{group} {host}"), Value::Bool(is_disabled))
        });
        let servers = self.bindings.shared_wishes();
        services
            .chain(watches)
            .chain(hosts)
            .chain(servers)
            .collect()
    }

    /// Carries out what the peer's operators wish, and no longer wish. What is about something
    /// that this director does not have waits until it does.
    pub(in crate::engine) fn peer_wishes(
        &mut self,
        now: Now,
        wishes: &[PeerWish],
        actions: &mut Vec<Action>,
    ) {
        let model = Arc::clone(&self.model);
        let services = match wishes.iter().any(|it| it.name.starts_with(SERVICE)) {
            true => named(&model),
            false => BTreeMap::new(),
        };
        let mut servers = Vec::new();
        for wish in wishes {
            let PeerWish { name, value, .. } = wish;
            if let Some(rest) = name.strip_prefix(SERVICE) {
                let id = rest.split_once(' ').and_then(|it| services.get(&it));
                if let Some(&id) = id {
                    self.peer_disables_service(now, id, value.is_some(), actions);
                }
            } else if let Some(group) = name.strip_prefix(WATCH) {
                let group: Arc<str> = group.into();
                if self.has_watch(&group) {
                    actions.push(keep(self.disabled.set_watch(&group, value.is_some())));
                }
            } else if let Some(rest) = name.strip_prefix(HOST) {
                let said = value.as_ref().and_then(Value::as_bool);
                let record = rest.split_once(' ').and_then(|(group, host)| {
                    let host = HostName::new(host);
                    self.disabled.share_host(&self.model, group, &host, said)
                });
                actions.extend(record.map(keep));
            } else if name.starts_with(manual::PREFIX) {
                servers.push(wish);
            }
        }
        self.bindings.share(now, &servers, actions);
        self.catch_up(actions);
    }

    fn peer_disables_service(
        &mut self,
        now: Now,
        id: ServiceId,
        is_disabled: bool,
        actions: &mut Vec<Action>,
    ) {
        let state = &mut self.states[id.index()];
        if state.is_disabled != is_disabled {
            state.is_disabled = is_disabled;
            let service = self.model.service(id);
            actions.push(report::record(service, state, now));
        }
    }
}

/// All services by watch and name. There may be as many wishes as services.
fn named(model: &Model) -> BTreeMap<(&str, &str), ServiceId> {
    let services = model.services().inspect(|_| look());
    services
        .map(|(id, service)| ((&*service.group, &*service.name), id))
        .collect()
}

fn keep(record: Record) -> Action {
    Action::Record(Box::new(record))
}

#[cfg(test)]
mod tests;
