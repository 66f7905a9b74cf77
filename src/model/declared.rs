//! What a `virtual` section says: a virtual service that the file declares whole.
//!
//! Beside [`crate::model::Binding`], which is what an `lvs.alert` line says. Hostgroups are
//! expanded here, each real server knows who decides over it, and all numbers are within their
//! bounds. Source: docs/virtual.md; decisions D7, D12, D13, D15 to D17.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use crate::lvs::{Forwarding, RealServer, Strangers, VirtualService, VirtualServiceKey};
use crate::model::{AlertCommand, HostName, ServiceId};

/// No answer of a witness within this time means that nothing is reached (D17).
pub const WITNESS_ANSWER_MAX: Duration = Duration::from_secs(2);

/// One `virtual` section. No two of a Model have the same key.
#[derive(Clone, Debug, PartialEq)]
pub struct DeclaredService {
    /// What names it.
    pub key: VirtualServiceKey,
    /// Scheduler, flags and persistence.
    pub settings: VirtualService,
    /// Its real servers in file order, hostgroups expanded; never empty, and no two have the
    /// same host and port.
    pub servers: Vec<DeclaredServer>,
    /// `fallback`: takes the place of all while none of them is healthy (D15).
    pub fallback: Option<Fallback>,
    /// `fall`, `rise`, `recheck`.
    pub counts: Counts,
    /// What becomes of a real server that is withdrawn, unless its own line says otherwise.
    pub on_failure: OnFailure,
    /// How many real servers stay in, whatever is said about them (D15).
    pub min_live: MinLive,
    /// A real server that comes back reaches its weight in this time.
    pub slow_start: Option<Duration>,
    /// Where weights come from.
    pub weight_from: WeightFrom,
    /// What is done before the first verdict (D16), unless its own line says otherwise.
    pub initial: Initial,
    /// What becomes of a real server that nobody declared (D7).
    pub foreign: Strangers,
    /// What becomes of it when the daemon ends.
    pub on_exit: OnExit,
    /// Services that tell whether the director itself can reach anything (D17); any of them that
    /// is good is enough.
    pub witnesses: Vec<ServiceId>,
    /// Told of the virtual service's own troubles.
    pub alerts: Vec<Arc<AlertCommand>>,
    /// Told when they are over.
    pub upalerts: Vec<Arc<AlertCommand>>,
}

/// One real server of a `virtual` section.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeclaredServer {
    /// Address or name (D8).
    pub host: HostName,
    /// Its port, 0 in a mark service.
    pub port: u16,
    /// Forwarding, weight and thresholds.
    pub settings: RealServer,
    /// Whose verdicts count; none for one that is always in (`service none`).
    pub judges: Vec<DeclaredJudge>,
    /// What its line says in place of the section.
    pub own: OwnRules,
}

/// What a `real` line says in place of its section; none where the section counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OwnRules {
    /// What becomes of the real server when it is withdrawn.
    pub on_failure: Option<OnFailure>,
    /// What is done before the first verdict (D16).
    pub initial: Option<Initial>,
}

/// A service that decides over a declared real server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct DeclaredJudge {
    /// Which service.
    pub service: ServiceId,
    /// Which of its verdicts counts.
    pub verdict: JudgedBy,
}

/// Which verdict of a service counts for a real server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum JudgedBy {
    /// That on the host, which is in the hostgroup of the service.
    Host,
    /// That of the service as a whole, as for `-R` (D9).
    Whole,
}

/// The server that takes over while no real server is healthy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fallback {
    /// Address or name (D8).
    pub host: HostName,
    /// Its port, 0 in a mark service.
    pub port: u16,
    /// Forwarding and weight.
    pub settings: RealServer,
}

/// How many checks in a row make a verdict.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counts {
    /// Failed checks in a row before a real server counts as failed.
    pub fall: NonZeroU32,
    /// Good checks in a row before it counts as good again.
    pub rise: NonZeroU32,
    /// Time from a failed check to the next one while [`Counts::fall`] is not reached, where
    /// that is sooner than the interval.
    pub recheck: Duration,
}

impl Counts {
    /// Most checks in a row that a file may ask for.
    pub const MAX: u32 = 1_000;
    /// `recheck` where the file has none.
    pub const DEFAULT_RECHECK: Duration = Duration::from_millis(500);
}

impl Default for Counts {
    /// Each check is a verdict.
    fn default() -> Self {
        Self {
            fall: NonZeroU32::MIN,
            rise: NonZeroU32::MIN,
            recheck: Self::DEFAULT_RECHECK,
        }
    }
}

/// What becomes of a real server that is withdrawn.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnFailure {
    /// It is taken out; its connections end.
    #[default]
    Remove,
    /// It stays with weight 0 for as long as it is withdrawn: connections go on, new ones go
    /// elsewhere.
    Quiesce,
    /// Weight 0 first; taken out when its connections have ended, after this long at the latest.
    Drain(Duration),
}

/// How many real servers stay in, whatever is said about them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MinLive {
    /// That many.
    Count(u32),
    /// That share of the declared ones in percent, 0 to 100, rounded up.
    Percent(u8),
}

impl MinLive {
    /// How many that is of `declared` real servers; never more than there are.
    #[must_use]
    pub const fn of(self, declared: usize) -> usize {
        match self {
            Self::Count(count) => {
                let count = count as usize;
                if count < declared { count } else { declared }
            }
            Self::Percent(percent) => declared.saturating_mul(percent as usize).div_ceil(100),
        }
    }
}

impl Default for MinLive {
    /// None has to stay.
    fn default() -> Self {
        Self::Count(0)
    }
}

/// Where the weight of a healthy real server comes from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum WeightFrom {
    /// The file.
    #[default]
    File,
    /// The latest good check that named one, until then the file.
    Check,
}

/// What is done with real servers before their first verdict (D16).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Initial {
    /// They are put in at once.
    In,
    /// They are kept out.
    Out,
    /// They stay as they are found.
    #[default]
    AsFound,
}

/// What becomes of a declared virtual service when the daemon ends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnExit {
    /// It stays as it is.
    #[default]
    Keep,
    /// Its real servers get weight 0.
    Quiesce,
    /// It is removed.
    Remove,
}

impl DeclaredService {
    /// One with mon's caution in all that a file may leave out, and no real server yet.
    #[must_use]
    pub fn new(key: VirtualServiceKey, settings: VirtualService) -> Self {
        Self {
            key,
            settings,
            servers: Vec::new(),
            fallback: None,
            counts: Counts::default(),
            on_failure: OnFailure::default(),
            min_live: MinLive::default(),
            slow_start: None,
            weight_from: WeightFrom::default(),
            initial: Initial::default(),
            foreign: Strangers::Removed,
            on_exit: OnExit::default(),
            witnesses: Vec::new(),
            alerts: Vec::new(),
            upalerts: Vec::new(),
        }
    }
}

impl DeclaredServer {
    /// The forwarding of a line that names none.
    pub const DEFAULT_FORWARDING: Forwarding = Forwarding::Dr;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_rounded_up_and_never_more_than_there_are() {
        let cases = [
            (MinLive::Count(0), 5, 0),
            (MinLive::Count(3), 5, 3),
            (MinLive::Count(9), 5, 5),
            (MinLive::Percent(0), 5, 0),
            (MinLive::Percent(1), 5, 1),
            (MinLive::Percent(50), 5, 3),
            (MinLive::Percent(100), 5, 5),
        ];
        for (min_live, declared, live) in cases {
            assert_eq!(min_live.of(declared), live, "{min_live:?} of {declared}");
        }
    }
}
