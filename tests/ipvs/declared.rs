//! Virtual services that the file declares whole (`virtual`): made, kept, protected, taken back.
//!
//! Each scenario ends with the table that has to be there, by the kernel's own listing and by
//! ipvsadm, or shows that it stays as it is while checks go on.

use std::time::Duration;

use lvsmon::clock::Stopwatch;
use nix::sys::signal::Signal;

use super::client::{Client, who_answers};
use super::guest::{Farm, SOON, Said, requests, run, say};
use super::lab::scenarios;
use super::table;
use crate::support::{lvsmon, wait_until};

scenarios!(
    "declared",
    [
        a_declared_service_is_made_whole_and_follows_each_host,
        whatever_others_change_in_it_is_put_right,
        what_nobody_declared_stays_where_the_file_keeps_it,
        with_all_servers_down_the_fallback_takes_their_place,
        the_last_servers_stay_in_below_min_live,
        a_reload_adds_drops_and_edits_servers_while_one_is_down,
        a_reload_that_changes_nothing_changes_nothing,
        a_wrong_file_at_a_reload_changes_nothing,
        a_service_that_the_file_drops_is_removed_and_no_other,
        a_service_that_a_reload_drops_is_removed_and_comes_back_as_its_servers_are,
        a_quiesced_server_that_a_reload_drops_is_removed,
        a_restart_puts_no_failed_server_in,
        a_server_comes_back_after_as_many_good_checks_as_rise_says,
        a_quiesced_server_stays_without_new_connections,
        a_server_that_comes_back_starts_slowly,
        at_the_end_of_the_daemon_becomes_of_it_what_the_file_says,
        all_settings_of_a_service_reach_the_kernel,
        before_the_first_verdict_the_file_says_who_is_in,
        while_the_director_is_cut_off_nothing_changes,
    ]
);

const SERVICE: &str = "-A -t 10.0.0.3:80 -s wrr";

/// One hostgroup of three with one check, and these lines in the section.
fn config(section: &str) -> String {
    with_globals("", section)
}

fn with_globals(globals: &str, section: &str) -> String {
    let mut text = format!(
        "statedir = /run/state\n{globals}\n\
         hostgroup web 192.168.0.1 192.168.0.2 192.168.0.3\n\n\
         watch web\n    service http\n\tinterval 1s\n\
         \tmonitor http.monitor -t 1 -m \"is well\"\n\n"
    );
    text.push_str(&virtual_service("10.0.0.3:80", section));
    text
}

fn virtual_service(key: &str, section: &str) -> String {
    let mut text = format!("virtual {key}\n");
    for line in section.lines() {
        text.push_str(&format!("    {line}\n"));
    }
    text.push('\n');
    text
}

const FARM: &str = "scheduler wrr\nreal web weight 5\nservice web:http";

fn server(number: u8, weight: u32) -> String {
    format!("-a -t 10.0.0.3:80 -r 192.168.0.{number}:80 -g -w {weight}")
}

/// Waits for a table with these servers of weight 5, and more lines.
#[track_caller]
fn expect(farm: &mut Farm, servers: &[u8], more: &[&str]) {
    let lines: Vec<String> = servers.iter().map(|number| server(*number, 5)).collect();
    let lines = lines.iter().map(String::as_str);
    let lines: Vec<&str> = [SERVICE]
        .into_iter()
        .chain(lines)
        .chain(more.iter().copied())
        .collect();
    farm.expect_table(SOON, &lines);
}

fn start(farm: &mut Farm, section: &str) {
    farm.build();
    farm.start_daemon(&config(section));
}

fn a_declared_service_is_made_whole_and_follows_each_host(farm: &mut Farm) {
    start(farm, FARM);
    expect(farm, &[1, 2, 3], &[]);
    farm.kill_server(2);
    expect(farm, &[1, 3], &[]);
    let client = Client::start();
    client.expect_more(20);
    assert_eq!(
        client.stop().1,
        0,
        "the table names the living servers only"
    );
    farm.answer(1, "out of order\n");
    expect(farm, &[3], &[]);
    farm.serve(2);
    expect(farm, &[2, 3], &[]);
    farm.answer(1, "server 1 is well\n");
    expect(farm, &[1, 2, 3], &[]);
}

