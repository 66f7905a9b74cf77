//! What comes of a file passes `lvsmon check`, and runs: on a table in memory, as an observer.

use std::fs::File;
use std::net::TcpListener;
use std::process::Stdio;
use std::time::Duration;

use super::{data, import};
use crate::support::{Running, TempDir, free_port, lvsmon, wait_until};

/// Something that takes a second comes within this time on the busiest machine.
const SOON: Duration = Duration::from_secs(60);

/// A virtual service by address and one by mark, each with a server that answers and one that does
/// not.
fn keepalived(port: u16) -> String {
    let servers = ["127.0.0.1", "127.0.0.2"].map(|host| {
        format!(
            " real_server {host} {port} {{\n  weight 3\n  TCP_CHECK {{\n   connect_timeout 1\n   \
             retry 0\n  }}\n }}\n"
        )
    });
    let servers = servers.concat();
    format!(
        "virtual_server 10.0.0.3 {port} {{\n protocol TCP\n lb_kind DR\n delay_loop 1\n{servers}}}\n\
         virtual_server fwmark 3 {{\n lb_kind DR\n delay_loop 1\n sorry_server 10.0.0.9\n{servers}}}\n"
    )
}

fn ldirectord(port: u16) -> String {
    let servers = ["127.0.0.1", "127.0.0.2"];
    let servers = servers.map(|host| format!("\treal={host}:{port} gate 3\n"));
    let servers = servers.concat();
    let section =
        |target: &str| format!("virtual={target}\n{servers}\tchecktype=connect\n\tservice=http\n");
    let by_address = section(&format!("10.0.0.3:{port}"));
    let by_mark = section("3") + "\tprotocol=fwm\n";
    format!("checkinterval=1\nchecktimeout=1\nquiescent=no\n{by_address}{by_mark}")
}

/// Imports a file, has the result checked, and observes with it until all that is expected is said.
/// The entries of the mark have that port.
fn try_out(name: &str, text: &str, port: u16, mark_port: u16) {
    let folder = TempDir::new();
    folder.write(name, text);
    let (code, text, said) = import(folder.path(), &[name]);
    assert_eq!(code, Some(0), "{said}");
    let root = folder.path().display();
    let own = format!(
        "statedir = {root}/state\npidfile = {root}/pid\nipvs_backend = memory\n\
         serverport = {}\ntrapport = {}\n",
        free_port(),
        free_port()
    );
    let config = folder.write("mon.cf", own + &text);
    let check = lvsmon(["check", "--config"]).arg(&config).output();
    let check = check.expect("lvsmon runs");
    let checked = String::from_utf8_lossy(&check.stdout).into_owned();
    assert_eq!(check.status.code(), Some(0), "{checked}");
    assert!(checked.contains("no mistakes"), "{checked}");
    let log = File::create(folder.join("log")).expect("a log");
    let mut command = lvsmon(["run", "--observe", "--config"]);
    command.arg(&config).stdout(Stdio::null()).stderr(log);
    let running = Running::start(&mut command);
    let said = || folder.read("log");
    // Both virtual services are wanted, and without the server that does not answer.
    for text in [
        format!("add virtual service 10.0.0.3:{port}/tcp with scheduler"),
        "add virtual service fwmark 3 with scheduler".to_owned(),
        format!("real server out vs=10.0.0.3:{port}/tcp rs=127.0.0.2:{port}"),
        format!("real server out vs=fwmark 3 rs=127.0.0.2:{mark_port}"),
    ] {
        wait_until(&format!("{text:?} in the log of {name}"), SOON, || {
            said().contains(&text)
        });
    }
    drop(running);
    assert!(!said().contains("panicked"), "{}", said());
}

#[test]
fn what_comes_of_a_file_passes_check_and_runs() {
    let alive = TcpListener::bind("127.0.0.1:0").expect("a listener");
    let port = alive.local_addr().expect("an address").port();
    try_out("keepalived.conf", &keepalived(port), port, 0);
    try_out("ldirectord.cf", &ldirectord(port), port, port);
}

#[test]
fn what_came_of_files_as_people_have_them_passes_check() {
    // The plugin that one of them runs, wherever this machine has it.
    let folder = TempDir::new();
    folder.write_executable("check_udp", "#!/bin/sh\n");
    for name in ["keepalived.mon.cf", "ldirectord.mon.cf"] {
        let check = lvsmon(["check", "--config"])
            .arg(data().join(name))
            .env("PATH", folder.path())
            .output();
        let check = check.expect("lvsmon runs");
        let said = String::from_utf8_lossy(&check.stdout).into_owned();
        assert_eq!(check.status.code(), Some(0), "{said}");
        assert!(said.contains("no mistakes, no warnings"), "{said}");
    }
}
