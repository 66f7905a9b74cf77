//! Which weight do the checks of a host give it, and does the latest one still say so?
//!
//! A check that gives none leaves the weight as it was (docs/monitors.md), whether it is good or
//! fails: who reads a weight is told of that. Pure.

use crate::lvs::{GivenWeight, Weight};
use crate::time::Wall;

/// What the checks of a service give a host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Giving {
    /// The latest gave this weight.
    Gives(GivenWeight),
    /// An earlier one gave it, and it is kept.
    Gave {
        /// The weight.
        weight: GivenWeight,
        /// Since then they give none.
        none_since: Wall,
    },
    /// The monitor that the present one replaced gave it, and this one has found nothing yet.
    Lent(GivenWeight),
}

impl Giving {
    /// The weight that counts.
    #[must_use]
    pub const fn weight(self) -> GivenWeight {
        match self {
            Self::Gives(weight) | Self::Gave { weight, .. } | Self::Lent(weight) => weight,
        }
    }

    /// Where the checks of the other director of a pair gave this weight before and give none by
    /// now, which was heard then: who never had one has that, and of two that were given before the
    /// lesser counts. `configured` is what shares are of.
    pub(crate) fn shared(
        own: Option<Self>,
        (theirs, heard): (GivenWeight, Wall),
        configured: Weight,
    ) -> Option<Self> {
        match own {
            None => Some(Self::Gave {
                weight: theirs,
                none_since: heard,
            }),
            Some(Self::Gave { weight, none_since }) => {
                let weight = match theirs.of(configured) < weight.of(configured) {
                    true => theirs,
                    false => weight,
                };
                Some(Self::Gave { weight, none_since })
            }
            Some(Self::Gives(_) | Self::Lent(_)) => own,
        }
    }

    /// The weight, where an earlier check gave it.
    pub(crate) const fn before(self) -> Option<GivenWeight> {
        match self {
            Self::Gave { weight, .. } => Some(weight),
            Self::Gives(_) | Self::Lent(_) => None,
        }
    }

    /// Behind one more check, which gave this weight or none; none while none ever did.
    pub(crate) fn next(
        before: Option<Self>,
        given: Option<GivenWeight>,
        now: Wall,
    ) -> Option<Self> {
        match (before, given) {
            (_, Some(weight)) => Some(Self::Gives(weight)),
            (Some(Self::Gives(weight)), None) => Some(Self::Gave {
                weight,
                none_since: now,
            }),
            (Some(Self::Gave { .. } | Self::Lent(_)) | None, None) => before,
        }
    }
}
