//! What a whole survey of a virtual service found that verdicts do not change: who claims
//! which real server. With it a verdict looks at the real servers of its own service only.
//!
//! A whole survey writes it anew, and only where addresses, the file or owned keys change; a
//! farm of ten thousand real servers in one virtual service would otherwise be looked at ten
//! thousand times while its first verdicts come in.

use std::collections::{BTreeMap, BTreeSet};

use crate::engine::binding::Bindings;
use crate::engine::binding::change::{Presence, server_change};
use crate::engine::binding::owned::Owned;
use crate::engine::binding::usual::Usual;
use crate::engine::desired::{
    Claim, Places, Stand, Survey, causes, is_in, server_wish, service_wish,
};
use crate::engine::event::Action;
use crate::engine::manual::EntryKey;
use crate::engine::section::wanted::{Held, HeldUntil};
use crate::lvs::{DesiredService, RealServerKey, Scheduler, ServerWish, VirtualServiceKey};
use crate::model::{HostName, ServiceId, Withdraws};

/// The claims to the real servers of one virtual service, without what their services say.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Ground {
    /// Never empty, in file order: the binding as an index into the Model, and its host word.
    claims: BTreeMap<RealServerKey, Vec<(usize, HostName)>>,
    claimed_by: BTreeMap<ServiceId, BTreeSet<RealServerKey>>,
    creates: Option<Scheduler>,
    /// Services that withdraw the virtual service itself at this moment (`-D`).
    withdrawn_by: BTreeSet<ServiceId>,
    /// How many real servers are wanted in at this moment.
    in_count: usize,
    /// What stays since a name has no address.
    pub(super) held: Option<Held>,
}

impl Ground {
    /// What stays of a survey.
    pub(super) fn of(survey: &Survey, wanted: &DesiredService, held: Option<Held>) -> Self {
        let mut ground = Self {
            creates: survey.creates.clone(),
            withdrawn_by: survey.withdrawn_by.iter().map(|it| it.service).collect(),
            in_count: wanted.servers.values().filter(|wish| is_in(wish)).count(),
            held,
            ..Self::default()
        };
        for (&server, claims) in &survey.servers {
            let words = claims.iter();
            let words = words.filter_map(|it| Some((it.binding?, it.host.clone())));
            ground.claims.insert(server, words.collect());
            for claim in claims {
                let claimed = ground.claimed_by.entry(claim.service).or_default();
                claimed.insert(server);
            }
        }
        ground
    }
}

impl Bindings {
    /// Computes the wishes for what these services claim of a virtual service, after they said
    /// something new; whether a wish changed. All else about it is as the last whole survey
    /// left it, which is made again only where the withdrawal of the whole (`-D`) begins or
    /// ends.
    pub(super) fn decide_claims(
        &mut self,
        key: VirtualServiceKey,
        services: &BTreeSet<ServiceId>,
        actions: &mut Vec<Action>,
    ) -> bool {
        let withdrawing: BTreeSet<ServiceId> = services
            .iter()
            .filter(|&&service| self.withdraws_all(key, service))
            .copied()
            .collect();
        let (Some(ground), Some(wanted)) = (self.grounds.get(&key), self.desired.get(&key)) else {
            return self.decide_one(key, actions);
        };
        let mut others = ground.withdrawn_by.iter();
        let is_absent = !withdrawing.is_empty() || others.any(|it| !services.contains(it));
        // What stays until these are judged may leave now.
        let until = ground.held.as_ref().map(|it| &it.until);
        let ends_with_verdict = until.is_some_and(|until| until.address().is_none());
        if is_absent == ground.withdrawn_by.is_empty() || ends_with_verdict {
            return self.decide_one(key, actions);
        }
        let mut changes = Vec::new();
        let mut judged = Vec::new();
        // While the whole is withdrawn each real server is out, whatever is said about it.
        if !is_absent {
            let claimed = services.iter().filter_map(|it| ground.claimed_by.get(it));
            for server in claimed.flatten().copied().collect::<BTreeSet<_>>() {
                let claims = self.claims_to(ground, server);
                let own = server_wish(&claims);
                judged.push((server, own));
                let wish = self.manual.over((key, server), own);
                let before = wanted.servers.get(&server).copied();
                if before != Some(wish) {
                    changes.push((server, before, wish, claims));
                }
            }
        }
        let (Some(ground), Some(wanted)) = (self.grounds.get_mut(&key), self.desired.get_mut(&key))
        else {
            return false;
        };
        for (server, own) in judged {
            note_usual(&mut self.owned, (key, server), own, actions);
        }
        ground.withdrawn_by.retain(|it| !services.contains(it));
        ground.withdrawn_by.extend(withdrawing);
        let is_changed = !changes.is_empty();
        let mut said = Vec::new();
        for (server, before, wish, claims) in changes {
            if before.as_ref().is_some_and(is_in) {
                ground.in_count = ground.in_count.saturating_sub(1);
            }
            ground.in_count += usize::from(is_in(&wish));
            wanted.servers.insert(server, wish);
            let causes = || causes(&claims);
            let wished = |effect| self.manual.reason_for((key, server), effect);
            let (before, now) = (Presence::of(before, None), Presence::of(Some(wish), None));
            if let Some(change) = server_change(before, now, causes, wished) {
                said.push((server, before, change, claims));
            }
        }
        if is_changed {
            let has_in = ground.in_count > 0;
            wanted.service = service_wish(key, ground.creates.as_ref(), is_absent, has_in);
        }
        for (server, before, change, claims) in said {
            let entry = (key, server);
            let since = self.so_since(entry, before, &change, &claims);
            actions.push(super::notes::server_note(entry, change, since));
        }
        is_changed
    }

