//! The engine as a whole, in small: what follows from an event, across a reload and a
//! restart. Longer stories are told by tests/timeline and tests/sim.

mod clock_steps;

use super::*;
use crate::engine::event::{
    AlertCall, AlertKind, DeliveryOutcome, HostVerdict, Memory, Reason, Run, RunProgram, Status,
    Suppressed, Target, Wish,
};
use crate::engine::fixture::{
    EPOCH, alert, alerting, at, exited, model, model_of, period, seconds, service, silent,
};
use crate::engine::saved::Record;
use crate::model::{AlertPeriod, HostName, MonitorProgram, Repeat, Service};
use crate::options::MonitorOptions;
use crate::time::Wall;

fn engine(model: Model) -> Engine {
    Engine::new(
        Arc::new(model),
        &Saved::default(),
        1,
        TimeZone::UTC,
        at(0.0),
    )
}

fn started(model: Model) -> Engine {
    let mut engine = engine(model);
    engine.handle(at(0.0), Event::Start);
    engine
}

fn kept(model: Arc<Model>) -> Event {
    let memory = Memory::Kept;
    Event::Reload { model, memory }
}

fn polled(name: &str, periods: Vec<AlertPeriod>) -> Service {
    Service {
        periods,
        ..service("g", name)
    }
}

fn runs(actions: &[Action]) -> Vec<Run> {
    let runs = actions.iter().filter_map(|action| {
        let Action::Start(run) = action else {
            return None;
        };
        Some(run.clone())
    });
    runs.collect()
}

fn calls(actions: &[Action]) -> Vec<AlertCall> {
    let calls = actions.iter().filter_map(|action| {
        let Action::Send(call) = action else {
            return None;
        };
        Some(AlertCall::clone(call))
    });
    calls.collect()
}

fn records(actions: &[Action]) -> Vec<Record> {
    let records = actions.iter().filter_map(|action| {
        let Action::Record(record) = action else {
            return None;
        };
        Some(Record::clone(record))
    });
    records.collect()
}

fn keys(actions: &[Action]) -> Vec<String> {
    records(actions).into_iter().map(|it| it.key).collect()
}

/// Waits for the next run, at the deadlines the engine asks for, and ends it at once.
fn next_report(engine: &mut Engine, exit: i32, output: &str) -> (Mono, Vec<Action>) {
    next_report_of(engine, exited(exit, output), Duration::ZERO)
}

fn next_report_of(engine: &mut Engine, report: Report, took: Duration) -> (Mono, Vec<Action>) {
    for _ in 0..100 {
        let due = engine.next_deadline().expect("something is planned");
        let now = at_mono(due);
        let started = runs(&engine.handle(now, Event::Deadline));
        assert!(engine.next_deadline().is_none_or(|next| next > due));
        if let [run] = started.as_slice() {
            let ended = Event::RunEnded {
                run: run.id,
                report,
            };
            return (due, engine.handle(at_mono(due.after(took)), ended));
        }
    }
    panic!("no run in 100 deadlines");
}

fn at_mono(mono: Mono) -> Now {
    Now {
        mono,
        wall: Wall::from_seconds(EPOCH).after(mono.since(Mono::ZERO)),
    }
}

fn variable<'a>(environment: &'a [(String, String)], name: &str) -> Option<&'a str> {
    let found = environment.iter().rfind(|(known, _)| known == name);
    found.map(|(_, value)| value.as_str())
}

/// A restart: everything recorded so far is what the next engine begins with.
fn restarted(model: &Arc<Model>, records: &[Record], now: Now) -> Engine {
    let mut saved = Saved::default();
    for record in records {
        let text = serde_json::to_string(record).unwrap();
        let record: Record = serde_json::from_str(&text).unwrap();
        saved.records.insert(record.key, record.value);
    }
    let mut engine = Engine::new(Arc::clone(model), &saved, 1, TimeZone::UTC, now);
    engine.handle(now, Event::Start);
    engine
}

#[test]
fn the_first_run_comes_after_one_interval_and_the_grid_stays() {
    let mut engine = started(model(vec![polled("s", Vec::new())]));
    let (due, _) = next_report(&mut engine, 0, "");
    assert_eq!(due, Mono::ZERO.after(seconds(10)));
    let (due, _) = next_report_of(&mut engine, exited(0, ""), seconds(25));
    assert_eq!(due, Mono::ZERO.after(seconds(20)));
    let (due, _) = next_report(&mut engine, 0, "");
    assert_eq!(
        due,
        Mono::ZERO.after(seconds(50)),
        "40 s went by during the run"
    );
}

#[test]
fn a_service_without_interval_or_monitor_is_never_run() {
    let no_interval = Service {
        interval: None,
        ..service("g", "a")
    };
    let no_monitor = Service {
        monitor: None,
        ..service("g", "b")
    };
    let engine = started(model(vec![no_interval, no_monitor]));
    assert_eq!(engine.next_deadline(), None);
}

#[test]
fn a_report_that_comes_late_or_twice_changes_nothing() {
    let mut engine = started(model(vec![polled("s", vec![alerting()])]));
    let due = engine.next_deadline().unwrap();
    let run = runs(&engine.handle(at_mono(due), Event::Deadline)).remove(0);
    let ended = || Event::RunEnded {
        run: run.id,
        report: exited(1, "h1\n"),
    };
    assert_eq!(calls(&engine.handle(at(11.0), ended())).len(), 1);
    assert_eq!(engine.handle(at(11.5), ended()), []);
    let unknown = Event::RunEnded {
        run: RunId(999),
        report: exited(1, ""),
    };
    assert_eq!(engine.handle(at(12.0), unknown), []);
    assert_eq!(engine.services().next().unwrap().consec_failures, 1);
}

