//! Two directors talk, over links that come and go.

use std::time::Duration;

use proptest::prelude::*;
use serde_json::Value;

use super::*;
use crate::pair::talk::word::{Reached, SharedAck, ToldPeriods};

fn now(seconds: u64) -> Now {
    Now {
        mono: Mono::ZERO.after(Duration::from_secs(seconds)),
        wall: Wall::from_seconds(1_000_000 + i64::try_from(seconds).unwrap()),
    }
}

fn service(name: &str) -> ServiceName {
    ServiceName {
        group: "web".to_owned(),
        service: name.to_owned(),
    }
}

fn outage(id: i64) -> OpenOutage {
    OpenOutage {
        id,
        began: Wall::default(),
        calls: 0,
        events: crate::pair::talk::counted::Events::default(),
        alerted: Vec::new(),
        ack: None,
        reached: Reached::Nothing,
    }
}

fn own(open: &[(&str, i64)]) -> Own {
    let entry = |(name, id): &(&str, i64)| (service(name), outage(*id));
    Own {
        role: SaidRole::Known(crate::pair::Role::Active),
        speaks: true,
        outages: Arc::new(open.iter().map(entry).collect()),
        ..Own::default()
    }
}

fn delivery(event: &str) -> Delivery {
    Delivery {
        event: event.into(),
        to: "a@x".into(),
    }
}

/// Everything that `from` has to say goes to `to`, written and read; what it came to.
fn carry(now: Now, from: &mut Talk, to: &mut Talk) -> Vec<Heard> {
    let mut heard = Vec::new();
    let mut count = 0;
    while let Some(word) = from.say(now) {
        count += 1;
        assert!(count < 1_000, "it never ends");
        let word = Word::of_text(word.text().as_bytes()).unwrap();
        heard.extend(to.hear(now, word).unwrap());
    }
    heard
}

fn linked() -> (Talk, Talk) {
    let (mut one, mut two) = (Talk::new("one"), Talk::new("two"));
    one.linked();
    two.linked();
    (one, two)
}

#[test]
fn the_whole_state_comes_first_and_counts_when_it_is_whole() {
    let (mut one, mut two) = linked();
    one.tell(own(&[("http", 7), ("ping", 8)]));
    one.deliver(Mono::ZERO, delivery("web/http/7/failure/1"));
    let mut words = Vec::new();
    while let Some(word) = one.say(now(1)) {
        words.push(word);
    }
    let last = words.pop();
    assert_eq!(last, Some(Word::Told));
    let delivered = vec![delivery("web/http/7/failure/1")];
    for word in words {
        let heard = two.hear(now(1), word).unwrap();
        assert!(heard.is_none() || heard == Some(Heard::Delivered(delivered.clone())));
        assert!(two.peer().outages.is_empty() && !two.is_heard());
    }
    assert_eq!(two.hear(now(1), Word::Told), Ok(Some(Heard::State)));
    assert!(two.is_heard());
    assert_eq!(
        *two.peer().outages,
        *own(&[("http", 7), ("ping", 8)]).outages
    );
    assert_eq!(two.peer().name, "one");
    assert!(two.peer().here.as_ref().unwrap().speaks);
}

#[test]
fn afterwards_only_changes_are_said_and_that_it_is_there() {
    let (mut one, mut two) = linked();
    one.tell(own(&[("http", 7), ("ping", 8)]));
    carry(now(1), &mut one, &mut two);
    assert_eq!(one.say(now(1)), None);
    assert_eq!(one.next(), Some(now(2).mono));
    one.tell(own(&[("ping", 9), ("ftp", 3)]));
    assert_eq!(one.say(now(1)), Some(Word::Over(vec![service("http")])));
    let open = vec![(service("ftp"), outage(3)), (service("ping"), outage(9))];
    assert_eq!(one.say(now(1)), Some(Word::Open(open)));
    assert_eq!(one.say(now(1)), None);
    assert!(matches!(one.say(now(2)), Some(Word::Here(_))));
    assert_eq!(one.say(now(2)), None);
    one.deliver(Mono::ZERO, delivery("web/ping/9/failure/1"));
    let said = Word::Delivered(vec![delivery("web/ping/9/failure/1")]);
    assert_eq!(one.say(now(2)), Some(said));
    let silent = Own {
        speaks: false,
        ..own(&[("ping", 9), ("ftp", 3)])
    };
    one.tell(silent);
    assert!(matches!(one.say(now(2)), Some(Word::Here(here)) if !here.speaks));
}

