//! Which commands of a difference wait, since others before them were not carried out?
//!
//! A real server without its virtual service would only be refused once more. And a stranger may
//! be all that serves: it stays until every real server of the file is in that is to get clients,
//! whoever keeps that one out, the kernel that refuses it or another writer who is left to rest.
//! Pure; the commands come in the order of [`diff`](super::diff).

use std::collections::{BTreeMap, BTreeSet};

use crate::lvs::{Command, Desired, RealServer, RealServerKey, VirtualServiceKey, Weight};

/// What a command waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Waits {
    /// Its virtual service is not there.
    ForService,
    /// It takes a stranger out, and this real server of the file is not in, or not with its weight.
    ForServer(RealServerKey),
}

/// What the commands before left undone.
#[derive(Clone, Debug)]
pub struct Behind<'a> {
    desired: &'a Desired,
    /// Virtual services that are not there.
    missing: BTreeSet<VirtualServiceKey>,
    /// Those whose real servers did not all get in, with the first that did not.
    lacking: BTreeMap<VirtualServiceKey, RealServerKey>,
}

impl<'a> Behind<'a> {
    /// Before the first command. Those that are `held` are not carried out this time.
    #[must_use]
    pub fn new(desired: &'a Desired, held: &[Command]) -> Self {
        let mut behind = Self {
            desired,
            missing: BTreeSet::new(),
            lacking: BTreeMap::new(),
        };
        for command in held {
            behind.is_undone(command);
        }
        behind
    }

    /// The command was not carried out.
    pub fn is_undone(&mut self, command: &Command) {
        match command {
            Command::AddService(key, _) => {
                self.missing.insert(*key);
            }
            Command::AddServer(key, server, to) | Command::EditServer(key, server, to)
                if gets_clients(to) =>
            {
                self.lacking.entry(*key).or_insert(*server);
            }
            // Without it no client goes elsewhere: it was to get none.
            Command::AddServer(..) | Command::EditServer(..) => {}
            Command::EditService(..) | Command::DeleteService(_) | Command::DeleteServer(..) => {}
        }
    }

    /// What the command waits for; none for one that is to be carried out.
    #[must_use]
    pub fn waits(&self, command: &Command) -> Option<Waits> {
        let key = command.service();
        if self.missing.contains(&key) {
            return Some(Waits::ForService);
        }
        let lacking = self.lacking.get(&key);
        let lacking = lacking.filter(|_| is_strangers_end(self.desired, command));
        lacking.map(|&server| Waits::ForServer(server))
    }
}

const fn gets_clients(to: &RealServer) -> bool {
    let Weight(weight) = to.weight;
    weight > 0
}

/// Whether the command takes a real server out of which the file says nothing.
fn is_strangers_end(desired: &Desired, command: &Command) -> bool {
    match command {
        Command::DeleteServer(key, server) => {
            let wanted = desired.get(key);
            !wanted.is_some_and(|it| it.servers.contains_key(server))
        }
        Command::AddService(..)
        | Command::EditService(..)
        | Command::DeleteService(..)
        | Command::AddServer(..)
        | Command::EditServer(..) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lvs::{
        DesiredService, Family, Forwarding, Scheduler, ServerWish, ServiceWish, Strangers,
        VirtualService,
    };

    fn key(last: u8) -> VirtualServiceKey {
        format!("10.0.0.{last}:80/tcp").parse().unwrap()
    }

    fn server(last: u8) -> RealServerKey {
        RealServerKey(format!("192.168.0.{last}:80").parse().unwrap())
    }

    const fn weighing(weight: u32) -> RealServer {
        RealServer::new(Forwarding::Dr, Weight(weight))
    }

    /// Two virtual services that name the real servers 1 and 2; 9 is a stranger in each.
    fn desired() -> Desired {
        let wanted = DesiredService {
            service: ServiceWish::Owned(plain()),
            servers: [(server(1), ServerWish::Out), (server(2), ServerWish::Out)].into(),
            strangers: Strangers::Removed,
        };
        [(key(1), wanted.clone()), (key(2), wanted)].into()
    }

    fn plain() -> VirtualService {
        VirtualService::plain(Family::V4, Scheduler::wlc())
    }

    #[test]
    fn a_stranger_waits_for_every_server_that_is_to_get_clients_and_is_not_in() {
        let add = |weight| Command::AddServer(key(1), server(1), weighing(weight));
        let edit = |weight| Command::EditServer(key(1), server(1), weighing(weight));
        let stranger = Command::DeleteServer(key(1), server(9));
        let cases = [
            (add(5), Some(Waits::ForServer(server(1)))),
            (edit(5), Some(Waits::ForServer(server(1)))),
            (add(0), None),
            (edit(0), None),
            (
                Command::AddService(key(1), plain()),
                Some(Waits::ForService),
            ),
            (Command::EditService(key(1), plain()), None),
            (Command::DeleteService(key(1)), None),
            (Command::DeleteServer(key(1), server(1)), None),
            (Command::AddServer(key(2), server(1), weighing(5)), None),
        ];
        let desired = desired();
        for (undone, expected) in cases {
            // Refused just now, or held since somebody else writes it, too.
            let mut refused = Behind::new(&desired, &[]);
            assert_eq!(refused.waits(&stranger), None);
            refused.is_undone(&undone);
            let held = Behind::new(&desired, std::slice::from_ref(&undone));
            assert_eq!(refused.waits(&stranger), expected, "{undone}");
            assert_eq!(held.waits(&stranger), expected, "{undone}");
        }
    }

    #[test]
    fn only_strangers_wait_for_servers_and_all_for_their_service() {
        let desired = desired();
        let commands = [
            Command::AddServer(key(1), server(2), weighing(5)),
            Command::EditServer(key(1), server(2), weighing(0)),
            Command::DeleteServer(key(1), server(2)),
            Command::DeleteServer(key(2), server(9)),
        ];
        let refused = Command::AddServer(key(1), server(1), weighing(5));
        let lacking = Behind::new(&desired, &[refused]);
        let found = commands.each_ref().map(|it| lacking.waits(it));
        assert_eq!(found, [None; 4]);
        let missing = Behind::new(&desired, &[Command::AddService(key(1), plain())]);
        let found = commands.each_ref().map(|it| missing.waits(it));
        let waits = Some(Waits::ForService);
        assert_eq!(found, [waits, waits, waits, None]);
    }
}
