//! What ended on both under two numbers gets one, and what only came close does not.

use std::sync::Arc;

use super::*;
use crate::engine::event::{Event, PeerTold};
use crate::engine::fixture::{EPOCH, at};
use crate::engine::peer::fixture::Desk;
use crate::pair::Speaking;
use crate::pair::talk::counted::Events;
use crate::pair::talk::word::OpenOutage;

impl Desk {
    /// The next report has this value, at this time or later.
    fn finds_at(&mut self, seconds: f64, exit: i32) {
        let run = self.starts();
        while self.seconds < seconds {
            self.seconds += 0.5;
            self.handle(Event::Deadline);
        }
        self.ended(run, exit);
    }

    /// An outage that begins and ends about then; its number.
    fn outage(&mut self, from: f64, to: f64) -> i64 {
        self.finds_at(from, 1);
        let (number, _) = self.open().unwrap();
        self.finds_at(to, 0);
        number
    }

    /// The numbers that are others behind this, from and to.
    fn renumbers(&mut self, told: PeerTold) -> Vec<(String, String)> {
        let actions = self.handle(Event::Peer(told));
        let renumbered = actions.into_iter().filter_map(|action| {
            if let Action::Renumber(Renumbering { from, to }) = action {
                Some((from, to))
            } else {
                None
            }
        });
        renumbered.collect()
    }

    fn numbers(&self) -> Vec<i64> {
        self.past().into_iter().map(|(number, _)| number).collect()
    }

    /// Dies, and is back after so many seconds.
    fn restart_after(&mut self, seconds: f64) {
        self.seconds += seconds;
        self.restart();
    }
}

fn of() -> ServiceName {
    ServiceName {
        group: "g".to_owned(),
        service: "s".to_owned(),
    }
}

fn lasted(began: i64, ended: i64) -> Lasted {
    Lasted {
        began: Wall::from_seconds(EPOCH + began),
        ended: Wall::from_seconds(EPOCH + ended),
    }
}

/// The peer tells people, and had these outages: number, from when, to when.
fn peer(ended: &[(i64, i64, i64)]) -> PeerTold {
    let ended = ended.iter();
    let ended = ended.map(|&(number, from, to)| {
        let past = Past {
            lasted: lasted(from, to),
            reached: Reached::Nothing,
            periods: ToldPeriods::default(),
        };
        (EPOCH + number, past)
    });
    PeerTold {
        is_linked: true,
        ended: Arc::new([(of(), ended.collect())].into()),
        speaking: Speaking::Silent,
        peer: Speaking::Speaks,
        ..PeerTold::default()
    }
}

/// From our number to the peer's.
fn renumbered(from: i64, to: i64) -> Vec<(String, String)> {
    vec![(format!("g/s/{from}"), format!("g/s/{}", EPOCH + to))]
}

#[test]
fn what_ended_on_both_unheard_has_the_number_of_the_one_that_tells_people() {
    let mut desk = Desk::new(0.0);
    let ours = desk.outage(20.0, 60.0);
    assert_eq!(desk.renumbers(peer(&[(7, 25, 70)])), renumbered(ours, 7));
    assert_eq!(desk.numbers(), [EPOCH + 7]);
    assert_eq!(desk.renumbers(peer(&[(7, 25, 70), (8, 30, 40)])), []);
    // The next one is above both.
    let next = desk.outage(100.0, 130.0);
    assert!(next >= EPOCH + 100, "{next}");
}

