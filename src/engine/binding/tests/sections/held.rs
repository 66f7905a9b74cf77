//! Stories of what the file does not name any more and what stays for a name without an address:
//! what operators wish of it, how it comes back, and when it leaves.

use super::lines::{By, by_address};
use super::*;
use crate::engine::event::{Caution, ManualWish, Order};

pub(super) const WAYS: [By; 2] = [By::Reload, By::Restart];

/// A file that names these servers, by lines and by a section.
pub(super) fn files(hosts: &str, options: &str) -> [Vec<String>; 2] {
    let section = format!("virtual {VS} web/http {hosts} {options}");
    [
        vec![format!("web/http {hosts} {VS} each -B")],
        vec![format!("web/http {hosts}"), section.trim_end().to_owned()],
    ]
}

pub(super) fn texts(file: &[String]) -> Vec<&str> {
    file.iter().map(String::as_str).collect()
}

/// Both servers serve, and then the file names them by names that lead nowhere; `before` that.
fn held(by: By, kind: usize, options: &str, before: impl Fn(&mut Story)) -> Story {
    let file = &files("10.1.0.1,10.1.0.2", options)[kind];
    let mut story = by_address(&texts(file));
    before(&mut story);
    story.gets(by, &texts(&files("w1,w2", options)[kind]));
    story.farm().fails_to_resolve("w1 w2");
    story
}

impl Story {
    fn says(
        &mut self,
        host: &str,
        wish: ManualWish,
        span_s: Option<u64>,
    ) -> Result<String, String> {
        self.orders(host, wish, span_s, Caution::Refuse)
    }

    pub(super) fn orders(
        &mut self,
        host: &str,
        wish: ManualWish,
        span_s: Option<u64>,
        caution: Caution,
    ) -> Result<String, String> {
        let farm = self.farm();
        let order = Order {
            aim: aim(host, None),
            wish,
            span: span_s.map(Duration::from_secs),
            by: "op".to_owned(),
            reason: String::new(),
            caution,
        };
        let now = farm.now();
        let (answer, actions) = farm.bindings.order(now, &order);
        farm.perform(actions);
        answer
    }

    fn shown(&mut self) -> Vec<String> {
        let views = self.farm().bindings.real_servers();
        let shown = views.iter().filter_map(|view| view.server);
        shown.map(|server| server.0.ip().to_string()).collect()
    }

    fn lead(&mut self, first: &str, second: &str) {
        self.farm().resolves("w1", first);
        self.farm().resolves("w2", second);
    }
}

#[test]
fn the_end_of_a_wish_gives_a_held_server_back_what_it_had() {
    let drain = ManualWish::Drain { limit_s: 600 };
    for wish in [ManualWish::Quiesce, ManualWish::Disable, drain] {
        for (by, kind) in WAYS.into_iter().flat_map(|by| [(by, 0), (by, 1)]) {
            let is_away = |story: &mut Story| {
                story.looks();
                !servers(&story.kernel).contains("1=5")
            };
            let mut story = held(by, kind, "", |story| {
                story.says("10.1.0.1", wish, Some(60)).unwrap();
                assert!(is_away(story));
            });
            assert!(is_away(&mut story), "{wish:?} {by:?} {kind}");
            let until = story.farm().seconds + 30.0;
            story.farm().waits_until(until);
            assert!(is_away(&mut story), "{wish:?} {by:?} {kind}");
            story.waits(40.0, "1=5 2=5");
            let mut story = held(by, kind, "", |story| {
                story.says("10.1.0.1", wish, None).unwrap();
                assert!(is_away(story));
            });
            assert!(is_away(&mut story), "{wish:?} {by:?} {kind}");
            story.farm().enables("10.1.0.1").unwrap();
            story.settles("1=5 2=5");
            story.lead("10.1.0.1", "10.1.0.2");
            story.settles("1=5 2=5");
        }
    }
}

