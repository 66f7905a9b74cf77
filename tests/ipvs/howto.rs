//! The farm of the LVS HOWTO with its own files, unchanged: `etc/howto-farm.cf` is its mon.cf,
//! `guest/lvs` its init script. A check every ten seconds, each with thirty seconds of time; what
//! waits for that time is in `howto_cut_off`.

use std::time::Duration;

use super::client::Client;
use super::guest::{Farm, SOON, run};
use super::lab::scenarios;

scenarios!(
    "howto",
    [
        a_killed_server_leaves_the_table_and_comes_back,
        a_server_that_answers_500_leaves_the_table_and_comes_back,
        a_daemon_that_was_killed_finds_what_changed_meanwhile,
        a_cleared_table_is_put_right_once_the_init_script_ran_again,
    ]
);

/// One interval, and what a loaded machine adds.
const INTERVAL: Duration = Duration::from_secs(40);
pub(super) const SERVICE: &str = "-A -t 10.0.0.3:80 -s wlc";
const FIRST: &str = "-a -t 10.0.0.3:80 -r 192.168.0.1:80 -g -w 5";
pub(super) const SECOND: &str = "-a -t 10.0.0.3:80 -r 192.168.0.2:80 -g -w 5";
pub(super) const WHOLE: [&str; 3] = [SERVICE, FIRST, SECOND];

/// What the HOWTO does at boot: the init script fills the table, then the daemon starts.
pub(super) fn boot(farm: &mut Farm) {
    farm.build();
    init_script();
    farm.expect_table(SOON, &WHOLE);
    let config = crate::support::root().join("etc/howto-farm.cf");
    let config = std::fs::read_to_string(config).expect("the HOWTO's mon.cf");
    farm.start_daemon(&config);
    farm.keeps_table_for_checks(&WHOLE, 1);
}

fn init_script() {
    let script = crate::support::root().join("tests/ipvs/guest/lvs");
    run(&format!("{} start", script.display()));
}

fn a_killed_server_leaves_the_table_and_comes_back(farm: &mut Farm) {
    boot(farm);
    farm.kill_server(1);
    farm.expect_table(INTERVAL, &[SERVICE, SECOND]);
    let client = Client::start();
    client.expect_more(20);
    assert_eq!(client.stop().1, 0, "the table names the living server only");
    farm.serve(1);
    farm.expect_table(INTERVAL, &WHOLE);
}

fn a_server_that_answers_500_leaves_the_table_and_comes_back(farm: &mut Farm) {
    boot(farm);
    farm.answer_500(2);
    farm.expect_table(INTERVAL, &[SERVICE, FIRST]);
    farm.answer(2, "well again\n");
    farm.expect_table(INTERVAL, &WHOLE);
}

fn a_daemon_that_was_killed_finds_what_changed_meanwhile(farm: &mut Farm) {
    boot(farm);
    farm.kill_server(1);
    farm.expect_table(INTERVAL, &[SERVICE, SECOND]);
    farm.kill_daemon();
    farm.serve(1);
    farm.kill_server(2);
    farm.expect_table(SOON, &[SERVICE, SECOND]);
    farm.restart_daemon();
    farm.expect_table(SOON, &[SERVICE, FIRST]);
    farm.serve(2);
    farm.expect_table(INTERVAL, &WHOLE);
}

fn a_cleared_table_is_put_right_once_the_init_script_ran_again(farm: &mut Farm) {
    boot(farm);
    farm.kill_server(1);
    farm.expect_table(INTERVAL, &[SERVICE, SECOND]);
    run("ipvsadm -C");
    // The virtual service belongs to the init script: it is missed, not made.
    farm.expect_log(1, "virtual service is not in the table");
    farm.expect_table(SOON, &[]);
    // The script puts the dead server in, too.
    init_script();
    farm.expect_table(SOON, &[SERVICE, SECOND]);
    farm.serve(1);
    farm.expect_table(INTERVAL, &WHOLE);
}
