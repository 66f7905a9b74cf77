//! What do persons and programs learn of a command line that cannot be meant?
//!
//! Nothing was done then. Persons read it on standard error, programs that asked for JSON on
//! standard output too, and the exit code is that of wrong usage. What failed although it was said
//! well is no misuse.

use std::borrow::Cow;
use std::process::ExitCode;

use clap::error::{ContextKind, ContextValue};

use crate::cli::exit_code_of;
use crate::cli::output::{Form, complain, fail};

/// Exit code of a wrong command line.
const USAGE: u8 = 2;

/// Letters of a word of the command line that are repeated; what is wrong with it is said anyhow.
const WORD_MAX: usize = 80;

/// Says what is wrong with the words of a command.
pub(super) fn misused(command: &str, form: Form, why: &str) -> ExitCode {
    complain(&format!("lvsmon {command}: {why}"));
    fail(form, why);
    ExitCode::from(USAGE)
}

/// Says why a command line is not understood, or to persons the help that they asked for. Nobody
/// is left to be told when this cannot be printed.
pub(super) fn refuse(form: Form, error: clap::Error) -> ExitCode {
    let error = with_short_words(error);
    let _ = error.print();
    if error.use_stderr() {
        let text = error.to_string();
        // Behind a line without words stand the usage and where there is help.
        let why = text.lines().take_while(|line| !line.trim().is_empty());
        let why = why.map(str::trim).collect::<Vec<&str>>().join(" ");
        fail(form, why.strip_prefix("error: ").unwrap_or(&why));
    }
    exit_code_of(error.exit_code())
}

/// The same, with the words that it repeats cut where they are long.
fn with_short_words(mut error: clap::Error) -> clap::Error {
    for kind in [
        ContextKind::InvalidValue,
        ContextKind::InvalidArg,
        ContextKind::InvalidSubcommand,
    ] {
        if let Some(ContextValue::String(word)) = error.get(kind) {
            let word = short(word).into_owned();
            error.insert(kind, ContextValue::String(word));
        }
    }
    error
}

/// A word of the command line as it is repeated.
pub(super) fn short(word: &str) -> Cow<'_, str> {
    let beginning = word.char_indices().nth(WORD_MAX);
    match beginning.and_then(|(end, _)| word.get(..end)) {
        Some(beginning) => format!("{beginning}...").into(),
        None => word.into(),
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;
    use crate::cli::Cli;

    /// What is said of a command line.
    fn said(words: &[&str]) -> String {
        let error = Cli::try_parse_from([&["lvsmon"], words].concat()).unwrap_err();
        with_short_words(error).to_string()
    }

    #[test]
    fn of_a_long_word_the_beginning_is_repeated() {
        let long = "\u{fc}".repeat(5_000);
        let short = format!("{}...", "\u{fc}".repeat(WORD_MAX));
        for words in [
            &["disable", "a", "--reason", &long][..],
            &["drain", "a", "--for", &long],
            &["weight", &long, "a"],
            &[&long],
            &["table", &long],
        ] {
            let said = said(words);
            let count = said.matches('\u{fc}').count();
            assert!(count <= 2 * WORD_MAX && said.contains(&short), "{said}");
        }
        let said = said(&["disable", "a", "--reason", &long]);
        assert!(
            said.contains("at most 200 bytes; this one has 10000"),
            "{said}"
        );
        let most = "x".repeat(WORD_MAX);
        assert!(super::tests::said(&["weight", &most, "a"]).contains(&format!("'{most}'")));
    }
}