/// What the clock of a peer says that is as far ahead as that, in a word that was so long on its
/// way.
fn here_late(at: u64, ahead_ms: i64, late_ms: i64) -> Word {
    let said = now(at).wall.as_micros() + (ahead_ms - late_ms) * 1_000;
    Word::Here(Here {
        role: SaidRole::Known(crate::pair::Role::Active),
        speaks: true,
        numbers: 0,
        time: Wall::from_micros(said),
        steps: 0,
        turn: None,
    })
}

#[test]
fn a_word_that_was_late_is_no_other_clock_and_another_clock_is_seen_soon() {
    let (mut one, mut two) = linked();
    carry(now(1), &mut one, &mut two);
    for at in 2..5 {
        two.hear(now(at), here_late(at, 30, 1)).unwrap();
    }
    // The peer, or this director, was stopped for some seconds.
    for late_ms in [2_600, 1_600, 600] {
        two.hear(now(7), here_late(7, 30, late_ms)).unwrap();
        assert_eq!(two.peer().ahead_micros, 29_000, "late by {late_ms} ms");
    }
    // Its clock is set forward, then back: once it holds for some seconds.
    two.hear(now(8), here_late(8, 5_000, 1)).unwrap();
    assert_eq!(two.peer().ahead_micros, 4_999_000);
    for at in 9..20 {
        two.hear(now(at), here_late(at, -5_000, 1)).unwrap();
    }
    assert_eq!(two.peer().ahead_micros, -5_001_000);
}

/// Our clock is an hour ahead of the one that counts on, and the peer's was set an hour back.
#[test]
fn a_clock_that_is_set_moves_no_moment_of_the_peers() {
    let hour = 3_600_000_000;
    let set = |at: u64, step: i64| Now {
        wall: Wall::from_micros(now(at).wall.as_micros() + step),
        ..now(at)
    };
    let (mut one, mut two) = linked();
    one.tell(own(&[("http", 9)]));
    for at in 1..5 {
        carry(now(at), &mut one, &mut two);
    }
    let began = |two: &Talk| two.peer().outages.values().next().unwrap().began;
    let before = began(&two);
    // Ours is set.
    two.hear(set(6, hour), here_late(6, 0, 1)).unwrap();
    assert_eq!(two.peer().ahead_micros, -hour);
    assert_eq!(began(&two), before.after(Duration::from_secs(3_600)));
    // Theirs is set back.
    two.hear(set(7, hour), here_late(7, -3_600_000, 1)).unwrap();
    assert_eq!(two.peer().ahead_micros, -2 * hour - 1_000);
    assert_eq!(began(&two), before.after(Duration::from_secs(3_600)));
    // Who is set says so before any time that is told by its clock.
    while one.say(now(8)).is_some() {}
    one.tell(own(&[("http", 9), ("smtp", 9)]));
    let said = one.say(set(8, -hour));
    assert!(matches!(said, Some(Word::Here(_))), "{said:?}");
}

