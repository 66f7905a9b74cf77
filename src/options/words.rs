//! Walking over the words of a command line the way the classic scripts did (getopt), and the
//! kinds of values that several built-ins take.

use std::fmt;
use std::time::Duration;

use crate::options::masked;

/// A word that a built-in does not understand.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct OptionError {
    /// Which word, counted from 0; the number of words where one is missing at the end.
    pub index: usize,
    /// What is wrong and what would be right.
    pub message: String,
}

impl OptionError {
    pub(crate) fn new(index: usize, message: impl Into<String>) -> Self {
        Self {
            index,
            message: message.into(),
        }
    }
}

/// Everything that a built-in does not understand in one command line; at least one word.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OptionErrors(Vec<OptionError>);

impl OptionErrors {
    /// All of them, in the order of their words.
    #[must_use]
    pub fn list(&self) -> &[OptionError] {
        &self.0
    }
}

impl From<OptionError> for OptionErrors {
    fn from(error: OptionError) -> Self {
        Self(vec![error])
    }
}

/// One below the other.
impl fmt::Display for OptionErrors {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, error) in self.0.iter().enumerate() {
            let separator = if number == 0 { "" } else { "\n" };
            write!(out, "{separator}{error}")?;
        }
        Ok(())
    }
}

impl std::error::Error for OptionErrors {}

/// What was found wrong so far in one command line. Reading goes on after a mistake, so that
/// one look at the messages is enough to mend the line.
#[derive(Debug, Default)]
pub(crate) struct Faults {
    list: Vec<OptionError>,
    /// The letter at the end of the line whose value is missing.
    lacking: Option<char>,
}

impl Faults {
    /// Mistakes that are kept of one line: a line of 10 MB can hold millions of them.
    const MAX: usize = 100;

    /// Adds one at a word.
    pub(crate) fn add(&mut self, index: usize, message: impl Into<String>) {
        if self.list.len() < Self::MAX {
            self.list.push(OptionError::new(index, message));
        }
    }

    /// The value, where it is one.
    pub(crate) fn take<T>(&mut self, read: Result<T, OptionError>) -> Option<T> {
        match read {
            Ok(value) => Some(value),
            Err(error) => {
                self.add(error.index, error.message);
                None
            }
        }
    }

    /// Puts the value in its place, where it is one.
    pub(crate) fn set<T>(&mut self, place: &mut T, read: Result<T, OptionError>) {
        if let Some(value) = self.take(read) {
            *place = value;
        }
    }

    /// Whether the line ends with this letter, which needs a value.
    pub(crate) fn lacks(&self, letter: char) -> bool {
        self.lacking == Some(letter)
    }

    /// The value, where nothing is wrong with the line.
    pub(crate) fn finish<T>(self, value: T) -> Result<T, OptionErrors> {
        if self.list.is_empty() {
            Ok(value)
        } else {
            Err(self.into_errors())
        }
    }

    /// What is wrong with a line that has no value.
    pub(crate) fn into_errors(mut self) -> OptionErrors {
        self.list.sort_by_key(|error| error.index);
        OptionErrors(self.list)
    }
}

/// One thing found on a command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Word<'a> {
    /// `-a`
    Flag(char),
    /// `-p 80` or `-p80`
    Value(char, &'a str),
    /// Anything after the options.
    Plain(&'a str),
}

/// Splits words by a getopt description: each option letter, followed by `:` where it takes
/// a value. Options end at the first plain word or at `--`.
pub(crate) fn words<'a>(
    args: &'a [String],
    description: &str,
) -> Result<Vec<(usize, Word<'a>)>, OptionErrors> {
    let mut faults = Faults::default();
    let found = split(args, description, PlainWords::EndOptions, &mut faults);
    faults.finish(found)
}

/// What a plain word means for the words behind it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PlainWords {
    /// They are plain too, as getopt has it.
    EndOptions,
    /// Nothing. For built-ins that take no plain word: it is a mistake, and the options behind
    /// it are looked at all the same.
    Stray,
}

/// As [`words`], with mistakes on their own and everything else read in spite of them.
///
/// An unknown letter that was probably meant as another one is read as that one, so that its
/// value is not taken for something else; the value of any other is passed over.
pub(crate) fn split<'a>(
    args: &'a [String],
    description: &str,
    plain: PlainWords,
    faults: &mut Faults,
) -> Vec<(usize, Word<'a>)> {
    let mut found = Vec::new();
    let mut index = 0;
    while let Some(arg) = args.get(index) {
        if arg == "--" {
            index += 1;
            break;
        }
        let at = index;
        index += 1;
        match arg.strip_prefix('-').filter(|letters| !letters.is_empty()) {
            Some(letters) => {
                let behind = args.get(index..).unwrap_or_default();
                index += cluster(at, letters, behind, description, &mut found, faults);
            }
            None if plain == PlainWords::Stray => found.push((at, Word::Plain(arg))),
            None => {
                index = at;
                break;
            }
        }
    }
    found.extend(
        args.iter()
            .enumerate()
            .skip(index)
            .map(|(at, arg)| (at, Word::Plain(arg))),
    );
    found
}

