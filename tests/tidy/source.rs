//! One Rust source file as the rules see it: comments and text in quotes blanked, the parts that
//! are compiled for tests only marked, paths found with `use` groups taken apart.
//!
//! Not a parser: it knows just enough of the language for the rules beside it.

use std::ops::Range;

/// One source file.
pub(super) struct Source {
    /// Path from the repository's root, with `/`.
    pub(super) path: String,
    /// The file as it is.
    pub(super) text: String,
    /// The same bytes, with comments and the inside of string literals replaced by blanks.
    pub(super) code: String,
    /// Byte ranges compiled for tests only.
    tests: Vec<Range<usize>>,
}

/// A path such as `std::fs::read` or `crate::model::Model` and where it stands.
pub(super) struct FoundPath {
    /// Offset in the code.
    pub(super) at: usize,
    /// Its segments.
    pub(super) segments: Vec<String>,
}

impl Source {
    /// Reads `text` as the content of `path`.
    pub(super) fn new(path: &str, text: &str) -> Source {
        let code = blank(text);
        let tests = if is_test_file(path) {
            std::iter::once(0..code.len()).collect()
        } else {
            test_items(&code)
        };
        Source {
            path: path.to_owned(),
            text: text.to_owned(),
            code,
            tests,
        }
    }

    /// The same file, compiled for tests only.
    pub(super) fn for_tests(mut self) -> Source {
        self.tests = std::iter::once(0..self.code.len()).collect();
        self
    }

    /// The line (from 1) of the byte at `offset`.
    pub(super) fn line(&self, offset: usize) -> usize {
        self.code[..offset].matches('\n').count() + 1
    }

    /// True when the byte at `offset` is compiled for tests only.
    pub(super) fn is_test(&self, offset: usize) -> bool {
        self.tests.iter().any(|range| range.contains(&offset))
    }

    /// Number of lines that are not for tests.
    pub(super) fn lines_without_tests(&self) -> usize {
        let all = self.code.lines().count();
        let tests: usize = self
            .tests
            .iter()
            .map(|range| self.code[range.clone()].lines().count())
            .sum();
        all.saturating_sub(tests)
    }

    /// Every path outside tests, those of `use` groups taken apart.
    pub(super) fn paths(&self) -> Vec<FoundPath> {
        let mut found = Vec::new();
        let mut at = 0;
        while at < self.code.len() {
            let rest = &self.code[at..];
            let word = word_at(rest);
            if word.is_empty() {
                at += rest.chars().next().map_or(1, char::len_utf8);
            } else if word == "use" {
                let end = rest.find(';').map_or(self.code.len(), |end| at + end);
                use_tree(&self.code, at + word.len()..end, &[], &mut found);
                at = end;
            } else {
                let (segments, length) = plain_path(rest);
                if segments.len() > 1 {
                    found.push(FoundPath { at, segments });
                }
                at += length;
            }
        }
        found.retain(|path| !self.is_test(path.at));
        found
    }
}

/// True for files that exist for tests only.
fn is_test_file(path: &str) -> bool {
    path.starts_with("tests/")
        || path.starts_with("benches/")
        || path.ends_with("/tests.rs")
        || path.contains("/tests/")
}

/// The identifier at the start of `text`, empty when there is none.
fn word_at(text: &str) -> &str {
    let end = text
        .find(|c: char| !c.is_alphanumeric() && c != '_')
        .unwrap_or(text.len());
    &text[..end]
}

/// The path `a::b::c` at the start of `text` and its length in bytes.
fn plain_path(text: &str) -> (Vec<String>, usize) {
    let mut segments = Vec::new();
    let mut length = 0;
    loop {
        let word = word_at(&text[length..]);
        if word.is_empty() {
            return (segments, length.max(1));
        }
        segments.push(word.to_owned());
        length += word.len();
        if !text[length..].starts_with("::") {
            return (segments, length);
        }
        length += 2;
    }
}

