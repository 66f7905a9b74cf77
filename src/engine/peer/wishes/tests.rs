//! What operators said on one director holds on the other one.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::tz::TimeZone;
use serde_json::Value;

use crate::engine::Engine;
use crate::engine::event::{Alerts, Event, PeerWish, SharedWish, Target, Wish};
use crate::engine::fixture::{at, model, service};
use crate::engine::saved::Saved;
use crate::model::HostName;
use crate::pair::talk::wishes::Level;

fn director() -> Engine {
    let model = Arc::new(model(vec![service("g", "s"), service("g", "t")]));
    let mut engine = Engine::new(model, &Saved::default(), 1, TimeZone::UTC, at(0.0));
    engine.handle(at(0.0), Event::Start);
    engine
}

fn disable(target: Target) -> Wish {
    let user = "ann".to_owned();
    Wish::Disable { target, user }
}

/// Carries out on `to` what differs from `level`.
fn share(level: &Level, to: &mut Engine) {
    let own = to.wish_level();
    let names = level.keys().chain(own.keys());
    let differing = names.filter(|name| level.get(*name) != own.get(*name));
    let wish = |name: &String| PeerWish {
        wish: SharedWish::of(name, level.get(name)).unwrap(),
        ahead_micros: 0,
    };
    let wishes: BTreeMap<String, PeerWish> =
        differing.map(|name| (name.clone(), wish(name))).collect();
    to.handle(at(2.0), Event::PeerWishes(wishes.into_values().collect()));
}

#[test]
fn what_was_disabled_on_one_director_is_on_the_other_and_so_is_its_end() {
    let (mut one, mut two) = (director(), director());
    let services = one.model().services();
    let second = services.map(|(id, _)| id).nth(1).unwrap();
    for wish in [
        disable(Target::Service(second)),
        disable(Target::Hosts(vec![HostName::new("h2")])),
        disable(Target::Watch("g".into())),
    ] {
        one.handle(at(1.0), Event::Operator(wish));
    }
    let level = one.wish_level();
    let names: Vec<&str> = level.keys().map(String::as_str).collect();
    assert_eq!(names, ["host g h2", "service g t", "watch g"]);
    share(&level, &mut two);
    assert_eq!(two.wish_level(), level);
    for wish in [
        Wish::Enable(Target::Service(second)),
        Wish::Enable(Target::Hosts(vec![HostName::new("h2")])),
        Wish::Enable(Target::Watch("g".into())),
    ] {
        one.handle(at(3.0), Event::Operator(wish));
    }
    assert!(one.wish_level().is_empty());
    share(&one.wish_level(), &mut two);
    assert!(two.wish_level().is_empty());
}

/// However many services there are, each is looked up by its name.
#[test]
fn a_thousand_services_that_are_disabled_on_the_other_director_cost_two_looks_each_at_most() {
    let services = (0..1_000).map(|number| service("g", &format!("s{number}")));
    let model = Arc::new(model(services.collect()));
    let mut engine = Engine::new(model, &Saved::default(), 1, TimeZone::UTC, at(0.0));
    engine.handle(at(0.0), Event::Start);
    let wish = |number| PeerWish {
        wish: SharedWish::Service {
            group: "g".into(),
            service: format!("s{number}").into(),
            said: Alerts::Disabled,
        },
        ahead_micros: 0,
    };
    let wishes = (0..1_000).map(wish).collect();
    let visits = crate::effort::visits(|| {
        engine.handle(at(1.0), Event::PeerWishes(wishes));
    });
    assert_eq!(engine.wish_level().len(), 1_000);
    assert!((1_000..=2_000).contains(&visits), "{visits}");
}

#[test]
fn what_this_director_does_not_have_changes_nothing() {
    let mut engine = director();
    let server = "wish 10.0.0.3:80/tcp 10.1.0.1:80";
    let names = ["host g h9", "host x h1", "service g x", "watch x"];
    for value in [Some(Value::Bool(true)), None] {
        let wish = |name: &&str| PeerWish {
            wish: SharedWish::of(name, value.as_ref()).unwrap(),
            ahead_micros: 0,
        };
        let wishes = names.iter().map(wish).collect();
        engine.handle(at(1.0), Event::PeerWishes(wishes));
        assert!(engine.wish_level().is_empty());
    }
    let ended = PeerWish {
        wish: SharedWish::of(server, None).unwrap(),
        ahead_micros: 0,
    };
    engine.handle(at(1.0), Event::PeerWishes(vec![ended]));
    assert!(engine.wish_level().is_empty());
}
