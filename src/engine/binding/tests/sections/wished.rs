//! Stories of what operators wish of the fallback, and of servers that start slowly.

use super::*;
use crate::engine::event::{Caution, ManualWish, Order, ServerWord, SharedWish, Trouble};
use crate::engine::manual::Heed;
use crate::engine::section::in_table::InTable;

impl Story {
    fn wishes(&mut self, host: &str, wish: ManualWish, caution: Caution) -> Result<String, String> {
        let farm = self.farm();
        let order = Order {
            aim: aim(host, None),
            wish,
            span: None,
            by: "op".to_owned(),
            reason: String::new(),
            caution,
        };
        let now = farm.now();
        let (answer, actions) = farm.bindings.order(now, &order);
        farm.perform(actions);
        answer
    }

    pub(super) fn insists(&mut self, host: &str, wish: ManualWish, expected: &str) {
        self.wishes(host, wish, Caution::Force).unwrap();
        self.settles(expected);
    }

    pub(super) fn enables(&mut self, host: &str, expected: &str) {
        self.farm().enables(host).unwrap();
        self.settles(expected);
    }
}

impl Story {
    /// Says no word to `min_live`, if that is allowed.
    pub(super) fn asks(&mut self, host: &str, wish: ManualWish, expected: &str) {
        self.wishes(host, wish, Caution::Refuse).unwrap();
        self.settles(expected);
    }

    /// The other director hears of all wishes that hold here.
    fn tells(&mut self, other: &mut Self, expected: &str) {
        let shared: Vec<SharedWish> = self.farm().bindings.shared_wishes().collect();
        let word = |wish| {
            let SharedWish::Server(word) = wish else {
                panic!("{wish:?}")
            };
            word
        };
        let words: Vec<ServerWord> = shared.into_iter().map(word).collect();
        let words: Vec<(&ServerWord, i64)> = words.iter().map(|it| (it, 0)).collect();
        let farm = other.farm();
        let (now, mut actions) = (farm.now(), Vec::new());
        farm.bindings.share(now, &words, &mut actions);
        farm.perform(actions);
        other.settles(expected);
    }

    /// What gives way.
    fn gives_way(&mut self) -> Vec<&'static str> {
        let farm = self.farm();
        let (now, key) = (farm.now(), VS.parse().unwrap());
        let gives_way = |host: &&str| {
            let wished = farm.bindings.wished((key, rs(host)), now);
            wished.is_some_and(|it| it.heed == Heed::GivesWay)
        };
        let hosts = ["10.1.0.1", "10.1.0.2", "10.1.0.3"].into_iter();
        hosts.filter(gives_way).collect()
    }
}

#[test]
fn wishes_of_two_directors_that_leave_too_few_together_give_way_the_newest_first() {
    let options = "min_live=1";
    let (mut one, mut two) = (Story::new(options), Story::new(options));
    one.asks("10.1.0.1", ManualWish::Disable, "2=5 3=5");
    two.waits(1.0, "1=5 2=5 3=5");
    two.asks("10.1.0.2", ManualWish::Quiesce, "1=5 2=0 3=5");
    two.waits(1.0, "1=5 2=0 3=5");
    two.asks("10.1.0.3", ManualWish::Drain { limit_s: 60 }, "1=5 2=0 3=0");
    two.has("10.1.0.3", 7);
    let merged = "2=0 3=5";
    two.tells(&mut one, merged);
    one.tells(&mut two, merged);
    assert_eq!(one.gives_way(), ["10.1.0.3"]);
    assert_eq!(two.gives_way(), ["10.1.0.3"]);
    // It waits, through a restart too, and another one that fails changes nothing.
    two.waits(100.0, merged);
    two.restarts(options);
    two.succeeds(merged);
    two.fails("2", "3=5");
    two.succeeds(merged);
    // One that is not insisted on is refused as ever.
    let why = two.wishes("10.1.0.3", ManualWish::Disable, Caution::Refuse);
    assert!(why.unwrap_err().contains("min_live is 1"));
    // With enough others it counts again, a drain from its beginning.
    two.has("10.1.0.3", 7);
    two.enables("10.1.0.1", "1=5 2=0 3=0");
    assert_eq!(two.gives_way(), [""; 0]);
    two.waits(50.0, "1=5 2=0 3=0");
    two.waits(11.0, "1=5 2=0");
    // Who insists is obeyed.
    two.insists("10.1.0.1", ManualWish::Disable, "2=0");
    assert_eq!(two.gives_way(), [""; 0]);
}

