//! The kernel's table, and who else writes it.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use lvsmon::engine::desired::RealServerView;
use lvsmon::engine::event::{Contested, Event, Resolved, TableLook, TableOutcome};
use lvsmon::lvs::diff::{diff, missing, owned};
use lvsmon::lvs::{
    Command, ConnectionCounts, Connections, Desired, Forwarding, RealServer, RealServerKey,
    Strangers, TableEntry, VirtualService, VirtualServiceKey, Weight, replay,
};
use lvsmon::model::HostName;

use super::super::health::judges;
use super::{Coming, World};

impl World {
    /// The init script of the director: virtual services that are not ours.
    pub(super) fn set_up_director(&mut self) {
        for group in 0..4 {
            let key = format!("10.0.0.{group}:80/tcp").parse().unwrap();
            let plain = || TableEntry {
                service: VirtualService::plain(
                    lvsmon::lvs::Family::V4,
                    lvsmon::lvs::Scheduler::wlc(),
                ),
                servers: BTreeMap::new(),
            };
            self.kernel.entry(key).or_insert_with(plain);
        }
        let plain = VirtualService::plain(lvsmon::lvs::Family::V4, lvsmon::lvs::Scheduler::wlc());
        let settings = RealServer::new(Forwarding::Dr, Weight(3));
        let server = RealServerKey((stranger(9), 25).into());
        let entry = TableEntry {
            service: plain,
            servers: [(server, settings)].into(),
        };
        self.kernel.entry(foreign()).or_insert(entry);
    }

    pub(super) fn resolve(&mut self, host: &HostName) {
        let count = u32::try_from(self.addresses.len()).unwrap() + 10;
        let known = *self.addresses.entry(host.clone()).or_insert(count);
        let unlucky = !self.is_calm && self.random.u8(..) < 30;
        let answer = match unlucky {
            true => Err("the name server does not answer".to_owned()),
            false => {
                self.health.looked_up(host, address(known));
                Ok(vec![address(known)])
            }
        };
        if unlucky {
            self.later(20, Coming::Resolved(host.clone()));
        }
        if let Ok(addresses) = &answer {
            self.moves_under_a_check(host, addresses);
        }
        let host = host.clone();
        self.tell(Event::Resolved(vec![Resolved::fresh(host, answer)]));
    }

    /// A check that goes on says nothing where the name leads elsewhere since, and does not fail
    /// where it had no address before.
    fn moves_under_a_check(&mut self, host: &HostName, addresses: &[IpAddr]) {
        let is_elsewhere = |it: &RealServerView| {
            let server = it.server.filter(|_| it.hosts.contains(host));
            server.is_some_and(|server| !addresses.contains(&server.0.ip()))
        };
        let mut runs = self.runs.values();
        let is_checked = runs.any(|run| run.hosts.contains(host));
        let is_first = !self.engine.addresses().any(|(it, _)| it == host);
        if is_checked && (is_first || self.engine.real_servers().iter().any(is_elsewhere)) {
            for run in self.runs.values_mut() {
                run.hosts.retain(|it| it != host);
            }
        }
    }

    /// A host moves to another address.
    pub(super) fn new_address(&mut self) {
        let hosts: Vec<HostName> = self.addresses.keys().cloned().collect();
        if !hosts.is_empty() {
            let host = &hosts[self.random.usize(..hosts.len())];
            let next = self.addresses.values().max().unwrap() + 1;
            self.addresses.insert(host.clone(), next.max(100));
            self.soon(Coming::Resolved(host.clone()));
        }
        self.later(500, Coming::NewAddress);
    }

