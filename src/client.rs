//! How the command line reaches a running daemon; without one, `offline` says what there is to say.
//!
//! Blocking: the command line has nothing else to do meanwhile. One request, one answer.

mod offline;

use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileTypeExt as _;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::tz::TimeZone;
use rustix::net::sockopt::{Timeout, set_socket_timeout};
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, connect, socket_with};

pub use crate::client::offline::compare_without_daemon;
use crate::clock::since_boot;
use crate::daemon::store;
use crate::engine::event::Aim;
use crate::pair::{InstanceName, State};
use crate::site::OBSERVER;
use crate::wire::metrics::MetricsAnswer;
use crate::wire::refusal::{Refusal, RefusalReason};
use crate::wire::reload::{Answered, RefusedReload};
use crate::wire::role::{HealthAnswer, RoleAnswer};
use crate::wire::server::ServerAnswer;
use crate::wire::why::WhyAnswer;
use crate::wire::{
    Answer, Asked, Desire, EventsAnswer, Request, ServicesAnswer, Sort, TableAnswer,
};

/// Longest wait for an answer; the daemon's loop answers within milliseconds.
const ANSWER_LIMIT: Duration = Duration::from_secs(10);

/// Longest answer, in bytes: a table of 100,000 real servers.
const ANSWER_MAX: u64 = 64 * 1024 * 1024;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// Nobody listens: no daemon runs with this state folder.
    #[error("no daemon answers at {0}; is lvsmon running with this configuration?")]
    NoDaemon(PathBuf),
    /// Nobody listens there, but one that only observes does beside it.
    #[error(
        "no daemon answers at {path}. There is one that only observes, process {observer}: it changes nothing in the table, has no role and tells nobody"
    )]
    OnlyObserver {
        /// Its process.
        observer: u32,
        /// The socket that nobody has.
        path: PathBuf,
    },
    /// The daemon runs, but somebody deleted its socket.
    #[error(
        "a daemon runs as process {daemon}, but its socket {path} is gone; it makes it again within seconds"
    )]
    NoSocket {
        /// The process.
        daemon: u32,
        /// The socket.
        path: PathBuf,
    },
    /// The daemon runs, and something else has the name of its socket.
    #[error(
        "a daemon runs as process {daemon}, but something that is no socket has the name of its socket {path}; remove it, and the daemon makes its socket within seconds"
    )]
    NotASocket {
        /// The process.
        daemon: u32,
        /// What is no socket.
        path: PathBuf,
    },
    /// The socket is there and may not be used.
    #[error(
        "may not ask the daemon at {0}: permission denied; only root and the daemon's user may"
    )]
    Forbidden(PathBuf),
    /// It does not answer in time.
    #[error("the daemon at {path} does not answer in time: it is stopped, or stuck{}", later(*.request))]
    Slow {
        /// The socket.
        path: PathBuf,
        /// What was asked.
        request: Sort,
    },
    /// It takes no connection in time.
    #[error(
        "the daemon at {path} takes no connection in time: it is stopped, or stuck; nothing was asked"
    )]
    Deaf {
        /// The socket.
        path: PathBuf,
    },
    /// Something else went wrong on the way.
    #[error("cannot ask the daemon at {path}: {error}")]
    Broken {
        /// The socket.
        path: PathBuf,
        /// What the system said.
        error: io::Error,
    },
    /// The daemon refused.
    #[error("{0}")]
    Refused(Refusal),
}

impl ClientError {
    /// Why the daemon refused; none where it did not.
    #[must_use]
    pub const fn reason(&self) -> Option<RefusalReason> {
        match self {
            Self::Refused(refusal) => Some(refusal.reason),
            Self::NoDaemon(_)
            | Self::OnlyObserver { .. }
            | Self::NoSocket { .. }
            | Self::NotASocket { .. }
            | Self::Forbidden(_)
            | Self::Slow { .. }
            | Self::Deaf { .. }
            | Self::Broken { .. } => None,
        }
    }
}

/// What becomes of a request that the daemon finds when nobody waits any more, behind a sentence.
const fn later(request: Sort) -> &'static str {
    match request {
        Sort::Question => "",
        Sort::Wish => "; what was asked may be done by now, and if it is not, it will not be",
        Sort::Fact => "; what was said to it counts as soon as it goes on, however late",
    }
}

/// A connection to a daemon.
#[derive(Debug)]
pub struct Client {
    path: PathBuf,
    stream: BufReader<UnixStream>,
    /// Longest wait for an answer.
    limit: Duration,
    /// What came along with the latest answer.
    refused_reload: Option<RefusedReload>,
    /// Why a crash would forget what was done last.
    journal_trouble: Option<String>,
}

