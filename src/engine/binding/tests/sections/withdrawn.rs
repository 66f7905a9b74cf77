//! Stories of two directors that tell each other what is withdrawn: both keep the same servers
//! below `min_live`, at the same weights.

use super::*;
use crate::pair::talk::withdrawn::WithdrawnServers;
use crate::pair::turn::{Turn, TurnClock};

impl Story {
    fn hears_withdrawn(&mut self, (peers, shown): (WithdrawnServers, Turn), expected: &str) {
        let farm = self.farm();
        let clock = TurnClock {
            turn: shown,
            at: farm.is_it().mono,
        };
        let bindings = &mut farm.bindings;
        let actions = bindings.peer_withdrew(&Arc::new(peers), Some(clock));
        farm.perform(actions);
        self.settles(expected);
    }

    /// What is withdrawn here, with what the clock of turns shows.
    fn says_withdrawn(&mut self) -> (WithdrawnServers, Turn) {
        let farm = self.farm();
        let now = farm.is_it().mono;
        let clock = farm.bindings.turn_clock().unwrap();
        (farm.bindings.withdrawn(), clock.read(now))
    }

    /// The other director hears of all that is withdrawn here.
    fn tells_withdrawn(&mut self, other: &mut Self, expected: &str) {
        let said = self.says_withdrawn();
        other.hears_withdrawn(said, expected);
    }

    /// The link is gone.
    fn hears_no_more(&mut self, expected: &str) {
        let farm = self.farm();
        farm.now();
        let actions = farm.bindings.peer_withdrew(&Arc::default(), None);
        farm.perform(actions);
        self.settles(expected);
    }

    /// The checks give these servers no weight any more.
    fn weighs_no_more(&mut self, hosts: &[&str]) {
        let web = self.farm().id("web/http");
        for host in hosts {
            let (host, now) = (HostName::new(host), self.farm().now());
            self.farm().bindings.weigh(now, web, &host, None);
        }
    }

    /// A director that starts so many seconds later than others.
    fn later(options: &str, seconds: f64) -> Self {
        let mut story = Self::new(options);
        story.farm().seconds += seconds;
        story
    }
}

const OPTIONS: &str = "min_live=2";

#[test]
fn what_failed_last_on_the_one_is_what_both_keep_over_a_lost_link_and_a_restart() {
    let (mut one, mut two) = (Story::new(OPTIONS), Story::later(OPTIONS, 10.0));
    one.fails("2", "1=5 3=5");
    one.fails("1 2", "1=5 3=5");
    two.fails("1", "2=5 3=5");
    two.fails("1 2", "2=5 3=5");
    one.tells_withdrawn(&mut two, "1=5 3=5");
    two.tells_withdrawn(&mut one, "1=5 3=5");
    let told = one.farm().bindings.withdrawn();
    assert_eq!(told, two.farm().bindings.withdrawn());
    two.hears_no_more("1=5 3=5");
    two.restarts(OPTIONS);
    two.settles("1=5 3=5");
    assert_eq!(told, two.farm().bindings.withdrawn());
    // What fails from then on fails later, also where it fails at once.
    two.fails("1 2 3", "1=5 3=5");
    two.fails("3", "1=5 2=5");
    two.fails("1 3", "1=5 2=5");
}

#[test]
fn without_a_link_each_keeps_whom_it_saw_fail_last() {
    let (mut one, mut two) = (Story::new(OPTIONS), Story::later(OPTIONS, 10.0));
    one.fails("1", "2=5 3=5");
    one.tells_withdrawn(&mut two, "1=5 2=5 3=5");
    two.hears_no_more("1=5 2=5 3=5");
    two.fails("2", "1=5 3=5");
    two.fails("1 2", "1=5 3=5");
    // Until they hear each other. As much time has passed for the first one.
    one.farm().seconds += 2.0;
    one.fails("1 2", "2=5 3=5");
    one.tells_withdrawn(&mut two, "2=5 3=5");
    two.tells_withdrawn(&mut one, "2=5 3=5");
}

#[test]
fn one_that_begins_anew_finds_the_order_that_the_other_one_knows() {
    let (mut one, mut two) = (Story::new(OPTIONS), Story::later(OPTIONS, 100.0));
    one.fails("1", "2=5 3=5");
    one.fails("1 2", "2=5 3=5");
    // It finds both at once.
    one.tells_withdrawn(&mut two, "1=5 2=5 3=5");
    two.fails("1 2", "2=5 3=5");
    two.tells_withdrawn(&mut one, "2=5 3=5");
    // Or has found them before it hears of them.
    let mut two = Story::later(OPTIONS, 100.0);
    two.fails("1 2", "1=5 3=5");
    two.tells_withdrawn(&mut one, "2=5 3=5");
    one.tells_withdrawn(&mut two, "2=5 3=5");
}

