//! Arguments, endings, limits of alert programs.

use super::*;
use crate::alert::notice::tests::call;
use crate::engine::event::AlertKind;

fn shell(script: &str) -> Program<'static> {
    Program {
        path: Path::new("/bin/sh"),
        args: vec!["-c".to_owned(), script.to_owned()],
        environment: &[],
        input: b"one\ntwo".as_slice().into(),
        limit: Duration::from_secs(20),
    }
}

/// What the run of a program that starts comes to.
fn end_of(program: Program<'_>) -> Ran {
    block_on(run(program)).unwrap()
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
        .block_on(future)
}

#[test]
fn arguments_are_those_of_mon_in_its_order() {
    let mut call = call();
    let mut command = (*call.command).clone();
    command.args = vec!["a".to_owned(), "b c".to_owned()];
    call.command = Arc::new(command);
    let plain = arguments(&call);
    let expected = [
        "-s",
        "http",
        "-g",
        "farm",
        "-h",
        "web1 web2",
        "-t",
        "1795215956",
        "a",
        "b c",
    ];
    assert_eq!(plain, expected);
    let marks = [
        (AlertKind::Up, "-u"),
        (AlertKind::Ack, "-a"),
        (AlertKind::Disable, "-D"),
        (AlertKind::Trap, "-T"),
        (AlertKind::TrapTimeout, "-O"),
    ];
    for (kind, mark) in marks {
        call.kind = kind;
        assert_eq!(arguments(&call)[8..], [mark, "a", "b c"]);
    }
}

#[test]
fn input_and_variables_reach_the_program() {
    let environment = [
        ("MON_X".to_owned(), "first".to_owned()),
        ("MON_X".to_owned(), "a\0b".to_owned()),
        ("BAD=NAME".to_owned(), "x".to_owned()),
    ];
    let ran = end_of(Program {
        environment: &environment,
        ..shell("cat; echo; echo \"$MON_X\" >&2; test -n \"$LVSMON\"")
    });
    assert_eq!(ran.ended, Ended::Exited(0));
    assert_eq!(ran.output, "one\ntwo\nab\n");
}

#[test]
fn endings_are_told_apart() {
    let ran = end_of(shell("echo no modem >&2; exit 3"));
    assert_eq!(ran.ended, Ended::Exited(3));
    assert_eq!(
        ran.fault().as_deref(),
        Some("it ended with exit value 3; it said: no modem")
    );
    assert_eq!(end_of(shell("kill -9 $$")).ended, Ended::Signalled(9));
    let missing = Program {
        path: Path::new("/no/such/program"),
        ..shell("")
    };
    assert!(matches!(block_on(run(missing)), Err(Unstarted::Refused(_))));
}

#[test]
fn a_program_that_reads_nothing_is_no_fault() {
    let big = Program {
        input: vec![b'x'; 1_000_000].into(),
        ..shell("exit 0")
    };
    assert_eq!(end_of(big).fault(), None);
}

#[test]
fn endless_output_is_read_and_little_of_it_kept() {
    let ran = end_of(shell("head -c 20000000 /dev/zero | tr '\\0' x"));
    assert_eq!(ran.ended, Ended::Exited(0));
    assert_eq!(ran.output.len(), OUTPUT_MAX + OUTPUT_GAP.len());
}

#[test]
fn a_broken_pipe_is_an_error_and_no_death_as_under_mon() {
    let ran = end_of(shell("grep SigIgn: /proc/self/status"));
    let mask = ran.output.trim().trim_start_matches("SigIgn:").trim();
    let ignored = u64::from_str_radix(mask, 16).unwrap();
    assert_ne!(ignored & (1 << 12), 0, "{mask}");
}

