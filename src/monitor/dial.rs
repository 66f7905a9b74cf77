//! How a check reaches a host: name to addresses, the first that connects, and what a failure
//! means.

use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use nix::errno::Errno;
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::clock::Stopwatch;
use crate::engine::event::{HostVerdict, Reason};
use crate::names::Names;

/// Most addresses of a name that are tried: each gets its share of the time.
const ADDRESSES_MAX: usize = 8;

/// Why a host is not up.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Trouble {
    pub(crate) verdict: HostVerdict,
    /// One line for a person.
    pub(crate) text: String,
}

impl Trouble {
    /// The host is down.
    pub(crate) fn down(reason: Reason, text: impl Into<String>) -> Self {
        Self {
            verdict: HostVerdict::Down(reason),
            text: text.into(),
        }
    }

    /// It is this machine that could not look.
    pub(crate) fn unknown(text: impl Into<String>) -> Self {
        Self {
            verdict: HostVerdict::Unknown(Reason::Limit),
            text: text.into(),
        }
    }

    /// What an error of a connection to `peer` means.
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "an enum of the standard library that grows; the rest is treated alike"
    )]
    pub(crate) fn from_io(error: &io::Error, peer: SocketAddr) -> Self {
        match error.kind() {
            io::ErrorKind::ConnectionRefused => {
                Self::down(Reason::Refused, format!("connection refused by {peer}"))
            }
            io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionAborted
            | io::ErrorKind::BrokenPipe => {
                Self::down(Reason::Refused, format!("connection reset by {peer}"))
            }
            io::ErrorKind::TimedOut => {
                Self::down(Reason::Timeout, format!("no answer from {peer}"))
            }
            io::ErrorKind::AddrNotAvailable | io::ErrorKind::OutOfMemory => Self::lacking(error),
            _ if is_local(error) => Self::lacking(error),
            _ => Self::down(Reason::Unreachable, format!("cannot reach {peer}: {error}")),
        }
    }

    fn lacking(error: &io::Error) -> Self {
        Self::unknown(format!(
            "not checked, this machine lacks something: {error}"
        ))
    }
}

/// Errors that say nothing about the other side.
fn is_local(error: &io::Error) -> bool {
    let local = [
        Errno::EMFILE,
        Errno::ENFILE,
        Errno::ENOBUFS,
        Errno::ENOMEM,
        Errno::EAGAIN,
    ];
    local
        .iter()
        .any(|errno| error.raw_os_error() == Some(*errno as i32))
}

/// A number of seconds as the classic scripts print it.
pub(crate) struct Seconds(pub(crate) Duration);

impl fmt::Display for Seconds {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{} seconds", self.0.as_secs_f64())
    }
}

/// The addresses of a host, at most eight.
pub(crate) async fn addresses(host: &str, names: &Names) -> Result<Vec<IpAddr>, Trouble> {
    let answer = names
        .lookup(host)
        .await
        .map_err(|error| Trouble::down(Reason::Dns, error.to_string()))?;
    let mut addresses = answer.addresses;
    addresses.truncate(ADDRESSES_MAX);
    Ok(addresses)
}

/// Connects to the first address that takes the connection.
///
/// `limit` is for all together; each address gets an equal share of what is left, so that a dead
/// one leaves time for the next. The error is that of the first address.
pub(crate) async fn connect(
    host: &str,
    port: u16,
    limit: Duration,
    names: &Names,
) -> Result<(TcpStream, SocketAddr), Trouble> {
    let watch = Stopwatch::start();
    let addresses = addresses(host, names).await?;
    let limit = limit.saturating_sub(watch.elapsed());
    let mut attempts = Attempts::new(addresses, port, limit);
    let mut first = None;
    while let Some(attempt) = attempts.next().await {
        match attempt {
            Ok(made) => return Ok(made),
            Err(trouble) => first.get_or_insert(trouble),
        };
    }
    Err(first.unwrap_or_else(|| Trouble::down(Reason::Dns, format!("{host} has no address"))))
}

/// The addresses of a host that are still to be tried, one after the other.
#[derive(Debug)]
pub(crate) struct Attempts {
    addresses: std::vec::IntoIter<IpAddr>,
    port: u16,
    /// For all together.
    limit: Duration,
    watch: Stopwatch,
}

impl Attempts {
    /// All of them; the time begins now.
    pub(crate) fn new(addresses: Vec<IpAddr>, port: u16, limit: Duration) -> Self {
        Self {
            addresses: addresses.into_iter(),
            port,
            limit,
            watch: Stopwatch::start(),
        }
    }

    /// Connects to the next one, in its share of the time that is left; none where there is none.
    pub(crate) async fn next(&mut self) -> Option<Result<(TcpStream, SocketAddr), Trouble>> {
        let left = u32::try_from(self.addresses.len()).unwrap_or(u32::MAX);
        let peer = SocketAddr::new(self.addresses.next()?, self.port);
        let share = self.limit.saturating_sub(self.watch.elapsed()) / left;
        Some(match timeout(share, TcpStream::connect(peer)).await {
            Ok(Ok(stream)) => Ok((stream, peer)),
            Ok(Err(error)) => Err(Trouble::from_io(&error, peer)),
            Err(_) => {
                let text = format!("no answer from {peer}");
                Err(Trouble::down(Reason::Timeout, text))
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_become_reasons() {
        let peer = "10.0.0.7:80".parse().unwrap();
        let verdict =
            |errno: Errno| Trouble::from_io(&io::Error::from_raw_os_error(errno as i32), peer);
        let cases = [
            (Errno::ECONNREFUSED, HostVerdict::Down(Reason::Refused)),
            (Errno::ECONNRESET, HostVerdict::Down(Reason::Refused)),
            (Errno::EPIPE, HostVerdict::Down(Reason::Refused)),
            (Errno::EHOSTUNREACH, HostVerdict::Down(Reason::Unreachable)),
            (Errno::ENETUNREACH, HostVerdict::Down(Reason::Unreachable)),
            (Errno::EACCES, HostVerdict::Down(Reason::Unreachable)),
            (Errno::ETIMEDOUT, HostVerdict::Down(Reason::Timeout)),
            (Errno::EMFILE, HostVerdict::Unknown(Reason::Limit)),
            (Errno::ENOBUFS, HostVerdict::Unknown(Reason::Limit)),
            (Errno::EADDRNOTAVAIL, HostVerdict::Unknown(Reason::Limit)),
        ];
        for (errno, expected) in cases {
            assert_eq!(verdict(errno).verdict, expected, "{errno}");
        }
        assert_eq!(
            verdict(Errno::ECONNREFUSED).text,
            "connection refused by 10.0.0.7:80"
        );
    }
}
