//! Two directors that check at other moments and hear each other: what people are told.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use jiff::tz::TimeZone;

use crate::engine::Engine;
use crate::engine::event::{Action, Event, PeerTold, RunId};
use crate::engine::fixture::{alert, alerting, at, exited, model_of, seconds, service};
use crate::engine::saved::Saved;
use crate::model::{AlertPeriod, Model, Repeat, Service};
use crate::pair::Speak;
use crate::pair::Speaking;
use crate::pair::talk::EventId;
use crate::pair::talk::conversation::Outages;

/// A message: its event id without the outage, and its summary.
type Message = (String, String);

/// One director: its engine, the run that goes on, what it holds.
struct Director {
    engine: Engine,
    run: Option<RunId>,
    saved: Saved,
    held: Vec<Message>,
    /// What it said last to the other one.
    said: Arc<Outages>,
}

impl Director {
    fn new(model: &Arc<Model>, saved: Saved, life: u64, now: f64) -> Self {
        let model = Arc::clone(model);
        let mut engine = Engine::new(model, &saved, life, TimeZone::UTC, at(now));
        let actions = engine.handle(at(now), Event::Start);
        let mut director = Self {
            engine,
            run: None,
            saved,
            held: Vec::new(),
            said: Arc::default(),
        };
        director.perform(&actions);
        director
    }

    fn handle(&mut self, now: f64, event: Event) {
        let actions = self.engine.handle(at(now), event);
        self.perform(&actions);
    }

    fn perform(&mut self, actions: &[Action]) {
        for action in actions {
            self.run = action.started().map(|run| run.id).or(self.run);
            if let Some(call) = action.sent() {
                let id = EventId::of(&call.event).unwrap();
                let id = format!("{}/{}", id.kind.word(), id.number);
                self.held.push((id, call.summary.clone()));
            }
            if let Action::Record(record) = action {
                let value = record.value.clone();
                self.saved.records.insert(record.key.clone(), value);
            }
        }
    }
}

/// A pair whose first director speaks, or both do, with one receiver, whom every message reaches at
/// once.
struct Pair {
    model: Arc<Model>,
    directors: [Director; 2],
    now: f64,
    active: usize,
    speak: Speak,
    is_linked: bool,
    /// What reached the receiver, in order.
    people: Vec<Message>,
}

const A: usize = 0;
const B: usize = 1;

impl Pair {
    fn new() -> Self {
        Self::with(vec![AlertPeriod {
            alertevery: Some((seconds(3_600), Repeat::Summary)),
            ..alerting()
        }])
    }

    fn with(periods: Vec<AlertPeriod>) -> Self {
        let service = Service {
            periods,
            ..service("g", "s")
        };
        let model = Arc::new(model_of(vec![service], &["11", "12", "13", "14"]));
        let director = |life| Director::new(&model, Saved::default(), life, 0.0);
        let mut pair = Self {
            directors: [director(1), director(2)],
            model,
            now: 0.0,
            active: A,
            speak: Speak::Active,
            is_linked: true,
            people: Vec::new(),
        };
        pair.talk();
        pair
    }

    /// The next checks of this director find this, until one is over.
    fn finds(&mut self, who: usize, output: &str) {
        self.ends(who, 1, output);
    }

    fn ends(&mut self, who: usize, exit: i32, output: &str) {
        let run = loop {
            if let Some(run) = self.directors[who].run.take() {
                break run;
            }
            self.now += 0.5;
            self.directors[who].handle(self.now, Event::Deadline);
        };
        let report = exited(exit, &format!("{output}\n"));
        self.directors[who].handle(self.now, Event::RunEnded { run, report });
        self.talk();
    }

    /// Each hears what the other one has, and the one that speaks tells people.
    fn talk(&mut self) {
        self.tell_people();
        if !self.is_linked {
            return;
        }
        for _ in 0..2 {
            for who in [A, B] {
                self.say(who);
            }
        }
    }

    /// The other one hears what this one has.
    fn say(&mut self, who: usize) {
        let (outages, numbers) = self.directors[who].engine.outages();
        self.directors[who].said = Arc::new(outages);
        let told = self.told_by(who, numbers);
        self.directors[1 - who].handle(self.now, Event::Peer(told));
    }

