//! What the file declares and what it declared before (D7).
//!
//! Every key that was ever declared is in the journal until the kernel's table shows it gone,
//! so that a key the file no longer names is deleted after a restart too.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::effort::visit;
use crate::engine::binding::staying::{Company, Missing, Sight, Staying};
use crate::engine::binding::usual::{Usual, UsualKind};
use crate::engine::event::{Action, TableOutcome};
use crate::engine::manual::Effect;
use crate::engine::saved::Saved;
use crate::engine::section::wanted::Leaving;
use crate::lvs::{
    Command, RealServer, RealServerKey, ServerWish, TableEntry, VirtualServiceKey, Weight,
};
use crate::model::HostName;

/// Prefix of the journal keys of this file.
const PREFIX: &str = "declared ";

/// All owned keys.
#[derive(Debug, Default)]
pub(super) struct Owned {
    services: BTreeMap<VirtualServiceKey, OwnedService>,
    /// The kernel's table was read since the start.
    is_seen: bool,
    /// Since the latest look that could be read.
    applied: Applied,
}

/// What our own repair has done to the table.
#[derive(Debug, Default)]
struct Applied {
    added: BTreeSet<(VirtualServiceKey, RealServerKey)>,
    /// A virtual service alone is one that was deleted as a whole.
    deleted: BTreeSet<(VirtualServiceKey, Option<RealServerKey>)>,
}

impl Applied {
    fn add(&mut self, commands: &[Command]) {
        for command in commands.iter().inspect(|_| visit()) {
            self.deleted.extend(deletion(command));
            self.added.extend(command.added());
        }
    }

    /// Whether this real server is gone by it.
    fn has_deleted(&self, key: VirtualServiceKey, server: RealServerKey) -> bool {
        let deleted = &self.deleted;
        deleted.contains(&(key, None)) || deleted.contains(&(key, Some(server)))
    }

    /// Whether a real server of this virtual service is.
    fn has_deleted_of(&self, key: VirtualServiceKey) -> bool {
        let mut of = self.deleted.range((key, None)..);
        of.find(|(_, server)| server.is_some())
            .is_some_and(|(of, _)| *of == key)
    }
}

/// What is owned of one virtual service.
#[derive(Debug, Default)]
struct OwnedService {
    /// Declared with `-B`, now or before.
    is_made: bool,
    servers: BTreeMap<RealServerKey, Ownership>,
    /// Those that neither the journal nor the file before named, until their first verdict.
    new: BTreeSet<RealServerKey>,
}

impl OwnedService {
    /// Whether there may be something that the table has no more.
    fn is_leaving(&self) -> bool {
        let mut servers = self.servers.values();
        let leaves = |it: &Ownership| matches!(it, Ownership::Leaving { .. });
        self.servers.is_empty() || servers.any(leaves)
    }

    /// What leaves stays for now: takes note of how the kernel has it; whether some of it is
    /// wanted otherwise then. `is_first` tells of the first look since the start; `applied` is what
    /// our own repair did before this look.
    fn stays(
        &mut self,
        key: VirtualServiceKey,
        entry: Option<&TableEntry>,
        (is_first, applied): (bool, &Applied),
        missing: Missing,
        actions: &mut Vec<Action>,
    ) -> bool {
        let found = || {
            let servers = entry.into_iter().flat_map(|entry| &entry.servers);
            servers.filter(|&(&server, _)| !applied.added.contains(&(key, server)))
        };
        // Whom `foreign keep` leaves alone, our exit leaves alone too.
        let of_ours = || found().filter(|(server, _)| self.servers.contains_key(server));
        let company = if is_first && of_ours().all(|(_, it)| it.weight == Weight(0)) {
            Company::AsWeLeave
        } else if found().next().is_none() && !applied.has_deleted_of(key) {
            Company::Nobody
        } else {
            Company::Others
        };
        let mut is_news = false;
        for (server, ownership) in &mut self.servers {
            let before = ownership.usual();
            let Ownership::Leaving { was_in, staying } = ownership else {
                continue;
            };
            let found = entry.and_then(|it| it.servers.get(server));
            is_news |= staying.follow(Sight {
                found,
                company,
                missing,
            });
            // Nobody is about to add it.
            *was_in &= found.is_some() || matches!(staying.wish(), ServerWish::In(_));
            if ownership.usual() != before {
                actions.push(ownership.record(key, *server));
            }
        }
        is_news
    }

