//! What one bound service has said so far: its gate and its verdicts (D3, D5, D9).
//!
//! A verdict that is remembered here is one that counts: failures that the alert rules still
//! hold back never arrive.

use std::collections::{BTreeMap, BTreeSet};

use crate::engine::event::Reason;
use crate::lvs::VirtualServiceKey;
use crate::model::HostName;
use crate::time::{Mono, Wall};

/// What a service can be asked about.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Part {
    /// The service as a whole, for bindings with `-R`.
    Whole,
    /// One member of its hostgroup.
    Host(HostName),
}

/// The verdict on a part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It is as it should be.
    Good,
    /// It fails, and the gate is open.
    Bad {
        /// Why, in the latest report.
        reason: Reason,
        /// Since the first report that counted.
        since: Wall,
    },
}

/// Whether the service is waited for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Attendance {
    /// No report has mentioned it yet.
    #[default]
    Awaited,
    /// A report has mentioned it.
    Heard,
    /// None did in an interval: it is left out of the count.
    LeftOut,
}

/// What is known of one part.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Known {
    pub(super) verdict: Option<Verdict>,
    pub(super) attendance: Attendance,
}

/// One bound service.
#[derive(Debug, Default)]
pub(super) struct Judge {
    /// Its bindings, as indexes into the Model.
    pub(super) bindings: Vec<usize>,
    /// The sections that listen to it.
    pub(super) sections: BTreeSet<VirtualServiceKey>,
    /// Open since.
    pub(super) gate: Option<Wall>,
    /// It was open before a restart, so that lines may have withdrawn any of its hosts.
    pub(super) was_failing: bool,
    pub(super) parts: BTreeMap<Part, Known>,
    /// When those that are still awaited are left out.
    pub(super) patience_ends: Option<Mono>,
    /// It was said in this outage that its failure names no host.
    pub(super) is_unclear_said: bool,
}

impl Judge {
    /// Takes in a good verdict; whether that is news.
    pub(super) fn good(&mut self, part: &Part) -> bool {
        let Some(known) = self.heard(part) else {
            return false;
        };
        known.verdict.replace(Verdict::Good) != Some(Verdict::Good)
    }

    /// Takes in a bad verdict; whether that is news.
    pub(super) fn bad(&mut self, part: &Part, reason: Reason, now: Wall) -> bool {
        let Some(known) = self.heard(part) else {
            return false;
        };
        let since = match known.verdict {
            Some(Verdict::Bad { since, .. }) => Some(since),
            Some(Verdict::Good) | None => None,
        };
        known.verdict = Some(Verdict::Bad {
            reason,
            since: since.unwrap_or(now),
        });
        since.is_none()
    }

    /// Takes note that a report says nothing of the part; whether a person is to be told. Of
    /// sections it is said whatever the alert rules say.
    pub(super) fn unclear(&mut self, part: &Part, reason: Reason) -> bool {
        let names_none = reason == Reason::NoHostNamed && !self.sections.is_empty();
        let is_heeded = self.gate.is_some() || names_none;
        self.heard(part).is_some() && is_heeded
    }

    /// Takes note that a report mentions the part; none where it is not bound.
    pub(super) fn heard(&mut self, part: &Part) -> Option<&mut Known> {
        let known = self.parts.get_mut(part)?;
        known.attendance = Attendance::Heard;
        Some(known)
    }

    /// Whether some part was not reported on, and is waited for.
    pub(super) fn is_awaited(&self) -> bool {
        let mut parts = self.parts.values();
        parts.any(|known| known.attendance == Attendance::Awaited)
    }

    /// How many parts are left out of the count.
    pub(super) fn left_out_count(&self) -> usize {
        let parts = self.parts.values();
        parts
            .filter(|known| known.attendance == Attendance::LeftOut)
            .count()
    }

    /// Leaves out what is still awaited; answers with it.
    pub(super) fn leave_out(&mut self) -> Vec<Part> {
        self.patience_ends = None;
        let mut left_out = Vec::new();
        for (part, known) in &mut self.parts {
            if known.attendance == Attendance::Awaited {
                known.attendance = Attendance::LeftOut;
                left_out.push(part.clone());
            }
        }
        left_out
    }
}
