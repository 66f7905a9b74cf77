//! Which of the virtual addresses are here?
//!
//! All addresses of the machine are listed over rtnetlink: every second, and as soon as the kernel
//! says that one came or went. Those of the loopback device and of host scope do not count: they
//! are what a real server of direct routing has (D27). Source: rtnetlink(7) `RTM_GETADDR`,
//! linux/if_addr.h.

use std::collections::BTreeSet;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;
use std::time::Duration;

use netlink_packet_core::NlasIterator;
use netlink_sys::protocols::NETLINK_ROUTE;
use netlink_sys::{AsyncSocket, AsyncSocketExt as _, SocketAddr, TokioSocket};
use tokio::sync::{Notify, watch};
use tokio::time::{sleep, timeout};

use crate::clock::boot_moment;
use crate::pair::Sight;
use crate::time::Mono;

/// How often is looked in any case: as long may the kernel's word of a change be lost.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Least time between two looks: who moves many addresses at once is looked at once.
const LOOK_REST: Duration = Duration::from_millis(50);

/// The kernel answers within microseconds.
const CALL_LIMIT: Duration = Duration::from_secs(5);

/// Lists that break off because the addresses change are asked for again at once, so often: where
/// they change faster than that, the next look comes soon.
const TRIES: u32 = 8;

/// Room for one datagram: the kernel makes dumps of at most 32 KiB.
const ROOM: usize = 64 * 1_024;

/// `RTM_NEWADDR`
const NEW_ADDRESS: u16 = 20;
/// `RTM_GETADDR`
const GET_ADDRESSES: u16 = 22;
/// `NLMSG_ERROR`
const ERROR: u16 = 2;
/// `NLMSG_DONE`
const DONE: u16 = 3;
/// `NLM_F_REQUEST | NLM_F_DUMP`
const DUMP: u16 = 0x301;
/// `NLM_F_DUMP_INTR`
const INTERRUPTED: u16 = 0x10;
/// `RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR`
const CHANGES: u32 = 0x10 | 0x100;
/// `IFA_ADDRESS`
const ADDRESS: u16 = 1;
/// `IFA_LOCAL`
const LOCAL: u16 = 2;
/// `RT_SCOPE_HOST`
const HOST_SCOPE: u8 = 254;
/// `LOOPBACK_IFINDEX`: the number of `lo` in every network namespace.
const LOOPBACK: u32 = 1;
/// `IFA_F_DADFAILED`: another machine has it.
const TAKEN_ELSEWHERE: u8 = 0x08;
/// Bytes of a netlink header.
const HEADER: usize = 16;
/// Bytes of `struct ifaddrmsg`.
const ABOUT: usize = 8;

/// Looks for ever; says what differs from what was said before, and when the last look began that
/// has ended.
pub(super) async fn look(
    mut wanted: watch::Receiver<Vec<IpAddr>>,
    shows: watch::Sender<Sight>,
    now: Arc<Notify>,
    looks: watch::Sender<Option<Mono>>,
) {
    let mut changes = None;
    loop {
        let addresses = wanted.borrow_and_update().clone();
        if addresses.is_empty() {
            shows.send_if_modified(|sight| replace(sight, Sight::Unseen));
            if wanted.changed().await.is_err() {
                return;
            }
            continue;
        }
        if changes.is_none() {
            changes = listen().ok();
        }
        let began = boot_moment();
        let sight = match timeout(CALL_LIMIT, whole(here)).await {
            Ok(Ok(here)) => {
                let found = addresses.into_iter().map(|it| (it, here.contains(&it)));
                Sight::Seen(found.collect())
            }
            Ok(Err(error)) => Sight::Blind(format!("netlink: {error}")),
            Err(_) => Sight::Blind("netlink: no answer of the kernel".to_owned()),
        };
        if let Sight::Blind(why) = &sight
            && *shows.borrow() != sight
        {
            tracing::error!(why, "cannot see whether the virtual addresses are here");
        }
        shows.send_if_modified(|seen| replace(seen, sight));
        looks.send_replace(Some(began));
        sleep(LOOK_REST).await;
        tokio::select! {
            changed = wanted.changed() => if changed.is_err() {
                return;
            },
            () = now.notified() => {}
            () = changed(&mut changes) => {}
            () = sleep(LOOK_EVERY) => {}
        }
    }
}

fn replace(old: &mut Sight, new: Sight) -> bool {
    let is_new = *old != new;
    *old = new;
    is_new
}

/// A socket that gets the kernel's word of each change.
fn listen() -> io::Result<TokioSocket> {
    let mut socket = TokioSocket::new(NETLINK_ROUTE)?;
    socket.socket_mut().bind(&SocketAddr::new(0, CHANGES))?;
    Ok(socket)
}

/// Ends when something has changed; what, the next look finds. Without a socket, never.
async fn changed(socket: &mut Option<TokioSocket>) {
    let Some(open) = socket else {
        return std::future::pending().await;
    };
    let mut bytes = Vec::with_capacity(ROOM);
    if open.recv(&mut bytes).await.is_err() {
        // Such as too many changes at once: they are looked at, and a new socket listens.
        *socket = None;
    }
}

