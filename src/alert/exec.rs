//! Alerts that are programs: the argument list, the environment, one run under a limit.
//!
//! The contract is mon's (docs/mon.md, "Alerts"). What
//! mon lacks is added: a time limit, a process group of its own that is killed at the limit,
//! output that is read to its end but kept only in part. Which alert runs when, and how many
//! at once, is decided in `daemon::outbox`.

use std::collections::VecDeque;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use nix::fcntl::{FcntlArg, fcntl};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::unix::pipe;
use tokio::sync::oneshot;

use crate::engine::event::{AlertCall, Ended};
use crate::program::{self, Child, Command, PIPE_GRACE, Streams, Unstarted};
use crate::text::cut;

/// Time limit of an alert program: a pager that dials may take minutes, none takes this long.
pub(crate) const ALERT_LIMIT: Duration = Duration::from_secs(600);
/// Output kept of each stream, in bytes: half of it from the beginning, where programs say what
/// they do, half from the end, where they say what went wrong.
const OUTPUT_MAX: usize = 4_096;
/// Between the halves.
const OUTPUT_GAP: &[u8] = b"\n[...]\n";
/// What a pipe holds, in bytes (pipe(7)).
const PIPE_USUAL: usize = 65_536;
/// Asked for where the input is longer: the longest output of a monitor with room, so that what a
/// program is told is out of our hands as soon as it is started.
const PIPE_LARGE: i32 = 131_072;
/// Longest last line in a complaint, in bytes: a mail to the operator stays readable.
const SAID_MAX: usize = 300;
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
    pub(crate) ended: Ended,
    /// Beginning and end of standard output, then of standard error.
    pub(crate) output: String,
}

impl Ran {
    /// One that did not begin.
    pub(crate) const fn not(why: String) -> Self {
        Self {
            ended: Ended::NotStarted(why),
            output: String::new(),
        }
    }

    /// Why it does not count as delivered; none where it does.
    pub(crate) fn fault(&self) -> Option<String> {
        let what = match &self.ended {
            Ended::Exited(0) => return None,
            Ended::Exited(value) => format!("it ended with exit value {value}"),
            Ended::Signalled(signal) => format!("it was killed by signal {signal}"),
            Ended::TimedOut(_) => {
                "it was still running at its time limit and was killed".to_owned()
            }
            Ended::NotStarted(reason) => reason.clone(),
        };
        let Some(line) = self.output.trim().lines().next_back() else {
            return Some(what);
        };
        let said = cut(line, SAID_MAX);
        let more = if said.len() < line.len() { "..." } else { "" };
        Some(format!("{what}; it said: {said}{more}"))
    }
}

/// The argument list of an alert, without the program's own name.
///
/// `-l` is never passed (E-22).
#[must_use]
pub(crate) fn arguments(call: &AlertCall) -> Vec<String> {
    let mut args = marks(call);
    args.extend(call.command.args.iter().cloned());
    args
}

/// Those of them that do not stand in the file.
#[must_use]
pub(crate) fn marks(call: &AlertCall) -> Vec<String> {
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
    args
}

/// Runs an alert program for a call.
///
/// # Errors
///
/// It was not started.
pub(crate) async fn alert(
    path: &Path,
    call: &AlertCall,
    limit: Duration,
) -> Result<Ran, Unstarted> {
    Ok(start(path, call).await?.end(limit).await)
}

/// Starts an alert program for a call.
///
/// # Errors
///
/// It was not started.
pub(crate) async fn start(path: &Path, call: &AlertCall) -> Result<Running, Unstarted> {
    begin(&Program {
        path,
        args: arguments(call),
        environment: &call.environment,
        input: Arc::clone(&call.input),
        limit: ALERT_LIMIT,
    })
    .await
}

/// Runs a program to its end or its limit. Dropping the future kills its process group.
///
/// # Errors
///
/// It was not started.
pub(crate) async fn run(program: Program<'_>) -> Result<Ran, Unstarted> {
    let limit = program.limit;
    Ok(begin(&program).await?.end(limit).await)
}

async fn begin(program: &Program<'_>) -> Result<Running, Unstarted> {
    program::start(program.path, |command| spawn(program, command)).await
}

/// A program that was started. Dropping it kills its process group.
pub(crate) struct Running {
    child: Child,
    /// What it is told, and where.
    text: Arc<[u8]>,
    input: pipe::Sender,
    output: pipe::Receiver,
    errors: pipe::Receiver,
}

