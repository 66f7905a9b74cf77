//! Mail: addresses, and the way out of this machine (D24).
//!
//! | Question | File |
//! |---|---|
//! | how does a mail look as bytes | `email` |
//! | how does one talk with a relay | `relay` |
//! | how is the program sendmail used | `sendmail` |
//!
//! Not here: what the message says (`message`), when it is sent and how often
//! (`daemon::outbox`).

mod email;
mod relay;
mod sendmail;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use lettre::Address;
use lettre::transport::smtp::client::AsyncSmtpConnection;
use lettre::transport::smtp::extension::ClientId;

use crate::alert::mail::relay::{Relay, Tls, smtp};
use crate::alert::mail::sendmail::sendmail;
use crate::alert::secret;
use crate::model::{MailRelay, MailSettings};
use crate::time::Readable;

pub(crate) use email::{Email, bytes};

/// Looking up the relay's name.
const LOOKUP_LIMIT: Duration = Duration::from_secs(15);
/// Saying goodbye to a relay: it has taken the mails, so its silence is no fault.
const QUIT_LIMIT: Duration = Duration::from_secs(5);
/// Where sendmail is, in this order; the second is the name that mon uses.
const SENDMAIL: [&str; 2] = ["/usr/sbin/sendmail", "/usr/lib/sendmail"];
/// How mail leaves this machine.
#[derive(Clone, Debug)]
pub struct Mailer {
    settings: MailSettings,
    /// This machine's name.
    host: String,
    /// Where sendmail may be.
    sendmail: Vec<PathBuf>,
    /// Addresses of the relay that were good last time, for when the look-up fails.
    known: Vec<SocketAddr>,
}

/// Why a message did not reach one recipient.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Another attempt may help.
    Temporary(String),
    /// It never will.
    Permanent(String),
}

impl Fault {
    /// Why, whether or not another attempt may help.
    pub(crate) fn reason(&self) -> &str {
        match self {
            Self::Temporary(why) | Self::Permanent(why) => why,
        }
    }
}

impl Mailer {
    /// Mail as the settings say, from this machine.
    #[must_use]
    pub fn new(settings: MailSettings) -> Self {
        let host = nix::unistd::gethostname()
            .ok()
            .and_then(|name| name.into_string().ok())
            .unwrap_or_default();
        Self {
            settings,
            host,
            sendmail: SENDMAIL.map(PathBuf::from).to_vec(),
            known: Vec::new(),
        }
    }

    /// With sendmail elsewhere.
    #[must_use]
    pub fn with_sendmail(mut self, path: PathBuf) -> Self {
        self.sendmail = vec![path];
        self
    }

    /// `mail_domain`, else this machine's name where it can stand in an address.
    pub(crate) fn domain(&self) -> &str {
        let own = || {
            let is_usable = Address::new("mon", &self.host).is_ok();
            if is_usable {
                self.host.as_str()
            } else {
                "localhost"
            }
        };
        self.settings.domain.as_deref().unwrap_or_else(own)
    }

    /// This machine's name.
    pub(crate) fn host(&self) -> &str {
        &self.host
    }

    /// `mail_group_wait`.
    pub(crate) const fn group_wait(&self) -> Duration {
        self.settings.group_wait
    }

    /// The complete address of a recipient.
    pub(crate) fn complete(&self, word: &str) -> Result<String, String> {
        let text = if word.contains('@') {
            word.to_owned()
        } else {
            format!("{word}@{}", self.domain())
        };
        address(&text).map(|address| address.to_string())
    }

    /// The complete address of the sender: `-f`, else `mail_from`, else `mon@DOMAIN`.
    pub(crate) fn sender(&self, option: Option<&str>) -> Result<String, String> {
        self.complete(option.or(self.settings.from.as_deref()).unwrap_or("mon"))
    }

    /// Remembers good addresses of the relay.
    pub(crate) fn remember(&mut self, known: Vec<SocketAddr>) {
        self.known = known;
    }

    /// Opens the way out.
    ///
    /// # Errors
    ///
    /// Why no mail can leave now.
    pub(crate) async fn open(&self) -> Result<Session, String> {
        let sendmail = self.sendmail.iter().find(|path| path.is_file());
        match (&self.settings.relay, sendmail) {
            (MailRelay::Default | MailRelay::Sendmail, Some(path)) => {
                Ok(Session(Way::Sendmail(path.clone())))
            }
            (MailRelay::Sendmail, None) => {
                let names: Vec<_> = self
                    .sendmail
                    .iter()
                    .map(|p| p.display().to_string())
                    .collect();
                Err(format!("no sendmail program at {}", names.join(" or ")))
            }
            (MailRelay::Default, None) => self.connect("localhost", 25, Tls::IfOffered).await,
            (MailRelay::Smtp { host, port }, _) => self.connect(host, *port, Tls::IfOffered).await,
            (MailRelay::Smtps { host, port }, _) => self.connect(host, *port, Tls::AtOnce).await,
        }
    }

