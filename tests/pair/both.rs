//! Two daemons that both tell people, and an acknowledgement on one of two.

use nix::sys::signal::Signal;

use super::link::{Director, GONE, World, link, start_linked};
use super::wishes::asks;
use crate::clients::daemon::OPEN;
use crate::daemon::farm::SOON;
use crate::support::wait_until;

/// Appends the kind of each alert to the file `kinds`.
fn write_program(director: &Director) {
    let folder = director.folder.path().display();
    let text = format!("#!/bin/sh\ncat >/dev/null\necho \"$MON_ALERTTYPE\" >>{folder}/kinds\n");
    director.folder.write_executable("alert.d/kind.alert", text);
}

/// The kinds of the alerts that this director told people of, in their order.
fn kinds(director: &Director) -> Vec<String> {
    let text = director.folder.read("kinds");
    text.lines().map(str::to_owned).collect()
}

#[track_caller]
fn wait_for_kinds(director: &Director, wanted: &[&str]) {
    wait_until(&format!("{wanted:?} told"), SOON, || {
        kinds(director).len() >= wanted.len()
    });
    assert_eq!(kinds(director), wanted, "{}", director.log());
}

/// Linked, the first with the address, with these settings and lines of the period.
fn start(pair: &mut [Director; 2], settings: &str, lines: &str) {
    let [one, two] = pair;
    for (own, peer) in [(&*one, &*two), (&*two, &*one)] {
        write_program(own);
        configure(own, &link(own, peer), settings, lines);
    }
    start_linked(one, two);
}

fn configure(own: &Director, link: &str, settings: &str, lines: &str) {
    let fifo = own.folder.join("fifo");
    let fifo = fifo.display();
    own.configure_with(&format!("{link}notify_fifo = {fifo}\n{settings}"), lines);
}

const LINES: &str = "\t    alert kind.alert\n\t    upalert kind.alert\n";
const BOTH: &str = "speak = both\n";

#[test]
fn with_speak_both_each_tells_what_it_finds_first_and_holds_nothing() {
    let (here, there) = (World::new(), World::new());
    let mut pair = Director::pair_in([&here, &there]);
    start(&mut pair, BOTH, LINES);
    let [one, two] = &pair;
    for director in [one, two] {
        let shown = director.says(&["role"]);
        assert!(shown.contains("speak = both"), "{shown}");
    }
    // What only the standby has found it tells itself, at once.
    there.fails();
    wait_for_kinds(two, &["failure"]);
    wait_until("the active one to hear of it", SOON, || {
        one.peer_has("1 outage")
    });
    there.recovers();
    wait_for_kinds(two, &["failure", "up"]);
    wait_until("the active one to hear of it", SOON, || {
        one.peer_has("0 outages")
    });
    assert_eq!(kinds(one), [""; 0], "it has found nothing");
    here.fails();
    wait_for_kinds(one, &["failure"]);
    here.recovers();
    wait_for_kinds(one, &["failure", "up"]);
    wait_until("the standby to hear of it", SOON, || {
        two.peer_has("0 outages")
    });
    for director in [one, two] {
        director.wait_to_hold(0);
        let log = director.log();
        assert!(!log.contains("alert held"), "{log}");
    }
    assert_eq!(kinds(two), ["failure", "up"], "it has found nothing more");

    // Without the link each tells all that it finds, whatever its role.
    for (own, peer) in [(one, two), (two, one)] {
        let nobody = format!("peer = 127.0.0.9:{}\n", peer.port);
        configure(own, &nobody, BOTH, LINES);
    }
    let reload = |own: &Director| own.signal(Signal::SIGHUP);
    one.wait_for_next(GONE, || {
        two.wait_for_next(GONE, || [one, two].into_iter().for_each(reload))
    });
    for director in [one, two] {
        director.wait_for_log("configuration reloaded");
    }
    here.fails();
    there.fails();
    for director in [one, two] {
        wait_for_kinds(director, &["failure", "up", "failure"]);
    }
    here.recovers();
    there.recovers();
    for director in [one, two] {
        wait_for_kinds(director, &["failure", "up", "failure", "up"]);
        director.wait_to_hold(0);
    }
}

/// How mon's clients see the acknowledgement.
fn acknowledged(director: &Director) -> bool {
    asks(director, "list opstatus g s").contains("ann-is-on-it")
}

#[test]
fn an_acknowledgement_on_the_standby_is_told_by_the_active_and_holds_on_both() {
    let world = World::new();
    let mut pair = Director::pair(&world);
    for director in &pair {
        director.folder.write("auth.cf", OPEN);
    }
    let lines = format!("{LINES}\t    ackalert kind.alert\n");
    // In each folder: the settings name the file by itself, and cfbasedir has it.
    start(
        &mut pair,
        "authfile = auth.cf\nauthtype = trustlocal\n",
        &lines,
    );
    let [one, two] = &mut pair;
    world.fails();
    wait_for_kinds(one, &["failure"]);
    wait_until("the standby to see it", SOON, || one.peer_has("1 outage"));
    two.wait_to_hold(0);
    let said = asks(two, "ack g s ann-is-on-it");
    assert!(said.contains("220 "), "{said}");
    wait_until("the acknowledgement on both", SOON, || {
        acknowledged(one) && acknowledged(two)
    });
    wait_for_kinds(one, &["failure", "ack"]);
    two.wait_to_hold(0);
    // It outlives the director on which nobody said it, and holds back what else goes wrong.
    one.end(Signal::SIGKILL);
    two.role("master");
    world.fails_with("127.0.0.1 worse");
    wait_until("the new words", SOON, || {
        asks(two, "list opstatus g s").contains("worse")
    });
    assert!(acknowledged(two));
    world.recovers();
    wait_until("its end", SOON, || !kinds(two).is_empty());
    two.end(Signal::SIGTERM);
    assert_eq!(kinds(two), ["up"], "{}", two.log());
}
