//! Physical lines to logical lines, with the place of every byte.
//!
//! Comments go, continued lines are joined, blanks at both ends are cut: exactly as mon does
//! it (docs/mon.md, "Reading"), so a continuation may glue two halves of a word. All
//! logical lines of a file stand in one text, one below the other; a [`Span`] names bytes of
//! that text and is mapped back to file, line and column when somebody needs to see it.

use std::sync::Arc;

use crate::config::diagnostic::{Diagnostic, Findings, Place};
use crate::options::masked;

mod long;

use long::LongLines;

/// Largest file that is read. A mon.cf of 100,000 services has some 20 MB.
pub(crate) const SOURCE_MAX: usize = 64 * 1024 * 1024;

/// Most files of one configuration: one for each service is plenty, and a [`SourceId`] is small.
const SOURCES_MAX: usize = 65_000;

/// White space as mon has it.
pub(crate) fn is_blank(letter: char) -> bool {
    matches!(letter, ' ' | '\t' | '\r' | '\n' | '\x0b' | '\x0c')
}

/// Which file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SourceId(u16);

/// Some bytes of the logical lines of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Span {
    source: SourceId,
    start: u32,
    end: u32,
}

impl Span {
    /// A part of this span, in bytes from its start; never reaches beyond its end.
    pub(crate) fn part(self, start: usize, end: usize) -> Self {
        let limit =
            |at: usize| u32::try_from(at).map_or(self.end, |at| (self.start + at).min(self.end));
        Self {
            source: self.source,
            start: limit(start),
            end: limit(end.max(start)),
        }
    }

    /// The place just behind this span.
    pub(crate) const fn behind(self) -> Self {
        Self {
            source: self.source,
            start: self.end,
            end: self.end,
        }
    }

    /// From the start of this span to the end of another one of the same file.
    pub(crate) fn to(self, last: Self) -> Self {
        Self {
            source: self.source,
            start: self.start,
            end: last.end.max(self.start),
        }
    }

    /// Whether it holds no byte.
    pub(crate) const fn is_empty(self) -> bool {
        self.start == self.end
    }
}

/// One file: its text, and its logical lines one below the other.
#[derive(Debug)]
struct Source {
    name: Arc<str>,
    text: String,
    joined: String,
    /// Where pieces of `joined` stand in `text`, sorted.
    pieces: Vec<Piece>,
    /// Where physical lines begin in `text`.
    starts: Vec<u32>,
    long: LongLines,
}

#[derive(Clone, Copy, Debug)]
struct Piece {
    joined: u32,
    text: u32,
}

/// All files of a configuration.
#[derive(Debug, Default)]
pub(crate) struct Sources(Vec<Source>);

/// What was noticed while a file was taken apart into lines.
#[derive(Debug, Default)]
pub(crate) struct Lines {
    /// Logical lines in order; an empty one ends a record.
    pub(crate) spans: Vec<Span>,
    /// A last line that ends in a backslash: mon drops it (C-1).
    pub(crate) unfinished: Option<Span>,
}

