//! One test for each rule and its boundary. A story is a list of reports; what comes out is
//! who was told, when.

use jiff::tz::TimeZone;

use super::*;
use crate::engine::event::Status;
use crate::engine::fixture::{
    alert, alerting, at, exited, lvs_alert, period, seconds, service, silent,
};
use crate::engine::state::ServiceState;
use crate::model::ExitRange;

/// What a service lives through: a report is (seconds, exit value, output).
struct Story {
    service: Service,
    state: ServiceState,
    /// As the bindings keep it.
    gate_open: bool,
    zone: TimeZone,
}

impl Story {
    fn of(periods: Vec<AlertPeriod>) -> Self {
        Self {
            service: Service {
                periods,
                ..service("g", "s")
            },
            state: ServiceState::default(),
            gate_open: false,
            zone: TimeZone::UTC,
        }
    }

    fn report(&mut self, second: u64, exit: i32, output: &str) -> Decision {
        let now = at(u32::try_from(second).unwrap().into());
        let text = EventText::of(exited(exit, output));
        let was = self.state.status;
        let before = self.state.text.take();
        let kind = if exit == 0 {
            self.state.status = Status::Ok;
            AlertKind::Up
        } else {
            self.state
                .fail(now, now.wall.seconds(), exit, Box::default());
            AlertKind::Failure
        };
        let outage = self.state.outage.as_deref();
        let occasion = Occasion {
            kind,
            exit,
            text: if exit == 0 {
                before.as_deref().unwrap_or(&text)
            } else {
                &text
            },
            previous: before.as_deref().filter(|_| was == Status::Fail),
            untold: None,
            repeats: None,
            consec_failures: outage.map_or(0, |outage| outage.consec_failures),
            outage: outage.map_or(Duration::ZERO, |outage| outage.began.moment.ago(now)),
            forgiven: 0,
            acked: None,
            gate_open: self.gate_open,
            now,
            zone: &self.zone,
        };
        let decision = if exit != 0 || was == Status::Fail {
            decide(&self.service, self.state.memory(&self.service), &occasion)
        } else {
            Decision {
                calls: Vec::new(),
                held_back: Vec::new(),
                ruling: Ruling::HeldBack,
            }
        };
        self.gate_open |= decision.ruling == Ruling::Passed;
        if exit == 0 {
            self.gate_open = false;
            self.state.end_outage(&self.service);
        }
        self.state.set_text(text);
        decision
    }

    /// The seconds at which something was sent, and what.
    fn sent(mut self, reports: &[(u64, i32, &str)]) -> Vec<(u64, String)> {
        let mut sent = Vec::new();
        for &(second, exit, output) in reports {
            let decision = self.report(second, exit, output);
            sent.extend(
                decision
                    .calls
                    .iter()
                    .map(|call| (second, call.command.name.to_string())),
            );
        }
        sent
    }

    /// The rulings, report by report.
    fn rulings(mut self, reports: &[(u64, i32, &str)]) -> Vec<Ruling> {
        let reports = reports.iter();
        reports
            .map(|&(second, exit, output)| self.report(second, exit, output).ruling)
            .collect()
    }
}

/// Failures with the same output at these seconds.
fn failures(seconds: impl IntoIterator<Item = u64>) -> Vec<(u64, i32, &'static str)> {
    let seconds = seconds.into_iter();
    seconds.map(|second| (second, 1, "h1\n")).collect()
}

fn told(sent: &[(u64, String)]) -> Vec<(u64, &str)> {
    sent.iter().map(|(at, name)| (*at, name.as_str())).collect()
}

/// The seconds at which `test.alert` went out.
fn alerts(period: AlertPeriod, reports: &[(u64, i32, &str)]) -> Vec<u64> {
    let sent = Story::of(vec![period]).sent(reports);
    let alerts = sent.iter().filter(|(_, name)| name == "test.alert");
    alerts.map(|(second, _)| *second).collect()
}

#[test]
fn every_failure_alerts_where_no_rule_objects() {
    let seconds = alerts(alerting(), &failures([10, 20, 30]));
    assert_eq!(seconds, [10, 20, 30]);
}

