//! The files in `etc/` that make two directors a pair.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::daemon::farm::{Farm, SOON};
use crate::support::{TempDir, have, is_root, lvsmon_path, root, skip, wait_for, wait_until};

fn text(output: &Output) -> String {
    let both = [&*output.stdout, &*output.stderr].concat();
    String::from_utf8_lossy(&both).into_owned()
}

#[test]
fn keepalived_takes_the_configurations_of_both_directors() {
    let test = "keepalived_takes_the_configurations_of_both_directors";
    if !is_root() || !have("keepalived") || !have("unshare") || !have("ip") {
        return skip(test, "root, keepalived, unshare and ip");
    }
    let folder = TempDir::new();
    let mut shipped = Vec::new();
    for number in [1, 2] {
        let path = root().join(format!("etc/keepalived/director{number}.conf"));
        let config = fs::read_to_string(path).unwrap();
        // The machine of a test has neither the user nor the program where a package puts it, and
        // keepalived wants a program that nobody else can replace.
        let local = config
            .replace("lvsmon lvsmon\n", "nobody nogroup\n")
            .replace("/usr/bin/lvsmon health", "/bin/true health");
        assert_ne!(local, config);
        let path = folder.write("keepalived.conf", &local);
        let log = folder.join("log");
        let script = format!(
            "ip link set lo up && ip link add eth0 type veth peer name other && ip link set eth0 up \
             && exec keepalived --config-test={} --use-file={}",
            log.display(),
            path.display()
        );
        let mut command = Command::new("unshare");
        let output = command
            .args(["--net", "sh", "-c", &script])
            .output()
            .unwrap();
        let said = fs::read_to_string(&log).unwrap_or_default();
        assert!(output.status.success(), "{}{said}", text(&output));
        assert_eq!(said, "", "of director{number}.conf");
        shipped.push(config);
    }
    let differ = |(one, two): &(&str, &str)| one != two;
    let lines = shipped[0].lines().zip(shipped[1].lines());
    let count = lines.filter(differ).count();
    assert_eq!(
        count, 5,
        "a line of words, the name, the priority, both addresses"
    );
}

/// A script of `etc/` against the daemon of this farm.
fn run(farm: &Farm, script: &str, action: &str, more: &[(&str, &str)]) -> (Option<i32>, String) {
    let output = command(farm, script, action, more).output().unwrap();
    (output.status.code(), text(&output))
}

fn command(farm: &Farm, script: &str, action: &str, more: &[(&str, &str)]) -> Command {
    let path = root().join(script);
    let mode = fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o111, 0o111, "{script} is executable");
    let mut command = Command::new(path);
    command
        .arg(action)
        .env("LVSMON", lvsmon_path())
        .env("LVSMON_STATEDIR", farm.folder.join("state"))
        .env("OCF_RESKEY_binary", lvsmon_path())
        .env("OCF_RESKEY_statedir", farm.folder.join("state"))
        .env("OCF_RESKEY_config", farm.config())
        .env("OCF_RESKEY_log", farm.folder.join("log"))
        .env("HA_RSCTMP", farm.folder.join("cluster"))
        .envs(more.iter().copied());
    command
}

fn role(farm: &Farm) -> String {
    let said = text(&farm.output(&["role"]));
    said.split(' ').next().unwrap_or_default().to_owned()
}

#[test]
fn heartbeat_says_the_role_by_its_resource_script() {
    let mut farm = Farm::new();
    let script = "etc/heartbeat/lvsmon";
    assert_eq!(run(&farm, script, "status", &[]).0, Some(3));
    let briefly = [("LVSMON_START_LIMIT", "0")];
    let started = run(&farm, script, "start", &briefly);
    assert_eq!(started.0, Some(1), "no daemon");
    assert!(started.1.contains("no daemon answers"), "{}", started.1);
    assert_eq!(run(&farm, script, "stop", &[]).0, Some(0));
    farm.start_healthy();
    assert_eq!(run(&farm, script, "stop", &[]).0, Some(0));
    let (code, said) = run(&farm, script, "status", &[]);
    assert_eq!((code, said.as_str()), (Some(3), "stopped\n"));
    assert_eq!(role(&farm), "standby");
    assert_eq!(run(&farm, script, "start", &[]).0, Some(0));
    let (code, said) = run(&farm, script, "status", &[]);
    assert_eq!((code, said.as_str()), (Some(0), "running\n"));
    assert_eq!(role(&farm), "active");
    assert_eq!(run(&farm, script, "dance", &[]).0, Some(1));
    // A frozen one hears no role, and may be active still.
    farm.signal(Signal::SIGSTOP);
    assert_eq!(run(&farm, script, "stop", &[]).0, Some(1));
    let (code, said) = run(&farm, script, "status", &[]);
    assert_eq!((code, said.as_str()), (Some(1), "stuck\n"));
    let briefly = [("OCF_RESKEY_CRM_meta_timeout", "1500")];
    assert_eq!(run(&farm, AGENT, "stop", &briefly).0, Some(1));
    farm.signal(Signal::SIGCONT);
}

