//! The options of `http`:
//! `[-p PORT] [-t SECS] [-u PATH] [-a AGENT] [-m REGEX] [-o] [-n NAME] [-w HEADER]
//! [-s [-k] [-c FILE]] [host...]`.
//!
//! `-p -t -u -a -m -o` and their defaults are those of mon 1.3.6's http.monitor.
//! Added by us: `-s` speaks TLS (default port 443), `-k` takes any certificate, `-c FILE`
//! trusts the certificates in a PEM file instead of the system's, `-n NAME` asks for that name
//! (Host header, SNI, certificate) instead of the host word, for real servers that are listed by
//! address; `-w HEADER` takes a weight from that header of a good response.

use std::path::PathBuf;
use std::time::Duration;

use regex::bytes::{Regex, RegexBuilder};

use crate::options::words::{Faults, PlainWords, Word, hosts, port_or_service, seconds, split};
use crate::options::{OptionError, OptionErrors};

/// What the line says.
#[derive(Clone, Debug, PartialEq)]
pub struct HttpOptions {
    /// `-p`, a number or a service name; 80, or 443 with `-s`.
    pub port: u16,
    /// `-t`: from look-up to the end of reading, for each host; 30 s.
    pub timeout: Duration,
    /// `-u`; `/`.
    pub path: String,
    /// `-a`; `mon.d/http.monitor`.
    pub agent: String,
    /// `-m`: its result replaces the test of the status code.
    pub pattern: Option<Pattern>,
    /// `-o`: healthy hosts are left out of the detail.
    pub failures_only: bool,
    /// `-n`: the name asked for, where it is not the host word.
    pub name: Option<String>,
    /// `-w`: the header of a good response that holds the server's weight.
    pub weight_header: Option<String>,
    /// `-s` with `-k` and `-c`; none speaks plain HTTP.
    pub tls: Option<Verify>,
    /// Hosts among the arguments, checked before those of the hostgroup.
    pub hosts: Vec<String>,
}

/// Which certificates a TLS check takes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verify {
    /// Signed by one that the system trusts, for the name asked for, not expired.
    System,
    /// `-c FILE`: the same, but signed by one of that file.
    File(PathBuf),
    /// `-k`: any.
    Nothing,
}

/// A regular expression on the raw response; `.` matches line ends too.
#[derive(Clone, Debug)]
pub struct Pattern {
    regex: Regex,
    /// A match in the beginning of a response stays one whatever follows.
    decides_early: bool,
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.regex.as_str() == other.regex.as_str()
    }
}

impl Pattern {
    /// Compiled memory of one expression: enough for any page, small against 10,000 services.
    const SIZE_MAX: usize = 1 << 20;

    fn new(text: &str) -> Result<Self, String> {
        let build = |unicode| {
            RegexBuilder::new(text)
                .dot_matches_new_line(true)
                .unicode(unicode)
                .size_limit(Self::SIZE_MAX)
                .build()
        };
        // Bytes first, as Perl reads a response; an expression such as [é] needs Unicode.
        let regex = build(false).or_else(|_| build(true)).map_err(|error| {
            let mut text = error.to_string();
            if let Some(line) = text.lines().rfind(|line| line.starts_with("error: ")) {
                text = line.trim_start_matches("error: ").to_owned();
            }
            text
        })?;
        let looks_ahead = ["$", "\\z", "\\b", "\\B", "\\<", "\\>"]
            .iter()
            .any(|part| text.contains(part));
        Ok(Self {
            regex,
            decides_early: !looks_ahead,
        })
    }

    /// Whether the response matches.
    #[must_use]
    pub fn matches(&self, response: &[u8]) -> bool {
        self.regex.is_match(response)
    }

    /// Whether a match in the beginning of a response stays a match whatever follows; not where
    /// the expression looks at what comes after (`$`, `\b`).
    #[must_use]
    pub const fn decides_early(&self) -> bool {
        self.decides_early
    }
}

impl HttpOptions {
    /// How to call it.
    pub const USAGE: &'static str = "http [-p PORT] [-t SECS] [-u PATH] [-a AGENT] [-m REGEX] [-o] \
         [-n NAME] [-w HEADER] [-s [-k] [-c FILE]] host...";

    /// Longest path, agent or name: more than servers take in one header line.
    const TEXT_MAX: usize = 4_096;

