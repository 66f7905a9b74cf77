//! A number that people know and that gave way has its end when the service is good, once.

use std::sync::Arc;

use super::*;
use crate::engine::event::{AlertCall, Event, Memory, PeerTold};
use crate::engine::fixture::watched;
use crate::engine::peer::fixture::{Desk, has_renumbered};
use crate::model::Model;
use crate::pair::talk::{EventId, EventKind};

const SPEAKS: Speaking = Speaking::Speaks;
const SILENT: Speaking = Speaking::Silent;

impl Desk {
    fn reload(&mut self, model: Arc<Model>) {
        let memory = Memory::Kept;
        self.handle(Event::Reload { model, memory });
    }

    /// What the journal has of this number beside its service.
    fn remembered(&self, number: i64) -> Vec<&String> {
        let keys = self.journal.records.keys();
        let number = format!(" {number}");
        keys.filter(|it| it.ends_with(&number)).collect()
    }

    /// The next report has this value: the calls that it causes.
    fn reads(&mut self, exit: i32) -> Vec<AlertCall> {
        let actions = self.finds(exit);
        actions.iter().filter_map(Action::sent).cloned().collect()
    }

    /// The numbers of the ends that the next report tells, which finds the service good.
    fn ends(&mut self) -> Vec<i64> {
        let calls = self.reads(0);
        let numbers = calls.iter().map(|call| {
            let id = EventId::of(&call.event).unwrap();
            assert_eq!(id.kind, EventKind::Up, "{}", call.event);
            id.place().unwrap().1
        });
        numbers.collect()
    }

    /// Fails, and people are told of it: by which number.
    fn tells(&mut self) -> i64 {
        let calls = self.reads(1);
        let event = calls[0].event.as_str();
        let (_, number) = EventId::of(event).and_then(EventId::place).unwrap();
        self.handle(Event::Delivered(vec![Arc::from(event)]));
        number
    }

    fn number(&self) -> Option<i64> {
        self.open().map(|(number, _)| number)
    }

    /// Hears all that the other one has to say, or the link is gone.
    fn listens_to(&mut self, other: &Self, speaking: [Speaking; 2], is_linked: bool) {
        let actions = self.listens(other, speaking, is_linked);
        assert!(!has_renumbered(&actions), "people know both");
    }
}

fn hear_each_other(one: &mut Desk, other: &mut Desk, [ones, others]: [Speaking; 2]) {
    for _ in 0..3 {
        one.listens_to(other, [ones, others], true);
        other.listens_to(one, [others, ones], true);
    }
}

/// Both told one outage, and do not hear each other: the directors, and the lesser number and the
/// greater one.
fn told_by_both() -> ([Desk; 2], [i64; 2]) {
    let (mut one, mut other) = (Desk::new(0.0), Desk::new(40.0));
    let numbers = [one.tells(), other.tells()];
    assert!(numbers[0] < numbers[1]);
    ([one, other], numbers)
}

#[test]
fn where_both_speak_the_one_that_gave_it_up_tells_its_end_when_the_service_is_good() {
    let ([mut one, mut other], [stays, given_up]) = told_by_both();
    hear_each_other(&mut one, &mut other, [SPEAKS, SPEAKS]);
    assert_eq!((one.number(), other.number()), (Some(stays), Some(stays)));
    let goes_on = format!("g/s/{stays}/failure/");
    let calls = other.reads(1);
    let goes_on = calls.iter().all(|it| it.event.starts_with(&goes_on));
    assert!(goes_on, "nothing has an end yet: {calls:?}");
    let mut restarted = Desk::new(other.seconds);
    restarted.journal = other.journal.clone();
    restarted.restart();
    for mut desk in [other, restarted] {
        hear_each_other(&mut one, &mut desk, [SPEAKS, SPEAKS]);
        assert_eq!(desk.ends(), [stays, given_up]);
        hear_each_other(&mut one, &mut desk, [SPEAKS, SPEAKS]);
        assert!(desk.ends().is_empty(), "once");
    }
    assert_eq!(one.ends(), [stays], "the other one tells the rest");
}

#[test]
fn what_people_read_names_the_reason() {
    let ([mut one, mut other], [_, given_up]) = told_by_both();
    hear_each_other(&mut one, &mut other, [SPEAKS, SPEAKS]);
    let calls = other.reads(0);
    let end = calls
        .iter()
        .find(|it| it.event.contains(&format!("/{given_up}/")));
    assert_eq!(end.unwrap().summary, UNDER_TWO.trim_end());
}

#[test]
fn where_one_speaks_or_is_left_that_one_tells_it() {
    // The one that gave it up does not tell people any more.
    let ([mut one, mut other], [stays, given_up]) = told_by_both();
    hear_each_other(&mut one, &mut other, [SPEAKS, SILENT]);
    assert_eq!(one.ends(), [stays, given_up]);
    hear_each_other(&mut one, &mut other, [SPEAKS, SILENT]);
    assert_eq!(other.ends(), [stays]);
    assert!(one.ends().is_empty());

    // It dies, and is back when the other one has told it.
    let ([mut one, mut other], [stays, given_up]) = told_by_both();
    hear_each_other(&mut one, &mut other, [SPEAKS, SPEAKS]);
    one.listens_to(&other, [SPEAKS, SPEAKS], false);
    assert_eq!(one.ends(), [stays, given_up]);
    one.handle(Event::Delivered(vec![
        format!("g/s/{given_up}/up/1").into(),
    ]));
    other.restart();
    hear_each_other(&mut one, &mut other, [SPEAKS, SPEAKS]);
    assert_eq!(other.ends(), [stays]);
}

