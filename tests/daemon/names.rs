//! Real servers by name, through the running daemon: a name that changes its address, and one
//! that does not resolve. The daemon's `/etc/hosts` is a file of the test, in a mount namespace.

use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::process::Command;

use super::farm::{Farm, SOON, WebServer};
use crate::support::{have, is_root, lvsmon_path, skip, wait_until};

/// Whether the test can give the daemon a hosts file; says so where not.
fn can_give_hosts(test: &str) -> bool {
    let can = is_root() && have("unshare") && have("mount");
    if !can {
        skip(test, "root, unshare and mount");
    }
    can
}

/// The farm with the names web1 and web2 in the place of addresses, and that hosts file.
fn start_with_hosts(hosts: &str) -> Farm {
    let mut farm = Farm::new();
    let text = farm.text(5, true);
    let text = text.replace("127.0.0.11", "web1");
    farm.configure(&text.replace("127.0.0.12", "web2"));
    start_again_with_hosts(&mut farm, hosts);
    farm
}

/// The daemon of that farm, in a life with that hosts file.
fn start_again_with_hosts(farm: &mut Farm, hosts: &str) {
    write_hosts(farm, hosts);
    // Nobody answers there, at once.
    farm.folder.write("resolv.conf", "nameserver 127.0.0.254\n");
    let folder = farm.folder.path().display();
    let script = format!(
        "mount --bind {folder}/hosts /etc/hosts && \
         mount --bind {folder}/resolv.conf /etc/resolv.conf && \
         exec {} run --config {folder}/mon.cf",
        lvsmon_path().display()
    );
    let mut command = Command::new("unshare");
    command.args(["--mount", "sh", "-c", &script]);
    farm.start_as(&mut command);
}

/// Writes the hosts file at once: who reads meanwhile must not find it empty. It is mounted, so no
/// other file can take its place.
fn write_hosts(farm: &Farm, hosts: &str) {
    let path = farm.folder.path().join("hosts");
    let before = fs::metadata(&path).map_or(0, |it| it.len());
    let mut text = hosts.to_owned();
    while (text.len() as u64) < before {
        text.push('\n');
    }
    let mut options = OpenOptions::new();
    let mut file = options
        .write(true)
        .create(true)
        .truncate(false)
        .open(&path)
        .unwrap();
    file.write_all(text.as_bytes()).unwrap();
}

fn serve(farm: &Farm, number: u8) -> WebServer {
    WebServer::start(([127, 0, 0, 10 + number], farm.port).into()).unwrap()
}

#[test]
fn a_server_whose_name_changes_its_address_moves_once_the_new_one_is_good() {
    if !can_give_hosts("a_server_whose_name_changes_its_address_moves_once_the_new_one_is_good") {
        return;
    }
    let farm = start_with_hosts("127.0.0.11 web1\n127.0.0.12 web2\n");
    farm.wait_for_table(&[(1, 5), (2, 5)]);
    let _third = serve(&farm, 3);
    write_hosts(&farm, "127.0.0.13 web1\n127.0.0.12 web2\n");
    farm.wait_for_table(&[(2, 5), (3, 5)]);
    // An address where nobody serves does not enter, and is no word on the one that serves.
    write_hosts(&farm, "127.0.0.14 web1\n127.0.0.12 web2\n");
    farm.wait_for_log("web1 has the address 127.0.0.14 now");
    farm.wait_for_checks_to_go_on();
    assert_eq!(farm.in_table(), [(2, 5), (3, 5)].into());
    let rows = farm.client().services(0).unwrap().services;
    assert_eq!(rows[0].status.word(), "fail", "{rows:?}");
    let _fourth = serve(&farm, 4);
    farm.wait_for_table(&[(2, 5), (4, 5)]);
}

