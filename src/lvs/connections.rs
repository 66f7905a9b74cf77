//! How many connections each real server has, and how long silent ones are kept.
//!
//! Read with the table and kept beside it: two tables are equal whatever passes through them.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::lvs::{RealServerKey, VirtualServiceKey};

/// Connections of one real server in one virtual service.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ConnectionCounts {
    /// Established (`ActiveConn`). For UDP each is counted as inactive.
    pub active: u32,
    /// All others that the kernel still remembers (`InActConn`): not yet or no more established.
    pub inactive: u32,
    /// Clients that persistence ties to the server (`PersistConn`).
    pub persistent: u32,
}

/// Connections of the real servers that were in the table; a server that is not named has none.
pub type Connections = BTreeMap<(VirtualServiceKey, RealServerKey), ConnectionCounts>;

/// How long the kernel remembers a connection on which nothing comes (`ipvsadm -L --timeout`).
///
/// In whole seconds. A quiesced server may keep an `active` connection this long after its client
/// has gone without a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConnectionTimeouts {
    /// Of TCP, established.
    pub tcp: Duration,
    /// Of TCP, after a FIN.
    pub tcp_fin: Duration,
    /// Of UDP.
    pub udp: Duration,
}
