//! How often did the kernel refuse a change of the table?

use super::{Applier, Worker};
use crate::time::Mono;

/// What the worker says of its looks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Looks {
    /// When the last one began that has ended, with what it took to correct the table.
    pub(super) began: Option<Mono>,
    /// Changes that the kernel refused since the start, each try.
    refusals: u64,
}

impl Applier {
    /// Changes that the kernel refused since the start, each try.
    #[must_use]
    pub fn refusals(&self) -> u64 {
        self.looked.borrow().refusals
    }
}

impl Worker {
    /// A look that began then has ended.
    pub(super) fn has_looked(&self, began: Mono) {
        self.looks.send_modify(|looks| looks.began = Some(began));
    }

    /// The kernel refused a change. Nobody waits for that.
    pub(super) fn was_refused(&self) {
        self.looks.send_if_modified(|looks| {
            looks.refusals += 1;
            false
        });
    }
}