    async fn connect(&self, host: &str, port: u16, tls: Tls) -> Result<Session, String> {
        let place = format!("mail relay {host}:{port}");
        let told = |what: String| format!("{place}: {what}");
        let addresses = self.look_up(host, port).await.map_err(told)?;
        let login = match &self.settings.login {
            None => None,
            Some(path) => {
                let read = secret::read(path).await?;
                Some(secret::login(&read).map_err(|e| format!("{}: {e}", path.display()))?)
            }
        };
        let is_local = addresses.iter().all(|address| address.ip().is_loopback());
        let relay = Relay {
            host,
            addresses: &addresses,
            hello: ClientId::Domain(self.domain().to_owned()),
            login,
            is_local,
        };
        let connection = relay.connect(tls).await.map_err(told)?;
        Ok(Session(Way::Smtp {
            connection: Box::new(connection),
            addresses,
        }))
    }

    async fn look_up(&self, host: &str, port: u16) -> Result<Vec<SocketAddr>, String> {
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        let lookup = tokio::net::lookup_host((bare, port));
        let reason = match tokio::time::timeout(LOOKUP_LIMIT, lookup).await {
            Ok(Ok(found)) => {
                let found: Vec<SocketAddr> = found.collect();
                if !found.is_empty() {
                    return Ok(found);
                }
                "its name has no address".to_owned()
            }
            Ok(Err(error)) => format!("its name cannot be looked up: {error}"),
            Err(_) => format!(
                "its name was not looked up within {}",
                Readable(LOOKUP_LIMIT)
            ),
        };
        if self.known.is_empty() {
            return Err(reason);
        }
        tracing::warn!(
            host,
            why = reason,
            "using the last known addresses of the mail relay"
        );
        Ok(self.known.clone())
    }
}

/// An open way out.
pub(crate) struct Session(Way);

enum Way {
    Smtp {
        connection: Box<AsyncSmtpConnection>,
        addresses: Vec<SocketAddr>,
    },
    Sendmail(PathBuf),
}

impl Session {
    /// Addresses that turned out good.
    pub(crate) fn addresses(&self) -> Vec<SocketAddr> {
        match &self.0 {
            Way::Smtp { addresses, .. } => addresses.clone(),
            Way::Sendmail(_) => Vec::new(),
        }
    }

    /// Sends one message to these recipients and says for each what came of it, in order.
    ///
    /// # Errors
    ///
    /// The way out is broken; nobody is known to have got the message.
    pub(crate) async fn send(
        &mut self,
        from: &str,
        to: &[String],
        message: &[u8],
    ) -> Result<Vec<Result<(), Fault>>, String> {
        match &mut self.0 {
            Way::Smtp { connection, .. } => smtp(connection, from, to, message).await,
            Way::Sendmail(path) => {
                let mut results = Vec::with_capacity(to.len());
                for recipient in to {
                    results.push(sendmail(path, from, recipient, message).await);
                }
                Ok(results)
            }
        }
    }

    /// Says goodbye.
    pub(crate) async fn close(self) {
        match self.0 {
            Way::Smtp { mut connection, .. } => {
                let _ = tokio::time::timeout(QUIT_LIMIT, connection.quit()).await;
            }
            Way::Sendmail(_) => {}
        }
    }
}

fn address(text: &str) -> Result<Address, String> {
    text.parse()
        .map_err(|error| format!("\"{}\" is not a mail address: {error}", text.escape_debug()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mailer(host: &str, domain: Option<&str>) -> Mailer {
        let mut mailer = Mailer::new(MailSettings {
            domain: domain.map(str::to_owned),
            ..MailSettings::default()
        });
        mailer.host = host.to_owned();
        mailer
    }

    #[test]
    fn bare_names_are_completed_with_the_domain() {
        let cases = [
            (
                mailer("dir1", Some("example.org")),
                "wensong@example.org",
                "mon@example.org",
            ),
            (mailer("dir1", None), "wensong@dir1", "mon@dir1"),
            (mailer("a b", None), "wensong@localhost", "mon@localhost"),
            (mailer("", None), "wensong@localhost", "mon@localhost"),
        ];
        for (mailer, recipient, sender) in cases {
            assert_eq!(mailer.complete("wensong").as_deref(), Ok(recipient));
            assert_eq!(mailer.sender(None).as_deref(), Ok(sender));
            assert_eq!(mailer.complete("a@b.c").as_deref(), Ok("a@b.c"));
            assert_eq!(mailer.sender(Some("x@y.z")).as_deref(), Ok("x@y.z"));
        }
    }

    #[test]
    fn what_is_no_address_is_refused() {
        let mailer = mailer("h", None);
        for bad in ["a b", "a@b c", "a@\r\nX: y", "a@@b", "\"x"] {
            assert!(mailer.complete(bad).is_err(), "{bad:?}");
        }
    }
}
