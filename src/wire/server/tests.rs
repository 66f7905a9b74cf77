use super::*;
use crate::engine::event::{
    Action, Caution, Event, HostResult, Order, RealServerName, Report, TableLook, Target, Trap,
    Wish,
};
use crate::engine::fixture::{at, exited};
use crate::engine::recent::HOST_ENTRIES_MAX;
use crate::engine::saved::Saved;
use crate::lvs::diff::diff;
use crate::lvs::replay::apply;
use crate::lvs::{Forwarding, GivenWeight, RealServer, ServiceWish, Table, TableEntry, Weight};
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
    let answer = why(
        engine,
        &seen,
        at(5.0),
        &aim(),
        (Source::Daemon, expiry),
        |_, _| None,
    )
    .unwrap();
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
        source: None,
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

const SECTION: &str = "hostgroup web 192.168.0.1 192.168.0.2\n\nwatch web\n service http\n  \
    interval 10s\n  monitor http.monitor\n  tripwire on\n\nvirtual 10.0.0.3:80\n protocol tcp\n scheduler wlc\n \
    real web weight 10\n service web:http\n fall 2\n rise 3\n recheck 1s\n min_live 1\n slow_start 90s\n \
    fallback 10.0.0.1:8081 forward nat\n";

/// A farm of a section, second by second.
struct Farm {
    engine: Engine,
    seen: TableOutcome,
    second: f64,
    /// What its checks say of both servers, in percent; none: nothing.
    weights: [Option<u16>; 2],
}

impl Farm {
    /// The table was empty; both servers are good.
    fn new() -> Self {
        Self::of(SECTION)
    }

    fn of(text: &str) -> Self {
        Self::weighing(text, [Some(100), Some(100)])
    }

    fn weighing(text: &str, weights: [Option<u16>; 2]) -> Self {
        let (model, _) = crate::config::load_text(text).expect("a good file");
        let saved = Saved::default();
        let engine = Engine::new(Arc::new(model), &saved, 1, TimeZone::UTC, at(0.0));
        let seen = TableOutcome::default();
        let second = 0.0;
        let mut farm = Self {
            engine,
            seen,
            second,
            weights,
        };
        farm.engine.handle(at(0.0), Event::Start);
        farm.seen.wanted = Arc::new(farm.engine.desired().clone());
        farm.seen.table = TableLook::Read(Arc::default());
        farm.engine.handle(at(0.0), Event::Table(farm.seen.clone()));
        farm.check(&[]);
        farm
    }

    /// Lets time pass until the next run, and ends it: these hosts are refused.
    fn check(&mut self, down: &[&str]) {
        let run = loop {
            if let Some((run, _)) = self.engine.runs().next() {
                break run;
            }
            self.wait();
        };
        let result = |(host, weight): (&&str, Option<u16>)| HostResult {
            host: HostName::new(host),
            verdict: match down.contains(host) {
                true => HostVerdict::Down(Reason::Refused),
                false => HostVerdict::Up,
            },
            text: match down.contains(host) {
                true => "nobody listens".to_owned(),
                false => String::new(),
            },
            weight: weight
                .filter(|_| !down.contains(host))
                .map(|share| GivenWeight::Percent(share.into())),
            took: Duration::ZERO,
        };
        let hosts = ["192.168.0.1", "192.168.0.2"];
        let report = Report {
            hosts: hosts.iter().zip(self.weights).map(result).collect(),
            ..exited(i32::from(!down.is_empty()), &down.join(" "))
        };
        let now = at(self.second);
        self.engine.handle(now, Event::RunEnded { run, report });
    }

    fn wait(&mut self) {
        let next = self.engine.next_deadline().expect("something is planned");
        self.second = next.since(crate::time::Mono::ZERO).as_secs_f64();
        self.engine.handle(at(self.second), Event::Deadline);
    }

    /// Somebody wishes it of the first server, whatever is left of `min_live`.
    fn insist(&mut self, wish: ManualWish) {
        let order = Order {
            aim: aim(),
            wish,
            span: None,
            by: "ann".to_owned(),
            reason: String::new(),
            caution: Caution::Force,
        };
        let now = at(self.second);
        self.engine
            .handle(now, Event::Operator(Wish::Manual(order)));
    }

    /// The daemon dies and comes back at once, with what the journal has, and all is well.
    fn restart(&mut self) {
        self.begins_anew();
        self.check(&[]);
    }

    /// The same before the first check has ended.
    fn begins_anew(&mut self) {
        let now = at(self.second);
        let mut saved = Saved::default();
        for action in self.engine.handle(now, Event::JournalLost) {
            if let Action::Record(record) = action {
                let record = *record;
                saved.records.insert(record.key, record.value);
            }
        }
        let (model, _) = crate::config::load_text(SECTION).expect("a good file");
        self.engine = Engine::new(Arc::new(model), &saved, 1, TimeZone::UTC, now);
        self.engine.handle(now, Event::Start);
        self.engine.handle(now, Event::Table(self.seen.clone()));
    }

    fn why(&self, server: &str) -> ServerWhy {
        self.why_at(server, None)
    }

    /// The same where it went in or out then, as far as the daemon saw.
    fn why_since(&self, server: &str, changed: Wall) -> ServerWhy {
        self.why_at(server, Some(changed))
    }

