//! Traps as they go over the wire: what we send, what we take, and what floods do not do.

mod port;
mod receiving;
mod sending;
mod site;
mod waiting;
