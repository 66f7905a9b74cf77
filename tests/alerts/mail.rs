//! Mail through a real SMTP server.

use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::process::{Output, Stdio};
use std::time::Duration;

use lvsmon::alert::mail::Mailer;
use lvsmon::daemon::outbox::{Limits, OutboxSettings};
use lvsmon::engine::event::DeliveryOutcome;
use lvsmon::model::MailSettings;

use super::harness::{Mailroom, block_on, call, quick, settings, spooled, until};
use super::servers::{Relay, certificate, have_relay};
use crate::support::{TempDir, lvsmon, root};

#[test]
fn one_event_is_the_classic_mail_with_proper_headers() {
    if !have_relay("one_event_is_the_classic_mail_with_proper_headers") {
        return;
    }
    let relay = Relay::start(&[]);
    let state = TempDir::new();
    block_on(async {
        let mut outbox = Mailroom::start(settings(&state, &relay.url(), Duration::ZERO, quick()));
        let args = ["-f", "alerts@director.example", "wensong", "ops@b.example"];
        outbox.outbox.send(call(1, "http", "mail.alert", &args));
        assert_eq!(outbox.done(1).await, [(1, DeliveryOutcome::Done)]);
    });
    let mails = relay.mails();
    assert_eq!(mails.len(), 1, "one transaction for both: {mails:?}");
    let mail = &mails[0];
    assert_eq!(mail.from, "alerts@director.example");
    assert_eq!(mail.to, ["wensong@director.example", "ops@b.example"]);
    assert_eq!(mail.header("To"), "wensong@director.example, ops@b.example");
    assert!(mail.header("Date").ends_with("+0000"), "{}", mail.data);
    assert!(mail.header("Message-ID").ends_with("@director.example>"));
    assert_eq!(
        mail.header("X-Lvsmon-Event"),
        "farm/http/1795215956/failure/1"
    );
    let (subject, body) = mail.parsed();
    assert!(
        subject.starts_with("ALERT farm/http: web1 number1 ("),
        "{subject}"
    );
    for line in [
        "Group                 : farm\n",
        "Members               : web1 web2\n",
        "Kind                  : failure\n",
        "  web1  down     refused        connection refused by 10.0.0.7:80\n",
        "HOST web1: ERROR größer als 3 s\n.\nend\n",
    ] {
        assert!(body.contains(line), "{line} in {body}");
    }
    assert!(spooled(&state).is_empty());
}

#[test]
fn of_three_recipients_the_refused_one_costs_the_others_nothing() {
    if !have_relay("of_three_recipients_the_refused_one_costs_the_others_nothing") {
        return;
    }
    let relay = Relay::start(&["--refuse", "bob@b.example", "--later", "carol@b.example"]);
    let state = TempDir::new();
    block_on(async {
        let mut outbox = Mailroom::start(settings(&state, &relay.url(), Duration::ZERO, quick()));
        let args = ["alice@b.example", "bob@b.example", "carol@b.example"];
        outbox.outbox.send(call(1, "http", "mail.alert", &args));
        let done = outbox.done(1).await;
        let (1, DeliveryOutcome::GivenUp(why)) = &done[0] else {
            panic!("{done:?}");
        };
        assert!(why.contains("bob@b.example: "), "{why}");
        assert!(why.contains("550") || why.contains("no such user"), "{why}");
        assert!(!why.contains("carol"), "{why}");
    });
    let mails = relay.mails();
    let to: Vec<&[String]> = mails.iter().map(|mail| mail.to.as_slice()).collect();
    assert_eq!(to, [["alice@b.example"], ["carol@b.example"]]);
    assert_eq!(mails[0].header("Message-ID"), mails[1].header("Message-ID"));
    assert!(spooled(&state).is_empty(), "the refused one is not kept");
}

