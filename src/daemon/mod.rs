//! The daemon: one loop that owns the engine and performs what it says.
//!
//! | Question | File |
//! |---|---|
//! | who writes the table | `applier` |
//! | how do alerts leave and not get lost | `outbox` |
//! | what survives a restart | `store` |

pub mod applier;
pub mod outbox;
pub mod store;
