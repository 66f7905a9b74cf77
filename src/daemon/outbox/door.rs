//! How do deliveries hear at once that nothing may leave any more?

use tokio::sync::watch;

use crate::clock::boot_moment;
use crate::pair::{Lease, Speaking};

/// Where deliveries go out.
#[derive(Clone, Debug)]
pub(super) struct Door {
    leases: watch::Receiver<Lease>,
}

impl Door {
    pub(super) const fn new(leases: watch::Receiver<Lease>) -> Self {
        Self { leases }
    }

    /// Whether people are told at this moment.
    pub(super) fn speaking(&self) -> Speaking {
        self.leases.borrow().speaking(boot_moment())
    }

    /// Whether this director is to tell people and only the lease is over.
    pub(super) fn is_stale(&self) -> bool {
        self.leases.borrow().is_stale(boot_moment())
    }

    /// Waits until the loop says something new. Cancel safe.
    pub(super) async fn changed(&mut self) {
        if self.leases.changed().await.is_err() {
            // The handle is gone, and this task goes with it.
            std::future::pending().await
        }
    }
}
