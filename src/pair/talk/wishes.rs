//! Which wish of a person counts, where the directors have different ones?
//!
//! A wish has a key, such as `watch web`, and a value; one that ended leaves a *tombstone*, a
//! stamp without a value, so that the other director does not bring it back. The newer stamp
//! wins, whole: there is no mixing of two values. A stamp is the wall clock of the director that
//! was told or, where that is not later than the newest stamp it has seen, the number after that
//! one: whoever knows of a wish and changes it wins, however wrong a clock goes. Only of two
//! wishes that were said while the directors did not hear each other the clocks decide, and of
//! equal ones the greater number of the writer. A wish whose time is over ends by itself on each
//! director, also where it was never carried out: then what it took the place of ends with it.
//!
//! What a director wishes is looked at as a level ([`Wishes::look`]): what differs from the last
//! look and is not what the peer has said was said here, and gets a stamp.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::time::Wall;

/// Wishes and tombstones that are kept: far more than persons have said. Tombstones go first, the
/// oldest first; then a wish of the peer's is not taken.
pub const WISHES_MAX: usize = 10_000;

/// How long a tombstone is kept: a director that was away for longer brings what was ended
/// meanwhile back.
pub const TOMB_AGE: Duration = Duration::from_secs(90 * 86_400);

/// The field of a value that says when it ends by itself, in microseconds since 1970.
const UNTIL: &str = "until";

/// The writer of ends that no person said: any person's stamp of that time is greater.
const NOBODY: u64 = 0;

/// Longest key, in bytes.
const KEY_MAX: usize = 1_024;

/// Greatest stamp that a clock gives, in microseconds: the year 9999. A clock that says more says
/// this.
const CLOCK_MAX: i64 = 253_402_300_799_000_000;

/// Greatest stamp that is believed. Above [`CLOCK_MAX`] stamps go up by one with each word of a
/// person, so that nobody comes near, and what follows the greatest that a clock gives is believed
/// too: no clock says the last word for ever.
const STAMP_MAX: i64 = 2 * CLOCK_MAX;

/// Prefix of the journal's keys.
const PREFIX: &str = "peer wish ";

/// When a wish was said, and by whose clock. The greater counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Stamp {
    /// Microseconds since 1970, or the next number that was free.
    pub time: i64,
    /// The life of the daemon that was told.
    pub writer: u64,
}

/// A wish on its way.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StampedWish {
    /// What it is about.
    pub key: String,
    /// When it was said.
    pub stamp: Stamp,
    /// What is wished; none: nothing any more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<Value>,
}

/// What is wished, by key, as it holds on a director now.
pub type Level = BTreeMap<String, Value>;

/// The wishes of both directors.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Wishes {
    entries: BTreeMap<String, (Stamp, Option<Value>)>,
    /// What held here at the last look.
    seen: Level,
    /// The greatest stamp so far.
    greatest: i64,
}

impl Wishes {
    /// As a journal has them. What holds at the start without a stamp was said before there was
    /// a peer: it gives way to everything that has one.
    #[must_use]
    pub fn restore(records: &BTreeMap<String, Value>, level: Level) -> Self {
        let mut wishes = Self::default();
        for (key, value) in records {
            let Some(key) = key.strip_prefix(PREFIX) else {
                continue;
            };
            let Ok(entry) = serde_json::from_value::<StampedWish>(value.clone()) else {
                continue;
            };
            if entry.key == key && entry.is_sound() {
                wishes.put(entry);
            }
        }
        for (key, value) in &level {
            let early = Stamp { time: 0, writer: 0 };
            let known = wishes.entries.entry(key.clone());
            known.or_insert_with(|| (early, Some(value.clone())));
        }
        // What was said here since the journal last heard of a stamp differs from its entry. What
        // has an entry only may be about something that this director does not have.
        let said = wishes.entries.iter();
        let said = said.filter(|(key, _)| level.contains_key(*key));
        wishes.seen = said
            .filter_map(|(key, (_, value))| Some((key.clone(), value.clone()?)))
            .collect();
        wishes
    }

    /// Looks at what holds here now; the entries that this changes.
    pub fn look(&mut self, now: Wall, writer: u64, level: Level) -> Vec<StampedWish> {
        let keys = self.seen.keys().chain(level.keys());
        let changed = keys.filter(|key| self.seen.get(*key) != level.get(*key));
        let mut changed: Vec<String> = changed.cloned().collect();
        changed.sort();
        changed.dedup();
        let mut said = Vec::new();
        for key in changed {
            let value = level.get(&key).cloned();
            let known = self.entries.get(&key).and_then(|(_, value)| value.as_ref());
            let is_over = known.is_some_and(|known| is_over(known, now));
            let was_here = known.is_some() && self.seen.get(&key) == known;
            if known == value.as_ref() || (value.is_none() && is_over && !was_here) {
                continue; // The peer's, carried out; or it was over before it could be.
            }
            let stamp = match self.ended_by_itself(now, &key) {
                Some(stamp) if value.is_none() => stamp,
                Some(_) | None => {
                    let time = now.as_micros().min(CLOCK_MAX);
                    let time = time.max(self.greatest.saturating_add(1));
                    Stamp { time, writer }
                }
            };
            let entry = StampedWish { key, stamp, value };
            self.put(entry.clone());
            said.push(entry);
        }
        self.seen = level;
        said
    }

