//! Which words do the directors have?
//!
//! One JSON value a line, inside a [`Session`](crate::pair::talk::Session). A word that only a
//! later version has is passed over, so that two directors are linked while the second one waits
//! for its update; what is no word at all ends the connection. Words that cannot be passed over
//! need another version in the greeting. Every list is cut into lines of at most [`CHUNK_MAX`]
//! bytes, and every text into what a person would write.

use std::collections::BTreeMap;

use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};

use crate::pair::SaidRole;
use crate::pair::talk::counted::Events;
use crate::pair::talk::delivered::Delivery;
use crate::pair::talk::event::{EventId, EventKind};
use crate::pair::talk::session::LINE_MAX;
use crate::pair::talk::wishes::StampedWish;
use crate::pair::talk::withdrawn::{ServerName, Withdrawn};
use crate::pair::turn::Turn;
use crate::time::Wall;

/// Bytes of entries in one line; the rest of [`LINE_MAX`] is for what stands around them.
pub const CHUNK_MAX: usize = LINE_MAX / 2;

/// Largest entry, in bytes as JSON: some names and a comment. A larger one is not told.
pub const ENTRY_MAX: usize = 16 * 1024;

/// Which service: its watch and its name. (Either may hold any letter but blanks.)
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ServiceName {
    /// The watch.
    pub group: String,
    /// The service.
    pub service: String,
}

/// An acknowledgement of an outage.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SharedAck {
    /// When, by the clock of the director that was told.
    pub time: Wall,
    /// `USER: TEXT`
    pub comment: String,
}

/// An outage that goes on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OpenOutage {
    /// Its number in event ids.
    pub id: i64,
    /// When it was found, by the clock of the director that says it.
    pub began: Wall,
    /// Alert calls of it so far.
    pub calls: u32,
    /// What the latest of them told; none from an older version.
    #[serde(default, skip_serializing_if = "Events::is_empty")]
    pub events: Events,
    /// Periods that alerted people of it, counted from 0.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub alerted: Vec<u32>,
    /// Where it is acknowledged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ack: Option<SharedAck>,
    /// What of it has reached people under this number, told by whichever director.
    #[serde(default, skip_serializing_if = "Reached::is_nothing")]
    pub reached: Reached,
}

/// What of an outage has reached somebody, by the number that it has. Never gets less.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reached {
    /// Nobody knows of it.
    #[default]
    Nothing,
    /// That it goes on.
    Failure,
    /// That it is over.
    End,
}

impl Reached {
    /// What whoever was told this event knows.
    #[must_use]
    pub fn by(event: EventId<'_>) -> Self {
        match (event.is_shared(), event.kind) {
            (false, _) => Self::Nothing,
            (true, EventKind::Up) => Self::End,
            (true, _) => Self::Failure,
        }
    }

    /// Whether nobody knows of it.
    #[must_use]
    pub const fn is_nothing(&self) -> bool {
        matches!(self, Self::Nothing)
    }
}

/// From when to when something lasted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lasted {
    /// When it was found.
    pub began: Wall,
    /// When it was found to be over.
    pub ended: Wall,
}

impl Lasted {
    /// What goes on since then.
    #[must_use]
    pub const fn since(began: Wall) -> Self {
        let ended = Wall::from_micros(i64::MAX);
        Self { began, ended }
    }

    /// For how long both lasted at once, in microseconds; none where they did not.
    #[must_use]
    pub fn overlap(self, other: Self) -> Option<u64> {
        let began = self.began.max(other.began).as_micros();
        let ended = self.ended.min(other.ended).as_micros();
        (began < ended).then(|| ended.abs_diff(began))
    }
}

/// An outage that is over.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EndedOutage {
    /// Of which service.
    pub of: ServiceName,
    /// Its number in event ids.
    pub id: i64,
    /// When, by the clock of the director that says it.
    #[serde(flatten)]
    pub lasted: Lasted,
    /// What of it has reached people under this number.
    #[serde(default, skip_serializing_if = "Reached::is_nothing")]
    pub reached: Reached,
    /// For which periods people were alerted, as far as its own rules had it.
    #[serde(flatten)]
    pub periods: ToldPeriods,
}

/// Which periods of a service told people of an outage, counted from 0; a section counts as one.
/// What was decided, whether it has reached anybody or not.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ToldPeriods {
    /// By their `alert` lines.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub alerts: Vec<u32>,
    /// Of its end, by their `upalert` lines.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub upalerts: Vec<u32>,
}

/// What is known of an outage that is over, beside its number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Past {
    /// When.
    pub lasted: Lasted,
    /// What of it has reached people under this number.
    pub reached: Reached,
    /// For which periods people were alerted.
    pub periods: ToldPeriods,
}

impl Past {
    /// Whether people were told of the beginning only, and are to hear of the end.
    #[must_use]
    pub fn is_untold(&self) -> bool {
        self.reached == Reached::Failure && !self.periods.upalerts.is_empty()
    }
}

/// What a director says of itself every [`KEEPALIVE`](crate::pair::talk::conversation::KEEPALIVE).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Here {
    /// Its role, as `lvsmon role` says it.
    pub role: SaidRole,
    /// Whether it mails and posts at present.
    pub speaks: bool,
    /// No outage that it had has a greater number.
    pub numbers: i64,
    /// Its wall clock.
    pub time: Wall,
    /// How often that was set while the director ran.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub steps: u64,
    /// What its clock of turns shows; none from an older version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub turn: Option<Turn>,
}

const fn is_zero(count: &u64) -> bool {
    *count == 0
}

