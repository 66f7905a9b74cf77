//! What was told is known after a restart, whatever the link did: two daemons on loopback.

use nix::sys::signal::Signal;

use super::link::{Director, GONE, LINKED, World, active_and_standby, ids, link};
use crate::alerts::servers::{Relay, have_relay};
use crate::daemon::farm::SOON;
use crate::support::wait_until;

/// What the director has written down of what was told.
fn remembered(director: &Director) -> usize {
    let path = director.folder.join("state/spool/delivered");
    let text = std::fs::read_to_string(path).unwrap_or_default();
    text.lines().count()
}

#[test]
fn what_an_active_told_while_the_link_was_down_is_known_although_it_was_killed() {
    let test = "pair: what_an_active_told_while_the_link_was_down_is_known_although_it_was_killed";
    if !have_relay(test) {
        return;
    }
    let relay = Relay::start(&[]);
    let world = World::new();
    let [mut one, two] = active_and_standby(&world, &relay);
    two.wait_for_next(GONE, || one.cut(&two, &relay));
    world.fails();
    wait_until("the mail", SOON, || relay.mails().len() == 1);
    two.wait_to_hold(2);
    // The mail and the program.
    wait_until("what is written down", SOON, || remembered(&one) == 2);
    one.end(Signal::SIGKILL);
    one.configure_mail(&relay, &link(&one, &two));
    two.wait_for_next(LINKED, || one.start());
    two.wait_to_hold(0);
    one.end(Signal::SIGKILL);
    two.role("master");
    world.recovers();
    let has_up = || ids(&relay).iter().any(|id| id.contains("/up/"));
    wait_until("its end", SOON, has_up);
    wait_until("the program of that", SOON, || two.told() >= 1);
    let all = ids(&relay);
    assert_eq!(all.len(), 2, "{all:?}");
    assert_eq!((one.told(), two.told()), (1, 1));
}

/// As a single director is made a pair, in the middle of an outage.
#[test]
fn what_a_single_director_told_is_known_to_the_peer_that_it_gets() {
    let test = "pair: what_a_single_director_told_is_known_to_the_peer_that_it_gets";
    if !have_relay(test) {
        return;
    }
    for way in [Signal::SIGHUP, Signal::SIGKILL] {
        let relay = Relay::start(&[]);
        let world = World::new();
        let [mut one, mut two] = Director::pair(&world);
        one.configure_mail(&relay, "");
        one.start();
        wait_until("its answer", SOON, || !one.says(&["role"]).is_empty());
        one.role("master");
        world.fails();
        wait_until("the mail", SOON, || relay.mails().len() == 1);
        // The mail and the program.
        wait_until("what is written down", SOON, || remembered(&one) == 2);
        one.configure_mail(&relay, &link(&one, &two));
        two.configure_mail(&relay, &link(&two, &one));
        if way == Signal::SIGKILL {
            one.end(way);
            one.start();
        } else {
            one.signal(way);
        }
        two.start();
        two.wait_for_log(LINKED);
        two.role("backup");
        let people_know = || {
            let journal = one.folder.read("state/journal");
            journal.contains("\"reached\":\"failure\"")
        };
        wait_until("that people know, in the journal", SOON, people_know);
        two.wait_to_hold(0);
        one.role("backup");
        two.role("master");
        world.recovers();
        let has_up = || ids(&relay).iter().any(|id| id.contains("/up/"));
        wait_until("its end", SOON, has_up);
        wait_until("the program of that", SOON, || two.told() >= 1);
        let all = ids(&relay);
        assert_eq!(all.len(), 2, "{way}: {all:?}");
        assert_eq!((one.told(), two.told()), (1, 1), "{way}");
    }
}

