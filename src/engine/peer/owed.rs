//! Of which outages that the peer told people of is the end still to be told?
//!
//! A director that comes back in mid-outage may see the recovery before its first failed check, or
//! see fewer failures than the peer did: to its own rules nobody was alerted. The peer says for
//! which periods it alerted, and what of that was delivered. Whoever tells people when the service
//! is good again tells them (D26): the peer itself where it does, or we, who are taken for one that
//! saw the outage.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::engine::event::Status;
use crate::engine::peer::name;
use crate::engine::peer::troubles::OwedTroubles;
use crate::engine::state::{EventText, Outage, PeriodMemory};
use crate::engine::{Engine, numbering};
use crate::model::ServiceId;
use crate::pair::Speaking;
use crate::pair::talk::conversation::OUTAGES_MAX;
use crate::pair::talk::word::ServiceName;
use crate::pair::talk::{EventId, EventKind, Reached};
use crate::time::Now;

/// What people hear of the failure, which the peer saw and this director did not.
pub(super) const SEEN_THERE: &str = "the other director found the failure\n";

/// What the peer told of its latest outage of each service.
#[derive(Debug, Default)]
pub(super) struct Owed {
    /// While it spoke.
    outages: BTreeMap<ServiceName, Alerted>,
    /// Of sections, see `troubles`.
    pub(super) troubles: OwedTroubles,
    /// Number of the latest outage of which somebody was told, by `GROUP/SERVICE`.
    reached: BTreeMap<String, i64>,
}

/// One outage of the peer's of which it alerted people.
#[derive(Debug)]
struct Alerted {
    /// Since we heard of it.
    outage: Outage,
    /// For these periods.
    periods: Vec<u32>,
}

fn place(name: &ServiceName) -> String {
    format!("{}/{}", name.group, name.service)
}

impl Owed {
    /// Whether somebody was told of this outage or trouble, and not of its end.
    pub(super) fn has_reached(&self, name: &ServiceName, number: i64) -> bool {
        self.reached.get(&place(name)) == Some(&number)
    }

    /// The peer delivered this event to somebody.
    fn delivered(&mut self, event: &str) {
        let id = EventId::of(event);
        let Some((place, number)) = id.and_then(|id| id.outage.rsplit_once('/')) else {
            return;
        };
        let Some(number) = number
            .parse()
            .ok()
            .filter(|it| *it <= numbering::NUMBER_MAX)
        else {
            return;
        };
        let kind = id.map(|id| id.kind);
        if kind == Some(EventKind::Ack) {
            return;
        }
        if kind == Some(EventKind::Up) {
            if self.reached.get(place).is_some_and(|it| *it <= number) {
                self.reached.remove(place);
            }
            return;
        }
        // A peer that makes names up forgets others of its own.
        if self.reached.len() >= OUTAGES_MAX && !self.reached.contains_key(place) {
            self.reached.pop_first();
        }
        let latest = self.reached.entry(place.to_owned()).or_insert(number);
        *latest = number.max(*latest);
    }
}

impl Engine {
    /// The peer delivered these events.
    pub(in crate::engine) fn peer_delivered(&mut self, events: &[Arc<str>]) {
        for event in events {
            self.peer.owed.delivered(event);
        }
    }

    /// Remembers for which outages the peer alerts people.
    pub(super) fn look_what_is_owed(&mut self, now: Now) {
        if self.peer.told.peer != Speaking::Speaks {
            return;
        }
        let owed = &mut self.peer.owed;
        let told = Arc::clone(&self.peer.told.outages);
        // What is over there and reached nobody is owed to nobody.
        let mut outages = std::mem::take(&mut owed.outages);
        outages.retain(|name, it| told.contains_key(name) || owed.has_reached(name, it.outage.id));
        owed.outages = outages;
        for (name, open) in told.iter() {
            if open.alerted.is_empty() || open.id > numbering::NUMBER_MAX {
                continue;
            }
            let known = owed.outages.remove(name);
            let known = known.filter(|it| it.outage.id == open.id);
            let mut outage = known.map_or_else(|| Outage::new(now, open.id), |it| it.outage);
            outage.calls = open.calls;
            let alerted = Alerted {
                outage,
                periods: open.alerted.clone(),
            };
            owed.outages.insert(name.clone(), alerted);
        }
        self.look_which_troubles_are_owed(now);
    }

    /// A service is found good: its end is told by us as that of an outage of which the peer
    /// alerted people, where that is ours to tell.
    pub(in crate::engine) fn take_what_is_owed(&mut self, id: ServiceId) {
        if self.peer.owed.outages.is_empty() {
            return;
        }
        let model = Arc::clone(&self.model);
        let service = model.service(id);
        let name = name(service);
        let Some(alerted) = self.peer.owed.outages.get(&name) else {
            return;
        };
        let number = alerted.outage.id;
        if self.peer.has_ended(&name, number) {
            // Whether its end is to be told the peer knows: see `untold`.
            self.peer.owed.outages.remove(&name);
            return;
        }
        if !self.peer.owed.has_reached(&name, number) {
            return;
        }
        let is_over = !self.peer.may_be(service, &self.states[id.index()], number);
        let state = &mut self.states[id.index()];
        match state.outage.as_deref() {
            Some(outage) if outage.id == number => {}
            Some(_) => return,
            None if is_over => {
                self.peer.owed.outages.remove(&name);
                return;
            }
            None => {
                let told = &self.peer.told;
                let is_theirs = told.peer == Speaking::Speaks || told.outages.contains_key(&name);
                let is_ours = told.speaking == Speaking::Speaks && !(told.is_linked && is_theirs);
                if !is_ours || state.status == Status::Fail {
                    return;
                }
                state.begin(alerted.outage.clone());
                state.status = Status::Fail;
                state.set_text(EventText::said(SEEN_THERE));
            }
        }
        if let Some(outage) = &mut state.outage {
            outage.had_reached(Reached::Failure);
        }
        let periods = alerted.periods.clone();
        let memory = state.memory(service).iter_mut().enumerate();
        let is_alerted = |at: &usize| periods.iter().any(|it| usize::try_from(*it) == Ok(*at));
        for (_, memory) in memory.filter(|(at, _)| is_alerted(at)) {
            let PeriodMemory { alert_sent, .. } = memory;
            *alert_sent = (*alert_sent).max(1);
        }
        self.peer.owed.outages.remove(&name);
    }
}
