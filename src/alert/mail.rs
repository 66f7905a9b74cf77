//! Mail: addresses, the message as bytes, and the talk with a relay or with sendmail (D24).
//!
//! Headers and encodings are lettre's; its SMTP connection is driven command by command,
//! because its own `send` gives up all recipients when one is refused. Not here: what the
//! message says (`message`), when it is sent and how often (`daemon::outbox`).

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::{Duration, UNIX_EPOCH};

use lettre::Address;
use lettre::message::header::{HeaderName, HeaderValue};
use lettre::message::{Mailbox, Message, SinglePart};
use lettre::transport::smtp::Error as SmtpError;
use lettre::transport::smtp::authentication::{Credentials, Mechanism};
use lettre::transport::smtp::client::{AsyncSmtpConnection, CertificateStore, TlsParameters};
use lettre::transport::smtp::commands::{Data, Mail, Rcpt, Rset};
use lettre::transport::smtp::extension::{ClientId, Extension, MailParameter};

use crate::alert::exec::{self, End, Program};
use crate::alert::message::{Text, one_line};
use crate::alert::notice::cut;
use crate::alert::secret::{self, Secret};
use crate::model::{MailRelay, MailSettings};
use crate::time::Wall;

/// Waiting for the connection and for each answer but the last.
const STEP_LIMIT: Duration = Duration::from_secs(60);
/// Waiting for the relay to take the message: RFC 5321 (4.5.3.2.6) asks for patience here,
/// since giving up early makes duplicates.
const ACCEPT_LIMIT: Duration = Duration::from_secs(300);
/// Looking up the relay's name.
const LOOKUP_LIMIT: Duration = Duration::from_secs(15);
/// One run of sendmail, which only queues.
const SENDMAIL_LIMIT: Duration = Duration::from_secs(120);
/// Where sendmail is, in this order; the second is the name that mon uses.
const SENDMAIL: [&str; 2] = ["/usr/sbin/sendmail", "/usr/lib/sendmail"];
/// Kept of what a relay says, for the log.
const REPLY_MAX: usize = 300;

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

/// A mail ready to be made into bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Letter {
    /// With its angle brackets.
    pub(crate) message_id: String,
    /// When the message was accepted for delivery; the same in every attempt.
    pub(crate) date: Wall,
    /// The sender, complete.
    pub(crate) from: String,
    /// What the header `To` says; the envelope is separate.
    pub(crate) to: Vec<String>,
    /// Subject and body.
    pub(crate) text: Text,
    /// Ids of the events.
    pub(crate) events: Vec<String>,
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
            Err(_) => format!("its name was not looked up within {LOOKUP_LIMIT:?}"),
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

/// When TLS begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Tls {
    /// With STARTTLS, where the relay offers it.
    IfOffered,
    /// With the first byte.
    AtOnce,
}

/// A relay to connect to.
struct Relay<'a> {
    host: &'a str,
    addresses: &'a [SocketAddr],
    hello: ClientId,
    login: Option<(String, Secret)>,
    is_local: bool,
}

impl Relay<'_> {
    /// Connects, encrypts, logs in.
    ///
    /// A certificate is verified where something depends on it: with `smtps`, and where a
    /// password follows. STARTTLS without a password only keeps listeners out, as between
    /// mail servers: whoever could show a false certificate could also hide the offer.
    async fn connect(&self, tls: Tls) -> Result<AsyncSmtpConnection, String> {
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
                let _ = tokio::time::timeout(Duration::from_secs(5), connection.quit()).await;
            }
            Way::Sendmail(_) => {}
        }
    }
}

