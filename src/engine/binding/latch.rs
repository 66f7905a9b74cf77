//! Withdrawals that no upalert line ends, only a person does (D4).

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::engine::binding::judge::{Part, Verdict};
use crate::engine::binding::{Bindings, record};
use crate::engine::event::{Action, Reason};
use crate::engine::saved::Saved;
use crate::lvs::VirtualServiceKey;
use crate::model::{Binding, Ends, HostName, Model, ServiceId, ServiceNames};
use crate::time::{Now, Wall};

/// Prefix of the journal keys of this file.
const PREFIX: &str = "withdrawal ";

/// The withdrawals in force, by entry.
pub(super) type Latches = BTreeMap<Entry, Latch>;

/// What one service says about one real server, as the file writes it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Entry {
    pub(super) service: ServiceId,
    pub(super) virtual_service: VirtualServiceKey,
    pub(super) host: HostName,
    pub(super) port: u16,
}

/// Why and since when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Latch {
    pub(super) reason: Reason,
    pub(super) since: Wall,
}

/// A withdrawal in the journal.
#[derive(Debug, Serialize, Deserialize)]
struct SavedLatch {
    group: String,
    service: String,
    virtual_service: VirtualServiceKey,
    host: String,
    port: u16,
    reason: Reason,
    since: Wall,
}

impl Entry {
    pub(super) fn new(binding: &Binding, host: &HostName, port: u16) -> Self {
        Self {
            service: binding.service,
            virtual_service: binding.virtual_service,
            host: host.clone(),
            port,
        }
    }

    /// The record of this entry; with no latch it is to be forgotten.
    pub(super) fn record(&self, model: &Model, latch: Option<Latch>) -> Action {
        let service = model.service(self.service);
        let key = format!(
            "{PREFIX}{}/{} {} {} {}",
            service.group, service.name, self.virtual_service, self.host, self.port
        );
        let state = latch.map(|latch| SavedLatch {
            group: service.group.to_string(),
            service: service.name.to_string(),
            virtual_service: self.virtual_service,
            host: self.host.to_string(),
            port: self.port,
            reason: latch.reason,
            since: latch.since,
        });
        record(key, state.as_ref())
    }
}

impl Bindings {
    /// The entries of a service that only a person ends, with the part they listen to.
    pub(super) fn operator_entries(&self, service: ServiceId) -> Vec<(Entry, Part)> {
        let judge = self.judges.get(&service);
        let bindings = judge.into_iter().flat_map(|judge| &judge.bindings);
        bindings
            .filter_map(|&index| self.model.bindings.get(index))
            .filter(|binding| binding.ends == Ends::ByOperator)
            .flat_map(|binding| {
                let parts = self.parts_of(binding).into_iter();
                parts.map(move |(host, port, part)| (Entry::new(binding, host, port), part))
            })
            .collect()
    }

    /// The entries of all services that only a person ends.
    pub(super) fn all_operator_entries(&self) -> BTreeSet<Entry> {
        let services = self.judges.keys();
        let entries = services.flat_map(|&service| self.operator_entries(service));
        entries.map(|(entry, _)| entry).collect()
    }

    /// Keeps the withdrawals of a report that only a person ends; whether one is new.
    pub(super) fn latch(
        &mut self,
        now: Now,
        service: ServiceId,
        bad: &[(Part, Reason)],
        actions: &mut Vec<Action>,
    ) -> bool {
        if bad.is_empty() {
            return false;
        }
        let mut is_new = false;
        for (entry, part) in self.operator_entries(service) {
            let failing = bad.iter().find(|(failing, _)| *failing == part);
            if let Some(&(_, reason)) = failing
                && !self.latches.contains_key(&entry)
            {
                let since = now.wall;
                let latch = Latch { reason, since };
                actions.push(entry.record(&self.model, Some(latch)));
                self.latches.insert(entry, latch);
                is_new = true;
            }
        }
        is_new
    }

    /// After a reload: entries that only a person ends from now on, and whose part is bad.
    /// `was_latching` tells which did before, so that what a person ended stays ended.
    pub(super) fn latch_new_entries(
        &mut self,
        was_latching: impl Fn(&Entry) -> bool,
        actions: &mut Vec<Action>,
    ) {
        let services: Vec<ServiceId> = self.judges.keys().copied().collect();
        for service in services {
            for (entry, part) in self.operator_entries(service) {
                let known = self.judges.get(&service);
                let known = known.and_then(|judge| judge.parts.get(&part));
                if let Some(Verdict::Bad { reason, since }) = known.and_then(|it| it.verdict)
                    && !was_latching(&entry)
                {
                    let latch = Latch { reason, since };
                    actions.push(entry.record(&self.model, Some(latch)));
                    self.latches.insert(entry, latch);
                }
            }
        }
    }

    /// The withdrawals of the journal, as far as the file still has their entries; the
    /// records of all others are to be forgotten.
    pub(super) fn restore_latches(
        &mut self,
        saved: &Saved,
        names: &ServiceNames<'_>,
        actions: &mut Vec<Action>,
    ) {
        let entries = self.all_operator_entries();
        let records = saved.records.iter();
        for (key, value) in records.filter(|(key, _)| key.starts_with(PREFIX)) {
            let restored = serde_json::from_value::<SavedLatch>(value.clone())
                .ok()
                .and_then(|latch| {
                    let service = names.find(&latch.group, &latch.service)?;
                    let entry = Entry {
                        service,
                        virtual_service: latch.virtual_service,
                        host: HostName::new(&latch.host),
                        port: latch.port,
                    };
                    let (reason, since) = (latch.reason, latch.since);
                    let is_there = entries.contains(&entry);
                    is_there.then_some((entry, Latch { reason, since }))
                });
            match restored {
                Some((entry, latch)) => {
                    self.latches.insert(entry, latch);
                }
                None => actions.push(record(key.clone(), None::<&SavedLatch>)),
            }
        }
    }
}
