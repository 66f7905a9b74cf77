//! Which seeds does a test play?

use crate::sim::number;

/// The one that is played alone, and tells its story.
pub(super) fn one() -> Option<u64> {
    number("PAIR_SEED")
}

/// All that are played: an ordinary run has the first ones, and others that tell of something.
pub(super) fn seeds(first: u64, others: &[u64]) -> Vec<u64> {
    let first = number("PAIR_SEEDS").unwrap_or(first);
    let others = others.iter().copied().filter(|it| *it >= first);
    one().map_or_else(|| (0..first).chain(others).collect(), |seed| vec![seed])
}

/// Where a world writes its story, if it is to tell it.
pub(super) fn story() -> Option<String> {
    one().map(|_| String::new())
}
