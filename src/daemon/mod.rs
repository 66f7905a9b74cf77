//! The daemon: one loop that owns the engine and performs what it says.
//!
//! | Question | File |
//! |---|---|
//! | how do alerts leave and not get lost | `outbox` |
//! | what survives a restart | `store` |

pub mod outbox;
pub mod store;
