//! Walking over the words of a command line the way the classic scripts did (getopt), and the
//! kinds of values that several built-ins take.

use std::time::Duration;

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
) -> Result<Vec<(usize, Word<'a>)>, OptionError> {
    let mut found = Vec::new();
    let mut index = 0;
    while index < args.len() {
        let arg = &args[index];
        if arg == "--" {
            index += 1;
            break;
        }
        let Some(letters) = arg.strip_prefix('-').filter(|letters| !letters.is_empty()) else {
            break;
        };
        let at = index;
        let mut rest = letters.chars();
        while let Some(letter) = rest.next() {
            match takes_value(description, letter) {
                None => return Err(unknown(at, arg, letter, description)),
                Some(false) => found.push((at, Word::Flag(letter))),
                Some(true) => {
                    let glued = rest.as_str();
                    let value = if glued.is_empty() {
                        index += 1;
                        args.get(index).map(String::as_str).ok_or_else(|| {
                            OptionError::new(index, format!("option -{letter} needs a value"))
                        })?
                    } else {
                        glued
                    };
                    found.push((at, Word::Value(letter, value)));
                    break;
                }
            }
        }
        index += 1;
    }
    found.extend(
        args.iter()
            .enumerate()
            .skip(index)
            .map(|(at, arg)| (at, Word::Plain(arg))),
    );
    Ok(found)
}

/// Whether the letter takes a value; `None` for a letter that is not described.
fn takes_value(description: &str, letter: char) -> Option<bool> {
    let at = description.find(letter).filter(|_| letter != ':')?;
    Some(description[at + letter.len_utf8()..].starts_with(':'))
}

fn unknown(index: usize, word: &str, letter: char, description: &str) -> OptionError {
    let known: Vec<String> = description
        .chars()
        .filter(|&c| c != ':')
        .map(|c| format!("-{c}"))
        .collect();
    let known = known.join(" ");
    let is_known = |letter: &char| takes_value(description, *letter).is_some();
    let message = if let Some(long) = word.strip_prefix("--") {
        let guess = long.chars().next().filter(is_known);
        let hint = guess.map_or_else(
            || format!("options are single letters: {known}"),
            |letter| format!("did you mean -{letter}? Known are {known}"),
        );
        format!("unknown option {word}; {hint}")
    } else {
        let other_case = if letter.is_ascii_lowercase() {
            letter.to_ascii_uppercase()
        } else {
            letter.to_ascii_lowercase()
        };
        let hint = if is_known(&other_case) && other_case != letter {
            format!("did you mean -{other_case}? Known are {known}")
        } else {
            format!("known are {known}")
        };
        format!("unknown option -{letter}; {hint}")
    };
    OptionError::new(index, message)
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

/// Host words that stand among the arguments themselves; all words after the options.
pub(crate) fn plain_words(words: &[(usize, Word<'_>)]) -> Vec<String> {
    words
        .iter()
        .filter_map(|(_, word)| match word {
            Word::Plain(host) => Some((*host).to_owned()),
            Word::Flag(_) | Word::Value(..) => None,
        })
        .collect()
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
        ];
        for (line, description, index, message) in cases {
            let error = words(&args(line), description).unwrap_err();
            assert_eq!((error.index, error.message.as_str()), (index, message));
        }
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
