//! Two directors with the real keepalived, and what makes keepalived ask lvsmon again: one that is stuck
//! loses the address, one that finds all real servers down does not.

use nix::sys::signal::Signal;

use super::client::Client;
use super::directors::{Director, LONG, Pair, expect_table};
use super::guest::Farm;
use super::lab::scenarios;
use super::pair::{Move, east_takes_over, hand_back};
use crate::support::wait_until;

scenarios!(
    "stuck",
    [
        the_address_leaves_an_lvsmon_that_is_stuck_beside_a_living_keepalived,
        with_all_real_servers_down_both_are_well_and_the_address_stays,
    ]
);

fn the_address_leaves_an_lvsmon_that_is_stuck_beside_a_living_keepalived(farm: &mut Farm) {
    let mut pair = Pair::start(farm);
    let going = Move::begins();
    let before = failures(&pair.west);
    pair.west.signal_lvsmon(Signal::SIGSTOP);
    east_takes_over(farm, &pair, "active lvsmon stuck", going);
    wait_until("the address has left", LONG, || !pair.west.has_vip());
    assert!(
        failures(&pair.west) > before,
        "{}",
        pair.west.wrote("keepalived.log")
    );
    assert_eq!(pair.west.health().status, Some(1));
    farm.kill_server(1);
    expect_table(&pair.east, &[2, 3]);
    pair.expect_mails(&["failure"]);
    // What it missed it makes up for, and is the standby.
    let client = Client::start();
    pair.west.signal_lvsmon(Signal::SIGCONT);
    pair.settled(&pair.east, &pair.west);
    pair.expect_tables(&[2, 3]);
    client.expect_no_failure(20);
    hand_back(farm, &mut pair);
    farm.serve(1);
    pair.expect_tables(&[1, 2, 3]);
    pair.expect_all_told_once(farm, &["failure", "up"]);
}

/// How often its keepalived has found lvsmon stuck.
fn failures(director: &Director) -> usize {
    let log = director.wrote("keepalived.log");
    let failures = ["failed", "timed_out"].map(|it| format!("VRRP_Script(lvsmon) {it}"));
    failures.iter().map(|it| log.matches(it).count()).sum()
}

/// How often keepalived is to have asked: it believes the third failure in a row.
const ASKED: usize = 6;

fn with_all_real_servers_down_both_are_well_and_the_address_stays(farm: &mut Farm) {
    let pair = Pair::start(farm);
    for number in 1..=3 {
        farm.kill_server(number);
    }
    pair.expect_tables(&[]);
    let directors = [&pair.west, &pair.east];
    let before = directors.map(|it| (it.asked(), failures(it)));
    let changes = directors.map(role_changes);
    wait_until("keepalived to ask some times", LONG, || {
        assert!(pair.west.has_vip() && !pair.east.has_vip(), "it moved");
        let now = directors.map(|it| it.asked());
        let mut pairs = now.iter().zip(&before);
        pairs.all(|(now, (before, _))| *now >= before + ASKED)
    });
    for (director, (_, failed)) in directors.iter().zip(before) {
        let said = director.health();
        assert_eq!(said.status, Some(0), "{}: {said:?}", director.name);
        let log = director.wrote("keepalived.log");
        assert_eq!(failures(director), failed, "{}: {log}", director.name);
    }
    for number in 1..=3 {
        farm.serve(number);
    }
    pair.expect_tables(&[1, 2, 3]);
    pair.settled(&pair.west, &pair.east);
    assert_eq!(directors.map(role_changes), changes, "nobody's role");
    pair.expect_all_told_once(farm, &["failure", "up"]);
}

/// How often its role has changed since its lvsmon was started.
fn role_changes(director: &Director) -> usize {
    let log = director.wrote("lvsmon.log");
    log.matches("the role of this director changes").count()
}