/// However little it was set: of the words before, none was quicker, they are of another clock.
#[test]
fn what_a_peer_tells_by_a_clock_that_was_set_is_right_at_once() {
    for step in [-30, 30, -2] {
        let set = |at: u64| Now {
            wall: Wall::from_micros(now(at).wall.as_micros() + step * 1_000_000),
            ..now(at)
        };
        let (mut one, mut two) = linked();
        one.tell(own(&[("http", 9)]));
        for at in 1..6 {
            carry(now(at), &mut one, &mut two);
        }
        let mut outages = own(&[("http", 9)]).outages;
        for outage in Arc::make_mut(&mut outages).values_mut() {
            outage.began = set(3).wall;
        }
        one.tell(Own {
            outages,
            ..own(&[])
        });
        while let Some(word) = one.say(set(6)) {
            let word = Word::of_text(word.text().as_bytes()).unwrap();
            two.hear(now(6), word).unwrap();
        }
        assert_eq!(two.peer().ahead_micros, step * 1_000_000);
        let outages = two.peer().outages.values();
        let began: Vec<Wall> = outages.map(|it| it.began).collect();
        assert_eq!(began, [now(3).wall], "set by {step} s");
    }
}

#[test]
fn how_far_a_peer_is_ahead_is_right_at_once_where_our_clock_is_set() {
    for step in [-30, 30, 2] {
        let (mut one, mut two) = linked();
        for at in 1..6 {
            carry(now(at), &mut one, &mut two);
        }
        let set = Now {
            wall: Wall::from_micros(now(6).wall.as_micros() + step * 1_000_000),
            ..now(6)
        };
        let said = one.say(now(6)).unwrap();
        two.hear(set, said).unwrap();
        let ahead = two.peer().ahead_micros;
        assert_eq!(ahead, -step * 1_000_000, "set by {step} s");
    }
}

/// However many wishes there are: a storm of messages looks through them once.
#[test]
fn what_is_delivered_costs_no_look_at_what_is_wished() {
    let (mut one, mut two) = linked();
    let stamp = |time| crate::pair::talk::wishes::Stamp { time, writer: 1 };
    let wish = |number: i64, time| StampedWish {
        key: format!("watch w{number}"),
        stamp: stamp(time),
        value: Some(Value::Bool(true)),
        ahead_micros: 0,
    };
    let mut own = own(&[]);
    own.wishes = Arc::new((0..1_000).map(|number| wish(number, 1)).collect());
    let visits = crate::effort::visits(|| {
        for number in 0..1_000 {
            one.tell(own.clone());
            one.deliver(
                Mono::ZERO,
                delivery(&format!("web/http/7/failure/{number}")),
            );
            carry(now(1), &mut one, &mut two);
        }
    });
    assert_eq!(two.delivered().len(), 1_000);
    assert_eq!(visits, 1_000);
    // One that is another one is told alone.
    let mut wishes = Vec::clone(&own.wishes);
    wishes[7] = wish(7, 2);
    own.wishes = Arc::new(wishes);
    one.tell(own);
    assert_eq!(one.say(now(1)), Some(Word::Wishes(vec![wish(7, 2)])));
    assert_eq!(one.say(now(1)), None);
}

#[test]
fn an_outage_is_told_before_its_number_and_the_role_before_the_outage() {
    let (mut one, mut two) = linked();
    one.tell(own(&[]));
    carry(now(1), &mut one, &mut two);
    one.tell(Own {
        numbers: 7,
        ..own(&[("http", 7)])
    });
    let open = vec![(service("http"), outage(7))];
    assert_eq!(one.say(now(1)), Some(Word::Open(open)));
    assert!(matches!(one.say(now(1)), Some(Word::Here(here)) if here.numbers == 7));
    assert_eq!(one.say(now(1)), None);
    one.tell(Own {
        speaks: false,
        numbers: 8,
        ..own(&[("http", 7), ("ping", 8)])
    });
    assert!(matches!(one.say(now(1)), Some(Word::Here(here)) if !here.speaks && here.numbers == 7));
    assert!(matches!(one.say(now(1)), Some(Word::Open(_))));
    assert!(matches!(one.say(now(1)), Some(Word::Here(here)) if here.numbers == 8));
    // Nor does it where it is time to say that somebody is there.
    one.tell(Own {
        speaks: false,
        numbers: 9,
        ..own(&[("http", 7), ("ping", 9)])
    });
    assert!(matches!(one.say(now(2)), Some(Word::Here(here)) if here.numbers == 8));
    assert!(matches!(one.say(now(2)), Some(Word::Open(_))));
    assert!(matches!(one.say(now(2)), Some(Word::Here(here)) if here.numbers == 9));
    assert_eq!(one.say(now(2)), None);
}