    fn leaving(&self) -> impl Iterator<Item = (RealServerKey, &Staying)> {
        let servers = self.servers.iter();
        servers.filter_map(|(&server, ownership)| match ownership {
            Ownership::Declared { .. } => None,
            Ownership::Leaving { staying, .. } => Some((server, staying)),
        })
    }
}

#[derive(Debug)]
enum Ownership {
    /// The file has it.
    Declared {
        /// These words of it stand for it.
        hosts: BTreeSet<HostName>,
        /// With what it serves while nobody wishes anything.
        usual: Usual,
    },
    /// No word does any more: out it goes.
    Leaving {
        /// It was wanted in a moment ago, so the applier may be about to add it, and one
        /// look that does not show it proves nothing.
        was_in: bool,
        staying: Staying,
    },
}

impl Ownership {
    const fn usual(&self) -> Usual {
        match self {
            Self::Declared { usual, .. } => *usual,
            Self::Leaving { staying, .. } => staying.usual(),
        }
    }

    /// The record of a real server.
    fn record(&self, key: VirtualServiceKey, server: RealServerKey) -> Action {
        let (hosts, usual, is_held) = match self {
            Self::Declared { hosts, usual } => {
                let hosts = hosts.iter().map(ToString::to_string).collect();
                (hosts, *usual, false)
            }
            Self::Leaving { staying, .. } => (Vec::new(), staying.usual(), staying.is_held()),
        };
        let saying = Saying {
            virtual_service: key,
            server: Some(server),
            hosts,
            usual: usual.settings(),
            kind: usual.kind(),
            is_held,
        };
        super::record(named(key, Some(server)), Some(&saying))
    }
}

/// What the file says of a virtual service itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Naming {
    /// No line names it.
    Unnamed,
    /// Lines name it, and others make it.
    Named,
    /// A line has `-B`, or it is a section: it is made here.
    Made,
}

/// The state of one key in the journal.
#[derive(Debug, Serialize, Deserialize)]
struct Saying {
    virtual_service: VirtualServiceKey,
    /// None for the virtual service itself.
    server: Option<RealServerKey>,
    /// The words that stand for it; empty while it is leaving.
    hosts: Vec<String>,
    /// See [`Ownership::Declared`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    usual: Option<RealServer>,
    #[serde(default, skip_serializing_if = "is_default")]
    kind: UsualKind,
    /// While it is leaving: a name without an address has kept it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    is_held: bool,
}

impl Owned {
    /// What the journal says. Nothing is declared yet: see [`Owned::declare`].
    pub(super) fn restore(saved: &Saved) -> Self {
        let mut owned = Self::default();
        for saying in sayings(saved) {
            let service = owned.services.entry(saying.virtual_service).or_default();
            match saying.server {
                None => service.is_made = true,
                Some(server) => {
                    let hosts = saying
                        .hosts
                        .iter()
                        .map(|host| HostName::new(host))
                        .collect();
                    let usual = Usual::restored(saying.usual, saying.kind);
                    let ownership = if saying.hosts.is_empty() {
                        Ownership::Leaving {
                            was_in: false,
                            staying: Staying::new(usual, saying.is_held),
                        }
                    } else {
                        Ownership::Declared { hosts, usual }
                    };
                    service.servers.insert(server, ownership);
                }
            }
        }
        owned
    }

