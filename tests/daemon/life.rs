//! Start, outage, recovery, reload, stop.

use std::io::Read as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use lvsmon::engine::event::{Aim, RealServerName};
use nix::sys::signal::Signal;

use super::farm::{Farm, SOON};
use crate::support::{Running, lvsmon, wait_until};

#[test]
fn a_failing_server_leaves_the_table_and_comes_back() {
    let mut farm = Farm::new();
    farm.start_healthy();
    farm.break_server(1);
    farm.wait_for_table(&[(2, 5)]);
    farm.mend_server(1);
    farm.wait_for_table(&[(1, 5), (2, 5)]);
    for line in [
        "service down",
        "real server out",
        "service up",
        "real server in",
    ] {
        farm.wait_for_log(line);
    }
}

#[test]
fn a_stop_keeps_the_table_and_exits_with_0() {
    for signal in [Signal::SIGTERM, Signal::SIGINT] {
        let mut farm = Farm::new();
        farm.start_healthy();
        farm.client();
        let status = farm.end(signal);
        assert_eq!(status.code(), Some(0), "after {signal}: {}", farm.log());
        assert_eq!(farm.in_table(), [(1, 5), (2, 5)].into());
        assert!(!farm.folder.join("state/control").exists());
        assert!(farm.log().contains("stopped"), "{}", farm.log());
    }
}

#[test]
fn a_reload_applies_what_changed_and_keeps_who_is_out() {
    let mut farm = Farm::new();
    farm.start_healthy();
    farm.break_server(1);
    farm.wait_for_table(&[(2, 5)]);
    farm.configure(&farm.text(7, true));
    farm.signal(Signal::SIGHUP);
    farm.wait_for_table(&[(2, 7)]);
    farm.wait_for_checks_to_go_on();
    assert_eq!(farm.in_table(), [(2, 7)].into());
    farm.mend_server(1);
    farm.wait_for_table(&[(1, 7), (2, 7)]);
}

#[test]
fn a_wrong_file_is_refused_at_reload_and_the_old_one_goes_on() {
    let mut farm = Farm::new();
    farm.start_healthy();
    let good = farm.text(5, true);
    farm.configure(&good.replace("interval 0.3s", "intervall 0.3s"));
    farm.signal(Signal::SIGHUP);
    farm.wait_for_log("the old one stays in force");
    let log = farm.log();
    assert!(
        log.contains("intervall") && log.contains("mon.cf:14:2"),
        "{log}"
    );
    farm.break_server(2);
    farm.wait_for_table(&[(1, 5)]);
    farm.configure(&good);
    farm.signal(Signal::SIGHUP);
    farm.wait_for_log("configuration reloaded");
    farm.mend_server(2);
    farm.wait_for_table(&[(1, 5), (2, 5)]);
}

#[test]
fn a_log_of_a_very_wrong_file_ends_after_twenty_mistakes() {
    let mut farm = Farm::new();
    farm.configure(
        &(farm.text(5, true) + "watch w\n    service s\n" + &"\tintervall 1s\n".repeat(50)),
    );
    farm.start();
    let status = farm.daemon.take().unwrap().wait(SOON);
    assert_eq!(status.code(), Some(1));
    let log = farm.log();
    assert_eq!(log.matches("configuration mistake").count(), 20, "{log}");
    assert!(log.contains("lvsmon check"), "{log}");
}

#[test]
fn a_second_daemon_on_the_same_state_folder_is_refused() {
    let mut farm = Farm::new();
    farm.start_healthy();
    let number = farm.daemon.as_ref().unwrap().0.id();
    let output = farm.output(&["run"]);
    assert_eq!(output.status.code(), Some(1));
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(text.contains(&format!("process {number}")), "{text}");
    assert!(text.contains("statedir"), "{text}");
    farm.break_server(1);
    farm.wait_for_table(&[(2, 5)]);
    farm.client();
}

