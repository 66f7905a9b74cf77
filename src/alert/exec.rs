//! Alerts that are programs: the argument list, the environment, one run under a limit.
//!
//! The contract is mon's (spec/mon-engine.md section 8, spec/mon-plugins.md section 2). What
//! mon lacks is added: a time limit, a process group of its own that is killed at the limit,
//! output that is read to its end but kept only in part. Which alert runs when, and how many
//! at once, is decided in `daemon::outbox`.

use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;
use std::time::Duration;

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::{Child, Command};

use crate::alert::notice::cut;
use crate::engine::event::AlertCall;

/// Time limit of an alert program: a pager that dials may take minutes, none takes this long.
pub(crate) const ALERT_LIMIT: Duration = Duration::from_secs(600);
/// Between the polite signal at the limit and the one that cannot be ignored.
const KILL_GRACE: Duration = Duration::from_secs(2);
/// After the program's end its pipes are read this much longer, for children it left behind.
const PIPE_GRACE: Duration = Duration::from_millis(500);
/// Output kept for the log, of each stream.
const OUTPUT_MAX: usize = 4_096;
/// The kernel takes 128 KiB for one argument or variable, its end mark included
/// (`MAX_ARG_STRLEN`, execve(2)); a longer one would make the alert fail.
const STRING_MAX: usize = 131_071;

/// A program to run once.
#[derive(Clone, Debug)]
pub(crate) struct Program<'a> {
    /// The file.
    pub(crate) path: &'a Path,
    /// Without the program's own name.
    pub(crate) args: Vec<String>,
    /// Added to the daemon's own; of equal names the last counts.
    pub(crate) environment: &'a [(String, String)],
    /// Standard input.
    pub(crate) input: Arc<[u8]>,
    /// Killed after this long.
    pub(crate) limit: Duration,
}

/// What a run came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Ran {
    /// How it ended.
    pub(crate) end: End,
    /// The start of both outputs, for the log and for error messages.
    pub(crate) output: String,
}

/// How a program ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// With this exit value.
    Exited(i32),
    /// By this signal.
    Signalled(i32),
    /// Killed at its limit.
    TimedOut,
    /// It could not be started, for this reason.
    NotStarted(String),
}

impl Ran {
    /// Why it does not count as delivered; none where it does.
    pub(crate) fn fault(&self) -> Option<String> {
        let what = match &self.end {
            End::Exited(0) => return None,
            End::Exited(value) => format!("it ended with exit value {value}"),
            End::Signalled(signal) => format!("it was killed by signal {signal}"),
            End::TimedOut => "it was still running at its time limit and was killed".to_owned(),
            End::NotStarted(reason) => format!("it could not be started: {reason}"),
        };
        match self.output.trim().lines().next_back() {
            Some(line) => Some(format!("{what}; it said: {line}")),
            None => Some(what),
        }
    }
}

/// The argument list of an alert, without the program's own name.
///
/// `-l` is never passed (E-22).
#[must_use]
pub(crate) fn arguments(call: &AlertCall) -> Vec<String> {
    let mut args: Vec<String> = [
        "-s",
        &call.name,
        "-g",
        &call.group,
        "-h",
        &call.hosts,
        "-t",
        &call.time.seconds().to_string(),
    ]
    .into_iter()
    .map(str::to_owned)
    .collect();
    args.extend(call.kind.mark().map(str::to_owned));
    args.extend(call.command.args.iter().cloned());
    args
}

/// Runs an alert program for a call.
pub(crate) async fn alert(path: &Path, call: &AlertCall, limit: Duration) -> Ran {
    run(Program {
        path,
        args: arguments(call),
        environment: &call.environment,
        input: Arc::clone(&call.input),
        limit,
    })
    .await
}

