//! Which role follows from what is known?
//!
//! A level: the same facts give the same role, whatever came before. FAULT and STOP beat the
//! address, the address beats MASTER and BACKUP (D27): a VRRP daemon that cannot take part must
//! not be believed to, and its messages may be missed, repeated or early, while the address is
//! either here or not. The role of the director is that of its first address, so that of two
//! directors which share out several addresses exactly one speaks.

mod kept;

use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::pair::fifo::{InstanceName, State};
use crate::pair::settings::{PairSettings, Vip};
use crate::text::words_line;
use crate::time::Wall;

/// What this director is to the other one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Nothing says that there is another one: it does all there is to do.
    Alone,
    /// It holds the virtual address.
    Active,
    /// The other one does; this one is ready.
    Standby,
    /// It cannot take part: the VRRP daemon says FAULT or has ended.
    Fault,
}

impl Role {
    /// All of them, in the order of declaration.
    pub const ALL: [Self; 4] = [Self::Alone, Self::Active, Self::Standby, Self::Fault];

    /// Whether the traffic comes here, for all that is known.
    #[must_use]
    pub const fn is_active(self) -> bool {
        match self {
            Self::Alone | Self::Active => true,
            Self::Standby | Self::Fault => false,
        }
    }

    /// The word for it, here and in JSON.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Alone => "alone",
            Self::Active => "active",
            Self::Standby => "standby",
            Self::Fault => "fault",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.word())
    }
}

/// What a director says that its role is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub enum SaidRole {
    /// One that this version knows.
    Known(Role),
    /// None yet, or one of a later version: nothing follows from it.
    #[default]
    Unknown,
}

impl SaidRole {
    /// The word for it.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Known(role) => role.word(),
            Self::Unknown => "unknown",
        }
    }
}

impl From<String> for SaidRole {
    fn from(word: String) -> Self {
        let role = Role::ALL.into_iter().find(|role| role.word() == word);
        role.map_or(Self::Unknown, Self::Known)
    }
}

impl From<SaidRole> for String {
    fn from(role: SaidRole) -> Self {
        role.word().to_owned()
    }
}

impl fmt::Display for SaidRole {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.word())
    }
}

/// Who said it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// The FIFO.
    Fifo,
    /// `lvsmon role`: a person or a notify script.
    Command,
}

/// Why no role follows from a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Uncounted {
    /// It is one of the FIFO, and the file has no `notify_fifo`.
    NoFifo,
    /// The file names other instances.
    OthersNamed,
    /// The file does not name it, and another one is the first by name.
    NotFirst,
}

/// What was said last of an instance.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Said {
    /// What it is.
    pub state: State,
    /// When it was said.
    pub at: Wall,
    /// By whom.
    pub source: Source,
    /// Counts what is said: of two words the one with the greater number is newer.
    pub number: u64,
}

impl Said {
    /// Whether a role may follow from it in a file with these settings. A word of the FIFO counts
    /// only while the file names one: of a pair that is dissolved nobody would take it back. It is
    /// kept all the same, since nobody says it again where the file names a FIFO again.
    #[must_use]
    pub const fn counts(&self, settings: &PairSettings) -> bool {
        match self.source {
            Source::Fifo => settings.notify_fifo.is_some(),
            Source::Command => true,
        }
    }
}

/// Addresses that were looked for, and whether each is here.
pub type Found = BTreeMap<IpAddr, bool>;

/// What a look for the virtual addresses found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Sight {
    /// Nobody has looked yet.
    #[default]
    Unseen,
    /// For each that was looked for, whether it is on an interface, other than by the loopback
    /// device or in host scope.
    Seen(Found),
    /// The system did not say.
    Blind(String),
}

/// All that is known.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// What was said of instances; at most [`Facts::INSTANCES_MAX`].
    pub said: BTreeMap<InstanceName, Said>,
    /// What was said without a name: it is meant for all.
    pub said_of_all: Option<Said>,
    /// What the last look came to.
    pub sight: Sight,
    /// Which addresses are here, for those that were looked for.
    pub found: Found,
    /// The role that followed when something was known last; none before the first time.
    pub before: Option<Role>,
    /// Since then, or since the start, nothing was known for long.
    pub has_waited: bool,
}

impl Facts {
    /// Most instances that are remembered: twice as many as there are VRIDs on one network, and
    /// more than a file can name, so that one that counts always finds a place.
    pub const INSTANCES_MAX: usize = 512;

    /// Whether a role may follow from any word.
    fn has_words(&self, settings: &PairSettings) -> bool {
        let mut words = self.said.values().chain(&self.said_of_all);
        words.any(|said| said.counts(settings))
    }

    /// The newest word on an instance, of those that count.
    fn of(
        &self,
        settings: &PairSettings,
        instance: Option<&InstanceName>,
    ) -> Option<(Option<&InstanceName>, &Said)> {
        let named = instance.and_then(|name| self.said.get_key_value(name));
        let named = named.map(|(name, said)| (Some(name), said));
        let of_all = self.said_of_all.as_ref().map(|said| (None, said));
        let both = [named, of_all].into_iter().flatten();
        let both = both.filter(|(_, said)| said.counts(settings));
        let newest = both.max_by_key(|(_, said)| said.number);
        newest.filter(|(_, said)| said.state != State::Deleted)
    }

