//! A real server that nobody declared and that stays for now, and what for.

use crate::engine::event::TableOutcome;
use crate::lvs::{Command, RealServerKey, VirtualServiceKey};
use crate::time::{Mono, Readable};

/// A real server that nobody declared and that stays until one of the file is in: it may be all
/// that serves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeptStranger {
    /// In which virtual service.
    pub virtual_service: VirtualServiceKey,
    /// Which.
    pub stranger: RealServerKey,
    /// The first of the file that is not in, or not with its weight.
    pub until_in: RealServerKey,
}

impl TableOutcome {
    /// How long it stays and who keeps it: a sentence without its subject.
    #[must_use]
    pub fn why_kept(&self, kept: &KeptStranger, now: Mono) -> String {
        let until_in = kept.until_in;
        let is_it = |command: &Command| {
            let (Command::AddServer(key, server, _) | Command::EditServer(key, server, _)) =
                command
            else {
                return false;
            };
            (*key, *server) == (kept.virtual_service, until_in)
        };
        let refused = self.refused.iter().find(|(command, _)| is_it(command));
        let contested = self.contested.iter().find(|it| is_it(&it.repair));
        let who = match (refused, contested) {
            (Some((_, why)), _) => format!(", which cannot be put in: {why}"),
            (None, Some(contested)) => {
                let rest = contested.rests_until.map(|until| until.since(now));
                let again = rest.map(|rest| format!(", tried again in {}", Readable(rest)));
                let again = again.unwrap_or_default();
                format!(", which somebody else changes again and again{again}")
            }
            (None, None) => String::new(),
        };
        format!("stays until {until_in} is in as the file says{who}")
    }

    /// The stranger at this place, where it stays for now.
    #[must_use]
    pub fn kept(&self, key: VirtualServiceKey, server: RealServerKey) -> Option<&KeptStranger> {
        let mut kept = self.kept.iter();
        kept.find(|it| (it.virtual_service, it.stranger) == (key, server))
    }
}
