//! The talk with a mail relay: connecting, TLS, login, one transaction (D24).
//!
//! lettre's connection is driven command by command, because its own `send` gives up all
//! recipients when one is refused.

use std::net::SocketAddr;
use std::time::Duration;

use lettre::transport::smtp::Error as SmtpError;
use lettre::transport::smtp::authentication::{Credentials, Mechanism};
use lettre::transport::smtp::client::{AsyncSmtpConnection, CertificateStore, TlsParameters};
use lettre::transport::smtp::commands::{Data, Mail, Rcpt, Rset};
use lettre::transport::smtp::extension::{ClientId, Extension, MailParameter};

use crate::alert::mail::{Fault, address};
use crate::alert::message::one_line;
use crate::alert::secret::Secret;
use crate::text::cut;

/// Waiting for the connection and for each answer but the last.
const STEP_LIMIT: Duration = Duration::from_secs(60);
/// Waiting for the relay to take the message: RFC 5321 (4.5.3.2.6) asks for patience here,
/// since giving up early makes duplicates.
const ACCEPT_LIMIT: Duration = Duration::from_secs(300);
/// Kept of what a relay says, for the log.
const REPLY_MAX: usize = 300;

/// When TLS begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tls {
    /// With STARTTLS, where the relay offers it.
    IfOffered,
    /// With the first byte.
    AtOnce,
}

/// A relay to connect to.
pub(super) struct Relay<'a> {
    pub(super) host: &'a str,
    pub(super) addresses: &'a [SocketAddr],
    pub(super) hello: ClientId,
    pub(super) login: Option<(String, Secret)>,
    pub(super) is_local: bool,
}

impl Relay<'_> {
    /// Connects, encrypts, logs in.
    ///
    /// A certificate is verified where something depends on it: with `smtps`, and where a
    /// password follows. STARTTLS without a password only keeps listeners out, as between
    /// mail servers: whoever could show a false certificate could also hide the offer.
    pub(super) async fn connect(&self, tls: Tls) -> Result<AsyncSmtpConnection, String> {
        let verified = tls == Tls::AtOnce || (self.login.is_some() && !self.is_local);
        let mut connection = match tls {
            Tls::AtOnce => self.dial(Some(self.tls(verified)?)).await?,
            Tls::IfOffered => self.dial(None).await?,
        };
        if tls == Tls::IfOffered && connection.can_starttls() {
            let begun = limited(connection.starttls(self.tls(verified)?, &self.hello)).await;
            if let Err(error) = begun {
                if verified {
                    return Err(format!("STARTTLS failed: {}", told(&error)));
                }
                tracing::warn!(
                    relay = self.host,
                    why = told(&error),
                    "STARTTLS failed, going on without"
                );
                connection = self.dial(None).await?;
            }
        }
        if let Some((user, password)) = &self.login {
            if !connection.is_encrypted() && !self.is_local {
                connection.abort().await;
                return Err("it offers no STARTTLS, and a password is not sent in the clear; use smtps:// or leave mail_login out".to_owned());
            }
            let login = Credentials::new(user.clone(), password.reveal().to_owned());
            let mechanisms = [Mechanism::Plain, Mechanism::Login];
            let done = limited(connection.auth(&mechanisms, &login)).await;
            done.map_err(|error| format!("login as {user} failed: {}", told(&error)))?;
        }
        Ok(connection)
    }

    async fn dial(&self, tls: Option<TlsParameters>) -> Result<AsyncSmtpConnection, String> {
        let connecting = AsyncSmtpConnection::connect_tokio1(
            self.addresses,
            Some(STEP_LIMIT),
            &self.hello,
            tls,
            None,
        );
        limited(connecting).await.map_err(|error| told(&error))
    }

    fn tls(&self, verified: bool) -> Result<TlsParameters, String> {
        // Without verification no certificates need to be read.
        let store = if verified {
            CertificateStore::Default
        } else {
            CertificateStore::None
        };
        TlsParameters::builder(self.host.to_owned())
            .certificate_store(store)
            .dangerous_accept_invalid_certs(!verified)
            .dangerous_accept_invalid_hostnames(!verified)
            .build_rustls()
            .map_err(|error| format!("TLS cannot be set up: {}", chain(&error)))
    }
}

