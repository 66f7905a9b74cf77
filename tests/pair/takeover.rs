//! What comes first where a standby becomes active: its table, and then people.

use std::fs;
use std::path::PathBuf;

use nix::sys::stat::Mode;
use serde_json::Value;

use crate::daemon::farm::{Farm, SOON};
use crate::support::wait_until;

/// Both real servers in a section, and a program that tells of their service.
fn configure(farm: &Farm) {
    let (folder, port) = (farm.folder.path().display(), farm.port);
    let alert = format!("#!/bin/sh\necho told >> {folder}/told\n");
    farm.folder.write_executable("alert.d/told.alert", &alert);
    farm.folder.write("state/table", "");
    farm.configure(&format!(
        "statedir = {folder}/state\nmondir = {folder}/mon.d\nalertdir = {folder}/alert.d\n\
         serverport = 0\ntrapport = 0\nipvs_backend = memory\nnotify_fifo = {folder}/fifo\n\n\
         hostgroup www 127.0.0.11 127.0.0.12\n\n\
         watch www\n    service http\n\tinterval 0.3s\n\tmonitor http.monitor -p {port} -t 5\n\
         \tperiod\n\t    alertevery 1h\n\t    alert told.alert\n\t    upalert told.alert\n\n\
         virtual 10.0.0.3:{port}\n    real www weight 5\n    service www:http\n"
    ));
}

/// Says what VRRP would say.
#[track_caller]
fn say(farm: &Farm, role: &str) {
    let output = farm.output(&["role", role]);
    assert!(output.status.success(), "{output:?}");
}

fn told(farm: &Farm) -> usize {
    let text = fs::read_to_string(farm.folder.join("told"));
    text.unwrap_or_default().lines().count()
}

#[track_caller]
fn wait_to_tell(farm: &Farm, times: usize) {
    wait_until(&format!("{times} told"), SOON, || told(farm) == times);
}

#[track_caller]
fn wait_to_hold_one(farm: &Farm) {
    wait_until("a message that is held", SOON, || {
        let output = farm.output(&["role", "--json"]).stdout;
        let answer: Option<Value> = serde_json::from_slice(&output).ok();
        answer.is_some_and(|answer| answer["held"] == 1)
    });
}

/// What a look at the table reads last; where nobody writes into it, no look ends.
fn connections(farm: &Farm) -> PathBuf {
    farm.folder.join("state/connections")
}

#[test]
fn nothing_leaves_before_the_table_was_looked_at_but_for_one_that_hangs() {
    const ALL_THE_SAME: &str = "the table was not looked at in time since the takeover";
    let mut farm = Farm::new();
    configure(&farm);
    farm.start_healthy();
    farm.break_server(1);
    wait_to_hold_one(&farm);
    assert_eq!(told(&farm), 0);
    say(&farm, "master");
    wait_to_tell(&farm, 1);
    assert!(!farm.log().contains(ALL_THE_SAME), "{}", farm.log());
    say(&farm, "backup");
    farm.mend_server(1);
    wait_to_hold_one(&farm);
    nix::unistd::mkfifo(&connections(&farm), Mode::S_IRUSR | Mode::S_IWUSR).unwrap();
    say(&farm, "master");
    wait_to_tell(&farm, 2);
    assert!(farm.log().contains(ALL_THE_SAME), "{}", farm.log());
    // Whoever waits for it is let go of.
    drop(fs::OpenOptions::new().write(true).open(connections(&farm)));
    fs::remove_file(connections(&farm)).unwrap();
}
