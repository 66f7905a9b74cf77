//! What has to be done to a kernel's table so that it agrees with what is wanted.

use crate::lvs::{Command, Desired, Table};

/// The commands that make `actual` agree with `desired` on every owned key, in order.
#[must_use]
pub fn diff(desired: &Desired, actual: &Table) -> Vec<Command> {
    let _ = (desired, actual);
    Vec::new()
}
