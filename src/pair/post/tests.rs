use std::time::Duration;

use super::*;
use crate::time::Wall;

const HOUR: Duration = Duration::from_secs(3_600);
const TERMS: Terms = Terms {
    held_most: Duration::from_secs(120),
    give_up_after: HOUR,
};
const OPS: &str = "ops@x";

fn at(seconds: u64) -> Now {
    let mono = Mono::ZERO.after(Duration::from_secs(seconds));
    let wall = Wall::from_micros(1_710_316_800_000_000).after(Duration::from_secs(seconds));
    Now { mono, wall }
}

fn letter(now: Now, event: &str, to: &str, stage: Stage) -> Letter {
    Letter {
        to: to.into(),
        events: vec![event.into()],
        accepted: now.wall,
        since: now.mono,
        origin: Origin::Call,
        stage,
    }
}

fn told(event: &str, to: &str) -> Delivery {
    Delivery {
        event: event.into(),
        to: to.into(),
    }
}

/// Of a standby that holds these events for `ops@x`, numbered from 1 on.
fn standby(events: &[&str]) -> Post {
    let mut post = Post::new(Mono::ZERO, TERMS);
    post.speak(at(0), Speaking::Silent);
    for (number, event) in (1..).zip(events) {
        post.put(number, letter(at(0), event, OPS, Stage::Held));
    }
    post
}

fn numbers(forgotten: &[Forgotten]) -> Vec<u64> {
    forgotten.iter().map(|it| it.number).collect()
}

fn left(post: &Post) -> Vec<u64> {
    post.letters.keys().copied().collect()
}

/// All that the other director is to hear, as texts.
fn tidings(post: &mut Post) -> Vec<String> {
    let next = || post.next_tidings();
    let text = |tidings| match tidings {
        Tidings::Delivered(it) => format!("{} to {}", it.event, it.to),
        Tidings::Renumbered { from, to } => format!("{from} is {to}"),
    };
    std::iter::from_fn(next).map(text).collect()
}

#[test]
fn what_the_other_director_told_is_forgotten_for_that_receiver_only() {
    let mut post = standby(&["g/s/1/failure/1", "g/s/1/failure/2", "g/t/1/failure/1"]);
    post.put(4, letter(at(0), "g/s/1/failure/1", "boss@x", Stage::Held));
    assert!(
        post.told(Mono::ZERO, &[told("g/s/1/failure/1", "a@x")])
            .is_empty()
    );
    let gone = post.told(Mono::ZERO, &[told("g/s/1/failure/1", OPS)]);
    let expected = Forgotten {
        number: 1,
        why: Why::ToldElsewhere,
    };
    assert_eq!(gone, [expected]);
    // The end of an outage makes the rest of it needless.
    let gone = post.told(Mono::ZERO, &[told("g/s/1/up/1", OPS)]);
    assert_eq!(numbers(&gone), [2]);
    assert_eq!(left(&post), [3, 4]);
    assert!(post.is_needless("g/s/1/failure/7", &OPS.into()));
    assert!(!post.is_needless("g/s/1/failure/1", &"boss@x".into()));
    assert_eq!(tidings(&mut post), Vec::<String>::new());
}

#[test]
fn who_speaks_drops_what_was_told_and_nothing_because_a_later_one_was() {
    let mut post = Post::new(Mono::ZERO, TERMS);
    post.put(1, letter(at(0), "g/s/1/failure/1", OPS, Stage::Own));
    post.put(2, letter(at(0), "g/s/1/failure/2", OPS, Stage::Own));
    let gone = post.told(Mono::ZERO, &[told("g/s/1/failure/2", OPS)]);
    assert_eq!(numbers(&gone), [2]);
    assert_eq!(left(&post), [1]);
    assert!(!post.is_needless("g/s/1/failure/1", &OPS.into()));
    assert!(post.is_needless("g/s/1/failure/2", &OPS.into()));
}

#[test]
fn a_settled_mail_is_forgotten_once_all_its_events_were_told() {
    let mut post = standby(&["g/s/1/failure/1", "g/t/1/failure/1"]);
    post.seal(&[1, 2]);
    assert!(
        post.told(Mono::ZERO, &[told("g/s/1/failure/1", OPS)])
            .is_empty()
    );
    let gone = post.told(Mono::ZERO, &[told("g/t/1/failure/1", OPS)]);
    assert_eq!((numbers(&gone), post.len()), (vec![1], 0));
}

