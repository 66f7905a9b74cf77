//! Where does a wish hold that was said of a server, and not of one of its virtual services?
//!
//! Everywhere: also in the virtual services that the file names it in later, so that a reload puts
//! no server under maintenance to work. A wish takes effect by entry, so each entry that the file
//! names anew is given the newest wish that reaches it. What a person says of such an entry
//! afterwards is said of that one: it is not new any more.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;

use serde::{Deserialize, Serialize};

use crate::effort::visit;
use crate::engine::event::{Action, Aim};
use crate::engine::manual::in_force::{Drain, WishInForce};
use crate::engine::manual::{DRAIN_MIN, EntryKey, Manual, note};
use crate::lvs::{RealServerKey, VirtualServiceKey};
use crate::time::Now;

/// In which entries a wish holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Reach {
    /// In the one that it is about: a virtual service was named.
    #[default]
    One,
    /// In those of this address and port.
    Port,
    /// In those of this address.
    Host,
}

impl Reach {
    /// How far a person means it, who says this and is understood to mean this server.
    pub(super) fn of(aim: &Aim, RealServerKey(address): RealServerKey) -> Self {
        if aim.within.is_some() {
            return Self::One;
        }
        let name = &aim.server.0;
        let is_address = name.parse::<IpAddr>().is_ok();
        let port = name.rsplit_once(':').map(|(_, port)| port);
        match port {
            Some(port) if !is_address && port.parse() == Ok(address.port()) => Self::Port,
            Some(_) | None => Self::Host,
        }
    }

    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks so")]
    pub(super) const fn is_one(&self) -> bool {
        matches!(self, Self::One)
    }

    /// The real servers of other entries that it reaches; none where it reaches no other entry.
    fn servers(self, server: RealServerKey) -> Option<RangeInclusive<RealServerKey>> {
        let port = |port| RealServerKey(SocketAddr::new(server.0.ip(), port));
        match self {
            Self::One => None,
            Self::Port => Some(server..=server),
            Self::Host => Some(port(0)..=port(u16::MAX)),
        }
    }
}

impl Manual {
    /// The file names these real servers of a virtual service anew: what is wished of them
    /// elsewhere, and not of one virtual service only, holds here too. The newest wish counts.
    pub(crate) fn named_anew(
        &mut self,
        now: Now,
        virtual_service: VirtualServiceKey,
        servers: &BTreeSet<RealServerKey>,
    ) -> Vec<Action> {
        let mut newest: BTreeMap<RealServerKey, &WishInForce> = BTreeMap::new();
        for (&(_, server), standing) in &self.wishes {
            let reached = standing.reach.servers(server).into_iter();
            for &reached in reached.flat_map(|reached| servers.range(reached)) {
                let has_own = self.wishes.contains_key(&(virtual_service, reached));
                if has_own || standing.is_over(now).is_some() {
                    continue;
                }
                let found = newest.entry(reached).or_insert(standing);
                if found.said.since < standing.said.since {
                    *found = standing;
                }
            }
        }
        let mut actions = Vec::new();
        let new: Vec<(EntryKey, WishInForce)> = newest
            .into_iter()
            .map(|(server, standing)| ((virtual_service, server), standing.elsewhere(now)))
            .collect();
        for (entry, standing) in new {
            let text = format!(
                "{} holds here too: it is of the server, wherever the file has it",
                standing.called()
            );
            actions.extend([standing.record(entry, now), note(entry, text)]);
            self.wishes.insert(entry, standing);
            self.is_stirred = true;
        }
        actions
    }

    /// What is wished of the entries that a person means who says this of this server.
    pub(crate) fn meant(&self, aim: &Aim, server: RealServerKey) -> Vec<EntryKey> {
        let reached = Reach::of(aim, server).servers(server);
        let is_meant = |entry: &EntryKey| reached.as_ref().is_some_and(|it| it.contains(&entry.1));
        let known = self.wishes.keys().copied().inspect(|_| visit());
        known.filter(is_meant).collect()
    }
}

impl WishInForce {
    /// The same wish in another virtual service. A drain that is done there is not begun here.
    fn elsewhere(&self, now: Now) -> Self {
        let mut here = Self {
            lost: None,
            ..self.clone()
        };
        if let Drain::Going { earliest, .. } = &mut here.drain {
            *earliest = Some(now.mono.after(DRAIN_MIN));
        }
        here.begin_anew(now);
        here
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::event::RealServerName;

    #[test]
    fn a_wish_is_of_the_host_unless_a_port_or_a_virtual_service_is_named() {
        for (name, server, expected) in [
            ("www1", "192.168.0.1:80", Reach::Host),
            ("www1:80", "192.168.0.1:80", Reach::Port),
            ("192.168.0.1", "192.168.0.1:80", Reach::Host),
            ("192.168.0.1:80", "192.168.0.1:80", Reach::Port),
            ("2001:db8::80", "[2001:db8::80]:80", Reach::Host),
            ("[2001:db8::80]", "[2001:db8::80]:80", Reach::Host),
            ("[2001:db8::80]:80", "[2001:db8::80]:80", Reach::Port),
        ] {
            let mut aim = Aim {
                server: RealServerName(name.to_owned()),
                within: None,
            };
            let server = RealServerKey(server.parse().unwrap());
            assert_eq!(Reach::of(&aim, server), expected, "{name}");
            aim.within = Some("10.0.0.3:80".to_owned());
            assert_eq!(Reach::of(&aim, server), Reach::One, "{name}");
        }
    }
}
