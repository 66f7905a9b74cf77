//! Wishes on a small engine: what is refused, what is kept. Stories are in tests/timeline.

use std::collections::{BTreeMap, BTreeSet};

use jiff::tz::TimeZone;

use super::*;
use crate::engine::event::{Event, Memory, Report, RunId, Trap};
use crate::engine::fixture::{alert, alerting, at, exited, model, service};
use crate::engine::saved::{ClassicDisabled, Saved};
use crate::lvs::{Forwarding, Weight};
use crate::model::{
    AlertPeriod, Binding, BoundServers, Creation, Ends, Model, Repeat, Service, Withdraws,
};

/// `g/s`, with ackalerts.
fn site() -> Model {
    model(vec![Service {
        periods: vec![AlertPeriod {
            ackalerts: vec![alert("ack.alert")],
            numalerts: Some(1),
            ..alerting()
        }],
        ..service("g", "s")
    }])
}

/// An engine and what its journal says.
struct Desk {
    engine: Engine,
    journal: BTreeMap<String, serde_json::Value>,
}

const S: ServiceId = ServiceId(0);

impl Desk {
    fn new(model: Model) -> Self {
        let model = Arc::new(model);
        let saved = Saved::default();
        let mut desk = Self {
            engine: Engine::new(model, &saved, 1, TimeZone::UTC, at(0.0)),
            journal: BTreeMap::new(),
        };
        desk.tell(0.0, Event::Start);
        desk
    }

    fn tell(&mut self, second: f64, event: Event) -> Vec<Action> {
        let actions = self.engine.handle(at(second), event);
        for action in &actions {
            if let Action::Record(record) = action {
                if record.value.is_null() {
                    self.journal.remove(&record.key);
                } else {
                    self.journal
                        .insert(record.key.clone(), record.value.clone());
                }
            }
        }
        actions
    }

    fn wish(&mut self, second: f64, wish: Wish) -> Outcome {
        let actions = self.tell(second, Event::Operator(wish));
        let mut outcomes = actions.iter().filter_map(Action::answered);
        outcomes.next().unwrap().clone()
    }

    fn set(&mut self, second: f64, variable: &str, value: &str) -> Outcome {
        self.wish(
            second,
            Wish::Set {
                service: S,
                variable: variable.to_owned(),
                value: value.to_owned(),
            },
        )
    }

    fn get(&self, variable: &str) -> String {
        self.engine.variable(S, variable).unwrap_or_default()
    }

    /// The run that is due now ends.
    fn report(&mut self, second: f64, report: Report) -> Vec<Action> {
        let started = self.tell(second, Event::Deadline);
        let run = started.iter().find_map(Action::started).map(|run| run.id);
        let run: RunId = run.expect("a run is due");
        self.tell(second, Event::RunEnded { run, report })
    }

    /// kill -9, and a new daemon from the journal.
    fn restart(&mut self, second: f64) {
        let saved = Saved {
            records: self.journal.clone(),
        };
        let model = Arc::clone(self.engine.model());
        self.engine = Engine::new(model, &saved, 1, TimeZone::UTC, at(second));
        self.tell(second, Event::Start);
    }
}

fn ack(comment: &str) -> Wish {
    Wish::Ack {
        service: S,
        user: "joe".to_owned(),
        comment: comment.to_owned(),
    }
}

fn disable(target: Target) -> Wish {
    let user = "joe".to_owned();
    Wish::Disable { target, user }
}

fn sent(actions: &[Action]) -> usize {
    let is_sent = |action: &&Action| matches!(action, Action::Send(_));
    actions.iter().filter(is_sent).count()
}

#[test]
fn what_operators_said_survives_a_kill_and_a_lost_journal() {
    let mut desk = Desk::new(site());
    desk.report(10.0, exited(1, "h1\n"));
    desk.wish(11.0, ack("known")).unwrap();
    desk.wish(12.0, disable(Target::Service(S))).unwrap();
    desk.wish(12.0, disable(Target::Watch("g".into()))).unwrap();
    let host = HostName::new("h1");
    desk.wish(12.0, disable(Target::Hosts(vec![host.clone()])))
        .unwrap();
    desk.wish(12.0, Wish::Stop).unwrap();
    desk.set(12.0, "remark", "mine").unwrap();
    let said = |desk: &Desk| {
        let view = desk.engine.service(S).unwrap();
        let ack = view.ack.map(|ack| (ack.time, ack.comment.to_owned()));
        (
            ack,
            view.is_disabled,
            desk.engine.is_watch_disabled("g"),
            desk.engine.is_host_disabled("g", &host),
            desk.engine.stopped_since(),
            desk.get("remark"),
            view.alerts_sent,
        )
    };
    let before = said(&desk);
    assert_eq!(
        before,
        (
            Some((at(11.0).wall, "joe: known".to_owned())),
            true,
            true,
            true,
            Some(at(12.0).wall),
            "mine".to_owned(),
            1
        )
    );
    desk.restart(20.0);
    assert_eq!(said(&desk), before);
    desk.journal.clear();
    desk.tell(21.0, Event::JournalLost);
    desk.restart(22.0);
    assert_eq!(said(&desk), before);
}