#[test]
fn the_failure_interval_is_in_force_while_the_service_fails() {
    let mut engine = started(model(vec![Service {
        failure_interval: Some(seconds(3)),
        ..service("g", "s")
    }]));
    let due: Vec<u64> = [1, 1, 0, 0, 1, 0]
        .into_iter()
        .map(|exit| next_report(&mut engine, exit, "").0.as_micros() / 1_000_000)
        .collect();
    assert_eq!(due, [10, 13, 16, 26, 36, 39]);
}

#[test]
fn a_monitor_is_told_what_the_specification_says() {
    let mut one = polled("s", Vec::new());
    one.description = Some("the farm".into());
    one.environment = vec![
        ("MON_GROUP".into(), "mine".into()),
        ("COLOUR".into(), "a  b".into()),
    ];
    one.exclude_hosts = vec![HostName::new("h2")];
    let monitor = Arc::make_mut(one.monitor.as_mut().unwrap());
    monitor.args = vec!["-p".to_owned(), "two words".to_owned()];
    let mut engine = started(model_of(vec![one], &["h1", "*h3", "h2", "h4"]));

    let program = |engine: &mut Engine| {
        let due = engine.next_deadline().unwrap();
        let run = runs(&engine.handle(at_mono(due), Event::Deadline)).remove(0);
        match run.program {
            RunProgram::Executable(program) => (run.id, program),
            RunProgram::Native(_) => panic!("an executable was asked for"),
        }
    };
    let (run, first) = program(&mut engine);
    assert_eq!(first.args, ["-p", "two words", "h1", "h4"]);
    assert_eq!(first.limit, seconds(600));
    let is = |program: &crate::engine::event::Executable, name: &str| {
        variable(&program.environment, name).map(str::to_owned)
    };
    for (name, value) in [
        ("MON_GROUP", "g"),
        ("MON_SERVICE", "s"),
        ("COLOUR", "a  b"),
        ("MON_DESCRIPTION", "the farm"),
        ("MON_STATEDIR", "/var/lib/mon"),
        ("MON_LOGDIR", "/var/log/mon"),
        ("MON_CFBASEDIR", "/etc/mon"),
        ("MON_LAST_FAILURE", "0"),
        ("MON_LAST_SUCCESS", "0"),
    ] {
        assert_eq!(is(&first, name).as_deref(), Some(value), "{name}");
    }
    for name in ["MON_LAST_SUMMARY", "MON_LAST_OUTPUT", "MON_FIRST_FAILURE"] {
        assert_eq!(
            is(&first, name),
            None,
            "{name} has no value before the first event"
        );
    }
    let report = exited(1, "h1\nzero \0 byte\n");
    engine.handle(at(11.0), Event::RunEnded { run, report });
    let (_, second) = program(&mut engine);
    for (name, value) in [
        ("MON_LAST_SUMMARY", "h1"),
        ("MON_LAST_OUTPUT", "h1\nzero  byte\n"),
        ("MON_FIRST_FAILURE", &(EPOCH + 11).to_string()),
        ("MON_LAST_FAILURE", &(EPOCH + 11).to_string()),
        ("MON_LAST_SUCCESS", "0"),
    ] {
        assert_eq!(is(&second, name).as_deref(), Some(value), "{name}");
    }
}

#[test]
fn two_semicolons_keep_the_hosts_from_the_monitor() {
    let mut one = polled("s", Vec::new());
    Arc::make_mut(one.monitor.as_mut().unwrap()).appends_hosts = false;
    let mut engine = started(model_of(vec![one], &["*h1"]));
    let due = engine.next_deadline().unwrap();
    let run = runs(&engine.handle(at_mono(due), Event::Deadline)).remove(0);
    let RunProgram::Executable(program) = run.program else {
        panic!("an executable was asked for");
    };
    assert!(program.args.is_empty());
}

#[test]
fn two_semicolons_keep_the_hosts_from_a_built_in_too() {
    let mut one = polled("s", Vec::new());
    let monitor = Arc::make_mut(one.monitor.as_mut().unwrap());
    monitor.appends_hosts = false;
    let options = MonitorOptions::parse("tcp.monitor", &["h9".to_owned()]);
    monitor.program = MonitorProgram::Native(options.unwrap().unwrap());
    let mut engine = started(model_of(vec![one], &["h1"]));
    let due = engine.next_deadline().unwrap();
    let run = runs(&engine.handle(at_mono(due), Event::Deadline)).remove(0);
    assert_eq!(run.hosts, []);
}

#[test]
fn no_host_is_said_once_and_is_no_event() {
    let mut engine = started(model_of(vec![polled("s", vec![alerting()])], &["*h1"]));
    let due = engine.next_deadline().unwrap();
    let said = engine.handle(at_mono(due), Event::Deadline);
    assert_eq!(said, [Action::Note(Note::NoHosts(ServiceId(0)))]);
    let next = engine.next_deadline().unwrap();
    assert_eq!(next, due.after(seconds(10)));
    assert_eq!(engine.handle(at_mono(next), Event::Deadline), []);
    assert_eq!(engine.services().next().unwrap().status, Status::Untested);

    let mut allowed = polled("s", Vec::new());
    allowed.allow_empty_group = true;
    let mut engine = started(model_of(vec![allowed], &["*h1"]));
    let due = engine.next_deadline().unwrap();
    assert_eq!(runs(&engine.handle(at_mono(due), Event::Deadline)).len(), 1);
}

#[test]
fn a_missing_monitor_is_a_failure_that_says_so() {
    let reason = "no test.monitor in /usr/lib/mon/mon.d";
    let mut one = polled("s", vec![alerting()]);
    let monitor = Arc::make_mut(one.monitor.as_mut().unwrap());
    monitor.program = MonitorProgram::Missing(reason.to_owned());
    let mut engine = started(model(vec![one]));
    let due = engine.next_deadline().unwrap();
    let actions = engine.handle(at_mono(due), Event::Deadline);
    let sent = calls(&actions);
    assert_eq!(sent.len(), 1);
    assert_eq!((sent[0].summary.as_str(), sent[0].input.len()), (reason, 0));
    assert_eq!(engine.next_deadline(), Some(due.after(seconds(10))));
    let view = engine.services().next().unwrap();
    assert_eq!((view.status, &*view.summary), (Status::Fail, reason));
}

