//! The number that people know stays, whoever speaks, and both directors say the same.

use std::sync::Arc;

use jiff::tz::TimeZone;
use proptest::prelude::*;

use super::*;
use crate::engine::event::{AlertCall, Event, Note, PeerTold};
use crate::engine::fixture::{EPOCH, at, watched};
use crate::engine::peer::fixture::{Desk, has_renumbered};

const OPEN: [Reached; 3] = [Reached::Nothing, Reached::Failure, Reached::End];
const SPEAKING: [Speaking; 2] = [Speaking::Speaks, Speaking::Silent];

impl Desk {
    /// The next report has this value: the ids of the calls that it causes.
    fn hears(&mut self, exit: i32) -> Vec<String> {
        ids(&self.finds(exit))
    }

    /// It delivered this of its outage of this number.
    fn delivers(&mut self, number: i64, rest: &str) {
        let event = Arc::from(format!("g/s/{number}/{rest}"));
        self.handle(Event::Delivered(vec![event]));
    }
}

fn ids(actions: &[Action]) -> Vec<String> {
    let calls = actions.iter().filter_map(Action::sent);
    calls.map(|call| call.event.clone()).collect()
}

/// Both hear each other until neither has news; how many times numbers changed.
fn agree(one: &mut Desk, other: &mut Desk, speaking: [Speaking; 2]) -> usize {
    let [ones, others] = speaking;
    let mut count = 0;
    for _ in 0..4 {
        let here = one.listens(other, [ones, others], true);
        let there = other.listens(one, [others, ones], true);
        count += usize::from(has_renumbered(&here)) + usize::from(has_renumbered(&there));
    }
    count
}

#[test]
fn of_two_numbers_exactly_one_gives_way_and_it_is_never_the_only_one_that_people_know() {
    let candidate = |number, reached| Candidate { number, reached };
    for (number, other) in [(1, 2), (2, 1)] {
        for (ours, peers) in OPEN.iter().flat_map(|ours| OPEN.map(|it| (*ours, it))) {
            for (speaking, peer) in SPEAKING.iter().flat_map(|it| SPEAKING.map(|to| (*it, to))) {
                let (ours, peers) = (candidate(number, ours), candidate(other, peers));
                let side = |speaking, peer| Peer {
                    told: PeerTold {
                        speaking,
                        peer,
                        ..PeerTold::default()
                    },
                    ..Peer::default()
                };
                let here = side(speaking, peer).gives_way(ours, peers);
                let there = side(peer, speaking).gives_way(peers, ours);
                assert_ne!(here, there, "{ours:?} {peers:?} {speaking:?} {peer:?}");
                if ours.reached == Reached::Failure && peers.reached != Reached::Failure {
                    assert!(!here, "{ours:?} {peers:?}");
                }
                if ours.reached == Reached::End && peers.reached != Reached::End {
                    assert!(here, "{ours:?} {peers:?}");
                }
                let here = side(speaking, peer).gives_way_over(ours, peers);
                let there = side(peer, speaking).gives_way_over(peers, ours);
                assert!(!(here && there), "{ours:?} {peers:?} {speaking:?} {peer:?}");
                assert!(!here || ours.reached.is_nothing() || !peers.reached.is_nothing());
            }
        }
    }
}

/// A director that stood still numbers an outage anew, and speaks again before it has heard the
/// other one, which has told people.
#[test]
fn what_people_were_told_keeps_its_number_when_the_other_director_speaks_again() {
    for (first, second) in [(0.0, 40.0), (40.0, 0.0)] {
        let (mut woken, mut other) = (Desk::new(first), Desk::new(second));
        woken.hears(1);
        other.hears(1);
        let (number, _) = other.open().unwrap();
        other.delivers(number, "failure/1");
        let speaking = [Speaking::Speaks, Speaking::Silent];
        assert_eq!(agree(&mut woken, &mut other, speaking), 1);
        assert_eq!(woken.open(), Some((number, Reached::Failure)));
        assert_eq!(other.open(), Some((number, Reached::Failure)));
        // Whatever becomes of the roles later.
        let handed_over = [Speaking::Silent, Speaking::Speaks];
        assert_eq!(agree(&mut woken, &mut other, handed_over), 0);
    }
}

