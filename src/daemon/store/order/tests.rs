use std::sync::Arc;

use super::*;
use crate::engine::event::{AlertId, AlertKind, Status};
use crate::model::{AlertCommand, AlertProgram, ServiceId};
use crate::time::Wall;

fn at(seconds: u64) -> Mono {
    Mono::ZERO.after(Duration::from_secs(seconds))
}

fn call(record: &str, number: u64) -> AlertCall {
    AlertCall {
        id: AlertId(number),
        record: record.into(),
        event: format!("g/s/0/failure/{number}"),
        service: Some(ServiceId(0)),
        kind: AlertKind::Failure,
        command: Arc::new(AlertCommand {
            exit: None,
            name: "mail.alert".into(),
            args: Vec::new(),
            written: "".into(),
            program: AlertProgram::Missing("a test".into()),
        }),
        group: "g".into(),
        name: "s".into(),
        period: "always".into(),
        hosts: String::new(),
        time: Wall::from_seconds(0),
        summary: String::new(),
        input: Vec::new().into(),
        environment: [].into(),
        results: Vec::new(),
        status: Status::Fail,
        exit: Some(1),
        first_failure: None,
    }
}

fn numbers(calls: &[AlertCall]) -> Vec<u64> {
    calls.iter().map(|call| call.id.0).collect()
}

fn pairs(batch: &Batch) -> Vec<String> {
    batch
        .iter()
        .map(|(key, text)| format!("{key}={text}"))
        .collect()
}

/// Takes records in.
fn record(order: &mut Order, key: &str, text: &str) {
    order.record(key.to_owned(), text.to_owned());
}

#[test]
fn a_call_leaves_after_the_record_before_it_and_comes_before_the_one_after_it() {
    let mut order = Order::default();
    record(&mut order, "s", "outage");
    assert!(order.call(at(0), call("s", 1)).is_none());
    record(&mut order, "s", "alert sent");
    assert!(
        order.advance(at(0)).is_empty(),
        "the outage is not kept yet"
    );
    assert_eq!(pairs(&order.hand_over()), ["s=outage"]);
    assert!(order.advance(at(0)).is_empty(), "handed over is not kept");
    order.kept(1, false);
    assert_eq!(numbers(&order.advance(at(0))), [1]);
    assert!(!order.has_batch(), "the call is not in the spool yet");
    order.taken(1);
    order.advance(at(0));
    assert_eq!(pairs(&order.hand_over()), ["s=alert sent"]);
    assert!(order.lines.is_empty());
    assert_eq!((order.steps, order.patience), (0, None));
}

#[test]
fn services_do_not_wait_for_each_other() {
    let mut order = Order::default();
    assert!(order.call(at(0), call("slow", 1)).is_none());
    assert_eq!(numbers(&order.advance(at(0))), [1]);
    record(&mut order, "slow", "alert sent");
    record(&mut order, "other", "up");
    order.advance(at(0));
    assert_eq!(pairs(&order.hand_over()), ["other=up"]);
}

#[test]
fn a_journal_that_cannot_be_written_holds_up_no_call() {
    let mut order = Order::default();
    record(&mut order, "s", "outage");
    assert!(order.call(at(0), call("s", 1)).is_none());
    order.hand_over();
    order.kept(0, true);
    assert_eq!(numbers(&order.advance(at(0))), [1]);
}

#[test]
fn a_journal_that_hangs_holds_up_a_call_for_three_seconds() {
    let mut order = Order::default();
    record(&mut order, "s", "outage");
    assert!(order.call(at(0), call("s", 1)).is_none());
    order.hand_over();
    assert!(order.advance(at(10)).is_empty());
    assert_eq!(order.patience(), Some(at(13)));
    assert!(order.advance(at(12)).is_empty());
    assert_eq!(numbers(&order.advance(at(13))), [1]);
    assert_eq!(order.patience(), None, "nobody is woken for nothing");
}

#[test]
fn a_call_that_the_outbox_has_no_room_for_holds_up_no_record() {
    let mut order = Order::default();
    assert!(order.call(at(0), call("s", 1)).is_none());
    assert_eq!(numbers(&order.advance(at(0))), [1]);
    record(&mut order, "s", "alert sent");
    order.refused();
    order.advance(at(0));
    assert!(order.has_batch());
}

#[test]
fn beyond_the_bound_nothing_waits() {
    let mut order = Order::default();
    record(&mut order, "s", "outage");
    for number in 0..STEPS_MAX as u64 {
        assert!(order.call(at(0), call("s", number)).is_none());
    }
    assert_eq!(
        order.call(at(0), call("s", 20_000)).map(|call| call.id.0),
        Some(20_000)
    );
    assert_eq!(order.let_go().len(), STEPS_MAX);
    assert_eq!(pairs(&order.hand_over()), ["s=outage"]);
}