/// Takes the use tree in `range` apart; `prefix` stands before it.
fn use_tree(code: &str, range: Range<usize>, prefix: &[String], found: &mut Vec<FoundPath>) {
    let text = &code[range.clone()];
    let start = range.start + (text.len() - text.trim_start().len());
    let text = text.trim();
    let (own, length) = plain_path(text);
    let mut segments = prefix.to_vec();
    segments.extend(own);
    let rest = &text[length.min(text.len())..];
    let Some(open) = rest
        .find('{')
        .filter(|_| rest.trim_start().starts_with('{'))
    else {
        if !text.is_empty() {
            found.push(FoundPath {
                at: start,
                segments,
            });
        }
        return;
    };
    let inside = start + length + open + 1;
    let end = range
        .end
        .min(matching_brace(code, inside - 1).saturating_sub(1));
    let (mut depth, mut from) = (0_i32, inside);
    for at in inside..=end.max(inside) {
        match code.as_bytes().get(at) {
            Some(b'{') => depth += 1,
            Some(b'}') if depth > 0 => depth -= 1,
            Some(b',') if depth > 0 => {}
            Some(b',' | b'}') | None => {
                use_tree(code, from..at, &segments, found);
                from = at + 1;
            }
            Some(_) => {}
        }
    }
}

/// The end (behind the brace) of the block that opens at `open`.
fn matching_brace(code: &str, open: usize) -> usize {
    let mut depth = 0_i32;
    for (at, byte) in code.bytes().enumerate().skip(open) {
        depth += i32::from(byte == b'{') - i32::from(byte == b'}');
        if depth == 0 && byte == b'}' {
            return at + 1;
        }
    }
    code.len()
}

/// The ranges of what stands behind `#[cfg(test)]`: items, statements, fields and their values.
fn test_items(code: &str) -> Vec<Range<usize>> {
    const MARK: &str = "#[cfg(test)]";
    let mut ranges = Vec::new();
    let mut from = 0;
    while let Some(found) = code[from..].find(MARK) {
        let start = from + found;
        from = marked_end(code, start + MARK.len());
        ranges.push(start..from);
    }
    ranges
}

/// The end of what an attribute that ends at `from` belongs to: its block, semicolon or comma, or
/// the end of what holds it.
fn marked_end(code: &str, from: usize) -> usize {
    let mut depth = 0_i32;
    for (at, byte) in code.bytes().enumerate().skip(from) {
        match byte {
            b'(' | b'[' => depth += 1,
            b')' | b']' | b'}' if depth == 0 => return at,
            b')' | b']' => depth -= 1,
            b'{' if depth == 0 => return matching_brace(code, at),
            b';' | b',' if depth == 0 => return at + 1,
            _ => {}
        }
    }
    code.len()
}

/// Blanks comments and the inside of literals; keeps length, quotes and line ends.
fn blank(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = bytes.to_vec();
    let mut at = 0;
    while at < bytes.len() {
        let end = literal_end(bytes, at);
        if end == at {
            at += 1;
            continue;
        }
        let keep_ends = bytes[at] != b'/';
        for (offset, byte) in out[at..end].iter_mut().enumerate() {
            let is_end = keep_ends && (offset == 0 || at + offset + 1 == end);
            if *byte != b'\n' && !is_end {
                *byte = b' ';
            }
        }
        at = end;
    }
    String::from_utf8(out).expect("blanks replaced whole characters")
}

/// The end of the comment or literal that begins at `at`; `at` itself when none begins there.
fn literal_end(bytes: &[u8], at: usize) -> usize {
    let rest = &bytes[at..];
    let before = at.checked_sub(1).map_or(b' ', |before| bytes[before]);
    let after_word = before.is_ascii_alphanumeric() || before == b'_';
    if rest.starts_with(b"//") {
        return at + rest.iter().position(|b| *b == b'\n').unwrap_or(rest.len());
    }
    if rest.starts_with(b"/*") {
        return block_comment_end(bytes, at);
    }
    if rest[0] == b'r' && !(after_word && before != b'b') {
        let hashes = rest[1..].iter().take_while(|b| **b == b'#').count();
        if rest.get(1 + hashes) == Some(&b'"') {
            let close = format!("\"{}", "#".repeat(hashes));
            let from = at + hashes + 2;
            return find(bytes, from, close.as_bytes())
                .map_or(bytes.len(), |end| end + close.len());
        }
    }
    match rest[0] {
        b'"' => quoted_end(bytes, at, b'"'),
        // A character, not a lifetime: it closes after one character or an escape.
        b'\'' if rest.get(1) == Some(&b'\\') => quoted_end(bytes, at, b'\''),
        b'\'' => {
            let tail = String::from_utf8_lossy(&rest[1..rest.len().min(6)]).into_owned();
            let width = tail.chars().next().map_or(0, char::len_utf8);
            if width > 0 && rest.get(1 + width) == Some(&b'\'') {
                at + width + 2
            } else {
                at
            }
        }
        _ => at,
    }
}

