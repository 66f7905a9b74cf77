//! What stays of that which the file does not name, or not any more, and until when?
//!
//! It may be the real server of a name without an address, or all that serves (D7). Pure.

use std::collections::BTreeSet;
use std::fmt;

use crate::engine::section::live::{Replacement, Reserve, ServedBy, ServerStanding, live};
use crate::engine::section::wanted::{Facts, Health};
use crate::lvs::{RealServerKey, ServerWish, Strangers, Weight};
use crate::model::HostName;

/// One declared real server that may get clients and whose name has no usable address; of a
/// section, or of an `lvs.alert` line.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Addressless<'a> {
    pub(crate) host: &'a HostName,
    pub(crate) lookup: Lookup,
}

/// What was heard of a name without a usable address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lookup {
    /// It is looked up for the first time.
    GoesOn,
    /// There is none, or none that can be used.
    Failed,
}

/// What the file does not name, or not any more, stays for now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Held {
    pub(crate) until: HeldUntil,
    /// Those that the kernel had in with a weight above 0 at the latest look.
    pub(crate) serving: Vec<RealServerKey>,
}

/// When what the file does not name leaves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HeldUntil {
    /// It may be the real server of this name, which has no address: when that has one.
    Address(HostName),
    /// Nobody of the file serves, and nobody can judge one of them, so that it may be all that
    /// ever serves; or it was kept for a name that leads to another server now, and that is not
    /// good yet: when one of them is in.
    Served,
    /// It was kept for a name of `lvs.alert` lines, which leads to another server now: when all
    /// are judged.
    Judged,
}

impl HeldUntil {
    /// The name that has no address, where it is that.
    pub(crate) const fn address(&self) -> Option<&HostName> {
        match self {
            Self::Address(name) => Some(name),
            Self::Served | Self::Judged => None,
        }
    }
}

impl fmt::Display for HeldUntil {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(name) => write!(f, "{name} has a usable address"),
            Self::Served => f.write_str("a real server of the file serves"),
            Self::Judged => f.write_str("all real servers of the file have a verdict"),
        }
    }
}

/// What stays since a name has no address, of a real server or of a fallback that is needed, as
/// where it would replace those that `min_live` keeps; or since nobody else serves.
pub(super) fn held(
    facts: &Facts<'_>,
    by: ServedBy,
    (standings, reserve): (&[ServerStanding], Reserve),
) -> Option<Held> {
    let if_ready = Reserve {
        replacement: Replacement::Ready,
        ..reserve
    };
    let is_needed = match by {
        ServedBy::Servers | ServedBy::TooFew => live(standings, if_ready).by == ServedBy::Fallback,
        ServedBy::Fallback | ServedBy::Nobody | ServedBy::NobodyYet => true,
    };
    let server = until(&facts.addressless).or_else(|| until(&facts.addressless_of_lines));
    let address = server.or(facts.addressless_fallback.filter(|_| is_needed));
    let until = match address {
        Some(name) => HeldUntil::Address(name.clone()),
        None if is_all_unserved(facts, by) => HeldUntil::Served,
        None => return None,
    };
    Some(Held {
        until,
        serving: serving_beside(facts),
    })
}

/// Whether nobody of the file serves, and one has no verdict nor is to get one: the others may be
/// judged and gone for good. Or what stayed for a name serves in the place of it.
fn is_all_unserved(facts: &Facts<'_>, by: ServedBy) -> bool {
    match by {
        ServedBy::Servers | ServedBy::TooFew | ServedBy::Fallback => false,
        ServedBy::Nobody | ServedBy::NobodyYet => {
            let mut servers = facts.servers.iter();
            facts.has_held || servers.any(|it| it.health == Health::Unheard)
        }
    }
}

/// The name that a person is told of where several have no address: one that was looked up in
/// vain.
pub(crate) fn until<'a>(addressless: &[Addressless<'a>]) -> Option<&'a HostName> {
    let mut in_vain = addressless.iter();
    let in_vain = in_vain.find(|it| it.lookup == Lookup::Failed);
    in_vain.or(addressless.first()).map(|it| it.host)
}

/// Those that no word of the file stands for and that serve, or are about to: they may be what
/// names without an address lead to. Not one that failed, nor what others are to have there.
pub(super) fn in_place_of_names(facts: &Facts<'_>) -> BTreeSet<RealServerKey> {
    let may_be = |server: &RealServerKey| match facts.leaving.get(server) {
        Some(it) if it.has_failed => false,
        Some(it) => match it.wish {
            ServerWish::In(settings) => settings.weight > Weight(0),
            ServerWish::Out => false,
            ServerWish::AsFound => true,
        },
        None => facts.section.foreign != Strangers::Kept,
    };
    let serving = serving_beside(facts).into_iter().filter(may_be);
    serving.chain(comes_back(facts)).collect()
}

/// Those that the file does not name any more and that are wanted in, with a weight above 0. One
/// that failed gives way to others.
pub(super) fn comes_back(facts: &Facts<'_>) -> impl Iterator<Item = RealServerKey> {
    let leaving = facts.leaving.iter().filter(|(_, it)| !it.has_failed);
    leaving.filter_map(|(&server, it)| match it.wish {
        ServerWish::In(settings) => (settings.weight > Weight(0)).then_some(server),
        ServerWish::Out | ServerWish::AsFound => None,
    })
}

/// Those that the kernel has in with a weight above 0 and that no word of the file stands for.
pub(super) fn serving_beside(facts: &Facts<'_>) -> Vec<RealServerKey> {
    let own = facts.servers.iter().map(|it| it.key).chain(facts.fallback);
    let own: BTreeSet<RealServerKey> = own.collect();
    let is_beside = |it: &RealServerKey| !own.contains(it) && !facts.others.contains_key(it);
    let found = facts.kernel.into_iter().flatten();
    found
        .filter(|(server, found)| found.weight > Weight(0) && is_beside(server))
        .map(|(&server, _)| server)
        .collect()
}
