//! The farm with a file of today: a check every second that looks at the body and takes a
//! second at most, virtual services made by the daemon (`-B -S`).

use std::fmt::Write as _;

use nix::sys::signal::Signal;

use super::client::Client;
use super::guest::{Farm, SOON, run};
use super::lab::scenarios;

scenarios!(
    "farm",
    [
        a_killed_server_leaves_the_table_and_comes_back,
        a_flushed_table_is_rebuilt,
        a_frozen_server_leaves_the_table_and_comes_back,
        a_server_with_the_wrong_body_leaves_the_table_and_comes_back,
        all_servers_down_leave_an_empty_service_and_come_back,
        a_flapping_server_ends_where_its_last_answer_says,
        a_server_back_before_the_killed_daemon_comes_in_after_the_restart,
        a_server_back_after_the_killed_daemon_comes_in,
        a_server_that_dies_while_the_daemon_is_dead_leaves_after_the_restart,
        table_and_health_agree_after_a_kill_at_any_moment,
        an_entry_deleted_by_hand_is_put_back,
        an_entry_edited_by_hand_is_put_right,
        what_others_put_into_the_table_stays,
        a_virtual_service_that_appears_late_is_filled,
        a_dead_server_never_enters_at_the_start,
        a_dead_server_that_is_found_in_the_table_leaves,
        a_reload_drops_a_server_while_another_is_down,
        a_stop_and_a_start_cost_no_request,
    ]
);

/// The file for these servers; `lvs` stands at the end of each lvs.alert line.
pub(super) fn config(servers: &[u8], lvs: &str, globals: &str) -> String {
    let mut text = format!("statedir = /run/state\n{globals}\n");
    for number in servers {
        let _ = writeln!(text, "hostgroup www{number} www{number}.domain.com\n");
    }
    for number in servers {
        let line = format!("lvs.alert -P tcp -V 10.0.0.3:80 -R 192.168.0.{number} -W 5 -F dr");
        let _ = writeln!(
            text,
            "watch www{number}\n    service http\n\tinterval 1s\n\
             \tmonitor http.monitor -t 1 -m \"is well\"\n\tperiod wd {{Sun-Sat}}\n\
             \t    alert {line}\n\t    upalert {line} {lvs}\n"
        );
    }
    text
}

/// The table with these servers in it.
fn table(servers: &[u8]) -> Vec<String> {
    let mut lines = vec!["-A -t 10.0.0.3:80 -s wrr".to_owned()];
    for number in servers {
        lines.push(format!(
            "-a -t 10.0.0.3:80 -r 192.168.0.{number}:80 -g -w 5"
        ));
    }
    lines
}

#[track_caller]
fn expect(farm: &mut Farm, servers: &[u8]) {
    let lines = table(servers);
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    farm.expect_table(SOON, &lines);
}

/// The table stays as it is while some checks are made.
#[track_caller]
fn keeps(farm: &mut Farm, servers: &[u8]) {
    let lines = table(servers);
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    farm.keeps_table_for_checks(&lines, 3);
}

fn start(farm: &mut Farm, servers: &[u8]) {
    farm.build();
    farm.start_daemon(&config(servers, "-B -S wrr", ""));
    expect(farm, servers);
}

fn a_killed_server_leaves_the_table_and_comes_back(farm: &mut Farm) {
    start(farm, &[1, 2]);
    farm.kill_server(1);
    expect(farm, &[2]);
    let client = Client::start();
    client.expect_more(20);
    assert_eq!(client.stop().1, 0, "the table names the living server only");
    farm.serve(1);
    expect(farm, &[1, 2]);
}

fn a_flushed_table_is_rebuilt(farm: &mut Farm) {
    start(farm, &[1, 2]);
    farm.kill_server(2);
    expect(farm, &[1]);
    run("ipvsadm -C");
    expect(farm, &[1]);
    farm.serve(2);
    expect(farm, &[1, 2]);
}

