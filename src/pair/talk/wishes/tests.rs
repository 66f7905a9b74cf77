//! Whose word counts, with right and wrong clocks, over restarts and cut links.

use proptest::prelude::*;

use super::*;
use crate::time::Mono;

fn level(entries: &[(&str, i64)]) -> Level {
    let entry = |(key, value): &(&str, i64)| ((*key).to_owned(), Value::from(*value));
    entries.iter().map(entry).collect()
}

fn at(seconds: i64) -> Wall {
    Wall::from_seconds(seconds)
}

/// A director: what holds on it, as the engine would have it, and what it knows.
#[derive(Default)]
struct Director {
    name: u64,
    level: Level,
    /// What its file does not have.
    lacks: BTreeSet<String>,
    wishes: Wishes,
    journal: BTreeMap<String, Value>,
}

/// How many are wished, and how many tombstones there are.
fn counted(wishes: &Wishes) -> (usize, usize) {
    let wished = wishes.all().filter(|it| it.value.is_some()).count();
    (wished, wishes.all().count() - wished)
}

impl Director {
    fn named(name: u64) -> Self {
        Self {
            name,
            ..Self::default()
        }
    }

    fn say(&mut self, now: Wall, key: &str, value: Option<i64>) {
        if self.lacks.contains(key) {
            return; // Refused.
        }
        match value {
            Some(value) => self.level.insert(key.to_owned(), value.into()),
            None => self.level.remove(key),
        };
        self.look(now);
    }

    /// As after a word of a person.
    fn look(&mut self, now: Wall) -> Vec<StampedWish> {
        self.look_for(now, Cause::Person)
    }

    fn look_for(&mut self, now: Wall, cause: Cause) -> Vec<StampedWish> {
        let level = self.level.clone();
        let said = self.wishes.look(now, self.name, cause, level);
        self.journal.extend(said.iter().map(StampedWish::record));
        said
    }

    /// A file that lacks these takes effect.
    fn reload(&mut self, now: Wall, lacks: &[&str]) {
        self.look_for(now, Cause::Itself);
        self.lacks = lacks.iter().map(|&key| key.to_owned()).collect();
        self.level.retain(|key, _| !self.lacks.contains(key));
        self.wishes.rebase(&self.level);
        self.carry_out(now);
    }

    /// `reset` without `keepstate`.
    fn reset(&mut self, now: Wall) {
        self.look_for(now, Cause::Itself);
        self.level.clear();
        self.wishes.rebase(&self.level);
        self.carry_out(now);
    }

    /// What it has had no server for during a week.
    fn forget(&mut self, now: Wall, key: &str) {
        self.look_for(now, Cause::Itself);
        self.level.remove(key);
        self.look_for(now, Cause::Itself);
    }

    fn carry_out(&mut self, now: Wall) {
        for StampedWish { key, value, .. } in self.wishes.differing(now) {
            if self.lacks.contains(&key) {
                continue;
            }
            match value {
                Some(value) => self.level.insert(key, value),
                None => self.level.remove(&key),
            };
        }
        self.look_for(now, Cause::Itself);
    }

    fn hear(&mut self, now: Wall, other: &Self) {
        self.hear_ahead(now, other, 0);
    }

    /// The other one's clock is so many seconds ahead.
    fn hear_ahead(&mut self, now: Wall, other: &Self, ahead: i64) {
        self.look_for(now, Cause::Itself);
        for mut entry in other.wishes.all() {
            entry.ahead_micros += ahead * 1_000_000;
            if self.wishes.hear(entry.clone()) {
                self.journal.extend([entry.record()]);
            }
        }
        self.carry_out(now);
    }

    /// Time passes, and what is over ends; nobody is there to look at it where this one is dead.
    fn passes(&mut self, now: Wall) {
        let wishes = &self.wishes.entries;
        // Of what has no stamp yet this director's own clock counts.
        let ahead = |key: &String, value: &Value| {
            let known = wishes
                .get(key)
                .filter(|it| it.value.as_ref() == Some(value));
            known.map_or(0, |it| it.ahead_micros)
        };
        let until = |value: &Value| value.get(UNTIL).and_then(Value::as_i64);
        self.level.retain(|key, value| {
            let until = until(value).map(|until| until - ahead(key, value));
            until.is_none_or(|until| until > now.as_micros())
        });
    }

    fn restart(&mut self) {
        self.wishes = Wishes::restore(&self.journal, &self.level);
    }
}

fn link(now: Wall, one: &mut Director, two: &mut Director) {
    one.hear(now, two);
    two.hear(now, one);
}