#[test]
fn an_alert_is_said_to_be_held_back_only_where_a_period_has_a_line_for_it() {
    let of_ups = || AlertPeriod {
        alerts: Vec::new(),
        ..alerting()
    };
    for (periods, expected) in [
        (vec![alerting()], 1),
        (vec![silent("p")], 0),
        (vec![of_ups()], 0),
        (vec![silent("p"), alerting()], 1),
    ] {
        let mut engine = started(model(vec![polled("s", periods.clone())]));
        let wish = Wish::Disable {
            target: Target::Service(ServiceId(0)),
            user: String::new(),
        };
        engine.handle(at(0.5), Event::Operator(wish));
        let (_, actions) = next_report(&mut engine, 1, "");
        let held = |it: &&Action| matches!(it, Action::Suppressed(_));
        assert_eq!(actions.iter().filter(held).count(), expected, "{periods:?}");
    }
}

#[test]
fn runs_that_were_killed_are_failures_that_say_so() {
    let cases = [
        (Ended::Signalled(9), 137, "killed by signal 9 (SIGKILL)"),
        (
            Ended::TimedOut(seconds(600)),
            1,
            "no result within 10m, killed",
        ),
        (
            Ended::NotStarted("no such file".to_owned()),
            1,
            "no such file",
        ),
    ];
    for (ended, exit, summary) in cases {
        let mut engine = started(model(vec![polled("s", vec![alerting()])]));
        let report = crate::engine::fixture::ended(ended, "half\n");
        let (_, actions) = next_report_of(&mut engine, report, Duration::ZERO);
        let sent = calls(&actions);
        assert_eq!(sent[0].summary, summary);
        assert_eq!(sent[0].exit, Some(exit));
        let told = variable(&sent[0].environment, "MON_LAST_SUMMARY");
        assert_eq!(told, Some(summary));
    }
}

#[test]
fn an_alert_is_told_what_the_specification_says() {
    let mut engine = started(model_of(
        vec![polled("s", vec![alerting()])],
        &["h1", "*h2", "h3"],
    ));
    next_report(&mut engine, 0, "fine\n");
    let (_, actions) = next_report(&mut engine, 3, "h1\nno answer\n");
    let down = calls(&actions).remove(0);
    assert_eq!(down.event, format!("g/s/{}/failure/1", EPOCH + 20));
    assert_eq!(down.hosts, "h1 h3");
    assert_eq!(&*down.input, b"h1\nno answer\n");
    assert_eq!(
        (down.kind, down.exit, down.status),
        (AlertKind::Failure, Some(3), Status::Fail)
    );
    assert_eq!(down.first_failure, Some(Wall::from_seconds(EPOCH + 20)));
    let down_time = (EPOCH + 20).to_string();
    let up_time = (EPOCH + 10).to_string();
    for (name, value) in [
        ("MON_ALERTTYPE", "failure"),
        ("MON_RETVAL", "3"),
        ("MON_OPSTATUS", "0"),
        ("MON_LAST_SUMMARY", "h1"),
        ("MON_LAST_OUTPUT", "fine\n"),
        ("MON_LAST_FAILURE", &down_time),
        ("MON_FIRST_FAILURE", &down_time),
        ("MON_LAST_SUCCESS", &up_time),
        ("MON_FIRST_SUCCESS", ""),
    ] {
        assert_eq!(variable(&down.environment, name), Some(value), "{name}");
    }
    let (_, actions) = next_report(&mut engine, 0, "fine again\n");
    let up = calls(&actions).remove(0);
    assert_eq!(up.event, format!("g/s/{}/up/1", EPOCH + 20));
    assert_eq!(
        &*up.input, b"h1\nno answer\n",
        "E-17: the output of the failure"
    );
    assert_eq!(
        (up.kind, up.exit, up.status),
        (AlertKind::Up, Some(0), Status::Ok)
    );
    for (name, value) in [
        ("MON_ALERTTYPE", "up"),
        ("MON_RETVAL", "0"),
        ("MON_OPSTATUS", "1"),
        ("MON_LAST_SUMMARY", "h1"),
        ("MON_LAST_OUTPUT", "h1\nno answer\n"),
        ("MON_FIRST_FAILURE", &down_time),
        ("MON_LAST_SUCCESS", &up_time),
    ] {
        assert_eq!(variable(&up.environment, name), Some(value), "{name}");
    }
}

#[test]
fn the_first_event_has_no_output_before_it() {
    let mut engine = started(model(vec![polled("s", vec![alerting()])]));
    let (_, actions) = next_report(&mut engine, 1, "");
    let down = calls(&actions).remove(0);
    assert_eq!(down.summary, "(NO SUMMARY)");
    assert_eq!(
        variable(&down.environment, "MON_LAST_SUMMARY"),
        Some("(NO SUMMARY)")
    );
    assert_eq!(variable(&down.environment, "MON_LAST_OUTPUT"), None);
    let (_, actions) = next_report(&mut engine, 1, "");
    let again = calls(&actions).remove(0);
    assert_eq!(variable(&again.environment, "MON_LAST_OUTPUT"), Some(""));
}

#[test]
fn no_variable_is_longer_than_the_kernel_takes() {
    let mut engine = started(model(vec![polled("s", vec![alerting()])]));
    let mut report = exited(1, "");
    report.output = vec![0xff; 1_000_000];
    next_report_of(&mut engine, report, Duration::ZERO);
    let (_, actions) = next_report(&mut engine, 1, "");
    let call = calls(&actions).remove(0);
    assert!(
        call.environment
            .iter()
            .all(|(name, value)| name.len() + value.len() < 128 * 1024)
    );
}