    fn told_by(&self, who: usize, numbers: i64) -> PeerTold {
        let voice = |it| match self.speaks(it) {
            true => Speaking::Speaks,
            false => Speaking::Silent,
        };
        PeerTold {
            is_linked: self.is_linked,
            outages: Arc::clone(&self.directors[who].said),
            withdrawn: Arc::default(),
            turns: None,
            ended: Arc::default(),
            numbers,
            speaking: voice(1 - who),
            peer: voice(who),
        }
    }

    fn speaks(&self, who: usize) -> bool {
        self.speak == Speak::Both || who == self.active
    }

    /// What one that speaks has goes out, unless the receiver has it under this id; one that does
    /// not drops what that makes needless.
    fn tell_people(&mut self) {
        for who in [A, B] {
            if !self.speaks(who) {
                continue;
            }
            let known: BTreeSet<String> = self.people.iter().map(|(id, _)| id.clone()).collect();
            let held = std::mem::take(&mut self.directors[who].held);
            let news = held.into_iter().filter(|(id, _)| !known.contains(id));
            self.people.extend(news);
        }
        let told = self.people.clone();
        let is_needless = |(id, _): &Message| {
            let (held, told) = (format!("g/s/1/{id}"), told.iter());
            let mut told = told.map(|(id, _)| format!("g/s/1/{id}"));
            told.any(|told| {
                EventId::of(&told)
                    .unwrap()
                    .covers(EventId::of(&held).unwrap())
            })
        };
        let other = &mut self.directors[1 - self.active];
        other.held.retain(|message| !is_needless(message));
    }

    /// The active one dies, and the other one speaks.
    fn dies(&mut self) {
        self.is_linked = false;
        let gone = std::mem::replace(&mut self.active, B);
        let told = self.told_by(gone, 0);
        self.directors[B].handle(self.now, Event::Peer(told));
        self.tell_people();
    }

    /// The active one hands over, and stays.
    fn hands_over(&mut self) {
        self.active = 1 - self.active;
        self.talk();
    }

    /// It begins again from its journal.
    fn restarts(&mut self, who: usize) {
        let saved = std::mem::take(&mut self.directors[who].saved);
        let held = std::mem::take(&mut self.directors[who].held);
        self.directors[who] = Director::new(&self.model, saved, 9, self.now);
        self.directors[who].held = held;
        self.talk();
    }

    /// What people read, in order.
    fn read(&self) -> Vec<&str> {
        self.people.iter().map(|(_, text)| text.as_str()).collect()
    }

    /// The ids of what people were told.
    fn ids(&self) -> Vec<&str> {
        self.people.iter().map(|(id, _)| id.as_str()).collect()
    }
}

/// The standby's checks run before the active's.
fn standby_is_ahead() -> Pair {
    let mut pair = Pair::new();
    for output in ["11", "11 12"] {
        pair.finds(B, output);
        pair.finds(A, output);
    }
    assert_eq!(pair.read(), ["11", "11 12"]);
    pair.finds(B, "11 12 13");
    pair
}

#[test]
fn what_only_the_standby_found_is_told_when_the_active_dies() {
    let mut pair = standby_is_ahead();
    pair.dies();
    assert_eq!(pair.read(), ["11", "11 12", "11 12 13"]);
    pair.finds(B, "11 12 13");
    assert_eq!(pair.read().len(), 3, "once");
}

#[test]
fn what_only_the_standby_found_is_told_once_after_a_handover() {
    let mut pair = standby_is_ahead();
    pair.hands_over();
    assert_eq!(pair.read(), ["11", "11 12", "11 12 13"]);
    pair.finds(A, "11 12 13");
    pair.hands_over();
    assert_eq!(pair.read().len(), 3, "{:?}", pair.people);
    assert_eq!(pair.ids(), ["failure/1", "failure/2", "failure/3"]);
}

#[test]
fn what_the_active_told_is_the_same_event_to_the_standby_that_finds_it_later() {
    for dies in [true, false] {
        let mut pair = Pair::new();
        for output in ["11", "11 12"] {
            pair.finds(A, output);
            pair.finds(B, output);
        }
        pair.finds(A, "11 12 13");
        if dies {
            pair.dies();
        } else {
            pair.hands_over();
        }
        pair.finds(B, "11 12 13");
        assert_eq!(pair.read(), ["11", "11 12", "11 12 13"], "dies: {dies}");
    }
}

