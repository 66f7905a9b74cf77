//! Servers that are away, slow or full of themselves; a disk that is full; a process that dies.

use std::time::Duration;

use lvsmon::daemon::outbox::Limits;
use lvsmon::engine::event::DeliveryOutcome;

use super::harness::{Mailroom, block_on, call, program_call, quick, settings, spooled, until};
use super::servers::{Receiver, Relay, have_receiver, have_relay};
use crate::support::TempDir;

#[test]
fn a_relay_that_is_down_for_a_while_loses_nothing_and_keeps_the_order() {
    if !have_relay("a_relay_that_is_down_for_a_while_loses_nothing_and_keeps_the_order") {
        return;
    }
    let mut relay = Relay::down();
    let state = TempDir::new();
    block_on(async {
        let mut outbox = Mailroom::start(settings(&state, &relay.url(), Duration::ZERO, quick()));
        for number in 1..=6 {
            outbox
                .outbox
                .send(call(number, "http", "mail.alert", &["a@b.example"]));
            until("it is spooled", || !spooled(&state).is_empty()).await;
        }
        relay.up(&[]);
        let mut done = outbox.done(6).await;
        done.sort_by_key(|(number, _)| *number);
        assert!(
            done.iter()
                .all(|(_, delivery)| *delivery == DeliveryOutcome::Done)
        );
    });
    let mut told = Vec::new();
    for mail in relay.mails() {
        let (_, body) = mail.parsed();
        let blocks = body
            .lines()
            .filter_map(|line| line.strip_prefix("Event                 : "));
        told.extend(blocks.map(str::to_owned));
    }
    let expected: Vec<String> = (1..=6)
        .map(|number| format!("farm/http/1795215956/failure/{number}"))
        .collect();
    assert_eq!(told, expected);
    assert!(spooled(&state).is_empty());
}

#[test]
fn a_slow_relay_holds_neither_webhooks_nor_programs_nor_the_caller() {
    let test = "a_slow_relay_holds_neither_webhooks_nor_programs_nor_the_caller";
    if !have_relay(test) || !have_receiver(test) {
        return;
    }
    let relay = Relay::start(&[]);
    relay.hold_after(0);
    let receiver = Receiver::start(&serde_json::json!({}));
    let state = TempDir::new();
    let program = state.write_executable("own.alert", "#!/bin/sh\nexit 0\n");
    block_on(async {
        let mut outbox = Mailroom::start(settings(&state, &relay.url(), Duration::ZERO, quick()));
        outbox
            .outbox
            .send(call(1, "http", "mail.alert", &["a@b.example"]));
        until("the mail is under way", || !spooled(&state).is_empty()).await;
        outbox.outbox.send(program_call(2, "http", &program, &[]));
        assert_eq!(outbox.done(1).await, [(2, DeliveryOutcome::Done)]);
        let hook = call(3, "http", "webhook.alert", &[&receiver.url()]);
        outbox.outbox.send(hook);
        assert_eq!(outbox.done(1).await, [(3, DeliveryOutcome::Done)]);
        assert!(relay.mails().is_empty(), "it was slower than both");
        relay.release();
        assert_eq!(outbox.done(1).await, [(1, DeliveryOutcome::Done)]);
    });
    assert_eq!(relay.mails().len(), 1);
}

#[test]
fn a_relay_that_dies_in_the_middle_gets_the_rest_when_it_is_back() {
    if !have_relay("a_relay_that_dies_in_the_middle_gets_the_rest_when_it_is_back") {
        return;
    }
    let mut relay = Relay::start(&[]);
    relay.hold_after(3);
    let state = TempDir::new();
    block_on(async {
        let mut outbox = Mailroom::start(settings(&state, &relay.url(), Duration::ZERO, quick()));
        for number in 1..=20 {
            let to = format!("r{number}@b.example");
            outbox
                .outbox
                .send(call(number, "http", "mail.alert", &[&to]));
        }
        until("some mails", || relay.mails().len() == 3).await;
        relay.kill();
        relay.release();
        relay.up(&[]);
        assert_eq!(outbox.done(20).await.len(), 20);
    });
    for number in 1..=20 {
        let mails = relay.mails_to(&format!("r{number}@b.example"));
        assert!(
            (1..=2).contains(&mails.len()),
            "recipient {number}: {mails:?}"
        );
        let ids: Vec<String> = mails.iter().map(|mail| mail.header("Message-ID")).collect();
        assert!(ids.iter().all(|id| *id == ids[0]), "{ids:?}");
    }
}