#[test]
fn what_is_to_be_mended_about_a_name_is_said_with_its_place() {
    if !can_give_hosts("what_is_to_be_mended_about_a_name_is_said_with_its_place") {
        return;
    }
    let farm = start_with_hosts("127.0.0.11 web1\n127.0.0.13 web1\n127.0.0.12 web2\n");
    let has_two = "web1 has 2 IPv4 addresses";
    farm.wait_for_log(has_two);
    write_hosts(&farm, "127.0.0.11 web1\n127.0.0.14 web2\n");
    let moved = "web2 has the address 127.0.0.14 now";
    farm.wait_for_log(moved);
    let text = farm.folder.read("mon.cf");
    let log = farm.log();
    for (said, name) in [(has_two, "web1"), (moved, "web2")] {
        let line = text.lines().position(|line| line.contains(name)).unwrap();
        let place = format!("mon.cf:{}\"", line + 1);
        let told = log.lines().find(|line| line.contains(said)).unwrap();
        assert!(told.contains(&place), "no {place} in {told}");
    }
}

#[test]
fn the_address_of_before_is_checked_while_the_new_one_of_its_name_fails() {
    if !can_give_hosts("the_address_of_before_is_checked_while_the_new_one_of_its_name_fails") {
        return;
    }
    let mut farm = start_with_hosts("127.0.0.11 web1\n127.0.0.12 web2\n");
    farm.wait_for_table(&[(1, 5), (2, 5)]);
    write_hosts(&farm, "127.0.0.14 web1\n127.0.0.12 web2\n");
    farm.wait_for_log("web1 has the address 127.0.0.14 now");
    farm.break_server(1);
    farm.wait_for_table(&[(2, 5)]);
    farm.mend_server(1);
    farm.wait_for_table(&[(1, 5), (2, 5)]);
    let _fourth = serve(&farm, 4);
    farm.wait_for_table(&[(2, 5), (4, 5)]);
    // Who left is nobody's business any more.
    farm.break_server(1);
    farm.wait_for_checks_to_go_on();
    assert_eq!(farm.in_table(), [(2, 5), (4, 5)].into());
}

#[test]
fn the_name_of_a_server_in_a_section_is_looked_up_again_after_a_reload() {
    if !can_give_hosts("the_name_of_a_server_in_a_section_is_looked_up_again_after_a_reload") {
        return;
    }
    let mut farm = Farm::new();
    let lines = farm.text(5, true);
    let settings = lines.split("hostgroup").next().unwrap();
    let port = farm.port;
    let text = |weight: u32| {
        format!(
            "{settings}hostgroup web web1\n\nwatch web\n    service http\n\tinterval 0.3s\n\t\
             monitor http.monitor -p {port} -t 5\n\nvirtual 10.0.0.3:{port}\n    \
             real web weight {weight}\n    service web:http\n"
        )
    };
    farm.configure(&text(5));
    start_again_with_hosts(&mut farm, "127.0.0.11 web1\n");
    farm.wait_for_table(&[(1, 5)]);
    farm.configure(&text(7));
    farm.signal(nix::sys::signal::Signal::SIGHUP);
    farm.wait_for_table(&[(1, 7)]);
    let _third = serve(&farm, 3);
    write_hosts(&farm, "127.0.0.13 web1\n");
    farm.wait_for_table(&[(3, 7)]);
}

#[test]
fn a_server_whose_name_does_not_resolve_is_left_alone_until_it_does() {
    if !can_give_hosts("a_server_whose_name_does_not_resolve_is_left_alone_until_it_does") {
        return;
    }
    let mut farm = start_with_hosts("127.0.0.12 web2\n");
    farm.wait_for_table(&[(2, 5)]);
    farm.wait_for_checks_to_go_on();
    let rows = farm.client().services(0).unwrap().services;
    assert_eq!(rows[0].status.word(), "fail", "{rows:?}");
    farm.wait_for_log("cannot resolve");
    farm.wait_for_log("mon.cf:8: mend the name, or write its address there");
    assert_eq!(farm.in_table(), [(2, 5)].into());
    write_hosts(&farm, "127.0.0.11 web1\n127.0.0.12 web2\n");
    farm.wait_for_table(&[(1, 5), (2, 5)]);
    // A name that is lost later takes nothing out: its server is checked where it was.
    write_hosts(&farm, "127.0.0.12 web2\n");
    farm.wait_for_log("no answer, the last good one is kept");
    farm.wait_for_checks_to_go_on();
    assert_eq!(farm.in_table(), [(1, 5), (2, 5)].into());
    farm.break_server(1);
    farm.wait_for_table(&[(2, 5)]);
    farm.mend_server(1);
    farm.wait_for_table(&[(1, 5), (2, 5)]);
    let status = farm.end(nix::sys::signal::Signal::SIGTERM);
    assert_eq!(status.code(), Some(0), "{}", farm.log());
}

