//! The daemon: one loop that owns the engine and performs what it says.

//!
//! | Question | File |
//! | what survives a restart | `store` |
//! |---|---|
pub mod outbox;
pub mod store;