#[test]
fn a_wish_reaches_the_peer_and_so_does_its_end() {
    let (mut one, mut two) = (Director::named(1), Director::named(2));
    one.say(at(10), "watch a", Some(1));
    link(at(11), &mut one, &mut two);
    assert_eq!(two.level, level(&[("watch a", 1)]));
    two.say(at(12), "watch a", None);
    link(at(13), &mut one, &mut two);
    assert!(one.level.is_empty() && two.level.is_empty());
    assert_eq!(counted(&one.wishes), (0, 1));
}

#[test]
fn who_knows_of_a_wish_and_ends_it_wins_though_the_clock_is_an_hour_behind() {
    let (mut one, mut two) = (Director::named(1), Director::named(2));
    one.say(at(3_600), "watch a", Some(1));
    link(at(3_600), &mut one, &mut two);
    two.say(at(5), "watch a", None);
    link(at(6), &mut one, &mut two);
    assert!(one.level.is_empty() && two.level.is_empty());
}

#[test]
fn of_two_that_were_said_apart_the_later_clock_wins_on_both() {
    let (mut one, mut two) = (Director::named(1), Director::named(2));
    one.say(at(10), "watch a", Some(1));
    two.say(at(11), "watch a", Some(2));
    one.say(at(20), "watch b", Some(1));
    two.say(at(20), "watch b", Some(2));
    link(at(30), &mut one, &mut two);
    assert_eq!(one.level, level(&[("watch a", 2), ("watch b", 2)]));
    assert_eq!(two.level, one.level);
}

#[test]
fn a_wish_that_ended_while_the_peer_was_away_does_not_come_back() {
    let (mut one, mut two) = (Director::named(1), Director::named(2));
    one.say(at(10), "watch a", Some(1));
    link(at(11), &mut one, &mut two);
    one.say(at(12), "watch a", None);
    one.restart();
    two.restart();
    link(at(13), &mut two, &mut one);
    assert!(one.level.is_empty() && two.level.is_empty());
}

#[test]
fn a_wish_from_before_there_was_a_peer_is_shared_and_gives_way() {
    let (mut one, mut two) = (Director::named(1), Director::named(2));
    one.level = level(&[("watch a", 1), ("watch b", 1)]);
    one.restart();
    two.say(at(1), "watch b", Some(2));
    link(at(2), &mut one, &mut two);
    assert_eq!(one.level, level(&[("watch a", 1), ("watch b", 2)]));
    assert_eq!(two.level, one.level);
}

#[test]
fn what_this_director_does_not_have_waits_and_survives_a_restart() {
    let mut one = Director::named(1);
    let entry = StampedWish {
        key: "watch other".to_owned(),
        stamp: Stamp { time: 5, writer: 2 },
        value: Some(1.into()),
        ahead_micros: 0,
    };
    assert!(one.wishes.hear(entry.clone()));
    assert!(
        !one.wishes.hear(entry.clone()),
        "it is not newer than itself"
    );
    one.journal.extend([entry.record()]);
    one.look(at(9));
    one.restart();
    one.look(at(10));
    assert_eq!(one.wishes.differing(at(10)), [entry]);
}

#[test]
fn nobody_says_the_last_word_and_the_number_is_bounded() {
    let mut wishes = Wishes::default();
    let wish = |key: String, time, value: Option<i64>| StampedWish {
        key,
        stamp: Stamp { time, writer: 2 },
        value: value.map(Value::from),
        ahead_micros: 0,
    };
    assert!(!wishes.hear(wish("a".to_owned(), i64::MAX, None)));
    assert!(!wishes.hear(wish("a".to_owned(), -1, None)));
    assert!(!wishes.hear(wish("x".repeat(2_000), 1, None)));
    assert_eq!(wishes.left_out(), 3);
    for n in 0..WISHES_MAX + 10 {
        wishes.hear(wish(n.to_string(), 1 + i64::try_from(n).unwrap(), None));
    }
    assert_eq!(counted(&wishes), (0, WISHES_MAX));
    assert_eq!(wishes.left_out(), 13);
    wishes.look(at(1), 1, Cause::Person, level(&[("ours", 1)]));
    assert_eq!(wishes.tidy(at(1)), ["peer wish 0"]);
    assert_eq!(counted(&wishes), (1, WISHES_MAX - 1));
    assert!(
        !wishes.entries.contains_key("0"),
        "the oldest tombstone went"
    );
}

