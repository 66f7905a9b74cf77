//! What was told, as it stands on the disk, so that a restart forgets none of it (D26)?
//!
//! Pure: text in, text out. One line for each thing, in order; a line that cannot be read is passed
//! over, since what is forgotten here can only be told twice. Bounded as the memory is of which
//! this is the copy: by number and by age.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::pair::talk::Delivery;
use crate::pair::talk::delivered::{DELIVERED_AGE, DELIVERED_MAX};
use crate::time::Wall;

/// One thing that a restart must not forget.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Entry {
    /// This director delivered it.
    Delivered(Delivery),
    /// The other director told it.
    Told(Delivery),
    /// An outage has another number.
    Renumbered {
        /// `GROUP/SERVICE/BEGAN` so far.
        from: Arc<str>,
        /// The same from now on.
        to: Arc<str>,
    },
}

/// One line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    /// When it was written.
    pub at: Wall,
    /// What it says.
    #[serde(flatten)]
    pub entry: Entry,
}

impl Line {
    /// As it stands in the file, with its end. Texts and a number only: writing it cannot fail.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = serde_json::to_string(self).unwrap_or_default();
        text.push('\n');
        text
    }
}

/// What a file says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Page {
    /// What still counts, the oldest first: at most [`DELIVERED_MAX`], none older than
    /// [`DELIVERED_AGE`].
    pub lines: Vec<Line>,
    /// Lines that say nothing: torn by a crash, or written by something else.
    pub passed_over: usize,
}

impl Page {
    /// Reads the bytes of a file. A line of the future counts as new: the clock was set.
    #[must_use]
    pub fn of(bytes: &[u8], now: Wall) -> Self {
        let mut page = Self::default();
        for line in bytes.split(|byte| *byte == b'\n') {
            if line.is_empty() {
                continue;
            }
            match serde_json::from_slice::<Line>(line) {
                Ok(line) if now.since(line.at) > DELIVERED_AGE => {}
                Ok(line) => page.lines.push(line),
                Err(_) => page.passed_over += 1,
            }
        }
        let excess = page.lines.len().saturating_sub(DELIVERED_MAX);
        page.lines.drain(..excess);
        page
    }

    /// As it is written anew.
    #[must_use]
    pub fn text(&self) -> String {
        self.lines.iter().map(Line::text).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const START: Wall = Wall::from_micros(1_710_316_800_000_000);

    fn delivered(seconds: u64, event: &str) -> Line {
        Line {
            at: START.after(Duration::from_secs(seconds)),
            entry: Entry::Delivered(Delivery {
                event: event.into(),
                to: "ops@x".into(),
            }),
        }
    }

    #[test]
    fn what_is_written_is_read_as_it_was() {
        let told = Delivery {
            event: "g/s \"é\"\n/1/up/1".into(),
            to: "program 01".into(),
        };
        let renumbered = Entry::Renumbered {
            from: "g/s/2".into(),
            to: "g/s/1".into(),
        };
        let of = |entry| Line { at: START, entry };
        let lines = vec![
            delivered(0, "g/s/1/failure/1"),
            of(Entry::Told(told)),
            of(renumbered),
        ];
        let page = Page {
            lines,
            passed_over: 0,
        };
        let text = page.text();
        assert_eq!(text.lines().count(), 3, "{text}");
        assert_eq!(Page::of(text.as_bytes(), START), page);
        let first = "{\"at\":1710316800000000,\"delivered\":{\"event\":\"g/s/1/failure/1\",\"to\":\"ops@x\"}}";
        assert_eq!(text.lines().next(), Some(first));
    }

    #[test]
    fn torn_and_foreign_lines_are_passed_over_and_the_others_count() {
        let (one, two) = (delivered(0, "g/s/1/up/1"), delivered(1, "g/s/2/up/1"));
        let mut bytes = one.text().into_bytes();
        bytes.extend_from_slice(b"\xff\xfe\x00\n\n{\"at\":1,\"forgiven\":{}}\n");
        bytes.extend_from_slice(two.text().trim_end().as_bytes());
        let page = Page::of(&bytes, START);
        assert_eq!((page.lines, page.passed_over), (vec![one, two], 2));
        let torn = &bytes[..bytes.len() - 1];
        let page = Page::of(torn, START);
        assert_eq!((page.lines.len(), page.passed_over), (1, 3));
    }

    #[test]
    fn it_is_bounded_by_number_and_age_and_a_clock_that_was_set_back_forgets_nothing() {
        let text: String = (0..DELIVERED_MAX as u64 + 3)
            .map(|number| delivered(number, &format!("g/s/{number}/up/1")).text())
            .collect();
        let page = Page::of(text.as_bytes(), START);
        assert_eq!(page.lines.len(), DELIVERED_MAX);
        assert_eq!(page.lines[0], delivered(3, "g/s/3/up/1"));
        let late = START.after(DELIVERED_AGE + Duration::from_secs(10));
        let page = Page::of(text.as_bytes(), late);
        assert_eq!(page.lines[0], delivered(10, "g/s/10/up/1"));
        assert_eq!(page.passed_over, 0);
    }
}