#[test]
fn startup_alerts_go_out_at_the_start_and_nothing_else() {
    let starting = AlertPeriod {
        startupalerts: vec![alert("start.alert")],
        ..alerting()
    };
    let outside = AlertPeriod {
        startupalerts: vec![alert("start.alert")],
        when: period("hr {11}"),
        ..silent("later")
    };
    let mut engine = engine(model(vec![polled("s", vec![starting, outside])]));
    let actions = engine.handle(at(0.0), Event::Start);
    let [call] = calls(&actions).try_into().unwrap();
    assert_eq!(call.kind, AlertKind::Startup);
    assert_eq!(call.event, format!("g/s/{EPOCH}/startup/1"));
    assert_eq!(
        (call.input.len(), call.status, call.exit),
        (0, Status::Untested, Some(0))
    );
    assert_eq!(variable(&call.environment, "MON_OPSTATUS"), Some("7"));
    assert_eq!(variable(&call.environment, "MON_LAST_SUMMARY"), None);
    let suppressed = actions.iter().filter_map(|action| {
        let Action::Suppressed(suppression) = action else {
            return None;
        };
        Some(suppression.why.clone())
    });
    assert_eq!(suppressed.collect::<Vec<_>>(), [Suppressed::NotInPeriod]);
    assert_eq!(keys(&actions), ["event numbers"]);
    assert_eq!(
        engine.handle(at(0.0), Event::Start),
        [],
        "a start happens once"
    );
}

#[test]
fn what_became_of_an_alert_changes_nothing() {
    // D33: an alert counts once its call was started.
    let mut engine = started(model(vec![polled("s", vec![alerting()])]));
    let (_, actions) = next_report(&mut engine, 1, "h1");
    let alert = calls(&actions)[0].id;
    let delivery = DeliveryOutcome::GivenUp("relay is down".to_owned());
    assert_eq!(
        engine.handle(at(11.0), Event::AlertDone { alert, delivery }),
        []
    );
    let (_, actions) = next_report(&mut engine, 0, "");
    assert_eq!(calls(&actions).len(), 1);
}

#[test]
fn records_are_written_on_change_only() {
    let mut engine = started(model(vec![polled("s", vec![alerting()])]));
    let counts: Vec<usize> = [0, 0, 1, 1, 0, 0]
        .into_iter()
        .map(|exit| records(&next_report(&mut engine, exit, "h1").1).len())
        .collect();
    // Tested; unchanged; outage before its alert and after; counters; recovery; unchanged.
    assert_eq!(counts, [1, 0, 2, 1, 1, 0]);
}

#[test]
fn after_a_restart_no_alert_is_repeated_and_no_recovery_lost() {
    let rules = AlertPeriod {
        alertevery: Some((seconds(3_600), Repeat::Summary)),
        ..alerting()
    };
    let model = Arc::new(model(vec![polled("s", vec![rules])]));
    let mut engine = started(Model::clone(&model));
    let (_, actions) = next_report(&mut engine, 1, "h1\n");
    assert_eq!(calls(&actions).len(), 1);
    let kept = records(&actions);

    // The daemon is killed; a minute later it is back.
    let mut engine = restarted(&model, &kept, at(70.0));
    let view = engine.services().next().unwrap();
    assert_eq!(
        (view.status, view.consec_failures, view.alerts_sent),
        (Status::Fail, 1, 1)
    );
    assert_eq!(view.first_failure, Some(Wall::from_seconds(EPOCH + 10)));
    assert_eq!(&*view.summary, "h1");
    let (_, actions) = next_report(&mut engine, 1, "h1\n");
    assert_eq!(calls(&actions), [], "the hour is not over");
    let (_, actions) = next_report(&mut engine, 0, "");
    let [up] = calls(&actions).try_into().unwrap();
    assert_eq!(up.event, format!("g/s/{}/up/1", EPOCH + 10));
    assert_eq!(&*up.input, b"h1\n");
}

#[test]
fn after_a_restart_a_long_summary_is_still_the_same() {
    let every = AlertPeriod {
        alertevery: Some((seconds(3_600), Repeat::Summary)),
        ..alerting()
    };
    let mut service = polled("s", vec![every]);
    service.unack_summary = true;
    let model = Arc::new(model(vec![service]));
    let mut engine = started(Model::clone(&model));
    let long = format!("{} end\n", "h1 ".repeat(2_000));
    let (_, actions) = next_report(&mut engine, 1, &long);
    assert_eq!(calls(&actions).len(), 1);
    let ack = Wish::Ack {
        service: ServiceId(0),
        user: "joe".to_owned(),
        comment: "known".to_owned(),
    };
    let unacked = restarted(&model, &records(&actions), at(15.0));
    let acked = engine.handle(at(12.0), Event::Operator(ack));
    let acked = restarted(&model, &records(&acked), at(15.0));
    for mut engine in [unacked, acked] {
        let (_, actions) = next_report(&mut engine, 1, &long);
        assert_eq!(calls(&actions).len(), 0);
    }
}

#[test]
fn an_alert_sent_again_after_a_crash_has_the_same_event_id() {
    let model = Arc::new(model(vec![polled("s", vec![alerting()])]));
    let mut engine = started(Model::clone(&model));
    let (_, actions) = next_report(&mut engine, 1, "h1\n");
    let sent = calls(&actions).remove(0);
    let place = |wanted: fn(&Action) -> bool| actions.iter().position(wanted).unwrap();
    let first_record = place(|action| matches!(action, Action::Record(_)));
    let send = place(|action| matches!(action, Action::Send(_)));
    assert!(first_record < send);
    let mut engine = restarted(&model, &records(&actions)[..1], at(20.0));
    let (_, actions) = next_report(&mut engine, 1, "h1\n");
    assert_eq!(calls(&actions)[0].event, sent.event);
}