#[test]
fn a_wish_about_a_service_that_is_gone_is_refused() {
    let mut desk = Desk::new(site());
    let gone = ServiceId(7);
    for wish in [
        Wish::TestMonitor(gone),
        Wish::ClearTimers(gone),
        disable(Target::Service(gone)),
        Wish::Enable(Target::Service(gone)),
    ] {
        assert!(desk.wish(1.0, wish).is_err());
    }
    assert_eq!(desk.engine.variable(gone, "interval"), None);
}

#[test]
fn after_an_acknowledged_outage_the_next_one_is_told() {
    let mut desk = Desk::new(site());
    assert_eq!(sent(&desk.report(10.0, exited(1, "h1\n"))), 1);
    desk.wish(11.0, ack("known")).unwrap();
    assert_eq!(sent(&desk.report(20.0, exited(1, "h1 h2\n"))), 0);
    assert_eq!(sent(&desk.report(30.0, exited(0, ""))), 1);
    assert_eq!(sent(&desk.report(40.0, exited(1, "h1\n"))), 1);
}

#[test]
fn variables_have_mons_names_and_types() {
    let mut desk = Desk::new(site());
    let shown = |desk: &Desk, names: &[&str]| -> Vec<String> {
        names.iter().map(|name| desk.get(name)).collect()
    };
    let names = [
        "interval",
        "monitor",
        "_op_status",
        "_exitval",
        "_timer",
        "_ack",
        "nosuch",
    ];
    assert_eq!(
        shown(&desk, &names),
        ["10", "test.monitor", "7", "undef", "10", "0", ""]
    );
    desk.report(10.0, exited(3, "h1\nwhy\n"));
    let names = [
        "_op_status",
        "_last_op_status",
        "_exitval",
        "_last_summary",
        "_last_detail",
        "_consec_failures",
        "_failure_count",
        "_alert_count",
        "_first_failure",
        "_upalert",
    ];
    let first = at(10.0).wall.seconds().to_string();
    assert_eq!(
        shown(&desk, &names),
        ["0", "7", "3", "h1", "why\n", "1", "1", "1", &first, "1"]
    );
    for (name, value, then) in [
        ("_failure_count", "7", "7"),
        ("_consec_failures", "5", "5"),
        ("interval", "30s", "30"),
        ("interval", "0.5", "0.5"),
        ("description", "the shop", "the shop"),
        ("exclude_hosts", "h1 h2", "h1 h2"),
        ("_timer", "4", "4"),
        ("_ack", "1710324005", "1710324005"),
        ("_ack_comment", "joe: hm", "joe: hm"),
        ("_exitval", "-1", "-1"),
        ("myvar", "some text", "some text"),
    ] {
        desk.set(11.0, name, value).unwrap();
        assert_eq!(desk.get(name), then, "{name}");
    }
    for (name, value) in [
        ("interval", "0"),
        ("interval", "soon"),
        ("monitor", "rm -rf /"),
        ("_failure_count", "-1"),
        ("_failure_count", "many"),
        ("opstatus", "nosuch"),
        ("unack_summary", "perhaps"),
        ("_last_trap", "1"),
    ] {
        assert!(desk.set(12.0, name, value).is_err(), "{name}={value}");
    }
    desk.set(13.0, "opstatus", "unknown").unwrap();
    assert_eq!(desk.engine.service(S).unwrap().status, Status::Unknown);
    assert_eq!(
        (desk.get("_ack"), desk.get("_consec_failures")),
        ("0".into(), "0".into())
    );
}

#[test]
fn what_can_be_set_can_be_got_where_mon_shows_nothing() {
    // P-27
    let mut desk = Desk::new(site());
    desk.set(1.0, "opstatus", "unknown").unwrap();
    assert_eq!(desk.get("opstatus"), Status::Unknown.number().to_string());
    desk.set(1.0, "allow_empty_group", "1").unwrap();
    assert_eq!(desk.get("allow_empty_group"), "1");
}

