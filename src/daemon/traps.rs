//! The UDP port for traps (D21), and the thread that reads it.
//!
//! A thread of its own, because packets may come by the ten thousand a second and a look at a
//! password may take a second: neither may hold up a check. It reads in turns, so that a flood
//! costs it a bounded share of one processor; what is welcome goes to the loop through a short
//! queue, which the loop looks at last. Passwords are looked at beside it, one after the other.
//! What does not fit is dropped, counted, and told at most once a minute. What a packet says,
//! whether it is welcome, and what waits for that: [`crate::protocol`]. What is told of those that
//! are dropped is in `dropped`.

mod dropped;

use std::io::{self, ErrorKind};
use std::net::{IpAddr, SocketAddr, ToSocketAddrs as _, UdpSocket};
use std::os::fd::AsFd as _;
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

use crate::clock::{Clock, Stopwatch};
use crate::daemon::syslog;
use crate::daemon::traps::dropped::{Detail, Tally, Told};
use crate::engine::event::Trap;
use crate::model::{Bind, Listener};
use crate::names::Names;
use crate::protocol::auth::TrapRules;
use crate::protocol::guard::{Decided, Fate, Guard};
use crate::protocol::trap::{PACKET_MAX, Packet, parse};
use crate::time::Mono;

/// Traps that wait for the loop: with the largest packets they take 16 MB.
pub(super) const WAITING_MAX: usize = 256;

/// Packets that are read in one turn: somewhat more than the socket holds of small ones.
const TURN_MAX: usize = 512;

/// Rest between two turns when packets come in crowds, so that each turn serves many: below the
/// time in which the socket overflows at 50,000 packets a second.
const REST: Duration = Duration::from_millis(2);

/// A name without an address is looked up again after this long.
const RETRY: Duration = Duration::from_secs(60);

/// How long a stop waits for the thread, which waits for the look at hand: a look at a password
/// takes up to a second.
const STOP_LIMIT: Duration = Duration::from_secs(3);

/// What is said of traps that the loop has no room for.
const LOOP_FULL: &str = "more traps than can be dealt with";

/// What is said of traps that found no room to wait in.
const SHARE_FULL: &str =
    "too many traps of this sender wait, most of them for a look at their passwords";

/// Why there is no port for traps.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen for traps on {host} port {port} (trapbind, trapport): {error}")]
pub struct TrapsError {
    host: String,
    port: u16,
    error: io::Error,
}

/// The port, or the readiness to open it.
#[derive(Debug)]
pub(super) struct Traps {
    listener: Listener,
    clock: Clock,
    traps: mpsc::Sender<Trap>,
    open: Option<Open>,
}

/// The thread.
#[derive(Debug)]
struct Open {
    rules: watch::Sender<TrapRules>,
    thread: JoinHandle<()>,
}

impl Traps {
    /// Opens the port, where the file names an address for it or anybody may send a trap. Within
    /// a runtime, whose threads look at passwords.
    /// Looks up the name of `trapbind`, so it may take a while.
    ///
    /// # Errors
    ///
    /// The port is taken, or the address is not ours.
    pub(super) fn start(
        listener: &Listener,
        rules: &TrapRules,
        clock: Clock,
        traps: mpsc::Sender<Trap>,
    ) -> Result<Self, TrapsError> {
        let mut new = Self {
            listener: listener.clone(),
            clock,
            traps,
            open: None,
        };
        if listener.bind != Bind::Loopback || !rules.is_empty() {
            new.open(rules)?;
        }
        Ok(new)
    }

    /// From now on these rules hold.
    pub(super) fn reload(&mut self, rules: &TrapRules) {
        match &self.open {
            Some(open) => drop(open.rules.send_replace(rules.clone())),
            None if rules.is_empty() => {}
            None => {
                if let Err(error) = self.open(rules) {
                    tracing::error!(%error, "traps are not received");
                }
            }
        }
    }

    /// Closes the port and waits for the thread.
    pub(super) async fn close(self) {
        let Some(Open { rules, thread }) = self.open else {
            return;
        };
        drop(rules);
        let join = tokio::task::spawn_blocking(move || thread.join());
        if tokio::time::timeout(STOP_LIMIT, join).await.is_err() {
            tracing::warn!("the thread for traps did not end in time");
        }
    }

