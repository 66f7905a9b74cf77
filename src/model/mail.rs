//! How mail leaves this machine, as the globals say it (D24).

use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

/// The mail globals (D24).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MailSettings {
    /// Who takes the mail.
    pub relay: MailRelay,
    /// Sender; `mon@DOMAIN` where the file says nothing.
    pub from: Option<String>,
    /// Completes bare names; the host's name where the file says nothing.
    pub domain: Option<String>,
    /// File with `user` and `password` lines.
    pub login: Option<PathBuf>,
    /// `mail_group_wait`: events for one recipient within this time become one mail (D25).
    pub group_wait: Duration,
}

impl MailSettings {
    /// `mail_group_wait` where the file does not say: long enough for the hosts of one
    /// rack, short enough not to be noticed.
    const GROUP_WAIT: Duration = Duration::from_secs(5);
}

impl Default for MailSettings {
    fn default() -> Self {
        Self {
            relay: MailRelay::Default,
            from: None,
            domain: None,
            login: None,
            group_wait: Self::GROUP_WAIT,
        }
    }
}

/// Who takes the mail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MailRelay {
    /// The local sendmail where there is one, else `localhost:25`.
    Default,
    /// The local sendmail program.
    Sendmail,
    /// SMTP, with STARTTLS where the server offers it.
    Smtp {
        /// Name or address.
        host: String,
        /// Usually 25 or 587.
        port: u16,
    },
    /// SMTP inside TLS from the first byte.
    Smtps {
        /// Name or address.
        host: String,
        /// Usually 465.
        port: u16,
    },
}

/// Of `smtp://` without one.
const SMTP_PORT: u16 = 25;
/// Of `smtps://` without one.
const SMTPS_PORT: u16 = 465;

impl FromStr for MailRelay {
    type Err = String;

    /// `sendmail`, `smtp://HOST[:PORT]` or `smtps://HOST[:PORT]`; IPv6 addresses in brackets.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = || {
            "write sendmail, smtp://HOST:PORT or smtps://HOST:PORT (an IPv6 address in brackets)"
                .to_owned()
        };
        if text == "sendmail" {
            return Ok(MailRelay::Sendmail);
        }
        let (scheme, rest) = text.split_once("://").ok_or_else(wrong)?;
        let (host, port) = match rest.strip_prefix('[') {
            Some(rest) => {
                let (address, rest) = rest.split_once(']').ok_or_else(wrong)?;
                address.parse::<std::net::Ipv6Addr>().map_err(|_| wrong())?;
                let port = match rest.strip_prefix(':') {
                    Some(port) => Some(port),
                    None if rest.is_empty() => None,
                    None => return Err(wrong()),
                };
                (address, port)
            }
            None => match rest.split_once(':') {
                Some((host, port)) => (host, Some(port)),
                None => (rest, None),
            },
        };
        let bad_host = |letter: char| letter.is_whitespace() || "/@?#".contains(letter);
        if host.is_empty() || host.contains(bad_host) {
            return Err(wrong());
        }
        let port = |default: u16| match port {
            None => Ok(default),
            Some(port) => port.parse().ok().filter(|&port| port > 0).ok_or_else(wrong),
        };
        let host = host.to_owned();
        match scheme {
            "smtp" => Ok(MailRelay::Smtp {
                host,
                port: port(SMTP_PORT)?,
            }),
            "smtps" => Ok(MailRelay::Smtps {
                host,
                port: port(SMTPS_PORT)?,
            }),
            _ => Err(wrong()),
        }
    }
}
