//! What the command line writes: to a terminal with colours, into a pipe without.
//!
//! Nothing here panics on a closed pipe; such an error travels up as [`io::Error`] and
//! [`crate::cli::main`] takes it for success, as `lvsmon table | head -1` means it.

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
            format!("\x1b[{}m{text}\x1b[0m", tone.code())
        } else {
            text.to_owned()
        }
    }

    /// Writes one line.
    ///
    /// # Errors
    ///
    /// Those of the file behind standard output.
    pub fn line(&mut self, text: &str) -> io::Result<()> {
        let mut handle = self.handle.lock();
        handle.write_all(text.as_bytes())?;
        handle.write_all(b"\n")
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
    let _ = writeln!(io::stderr().lock(), "{text}");
}
