//! Programs that the daemon runs, as far as monitors and alerts are alike: how one is started,
//! how it is followed to its end or ended with its group, and which file this program is.
//!
//! Not here: arguments, input and output, limits; monitors and alerts differ in all of them.

pub mod as_user;
mod child;
mod interrupted;

use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::Duration;

use nix::errno::Errno;
use tokio::io::AsyncReadExt;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tokio::time::sleep;

pub(crate) use child::{Child, Command, Streams};
pub use interrupted::{Interrupted, unless_interrupted};

/// Waits between tries while the file is being written ("text file busy"): an operator copies a
/// new version into place.
const BUSY_WAITS: [Duration; 3] = [
    Duration::from_millis(20),
    Duration::from_millis(60),
    Duration::from_millis(120),
];

/// Waits between tries while the system has no room for one more process, or the file is being
/// written for longer: a peak, ours or that of a cron job, is over within seconds. One that lasts
/// is a failure that says so, and says nothing of any host.
const SHORTAGE_WAITS: [Duration; 4] = [
    Duration::from_millis(100),
    Duration::from_millis(400),
    Duration::from_secs(1),
    Duration::from_secs(2),
];

/// How long a program may clean up after TERM before it gets KILL.
pub const TERM_GRACE: Duration = Duration::from_secs(2);

/// How long we wait for a killed program; one that the kernel cannot end (a dead disk) is left
/// behind and reaped whenever it goes.
const KILL_GRACE: Duration = Duration::from_secs(1);

/// How long output is read after the program's end, for children it left behind: long enough
/// for what a pipe still holds, short against every interval.
pub const PIPE_GRACE: Duration = Duration::from_millis(200);

/// The path of this program; none where the system does not say.
///
/// Read at the first call, so make that early: after an upgrade the file of that name is the
/// new program, which is what the next child wants, while the system would speak of the old,
/// deleted one (proc(5), `/proc/PID/exe`).
pub fn own_path() -> Option<&'static Path> {
    static OWN: OnceLock<Option<PathBuf>> = OnceLock::new();
    OWN.get_or_init(|| std::env::current_exe().ok()).as_deref()
}

/// From now on this process is told how its children end, whoever started it: where the end of
/// children is ignored (SIGCHLD in a wrapper in Perl or Python, handed on by execve(2)) the kernel
/// reaps them itself, and no exit value is left. Call it before the first child.
///
/// A handler of the signal stands against that, also when its runtime is gone; and children begin
/// with the default action, since no handler outlives execve(2).
///
/// # Errors
///
/// The system's: no file descriptor is left.
pub fn keep_ends() -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .build()?;
    let _context = runtime.enter();
    let _handler = signal(SignalKind::child())?;
    Ok(())
}

/// Why a program was not started: a sentence with the path, the system's word, and what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Unstarted {
    /// There is no room for it now, or its file is being written: the same may work later.
    ForNow(String),
    /// It would be refused again.
    Refused(String),
}

impl Unstarted {
    /// The sentence.
    pub(crate) fn why(self) -> String {
        match self {
            Self::ForNow(why) | Self::Refused(why) => why,
        }
    }
}

/// Starts the program `path` as execvp(3) and mon do: a text without a first line `#!` is given
/// to the shell, and a file that is being written is tried again, for 0.2 s in all.
///
/// `spawn` is called once for each try. Its command names the file and has `LVSMON` in its
/// environment (D29); the rest is up to the caller.
///
/// # Errors
///
/// It cannot be run, now or at all.
pub(crate) async fn start<T>(
    path: &Path,
    mut spawn: impl FnMut(Command) -> io::Result<T>,
) -> Result<T, Unstarted> {
    let mut waits = BUSY_WAITS.iter();
    loop {
        let started = match spawn(command(path)) {
            Err(error) if is(&error, Errno::ENOEXEC) && is_text(path).await => {
                let mut shell = command(Path::new("/bin/sh"));
                shell.arg(path);
                spawn(shell)
            }
            other => other,
        };
        match started {
            Ok(running) => return Ok(running),
            Err(error) if is(&error, Errno::ETXTBSY) => match waits.next() {
                Some(wait) => sleep(*wait).await,
                None => return Err(Unstarted::ForNow(explain(path, &error).await)),
            },
            Err(error) => {
                let why = explain(path, &error).await;
                return Err(match shortage(&error) {
                    "" => Unstarted::Refused(why),
                    _ => Unstarted::ForNow(why),
                });
            }
        }
    }
}

