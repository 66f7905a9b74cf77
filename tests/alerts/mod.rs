//! Alerts reach real servers, whatever happens to the servers, the disk or us.
//!
//! | Question | File |
//! |---|---|
//! | does mail arrive as it should | `mail` |
//! | what if the relay is another machine, or none is named | `network` |
//! | do webhooks arrive as they should | `webhook` |
//! | what if servers, disk or process fail | `trouble` |
//! | does lvs.alert stand alone | `lvs` |
//! | what is held for the other director of a pair | `held` |
//! | are programs run as mon runs them | `programs` |
//! | what happens at the bounds of the spool | `bounds` |
//! | does the daemon deliver, through `kill -9` and a full disk | `daemon` |
//! | with which servers, and with which outbox | `servers`, `harness` |

mod bounds;
mod daemon;
mod harness;
mod held;
mod lvs;
mod mail;
mod network;
mod programs;
pub(crate) mod servers;
mod trouble;
mod webhook;