#[test]
fn a_clock_beyond_all_years_says_no_last_word() {
    for clock in [CLOCK_MAX, STAMP_MAX, i64::MAX] {
        let (mut one, mut two) = (Director::named(1), Director::named(2));
        one.say(Wall::from_micros(clock), "watch a", Some(1));
        link(at(11), &mut one, &mut two);
        assert_eq!(two.level, level(&[("watch a", 1)]), "{clock}");
        two.say(at(12), "watch a", None);
        link(at(13), &mut one, &mut two);
        assert!(one.level.is_empty(), "{clock}");
        one.say(Wall::from_micros(clock), "watch a", Some(2));
        one.restart();
        link(at(14), &mut one, &mut two);
        assert_eq!(two.level, level(&[("watch a", 2)]), "{clock}");
    }
}

#[test]
fn a_wish_that_ends_by_itself_gives_way_to_what_was_said_elsewhere_meanwhile() {
    let (mut one, mut two) = (Director::named(1), Director::named(2));
    one.level.insert("a".to_owned(), until(100));
    one.look(at(10));
    link(at(11), &mut one, &mut two);
    // Without a link somebody wishes something else, and the old one ends on the other director.
    two.level.insert("a".to_owned(), until(900));
    two.look(at(50));
    one.say(at(100), "a", None);
    link(at(101), &mut one, &mut two);
    assert_eq!(one.level, two.level);
    assert_eq!(two.level.get("a"), Some(&until(900)));
    // It ends on both, and stays ended.
    two.say(at(900), "a", None);
    link(at(901), &mut one, &mut two);
    assert!(one.level.is_empty() && two.level.is_empty());
    // What a person ends before its time, wins.
    two.level.insert("b".to_owned(), until(2_000));
    two.look(at(1_000));
    link(at(1_001), &mut one, &mut two);
    one.say(at(1_002), "b", None);
    link(at(1_003), &mut one, &mut two);
    assert!(two.level.is_empty());
}

fn until(seconds: i64) -> Value {
    serde_json::json!({ "until": at(seconds).as_micros() })
}

/// One director wishes something, the other one something else for a while in its place, dies
/// before that is heard of, and comes back when its time is over.
#[test]
fn what_a_wish_took_the_place_of_does_not_outlive_it_where_its_director_was_dead() {
    let (mut one, mut two) = (Director::named(1), Director::named(2));
    one.say(at(10), "a", Some(1));
    link(at(11), &mut one, &mut two);
    two.level.insert("a".to_owned(), until(100));
    two.look(at(20));
    two.passes(at(200));
    two.restart();
    two.look(at(200));
    link(at(201), &mut one, &mut two);
    link(at(202), &mut one, &mut two);
    assert_eq!(one.level, two.level);
    assert!(one.level.is_empty(), "{:?}", one.level);
    // To a director whose clock is wrong it may be over at once: it ends it for nobody else.
    two.level.insert("b".to_owned(), until(300));
    two.look(at(250));
    one.hear(at(9_000), &two);
    two.hear(at(251), &one);
    assert_eq!(two.level.get("b"), Some(&until(300)));
}

#[test]
fn an_end_by_itself_wins_over_no_person_though_clocks_are_behind_and_over_no_other_end() {
    for (says, hears) in [(1, 2), (2, 1)] {
        let (mut one, mut two) = (Director::named(says), Director::named(hears));
        one.level.insert("a".to_owned(), until(2_000));
        one.look(at(1_900));
        link(at(1_901), &mut one, &mut two);
        // The other clock is far behind: this word is the next number.
        two.say(at(5), "a", Some(7));
        one.passes(at(2_000));
        one.look(at(2_000));
        link(at(2_001), &mut one, &mut two);
        assert_eq!(one.level, level(&[("a", 7)]), "{says}");
        assert_eq!(two.level, one.level);
    }
    // The same director says the next word, and the other one sees the end of the one before.
    let (mut one, mut two) = (Director::named(1), Director::named(2));
    two.say(at(5_000), "other", Some(1));
    link(at(5_000), &mut one, &mut two);
    one.level.insert("a".to_owned(), until(2_000));
    one.look(at(1_900));
    link(at(1_901), &mut one, &mut two);
    one.say(at(1_902), "a", Some(7));
    two.passes(at(2_000));
    two.look(at(2_000));
    link(at(2_001), &mut one, &mut two);
    assert_eq!(one.level.get("a"), Some(&Value::from(7)));
    assert_eq!(two.level, one.level);
}