#[test]
fn a_message_that_is_refused_for_good_is_given_up_at_once() {
    if !have_relay("a_message_that_is_refused_for_good_is_given_up_at_once") {
        return;
    }
    let relay = Relay::start(&["--reject-data"]);
    let state = TempDir::new();
    block_on(async {
        let mut outbox = Mailroom::start(settings(&state, &relay.url(), Duration::ZERO, quick()));
        outbox
            .outbox
            .send(call(1, "http", "mail.alert", &["a@b.example"]));
        let done = outbox.done(1).await;
        assert!(matches!(&done[0].1, DeliveryOutcome::GivenUp(why) if why.contains("not wanted")));
    });
    assert!(spooled(&state).is_empty());
}

#[test]
fn events_within_the_group_wait_come_as_one_mail() {
    if !have_relay("events_within_the_group_wait_come_as_one_mail") {
        return;
    }
    let relay = Relay::start(&[]);
    let state = TempDir::new();
    block_on(async {
        let wait = Duration::from_secs(1);
        let mut outbox = Mailroom::start(settings(&state, &relay.url(), wait, quick()));
        for (number, service) in [(1, "http"), (2, "ping"), (3, "ftp")] {
            let args = ["a@b.example"];
            outbox
                .outbox
                .send(call(number, service, "mail.alert", &args));
        }
        outbox
            .outbox
            .send(call(4, "http", "mail.alert", &["other@b.example"]));
        assert_eq!(outbox.done(4).await.len(), 4);
    });
    let grouped = relay.mails_to("a@b.example");
    assert_eq!(grouped.len(), 1);
    let (subject, body) = grouped[0].parsed();
    assert!(
        subject.starts_with("ALERT 3 events (3 ALERT): farm/http, farm/ping, farm/ftp ("),
        "{subject}"
    );
    let at = |text: &str| {
        body.find(text)
            .unwrap_or_else(|| panic!("{text} in {body}"))
    };
    assert!(at("number1") < at("number2") && at("number2") < at("number3"));
    let other = relay.mails_to("other@b.example");
    assert!(other[0].parsed().0.starts_with("ALERT farm/http: "));
}

#[test]
fn beyond_the_hourly_number_mails_become_a_digest() {
    if !have_relay("beyond_the_hourly_number_mails_become_a_digest") {
        return;
    }
    let relay = Relay::start(&[]);
    let state = TempDir::new();
    let to = ["a@b.example"];
    block_on(async {
        let limits = Limits {
            mails_per_hour: 2,
            digest_wait: Duration::from_secs(8),
            ..quick()
        };
        let wait = Duration::from_millis(50);
        let mut outbox = Mailroom::start(settings(&state, &relay.url(), wait, limits));
        for number in 1..=2 {
            outbox.outbox.send(call(number, "http", "mail.alert", &to));
            assert_eq!(outbox.done(1).await, [(number, DeliveryOutcome::Done)]);
        }
        for number in 3..=5 {
            outbox.outbox.send(call(number, "http", "mail.alert", &to));
            // Each is on the disk, and waits, before the next comes.
            let count = usize::try_from(number).unwrap() - 2;
            until("it waits", || spooled(&state).len() == count).await;
        }
        outbox
            .outbox
            .send(call(6, "http", "mail.alert", &["other@b.example"]));
        assert_eq!(outbox.done(1).await[0].0, 6, "others are not concerned");
        assert_eq!(outbox.done(3).await.len(), 3);
    });
    let mails = relay.mails_to("a@b.example");
    let subjects: Vec<String> = mails.iter().map(|mail| mail.parsed().0).collect();
    assert_eq!(mails.len(), 3, "{subjects:?}");
    assert!(subjects[0].starts_with("ALERT farm/http: web1 number1 ("));
    assert!(subjects[1].starts_with("ALERT farm/http: web1 number2 ("));
    assert!(
        subjects[2].starts_with("ALERT 3 events (3 ALERT): "),
        "{subjects:?}"
    );
    let body = mails[2].parsed().1;
    for number in 3..=5 {
        assert!(body.contains(&format!("web1 number{number}")), "{body}");
    }
}

#[test]
fn bounds_and_waits_are_those_promised() {
    let limits = Limits::default();
    assert_eq!((limits.messages, limits.bytes), (10_000, 100_000_000));
    assert_eq!(limits.mails_per_hour, 60);
    let settings = MailSettings::default();
    assert_eq!(settings.group_wait, Duration::from_secs(5));
}