#[test]
fn who_was_told_nothing_of_says_nothing_and_a_restart_forgets_nothing() {
    let mut desk = Desk::new(0.0);
    desk.hears(1);
    let (number, reached) = desk.open().unwrap();
    assert_eq!(reached, Reached::Nothing);
    for other in [
        format!("g/s/{}/failure/1", number + 1),
        format!("g/t/{number}/failure/1"),
        format!("gg/s/{number}/failure/1"),
        format!("g/s/{number}/test/1"),
        format!("g/s/{number}/startup/1"),
        "g/s".to_owned(),
    ] {
        desk.handle(Event::Delivered(vec![other.as_str().into()]));
        let ended = desk.past().len();
        assert_eq!((desk.open(), ended), (Some((number, reached)), 0));
    }
    desk.delivers(number, "failure/1");
    assert_eq!(desk.open(), Some((number, Reached::Failure)));
    let now = at(desk.seconds);
    desk.engine = Engine::new(watched(), &desk.journal, 1, TimeZone::UTC, now);
    assert_eq!(desk.open(), Some((number, Reached::Failure)));
    desk.handle(Event::Start);
    desk.hears(0);
    assert_eq!(desk.past(), [(number, Reached::Failure)]);
    desk.delivers(number, "up/1");
    assert_eq!(desk.past(), [(number, Reached::End)]);
    let now = at(desk.seconds);
    desk.engine = Engine::new(watched(), &desk.journal, 1, TimeZone::UTC, now);
    assert_eq!(desk.past(), [(number, Reached::End)]);
}

/// The other director delivers for both: its number is known here as well, also where the outage is
/// found here only later.
#[test]
fn what_the_peer_delivered_counts_as_what_was_delivered_here() {
    let (mut one, mut other) = (Desk::new(0.0), Desk::new(0.0));
    let speaking = [Speaking::Speaks, Speaking::Silent];
    one.hears(1);
    let (number, _) = one.open().unwrap();
    agree(&mut one, &mut other, speaking);
    let event: Arc<str> = format!("g/s/{number}/failure/1").into();
    one.handle(Event::Delivered(vec![Arc::clone(&event)]));
    other.handle(Event::PeerDelivered(vec![event]));
    other.hears(1);
    assert_eq!(other.open(), Some((number, Reached::Failure)));
    // The first one lost its journal, and speaks again.
    let mut again = Desk::new(200.0);
    again.hears(1);
    agree(&mut again, &mut other, speaking);
    assert_eq!(again.open(), Some((number, Reached::Failure)));
}

/// A director stood still while the other one told people of the end of its outage, and of the
/// next.
#[test]
fn a_number_whose_end_people_know_gives_way_to_the_next_outage() {
    let (mut woken, mut other) = (Desk::new(0.0), Desk::new(0.0));
    let speaking = [Speaking::Speaks, Speaking::Silent];
    woken.hears(1);
    let (first, _) = woken.open().unwrap();
    agree(&mut woken, &mut other, speaking);
    other.hears(1);
    woken.delivers(first, "failure/1");
    agree(&mut woken, &mut other, speaking);
    other.hears(0);
    other.delivers(first, "up/1");
    other.hears(1);
    let (second, _) = other.open().unwrap();
    assert!(second > first);
    other.delivers(second, "failure/1");
    woken.hears(1);
    let events = ["up/1", "failure/1"].map(|it| format!("g/s/{first}/{it}").into());
    woken.handle(Event::PeerDelivered(events.to_vec()));
    agree(&mut woken, &mut other, speaking);
    assert_eq!(woken.open(), Some((second, Reached::Failure)));
    assert_eq!(other.open(), woken.open());
}