    /// The stamp of the end of a wish whose time is over. No person said that: it is the next one
    /// after the wish's own, and what a person has said anywhere meanwhile wins.
    fn ended_by_itself(&self, now: Wall, key: &str) -> Option<Stamp> {
        let (stamp, value) = self.entries.get(key)?;
        let stamp = Stamp {
            time: stamp.time.saturating_add(1),
            writer: NOBODY,
        };
        is_over(value.as_ref()?, now).then_some(stamp)
    }

    /// Drops tombstones that are old or too many: the journal's keys of them.
    pub fn tidy(&mut self, now: Wall) -> Vec<String> {
        let is_old = |stamp: &Stamp| now.since(Wall::from_micros(stamp.time)) > TOMB_AGE;
        let entries = self.entries.iter();
        let tombs = entries.filter(|(_, (_, value))| value.is_none());
        let mut tombs: Vec<(Stamp, &String)> = tombs.map(|(key, (it, _))| (*it, key)).collect();
        tombs.sort_unstable();
        // Where all are wished, so many has a person really said.
        let excess = self.entries.len().saturating_sub(WISHES_MAX);
        let tombs = tombs.into_iter().enumerate();
        let gone = tombs.filter(|(place, (stamp, _))| *place < excess || is_old(stamp));
        let gone: Vec<String> = gone.map(|(_, (_, key))| key.clone()).collect();
        for key in &gone {
            self.entries.remove(key);
        }
        gone.iter().map(|key| format!("{PREFIX}{key}")).collect()
    }

    /// Takes in what the peer has; true where it is newer and so counts from now on.
    pub fn hear(&mut self, entry: StampedWish) -> bool {
        if !entry.is_sound() {
            return false;
        }
        let is_newer = match self.entries.get(&entry.key) {
            Some((stamp, value)) => match entry.stamp.cmp(stamp) {
                Ordering::Greater => true,
                Ordering::Less => false,
                Ordering::Equal => is_greater(entry.value.as_ref(), value.as_ref()),
            },
            None => self.entries.len() < WISHES_MAX,
        };
        if is_newer {
            self.put(entry);
        }
        is_newer
    }

    /// What counts, and does not hold here yet: key and value, none where nothing is wished any
    /// more, or what is wished is over by now. It may be about what this director does not have; it
    /// stays, for when it does.
    #[must_use]
    pub fn differing(&self, now: Wall) -> Vec<(String, Option<Value>)> {
        let entries = self.entries.iter();
        let differing = entries.filter(|(key, (_, value))| self.seen.get(*key) != value.as_ref());
        let differing = differing.map(|(key, (_, value))| {
            let value = value.as_ref().filter(|value| !is_over(value, now));
            (key, value)
        });
        let differing = differing.filter(|(key, value)| self.seen.get(*key) != *value);
        differing
            .map(|(key, value)| (key.clone(), value.cloned()))
            .collect()
    }

    /// All of them, tombstones too.
    pub fn all(&self) -> impl Iterator<Item = StampedWish> + '_ {
        self.entries
            .iter()
            .map(|(key, (stamp, value))| StampedWish {
                key: key.clone(),
                stamp: *stamp,
                value: value.clone(),
            })
    }

    /// How many are wished, and how many tombstones there are.
    #[must_use]
    pub fn count(&self) -> (usize, usize) {
        let wished = self.entries.values().filter(|(_, it)| it.is_some()).count();
        (wished, self.entries.len() - wished)
    }

    fn put(&mut self, entry: StampedWish) {
        self.greatest = self.greatest.max(entry.stamp.time);
        self.entries.insert(entry.key, (entry.stamp, entry.value));
    }
}

/// Whether the time of a wish is over.
fn is_over(value: &Value, now: Wall) -> bool {
    let until = value.get(UNTIL).and_then(Value::as_i64);
    until.is_some_and(|until| until <= now.as_micros())
}

/// Which of two values under one stamp counts, the same on both directors: what is wished without a
/// stamp of its own (see [`Wishes::restore`]) may differ.
fn is_greater(one: Option<&Value>, other: Option<&Value>) -> bool {
    let text = |value: Option<&Value>| value.map(Value::to_string);
    text(one) > text(other)
}

impl StampedWish {
    fn is_sound(&self) -> bool {
        self.key.len() <= KEY_MAX && (0..=STAMP_MAX).contains(&self.stamp.time)
    }

    /// The journal's key and value.
    #[must_use]
    pub fn record(&self) -> (String, Value) {
        let value = serde_json::to_value(self).unwrap_or_default();
        (format!("{PREFIX}{}", self.key), value)
    }
}

#[cfg(test)]
mod tests;
