//! Which number of an outage do people know (D26)?
//!
//! Both directors may have numbered one outage anew: one of them stood still, and had its place and
//! its speech back before it heard the other. The number under which people were told stays,
//! whoever speaks by now: what is told later belongs to what they have. Each director knows what it
//! delivered and hears what the other one did, and says of each of its outages what of it has
//! reached people: so both compare the same, and never take each other's numbers. A number whose
//! end has reached people names nothing that goes on.
//!
//! That outlives a journal that could not be written: what the disk still knows to be delivered
//! ends an outage that the journal has as open, and no outage after it has a number that people
//! know.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::engine::event::{Action, Note, RunId, Status};
use crate::engine::going::Began;
use crate::engine::peer::ended::Span;
use crate::engine::peer::{Peer, name};
use crate::engine::state::Dated;
use crate::engine::{Engine, numbering, report};
use crate::model::ServiceId;
use crate::pair::Speaking;
use crate::pair::talk::word::{OpenOutage, ServiceName};
use crate::pair::talk::{EventId, Past, Reached, ToldPeriods};
use crate::time::Now;

/// A number that an outage or a trouble may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::engine) struct Candidate {
    pub(in crate::engine) number: i64,
    /// What of it has reached people.
    pub(in crate::engine) reached: Reached,
}

impl Candidate {
    /// Of an outage of the peer's that goes on.
    pub(super) const fn open(outage: &OpenOutage) -> Self {
        Self {
            number: outage.id,
            reached: outage.reached,
        }
    }

    /// Of one that is over.
    pub(super) const fn past(number: i64, past: &Past) -> Self {
        Self {
            number,
            reached: past.reached,
        }
    }

    /// Whether people know the end of this one, and were told nothing of the peer's: to them that
    /// is another outage, which no new name for this one begins.
    pub(super) fn is_over_before(self, peers: Self) -> bool {
        self.reached == Reached::End && peers.reached.is_nothing()
    }
}

/// How good a name a number is for what goes on.
const fn rank(reached: Reached) -> u8 {
    match reached {
        Reached::End => 0,
        Reached::Nothing => 1,
        Reached::Failure => 2,
    }
}

impl Peer {
    /// Whether our number of what goes on here gives way to the peer's of what goes on there.
    pub(super) fn gives_way(&self, ours: Candidate, peers: Candidate) -> bool {
        if rank(ours.reached) != rank(peers.reached) {
            return rank(ours.reached) < rank(peers.reached);
        }
        match (self.told.speaking, self.told.peer) {
            (Speaking::Silent, Speaking::Speaks) => true,
            (Speaking::Speaks, Speaking::Silent) => false,
            (Speaking::Silent, Speaking::Silent) | (Speaking::Speaks, Speaking::Speaks) => {
                ours.number > peers.number
            }
        }
    }

    /// The same where it is over on one of both at least. Where both have told, or neither has, and
    /// both speak, or neither does, nobody knows yet whose numbers people have.
    pub(super) fn gives_way_over(&self, ours: Candidate, peers: Candidate) -> bool {
        match (ours.reached.is_nothing(), peers.reached.is_nothing()) {
            (true, false) => true,
            (false, true) => false,
            (true, true) | (false, false) => {
                (self.told.speaking, self.told.peer) == (Speaking::Silent, Speaking::Speaks)
            }
        }
    }

    /// Whether what goes on here behind the end of this number is begun as another one: by who
    /// speaks, or where the peer has begun it.
    pub(super) fn begins_behind(&self, of: &ServiceName, number: i64) -> bool {
        let open = self.told.outages.get(of);
        let open = open.filter(|it| it.id > number && it.reached != Reached::End);
        let is_begun = open.is_some() && !self.over.contains(of);
        is_begun || self.told.speaking == Speaking::Speaks
    }

    /// What of this number of the peer's has reached people, as far as the peer says or we heard.
    pub(super) fn reached_there(&self, of: &ServiceName, number: i64) -> Reached {
        let open = self.told.outages.get(of).filter(|it| it.id == number);
        let said = open.map_or(Reached::Nothing, |it| it.reached);
        match self.owed.has_reached(of, number) {
            true => said.max(Reached::Failure),
            false => said,
        }
    }
}

/// Events that reached somebody, by the numbers of their outages.
struct News<'a>(BTreeMap<i64, Vec<(&'a str, Reached)>>);

impl<'a> News<'a> {
    fn of(events: &'a [Arc<str>]) -> Self {
        let mut news: BTreeMap<i64, Vec<(&str, Reached)>> = BTreeMap::new();
        for id in events.iter().filter_map(|event| EventId::of(event)) {
            let place = id.outage.rsplit_once('/');
            if let Some((place, number)) = place
                && let Ok(number) = number.parse()
            {
                news.entry(number)
                    .or_default()
                    .push((place, Reached::by(id)));
            }
        }
        Self(news)
    }

    /// The greatest number of all that may be one of ours.
    fn greatest(&self) -> Option<i64> {
        let sound = self.0.range(..=numbering::NUMBER_MAX);
        sound.map(|(&number, _)| number).next_back()
    }

    /// What they say of one outage.
    fn reached(&self, group: &str, service: &str, number: i64) -> Reached {
        let about = self.0.get(&number).into_iter().flatten();
        let is_it = |place: &str| {
            let rest = place.strip_prefix(group);
            rest.and_then(|rest| rest.strip_prefix('/')) == Some(service)
        };
        let about = about.filter(|(place, _)| is_it(place));
        about.map(|(_, reached)| *reached).max().unwrap_or_default()
    }
}

