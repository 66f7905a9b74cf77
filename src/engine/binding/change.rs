//! What is said of a real server whose wanted state changed? The one place that says it.
//!
//! Of what is wanted before and now, with the weight: one with weight 0 is not in for anybody who
//! reads that. What is left as it is found is no news, nor is what stays as it was.

use std::collections::{BTreeMap, BTreeSet};

use crate::engine::binding::Bindings;
use crate::engine::desired::Claim;
use crate::engine::event::{Cause, ServerChange};
use crate::engine::manual::{Effect, EntryKey};
use crate::engine::section::wanted::ServerRole;
use crate::lvs::{RealServerKey, ServerWish, Weight};
use crate::model::HostName;
use crate::time::Wall;

/// Whether a real server is to be in, as people are told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Presence {
    /// In the table with a weight above 0.
    In,
    /// The same, since `min_live` keeps it.
    Kept,
    /// With weight 0: its checks withdraw it.
    Quiesced,
    /// With weight 0, and its checks do not withdraw it.
    Weightless,
    /// Not in the table.
    Out,
}

impl Presence {
    /// None where it is left as it is found, and where nothing is known of it. The role is that in
    /// its section.
    pub(super) fn of(wish: Option<ServerWish>, role: Option<ServerRole>) -> Option<Self> {
        let is_low = matches!(
            role,
            Some(ServerRole::Quiesced | ServerRole::Draining { .. })
        );
        match wish? {
            ServerWish::AsFound => None,
            ServerWish::Out => Some(Self::Out),
            ServerWish::In(settings) if settings.weight > Weight(0) => match role {
                Some(ServerRole::Kept) => Some(Self::Kept),
                Some(_) | None => Some(Self::In),
            },
            ServerWish::In(_) if is_low => Some(Self::Quiesced),
            ServerWish::In(_) => Some(Self::Weightless),
        }
    }
}

/// What to say where the place of a real server changed. `wished` is the wish of an operator that
/// has this effect.
pub(super) fn server_change(
    before: Option<Presence>,
    now: Option<Presence>,
    causes: impl FnOnce() -> Vec<Cause>,
    wished: impl FnOnce(Effect) -> Option<String>,
) -> Option<ServerChange> {
    let now = now.filter(|_| before != now)?;
    Some(match now {
        Presence::In => ServerChange::In,
        Presence::Kept => ServerChange::Kept(causes()),
        Presence::Quiesced => ServerChange::Quiesced(causes()),
        Presence::Weightless => wished(Effect::Weight(Weight(0)))
            .map_or(ServerChange::Weightless, ServerChange::QuiescedByWish),
        Presence::Out => {
            let by = causes();
            let wished = by.is_empty().then(|| wished(Effect::Out)).flatten();
            wished.map_or(ServerChange::Out(by), ServerChange::OutByWish)
        }
    })
}

impl Bindings {
    /// Since when a real server is as it is said to be. What a daemon before this one decided was
    /// so since then: nothing was known of the place `before`, the journal named the real server,
    /// and the withdrawal or the wish is older. Where both keep it out it is out since the first.
    pub(super) fn so_since(
        &self,
        entry: EntryKey,
        before: Option<Presence>,
        change: &ServerChange,
        claims: &[Claim],
    ) -> Wall {
        let now = self.now.wall;
        if before.is_some() || self.owned.is_new(entry.0, entry.1) {
            return now;
        }
        let effect = match change {
            ServerChange::Out(_) | ServerChange::OutByWish(_) => Effect::Out,
            ServerChange::Quiesced(_) | ServerChange::QuiescedByWish(_) => {
                Effect::Weight(Weight(0))
            }
            ServerChange::In
            | ServerChange::Kept(_)
            | ServerChange::Weightless
            | ServerChange::Moved { .. }
            | ServerChange::Dropped => return now,
        };
        let has_it = self.manual.effect(entry) == Some(effect);
        let wished = self.wished(entry, self.now).filter(|_| has_it);
        let withdrawals = claims.iter().filter_map(|claim| claim.stand.withdrawal());
        let since = withdrawals.map(|withdrawal| withdrawal.since);
        let since = since.chain(wished.map(|wish| wish.effective));
        since.fold(now, Wall::min)
    }
}

