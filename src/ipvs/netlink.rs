//! Talking to the kernel's IPVS family over a netlink socket.
//!
//! One request at a time. A socket with which something went wrong is thrown away and opened
//! anew, with the number of the family asked for anew: it changes when the module is loaded
//! again. Loading the module is the director's work, not ours.

use std::collections::BTreeMap;
use std::io;
use std::time::Duration;

use netlink_sys::protocols::NETLINK_GENERIC;
use netlink_sys::{AsyncSocket, AsyncSocketExt, SocketAddr, TokioSocket};

use super::codec::{self, Answer, Malformed, sync};
use super::{IpvsRefusal, Look};
use crate::lvs::{
    Command, ConnectionTimeouts, SyncChange, SyncDaemon, TableEntry, VirtualServiceKey,
};

/// The kernel answers within microseconds; only loading a scheduler takes longer.
const CALL_LIMIT: Duration = Duration::from_secs(5);
/// How often a dump is asked for again that a change disturbed.
const DUMP_TRIES: u32 = 5;
/// First size of the buffer for one datagram. The kernel makes dumps of at most 32 KiB.
const BUFFER_START: usize = 64 * 1024;
/// No datagram of netlink is larger.
const BUFFER_MAX: usize = 4 * 1024 * 1024;

/// `EPERM`
const NOT_PERMITTED: i32 = 1;
/// `ENOENT`
const NO_ENTRY: i32 = 2;
/// `ESRCH`
const NO_SERVICE: i32 = 3;
/// `EEXIST`
const EXISTS: i32 = 17;

/// `ENODEV`
const NO_DEVICE: i32 = 19;
/// `EINVAL`
const INVALID: i32 = 22;

/// A connection to the kernel that is opened when it is needed.
#[derive(Debug)]
pub(super) struct Netlink {
    kernel: Kernel,
    link: Option<Link>,
    /// Bytes of room for one datagram; doubled when one does not fit.
    room: usize,
}

/// Where the kernel is, and how patient we are with it.
#[derive(Clone, Copy, Debug)]
struct Kernel {
    protocol: isize,
    port: u32,
    limit: Duration,
}

/// The kernel has the port 0.
const KERNEL: Kernel = Kernel {
    protocol: NETLINK_GENERIC,
    port: 0,
    limit: CALL_LIMIT,
};

struct Link {
    socket: TokioSocket,
    /// Longest wait for one answer.
    limit: Duration,
    family: u16,
    sequence: u32,
    buffer: Vec<u8>,
}

impl std::fmt::Debug for Link {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Link")
            .field("family", &self.family)
            .finish_non_exhaustive()
    }
}

/// What went wrong with a request.
enum Failure {
    /// The kernel refused it with this errno.
    Kernel(i32),
    /// A datagram did not fit into the buffer.
    Truncated,
    /// The connection is of no more use.
    Broken(IpvsRefusal),
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::Broken(IpvsRefusal::Other(format!("netlink: {error}")))
    }
}

impl From<Malformed> for Failure {
    fn from(malformed: Malformed) -> Self {
        Self::Broken(IpvsRefusal::Other(malformed.to_string()))
    }
}

impl Netlink {
    /// Opens nothing yet.
    pub(super) const fn new() -> Self {
        Self {
            kernel: KERNEL,
            link: None,
            room: BUFFER_START,
        }
    }

    /// The virtual services that `wanted` names, with all that the kernel says of them.
    pub(super) async fn look(
        &mut self,
        wanted: &impl Fn(&VirtualServiceKey) -> bool,
    ) -> Result<Look, IpvsRefusal> {
        let mut was_open = self.link.is_some();
        loop {
            let answer = self.with_link(async |link| link.look(wanted).await).await;
            if !self.is_asked_again(&mut was_open, &answer) {
                return answer.map_err(|failure| reading_refused(&failure));
            }
        }
    }

    /// The synchronisation daemons that run.
    pub(super) async fn sync_daemons(&mut self) -> Result<Vec<SyncDaemon>, IpvsRefusal> {
        let mut was_open = self.link.is_some();
        loop {
            let answer = self.with_link(Link::sync_daemons).await;
            if !self.is_asked_again(&mut was_open, &answer) {
                return answer.map_err(|failure| reading_refused(&failure));
            }
        }
    }

    /// How long silent connections are kept.
    pub(super) async fn timeouts(&mut self) -> Result<ConnectionTimeouts, IpvsRefusal> {
        let mut was_open = self.link.is_some();
        loop {
            let answer = self.with_link(Link::timeouts).await;
            if !self.is_asked_again(&mut was_open, &answer) {
                return answer.map_err(|failure| reading_refused(&failure));
            }
        }
    }

