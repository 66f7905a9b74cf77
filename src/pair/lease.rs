//! May messages leave at this moment?
//!
//! That the role has left, or that this director stood still for longer than its lease, counts at
//! once: whoever is about to begin a delivery asks here, just before. Who gives the lease is
//! [`crate::pair::pulse`].

use crate::pair::Speaking;
use crate::time::Mono;

/// What the loop said last, by a clock that goes on while the machine sleeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lease {
    /// Whether this director is to tell people.
    pub speaking: Speaking,
    /// Messages may leave until then; none: at any time.
    pub until: Option<Mono>,
}

impl Lease {
    /// At any time.
    #[must_use]
    pub const fn of(speaking: Speaking) -> Self {
        Self {
            speaking,
            until: None,
        }
    }

    /// Whether people are told at `now`.
    #[must_use]
    pub fn speaking(self, now: Mono) -> Speaking {
        if self.is_over(now) {
            Speaking::Silent
        } else {
            self.speaking
        }
    }

    /// Whether this director is to tell people and only the lease is over.
    #[must_use]
    pub fn is_stale(self, now: Mono) -> bool {
        self.speaking == Speaking::Speaks && self.speaking(now) == Speaking::Silent
    }

    fn is_over(self, now: Mono) -> bool {
        self.until.is_some_and(|until| until < now)
    }

    /// The last lease lasts so long, unless it is over.
    pub fn extend(&mut self, now: Mono, until: Mono) {
        if self.until.is_some() && !self.is_over(now) {
            self.until = Some(until);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(second: u64) -> Mono {
        Mono::from_micros(second * 1_000_000)
    }

    #[test]
    fn a_lease_ends_by_itself_and_one_that_is_over_lasts_no_longer() {
        let mut lease = Lease::of(Speaking::Speaks);
        assert_eq!(lease.speaking(at(1_000)), Speaking::Speaks, "there is none");
        lease.extend(at(1), at(2));
        assert_eq!(lease.until, None, "nothing that ends is extended");
        lease.until = Some(at(10));
        assert_eq!(lease.speaking(at(10)), Speaking::Speaks);
        assert!(!lease.is_stale(at(10)));
        assert_eq!(lease.speaking(at(11)), Speaking::Silent);
        assert!(lease.is_stale(at(11)));
        lease.extend(at(11), at(20));
        assert_eq!(lease.speaking(at(12)), Speaking::Silent);
        lease.extend(at(10), at(20));
        assert_eq!(lease.speaking(at(20)), Speaking::Speaks);
        lease.speaking = Speaking::Silent;
        assert_eq!(lease.speaking(at(12)), Speaking::Silent);
        assert!(!lease.is_stale(at(21)), "it was not to tell anything");
    }
}
