//! How packets reach a real server: by which method, and through which kind of tunnel.
//!
//! Terms are those of ipvsadm(8), numbers those of linux/ip_vs.h. Which methods fit which
//! ports and families is checked where a file is read ([`crate::options::lvs`]).

use std::fmt;
use std::num::NonZeroU16;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// How packets reach a real server (ipvsadm(8) "packet-forwarding-method").
///
/// Written `nat`, `dr`, `tun`, `tun gre csum`, `tun gue 6080 remcsum`; `local` and `bypass` are
/// never read, since nobody can ask for them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Forwarding {
    /// Masquerading, `-m`, kernel value 0.
    Nat,
    /// Served by the director itself; the kernel sets it, kernel value 1.
    Local,
    /// Tunnelling, `-i`, kernel value 2.
    Tun(Tunnel),
    /// Direct routing, `-g`, kernel value 3.
    Dr,
    /// Cache bypass; the kernel sets it, kernel value 4.
    Bypass,
}

/// What packets are wrapped in on their way (ipvsadm(8) `--tun-type`).
///
/// Kernels before 5.2 know only [`Tunnel::Ipip`] and take any other for it, without a word.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub enum Tunnel {
    /// IP in IP, `IP_VS_CONN_F_TUNNEL_TYPE_IPIP`. IPv4 in IPv6 and the reverse, too.
    #[default]
    Ipip,
    /// `IP_VS_CONN_F_TUNNEL_TYPE_GRE`
    Gre {
        /// Whether the header has a checksum, `--tun-csum`.
        checksum: bool,
    },
    /// Generic UDP encapsulation, `IP_VS_CONN_F_TUNNEL_TYPE_GUE`.
    Gue {
        /// UDP port of the real server's end, `--tun-port`.
        port: NonZeroU16,
        /// Checksum of the UDP header.
        checksum: GueChecksum,
    },
}

/// Checksum of a [`Tunnel::Gue`].
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub enum GueChecksum {
    /// `--tun-nocsum`
    #[default]
    None,
    /// `--tun-csum`
    Csum,
    /// Remote checksum offload, `--tun-remcsum`.
    Remcsum,
}

impl fmt::Display for Forwarding {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nat => out.write_str("nat"),
            Self::Local => out.write_str("local"),
            // Without its kind, as it was written before there were others.
            Self::Tun(Tunnel::Ipip) => out.write_str("tun"),
            Self::Tun(tunnel) => write!(out, "tun {tunnel}"),
            Self::Dr => out.write_str("dr"),
            Self::Bypass => out.write_str("bypass"),
        }
    }
}

impl fmt::Display for Tunnel {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ipip => out.write_str("ipip"),
            Self::Gre { checksum: false } => out.write_str("gre"),
            Self::Gre { checksum: true } => out.write_str("gre csum"),
            Self::Gue { port, checksum } => {
                write!(out, "gue {port}")?;
                match checksum {
                    GueChecksum::None => Ok(()),
                    GueChecksum::Csum => out.write_str(" csum"),
                    GueChecksum::Remcsum => out.write_str(" remcsum"),
                }
            }
        }
    }
}

/// Words that name no forwarding method.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "\"{0}\" is no forwarding method: write dr, nat, tun, \"tun gre [csum]\" or \
     \"tun gue PORT [csum | remcsum]\""
)]
pub struct ForwardingError(String);

impl FromStr for Forwarding {
    type Err = ForwardingError;

    fn from_str(text: &str) -> Result<Self, ForwardingError> {
        let wrong = || ForwardingError(text.to_owned());
        let words: Vec<&str> = text.split_whitespace().collect();
        let gue = |port: &str, checksum| {
            // A sign is no part of a port, though `parse` takes it.
            let port = port.strip_prefix('+').map_or(port, |_| "");
            let port = port.parse().map_err(|_| wrong())?;
            Ok(Self::Tun(Tunnel::Gue { port, checksum }))
        };
        match *words.as_slice() {
            ["nat"] => Ok(Self::Nat),
            ["dr"] => Ok(Self::Dr),
            ["tun"] | ["tun", "ipip"] => Ok(Self::Tun(Tunnel::Ipip)),
            ["tun", "gre"] => Ok(Self::Tun(Tunnel::Gre { checksum: false })),
            ["tun", "gre", "csum"] => Ok(Self::Tun(Tunnel::Gre { checksum: true })),
            ["tun", "gue", port] => gue(port, GueChecksum::None),
            ["tun", "gue", port, "csum"] => gue(port, GueChecksum::Csum),
            ["tun", "gue", port, "remcsum"] => gue(port, GueChecksum::Remcsum),
            _ => Err(wrong()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn methods_and_tunnels_are_read_as_they_are_written() {
        for text in [
            "nat",
            "dr",
            "tun",
            "tun gre",
            "tun gre csum",
            "tun gue 6080",
            "tun gue 65535 csum",
            "tun gue 1 remcsum",
        ] {
            let forwarding: Forwarding = text.parse().unwrap();
            assert_eq!(forwarding.to_string(), text);
        }
        assert_eq!("tun ipip".parse(), Ok(Forwarding::Tun(Tunnel::Ipip)));
        for text in [
            "",
            "gate",
            "local",
            "bypass",
            "dr gre",
            "tun vxlan",
            "tun ipip csum",
            "tun gre remcsum",
            "tun gue",
            "tun gue 0",
            "tun gue +1",
            "tun gue 65536",
            "tun gue 6080 nocsum",
            "tun gue 6080 csum remcsum",
        ] {
            let error = text.parse::<Forwarding>().unwrap_err();
            assert!(error.to_string().contains("write dr, nat, tun"), "{text}");
        }
    }
}
