//! How an alert is delivered: built-in alerts and executables.
//!
//! | Question | File |
//! |---|---|
//! | what is told about an event | `notice` |
//! | what does a mail say | `message` |
//! | how does a mail leave | `mail` |
//! | how is a program run | `exec` |
//! | how is a webhook posted | `webhook` |
//! | how is another daemon told | `trap` |
//! | how does a built-in stand alone | `standalone`, `lvs` |
//! | where do passwords come from | `secret` |
//!
//! Each delivers once and says what came of it. Queues, order, repetition: `daemon::outbox`.

pub(crate) mod exec;
mod lvs;
pub mod mail;
pub(crate) mod message;
pub mod notice;
pub(crate) mod secret;
pub(crate) mod standalone;
pub(crate) mod trap;
pub(crate) mod webhook;

pub use standalone::{StandaloneError, standalone};
