//! A pair of directors: the role, and who is told that a director works.

mod health;
mod role;
