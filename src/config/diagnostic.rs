//! A mistake in the configuration, and how a person sees it: what, where, what to do.
//!
//! The first line has mon's form, `cf error: TEXT, line N`, because scripts look for it;
//! the place and the line itself follow. Warnings look the same. Pure: a diagnostic carries
//! its excerpt, so it can be shown when the file is long gone.

use std::fmt;
use std::sync::Arc;

use crate::options::masked;
use crate::text;

#[cfg(test)]
mod tests;

/// Widest excerpt, in characters. A longer line is cut around the mistake: a terminal shows
/// little more, and a line of 10 MB must not end up in a log.
const EXCERPT_MAX: usize = 120;

/// Longest message, in bytes. A message quotes words of the file, and one of them may be
/// the line of 10 MB.
const MESSAGE_MAX: usize = 400;

/// Errors, and warnings, that are kept of one configuration: more than anybody reads, and few
/// enough that a file of ten million wrong lines does not fill the memory with messages.
const FINDINGS_MAX: usize = 10_000;

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// The file cannot be used.
    Error,
    /// It can be used, but hardly as it was meant.
    Warning,
}

/// A mistake in the configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// How bad it is.
    pub severity: Severity,
    /// What is wrong, without a full stop.
    pub message: String,
    /// What to do about it; stands under the excerpt.
    pub help: Option<String>,
    /// Where; none where the mistake has no place in a file.
    pub place: Option<Box<Place>>,
}

/// A place in a file, with the line that stands there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The file as the operator names it.
    pub file: Arc<str>,
    /// Physical line, from 1.
    pub line: u32,
    /// Character of the line, from 1; a tab is one. 0 where the line is meant as a whole.
    pub column: u32,
    /// Characters that are marked; at least 1 where the line is shown.
    pub width: u32,
    /// The part of the line that is shown; nothing of one that may hold a secret.
    pub excerpt: String,
    /// Characters of the excerpt before the mark.
    pub indent: u32,
}

impl Diagnostic {
    /// An error without a place.
    #[must_use]
    pub fn error(message: impl Into<String>) -> Self {
        Self::new(Severity::Error, message)
    }

    /// A warning without a place.
    #[must_use]
    pub fn warning(message: impl Into<String>) -> Self {
        Self::new(Severity::Warning, message)
    }

    fn new(severity: Severity, message: impl Into<String>) -> Self {
        Self {
            severity,
            message: shortened(message.into()),
            help: None,
            place: None,
        }
    }

    /// Adds what to do about it.
    #[must_use]
    pub fn with_help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(shortened(help.into()));
        self
    }

    /// Adds where it is.
    #[must_use]
    pub fn at(mut self, place: Place) -> Self {
        self.place = Some(Box::new(place));
        self
    }

    /// Whether the file cannot be used.
    #[must_use]
    pub fn is_error(&self) -> bool {
        self.severity == Severity::Error
    }
}

impl Place {
    /// The place of the characters `start..end` (bytes) in a physical line; a mark that goes on
    /// beyond the line ends with it.
    #[must_use]
    pub fn new(file: Arc<str>, line: u32, text: &str, start: usize, end: usize) -> Self {
        let start = floor(text, start);
        let column = text[..start].chars().count();
        let place = Self::after(file, (line, text), (start, end), column);
        match masked::may_hide(text) {
            true => place.hidden(),
            false => place,
        }
    }

    /// The same with so many characters before it, of a line that hides nothing. No more than what
    /// is shown of the line is looked at.
    pub(crate) fn after(
        file: Arc<str>,
        (line, text): (u32, &str),
        (start, end): (usize, usize),
        column: usize,
    ) -> Self {
        let start = floor(text, start);
        let marked = &text[start..ceil(text, end.max(start))];
        let width = marked.chars().take(2 * EXCERPT_MAX).count().max(1);
        let limit = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
        let total = column + text[start..].chars().take(EXCERPT_MAX + 1).count();
        let (excerpt, indent) = if total <= EXCERPT_MAX {
            (text.to_owned(), column)
        } else {
            cut(text, start, column)
        };
        let shown = excerpt.chars().count();
        Self {
            file,
            line,
            column: limit(column + 1),
            width: limit(width.min(shown.saturating_sub(indent).max(1))),
            excerpt: printable(&excerpt),
            indent: limit(indent),
        }
    }

