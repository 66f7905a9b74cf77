//! What is wished for a virtual service now, and what is said of what changed?

use std::collections::{BTreeMap, BTreeSet};

use crate::engine::binding::ground::Ground;
use crate::engine::binding::notes::{mend_notes, server_note};
use crate::engine::binding::owned::Naming;
use crate::engine::binding::{Bindings, change};
use crate::engine::desired::{HeldUntil, Survey, service};
use crate::engine::event::Action;
use crate::lvs::{ServerWish, VirtualServiceKey};
use crate::model::{HostName, ServiceId};

/// So many things that a person was told of a word are remembered, to be said once.
const TOLD_MAX: usize = 16;

impl Bindings {
    /// Computes the wishes for these virtual services afresh and says what changed.
    pub(super) fn decide(&mut self, keys: &BTreeSet<VirtualServiceKey>, actions: &mut Vec<Action>) {
        self.decide_after(keys, &BTreeSet::new(), actions);
    }

    /// The same where only these services said something new, but for what is to be computed
    /// as a `whole`.
    pub(super) fn decide_after(
        &mut self,
        whole: &BTreeSet<VirtualServiceKey>,
        services: &BTreeSet<ServiceId>,
        actions: &mut Vec<Action>,
    ) {
        let mut keys = whole.clone();
        for &service in services {
            keys.extend(self.virtual_services_by(service));
        }
        let mut is_changed = false;
        for key in keys {
            is_changed |= if whole.contains(&key) {
                self.decide_one(key, actions)
            } else {
                self.decide_claims(key, services, actions)
            };
        }
        if is_changed {
            actions.push(Action::ApplyTable);
        }
    }

    pub(super) fn decide_one(&mut self, key: VirtualServiceKey, actions: &mut Vec<Action>) -> bool {
        let mut survey = self.survey(key);
        let declared = self.words_of(key, &survey);
        self.wish_of_new(key, declared.keys().copied(), actions);
        let naming = naming(&survey);
        let before = self.desired.get(&key);
        let wish_before = |server| {
            before
                .and_then(|wanted| wanted.servers.get(&server))
                .copied()
        };
        let was_in = |server| matches!(wish_before(server), Some(ServerWish::In(_)));
        let dropped = self.owned.declare(key, naming, &declared, was_in, actions);
        let before = before.cloned();
        let manual = &self.manual;
        self.owned
            .lay_wishes(key, |server| manual.effect((key, server)));
        let held = self.held_by_lines(key, &survey);
        let wanted = match self.decide_section(key, &survey, actions) {
            Some(wanted) => wanted,
            None => {
                let wanted = service(
                    key,
                    &survey,
                    self.owned.is_made(key),
                    (self.owned.wishes(key), held.as_ref()),
                    |server, wish| self.manual.over((key, server), wish),
                );
                self.say_changes(key, &survey, (&wanted, &BTreeMap::new()), actions);
                wanted
            }
        };
        let left = change::departures(dropped, &declared).into_iter();
        let now = self.now.wall;
        actions.extend(left.map(|(server, change)| server_note((key, server), change, now)));
        if survey.is_declared && survey.section.is_none() {
            let ground = Ground::of(&survey, &wanted, held);
            self.grounds.insert(key, ground);
        } else {
            self.grounds.remove(&key);
        }
        self.take_note_of_staying(key, &survey, actions);
        self.say_held(key, &mut survey);
        self.say_problems(key, survey.problems, actions);
        let is_changed = before.as_ref() != Some(&wanted);
        if survey.is_declared || self.owned.is_made(key) || !wanted.servers.is_empty() {
            self.desired.insert(key, wanted);
            is_changed
        } else {
            self.desired.remove(&key).is_some()
        }
    }

    /// Says what a person should mend, each thing once.
    fn say_problems(
        &mut self,
        key: VirtualServiceKey,
        problems: BTreeMap<HostName, (Option<ServiceId>, String)>,
        actions: &mut Vec<Action>,
    ) {
        let mut told = self.told.remove(&key).unwrap_or_default();
        let mut tell: BTreeMap<HostName, BTreeSet<String>> = BTreeMap::new();
        let mut news: BTreeMap<Option<ServiceId>, Vec<(HostName, String)>> = BTreeMap::new();
        for (host, (service, text)) in problems {
            let mut texts = told.remove(&host).unwrap_or_default();
            if texts.len() >= TOLD_MAX {
                texts.clear();
            }
            if texts.insert(text.clone()) {
                news.entry(service).or_default().push((host.clone(), text));
            }
            tell.insert(host, texts);
        }
        // Where an answer turns nothing is known for a moment; what was said since stays said.
        let is_turning = |host: &HostName| self.addresses.changes_in(host, key.family());
        tell.extend(told.into_iter().filter(|(host, _)| is_turning(host)));
        let held = self.held_until(key).and_then(HeldUntil::address);
        for (service, mut new) in news {
            // What is said of it is more than of the others.
            new.sort_by_key(|(host, _)| Some(host) != held);
            actions.extend(mend_notes((key, service), new));
        }
        if !tell.is_empty() {
            self.told.insert(key, tell);
        }
    }

    /// A name begins to lead elsewhere: what a person was told of it was about something else.
    pub(super) fn forget_told(&mut self, host: &HostName) {
        for key in self.by_host.get(host).into_iter().flatten() {
            if let Some(told) = self.told.get_mut(key) {
                told.remove(host);
            }
        }
    }
}

/// What the file says of a virtual service itself.
const fn naming(survey: &Survey) -> Naming {
    if survey.creates.is_some() || survey.section.is_some() {
        Naming::Made
    } else if survey.is_declared {
        Naming::Named
    } else {
        Naming::Unnamed
    }
}