impl Sources {
    /// Takes in a file and finds its logical lines.
    ///
    /// Bytes that are not UTF-8 are read as Latin-1, with a warning; the files of mon's time
    /// are full of them, mostly in descriptions.
    ///
    /// # Errors
    ///
    /// A file that is too large or is not text, or is one too many.
    pub(crate) fn add(
        &mut self,
        name: &str,
        bytes: &[u8],
        warnings: &mut Findings,
    ) -> Result<Lines, Diagnostic> {
        let refuse = |what: String| Diagnostic::error(format!("{name}: {what}"));
        if bytes.len() > SOURCE_MAX {
            let limit = SOURCE_MAX / 1024 / 1024;
            return Err(refuse(format!("the file is larger than {limit} MB")));
        }
        if bytes.starts_with(b"\xff\xfe") || bytes.starts_with(b"\xfe\xff") {
            return Err(refuse("this is UTF-16, not UTF-8".to_owned())
                .with_help("convert it: iconv -f UTF-16 -t UTF-8"));
        }
        if let Some(at) = bytes.iter().position(|&byte| byte == 0) {
            let line = 1 + bytes[..at].iter().filter(|&&byte| byte == b'\n').count();
            return Err(refuse(format!(
                "this is not a text file: line {line} has a zero byte"
            )));
        }
        let id = self.next()?;
        let (text, foreign) = decode(bytes);
        if !text.contains('\n') && text.trim_end().contains('\r') {
            // mon takes such a file as one line, which defines one record at most.
            return Err(
                refuse("its lines end in carriage returns without line feeds".to_owned())
                    .with_help("convert it: tr '\\r' '\\n'"),
            );
        }
        let mut joiner = Joiner::new(id, &text);
        joiner.run(&text);
        let Joiner {
            joined,
            pieces,
            lines,
            starts,
            ..
        } = joiner;
        let source = Source {
            name: name.into(),
            long: LongLines::of(&text, &joined),
            text,
            joined,
            pieces,
            starts,
        };
        if let Some((at, byte)) = foreign {
            let message = format!("byte 0x{byte:02x} is not UTF-8, it is read as Latin-1");
            let more = "so are all others of the kind in this file";
            warnings.push(
                Diagnostic::warning(message)
                    .with_help(more)
                    .at(source.place(at, at)),
            );
        }
        self.0.push(source);
        Ok(lines)
    }

    /// What the next file will be.
    ///
    /// # Errors
    ///
    /// There are [`SOURCES_MAX`] already.
    pub(crate) fn next(&self) -> Result<SourceId, Diagnostic> {
        let number = Some(self.0.len()).filter(|&number| number < SOURCES_MAX);
        let number = number.and_then(|number| u16::try_from(number).ok());
        number.map(SourceId).ok_or_else(|| {
            Diagnostic::error(format!("more than {SOURCES_MAX} files are included"))
                .with_help("put the records into fewer files")
        })
    }

    /// The text of a span.
    pub(crate) fn text(&self, span: Span) -> &str {
        self.0
            .get(usize::from(span.source.0))
            .and_then(|source| source.joined.get(span.start as usize..span.end as usize))
            .unwrap_or_default()
    }

    /// Where a span stands.
    pub(crate) fn place(&self, span: Span) -> Place {
        let Some(source) = self.0.get(usize::from(span.source.0)) else {
            unreachable!("spans are made by the sources they belong to");
        };
        let start = source.in_text(span.start);
        let end = match span.end.checked_sub(1) {
            Some(last) if last >= span.start => source.in_text(last) + 1,
            _ => start,
        };
        source.place(start, end)
    }
}

impl Source {
    /// Where a byte of the joined text stands in the file.
    fn in_text(&self, joined: u32) -> usize {
        let after = self.pieces.partition_point(|piece| piece.joined <= joined);
        match after
            .checked_sub(1)
            .and_then(|index| self.pieces.get(index))
        {
            Some(piece) => (piece.text + (joined - piece.joined)) as usize,
            None => 0,
        }
    }

    fn place(&self, start: usize, end: usize) -> Place {
        let after = self.starts.partition_point(|&line| line as usize <= start);
        let line_start = after
            .checked_sub(1)
            .and_then(|index| self.starts.get(index))
            .map_or(0, |&line| line as usize);
        let next = self.starts.get(after);
        let line_end = next.map_or(self.text.len(), |&next| next as usize);
        let line = self.text.get(line_start..line_end).unwrap_or_default();
        let line = line.strip_suffix('\n').unwrap_or(line);
        let number = u32::try_from(after.max(1)).unwrap_or(u32::MAX);
        let within = |at: usize| (at - line_start).min(line.len());
        let (from, to) = (within(start), within(end.max(start)));
        let name = self.name.clone();
        let (place, is_hidden) = match self.long.physical(line_start) {
            Some(long) => {
                let column = long.column(line, from);
                let place = Place::after(name, (number, line), (from, to), column);
                (place, long.may_hide)
            }
            None => (Place::new(name, number, line, from, to), false),
        };
        // What hides a word may stand lines above it.
        if is_hidden || self.hides(start) {
            place.hidden()
        } else {
            place
        }
    }

