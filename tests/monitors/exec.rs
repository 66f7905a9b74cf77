//! Programs as monitors: shell scripts that behave in every way.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, mpsc};
use std::time::Duration;

use lvsmon::engine::event::{Ended, Executable, Report};
use lvsmon::monitor::exec;
use lvsmon::program::{Children, PIPE_GRACE, TERM_GRACE};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::{SOON, text};
use crate::support::{TempDir, lvsmon_path, wait_until};

/// A limit that no good run reaches.
const LIMIT: Duration = Duration::from_secs(30);

/// A limit that every run here reaches, but not before the shell has said its first words.
const ENOUGH_TO_START: Duration = Duration::from_secs(3);

fn program(path: impl Into<PathBuf>, args: &[&str], limit: Duration) -> Executable {
    Executable {
        path: path.into(),
        args: args.iter().map(|&arg| arg.to_owned()).collect(),
        environment: Vec::new(),
        limit,
    }
}

fn run(program: &Executable) -> Report {
    super::run(exec::run(program, None, &Children::default()))
}

/// Runs a shell script with that body.
fn script(folder: &TempDir, body: &str, limit: Duration) -> Report {
    let path = folder.write_executable("own.monitor", format!("#!/bin/sh\n{body}\n"));
    run(&program(path, &[], limit))
}

/// The process whose id a script left in that file.
fn left_by(folder: &TempDir, name: &str) -> Pid {
    let mut id = None;
    wait_until("a process id in a file", SOON, || {
        id = folder.read(name).trim().parse().ok();
        id.is_some()
    });
    Pid::from_raw(id.expect("a process id"))
}

fn is_gone(process: Pid) -> bool {
    !Path::new(&format!("/proc/{process}")).exists()
}

/// Ended, reaped or not: for processes that are not our children, whose reaping others do.
fn has_ended(process: Pid) -> bool {
    std::fs::read_to_string(format!("/proc/{process}/stat"))
        .map_or(true, |stat| stat.contains(") Z ") || stat.contains(") X "))
}

#[track_caller]
fn assert_not_started(report: &Report, parts: &[&str]) {
    let Ended::NotStarted(why) = &report.ended else {
        panic!("it was started: {report:?}");
    };
    for part in parts {
        assert!(why.contains(part), "{why}");
    }
    assert_eq!(report.ended.exit(), 1);
}

#[test]
fn output_of_both_streams_arrives_in_the_order_of_writing() {
    let folder = TempDir::new();
    let body = "echo one; echo two >&2; echo three; echo four >&2; exit 7";
    let report = script(&folder, body, LIMIT);
    assert_eq!(report.ended, Ended::Exited(7));
    assert_eq!(text(&report), "one\ntwo\nthree\nfour\n");
    assert!(report.hosts.is_empty());
}

