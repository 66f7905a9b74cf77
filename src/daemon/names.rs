//! Looks names up for the engine, and again when their answer grows old (D8).
//!
//! One task for each name that the engine asked for, asleep between look-ups. The engine
//! hears the first answer and then only changes; the order of addresses is no change. How a
//! name is looked up, and that a good answer outlives an outage of the resolver, is
//! [`crate::names`]' business.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::{AbortHandle, JoinSet};

use crate::engine::event::Event;
use crate::model::{BoundServers, HostName, Model};
use crate::names::Names;

/// Bounds of the time between two look-ups of a good answer: no resolver is flooded because
/// of a lifetime of 0, no change is missed for longer than an hour.
const REFRESH: (Duration, Duration) = (Duration::from_secs(5), Duration::from_secs(3600));

/// Time to the next look-up after an error: soon, because real servers may wait for it.
const RETRY: Duration = Duration::from_secs(5);

/// The names that are kept fresh.
#[derive(Debug)]
pub(super) struct NameKeeper {
    names: Names,
    events: mpsc::Sender<Event>,
    tasks: JoinSet<()>,
    handles: BTreeMap<HostName, AbortHandle>,
}

impl NameKeeper {
    pub(super) fn new(names: Names, events: mpsc::Sender<Event>) -> Self {
        Self {
            names,
            events,
            tasks: JoinSet::new(),
            handles: BTreeMap::new(),
        }
    }

    /// Looks a name up, reports the answer, and keeps it fresh from now on. Asked again for
    /// the same name it starts anew, so the answer is reported again.
    pub(super) fn want(&mut self, host: HostName) {
        // Ended tasks (addresses, stopped names) would pile up otherwise.
        while self.tasks.try_join_next().is_some() {}
        let keep = keep_fresh(self.names.clone(), host.clone(), self.events.clone());
        let handle = self.tasks.spawn(keep);
        if let Some(old) = self.handles.insert(host, handle) {
            old.abort();
        }
    }

    /// Forgets the names that no binding of the new configuration can want.
    pub(super) fn keep_only_those_of(&mut self, model: &Model) {
        let wanted = bound_hosts(model);
        self.handles.retain(|host, handle| {
            let keep = wanted.contains(host);
            if !keep {
                handle.abort();
            }
            keep
        });
    }
}

fn bound_hosts(model: &Model) -> BTreeSet<&HostName> {
    let mut hosts = BTreeSet::new();
    for binding in &model.bindings {
        match &binding.real {
            BoundServers::One { host, .. } => {
                hosts.insert(host);
            }
            BoundServers::EachHost { .. } => {
                let members = &model.hostgroup(binding.service).members;
                hosts.extend(members.iter().map(|member| &member.host));
            }
        }
    }
    hosts
}

async fn keep_fresh(names: Names, host: HostName, events: mpsc::Sender<Event>) {
    let is_address = host.as_str().parse::<IpAddr>().is_ok();
    let mut told: Option<Result<Vec<IpAddr>, String>> = None;
    loop {
        let (answer, pause) = match names.lookup(host.as_str()).await {
            Ok(answer) => {
                let mut addresses = answer.addresses;
                addresses.sort_unstable();
                addresses.dedup();
                (Ok(addresses), answer.fresh_for.clamp(REFRESH.0, REFRESH.1))
            }
            Err(error) => (Err(error.to_string()), RETRY),
        };
        if told.as_ref() != Some(&answer) {
            told = Some(answer.clone());
            let host = host.clone();
            // The loop is gone: so is the need for names.
            if events.send(Event::Resolved { host, answer }).await.is_err() {
                return;
            }
        }
        if is_address {
            return;
        }
        tokio::time::sleep(pause).await;
    }
}