/// Both counted on from one number while they did not hear each other, and one of them was ahead:
/// a number of the one names what another one of the other does. What lasted at the same time is
/// the same.
#[test]
fn a_number_that_names_two_outages_gives_way_for_both() {
    let own = |desk: &mut Desk| [desk.outage(20.0, 60.0), desk.outage(100.0, 140.0)];
    let outage = |number| format!("g/s/{number}");
    let named = |from, to| (outage(from), outage(to));
    let times = [(20, 60), (100, 140)];
    let peers = |numbers: [i64; 2]| {
        let ended = numbers.iter().zip(times);
        let ended: Vec<_> = ended
            .map(|(it, (from, to))| (it - EPOCH, from, to))
            .collect();
        peer(&ended)
    };
    let mut desk = Desk::new(0.0);
    let [first, second] = own(&mut desk);
    let before = peers([first - 7, first]);
    let expected = [named(first, first - 7), named(second, first)];
    assert_eq!(desk.renumbers(before.clone()), expected);
    assert_eq!(desk.numbers(), [first - 7, first]);
    assert_eq!(desk.renumbers(before), []);

    let mut desk = Desk::new(0.0);
    let [first, second] = own(&mut desk);
    let behind = peers([second, second + 7]);
    let expected = [named(second, second + 7), named(first, second)];
    assert_eq!(desk.renumbers(behind.clone()), expected);
    assert_eq!(desk.numbers(), [second, second + 7]);
    assert_eq!(desk.renumbers(behind), []);
}

/// However many there were: what has the peer's number is not looked for among all of the peer's.
#[test]
fn many_outages_that_both_have_by_one_number_cost_one_look_each_at_most() {
    const COUNT: u32 = 100;
    let mut desk = Desk::new(0.0);
    for number in 0..COUNT {
        let began = 20.0 + 100.0 * f64::from(number);
        desk.outage(began, began + 40.0);
    }
    let mut told = peer(&[]);
    told.ended = Arc::new(desk.engine.ended_outages());
    assert_eq!(desk.numbers().len(), 100);
    let visits = crate::effort::visits(|| assert_eq!(desk.renumbers(told), []));
    assert!(visits <= u64::from(COUNT), "{visits}");
}

#[test]
fn who_tells_people_keeps_its_numbers_and_while_both_or_none_do_nothing_is_decided() {
    let mut desk = Desk::new(0.0);
    let ours = desk.outage(20.0, 60.0);
    for (speaking, peers) in [
        (Speaking::Speaks, Speaking::Silent),
        (Speaking::Speaks, Speaking::Speaks),
        (Speaking::Silent, Speaking::Silent),
    ] {
        let told = PeerTold {
            speaking,
            peer: peers,
            ..peer(&[(7, 25, 70)])
        };
        assert_eq!(desk.renumbers(told), [], "{speaking:?} {peers:?}");
    }
    let lost = PeerTold {
        is_linked: false,
        ..peer(&[(7, 25, 70)])
    };
    assert_eq!(desk.renumbers(lost), []);
    assert_eq!(desk.numbers(), [ours]);
}

#[test]
fn outages_that_only_come_close_are_two_and_of_several_the_longest_overlap_counts() {
    let mut desk = Desk::new(0.0);
    let ours = desk.outage(20.0, 60.0);
    let ended = desk.engine.ended_outages();
    let ours_lasted = ended[&of()][&ours].lasted;
    assert_eq!(desk.renumbers(peer(&[(7, 0, 20), (8, 200, 300)])), []);
    assert_eq!(
        ours_lasted.overlap(lasted(0, 20)),
        None,
        "{ours_lasted:?}: there is no slack"
    );
    let told = peer(&[(7, 0, 30), (8, 32, 300), (9, 0, 31)]);
    assert_eq!(desk.renumbers(told), renumbered(ours, 8));
    // A number of the peer's is that of one outage here only.
    let second = desk.outage(110.0, 140.0);
    assert_eq!(desk.renumbers(peer(&[(8, 32, 300)])), []);
    assert_eq!(desk.numbers(), [EPOCH + 8, second]);
}