    /// Whether the logical line of a byte of the file may hold a secret; of one in a comment that
    /// is the line before it.
    fn hides(&self, text: usize) -> bool {
        let after = self
            .pieces
            .partition_point(|piece| piece.text as usize <= text);
        let piece = after
            .checked_sub(1)
            .and_then(|index| self.pieces.get(index));
        let at = piece.map_or(0, |piece| piece.joined as usize);
        let known = self.long.may_hide(at);
        known.unwrap_or_else(|| masked::may_hide(self.logical(at)))
    }

    /// The logical line of a byte of the joined text.
    fn logical(&self, at: usize) -> &str {
        let before = self.joined.get(..at).unwrap_or_default();
        let start = before.rfind('\n').map_or(0, |end| end + 1);
        let rest = self.joined.get(start..).unwrap_or_default();
        rest.split('\n').next().unwrap_or_default()
    }
}

/// The text of a file, and the first byte that is not UTF-8 with its place in the text.
fn decode(bytes: &[u8]) -> (String, Option<(usize, u8)>) {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let mut text = String::with_capacity(bytes.len());
    let mut foreign = None;
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        for &byte in chunk.invalid() {
            foreign.get_or_insert((text.len(), byte));
            text.push(char::from(byte));
        }
    }
    (text, foreign)
}

/// Builds the joined text of one file.
struct Joiner {
    source: SourceId,
    joined: String,
    pieces: Vec<Piece>,
    starts: Vec<u32>,
    lines: Lines,
    /// Where the logical line that is being built began.
    open: Option<u32>,
}

impl Joiner {
    fn new(source: SourceId, text: &str) -> Self {
        Self {
            source,
            joined: String::with_capacity(text.len()),
            pieces: Vec::new(),
            starts: Vec::new(),
            lines: Lines::default(),
            open: None,
        }
    }

    fn run(&mut self, text: &str) {
        let mut at = 0;
        for line in text.split_inclusive('\n') {
            self.starts.push(offset(at));
            self.physical(at, line);
            at += line.len();
        }
        if let Some(start) = self.open.take() {
            self.lines.unfinished = Some(self.span(start));
        }
        self.pieces.shrink_to_fit();
    }

    fn physical(&mut self, at: usize, line: &str) {
        let trimmed = line.trim_start_matches(is_blank);
        if trimmed.starts_with('#') {
            return;
        }
        let at = at + line.len() - trimmed.len();
        let trimmed = trimmed.trim_end_matches(is_blank);
        let start = *self.open.get_or_insert(offset(self.joined.len()));
        self.pieces.push(Piece {
            joined: offset(self.joined.len()),
            text: offset(at),
        });
        if let Some(part) = trimmed.strip_suffix('\\') {
            self.joined.push_str(part);
            return;
        }
        self.joined.push_str(trimmed);
        self.open = None;
        let span = self.span(start);
        self.lines.spans.push(span);
        self.joined.push('\n');
    }

    /// The joined text from `start` on, without blanks at either end.
    fn span(&self, start: u32) -> Span {
        let text = &self.joined[start as usize..];
        let lead = text.len() - text.trim_start_matches(is_blank).len();
        let length = text.trim_matches(is_blank).len();
        let start = start + offset(if length == 0 { 0 } else { lead });
        Span {
            source: self.source,
            start,
            end: start + offset(length),
        }
    }
}