/// What a list comes to that nothing interrupts.
async fn whole<T, F: Future<Output = io::Result<T>>>(list: impl Fn() -> F) -> io::Result<T> {
    for _ in 1..TRIES {
        match list().await {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            done => return done,
        }
    }
    list().await
}

/// The addresses of this machine that count.
async fn here() -> io::Result<BTreeSet<IpAddr>> {
    let mut socket = TokioSocket::new(NETLINK_ROUTE)?;
    socket.socket_mut().bind_auto()?;
    socket.socket_mut().connect(&SocketAddr::new(0, 0))?;
    socket.send(&request()).await?;
    let mut here = BTreeSet::new();
    let mut bytes = Vec::with_capacity(ROOM);
    loop {
        bytes.clear();
        socket.recv(&mut bytes).await?;
        if bytes.len() >= bytes.capacity() {
            return Err(io::Error::other("an answer does not fit into the buffer"));
        }
        if read(&bytes, &mut here)? {
            return Ok(here);
        }
    }
}

/// Asks for the addresses of all families.
fn request() -> Vec<u8> {
    let length = u32::try_from(HEADER + ABOUT).unwrap_or_default();
    let mut bytes = Vec::new();
    bytes.extend(length.to_ne_bytes());
    bytes.extend(GET_ADDRESSES.to_ne_bytes());
    bytes.extend(DUMP.to_ne_bytes());
    bytes.extend([0; 8]); // Sequence and port: nothing else is asked on this socket.
    bytes.extend([0; ABOUT]);
    bytes
}