#[test]
fn a_recovery_is_told_once_and_only_after_an_alert() {
    let story = [(10, 0, ""), (20, 1, "h1\n"), (30, 0, ""), (40, 0, "")];
    let sent = Story::of(vec![alerting()]).sent(&story);
    assert_eq!(told(&sent), [(20, "test.alert"), (30, "up.alert")]);

    let quiet = AlertPeriod {
        alertafter_count: Some(3),
        ..alerting()
    };
    assert!(Story::of(vec![quiet.clone()]).sent(&story).is_empty());
    let mut quiet = Story::of(vec![quiet]);
    quiet.report(20, 1, "h1\n");
    let decision = quiet.report(30, 0, "");
    assert_eq!(decision.held_back, [(Some(0), Suppressed::NoAlertSent)]);
}

#[test]
fn no_comp_alerts_tells_every_recovery() {
    // E-13: mon tells one for each alert that was sent.
    let period = AlertPeriod {
        no_comp_alerts: true,
        alertafter_count: Some(5),
        ..alerting()
    };
    let story = [
        (10, 1, "h1\n"),
        (20, 0, ""),
        (30, 1, "h1\n"),
        (40, 0, ""),
        (50, 0, ""),
    ];
    let sent = Story::of(vec![period]).sent(&story);
    assert_eq!(told(&sent), [(20, "up.alert"), (40, "up.alert")]);
}

#[test]
fn upalertafter_holds_back_the_recovery_of_a_short_outage() {
    let period = AlertPeriod {
        upalertafter: Some(seconds(60)),
        ..alerting()
    };
    let short = [(10, 1, "h1\n"), (69, 0, "")];
    let sent = Story::of(vec![period.clone()]).sent(&short);
    assert_eq!(told(&sent), [(10, "test.alert")]);
    let mut story = Story::of(vec![period.clone()]);
    story.report(10, 1, "h1\n");
    let why = Suppressed::UpalertAfter {
        outage: seconds(59),
        least: seconds(60),
    };
    assert_eq!(story.report(69, 0, "").held_back, [(Some(0), why)]);
    let long = [(10, 1, "h1\n"), (70, 0, "")];
    let sent = Story::of(vec![period]).sent(&long);
    assert_eq!(told(&sent), [(10, "test.alert"), (70, "up.alert")]);
}

#[test]
fn a_period_that_does_not_hold_tells_nothing() {
    // The story begins on a Wednesday at 10:00 UTC.
    for (text, expected) in [("wd {Wed} hr {10}", 1), ("wd {Wed} hr {11}", 0)] {
        let period = AlertPeriod {
            when: period(text),
            ..alerting()
        };
        let mut story = Story::of(vec![period]);
        let decision = story.report(10, 1, "h1\n");
        assert_eq!(decision.calls.len(), expected, "{text}");
        let objections: Vec<_> = decision.held_back.into_iter().map(|(_, why)| why).collect();
        let expected = if expected == 0 {
            vec![Suppressed::NotInPeriod]
        } else {
            Vec::new()
        };
        assert_eq!(objections, expected, "{text}");
    }
}

#[test]
fn each_period_decides_for_itself_in_file_order() {
    let first = AlertPeriod {
        numalerts: Some(1),
        alerts: vec![alert("first.alert")],
        ..silent("a")
    };
    let second = AlertPeriod {
        alertafter_count: Some(2),
        alerts: vec![alert("second.alert"), alert("third.alert")],
        ..silent("b")
    };
    let sent = Story::of(vec![first, second]).sent(&failures([10, 20]));
    let expected = [
        (10, "first.alert"),
        (20, "second.alert"),
        (20, "third.alert"),
    ];
    assert_eq!(told(&sent), expected);
}

#[test]
fn alertexitrange_and_exit_choose_by_exit_value() {
    let range = |low, high| Some(ExitRange { low, high });
    let mut only_two = AlertCommand::clone(&alert("two.alert"));
    only_two.exit = range(2, 2);
    let period = AlertPeriod {
        alertexitrange: range(1, 3),
        alerts: vec![Arc::new(only_two), alert("test.alert")],
        ..alerting()
    };
    let story = [(10, 1, ""), (20, 2, ""), (30, 4, ""), (40, 3, "")];
    let sent = Story::of(vec![period.clone()]).sent(&story);
    let expected = [
        (10, "test.alert"),
        (20, "two.alert"),
        (20, "test.alert"),
        (40, "test.alert"),
    ];
    assert_eq!(told(&sent), expected);
    let mut story = Story::of(vec![period]);
    let ranges = vec![ExitRange { low: 1, high: 3 }];
    let why = Suppressed::ExitRange { exit: 4, ranges };
    assert_eq!(story.report(30, 4, "").held_back, [(Some(0), why)]);
}

