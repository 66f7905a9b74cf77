//! One more run of a monitor with its streams apart: what went to standard error, whether it
//! reads standard input, and who is left when it has ended. The daemon cannot tell; a person
//! who writes a monitor wants to know.

use std::io::{self, Read as _, Write as _};
use std::os::fd::OwnedFd;

use nix::sys::signal::killpg;
use tokio::net::unix::pipe::Receiver;
use tokio::time::timeout;

use crate::engine::event::{Ended, Executable, MonitorUser};
use crate::monitor::exec::{self, Capture};
use crate::program::{Child, Command, PIPE_GRACE, Streams};

/// What a run with streams apart showed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Probe {
    /// Standard output.
    pub(super) out: String,
    /// Standard error.
    pub(super) errors: String,
    /// It took something from standard input, which is empty in the daemon.
    pub(super) reads_input: bool,
    /// A process of its group still runs, or somebody keeps its output open.
    pub(super) leaves_children: bool,
}

/// Runs it, as `user` where there is one; none where it cannot be started, which the other runs
/// tell.
pub(super) async fn run(program: &Executable, user: Option<&MonitorUser>) -> Option<Probe> {
    let started = exec::start_as(program, user, |command| spawn(program, command)).await;
    Some(follow(started.ok()?, program).await)
}

struct Started {
    child: Child,
    out: Receiver,
    errors: Receiver,
    /// Our own end of its standard input, to see whether something is left in it.
    input: io::PipeReader,
}

fn spawn(program: &Executable, mut command: Command) -> io::Result<Started> {
    let (input, mut fill) = io::pipe()?;
    fill.write_all(b"\n")?;
    drop(fill);
    let (out, out_end) = io::pipe()?;
    let (errors, errors_end) = io::pipe()?;
    command.args(&program.args);
    for (name, value) in &program.environment {
        command.env(name, value);
    }
    let child = command.spawn(Streams {
        input: Some(input.try_clone()?.into()),
        output: Some(out_end.into()),
        errors: Some(errors_end.into()),
    })?;
    Ok(Started {
        child,
        out: Receiver::from_owned_fd(OwnedFd::from(out))?,
        errors: Receiver::from_owned_fd(OwnedFd::from(errors))?,
        input,
    })
}

async fn follow(started: Started, program: &Executable) -> Probe {
    let Started {
        mut child,
        mut out,
        mut errors,
        input,
    } = started;
    let group = child.group();
    let (mut said, mut complained) = (Capture::default(), Capture::default());
    let talk = async {
        tokio::join!(
            said.read_to_end(&mut out),
            complained.read_to_end(&mut errors)
        );
    };
    // May be dropped half-way: see `monitor::exec`.
    let ended = child.follow(talk, program.limit).await;
    let rest = async {
        tokio::join!(
            said.read_to_end(&mut out),
            complained.read_to_end(&mut errors)
        )
    };
    let is_held_open = timeout(PIPE_GRACE, rest).await.is_err();
    let group_lives = group.is_some_and(|group| killpg(group, None).is_ok());
    // At the limit all are killed, so nothing is left that a longer run would have left.
    let was_killed = matches!(ended, Ended::TimedOut(_));
    Probe {
        out: String::from_utf8_lossy(&said.finish()).into_owned(),
        errors: String::from_utf8_lossy(&complained.finish()).into_owned(),
        reads_input: !has_something(input),
        leaves_children: !was_killed && (is_held_open || group_lives),
    }
}

/// Whether the byte that was put into a pipe is still there.
///
/// Nobody holds its writing end any more, so this never waits.
fn has_something(mut input: io::PipeReader) -> bool {
    // What cannot be seen is no accusation.
    input.read(&mut [0]).map_or(true, |length| length == 1)
}
