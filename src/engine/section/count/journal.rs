//! How does a bad verdict stand in the journal?
//!
//! With the monitor that found it: another one in its place begins as at a start. Not here: what a
//! restart makes of it, and when it is written.

use serde::{Deserialize, Serialize};

use crate::digest::Digest;
use crate::engine::binding::{self, Part};
use crate::engine::event::{Action, Reason};
use crate::engine::section::count::Monitor;
use crate::engine::section::count::listener::Failure;
use crate::lvs::VirtualServiceKey;
use crate::model::{Model, ServiceId};
use crate::time::Wall;

/// Prefix of its keys.
pub(super) const PREFIX: &str = "verdict ";

/// A bad verdict in the journal.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct SavedVerdict {
    pub(super) virtual_service: VirtualServiceKey,
    pub(super) group: String,
    pub(super) service: String,
    /// None for the service as a whole.
    pub(super) host: Option<String>,
    pub(super) reason: Reason,
    pub(super) since: Wall,
    /// Who found it; none of an earlier release.
    #[serde(default)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) monitor: Option<FoundBy>,
}

/// Who found a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum FoundBy {
    /// This monitor.
    Monitor(Digest),
    /// Traps.
    Traps,
}

impl FoundBy {
    const fn of(monitor: Monitor) -> Self {
        match monitor {
            Some(monitor) => Self::Monitor(monitor),
            None => Self::Traps,
        }
    }

    pub(super) const fn monitor(self) -> Monitor {
        match self {
            Self::Monitor(monitor) => Some(monitor),
            Self::Traps => None,
        }
    }
}

/// The record of a bad verdict; one that is none any more is to be forgotten.
pub(super) fn record(
    model: &Model,
    virtual_service: VirtualServiceKey,
    id: ServiceId,
    part: &Part,
    failure: Option<Failure>,
) -> Action {
    let service = model.service(id);
    let host = match part {
        Part::Whole => None,
        Part::Host(host) => Some(host.to_string()),
    };
    let about = host.as_deref().unwrap_or("*");
    let key = format!(
        "{PREFIX}{virtual_service} {}/{} {about}",
        service.group, service.name
    );
    let saved = failure.map(|it| SavedVerdict {
        virtual_service,
        group: service.group.to_string(),
        service: service.name.to_string(),
        host,
        reason: it.reason,
        since: it.since,
        monitor: Some(FoundBy::of(it.monitor)),
    });
    binding::record(key, saved.as_ref())
}
