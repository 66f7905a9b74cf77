//! Numbers by themselves, and the ids of a service that fails and comes back all the time.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;
use std::sync::Arc;

use jiff::tz::TimeZone;

use super::*;
use crate::engine::Engine;
use crate::engine::event::{Action, Event, Memory, Target, Trap, Wish};
use crate::engine::fixture::{EPOCH, alert, alerting, at, model};
use crate::engine::saved::Classic;
use crate::model::{AlertPeriod, GroupId, Model, Service, ServiceId};
use crate::time::{Mono, Wall};

fn restored(records: &[(&str, serde_json::Value)], seconds: f64) -> Numbering {
    let records = records.iter();
    let records = records.map(|(key, value)| ((*key).to_owned(), value.clone()));
    let saved = Saved {
        records: records.collect(),
    };
    Numbering::restore(&saved, at(seconds))
}

#[test]
fn an_outage_has_the_number_of_its_second_or_the_next_that_is_free() {
    let numbering = restored(&[], 0.0);
    assert_eq!(numbering.life(), EPOCH);
    assert_eq!(numbering.next(0, at(0.0)), EPOCH + 1);
    assert_eq!(numbering.next(0, at(30.0)), EPOCH + 30);
    assert_eq!(numbering.next(EPOCH + 30, at(30.5)), EPOCH + 31);
    assert_eq!(numbering.next(EPOCH + 3_600, at(31.0)), EPOCH + 3_601);
}

#[test]
fn a_later_life_is_above_all_that_was_even_where_the_clock_went_back() {
    let outage = serde_json::json!({"outage": {"id": EPOCH + 50}});
    let over = serde_json::json!({"last_outage": EPOCH + 70});
    let broken = serde_json::json!({"last_outage": i64::MAX});
    let floor = serde_json::json!(EPOCH + 60);
    let records = [
        ("service g/a", outage),
        ("service g/b", over),
        ("service g/c", broken),
        ("event numbers", floor),
    ];
    assert_eq!(restored(&records, 0.0).life(), EPOCH + 71);
    assert_eq!(restored(&records, 100.0).life(), EPOCH + 100);
    assert_eq!(restored(&records[3..], 0.0).life(), EPOCH + 61);
}

#[test]
fn what_is_forgotten_keeps_its_number_taken() {
    let mut numbering = restored(&[], 0.0);
    numbering.outlive(EPOCH + 500);
    numbering.outlive(EPOCH + 20);
    assert_eq!(numbering.next(0, at(30.0)), EPOCH + 501);
    let record = numbering.record();
    let later = restored(&[(&record.key, record.value.clone())], 0.0);
    assert_eq!(later.life(), EPOCH + 501);
}

/// An engine, its journal, its clocks, and the ids of all it told.
struct Life {
    model: Arc<Model>,
    engine: Engine,
    journal: BTreeMap<String, serde_json::Value>,
    now: Now,
    told: Vec<String>,
}

const S: ServiceId = ServiceId(0);

impl Life {
    fn new() -> Self {
        let traps = Service {
            periods: vec![AlertPeriod {
                startupalerts: vec![alert("start.alert")],
                disablealerts: vec![alert("disable.alert")],
                ..alerting()
            }],
            redistribute: Some(alert("share.alert")),
            ..Service::new("g".into(), GroupId(0), "s".into())
        };
        let model = Arc::new(model(vec![traps]));
        let none = Saved::default();
        let mut life = Self {
            engine: Engine::new(Arc::clone(&model), &none, 1, TimeZone::UTC, at(0.0)),
            model,
            journal: BTreeMap::new(),
            now: at(0.0),
            told: Vec::new(),
        };
        life.tell(Event::Start);
        life
    }

    fn tell(&mut self, event: Event) {
        for action in self.engine.handle(self.now, event) {
            self.told
                .extend(action.sent().map(|call| call.event.clone()));
            if let Action::Record(record) = action {
                self.journal.insert(record.key, record.value);
            }
        }
    }

    fn trap(&mut self, status: &str) {
        self.tell(Event::Trap(Trap {
            group: "g".to_owned(),
            service: "s".to_owned(),
            status: status.to_owned(),
            summary: "said so".to_owned(),
            detail: String::new(),
            from: Ipv4Addr::LOCALHOST.into(),
        }));
    }