fn whatever_others_change_in_it_is_put_right(farm: &mut Farm) {
    start(farm, FARM);
    expect(farm, &[1, 2, 3], &[]);
    let others = [
        (
            "ipvsadm -E -t 10.0.0.3:80 -s rr",
            "TCP 10.0.0.3:80 rr 0",
            "set virtual service 10.0.0.3:80/tcp to scheduler wrr",
        ),
        (
            "ipvsadm -e -t 10.0.0.3:80 -r 192.168.0.2:80 -g -w 1",
            "192.168.0.2:80 Route 1",
            "set real server 192.168.0.2:80 in 10.0.0.3:80/tcp",
        ),
        (
            "ipvsadm -d -t 10.0.0.3:80 -r 192.168.0.3:80",
            "",
            "add real server 192.168.0.3:80 to 10.0.0.3:80/tcp",
        ),
        (
            "ipvsadm -a -t 10.0.0.3:80 -r 192.168.0.77:80 -g -w 9",
            "192.168.0.77:80",
            "delete real server 192.168.0.77:80 from 10.0.0.3:80/tcp",
        ),
        ("ipvsadm -C", "", "add virtual service 10.0.0.3:80/tcp"),
    ];
    for (times, (what, becomes, repair)) in (1..).zip(others) {
        let before = farm.log().len();
        run(what);
        expect(farm, &[1, 2, 3], &[]);
        farm.expect_log(times, "the table was changed by others; put right again");
        let log = farm.log().split_off(before);
        assert!(log.contains(repair), "{what}: {log}");
        let now = table::proc_net();
        assert!(
            becomes.is_empty() || !now.iter().any(|line| line.contains(becomes)),
            "{what}: {now:?}"
        );
    }
    // A virtual service that the file does not name is not ours.
    run("ipvsadm -A -t 10.0.0.3:81 -s rr && ipvsadm -a -t 10.0.0.3:81 -r 192.168.0.1:81 -m");
    farm.kill_server(1);
    expect(
        farm,
        &[2, 3],
        &[
            "-A -t 10.0.0.3:81 -s rr",
            "-a -t 10.0.0.3:81 -r 192.168.0.1:81 -m -w 1",
        ],
    );
}

fn what_nobody_declared_stays_where_the_file_keeps_it(farm: &mut Farm) {
    start(farm, &format!("{FARM}\nforeign keep"));
    expect(farm, &[1, 2, 3], &[]);
    run("ipvsadm -a -t 10.0.0.3:80 -r 192.168.0.77:80 -g -w 9");
    farm.kill_server(3);
    let stranger = "-a -t 10.0.0.3:80 -r 192.168.0.77:80 -g -w 9";
    expect(farm, &[1, 2], &[stranger]);
    let lines = [SERVICE, &server(1, 5), &server(2, 5), stranger];
    farm.keeps_table_for_checks(&lines, 3);
}

fn with_all_servers_down_the_fallback_takes_their_place(farm: &mut Farm) {
    // The fallback of the farm is the third server, which answers in its own words.
    let section = "scheduler wrr\nreal 192.168.0.1 weight 5\nreal 192.168.0.2 weight 5\n\
                   service web:http\nfallback 192.168.0.3 weight 2\nmin_live 1";
    start(farm, section);
    expect(farm, &[1, 2], &[]);
    farm.kill_server(1);
    expect(farm, &[2], &[]);
    farm.kill_server(2);
    farm.expect_table(SOON, &[SERVICE, &server(3, 2)]);
    assert_eq!(who_answers("http 10.0.0.3 80", 3).len(), 1);
    // A reload and a restart keep it.
    farm.signal_daemon(Signal::SIGHUP);
    farm.keeps_table_for_checks(&[SERVICE, &server(3, 2)], 3);
    farm.kill_daemon();
    farm.restart_daemon();
    farm.keeps_table_for_checks(&[SERVICE, &server(3, 2)], 3);
    farm.serve(1);
    expect(farm, &[1], &[]);
    farm.serve(2);
    expect(farm, &[1, 2], &[]);
}