/// One SMTP transaction; a refused recipient does not stop the others.
async fn smtp(
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

/// Exit values of sendmail that no second attempt changes (sysexits.h): usage, data, no user,
/// no host.
const SENDMAIL_PERMANENT: [i32; 4] = [64, 65, 67, 68];

/// Hands a message to the local sendmail. One run for each recipient, because its exit value
/// says whether it was taken, not for whom.
async fn sendmail(
    path: &std::path::Path,
    from: &str,
    to: &str,
    message: &[u8],
) -> Result<(), Fault> {
    // It expects the line ends of the system.
    let message = String::from_utf8_lossy(message).replace("\r\n", "\n");
    let args = ["-i", "-f", from, "--", to].map(str::to_owned).to_vec();
    let ran = exec::run(Program {
        path,
        args,
        environment: &[],
        input: message.into_bytes().into(),
        limit: SENDMAIL_LIMIT,
    })
    .await;
    match (&ran.end, ran.fault()) {
        (_, None) => Ok(()),
        (End::Exited(value), Some(fault)) if SENDMAIL_PERMANENT.contains(value) => {
            Err(Fault::Permanent(format!("{}: {fault}", path.display())))
        }
        (_, Some(fault)) => Err(Fault::Temporary(format!("{}: {fault}", path.display()))),
    }
}

fn address(text: &str) -> Result<Address, String> {
    text.parse()
        .map_err(|error| format!("\"{}\" is not a mail address: {error}", text.escape_debug()))
}

/// The message as it goes over the wire: the same bytes in every attempt.
///
/// # Errors
///
/// An address that cannot be one.
pub(crate) fn bytes(letter: &Letter) -> Result<Vec<u8>, String> {
    let seconds = u64::try_from(letter.date.seconds()).unwrap_or(0);
    let mut builder = Message::builder()
        .from(Mailbox::new(None, address(&letter.from)?))
        .date(UNIX_EPOCH + Duration::from_secs(seconds))
        .message_id(Some(letter.message_id.clone()))
        .subject(letter.text.subject.clone());
    for to in &letter.to {
        builder = builder.to(Mailbox::new(None, address(to)?));
    }
    let version = concat!("lvsmon ", env!("CARGO_PKG_VERSION"));
    let mut headers = vec![
        ("X-Mailer", version.to_owned()),
        ("Auto-Submitted", "auto-generated".to_owned()),
    ];
    if let [event] = letter.events.as_slice() {
        headers.push(("X-Lvsmon-Event", one_line(event)));
    }
    for (name, value) in headers {
        let name = HeaderName::new_from_ascii_str(name);
        builder = builder.raw_header(HeaderValue::new(name, value));
    }
    builder
        .singlepart(SinglePart::plain(letter.text.body.clone()))
        .map(|message| message.formatted())
        .map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn letter() -> Letter {
        Letter {
            message_id: "<lvsmon.1@h.example>".to_owned(),
            date: Wall::from_seconds(1_795_215_956),
            from: "mon@h.example".to_owned(),
            to: vec!["a@b.example".to_owned(), "c@d.example".to_owned()],
            text: Text {
                subject: "ALERT farm/http: größer".to_owned(),
                body: format!("\nkurz\n.\n{}\n", "ü".repeat(2_000)),
            },
            events: vec!["farm/http/1/failure/1".to_owned()],
        }
    }

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

    #[test]
    fn headers_are_complete_and_plain_ascii() {
        let bytes = bytes(&letter()).unwrap();
        assert!(bytes.is_ascii());
        let text = String::from_utf8(bytes).unwrap();
        let (headers, _) = text.split_once("\r\n\r\n").unwrap();
        for wanted in [
            "From: mon@h.example\r\n",
            "To: a@b.example, c@d.example\r\n",
            "Date: Fri, 20 Nov 2026 23:05:56 +0000\r\n",
            "Message-ID: <lvsmon.1@h.example>\r\n",
            "Subject: ALERT farm/http: =?utf-8?b?",
            "Auto-Submitted: auto-generated\r\n",
            "X-Lvsmon-Event: farm/http/1/failure/1\r\n",
            "MIME-Version: 1.0\r\n",
            "Content-Type: text/plain; charset=utf-8\r\n",
        ] {
            assert!(headers.contains(wanted), "{wanted} in {headers}");
        }
        assert!(text.lines().all(|line| line.len() <= 998));
    }

    #[test]
    fn an_event_id_cannot_make_a_header() {
        let mut letter = letter();
        letter.events = vec!["a\r\nBcc: x@y".to_owned()];
        letter.text.subject = one_line("a\r\nBcc: x@y");
        let text = String::from_utf8(bytes(&letter).unwrap()).unwrap();
        assert!(!text.lines().any(|line| line.starts_with("Bcc")), "{text}");
    }

    #[test]
    fn the_same_letter_gives_the_same_bytes() {
        assert_eq!(bytes(&letter()).unwrap(), bytes(&letter()).unwrap());
    }
}
