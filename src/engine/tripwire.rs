//! Which connections tell of a crash, and when are they made again?
//!
//! For a service with `tripwire on` one idle connection is held to each host whose last check was
//! good. Its end is the reason to check the host now (D18). A host that is good all the same
//! merely closes idle connections: the next one waits, longer each time, up to five minutes,
//! unless they last long in comparison. Nothing here is kept across a reload or a restart. Pure;
//! who holds the connections: [`crate::daemon`].

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::engine::event::{Action, HostVerdict, Wire, WireId};
use crate::engine::state::HostState;
use crate::model::{HostName, MonitorProgram, Service, ServiceId, Tripwire};
use crate::time::{Mono, Now, Wall};

/// Connections held at once: files that are open all the time, beside those of checks.
pub(crate) const WIRES_MAX: usize = 500;

/// How long the first connection waits after one that ended for no reason: a process that dies may
/// close its connections before it stops listening, so the check comes too early by a moment.
const WAIT_FIRST: Duration = Duration::from_millis(50);

/// How long the next one waits.
const WAIT_MIN: Duration = Duration::from_secs(1);

/// And at most: a server that closes at once is bothered twelve times an hour.
const WAIT_MAX: Duration = Duration::from_secs(300);

/// A connection that lasted so many times its wait is worth having: the wait stays.
const WORTH: u32 = 10;

/// How the connection to one host stands, as a reader sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TripwireView {
    /// It is held.
    Armed {
        /// Since when.
        since: Wall,
    },
    /// The host closes idle connections: the next one waits.
    BacksOff {
        /// How long, in all.
        wait: Duration,
        /// Until when.
        until: Wall,
    },
    /// It ended; the host is being checked.
    Tripped,
    /// None: it comes with the next good check.
    Off,
    /// None, since as many as may be held at once are.
    NoRoom,
}

/// All held connections.
#[derive(Debug, Default)]
pub(super) struct Tripwires {
    last: u64,
    wires: BTreeMap<(ServiceId, HostName), Held>,
    by_id: BTreeMap<WireId, (ServiceId, HostName)>,
    /// Ended, and not checked since.
    tripped: BTreeMap<ServiceId, BTreeSet<HostName>>,
}

/// What is known of the connections to one host.
#[derive(Debug, Default)]
struct Held {
    stage: Stage,
    patience: Patience,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Stage {
    /// None, until the next good check.
    #[default]
    None,
    /// Asked for, to be made at this moment.
    Held(WireId, Mono),
    /// Ended after this long; whether for a reason is not known yet.
    Ended(Duration),
}

/// How long a new connection waits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Patience(Duration);

impl Patience {
    /// After a connection that lasted so long and ended for no reason.
    fn ended_for_nothing(self, lasted: Duration) -> Self {
        let Self(wait) = self;
        if wait.is_zero() {
            return Self(WAIT_FIRST);
        }
        if wait < WAIT_MIN {
            return Self(WAIT_MIN);
        }
        if lasted >= wait.saturating_mul(WORTH) {
            return self;
        }
        Self(wait.saturating_mul(2).min(WAIT_MAX))
    }
}

impl Tripwires {
    /// Takes in what a check found: good hosts get a connection, bad ones lose theirs.
    pub(super) fn heard(
        &mut self,
        now: Now,
        (id, service): (ServiceId, &Service),
        found: &[HostState],
        actions: &mut Vec<Action>,
    ) {
        let Some(port) = port(service) else {
            return;
        };
        for one in found {
            match one.verdict {
                HostVerdict::Up => actions.extend(self.is_good(now, id, &one.host, port)),
                HostVerdict::Down(_) => actions.extend(self.is_bad(id, &one.host)),
                HostVerdict::Unknown(_) => {}
            }
        }
    }

    fn is_good(&mut self, now: Now, id: ServiceId, host: &HostName, port: u16) -> Option<Action> {
        let has_room = self.by_id.len() < WIRES_MAX;
        let held = self.wires.entry((id, host.clone())).or_default();
        match held.stage {
            Stage::Held(..) => return None,
            Stage::Ended(lasted) => held.patience = held.patience.ended_for_nothing(lasted),
            Stage::None => {}
        }
        held.stage = Stage::None;
        if !has_room {
            return None;
        }
        self.last = self.last.saturating_add(1);
        let wire = Wire {
            id: WireId(self.last),
            host: host.clone(),
            port,
            wait: held.patience.0,
        };
        held.stage = Stage::Held(wire.id, now.mono.after(wire.wait));
        self.by_id.insert(wire.id, (id, host.clone()));
        Some(Action::Hold(wire))
    }