#[test]
fn the_end_of_a_wish_puts_no_server_in_that_had_failed() {
    for (by, kind) in WAYS.into_iter().flat_map(|by| [(by, 0), (by, 1)]) {
        let mut story = held(by, kind, "", |story| {
            story.fails("1", "2=5");
            story
                .says("10.1.0.1", ManualWish::Quiesce, Some(60))
                .unwrap();
            story.settles("2=5");
        });
        story.settles("2=5");
        story.waits(70.0, "2=5");
    }
}

#[test]
fn operators_wish_of_a_held_server_by_its_address() {
    let drain = ManualWish::Drain { limit_s: 600 };
    for (by, kind) in WAYS.into_iter().flat_map(|by| [(by, 0), (by, 1)]) {
        let mut story = held(by, kind, "", |_| {});
        story.settles("1=5 2=5");
        let first = "10.1.0.1";
        let answer = story.says(first, ManualWish::Quiesce, None).unwrap();
        assert_eq!(
            answer,
            "10.1.0.1:80 in 10.0.0.3:80/tcp: weight 0: connections go on, new ones go elsewhere; \
             the file does not name it any more, and it stays until w1 has a usable address"
        );
        story.settles("1=0 2=5");
        story
            .says(first, ManualWish::Weight { weight: 3 }, None)
            .unwrap();
        story.settles("1=3 2=5");
        story.says(first, ManualWish::Disable, Some(60)).unwrap();
        story.settles("2=5");
        assert!(
            story.shown().contains(&first.to_owned()),
            "it is wished out"
        );
        story.waits(61.0, "1=5 2=5");
        story.has(first, 3);
        story.says(first, drain, None).unwrap();
        story.waits(10.0, "1=0 2=5");
        story.has(first, 0);
        story.waits(1.0, "2=5");
        assert_eq!(story.farm().bindings.lost().count(), 0);
        // The name turns out to be that server: the wish is of that.
        story.lead(first, "10.1.0.2");
        story.succeeds("2=5");
        assert_eq!(story.farm().bindings.lost().count(), 0);
        story.farm().enables(first).unwrap();
        story.settles("1=5 2=5");
        // Another one: the wish is kept as of any server that the file loses.
        let mut story = held(by, kind, "", |_| {});
        story.settles("1=5 2=5");
        story.says(first, ManualWish::Quiesce, None).unwrap();
        story.settles("1=0 2=5");
        story.lead("10.1.0.3", "10.1.0.2");
        story.succeeds("2=5 3=5");
        let lost: Vec<_> = story.farm().bindings.lost().map(|it| it.entry.1).collect();
        assert_eq!(lost, [rs(first)]);
        assert!(story.says(first, ManualWish::Disable, None).is_err());
    }
}

#[test]
fn the_last_held_server_is_taken_away_by_force_only() {
    let mut story = held(By::Reload, 1, "min_live=1", |_| {});
    story.settles("1=5 2=5");
    story.says("10.1.0.1", ManualWish::Quiesce, None).unwrap();
    story.settles("1=0 2=5");
    let why = story.says("10.1.0.2", ManualWish::Quiesce, None);
    assert!(why.unwrap_err().contains("min_live is 1"));
}

/// Ends as `on_exit` says, and begins again with names that lead nowhere.
fn restarted(mut story: Story, options: &str) -> Story {
    story.exits();
    story.gets(By::Restart, &texts(&files("w1,w2", options)[1]));
    story.farm().fails_to_resolve("w1 w2");
    story
}

#[test]
fn what_our_own_exit_left_at_weight_0_comes_back_while_names_lead_nowhere() {
    let both = |options: &str| by_address(&texts(&files("10.1.0.1,10.1.0.2", options)[1]));
    for options in [
        "exit-quiesce",
        "exit-remove",
        "exit-quiesce fallback=10.1.0.9",
    ] {
        let mut story = restarted(both(options), options);
        story.settles("1=5 2=5");
        story.waits(60.0, "1=5 2=5");
        story.lead("10.1.0.1", "10.1.0.2");
        story.settles("1=5 2=5");
    }
    // Who had failed, or was taken away, does not.
    let options = "exit-quiesce quiesce";
    let mut story = both(options);
    story.fails("2", "1=5 2=0");
    let mut story = restarted(story, options);
    story.settles("1=5 2=0");
    let mut story = both("exit-quiesce");
    story.says("10.1.0.2", ManualWish::Quiesce, None).unwrap();
    story.settles("1=5 2=0");
    let mut story = restarted(story, "exit-quiesce");
    story.settles("1=5 2=0");
    // Nor what somebody gave weight 0 beside others.
    let mut story = both("");
    story.kernel = kernel(&[("10.1.0.1", 0), ("10.1.0.2", 5)]);
    story.gets(By::Restart, &texts(&files("w1,w2", "")[1]));
    story.settles("1=0 2=5");
}