    fn why_at(&self, server: &str, changed: Option<Wall>) -> ServerWhy {
        let server = RealServerName(server.to_owned());
        let aim = Aim {
            server,
            within: None,
        };
        let now = at(self.second);
        let expiry = Expiry::default();
        let answer = why(
            &self.engine,
            &self.seen,
            now,
            &aim,
            (Source::Daemon, expiry),
            |_, _| changed,
        )
        .unwrap();
        let text = serde_json::to_string(&answer).unwrap();
        assert_eq!(serde_json::from_str::<ServerAnswer>(&text).unwrap(), answer);
        answer.servers.into_iter().next().unwrap()
    }

    fn section(&self, server: &str) -> SectionRow {
        self.why(server).section.expect("it is in a section")
    }
}

#[test]
fn why_of_all_places_of_a_server_costs_as_much_for_each_as_for_one() {
    let sections =
        |at: usize| format!("virtual 10.1.0.{at}:80\n real 192.168.0.1\n service web:http\n\n");
    let lines = |at: usize| {
        let words = format!("lvs.alert -P tcp -V 10.2.0.{at}:80 -R 192.168.0.1:80 -W 5");
        format!("  alert {words}\n  upalert {words}\n")
    };
    let of = |text: &str, count: usize, place: &dyn Fn(usize) -> String| {
        let places: String = (1..=count).map(place).collect();
        let farm = Farm::of(&text.replace("PLACES", &places));
        let aim = aim();
        let source = (Source::Daemon, Expiry::default());
        crate::effort::visits(|| {
            let now = at(farm.second);
            let answer = why(&farm.engine, &farm.seen, now, &aim, source, |_, _| None);
            let servers = answer.unwrap().servers;
            assert_eq!(servers.len(), count);
            assert!(servers.iter().all(|it| it.checks.len() == 1));
        })
    };
    let watch = "hostgroup web 192.168.0.1 192.168.0.2\n\nwatch web\n service http\n  \
        interval 10s\n  monitor http.monitor\n";
    let in_sections = format!("{watch}\nPLACES");
    let by_lines = format!("{watch}  period wd {{Sun-Sat}}\nPLACES");
    type Place<'a> = &'a dyn Fn(usize) -> String;
    let cases: [(&str, Place<'_>); 2] = [(&in_sections, &sections), (&by_lines, &lines)];
    for (text, place) in cases {
        let [some, more, most] = [20, 40, 60].map(|count| of(text, count, place));
        assert!(
            some > 0 && most - more == more - some,
            "{some} {more} {most}: {text}"
        );
    }
}

#[test]
fn the_role_of_a_server_is_what_an_operators_wish_makes_of_it() {
    let mut farm = Farm::new();
    for (wish, role) in [
        (ManualWish::Disable, RoleRow::OutByWish),
        (ManualWish::Quiesce, RoleRow::QuiescedByWish),
        (ManualWish::Drain { limit_s: 60 }, RoleRow::QuiescedByWish),
        (ManualWish::Weight { weight: 0 }, RoleRow::QuiescedByWish),
        (ManualWish::Weight { weight: 3 }, RoleRow::Serves),
    ] {
        order(&mut farm.engine, wish, None);
        assert_eq!(farm.section("192.168.0.1").role, Some(role), "{wish:?}");
    }
    // Whom the checks withdraw as well is out whatever is wished.
    order(&mut farm.engine, ManualWish::Disable, None);
    farm.check(&["192.168.0.1"]);
    farm.check(&["192.168.0.1"]);
    assert_eq!(farm.section("192.168.0.1").role, Some(RoleRow::Out));
    // It comes back slowly, by its checks only.
    for _ in 0..3 {
        farm.check(&[]);
    }
    let section = farm.section("192.168.0.1");
    assert_eq!(
        (section.role, section.slow_start, section.role_ends),
        (Some(RoleRow::OutByWish), None, None)
    );
    // The fallback, where it alone is to serve.
    order(&mut farm.engine, ManualWish::Weight { weight: 3 }, None);
    let server = farm.why("192.168.0.1");
    let section = server.section.expect("it is in a section");
    assert_eq!(
        (section.role, section.slow_start, server.wanted_weight),
        (Some(RoleRow::Serves), None, Some(3)),
        "its weight is the wish, and no share of another"
    );
}

#[test]
fn a_server_of_a_section_is_shown_with_its_counts_and_with_what_becomes_of_the_others() {
    let mut farm = Farm::new();
    let calm = farm.why("192.168.0.1");
    let section = calm.section.unwrap();
    assert_eq!(
        (section.role, section.served_by, section.slow_start),
        (Some(RoleRow::Serves), Some(ServedRow::Servers), None)
    );
    assert_eq!(
        (section.serving, section.declared, section.min_live),
        (2, 2, 1)
    );
    assert_eq!(section.fallback.as_deref(), Some("10.0.0.1:8081"));
    let row = |good, bad| {
        Some(CountRow {
            good,
            bad,
            fall: 2,
            rise: 3,
        })
    };
    assert_eq!(calm.checks[0].count, row(1, 0));
    assert!(matches!(
        calm.checks[0].tripwire,
        Some(TripwireRow::Armed { .. })
    ));
    farm.check(&["192.168.0.1"]);
    let first = farm.why("192.168.0.1");
    assert_eq!(
        (first.wanted, first.checks[0].count),
        (ServerWanted::In, row(0, 1))
    );
    farm.check(&["192.168.0.1"]);
    let out = farm.why("192.168.0.1");
    assert_eq!(out.section.as_ref().unwrap().role, Some(RoleRow::Out));
    assert_eq!(out.section.as_ref().unwrap().serving, 1);
    // The words are those of the re-check, which no listing of the service has.
    let check = &out.checks[0];
    assert_eq!(
        (check.verdict, &*check.text),
        (Verdict::Down, "nobody listens")
    );
    assert_eq!(check.tripwire, Some(TripwireRow::Off));
    farm.check(&[]);
    farm.check(&[]);
    let expected = ("3 good checks of web/http in a row (2 so far)", None);
    assert_eq!(back(&farm.why("192.168.0.1")), [expected]);
    farm.check(&[]);
    let slow = farm.why("192.168.0.1");
    let section = slow.section.unwrap();
    assert_eq!(
        (section.role, section.slow_start),
        (Some(RoleRow::Serves), Some(10))
    );
    assert_eq!(slow.wanted_weight, Some(1));
    assert_eq!(
        section.role_ends,
        Some(at(farm.second + 90.0).wall.seconds())
    );
}

#[test]
fn a_section_says_whom_the_kernel_sends_clients_to_against_what_is_wanted() {
    let mut farm = Farm::new();
    let key = *farm.engine.desired().keys().next().unwrap();
    let ServiceWish::Owned(settings) = farm.engine.desired()[&key].service.clone() else {
        panic!("a section owns its virtual service");
    };
    let entry = |servers: &[(&str, u32)]| TableEntry {
        service: settings.clone(),
        servers: servers
            .iter()
            .map(|&(address, weight)| {
                let server = RealServer::new(Forwarding::Nat, Weight(weight));
                (RealServerKey(address.parse().unwrap()), server)
            })
            .collect(),
    };
    let names = |row: &ServersRow| (row.count, row.first.clone());
    let (both, other) = (
        entry(&[("192.168.0.1:80", 9), ("192.168.0.2:80", 1)]),
        entry(&[
            ("192.168.0.1:80", 0),
            ("192.168.0.9:80", 1),
            ("192.168.0.8:80", 0),
        ]),
    );
    let mut section = |entry: Option<TableEntry>| {
        let table = entry.map(|entry| (key, entry)).into_iter().collect();
        farm.seen.table = TableLook::Read(Arc::new(table));
        let section = farm.section("192.168.0.1");
        (names(&section.missing), names(&section.unwanted))
    };
    let nobody = || (0, vec![]);
    assert_eq!(section(Some(both)), (nobody(), nobody()));
    let (one, two, stranger) = ("192.168.0.1:80", "192.168.0.2:80", "192.168.0.9:80");
    let wanted = (2, vec![one.to_owned(), two.to_owned()]);
    assert_eq!(
        section(Some(other)),
        (wanted.clone(), (1, vec![stranger.to_owned()]))
    );
    assert_eq!(section(None), (wanted, nobody()));
    farm.seen.table = TableLook::NotYet;
    assert_eq!(farm.section("192.168.0.1").missing, ServersRow::default());
}

#[test]
fn the_fallback_is_shown_with_who_serves_in_its_place() {
    let mut farm = Farm::new();
    let idle = farm.why("10.0.0.1");
    assert_eq!(
        idle.section.as_ref().unwrap().role,
        Some(RoleRow::FallbackOut)
    );
    assert!(
        idle.back[0]
            .text
            .contains("no real server of 10.0.0.3:80/tcp serves")
    );
    let both = ["192.168.0.1", "192.168.0.2"];
    farm.check(&both);
    farm.check(&both);
    let section = farm.section("10.0.0.1");
    assert_eq!(
        (section.role, section.served_by, section.serving),
        (Some(RoleRow::FallbackIn), Some(ServedRow::Fallback), 0)
    );
    assert_eq!(
        farm.section("192.168.0.2").served_by,
        Some(ServedRow::Fallback)
    );
}

#[test]
fn a_service_that_never_runs_is_named_with_what_it_lacks() {
    let text = SECTION
        .replace(
            "watch web\n service http\n  interval 10s\n",
            "watch web\n service traps\n  traptimeout 1h\n service idle\n  monitor x\n service http\n  interval 10s\n",
        )
        .replace("service web:http\n", "service web:http web:traps web:idle\n");
    let (model, _) = crate::config::load_text(&text).expect("a good file");
    let saved = Saved::default();
    let mut engine = Engine::new(Arc::new(model), &saved, 1, TimeZone::UTC, at(0.0));
    engine.handle(at(0.0), Event::Start);
    let server = ask(&engine);
    let lacks = |it: &CheckRow| (it.service.clone(), it.lacks.clone());
    let lacks: Vec<_> = server.checks.iter().map(lacks).collect();
    let of = |service: &str, what: Option<&str>| (service.to_owned(), what.map(str::to_owned));
    let expected = [
        of("web/traps", Some("monitor")),
        of("web/idle", Some("interval")),
        of("web/http", None),
    ];
    assert_eq!(lacks, expected);
    let said = back(&server);
    let mute = "it has no interval, so it never runs, and only a trap speaks for it";
    let expected = format!("a first report of web/idle ({mute})");
    assert!(said.contains(&(expected.as_str(), None)), "{said:?}");
    assert!(
        said.contains(&("a first report of web/http", None)),
        "{said:?}"
    );
}

#[test]
fn a_server_that_is_in_before_its_first_verdict_waits_for_none_to_be_in() {
    for (initial, expected) in [
        ("in", &[][..]),
        ("out", &[("a first report of web/http", None)]),
    ] {
        let text = SECTION.replace(
            " service web:http\n",
            &format!(" initial {initial}\n service web:http\n"),
        );
        let mut engine = with_the_second_server(&text);
        let server = ask(&engine);
        assert_eq!(back(&server), expected, "{initial}");
        // Nor is it what keeps a drained one from its clients.
        order(&mut engine, ManualWish::Quiesce, None);
        let ends = (
            "lvsmon enable 192.168.0.1:80 (ends the quiesce by ann)",
            None,
        );
        let expected: Vec<_> = expected.iter().copied().chain([ends]).collect();
        assert_eq!(back(&ask(&engine)), expected, "{initial}");
    }
}

/// With a table in which the section, where there is one, has its second server.
fn with_the_second_server(text: &str) -> Engine {
    let (model, _) = crate::config::load_text(text).expect("a good file");
    let mut table = Table::new();
    for section in &model.virtual_services {
        let server = RealServerKey("192.168.0.2:80".parse().unwrap());
        let settings = RealServer::new(Forwarding::Dr, Weight(10));
        let entry = TableEntry {
            service: section.settings.clone(),
            servers: [(server, settings)].into(),
        };
        table.insert(section.key, entry);
    }
    let saved = Saved::default();
    let mut engine = Engine::new(Arc::new(model), &saved, 1, TimeZone::UTC, at(0.0));
    engine.handle(at(0.0), Event::Start);
    let seen = TableOutcome {
        table: TableLook::Read(Arc::new(table)),
        wanted: Arc::new(engine.desired().clone()),
        ..TableOutcome::default()
    };
    engine.handle(at(0.0), Event::Table(seen));
    engine
}

#[test]
fn a_server_whose_services_all_left_the_count_is_back_with_a_report_of_any() {
    let section = |lines: &str| {
        let text = SECTION.replace(
            "watch web\n service http\n  interval 10s\n",
            "watch web\n service traps\n service idle\n  monitor x\n service http\n  interval 10s\n",
        );
        text.replace("service web:http\n", lines)
    };
    let mute = |what| format!("it has no {what}, so it never runs, and only a trap speaks for it");
    let one = format!("a first report of web/traps ({})", mute("monitor"));
    let any = format!("{one}, or of web/idle ({})", mute("interval"));
    let both = |initial| format!("service web:traps web:idle\n initial {initial}\n");
    let line = FARM.replace("  interval 10s\n", "");
    let of_line = format!("a first report of web/http ({})", mute("interval"));
    for (text, wanted, expected) in [
        (section("service web:traps\n"), ServerWanted::AsFound, one),
        (section(&both("as_found")), ServerWanted::AsFound, any),
        (section(&both("in")), ServerWanted::In, String::new()),
        (line, ServerWanted::AsFound, of_line),
    ] {
        let mut engine = with_the_second_server(&text);
        engine.handle(at(1_000.0), Event::Deadline);
        let left = ask(&engine);
        let expected = Some((expected.as_str(), None)).filter(|(text, _)| !text.is_empty());
        let expected: Vec<_> = expected.into_iter().collect();
        assert_eq!(
            (left.wanted, back(&left)),
            (wanted, expected.clone()),
            "{text}"
        );
        // What a person wishes beside it does not hide it.
        if wanted == ServerWanted::AsFound {
            order(&mut engine, ManualWish::Disable, None);
            let left = ask(&engine);
            assert_eq!(back(&left)[..1], expected, "{text}");
            assert_eq!(left.back.len(), 2, "{text}");
        }
    }
}

/// What the table says of each real server: of the fallback first, where there is one.
fn why_rows(farm: &Farm) -> Vec<String> {
    let answer = table::table(&farm.engine, &farm.seen, Source::Daemon);
    let rows = answer.virtual_services[0].real_servers.iter();
    // The kernel's table stays empty here.
    let other = "virtual service is missing";
    let why = rows.map(|row| row.why.replace(other, ""));
    why.map(|why| why.trim_end_matches("; ").to_owned())
        .collect()
}

#[test]
fn a_table_says_who_is_kept_in_who_starts_slowly_and_who_is_the_fallback() {
    let both = ["192.168.0.1", "192.168.0.2"];
    let mut farm = Farm::new();
    assert_eq!(why_rows(&farm), ["the fallback, not needed", "", ""]);
    farm.check(&both);
    farm.check(&both);
    let out = "web/http says refused";
    assert_eq!(why_rows(&farm), ["the fallback, wanted to serve", out, out]);
    let desired = farm.engine.desired().clone();
    let mut table = Table::new();
    for command in diff(&desired, &table.clone()) {
        apply(&mut table, &command).unwrap();
    }
    let other = std::mem::replace(&mut farm.seen.table, TableLook::Read(Arc::new(table)));
    assert_eq!(why_rows(&farm), ["the fallback, it serves", out, out]);
    farm.seen.table = other;
    farm.check(&both[1..]);
    farm.check(&both[1..]);
    farm.check(&both[1..]);
    let slow = "slow start, at 10% of its weight";
    assert_eq!(why_rows(&farm), ["the fallback, not needed", slow, out]);
    let section = farm.section("192.168.0.1");
    assert_eq!(section.slow_start, Some(10));
    assert!(section.role_ends.is_some());
    // What is wished takes the place of its share.
    for wish in [
        ManualWish::Quiesce,
        ManualWish::Weight { weight: 7 },
        ManualWish::Disable,
    ] {
        farm.insist(wish);
        let said = why_rows(&farm);
        assert!(said[1].contains("by ann"), "{said:?}");
        assert!(!said[1].contains("slow start"), "{said:?}");
        let section = farm.section("192.168.0.1");
        assert_eq!((section.slow_start, section.role_ends), (None, None));
    }
    let alone = SECTION.replace(" fallback 10.0.0.1:8081 forward nat\n", "");
    let mut farm = Farm::of(&alone);
    farm.check(&both);
    farm.check(&both);
    let kept = "web/http says refused; kept in by min_live";
    assert_eq!(why_rows(&farm), [kept, out]);
    // It is in for as long as before.
    assert_eq!(farm.why("192.168.0.1").since, None);
    assert!(farm.why("192.168.0.2").since.is_some());
}

/// The daemon's first look after a restart is no change of what was so before.
#[test]
fn who_is_out_by_wish_is_out_since_the_wish_whatever_was_seen_since() {
    let since = |farm: &Farm| farm.why_since("192.168.0.1", at(900.0).wall).since;
    let mut farm = Farm::new();
    farm.second = 100.0;
    farm.insist(ManualWish::Disable);
    farm.second = 1_000.0;
    let disabled = Some(at(100.0).wall.seconds());
    assert_eq!(since(&farm), disabled);
    // Said again it is out since before, and so after a restart.
    farm.insist(ManualWish::Disable);
    assert_eq!(since(&farm), disabled);
    farm.restart();
    assert_eq!(since(&farm), disabled);
    // Its weight is 0 since then.
    farm.insist(ManualWish::Quiesce);
    let quiesced = since(&farm);
    assert!(quiesced > disabled, "{quiesced:?}");
    farm.restart();
    assert_eq!(since(&farm), quiesced);
    // What takes nobody away has no part in it.
    farm.insist(ManualWish::Weight { weight: 3 });
    assert_eq!(since(&farm), Some(at(900.0).wall.seconds()));
}

#[test]
fn who_was_drained_is_out_since_the_end_of_the_drain() {
    let mut farm = Farm::new();
    farm.second = 100.0;
    farm.insist(ManualWish::Drain { limit_s: 60 });
    let since = |farm: &Farm| farm.why_since("192.168.0.1", at(900.0).wall).since;
    assert_eq!(since(&farm), Some(at(100.0).wall.seconds()));
    farm.second = 160.0;
    farm.engine.handle(at(160.0), Event::Deadline);
    assert_eq!(farm.why("192.168.0.1").wanted, ServerWanted::Out);
    let drained = Some(at(160.0).wall.seconds());
    assert_eq!(since(&farm), drained);
    farm.second = 500.0;
    farm.restart();
    assert_eq!(since(&farm), drained);
}

#[test]
fn a_server_with_weight_0_is_said_to_have_it_by_whom() {
    let text = SECTION.replace(" slow_start", " weight_from check\n slow_start");
    let mut farm = Farm::of(&text);
    farm.weights = [Some(0), Some(100)];
    farm.check(&[]);
    let row = |farm: &Farm| {
        let answer = table::table(&farm.engine, &farm.seen, Source::Daemon);
        let why = &answer.virtual_services[0].real_servers[1].why;
        let why = why.replace("virtual service is missing", "");
        why.trim_end_matches("; ").to_owned()
    };
    assert_eq!(row(&farm), "web/http gives it weight 0");
    let zero = farm.why("192.168.0.1");
    assert_eq!(
        zero.section.as_ref().unwrap().role,
        Some(RoleRow::QuiescedByCheck)
    );
    let expected = "a check of web/http that gives it a weight above 0";
    assert_eq!(back(&zero), [(expected, None)]);
    // The weight that an operator says is in its place.
    order(&mut farm.engine, ManualWish::Weight { weight: 3 }, None);
    assert_eq!(
        (row(&farm).as_str(), back(&farm.why("192.168.0.1")).len()),
        ("weight 3 by ann", 0)
    );
    // Kept in, though nobody withdrew it and it did not fail.
    let text = text.replace(" fallback 10.0.0.1:8081 forward nat\n", "");
    let mut kept = Farm::of(&text);
    kept.weights = [Some(0), Some(0)];
    kept.check(&[]);
    let rows_of = table::table(&kept.engine, &kept.seen, Source::Daemon);
    let first = &rows_of.virtual_services[0].real_servers[0];
    assert!(
        first
            .why
            .starts_with("web/http gives it weight 0; kept in by min_live"),
        "{}",
        first.why
    );
    assert_eq!(kept.section("192.168.0.1").role, Some(RoleRow::Kept));
    // The file's own word.
    let mut idle = Farm::of(&SECTION.replace("weight 10", "weight 0"));
    idle.check(&[]);
    assert_eq!(row(&idle), "weight 0 in the file");
    // It starts slowly from 0 to 0, which nobody sees.
    for down in [&["192.168.0.1"][..], &[]] {
        for _ in 0..3 {
            idle.check(down);
        }
    }
    assert_eq!(row(&idle), "weight 0 in the file");
    assert_eq!(idle.section("192.168.0.1").slow_start, None);
    let idle = idle.why("192.168.0.1");
    assert_eq!(
        idle.section.as_ref().unwrap().role,
        Some(RoleRow::QuiescedByFile)
    );
    assert_eq!(
        back(&idle)[0].0,
        "a weight above 0 in the file, or lvsmon weight N 192.168.0.1:80"
    );
}

/// A section whose weights come from checks that give these, and a fallback first in its rows.
fn weighed(weights: [Option<u16>; 2]) -> Farm {
    Farm::weighing(
        &SECTION.replace(" slow_start 90s", " weight_from check"),
        weights,
    )
}

/// Where the first server has its weight from, as a script reads it.
fn weight_by(farm: &Farm) -> serde_json::Value {
    let section = farm.section("192.168.0.1");
    serde_json::to_value(section).unwrap()["weight_by"].take()
}

#[test]
fn it_is_said_whose_check_gives_a_server_its_weight() {
    let mut farm = weighed([Some(30), Some(100)]);
    let share =
        |verb: &str, share| format!("web/http {verb} it {share}% of the weight in the file");
    let (first, second) = (share("gives", 30), share("gives", 100));
    assert_eq!(why_rows(&farm)[1..], [first, second.clone()]);
    let given = |weight: &str, none_since: Option<i64>| {
        serde_json::json!({
            "from": "checks",
            "given": [{"service": "web/http", "weight": weight, "none_since": none_since}],
        })
    };
    assert_eq!(weight_by(&farm), given("30%", None));
    // A trap is no check.
    let trap = Trap {
        group: "web".to_owned(),
        service: "http".to_owned(),
        status: "0".to_owned(),
        summary: String::new(),
        detail: String::new(),
        from: std::net::Ipv4Addr::LOCALHOST.into(),
    };
    farm.engine.handle(at(farm.second), Event::Trap(trap));
    assert_eq!(weight_by(&farm), given("30%", None));
    // A check without one keeps it: since the first of them.
    farm.weights[0] = None;
    farm.check(&[]);
    let since = Some(at(farm.second).wall.seconds());
    farm.check(&[]);
    let kept = share("gave", 30) + ", its latest check none";
    assert_eq!(why_rows(&farm)[1..], [kept, second]);
    assert_eq!(weight_by(&farm), given("30%", since));
    // 0 is no other: the server takes no clients for what an earlier check said.
    farm.weights[0] = Some(0);
    farm.check(&[]);
    assert_eq!(weight_by(&farm), given("0%", None));
    farm.weights[0] = None;
    farm.check(&[]);
    assert_eq!(
        why_rows(&farm)[1],
        "web/http gave it weight 0, its latest check none"
    );
    // What an operator says comes of no check.
    farm.insist(ManualWish::Weight { weight: 7 });
    assert_eq!(why_rows(&farm)[1], "weight 7 by ann");
    assert_eq!(weight_by(&farm), serde_json::Value::Null);
    // Nor has one that is out any.
    farm.check(&["192.168.0.1"]);
    farm.check(&["192.168.0.1"]);
    assert_eq!(weight_by(&farm), serde_json::Value::Null);
}

#[test]
fn a_weight_that_a_replaced_monitor_gave_is_said_to_be_of_that_one() {
    let mut farm = weighed([Some(30), Some(100)]);
    let text = SECTION.replace(" slow_start 90s", " weight_from check");
    let text = text.replace("http.monitor", "http.monitor -p 81");
    let (model, _) = crate::config::load_text(&text).expect("a good file");
    let event = Event::Reload {
        model: Arc::new(model),
        memory: crate::engine::event::Memory::Kept,
    };
    farm.engine.handle(at(farm.second), event);
    let kept = "the monitor that web/http had before gave it 30% of the weight in the file, the \
                present one none yet";
    assert_eq!(why_rows(&farm)[1], kept);
    let given = &weight_by(&farm)["given"][0];
    let expected = serde_json::json!({
        "service": "web/http", "weight": "30%", "none_since": null, "replaced": true,
    });
    assert_eq!(*given, expected);
    // Its first verdict ends it.
    farm.weights[0] = Some(50);
    farm.check(&[]);
    let given = &weight_by(&farm)["given"][0];
    let expected = serde_json::json!({
        "service": "web/http", "weight": "50%", "none_since": null,
    });
    assert_eq!(*given, expected);
}

#[test]
fn it_is_said_where_the_weight_is_that_of_the_file_although_checks_are_asked() {
    let from = |word: &str| serde_json::json!({ "from": word });
    let mut farm = weighed([None, Some(50)]);
    let silent = "weight of the file, as no check gave it one";
    assert_eq!(why_rows(&farm)[1], silent);
    assert_eq!(weight_by(&farm), from("file"));
    // Nobody asks them.
    assert_eq!(weight_by(&Farm::new()), serde_json::Value::Null);
    // One that is kept in has what its checks gave it, or no more than the healthy.
    let alone = SECTION.replace(" fallback 10.0.0.1:8081 forward nat\n", "");
    let alone = alone.replace(" slow_start 90s", " weight_from check");
    let down = ["192.168.0.1", "192.168.0.2"];
    for (weight, expected) in [
        (None, "weight of the file, no more than the others have"),
        (Some(0), "weight of the file, no more than the others have"),
        (
            Some(40),
            "web/http gave it 40% of the weight in the file, its latest check none",
        ),
    ] {
        farm = Farm::weighing(&alone, [weight, weight]);
        farm.check(&down);
        farm.check(&down);
        assert_eq!(farm.section("192.168.0.1").role, Some(RoleRow::Kept));
        let words = format!("web/http says refused; kept in by min_live; {expected}");
        assert_eq!(why_rows(&farm)[0], words);
        let word = if weight == Some(40) {
            "checks"
        } else {
            "file_at_most"
        };
        assert_eq!(weight_by(&farm)["from"], word);
    }
}

#[test]
fn a_check_that_goes_on_has_not_said_anything_yet() {
    let (model, _) = crate::config::load_text(FARM).expect("a good file");
    let saved = Saved::default();
    let mut engine = Engine::new(Arc::new(model), &saved, 1, TimeZone::UTC, at(0.0));
    engine.handle(at(0.0), Event::Start);
    let last = |engine: &Engine| ask(engine).checks[0].last_check;
    let mut before = None;
    for second in [3.0, 14.0, 25.0] {
        engine.handle(at(second), Event::Deadline);
        let run = engine.runs().next().expect("a run").0;
        let began = engine.services().next().expect("a service").last_check;
        let began = began.map(Wall::seconds);
        assert!(began > before);
        assert_eq!(last(&engine), before);
        let report = exited(0, "");
        engine.handle(at(second + 0.5), Event::RunEnded { run, report });
        assert_eq!(last(&engine), began);
        before = began;
    }
}

/// What is said of the last results, the oldest first.
fn results(server: &ServerWhy) -> Vec<String> {
    let rows = server.checks[0].results.iter();
    rows.map(|row| format!("{} x {}", row.count, row.words()))
        .collect()
}

#[test]
fn the_last_results_are_those_of_the_server_that_is_asked_for() {
    let mut farm = Farm::new();
    let other = ["192.168.0.2"];
    farm.check(&other);
    farm.check(&other);
    farm.check(&[]);
    // Nothing of it ever failed, whatever became of the other one.
    let good = farm.why("192.168.0.1");
    assert_eq!(results(&good), [""; 0]);
    assert_eq!(
        (&*good.checks[0].text, good.checks[0].about),
        ("", About::Host)
    );
    // The re-check between two slots is among them.
    let refused = "2 x down (refused): nobody listens";
    assert_eq!(results(&farm.why("192.168.0.2")), [refused, "1 x up"]);
    for _ in 0..10 {
        farm.check(&[]);
        farm.check(&other);
    }
    let last = results(&farm.why("192.168.0.2"));
    assert_eq!(last.len(), HOST_ENTRIES_MAX);
    assert_eq!(last[4], "1 x down (refused): nobody listens");
    assert_eq!(results(&farm.why("192.168.0.1")), [""; 0]);
}

/// Two real servers and a monitor of another maker that checks both at once.
const PROGRAM: &str = "hostgroup web 192.168.0.1 192.168.0.2\n\nwatch web\n service http\n  \
    interval 10s\n  monitor x\n\nvirtual 10.0.0.3:80\n real web\n service web:http\n";

#[test]
fn words_of_a_program_are_said_to_be_those_of_the_whole_service() {
    let named = after(PROGRAM, exited(1, "192.168.0.1 answers late\n"));
    let down = ask(&named);
    let said = "down (exit), named in \"192.168.0.1 answers late\"";
    assert_eq!(results(&down), [format!("1 x {said}")]);
    assert_eq!(down.checks[0].about, About::Named);
    let unclear = after(PROGRAM, exited(1, "it broke\n"));
    let said = "unknown (no_host_named), of the whole service: it broke";
    assert_eq!(results(&ask(&unclear)), [format!("1 x {said}")]);
    assert_eq!(ask(&unclear).checks[0].about, About::Service);
    // All fail, and nobody is named.
    let all = PROGRAM.replace("  monitor x\n", "  monitor x\n  all_hosts_on_failure\n");
    let said = "down (exit), of the whole service: it broke";
    let all = after(&all, exited(1, "it broke\n"));
    assert_eq!(results(&ask(&all)), [format!("1 x {said}")]);
    // The line of a real server that is no member of the hostgroup: the service decides as a whole.
    let whole = after(FARM, exited(1, "h1\n"));
    assert_eq!(
        results(&ask(&whole)),
        ["1 x down (exit), of the whole service: h1"]
    );
}

#[test]
fn a_verdict_of_a_service_that_never_runs_again_is_said_to_be_kept() {
    let mut farm = Farm::new();
    let one = ["192.168.0.1"];
    farm.check(&one);
    farm.check(&one);
    let ran = farm.why("192.168.0.1").checks[0].last_check;
    assert_eq!(farm.why("192.168.0.1").checks[0].kept_since, None);
    let (model, _) = crate::config::load_text(&SECTION.replace("  interval 10s\n", "")).unwrap();
    let reload = Event::Reload {
        model: Arc::new(model),
        memory: crate::engine::event::Memory::Kept,
    };
    farm.engine.handle(at(farm.second), reload);
    for server in ["192.168.0.1", "192.168.0.2"] {
        let check = &farm.why(server).checks[0];
        assert_eq!(check.lacks.as_deref(), Some("interval"));
        assert!(
            check.kept_since.is_some() && check.kept_since <= ran,
            "{check:?}"
        );
    }
    let rows = table::table(&farm.engine, &farm.seen, Source::Daemon);
    let row = &rows.virtual_services[0].real_servers[1];
    assert!(
        row.why.contains("web/http says refused (it never runs)"),
        "{}",
        row.why
    );
}

#[test]
fn the_rules_are_named_that_the_line_of_a_server_says() {
    let text = SECTION.replace(
        " real web weight 10\n",
        " real 192.168.0.1 weight 10 on_failure quiesce initial in\n real 192.168.0.2 weight 10\n",
    );
    let farm = Farm::of(&text);
    let own = |server: &str| farm.section(server).own_rules;
    assert_eq!(own("192.168.0.1"), [OwnRule::OnFailure, OwnRule::Initial]);
    assert_eq!(own("192.168.0.2"), []);
}

#[test]
fn who_reports_and_names_no_host_is_told_to_name_them() {
    let mut engine = after(PROGRAM, exited(1, "it broke\n"));
    let said = |engine: &Engine| {
        let why = ask(engine);
        let rows = table::table(engine, &TableOutcome::default(), Source::Daemon);
        let service = crate::wire::why::why(engine, engine.time(), "web", "http", |_| {
            crate::wire::why::DeliveryRow::Waiting
        });
        let back: Vec<String> = why.back.iter().map(|it| it.text.clone()).collect();
        let row = rows.virtual_services[0].real_servers[0].why.clone();
        (back, row, service.unwrap().unnamed)
    };
    let do_it = "name the failing hosts in the first line of output, or set all_hosts_on_failure";
    let expected = |reports: &str, count| {
        let back = format!(
            "a report of web/http that is good or names hosts (its {reports} failed and named \
             none, so it keeps them as they were found: {do_it})"
        );
        let row = format!("the {reports} of web/http failed and named no host: {do_it}");
        (vec![back], row, Some(count))
    };
    assert_eq!(said(&engine), expected("last report", 1));
    ends(&mut engine, 11.0, exited(1, "it broke\n"));
    ends(&mut engine, 21.0, exited(2, "again\n"));
    assert_eq!(said(&engine), expected("last 3 reports", 3));
    // Once it names one, all have a verdict.
    ends(&mut engine, 31.0, exited(1, "192.168.0.1\n"));
    let (back, row, unnamed) = said(&engine);
    assert_eq!(back, ["a good check of web/http"]);
    assert_eq!((row.as_str(), unnamed), ("web/http says exit", None));
}

/// The run that is due at this second ends so.
fn ends(engine: &mut Engine, second: f64, report: Report) {
    engine.handle(at(second), Event::Deadline);
    let (run, _) = engine.runs().next().expect("a run");
    engine.handle(at(second), Event::RunEnded { run, report });
}

#[test]
fn behind_a_restart_what_is_known_is_said_to_be_of_before_until_a_check_has_ended() {
    let mut farm = Farm::new();
    let one = ["192.168.0.1"];
    farm.check(&one);
    farm.check(&one);
    let check = |farm: &Farm, server: &str| farm.why(server).checks[0].clone();
    assert!(!check(&farm, "192.168.0.1").restored);
    farm.begins_anew();
    let (dead, good) = (check(&farm, "192.168.0.1"), check(&farm, "192.168.0.2"));
    assert!(dead.restored && good.restored);
    // All that is kept of the failure is its summary, which names the host.
    assert!(dead.withdraws.is_some());
    assert_eq!(
        (dead.about, dead.text.as_str()),
        (About::Named, "192.168.0.1")
    );
    assert_eq!(good.about, About::Service);
    assert_eq!(why_rows(&farm)[0], "the fallback, left as found");
    farm.check(&one);
    assert!(!check(&farm, "192.168.0.1").restored);
}

#[test]
fn a_table_says_why_a_service_is_left_out_of_the_count() {
    let text = |lines: &str| {
        let text = SECTION.replace(
            "watch web\n service http\n",
            &format!("watch web\n service other\n{lines} service http\n"),
        );
        text.replace("service web:http\n", "service web:other\n")
    };
    let polled = text("  interval 10s\n  monitor tcp.monitor -t 5\n");
    let unheard = "has not reported on it yet, decided without";
    for (text, is_disabled, expected) in [
        (text(""), false, "never runs"),
        (polled.clone(), true, "is disabled"),
        (polled, false, unheard),
    ] {
        let mut engine = with_the_second_server(&text);
        let other = engine.model().find("web", "other").unwrap();
        if is_disabled {
            let wish = Wish::Disable {
                target: Target::Service(other),
                user: String::new(),
            };
            engine.handle(at(1.0), Event::Operator(wish));
        }
        engine.handle(at(1_000.0), Event::Deadline);
        let rows = table::table(&engine, &TableOutcome::default(), Source::Daemon);
        // Behind the fallback.
        let row = &rows.virtual_services[0].real_servers[1];
        assert_eq!(row.why, format!("web/other {expected}"));
    }
}

#[test]
fn the_services_of_another_server_at_the_same_address_are_not_said_to_be_its_own() {
    let text = "hostgroup web 192.168.0.1\n\nwatch web\n service http\n  interval 10s\n  \
        monitor x\n service other\n  interval 10s\n  monitor x\n\nvirtual 10.0.0.3:80\n \
        forward nat\n real 192.168.0.1:8080 service web:http\n \
        real 192.168.0.1:8081 service web:other\n";
    let (model, _) = crate::config::load_text(text).expect("a good file");
    let saved = Saved::default();
    let mut engine = Engine::new(Arc::new(model), &saved, 1, TimeZone::UTC, at(0.0));
    engine.handle(at(0.0), Event::Start);
    let seen = TableOutcome::default();
    let source = (Source::Daemon, Expiry::default());
    let answer = why(&engine, &seen, at(5.0), &aim(), source, |_, _| None).unwrap();
    let said = answer.servers.iter().map(|server| {
        let checks = server.checks.iter().map(|check| check.service.as_str());
        (server.real_server.as_str(), checks.collect::<Vec<&str>>())
    });
    assert_eq!(
        said.collect::<Vec<_>>(),
        [
            ("192.168.0.1:8080", vec!["web/http"]),
            ("192.168.0.1:8081", vec!["web/other"])
        ]
    );
}
