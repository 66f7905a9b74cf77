//! Rows of real servers, and of those that nobody declared.

use std::sync::Arc;

use jiff::tz::TimeZone;

use super::*;
use crate::engine::event::{Event, HostResult, HostVerdict, Report};
use crate::engine::fixture::{at, exited};
use crate::engine::saved::Saved;
use crate::lvs::diff::owned;
use crate::lvs::{Connections, Forwarding, Scheduler, VirtualService, Weight};

const DR: RealServer = RealServer::new(Forwarding::Dr, Weight(5));

fn row(wish: ServerWish, found: RealServer, declared: Option<RealServer>) -> RealServerRow {
    let key = RealServerKey("192.168.0.1:80".parse().unwrap());
    real_server(key, wish, Found::In(found), String::new(), declared)
}

#[test]
fn a_row_says_in_what_the_kernel_differs() {
    let limited = RealServer {
        upper_threshold: 10,
        lower_threshold: 5,
        ..DR
    };
    let light = RealServer::new(Forwarding::Nat, Weight(1));
    let cases = [
        (light, "the kernel has nat, weight 1"),
        (limited, "the kernel has dr, weight 5, thresholds 10 and 5"),
    ];
    for (found, why) in cases {
        let row = row(ServerWish::In(DR), found, Some(DR));
        assert_eq!(
            (row.actual, row.agrees, &*row.why),
            (ServerActual::Differs, false, why)
        );
    }
}

#[test]
fn the_kernels_own_choice_of_forwarding_is_no_difference() {
    let local = RealServer::new(Forwarding::Local, Weight(5));
    let row = row(ServerWish::In(DR), local, Some(DR));
    assert_eq!(
        (row.actual, row.agrees, &*row.why),
        (ServerActual::In, true, "")
    );
}

#[test]
fn before_the_first_verdict_a_row_says_what_the_file_says() {
    let light = RealServer::new(Forwarding::Nat, Weight(1));
    let other = row(ServerWish::AsFound, light, Some(DR));
    assert_eq!((other.weight, other.agrees), (Some(1), true));
    assert_eq!(other.why, "the file says dr, weight 5");
    assert_eq!(row(ServerWish::AsFound, DR, Some(DR)).why, "");
    assert_eq!(row(ServerWish::AsFound, light, None).why, "");
}

/// The row of a real server that somebody put into a section, before or behind the first verdict
/// on the one of the file.
fn stranger(foreign: &str, is_checked: bool) -> Option<RealServerRow> {
    let text = format!(
        "hostgroup web 192.168.0.1\n\nwatch web\n service http\n  interval 10s\n  \
         monitor http.monitor\n\nvirtual 10.0.0.3:80\n real web weight 5\n service web:http\n \
         foreign {foreign}\n"
    );
    let (model, _) = crate::config::load_text(&text).expect("a good file");
    let zone = TimeZone::UTC;
    let mut engine = Engine::new(Arc::new(model), &Saved::default(), 1, zone, at(0.0));
    engine.handle(at(0.0), Event::Start);
    let key: VirtualServiceKey = "10.0.0.3:80/tcp".parse().unwrap();
    let [known, other] =
        ["192.168.0.1:80", "192.168.0.7:80"].map(|it| RealServerKey(it.parse().unwrap()));
    let entry = TableEntry {
        service: VirtualService::plain(key.family(), Scheduler::wlc()),
        servers: [(known, DR), (other, DR)].into(),
    };
    let counts = ConnectionCounts {
        active: 3,
        ..ConnectionCounts::default()
    };
    let look = |engine: &mut Engine| {
        let wanted = engine.desired().clone();
        let seen = TableOutcome {
            table: TableLook::Read(Arc::new(owned(&wanted, [(key, entry.clone())].into()))),
            connections: Arc::new(Connections::from([((key, other), counts)])),
            wanted: Arc::new(wanted),
            ..TableOutcome::default()
        };
        engine.handle(at(3.0), Event::Table(seen.clone()));
        seen
    };
    let mut seen = look(&mut engine);
    if is_checked {
        engine.handle(at(3.0), Event::Deadline);
        let run = engine.runs().next().expect("a run").0;
        let good = HostResult {
            host: HostName::new("192.168.0.1"),
            verdict: HostVerdict::Up,
            text: String::new(),
            weight: None,
            took: std::time::Duration::ZERO,
        };
        let report = Report {
            hosts: vec![good],
            ..exited(0, "")
        };
        engine.handle(at(3.5), Event::RunEnded { run, report });
        seen = look(&mut engine);
    }
    let answer = table(&engine, &seen, Source::Daemon);
    let text = serde_json::to_string(&answer).unwrap();
    assert_eq!(serde_json::from_str::<TableAnswer>(&text).unwrap(), answer);
    let mut rows = answer
        .virtual_services
        .into_iter()
        .flat_map(|it| it.real_servers);
    let first = rows.next().unwrap();
    assert_eq!(
        (&*first.real_server, first.stranger),
        ("192.168.0.1:80", false)
    );
    rows.next()
}