/// One line.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Word {
    /// The first: who speaks, for persons.
    Hello {
        /// The director's name.
        name: String,
    },
    /// The whole state follows, up to [`Word::Told`].
    Whole,
    /// The end of the whole state. What it did not hold is not.
    Told,
    /// What holds of the director; also said when nothing else is.
    Here(Here),
    /// Outages that began, or of which something changed.
    Open(Vec<(ServiceName, OpenOutage)>),
    /// Outages that ended.
    Over(Vec<ServiceName>),
    /// Outages that ended lately: the other one may have had them by other numbers.
    Ended(Vec<EndedOutage>),
    /// Outages that are not among these any more: they have other numbers, or ended long ago.
    Gone(Vec<(ServiceName, i64)>),
    /// Real servers that are withdrawn, or of which something changed.
    Withdrawn(Vec<(ServerName, Withdrawn)>),
    /// Real servers that are withdrawn no longer.
    Back(Vec<ServerName>),
    /// Messages that were delivered.
    Delivered(Vec<Delivery>),
    /// What persons wished, and what they no longer wish.
    Wishes(Vec<StampedWish>),
}

impl Word {
    /// As it stands on a line. Text, numbers, lists and maps of texts only: writing it cannot
    /// fail.
    #[must_use]
    pub fn text(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }

    /// Reads one.
    ///
    /// # Errors
    ///
    /// It is none of this version's.
    pub fn of_text(text: &[u8]) -> Result<Self, NoWord> {
        serde_json::from_slice(text).map_err(|_| NoWord::of_text(text))
    }
}

/// What a line says that is no [`Word`] of this version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoWord {
    /// It has the form of one, and a name that this version does not know.
    Later,
    /// Nothing.
    Rubbish,
}

/// The names of all words, as they stand on a line.
const NAMES: [&str; 12] = [
    "hello",
    "whole",
    "told",
    "here",
    "open",
    "over",
    "ended",
    "gone",
    "withdrawn",
    "back",
    "delivered",
    "wishes",
];

impl NoWord {
    fn of_text(text: &[u8]) -> Self {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Form {
            Bare(String),
            WithContent(BTreeMap<String, IgnoredAny>),
        }
        let name = match serde_json::from_slice(text) {
            Ok(Form::Bare(name)) => Some(name),
            Ok(Form::WithContent(entry)) if entry.len() == 1 => entry.into_keys().next(),
            _ => None,
        };
        match name {
            Some(name) if !NAMES.contains(&name.as_str()) => Self::Later,
            _ => Self::Rubbish,
        }
    }
}

/// Cuts a list into lines; entries that are larger than [`ENTRY_MAX`] are left out, and counted.
pub(super) fn chunks<T: Serialize>(
    entries: impl IntoIterator<Item = T>,
    left_out: &mut u64,
) -> Vec<Vec<T>> {
    let mut chunks: Vec<Vec<T>> = Vec::new();
    let mut room = 0;
    for entry in entries {
        let size = serde_json::to_string(&entry).map_or(usize::MAX, |text| text.len() + 1);
        if size > ENTRY_MAX {
            *left_out += 1;
            continue;
        }
        match chunks.last_mut().filter(|_| size <= room) {
            Some(chunk) => chunk.push(entry),
            None => {
                chunks.push(vec![entry]);
                room = CHUNK_MAX;
            }
        }
        room -= size;
    }
    chunks
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_is_cut_into_lines_that_fit_and_loses_nothing_but_what_never_fits() {
        let service = |n: usize, length| ServiceName {
            group: format!("{n}"),
            service: "\u{1}".repeat(length),
        };
        let mut names: Vec<ServiceName> = (0..5_000).map(|n| service(n, n % 40)).collect();
        let expected = names.clone();
        names.insert(7, service(0, ENTRY_MAX));
        let mut left_out = 0;
        let lines = chunks(names, &mut left_out).into_iter();
        let lines: Vec<Word> = lines.map(Word::Over).collect();
        assert_eq!(left_out, 1);
        let mut found = Vec::new();
        for line in &lines {
            let text = line.text();
            assert!(text.len() + 100 < LINE_MAX);
            let Ok(Word::Over(names)) = Word::of_text(text.as_bytes()) else {
                panic!("not what was written");
            };
            found.extend(names);
        }
        assert_eq!(found, expected);
        assert!(lines.len() < 20);
    }

    #[test]
    fn a_word_of_a_later_version_is_none_and_no_rubbish() {
        let later = [r#""gust""#, r#"{"tide":[{"of":1}]}"#, r#"{"Over":[]}"#];
        for text in later {
            let found = Word::of_text(text.as_bytes());
            assert_eq!(found, Err(NoWord::Later), "{text}");
        }
        let rubbish = [
            "",
            "{}",
            "1",
            "[\"gust\"]",
            r#"{"tide":1"#,
            r#"{"tide":1,"gust":2}"#,
            r#"{"over":1}"#,
            r#"{"hello":{}}"#,
            r#""over""#,
        ];
        for text in rubbish {
            let found = Word::of_text(text.as_bytes());
            assert_eq!(found, Err(NoWord::Rubbish), "{text}");
        }
    }

    /// Serde names all that it expects in place of a word that it does not know.
    #[test]
    fn no_word_is_taken_for_one_of_a_later_version() {
        let expected = serde_json::from_str::<Word>(r#""gust""#).unwrap_err();
        let expected = expected.to_string();
        let named = expected.split('`').skip(1).step_by(2).skip(1);
        assert_eq!(named.collect::<Vec<_>>(), NAMES, "{expected}");
    }
}
