//! Which weight has a real server of which its checks say none now: one that `min_live` keeps, and
//! one without a verdict?

use crate::engine::section::wanted::{Facts, Health, Server, ServerRole, good_weight};
use crate::lvs::{RealServer, ServerWish, Weight};
use crate::model::WeightFrom;

/// The most that a server gets which its checks give no weight, where the others have theirs by
/// their checks: no more than the greatest of those that are healthy, or else of those without a
/// verdict that are in as they were found. Most clients would go to one that failed, or of which
/// nothing is known.
pub(super) fn most_unsaid(facts: &Facts<'_>, kept: &[usize]) -> Option<Weight> {
    match facts.section.weight_from {
        WeightFrom::File => return None,
        WeightFrom::Check => {}
    }
    let others = || {
        let servers = facts.servers.iter().enumerate();
        servers.filter(|(place, _)| !kept.contains(place))
    };
    let healthy = others().filter(|(_, it)| it.health == Health::Good);
    let healthy = healthy.map(|(_, it)| good_weight(it));
    let healthy = healthy.filter(|&it| it > Weight(0)).max();
    healthy.or_else(|| {
        let silent = |it: &Server| matches!(it.health, Health::Waiting | Health::Unheard);
        let silent = others().filter(|(_, it)| silent(it));
        let found = silent.filter_map(|(_, it)| Some(facts.kernel?.get(&it.key)?.weight));
        found.filter(|&it| it > Weight(0)).max()
    })
}

/// One that `min_live` keeps: a failing check leaves the weight that it gave as it was, and 0 is
/// lifted.
pub(super) fn kept_in(server: &Server, most: Option<Weight>) -> ServerWish {
    match server.given {
        Some(weight) if weight > Weight(0) => ServerWish::In(RealServer {
            weight,
            ..server.settings
        }),
        Some(_) | None => at_most(ServerWish::In(server.settings), most),
    }
}

fn at_most(wish: ServerWish, most: Option<Weight>) -> ServerWish {
    match (wish, most) {
        (ServerWish::In(settings), Some(most)) => ServerWish::In(RealServer {
            weight: settings.weight.min(most),
            ..settings
        }),
        (ServerWish::In(_), None) | (ServerWish::Out | ServerWish::AsFound, _) => wish,
    }
}

/// One that is in without a verdict.
pub(super) fn untested(role: ServerRole, wish: ServerWish, most: Option<Weight>) -> ServerWish {
    match role {
        ServerRole::InUntested => at_most(wish, most),
        ServerRole::Unseen
        | ServerRole::Serves { .. }
        | ServerRole::Kept
        | ServerRole::Quiesced
        | ServerRole::Draining { .. }
        | ServerRole::Out
        | ServerRole::OutUntested
        | ServerRole::AsFound
        | ServerRole::FallbackIn
        | ServerRole::FallbackOut => wish,
    }
}
