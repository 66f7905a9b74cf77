//! What is held for the other director of a pair.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use lvsmon::daemon::outbox::{Outbox, OutboxSettings};
use lvsmon::engine::event::{DeliveryOutcome, Renumbering};
use lvsmon::pair::Speaking;
use lvsmon::pair::post::{Tidings, receiver};
use lvsmon::pair::talk;
use lvsmon::time::Mono;
use tokio::sync::mpsc;

use super::bounds::Log;
use super::harness::{
    LIMIT, Mailroom, block_on, call, program_call, quick, settings, spooled, until,
};
use super::servers::{Relay, have_relay};
use crate::support::TempDir;

fn start(
    settings: OutboxSettings,
    speaking: Speaking,
    tidings: Option<mpsc::Sender<Tidings>>,
) -> Mailroom {
    let (sender, events) = mpsc::channel(100);
    Mailroom {
        outbox: Outbox::start_as(settings, speaking, tidings, sender),
        events,
    }
}

fn told(event: &str, to: &str) -> talk::Delivery {
    talk::Delivery {
        event: Arc::from(event),
        to: Arc::from(to),
    }
}

/// What the other director is to hear, where that is a delivery.
fn delivered(tidings: Option<Tidings>) -> talk::Delivery {
    match tidings {
        Some(Tidings::Delivered(delivery)) => delivery,
        other => panic!("no delivery: {other:?}"),
    }
}

/// An alert program, and the file by which it is known to have run.
fn page(state: &TempDir) -> (PathBuf, PathBuf) {
    let ran = state.join("ran");
    let script = format!("#!/bin/sh\necho ran >> {}\n", ran.display());
    (state.write_executable("page.alert", script), ran)
}

#[test]
fn the_standby_holds_and_tells_after_a_takeover_what_the_active_did_not() {
    let test = "the_standby_holds_and_tells_after_a_takeover_what_the_active_did_not";
    if !have_relay(test) {
        return;
    }
    let relay = Relay::start(&[]);
    let state = TempDir::new();
    let (program, ran) = page(&state);
    block_on(async {
        let settings = settings(&state, &relay.url(), Duration::ZERO, quick());
        let mut outbox = start(settings.clone(), Speaking::Silent, None);
        let args = ["ops@b.example", "boss@b.example"];
        for (number, service) in [(1, "http"), (2, "ping")] {
            outbox
                .outbox
                .send(call(number, service, "mail.alert", &args));
        }
        outbox.outbox.send(program_call(3, "http", &program, &[]));
        until("five held", || outbox.outbox.held() == 5).await;
        // The active reached everybody with the first event, and one of two with the second.
        let first = "farm/http/1795215956/failure/1";
        let second = "farm/ping/1795215956/failure/2";
        let said = vec![
            told(first, "ops@b.example"),
            told(first, "boss@b.example"),
            told(second, "ops@b.example"),
            told("farm/none/1/failure/1", "ops@b.example"),
        ];
        outbox.outbox.told_elsewhere(said);
        assert_eq!(outbox.done(1).await, [(1, DeliveryOutcome::Elsewhere)]);
        until("two held", || outbox.outbox.held() == 2).await;
        assert!(relay.mails().is_empty() && !ran.exists());
        // The spool outlives the daemon, with mails and programs.
        drop(outbox);
        let (says, mut reached) = mpsc::channel(10);
        let mut outbox = start(settings, Speaking::Silent, Some(says));
        outbox.outbox.send(program_call(4, "http", &program, &[]));
        until("held again", || outbox.outbox.held() == 3).await;
        outbox.outbox.speak(Speaking::Speaks);
        assert_eq!(outbox.done(1).await, [(4, DeliveryOutcome::Done)]);
        until("a mail", || relay.mails().len() == 1).await;
        let mut heard = Vec::new();
        while heard.len() < 3 {
            let one = tokio::time::timeout(LIMIT, reached.recv()).await;
            heard.push(delivered(one.unwrap()));
        }
        heard.sort();
        let page = receiver("program", ["own.alert"]);
        let program = |number| told(&format!("farm/http/1795215956/failure/{number}"), &page);
        let mail = told(second, "boss@b.example");
        assert_eq!(heard, [program(3), program(4), mail]);
        until("an empty spool", || spooled(&state).is_empty()).await;
    });
    let mails = relay.mails();
    assert_eq!(mails[0].to, ["boss@b.example"]);
    let id = mails[0].header("X-Lvsmon-Event");
    assert_eq!(id, "farm/ping/1795215956/failure/2", "the same id");
}

