//! Stories of two directors that tell each other what is withdrawn: both keep the same servers
//! below `min_live`, at the same weights.

use super::*;
use crate::pair::talk::withdrawn::WithdrawnServers;

impl Story {
    fn hears_withdrawn(&mut self, peers: WithdrawnServers, expected: &str) {
        let farm = self.farm();
        farm.now();
        let actions = farm.bindings.peer_withdrew(&Arc::new(peers));
        farm.perform(actions);
        self.settles(expected);
    }

    /// The other director hears of all that is withdrawn here.
    fn tells_withdrawn(&mut self, other: &mut Self, expected: &str) {
        let withdrawn = self.farm().bindings.withdrawn();
        other.hears_withdrawn(withdrawn, expected);
    }

    /// The link is gone.
    fn hears_no_more(&mut self, expected: &str) {
        self.hears_withdrawn(WithdrawnServers::new(), expected);
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
    // Until they hear each other.
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
    let told = two.farm().bindings.withdrawn();
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