    /// Takes note of whether names keep what the file does not name any more, and of what
    /// `lvs.alert` lines want of their real servers; a section does so itself with its own.
    pub(super) fn take_note_of_staying(
        &mut self,
        key: VirtualServiceKey,
        survey: &Survey,
        actions: &mut Vec<Action>,
    ) {
        match self.held_until(key) {
            Some(HeldUntil::Address(_)) => self.owned.hold(key, true, actions),
            None if survey.section.is_none() => self.owned.hold(key, false, actions),
            Some(HeldUntil::Served | HeldUntil::Judged) | None => {}
        }
        if !survey.withdrawn_by.is_empty() {
            return;
        }
        let of_section = survey.section.as_ref().map(Places::keys);
        let of_section = of_section.unwrap_or_default();
        let of_lines = survey.servers.iter();
        let of_lines = of_lines.filter(|(it, _)| !of_section.contains(it));
        for (&server, claims) in of_lines {
            note_usual(&mut self.owned, (key, server), server_wish(claims), actions);
        }
    }

    /// What is said about one real server now.
    fn claims_to(&self, ground: &Ground, server: RealServerKey) -> Vec<Claim> {
        let words = ground.claims.get(&server).into_iter().flatten();
        words
            .filter_map(|(index, host)| {
                let binding = self.model.bindings.get(*index)?;
                let part = Self::part_about(binding, host);
                Some(self.claim(*index, binding, (host, server.0.port()), &part))
            })
            .collect()
    }

    /// Whether the service withdraws the virtual service itself now.
    fn withdraws_all(&self, key: VirtualServiceKey, service: ServiceId) -> bool {
        let judge = self.judges.get(&service);
        let indexes = judge.into_iter().flat_map(|judge| &judge.bindings);
        indexes
            .filter_map(|&index| self.model.bindings.get(index))
            .filter(|it| it.virtual_service == key && it.withdraws == Withdraws::VirtualService)
            .any(|binding| {
                let mut parts = self.parts_of(binding).into_iter();
                parts.any(|(host, port, part)| {
                    let stand = self.stand(binding, (host, port), &part);
                    matches!(stand, Stand::Withdraws(_))
                })
            })
    }
}

/// Takes note of what its checks want of a real server, whatever operators wish.
fn note_usual(owned: &mut Owned, entry: EntryKey, own: ServerWish, actions: &mut Vec<Action>) {
    match own {
        ServerWish::In(settings) => owned.serves(entry, Usual::Server(settings), actions),
        ServerWish::Out => owned.serves(entry, Usual::Unknown, actions),
        ServerWish::AsFound => {}
    }
}
