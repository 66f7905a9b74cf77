//! Live connections and other hands: what becomes of connections, and of clients that are tied to
//! their real server, when it is to go, of a limit on connections, of entries that somebody else
//! writes too, and what is said to the kernel at all.
//!
//! The connections go to servers on port 7000 that answer with their names; whether a real server
//! is well says its HTTP server.

use std::fs::{self, File};
use std::process::{Command, Stdio};
use std::time::Duration;

use lvsmon::clock::Stopwatch;
use nix::sys::signal::Signal;

use super::client::{Held, from, start_echo, who_answers};
use super::guest::{Farm, SOON, attempt, run, say, tied_clients};
use super::lab::scenarios;
use super::table;
use crate::support::{Running, lvsmon, root, wait_for, wait_until};

scenarios!(
    "hands",
    [
        a_failed_server_is_drained_until_its_connections_have_ended,
        a_failed_server_leaves_at_the_deadline_of_its_drain,
        an_operator_drains_a_server_with_live_connections,
        an_operators_wish_outlives_restart_and_reload_and_ends_by_itself,
        clients_that_are_tied_to_a_server_of_weight_0_keep_coming_unless_the_kernel_lets_go,
        a_server_that_has_its_upper_number_of_connections_gets_no_more,
        a_failed_udp_server_is_removed_and_its_clients_go_elsewhere,
        another_writer_of_an_entry_is_noticed_and_not_fought_for_ever,
        a_reload_that_changes_nothing_writes_nothing_to_the_kernel,
        a_restart_and_a_reload_write_only_what_differs,
        crashed_servers_leave_the_table_at_once_with_tripwire_on,
    ]
);

const VIP: &str = "10.0.0.3 7000";
const SERVICE: &str = "-A -t 10.0.0.3:7000 -s rr";

/// Two real servers of the virtual service on port 7000.
fn config(section: &str) -> String {
    format!(
        "statedir = /run/state\n\nhostgroup web 192.168.0.1 192.168.0.2\n\n\
         watch web\n    service http\n\tinterval 1s\n\tmonitor http.monitor -t 5 -m \"is well\"\n\n\
         virtual 10.0.0.3:7000\n    scheduler rr\n    service web:http\n    {}\n\n",
        section.replace('\n', "\n    ")
    )
}

fn server(number: u8, weight: u32) -> String {
    format!("-a -t 10.0.0.3:7000 -r 192.168.0.{number}:7000 -g -w {weight}")
}

/// Waits for the table with these servers and weights.
#[track_caller]
fn expect(farm: &mut Farm, servers: &[(u8, u32)]) {
    let lines: Vec<String> = servers
        .iter()
        .map(|&(it, weight)| server(it, weight))
        .collect();
    let lines = lines.iter().map(String::as_str);
    let lines: Vec<&str> = [SERVICE].into_iter().chain(lines).collect();
    farm.expect_table(SOON, &lines);
}

/// Both servers answer, and are in.
fn start(farm: &mut Farm, section: &str) -> [Running; 2] {
    farm.build();
    let servers = [1, 2].map(|number| start_echo(number, "tcp 10.0.0.3 7000"));
    farm.start_daemon(&config(section));
    expect(farm, &[(1, 5), (2, 5)]);
    servers
}

/// One connection to each of the two.
fn hold_two() -> Held {
    let mut held = Held::open(&format!("tcp {VIP}"), 2);
    let mut names = held.ask();
    names.sort_unstable();
    assert_eq!(names, ["1", "2"]);
    held
}

#[track_caller]
fn expect_answers_of(names: &[&str]) {
    let answers = who_answers(&format!("tcp {VIP}"), 4);
    let wanted: Vec<String> = names.iter().map(|name| format!("server {name}")).collect();
    assert!(answers.iter().eq(&wanted), "{answers:?}");
}

