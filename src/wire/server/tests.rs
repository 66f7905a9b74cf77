use super::*;
use crate::engine::event::{Caution, Event, Order, RealServerName, Report, Wish};
use crate::engine::fixture::{at, exited};
use crate::engine::saved::Saved;
use std::sync::Arc;

use jiff::tz::TimeZone;

const FARM: &str = "hostgroup web h1\n\nwatch web\n service http\n  interval 10s\n  \
    monitor x\n  period wd {Sun-Sat}\n   alert lvs.alert -P tcp -V 10.0.0.3:80 -R 192.168.0.1 -W 5 \
    -F dr\n   upalert lvs.alert -P tcp -V 10.0.0.3:80 -R 192.168.0.1 -W 5 -F dr\n";

fn aim() -> Aim {
    Aim {
        server: RealServerName("192.168.0.1".to_owned()),
        within: None,
    }
}

/// A farm whose next check ended so.
fn after(text: &str, report: Report) -> Engine {
    let (model, _) = crate::config::load_text(text).expect("a good file");
    let saved = Saved::default();
    let mut engine = Engine::new(Arc::new(model), &saved, 1, TimeZone::UTC, at(0.0));
    engine.handle(at(0.0), Event::Start);
    engine.handle(at(3.0), Event::Deadline);
    let run = engine.runs().next().expect("a run").0;
    engine.handle(at(3.5), Event::RunEnded { run, report });
    engine
}

fn order(engine: &mut Engine, wish: ManualWish, span: Option<u64>) {
    let order = Order {
        aim: aim(),
        wish,
        span: span.map(Duration::from_secs),
        by: "ann".to_owned(),
        reason: String::new(),
        caution: Caution::Refuse,
    };
    engine.handle(at(4.0), Event::Operator(Wish::Manual(order)));
}

fn ask(engine: &Engine) -> ServerWhy {
    let seen = TableOutcome::default();
    let expiry = Expiry::default();
    let answer = why(engine, &seen, at(5.0), &aim(), expiry, |_, _| None).unwrap();
    // A script reads what another one wrote.
    let text = serde_json::to_string(&answer).unwrap();
    assert_eq!(serde_json::from_str::<ServerAnswer>(&text).unwrap(), answer);
    answer.servers.into_iter().next().unwrap()
}

fn back(server: &ServerWhy) -> Vec<(&str, Option<i64>)> {
    let rows = server.back.iter();
    rows.map(|row| (row.text.as_str(), row.at)).collect()
}

#[test]
fn what_would_bring_a_server_back_is_said_of_each_reason() {
    let good = ask(&after(FARM, exited(0, "")));
    assert_eq!((good.wanted, back(&good)), (ServerWanted::In, vec![]));
    let mut engine = after(FARM, exited(1, "h1\nno answer\n"));
    let failed = ask(&engine);
    assert_eq!(failed.wanted, ServerWanted::Out);
    assert_eq!(back(&failed), [("a good check of web/http", None)]);
    let check = &failed.checks[0];
    assert_eq!(
        (&*check.service, check.reason),
        ("web/http", Some(Reason::Exit))
    );
    assert_eq!(check.withdraws.unwrap().since, at(3.5).wall.seconds());
    assert_eq!(failed.since, Some(at(3.5).wall.seconds()));
    order(&mut engine, ManualWish::Disable, Some(3_600));
    let both = ask(&engine);
    let until = Some(at(3_604.0).wall.seconds());
    let expected = [
        ("a good check of web/http", None),
        ("the disable by ann ends by itself", until),
    ];
    assert_eq!(back(&both), expected);
    engine.handle(at(4.5), Event::Operator(Wish::Stop));
    let stopped = ask(&engine);
    assert!(
        stopped.back[0]
            .text
            .contains("once the scheduler is started")
    );
}

#[test]
fn what_only_a_person_ends_is_said_with_the_command() {
    let text: String = FARM
        .lines()
        .filter(|line| !line.contains("upalert"))
        .fold(String::new(), |text, line| text + line + "\n");
    let mut engine = after(&text, exited(1, "h1\n"));
    let latched = ask(&engine);
    assert!(latched.checks[0].withdraws.unwrap().until_enabled);
    assert!(
        latched.back[0]
            .text
            .starts_with("lvsmon enable 192.168.0.1:80 (ends the withdrawal")
    );
    order(&mut engine, ManualWish::Quiesce, None);
    let both = ask(&engine);
    assert_eq!(
        both.back[1].text,
        "lvsmon enable 192.168.0.1:80 (ends the quiesce by ann)"
    );
    // More weight keeps nobody out.
    order(&mut engine, ManualWish::Weight { weight: 9 }, None);
    assert_eq!(ask(&engine).back.len(), 1);
}

#[test]
fn who_asks_is_the_login_behind_the_user() {
    for (login, uid, expected) in [
        (None, 0, "root"),
        (Some("root"), 0, "root"),
        (Some(""), 7, "uid 7"),
        (Some("ann"), 0, "ann as root"),
        (Some("a\nb "), 7, "a b as uid 7"),
    ] {
        assert_eq!(asked_by(login, uid), expected);
    }
    let long = "x".repeat(1_000);
    assert_eq!(asked_by(Some(&long), 0).len(), LOGIN_MAX + " as root".len());
}

#[test]
fn who_drains_is_told_what_the_kernel_does_about_persistence() {
    let mut engine = after(FARM, exited(0, ""));
    order(&mut engine, ManualWish::Drain { limit_s: 60 }, None);
    let mut server = ask(&engine);
    server.connections = Some(ConnectionsRow {
        active: 2,
        inactive: 1,
        persistent: 3,
    });
    let mut answer = ServerAnswer {
        time: at(5.0).wall.seconds(),
        servers: vec![server],
        expiry: Expiry::default(),
    };
    assert!(answer.is_draining());
    assert_eq!(
        answer.drain_lines(),
        ["192.168.0.1:80 in 10.0.0.3:80/tcp: 2 active, 1 inactive, 3 persistent; 59s left"]
    );
    assert_eq!(answer.warnings(), [""; 0]);
    answer.expiry = Expiry {
        expire_nodest_conn: Some(false),
        expire_quiescent_template: Some(false),
    };
    let warnings = answer.warnings();
    assert!(warnings[0].starts_with("3 persistent clients keep coming back"));
    assert!(warnings[1].contains("expire_nodest_conn is 0"));
    answer.expiry = Expiry {
        expire_nodest_conn: Some(true),
        expire_quiescent_template: Some(true),
    };
    assert_eq!(answer.warnings(), [""; 0]);
}
