//! Every timer that no period of the day rules goes by the monotonic clock: a wall clock that is
//! set by an hour makes nothing happen and holds nothing up.

use std::net::Ipv4Addr;
use std::sync::Arc;

use jiff::tz::TimeZone;

use super::*;
use crate::depend::{Expression, Form};
use crate::engine::event::{DowntimeLine, HistoryLine, Target, Trap, Wish};
use crate::engine::fixture::{EPOCH, alert, alerting, exited, model, seconds, service};
use crate::model::{AlertPeriod, DependKind, Dependency, GroupId, Repeat, Service};

/// When the wall clock is set, in seconds from the start: in the midst of every timer.
const SET_AT: u64 = 100;

/// The monitor fails from here on, and no longer from there on.
const FAILING: std::ops::Range<u64> = 60..400;

const END: u64 = 1_200;

const S: ServiceId = ServiceId(0);

fn polled(period: AlertPeriod) -> Service {
    Service {
        periods: vec![period],
        ..service("g", "s")
    }
}

fn hears_traps() -> Service {
    Service {
        interval: None,
        monitor: None,
        ..polled(alerting())
    }
}

fn trap(status: &str) -> Event {
    trap_for("s", status)
}

fn trap_for(service: &str, status: &str) -> Event {
    Event::Trap(Trap {
        group: "g".to_owned(),
        service: service.to_owned(),
        status: status.to_owned(),
        summary: "said so".to_owned(),
        detail: String::new(),
        from: Ipv4Addr::LOCALHOST.into(),
    })
}

/// What happens, and when by the monotonic clock, where the wall clock is set by `step`. Beside
/// the service there is `g/router`, which lives on traps.
fn story(service: &Service, told: &[(u64, Event)], step: i64) -> Vec<String> {
    let now = |mono: Mono| {
        let passed = mono.since(Mono::ZERO);
        let is_set = passed >= seconds(SET_AT);
        Now {
            mono,
            wall: Wall::from_seconds(EPOCH + if is_set { step } else { 0 }).after(passed),
        }
    };
    let saved = Saved::default();
    let router = Service::new("g".into(), GroupId(0), "router".into());
    let mut model = model(vec![service.clone(), router]);
    model.globals.downtime.dtlogging = true;
    let model = Arc::new(model);
    let mut engine = Engine::new(model, &saved, 1, TimeZone::UTC, now(Mono::ZERO));
    let mut story = Vec::new();
    let mut told: Vec<(u64, Event)> = told.to_vec();
    told.push((SET_AT, Event::Deadline));
    told.push((END, Event::Deadline));
    told.sort_by_key(|(second, _)| *second);
    let mut coming = std::collections::VecDeque::from([(Mono::ZERO, Event::Start)]);
    coming.extend(
        told.into_iter()
            .map(|(at, event)| (Mono::ZERO.after(seconds(at)), event)),
    );
    while let Some((at, _)) = coming.front() {
        let due = engine.next_deadline().filter(|due| due < at);
        let (at, event) = match due {
            Some(due) => (due, Event::Deadline),
            None => coming.pop_front().unwrap(),
        };
        for action in engine.handle(now(at), event) {
            let said = match action {
                Action::Start(run) => {
                    let second = at.since(Mono::ZERO).as_secs();
                    let exit = i32::from(FAILING.contains(&second));
                    let report = exited(exit, "h1\n");
                    let run = run.id;
                    coming.push_front((at, Event::RunEnded { run, report }));
                    "a run".to_owned()
                }
                Action::Send(call) => format!("{:?}", call.kind),
                Action::Suppressed(held) => format!("held back {:?}", held.kind),
                Action::Note(Note::ServiceUp { outage, .. }) => format!("up after {outage:?}"),
                Action::Note(Note::ServiceDown { .. }) => "down".to_owned(),
                Action::History(line) => in_history(&line, now(at)),
                Action::Downtime(line) => logged(&line, now(at)),
                Action::Note(_)
                | Action::Answer(_)
                | Action::Stop(_)
                | Action::Hold(_)
                | Action::LetGo(_)
                | Action::Resolve(_)
                | Action::ApplyTable
                | Action::Record(_)
                | Action::Renumber { .. } => continue,
            };
            story.push(format!("{} {said}", at.as_micros()));
        }
    }
    let view = engine.service(S).unwrap();
    story.push(format!("{:?}, {} alerts", view.status, view.alerts_sent));
    story
}