#[test]
fn an_alert_that_may_have_left_before_a_crash_has_its_end_told() {
    let late = AlertPeriod {
        alertafter_count: Some(2),
        numalerts: Some(1),
        ..alerting()
    };
    let model = Arc::new(model(vec![polled("s", vec![late, silent("night")])]));
    let mut engine = started(Model::clone(&model));
    let (_, nobody_told) = next_report(&mut engine, 1, "h1\n");
    let (_, told) = next_report(&mut engine, 1, "h1 still\n");
    let sent = calls(&told).remove(0);
    let ahead = &records(&told)[..1];

    // The crash comes between the journal's word of it and the next one.
    let mut engine = restarted(&model, ahead, at(30.0));
    let (_, actions) = next_report(&mut engine, 0, "");
    let [up] = calls(&actions).try_into().unwrap();
    assert_eq!(up.event, format!("g/s/{}/up/1", EPOCH + 10));
    assert_eq!(&*up.input, b"h1 still\n");

    // Where the failure goes on it is told again, under its id, and counts once.
    let mut engine = restarted(&model, ahead, at(30.0));
    let (_, actions) = next_report(&mut engine, 1, "h1 still\n");
    assert_eq!(calls(&actions)[0].event, sent.event);
    let (_, actions) = next_report(&mut engine, 1, "h1 still\n");
    assert_eq!(calls(&actions), [], "numalerts 1");
    let (_, actions) = next_report(&mut engine, 0, "");
    assert_eq!(calls(&actions)[0].event, up.event);
    let mut engine = restarted(&model, &records(&actions), at(60.0));
    next_report(&mut engine, 1, "h1\n");
    let (_, actions) = next_report(&mut engine, 0, "");
    assert_eq!(
        calls(&actions),
        [],
        "the next outage begins with nothing in doubt"
    );

    // An outage of which nobody was about to be told ends unsaid.
    let mut engine = restarted(&model, &records(&nobody_told), at(20.0));
    let (_, actions) = next_report(&mut engine, 0, "");
    assert_eq!(calls(&actions), []);
}

#[test]
fn a_journal_that_was_lost_is_told_all_again() {
    let model = Arc::new(model(vec![
        polled("s", vec![alerting()]),
        polled("untested", Vec::new()),
    ]));
    let mut engine = started(Model::clone(&model));
    let (_, actions) = next_report(&mut engine, 1, "h1\n");
    let all = engine.handle(at(10.0), Event::JournalLost);
    assert_eq!(records(&all)[..1], records(&actions)[1..]);
    let expected = ["service g/s", "event numbers"];
    assert_eq!(keys(&all), expected, "none of an untested service");
}

#[test]
fn a_wall_clock_set_back_while_the_daemon_was_gone_does_no_harm() {
    let rules = AlertPeriod {
        alertevery: Some((seconds(60), Repeat::Strict)),
        ..alerting()
    };
    let model = Arc::new(model(vec![polled("s", vec![rules])]));
    let mut engine = started(Model::clone(&model));
    let (_, actions) = next_report(&mut engine, 1, "h1\n");
    // A day back: the alert lies in the future, and counts as sent just now.
    let now = Now {
        mono: Mono::ZERO,
        wall: Wall::from_seconds(EPOCH - 86_400),
    };
    let engine = restarted(&model, &records(&actions), now);
    let view = engine.services().next().unwrap();
    assert_eq!(view.first_failure, Some(now.wall));
    assert_eq!(view.last_failure, Some(now.wall));
}

#[test]
fn a_record_that_makes_no_sense_is_named_and_left_out() {
    let model = Arc::new(model(vec![polled("s", Vec::new())]));
    let mut saved = Saved::default();
    let value = serde_json::json!({"status": 42});
    saved.records.insert("service g/s".to_owned(), value);
    saved
        .records
        .insert("service g/gone".to_owned(), serde_json::json!({}));
    let mut engine = Engine::new(model, &saved, 1, TimeZone::UTC, at(0.0));
    let said = engine.handle(at(0.0), Event::Start);
    assert!(
        matches!(&said[0], Action::Note(Note::NotRestored { key, .. }) if key == "service g/s"),
        "{said:?}"
    );
    assert_eq!(keys(&said), ["event numbers"]);
}

#[test]
fn reload_of_the_same_file_changes_nothing() {
    let services = || vec![polled("a", vec![alerting()]), polled("b", vec![alerting()])];
    let mut engine = started(model(services()));
    next_report(&mut engine, 1, "h1");
    let before = engine.next_deadline();
    let views: Vec<String> = engine.services().map(|view| format!("{view:?}")).collect();
    let reload = kept(Arc::new(model(services())));
    assert_eq!(engine.handle(at(10.01), reload), []);
    assert_eq!(engine.next_deadline(), before);
    let after: Vec<String> = engine.services().map(|view| format!("{view:?}")).collect();
    assert_eq!(views, after);
}

#[test]
fn reload_calls_startup_alerts_where_the_file_asks_for_them() {
    let starting = AlertPeriod {
        startupalerts: vec![alert("start.alert")],
        ..silent("p")
    };
    let mut model = model(vec![polled("s", vec![starting])]);
    model.globals.startupalerts_on_reset = true;
    let mut engine = started(model.clone());
    let actions = engine.handle(at(5.0), kept(Arc::new(model)));
    assert!(matches!(
        &actions[..],
        [Action::Send(_), Action::History(_)]
    ));
}

#[test]
fn reload_carries_state_by_the_names_of_group_service_and_period() {
    let rules = |label: &str| AlertPeriod {
        numalerts: Some(1),
        label: label.into(),
        ..alerting()
    };
    let mut engine = started(model(vec![
        polled("a", Vec::new()),
        polled("b", vec![rules("p")]),
    ]));
    next_report(&mut engine, 0, "");
    let (_, actions) = next_report(&mut engine, 1, "h1\n");
    assert_eq!(calls(&actions).len(), 1);
    // `b` comes first now, its period second, and `a` is gone.
    let renamed = model(vec![
        polled("b", vec![rules("q"), rules("p")]),
        polled("c", Vec::new()),
    ]);
    let actions = engine.handle(at(12.0), kept(Arc::new(renamed)));
    let forgotten = Record {
        key: "service g/a".to_owned(),
        value: serde_json::Value::Null,
    };
    assert_eq!(actions, [Action::record(forgotten)]);
    let view = engine.services().next().unwrap();
    assert_eq!(
        (view.name, view.status, view.consec_failures),
        ("b", Status::Fail, 1)
    );
    let (due, actions) = next_report(&mut engine, 1, "h1\n");
    assert_eq!(
        due.as_micros() / 1_000_000,
        20,
        "the grid of b is that of before"
    );
    let periods: Vec<String> = calls(&actions)
        .iter()
        .map(|call| call.period.to_string())
        .collect();
    assert_eq!(periods, ["q"], "p has had its one alert");
}

