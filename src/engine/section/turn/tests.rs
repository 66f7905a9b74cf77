//! Turns by themselves; what two directors make of them is in the stories of sections.

use super::*;
use crate::engine::fixture::at;
use crate::time::Wall;

/// So many seconds after the start, with a wall clock that is ahead by so many.
fn when(seconds: f64, ahead: i64) -> Now {
    let now = at(seconds);
    let wall = now.wall.as_micros() + ahead * 1_000_000;
    Now {
        wall: Wall::from_micros(wall),
        ..now
    }
}

/// The turn of what is withdrawn now.
fn next(turns: &mut Turns, now: Now) -> Turn {
    let key = "10.0.0.3:80/tcp".parse().unwrap();
    turns.of(key, &(HostName::new("web1"), 80), now).turn
}

#[test]
fn later_withdrawals_have_greater_turns_however_the_clock_is_set() {
    let mut turns = Turns::default();
    let first = next(&mut turns, when(1.0, 0));
    assert_eq!(first, Turn(at(1.0).wall.as_micros()));
    assert_eq!(next(&mut turns, when(1.0, 0)), first, "at once");
    // An hour back, an hour ahead, and right again.
    let moments = [(2.0, -3_600), (3.0, 3_600), (4.0, 0), (4.5, -7_200)];
    let later = moments.map(|(seconds, ahead)| next(&mut turns, when(seconds, ahead)));
    let expected = [1_000_000, 2_000_000, 3_000_000, 3_500_000];
    assert_eq!(later, expected.map(|since| first.later(since)));
}

#[test]
fn what_fails_behind_a_restart_comes_later_than_what_the_journal_knows() {
    let mut turns = Turns::default();
    let known = [at(500.0), at(900.0), at(700.0)].map(|now| Turn(now.wall.as_micros()));
    for turn in known {
        turns.restored(turn, at(0.0));
    }
    // The clock was set back meanwhile.
    let last = next(&mut turns, at(0.0));
    assert!(last > known[1]);
    assert_eq!(next(&mut turns, at(0.0)), last);
    assert!(next(&mut turns, at(0.1)) > last);
    // A hand wrote this: nothing is greater, and nothing breaks.
    turns.restored(Turn::LATEST, at(1.0));
    assert_eq!(next(&mut turns, at(2.0)), Turn::LATEST);
}