#[test]
fn a_whole_state_says_its_numbers_behind_its_outages() {
    let mut one = Talk::new("one");
    one.tell(Own {
        numbers: 7,
        ..own(&[("http", 7)])
    });
    one.linked();
    let words: Vec<Word> = std::iter::from_fn(|| one.say(now(1))).collect();
    let place = |is_it: &dyn Fn(&Word) -> bool| words.iter().position(is_it).unwrap();
    let open = place(&|it| matches!(it, Word::Open(_)));
    let numbers = place(&|it| matches!(it, Word::Here(here) if here.numbers == 7));
    let told = place(&|it| *it == Word::Told);
    assert!(open < numbers && numbers < told, "{words:?}");
}

#[test]
fn what_the_peer_said_counts_on_without_a_link_and_a_new_one_heals_it() {
    let (mut one, mut two) = linked();
    one.tell(own(&[("http", 7)]));
    carry(now(1), &mut one, &mut two);
    one.unlinked();
    two.unlinked();
    assert!(!two.is_heard());
    assert_eq!(two.peer().outages.len(), 1);
    // What happens meanwhile is told by the new link, and so is what no longer is.
    one.tell(own(&[("ping", 9)]));
    one.deliver(Mono::ZERO, delivery("web/http/7/up/1"));
    one.linked();
    two.linked();
    let heard = carry(now(9), &mut one, &mut two);
    let delivered = vec![delivery("web/http/7/up/1")];
    assert_eq!(heard, [Heard::Delivered(delivered), Heard::State]);
    assert_eq!(*two.peer().outages, *own(&[("ping", 9)]).outages);
}

#[test]
fn deliveries_and_wishes_go_both_ways_and_come_to_rest() {
    let (mut one, mut two) = linked();
    let wish = StampedWish {
        key: "watch a".to_owned(),
        stamp: Stamp { time: 1, writer: 1 },
        value: Some(Value::from(true)),
        ahead_micros: 0,
    };
    one.tell(Own {
        wishes: Arc::new(vec![wish.clone()]),
        ..own(&[])
    });
    one.deliver(Mono::ZERO, delivery("web/http/1/up/1"));
    two.deliver(Mono::ZERO, delivery("web/http/2/up/1"));
    let heard = carry(now(1), &mut one, &mut two);
    assert!(heard.contains(&Heard::Wishes(vec![wish])));
    for _ in 0..3 {
        carry(now(1), &mut two, &mut one);
        carry(now(1), &mut one, &mut two);
    }
    assert_eq!((one.say(now(1)), two.say(now(1))), (None, None));
    assert_eq!(one.delivered().from(0).count(), 2);
    assert_eq!(two.delivered().from(0).count(), 2);
}

#[test]
fn of_deliveries_only_the_last_day_is_told() {
    let day = 86_400;
    let mut one = Talk::new("one");
    one.deliver(now(1).mono, delivery("a/b/1/failure/1"));
    one.deliver(now(day).mono, delivery("a/b/2/failure/1"));
    let late = now(day + 100);
    one.linked();
    let mut told = Vec::new();
    while let Some(word) = one.say(late) {
        if let Word::Delivered(deliveries) = word {
            told.extend(deliveries);
        }
    }
    assert_eq!(told, [delivery("a/b/2/failure/1")]);
    assert_eq!(one.delivered().len(), 1);
}