#[test]
fn after_a_crash_the_spool_is_delivered_with_the_same_ids() {
    if !have_relay("after_a_crash_the_spool_is_delivered_with_the_same_ids") {
        return;
    }
    let mut relay = Relay::start(&["--later", "a@b.example"]);
    let state = TempDir::new();
    let slow = Limits {
        retry_first: Duration::from_secs(3_600),
        retry_most: Duration::from_secs(3_600),
        ..Limits::default()
    };
    // The first life: the mail is settled, refused for now, and the process ends without a word.
    block_on(async {
        let wait = Duration::from_millis(300);
        let outbox = Mailroom::start(settings(&state, &relay.url(), wait, slow));
        for (number, service) in [(1, "http"), (2, "ping")] {
            outbox.outbox.send(call(
                number,
                service,
                "mail.alert",
                &["a@b.example", "c@d.example"],
            ));
        }
        until("one recipient has it", || relay.mails().len() == 1).await;
        until("the other has not", || spooled(&state).len() == 1).await;
        drop(outbox);
    });
    relay.kill();
    relay.up(&[]);
    // The second: more comes, and the engine sends one of the old events once more.
    block_on(async {
        let mut outbox = Mailroom::start(settings(&state, &relay.url(), Duration::ZERO, quick()));
        outbox
            .outbox
            .send(call(3, "ftp", "mail.alert", &["a@b.example"]));
        assert_eq!(outbox.done(1).await, [(3, DeliveryOutcome::Done)]);
        until("the old one", || relay.mails().len() == 3).await;
    });
    let old = relay.mails_to("c@d.example").remove(0);
    let now = relay.mails_to("a@b.example");
    let id = now[0].header("Message-ID");
    assert!(id.starts_with("<lvsmon."), "{id}");
    let (subject, body) = now[0].parsed();
    assert!(
        subject.starts_with("ALERT 2 events"),
        "not grouped anew: {subject}"
    );
    assert_eq!(
        body,
        old.parsed().1,
        "the same content as the first recipient got"
    );
    assert!(now[1].parsed().0.starts_with("ALERT farm/ftp: "));
    assert!(spooled(&state).is_empty());
}

#[test]
fn an_event_that_is_in_the_spool_is_not_put_there_again() {
    if !have_relay("an_event_that_is_in_the_spool_is_not_put_there_again") {
        return;
    }
    let mut relay = Relay::down();
    let state = TempDir::new();
    block_on(async {
        let outbox = Mailroom::start(settings(&state, &relay.url(), Duration::ZERO, quick()));
        outbox
            .outbox
            .send(call(1, "http", "mail.alert", &["a@b.example"]));
        until("it is spooled", || spooled(&state).len() == 1).await;
        drop(outbox);
        let mut again = Mailroom::start(settings(&state, &relay.url(), Duration::ZERO, quick()));
        again
            .outbox
            .send(call(1, "http", "mail.alert", &["a@b.example"]));
        again
            .outbox
            .send(call(2, "ping", "mail.alert", &["c@d.example"]));
        until("the other one", || spooled(&state).len() == 2).await;
        relay.up(&[]);
        assert_eq!(again.done(2).await.len(), 2);
    });
    assert_eq!(relay.mails_to("a@b.example").len(), 1);
}

#[test]
fn what_is_left_out_is_counted_and_said() {
    if !have_relay("what_is_left_out_is_counted_and_said") {
        return;
    }
    let mut relay = Relay::down();
    let state = TempDir::new();
    block_on(async {
        let limits = Limits {
            messages: 3,
            ..quick()
        };
        // A long wait: nothing is settled while the messages pile up.
        let wait = Duration::from_secs(2);
        let mut outbox = Mailroom::start(settings(&state, &relay.url(), wait, limits));
        outbox
            .outbox
            .send(call(1, "ping", "mail.alert", &["a@b.example"]));
        for number in 2..=8 {
            outbox
                .outbox
                .send(call(number, "http", "mail.alert", &["a@b.example"]));
        }
        let dropped = outbox.done(5).await;
        let numbers: Vec<u64> = dropped.iter().map(|(number, _)| *number).collect();
        assert_eq!(
            numbers,
            [2, 3, 4, 5, 6],
            "the older ones of the same service"
        );
        assert!(spooled(&state).len() <= 3);
        relay.up(&[]);
        assert_eq!(outbox.done(3).await.len(), 3);
    });
    let (subject, body) = relay.mails()[0].parsed();
    assert!(subject.starts_with("ALERT 3 events"), "{subject}");
    let told: u32 = body
        .lines()
        .filter_map(|line| line.split_once(" earlier message")?.0.parse::<u32>().ok())
        .sum();
    assert_eq!(told, 5, "{body}");
}

