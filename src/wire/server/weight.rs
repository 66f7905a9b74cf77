//! Where has a real server its weight from, as rows? Only where its section asks its checks.

use serde::{Deserialize, Serialize};

use crate::engine::Engine;
use crate::engine::desired::{Given, GivenBy, Giving, RealServerView};
use crate::time::Wall;
use crate::wire::server::back::name;

/// Where a real server has its weight from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "from", rename_all = "snake_case")]
pub enum WeightByRow {
    /// Its checks.
    Checks {
        /// Those that give it the smallest, in file order.
        given: Vec<GivenRow>,
    },
    /// The file: no check gave it one.
    File,
    /// The file, but it has no more than the others have, at most: no check gave it
    /// one above 0, and `min_live` keeps it in, or nothing is known of it.
    FileAtMost,
}

/// What the checks of a service give a real server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GivenRow {
    /// `GROUP/SERVICE`
    pub service: String,
    /// The weight, or with `%` its share of the one in the file.
    pub weight: String,
    /// Since then its checks give none, and this one is kept; none where the latest gave it.
    pub none_since: Option<i64>,
    /// The monitor that the present one replaced gave it, and this one has found nothing yet.
    #[serde(default)]
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub replaced: bool,
}

impl GivenRow {
    fn of(engine: &Engine, given: &Given) -> Self {
        let (none_since, replaced) = match given.giving {
            Giving::Gives(_) => (None, false),
            Giving::Gave { none_since, .. } => (Some(none_since), false),
            Giving::Lent(_) => (None, true),
        };
        Self {
            service: name(engine, given.service),
            weight: given.giving.weight().to_string(),
            none_since: none_since.map(Wall::seconds),
            replaced,
        }
    }
}

/// Where a real server has its weight from.
pub(super) fn row(engine: &Engine, view: &RealServerView) -> Option<WeightByRow> {
    Some(match view.given_by.as_ref()? {
        GivenBy::Checks(given) => WeightByRow::Checks {
            given: given.iter().map(|it| GivenRow::of(engine, it)).collect(),
        },
        GivenBy::File => WeightByRow::File,
        GivenBy::FileAtMost => WeightByRow::FileAtMost,
    })
}
