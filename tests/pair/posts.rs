//! Two daemons and a receiver of webhooks: what is held, dropped and posted is the same as with
//! mail.

use std::collections::BTreeSet;

use nix::sys::signal::Signal;
use serde_json::json;

use super::link::{Director, World, link, start_linked};
use crate::alerts::servers::{Receiver, have_receiver};
use crate::daemon::farm::SOON;
use crate::support::wait_until;

/// Linked, the first with the address; both post to the receiver, and have a program besides.
fn active_and_standby(world: &World, receiver: &Receiver) -> [Director; 2] {
    let [mut one, mut two] = Director::pair(world);
    for (own, peer) in [(&one, &two), (&two, &one)] {
        let fifo = own.folder.join("fifo");
        let settings = format!("{}notify_fifo = {}\n", link(own, peer), fifo.display());
        let post = format!("webhook.alert {}\n", receiver.url());
        let lines = format!("\t    alert {post}\t    upalert {post}");
        own.configure_with(&settings, &lines);
    }
    start_linked(&mut one, &mut two);
    [one, two]
}

/// Event ids that were taken, each as often as it was.
fn events(receiver: &Receiver) -> Vec<String> {
    let requests = receiver.requests();
    let ids = requests.iter().map(|it| it.body["event"].as_str());
    ids.map(|id| id.expect("an event").to_owned()).collect()
}

/// Waits until exactly these kinds of events were taken, each once.
#[track_caller]
fn expect_kinds(receiver: &Receiver, kinds: &[&str]) {
    wait_until(&format!("{kinds:?} posted"), SOON * 2, || {
        events(receiver).len() >= kinds.len()
    });
    let all = events(receiver);
    let found: Vec<&str> = all.iter().map(|id| kind(id)).collect();
    assert_eq!(found, kinds, "{all:?}");
    let unique: BTreeSet<&String> = all.iter().collect();
    assert_eq!(unique.len(), all.len(), "{all:?}");
}

/// Of GROUP/SERVICE/NUMBER/KIND/COUNT.
fn kind(id: &str) -> &str {
    id.split('/').nth(3).expect("a kind")
}

#[test]
fn a_post_is_held_by_the_standby_dropped_when_told_and_sent_after_a_takeover() {
    if !have_receiver("a_post_is_held_by_the_standby_dropped_when_told_and_sent_after_a_takeover") {
        return;
    }
    let receiver = Receiver::start(&json!({}));
    let world = World::new();
    let [mut one, two] = active_and_standby(&world, &receiver);
    // The receiver takes nothing yet; of the program the standby hears that it was told.
    receiver.set_broken(true);
    world.fails();
    wait_until("an attempt of the active one", SOON, || {
        receiver.refused() >= 1
    });
    wait_until("its program", SOON, || one.told() == 1);
    two.wait_to_hold(1);
    receiver.set_broken(false);
    expect_kinds(&receiver, &["failure"]);
    two.wait_to_hold(0);
    world.recovers();
    expect_kinds(&receiver, &["failure", "up"]);
    wait_until("the standby to see it", SOON, || one.peer_has("0 outages"));
    two.wait_to_hold(0);
    assert!(!two.log().contains("message delivered"), "{}", two.log());

    // The active one dies with its post not taken.
    receiver.set_broken(true);
    let refused = receiver.refused();
    world.fails();
    wait_until("another attempt", SOON, || receiver.refused() > refused);
    two.wait_to_hold(1);
    one.end(Signal::SIGKILL);
    receiver.set_broken(false);
    assert_eq!(events(&receiver).len(), 2, "held, and nobody tells it yet");
    two.role("master");
    expect_kinds(&receiver, &["failure", "up", "failure"]);
    world.recovers();
    expect_kinds(&receiver, &["failure", "up", "failure", "up"]);
    let all = events(&receiver);
    let outage = |id: &str| id.rsplitn(3, '/').nth(2).map(str::to_owned);
    assert_eq!(outage(&all[2]), outage(&all[3]), "{all:?}");
    assert_ne!(outage(&all[1]), outage(&all[2]), "{all:?}");
    // What it tells now was told once: the rest of the first outage is not among it.
    wait_until("its program", SOON, || two.told() == 1);
}
