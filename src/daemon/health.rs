//! Is anything stuck, and who is told that nothing is?
//!
//! `lvsmon health` asks the loop, so that an answer is half of the answer; systemd is told by the
//! loop itself that it turns. That servers are down is no trouble of ours. Source: sd_notify(3),
//! sd_watchdog_enabled(3).

use std::env;
use std::ffi::OsStr;
use std::io;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

use crate::daemon::Daemon;
use crate::text::counted;
use crate::time::{Mono, Readable};
use crate::wire::role::HealthAnswer;

/// A check that goes on for so much longer than it may is stuck: far more than programs need to
/// clean up, and a few turns of a VRRP daemon's own patience.
const CHECK_SLACK: Duration = Duration::from_secs(30);

/// One call to the kernel, or one run of ipvsadm, takes milliseconds, and has a limit of some
/// seconds. What takes longer hangs in the kernel.
const TABLE_LIMIT: Duration = Duration::from_secs(20);

/// Said while the disk does not take the journal.
const JOURNAL: &str = "the journal in the state folder cannot be written, which is tried again: a \
                       restart now would forget the newest state and wishes; see the log for why";

/// Said when every port is open and the checks begin.
pub(super) const READY: &str = "READY=1";

/// Said when the daemon ends.
pub(super) const STOPPING: &str = "STOPPING=1";

/// Tells whoever supervises us, if anybody does. Nothing depends on it.
pub(super) fn say(what: &str) {
    if let Some(socket) = env::var_os("NOTIFY_SOCKET")
        && let Err(error) = send(&socket, what)
    {
        tracing::debug!(%error, what, "the service manager cannot be told");
    }
}

/// A datagram to a path, or to a name without a file where it begins with `@`.
fn send(socket: &OsStr, what: &str) -> io::Result<()> {
    let name = socket.as_bytes();
    let address = match name.strip_prefix(b"@") {
        Some(name) => SocketAddr::from_abstract_name(name)?,
        None => SocketAddr::from_pathname(socket)?,
    };
    let ours = UnixDatagram::unbound()?;
    // A supervisor that does not read must not hold up the loop.
    ours.set_nonblocking(true)?;
    ours.send_to_addr(what.as_bytes(), &address).map(drop)
}

/// Feeds systemd's watchdog, where the unit asks for it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Watchdog {
    /// When, and how often.
    feeding: Option<(Mono, Duration)>,
}

impl Watchdog {
    /// As systemd asks for it.
    pub(super) fn of_systemd(now: Mono) -> Self {
        let number = |name| env::var(name).ok()?.parse().ok();
        let is_ours = number("WATCHDOG_PID").is_none_or(|pid| pid == u64::from(std::process::id()));
        let limit = number("WATCHDOG_USEC").filter(|_| is_ours);
        Self::new(limit.map(Duration::from_micros), now)
    }

    /// Feeds often enough for this limit.
    fn new(limit: Option<Duration>, now: Mono) -> Self {
        let limit = limit.filter(|limit| !limit.is_zero());
        let feeding = limit.map(|limit| (now, (limit / 4).max(Duration::from_millis(1))));
        Self { feeding }
    }

    /// When it is fed next.
    pub(super) fn next(&self) -> Option<Mono> {
        self.feeding.map(|(at, _)| at)
    }

    /// Feeds it.
    pub(super) fn feed(&mut self, now: Mono) {
        if let Some((at, every)) = &mut self.feeding {
            *at = now.after(*every);
            say("WATCHDOG=1");
        }
    }
}

/// A call about the kernel's table that does not come back, told once.
#[derive(Debug, Default)]
pub(super) struct Hang {
    /// When the one that was told began.
    told: Option<Mono>,
}

/// What is new of such a call.
#[derive(Debug, PartialEq, Eq)]
enum HangNews {
    /// It has taken this long, and goes on.
    Began(Duration),
    /// It has come back, after this time.
    Over(Duration),
}

impl Hang {
    /// When the present call about the table, which began at `works`, is one that hangs; none where
    /// that was told.
    pub(super) fn due(&self, works: Option<Mono>) -> Option<Mono> {
        let since = works.filter(|_| self.told.is_none())?;
        Some(since.after(TABLE_LIMIT))
    }

    fn look(&mut self, works: Option<Mono>, now: Mono) -> Option<HangNews> {
        match (self.told, works) {
            (Some(told), works) if works != Some(told) => {
                self.told = None;
                Some(HangNews::Over(now.since(told)))
            }
            (None, Some(since)) if now.since(since) >= TABLE_LIMIT => {
                self.told = Some(since);
                Some(HangNews::Began(now.since(since)))
            }
            (_, _) => None,
        }
    }
}

/// Why nobody knows what the kernel's table has, while such a call goes on.
pub(super) fn hangs(took: Duration) -> String {
    format!("a call about it has taken {}", Readable(took))
}

impl Daemon {
    /// How long the present call about the kernel's table has taken, where it hangs.
    pub(super) fn hangs_for(&self) -> Option<Duration> {
        let took = self.clock.now().mono.since(self.applier.works_since()?);
        (took >= TABLE_LIMIT).then_some(took)
    }

