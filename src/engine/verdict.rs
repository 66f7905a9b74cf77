//! What a report says about each host, and about the service as a whole [D9].

use std::collections::BTreeMap;

use crate::engine::event::{HostVerdict, Reason, Report};
use crate::model::HostName;

/// The verdict on each checked member.
pub(crate) fn hosts(
    report: &Report,
    members: &[HostName],
    all_hosts_on_failure: bool,
) -> BTreeMap<HostName, HostVerdict> {
    let _ = (report, members, all_hosts_on_failure);
    BTreeMap::new()
}

/// Why the service as a whole fails; meaningless for a success.
pub(crate) fn service_reason(report: &Report) -> Reason {
    let _ = report;
    Reason::Exit
}
