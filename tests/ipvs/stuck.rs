//! Two directors with the real keepalived, and what makes keepalived ask lvsmon again: one that is
//! stuck loses the address, one that finds all real servers down does not, and a keepalived that
//! reads its file again makes the FIFO of lvsmon's own user anew, and nothing changes.

use std::fs;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};

use nix::sys::signal::Signal;
use serde_json::Value;

use super::client::Client;
use super::directors::{Director, LONG, Pair, USER, expect_table};
use super::guest::Farm;
use super::lab::scenarios;
use super::pair::{Move, east_takes_over, hand_back};
use crate::support::wait_until;

scenarios!(
    "stuck",
    [
        the_address_leaves_an_lvsmon_that_is_stuck_beside_a_living_keepalived,
        with_all_real_servers_down_both_are_well_and_the_address_stays,
        a_reload_of_keepalived_changes_neither_role_nor_address_and_tells_nobody,
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

/// The FIFO as lvsmon has it; none where it does not answer, or cannot listen.
fn fifo(director: &Director) -> Option<Value> {
    let role = director.role()?;
    Some(role["fifo"].clone()).filter(|it| it["trouble"].is_null())
}

/// How often its lvsmon has opened a FIFO.
fn listens(director: &Director) -> usize {
    let log = director.wrote("lvsmon.log");
    log.matches("listening to the FIFO for").count()
}

/// Words that lvsmon has heard of its FIFO.
fn words(director: &Director) -> u64 {
    let words = fifo(director).and_then(|it| it["words"].as_u64());
    words.unwrap_or_default()
}

#[track_caller]
fn expect_fifo_of_lvsmon(director: &Director) {
    let found = fs::symlink_metadata(director.fifo()).expect("a FIFO");
    assert!(found.file_type().is_fifo());
    assert_eq!((found.uid(), found.gid()), (USER.1, USER.1));
    assert_eq!(found.mode() & 0o002, 0, "others may write to it");
    assert!(fifo(director).is_some(), "{}", director.wrote("lvsmon.log"));
}

fn a_reload_of_keepalived_changes_neither_role_nor_address_and_tells_nobody(farm: &mut Farm) {
    let mut pair = Pair::start(farm);
    farm.kill_server(2);
    pair.expect_tables(&[1, 3]);
    pair.expect_mails(&["failure"]);
    let said = |director: &Director| director.role().map(|it| it["said"][0]["state"].clone());
    let client = Client::start();
    for round in 1..=2 {
        for (director, state) in [(&pair.west, "master"), (&pair.east, "backup")] {
            expect_fifo_of_lvsmon(director);
            let (heard, listens) = (words(director), listens(director));
            let changes = role_changes(director);
            director.reload_keepalived();
            // keepalived 2.2.7 makes the FIFO anew and says nothing there, although the shipped
            // file asks it to; another one may say its state again.
            let what = format!("{}: reload {round} of keepalived is noticed", director.name);
            wait_until(&what, LONG, || {
                assert!(pair.west.has_vip() && !pair.east.has_vip(), "it moved");
                fifo(director).is_some()
                    && (words(director) > heard || self::listens(director) > listens)
            });
            wait_until(&format!("{what}, {state}"), LONG, || {
                said(director).is_some_and(|it| it == state)
            });
            expect_fifo_of_lvsmon(director);
            pair.settled(&pair.west, &pair.east);
            assert_eq!(
                role_changes(director),
                changes,
                "{}",
                director.wrote("lvsmon.log")
            );
        }
    }
    client.expect_no_failure(20);
    pair.expect_all_told_once(farm, &["failure"]);
    // Both are heard by what they have made.
    let standby = words(&pair.east);
    let going = Move::begins();
    pair.west.stop_keepalived();
    east_takes_over(farm, &pair, "handed over after reloads", going);
    wait_until("the word of the new active one", LONG, || {
        words(&pair.east) > standby && said(&pair.east).is_some_and(|it| it == "master")
    });
    wait_until("the last word of the old one", LONG, || {
        said(&pair.west).is_some_and(|it| it == "stop")
    });
    pair.west.start_keepalived();
    pair.settled(&pair.east, &pair.west);
    expect_fifo_of_lvsmon(&pair.west);
    farm.serve(2);
    pair.expect_tables(&[1, 2, 3]);
    pair.expect_all_told_once(farm, &["failure", "up"]);
}
