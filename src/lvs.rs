//! The vocabulary of a virtual server table: virtual services, real servers, what is wanted.
//!
//! Pure values. Knows neither the kernel ([`crate::ipvs`]) nor the configuration
//! ([`crate::model`]). Terms and limits are those of ipvsadm(8) and linux/ip_vs.h.
//!
//! | Question | File |
//! |---|---|
//! | what is a virtual service set to | `service` |
//! | how do packets reach a real server | `forwarding` |
//! | what weight does a check give it | `given` |
//! | how many connections has it | `connections` |
//! | whom do new connections reach | `clients` |
//! | what has to be done so that the table is as wanted | `diff` |
//! | what does a kernel answer to that | `replay` |
//! | what can the kernel not carry | `limits` |
//! | how are connections synchronised | `sync` |
//! | what does any of it look like in a test | `arbitrary` |

#[cfg(test)]
pub(crate) mod arbitrary;
pub mod clients;
mod connections;
pub mod diff;
mod forwarding;
mod given;
mod limits;
pub mod replay;
mod service;
mod sync;

use std::collections::BTreeMap;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::str::FromStr;

use serde::{Deserialize, Serialize};

pub use connections::{ConnectionCounts, ConnectionTimeouts, Connections};
pub use forwarding::{Forwarding, ForwardingError, GueChecksum, Tunnel};
pub use given::GivenWeight;
pub use limits::{Limit, port_only_names};
pub use service::{Scheduler, ServiceFlags, VirtualService};
pub use sync::{Interface, SyncChange, SyncDaemon, SyncRole, sync_diff};

/// Transport protocol of a virtual service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    /// IP protocol 6.
    Tcp,
    /// IP protocol 17.
    Udp,
    /// IP protocol 132.
    Sctp,
}

/// Address family of a virtual service or real server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Family {
    /// IPv4, `AF_INET`.
    V4,
    /// IPv6, `AF_INET6`.
    V6,
}

impl Family {
    /// The family of an address.
    #[must_use]
    pub const fn of(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(_) => Self::V4,
            IpAddr::V6(_) => Self::V6,
        }
    }
}

/// What tells one virtual service from another: address, port and protocol, or a firewall mark.
///
/// Written `10.0.0.3:80/tcp`, `[2001:db8::3]:80/udp`, `fwmark 7` or `fwmark 7/v6`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub enum VirtualServiceKey {
    /// Packets to this address, port and protocol. Port 0 stands for all ports (persistent
    /// services).
    Address(Protocol, SocketAddr),
    /// Packets that netfilter marked with this value, never 0.
    Mark(Family, u32),
}

impl VirtualServiceKey {
    /// The family of the virtual service's own address.
    #[must_use]
    pub const fn family(self) -> Family {
        match self {
            Self::Address(_, address) => Family::of(address.ip()),
            Self::Mark(family, _) => family,
        }
    }

    /// The port of the virtual service; none for a mark.
    #[must_use]
    pub const fn port(self) -> Option<u16> {
        match self {
            Self::Address(_, address) => Some(address.port()),
            Self::Mark(..) => None,
        }
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
            Self::Sctp => "sctp",
        })
    }
}

/// For persons.
impl fmt::Display for Family {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::V4 => "IPv4",
            Self::V6 => "IPv6",
        })
    }
}

impl fmt::Display for VirtualServiceKey {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(protocol, address) => write!(out, "{address}/{protocol}"),
            Self::Mark(Family::V4, mark) => write!(out, "fwmark {mark}"),
            Self::Mark(Family::V6, mark) => write!(out, "fwmark {mark}/v6"),
        }
    }
}

impl From<VirtualServiceKey> for String {
    fn from(key: VirtualServiceKey) -> Self {
        key.to_string()
    }
}

impl TryFrom<String> for VirtualServiceKey {
    type Error = KeyError;

    fn try_from(text: String) -> Result<Self, KeyError> {
        text.parse()
    }
}

/// A text that names no virtual service.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("\"{0}\" is not a virtual service: write ADDRESS:PORT/PROTOCOL or \"fwmark MARK\"")]
pub struct KeyError(String);

