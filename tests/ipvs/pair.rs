//! Two directors with the real keepalived between them, a client that asks by the virtual address
//! all the time, and an SMTP server: who has the address, whose table is ready, what people are
//! told.
//!
//! Each fault of the active director is one scenario: the other takes over and tells what happens,
//! the first comes back as its standby, and is handed the address in order. How long the client was
//! without an answer stands in the scenario's log; here that it was not longer than the pair may
//! take.

use std::fs;
use std::time::Duration;

use lvsmon::clock::Stopwatch;
use nix::sys::signal::Signal;

use super::client::{Client, Held, start_echo};
use super::directors::{LONG, Pair, TALK, cut_west, expect_table, mend_west, renew_west};
use super::guest::Farm;
use super::lab::scenarios;
use crate::support::wait_until;

scenarios!(
    "pair",
    [
        both_tables_are_ready_and_one_director_speaks,
        the_standby_takes_over_and_tells_when_the_active_director_dies,
        the_standby_takes_over_and_tells_when_all_of_the_active_director_freezes,
        the_standby_takes_over_and_tells_when_lvsmon_of_the_active_director_dies,
        the_standby_takes_over_and_tells_when_the_link_of_the_active_director_is_cut,
        open_connections_outlive_a_takeover_and_the_way_back,
    ]
);

/// Longest time without an answer while the address moves. After a fault three failures of the
/// `track_script` at two seconds, each of which may take the two that lvsmon has to answer, are
/// 12 s, and the other keepalived waits for four advertisements more; the rest is for a busy
/// machine.
const GAP_MAX: Duration = Duration::from_secs(30);
/// Requests that fail meanwhile: one that nobody answers takes half a second, so that the longest
/// gap has sixty, and one that is refused comes to its end at once.
const FAILED_MAX: u32 = 120;

/// A client that asks while the address moves.
pub(super) struct Move {
    client: Client,
    fault: Stopwatch,
}

impl Move {
    pub(super) fn begins() -> Self {
        let client = Client::start_at_ease();
        let fault = Stopwatch::start();
        Self { client, fault }
    }

    /// Waits until the address is there and the client is answered, and keeps the figures; fails
    /// where it was without an answer for longer than [`GAP_MAX`].
    #[track_caller]
    fn ends(self, farm: &mut Farm, what: &str, is_there: impl Fn() -> bool) {
        wait_until(&format!("{what}: the address moves"), LONG, is_there);
        let moved = self.fault.elapsed();
        // Neighbours learn by and by where the address is now: ten answers in a row.
        let mut before = self.client.met();
        wait_until(&format!("{what}: the client is answered"), LONG, || {
            let now = self.client.met();
            if now.bad != before.bad {
                before = now;
                return false;
            }
            now.good >= before.good + 10
        });
        let met = self.client.met();
        self.client.stop();
        let (good, bad, gap) = (met.good, met.bad, met.gap);
        farm.note(&format!(
            "{what}: address there after {moved:.1?}; client: {good} good, {bad} failed, \
             longest without an answer {gap:.1?}"
        ));
        assert!(gap <= GAP_MAX, "{what}: {gap:?} without an answer");
        assert!(bad <= FAILED_MAX, "{what}: {bad} requests failed");
    }
}

pub(super) fn east_takes_over(farm: &mut Farm, pair: &Pair, what: &str, going: Move) {
    going.ends(farm, what, || pair.east.has_vip());
}

/// East's keepalived ends in order and starts again: west, its standby, has the address again.
pub(super) fn hand_back(farm: &mut Farm, pair: &mut Pair) {
    pair.settled(&pair.east, &pair.west);
    let going = Move::begins();
    pair.east.stop_keepalived();
    going.ends(farm, "handed back in order", || pair.west.has_vip());
    pair.east.start_keepalived();
    pair.settled(&pair.west, &pair.east);
}

fn both_tables_are_ready_and_one_director_speaks(farm: &mut Farm) {
    let pair = Pair::start(farm);
    farm.kill_server(2);
    pair.expect_tables(&[1, 3]);
    pair.expect_mails(&["failure"]);
    farm.serve(2);
    pair.expect_tables(&[1, 2, 3]);
    pair.expect_mails(&["failure", "up"]);
    for (director, runs) in [
        (&pair.west, "master on eth0, syncid 51"),
        (&pair.east, "backup on br0, syncid 51"),
    ] {
        director.wait_for_role(runs, |answer| {
            answer["sync"]["running"] == serde_json::json!([runs])
        });
        let table = director.shows_table();
        let line = format!("sync wanted {runs}, running {runs}\n");
        assert!(table.ends_with(&line), "{table}");
    }
    pair.expect_all_told_once(farm, &["failure", "up"]);
}