    fn open(&mut self, rules: &TrapRules) -> Result<(), TrapsError> {
        let Listener { bind, port } = &self.listener;
        let (host, port) = (bind.host(), *port);
        let wrong = |error| TrapsError {
            host: host.to_owned(),
            port,
            error,
        };
        let (socket, address) = listen(host, port).map_err(wrong)?;
        let (tells, rules) = watch::channel(rules.clone());
        let (clock, traps) = (self.clock, self.traps.clone());
        let threads = Handle::current();
        let thread = std::thread::Builder::new()
            .name("traps".to_owned())
            .spawn(move || {
                if let Err(error) = read(socket, rules, clock, traps, threads) {
                    tracing::error!(%error, "traps are no longer received");
                }
            })
            .map_err(wrong)?;
        tracing::info!(%address, "listening for traps");
        self.open = Some(Open {
            rules: tells,
            thread,
        });
        Ok(())
    }
}

/// The first address of the host that can be used.
fn listen(host: &str, port: u16) -> io::Result<(UdpSocket, SocketAddr)> {
    let mut error = io::Error::new(ErrorKind::NotFound, "the name has no address");
    for address in (host, port).to_socket_addrs()? {
        match UdpSocket::bind(address) {
            Ok(socket) => {
                socket.set_nonblocking(true)?;
                let address = socket.local_addr()?;
                return Ok((socket, address));
            }
            Err(new) => error = new,
        }
    }
    Err(error)
}

/// The thread: ends when nobody holds the rules any more.
fn read(
    socket: UdpSocket,
    rules: watch::Receiver<TrapRules>,
    clock: Clock,
    traps: mpsc::Sender<Trap>,
    threads: Handle,
) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let inode = nix::sys::stat::fstat(socket.as_fd()).map_or(0, |found| found.st_ino);
        let mut key = [0; 32];
        key.fill_with(|| fastrand::u8(..));
        let mut reader = Reader {
            socket: tokio::net::UdpSocket::from_std(socket)?,
            guard: Guard::new(TrapRules::default(), key),
            rules,
            clock,
            traps,
            looks: JoinSet::new(),
            threads,
            tally: Tally::new(inode),
            buffer: vec![0; PACKET_MAX + 1],
        };
        reader.run().await;
        Ok(())
    })
}

struct Reader {
    socket: tokio::net::UdpSocket,
    guard: Guard,
    rules: watch::Receiver<TrapRules>,
    clock: Clock,
    traps: mpsc::Sender<Trap>,
    /// Whether a password fits, and how long it took to say so; one at most.
    looks: JoinSet<(bool, Duration)>,
    /// Of the loop, which always has a thread for them.
    threads: Handle,
    tally: Tally,
    buffer: Vec<u8>,
}

impl Reader {
    async fn run(&mut self) {
        let mut lookups = JoinSet::new();
        self.take_rules(&mut lookups);
        loop {
            self.let_go();
            // One time for both: a rest that ended in between would wake nobody.
            let now = self.clock.now().mono;
            self.look(now);
            let wakes = self.guard.wakes(now);
            // Each branch hands over its value in the poll that ends it.
            tokio::select! { biased;
                changed = self.rules.changed() => match changed {
                    Ok(()) => self.take_rules(&mut lookups),
                    Err(_) => return,
                },
                Some(found) = lookups.join_next() => {
                    if let Ok((name, addresses)) = found {
                        self.guard.resolve(&name, &addresses);
                    }
                }
                Some(looked) = self.looks.join_next() => {
                    // One that broke has logged its panic.
                    let (fits, took) = looked.unwrap_or_default();
                    self.guard.looked(fits, took, self.clock.now().mono);
                }
                () = self.clock.sleep_until_some(self.tally.next()) => {
                    self.tell();
                }
                has_room = has_room(&self.traps), if self.guard.has_ready() => if !has_room {
                    return;
                },
                () = self.clock.sleep_until_some(wakes) => {}
                ready = self.socket.readable() => {
                    let count = self.drain(ready);
                    self.tally.look_later(self.clock.now().mono);
                    if count > 1 {
                        tokio::time::sleep(REST).await;
                    }
                }
            }
        }
    }