#[test]
fn arguments_and_variables_arrive_as_given() {
    let folder = TempDir::new();
    let path = folder.write_executable(
        "own.monitor",
        "#!/bin/sh\nprintf '[%s]' \"$@\" \"$MON_GROUP\" \"$LVSMON\" \"$HOME\"\n",
    );
    let mut program = program(path, &["a b", "", "$x", "h1"], LIMIT);
    program.environment = [
        ("MON_GROUP", "first"),
        ("MON_GROUP", "last"),
        ("HOME", "/here"),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .into();
    let own = std::env::current_exe().expect("this program");
    let own = own.display();
    assert_eq!(
        text(&run(&program)),
        format!("[a b][][$x][h1][last][{own}][/here]")
    );
    program
        .environment
        .push(("LVSMON".to_owned(), "other".to_owned()));
    assert!(text(&run(&program)).contains("[other]"));
}

/// A program that prints which signals it ignores and blocks, as in `/proc/PID/status`.
const SIGNALS: &str = "grep -E 'Sig(Ign|Blk)' /proc/self/status";

#[test]
fn a_broken_pipe_is_an_error_and_no_death_as_under_mon() {
    let folder = TempDir::new();
    let told = text(&script(&folder, SIGNALS, LIMIT));
    let mask = |name: &str| {
        let line = told.lines().find_map(|line| line.strip_prefix(name));
        let digits = line.expect("such a line").trim();
        u64::from_str_radix(digits, 16).expect("a mask")
    };
    assert_ne!(mask("SigIgn:") & (1 << 12), 0, "{told}");
    assert_eq!(mask("SigBlk:"), 0, "{told}");
}

#[test]
fn a_monitor_in_perl_outlives_a_server_that_hangs_up() {
    let folder = TempDir::new();
    let path = folder.write_executable(
        "own.monitor",
        "#!/usr/bin/perl\nuse Socket;\n\
         socketpair(my $us, my $server, AF_UNIX, SOCK_STREAM, PF_UNSPEC) or die;\n\
         close $server;\nmy $sent = syswrite $us, \"HELO\";\n\
         print \"h1\\nh1: $!\\n\" unless defined $sent;\nexit 1;\n",
    );
    let report = run(&program(path, &["h1"], LIMIT));
    assert_eq!(report.ended, Ended::Exited(1), "{report:?}");
    assert_eq!(text(&report), "h1\nh1: Broken pipe\n");
}

#[test]
fn death_by_a_signal_of_real_time_is_a_failure() {
    let folder = TempDir::new();
    let report = script(&folder, "kill -40 $$; sleep 600", LIMIT);
    assert_eq!(report.ended, Ended::Signalled(40));
}

#[test]
fn standard_input_is_empty() {
    let folder = TempDir::new();
    let report = script(&folder, "cat && echo end", LIMIT);
    assert_eq!((report.ended.exit(), text(&report).as_str()), (0, "end\n"));
}

#[test]
fn a_gigabyte_of_output_is_drained_and_cut_and_said_so() {
    let folder = TempDir::new();
    let body = "echo summary; head -c 1073741824 /dev/zero; echo done >finished; exit 3";
    let body = format!("cd {} && {body}", folder.path().display());
    let report = script(&folder, &body, SOON * 3);
    assert_eq!(report.ended, Ended::Exited(3));
    assert_eq!(report.output.len(), Report::OUTPUT_MAX);
    assert!(report.output.starts_with(b"summary\n"));
    assert!(text(&report).ends_with("(lvsmon: the output was longer and is cut here)\n"));
    assert_eq!(
        folder.read("finished"),
        "done\n",
        "the writer was not held up"
    );
    let status = std::fs::read_to_string("/proc/self/status").expect("our own status");
    let most = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))
        .and_then(|line| line.trim().trim_end_matches(" kB").parse::<u64>().ok())
        .expect("the most memory we ever had");
    assert!(most < 800_000, "it was kept in memory: {most} kB");
}

#[test]
fn a_program_that_never_ends_is_ended_at_its_limit() {
    let folder = TempDir::new();
    let file = folder.join("id");
    let body = format!("echo $$ >{}; echo begun; sleep 600", file.display());
    let limit = ENOUGH_TO_START;
    let report = script(&folder, &body, limit);
    assert_eq!(report.ended, Ended::TimedOut(limit));
    assert_eq!(text(&report), "begun\n");
    assert!(report.took >= limit && report.took < SOON, "{report:?}");
    assert!(
        is_gone(left_by(&folder, "id")),
        "and nothing is left to reap"
    );
}

#[test]
fn a_program_that_ignores_term_is_killed_with_its_group() {
    let folder = TempDir::new();
    let (own, child) = (folder.join("own"), folder.join("child"));
    let body = format!(
        "trap '' TERM\necho $$ >{}\nsleep 600 &\necho $! >{}\nwhile :; do sleep 1; done",
        own.display(),
        child.display()
    );
    let limit = ENOUGH_TO_START;
    let report = script(&folder, &body, limit);
    assert_eq!(report.ended, Ended::TimedOut(limit));
    assert!(report.took >= limit + TERM_GRACE && report.took < SOON);
    assert!(is_gone(left_by(&folder, "own")));
    let child = left_by(&folder, "child");
    wait_until("the end of the whole group", SOON, || has_ended(child));
}

#[test]
fn a_polite_program_may_clean_up_at_its_limit() {
    let folder = TempDir::new();
    let body = "trap 'echo cleaned; exit 0' TERM\nwhile :; do sleep 0.05; done";
    let limit = ENOUGH_TO_START;
    let report = script(&folder, body, limit);
    assert_eq!(
        report.ended,
        Ended::TimedOut(limit),
        "it is a failure still"
    );
    assert!(text(&report).ends_with("cleaned\n"), "{report:?}");
}

#[test]
fn a_program_that_closes_its_output_early_is_waited_for() {
    let folder = TempDir::new();
    let report = script(
        &folder,
        "echo said; exec >&- 2>&-; sleep 0.5; exit 4",
        LIMIT,
    );
    assert_eq!(report.ended, Ended::Exited(4));
    assert_eq!(text(&report), "said\n");
    assert!(report.took >= Duration::from_millis(500));
}