#[test]
fn a_first_event_of_the_standby_that_says_more_is_another_one() {
    let mut pair = Pair::new();
    pair.finds(A, "11");
    pair.finds(B, "12 11");
    pair.finds(A, "11 12");
    assert_eq!(pair.ids(), ["failure/1", "failure/2"]);
    assert_eq!(pair.directors[B].held, [], "the order of hosts is no news");

    let mut pair = Pair::new();
    pair.finds(A, "11");
    pair.finds(B, "11 12");
    pair.dies();
    assert_eq!(pair.read(), ["11", "11 12"]);
}

#[test]
fn what_a_standby_found_while_it_was_cut_off_is_no_news() {
    let mut pair = Pair::new();
    pair.is_linked = false;
    for who in [A, B] {
        pair.say(who);
    }
    pair.finds(A, "11");
    while pair.directors[B].run.is_none() {
        pair.now += 0.5;
        pair.directors[B].handle(pair.now, Event::Deadline);
    }
    pair.now += 1.0;
    pair.is_linked = true;
    pair.talk();
    pair.finds(B, "11 12 13");
    pair.dies();
    assert_eq!(pair.read(), ["11"]);
    assert_eq!(pair.ids(), ["failure/1"]);
}

#[test]
fn a_standby_that_begins_late_takes_no_former_news_for_what_it_finds_now() {
    let mut pair = Pair::new();
    for output in ["11", "11 12", "11", "11 13"] {
        pair.finds(A, output);
    }
    pair.finds(B, "11 13");
    assert_eq!(pair.directors[B].held, [], "it was told");
    pair.finds(B, "11 12");
    pair.dies();
    assert_eq!(pair.read().last(), Some(&"11 12"), "a second time");

    let mut pair = Pair::new();
    for output in ["11", "11 12"] {
        pair.finds(A, output);
    }
    pair.finds(B, "11");
    pair.dies();
    assert_eq!(pair.read().last(), Some(&"11"), "12 has recovered");
}

#[test]
fn repeats_of_both_have_the_same_numbers_whoever_counts_them_first() {
    let every = Duration::from_secs(25);
    for first in [A, B] {
        let mut pair = Pair::with(vec![AlertPeriod {
            alertevery: Some((every, Repeat::Summary)),
            ..alerting()
        }]);
        for _ in 0..10 {
            pair.finds(first, "11");
            pair.finds(1 - first, "11");
        }
        let before = pair.people.len();
        let took = Duration::from_secs_f64(pair.now).as_secs();
        assert!(before >= usize::try_from(took / 40).unwrap(), "{before}");
        assert!(
            before <= usize::try_from(took / 25).unwrap() + 1,
            "{before}"
        );
        let ids: BTreeSet<&str> = pair.ids().into_iter().collect();
        assert_eq!(ids.len(), before, "each under its own number");
        pair.dies();
        let taken_over = pair.now;
        while pair.people.len() <= before {
            pair.finds(B, "11");
            assert!(pair.now - taken_over <= 60.0, "two repeats are missing");
        }
        // What is no repeat is told at once.
        pair.finds(B, "11 12");
        assert_eq!(pair.read().last(), Some(&"11 12"));
    }
}

#[test]
fn a_repeat_of_one_is_never_taken_for_news_of_the_other() {
    let mut pair = Pair::with(vec![alerting()]);
    pair.finds(A, "11");
    pair.finds(B, "11");
    // Repeats of the one that does not see 12 yet.
    pair.finds(A, "11");
    pair.finds(A, "11");
    pair.finds(B, "11 12");
    pair.dies();
    assert_eq!(pair.read(), ["11", "11", "11", "11 12"]);
}

#[test]
fn summaries_that_name_no_host_are_counted_by_their_places() {
    let mut pair = Pair::new();
    for output in ["slow", "slower"] {
        pair.finds(B, output);
        pair.finds(A, output);
    }
    pair.finds(B, "slowest");
    pair.dies();
    assert_eq!(pair.read(), ["slow", "slower", "slowest"]);

    let mut pair = Pair::new();
    pair.finds(A, "slow (3.1 s)");
    pair.finds(B, "slow (3.2 s)");
    assert_eq!(pair.directors[B].held, [], "it is the same to both");
}