#[test]
fn reload_stops_the_runs_of_services_that_are_gone_or_check_something_else() {
    let mut engine = started(model(vec![
        polled("a", Vec::new()),
        polled("b", Vec::new()),
        polled("c", Vec::new()),
    ]));
    let actions = engine.handle(at(11.0), Event::Deadline);
    let [a, b, c] = runs(&actions).try_into().unwrap();
    let mut other = polled("b", Vec::new());
    Arc::make_mut(other.monitor.as_mut().unwrap()).args = vec!["-x".to_owned()];
    let reload = kept(Arc::new(model(vec![polled("c", Vec::new()), other])));
    let actions = engine.handle(at(12.0), reload);
    let again = runs(&actions);
    assert_eq!(actions[..2], [Action::Stop(a.id), Action::Stop(b.id)]);
    assert_eq!(
        again.len(),
        1,
        "what changed is checked at once: {actions:?}"
    );
    assert_eq!(again[0].service, ServiceId(1));
    let late = Event::RunEnded {
        run: a.id,
        report: exited(1, ""),
    };
    assert_eq!(engine.handle(at(13.0), late), []);
    let known = Event::RunEnded {
        run: c.id,
        report: exited(0, ""),
    };
    engine.handle(at(13.0), known);
    assert_eq!(engine.services().next().unwrap().status, Status::Ok);
    assert_eq!(engine.runs_going(), (1, 0));
}

#[test]
fn reload_goes_over_to_a_new_interval() {
    let every = |interval: u64| {
        model(vec![Service {
            interval: Some(seconds(interval)),
            ..service("g", "s")
        }])
    };
    let mut engine = started(every(10));
    next_report(&mut engine, 0, "");
    engine.handle(at(12.0), kept(Arc::new(every(4))));
    assert_eq!(engine.next_deadline(), Some(at(14.0).mono));
    engine.handle(at(12.5), kept(Arc::new(every(100))));
    assert_eq!(engine.next_deadline(), Some(at(110.0).mono));
    let mut off = every(100);
    off.services[0].interval = None;
    engine.handle(at(13.0), kept(Arc::new(off)));
    assert_eq!(engine.next_deadline(), None);
    engine.handle(at(14.0), kept(Arc::new(every(5))));
    assert_eq!(engine.next_deadline(), Some(at(19.0).mono));
}

#[test]
fn maxprocs_lets_a_freed_place_start_the_next_at_once() {
    let mut model = model(
        (0..3)
            .map(|n| polled(&format!("s{n}"), Vec::new()))
            .collect(),
    );
    model.globals.maxprocs = Some(1);
    let mut engine = started(model);
    let actions = engine.handle(at(11.0), Event::Deadline);
    let first = runs(&actions);
    assert_eq!(first.len(), 1);
    let note = Note::Throttled {
        limit: "maxprocs",
        value: 1,
        waiting: 2,
    };
    assert_eq!(actions[1..], [Action::Note(note)]);
    assert_eq!(
        engine.next_deadline(),
        None,
        "those that wait need no deadline"
    );
    let ended = Event::RunEnded {
        run: first[0].id,
        report: exited(0, ""),
    };
    let next = runs(&engine.handle(at(12.0), ended));
    assert_eq!((next.len(), next[0].service), (1, ServiceId(1)));
}

#[test]
fn an_exclude_period_of_a_service_holds_its_run_back_until_it_ends() {
    let mut engine = started(model(vec![Service {
        exclude_period: Some(period("min {0-2}")),
        ..service("g", "s")
    }]));
    // The story begins at 10:00:00; the period ends at 10:03:00.
    let mut looks = Vec::new();
    let run = loop {
        let due = engine.next_deadline().unwrap();
        looks.push(due.as_micros() / 1_000_000);
        if let [run] = runs(&engine.handle(at_mono(due), Event::Deadline)).as_slice() {
            break run.clone();
        }
    };
    assert_eq!(looks, [10, 70, 130, 180], "once a minute, and at the end");
    let report = exited(0, "");
    engine.handle(
        at(180.1),
        Event::RunEnded {
            run: run.id,
            report,
        },
    );
    assert_eq!(
        engine.next_deadline(),
        Some(at(190.0).mono),
        "the grid stays"
    );
}

#[test]
fn a_wall_clock_that_was_set_ends_an_exclude_period_at_once() {
    let mut engine = started(model(vec![Service {
        exclude_period: Some(period("hr {10}")),
        ..service("g", "s")
    }]));
    assert_eq!(runs(&engine.handle(at(10.0), Event::Deadline)), []);
    let stepped = Now {
        mono: at(11.0).mono,
        wall: Wall::from_seconds(EPOCH + 3_600),
    };
    assert_eq!(runs(&engine.handle(stepped, Event::Deadline)).len(), 1);
}

#[test]
fn the_global_exclude_period_stops_all_timers_and_lets_them_go_on() {
    let mut model = model(vec![polled("a", Vec::new())]);
    // From 10:00:05 to 10:00:29 and again a minute later.
    model.globals.exclude_period = Some(period("sec {5-29}"));
    let mut engine = started(model);
    let (due, _) = next_report(&mut engine, 0, "");
    assert_eq!(due, at(35.0).mono, "5 s were left when the period began");
}

