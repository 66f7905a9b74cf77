//! Runs a program as a monitor, as mon does: arguments, environment, merged output, exit value.
//!
//! Standard output and standard error are one pipe, so that their order is kept. The program
//! leads a process group of its own; at the limit the group gets TERM, and KILL where that does
//! not end it. The run ends when the *program* ends: a grandchild that keeps the pipe open is
//! left alone and delays the report by [`PIPE_GRACE`] at most. No step between fork and exec,
//! which would copy the daemon's memory map for each run (posix_spawn does not).
//! Not here: which arguments and variables (the engine), how many at once (the daemon).
//! Contract: docs/mon.md, "Runs".

use std::future::poll_fn;
use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, ReadBuf};
use tokio::net::unix::pipe;
use tokio::time::timeout;

use crate::clock::Stopwatch;
use crate::engine::event::{Ended, Executable, MonitorUser, Report};
use crate::program::{self, Child, Children, Command, PIPE_GRACE, Streams, as_user};

/// Bytes read from the pipe at a time.
const CHUNK: usize = 16 * 1024;

/// Runs a program to its end or its limit, as `user` where there is one. Never fails: what went
/// wrong is in the report.
///
/// While it runs its process is among `children`. Dropping the future kills the process group;
/// nothing is left to reap for the caller.
pub async fn run(program: &Executable, user: Option<&MonitorUser>, children: &Children) -> Report {
    let watch = Stopwatch::start();
    let (mut ended, mut output) = match start(program, user, children).await {
        Ok(running) => running.follow(program.limit).await,
        Err(why) => (Ended::NotStarted(why), Vec::new()),
    };
    if user.is_some()
        && let Some(why) = as_user::refusal(&ended, &output)
    {
        ended = Ended::NotStarted(why);
        output.clear();
    }
    Report {
        ended,
        output,
        hosts: Vec::new(),
        took: watch.elapsed(),
    }
}

async fn start(
    program: &Executable,
    user: Option<&MonitorUser>,
    children: &Children,
) -> Result<Running, String> {
    start_as(program, user, |command| spawn(program, command, children)).await
}

/// Starts a program that checks, as `user` where there is one: the one place that does. `spawn` is
/// called once for each try, and adds the program's arguments and environment.
///
/// # Errors
///
/// It cannot be run: a sentence. That `user` may not run it shows later ([`as_user::refusal`]).
pub(crate) async fn start_as<T>(
    program: &Executable,
    user: Option<&MonitorUser>,
    mut spawn: impl FnMut(Command) -> io::Result<T>,
) -> Result<T, String> {
    let file = match user {
        None => &program.path,
        Some(_) => Path::new(as_user::OWN_IMAGE),
    };
    let spawn = |mut command: Command| {
        if let Some(user) = user {
            command.args(as_user::words(user, &program.path));
            command.env("HOME", &user.home);
            command.env("USER", &*user.name);
            command.env("LOGNAME", &*user.name);
        }
        spawn(command)
    };
    program::start_patiently(file, spawn).await
}

/// A program that was started.
struct Running {
    child: Child,
    pipe: pipe::Receiver,
    output: Capture,
}

fn spawn(program: &Executable, mut command: Command, children: &Children) -> io::Result<Running> {
    let (reader, writer) = io::pipe()?;
    let pipe = pipe::Receiver::from_owned_fd(OwnedFd::from(reader))?;
    command.args(&program.args);
    for (name, value) in &program.environment {
        command.env(name, value);
    }
    let streams = Streams {
        input: Some(Streams::nothing()?),
        output: Some(writer.try_clone()?.into()),
        errors: Some(writer.into()),
    };
    Ok(Running {
        child: command.spawn_listed(streams, children)?,
        pipe,
        output: Capture::default(),
    })
}

impl Running {
    async fn follow(mut self, limit: Duration) -> (Ended, Vec<u8>) {
        let Self {
            child,
            pipe,
            output,
        } = &mut self;
        // May be dropped half-way: a read that did not complete has taken nothing.
        let ended = child.follow(output.read_to_end(pipe), limit).await;
        // What the pipe still holds; a grandchild may keep it open for ever.
        let _ = timeout(PIPE_GRACE, output.read_to_end(pipe)).await;
        (ended, self.output.finish())
    }
}

/// The beginning of an output; the rest is read and thrown away, so that the writer never waits.
#[derive(Default)]
pub(crate) struct Capture {
    kept: Vec<u8>,
    cut: bool,
    ended: bool,
}

impl Capture {
    const NOTE: &str = "\n(lvsmon: the output was longer and is cut here)\n";

    /// Output kept beside the note.
    const ROOM: usize = Report::OUTPUT_MAX - Self::NOTE.len();

    /// May be dropped half-way: what was read is taken.
    pub(crate) async fn read_to_end(&mut self, pipe: &mut pipe::Receiver) {
        while !self.ended {
            poll_fn(|context| self.poll(pipe, context)).await;
        }
    }

    /// The chunk lives in one call only: in the future it would make every run that waits bigger.
    fn poll(&mut self, pipe: &mut pipe::Receiver, context: &mut Context<'_>) -> Poll<()> {
        let mut chunk = [0; CHUNK];
        let mut chunk = ReadBuf::new(&mut chunk);
        let read = ready!(Pin::new(pipe).poll_read(context, &mut chunk));
        match read {
            Ok(()) if !chunk.filled().is_empty() => self.take(chunk.filled()),
            Ok(()) | Err(_) => self.ended = true,
        }
        Poll::Ready(())
    }

    fn take(&mut self, bytes: &[u8]) {
        let room = Self::ROOM.saturating_sub(self.kept.len());
        self.cut |= bytes.len() > room;
        self.kept.extend(bytes.iter().take(room));
    }

    pub(crate) fn finish(mut self) -> Vec<u8> {
        if self.cut {
            self.kept.extend_from_slice(Self::NOTE.as_bytes());
        }
        self.kept
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_output_at_the_bound_is_whole_and_one_beyond_is_cut_and_said_so() {
        let mut capture = Capture::default();
        capture.take(&vec![b'x'; Capture::ROOM]);
        assert_eq!(capture.finish(), vec![b'x'; Capture::ROOM]);

        let mut capture = Capture::default();
        capture.take(&vec![b'x'; Capture::ROOM - 1]);
        capture.take(b"yz");
        let output = capture.finish();
        assert_eq!(output.len(), Report::OUTPUT_MAX);
        assert!(output.ends_with(Capture::NOTE.as_bytes()));
        assert_eq!(
            output.get(Capture::ROOM - 2..Capture::ROOM),
            Some(&b"xy"[..])
        );
    }
}