#[test]
fn what_is_under_way_is_let_go_and_not_tried_again_where_it_was_told() {
    let mut post = Post::new(Mono::ZERO, TERMS);
    for number in [1, 2] {
        let event = format!("g/s/1/failure/{number}");
        post.put(number, letter(at(0), &event, OPS, Stage::Own));
        post.leaves(number);
    }
    assert!(
        post.told(Mono::ZERO, &[told("g/s/1/failure/1", OPS)])
            .is_empty()
    );
    assert_eq!(numbers(post.stays(1).as_slice()), [1]);
    assert_eq!(post.stays(2), None);
    post.leaves(2);
    post.delivered(2);
    assert_eq!(
        (post.len(), tidings(&mut post)),
        (0, vec!["g/s/1/failure/2 to ops@x".to_owned()])
    );
}

#[test]
fn what_was_held_is_this_directors_own_from_the_first_attempt_on() {
    let mut post = standby(&["g/s/1/failure/1", "g/s/1/failure/2", "g/s/1/failure/3"]);
    post.speak(at(1), Speaking::Speaks);
    post.leaves(2);
    assert_eq!(post.stays(2), None);
    post.speak(at(2), Speaking::Silent);
    let gone = post.tidy(at(121));
    assert!(gone.iter().all(|it| it.why == Why::Assumed));
    assert_eq!((numbers(&gone), left(&post)), (vec![1, 3], vec![2]));
    // Or where it has had the time to.
    post.put(4, letter(at(200), "g/s/1/failure/4", OPS, Stage::Held));
    post.speak(at(200), Speaking::Speaks);
    post.speak(at(321), Speaking::Silent);
    assert!(post.tidy(at(3_000)).is_empty());
    let old = post.tidy(at(3_801));
    assert!(old.iter().all(|it| it.why == Why::TooOld));
    assert_eq!(numbers(&old), [2, 4]);
}

/// Of a standby that alone saw an outage from its beginning to its end.
fn standby_of_a_flap() -> Post {
    standby(&["g/s/5/failure/1", "g/s/5/failure/2", "g/s/5/up/2"])
}

#[test]
fn what_began_and_ended_before_a_later_outage_was_told_is_not_told_behind_it() {
    let mut post = standby_of_a_flap();
    post.put(4, letter(at(0), "g/s/5/failure/1", "boss@x", Stage::Held));
    post.put(5, letter(at(0), "g/s/5/up/1", "boss@x", Stage::Held));
    post.put(6, letter(at(0), "g/s/6/failure/1", OPS, Stage::Held));
    // Whoever is told first that it is down and then that it is good takes it for good.
    assert!(
        post.told(at(1).mono, &[told("g/s/7/failure/1", OPS)])
            .is_empty()
    );
    let gone = post.speak(at(2), Speaking::Speaks);
    assert_eq!(
        (numbers(&gone), left(&post)),
        (vec![1, 2, 3], vec![4, 5, 6])
    );
    assert!(gone.iter().all(|it| it.why == Why::Overtaken), "{gone:?}");
}

#[test]
fn an_outage_that_only_the_standby_saw_is_told_where_none_behind_it_was() {
    for other in ["g/s/4/failure/1", "g/t/7/failure/1", "g/s/x/7/failure/1"] {
        let mut post = standby_of_a_flap();
        post.told(at(1).mono, &[told(other, OPS)]);
        assert_eq!(post.speak(at(2), Speaking::Speaks), [], "{other}");
    }
}

#[test]
fn whoever_was_told_of_a_failure_is_told_of_its_end_whatever_came_behind_it() {
    let later = [told("g/s/7/failure/1", OPS)];
    let mut post = standby_of_a_flap();
    post.told(at(1).mono, &[told("g/s/5/failure/1", OPS)]);
    post.told(at(1).mono, &later);
    assert_eq!(
        post.speak(at(2), Speaking::Speaks),
        [],
        "told by the other one"
    );

    let mut post = Post::new(Mono::ZERO, TERMS);
    post.put(1, letter(at(0), "g/s/5/failure/1", OPS, Stage::Own));
    post.delivered(1);
    post.speak(at(1), Speaking::Silent);
    post.put(2, letter(at(1), "g/s/5/failure/2", OPS, Stage::Held));
    post.put(3, letter(at(1), "g/s/5/up/2", OPS, Stage::Held));
    post.told(at(1).mono, &later);
    assert_eq!(post.speak(at(2), Speaking::Speaks), [], "told by this one");

    let mut post = standby(&[]);
    let entries = [
        Entry::Delivered(told("g/s/4/failure/1", OPS)),
        Entry::Renumbered {
            from: "g/s/4".into(),
            to: "g/s/5".into(),
        },
        Entry::Told(told("g/s/7/failure/1", OPS)),
    ];
    post.recall(at(1).mono, entries.into());
    post.put(1, letter(at(1), "g/s/5/failure/2", OPS, Stage::Held));
    post.put(2, letter(at(1), "g/s/5/up/2", OPS, Stage::Held));
    assert_eq!(post.speak(at(2), Speaking::Speaks), [], "before a restart");

    let mut post = standby_of_a_flap();
    post.speak(at(1), Speaking::Speaks);
    post.leaves(1);
    post.stays(1);
    post.speak(at(2), Speaking::Silent);
    post.told(at(3).mono, &later);
    assert_eq!(post.speak(at(4), Speaking::Speaks), [], "perhaps told");

    let mut post = standby(&["g/s/5/up/2"]);
    post.told(at(1).mono, &later);
    assert_eq!(post.speak(at(2), Speaking::Speaks), [], "long ago");
}

