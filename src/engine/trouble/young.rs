//! Which troubles have not lasted long enough to be told?
//!
//! A director that stood still takes what waited for it one by one: in between its sections may
//! look worse than they were at any time. The table follows each step, people are told of what
//! lasts. Nothing here is kept across a restart: what goes on is simply found again.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::engine::event::Trouble;
use crate::lvs::VirtualServiceKey;
use crate::time::{Mono, Now};

/// A trouble that lasted less is nobody's: results that waited are taken within milliseconds, on a
/// busy machine within some tenths of a second, and nobody who is called acts within a second.
pub(super) const TOLD_AFTER: Duration = Duration::from_secs(1);

/// The troubles that go on and were not told, and since when.
#[derive(Debug, Default)]
pub(in crate::engine) struct Young(BTreeMap<(VirtualServiceKey, Trouble), Now>);

impl Young {
    /// What goes on in a section and was not told.
    pub(super) fn look(&mut self, now: Now, key: VirtualServiceKey, untold: &BTreeSet<Trouble>) {
        self.retain(|(it, trouble)| it != key || untold.contains(&trouble));
        for &trouble in untold {
            self.0.entry((key, trouble)).or_insert(now);
        }
    }

    /// Whether one has lasted, and since when; it is told then.
    pub(super) fn take(
        &mut self,
        now: Now,
        key: VirtualServiceKey,
        trouble: Trouble,
    ) -> Option<Now> {
        let place = (key, trouble);
        let since = *self.0.get(&place)?;
        (due(since) <= now.mono).then(|| self.0.remove(&place))?
    }

    /// Whether one of those that exclude each other goes on in a section.
    pub(super) fn has_one_of_servers(&self, key: VirtualServiceKey) -> bool {
        Trouble::ALL
            .into_iter()
            .any(|it| it.is_of_servers() && self.0.contains_key(&(key, it)))
    }

    /// The sections in which one has lasted.
    pub(super) fn due(&self, now: Now) -> BTreeSet<VirtualServiceKey> {
        let lasted = self.0.iter().filter(|(_, since)| due(**since) <= now.mono);
        lasted.map(|(&(key, _), _)| key).collect()
    }

    /// When the next one has lasted.
    pub(super) fn next(&self) -> Option<Mono> {
        self.0.values().copied().map(due).min()
    }

    pub(super) fn retain(&mut self, mut stays: impl FnMut((VirtualServiceKey, Trouble)) -> bool) {
        self.0.retain(|&place, _| stays(place));
    }
}

fn due(since: Now) -> Mono {
    since.mono.after(TOLD_AFTER)
}
