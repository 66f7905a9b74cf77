//! The options of `webhook.alert`: `[-k FILE] [-w SECS] [-H 'NAME: VALUE']... URL`
//!
//! Ours alone; the letters keep clear of the marks `-s -g -h -t -l -u -T -O -a -D` that mon
//! passes to every alert, so the same words serve mon.cf and the stand-alone program.
//! The message itself is described in `alert::webhook`.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::options::words::{Faults, PlainWords, Word, late_option, shown_words, split};
use crate::options::{OptionError, OptionErrors};

/// What a `webhook.alert` line says. Kept in the spool with each message. Its `Debug` shows no
/// password of the URL and no header's value.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WebhookOptions {
    /// Where the message is posted: `http://` or `https://`.
    pub url: String,
    /// `-k FILE`: signs each message with the key in this file; read at each delivery.
    pub key: Option<PathBuf>,
    /// `-w SECS`: time limit of one delivery, from look-up to the end of the answer.
    pub timeout: Duration,
    /// `-H 'NAME: VALUE'`: headers added to each message. A value `@FILE` is read from that
    /// file at each delivery, so that a token need not stand in mon.cf.
    pub headers: Vec<(String, String)>,
}

impl fmt::Debug for WebhookOptions {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let headers = self.headers.iter();
        let headers: Vec<_> = headers
            .map(|(name, value)| format!("{name}: {}", shown_value(value)))
            .collect();
        out.debug_struct("WebhookOptions")
            .field("url", &shown_url(&self.url))
            .field("key", &self.key)
            .field("timeout", &self.timeout)
            .field("headers", &headers)
            .finish()
    }
}

impl WebhookOptions {
    /// The option letters, as `crate::options::words` wants them.
    pub(crate) const LETTERS: &'static str = "k:w:H:";
    /// Time limit where `-w` is absent: receivers that think longer than this are broken.
    pub const TIMEOUT: Duration = Duration::from_secs(10);
    /// Longest `-w`: one delivery must not hold a place for ever.
    pub const TIMEOUT_MAX: Duration = Duration::from_secs(300);

    /// Reads the arguments of a line.
    ///
    /// # Errors
    ///
    /// Unknown options, no URL or more than one, a URL that is neither http nor https, headers
    /// that HTTP does not know or that we set ourselves.
    pub(crate) fn parse(args: &[String]) -> Result<Self, OptionErrors> {
        let mut options = Self {
            url: String::new(),
            key: None,
            timeout: Self::TIMEOUT,
            headers: Vec::new(),
        };
        let mut faults = Faults::default();
        let mut urls_count = 0;
        for (index, word) in split(args, Self::LETTERS, PlainWords::EndOptions, &mut faults) {
            match word {
                Word::Value('k', file) => options.key = Some(PathBuf::from(file)),
                Word::Value('w', text) => faults.set(&mut options.timeout, seconds(index, text)),
                Word::Value('H', text) => options.headers.extend(faults.take(header(index, text))),
                Word::Value(..) | Word::Flag(_) => {}
                Word::Plain(late) if late.starts_with('-') => {
                    faults.add(index, late_option(late, "URL"));
                    break;
                }
                Word::Plain(text) => {
                    urls_count += 1;
                    if urls_count == 1 {
                        faults.set(&mut options.url, url(index, text));
                    } else {
                        faults.add(
                            index,
                            "webhook.alert takes one URL; write one alert line for each receiver",
                        );
                    }
                }
            }
        }
        if urls_count == 0 {
            faults.add(
                args.len(),
                "webhook.alert needs a URL, such as \"webhook.alert https://example.org/hook\"",
            );
        }
        faults.finish(options)
    }
}

/// The words of a line that was read, with `***` in place of the URL's password and of the values
/// of headers, which often are tokens.
pub(crate) fn shown(args: &[String]) -> Vec<String> {
    shown_words(
        args,
        |letter, value| {
            let (name, value) = (letter == 'H').then(|| value.split_once(':'))??;
            let value = value.trim();
            (shown_value(value) != value).then(|| format!("{name}: ***"))
        },
        |plain| Some(shown_url(plain)),
    )
}

/// A header's value, for people: the name of its file, or `***`.
fn shown_value(value: &str) -> &str {
    if value.starts_with('@') { value } else { "***" }
}

/// A URL for people: `http://user:***@host/`. A user without a password may be a token, so it is
/// `***` too. Path and query are kept: without them two receivers of one host look alike.
#[must_use]
pub fn shown_url(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else {
        return url.to_owned();
    };
    // Whoever writes a slash, a question mark or the like in a password, where `%2F` belongs, has
    // ended the host with it (WHATWG URL, section 4.4): up to the last "@" anything may be one.
    if rest.starts_with('[') {
        return url.to_owned();
    }
    let Some((login, host)) = rest.rsplit_once('@') else {
        return url.to_owned();
    };
    match login.split_once(':') {
        Some((user, _)) if !user.contains(['/', '?', '#', '\\']) => {
            format!("{scheme}://{user}:***@{host}")
        }
        Some(_) | None => format!("{scheme}://***@{host}"),
    }
}

fn seconds(index: usize, text: &str) -> Result<Duration, OptionError> {
    let most = WebhookOptions::TIMEOUT_MAX;
    text.parse()
        .ok()
        .filter(|seconds| (1..=most.as_secs()).contains(seconds))
        .map(Duration::from_secs)
        .ok_or_else(|| {
            OptionError::new(
                index,
                format!(
                    "-w takes whole seconds from 1 to {}, not \"{}\"",
                    most.as_secs(),
                    text.escape_debug()
                ),
            )
        })
}

/// Headers that every message carries already.
const OWN_HEADERS: [&str; 4] = [
    "content-length",
    "content-type",
    "host",
    "x-lvsmon-signature",
];