fn quoted_end(bytes: &[u8], at: usize, quote: u8) -> usize {
    let mut end = at + 1;
    while end < bytes.len() {
        match bytes[end] {
            b'\\' => end += 2,
            byte if byte == quote => return end + 1,
            _ => end += 1,
        }
    }
    bytes.len()
}

fn block_comment_end(bytes: &[u8], at: usize) -> usize {
    let (mut depth, mut end) = (0, at);
    while end < bytes.len() {
        if bytes[end..].starts_with(b"/*") {
            depth += 1;
            end += 2;
        } else if bytes[end..].starts_with(b"*/") {
            depth -= 1;
            end += 2;
            if depth == 0 {
                return end;
            }
        } else {
            end += 1;
        }
    }
    bytes.len()
}

fn find(bytes: &[u8], from: usize, wanted: &[u8]) -> Option<usize> {
    (from..bytes.len()).find(|at| bytes[*at..].starts_with(wanted))
}

mod tests {
    use super::*;

    #[test]
    fn comments_and_quotes_are_blanked_and_code_is_not() {
        let text =
            "let a = \"x.unwrap()\"; // b.unwrap()\nlet c = r#\"d \" e\"#; 'f' /* g /* h */ */ i";
        let code = blank(text);
        assert_eq!(code.len(), text.len());
        assert!(!code.contains("unwrap"), "{code}");
        assert!(
            !code.contains('g') && !code.contains('h') && !code.contains('d'),
            "{code}"
        );
        assert!(code.contains("let c") && code.ends_with('i'), "{code}");
    }

    #[test]
    fn a_lifetime_does_not_open_a_literal() {
        assert_eq!(blank("fn f<'a>(x: &'a str) {}"), "fn f<'a>(x: &'a str) {}");
        assert_eq!(blank(r"b'\'' 'x' + y"), "b'  ' ' ' + y");
    }

    #[test]
    fn use_groups_are_taken_apart() {
        let source = Source::new(
            "src/a.rs",
            "use std::{fs, net::{IpAddr, TcpStream as T}};\nfn f() { std::env::var(\"x\"); }",
        );
        let found: Vec<String> = source
            .paths()
            .iter()
            .map(|path| format!("{}:{}", source.line(path.at), path.segments.join("::")))
            .collect();
        assert_eq!(
            found,
            [
                "1:std::fs",
                "1:std::net::IpAddr",
                "1:std::net::TcpStream",
                "2:std::env::var"
            ]
        );
    }

    #[test]
    fn test_modules_are_known_with_their_braces() {
        let source = Source::new(
            "src/a.rs",
            "fn f() {}\n#[cfg(test)]\nmod tests {\n  fn g() { std::fs::x(); }\n}\nfn h() { std::fs::y(); }\n",
        );
        assert_eq!(source.paths().len(), 1);
        assert_eq!(source.lines_without_tests(), 2);
    }

    #[test]
    fn a_field_for_tests_ends_with_its_comma() {
        let source = Source::new(
            "src/a.rs",
            "struct A {\n  #[cfg(test)]\n  seen: Cell<(u8, u8)>,\n  other: std::fs::File,\n}\nfn f() {}\n",
        );
        assert_eq!(source.paths().len(), 1);
        assert_eq!(source.lines_without_tests(), 4);
    }

    #[test]
    fn a_last_field_for_tests_ends_with_its_struct() {
        let source = Source::new(
            "src/a.rs",
            "fn f() -> A {\n  A {\n    #[cfg(test)]\n    seen: g(1, 2)\n  }\n}\nfn h() { std::fs::y(); }\n",
        );
        assert_eq!(source.paths().len(), 1);
    }
}
