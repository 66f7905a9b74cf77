//! The options of `webhook.alert`: `[-k FILE] [-w SECS] [-H 'NAME: VALUE']... URL`
//!
//! Ours alone; the letters keep clear of the marks `-s -g -h -t -l -u -T -O -a -D` that mon
//! passes to every alert, so the same words serve mon.cf and the stand-alone program.
//! The message itself is described in `alert::webhook`.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::options::words::{Faults, PlainWords, Word, late_option, split};
use crate::options::{OptionError, OptionErrors, masked};

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
        out.debug_struct("WebhookOptions")
            .field("receiver", &self.shown())
            .field("key", &self.key)
            .field("timeout", &self.timeout)
            .finish()
    }
}

impl WebhookOptions {
    /// The option letters, as `crate::options::words` wants them.
    pub(crate) const LETTERS: &'static str = "k:w:H:";
    /// Time limit where `-w` is absent: receivers that think longer than this are broken.
    const TIMEOUT: Duration = Duration::from_secs(10);
    /// Longest `-w`: one delivery must not hold a place for ever.
    const TIMEOUT_MAX: Duration = Duration::from_secs(300);

    /// What people may see of the URL, and of the headers in their order.
    #[must_use]
    pub fn shown(&self) -> Vec<String> {
        let headers = self.headers.iter();
        let headers = headers.map(|(name, value)| masked::header(&format!("{name}: {value}")));
        std::iter::once(masked::url(&self.url))
            .chain(headers)
            .collect()
    }

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

fn seconds(index: usize, text: &str) -> Result<Duration, OptionError> {
    let most = WebhookOptions::TIMEOUT_MAX;
    text.parse()
        .ok()
        .filter(|seconds| (1..=most.as_secs()).contains(seconds))
        .map(Duration::from_secs)
        .ok_or_else(|| {
            OptionError::new(
                index,
                // Something else than a number may be the URL with its login.
                format!("-w takes whole seconds from 1 to {}", most.as_secs()),
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
        return wrong(
            "-H takes 'NAME: VALUE': what stands before the colon is no name of a header"
                .to_owned(),
        );
    }
    if OWN_HEADERS.contains(&name.to_ascii_lowercase().as_str()) {
        return wrong(format!("header {name} is set by webhook.alert itself"));
    }
    if !value.chars().all(|c| c == '\t' || (' '..='~').contains(&c)) {
        let what = "-H: the header's value holds a character that HTTP does not allow there";
        return wrong(what.to_owned());
    }
    Ok((name.to_owned(), value.to_owned()))
}

fn url(index: usize, text: &str) -> Result<String, OptionError> {
    if masked::is_url(text) {
        return Ok(text.to_owned());
    }
    // It may be a login or a header that lost its option: it is not repeated.
    let message = format!(
        "{} is not a URL that starts with http:// or https:// and a host; in a login @ is written \
         %40, / %2F and : %3A",
        masked::position(index)
    );
    Err(OptionError::new(index, message))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(args: &[&str]) -> Result<WebhookOptions, OptionErrors> {
        let args: Vec<String> = args.iter().map(|&arg| arg.to_owned()).collect();
        WebhookOptions::parse(&args)
    }

    #[test]
    fn neither_debug_nor_a_mistake_repeats_a_secret() {
        for line in [
            "http://me:s3cret@h:80/a?s3cret",
            "http://me:s3@cret@h",
            "-H X-Key:s3cret http://h/",
            "me:s3cret@h/x",
            "http:/me:s3cret@h/x",
            "HTTP:me:s3cret@h/x",
            "http://[me:s3cret@h/x",
            "http://u:s3cret%40h",
            "http://me:s3/cret@h/x",
            "-H Authorization s3cret http://h/",
            "-H s3cret! http://h/",
            "--header s3cret http://h/",
            "--header=s3cret http://h/",
            "-w http://u:s3cret@h http://h",
            "-w s3cret http://h",
            "http://h -Hs3cret",
            "http://h s3cret",
        ] {
            let args: Vec<&str> = line.split(' ').collect();
            let said = match parse(&args) {
                Ok(options) => format!("{options:?}"),
                Err(errors) => errors.to_string(),
            };
            assert!(!said.contains("s3"), "{line}: {said}");
            assert!(!said.contains("cret"), "{line}: {said}");
        }
        let error = parse(&["-w", "5", "h/x"]).unwrap_err().to_string();
        assert!(
            error.starts_with("word 3 behind the alert's name is not a URL"),
            "{error}"
        );
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
