//! The options of `mail.alert`: `[-f FROM] [-S SUBJECT] address...`
//!
//! The words of the classic script (spec/mon-plugins.md 5.1). Where mail goes is not said
//! here but by the `mail_*` globals, for all lines at once.

use crate::options::OptionError;
use crate::options::words::{Word, words};

/// What a `mail.alert` line says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MailOptions {
    /// `-f`: the sender of this line, in place of `mail_from`.
    pub from: Option<String>,
    /// `-S`: stands in the subject in place of the summary.
    pub subject: Option<String>,
    /// At least one; a bare name is completed with `mail_domain` (D24).
    pub recipients: Vec<String>,
}

impl MailOptions {
    /// The option letters, as [`words`] wants them.
    pub(crate) const LETTERS: &'static str = "f:S:";

    /// Reads the arguments of a line. Recipients may also be joined by commas.
    ///
    /// # Errors
    ///
    /// An unknown option, no recipient, or one that cannot be an address.
    pub(crate) fn parse(args: &[String]) -> Result<Self, OptionError> {
        let mut options = Self::default();
        for (index, word) in words(args, Self::LETTERS)? {
            match word {
                Word::Value('f', from) => options.from = Some(address(index, from)?),
                Word::Value('S', subject) => options.subject = Some(subject.to_owned()),
                Word::Value(..) | Word::Flag(_) => {}
                Word::Plain(list) => {
                    for recipient in list.split(',').filter(|part| !part.is_empty()) {
                        options.recipients.push(address(index, recipient)?);
                    }
                }
            }
        }
        if options.recipients.is_empty() {
            return Err(OptionError::new(
                args.len(),
                "mail.alert needs a recipient, such as \"mail.alert root\" or \"mail.alert ops@example.org\"",
            ));
        }
        Ok(options)
    }
}

/// Longest address of RFC 5321 (4.5.3.1.3).
const ADDRESS_MAX: usize = 254;

/// Checks what no mail system takes; the rest is checked where the mail is written.
fn address(index: usize, text: &str) -> Result<String, OptionError> {
    let fault = if text.is_empty() {
        "is empty"
    } else if text.len() > ADDRESS_MAX {
        "is longer than 254 characters"
    } else if text
        .chars()
        .any(|c| c.is_whitespace() || c.is_control() || "<>()[]\\,;:\"".contains(c))
    {
        "holds a character that an address cannot have; give the bare address, as in ops@example.org"
    } else if text.matches('@').count() > 1 || text.starts_with('@') || text.ends_with('@') {
        "is not NAME or NAME@DOMAIN"
    } else {
        return Ok(text.to_owned());
    };
    Err(OptionError::new(
        index,
        format!("mail address \"{}\" {fault}", text.escape_debug()),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(args: &[&str]) -> Result<MailOptions, OptionError> {
        let args: Vec<String> = args.iter().map(|&arg| arg.to_owned()).collect();
        MailOptions::parse(&args)
    }

    #[test]
    fn sender_subject_and_recipients_are_read() {
        let options = parse(&["-f", "mon@h", "-S", "web farm", "wensong", "a@b,c@d"]).unwrap();
        assert_eq!(options.from.as_deref(), Some("mon@h"));
        assert_eq!(options.subject.as_deref(), Some("web farm"));
        assert_eq!(options.recipients, ["wensong", "a@b", "c@d"]);
    }

    #[test]
    fn a_line_without_recipient_is_refused() {
        assert_eq!(parse(&["-S", "x"]).unwrap_err().index, 2);
        assert!(parse(&[","]).is_err());
    }

    #[test]
    fn what_cannot_be_an_address_is_refused_at_its_word() {
        for bad in [
            "Ops <ops@b>",
            "a@b\nBcc: x@y",
            "a@b@c",
            "@b",
            "a@",
            "a b",
            "a\u{0}",
        ] {
            let error = parse(&["-S", "x", "root", bad]).unwrap_err();
            assert_eq!(error.index, 3, "{bad:?}");
        }
        assert!(parse(&["-f", "a\r\nX: y", "root"]).is_err());
    }
}