#[test]
fn what_is_kept_aside_is_bounded() {
    let mut desk = Desk::new(site());
    for number in 0..32 {
        desk.set(1.0, &format!("v{number}"), "x").unwrap();
    }
    assert!(desk.set(1.0, "one more", "x").is_err());
    desk.set(1.0, "v3", "y").unwrap();
    assert!(desk.set(1.0, "v3", &"y".repeat(5_000)).is_err());
    assert_eq!(desk.get("v3"), "y");
}

#[test]
fn a_status_that_a_person_sets_is_a_status() {
    let mut desk = Desk::new(site());
    desk.set(5.0, "opstatus", "fail").unwrap();
    let view = desk.engine.service(S).unwrap();
    assert_eq!((view.status, view.consec_failures), (Status::Fail, 0));
    // No alert was sent, so no upalert is.
    assert_eq!(sent(&desk.report(10.0, exited(0, ""))), 0);
    desk.report(20.0, exited(1, "h1\n"));
    desk.set(21.0, "opstatus", "ok").unwrap();
    assert_eq!(sent(&desk.report(30.0, exited(0, ""))), 0);
    desk.restart(31.0);
    assert_eq!(desk.engine.service(S).unwrap().status, Status::Ok);
}

#[test]
fn mons_state_files_say_the_same_on_both_ways() {
    let mut desk = Desk::new(site());
    desk.report(10.0, exited(2, "h1 = down\nwhy\n"));
    desk.wish(11.0, ack("known = yes")).unwrap();
    desk.wish(12.0, disable(Target::Service(S))).unwrap();
    let host = HostName::new("h2");
    desk.wish(12.0, disable(Target::Hosts(vec![host]))).unwrap();
    desk.wish(12.0, disable(Target::Watch("g".into()))).unwrap();
    let mut classic = desk.engine.classic();
    assert_eq!(
        classic.disabled,
        Some(vec![
            ClassicDisabled::Host("h2".to_owned()),
            ClassicDisabled::Watch("g".to_owned()),
            ClassicDisabled::Service("g".to_owned(), "s".to_owned()),
        ])
    );
    let mut other = Desk::new(site());
    other.report(10.0, exited(0, ""));
    // What the configuration does not have is passed over.
    let lines = classic.opstatus.as_mut().unwrap();
    lines.push(("no".to_owned(), "such".to_owned(), BTreeMap::new()));
    other.wish(12.0, Wish::LoadState(classic.clone())).unwrap();
    classic.opstatus.as_mut().unwrap().pop();
    assert_eq!(other.engine.classic(), classic);
    let view = other.engine.service(S).unwrap();
    assert_eq!((view.status, view.alerts_sent), (Status::Fail, 1));
    assert_eq!(view.ack.unwrap().comment, "joe: known = yes");
    // The alert that was sent is not sent again, and its recovery is told.
    other.wish(12.0, Wish::Enable(Target::Service(S))).unwrap();
    other
        .wish(12.0, Wish::Enable(Target::Watch("g".into())))
        .unwrap();
    other.set(12.0, "_ack", "0").unwrap();
    assert_eq!(sent(&other.report(20.0, exited(2, "h1 = down\nwhy\n"))), 0);
    assert_eq!(sent(&other.report(30.0, exited(0, ""))), 1);
}

#[test]
fn of_a_service_that_was_never_tested_the_state_file_leaves_the_fields_of_mon_empty() {
    let mut desk = Desk::new(site());
    let label = site().services[0].periods[0].label.to_string();
    let keys = ["last_alert", "alert_sent", "1stfailtime", "failcount"];
    let said = |desk: &Desk| {
        let opstatus = desk.engine.classic().opstatus.unwrap();
        let (_, _, values) = &opstatus[0];
        let of_period = keys.map(|key| values[&format!("{label}:{key}")].clone());
        (values["first_failure"].clone(), of_period)
    };
    let untested = ("", ["", "0", "", ""]);
    let (first, of_period) = said(&desk);
    assert_eq!((&*first, of_period.each_ref().map(|it| &**it)), untested);
    desk.wish(1.0, Wish::LoadState(desk.engine.classic()))
        .unwrap();
    let (first, of_period) = said(&desk);
    assert_eq!((&*first, of_period.each_ref().map(|it| &**it)), untested);
    desk.report(10.0, exited(0, ""));
    let (first, of_period) = said(&desk);
    let tested = ("0", ["0", "0", "0", "0"]);
    assert_eq!((&*first, of_period.each_ref().map(|it| &**it)), tested);
}

