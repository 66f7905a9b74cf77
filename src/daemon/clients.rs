//! The TCP port on which mon's clients ask (D21).
//!
//! One task accepts, and each client has one of its own, which puts one request at a time to
//! the loop and writes the answer: a client that floods, is slow or says nothing holds up
//! itself. What all of them can hold is bounded: their number, the length of a line, how many
//! lines are longer than the usual ones, one part of an answer for each, and how long each may
//! take (docs/mon.md, "Client protocol"). Requests are carried out in `requests`.
//!
//! | Question | File |
//! |---|---|
//! | how goes the talk with one client | `client` |
//! | what is a line | `lines` |
//! | what is told of the downtime log | `downtime` |
//! | what is told of wrong logins | `refused_logins` |

mod client;
mod downtime;
mod lines;
mod refused_logins;

use std::fmt;
use std::io;
use std::net::{SocketAddr, ToSocketAddrs as _};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::{Semaphore, mpsc, oneshot, watch};
use tokio::task::{JoinHandle, JoinSet};

use crate::clock::Stopwatch;
use crate::daemon::permissions::Permissions;
use crate::engine::tripwire::WIRES_MAX;
use crate::model::{Clients, Globals, Listener};
use crate::protocol::{Credentials, Listing, Session};

/// Clients at once: far above all people, CGI pages and scripts of a site.
const CLIENTS_MAX: u64 = 2_500;

/// Clients at once where the system lets us open the usual number of files or fewer.
const CLIENTS_MIN: u64 = 16;

/// Open files that are left to everything else in any case, but for one client: a daemon with
/// checks, alerts and journal of a small site holds about thirty.
const FILES_LEAST: u64 = 48;

/// Open files left to everything else: pipes of monitors and alerts and the descriptor of each
/// such process, connections of checks, journal, spool; and the connections that tell of crashes.
const FILES_RESERVED: u64 = 1_500 + WIRES_MAX as u64;

/// Connections that wait to be accepted.
const BACKLOG: u32 = 1_024;

/// Requests that wait for the loop; each client has at most one.
pub(super) const ASKS_MAX: usize = 64;

/// Lines under way that are longer than [`lines::SHORT_MAX`]: with [`crate::protocol::LINE_MAX`]
/// they take 4 MiB at most.
const LONG_LINES_MAX: usize = 64;

/// Passwords looked at at once: a hash takes up to a second of a processor, and checks and
/// names need threads too.
const LOGINS_MAX: usize = 2;

/// Parts of the downtime log read at once: a dead disk must not take the threads that checks and
/// names need.
const READINGS_MAX: usize = 2;

/// Pause after the system refused to accept (no file descriptors left).
const ACCEPT_PAUSE: Duration = Duration::from_secs(1);

/// That there are too many clients is logged at most this often.
const SAY_AGAIN: Duration = Duration::from_secs(60);

/// What is put to the loop.
pub(super) enum Ask {
    /// A request.
    Line {
        /// Who asks.
        session: Session,
        /// The request without its line end; may hold a password.
        line: Vec<u8>,
        /// Where the answer goes; nobody may be listening any more.
        reply: oneshot::Sender<(Session, Said)>,
    },
    /// The next part of a list.
    More {
        /// The list.
        listing: Box<Listing>,
        /// Where it goes.
        reply: oneshot::Sender<Said>,
    },
    /// `term` was answered: the daemon ends.
    End,
}

impl fmt::Debug for Ask {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Line { .. } => "Line",
            Self::More { .. } => "More",
            Self::End => "End",
        })
    }
}

/// What the loop answers.
#[derive(Debug)]
pub(super) enum Said {
    /// The whole reply.
    Text(String),
    /// The whole reply; then the connection is closed.
    Leave(String),
    /// A part of a list, and the rest of it; none behind the last part.
    Part(String, Option<Box<Listing>>),
    /// The reply comes when the work is done.
    Later(oneshot::Receiver<String>),
    /// Look whether the password is right.
    Login(Credentials, Arc<Permissions>),
    /// Show this file.
    DowntimeLog(PathBuf),
    /// The reply to `term`; the loop wants [`Ask::End`] when it is said.
    Term(String),
}

/// What all clients share.
#[derive(Debug)]
struct Shared {
    asks: mpsc::Sender<Ask>,
    settings: watch::Receiver<Clients>,
    long_lines: Semaphore,
    logins: Arc<Semaphore>,
    readings: Arc<Semaphore>,
    /// What was said last of the downtime log.
    told: downtime::Told,
    refused_logins: Arc<refused_logins::RefusedLogins>,
}

/// Why there is no port.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen for clients on {host} port {port} (serverbind, serverport): {error}")]
pub struct ClientPortError {
    host: String,
    port: u16,
    error: io::Error,
}

/// The open port.
#[derive(Debug)]
pub(super) struct ClientPort {
    listener: Listener,
    settings: watch::Sender<Clients>,
    refused_logins: Arc<refused_logins::RefusedLogins>,
    task: JoinHandle<()>,
}

