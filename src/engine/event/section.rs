//! What the engine says about declared virtual services as a whole.

/// Something about a declared virtual service that a person may want to read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SectionNews {
    /// A person should mend something: what, and how.
    Mend(String),
}
