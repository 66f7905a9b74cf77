//! Who would serve, whatever those without a verdict turn out to be?
//!
//! No alarm begins or ends by what nobody has judged yet. Pure.

use crate::engine::section::live::{Reserve, ServedBy, ServerStanding, live};
use crate::engine::section::wanted::{Facts, Health};
use crate::pair::turn::Turn;

/// Whether it is the same who serves, whatever the first verdicts will be that are waited for:
/// until then no alarm is raised, and none ends.
pub(super) fn surely(facts: &Facts<'_>, standings: &[ServerStanding], reserve: Reserve) -> bool {
    let with = |verdict: ServerStanding| {
        served_if(facts, standings, reserve, |health| {
            (health == Health::Waiting).then_some(verdict)
        })
    };
    with(ServerStanding::Serves) == with(ServerStanding::Withdrawn(Turn::LATEST))
}

/// Who would serve if everybody without a verdict failed: what people were told of the servers is
/// not over as long as it would be so then.
pub(super) fn at_worst(
    facts: &Facts<'_>,
    standings: &[ServerStanding],
    reserve: Reserve,
) -> ServedBy {
    let failed = ServerStanding::Withdrawn(Turn::LATEST);
    served_if(facts, standings, reserve, |health| {
        matches!(health, Health::Waiting | Health::Unheard).then_some(failed)
    })
}

/// Who would serve if those stood so for whose health `then` says it, but those whom an operator
/// took. An address is waited for as a verdict is.
fn served_if(
    facts: &Facts<'_>,
    standings: &[ServerStanding],
    reserve: Reserve,
    then: impl Fn(Health) -> Option<ServerStanding>,
) -> ServedBy {
    let health = facts.servers.iter().map(|server| server.health);
    let health = health.chain(facts.addressless.iter().map(|_| Health::Waiting));
    let then = health
        .zip(standings)
        .map(|(health, &standing)| match (standing, then(health)) {
            (ServerStanding::Taken, _) | (_, None) => standing,
            (_, Some(then)) => then,
        });
    live(&then.collect::<Vec<ServerStanding>>(), reserve).by
}
