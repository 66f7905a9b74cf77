//! What has to be done to a kernel's table so that it agrees with what is wanted.

use crate::lvs::{Command, Desired, Table, VirtualServiceKey};

/// The commands that make `actual` agree with `desired` on every owned key, in order.
#[must_use]
pub fn diff(desired: &Desired, actual: &Table) -> Vec<Command> {
    let _ = (desired, actual);
    Vec::new()
}

/// Virtual services that belong to others and are missing while real servers of ours wait for
/// them [D7].
#[must_use]
pub fn missing(desired: &Desired, actual: &Table) -> Vec<VirtualServiceKey> {
    let _ = (desired, actual);
    Vec::new()
}