#[test]
fn what_one_director_accepted_alone_is_obeyed_also_when_all_are_well_again() {
    let options = "min_live=2 fallback=10.1.0.9";
    let mut story = Story::new(options);
    story.fails("1 2 3", "9=1");
    story.asks("10.1.0.1", ManualWish::Disable, "9=1");
    story.asks("10.1.0.2", ManualWish::Disable, "9=1");
    story.succeeds("3=5");
    story.restarts(options);
    story.succeeds("3=5");
    assert_eq!(story.gives_way(), [""; 0]);
}

#[test]
fn the_alarm_of_a_section_says_how_many_operators_keep_out() {
    let mut story = Story::new("min_live=1 fallback=10.1.0.9");
    let key: crate::lvs::VirtualServiceKey = VS.parse().unwrap();
    let text = |story: &mut Story, trouble: Trouble| {
        let farm = story.farm();
        let model = Arc::clone(&farm.model);
        let section = farm.bindings.section(&model, key).unwrap();
        trouble.text(section, farm.bindings.kept_out(key), "", &InTable::AsWanted)
    };
    let none = text(&mut story, Trouble::Fallback);
    assert!(none.contains("has no healthy real server"), "{none}");
    story.insists("10.1.0.1", ManualWish::Disable, "2=5 3=5");
    story.insists("10.1.0.2", ManualWish::Quiesce, "2=0 3=5");
    story.fails("3", "2=0 9=1");
    let some = text(&mut story, Trouble::Fallback);
    assert!(
        some.contains("operators keep 2 of 3 from their clients, and the others failed"),
        "{some}"
    );
    story.insists("10.1.0.3", ManualWish::Disable, "2=0 9=1");
    for trouble in [Trouble::Fallback, Trouble::NoServer] {
        let all = text(&mut story, trouble);
        assert!(
            all.contains("operators keep all 3 from their clients"),
            "{all}"
        );
        assert!(!all.contains("healthy"), "{all}");
    }
    let few = text(&mut story, Trouble::TooFew);
    assert!(
        few.contains("operators keep 3 of 3 from their clients"),
        "{few}"
    );
}

const FALLBACK: &str = "10.1.0.9";

#[test]
fn a_fallback_in_use_does_as_operators_wish() {
    let mut story = Story::new("fallback=10.1.0.9");
    story.fails("1 2 3", "9=1");
    story.insists(FALLBACK, ManualWish::Weight { weight: 9 }, "9=9");
    story.insists(FALLBACK, ManualWish::Quiesce, "9=0");
    story.insists(FALLBACK, ManualWish::Disable, "");
    assert_eq!(story.served_by(), Some(ServedBy::Nobody), "an alarm");
    story.enables(FALLBACK, "9=1");
    story.has(FALLBACK, 1);
    story.insists(FALLBACK, ManualWish::Drain { limit_s: 60 }, "9=0");
    story.waits(61.0, "");
    story.enables(FALLBACK, "9=1");
    story.succeeds("1=5 2=5 3=5");
    let answer = story.wishes(FALLBACK, ManualWish::Disable, Caution::Refuse);
    assert!(answer.unwrap().contains("which is not needed now"));
    story.fails("1 2 3", "");
}

#[test]
fn a_fallback_that_serves_alone_is_kept_for_its_own_reason() {
    let mut story = Story::new("min_live=1 fallback=10.1.0.9");
    story.fails("1 2 3", "9=1");
    let answer = story.wishes(FALLBACK, ManualWish::Disable, Caution::Refuse);
    let why = answer.unwrap_err();
    assert!(why.contains("this is the fallback"), "{why}");
    assert!(!why.contains("min_live"), "{why}");
    story.settles("9=1");
    // Without it min_live holds.
    story.insists(FALLBACK, ManualWish::Disable, "1=5");
}

