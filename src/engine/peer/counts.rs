//! Which number have the calls of an event, where the other director counts them, too?
//!
//! A number is what both directors know an event by: what one of them told the other one drops
//! (`pair::post`). So the same news has the same number on both, and other news another one,
//! as far as each knows of the other's when it numbers its own: each says what its latest numbers
//! told ([`Counts`]).
//!
//! Where that leaves a doubt, something is told twice rather than never. The one that holds its
//! messages takes only the peer's newest event for its own: an older one that says the same may be
//! of a time that is over. The one that tells people takes the newest that fits: behind it may be
//! news that only the other one has found, and a greater number would cover it.
//!
//! What a silent one found by a check that was begun before the peer was heard again is counted by
//! its place: it may have been cut off from what it checked, and that is no news to anybody.
//!
//! What the peer said last is in the journal with the outage, for a restart while it is away.

use crate::engine::event::{Action, HostVerdict};
use crate::engine::state::{HostState, Outage};
use crate::engine::tell::Happening;
use crate::engine::{Engine, report};
use crate::model::{Service, ServiceId};
use crate::pair::Speaking;
use crate::pair::talk::counted::{Counts, News, Said};
use crate::time::Now;

/// What an event says in so many calls.
pub(in crate::engine) fn said(happening: &Happening<'_>, calls: usize) -> Said {
    let has_failed = |it: &&HostState| matches!(it.verdict, HostVerdict::Down(_));
    let failed = happening.hosts.iter().filter(has_failed);
    let kind = happening.kind.word();
    Said {
        calls: u32::try_from(calls).unwrap_or(u32::MAX),
        news: News::of(kind, failed.map(|it| it.host.as_str())),
    }
}

/// How many calls come before those of this event, for a director that had so many `own`.
fn before(own: u32, said: Said, peers: &Counts, speaking: Speaking) -> u32 {
    if peers.events.is_empty() && (own == 0 || speaking == Speaking::Silent) {
        return own; // An older version does not say more than how many there are.
    }
    let same = match speaking {
        Speaking::Silent => peers.events.newest().filter(|it| it.said == said),
        Speaking::Speaks => peers.events.newest_that_says(said),
    };
    let same = same.map(|it| it.before).filter(|&before| before >= own);
    same.unwrap_or_else(|| own.max(peers.calls))
}

impl Engine {
    /// How many calls of its outage come before those of an event that says this.
    pub(in crate::engine) fn calls_before(
        &self,
        id: ServiceId,
        outage: &Outage,
        said: Said,
    ) -> u32 {
        let is_silent = self.peer.told.speaking == Speaking::Silent;
        let check = self.states[id.index()].last_check;
        if is_silent && check.is_some() && check < self.peer.linked_since {
            return outage.calls; // Of a check that was begun while nobody was heard.
        }
        let live = self.peer.outage(self.model.service(id));
        let live = live.filter(|peers| peers.id == outage.id);
        let live = live.and_then(|it| Counts::believed(it.calls, &it.events));
        let peers = live.as_ref().or(outage.heard.as_deref());
        peers.map_or(outage.calls, |peers| {
            before(outage.calls, said, peers, self.peer.told.speaking)
        })
    }

    /// Keeps what the peer says of an open outage that both have by one number.
    pub(super) fn hear_counts(
        &mut self,
        now: Now,
        id: ServiceId,
        service: &Service,
        actions: &mut Vec<Action>,
    ) {
        let state = &mut self.states[id.index()];
        let Some(outage) = &mut state.outage else {
            return;
        };
        let peers = self.peer.outage(service).filter(|it| it.id == outage.id);
        let peers = peers.and_then(|it| Counts::believed(it.calls, &it.events));
        if peers.is_some() && outage.heard.as_deref() != peers.as_ref() {
            outage.heard = peers.map(Box::new);
            actions.push(report::record(service, state, now));
        }
    }
}

#[cfg(test)]
mod tests;
