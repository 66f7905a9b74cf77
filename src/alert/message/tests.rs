//! The text of mails.

use super::*;
use crate::alert::notice::tests::notice;

fn zone() -> TimeZone {
    TimeZone::UTC
}

#[test]
fn one_event_reads_as_mons_mail_does() {
    let text = text(&[notice()], &zone());
    assert_eq!(text.subject, "ALERT farm/http: web1 (Fri Nov 20 23:05:56)");
    let expected = "
Group                 : farm
Service               : http
Time noticed          : Fri Nov 20 23:05:56 2026
Secs until next alert : 
Members               : web1 web2
Kind                  : failure
Exit value            : 1
Failing since         : Fri Nov 20 23:05:56 2026 (0ms)
Description           : the farm
Event                 : farm/http/1795215956/failure/1

Host results:
  web1  down     refused        connection refused by 10.0.0.7:80
  web2  up

Detailed text (if any) follows:
-------------------------------

HOST web1: refused
";
    assert_eq!(text.body, expected);
}

#[test]
fn the_subject_says_the_kind() {
    let cases = [
        (AlertKind::Failure, "ALERT "),
        (AlertKind::Up, "UPALERT "),
        (AlertKind::Startup, "STARTUPALERT "),
        (AlertKind::Trap, "ALERT "),
        (AlertKind::TrapTimeout, "ALERT "),
        (AlertKind::Ack, "ACKALERT "),
        (AlertKind::Disable, "DISABLEALERT "),
        (AlertKind::Test, "TEST ALERT "),
    ];
    for (kind, start) in cases {
        let notice = Notice { kind, ..notice() };
        let text = text(&[notice], &zone());
        assert!(text.subject.starts_with(start), "{}", text.subject);
        let line = format!("Kind                  : {}\n", kind.word());
        assert!(text.body.contains(&line), "{}", text.body);
    }
}

#[test]
fn nothing_in_a_notice_can_break_out_of_its_line() {
    let evil = "x\r\nBcc: all@example.org\u{2028}y\u{0}\u{1b}[2J";
    let mut bad = notice();
    bad.summary = evil.to_owned();
    bad.group = evil.to_owned();
    bad.hosts = vec![evil.to_owned()];
    bad.event = evil.to_owned();
    bad.description = Some(evil.to_owned());
    bad.results[0].text = evil.to_owned();
    for notices in [vec![bad.clone()], vec![bad.clone(), bad]] {
        let text = text(&notices, &zone());
        assert!(
            !text.subject.chars().any(char::is_control),
            "{:?}",
            text.subject
        );
        assert!(text.subject.len() <= SUBJECT_MAX);
        let starts = text.body.lines().filter(|line| line.starts_with("Bcc"));
        assert_eq!(starts.count(), 0, "{}", text.body);
        assert!(!text.body.contains('\u{1b}'));
    }
}

#[test]
fn long_summaries_are_shortened_between_characters() {
    let long = Notice {
        summary: "é".repeat(500),
        ..notice()
    };
    let subject = text(&[long], &zone()).subject;
    assert!(subject.len() <= SUBJECT_MAX, "{}", subject.len());
    assert!(subject.ends_with("... (Fri Nov 20 23:05:56)"), "{subject}");
}

#[test]
fn many_members_are_wrapped_with_three_tabs() {
    let hosts: Vec<String> = (0..20).map(|n| format!("server{n}")).collect();
    let text = members(&hosts);
    assert!(text.contains("\n\t\t\t"), "{text}");
    assert_eq!(text.split_whitespace().count(), 20);
    assert!(text.lines().all(|line| line.trim().len() <= 54), "{text}");
}

#[test]
fn messages_left_out_are_said() {
    let notice = Notice {
        left_out: 3,
        ..notice()
    };
    let body = text(&[notice], &zone()).body;
    let line = "\n3 earlier messages to this receiver were left out: the outbox was full.\n";
    assert!(body.contains(line), "{body}");
}

#[test]
fn many_events_are_listed_and_told_in_full() {
    let up = Notice {
        kind: AlertKind::Up,
        service: "ping".to_owned(),
        ..notice()
    };
    let text = text(&[notice(), up, notice()], &zone());
    assert_eq!(
        text.subject,
        "ALERT 3 events (2 ALERT, 1 UPALERT): farm/http, farm/ping (Fri Nov 20 23:05:56)"
    );
    assert!(text.body.starts_with("\n3 events, oldest first:\n\n"));
    let list = "Fri Nov 20 23:05:56  UPALERT       farm/ping: web1\n";
    assert!(text.body.contains(list), "{}", text.body);
    assert_eq!(text.body.matches("Detailed text").count(), 3);
}

#[test]
fn a_mail_about_thousands_of_events_stays_small() {
    let big = Notice {
        detail: "x".repeat(Notice::DETAIL_MAX),
        ..notice()
    };
    let text = text(&vec![big; 200], &zone());
    assert!(text.body.len() < 600_000, "{}", text.body.len());
    assert!(text.body.contains("more events are not told in full."));
    assert_eq!(text.body.matches("farm/http: web1").count(), 200);
}

#[test]
fn message_ids_depend_on_the_events_alone() {
    let one = message_id(["a"].into_iter(), "h.example");
    assert_eq!(one, message_id(["a"].into_iter(), "h.example"));
    assert_ne!(one, message_id(["a", "b"].into_iter(), "h.example"));
    assert_ne!(
        message_id(["ab"].into_iter(), "h"),
        message_id(["a", "b"].into_iter(), "h")
    );
    assert!(one.starts_with("<lvsmon.") && one.ends_with("@h.example>"));
    assert!(message_id(["a"].into_iter(), "bad>\r\n").ends_with("@bad>"));
}