#[test]
fn what_is_heard_of_waits_until_it_is_told_and_the_rest_for_two_minutes() {
    let events = ["g/s/1/failure/1", "g/s/1/redistribute/1"];
    let age = |hearing: Hearing, lost: bool| {
        let mut post = standby(&events);
        post.hear(Mono::ZERO, Hearing::Linked);
        if lost {
            post.hear(at(5).mono, Hearing::Lost);
        }
        post.put(3, letter(at(6), "g/s/1/failure/2", OPS, Stage::Held));
        post.hear(at(7).mono, hearing);
        let at_two_minutes = numbers(&post.tidy(at(130)));
        (at_two_minutes, numbers(&post.tidy(at(3_607))))
    };
    assert_eq!(age(Hearing::Never, true), (vec![1, 2, 3], vec![]));
    assert_eq!(age(Hearing::Linked, false), (vec![2], vec![1, 3]));
    assert_eq!(age(Hearing::Lost, true), (vec![2, 3], vec![1]));
}

#[test]
fn a_takeover_looks_for_what_is_over_first() {
    let mut post = standby(&["g/s/1/failure/1"]);
    post.put(2, letter(at(100), "g/s/1/failure/2", OPS, Stage::Held));
    let gone = post.speak(at(130), Speaking::Speaks);
    assert_eq!((numbers(&gone), left(&post)), (vec![1], vec![2]));
    assert!(
        post.tidy(at(10_000)).is_empty(),
        "who speaks tells it, however late"
    );
}

#[test]
fn a_clock_that_is_set_makes_no_message_of_this_process_older() {
    let taken = letter(at(1_000), "g/s/1/failure/1", OPS, Stage::Held);
    let second = Duration::from_secs(1);
    for step in [3_600_000_000, -3_600_000_000] {
        let now = Now {
            mono: taken.since.after(second),
            wall: Wall::from_micros(taken.accepted.as_micros() + step),
        };
        assert_eq!(taken.age(now), second, "{step}");
    }
    // Of what was there before the start only the clock is known.
    let before = Letter {
        origin: Origin::Spool,
        ..taken
    };
    let now = Now {
        mono: Mono::ZERO,
        ..at(1_060)
    };
    assert_eq!(before.age(now), Duration::from_secs(60));
}

#[test]
fn an_outage_that_gets_another_number_takes_its_letters_along() {
    let mut post = standby(&["g/s/6/failure/1", "g/s/6/failure/2", "g/s/6/x/1/failure/3"]);
    // Some of it the peer has told before the number is known, some it tells later.
    post.told(Mono::ZERO, &[told("g/s/4/failure/1", OPS)]);
    let renumbered = post.renumber([("g/s/6", "g/s/5"), ("g/s/5", "g/s/4")]);
    assert_eq!(numbers(&renumbered.forgotten), [1]);
    assert_eq!(renumbered.changed, BTreeSet::from([2]));
    assert_eq!(*post.letter(2).unwrap().events, ["g/s/4/failure/2".into()]);
    assert_eq!(
        *post.letter(3).unwrap().events,
        ["g/s/6/x/1/failure/3".into()]
    );
    assert_eq!(post.now_called("g/s/6/up/1").as_deref(), Some("g/s/4/up/1"));
    let known: Vec<u64> = post.telling("g/s/4/failure/2", &OPS.into()).collect();
    assert_eq!(known, [2]);
    // By the number that the peer has for it.
    let gone = post.told(Mono::ZERO, &[told("g/s/4/failure/2", OPS)]);
    assert_eq!(numbers(&gone), [2]);
    assert_eq!(tidings(&mut post), ["g/s/6 is g/s/5", "g/s/5 is g/s/4"]);
}