/// Only this director cannot reach the server any more: the other one has told the end, and then
/// this one speaks.
#[test]
fn what_fails_on_behind_the_end_that_people_know_is_told_under_another_number() {
    for is_restarted in [false, true] {
        let (mut desk, other) = (Desk::new(0.0), Desk::new(0.0));
        desk.hears(1);
        let (first, _) = desk.open().unwrap();
        desk.delivers(first, "failure/1");
        desk.listens(&other, [Speaking::Silent, Speaking::Speaks], true);
        let end = format!("g/s/{first}/up/1").into();
        desk.handle(Event::PeerDelivered(vec![end]));
        // Until it speaks the next check may find the same end.
        desk.hears(1);
        assert_eq!(desk.open(), Some((first, Reached::End)));
        if is_restarted {
            desk.restart();
        }
        desk.listens(&other, [Speaking::Speaks, Speaking::Silent], true);
        let calls = desk.hears(1);
        let (second, reached) = desk.open().unwrap();
        assert!(second > first, "{is_restarted}");
        assert_eq!(reached, Reached::Nothing);
        assert_eq!(calls, [format!("g/s/{second}/failure/1")]);
        assert_eq!(desk.past(), [(first, Reached::End)]);
        desk.delivers(second, "failure/1");
        assert_eq!(desk.hears(0), [format!("g/s/{second}/up/1")]);
    }
}

/// It is failing all the time: nobody has seen it good, and it is no new service.
#[test]
fn what_fails_on_behind_an_end_is_no_success_and_no_first_check() {
    let (mut desk, other) = (Desk::new(0.0), Desk::new(0.0));
    let value = |calls: &[AlertCall], name: &str| {
        let environment = calls[0].environment.iter();
        let named = environment.filter(|(it, _)| it == name);
        named.map(|(_, value)| value.clone()).next_back()
    };
    desk.finds(1);
    let (first, _) = desk.open().unwrap();
    desk.delivers(first, "failure/1");
    desk.listens(&other, [Speaking::Speaks, Speaking::Silent], true);
    let end = format!("g/s/{first}/up/1").into();
    desk.handle(Event::PeerDelivered(vec![end]));
    let actions = desk.finds(1);
    let calls: Vec<AlertCall> = actions.iter().filter_map(Action::sent).cloned().collect();
    assert!(desk.open().unwrap().0 > first);
    assert_eq!(value(&calls, "MON_LAST_SUCCESS").as_deref(), Some("0"));
    assert!(value(&calls, "MON_LAST_OUTPUT").is_some());
    let is_told = |it: &&Action| {
        matches!(
            it,
            Action::Note(Note::ServiceDown { .. } | Note::AnotherOutage(_))
        )
    };
    let notes: Vec<&Action> = actions.iter().filter(is_told).collect();
    let expected = Action::Note(Note::AnotherOutage(ServiceId(0)));
    assert_eq!(notes, [&expected]);
}

/// The check that was under way when the other director told the end says nothing of what was
/// behind it.
#[test]
fn an_end_that_people_know_is_the_end_of_what_the_next_check_finds_good() {
    let (mut desk, other) = (Desk::new(0.0), Desk::new(0.0));
    desk.hears(1);
    let (number, _) = desk.open().unwrap();
    desk.delivers(number, "failure/1");
    desk.listens(&other, [Speaking::Speaks, Speaking::Silent], true);
    let end: Arc<str> = format!("g/s/{number}/up/1").into();
    let run = desk.starts();
    desk.handle(Event::PeerDelivered(vec![end]));
    assert_eq!(
        ids(&desk.ended(run, 1)),
        [format!("g/s/{number}/failure/2")]
    );
    assert_eq!(desk.hears(0), [format!("g/s/{number}/up/1")]);
    assert_eq!(desk.past(), [(number, Reached::End)]);
}

