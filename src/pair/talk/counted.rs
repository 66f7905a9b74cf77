//! Which news does which number of an outage's calls tell?
//!
//! The directors of a pair check at different moments, so that the third call of one may tell what
//! the fourth of the other does. Each says what its latest numbers told; by that the other one
//! gives the same news the same number.

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

/// Events of an outage that are remembered, those that say the same in a row as one: more changes
/// than one director finds between two checks of the other one's. An older one would get another
/// number, and be told twice.
pub const EVENTS_MAX: usize = 8;

/// Largest number of a call that is believed: at one call a second more than thirty years.
const COUNT_MAX: u32 = 1_000_000_000;

/// What an event says, as far as both directors find the same: a digest, which is the same on every
/// machine and in every version that has [`Counts`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct News(u64);

impl News {
    /// An event of this kind, with these hosts failed. Not the rest of the text: times and reasons
    /// differ between the directors.
    #[must_use]
    pub fn of<'a>(kind: &str, failed: impl IntoIterator<Item = &'a str>) -> Self {
        let mut failed: Vec<&str> = failed.into_iter().collect();
        failed.sort_unstable();
        failed.dedup();
        let mut digest = Sha256::new();
        for word in std::iter::once(kind).chain(failed) {
            digest.update(word);
            digest.update([0]);
        }
        let digest = digest.finalize();
        let bytes = digest.first_chunk().copied().unwrap_or_default();
        Self(u64::from_be_bytes(bytes))
    }
}

/// What an event says, and in how many calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Said {
    /// One for each alert line.
    pub calls: u32,
    /// The same in each.
    pub news: News,
}

/// An event with its numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "(u32, u32, News)", into = "(u32, u32, News)")]
pub struct Counted {
    /// How many calls came before its first one.
    pub before: u32,
    /// What it says.
    pub said: Said,
}

impl From<(u32, u32, News)> for Counted {
    fn from((before, calls, news): (u32, u32, News)) -> Self {
        let said = Said { calls, news };
        Self { before, said }
    }
}

impl From<Counted> for (u32, u32, News) {
    fn from(it: Counted) -> Self {
        (it.before, it.said.calls, it.said.news)
    }
}

/// The latest events of an outage, at most [`EVENTS_MAX`], the oldest first; of those in a row that
/// say the same only the last.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Vec<Counted>")]
pub struct Events(Vec<Counted>);

impl Events {
    /// One more.
    pub fn add(&mut self, event: Counted) {
        self.0.pop_if(|latest| latest.said == event.said);
        if self.0.len() >= EVENTS_MAX {
            self.0.remove(0);
        }
        self.0.push(event);
    }

    /// Whether there is none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The newest.
    #[must_use]
    pub fn newest(&self) -> Option<Counted> {
        self.0.last().copied()
    }

    /// The newest that says this.
    #[must_use]
    pub fn newest_that_says(&self, said: Said) -> Option<Counted> {
        let mut newest_first = self.0.iter().rev();
        newest_first.find(|event| event.said == said).copied()
    }
}

impl From<Vec<Counted>> for Events {
    fn from(events: Vec<Counted>) -> Self {
        let mut bounded = Self::default();
        events.into_iter().for_each(|event| bounded.add(event));
        bounded
    }
}

/// What a director says of the calls of an outage.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// How many there are.
    pub calls: u32,
    /// What the latest said; none from an older version.
    #[serde(default, skip_serializing_if = "Events::is_empty")]
    pub events: Events,
}

impl Counts {
    /// Where nothing in them is beyond [`COUNT_MAX`].
    #[must_use]
    pub fn believed(calls: u32, events: &Events) -> Option<Self> {
        let is_believed = |event: &Counted| event.before <= COUNT_MAX;
        let all = calls <= COUNT_MAX && events.0.iter().all(is_believed);
        all.then(|| Self {
            calls,
            events: events.clone(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(before: u32, calls: u32, failed: &str) -> Counted {
        let news = News::of("failure", failed.split(' '));
        let said = Said { calls, news };
        Counted { before, said }
    }

    #[test]
    fn news_are_the_kind_and_the_hosts_in_any_order() {
        let news = |kind, hosts: &[&str]| News::of(kind, hosts.iter().copied());
        let two = news("failure", &["h1", "h2"]);
        assert_eq!(two, news("failure", &["h2", "h1", "h2"]));
        for other in [
            news("trap", &["h1", "h2"]),
            news("failure", &["h1h2"]),
            news("failure", &["h1"]),
            news("failure", &[]),
        ] {
            assert_ne!(two, other);
        }
        // Another version on the other director must come to the same.
        assert_eq!(serde_json::to_string(&two).unwrap(), "17616065621621191160");
    }

    #[test]
    fn the_latest_changes_are_remembered() {
        let mut events = Events::default();
        for at in 0..20 {
            events.add(event(2 * at, 1, &at.to_string()));
            events.add(event(2 * at + 1, 1, &at.to_string()));
        }
        assert_eq!(events.newest(), Some(event(39, 1, "19")));
        assert_eq!(events.0.len(), EVENTS_MAX);
        let oldest = event(25, 1, "12");
        assert_eq!(events.newest_that_says(oldest.said), Some(oldest));
        assert_eq!(events.newest_that_says(event(0, 1, "11").said), None);
        assert_eq!(events.newest_that_says(event(0, 2, "19").said), None);
        let text = serde_json::to_string(&events).unwrap();
        assert_eq!(serde_json::from_str::<Events>(&text).unwrap(), events);
        let many = format!("[{}]", ["[1,1,1],[2,1,2]"; 1_000].join(","));
        let many: Events = serde_json::from_str(&many).unwrap();
        assert_eq!(many.0.len(), EVENTS_MAX);
    }

    #[test]
    fn a_number_beyond_all_sense_is_not_believed() {
        let events = |before| Events::from(vec![event(before, 1, "h1")]);
        assert!(Counts::believed(COUNT_MAX, &events(COUNT_MAX)).is_some());
        assert_eq!(Counts::believed(COUNT_MAX + 1, &events(0)), None);
        assert_eq!(Counts::believed(1, &events(COUNT_MAX + 1)), None);
    }
}