#[test]
fn a_frozen_daemon_is_no_stopped_one_and_stop_ends_it() {
    let farm = Farm::new();
    let times = [
        ("OCF_RESKEY_manage", "daemon"),
        ("OCF_RESKEY_CRM_meta_timeout", "3000"),
    ];
    let run = |action| run(&farm, AGENT, action, &times);
    let health = || {
        let said = farm.output(&["health", "--json"]).stdout;
        serde_json::from_slice::<serde_json::Value>(&said).unwrap()
    };
    assert_eq!(health()["pid"], serde_json::Value::Null);
    let started = run("start");
    assert_eq!(started.0, Some(0), "{} {}", started.1, farm.log());
    let number = health()["pid"].as_i64().unwrap();
    let process = Pid::from_raw(i32::try_from(number).unwrap());
    kill(process, Signal::SIGSTOP).unwrap();
    assert_eq!(health()["pid"], number);
    assert_eq!(run("monitor").0, Some(1));
    let stopped = run("stop");
    assert_eq!(stopped.0, Some(0), "{}", stopped.1);
    assert!(stopped.1.contains("is killed"), "{}", stopped.1);
    assert_eq!(health()["pid"], serde_json::Value::Null);
    assert_eq!(run("monitor").0, Some(7));
    assert_eq!(run("start").0, Some(0), "{}", farm.log());
    assert_eq!(run("stop").0, Some(0));
}

/// One that is dead, and of which the state folder still says that it is there: whoever the lock of
/// the folder belongs to lives on.
#[test]
fn a_daemon_that_even_sigkill_does_not_end_fails_the_stop() {
    let test = "a_daemon_that_even_sigkill_does_not_end_fails_the_stop";
    if !have("flock") {
        return skip(test, "flock");
    }
    let farm = Farm::new();
    let lock = farm.folder.join("state/lock");
    let heir = farm.folder.join("heir");
    // It ends, nobody asks for its status, and its child still has the locked file open.
    let keep = format!("echo $$ >{}; exec sleep 600", heir.display());
    let mut command = Command::new("flock");
    let mut dead = command
        .arg(&lock)
        .args(["sh", "-c", &keep])
        .spawn()
        .unwrap();
    let heir = wait_for("the lock", SOON, || {
        let number = fs::read_to_string(&heir).ok()?;
        number.trim().parse().ok().map(Pid::from_raw)
    });
    let number = dead.id();
    fs::write(&lock, format!("{number}\n")).unwrap();
    dead.kill().unwrap();
    let stat = format!("/proc/{number}/stat");
    wait_until("the end of a process", SOON, || {
        fs::read_to_string(&stat).is_ok_and(|text| text.contains(") Z "))
    });
    let settings = [
        ("OCF_RESKEY_manage", "daemon"),
        ("OCF_RESKEY_CRM_meta_timeout", "1500"),
    ];
    let (code, said) = run(&farm, AGENT, "stop", &settings);
    kill(heir, Signal::SIGKILL).unwrap();
    assert_eq!(code, Some(1), "{said}");
    assert!(
        said.contains(&format!("process {number} is still there")),
        "{said}"
    );
    wait_until("a stop, as nobody is there", SOON, || {
        run(&farm, AGENT, "stop", &settings).0 == Some(0)
    });
    dead.wait().unwrap();
}

/// What a person does to the lock of a daemon that runs.
fn delete(lock: &Path) {
    fs::remove_file(lock).unwrap();
}

/// What a backup that is restored does to it.
fn replace(lock: &Path) {
    let content = fs::read(lock).unwrap();
    fs::remove_file(lock).unwrap();
    fs::write(lock, content).unwrap();
}