#[test]
fn what_nobody_declared_is_shown_and_marked() {
    let cases = [
        (
            "keep",
            false,
            ServerWanted::AsFound,
            "not in the file (foreign keep)",
        ),
        (
            "keep",
            true,
            ServerWanted::AsFound,
            "not in the file (foreign keep)",
        ),
        (
            "remove",
            false,
            ServerWanted::AsFound,
            "not in the file: leaves when all others have a verdict",
        ),
        (
            "remove",
            true,
            ServerWanted::Out,
            "not in the file: leaves when all others are in",
        ),
    ];
    for (foreign, is_checked, wanted, why) in cases {
        let row = stranger(foreign, is_checked).expect("it is shown");
        assert_eq!((&*row.real_server, row.stranger), ("192.168.0.7:80", true));
        assert_eq!((row.wanted, &*row.why), (wanted, why), "{foreign}");
        assert_eq!(row.actual, ServerActual::In);
        assert_eq!(row.agrees, wanted == ServerWanted::AsFound);
        assert_eq!(
            (row.weight, row.connections.map(|it| it.active)),
            (Some(5), Some(3))
        );
    }
}

/// What a director with this file knows of a kernel that has this one real server of its section.
fn held(text: &str, saved: &Saved, server: &str) -> (Engine, TableOutcome) {
    let (model, _) = crate::config::load_text(text).expect("a good file");
    let section = &model.virtual_services[0];
    let (key, service) = (section.key, section.settings.clone());
    let mut engine = Engine::new(Arc::new(model), saved, 1, TimeZone::UTC, at(0.0));
    engine.handle(at(0.0), Event::Start);
    let servers = [(RealServerKey(server.parse().unwrap()), DR)];
    let servers = servers.into_iter().collect();
    let table = [(key, TableEntry { service, servers })];
    let seen = TableOutcome {
        table: TableLook::Read(Arc::new(table.into_iter().collect())),
        wanted: Arc::new(engine.desired().clone()),
        ..TableOutcome::default()
    };
    engine.handle(at(0.0), Event::Table(seen.clone()));
    (engine, seen)
}

#[test]
fn what_stays_for_a_name_has_a_row_where_the_kernel_has_it_and_is_said_to_be_reached() {
    let file = |one: &str, two: &str| {
        format!(
            "hostgroup web {one} {two}\n\nwatch web\n service http\n  interval 10s\n  \
             monitor x\n\nvirtual 10.0.0.3:80\n protocol tcp\n scheduler wlc\n real web \
             weight 5\n service web:http\n"
        )
    };
    let (mut engine, _) = held(
        &file("192.168.0.1", "192.168.0.2"),
        &Saved::default(),
        "192.168.0.1:80",
    );
    let mut saved = Saved::default();
    for action in engine.handle(at(1.0), Event::JournalLost) {
        if let crate::engine::event::Action::Record(record) = action {
            saved.records.insert(record.key, record.value);
        }
    }
    let (engine, seen) = held(&file("w1", "w2"), &saved, "192.168.0.1:80");
    let answer = table(&engine, &seen, Source::Daemon);
    let rows = answer.virtual_services[0].real_servers.iter();
    let rows: Vec<&str> = rows.map(|row| &*row.real_server).collect();
    assert_eq!(rows, ["192.168.0.1:80", "w1", "w2"]);
    let why = |name: &str| {
        let aim = crate::engine::event::Aim {
            server: crate::engine::event::RealServerName(name.to_owned()),
            within: None,
        };
        let of = (Source::Daemon, wire_server::Expiry::default());
        let answer = wire_server::why(&engine, &seen, at(2.0), &aim, of, |_, _| None);
        answer.expect("an answer").servers.remove(0)
    };
    let section = why("w1").section.expect("its section");
    assert_eq!(section.unwanted.first, ["192.168.0.1:80"]);
    let stays = why("192.168.0.1");
    assert_eq!((stays.weight, stays.is_undeclared()), (Some(5), false));
    let until = "not in the file any more: stays until w1 has a usable address";
    assert_eq!(stays.trouble, [until]);
}
