//! Turns by themselves; what two directors make of them is in the stories of sections.

use super::*;
use crate::engine::fixture::at;

/// So many seconds after the start, with a wall clock that is ahead by so many.
fn when(seconds: f64, ahead: i64) -> Now {
    let now = at(seconds);
    let wall = now.wall.as_micros() + ahead * 1_000_000;
    Now {
        wall: Wall::from_micros(wall),
        ..now
    }
}

#[test]
fn later_withdrawals_have_greater_turns_however_the_clock_is_set() {
    let mut turns = Turns::default();
    let first = turns.next(when(1.0, 0));
    assert_eq!(first, Turn(at(1.0).wall.as_micros()));
    assert_eq!(turns.next(when(1.0, 0)), first, "at once");
    // An hour back, an hour ahead, and right again.
    let moments = [(2.0, -3_600), (3.0, 3_600), (4.0, 0), (4.5, -7_200)];
    let later = moments.map(|(seconds, ahead)| turns.next(when(seconds, ahead)));
    let Turn(start) = first;
    let hour = 3_600_000_000;
    let expected = [
        1_000_000,
        hour + 2_000_000,
        hour + 3_000_000,
        hour + 3_500_000,
    ];
    assert_eq!(later, expected.map(|since| Turn(start + since)));
}

#[test]
fn what_fails_behind_a_restart_comes_later_than_what_the_journal_knows() {
    let mut turns = Turns::default();
    let known = [at(500.0), at(900.0), at(700.0)].map(|now| Turn(now.wall.as_micros()));
    for turn in known {
        turns.restored(turn, at(0.0));
    }
    // The clock was set back meanwhile.
    assert!(turns.next(at(0.0)) > known[1]);
    assert_eq!(turns.next(at(0.0)), turns.next(at(0.0)));
    let last = turns.next(at(0.0));
    assert!(turns.next(at(0.1)) > last);
    // A hand wrote this: nothing is greater, and nothing breaks.
    turns.restored(Turn::LATEST, at(1.0));
    assert_eq!(turns.next(at(2.0)), Turn::LATEST);
}
