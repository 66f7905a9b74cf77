//! What a reload and a reset leave, and what they take along.

use jiff::tz::TimeZone;

use super::*;
use crate::engine::event::{Event, Run, Status, Target, Trap, Wish};
use crate::engine::fixture::{alerting, at, exited, model, model_of, seconds, service};
use crate::engine::saved::Saved;
use crate::model::{HostName, Service};

const S: ServiceId = ServiceId(0);

fn started(model: Model) -> Engine {
    let saved = Saved::default();
    let mut engine = Engine::new(Arc::new(model), &saved, 1, TimeZone::UTC, at(0.0));
    engine.handle(at(0.0), Event::Start);
    engine
}

fn reload(engine: &mut Engine, second: f64, model: Model, memory: Memory) -> Vec<Action> {
    let model = Arc::new(model);
    engine.handle(at(second), Event::Reload { model, memory })
}

fn run(actions: &[Action]) -> Option<&Run> {
    actions.iter().find_map(Action::started)
}

#[test]
fn a_reload_forgets_what_was_said_of_hosts_that_are_gone() {
    let site = |hosts: &[&str]| model_of(vec![service("g", "s")], hosts);
    let mut engine = started(site(&["h1", "h2"]));
    let target = Target::Hosts(vec![HostName::new("h1")]);
    let user = "joe".to_owned();
    let said = engine.handle(at(1.0), Event::Operator(Wish::Disable { target, user }));
    let record = |actions: &[Action]| {
        actions.iter().find_map(|action| {
            let Action::Record(record) = action else {
                return None;
            };
            let is_it = record.key.contains("h1");
            is_it.then(|| record.value.clone())
        })
    };
    assert!(record(&said).is_some_and(|value| !value.is_null()));
    let gone = reload(&mut engine, 2.0, site(&["h2"]), Memory::Kept);
    assert_eq!(record(&gone), Some(serde_json::Value::Null));
    reload(&mut engine, 3.0, site(&["h1", "h2"]), Memory::Kept);
    assert!(!engine.is_host_disabled("g", &HostName::new("h1")));
}

#[test]
fn a_run_that_goes_on_is_the_only_one_after_a_reload_to_another_interval() {
    let every = |interval: u64| {
        model(vec![Service {
            interval: Some(seconds(interval)),
            ..service("g", "s")
        }])
    };
    let mut engine = started(every(10));
    let first = engine.handle(at(10.0), Event::Deadline);
    let first = run(&first).unwrap().id;
    let actions = reload(&mut engine, 11.0, every(60), Memory::Kept);
    assert_eq!(run(&actions), None);
    let view = engine.service(S).unwrap();
    assert!(view.running && view.next_run.is_none());
    let report = exited(0, "");
    engine.handle(at(12.0), Event::RunEnded { run: first, report });
    assert_eq!(engine.service(S).unwrap().status, Status::Ok);
    assert_eq!(engine.next_deadline(), Some(at(70.0).mono));
}

/// `g/s` lives on traps; a bad one counts for so long.
fn hears_traps(trapduration: Option<Duration>) -> Model {
    model(vec![Service {
        periods: vec![alerting()],
        trapduration,
        interval: None,
        monitor: None,
        ..service("g", "s")
    }])
}

fn trap(engine: &mut Engine, second: f64, status: &str) -> Vec<Action> {
    let trap = Trap {
        group: "g".to_owned(),
        service: "s".to_owned(),
        status: status.to_owned(),
        summary: "said so".to_owned(),
        detail: String::new(),
        from: std::net::Ipv4Addr::LOCALHOST.into(),
    };
    engine.handle(at(second), Event::Trap(trap))
}

#[test]
fn a_reset_forgets_when_a_trap_ends() {
    let lasting = || hears_traps(Some(seconds(50)));
    let mut engine = started(lasting());
    trap(&mut engine, 10.0, "1");
    assert_eq!(engine.next_deadline(), Some(at(60.0).mono));
    reload(&mut engine, 20.0, lasting(), Memory::Forgotten);
    assert_eq!(engine.next_deadline(), None);
}

#[test]
fn a_trap_lasts_for_ever_once_a_reload_takes_trapduration_away() {
    let mut engine = started(hears_traps(Some(seconds(50))));
    trap(&mut engine, 10.0, "1");
    reload(&mut engine, 20.0, hears_traps(None), Memory::Kept);
    engine.handle(at(61.0), Event::Deadline);
    assert_eq!(engine.service(S).unwrap().status, Status::Fail);
    assert_eq!(engine.next_deadline(), None);
}