fn the_standby_takes_over_and_tells_when_the_active_director_dies(farm: &mut Farm) {
    let mut pair = Pair::start(farm);
    // The relay takes nothing: the active director dies with its message untold.
    fs::write("/run/mail/hold", "0").expect("a sign for the relay");
    farm.kill_server(2);
    pair.expect_tables(&[1, 3]);
    pair.east
        .wait_for_role("a message is held", |answer| answer["held"] == 1);
    let going = Move::begins();
    cut_west();
    pair.west.die();
    east_takes_over(farm, &pair, "active director dead", going);
    fs::remove_file("/run/mail/hold").expect("a sign for the relay");
    pair.expect_mails(&["failure"]);
    farm.serve(2);
    pair.expect_mails(&["failure", "up"]);
    mend_west();
    pair.west.start();
    hand_back(farm, &mut pair);
    pair.expect_tables(&[1, 2, 3]);
    pair.expect_all_told_once(farm, &["failure", "up"]);
}

fn the_standby_takes_over_and_tells_when_all_of_the_active_director_freezes(farm: &mut Farm) {
    let pair = Pair::start(farm);
    let going = Move::begins();
    pair.west.signal(Signal::SIGSTOP);
    east_takes_over(farm, &pair, "active director frozen", going);
    farm.kill_server(1);
    expect_table(&pair.east, &[2, 3]);
    pair.expect_mails(&["failure"]);
    // It takes itself for the active one when it goes on, and has the greater priority.
    let going = Move::begins();
    pair.west.signal(Signal::SIGCONT);
    going.ends(farm, "and goes on", || {
        pair.west.has_vip() && !pair.east.has_vip()
    });
    pair.settled(&pair.west, &pair.east);
    pair.expect_tables(&[2, 3]);
    farm.serve(1);
    pair.expect_tables(&[1, 2, 3]);
    pair.expect_mails(&["failure", "up"]);
    pair.expect_all_told_once(farm, &["failure", "up"]);
}

fn the_standby_takes_over_and_tells_when_lvsmon_of_the_active_director_dies(farm: &mut Farm) {
    let mut pair = Pair::start(farm);
    let going = Move::begins();
    pair.west.kill_lvsmon();
    east_takes_over(farm, &pair, "active lvsmon dead", going);
    farm.kill_server(3);
    expect_table(&pair.east, &[1, 2]);
    pair.expect_mails(&["failure"]);
    // A standby that comes back is nothing that a client notices.
    let client = Client::start();
    pair.west.start_lvsmon();
    pair.expect_tables(&[1, 2]);
    pair.settled(&pair.east, &pair.west);
    client.expect_no_failure(20);
    hand_back(farm, &mut pair);
    farm.serve(3);
    pair.expect_tables(&[1, 2, 3]);
    pair.expect_all_told_once(farm, &["failure", "up"]);
}

fn the_standby_takes_over_and_tells_when_the_link_of_the_active_director_is_cut(farm: &mut Farm) {
    let mut pair = Pair::start(farm);
    let going = Move::begins();
    cut_west();
    east_takes_over(farm, &pair, "active director's link cut", going);
    farm.kill_server(1);
    expect_table(&pair.east, &[2, 3]);
    pair.expect_mails(&["failure"]);
    mend_west();
    pair.expect_tables(&[2, 3]);
    hand_back(farm, &mut pair);
    farm.serve(1);
    pair.expect_tables(&[1, 2, 3]);
    pair.expect_all_told_once(farm, &["failure", "up"]);
}

/// What the kernel of a director that was never told of a connection answers to its next packet is
/// a reset: who is asked here after the address has moved is answered by what `sync_daemon` is for.
fn open_connections_outlive_a_takeover_and_the_way_back(farm: &mut Farm) {
    let mut pair = Pair::start(farm);
    let where_to = format!("tcp 10.0.0.3 {TALK}");
    let _servers = [1, 2, 3].map(|number| start_echo(number, &where_to));
    let mut held = Held::open(&where_to, 3);
    let names = held.ask();
    let mut each = names.clone();
    each.sort_unstable();
    assert_eq!(each, ["1", "2", "3"]);
    wait_until("the standby knows the connections", LONG, || {
        assert_eq!(held.ask(), names);
        let known = pair.west.connections();
        known.len() == 3 && known == pair.east.connections()
    });
    let going = Move::begins();
    cut_west();
    pair.west.die();
    east_takes_over(farm, &pair, "active director dead, with connections", going);
    assert_eq!(
        held.ask(),
        names,
        "connections go on through the other director"
    );
    // Another machine in its place learns of them while they send packets.
    renew_west();
    pair.west.start();
    pair.settled(&pair.east, &pair.west);
    wait_until("the director that came back knows them", LONG, || {
        assert_eq!(held.ask(), names);
        let known = pair.east.connections();
        known.len() == 3 && known == pair.west.connections()
    });
    hand_back(farm, &mut pair);
    assert_eq!(
        held.ask(),
        names,
        "connections go on through the first director"
    );
    held.close();
    pair.expect_all_told_once(farm, &[]);
}