    /// Somebody else writes the table: once, or again and again for a while.
    pub(super) fn meddle(&mut self) {
        let keys: Vec<VirtualServiceKey> = self.kernel.keys().copied().collect();
        let keys: Vec<VirtualServiceKey> = keys.into_iter().filter(|it| *it != foreign()).collect();
        if keys.is_empty() {
            return self.later(200, Coming::Meddler);
        }
        let war = self.war.filter(|&(_, end)| end > self.time);
        let drawn = keys[self.random.usize(..keys.len())];
        let key = war.map_or(drawn, |(key, _)| key);
        match self.random.u8(..12) {
            0 => drop(self.kernel.remove(&key)),
            1 if war.is_none() => {
                self.seen.wars += 1;
                self.war = Some((key, self.time.after(Duration::from_secs(60))));
            }
            what => self.meddle_with(key, what),
        }
        let again = if self.war.is_some() { 4 } else { 200 };
        self.later(again, Coming::Meddler);
    }

    fn meddle_with(&mut self, key: VirtualServiceKey, what: u8) {
        let Some(entry) = self.kernel.get_mut(&key) else {
            return;
        };
        let servers: Vec<RealServerKey> = entry.servers.keys().copied().collect();
        let drawn = self.random.usize(..servers.len().max(1));
        match (servers.get(drawn), what) {
            (Some(server), 2..=5) => {
                self.seen.lost_entries += 1;
                entry.servers.remove(server);
            }
            (Some(server), 6..=8) => {
                let weight = Weight(self.random.u32(0..20));
                entry.servers.get_mut(server).unwrap().weight = weight;
            }
            (Some(_) | None, _) => {
                self.seen.strangers += 1;
                let number = self.random.u8(1..4);
                let server = RealServerKey((stranger(number), 80).into());
                let settings = RealServer::new(Forwarding::Dr, Weight(1));
                entry.servers.insert(server, settings);
            }
        }
    }

    /// The applier: list, diff, apply, say what came of it.
    pub(super) fn look_at_table(&mut self) {
        let desired = Arc::new(self.engine.desired().clone());
        let mut outcome = TableOutcome {
            wanted: Arc::clone(&desired),
            ..TableOutcome::default()
        };
        if !self.is_calm && self.random.u8(..) < 10 {
            outcome.table = TableLook::Unreadable("too many open files".to_owned());
            self.tell(Event::Table(outcome));
            return;
        }
        let mut served = Vec::new();
        for command in diff(&desired, &self.kernel) {
            self.may_be_touched(&desired, &command);
            let key = command.service();
            served.push((key, self.with_weight(key)));
            let refused = !self.is_calm && self.random.u8(..) < 20;
            let applied = match refused {
                true => Err("operation not permitted".to_owned()),
                false => {
                    replay::apply(&mut self.kernel, &command).map_err(|why| format!("{why:?}"))
                }
            };
            match applied {
                Ok(()) => {
                    let takes_out = matches!(command, Command::DeleteServer(..));
                    self.seen.withdrawn += u64::from(takes_out);
                    outcome.applied.push(command);
                }
                Err(why) => {
                    self.seen.refused += 1;
                    outcome.refused.push((command, why));
                }
            }
        }
        if outcome.refused.is_empty() {
            self.nobody_was_missing(&served);
            assert_eq!(diff(&desired, &self.kernel), [], "applying does not agree");
        } else if !self.is_calm {
            self.later(10, Coming::LookAtTable { again: false });
        }
        self.war = self
            .war
            .filter(|&(_, end)| end > self.time && !self.is_calm);
        let contested = |(key, _)| Contested {
            repair: Command::DeleteService(key),
            rests_until: None,
        };
        outcome.contested = self.war.into_iter().map(contested).collect();
        outcome.missing = missing(&desired, &self.kernel);
        outcome.connections = Arc::new(self.connections());
        let actual = Arc::new(owned(&desired, self.kernel.clone()));
        outcome.table = TableLook::Read(Arc::clone(&actual));
        self.first_look.get_or_insert(self.time);
        self.looked = Some(actual);
        self.tell(Event::Table(outcome));
    }