/// What is wrong with an address that [`four_in_six`] knows.
pub(crate) const FOUR_IN_SIX: &str = "is IPv4 in IPv6 form, which no packet has as its destination";

/// What `::ffff:10.0.0.3` stands for: an IPv6 service of that address the kernel makes, and it
/// looks packets to 10.0.0.3 up among those of IPv4.
pub(crate) fn four_in_six(address: IpAddr) -> Option<Ipv4Addr> {
    match address {
        IpAddr::V4(_) => None,
        IpAddr::V6(address) => address.to_ipv4_mapped(),
    }
}

impl FromStr for VirtualServiceKey {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, KeyError> {
        let wrong = || KeyError(text.to_owned());
        if let Some(mark) = text.strip_prefix("fwmark ") {
            let (mark, family) = match mark.strip_suffix("/v6") {
                Some(mark) => (mark, Family::V6),
                None => (mark, Family::V4),
            };
            let mark = mark
                .parse()
                .ok()
                .filter(|&mark| mark != 0)
                .ok_or_else(wrong)?;
            return Ok(Self::Mark(family, mark));
        }
        let (address, protocol) = text.rsplit_once('/').ok_or_else(wrong)?;
        let protocol = match protocol {
            "tcp" => Protocol::Tcp,
            "udp" => Protocol::Udp,
            "sctp" => Protocol::Sctp,
            _ => return Err(wrong()),
        };
        Ok(Self::Address(
            protocol,
            address.parse().map_err(|_| wrong())?,
        ))
    }
}

/// What tells one real server from another inside its virtual service.
///
/// In a firewall-mark service the port is 0: packets keep their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct RealServerKey(pub SocketAddr);

impl RealServerKey {
    /// Whether a word of the file is its address, however that is written.
    #[must_use]
    pub fn is_called(&self, word: &str) -> bool {
        word.parse() == Ok(self.0.ip())
    }
}

impl fmt::Display for RealServerKey {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(out)
    }
}

/// Share of new connections a real server gets.
///
/// A file may say 0 to 65535; the kernel may answer any `u32`, so adopting never fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Weight(pub u32);

impl Weight {
    /// The largest weight that a configuration may ask for.
    pub const MAX: u32 = 65_535;
}

impl fmt::Display for Weight {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(out)
    }
}

/// The settings of a real server, beside its key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RealServer {
    /// How packets reach it.
    pub forwarding: Forwarding,
    /// Its share of new connections.
    pub weight: Weight,
    /// No new connections above this many; 0 for no limit.
    pub upper_threshold: u32,
    /// New connections again below this many; 0 for three quarters of the upper one.
    pub lower_threshold: u32,
}

impl RealServer {
    /// A real server without thresholds.
    #[must_use]
    pub const fn new(forwarding: Forwarding, weight: Weight) -> Self {
        Self {
            forwarding,
            weight,
            upper_threshold: 0,
            lower_threshold: 0,
        }
    }
}

/// One virtual service as the kernel has it, with its real servers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableEntry {
    /// Its settings.
    pub service: VirtualService,
    /// Its real servers.
    pub servers: BTreeMap<RealServerKey, RealServer>,
}

/// The virtual services and real servers that a kernel has.
pub type Table = BTreeMap<VirtualServiceKey, TableEntry>;

/// Whether a virtual service itself should be there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ServiceWish {
    /// It belongs to whoever made it: never made, changed or removed here. Its owned real
    /// servers wait while it is missing.
    Foreign,
    /// It is to be there; made with these settings when it is missing, never changed.
    Present(VirtualService),
    /// It is to be there with exactly these settings, corrected in place where it differs.
    Owned(VirtualService),
    /// It is to be gone, with all its real servers (`-D`, or no longer declared).
    Absent,
    /// No verdict yet: left as it is found.
    AsFound,
}

/// Whether a real server should be in its virtual service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ServerWish {
    /// In, with exactly these settings.
    In(RealServer),
    /// Not in the table.
    Out,
    /// No verdict yet: neither added nor removed nor changed.
    AsFound,
}

