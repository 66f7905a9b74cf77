//! The Unix socket `control` in the state folder, for our own command line (D19).
//!
//! One JSON request a line, one JSON answer a line ([`crate::wire`]). Only root and the
//! daemon's own user are heard. A request is put to the loop and answered from the state it
//! finds there, so an answer never shows half a change. What it tells of as done is in the journal
//! on disk before. Clients are bounded in number, line
//! length and patience; a slow reader loses its connection, nothing else. Where all places are
//! taken, more are heard out for a moment: what a VRRP daemon asks and says is answered
//! also then ([`Request::is_of_role`]), anything else is refused. Nobody is refused unheard: where
//! those places are taken too, the next one waits in the system's queue until one is free.

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::unistd::geteuid;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::unix::OwnedWriteHalf;
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{mpsc, oneshot};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::timeout;

use crate::clock::since_boot;
use crate::daemon::store::Kept;
use crate::wire::refusal::{Refusal, RefusalReason};
use crate::wire::reload::{Answered, RefusedReload};
use crate::wire::{Answer, Asked, Request, Sort};

/// Clients at once: far above what people and scripts need, far below the file limit.
const CLIENTS_MAX: usize = 32;

/// Clients beyond them that are heard out for a moment. A refusal takes a millisecond, so a crowd
/// of other clients goes through these places faster than the system starts its processes.
const HEARD_OUT_MAX: usize = 32;

/// A client beyond the bound has its request ready when it connects, as our own command line does.
/// Those that say nothing go fast enough for `lvsmon health`, which waits two seconds, to come
/// to its turn behind some two hundred of them.
const HEARD_OUT_LIMIT: Duration = Duration::from_millis(250);

/// Requests of such a client: a notify script says what became of this director and asks what it
/// comes to.
const HEARD_OUT_REQUESTS: usize = 4;

/// Least time between two lines of the log about clients that were refused.
const REFUSED_REST: Duration = Duration::from_secs(60);

/// Longest request, in bytes: the longest sensible one is a host name.
const REQUEST_MAX: u64 = 16 * 1024;

/// A client that asks nothing for this long is dropped.
const IDLE_LIMIT: Duration = Duration::from_secs(60);

/// A client that does not take its answer within this time is dropped.
const WRITE_LIMIT: Duration = Duration::from_secs(10);

/// Longest wait of an answer for the disk: the command line waits for twice as long.
const KEPT_LIMIT: Duration = Duration::from_secs(5);

/// What is said of a wish that the disk does not take.
pub(super) const NOT_ON_DISK: &str =
    "the journal cannot be written: a crash would forget this; the log says why";

/// Pause after the system refused to accept (no file descriptors left).
const ACCEPT_PAUSE: Duration = Duration::from_secs(1);

/// A request on its way to the loop.
#[derive(Debug)]
pub(super) struct Ask {
    /// What is asked.
    pub(super) request: Request,
    /// Until when the answer is waited for, in milliseconds of [`since_boot`];
    /// none where that is not known.
    pub(super) until_ms: Option<u64>,
    /// Who asks, as the system knows it.
    pub(super) uid: u32,
    /// Where the answer goes; nobody may be listening any more.
    pub(super) reply: oneshot::Sender<Reply>,
}

impl Ask {
    /// Whether it would change something that is to be on the disk before the answer.
    pub(super) const fn is_change(&self) -> bool {
        !matches!(self.request.sort(), Sort::Question)
    }

    /// Whether it is a wish that nobody waits for any more: who wished it was told that it failed.
    pub(super) fn is_given_up(&self) -> bool {
        matches!(self.request.sort(), Sort::Wish) && self.is_late()
    }

    fn is_late(&self) -> bool {
        let until = self.until_ms.map(Duration::from_millis);
        until.is_some_and(|until| since_boot() >= until)
    }
}

/// What the loop says to a request.
#[derive(Debug)]
pub(super) struct Reply {
    /// For the client.
    pub(super) answer: Answer,
    /// The configuration on disk that is not in force, since it was refused.
    pub(super) refused_reload: Option<RefusedReload>,
    /// What is answered is to be on the disk before; none where it changed nothing.
    pub(super) kept: Option<Kept>,
}

/// Requests that wait for the loop: one for each client is all there can be.
pub(super) const ASKS_MAX: usize = CLIENTS_MAX + HEARD_OUT_MAX;

/// The open socket.
#[derive(Debug)]
pub(super) struct Control {
    path: PathBuf,
    /// Device and inode of the name.
    identity: (u64, u64),
    task: JoinHandle<()>,
}

