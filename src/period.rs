//! The language of periods (`Time::Period`): when does a period hold.

/// A period, fully checked; evaluation cannot fail.
#[derive(Clone, Debug, PartialEq)]
pub struct Period {}

impl Period {
    /// Holds at every moment.
    pub const ALWAYS: Self = Self {};
}