#[test]
fn what_goes_on_here_and_is_over_there_has_the_same_number_and_the_other_way_round() {
    let mut desk = Desk::new(0.0);
    desk.finds_at(20.0, 1);
    let (ours, _) = desk.open().unwrap();
    assert_eq!(desk.renumbers(peer(&[(7, 10, 15)])), [], "long before");
    let over = peer(&[(7, 10, 30)]);
    assert_eq!(desk.renumbers(over.clone()), renumbered(ours, 7));
    assert_eq!(desk.renumbers(over), []);
    desk.finds_at(40.0, 0);
    assert_eq!(desk.numbers(), [EPOCH + 7]);

    let mut desk = Desk::new(0.0);
    let ours = desk.outage(20.0, 60.0);
    let open = |began| {
        let open = OpenOutage {
            id: EPOCH + 7,
            began: Wall::from_seconds(EPOCH + began),
            calls: 1,
            events: Events::default(),
            alerted: Vec::new(),
            ack: None,
            reached: Reached::Nothing,
        };
        PeerTold {
            outages: Arc::new([(of(), open)].into()),
            ..peer(&[])
        }
    };
    assert_eq!(desk.renumbers(open(80)), [], "another one");
    assert_eq!(desk.renumbers(open(30)), renumbered(ours, 7));
    // That had its end here: the next one is another.
    desk.finds_at(100.0, 1);
    let (next, _) = desk.open().unwrap();
    assert!(next > EPOCH + 7);
    assert_eq!(desk.renumbers(open(30)), []);
}

#[test]
fn ends_outlive_a_restart_and_are_forgotten_when_they_are_a_day_old() {
    let mut desk = Desk::new(0.0);
    let ours = desk.outage(20.0, 60.0);
    desk.restart_after(5.0);
    assert_eq!(desk.numbers(), [ours]);
    assert_eq!(desk.renumbers(peer(&[(7, 25, 70)])), renumbered(ours, 7));
    desk.restart_after(3_600.0);
    assert_eq!(desk.numbers(), [EPOCH + 7]);
    // The clock was wrong by a day meanwhile, or it is one day later.
    desk.restart_after(86_400.0);
    assert_eq!(desk.numbers(), [0; 0]);
    let mut keys = desk.journal.records.keys();
    assert!(!keys.any(|key| key.starts_with(PREFIX)));
}

#[test]
fn a_thousand_ends_are_remembered_the_newest() {
    let mut ended = EndedHere::default();
    let kept = |second: i64| {
        let now = at(f64::from(u32::try_from(second).unwrap()));
        KeptEnd {
            span: Span {
                began: Dated::of(now),
                ended: Dated::of(now),
            },
            reached: Reached::Nothing,
            periods: ToldPeriods::default(),
            end: EndCall::Called,
        }
    };
    let most = i64::try_from(ENDED_MAX).unwrap();
    for second in (0..most + 3).rev() {
        ended.put(of(), EPOCH + second, kept(second));
    }
    assert_eq!(ended.drop_old(at(2_000.0)).len(), 3);
    assert!(!ended.has(&of(), EPOCH + 2) && ended.has(&of(), EPOCH + 3));
    let latest = EPOCH + most + 2;
    assert!(ended.is_past(&of(), latest) && !ended.is_past(&of(), latest + 1));
    assert_eq!(
        (ended.order.len(), ended.by_name[&of()].len()),
        (ENDED_MAX, ENDED_MAX)
    );
}

#[test]
fn of_too_many_those_that_are_still_to_be_told_are_forgotten_last() {
    let mut ended = EndedHere::default();
    let most = i64::try_from(ENDED_MAX).unwrap();
    let kept = |second: i64, end| {
        let now = at(f64::from(u32::try_from(second).unwrap()));
        KeptEnd {
            span: Span {
                began: Dated::of(now),
                ended: Dated::of(now),
            },
            reached: Reached::Failure,
            periods: ToldPeriods::default(),
            end,
        }
    };
    for second in 0..most + 1 {
        let end = match second {
            0 => EndCall::Due,
            _ => EndCall::Called,
        };
        ended.put(of(), EPOCH + second, kept(second, end));
    }
    ended.drop_old(at(2_000.0));
    assert!(ended.has(&of(), EPOCH) && !ended.has(&of(), EPOCH + 1));
    // They have the same limit.
    for second in 0..most + 1 {
        ended.put(of(), EPOCH + second, kept(second, EndCall::Due));
    }
    ended.drop_old(at(2_000.0));
    assert!(!ended.has(&of(), EPOCH) && ended.has(&of(), EPOCH + 1));
    assert_eq!(ended.order.len(), ENDED_MAX);
    assert_eq!(ended.due().len(), ENDED_MAX);
}
