//! What was heard of where a name leads while another address counts (D8)?
//!
//! What is good is about the address to which it leads now, and is forgotten as it leads to another
//! one. What fails is kept for a few of them: a name whose answer turns is one news for each.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use crate::engine::binding::Part;
use crate::engine::event::{HostVerdict, Reason};
use crate::engine::section::giving::Giving;
use crate::lvs::GivenWeight;
use crate::model::ServiceId;
use crate::time::Wall;

/// Failures are kept for so many addresses of a name: one that has another one each time is said
/// each time.
const FAILED_MAX: usize = 8;

/// What was heard of one name in one family.
#[derive(Debug, Default)]
pub(super) struct Heard {
    /// What was good there, and nothing bad since.
    good: BTreeSet<(ServiceId, Part)>,
    /// The weights that checks gave it.
    given: BTreeMap<ServiceId, Giving>,
    /// Whose checks of it fail, at each address to which it led since.
    fails: BTreeMap<IpAddr, Failures>,
}

/// The services whose checks of a name fail at an address.
pub(super) type Failures = BTreeMap<ServiceId, Failure>;

/// Why and since when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Failure {
    /// As the latest check said.
    pub(super) reason: Reason,
    pub(super) since: Wall,
}

impl Heard {
    /// The name leads to another address.
    pub(super) fn turned(&mut self) {
        self.good.clear();
        self.given.clear();
        if self.fails.len() >= FAILED_MAX {
            self.fails.clear();
        }
    }

    /// Services have these numbers now, and what was good is to be heard again.
    pub(super) fn renumber(&mut self, number: impl Fn(ServiceId) -> Option<ServiceId>) {
        self.good.clear();
        self.given.clear();
        for failures in self.fails.values_mut() {
            let old = std::mem::take(failures).into_iter();
            *failures = old.filter_map(|(id, it)| Some((number(id)?, it))).collect();
        }
    }

    /// Takes in what a check says, at the address that is next, where there is one; whether other
    /// services fail there than before.
    pub(super) fn hear(
        &mut self,
        next: Option<IpAddr>,
        place: (ServiceId, Part),
        verdict: HostVerdict,
        now: Wall,
    ) -> bool {
        let service = place.0;
        // A service as a whole may fail for another host.
        let next = next.filter(|_| matches!(place.1, Part::Host(_)));
        match verdict {
            HostVerdict::Up => {
                self.good.insert(place);
                let failures = next.and_then(|next| self.fails.get_mut(&next));
                failures.is_some_and(|failures| failures.remove(&service).is_some())
            }
            HostVerdict::Down(reason) => {
                self.good.remove(&place);
                let Some(next) = next else {
                    return false;
                };
                let failures = self.fails.entry(next).or_default();
                let before = failures.get(&service).copied();
                let since = before.map_or(now, |it| it.since);
                failures.insert(service, Failure { reason, since });
                before.is_none()
            }
            HostVerdict::Unknown(_) => {
                self.good.remove(&place);
                false
            }
        }
    }

    /// A check gives it this weight, or none.
    pub(super) fn weigh(&mut self, service: ServiceId, given: Option<GivenWeight>, now: Wall) {
        let before = self.given.get(&service).copied();
        let next = Giving::next(before, given, now);
        self.given.extend(next.map(|giving| (service, giving)));
    }

    /// Whether this was good.
    pub(super) fn was_good(&self, part: &(ServiceId, Part)) -> bool {
        self.good.contains(part)
    }

    /// Who fails at this address.
    pub(super) fn failures(&self, at: IpAddr) -> Option<&Failures> {
        self.fails.get(&at).filter(|failures| !failures.is_empty())
    }

    /// The weights that it was given.
    pub(super) fn into_given(self) -> BTreeMap<ServiceId, Giving> {
        self.given
    }
}