/// Reads the letters behind one hyphen, and says how many words behind them are theirs.
fn cluster<'a>(
    at: usize,
    letters: &'a str,
    behind: &'a [String],
    description: &str,
    found: &mut Vec<(usize, Word<'a>)>,
    faults: &mut Faults,
) -> usize {
    let mut rest = letters.chars();
    while let Some(letter) = rest.next() {
        let mut letter = letter;
        let mut glued = rest.as_str();
        if takes_value(description, letter).is_none() {
            let meant = meant(letters, letter, description);
            faults.add(at, unknown(letters, letter, meant, description));
            if let Some(long) = letters.strip_prefix('-') {
                glued = long.split_once('=').map_or("", |(_, value)| value);
                rest = "".chars();
            }
            match meant {
                Some(meant) => letter = meant,
                None => return usize::from(is_value(behind)),
            }
        }
        if takes_value(description, letter) == Some(true) {
            return match (glued, behind.first()) {
                ("", None) => {
                    faults.lacking = Some(letter);
                    faults.add(at + 1, format!("option -{letter} needs a value"));
                    0
                }
                ("", Some(value)) => {
                    found.push((at, Word::Value(letter, value)));
                    1
                }
                (value, _) => {
                    found.push((at, Word::Value(letter, value)));
                    0
                }
            };
        }
        found.push((at, Word::Flag(letter)));
    }
    0
}

/// Whether the first word is the value of an unknown option in front of it: a plain one, with
/// options behind it.
fn is_value(words: &[String]) -> bool {
    let is_option = |word: &String| word.starts_with('-');
    words.first().is_some_and(|word| !is_option(word)) && words.get(1).is_some_and(is_option)
}

/// Whether the letter takes a value; `None` for a letter that is not described.
fn takes_value(description: &str, letter: char) -> Option<bool> {
    let at = description.find(letter).filter(|_| letter != ':')?;
    Some(description[at + letter.len_utf8()..].starts_with(':'))
}

/// The letter that was probably meant by an unknown one: its other case, or the first of a
/// long name.
fn meant(letters: &str, letter: char, description: &str) -> Option<char> {
    let guess = match letters.strip_prefix('-') {
        Some(long) => long.chars().next()?,
        None if letter.is_ascii_lowercase() => letter.to_ascii_uppercase(),
        None => letter.to_ascii_lowercase(),
    };
    takes_value(description, guess).map(|_| guess)
}

fn unknown(letters: &str, letter: char, meant: Option<char>, description: &str) -> String {
    let known: Vec<String> = description
        .chars()
        .filter(|&c| c != ':')
        .map(|c| format!("-{c}"))
        .collect();
    let known = known.join(" ");
    let is_long = letters.starts_with('-');
    let word = if is_long {
        // What is glued to it may be a secret.
        masked::option(&format!("-{letters}")).to_owned()
    } else {
        format!("-{letter}")
    };
    match meant {
        Some(meant) => format!("unknown option {word}; did you mean -{meant}? Known are {known}"),
        None if is_long => {
            format!("unknown option {word}; options are single letters: {known}")
        }
        None => format!("unknown option {word}; known are {known}"),
    }
}

/// The longest time limit that an option may set: beyond a day it is a slip of the pen.
const LIMIT_MAX: Duration = Duration::from_secs(86_400);

/// A time limit in seconds, fractions allowed, more than zero and at most a day.
pub(crate) fn seconds(index: usize, letter: char, value: &str) -> Result<Duration, OptionError> {
    limit(index, letter, value, "seconds", 1.0)
}

/// A time limit in milliseconds, fractions allowed, more than zero and at most a day.
pub(crate) fn milliseconds(
    index: usize,
    letter: char,
    value: &str,
) -> Result<Duration, OptionError> {
    limit(index, letter, value, "milliseconds", 1_000.0)
}

fn limit(
    index: usize,
    letter: char,
    value: &str,
    unit: &str,
    per_second: f64,
) -> Result<Duration, OptionError> {
    let digits_only = value.bytes().all(|b| b.is_ascii_digit() || b == b'.');
    value
        .parse::<f64>()
        .ok()
        .filter(|_| digits_only)
        .and_then(|number| Duration::try_from_secs_f64(number / per_second).ok())
        .filter(|limit| !limit.is_zero() && *limit <= LIMIT_MAX)
        .ok_or_else(|| {
            let hint = crate::time::timeval(value)
                .ok()
                .filter(|span| !span.is_zero() && *span <= LIMIT_MAX)
                .map(|span| format!("; did you mean {}?", span.as_secs_f64() * per_second))
                .unwrap_or_default();
            OptionError::new(
                index,
                format!(
                    "option -{letter} takes a number of {unit} above 0 and up to a day, not \"{value}\"{hint}"
                ),
            )
        })
}

