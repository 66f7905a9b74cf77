//! What is kept of real servers that the file no longer has, and who may mean it?
//!
//! A wish is about an address: by a name nobody knows any more which one that was.

use std::collections::BTreeSet;
use std::net::IpAddr;

use crate::engine::binding::Bindings;
use crate::engine::binding::wishes::{NAMED_MAX, is_address};
use crate::engine::event::Aim;
use crate::engine::manual::{EntryKey, LostWish};
use crate::lvs::RealServerKey;

impl Bindings {
    /// The wishes for entries that the file no longer has.
    pub(crate) fn lost(&self) -> impl Iterator<Item = LostWish> + '_ {
        self.manual.lost(self.now)
    }

    /// The entries that the file does not have, of which something is wished and which a person
    /// means by the address, in all virtual services.
    pub(super) fn lost_meant(&self, aim: &Aim) -> BTreeSet<EntryKey> {
        let is_everywhere = aim.within.is_none();
        let wished = self.manual.entries();
        wished
            .filter(|&(key, server)| {
                let is_meant = is_everywhere && is_address(&aim.server.0, server);
                is_meant && !self.owned.is_declared(key, server)
            })
            .collect()
    }

    /// For whoever asks for a real server that the file does not have; empty where nothing is
    /// kept that may be meant.
    pub(super) fn kept_of_lost(&self, aim: &Aim) -> String {
        let name = &aim.server.0;
        let may_be = |server: RealServerKey| is_address(name, server) || !names_address(name);
        let lost: Vec<LostWish> = self.lost().filter(|it| may_be(it.entry.1)).collect();
        let Some(first) = lost.first() else {
            return String::new();
        };
        let shown = lost.iter().take(NAMED_MAX).map(|lost| {
            let (key, server) = lost.entry;
            format!("{} of {server} in {key}", lost.wish.called())
        });
        let shown: Vec<String> = shown.collect();
        let more = match lost.len().saturating_sub(NAMED_MAX) {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        format!(
            "; of real servers that the file lost, {}{more} is kept; lvsmon enable {} ends it",
            shown.join(", "),
            first.entry.1
        )
    }
}

/// Whether a person names an address, with or without a port.
fn names_address(name: &str) -> bool {
    let bare = name.strip_prefix('[').and_then(|it| it.strip_suffix(']'));
    let is_ip = bare.unwrap_or(name).parse::<IpAddr>().is_ok();
    is_ip || name.parse::<std::net::SocketAddr>().is_ok()
}