#[test]
fn slots_that_the_global_exclude_period_passes_over_are_not_missed() {
    let mut model = model(vec![polled("a", Vec::new())]);
    // From 10:00:15 to 10:00:54; the run that began at 10:00:10 goes on all the while.
    model.globals.exclude_period = Some(period("sec {15-54}"));
    let mut engine = started(model);
    let begun = runs(&engine.handle(at(10.0), Event::Deadline));
    for second in [15.0, 55.0] {
        assert_eq!(engine.next_deadline(), Some(at(second).mono));
        engine.handle(at(second), Event::Deadline);
    }
    let ended = Event::RunEnded {
        run: begun[0].id,
        report: exited(0, ""),
    };
    engine.handle(at(57.0), ended);
    assert_eq!(engine.skipped_slots(), 0);
    let view = engine.services().next().unwrap();
    assert_eq!(view.next_run, Some(at(60.0).mono));
}

#[test]
fn a_wish_is_carried_out_and_answered() {
    use crate::engine::event::{Aim, RealServerName};
    let mut engine = started(model(vec![polled("a", Vec::new())]));
    let wish = Wish::EnableServer(Aim {
        server: RealServerName("192.168.0.1".to_owned()),
        within: None,
    });
    let actions = engine.handle(at(1.0), Event::Operator(wish.clone()));
    let noted = actions.iter().find_map(|action| match action.noted() {
        Some(Note::Wish { wish, outcome }) => Some((wish, outcome)),
        _ => None,
    });
    let answered: Vec<_> = actions.iter().filter_map(Action::answered).collect();
    let [answer] = *answered else {
        panic!("{actions:?}")
    };
    assert_eq!(noted, Some((&wish, answer)));
}

#[test]
fn views_say_what_a_reader_asks() {
    let held_back = AlertPeriod {
        alertafter_count: Some(9),
        ..alerting()
    };
    let mut engine = started(model_of(
        vec![polled("s", vec![held_back])],
        &["h1", "h2", "*h3"],
    ));
    next_report(&mut engine, 2, "h1\nno answer\n");
    let view = engine.services().next().unwrap();
    assert_eq!((view.group, view.name, view.exit), ("g", "s", Some(2)));
    assert_eq!((&*view.summary, &*view.detail), ("h1", "no answer\n"));
    assert_eq!(view.last_check, Some(at(10.0).wall));
    assert_eq!((view.next_run, view.running), (Some(at(20.0).mono), false));
    assert_eq!(view.suppressed.len(), 1);
    let names: Vec<&str> = view.hosts.iter().map(|host| host.host.as_str()).collect();
    assert_eq!(names, ["h1", "h2", "h3"]);
    assert_eq!(
        view.hosts[2].verdict, None,
        "a disabled host is not checked"
    );
    assert_eq!(engine.service(ServiceId(9)), None);
}

#[test]
fn ten_thousand_idle_services_stay_small() {
    // What one good service costs here: its state, its slot, its timer (tree nodes are at
    // least half full). Far below the 1 kB that the whole daemon may spend.
    let state = size_of::<ServiceState>();
    let timer = 2 * size_of::<(Mono, Timer)>();
    assert!(state + timer + 32 < 300, "{state} + {timer}");
    let mut engine = started(model(vec![polled("s", vec![alerting()])]));
    next_report(&mut engine, 0, "");
    let state = &engine.states[0];
    assert!(state.text.is_none() && state.outage.is_none() && state.periods.is_none());
}

#[test]
fn another_interval_begins_its_grid_at_the_start_of_the_run() {
    let service = Service {
        failure_interval: Some(seconds(4)),
        ..polled("s", Vec::new())
    };
    let mut engine = started(model(vec![service]));
    let late = runs(&engine.handle(at(11.0), Event::Deadline));
    let ended = Event::RunEnded {
        run: late[0].id,
        report: exited(1, "h1\n"),
    };
    engine.handle(at(11.5), ended);
    assert_eq!(engine.next_deadline(), Some(at(15.0).mono));
}

#[test]
fn randskew_counts_from_the_start_of_the_run() {
    let service = Service {
        randskew: Some(seconds(1)),
        ..polled("s", Vec::new())
    };
    let mut engine = started(model(vec![service]));
    next_report_of(&mut engine, exited(0, ""), seconds(4));
    let next = engine.next_deadline().unwrap();
    assert!(at(19.0).mono <= next && next <= at(21.0).mono, "{next:?}");
}

#[test]
fn maxchecks_holds_back_built_in_checks_and_maxprocs_does_not() {
    let native = |name: &str| {
        let mut one = polled(name, Vec::new());
        let monitor = Arc::make_mut(one.monitor.as_mut().unwrap());
        let options = MonitorOptions::parse("tcp.monitor", &[]);
        monitor.program = MonitorProgram::Native(options.unwrap().unwrap());
        one
    };
    for (maxprocs, maxchecks, expected) in [(9, 1, 1), (1, 9, 3)] {
        let mut model = model(vec![native("a"), native("b"), native("c")]);
        model.globals.maxprocs = Some(maxprocs);
        model.globals.maxchecks = maxchecks;
        let mut engine = started(model);
        let begun = runs(&engine.handle(at(11.0), Event::Deadline));
        assert_eq!(begun.len(), expected, "{maxprocs} {maxchecks}");
        assert_eq!(engine.runs_going().0, 0);
    }
}

#[test]
fn two_semicolons_keep_hosts_that_there_are_from_the_monitor() {
    let mut one = polled("s", Vec::new());
    Arc::make_mut(one.monitor.as_mut().unwrap()).appends_hosts = false;
    let mut engine = started(model(vec![one]));
    let run = runs(&engine.handle(at(10.0), Event::Deadline)).remove(0);
    let RunProgram::Executable(program) = run.program else {
        panic!("an executable was asked for");
    };
    assert!(program.args.is_empty());
}

