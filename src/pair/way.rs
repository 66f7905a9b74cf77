//! Where does an alert go that is called now?
//!
//! A word for a person: what is held and what leaves is `post`'s.

use crate::pair::Speaking;

/// Where an alert goes from the outbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// Out, to those who are to be told.
    Out,
    /// It waits, though this director is to tell people: until the table was looked at since the
    /// takeover, or its role and the peer were heard.
    Waits,
    /// It waits: the other director of the pair tells people.
    Held,
    /// An observer sends nothing.
    Nowhere,
}

impl Way {
    /// That of a director which is to tell people or not, by its role, while messages leave or do
    /// not.
    #[must_use]
    pub const fn of(role: Speaking, messages: Speaking) -> Self {
        match (role, messages) {
            (Speaking::Silent, _) => Self::Held,
            (Speaking::Speaks, Speaking::Silent) => Self::Waits,
            (Speaking::Speaks, Speaking::Speaks) => Self::Out,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_alert_is_the_other_directors_by_the_role_alone_and_waits_only_for_what_is_to_come() {
        use Speaking::{Silent, Speaks};
        assert_eq!(Way::of(Speaks, Speaks), Way::Out);
        assert_eq!(Way::of(Speaks, Silent), Way::Waits);
        assert_eq!(Way::of(Silent, Silent), Way::Held);
        // The role has left, and the outbox is still to hear of it.
        assert_eq!(Way::of(Silent, Speaks), Way::Held);
    }
}