impl Control {
    /// Opens the socket of a state folder, in the place of one that a dead daemon left. The
    /// caller holds the folder's lock, so no living daemon listens there.
    pub(super) fn start(folder: &Path, asks: mpsc::Sender<Ask>) -> io::Result<Self> {
        let path = folder.join("control");
        match fs::symlink_metadata(&path) {
            Ok(found) if !found.file_type().is_socket() => {
                return Err(io::Error::other(
                    "something that is no socket has its name; remove it",
                ));
            }
            Ok(_) | Err(_) => {}
        }
        // Made under another name, so that nobody can connect before the mode is right.
        let new = folder.join("control.new");
        match fs::remove_file(&new) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            Ok(()) | Err(_) => {}
        }
        let listener = UnixListener::bind(&new)?;
        fs::set_permissions(&new, Permissions::from_mode(0o600))?;
        fs::rename(&new, &path)?;
        let named = fs::symlink_metadata(&path)?;
        Ok(Self {
            path,
            identity: (named.dev(), named.ino()),
            task: tokio::spawn(accept(listener, asks)),
        })
    }

    /// Whether the socket can be found under its name.
    pub(super) fn has_its_name(&self) -> bool {
        match fs::symlink_metadata(&self.path) {
            Ok(named) => (named.dev(), named.ino()) == self.identity,
            Err(error) => error.kind() != io::ErrorKind::NotFound,
        }
    }

    /// Ends it without touching what has its name now.
    pub(super) fn abandon(self) {
        self.task.abort();
    }

    /// Takes the socket away; requests under way are not answered.
    pub(super) async fn close(self) {
        let _ = fs::remove_file(&self.path);
        self.task.abort();
        let _ = self.task.await;
    }
}

async fn accept(listener: UnixListener, asks: mpsc::Sender<Ask>) {
    let mut clients = JoinSet::new();
    let mut heard_out = JoinSet::new();
    let mut refused = Refused::default();
    loop {
        let has_room = clients.len() < CLIENTS_MAX || heard_out.len() < HEARD_OUT_MAX;
        tokio::select! {
            accepted = listener.accept(), if has_room => match accepted {
                Ok((stream, _)) => {
                    while clients.try_join_next().is_some() {}
                    if clients.len() < CLIENTS_MAX {
                        clients.spawn(serve(stream, asks.clone()));
                    } else {
                        heard_out.spawn(hear_out(stream, asks.clone()));
                    }
                }
                Err(error) => {
                    tracing::warn!(%error, "cannot accept on the control socket");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            },
            Some(_) = clients.join_next(), if !has_room => {}
            Some(end) = heard_out.join_next() => if let Ok(Outcome::Refused) = end {
                refused.one_more();
            },
        }
    }
}

/// What is said to those who find no place.
fn no_room() -> String {
    format!(
        "the daemon has no room: too many clients are connected to its control socket, {CLIENTS_MAX} \
         or more; try again in a moment"
    )
}

/// Clients that found no place since the daemon started.
#[derive(Debug, Default)]
struct Refused {
    count: u64,
    /// When the log said so last, as of [`since_boot`].
    said: Option<Duration>,
}

impl Refused {
    /// Counts one; the log has one line a minute at most, so that a crowd does not fill it.
    fn one_more(&mut self) {
        self.count += 1;
        let now = since_boot();
        let is_rested = |said| now.saturating_sub(said) >= REFUSED_REST;
        if self.said.is_none_or(is_rested) {
            self.said = Some(now);
            tracing::warn!(
                limit = CLIENTS_MAX,
                count = self.count,
                "too many clients on the control socket"
            );
        }
    }
}

/// What became of a client beyond the bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    /// It was answered, or had nothing to ask, or may not ask.
    Served,
    /// It would have needed a place.
    Refused,
}

/// Answers the few requests of a client beyond the bound, where they count also then.
async fn hear_out(stream: UnixStream, asks: mpsc::Sender<Ask>) -> Outcome {
    let Some(uid) = asker(&stream) else {
        turn_away(&stream);
        return Outcome::Served;
    };
    let (reader, mut writer) = stream.into_split();
    let mut reader = BufReader::new(reader);
    let mut line = Vec::new();
    for _ in 0..HEARD_OUT_REQUESTS {
        line.clear();
        let mut bounded = (&mut reader).take(REQUEST_MAX);
        let read = timeout(HEARD_OUT_LIMIT, bounded.read_until(b'\n', &mut line)).await;
        if matches!(read, Ok(Ok(0) | Err(_))) {
            return Outcome::Served;
        }
        let asked = serde_json::from_slice::<Asked>(&line);
        if !asked.is_ok_and(|asked| asked.request.is_of_role()) {
            let answer = refused(RefusalReason::NoRoom, no_room());
            let _ = timeout(HEARD_OUT_LIMIT, write(&mut writer, &answer)).await;
            return Outcome::Refused;
        }
        let answer = answer(&line, uid, &asks).await;
        match timeout(HEARD_OUT_LIMIT, write(&mut writer, &answer)).await {
            Ok(Ok(())) => {}
            Ok(Err(_)) | Err(_) => return Outcome::Served,
        }
    }
    Outcome::Served
}