#[test]
fn the_global_exclude_period_is_one_of_the_zone_and_ends_when_the_clock_is_set() {
    // 10:00 UTC is 11:00 in the zone.
    let mut model = model(vec![polled("a", Vec::new())]);
    model.globals.exclude_period = Some(period("hr {11}"));
    let zone = TimeZone::fixed(jiff::tz::offset(1));
    let mut engine = Engine::new(Arc::new(model), &Saved::default(), 1, zone, at(0.0));
    engine.handle(at(0.0), Event::Start);
    assert_eq!(runs(&engine.handle(at(11.0), Event::Deadline)), []);
    let stepped = Now {
        mono: at(12.0).mono,
        wall: Wall::from_seconds(EPOCH + 7_200),
    };
    engine.handle(stepped, Event::Deadline);
    let view = engine.services().next().unwrap();
    assert_eq!(view.next_run, Some(at(22.0).mono));
}

#[test]
fn slots_that_a_long_run_uses_up_are_counted() {
    let mut engine = started(model(vec![polled("s", Vec::new())]));
    next_report_of(&mut engine, exited(0, ""), seconds(25));
    assert_eq!(engine.skipped_slots(), 2);
}

#[test]
fn a_second_failure_moves_the_last_and_leaves_the_first() {
    let mut engine = started(model_of(vec![polled("s", vec![alerting()])], &["h1", "h2"]));
    let (_, actions) = next_report(&mut engine, 1, "h1\n");
    let first = calls(&actions).remove(0);
    let (_, actions) = next_report(&mut engine, 1, "h2\n");
    let second = calls(&actions).remove(0);
    assert_ne!(first.id, second.id);
    let time = |seconds: i64| (EPOCH + seconds).to_string();
    let told = |name| variable(&second.environment, name).map(str::to_owned);
    assert_eq!(told("MON_FIRST_FAILURE"), Some(time(10)));
    assert_eq!(told("MON_LAST_FAILURE"), Some(time(20)));
    let view = engine.services().next().unwrap();
    assert_eq!(view.last_failure, Some(at(20.0).wall));
    assert_eq!(
        view.hosts[1].verdict,
        Some(HostVerdict::Down(Reason::Exit)),
        "the latest report counts"
    );
    assert_eq!(engine.states[0].failure_count, 2);
    assert_eq!(engine.states[0].alert_count, 2);
    next_report(&mut engine, 0, "");
    let view = engine.services().next().unwrap();
    assert_eq!((view.exit, view.last_failure), (Some(0), None));
}

#[test]
fn an_event_counts_every_alert_it_calls() {
    let two = AlertPeriod {
        alerts: vec![alert("a.alert"), alert("b.alert")],
        ..alerting()
    };
    let mut engine = started(model(vec![polled("s", vec![two])]));
    next_report(&mut engine, 1, "h1\n");
    next_report(&mut engine, 1, "h1\n");
    assert_eq!(engine.states[0].alert_count, 4);
}

#[test]
fn a_failure_that_alerts_nobody_is_recorded_once() {
    let mut engine = started(model(vec![polled("s", Vec::new())]));
    let (_, actions) = next_report(&mut engine, 1, "h1\n");
    assert_eq!(records(&actions).len(), 1);
}

#[test]
fn a_missing_monitor_was_looked_for_when_the_view_says() {
    let mut one = polled("s", Vec::new());
    let monitor = Arc::make_mut(one.monitor.as_mut().unwrap());
    monitor.program = MonitorProgram::Missing("gone".to_owned());
    let mut engine = started(model(vec![one]));
    engine.handle(at(10.0), Event::Deadline);
    let view = engine.services().next().unwrap();
    assert_eq!(view.last_check, Some(at(10.0).wall));
}

#[test]
fn a_monitor_after_a_blank_success_gets_a_blank_summary() {
    let mut engine = started(model(vec![polled("s", Vec::new())]));
    next_report(&mut engine, 0, "\nall well\n");
    let run = runs(&engine.handle(at(20.0), Event::Deadline)).remove(0);
    let RunProgram::Executable(program) = run.program else {
        panic!("an executable was asked for");
    };
    let summary = variable(&program.environment, "MON_LAST_SUMMARY");
    assert_eq!(summary, Some(""));
}

#[test]
fn a_monitor_after_a_silent_failure_gets_no_summary_in_words() {
    let mut engine = started(model(vec![polled("s", Vec::new())]));
    next_report(&mut engine, 1, "");
    let run = runs(&engine.handle(at(20.0), Event::Deadline)).remove(0);
    let RunProgram::Executable(program) = run.program else {
        panic!("an executable was asked for");
    };
    let summary = variable(&program.environment, "MON_LAST_SUMMARY");
    assert_eq!(summary, Some("(NO SUMMARY)"));
}

#[test]
fn a_start_in_an_outage_is_told_of_it_and_leaves_its_event_ids_alone() {
    let starting = AlertPeriod {
        startupalerts: vec![alert("start.alert")],
        ..alerting()
    };
    let model = Arc::new(model(vec![polled("s", vec![starting])]));
    let mut engine = engine(Model::clone(&model));
    let fresh = calls(&engine.handle(at(0.0), Event::Start)).remove(0);
    assert_eq!(variable(&fresh.environment, "MON_LAST_OUTPUT"), None);
    next_report(&mut engine, 1, "h1\nmore\n");
    let (_, actions) = next_report(&mut engine, 1, "h1\nmore\n");
    let mut saved = Saved::default();
    for record in records(&actions) {
        saved.records.insert(record.key, record.value);
    }
    let mut engine = Engine::new(model, &saved, 1, TimeZone::UTC, at(25.0));
    let again = calls(&engine.handle(at(25.0), Event::Start)).remove(0);
    let told = |name| variable(&again.environment, name);
    assert_eq!(told("MON_LAST_SUMMARY"), Some("h1"));
    assert_eq!(told("MON_LAST_OUTPUT"), Some("h1\nmore\n"));
    let (_, actions) = next_report(&mut engine, 1, "h1\n");
    let third = calls(&actions).remove(0);
    assert_eq!(third.event, format!("g/s/{}/failure/3", EPOCH + 10));
}
