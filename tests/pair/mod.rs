//! A pair of directors: the role, the link between them, and who is told that a director works.

mod accord;
mod both;
mod failover;
mod files;
mod health;
mod kept;
mod link;
mod posts;
mod restart;
mod role;
mod takeover;
mod wishes;
