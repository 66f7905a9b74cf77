//! Moments, texts, and what a success leaves behind.

use super::*;
use crate::engine::event::Ended;
use crate::engine::fixture::{EPOCH, alerting, at, ended, exited, seconds, service};
use crate::time::Mono;

#[test]
fn a_restored_moment_lies_as_far_back_as_the_wall_clock_says() {
    let now = at(5.0);
    let moment = Moment::restored(Wall::from_seconds(EPOCH - 100), now);
    assert_eq!(moment.ago(now), seconds(105));
    assert_eq!(moment.wall(now), Wall::from_seconds(EPOCH - 100));
    let future = Moment::restored(Wall::from_seconds(EPOCH + 100), now);
    assert_eq!(future.ago(now), Duration::ZERO);
    let beginning = Moment::restored(Wall::from_micros(i64::MIN), now);
    assert!(beginning.ago(now) > seconds(86_400 * 365));
}

#[test]
fn spans_follow_the_monotonic_clock_when_the_wall_clock_is_set() {
    let moment = Moment::of(at(10.0));
    let now = Now {
        mono: Mono::ZERO.after(seconds(30)),
        wall: Wall::from_seconds(EPOCH - 1_000_000),
    };
    assert_eq!(moment.ago(now), seconds(20));
}

#[test]
fn a_text_is_split_at_the_first_newline() {
    let cases = [
        ("h1\nmore\nstill\n", "h1", "more\nstill\n"),
        ("h1", "h1", ""),
        ("\nmore", "(NO SUMMARY)", "more"),
        (" \t\nmore", "(NO SUMMARY)", "more"),
        ("", "(NO SUMMARY)", ""),
    ];
    for (output, summary, detail) in cases {
        let text = EventText::of(exited(1, output));
        assert_eq!(text.summary(Status::Fail), summary, "{output:?}");
        assert_eq!(text.detail(), detail, "{output:?}");
    }
    assert_eq!(EventText::of(exited(0, " \n")).summary(Status::Ok), " ");
}

#[test]
fn a_killed_run_keeps_what_it_had_written() {
    let text = EventText::of(ended(Ended::Signalled(15), "h1\n"));
    assert_eq!(&*text.output, b"killed by signal 15 (SIGTERM)\nh1\n");
    let text = EventText::of(ended(Ended::Signalled(64), ""));
    assert_eq!(&*text.output, b"killed by signal 64\n");
    let text = EventText::of(ended(Ended::TimedOut(seconds(90)), "h1"));
    assert_eq!(&*text.output, b"no result within 1m30s, killed\nh1");
}

#[test]
fn a_text_from_the_journal_is_compared_as_far_as_it_was_kept() {
    let kept = |output: &str, kept| EventText {
        output: output.as_bytes().into(),
        reason: None,
        kept,
    };
    let later = EventText::of(exited(1, "h1\nmore"));
    assert!(kept("h1\nmore", Kept::Whole).says_the_same(&later));
    assert!(kept("h1\nmore", Kept::Text).says_the_same(&later));
    assert!(!kept("h1\n", Kept::Text).says_the_same(&later));
    assert!(kept("h1\n", Kept::Beginning).says_the_same(&later));
    assert!(!kept("h2\n", Kept::Beginning).says_the_same(&later));
    let mut garbled = exited(1, "");
    garbled.output = vec![b'a', 0xff];
    assert!(kept("a\u{fffd}", Kept::Text).says_the_same(&EventText::of(garbled)));
}

#[test]
fn a_summary_is_compared_as_far_as_the_journal_kept_it() {
    let kept = |output: &str, kept| EventText {
        output: output.as_bytes().into(),
        reason: None,
        kept,
    };
    let later = EventText::of(exited(1, "h1 h2 h3\nmore"));
    let cases = [
        ("h1 h2 h3\nother", Kept::Whole, true),
        ("h1 h2 h3\nother", Kept::Beginning, true),
        ("h1 h2\nmore", Kept::Beginning, false),
        ("h1 h2", Kept::Beginning, true),
        ("h2", Kept::Beginning, false),
        ("h1 h2", Kept::Text, false),
        ("h1 h2", Kept::Whole, false),
    ];
    for (output, how, is_same) in cases {
        let before = kept(output, how);
        assert_eq!(
            before.same_summary(&later, str::to_owned),
            is_same,
            "{output:?} {how:?}"
        );
    }
    let squeezed = |summary: &str| summary.split_whitespace().collect();
    assert!(kept("h1  h", Kept::Beginning).same_summary(&later, squeezed));
    let blank = kept("  ", Kept::Beginning);
    assert!(blank.same_summary(&EventText::of(exited(1, "   h1\n")), str::to_owned));
    let reason = EventText {
        reason: Some("h1 h2 h3".into()),
        ..EventText::default()
    };
    assert!(reason.same_summary(&later, str::to_owned));
}

#[test]
fn a_success_forgets_everything_but_the_time_that_strict_asks_for() {
    let mut strict = alerting();
    strict.alertevery = Some((seconds(60), Repeat::Strict));
    let mut plain = alerting();
    plain.alertevery = Some((seconds(60), Repeat::IgnoreSummary));
    let service = Service {
        periods: vec![strict, plain],
        ..service("g", "s")
    };
    let mut state = ServiceState {
        status: Status::Ok,
        ..ServiceState::default()
    };
    let last = Some(Moment::of(at(1.0)));
    for memory in state.memory(&service) {
        memory.alert_sent = 3;
        memory.last_alert = last;
        memory.messages.count = 2;
        memory.gate.first = last;
    }
    state.end_outage(&service);
    let kept = PeriodMemory {
        last_alert: last,
        ..PeriodMemory::default()
    };
    assert_eq!(
        state.periods.as_deref(),
        Some(&[kept, PeriodMemory::default()][..])
    );
    assert_eq!(state.last_success, None, "an end is no success by itself");
}

#[test]
fn an_output_is_kept_up_to_its_bound() {
    let mut report = exited(1, "");
    report.output = vec![b'x'; Report::OUTPUT_MAX + 1];
    assert_eq!(EventText::of(report).output.len(), Report::OUTPUT_MAX);
}

#[test]
fn a_native_check_says_of_each_host_what_a_person_reads() {
    use crate::engine::event::{HostResult, Reason};
    let mut report = exited(1, "h1\n");
    report.hosts = vec![HostResult {
        host: HostName::new("h1"),
        verdict: HostVerdict::Down(Reason::Refused),
        text: "connection refused".to_owned(),
        weight: None,
        took: seconds(1),
    }];
    let hosts = hosts_of(&report, &[HostName::new("h1")], &service("g", "s"));
    assert_eq!(&*hosts[0].text, "connection refused");
}

#[test]
fn all_hosts_fail_where_the_service_says_so() {
    let checked = [HostName::new("h1"), HostName::new("h2")];
    let mut all = service("g", "s");
    all.all_hosts_on_failure = true;
    let down = |service: &Service| {
        let hosts = hosts_of(&exited(1, "bad\n"), &checked, service);
        let down = hosts
            .iter()
            .filter(|host| matches!(host.verdict, HostVerdict::Down(_)));
        down.count()
    };
    assert_eq!((down(&all), down(&service("g", "s"))), (2, 0));
}