#[test]
fn a_slow_start_begins_when_an_operator_lets_a_server_back() {
    let full = [("10.1.0.1", 100), ("10.1.0.2", 100), ("10.1.0.3", 100)];
    let options = "slow=27 w=100";
    let mut story = Story::found(options, kernel(&full));
    story.succeeds("1=100 2=100 3=100");
    // It fails and recovers during maintenance, with a restart of the daemon in between.
    story.insists("10.1.0.2", ManualWish::Disable, "1=100 3=100");
    story.fails("2", "1=100 3=100");
    story.succeeds("1=100 3=100");
    story.waits(60.0, "1=100 3=100");
    story.restarts(options);
    story.succeeds("1=100 3=100");
    story.enables("10.1.0.2", "1=100 2=10 3=100");
    story.waits(3.0, "1=100 2=20 3=100");
    story.waits(30.0, "1=100 2=100 3=100");
    // And so does one that was well all the time.
    story.insists("10.1.0.3", ManualWish::Quiesce, "1=100 2=100 3=0");
    story.enables("10.1.0.3", "1=100 2=100 3=10");
    // A wish for a weight takes no clients away.
    story.insists(
        "10.1.0.1",
        ManualWish::Weight { weight: 7 },
        "1=7 2=100 3=10",
    );
    story.enables("10.1.0.1", "1=100 2=100 3=10");
}

#[test]
fn a_wish_for_a_weight_gives_none_to_a_server_that_its_checks_withdraw() {
    let weight = || ManualWish::Weight { weight: 9 };
    let mut story = Story::new("quiesce");
    story.insists("10.1.0.2", weight(), "1=5 2=9 3=5");
    story.fails("2", "1=5 2=0 3=5");
    story.succeeds("1=5 2=9 3=5");
    let mut story = Story::new("drain=60");
    story.has("10.1.0.2", 7);
    story.insists("10.1.0.2", weight(), "1=5 2=9 3=5");
    story.fails("2", "1=5 2=0 3=5");
    story.insists("10.1.0.2", weight(), "1=5 2=0 3=5");
}

#[test]
fn a_server_left_as_found_counts_for_min_live_while_it_is_in() {
    let found = kernel(&[("10.1.0.1", 5), ("10.1.0.2", 5), ("10.1.0.3", 0)]);
    let mut story = Story::found("min_live=2", found);
    assert_eq!(story.role("10.1.0.1"), Some(ServerRole::AsFound));
    assert_eq!(story.serving(), 2, "what why says");
    for wish in [ManualWish::Disable, ManualWish::Quiesce] {
        let answer = story.wishes("10.1.0.1", wish, Caution::Refuse);
        let why = answer.unwrap_err();
        assert!(why.contains("1 real server would be left of 2"), "{why}");
    }
    // One that takes no clients anyhow may be taken out.
    let answer = story.wishes("10.1.0.3", ManualWish::Disable, Caution::Refuse);
    assert!(answer.is_ok(), "{answer:?}");
    story.settles("1=5 2=5");
    // One that an operator keeps from its clients counts no more, although it is in until its
    // first verdict.
    story.insists("10.1.0.2", ManualWish::Quiesce, "1=5 2=5");
    assert_eq!(story.serving(), 1);
    let last = story.wishes("10.1.0.1", ManualWish::Disable, Caution::Force);
    assert!(
        last.unwrap()
            .contains("no real server takes new connections now")
    );
}

#[test]
fn a_server_that_the_file_no_longer_names_does_not_count_for_min_live() {
    let full = kernel(&[("10.1.0.1", 5), ("10.1.0.2", 5), ("10.1.0.3", 5)]);
    let mut story = Story::found("min_live=2", full);
    story.reloads(&[
        "web/http 10.1.0.1,10.1.0.2".to_owned(),
        format!("virtual {VS} web/http 10.1.0.1,10.1.0.2 min_live=2"),
    ]);
    story.settles("1=5 2=5 3=5");
    let answer = story.wishes("10.1.0.1", ManualWish::Disable, Caution::Refuse);
    let why = answer.unwrap_err();
    assert!(why.contains("1 real server would be left of 2"), "{why}");
}