#[test]
fn starttls_and_login_are_used_where_the_relay_wants_them() {
    let test = "starttls_and_login_are_used_where_the_relay_wants_them";
    let folder = TempDir::new();
    let Some((cert, key)) = certificate(test, &folder) else {
        return;
    };
    if !have_relay(test) {
        return;
    }
    let tls = ["--cert", &cert, "--key", &key];
    let relay = Relay::start(&[&tls[..], &["--login", "mon:s3cret"]].concat());
    let login = folder.write("login", "user mon\npassword s3cret\n");
    private(&login);
    let sent = alone(
        &relay.url(),
        &[("LVSMON_MAIL_LOGIN", login.to_str().unwrap())],
    );
    assert!(sent.status.success(), "{sent:?}");
    let mails = relay.mails();
    assert!(mails[0].tls);
    assert_eq!(mails[0].login.as_deref(), Some("mon"));

    let wrong = folder.write("wrong", "user mon\npassword guess\n");
    private(&wrong);
    let refused = alone(
        &relay.url(),
        &[("LVSMON_MAIL_LOGIN", wrong.to_str().unwrap())],
    );
    assert_eq!(refused.status.code(), Some(1));
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(said.contains("login as mon failed"), "{said}");
    assert!(!said.contains("guess"), "{said}");

    let open = std::fs::Permissions::from_mode(0o644);
    std::fs::set_permissions(&login, open).unwrap();
    let refused = alone(
        &relay.url(),
        &[("LVSMON_MAIL_LOGIN", login.to_str().unwrap())],
    );
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(said.contains("chmod 0600"), "{said}");
    assert_eq!(relay.mails().len(), 1);
}

#[test]
fn with_smtps_the_certificate_is_verified() {
    let test = "with_smtps_the_certificate_is_verified";
    let folder = TempDir::new();
    let Some((cert, key)) = certificate(test, &folder) else {
        return;
    };
    if !have_relay(test) {
        return;
    }
    let relay = Relay::start(&["--cert", &cert, "--key", &key, "--smtps"]);
    let url = format!("smtps://localhost:{}", relay.port);
    let refused = alone(&url, &[]);
    assert_eq!(refused.status.code(), Some(1), "{refused:?}");
    assert!(relay.mails().is_empty());
    let sent = alone(&url, &[("SSL_CERT_FILE", &cert)]);
    assert!(sent.status.success(), "{sent:?}");
    assert!(relay.mails()[0].tls);
}

fn private(path: &std::path::Path) {
    let mode = std::fs::Permissions::from_mode(0o600);
    std::fs::set_permissions(path, mode).unwrap();
}

/// `lvsmon alert mail` as mon calls it for a recovery.
fn alone(relay: &str, environment: &[(&str, &str)]) -> Output {
    let mut command = lvsmon([
        "alert",
        "mail",
        "-s",
        "http",
        "-g",
        "farm",
        "-h",
        "web1",
        "-t",
        "1795215956",
        "-u",
        "root",
    ]);
    command
        .env("LVSMON_MAIL_RELAY", relay)
        .env("LVSMON_MAIL_DOMAIN", "director.example")
        .envs(environment.iter().copied());
    fed(command, b"web1\ndetail\n")
}

fn fed(mut command: std::process::Command, input: &[u8]) -> Output {
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    // It may end before it reads.
    let _ = child.stdin.take().unwrap().write_all(input);
    child.wait_with_output().unwrap()
}

#[test]
fn the_stand_in_delivers_what_mon_hands_it() {
    if !have_relay("the_stand_in_delivers_what_mon_hands_it") {
        return;
    }
    let relay = Relay::start(&[]);
    let mut command = std::process::Command::new(root().join("alert.d/mail.alert"));
    command
        .args([
            "-s",
            "http",
            "-g",
            "farm",
            "-h",
            "web1 web2",
            "-t",
            "1795215956",
        ])
        .args(["-S", "über alles", "wensong", "ops@b.example"])
        .env("LVSMON", crate::support::lvsmon_path())
        .env("LVSMON_MAIL_RELAY", relay.url())
        .env("MON_ALERTTYPE", "ack")
        .env("TZ", "UTC");
    let sent = fed(command, b"operator: looking into it");
    assert!(sent.status.success(), "{sent:?}");
    let (subject, body) = relay.mails()[0].parsed();
    assert_eq!(
        subject,
        "ACKALERT farm/http: über alles (Fri Nov 20 23:05:56)"
    );
    assert!(
        body.contains("Members               : web1 web2\n"),
        "{body}"
    );
}