/// Why real servers leave for which no word stands any more: the file lost the word, or the word
/// leads elsewhere.
pub(super) fn departures(
    dropped: Vec<(RealServerKey, BTreeSet<HostName>)>,
    declared: &BTreeMap<RealServerKey, BTreeSet<HostName>>,
) -> Vec<(RealServerKey, ServerChange)> {
    if dropped.is_empty() {
        return Vec::new();
    }
    let words = declared.iter().flat_map(|(&server, hosts)| {
        let port = server.0.port();
        hosts.iter().map(move |host| ((host, port), server))
    });
    let leads: BTreeMap<(&HostName, u16), RealServerKey> = words.collect();
    let change = |port: u16, words: BTreeSet<HostName>| {
        let moved = words.into_iter().find_map(|host| {
            let to = *leads.get(&(&host, port))?;
            Some(ServerChange::Moved { host, to })
        });
        moved.unwrap_or(ServerChange::Dropped)
    };
    let dropped = dropped.into_iter();
    dropped
        .map(|(server, words)| (server, change(server.0.port(), words)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::event::Reason;
    use crate::engine::recent::About;
    use crate::lvs::{Forwarding, RealServer};
    use crate::model::ServiceId;

    /// What is wanted and the role, and what is said of it where an operator wishes it so, and
    /// where nobody does.
    type Place = (
        &'static str,
        Option<ServerWish>,
        Option<ServerRole>,
        Option<&'static str>,
        Option<&'static str>,
    );

    fn places() -> Vec<Place> {
        let weight = |weight| {
            let settings = RealServer::new(Forwarding::Dr, Weight(weight));
            Some(ServerWish::In(settings))
        };
        let out = Some(ServerWish::Out);
        let serves = Some(ServerRole::Serves { share: 100 });
        let kept = Some(ServerRole::Kept);
        let low = Some(ServerRole::Quiesced);
        let left = std::time::Duration::ZERO;
        let draining = Some(ServerRole::Draining { left });
        let (is_in, is_kept, is_low) = (Some("in"), Some("kept"), Some("quiesced"));
        let (wished, own) = (Some("by wish"), Some("weightless"));
        let (sent, gone) = (Some("out by wish"), Some("out"));
        vec![
            ("nothing", None, None, None, None),
            ("as found", Some(ServerWish::AsFound), serves, None, None),
            ("in", weight(5), serves, is_in, is_in),
            ("kept", weight(1), kept, is_kept, is_kept),
            ("no role", weight(5), None, is_in, is_in),
            ("low", weight(0), low, is_low, is_low),
            ("draining", weight(0), draining, is_low, is_low),
            ("zero", weight(0), serves, wished, own),
            ("zero without role", weight(0), None, wished, own),
            ("out", out, serves, sent, gone),
            ("out without role", out, None, sent, gone),
        ]
    }

    /// What is said, in a word.
    fn said(change: &ServerChange, causes: &[Cause]) -> &'static str {
        match change {
            ServerChange::In => "in",
            ServerChange::Kept(by) if by == causes => "kept",
            ServerChange::Quiesced(by) if by == causes => "quiesced",
            ServerChange::QuiescedByWish(why) if why == "ann" => "by wish",
            ServerChange::Weightless => "weightless",
            ServerChange::Out(by) if by == causes => "out",
            ServerChange::OutByWish(why) if why == "ann" => "out by wish",
            ServerChange::Kept(_)
            | ServerChange::Quiesced(_)
            | ServerChange::QuiescedByWish(_)
            | ServerChange::Out(_)
            | ServerChange::OutByWish(_)
            | ServerChange::Moved { .. }
            | ServerChange::Dropped => "something else",
        }
    }

    #[test]
    fn each_transition_is_said_with_what_it_comes_to() {
        let cause = Cause {
            service: ServiceId(0),
            host: None,
            reason: Reason::Refused,
            text: String::new(),
            about: About::Host,
        };
        for (was, before, role_before, said_before, _) in places() {
            for (is, now, role, by_wish, by_nobody) in places() {
                let (from, to) = (Presence::of(before, role_before), Presence::of(now, role));
                let says = |causes: &[Cause], wished: Option<&str>| {
                    let wished = wished.map(str::to_owned);
                    let change = server_change(from, to, || causes.to_vec(), |_| wished)?;
                    Some(said(&change, causes))
                };
                let unless_same =
                    |said: Option<&'static str>| said.filter(|_| said_before != by_wish);
                let what = format!("{was} to {is}");
                assert_eq!(says(&[], Some("ann")), unless_same(by_wish), "{what}");
                assert_eq!(says(&[], None), unless_same(by_nobody), "{what}");
                // Withdrawn: its checks are the reason, whatever is wished.
                if by_nobody != Some("weightless") {
                    let causes = [cause.clone()];
                    assert_eq!(says(&causes, Some("ann")), unless_same(by_nobody), "{what}");
                }
            }
        }
    }
}
