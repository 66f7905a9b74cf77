//! `lvsmon try`: runs a program as the daemon would and says what comes of it.

use std::fs::Permissions;
use std::io::Read as _;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use nix::sys::signal::Signal;
use nix::unistd::User;
use serde_json::Value;
use tokio::signal::unix;

use crate::support::{Running, TempDir, free_port, is_root, lvsmon, root, skip, wait_for};

/// `lvsmon try WORDS` in a folder with an empty configuration, so that nothing of this machine
/// counts.
struct Bench {
    folder: TempDir,
}

impl Bench {
    fn new() -> Self {
        let folder = TempDir::new();
        let path = folder.path().display().to_string();
        for name in ["mon.d", "alert.d"] {
            std::fs::create_dir(folder.join(name)).unwrap();
        }
        folder.write(
            "mon.cf",
            format!("mondir = {path}/mon.d\nalertdir = {path}/alert.d\nstatedir = {path}\n"),
        );
        Self { folder }
    }

    fn monitor(&self, text: &str) {
        let text = format!("#!/bin/sh\n{text}");
        self.folder.write_executable("mon.d/own.monitor", text);
    }

    fn command(&self, words: &[&str]) -> Command {
        let mut command = lvsmon(["try", "--config"]);
        command.arg(self.folder.join("mon.cf")).args(words);
        command
    }

    fn run(&self, words: &[&str]) -> (i32, String) {
        let Output {
            status,
            stdout,
            stderr,
        } = self.command(words).output().expect("lvsmon runs");
        let text = [stdout, stderr].concat();
        (
            status.code().expect("an exit status"),
            String::from_utf8_lossy(&text).into_owned(),
        )
    }

    #[track_caller]
    fn json(&self, words: &[&str]) -> (i32, Value) {
        let output = self
            .command(&[&["--json"], words].concat())
            .output()
            .expect("lvsmon runs");
        let said = serde_json::from_slice(&output.stdout);
        let said = said.unwrap_or_else(|error| panic!("{error}: {output:?}"));
        (output.status.code().expect("an exit status"), said)
    }
}

fn codes(trial: &Value) -> Vec<&str> {
    let remarks = trial["remarks"].as_array().expect("a list");
    let code = |remark: &'_ Value| remark["code"].as_str().map(str::len);
    assert!(remarks.iter().all(|remark| code(remark).is_some()));
    remarks
        .iter()
        .filter_map(|remark| remark["code"].as_str())
        .collect()
}

#[test]
fn every_run_of_a_monitor_is_that_of_monitor_user_also_the_one_with_streams_apart() {
    const NAME: &str =
        "every_run_of_a_monitor_is_that_of_monitor_user_also_the_one_with_streams_apart";
    if !is_root() {
        return skip(NAME, "root, to be somebody else");
    }
    let nobody = User::from_name("nobody").unwrap().unwrap();
    let bench = Bench::new();
    let before = std::fs::read_to_string(bench.folder.join("mon.cf")).unwrap();
    let text = format!("monitor_user = nobody\n{before}");
    bench.folder.write("mon.cf", text);
    let said = bench.folder.join("said");
    std::fs::create_dir(&said).unwrap();
    for (path, mode) in [(bench.folder.path(), 0o755), (said.as_path(), 0o777)] {
        std::fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
    }
    bench.monitor(&format!("id -u > {}/$$\n", said.display()));
    let (code, trial) = bench.json(&["own.monitor", "--", "127.0.0.1"]);
    assert_eq!(code, 0, "{trial}");
    let runs = std::fs::read_dir(&said).unwrap();
    let users: Vec<String> = runs
        .map(|run| std::fs::read_to_string(run.unwrap().path()).unwrap())
        .collect();
    assert_eq!(users, [(); 3].map(|()| format!("{}\n", nobody.uid)));
}

