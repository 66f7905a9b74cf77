//! Echo requests: one socket for each family, one request under way for each address.
//!
//! A second check that wants the same address joins the request under way and shares its answer;
//! so a sequence number, counted for each address, never stands for two requests. The clock of a
//! round trip is ours and starts before the packet is handed over. Requests leave at
//! [`RATE`] a second at most, after a burst of [`BURST`].
//! On a datagram socket (the first choice) the kernel tells nothing of unreachable hosts, so
//! their silence counts as a time-out (D34); a raw socket hears of them.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use surge_ping::{Client, Config, ICMP, IcmpPacket, PingIdentifier, PingSequence, SurgeError};
use tokio::sync::watch;
use tokio::time::timeout;

use crate::clock::{Clock, Stopwatch};
use crate::time::Mono;

/// Requests in a second: 64 kB, harmless anywhere, and 10,000 hosts take 10 s.
const RATE: u32 = 1_000;

/// Requests that may leave at once.
const BURST: u32 = 50;

/// Bytes behind the header, as ping sends them.
const PAYLOAD: [u8; 56] = [b'l'; 56];

/// Addresses whose sequence is remembered; an idle one that is forgotten starts at random again.
const LANES_MAX: usize = 20_000;

/// After so many requests without one answer from anybody the socket is opened anew: should its
/// reader ever have died, nobody has to restart the daemon.
const SILENCE_MAX: u32 = 200;

/// The library's own time limit comes this much after ours, so that ours decides.
const LIBRARY_SLACK: Duration = Duration::from_secs(1);

/// The pinger of this process.
#[derive(Debug)]
pub(super) struct Pinger {
    identifier: PingIdentifier,
    v4: Mutex<Family>,
    v6: Mutex<Family>,
    lanes: Mutex<BTreeMap<IpAddr, Lane>>,
    pace: Pace,
    silence: AtomicU32,
}

/// Why there was no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum NoAnswer {
    /// None in time.
    Silence,
    /// Somebody said that there is no way.
    Unreachable(String),
    /// This machine may not ask, or lacks something.
    CannotAsk(String),
}

type Heard = Result<Duration, NoAnswer>;

/// What is kept for one address.
#[derive(Debug)]
struct Lane {
    sequence: u16,
    /// The request under way; its channel is closed when that was given up.
    under_way: Option<watch::Receiver<Option<Heard>>>,
}

/// The socket of one family.
#[derive(Default)]
struct Family {
    client: Option<Client>,
    complained: bool,
}

impl fmt::Debug for Family {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Family")
            .field("open", &self.client.is_some())
            .finish()
    }
}

/// Whether a caller asks or joins one who does.
enum Part {
    Ask(u16, watch::Sender<Option<Heard>>),
    Join(watch::Receiver<Option<Heard>>),
}

impl Pinger {
    pub(super) fn new() -> Self {
        Self {
            identifier: PingIdentifier(fastrand::u16(..)),
            v4: Mutex::default(),
            v6: Mutex::default(),
            lanes: Mutex::default(),
            pace: Pace::new(),
            silence: AtomicU32::new(0),
        }
    }

    /// Asks once and waits; the time in the queue of outgoing requests is not counted.
    pub(super) async fn ping(&self, address: IpAddr, wait: Duration) -> Heard {
        let watch = Stopwatch::start();
        loop {
            match self.part(address) {
                Part::Ask(sequence, answer) => {
                    let left = wait.saturating_sub(watch.elapsed());
                    let heard = self.ask(address, sequence, left).await;
                    // Nobody may be listening.
                    let _ = answer.send(Some(heard.clone()));
                    return heard;
                }
                Part::Join(mut answer) => {
                    let left = wait.saturating_sub(watch.elapsed());
                    match timeout(left, answer.wait_for(Option::is_some)).await {
                        Err(_) => return Err(NoAnswer::Silence),
                        Ok(Ok(heard)) => {
                            if let Some(Ok(trip)) = heard.as_ref() {
                                return Ok(*trip);
                            }
                            // Its asker was less patient than we are, or got an error.
                        }
                        // Its asker was dropped.
                        Ok(Err(_)) => {}
                    }
                    if wait <= watch.elapsed() {
                        return Err(NoAnswer::Silence);
                    }
                }
            }
        }
    }

