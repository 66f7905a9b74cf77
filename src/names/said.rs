//! Which of many names have a line of the log each? The first few; the rest are counted.
//!
//! When name servers fall silent the same is to be said of every name that the file has.

use std::time::Duration;

use crate::time::Mono;

/// Names that have a line each in one [`ROUND`].
const SINGLY_MAX: usize = 5;

/// So long the same news of one name after the other are one affair: the silence of name servers
/// is found out for [`super::QUESTIONS_MAX`] names in ten seconds.
const ROUND: Duration = Duration::from_secs(60);

/// What is said of names whose addresses are known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum News<'a> {
    /// No server answers; the last good answer is kept. Why.
    Silent(&'a str),
    /// The servers say that there is no such name; the last good answer is kept for a while. Why.
    Denied(&'a str),
    /// They said so for long. Why.
    Gone(&'a str),
    /// There is a good answer again.
    Again,
}

/// Of all news.
#[derive(Debug, Default)]
pub(super) struct Said {
    silent: Lines,
    denied: Lines,
    gone: Lines,
    again: Lines,
}

/// Of one sort of news.
#[derive(Debug, Default)]
struct Lines {
    began: Option<Mono>,
    said: usize,
    unsaid: usize,
}

impl Said {
    /// Says the news of a name, or counts it.
    pub(super) fn say(&mut self, now: Mono, name: &str, news: News<'_>) {
        match news {
            News::Silent(why) if self.silent.has_room(now) => {
                tracing::warn!(name, why, "no answer, the last good one is kept");
            }
            News::Denied(why) if self.denied.has_room(now) => {
                let most = super::DENIALS;
                tracing::warn!(
                    name,
                    why,
                    most,
                    "no such name, the last good answer is kept until it is said so often"
                );
            }
            News::Gone(why) if self.gone.has_room(now) => {
                tracing::warn!(name, why, "name no longer has an address");
            }
            News::Again if self.again.has_room(now) => {
                tracing::info!(name, "name resolves again");
            }
            // Counted.
            News::Silent(_) | News::Denied(_) | News::Gone(_) | News::Again => {}
        }
    }

    /// Says of how many names nothing was said, once their round is over.
    pub(super) fn say_the_rest(&mut self, now: Mono) {
        if let Some(names) = self.silent.take_unsaid(now) {
            tracing::warn!(
                names,
                "no answer for more names, the last good ones are kept"
            );
        }
        if let Some(names) = self.denied.take_unsaid(now) {
            tracing::warn!(
                names,
                "more names that are said not to exist, the last good answers are kept"
            );
        }
        if let Some(names) = self.gone.take_unsaid(now) {
            tracing::warn!(names, "more names no longer have an address");
        }
        if let Some(names) = self.again.take_unsaid(now) {
            tracing::info!(names, "more names resolve again");
        }
    }
}

impl Lines {
    /// Whether one more name has a line; where not, it is counted.
    fn has_room(&mut self, now: Mono) -> bool {
        if self.is_over(now) {
            *self = Self {
                began: Some(now),
                ..Self::default()
            };
        }
        let has_room = self.said < SINGLY_MAX;
        self.said += usize::from(has_room);
        self.unsaid += usize::from(!has_room);
        has_room
    }

    fn take_unsaid(&mut self, now: Mono) -> Option<usize> {
        let is_due = self.unsaid > 0 && self.is_over(now);
        is_due.then(|| std::mem::take(self).unsaid)
    }

    fn is_over(&self, now: Mono) -> bool {
        self.began.is_none_or(|began| now.since(began) >= ROUND)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::logged::lines;

    const fn at(seconds: u64) -> Mono {
        Mono::from_micros(seconds * 1_000_000)
    }

    #[test]
    fn of_each_sort_of_news_the_rest_is_said_once_when_its_round_is_over() {
        for (news, singly, rest) in [
            (
                News::Silent("silence"),
                "no answer, the last good one is kept",
                "no answer for more names, the last good ones are kept",
            ),
            (
                News::Denied("no"),
                "no such name, the last good answer is kept until it is said so often",
                "more names that are said not to exist, the last good answers are kept",
            ),
            (
                News::Gone("no"),
                "name no longer has an address",
                "more names no longer have an address",
            ),
            (
                News::Again,
                "name resolves again",
                "more names resolve again",
            ),
        ] {
            let mut said = Said::default();
            let told = lines(|| {
                for number in 0..7 {
                    said.say(at(100), &format!("w{number}"), news);
                }
                said.say_the_rest(at(159));
            });
            assert_eq!(told.len(), SINGLY_MAX, "{told:?}");
            let is_of_name = |(number, line): (usize, &String)| {
                line.contains(singly) && line.contains(&format!("name=\"w{number}\""))
            };
            assert!(told.iter().enumerate().all(is_of_name), "{told:?}");
            // Whatever the next look-up comes to.
            let told = lines(|| {
                said.say_the_rest(at(160));
                said.say_the_rest(at(300));
            });
            assert_eq!(told.len(), 1, "{told:?}");
            let is_rest = told[0].contains(rest) && told[0].contains("names=2");
            assert!(is_rest, "{told:?}");
        }
    }

    #[test]
    fn what_has_no_line_is_counted_and_said_when_the_round_is_over() {
        let mut lines = Lines::default();
        let said = (0..2_000).filter(|_| lines.has_room(at(100))).count();
        assert_eq!(said, SINGLY_MAX);
        assert_eq!(lines.take_unsaid(at(159)), None);
        assert_eq!(lines.take_unsaid(at(160)), Some(2_000 - SINGLY_MAX));
        assert_eq!(lines.take_unsaid(at(160)), None);
        assert!(lines.has_room(at(161)), "another affair has its lines");
        assert_eq!(lines.take_unsaid(at(300)), None);
    }
}