/// The standby did not see that the service was good in between: to it both are one.
#[test]
fn up_of_the_peers_former_outage_says_nothing_of_its_next() {
    let mut post = standby(&[]);
    post.told(Mono::ZERO, &[told("g/s/1/failure/1", OPS)]);
    post.renumber([("g/s/1", "g/s/2")]);
    // What is gathered into one mail is told later.
    post.put(1, letter(at(0), "g/s/2/failure/1", OPS, Stage::Held));
    let gone = post.told(Mono::ZERO, &[told("g/s/1/up/1", OPS)]);
    assert!(gone.is_empty());
    assert!(!post.is_needless("g/s/2/failure/1", &OPS.into()));
    post.speak(at(1), Speaking::Speaks);
    assert!(!post.is_needless("g/s/2/up/1", &OPS.into()));
    assert_eq!(left(&post), [1]);
}

/// What goes on behind the end that people were told is another outage: the engine names it anew.
#[test]
fn who_speaks_tells_nothing_of_an_outage_whose_end_its_receiver_has() {
    let mut post = Post::new(Mono::ZERO, TERMS);
    let waiting = [
        ("g/s/1/failure/1", OPS),
        ("g/s/1/failure/2", OPS),
        ("g/s/1/failure/1", "boss@x"),
        ("g/s/2/failure/1", OPS),
        ("g/s/1/up/2", OPS),
        ("g/s/1/disable/1", OPS),
    ];
    for (number, (event, to)) in (1..).zip(waiting) {
        post.put(number, letter(at(0), event, to, Stage::Own));
    }
    post.leaves(2);
    let gone = post.told(Mono::ZERO, &[told("g/s/1/up/1", OPS)]);
    assert_eq!(
        (numbers(&gone), left(&post)),
        (vec![1], vec![2, 3, 4, 5, 6])
    );
    assert_eq!(numbers(post.stays(2).as_slice()), [2], "a relay that fails");
    let is_needless = |event, to: &str| post.is_needless(event, &to.into());
    assert!(is_needless("g/s/1/failure/3", OPS) && !is_needless("g/s/1/failure/3", "boss@x"));
    assert!(!is_needless("g/s/1/up/2", OPS));
}

/// One receiver has the end, of another one it still waits: the outage that this director takes for
/// the same is the next one.
#[test]
fn the_end_that_waits_for_a_second_receiver_stays_the_end_of_its_own_outage() {
    let up = "g/s/1/up/1";
    let boss = || "boss@x".into();
    let mut post = Post::new(Mono::ZERO, TERMS);
    for (number, event) in [(1, up), (2, "g/s/1/failure/1")] {
        post.put(number, letter(at(0), event, "boss@x", Stage::Own));
    }
    post.told(Mono::ZERO, &[told(up, OPS)]);
    let renumbered = post.renumber([("g/s/1", "g/s/2")]);
    assert_eq!(renumbered.changed, BTreeSet::from([2]));
    assert_eq!(*post.letter(1).unwrap().events, [up.into()]);
    assert_eq!(post.telling(up, &boss()).collect::<Vec<_>>(), [1]);
    // What is said of it later is said of it, too, and of the next one as far as it goes on.
    assert_eq!(post.now_called(up), None);
    let failure = post.now_called("g/s/1/failure/2");
    assert_eq!(failure.as_deref(), Some("g/s/2/failure/2"));
    post.renumber([("g/s/2", "g/s/3")]);
    assert_eq!(post.now_called(up), None);
    let failure = post.now_called("g/s/1/failure/2");
    assert_eq!(failure.as_deref(), Some("g/s/3/failure/2"));
    assert_eq!(post.now_called("g/s/2/up/1").as_deref(), Some("g/s/3/up/1"));
    post.leaves(1);
    let events = post.delivered(1);
    assert_eq!(events, [up.into()]);
    // The same behind a restart.
    let kept = post.unkept();
    let mut again = Post::new(Mono::ZERO, TERMS);
    again.put(1, letter(at(0), up, "cto@x", Stage::Own));
    again.recall(Mono::ZERO, kept);
    assert_eq!(*again.letter(1).unwrap().events, [up.into()]);
}

#[test]
fn what_runs_while_its_outage_gets_another_number_is_told_under_that() {
    let mut post = Post::new(Mono::ZERO, TERMS);
    post.put(1, letter(at(0), "g/s/6/failure/1", OPS, Stage::Own));
    post.leaves(1);
    post.renumber([("g/s/6", "g/s/5")]);
    post.delivered(1);
    assert_eq!(
        tidings(&mut post),
        ["g/s/6 is g/s/5", "g/s/5/failure/1 to ops@x"]
    );
}