/// The ids of the events that are told.
fn events(actions: &[Action]) -> Vec<&str> {
    let calls = actions.iter().filter_map(Action::sent);
    calls.map(|call| &*call.event).collect()
}

#[test]
fn a_state_loaded_in_an_outage_leaves_its_event_ids_alone() {
    let mut model = site();
    model.services[0].periods[0].numalerts = None;
    let mut desk = Desk::new(model);
    let first = desk.report(10.25, exited(1, "h1\n"));
    let classic = desk.engine.classic();
    desk.wish(12.0, Wish::LoadState(classic)).unwrap();
    let second = desk.report(20.0, exited(1, "h1\n"));
    let id = |number: u32| format!("g/s/{}/failure/{number}", at(10.0).wall.seconds());
    assert_eq!(events(&first), [id(1)]);
    assert_eq!(events(&second), [id(2)]);
}

#[test]
fn no_two_events_without_an_outage_have_the_same_id() {
    let mut model = site();
    model.services[0].redistribute = Some(alert("share.alert"));
    let period = &mut model.services[0].periods[0];
    period.startupalerts = vec![alert("start.alert"), alert("start.alert")];
    period.disablealerts = vec![alert("disable.alert")];
    let mut engine = Engine::new(
        Arc::new(model),
        &Saved::default(),
        1,
        TimeZone::UTC,
        at(0.0),
    );
    let mut actions = engine.handle(at(0.0), Event::Start);
    for wish in [
        disable(Target::Service(S)),
        Wish::Enable(Target::Service(S)),
        disable(Target::Service(S)),
    ] {
        actions.extend(engine.handle(at(1.0), Event::Operator(wish)));
    }
    let told = events(&actions);
    let different: BTreeSet<&str> = told.iter().copied().collect();
    assert!(told.len() >= 5, "{told:?}");
    assert_eq!(different.len(), told.len(), "{told:?}");
}

#[test]
fn numbers_of_a_state_file_are_added_without_an_end() {
    let mut model = site();
    let again = AlertPeriod {
        label: "again".into(),
        ..alerting()
    };
    model.services[0].periods.push(again);
    let mut desk = Desk::new(model);
    let most = u32::MAX.to_string();
    let keys = ["always:alert_sent", "again:alert_sent"];
    let mut values = BTreeMap::from(keys.map(|key| (key.to_owned(), most.clone())));
    values.insert("op_status".to_owned(), "0".to_owned());
    let line = ("g".to_owned(), "s".to_owned(), values);
    let classic = Classic {
        opstatus: Some(vec![line]),
        ..Classic::default()
    };
    desk.wish(5.0, Wish::LoadState(classic)).unwrap();
    assert_eq!(desk.engine.service(S).unwrap().alerts_sent, u32::MAX);
}

#[test]
fn where_the_state_is_not_taken_its_counters_are_not_either() {
    for status in ["nonsense", ""] {
        let mut desk = Desk::new(site());
        let line = a_line(
            "s",
            [
                ("op_status", status),
                ("last_op_status", "0"),
                ("alert_count", "7"),
                ("first_failure", "1000"),
                ("ack", "1000"),
                ("always:alert_sent", "99"),
                ("always:last_alert", "1000"),
            ],
        );
        desk.wish(5.0, Wish::LoadState(line)).unwrap();
        let view = desk.engine.service(S).unwrap();
        assert_eq!((view.status, view.alerts_sent), (Status::Untested, 0));
        assert_eq!(sent(&desk.report(10.0, exited(1, "h1\n"))), 1, "{status}");
    }
}

#[test]
fn a_state_file_of_nonsense_changes_little() {
    let mut desk = Desk::new(site());
    let values = [
        ("op_status", "fail"),
        ("failure_count", "-3"),
        ("first_failure", "99999999999999999999"),
        ("last_failure", "x"),
        ("ack", "\u{0}"),
        ("wd {Sun-Sat}:alert_sent", "many"),
        ("", "="),
    ];
    let values = values.map(|(key, value)| (key.to_owned(), value.to_owned()));
    let line = ("g".to_owned(), "s".to_owned(), BTreeMap::from(values));
    let classic = Classic {
        opstatus: Some(vec![line]),
        ..Classic::default()
    };
    desk.wish(5.0, Wish::LoadState(classic)).unwrap();
    let view = desk.engine.service(S).unwrap();
    assert_eq!(
        (view.status, view.first_failure),
        (Status::Fail, Some(at(5.0).wall))
    );
    assert_eq!(sent(&desk.report(10.0, exited(1, "h1\n"))), 1);
}

