//! The rules of a service as a whole, before those of its periods: stopped, disabled, waiting
//! for a dependency, acknowledged.
//!
//! Pure. Steps 1, 3, 4, 6 and 7 of docs/mon.md, "The alert decision"; step 2, `redistribute`,
//! is no rule but a call of its own.

use std::sync::Arc;

use crate::engine::event::{AlertKind, Suppressed};
use crate::engine::state::{EventText, ServiceState, Window};

/// What operators have said that concerns the service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ServiceMode {
    /// Nothing.
    InForce,
    /// The scheduler is stopped, whatever else they said.
    Stopped,
    /// The service or its watch is disabled.
    Disabled,
}

impl ServiceMode {
    /// Whether verdicts of the service reach the table (D10).
    pub(crate) const fn is_frozen(self) -> bool {
        match self {
            Self::InForce => false,
            Self::Stopped | Self::Disabled => true,
        }
    }
}

/// Steps 1 and 3: while the scheduler is stopped nobody is told of anything, nor of what is
/// disabled.
pub(crate) const fn mode(mode: ServiceMode) -> Result<(), Suppressed> {
    match mode {
        ServiceMode::InForce => Ok(()),
        ServiceMode::Stopped => Err(Suppressed::Stopped),
        ServiceMode::Disabled => Err(Suppressed::Disabled),
    }
}

/// Step 4: a dependency holds back all but recoveries and starts.
pub(crate) fn dependency(state: &ServiceState, kind: AlertKind) -> Result<(), Suppressed> {
    let is_held = match kind {
        AlertKind::Up | AlertKind::Startup => false,
        AlertKind::Failure
        | AlertKind::Trap
        | AlertKind::TrapTimeout
        | AlertKind::Ack
        | AlertKind::Disable
        | AlertKind::Test => true,
    };
    match state.alerts_held_by.as_deref().filter(|_| is_held) {
        Some(blame) => Err(Suppressed::DependFailed {
            expression: Arc::clone(&blame.expression),
            parent: blame.parent.clone(),
        }),
        None => Ok(()),
    }
}

/// Step 6: a problem with another summary than the failure before, white space aside, ends
/// the acknowledgement; what messages count begins anew. What counts for the table does not:
/// an acknowledgement changes nothing there (D10).
///
/// Answers whether it did.
pub(crate) fn unack(
    state: &mut ServiceState,
    previous: Option<&EventText>,
    text: &EventText,
) -> bool {
    let nothing = EventText::default();
    let previous = previous.unwrap_or(&nothing);
    let is_same = || previous.same_summary(text, |summary| summary.split_whitespace().collect());
    if state.ack.is_none() || is_same() {
        return false;
    }
    state.ack = None;
    if let Some(outage) = &mut state.outage {
        outage.forgiven = outage.consec_failures.saturating_sub(1);
    }
    for memory in state.periods.iter_mut().flatten() {
        memory.last_alert = None;
        memory.messages = Window::default();
    }
    true
}

/// Step 7: the comment that holds messages of this kind back.
pub(crate) fn acknowledged(state: &ServiceState, kind: AlertKind) -> Option<&Arc<str>> {
    match kind {
        AlertKind::Up | AlertKind::Ack | AlertKind::Disable => None,
        AlertKind::Failure
        | AlertKind::Trap
        | AlertKind::TrapTimeout
        | AlertKind::Startup
        | AlertKind::Test => state.ack.as_deref().map(|ack| &ack.comment),
    }
}
