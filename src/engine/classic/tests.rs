//! What mon's state files say of a failure that `trapduration` ended.

use std::sync::Arc;
use std::time::Duration;

use jiff::tz::TimeZone;

use crate::engine::Engine;
use crate::engine::event::{Action, AlertKind, Event, Trap, Wish};
use crate::engine::fixture::{alerting, at, model, service};
use crate::engine::saved::Saved;
use crate::model::{AlertPeriod, Service, ServiceId};

const S: ServiceId = ServiceId(0);

/// `g/s` hears traps, of which each counts for 30 s; one alert for each failure.
fn hears_traps() -> Engine {
    let model = model(vec![Service {
        periods: vec![AlertPeriod {
            numalerts: Some(1),
            ..alerting()
        }],
        trapduration: Some(Duration::from_secs(30)),
        interval: None,
        monitor: None,
        ..service("g", "s")
    }]);
    let model = Arc::new(model);
    let mut engine = Engine::new(model, &Saved::default(), 1, TimeZone::UTC, at(0.0));
    engine.handle(at(0.0), Event::Start);
    engine
}

/// What is sent when a trap of that status comes.
fn trapped(engine: &mut Engine, second: f64, status: &str) -> Vec<AlertKind> {
    let trap = Trap {
        group: "g".to_owned(),
        service: "s".to_owned(),
        status: status.to_owned(),
        summary: "said".to_owned(),
        detail: String::new(),
        from: [127, 0, 0, 1].into(),
    };
    let actions = engine.handle(at(second), Event::Trap(trap));
    let sent = actions.iter().filter_map(Action::sent);
    sent.map(|call| call.kind).collect()
}

/// `g/s` was told to fail twice; each time the trap ended.
fn ended() -> Engine {
    let mut engine = hears_traps();
    assert_eq!(trapped(&mut engine, 1.0, "3"), [AlertKind::Trap]);
    assert_eq!(trapped(&mut engine, 2.0, "3"), []);
    let ack = Wish::Ack {
        service: S,
        user: "joe".to_owned(),
        comment: "known".to_owned(),
    };
    engine.handle(at(3.0), Event::Operator(ack));
    engine.handle(at(40.0), Event::Deadline);
    engine
}

#[test]
fn what_the_end_of_a_trap_does_not_forget_is_in_the_file_and_taken_from_it() {
    let classic = ended().classic();
    let values = &classic.opstatus.as_ref().unwrap()[0].2;
    let first = at(1.0).wall.seconds().to_string();
    for (field, value) in [
        ("op_status", "1"),
        ("first_failure", &*first),
        ("consec_failures", "2"),
        ("ack_comment", "joe: known"),
        ("always:alert_sent", "1"),
    ] {
        assert_eq!(values[field], value, "{field}");
    }
    let mut other = hears_traps();
    let load = Wish::LoadState(classic.clone());
    other.handle(at(40.0), Event::Operator(load));
    assert_eq!(other.classic(), classic);
}

#[test]
fn failures_and_alerts_count_on_behind_a_loaded_end_of_a_trap() {
    let mut other = hears_traps();
    let load = Wish::LoadState(ended().classic());
    other.handle(at(40.0), Event::Operator(load));
    // As in mon: one alert is out, and the failure before was never told to be over.
    assert_eq!(trapped(&mut other, 41.0, "3"), []);
    assert_eq!(other.service(S).unwrap().consec_failures, 3);
    assert_eq!(trapped(&mut other, 42.0, "0"), [AlertKind::Up]);
    assert_eq!(trapped(&mut other, 43.0, "3"), [AlertKind::Trap]);
    assert_eq!(other.service(S).unwrap().consec_failures, 1);
}
