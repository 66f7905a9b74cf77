//! The answers to "which role" and "are you well". Pure.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::pair::role::{Source, Uncounted, VipStanding};
use crate::pair::{InstanceName, Role, RoleKeeper, SaidRole, Sight, State};
use crate::time::Now;
use crate::wire;

/// What this director is to the other one, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RoleAnswer {
    /// Who answers, a director or one that only observes; none of a daemon that does not say it.
    #[serde(default)]
    pub source: Option<wire::Source>,
    /// What it is.
    pub role: Role,
    /// Why, for a person.
    pub why: String,
    /// Since when, in Unix seconds.
    pub since: i64,
    /// Whether people are told by this director.
    pub speaks: bool,
    /// What the file says of that: `active`, `standby` or `both`.
    pub speak: String,
    /// Messages that are held for the other one.
    pub held: u64,
    /// The virtual addresses of the file; the first decides.
    pub vips: Vec<VipRow>,
    /// What was said last of each instance.
    pub said: Vec<SaidRow>,
    /// How often something was said of an instance for which there is no place, since the start.
    #[serde(default)]
    pub unkept: u64,
    /// The FIFO of the file.
    pub fifo: Option<FifoRow>,
    /// Why nobody can see whether the addresses are here.
    pub blind: Option<String>,
    /// Connection synchronisation, where the file asks for it.
    pub sync: Option<SyncRow>,
    /// The link to the other director, where the file names one.
    #[serde(default)]
    pub peer: Option<PeerRow>,
    /// Why people are told by this director although `speak` leaves it to the other one.
    #[serde(default)]
    pub speaks_because: Option<String>,
    /// Why nobody is told although the file says nothing of a pair, and how to end that.
    #[serde(default)]
    pub silence: Option<String>,
    /// The role that is held back, because it changes too often.
    #[serde(default)]
    pub coming: Option<ComingRow>,
}

/// A role that is held back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ComingRow {
    /// What the director is then.
    pub role: Role,
    /// Why.
    pub why: String,
    /// When, in Unix seconds.
    pub time: i64,
}

/// The link to the other director.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PeerRow {
    /// Where it is.
    pub address: SocketAddr,
    /// Whether it is linked.
    pub linked: bool,
    /// Since when it is linked, or is no longer, in Unix seconds; none where it never was.
    pub since: Option<i64>,
    /// Why the last link ended or the last call failed; none while it is linked.
    pub fault: Option<String>,
    /// Its name; empty before the first link.
    pub name: String,
    /// Its role, as it said last.
    pub role: SaidRole,
    /// Whether it tells people, as it said last.
    pub speaks: Option<bool>,
    /// Its open outages, as it said last.
    pub outages: usize,
    /// By how many milliseconds its clock is ahead of ours.
    pub ahead_ms: i64,
    /// Why the roles of both do not go together, and what to do; none where they do, or nobody
    /// knows.
    #[serde(default)]
    pub discord: Option<(String, String)>,
    /// Connections that were refused: from elsewhere, or without the key.
    pub refused: u64,
    /// What either director told and had no room, counted each time.
    #[serde(default)]
    pub left_out: u64,
}

/// One virtual address.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VipRow {
    /// The address.
    pub address: IpAddr,
    /// Whether it is on an interface here; none where nobody knows.
    pub here: Option<bool>,
    /// The role for it.
    pub role: Role,
    /// Why.
    pub why: String,
}

/// What was said of an instance.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SaidRow {
    /// Which one; none: of all.
    pub instance: Option<InstanceName>,
    /// What it is.
    pub state: State,
    /// By whom.
    pub source: Source,
    /// When, in Unix seconds.
    pub time: i64,
    /// Whether a role may follow from it.
    #[serde(default)]
    pub counts: bool,
    /// Why none does; none where one may.
    #[serde(default)]
    pub uncounted: Option<Uncounted>,
}

/// The FIFO.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FifoRow {
    /// Where it is.
    pub path: PathBuf,
    /// Why it is not listened to.
    pub trouble: Option<String>,
    /// Words on instances that were heard of it.
    pub words: u64,
    /// Other lines since it was opened.
    pub others: u64,
}

/// Connection synchronisation.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SyncRow {
    /// The daemon that is wanted, such as `master on eth0, syncid 7`.
    pub wanted: String,
    /// Those that run; none where nobody could look.
    pub running: Option<Vec<String>>,
    /// What went wrong last.
    pub trouble: Option<String>,
}

/// Whether the daemon works: that it answers is the first half of it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct HealthAnswer {
    /// Who answers, a director or one that only observes; none where nobody does.
    #[serde(default)]
    pub source: Option<wire::Source>,
    /// What is stuck, for a person; empty where all is well.
    pub stuck: Vec<String>,
    /// What a person should mend although the daemon works.
    #[serde(default)]
    pub warnings: Vec<String>,
    /// Checks that go on.
    pub checks: u64,
    /// Services of the file.
    pub services: u64,
    /// Age of the oldest result of all services that should run, in seconds; none where there is
    /// no result yet.
    #[serde(default)]
    pub oldest_result_s: Option<u64>,
    /// How long the daemon has run, in seconds.
    pub up_s: u64,
    /// Its process; where it does not answer the one that holds the lock of the state folder,
    /// none where nobody does.
    pub pid: Option<u32>,
}

impl RoleAnswer {
    /// What the keeper knows; the rest is added by who has it.
    #[must_use]
    pub fn of(keeper: &RoleKeeper, now: Now) -> Self {
        let standing = keeper.standing();
        let settings = keeper.settings();
        let facts = keeper.facts();
        let named = facts.said.iter();
        let named = named.map(|(name, said)| (Some(name), said));
        let said = named.chain(facts.said_of_all.iter().map(|said| (None, said)));
        Self {
            source: None,
            role: standing.role,
            why: standing.why.clone(),
            since: keeper.since().seconds(),
            speaks: keeper.speaks(),
            speak: settings.speak.to_string(),
            held: 0,
            vips: keeper.vips().into_iter().map(vip).collect(),
            said: said
                .map(|(name, said)| {
                    let uncounted = keeper.uncounted(name, said);
                    SaidRow {
                        instance: name.cloned(),
                        state: said.state,
                        source: said.source,
                        time: said.at.seconds(),
                        counts: uncounted.is_none(),
                        uncounted,
                    }
                })
                .collect(),
            unkept: keeper.unkept(),
            fifo: None,
            blind: match &facts.sight {
                Sight::Blind(why) => Some(why.clone()),
                Sight::Unseen | Sight::Seen(_) => None,
            },
            sync: None,
            peer: None,
            speaks_because: keeper.speaks_because().map(str::to_owned),
            silence: None,
            coming: keeper.coming(now).map(|coming| ComingRow {
                role: coming.role,
                why: coming.why,
                time: coming.at.seconds(),
            }),
        }
    }
}

fn vip(vip: VipStanding) -> VipRow {
    VipRow {
        address: vip.address,
        here: vip.is_here,
        role: vip.standing.role,
        why: vip.standing.why,
    }
}
