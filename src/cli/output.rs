//! What the command line writes: to a terminal with colours, into a pipe without.
//!
//! Every line goes through one place, so that control characters in the texts of monitors, traps
//! and alerts are spelt out wherever they are shown.
//!
//! Nothing here panics on a closed pipe; such an error travels up as [`io::Error`] and
//! [`crate::cli::main`] takes it for success, as `lvsmon table | head -1` means it.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::io::{self, IsTerminal, Write};

/// Standard output, with or without colours.
#[derive(Debug)]
pub struct Output {
    handle: io::Stdout,
    colours: bool,
}

/// What a piece of text is, and thereby its colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tone {
    /// As it should be.
    Good,
    /// Wrong, a person must act.
    Bad,
    /// It will hurt later, or is on its way.
    Odd,
    /// A heading.
    Heading,
    /// Of less interest.
    Faint,
}

impl Tone {
    const ALL: [Self; 5] = [Self::Good, Self::Bad, Self::Odd, Self::Heading, Self::Faint];

    const fn code(self) -> &'static str {
        match self {
            Self::Good => "32",
            Self::Bad => "31",
            Self::Odd => "33",
            Self::Heading => "1",
            Self::Faint => "2",
        }
    }
}

impl Output {
    /// Standard output; coloured on a terminal with a name other than `dumb`, unless `NO_COLOR`
    /// is set (<https://no-color.org>).
    #[must_use]
    pub fn standard() -> Self {
        let handle = io::stdout();
        let colours = handle.is_terminal() && wants_colours();
        Self { handle, colours }
    }

    /// The text in its colour, or as it is.
    #[must_use]
    pub fn paint(&self, tone: Tone, text: &str) -> String {
        if self.colours {
            format!("\x1b[{}m{text}{PLAIN}", tone.code())
        } else {
            text.to_owned()
        }
    }

    /// Writes one line. Whoever wrote the texts in it, no terminal obeys them.
    ///
    /// # Errors
    ///
    /// Those of the file behind standard output.
    pub fn line(&mut self, text: &str) -> io::Result<()> {
        let text = harmless(text, self.colours);
        let mut handle = self.handle.lock();
        handle.write_all(text.as_bytes())?;
        handle.write_all(b"\n")
    }

    /// Writes a line of a terminal that changes in the place of the one before.
    ///
    /// # Errors
    ///
    /// Those of the file behind standard output.
    pub fn live(&mut self, text: &str) -> io::Result<()> {
        let mut handle = self.handle.lock();
        write!(handle, "\r\x1b[K{}", harmless(text, self.colours))?;
        handle.flush()
    }

    /// Writes bytes as they are.
    ///
    /// # Errors
    ///
    /// Those of the file behind standard output.
    pub fn bytes(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.handle.lock().write_all(bytes)
    }

    /// Hands everything to the operating system.
    ///
    /// # Errors
    ///
    /// Those of the file behind standard output.
    pub fn flush(&mut self) -> io::Result<()> {
        self.handle.lock().flush()
    }
}

/// Ends a colour.
const PLAIN: &str = "\x1b[0m";

/// The text with control characters spelt out, as JSON does, so that it may be JSON: summaries,
/// outputs and traps are other people's words. Line ends and tabs stay, and colours of ours where
/// there are some.
fn harmless(text: &str, colours: bool) -> Cow<'_, str> {
    let is_meant = |letter: char| matches!(letter, '\n' | '\t');
    if !text.contains(|letter: char| letter.is_control() && !is_meant(letter)) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(letter) = rest.chars().next() {
        let colour = if colours { colour(rest) } else { None };
        let width = colour.map_or(letter.len_utf8(), str::len);
        let (taken, after) = rest.split_at(width);
        if colour.is_none() && letter.is_control() && !is_meant(letter) {
            // A String takes everything.
            let _ = write!(shown, "\\u{:04x}", u32::from(letter));
        } else {
            shown.push_str(taken);
        }
        rest = after;
    }
    if colours {
        // A foreign text may begin a colour of ours, which ends here.
        shown.push_str(PLAIN);
    }
    Cow::Owned(shown)
}

/// The beginning or the end of one of our colours, where the text begins with it.
fn colour(text: &str) -> Option<&str> {
    let rest = text.strip_prefix("\x1b[")?;
    let (code, _) = rest.split_once('m')?;
    let is_ours = code == "0" || Tone::ALL.iter().any(|tone| tone.code() == code);
    is_ours.then(|| text.get(..code.len().saturating_add(3)))?
}

/// Whether the environment allows colours; the caller asks whether there is a terminal.
#[must_use]
pub(crate) fn wants_colours() -> bool {
    std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty()) && takes_escapes()
}

/// Whether the terminal, where there is one, is said to understand escape sequences: it has a
/// name, and that is not `dumb`.
#[must_use]
pub(crate) fn takes_escapes() -> bool {
    std::env::var_os("TERM").is_some_and(|term| !term.is_empty() && term != "dumb")
}

/// Writes one line to standard error; an error there has no place left to be told.
pub(crate) fn complain(text: &str) {
    let _ = writeln!(io::stderr().lock(), "{}", harmless(text, false));
}

/// What whoever called a command reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// Text, for persons.
    Text,
    /// One JSON object, for programs.
    Json,
}

impl Form {
    /// By the option `--json`.
    pub(crate) const fn of(is_json: bool) -> Self {
        if is_json { Self::Json } else { Self::Text }
    }
}

/// Says to a program why there is no answer, as `{"error": ...}` on standard output; persons were
/// told on standard error. A pipe that is closed has nobody to tell.
pub(crate) fn fail(form: Form, text: &str) {
    if form == Form::Text {
        return;
    }
    let answer = serde_json::json!({ "error": text });
    let mut out = Output::standard();
    let _ = out.line(&format!("{answer:#}")).and_then(|()| out.flush());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_terminal_obeys_other_peoples_words() {
        for (text, colours, shown) in [
            ("a\tb\nc \u{e4}", true, "a\tb\nc \u{e4}"),
            (
                "\x1b]0;evil\x07\x1b[2Jh1\rX\0Y\x7f\u{9b}1m",
                false,
                "\\u001b]0;evil\\u0007\\u001b[2Jh1\\u000dX\\u0000Y\\u007f\\u009b1m",
            ),
            ("\x1b[31mh1\x1b[0m", false, "\\u001b[31mh1\\u001b[0m"),
            ("\x1b[31mh1\x1b[0m", true, "\x1b[31mh1\x1b[0m\x1b[0m"),
            (
                "\x1b[3;31mh1\x1b[8m",
                true,
                "\\u001b[3;31mh1\\u001b[8m\x1b[0m",
            ),
            ("\x1b[", true, "\\u001b[\x1b[0m"),
        ] {
            assert_eq!(harmless(text, colours), shown);
        }
    }

    #[test]
    fn each_tone_is_a_colour_of_ours() {
        let out = Output {
            handle: io::stdout(),
            colours: true,
        };
        for tone in Tone::ALL {
            let text = format!("{}{PLAIN}", out.paint(tone, "x"));
            assert_eq!(harmless(&text[..text.len() - PLAIN.len()], true), text);
        }
    }

    #[test]
    fn json_stays_json() {
        let text = serde_json::to_string("\u{9b}\x1b[2J\x7f").unwrap();
        let shown = harmless(&text, false);
        assert!(!shown.contains(char::is_control), "{shown}");
        let read: String = serde_json::from_str(&shown).unwrap();
        assert_eq!(read, "\u{9b}\x1b[2J\x7f");
    }
}
