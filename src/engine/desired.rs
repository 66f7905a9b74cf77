//! What is wanted of each owned key, from what the bound services say about it.
//!
//! Pure functions of verdicts and withdrawals [D5, D7]; the machine that remembers these is
//! [`crate::engine::binding`].

use crate::engine::event::Reason;
use crate::lvs::{RealServerKey, ServerWish, VirtualServiceKey};
use crate::model::{Ends, HostName, ServiceId};
use crate::time::Wall;

/// One owned real server as a reader sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RealServerView {
    /// In which virtual service.
    pub virtual_service: VirtualServiceKey,
    /// Which real server; none while its name has no usable address.
    pub server: Option<RealServerKey>,
    /// The words that stand for it in the file; empty for one that is no longer declared.
    pub hosts: Vec<HostName>,
    /// What is wanted.
    pub wish: ServerWish,
    /// Who keeps it out, in file order.
    pub withdrawals: Vec<Withdrawal>,
    /// Bound services without a verdict yet: while there are any, the server is left as found.
    pub untested: Vec<ServiceId>,
    /// Bound services that can never run and are left out of the count [D5].
    pub left_out: Vec<ServiceId>,
    /// Why there is no usable address, or what is to be mended in the binding.
    pub problem: Option<String>,
}

/// A service that keeps a real server out of its virtual service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Withdrawal {
    /// Which service.
    pub service: ServiceId,
    /// Why.
    pub reason: Reason,
    /// Since when.
    pub since: Wall,
    /// What ends it.
    pub ends: Ends,
}