fn the_last_servers_stay_in_below_min_live(farm: &mut Farm) {
    start(farm, &format!("{FARM}\nmin_live 2"));
    expect(farm, &[1, 2, 3], &[]);
    farm.kill_server(1);
    expect(farm, &[2, 3], &[]);
    farm.kill_server(2);
    farm.expect_checks(4);
    farm.keeps_table_for_checks(&[SERVICE, &server(2, 5), &server(3, 5)], 3);
    farm.kill_server(3);
    wait_until("some looks", SOON, || table::proc_net().len() == 3);
    // The first is well again: the one that was withdrawn first stays out no longer.
    farm.serve(1);
    expect(farm, &[1, 3], &[]);
    farm.serve(2);
    expect(farm, &[1, 2], &[]);
    farm.serve(3);
    expect(farm, &[1, 2, 3], &[]);
}

fn a_reload_adds_drops_and_edits_servers_while_one_is_down(farm: &mut Farm) {
    let section = "scheduler wrr\nreal 192.168.0.1 weight 5\nreal 192.168.0.2 weight 5\n\
                   service web:http";
    start(farm, section);
    expect(farm, &[1, 2], &[]);
    farm.kill_server(1);
    expect(farm, &[2], &[]);
    let changed = "scheduler wlc\npersistent 300\nreal 192.168.0.1 weight 5\n\
                   real 192.168.0.3 weight 7\nservice web:http";
    farm.configure(&config(changed));
    farm.signal_daemon(Signal::SIGHUP);
    let service = "-A -t 10.0.0.3:80 -s wlc -p 300";
    farm.expect_table(SOON, &[service, &server(3, 7)]);
    farm.serve(1);
    farm.expect_table(SOON, &[service, &server(1, 5), &server(3, 7)]);
}

fn a_reload_that_changes_nothing_changes_nothing(farm: &mut Farm) {
    start(farm, FARM);
    expect(farm, &[1, 2, 3], &[]);
    farm.kill_server(2);
    expect(farm, &[1, 3], &[]);
    let changes = farm.log().matches("table changed").count();
    for times in 1..=3 {
        farm.signal_daemon(Signal::SIGHUP);
        farm.expect_log(times, "configuration reloaded");
        farm.keeps_table_for_checks(&[SERVICE, &server(1, 5), &server(3, 5)], 2);
    }
    assert_eq!(farm.log().matches("table changed").count(), changes);
}

fn a_wrong_file_at_a_reload_changes_nothing(farm: &mut Farm) {
    start(farm, FARM);
    expect(farm, &[1, 2, 3], &[]);
    farm.configure(&config(
        "scheduler wrr\nreal web weight 70000\nservice web:http",
    ));
    farm.signal_daemon(Signal::SIGHUP);
    farm.expect_log(1, "the old one stays in force");
    let log = farm.log();
    assert!(log.contains("70000"), "{log}");
    let lines = [SERVICE, &server(1, 5), &server(2, 5), &server(3, 5)];
    farm.keeps_table_for_checks(&lines, 3);
    farm.kill_server(3);
    expect(farm, &[1, 2], &[]);
}

