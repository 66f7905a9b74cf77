//! The bounds of the spool at their real numbers (D23): what is dropped, what is said, and that
//! the rest keeps its order.
//!
//! The relay is away in all of them. The files are on a file system in memory where there is
//! one: ten thousand of them are to be written, and no crash is played here.

use std::io::{self, Write};
use std::path::Path;
use std::sync::{Arc, LazyLock, Mutex};
use std::time::Duration;

use lvsmon::daemon::outbox::{Limits, Outbox};
use lvsmon::engine::event::{AlertCall, DeliveryOutcome};
use lvsmon::pair::Speaking;
use lvsmon::pair::post::receiver;
use lvsmon::pair::talk::Delivery as Told;
use serde_json::Value;
use tokio::sync::mpsc;

use super::harness::{Mailroom, block_on, call, program_call, quick, settings, spooled, until};
use crate::support::TempDir;

/// Nobody listens there.
const AWAY: &str = "smtp://127.0.0.1:1";
/// Nothing is settled while a test runs.
const LONG: Duration = Duration::from_secs(3_600);
/// Services in turn: message N and message N + `SERVICES` are of one service.
const SERVICES: u64 = 100;

/// One more subscriber for as long as the tests run. While there is one alone, tracing asks that of
/// whichever thread comes to a line first whether anybody wants it: a test beside ours that has
/// none would say for all that nobody does.
static SECOND: LazyLock<tracing::Dispatch> =
    LazyLock::new(|| tracing::Dispatch::new(tracing_subscriber::registry()));

/// The log of this thread.
#[derive(Clone, Default)]
pub(super) struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Log {
    pub(super) fn listen(&self) -> tracing::subscriber::DefaultGuard {
        LazyLock::force(&SECOND);
        let log = self.clone();
        let subscriber = tracing_subscriber::fmt()
            .with_ansi(false)
            .with_writer(move || log.clone())
            .finish();
        tracing::subscriber::set_default(subscriber)
    }

    pub(super) fn count(&self, words: &str) -> usize {
        String::from_utf8_lossy(&self.0.lock().unwrap())
            .matches(words)
            .count()
    }
}

fn state() -> TempDir {
    let memory = Path::new("/dev/shm");
    if memory.is_dir() {
        TempDir::new_in(memory)
    } else {
        TempDir::new()
    }
}

fn mail(number: u64) -> AlertCall {
    let service = format!("s{}", number % SERVICES);
    call(number, &service, "mail.alert", &["a@b.example"])
}

/// Number of the event and count of those left out before it, for each file in order.
fn told(state: &TempDir) -> Vec<(u64, u64)> {
    let files = spooled(state).into_iter().map(|name| {
        let text = std::fs::read(state.join("spool").join(name)).unwrap();
        let item: Value = serde_json::from_slice(&text).unwrap();
        let notice = &item["notices"][0];
        let event = notice["event"].as_str().unwrap();
        let number = event.rsplit('/').next().unwrap().parse().unwrap();
        (number, notice["left_out"].as_u64().unwrap())
    });
    files.collect()
}

/// Files are numbered in the order of acceptance.
fn file_number(name: &str) -> u64 {
    name.strip_suffix(".json").unwrap().parse().unwrap()
}

/// The calls of these numbers were given up because there was no room.
fn assert_left_out(done: &[(u64, DeliveryOutcome)], numbers: std::ops::RangeInclusive<u64>) {
    assert!(done.iter().map(|(number, _)| *number).eq(numbers));
    for (_, delivery) in done {
        let DeliveryOutcome::GivenUp(why) = delivery else {
            panic!("{delivery:?}");
        };
        assert!(why.contains("left out: the outbox is full"), "{why}");
    }
}

#[test]
fn of_more_than_ten_thousand_messages_the_oldest_of_a_service_go_and_the_newest_says_so() {
    let (state, log) = (state(), Log::default());
    let _listening = log.listen();
    let most = Limits::default().messages as u64;
    assert_eq!(most, 10_000);
    block_on(async {
        let mut outbox = Mailroom::start(settings(&state, AWAY, LONG, Limits::default()));
        for number in 1..=most {
            outbox.outbox.send(mail(number));
        }
        until("all are spooled", || spooled(&state).len() == 10_000).await;
        assert_eq!(log.count("left out"), 0);
        let oldest = file_number(&spooled(&state)[0]);
        for number in most + 1..=most + 500 {
            outbox.outbox.send(mail(number));
        }
        assert_left_out(&outbox.done(500).await, 1..=500);
        until("the new ones are spooled", || {
            let names = spooled(&state);
            names.len() == 10_000 && file_number(&names[0]) == oldest + 500
        })
        .await;
    });
    let told = told(&state);
    assert!(told.iter().map(|(number, _)| *number).eq(501..=most + 500));
    for (number, left_out) in told {
        assert_eq!(left_out, u64::from(number > most), "message {number}");
    }
    assert_eq!(log.count("message left out, the outbox is full"), 500);
}