#[test]
fn of_what_the_other_one_found_in_another_order_at_the_same_moments_the_first_of_the_file_stays() {
    let (mut one, mut two) = (Story::new(OPTIONS), Story::new(OPTIONS));
    one.fails("1", "2=5 3=5");
    one.fails("1 2", "2=5 3=5");
    two.fails("2", "1=5 3=5");
    two.fails("1 2", "1=5 3=5");
    let told = two.says_withdrawn();
    one.tells_withdrawn(&mut two, "1=5 3=5");
    one.hears_withdrawn(told, "1=5 3=5");
    assert_eq!(
        one.farm().bindings.withdrawn(),
        two.farm().bindings.withdrawn()
    );
}

#[test]
fn a_server_that_came_back_fails_anew() {
    let (mut one, mut two) = (Story::new(OPTIONS), Story::later(OPTIONS, 10.0));
    one.fails("1", "2=5 3=5");
    two.fails("1", "2=5 3=5");
    one.tells_withdrawn(&mut two, "2=5 3=5");
    one.succeeds("1=5 2=5 3=5");
    one.tells_withdrawn(&mut two, "2=5 3=5");
    two.succeeds("1=5 2=5 3=5");
    two.fails("2", "1=5 3=5");
    two.fails("1 2", "1=5 3=5");
}

#[test]
fn a_kept_server_has_on_both_the_least_weight_that_either_was_given_last() {
    let options = "check w=100 min_live=2";
    let all = ["10.1.0.1", "10.1.0.2", "10.1.0.3"];
    let begin = |share| {
        let mut story = Story::found(options, kernel(&FIVE));
        story.weighs(&all, share);
        story.succeeds(&format!("1={share} 2={share} 3={share}"));
        story.weighs(&["10.1.0.3"], 40);
        story
    };
    let (mut one, mut two) = (begin(50), begin(30));
    for (story, expected) in [(&mut one, "1=50 3=40"), (&mut two, "1=30 3=40")] {
        story.weighs_no_more(&all[..2]);
        story.fails("1 2", expected);
    }
    one.tells_withdrawn(&mut two, "1=30 3=40");
    two.tells_withdrawn(&mut one, "1=30 3=40");
    // To one that begins anew its check never gave any; it has what the other one knows.
    let mut three = Story::found(options, kernel(&FIVE));
    three.weighs(&["10.1.0.3"], 40);
    one.tells_withdrawn(&mut three, "1=5 2=5 3=5");
    three.fails("1 2", "1=30 3=40");
    let mut three = Story::found(options, kernel(&FIVE));
    three.weighs(&["10.1.0.3"], 40);
    three.fails("1 2", "1=40 3=40");
    three.tells_withdrawn(&mut one, "1=30 3=40");
    one.tells_withdrawn(&mut three, "1=30 3=40");
    three.hears_no_more("1=30 3=40");
    // Until its check says another one.
    three.weighs(&all[..1], 70);
    three.fails("1 2", "1=70 3=40");
    one.tells_withdrawn(&mut three, "1=70 3=40");
}

#[test]
fn a_check_that_gives_no_weight_any_more_behind_the_failure_of_another_one_leaves_the_least() {
    let options = "check w=100 min_live=2";
    let (mut one, mut two) = (
        Story::found(options, kernel(&FIVE)),
        Story::found(options, kernel(&FIVE)),
    );
    for (story, share) in [(&mut one, 50), (&mut two, 30)] {
        story.weighs(&["10.1.0.1"], share);
        story.weighs(&["10.1.0.3"], 40);
    }
    one.fails("1 2", "1=50 3=40");
    two.fails("1 2", "1=30 3=40");
    two.weighs_no_more(&["10.1.0.1"]);
    // The first one still gives it one: that counts here.
    two.tells_withdrawn(&mut one, "1=50 3=40");
    one.weighs_no_more(&["10.1.0.1"]);
    one.fails("1 2", "1=30 3=40");
}

/// docs/peer.md: "a director that was restarted without its journal takes over the order that the
/// other one knows, however wrong its wall clock goes".
#[test]
fn one_that_begins_anew_with_a_clock_behind_takes_the_order_of_the_other_one() {
    // Its clock is half an hour behind.
    let (mut one, mut two) = (Story::later(OPTIONS, 1_800.0), Story::new(OPTIONS));
    one.fails("1", "2=5 3=5");
    one.fails("1 2", "2=5 3=5");
    one.tells_withdrawn(&mut two, "1=5 2=5 3=5");
    two.fails("1 2", "2=5 3=5");
    two.tells_withdrawn(&mut one, "2=5 3=5");
}

/// The same where it has found them before it hears of them: the active one exchanges nothing that
/// it keeps.
#[test]
fn one_that_begins_anew_with_a_clock_behind_exchanges_nothing_on_the_other_one() {
    let (mut one, mut two) = (Story::later(OPTIONS, 1_800.0), Story::new(OPTIONS));
    one.fails("1", "2=5 3=5");
    one.fails("1 2", "2=5 3=5");
    two.fails("1 2", "1=5 3=5");
    two.tells_withdrawn(&mut one, "2=5 3=5");
}