    /// Whether a question is put again: once where the connection was an old one, and with a
    /// larger buffer as long as one is allowed.
    fn is_asked_again<T>(&mut self, was_open: &mut bool, answer: &Result<T, Failure>) -> bool {
        match answer {
            // The module was taken out and put back: the family has another number.
            Err(Failure::Kernel(NO_ENTRY)) => std::mem::take(was_open),
            Err(Failure::Truncated) if self.room < BUFFER_MAX => {
                self.room = self.room.saturating_mul(2);
                true
            }
            Err(Failure::Kernel(_) | Failure::Truncated | Failure::Broken(_)) | Ok(_) => false,
        }
    }

    /// Makes one change.
    pub(super) async fn apply(&mut self, command: &Command) -> Result<(), IpvsRefusal> {
        self.command(command)
            .await
            .map_err(|failure| command_refused(command, &failure))
    }

    /// Starts or stops a synchronisation daemon.
    pub(super) async fn apply_sync(&mut self, change: &SyncChange) -> Result<(), IpvsRefusal> {
        let request = |family, sequence| sync::sync_request(family, sequence, change);
        let done = self
            .with_link(async |link| link.call(request).await.map(|_| ()))
            .await;
        done.map_err(|failure| sync_refused(change, &failure))
    }

    async fn command(&mut self, command: &Command) -> Result<(), Failure> {
        let request = |family, sequence| codec::command_request(family, sequence, command);
        self.with_link(async |link| link.call(request).await.map(|_| ()))
            .await
    }

    /// Runs requests on an open connection, which is closed unless they succeed or the kernel
    /// merely refused.
    async fn with_link<T>(
        &mut self,
        requests: impl AsyncFnOnce(&mut Link) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let mut link = match self.link.take() {
            Some(link) => link,
            None => Link::open(self.kernel, self.room).await?,
        };
        let done = requests(&mut link).await;
        match &done {
            // Also what a number says that no family has any more.
            Err(Failure::Kernel(NO_ENTRY) | Failure::Truncated | Failure::Broken(_)) => {}
            Err(Failure::Kernel(_)) | Ok(_) => self.link = Some(link),
        }
        done
    }
}

impl Link {
    /// The virtual services that `wanted` names, with all that the kernel says of them.
    async fn look(
        &mut self,
        wanted: &impl Fn(&VirtualServiceKey) -> bool,
    ) -> Result<Look, Failure> {
        let mut look = Look::default();
        for part in self.dump(codec::services_request).await? {
            let Some((key, service)) = codec::read_service(&part)? else {
                continue;
            };
            if wanted(&key) {
                let servers = BTreeMap::new();
                look.table.insert(key, TableEntry { service, servers });
            }
        }
        for (key, entry) in &mut look.table {
            let request = |family, sequence| codec::servers_request(family, sequence, *key);
            for part in self.dump(request).await? {
                let Some((server, settings)) = codec::read_server(&part, key.family())? else {
                    continue;
                };
                entry.servers.insert(server, settings);
                let counts = codec::read_counts(&part)?;
                look.connections.insert((*key, server), counts);
            }
        }
        Ok(look)
    }

    async fn sync_daemons(&mut self) -> Result<Vec<SyncDaemon>, Failure> {
        let mut daemons = Vec::new();
        for part in self.dump(sync::daemons_request).await? {
            daemons.extend(sync::read_daemon(&part)?);
        }
        Ok(daemons)
    }

    async fn timeouts(&mut self) -> Result<ConnectionTimeouts, Failure> {
        let parts = self.call(sync::timeouts_request).await?;
        let part = parts.first().map_or(&[][..], Vec::as_slice);
        Ok(sync::read_timeouts(part)?)
    }

    async fn open(kernel: Kernel, room: usize) -> Result<Self, Failure> {
        let mut socket = TokioSocket::new(kernel.protocol)?;
        socket.socket_mut().bind_auto()?;
        let address = SocketAddr::new(kernel.port, 0);
        socket.socket_mut().connect(&address)?;
        let mut link = Self {
            socket,
            limit: kernel.limit,
            family: 0,
            sequence: 0,
            buffer: Vec::with_capacity(room),
        };
        let answer = link
            .call(|_, sequence| codec::family_request(sequence))
            .await;
        let parts = match answer {
            Err(Failure::Kernel(NO_ENTRY)) => return Err(Failure::Broken(IpvsRefusal::NoModule)),
            other => other?,
        };
        let part = parts.first().map_or(&[][..], Vec::as_slice);
        link.family = codec::read_family(part)?;
        Ok(link)
    }