#[test]
fn no_stop_overlooks_an_active_daemon_whose_lock_was_deleted_or_replaced() {
    for spoil in [delete, replace] {
        for script in [AGENT, "etc/heartbeat/lvsmon"] {
            // It takes its lock again after a while, so each time it is another one.
            let mut farm = Farm::new();
            farm.start_healthy();
            assert_eq!(run(&farm, script, "start", &[]).0, Some(0));
            assert_eq!(role(&farm), "active");
            spoil(&farm.folder.join("state/lock"));
            let (code, said) = run(&farm, script, "stop", &[]);
            assert_eq!((code, role(&farm).as_str()), (Some(0), "standby"), "{said}");
        }
    }
}

#[test]
fn a_daemon_whose_lock_was_deleted_or_replaced_is_ended_by_stop() {
    for spoil in [delete, replace] {
        let farm = Farm::new();
        let settings = [("OCF_RESKEY_manage", "daemon")];
        let started = run(&farm, AGENT, "start", &settings);
        assert_eq!(started.0, Some(0), "{} {}", started.1, farm.log());
        spoil(&farm.folder.join("state/lock"));
        assert_eq!(run(&farm, AGENT, "monitor", &settings).0, Some(0));
        let (code, said) = run(&farm, AGENT, "stop", &settings);
        assert_eq!(code, Some(0), "{said}");
        let heard = text(&farm.output(&["health"]));
        assert!(heard.contains("no daemon answers"), "{heard}");
    }
}

/// No program is there, as between two steps of a package manager.
const GONE: &str = "/nowhere/lvsmon";

#[test]
fn no_stop_succeeds_while_a_daemon_without_its_program_is_active() {
    let mut farm = Farm::new();
    let agent = |farm: &Farm, action| {
        let gone = [
            ("OCF_RESKEY_binary", GONE),
            ("OCF_RESKEY_CRM_meta_timeout", "1500"),
        ];
        run(farm, AGENT, action, &gone)
    };
    let heartbeat =
        |farm: &Farm, action| run(farm, "etc/heartbeat/lvsmon", action, &[("LVSMON", GONE)]);
    assert_eq!(agent(&farm, "stop").0, Some(0), "nothing was started");
    assert_eq!(heartbeat(&farm, "stop").0, Some(0), "nothing was started");
    farm.start_healthy();
    assert_eq!(run(&farm, AGENT, "start", &[]).0, Some(0));
    assert_eq!(agent(&farm, "monitor").0, Some(1));
    let (code, said) = agent(&farm, "stop");
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains(GONE), "{said}");
    let (code, said) = heartbeat(&farm, "stop");
    assert_eq!(code, Some(1), "{said}");
    let (code, said) = heartbeat(&farm, "status");
    assert_eq!((code, said.as_str()), (Some(1), "stuck\n"));
    // Another state folder than the one that the start was told of.
    let elsewhere = [("OCF_RESKEY_statedir", "/nowhere/state")];
    assert_eq!(run(&farm, AGENT, "stop", &elsewhere).0, Some(0));
    assert_eq!(role(&farm), "standby");
}

#[test]
fn a_daemon_without_its_program_is_ended_all_the_same() {
    let farm = Farm::new();
    let run = |action, binary: &Path| {
        let settings = [
            ("OCF_RESKEY_manage", "daemon"),
            ("OCF_RESKEY_binary", binary.to_str().unwrap()),
        ];
        run(&farm, AGENT, action, &settings)
    };
    let started = run("start", lvsmon_path());
    assert_eq!(started.0, Some(0), "{} {}", started.1, farm.log());
    assert_eq!(run("monitor", Path::new(GONE)).0, Some(1));
    assert_eq!(run("stop", Path::new(GONE)).0, Some(0));
    assert!(farm.log().contains("stopped"), "{}", farm.log());
    assert_eq!(run("monitor", lvsmon_path()).0, Some(7));
}