#[test]
fn what_the_other_director_is_to_hear_is_bounded_and_keeps_its_order() {
    let mut post = Post::new(Mono::ZERO, TERMS);
    for number in 0..DELIVERED_MAX as u64 + 3 {
        let event = format!("g/s/1/failure/{number}");
        post.put(number, letter(at(0), &event, OPS, Stage::Own));
        post.delivered(number);
    }
    assert_eq!(post.tidings.len(), DELIVERED_MAX);
    let first = post.next_tidings().unwrap();
    assert_eq!(first, Tidings::Delivered(told("g/s/1/failure/3", OPS)));
    post.keep_tidings(first);
    assert!(post.has_tidings());
    assert_eq!(tidings(&mut post)[0], "g/s/1/failure/3 to ops@x");
}

/// However much waits, a word of the other director's looks at what it is about.
#[test]
fn each_word_of_the_other_director_costs_the_same_few_looks() {
    let mut post = standby(&[]);
    for number in 0..10_000 {
        let event = format!("g/s{number}/1/failure/1");
        post.put(number, letter(at(0), &event, OPS, Stage::Held));
    }
    let visits = crate::effort::visits(|| {
        for number in 0..1_000 {
            let told = told(&format!("g/s{number}/2/failure/1"), OPS);
            assert!(post.told(Mono::ZERO, &[told]).is_empty());
            let (from, to) = (format!("g/s{number}/1"), format!("g/s{number}/2"));
            let renumbered = post.renumber([(&*from, &*to)]);
            assert_eq!(numbers(&renumbered.forgotten), [number]);
        }
    });
    assert!(visits < 10_000, "{visits}");
}

/// The same at a start: what the disk remembers is looked up for what waits.
#[test]
fn what_is_remembered_at_a_start_costs_the_same_few_looks_for_each_entry() {
    let mut post = standby(&[]);
    for number in 0..10_000 {
        let event = format!("g/s{number}/1/failure/1");
        post.put(number, letter(at(0), &event, OPS, Stage::Held));
    }
    let renumber = |number| renumbered(&format!("g/s{number}/1"), &format!("g/s{number}/2"));
    let tell = |number| Entry::Told(told(&format!("g/s{number}/2/failure/1"), OPS));
    let entries = (0..1_000).flat_map(|number| [renumber(number), tell(number)]);
    let entries: Vec<Entry> = entries.collect();
    let visits = crate::effort::visits(|| {
        let found = post.recall(Mono::ZERO, entries);
        assert_eq!(found.forgotten.len(), 1_000);
        assert!(found.changed.is_empty());
    });
    assert!(visits < 10_000, "{visits}");
    assert_eq!(post.len(), 9_000);
}

#[test]
fn of_two_programs_the_one_says_nothing_of_the_other_and_a_later_call_covers_an_earlier_one() {
    let page = receiver("program", ["page.alert", "alice"]);
    let other = receiver("program", ["page.alert", "bob"]);
    assert_eq!(page, receiver("program", ["page.alert", "alice"]));
    assert_ne!(page, receiver("program", ["page.alertalice"]));
    assert_ne!(page, receiver("webhook", ["page.alert", "alice"]));
    assert!(!page.contains("alice") && page.len() == "program ".len() + 16);
    let mut post = standby(&[]);
    for (number, to) in [(1, &page), (2, &page), (3, &page), (4, &other)] {
        let event = format!("g/s/1/failure/{number}");
        post.put(number, letter(at(0), &event, to, Stage::Held));
    }
    let gone = post.told(Mono::ZERO, &[told("g/s/1/failure/2", &page)]);
    assert_eq!(numbers(&gone), [2, 1]);
    assert!(
        post.told(Mono::ZERO, &[told("g/s/1/failure/4", &page)])
            .len()
            == 1
    );
    assert_eq!(left(&post), [4]);
}

fn renumbered(from: &str, to: &str) -> Entry {
    let (from, to) = (from.into(), to.into());
    Entry::Renumbered { from, to }
}