impl Client {
    /// Connects to the daemon that uses a state folder.
    ///
    /// # Errors
    ///
    /// No daemon runs there, or it may not be asked.
    pub fn connect(statedir: &Path) -> Result<Self, ClientError> {
        Self::connect_within(statedir, ANSWER_LIMIT)
    }

    /// The same with another limit for each answer.
    ///
    /// # Errors
    ///
    /// As [`Client::connect`].
    pub fn connect_within(statedir: &Path, limit: Duration) -> Result<Self, ClientError> {
        let path = statedir.join("control");
        let stream = open(&path, limit).and_then(|stream| {
            stream.set_read_timeout(Some(limit))?;
            Ok(stream)
        });
        match stream {
            Ok(stream) => Ok(Self {
                path,
                stream: BufReader::new(stream),
                limit,
                refused_reload: None,
                journal_trouble: None,
            }),
            Err(error)
                if [io::ErrorKind::NotFound, io::ErrorKind::ConnectionRefused]
                    .contains(&error.kind()) =>
            {
                let observer = || store::holder_of(&statedir.join(OBSERVER));
                match store::holder_of(statedir) {
                    Some(daemon) if is_in_the_way(&path) => {
                        Err(ClientError::NotASocket { daemon, path })
                    }
                    Some(daemon) => Err(ClientError::NoSocket { daemon, path }),
                    None => Err(match observer() {
                        Some(observer) => ClientError::OnlyObserver { observer, path },
                        None => ClientError::NoDaemon(path),
                    }),
                }
            }
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                Err(ClientError::Forbidden(path))
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                Err(ClientError::Deaf { path })
            }
            Err(error) => Err(ClientError::Broken { path, error }),
        }
    }

    /// The same; where no daemon works with the folder, one that only observes there answers.
    ///
    /// # Errors
    ///
    /// As [`Client::connect`].
    pub fn connect_also_observer(statedir: &Path) -> Result<Self, ClientError> {
        match Self::connect(statedir) {
            Err(ClientError::OnlyObserver { .. }) => Self::connect(&statedir.join(OBSERVER)),
            found => found,
        }
    }

    /// The configuration that the daemon refused, as of the latest answer; none where it took it.
    #[must_use]
    pub const fn refused_reload(&self) -> Option<&RefusedReload> {
        self.refused_reload.as_ref()
    }

    /// Why a crash would forget what this client had done last; none where the disk has it, or
    /// where the daemon is older and says it in the text only.
    #[must_use]
    pub fn journal_trouble(&self) -> Option<&str> {
        self.journal_trouble.as_deref()
    }

    /// The wanted table against the kernel's.
    ///
    /// # Errors
    ///
    /// As all questions: the daemon refused, or did not answer in time.
    pub fn table(&mut self) -> Result<TableAnswer, ClientError> {
        let answer = self.ask(&Request::Table)?;
        if let Answer::Table(answer) = answer {
            return Ok(answer);
        }
        Err(self.unexpected(answer))
    }

    /// The state of the services from an index of file order on.
    ///
    /// # Errors
    ///
    /// As [`Client::table`].
    pub fn services(&mut self, from: usize) -> Result<ServicesAnswer, ClientError> {
        let answer = self.ask(&Request::Services { from })?;
        if let Answer::Services(answer) = answer {
            return Ok(answer);
        }
        Err(self.unexpected(answer))
    }

    /// What happened since the event of that number.
    ///
    /// # Errors
    ///
    /// As [`Client::table`].
    pub fn events(&mut self, after: u64) -> Result<EventsAnswer, ClientError> {
        let answer = self.ask(&Request::Events { after })?;
        if let Answer::Events(answer) = answer {
            return Ok(answer);
        }
        Err(self.unexpected(answer))
    }

    /// Everything about the service `group/service`.
    ///
    /// # Errors
    ///
    /// As [`Client::table`]; the daemon refuses a service that it does not know.
    pub fn why(&mut self, group: &str, service: &str) -> Result<WhyAnswer, ClientError> {
        let (group, service) = (group.to_owned(), service.to_owned());
        let answer = self.ask(&Request::Why { group, service })?;
        if let Answer::Why(answer) = answer {
            return Ok(*answer);
        }
        Err(self.unexpected(answer))
    }

    /// Everything about the real servers that are meant.
    ///
    /// # Errors
    ///
    /// As [`Client::table`]; the daemon refuses a name that nobody has.
    pub fn why_server(&mut self, aim: &Aim) -> Result<ServerAnswer, ClientError> {
        let answer = self.ask(&Request::Server(aim.clone()))?;
        if let Answer::Server(answer) = answer {
            return Ok(*answer);
        }
        Err(self.unexpected(answer))
    }

    /// Says what an operator wishes; the answer is for a person.
    ///
    /// # Errors
    ///
    /// As [`Client::table`]; the daemon refuses a server that it does not know, and a wish that
    /// leaves too few.
    pub fn wish(&mut self, desire: Desire) -> Result<String, ClientError> {
        self.done(&Request::Wish(desire))
    }

    /// Ends wishes for a real server and withdrawals of it; the answer is for a person.
    ///
    /// # Errors
    ///
    /// As [`Client::table`]; the daemon refuses a server that it does not know.
    pub fn enable(&mut self, aim: Aim) -> Result<String, ClientError> {
        let (server, within) = (aim.server.0, aim.within);
        self.done(&Request::Enable { server, within })
    }

    fn done(&mut self, request: &Request) -> Result<String, ClientError> {
        let answer = self.ask(request)?;
        if let Answer::Done(text) = answer {
            return Ok(text);
        }
        Err(self.unexpected(answer))
    }

    /// What this director is to the other one of its pair.
    ///
    /// # Errors
    ///
    /// As [`Client::table`].
    pub fn role(&mut self) -> Result<RoleAnswer, ClientError> {
        let answer = self.ask(&Request::Role)?;
        if let Answer::Role(answer) = answer {
            return Ok(*answer);
        }
        Err(self.unexpected(answer))
    }

    /// Says what it is; the answer is a sentence for a person.
    ///
    /// # Errors
    ///
    /// As [`Client::table`].
    pub fn set_role(
        &mut self,
        instance: Option<InstanceName>,
        state: State,
    ) -> Result<String, ClientError> {
        self.done(&Request::SetRole { instance, state })
    }

    /// Whether anything is stuck.
    ///
    /// # Errors
    ///
    /// As [`Client::table`]; no answer in time means that the daemon's loop is stuck.
    pub fn health(&mut self) -> Result<HealthAnswer, ClientError> {
        let answer = self.ask(&Request::Health)?;
        if let Answer::Health(answer) = answer {
            return Ok(answer);
        }
        Err(self.unexpected(answer))
    }

    /// Everything in numbers.
    ///
    /// # Errors
    ///
    /// As [`Client::table`].
    pub fn metrics(&mut self) -> Result<MetricsAnswer, ClientError> {
        let answer = self.ask(&Request::Metrics)?;
        if let Answer::Metrics(answer) = answer {
            return Ok(*answer);
        }
        Err(self.unexpected(answer))
    }

    fn ask(&mut self, request: &Request) -> Result<Answer, ClientError> {
        self.exchange(request).map_err(|error| {
            let path = self.path.clone();
            let late = [io::ErrorKind::WouldBlock, io::ErrorKind::TimedOut];
            if late.contains(&error.kind()) {
                let request = request.sort();
                ClientError::Slow { path, request }
            } else {
                ClientError::Broken { path, error }
            }
        })
    }

    fn unexpected(&self, answer: Answer) -> ClientError {
        match answer {
            Answer::Error(mut refusal) => {
                if let Some(refused) = &self.refused_reload
                    && is_of_the_file(refusal.reason)
                {
                    let sentence = refused.sentence(&TimeZone::system());
                    refusal.text = format!("{}; {sentence}", refusal.text);
                }
                ClientError::Refused(refusal)
            }
            Answer::Table(_)
            | Answer::Services(_)
            | Answer::Events(_)
            | Answer::Why(_)
            | Answer::Role(_)
            | Answer::Health(_)
            | Answer::Metrics(_)
            | Answer::Server(_)
            | Answer::Done(_) => ClientError::Broken {
                path: self.path.clone(),
                error: io::Error::other("the answer belongs to another question"),
            },
        }
    }

    fn exchange(&mut self, request: &Request) -> io::Result<Answer> {
        let mut line = serde_json::to_vec(&Asked {
            request: request.clone(),
            until_ms: u64::try_from(since_boot().saturating_add(self.limit).as_millis()).ok(),
        })?;
        line.push(b'\n');
        // A daemon that refuses a client says why and closes: then the answer is there although
        // the question could not be written.
        let written = self.stream.get_mut().write_all(&line);
        line.clear();
        (&mut self.stream)
            .take(ANSWER_MAX)
            .read_until(b'\n', &mut line)?;
        if line.is_empty() {
            written?;
            let why = "the daemon closed the connection";
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, why));
        }
        let Answered {
            answer,
            refused_reload,
            journal_trouble,
        } = serde_json::from_slice(&line)?;
        self.refused_reload = refused_reload;
        if matches!(answer, Answer::Done(_)) {
            self.journal_trouble = journal_trouble;
        }
        Ok(answer)
    }
}