fn a_service_that_the_file_drops_is_removed_and_no_other(farm: &mut Farm) {
    farm.build();
    run("ipvsadm -A -t 10.0.0.3:443 -s rr");
    let second = virtual_service(
        "10.0.0.3:8080",
        "forward nat\nreal web port 80\nservice web:http",
    );
    let both = format!("{}{second}", config(FARM));
    farm.start_daemon(&both);
    let masq = |number: u8| format!("-a -t 10.0.0.3:8080 -r 192.168.0.{number}:80 -m -w 1");
    let others = "-A -t 10.0.0.3:443 -s rr";
    let (one, two, three) = (masq(1), masq(2), masq(3));
    expect(
        farm,
        &[1, 2, 3],
        &["-A -t 10.0.0.3:8080 -s wlc", &one, &two, &three, others],
    );
    // While it is down nobody tells the daemon; the journal remembers what it declared.
    farm.stop_daemon();
    farm.start_daemon(&config(FARM));
    expect(farm, &[1, 2, 3], &[others]);
}

fn a_service_that_a_reload_drops_is_removed_and_comes_back_as_its_servers_are(farm: &mut Farm) {
    farm.build();
    run("ipvsadm -A -t 10.0.0.3:443 -s rr");
    let others = "-A -t 10.0.0.3:443 -s rr";
    let second = virtual_service(
        "10.0.0.3:8080",
        "forward nat\nreal web port 80\nservice web:http",
    );
    let both = format!("{}{second}", config(FARM));
    farm.start_daemon(&both);
    let masq = |number: u8| format!("-a -t 10.0.0.3:8080 -r 192.168.0.{number}:80 -m -w 1");
    let (one, two, three) = (masq(1), masq(2), masq(3));
    let service = "-A -t 10.0.0.3:8080 -s wlc";
    expect(farm, &[1, 2, 3], &[service, &one, &two, &three, others]);
    farm.kill_server(2);
    expect(farm, &[1, 3], &[service, &one, &three, others]);
    farm.configure(&config(FARM));
    farm.signal_daemon(Signal::SIGHUP);
    expect(farm, &[1, 3], &[others]);
    // Whoever makes one like it now owns it.
    run("ipvsadm -A -t 10.0.0.3:8080 -s rr");
    let theirs = "-A -t 10.0.0.3:8080 -s rr";
    let lines = [SERVICE, &server(1, 5), &server(3, 5), theirs, others];
    farm.keeps_table_for_checks(&lines, 3);
    farm.configure(&both);
    farm.signal_daemon(Signal::SIGHUP);
    farm.expect_log(2, "configuration reloaded");
    expect(farm, &[1, 3], &[service, &one, &three, others]);
    farm.serve(2);
    expect(farm, &[1, 2, 3], &[service, &one, &two, &three, others]);
}

fn a_quiesced_server_that_a_reload_drops_is_removed(farm: &mut Farm) {
    let with = |reals: &str| format!("scheduler wrr\n{reals}service web:http\non_failure quiesce");
    let real = |number: u8| format!("real 192.168.0.{number} weight 5\n");
    let all = with(&[1, 2, 3].map(real).concat());
    start(farm, &all);
    expect(farm, &[1, 2, 3], &[]);
    farm.kill_server(2);
    expect(farm, &[1, 3], &[&server(2, 0)]);
    farm.configure(&config(&with(&[1, 3].map(real).concat())));
    farm.signal_daemon(Signal::SIGHUP);
    expect(farm, &[1, 3], &[]);
    // Well again, it is checked still and nobody's.
    farm.serve(2);
    farm.keeps_table_for_checks(&[SERVICE, &server(1, 5), &server(3, 5)], 3);
    farm.configure(&config(&all));
    farm.signal_daemon(Signal::SIGHUP);
    expect(farm, &[1, 2, 3], &[]);
}