#[test]
fn what_was_over_on_both_before_they_heard_each_other_has_both_ends() {
    let ([mut one, mut other], [stays, given_up]) = told_by_both();
    one.seconds = other.seconds;
    assert_eq!((one.ends(), other.ends()), (vec![stays], vec![given_up]));
    // That of the second one is held, and it does not tell people any more.
    hear_each_other(&mut one, &mut other, [SPEAKS, SILENT]);
    assert_eq!(one.ends(), [given_up]);
    hear_each_other(&mut one, &mut other, [SPEAKS, SILENT]);
    assert!(one.ends().is_empty() && other.ends().is_empty());
}

#[test]
fn a_number_of_which_nobody_was_told_has_no_end() {
    let (mut one, mut other) = (Desk::new(0.0), Desk::new(40.0));
    let stays = one.tells();
    other.reads(1);
    let (outages, numbers) = one.engine.outages();
    let actions = other.handle(Event::Peer(PeerTold {
        is_linked: true,
        outages: Arc::new(outages),
        numbers,
        ..PeerTold::default()
    }));
    assert!(has_renumbered(&actions));
    assert_eq!(other.ends(), [stays]);
}

/// Without a peer nothing is remembered for one: what is told is told.
#[test]
fn an_end_is_told_once_where_the_file_has_no_peer_any_more() {
    for read in [Desk::reload, Desk::restart_with] {
        let ([mut one, mut other], [stays, given_up]) = told_by_both();
        hear_each_other(&mut one, &mut other, [SPEAKS, SPEAKS]);
        let mut alone = watched().as_ref().clone();
        alone.globals.peer.address = None;
        read(&mut other, Arc::new(alone));
        assert_eq!(other.ends(), [stays, given_up]);
        assert!(other.ends().is_empty(), "once");
        assert_eq!(other.remembered(given_up), [""; 0]);
    }
}

/// Nobody finds it good any more: from then on it ages like every end.
#[test]
fn of_a_service_that_the_file_has_no_more_no_end_is_due() {
    for read in [Desk::reload, Desk::restart_with] {
        let ([mut one, mut other], [_, given_up]) = told_by_both();
        hear_each_other(&mut one, &mut other, [SPEAKS, SPEAKS]);
        assert_eq!(other.engine.peer.ended.due().len(), 1);
        let mut gone = watched().as_ref().clone();
        gone.services.clear();
        read(&mut other, Arc::new(gone));
        assert_eq!(other.engine.peer.ended.due().len(), 0);
        assert_eq!(other.remembered(given_up).len(), 1);
        read(&mut other, watched());
        assert_eq!(other.engine.peer.ended.due().len(), 0, "in the journal");
        other.seconds += 25.0 * 3_600.0;
        other.restart();
        assert_eq!(other.remembered(given_up), [""; 0]);
    }
}

#[test]
fn an_outage_of_more_than_a_day_has_the_end_of_both_numbers() {
    let ([mut one, mut other], [stays, given_up]) = told_by_both();
    hear_each_other(&mut one, &mut other, [SPEAKS, SPEAKS]);
    for desk in [&mut one, &mut other] {
        desk.seconds += 25.0 * 3_600.0;
    }
    hear_each_other(&mut one, &mut other, [SPEAKS, SPEAKS]);
    other.restart();
    hear_each_other(&mut one, &mut other, [SPEAKS, SPEAKS]);
    assert_eq!(other.ends(), [stays, given_up]);
    // From then on it ages like every end.
    other.seconds += 25.0 * 3_600.0;
    other.restart();
    assert!(other.engine.ended_outages().is_empty());
}

#[test]
fn nothing_is_due_of_which_the_other_one_told_the_end() {
    for is_heard_at_once in [true, false] {
        let ([mut one, mut other], [_, given_up]) = told_by_both();
        hear_each_other(&mut one, &mut other, [SPEAKS, SILENT]);
        assert_eq!(other.engine.peer.ended.due().len(), 1);
        one.ends();
        let end = vec![format!("g/s/{given_up}/up/1").into()];
        one.handle(Event::Delivered(end.clone()));
        match is_heard_at_once {
            true => drop(other.handle(Event::PeerDelivered(end))),
            false => other.listens_to(&one, [SILENT, SPEAKS], true),
        }
        assert_eq!(other.engine.peer.ended.due().len(), 0, "{is_heard_at_once}");
        other.restart();
        assert_eq!(other.engine.peer.ended.due().len(), 0, "{is_heard_at_once}");
    }
}

/// The one that holds the end of the number that stayed does not tell people any more, and has not
/// heard of the other number.
#[test]
fn what_both_told_and_is_over_has_an_end_where_only_one_knows_both_numbers() {
    let ([mut one, mut other], [stays, given_up]) = told_by_both();
    one.seconds = other.seconds;
    assert_eq!((one.ends(), other.ends()), (vec![stays], vec![given_up]));
    other.listens_to(&one, [SILENT, SPEAKS], true);
    other.listens_to(&one, [SPEAKS, SILENT], true);
    assert_eq!(other.ends(), [stays]);
    assert!(other.ends().is_empty(), "once");
}
