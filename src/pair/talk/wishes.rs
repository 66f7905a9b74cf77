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
//! look and is not what the peer has said was said here, and gets a stamp. What is gone without a
//! word of a person has no stamp: a file that no longer has a service ([`Wishes::rebase`]) ends
//! nobody's wish. Such a wish waits, as one does that was heard of what this director has not yet.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::pair::talk::skew::OurClock;
use crate::time::{Now, Wall};

/// Wishes and tombstones that are kept: far more than persons have said. Tombstones go first, the
/// oldest first; then a wish of the peer's is not taken.
pub const WISHES_MAX: usize = 10_000;

/// How long a tombstone is kept: a director that was away for longer brings what was ended
/// meanwhile back.
pub const TOMB_AGE: Duration = Duration::from_secs(90 * 86_400);

/// The field of a value that says when it ends by itself, in microseconds since 1970.
const UNTIL: &str = "until";

/// A wish that ends within this time is over: its span is counted by a clock that is not set, and
/// one that is being set right gains or loses half a second in a thousand.
const UNTIL_SLACK: Duration = Duration::from_secs(60);

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
    /// By how much the clock by which the value's times are said is ahead of the one of who says
    /// or keeps this, in microseconds.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub ahead_micros: i64,
}

/// Whether a person has spoken since the last look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// One has: what is gone was ended.
    Person,
    /// None has: the time of what is gone is over, or this director has forgotten it.
    Itself,
}

/// What is wished, by key, as it holds on a director now.
pub type Level = BTreeMap<String, Value>;

/// The wishes of both directors.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Wishes {
    entries: BTreeMap<String, Entry>,
    /// What held here at the last look.
    seen: Level,
    /// What this director has forgotten, nobody having ended it: not brought back before the file
    /// is another one.
    let_go: BTreeSet<String>,
    /// The greatest stamp so far.
    greatest: i64,
    /// Wishes of the peer's that were not taken.
    left_out: u64,
    clock: OurClock,
}

/// What counts of a key.
#[derive(Clone, Debug, PartialEq)]
struct Entry {
    stamp: Stamp,
    value: Option<Value>,
    ahead_micros: i64,
}

impl Wishes {
    /// As a journal has them. What holds at the start without a stamp was said before there was
    /// a peer: it gives way to everything that has one.
    #[must_use]
    pub fn restore(records: &BTreeMap<String, Value>, level: &Level) -> Self {
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
        wishes.rebase(level);
        wishes
    }

    /// The file is another one, or the director began anew: what appeared or is gone with that,
    /// no person has said. What has an entry and does not hold waits.
    pub fn rebase(&mut self, level: &Level) {
        self.let_go.clear();
        for (key, value) in level {
            let entry = self.entries.entry(key.clone());
            entry.or_insert_with(|| Entry {
                stamp: Stamp { time: 0, writer: 0 },
                value: Some(value.clone()),
                ahead_micros: 0,
            });
        }
        // What was said here since the journal last heard of a stamp differs from its entry. What
        // has an entry only may be about something that this director does not have.
        let said = self.entries.iter();
        let said = said.filter(|(key, _)| level.contains_key(*key));
        self.seen = said
            .filter_map(|(key, entry)| Some((key.clone(), entry.value.clone()?)))
            .collect();
    }

    /// Our clock may have been set, which makes no wish with a time of its own last longer; the
    /// entries that this changes.
    pub fn look_at_clock(&mut self, now: Now) -> Vec<StampedWish> {
        let step = self.clock.step(now);
        if step == 0 {
            return Vec::new();
        }
        let entries = self.entries.iter_mut();
        let timed = entries.filter(|(_, entry)| entry.until().is_some());
        let moved = timed.map(|(key, entry)| {
            entry.ahead_micros = entry.ahead_micros.saturating_sub(step);
            entry.told(key)
        });
        moved.collect()
    }

    /// Looks at what holds here now; the entries that this changes.
    pub fn look(&mut self, now: Wall, writer: u64, cause: Cause, level: Level) -> Vec<StampedWish> {
        let keys = self.seen.keys().chain(level.keys());
        let changed = keys.filter(|key| self.seen.get(*key) != level.get(*key));
        let mut changed: Vec<String> = changed.cloned().collect();
        changed.sort();
        changed.dedup();
        let mut said = Vec::new();
        for key in changed {
            let value = level.get(&key).cloned();
            let entry = self.entries.get(&key);
            let known = entry.and_then(|it| it.value.as_ref());
            let is_over = entry.is_some_and(|it| it.is_over(now));
            let was_here = known.is_some() && self.seen.get(&key) == known;
            if known == value.as_ref() || (value.is_none() && is_over && !was_here) {
                continue; // The peer's, carried out; or it was over before it could be.
            }
            let soon = match cause {
                Cause::Person => now,
                Cause::Itself => now.after(UNTIL_SLACK),
            };
            let stamp = match (&value, self.ended_by_itself(soon, &key), cause) {
                (None, Some(stamp), _) => stamp,
                (None, None, Cause::Itself) => {
                    self.let_go.insert(key);
                    continue;
                }
                (Some(_), ..) | (None, None, Cause::Person) => {
                    let time = now.as_micros().min(CLOCK_MAX);
                    let time = time.max(self.greatest.saturating_add(1));
                    Stamp { time, writer }
                }
            };
            let entry = StampedWish {
                key,
                stamp,
                value,
                ahead_micros: 0,
            };
            self.put(entry.clone());
            said.push(entry);
        }
        self.seen = level;
        said
    }

