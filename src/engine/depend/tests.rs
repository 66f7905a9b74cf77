//! Dependencies in shapes that a timeline is too small for.

use jiff::tz::TimeZone;

use super::*;
use crate::depend::{Expression, Form};
use crate::engine::event::{Action, Event, Memory, Run, Trap};
use crate::engine::fixture::{at, exited, model, seconds, service};
use crate::engine::saved::Saved;
use crate::model::{DependKind, GroupId, Service};

/// `child` depends on services of the same Model by an expression.
fn depends(services: &mut [Service], child: usize, kind: DependKind, text: &str) {
    let reading = Expression::parse(text, "g", Form::Expression).unwrap();
    let place = |name: &str| {
        let found = services.iter().position(|known| &*known.name == name);
        found.map(|place| ServiceId(u32::try_from(place).unwrap()))
    };
    let names = reading.expression.names().iter();
    let parents = names.map(|name| place(&name.service)).collect();
    let dependency = Dependency {
        written: reading.written.into(),
        parents,
        expression: reading.expression,
    };
    services[child].depend.push((kind, dependency));
}

fn traps_only(name: &str) -> Service {
    Service::new("g".into(), GroupId(0), name.into())
}

fn engine(services: Vec<Service>, limit: u32) -> Engine {
    let mut model = model(services);
    model.globals.dep_recur_limit = limit;
    let mut engine = Engine::new(
        Arc::new(model),
        &Saved::default(),
        1,
        TimeZone::UTC,
        at(0.0),
    );
    engine.handle(at(0.0), Event::Start);
    engine
}

fn trap(engine: &mut Engine, seconds: f64, service: &str, status: &str) -> Vec<Run> {
    let trap = Trap {
        group: "g".to_owned(),
        service: service.to_owned(),
        status: status.to_owned(),
        summary: "said so".to_owned(),
        detail: String::new(),
        from: std::net::Ipv4Addr::LOCALHOST.into(),
    };
    runs(engine.handle(at(seconds), Event::Trap(trap)))
}

fn runs(actions: Vec<Action>) -> Vec<Run> {
    let mut runs = Vec::new();
    for action in actions {
        if let Action::Start(run) = action {
            runs.push(run);
        }
    }
    runs
}

#[test]
fn a_thousand_waiting_services_wake_nobody_and_run_at_once_when_the_router_is_back() {
    let mut services = vec![traps_only("router")];
    for number in 0..1_000 {
        services.push(service("g", &format!("s{number}")));
        depends(&mut services, number + 1, DependKind::Monitor, "g:router");
    }
    let mut engine = engine(services, 10);
    trap(&mut engine, 1.0, "router", "1");
    assert_eq!(runs(engine.handle(at(60.0), Event::Deadline)), []);
    assert_eq!(engine.next_deadline(), None, "nothing is looked at again");
    assert_eq!(trap(&mut engine, 61.0, "router", "2"), [], "still bad");
    let started = trap(&mut engine, 3_600.0, "router", "0");
    assert_eq!(started.len(), 1_000);
    // The slots of the hour were not missed, and the grid is what it was.
    for run in started {
        let report = exited(0, "");
        engine.handle(
            at(3_600.0),
            Event::RunEnded {
                run: run.id,
                report,
            },
        );
    }
    assert_eq!(engine.skipped_slots(), 0);
    let next: BTreeSet<Mono> = engine.services().filter_map(|view| view.next_run).collect();
    assert!(next.len() > 100, "the runs stay spread: {}", next.len());
    assert!(next.iter().all(|next| *next <= at(3_610.0).mono));
}

