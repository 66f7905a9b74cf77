//! Clients of mon's protocol against the real daemon: those that mon ships, those that mean
//! harm, and what is written on the wire.

pub(crate) mod daemon;
mod hostile;
mod processes;
mod tools;
mod wire;
