//! Stories of failed servers that `min_live` keeps: at which weight, and what becomes of them when
//! they are not needed any more.

use super::*;

#[test]
fn a_server_that_is_kept_stays_at_the_weight_that_its_check_gave_it() {
    let all = ["10.1.0.1", "10.1.0.2", "10.1.0.3"];
    let options = "check w=100 min_live=2";
    let mut story = Story::found(options, kernel(&FIVE));
    story.weighs(&all, 5);
    story.succeeds("1=5 2=5 3=5");
    story.fails("1 2", "1=5 3=5");
    assert_eq!(story.role("10.1.0.1"), Some(ServerRole::Kept));
    // With less than a healthy one has as well.
    story.weighs(&["10.1.0.3"], 50);
    story.fails("1 2", "1=5 3=50");
    // Its check gave it 0: as much as those that are healthy, not all of the file's.
    story.weighs(&["10.1.0.1"], 0);
    story.fails("1 2", "1=50 3=50");
    // Nobody is healthy, and nothing says more than the file.
    story.fails("1 2 3", "1=100 3=50");
}

#[test]
fn a_restart_gives_one_that_is_kept_no_more_than_those_beside_it_have() {
    let options = "check w=100 min_live=2";
    let mut story = Story::found(options, kernel(&FIVE));
    story.weighs(&["10.1.0.1", "10.1.0.2", "10.1.0.3"], 5);
    story.succeeds("1=5 2=5 3=5");
    story.fails("1 2", "1=5 3=5");
    story.restarts(options);
    story.settles("1=5 3=5");
    story.weighs(&["10.1.0.3"], 7);
    story.fails("1 2", "1=7 3=7");
}

#[test]
fn one_without_a_verdict_gets_no_more_than_those_that_are_healthy() {
    let mut story = Story::found("check w=100 in", kernel(&[]));
    story.weighs(&["10.1.0.1"], 5);
    // The first verdict; of the others there is none.
    let web = story.farm().id("web/http");
    let first = [(HostName::new("10.1.0.1"), HostVerdict::Up)].into();
    let farm = story.farm();
    farm.now();
    let actions = farm.bindings.succeeded(web, &first);
    farm.perform(actions);
    story.settles("1=5 2=5 3=5");
}

#[test]
fn a_drain_begins_when_the_server_leaves_and_not_when_it_failed() {
    let options = "drain=6 min_live=2";
    let mut story = Story::new(options);
    for host in ["10.1.0.1", "10.1.0.2", "10.1.0.3"] {
        story.has(host, 3);
    }
    // The third is healthy, the first is kept for longer than a drain lasts.
    story.fails("1 2", "1=5 2=0 3=5");
    story.waits(9.0, "1=5 3=5");
    story.fails("1", "1=0 2=5 3=5");
    let left = Duration::from_secs(6);
    assert_eq!(story.role("10.1.0.1"), Some(ServerRole::Draining { left }));
    // It goes on over a restart.
    story.waits(4.0, "1=0 2=5 3=5");
    story.restarts(options);
    story.has("10.1.0.1", 3);
    story.fails("1", "1=0 2=5 3=5");
    story.waits(1.0, "2=5 3=5");
}

#[test]
fn a_drain_that_a_reload_asks_for_begins_with_it() {
    let mut story = Story::new("quiesce");
    story.has("10.1.0.2", 3);
    story.fails("2", "1=5 2=0 3=5");
    story.waits(9.0, "1=5 2=0 3=5");
    story.reloads(&file("drain=3"));
    story.settles("1=5 2=0 3=5");
    story.waits(3.0, "1=5 3=5");
    // One that was removed is not put in to drain.
    let mut story = Story::new("");
    story.has("10.1.0.2", 3);
    story.fails("2", "1=5 3=5");
    story.reloads(&file("drain=60"));
    story.settles("1=5 3=5");
}

#[test]
fn whom_min_live_keeps_is_said_and_when_it_is_healthy_again() {
    let mut story = Story::new("min_live=2");
    story.farm().said();
    story.fails("1 2", "1=5 3=5");
    let said = [
        "10.1.0.1 kept although web/http:timeout",
        "10.1.0.2 out by web/http:timeout",
        "apply",
    ];
    assert_eq!(story.farm().said(), said);
    story.succeeds("1=5 2=5 3=5");
    let said = ["10.1.0.1 in", "10.1.0.2 in", "apply"];
    assert_eq!(story.farm().said(), said);
}
