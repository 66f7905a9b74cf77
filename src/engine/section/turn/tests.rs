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

/// What the other director withdrew, with this turn.
fn withdrew(turn: Turn) -> Arc<WithdrawnServers> {
    let key = "10.0.0.3:80/tcp".parse().unwrap();
    let withdrawn = Withdrawn {
        turn,
        alone: false,
        gave: Vec::new(),
    };
    let server = name(key, &(HostName::new("web2"), 80));
    Arc::new(WithdrawnServers::from([(server, withdrawn)]))
}

#[test]
fn turns_that_were_given_alone_move_when_the_clocks_are_first_compared_and_not_again() {
    let mut turns = Turns::default();
    turns.start(at(0.0));
    let ahead = TurnClock {
        turn: Turn(at(60.0).wall.as_micros()),
        at: at(0.0).mono,
    };
    let peers = Arc::default();
    let moved = [1.0, 2.0].map(|seconds| turns.hear(&peers, Some(ahead), at(seconds)));
    assert_eq!(moved, [Some(60_000_000), None]);
    assert_eq!(next(&mut turns, at(3.0)), Turn(at(63.0).wall.as_micros()));
    // The link is gone, and there is another one: both clocks show the same by now.
    assert_eq!(turns.hear(&peers, None, at(4.0)), None);
    assert_eq!(turns.hear(&peers, Some(ahead), at(5.0)), Some(0));
}

#[test]
fn what_fails_behind_a_word_of_the_other_one_comes_later_than_what_that_one_told() {
    let mut turns = Turns::default();
    turns.start(at(0.0));
    let told = Turn(at(900.0).wall.as_micros());
    turns.hear(&withdrew(told), None, at(1.0));
    assert_eq!(next(&mut turns, at(1.5)), told.later(500_000));
}
