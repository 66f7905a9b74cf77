//! Which of mon's state files says nothing new at a start?
//!
//! What lvsmon wrote or took in is in the journal, and so is what became of it since: enabled,
//! acknowledged no more, forgotten. The journal remembers such files by a digest of their text and
//! the time at which they were changed, which lvsmon sets itself, and which is compared for being
//! the same and never for being earlier: clocks do not matter. The text alone says too little: a
//! `disabled` has few possible ones, and a mon may have written one of before again. Every other
//! file is the word of a mon, or of a person.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::digest::Digest;
use crate::engine::saved::{Record, Saved, StateFile};
use crate::time::Wall;

/// Files that are remembered of each name, the newest ones: where a file cannot be written, an
/// older one stays in its place while persons go on to change what it says.
const KNOWN_MAX: usize = 32;

/// Prefix of the journal's keys.
const PREFIX: &str = "state file ";

/// When a file was changed, as the file system has it: seconds since 1970, and nanoseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Modified(pub i64, pub i64);

impl Modified {
    /// For a file that is written now: whole seconds, which every file system keeps, and which no
    /// other program leaves by chance.
    #[must_use]
    pub fn at(wall: Wall) -> Self {
        Self(wall.seconds().max(0), 0)
    }
}

/// A file as it was found, or was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Text {
    /// Which one.
    pub file: StateFile,
    /// What it says.
    pub digest: Digest,
    /// Since when.
    pub modified: Modified,
}

/// What a file is known by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Mark(Digest, Modified);

/// The files that the journal knows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KnownFiles(BTreeMap<&'static str, Vec<Mark>>);

impl KnownFiles {
    /// As the journal has them; a record of another form says nothing.
    #[must_use]
    pub fn restore(saved: &Saved) -> Self {
        let known = StateFile::ALL.iter().filter_map(|file| {
            let value = saved.records.get(&key(file.name()))?;
            let marks = Vec::deserialize(value).ok()?;
            Some((file.name(), marks))
        });
        Self(known.collect())
    }

    /// Whether this is a file that the journal is newer than.
    #[must_use]
    pub fn has(&self, text: Text) -> bool {
        let known = self.0.get(text.file.name());
        known.is_some_and(|known| known.contains(&text.mark()))
    }

    /// The journal has all of this file from now on. What it is to be told; none where it knows.
    pub fn add(&mut self, text: Text) -> Option<Record> {
        let known = self.0.entry(text.file.name()).or_default();
        let mark = text.mark();
        if known.last() == Some(&mark) {
            return None;
        }
        known.retain(|other| *other != mark);
        if known.len() >= KNOWN_MAX {
            known.remove(0);
        }
        known.push(mark);
        Some(record(text.file.name(), known))
    }

    /// Everything that is to survive a restart.
    pub fn record_all(&self) -> impl Iterator<Item = Record> + '_ {
        self.0.iter().map(|(name, known)| record(name, known))
    }
}

impl Text {
    const fn mark(self) -> Mark {
        Mark(self.digest, self.modified)
    }
}

fn key(name: &str) -> String {
    format!("{PREFIX}{name}")
}

fn record(name: &str, known: &[Mark]) -> Record {
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
            modified: Modified(1_700_000_000, 0),
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
        assert!(!known.has(numbered(0)) && known.has(numbered(2)));
        let record = known.add(numbered(2)).unwrap();
        saved.records.insert(record.key, record.value);
        assert!(known.has(numbered(1)), "nobody has to give way for it");
        known.add(numbered(KNOWN_MAX + 1)).unwrap();
        assert!(known.has(numbered(2)) && !known.has(numbered(1)));

        let before = KnownFiles::restore(&saved);
        assert!(before.has(numbered(1)) && before.has(numbered(2)));
        assert!(!before.has(text(StateFile::Opstatus, "1")));
        let again = known.record_all().map(|record| (record.key, record.value));
        saved.records = again.collect();
        assert_eq!(KnownFiles::restore(&saved), known);
    }

    #[test]
    fn a_spoiled_record_knows_nothing() {
        let odd = serde_json::json!([1, "x"]);
        let saved = Saved {
            records: [("state file disabled".to_owned(), odd)].into(),
        };
        assert_eq!(KnownFiles::restore(&saved), KnownFiles::default());
    }

    #[test]
    fn the_same_text_at_another_time_is_another_file() {
        let ours = text(StateFile::Disabled, "disable host h\n");
        let mut known = KnownFiles::default();
        known.add(ours).unwrap();
        for modified in [Modified(1_700_000_000, 1), Modified(1_700_000_001, 0)] {
            assert!(!known.has(Text { modified, ..ours }));
        }
        assert!(known.has(ours));
    }

    #[test]
    fn a_file_that_is_written_has_whole_seconds() {
        let wall = Wall::from_micros(1_700_000_000_999_999);
        let modified = Modified::at(wall);
        assert_eq!(modified, Modified(1_700_000_000, 0));
        assert_eq!(Modified::at(Wall::from_seconds(-5)), Modified(0, 0));
    }
}
