//! Idle connections that are held to hosts, and what follows from their end: who is looked at
//! because of it, remembered beside the engine.

use std::collections::{BTreeMap, BTreeSet};

use lvsmon::engine::event::{Purpose, Run, RunId, Wire, WireId};
use lvsmon::model::HostName;

use super::depend::Name;

/// The port of the first service of a group, see [`super::site`].
pub(crate) const FIRST_PORT: u16 = 8000;

/// What a run knows of connections that ended before it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tripped {
    pub(crate) hosts: BTreeSet<HostName>,
    /// Another configuration came since: the engine may have forgotten them.
    pub(crate) is_unsure: bool,
    /// Hosts that were checked by themselves while it went on: it says nothing of them any more.
    pub(crate) overtaken: BTreeSet<HostName>,
}

/// All that the present daemon holds.
#[derive(Debug, Default)]
pub(crate) struct Wires {
    held: BTreeMap<WireId, (Name, HostName)>,
    last: Option<WireId>,
    /// Ended, and no run began since.
    ended: BTreeMap<Name, BTreeSet<HostName>>,
    runs: BTreeMap<RunId, (Name, Tripped)>,
}

/// Which service wants it.
fn name(wire: &Wire) -> Name {
    let (group, _) = wire.host.as_str().split_once('h').unwrap();
    let service = wire.port - FIRST_PORT;
    (group.to_owned(), format!("s{service}"))
}

impl Wires {
    pub(crate) fn hold(&mut self, wire: &Wire) {
        assert!(self.last < Some(wire.id), "{wire:?} has an old number");
        self.last = Some(wire.id);
        let place = (name(wire), wire.host.clone());
        let is_second = self.held.values().any(|known| *known == place);
        assert!(!is_second, "a second connection: {wire:?}");
        self.held.insert(wire.id, place);
    }

    pub(crate) fn let_go(&mut self, wire: WireId) {
        assert!(self.held.remove(&wire).is_some(), "{wire:?} is not held");
    }

    pub(crate) fn host(&self, wire: WireId) -> Option<&HostName> {
        self.held.get(&wire).map(|(_, host)| host)
    }

    /// Those to one host.
    pub(crate) fn to(&self, host: &str) -> Vec<WireId> {
        let mine = self.held.iter().filter(|(_, it)| it.1.as_str() == host);
        mine.map(|(id, _)| *id).collect()
    }

    /// Its end is about to be told; whose it was, none if it was let go of.
    pub(crate) fn ends(&mut self, wire: WireId) -> Option<(Name, HostName)> {
        let (name, host) = self.held.remove(&wire)?;
        self.ended
            .entry(name.clone())
            .or_default()
            .insert(host.clone());
        Some((name, host))
    }

    /// A run begins, which looks at all that ended. No connection is in its way.
    pub(crate) fn starts(&mut self, run: &Run, name: &Name) {
        let hosts = &run.hosts;
        if run.purpose == Purpose::Former {
            // It goes to another machine than the connections.
            return;
        }
        let is_in_the_way = |(it, host): &&(Name, HostName)| it == name && hosts.contains(host);
        let found = self.held.values().find(is_in_the_way);
        assert_eq!(found, None, "held while it is checked");
        let hosts = match run.purpose {
            Purpose::Beside => {
                // One that failed under a run's own check is looked at too, and no connection
                // ended.
                let runs = self.runs.values().filter(|(it, _)| it == name);
                let of_runs = runs.flat_map(|(_, tripped)| &tripped.hosts);
                let of_runs: BTreeSet<HostName> = of_runs.cloned().collect();
                let ended = self.ended.entry(name.clone()).or_default();
                let had_ended = |host: &&HostName| ended.contains(*host) || of_runs.contains(*host);
                let tripped = hosts.iter().filter(had_ended).cloned().collect();
                ended.retain(|host| !hosts.contains(host));
                tripped
            }
            Purpose::Slot
            | Purpose::Recheck
            | Purpose::Trip
            | Purpose::Former
            | Purpose::Witness => self.ended.remove(name).unwrap_or_default(),
        };
        let tripped = Tripped {
            hosts,
            ..Tripped::default()
        };
        self.runs.insert(run.id, (name.clone(), tripped));
    }

    /// Hosts whose connection ended, and no run began since.
    pub(crate) fn not_looked_at(&self, name: &Name) -> impl Iterator<Item = &HostName> {
        self.ended.get(name).into_iter().flatten()
    }

    /// What it looked at; it is over.
    pub(crate) fn over(&mut self, run: RunId) -> Tripped {
        self.runs.remove(&run).unwrap_or_default().1
    }

    /// A check of one host is over that began beside a run of its service.
    pub(crate) fn beside_is_over(&mut self, name: &Name, host: &HostName) {
        for (it, tripped) in self.runs.values_mut() {
            if it == name {
                tripped.overtaken.insert(host.clone());
            }
        }
    }

    /// It gives way to another, which looks at the same hosts, or to another configuration.
    pub(crate) fn stops(&mut self, run: RunId) {
        if let Some((name, tripped)) = self.runs.remove(&run)
            && !tripped.is_unsure
        {
            self.ended.entry(name).or_default().extend(tripped.hosts);
        }
    }

    /// Another configuration: everything begins anew, and what is held is let go of.
    pub(crate) fn reloaded(&mut self) {
        self.ended.clear();
        for (_, tripped) in self.runs.values_mut() {
            tripped.is_unsure = true;
        }
    }

    /// A new daemon.
    pub(crate) fn restarted(&mut self) {
        *self = Self::default();
    }
}