#[test]
fn a_grandchild_that_keeps_the_output_open_does_not_hold_up_the_report() {
    let folder = TempDir::new();
    let file = folder.join("id");
    let body = format!("sleep 600 & echo $! >{}; echo done; exit 1", file.display());
    let report = script(&folder, &body, LIMIT);
    assert_eq!(report.ended, Ended::Exited(1));
    assert_eq!(text(&report), "done\n");
    assert!(report.took >= PIPE_GRACE && report.took < Duration::from_secs(10));
    let grandchild = left_by(&folder, "id");
    assert!(!has_ended(grandchild), "as under mon, it lives on");
    kill(grandchild, Signal::SIGKILL).expect("the grandchild ends");
}

#[test]
fn a_grandchild_that_never_stops_writing_does_not_hold_up_the_report() {
    let folder = TempDir::new();
    let file = folder.join("id");
    let body = format!("yes & echo $! >{}; exit 0", file.display());
    let report = script(&folder, &body, LIMIT);
    assert_eq!(report.ended, Ended::Exited(0));
    assert!(report.took < Duration::from_secs(10), "{:?}", report.took);
    let grandchild = left_by(&folder, "id");
    wait_until("the end of a writer nobody reads", SOON, || {
        has_ended(grandchild)
    });
}

#[test]
fn death_by_a_signal_is_a_failure() {
    let folder = TempDir::new();
    let report = script(&folder, "echo before; kill -SEGV $$; sleep 600", LIMIT);
    assert_eq!(report.ended, Ended::Signalled(11));
    assert_eq!(report.ended.exit(), 139);
    assert_eq!(text(&report), "before\n");
}

#[test]
fn what_cannot_be_run_says_why() {
    let folder = TempDir::new();
    let plain = folder.write("plain.monitor", "#!/bin/sh\nexit 0\n");
    let name = plain.display().to_string();
    let report = run(&program(plain, &[], LIMIT));
    assert_not_started(&report, &[&name, "ermission denied", "chmod +x"]);

    let report = run(&program(folder.join("missing"), &[], LIMIT));
    assert_not_started(&report, &["No such file"]);

    let report = run(&program(folder.path(), &[], LIMIT));
    assert_not_started(&report, &["it is a folder"]);

    let path = folder.write_executable("lost.monitor", "#!/nonexistent/perl\n");
    let report = run(&program(path, &[], LIMIT));
    assert_not_started(&report, &["interpreter"]);

    let path = folder.write_executable("binary.monitor", [0x7f, b'E', b'L', b'F', 0, 1, 2, 3]);
    let report = run(&program(path, &[], LIMIT));
    assert_not_started(&report, &["ormat error"]);

    let path = folder.write_executable("fine.monitor", "#!/bin/sh\nexit 0\n");
    let long = "x".repeat(3_000_000);
    let report = run(&program(path.clone(), &[&long], LIMIT));
    assert_not_started(&report, &["rgument list too long", "too many hosts"]);

    let report = run(&program(path, &["a\0b"], LIMIT));
    assert_not_started(&report, &["fine.monitor"]);
}

#[test]
fn a_script_without_first_line_is_run_by_the_shell() {
    let folder = TempDir::new();
    let path = folder.write_executable("bare.monitor", "echo \"shell says $1\"\nexit 2\n");
    let report = run(&program(path, &["h1"], LIMIT));
    assert_eq!(report.ended, Ended::Exited(2));
    assert_eq!(text(&report), "shell says h1\n");
}

/// How a monitor ends whose file is being written for so long at first.
fn ended_after_writing(time: Duration) -> Ended {
    let folder = TempDir::new();
    let path = folder.write_executable("busy.monitor", "#!/bin/sh\nexit 5\n");
    let writer = std::fs::OpenOptions::new()
        .append(true)
        .open(&path)
        .expect("the file opens for writing");
    let program = program(path, &[], LIMIT);
    let children = Children::default();
    let report = super::run(async {
        let close = async {
            tokio::time::sleep(time).await;
            drop(writer);
        };
        tokio::join!(exec::run(&program, None, &children), close).0
    });
    report.ended
}

#[test]
fn a_file_that_is_just_being_written_is_tried_again() {
    for time in [30, 400].map(Duration::from_millis) {
        assert_eq!(ended_after_writing(time), Ended::Exited(5), "{time:?}");
    }
}