    /// The stamp of the end of a wish whose time is over: the wish's own. No person said that, and
    /// what wins over the wish wins over its end, down to what was said at the same moment.
    fn ended_by_itself(&self, now: Wall, key: &str) -> Option<Stamp> {
        let entry = self.entries.get(key)?;
        entry.is_over(now).then_some(entry.stamp)
    }

    /// Drops tombstones that are old or too many: the journal's keys of them.
    pub fn tidy(&mut self, now: Wall) -> Vec<String> {
        let is_old = |stamp: &Stamp| now.since(Wall::from_micros(stamp.time)) > TOMB_AGE;
        let entries = self.entries.iter();
        let tombs = entries.filter(|(_, entry)| entry.value.is_none());
        let mut tombs: Vec<(Stamp, &String)> = tombs.map(|(key, it)| (it.stamp, key)).collect();
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
        let has_room = self.entries.len() < WISHES_MAX || self.entries.contains_key(&entry.key);
        if !entry.is_sound() || !has_room {
            self.left_out += 1;
            return false;
        }
        let is_newer = match self.entries.get(&entry.key) {
            Some(known) => match entry.stamp.cmp(&known.stamp) {
                Ordering::Greater => true,
                Ordering::Less => false,
                Ordering::Equal => is_greater(entry.value.as_ref(), known.value.as_ref()),
            },
            None => true,
        };
        if is_newer {
            self.put(entry);
        }
        is_newer
    }

    /// What counts, and does not hold here yet; nothing is wished any more where it is over by now.
    /// It may be about what this director does not have; it stays, for when it does.
    #[must_use]
    pub fn differing(&self, now: Wall) -> Vec<StampedWish> {
        let entries = self.entries.iter();
        let entries = entries
            .filter(|(key, it)| self.seen.get(*key) != it.value.as_ref())
            .filter(|(key, _)| !self.let_go.contains(*key));
        let differing = entries.map(|(key, entry)| {
            let value = entry.value.clone().filter(|_| !entry.is_over(now));
            StampedWish {
                value,
                ..entry.told(key)
            }
        });
        let differing = differing.filter(|it| self.seen.get(&it.key) != it.value.as_ref());
        differing.collect()
    }

    /// All of them, tombstones too.
    pub fn all(&self) -> impl Iterator<Item = StampedWish> + '_ {
        self.entries.iter().map(|(key, entry)| entry.told(key))
    }

    /// Wishes of the peer's that were not taken, for want of room or since nobody could have said
    /// them; each time that they were told.
    #[must_use]
    pub const fn left_out(&self) -> u64 {
        self.left_out
    }

    fn put(&mut self, entry: StampedWish) {
        self.greatest = self.greatest.max(entry.stamp.time);
        self.let_go.remove(&entry.key);
        let StampedWish {
            key,
            stamp,
            value,
            ahead_micros,
        } = entry;
        let entry = Entry {
            stamp,
            value,
            ahead_micros,
        };
        self.entries.insert(key, entry);
    }
}

impl Entry {
    fn told(&self, key: &str) -> StampedWish {
        StampedWish {
            key: key.to_owned(),
            stamp: self.stamp,
            value: self.value.clone(),
            ahead_micros: self.ahead_micros,
        }
    }

    /// Whether its time is over.
    fn is_over(&self, now: Wall) -> bool {
        self.until().is_some_and(|until| until <= now)
    }

    /// When it is over, by our clock; none where it has no time of its own.
    fn until(&self) -> Option<Wall> {
        let until = self.value.as_ref()?.get(UNTIL)?.as_i64()?;
        Some(Wall::from_micros(until).by_our_clock(self.ahead_micros))
    }
}

/// Which of two values under one stamp counts, the same on both directors: its end by itself, and
/// of two that are wished without a stamp of their own (see [`Wishes::restore`]) either.
fn is_greater(one: Option<&Value>, other: Option<&Value>) -> bool {
    match (one, other) {
        (None, other) => other.is_some(),
        (Some(_), None) => false,
        (Some(one), Some(other)) => {
            let [one, other] = [one, other].map(Value::to_string);
            one > other
        }
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for it")]
const fn is_zero(micros: &i64) -> bool {
    *micros == 0
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
