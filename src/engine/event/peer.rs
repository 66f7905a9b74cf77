//! What the engine hears of the other director.

use std::sync::Arc;

use crate::pair::talk::PeerState;
use crate::pair::talk::conversation::{EndedOutages, Outages};
use crate::pair::talk::withdrawn::WithdrawnServers;
use crate::pair::turn::TurnClock;
use crate::pair::{Answers, Speaking};

/// What the other director has told (D26).
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PeerTold {
    /// Whether it is linked; else this is what it said last.
    pub is_linked: bool,
    /// Its open outages.
    pub outages: Arc<Outages>,
    /// Those of its outages that ended lately.
    pub ended: Arc<EndedOutages>,
    /// The real servers that are withdrawn there.
    pub withdrawn: Arc<WithdrawnServers>,
    /// The clock of their turns; none of an older version.
    pub turns: Option<TurnClock>,
    /// No outage of its had a greater number.
    pub numbers: i64,
    /// Whether this director speaks.
    pub speaking: Speaking,
    /// Whether the peer does.
    pub peer: Speaking,
}

impl PeerTold {
    /// Of what the peer has said, over a link that stands or that stood. One that has not said
    /// yet whether it speaks does.
    #[must_use]
    pub fn of(peer: &PeerState, is_linked: bool, speaking: Speaking) -> Self {
        let here = peer.here.as_ref();
        Self {
            is_linked,
            outages: Arc::clone(&peer.outages),
            ended: Arc::clone(&peer.ended),
            withdrawn: Arc::clone(&peer.withdrawn),
            turns: peer.turns,
            numbers: here.map_or(0, |here| here.numbers),
            speaking,
            peer: here.map_or(Speaking::Speaks, |here| Speaking::of(here.speaks)),
        }
    }

    /// What the peer has answered, for messages of numbers that it may not have heard of.
    #[must_use]
    pub const fn answers(&self) -> Answers {
        match (self.is_linked, self.speaking, self.peer) {
            (true, Speaking::Speaks, Speaking::Speaks) => Answers::UpTo(self.numbers),
            (false, ..) | (true, Speaking::Silent, _) | (true, _, Speaking::Silent) => {
                Answers::Unneeded
            }
        }
    }
}

/// An outage that has another number from now on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Renumbering {
    /// `GROUP/SERVICE/BEGAN` so far.
    pub from: String,
    /// The same from now on.
    pub to: String,
}