    fn part(&self, address: IpAddr) -> Part {
        let mut lanes = lock(&self.lanes);
        if lanes.len() >= LANES_MAX && !lanes.contains_key(&address) {
            lanes.retain(|_, lane| lane.is_busy());
        }
        let lane = lanes.entry(address).or_insert_with(|| Lane {
            sequence: fastrand::u16(..),
            under_way: None,
        });
        if let Some(under_way) = lane.under_way.as_ref().filter(|_| lane.is_busy()) {
            return Part::Join(under_way.clone());
        }
        lane.sequence = lane.sequence.wrapping_add(1);
        let (answer, under_way) = watch::channel(None);
        lane.under_way = Some(under_way);
        Part::Ask(lane.sequence, answer)
    }

    async fn ask(&self, address: IpAddr, sequence: u16, wait: Duration) -> Heard {
        self.pace.turn().await;
        let client = self.client(address)?;
        let mut pinger = client.pinger(address, self.identifier).await;
        let watch = Stopwatch::start();
        pinger.timeout(wait.saturating_add(LIBRARY_SLACK));
        let answer = timeout(wait, pinger.ping(PingSequence(sequence), &PAYLOAD)).await;
        let trip = watch.elapsed();
        match answer {
            Ok(Ok((packet, _))) => {
                self.silence.store(0, Ordering::Relaxed);
                meaning(&packet).map(|()| trip)
            }
            Err(_) | Ok(Err(SurgeError::Timeout { .. })) => {
                self.note_silence();
                Err(NoAnswer::Silence)
            }
            Ok(Err(SurgeError::IOError(error))) => Err(send_error(&error)),
            Ok(Err(error)) => {
                self.note_silence();
                Err(NoAnswer::CannotAsk(format!("ping failed: {error}")))
            }
        }
    }

    fn client(&self, address: IpAddr) -> Result<Client, NoAnswer> {
        let (family, kind) = match address {
            IpAddr::V4(_) => (&self.v4, ICMP::V4),
            IpAddr::V6(_) => (&self.v6, ICMP::V6),
        };
        let mut family = lock(family);
        if let Some(client) = &family.client {
            return Ok(client.clone());
        }
        match Client::new(&Config::builder().kind(kind).build()) {
            Ok(client) => {
                let kind = format!("{:?}", client.get_socket().get_type());
                tracing::debug!(%address, kind, "opened a socket for echo requests");
                family.complained = false;
                Ok(family.client.insert(client).clone())
            }
            Err(error) => {
                let why = no_socket(&error);
                if !family.complained {
                    family.complained = true;
                    tracing::error!(why, "cannot ping");
                }
                Err(NoAnswer::CannotAsk(why))
            }
        }
    }

    fn note_silence(&self) {
        let silence = self.silence.fetch_add(1, Ordering::Relaxed);
        if silence >= SILENCE_MAX {
            self.silence.store(0, Ordering::Relaxed);
            // Requests under way hold the old socket until they end.
            lock(&self.v4).client = None;
            lock(&self.v6).client = None;
        }
    }
}

