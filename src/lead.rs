//! Which addresses of a name is a check to go to?

use std::net::IpAddr;

use crate::lvs::Family;

/// Where a check of a name goes, as far as that is known before the name is looked up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Lead {
    /// There, whatever a look-up would say.
    To(Vec<IpAddr>),
    /// To those of this family alone: at others there is another real server.
    Within(Family),
    /// To those of this family, where it has any.
    Rather(Family),
}

impl Lead {
    /// The addresses that the check goes to without a look-up; empty where it needs one.
    pub(crate) fn known(&self) -> &[IpAddr] {
        match self {
            Self::To(there) => there,
            Self::Within(_) | Self::Rather(_) => &[],
        }
    }

    /// The addresses that the check goes to when a look-up of the name has `found` these: with
    /// `To` its own, whatever was found; with `Within` perhaps none.
    #[must_use]
    pub fn of(&self, mut found: Vec<IpAddr>) -> Vec<IpAddr> {
        let has = |family| move |it: &IpAddr| Family::of(*it) == family;
        match self {
            Self::To(there) => return there.clone(),
            &Self::Rather(family) if !found.iter().any(has(family)) => {}
            &Self::Within(family) | &Self::Rather(family) => found.retain(has(family)),
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_check_goes_to_the_addresses_that_it_is_meant_for() {
        let addresses = |text: &str| -> Vec<IpAddr> {
            let words = text.split_whitespace();
            words.map(|it| it.parse().unwrap()).collect()
        };
        let there = Lead::To(addresses("10.0.0.9"));
        for (lead, found, left) in [
            (&there, "10.0.0.1 fd00::1", "10.0.0.9"),
            (&there, "", "10.0.0.9"),
            (&Lead::Within(Family::V4), "10.0.0.1 fd00::1", "10.0.0.1"),
            (&Lead::Within(Family::V6), "10.0.0.1", ""),
            (&Lead::Rather(Family::V6), "10.0.0.1 fd00::1", "fd00::1"),
            (&Lead::Rather(Family::V6), "10.0.0.1", "10.0.0.1"),
        ] {
            assert_eq!(
                lead.of(addresses(found)),
                addresses(left),
                "{lead:?} {found}"
            );
        }
    }
}