#[test]
fn histories_hold_histlength_lines_until_a_person_or_a_reset_says_else() {
    let mut model = site();
    model.globals.histlength = 2;
    model.services[0].periods[0].numalerts = None;
    let mut desk = Desk::new(model.clone());
    for run in 1..=3_u32 {
        desk.report(f64::from(run) * 10.0, exited(1, "h1\n"));
    }
    assert_eq!(desk.engine.failure_history().count(), 2);
    let times: Vec<Wall> = desk.engine.alert_history().map(|line| line.time).collect();
    assert_eq!(times, [at(20.0).wall, at(30.0).wall]);
    desk.wish(31.0, Wish::SetHistoryLength(1)).unwrap();
    assert_eq!(desk.engine.alert_history().count(), 1);
    assert_eq!(desk.engine.history_length(), 1);
    let lines: Vec<_> = desk.engine.alert_history().cloned().collect();
    let memory = Memory::Kept;
    let model = Arc::new(model);
    desk.tell(32.0, Event::Reload { model, memory });
    assert_eq!(desk.engine.history_length(), 2);
    let read = [lines.clone(), lines.clone(), lines].concat();
    desk.tell(33.0, Event::HistoryRead(read));
    assert_eq!(desk.engine.alert_history().count(), 2);
}

/// What is said of a state file, as `SERVICE FIELD: WHY`.
fn left_out(actions: &[Action]) -> Vec<String> {
    let said = actions.iter().filter_map(|action| match action.noted() {
        Some(Note::NotLoaded {
            service,
            field,
            why,
        }) => Some(format!("{service} {field}: {why}")),
        _ => None,
    });
    said.collect()
}

fn a_line<const N: usize>(name: &str, fields: [(&str, &str); N]) -> Classic {
    let fields = fields.map(|(key, value)| (key.to_owned(), value.to_owned()));
    let line = ("g".to_owned(), name.to_owned(), BTreeMap::from(fields));
    Classic {
        opstatus: Some(vec![line]),
        ..Classic::default()
    }
}

#[test]
fn what_makes_no_sense_in_a_state_file_is_said_with_its_service_and_field() {
    let mut desk = Desk::new(site());
    let classic = a_line(
        "s",
        [
            ("op_status", "0"),
            ("last_op_status", "12"),
            ("exitval", "undef"),
            ("failure_count", "-3"),
            ("last_check", "-7"),
            ("first_success", "yesterday"),
            ("colour", "blue"),
            ("colour of nothing", ""),
            ("always:alert_sent", "2"),
            ("always:last_alert", "soon"),
            ("gone:alert_sent", "2"),
            ("always:pace", "2"),
        ],
    );
    let said = left_out(&desk.tell(5.0, Event::Operator(Wish::LoadState(classic))));
    let expected = [
        "g/s always:pace: there is no such field",
        "g/s colour: there is no such field",
        "g/s gone:alert_sent: the service has no such period",
        "g/s last_check: it is before 1970",
        "g/s last_op_status: \"12\" is no status",
        "g/s failure_count: it cannot be \"-3\"",
        "g/s always:last_alert: it cannot be \"soon\"",
    ];
    assert_eq!(said, expected);
    let own = desk.engine.classic();
    let said = left_out(&desk.tell(6.0, Event::Operator(Wish::LoadState(own))));
    assert_eq!(said, [""; 0], "what we write ourselves makes sense");
    let gone = a_line("gone", [("op_status", "0")]);
    let said = left_out(&desk.tell(7.0, Event::Operator(Wish::LoadState(gone))));
    assert_eq!(said, ["g/gone : there is no such service"]);
}

#[test]
fn a_state_file_full_of_nonsense_fills_no_log() {
    let mut desk = Desk::new(site());
    let fields = (0..500).map(|number| (format!("x{number}"), "1".to_owned()));
    let line = ("g".to_owned(), "s".to_owned(), fields.collect());
    let classic = Classic {
        opstatus: Some(vec![line]),
        ..Classic::default()
    };
    let said = left_out(&desk.tell(5.0, Event::Operator(Wish::LoadState(classic))));
    assert_eq!(said.len(), 21);
    assert_eq!(said[20], " : and 480 more");
}

/// `g/s` hears traps: 60 s without any and it fails, 30 s after one it is good.
fn hears_traps() -> Model {
    model(vec![Service {
        periods: vec![alerting()],
        traptimeout: Some(Duration::from_secs(60)),
        trapduration: Some(Duration::from_secs(30)),
        interval: None,
        monitor: None,
        ..service("g", "s")
    }])
}