/// Runs a program to its end or its limit. Dropping the future kills its process group.
pub(crate) async fn run(program: Program<'_>) -> Ran {
    let mut command = Command::new(program.path);
    command
        .args(program.args.iter().map(|arg| passable(arg)))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0);
    if let Ok(own) = std::env::current_exe() {
        command.env("LVSMON", own); // Stand-ins find this very program by it [D29].
    }
    for (name, value) in program.environment {
        // A name with `=` or NUL cannot be passed; such a line would fail every alert.
        if !name.is_empty() && !name.contains(['=', '\0']) {
            command.env(name, passable_variable(name, value));
        }
    }
    match command.spawn() {
        Ok(child) => attend(child, program.input, program.limit).await,
        Err(error) => Ran {
            end: End::NotStarted(error.to_string()),
            output: String::new(),
        },
    }
}

/// The program's process group; killed when dropped while armed.
#[derive(Debug)]
struct Group(Option<Pid>);

impl Group {
    fn signal(&self, signal: Signal) {
        if let Some(group) = self.0 {
            // It may be gone already, which is all that is wanted.
            let _ = killpg(group, signal);
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.signal(Signal::SIGKILL);
    }
}

async fn attend(mut child: Child, input: Arc<[u8]>, limit: Duration) -> Ran {
    let id = child.id().and_then(|id| i32::try_from(id).ok());
    let mut group = Group(id.map(Pid::from_raw));
    let stdin = child.stdin.take();
    let feed = async move {
        if let Some(mut stdin) = stdin {
            // A program need not read its input: a closed pipe is no fault.
            let _ = stdin.write_all(&input).await;
        }
        std::future::pending::<()>().await;
    };
    let mut out = Vec::new();
    let mut err = Vec::new();
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    let read = async { tokio::join!(keep_start(stdout, &mut out), keep_start(stderr, &mut err)) };
    let end = {
        tokio::pin!(feed, read);
        let mut read_done = false;
        let waited = tokio::time::timeout(limit, async {
            loop {
                tokio::select! { // Each branch may be dropped and polled again: all are pinned or cancel-safe.
                    status = child.wait() => break status,
                    _ = &mut read, if !read_done => read_done = true,
                    () = &mut feed => {}
                }
            }
        })
        .await;
        let end = match waited {
            Ok(Ok(status)) => end_of(status),
            Ok(Err(error)) => End::NotStarted(error.to_string()),
            Err(_) => {
                group.signal(Signal::SIGTERM);
                let _ = tokio::time::timeout(KILL_GRACE, child.wait()).await;
                group.signal(Signal::SIGKILL);
                let _ = tokio::time::timeout(KILL_GRACE, child.wait()).await;
                End::TimedOut
            }
        };
        // What an alert leaves running on purpose may live on; only the reading ends.
        group.0 = None;
        if !read_done {
            let _ = tokio::time::timeout(PIPE_GRACE, &mut read).await;
        }
        end
    };
    out.extend_from_slice(&err);
    Ran {
        end,
        output: String::from_utf8_lossy(&out).into_owned(),
    }
}

/// Reads to the end, so that the writer never waits, but keeps only the start.
async fn keep_start(stream: Option<impl AsyncRead + Unpin>, kept: &mut Vec<u8>) {
    let Some(mut stream) = stream else { return };
    let mut chunk = [0_u8; 4_096];
    while let Ok(count) = stream.read(&mut chunk).await {
        if count == 0 {
            return;
        }
        let room = OUTPUT_MAX.saturating_sub(kept.len()).min(count);
        kept.extend_from_slice(chunk.get(..room).unwrap_or_default());
    }
}

fn end_of(status: ExitStatus) -> End {
    use std::os::unix::process::ExitStatusExt as _;
    match (status.code(), status.signal()) {
        (Some(code), _) => End::Exited(code),
        (None, Some(signal)) => End::Signalled(signal),
        (None, None) => End::Exited(1),
    }
}

/// What the kernel takes as one argument: without NUL, not too long.
fn passable(text: &str) -> String {
    cut(&text.replace('\0', ""), STRING_MAX).to_owned()
}

fn passable_variable(name: &str, value: &str) -> String {
    let room = STRING_MAX.saturating_sub(name.len() + 1);
    cut(&value.replace('\0', ""), room).to_owned()
}

#[cfg(test)]
mod tests {
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
}