    fn is_bad(&mut self, id: ServiceId, host: &HostName) -> Option<Action> {
        let held = self.wires.remove(&(id, host.clone()))?;
        match held.stage {
            Stage::Held(wire, _) => {
                self.by_id.remove(&wire);
                Some(Action::LetGo(wire))
            }
            Stage::Ended(_) | Stage::None => None,
        }
    }

    /// A connection ended; answers with the service that is to be checked. None for one that was
    /// let go of in the meantime.
    pub(super) fn ended(&mut self, now: Now, wire: WireId) -> Option<ServiceId> {
        let (id, host) = self.by_id.remove(&wire)?;
        if let Some(held) = self.wires.get_mut(&(id, host.clone()))
            && let Stage::Held(_, since) = held.stage
        {
            held.stage = Stage::Ended(now.mono.since(since));
        }
        self.tripped.entry(id).or_default().insert(host);
        Some(id)
    }

    /// Whether a host of the service is to be looked at.
    pub(super) fn has_tripped(&self, id: ServiceId) -> bool {
        self.tripped.contains_key(&id)
    }

    /// The hosts that are to be looked at, by the check that begins now.
    pub(super) fn take_tripped(&mut self, id: ServiceId) -> BTreeSet<HostName> {
        self.tripped.remove(&id).unwrap_or_default()
    }

    /// How the connection to one host stands; none where the service wants none.
    pub(super) fn view(
        &self,
        now: Now,
        (id, service): (ServiceId, &Service),
        host: &HostName,
    ) -> Option<TripwireView> {
        port(service)?;
        let held = self.wires.get(&(id, host.clone()));
        let wait = held.map_or(Duration::ZERO, |held| held.patience.0);
        let ago = |at| now.wall.before(now.mono.since(at));
        Some(match held.map_or(Stage::None, |held| held.stage) {
            Stage::Held(_, at) if at > now.mono => TripwireView::BacksOff {
                wait,
                until: now.wall.after(at.since(now.mono)),
            },
            Stage::Held(_, at) => TripwireView::Armed { since: ago(at) },
            Stage::Ended(_) => TripwireView::Tripped,
            Stage::None if self.by_id.len() >= WIRES_MAX => TripwireView::NoRoom,
            Stage::None => TripwireView::Off,
        })
    }

    /// Everything begins anew: services have other numbers now, or their state is forgotten.
    pub(super) fn let_go_of_all(&mut self) -> Vec<Action> {
        self.wires.clear();
        self.tripped.clear();
        let wires = std::mem::take(&mut self.by_id).into_keys();
        wires.map(Action::LetGo).collect()
    }
}

/// The port to hold connections to; none where the service wants none.
fn port(service: &Service) -> Option<u16> {
    let monitor = service.monitor.as_ref()?;
    match (service.tripwire, &monitor.program) {
        (Tripwire::On, MonitorProgram::Native(options)) => options.tcp_port(),
        (Tripwire::On, MonitorProgram::Executable(_) | MonitorProgram::Missing(_))
        | (Tripwire::Off, _) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn a_server_that_closes_at_once_is_bothered_less_and_less() {
        let mut patience = Patience::default();
        let mut waits = Vec::new();
        for _ in 0..12 {
            patience = patience.ended_for_nothing(Duration::ZERO);
            waits.push(patience.0);
        }
        assert_eq!(waits.remove(0), WAIT_FIRST, "it may have been dying");
        let wanted = [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300].map(seconds);
        assert_eq!(waits, wanted);
    }

    #[test]
    fn connections_that_last_long_in_comparison_are_made_again_soon() {
        let mut patience = Patience::default();
        let mut waits = Vec::new();
        for _ in 0..5 {
            patience = patience.ended_for_nothing(seconds(20));
            waits.push(patience.0.as_secs());
        }
        assert_eq!(waits, [0, 1, 1, 1, 1], "closed after twenty seconds");
        let mut patience = Patience::default();
        for _ in 0..5 {
            patience = patience.ended_for_nothing(seconds(5));
        }
        assert_eq!(patience.0, seconds(8), "closed after five");
    }
}