    /// The rules as they are now; their names are looked up anew.
    fn take_rules(&mut self, lookups: &mut JoinSet<(String, Vec<IpAddr>)>) {
        let rules = self.rules.borrow_and_update().clone();
        lookups.abort_all();
        // A lookup that ended in spite of it says what is true all the same.
        let names: Vec<String> = rules.names().map(str::to_owned).collect();
        if !names.is_empty() {
            let source = Names::system();
            for name in names {
                lookups.spawn(look_up(source.clone(), name));
            }
        }
        self.guard.reload(rules);
    }

    /// Reads what is there, and says how many packets it was.
    fn drain(&mut self, ready: io::Result<()>) -> usize {
        if let Err(error) = ready {
            self.tally.add(&error.to_string(), self.clock, None);
            return TURN_MAX;
        }
        for count in 0..TURN_MAX {
            match self.socket.try_recv_from(&mut self.buffer) {
                Ok((length, from)) => self.take(length, from.ip()),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return count,
                // Such as the answer to a packet that somebody sent in our name.
                Err(error) => self.tally.add(&error.to_string(), self.clock, None),
            }
        }
        TURN_MAX
    }

    fn take(&mut self, length: usize, from: IpAddr) {
        let bytes = self.buffer.get(..length).unwrap_or_default();
        let packet = match parse(bytes, from) {
            Ok(packet) => packet,
            Err(why) => {
                let what = || Detail::from(from);
                return self.tally.add(why.reason(), self.clock, Some(&what));
            }
        };
        let has_room = self.traps.capacity() > 0;
        let decided = self.guard.offer(packet, has_room);
        self.carry_out(decided);
    }

    /// Says what was dropped.
    fn tell(&mut self) {
        for (why, Told { count, example }) in self.tally.tell(self.clock.now().mono) {
            let Some(Detail {
                from,
                user,
                group,
                service,
            }) = example
            else {
                tracing::warn!(name: syslog::ERR, count, why, "more traps refused or lost");
                continue;
            };
            tracing::warn!(
                name: syslog::ERR, count, why, %from, user, group, service,
                "more traps refused or lost, this one and others"
            );
        }
    }

    /// Hands over what waited and need not wait any more.
    fn let_go(&mut self) {
        let decided = self.guard.release(self.traps.capacity());
        self.carry_out(decided);
    }

    /// Begins the next look at a password.
    fn look(&mut self, now: Mono) {
        if let Some(look) = self.guard.next_look(now) {
            let look = move || {
                let watch = Stopwatch::start();
                (look.fits(), watch.elapsed())
            };
            self.looks.spawn_blocking_on(look, &self.threads);
        }
    }

    fn carry_out(&mut self, decided: Vec<Decided>) {
        for Decided { packet, fate } in decided {
            let Packet { user, trap, .. } = packet;
            let (trap, why) = match fate {
                Fate::Take => match self.traps.try_send(trap) {
                    Ok(()) => continue,
                    Err(error) => (error.into_inner(), LOOP_FULL.to_owned()),
                },
                Fate::Refuse(refusal) => (trap, refusal.to_string()),
                Fate::Full => (trap, SHARE_FULL.to_owned()),
            };
            let what = || Detail::of(&user, &trap);
            self.tally.add(&why, self.clock, Some(&what));
        }
    }
}

/// Waits until the loop takes one more; false where it takes none ever again.
async fn has_room(traps: &mpsc::Sender<Trap>) -> bool {
    traps.reserve().await.is_ok()
}

/// A name and its addresses, once it has any.
async fn look_up(names: Names, name: String) -> (String, Vec<IpAddr>) {
    loop {
        match names.lookup(&name).await {
            Ok(answer) if !answer.addresses.is_empty() => return (name, answer.addresses),
            Ok(_) => tracing::warn!(name, "this host of the trap section has no address"),
            Err(error) => tracing::warn!(%error, "a host of the trap section has no address"),
        }
        tokio::time::sleep(RETRY).await;
    }
}
