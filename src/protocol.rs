//! mon's client protocol and its traps: one line in, a reply, a wish or a piece of work out;
//! one packet in, a trap out.
//!
//! Pure. A [`Session`] is what is remembered of one connection (who logged in, which view is
//! selected); everything else it reads from the engine and the configuration through
//! [`Sight`]. It changes nothing itself: what a person asks for comes out as a [`Turn`], and
//! the shell tells the engine, reads files, checks passwords and writes to the socket
//! (docs/mon.md, "Client protocol").
//!
//! | Question | File |
//! |---|---|
//! | which command is a line | `command` |
//! | what does each command come to | `session` |
//! | what do enable, disable, ack, set and test ask of the engine | `operator` |
//! | what does a list say | `list` |
//! | which line stands for a service | `status_line` |
//! | what is a variable's value | `variables` |
//! | which services are meant or shown | `choice` |
//! | may this user say this, may this host send that | `auth` |
//! | is this the password of that hash | `crypt` |
//! | what do the alert history and the downtime log look like | `log_file` |
//! | what do mon's state files say | `state_file` |
//! | which of them says nothing new at a start | `known_file` |
//! | is a trap let in, and at what cost | `guard` |
//! | what does a trap say | `trap` |
//! | how is text written so that it fits between two blanks | `escape` |
//!
//! Invariants: a reply ends with exactly one line `DDD text`; no part of a listing is longer
//! than [`list::PART_MAX`] and one line; no text from outside reaches a reply with a line
//! end in it.

pub mod auth;
mod choice;
pub mod command;
pub mod crypt;
pub mod escape;
pub mod guard;
pub mod known_file;
pub mod list;
pub mod log_file;
mod operator;
pub mod session;
pub mod state_file;
mod status_line;
pub mod trap;
mod variables;

#[cfg(test)]
mod tests;

use std::fmt;

use jiff::tz::TimeZone;

use crate::engine::Engine;
use crate::engine::event::{Memory, RunId, Wish};
use crate::engine::saved::StateFile;
use crate::protocol::auth::AuthRules;
use crate::text::one_line;
use crate::time::Now;

pub use list::Listing;
pub use session::Session;

/// The version of the protocol: what `version` says and `protid` compares.
pub const VERSION: &str = "9745";

/// Longest request, in bytes without its end (P-4): far above any sensible acknowledgement.
pub const LINE_MAX: usize = 64 * 1024;

/// The reply to what is no command, to a line that is too long among them.
pub const INVALID: &str = "520 invalid command\n";

/// The answer to what a client may not do.
pub const DENIED: &str = "520 command could not be executed, unknown command\n";

/// Who knows the processes of the runs.
pub trait Processes: std::fmt::Debug {
    /// In which process this run goes on.
    fn of(&self, run: RunId) -> Process;
}

/// In which process a run goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Process {
    /// A check of our own without a child: in the daemon's.
    Daemon,
    /// In this one.
    Child(u32),
    /// In none: a program that is just being started, or has just ended.
    None,
}

/// What a session may read.
#[derive(Clone, Copy, Debug)]
pub struct Sight<'a> {
    /// All services and the configuration in force.
    pub engine: &'a Engine,
    /// Who may do what.
    pub auth: &'a AuthRules,
    /// The time of the request.
    pub now: Now,
    /// Of the clock that `servertime` shows.
    pub zone: &'a TimeZone,
    /// The daemon's process.
    pub pid: u32,
    /// The processes of the runs.
    pub processes: &'a dyn Processes,
    /// Whether there is a downtime log to list.
    pub has_downtime_log: bool,
}