fn a_failed_server_is_drained_until_its_connections_have_ended(farm: &mut Farm) {
    let _servers = start(farm, "real web weight 5\non_failure drain 1h");
    let mut held = hold_two();
    farm.answer(1, "out of order\n");
    expect(farm, &[(1, 0), (2, 5)]);
    farm.keeps_table_for_checks(&[SERVICE, &server(1, 0), &server(2, 5)], 4);
    assert!(held.ask().contains(&"1".to_owned()), "its connection lives");
    expect_answers_of(&["2"]);
    held.close();
    expect(farm, &[(2, 5)]);
    farm.answer(1, "server 1 is well\n");
    expect(farm, &[(1, 5), (2, 5)]);
    expect_answers_of(&["1", "2"]);
}

fn a_failed_server_leaves_at_the_deadline_of_its_drain(farm: &mut Farm) {
    let _servers = start(farm, "real web weight 5\non_failure drain 4s");
    let mut held = hold_two();
    farm.answer(1, "out of order\n");
    expect(farm, &[(1, 0), (2, 5)]);
    expect(farm, &[(2, 5)]);
    // Packets of a connection whose server is gone go nowhere.
    assert!(held.ask().contains(&"2".to_owned()), "the other one lives");
}

const DRAIN_LOG: &str = "/run/drain.log";

/// `lvsmon drain`, which waits for the end of it.
fn drain(number: u8, deadline: &str) -> Running {
    let server = format!("192.168.0.{number}");
    let mut command = lvsmon(["drain", &server, "--deadline", deadline]);
    command.args(["--reason", "new kernel", "--config", "/run/mon.cf"]);
    let log = File::create(DRAIN_LOG).expect("a log");
    let errors = log.try_clone().expect("a log");
    command.stdin(Stdio::null()).stdout(log).stderr(errors);
    Running::start(&mut command)
}

/// What the last `drain` has said so far.
fn said_of_drain() -> String {
    fs::read_to_string(DRAIN_LOG).unwrap_or_default()
}

/// A wish that is to be carried out.
#[track_caller]
fn wish(words: &str) {
    let mut command = lvsmon(words.split(' '));
    let said = say(command.args(["--config", "/run/mon.cf"]), "");
    assert_eq!(said.status, Some(0), "{words}: {said:?}");
}

/// Sets `net.ipv4.vs.NAME`.
fn set_kernel(name: &str, value: u8) {
    run(&format!("echo {value} >/proc/sys/net/ipv4/vs/{name}"));
}

fn an_operator_drains_a_server_with_live_connections(farm: &mut Farm) {
    let _servers = start(farm, "real web weight 5");
    let mut held = hold_two();
    let mut waits = drain(1, "10m");
    expect(farm, &[(1, 0), (2, 5)]);
    farm.keeps_table_for_checks(&[SERVICE, &server(1, 0), &server(2, 5)], 4);
    assert!(waits.runs(), "a connection is active");
    assert!(held.ask().contains(&"1".to_owned()), "its connection lives");
    expect_answers_of(&["2"]);
    let why = say(
        &mut lvsmon(["why", "192.168.0.1", "--config", "/run/mon.cf"]),
        "",
    );
    assert!(why.out.contains("new kernel"), "{why:?}");
    // A restart goes on with it.
    farm.kill_daemon();
    drop(waits);
    farm.restart_daemon();
    farm.expect_checks(2);
    expect(farm, &[(1, 0), (2, 5)]);
    held.close();
    expect(farm, &[(2, 5)]);
    wish("enable 192.168.0.1");
    expect(farm, &[(1, 5), (2, 5)]);

    let held = hold_two();
    let mut waits = drain(1, "4s");
    expect(farm, &[(2, 5)]);
    let status = waits.wait(SOON);
    let said = said_of_drain();
    assert_eq!(status.code(), Some(4), "out at the deadline: {said}");
    held.close();
}

