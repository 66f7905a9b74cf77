//! How is text written so that it fits between two blanks?
//!
//! mon's own rule: a byte that is a blank, a control character, above `~` or a quote becomes
//! a backslash and two hexadecimal digits (docs/mon.md, "Client protocol"). Bytes and not
//! characters, so a two-byte letter becomes two escapes.

use std::fmt::Write as _;

/// Appends `text` for a list whose readers undo nothing but the escapes: histories, hosts.
/// A backslash stays as it is.
pub fn plain(out: &mut String, text: &str) {
    escape(out, text, false);
}

/// Appends `text` for the fields of a service. A backslash is doubled, which no reader undoes
/// (P-6).
pub fn field(out: &mut String, text: &str) {
    escape(out, text, true);
}

/// What is to be escaped lies outside `!` to `~`, or is a quote.
fn escape(out: &mut String, text: &str, doubles: bool) {
    for byte in text.bytes() {
        match byte {
            b'\\' if doubles => out.push_str("\\\\"),
            b'"' | b'\'' => hex(out, byte),
            b'!'..=b'~' => out.push(char::from(byte)),
            _ => hex(out, byte),
        }
    }
}

fn hex(out: &mut String, byte: u8) {
    // Writing to a string cannot fail.
    let _ = write!(out, "\\{byte:02x}");
}

/// Undoes the escapes: a backslash and two lower-case hexadecimal digits are one byte, all else
/// stays, a doubled backslash included (P-6). What is not UTF-8 then is replaced.
#[must_use]
pub fn undo(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, behind)) = rest.split_first() {
        match behind {
            [high, low, ..] if first == b'\\' => {
                if let (Some(high), Some(low)) = (digit(*high), digit(*low)) {
                    bytes.push(high * 16 + low);
                    rest = behind.get(2..).unwrap_or_default();
                    continue;
                }
            }
            _ => {}
        }
        bytes.push(first);
        rest = behind;
    }
    match String::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) => String::from_utf8_lossy(error.as_bytes()).into_owned(),
    }
}

/// Upper-case digits are none: mon leaves `\4A` as it is.
const fn digit(byte: u8) -> Option<u8> {
    match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    }
}

/// The value of `ack` and `set`, from the rest of the request (P-9).
///
/// A value that begins with a quote is one word as a shell reads it: text between single quotes
/// as it is, between double quotes with a backslash before what is literal, and what stands
/// beside them without a blank (`'it''s'`). Any other is the whole rest of the line with the
/// backslashes taken off. A quote that is never closed is closed by the end of the line. Then
/// the escapes are undone.
#[must_use]
pub fn value(rest: &str) -> String {
    let rest = rest.trim();
    let text = if rest.starts_with(['\'', '"']) {
        word(rest)
    } else {
        unquoted(rest)
    };
    undo(&text)
}

/// Up to the first blank outside of quotes.
fn word(text: &str) -> String {
    let mut value = String::with_capacity(text.len());
    let mut open = None;
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        match (character, open) {
            (quote, Some(opened)) if quote == opened => open = None,
            (quote @ ('\'' | '"'), None) => open = Some(quote),
            (blank, None) if blank.is_ascii_whitespace() => break,
            ('\\', _) => {
                if open == Some('\'') {
                    value.push(character);
                }
                // A backslash at the end stands for itself.
                value.extend(characters.next());
            }
            (letter, _) => value.push(letter),
        }
    }
    value
}

