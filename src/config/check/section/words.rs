//! The words of one line of a section, taken one after the other.

use std::time::Duration;

use crate::config::check::report::Report;
use crate::config::check::values;
use crate::config::diagnostic::nearest;
use crate::config::lines::Span;
use crate::config::syntax::{self, Statement};

/// What to do about text that was meant as a comment.
const NO_COMMENTS: &str = "comments stand on lines of their own";

/// A line that is being read.
pub(super) struct Line<'r, 'a> {
    pub(super) report: &'r mut Report<'a>,
    keyword: Span,
    words: Vec<Span>,
    next: usize,
}

impl<'r, 'a> Line<'r, 'a> {
    /// The line of a statement, from the word behind its keyword on.
    pub(super) fn new(report: &'r mut Report<'a>, statement: &Statement) -> Self {
        Self {
            words: syntax::words(report.sources, statement.argument),
            keyword: statement.keyword,
            next: 0,
            report,
        }
    }

    pub(super) fn keyword(&self) -> &'a str {
        self.report.text(self.keyword)
    }

    /// The next word, which stays.
    pub(super) fn peek(&self) -> Option<&'a str> {
        self.words
            .get(self.next)
            .map(|&word| self.report.text(word))
    }

    /// The next word.
    pub(super) fn next(&mut self) -> Option<(Span, &'a str)> {
        let word = *self.words.get(self.next)?;
        self.next += 1;
        Some((word, self.report.text(word)))
    }

    /// The next word, where it is wanted.
    pub(super) fn next_if(&mut self, is_wanted: bool) -> Option<(Span, &'a str)> {
        if is_wanted { self.next() } else { None }
    }

    /// The next word; that there is none is an error.
    pub(super) fn need(&mut self, help: &str) -> Option<(Span, &'a str)> {
        let found = self.next();
        if found.is_none() {
            let last = self.words.last().copied().unwrap_or(self.keyword);
            let message = format!("nothing stands behind \"{}\"", self.report.text(last));
            self.report.error(last.behind(), message, help);
        }
        found
    }

    /// The next word as a value.
    pub(super) fn value<T>(
        &mut self,
        what: &str,
        help: &str,
        read: impl FnOnce(&str) -> Option<T>,
    ) -> Option<T> {
        let (span, text) = self.need(help)?;
        let value = read(text);
        if value.is_none() {
            self.invalid(span, what, help);
        }
        value
    }

    /// A value that is all of the line.
    pub(super) fn only<T>(
        &mut self,
        help: &str,
        read: impl FnOnce(&str) -> Option<T>,
    ) -> Option<T> {
        let value = self.value(self.keyword(), help, read);
        if value.is_some() {
            self.end();
        }
        value
    }

    /// One of a few words, which is all of the line.
    pub(super) fn choice<T: Copy>(&mut self, words: &[(&str, T)]) -> Option<T> {
        let names: Vec<&str> = words.iter().map(|&(word, _)| word).collect();
        let help = format!("write {}", listed(&names, "or"));
        let known = |text: &str| words.iter().find(|(word, _)| *word == text);
        self.only(&help, |text| known(text).map(|&(_, value)| value))
    }

    /// Says that a word is no such value.
    pub(super) fn invalid(&mut self, span: Span, what: &str, help: &str) {
        let text = self.report.text(span);
        let help = if is_comment(text) { NO_COMMENTS } else { help };
        self.report
            .error(span, format!("invalid {what} \"{text}\""), help);
    }

    /// Says that what is left of the line belongs to nothing.
    pub(super) fn end(&mut self) {
        if let Some((word, _)) = self.next() {
            self.surplus(word, &[]);
        }
    }

    /// Says that the line does not go on with this word; `known` are those with which it could.
    pub(super) fn surplus(&mut self, word: Span, known: &[&str]) {
        let text = self.report.text(word);
        let help = match nearest(text, known.iter().copied()) {
            _ if is_comment(text) => NO_COMMENTS.to_owned(),
            Some(known) => format!("did you mean \"{known}\"?"),
            None if known.is_empty() => "remove it".to_owned(),
            None => format!("write {}", listed(known, "or")),
        };
        let message = format!("\"{text}\" is not understood behind \"{}\"", self.keyword());
        self.report.error(word, message, help);
        self.next = self.words.len();
    }

    /// All of the line as one place.
    pub(super) fn whole(&self) -> Span {
        let last = self.words.last().copied().unwrap_or(self.keyword);
        self.keyword.to(last)
    }
}

/// A time above zero, also in milliseconds, up to a bound.
pub(super) fn time(text: &str, most: Duration) -> Option<Duration> {
    let time = match text.strip_suffix("ms") {
        Some(digits) => Duration::from_millis(values::number(digits)?.into()),
        None => values::time(text, values::Zero::Refused).ok()?,
    };
    (!time.is_zero() && time <= most).then_some(time)
}

/// A number within bounds.
pub(super) fn number(text: &str, least: u32, most: u32) -> Option<u32> {
    values::number(text).filter(|number| (least..=most).contains(number))
}

/// `a, b and c`
pub(super) fn listed(words: &[&str], join: &str) -> String {
    match words {
        [] => String::new(),
        [one] => (*one).to_owned(),
        [rest @ .., last] => format!("{} {join} {last}", rest.join(", ")),
    }
}

fn is_comment(text: &str) -> bool {
    text.starts_with(['#', ';']) || text.starts_with("//")
}