#[test]
fn our_own_exit_quiesces_nothing_that_is_as_found() {
    let options = "exit-quiesce";
    let second = |story: &mut Story, by| {
        let [_, file] = files("10.1.0.1,w2,w3", options);
        story.gets(by, &texts(&file));
        story.farm().fails_to_resolve("w2 w3");
        story.looks();
    };
    let mut story = Story::new(options);
    second(&mut story, By::Reload);
    story.settles("1=5 2=5 3=5");
    story.exits();
    // Those serve for names: no verdict would bring them back.
    assert_eq!(servers(&story.kernel), "1=0 2=5 3=5");
    second(&mut story, By::Restart);
    story.settles("1=0 2=5 3=5");
    story.farm().succeeds("web/http");
    story.settles("1=5 2=5 3=5");
    // Before the first verdicts.
    let mut story = Story::found(options, kernel(&FIVE));
    story.settles("1=5 2=5 3=5");
    assert_eq!(story.farm().bindings.at_exit(), None);
}

#[test]
fn a_held_server_leaves_when_the_one_in_its_place_is_good() {
    let kinds = [(0, ""), (1, ""), (1, "min_live=1"), (1, "min_live=2")];
    let ways = WAYS.into_iter().flat_map(|by| kinds.map(|kind| (by, kind)));
    for (by, (kind, options)) in ways {
        for between in [None, Some(By::Reload), Some(By::Restart)] {
            let mut story = held(by, kind, options, |_| {});
            story.settles("1=5 2=5");
            story.lead("10.1.0.1", "10.1.0.3");
            story.settles("1=5 2=5");
            if let Some(between) = between {
                story.gets(between, &texts(&files("w1,w2", options)[kind]));
                story.settles("1=5 2=5");
            }
            story.succeeds("1=5 3=5");
            // All leave where none of the names is one of them; no moment without a server.
            let mut story = held(by, kind, options, |_| {});
            story.settles("1=5 2=5");
            story.lead("10.1.0.3", "10.1.0.4");
            story.settles("1=5 2=5");
            if let Some(between) = between {
                story.gets(between, &texts(&files("w1,w2", options)[kind]));
                story.settles("1=5 2=5");
            }
            story.farm().fails("web/http", "w1 w2");
            story.settles("1=5 2=5");
            story.farm().fails("web/http", "w1");
            let least_two = match options {
                "min_live=2" => "3=5 4=5",
                _ => "4=5",
            };
            story.settles(least_two);
        }
    }
}

#[test]
fn what_the_kernel_does_not_have_is_not_shown_as_held() {
    for (by, kind) in WAYS.into_iter().flat_map(|by| [(by, 0), (by, 1)]) {
        let mut story = held(by, kind, "", |story| story.fails("2", "1=5"));
        story.settles("1=5");
        assert_eq!(story.shown(), ["10.1.0.1"], "{by:?} {kind}");
        let why = story.says("10.1.0.2", ManualWish::Disable, None);
        assert!(why.is_err());
    }
}

