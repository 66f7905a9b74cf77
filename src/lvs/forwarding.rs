//! How packets reach a real server.
//!
//! Terms are those of ipvsadm(8), numbers those of linux/ip_vs.h. Which methods fit which
//! ports and families is checked where a file is read ([`crate::options::lvs`]).

use std::fmt;

use serde::{Deserialize, Serialize};

/// How packets reach a real server (ipvsadm(8) "packet-forwarding-method").
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Forwarding {
    /// Masquerading, `-m`, kernel value 0.
    Nat,
    /// Served by the director itself; the kernel sets it, kernel value 1.
    Local,
    /// Tunnelling, `-i`, kernel value 2.
    Tun,
    /// Direct routing, `-g`, kernel value 3.
    Dr,
    /// Cache bypass; the kernel sets it, kernel value 4.
    Bypass,
}

impl fmt::Display for Forwarding {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Nat => "nat",
            Self::Local => "local",
            Self::Tun => "tun",
            Self::Dr => "dr",
            Self::Bypass => "bypass",
        })
    }
}
