//! The daemon as a process: started, stopped, killed, reloaded, asked, starved of disk, given other
//! names; and the commands around it. Real servers are listeners on loopback, the table is the one
//! in memory.

mod commands;
mod contest;
mod control;
pub(crate) mod farm;
mod life;
mod loud;
mod metrics;
mod names;
mod observe;
mod reasons;
mod recheck;
mod rights;
mod state;
mod tripwire;
mod trouble;
mod unread;
mod weights;
mod wishes;
mod witness;