/// What a request comes to.
#[derive(Debug)]
pub enum Turn {
    /// Say this: one or more lines.
    Say(String),
    /// Say this and close the connection.
    Leave(String),
    /// Say [`DENIED`]: the client may not do this.
    Denied {
        /// The word of auth.cf that it lacks; none where that was said before of this connection
        /// and user.
        lacks: Option<&'static str>,
    },
    /// Say the parts of this, one after the other.
    List(Box<Listing>),
    /// Tell the engine; say `done`, or with [`refused`] why not.
    Wish {
        /// What is asked.
        wish: Box<Wish>,
        /// The reply when it was carried out.
        done: String,
    },
    /// What only the shell can do, which then answers with [`Work::reply`] or as its variant says.
    Work(Work),
}

/// What only the shell can do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Work {
    /// Look whether the password is right; the answer is [`Session::logged_in`].
    Login(Credentials),
    /// Read the configuration again, and stop the scheduler where that is asked for. The
    /// answer is [`reset_reply`].
    Reset {
        /// Stop the scheduler.
        stops: bool,
        /// What becomes of what is known.
        memory: Memory,
    },
    /// Read `authfile` and `userfile` again.
    ReloadAuth,
    /// End the daemon.
    Term,
    /// Write mon's own state files.
    SaveState(Vec<StateFile>),
    /// Read mon's own state files and tell the engine.
    LoadState(Vec<StateFile>),
    /// Read the configuration and say what is wrong with it; the answer is [`config_reply`].
    TestConfig,
    /// Show the lines of the downtime log, and then say [`DOWNTIME_SHOWN`], or
    /// [`DOWNTIME_LOST`] where it cannot be read.
    DowntimeLog,
}

impl Work {
    /// What is said when it is done.
    #[must_use]
    pub const fn reply(&self) -> &'static str {
        match self {
            Self::Login(_) => "220 login accepted\n",
            Self::Reset { .. } => "220 reset\n",
            Self::ReloadAuth => "220 reload completed\n",
            Self::Term => "220 terminating server\n",
            Self::SaveState(_) => "220 savestate completed\n",
            Self::LoadState(_) => "220 loadstate completed\n",
            Self::TestConfig => "220 test config completed OK, no errors found\n",
            Self::DowntimeLog => DOWNTIME_SHOWN,
        }
    }
}

/// The end of `list dtlog`.
pub const DOWNTIME_SHOWN: &str = "220 list dtlog completed\n";

/// The end of `list dtlog` where the log cannot be read.
pub const DOWNTIME_LOST: &str = "520 list dtlog error, cannot open dtlog\n";

/// What a client says it is. The password appears in no log.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    /// Name of the user.
    pub user: String,
    /// The password.
    pub password: String,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Credentials({:?})", self.user)
    }
}

/// The reply to `reset`.
#[must_use]
pub fn reset_reply(pid: u32, host: &str, is_done: bool) -> String {
    if is_done {
        format!("220 reset PID {pid}@{host}\n")
    } else {
        format!("520 reset PID {pid}@{host} failed, error in config file\n")
    }
}

/// The reply to `test config`: the mistakes, a line each.
#[must_use]
pub fn config_reply<'a>(mistakes: impl Iterator<Item = &'a str>) -> String {
    let mut reply = String::new();
    for mistake in mistakes {
        data_line(&mut reply, mistake);
    }
    reply.push_str(if reply.is_empty() {
        "220 test config completed OK, no errors found\n"
    } else {
        "520 test config completed, errors found in config file\n"
    });
    reply
}

/// The reply to a wish that the engine refused.
#[must_use]
pub fn refused(why: &str) -> String {
    format!("520 {}\n", one_line(why))
}

/// Appends a line of data from outside; one that would look like the end of the reply is led
/// by a blank (P-2).
pub fn data_line(reply: &mut String, line: &str) {
    let mut start = line.bytes();
    let digits = start.by_ref().take(3).filter(u8::is_ascii_digit).count();
    if digits == 3 && start.next().is_none_or(|byte| byte.is_ascii_whitespace()) {
        reply.push(' ');
    }
    reply.push_str(&one_line(line));
    reply.push('\n');
}
