//! What operators say on one director is written, told, carried out and said in the log.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::tz::TimeZone;

use super::*;
use crate::engine::event::{Event, Memory, Target, Wish};
use crate::engine::fixture::{at, model, service};
use crate::model::Model;
use crate::pair::talk::Stamp;

/// A director with these services of the watch `g`, alone or with a peer.
fn file(services: &[&str], has_peer: bool) -> Arc<Model> {
    let services = services.iter().map(|name| service("g", name));
    let mut model = model(services.collect());
    let address = has_peer.then(|| "192.0.2.2:2584".parse().unwrap());
    model.globals.peer.address = address;
    Arc::new(model)
}

struct Director {
    engine: Engine,
    desk: WishDesk,
    seconds: f64,
    journal: BTreeMap<String, Value>,
    notes: Vec<DeskNote>,
}

impl Director {
    fn new(writer: u64, model: Arc<Model>) -> Self {
        let mut engine = Engine::new(model, &Saved::default(), 1, TimeZone::UTC, at(0.0));
        engine.handle(at(0.0), Event::Start);
        Self {
            desk: WishDesk::restore(&Saved::default(), &engine, writer),
            engine,
            seconds: 0.0,
            journal: BTreeMap::new(),
            notes: Vec::new(),
        }
    }

    fn now(&self) -> Now {
        at(self.seconds)
    }

    /// An operator disables or enables the service.
    fn says(&mut self, number: usize, is_disabled: bool) {
        self.seconds += 1.0;
        let id = self.engine.model().services().nth(number).unwrap().0;
        let (target, user) = (Target::Service(id), "ann".to_owned());
        let wish = match is_disabled {
            true => Wish::Disable { target, user },
            false => Wish::Enable(target),
        };
        self.engine.handle(at(self.seconds), Event::Operator(wish));
        let records = self.desk.said(self.now(), &self.engine);
        self.write(records);
    }

    fn write(&mut self, records: Vec<Record>) {
        let records = records.into_iter().map(|it| (it.key, it.value));
        self.journal.extend(records);
    }

    fn hears(&mut self, heard: Vec<StampedWish>) -> Vec<DeskAction> {
        self.seconds += 1.0;
        let (mut actions, errand) = self.desk.hear(self.now(), &self.engine, heard);
        actions.extend(self.runs(errand));
        self.performs(&actions);
        actions
    }

    fn runs(&mut self, errand: Option<Errand>) -> Vec<DeskAction> {
        let Some(errand) = errand else {
            return Vec::new();
        };
        self.engine.handle(at(self.seconds), errand.event());
        let now = self.now();
        self.desk.ran(errand, now, &self.engine)
    }

    fn performs(&mut self, actions: &[DeskAction]) {
        for action in actions {
            match action {
                DeskAction::Record(record) => self.write(vec![record.clone()]),
                DeskAction::Note(note) => self.notes.push(note.clone()),
                DeskAction::CarriedOut => {}
            }
        }
    }

    /// All that it would tell.
    fn told(&mut self) -> Vec<StampedWish> {
        let (all, records) = self.desk.tell(self.now(), &self.engine);
        self.write(records);
        all.to_vec()
    }

    fn reads(&mut self, model: Arc<Model>) {
        self.seconds += 1.0;
        let records = self.desk.settle(self.now(), &self.engine);
        self.write(records);
        let memory = Memory::Kept;
        let reload = Event::Reload { model, memory };
        self.engine.handle(at(self.seconds), reload);
        let (records, errand) = self.desk.reloaded(self.now(), &self.engine);
        self.write(records);
        let actions = self.runs(errand);
        self.performs(&actions);
    }

    fn level(&self) -> Vec<String> {
        self.engine.wish_level().into_keys().collect()
    }
}

fn pair(one: &[&str], two: &[&str]) -> [Director; 2] {
    [
        Director::new(1, file(one, true)),
        Director::new(2, file(two, true)),
    ]
}

#[test]
fn what_is_said_on_one_director_holds_on_the_other_and_so_does_its_end() {
    let [mut one, mut two] = pair(&["s"], &["s"]);
    one.says(0, true);
    let key = "service g s";
    assert!(one.journal.contains_key("peer wish service g s"), "at once");
    let actions = two.hears(one.told());
    assert_eq!(two.level(), [key]);
    assert_eq!(two.notes, [DeskNote::Said(key.to_owned())]);
    assert_eq!(actions.last(), Some(&DeskAction::CarriedOut));
    assert_eq!(one.journal, two.journal);
    // Heard once more it is no news.
    assert_eq!(two.hears(one.told()), []);
    two.says(0, false);
    one.hears(two.told());
    assert_eq!(one.level(), [""; 0]);
    assert_eq!(one.notes, [DeskNote::Ended(key.to_owned())]);
}

#[test]
fn what_this_director_does_not_have_is_said_once_to_wait_and_holds_after_a_reload() {
    let [mut one, mut two] = pair(&["s", "t"], &["s"]);
    one.says(1, true);
    let (key, said) = ("service g t", one.told());
    let actions = two.hears(said.clone());
    assert!(!actions.contains(&DeskAction::CarriedOut));
    assert_eq!(two.notes, [DeskNote::Waits(key.to_owned())]);
    assert_eq!(two.hears(said), []);
    two.reads(file(&["s", "t"], true));
    assert_eq!(two.level(), [key]);
    assert_eq!(two.notes[1..], [DeskNote::Said(key.to_owned())]);
}

#[test]
fn what_a_reload_takes_away_nobody_has_ended() {
    let [mut one, mut two] = pair(&["s", "t"], &["s", "t"]);
    one.says(1, true);
    two.hears(one.told());
    one.reads(file(&["s"], true));
    assert_eq!(two.hears(one.told()), []);
    assert_eq!(two.level(), ["service g t"]);
    one.reads(file(&["s", "t"], true));
    assert_eq!(one.level(), ["service g t"]);
}

#[test]
fn a_director_alone_writes_no_stamp_and_one_that_gets_a_peer_writes_them_all() {
    let mut one = Director::new(1, file(&["s"], false));
    one.says(0, true);
    one.reads(file(&["s"], false));
    assert_eq!(one.journal, BTreeMap::new());
    assert_eq!(one.desk.record_all(), []);
    one.reads(file(&["s"], true));
    assert_eq!(one.journal.len(), 1);
    assert_eq!(one.desk.record_all().len(), 1);
    let mut two = Director::new(2, file(&["s"], true));
    two.hears(one.told());
    assert_eq!(two.level(), ["service g s"]);
}

/// What was said by a person of the other director.
fn wish(key: &str, value: Option<Value>) -> StampedWish {
    StampedWish {
        key: key.to_owned(),
        stamp: Stamp { time: 1, writer: 1 },
        value,
        ahead_micros: 0,
    }
}

#[test]
fn what_is_no_wish_is_counted_and_said_once_with_the_first_reason() {
    let mut one = Director::new(1, file(&["s"], true));
    let is_disabled = || Some(Value::Bool(true));
    one.hears(vec![wish("watch g", is_disabled()), wish("watch g", None)]);
    assert_eq!((one.desk.left_out(), one.desk.refusal), (0, None));
    one.notes.clear();
    one.hears(vec![wish("odd", None), wish("watch h", Some(7.into()))]);
    one.hears(vec![wish("odd", is_disabled())]);
    assert_eq!(one.desk.left_out(), 3);
    assert_eq!(
        one.notes,
        [DeskNote::LeftOut {
            count: 2,
            why: NoWish::Name.to_string(),
        }]
    );
}
