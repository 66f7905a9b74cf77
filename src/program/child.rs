//! How is a child made, waited for, and reaped?
//!
//! By posix_spawn(3) itself and not by the standard library, which gives every child the default
//! action of SIGPIPE back. mon's children have it ignored, as Perl's `system` leaves it: a monitor
//! that writes to a connection which the server has closed reads the error, tells of it and goes
//! on, where ours would die of the signal (docs/mon.md, "Runs"). An exec or a shell between would
//! do it too, but cost each run another program and hide why the file cannot be run.
//!
//! An end is awaited on the process's file descriptor (pidfd_open(2)); a child that is dropped
//! before its end is reaped in the background.

use std::collections::BTreeMap;
use std::ffi::{CString, OsStr, OsString};
use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::process::ExitStatusExt as _;
use std::process::ExitStatus;
use std::time::Duration;

use nix::spawn::{PosixSpawnAttr, PosixSpawnFileActions, PosixSpawnFlags, posix_spawnp};
use nix::sys::signal::SigSet;
use rustix::process::{Pid, PidfdFlags, WaitOptions, pidfd_open, waitpid};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::runtime::Handle;
use tokio::time::sleep;

/// Between two looks at a child whose end no file descriptor tells: none was left, the kernel is
/// older than 5.3, or a tracer keeps the end to itself. A report is later by less than this.
const LOOK: Duration = Duration::from_millis(20);

/// A program to start: first in a process group of its own, SIGPIPE ignored, no signal blocked.
#[derive(Debug)]
pub(crate) struct Command {
    /// The name of the program, then its arguments.
    words: Vec<OsString>,
    /// On top of our own.
    environment: BTreeMap<OsString, OsString>,
}

/// Standard input, output and errors of a child; ours where there is none.
#[derive(Debug, Default)]
pub(crate) struct Streams {
    /// Standard input.
    pub(crate) input: Option<OwnedFd>,
    /// Standard output.
    pub(crate) output: Option<OwnedFd>,
    /// Standard errors.
    pub(crate) errors: Option<OwnedFd>,
}

impl Streams {
    /// An input that is empty.
    pub(crate) fn nothing() -> io::Result<OwnedFd> {
        Ok(File::open("/dev/null")?.into())
    }
}

impl Command {
    /// A name without `/` is looked for in `PATH`.
    pub(crate) fn new(file: impl AsRef<OsStr>) -> Self {
        Self {
            words: vec![file.as_ref().to_owned()],
            environment: BTreeMap::new(),
        }
    }

    /// One more argument.
    pub(crate) fn arg(&mut self, word: impl AsRef<OsStr>) {
        self.words.push(word.as_ref().to_owned());
    }

    /// More arguments.
    pub(crate) fn args(&mut self, words: impl IntoIterator<Item = impl AsRef<OsStr>>) {
        words.into_iter().for_each(|word| self.arg(word));
    }

    /// A variable in place of what we or an earlier call have under that name.
    pub(crate) fn env(&mut self, name: impl AsRef<OsStr>, value: impl AsRef<OsStr>) {
        let (name, value) = (name.as_ref().to_owned(), value.as_ref().to_owned());
        self.environment.insert(name, value);
    }

    /// Starts it. Our ends of the streams are closed then.
    ///
    /// # Errors
    ///
    /// The system's word, with its number, where the program cannot be run; a NUL in a word.
    pub(crate) fn spawn(&self, streams: Streams) -> io::Result<Child> {
        let words: Vec<CString> = self.words.iter().map(text).collect::<io::Result<_>>()?;
        let mut all: BTreeMap<OsString, OsString> = std::env::vars_os().collect();
        all.extend(self.environment.clone());
        let variables: Vec<CString> = all
            .iter()
            .map(|(name, value)| {
                let mut line = name.clone();
                line.push("=");
                line.push(value);
                text(&line)
            })
            .collect::<io::Result<_>>()?;
        let Some(file) = words.first() else {
            return Err(io::ErrorKind::InvalidInput.into());
        };
        let mut actions = PosixSpawnFileActions::init()?;
        for (stream, number) in [
            (&streams.input, 0),
            (&streams.output, 1),
            (&streams.errors, 2),
        ] {
            if let Some(stream) = stream {
                actions.add_dup2(stream.as_raw_fd(), number)?;
            }
        }
        let mut settings = PosixSpawnAttr::init()?;
        settings.set_pgroup(nix::unistd::Pid::from_raw(0))?;
        settings.set_sigmask(&SigSet::empty())?;
        settings.set_flags(
            PosixSpawnFlags::POSIX_SPAWN_SETPGROUP | PosixSpawnFlags::POSIX_SPAWN_SETSIGMASK,
        )?;
        let pid = posix_spawnp(file, &actions, &settings, &words, &variables)?;
        let pid = Pid::from_raw(pid.as_raw()).ok_or(io::ErrorKind::NotFound)?;
        Ok(Child {
            going: Some(Going::of(pid)),
            status: None,
        })
    }
}

fn text(text: impl AsRef<OsStr>) -> io::Result<CString> {
    Ok(CString::new(text.as_ref().as_bytes())?)
}

/// A child that was started.
#[derive(Debug)]
pub(crate) struct Child {
    /// None after its end.
    going: Option<Going>,
    status: Option<ExitStatus>,
}

impl Child {
    /// Its process, none after its end: the number may be another's then.
    pub(crate) fn id(&self) -> Option<nix::unistd::Pid> {
        let pid = self.going.as_ref()?.pid.as_raw_nonzero();
        Some(nix::unistd::Pid::from_raw(pid.get()))
    }

    /// How it ended; the same for ever after. Cancel safe.
    ///
    /// # Errors
    ///
    /// It is no child of ours any more: somebody else has reaped it.
    pub(crate) async fn wait(&mut self) -> io::Result<ExitStatus> {
        if let Some(going) = &self.going {
            let status = going.ended().await;
            self.going = None;
            self.status = Some(status?);
        }
        self.status.ok_or_else(|| io::ErrorKind::NotFound.into())
    }
}

impl Drop for Child {
    /// Who has killed it has no time to wait, and it must not stay a zombie.
    fn drop(&mut self) {
        if let (Some(going), Ok(runtime)) = (self.going.take(), Handle::try_current()) {
            runtime.spawn(async move { going.ended().await });
        }
    }
}

/// A child before its end.
#[derive(Debug)]
struct Going {
    pid: Pid,
    /// Readable at its end; none where it has to be looked at.
    end: Option<AsyncFd<OwnedFd>>,
}

impl Going {
    #[expect(
        deprecated,
        reason = "its successor is unsafe code; what it warns of, a type whose descriptor is not \
                  its own, an OwnedFd is not"
    )]
    fn of(pid: Pid) -> Self {
        let end = pidfd_open(pid, PidfdFlags::empty()).ok();
        let end = end.and_then(|end| AsyncFd::with_interest(end, Interest::READABLE).ok());
        Self { pid, end }
    }

    async fn ended(&self) -> io::Result<ExitStatus> {
        if let Some(end) = &self.end {
            // It stays readable from its end on, so nothing is to be cleared, and to ask again
            // would not wait.
            drop(end.readable().await?);
        }
        loop {
            if let Some((_, status)) = waitpid(Some(self.pid), WaitOptions::NOHANG)? {
                return Ok(ExitStatus::from_raw(status.as_raw()));
            }
            // Also with a descriptor: a tracer (strace, gdb) keeps the end from us until it has
            // seen it.
            sleep(LOOK).await;
        }
    }
}