#[test]
fn a_restart_while_no_name_server_answers_takes_no_server_with_a_name_out() {
    if !can_give_hosts("a_restart_while_no_name_server_answers_takes_no_server_with_a_name_out") {
        return;
    }
    let mut farm = start_with_hosts("127.0.0.11 web1\n127.0.0.12 web2\n");
    farm.wait_for_table(&[(1, 5), (2, 5)]);
    farm.end(nix::sys::signal::Signal::SIGTERM);
    // From here on the names are in no file, and nobody answers at the name server's address.
    start_again_with_hosts(&mut farm, "");
    farm.wait_for_log("no answer, the last good one is kept");
    farm.wait_for_checks_to_go_on();
    assert_eq!(farm.in_table(), [(1, 5), (2, 5)].into(), "{}", farm.log());
    // What stands in for the answer is checked like any other address.
    farm.break_server(1);
    farm.wait_for_table(&[(2, 5)]);
    farm.mend_server(1);
    farm.wait_for_table(&[(1, 5), (2, 5)]);
}

#[test]
fn what_serves_at_a_first_start_stays_until_the_names_of_the_file_have_addresses() {
    let name = "what_serves_at_a_first_start_stays_until_the_names_of_the_file_have_addresses";
    if !can_give_hosts(name) {
        return;
    }
    let mut farm = Farm::new();
    let port = farm.port;
    let check = format!("        interval 0.3s\n        monitor http.monitor -p {port} -t 5\n");
    let text = farm.section(port, &check, "    alert told.alert\n");
    farm.folder
        .write_executable("alert.d/told.alert", "#!/bin/sh\ncat > /dev/null\n");
    farm.configure(&text.replace("www 127.0.0.11 127.0.0.12", "www web1 web2"));
    farm.fill_table(port);
    start_again_with_hosts(&mut farm, "127.0.0.9 elsewhere\n");
    let both = [(1, 5), (2, 5)].into();
    let those = format!("127.0.0.11:{port}, 127.0.0.12:{port}");
    farm.wait_for_log(&format!("what the file does not name stays: {those}"));
    let trouble = format!(
        "virtual service 10.0.0.3:{port}/tcp is wanted to have no real server that serves and \
         nothing in their place, the names of all 2 have no usable address, but as the kernel's \
         table is new connections reach {those}"
    );
    farm.wait_for_log(&trouble);
    farm.wait_for_checks_to_go_on();
    assert_eq!(farm.in_table(), both, "{}", farm.log());
    for (words, said) in [
        (
            &["table"][..],
            "not in the file: stays until web1 has a usable address",
        ),
        (
            &["why", "127.0.0.11"],
            "it stays until web1 has a usable address",
        ),
    ] {
        let output = farm.output(words);
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(text.contains(said), "{text}");
    }
    write_hosts(&farm, "127.0.0.11 web1\n127.0.0.12 web2\n");
    farm.wait_for_log("has somebody to serve it again");
    farm.wait_for_checks_to_go_on();
    assert_eq!(farm.in_table(), both, "{}", farm.log());
    assert!(!farm.log().contains("delete real server"), "{}", farm.log());
    farm.break_server(1);
    farm.wait_for_table(&[(2, 5)]);
}