fn an_operators_wish_outlives_restart_and_reload_and_ends_by_itself(farm: &mut Farm) {
    let _servers = start(farm, "real web weight 5");
    wish("quiesce 192.168.0.1");
    expect(farm, &[(1, 0), (2, 5)]);
    wish("weight 9 192.168.0.2");
    expect(farm, &[(1, 0), (2, 9)]);
    let lines = [SERVICE, &server(1, 0), &server(2, 9)];
    farm.kill_daemon();
    farm.restart_daemon();
    farm.keeps_table_for_checks(&lines, 3);
    farm.configure(&config(
        "real 192.168.0.1 weight 5\nreal 192.168.0.2 weight 7",
    ));
    farm.signal_daemon(Signal::SIGHUP);
    farm.expect_log(1, "configuration reloaded");
    farm.keeps_table_for_checks(&lines, 3);
    // Health is another axis: who fails is out, and is back with what was wished.
    farm.answer(2, "out of order\n");
    expect(farm, &[(1, 0)]);
    farm.answer(2, "server 2 is well\n");
    expect(farm, &[(1, 0), (2, 9)]);
    farm.answer(1, "out of order\n");
    expect(farm, &[(2, 9)]);
    wish("enable 192.168.0.1");
    farm.keeps_table_for_checks(&[SERVICE, &server(2, 9)], 3);
    farm.answer(1, "server 1 is well\n");
    expect(farm, &[(1, 5), (2, 9)]);
    wish("enable 192.168.0.2");
    expect(farm, &[(1, 5), (2, 7)]);
    // Maintenance ends by itself.
    wish("disable 192.168.0.2 --for 3s");
    expect(farm, &[(1, 5)]);
    expect(farm, &[(1, 5), (2, 7)]);
}

/// The one server that has two connections of that client, and the other one. In turn each would
/// go to another.
#[track_caller]
fn home_of(client: &str, asks: &str) -> (u8, u8) {
    let names = from(client, asks, 2);
    match [1, 2].map(|it| names.contains(&format!("server {it}"))) {
        [true, false] => (1, 2),
        [false, true] => (2, 1),
        _ => panic!("{client} is served by {names:?}"),
    }
}

fn clients_that_are_tied_to_a_server_of_weight_0_keep_coming_unless_the_kernel_lets_go(
    farm: &mut Farm,
) {
    // A port of its own: ties outlive a scenario.
    const ASKS: &str = "tcp 10.0.0.3 7020";
    const CLIENT: &str = "10.0.0.9";
    const WARNING: &str = "1 persistent clients keep coming back to it until it is out: \
                           net.ipv4.vs.expire_quiescent_template is 0";
    let elsewhere = |line: &str| line.replace(":7000", ":7020");
    let expect = |farm: &mut Farm, servers: &[(u8, u32)]| {
        let entries = servers.iter().map(|&(it, weight)| server(it, weight));
        let service = [format!("{SERVICE} -p 300")].into_iter();
        let lines: Vec<String> = service.chain(entries).map(|it| elsewhere(&it)).collect();
        let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
        farm.expect_table(SOON, &lines);
    };
    let home = || home_of(CLIENT, ASKS);
    let expect_tied = |number: u8, clients: u64| {
        let name = elsewhere(&format!("192.168.0.{number}:7000"));
        wait_until("lvsmon to show who is tied", SOON, || {
            tied_clients(&name) == Some(clients)
        });
    };
    farm.build();
    set_kernel("expire_quiescent_template", 0);
    let _servers = [1, 2].map(|number| start_echo(number, ASKS));
    farm.start_daemon(&elsewhere(&config("real web weight 5\npersistent 300")));
    expect(farm, &[(1, 5), (2, 5)]);
    let (first, second) = home();
    expect_tied(first, 1);
    wish(&format!("quiesce 192.168.0.{first}"));
    expect(farm, &[(first, 0), (second, 5)]);
    assert_eq!(home().0, first, "it is tied");
    let address = format!("192.168.0.{first}");
    let why = say(
        &mut lvsmon(["why", &address, "--config", "/run/mon.cf"]),
        "",
    );
    assert!(why.out.contains("inactive, 1 persistent"), "{why:?}");
    set_kernel("expire_quiescent_template", 1);
    assert_eq!(home().0, second, "the kernel lets it go");
    expect_tied(second, 1);
    // The tie that is of no use any more counts until it runs out.
    expect_tied(first, 1);
    wish(&format!("enable 192.168.0.{first}"));
    expect(farm, &[(1, 5), (2, 5)]);

    set_kernel("expire_quiescent_template", 0);
    let held = Held::open(ASKS, 1);
    let mut waits = drain(second, "10m");
    expect(farm, &[(first, 5), (second, 0)]);
    wait_until("what the drain waits for", SOON, || {
        said_of_drain().contains("1 active, ")
    });
    let said = said_of_drain();
    assert!(said.contains(WARNING), "{said}");
    assert!(said.contains("inactive, 1 persistent; "), "{said}");
    assert_eq!(home().0, second, "it is tied");
    assert!(waits.runs(), "a connection is active");
    held.close();
    expect(farm, &[(first, 5)]);
    let status = waits.wait(SOON);
    assert_eq!(status.code(), Some(0), "{}", said_of_drain());
    farm.expect_log(1, "1 persistent clients that are tied to it go elsewhere");
    assert_eq!(home().0, first, "its server is out");
    wish(&format!("enable 192.168.0.{second}"));
    expect(farm, &[(1, 5), (2, 5)]);

    // Where the kernel lets them go, there is nothing to warn of.
    set_kernel("expire_quiescent_template", 1);
    let mut waits = drain(first, "10m");
    assert_eq!(waits.wait(SOON).code(), Some(0), "{}", said_of_drain());
    let said = said_of_drain();
    assert!(said.contains("2 persistent"), "{said}");
    assert!(!said.contains("keep coming back"), "{said}");
}

