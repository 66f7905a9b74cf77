//! Which real servers are withdrawn, and in which order, as both directors count it?
//!
//! Below `min_live` those stay in that were withdrawn last (D15). Each director sees a server fail
//! at a moment of its own, so that each would keep another one. They tell each other the [`Turn`]
//! of every withdrawal, and of what is withdrawn on both the lesser turn counts, on both.
//!
//! What one of them withdrew before it heard the other one it marks so: it may have got its turn
//! from a clock that is behind, and counts by the difference later
//! ([`TurnClock`](crate::pair::turn::TurnClock)). Who begins anew has the order of the other one.
//!
//! One that stays in has the weight that its check gave last, and a check gives each director
//! another one, or none since it began anew: so they tell these too, and the lesser one counts.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::effort::visit;
use crate::lvs::{GivenWeight, VirtualServiceKey};
use crate::pair::talk::word::{ServiceName, Word, chunks};
use crate::pair::turn::Turn;

/// Withdrawn real servers of the peer's that are kept: more than a farm has.
pub const WITHDRAWN_MAX: usize = 20_000;

/// A real server of a section, as the file says it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ServerName {
    /// Of which virtual service.
    pub virtual_service: VirtualServiceKey,
    /// Its name or address.
    pub host: String,
    /// Its port.
    pub port: u16,
}

/// What is told of a withdrawal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Withdrawn {
    /// Its place among the others.
    pub turn: Turn,
    /// It was given by this director's clock alone, before that was compared with the other one's.
    #[serde(default, skip_serializing_if = "is_false")]
    pub alone: bool,
    /// The weights that its checks gave it before, of those that give none by now.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub gave: Vec<Gave>,
}

const fn is_false(it: &bool) -> bool {
    !*it
}

/// A weight that an earlier check of a service gave a real server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gave {
    /// Which service.
    pub of: ServiceName,
    /// The weight.
    #[serde(with = "as_text")]
    pub weight: GivenWeight,
}

/// A weight as a check writes it: `17`, `75%`.
mod as_text {
    use serde::de::Error;
    use serde::{Deserialize, Deserializer, Serializer};

    use crate::lvs::GivenWeight;

    pub(super) fn serialize<S: Serializer>(
        weight: &GivenWeight,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.collect_str(weight)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<GivenWeight, D::Error> {
        let text = String::deserialize(deserializer)?;
        GivenWeight::parse(&text).ok_or_else(|| D::Error::custom("no weight"))
    }
}

/// All that is withdrawn on a director.
pub type WithdrawnServers = BTreeMap<ServerName, Withdrawn>;

/// Takes withdrawals of the peer's in; how many had no room.
pub(super) fn withdrawn(
    peers: &mut Arc<WithdrawnServers>,
    entries: Vec<(ServerName, Withdrawn)>,
) -> u64 {
    let peers = Arc::make_mut(peers);
    let mut left_out = 0;
    for (server, withdrawal) in entries {
        if peers.len() < WITHDRAWN_MAX || peers.contains_key(&server) {
            peers.insert(server, withdrawal);
        } else {
            left_out += 1;
        }
    }
    left_out
}

/// These are not withdrawn on the peer any more.
pub(super) fn back(peers: &mut Arc<WithdrawnServers>, servers: &[ServerName]) {
    let peers = Arc::make_mut(peers);
    for server in servers {
        peers.remove(server);
    }
}

/// The words that make what is withdrawn of what was told; entries that are too large are counted.
pub(super) fn news(
    told: &WithdrawnServers,
    own: &WithdrawnServers,
    left_out: &mut u64,
) -> Vec<Word> {
    let gone = told.keys().inspect(|_| visit());
    let gone = gone.filter(|server| !own.contains_key(*server));
    let gone = chunks(gone.cloned(), left_out).into_iter().map(Word::Back);
    let mut words: Vec<Word> = gone.collect();
    let news = own.iter().inspect(|_| visit());
    let news = news.filter(|(server, it)| told.get(*server) != Some(*it));
    let news = news.map(|(server, it)| (server.clone(), it.clone()));
    let news = chunks(news, left_out).into_iter().map(Word::Withdrawn);
    words.extend(news);
    words
}

#[cfg(test)]
mod tests;
