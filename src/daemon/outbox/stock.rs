//! How much waits in the outbox, and does the disk take it?

use super::Outbox;
use super::courier::Courier;

/// What waits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stock {
    /// Messages that are held for the other director.
    pub held: u64,
    /// Messages and programs that wait or are under way, those that are held too.
    pub waiting: u64,
    /// The folder of all of them.
    pub spool: Disk,
}

/// Whether a disk takes what is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Disk {
    /// It did the last time.
    #[default]
    Works,
    /// It did not; what must not be lost waits in memory.
    Fails,
}

impl Disk {
    /// Whether it does.
    #[must_use]
    pub const fn is_good(self) -> bool {
        match self {
            Self::Works => true,
            Self::Fails => false,
        }
    }
}

impl Outbox {
    /// What waits now.
    #[must_use]
    pub fn stock(&self) -> Stock {
        *self.stock.borrow()
    }

    /// How many messages are held now.
    #[must_use]
    pub fn held(&self) -> u64 {
        self.stock().held
    }
}

impl Courier {
    /// What waits now.
    pub(super) fn stock(&self) -> Stock {
        Stock {
            held: self.held_count(),
            waiting: self.waiting_count(),
            spool: if self.is_disk_good() {
                Disk::Works
            } else {
                Disk::Fails
            },
        }
    }
}