#[test]
fn nobody_reading_the_log_stops_nothing() {
    let mut farm = Farm::new();
    let mut command = farm.command(&["run"]);
    command.env("LVSMON_LOG", "trace").stderr(Stdio::piped());
    let mut daemon = Running::start(&mut command);
    let mut log = daemon.0.stderr.take().unwrap();
    farm.wait_for_table(&[(1, 5), (2, 5)]);
    // A pipe takes 64 KiB, then a writer waits for ever. Enough requests fill it.
    let mut client = farm.client();
    farm.break_server(1);
    farm.wait_for_table(&[(2, 5)]);
    for _ in 0..2_000 {
        // Each refused wish is a line of the log.
        let aim = Aim {
            server: RealServerName("no-such-server-".repeat(10)),
            within: None,
        };
        client.enable(aim).unwrap_err();
    }
    farm.mend_server(1);
    farm.wait_for_table(&[(1, 5), (2, 5)]);
    daemon.signal(Signal::SIGTERM);
    assert_eq!(daemon.wait(SOON).code(), Some(0));
    let mut start = [0; 1];
    log.read_exact(&mut start).unwrap();
}

#[test]
fn a_program_in_mondir_runs_and_is_killed_at_a_stop_with_all_its_children() {
    let mut farm = Farm::new();
    let mark = farm.folder.join("started");
    farm.folder.write_executable(
        "mon.d/slow.monitor",
        format!(
            "#!/bin/sh\nsleep 1000 &\necho $! > {0}.new\necho \"$LVSMON\" >> {0}.new\n\
             mv {0}.new {0}\nwait\n",
            mark.display()
        ),
    );
    let text =
        farm.text(5, true) + "watch slow\n    service s\n\tinterval 0.3s\n\tmonitor slow.monitor\n";
    farm.configure(&text);
    farm.start_healthy();
    wait_until("the monitor's mark", SOON, || mark.exists());
    let text = farm.folder.read("started");
    let (child, own) = text.split_once('\n').unwrap();
    let process = std::path::PathBuf::from(format!("/proc/{child}"));
    assert!(process.exists());
    assert_eq!(own.trim(), crate::support::lvsmon_path().to_str().unwrap());
    assert_eq!(farm.end(Signal::SIGTERM).code(), Some(0));
    wait_until("the end of the monitor's child", SOON, || {
        // A zombie that the test environment's init has not reaped is dead, too.
        let status = std::fs::read_to_string(process.join("stat")).unwrap_or_default();
        status.is_empty() || status.contains(") Z ")
    });
}

#[test]
fn a_reload_of_an_empty_file_keeps_the_old_one_and_the_table() {
    let mut farm = Farm::new();
    farm.start_healthy();
    farm.configure("");
    farm.signal(Signal::SIGHUP);
    farm.wait_for_log("the old one stays in force");
    farm.wait_for_checks_to_go_on();
    assert_eq!(farm.in_table(), [(1, 5), (2, 5)].into());
}

#[test]
fn a_reload_that_leaves_no_service_at_all_keeps_the_old_file_and_the_table() {
    let mut farm = Farm::new();
    farm.start_healthy();
    farm.configure("hostgroup www1 127.0.0.11\n");
    farm.signal(Signal::SIGHUP);
    farm.wait_for_log("the new configuration has no service and no virtual section");
    farm.wait_for_checks_to_go_on();
    assert_eq!(farm.in_table(), [(1, 5), (2, 5)].into());
}

#[test]
fn a_reload_names_the_virtual_services_that_go_and_warns_where_the_file_looks_cut() {
    let mut farm = Farm::new();
    let section = |port: u16| {
        format!("\nvirtual 10.0.0.9:{port}\n    real www1 weight 5\n    service www1:http\n")
    };
    let text = farm.text(5, true);
    farm.configure(&(text.clone() + &section(81) + &section(82)));
    farm.start_healthy();
    farm.configure(&(text.clone() + &section(81)));
    farm.signal(Signal::SIGHUP);
    farm.wait_for_log("virtual services removed from the file: 10.0.0.9:82/tcp\n");
    farm.configure(&(text + "\n# cut he"));
    farm.signal(Signal::SIGHUP);
    farm.wait_for_log("virtual services removed from the file: 10.0.0.9:81/tcp; its last line");
    let log = farm.log();
    let line = log.lines().find(|line| line.contains("10.0.0.9:81/tcp; "));
    assert!(line.unwrap().contains("WARN"), "{line:?}");
}