    pub(crate) fn parse(args: &[String]) -> Result<Self, OptionErrors> {
        let mut faults = Faults::default();
        let words = split(
            args,
            "p:t:u:a:m:osn:w:kc:",
            PlainWords::EndOptions,
            &mut faults,
        );
        let mut options = Self {
            port: 80,
            timeout: Duration::from_secs(30),
            path: "/".to_owned(),
            agent: "mon.d/http.monitor".to_owned(),
            pattern: None,
            failures_only: false,
            name: None,
            weight_header: None,
            tls: None,
            hosts: hosts(&words, &mut faults),
        };
        let (mut port, mut tls, mut any, mut file) = (None, false, None, None);
        for (index, word) in words {
            match word {
                Word::Flag('o') => options.failures_only = true,
                Word::Flag('s') => tls = true,
                Word::Flag(_) => any = Some(index),
                Word::Value('p', value) => {
                    faults.set(&mut port, port_or_service(index, 'p', value).map(Some));
                }
                Word::Value('t', value) => {
                    faults.set(&mut options.timeout, seconds(index, 't', value));
                }
                Word::Value('u', value) => faults.set(&mut options.path, path(index, value)),
                Word::Value('a', value) => {
                    faults.set(&mut options.agent, header_text(index, 'a', value));
                }
                Word::Value('m', value) => {
                    faults.set(&mut options.pattern, pattern(index, value).map(Some));
                }
                Word::Value('n', value) => {
                    faults.set(&mut options.name, name(index, value).map(Some));
                }
                Word::Value('w', value) => {
                    let header = header_name(index, value);
                    faults.set(&mut options.weight_header, header.map(Some));
                }
                Word::Value(_, value) => file = Some((index, PathBuf::from(value))),
                Word::Plain(_) => {}
            }
        }
        faults.set(&mut options.tls, verify(tls, any, file));
        let default = if tls { 443 } else { 80 };
        options.port = port.unwrap_or(default);
        faults.finish(options)
    }
}

/// Puts `-s`, `-k` (where it stands) and `-c` together.
fn verify(
    tls: bool,
    any: Option<usize>,
    file: Option<(usize, PathBuf)>,
) -> Result<Option<Verify>, OptionError> {
    match (tls, any, file) {
        (false, None, None) => Ok(None),
        (true, None, None) => Ok(Some(Verify::System)),
        (true, Some(_), None) => Ok(Some(Verify::Nothing)),
        (true, None, Some((_, file))) => Ok(Some(Verify::File(file))),
        (true, Some(_), Some((index, _))) => Err(OptionError::new(
            index,
            "options -k and -c contradict each other: -k takes any certificate",
        )),
        (false, Some(index), _) => Err(OptionError::new(index, "option -k needs -s (TLS)")),
        (false, None, Some((index, _))) => Err(OptionError::new(index, "option -c needs -s (TLS)")),
    }
}

fn pattern(index: usize, value: &str) -> Result<Pattern, OptionError> {
    Pattern::new(value).map_err(|error| {
        OptionError::new(
            index,
            format!("option -m: \"{value}\" is no regular expression: {error}"),
        )
    })
}

fn path(index: usize, value: &str) -> Result<String, OptionError> {
    let value = header_text(index, 'u', value)?;
    if value.contains(' ') {
        return Err(OptionError::new(
            index,
            "option -u: a path cannot hold a blank; write %20",
        ));
    }
    Ok(value)
}

fn name(index: usize, value: &str) -> Result<String, OptionError> {
    let value = header_text(index, 'n', value)?;
    if value.is_empty() || value.contains([' ', '/']) {
        return Err(OptionError::new(
            index,
            format!("option -n takes a host name, not \"{value}\""),
        ));
    }
    Ok(value)
}

/// The name of a header: a token of RFC 9110, section 5.6.2.
fn header_name(index: usize, value: &str) -> Result<String, OptionError> {
    let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    let bare = value.strip_suffix(':').unwrap_or(value);
    if bare.is_empty() || !bare.bytes().all(is_token) || bare.len() > HttpOptions::TEXT_MAX {
        let message = format!(
            "option -w takes the name of a header such as X-Server-Weight, not \"{value}\""
        );
        return Err(OptionError::new(index, message));
    }
    Ok(bare.to_owned())
}