fn unquoted(text: &str) -> String {
    let mut value = String::with_capacity(text.len());
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        if character == '\\' {
            value.extend(characters.next());
        } else {
            value.push(character);
        }
    }
    value
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn plain_of(text: &str) -> String {
        let mut out = String::new();
        plain(&mut out, text);
        out
    }

    fn field_of(text: &str) -> String {
        let mut out = String::new();
        field(&mut out, text);
        out
    }

    #[test]
    fn blanks_quotes_controls_and_high_bytes_are_escaped() {
        for (text, escaped) in [
            ("", ""),
            ("h1 h2", "h1\\20h2"),
            ("it's \"down\"", "it\\27s\\20\\22down\\22"),
            ("a\nb\tc\r", "a\\0ab\\09c\\0d"),
            ("~}|{ \u{7f}", "~}|{\\20\\7f"),
            ("gr\u{fc}n", "gr\\c3\\bcn"),
            ("&$(;)", "&$(;)"),
        ] {
            assert_eq!(plain_of(text), escaped, "{text:?}");
            assert_eq!(field_of(text), escaped, "{text:?}");
        }
    }

    #[test]
    fn a_backslash_is_doubled_in_fields_only() {
        assert_eq!(plain_of("timeout \\ 3s"), "timeout\\20\\\\203s");
        assert_eq!(field_of("timeout \\ 3s"), "timeout\\20\\\\\\203s");
    }

    #[test]
    fn only_lower_case_escapes_are_undone() {
        for (text, undone) in [
            ("some\\20text", "some text"),
            ("a\\41b", "aAb"),
            ("a\\4Ab\\zz\\", "a\\4Ab\\zz\\"),
            ("\\\\5c", "\\\\"),
            ("gr\\c3\\bcn", "gr\u{fc}n"),
            ("\\ff", "\u{fffd}"),
            ("\\4", "\\4"),
            ("\\\u{e9}9", "\\\u{e9}9"),
        ] {
            assert_eq!(undo(text), undone, "{text:?}");
        }
    }

    #[test]
    fn a_value_is_quoted_text_or_the_rest_of_the_line() {
        for (rest, expected) in [
            ("mine", "mine"),
            ("  on it now  ", "on it now"),
            ("first\\20words", "first20words"),
            ("'some\\20text' tail", "some text"),
            ("'it\\41 \\\\ b\\20\\5c' c", "itA \\\\ b \\"),
            ("\"it\\41 \\\\ b\" c", "it41 \\ b"),
            ("\"say \\\"x\\\"\"", "say \"x\""),
            ("it's here", "it's here"),
            ("'it''s' here", "its"),
            ("'it'\\'\"s \\\"x\"y z", "it's \"xy"),
            ("'never closed", "never closed"),
            ("'ends with \\", "ends with \\"),
            ("''", ""),
            ("", ""),
            ("\\", ""),
            // As mon's first word has them: a backslash is taken off, and then escapes are undone.
            ("a\\b", "ab"),
            ("a\\\\b", "a\\b"),
            ("\\41", "41"),
            ("\\\\41", "A"),
            ("C:\\temp\\new", "C:tempnew"),
            ("one\\ two", "one two"),
            ("\"x\\\\y\\\"z\"", "x\\y\"z"),
            // Where mon takes "text" alone (P-9).
            (
                "text with \\\\ and \"quotes\"",
                "text with \\ and \"quotes\"",
            ),
        ] {
            assert_eq!(value(rest), expected, "{rest:?}");
        }
    }

    proptest! {
        #[test]
        fn what_is_escaped_is_one_word_of_printable_bytes(text in any::<String>()) {
            for escaped in [plain_of(&text), field_of(&text)] {
                prop_assert!(escaped.bytes().all(|byte| byte.is_ascii_graphic()), "{escaped}");
                prop_assert!(!escaped.contains(['"', '\'']), "{escaped}");
            }
        }

        #[test]
        fn text_without_a_backslash_comes_back(text in "[^\\\\]*") {
            prop_assert_eq!(undo(&plain_of(&text)), text.clone());
            prop_assert_eq!(undo(&field_of(&text)), text);
        }

        #[test]
        fn what_the_library_sends_in_quotes_comes_back(text in "[^\\\\\0]*") {
            let sent = format!("'{}'", plain_of(&text));
            prop_assert_eq!(value(&sent), text);
        }

        #[test]
        fn no_value_panics(text in any::<String>()) {
            let _ = (value(&text), undo(&text));
        }
    }
}