/// A line of the alert history.
fn in_history(line: &HistoryLine, now: Now) -> String {
    let ago = now.wall.since(line.time);
    format!("{:?} in the history, {ago:?} ago", line.kind)
}

/// A line of the downtime log.
fn logged(line: &DowntimeLine, now: Now) -> String {
    let down = line.up.seconds() - line.first_failure.seconds();
    let ago = now.wall.since(line.up);
    format!("{} logged as up {ago:?} ago after {down} s", line.service)
}

/// A timer, a service that has it, and what it is told and when.
type Row = (&'static str, Service, Vec<(u64, Event)>);

fn timers_of_traps_and_persons() -> [Row; 4] {
    let ack = Event::Operator(Wish::Ack {
        service: S,
        user: "joe".to_owned(),
        comment: "known".to_owned(),
    });
    let disable = Event::Operator(Wish::Disable {
        target: Target::Service(S),
        user: "joe".to_owned(),
    });
    let enable = Event::Operator(Wish::Enable(Target::Service(S)));
    let clear = Event::Operator(Wish::ClearTimers(S));
    let timeout = Service {
        traptimeout: Some(seconds(80)),
        ..hears_traps()
    };
    let lasting = Service {
        trapduration: Some(seconds(50)),
        trapduration_upalert: true,
        ..hears_traps()
    };
    let acking = polled(AlertPeriod {
        ackalerts: vec![alert("ack.alert")],
        ..alerting()
    });
    [
        (
            "traptimeout",
            timeout,
            vec![(90, trap("0")), (300, trap("0"))],
        ),
        (
            "trapduration",
            lasting,
            vec![(90, trap("1")), (500, trap("1"))],
        ),
        ("ack", acking, vec![(95, ack)]),
        (
            "disable",
            polled(alerting()),
            vec![(95, disable), (250, enable), (300, clear)],
        ),
    ]
}

/// Its alerts wait for two minutes after a failure of `g/router`.
fn depends_on_router() -> Service {
    let reading = Expression::parse("g:router", "g", Form::Expression).unwrap();
    let dependency = Dependency {
        written: reading.written.into(),
        parents: vec![Some(ServiceId(1))].into(),
        expression: reading.expression,
    };
    Service {
        depend: vec![(DependKind::Depend, dependency)],
        dep_memory: Some(seconds(120)),
        ..polled(alerting())
    }
}

fn timers_of_runs_and_alerts() -> [Row; 9] {
    let every = |repeat| {
        polled(AlertPeriod {
            alertevery: Some((seconds(70), repeat)),
            ..alerting()
        })
    };
    let skewed = Service {
        randskew: Some(seconds(3)),
        failure_interval: Some(seconds(7)),
        ..polled(alerting())
    };
    let late_up = polled(AlertPeriod {
        upalertafter: Some(seconds(200)),
        numalerts: Some(3),
        ..alerting()
    });
    [
        (
            "alertafter NUM",
            polled(AlertPeriod {
                alertafter_count: Some(6),
                ..alerting()
            }),
            vec![],
        ),
        (
            "alertafter NUM TIMEVAL",
            polled(AlertPeriod {
                alertafter_window: Some((7, seconds(90))),
                ..alerting()
            }),
            vec![],
        ),
        (
            "alertafter TIMEVAL",
            polled(AlertPeriod {
                alertafter_time: Some(seconds(70)),
                ..alerting()
            }),
            vec![],
        ),
        (
            "dep_memory",
            depends_on_router(),
            vec![(90, trap_for("router", "1")), (95, trap_for("router", "0"))],
        ),
        ("interval", polled(alerting()), vec![]),
        ("randskew and failure_interval", skewed, vec![]),
        ("alertevery", every(Repeat::default()), vec![]),
        ("alertevery strict", every(Repeat::Strict), vec![]),
        ("upalertafter", late_up, vec![]),
    ]
}

#[test]
fn a_wall_clock_set_by_an_hour_moves_no_timer() {
    let table = timers_of_runs_and_alerts().into_iter();
    for (name, service, told) in table.chain(timers_of_traps_and_persons()) {
        let expected = story(&service, &told, 0);
        assert!(expected.len() > 5, "{name}: {expected:?}");
        assert!(
            expected
                .iter()
                .any(|it| it.contains("Failure") || it.contains("Trap")),
            "{name}"
        );
        for step in [-3_600, 3_600] {
            assert_eq!(
                story(&service, &told, step),
                expected,
                "{name}, set by {step} s"
            );
        }
    }
}
