//! A pair of directors: the role, the link between them, and who is told that a director works.

mod accord;
mod failover;
mod files;
mod health;
mod link;
mod restart;
mod role;
mod takeover;
mod wishes;