/// With a tenth of the real 100 MB, to spare the machine; the queue's own test has all of it.
#[test]
fn the_spool_never_takes_more_bytes_than_allowed() {
    let (state, log) = (state(), Log::default());
    let _listening = log.listen();
    let limits = Limits {
        bytes: 10_000_000,
        ..Limits::default()
    };
    let large = |number| {
        let mut call = mail(number);
        let text = format!("web1\n\n{}\n", "a long report\n".repeat(8_000));
        call.input = text.into_bytes().into();
        call
    };
    let dropped = block_on(async {
        let mut outbox = Mailroom::start(settings(&state, AWAY, LONG, limits));
        // About 112 kB each: 89 have room.
        for number in 1..=120 {
            outbox.outbox.send(large(number));
        }
        let first = outbox.done(1).await;
        until("all are spooled", || {
            told(&state)
                .last()
                .is_some_and(|(number, _)| *number == 120)
        })
        .await;
        drop(first);
        log.count("message left out, the outbox is full")
    });
    let told = told(&state);
    assert_eq!(told.len() + dropped, 120);
    assert!((80..=89).contains(&told.len()), "{}", told.len());
    let bytes = |name: &String| {
        let file = std::fs::metadata(state.join("spool").join(name));
        file.unwrap().len()
    };
    let total: u64 = spooled(&state).iter().map(bytes).sum();
    assert!(total <= 10_000_000, "{total}");
    assert!(told.is_sorted_by(|before, after| before.0 < after.0));
}

#[test]
fn a_message_of_three_days_is_given_up_after_some_attempts_and_a_younger_one_is_not() {
    let (state, log) = (state(), Log::default());
    let _listening = log.listen();
    let three_days = Limits::default().give_up_after;
    assert_eq!(three_days, Duration::from_secs(3 * 86_400));
    block_on(async {
        let outbox = Mailroom::start(settings(&state, AWAY, LONG, quick()));
        for (number, to) in [(1, "old@b.example"), (2, "young@b.example")] {
            let message = call(number, "s", "mail.alert", &[to]);
            outbox.outbox.send(message);
        }
        until("both are spooled", || spooled(&state).len() == 2).await;
    });
    for (name, age) in spooled(&state).iter().zip([three_days, three_days / 2]) {
        let path = state.join("spool").join(name);
        let mut item: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
        let accepted = item["accepted"].as_i64().unwrap();
        item["accepted"] = (accepted - i64::try_from(age.as_micros()).unwrap()).into();
        std::fs::write(&path, item.to_string()).unwrap();
    }
    block_on(async {
        let outbox = Mailroom::start(settings(&state, AWAY, Duration::ZERO, quick()));
        until("one is given up", || log.count("message given up") == 1).await;
        assert!(log.count("cannot deliver now") >= 3);
        until("its file is gone", || spooled(&state).len() == 1).await;
        let tries = log.count("cannot deliver now");
        until("more attempts", || {
            log.count("cannot deliver now") > tries + 2
        })
        .await;
        let _: &Outbox = &outbox.outbox;
    });
    assert_eq!(log.count("message given up"), 1);
    let left = std::fs::read_to_string(state.join("spool").join(&spooled(&state)[0])).unwrap();
    assert!(left.contains("young@b.example"), "{left}");
}

#[test]
fn a_disk_that_takes_nothing_leaves_a_thousand_messages_in_memory_and_their_order() {
    let (state, log) = (state(), Log::default());
    let _listening = log.listen();
    let limits = quick();
    assert_eq!(limits.memory_messages, 1_000);
    state.write("spool", "a file where the folder should be");
    block_on(async {
        let mut outbox = Mailroom::start(settings(&state, AWAY, LONG, limits));
        for number in 1..=1_500 {
            outbox.outbox.send(mail(number));
        }
        assert_left_out(&outbox.done(500).await, 1..=500);
        assert!(log.count("messages are kept in memory") >= 1);
        std::fs::remove_file(state.join("spool")).unwrap();
        until("all are spooled", || spooled(&state).len() == 1_000).await;
        until("it is said", || log.count("takes messages again") == 1).await;
    });
    let told = told(&state);
    assert!(told.iter().map(|(number, _)| *number).eq(501..=1_500));
    let left_out: u64 = told.iter().map(|(_, left_out)| left_out).sum();
    assert_eq!(left_out, 500);
}

#[test]
fn a_program_without_room_has_it_once_another_is_gone_and_is_named_at_the_end() {
    let (state, log) = (state(), Log::default());
    let _listening = log.listen();
    let program = state.write_executable("own.alert", "#!/bin/sh\n");
    let limits = Limits {
        bytes: 4_000,
        ..quick()
    };
    block_on(async {
        let settings = settings(&state, AWAY, LONG, limits);
        let (events, _done) = mpsc::channel(10);
        let mut outbox = Outbox::start_as(settings, Speaking::Silent, None, events);
        let send = |outbox: &Outbox, number, bytes| {
            let mut call = program_call(number, "http", &program, &[]);
            call.input = vec![b'x'; bytes].into();
            outbox.send(call);
        };
        send(&outbox, 1, 1_000);
        until("the first in the spool", || spooled(&state).len() == 1).await;
        // The second is too large, and takes no room from the third.
        for (number, bytes) in [(2, 1_500), (3, 10), (4, 5_000)] {
            send(&outbox, number, bytes);
        }
        until("four held", || outbox.held() == 4).await;
        until("the third in the spool", || spooled(&state).len() == 2).await;
        let third = spooled(&state).remove(1);
        let first = Told {
            event: "farm/http/1795215956/failure/1".into(),
            to: receiver("program", ["own.alert"]),
        };
        outbox.told_elsewhere(vec![first]);
        until("the second in the spool", || {
            let now = spooled(&state);
            now.len() == 2 && now[1] == third
        })
        .await;
        outbox.close(LONG).await;
    });
    assert_eq!(spooled(&state).len(), 2);
    let lost = "lvsmon stops, and the spool did not take it";
    assert_eq!(log.count(lost), 1, "the fourth is named");
}
