//! Which connections tell of a crash, and when are they made again?
//!
//! For a service with `tripwire on` one idle connection is held, between checks, to each host whose
//! last check was good. Its end is the reason to check the host now (D18). It is let go of before a
//! check of the host begins, since there are servers that allow one connection for each client; the
//! good check asks for it anew. A host that is good though its connection ended merely closes idle
//! ones: the next one waits, longer each time, up to five minutes, unless they last long in
//! comparison. One that resets each, and refuses the check behind it, would go out and in for ever:
//! it is left alone for an hour after a few such rounds. Nothing here is kept across a reload or a
//! restart. Pure; who holds the connections: [`crate::daemon`].

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::engine::event::{Action, HostVerdict, Reason, Wire, WireId};
use crate::engine::state::HostState;
use crate::lead::Lead;
use crate::model::{HostName, MonitorProgram, Service, ServiceId, Tripwire};
use crate::time::{Mono, Now, Wall};

/// Connections held at once: files that are open all the time, beside those of checks.
pub(crate) const WIRES_MAX: usize = 500;

/// How long the second connection waits after one that ended for no reason, and the first one not
/// at all: a process that dies closes its connections before it stops listening, so the check comes
/// too early by a moment, and the first one ends with the listener. This is for a process that
/// takes connections until its end.
const WAIT_SECOND: Duration = Duration::from_millis(50);

/// How long the next one waits.
const WAIT_MIN: Duration = Duration::from_secs(1);

/// And at most: a server that closes at once is bothered twelve times an hour.
const WAIT_MAX: Duration = Duration::from_secs(300);

/// A connection that lasted so many times its wait is worth having: the wait stays.
const WORTH: u32 = 10;

/// A connection that lasted less was ended at once. One that is reset ends in milliseconds; the
/// rest is for machines that are busy.
const AT_ONCE: Duration = Duration::from_secs(5);

/// So many times a host may be found good, end its connection at once and refuse the check that
/// follows: a program may come up badly twice. Each round takes a server out for nothing.
const ROUNDS_MAX: u32 = 3;

/// How long the next connection waits then: a server goes out for nothing once an hour at most.
const WAIT_RESETS: Duration = Duration::from_secs(3_600);

/// Why the next connection to a host waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BackOff {
    /// The host closes idle connections, and is good all the same.
    Closes,
    /// The host ends each connection at once and refuses the check behind it; ordinary checks are
    /// good.
    Resets,
}

/// How the connection to one host stands, as a reader sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TripwireView {
    /// It is held.
    Armed {
        /// Since when.
        since: Wall,
    },
    /// The next one waits.
    BacksOff {
        /// What the host does.
        why: BackOff,
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
    /// Hosts that are to be looked at, and not checked since.
    tripped: BTreeMap<ServiceId, BTreeMap<HostName, Sign>>,
}

/// Why a host is to be looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sign {
    /// It ended its connection.
    Ended,
    /// A check failed for which its connection was let go of.
    Failed,
}

/// What is known of the connections to one host.
#[derive(Debug, Default)]
struct Held {
    stage: Stage,
    /// Since when the host has ended none, pauses for checks not counted.
    since: Option<Mono>,
    patience: Patience,
    resets: Resets,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Stage {
    /// None, until the next good check.
    #[default]
    None,
    /// Asked for, to be made at this moment.
    Held(WireId, Mono),
    /// It was let go of for a check; it was to be made at this moment.
    Paused(WireId, Mono),
    /// Ended after this long; whether for a reason is not known yet.
    Ended(Duration),
}

/// How often a good host ended its connection at once and refused the check that followed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Resets {
    rounds: u32,
    /// Such a check was the last one: a good one ends the round.
    is_open: bool,
}

impl Resets {
    const fn are_many(self) -> bool {
        self.rounds >= ROUNDS_MAX
    }
}