#[test]
fn a_peer_says_its_name_first_and_once() {
    let (_, mut two) = linked();
    assert_eq!(two.hear(now(1), Word::Told), Err(PeerRefusal::Order));
    let hello = Word::Hello {
        name: "x\u{1b}[31m\n".repeat(100),
    };
    assert_eq!(two.hear(now(1), hello.clone()), Ok(None));
    assert_eq!(two.hear(now(1), hello), Err(PeerRefusal::Order));
    two.hear(now(1), Word::Told).unwrap();
    let name = &two.peer().name;
    assert!(
        name.len() <= 2 * NAME_MAX && !name.contains(char::is_control),
        "{name:?}"
    );
    two.unlinked();
    assert_eq!(two.hear(now(1), Word::Told), Err(PeerRefusal::Order));
}

#[test]
fn the_peers_outages_are_bounded_and_its_comments_fit_a_line() {
    let (_, mut two) = linked();
    let hello = Word::Hello {
        name: String::new(),
    };
    two.hear(now(1), hello).unwrap();
    let entry = |n: usize| (service(&n.to_string()), outage(1));
    let words = (0..OUTAGES_MAX + 10).map(entry).collect();
    two.hear(now(1), Word::Open(words)).unwrap();
    let mut noisy = outage(2);
    noisy.ack = Some(SharedAck {
        time: Wall::default(),
        comment: "line\nline".to_owned(),
    });
    let word = Word::Open(vec![(service("0"), noisy)]);
    two.hear(now(1), word).unwrap();
    two.hear(now(1), Word::Told).unwrap();
    assert_eq!(two.peer().outages.len(), OUTAGES_MAX);
    assert_eq!(two.left_out(), 10);
    let ack = two.peer().outages[&service("0")].ack.clone().unwrap();
    assert!(!ack.comment.contains('\n'));
}

proptest! {
    /// Whatever text comes inside a session, nothing breaks, and a silent link tells nothing.
    #[test]
    fn no_text_breaks_it(texts in proptest::collection::vec(
        prop_oneof![
            ".{0,60}",
            Just("\"whole\"".to_owned()),
            Just("\"told\"".to_owned()),
            Just("{\"hello\":{\"name\":\"n\"}}".to_owned()),
            "\\{\"open\":\\[\\[\\{\"group\":\"a\",\"service\":\"b\"\\},\\{\"id\":-?[0-9]{1,18},\"calls\":[0-9]\\}\\]\\]\\}",
            "\\{\"delivered\":\\[\\{\"event\":\"[a/0-9]{0,9}\",\"to\":\"x\"\\}\\]\\}",
        ],
        0..20,
    )) {
        let (_, mut two) = linked();
        for text in texts {
            if let Ok(word) = Word::of_text(text.as_bytes()) {
                let _ = two.hear(now(1), word);
            }
        }
    }
}

/// `web/http` had these outages: number, from when, to when.
fn ended(outages: &[(i64, i64, i64)]) -> EndedOutages {
    let lasted = |&(id, began, ended): &(i64, i64, i64)| {
        let [began, ended] = [began, ended].map(|it| Wall::from_seconds(1_000_000 + it));
        let lasted = Lasted { began, ended };
        let reached = Reached::Nothing;
        let periods = ToldPeriods::default();
        let past = Past {
            lasted,
            reached,
            periods,
        };
        (id, past)
    };
    [(service("http"), outages.iter().map(lasted).collect())].into()
}

