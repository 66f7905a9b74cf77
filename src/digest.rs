//! What is a text in short, the same in every life and on every machine?
//!
//! The beginning of a SHA-256: no two texts have the same by chance. Nobody is kept from making
//! two on purpose, so it stands for nothing that a stranger may choose.

use std::fmt;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

/// Bytes that are kept.
const BYTES: usize = 8;

/// A text, in short. In words sixteen hexadecimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Digest(u64);

impl Digest {
    /// Of a text as a whole.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        Self::beginning(&Sha256::digest(bytes))
    }

    /// Of a list: two lists that are one text when put together have two.
    #[must_use]
    pub fn of_list<'a>(parts: impl IntoIterator<Item = &'a str>) -> Self {
        let mut hash = Sha256::new();
        for part in parts {
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part);
        }
        Self::beginning(&hash.finalize())
    }

    fn beginning(hash: &[u8]) -> Self {
        let first = hash.iter().take(BYTES);
        Self(first.fold(0, |number, byte| number << 8 | u64::from(*byte)))
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_is_the_same_in_every_life() {
        assert_eq!(Digest::of(b"").0, 0xe3b0_c442_98fc_1c14);
        assert_eq!(Digest::of(b"").to_string(), "e3b0c44298fc1c14");
        assert_eq!(Digest::of_list([]), Digest::of(b""));
        assert_eq!(Digest::of_list(["a"]), Digest::of(b"\0\0\0\0\0\0\0\x01a"));
        assert_ne!(Digest::of_list(["ab"]), Digest::of_list(["a", "b"]));
    }
}