/// Whether what is refused may stand in a file that the daemon has not taken.
const fn is_of_the_file(reason: RefusalReason) -> bool {
    match reason {
        RefusalReason::Unknown
        | RefusalReason::Unclear
        | RefusalReason::Denied
        | RefusalReason::Other => true,
        RefusalReason::NoRoom
        | RefusalReason::Forbidden
        | RefusalReason::Late
        | RefusalReason::Stopping
        | RefusalReason::Malformed => false,
    }
}

/// A connection to a socket, within the limit for each thing that is sent: a daemon that is stopped
/// takes none once its queue is full, and the system would wait for it for ever.
fn open(path: &Path, limit: Duration) -> io::Result<UnixStream> {
    let address = SocketAddrUnix::new(path)?;
    let socket: OwnedFd = socket_with(
        AddressFamily::UNIX,
        SocketType::STREAM,
        SocketFlags::CLOEXEC,
        None,
    )?;
    // Connecting counts as sending (socket(7)): EAGAIN when it is over.
    set_socket_timeout(&socket, Timeout::Send, Some(limit))?;
    connect(&socket, &address)?;
    Ok(UnixStream::from(socket))
}

/// Whether something has the name of the socket and is none: the daemon leaves it to a person.
fn is_in_the_way(path: &Path) -> bool {
    std::fs::symlink_metadata(path).is_ok_and(|found| !found.file_type().is_socket())
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixListener;

    use super::*;
    use crate::engine::event::RealServerName;

    #[test]
    fn what_has_the_name_of_the_socket_and_is_none_is_to_be_removed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("control");
        let _lock = store::Lock::take(folder.path()).unwrap();
        let said = || {
            let client = Client::connect_within(folder.path(), Duration::from_millis(10));
            client.unwrap_err().to_string()
        };
        assert!(said().ends_with("is gone; it makes it again within seconds"));
        std::os::unix::fs::symlink("/nowhere/control", &path).unwrap();
        assert!(said().contains("; remove it, and the daemon"), "{}", said());
        std::fs::remove_file(&path).unwrap();
        nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRWXU).unwrap();
        assert!(said().contains("; remove it, and the daemon"), "{}", said());
        std::fs::remove_file(&path).unwrap();
        std::fs::create_dir(&path).unwrap();
        assert!(said().contains("; remove it, and the daemon"), "{}", said());
        std::fs::remove_dir(&path).unwrap();
        // What a daemon that was killed left behind is taken over.
        drop(UnixListener::bind(&path).unwrap());
        assert!(said().ends_with("is gone; it makes it again within seconds"));
    }

    /// A daemon that is stopped: the system takes its connections, and nobody answers.
    #[test]
    fn what_a_stopped_daemon_may_do_later_is_said_of_what_was_asked() {
        let folder = tempfile::tempdir().unwrap();
        let _stopped = UnixListener::bind(folder.path().join("control")).unwrap();
        let aim = Aim {
            server: RealServerName("www1".to_owned()),
            within: None,
        };
        let said = |ask: &dyn Fn(&mut Client) -> ClientError| {
            let limit = Duration::from_millis(10);
            let mut client = Client::connect_within(folder.path(), limit).unwrap();
            let text = ask(&mut client).to_string();
            let (_, behind) = text.split_once("it is stopped, or stuck").unwrap();
            behind.to_owned()
        };
        assert_eq!(
            said(&|client| client.enable(aim.clone()).unwrap_err()),
            "; what was asked may be done by now, and if it is not, it will not be"
        );
        assert_eq!(
            said(&|client| client.set_role(None, State::Master).unwrap_err()),
            "; what was said to it counts as soon as it goes on, however late"
        );
        assert_eq!(said(&|client| client.table().unwrap_err()), "");
        assert_eq!(said(&|client| client.role().unwrap_err()), "");
        assert_eq!(said(&|client| client.why("web", "http").unwrap_err()), "");
        assert_eq!(said(&|client| client.why_server(&aim).unwrap_err()), "");
    }
}