#[test]
fn dropping_a_run_kills_its_group_and_leaves_no_zombie() {
    let folder = TempDir::new();
    let (own, child) = (folder.join("own"), folder.join("child"));
    let path = folder.write_executable(
        "own.monitor",
        format!(
            "#!/bin/sh\ntrap '' TERM\nsleep 600 &\necho $! >{}\necho $$ >{}\nwait\n",
            child.display(),
            own.display()
        ),
    );
    let program = program(path, &[], LIMIT);
    super::run(async {
        let running =
            tokio::spawn(async move { exec::run(&program, None, &Children::default()).await });
        let is_up = async {
            while folder.read("own").trim().is_empty() {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        tokio::time::timeout(SOON, is_up).await.expect("it starts");
        running.abort();
        let _ = running.await;
        let leader = left_by(&folder, "own");
        let is_reaped = async {
            while !is_gone(leader) {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        tokio::time::timeout(SOON, is_reaped)
            .await
            .expect("it is killed and reaped");
    });
    let child = left_by(&folder, "child");
    wait_until("the end of the whole group", SOON, || has_ended(child));
}

/// A monitor that is traced by a child of its own and ends with 3. Who traces keeps the end of the
/// traced from its parent, until the file `go` is there.
const TRACED: &str = r#"#!/usr/bin/python3
import ctypes, os, sys, time
os.chdir(os.path.dirname(__file__))
call = ctypes.CDLL(None, use_errno=True)
call.prctl(0x59616d61, ctypes.c_ulong(2**64 - 1), 0, 0, 0) # PR_SET_PTRACER, anybody
ready, told = os.pipe()
leader = os.getpid()
if os.fork() == 0:
    refused = call.ptrace(0x4206, leader, None, None) # PTRACE_SEIZE
    os.write(told, b"n" if refused else b"y")
    for _ in range(1200):
        if os.path.exists("go"):
            break
        time.sleep(0.05)
    os._exit(0)
if os.read(ready, 1) == b"n":
    print("nobody may trace here")
    sys.exit(4)
with open("id.new", "w") as file:
    file.write(str(leader))
os.rename("id.new", "id")
sys.exit(3)
"#;

#[test]
fn an_end_that_a_tracer_withholds_holds_up_nobody_else() {
    let folder = TempDir::new();
    let path = folder.write_executable("own.monitor", TRACED);
    let turns = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&turns);
    let (done, ended) = mpsc::channel();
    // In a thread, so that a loop that never turns is seen from outside.
    std::thread::spawn(move || {
        let program = program(path, &[], LIMIT);
        let children = Children::default();
        let report = super::run(async {
            let turn = async {
                loop {
                    tokio::time::sleep(Duration::from_millis(5)).await;
                    counted.fetch_add(1, Ordering::Relaxed);
                }
            };
            tokio::select! {
                report = exec::run(&program, None, &children) => report,
                () = turn => unreachable!("it goes round for ever"),
            }
        });
        let _ = done.send(report);
    });
    let traced = left_by(&folder, "id");
    wait_until("the end that only the tracer knows", SOON, || {
        has_ended(traced)
    });
    let before = turns.load(Ordering::Relaxed);
    wait_until("others to go on", SOON, || {
        turns.load(Ordering::Relaxed) > before + 20
    });
    assert!(ended.try_recv().is_err(), "its end is not ours to know yet");
    folder.write("go", "");
    let report = ended.recv_timeout(SOON).expect("an end");
    assert_eq!(report.ended, Ended::Exited(3), "{report:?}");
}

#[test]
fn many_programs_run_at_once() {
    let folder = TempDir::new();
    let path = folder.write_executable("own.monitor", "#!/bin/sh\nsleep 1; exit $1\n");
    let reports = super::run(async {
        let mut running = tokio::task::JoinSet::new();
        for exit in 0..20 {
            let program = program(path.clone(), &[&exit.to_string()], LIMIT);
            running.spawn(async move { exec::run(&program, None, &Children::default()).await });
        }
        running.join_all().await
    });
    let mut exits: Vec<i32> = reports.iter().map(|report| report.ended.exit()).collect();
    exits.sort_unstable();
    assert_eq!(exits, (0..20).collect::<Vec<_>>());
    assert!(
        reports
            .iter()
            .all(|report| report.took < Duration::from_secs(15))
    );
}

#[test]
fn a_stand_in_finds_the_program_through_its_variable() {
    let mut program = program(
        crate::support::root().join("mon.d/tcp.monitor"),
        &["-p", "1", "127.0.0.1"],
        LIMIT,
    );
    program.environment = vec![("LVSMON".to_owned(), lvsmon_path().display().to_string())];
    let report = run(&program);
    assert_eq!(report.ended, Ended::Exited(1));
    assert_eq!(
        text(&report),
        "127.0.0.1\n\n127.0.0.1 could not connect: connection refused by 127.0.0.1:1\n"
    );
}
