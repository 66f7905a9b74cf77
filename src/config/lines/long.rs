//! What is known beforehand of a line that is too long to be read again for each place in it?
//!
//! A hostgroup of thousands of hosts may stand on one line, physical or logical, and each host has
//! its place. Each such line is read once, when the file is taken in.

use std::collections::BTreeMap;

use crate::options::masked;
use crate::text::cut;

/// Longest line, in bytes, that is read anew for each place in it: a line of a person is shorter.
const SHORT_MAX: usize = 1_000;

/// The long lines of a file.
#[derive(Debug, Default)]
pub(super) struct LongLines {
    /// The physical ones, by where they begin in the text.
    physical: BTreeMap<usize, Long>,
    /// The logical ones: where each begins and ends in the joined text, and whether it may hide
    /// something.
    logical: BTreeMap<usize, (usize, bool)>,
}

/// A long physical line.
#[derive(Debug)]
pub(super) struct Long {
    pub(super) may_hide: bool,
    /// Bytes and characters before letters of it, at most [`SHORT_MAX`] bytes from one to the next.
    columns: Vec<(usize, usize)>,
}

impl LongLines {
    /// Those of a text and of its logical lines.
    pub(super) fn of(text: &str, joined: &str) -> Self {
        let physical = long(text).map(|(start, line)| (start, Long::new(line)));
        let logical = long(joined).map(|(start, line)| {
            let known = (start + line.len(), masked::may_hide(line));
            (start, known)
        });
        Self {
            physical: physical.collect(),
            logical: logical.collect(),
        }
    }

    /// The physical line that begins there; none where that is short.
    pub(super) fn physical(&self, start: usize) -> Option<&Long> {
        self.physical.get(&start)
    }

    /// Whether the logical line of this byte may hide something; none where that is short.
    pub(super) fn may_hide(&self, joined: usize) -> Option<bool> {
        let (_, &(end, may_hide)) = self.logical.range(..=joined).next_back()?;
        (joined <= end).then_some(may_hide)
    }
}

impl Long {
    fn new(line: &str) -> Self {
        let mut columns = vec![(0, 0)];
        let (mut bytes, mut letters) = (0, 0);
        let mut rest = line;
        while rest.len() > SHORT_MAX {
            let step = cut(rest, SHORT_MAX);
            bytes += step.len();
            letters += step.chars().count();
            columns.push((bytes, letters));
            rest = line.get(bytes..).unwrap_or_default();
        }
        Self {
            may_hide: masked::may_hide(line),
            columns,
        }
    }

    /// How many characters of this line stand before a byte of it.
    pub(super) fn column(&self, line: &str, at: usize) -> usize {
        let after = self.columns.partition_point(|&(bytes, _)| bytes <= at);
        let known = after
            .checked_sub(1)
            .and_then(|index| self.columns.get(index));
        let &(bytes, letters) = known.unwrap_or(&(0, 0));
        let since = line.get(bytes..).unwrap_or_default();
        letters + cut(since, at.saturating_sub(bytes)).chars().count()
    }
}

/// The lines that are, with where they begin.
fn long(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut next = 0;
    let lines = text.split('\n').map(move |line| {
        let start = next;
        next = start + line.len() + 1;
        (start, line)
    });
    lines.filter(|(_, line)| line.len() > SHORT_MAX)
}
