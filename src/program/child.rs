//! How is a child made, followed to its end or ended with its group, and reaped?
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
use std::convert::Infallible;
use std::ffi::{CString, OsStr, OsString};
use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::process::ExitStatusExt as _;
use std::pin::Pin;
use std::process::ExitStatus;
use std::time::Duration;

use nix::spawn::{PosixSpawnAttr, PosixSpawnFileActions, PosixSpawnFlags, posix_spawnp};
use nix::sys::signal::{SigSet, Signal, killpg};
use rustix::process::{Pid, PidfdFlags, WaitOptions, pidfd_open, waitpid};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::runtime::Handle;
use tokio::time::{sleep, timeout};

use crate::engine::event::Ended;
use crate::environment::FOR_THE_DAEMON;
use crate::program::{Children, KILL_GRACE, TERM_GRACE};

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

    /// The program and its arguments, as the system takes them.
    ///
    /// # Errors
    ///
    /// A NUL in a word.
    pub(super) fn texts(&self) -> io::Result<Vec<CString>> {
        self.words.iter().map(text).collect()
    }

    /// Starts it. Our ends of the streams are closed then.
    ///
    /// # Errors
    ///
    /// The system's word, with its number, where the program cannot be run; a NUL in a word.
    pub(crate) fn spawn(&self, streams: Streams) -> io::Result<Child> {
        self.spawn_listed(streams, &Children::default())
    }

    /// The same; the child is in that list until its end.
    ///
    /// # Errors
    ///
    /// The same.
    pub(crate) fn spawn_listed(&self, streams: Streams, listed: &Children) -> io::Result<Child> {
        let words = self.texts()?;
        let mut all = handed_on(std::env::vars_os());
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
        listed.add(pid.as_raw_nonzero().get());
        Ok(Child {
            group: Some(nix::unistd::Pid::from_raw(pid.as_raw_nonzero().get())),
            listed: listed.clone(),
            life: Life::Alive(Alive::of(pid)),
        })
    }
}

/// What a child gets of our own environment.
fn handed_on(ours: impl Iterator<Item = (OsString, OsString)>) -> BTreeMap<OsString, OsString> {
    ours.filter(|(name, _)| !FOR_THE_DAEMON.iter().any(|it| name == it))
        .collect()
}

fn text(text: impl AsRef<OsStr>) -> io::Result<CString> {
    Ok(CString::new(text.as_ref().as_bytes())?)
}

/// A child that was started, and the process group that it leads. Dropped before it was let go,
/// it is killed with its group, then reaped.
#[derive(Debug)]
pub(crate) struct Child {
    /// None where whoever is left of it is not ours to kill.
    group: Option<nix::unistd::Pid>,
    /// Where it is listed as long as it has its group.
    listed: Children,
    life: Life,
}

/// What is known of a child's end.
#[derive(Debug)]
enum Life {
    Alive(Alive),
    Ended(ExitStatus),
    /// Somebody else has reaped it.
    Lost,
}

impl Child {
    /// Its process group, none after it was let go: the number may be another's then.
    pub(crate) fn group(&self) -> Option<nix::unistd::Pid> {
        self.group
    }

    /// How it ended; the same for ever after. Cancel safe.
    ///
    /// # Errors
    ///
    /// It is no child of ours any more: somebody else has reaped it.
    async fn wait(&mut self) -> io::Result<ExitStatus> {
        match &self.life {
            Life::Alive(alive) => {
                let status = alive.ended().await;
                self.life = status
                    .as_ref()
                    .map_or(Life::Lost, |status| Life::Ended(*status));
                status
            }
            Life::Ended(status) => Ok(*status),
            Life::Lost => Err(io::ErrorKind::NotFound.into()),
        }
    }

    async fn wait_beside(
        &mut self,
        beside: Pin<&mut impl Future<Output = Infallible>>,
    ) -> io::Result<ExitStatus> {
        tokio::select! {
            biased; // The end first: a grandchild that never stops writing must not hide it.
            status = self.wait() => status,
            never = beside => match never {},
        }
    }

    /// Follows it to its end. At the limit its whole group gets TERM, and KILL after
    /// [`TERM_GRACE`] or the child's end. What it leaves behind after an end of its own may live
    /// on.
    ///
    /// `beside` goes on meanwhile, also while the group is ended, so that it may read what the
    /// child has to say; it may be dropped at any of its waits.
    pub(crate) async fn follow(
        &mut self,
        beside: impl Future<Output = ()>,
        limit: Duration,
    ) -> Ended {
        let beside = async {
            beside.await;
            std::future::pending::<Infallible>().await
        };
        tokio::pin!(beside);
        let ended = match timeout(limit, self.wait_beside(beside.as_mut())).await {
            Ok(status) => ended(status),
            Err(_) => {
                self.signal(Signal::SIGTERM);
                let polite = timeout(TERM_GRACE, self.wait_beside(beside.as_mut())).await;
                // Also after a polite end: others of the group may be left.
                self.signal(Signal::SIGKILL);
                if polite.is_err() {
                    let _ = timeout(KILL_GRACE, self.wait_beside(beside)).await;
                }
                Ended::TimedOut(limit)
            }
        };
        self.let_go();
        ended
    }

    /// Sends a signal to all of the group.
    fn signal(&self, signal: Signal) {
        if let Some(group) = self.group {
            // ESRCH: all gone already, which is what was wanted.
            let _ = killpg(group, signal);
        }
    }

    /// It has ended or was killed; whoever it left behind is not ours to kill.
    fn let_go(&mut self) {
        if let Some(group) = self.group.take() {
            self.listed.remove(group.as_raw());
        }
    }
}

impl Drop for Child {
    /// Nobody has time to wait, and it must not stay a zombie. It is killed before it is reaped:
    /// its number is its own until then.
    fn drop(&mut self) {
        self.signal(Signal::SIGKILL);
        self.let_go();
        let life = std::mem::replace(&mut self.life, Life::Lost);
        if let (Life::Alive(alive), Ok(runtime)) = (life, Handle::try_current()) {
            runtime.spawn(async move { alive.ended().await });
        }
    }
}

fn ended(status: io::Result<ExitStatus>) -> Ended {
    match status {
        Ok(status) => match (status.code(), status.signal()) {
            (Some(code), _) => Ended::Exited(code),
            (None, Some(signal)) => Ended::Signalled(signal),
            (None, None) => Ended::NotStarted(format!("ended in an unknown way: {status}")),
        },
        Err(error) => Ended::NotStarted(format!("its end cannot be observed: {error}")),
    }
}

/// A child before its end.
#[derive(Debug)]
struct Alive {
    pid: Pid,
    /// Readable at its end; none where it has to be looked at.
    end: Option<AsyncFd<OwnedFd>>,
}

impl Alive {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_child_hears_nothing_of_what_systemd_asks_of_the_daemon() {
        let systemd = [
            "NOTIFY_SOCKET",
            "WATCHDOG_PID",
            "WATCHDOG_USEC",
            "LISTEN_FDS",
            "LISTEN_FDNAMES",
            "LISTEN_PID",
        ];
        let others = ["LISTEN", "PATH", "WATCHDOG"];
        let all = systemd.iter().chain(&others);
        let given = handed_on(all.map(|name| (name.into(), "1".into())));
        assert!(given.keys().eq(others), "{given:?}");
    }
}
