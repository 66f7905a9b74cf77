//! With what does each real server of a section serve while nobody wishes anything of it?
//!
//! Where the file does not name it any more and it stays, it comes back so behind a boot or our own
//! exit, and at the end of a wish. See [`crate::engine::binding::staying`].

use serde::{Deserialize, Serialize};

use crate::engine::binding::Bindings;
use crate::engine::binding::owned::Owned;
use crate::engine::event::Action;
use crate::engine::section::wanted::{Health, Server, ServerRole, Wanted};
use crate::lvs::{RealServer, RealServerKey, VirtualServiceKey, Weight};

/// With what it serves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Usual {
    /// It does not, or nobody knows.
    #[default]
    Unknown,
    /// With this: its checks find it good, or it is in before its first verdict.
    Server(RealServer),
    /// With this, as the fallback, which is in.
    Fallback(RealServer),
    /// It failed: its checks withdraw it.
    Failed,
}

/// Which of these it is, as the journal says it beside the settings.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum UsualKind {
    #[default]
    Server,
    Fallback,
    Failed,
}

impl Usual {
    /// What the journal says.
    pub(super) fn restored(settings: Option<RealServer>, kind: UsualKind) -> Self {
        match (kind, settings) {
            (UsualKind::Failed, _) => Self::Failed,
            (UsualKind::Server, Some(settings)) => Self::Server(settings),
            (UsualKind::Fallback, Some(settings)) => Self::Fallback(settings),
            (UsualKind::Server | UsualKind::Fallback, None) => Self::Unknown,
        }
    }

    pub(super) const fn kind(self) -> UsualKind {
        match self {
            Self::Unknown | Self::Server(_) => UsualKind::Server,
            Self::Fallback(_) => UsualKind::Fallback,
            Self::Failed => UsualKind::Failed,
        }
    }

    /// With what it serves; none where it does not.
    pub(super) const fn settings(self) -> Option<RealServer> {
        match self {
            Self::Server(settings) | Self::Fallback(settings) => Some(settings),
            Self::Unknown | Self::Failed => None,
        }
    }
}

impl Owned {
    /// Whether the last that is known of a real server is that it failed.
    pub(super) fn has_failed(&self, key: VirtualServiceKey, server: RealServerKey) -> bool {
        self.usual(key, server) == Usual::Failed
    }

    /// Whether it is that it served, as a real server of the file and with a weight.
    pub(super) fn has_served(&self, key: VirtualServiceKey, server: RealServerKey) -> bool {
        match self.usual(key, server) {
            Usual::Server(settings) => settings.weight > Weight(0),
            Usual::Fallback(_) | Usual::Unknown | Usual::Failed => false,
        }
    }
}

impl Bindings {
    /// Takes note of it, for the fallback too.
    pub(super) fn take_note_of_usual(
        &mut self,
        key: VirtualServiceKey,
        servers: &[Server],
        wanted: &Wanted,
        actions: &mut Vec<Action>,
    ) {
        for server in servers {
            if let Some(usual) = usual(server, wanted.roles.get(&server.key)) {
                self.owned.serves((key, server.key), usual, actions);
            }
        }
        let section = self.sections.section(&self.model, key);
        let fallback = section.and_then(|section| section.fallback.as_ref());
        if let (Some(server), Some(fallback)) = (wanted.fallback, fallback)
            && let Some(is_in) = is_fallback_in(wanted.roles.get(&server).copied())
        {
            let usual = match is_in {
                true => Usual::Fallback(fallback.settings),
                false => Usual::Unknown,
            };
            self.owned.serves((key, server), usual, actions);
        }
    }
}

/// With what one serves in its role; none where that is as it was before.
fn usual(server: &Server, role: Option<&ServerRole>) -> Option<Usual> {
    Some(match (server.health, role) {
        (Health::Good, _) if server.given == Some(Weight(0)) => Usual::Unknown,
        (Health::Good, _) | (Health::Waiting | Health::Unheard, Some(ServerRole::InUntested)) => {
            Usual::Server(server.settings)
        }
        (Health::Withdrawn, _) => Usual::Failed,
        (Health::Waiting | Health::Unheard, _) => return None,
    })
}

/// Whether the fallback is in, in its role; none where that is as it was before.
const fn is_fallback_in(role: Option<ServerRole>) -> Option<bool> {
    match role {
        Some(ServerRole::FallbackIn) => Some(true),
        Some(ServerRole::FallbackOut) => Some(false),
        Some(
            ServerRole::Unseen
            | ServerRole::Serves { .. }
            | ServerRole::Kept
            | ServerRole::Quiesced
            | ServerRole::Draining { .. }
            | ServerRole::Out
            | ServerRole::InUntested
            | ServerRole::OutUntested
            | ServerRole::AsFound,
        )
        | None => None,
    }
}