    /// A line that is not shown, because it may hold what nobody is to see.
    #[must_use]
    pub const fn unseen(file: Arc<str>, line: u32) -> Self {
        Self {
            file,
            line,
            column: 0,
            width: 0,
            excerpt: String::new(),
            indent: 0,
        }
    }

    /// The same place, and nothing of its line.
    #[must_use]
    pub(crate) fn hidden(self) -> Self {
        Self {
            column: self.column,
            ..Self::unseen(self.file, self.line)
        }
    }

    /// Whether the line is shown.
    const fn is_seen(&self) -> bool {
        self.width > 0
    }

    /// Cells of a terminal before the mark, and under it.
    fn cells(&self) -> (usize, usize) {
        let (indent, width) = (self.indent as usize, self.width as usize);
        let before = self.excerpt.chars().take(indent).map(cells).sum();
        let marked = self.excerpt.chars().skip(indent).take(width);
        // A mark behind the end of the line stands under no letter.
        let marked: usize = marked.map(cells).sum();
        (before, marked.max(1))
    }
}

/// How many cells of a terminal a letter takes (Unicode's East Asian Width, in rough ranges).
const fn cells(letter: char) -> usize {
    match letter {
        // Put on the letter before it, or not shown.
        '\u{300}'..='\u{36f}' | '\u{200b}'..='\u{200f}' | '\u{fe00}'..='\u{fe0f}' => 0,
        '\u{1100}'..='\u{115f}'
        | '\u{2e80}'..='\u{303e}'
        | '\u{3041}'..='\u{a4cf}'
        | '\u{ac00}'..='\u{d7a3}'
        | '\u{f900}'..='\u{faff}'
        | '\u{fe30}'..='\u{fe6f}'
        | '\u{ff00}'..='\u{ff60}'
        | '\u{ffe0}'..='\u{ffe6}'
        | '\u{1f300}'..='\u{1f64f}'
        | '\u{1f900}'..='\u{1f9ff}'
        | '\u{20000}'..='\u{3fffd}' => 2,
        _ => 1,
    }
}

/// A text with its middle left out where it is too long.
fn shortened(text: String) -> String {
    if text.len() <= MESSAGE_MAX {
        return text;
    }
    let start = floor(&text, MESSAGE_MAX / 2);
    let end = ceil(&text, text.len() - MESSAGE_MAX / 3);
    format!("{}...{}", &text[..start], &text[end..])
}

/// The part of a long line around the byte `start`, and how many of its characters stand
/// before that byte.
fn cut(text: &str, start: usize, column: usize) -> (String, usize) {
    let lead = EXCERPT_MAX / 3;
    let skipped = column.saturating_sub(lead);
    let mut excerpt = String::new();
    if skipped > 0 {
        excerpt.push_str("...");
    }
    let before: Vec<char> = text[..start].chars().rev().take(column - skipped).collect();
    excerpt.extend(before.iter().rev());
    let indent = excerpt.chars().count();
    let mut rest = text[start..].chars();
    excerpt.extend(rest.by_ref().take(EXCERPT_MAX - lead));
    if rest.next().is_some() {
        excerpt.push_str("...");
    }
    (excerpt, indent)
}

/// The character boundary at or before a byte.
fn floor(text: &str, at: usize) -> usize {
    text::cut(text, at).len()
}

/// The character boundary at or behind a byte.
fn ceil(text: &str, at: usize) -> usize {
    let mut at = at.min(text.len());
    while !text.is_char_boundary(at) {
        at += 1;
    }
    at
}

/// Control characters would disturb a terminal; each is shown as one other character.
fn printable(text: &str) -> String {
    text.chars()
        .map(|letter| match letter {
            '\t' => ' ',
            letter if letter.is_control() => '\u{fffd}',
            letter => letter,
        })
        .collect()
}

/// `FILE:LINE:COLUMN`, or without the column.
impl fmt::Display for Place {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}:{}", self.file, self.line)?;
        if self.column > 0 {
            write!(out, ":{}", self.column)?;
        }
        Ok(())
    }
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        };
        write!(out, "cf {kind}: {}", self.message)?;
        let Some(place) = &self.place else {
            if let Some(help) = &self.help {
                write!(out, "\n  = {help}")?;
            }
            return Ok(());
        };
        writeln!(out, ", line {}", place.line)?;
        write!(out, "  --> {place}")?;
        if !place.is_seen() {
            return match &self.help {
                Some(help) => write!(out, "\n  = {help}"),
                None => Ok(()),
            };
        }
        writeln!(out)?;
        let number = place.line.to_string();
        let gutter = number.len() + 1;
        writeln!(out, "{:gutter$}|", "")?;
        writeln!(out, "{number} | {}", place.excerpt.trim_end())?;
        let (indent, width) = place.cells();
        write!(out, "{:gutter$}| {:indent$}{:^>width$}", "", "", "")?;
        match &self.help {
            Some(help) => write!(out, " {help}"),
            None => Ok(()),
        }
    }
}