/// Two persons speak on two directors in the same microsecond, one of them for a while: of the two
/// the writer decides, and the end of the one that gives way ends nothing of the other.
#[test]
fn the_end_of_a_wish_that_gives_way_ends_no_word_of_the_same_moment() {
    for first_is_there in [true, false] {
        let (mut one, mut two) = (Director::named(1), Director::named(2));
        two.say(at(16), "b", Some(1));
        one.level.insert("b".to_owned(), until(17));
        one.look(at(16));
        one.restart();
        one.passes(at(200));
        if first_is_there {
            one.look_for(at(200), Cause::Itself);
        }
        link(at(200), &mut one, &mut two);
        link(at(200), &mut two, &mut one);
        assert_eq!(one.level, level(&[("b", 1)]), "{first_is_there}");
        assert_eq!(two.level, one.level);
    }
    // The other way round the one that ends by itself counts, until then.
    let (mut one, mut two) = (Director::named(1), Director::named(2));
    one.say(at(16), "b", Some(1));
    two.level.insert("b".to_owned(), until(17));
    two.look(at(16));
    two.passes(at(200));
    two.look_for(at(200), Cause::Itself);
    link(at(200), &mut one, &mut two);
    link(at(200), &mut two, &mut one);
    assert!(one.level.is_empty() && two.level.is_empty());
}

#[test]
fn of_two_wishes_from_before_there_was_a_peer_both_take_the_same() {
    let (mut one, mut two) = (Director::named(1), Director::named(2));
    one.level = level(&[("a", 1)]);
    two.level = level(&[("a", 2)]);
    one.restart();
    two.restart();
    link(at(2), &mut one, &mut two);
    assert_eq!(one.level, two.level);
    assert_eq!(one.level.len(), 1);
}

#[test]
fn a_tombstone_is_forgotten_some_day_and_what_is_wished_is_not() {
    let mut wishes = Wishes::default();
    wishes.look(at(10), 1, Cause::Person, level(&[("a", 1), ("b", 1)]));
    wishes.look(at(20), 1, Cause::Person, level(&[("b", 1)]));
    let age = i64::try_from(TOMB_AGE.as_secs()).unwrap();
    assert_eq!(wishes.tidy(at(20 + age)), [""; 0]);
    assert_eq!(wishes.tidy(at(21 + age)), ["peer wish a"]);
    assert_eq!(counted(&wishes), (1, 0));
}

#[test]
fn what_a_file_takes_away_is_no_end_and_what_it_brings_takes_effect() {
    let (mut one, mut two) = (Director::named(1), Director::named(2));
    // It is said of what the second one does not have yet.
    two.reload(at(1), &["service a"]);
    one.say(at(10), "service a", Some(1));
    link(at(11), &mut one, &mut two);
    assert_eq!(two.level, Level::new());
    two.reload(at(20), &[]);
    assert_eq!(two.level, level(&[("service a", 1)]));
    // It loses it again, which the first one need not hear of.
    two.reload(at(30), &["service a"]);
    assert_eq!(two.level, Level::new());
    link(at(31), &mut one, &mut two);
    assert_eq!(one.level, level(&[("service a", 1)]));
    // A restart is no word either.
    two.restart();
    link(at(40), &mut one, &mut two);
    assert_eq!(one.level, level(&[("service a", 1)]));
    // What a person ends meanwhile stays ended.
    one.say(at(50), "service a", None);
    link(at(51), &mut one, &mut two);
    two.reload(at(60), &[]);
    link(at(61), &mut one, &mut two);
    assert_eq!((&one.level, &two.level), (&Level::new(), &Level::new()));
}

#[test]
fn a_reset_ends_no_wish_that_both_share_whether_the_link_stands_or_not() {
    let (mut one, mut two) = (Director::named(1), Director::named(2));
    one.say(at(10), "service a", Some(1));
    link(at(11), &mut one, &mut two);
    two.say(at(12), "service b", Some(1));
    two.reset(at(20));
    let both = level(&[("service a", 1), ("service b", 1)]);
    assert_eq!(two.level, both);
    link(at(21), &mut one, &mut two);
    assert_eq!((&one.level, &two.level), (&both, &both));
    // A person who means it says so, after a reset too.
    two.say(at(30), "service a", None);
    link(at(31), &mut one, &mut two);
    assert_eq!(one.level, level(&[("service b", 1)]));
}

