//! How the check says what it found.

use std::collections::BTreeMap;

use crate::config::diagnostic::{Diagnostic, Findings};
use crate::config::lines::{Sources, Span};

/// Collects mistakes, and the words that have no effect yet.
pub(super) struct Report<'a> {
    pub(super) sources: &'a Sources,
    out: &'a mut Findings,
    /// Words without an effect: where the first one stands, and how many there are.
    idle: BTreeMap<&'static str, (Span, u32)>,
}

/// Help is optional; most callers have a text.
pub(super) struct Help(Option<String>);

impl From<Option<String>> for Help {
    fn from(text: Option<String>) -> Self {
        Self(text)
    }
}

impl From<String> for Help {
    fn from(text: String) -> Self {
        Self(Some(text))
    }
}

impl From<&str> for Help {
    fn from(text: &str) -> Self {
        Self(Some(text.to_owned()))
    }
}

impl<'a> Report<'a> {
    pub(super) fn new(sources: &'a Sources, out: &'a mut Findings) -> Self {
        Self {
            sources,
            out,
            idle: BTreeMap::new(),
        }
    }

    pub(super) fn text(&self, span: Span) -> &'a str {
        self.sources.text(span)
    }

    pub(super) fn error(&mut self, span: Span, message: impl Into<String>, help: impl Into<Help>) {
        self.add(span, Diagnostic::error(message), help.into());
    }

    /// A mistake that does not stand in the file.
    pub(super) fn error_without_place(&mut self, message: impl Into<String>, help: &str) {
        self.out.push(Diagnostic::error(message).with_help(help));
    }

    pub(super) fn warn(&mut self, span: Span, message: impl Into<String>, help: impl Into<Help>) {
        self.add(span, Diagnostic::warning(message), help.into());
    }

    fn add(&mut self, span: Span, mut diagnostic: Diagnostic, help: Help) {
        if let Some(help) = help.0 {
            diagnostic = diagnostic.with_help(help);
        }
        if !self.out.is_full(diagnostic.severity) {
            diagnostic = diagnostic.at(self.sources.place(span));
        }
        self.out.push(diagnostic);
    }

    /// Notes a word that is read and has no effect yet.
    pub(super) fn idle(&mut self, word: &'static str, span: Span) {
        self.idle.entry(word).or_insert((span, 0)).1 += 1;
    }

    /// Says which words have no effect yet, each once.
    pub(super) fn finish(&mut self) {
        for (word, (span, count)) in std::mem::take(&mut self.idle) {
            let message = format!("\"{word}\" has no effect in this version");
            let help =
                (count > 1).then(|| format!("it stands {count} times in this configuration"));
            self.warn(span, message, help);
        }
    }
}