fn a_server_that_has_its_upper_number_of_connections_gets_no_more(farm: &mut Farm) {
    // A port of its own: a server that comes back still has the kernel's count of before.
    const OTHER: &str = "tcp 10.0.0.3 7010";
    let elsewhere = |line: &str| line.replace(":7000", ":7010");
    farm.build();
    let _servers = [1, 2].map(|number| start_echo(number, OTHER));
    let section = "real 192.168.0.1 weight 5 upper 2 lower 1\nreal 192.168.0.2 weight 5";
    farm.start_daemon(&elsewhere(&config(section)));
    let lines = [SERVICE, &server(1, 5), &server(2, 5)].map(elsewhere);
    let lines = lines.each_ref().map(String::as_str);
    farm.expect_table(SOON, &lines);
    // A connection that has ended counts until the kernel forgets it.
    run("ipvsadm --set 900 1 300");
    let held = Held::open(OTHER, 4);
    let second = ["server 2".to_owned()];
    assert!(who_answers(OTHER, 4).iter().eq(&second));
    farm.keeps_table_for_checks(&lines, 2);
    assert!(who_answers(OTHER, 4).iter().eq(&second));
    held.close();
    wait_until("the first server gets connections again", SOON, || {
        who_answers(OTHER, 4).len() == 2
    });
    run("ipvsadm --set 900 120 300");
}

fn a_failed_udp_server_is_removed_and_its_clients_go_elsewhere(farm: &mut Farm) {
    farm.build();
    let udp = "-A -u 10.0.0.3:53 -s rr";
    let entry = |number: u8| format!("-a -u 10.0.0.3:53 -r 192.168.0.{number}:53 -g -w 1");
    let _servers = [1, 2].map(|number| start_echo(number, "udp 10.0.0.3 53"));
    let text = config("real web\non_failure quiesce").replace(
        "virtual 10.0.0.3:7000\n",
        "virtual 10.0.0.3:53\n    protocol udp\n",
    );
    farm.start_daemon(&text);
    farm.expect_table(SOON, &[udp, &entry(1), &entry(2)]);
    set_kernel("expire_nodest_conn", 0);
    let check = || lvsmon(["check", "--host", "--config", "/run/mon.cf"]);
    let said = say(&mut check(), "");
    assert!(said.out.contains("expire_nodest_conn=1"), "{said:?}");
    set_kernel("expire_nodest_conn", 1);
    // One client for each server, always from the same port: the kernel keeps it where it is.
    let mut held = Held::open("udp 10.0.0.3 53", 2);
    assert_eq!(held.ask(), held.ask());
    farm.answer(1, "out of order\n");
    farm.expect_table(SOON, &[udp, &entry(2)]);
    // The first datagram finds out, the next goes elsewhere.
    wait_until("both go to the server that is left", SOON, || {
        held.ask() == ["2", "2"]
    });
    farm.answer(1, "server 1 is well\n");
    farm.expect_table(SOON, &[udp, &entry(1), &entry(2)]);
    assert_eq!(who_answers("udp 10.0.0.3 53", 4).len(), 2);
}