impl Running {
    /// Waits for its end, at most `limit`, and kills it then.
    pub(crate) async fn end(self, limit: Duration) -> Ran {
        let (nobody, _) = oneshot::channel();
        self.end_saying(limit, nobody).await
    }

    /// The same. Says when the program has all that it is told, or wants no more of it; says
    /// nothing where it ends before.
    pub(crate) async fn end_saying(self, limit: Duration, is_told: oneshot::Sender<()>) -> Ran {
        attend(self, limit, is_told).await
    }
}

fn spawn(program: &Program<'_>, mut command: Command) -> io::Result<Running> {
    let (input_end, input) = io::pipe()?;
    let (output, output_end) = io::pipe()?;
    let (errors, errors_end) = io::pipe()?;
    if program.input.len() > PIPE_USUAL {
        // Where the system gives no more, the rest waits for the program.
        let _ = fcntl(&input, FcntlArg::F_SETPIPE_SZ(PIPE_LARGE));
    }
    let input = pipe::Sender::from_owned_fd(input.into())?;
    let output = pipe::Receiver::from_owned_fd(output.into())?;
    let errors = pipe::Receiver::from_owned_fd(errors.into())?;
    command.args(program.args.iter().map(|arg| passable(arg)));
    for (name, value) in program.environment {
        // A name with `=` or NUL cannot be passed; such a line would fail every alert.
        if !name.is_empty() && !name.contains(['=', '\0']) {
            command.env(name, passable_variable(name, value));
        }
    }
    let child = command.spawn(Streams {
        input: Some(input_end.into()),
        output: Some(output_end.into()),
        errors: Some(errors_end.into()),
    })?;
    Ok(Running {
        child,
        text: Arc::clone(&program.input),
        input,
        output,
        errors,
    })
}

async fn attend(running: Running, limit: Duration, is_told: oneshot::Sender<()>) -> Ran {
    let Running {
        mut child,
        text,
        mut input,
        output,
        errors,
    } = running;
    let feed = async move {
        // A program need not read its input: a closed pipe is no fault.
        let _ = input.write_all(&text).await;
        // It reads to the end of its input.
        drop(input);
        // Not everybody asks.
        let _ = is_told.send(());
    };
    let mut out = Kept::default();
    let mut err = Kept::default();
    let read = async { tokio::join!(read_all(output, &mut out), read_all(errors, &mut err)) };
    let ended = {
        tokio::pin!(read);
        let mut read_done = false;
        let talk = async {
            tokio::join!(feed, async {
                (&mut read).await;
                read_done = true;
            });
        };
        let ended = child.follow(talk, limit).await;
        if !read_done {
            let _ = tokio::time::timeout(PIPE_GRACE, &mut read).await;
        }
        ended
    };
    let (mut output, errors) = (out.text(), err.text());
    if !output.is_empty() && !output.ends_with('\n') && !errors.is_empty() {
        output.push('\n');
    }
    output += &errors;
    Ran { ended, output }
}

/// Reads to the end, so that the writer never waits.
async fn read_all(mut stream: pipe::Receiver, kept: &mut Kept) {
    let mut chunk = [0_u8; 4_096];
    while let Ok(count) = stream.read(&mut chunk).await {
        if count == 0 {
            return;
        }
        kept.take(chunk.get(..count).unwrap_or_default());
    }
}

/// The beginning and the end of an output, [`OUTPUT_MAX`] bytes in all.
#[derive(Debug, Default)]
struct Kept {
    start: Vec<u8>,
    end: VecDeque<u8>,
    has_gap: bool,
}

impl Kept {
    const HALF: usize = OUTPUT_MAX / 2;

    fn take(&mut self, bytes: &[u8]) {
        let room = Self::HALF.saturating_sub(self.start.len()).min(bytes.len());
        let (start, rest) = bytes.split_at(room);
        self.start.extend_from_slice(start);
        self.end.extend(rest);
        let over = self.end.len().saturating_sub(Self::HALF);
        self.has_gap |= over > 0;
        self.end.drain(..over);
    }

    fn text(self) -> String {
        let mut all = self.start;
        if self.has_gap {
            all.extend_from_slice(OUTPUT_GAP);
        }
        all.extend(self.end);
        String::from_utf8_lossy(&all).into_owned()
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
mod tests;