impl Lane {
    fn is_busy(&self) -> bool {
        self.under_way
            .as_ref()
            .is_some_and(|answer| answer.has_changed().is_ok() && answer.borrow().is_none())
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// An echo reply, or what a router said instead.
fn meaning(packet: &IcmpPacket) -> Result<(), NoAnswer> {
    /// Types of RFC 792 and RFC 4443.
    const REPLY: u8 = 0;
    const REPLY_V6: u8 = 129;
    let (is_reply, from) = match packet {
        IcmpPacket::V4(packet) => (
            packet.get_icmp_type().0 == REPLY,
            IpAddr::V4(packet.get_source()),
        ),
        IcmpPacket::V6(packet) => (
            packet.get_icmpv6_type().0 == REPLY_V6,
            IpAddr::V6(packet.get_source()),
        ),
    };
    if is_reply {
        Ok(())
    } else {
        Err(NoAnswer::Unreachable(format!("unreachable, says {from}")))
    }
}

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "an enum of the standard library that grows; the rest is treated alike"
)]
fn send_error(error: &io::Error) -> NoAnswer {
    match error.kind() {
        io::ErrorKind::HostUnreachable
        | io::ErrorKind::NetworkUnreachable
        | io::ErrorKind::NetworkDown
        | io::ErrorKind::PermissionDenied
        | io::ErrorKind::AddrNotAvailable
        | io::ErrorKind::InvalidInput => NoAnswer::Unreachable(format!("unreachable: {error}")),
        _ => NoAnswer::CannotAsk(format!("cannot send an echo request: {error}")),
    }
}

fn no_socket(error: &io::Error) -> String {
    if error.kind() == io::ErrorKind::PermissionDenied {
        "no ICMP socket may be opened: give lvsmon CAP_NET_RAW, or its group a place in \
         net.ipv4.ping_group_range (see README, \"Rights\")"
            .to_owned()
    } else {
        format!("no ICMP socket can be opened: {error}")
    }
}

/// Lets requests leave evenly: a token bucket, kept as the moment at which it will be full.
#[derive(Debug)]
struct Pace {
    clock: Clock,
    full_at: Mutex<Mono>,
}

impl Pace {
    const STEP: Duration = Duration::from_micros(1_000_000 / RATE as u64);

    fn new() -> Self {
        Self {
            clock: Clock::start(),
            full_at: Mutex::new(Mono::ZERO),
        }
    }

    async fn turn(&self) {
        let now = self.clock.now().mono;
        let leave = self.book(now);
        if leave > now {
            self.clock.sleep_until(leave).await;
        }
    }

    /// Takes one place and says when it is due.
    fn book(&self, now: Mono) -> Mono {
        let mut full_at = lock(&self.full_at);
        *full_at = (*full_at).max(now).after(Self::STEP);
        let burst = Self::STEP * BURST;
        let late = full_at.since(now);
        now.after(late.saturating_sub(burst))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_leave_at_once_up_to_the_burst_and_evenly_beyond() {
        let pace = Pace::new();
        let now = Mono::from_micros(5_000_000);
        let due: Vec<u128> = (0..53)
            .map(|_| pace.book(now).since(now).as_micros())
            .collect();
        assert_eq!(due.get(..50), Some(&[0; 50][..]));
        assert_eq!(due.get(50..), Some(&[1_000, 2_000, 3_000][..]));
        let later = now.after(Duration::from_secs(1));
        assert_eq!(pace.book(later), later, "a rest fills the bucket again");
    }

    #[test]
    fn a_refused_socket_is_explained() {
        let text = no_socket(&io::Error::from(io::ErrorKind::PermissionDenied));
        assert!(text.contains("CAP_NET_RAW") && text.contains("ping_group_range"));
    }

    #[test]
    fn two_who_want_one_address_share_one_request() {
        let pinger = Pinger::new();
        let address = IpAddr::from([127, 0, 0, 1]);
        let Part::Ask(first, answer) = pinger.part(address) else {
            panic!("nobody was asking yet");
        };
        assert!(matches!(pinger.part(address), Part::Join(_)));
        drop(answer);
        let Part::Ask(second, answer) = pinger.part(address) else {
            panic!("the asker is gone");
        };
        assert_eq!(second, first.wrapping_add(1));
        answer.send(Some(Err(NoAnswer::Silence))).unwrap();
        assert!(matches!(pinger.part(address), Part::Ask(..)));
    }
}
