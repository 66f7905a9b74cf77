//! Declared virtual services: what a `virtual` section makes of verdicts, and when.
//!
//! | Question | File |
//! |---|---|
//! | how many checks in a row make a verdict | `count` |
//!
//! Not here: claims to real servers and the table as it should be
//! ([`crate::engine::binding`]).

pub(crate) mod count;