#[test]
fn what_was_told_by_either_and_every_other_number_is_to_be_written_down_once() {
    let mut post = standby(&["g/s/2/failure/1", "g/s/2/startup/1"]);
    post.told(Mono::ZERO, &[told("g/t/1/up/1", OPS)]);
    post.told(Mono::ZERO, &[told("g/t/1/up/1", OPS)]);
    post.renumber([("g/s/2", "g/s/1")]);
    post.delivered(1);
    // The start of a director is its own.
    post.delivered(2);
    let expected = [
        Entry::Told(told("g/t/1/up/1", OPS)),
        renumbered("g/s/2", "g/s/1"),
        Entry::Delivered(told("g/s/1/failure/1", OPS)),
    ];
    let entries = post.unkept();
    assert_eq!(entries, expected);
    assert_eq!(post.unkept(), []);
    // The disk did not take it, and more came meanwhile.
    post.told(Mono::ZERO, &[told("g/t/2/up/1", OPS)]);
    post.keep_unkept(entries);
    let again = post.unkept();
    assert_eq!((&again[..3], again.len()), (&expected[..], 4));
    post.keep_unkept(vec![renumbered("a/b/1", "a/b/2"); DELIVERED_MAX + 1]);
    assert_eq!(post.unkept().len(), DELIVERED_MAX);
}

#[test]
fn after_a_restart_what_was_told_is_told_to_the_other_one_and_to_nobody_else() {
    let mut post = standby(&[
        "g/s/1/failure/1",
        "g/t/1/failure/1",
        "g/u/6/failure/1",
        "g/v/1/failure/1",
    ]);
    for letter in post.letters.values_mut() {
        letter.origin = Origin::Spool;
    }
    let renumbered = post.recall(
        Mono::ZERO,
        vec![
            Entry::Delivered(told("g/s/1/failure/1", OPS)),
            Entry::Told(told("g/t/1/failure/1", OPS)),
            renumbered("g/u/6", "g/u/5"),
            Entry::Told(told("g/v/1/failure/1", "a@x")),
        ],
    );
    // The file of the first outlived its delivery.
    assert_eq!(numbers(&renumbered.forgotten), [1, 2]);
    assert_eq!(renumbered.changed, BTreeSet::from([3]));
    assert_eq!(*post.letter(3).unwrap().events, ["g/u/5/failure/1".into()]);
    assert_eq!(left(&post), [3, 4]);
    assert!(post.is_needless("g/t/1/failure/1", &OPS.into()));
    assert_eq!(post.unkept(), [], "it is there already");
    assert_eq!(
        tidings(&mut post),
        ["g/s/1/failure/1 to ops@x", "g/u/6 is g/u/5"]
    );
}

/// Behind a lost journal the number of a call may be one that other news had.
#[test]
fn after_a_restart_only_what_the_spool_still_has_counts_as_told_by_this_director() {
    let mut post = Post::new(Mono::ZERO, TERMS);
    let event = "g/s/1/failure/1";
    let outlived = Letter {
        origin: Origin::Spool,
        ..letter(at(0), event, OPS, Stage::Own)
    };
    post.put(1, outlived);
    post.put(2, letter(at(0), event, OPS, Stage::Own));
    let found = post.recall(Mono::ZERO, vec![Entry::Delivered(told(event, OPS))]);
    let expected = Forgotten {
        number: 1,
        why: Why::ToldBefore,
    };
    assert_eq!(found.forgotten, [expected]);
    assert_eq!(left(&post), [2]);
    let found = post.recall(Mono::ZERO, vec![Entry::Told(told(event, OPS))]);
    let expected = Forgotten {
        number: 2,
        why: Why::ToldElsewhere,
    };
    assert_eq!(found.forgotten, [expected]);
}

#[test]
fn after_a_restart_what_was_told_under_the_newer_number_is_not_told_under_the_older() {
    let mut post = standby(&["g/s/6/failure/1"]);
    let renumbered = post.recall(
        Mono::ZERO,
        vec![
            renumbered("g/s/6", "g/s/5"),
            Entry::Told(told("g/s/5/failure/2", OPS)),
        ],
    );
    assert_eq!(numbers(&renumbered.forgotten), [1]);
    assert!(post.is_empty());
}

#[test]
fn a_letter_that_is_gone_tells_nothing_any_more() {
    let mut post = standby(&["g/s/1/failure/1"]);
    let telling = |post: &Post| post.telling("g/s/1/failure/1", &OPS.into()).count();
    assert_eq!(telling(&post), 1);
    post.gone(1);
    assert_eq!(telling(&post), 0);
    // Nor does one out of which an event was taken tell that.
    let mut post = standby(&["g/s/1/failure/1", "g/t/1/failure/1"]);
    post.seal(&[1, 2]);
    post.told(Mono::ZERO, &[told("g/s/1/failure/1", OPS)]);
    assert_eq!((telling(&post), post.len()), (0, 1));
}

