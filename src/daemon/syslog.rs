//! Lines to syslog, as mon sends them: ident `mon` with the process id.
//!
//! One datagram to the system's socket for each line, never waiting: a syslog that hangs loses
//! lines, a syslog that is restarted is found again.

use std::fmt::Write as _;
use std::io;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};

use jiff::tz::TimeZone;
use tracing::{Level, Metadata};

use crate::clock::Clock;
use crate::model::Facility;

/// The socket of the system's log, syslog(3).
pub(super) const SOCKET: &str = "/dev/log";

/// Longest line, in bytes: what the usual receivers take.
const LINE_MAX: usize = 8_192;

/// The name of an event that is an alert: mon's priorities are other ones than our levels, and an
/// event whose name is one of these three has that priority.
pub(super) const ALERT: &str = "alert";

/// The name of an event that is a failure.
pub(super) const CRIT: &str = "crit";

/// The name of an event that somebody must mend: a refused trap, a program that is not there.
pub(super) const ERR: &str = "err";

/// How grave a line is, syslog(3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Severity(u8);

impl Severity {
    /// Something happened.
    pub(super) const INFO: Self = Self(6);

    /// That of an event: of its name where that is one of ours, else of its level.
    pub(super) fn of(event: &Metadata<'_>) -> Self {
        Self(match event.name() {
            ALERT => 1,
            CRIT => 2,
            ERR => 3,
            _ => match *event.level() {
                Level::ERROR => 3,
                Level::WARN => 4,
                Level::INFO => 6,
                Level::DEBUG | Level::TRACE => 7,
            },
        })
    }
}

/// A way to the system's log.
#[derive(Debug)]
pub(super) struct Syslog {
    path: PathBuf,
    clock: Clock,
    zone: TimeZone,
    socket: Option<UnixDatagram>,
}

impl Syslog {
    /// Nothing is opened before the first line.
    pub(super) fn new(path: &Path) -> Self {
        Self {
            path: path.to_owned(),
            clock: Clock::start(),
            zone: TimeZone::system(),
            socket: None,
        }
    }

    /// Sends one line; what cannot be sent is lost, and `false`.
    pub(super) fn send(&mut self, facility: Facility, severity: Severity, text: &[u8]) -> bool {
        let line = self.line(facility, severity, text);
        // The second try finds a syslog that was restarted.
        self.try_send(&line).is_ok() || self.try_send(&line).is_ok()
    }

    fn try_send(&mut self, line: &str) -> io::Result<()> {
        let socket = match self.socket.take() {
            Some(socket) => socket,
            None => {
                let socket = UnixDatagram::unbound()?;
                socket.connect(&self.path)?;
                socket.set_nonblocking(true)?;
                socket
            }
        };
        socket.send(line.as_bytes())?;
        self.socket = Some(socket);
        Ok(())
    }

    fn line(&self, facility: Facility, severity: Severity, text: &[u8]) -> String {
        let priority = u16::from(facility.number()) * 8 + u16::from(severity.0);
        let now = self.clock.now().wall.as_micros();
        let time = jiff::Timestamp::from_microsecond(now).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
        let time = time.to_zoned(self.zone.clone());
        let time = time.strftime("%b %e %H:%M:%S");
        let mut line = format!("<{priority}>{time} mon[{}]: ", std::process::id());
        for letter in String::from_utf8_lossy(text).trim_end().chars() {
            if line.len() >= LINE_MAX {
                break;
            }
            if letter.is_control() {
                // A line of ours is one line there.
                let _ = write!(line, "#{:03o}", u32::from(letter));
            } else {
                line.push(letter);
            }
        }
        line
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn receive(socket: &UnixDatagram) -> String {
        let mut buffer = [0_u8; 16_384];
        let length = socket.recv(&mut buffer).unwrap();
        String::from_utf8(buffer[..length].to_vec()).unwrap()
    }

    #[test]
    fn a_line_carries_facility_severity_name_and_number() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        let socket = UnixDatagram::bind(&path).unwrap();
        let mut syslog = Syslog::new(&path);
        assert!(syslog.send("local0".parse().unwrap(), Severity(2), b"web\tdown\nnow\n"));
        let line = receive(&socket);
        assert!(line.starts_with("<130>"), "{line}");
        let expected = format!(" mon[{}]: web#011down#012now", std::process::id());
        assert!(line.ends_with(&expected), "{line}");
        // "<130>Nov 21 08:00:00"
        assert_eq!(line.len() - expected.len(), 5 + 15, "{line}");

        syslog.send(Facility::DAEMON, Severity(6), &[b'x'; 100_000]);
        assert_eq!(receive(&socket).len(), LINE_MAX);
    }

    #[test]
    fn a_syslog_that_is_missing_or_hangs_loses_lines_and_one_that_comes_back_is_found() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        let mut syslog = Syslog::new(&path);
        let mut send = |text: &str| syslog.send(Facility::DAEMON, Severity(6), text.as_bytes());
        assert!(!send("nobody is there"));
        let socket = UnixDatagram::bind(&path).unwrap();
        assert!(send("first"));
        assert!(receive(&socket).ends_with("first"));
        // Nobody reads: at some line its buffer is full, and we go on.
        while send("waits") {}
        drop(socket);
        std::fs::remove_file(&path).unwrap();
        let socket = UnixDatagram::bind(&path).unwrap();
        assert!(send("again"));
        assert!(receive(&socket).ends_with("again"));
    }
}
