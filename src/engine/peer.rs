//! By which number do both directors name one outage?
//!
//! Each tells its open outages. Who finds a failure second takes the number of the first, so that
//! one outage has the same event ids on both (D26). Where both found it while they did not hear
//! each other, the number that people know stays (`reached`); where they know neither or both, the
//! one that does not speak takes the number of the one that does, and of two that both do, or both
//! do not, the greater number gives way.
//!
//! What the peer said last counts on when it is gone: that is when the standby needs it. A
//! service that we find good meanwhile is no longer what the peer spoke of, and its next outage
//! is another one. A number that had its end here is not taken again, for as long as ends are
//! remembered.
//!
//! | Question | File |
//! |---|---|
//! | which number do people know | `reached` |
//! | what ended on both while they did not hear each other | `ended` |
//! | what ended there, and was never seen here | `untold` |
//! | of which outages that the peer told is the end still to be told | `owed` |
//! | when is the end of a number told that was given up | `given_up` |
//! | by which number do both name a trouble of a virtual service | `troubles` |
//! | which number have the calls of an event | `counts` |
//! | which wishes do both share | `wishes` |

pub(super) mod counts;
mod ended;
#[cfg(test)]
mod fixture;
mod given_up;
mod owed;
mod reached;
mod troubles;
mod untold;
mod wishes;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use crate::engine::event::{Action, AlertKind, Note, PeerTold, Renumbering, RunId, Status};
use crate::engine::peer::ended::EndedHere;
use crate::engine::peer::owed::Owed;
pub(super) use crate::engine::peer::reached::Candidate;
use crate::engine::saved::{Record, Saved};
use crate::engine::state::{Acked, EventText, ServiceState};
use crate::engine::{Engine, numbering, report};
use crate::model::{Model, Service, ServiceId};
use crate::pair::Speaking;
use crate::pair::talk::Reached;
use crate::pair::talk::conversation::{COMMENT_MAX, EndedOutages, Outages};
use crate::pair::talk::withdrawn::WithdrawnServers;
use crate::pair::talk::word::{OpenOutage, ServiceName, SharedAck};
use crate::pair::turn::TurnClock;
use crate::text::cut;
use crate::time::{Now, Wall};

/// What the peer has told.
#[derive(Debug, Default)]
pub(super) struct Peer {
    told: PeerTold,
    /// Since when the link stands, or stood last.
    linked_since: Option<Wall>,
    /// Found good here since the link was lost.
    over: BTreeSet<ServiceName>,
    /// Ends that are to be told, by whoever speaks then.
    owed: Owed,
    /// What ended here lately.
    ended: EndedHere,
    /// Of what the peer has told, what people may be waiting for the end of.
    untold: EndedOutages,
}

impl Peer {
    /// What the journal knows, with the records that change.
    pub(super) fn restore(model: &Model, saved: &Saved, now: Now) -> (Self, Vec<Record>) {
        let (ended, changed) = EndedHere::restore(model, saved, now);
        let peer = Self {
            ended,
            ..Self::default()
        };
        (peer, changed)
    }

    /// This is the file from now on: the records that change.
    pub(super) fn reload(&mut self, model: &Model, now: Now) -> Vec<Record> {
        self.ended.reload(model, now)
    }

    /// All that is to survive a restart.
    pub(super) fn record_all(&self, now: Now) -> impl Iterator<Item = Action> + '_ {
        self.ended.record_all(now)
    }

    fn outage(&self, service: &Service) -> Option<&OpenOutage> {
        if self.told.outages.is_empty() {
            return None;
        }
        let name = name(service);
        let outage = self.told.outages.get(&name);
        outage.filter(|_| !self.over.contains(&name))
    }

    /// Whether a number of the peer's may name an outage of ours: it had no end here.
    fn may_be(&self, service: &Service, state: &ServiceState, number: i64) -> bool {
        let is_sound = number > state.ended_outage && number <= numbering::NUMBER_MAX;
        is_sound && !self.ended.is_past(&name(service), number)
    }
}