async fn write(writer: &mut OwnedWriteHalf, answer: &Answered) -> io::Result<()> {
    let mut text = serde_json::to_vec(answer).unwrap_or_default();
    text.push(b'\n');
    writer.write_all(&text).await
}

async fn serve(stream: UnixStream, asks: mpsc::Sender<Ask>) {
    let Some(uid) = asker(&stream) else {
        turn_away(&stream);
        return;
    };
    let (reader, mut writer) = stream.into_split();
    let mut reader = BufReader::new(reader);
    let mut line = Vec::new();
    loop {
        line.clear();
        let mut bounded = (&mut reader).take(REQUEST_MAX);
        match timeout(IDLE_LIMIT, bounded.read_until(b'\n', &mut line)).await {
            Ok(Ok(length)) if length > 0 => {}
            Ok(Ok(_) | Err(_)) | Err(_) => return,
        }
        let is_whole = line.ends_with(b"\n");
        let answer = if is_whole {
            answer(&line, uid, &asks).await
        } else {
            refused(
                RefusalReason::Malformed,
                format!("a request is one line of JSON, at most {REQUEST_MAX} bytes"),
            )
        };
        match timeout(WRITE_LIMIT, write(&mut writer, &answer)).await {
            Ok(Ok(())) if is_whole => {}
            Ok(Ok(()) | Err(_)) | Err(_) => return,
        }
    }
}

/// An answer that the loop has no part in.
fn refused(reason: RefusalReason, why: impl Into<String>) -> Answered {
    Answered::from(Answer::Error(Refusal::new(reason, why)))
}

async fn answer(line: &[u8], uid: u32, asks: &mpsc::Sender<Ask>) -> Answered {
    let Asked { request, until_ms } = match serde_json::from_slice(line) {
        Ok(asked) => asked,
        Err(error) => {
            return refused(RefusalReason::Malformed, format!("not a request: {error}"));
        }
    };
    let (reply, answer) = oneshot::channel();
    let stopping = || refused(RefusalReason::Stopping, "the daemon is stopping");
    let ask = Ask {
        request,
        until_ms,
        uid,
        reply,
    };
    if asks.send(ask).await.is_err() {
        return stopping();
    }
    match answer.await {
        Ok(Reply {
            answer,
            refused_reload,
            kept,
        }) => Answered {
            refused_reload,
            ..on_disk(answer, kept).await
        },
        Err(_) => stopping(),
    }
}

/// The answer, once what it tells of outlives a crash; a disk that does not take it is said, in the
/// text for a person and beside it.
async fn on_disk(answer: Answer, kept: Option<Kept>) -> Answered {
    let is_kept = match kept {
        None => true,
        Some(kept) => timeout(KEPT_LIMIT, kept.wait()).await.unwrap_or(false),
    };
    if !is_kept && let Answer::Done(text) = answer {
        return Answered {
            journal_trouble: Some(NOT_ON_DISK.to_owned()),
            ..Answered::from(Answer::Done(format!("{text}\n{NOT_ON_DISK}")))
        };
    }
    Answered::from(answer)
}

/// The user who asks; none who may not.
fn asker(stream: &UnixStream) -> Option<u32> {
    match stream.peer_cred() {
        Ok(peer) => {
            let uid = peer.uid();
            (uid == 0 || uid == geteuid().as_raw()).then_some(uid)
        }
        Err(error) => {
            tracing::warn!(%error, "cannot tell who asks on the control socket");
            None
        }
    }
}

/// Says to a stranger why in one line, without waiting, and lets the connection end.
fn turn_away(stream: &UnixStream) {
    let answer = refused(
        RefusalReason::Forbidden,
        "only root and the daemon's own user may ask",
    );
    if let Ok(mut text) = serde_json::to_vec(&answer) {
        text.push(b'\n');
        // A full buffer is impossible on a fresh socket; a gone client needs no answer.
        let _ = stream.try_write(&text);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(request: &str, until_ms: Option<u64>) -> Ask {
        let request = format!("{{{request}}}");
        Ask {
            request: serde_json::from_str(&request).unwrap(),
            until_ms,
            uid: 0,
            reply: oneshot::channel().0,
        }
    }

    #[test]
    fn a_wish_that_nobody_waits_for_is_given_up_and_a_role_never() {
        let enable = r#""request": "enable", "server": "10.0.0.1""#;
        let role = r#""request": "set_role", "state": "master""#;
        assert!(ask(enable, Some(0)).is_given_up());
        assert!(!ask(enable, Some(u64::MAX)).is_given_up());
        assert!(!ask(enable, None).is_given_up());
        assert!(!ask(role, Some(0)).is_given_up());
        assert!(!ask(r#""request": "role""#, Some(0)).is_given_up());
        assert!(ask(role, None).is_change() && ask(enable, None).is_change());
    }
}