#[test]
fn what_a_director_forgets_by_itself_holds_on_the_other_and_comes_back_with_a_reload() {
    let (mut one, mut two) = (Director::named(1), Director::named(2));
    one.say(at(10), "wish a", Some(1));
    link(at(11), &mut one, &mut two);
    // After a week without the server.
    two.level.clear();
    two.look_for(at(20), Cause::Itself);
    link(at(21), &mut one, &mut two);
    assert_eq!(one.level, level(&[("wish a", 1)]));
    assert_eq!(two.level, Level::new(), "nobody said it anew");
    two.reload(at(30), &[]);
    assert_eq!(two.level, level(&[("wish a", 1)]));
    // Said anew it holds at once.
    two.level.clear();
    two.look_for(at(40), Cause::Itself);
    one.say(at(50), "wish a", Some(2));
    link(at(51), &mut one, &mut two);
    assert_eq!(two.level, level(&[("wish a", 2)]));
}

#[test]
fn a_wish_ends_by_itself_by_the_clock_of_who_said_it() {
    let until = |seconds| serde_json::json!({ "until": at(seconds).as_micros() });
    // The other director's clock is 1,000 s behind: by ours it ends at 1,100.
    let wish = StampedWish {
        key: "a".to_owned(),
        stamp: Stamp { time: 5, writer: 2 },
        value: Some(until(100)),
        ahead_micros: -1_000_000_000,
    };
    let mut wishes = Wishes::default();
    assert!(wishes.hear(wish.clone()));
    let level = Level::from([("a".to_owned(), until(100))]);
    assert_eq!(wishes.look(at(1_010), 1, Cause::Itself, level), []);
    let mut early = wishes.clone();
    let ended = early.look(at(1_020), 1, Cause::Person, Level::new());
    assert_eq!(
        ended[0].stamp.writer, 1,
        "a person ended it before its time"
    );
    let over = wishes.look(at(1_100), 1, Cause::Itself, Level::new());
    assert_eq!((over[0].stamp, &over[0].value), (wish.stamp, &None));
    // The journal keeps how far the clock was off.
    let journal = BTreeMap::from([wish.record()]);
    let restored = Wishes::restore(&journal, &Level::new());
    assert_eq!(restored.differing(at(1_000)), [wish]);
}

#[test]
fn a_clock_that_is_set_makes_no_wish_last_longer() {
    let until = serde_json::json!({ "until": at(100).as_micros() });
    let level = Level::from([("a".to_owned(), until), ("b".to_owned(), 1.into())]);
    let by = |passed: u64, wall: i64| Now {
        mono: Mono::ZERO.after(Duration::from_secs(passed)),
        wall: at(wall),
    };
    let mut wishes = Wishes::default();
    assert_eq!(wishes.look_at_clock(by(10, 10)), []);
    wishes.look(at(10), 1, Cause::Person, level);
    // An hour back.
    let moved = wishes.look_at_clock(by(20, 20 - 3_600));
    let moved: Vec<_> = moved.iter().map(|it| (&*it.key, it.ahead_micros)).collect();
    assert_eq!(moved, [("a", 3_600_000_000)]);
    assert_eq!(wishes.look_at_clock(by(21, 21 - 3_600)), []);
    // Its time is over here: no person has ended it, and it does not come back.
    let left = Level::from([("b".to_owned(), 1.into())]);
    let over = wishes.look(at(101 - 3_600), 1, Cause::Itself, left);
    assert_eq!((&*over[0].key, &over[0].value), ("a", &None));
    assert_eq!(wishes.differing(at(101 - 3_600)), []);
}

/// Two directors, and the same two without what no person says: reloads, resets, and what a
/// director forgets by itself.
#[derive(Default)]
struct Pairs {
    real: [Director; 2],
    plain: [Director; 2],
}

impl Pairs {
    fn new() -> Self {
        let two = || [Director::named(1), Director::named(2)];
        Self {
            real: two(),
            plain: two(),
        }
    }

    fn say(&mut self, side: usize, now: Wall, key: &str, value: Option<i64>) {
        // Nobody there has what waits for another file, or was forgotten.
        let real = &self.real[side];
        let is_there = value.is_some() || real.level.contains_key(key);
        if is_there && !real.lacks.contains(key) {
            self.real[side].say(now, key, value);
            self.plain[side].say(now, key, value);
        }
    }

    fn link(&mut self, now: Wall) {
        for [one, two] in [&mut self.real, &mut self.plain] {
            link(now, one, two);
        }
    }

    fn levels(&self) -> [&Level; 4] {
        let [real, plain] = [&self.real, &self.plain];
        [
            &real[0].level,
            &real[1].level,
            &plain[0].level,
            &plain[1].level,
        ]
    }
}