#[test]
fn a_line_that_no_exit_value_reaches_counts_as_not_sent() {
    let mut only_two = AlertCommand::clone(&alert("test.alert"));
    only_two.exit = Some(ExitRange { low: 2, high: 2 });
    let period = AlertPeriod {
        alerts: vec![Arc::new(only_two)],
        numalerts: Some(1),
        ..alerting()
    };
    let story = [(10, 1, ""), (20, 0, ""), (30, 1, ""), (40, 2, "")];
    let sent = Story::of(vec![period]).sent(&story);
    assert_eq!(told(&sent), [(40, "test.alert")]);
}

#[test]
fn an_upalert_with_exit_zero_is_called() {
    let mut up = AlertCommand::clone(&alert("up.alert"));
    up.exit = Some(ExitRange { low: 0, high: 0 });
    let period = AlertPeriod {
        upalerts: vec![Arc::new(up)],
        ..alerting()
    };
    let sent = Story::of(vec![period]).sent(&[(10, 5, ""), (20, 0, "")]);
    assert_eq!(told(&sent), [(10, "test.alert"), (20, "up.alert")]);
}

#[test]
fn numalerts_counts_within_one_outage() {
    let period = AlertPeriod {
        numalerts: Some(2),
        ..alerting()
    };
    let mut story = failures([10, 20, 30]);
    story.push((40, 0, ""));
    story.extend(failures([50, 60, 70]));
    assert_eq!(alerts(period.clone(), &story), [10, 20, 50, 60]);
    let none = AlertPeriod {
        numalerts: Some(0),
        ..period.clone()
    };
    assert_eq!(alerts(none, &failures([10, 20, 30])), [10, 20, 30]);
    let mut story = Story::of(vec![period]);
    story.report(10, 1, "");
    story.report(20, 1, "");
    let why = Suppressed::NumAlerts(2);
    assert_eq!(story.report(30, 1, "").held_back, [(Some(0), why)]);
}

#[test]
fn alertevery_waits_until_the_whole_time_has_passed() {
    let period = AlertPeriod {
        alertevery: Some((seconds(30), Repeat::Summary)),
        ..alerting()
    };
    let story = failures((10..=70).step_by(10));
    assert_eq!(alerts(period.clone(), &story), [10, 40, 70]);
    let mut story = Story::of(vec![period]);
    story.report(10, 1, "");
    let why = Suppressed::AlertEvery { left: seconds(20) };
    assert_eq!(story.report(20, 1, "").held_back, [(Some(0), why)]);
}

#[test]
fn what_a_changed_output_does_depends_on_the_form_of_alertevery() {
    let story = [
        (10, 1, "h1\nfirst\n"),
        (20, 1, "h1\nsecond\n"),
        (30, 1, "h1 \nsecond\n"),
        (40, 1, "h1 \nsecond\n"),
    ];
    let cases = [
        (Repeat::Summary, vec![10, 30]),
        (Repeat::ObserveDetail, vec![10, 20, 30]),
        (Repeat::IgnoreSummary, vec![10]),
        (Repeat::Strict, vec![10]),
    ];
    for (repeat, expected) in cases {
        let period = AlertPeriod {
            alertevery: Some((seconds(3_600), repeat)),
            ..alerting()
        };
        assert_eq!(alerts(period, &story), expected, "{repeat:?}");
    }
}

#[test]
fn a_success_resets_every_form_of_alertevery_but_strict() {
    // E-12: mon forgets the time with strict too, where an upalert is sent.
    let story = [(10, 1, "h1"), (20, 0, ""), (30, 1, "h1"), (40, 0, "")];
    let cases = [
        (Repeat::Summary, vec![10, 30]),
        (Repeat::ObserveDetail, vec![10, 30]),
        (Repeat::IgnoreSummary, vec![10, 30]),
        (Repeat::Strict, vec![10]),
    ];
    for (repeat, expected) in cases {
        let period = AlertPeriod {
            alertevery: Some((seconds(3_600), repeat)),
            ..alerting()
        };
        assert_eq!(alerts(period, &story), expected, "{repeat:?}");
    }
}

#[test]
fn strict_alerts_again_after_its_time_across_outages() {
    let period = AlertPeriod {
        alertevery: Some((seconds(60), Repeat::Strict)),
        ..alerting()
    };
    let story = [
        (10, 1, "h1"),
        (20, 0, ""),
        (69, 1, "h1"),
        (70, 1, "h1"),
        (71, 1, "other"),
    ];
    assert_eq!(alerts(period, &story), [10, 70]);
}