#[test]
fn a_good_monitor_is_shown_as_the_daemon_sees_it() {
    let bench = Bench::new();
    // It tells its arguments and some variables, as they are in the daemon.
    bench.monitor(
        "[ \"$*\" = '-p 22 h1 h2' ] || { echo wrong; exit 9; }\n\
         [ \"$MON_GROUP/$MON_SERVICE/$OWN\" = 'try/try/a b' ] || exit 8\n\
         [ -x \"$LVSMON\" ] || exit 7\nexit 0\n",
    );
    let words = [
        "--env",
        "OWN=a b",
        "own.monitor",
        "-p",
        "22",
        "--",
        "h1",
        "h2",
    ];
    let (code, trial) = bench.json(&words);
    assert_eq!(code, 0, "{trial}");
    let path = bench.folder.join("mon.d/own.monitor");
    let path = path.to_str().unwrap();
    assert_eq!(
        trial["argv"],
        serde_json::json!([path, "-p", "22", "h1", "h2"])
    );
    assert_eq!(trial["environment"]["OWN"], "a b");
    assert_eq!(trial["environment"]["MON_GROUP"], "try");
    assert_eq!(trial["limit_s"], 600.0);
    assert_eq!(trial["runs"].as_array().unwrap().len(), 2);
    assert_eq!(trial["runs"][0]["hosts"][1]["verdict"], "up");
    let (code, text) = bench.run(&words);
    assert_eq!(code, 0);
    assert!(
        text.contains("h2 up") && text.contains("nothing to remark"),
        "{text}"
    );
    assert!(!text.contains('\u{1b}'), "no colours in a pipe: {text}");
}

#[test]
fn a_failure_in_good_form_is_exit_status_1_and_says_who_is_down() {
    let bench = Bench::new();
    bench.monitor("echo h2\necho\necho \"$MON_LAST_SUMMARY and $(date +%N)\"\nexit 3\n");
    let (code, trial) = bench.json(&["own.monitor", "h1", "h2", "h3"]);
    assert_eq!(code, 1, "{trial}");
    let run = &trial["runs"][0];
    assert_eq!((&run["exit"], &run["summary"]), (&3.into(), &"h2".into()));
    let verdicts: Vec<&str> = (0..3)
        .map(|host| run["hosts"][host]["verdict"].as_str().unwrap())
        .collect();
    assert_eq!(verdicts, ["up", "down", "up"]);
    assert_eq!(run["hosts"][1]["reason"], "exit");
    // The second run knows of the first, as in the daemon.
    let detail = trial["runs"][1]["detail"].as_str().unwrap();
    assert!(detail.starts_with("\nh2 and"), "{detail:?}");
}

#[test]
fn what_authors_get_wrong_is_a_problem_with_exit_status_3() {
    let bench = Bench::new();
    for (text, expected) in [
        ("echo \"h1 $(date +%N)\"; exit 1", "summary_changes"),
        (
            "echo 'line 3: oops' >&2; echo h1; exit 1",
            "stderr_in_summary",
        ),
        ("echo h1 h9; exit 1", "unknown_host"),
        ("exit 1", "no_output"),
        ("echo; echo h1; exit 1", "blank_summary"),
        ("echo down; exit 1", "no_host_named"),
        ("kill -9 $$", "signal"),
        ("exec sleep 1000", "limit"),
    ] {
        bench.monitor(text);
        let (code, trial) = bench.json(&["--limit", "0.3s", "own.monitor", "h1", "h2"]);
        assert_eq!(code, 3, "{text}: {trial}");
        assert!(codes(&trial).contains(&expected), "{text}: {trial}");
    }
}

#[test]
fn what_may_hurt_some_day_is_a_warning_and_only_strict_makes_it_a_problem() {
    let bench = Bench::new();
    let long = "yes 0123456789 2>/dev/null | head -c 200000; exit 0";
    for (text, expected) in [
        ("read -r line; exit 0", "reads_input"),
        ("sleep 30 >/dev/null 2>&1 & exit 0", "leaves_children"),
        ("echo h1; exit 0", "exit_0_names_host"),
        (long, "output_cut"),
    ] {
        bench.monitor(text);
        let (code, trial) = bench.json(&["own.monitor", "h1"]);
        assert_eq!(
            (code, codes(&trial)),
            (0, vec![expected]),
            "{text}: {trial}"
        );
        let (code, _) = bench.json(&["--strict", "own.monitor", "h1"]);
        assert_eq!(code, 3, "{text}");
    }
}