#[test]
fn a_disk_that_takes_nothing_delays_nothing_and_is_used_again() {
    if !have_relay("a_disk_that_takes_nothing_delays_nothing_and_is_used_again") {
        return;
    }
    let mut relay = Relay::start(&[]);
    let state = TempDir::new();
    // A file stands where the folder should be: every write fails.
    let in_the_way = state.write("spool", "");
    block_on(async {
        let mut outbox = Mailroom::start(settings(&state, &relay.url(), Duration::ZERO, quick()));
        outbox
            .outbox
            .send(call(1, "http", "mail.alert", &["a@b.example"]));
        assert_eq!(outbox.done(1).await, [(1, DeliveryOutcome::Done)]);
        relay.kill();
        outbox
            .outbox
            .send(call(2, "http", "mail.alert", &["a@b.example"]));
        outbox
            .outbox
            .send(call(3, "http", "mail.alert", &["c@d.example"]));
        std::fs::remove_file(&in_the_way).unwrap();
        until("both are on the disk after all", || {
            spooled(&state).len() == 2
        })
        .await;
        drop(outbox);
        relay.up(&[]);
        let again = Mailroom::start(settings(&state, &relay.url(), Duration::ZERO, quick()));
        until("both are delivered", || relay.mails().len() == 3).await;
        until("the spool is empty", || spooled(&state).is_empty()).await;
        drop(again);
    });
}

#[test]
fn a_damaged_file_is_set_aside_and_the_others_are_delivered() {
    if !have_relay("a_damaged_file_is_set_aside_and_the_others_are_delivered") {
        return;
    }
    let mut relay = Relay::down();
    let state = TempDir::new();
    block_on(async {
        let outbox = Mailroom::start(settings(&state, &relay.url(), Duration::ZERO, quick()));
        for number in 1..=3 {
            let to = format!("r{number}@b.example");
            outbox
                .outbox
                .send(call(number, "http", "mail.alert", &[&to]));
        }
        // Settled: from now on their files are not written again.
        let is_settled = |name: &String| {
            let text = state.read(&format!("spool/{name}"));
            text.contains("\"message_id\"")
        };
        until("all are spooled and settled", || {
            let files = spooled(&state);
            files.len() == 3 && files.iter().all(is_settled)
        })
        .await;
        drop(outbox);
        let victim = spooled(&state).remove(1);
        state.write(&format!("spool/{victim}"), "{\"version\":1,");
        relay.up(&[]);
        let again = Mailroom::start(settings(&state, &relay.url(), Duration::ZERO, quick()));
        until("the others", || relay.mails().len() == 2).await;
        let left = format!("{victim}.corrupt");
        until("only it is left", || spooled(&state) == [left.as_str()]).await;
        drop(again);
    });
}

#[test]
fn closing_delivers_what_can_be_delivered_and_keeps_the_rest() {
    if !have_relay("closing_delivers_what_can_be_delivered_and_keeps_the_rest") {
        return;
    }
    let relay = Relay::start(&["--later", "later@b.example"]);
    let state = TempDir::new();
    block_on(async {
        let wait = Duration::from_secs(3_600);
        let limits = Limits {
            retry_first: Duration::from_secs(3_600),
            ..Limits::default()
        };
        let outbox = Mailroom::start(settings(&state, &relay.url(), wait, limits));
        outbox.outbox.send(call(
            1,
            "http",
            "mail.alert",
            &["a@b.example", "later@b.example"],
        ));
        until("they are spooled", || spooled(&state).len() == 2).await;
        let closing = outbox.outbox.close(Duration::from_secs(30));
        tokio::time::timeout(Duration::from_secs(20), closing)
            .await
            .expect("it ends as soon as nothing more can be done");
    });
    assert_eq!(relay.mails_to("a@b.example").len(), 1);
    assert_eq!(spooled(&state).len(), 1, "the one that was refused for now");
}
