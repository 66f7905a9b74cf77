//! Slots, places and the queue, with made-up moments.

use super::*;

fn ms(millis: u64) -> Mono {
    Mono::from_micros(millis * 1_000)
}

fn span(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

const A: ServiceId = ServiceId(0);
const B: ServiceId = ServiceId(1);
const C: ServiceId = ServiceId(2);

#[test]
fn the_next_slot_lies_on_the_grid_and_in_the_future() {
    let cases = [
        // (slot, interval, now, next)
        (10_000, 10_000, 10_000, 20_000),
        (10_000, 10_000, 10_900, 20_000),
        (10_000, 10_000, 19_999, 20_000),
        // An overrun skips slots, but stays on the grid (E-4).
        (10_000, 10_000, 20_000, 30_000),
        (10_000, 10_000, 47_000, 50_000),
    ];
    for (slot, interval, now, next) in cases {
        let found = next_slot(ms(slot), span(interval), ms(now));
        assert_eq!(found, ms(next), "{slot} {interval} {now}");
        let unused = (next - slot) / interval - 1;
        assert_eq!(skipped(ms(slot), span(interval), found), unused);
    }
    assert!(next_slot(ms(5), Duration::ZERO, ms(5)) > ms(5));
}

#[test]
fn the_skew_is_drawn_on_both_sides_and_never_goes_beyond_its_bound() {
    let mut random = fastrand::Rng::with_seed(7);
    let mut early = 0;
    for _ in 0..1_000 {
        let next = skewed_slot(ms(0), span(10_000), span(3_000), ms(5), &mut random);
        assert!(ms(7_000) <= next && next <= ms(13_000), "{next:?}");
        assert_ne!(next, ms(10_000), "0 is never drawn");
        early += u32::from(next < ms(10_000));
    }
    assert!((400..600).contains(&early), "{early}");
}

#[test]
fn a_skew_longer_than_the_interval_leaves_a_gap() {
    let mut random = fastrand::Rng::with_seed(7);
    for _ in 0..1_000 {
        let next = skewed_slot(ms(0), span(1_000), span(5_000), ms(5), &mut random);
        assert!(ms(100) <= next, "{next:?}");
        let late = skewed_slot(ms(0), span(1_000), span(500), ms(9_000), &mut random);
        assert!(
            late > ms(9_000),
            "an overrun is followed by a run, not by a loop"
        );
    }
}

#[test]
fn deciding_services_run_first_and_evenly_spread() {
    let mut first = FirstRuns::new(ms(1_000), Some(span(30_000)), 4, 0);
    let due: Vec<Mono> = (0..4).map(|_| first.deciding(span(10_000))).collect();
    assert_eq!(due, [ms(1_000), ms(1_500), ms(2_000), ms(2_500)]);
    let mut first = FirstRuns::new(ms(0), None, 2, 0);
    let due: Vec<Mono> = (0..2).map(|_| first.deciding(span(500))).collect();
    assert_eq!(due, [ms(0), ms(250)]);
}

#[test]
fn other_services_run_after_one_interval_and_are_spread_over_it() {
    let mut random = fastrand::Rng::with_seed(1);
    let mut first = FirstRuns::new(ms(0), None, 0, 3);
    let due: Vec<Mono> = (0..3)
        .map(|_| first.other(span(2_000), &mut random))
        .collect();
    assert_eq!(due, [ms(2_000), ms(2_020), ms(2_040)]);
    let mut first = FirstRuns::new(ms(0), None, 0, 10_000);
    let due: Vec<Mono> = (0..10_000)
        .map(|_| first.other(span(10_000), &mut random))
        .collect();
    assert_eq!(
        (due[0], due[5_000], due[9_999]),
        (ms(10_000), ms(15_000), ms(19_999))
    );
}

#[test]
fn randstart_draws_the_first_run_anywhere_before_it() {
    let mut random = fastrand::Rng::with_seed(1);
    let mut first = FirstRuns::new(ms(0), Some(span(30_000)), 0, 1_000);
    let due: Vec<Mono> = (0..1_000)
        .map(|_| first.other(span(3_600_000), &mut random))
        .collect();
    assert!(due.iter().all(|&due| due < ms(30_000)));
    assert!(due.iter().any(|&due| due < ms(3_000)) && due.iter().any(|&due| due > ms(27_000)));
}

/// A timetable of three services that count against `maxprocs`.
fn timetable(maxprocs: u32) -> Timetable {
    Timetable::new(3, Some(maxprocs), 512)
}

fn come(timetable: &mut Timetable, now: Mono) {
    while let Some(timer) = timetable.pop(now) {
        if let Timer::Run(service) = timer {
            timetable.wait(service, Lane::Executables);
        }
    }
}

#[test]
fn places_go_to_those_that_have_been_due_for_longest() {
    let mut timetable = timetable(1);
    timetable.plan(A, ms(30));
    timetable.plan(B, ms(10));
    timetable.plan(C, ms(20));
    come(&mut timetable, ms(100));
    assert_eq!(timetable.next(), None, "who waits needs no timer");
    assert_eq!(timetable.next_to_start(), Some(B));
    assert_eq!(timetable.next_to_start(), None, "the limit is reached");
    assert_eq!(timetable.next_run(C), Some(ms(20)));
    timetable.plan(B, ms(110));
    assert_eq!(
        timetable.next_to_start(),
        Some(C),
        "a freed place is given at once"
    );
    come(&mut timetable, ms(110));
    timetable.cancel(C);
    assert_eq!(
        timetable.next_to_start(),
        Some(A),
        "B came back, but A was first"
    );
}

#[test]
fn the_two_limits_do_not_hold_each_other_up() {
    let mut timetable = Timetable::new(3, Some(1), 1);
    for (service, due) in [(A, 10), (B, 20), (C, 30)] {
        timetable.plan(service, ms(due));
    }
    while let Some(Timer::Run(service)) = timetable.pop(ms(100)) {
        let lane = if service == C {
            Lane::Checks
        } else {
            Lane::Executables
        };
        timetable.wait(service, lane);
    }
    assert_eq!(timetable.next_to_start(), Some(A));
    assert_eq!(timetable.next_to_start(), Some(C));
    assert_eq!(timetable.next_to_start(), None);
    assert_eq!(
        (
            timetable.running(Lane::Executables),
            timetable.running(Lane::Checks)
        ),
        (1, 1)
    );
}

#[test]
fn a_reached_limit_is_said_once_a_minute() {
    let mut timetable = timetable(1);
    timetable.plan(A, ms(0));
    timetable.plan(B, ms(0));
    timetable.plan(C, ms(0));
    come(&mut timetable, ms(0));
    assert_eq!(timetable.next_to_start(), Some(A));
    assert_eq!(timetable.throttled(ms(0)), Some((Lane::Executables, 1, 2)));
    assert_eq!(timetable.throttled(ms(59_999)), None);
    assert_eq!(
        timetable.throttled(ms(60_000)),
        Some((Lane::Executables, 1, 2))
    );
}

#[test]
fn without_a_limit_nobody_waits() {
    for maxprocs in [None, Some(0)] {
        let mut timetable = Timetable::new(3, maxprocs, 512);
        for service in [A, B, C] {
            timetable.plan(service, ms(0));
        }
        come(&mut timetable, ms(0));
        assert_eq!(timetable.next_to_start(), Some(A));
        assert_eq!(timetable.next_to_start(), Some(B));
        assert_eq!(timetable.next_to_start(), Some(C));
        assert_eq!(timetable.throttled(ms(0)), None);
    }
}

#[test]
fn frozen_timers_go_on_where_they_stopped() {
    let mut timetable = timetable(1);
    timetable.plan(A, ms(100));
    timetable.plan(B, ms(250));
    timetable.look_at_exclusion(Some(ms(900)));
    timetable.freeze(ms(50));
    assert_eq!(
        timetable.next(),
        Some(ms(900)),
        "only the end of the period wakes"
    );
    assert_eq!(timetable.pop(ms(500)), None);
    timetable.cancel(B);
    timetable.plan(C, ms(300));
    assert_eq!(timetable.pop(ms(900)), Some(Timer::Exclusion));
    timetable.thaw(ms(1_050));
    assert_eq!(timetable.next_run(A), Some(ms(1_100)));
    assert_eq!(timetable.next_run(B), None);
    assert_eq!(timetable.next_run(C), Some(ms(1_300)));
    assert_eq!(timetable.due(A), ms(1_100));
}

#[test]
fn the_grids_of_running_and_waiting_services_move_with_the_timers() {
    let mut timetable = timetable(1);
    timetable.plan(A, ms(100));
    timetable.plan(B, ms(150));
    come(&mut timetable, ms(200));
    assert_eq!(timetable.next_to_start(), Some(A));
    timetable.freeze(ms(200));
    assert_eq!(timetable.clock(ms(700)), ms(200), "it stands still");
    timetable.thaw(ms(1_200));
    assert_eq!(timetable.clock(ms(1_200)), ms(1_200));
    assert_eq!(timetable.due(A), ms(1_100));
    assert_eq!(
        timetable.next_run(B),
        Some(ms(1_150)),
        "it has waited since"
    );
    timetable.cancel(A);
    assert_eq!(timetable.next_to_start(), Some(B));
    timetable.cancel(B);
    assert_eq!(
        timetable.next_to_start(),
        None,
        "B stands in the queue once"
    );
}

#[test]
fn nothing_starts_while_frozen() {
    let mut timetable = timetable(1);
    timetable.plan(A, ms(10));
    timetable.plan(B, ms(10));
    come(&mut timetable, ms(10));
    assert_eq!(timetable.next_to_start(), Some(A));
    timetable.freeze(ms(20));
    timetable.cancel(A);
    assert_eq!(timetable.next_to_start(), None);
    timetable.thaw(ms(30));
    assert_eq!(timetable.next_to_start(), Some(B));
}

#[test]
fn a_held_run_keeps_its_slot_and_is_looked_at_when_the_clock_is_set() {
    let mut timetable = timetable(1);
    timetable.plan(A, ms(10));
    assert_eq!(timetable.pop(ms(10)), Some(Timer::Run(A)));
    timetable.hold(A, ms(60_010));
    assert_eq!(
        (timetable.next(), timetable.due(A)),
        (Some(ms(60_010)), ms(10))
    );
    timetable.release_held(ms(500));
    assert_eq!(
        (timetable.next(), timetable.due(A)),
        (Some(ms(500)), ms(10))
    );
    timetable.release_held(ms(600));
    assert_eq!(timetable.next(), Some(ms(500)), "it is held no longer");
}

#[test]
fn services_keep_their_slots_under_new_numbers() {
    let mut timetable = timetable(1);
    timetable.plan(A, ms(10));
    timetable.plan(B, ms(20));
    timetable.plan(C, ms(5));
    assert_eq!(timetable.pop(ms(5)), Some(Timer::Run(C)));
    timetable.wait(C, Lane::Executables);
    timetable.cancel(A);
    timetable.renumber(&[None, Some(C), Some(A)], 4);
    assert_eq!(timetable.next_run(C), Some(ms(20)));
    assert_eq!(timetable.next_run(B), None);
    assert_eq!(timetable.next_to_start(), Some(A));
    assert_eq!(timetable.pop(ms(20)), Some(Timer::Run(C)));
    assert_eq!(timetable.next(), None);
}

#[test]
fn new_limits_count_at_once_and_zero_children_means_no_limit() {
    let mut timetable = timetable(1);
    for service in [A, B, C] {
        timetable.plan(service, ms(0));
    }
    come(&mut timetable, ms(0));
    assert_eq!(timetable.next_to_start(), Some(A));
    assert_eq!(timetable.next_to_start(), None);
    timetable.set_limits(Some(2), 512);
    assert_eq!(timetable.next_to_start(), Some(B));
    assert_eq!(timetable.next_to_start(), None);
    timetable.set_limits(Some(0), 512);
    assert_eq!(timetable.next_to_start(), Some(C));
}

#[test]
fn maxchecks_lets_that_many_run_and_at_least_one() {
    for least in [0, 1] {
        let mut timetable = Timetable::new(3, None, least);
        for service in [A, B, C] {
            timetable.plan(service, ms(0));
        }
        while let Some(Timer::Run(service)) = timetable.pop(ms(0)) {
            timetable.wait(service, Lane::Checks);
        }
        assert_eq!(timetable.next_to_start(), Some(A));
        assert_eq!(timetable.next_to_start(), None);
        timetable.set_limits(None, least);
        timetable.cancel(A);
        assert_eq!(timetable.next_to_start(), Some(B));
        assert_eq!(timetable.next_to_start(), None);
        timetable.set_limits(None, 2);
        assert_eq!(timetable.next_to_start(), Some(C));
    }
}

#[test]
fn of_both_lanes_the_one_that_has_been_due_for_longest_goes_first() {
    let mut timetable = timetable(1);
    timetable.plan(A, ms(20));
    timetable.plan(B, ms(10));
    while let Some(Timer::Run(service)) = timetable.pop(ms(20)) {
        let lane = if service == A {
            Lane::Executables
        } else {
            Lane::Checks
        };
        timetable.wait(service, lane);
    }
    assert_eq!(timetable.next_to_start(), Some(B));
    assert_eq!(timetable.next_to_start(), Some(A));
}

#[test]
fn who_is_cancelled_in_the_queue_does_not_start() {
    for freezes in [false, true] {
        let mut timetable = timetable(1);
        timetable.plan(A, ms(0));
        come(&mut timetable, ms(0));
        if freezes {
            timetable.freeze(ms(10));
            timetable.thaw(ms(20));
        }
        timetable.cancel(A);
        assert_eq!(timetable.next_to_start(), None, "{freezes}");
    }
}

#[test]
fn who_waits_for_the_end_of_an_exclude_period_is_not_said_to_be_throttled() {
    let mut timetable = timetable(1);
    timetable.plan(A, ms(0));
    come(&mut timetable, ms(0));
    timetable.freeze(ms(0));
    assert_eq!(timetable.throttled(ms(0)), None);
}

#[test]
fn the_skew_is_drawn_from_its_whole_range_but_never_0() {
    let mut random = fastrand::Rng::with_seed(7);
    let one = Duration::from_micros(1);
    let mut far = 0;
    let mut near = 0;
    for _ in 0..1_000 {
        let next = skewed_slot(ms(0), span(10_000), one, ms(5), &mut random);
        assert_ne!(next, ms(10_000));
        let next = skewed_slot(ms(0), span(10_000), span(3_000), ms(5), &mut random);
        far += u32::from(next < ms(8_000));
        near += u32::from(ms(9_000) < next && next < ms(10_000));
    }
    assert!(far > 100 && near > 100, "{far} {near}");
}

#[test]
fn a_randstart_of_0_is_none() {
    let mut random = fastrand::Rng::with_seed(1);
    let mut first = FirstRuns::new(ms(0), Some(Duration::ZERO), 0, 1);
    assert_eq!(first.other(span(2_000), &mut random), ms(2_000));
}

#[test]
fn only_who_is_still_held_is_let_go_when_the_clock_is_set() {
    let mut timetable = timetable(1);
    timetable.hold(A, ms(60_010));
    timetable.plan(A, ms(90_000));
    timetable.hold(B, ms(100));
    assert_eq!(timetable.pop(ms(100)), Some(Timer::Run(B)));
    timetable.hold(C, ms(70_000));
    timetable.renumber(&[Some(B), Some(A), Some(ServiceId(3))], 4);
    timetable.release_held(ms(500));
    assert_eq!(timetable.next_run(A), None);
    assert_eq!(timetable.next_run(B), Some(ms(90_000)));
    assert_eq!(timetable.next_run(ServiceId(3)), Some(ms(500)));
}

#[test]
fn who_is_let_go_while_frozen_is_looked_at_when_that_ends() {
    let mut timetable = timetable(1);
    timetable.hold(A, ms(60_010));
    timetable.freeze(ms(50));
    timetable.release_held(ms(500));
    timetable.thaw(ms(1_000));
    assert_eq!(timetable.next_run(A), Some(ms(1_000)));
}