#[test]
fn one_run_alone_is_what_repeat_1_gives() {
    let bench = Bench::new();
    let counter = bench.folder.join("count");
    bench.monitor(&format!("echo x >>{}", counter.display()));
    for (words, expected) in [
        (&["--repeat", "1", "own.monitor", "h"][..], 1),
        (&["own.monitor", "h"], 3),
        (&["--repeat", "3", "own.monitor", "h"], 4),
    ] {
        std::fs::write(&counter, "").unwrap();
        assert_eq!(bench.run(words).0, 0);
        assert_eq!(
            bench.folder.read("count").lines().count(),
            expected,
            "{words:?}"
        );
    }
}

#[test]
fn a_program_that_cannot_run_says_why_and_what_to_do() {
    let bench = Bench::new();
    let plain = bench.folder.write("mon.d/plain.monitor", "#!/bin/sh\n");
    let bad = bench
        .folder
        .write_executable("bad.monitor", "#!/no/such/shell\n");
    for (words, expected) in [
        (&["plain.monitor", "h"][..], "may not be executed"),
        (&[plain.to_str().unwrap(), "h"], "may not be executed"),
        (
            &[bad.to_str().unwrap(), "h"],
            "the interpreter in its first line is not",
        ),
        (&["/no/such/x.monitor", "h"], "there is no file"),
        (&["/no/such/x.alert"], "there is no file"),
    ] {
        let (code, text) = bench.run(words);
        assert_eq!(code, 3, "{words:?}: {text}");
        assert!(text.contains(expected), "{words:?}: {text}");
    }
}

#[test]
fn an_option_of_ours_behind_the_program_runs_nothing_unless_marked() {
    let bench = Bench::new();
    bench.monitor("echo >\"$0.ran\"; exit 0\n");
    let ran = bench.folder.join("mon.d/own.monitor.ran");
    let path = bench.folder.join("mon.d/own.monitor");
    let path = path.to_str().unwrap();
    let hint = "argument of that";
    for words in [
        &["--limit", "5s"][..],
        &["--limit=5s"],
        &["-p", "1", "--strict"],
    ] {
        let (code, text) = bench.run(&[&[path], words].concat());
        assert_eq!(code, 2, "{text}");
        assert!(text.contains(hint), "{text}");
        assert!(!ran.exists(), "{text}");
        let (code, text) = bench.run(&[&[path], words, &["--", "h1"]].concat());
        assert_eq!(code, 0, "{text}");
        assert!(text.contains(hint), "{text}");
        assert!(ran.exists(), "{text}");
        std::fs::remove_file(&ran).unwrap();
    }
    let alert = "#!/bin/sh\necho \"$@\" >\"$0.ran\"\n";
    let path_of_alert = bench.folder.write_executable("alert.d/own.alert", alert);
    let path_of_alert = path_of_alert.to_str().unwrap();
    let args = || bench.folder.read("alert.d/own.alert.ran");
    let (code, text) = bench.run(&[path_of_alert, "--kind", "up"]);
    assert_eq!((code, args()), (2, String::new()), "{text}");
    let (code, text) = bench.run(&[path_of_alert, "--kind", "up", "--"]);
    assert_eq!(code, 0, "{text}");
    assert!(args().ends_with(" --kind up\n"), "{}", args());
    // Where it marks nothing, it is an argument like any other.
    let (code, text) = bench.run(&[path_of_alert, "ops", "--"]);
    assert_eq!(code, 0, "{text}");
    assert!(args().ends_with(" ops --\n"), "{}", args());
    for words in [
        &["-p", "5s"][..],
        &["--other", "--", "h1"],
        &["--", "--limit"],
    ] {
        let (_, text) = bench.run(&[&[path], words].concat());
        assert!(!text.contains(hint), "{text}");
    }
}

#[test]
fn wrong_usage_runs_nothing_and_is_exit_status_2() {
    let bench = Bench::new();
    for (words, expected) in [
        (&["nosuch.monitor", "h"][..], "no such file in mondir"),
        (&["www/http"], "no service www/http"),
        (&["--limit", "5 apples", "x"], "write a time such as 30s"),
        (
            &["--kind", "sad", "mail.alert", "root"],
            "known are failure up",
        ),
        (&["http.monitor", "-p", "x", "h"], "option -p:"),
        (&["mail.alert"], "needs a recipient"),
        (&[], "required"),
    ] {
        let (code, text) = bench.run(words);
        assert_eq!(code, 2, "{words:?}: {text}");
        assert!(text.contains(expected), "{words:?}: {text}");
    }
}

