//! What the engine hears of the other director.

use std::sync::Arc;

use crate::pair::talk::PeerState;
use crate::pair::talk::conversation::{EndedOutages, Outages};
use crate::pair::talk::wishes::StampedWish;

/// What the other director has told (D26).
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PeerTold {
    /// Whether it is linked; else this is what it said last.
    pub is_linked: bool,
    /// Its open outages.
    pub outages: Arc<Outages>,
    /// Those of its outages that ended lately.
    pub ended: Arc<EndedOutages>,
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
            numbers: here.map_or(0, |here| here.numbers),
            speaking,
            peer: here.map_or(Speaking::Speaks, |here| Speaking::of(here.speaks)),
        }
    }
}

/// What an operator said on the other director.
#[derive(Clone, Debug, PartialEq)]
pub struct PeerWish {
    /// What it is about, by the name that both directors have for it.
    pub name: String,
    /// What is wished; none: nothing any more.
    pub value: Option<serde_json::Value>,
    /// By how much the clock of its times is ahead of ours, in microseconds.
    pub ahead_micros: i64,
}

impl From<StampedWish> for PeerWish {
    fn from(wish: StampedWish) -> Self {
        Self {
            name: wish.key,
            value: wish.value,
            ahead_micros: wish.ahead_micros,
        }
    }
}

/// Whether a director mails and posts at present.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Speaking {
    /// It does.
    #[default]
    Speaks,
    /// The other one does.
    Silent,
}

impl Speaking {
    /// Of one that says whether it does.
    #[must_use]
    pub const fn of(speaks: bool) -> Self {
        match speaks {
            true => Self::Speaks,
            false => Self::Silent,
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
