//! Which seeds does a test play?

use crate::sim::number;

/// The one that is played alone, and tells its story.
pub(super) fn one() -> Option<u64> {
    number("PAIR_SEED")
}

/// All that are played: an ordinary run has the first ones, and others that tell of something.
pub(super) fn seeds(first: u64, others: &[u64]) -> Vec<u64> {
    match (one(), number("PAIR_SEEDS")) {
        (Some(seed), _) => vec![seed],
        (None, Some(count)) => (0..count).collect(),
        (None, None) => (0..first).chain(others.iter().copied()).collect(),
    }
}

/// Where a world writes its story, if it is to tell it.
pub(super) fn story() -> Option<String> {
    one().map(|_| String::new())
}
