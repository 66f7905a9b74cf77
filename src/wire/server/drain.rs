//! What does a drain wait for? Its connections, mostly; where the kernel counts none, or has none
//! to count, a person is told that.

use serde::{Deserialize, Serialize};

use crate::lvs::{Protocol, ServerWish, VirtualServiceKey};

/// What a drain that goes on waits for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WaitsFor {
    /// That no connection is active.
    #[default]
    Connections,
    /// Some seconds only: of UDP the kernel counts no connection as active.
    Seconds,
    /// Nothing: its checks keep it out, or it is not needed.
    Nothing,
}

impl WaitsFor {
    /// What the drain of an entry waits for of which this is wanted.
    pub(crate) const fn of(key: VirtualServiceKey, wish: ServerWish) -> Self {
        match (wish, key) {
            (ServerWish::Out, _) => Self::Nothing,
            (_, VirtualServiceKey::Address(Protocol::Udp, _)) => Self::Seconds,
            (ServerWish::In(_) | ServerWish::AsFound, _) => Self::Connections,
        }
    }

    /// In words, behind what is wished.
    #[must_use]
    pub const fn words(self) -> &'static str {
        match self {
            Self::Connections => "waits for active connections",
            Self::Seconds => {
                "out within seconds, since of UDP the kernel counts no connection as active"
            }
            Self::Nothing => "out anyhow, so no connection is waited for",
        }
    }
}