#[test]
fn many_ways_to_one_parent_are_gone_once() {
    // Each of 60 levels names both services of the level below: 2^60 ways.
    let mut services = vec![traps_only("a0"), traps_only("b0")];
    for level in 1..60 {
        for name in ["a", "b"] {
            services.push(traps_only(&format!("{name}{level}")));
            let below = level - 1;
            let text = format!("g:a{below} && g:b{below}");
            let child = services.len() - 1;
            depends(&mut services, child, DependKind::Depend, &text);
        }
    }
    let last = ServiceId(u32::try_from(services.len() - 1).unwrap());
    let mut engine = engine(services, 100);
    engine.look_at_alert_dependency(at(1.0), last);
    assert_eq!(engine.service(last).unwrap().depend_status, Some(true));
    trap(&mut engine, 2.0, "b0", "1");
    engine.look_at_alert_dependency(at(3.0), last);
    assert_eq!(engine.service(last).unwrap().depend_status, Some(false));
}

#[test]
fn a_chain_of_20_000_services_exhausts_no_stack() {
    let mut services = vec![traps_only("s0")];
    for level in 1..20_000 {
        let mut child = traps_only(&format!("s{level}"));
        let mut one = vec![traps_only(&format!("s{}", level - 1)), child.clone()];
        let text = format!("g:s{}", level - 1);
        depends(&mut one, 1, DependKind::Depend, &text);
        child.depend = one.remove(1).depend;
        child.depend[0].1.parents = vec![Some(ServiceId(level - 1))].into();
        services.push(child);
    }
    let last = ServiceId(19_999);
    let mut engine = engine(services, u32::MAX);
    engine.look_at_alert_dependency(at(1.0), last);
    assert_eq!(engine.service(last).unwrap().depend_status, Some(true));
}

#[test]
fn a_memory_is_that_of_the_service_that_depends() {
    let mut services = vec![
        traps_only("router"),
        service("g", "short"),
        service("g", "long"),
    ];
    for (child, memory) in [(1, 5), (2, 50)] {
        depends(&mut services, child, DependKind::Depend, "!0 && g:router");
        services[child].dep_memory = Some(seconds(memory));
    }
    let mut engine = engine(services, 10);
    trap(&mut engine, 1.0, "router", "1");
    trap(&mut engine, 2.0, "router", "0");
    let cases = [
        (3.0, false, false),
        (6.0, true, false),
        (50.9, true, false),
        (51.0, true, true),
    ];
    for (now, short, long) in cases {
        for (id, expected) in [(ServiceId(1), short), (ServiceId(2), long)] {
            engine.look_at_alert_dependency(at(now), id);
            let status = engine.service(id).unwrap().depend_status;
            assert_eq!(status, Some(expected), "{id:?} at {now}");
        }
    }
}

#[test]
fn a_host_is_named_by_a_whole_word() {
    let named = |summary: &str, host: &str| words(summary).any(|word| word == host);
    for summary in [
        "h1",
        "h2 h1",
        "h1,h2",
        "(h1)",
        "h1:80 refused",
        "down: h1.",
        "[h1]",
        "'h1'!",
    ] {
        assert!(named(summary, "h1"), "{summary}");
    }
    for summary in ["", "h10", "ah1", "h1.example.org", "h1-b", "h1_", "H1"] {
        assert!(!named(summary, "h1"), "{summary}");
    }
    assert!(named("[2001:db8::1]:80", "2001:db8::1"));
    assert!(named("2001:db8::1 and others", "2001:db8::1"));
    assert!(named("10.0.0.1.", "10.0.0.1"));
}

fn reload(engine: &mut Engine, second: f64, services: Vec<Service>, limit: u32) -> Vec<Run> {
    let mut model = model(services);
    model.globals.dep_recur_limit = limit;
    let event = Event::Reload {
        model: Arc::new(model),
        memory: Memory::Kept,
    };
    runs(engine.handle(at(second), event))
}

/// `g/router`, `g/spare`, and `g/web`, which runs as `text` allows it.
fn behind(text: &str, memory: Option<u64>) -> Vec<Service> {
    let mut services = vec![
        traps_only("router"),
        traps_only("spare"),
        service("g", "web"),
    ];
    depends(&mut services, 2, DependKind::Monitor, text);
    services[2].dep_memory = memory.map(seconds);
    services
}

