//! Two lives, between which the clock was set.

use std::sync::Arc;

use jiff::tz::TimeZone;

use super::time::KEY;
use super::*;
use crate::engine::Engine;
use crate::engine::event::{Action, AlertKind, Event};
use crate::engine::fixture::{EPOCH, alerting, at, exited, model, seconds, service};
use crate::model::{AlertPeriod, Service};
use crate::time::Wall;

fn stamp(boot: &str, began: i64) -> BootTime {
    BootTime {
        boot: boot.to_owned(),
        began: began * 1_000_000,
    }
}

fn noted(stamp: &BootTime) -> Saved {
    let record = BootTime::record(Some(stamp));
    Saved {
        records: [(record.key, record.value)].into(),
    }
}

/// One failing check, its alerts, and what goes to the journal.
fn life(saved: &mut Saved, first: Now, now: Now) -> usize {
    let service = Service {
        periods: vec![AlertPeriod {
            alertevery: Some((seconds(3_600), crate::model::Repeat::default())),
            ..alerting()
        }],
        ..service("g", "s")
    };
    let model = Arc::new(model(vec![service]));
    let mut engine = Engine::new(model, saved, 1, TimeZone::UTC, first);
    let mut actions = engine.handle(now, Event::Start);
    let due = engine.next_deadline().unwrap();
    let now = Now {
        mono: due,
        wall: now.wall.after(due.since(now.mono)),
    };
    actions.extend(engine.handle(now, Event::Deadline));
    let run = actions.iter().find_map(|action| {
        let Action::Start(run) = action else {
            return None;
        };
        Some(run.id)
    });
    let report = exited(1, "h1\n");
    let run = run.unwrap();
    actions.extend(engine.handle(now, Event::RunEnded { run, report }));
    let mut alerts = 0;
    for action in actions {
        if let Action::Record(record) = action {
            saved.records.insert(record.key, record.value);
        } else if let Action::Send(call) = action {
            alerts += usize::from(call.kind == AlertKind::Failure);
        }
    }
    alerts
}

/// The alerts of three lives ten minutes apart, the first of them with a clock that is `wrong`
/// by so many seconds, the second in this boot.
fn alerts(wrong: i64, boot: &str) -> [usize; 3] {
    let days = |seconds: i64| Wall::from_seconds(EPOCH + seconds);
    let with = |wall: Wall| Now { wall, ..at(0.0) };
    let (first, second, third) = (days(wrong), days(600), days(1_200));
    let then = stamp("a", EPOCH - 100 + wrong);
    let mut saved = noted(&then);
    let one = life(&mut saved, with(first), with(first));
    let today = stamp(boot, EPOCH - 100);
    let now = with(second);
    let shown = before(now, step(&saved, &today));
    let two = life(&mut saved, shown, now);
    saved.records.extend(noted(&today).records);
    let now = with(third);
    let shown = before(now, step(&saved, &today));
    [one, two, life(&mut saved, shown, now)]
}

#[test]
fn a_life_with_a_wrong_clock_makes_the_next_ones_repeat_no_alert() {
    for wrong in [-86_400, -3_600, 0, 3_600, 86_400] {
        assert_eq!(alerts(wrong, "a"), [1, 0, 0], "wrong by {wrong} s");
    }
}

#[test]
fn a_reboot_leaves_nothing_to_tell_a_wrong_clock_by() {
    assert_eq!(alerts(-86_400, "b"), [1, 1, 0]);
}

#[test]
fn a_few_seconds_are_no_step_of_the_clock() {
    let saved = noted(&stamp("a", 1_000));
    assert_eq!(step(&saved, &stamp("a", 1_004)), 0);
    assert_eq!(step(&saved, &stamp("a", 1_005)), 5_000_000);
    assert_eq!(step(&saved, &stamp("a", 990)), -10_000_000);
    assert_eq!(step(&saved, &stamp("b", 5_000)), 0);
    assert_eq!(step(&Saved::default(), &stamp("a", 5_000)), 0);
}

#[test]
fn the_boot_is_noted_at_first_and_when_the_clock_was_set() {
    let (clock, mut boot) = (Clock::start(), Boot::default());
    let first = boot.look(clock, at(1.0)).unwrap();
    let saved = Saved {
        records: [(first.key, first.value)].into(),
    };
    let today = this_boot(clock).unwrap();
    assert_eq!(step(&saved, &today), 0);
    assert_eq!(saved.records[KEY]["boot"], *today.boot);
    assert_eq!(boot.look(clock, at(900.0)), None);
    assert!(boot.look(clock, before(at(901.0), 2_000_000)).is_some());
    assert_eq!(boot.look(clock, before(at(902.0), 2_000_000)), None);
}