/// A port from 1 to 65535 as a number.
pub(crate) fn port_number(index: usize, letter: char, value: &str) -> Result<u16, OptionError> {
    parse_port(value).ok_or_else(|| {
        let hint = SERVICES
            .iter()
            .find(|(name, _)| *name == value)
            .map(|(_, port)| format!("; write {port} for {value}"))
            .unwrap_or_default();
        OptionError::new(
            index,
            format!("option -{letter} takes a port from 1 to 65535, not \"{value}\"{hint}"),
        )
    })
}

/// A port as a number, or the name of a well-known TCP service.
///
/// The names are a fixed list, so that a file means the same on every machine; another name is
/// an error that asks for the number.
pub(crate) fn port_or_service(index: usize, letter: char, value: &str) -> Result<u16, OptionError> {
    if value.bytes().all(|b| b.is_ascii_digit()) {
        return port_number(index, letter, value);
    }
    SERVICES
        .iter()
        .find(|(name, _)| *name == value)
        .map(|(_, port)| *port)
        .ok_or_else(|| {
            OptionError::new(
                index,
                format!(
                    "option -{letter}: \"{value}\" is no service name known here; write the port's number"
                ),
            )
        })
}

fn parse_port(value: &str) -> Option<u16> {
    let digits = !value.is_empty() && value.bytes().all(|b| b.is_ascii_digit());
    digits
        .then(|| value.parse().ok())?
        .filter(|port: &u16| *port > 0)
}

/// Names of TCP services as they stand in Debian's /etc/services.
const SERVICES: [(&str, u16); 30] = [
    ("ftp", 21),
    ("ssh", 22),
    ("telnet", 23),
    ("smtp", 25),
    ("mail", 25),
    ("domain", 53),
    ("http", 80),
    ("www", 80),
    ("kerberos", 88),
    ("pop3", 110),
    ("pop-3", 110),
    ("nntp", 119),
    ("imap2", 143),
    ("imap", 143),
    ("ldap", 389),
    ("https", 443),
    ("submissions", 465),
    ("smtps", 465),
    ("submission", 587),
    ("ldaps", 636),
    ("rsync", 873),
    ("ftps", 990),
    ("imaps", 993),
    ("pop3s", 995),
    ("mysql", 3306),
    ("svn", 3690),
    ("postgresql", 5432),
    ("http-alt", 8080),
    ("webcache", 8080),
    ("tproxy", 8081),
];

/// What `[-p PORT] [-t SECS] [host...]` says: the line of the monitors that only connect.
#[derive(Debug)]
pub(crate) struct PortLine {
    pub(crate) port: Option<u16>,
    pub(crate) timeout: Option<Duration>,
    pub(crate) hosts: Vec<String>,
}

impl PortLine {
    /// Reads the line; `port` says how a port is written.
    pub(crate) fn parse(
        args: &[String],
        port: fn(usize, char, &str) -> Result<u16, OptionError>,
    ) -> Result<Self, OptionErrors> {
        let mut faults = Faults::default();
        let words = split(args, "p:t:", PlainWords::EndOptions, &mut faults);
        let mut line = Self {
            port: None,
            timeout: None,
            hosts: hosts(&words, &mut faults),
        };
        for (index, word) in words {
            match word {
                Word::Value('p', value) => {
                    faults.set(&mut line.port, port(index, 'p', value).map(Some));
                }
                Word::Value(letter, value) => {
                    faults.set(&mut line.timeout, seconds(index, letter, value).map(Some));
                }
                Word::Flag(_) | Word::Plain(_) => {}
            }
        }
        faults.finish(line)
    }
}