fn a_server_comes_back_after_as_many_good_checks_as_rise_says(farm: &mut Farm) {
    const RISE: usize = 4;
    start(farm, &format!("{FARM}\nrise {RISE}"));
    expect(farm, &[1, 2, 3], &[]);
    farm.answer(2, "out of order\n");
    expect(farm, &[1, 3], &[]);
    let has_it = || {
        let found = table::proc_net();
        found.iter().any(|line| line.contains(" 192.168.0.2:80 "))
    };
    // A bad one in between, and it begins anew.
    let before = requests()[1];
    farm.answer(2, "server 2 is well\n");
    wait_until("a good check", SOON, || {
        assert!(!has_it(), "before its checks");
        requests()[1] > before + 1
    });
    let good = requests()[1];
    farm.answer(2, "out of order\n");
    // Its own: those of the others may be ahead by one. The first of two may have been under way.
    wait_until("a bad check", SOON * 2, || requests()[1] > good + 2);
    assert!(!has_it(), "its checks are bad again");
    let before = requests()[1];
    farm.answer(2, "server 2 is well\n");
    wait_until("the server in the table", SOON * 2, || {
        let is_in = has_it();
        // Looked at afterwards: those that came before are among them.
        let checks = requests()[1] - before;
        assert!(!is_in || checks >= RISE, "in after {checks} checks");
        is_in
    });
    expect(farm, &[1, 2, 3], &[]);
}

fn a_restart_puts_no_failed_server_in(farm: &mut Farm) {
    start(farm, &format!("{FARM}\nfall 2"));
    expect(farm, &[1, 2, 3], &[]);
    farm.kill_server(2);
    expect(farm, &[1, 3], &[]);
    farm.kill_daemon();
    farm.restart_daemon();
    farm.keeps_table_for_checks(&[SERVICE, &server(1, 5), &server(3, 5)], 4);
    // It recovers while the daemon is dead.
    farm.kill_daemon();
    farm.serve(2);
    farm.restart_daemon();
    expect(farm, &[1, 2, 3], &[]);
}

fn a_quiesced_server_stays_without_new_connections(farm: &mut Farm) {
    start(farm, &format!("{FARM}\non_failure quiesce"));
    expect(farm, &[1, 2, 3], &[]);
    farm.kill_server(2);
    let zero = server(2, 0);
    expect(farm, &[1, 3], &[&zero]);
    let client = Client::start();
    client.expect_more(20);
    assert_eq!(client.stop().1, 0, "nobody is sent to the quiesced server");
    farm.serve(2);
    expect(farm, &[1, 2, 3], &[]);
    // The word of a line stands before that of the section.
    farm.configure(&config(
        "scheduler wrr\nreal 192.168.0.1 weight 5 on_failure remove\nreal 192.168.0.2 weight 5\n\
         real 192.168.0.3 weight 5\nservice web:http\non_failure quiesce",
    ));
    farm.signal_daemon(Signal::SIGHUP);
    farm.kill_server(1);
    farm.kill_server(2);
    expect(farm, &[3], &[&zero]);
    farm.serve(1);
    farm.serve(2);
    expect(farm, &[1, 2, 3], &[]);
}

fn a_server_that_comes_back_starts_slowly(farm: &mut Farm) {
    let section = "scheduler wrr\nreal web weight 100\nservice web:http\nslow_start 8s";
    start(farm, section);
    let full: Vec<String> = [1, 2, 3].map(|number| server(number, 100)).into();
    let all: Vec<&str> = [SERVICE]
        .into_iter()
        .chain(full.iter().map(String::as_str))
        .collect();
    farm.expect_table(SOON, &all);
    farm.kill_server(2);
    farm.expect_table(SOON, &[SERVICE, &full[0], &full[2]]);
    farm.serve(2);
    let mut weights = Vec::new();
    wait_until("the full weight again", SOON, || {
        let found = table::proc_net();
        let words = found
            .iter()
            .find_map(|line| line.split_once(" 192.168.0.2:80 Route "));
        if let Some((_, weight)) = words
            && weights.last() != weight.parse::<u32>().ok().as_ref()
        {
            weights.extend(weight.parse::<u32>());
        }
        weights.last() == Some(&100)
    });
    assert!(weights.is_sorted() && weights.len() >= 4, "{weights:?}");
    assert!(weights[0] <= 30, "it began with {weights:?}");
    farm.expect_table(SOON, &all);
}

