//! Is somebody else writing the same place of the table, again and again?
//!
//! Whoever puts a place right more than [`REPAIRS_MAX`] times within [`WINDOW`] is not mending
//! drift: two writers want different things. From then on the place is put right every
//! [`REST_MIN`] only, and more and more seldom, until the other one rests: no fight for ever, and
//! the other writer's wish is the one that mostly stands. Pure; who reads the clock and writes
//! the table is the daemon's applier.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use crate::lvs::{Command, RealServerKey, VirtualServiceKey};
use crate::time::Mono;

/// So many repairs within [`WINDOW`] are drift: an operator who tries something by hand, a script
/// that runs twice.
const REPAIRS_MAX: usize = 5;
/// In which repairs are counted. A look comes every second at most, so a writer that changes the
/// place at once is noticed after some six seconds, one that does so every ten within a minute.
const WINDOW: Duration = Duration::from_secs(60);
/// First rest of a place that is fought for.
const REST_MIN: Duration = Duration::from_secs(30);
/// Longest rest: what is left of our wish is said and shown, and tried again now and then.
const REST_MAX: Duration = Duration::from_secs(600);

/// What a command is about: a virtual service, or a real server in it.
pub(super) type Place = (VirtualServiceKey, Option<RealServerKey>);

/// The places that were put right lately.
#[derive(Debug, Default)]
pub(super) struct Contests {
    places: BTreeMap<Place, Contest>,
}

/// What is known of one place.
#[derive(Debug)]
struct Contest {
    /// The repair that is made again and again; for another one nobody has to wait.
    command: Command,
    /// When, lately; at most [`REPAIRS_MAX`] and one more.
    repairs: VecDeque<Mono>,
    rest: Option<Rest>,
}

/// The place rests.
#[derive(Clone, Copy, Debug)]
struct Rest {
    until: Mono,
    span: Duration,
}

impl Contests {
    /// The same place was put right at `now`, since somebody else had changed it.
    pub(super) fn repaired(&mut self, place: Place, command: &Command, now: Mono) {
        let contest = self
            .places
            .entry(place)
            .or_insert_with(|| Contest::new(command));
        if contest.command != *command {
            *contest = Contest::new(command);
        }
        contest.forget(now);
        contest.repairs.push_back(now);
        let span = match contest.rest {
            Some(rest) => rest.span.saturating_mul(2).min(REST_MAX),
            None if contest.repairs.len() > REPAIRS_MAX => REST_MIN,
            None => return,
        };
        contest.repairs.clear();
        contest.rest = Some(Rest {
            until: now.after(span),
            span,
        });
    }

    /// Whether this repair has to wait.
    #[must_use]
    pub(super) fn holds(&self, place: Place, command: &Command, now: Mono) -> bool {
        let contest = self.places.get(&place);
        contest.is_some_and(|it| {
            it.command == *command && it.rest.is_some_and(|rest| rest.until > now)
        })
    }

    /// Forgets what nobody fights for any more: a place that rested and was then left alone for
    /// [`WINDOW`], and repairs longer ago than that.
    pub(super) fn calm(&mut self, now: Mono) {
        self.places.retain(|_, contest| {
            contest.forget(now);
            match contest.rest {
                Some(rest) => now < rest.until.after(WINDOW),
                None => !contest.repairs.is_empty(),
            }
        });
    }

    /// The places that are fought for, in order.
    pub(super) fn contested(&self) -> impl Iterator<Item = Place> + '_ {
        let places = self.places.iter();
        places
            .filter(|(_, contest)| contest.rest.is_some())
            .map(|(&place, _)| place)
    }
}

impl Contest {
    fn new(command: &Command) -> Self {
        Self {
            command: command.clone(),
            repairs: VecDeque::new(),
            rest: None,
        }
    }

    fn forget(&mut self, now: Mono) {
        while let Some(&first) = self.repairs.front()
            && now.since(first) > WINDOW
        {
            self.repairs.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn second(count: u64) -> Mono {
        Mono::ZERO.after(Duration::from_secs(count))
    }

    fn place() -> (Place, Command) {
        let key = "10.0.0.3:80/tcp".parse().unwrap();
        let server = RealServerKey("10.1.0.1:80".parse().unwrap());
        ((key, Some(server)), Command::DeleteServer(key, server))
    }

    /// Somebody changes the place every `gap` seconds until `end`; answers with the seconds at
    /// which it is put right.
    fn repairs(contests: &mut Contests, gap: u64, end: u64) -> Vec<u64> {
        let (place, command) = place();
        let mut repairs = Vec::new();
        for now in (0..end).step_by(usize::try_from(gap).unwrap()) {
            contests.calm(second(now));
            if !contests.holds(place, &command, second(now)) {
                contests.repaired(place, &command, second(now));
                repairs.push(now);
            }
        }
        repairs
    }

    #[test]
    fn a_place_that_is_fought_for_is_put_right_more_and_more_seldom() {
        let mut contests = Contests::default();
        let found = repairs(&mut contests, 1, 3_000);
        let expected = [0, 1, 2, 3, 4, 5, 35, 95, 215, 455, 935, 1_535, 2_135, 2_735];
        assert_eq!(found, expected);
        assert_eq!(contests.contested().collect::<Vec<Place>>(), [place().0]);
        // It ends when the other one rests: after the rest and a minute more.
        contests.calm(second(2_735 + 600 + 59));
        assert_eq!(contests.contested().count(), 1);
        contests.calm(second(2_735 + 600 + 60));
        assert_eq!(contests.contested().count(), 0);
        assert!(contests.places.is_empty());
    }

    #[test]
    fn what_changes_now_and_then_is_drift() {
        let mut contests = Contests::default();
        assert_eq!(repairs(&mut contests, 13, 1_300).len(), 100);
        assert_eq!(contests.contested().count(), 0);
        assert_eq!(repairs(&mut Contests::default(), 12, 61).len(), 6);
    }

    #[test]
    fn another_wish_for_the_place_need_not_wait() {
        let mut contests = Contests::default();
        let (place, command) = place();
        for now in 0..6 {
            contests.repaired(place, &command, second(now));
        }
        assert!(contests.holds(place, &command, second(6)));
        let other = Command::DeleteService(place.0);
        assert!(!contests.holds(place, &other, second(6)));
        assert!(!contests.holds((place.0, None), &command, second(6)));
    }
}