fn header(index: usize, text: &str) -> Result<(String, String), OptionError> {
    let wrong = |message: String| Err(OptionError::new(index, message));
    let Some((name, value)) = text.split_once(':') else {
        // What stands there may be a secret without its colon.
        return wrong("-H takes 'NAME: VALUE', with a colon between".to_owned());
    };
    let (name, value) = (name.trim(), value.trim());
    let is_token = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c);
    if name.is_empty() || !name.chars().all(is_token) {
        return wrong(format!(
            "\"{}\" is not the name of a header",
            name.escape_debug()
        ));
    }
    if OWN_HEADERS.contains(&name.to_ascii_lowercase().as_str()) {
        return wrong(format!("header {name} is set by webhook.alert itself"));
    }
    if !value.chars().all(|c| c == '\t' || (' '..='~').contains(&c)) {
        return wrong(format!(
            "the value of header {name} holds a character that HTTP does not allow there"
        ));
    }
    Ok((name.to_owned(), value.to_owned()))
}

fn url(index: usize, text: &str) -> Result<String, OptionError> {
    let rest = ["http://", "https://"].iter().find_map(|scheme| {
        let start = text.get(..scheme.len())?;
        start
            .eq_ignore_ascii_case(scheme)
            .then(|| &text[scheme.len()..])
    });
    let has_host =
        rest.is_some_and(|rest| !rest.is_empty() && !rest.starts_with(['/', '?', '#', ':']));
    if has_host && !text.chars().any(|c| c.is_whitespace() || c.is_control()) {
        return Ok(text.to_owned());
    }
    Err(OptionError::new(
        index,
        format!(
            "\"{}\" is not a URL that starts with http:// or https://",
            shown_url(text).escape_debug()
        ),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(args: &[&str]) -> Result<WebhookOptions, OptionErrors> {
        let args: Vec<String> = args.iter().map(|&arg| arg.to_owned()).collect();
        WebhookOptions::parse(&args)
    }

    #[test]
    fn passwords_of_urls_and_values_of_headers_are_not_shown() {
        for (words, expected) in [
            ("http://me:s3cret@h:80/a?b", "http://me:***@h:80/a?b"),
            ("http://me:s3@cret@h", "http://me:***@h"),
            ("http://me:s3/cret@h/x", "http://me:***@h/x"),
            ("http://me:s3?c@r#et@h?q", "http://me:***@h?q"),
            ("http://me:12/cret@h/x", "http://me:***@h/x"),
            ("http://t0k/en@h/x", "http://***@h/x"),
            ("http://t0k/e:n@h/x", "http://***@h/x"),
            // It may be a password as well.
            ("http://h:80/a@b", "http://h:***@b"),
            ("http://h:80/ab", "http://h:80/ab"),
            ("http://[::1]/a@b", "http://[::1]/a@b"),
            ("https://t0ken@h/", "https://***@h/"),
            ("http://h/a:b@c?d=http://e:f@g", "http://***@g"),
            (
                "-w 5 -k /f http://me:s3cret@h/",
                "-w 5 -k /f http://me:***@h/",
            ),
            ("-H X-Key:s3cret http://h/", "-H X-Key: *** http://h/"),
            (
                "-HX-Key:s3cret -H A:@/f http://h/",
                "-HX-Key: *** -H A:@/f http://h/",
            ),
        ] {
            let args: Vec<String> = words.split(' ').map(str::to_owned).collect();
            assert_eq!(shown(&args).join(" "), expected);
            let debug = format!("{:?}", WebhookOptions::parse(&args).unwrap());
            assert!(!debug.contains("s3"), "{debug}");
            assert!(!debug.contains("t0ken"), "{debug}");
        }
        let error = parse(&["http://me:s3cret@h/a b"]).unwrap_err().to_string();
        assert!(!error.contains("s3cret"), "{error}");
    }

    #[test]
    fn all_options_are_read() {
        let options = parse(&[
            "-k",
            "/etc/key",
            "-w5",
            "-H",
            "Authorization: @/etc/token",
            "-H",
            "X-Team:lvs",
            "https://h/x?y=1",
        ])
        .unwrap();
        let expected = WebhookOptions {
            url: "https://h/x?y=1".to_owned(),
            key: Some("/etc/key".into()),
            timeout: Duration::from_secs(5),
            headers: vec![
                ("Authorization".to_owned(), "@/etc/token".to_owned()),
                ("X-Team".to_owned(), "lvs".to_owned()),
            ],
        };
        assert_eq!(options, expected);
    }

    #[test]
    fn mistakes_name_the_word() {
        let cases: [(&[&str], usize); 11] = [
            (&[], 0),
            (&["ftp://h/"], 0),
            (&["http://"], 0),
            (&["http:///x"], 0),
            (&["http://h/a b"], 0),
            (&["-w", "0", "http://h"], 0),
            (&["-w", "301", "http://h"], 0),
            (&["-H", "no colon", "http://h"], 0),
            (&["-H", "Host: x", "http://h"], 0),
            (&["-H", "X: a\r\nY: b", "http://h"], 0),
            (&["http://h", "http://i"], 1),
        ];
        for (args, index) in cases {
            assert_eq!(parse(args).unwrap_err().list()[0].index, index, "{args:?}");
        }
    }

    #[test]
    fn all_mistakes_of_a_line_are_named() {
        let args = [
            "-w", "0", "-q", "-H", "no colon", "ftp://h", "http://h", "-k", "f",
        ];
        let errors = parse(&args).unwrap_err();
        let places: Vec<usize> = errors.list().iter().map(|error| error.index).collect();
        assert_eq!(places, [0, 2, 3, 5, 6, 7], "{errors}");
    }
}
