//! What does a VRRP daemon write into its FIFO?
//!
//! Bytes in, announcements out. keepalived writes a line for each event, such as
//! `INSTANCE "VI_1" MASTER 100`; it writes more words than it documents, and later ones will
//! write others, so that only whole known words count (D27). Bounds are kept here: whoever writes
//! without line ends, or nothing but nonsense, costs no memory. Source: keepalived.conf(5)
//! `notify_fifo`, keepalived 2.2.7 vrrp/vrrp_notify.c.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::text::{cut, one_line};

/// Longest line, in bytes without its end: an instance's name and three short words. What is
/// longer is passed over whole.
pub const LINE_MAX: usize = 1_024;

/// Longest part of a line that is not understood, in bytes, as it is kept for the log.
const OTHER_MAX: usize = 120;

/// Name of a VRRP instance, as its `vrrp_instance` line has it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct InstanceName(Box<str>);

impl InstanceName {
    /// Longest name, in bytes.
    pub const LENGTH_MAX: usize = 128;

    /// The name as it is written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for InstanceName {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(out)
    }
}

impl FromStr for InstanceName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let is_plain = |letter: char| !letter.is_control() && letter != '"';
        if text.is_empty() || text.len() > Self::LENGTH_MAX || !text.chars().all(is_plain) {
            return Err(format!(
                "write the name of a vrrp_instance, at most {} bytes",
                Self::LENGTH_MAX
            ));
        }
        Ok(Self(text.into()))
    }
}

impl TryFrom<String> for InstanceName {
    type Error = String;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<InstanceName> for String {
    fn from(name: InstanceName) -> Self {
        name.0.into()
    }
}

/// What a VRRP daemon says of an instance: all of its words that matter (D27).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// It holds the virtual addresses.
    Master,
    /// Another director does.
    Backup,
    /// It cannot take part: an interface or a tracked check fails.
    Fault,
    /// The VRRP daemon ends.
    Stop,
    /// The instance is no more: what was said of it does not count any longer.
    Deleted,
}

impl State {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::Master,
        Self::Backup,
        Self::Fault,
        Self::Stop,
        Self::Deleted,
    ];

    /// As keepalived writes it.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Master => "MASTER",
            Self::Backup => "BACKUP",
            Self::Fault => "FAULT",
            Self::Stop => "STOP",
            Self::Deleted => "DELETED",
        }
    }

    /// The one of exactly that word.
    #[must_use]
    pub fn of_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.word() == word)
    }
}

impl fmt::Display for State {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.word())
    }
}

/// One line of a FIFO.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Announcement {
    /// `INSTANCE "NAME" STATE PRIORITY`
    Instance {
        /// Which one.
        name: InstanceName,
        /// What it is now.
        state: State,
    },
    /// Another line; its beginning, fit for a log.
    Other(String),
    /// A line longer than [`LINE_MAX`].
    TooLong,
}

impl Announcement {
    /// Reads one line; none where it is blank.
    #[must_use]
    pub fn of_line(line: &str) -> Option<Self> {
        let line = line.trim();
        if line.is_empty() {
            return None;
        }
        Some(instance(line).unwrap_or_else(|| Self::Other(one_line(cut(line, OTHER_MAX)))))
    }
}

/// `INSTANCE "NAME" STATE`, and a number where the writer says one.
fn instance(line: &str) -> Option<Announcement> {
    let rest = line.strip_prefix("INSTANCE")?;
    let name = rest.trim_start();
    if name.len() == rest.len() {
        return None;
    }
    let (name, rest) = match name.strip_prefix('"') {
        Some(quoted) => quoted.split_once('"')?,
        None => name.split_once(char::is_whitespace)?,
    };
    let mut words = rest.split_whitespace();
    let state = State::of_word(words.next()?)?;
    let is_number = |word: &str| word.bytes().all(|byte| byte.is_ascii_digit());
    if !words.all(is_number) {
        return None;
    }
    Some(Announcement::Instance {
        name: name.parse().ok()?,
        state,
    })
}

/// Bytes on their way to lines.
#[derive(Clone, Debug, Default)]
pub struct LineReader {
    /// The beginning of a line; never longer than [`LINE_MAX`].
    begun: Vec<u8>,
    /// The line is too long: what is left of it is passed over.
    is_too_long: bool,
}