fn at_the_end_of_the_daemon_becomes_of_it_what_the_file_says(farm: &mut Farm) {
    start(farm, FARM);
    expect(farm, &[1, 2, 3], &[]);
    farm.stop_daemon();
    expect(farm, &[1, 2, 3], &[]);
    farm.start_daemon(&config(&format!("{FARM}\non_exit quiesce")));
    farm.expect_checks(2);
    farm.kill_daemon();
    expect(farm, &[1, 2, 3], &[]);
    farm.restart_daemon();
    farm.expect_checks(2);
    farm.stop_daemon();
    let (one, two, three) = (server(1, 0), server(2, 0), server(3, 0));
    farm.expect_table(SOON, &[SERVICE, &one, &two, &three]);
    farm.start_daemon(&config(&format!("{FARM}\non_exit remove")));
    expect(farm, &[1, 2, 3], &[]);
    farm.stop_daemon();
    farm.expect_table(SOON, &[]);
}

fn all_settings_of_a_service_reach_the_kernel(farm: &mut Farm) {
    farm.build();
    let sections = [
        (
            "10.0.0.3:80",
            "scheduler sh sh-port sh-fallback\npersistent 1h mask 255.255.255.0\nforward tun\n\
             real 192.168.0.1 weight 3 upper 100 lower 10\nreal 192.168.0.2 forward tun gre csum\n\
             real 192.168.0.3 forward tun gue 6080\nservice none",
        ),
        (
            "10.0.0.3:53",
            "protocol udp\nscheduler rr\none_packet\nforward nat\nreal 192.168.0.1:5353\nservice none",
        ),
        ("fwmark 7", "scheduler wlc\nreal 192.168.0.1\nservice none"),
        (
            "fwmark 8",
            "family v6\nscheduler wlc\npersistent 300 prefix 64\nreal 2001:db8::11\nservice none",
        ),
        (
            "[2001:db8::3]:80",
            "scheduler mh mh-port\nreal [2001:db8::12]:80 weight 9\nservice none",
        ),
        (
            "10.0.0.3:5060",
            "protocol sctp\nscheduler rr\nreal 192.168.0.1\nservice none",
        ),
    ];
    let mut text = String::from("statedir = /run/state\n\n");
    for (key, section) in sections {
        text.push_str(&virtual_service(key, section));
    }
    farm.start_daemon(&text);
    let lines = [
        "-A -t 10.0.0.3:80 -s sh -p 3600 -M 255.255.255.0 -b sh-fallback,sh-port",
        "-a -t 10.0.0.3:80 -r 192.168.0.1:80 -i -w 3 --tun-type ipip",
        "-a -t 10.0.0.3:80 -r 192.168.0.2:80 -i -w 1 --tun-type gre --tun-csum",
        "-a -t 10.0.0.3:80 -r 192.168.0.3:80 -i -w 1 --tun-type gue --tun-port 6080 --tun-nocsum",
        "-A -u 10.0.0.3:53 -s rr -o",
        "-a -u 10.0.0.3:53 -r 192.168.0.1:5353 -m -w 1",
        "-A -f 7 -s wlc",
        "-a -f 7 -r 192.168.0.1:0 -g -w 1",
        "-A -f 8 -6 -s wlc -p 300 -M 64",
        "-a -f 8 -6 -r [2001:db8::11]:0 -g -w 1",
        "-A -t [2001:db8::3]:80 -s mh -b mh-port",
        "-a -t [2001:db8::3]:80 -r [2001:db8::12]:80 -g -w 9",
        "-A --sctp-service 10.0.0.3:5060 -s rr",
        "-a --sctp-service 10.0.0.3:5060 -r 192.168.0.1:5060 -g -w 1",
    ];
    farm.expect_table(SOON, &lines);
    // A listing of its own: -S does not print them.
    let thresholds = run("ipvsadm -Ln --thresholds");
    let line = thresholds
        .lines()
        .find(|line| line.contains("192.168.0.1:80"));
    let words: Vec<&str> = line.unwrap_or_default().split_whitespace().collect();
    assert_eq!(
        words.get(2..4),
        Some(["100", "10"].as_slice()),
        "{thresholds}"
    );
    let said: Said = say(&mut lvsmon(["table", "--config", "/run/mon.cf"]), "");
    assert_eq!(said.status, Some(0), "{said:?}");
}

