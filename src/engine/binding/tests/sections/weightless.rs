//! Stories of real servers with weight 0, by their checks or in the file: they serve nobody.

use super::*;
use crate::engine::event::ManualWish;

#[test]
fn servers_with_weight_0_by_their_checks_do_not_serve() {
    let mut story = Story::new("check fallback=10.1.0.9");
    for host in ["10.1.0.1", "10.1.0.2", "10.1.0.3"] {
        story.weighs(&[host], 0);
    }
    story.succeeds("1=0 2=0 3=0 9=1");
    assert_eq!(story.served_by(), Some(ServedBy::Fallback));
    assert_eq!(story.role("10.1.0.9"), Some(ServerRole::FallbackIn));
    // One that comes back so is nobody that serves, nor is one whose weight an operator says.
    story.fails("1 2 3", "9=1");
    story.fails("1 3", "2=0 9=1");
    assert_eq!(story.served_by(), Some(ServedBy::Fallback));
    story.asks("10.1.0.2", ManualWish::Weight { weight: 3 }, "2=3");
    assert_eq!(story.served_by(), Some(ServedBy::Servers));
    story.enables("10.1.0.2", "2=0 9=1");
    story.weighs(&["10.1.0.2"], 100);
    story.fails("1 3", "2=5");
    assert_eq!(story.served_by(), Some(ServedBy::Servers));
    // Nobody in their place: nobody serves.
    let mut story = Story::new("check");
    for host in ["10.1.0.1", "10.1.0.2", "10.1.0.3"] {
        story.weighs(&[host], 0);
    }
    story.succeeds("1=0 2=0 3=0");
    assert_eq!(story.served_by(), Some(ServedBy::Nobody));
}

#[test]
fn servers_with_weight_0_in_the_file_do_not_serve() {
    let mut story = Story::found("w=0 fallback=10.1.0.9", kernel(&[("10.1.0.1", 0)]));
    story.succeeds("1=0 2=0 3=0 9=1");
    assert_eq!(story.served_by(), Some(ServedBy::Fallback));
    story.asks("10.1.0.2", ManualWish::Weight { weight: 3 }, "1=0 2=3 3=0");
    assert_eq!(story.served_by(), Some(ServedBy::Servers));
    // None of them is kept in: with its own weight it would serve nobody.
    let mut story = Story::found("w=0 min_live=1", kernel(&[("10.1.0.1", 0)]));
    story.succeeds("1=0 2=0 3=0");
    assert_eq!(story.served_by(), Some(ServedBy::Nobody));
    story.fails("1 2 3", "");
    assert_eq!(story.served_by(), Some(ServedBy::Nobody));
}

#[test]
fn a_fallback_with_weight_0_replaces_nobody() {
    let mut story = Story::new("fallback=10.1.0.9 fallback-w=0");
    story.fails("1 2 3", "9=0");
    assert_eq!(story.served_by(), Some(ServedBy::Nobody));
    let wish = ManualWish::Weight { weight: 2 };
    story.asks("10.1.0.9", wish, "9=2");
    assert_eq!(story.served_by(), Some(ServedBy::Fallback));
}