/// The disk had no room for the end of the outage, and the daemon was killed: to the journal it
/// goes on, by the number whose end people were told.
#[test]
fn an_outage_whose_end_was_told_before_a_restart_is_over_and_the_next_one_is_told() {
    for is_good_again in [true, false] {
        let (mut desk, mut other) = (Desk::new(0.0), Desk::new(0.0));
        desk.hears(1);
        other.hears(1);
        let (number, _) = desk.open().unwrap();
        desk.delivers(number, "failure/1");
        let full = desk.journal.clone();
        desk.hears(0);
        other.hears(0);
        other.hears(1);
        let theirs = other.open().unwrap().0;
        desk.seconds = other.seconds + 100.0;
        desk.journal = full;
        desk.restart();
        let told = ["failure/1", "up/1"].map(|rest| format!("g/s/{number}/{rest}").into());
        desk.handle(Event::Delivered(told.to_vec()));
        assert_eq!(desk.open(), None, "people know that it is over");
        assert_eq!(desk.past(), [(number, Reached::End)]);
        assert!(
            !has_renumbered(&desk.listens(&other, [Speaking::Silent, Speaking::Speaks], true)),
            "the next one of the other director's began after its end"
        );
        if is_good_again {
            assert_eq!(desk.hears(0), [""; 0], "its end was told");
            continue;
        }
        assert_eq!(desk.hears(1), [format!("g/s/{theirs}/failure/1")]);
        assert_eq!(desk.open(), Some((theirs, Reached::Nothing)));
        assert_eq!(desk.hears(0), [format!("g/s/{theirs}/up/1")]);
        // It is on record.
        desk.restart();
        assert_eq!(desk.open(), None);
    }
}

/// The journal is lost, and the clock was set back: what was delivered is known all the same.
#[test]
fn a_number_that_people_know_is_not_taken_again() {
    for event in ["g/s/NUMBER/up/1", "g/gone/NUMBER/failure/1"] {
        let mut desk = Desk::new(0.0);
        let number = EPOCH + 500;
        let event = event.replace("NUMBER", &number.to_string());
        let unbelievable = format!("g/s/{}/up/1", numbering::NUMBER_MAX + 1);
        let events = [event.as_str().into(), unbelievable.as_str().into()];
        desk.handle(Event::Delivered(events.to_vec()));
        let journal = desk.journal.clone();
        desk.hears(1);
        assert_eq!(desk.open(), Some((number + 1, Reached::Nothing)), "{event}");
        desk.journal = journal;
        desk.restart();
        desk.hears(1);
        assert!(desk.open().unwrap().0 > number, "{event}");
    }
}

#[test]
fn what_is_over_keeps_the_number_that_people_know_too() {
    for (is_woken_over, is_other_over) in [(true, true), (true, false), (false, true)] {
        let (mut woken, mut other) = (Desk::new(3.0), Desk::new(0.0));
        other.hears(1);
        let (number, _) = other.open().unwrap();
        other.delivers(number, "failure/1");
        woken.hears(1);
        if is_other_over {
            other.hears(0);
        }
        if is_woken_over {
            woken.hears(0);
        }
        for _ in 0..2 {
            agree(&mut woken, &mut other, [Speaking::Speaks, Speaking::Silent]);
            let all = |desk: &Desk| {
                let all = desk.open().into_iter().chain(desk.past());
                all.map(|(number, _)| number).collect::<Vec<_>>()
            };
            assert_eq!(all(&woken), [number], "{is_woken_over} {is_other_over}");
            assert_eq!(all(&other), [number], "{is_woken_over} {is_other_over}");
        }
    }
}

