//! May anything leave at this moment?
//!
//! Whoever is about to begin a delivery asks here, just before: that the role has left, or that
//! this process stood still for longer than its lease, counts at once, whoever hears of it first.

use tokio::sync::watch;

use crate::clock::boot_moment;
use crate::pair::Voice;
use crate::time::Mono;

/// What the loop said last.
#[derive(Clone, Copy, Debug)]
pub(super) struct Leave {
    /// Whether this director is to tell people.
    pub(super) voice: Voice,
    /// Messages may leave until then, by [`boot_moment`]; none: at any time.
    pub(super) until: Option<Mono>,
}

impl Leave {
    /// At any time.
    pub(super) const fn of(voice: Voice) -> Self {
        Self { voice, until: None }
    }

    /// Whether people are told at `now`.
    pub(super) fn voice(self, now: Mono) -> Voice {
        if self.is_over(now) {
            Voice::Holds
        } else {
            self.voice
        }
    }

    fn is_over(self, now: Mono) -> bool {
        self.until.is_some_and(|until| until < now)
    }

    /// The last lease lasts so long, unless it is over.
    pub(super) fn extend(&mut self, now: Mono, until: Mono) {
        if self.until.is_some() && !self.is_over(now) {
            self.until = Some(until);
        }
    }
}

/// Where deliveries go out.
#[derive(Clone, Debug)]
pub(super) struct Door {
    leaves: watch::Receiver<Leave>,
}

impl Door {
    pub(super) const fn new(leaves: watch::Receiver<Leave>) -> Self {
        Self { leaves }
    }

    /// Whether people are told at this moment.
    pub(super) fn voice(&self) -> Voice {
        self.leaves.borrow().voice(boot_moment())
    }

    /// Whether this director is to tell people and only the lease is over.
    pub(super) fn is_stale(&self) -> bool {
        self.leaves.borrow().voice == Voice::Speaks && self.voice() == Voice::Holds
    }

    /// Waits until the loop says something new. Cancel safe.
    pub(super) async fn changed(&mut self) {
        if self.leaves.changed().await.is_err() {
            // The handle is gone, and this task goes with it.
            std::future::pending().await
        }
    }
}