/// Text that goes into the request: no line ends, so that nobody can add headers.
fn header_text(index: usize, letter: char, value: &str) -> Result<String, OptionError> {
    if value.chars().any(char::is_control) {
        return Err(OptionError::new(
            index,
            format!("option -{letter} cannot hold control characters"),
        ));
    }
    if value.len() > HttpOptions::TEXT_MAX {
        let most = HttpOptions::TEXT_MAX;
        return Err(OptionError::new(
            index,
            format!("option -{letter} is longer than {most} bytes"),
        ));
    }
    Ok(value.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(words: &[&str]) -> Result<HttpOptions, OptionErrors> {
        let args: Vec<String> = words.iter().map(|&word| word.to_owned()).collect();
        HttpOptions::parse(&args)
    }

    #[test]
    fn defaults_are_those_of_the_script() {
        let expected = HttpOptions {
            port: 80,
            timeout: Duration::from_secs(30),
            path: "/".to_owned(),
            agent: "mon.d/http.monitor".to_owned(),
            pattern: None,
            failures_only: false,
            name: None,
            weight_header: None,
            tls: None,
            hosts: Vec::new(),
        };
        assert_eq!(parse(&[]).unwrap(), expected);
    }

    #[test]
    fn the_line_of_the_howto_is_read() {
        let options = parse(&["-p", "http", "-t", "10", "-u", "/index.html", "-o", "h"]).unwrap();
        assert_eq!((options.port, options.failures_only), (80, true));
        assert_eq!(
            (options.path.as_str(), options.timeout),
            ("/index.html", Duration::from_secs(10))
        );
    }

    #[test]
    fn tls_is_our_addition() {
        let system = parse(&["-s"]).unwrap();
        assert_eq!((system.port, system.tls), (443, Some(Verify::System)));
        let any = parse(&["-skp", "8443"]).unwrap();
        assert_eq!((any.port, any.tls), (8443, Some(Verify::Nothing)));
        let file = parse(&["-s", "-c", "/ca.pem", "-n", "www.example.com"]).unwrap();
        assert_eq!(file.tls, Some(Verify::File("/ca.pem".into())));
        assert_eq!(file.name.as_deref(), Some("www.example.com"));
    }

    #[test]
    fn a_header_may_be_written_with_its_colon() {
        let options = parse(&["-w", "X-Weight:"]).unwrap();
        assert_eq!(options.weight_header.as_deref(), Some("X-Weight"));
        assert_eq!(parse(&[]).unwrap().weight_header, None);
    }

    #[test]
    fn mistakes_are_named() {
        let cases: [(&[&str], usize, &str); 11] = [
            (&["-k"], 0, "option -k needs -s (TLS)"),
            (&["-c", "f"], 0, "option -c needs -s (TLS)"),
            (
                &["-s", "-k", "-c", "f"],
                2,
                "options -k and -c contradict each other: -k takes any certificate",
            ),
            (
                &["-m", "(a"],
                0,
                "option -m: \"(a\" is no regular expression: unclosed group",
            ),
            (
                &["-o", "-m", "(?=a)"],
                1,
                "option -m: \"(?=a)\" is no regular expression: look-around, including look-ahead and look-behind, is not supported",
            ),
            (
                &["-u", "/a b"],
                0,
                "option -u: a path cannot hold a blank; write %20",
            ),
            (
                &["-a", "x\r\nEvil: 1"],
                0,
                "option -a cannot hold control characters",
            ),
            (
                &["-w", "X Weight"],
                0,
                "option -w takes the name of a header such as X-Server-Weight, not \"X Weight\"",
            ),
            (
                &["-w", ":"],
                0,
                "option -w takes the name of a header such as X-Server-Weight, not \":\"",
            ),
            (
                &["-n", "a/b"],
                0,
                "option -n takes a host name, not \"a/b\"",
            ),
            (
                &["-p", "gopherx"],
                0,
                "option -p: \"gopherx\" is no service name known here; write the port's number",
            ),
        ];
        for (line, index, message) in cases {
            let errors = parse(line).unwrap_err();
            assert_eq!(errors.list(), [OptionError::new(index, message)]);
        }
    }

    #[test]
    fn all_mistakes_of_a_line_are_named() {
        let line = "-p gopherx -t 0 -u /a\u{7} -n a/b -m (a -k -q 5 -o h -t 3";
        let words: Vec<&str> = line.split(' ').collect();
        let errors = parse(&words).unwrap_err();
        let places: Vec<usize> = errors.list().iter().map(|error| error.index).collect();
        assert_eq!(places, [0, 2, 4, 6, 8, 10, 11, 15], "{errors}");
    }

    #[test]
    fn a_pattern_reads_bytes_and_crosses_lines() {
        let pattern = Pattern::new("a.*b").unwrap();
        assert!(pattern.matches(b"a\r\n\xff\xfeb"));
        assert!(pattern.decides_early());
        assert!(
            Pattern::new("[\u{e9}]")
                .unwrap()
                .matches("\u{e9}".as_bytes())
        );
        assert!(!Pattern::new("b$").unwrap().decides_early());
        assert!(!Pattern::new(r"\bword\b").unwrap().decides_early());
    }
}