#[test]
fn a_run_that_waits_goes_on_when_a_reload_takes_the_dependency_away() {
    let mut engine = engine(behind("g:router", None), 10);
    trap(&mut engine, 1.0, "router", "1");
    assert_eq!(runs(engine.handle(at(60.0), Event::Deadline)), []);
    let kept = behind("g:router", None);
    assert_eq!(reload(&mut engine, 61.0, kept, 10), [], "it still waits");
    assert_eq!(runs(engine.handle(at(62.0), Event::Deadline)), []);
    let free = behind("!0", None);
    let mut started = reload(&mut engine, 63.0, free, 10);
    started.extend(runs(engine.handle(at(63.0), Event::Deadline)));
    assert_eq!(started.len(), 1);
}

#[test]
fn a_run_that_waits_too_deep_goes_on_when_a_reload_allows_the_depth() {
    let deep = || {
        let mut services = behind("g:router", None);
        depends(&mut services, 0, DependKind::Monitor, "g:spare");
        services
    };
    let mut engine = engine(deep(), 0);
    assert_eq!(runs(engine.handle(at(60.0), Event::Deadline)), []);
    let mut started = reload(&mut engine, 63.0, deep(), 10);
    started.extend(runs(engine.handle(at(63.0), Event::Deadline)));
    assert_eq!(started.len(), 1);
}

#[test]
fn a_reload_forgets_no_failure_that_dep_memory_counts_from() {
    let services = || behind("g:router", Some(120));
    let mut engine = engine(services(), 10);
    trap(&mut engine, 1.0, "router", "1");
    trap(&mut engine, 5.0, "router", "0");
    assert_eq!(reload(&mut engine, 30.0, services(), 10), []);
    assert_eq!(runs(engine.handle(at(120.0), Event::Deadline)), []);
    assert_eq!(engine.next_deadline(), Some(at(121.0).mono));
    assert_eq!(runs(engine.handle(at(121.0), Event::Deadline)).len(), 1);
}

#[test]
fn of_two_memories_the_first_to_end_is_looked_at() {
    let mut engine = engine(behind("g:router || g:spare", Some(120)), 10);
    for (second, name) in [(1.0, "router"), (5.0, "spare")] {
        trap(&mut engine, second, name, "1");
        trap(&mut engine, second + 1.0, name, "0");
    }
    assert_eq!(runs(engine.handle(at(120.0), Event::Deadline)), []);
    assert_eq!(engine.next_deadline(), Some(at(121.0).mono));
    assert_eq!(runs(engine.handle(at(121.0), Event::Deadline)).len(), 1);
}

#[test]
fn a_run_waits_for_what_a_service_above_it_remembers() {
    // `web` remembers nothing; `proxy`, which it depends on, remembers a failure of the router.
    let mut services = vec![
        traps_only("router"),
        traps_only("proxy"),
        service("g", "web"),
    ];
    depends(&mut services, 1, DependKind::Monitor, "g:router");
    depends(&mut services, 2, DependKind::Monitor, "g:proxy");
    services[1].dep_memory = Some(seconds(120));
    let mut engine = engine(services, 10);
    trap(&mut engine, 1.0, "router", "1");
    assert_eq!(trap(&mut engine, 5.0, "router", "0"), []);
    assert_eq!(runs(engine.handle(at(120.0), Event::Deadline)), []);
    assert_eq!(engine.next_deadline(), Some(at(121.0).mono));
    assert_eq!(runs(engine.handle(at(121.0), Event::Deadline)).len(), 1);
}

#[test]
fn without_its_dependency_a_service_blames_nobody() {
    let alerts = |text: &str| {
        let mut services = vec![traps_only("router"), service("g", "web")];
        if !text.is_empty() {
            depends(&mut services, 1, DependKind::Alert, text);
        }
        services
    };
    let web = ServiceId(1);
    let mut engine = engine(alerts("g:router"), 10);
    trap(&mut engine, 1.0, "router", "1");
    engine.look_at_alert_dependency(at(2.0), web);
    assert!(engine.states[web.index()].alerts_held_by.is_some());
    reload(&mut engine, 3.0, alerts(""), 10);
    engine.look_at_alert_dependency(at(4.0), web);
    assert_eq!(engine.states[web.index()].alerts_held_by, None);
}