    /// Every owned key, as it is on record.
    pub(super) fn record_all(&self) -> impl Iterator<Item = Action> + '_ {
        self.services.iter().flat_map(move |(&key, service)| {
            let made = service.is_made.then(|| record_made(key, true));
            let servers = service.servers.iter();
            let servers = servers.map(|(&server, ownership)| ownership.record(key, server));
            made.into_iter().chain(servers).collect::<Vec<Action>>()
        })
    }

    /// The virtual services with an owned key.
    pub(super) fn keys(&self) -> impl Iterator<Item = VirtualServiceKey> + '_ {
        self.services.keys().copied()
    }

    /// Those with a real server that must go.
    pub(super) fn keys_with_leaving(&self) -> impl Iterator<Item = VirtualServiceKey> + '_ {
        let services = self.services.iter();
        let with_leaving = services.filter(|(_, service)| service.leaving().next().is_some());
        with_leaving.map(|(&key, _)| key)
    }

    /// Whether anything of the virtual service is declared, or was and is not gone yet.
    pub(super) fn knows(&self, key: VirtualServiceKey) -> bool {
        self.services.contains_key(&key)
    }

    /// Declared words with the real servers they stand for.
    pub(super) fn words(
        &self,
    ) -> impl Iterator<Item = (VirtualServiceKey, RealServerKey, &HostName)> {
        self.services.iter().flat_map(|(&key, service)| {
            service
                .servers
                .iter()
                .flat_map(move |(&server, ownership)| {
                    let hosts = match ownership {
                        Ownership::Declared { hosts, .. } => Some(hosts),
                        Ownership::Leaving { .. } => None,
                    };
                    hosts
                        .into_iter()
                        .flatten()
                        .map(move |host| (key, server, host))
                })
        })
    }

    /// Whether the file has this real server, as far as it was looked at.
    pub(super) fn is_declared(&self, key: VirtualServiceKey, server: RealServerKey) -> bool {
        let service = self.services.get(&key);
        let ownership = service.and_then(|service| service.servers.get(&server));
        matches!(ownership, Some(Ownership::Declared { .. }))
    }

    /// Whether `-B` declared the virtual service, now or before.
    pub(super) fn is_made(&self, key: VirtualServiceKey) -> bool {
        self.services
            .get(&key)
            .is_some_and(|service| service.is_made)
    }

    /// Real servers that must go.
    pub(super) fn leaving(
        &self,
        key: VirtualServiceKey,
    ) -> impl Iterator<Item = RealServerKey> + '_ {
        self.staying(key).map(|(server, _)| server)
    }

    /// The same, with what is wanted of each while it stays for a name without an address.
    pub(super) fn wishes(
        &self,
        key: VirtualServiceKey,
    ) -> impl Iterator<Item = (RealServerKey, ServerWish)> + '_ {
        self.staying(key).map(|(server, it)| (server, it.wish))
    }

    /// The same, with all that is known of each.
    pub(super) fn staying(
        &self,
        key: VirtualServiceKey,
    ) -> impl Iterator<Item = (RealServerKey, Leaving)> + '_ {
        let service = self.services.get(&key).into_iter();
        let leaving = service.flat_map(OwnedService::leaving);
        leaving.map(|(server, staying)| (server, staying.leaving()))
    }

    /// Whether a name without an address has kept one that must go.
    pub(super) fn has_held(&self, key: VirtualServiceKey) -> bool {
        let service = self.services.get(&key);
        service.is_some_and(|it| it.leaving().any(|(_, staying)| staying.is_held()))
    }

    /// Whether one that must go has come back, and serves since.
    pub(super) fn has_returned(&self, key: VirtualServiceKey) -> bool {
        let service = self.services.get(&key);
        service.is_some_and(|it| it.leaving().any(|(_, staying)| staying.has_returned()))
    }

    /// Whether a name without an address keeps those that must go, or has kept them until now.
    pub(super) fn hold(
        &mut self,
        key: VirtualServiceKey,
        is_held: bool,
        actions: &mut Vec<Action>,
    ) {
        let service = self.services.get_mut(&key).into_iter();
        for (&server, ownership) in service.flat_map(|it| &mut it.servers) {
            if let Ownership::Leaving { staying, .. } = ownership
                && staying.hold(is_held)
            {
                actions.push(ownership.record(key, server));
            }
        }
    }

    /// No name of a virtual service keeps any of those that must go from now on.
    pub(super) fn let_go(&mut self, key: VirtualServiceKey, actions: &mut Vec<Action>) {
        if self.has_held(key) {
            self.hold(key, false, actions);
        }
    }

    /// What operators wish of those that must go, while they stay.
    pub(super) fn lay_wishes(
        &mut self,
        key: VirtualServiceKey,
        effect: impl Fn(RealServerKey) -> Option<Effect>,
    ) {
        let service = self.services.get_mut(&key).into_iter();
        for (&server, ownership) in service.flat_map(|it| &mut it.servers) {
            if let Ownership::Leaving { staying, .. } = ownership {
                staying.lay(effect(server));
            }
        }
    }

    /// With what a real server of the file serves while nobody wishes anything of it.
    pub(super) fn serves(
        &mut self,
        (key, server): (VirtualServiceKey, RealServerKey),
        with: Usual,
        actions: &mut Vec<Action>,
    ) {
        let service = self.services.get_mut(&key);
        let ownership = service.and_then(|service| service.servers.get_mut(&server));
        if let Some(ownership @ Ownership::Declared { .. }) = ownership
            && ownership.usual() != with
        {
            if let Ownership::Declared { usual, .. } = ownership {
                *usual = with;
            }
            actions.push(ownership.record(key, server));
        }
    }

    /// With what a real server serves, as far as is known.
    pub(super) fn usual(&self, key: VirtualServiceKey, server: RealServerKey) -> Usual {
        let service = self.services.get(&key);
        let ownership = service.and_then(|service| service.servers.get(&server));
        ownership.map(Ownership::usual).unwrap_or_default()
    }

    /// Nobody knows any more of those of the file that failed that they did.
    pub(super) fn forget_failed(&mut self, key: VirtualServiceKey, actions: &mut Vec<Action>) {
        let service = self.services.get(&key).into_iter();
        let servers = service.flat_map(|service| service.servers.keys().copied());
        let servers: Vec<RealServerKey> = servers.collect();
        for server in servers {
            if self.has_failed(key, server) {
                self.serves((key, server), Usual::Unknown, actions);
            }
        }
    }

    /// Whether the file names the real server for the first time, and no verdict on it is there
    /// yet. Of all others the kernel has what was right before a restart or a reload (D16).
    pub(super) fn is_new(&self, key: VirtualServiceKey, server: RealServerKey) -> bool {
        let service = self.services.get(&key);
        service.is_some_and(|service| service.new.contains(&server))
    }

    /// The real server has a verdict.
    pub(super) fn judged(&mut self, key: VirtualServiceKey, server: RealServerKey) {
        if let Some(service) = self.services.get_mut(&key) {
            service.new.remove(&server);
        }
    }

    /// What the file declares of one virtual service now. `was_in` tells whether a real server
    /// was wanted in. Answers with the real servers that have just begun to leave, with the words
    /// that stood for them.
    pub(super) fn declare(
        &mut self,
        key: VirtualServiceKey,
        naming: Naming,
        servers: &BTreeMap<RealServerKey, BTreeSet<HostName>>,
        was_in: impl Fn(RealServerKey) -> bool,
        actions: &mut Vec<Action>,
    ) -> Vec<(RealServerKey, BTreeSet<HostName>)> {
        let service = self.services.entry(key).or_default();
        match naming {
            Naming::Made if !service.is_made => {
                service.is_made = true;
                actions.push(record_made(key, true));
            }
            Naming::Named if service.is_made => {
                // Others make it from now on; it is theirs, with our real servers in it.
                service.is_made = false;
                actions.push(record_made(key, false));
            }
            Naming::Made | Naming::Named | Naming::Unnamed => {}
        }
        let mut dropped = Vec::new();
        for (&server, ownership) in &mut service.servers {
            if let Ownership::Declared { hosts, usual } = ownership
                && !servers.contains_key(&server)
            {
                let hosts = std::mem::take(hosts);
                *ownership = Ownership::Leaving {
                    was_in: was_in(server),
                    staying: Staying::new(*usual, false),
                };
                actions.push(ownership.record(key, server));
                dropped.push((server, hosts));
                service.new.remove(&server);
            }
        }
        for (&server, hosts) in servers {
            let is_known = match service.servers.get(&server) {
                Some(Ownership::Declared { hosts: known, .. }) => known == hosts,
                Some(Ownership::Leaving { .. }) => false,
                None => {
                    service.new.insert(server);
                    false
                }
            };
            if !is_known {
                let before = service.servers.get(&server);
                let declared = Ownership::Declared {
                    hosts: hosts.clone(),
                    usual: before.map(Ownership::usual).unwrap_or_default(),
                };
                actions.push(declared.record(key, server));
                service.servers.insert(server, declared);
            }
        }
        if service.servers.is_empty() && !service.is_made {
            self.services.remove(&key);
        }
        dropped
    }

    /// Forgets what has left; answers with the virtual services it concerns. `is_named` tells
    /// whether the file names a virtual service, `missing` whose name has no address in it: it may
    /// lead to what has left, which is no new server then, and comes back where others emptied the
    /// virtual service.
    pub(super) fn table_seen(
        &mut self,
        outcome: &TableOutcome,
        is_named: impl Fn(VirtualServiceKey) -> bool,
        missing: impl Fn(VirtualServiceKey) -> Option<Missing>,
        actions: &mut Vec<Action>,
    ) -> BTreeSet<VirtualServiceKey> {
        let mut changed = BTreeSet::new();
        self.applied.add(&outcome.applied);
        let Some(table) = outcome.table.read() else {
            return changed;
        };
        let is_first = !std::mem::replace(&mut self.is_seen, true);
        let applied = std::mem::take(&mut self.applied);
        for (&key, service) in &mut self.services {
            if !service.is_leaving() {
                continue;
            }
            visit();
            let entry = table.get(&key);
            if let Some(missing) = missing(key) {
                if service.stays(key, entry, (is_first, &applied), missing, actions) {
                    changed.insert(key);
                }
                continue;
            }
            service.servers.retain(|&server, ownership| {
                let Ownership::Leaving { was_in, .. } = ownership else {
                    return true;
                };
                if entry.is_some_and(|entry| entry.servers.contains_key(&server)) {
                    return true;
                }
                if *was_in && !applied.has_deleted(key, server) {
                    *was_in = false;
                    return true;
                }
                actions.push(super::record(named(key, Some(server)), None::<&Saying>));
                changed.insert(key);
                false
            });
            let is_empty = service.servers.is_empty();
            if service.is_made && is_empty && entry.is_none() && !is_named(key) {
                service.is_made = false;
                actions.push(record_made(key, false));
                changed.insert(key);
            }
        }
        self.services
            .retain(|_, service| service.is_made || !service.servers.is_empty());
        changed
    }
}

