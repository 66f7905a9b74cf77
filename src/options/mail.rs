//! The options of `mail.alert`: `[-f FROM] [-S SUBJECT] address...`
//!
//! The words of mon 1.3.6's mail.alert. Where mail goes is not said
//! here but by the `mail_*` globals, for all lines at once.

use crate::options::words::{Faults, PlainWords, Word, late_option, split};
use crate::options::{OptionError, OptionErrors};

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
    /// The option letters, as `crate::options::words` wants them.
    pub(crate) const LETTERS: &'static str = "f:S:";

    /// Reads the arguments of a line. Recipients may also be joined by commas.
    ///
    /// # Errors
    ///
    /// Unknown options, no recipient, those that cannot be an address.
    pub(crate) fn parse(args: &[String]) -> Result<Self, OptionErrors> {
        let mut options = Self::default();
        let mut faults = Faults::default();
        let words = split(args, Self::LETTERS, PlainWords::EndOptions, &mut faults);
        let has_recipient = words
            .iter()
            .any(|(_, word)| matches!(word, Word::Plain(list) if list.contains(|c| c != ',')));
        for (index, word) in words {
            match word {
                Word::Value('f', from) => {
                    faults.set(&mut options.from, address(index, from).map(Some));
                }
                Word::Value('S', subject) => options.subject = Some(subject.to_owned()),
                Word::Value(..) | Word::Flag(_) => {}
                Word::Plain(late) if late.starts_with('-') => {
                    faults.add(index, late_option(late, "recipients"));
                    // What follows may be its value, which is no recipient either.
                    break;
                }
                Word::Plain(list) => {
                    let parts = list.split(',').filter(|part| !part.is_empty());
                    let read = parts.map(|recipient| address(index, recipient));
                    for recipient in read {
                        options.recipients.extend(faults.take(recipient));
                    }
                }
            }
        }
        if !has_recipient {
            faults.add(
                args.len(),
                "mail.alert needs a recipient, such as \"mail.alert root\" or \"mail.alert ops@example.org\"",
            );
        }
        faults.finish(options)
    }

    /// Whether a text can stand on a line as one recipient, or as its sender.
    pub(crate) fn takes_address(text: &str) -> bool {
        !text.starts_with('-') && address(0, text).is_ok()
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

    fn parse(args: &[&str]) -> Result<MailOptions, OptionErrors> {
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
        assert_eq!(parse(&["-S", "x"]).unwrap_err().list()[0].index, 2);
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
            assert_eq!(error.list()[0].index, 3, "{bad:?}");
        }
        assert!(parse(&["-f", "a\r\nX: y", "root"]).is_err());
    }

    #[test]
    fn what_is_taken_as_an_address_can_stand_on_a_line() {
        for good in ["root", "o'brien@b", "a+b@c", "\u{fc}@b"] {
            assert!(MailOptions::takes_address(good), "{good}");
            assert!(parse(&[good]).is_ok(), "{good}");
        }
        for bad in ["", "-f", "a,b", "a@b;", "a@[10.0.0.1]", "a@b@c", "a b"] {
            assert!(!MailOptions::takes_address(bad), "{bad}");
        }
    }

    #[test]
    fn all_mistakes_of_a_line_are_named() {
        let errors = parse(&["-f", "a b", "-q", "-S", "x", "@b,root", "a@", "-S", "y z"]);
        let errors = errors.unwrap_err();
        let places: Vec<usize> = errors.list().iter().map(|error| error.index).collect();
        assert_eq!(places, [0, 2, 5, 6, 7], "{errors}");
        // The one recipient is wrong, but there is one.
        assert_eq!(parse(&["a@"]).unwrap_err().list().len(), 1);
    }
}
