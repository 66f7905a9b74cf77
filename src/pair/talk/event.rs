//! What does the id of an event say, and which events does another one make needless?

use std::iter;

/// The parts of an event id, `GROUP/SERVICE/BEGAN/KIND/NUMBER`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EventId<'a> {
    /// `GROUP/SERVICE/BEGAN`, the same for all that an outage causes.
    pub outage: &'a str,
    /// What it tells.
    pub kind: EventKind<'a>,
    /// Which call of that outage.
    pub number: u32,
}

impl<'a> EventId<'a> {
    /// Takes an id apart; none where it is none.
    #[must_use]
    pub fn of(text: &'a str) -> Option<Self> {
        let (rest, number) = text.rsplit_once('/')?;
        let (outage, kind) = rest.rsplit_once('/')?;
        outage.rsplit_once('/')?;
        Some(Self {
            outage,
            kind: EventKind::of(kind),
            number: number.parse().ok()?,
        })
    }

    /// `GROUP/SERVICE` and BEGAN of the outage; none where that is no number.
    #[must_use]
    pub fn place(self) -> Option<(&'a str, i64)> {
        let (place, number) = self.outage.rsplit_once('/')?;
        Some((place, number.parse().ok()?))
    }

    /// The same id in another outage.
    #[must_use]
    pub fn within(self, outage: &str) -> String {
        format!("{outage}/{}/{}", self.kind.word(), self.number)
    }

    /// The same id of another kind.
    #[must_use]
    pub fn as_kind(self, kind: EventKind<'_>) -> String {
        format!("{}/{}/{}", self.outage, kind.word(), self.number)
    }

    /// Whether both directors know it by this id, so that one of them can say that it told it: not
    /// its own start, not what a person tries or does on it, not what a `redistribute` line tells,
    /// and not who else writes into its own kernel's table.
    #[must_use]
    pub const fn is_shared(self) -> bool {
        match self.kind {
            EventKind::Startup
            | EventKind::Test
            | EventKind::Disable
            | EventKind::Redistributed
            | EventKind::Contested
            | EventKind::ContestedOver => false,
            EventKind::Failure
            | EventKind::Up
            | EventKind::Trap
            | EventKind::TrapTimeout
            | EventKind::Ack
            | EventKind::Other(_) => true,
        }
    }

    /// Whether whoever was told this need not be told `other` any more: it is the end of the
    /// outage that `other` is of, or a later call of the same kind.
    #[must_use]
    pub fn covers(self, other: EventId<'_>) -> bool {
        let is_later = self.kind == other.kind && self.number >= other.number;
        self.outage == other.outage && (self.kind == EventKind::Up || is_later)
    }
}

/// What an event tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventKind<'a> {
    /// Something fails.
    Failure,
    /// It is good again.
    Up,
    /// The director started.
    Startup,
    /// A failure trap.
    Trap,
    /// No trap in time.
    TrapTimeout,
    /// An acknowledgement.
    Ack,
    /// A service was disabled.
    Disable,
    /// A person tries an alert.
    Test,
    /// A `redistribute` line was called: each director calls it at each of its own reports.
    Redistributed,
    /// Somebody else writes a section's places in this director's kernel.
    Contested,
    /// Nobody does any more.
    ContestedOver,
    /// What this version does not know, as another one writes it.
    Other(&'a str),
}

impl<'a> EventKind<'a> {
    /// All that this version knows.
    fn known() -> impl Iterator<Item = EventKind<'static>> {
        iter::successors(Some(EventKind::Failure), |kind| kind.next())
    }

    /// The next one of those; none behind the last. Each kind has its place here, or its own word
    /// would be read as one that is not known.
    const fn next(self) -> Option<EventKind<'static>> {
        match self {
            Self::Failure => Some(EventKind::Up),
            Self::Up => Some(EventKind::Startup),
            Self::Startup => Some(EventKind::Trap),
            Self::Trap => Some(EventKind::TrapTimeout),
            Self::TrapTimeout => Some(EventKind::Ack),
            Self::Ack => Some(EventKind::Disable),
            Self::Disable => Some(EventKind::Test),
            Self::Test => Some(EventKind::Redistributed),
            Self::Redistributed => Some(EventKind::Contested),
            Self::Contested => Some(EventKind::ContestedOver),
            Self::ContestedOver | Self::Other(_) => None,
        }
    }

    /// The kind of that word.
    #[must_use]
    pub fn of(word: &'a str) -> Self {
        let known = EventKind::known().find(|kind| kind.word() == word);
        known.unwrap_or(Self::Other(word))
    }

    /// The word for it in event ids; of what mon has too the one in `MON_ALERTTYPE`.
    #[must_use]
    pub const fn word(self) -> &'a str {
        match self {
            Self::Failure => "failure",
            Self::Up => "up",
            Self::Startup => "startup",
            Self::Trap => "trap",
            Self::TrapTimeout => "traptimeout",
            Self::Ack => "ack",
            Self::Disable => "disable",
            Self::Test => "test",
            Self::Redistributed => "redistribute",
            Self::Contested => "contested",
            Self::ContestedOver => "contested_over",
            Self::Other(word) => word,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kind_is_read_as_it_is_written_whatever_the_version() {
        for kind in EventKind::known() {
            assert_eq!(EventKind::of(kind.word()), kind);
        }
        assert_eq!(EventKind::known().count(), 11);
        assert_eq!(EventKind::of("later"), EventKind::Other("later"));
        let id = EventId::of("a/b/17/later/2").unwrap();
        assert_eq!(id.within("a/b/18"), "a/b/18/later/2");
        assert_eq!(
            id.as_kind(EventKind::Redistributed),
            "a/b/17/redistribute/2"
        );
    }
}
