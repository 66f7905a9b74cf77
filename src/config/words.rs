//! The words of a `monitor` or `alert` line, as a shell splits them without any expansion.
//!
//! The grammar is `words` in `statement.pest`; the rules are those of Perl's `shellwords`
//! (docs/mon.md, "Reading"). An unbalanced quote is an error here; in mon it makes the
//! whole line vanish (C-19).

use pest::Parser;
use pest::iterators::Pair;

use crate::config::lines::Span;
use crate::config::syntax::{Grammar, Rule, part_of};

/// A word without its quotes, and where it stands with them.
#[derive(Debug, PartialEq)]
pub(crate) struct Word {
    pub(crate) text: String,
    pub(crate) span: Span,
}

/// Splits the text of a span.
///
/// # Errors
///
/// The place of a quote or backslash that nothing closes.
pub(crate) fn split(text: &str, span: Span) -> Result<Vec<Word>, Span> {
    let parsed = Grammar::parse(Rule::words, text)
        .ok()
        .and_then(|mut pairs| pairs.next());
    let Some(line) = parsed else {
        unreachable!("words and an unclosed rest together take any text");
    };
    let mut words = Vec::new();
    for pair in line.into_inner() {
        if pair.as_rule() == Rule::unclosed {
            return Err(part_of(span, &pair));
        }
        if pair.as_rule() == Rule::word {
            words.push(Word {
                span: part_of(span, &pair),
                text: unquoted(pair),
            });
        }
    }
    Ok(words)
}

fn unquoted(word: Pair<'_, Rule>) -> String {
    let mut text = String::with_capacity(word.as_str().len());
    let mut open = vec![word.into_inner()];
    while let Some(level) = open.last_mut() {
        let Some(part) = level.next() else {
            open.pop();
            continue;
        };
        let is_letters = matches!(
            part.as_rule(),
            Rule::plain | Rule::double_plain | Rule::single_plain | Rule::any
        );
        if is_letters {
            text.push_str(part.as_str());
        } else {
            open.push(part.into_inner());
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use crate::config::diagnostic::Findings;
    use crate::config::lines::Sources;

    use super::*;

    fn split_text(text: &str) -> Result<Vec<String>, String> {
        let mut sources = Sources::default();
        let lines = sources
            .add("f", text.as_bytes(), &mut Findings::default())
            .unwrap();
        let line = lines.spans[0];
        match split(sources.text(line), line) {
            Ok(words) => Ok(words.into_iter().map(|word| word.text).collect()),
            Err(span) => Err(sources.text(span).to_owned()),
        }
    }

    #[test]
    fn words_are_split_as_a_shell_splits_them() {
        let cases: [(&str, &[&str]); 10] = [
            (
                r#"t.monitor basic -x 'two words' "dq \"q\"""#,
                &["t.monitor", "basic", "-x", "two words", "dq \"q\""],
            ),
            (r#"a"b c"d"#, &["ab cd"]),
            (r#"a "" '' b"#, &["a", "", "", "b"]),
            (r"a\ b \\ \x", &["a b", "\\", "x"]),
            (r"'a\b'", &["a\\b"]),
            (r#""a\b""#, &["ab"]),
            (r#""it's" '"'"#, &["it's", "\""]),
            ("$HOME * ~ `x`", &["$HOME", "*", "~", "`x`"]),
            ("a\t b", &["a", "b"]),
            ("é 'ü ö'", &["é", "ü ö"]),
        ];
        for (text, words) in cases {
            assert_eq!(split_text(text).unwrap(), words, "{text}");
        }
    }

    #[test]
    fn what_is_not_closed_is_named() {
        let cases = [
            (r#"a "b c"#, "\"b c"),
            (r#"a b"c"#, "\"c"),
            ("it's", "'s"),
            (r#""a\""#, "\"a\\\""),
        ];
        for (text, rest) in cases {
            assert_eq!(split_text(text).unwrap_err(), rest, "{text}");
        }
    }
}