#[test]
fn what_ended_is_told_once_and_understood_by_the_clock_of_who_hears_it() {
    let (mut one, mut two) = linked();
    let past = |outages: &[(i64, i64, i64)]| Own {
        ended: Arc::new(ended(outages)),
        ..own(&[("http", 9)])
    };
    one.tell(past(&[(7, 10, 20)]));
    // Two's clock is 100 seconds behind.
    let behind = Now {
        wall: Wall::from_seconds(1_000_001 - 100),
        ..now(1)
    };
    let mut count = 0;
    while let Some(word) = one.say(now(1)) {
        count += 1;
        two.hear(behind, word).unwrap();
    }
    assert_eq!(*two.peer().ended, ended(&[(7, -90, -80)]));
    let open = two.peer().outages.values().next().unwrap();
    assert_eq!(open.began.as_micros(), -100_000_000);
    assert!(count > 4);
    one.tell(past(&[(7, 10, 20), (8, 30, 40)]));
    let Some(Word::Ended(news)) = one.say(now(1)) else {
        panic!("not what ended");
    };
    assert_eq!((news.len(), news[0].id), (1, 8), "only what is new");
    two.hear(behind, Word::Ended(news)).unwrap();
    assert_eq!(*two.peer().ended, ended(&[(7, -90, -80), (8, -70, -60)]));
    assert_eq!(one.say(now(1)), None);
    // It has another number now.
    one.tell(past(&[(7, 10, 20), (9, 30, 40)]));
    let words: Vec<Word> = std::iter::from_fn(|| one.say(now(1))).collect();
    assert_eq!(words[0], Word::Gone(vec![(service("http"), 8)]), "first");
    for word in words {
        two.hear(behind, word).unwrap();
    }
    assert_eq!(*two.peer().ended, ended(&[(7, -90, -80), (9, -70, -60)]));
}

/// A number of which the peer knows nothing may be given up for one that it knows.
#[test]
fn what_ends_is_at_no_moment_unknown_to_who_hears_of_it() {
    let (mut one, mut two) = linked();
    one.tell(own(&[("http", 7), ("ping", 8)]));
    carry(now(1), &mut one, &mut two);
    one.tell(Own {
        ended: Arc::new(ended(&[(7, 1, 2)])),
        ..own(&[("ping", 8)])
    });
    let mut words = 0;
    while let Some(word) = one.say(now(1)) {
        two.hear(now(1), word).unwrap();
        words += 1;
        let (open, over) = (&two.peer().outages, &two.peer().ended);
        let is_over = over
            .get(&service("http"))
            .is_some_and(|it| it.contains_key(&7));
        assert!(open.contains_key(&service("http")) || is_over, "{over:?}");
    }
    assert_eq!((words, two.peer().outages.len()), (2, 1));
}

#[test]
fn of_too_many_that_ended_the_newest_are_kept() {
    let (mut one, mut two) = linked();
    let most = i64::try_from(ENDED_MAX).unwrap();
    let many: Vec<(i64, i64, i64)> = (0..most + 5).map(|n| (n, n, n + 1)).collect();
    one.tell(Own {
        ended: Arc::new(ended(&many)),
        ..own(&[])
    });
    carry(now(1), &mut one, &mut two);
    assert_eq!(*two.peer().ended, ended(&many[5..]));
}

/// An end that is lost here is one that nobody tells, where the other director dies.
#[test]
fn of_too_many_that_ended_those_whose_end_people_wait_for_are_kept() {
    let (mut one, mut two) = linked();
    let most = i64::try_from(ENDED_MAX).unwrap();
    let many: Vec<(i64, i64, i64)> = (0..most + 5).map(|n| (n, n, n + 1)).collect();
    let all = |kept: &[(i64, i64, i64)]| {
        let mut all = ended(kept);
        let pasts = all.values_mut().flatten();
        for (_, past) in pasts.filter(|(number, _)| **number == 2) {
            past.reached = Reached::Failure;
            past.periods.upalerts = vec![0];
        }
        all
    };
    one.tell(Own {
        ended: Arc::new(all(&many)),
        ..own(&[])
    });
    carry(now(1), &mut one, &mut two);
    let kept = [&many[2..3], &many[6..]].concat();
    assert!(*two.peer().ended == all(&kept));
}
