//! kill -9, journals that are cut or no journals, full disks.

use std::fs;
use std::net::{SocketAddr, TcpListener};

use nix::sys::signal::Signal;

use super::farm::{Farm, SOON};
use crate::support::{have, is_root, lvsmon, skip, wait_for, wait_until};

#[test]
fn after_kill_9_a_server_that_recovered_meanwhile_comes_back() {
    let mut farm = Farm::new();
    farm.start_healthy();
    farm.break_server(1);
    farm.wait_for_table(&[(2, 5)]);
    farm.end(Signal::SIGKILL);
    farm.mend_server(1);
    farm.start();
    farm.wait_for_table(&[(1, 5), (2, 5)]);
}

#[test]
fn after_kill_9_a_server_that_died_meanwhile_leaves() {
    let mut farm = Farm::new();
    farm.start_healthy();
    farm.end(Signal::SIGKILL);
    assert_eq!(farm.in_table(), [(1, 5), (2, 5)].into());
    farm.break_server(2);
    farm.start();
    farm.wait_for_table(&[(1, 5)]);
}

#[test]
fn after_kill_9_a_server_that_is_still_down_stays_out() {
    let mut farm = Farm::new();
    farm.start_healthy();
    farm.break_server(1);
    farm.wait_for_table(&[(2, 5)]);
    farm.end(Signal::SIGKILL);
    farm.start();
    farm.wait_for_checks_to_go_on();
    assert_eq!(farm.in_table(), [(2, 5)].into());
}

#[test]
fn a_withdrawal_that_only_a_person_ends_survives_kill_9_until_lvsmon_enable() {
    let mut farm = Farm::new();
    farm.configure(&farm.text(5, false));
    farm.start_healthy();
    farm.break_server(1);
    farm.wait_for_table(&[(2, 5)]);
    farm.mend_server(1);
    farm.wait_for_log("service up");
    // One more round: the journal is written within 200 ms and checks go on.
    farm.wait_for_checks_to_go_on();
    farm.end(Signal::SIGKILL);
    farm.start();
    farm.wait_for_checks_to_go_on();
    assert_eq!(farm.in_table(), [(2, 5)].into());
    let output = farm.output(&["enable", "127.0.0.11"]);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert!(text.contains("127.0.0.11"), "{text}");
    farm.wait_for_table(&[(1, 5), (2, 5)]);
    let output = farm.output(&["enable", "127.0.0.99"]);
    assert_eq!(output.status.code(), Some(1));
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(text.contains("127.0.0.99"), "{text}");
}

#[test]
fn a_journal_that_is_deleted_or_emptied_under_the_daemon_forgets_no_withdrawal() {
    let mut farm = Farm::new();
    farm.configure(&farm.text(5, false));
    farm.start_healthy();
    farm.break_server(1);
    farm.wait_for_table(&[(2, 5)]);
    let path = farm.folder.join("state/journal");
    let is_kept = || fs::read_to_string(&path).is_ok_and(|text| text.contains("withdrawal "));
    wait_until("the withdrawal in the journal", SOON, is_kept);
    fs::remove_file(&path).unwrap();
    wait_until("the journal written anew", SOON, is_kept);
    farm.wait_for_log("was deleted");
    fs::write(&path, "").unwrap();
    wait_until("the journal written anew", SOON, is_kept);
    farm.wait_for_log("was cut");
    assert_eq!(
        farm.log().matches("somebody changed the journal").count(),
        2
    );
    farm.end(Signal::SIGKILL);
    farm.mend_server(1);
    farm.start();
    farm.wait_for_checks_to_go_on();
    assert_eq!(farm.in_table(), [(2, 5)].into(), "only a person ends it");
}

#[test]
fn a_cut_journal_costs_its_last_line_only() {
    let mut farm = Farm::new();
    farm.start_healthy();
    farm.end(Signal::SIGTERM);
    let path = farm.folder.join("state/journal");
    let whole = fs::read(&path).unwrap();
    assert!(whole.len() > 50, "nothing was kept");
    fs::write(&path, &whole[..whole.len() - 7]).unwrap();
    farm.start_healthy();
    farm.wait_for_log("was cut and is dropped");
    farm.break_server(1);
    farm.wait_for_table(&[(2, 5)]);
}