/// Why one command failed.
#[derive(Debug)]
enum StepError {
    Smtp(SmtpError),
    Late(Duration),
}

async fn limited<T>(step: impl Future<Output = Result<T, SmtpError>>) -> Result<T, StepError> {
    limited_to(STEP_LIMIT, step).await
}

async fn limited_to<T>(
    limit: Duration,
    step: impl Future<Output = Result<T, SmtpError>>,
) -> Result<T, StepError> {
    match tokio::time::timeout(limit, step).await {
        Ok(result) => result.map_err(StepError::Smtp),
        Err(_) => Err(StepError::Late(limit)),
    }
}

fn told(error: &StepError) -> String {
    match error {
        StepError::Smtp(error) => cut(&one_line(&chain(error)), REPLY_MAX).to_owned(),
        StepError::Late(limit) => format!("no answer within {} s", limit.as_secs()),
    }
}

/// An error with its causes.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(next) = cause {
        let next_text = next.to_string();
        if !text.contains(&next_text) {
            text.push_str(": ");
            text.push_str(&next_text);
        }
        cause = next.source();
    }
    text
}

/// One SMTP transaction; a refused recipient does not stop the others.
pub(super) async fn smtp(
    connection: &mut AsyncSmtpConnection,
    from: &str,
    to: &[String],
    message: &[u8],
) -> Result<Vec<Result<(), Fault>>, String> {
    let unicode = connection
        .server_info()
        .supports_feature(Extension::SmtpUtfEight);
    let wants_unicode = !from.is_ascii() || to.iter().any(|one| !one.is_ascii());
    let parameters = match (wants_unicode, unicode) {
        (true, true) => vec![MailParameter::SmtpUtfEight],
        _ => Vec::new(),
    };
    let sender = address(from)?;
    limited(connection.command(Mail::new(Some(sender), parameters)))
        .await
        .map_err(|error| format!("the relay refuses sender {from}: {}", told(&error)))?;
    let mut results = Vec::with_capacity(to.len());
    for recipient in to {
        results.push(name_recipient(connection, recipient, unicode).await?);
    }
    if !results.iter().any(Result::is_ok) {
        limited(connection.command(Rset))
            .await
            .map_err(|error| told(&error))?;
        return Ok(results);
    }
    let outcome = match limited(connection.command(Data)).await {
        Ok(_) => limited_to(ACCEPT_LIMIT, connection.message(message))
            .await
            .map(|_| ()),
        Err(error) => Err(error),
    };
    if let Err(error) = outcome {
        let fault = fault(&error)?;
        for result in results.iter_mut().filter(|result| result.is_ok()) {
            *result = Err(fault.clone());
        }
    }
    Ok(results)
}

async fn name_recipient(
    connection: &mut AsyncSmtpConnection,
    recipient: &str,
    unicode: bool,
) -> Result<Result<(), Fault>, String> {
    if !recipient.is_ascii() && !unicode {
        return Ok(Err(Fault::Permanent(
            "the relay does not take addresses beyond ASCII (SMTPUTF8)".to_owned(),
        )));
    }
    let recipient = match address(recipient) {
        Ok(recipient) => recipient,
        Err(reason) => return Ok(Err(Fault::Permanent(reason))),
    };
    match limited(connection.command(Rcpt::new(recipient, Vec::new()))).await {
        Ok(_) => Ok(Ok(())),
        Err(error) => fault(&error).map(Err),
    }
}

/// A refusal of the relay about one message; anything else means that the connection is lost.
fn fault(error: &StepError) -> Result<Fault, String> {
    let text = told(error);
    match error {
        StepError::Smtp(smtp) if smtp.is_permanent() => Ok(Fault::Permanent(text)),
        // 421 announces the end of the connection (RFC 5321, 3.8).
        StepError::Smtp(smtp)
            if smtp.is_transient()
                && smtp.status().is_none_or(|code| code.to_string() != "421") =>
        {
            Ok(Fault::Temporary(text))
        }
        StepError::Smtp(_) | StepError::Late(_) => Err(text),
    }
}
