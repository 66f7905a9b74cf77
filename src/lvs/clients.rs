//! Whom do new connections reach in the kernel's table, and whom are they to reach?

use crate::lvs::{DesiredService, RealServerKey, ServerWish, Strangers, TableEntry, Weight};

/// Where what is wanted of a virtual service and what the kernel has differ about who takes
/// clients, in table order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClientOdds {
    /// To have a weight above 0, and not there or with weight 0.
    pub missing: Vec<RealServerKey>,
    /// With a weight above 0, and not to have one.
    pub unwanted: Vec<RealServerKey>,
}

impl ClientOdds {
    /// Of one virtual service; `found` is none where the kernel does not have it.
    #[must_use]
    pub fn of(wanted: &DesiredService, found: Option<&TableEntry>) -> Self {
        let mut odds = Self::default();
        let takes = |server| {
            let found = found.and_then(|entry| entry.servers.get(server));
            found.is_some_and(|found| found.weight > Weight(0))
        };
        for (server, wish) in &wanted.servers {
            let is_to_take = match wish {
                ServerWish::In(settings) => settings.weight > Weight(0),
                ServerWish::Out => false,
                ServerWish::AsFound => continue,
            };
            match (is_to_take, takes(server)) {
                (true, false) => odds.missing.push(*server),
                (false, true) => odds.unwanted.push(*server),
                (true, true) | (false, false) => {}
            }
        }
        if wanted.strangers == Strangers::Removed {
            let found = found.iter().flat_map(|entry| entry.servers.keys());
            let strangers = found.filter(|server| !wanted.servers.contains_key(server));
            odds.unwanted.extend(strangers.filter(|it| takes(it)));
        }
        odds
    }

    /// Whether new connections reach those whom they are to reach, and nobody else.
    #[must_use]
    pub const fn is_none(&self) -> bool {
        self.missing.is_empty() && self.unwanted.is_empty()
    }
}
