//! Has the other director heard of a number before people do (D26)?
//!
//! Where both directors tell people, both may number one outage while the word of the other one is
//! on its way. So a message of a new number waits for an answer, which is no word of its own: each
//! director says the greatest number that it knows, of its own or the other's, behind all outages
//! that it has found by then (`talk::conversation`). Whoever hears one that is not less than a
//! number has heard of every lesser number that the other one has given the same outage, and later
//! ones are greater; and of two numbers the lesser stays (`engine::peer`). Whoever has the greater
//! one hears of the lesser before the answer.

use std::time::Duration;

use crate::pair::talk::EventId;
use crate::time::Mono;

/// How long a message waits for an answer at most: several times what the word and the answer need
/// between two directors that are at work (each speaks ten times a second), and no person is told
/// noticeably later. Then it leaves all the same: two numbers are better than silence.
pub const ANSWER_LIMIT: Duration = Duration::from_secs(1);

/// What the other director has answered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Answers {
    /// Nothing waits for it: it does not tell people, or this one does not, or it is not linked.
    #[default]
    Unneeded,
    /// It has heard of the numbers up to this one.
    UpTo(i64),
}

impl Answers {
    /// Until when a message of this event, which came then, waits for an answer; none where it
    /// need not.
    #[must_use]
    pub fn awaited(self, event: &str, came: Mono) -> Option<Mono> {
        let heard = match self {
            Self::Unneeded => return None,
            Self::UpTo(heard) => heard,
        };
        let id = EventId::of(event).filter(|id| id.is_shared())?;
        let (_, number) = id.place()?;
        (number > heard).then(|| came.after(ANSWER_LIMIT))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CAME: Mono = Mono::from_micros(5_000_000);
    const LATEST: Mono = Mono::from_micros(6_000_000);

    #[test]
    fn what_has_a_number_that_is_not_answered_waits_for_a_second() {
        let answers = Answers::UpTo(1_000);
        for event in [
            "g/s/1001/failure/1",
            "g/s/1001/up/3",
            "virtual/10.0.0.3:80/tcp no_server/1001/failure/1",
        ] {
            assert_eq!(answers.awaited(event, CAME), Some(LATEST), "{event}");
            assert_eq!(Answers::UpTo(1_001).awaited(event, CAME), None, "{event}");
            assert_eq!(Answers::Unneeded.awaited(event, CAME), None, "{event}");
        }
        assert_eq!(answers.awaited("g/s/1000/failure/1", CAME), None);
    }

    #[test]
    fn what_each_director_tells_of_itself_waits_for_nothing() {
        for event in [
            "g/s/1001/startup/1",
            "g/s/1001/test/1",
            "virtual/10.0.0.3:80/tcp/1001/redistribute/1",
            "no id",
        ] {
            assert_eq!(Answers::UpTo(1_000).awaited(event, CAME), None, "{event}");
        }
    }
}