/// Its call was said to wait by a daemon that is no more.
#[test]
fn what_waited_before_a_restart_is_said_to_be_sent_when_it_was() {
    let test = "what_waited_before_a_restart_is_said_to_be_sent_when_it_was";
    if !have_relay(test) {
        return;
    }
    let relay = Relay::start(&[]);
    let (state, log) = (TempDir::new(), Log::default());
    let (program, ran) = page(&state);
    let _listening = log.listen();
    let said = |what: &str| log.count(&format!("alert sent, which had waited{what}"));
    block_on(async {
        // Those of one moment are one mail.
        let settings = settings(&state, &relay.url(), Duration::from_millis(1), quick());
        let before = start(settings.clone(), Speaking::Silent, None);
        let mail = |number, service| call(number, service, "mail.alert", &["ops@b.example"]);
        for (number, service) in [(1, "http"), (2, "ping"), (3, "smtp")] {
            before.outbox.send(mail(number, service));
        }
        before.outbox.send(program_call(4, "http", &program, &[]));
        until("four held", || before.outbox.held() == 4).await;
        drop(before);
        let mut after = start(settings.clone(), Speaking::Silent, None);
        until("held again", || after.outbox.held() == 4).await;
        // What is called once more is said by whoever calls it.
        after.outbox.send(mail(3, "smtp"));
        after.outbox.speak(Speaking::Speaks);
        assert_eq!(after.done(1).await, [(3, DeliveryOutcome::Done)]);
        until("an empty spool", || spooled(&state).is_empty()).await;
        until("the program", || ran.exists()).await;
        until("three said", || said("") == 3).await;
        // What this director sent at once had never waited.
        after.outbox.send(mail(5, "dns"));
        assert_eq!(after.done(1).await, [(5, DeliveryOutcome::Done)]);
    });
    assert_eq!(said(""), 3);
    for (service, to) in [
        ("http", "ops@b.example"),
        ("ping", "ops@b.example"),
        ("http", "own.alert"),
    ] {
        let what = format!(" service=\"farm/{service}\" what=\"failure alert to {to}\"");
        assert_eq!(said(&what), 1, "{what}");
    }
}

#[test]
fn without_a_word_of_the_other_director_only_the_newest_is_told_after_a_takeover() {
    let test = "without_a_word_of_the_other_director_only_the_newest_is_told_after_a_takeover";
    if !have_relay(test) {
        return;
    }
    let relay = Relay::start(&[]);
    let state = TempDir::new();
    block_on(async {
        let mut settings = settings(&state, &relay.url(), Duration::ZERO, quick());
        settings.held_most = Some(Duration::ZERO);
        let mut outbox = start(settings.clone(), Speaking::Silent, None);
        outbox
            .outbox
            .send(call(1, "http", "mail.alert", &["ops@b.example"]));
        until("one held", || outbox.outbox.held() == 1).await;
        outbox.outbox.speak(Speaking::Speaks);
        assert_eq!(outbox.done(1).await, [(1, DeliveryOutcome::Left)]);
        // What it was to tell itself stays its own, however old.
        outbox
            .outbox
            .send(call(2, "ping", "mail.alert", &["ops@b.example"]));
        assert_eq!(outbox.done(1).await, [(2, DeliveryOutcome::Done)]);
    });
    assert_eq!(relay.mails().len(), 1);
}

#[test]
fn what_a_director_did_not_get_out_before_it_lost_its_role_stays_its_own() {
    let test = "what_a_director_did_not_get_out_before_it_lost_its_role_stays_its_own";
    if !have_relay(test) {
        return;
    }
    let mut relay = Relay::down();
    let state = TempDir::new();
    block_on(async {
        let mut settings = settings(&state, &relay.url(), Duration::ZERO, quick());
        settings.held_most = Some(Duration::ZERO);
        let mut outbox = start(settings, Speaking::Speaks, None);
        outbox
            .outbox
            .send(call(1, "http", "mail.alert", &["ops@b.example"]));
        until("one in the spool", || spooled(&state).len() == 1).await;
        outbox.outbox.speak(Speaking::Silent);
        until("one held", || outbox.outbox.held() == 1).await;
        relay.up(&[]);
        outbox.outbox.speak(Speaking::Speaks);
        assert_eq!(outbox.done(1).await, [(1, DeliveryOutcome::Done)]);
    });
    assert_eq!(relay.mails().len(), 1);
}