#[test]
fn a_state_folder_that_is_deleted_is_claimed_again() {
    let mut farm = Farm::new();
    farm.start_healthy();
    let number = farm.daemon.as_ref().unwrap().0.id();
    std::fs::remove_file(farm.folder.join("state/control")).unwrap();
    let text = String::from_utf8_lossy(&farm.output(&["table"]).stderr).into_owned();
    assert!(text.contains(&format!("process {number}")), "{text}");
    // The daemon may write into it between the last file and the folder.
    wait_until("a folder that is gone", SOON, || {
        std::fs::remove_dir_all(farm.folder.join("state")).is_ok()
    });
    farm.wait_for_log("it is taken again");
    farm.client();
    let output = farm.output(&["run"]);
    assert_eq!(output.status.code(), Some(1), "a second one is refused");
}

#[test]
fn of_two_daemons_on_a_folder_whose_lock_was_deleted_the_older_one_ends() {
    let mut farm = Farm::new();
    farm.start_healthy();
    let mut older = farm.daemon.take().unwrap();
    let log = farm.folder.join("log");
    std::fs::rename(&log, farm.folder.join("log of the older one")).unwrap();
    std::fs::remove_file(farm.folder.join("state/lock")).unwrap();
    farm.start();
    let status = older.wait(SOON);
    assert_eq!(status.code(), Some(1));
    let text = farm.folder.read("log of the older one");
    assert!(text.contains("another lvsmon was started"), "{text}");
    farm.break_server(1);
    farm.wait_for_table(&[(2, 5)]);
    farm.client();
}

/// Starts the daemon on a file that m4 has to make, with an m4 that has read it and then waits
/// for the file `go`. Each of its runs is a line of the file `runs`.
fn start_with_slow_m4(farm: &mut Farm) {
    let folder = farm.folder.path().display().to_string();
    farm.folder.write_executable(
        "bin/m4",
        format!(
            "#!/bin/sh\ntext=$(cat \"$1\")\necho $$ >{folder}/m4.id\necho run >>{folder}/runs\n\
             while ! test -e {folder}/go; do sleep 0.05; done\necho \"$text\"\n"
        ),
    );
    farm.folder.write("mon.m4", farm.text(5, true));
    let mut command = lvsmon(["run", "--config"]);
    let path = std::env::var("PATH").unwrap_or_default();
    command
        .arg(farm.folder.join("mon.m4"))
        .env("PATH", format!("{folder}/bin:{path}"));
    farm.start_as(&mut command);
    wait_until("m4 to be run", SOON, || {
        !farm.folder.read("runs").is_empty()
    });
}

#[test]
fn a_reload_asked_for_during_the_start_kills_nobody_and_is_carried_out() {
    let mut farm = Farm::new();
    start_with_slow_m4(&mut farm);
    farm.folder.write("mon.m4", farm.text(7, true));
    farm.signal(Signal::SIGHUP);
    farm.folder.write("go", "");
    farm.wait_for_table(&[(1, 7), (2, 7)]);
    assert_eq!(farm.folder.read("runs"), "run\nrun\n");
    assert_eq!(farm.end(Signal::SIGTERM).code(), Some(0));
}

#[test]
fn a_stop_asked_for_during_the_start_is_a_stop_with_status_0() {
    for signal in [Signal::SIGTERM, Signal::SIGINT] {
        let mut farm = Farm::new();
        start_with_slow_m4(&mut farm);
        farm.signal(signal);
        let status = farm.daemon.take().unwrap().wait(SOON);
        assert_eq!(status.code(), Some(0), "after {signal}: {}", farm.log());
        assert!(farm.log().contains("stopped"), "{}", farm.log());
        wait_for_the_end_of_m4(&farm);
    }
}

#[test]
fn a_stop_during_a_reload_ends_an_m4_that_hangs() {
    let mut farm = Farm::new();
    start_with_slow_m4(&mut farm);
    farm.folder.write("go", "");
    farm.wait_for_table(&[(1, 5), (2, 5)]);
    std::fs::remove_file(farm.folder.join("go")).unwrap();
    farm.signal(Signal::SIGHUP);
    wait_until("m4 to be run again", SOON, || {
        farm.folder.read("runs").lines().count() == 2
    });
    assert_eq!(farm.end(Signal::SIGTERM).code(), Some(0));
    wait_for_the_end_of_m4(&farm);
}