/// Both told of the service while they did not hear each other, this one of one outage, the other
/// one of a later one, and of the next. Once people know the end of that, the other one cannot take
/// the number that is before it; until then whoever speaks keeps its own.
#[test]
fn a_number_gives_way_where_the_end_of_a_greater_one_was_told() {
    let all = SPEAKING.iter().flat_map(|it| SPEAKING.map(|to| [*it, to]));
    for (is_end_told, speaking) in all.flat_map(|it| [(true, it), (false, it)]) {
        let (mut one, mut other) = (Desk::new(0.0), Desk::new(20.0));
        let mut number = 0;
        for desk in [&mut one, &mut other] {
            desk.hears(1);
            let (former, _) = desk.open().unwrap();
            assert!(former > number);
            desk.delivers(former, "failure/1");
            number = former;
        }
        let (first, _) = one.open().unwrap();
        other.hears(0);
        if is_end_told {
            other.delivers(number, "up/1");
        }
        other.hears(1);
        let (latter, _) = other.open().unwrap();
        other.delivers(latter, "failure/1");
        agree(&mut one, &mut other, speaking);
        let known = |number| Some((number, Reached::Failure));
        assert_eq!(other.open(), known(latter), "{is_end_told} {speaking:?}");
        let keeps_its_own = !is_end_told && speaking != [Speaking::Silent, Speaking::Speaks];
        let kept = if keeps_its_own { first } else { latter };
        assert_eq!(one.open(), known(kept), "{is_end_told} {speaking:?}");
        // People wait for the end of the one that gave way.
        let given_up = one.past().contains(&(first, Reached::Failure));
        assert_eq!(given_up, !keeps_its_own, "{is_end_told} {speaking:?}");
    }
}

impl Desk {
    /// Its next numbers are greater than this.
    fn knows_of(&mut self, numbers: i64) {
        self.handle(Event::Peer(PeerTold {
            is_linked: true,
            numbers,
            ..PeerTold::default()
        }));
    }

    /// It had an outage, of which so much has reached people: its number.
    fn had(&mut self, reached: Reached) -> i64 {
        self.hears(1);
        let (number, _) = self.open().unwrap();
        self.hears(0);
        if reached >= Reached::Failure {
            self.delivers(number, "failure/1");
        }
        if reached == Reached::End {
            self.delivers(number, "up/1");
        }
        number
    }
}

/// A number far ahead of the clock.
const AHEAD: i64 = EPOCH + 1_000;

/// The other one had an outage of a greater number, or of the same, which was over before this one
/// began: one of the clocks is behind, and they could not hear of numbers. The other one takes none
/// that is not behind the ends that it had.
#[test]
fn an_untold_number_that_the_other_one_cannot_take_becomes_a_greater_one() {
    let all = SPEAKING.iter().flat_map(|it| SPEAKING.map(|to| [*it, to]));
    let had = OPEN.map(|reached| (reached, 0));
    let had = had.into_iter().chain([(Reached::Nothing, AHEAD)]);
    let had = had.flat_map(|it| [(it, false), (it, true)]);
    for (((reached, known), fails_there), speaking) in
        had.flat_map(|it| all.clone().map(move |to| (it, to)))
    {
        let case = format!("{reached:?} {known} {fails_there} {speaking:?}");
        let (mut one, mut other) = (Desk::new(100.0), Desk::new(0.0));
        other.knows_of(AHEAD);
        let over = other.had(reached);
        one.knows_of(known);
        one.hears(1);
        let (ours, _) = one.open().unwrap();
        assert!(ours <= over, "{case}");
        if fails_there {
            other.seconds = one.seconds;
            other.hears(1);
        }
        assert_eq!(agree(&mut one, &mut other, speaking), 1, "{case}");
        let (number, _) = one.open().unwrap();
        assert!(number > over, "{number} {case}");
        // It is told, and found there too.
        one.delivers(number, "failure/1");
        other.seconds = other.seconds.max(one.seconds);
        other.hears(1);
        assert_eq!(agree(&mut one, &mut other, speaking), 0, "{case}");
        let told = Some((number, Reached::Failure));
        assert_eq!([one.open(), other.open()], [told; 2], "{case}");
    }
}

/// What people know by its number keeps it, and so does what may be the same as that which is over
/// there until both have agreed.
#[test]
fn a_number_that_is_told_or_not_agreed_on_stays_behind_a_greater_one_that_is_over() {
    let speaking = [Speaking::Speaks, Speaking::Silent];
    for (began, is_told) in [(100.0, true), (0.0, false)] {
        let (mut one, mut other) = (Desk::new(began), Desk::new(0.0));
        other.knows_of(AHEAD);
        one.hears(1);
        let (number, _) = one.open().unwrap();
        if is_told {
            one.delivers(number, "failure/1");
        }
        assert!(other.had(Reached::Nothing) > number);
        one.listens(&other, speaking, true);
        assert_eq!(one.open().map(|it| it.0), Some(number), "{is_told}");
    }
}