#[test]
fn several_lines_and_periods_of_one_event_are_counted_together() {
    let two = AlertPeriod {
        alerts: vec![alert("mail.alert"), alert("test.alert")],
        alertevery: Some((seconds(3_600), Repeat::Summary)),
        ..alerting()
    };
    let once = AlertPeriod {
        label: "once".into(),
        numalerts: Some(1),
        ..two.clone()
    };
    let mut pair = Pair::with(vec![two, once]);
    for output in ["11", "11 12"] {
        pair.finds(B, output);
        pair.finds(A, output);
    }
    assert_eq!(pair.people.len(), 6);
    assert_eq!(pair.directors[B].held, []);
    pair.finds(B, "11 12 13");
    pair.dies();
    let texts = [
        "11", "11", "11", "11", "11 12", "11 12", "11 12 13", "11 12 13",
    ];
    assert_eq!(pair.read(), texts);
}

#[test]
fn a_restart_of_either_forgets_no_number() {
    for who in [A, B] {
        let mut pair = standby_is_ahead();
        pair.restarts(who);
        pair.dies();
        assert_eq!(pair.read(), ["11", "11 12", "11 12 13"], "{who}");
        pair.finds(B, "11 12 13");
        assert_eq!(pair.read().len(), 3, "once, {who}");
    }
}

#[test]
fn what_the_active_said_last_outlives_a_restart_of_the_standby() {
    let mut pair = Pair::new();
    pair.finds(A, "11");
    pair.finds(B, "11");
    pair.finds(A, "11 12");
    pair.dies();
    pair.restarts(B);
    pair.finds(B, "11 12");
    assert_eq!(pair.read(), ["11", "11 12"], "it was told");
    pair.finds(B, "11 12 13");
    assert_eq!(pair.read(), ["11", "11 12", "11 12 13"]);
}

/// Of two directors that both tell people, with `speak = both`.
fn both_speak(periods: Vec<AlertPeriod>) -> Pair {
    let mut pair = Pair::with(periods);
    pair.speak = Speak::Both;
    pair.talk();
    pair
}

fn once_an_hour() -> AlertPeriod {
    AlertPeriod {
        alertevery: Some((seconds(3_600), Repeat::Summary)),
        ..alerting()
    }
}

#[test]
fn two_that_both_speak_tell_the_same_news_once_whoever_finds_it_first() {
    for first in [A, B] {
        let mut pair = both_speak(vec![once_an_hour()]);
        for output in ["11", "11 12", "11 12 13"] {
            pair.finds(first, output);
            pair.finds(1 - first, output);
        }
        // The first one is a check ahead.
        pair.finds(first, "11 12");
        pair.finds(first, "12");
        pair.finds(1 - first, "11 12");
        pair.finds(1 - first, "12");
        let news = ["11", "11 12", "11 12 13", "11 12", "12"];
        assert_eq!(pair.read(), news, "{:?}", pair.people);
        let ids = [
            "failure/1",
            "failure/2",
            "failure/3",
            "failure/4",
            "failure/5",
        ];
        assert_eq!(pair.ids(), ids);
        pair.ends(first, 0, "");
        pair.ends(1 - first, 0, "");
        assert_eq!(pair.ids().last(), Some(&"up/1"));
        assert_eq!(pair.people.len(), 6, "{:?}", pair.people);
    }
}

#[test]
fn two_that_both_speak_lose_nothing_that_only_one_of_them_found() {
    let mut pair = both_speak(vec![once_an_hour()]);
    pair.finds(A, "11");
    pair.finds(B, "11");
    pair.finds(A, "11 12");
    pair.finds(B, "11 13");
    assert_eq!(pair.read(), ["11", "11 12", "11 13"]);
    pair.finds(A, "11 13");
    pair.finds(B, "11 13");
    assert_eq!(pair.read().len(), 3, "told once: {:?}", pair.people);
    // One of them is gone, and the other one goes on behind what both have.
    pair.finds(A, "11 14");
    pair.dies();
    pair.finds(B, "11 14");
    pair.finds(B, "11 12 14");
    assert_eq!(pair.read()[3..], ["11 14", "11 12 14"], "{:?}", pair.people);
    assert_eq!(pair.ids()[3..], ["failure/4", "failure/5"]);
}
