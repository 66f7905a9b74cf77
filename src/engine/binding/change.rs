//! What is said of a real server whose wanted state changed? The one place that says it.
//!
//! Of what is wanted before and now, with the weight: one with weight 0 is not in for anybody who
//! reads that. What is left as it is found is no news, nor is what stays as it was.

use crate::engine::event::{Cause, ServerChange};
use crate::engine::manual::Effect;
use crate::engine::section::wanted::ServerRole;
use crate::lvs::{ServerWish, Weight};

/// Whether a real server is to be in, as people are told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Presence {
    /// In the table with a weight above 0.
    In,
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
            ServerWish::In(settings) if settings.weight > Weight(0) => Some(Self::In),
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::event::Reason;
    use crate::engine::recent::About;
    use crate::lvs::{Forwarding, RealServer};
    use crate::model::ServiceId;

    #[test]
    fn each_transition_is_said_with_what_it_comes_to() {
        let cause = Cause {
            service: ServiceId(0),
            host: None,
            reason: Reason::Refused,
            text: String::new(),
            about: About::Host,
        };
        let weight = |weight| {
            Some(ServerWish::In(RealServer::new(
                Forwarding::Dr,
                Weight(weight),
            )))
        };
        let out = Some(ServerWish::Out);
        let serves = Some(ServerRole::Serves { share: 100 });
        let low = Some(ServerRole::Quiesced);
        let draining = Some(ServerRole::Draining {
            left: std::time::Duration::ZERO,
        });
        // What is wanted and its role, and what is said of it: withdrawn, else where an operator
        // wishes it so, else where nobody does.
        let places = [
            ("nothing", None, None, None, None),
            ("as found", Some(ServerWish::AsFound), serves, None, None),
            ("in", weight(5), serves, Some("in"), Some("in")),
            (
                "kept",
                weight(1),
                Some(ServerRole::Kept),
                Some("in"),
                Some("in"),
            ),
            ("no role", weight(5), None, Some("in"), Some("in")),
            ("low", weight(0), low, Some("quiesced"), Some("quiesced")),
            (
                "draining",
                weight(0),
                draining,
                Some("quiesced"),
                Some("quiesced"),
            ),
            (
                "zero",
                weight(0),
                serves,
                Some("by wish"),
                Some("weightless"),
            ),
            (
                "zero without role",
                weight(0),
                None,
                Some("by wish"),
                Some("weightless"),
            ),
            ("out", out, serves, Some("out by wish"), Some("out")),
            (
                "out without role",
                out,
                None,
                Some("out by wish"),
                Some("out"),
            ),
        ];
        for (was, before, role_before, said_before, _) in places {
            for (is, now, role, by_wish, by_nobody) in places {
                let (from, to) = (Presence::of(before, role_before), Presence::of(now, role));
                let said = |causes: &[Cause], wished: Option<&str>| {
                    let wished = wished.map(str::to_owned);
                    let change = server_change(from, to, || causes.to_vec(), |_| wished)?;
                    Some(match change {
                        ServerChange::In => "in",
                        ServerChange::Quiesced(by) if by == causes => "quiesced",
                        ServerChange::QuiescedByWish(why) if why == "ann" => "by wish",
                        ServerChange::Weightless => "weightless",
                        ServerChange::Out(by) if by == causes => "out",
                        ServerChange::OutByWish(why) if why == "ann" => "out by wish",
                        other => panic!("{was} to {is}: {other:?}"),
                    })
                };
                let is_same = said_before == by_wish;
                let unless_same = |said: Option<&'static str>| said.filter(|_| !is_same);
                assert_eq!(
                    said(&[], Some("ann")),
                    unless_same(by_wish),
                    "{was} to {is}"
                );
                assert_eq!(said(&[], None), unless_same(by_nobody), "{was} to {is}");
                let causes = [cause.clone()];
                let withdrawn = match by_nobody {
                    Some("weightless") => continue,
                    other => unless_same(other),
                };
                assert_eq!(said(&causes, Some("ann")), withdrawn, "{was} to {is}");
            }
        }
    }
}