#[test]
fn the_time_until_a_trap_must_come_and_the_last_trap_go_on_where_the_file_was_written() {
    let mut desk = Desk::new(hears_traps());
    let last = at(0.0).wall.seconds();
    let loads = [
        // Ten seconds were left, but no longer than a minute goes by without a trap.
        (5.0, "10", "0", 10),
        (5.0, "10", &*(last - 3_600).to_string(), 10),
        (5.0, "-4", &*(last + 2).to_string(), 57),
        (5.0, "3000", "0", 60),
        (5.0, "soon", "0", 60),
    ];
    for (second, timer, trap, left) in loads {
        let fields = [
            ("op_status", "1"),
            ("trap_timer", timer),
            ("last_trap", trap),
        ];
        desk.wish(second, Wish::LoadState(a_line("s", fields)))
            .unwrap();
        assert_eq!(
            desk.engine.trap_timer(S),
            Some(Duration::from_secs(left)),
            "{timer}"
        );
    }
    assert_eq!(desk.get("_last_trap"), (last + 2).to_string());
    let own = desk.engine.classic().opstatus.unwrap().remove(0).2;
    assert_eq!(
        (&*own["trap_timer"], &*own["last_trap"]),
        ("60", &*(last + 2).to_string())
    );
}

#[test]
fn clear_timers_begins_the_times_of_traps_anew() {
    let mut desk = Desk::new(hears_traps());
    desk.tell(60.0, Event::Deadline);
    let status = |desk: &Desk| desk.engine.service(S).unwrap().status;
    assert_eq!(status(&desk), Status::Fail, "no trap came");
    desk.wish(70.0, Wish::ClearTimers(S)).unwrap();
    assert_eq!(desk.engine.trap_timer(S), Some(Duration::from_secs(60)));
    assert_eq!(desk.get("_trap_duration_timer"), "30");
    desk.tell(99.0, Event::Deadline);
    assert_eq!(status(&desk), Status::Fail);
    desk.wish(99.0, Wish::ClearTimers(S)).unwrap();
    desk.tell(128.0, Event::Deadline);
    assert_eq!(status(&desk), Status::Fail);
    desk.tell(129.0, Event::Deadline);
    assert_eq!(status(&desk), Status::Ok, "as mon has it");
}

/// `g/s` decides over `h1` in a virtual service.
fn decides() -> Model {
    let mut model = site();
    model.bindings = vec![Binding {
        service: S,
        virtual_service: "10.0.0.3:80/tcp".parse().unwrap(),
        real: BoundServers::One {
            host: HostName::new("h1"),
            port: 80,
        },
        forwarding: Forwarding::Dr,
        weight: Weight(5),
        creation: Creation::ByOthers,
        withdraws: Withdraws::RealServer,
        ends: Ends::WithSuccess,
    }];
    model
}

#[test]
fn an_interval_that_was_set_counts_for_all_that_wait_for_it() {
    // Ten seconds and the 600 of a run, unless a person says else.
    let table = [
        (None, 610.0),
        (Some(("interval", "60")), 660.0),
        (Some(("interval", "2")), 602.0),
        (Some(("randskew", "5")), 615.0),
    ];
    for (set, end) in table {
        let mut desk = Desk::new(decides());
        if let Some((variable, value)) = set {
            desk.set(5.0, variable, value).unwrap();
        }
        let mut gives_up = |second: f64| {
            let actions = desk.tell(second, Event::Deadline);
            let is_said = |action: &Action| matches!(action, Action::Note(Note::Binding { .. }));
            actions.iter().any(is_said)
        };
        assert!(!gives_up(end - 0.1), "{set:?}");
        assert!(gives_up(end), "{set:?}");
        let interval = match set {
            Some(("interval", value)) => value,
            Some(_) | None => "10",
        };
        let is = desk.engine.model().service(S).interval;
        assert_eq!(is.unwrap().as_secs().to_string(), interval, "for `why`");
        assert_eq!(desk.get("interval"), interval, "for `get`");
    }
}

#[test]
fn what_was_enabled_again_is_enabled_after_a_kill() {
    let mut desk = Desk::new(site());
    let host = HostName::new("h1");
    let targets = [
        Target::Service(S),
        Target::Watch("g".into()),
        Target::Hosts(vec![host.clone()]),
    ];
    let said = |desk: &Desk| {
        [
            desk.engine.service(S).unwrap().is_disabled,
            desk.engine.is_watch_disabled("g"),
            desk.engine.is_host_disabled("g", &host),
        ]
    };
    for target in targets.clone() {
        desk.wish(1.0, disable(target)).unwrap();
    }
    desk.restart(2.0);
    assert_eq!(said(&desk), [true; 3]);
    for target in targets {
        desk.wish(3.0, Wish::Enable(target)).unwrap();
    }
    desk.restart(4.0);
    assert_eq!(said(&desk), [false; 3]);
}