#[test]
fn blank_summaries_of_failures_are_equal() {
    let period = AlertPeriod {
        alertevery: Some((seconds(3_600), Repeat::Summary)),
        ..alerting()
    };
    let story = [(10, 1, ""), (20, 1, "  \nmore"), (30, 1, "(NO SUMMARY)")];
    assert_eq!(alerts(period, &story), [10]);
}

#[test]
fn alertafter_count_needs_failures_in_a_row() {
    let period = AlertPeriod {
        alertafter_count: Some(3),
        ..alerting()
    };
    let mut story = failures([10, 20]);
    story.push((30, 0, ""));
    story.extend(failures([40, 50, 60, 70]));
    assert_eq!(alerts(period.clone(), &story), [60, 70]);
    let mut story = Story::of(vec![period]);
    story.report(10, 1, "");
    let why = Suppressed::AlertAfterCount { have: 2, need: 3 };
    assert_eq!(story.report(20, 1, "").held_back, [(Some(0), why)]);
}

#[test]
fn alertafter_time_needs_more_than_that_time() {
    let period = AlertPeriod {
        alertafter_time: Some(seconds(20)),
        ..alerting()
    };
    let story = failures([10, 20, 30, 31, 40]);
    assert_eq!(alerts(period.clone(), &story), [31, 40]);
    let mut story = Story::of(vec![period]);
    story.report(10, 1, "");
    let why = Suppressed::AlertAfterTime { left: seconds(5) };
    assert_eq!(story.report(25, 1, "").held_back, [(Some(0), why)]);
}

#[test]
fn alertafter_window_begins_anew_after_its_end() {
    let period = AlertPeriod {
        alertafter_window: Some((3, seconds(30))),
        ..alerting()
    };
    assert_eq!(alerts(period.clone(), &failures([10, 20, 40, 50])), [40]);
    // The window of 10 s ends at 40 s: the failure at 41 s is the first of the next one.
    let story = failures([10, 20, 41, 60, 71, 72]);
    assert_eq!(alerts(period, &story), [71]);
}

#[test]
fn a_success_resets_every_form_of_alertafter() {
    let forms = [
        AlertPeriod {
            alertafter_count: Some(2),
            ..alerting()
        },
        AlertPeriod {
            alertafter_window: Some((2, seconds(600))),
            ..alerting()
        },
        AlertPeriod {
            alertafter_time: Some(seconds(5)),
            ..alerting()
        },
    ];
    for period in forms {
        let story = [(10, 1, ""), (20, 0, ""), (30, 1, ""), (40, 1, "")];
        assert_eq!(alerts(period.clone(), &story), [40], "{period:?}");
    }
}

#[test]
fn the_forms_of_alertafter_combine() {
    // The count must hold; then the window goes before the time.
    let period = AlertPeriod {
        alertafter_count: Some(2),
        alertafter_window: Some((2, seconds(100))),
        alertafter_time: Some(seconds(1_000)),
        ..alerting()
    };
    // The window sees its first failure at 20 s, when the count is reached.
    assert_eq!(alerts(period.clone(), &failures([10, 20, 30])), [30]);
    let count_and_time = AlertPeriod {
        alertafter_window: None,
        alertafter_time: Some(seconds(15)),
        ..period
    };
    assert_eq!(alerts(count_and_time, &failures([10, 20, 30, 36])), [36]);
}

#[test]
fn alertevery_and_numalerts_hold_up_the_counting_of_messages() {
    let period = AlertPeriod {
        alertevery: Some((seconds(100), Repeat::Strict)),
        alertafter_window: Some((2, seconds(1_000))),
        ..alerting()
    };
    let mut story = failures([10, 20]);
    story.push((30, 0, ""));
    // Failures at 40 to 110 s are suppressed before they are counted.
    story.extend(failures([40, 50, 110, 120, 130]));
    assert_eq!(alerts(period, &story), [20, 130]);
}

#[test]
fn a_few_milliseconds_decide_nothing() {
    let period = AlertPeriod {
        alertafter_time: Some(seconds(20)),
        alertevery: Some((seconds(30), Repeat::Strict)),
        ..alerting()
    };
    let decide_at = |times: &[f64]| {
        let service = Service {
            periods: vec![period.clone()],
            ..service("g", "s")
        };
        let text = EventText::default();
        let mut memory = vec![PeriodMemory::default()];
        let sent = times.iter().map(|&time| {
            let occasion = Occasion {
                kind: AlertKind::Failure,
                exit: 1,
                text: &text,
                previous: None,
                untold: None,
                repeats: None,
                consec_failures: 1,
                forgiven: 0,
                acked: None,
                outage: Duration::ZERO,
                gate_open: false,
                now: at(time),
                zone: &TimeZone::UTC,
            };
            !decide(&service, &mut memory, &occasion).calls.is_empty()
        });
        sent.collect::<Vec<bool>>()
    };
    let expected = [false, false, false, true, false, false, true];
    let early = [0.009, 10.0, 20.001, 30.0, 40.0, 50.0, 59.999];
    let late = [0.001, 10.0, 20.009, 30.004, 40.0, 50.0, 60.001];
    assert_eq!(decide_at(&early), expected);
    assert_eq!(decide_at(&late), expected);
}

