//! Which wishes of operators do both directors of a pair share?
//!
//! What is wished of real servers, and which hosts, watches and services are disabled. Each has a
//! name and a value that say the same on both; which of two counts is decided over the link
//! ([`crate::pair::talk::wishes`]). What the peer's operators say is carried out here without any
//! alert: who was told tells it.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::effort::visit;
use crate::engine::Engine;
use crate::engine::event::{Action, Alerts, PeerWish, SharedWish};
use crate::engine::report;
use crate::model::{Model, ServiceId};
use crate::pair::talk::wishes::Level;
use crate::time::Now;

impl Engine {
    /// All that operators wish at present.
    #[must_use]
    pub fn wish_level(&self) -> Level {
        let services = self.model.services().zip(&self.states);
        let services = services.filter(|(_, state)| state.is_disabled);
        let services = services.map(|((_, service), _)| SharedWish::Service {
            group: Arc::clone(&service.group),
            service: Arc::clone(&service.name),
            said: Alerts::Disabled,
        });
        let watches = self.disabled.watches().map(|group| SharedWish::Watch {
            group: group.into(),
            said: Alerts::Disabled,
        });
        let hosts = self.disabled.hosts();
        let hosts = hosts.map(|(group, host, is_disabled)| SharedWish::Host {
            group: group.into(),
            host: host.clone(),
            is_disabled: Some(is_disabled),
        });
        let servers = self.bindings.shared_wishes();
        let all = services.chain(watches).chain(hosts).chain(servers);
        all.filter_map(|wish| Some((wish.name(), wish.value()?)))
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
        let is_of_service = |it: &PeerWish| matches!(it.wish, SharedWish::Service { .. });
        let services = match wishes.iter().any(is_of_service) {
            true => named(&model),
            false => BTreeMap::new(),
        };
        let mut servers = Vec::new();
        for PeerWish { wish, ahead_micros } in wishes {
            match wish {
                SharedWish::Service {
                    group,
                    service,
                    said,
                } => {
                    if let Some(&id) = services.get(&(&**group, &**service)) {
                        self.peer_disables_service(now, id, said.is_disabled(), actions);
                    }
                }
                SharedWish::Watch { group, said } => {
                    if self.has_watch(group) {
                        actions.push(Action::record(
                            self.disabled.set_watch(group, said.is_disabled()),
                        ));
                    }
                }
                SharedWish::Host {
                    group,
                    host,
                    is_disabled,
                } => {
                    let model = &self.model;
                    let record = self.disabled.share_host(model, group, host, *is_disabled);
                    actions.extend(record.map(Action::record));
                }
                SharedWish::Server(word) => servers.push((word, *ahead_micros)),
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
    let services = model.services().inspect(|_| visit());
    services
        .map(|(id, service)| ((&*service.group, &*service.name), id))
        .collect()
}

#[cfg(test)]
mod tests;