/// What was said of real servers, since last asked.
fn said(story: &mut Story) -> Vec<String> {
    let said = story.farm().said();
    let said = said.into_iter().filter(|it| it.starts_with("10."));
    said.collect()
}

#[test]
fn a_server_with_weight_0_is_never_said_to_be_in() {
    let mut story = Story::new("min_live=0");
    said(&mut story);
    story.asks("10.1.0.1", ManualWish::Quiesce, "1=0 2=5 3=5");
    assert_eq!(
        said(&mut story),
        ["10.1.0.1 zero by ann: the quiesce by op"]
    );
    story.asks("10.1.0.1", ManualWish::Drain { limit_s: 60 }, "1=0 2=5 3=5");
    assert_eq!(said(&mut story), [""; 0]);
    story.waits(3.0, "2=5 3=5");
    assert_eq!(said(&mut story), ["10.1.0.1 out by ann: the drain by op"]);
    story.asks("10.1.0.1", ManualWish::Quiesce, "1=0 2=5 3=5");
    assert_eq!(
        said(&mut story),
        ["10.1.0.1 zero by ann: the quiesce by op"]
    );
    story.asks("10.1.0.1", ManualWish::Weight { weight: 3 }, "1=3 2=5 3=5");
    assert_eq!(said(&mut story), ["10.1.0.1 in"]);
    // It fails and comes back while an operator keeps it from its clients.
    let mut story = Story::new("min_live=0 quiesce");
    said(&mut story);
    story.fails("1", "1=0 2=5 3=5");
    assert_eq!(said(&mut story), ["10.1.0.1 zero by web/http:timeout"]);
    story.asks("10.1.0.1", ManualWish::Quiesce, "1=0 2=5 3=5");
    story.succeeds("1=0 2=5 3=5");
    assert_eq!(
        said(&mut story),
        ["10.1.0.1 zero by ann: the quiesce by op"]
    );
    story.enables("10.1.0.1", "1=5 2=5 3=5");
    assert_eq!(said(&mut story), ["10.1.0.1 in"]);
    // A weight of the file.
    let mut story = Story::found("w=0", Table::new());
    story.succeeds("1=0 2=0 3=0");
    let zero = |host: &str| format!("{host} zero by its own weight");
    assert_eq!(
        said(&mut story),
        ["10.1.0.1", "10.1.0.2", "10.1.0.3"].map(zero)
    );
}

#[test]
fn a_server_that_is_down_is_not_said_to_be_in_after_a_reload_that_renames_it_or_a_restart() {
    let mut story = Story::new("quiesce");
    story.fails("1", "1=0 2=5 3=5");
    said(&mut story);
    // Known from the journal, with its withdrawal.
    story.restarts("quiesce");
    story.settles("1=0 2=5 3=5");
    story.fails("1", "1=0 2=5 3=5");
    assert_eq!(
        said(&mut story),
        [
            "10.1.0.1 zero by web/http:timeout",
            "10.1.0.2 in",
            "10.1.0.3 in"
        ]
    );
    // Another service of another name checks the same servers in the same section.
    let lines: Vec<String> = file("quiesce")
        .iter()
        .map(|it| it.replace("web/", "www/"))
        .collect();
    story.reloads(&lines);
    story.settles("1=0 2=5 3=5");
    story.farm().fails("www/http", "10.1.0.1");
    story.settles("1=0 2=5 3=5");
    let told = said(&mut story);
    assert!(!told.contains(&"10.1.0.1 in".to_owned()), "{told:?}");
    // The director ended with `on_exit quiesce`: all have weight 0.
    let all = kernel(&[("10.1.0.1", 0), ("10.1.0.2", 0), ("10.1.0.3", 0)]);
    for options in [
        "exit-quiesce",
        "quiesce exit-quiesce",
        "drain=60 exit-quiesce",
    ] {
        let mut story = Story::found(options, all.clone());
        story.farm().fails("web/http", "10.1.0.1");
        story.looks();
        let told = said(&mut story);
        assert!(
            !told.contains(&"10.1.0.1 in".to_owned()),
            "{options}: {told:?}"
        );
        assert!(
            told.contains(&"10.1.0.2 in".to_owned()),
            "{options}: {told:?}"
        );
    }
}