impl LineReader {
    /// Takes bytes as they come and hands each announcement they complete to `each`, in order.
    pub fn take(&mut self, bytes: &[u8], mut each: impl FnMut(Announcement)) {
        for part in bytes.split_inclusive(|byte| *byte == b'\n') {
            let (text, is_whole) = match part.strip_suffix(b"\n") {
                Some(text) => (text, true),
                None => (part, false),
            };
            if self.begun.len() + text.len() > LINE_MAX {
                self.begun.clear();
                self.is_too_long = true;
            }
            if !self.is_too_long {
                self.begun.extend_from_slice(text);
            }
            if is_whole {
                let line = std::mem::take(&mut self.begun);
                if std::mem::take(&mut self.is_too_long) {
                    each(Announcement::TooLong);
                } else if let Some(said) = Announcement::of_line(&String::from_utf8_lossy(&line)) {
                    each(said);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn name(text: &str) -> InstanceName {
        text.parse().unwrap()
    }

    fn read(parts: &[&[u8]]) -> Vec<Announcement> {
        let mut reader = LineReader::default();
        let mut found = Vec::new();
        for part in parts {
            reader.take(part, |said| found.push(said));
        }
        found
    }

    #[test]
    fn only_whole_known_words_are_states() {
        for (line, expected) in [
            (
                "INSTANCE \"VI_1\" MASTER 100",
                Some(("VI_1", State::Master)),
            ),
            (
                "INSTANCE \"VI_1\" BACKUP 100\r",
                Some(("VI_1", State::Backup)),
            ),
            ("INSTANCE \"VI 1\" FAULT 0", Some(("VI 1", State::Fault))),
            ("INSTANCE \"VI_1\" STOP", Some(("VI_1", State::Stop))),
            ("INSTANCE VI_1 DELETED 1", Some(("VI_1", State::Deleted))),
            (
                "  INSTANCE  \"MASTER\"  BACKUP  7 ",
                Some(("MASTER", State::Backup)),
            ),
            ("INSTANCE \"VI_1\" MASTER_RX_LOWER_PRI 100", None),
            ("INSTANCE \"VI_1\" MASTER_PRIORITY 150", None),
            ("INSTANCE \"VI_1\" BACKUP_PRIORITY 150", None),
            ("INSTANCE \"VI_1\" master 100", None),
            ("INSTANCE \"VI_1\" MASTER 100 and more", None),
            ("INSTANCE \"VI_1\"", None),
            ("INSTANCE \"VI_1 MASTER 100", None),
            ("INSTANCE \"\" MASTER 100", None),
            ("INSTANCE MASTER", None),
            ("INSTANCES \"VI_1\" MASTER 100", None),
            ("GROUP \"VG_1\" MASTER 100", None),
            ("RS [1.2.3.4]:tcp:80 [10.0.0.3]:tcp:80 UP", None),
            ("MASTER", None),
        ] {
            let expected = match expected {
                Some((text, state)) => Announcement::Instance {
                    name: name(text),
                    state,
                },
                None => Announcement::Other(line.to_owned()),
            };
            assert_eq!(Announcement::of_line(line), Some(expected), "{line}");
        }
        assert_eq!(Announcement::of_line(" \t"), None);
    }

    #[test]
    fn a_line_that_is_not_understood_is_kept_short_and_harmless() {
        let long = format!("GROUP \u{1b}[31m{}", "x".repeat(500));
        let Some(Announcement::Other(text)) = Announcement::of_line(&long) else {
            panic!("understood");
        };
        assert!(text.len() <= OTHER_MAX && !text.contains('\u{1b}'));
    }

    #[test]
    fn a_line_without_end_costs_no_memory_and_the_next_is_read() {
        let mut reader = LineReader::default();
        let mut found = Vec::new();
        for _ in 0..1_000 {
            reader.take(&[b'x'; 4_096], |said| found.push(said));
            assert!(reader.begun.len() <= LINE_MAX);
        }
        reader.take(b"\nINSTANCE \"a\" STOP 1\n", |said| found.push(said));
        let state = State::Stop;
        let name = name("a");
        let good = Announcement::Instance { name, state };
        assert_eq!(found, [Announcement::TooLong, good]);
    }

    #[test]
    fn names_are_bounded() {
        assert!("x".repeat(128).parse::<InstanceName>().is_ok());
        for wrong in ["", "a\"b", "a\nb", &"x".repeat(129)] {
            assert!(wrong.parse::<InstanceName>().is_err(), "{wrong:?}");
        }
        assert!(serde_json::from_str::<InstanceName>("\"\"").is_err());
    }

    proptest! {
        /// Wherever the bytes are cut, the same lines come out; nothing breaks it.
        #[test]
        fn the_same_lines_come_out_however_the_bytes_are_cut(
            lines in proptest::collection::vec(
                prop_oneof![
                    "INSTANCE \"[A-Z]{1,4}\" (MASTER|BACKUP|FAULT|STOP|DELETED|MASTERX) [0-9]{1,3}",
                    "[ -~]{0,40}",
                    "x{1000,1100}",
                ],
                0..6,
            ),
            rubbish in proptest::collection::vec(any::<u8>(), 0..60),
            cuts in proptest::collection::vec(0_usize..4_000, 0..8),
        ) {
            let mut bytes = lines.join("\n").into_bytes();
            bytes.extend(rubbish);
            bytes.extend(b"\nINSTANCE \"END\" MASTER 1\n");
            let whole = read(&[&bytes]);
            let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut % bytes.len()).collect();
            cuts.sort_unstable();
            let mut parts: Vec<&[u8]> = Vec::new();
            let mut from = 0;
            for cut in cuts {
                parts.push(&bytes[from..cut]);
                from = cut;
            }
            parts.push(&bytes[from..]);
            prop_assert_eq!(&read(&parts), &whole);
            let end = Announcement::Instance { name: name("END"), state: State::Master };
            prop_assert_eq!(whole.last(), Some(&end));
        }
    }
}