#[test]
fn a_missing_alert_is_named_and_does_not_count() {
    let mut missing = AlertCommand::clone(&alert("gone.alert"));
    missing.program = AlertProgram::Missing("no gone.alert in /usr/lib/mon/alert.d".to_owned());
    let period = AlertPeriod {
        alerts: vec![Arc::new(missing)],
        ..alerting()
    };
    let mut story = Story::of(vec![period]);
    let decision = story.report(10, 1, "");
    assert!(decision.calls.is_empty());
    let why = Suppressed::NoProgram("no gone.alert in /usr/lib/mon/alert.d".to_owned());
    assert_eq!(decision.held_back, [(Some(0), why)]);
    let decision = story.report(20, 0, "");
    assert_eq!(decision.held_back, [(Some(0), Suppressed::NoAlertSent)]);
}

#[test]
fn the_table_does_not_wait_for_limits_on_messages() {
    // D3: alertevery and numalerts limit messages, never the table.
    let period = AlertPeriod {
        alerts: vec![alert("test.alert"), lvs_alert()],
        alertevery: Some((seconds(3_600), Repeat::Strict)),
        alertafter_window: Some((2, seconds(100))),
        numalerts: Some(1),
        ..alerting()
    };
    let story = [
        (10, 1, ""),
        (20, 1, ""),
        (30, 0, ""),
        (40, 1, ""),
        (50, 1, ""),
    ];
    let rulings = Story::of(vec![period.clone()]).rulings(&story);
    let (no, yes) = (Ruling::HeldBack, Ruling::Passed);
    assert_eq!(rulings, [no, yes, no, no, yes]);
    assert_eq!(alerts(period, &story), [20]);
}

#[test]
fn an_open_gate_is_not_held_up_again() {
    let period = AlertPeriod {
        alerts: vec![lvs_alert()],
        alertafter_window: Some((2, seconds(15))),
        ..silent("table")
    };
    let mut story = Story::of(vec![period]);
    assert_eq!(story.report(10, 1, "").held_back.len(), 1);
    assert_eq!(story.report(20, 1, "").held_back, []);
    // The window of the rule is over; the outage is not.
    let decision = story.report(60, 1, "");
    assert_eq!(
        (decision.ruling, decision.held_back),
        (Ruling::Passed, Vec::new())
    );
    story.report(70, 0, "");
    assert_eq!(story.report(80, 1, "").ruling, Ruling::HeldBack);
}

#[test]
fn exit_ranges_keep_an_outage_from_the_table() {
    let mut only_two = AlertCommand::clone(&lvs_alert());
    only_two.exit = Some(ExitRange { low: 2, high: 2 });
    let by_line = AlertPeriod {
        alerts: vec![Arc::new(only_two)],
        ..silent("line")
    };
    let by_period = AlertPeriod {
        alerts: vec![lvs_alert()],
        alertexitrange: Some(ExitRange { low: 2, high: 2 }),
        ..silent("period")
    };
    for period in [by_line, by_period] {
        let mut story = Story::of(vec![period]);
        let decision = story.report(10, 1, "");
        assert_eq!(decision.ruling, Ruling::HeldBack);
        let ranges = vec![ExitRange { low: 2, high: 2 }];
        let why = Suppressed::ExitRange { exit: 1, ranges };
        assert_eq!(decision.held_back, [(Some(0), why)]);
        assert_eq!(story.report(20, 2, "").ruling, Ruling::Passed);
    }
}

