//! Which words of `auth.cf` and the user file may be shown?
//!
//! One that stands in the place of a name may be a hash or a password, as where the two files are
//! taken for each other. Errs on the side of hiding.

/// The longest word that is shown whatever its letters: a digest in hexadecimal has 32 digits and
/// more.
const SHORT_MAX: usize = 31;

/// The longest name that is shown: an address of mail, which is the longest that people log in
/// with, rarely has more.
const NAME_MAX: usize = 64;

/// What is surely a name.
pub(crate) fn name(word: &str) -> Option<&str> {
    let is_of_name = |c: char| c.is_alphanumeric() || ".-_@+".contains(c);
    let is_of_words = |part: &str| {
        let is_word = part
            .chars()
            .all(|c| !c.is_ascii_digit() && !c.is_ascii_uppercase());
        let is_number = part.len() <= 4 && part.bytes().all(|byte| byte.is_ascii_digit());
        is_word || is_number
    };
    // No digest has its letters and its digits in parts of their own.
    let is_long_name =
        || word.len() <= NAME_MAX && word.split(['.', '-', '_', '@']).all(is_of_words);
    let is_such = !word.is_empty() && word.chars().all(is_of_name);
    let is_fit = is_such && (word.len() <= SHORT_MAX || is_long_name());
    (is_fit && !may_be_hash(word)).then_some(word)
}

/// Whether a word may be a hash of crypt(3): all have a `$` but those of DES, which are 13 digits
/// of a base 64, and those of BSD, which are 20 behind a `_`.
pub(crate) fn may_be_hash(word: &str) -> bool {
    let is_digit = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'/');
    let is_mixed = || word.bytes().any(|byte| !byte.is_ascii_lowercase());
    let digits = word.strip_prefix('_').unwrap_or(word);
    let is_old = matches!(digits.len(), 13 | 19) && digits.bytes().all(is_digit) && is_mixed();
    word.contains('$') || is_old
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_short_and_clean_and_no_hash() {
        for word in [
            "ann",
            "ann.b-c_d@example.org",
            "administrator",
            "b\u{fc}cher",
            "x1",
            "ann+ops",
            "a-user-with-a-name-of-32-letters",
            "somebody.whose.name.is.an.address@mail.example.org",
        ] {
            assert_eq!(name(word), Some(word));
        }
        for word in [
            "",
            "$6$salt$s3cret",
            "ann:s3cret",
            "s3cret one",
            "s3/cret",
            "a\0b",
            "{SSHA}s3cret",
            "abNANd1rDfiNc",
            "_J9..CCCCXBrJUJV154M",
            "5f4dcc3b5aa765d61d8327deb882cf99",
            "X03MO1qnZdYdgyfeuILPmQX03MO1qnZdYdg",
        ] {
            assert_eq!(name(word), None, "{word}");
        }
        for word in [
            "$1$x",
            "abNANd1rDfiNc",
            "ab/ANd1rDfiNc",
            "_J9..CCCCXBrJUJV154M",
        ] {
            assert!(may_be_hash(word), "{word}");
        }
        assert!(!may_be_hash("ann") && !may_be_hash("administrator"));
    }
}
