//! As whom programs that check run: `monitor_user`.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::os::unix::process::CommandExt as _;
use std::process::Command;

use nix::sys::signal::Signal;
use nix::unistd::User;
use rustix::thread::{CapabilitySet, CapabilitySets, capabilities, set_capabilities};

use super::farm::{Farm, SOON};
use crate::support::{is_root, lvsmon_path, skip, wait_until};

/// A user that every machine has, without rights.
const NOBODY: &str = "nobody";

/// A number that no user of the machine has.
const STRANGER: u32 = 54_321;

/// A farm whose file says `monitor_user`, with one more service, whose monitor and alert leave who
/// they are in the folder `said`.
fn farm(user: &str) -> Farm {
    let farm = Farm::new();
    let said = farm.folder.join("said");
    fs::create_dir(&said).unwrap();
    let said = said.display();
    for (file, name) in [
        ("mon.d/who.monitor", "monitor"),
        ("alert.d/who.alert", "alert"),
    ] {
        farm.folder.write_executable(
            file,
            format!(
                "#!/bin/sh\n{{ id -u; id -g; id -G; grep -E \"Cap(Inh|Eff):\" /proc/self/status\n\
                 echo \"$* $LVSMON $MON_GROUP\"; echo \"$HOME $USER $LOGNAME\"; }} > {said}/{name}.new\n\
                 mv {said}/{name}.new {said}/{name}\necho 127.0.0.77\nexit 1\n"
            ),
        );
    }
    let text = format!(
        "monitor_user = {user}\n{}hostgroup who 127.0.0.77\n\nwatch who\n    service s\n\t\
         interval 0.3s\n\tmonitor who.monitor -a \"b c\"\n\tperiod\n\t    alert who.alert\n",
        farm.text(5, true)
    );
    farm.configure(&text);
    for (path, mode) in [("", 0o755), ("said", 0o777)] {
        fs::set_permissions(farm.folder.join(path), Permissions::from_mode(mode)).unwrap();
    }
    farm
}

/// What the monitor or alert left.
fn said(farm: &Farm, who: &str) -> String {
    let path = farm.folder.join("said").join(who);
    wait_until(who, SOON, || path.exists());
    fs::read_to_string(path).unwrap()
}

#[test]
fn a_monitor_runs_as_monitor_user_and_nothing_else_does() {
    const NAME: &str = "a_monitor_runs_as_monitor_user_and_nothing_else_does";
    if !is_root() {
        return skip(NAME, "root, to be somebody else");
    }
    let nobody = User::from_name(NOBODY).unwrap().unwrap();
    let mut farm = farm(NOBODY);
    // As a unit with ambient capabilities leaves it. Of this thread alone; the daemon has it from
    // it.
    let sets = capabilities(None).unwrap();
    let inheritable = CapabilitySet::KILL;
    set_capabilities(
        None,
        CapabilitySets {
            inheritable,
            ..sets
        },
    )
    .unwrap();
    farm.start_healthy();
    let (uid, gid) = (nobody.uid, nobody.gid);
    let own = lvsmon_path().display();
    assert_eq!(
        said(&farm, "monitor"),
        format!(
            "{uid}\n{gid}\n{gid}\nCapInh:\t{none}\nCapEff:\t{none}\n\
             -a b c 127.0.0.77 {own} who\n{} {NOBODY} {NOBODY}\n",
            nobody.dir.display(),
            none = "0".repeat(16),
        )
    );
    let alert = said(&farm, "alert");
    assert!(alert.starts_with("0\n0\n"), "{alert}");
    let daemon = farm.daemon.as_ref().unwrap().0.id();
    let status = fs::read_to_string(format!("/proc/{daemon}/status")).unwrap();
    assert!(status.contains("\nUid:\t0\t0\t0\t0\n"), "{status}");
    // What it says of its host counts as ever.
    farm.wait_for_log("127.0.0.77");
    assert_eq!(farm.end(Signal::SIGTERM).code(), Some(0));
}

#[test]
fn a_monitor_that_may_not_become_monitor_user_fails_with_the_reason_and_judges_no_host() {
    const NAME: &str =
        "a_monitor_that_may_not_become_monitor_user_fails_with_the_reason_and_judges_no_host";
    if !is_root() {
        return skip(NAME, "root, to be somebody else");
    }
    let mut farm = farm(NOBODY);
    // A copy: the stranger may not look into the folder of the original.
    let program = farm.folder.join("lvsmon");
    fs::copy(lvsmon_path(), &program).unwrap();
    for path in ["state", "state/table"] {
        chown(farm.folder.join(path), Some(STRANGER), Some(STRANGER)).unwrap();
    }
    let mut command = Command::new(program);
    command.arg("run").arg("--config").arg(farm.config());
    farm.start_as(command.uid(STRANGER).gid(STRANGER));
    farm.wait_for_log("monitor_user nobody: cannot become this user: EPERM");
    farm.wait_for_log("README, \\\"Rights\\\"");
    assert!(!farm.folder.join("said/monitor").exists());
    let why = farm.output(&["why", "127.0.0.77"]);
    let why = String::from_utf8_lossy(&why.stdout).into_owned();
    assert!(!why.contains("down"), "{why}");
}

#[test]
fn a_user_that_does_not_exist_is_refused_by_check_at_the_start_and_at_a_reload() {
    let mut farm = Farm::new();
    farm.start_healthy();
    let before = farm.text(5, true);
    farm.configure(&format!("monitor_user = no-such-user-here\n{before}"));
    let place = "mon.cf:1:16";
    for words in [&["check"][..], &["run"]] {
        let output = farm.output(words);
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        assert!(
            said.contains("for monitor_user: there is no such user"),
            "{said}"
        );
        assert!(said.contains(place), "{said}");
        assert!(said.contains("useradd"), "{said}");
    }
    farm.signal(Signal::SIGHUP);
    farm.wait_for_log("there is no such user");
    farm.wait_for_log("the old one stays in force");
    assert!(farm.log().contains(place), "{}", farm.log());
    farm.wait_for_checks_to_go_on();
}
