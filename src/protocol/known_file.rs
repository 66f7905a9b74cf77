//! Which of mon's state files says nothing new at a start?
//!
//! What lvsmon wrote or took in is in the journal, and so is what became of it since: enabled,
//! acknowledged no more, forgotten. The journal remembers such files by a digest of their text,
//! not by their times, which follow a clock that may be set. A file with another text is
//! somebody else's, however old it is: that of a mon, or of a person.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::engine::saved::{Record, Saved, StateFile};

/// Texts that are remembered of each file, the newest ones: where a file cannot be written, an
/// older one stays in its place while persons go on to change what it says.
const KNOWN_MAX: usize = 32;

/// Prefix of the journal's keys.
const PREFIX: &str = "state file ";

/// Bytes of a digest that are kept: nobody is to be kept from making two texts of one digest, who
/// may write there may write anything.
const DIGEST_BYTES: usize = 8;

/// A text, in short.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Digest(u64);

impl Digest {
    /// Of a whole file.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        let hash = Sha256::digest(bytes);
        let first = hash.iter().take(DIGEST_BYTES);
        Self(first.fold(0, |number, byte| number << 8 | u64::from(*byte)))
    }
}

/// A file as it was found, or was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Text {
    /// Which one.
    pub file: StateFile,
    /// What it says.
    pub digest: Digest,
}

/// The texts that the journal knows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KnownFiles(BTreeMap<&'static str, Vec<Digest>>);

impl KnownFiles {
    /// As the journal has them; a record of another form says nothing.
    #[must_use]
    pub fn restore(saved: &Saved) -> Self {
        let known = StateFile::ALL.iter().filter_map(|file| {
            let value = saved.records.get(&key(file.name()))?;
            let digests = Vec::deserialize(value).ok()?;
            Some((file.name(), digests))
        });
        Self(known.collect())
    }

    /// Whether the journal is newer than this text.
    #[must_use]
    pub fn has(&self, text: Text) -> bool {
        let known = self.0.get(text.file.name());
        known.is_some_and(|known| known.contains(&text.digest))
    }

    /// The journal has all of this text from now on. What it is to be told; none where it knows.
    pub fn add(&mut self, text: Text) -> Option<Record> {
        let known = self.0.entry(text.file.name()).or_default();
        if known.last() == Some(&text.digest) {
            return None;
        }
        known.retain(|digest| *digest != text.digest);
        if known.len() >= KNOWN_MAX {
            known.remove(0);
        }
        known.push(text.digest);
        Some(record(text.file.name(), known))
    }

    /// Everything that is to survive a restart.
    pub fn record_all(&self) -> impl Iterator<Item = Record> + '_ {
        self.0.iter().map(|(name, known)| record(name, known))
    }
}

fn key(name: &str) -> String {
    format!("{PREFIX}{name}")
}

fn record(name: &str, known: &[Digest]) -> Record {
    Record {
        key: key(name),
        // A list of numbers has no way to fail here.
        value: serde_json::to_value(known).unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(file: StateFile, text: &str) -> Text {
        Text {
            file,
            digest: Digest::of(text.as_bytes()),
        }
    }

    #[test]
    fn what_was_written_lately_is_known_to_the_next_life_too() {
        let numbered = |number: usize| text(StateFile::Disabled, &number.to_string());
        let mut known = KnownFiles::default();
        let mut saved = Saved::default();
        for number in 0..=KNOWN_MAX {
            assert!(!known.has(numbered(number)));
            let record = known.add(numbered(number)).unwrap();
            saved.records.insert(record.key, record.value);
            assert!(known.has(numbered(number)));
        }
        assert_eq!(known.add(numbered(KNOWN_MAX)), None);
        // One that comes back is the newest again.
        assert!(!known.has(numbered(0)) && known.has(numbered(1)));
        let record = known.add(numbered(1)).unwrap();
        saved.records.insert(record.key, record.value);
        known.add(numbered(KNOWN_MAX + 1)).unwrap();
        assert!(known.has(numbered(1)) && !known.has(numbered(2)));

        let before = KnownFiles::restore(&saved);
        assert!(before.has(numbered(1)) && before.has(numbered(2)));
        assert!(!before.has(text(StateFile::Opstatus, "1")));
        let again = known.record_all().map(|record| (record.key, record.value));
        saved.records = again.collect();
        assert_eq!(KnownFiles::restore(&saved), known);
    }

    #[test]
    fn a_digest_is_the_same_in_every_life_and_a_spoiled_record_knows_nothing() {
        assert_eq!(Digest::of(b"").0, 0xe3b0_c442_98fc_1c14);
        let odd = serde_json::json!([1, "x"]);
        let saved = Saved {
            records: [("state file disabled".to_owned(), odd)].into(),
        };
        assert_eq!(KnownFiles::restore(&saved), KnownFiles::default());
    }
}