/// Since when a real server is said to be so, in seconds before now.
fn ages(story: &mut Story) -> Vec<(String, u64)> {
    let farm = story.farm();
    let now = farm.is_it().wall;
    let said = std::mem::take(&mut farm.said);
    let notes = said.iter().filter_map(Action::noted);
    let ages = notes.filter_map(|note| {
        let Note::Server { server, since, .. } = note else {
            return None;
        };
        Some((server.0.ip().to_string(), now.since(*since).as_secs()))
    });
    ages.collect()
}

#[test]
fn what_a_daemon_before_this_one_took_out_is_said_to_be_out_since_then() {
    for options in ["", "quiesce"] {
        let mut story = Story::new(options);
        let low = if options.is_empty() { "" } else { "1=0 " };
        story.fails("1", &format!("{low}2=5 3=5"));
        story.asks("10.1.0.2", ManualWish::Disable, &format!("{low}3=5"));
        story.waits(500.0, &format!("{low}3=5"));
        ages(&mut story);
        story.restarts(options);
        story.fails("1", &format!("{low}3=5"));
        let told = ages(&mut story);
        let age = |host: &str| told.iter().find(|(it, _)| it == host).map(|(_, age)| *age);
        for host in ["10.1.0.1", "10.1.0.2"] {
            let age = age(host).unwrap_or_default();
            assert!((500..600).contains(&age), "{options}: {told:?}");
        }
        // What this daemon does itself is so since it does it.
        story.enables("10.1.0.2", &format!("{low}2=5 3=5"));
        story.asks("10.1.0.2", ManualWish::Disable, &format!("{low}3=5"));
        let told = ages(&mut story);
        assert!(
            told.len() == 2 && told.iter().all(|(_, age)| *age < 10),
            "{told:?}"
        );
    }
}

#[test]
fn one_that_a_wish_kept_out_before_its_checks_did_is_out_since_the_wish() {
    for (options, wish) in [("", ManualWish::Disable), ("quiesce", ManualWish::Quiesce)] {
        let mut story = Story::new(options);
        let low = if options.is_empty() { "" } else { "1=0 " };
        let expected = format!("{low}2=5 3=5");
        story.asks("10.1.0.1", wish, &expected);
        story.waits(3_000.0, &expected);
        story.fails("1", &expected);
        story.waits(3_600.0, &expected);
        ages(&mut story);
        story.restarts(options);
        story.fails("1", &expected);
        let told = ages(&mut story);
        let age = told.iter().find(|(it, _)| it == "10.1.0.1");
        let age = age.map(|(_, age)| *age).unwrap_or_default();
        assert!((6_600..6_700).contains(&age), "{options}: {told:?}");
    }
}

/// A service has failed for long when a line leads it to another virtual service.
#[test]
fn what_a_line_that_is_new_in_the_file_takes_out_is_out_since_now() {
    const BOUND: &str = "web/http 10.1.0.1,10.1.0.2 10.0.0.5:80/tcp each";
    const NEW: &str = "web/http 10.1.0.1,10.1.0.2 10.0.0.4:80/tcp each";
    const SECTION: &str = "virtual 10.0.0.3:80/tcp web/http 10.1.0.1,10.1.0.2";
    for lines in [[BOUND, NEW], [BOUND, SECTION]] {
        let mut story = Story {
            farm: Some(Farm::new(&[BOUND])),
            // Both are in the table of the section.
            kernel: kernel(&[("10.1.0.1", 5), ("10.1.0.2", 5)]),
        };
        let farm = story.farm();
        farm.fails("web/http", "10.1.0.1");
        farm.waits_until(7_200.0);
        ages(&mut story);
        story.reloads(&lines.map(str::to_owned));
        story.looks();
        story.farm().fails("web/http", "10.1.0.1");
        let mut told = ages(&mut story);
        told.retain(|(it, _)| it == "10.1.0.1");
        assert!(
            !told.is_empty() && told.iter().all(|(_, age)| *age < 10),
            "{lines:?}: {told:?}"
        );
    }
}