/// The same, tried again for some seconds where there is no room for it now.
///
/// # Errors
///
/// It cannot be run: a sentence.
pub(crate) async fn start_patiently<T>(
    path: &Path,
    mut spawn: impl FnMut(Command) -> io::Result<T>,
) -> Result<T, String> {
    let mut waits = SHORTAGE_WAITS.iter();
    loop {
        match start(path, &mut spawn).await {
            Ok(running) => return Ok(running),
            Err(Unstarted::Refused(why)) => return Err(why),
            Err(Unstarted::ForNow(why)) => match waits.next() {
                Some(wait) => sleep(*wait).await,
                None => return Err(why),
            },
        }
    }
}

fn command(file: &Path) -> Command {
    let mut command = Command::new(file);
    if let Some(own) = own_path() {
        command.env("LVSMON", own);
    }
    command
}

fn is(error: &io::Error, errno: Errno) -> bool {
    error.raw_os_error() == Some(errno as i32)
}

/// Whether the file begins as a text does; a program for another machine is not given to the shell.
async fn is_text(path: &Path) -> bool {
    let mut head = [0; 256];
    let Ok(mut file) = tokio::fs::File::open(path).await else {
        return false;
    };
    match file.read(&mut head).await {
        Ok(length) => !head.iter().take(length).any(|byte| *byte == 0),
        Err(_) => false,
    }
}

/// Says why a file cannot be run. Looks at it beside the runtime: its disk may be dead.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "an enum of the standard library that grows; the rest is treated alike"
)]
async fn explain(path: &Path, error: &io::Error) -> String {
    let shown = path.display();
    let found = tokio::fs::metadata(path).await;
    let is_closed = match &found {
        Ok(found) => found.is_file() && found.permissions().mode() & 0o111 != 0,
        Err(error) => error.kind() == io::ErrorKind::PermissionDenied,
    };
    let hint = match error.kind() {
        io::ErrorKind::PermissionDenied if is_closed => {
            let user = nix::unistd::geteuid();
            return format!(
                "cannot run {shown}: {error}; user number {user} may not run it, or not enter a \
                 folder above it: see their owners and modes (namei -l)"
            );
        }
        io::ErrorKind::PermissionDenied if found.as_ref().is_ok_and(std::fs::Metadata::is_dir) => {
            "; it is a folder"
        }
        io::ErrorKind::PermissionDenied => "; make it executable (chmod +x)",
        io::ErrorKind::NotFound if found.is_ok() => {
            "; the file is there, but the interpreter in its first line is not"
        }
        io::ErrorKind::ArgumentListTooLong => "; too many hosts or too long variables",
        _ => shortage(error),
    };
    format!("cannot run {shown}: {error}{hint}")
}

/// What to do where the system has no room for one more child; the limits are those of
/// setrlimit(2) and systemd.exec(5).
pub(crate) fn shortage(error: &io::Error) -> &'static str {
    let is = |errno| is(error, errno);
    if is(Errno::EAGAIN) {
        "; the limit of processes is reached: raise it for the user of lvsmon (LimitNPROC= and \
         TasksMax= of its unit, ulimit -u), or lower maxprocs"
    } else if is(Errno::EMFILE) {
        "; lvsmon has too many open files: raise their limit (LimitNOFILE= of its unit, \
         ulimit -n), or lower maxprocs"
    } else if is(Errno::ENFILE) {
        "; the whole system has too many open files: raise fs.file-max, or look who holds them"
    } else if is(Errno::ENOMEM) {
        "; the system has no memory left: see who takes it, or lower maxprocs"
    } else {
        ""
    }
}

/// The processes that a run has at this moment, for whoever lists them: the run writes, others
/// read. Clones are the same list.
#[derive(Clone, Debug, Default)]
pub struct Children(watch::Sender<Vec<u32>>);

impl Children {
    /// The one that was started first of those that have not ended; none where none has.
    #[must_use]
    pub fn oldest(&self) -> Option<u32> {
        self.0.borrow().first().copied()
    }

    fn add(&self, child: i32) {
        if let Ok(child) = u32::try_from(child) {
            self.0.send_modify(|children| children.push(child));
        }
    }

    /// Its number may be that of another process from now on.
    fn remove(&self, child: i32) {
        self.0
            .send_modify(|children| children.retain(|known| u32::try_from(child) != Ok(*known)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shortage_at_a_start_says_what_is_short_and_what_to_do() {
        for (errno, words) in [
            (Errno::EAGAIN, "limit of processes"),
            (Errno::EAGAIN, "maxprocs"),
            (Errno::EMFILE, "LimitNOFILE="),
            (Errno::ENFILE, "fs.file-max"),
            (Errno::ENOMEM, "memory"),
        ] {
            let said = tokio::runtime::Builder::new_current_thread()
                .build()
                .unwrap()
                .block_on(start::<()>(Path::new("/bin/true"), |_| Err(errno.into())));
            let Err(Unstarted::ForNow(said)) = said else {
                panic!("{said:?}");
            };
            assert!(said.starts_with("cannot run /bin/true: "), "{said}");
            assert!(said.contains(words), "{said}");
        }
    }
}