fn a_frozen_server_leaves_the_table_and_comes_back(farm: &mut Farm) {
    start(farm, &[1, 2]);
    farm.signal_server(1, Signal::SIGSTOP);
    expect(farm, &[2]);
    farm.signal_server(1, Signal::SIGCONT);
    expect(farm, &[1, 2]);
}

fn a_server_with_the_wrong_body_leaves_the_table_and_comes_back(farm: &mut Farm) {
    start(farm, &[1, 2]);
    farm.answer(1, "under construction\n");
    expect(farm, &[2]);
    farm.answer(1, "server 1 is well\n");
    expect(farm, &[1, 2]);
}

fn all_servers_down_leave_an_empty_service_and_come_back(farm: &mut Farm) {
    start(farm, &[1, 2]);
    farm.kill_server(1);
    farm.kill_server(2);
    expect(farm, &[]);
    farm.serve(2);
    expect(farm, &[2]);
    farm.serve(1);
    expect(farm, &[1, 2]);
}

fn a_flapping_server_ends_where_its_last_answer_says(farm: &mut Farm) {
    start(farm, &[1, 2]);
    for _ in 0..4 {
        farm.answer(1, "out of order\n");
        expect(farm, &[2]);
        farm.answer(1, "server 1 is well\n");
        expect(farm, &[1, 2]);
    }
    for _ in 0..200 {
        farm.answer(1, "out of order\n");
        farm.answer(1, "server 1 is well\n");
    }
    farm.answer(1, "out of order\n");
    expect(farm, &[2]);
    keeps(farm, &[2]);
    farm.answer(1, "server 1 is well\n");
    expect(farm, &[1, 2]);
    keeps(farm, &[1, 2]);
}

fn a_server_back_before_the_killed_daemon_comes_in_after_the_restart(farm: &mut Farm) {
    start(farm, &[1, 2]);
    farm.kill_server(1);
    expect(farm, &[2]);
    farm.kill_daemon();
    farm.serve(1);
    expect(farm, &[2]);
    farm.restart_daemon();
    expect(farm, &[1, 2]);
}

fn a_server_back_after_the_killed_daemon_comes_in(farm: &mut Farm) {
    start(farm, &[1, 2]);
    farm.kill_server(1);
    expect(farm, &[2]);
    farm.kill_daemon();
    farm.restart_daemon();
    keeps(farm, &[2]);
    farm.serve(1);
    expect(farm, &[1, 2]);
}

fn a_server_that_dies_while_the_daemon_is_dead_leaves_after_the_restart(farm: &mut Farm) {
    start(farm, &[1, 2]);
    farm.kill_daemon();
    farm.kill_server(2);
    expect(farm, &[1, 2]);
    farm.restart_daemon();
    expect(farm, &[1]);
}

fn table_and_health_agree_after_a_kill_at_any_moment(farm: &mut Farm) {
    start(farm, &[1, 2, 3]);
    let mut well = [true; 3];
    // Moments spread over the interval of one second, and a different server each time.
    for step in 0..12_u64 {
        let number = u8::try_from(step * 7 % 3 + 1).expect("1 to 3");
        let is_well = &mut well[usize::from(number) - 1];
        *is_well = !*is_well;
        let body = if *is_well { "is well" } else { "is ill" };
        farm.answer(number, &format!("server {number} {body}\n"));
        farm.wait_a_part_of_a_second(step * 389 % 1000);
        farm.kill_daemon();
        farm.restart_daemon();
        // Every other time the next one is killed before it has found out anything.
        if step % 2 == 1 {
            let servers: Vec<u8> = (1..=3).filter(|&it| well[usize::from(it) - 1]).collect();
            expect(farm, &servers);
        }
    }
}

fn an_entry_deleted_by_hand_is_put_back(farm: &mut Farm) {
    start(farm, &[1, 2]);
    run("ipvsadm -d -t 10.0.0.3:80 -r 192.168.0.1:80");
    expect(farm, &[1, 2]);
    farm.expect_log(1, "the table was changed by others");
}