/// However many real servers a section has: each is looked at as often as in a small one, also
/// while the names of all lead elsewhere and a person is to be told of each.
#[test]
fn a_wish_costs_as_much_as_its_section_is_long() {
    let cost = |count: usize, word: fn(usize) -> String| {
        let hosts: Vec<String> = (0..count).map(word).collect();
        let all = hosts.join(",");
        let lines = [
            format!("www/http {all}"),
            format!("virtual {VS} www/http {all}"),
        ];
        let mut farm = Farm::new(&lines.each_ref().map(String::as_str));
        for net in [1, 2] {
            for (at, host) in hosts.iter().enumerate() {
                farm.resolves(host, &format!("10.{net}.{}.{}", at / 250, at % 250));
            }
            match net {
                1 => farm.succeeds("www/http"),
                _ => farm.fails("www/http", &hosts.join(" ")),
            }
        }
        let order = Order {
            aim: aim(&hosts[count / 2], None),
            wish: ManualWish::Quiesce,
            span: None,
            by: "op".to_owned(),
            reason: String::new(),
            caution: Caution::Force,
        };
        let now = farm.now();
        crate::effort::visits(|| {
            let (answer, _) = farm.bindings.order(now, &order);
            assert!(answer.unwrap().contains("weight 0"));
        })
    };
    let address = |at: usize| format!("10.1.{}.{}", at / 250, at % 250);
    let name = |at: usize| format!("w{at}");
    for word in [address, name] {
        let [some, more, most] = [20, 40, 60].map(|count| cost(count, word));
        assert!(
            some > 0 && most - more == more - some,
            "{some} {more} {most}"
        );
    }
}

#[test]
fn one_that_min_live_kept_is_said_to_leave_where_a_wish_takes_it_away() {
    let kept = || {
        let mut story = Story::new("min_live=2");
        story.fails("2 3", "1=5 2=5");
        story
    };
    let weight = ManualWish::Weight { weight: 0 };
    for (wish, expected) in [
        (ManualWish::Quiesce, "; weight 0 when it is back"),
        (weight, "; weight 0 when it is back"),
        (ManualWish::Drain { limit_s: 60 }, ""),
    ] {
        let mut story = kept();
        let answer = story.wishes("10.1.0.2", wish, Caution::Force).unwrap();
        let expected = format!(
            "10.1.0.2:80 in {VS}: out: min_live keeps it in no more{expected}; its checks \
             withdraw it anyhow: web/http"
        );
        assert_eq!(answer, expected);
        story.settles("1=5 3=5");
    }
}

/// A section of the first two, and a line that names the third: `one` is of that one alone.
fn beside_a_section() -> Story {
    let section = format!("virtual {VS} web/http 10.1.0.1,10.1.0.2");
    let line = format!("one/http 10.1.0.3 {VS} each");
    let mut story = Story {
        farm: Some(Farm::new(&["web/http 10.1.0.1,10.1.0.2", &line, &section])),
        kernel: kernel(&FIVE),
    };
    story.farm().succeeds("one/http");
    story.succeeds("1=5 2=5 3=5");
    story
}

#[test]
fn a_server_that_only_a_line_names_beside_a_section_is_as_operators_wish() {
    for (wish, expected) in [
        (ManualWish::Disable, "1=5 2=5"),
        (ManualWish::Quiesce, "1=5 2=5 3=0"),
        (ManualWish::Drain { limit_s: 600 }, "1=5 2=5 3=0"),
        (ManualWish::Weight { weight: 7 }, "1=5 2=5 3=7"),
    ] {
        let mut story = beside_a_section();
        story.has("10.1.0.3", 4);
        story.asks("10.1.0.3", wish, expected);
        story.succeeds(expected);
        story.enables("10.1.0.3", "1=5 2=5 3=5");
    }
    // No wish puts one in that its checks withdraw.
    let mut story = beside_a_section();
    story.farm().fails("one/http", "10.1.0.3");
    story.settles("1=5 2=5");
    story.asks("10.1.0.3", ManualWish::Weight { weight: 7 }, "1=5 2=5");
}