/// Host words that stand among the arguments themselves; all words after the options.
pub(crate) fn hosts(words: &[(usize, Word<'_>)], faults: &mut Faults) -> Vec<String> {
    let mut hosts = Vec::new();
    for &(index, word) in words {
        match word {
            Word::Plain(host) if host.starts_with('-') => {
                faults.add(index, late_option(host, "hosts"));
                // What follows may be its value, which is no host either.
                break;
            }
            Word::Plain(host) => hosts.push(host.to_owned()),
            Word::Flag(_) | Word::Value(..) => {}
        }
    }
    hosts
}

/// What is said of an option behind the words that end the options.
pub(crate) fn late_option(word: &str, plain: &str) -> String {
    let option = masked::option(word);
    format!("\"{option}\" comes too late: options stand before the {plain}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args(text: &str) -> Vec<String> {
        text.split(' ').map(str::to_owned).collect()
    }

    #[test]
    fn words_are_split_as_getopt_does() {
        let line = args("-op 80 -t5 h1 -x");
        let found = words(&line, "op:t:").unwrap();
        let expected = [
            (0, Word::Flag('o')),
            (0, Word::Value('p', "80")),
            (2, Word::Value('t', "5")),
            (3, Word::Plain("h1")),
            (4, Word::Plain("-x")),
        ];
        assert_eq!(found, expected);
    }

    #[test]
    fn mistakes_name_the_word_and_suggest_another() {
        let cases = [
            ("-o -q", "o", 1, "unknown option -q; known are -o"),
            ("-p", "p:", 1, "option -p needs a value"),
            (
                "-P 80",
                "p:t:",
                0,
                "unknown option -P; did you mean -p? Known are -p -t",
            ),
            (
                "--port 80",
                "p:t:",
                0,
                "unknown option --port; did you mean -p? Known are -p -t",
            ),
            (
                "--quiet",
                "p:t:",
                0,
                "unknown option --quiet; options are single letters: -p -t",
            ),
            (
                "--secret=word",
                "p:t:",
                0,
                "unknown option --secret; options are single letters: -p -t",
            ),
        ];
        for (line, description, index, message) in cases {
            let errors = words(&args(line), description).unwrap_err();
            assert_eq!(errors.list(), [OptionError::new(index, message)]);
        }
    }

    #[test]
    fn reading_goes_on_after_an_unknown_option() {
        let mut faults = Faults::default();
        let line = args("-xo -P 80 --time=5 --quiet -z 7 -o h1");
        let found = split(&line, "op:t:", PlainWords::EndOptions, &mut faults);
        let expected = [
            (1, Word::Value('p', "80")),
            (3, Word::Value('t', "5")),
            (7, Word::Flag('o')),
            (8, Word::Plain("h1")),
        ];
        assert_eq!(found, expected);
        let errors = faults.finish(()).unwrap_err();
        let places: Vec<usize> = errors.list().iter().map(|error| error.index).collect();
        assert_eq!(places, [0, 1, 3, 4, 5]);
        assert_eq!(errors.to_string().lines().count(), 5);
    }

    #[test]
    fn a_stray_word_does_not_hide_the_options_behind_it() {
        let mut faults = Faults::default();
        let line = args("a -p 80 b -o");
        let found = split(&line, "op:", PlainWords::Stray, &mut faults);
        let expected = [
            (0, Word::Plain("a")),
            (1, Word::Value('p', "80")),
            (3, Word::Plain("b")),
            (4, Word::Flag('o')),
        ];
        assert_eq!(found, expected);
        assert!(faults.finish(()).is_ok());
    }

    #[test]
    fn an_option_behind_the_hosts_is_no_host() {
        let line = args("-p 80 h1 -t 5");
        let errors = PortLine::parse(&line, port_number).unwrap_err();
        let message = "\"-t\" comes too late: options stand before the hosts";
        assert_eq!(errors.list(), [OptionError::new(3, message)]);
    }

    #[test]
    fn mistakes_of_an_endless_line_are_not_all_kept() {
        let line = args(&"-x ".repeat(10_000));
        let errors = words(&line, "p:").unwrap_err();
        assert_eq!(errors.list().len(), Faults::MAX);
    }

    #[test]
    fn limits_are_numbers_above_zero() {
        assert_eq!(seconds(0, 't', "1.5"), Ok(Duration::from_millis(1_500)));
        assert_eq!(milliseconds(0, 't', "250"), Ok(Duration::from_millis(250)));
        for text in ["0", "", "-1", "1e3", "inf", "nan", "86401", ".", "2,5"] {
            assert!(seconds(0, 't', text).is_err(), "{text}");
        }
        let error = seconds(1, 't', "2m").unwrap_err();
        assert_eq!(
            error.message,
            "option -t takes a number of seconds above 0 and up to a day, not \"2m\"; did you mean 120?"
        );
    }

    #[test]
    fn ports_are_numbers_or_names() {
        assert_eq!(port_or_service(0, 'p', "https"), Ok(443));
        assert_eq!(port_or_service(0, 'p', "8080"), Ok(8080));
        for text in ["0", "65536", "", "-1", "80a", "nosuch", "8 0"] {
            assert!(port_or_service(0, 'p', text).is_err(), "{text}");
        }
        let error = port_number(1, 'p', "http").unwrap_err();
        assert_eq!(
            error.message,
            "option -p takes a port from 1 to 65535, not \"http\"; write 80 for http"
        );
    }
}