    /// The instance that counts where none is named.
    pub(in crate::pair) fn first(&self, settings: &PairSettings) -> Option<&InstanceName> {
        let is_known = |said: &Said| said.state != State::Deleted && said.counts(settings);
        let mut said = self.said.iter();
        said.find_map(|(name, said)| is_known(said).then_some(name))
    }
}

/// A role, and why it is that one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoleStanding {
    /// What it is.
    pub role: Role,
    /// In words for a person.
    pub why: String,
}

impl RoleStanding {
    fn new(role: Role, why: impl Into<String>) -> Self {
        let why = why.into();
        Self { role, why }
    }
}

/// The role for one virtual address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VipStanding {
    /// The address.
    pub address: IpAddr,
    /// Whether it is here; none where nobody knows.
    pub is_here: Option<bool>,
    /// What follows.
    pub standing: RoleStanding,
}

/// The role of the director.
#[must_use]
pub fn of_director(settings: &PairSettings, facts: &Facts) -> RoleStanding {
    known(settings, facts).unwrap_or_else(|| unknown(facts))
}

/// Whether the role of the director follows from something that is known.
#[must_use]
pub fn is_known(settings: &PairSettings, facts: &Facts) -> bool {
    known(settings, facts).is_some()
}

fn known(settings: &PairSettings, facts: &Facts) -> Option<RoleStanding> {
    match settings.vips.first() {
        Some(vip) => of_vip(settings, facts, vip),
        None if !settings.has_source() && !facts.has_words(settings) => {
            let why = "the file names no notify_fifo and no vip";
            Some(RoleStanding::new(Role::Alone, why))
        }
        None => by_word(settings, facts, settings.notify_instance.as_ref(), None),
    }
}

/// By which word of `lvsmon role` a director tells nobody whose file says nothing of a pair, and
/// how to end that, for a person. Notify scripts need no setting, so that such a word counts; where
/// the pair is no more, nobody takes it back.
#[must_use]
pub fn silence(settings: &PairSettings, facts: &Facts) -> Option<String> {
    if *settings != PairSettings::default() {
        return None;
    }
    let (name, said) = facts.of(settings, facts.first(settings))?;
    let (of, option) = name.map_or_else(Default::default, |name| {
        let word = words_line(&[name.to_string()]);
        (format!(" of {name}"), format!(" --instance {word}"))
    });
    let state = match said.state {
        State::Master | State::Deleted => return None,
        state @ (State::Backup | State::Fault | State::Stop) => state,
    };
    Some(format!(
        "this director tells nobody, as lvsmon role said {state}{of}, and the file has no \
         notify_fifo, vip or peer: where no other director tells people, end that with lvsmon \
         role DELETED{option}"
    ))
}

/// Where nothing is known the role stays what it was, for a while.
fn unknown(facts: &Facts) -> RoleStanding {
    match facts.before {
        _ if facts.has_waited => RoleStanding::new(
            Role::Active,
            "nothing was heard of a role for long: better two that speak than none",
        ),
        Some(before) => RoleStanding::new(
            before,
            format!("nothing is known of the role at the moment, it was {before} before"),
        ),
        None => RoleStanding::new(Role::Standby, "nothing was heard of a role yet"),
    }
}

/// The role for each virtual address of the file.
#[must_use]
pub fn of_vips(settings: &PairSettings, facts: &Facts) -> Vec<VipStanding> {
    let vips = settings.vips.iter();
    vips.map(|vip| VipStanding {
        address: vip.address,
        is_here: facts.found.get(&vip.address).copied(),
        standing: of_vip(settings, facts, vip).unwrap_or_else(|| unknown(facts)),
    })
    .collect()
}

fn of_vip(settings: &PairSettings, facts: &Facts, vip: &Vip) -> Option<RoleStanding> {
    let is_here = facts.found.get(&vip.address);
    let instance = vip.instance.as_ref().or(settings.notify_instance.as_ref());
    by_word(
        settings,
        facts,
        instance,
        is_here.map(|here| (vip.address, *here)),
    )
}

/// What follows from the state of an instance and from an address that is here or is not.
fn by_word(
    settings: &PairSettings,
    facts: &Facts,
    instance: Option<&InstanceName>,
    address: Option<(IpAddr, bool)>,
) -> Option<RoleStanding> {
    let newest = facts.of(settings, instance.or_else(|| facts.first(settings)));
    let words = newest.map(|(name, said)| {
        let of = name.map_or_else(String::new, |name| format!(" of {name}"));
        let who = match said.source {
            Source::Fifo => "the FIFO says",
            Source::Command => "lvsmon role said",
        };
        (said.state, format!("{who} {}{of}", said.state))
    });
    Some(match (words, address) {
        (Some((State::Fault | State::Stop, words)), _) => RoleStanding::new(Role::Fault, words),
        (words, Some((address, is_here))) => {
            let (role, found, other) = if is_here {
                let found = format!("{address} is on an interface here");
                (Role::Active, found, State::Backup)
            } else {
                let found = format!("{address} is on no interface here");
                (Role::Standby, found, State::Master)
            };
            let doubt = words.filter(|(state, _)| *state == other);
            let doubt = doubt.map_or_else(String::new, |(_, words)| format!(", although {words}"));
            RoleStanding::new(role, format!("{found}{doubt}"))
        }
        (Some((State::Master, words)), None) => RoleStanding::new(Role::Active, words),
        (Some((State::Backup, words)), None) => RoleStanding::new(Role::Standby, words),
        (None | Some((State::Deleted, _)), None) => return None,
    })
}

#[cfg(test)]
mod tests;