/// What becomes of a real server that nobody declared, in a virtual service of ours.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Strangers {
    /// It is not even seen.
    #[default]
    Ignored,
    /// It is seen, and left alone.
    Kept,
    /// It is drift: seen, and removed after all others are in (D7).
    Removed,
}

/// What is wanted of one virtual service and of the real servers owned in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DesiredService {
    /// The virtual service itself.
    pub service: ServiceWish,
    /// Every real server that the configuration owns here.
    pub servers: BTreeMap<RealServerKey, ServerWish>,
    /// What becomes of all others.
    pub strangers: Strangers,
}

/// The table as it should be, for every owned key. A virtual service that is not named here is
/// never touched, nor is a real server, except where [`Strangers::Removed`] says so.
pub type Desired = BTreeMap<VirtualServiceKey, DesiredService>;

/// One change of a kernel table. Each is complete in itself and may be refused by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// Make a virtual service.
    AddService(VirtualServiceKey, VirtualService),
    /// Change the settings of a virtual service in place; its real servers and connections stay.
    ///
    /// The kernel can change all of them so (`ip_vs_edit_service`): scheduler, flags,
    /// persistence, netmask and engine. Only its key cannot be changed; that is another
    /// virtual service. While the scheduler is exchanged, some milliseconds, no new
    /// connection finds a real server; clients try again. With another netmask, engine or
    /// no persistence at all, a client's next connection may find another real server.
    EditService(VirtualServiceKey, VirtualService),
    /// Remove a virtual service and all in it.
    DeleteService(VirtualServiceKey),
    /// Put a real server in.
    AddServer(VirtualServiceKey, RealServerKey, RealServer),
    /// Change the settings of a real server in place; its connections stay.
    EditServer(VirtualServiceKey, RealServerKey, RealServer),
    /// Take a real server out.
    DeleteServer(VirtualServiceKey, RealServerKey),
}

impl Command {
    /// The virtual service that is changed, or whose real server is.
    #[must_use]
    pub const fn service(&self) -> VirtualServiceKey {
        match self {
            Self::AddService(key, _)
            | Self::EditService(key, _)
            | Self::DeleteService(key)
            | Self::AddServer(key, ..)
            | Self::EditServer(key, ..)
            | Self::DeleteServer(key, _) => *key,
        }
    }

    /// The real server that it puts in, with its virtual service.
    pub(crate) const fn added(&self) -> Option<(VirtualServiceKey, RealServerKey)> {
        match self {
            Self::AddServer(key, server, _) => Some((*key, *server)),
            Self::AddService(..)
            | Self::EditService(..)
            | Self::EditServer(..)
            | Self::DeleteService(_)
            | Self::DeleteServer(..) => None,
        }
    }
}

impl fmt::Display for Command {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AddService(key, service) => {
                let settings = service.words(key.family());
                write!(out, "add virtual service {key} with {settings}")
            }
            Self::EditService(key, service) => {
                let settings = service.words(key.family());
                write!(out, "set virtual service {key} to {settings}")
            }
            Self::DeleteService(key) => write!(out, "delete virtual service {key}"),
            Self::AddServer(key, server, to) => {
                write!(
                    out,
                    "add real server {server} to {key} ({}, weight {})",
                    to.forwarding, to.weight
                )
            }
            Self::EditServer(key, server, to) => {
                write!(
                    out,
                    "set real server {server} in {key} to {}, weight {}",
                    to.forwarding, to.weight
                )
            }
            Self::DeleteServer(key, server) => {
                write!(out, "delete real server {server} from {key}")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_read_as_they_are_written() {
        for text in [
            "10.0.0.3:80/tcp",
            "[2001:db8::3]:53/udp",
            "10.0.0.3:5060/sctp",
            "fwmark 7",
            "fwmark 9/v6",
        ] {
            let key: VirtualServiceKey = text.parse().unwrap();
            assert_eq!(key.to_string(), text);
        }
        for text in [
            "",
            "10.0.0.3:80",
            "10.0.0.3/tcp",
            "fwmark 0",
            "fwmark x",
            "10.0.0.3:80/icmp",
        ] {
            assert!(text.parse::<VirtualServiceKey>().is_err(), "{text}");
        }
    }
}