fn name(service: &Service) -> ServiceName {
    ServiceName {
        group: service.group.to_string(),
        service: service.name.to_string(),
    }
}

/// The periods that have alerted people of its outage.
fn alerted(state: &ServiceState) -> Vec<u32> {
    let periods = state.periods.iter().flat_map(|periods| periods.iter());
    let alerted = (0..).zip(periods).filter(|(_, it)| it.alert_sent > 0);
    alerted.map(|(at, _)| at).collect()
}

impl Engine {
    /// The open outages, and the greatest number that any outage had.
    #[must_use]
    pub fn outages(&self) -> (Outages, i64) {
        let mut greatest = self.numbering.floor();
        let mut outages = Outages::new();
        for ((_, service), state) in self.model.services().zip(&self.states) {
            greatest = greatest.max(state.last_outage);
            let Some(outage) = state.outage.as_deref() else {
                continue;
            };
            let ack = state.ack.as_deref().map(|ack| SharedAck {
                time: ack.time,
                comment: cut(&ack.comment, COMMENT_MAX).to_owned(),
            });
            let open = OpenOutage {
                id: outage.id,
                began: outage.began.told(self.last),
                calls: outage.calls,
                events: outage.events.clone(),
                alerted: alerted(state),
                ack,
                reached: outage.reached(),
            };
            outages.insert(name(service), open);
        }
        self.add_troubles(&mut outages);
        (outages, greatest)
    }

    /// The real servers of sections that are withdrawn.
    #[must_use]
    pub fn withdrawn_servers(&self) -> WithdrawnServers {
        self.bindings.withdrawn()
    }

    /// The clock of their turns.
    #[must_use]
    pub fn turn_clock(&self) -> Option<TurnClock> {
        self.bindings.turn_clock()
    }

    /// The number of an outage that begins now.
    pub(super) fn number_of_outage(&self, id: ServiceId, now: Now) -> i64 {
        let (state, service) = (&self.states[id.index()], self.model.service(id));
        let peers = self.peer.outage(service);
        let peers = peers.filter(|outage| outage.reached != Reached::End);
        peers
            .map(|outage| outage.id)
            .filter(|&number| self.peer.may_be(service, state, number))
            .unwrap_or_else(|| self.numbering.next(state.last_outage, now))
    }

    /// A service was found good: what the peer said of it before it was lost is over.
    pub(super) fn found_good(&mut self, id: ServiceId) {
        if !self.peer.told.is_linked && !self.peer.told.outages.is_empty() {
            self.peer.over.insert(name(self.model.service(id)));
        }
    }

    /// Takes in what the peer tells.
    pub(super) fn peer_told(&mut self, now: Now, told: PeerTold, actions: &mut Vec<Action>) {
        if told.is_linked {
            self.peer.over.clear();
        }
        let is_raised = told.numbers > self.numbering.floor() && told.is_linked;
        if is_raised && told.numbers <= numbering::NUMBER_MAX {
            self.numbering.outlive(told.numbers);
            actions.push(self.record_numbering());
        }
        if told.is_linked && !self.peer.told.is_linked {
            self.peer.linked_since = Some(now.wall);
        }
        let (withdrawn, turns) = match told.is_linked {
            true => (Arc::clone(&told.withdrawn), told.turns),
            false => (Arc::default(), None),
        };
        actions.extend(self.bindings.peer_withdrew(&withdrawn, turns));
        self.peer.untold = untold::untold(&told.ended);
        self.peer.told = told;
        if !self.peer.told.is_linked {
            return;
        }
        self.look_what_is_owed(now);
        let model = Arc::clone(&self.model);
        for (id, service) in model.services() {
            self.agree(now, id, service, actions);
            self.hear_counts(now, id, service, actions);
            self.share_ack(now, id, service, actions);
        }
        self.agree_on_troubles(now, actions);
        self.agree_on_ended(now, actions);
    }