/// It has told nothing: the relay was away, and came back when the other one had its place.
#[test]
fn a_director_that_starts_as_the_active_one_tells_nothing_that_the_other_one_has_told() {
    let test =
        "pair: a_director_that_starts_as_the_active_one_tells_nothing_that_the_other_one_has_told";
    if !have_relay(test) {
        return;
    }
    let mut relay = Relay::start(&[]);
    let world = World::new();
    let [mut one, two] = active_and_standby(&world, &relay);
    relay.kill();
    world.fails();
    wait_until("the program of the active one", SOON, || one.told() == 1);
    // The mail; of the program it was told.
    two.wait_to_hold(1);
    one.wait_for_log("cannot deliver now");
    one.end(Signal::SIGKILL);
    relay.up(&[]);
    two.role("master");
    wait_until("the mail", SOON, || relay.mails().len() == 1);
    one.start();
    one.wait_for_log("the other director told it");
    world.recovers();
    let has_up = || ids(&relay).iter().any(|id| id.contains("/up/"));
    wait_until("its end", SOON, has_up);
    let all = ids(&relay);
    let failures = all.iter().filter(|id| id.contains("/failure/"));
    assert_eq!(failures.count(), 1, "{all:?}");
}

/// Nobody knows yet whether the other one has told it.
#[test]
fn an_alert_is_not_called_sent_while_it_waits_for_the_peer() {
    if !have_relay("pair: an_alert_is_not_called_sent_while_it_waits_for_the_peer") {
        return;
    }
    let relay = Relay::start(&[]);
    let world = World::new();
    let [mut one, two] = Director::pair(&world);
    // It has no role that it would have to hear first.
    let settings = format!(
        "{}mail_relay = {}\nmail_domain = d.example\nmail_group_wait = 0s\n",
        link(&one, &two),
        relay.url()
    );
    one.configure_with(&settings, "\t    alert mail.alert ops@d.example\n");
    world.fails();
    one.start();
    wait_until("the mail", SOON, || relay.mails().len() == 1);
    wait_until("the program", SOON, || one.told() == 1);
    let log = one.log();
    let leaves = log.find("messages leave all the same");
    let sent = log.find("alert sent group=");
    assert!(leaves.is_some(), "{log}");
    assert!(sent.is_none_or(|sent| Some(sent) > leaves), "{log}");
    // The mail and the program.
    assert_eq!(log.matches("alert waits, ").count(), 2, "{log}");
    one.wait_for_times("alert sent, which had waited", 2);
}

/// As a disk leaves it that was full from then on: the journal has nothing behind the alert about
/// the beginning of the outage.
#[test]
fn an_outage_whose_end_was_told_is_over_also_where_the_journal_has_it_open() {
    let test = "pair: an_outage_whose_end_was_told_is_over_also_where_the_journal_has_it_open";
    if !have_relay(test) {
        return;
    }
    let relay = Relay::start(&[]);
    let world = World::new();
    let [mut one, mut two] = active_and_standby(&world, &relay);
    one.wait_for_next(GONE, || two.end(Signal::SIGKILL));
    world.fails();
    wait_until("what is written down", SOON, || remembered(&one) == 2);
    let journal = one.folder.join("state/journal");
    let text = || std::fs::read_to_string(&journal).unwrap();
    wait_until("that people know, in the journal", SOON, || {
        text().contains("\"reached\":\"failure\"")
    });
    let full = text();
    world.recovers();
    wait_until("the end, written down", SOON, || remembered(&one) == 4);
    one.end(Signal::SIGKILL);
    std::fs::write(&journal, full).unwrap();
    world.fails();
    one.start();
    wait_until("the next outage", SOON, || relay.mails().len() == 3);
    world.recovers();
    wait_until("its end", SOON, || relay.mails().len() == 4);
    let all = ids(&relay);
    let of = |kind| {
        let ids = all.iter().filter(|id| id.contains(kind));
        let outages = ids.map(|id| id.split(kind).next().unwrap_or_default());
        outages.collect::<Vec<&str>>()
    };
    assert_eq!(of("/failure/"), of("/up/"), "{all:?}");
    assert_ne!(of("/up/")[0], of("/up/")[1], "{all:?}");
}