    /// Says in the log, once, that a call about the kernel's table hangs, and that it is over.
    pub(super) fn tell_of_a_hang(&mut self) {
        let works = self.applier.works_since();
        match self.hang.look(works, self.clock.now().mono) {
            None => {}
            Some(HangNews::Began(took)) => tracing::error!(
                took = %Readable(took),
                "a call about the virtual server table does not come back: nothing is read or \
                 changed in it meanwhile"
            ),
            Some(HangNews::Over(took)) => tracing::info!(
                took = %Readable(took),
                "the call about the virtual server table has come back"
            ),
        }
    }

    /// The answer to "are you well".
    pub(super) fn health(&self) -> HealthAnswer {
        let now = self.clock.now();
        let works = self.applier.works_since();
        let oldest = self.engine.oldest_result(now);
        HealthAnswer {
            source: Some(self.source()),
            stuck: stuck(
                self.runner.overdue(CHECK_SLACK),
                works.map(|since| now.mono.since(since)),
            ),
            warnings: {
                let journal = (!self.store.is_good()).then(|| JOURNAL.to_owned());
                journal.into_iter().chain(self.silence()).collect()
            },
            oldest_result_s: oldest.map(|age| age.as_secs()),
            checks: self.runner.count(),
            services: self.engine.model().services.len() as u64,
            up_s: now.mono.as_micros() / 1_000_000,
            pid: Some(std::process::id()),
        }
    }
}

/// What is stuck: `overdue` counts checks and has the worst of them, `at_table` is how long the
/// present call about the table has taken.
fn stuck(overdue: Option<(u64, Duration)>, at_table: Option<Duration>) -> Vec<String> {
    let checks = overdue.map(|(count, longest)| {
        let (checks, go) = (
            counted(count, "check"),
            if count == 1 { "goes" } else { "go" },
        );
        let longest = Readable(longest);
        format!("{checks} {go} on beyond the time limit, the worst by {longest}")
    });
    let at_table = at_table.filter(|took| *took > TABLE_LIMIT).map(Readable);
    let table =
        at_table.map(|took| format!("a call about the virtual server table has taken {took}"));
    checks.into_iter().chain(table).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_that_hangs_is_told_once_and_so_is_its_end() {
        let at = |seconds: u64| Mono::from_micros(seconds * 1_000_000);
        let (began, limit) = (at(5), TABLE_LIMIT.as_secs());
        let mut hang = Hang::default();
        assert_eq!(hang.due(None), None);
        assert_eq!(hang.due(Some(began)), Some(at(5 + limit)));
        assert_eq!(hang.look(Some(began), at(4 + limit)), None);
        let news = hang.look(Some(began), at(5 + limit));
        assert_eq!(news, Some(HangNews::Began(TABLE_LIMIT)));
        assert_eq!(hang.look(Some(began), at(90)), None);
        assert_eq!(hang.due(Some(began)), None);
        let over = Some(HangNews::Over(Duration::from_secs(95)));
        assert_eq!(hang.look(None, at(100)), over);
        assert_eq!(hang.look(None, at(101)), None);
        // Another one hangs behind it, unseen in between.
        hang.look(Some(at(110)), at(150));
        let over = Some(HangNews::Over(Duration::from_secs(50)));
        assert_eq!(hang.look(Some(at(155)), at(160)), over);
        let news = Some(HangNews::Began(Duration::from_secs(25)));
        assert_eq!(hang.look(Some(at(155)), at(180)), news);
    }

    #[test]
    fn a_watchdog_is_fed_four_times_within_its_limit_and_not_without_one() {
        let start = Mono::from_micros(5);
        let mut watchdog = Watchdog::new(Some(Duration::from_secs(8)), start);
        assert_eq!(watchdog.next(), Some(start));
        watchdog.feed(start);
        assert_eq!(watchdog.next(), Some(start.after(Duration::from_secs(2))));
        assert_eq!(Watchdog::new(None, start).next(), None);
        assert_eq!(Watchdog::new(Some(Duration::ZERO), start).next(), None);
    }

    #[test]
    fn checks_beyond_their_limit_and_a_call_that_hangs_are_reasons_to_fail() {
        let second = Duration::from_secs(1);
        assert_eq!(stuck(None, None), Vec::<String>::new());
        assert_eq!(stuck(None, Some(TABLE_LIMIT)), Vec::<String>::new());
        assert_eq!(
            stuck(Some((2, 31 * second)), Some(TABLE_LIMIT + second)),
            [
                "2 checks go on beyond the time limit, the worst by 31s",
                "a call about the virtual server table has taken 21s",
            ]
        );
        assert_eq!(
            stuck(Some((1, 31 * second)), None),
            ["1 check goes on beyond the time limit, the worst by 31s"]
        );
    }

    #[test]
    fn a_supervisor_is_told_by_path_and_by_abstract_name() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notify");
        let name = format!("lvsmon-test-{}", std::process::id());
        let abstract_name = SocketAddr::from_abstract_name(&name).unwrap();
        let sockets = [
            (path.clone().into_os_string(), UnixDatagram::bind(&path)),
            (
                format!("@{name}").into(),
                UnixDatagram::bind_addr(&abstract_name),
            ),
        ];
        for (named, socket) in sockets {
            send(&named, READY).unwrap();
            let mut bytes = [0; 64];
            let length = socket.unwrap().recv(&mut bytes).unwrap();
            assert_eq!(&bytes[..length], READY.as_bytes());
        }
        assert!(send(OsStr::new("/nowhere/notify"), READY).is_err());
    }
}