#[test]
fn what_a_person_took_out_stays_out_though_others_had_emptied_the_table_before() {
    for (by, kind) in WAYS.into_iter().flat_map(|by| [(by, 0), (by, 1)]) {
        let mut story = held(by, kind, "", |_| {});
        story.settles("1=5 2=5");
        story.kernel = Table::new();
        story.settles("1=5 2=5");
        story.waits(600.0, "1=5 2=5");
        let vs = VS.parse().unwrap();
        let servers = &mut story.kernel.get_mut(&vs).unwrap().servers;
        servers.remove(&rs("10.1.0.1"));
        story.settles("2=5");
        // Also where the table is emptied once more.
        story.kernel = Table::new();
        story.settles("2=5");
    }
}

#[test]
fn what_a_person_took_out_behind_a_wish_stays_out() {
    let mut story = held(By::Reload, 1, "", |_| {});
    story.settles("1=5 2=5");
    story.says("10.1.0.1", ManualWish::Quiesce, None).unwrap();
    story.settles("1=0 2=5");
    story.farm().enables("10.1.0.1").unwrap();
    story.settles("1=5 2=5");
    let vs = VS.parse().unwrap();
    let servers = &mut story.kernel.get_mut(&vs).unwrap().servers;
    servers.remove(&rs("10.1.0.1"));
    story.settles("2=5");
}

#[test]
fn where_the_fallback_follows_those_that_leave_nobody_is_said_to_be_without_clients() {
    for by in WAYS {
        let mut story = held(by, 1, "fallback=10.1.0.9", |_| {});
        story.settles("1=5 2=5");
        story.says("10.1.0.2", ManualWish::Disable, None).unwrap();
        story.settles("1=5");
        let answer = story.says("10.1.0.1", ManualWish::Disable, None).unwrap();
        assert!(!answer.contains("no real server takes"), "{answer}");
        story.settles("9=1");
    }
}

/// Each of the three servers serves; `before` that; and then the file names the second by a name
/// that leads nowhere.
fn second_is_held(by: By, options: &str, before: impl Fn(&mut Story)) -> Story {
    let mut story = Story::new(options);
    before(&mut story);
    let file = files("10.1.0.1,w2,10.1.0.3", options);
    story.gets(by, &texts(&file[1]));
    story.looks();
    story
}

#[test]
fn a_held_server_that_serves_counts_for_min_live() {
    for (by, is_looked_up) in WAYS.into_iter().flat_map(|by| [(by, false), (by, true)]) {
        let look_up = |story: &mut Story| {
            if is_looked_up {
                story.farm().fails_to_resolve("w2");
            }
        };
        // One that is out is not put in beside it.
        let mut story = second_is_held(by, "min_live=2", |it| it.fails("3", "1=5 2=5"));
        look_up(&mut story);
        story.farm().fails("web/http", "10.1.0.3 w2");
        story.settles("1=5 2=5");
        if is_looked_up {
            assert_eq!(
                story.served_by(),
                Some(ServedBy::TooFew),
                "the name counts as missing"
            );
        }
        // Nor does one stay that fails now.
        let mut story = second_is_held(by, "min_live=1", |it| it.fails("3", "1=5 2=5"));
        look_up(&mut story);
        story.farm().fails("web/http", "10.1.0.1 10.1.0.3 w2");
        story.settles("2=5");
        for wish in [ManualWish::Disable, ManualWish::Quiesce] {
            let why = story.says("10.1.0.2", wish, None).unwrap_err();
            assert!(why.contains("0 real servers would be left of 1"), "{why}");
        }
        // Taken away all the same it counts no more, before it has left.
        let last = match is_looked_up {
            true => "1=5",
            false => "",
        };
        story.insists("10.1.0.2", ManualWish::Disable, last);
        story.enables("10.1.0.2", "2=5");
        // It counts as one server, and so does the name.
        let mut story = second_is_held(by, "min_live=2", |it| it.fails("3", "1=5 2=5"));
        look_up(&mut story);
        story.farm().fails("web/http", "10.1.0.1 10.1.0.3 w2");
        story.settles("1=5 2=5");
    }
}