impl Held {
    /// The connection is as old as it is: one that lasted is none that is ended at once.
    fn has_lasted(&mut self, now: Now) {
        let lasted = self.since.map(|since| now.mono.since(since));
        if lasted.is_some_and(|lasted| lasted >= AT_ONCE) {
            if self.resets.are_many() {
                self.patience = Patience::default();
            }
            self.resets = Resets::default();
        }
    }

    /// The host is good; when the next connection is to be made.
    fn is_good(&mut self, now: Now) -> Mono {
        match self.stage {
            Stage::Held(_, at) | Stage::Paused(_, at) => return at.max(now.mono),
            Stage::Ended(lasted) => self.patience = self.patience.ended_for_nothing(lasted),
            Stage::None => {}
        }
        if std::mem::take(&mut self.resets.is_open) {
            self.resets.rounds = self.resets.rounds.saturating_add(1);
        }
        if self.resets.are_many() {
            self.patience = Patience::Waits(WAIT_RESETS);
        }
        now.mono.after(self.patience.wait())
    }

    /// The host is bad: a crash that was one begins anew, but for rounds of resets.
    fn is_bad(&mut self, reason: Reason) {
        let stage = std::mem::take(&mut self.stage);
        self.patience = Patience::default();
        self.since = None;
        if let Stage::Ended(lasted) = stage {
            if lasted < AT_ONCE && reason == Reason::Refused {
                self.resets.is_open = true;
            } else {
                self.resets = Resets::default();
            }
        }
    }
}

/// How long a new connection waits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Patience {
    /// Not at all: none has ended for no reason.
    #[default]
    Fresh,
    /// Not at all: the first one has.
    Once,
    Waits(Duration),
}

impl Patience {
    const fn wait(self) -> Duration {
        match self {
            Self::Fresh | Self::Once => Duration::ZERO,
            Self::Waits(wait) => wait,
        }
    }

    /// After a connection that lasted so long and ended for no reason.
    fn ended_for_nothing(self, lasted: Duration) -> Self {
        match self {
            Self::Fresh => Self::Once,
            Self::Once => Self::Waits(WAIT_SECOND),
            Self::Waits(wait) if wait < WAIT_MIN => Self::Waits(WAIT_MIN),
            Self::Waits(wait) if lasted >= wait.saturating_mul(WORTH) => self,
            Self::Waits(wait) => Self::Waits(wait.saturating_mul(2).min(WAIT_MAX)),
        }
    }
}

impl Tripwires {
    /// Takes in what a check found: good hosts get a connection, to where `lead` says that they
    /// are checked, bad ones lose theirs.
    pub(super) fn heard(
        &mut self,
        now: Now,
        (id, service): (ServiceId, &Service),
        found: &[HostState],
        lead: impl Fn(&HostName) -> Option<Lead>,
        actions: &mut Vec<Action>,
    ) {
        let Some(port) = port(service) else {
            return;
        };
        for one in found {
            match one.verdict {
                HostVerdict::Up => {
                    let lead = || lead(&one.host);
                    actions.extend(self.is_good(now, id, (&one.host, port), lead));
                }
                HostVerdict::Down(why) => actions.extend(self.is_bad(id, &one.host, why)),
                HostVerdict::Unknown(_) => {}
            }
        }
    }

    /// The check of one host found it good, the run of all goes on.
    pub(super) fn good(
        &mut self,
        now: Now,
        (id, service): (ServiceId, &Service),
        host: &HostName,
        lead: impl Fn(&HostName) -> Option<Lead>,
    ) -> Option<Action> {
        self.is_good(now, id, (host, port(service)?), || lead(host))
    }