impl Engine {
    /// These events were delivered to somebody, by this director or by the peer: their numbers are
    /// those that people know.
    pub(in crate::engine) fn people_know(
        &mut self,
        now: Now,
        events: &[Arc<str>],
        actions: &mut Vec<Action>,
    ) {
        if self.model.globals.peer.address.is_none() {
            return;
        }
        let news = News::of(events);
        let model = Arc::clone(&self.model);
        for (id, service) in model.services() {
            if let Some(outage) = self.states[id.index()].outage.as_deref() {
                let reached = news.reached(&service.group, &service.name, outage.id);
                self.raise_reached(now, id, reached, actions);
            }
        }
        self.people_know_troubles(now, actions, |of, number| {
            news.reached(&of.group, &of.service, number)
        });
        let raised = self.peer.ended.raise_reached(now, |of, number| {
            news.reached(&of.group, &of.service, number)
        });
        actions.extend(raised);
    }

    /// This director delivered these events, or knows at its start that they were delivered.
    pub(in crate::engine) fn delivered(
        &mut self,
        now: Now,
        events: &[Arc<str>],
        actions: &mut Vec<Action>,
    ) {
        if self.model.globals.peer.address.is_none() {
            return;
        }
        self.people_know(now, events, actions);
        let news = News::of(events);
        let taken = self.states.iter().map(|state| state.last_outage);
        let taken = taken.max().max(Some(self.numbering.floor()));
        if let Some(known) = news.greatest().filter(|it| Some(*it) > taken) {
            self.numbering.outlive(known);
            actions.push(self.record_numbering());
        }
        self.end_what_was_over(now, &news, actions);
    }

    /// Ends the outages and troubles that go on by the journal alone: people were told of their
    /// end, and the disk did not take that they are over. Whatever fails from now on is another
    /// one.
    fn end_what_was_over(&mut self, now: Now, news: &News<'_>, actions: &mut Vec<Action>) {
        let model = Arc::clone(&self.model);
        for (id, service) in model.services() {
            let state = &self.states[id.index()];
            let open = state.outage.as_deref();
            // Where `trapduration` ended the failure, its outage is there for the count (E-2).
            let Some(outage) = open.filter(|_| state.status == Status::Fail) else {
                continue;
            };
            if news.reached(&service.group, &service.name, outage.id) != Reached::End {
                continue;
            }
            self.end_unseen(now, id, actions);
            let state = &mut self.states[id.index()];
            (state.status, state.exit, state.text) = (Status::Untested, None, None);
            actions.push(report::record(service, state, now));
        }
        self.end_troubles_that_were_over(now, actions, |of, number| {
            news.reached(&of.group, &of.service, number) == Reached::End
        });
    }

    /// A service fails on, and the other director told people that its outage is over: to them this
    /// is another one. Only who speaks begins it, and only by a check that began later than this
    /// director heard of the end: by an earlier one it may see the same end a check later, and then
    /// has nothing to tell.
    pub(in crate::engine) fn begin_behind_its_end(
        &mut self,
        now: Now,
        id: ServiceId,
        began: &Began,
        actions: &mut Vec<Action>,
    ) {
        let state = &self.states[id.index()];
        let open = state
            .outage
            .as_deref()
            .filter(|_| state.status == Status::Fail);
        let Some(outage) = open.filter(|it| it.reached() == Reached::End) else {
            return;
        };
        let runs = began.run.zip(outage.end_heard());
        let is_later = runs.is_none_or(|(run, latest)| run > latest);
        if is_later && self.peer.told.speaking == Speaking::Speaks {
            self.end_unseen(now, id, actions);
            // It goes on failing all the time: the failure that follows is its record.
            actions.push(Action::Note(Note::AnotherOutage(id)));
        }
    }

    /// Ends an outage of which people know the end and this director has not seen it.
    fn end_unseen(&mut self, now: Now, id: ServiceId, actions: &mut Vec<Action>) {
        let model = Arc::clone(&self.model);
        let service = model.service(id);
        let Some(outage) = self.states[id.index()].outage.as_deref() else {
            return;
        };
        let ours = Candidate {
            number: outage.id,
            reached: Reached::End,
        };
        let span = Span {
            began: outage.began,
            // When it ended nobody knows; what began later is none of it.
            ended: Dated {
                moment: outage.latest,
                wall: outage.last_failure,
            },
        };
        let ours = (ours, ToldPeriods::default());
        self.keep_end(now, name(service), ours, span, actions);
        self.states[id.index()].end_outage(service);
    }

    /// An outage that began here may be one of the peer's, of which people know.
    pub(in crate::engine) fn reached_before(&mut self, id: ServiceId) {
        let Some(number) = self.states[id.index()].outage.as_deref().map(|it| it.id) else {
            return;
        };
        if self.peer.told.outages.is_empty() {
            return;
        }
        let of = name(self.model.service(id));
        let reached = self.peer.reached_there(&of, number);
        if let Some(outage) = &mut self.states[id.index()].outage {
            outage.had_reached(reached);
        }
    }

    /// So much of an open outage has reached people.
    pub(super) fn raise_reached(
        &mut self,
        now: Now,
        id: ServiceId,
        reached: Reached,
        actions: &mut Vec<Action>,
    ) {
        let state = &mut self.states[id.index()];
        let Some(outage) = state.outage.as_mut().filter(|it| it.reached() < reached) else {
            return;
        };
        outage.set_reached(reached, RunId(self.last_run));
        actions.push(report::record(self.model.service(id), state, now));
    }
}

#[cfg(test)]
mod tests;
