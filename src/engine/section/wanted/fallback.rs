//! What is wanted of the fallback of a section, and when may it be used?
//!
//! It serves where nobody else does (D15), and not before the first verdicts (D16). Pure.

use crate::engine::manual::Effect;
use crate::engine::section::live::{Replacement, Reserve, ServedBy};
use crate::engine::section::wanted::held::{comes_back, in_place_of_names, serving_beside};
use crate::engine::section::wanted::{Facts, ServerRole, Wanted, over};
use crate::lvs::{ServerWish, Weight};
use crate::time::Mono;

/// What replaces all while first verdicts are waited for until then. A fallback whose name has no
/// address counts where what serves may be that, and nobody is put in its place.
pub(super) fn replacement(facts: &Facts<'_>, grace: Option<Mono>) -> Replacement {
    let is_served_beside = !in_place_of_names(facts).is_empty();
    let is_there =
        facts.fallback.is_some() || facts.addressless_fallback.is_some() && is_served_beside;
    // What was kept for names that lead to other servers now stays until one of these is good.
    let is_kept = facts.section.fallback.is_none() && facts.has_held && is_served_beside;
    match grace {
        None if is_kept && facts.addressless.is_empty() => Replacement::Held,
        _ if !is_there => Replacement::None,
        Some(_) => Replacement::NotYet,
        None if is_served_beside && !facts.addressless.is_empty() => Replacement::Held,
        None => Replacement::Ready,
    }
}

/// What a section has where its real servers fail, with this in the place of all.
pub(super) fn reserve(facts: &Facts<'_>, replacement: Replacement) -> Reserve {
    Reserve {
        min_live: facts.section.min_live.of(facts.declared),
        beside: in_place_of_names(facts).len().min(facts.addressless.len()),
        replacement,
    }
}

/// The same as wishes are: a fallback that takes no clients is none; where an operator wishes that,
/// it leaves as he wishes.
pub(super) fn in_use(facts: &Facts<'_>, declared: Reserve) -> Reserve {
    let replacement = match (&facts.section.fallback, fallback_weight(facts)) {
        (Some(_), Weight(0)) => Replacement::None,
        (Some(_), Weight(_)) | (None, _) => declared.replacement,
    };
    Reserve {
        replacement,
        ..declared
    }
}

/// The weight of the fallback while it is in; 0 where it is not to be in.
fn fallback_weight(facts: &Facts<'_>) -> Weight {
    let own = facts.section.fallback.as_ref();
    let own = own.map_or(Weight(0), |fallback| fallback.settings.weight);
    match facts.fallback_wished {
        None => own,
        Some(Effect::Weight(weight)) => weight,
        Some(Effect::Out) => Weight(0),
    }
}

/// Puts the fallback where it belongs.
pub(super) fn put_fallback(
    wanted: &mut Wanted,
    facts: &Facts<'_>,
    is_needed: bool,
    (by, replacement): (ServedBy, Replacement),
) {
    if let (Some(key), Some(fallback)) = (facts.fallback, &facts.section.fallback) {
        let (wish, role) = match (is_needed, by) {
            (true, _) => (ServerWish::In(fallback.settings), ServerRole::FallbackIn),
            (false, ServedBy::NobodyYet) if facts.put_in.contains(&key) => {
                (ServerWish::In(fallback.settings), ServerRole::FallbackIn)
            }
            // It may have been in before a restart: nobody else serves yet.
            (false, ServedBy::NobodyYet) => (ServerWish::AsFound, ServerRole::AsFound),
            // One that came back serves in its place.
            (false, ServedBy::Nobody) if replacement == Replacement::Held && !is_back(facts) => {
                (ServerWish::AsFound, ServerRole::AsFound)
            }
            (
                false,
                ServedBy::Fallback | ServedBy::Servers | ServedBy::TooFew | ServedBy::Nobody,
            ) => (ServerWish::Out, ServerRole::FallbackOut),
        };
        wanted.put(key, over(facts.fallback_wished, wish, role), role);
    }
}

/// Whether the kernel has one of those that come back, or had one since.
fn is_back(facts: &Facts<'_>) -> bool {
    let serving = serving_beside(facts);
    facts.has_returned || comes_back(facts).any(|server| serving.contains(&server))
}
