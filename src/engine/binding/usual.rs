//! With what does each real server of a section serve while nobody wishes anything of it?
//!
//! Where the file does not name it any more and it stays, it comes back so behind a boot or our own
//! exit, and at the end of a wish. See [`crate::engine::binding::staying`].

use crate::engine::binding::Bindings;
use crate::engine::event::Action;
use crate::engine::section::wanted::{Health, Server, ServerRole, Wanted};
use crate::lvs::{RealServer, VirtualServiceKey, Weight};

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
            let usual = is_in.then_some(fallback.settings);
            self.owned.serves((key, server), usual, actions);
        }
    }
}

/// With what one serves in its role; none of all where that is as it was before.
fn usual(server: &Server, role: Option<&ServerRole>) -> Option<Option<RealServer>> {
    let is_in = match (server.health, role) {
        (Health::Good, _) => server.given != Some(Weight(0)),
        (Health::Withdrawn, _) => false,
        (Health::Waiting | Health::Unheard, Some(ServerRole::InUntested)) => true,
        (Health::Waiting | Health::Unheard, _) => return None,
    };
    Some(is_in.then_some(server.settings))
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