/// docs/peer.md: "Of a healthy server each director goes by what its own checks gave."
#[test]
fn a_healthy_server_of_another_section_keeps_what_its_own_checks_gave() {
    let lines = |fall| {
        let one =
            format!("virtual {VS} web/http 10.1.0.1,10.1.0.2,10.1.0.3 check w=100 min_live=2");
        let two = format!(
            "virtual 10.0.0.4:80/tcp web/http 10.1.0.1,10.1.0.2,10.1.0.3 check w=100 fall={fall}"
        );
        [WEB.to_owned(), one, two]
    };
    let begin = |share| {
        let lines = lines(3);
        let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
        let mut story = Story {
            farm: Some(Farm::new(&lines)),
            kernel: kernel(&FIVE),
        };
        story.looks();
        story.weighs(&["10.1.0.1", "10.1.0.2", "10.1.0.3"], share);
        story.succeeds(&format!("1={share} 2={share} 3={share}"));
        story
    };
    let other = |story: &Story| {
        let entry = story
            .kernel
            .get(&"10.0.0.4:80/tcp".parse().unwrap())
            .unwrap();
        entry.servers.get(&rs("10.1.0.1")).unwrap().weight
    };
    let (mut one, mut two) = (begin(50), begin(30));
    for (story, expected) in [(&mut one, "2=50 3=50"), (&mut two, "2=30 3=30")] {
        story.weighs_no_more(&["10.1.0.1"]);
        story.fails("1", expected);
    }
    assert_eq!((other(&one), other(&two)), (Weight(50), Weight(30)));
    two.tells_withdrawn(&mut one, "2=50 3=50");
    one.looks();
    assert_eq!(other(&one), Weight(50), "it serves there");
}

/// docs/peer.md: "Of a healthy server each director goes by what its own checks gave."
#[test]
fn a_server_that_came_back_has_what_its_own_checks_gave() {
    let options = "check w=100 min_live=2";
    let (mut one, mut two) = (
        Story::found(options, kernel(&FIVE)),
        Story::found(options, kernel(&FIVE)),
    );
    for (story, share) in [(&mut one, 50), (&mut two, 30)] {
        story.weighs(&["10.1.0.1", "10.1.0.2", "10.1.0.3"], share);
        story.succeeds(&format!("1={share} 2={share} 3={share}"));
        story.weighs_no_more(&["10.1.0.1"]);
        story.fails("1", &format!("2={share} 3={share}"));
    }
    two.tells_withdrawn(&mut one, "2=50 3=50");
    // A good check that gives none leaves the weight as it was (docs/monitors.md).
    one.succeeds("1=50 2=50 3=50");
}

/// What was withdrawn alone keeps its order where the clocks are compared, and comes behind what
/// the other one has withdrawn before.
#[test]
fn what_both_found_while_there_was_no_link_counts_by_one_clock() {
    // The clock of the second one is half an hour behind; it was restarted, and both find that the
    // third one fails, which the first one alone saw beginning.
    let (mut one, mut two) = (Story::later(OPTIONS, 1_800.0), Story::new(OPTIONS));
    one.fails("2", "1=5 3=5");
    one.fails("1 2", "1=5 3=5");
    two.fails("1 2", "1=5 3=5");
    two.fails("1 2 3", "1=5 3=5");
    one.farm().seconds += 10.0;
    two.farm().seconds += 10.0;
    one.fails("1 2 3", "1=5 3=5");
    two.tells_withdrawn(&mut one, "1=5 3=5");
    one.tells_withdrawn(&mut two, "1=5 3=5");
    two.tells_withdrawn(&mut one, "1=5 3=5");
    let both = [one.says_withdrawn().0, two.says_withdrawn().0];
    assert_eq!(both[0], both[1]);
    assert!(both[0].values().all(|it| !it.alone));
}

#[test]
fn what_fails_while_there_is_a_link_fails_later_than_all_that_the_other_one_knows() {
    let (mut one, mut two) = (Story::later(OPTIONS, 1_800.0), Story::new(OPTIONS));
    one.fails("3", "1=5 2=5");
    one.tells_withdrawn(&mut two, "1=5 2=5 3=5");
    two.tells_withdrawn(&mut one, "1=5 2=5");
    // The one whose clock is behind finds the next failure first.
    two.fails("1 3", "1=5 2=5");
    two.tells_withdrawn(&mut one, "1=5 2=5");
    one.fails("1 3", "1=5 2=5");
    assert_eq!(
        one.farm().bindings.withdrawn(),
        two.farm().bindings.withdrawn()
    );
}

#[test]
fn the_journal_of_an_earlier_version_says_in_which_order_servers_were_withdrawn() {
    let mut story = Story::new(OPTIONS);
    story.fails("2", "1=5 3=5");
    story.fails("1 2", "1=5 3=5");
    let before = story.says_withdrawn().0;
    let mut changed = 0;
    for value in story.farm().journal.records.values_mut() {
        let record = value.as_object_mut().unwrap();
        if let Some(turn) = record.remove("turn") {
            record.insert("since".to_owned(), turn);
            record.remove("alone");
            changed += 1;
        }
    }
    assert_eq!(changed, 2);
    story.restarts(OPTIONS);
    story.settles("1=5 3=5");
    let after = story.says_withdrawn().0;
    let turns = |it: &WithdrawnServers| it.values().map(|it| it.turn).collect::<Vec<_>>();
    assert_eq!(turns(&before), turns(&after));
}
