//! Walking over the words of a command line the way the classic scripts did (getopt).

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
    let takes_value = |letter: char| {
        let at = description.find(letter).filter(|_| letter != ':')?;
        Some(description[at + letter.len_utf8()..].starts_with(':'))
    };
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
            match takes_value(letter) {
                None => return Err(unknown(at, letter, description)),
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

fn unknown(index: usize, letter: char, description: &str) -> OptionError {
    let known: Vec<String> = description
        .chars()
        .filter(|&c| c != ':')
        .map(|c| format!("-{c}"))
        .collect();
    OptionError::new(
        index,
        format!("unknown option -{letter}; known are {}", known.join(" ")),
    )
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
    fn mistakes_name_the_word() {
        let error = words(&args("-o -q"), "o").unwrap_err();
        assert_eq!(
            (error.index, error.message.as_str()),
            (1, "unknown option -q; known are -o")
        );
        let error = words(&args("-p"), "p:").unwrap_err();
        assert_eq!(
            (error.index, error.message.as_str()),
            (1, "option -p needs a value")
        );
    }
}