/// What a command takes out of the table.
const fn deletion(command: &Command) -> Option<(VirtualServiceKey, Option<RealServerKey>)> {
    match command {
        Command::DeleteService(key) => Some((*key, None)),
        Command::DeleteServer(key, server) => Some((*key, Some(*server))),
        Command::AddService(..)
        | Command::EditService(..)
        | Command::AddServer(..)
        | Command::EditServer(..) => None,
    }
}

fn sayings(saved: &Saved) -> impl Iterator<Item = Saying> + '_ {
    let records = saved.records.iter();
    records
        .filter(|(key, _)| key.starts_with(PREFIX))
        .filter_map(|(_, value)| serde_json::from_value(value.clone()).ok())
}

fn is_default(kind: &UsualKind) -> bool {
    *kind == UsualKind::default()
}

/// Under which key it is in the journal.
fn named(virtual_service: VirtualServiceKey, server: Option<RealServerKey>) -> String {
    match server {
        Some(server) => format!("{PREFIX}{virtual_service} {server}"),
        None => format!("{PREFIX}{virtual_service}"),
    }
}

/// The record of a virtual service; one that is not made here is to be forgotten.
fn record_made(virtual_service: VirtualServiceKey, is_made: bool) -> Action {
    let saying = is_made.then(|| Saying {
        virtual_service,
        server: None,
        hosts: Vec::new(),
        usual: None,
        kind: UsualKind::Server,
        is_held: false,
    });
    super::record(named(virtual_service, None), saying.as_ref())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::event::TableLook;
    use crate::lvs::{Forwarding, RealServer, Weight};

    /// A table that was empty is filled: what was added is gone through once, not once for each
    /// key that is owned.
    #[test]
    fn a_table_that_is_filled_costs_the_same_for_each_key() {
        for count in [2_u32, 1_000] {
            let mut owned = Owned::default();
            let mut outcome = TableOutcome {
                table: TableLook::Read(std::sync::Arc::default()),
                ..TableOutcome::default()
            };
            for number in 0..count {
                let ip = std::net::Ipv4Addr::from(0x0a00_0000 + number);
                let key: VirtualServiceKey = format!("{ip}:80/tcp").parse().unwrap();
                let server = RealServerKey("192.168.0.1:80".parse().unwrap());
                let hosts = BTreeSet::from([HostName::new("w1")]);
                let servers = BTreeMap::from([(server, hosts)]);
                owned.declare(key, Naming::Made, &servers, |_| true, &mut Vec::new());
                // Half of them leave.
                if number % 2 == 0 {
                    owned.declare(
                        key,
                        Naming::Unnamed,
                        &BTreeMap::new(),
                        |_| true,
                        &mut Vec::new(),
                    );
                }
                let to = RealServer::new(Forwarding::Dr, Weight(1));
                outcome.applied.push(Command::AddServer(key, server, to));
            }
            let visits = crate::effort::visits(|| {
                owned.table_seen(&outcome, |_| true, |_| None, &mut Vec::new());
            });
            assert_eq!(
                visits,
                u64::from(count + count / 2),
                "all, and those that leave"
            );
        }
    }
}
