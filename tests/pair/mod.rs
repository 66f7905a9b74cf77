//! A pair of directors: the role, and who is told that a director works.

mod failover;
mod files;
mod health;
mod role;