    /// Takes over what the peer's operator acknowledged. Of two that are at work the one that
    /// tells people tells it.
    fn share_ack(&mut self, now: Now, id: ServiceId, service: &Service, actions: &mut Vec<Action>) {
        let state = &mut self.states[id.index()];
        let own = state.ack.as_deref().map(|ack| ack.time);
        let Some(outage) = &mut state.outage else {
            return;
        };
        let peers = self.peer.outage(service).filter(|it| it.id == outage.id);
        let peers = peers.and_then(|it| it.ack.clone());
        let known = outage.acked.max(own);
        let newest = known.max(peers.as_ref().map(|it| it.time));
        if newest != outage.acked {
            outage.acked = newest;
            actions.push(report::record(service, state, now));
        }
        let Some(ack) = peers.filter(|ack| known < Some(ack.time)) else {
            return;
        };
        if matches!(state.status, Status::Ok | Status::Untested) {
            return;
        }
        state.ack = Some(Box::new(Acked {
            time: ack.time,
            comment: ack.comment.as_str().into(),
        }));
        let (speaking, peer) = (self.peer.told.speaking, self.peer.told.peer);
        if (speaking, peer) == (Speaking::Speaks, Speaking::Silent) {
            let text = EventText::said(&ack.comment);
            self.tell_of_operator(now, id, AlertKind::Ack, &text, actions);
        }
        let state = &self.states[id.index()];
        actions.push(report::record(service, state, now));
        actions.push(Action::Note(Note::AcknowledgedThere {
            service: id,
            comment: ack.comment,
        }));
    }

    /// When an outage is acknowledged by a person here: later than any acknowledgement of it that
    /// is known, however wrong a clock goes.
    pub(super) fn time_of_ack(&self, now: Now, id: ServiceId) -> Wall {
        let state = &self.states[id.index()];
        let known = state.outage.as_deref().and_then(|it| it.acked);
        let newest = known.max(state.ack.as_deref().map(|ack| ack.time));
        let next = newest.map(|time| time.after(Duration::from_micros(1)));
        next.map_or(now.wall, |next| next.max(now.wall))
    }

    /// A new number, greater than that, which people do not know either.
    fn above(&self, taken: i64, now: Now) -> Candidate {
        Candidate {
            number: self.numbering.next(taken, now),
            reached: Reached::Nothing,
        }
    }

    /// Gives an open outage the peer's number or a new one, where that is to be.
    fn agree(&mut self, now: Now, id: ServiceId, service: &Service, actions: &mut Vec<Action>) {
        let state = &self.states[id.index()];
        let Some(outage) = state.outage.as_deref() else {
            return;
        };
        let began = outage.began.told(now);
        let ours = Candidate {
            number: outage.id,
            reached: outage.reached(),
        };
        let open = self.peer.outage(service).map(Candidate::open);
        if let Some(same) = open.filter(|peers| peers.number == ours.number) {
            return self.raise_reached(now, id, same.reached, actions);
        }
        let of = name(service);
        let taken = self.peer.taken_before(&of, ours, began);
        let found = match open {
            Some(peers) => Some(peers).filter(|&peers| {
                let is_past = self.peer.is_past_there(&of, ours.number) || taken.is_some();
                is_past || self.peer.gives_way(ours, peers)
            }),
            None => {
                let over = self.peer.over_there(&of, ours, began);
                over.or_else(|| taken.map(|taken| self.above(taken, now)))
            }
        };
        let is_free = |it: &Candidate| self.peer.may_be(service, state, it.number);
        let Some(peers) = found.filter(is_free) else {
            return;
        };
        let (began, alerts) = (outage.began, alerted(state));
        let state = &mut self.states[id.index()];
        if let Some(outage) = &mut state.outage {
            outage.id = peers.number;
            outage.set_reached(peers.reached, RunId(self.last_run));
        }
        state.last_outage = state.last_outage.max(peers.number);
        actions.push(report::record(service, state, now));
        if self.give_up(now, of, (ours, alerts), began, actions) {
            return;
        }
        let outage = |number| format!("{}/{}/{number}", service.group, service.name);
        actions.push(Action::Renumber(Renumbering {
            from: outage(ours.number),
            to: outage(peers.number),
        }));
    }
}

#[cfg(test)]
mod tests;