    fn is_good(
        &mut self,
        now: Now,
        id: ServiceId,
        (host, port): (&HostName, u16),
        lead: impl FnOnce() -> Option<Lead>,
    ) -> Option<Action> {
        let held = self.wires.entry((id, host.clone())).or_default();
        match held.stage {
            Stage::Held(..) => return None,
            Stage::Paused(wire, _) => drop(self.by_id.remove(&wire)),
            Stage::Ended(_) | Stage::None => {}
        }
        let at = held.is_good(now);
        held.stage = Stage::None;
        if self.by_id.len() >= WIRES_MAX {
            return None;
        }
        self.last = self.last.saturating_add(1);
        let wire = Wire {
            id: WireId(self.last),
            host: host.clone(),
            lead: lead(),
            port,
            wait: at.since(now.mono),
        };
        held.stage = Stage::Held(wire.id, at);
        held.since.get_or_insert(at);
        self.by_id.insert(wire.id, (id, host.clone()));
        Some(Action::Hold(wire))
    }

    fn is_bad(&mut self, id: ServiceId, host: &HostName, reason: Reason) -> Option<Action> {
        let place = (id, host.clone());
        let held = self.wires.get_mut(&place)?;
        let stage = held.stage;
        held.is_bad(reason);
        if held.resets == Resets::default() {
            self.wires.remove(&place);
        }
        match stage {
            Stage::Held(wire, _) => {
                self.by_id.remove(&wire);
                Some(Action::LetGo(wire))
            }
            Stage::Paused(wire, _) => {
                self.by_id.remove(&wire);
                None
            }
            Stage::Ended(_) | Stage::None => None,
        }
    }

    /// A check of these hosts begins, of all of the service where none is named: their connections
    /// are let go of; answers with those that were made. An end that was on its way is still taken
    /// in.
    pub(super) fn pause(
        &mut self,
        now: Now,
        id: ServiceId,
        hosts: &[HostName],
        actions: &mut Vec<Action>,
    ) -> Vec<WireId> {
        let places: Vec<(ServiceId, HostName)> = match hosts {
            [] => {
                let mine = self.wires.keys().filter(|(it, _)| *it == id);
                mine.cloned().collect()
            }
            hosts => hosts.iter().map(|host| (id, host.clone())).collect(),
        };
        let mut made = Vec::new();
        for place in places {
            let Some(held) = self.wires.get_mut(&place) else {
                continue;
            };
            if let Stage::Held(wire, at) = held.stage {
                held.has_lasted(now);
                held.stage = Stage::Paused(wire, at);
                actions.push(Action::LetGo(wire));
                if at <= now.mono {
                    made.push(wire);
                }
            }
        }
        made
    }

    /// A connection ended; answers with the service that is to be checked. None for one that was
    /// let go of in the meantime, but for a check.
    pub(super) fn ended(&mut self, now: Now, wire: WireId) -> Option<ServiceId> {
        let (id, host) = self.by_id.remove(&wire)?;
        if let Some(held) = self.wires.get_mut(&(id, host.clone()))
            && let Stage::Held(_, at) | Stage::Paused(_, at) = held.stage
        {
            let since = held.since.take().unwrap_or(at);
            held.stage = Stage::Ended(now.mono.since(since));
        }
        self.look_again(id, host, Sign::Ended);
        Some(id)
    }

    /// Whether a host of the service is to be looked at.
    pub(super) fn has_tripped(&self, id: ServiceId) -> bool {
        self.tripped.contains_key(&id)
    }

    /// All hosts that are to be looked at.
    pub(super) fn all_tripped(&self) -> Vec<(ServiceId, HostName)> {
        let all = self.tripped.iter();
        all.flat_map(|(id, hosts)| hosts.keys().map(|host| (*id, host.clone())))
            .collect()
    }

    /// Whether this host is to be looked at.
    pub(super) fn is_tripped(&self, id: ServiceId, host: &HostName) -> bool {
        let hosts = self.tripped.get(&id);
        hosts.is_some_and(|hosts| hosts.contains_key(host))
    }

