//! How is text kept short, on one line, and in words?

/// The beginning of a text, at most `most` bytes of it, ending between characters.
#[must_use]
pub fn cut(text: &str, most: usize) -> &str {
    let mut end = text.len().min(most);
    while !text.is_char_boundary(end) {
        end = end.saturating_sub(1);
    }
    text.get(..end).unwrap_or_default()
}

/// The same in place; the memory of the rest is kept.
pub fn shorten(text: &mut String, most: usize) {
    let end = cut(text, most).len();
    text.truncate(end);
}

/// So many of them, in words: `no mistakes`, `1 mistake`, `2 mistakes`.
#[must_use]
pub fn counted(count: impl TryInto<u64>, word: &str) -> String {
    match count.try_into().unwrap_or(u64::MAX) {
        0 => format!("no {word}s"),
        1 => format!("1 {word}"),
        many => format!("{many} {word}s"),
    }
}

/// Whether a letter does something to a line in place of standing in it: control characters, and
/// those of Unicode that turn the direction of what follows or are not seen. The two joiners,
/// which some scripts are written with, are none of them.
fn is_unseen(letter: char) -> bool {
    letter.is_control()
        || matches!(
            letter,
            '\u{61c}'
                | '\u{200b}'
                | '\u{200e}'
                | '\u{200f}'
                | '\u{2028}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}'
                | '\u{feff}'
                | '\u{fff9}'..='\u{fffb}'
                | '\u{e0000}'..='\u{e007f}'
        )
}

/// Text without line ends, other control characters and what turns or hides text: each is a blank.
#[must_use]
pub fn one_line(text: &str) -> String {
    text.chars()
        .map(|letter| if is_unseen(letter) { ' ' } else { letter })
        .collect()
}

/// The same, but tabs stay, as in mon's files.
#[must_use]
pub fn one_line_with_tabs(text: &str) -> String {
    text.chars()
        .map(|letter| match letter {
            '\t' => letter,
            _ if is_unseen(letter) => ' ',
            _ => letter,
        })
        .collect()
}

/// A line that mon's quoting rules split into these words.
#[must_use]
pub fn words_line(words: &[String]) -> String {
    let mut line = String::new();
    for word in words {
        if !line.is_empty() {
            line.push(' ');
        }
        let is_plain =
            |letter: char| !letter.is_whitespace() && !matches!(letter, '"' | '\'' | '\\');
        if !word.is_empty() && word.chars().all(is_plain) {
            line.push_str(word);
            continue;
        }
        line.push('"');
        for letter in word.chars() {
            if matches!(letter, '"' | '\\') {
                line.push('\\');
            }
            line.push(letter);
        }
        line.push('"');
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_cut_between_characters() {
        for (text, most, expected) in [
            ("", 3, ""),
            ("abc", 3, "abc"),
            ("abcd", 3, "abc"),
            ("a\u{e4}b", 2, "a"),
            ("a\u{e4}b", 3, "a\u{e4}"),
            ("\u{1f600}", 3, ""),
            ("abc", 0, ""),
        ] {
            assert_eq!(cut(text, most), expected, "{text:?}");
            let mut short = text.to_owned();
            shorten(&mut short, most);
            assert_eq!(short, expected, "{text:?}");
        }
    }

    #[test]
    fn words_are_quoted_where_they_have_to_be() {
        let words = ["x", "y z", "", "q\"\\", "it's", "-a=b;c"].map(str::to_owned);
        assert_eq!(words_line(&words), r#"x "y z" "" "q\"\\" "it's" -a=b;c"#);
        assert_eq!(words_line(&[]), "");
    }

    #[test]
    fn a_line_has_no_control_characters() {
        assert_eq!(one_line("a\nb\r\tc\u{7f}\u{85}\u{e4}"), "a b  c  \u{e4}");
        // Nor any that turns or hides what a person reads; a joiner makes letters of some scripts.
        assert_eq!(
            one_line("a\u{202e}b\u{2066}c\u{200b}\u{feff}d\u{200d}"),
            "a b c  d\u{200d}"
        );
        assert_eq!(one_line_with_tabs("a\t\u{202e}b\n"), "a\t b ");
    }
}