proptest! {
    /// Whatever is said where, with whatever clocks, files, resets and restarts: once the directors
    /// have the same file and have heard each other they hold the same, and that is what persons
    /// have said, as if nobody had reloaded or reset anything.
    #[test]
    fn both_hold_what_persons_have_said_in_the_end(
        steps in proptest::collection::vec(
            (0_u8..7, 0_usize..2, 0_i64..50, "[abc]", proptest::option::of(0_i64..3)),
            0..30,
        ),
    ) {
        let mut pairs = Pairs::new();
        for (step, side, time, key, value) in steps {
            match step {
                0 | 1 => pairs.say(side, at(time), &key, value),
                2 => pairs.link(at(time)),
                3 => pairs.real[side].reload(at(time), &[&key]),
                4 => pairs.real[side].reset(at(time)),
                5 => pairs.real[side].forget(at(time), &key),
                _ => {
                    pairs.real[side].restart();
                    pairs.plain[side].restart();
                }
            }
        }
        for side in 0..2 {
            pairs.real[side].reload(at(0), &[]);
        }
        pairs.link(at(0));
        pairs.link(at(0));
        let [one, two, plain, other] = pairs.levels();
        prop_assert_eq!(one, two);
        prop_assert_eq!(plain, other);
        prop_assert_eq!(one, plain);
        let [one, _] = &mut pairs.real;
        prop_assert_eq!(one.wishes.look(at(99), 1, Cause::Person, one.level.clone()), vec![]);
    }

    /// The same where wishes end by themselves, and where directors are dead meanwhile: of each key
    /// the word of a person with the greatest stamp counts, until its time is over.
    #[test]
    fn the_last_word_of_a_person_holds_until_its_time_is_over(
        ahead in -20_i64..20,
        steps in proptest::collection::vec(
            (0_u8..6, any::<bool>(), 1_i64..20, "[ab]", proptest::option::of(1_i64..30)),
            0..40,
        ),
    ) {
        let (mut one, mut two) = (Director::named(1), Director::named(2));
        let mut time = 1_000;
        let mut dead = [false; 2];
        let mut said = BTreeMap::<String, (Stamp, Option<Value>)>::new();
        let clocks = |time: i64| [at(time), at(time + ahead)];
        for (step, first, passes, key, span) in steps {
            time += passes;
            let now = clocks(time);
            for (side, director) in [&mut one, &mut two].into_iter().enumerate() {
                director.passes(now[side]);
                // What ends while it is dead it finds ended when it comes back.
                if !dead[side] {
                    director.look_for(now[side], Cause::Itself);
                }
            }
            let side = usize::from(!first);
            let here = if first { &mut one } else { &mut two };
            match step {
                0 | 1 if !dead[side] => {
                    let now = now[side];
                    let wish = span.map(|span| now.as_micros() / 1_000_000 + span).map(until);
                    match wish.filter(|_| step == 0) {
                        Some(wish) => drop(here.level.insert(key, wish)),
                        None if span.is_some() => drop(here.level.insert(key, 1.into())),
                        None => drop(here.level.remove(&key)),
                    }
                    for word in here.look(now) {
                        let last = (word.stamp, word.value);
                        let known = said.entry(word.key).or_insert_with(|| last.clone());
                        if known.0 < last.0 {
                            *known = last;
                        }
                    }
                }
                2 | 3 if dead == [false; 2] => {
                    one.hear_ahead(now[0], &two, ahead);
                    two.hear_ahead(now[1], &one, -ahead);
                    one.hear_ahead(now[0], &two, ahead);
                    prop_assert_eq!(&one.level, &two.level, "at {}", time);
                }
                4 => dead[side] = true,
                5 if dead[side] => {
                    dead[side] = false;
                    here.restart();
                }
                _ => {}
            }
        }
        for director in [&mut one, &mut two] {
            director.restart();
        }
        time += 200;
        for _ in 0..3 {
            let now = clocks(time);
            one.passes(now[0]);
            two.passes(now[1]);
            one.hear_ahead(now[0], &two, ahead);
            two.hear_ahead(now[1], &one, -ahead);
        }
        prop_assert_eq!(&one.level, &two.level);
        let said = said.into_iter();
        let lasting = said.filter_map(|(key, (_, value))| Some((key, value?)));
        let lasting: Level = lasting.filter(|(_, value)| value.get(UNTIL).is_none()).collect();
        prop_assert_eq!(&one.level, &lasting);
    }
}
