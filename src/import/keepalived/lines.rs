//! How do files, conditions and definitions become lines?
//!
//! Comments (`#` and `!` outside of quotes), continuation by a backslash, `include`, lines for
//! one machine only (`@id`, `@^id`), definitions (`$NAME=...`) and their use. `~SEQ` and `~LST`
//! are not followed, which is said. Bounded: [`LINES_MAX`], [`LINE_MAX`], [`DEPTH_MAX`].

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::import::{Files, Include, Place, Reading, Remarks, TEXT_MAX, shown, text_of};

/// Lines of all files together, definitions used.
const LINES_MAX: usize = 400_000;

/// Bytes of a line when its definitions are in place.
const LINE_MAX: usize = 64 * 1024;

/// Files inside of files, and definitions inside of definitions.
const DEPTH_MAX: usize = 16;

/// Files of one configuration: one for each virtual server is plenty.
const FILES_MAX: usize = 2_000;

/// Bytes that definitions may add, so that they cannot grow from each other for ever.
const GROWTH_MAX: usize = TEXT_MAX;

/// A line without comments.
#[derive(Debug)]
pub(super) struct Line {
    pub(super) place: Place,
    pub(super) text: String,
}

/// The lines of a file and those that it includes.
pub(super) fn read(
    file: &Arc<str>,
    text: &str,
    reading: &Reading,
    files: Files<'_>,
    remarks: &mut Remarks,
) -> Vec<Line> {
    let mut reader = Reader {
        id: reading.config_id.as_deref(),
        files,
        remarks,
        definitions: BTreeMap::new(),
        lines: Vec::new(),
        grown: 0,
        is_full: false,
        read: text.len(),
        files_read: 0,
        open: Vec::new(),
    };
    reader.file(file, text, 0);
    reader.lines
}

struct Reader<'a, 'f> {
    id: Option<&'a str>,
    files: Files<'f>,
    remarks: &'a mut Remarks,
    /// What stands for each name; several lines where it was continued.
    definitions: BTreeMap<String, String>,
    lines: Vec<Line>,
    grown: usize,
    is_full: bool,
    /// Bytes of all files.
    read: usize,
    files_read: usize,
    /// What the files hold that are being read, the innermost last. A file is known by that: its
    /// name may be written in many ways.
    open: Vec<Arc<str>>,
}

impl Reader<'_, '_> {
    fn file(&mut self, file: &Arc<str>, text: &str, depth: usize) {
        self.open.push(Arc::from(text));
        self.lines_of(file, text, depth);
        self.open.pop();
    }

    fn lines_of(&mut self, file: &Arc<str>, text: &str, depth: usize) {
        let mut lines = text.lines().enumerate();
        while let Some((index, line)) = lines.next() {
            let place = Place {
                file: Arc::clone(file),
                line: index + 1,
            };
            let mut code = without_comment(line).trim().to_owned();
            // Continued lines are one, with a line end in it where a definition needs it.
            while let Some(rest) = code.strip_suffix('\\') {
                code.truncate(rest.trim_end().len());
                let Some((_, next)) = lines.next() else {
                    break;
                };
                code.push('\n');
                code.push_str(without_comment(next).trim());
                if code.len() > LINE_MAX {
                    break;
                }
            }
            self.line(&place, &code, depth);
            if self.is_full {
                return;
            }
        }
    }

    fn line(&mut self, place: &Place, code: &str, depth: usize) {
        let Some(code) = self.condition(place, code) else {
            return;
        };
        if code.is_empty() {
            return;
        }
        if let Some((name, value)) = definition(code) {
            let value = value.trim_matches('\n').to_owned();
            self.definitions.insert(name.to_owned(), value);
            return;
        }
        if code.starts_with("~SEQ") || code.starts_with("~LST") {
            let text = "~SEQ and ~LST are not followed; write the lines out";
            self.remarks.lost(place, text);
            return;
        }
        if let Some(pattern) = include(code) {
            self.include(place, pattern, depth);
            return;
        }
        if code.contains('$') && !self.definitions.is_empty() {
            self.substituted(place, code, depth);
        } else {
            // Outside of definitions a continued line is one.
            self.push(place, &code.replace('\n', " "));
        }
    }