#[test]
fn built_ins_are_tried_like_the_others_with_their_reasons() {
    let bench = Bench::new();
    let port = free_port().to_string();
    let (code, trial) = bench.json(&["tcp.monitor", "-p", &port, "-t", "5", "127.0.0.1"]);
    assert_eq!(code, 1, "{trial}");
    assert_eq!(trial["became"], "built-in");
    assert_eq!(trial["runs"][0]["hosts"][0]["reason"], "refused");
    let words = ["plugin.monitor", "--", "true", "%h", "--", "h1", "h2"];
    let (code, trial) = bench.json(&words);
    assert_eq!(
        (code, &trial["hosts"]),
        (0, &serde_json::json!(["h1", "h2"]))
    );
}

#[test]
fn a_configured_service_is_tried_as_it_stands_with_what_its_rules_say() {
    let bench = Bench::new();
    bench.monitor("echo h2; exit 4");
    let alert = bench.folder.write_executable(
        "alert.d/own.alert",
        "#!/bin/sh\necho \"$MON_ALERTTYPE $MON_GROUP $*\"\ncat\n[ \"$MON_ALERTTYPE\" != up ]\n",
    );
    let text = bench.folder.read("mon.cf")
        + "\nhostgroup web h1 h2 *h3\n\nwatch web\n    service http\n\tinterval 10m\n\t\
           depend SELF:other\n\tOWN=yes\n\tmonitor own.monitor -x\n\tperiod day: wd {Sun-Sat}\n\t    \
           alertafter 2\n\t    alert own.alert a\n\t    upalert own.alert b\n    service other\n\t\
           interval 1m\n\tmonitor own.monitor\n";
    bench.folder.write("mon.cf", text);
    let (code, trial) = bench.json(&["web/http"]);
    assert_eq!(code, 1, "{trial}");
    assert_eq!(trial["service"], "web/http");
    assert_eq!(trial["hosts"], serde_json::json!(["h1", "h2"]));
    assert_eq!(trial["environment"]["OWN"], "yes");
    let alerts = |run: usize| trial["runs"][run]["alerts"][0].as_str().unwrap();
    assert!(alerts(0).contains("1 of 2 failures"), "{trial}");
    assert_eq!(alerts(1), "failure alert own.alert in period day");

    // Options may stand behind the service's name.
    let (code, trial) = bench.json(&["web/http", "--alert", "--kind", "failure", "--kind", "up"]);
    assert_eq!(code, 1, "{trial}");
    let calls = trial["calls"].as_array().unwrap();
    assert_eq!(calls.len(), 2);
    let time = calls[0]["argv"][8].as_str().unwrap();
    let argv = [
        alert.to_str().unwrap(),
        "-s",
        "http",
        "-g",
        "web",
        "-h",
        "h1 h2",
        "-t",
        time,
        "a",
    ];
    assert_eq!(calls[0]["argv"], serde_json::json!(argv));
    let output = calls[0]["output"].as_str().unwrap();
    assert!(output.starts_with("failure web -s http"), "{output}");
    assert!(
        output.ends_with(calls[0]["stdin"].as_str().unwrap()),
        "{output}"
    );
    assert_eq!(
        (&calls[1]["kind"], &calls[1]["exit"]),
        (&"up".into(), &1.into())
    );
}

#[test]
fn a_configured_service_looks_where_the_daemon_would_of_a_name_of_both_families() {
    // A port that no other test is given: nobody listens there by IPv6.
    let port = free_port();
    let _server = TcpListener::bind(("127.0.0.1", port)).unwrap();
    let decides = "virtual [2001:db8::3]:80\n    real localhost\n    service web:http\n";
    for (rest, expected) in [("", 0), (decides, 1)] {
        let bench = Bench::new();
        let file = format!(
            "\nhostgroup web localhost\n\nwatch web\n    service http\n\tinterval 10m\n\t\
             monitor tcp.monitor -p {port} -t 20\n\n{rest}"
        );
        bench
            .folder
            .write("mon.cf", bench.folder.read("mon.cf") + &file);
        let (code, trial) = bench.json(&["web/http"]);
        assert_eq!(code, expected, "{rest}: {trial}");
    }
}