#[test]
fn the_agent_starts_no_daemon_whose_state_folder_it_does_not_know_and_leaves_none_half_started() {
    let farm = Farm::new();
    let elsewhere = [
        ("OCF_RESKEY_manage", "daemon"),
        ("OCF_RESKEY_statedir", "/nowhere/state"),
        ("OCF_RESKEY_CRM_meta_timeout", "1500"),
    ];
    for action in ["validate-all", "start"] {
        let (code, said) = run(&farm, AGENT, action, &elsewhere);
        assert_eq!(code, Some(2), "{action}: {said}");
        let state = farm.folder.join("state");
        assert!(said.contains(state.to_str().unwrap()), "{said}");
    }
    let linked = farm.folder.join("linked");
    std::os::unix::fs::symlink(farm.folder.join("state"), &linked).unwrap();
    let linked = [
        ("OCF_RESKEY_manage", "daemon"),
        ("OCF_RESKEY_statedir", linked.to_str().unwrap()),
    ];
    assert_eq!(run(&farm, AGENT, "validate-all", &linked).0, Some(0));
    // Its name may have what JSON writes in another way.
    let fake = "#!/bin/sh\ncat <<'END'\n{\n  \"statedir\": \"/x/a\\\"b\\\\c\",\n  \"valid\": true\n}\nEND\n";
    let fake = farm.folder.write_executable("fake", fake);
    let odd = [
        ("OCF_RESKEY_manage", "daemon"),
        ("OCF_RESKEY_binary", fake.to_str().unwrap()),
        ("OCF_RESKEY_statedir", "/x/a\"b\\c"),
    ];
    let (code, said) = run(&farm, AGENT, "validate-all", &odd);
    assert_eq!(code, Some(0), "{said}");
    // One that never gets well.
    let number = farm.folder.join("number");
    let ill = format!(
        "#!/bin/sh\ncase $1 in run) echo $$ >{}; exec sleep 600;; health) exit 1;; esac\n\
         exec {} \"$@\"\n",
        number.display(),
        lvsmon_path().display()
    );
    let ill = farm.folder.write_executable("ill", ill);
    let ill = [
        ("OCF_RESKEY_manage", "daemon"),
        ("OCF_RESKEY_binary", ill.to_str().unwrap()),
        ("OCF_RESKEY_CRM_meta_timeout", "3000"),
    ];
    let (code, said) = run(&farm, AGENT, "start", &ill);
    assert_eq!(code, Some(1), "{said}");
    let number = fs::read_to_string(number).unwrap();
    let number = Pid::from_raw(number.trim().parse().unwrap());
    wait_until("the end of what was started", SOON, || {
        kill(number, None).is_err()
    });
}

/// Stands for lvsmon and notes what it is asked in the file `asked`.
fn listened(farm: &Farm) -> PathBuf {
    let script = format!(
        "#!/bin/sh\necho \"$1\" >>{}\nexec {} \"$@\"\n",
        farm.folder.join("asked").display(),
        lvsmon_path().display()
    );
    farm.folder.write_executable("lvsmon", script)
}

#[test]
fn a_role_is_said_to_a_daemon_that_is_about_to_come_up() {
    for script in [AGENT, "etc/heartbeat/lvsmon"] {
        let mut farm = Farm::new();
        let binary = listened(&farm);
        let binary = binary.to_str().unwrap();
        let settings = [
            ("OCF_RESKEY_binary", binary),
            ("OCF_RESKEY_CRM_meta_timeout", "90000"),
            ("LVSMON", binary),
        ];
        let mut start = command(&farm, script, "start", &settings);
        let start = start.stdout(Stdio::piped()).stderr(Stdio::piped());
        let start = start.spawn().unwrap();
        let asked = farm.folder.join("asked");
        wait_until("a first try", SOON, || {
            fs::read_to_string(&asked).is_ok_and(|text| text.contains("role"))
        });
        farm.start();
        let output = start.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{}", text(&output));
        assert_eq!(role(&farm), "active");
    }
}

#[test]
fn monitor_finds_out_that_somebody_else_said_another_role() {
    let mut farm = Farm::new();
    farm.start_healthy();
    let monitor = |farm: &Farm| run(farm, AGENT, "monitor", &[]);
    for word in ["backup", "fault"] {
        assert_eq!(run(&farm, AGENT, "start", &[]).0, Some(0));
        assert_eq!(monitor(&farm).0, Some(0));
        assert!(farm.output(&["role", word]).status.success());
        let (code, said) = monitor(&farm);
        assert_eq!(code, Some(7), "{word}: {said}");
        assert!(said.contains("lvsmon role said"), "{said}");
    }
    assert_eq!(run(&farm, AGENT, "stop", &[]).0, Some(0));
    // To and fro, until it is held back: that it is coming is enough.
    wait_until("a role that is held back", SOON, || {
        farm.output(&["role", "backup"]);
        farm.output(&["role", "master"]).status.code() == Some(3)
    });
    assert_ne!(role(&farm), "active");
    assert_eq!(run(&farm, AGENT, "start", &[]).0, Some(0));
    assert_eq!(monitor(&farm).0, Some(0));
}