#[test]
fn a_call_of_a_number_that_the_other_director_may_not_know_waits_for_its_answer() {
    let mut order = Order::default();
    order.answered(Answers::UpTo(9));
    let numbered = |record: &str, number: u64, outage: u64| AlertCall {
        event: format!("g/{record}/{outage}/failure/1"),
        ..call(record, number)
    };
    for (record, number, outage) in [("new", 1, 10), ("old", 2, 9), ("newer", 3, 11)] {
        assert!(
            order
                .call(at(5), numbered(record, number, outage))
                .is_none()
        );
    }
    record(&mut order, "new", "alert sent");
    assert_eq!(numbers(&order.advance(at(5))), [2]);
    order.advance(at(5));
    assert!(!order.has_batch(), "what follows the call follows it still");
    assert_eq!(
        order.patience(),
        Some(at(6)),
        "of the journal nothing is waited for"
    );
    order.answered(Answers::UpTo(10));
    assert_eq!(numbers(&order.advance(at(5))), [1]);
    // Of the last one nothing is heard.
    assert!(order.advance(Mono::from_micros(5_999_999)).is_empty());
    assert_eq!(numbers(&order.advance(at(6))), [3]);
    assert_eq!(order.patience(), None);
    // Nor of this, and the link is gone.
    assert!(order.call(at(7), numbered("newest", 4, 12)).is_none());
    assert!(order.advance(at(7)).is_empty());
    order.answered(Answers::Unneeded);
    assert_eq!(numbers(&order.advance(at(7))), [4]);
}

#[test]
fn at_a_stop_nothing_waits_for_an_answer() {
    let mut order = Order::default();
    order.answered(Answers::UpTo(-1));
    assert!(order.call(at(0), call("s", 1)).is_none());
    assert!(order.advance(at(0)).is_empty());
    assert_eq!(numbers(&order.let_go()), [1]);
    assert_eq!(order.patience(), None);
}

/// What a crash would leave: the newest record on the disk, and the calls in the spool.
#[derive(Debug, Default)]
struct Disk {
    /// By service, the number of its newest record.
    journal: BTreeMap<String, u64>,
    spool: Vec<AlertCall>,
}

/// Steps of three services are numbered in the order in which they were said; records say
/// their number, calls have it as their id.
#[test]
fn at_every_moment_a_crash_leaves_what_can_be_gone_on_with() {
    for seed in 0..200 {
        let mut random = fastrand::Rng::with_seed(seed);
        let mut order = Order::default();
        let mut disk = Disk::default();
        let mut said: Vec<(String, u64, bool)> = Vec::new();
        let mut under_way = VecDeque::new();
        let mut inbox = VecDeque::new();
        let (mut kept, mut taken) = (0, 0);
        for number in 0..300 {
            let key = random.choice(["a", "b", "c"]).unwrap_or("a");
            // Of what the other director answers nothing, calls wait for their whole time.
            // All of it takes less time than a journal that hangs.
            let now = Mono::from_micros(number * 9_000);
            order.answered(match random.u32(0..4) {
                0 => Answers::Unneeded,
                _ => Answers::UpTo(-1),
            });
            match random.u32(0..6) {
                0 => {
                    said.push((key.to_owned(), number, false));
                    record(&mut order, key, &number.to_string());
                }
                1 => {
                    said.push((key.to_owned(), number, true));
                    assert!(order.call(now, call(key, number)).is_none());
                }
                2 if order.has_batch() => under_way.push_back(order.hand_over()),
                3 => {
                    let Some(batch) = under_way.pop_front() else {
                        continue;
                    };
                    for (key, text) in batch {
                        disk.journal.insert(key, text.parse().unwrap());
                    }
                    kept += 1;
                    order.kept(kept, false);
                }
                4 => {
                    if let Some(call) = inbox.pop_front() {
                        disk.spool.push(call);
                        taken += 1;
                        order.taken(taken);
                    }
                }
                _ => inbox.extend(order.advance(now)),
            }
            look(&disk, &inbox, &said, seed);
        }
    }
}

/// A call that left was preceded by the records before it; a record on the disk was preceded by
/// the calls before it.
fn look(disk: &Disk, inbox: &VecDeque<AlertCall>, said: &[(String, u64, bool)], seed: u64) {
    for call in disk.spool.iter().chain(inbox) {
        let before = said.iter().filter(|(key, number, is_call)| {
            **key == *call.record && *number < call.id.0 && !is_call
        });
        let needed = before.map(|(_, number, _)| *number).max();
        let found = disk.journal.get(&*call.record).copied();
        assert!(
            found >= needed,
            "seed {seed}: {} before {needed:?}",
            call.id.0
        );
    }
    for (key, newest) in &disk.journal {
        for (_, number, _) in said
            .iter()
            .filter(|(of, number, is_call)| of == key && *is_call && number < newest)
        {
            let is_taken = disk.spool.iter().any(|call| call.id.0 == *number);
            assert!(
                is_taken,
                "seed {seed}: record {newest} before call {number}"
            );
        }
    }
}