    /// The line without its condition, where it counts on this machine.
    fn condition<'c>(&mut self, place: &Place, code: &'c str) -> Option<&'c str> {
        let Some(rest) = code.strip_prefix('@') else {
            return Some(code);
        };
        let (id, rest) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
        let (is_not, id) = match id.strip_prefix('^') {
            Some(id) => (true, id),
            None => (false, id),
        };
        let counts = (self.id == Some(id)) != is_not;
        if self.id.is_none() {
            let taken = if counts { "taken" } else { "left out" };
            let text = format!(
                "a line for {}\"{}\" is {taken}; --id NAME says which machine is meant",
                if is_not { "all but " } else { "" },
                shown(id)
            );
            self.remarks.lost(place, text);
        }
        counts.then(|| rest.trim())
    }

    fn include(&mut self, place: &Place, pattern: &str, depth: usize) {
        if depth >= DEPTH_MAX {
            let text = format!("files are included more than {DEPTH_MAX} deep");
            self.remarks.lost(place, text);
            return;
        }
        let wanted = Include {
            from: Arc::clone(&place.file),
            pattern: pattern.to_owned(),
        };
        match (self.files)(&wanted) {
            Err(why) => {
                let text = format!("include {}: {why}", shown(pattern));
                self.remarks.lost(place, text);
            }
            Ok(list) => {
                if list.is_empty() {
                    let text = format!("include {}: no file has such a name", shown(pattern));
                    self.remarks.lost(place, text);
                }
                for (name, bytes) in list {
                    self.read = self.read.saturating_add(bytes.len());
                    self.files_read += 1;
                    if self.read > TEXT_MAX || self.files_read > FILES_MAX {
                        let text = format!(
                            "more than {FILES_MAX} files, or {TEXT_MAX} bytes in all of them"
                        );
                        self.remarks.lost(place, text);
                        self.is_full = true;
                        return;
                    }
                    self.included(place, pattern, (&name, &bytes), depth);
                }
            }
        }
    }

    fn included(&mut self, place: &Place, pattern: &str, file: (&str, &[u8]), depth: usize) {
        let (name, bytes) = file;
        let pattern = shown(pattern);
        let text = match text_of(bytes) {
            Ok(text) => text,
            Err(why) => {
                let text = format!("include {pattern}: {}: {why}", shown(name));
                self.remarks.lost(place, text);
                return;
            }
        };
        if let Some(at) = self.open.iter().rposition(|open| **open == *text) {
            let way = if at + 1 == self.open.len() {
                ""
            } else {
                ", by way of others"
            };
            let text = format!(
                "include {pattern}: {} is being read already: it includes itself{way}",
                shown(name)
            );
            self.remarks.lost(place, text);
            return;
        }
        self.file(&Arc::from(name), &text, depth + 1);
    }

    /// Definitions put in place, each of the lines that come of it read like any other.
    fn substituted(&mut self, place: &Place, code: &str, depth: usize) {
        let Some(text) = self.replaced(code) else {
            self.push(place, &code.replace('\n', " "));
            return;
        };
        self.grown = self.grown.saturating_add(text.len());
        let too_much = depth >= DEPTH_MAX || text.len() > LINE_MAX || self.grown > GROWTH_MAX;
        if too_much {
            self.remarks
                .lost(place, "definitions grow from each other without an end");
            return;
        }
        for part in text.split('\n') {
            self.line(place, part.trim(), depth + 1);
            if self.is_full {
                return;
            }
        }
    }

    /// The first definition in its place; none where there is none. `line` looks for the next.
    fn replaced(&self, code: &str) -> Option<String> {
        for (at, _) in code.match_indices('$') {
            let rest = code.get(at + 1..)?;
            let (name, after) = match rest.strip_prefix('{') {
                Some(rest) => rest.split_once('}')?,
                None => {
                    let end = rest.find(|it: char| !is_name(it)).unwrap_or(rest.len());
                    rest.split_at_checked(end)?
                }
            };
            let builtin = match name {
                "_HASH" => Some("#"),
                "_BANG" => Some("!"),
                _ => None,
            };
            let own = self.definitions.get(name).map(String::as_str);
            if let Some(value) = builtin.or(own) {
                let before = code.get(..at)?;
                return Some(format!("{before}{value}{after}"));
            }
        }
        None
    }

    fn push(&mut self, place: &Place, text: &str) {
        if self.lines.len() >= LINES_MAX {
            if !self.is_full {
                let text = format!("more than {LINES_MAX} lines; the rest is not read");
                self.remarks.lost(place, text);
            }
            self.is_full = true;
            return;
        }
        self.lines.push(Line {
            place: place.clone(),
            text: text.to_owned(),
        });
    }
}

