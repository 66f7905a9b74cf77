//! What does one section make of a streak of checks?
//!
//! | Verdict | after a good one | after a bad one |
//! |---|---|---|
//! | none | good | bad when `fall` is reached |
//! | good | good | bad when `fall` is reached |
//! | bad | good when `rise` is reached | bad |
//! | bad, inherited | good | bad; inherited no longer when `fall` is reached |
//!
//! Inherited is what the monitor found that a reload or a restart replaced: the first verdict of
//! another one is one as at a start, and until then the weights of the one before are the only ones
//! there are. A level: the same streak makes the same of it however often. Pure.

use crate::engine::binding::Verdict;
use crate::engine::event::Reason;
use crate::engine::section::count::{Monitor, Streak};
use crate::engine::section::giving::Giving;
use crate::lvs::GivenWeight;
use crate::model::{Counts, WeightFrom};
use crate::time::Wall;

/// One section that listens.
#[derive(Clone, Debug)]
pub(super) struct Listener {
    pub(super) counts: Counts,
    pub(super) weight_from: WeightFrom,
    pub(super) verdict: Option<Verdict>,
    /// None from the first verdict of the present monitor on.
    pub(super) inherited: Option<Inherited>,
}

/// The verdict of a section is that of a monitor which the file replaced since.
#[derive(Clone, Copy, Debug)]
pub(super) struct Inherited {
    /// That monitor.
    pub(super) from: Monitor,
    /// The weight that it gave last, where the section used it.
    pub(super) given: Option<GivenWeight>,
}

/// A failure, as it is in the journal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Failure {
    pub(super) reason: Reason,
    pub(super) since: Wall,
    /// The monitor that found it.
    pub(super) monitor: Monitor,
}

impl Listener {
    /// Makes its verdict of a streak: the table at the head of this file.
    pub(super) fn follow(&mut self, streak: Option<Streak>, now: Wall) {
        let before = self.verdict;
        self.verdict = match (before, streak) {
            (None | Some(Verdict::Good), Some(Streak::Good(_))) => Some(Verdict::Good),
            (Some(Verdict::Bad { .. }), Some(Streak::Good(count))) if count >= self.rise() => {
                Some(Verdict::Good)
            }
            (None | Some(Verdict::Good), Some(Streak::Bad { count, reason }))
                if count >= self.counts.fall.get() =>
            {
                Some(Verdict::Bad { reason, since: now })
            }
            (Some(Verdict::Bad { since, .. }), Some(Streak::Bad { reason, .. })) => {
                Some(Verdict::Bad { reason, since })
            }
            (_, Some(Streak::Good(_) | Streak::Bad { .. }) | None) => before,
        };
        let is_enough = match streak {
            Some(Streak::Good(_)) => true,
            Some(Streak::Bad { count, .. }) => count >= self.counts.fall.get(),
            None => false,
        };
        self.inherited = self.inherited.filter(|_| !is_enough);
    }

    /// So many good checks in a row end a bad verdict.
    pub(super) fn rise(&self) -> u32 {
        match self.inherited {
            Some(_) => 1,
            None => self.counts.rise.get(),
        }
    }

    /// The weight that the monitor before gave and that counts until the present one has found
    /// something.
    pub(super) fn lent(&self) -> Option<Giving> {
        self.inherited?.given.map(Giving::Lent)
    }

    /// Its verdict where that is a failure; `present` is the monitor of the file.
    pub(super) fn failure(&self, present: Monitor) -> Option<Failure> {
        match self.verdict {
            Some(Verdict::Bad { reason, since }) => Some(Failure {
                reason,
                since,
                monitor: self.inherited.map_or(present, |it| it.from),
            }),
            Some(Verdict::Good) | None => None,
        }
    }

    /// Whether the part has failed, but not often enough for a verdict.
    pub(super) fn is_running(&self, streak: Option<Streak>) -> bool {
        let is_judged = is_bad(self.verdict) && self.inherited.is_none();
        match streak {
            Some(Streak::Bad { count, .. }) => count < self.counts.fall.get() && !is_judged,
            Some(Streak::Good(_)) | None => false,
        }
    }
}

pub(super) const fn is_bad(verdict: Option<Verdict>) -> bool {
    matches!(verdict, Some(Verdict::Bad { .. }))
}