/// `g/s` alerts once an hour, from the second failure on, or from two in a minute.
fn counts() -> Model {
    model(vec![Service {
        periods: vec![AlertPeriod {
            alertevery: Some((Duration::from_secs(3_600), Repeat::Strict)),
            alertafter_window: Some((2, Duration::from_secs(60))),
            ..alerting()
        }],
        ..service("g", "s")
    }])
}

#[test]
fn clear_timers_lets_the_next_run_come_after_one_interval_and_counts_anew() {
    let mut desk = Desk::new(counts());
    assert_eq!(sent(&desk.report(10.0, exited(1, "h1\n"))), 0);
    assert_eq!(sent(&desk.report(20.0, exited(1, "h1\n"))), 1);
    desk.wish(24.0, Wish::ClearTimers(S)).unwrap();
    let next = |desk: &Desk| desk.engine.service(S).unwrap().next_run;
    assert_eq!(next(&desk), Some(at(34.0).mono));
    // Also for a daemon that begins then.
    desk.restart(25.0);
    assert_eq!(sent(&desk.report(35.0, exited(1, "h1\n"))), 0);
    assert_eq!(sent(&desk.report(45.0, exited(1, "h1\n"))), 1);
    assert_eq!(sent(&desk.report(55.0, exited(1, "h1\n"))), 0);
}

#[test]
fn clear_timers_leaves_a_run_that_goes_on_alone() {
    let mut desk = Desk::new(counts());
    let run = desk.tell(10.0, Event::Deadline);
    let run = run.iter().find_map(Action::started).unwrap().id;
    desk.wish(11.0, Wish::ClearTimers(S)).unwrap();
    assert!(desk.engine.service(S).unwrap().running);
    let report = exited(1, "h1\n");
    desk.tell(12.0, Event::RunEnded { run, report });
    assert_eq!(desk.engine.service(S).unwrap().consec_failures, 1);
}

#[test]
fn clear_timers_begins_alertafter_anew() {
    let mut model = site();
    model.services[0].periods[0].alertafter_count = Some(3);
    let mut desk = Desk::new(model);
    for (second, expected) in [(10.0, 0), (20.0, 0), (35.0, 0), (45.0, 0), (55.0, 1)] {
        if second == 35.0 {
            desk.wish(25.0, Wish::ClearTimers(S)).unwrap();
        }
        assert_eq!(sent(&desk.report(second, exited(1, "h1\n"))), expected);
    }
}

#[test]
fn another_summary_ends_an_acknowledgement_and_what_was_counted_before() {
    let mut model = counts();
    model.services[0].unack_summary = true;
    let mut desk = Desk::new(model);
    desk.report(10.0, exited(1, "h1\n"));
    assert_eq!(sent(&desk.report(20.0, exited(1, "h1\n"))), 1);
    desk.wish(21.0, ack("known")).unwrap();
    assert_eq!(sent(&desk.report(30.0, exited(1, "h1\n"))), 0);
    assert_eq!(sent(&desk.report(40.0, exited(1, "h2\n"))), 0, "one of two");
    assert!(desk.engine.service(S).unwrap().ack.is_none());
    let told = desk.report(50.0, exited(1, "h2\n"));
    assert_eq!(sent(&told), 1, "the hour of before is over");
}

#[test]
fn at_a_start_mons_files_say_only_what_the_journal_does_not_know() {
    let other = Service {
        periods: vec![alerting()],
        ..service("other", "s")
    };
    let large = model(vec![site().services.remove(0), other]);
    let mut desk = Desk::new(site());
    desk.report(10.0, exited(1, "h1\n"));
    let saved = Saved {
        records: desk.journal.clone(),
    };
    let fresh = Engine::new(Arc::new(large), &saved, 1, TimeZone::UTC, at(20.0));
    let line = |group: &str| (group.to_owned(), "s".to_owned(), BTreeMap::new());
    let disabled = vec![ClassicDisabled::Watch("g".to_owned())];
    let classic = Classic {
        disabled: Some(disabled.clone()),
        opstatus: Some(vec![line("g"), line("other"), line("gone")]),
        ..Classic::default()
    };
    let (news, known) = fresh.news_of(classic);
    assert_eq!(known, 1);
    assert_eq!(news.opstatus, Some(vec![line("other"), line("gone")]));
    assert_eq!(news.disabled, Some(disabled));
}

