//! A mail as bytes: headers and encodings, which are lettre's (D24).
//!
//! Pure. What the mail says comes from `message`.

use std::time::{Duration, UNIX_EPOCH};

use lettre::message::header::{HeaderName, HeaderValue};
use lettre::message::{Mailbox, Message, SinglePart};

use crate::alert::mail::address;
use crate::alert::message::{Text, one_line};
use crate::time::Wall;

/// A mail ready to be made into bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Email {
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

/// The message as it goes over the wire: the same bytes in every attempt.
///
/// # Errors
///
/// An address that cannot be one.
pub(crate) fn bytes(email: &Email) -> Result<Vec<u8>, String> {
    let seconds = u64::try_from(email.date.seconds()).unwrap_or(0);
    let mut builder = Message::builder()
        .from(Mailbox::new(None, address(&email.from)?))
        .date(UNIX_EPOCH + Duration::from_secs(seconds))
        .message_id(Some(email.message_id.clone()))
        .subject(email.text.subject.clone());
    for to in &email.to {
        builder = builder.to(Mailbox::new(None, address(to)?));
    }
    let version = concat!("lvsmon ", env!("CARGO_PKG_VERSION"));
    let mut headers = vec![
        ("X-Mailer", version.to_owned()),
        ("Auto-Submitted", "auto-generated".to_owned()),
    ];
    if let [event] = email.events.as_slice() {
        headers.push(("X-Lvsmon-Event", one_line(event)));
    }
    for (name, value) in headers {
        let name = HeaderName::new_from_ascii_str(name);
        builder = builder.raw_header(HeaderValue::new(name, value));
    }
    builder
        .singlepart(SinglePart::plain(email.text.body.clone()))
        .map(|message| message.formatted())
        .map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn email() -> Email {
        Email {
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

    #[test]
    fn headers_are_complete_and_plain_ascii() {
        let bytes = bytes(&email()).unwrap();
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
        let mut email = email();
        email.events = vec!["a\r\nBcc: x@y".to_owned()];
        email.text.subject = one_line("a\r\nBcc: x@y");
        let text = String::from_utf8(bytes(&email).unwrap()).unwrap();
        assert!(!text.lines().any(|line| line.starts_with("Bcc")), "{text}");
    }

    #[test]
    fn the_same_letter_gives_the_same_bytes() {
        assert_eq!(bytes(&email()).unwrap(), bytes(&email()).unwrap());
    }
}