#[test]
fn what_is_held_of_an_outage_that_gets_the_peers_number_has_its_event_id() {
    let test = "what_is_held_of_an_outage_that_gets_the_peers_number_has_its_event_id";
    if !have_relay(test) {
        return;
    }
    let relay = Relay::start(&[]);
    let state = TempDir::new();
    let (program, _) = page(&state);
    let page = receiver("program", ["own.alert"]);
    let renumbered = |from: u32, to: u32| {
        let outage = |number| format!("farm/http/179521595{number}");
        let (from, to) = (outage(from), outage(to));
        vec![Renumbering { from, to }]
    };
    let id = |outage: u32, number: u32| format!("farm/http/179521595{outage}/failure/{number}");
    block_on(async {
        let settings = settings(&state, &relay.url(), Duration::ZERO, quick());
        let mut outbox = start(settings.clone(), Speaking::Silent, None);
        let mail = |number, to| call(number, "http", "mail.alert", &[to]);
        outbox.outbox.send(mail(1, "ops@b.example"));
        outbox.outbox.send(mail(2, "boss@b.example"));
        outbox.outbox.send(program_call(3, "http", &program, &[]));
        outbox.outbox.send(program_call(4, "http", &program, &[]));
        until("four held", || outbox.outbox.held() == 4).await;
        // Some of it the peer has told before the number is known, some it tells later.
        let early = vec![told(&id(4, 1), "ops@b.example"), told(&id(4, 3), &page)];
        outbox.outbox.told_elsewhere(early);
        outbox.outbox.renumber(renumbered(6, 5));
        outbox.outbox.renumber(renumbered(5, 4));
        let mut dropped = outbox.done(2).await;
        dropped.sort_by_key(|(number, _)| *number);
        let elsewhere = |number| (number, DeliveryOutcome::Elsewhere);
        assert_eq!(dropped, [elsewhere(1), elsewhere(3)]);
        outbox.outbox.told_elsewhere(vec![told(&id(4, 4), &page)]);
        assert_eq!(outbox.done(1).await, [elsewhere(4)]);
        // A call that was on its way has the old number.
        outbox.outbox.send(mail(5, "ops@b.example"));
        outbox.outbox.send(mail(1, "ops@b.example"));
        assert_eq!(outbox.done(1).await, [elsewhere(1)]);
        outbox.outbox.send(program_call(6, "http", &program, &[]));
        until("three held", || outbox.outbox.held() == 3).await;
        // The peer may call it by the old one.
        outbox
            .outbox
            .told_elsewhere(vec![told(&id(4, 5), "ops@b.example")]);
        assert_eq!(outbox.done(1).await, [elsewhere(5)]);
        // The spool has the new one.
        drop(outbox);
        let (says, mut reached) = mpsc::channel(10);
        let outbox = start(settings, Speaking::Speaks, Some(says));
        let mut heard = Vec::new();
        while heard.len() < 2 {
            let one = tokio::time::timeout(LIMIT, reached.recv()).await.unwrap();
            // The numbers that changed before the restart are said once more.
            if !matches!(one, Some(Tidings::Renumbered { .. })) {
                heard.push(delivered(one));
            }
        }
        heard.sort();
        let expected = [told(&id(4, 2), "boss@b.example"), told(&id(4, 6), &page)];
        assert_eq!(heard, expected);
        until("an empty spool", || spooled(&state).is_empty()).await;
        drop(outbox);
    });
    let mails = relay.mails();
    assert_eq!(mails.len(), 1);
    assert_eq!(mails[0].to, ["boss@b.example"]);
    assert_eq!(mails[0].header("X-Lvsmon-Event"), id(4, 2));
    assert_eq!(state.read("ran"), "ran\n", "the last one, once");
}

#[test]
fn every_delivery_is_said_however_slowly_that_is_heard() {
    let test = "every_delivery_is_said_however_slowly_that_is_heard";
    if !have_relay(test) {
        return;
    }
    let relay = Relay::start(&[]);
    let state = TempDir::new();
    let recipients: Vec<String> = (0..6).map(|n| format!("ops{n}@b.example")).collect();
    let to: Vec<&str> = recipients.iter().map(String::as_str).collect();
    block_on(async {
        let settings = settings(&state, &relay.url(), Duration::ZERO, quick());
        let (says, mut reached) = mpsc::channel(1);
        let mut outbox = start(settings, Speaking::Speaks, Some(says));
        outbox.outbox.send(call(1, "http", "mail.alert", &to));
        // Nobody listens until all of it is delivered.
        assert_eq!(outbox.done(1).await, [(1, DeliveryOutcome::Done)]);
        let mut heard = Vec::new();
        while heard.len() < to.len() {
            let one = tokio::time::timeout(LIMIT, reached.recv()).await;
            heard.push(delivered(one.unwrap()).to.to_string());
        }
        heard.sort();
        assert_eq!(heard, to);
    });
}