#[test]
fn a_stop_during_the_start_ends_an_m4_that_only_closed_its_output() {
    let mut farm = Farm::new();
    let folder = farm.folder.path().display().to_string();
    farm.folder.write_executable(
        "bin/m4",
        format!(
            "#!/bin/sh\ncat \"$1\"\nexec >&- 2>&-\necho $$ >{folder}/m4.new\n\
             mv {folder}/m4.new {folder}/m4.id\nsleep 600 & wait\n"
        ),
    );
    farm.folder.write("mon.m4", farm.text(5, true));
    let mut command = lvsmon(["run", "--config"]);
    let path = std::env::var("PATH").unwrap_or_default();
    command
        .arg(farm.folder.join("mon.m4"))
        .env("PATH", format!("{folder}/bin:{path}"));
    farm.start_as(&mut command);
    wait_until("m4 to be run", SOON, || farm.folder.join("m4.id").exists());
    farm.signal(Signal::SIGTERM);
    let status = farm.daemon.take().unwrap().wait(SOON);
    assert_eq!(status.code(), Some(0), "{}", farm.log());
    wait_for_the_end_of_m4(&farm);
}

/// Runs that command as a wrapper does that ignores the end of its children.
fn with_ends_ignored(command: &Command) -> Command {
    let mut wrapped = Command::new("perl");
    wrapped
        .args([
            "-e",
            "$SIG{CHLD} = 'IGNORE'; exec { $ARGV[0] } @ARGV or die",
        ])
        .arg(command.get_program())
        .args(command.get_args());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => wrapped.env(name, value),
            None => wrapped.env_remove(name),
        };
    }
    wrapped
}

/// A site that m4 has to make, with a monitor that is good where it does not ignore the end of its
/// children itself.
fn site_of_a_program(farm: &Farm) -> PathBuf {
    farm.folder
        .write_executable("bin/m4", "#!/bin/sh\ncat \"$1\"\n");
    farm.folder.write_executable(
        "mon.d/own.monitor",
        "#!/bin/sh\nmask=$(sed -n 's/^SigIgn:[[:space:]]*//p' /proc/self/status)\n\
         test $((0x$mask & 0x10000)) = 0\n",
    );
    let text = farm.text(5, true);
    let program = text.replace(
        &format!("http.monitor -p {} -t 5", farm.port),
        "own.monitor",
    );
    assert_ne!(text, program);
    farm.folder.write("mon.m4", program)
}

#[test]
fn a_daemon_of_a_wrapper_that_ignores_the_end_of_children_sees_its_own() {
    let mut farm = Farm::new();
    let config = site_of_a_program(&farm);
    let folder = farm.folder.path().display().to_string();
    let path = std::env::var("PATH").unwrap_or_default();
    let mut command = lvsmon(["run", "--config"]);
    command
        .arg(config)
        .env("PATH", format!("{folder}/bin:{path}"));
    farm.start_as(&mut with_ends_ignored(&command));
    farm.wait_for_table(&[(1, 5), (2, 5)]);
    assert_eq!(farm.end(Signal::SIGTERM).code(), Some(0), "{}", farm.log());
}

#[test]
fn what_systemd_tells_the_daemon_reaches_no_child() {
    let mut farm = Farm::new();
    let config = site_of_a_program(&farm);
    let folder = farm.folder.path().display().to_string();
    let note = |program: &str| {
        format!("#!/bin/sh\ntest -e {folder}/{program}.env || env >{folder}/{program}.env\n")
    };
    let (m4, monitor) = (note("m4"), note("monitor"));
    farm.folder
        .write_executable("bin/m4", format!("{m4}cat \"$1\"\n"));
    farm.folder.write_executable("mon.d/own.monitor", monitor);
    let path = std::env::var("PATH").unwrap_or_default();
    let mut command = lvsmon(["run", "--config"]);
    command
        .arg(config)
        .env("PATH", format!("{folder}/bin:{path}"))
        .env("NOTIFY_SOCKET", format!("{folder}/nobody"));
    for name in [
        "WATCHDOG_PID",
        "WATCHDOG_USEC",
        "LISTEN_PID",
        "LISTEN_FDS",
        "LISTEN_FDNAMES",
    ] {
        command.env(name, "1000000");
    }
    farm.start_as(&mut command);
    farm.wait_for_table(&[(1, 5), (2, 5)]);
    for program in ["m4", "monitor"] {
        let given = farm.folder.read(&format!("{program}.env"));
        assert!(
            given.contains("\nPATH=") || given.starts_with("PATH="),
            "{given}"
        );
        for name in ["NOTIFY_SOCKET", "WATCHDOG_", "LISTEN_"] {
            assert!(!given.contains(name), "{program}: {given}");
        }
    }
}