    /// Whether the connection to this host was let go of for the check that goes on: it was good
    /// until then.
    pub(super) fn is_paused(&self, id: ServiceId, host: &HostName) -> bool {
        let held = self.wires.get(&(id, host.clone()));
        matches!(held.map(|held| held.stage), Some(Stage::Paused(..)))
    }

    /// A host is to be looked at; the end of its connection says more than a check that failed.
    pub(super) fn look_again(&mut self, id: ServiceId, host: HostName, sign: Sign) {
        let hosts = self.tripped.entry(id).or_default();
        let known = hosts.entry(host).or_insert(sign);
        if sign == Sign::Ended {
            *known = sign;
        }
    }

    /// A check of this host begins; why, where it was to be looked at.
    pub(super) fn take_sign(&mut self, id: ServiceId, host: &HostName) -> Option<Sign> {
        let hosts = self.tripped.get_mut(&id)?;
        let sign = hosts.remove(host);
        if hosts.is_empty() {
            self.tripped.remove(&id);
        }
        sign
    }

    /// The hosts that are to be looked at, by the check that begins now.
    pub(super) fn take_tripped(&mut self, id: ServiceId) -> BTreeMap<HostName, Sign> {
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
        let wait = held.map_or(Duration::ZERO, |held| held.patience.wait());
        let why = match held.is_some_and(|held| held.resets.are_many()) {
            true => BackOff::Resets,
            false => BackOff::Closes,
        };
        let ago = |at| now.wall.before(now.mono.since(at));
        Some(match held.map_or(Stage::None, |held| held.stage) {
            Stage::Held(_, at) | Stage::Paused(_, at) if at > now.mono => TripwireView::BacksOff {
                why,
                wait,
                until: now.wall.after(at.since(now.mono)),
            },
            Stage::Held(_, at) => TripwireView::Armed { since: ago(at) },
            Stage::Ended(_) => TripwireView::Tripped,
            Stage::None if self.by_id.len() >= WIRES_MAX => TripwireView::NoRoom,
            Stage::Paused(..) | Stage::None => TripwireView::Off,
        })
    }

    /// Everything begins anew: services have other numbers now, or their state is forgotten.
    pub(super) fn let_go_of_all(&mut self) -> Vec<Action> {
        self.tripped.clear();
        self.by_id.clear();
        let wires = std::mem::take(&mut self.wires).into_values();
        let held = wires.filter_map(|held| match held.stage {
            Stage::Held(wire, _) => Some(Action::LetGo(wire)),
            Stage::Paused(..) | Stage::Ended(_) | Stage::None => None,
        });
        held.collect()
    }
}

/// Those of these hosts that ended their connections.
pub(super) fn ended(signs: BTreeMap<HostName, Sign>) -> BTreeSet<HostName> {
    let ended = signs.into_iter().filter(|(_, sign)| *sign == Sign::Ended);
    ended.map(|(host, _)| host).collect()
}

/// Whether the service wants connections held.
pub(super) fn is_wanted(service: &Service) -> bool {
    port(service).is_some()
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
        for _ in 0..13 {
            patience = patience.ended_for_nothing(Duration::ZERO);
            waits.push(patience.wait());
        }
        assert_eq!(waits.remove(0), seconds(0), "it ends with the listener");
        assert_eq!(waits.remove(0), WAIT_SECOND, "it may have been dying");
        let wanted = [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300].map(seconds);
        assert_eq!(waits, wanted);
    }

    #[test]
    fn connections_that_last_long_in_comparison_are_made_again_soon() {
        let mut patience = Patience::default();
        let mut waits = Vec::new();
        for _ in 0..5 {
            patience = patience.ended_for_nothing(seconds(20));
            waits.push(patience.wait().as_secs());
        }
        assert_eq!(waits, [0, 0, 1, 1, 1], "closed after twenty seconds");
        let mut patience = Patience::default();
        for _ in 0..6 {
            patience = patience.ended_for_nothing(seconds(5));
        }
        assert_eq!(patience.wait(), seconds(8), "closed after five");
    }
}
