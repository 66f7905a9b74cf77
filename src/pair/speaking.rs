//! Does a director tell people?
//!
//! A level that the shell takes from the role; what it means for messages is `post`'s.

/// Whether a director tells people, by mail or any other way, at present.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Speaking {
    /// It does.
    #[default]
    Speaks,
    /// The other one does: everything is held.
    Silent,
}

impl Speaking {
    /// Of one that says whether it does.
    #[must_use]
    pub const fn of(speaks: bool) -> Self {
        match speaks {
            true => Self::Speaks,
            false => Self::Silent,
        }
    }
}