#[test]
fn a_settled_mail_of_which_one_event_was_told_is_tried_again() {
    let mut post = standby(&["g/s/1/failure/1", "g/t/1/failure/1"]);
    post.seal(&[1, 2]);
    post.speak(at(1), Speaking::Speaks);
    post.leaves(1);
    post.told(Mono::ZERO, &[told("g/s/1/failure/1", OPS)]);
    assert_eq!(post.stays(1), None);
    // It is this director's own since it was settled.
    post.speak(at(2), Speaking::Silent);
    assert!(post.tidy(at(200)).is_empty());
    let mut settled = standby(&["g/s/1/failure/1"]);
    settled.seal(&[1]);
    assert!(settled.tidy(at(200)).is_empty());
}

#[test]
fn who_speaks_and_is_told_to_speak_goes_on() {
    let mut post = Post::new(Mono::ZERO, TERMS);
    post.put(1, letter(at(0), "g/s/1/failure/1", OPS, Stage::Own));
    assert!(post.speak(at(10_000), Speaking::Speaks).is_empty());
    // It has spoken all along.
    post.put(2, letter(at(10_000), "g/s/2/failure/1", OPS, Stage::Held));
    post.speak(at(10_001), Speaking::Silent);
    assert_eq!(numbers(&post.tidy(at(10_300))), [1], "too old by now");
}

#[test]
fn a_short_turn_and_a_long_wait_make_nothing_this_directors_own() {
    let mut post = standby(&["g/s/1/failure/1"]);
    post.hear(Mono::ZERO, Hearing::Linked);
    post.speak(at(300), Speaking::Speaks);
    post.speak(at(420), Speaking::Silent);
    let gone = post.tidy(at(3_601));
    assert_eq!(gone.first().map(|it| it.why), Some(Why::Assumed));
}

#[test]
fn what_is_under_way_when_the_role_leaves_stays_under_way() {
    let mut post = Post::new(Mono::ZERO, TERMS);
    post.put(1, letter(at(0), "g/s/1/failure/1", OPS, Stage::Own));
    post.leaves(1);
    post.speak(at(300), Speaking::Silent);
    let gone = post.told(at(300).mono, &[told("g/s/1/failure/1", OPS)]);
    assert!(gone.is_empty() && post.tidy(at(10_000)).is_empty());
    assert_eq!(numbers(post.stays(1).as_slice()), [1]);
}

#[test]
fn what_came_while_the_link_stood_waits_when_it_is_lost_and_what_came_later_does_not() {
    let mut post = standby(&[]);
    post.hear(Mono::ZERO, Hearing::Linked);
    post.put(1, letter(at(4), "g/s/1/failure/1", OPS, Stage::Held));
    post.hear(at(5).mono, Hearing::Lost);
    post.put(2, letter(at(6), "g/s/1/failure/2", OPS, Stage::Held));
    // Still lost: said again.
    post.hear(at(7).mono, Hearing::Lost);
    assert_eq!(numbers(&post.tidy(at(200))), [2]);
}

#[test]
fn what_was_told_long_ago_is_forgotten() {
    let mut post = standby(&[]);
    post.told(Mono::ZERO, &[told("g/s/1/up/1", OPS)]);
    let late = at(100_000).mono;
    post.told(late, &[told("g/s/2/up/1", OPS)]);
    assert!(!post.is_needless("g/s/1/up/1", &OPS.into()));
    assert!(post.is_needless("g/s/2/up/1", &OPS.into()));
}

#[test]
fn of_a_settled_mail_one_outage_gets_another_number_and_the_others_keep_theirs() {
    let mut post = standby(&["g/s/6/failure/1", "g/t/6/failure/1"]);
    post.seal(&[1, 2]);
    post.renumber([("g/s/6", "g/s/5")]);
    let events = ["g/s/5/failure/1".into(), "g/t/6/failure/1".into()];
    assert_eq!(*post.letter(1).unwrap().events, events);
    assert_eq!(post.telling("g/s/6/failure/1", &OPS.into()).count(), 0);
    // It is as much the other director's as its part of which that says what it told.
    let mut post = standby(&["g/s/1/failure/1", "g/s/1/startup/1"]);
    post.hear(Mono::ZERO, Hearing::Linked);
    for event in ["g/s/1/startup/2", "g/s/1/failure/2"] {
        post.letters.get_mut(&1).unwrap().events.push(event.into());
    }
    assert_eq!(numbers(&post.tidy(at(200))), [2]);
}