/// Looks its names up itself, as any program.
const PROGRAM: &str = "#!/bin/bash
for host; do
    (exec 3<>/dev/tcp/$host/PORT) 2>/dev/null || failed+=\"$host \"
done
echo $failed
[ -z \"$failed\" ]
";

/// A section whose real servers web1 and web2 are checked by that program.
fn start_with_program(hosts: &str) -> Farm {
    let mut farm = Farm::new();
    let port = farm.port;
    let check = "        interval 0.3s\n        monitor bash.monitor\n";
    let text = farm.section(port, check, "");
    let program = PROGRAM.replace("PORT", &port.to_string());
    farm.folder.write_executable("mon.d/bash.monitor", &program);
    farm.configure(&text.replace("www 127.0.0.11 127.0.0.12", "www web1 web2"));
    start_again_with_hosts(&mut farm, hosts);
    farm.wait_for_table(&[(1, 5), (2, 5)]);
    farm
}

#[test]
fn a_program_that_finds_a_moved_name_bad_takes_out_no_server_at_the_address_of_before() {
    let name = "a_program_that_finds_a_moved_name_bad_takes_out_no_server_at_the_address_of_before";
    if !can_give_hosts(name) {
        return;
    }
    let farm = start_with_program("127.0.0.11 web1\n127.0.0.12 web2\n");
    // Nobody serves there yet.
    write_hosts(&farm, "127.0.0.13 web1\n127.0.0.12 web2\n");
    farm.wait_for_log("web1 has the address 127.0.0.13 now, where www/http fails since");
    assert_eq!(farm.in_table(), [(1, 5), (2, 5)].into(), "{}", farm.log());
    assert!(!farm.log().contains("real server out"), "{}", farm.log());
    let _third = serve(&farm, 3);
    farm.wait_for_table(&[(2, 5), (3, 5)]);
}

#[test]
fn a_program_takes_out_no_server_with_a_name_while_no_name_server_answers() {
    let name = "a_program_takes_out_no_server_with_a_name_while_no_name_server_answers";
    if !can_give_hosts(name) {
        return;
    }
    let mut farm = start_with_program("127.0.0.11 web1\n127.0.0.12 web2\n");
    write_hosts(&farm, "");
    farm.wait_for_log("service down");
    farm.wait_for_log("no name server says where web2 leads");
    farm.break_server(1);
    farm.wait_for_checks_to_go_on();
    assert_eq!(farm.in_table(), [(1, 5), (2, 5)].into(), "{}", farm.log());
    assert!(!farm.log().contains("real server out"), "{}", farm.log());
    write_hosts(&farm, "127.0.0.11 web1\n127.0.0.12 web2\n");
    farm.wait_for_table(&[(2, 5)]);
    farm.mend_server(1);
    farm.wait_for_table(&[(1, 5), (2, 5)]);
}

/// So many names in one section would take the daemon half a minute, one after the other.
const MANY: usize = 2_000;

#[test]
fn clients_are_answered_while_some_thousand_names_get_their_addresses() {
    let name = "clients_are_answered_while_some_thousand_names_get_their_addresses";
    if !can_give_hosts(name) {
        return;
    }
    let mut farm = Farm::new();
    let address = |at: usize| format!("127.1.{}.{}", at / 250, at % 250 + 1);
    let names: Vec<String> = (0..MANY).map(|at| format!("w{at}")).collect();
    let lines = (0..MANY).map(|at| format!("{} w{at}\n", address(at)));
    let (globals, port) = (farm.globals(), farm.port);
    farm.configure(&format!(
        "{globals}\nhostgroup www {}\n\nvirtual 10.0.0.3:{port}\n    real www\n    service none\n",
        names.join(" ")
    ));
    start_again_with_hosts(&mut farm, &lines.collect::<String>());
    farm.client();
    let in_table = || farm.folder.read("state/table").matches("\n-a").count();
    wait_until("all servers in the table", SOON, || {
        let output = farm.output(&["health"]);
        assert!(output.status.success(), "{output:?}");
        in_table() == MANY
    });
}
