//! What must hold of the real servers of sections after every step: none is out without
//! somebody who says so, enough are in, and the fallback is in when nobody else is.

use std::collections::BTreeMap;

use lvsmon::engine::Engine;
use lvsmon::engine::desired::{RealServerView, ServerRole, ZeroBy};
use lvsmon::engine::event::ManualWish;
use lvsmon::engine::manual::DrainView;
use lvsmon::lvs::{Protocol, RealServerKey, ServerWish, Table, VirtualServiceKey, Weight};
use lvsmon::model::{DeclaredService, Initial, WeightFrom};

/// What an operator's wish does to a real server.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Wished {
    Nothing,
    Weight(u32),
    Out,
}

fn wished(view: &RealServerView) -> Wished {
    let Some(manual) = &view.manual else {
        return Wished::Nothing;
    };
    match (manual.wish, manual.drain) {
        (ManualWish::Disable, _) | (_, Some(DrainView::Done(_))) => Wished::Out,
        (ManualWish::Quiesce | ManualWish::Drain { .. }, _) => Wished::Weight(0),
        (ManualWish::Weight { weight }, _) => Wished::Weight(weight),
    }
}

/// A real server is out only with a withdrawal, a wish or a line of the file to show for it.
pub(crate) fn nobody_is_out_without_a_reason(engine: &Engine, views: &[RealServerView]) {
    let model = engine.model();
    for view in views.iter().filter(|view| view.wish == ServerWish::Out) {
        let mut sections = model.virtual_services.iter();
        let section = sections.find(|it| it.key == view.virtual_service);
        let is_untested = !view.untested.is_empty() || !view.left_out.is_empty();
        let is_dropped = view.hosts.is_empty();
        let is_out_at_first = section.is_some_and(|it| it.initial == Initial::Out) && is_untested;
        let has_reason = !view.withdrawals.is_empty()
            || wished(view) == Wished::Out
            || view.role == Some(ServerRole::FallbackOut)
            || is_out_at_first
            || is_dropped;
        assert!(has_reason, "out, and nobody says why: {view:?}");
    }
}

/// Real servers of one section, counted.
#[derive(Debug, Default)]
struct Tally {
    /// Those that take clients.
    live: usize,
    /// Those that could: nobody's wish is against it, and it is tested or in.
    able: usize,
    /// Healthy ones with weight 0 by their checks: `min_live` may keep them in.
    spent: usize,
    is_fallback_in: bool,
    /// Withdrawn ones that the kernel does not have in.
    failed_and_out: usize,
    /// The first verdict on one that is not in is waited for: none that failed is put in.
    awaits: bool,
    /// First verdicts are waited for.
    has_spare_as_found: bool,
    is_decided: bool,
}

/// `kernel` is what the engine saw of the table last; `is_waiting` tells whether first verdicts
/// are waited for.
pub(crate) fn sections_are_served(
    engine: &Engine,
    views: &[RealServerView],
    kernel: Option<&Table>,
    is_waiting: bool,
) {
    for section in &engine.model().virtual_services {
        let mine = views.iter().filter(|it| it.virtual_service == section.key);
        let mine: Vec<&RealServerView> = mine.collect();
        nobody_starts_slowly_beside_a_kept_one(&mine);
        let tally = tally(section, &mine, kernel);
        if !tally.is_decided {
            continue;
        }
        let least = section.min_live.of(section.servers.len());
        if tally.has_spare_as_found {
            // Not beside what may be the real server of a name without an address.
            let is_held = engine.held_until(section.key).is_some();
            assert!(
                is_waiting || is_held || tally.able == 0,
                "waiting for nothing: {mine:#?}"
            );
        } else if tally.is_fallback_in {
            assert_eq!(tally.live, 0, "the fallback beside others: {mine:#?}");
        } else {
            assert!(
                tally.live >= least.min(tally.able + tally.spent),
                "{tally:?}, min_live {least}: {mine:#?}"
            );
            let has_fallback = mine
                .iter()
                .any(|it| it.role == Some(ServerRole::FallbackOut));
            assert!(
                !has_fallback || tally.live > 0 || tally.able + tally.spent == 0,
                "nobody serves, nor does the fallback: {mine:#?}"
            );
        }
    }
}

/// Or the one that failed would get most clients.
fn nobody_starts_slowly_beside_a_kept_one(views: &[&RealServerView]) {
    let has_kept = views.iter().any(|it| it.role == Some(ServerRole::Kept));
    let is_slow =
        |it: &&RealServerView| matches!(it.role, Some(ServerRole::Serves { share: 0..=99 }));
    assert!(
        !has_kept || !views.iter().any(is_slow),
        "starts slowly beside one that failed: {views:#?}"
    );
}

