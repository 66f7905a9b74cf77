//! In which words does the post hear, and answer?

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use crate::digest::Digest;
use crate::pair::post::Forgotten;
use crate::pair::talk::Delivery;

/// Whether the other director says what it has told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Hearing {
    /// It never does: the file names no peer.
    #[default]
    Never,
    /// It does at present.
    Linked,
    /// It does when it is heard, which it is not at present.
    Lost,
}

/// Times by which letters go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Terms {
    /// What is held, and of which nothing is heard, counts as told from this age on.
    pub held_most: Duration,
    /// Whatever it is, it is of no use at this age.
    pub give_up_after: Duration,
}

impl Default for Terms {
    fn default() -> Self {
        Self {
            // A takeover takes seconds, grouping and a relay that restarts some more.
            held_most: Duration::from_secs(120),
            // Over a weekend without anybody to mend the relay.
            give_up_after: Duration::from_secs(3 * 86_400),
        }
    }
}

/// What the other director is to hear, in order.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Tidings {
    /// This was delivered.
    Delivered(Delivery),
    /// An outage has another number.
    Renumbered {
        /// `GROUP/SERVICE/BEGAN` so far.
        from: Arc<str>,
        /// The same from now on.
        to: Arc<str>,
    },
}

/// What comes of a letter that is to be put in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admission {
    /// It is in.
    Taken,
    /// Another one tells that already: this one.
    Known(u64),
    /// The other director has told it or, while it is the one to tell, what makes it needless.
    Needless,
}

/// What comes of a renumbering.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Renumbered {
    /// Letters that the other director has told under the new number.
    pub forgotten: Vec<Forgotten>,
    /// Letters whose events have other ids now.
    pub changed: BTreeSet<u64>,
}

/// How directors call a receiver that is no address among themselves: by a word and a digest of
/// what stands in the file. `parts` are as people may see them (`options::masked`): whoever has a
/// digest can try out guesses, so no secret goes into it, and lines that differ in one only are one
/// receiver.
#[must_use]
pub fn receiver<'a>(word: &str, parts: impl IntoIterator<Item = &'a str>) -> Arc<str> {
    format!("{word} {}", Digest::of_list(parts)).into()
}