#[test]
fn a_director_that_stood_still_tells_nothing_before_the_other_one_has_said_what_it_told() {
    let test =
        "a_director_that_stood_still_tells_nothing_before_the_other_one_has_said_what_it_told";
    if !have_relay(test) {
        return;
    }
    let mut relay = Relay::down();
    let state = TempDir::new();
    let (program, ran) = page(&state);
    block_on(async {
        let settings = settings(&state, &relay.url(), Duration::ZERO, quick());
        let mut outbox = start(settings, Speaking::Speaks, None);
        // Two receivers: of one these would become one mail.
        let calls = [(1, "http", "ops@b.example"), (2, "ping", "boss@b.example")];
        for (number, service, to) in calls {
            let call = call(number, service, "mail.alert", &[to]);
            outbox.outbox.send(call);
        }
        until("two in the spool", || spooled(&state).len() == 2).await;
        // The lease is over: nobody had to say so.
        outbox.outbox.lease(Some(Mono::ZERO));
        relay.up(&[]);
        outbox.outbox.send(program_call(3, "http", &program, &[]));
        until("three held", || outbox.outbox.held() == 3).await;
        let first = "farm/http/1795215956/failure/1";
        outbox
            .outbox
            .told_elsewhere(vec![told(first, "ops@b.example")]);
        // It has its speaking all along.
        assert_eq!(outbox.outbox.speaking(), Speaking::Speaks);
        assert_eq!(outbox.done(1).await, [(1, DeliveryOutcome::Elsewhere)]);
        assert!(relay.mails().is_empty() && !ran.exists());
        outbox.outbox.lease(None);
        let mut done = outbox.done(2).await;
        done.sort_by_key(|(number, _)| *number);
        assert_eq!(
            done,
            [(2, DeliveryOutcome::Done), (3, DeliveryOutcome::Done)]
        );
    });
    let mails = relay.mails();
    assert_eq!(mails.len(), 1);
    let id = mails[0].header("X-Lvsmon-Event");
    assert_eq!(id, "farm/ping/1795215956/failure/2");
}

#[test]
fn a_message_whose_file_outlived_its_delivery_is_told_to_the_other_director_and_not_again() {
    let test =
        "a_message_whose_file_outlived_its_delivery_is_told_to_the_other_director_and_not_again";
    if !have_relay(test) {
        return;
    }
    let mut relay = Relay::down();
    let state = TempDir::new();
    block_on(async {
        let mut settings = settings(&state, &relay.url(), Duration::ZERO, quick());
        settings.has_peer = true;
        let mut outbox = start(settings.clone(), Speaking::Speaks, None);
        for (number, service, to) in [(1, "http", "ops@b.example"), (2, "ping", "boss@b.example")] {
            outbox
                .outbox
                .send(call(number, service, "mail.alert", &[to]));
        }
        until("two in the spool", || spooled(&state).len() == 2).await;
        let files: Vec<(String, String)> = spooled(&state)
            .into_iter()
            .map(|name| {
                (
                    format!("spool/{name}"),
                    state.read(&format!("spool/{name}")),
                )
            })
            .collect();
        relay.up(&[]);
        assert_eq!(outbox.done(1).await[0].1, DeliveryOutcome::Done);
        until("no message in the spool", || spooled(&state).is_empty()).await;
        drop(outbox);
        // As after a crash before the files were deleted, of a list that lost its end.
        for (name, text) in &files {
            state.write(name, text);
        }
        let list = state.read("spool/delivered");
        let (one, other) = list.split_once('\n').unwrap();
        let told_first = ["http", "ping"].map(|it| one.contains(it));
        state.write("spool/delivered", format!("{one}\n{}", &other[..9]));
        let (says, mut reached) = mpsc::channel(10);
        let _outbox = start(settings, Speaking::Speaks, Some(says));
        let mut services = Vec::new();
        while services.len() < 2 {
            let next = tokio::time::timeout(LIMIT, reached.recv()).await.unwrap();
            let event = delivered(next).event;
            services.push(["http", "ping"].map(|it| event.contains(it)));
        }
        assert_eq!(services, [told_first, told_first.map(|it| !it)]);
        until("both told", || {
            state.read("spool/delivered").lines().count() == 2
        })
        .await;
    });
    assert_eq!(relay.mails().len(), 3, "the one that was forgotten alone");
}