#[test]
fn an_alert_is_called_with_each_kind_of_event() {
    let bench = Bench::new();
    let alert = bench.folder.write_executable(
        "own.alert",
        "#!/bin/sh\nmark=; for word; do case $word in -[uTOaD]) mark=$word;; esac; done\n\
         echo \"$MON_ALERTTYPE/$mark/$MON_RETVAL/$MON_OPSTATUS\"\n",
    );
    let (code, trial) = bench.json(&[alert.to_str().unwrap(), "x"]);
    assert_eq!(code, 0, "{trial}");
    let said: Vec<&str> = trial["calls"]
        .as_array()
        .unwrap()
        .iter()
        .map(|call| call["output"].as_str().unwrap().trim())
        .collect();
    assert_eq!(
        said,
        [
            "failure//1/0",
            "up/-u/0/1",
            "startup//0/7",
            "trap/-T/1/0",
            "traptimeout/-O/1/0",
            "ack/-a//0",
            "disable/-D//1",
            "test//0/1",
        ]
    );
}

#[test]
fn a_program_in_the_place_of_a_built_in_gets_its_password_and_nobody_else_sees_it() {
    let bench = Bench::new();
    let alert = bench.folder.write_executable(
        "trap.alert",
        "#!/bin/sh\nfor word; do test \"$word\" = \"s3cret x\" && echo found; done\nexit 0\n",
    );
    let words = [
        "--kind",
        "up",
        alert.to_str().unwrap(),
        "-U",
        "me",
        "-P",
        "s3cret x",
        "h",
    ];
    let (code, text) = bench.run(&words);
    assert_eq!(code, 0, "{text}");
    assert!(text.contains("found") && text.contains("***"), "{text}");
    assert!(!text.contains("s3cret"), "{text}");
}

#[test]
fn a_built_in_alert_sends_only_where_that_is_asked_for() {
    let bench = Bench::new();
    let url = format!("http://127.0.0.1:{}/hook", free_port());
    let (code, trial) = bench.json(&["--kind", "failure", "webhook.alert", &url]);
    assert_eq!(code, 0, "{trial}");
    let output = trial["calls"][0]["output"].as_str().unwrap();
    assert!(
        output.starts_with(&format!("POST {url}\n{{\"schema\"")),
        "{output}"
    );
    let (code, trial) = bench.json(&["--kind", "failure", "--really", "webhook.alert", &url]);
    assert_eq!(code, 1, "{trial}");
    assert!(
        trial["calls"][0]["outcome"]
            .as_str()
            .unwrap()
            .starts_with("not sent: ")
    );
    let secret = ["-H", "X-Key: s3cret", "http://me:s3cret@127.0.0.1:9/"];
    let (code, text) = bench.run(&[&["--kind", "up", "webhook.alert"], &secret[..]].concat());
    assert_eq!(code, 0, "{text}");
    assert!(text.contains("POST http://me:***@127.0.0.1:9/"), "{text}");
    assert!(!text.contains("s3cret"), "{text}");
    let (code, text) = bench.run(&["--kind", "up", "mail.alert", "ops@example.org"]);
    assert_eq!(code, 0, "{text}");
    assert!(
        text.contains("| To: ops@example.org") && text.contains("--really"),
        "{text}"
    );
    let words = [
        "--kind",
        "failure",
        "--env",
        "MON_TRAP_PASS=s3cret",
        "trap.alert",
    ];
    let (code, text) = bench.run(&[&words[..], &["-P", "t0psecret", "127.0.0.1:9"]].concat());
    assert_eq!(code, 0, "{text}");
    assert!(text.contains("a trap to 127.0.0.1:9: group try"), "{text}");
    assert!(!text.contains("secret"), "{text}");
    assert!(text.contains("MON_TRAP_PASS=***"), "{text}");
    let (code, text) = bench.run(&[
        "--kind",
        "up",
        "lvs.alert",
        "-P",
        "tcp",
        "-V",
        "10.0.0.3:80",
    ]);
    assert_eq!(code, 0, "{text}");
    assert!(text.contains("it decides over the table"), "{text}");
}