    fn flap(&mut self) {
        self.trap("1");
        self.trap("0");
    }

    fn load(&mut self, classic: &Classic) {
        self.tell(Event::Operator(Wish::LoadState(classic.clone())));
    }

    fn reset(&mut self) {
        let model = Arc::clone(&self.model);
        let memory = Memory::Forgotten;
        self.tell(Event::Reload { model, memory });
    }

    /// A daemon that dies and comes back within the second, the clock set by so much.
    fn restart(&mut self, seconds: i64) {
        let wall = self.now.wall.as_micros() + seconds * 1_000_000;
        self.now = Now {
            mono: Mono::ZERO,
            wall: Wall::from_micros(wall),
        };
        let records = self.journal.clone().into_iter();
        let saved = Saved {
            records: records.filter(|(_, value)| !value.is_null()).collect(),
        };
        let model = Arc::clone(&self.model);
        self.engine = Engine::new(model, &saved, 1, TimeZone::UTC, self.now);
        self.tell(Event::Start);
    }

    fn must_all_differ(&self, at_least: usize) {
        let different: BTreeSet<&String> = self.told.iter().collect();
        assert!(self.told.len() >= at_least, "{:#?}", self.told);
        assert_eq!(different.len(), self.told.len(), "{:#?}", self.told);
    }
}

#[test]
fn outages_within_one_second_are_told_under_different_ids() {
    let mut life = Life::new();
    for _ in 0..3 {
        life.flap();
    }
    life.must_all_differ(13);
}

/// Both directors of a pair number alike, however often each of them is told of its checks.
#[test]
fn what_is_redistributed_does_not_count_among_the_calls_of_an_outage() {
    let mut life = Life::new();
    for _ in 0..3 {
        life.trap("1");
    }
    let (shared, alerts): (Vec<&String>, Vec<&String>) = life
        .told
        .iter()
        .partition(|id| id.contains("/redistribute/"));
    assert_eq!(shared.len(), 4, "{:#?}", life.told);
    let failures = alerts.iter().filter(|id| id.contains("/trap/"));
    let numbers: Vec<&str> = failures.filter_map(|id| id.rsplit('/').next()).collect();
    let counted: Vec<String> = (1..=numbers.len()).map(|n| n.to_string()).collect();
    assert!(
        !numbers.is_empty() && numbers == counted,
        "{:#?}",
        life.told
    );
    life.must_all_differ(4);
}

#[test]
fn an_outage_loaded_after_it_was_over_is_told_under_new_ids() {
    let mut life = Life::new();
    life.trap("1");
    let failing = life.engine.classic();
    life.trap("0");
    let good = life.engine.classic();
    for classic in [&failing, &failing, &good, &failing] {
        life.load(classic);
        life.trap("1");
        life.trap("0");
        life.load(classic);
        life.trap("2");
    }
    life.must_all_differ(20);
}

#[test]
fn neither_a_reset_nor_a_restart_nor_a_clock_set_back_gives_an_id_again() {
    let mut life = Life::new();
    life.flap();
    for clock in [0, 0, -3_600, 3_600, -86_400] {
        life.reset();
        life.flap();
        life.restart(clock);
        life.flap();
        for wish in [
            Wish::Disable {
                target: Target::Service(S),
                user: "joe".to_owned(),
            },
            Wish::Enable(Target::Service(S)),
        ] {
            life.tell(Event::Operator(wish));
        }
    }
    life.must_all_differ(60);
}

#[test]
fn a_service_that_left_the_configuration_and_came_back_tells_under_new_ids() {
    let mut life = Life::new();
    life.flap();
    let without = Arc::new(model(vec![Service::new(
        "g".into(),
        GroupId(0),
        "other".into(),
    )]));
    let with = Arc::clone(&life.model);
    for model in [without, with] {
        let memory = Memory::Kept;
        life.tell(Event::Reload { model, memory });
    }
    life.flap();
    life.restart(0);
    life.flap();
    life.must_all_differ(14);
}