#[test]
fn a_file_that_is_no_journal_is_set_aside_and_named() {
    let mut farm = Farm::new();
    let bytes: Vec<u8> = (0..=255).cycle().take(100_000).collect();
    farm.folder.write("state/journal", &bytes);
    farm.start_healthy();
    let aside = farm.folder.join("state/journal.aside-1");
    farm.wait_for_log(aside.to_str().unwrap());
    assert_eq!(fs::read(&aside).unwrap(), bytes);
    assert_eq!(farm.end(Signal::SIGTERM).code(), Some(0));
    let kept = farm.folder.read("state/journal");
    assert!(kept.starts_with("{\"lvsmon\":\"journal\""), "{kept}");
}

#[test]
fn a_full_disk_under_the_state_folder_is_said_once_and_outlived() {
    const NAME: &str = "a_full_disk_under_the_state_folder_is_said_once_and_outlived";
    if !is_root() || !have("unshare") {
        return skip(NAME, "root and unshare");
    }
    let mut farm = Farm::new();
    let state = farm.folder.join("state");
    let script = format!(
        "mount -t tmpfs -o size=64k tmpfs {0} && dd if=/dev/zero of={0}/fill 2>/dev/null; \
         exec {1} run --config {2}",
        state.display(),
        crate::support::lvsmon_path().display(),
        farm.config().display()
    );
    let mut command = std::process::Command::new("unshare");
    command.args(["--mount", "sh", "-c", &script]);
    farm.start_as(&mut command);
    farm.wait_for_log("cannot write the journal");
    let inside = format!(
        "/proc/{}/root{}",
        farm.daemon.as_ref().unwrap().0.id(),
        state.display()
    );
    let mut client = wait_for_client(&inside);
    wait_until("checks of both services", SOON, || {
        let rows = client.services(0).unwrap().services;
        rows.len() == 2 && rows.iter().all(|row| row.status.word() == "ok")
    });
    assert_eq!(farm.log().matches("cannot write the journal").count(), 1);
    let sample = |name: &str| {
        let output = lvsmon(["metrics", "--statedir", &inside]).output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        let mut lines = text.lines();
        let value = lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        value.map(str::to_owned).expect(name)
    };
    assert_eq!(sample("lvsmon_journal_writable"), "0");
    let health = || {
        let output = lvsmon(["health", "--statedir", &inside]).output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    let warning = "warning: the journal in the state folder cannot be written";
    assert!(health().contains(warning), "{}", health());
    fs::remove_file(format!("{inside}/fill")).unwrap();
    farm.wait_for_log("journal can be written again");
    wait_until("a writable journal in numbers", SOON, || {
        sample("lvsmon_journal_writable") == "1"
    });
    assert!(!health().contains("warning"), "{}", health());
    let kept = fs::read_to_string(format!("{inside}/journal")).unwrap();
    assert!(kept.lines().count() > 1, "{kept}");
    assert_eq!(farm.end(Signal::SIGTERM).code(), Some(0));
}

fn wait_for_client(folder: &str) -> lvsmon::client::Client {
    crate::support::wait_for("the control socket", SOON, || {
        lvsmon::client::Client::connect(folder.as_ref()).ok()
    })
}

#[test]
fn a_section_with_another_address_behind_a_restart_puts_no_dead_server_in() {
    let mut farm = Farm::new();
    let port = farm.port;
    let service = format!("\tinterval 0.3s\n\tmonitor http.monitor -p {port} -t 90\n");
    let text = farm.section(port, &service, "");
    farm.configure(&text);
    farm.start_healthy();
    farm.break_server(2);
    farm.wait_for_table(&[(1, 5)]);
    farm.end(Signal::SIGTERM);
    // No verdict comes in the time of this test: what listens never answers.
    farm.break_server(1);
    let silent = |host: u8| {
        let address = SocketAddr::from(([127, 0, 0, 10 + host], port));
        wait_for("the server's port", SOON, || {
            TcpListener::bind(address).ok()
        })
    };
    let _silent = [silent(1), silent(2)];
    farm.configure(&text.replace("virtual 10.0.0.3:", "virtual 10.0.0.4:"));
    farm.start();
    let server = |host: u8| format!("-a -t 10.0.0.4:{port} -r 127.0.0.1{host}:{port} -g -w 5");
    let mut table = String::new();
    wait_until("the server that was good, at the new address", SOON, || {
        table = farm.folder.read("state/table");
        table.contains(&server(1))
    });
    assert!(!table.contains(&server(2)), "{table}");
    assert!(!table.contains("10.0.0.3"), "{table}");
}
