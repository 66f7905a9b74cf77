//! What comes first at a takeover: the table.
//!
//! Whoever becomes active lets nothing leave before the table was read and put right once more,
//! since clients come now and people can wait. Not for ever: where the kernel does not answer, that
//! is to be told, too. Pure; who looks at the table is the daemon's applier.

use std::time::Duration;

use crate::time::Mono;

/// How long messages wait for the table: as long as mails of one moment wait for each other anyhow
/// (`mail_group_wait`), and far longer than a look takes.
const TABLE_LIMIT: Duration = Duration::from_secs(5);

/// Whether messages wait for the table.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::daemon) enum Takeover {
    /// Nobody has taken over, or the table was looked at since.
    #[default]
    Over,
    /// This director became active then.
    Began(Mono),
}

/// What became of a takeover.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Nothing is waited for.
    Nothing,
    /// The table is.
    Waits,
    /// It is not any more, though it was not looked at.
    GivenUp,
}

impl Takeover {
    /// One more step: `looked` is when the last look at the table began that has ended.
    pub(super) fn step(&mut self, now: Mono, looked: Option<Mono>) -> Step {
        let Self::Began(at) = *self else {
            return Step::Nothing;
        };
        let step = if looked.is_some_and(|looked| looked >= at) {
            Step::Nothing
        } else if now >= at.after(TABLE_LIMIT) {
            Step::GivenUp
        } else {
            return Step::Waits;
        };
        *self = Self::Over;
        step
    }

    /// Until when messages wait at the latest; none where they do not.
    pub(in crate::daemon) fn deadline(self) -> Option<Mono> {
        match self {
            Self::Over => None,
            Self::Began(at) => Some(at.after(TABLE_LIMIT)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn second(count: u64) -> Mono {
        Mono::ZERO.after(Duration::from_secs(count))
    }

    #[test]
    fn only_a_look_that_began_at_the_takeover_or_later_ends_the_wait() {
        for looked in [None, Some(second(9))] {
            let mut takeover = Takeover::Began(second(10));
            assert_eq!(takeover.step(second(11), looked), Step::Waits);
            assert_eq!(takeover.deadline(), Some(second(15)));
            let looked = Some(second(10));
            assert_eq!(takeover.step(second(11), looked), Step::Nothing);
            assert_eq!((takeover, takeover.deadline()), (Takeover::Over, None));
        }
    }

    #[test]
    fn a_table_that_nobody_can_look_at_is_waited_for_five_seconds() {
        let mut takeover = Takeover::Began(second(10));
        let early = Mono::from_micros(14_999_999);
        assert_eq!(takeover.step(early, Some(second(9))), Step::Waits);
        assert_eq!(takeover.step(second(15), None), Step::GivenUp);
        assert_eq!(takeover.step(second(16), None), Step::Nothing);
    }
}