/// Who finds a failure a check later than the other one, which has told it and its end by then, has
/// no outage of its own.
#[test]
fn a_number_that_people_know_from_the_other_one_stays() {
    let (mut one, mut other) = (Desk::new(100.0), Desk::new(0.0));
    let speaking = [Speaking::Silent, Speaking::Speaks];
    other.hears(1);
    one.listens(&other, speaking, true);
    one.hears(1);
    let (number, _) = other.open().unwrap();
    other.hears(0);
    for event in ["failure/1", "up/1"] {
        other.delivers(number, event);
        one.listens(&other, speaking, true);
        assert_eq!(one.open().map(|it| it.0), Some(number), "{event}");
    }
}

/// Clocks that were set may make what is over there overlap what goes on here: no outage is lost by
/// that, since the number of what is over names nothing that goes on.
#[test]
fn what_wrongly_has_the_number_of_what_is_over_is_told_at_the_next_check() {
    for reached in [Reached::Nothing, Reached::Failure] {
        let (mut desk, mut other) = (Desk::new(0.0), Desk::new(0.0));
        other.hears(1);
        let (over, _) = other.open().unwrap();
        other.delivers(over, "failure/1");
        other.hears(0);
        other.delivers(over, "up/1");
        desk.seconds = other.seconds - 5.0;
        desk.hears(1);
        let (number, _) = desk.open().unwrap();
        if reached == Reached::Failure {
            desk.delivers(number, "failure/1");
        }
        desk.listens(&other, [Speaking::Silent, Speaking::Speaks], true);
        assert_eq!(desk.open(), Some((over, Reached::End)), "{reached:?}");
        desk.listens(&other, [Speaking::Speaks, Speaking::Silent], true);
        let calls = desk.hears(1);
        let (next, _) = desk.open().unwrap();
        assert!(next > number.max(over));
        assert_eq!(calls, [format!("g/s/{next}/failure/1")], "{reached:?}");
        desk.delivers(next, "failure/1");
        let mut ends = vec![format!("g/s/{next}/up/1")];
        if reached == Reached::Failure {
            ends.push(format!("g/s/{number}/up/1"));
        }
        assert_eq!(desk.hears(0), ends, "{reached:?}");
    }
}

proptest! {
    /// Whatever was delivered and whoever speaks: when both have heard each other they have one
    /// number, and it is one that people know where they know one.
    #[test]
    fn both_come_to_one_number(
        delivered in prop::array::uniform2(0..3_u8),
        speaking in prop::array::uniform2(prop::bool::ANY),
        first in 0..3_u8,
        is_heard_at_once in prop::bool::ANY,
    ) {
        let mut desks = [Desk::new(0.0), Desk::new(f64::from(first) * 20.0)];
        let mut known = Vec::new();
        for (desk, told) in desks.iter_mut().zip(delivered) {
            desk.hears(1);
            let (number, _) = desk.open().unwrap();
            // Twice the same number means one outage for both.
            for call in 1..=told {
                desk.delivers(number, &format!("failure/{call}"));
                known.push(number);
            }
        }
        let says = |speaks| if speaks { Speaking::Speaks } else { Speaking::Silent };
        let speaking = speaking.map(says);
        let [one, other] = &mut desks;
        if is_heard_at_once {
            // Both decide by what the other one said before it decided.
            let before = Desk {
                engine: Engine::new(watched(), &one.journal, 1, TimeZone::UTC, at(one.seconds)),
                journal: one.journal.clone(),
                seconds: one.seconds,
            };
            one.listens(other, speaking, true);
            other.listens(&before, [speaking[1], speaking[0]], true);
        }
        agree(one, other, speaking);
        let (number, reached) = one.open().unwrap();
        prop_assert_eq!(other.open(), Some((number, reached)));
        prop_assert!(known.is_empty() || known.contains(&number), "{known:?} {number}");
        prop_assert!(number >= EPOCH);
    }
}