impl ClientPort {
    /// Opens the port. Looks up the name of `serverbind`, so it may take a while.
    pub(super) fn start(
        globals: &Globals,
        asks: mpsc::Sender<Ask>,
    ) -> Result<Self, ClientPortError> {
        let listener = globals.server.clone();
        let (socket, address) = listen(&listener).map_err(|error| ClientPortError {
            host: listener.bind.host().to_owned(),
            port: listener.port,
            error,
        })?;
        let files = raise_file_limit();
        let most = clients_max(files);
        tracing::info!(%address, most, "listening for clients");
        if most < CLIENTS_MIN {
            tracing::warn!(
                files,
                most,
                "few files may be open, so few clients are heard at once; raise the limit \
                 (LimitNOFILE= of the unit, or ulimit -n)"
            );
        }
        let (settings, receiver) = watch::channel(globals.clients.clone());
        let refused_logins = Arc::<refused_logins::RefusedLogins>::default();
        let shared = Arc::new(Shared {
            asks,
            settings: receiver,
            long_lines: Semaphore::new(LONG_LINES_MAX),
            logins: Arc::new(Semaphore::new(LOGINS_MAX)),
            readings: Arc::new(Semaphore::new(READINGS_MAX)),
            told: downtime::Told::default(),
            refused_logins: Arc::clone(&refused_logins),
        });
        let most = usize::try_from(most).unwrap_or(usize::MAX);
        Ok(Self {
            listener,
            settings,
            refused_logins,
            task: tokio::spawn(accept(socket, most, shared)),
        })
    }

    /// Takes over what may change while the port is open.
    pub(super) fn reload(&self, globals: &Globals) {
        self.settings.send_replace(globals.clients.clone());
        if self.listener != globals.server {
            tracing::warn!(
                old = %format_args!("{}:{}", self.listener.bind.host(), self.listener.port),
                new = %format_args!("{}:{}", globals.server.bind.host(), globals.server.port),
                "serverbind and serverport change at the next restart only"
            );
        }
    }

    /// Closes the port and every connection. What was only counted is told.
    pub(super) async fn close(self) {
        self.task.abort();
        let _ = self.task.await;
        self.refused_logins.tell_rest();
    }
}

fn listen(listener: &Listener) -> io::Result<(TcpListener, SocketAddr)> {
    listen_at(
        (listener.bind.host(), listener.port).to_socket_addrs()?,
        BACKLOG,
    )
}

/// Listens at the first of these addresses, and says which that is. A port that was used a moment
/// ago is free.
pub(super) fn listen_at(
    mut addresses: impl Iterator<Item = SocketAddr>,
    backlog: u32,
) -> io::Result<(TcpListener, SocketAddr)> {
    let no_address = || io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    let address = addresses.next().ok_or_else(no_address)?;
    let socket = match address {
        SocketAddr::V4(_) => TcpSocket::new_v4()?,
        SocketAddr::V6(_) => TcpSocket::new_v6()?,
    };
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    let socket = socket.listen(backlog)?;
    let address = socket.local_addr()?;
    Ok((socket, address))
}

/// Raises the number of files that may be open as far as the system allows without asking, and
/// says how many that are.
fn raise_file_limit() -> u64 {
    let Ok((soft, hard)) = getrlimit(Resource::RLIMIT_NOFILE) else {
        return 0;
    };
    let wanted = hard.min(CLIENTS_MAX + FILES_RESERVED);
    if soft >= wanted {
        return soft;
    }
    match setrlimit(Resource::RLIMIT_NOFILE, wanted, hard) {
        Ok(()) => wanted,
        Err(error) => {
            tracing::warn!(%error, soft, "cannot raise the limit of open files");
            soft
        }
    }
}

/// Clients at once where so many files may be open.
const fn clients_max(files: u64) -> u64 {
    let most = files.saturating_sub(FILES_RESERVED);
    let left = files.saturating_sub(FILES_LEAST);
    if most < CLIENTS_MIN {
        if left < 1 {
            1
        } else if left < CLIENTS_MIN {
            left
        } else {
            CLIENTS_MIN
        }
    } else if most > CLIENTS_MAX {
        CLIENTS_MAX
    } else {
        most
    }
}

async fn accept(listener: TcpListener, most: usize, shared: Arc<Shared>) {
    let mut clients = JoinSet::new();
    let mut said: Option<Stopwatch> = None;
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => {
                while clients.try_join_next().is_some() {}
                if !shared.settings.borrow().allow(peer.ip()) {
                    tracing::debug!(%peer, "client turned away by clientallow");
                } else if clients.len() < most {
                    clients.spawn(client::serve(stream, peer, Arc::clone(&shared)));
                } else {
                    refuse(&stream);
                    if said.is_none_or(|last| last.elapsed() >= SAY_AGAIN) {
                        said = Some(Stopwatch::start());
                        tracing::warn!(%peer, most, "too many clients at once, some are refused");
                    }
                }
            }
            Err(error) => {
                tracing::warn!(%error, "cannot accept a client");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// Says why without waiting, and lets the connection end.
fn refuse(stream: &TcpStream) {
    // A full buffer is impossible on a fresh socket; a gone client needs no answer.
    let _ = stream.try_write(b"520 too many clients at once, try again later\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_leave_files_to_the_others_but_a_few_are_always_heard() {
        assert_eq!(clients_max(1_048_576), CLIENTS_MAX);
        assert_eq!(clients_max(4_500), 2_500);
        assert_eq!(clients_max(2_500), 500);
        assert_eq!(clients_max(1_024), CLIENTS_MIN);
        assert_eq!(clients_max(64), CLIENTS_MIN);
        assert_eq!(clients_max(56), 8);
        assert_eq!(clients_max(24), 1);
        assert_eq!(clients_max(0), 1);
    }
}