#[test]
fn the_end_of_a_good_trap_is_no_event() {
    let mut engine = started(hears_traps(Some(seconds(50))));
    trap(&mut engine, 10.0, "0");
    let said = engine.handle(at(60.0), Event::Deadline);
    assert_eq!(said, [], "nothing changed");
}

#[test]
fn a_bad_trap_leaves_the_time_of_the_last_good_one() {
    let mut engine = started(hears_traps(None));
    let last_up = |engine: &Engine| engine.states[S.index()].traps.as_deref()?.last_up;
    trap(&mut engine, 10.0, "0");
    trap(&mut engine, 20.0, "1");
    assert_eq!(last_up(&engine), Some(at(10.0).wall));
    trap(&mut engine, 30.0, "0");
    assert_eq!(last_up(&engine), Some(at(30.0).wall));
}

/// What the upalert says where these hosts failed, the file then lost those and somebody disabled
/// these.
#[track_caller]
fn said_at_the_end(failed: &str, lost: &[&str], disabled: &[&str]) -> String {
    let site = |lost: &[&str]| {
        let mut hosts = vec!["h1", "h2", "h3"];
        hosts.retain(|host| !lost.contains(host));
        let periods = vec![alerting()];
        let service = Service {
            periods,
            ..service("g", "s")
        };
        model_of(vec![service], &hosts)
    };
    let mut engine = started(site(&[]));
    let said = engine.handle(at(10.0), Event::Deadline);
    let (id, report) = (run(&said).unwrap().id, exited(1, failed));
    engine.handle(at(11.0), Event::RunEnded { run: id, report });
    reload(&mut engine, 12.0, site(lost), Memory::Kept);
    for host in disabled {
        let target = Target::Hosts(vec![HostName::new(host)]);
        let user = "joe".to_owned();
        engine.handle(at(13.0), Event::Operator(Wish::Disable { target, user }));
    }
    let said = engine.handle(at(20.0), Event::Deadline);
    let (id, report) = (run(&said).unwrap().id, exited(0, ""));
    let said = engine.handle(at(21.0), Event::RunEnded { run: id, report });
    let ups = said.iter().filter_map(|action| {
        let Action::Send(call) = action else {
            return None;
        };
        Some(String::from_utf8_lossy(&call.input).into_owned())
    });
    let ups: Vec<String> = ups.collect();
    let [up] = ups.as_slice() else {
        panic!("{ups:?}")
    };
    up.clone()
}

#[test]
fn an_upalert_says_of_no_host_that_nobody_checks_any_more_that_it_is_up() {
    assert_eq!(said_at_the_end("h2\nbad\n", &[], &[]), "h2\nbad\n");
    // Whose failure was told and is over now has no say in who left.
    assert_eq!(said_at_the_end("h2\nbad\n", &["h1"], &["h3"]), "h2\nbad\n");
    assert_eq!(
        said_at_the_end("h2\nbad\n", &["h2"], &[]),
        "h2 (no longer checked: h2)\nbad\n"
    );
    assert_eq!(
        said_at_the_end("h1 h2 h3", &["h2"], &["h3"]),
        "h1 h2 h3 (no longer checked: h2)"
    );
}

#[test]
fn a_reload_costs_no_look_at_the_services_of_the_others() {
    let farm = |count: usize| {
        let one = |at: usize| {
            format!(
                "hostgroup g{at} 10.0.{}.{}\n\nwatch g{at}\n service http\n  interval 10s\n  \
                 monitor http.monitor\n\nvirtual 10.1.{}.{}:80\n real g{at}\n service \
                 g{at}:http\n\n",
                at / 250,
                at % 250,
                at / 250,
                at % 250
            )
        };
        let text: String = (0..count).map(one).collect();
        crate::config::load_text(&text).unwrap().0
    };
    let effort = |count: usize| {
        let (before, after) = (farm(count), farm(count));
        let mut engine = started(before);
        crate::effort::visits(|| {
            reload(&mut engine, 1.0, after, Memory::Kept);
        })
    };
    let (few, many) = (effort(20), effort(200));
    assert!(few > 0);
    assert!(many <= 10 * few, "{few} visits for 20, {many} for 200");
}