#[test]
fn a_held_server_comes_back_where_others_emptied_the_table_and_more_of_the_file_serve() {
    for by in WAYS {
        let mut story = second_is_held(by, "", |_| {});
        story.settles("1=5 2=5 3=5");
        // Its look comes behind the repair.
        story.kernel = Table::new();
        story.settles("1=5 2=5 3=5");
        story.says("10.1.0.2", ManualWish::Disable, None).unwrap();
        story.settles("1=5 3=5");
        story.enables("10.1.0.2", "1=5 2=5 3=5");
        story.kernel = kernel(&[]);
        story.settles("1=5 2=5 3=5");
        // One alone is left out.
        let vs = VS.parse().unwrap();
        let entry: &mut TableEntry = story.kernel.get_mut(&vs).unwrap();
        entry.servers.remove(&rs("10.1.0.1"));
        entry.servers.remove(&rs("10.1.0.2"));
        story.settles("1=5 3=5");
        story.kernel = Table::new();
        story.settles("1=5 3=5");
    }
}

#[test]
fn the_fallback_leaves_when_a_wish_for_the_held_server_ends() {
    for by in WAYS {
        let mut story = held(by, 1, "fallback=10.1.0.9", |_| {});
        story.settles("1=5 2=5");
        story.says("10.1.0.2", ManualWish::Disable, None).unwrap();
        story.says("10.1.0.1", ManualWish::Disable, None).unwrap();
        story.settles("9=1");
        story.enables("10.1.0.1", "1=5");
        story.waits(600.0, "1=5");
    }
}

#[test]
fn a_fallback_that_serves_stays_while_a_file_gives_it_a_name_without_an_address() {
    let three = |fallback: &str, least: u32| {
        let options = format!("min_live={least} fallback={fallback}");
        files("10.1.0.1,10.1.0.2,10.1.0.3", &options)[1].clone()
    };
    for (by, least) in WAYS.into_iter().flat_map(|by| [(by, 0), (by, 1), (by, 3)]) {
        let mut story = Story::new(&format!("min_live={least} fallback=10.1.0.9"));
        story.fails("1 2 3", "9=1");
        story.gets(by, &texts(&three("fb", least)));
        if matches!(by, By::Reload) {
            assert_eq!(
                story.served_by(),
                Some(ServedBy::Fallback),
                "no end of the alarm"
            );
        }
        story.settles("9=1");
        assert_eq!(story.served_by(), Some(ServedBy::Fallback));
        story.farm().fails_to_resolve("fb");
        story.fails("1 2 3", "9=1");
        let why = story
            .says("10.1.0.9", ManualWish::Disable, None)
            .unwrap_err();
        assert!(why.contains("this may be the fallback"), "{why}");
        // It comes back where others emptied the table, or the machine was booted.
        story.kernel = Table::new();
        story.settles("9=1");
        story.gets(By::Restart, &texts(&three("fb", least)));
        story.settles("9=1");
        story.kernel = Table::new();
        story.gets(By::Restart, &texts(&three("fb", least)));
        story.farm().fails_to_resolve("fb");
        story.settles("9=1");
        // Without it `min_live` holds.
        let failed = match least {
            0 => "",
            1 => "1=5",
            _ => "1=5 2=5 3=5",
        };
        story.insists("10.1.0.9", ManualWish::Disable, failed);
        story.enables("10.1.0.9", "9=1");
        // It leaves where it is needed no more, and where it turns out to be another one.
        let mut other = Story::new(&format!("min_live={least} fallback=10.1.0.9"));
        other.fails("1 2 3", "9=1");
        other.gets(by, &texts(&three("fb", least)));
        other.settles("9=1");
        other.farm().resolves("fb", "10.1.0.8");
        other.settles("8=1");
        story.farm().resolves("fb", "10.1.0.9");
        story.settles("9=1");
        assert_eq!(story.served_by(), Some(ServedBy::Fallback));
        story.succeeds("1=5 2=5 3=5");
    }
    for by in WAYS {
        let mut story = Story::new("min_live=1 fallback=10.1.0.9");
        story.fails("1 2 3", "9=1");
        story.gets(by, &texts(&three("fb", 1)));
        story.settles("9=1");
        story.succeeds("1=5 2=5 3=5");
        story.fails("1 2 3", "1=5");
    }
}