/// Offsets fit 32 bits: a file has at most [`SOURCE_MAX`] bytes, and Latin-1 at most doubles
/// them.
fn offset(at: usize) -> u32 {
    u32::try_from(at).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &str) -> Vec<String> {
        let (sources, lines) = read(text);
        let text = |span: &Span| sources.text(*span).to_owned();
        lines.spans.iter().map(text).collect()
    }

    fn read(text: &str) -> (Sources, Lines) {
        let mut sources = Sources::default();
        let lines = sources
            .add("mon.cf", text.as_bytes(), &mut Findings::default())
            .unwrap();
        (sources, lines)
    }

    #[test]
    fn lines_are_joined_as_mon_joins_them() {
        let cases: [(&str, &[&str]); 9] = [
            ("a b\n  c \n", &["a b", "c"]),
            ("a\n\n \t\nb", &["a", "", "", "b"]),
            ("in\\\n   terval 5s", &["interval 5s"]),
            ("a \\ \n  b", &["a b"]),
            ("a \\\n# note\\\nb", &["a b"]),
            ("# a\\\nb", &["b"]),
            ("a # b", &["a # b"]),
            ("a \\\n\nb", &["a", "b"]),
            ("a\r\n\r\nb\r\n", &["a", "", "b"]),
        ];
        for (text, expected) in cases {
            assert_eq!(lines(text), expected, "{text:?}");
        }
    }

    #[test]
    fn a_last_line_that_goes_on_is_told_apart() {
        let (sources, lines) = read("a\nb \\\n  c \\\n");
        assert_eq!(lines.spans.len(), 1);
        assert_eq!(sources.text(lines.unfinished.unwrap()), "b c");
        assert_eq!(sources.place(lines.unfinished.unwrap()).line, 2);
    }

    #[test]
    fn each_half_of_a_glued_word_keeps_its_place() {
        let (sources, lines) = read("# top\n  mon\\\n\titor http.mon\\\n  itor -p 80\n");
        let line = lines.spans[0];
        assert_eq!(sources.text(line), "monitor http.monitor -p 80");
        let at = |part: &str| {
            let start = sources.text(line).find(part).unwrap();
            let place = sources.place(line.part(start, start + part.len()));
            (place.line, place.column, place.width)
        };
        assert_eq!(at("monitor"), (2, 3, 4));
        assert_eq!(at("itor http"), (3, 2, 9));
        assert_eq!(at("-p"), (4, 8, 2));
        assert_eq!(sources.place(line.behind()).column, 13);
    }

    #[test]
    fn a_line_is_not_shown_where_a_line_it_goes_on_from_hides_it() {
        let text = "alert trap.al\\\n  ert -o 1 \\\n# more\n  secret\nalert mail.alert \\\n  ops\n";
        let (sources, lines) = read(text);
        let place = |index: usize| {
            let span = lines.spans[index];
            let all = sources.text(span);
            sources.place(span.part(all.rfind(' ').unwrap() + 1, all.len()))
        };
        let (hidden, shown) = (place(0), place(1));
        assert_eq!((hidden.line, hidden.column), (4, 3));
        assert_eq!((&*hidden.excerpt, hidden.width), ("", 0));
        assert_eq!((shown.line, &*shown.excerpt), (6, "  ops"));
    }

    #[test]
    fn what_is_not_text_is_refused_with_its_line() {
        let mut sources = Sources::default();
        let error = sources
            .add("x", b"a\nb\0c", &mut Findings::default())
            .unwrap_err();
        assert_eq!(
            error.message,
            "x: this is not a text file: line 2 has a zero byte"
        );
    }

    #[test]
    fn a_text_of_another_system_is_refused_with_the_way_out() {
        for (bytes, message, help) in [
            (
                &b"\xff\xfea\0=\0"[..],
                "x: this is UTF-16, not UTF-8",
                "convert it: iconv -f UTF-16 -t UTF-8",
            ),
            (
                b"a = 1\rb = 2\r",
                "x: its lines end in carriage returns without line feeds",
                "convert it: tr '\\r' '\\n'",
            ),
        ] {
            let error = Sources::default().add("x", bytes, &mut Findings::default());
            let error = error.unwrap_err();
            assert_eq!(
                (error.message.as_str(), error.help.as_deref()),
                (message, Some(help))
            );
        }
        assert_eq!(lines("a = 1\r"), ["a = 1"]);
    }

    #[test]
    fn latin_1_is_read_and_said_once() {
        let mut sources = Sources::default();
        let mut warnings = Findings::default();
        let lines = sources
            .add("x", b"a\n caf\xe9 \xe9", &mut warnings)
            .unwrap();
        assert_eq!(sources.text(lines.spans[1]), "caf\u{e9} \u{e9}");
        let warnings = warnings.into_sorted();
        assert_eq!(warnings.len(), 1);
        let place = warnings[0].place.as_ref().unwrap();
        assert_eq!((place.line, place.column), (2, 5));
    }

    #[test]
    fn one_file_too_many_is_said_with_the_way_out() {
        let mut sources = Sources::default();
        let mut add = || sources.add("x", b"", &mut Findings::default());
        assert!((0..SOURCES_MAX).all(|_| add().is_ok()));
        let error = add().unwrap_err();
        assert_eq!(error.message, "more than 65000 files are included");
        assert_eq!(
            error.help.as_deref(),
            Some("put the records into fewer files")
        );
    }

    /// The words of a line, each with its place.
    fn places(text: &str) -> Vec<(String, Place)> {
        let (sources, lines) = read(text);
        let line = lines.spans[0];
        let whole = sources.text(line);
        let mut at = 0;
        let words = whole.split(' ').map(|word| {
            let span = line.part(at, at + word.len());
            at += word.len() + 1;
            (word.to_owned(), sources.place(span))
        });
        words.collect()
    }

    #[test]
    fn work_grows_with_the_words_of_a_line_and_no_faster() {
        let written = |separator: &str, count: usize| {
            let words = (0..count).map(|it| format!("{separator}10.1.{}.{}", it / 250, it % 250));
            format!("hostgroup{}\n", words.collect::<String>())
        };
        for separator in [" ", " \\\n", "  \u{e9}"] {
            let cost = |count: usize| {
                let text = written(separator, count);
                crate::effort::visits(|| assert!(places(&text).len() > count))
            };
            let [some, more, most] = [1_000, 2_000, 3_000].map(cost);
            assert!(
                some > 0 && most - more == more - some,
                "{separator:?}: {some} {more} {most}"
            );
        }
    }

    #[test]
    fn a_place_in_a_long_line_is_as_in_a_short_one() {
        let words = |count: usize| {
            let words = (0..count).map(|it| format!(" h\u{f6}st{it:04}"));
            words.collect::<String>()
        };
        let (short, long) = (words(8), words(600));
        for (at, (word, place)) in places(&format!("hostgroup{long}\n"))
            .into_iter()
            .enumerate()
        {
            let column = if at == 0 { 1 } else { 11 + (at - 1) * 9 };
            assert_eq!(place.column as usize, column, "{word}");
            assert_eq!(place.width as usize, word.chars().count(), "{word}");
            let marked = place.excerpt.chars().skip(place.indent as usize);
            let marked: String = marked.take(place.width as usize).collect();
            assert_eq!(marked, word);
        }
        // One word that may hide something hides all of the line, wherever it was joined.
        for text in [
            format!("x{long} -P s3cret{long}\n"),
            format!("x{long} \\\n  -P s3cret \\\n {short}\n"),
            format!("x -P s3cret \\\n {long}\n"),
        ] {
            for (word, place) in places(&text) {
                assert_eq!((&*place.excerpt, place.width), ("", 0), "{word}");
                assert!(place.column > 0, "{word}");
            }
        }
    }

    #[test]
    fn an_empty_file_has_no_lines() {
        let (_, lines) = read("");
        assert_eq!((lines.spans.len(), lines.unfinished), (0, None));
    }
}