/// Edits an entry again and again, every third of a second.
const WRITER: &str =
    "while ipvsadm -e -t 10.0.0.3:7000 -r 192.168.0.1:7000 -g -w 1; do sleep 0.3; done";
/// For so long an entry rests that is fought for, and a loaded machine.
const REST: Duration = Duration::from_secs(90);

fn another_writer_of_an_entry_is_noticed_and_not_fought_for_ever(farm: &mut Farm) {
    let _ = fs::remove_file("/run/told");
    run(
        "mkdir -p -m 755 /run/alert.d && printf '#!/bin/sh\\ncat >>/run/told\\n' >/run/alert.d/lab.alert && \
         chmod 755 /run/alert.d/lab.alert",
    );
    let _servers = start(farm, "real web weight 5");
    let alarmed = config("real web weight 5\nalert lab.alert");
    farm.configure(&format!("alertdir = /run/alert.d\n{alarmed}"));
    farm.signal_daemon(Signal::SIGHUP);
    farm.expect_log(1, "configuration reloaded");
    let writer = Running::start(Command::new("sh").args(["-c", WRITER]));
    farm.expect_log(1, "somebody else changes this again and again");
    let told = || fs::read_to_string("/run/told").unwrap_or_default();
    wait_until("the alert", SOON, || {
        told().contains("10.0.0.3:7000/tcp is changed by somebody else again and again")
    });
    // It rests, and says so; all else of the service follows its checks.
    let repairs = |farm: &Farm| farm.log().matches("put right again").count();
    let before = repairs(farm);
    farm.answer(2, "out of order\n");
    expect(farm, &[(1, 1)]);
    farm.keeps_table_for_checks(&[SERVICE, &server(1, 1)], 4);
    assert_eq!(repairs(farm), before, "it is not fought for");
    farm.answer(2, "server 2 is well\n");
    expect(farm, &[(1, 1), (2, 5)]);
    let said = say(&mut lvsmon(["table", "--config", "/run/mon.cf"]), "");
    farm.note(&said.out);
    drop(writer);
    let lines = [SERVICE, &server(1, 5), &server(2, 5)];
    farm.expect_table(REST, &lines);
}

/// Reads along what is said to IPVS.
struct Listener {
    _process: Running,
}

const HEARD: &str = "/run/netlink.log";

impl Listener {
    fn start() -> Self {
        run("modprobe -d /run/m nlmon");
        let _ = attempt("ip link add name nlmon0 type nlmon");
        run("ip link set nlmon0 up");
        let script = root().join("tests/ipvs/guest/netlink.py");
        let log = File::create(HEARD).expect("a log");
        let mut command = Command::new("python3");
        command
            .arg(script)
            .arg("nlmon0")
            .stdin(Stdio::null())
            .stdout(log);
        let process = Running::start(&mut command);
        wait_until("the listener", SOON, || heard().0 > 0);
        Self { _process: process }
    }
}

/// How often was read, and what was written: the numbers of the commands.
fn heard() -> (usize, Vec<u8>) {
    let text = fs::read_to_string(HEARD).unwrap_or_default();
    let writes = text.lines().filter_map(|line| line.strip_prefix("write "));
    let writes = writes.filter_map(|number| number.parse().ok()).collect();
    (text.lines().filter(|line| *line == "read").count(), writes)
}

fn a_reload_that_changes_nothing_writes_nothing_to_the_kernel(farm: &mut Farm) {
    let _servers = start(farm, "real web weight 5");
    let _listener = Listener::start();
    // The witness hears: the one change is one message, to delete a real server.
    farm.answer(1, "out of order\n");
    expect(farm, &[(2, 5)]);
    wait_until("the message", SOON, || heard().1 == [7]);
    let reads = heard().0;
    for times in 1..=3 {
        farm.signal_daemon(Signal::SIGHUP);
        farm.expect_log(times, "configuration reloaded");
        farm.expect_checks(2);
    }
    wait_until("some looks at the table", SOON, || heard().0 > reads + 3);
    assert_eq!(heard().1, [7], "something was written");
}