#[test]
fn the_samples_are_in_good_form() {
    let bench = Bench::new();
    let closed = free_port().to_string();
    let sample = |name: &str| root().join(name).to_str().unwrap().to_owned();
    for (name, port) in [
        ("mon.d/sample.monitor", "-p"),
        ("mon.d/sample-py.monitor", "--port"),
    ] {
        let words = [&sample(name), port, &closed, "--", "127.0.0.1"].map(str::to_owned);
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let (code, trial) = bench.json(&words);
        assert_eq!(code, 1, "{name}: {trial}");
        assert!(codes(&trial).is_empty(), "{name}: {trial}");
        assert_eq!(trial["runs"][0]["hosts"][0]["verdict"], "down", "{name}");
    }
    let folder = bench.folder.path().to_str().unwrap();
    for name in ["alert.d/sample-file.alert", "alert.d/sample-py.alert"] {
        let (code, trial) = bench.json(&["--strict", &sample(name), "-d", folder, "log"]);
        assert_eq!(code, 0, "{name}: {trial}");
        assert!(codes(&trial).is_empty(), "{name}: {trial}");
        let log = bench.folder.read("log");
        for kind in ["failure", "up", "startup", "ack", "disable", "traptimeout"] {
            assert!(log.contains(&format!("{kind} try try ")), "{name}: {log}");
        }
        std::fs::remove_file(bench.folder.join("log")).unwrap();
    }
}

/// Longest wait for a process to begin or to end.
const PATIENCE: Duration = Duration::from_secs(60);

/// A program that says its number and stays.
const STAYS: &str = "#!/bin/sh\necho $$ >\"$OWN.new\"; mv \"$OWN.new\" \"$OWN\"; exec sleep 600\n";

/// Whether a process is there and has not ended.
fn lives(process: &str) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    let state = stat.rsplit_once(") ").map(|(_, rest)| rest.to_owned());
    state.is_some_and(|state| !state.starts_with(['Z', 'X']))
}

/// Has children of this process begin with the default action of the signal, also where a shell has
/// this process ignore it, as jobs in the background of a script do: a handler stands in the place
/// of that, and none outlives execve(2).
fn give_children_the_default(signal: Signal) {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let ignored = u64::from_str_radix(ignored.unwrap().trim(), 16).unwrap();
    let number = signal as i32;
    if ignored >> (number - 1) & 1 == 0 {
        return;
    }
    let mut builder = tokio::runtime::Builder::new_current_thread();
    let runtime = builder.enable_io().build().unwrap();
    let _context = runtime.enter();
    drop(unix::signal(unix::SignalKind::from_raw(number)).unwrap());
}

/// Starts the command, ends it with the signal once its program is there, and sees both end.
#[track_caller]
fn interrupt(command: &mut Command, number: &Path, signal: Signal) {
    give_children_the_default(signal);
    let _ = std::fs::remove_file(number);
    command.env("OWN", number);
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    let mut running = Running::start(command);
    let process = wait_for("the program", PATIENCE, || {
        std::fs::read_to_string(number).ok()
    });
    let process = process.trim();
    assert!(lives(process));
    running.signal(signal);
    let status = running.wait(PATIENCE);
    assert_eq!(status.code(), Some(128 + signal as i32), "{signal}");
    wait_for("the end of the program", PATIENCE, || {
        (!lives(process)).then_some(())
    });
    let mut said = String::new();
    let errors = running.0.stderr.as_mut().expect("a pipe");
    errors.read_to_string(&mut said).unwrap();
    assert!(said.contains(&format!("ended by {signal}")), "{said}");
}

#[test]
fn a_trial_that_is_interrupted_ends_the_program_and_says_so() {
    let bench = Bench::new();
    bench.folder.write_executable("mon.d/own.monitor", STAYS);
    bench.folder.write_executable("alert.d/own.alert", STAYS);
    let number = bench.folder.join("number");
    for signal in [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP] {
        interrupt(&mut bench.command(&["own.monitor", "h1"]), &number, signal);
    }
    interrupt(&mut bench.command(&["own.alert"]), &number, Signal::SIGINT);
    // A built-in that runs programs, by itself.
    let program = bench.folder.write_executable("stays", STAYS);
    let mut command = lvsmon(["monitor", "plugin", "--"]);
    command.arg(program).args(["--", "127.0.0.1"]);
    interrupt(&mut command, &number, Signal::SIGTERM);
}