    /// A dump that nothing disturbed.
    async fn dump(
        &mut self,
        request: impl Fn(u16, u32) -> Vec<u8>,
    ) -> Result<Vec<Vec<u8>>, Failure> {
        for _ in 0..DUMP_TRIES {
            let (parts, interrupted) = self.exchange(&request).await?;
            if !interrupted {
                return Ok(parts);
            }
        }
        Err(Failure::Broken(IpvsRefusal::KeepsChanging(DUMP_TRIES)))
    }

    async fn call(
        &mut self,
        request: impl Fn(u16, u32) -> Vec<u8>,
    ) -> Result<Vec<Vec<u8>>, Failure> {
        self.exchange(&request).await.map(|(parts, _)| parts)
    }

    /// Sends a request and collects what belongs to it until its end.
    async fn exchange(
        &mut self,
        request: &impl Fn(u16, u32) -> Vec<u8>,
    ) -> Result<(Vec<Vec<u8>>, bool), Failure> {
        self.sequence = self.sequence.wrapping_add(1);
        let bytes = request(self.family, self.sequence);
        match tokio::time::timeout(self.limit, self.converse(&bytes)).await {
            Ok(answer) => answer,
            Err(_) => Err(Failure::Broken(IpvsRefusal::TimedOut(self.limit))),
        }
    }

    async fn converse(&mut self, request: &[u8]) -> Result<(Vec<Vec<u8>>, bool), Failure> {
        self.socket.send(request).await?;
        let mut parts = Vec::new();
        let mut interrupted = false;
        loop {
            self.receive().await?;
            for message in codec::messages(&self.buffer) {
                let message = message?;
                if message.sequence != self.sequence {
                    continue;
                }
                interrupted |= message.interrupted;
                match message.answer {
                    Answer::Part(part) => parts.push(part.to_vec()),
                    Answer::Ended(Ok(())) => return Ok((parts, interrupted)),
                    Answer::Ended(Err(errno)) => return Err(Failure::Kernel(errno)),
                    Answer::Nothing => {}
                }
            }
        }
    }

    /// One datagram into the buffer. One that fills it may have lost its end.
    async fn receive(&mut self) -> Result<(), Failure> {
        self.buffer.clear();
        self.socket.recv(&mut self.buffer).await?;
        if self.buffer.len() < self.buffer.capacity() {
            Ok(())
        } else {
            Err(Failure::Truncated)
        }
    }
}

fn reading_refused(failure: &Failure) -> IpvsRefusal {
    match failure {
        Failure::Kernel(NOT_PERMITTED) => IpvsRefusal::NotPermitted,
        // The family is gone: the module was taken out.
        Failure::Kernel(NO_ENTRY) => IpvsRefusal::NoModule,
        Failure::Kernel(errno) => errno_text(*errno),
        Failure::Truncated => truncated(),
        Failure::Broken(refusal) => refusal.clone(),
    }
}

fn command_refused(command: &Command, failure: &Failure) -> IpvsRefusal {
    let errno = match failure {
        Failure::Kernel(errno) => *errno,
        Failure::Truncated => return truncated(),
        Failure::Broken(refusal) => return refusal.clone(),
    };
    match (errno, command) {
        (NOT_PERMITTED, _) => IpvsRefusal::NotPermitted,
        (NO_ENTRY, Command::AddService(_, service) | Command::EditService(_, service)) => {
            IpvsRefusal::unknown_name(service)
        }
        (NO_ENTRY, _) => IpvsRefusal::NoSuchServer,
        (NO_SERVICE, _) => IpvsRefusal::NoSuchService,
        (EXISTS, _) => IpvsRefusal::Exists,
        (errno, _) => errno_text(errno),
    }
}

fn sync_refused(change: &SyncChange, failure: &Failure) -> IpvsRefusal {
    match (failure, change) {
        (Failure::Kernel(EXISTS), _) => IpvsRefusal::Exists,
        (Failure::Kernel(NO_SERVICE), SyncChange::Stop(_)) => IpvsRefusal::NotRunning,
        (Failure::Kernel(NO_DEVICE), SyncChange::Start(daemon)) => {
            IpvsRefusal::NoInterface(daemon.interface.to_string())
        }
        (Failure::Kernel(INVALID), SyncChange::Start(_)) => IpvsRefusal::SyncImpossible,
        (Failure::Kernel(_) | Failure::Truncated | Failure::Broken(_), _) => {
            reading_refused(failure)
        }
    }
}

fn truncated() -> IpvsRefusal {
    IpvsRefusal::Other("netlink: an answer does not fit into the buffer".into())
}

fn errno_text(errno: i32) -> IpvsRefusal {
    IpvsRefusal::Other(io::Error::from_raw_os_error(errno).to_string())
}

#[cfg(test)]
mod tests;