/// A restart takes over what it finds, and what has another weight or scheduler is edited where it
/// is.
fn a_restart_and_a_reload_write_only_what_differs(farm: &mut Farm) {
    let _servers = start(farm, "real web weight 5");
    let _listener = Listener::start();
    farm.kill_daemon();
    farm.restart_daemon();
    farm.expect_checks(2);
    farm.answer(1, "out of order\n");
    expect(farm, &[(2, 5)]);
    wait_until("the message", SOON, || !heard().1.is_empty());
    assert_eq!(heard().1, [7], "the restart wrote something");
    // While the first is down: one more, and other settings of the service and of the second.
    let section = "real 192.168.0.1 weight 5\nreal 192.168.0.2 weight 7\n\
                   real 192.168.0.3 weight 1 service none";
    farm.configure(&config(section).replace("scheduler rr", "scheduler wrr"));
    farm.signal_daemon(Signal::SIGHUP);
    let service = SERVICE.replace("rr", "wrr");
    farm.expect_table(SOON, &[&service, &server(2, 7), &server(3, 1)]);
    let mut writes = Vec::new();
    wait_until("the messages", SOON, || {
        writes = heard().1.split_off(1);
        writes.len() >= 3
    });
    farm.expect_checks(2);
    writes = heard().1.split_off(1);
    writes.sort_unstable();
    // To set a service, to make a real server, to set one.
    assert_eq!(writes, [2, 5, 6]);
}

fn crashed_servers_leave_the_table_at_once_with_tripwire_on(farm: &mut Farm) {
    const PORTS: [u16; 5] = [7001, 7002, 7003, 7004, 7005];
    farm.build();
    let mut text = String::from("statedir = /run/state\n\n");
    let mut section = String::from("virtual 10.0.0.3:80\n    scheduler rr\n    forward nat\n");
    let mut wanted = vec!["-A -t 10.0.0.3:80 -s rr".to_owned()];
    let mut servers = Vec::new();
    for port in PORTS {
        let number = u8::try_from(port % 3 + 1).expect("1 to 3");
        let address = format!("192.168.0.{number}");
        text.push_str(&format!(
            "hostgroup s{port} {address}\n\nwatch s{port}\n    service tcp\n\tinterval 10m\n\
             \tmonitor tcp.monitor -p {port} -t 5\n\ttripwire on\n\n"
        ));
        section.push_str(&format!("    real {address}:{port} service s{port}:tcp\n"));
        wanted.push(format!("-a -t 10.0.0.3:80 -r {address}:{port} -m -w 1"));
        servers.push((port, start_echo(number, &format!("tcp {address} {port}"))));
    }
    farm.start_daemon(&format!("{text}{section}\n"));
    let lines: Vec<&str> = wanted.iter().map(String::as_str).collect();
    farm.expect_table(SOON, &lines);
    wait_until("a connection to each", SOON, || {
        let held = run("ss -Htn state established");
        let is_held = |port: &u16| {
            let end = format!(":{port}");
            held.split_whitespace().any(|word| word.ends_with(&end))
        };
        PORTS.iter().all(is_held)
    });
    for (port, process) in servers {
        // Moments that have nothing to do with what the daemon does.
        farm.wait_a_part_of_a_second(u64::from(port) * 389 % 1000);
        process.signal(Signal::SIGKILL);
        let crash = Stopwatch::start();
        let entry = format!(":{port} ");
        let is_in = || table::proc_net().iter().any(|line| line.contains(&entry));
        let out = wait_for("the crashed server is out", SOON, || {
            (!is_in()).then(|| crash.elapsed())
        });
        farm.note(&format!(
            "crash of the server on port {port}: out after {out:?}"
        ));
    }
    farm.expect_table(SOON, &lines[..1]);
}
