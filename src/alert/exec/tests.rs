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
    let ran = block_on(run(Program {
        environment: &environment,
        ..shell("cat; echo; echo \"$MON_X\" >&2; test -n \"$LVSMON\"")
    }));
    assert_eq!(ran.end, End::Exited(0));
    assert_eq!(ran.output, "one\ntwo\nab\n");
}

#[test]
fn endings_are_told_apart() {
    let ran = block_on(run(shell("echo no modem >&2; exit 3")));
    assert_eq!(ran.end, End::Exited(3));
    assert_eq!(
        ran.fault().as_deref(),
        Some("it ended with exit value 3; it said: no modem")
    );
    assert_eq!(block_on(run(shell("kill -9 $$"))).end, End::Signalled(9));
    let missing = Program {
        path: Path::new("/no/such/program"),
        ..shell("")
    };
    assert!(matches!(block_on(run(missing)).end, End::NotStarted(_)));
}

#[test]
fn a_program_that_reads_nothing_is_no_fault() {
    let big = Program {
        input: vec![b'x'; 1_000_000].into(),
        ..shell("exit 0")
    };
    assert_eq!(block_on(run(big)).fault(), None);
}

#[test]
fn endless_output_is_read_but_not_kept() {
    let ran = block_on(run(shell("head -c 20000000 /dev/zero | tr '\\0' x")));
    assert_eq!(ran.end, End::Exited(0));
    assert_eq!(ran.output.len(), OUTPUT_MAX);
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
    let ran = block_on(run(Program {
        limit: Duration::from_millis(300),
        ..shell(&script)
    }));
    assert_eq!(ran.end, End::TimedOut);
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
    let ran = block_on(run(shell("sleep 30 & echo started")));
    assert_eq!(ran.end, End::Exited(0));
    assert_eq!(ran.output, "started\n");
}

#[test]
fn arguments_longer_than_the_kernel_takes_are_cut() {
    let mut program = shell("printf %s \"$1\" | wc -c");
    program.args.extend(["x".to_owned(), "é".repeat(100_000)]);
    let ran = block_on(run(program));
    assert_eq!(ran.output.trim(), "131070");
}