/// Diagnostics on their way: up to [`FINDINGS_MAX`] errors and as many warnings.
#[derive(Debug, Default)]
pub(crate) struct Findings {
    list: Vec<Diagnostic>,
    errors_count: usize,
    warnings_count: usize,
}

impl Findings {
    /// Adds one.
    pub(crate) fn push(&mut self, diagnostic: Diagnostic) {
        let is_full = self.is_full(diagnostic.severity);
        match diagnostic.severity {
            Severity::Error => self.errors_count += 1,
            Severity::Warning => self.warnings_count += 1,
        }
        if !is_full {
            self.list.push(diagnostic);
        }
    }

    /// Whether another one would only be counted; its place need not be worked out then.
    pub(crate) fn is_full(&self, severity: Severity) -> bool {
        match severity {
            Severity::Error => self.errors_count >= FINDINGS_MAX,
            Severity::Warning => self.warnings_count >= FINDINGS_MAX,
        }
    }

    /// Whether one of them is an error.
    pub(crate) fn has_error(&self) -> bool {
        self.errors_count > 0
    }

    /// All that were kept, in the order in which they came.
    #[cfg(test)]
    pub(crate) fn list(&self) -> &[Diagnostic] {
        &self.list
    }

    /// All that were kept, sorted by place, and a word on the others.
    pub(crate) fn into_sorted(mut self) -> Vec<Diagnostic> {
        sort(&mut self.list);
        for (count, severity, what) in [
            (self.errors_count, Severity::Error, "errors"),
            (self.warnings_count, Severity::Warning, "warnings"),
        ] {
            let dropped = count.saturating_sub(FINDINGS_MAX);
            if dropped > 0 {
                let message = format!("{dropped} more {what} are not shown");
                self.list.push(Diagnostic::new(severity, message));
            }
        }
        self.list
    }
}

/// Sorts as a person reads: by file in the order of first mention, then line, then column; what
/// has no place comes first.
fn sort(diagnostics: &mut [Diagnostic]) {
    let mut files: Vec<Arc<str>> = Vec::new();
    for place in diagnostics.iter().filter_map(|one| one.place.as_ref()) {
        if !files.contains(&place.file) {
            files.push(place.file.clone());
        }
    }
    diagnostics.sort_by_key(|one| {
        one.place.as_ref().map(|place| {
            let file = files.iter().position(|file| *file == place.file);
            (file, place.line, place.column)
        })
    });
}

/// The known word that was probably meant: the nearest one, where at most a third of its
/// letters differ.
#[must_use]
pub fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    // No keyword is longer, and the distance of long words is costly.
    const WORD_MAX: usize = 40;
    if word.len() > WORD_MAX {
        return None;
    }
    let lower = word.to_ascii_lowercase();
    known
        .into_iter()
        .map(|candidate| (distance(&lower, &candidate.to_ascii_lowercase()), candidate))
        .filter(|&(distance, candidate)| distance <= candidate.len().div_ceil(3))
        .min_by_key(|&(distance, _)| distance)
        .map(|(_, candidate)| candidate)
}

/// Letters that must be put in, left out, replaced or exchanged with their neighbour.
fn distance(left: &str, right: &str) -> usize {
    let right: Vec<char> = right.chars().collect();
    let mut before_last: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=right.len()).collect();
    let mut previous = None;
    for (row, letter) in left.chars().enumerate() {
        let mut current = vec![row + 1];
        for (column, &other) in right.iter().enumerate() {
            let replaced = last[column] + usize::from(letter != other);
            let mut best = replaced.min(last[column + 1] + 1).min(current[column] + 1);
            if column > 0 && previous == Some(other) && right[column - 1] == letter {
                best = best.min(before_last[column - 1] + 1);
            }
            current.push(best);
        }
        before_last = std::mem::replace(&mut last, current);
        previous = Some(letter);
    }
    last[right.len()]
}