    fn with_weight(&self, key: VirtualServiceKey) -> usize {
        let servers = self.kernel.get(&key).map(|entry| entry.servers.values());
        let servers = servers.into_iter().flatten();
        servers.filter(|it| it.weight > Weight(0)).count()
    }

    /// Between two changes no fewer served than before all of them or after.
    fn nobody_was_missing(&self, served: &[(VirtualServiceKey, usize)]) {
        for &(key, least) in served {
            let first = served.iter().find(|(it, _)| *it == key);
            let before = first.map_or(0, |&(_, count)| count);
            let after = self.with_weight(key);
            assert!(
                least >= before.min(after),
                "{key}: {before}, {least}, {after}"
            );
        }
    }

    /// Clients come to servers with a weight, and go from those without.
    fn connections(&mut self) -> Connections {
        let mut active = BTreeMap::new();
        let mut connections = Connections::new();
        for (&key, entry) in &self.kernel {
            for (&server, settings) in &entry.servers {
                let before = self.active.get(&(key, server)).copied().unwrap_or_default();
                let now = match settings.weight {
                    Weight(0) => before.saturating_sub(self.random.u32(0..3)),
                    Weight(_) => self.random.u32(0..20),
                };
                active.insert((key, server), now);
                let counts = ConnectionCounts {
                    active: now,
                    ..ConnectionCounts::default()
                };
                connections.insert((key, server), counts);
            }
        }
        self.active = active;
        connections
    }

    /// Only what the file names is touched, and strangers where it says so.
    fn may_be_touched(&self, desired: &Desired, command: &Command) {
        let wanted = desired.get(&command.service());
        let wanted = wanted.unwrap_or_else(|| panic!("not ours: {command}"));
        let server = match command {
            Command::AddServer(_, server, _)
            | Command::EditServer(_, server, _)
            | Command::DeleteServer(_, server) => server,
            Command::AddService(..) | Command::EditService(..) | Command::DeleteService(_) => {
                return;
            }
        };
        let mut sections = self.engine.model().virtual_services.iter();
        let section = sections.find(|it| it.key == command.service());
        let removes = section.is_some_and(|it| it.foreign == Strangers::Removed);
        assert!(
            wanted.servers.contains_key(server) || removes,
            "a stranger that may stay: {command}"
        );
    }

    /// When all is well: each real server that is checked is where its name leads.
    pub(super) fn names_lead_to_servers(&self) {
        for view in self.engine.real_servers() {
            let is_checked = |host: &&HostName| !judges(&self.engine, host).is_empty();
            for host in view.hosts.iter().filter(is_checked) {
                let led = self.addresses.get(host).map(|&number| address(number));
                let stands = view.server.map(|server| server.0.ip());
                assert!(
                    led.is_none() || stands == led,
                    "{host} leads to {led:?}: {view:?}"
                );
            }
        }
    }

    /// When all is well: what nobody declared is as others made it.
    pub(super) fn only_foreigners_are_left(&self) {
        let entry = self.kernel.get(&foreign()).unwrap();
        assert_eq!(entry.servers.len(), 1, "{entry:?}");
        for section in &self.engine.model().virtual_services {
            let entry = self.kernel.get(&section.key).unwrap();
            let is_stranger =
                |server: &&RealServerKey| (1..4).any(|it| stranger(it) == server.0.ip());
            let strangers = entry.servers.keys().filter(is_stranger).count();
            assert!(
                section.foreign == Strangers::Kept || strangers == 0,
                "{entry:?}"
            );
        }
    }
}

/// A virtual service that no file names.
fn foreign() -> VirtualServiceKey {
    "10.9.0.1:25/tcp".parse().unwrap()
}

fn stranger(number: u8) -> IpAddr {
    [172, 16, 0, number].into()
}

fn address(number: u32) -> IpAddr {
    let [_, _, high, low] = number.to_be_bytes();
    [192, 168, 77 + high, low].into()
}
