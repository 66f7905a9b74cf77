//! How an alert is delivered: built-in alerts and executables.
//!
//! | Question | File |
//! |---|---|
//! | what is told about an event | `notice` |
//! | what does a mail say | `message` |
//! | how does a mail leave | `mail` |
//! | how is a program run | `exec` |
//! | how is a webhook posted | `webhook` |
//! | where do passwords come from | `secret` |
//!
//! Each delivers once and says what came of it. Queues, order, repetition: `daemon::outbox`.

pub(crate) mod exec;
pub mod mail;
pub(crate) mod message;
pub mod notice;
pub(crate) mod secret;
pub(crate) mod webhook;

/// Why a stand-alone alert did nothing, or not all it should.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StandaloneError {
    /// Wrong words on the command line: exit status 2.
    #[error("{0}")]
    Usage(String),
    /// Not delivered: exit status 1.
    #[error("{0}")]
    Failed(String),
}

/// `lvsmon alert NAME args...`: one alert, as mon or a person calls it, delivered once.
///
/// `name` is that of the built-in with or without `.alert`; `stdin` is read by the caller to
/// its end. Output for a person is in the error.
///
/// # Errors
///
/// Wrong words, or a delivery that failed.
#[expect(
    clippy::unused_async,
    reason = "the signature that the command line builds on"
)]
pub async fn standalone(name: &str, args: &[String], stdin: &[u8]) -> Result<(), StandaloneError> {
    let _ = (name, args, stdin);
    Err(StandaloneError::Failed("not there yet".to_owned()))
}