/// Takes in one datagram. Whether it was the last one.
fn read(datagram: &[u8], here: &mut BTreeSet<IpAddr>) -> io::Result<bool> {
    let mut rest = datagram;
    while let Some((length, kind, flags)) = header(rest) {
        let Some(body) = rest.get(HEADER..length) else {
            return Err(io::Error::other("an answer is cut off"));
        };
        if flags & INTERRUPTED != 0 {
            return Err(io::Error::new(
                io::ErrorKind::Interrupted,
                "the addresses change while they are listed",
            ));
        }
        match kind {
            NEW_ADDRESS => here.extend(address(body)),
            DONE => return Ok(true),
            ERROR => {
                let errno = body.first_chunk().map_or(0, |it| i32::from_ne_bytes(*it));
                return Err(io::Error::from_raw_os_error(errno.saturating_neg()));
            }
            _ => {}
        }
        rest = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
    Ok(false)
}

/// Length, kind and flags of a message.
fn header(bytes: &[u8]) -> Option<(usize, u16, u16)> {
    let (length, rest) = bytes.split_first_chunk()?;
    let (kind, rest) = rest.split_first_chunk()?;
    let (flags, _) = rest.split_first_chunk()?;
    let length = usize::try_from(u32::from_ne_bytes(*length)).ok()?;
    let fits = (HEADER..=bytes.len()).contains(&length) || length > bytes.len();
    fits.then_some((
        length,
        u16::from_ne_bytes(*kind),
        u16::from_ne_bytes(*flags),
    ))
}

/// The address of one message where it counts.
fn address(body: &[u8]) -> Option<IpAddr> {
    let ([_family, _prefix, flags, scope, index @ ..], rest) = body.split_first_chunk::<ABOUT>()?;
    let is_loopback = u32::from_ne_bytes(*index) == LOOPBACK;
    if is_loopback || *scope == HOST_SCOPE || flags & TAKEN_ELSEWHERE != 0 {
        return None;
    }
    let mut found = None;
    for attribute in NlasIterator::new(rest).map_while(Result::ok) {
        let (kind, length) = (attribute.kind(), usize::from(attribute.length()));
        let value = attribute.into_inner().get(4..length)?;
        match kind {
            // The other end of a line of two, or the same as the next.
            ADDRESS => found = found.or(ip(value)),
            LOCAL => found = ip(value).or(found),
            _ => {}
        }
    }
    found
}

fn ip(value: &[u8]) -> Option<IpAddr> {
    if let Ok(bytes) = <[u8; 4]>::try_from(value) {
        return Some(Ipv4Addr::from(bytes).into());
    }
    let bytes = <[u8; 16]>::try_from(value).ok()?;
    Some(Ipv6Addr::from(bytes).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attribute(kind: u16, address: &str) -> Vec<u8> {
        let value = match address.parse().unwrap() {
            IpAddr::V4(address) => address.octets().to_vec(),
            IpAddr::V6(address) => address.octets().to_vec(),
        };
        let mut bytes = u16::try_from(4 + value.len())
            .unwrap()
            .to_ne_bytes()
            .to_vec();
        bytes.extend(kind.to_ne_bytes());
        bytes.extend(value);
        bytes
    }

    fn message(kind: u16, flags: u16, body: &[u8]) -> Vec<u8> {
        let mut bytes = u32::try_from(HEADER + body.len())
            .unwrap()
            .to_ne_bytes()
            .to_vec();
        bytes.extend(kind.to_ne_bytes());
        bytes.extend(flags.to_ne_bytes());
        bytes.extend([0; 8]);
        bytes.extend(body);
        bytes.resize(bytes.len().next_multiple_of(4), 0);
        bytes
    }

    fn about(index: u32, scope: u8, flags: u8, attributes: &[Vec<u8>]) -> Vec<u8> {
        let mut body = vec![2, 32, flags, scope];
        body.extend(index.to_ne_bytes());
        body.extend(attributes.concat());
        message(NEW_ADDRESS, 2, &body)
    }

    fn found(datagram: &[u8]) -> (Vec<String>, bool) {
        let mut here = BTreeSet::new();
        let is_last = read(datagram, &mut here).unwrap();
        (here.iter().map(ToString::to_string).collect(), is_last)
    }

    #[test]
    fn addresses_of_the_loopback_device_and_of_host_scope_do_not_count() {
        let both = |own, other| vec![attribute(ADDRESS, other), attribute(LOCAL, own)];
        let datagram = [
            about(2, 0, 0x80, &both("10.0.0.3", "10.0.0.3")),
            about(3, 0, 0x80, &both("10.0.0.4", "10.0.0.9")),
            about(1, 0, 0x80, &both("10.0.0.5", "10.0.0.5")),
            about(2, HOST_SCOPE, 0x80, &both("10.0.0.6", "10.0.0.6")),
            about(2, 0, 0x80, &[attribute(ADDRESS, "2001:db8::3")]),
            about(2, 0, TAKEN_ELSEWHERE, &[attribute(ADDRESS, "2001:db8::4")]),
            about(2, 0, 0, &[]),
        ]
        .concat();
        let here = ["10.0.0.3", "10.0.0.4", "2001:db8::3"].map(str::to_owned);
        assert_eq!(found(&datagram), (here.to_vec(), false));
        assert_eq!(found(&message(DONE, 2, &[0; 4])), (Vec::new(), true));
    }

    #[test]
    fn an_answer_that_is_cut_off_or_an_error_finds_nothing() {
        let whole = about(2, 0, 0, &[attribute(LOCAL, "10.0.0.3")]);
        for length in 0..whole.len() {
            let mut here = BTreeSet::new();
            // Never a panic; a piece of a header is no message.
            let _ = read(&whole[..length], &mut here);
            assert!(here.is_empty(), "{length}");
        }
        let refused = message(ERROR, 0, &(-1_i32).to_ne_bytes());
        let error = read(&refused, &mut BTreeSet::new()).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(1));
        let disturbed = message(NEW_ADDRESS, 2 | INTERRUPTED, &[]);
        let error = read(&disturbed, &mut BTreeSet::new()).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::Interrupted);
        assert!(read(&[0; HEADER], &mut BTreeSet::new()).is_ok());
    }

    #[tokio::test]
    async fn a_list_that_breaks_off_is_asked_for_again_and_not_for_ever() {
        async fn tries(needed: u32, kind: io::ErrorKind) -> (u32, bool) {
            let asked = std::cell::Cell::new(0);
            let done = whole(|| {
                asked.set(asked.get() + 1);
                let is_done = asked.get() >= needed;
                async move { is_done.then_some(()).ok_or_else(|| kind.into()) }
            });
            let is_done = done.await.is_ok();
            (asked.get(), is_done)
        }
        let interrupted = io::ErrorKind::Interrupted;
        assert_eq!(tries(3, interrupted).await, (3, true));
        assert_eq!(tries(u32::MAX, interrupted).await, (TRIES, false));
        assert_eq!(tries(3, io::ErrorKind::OutOfMemory).await, (1, false));
    }

    #[tokio::test]
    async fn another_list_is_news_also_where_none_of_it_is_here() {
        // Of the range for examples, which no machine has.
        let [one, other] = ["192.0.2.3", "192.0.2.4"].map(|it| it.parse::<IpAddr>().unwrap());
        let (wanted, wishes) = watch::channel(vec![one]);
        let (shows, mut sight) = watch::channel(Sight::Unseen);
        let (looks, mut looked) = watch::channel(None);
        let task = tokio::spawn(look(wishes, shows, Arc::default(), looks));
        for list in [vec![one], vec![one, other], vec![other]] {
            let expected = Sight::Seen(list.iter().map(|it| (*it, false)).collect());
            wanted.send_replace(list);
            let found = timeout(
                Duration::from_secs(60),
                sight.wait_for(|it| *it == expected),
            );
            assert!(found.await.is_ok(), "{expected:?}");
        }
        // When somebody looked is told also where it finds nothing new.
        let since = boot_moment();
        let later = looked.wait_for(|began| began.is_some_and(|began| began > since));
        assert!(timeout(Duration::from_secs(60), later).await.is_ok());
        task.abort();
    }

    #[tokio::test]
    async fn the_kernel_answers_and_loopback_is_not_among_what_it_says() {
        let here = here().await.unwrap();
        assert!(
            here.iter().all(|address| !address.is_loopback()),
            "{here:?}"
        );
    }
}
