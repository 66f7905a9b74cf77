//! What is told of packets that were dropped, and how often?
//!
//! The first of a minute at once, with what the packet says of itself; all others as counts by
//! reason, when the minute is over. What the socket had no room for is looked up in the system's
//! lists.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use crate::clock::Clock;
use crate::daemon::syslog;
use crate::engine::event::Trap;
use crate::time::Mono;

/// How often it is told what was dropped.
const TELL_EVERY: Duration = Duration::from_secs(60);

/// So long after packets came it is looked whether the socket had room for all of them: a look
/// reads a list of the system, which is no matter once in that time.
const LOOK_AFTER: Duration = Duration::from_secs(10);

/// What is said of packets that the socket had no room for.
const OVERFLOW: &str = "came faster than they could be read";

/// Longest part of a user's or a group's name in the log, in characters.
const SHOWN_MAX: usize = 64;

/// What the log says of one packet; never its password.
pub(super) struct Detail {
    pub(super) from: IpAddr,
    pub(super) user: String,
    pub(super) group: String,
    pub(super) service: String,
}

impl Detail {
    pub(super) fn from(from: IpAddr) -> Self {
        Self {
            from,
            user: String::new(),
            group: String::new(),
            service: String::new(),
        }
    }

    pub(super) fn of(user: &str, trap: &Trap) -> Self {
        let shown = |text: &str| text.chars().take(SHOWN_MAX).collect();
        Self {
            from: trap.from,
            user: shown(user),
            group: shown(&trap.group),
            service: shown(&trap.service),
        }
    }
}

/// What was dropped for one reason.
#[derive(Default)]
pub(super) struct Told {
    pub(super) count: u64,
    /// The first of them.
    pub(super) example: Option<Detail>,
}

/// What was dropped since it was told last.
pub(super) struct Tally {
    counts: BTreeMap<String, Told>,
    /// When it is told; none while the next one is told at once.
    due: Option<Mono>,
    /// When it is looked whether the socket had room for all packets.
    look: Option<Mono>,
    /// The number of the socket in the system's lists.
    inode: u64,
    /// Packets that the socket had no room for.
    overflowed: u64,
}

impl Tally {
    /// Reasons that are told apart: all of ours, and a few of the system's.
    const REASONS_MAX: usize = 32;

    pub(super) fn new(inode: u64) -> Self {
        Self {
            counts: BTreeMap::new(),
            due: None,
            look: None,
            inode,
            overflowed: 0,
        }
    }

    /// One more packet was dropped. The first of a minute is told at once, the others are
    /// counted until the minute is over.
    pub(super) fn add(&mut self, why: &str, clock: Clock, detail: Option<&dyn Fn() -> Detail>) {
        if self.due.is_some() {
            if let Some(told) = self.counts.get_mut(why) {
                told.count += 1;
            } else if self.counts.len() < Self::REASONS_MAX {
                let example = detail.map(|detail| detail());
                self.counts
                    .insert(why.to_owned(), Told { count: 1, example });
            }
            return;
        }
        self.due = Some(clock.now().mono.after(TELL_EVERY));
        match detail.map(|detail| detail()) {
            Some(Detail {
                from,
                user,
                group,
                service,
            }) => {
                tracing::warn!(name: syslog::ERR, %from, user, group, service, why, "trap refused")
            }
            None => tracing::warn!(why, "trap lost"),
        }
    }

    /// Packets came.
    pub(super) fn look_later(&mut self, now: Mono) {
        self.look.get_or_insert_with(|| now.after(LOOK_AFTER));
    }

    /// When there may be something to tell.
    pub(super) fn next(&self) -> Option<Mono> {
        self.due.into_iter().chain(self.look).min()
    }

    /// What is to be told now, with its number; nothing at the end of a minute means silence
    /// until the next one.
    pub(super) fn tell(&mut self, now: Mono) -> BTreeMap<String, Told> {
        self.look = None;
        let lost = overflow(self.inode).unwrap_or(self.overflowed);
        let more = lost.saturating_sub(self.overflowed);
        self.overflowed = lost;
        if more > 0 {
            self.counts.entry(OVERFLOW.to_owned()).or_default().count += more;
        }
        if self.due.is_some_and(|due| now < due) {
            return BTreeMap::new();
        }
        let told = std::mem::take(&mut self.counts);
        self.due = (!told.is_empty()).then(|| now.after(TELL_EVERY));
        told
    }
}

/// How many packets the socket had no room for since it was opened, from the lists of the
/// system. Source: proc(5), the last column of `/proc/net/udp`.
fn overflow(inode: u64) -> Option<u64> {
    ["/proc/net/udp", "/proc/net/udp6"].iter().find_map(|list| {
        let list = std::fs::read_to_string(list).ok()?;
        list.lines().find_map(|line| {
            let mut words = line.split_whitespace();
            let own = words.nth(9)?.parse() == Ok(inode);
            words.next_back().filter(|_| own)?.parse().ok()
        })
    })
}

#[cfg(test)]
mod tests {
    use std::net::UdpSocket;
    use std::os::fd::AsFd as _;

    use super::*;

    #[test]
    fn packets_that_the_socket_had_no_room_for_are_told_by_themselves_once_a_minute() {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let inode = nix::sys::stat::fstat(socket.as_fd()).unwrap().st_ino;
        let to = socket.local_addr().unwrap();
        let sender = UdpSocket::bind("127.0.0.1:0").unwrap();
        let overflow_more = || {
            let before = overflow(inode).unwrap();
            // Many times what the socket has room for.
            for _ in 0..1_000 {
                for _ in 0..100 {
                    sender.send_to(&[b'x'; 1_000], to).unwrap();
                }
                if overflow(inode).unwrap() > before {
                    return;
                }
            }
            panic!("the socket of the test takes everything");
        };
        let mut tally = Tally::new(inode);
        let mut now = Mono::ZERO;
        assert_eq!(tally.next(), None);
        tally.look_later(now);
        now = tally.next().unwrap();
        assert!(tally.tell(now).is_empty());
        assert_eq!(tally.next(), None);
        // Nothing else was refused.
        overflow_more();
        tally.look_later(now);
        now = tally.next().unwrap();
        let told = tally.tell(now);
        assert_eq!(told.keys().collect::<Vec<_>>(), [OVERFLOW]);
        assert_eq!(told[OVERFLOW].count, overflow(inode).unwrap());
        // More of them wait for the end of the minute.
        overflow_more();
        let minute = now.after(TELL_EVERY);
        tally.look_later(now);
        assert!(tally.tell(tally.next().unwrap()).is_empty());
        assert_eq!(tally.next(), Some(minute));
        assert!(tally.tell(minute)[OVERFLOW].count > 0);
        assert!(tally.tell(minute.after(TELL_EVERY)).is_empty());
        assert_eq!(tally.next(), None);
    }
}