#[test]
fn each_letter_has_its_whole_time_and_what_came_from_the_spool_that_of_this_process() {
    let mut post = standby(&["g/s/1/failure/1"]);
    assert!(post.tidy(at(120)).is_empty());
    assert_eq!(numbers(&post.tidy(at(121))), [1]);
    let spooled = |stage, since: u64| Letter {
        since: at(since).mono,
        origin: Origin::Spool,
        ..letter(at(0), "g/s/1/failure/1", OPS, stage)
    };
    post.put(2, spooled(Stage::Own, 3_000));
    assert!(post.tidy(at(6_599)).is_empty());
    assert_eq!(numbers(&post.tidy(at(6_600))), [2]);
    // What the spool held was there before the link was lost, and so was what came just then.
    post.hear(at(7_000).mono, Hearing::Linked);
    post.hear(at(7_000).mono, Hearing::Lost);
    let first = at(7_000);
    post.put(3, letter(first, "g/s/1/failure/2", OPS, Stage::Held));
    let later = Letter {
        origin: Origin::Spool,
        ..letter(at(7_001), "g/s/1/failure/3", OPS, Stage::Held)
    };
    post.put(4, later);
    assert!(post.tidy(at(7_200)).is_empty());
}

#[test]
fn other_terms_hold_at_once_and_what_a_silent_director_takes_is_held() {
    assert_eq!(Stage::of(Speaking::Silent), Stage::Held);
    assert_eq!(Stage::of(Speaking::Speaks), Stage::Own);
    let mut post = standby(&["g/s/1/failure/1"]);
    post.set_terms(Terms {
        held_most: Duration::from_secs(10),
        ..TERMS
    });
    assert_eq!(numbers(&post.tidy(at(11))), [1]);
}

/// Both told one outage while they did not hear each other, and changed their roles meanwhile.
#[test]
fn what_the_other_one_told_under_a_number_that_it_gives_up_is_told_twice_at_most_and_never_lost() {
    let mut theirs = Delivered::default();
    theirs.add(Mono::ZERO, told("g/s/6/failure/1", OPS));
    let heard = |theirs: &Delivered| {
        let mut post = standby(&["g/s/5/failure/1", "g/s/5/up/1"]);
        post.speak(at(1), Speaking::Speaks);
        let told: Vec<Delivery> = theirs.from(0).cloned().collect();
        post.told(Mono::ZERO, &told);
        left(&post)
    };
    let mut open = theirs.clone();
    open.also(Mono::ZERO, "g/s/6", "g/s/5");
    assert_eq!(heard(&open), [2], "its end alone");
    // It may as well be the next outage of a director that missed this end.
    theirs.add(Mono::ZERO, told("g/s/6/up/1", OPS));
    theirs.also(Mono::ZERO, "g/s/6", "g/s/5");
    assert_eq!(heard(&theirs), [1, 2]);
}

#[test]
fn what_was_told_before_the_journal_was_lost_is_not_told_again_under_the_same_number() {
    let after = |told_before: &[&str]| {
        let mut post = Post::new(Mono::ZERO, TERMS);
        let entries = told_before.iter().map(|it| Entry::Delivered(told(it, OPS)));
        post.recall(Mono::ZERO, entries.collect());
        // The outage that goes on has another number first, until the other director is heard.
        post.put(1, letter(at(1), "g/s/5/failure/1", OPS, Stage::Own));
        post.put(2, letter(at(1), "g/s/5/failure/1", "boss@x", Stage::Own));
        let renumbered = post.renumber([("g/s/5", "g/s/1")]);
        (
            numbers(&renumbered.forgotten),
            renumbered.changed,
            left(&post),
        )
    };
    let boss = BTreeSet::from([2]);
    assert_eq!(after(&["g/s/1/failure/1"]), (vec![1], boss, vec![2]));
    let both = (vec![], BTreeSet::from([1, 2]), vec![1, 2]);
    assert_eq!(after(&["g/s/1/failure/2"]), both);
    assert_eq!(after(&["g/s/2/failure/1"]), both);
    // People know its end: what goes on is other news.
    assert_eq!(after(&["g/s/1/failure/1", "g/s/1/up/1"]), both);
}

#[test]
fn two_messages_to_one_receiver_stay_two_where_the_outage_gets_another_number() {
    let mut post = Post::new(Mono::ZERO, TERMS);
    post.put(1, letter(at(1), "g/s/5/failure/1", OPS, Stage::Own));
    post.put(2, letter(at(1), "g/s/5/failure/1", OPS, Stage::Own));
    post.delivered(1);
    let renumbered = post.renumber([("g/s/5", "g/s/1")]);
    assert_eq!(numbers(&renumbered.forgotten), Vec::<u64>::new());
    assert_eq!(left(&post), [2]);
}
