//! How goes the talk with one client?
//!
//! It speaks first; each request is answered before the next one is read. A client that is
//! silent for `cltimeout`, or does not take an answer, is left without a word.

use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::oneshot;
use tokio::time::timeout;

use crate::daemon::clients::downtime::DowntimeLog;
use crate::daemon::clients::lines::{LONG_LIMIT, Line, Lines};
use crate::daemon::clients::refused_logins::RefusedLogin;
use crate::daemon::clients::{Ask, Said, Shared};
use crate::daemon::histories;
use crate::daemon::permissions::Permissions;
use crate::protocol::{Credentials, DOWNTIME_LOST, DOWNTIME_SHOWN, INVALID, Session, list};

/// A client that does not take a part of an answer within this time is left.
const WRITE_LIMIT: Duration = Duration::from_secs(20);

/// So much is read and thrown away of a client that we leave while it speaks: without that, the
/// system would take our last words back.
const DRAIN_MAX: u64 = 4 * 1024 * 1024;

/// And for so long.
const DRAIN_LIMIT: Duration = Duration::from_secs(2);

/// Why the talk ends; nobody is told.
#[derive(Debug)]
struct Over;

impl From<io::Error> for Over {
    fn from(_: io::Error) -> Self {
        Self
    }
}

/// Talks with a client until either side has enough.
pub(super) async fn serve(stream: TcpStream, peer: SocketAddr, shared: Arc<Shared>) {
    // Each answer is written in one piece; it need not wait for more.
    let _ = stream.set_nodelay(true);
    let (mut reader, writer) = stream.into_split();
    let mut talk = Talk {
        writer,
        shared: &shared,
    };
    let mut session = Some(Session::new(peer.ip()));
    let mut lines = Lines::new(&shared.long_lines, LONG_LIMIT);
    while let Some(known) = session.take() {
        let patience = shared.settings.borrow().cltimeout;
        match lines.next(&mut reader, patience).await {
            Line::Whole(line) => session = talk.answer(known, line).await.unwrap_or_default(),
            Line::TooLong => {
                let _ = talk.write(INVALID).await;
            }
            Line::End => return,
        }
    }
    talk.close(reader).await;
}

struct Talk<'a> {
    writer: OwnedWriteHalf,
    shared: &'a Shared,
}

impl Talk<'_> {
    /// Answers one request. No session comes back when the connection is to be closed.
    async fn answer(&mut self, session: Session, line: Vec<u8>) -> Result<Option<Session>, Over> {
        let (reply, answer) = oneshot::channel();
        let (mut session, said) = self
            .ask(
                Ask::Line {
                    session,
                    line,
                    reply,
                },
                answer,
            )
            .await?;
        match said {
            Said::Text(text) => self.write(&text).await?,
            Said::Part(text, rest) => self.list(text, rest).await?,
            Said::Later(answer) => {
                let text = answer.await.map_err(|_| Over)?;
                self.write(&text).await?;
            }
            Said::Login(credentials, permissions) => {
                let text = self.log_in(&mut session, credentials, permissions).await?;
                self.write(text).await?;
            }
            Said::DowntimeLog(path) => self.downtime_log(&path).await?,
            Said::Leave(text) => {
                self.write(&text).await?;
                return Ok(None);
            }
            Said::Term(text) => {
                let _ = self.write(&text).await;
                let _ = self.writer.shutdown().await;
                let _ = self.shared.asks.send(Ask::End).await;
                return Ok(None);
            }
        }
        Ok(Some(session))
    }

    /// Puts something to the loop.
    async fn ask<T>(&self, ask: Ask, answer: oneshot::Receiver<T>) -> Result<T, Over> {
        self.shared.asks.send(ask).await.map_err(|_| Over)?;
        answer.await.map_err(|_| Over)
    }

    /// All parts of a list, each when the one before was taken.
    async fn list(
        &mut self,
        mut text: String,
        mut rest: Option<Box<list::Listing>>,
    ) -> Result<(), Over> {
        loop {
            self.write(&text).await?;
            let Some(listing) = rest.take() else {
                return Ok(());
            };
            let (reply, answer) = oneshot::channel();
            match self.ask(Ask::More { listing, reply }, answer).await? {
                Said::Part(next, left) => (text, rest) = (next, left),
                // A list goes on with nothing else.
                Said::Text(_)
                | Said::Leave(_)
                | Said::Later(_)
                | Said::Login(..)
                | Said::DowntimeLog(_)
                | Said::Term(_) => return Err(Over),
            }
        }
    }

    async fn log_in(
        &self,
        session: &mut Session,
        credentials: Credentials,
        permissions: Arc<Permissions>,
    ) -> Result<&'static str, Over> {
        let places = Arc::clone(&self.shared.logins);
        let place = places.acquire_owned().await.map_err(|_| Over)?;
        let peer = session.peer();
        let user = credentials.user.clone();
        // Not aborted with the client, so the place is given back by the thread itself.
        let looked = tokio::task::spawn_blocking(move || {
            let outcome = permissions.authenticate(&credentials, peer);
            drop(place);
            outcome
        });
        // A thread that broke has logged its panic.
        let outcome = looked.await.unwrap_or_else(|_| Err("a defect".to_owned()));
        match &outcome {
            Ok(()) => tracing::info!(user, %peer, "client logged in"),
            Err(why) => self
                .shared
                .refused_logins
                .tell(RefusedLogin::new(&user, peer, why)),
        }
        Ok(session.logged_in(user, outcome.is_ok()))
    }

    /// The lines of the log as they are, without its comments and what is none of its lines,
    /// which the log of the daemon says. One that was not begun yet is empty.
    async fn downtime_log(&mut self, path: &Path) -> Result<(), Over> {
        let opened = {
            let path = path.to_owned();
            self.read(move || DowntimeLog::open(&path)).await?
        };
        let mut log = match opened {
            Ok(log) => log,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return self.write(DOWNTIME_SHOWN).await;
            }
            Err(error) => {
                tracing::warn!(%error, path = %path.display(), "cannot open the downtime log");
                return self.write(DOWNTIME_LOST).await;
            }
        };
        loop {
            let (part, rest) = self
                .read(move || {
                    let mut log = log;
                    (log.part(), log)
                })
                .await?;
            log = rest;
            let Some(text) = part? else { break };
            self.write(&text).await?;
        }
        if self.shared.told.is_news(path, log.strangers()) {
            histories::say_strangers(path, log.strangers(), true);
        }
        self.write(DOWNTIME_SHOWN).await
    }

    /// Does a piece of reading on a thread, of which few read at once.
    async fn read<T: Send + 'static>(
        &self,
        what: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Over> {
        let places = Arc::clone(&self.shared.readings);
        let place = places.acquire_owned().await.map_err(|_| Over)?;
        // Not aborted with the client, so the place is given back by the thread itself.
        let read = tokio::task::spawn_blocking(move || {
            let read = what();
            drop(place);
            read
        });
        read.await.map_err(|_| Over)
    }

    async fn write(&mut self, text: &str) -> Result<(), Over> {
        let written = timeout(WRITE_LIMIT, self.writer.write_all(text.as_bytes()));
        Ok(written.await.map_err(|_| Over)??)
    }

    /// Lets the client hear what was said last, also where it is still speaking.
    async fn close(mut self, mut reader: OwnedReadHalf) {
        let _ = self.writer.shutdown().await;
        let mut rest = (&mut reader).take(DRAIN_MAX);
        let mut nowhere = tokio::io::sink();
        let drained = tokio::io::copy(&mut rest, &mut nowhere);
        let _ = timeout(DRAIN_LIMIT, drained).await;
    }
}