#[test]
fn a_check_of_a_file_under_such_a_wrapper_sees_the_end_of_m4() {
    let farm = Farm::new();
    let config = site_of_a_program(&farm);
    let folder = farm.folder.path().display().to_string();
    let path = std::env::var("PATH").unwrap_or_default();
    let mut command = lvsmon(["check", "--config"]);
    command
        .arg(config)
        .env("PATH", format!("{folder}/bin:{path}"));
    let output = with_ends_ignored(&command).output().unwrap();
    assert!(output.status.success(), "{output:?}");
}

/// Of the m4 that was started last.
fn wait_for_the_end_of_m4(farm: &Farm) {
    let process = farm.folder.read("m4.id");
    let stat = format!("/proc/{}/stat", process.trim());
    wait_until("the end of m4", SOON, || {
        let status = std::fs::read_to_string(&stat).unwrap_or_default();
        status.is_empty() || status.contains(") Z ")
    });
}

#[test]
fn a_refused_reload_is_said_with_every_answer_until_a_good_one() {
    let mut farm = Farm::new();
    farm.start_healthy();
    let good = farm.text(5, true);
    let said = |words: &[&str]| {
        let output = farm.output(words);
        String::from_utf8([output.stdout, output.stderr].concat()).unwrap()
    };
    let questions: [&[&str]; 8] = [
        &["table"],
        &["why", "www1/http"],
        &["why", "127.0.0.11"],
        &["health"],
        &["role"],
        &["weight", "7", "127.0.0.11"],
        &["enable", "127.0.0.11"],
        &["disable", "127.0.0.13"],
    ];
    let sentence = "the older configuration is in force: at ";
    for question in questions {
        assert!(!said(question).contains(sentence), "{question:?}");
    }
    assert!(!said(&["check"]).contains(sentence));
    farm.configure(&good.replace("interval 0.3s", "intervall 0.3s"));
    farm.signal(Signal::SIGHUP);
    farm.wait_for_log("the old one stays in force");
    let mistake = format!(
        "a reload refused {} for 2 mistakes, the first of them ",
        farm.config().display()
    );
    for question in questions {
        let said = said(question);
        let lines: Vec<&str> = said.lines().filter(|it| it.contains(sentence)).collect();
        let [line] = lines.as_slice() else {
            panic!("{question:?}: {said}");
        };
        assert!(line.contains(&mistake), "{line}");
        assert!(line.contains("mon.cf:14:2: "), "{line}");
        assert!(line.contains("intervall"), "{line}");
    }
    for question in [&questions[0], &questions[1], &questions[2], &questions[3]] {
        let json = said(&[question, &["--json"][..]].concat());
        let json: serde_json::Value = serde_json::from_str(&json).unwrap();
        assert_eq!(json["refused_reload"]["mistakes"], 2, "{question:?}");
        assert!(json["refused_reload"]["time"].is_i64());
    }
    // That a file has mistakes is no trouble of the daemon's.
    assert_eq!(farm.output(&["health"]).status.code(), Some(0));
    assert!(said(&["check"]).contains(&format!("of the daemon: {sentence}")));
    farm.configure(&good);
    assert!(said(&["check"]).contains("this file is good: reload it"));
    farm.signal(Signal::SIGHUP);
    farm.wait_for_log("configuration reloaded");
    for question in questions {
        assert!(!said(question).contains(sentence), "{question:?}");
    }
    let (settings, _) = good.split_once("hostgroup").unwrap();
    farm.configure(&format!("{settings}hostgroup www1 127.0.0.11\n"));
    farm.signal(Signal::SIGHUP);
    farm.wait_for_log("the new configuration has no service");
    let text = said(&["table"]);
    assert!(
        text.contains("mon.cf: it has no service and no virtual section"),
        "{text}"
    );
}