const fn is_name(letter: char) -> bool {
    letter.is_ascii_alphanumeric() || letter == '_'
}

/// `$NAME=VALUE`
fn definition(code: &str) -> Option<(&str, &str)> {
    let (name, value) = code.strip_prefix('$')?.split_once('=')?;
    let is_one = !name.is_empty() && name.chars().all(is_name);
    is_one.then_some((name, value))
}

/// Whether a line includes other files.
pub(in crate::import) fn is_include(line: &str) -> bool {
    include(line).is_some()
}

/// What an `include` names; the variants differ in what they complain of.
fn include(code: &str) -> Option<&str> {
    let (word, pattern) = code.split_once(char::is_whitespace)?;
    let words = [
        "include", "includer", "includem", "includew", "includeb", "includea",
    ];
    words
        .contains(&word)
        .then(|| pattern.trim().trim_matches('"'))
}

/// The line up to a `#` or `!` outside of quotes.
fn without_comment(line: &str) -> &str {
    let mut quote = None;
    let mut is_escaped = false;
    for (at, letter) in line.char_indices() {
        match (letter, quote) {
            _ if is_escaped => is_escaped = false,
            ('\\', Some(_)) => is_escaped = true,
            ('"' | '\'', None) => quote = Some(letter),
            (_, Some(open)) if letter == open => quote = None,
            ('#' | '!', None) => return line.get(..at).unwrap_or_default(),
            _ => {}
        }
    }
    // A quote that nothing closes (an apostrophe, say) hides no comment.
    match quote {
        Some(_) => line.split(" #").next().unwrap_or(line),
        None => line,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_all(text: &str, id: Option<&str>) -> (Vec<String>, usize) {
        let mut remarks = Remarks::default();
        let reading = Reading {
            format: None,
            config_id: id.map(str::to_owned),
        };
        let mut files = |include: &Include| match include.pattern.as_str() {
            "conf.d/*" => Ok(vec![(
                "conf.d/a".to_owned(),
                b"inner\ninclude self".to_vec(),
            )]),
            "self" => Ok(vec![("self".to_owned(), b"include self".to_vec())]),
            _ => Err("no such file".to_owned()),
        };
        let lines = read(&"f".into(), text, &reading, &mut files, &mut remarks);
        let lines = lines.into_iter().map(|line| line.text).collect();
        (lines, remarks.list.len())
    }

    #[test]
    fn comments_go_and_quotes_keep_theirs() {
        let text = "a # b\n! c\nd \"e # f\" g ! h\n\r\n\ti\r\nj 'k'#l\nit's # m";
        let expected = ["a", "d \"e # f\" g", "i", "j 'k'", "it's"];
        assert_eq!(
            read_all(text, None),
            (expected.map(str::to_owned).to_vec(), 0)
        );
    }

    #[test]
    fn lines_for_other_machines_are_left_out() {
        let text = "@main a\n@spare b\n@^main c\n@^spare d";
        let all = |id| read_all(text, id);
        assert_eq!(all(Some("main")), (vec!["a".to_owned(), "d".to_owned()], 0));
        assert_eq!(all(None), (vec!["c".to_owned(), "d".to_owned()], 4));
    }

    #[test]
    fn definitions_stand_for_lines() {
        let text = "$N=1\n$RS= \\\nreal 10.0.0.${N} { \\\n weight $W \\\n}\n$W=5\n$RS\n$N=2\n$RS\n\
                    path $UNKNOWN ${_HASH}x";
        let (lines, lost) = read_all(text, None);
        let expected = [
            "real 10.0.0.1 {",
            "weight 5",
            "}",
            "real 10.0.0.2 {",
            "weight 5",
            "}",
            "path $UNKNOWN #x",
        ];
        assert_eq!((lines, lost), (expected.map(str::to_owned).to_vec(), 0));
    }

    #[test]
    fn nothing_grows_without_an_end() {
        let (lines, lost) = read_all("$A=${A}${A}\nx $A", None);
        assert!(lines.is_empty() && lost > 0, "{lines:?}");
        let (lines, lost) = read_all("include conf.d/*\ninclude none", None);
        assert_eq!((lines, lost), (vec!["inner".to_owned()], 2));
    }
}