#[test]
fn heartbeat_asks_a_frozen_daemon_nothing_that_it_would_wait_for() {
    let mut farm = Farm::new();
    farm.start_healthy();
    let binary = listened(&farm);
    farm.signal(Signal::SIGSTOP);
    let settings = [("LVSMON", binary.to_str().unwrap())];
    let (code, said) = run(&farm, "etc/heartbeat/lvsmon", "status", &settings);
    assert_eq!((code, said.as_str()), (Some(1), "stuck\n"));
    let asked = fs::read_to_string(farm.folder.join("asked")).unwrap();
    assert_eq!(asked, "health\n");
    farm.signal(Signal::SIGCONT);
}

const AGENT: &str = "etc/ocf/lvsmon";

#[test]
fn the_ocf_agent_says_the_role_with_the_exit_codes_of_ocf() {
    let mut farm = Farm::new();
    let code = |farm: &Farm, action: &str| run(farm, AGENT, action, &[]).0;
    assert_eq!(code(&farm, "monitor"), Some(7));
    let briefly = [("OCF_RESKEY_CRM_meta_timeout", "1500")];
    let started = run(&farm, AGENT, "start", &briefly);
    assert_eq!(started.0, Some(1), "no daemon");
    assert!(started.1.contains("no daemon answers"), "{}", started.1);
    assert_eq!(code(&farm, "stop"), Some(0));
    farm.start_healthy();
    assert_eq!(code(&farm, "monitor"), Some(7));
    for _ in 0..2 {
        assert_eq!(code(&farm, "start"), Some(0));
        assert_eq!(code(&farm, "monitor"), Some(0));
        assert_eq!(role(&farm), "active");
    }
    for _ in 0..2 {
        assert_eq!(code(&farm, "stop"), Some(0));
        assert_eq!(code(&farm, "status"), Some(7));
        assert_eq!(role(&farm), "standby");
    }
    assert_eq!(code(&farm, "start"), Some(0));
    farm.end(Signal::SIGKILL);
    assert_eq!(code(&farm, "monitor"), Some(1), "active, and dead");
    assert_eq!(code(&farm, "dance"), Some(3));
    let with = |name, value| run(&farm, AGENT, "validate-all", &[(name, value)]).0;
    assert_eq!(with("OCF_RESKEY_manage", "role"), Some(0));
    assert_eq!(with("OCF_RESKEY_manage", "all"), Some(6));
    assert_eq!(with("OCF_RESKEY_binary", "/nowhere/lvsmon"), Some(5));
    let (code, page) = run(&farm, AGENT, "meta-data", &[]);
    assert_eq!(code, Some(0));
    for word in [
        "<action name=\"monitor\"",
        "name=\"manage\"",
        "</resource-agent>",
    ] {
        assert!(page.contains(word), "{word}");
    }
}

#[test]
fn the_ocf_agent_starts_and_stops_the_daemon_where_it_is_to() {
    let farm = Farm::new();
    let run = |action| run(&farm, AGENT, action, &[("OCF_RESKEY_manage", "daemon")]);
    assert_eq!(run("monitor").0, Some(7));
    let started = run("start");
    assert_eq!(started.0, Some(0), "{} {}", started.1, farm.log());
    assert_eq!(run("start").0, Some(0));
    assert_eq!(run("monitor").0, Some(0));
    assert_eq!(run("stop").0, Some(0));
    assert_eq!(run("monitor").0, Some(7));
    assert_eq!(run("stop").0, Some(0));
    wait_until("the end in the log", SOON, || {
        farm.log().contains("stopped")
    });
}

#[test]
fn ocf_tester_finds_nothing_wrong_with_the_agent() {
    let tester = Path::new("/usr/sbin/ocf-tester");
    if !is_root() || !tester.exists() {
        return skip(
            "ocf_tester_finds_nothing_wrong_with_the_agent",
            "root and ocf-tester",
        );
    }
    let mut farm = Farm::new();
    farm.start_healthy();
    let mut command = Command::new(tester);
    command
        .args(["-n", "role"])
        .arg("-o")
        .arg(format!("binary={}", lvsmon_path().display()))
        .arg("-o")
        .arg(format!("statedir={}", farm.folder.join("state").display()))
        .arg(root().join(AGENT))
        .env("HA_RSCTMP", farm.folder.join("cluster"));
    let output = command.output().unwrap();
    let said = text(&output);
    assert!(output.status.success(), "{said}");
    assert!(said.contains("passed all tests"), "{said}");
}