fn tally(section: &DeclaredService, views: &[&RealServerView], kernel: Option<&Table>) -> Tally {
    let mut tally = Tally::default();
    for view in views {
        let (Some(role), Some(server)) = (view.role, view.server) else {
            // An address is waited for as a verdict is.
            tally.awaits |= view.server.is_none();
            continue;
        };
        let fallback = section.fallback.as_ref();
        let is_spare = fallback.is_some_and(|it| view.hosts.contains(&it.host));
        let key = (section.key, server);
        let weight = wanted(view, in_kernel(kernel, key));
        let is_taken = matches!(wished(view), Wished::Out | Wished::Weight(0));
        let (may_serve, serves) = match role {
            ServerRole::Unseen => continue,
            ServerRole::AsFound if is_spare => {
                tally.has_spare_as_found = true;
                tally.is_fallback_in = weight.is_some();
                continue;
            }
            ServerRole::Serves { .. } => {
                assert!(
                    view.withdrawals.is_empty(),
                    "withdrawn, and serves: {view:?}"
                );
                let has_weight = weight > Some(Weight(0));
                let is_spent = matches!(view.zero_by, Some(ZeroBy::Checks(_)));
                assert!(
                    has_weight || is_taken || view.zero_by.is_some(),
                    "weight 0, and nobody says so: {view:?}"
                );
                tally.spent += usize::from(!has_weight && is_spent && !is_taken);
                (has_weight, has_weight)
            }
            ServerRole::Kept => {
                assert!(may_be_kept(section, view), "kept without need: {view:?}");
                let own = wished(view) == Wished::Nothing;
                assert!(
                    !own || weight > Some(Weight(0)),
                    "kept with no weight: {view:?}"
                );
                (true, true)
            }
            ServerRole::Quiesced | ServerRole::Draining { .. } | ServerRole::Out => {
                is_rightly_out(section, view, role, weight);
                let is_in = in_kernel(kernel, key) > Some(Weight(0));
                tally.failed_and_out += usize::from(!is_in && !is_taken);
                (true, false)
            }
            ServerRole::InUntested => (true, true),
            ServerRole::OutUntested => (false, false),
            ServerRole::AsFound => {
                let is_there = weight > Some(Weight(0));
                (is_there, is_there)
            }
            ServerRole::FallbackIn => {
                // One that an operator takes away replaces nobody.
                tally.is_fallback_in = !is_taken;
                continue;
            }
            ServerRole::FallbackOut => continue,
        };
        tally.is_decided = true;
        tally.awaits |= !may_serve && !is_taken && !view.untested.is_empty();
        tally.able += usize::from(may_serve && !is_taken);
        tally.live += usize::from(serves && !is_taken);
    }
    if tally.awaits {
        tally.able -= tally.failed_and_out;
    }
    tally
}

/// The weight that it is to have; none where it is to be out.
const fn wanted(view: &RealServerView, found: Option<Weight>) -> Option<Weight> {
    match view.wish {
        ServerWish::In(settings) => Some(settings.weight),
        ServerWish::Out => None,
        ServerWish::AsFound => found,
    }
}

/// One whose checks withdraw it takes no clients.
fn is_rightly_out(
    section: &DeclaredService,
    view: &RealServerView,
    role: ServerRole,
    weight: Option<Weight>,
) {
    // Datagrams of a client would go to it for ever.
    assert!(
        role == ServerRole::Out || !is_udp(section.key),
        "a failed UDP server stays: {view:?}"
    );
    assert!(
        !view.withdrawals.is_empty(),
        "nobody withdraws it: {view:?}"
    );
    let has_weight = weight > Some(Weight(0));
    assert!(!has_weight, "withdrawn, and takes clients: {view:?}");
}

pub(crate) const fn is_udp(key: VirtualServiceKey) -> bool {
    matches!(key, VirtualServiceKey::Address(Protocol::Udp, _))
}

/// Withdrawn, or perhaps given weight 0 by its check.
fn may_be_kept(section: &DeclaredService, view: &RealServerView) -> bool {
    section.weight_from == WeightFrom::Check || !view.withdrawals.is_empty()
}

fn in_kernel(
    kernel: Option<&Table>,
    (key, server): (VirtualServiceKey, RealServerKey),
) -> Option<Weight> {
    let found = kernel?.get(&key)?.servers.get(&server)?;
    Some(found.weight)
}

/// How many real servers of each section are wanted with a weight, or left with that of the kernel.
pub(crate) fn wanted_live(
    engine: &Engine,
    kernel: Option<&Table>,
) -> BTreeMap<VirtualServiceKey, usize> {
    let sections = engine.model().virtual_services.iter();
    let counts = sections.filter_map(|section| {
        let wanted = engine.desired().get(&section.key)?;
        let has_weight = |&(server, wish): &(&RealServerKey, &ServerWish)| match wish {
            ServerWish::In(settings) => settings.weight > Weight(0),
            ServerWish::AsFound => in_kernel(kernel, (section.key, *server)) > Some(Weight(0)),
            ServerWish::Out => false,
        };
        Some((
            section.key,
            wanted.servers.iter().filter(has_weight).count(),
        ))
    });
    counts.collect()
}