#[test]
fn a_period_that_only_reaches_the_table_has_sent_no_alert() {
    let period = AlertPeriod {
        alerts: vec![lvs_alert()],
        upalerts: vec![lvs_alert(), alert("up.alert")],
        alertafter_count: Some(2),
        ..silent("table")
    };
    let mut story = Story::of(vec![period]);
    let decision = story.report(10, 1, "");
    let why = Suppressed::AlertAfterCount { have: 1, need: 2 };
    assert_eq!(decision.held_back, [(Some(0), why)]);
    let decision = story.report(20, 1, "");
    assert_eq!(
        (decision.ruling, decision.held_back),
        (Ruling::Passed, Vec::new())
    );
    assert_eq!(story.state.memory(&story.service)[0].alert_sent, 0);
    let decision = story.report(30, 0, "");
    assert!(decision.calls.is_empty());
    assert_eq!(decision.held_back, [(Some(0), Suppressed::NoAlertSent)]);
}

#[test]
fn a_start_is_told_and_counts_for_nothing() {
    // E-15: in mon it counts against numalerts and starts the clock of alertevery.
    let period = AlertPeriod {
        startupalerts: vec![alert("start.alert")],
        alertevery: Some((seconds(3_600), Repeat::Strict)),
        numalerts: Some(1),
        ..alerting()
    };
    let mut story = Story::of(vec![period]);
    let text = EventText::default();
    let occasion = Occasion {
        kind: AlertKind::Startup,
        exit: 0,
        text: &text,
        previous: None,
        untold: None,
        repeats: None,
        consec_failures: 0,
        forgiven: 0,
        acked: None,
        outage: Duration::ZERO,
        gate_open: false,
        now: at(0.0),
        zone: &TimeZone::UTC,
    };
    let memory = story.state.memory(&story.service);
    let decision = decide(&story.service, memory, &occasion);
    assert_eq!(decision.calls.len(), 1);
    assert_eq!(memory, [PeriodMemory::default()]);
    assert_eq!(story.report(10, 1, "").calls.len(), 1);
}

/// One event of a service with one period: how many alerts it calls.
fn calls_at(
    period: &AlertPeriod,
    memory: &mut [PeriodMemory],
    kind: AlertKind,
    time: f64,
) -> usize {
    let service = Service {
        periods: vec![period.clone()],
        ..service("g", "s")
    };
    let text = EventText::default();
    let occasion = Occasion {
        kind,
        exit: 1,
        text: &text,
        previous: None,
        untold: None,
        repeats: None,
        consec_failures: 1,
        forgiven: 0,
        acked: None,
        outage: Duration::from_secs_f64(time),
        gate_open: false,
        now: at(time),
        zone: &TimeZone::UTC,
    };
    decide(&service, memory, &occasion).calls.len()
}

#[test]
fn a_window_and_upalertafter_in_seconds_are_compared_with_the_nearest_second() {
    let period = AlertPeriod {
        no_comp_alerts: true,
        upalertafter: Some(seconds(60)),
        alertafter_window: Some((2, seconds(20))),
        ..alerting()
    };
    let mut memory = [PeriodMemory::default()];
    assert_eq!(calls_at(&period, &mut memory, AlertKind::Failure, 0.0), 0);
    assert_eq!(calls_at(&period, &mut memory, AlertKind::Failure, 20.4), 1);
    assert_eq!(calls_at(&period, &mut memory, AlertKind::Up, 59.4), 0);
    assert_eq!(calls_at(&period, &mut memory, AlertKind::Up, 59.6), 1);
}

#[test]
fn a_limit_with_a_fraction_is_taken_exactly() {
    let period = AlertPeriod {
        alertafter_time: Some(Duration::from_millis(1_500)),
        ..alerting()
    };
    let mut memory = [PeriodMemory::default()];
    for (time, expected) in [(0.0, 0), (1.5, 0), (1.501, 1)] {
        let calls = calls_at(&period, &mut memory, AlertKind::Failure, time);
        assert_eq!(calls, expected, "{time}");
    }
}

#[test]
fn one_table_line_that_wants_the_exit_value_is_enough() {
    let mut only_two = AlertCommand::clone(&lvs_alert());
    only_two.exit = Some(ExitRange { low: 2, high: 2 });
    let period = AlertPeriod {
        alerts: vec![Arc::new(only_two), lvs_alert()],
        ..silent("always")
    };
    assert_eq!(
        Story::of(vec![period]).rulings(&[(10, 1, "")]),
        [Ruling::Passed]
    );
}

#[test]
fn a_recovery_is_not_held_back_by_the_rules_of_failures() {
    let period = AlertPeriod {
        alertafter_time: Some(seconds(60)),
        upalerts: vec![lvs_alert()],
        ..alerting()
    };
    let mut story = Story::of(vec![period]);
    story.report(10, 1, "h1\n");
    assert_eq!(story.report(20, 0, "").held_back, []);
}