fn before_the_first_verdict_the_file_says_who_is_in(farm: &mut Farm) {
    farm.build();
    // Their check comes to no end while this looks.
    for number in 1..=3 {
        farm.signal_server(number, Signal::SIGSTOP);
    }
    let stays = [SERVICE, &server(2, 5)];
    for (initial, found, becomes) in [
        ("in", &[][..], &[1, 2, 3][..]),
        ("out", &stays, &[]),
        ("as_found", &stays, &[2]),
        // An empty service serves nobody: after a while all are in.
        ("as_found", &[], &[1, 2, 3]),
    ] {
        run("ipvsadm -C; rm -rf /run/state");
        for line in found {
            run(&format!("ipvsadm {line}"));
        }
        let text = config(&format!("{FARM}\ninitial {initial}"));
        farm.start_daemon(&text.replace("-t 1 ", "-t 120 "));
        expect(farm, becomes, &[]);
        farm.kill_daemon();
    }
}

/// All that the director reaches goes through these: its gateway is the client's box.
const UPLINKS: &str = "for box in client r1 r2 r3; do ip link set p-$box";

fn while_the_director_is_cut_off_nothing_changes(farm: &mut Farm) {
    farm.build();
    let _ = std::fs::remove_file("/run/told");
    run(
        "mkdir -p -m 755 /run/alert.d && printf '#!/bin/sh\\necho \"$*\" >>/run/told\\n' \
         >/run/alert.d/tell.alert && chmod 755 /run/alert.d/tell.alert",
    );
    let alert = "\tperiod wd {Sun-Sat}\n\t    alertevery 1h\n\t    alert tell.alert\n";
    let gate = format!(
        "alertdir = /run/alert.d\nwitness = gate:ping\n\nhostgroup gate 192.168.0.9\n\n\
         watch gate\n    service ping\n\tinterval 1s\n\tmonitor fping.monitor\n{alert}"
    );
    let told = format!("\tmonitor http.monitor -t 1 -m \"is well\"\n{alert}");
    let text = with_globals(&gate, FARM);
    farm.start_daemon(&text.replace("\tmonitor http.monitor -t 1 -m \"is well\"\n", &told));
    expect(farm, &[1, 2, 3], &[]);
    let before = table::proc_net();
    run(&format!("{UPLINKS} down; done"));
    let messages = || std::fs::read_to_string("/run/told").unwrap_or_default();
    wait_until("the one message", SOON, || {
        assert_eq!(table::proc_net(), before, "the table changed");
        messages().contains("-g gate")
    });
    // Several checks of each server fail meanwhile.
    let watch = Stopwatch::start();
    wait_until("some failed checks", SOON, || {
        assert_eq!(table::proc_net(), before, "the table changed");
        watch.elapsed() >= Duration::from_secs(8)
    });
    let why = say(
        &mut lvsmon(["why", "192.168.0.1", "--config", "/run/mon.cf"]),
        "",
    );
    assert!(why.out.contains("cut off"), "{why:?}");
    run(&format!("{UPLINKS} up; done"));
    let lines = [SERVICE, &server(1, 5), &server(2, 5), &server(3, 5)];
    farm.keeps_table_for_checks(&lines, 4);
    assert_eq!(messages().lines().count(), 1, "{}", messages());
    // Failures count again.
    farm.kill_server(2);
    expect(farm, &[1, 3], &[]);
}