fn an_entry_edited_by_hand_is_put_right(farm: &mut Farm) {
    start(farm, &[1, 2]);
    for other in ["-g -w 1", "-m -w 5", "-g -w 0", "-g -w 5 -x 10 -y 5"] {
        run(&format!(
            "ipvsadm -e -t 10.0.0.3:80 -r 192.168.0.1:80 {other}"
        ));
        expect(farm, &[1, 2]);
    }
    let thresholds = || run("ipvsadm -Ln --thresholds").contains("192.168.0.1:80               10");
    crate::support::wait_until("no threshold", SOON, || !thresholds());
}

fn what_others_put_into_the_table_stays(farm: &mut Farm) {
    farm.build();
    let foreign = [
        "-A -t 10.0.0.3:443 -s rr",
        "-a -t 10.0.0.3:443 -r 192.168.0.1:443 -g -w 1",
        "-A -t 10.0.0.3:80 -s wrr",
        "-a -t 10.0.0.3:80 -r 192.168.0.9:80 -m -w 7",
    ];
    for line in foreign {
        run(&format!("ipvsadm {line}"));
    }
    let with = |servers: &[u8]| {
        let mut lines = table(servers);
        lines.extend(foreign.map(str::to_owned));
        lines
    };
    let expect = |farm: &mut Farm, servers: &[u8]| {
        let lines = with(servers);
        let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
        farm.expect_table(SOON, &lines);
    };
    farm.start_daemon(&config(&[1, 2], "-B -S wrr", ""));
    expect(farm, &[1, 2]);
    farm.kill_server(1);
    expect(farm, &[2]);
    farm.configure(&config(&[1], "-B -S wrr", ""));
    farm.signal_daemon(Signal::SIGHUP);
    expect(farm, &[]);
    farm.serve(1);
    expect(farm, &[1]);
}

fn a_virtual_service_that_appears_late_is_filled(farm: &mut Farm) {
    farm.build();
    farm.start_daemon(&config(&[1, 2], "", ""));
    farm.expect_log(1, "virtual service is not in the table");
    // Until both servers are known to be well: from then on only looking again helps.
    farm.keeps_table_for_checks(&[], 4);
    run("ipvsadm -A -t 10.0.0.3:80 -s wrr");
    expect(farm, &[1, 2]);
}

fn a_dead_server_never_enters_at_the_start(farm: &mut Farm) {
    farm.build();
    farm.kill_server(1);
    farm.start_daemon(&config(&[1, 2], "-B -S wrr", ""));
    farm.never_has("192.168.0.1:80", "192.168.0.2:80");
    expect(farm, &[2]);
    keeps(farm, &[2]);
    farm.serve(1);
    expect(farm, &[1, 2]);
}

fn a_dead_server_that_is_found_in_the_table_leaves(farm: &mut Farm) {
    farm.build();
    for line in table(&[1, 2]) {
        run(&format!("ipvsadm {line}"));
    }
    farm.kill_server(1);
    farm.start_daemon(&config(&[1, 2], "-B -S wrr", ""));
    expect(farm, &[2]);
}

fn a_reload_drops_a_server_while_another_is_down(farm: &mut Farm) {
    start(farm, &[1, 2, 3]);
    farm.kill_server(2);
    expect(farm, &[1, 3]);
    farm.configure(&config(&[1, 2], "-B -S wrr", ""));
    farm.signal_daemon(Signal::SIGHUP);
    expect(farm, &[1]);
    keeps(farm, &[1]);
    farm.serve(2);
    expect(farm, &[1, 2]);
}

fn a_stop_and_a_start_cost_no_request(farm: &mut Farm) {
    start(farm, &[1, 2]);
    let client = Client::start();
    farm.stop_daemon();
    client.expect_more(20);
    farm.restart_daemon();
    keeps(farm, &[1, 2]);
    farm.signal_daemon(Signal::SIGHUP);
    farm.expect_log(1, "configuration reloaded");
    keeps(farm, &[1, 2]);
    farm.kill_daemon();
    farm.restart_daemon();
    keeps(farm, &[1, 2]);
    client.expect_more(20);
    let (good, bad) = client.stop();
    assert_eq!(bad, 0, "{good} requests went well");
}