#[test]
fn at_a_start_a_newer_file_of_what_is_disabled_counts_whole() {
    let host = Target::Hosts(vec![HostName::new("h1")]);
    let targets = [Target::Service(S), Target::Watch("g".into()), host.clone()];
    let lines = [
        ClassicDisabled::Service("g".to_owned(), "s".to_owned()),
        ClassicDisabled::Watch("g".to_owned()),
        ClassicDisabled::Host("h1".to_owned()),
    ];
    let take = |desk: &mut Desk, line: Option<&ClassicDisabled>| {
        let (news, _) = desk.engine.news_of(Classic {
            disabled: Some(line.into_iter().cloned().collect()),
            ..Classic::default()
        });
        desk.wish(3.0, Wish::LoadState(news)).unwrap();
        desk.restart(4.0);
        desk.engine.classic_disabled()
    };
    for (target, line) in targets.iter().zip(&lines) {
        let mut desk = Desk::new(site());
        desk.wish(1.0, disable(target.clone())).unwrap();
        let before = desk.engine.classic_disabled();
        assert!(before.contains(line), "{before:?}");
        assert_eq!(take(&mut desk, None), [], "{target:?}");
        assert!(take(&mut desk, Some(line)).contains(line), "{line:?}");
        for (other, named) in targets
            .iter()
            .zip(&lines)
            .filter(|(_, named)| *named != line)
        {
            desk.wish(5.0, disable(other.clone())).unwrap();
            let after = take(&mut desk, Some(line));
            let is_there = after.contains(named);
            // The only host of a watch takes it along.
            let goes_along = *target == host && matches!(other, Target::Watch(_));
            assert_eq!(is_there, goes_along && is_there, "{after:?}");
            assert!(after.contains(line), "{after:?}");
        }
    }
}

#[test]
fn a_newer_file_that_does_not_name_a_host_leaves_what_the_configuration_disables() {
    let mut model = site();
    model.hostgroups[0].members[0].starts_disabled = true;
    let mut desk = Desk::new(model);
    let before = desk.engine.classic_disabled();
    assert!(!before.is_empty());
    let (news, _) = desk.engine.news_of(Classic {
        disabled: Some(Vec::new()),
        ..Classic::default()
    });
    desk.wish(1.0, Wish::LoadState(news)).unwrap();
    assert_eq!(desk.engine.classic_disabled(), before);
}

#[test]
fn what_a_person_disables_and_enables_is_as_said_after_a_restart() {
    let hosts = Target::Hosts(vec![HostName::new("h1")]);
    for target in [Target::Service(S), Target::Watch("g".into()), hosts] {
        let mut desk = Desk::new(site());
        desk.wish(1.0, disable(target.clone())).unwrap();
        desk.restart(2.0);
        assert!(!desk.engine.classic_disabled().is_empty(), "{target:?}");
        desk.wish(3.0, Wish::Enable(target.clone())).unwrap();
        desk.restart(4.0);
        assert_eq!(desk.engine.classic_disabled(), [], "{target:?}");
    }
}

#[test]
fn the_end_of_a_trap_is_as_it_was_after_a_restart() {
    let mut desk = Desk::new(hears_traps());
    let trap = Trap {
        group: "g".to_owned(),
        service: "s".to_owned(),
        status: "1".to_owned(),
        summary: "said so".to_owned(),
        detail: String::new(),
        from: std::net::Ipv4Addr::LOCALHOST.into(),
    };
    desk.tell(10.0, Event::Trap(trap));
    desk.restart(11.0);
    let status = |desk: &Desk| desk.engine.service(S).unwrap().status;
    assert_eq!(status(&desk), Status::Fail);
    desk.tell(41.0, Event::Deadline);
    assert_eq!(status(&desk), Status::Ok);
    desk.restart(42.0);
    assert_eq!(status(&desk), Status::Ok);
}

#[test]
fn a_redistribute_line_whose_program_is_missing_says_so_at_each_event() {
    let mut model = site();
    let mut line = (*alert("share.alert")).clone();
    line.program = AlertProgram::Missing("it is gone".into());
    model.services[0].redistribute = Some(Arc::new(line));
    let mut desk = Desk::new(model);
    let said = desk.report(10.0, exited(1, "h1\n"));
    let missing = said.iter().any(|action| {
        let Action::Suppressed(held) = action else {
            return false;
        };
        held.period.is_none() && format!("{:?}", held.why).contains("it is gone")
    });
    assert!(missing, "{said:?}");
}