#[test]
fn at_its_limit_the_whole_group_is_killed() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("pids");
    // The child ignores the polite signal, its own child as well.
    let script = format!(
        "trap '' TERM; sleep 1000 & echo $! $$ > {}; while :; do wait; done",
        file.display()
    );
    let ran = end_of(Program {
        limit: Duration::from_millis(300),
        ..shell(&script)
    });
    assert_eq!(ran.ended, Ended::TimedOut(Duration::from_millis(300)));
    for pid in std::fs::read_to_string(&file).unwrap().split_whitespace() {
        // The signal is sent; the end of a process takes its moment.
        let gone = async {
            while is_alive(pid) {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        let limit = Duration::from_secs(10);
        let waited = block_on(async { tokio::time::timeout(limit, gone).await });
        assert!(waited.is_ok(), "{pid} lives");
    }
}

/// A process that is not there or only waits to be reaped by someone else.
fn is_alive(pid: &str) -> bool {
    std::fs::read_to_string(format!("/proc/{pid}/stat"))
        .is_ok_and(|stat| !stat.rsplit(')').next().unwrap_or("").starts_with(" Z"))
}

#[test]
fn a_child_left_behind_does_not_hold_the_alert() {
    let ran = end_of(shell("sleep 30 & echo started"));
    assert_eq!(ran.ended, Ended::Exited(0));
    assert_eq!(ran.output, "started\n");
}

#[test]
fn arguments_longer_than_the_kernel_takes_are_cut() {
    let mut program = shell("printf %s \"$1\" | wc -c");
    program.args.extend(["x".to_owned(), "é".repeat(100_000)]);
    let ran = end_of(program);
    assert_eq!(ran.output.trim(), "131070");
}

/// An executable in a folder of its own.
fn executable(folder: &tempfile::TempDir, text: &str) -> std::path::PathBuf {
    use std::os::unix::fs::PermissionsExt as _;
    let path = folder.path().join("own.alert");
    std::fs::write(&path, text).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    path
}

#[test]
fn a_script_without_first_line_is_run_by_the_shell() {
    let folder = tempfile::tempdir().unwrap();
    let path = executable(&folder, "echo \"shell says $1\"; cat; exit 2\n");
    let ran = end_of(Program {
        path: &path,
        args: vec!["-s".to_owned()],
        ..shell("")
    });
    assert_eq!(ran.ended, Ended::Exited(2));
    assert_eq!(ran.output, "shell says -s\none\ntwo");
}

#[test]
fn a_file_that_is_just_being_written_is_tried_again() {
    let folder = tempfile::tempdir().unwrap();
    let path = executable(&folder, "#!/bin/sh\nexit 5\n");
    let writer = std::fs::OpenOptions::new()
        .append(true)
        .open(&path)
        .unwrap();
    let ran = block_on(async {
        let close = async {
            tokio::time::sleep(Duration::from_millis(30)).await;
            drop(writer);
        };
        let program = Program {
            path: &path,
            ..shell("")
        };
        tokio::join!(run(program), close).0.unwrap()
    });
    assert_eq!(ran.ended, Ended::Exited(5));
}

#[test]
fn a_program_that_cannot_be_started_says_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("plain.alert");
    std::fs::write(&path, "#!/bin/sh\n").unwrap();
    let ran = block_on(run(Program {
        path: &path,
        ..shell("")
    }));
    let Err(Unstarted::Refused(fault)) = ran else {
        panic!("{ran:?}");
    };
    assert!(fault.contains("plain.alert"), "{fault}");
    assert!(fault.contains("chmod +x"), "{fault}");
}

#[test]
fn a_complaint_is_the_last_line_whole_however_much_was_said() {
    // Much on both streams; what matters comes last.
    let script = "seq 100000; seq 100000 >&2; echo no modem at all >&2; exit 1";
    let ran = end_of(shell(script));
    assert_eq!(
        ran.fault().as_deref(),
        Some("it ended with exit value 1; it said: no modem at all")
    );
    let ran = end_of(shell("seq 100000; echo no luck; exit 1"));
    assert_eq!(
        ran.fault().as_deref(),
        Some("it ended with exit value 1; it said: no luck")
    );
}

#[test]
fn a_complaint_without_line_ends_is_cut_at_a_bound() {
    let script = "head -c 20000000 /dev/zero | tr '\\0' x >&2; exit 1";
    let fault = end_of(shell(script)).fault().unwrap();
    assert!(fault.contains("it said: xxxxxxxxxx"), "{fault}");
    assert!(fault.len() < 600, "{fault}");
}