#[test]
fn wrong_usage_of_a_stand_alone_alert_is_status_2() {
    for args in [
        &["alert", "mail"][..],
        &["alert", "mail", "-q", "root"],
        &["alert", "webhook", "ftp://h/"],
        &["alert", "pager", "x"],
    ] {
        let output = fed(lvsmon(args), b"");
        assert_eq!(output.status.code(), Some(2), "{args:?}: {output:?}");
        assert!(!output.stderr.is_empty());
    }
}

#[test]
fn sendmail_gets_sender_recipient_and_message_and_may_ask_to_come_again() {
    let folder = TempDir::new();
    let stub = folder.write_executable(
        "sendmail",
        "#!/bin/sh\ncd \"$(dirname \"$0\")\" || exit 1\nprintf '[%s]' \"$@\" >>args; echo >>args\n\
         case \"$*\" in *bob*) echo 'no such user' >&2; exit 67;; esac\n\
         test -e first || { : >first; exit 75; }\ncat >>mail\n",
    );
    // Without mail_relay it is the local sendmail, where there is one; so it is by name.
    block_on(async {
        let mut settings = OutboxSettings {
            mailer: Mailer::new(MailSettings {
                domain: Some("director.example".to_owned()),
                group_wait: Duration::ZERO,
                ..MailSettings::default()
            }),
            ..settings(&folder, "sendmail", Duration::ZERO, quick())
        };
        settings.mailer = settings.mailer.with_sendmail(stub.clone());
        let mut outbox = Mailroom::start(settings);
        outbox
            .outbox
            .send(call(1, "http", "mail.alert", &["wensong"]));
        assert_eq!(outbox.done(1).await, [(1, DeliveryOutcome::Done)]);
    });
    block_on(async {
        let mut settings = settings(&folder, "sendmail", Duration::ZERO, quick());
        settings.mailer = settings.mailer.with_sendmail(stub);
        let mut outbox = Mailroom::start(settings);
        outbox.outbox.send(call(2, "http", "mail.alert", &["bob"]));
        let done = outbox.done(1).await;
        assert!(
            matches!(&done[0].1, DeliveryOutcome::GivenUp(why) if why.contains("no such user"))
        );
    });
    let args = folder.read("args");
    let wensong = "[-i][-f][mon@director.example][--][wensong@director.example]\n";
    assert_eq!(
        args.matches(wensong).count(),
        2,
        "tried again after 75: {args}"
    );
    assert_eq!(args.lines().count(), 3, "67 is final: {args}");
    let mail = folder.read("mail");
    assert!(mail.contains("\nSubject: ALERT farm/http: "), "{mail}");
    assert!(!mail.contains('\r'), "line ends of the system");
}

#[test]
fn a_reload_turns_to_the_new_relay_at_once() {
    if !have_relay("a_reload_turns_to_the_new_relay_at_once") {
        return;
    }
    let gone = Relay::down();
    let relay = Relay::start(&[]);
    let state = TempDir::new();
    block_on(async {
        let mut limits = quick();
        limits.retry_first = Duration::from_secs(3_600);
        limits.retry_most = Duration::from_secs(3_600);
        let old = settings(&state, &gone.url(), Duration::ZERO, limits.clone());
        let mut outbox = Mailroom::start(old);
        outbox
            .outbox
            .send(call(1, "http", "mail.alert", &["a@b.example"]));
        until("the message in the spool", || !spooled(&state).is_empty()).await;
        let new = settings(&state, &relay.url(), Duration::ZERO, limits);
        outbox.outbox.reload(new);
        assert_eq!(outbox.done(1).await, [(1, DeliveryOutcome::Done)]);
    });
    assert_eq!(relay.mails().len(), 1);
}
