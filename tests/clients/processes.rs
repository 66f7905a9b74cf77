//! `list pids` names what runs, so that an operator may end a check and nothing else.

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::clients::daemon::{Client, LIMIT, OPEN};
use crate::support::{Running, TempDir, free_port, lvsmon, wait_for, wait_until};

/// The process of a service that runs.
fn listed(client: &mut Client, service: &str) -> Option<i32> {
    let lines = client.ask("list pids");
    let mut words = lines.iter().filter_map(|line| line.strip_prefix(service));
    words
        .next()
        .map(|pid| pid.trim().parse().expect("a number"))
}

#[test]
fn a_listed_process_is_that_of_the_monitor_and_can_be_killed_without_harm() {
    let folder = TempDir::new();
    let place = folder.path().display().to_string();
    folder.write("auth.cf", OPEN);
    for name in ["slow.monitor", "check_slow"] {
        let body = format!("#!/bin/sh\necho $$ >>{place}/{name}.id\nexec sleep 1000\n");
        folder.write_executable(name, body);
    }
    let port = free_port();
    folder.write(
        "mon.cf",
        format!(
            "statedir = {place}/state\nmondir = {place}\nalertdir = {place}\n\
             authfile = {place}/auth.cf\nipvs_backend = memory\nserverport = {port}\n\
             trapport = 0\n\nhostgroup g h1\n\nwatch g\n    service program\n\
             \x20       interval 1s\n        monitor slow.monitor\n    service plugin\n\
             \x20       interval 1s\n        monitor plugin.monitor -t 1000 {place}/check_slow\n"
        ),
    );
    let mut running = Running::start(lvsmon(["run", "--config"]).arg(folder.join("mon.cf")));
    wait_until("the port", LIMIT, || {
        std::net::TcpStream::connect(("127.0.0.1", port)).is_ok()
    });
    let mut client = Client::new(port);
    for (service, name) in [("g program ", "slow.monitor"), ("g plugin ", "check_slow")] {
        let id = wait_for(&format!("a process of {service}"), LIMIT, || {
            let ids = folder.read(&format!("{name}.id"));
            ids.lines().next()?.parse::<i32>().ok()
        });
        assert_eq!(listed(&mut client, service), Some(id), "{service}");
        kill(Pid::from_raw(id), Signal::SIGKILL).expect("it is ours");
        wait_until("the end of the check", LIMIT, || {
            listed(&mut client, service) != Some(id)
        });
    }
    wait_until("the failure of the program", LIMIT, || {
        client.ask("list opstatus g,program")[0].contains("exitval=137")
    });
    let server = client.ask("list pids").remove(0);
    assert_eq!(
        server,
        format!("server {}", running.0.id()),
        "the daemon lives"
    );
    running.signal(Signal::SIGTERM);
    running.wait(LIMIT);
}
