//! By which number do both directors name one trouble of a virtual service?
//!
//! As an outage: both decide over the same section by the same rules. That somebody else writes
//! into the table is each director's own. So is the end: of a trouble that the peer told people of,
//! and this director never found, it is told by whoever speaks when the section has none, as in
//! `owed`.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::engine::event::{Action, Renumbering, Status, Trouble};
use crate::engine::peer::ended::Span;
use crate::engine::peer::{Candidate, Peer};
use crate::engine::policy::whole::ServiceMode;
use crate::engine::state::Dated;
use crate::engine::trouble::{Begin, Told};
use crate::engine::{Engine, numbering, trouble};
use crate::lvs::VirtualServiceKey;
use crate::model::{DeclaredService, Model, ServiceId};
use crate::pair::Speaking;
use crate::pair::talk::Reached;
use crate::pair::talk::conversation::Outages;
use crate::pair::talk::counted::Events;
use crate::pair::talk::delivered::SECTION_GROUP;
use crate::pair::talk::word::{OpenOutage, ServiceName, ToldPeriods};
use crate::time::{Mono, Now};

/// How directors name a trouble among themselves: as its event ids do.
fn name(key: VirtualServiceKey, trouble: Trouble) -> ServiceName {
    ServiceName {
        group: SECTION_GROUP.to_owned(),
        service: trouble.name_in(key),
    }
}

/// Whether both directors have it.
const fn is_shared(trouble: Trouble) -> bool {
    match trouble {
        Trouble::TooFew | Trouble::Fallback | Trouble::NoServer => true,
        Trouble::Contested => false,
    }
}

/// Whose trouble this is a name of; none where the file has no such section, or both do not have
/// it.
pub(super) fn place<'a>(
    model: &'a Model,
    of: &ServiceName,
) -> Option<(&'a DeclaredService, Trouble)> {
    let sections = model.virtual_services.iter();
    let mut places = sections.flat_map(|it| Trouble::ALL.map(|trouble| (it, trouble)));
    places.find(|(it, trouble)| is_shared(*trouble) && name(it.key, *trouble) == *of)
}

/// The shared troubles that the peer has or had while it spoke, of which the end may be ours to
/// tell.
pub(super) type OwedTroubles = BTreeMap<(VirtualServiceKey, Trouble), Told>;

impl Peer {
    /// Whether the end of this one is told by us, should it be over here.
    fn owes_end_of(&self, key: VirtualServiceKey, trouble: Trouble, number: i64) -> bool {
        let name = name(key, trouble);
        let told = &self.told;
        let is_theirs = told.peer == Speaking::Speaks || told.outages.contains_key(&name);
        let is_ours = told.speaking == Speaking::Speaks && !(told.is_linked && is_theirs);
        is_ours && self.owed.has_reached(&name, number)
    }
}

impl Engine {
    /// Remembers which troubles the peer has while it speaks.
    pub(super) fn look_which_troubles_are_owed(&mut self, now: Now) {
        let Peer { told, owed, .. } = &mut self.peer;
        let mut troubles = std::mem::take(&mut owed.troubles);
        // What is over there and reached nobody is owed to nobody.
        troubles.retain(|&(key, trouble), it| {
            let name = name(key, trouble);
            told.outages.contains_key(&name) || owed.has_reached(&name, it.number)
        });
        if told.outages.keys().any(|it| it.group == SECTION_GROUP) {
            let sections = self.model.virtual_services.iter();
            let places = sections.flat_map(|it| Trouble::ALL.map(|trouble| (it.key, trouble)));
            for (key, trouble) in places.filter(|(_, it)| is_shared(*it)) {
                let open = told.outages.get(&name(key, trouble));
                let Some(open) = open.filter(|it| it.id <= numbering::NUMBER_MAX) else {
                    continue;
                };
                let told = Told {
                    number: open.id,
                    began: Dated::restored(open.began, now),
                    reached: open.reached,
                    end_heard: None,
                    begin: Begin::Told,
                };
                troubles.insert((key, trouble), told);
            }
        }
        self.peer.owed.troubles = troubles;
    }

    /// Takes the troubles that are over here, and of which the end is ours to tell, for ones that
    /// this director found: they end now.
    pub(in crate::engine) fn end_owed_troubles(&mut self, now: Now, actions: &mut Vec<Action>) {
        if self.peer.owed.troubles.is_empty() || self.peer.told.speaking == Speaking::Silent {
            return;
        }
        let model = Arc::clone(&self.model);
        let mut owed = std::mem::take(&mut self.peer.owed.troubles);
        owed.retain(|&(key, trouble), told| {
            let Some(section) = self.bindings.section(&model, key) else {
                return false;
            };
            let of = name(key, trouble);
            // Of what the peer has had the end of `untold` knows.
            let is_past = self.peer.has_ended(&of, told.number);
            if is_past || self.peer.ended.is_past(&of, told.number) {
                return false;
            }
            let is_over = self.is_untroubled(key, trouble);
            if !is_over || !self.peer.owes_end_of(key, trouble, told.number) {
                return true;
            }
            let told = Told {
                reached: told.reached.max(Reached::Failure),
                ..*told
            };
            self.troubles.insert((key, trouble), told);
            self.end_trouble(now, section, trouble, actions);
            false
        });
        self.peer.owed.troubles = owed;
    }

    /// The troubles that go on, beside the outages.
    pub(super) fn add_troubles(&self, outages: &mut Outages) {
        let shared = self.troubles.iter().filter(|((_, it), _)| is_shared(*it));
        outages.extend(shared.map(|(&(key, trouble), told)| {
            let open = OpenOutage {
                id: told.number,
                began: told.began.told(self.last),
                calls: 0,
                events: Events::default(),
                alerted: Vec::new(),
                ack: None,
                reached: told.reached,
            };
            (name(key, trouble), open)
        }));
    }

    /// The number of a trouble that begins now.
    pub(in crate::engine) fn number_of_trouble(
        &self,
        key: VirtualServiceKey,
        trouble: Trouble,
        now: Now,
    ) -> Candidate {
        let peers = self.peers_number(key, trouble);
        let peers = peers.filter(|peers| peers.reached != Reached::End);
        peers.unwrap_or_else(|| Candidate {
            number: self.numbering.next(0, now),
            reached: Reached::Nothing,
        })
    }

    /// A trouble is over here: its number is not taken again.
    pub(in crate::engine) fn trouble_ended(
        &mut self,
        now: Now,
        section: &DeclaredService,
        trouble: Trouble,
        told: Told,
        actions: &mut Vec<Action>,
    ) {
        if is_shared(trouble) {
            let ours = Candidate {
                number: told.number,
                reached: told.reached,
            };
            let called = |lines: &[_]| if lines.is_empty() { vec![] } else { vec![0] };
            let periods = ToldPeriods {
                alerts: vec![0],
                upalerts: called(&section.upalerts),
            };
            let of = name(section.key, trouble);
            let span = Span {
                began: told.began,
                ended: Dated::of(now),
            };
            self.keep_end(now, of, (ours, periods), span, actions);
        }
    }

    /// Forgets the troubles that go on by the journal alone, as `reached` does with outages.
    pub(super) fn end_troubles_that_were_over(
        &mut self,
        now: Now,
        actions: &mut Vec<Action>,
        is_over: impl Fn(&ServiceName, i64) -> bool,
    ) {
        let open = self.troubles.iter().filter(|((_, it), _)| is_shared(*it));
        let over = open.filter(|((key, it), told)| is_over(&name(*key, *it), told.number));
        let over: Vec<_> = over.map(|(&place, &told)| (place, told)).collect();
        for ((key, trouble), told) in over {
            self.end_unseen_trouble(now, (key, trouble), told, actions);
        }
    }

    /// Ends the troubles that go on here and of which the other director told people the end, where
    /// its services were checked since: what lasts is another trouble, as in `reached`.
    pub(in crate::engine) fn begin_troubles_behind_their_end(
        &mut self,
        now: Now,
        actions: &mut Vec<Action>,
    ) {
        let shared = self.troubles.iter().filter(|((_, it), _)| is_shared(*it));
        let ended = shared.filter(|(_, told)| told.reached == Reached::End);
        let over = ended.filter(|((key, trouble), told)| {
            let is_due = self.peer.begins_behind(&name(*key, *trouble), told.number);
            let heard = told.end_heard.filter(|_| is_due);
            heard.is_some_and(|heard| self.fails_on_since(now, *key, heard))
        });
        let over: Vec<_> = over.map(|(&place, &told)| (place, told)).collect();
        for (place, told) in over {
            self.end_unseen_trouble(now, place, told, actions);
        }
    }

    /// Whether each service that decides over a section, and that is checked, was by a run that
    /// began after that, and one of them fails by that: a server that has to be good several times
    /// is not in yet.
    fn fails_on_since(&self, now: Now, key: VirtualServiceKey, then: Mono) -> bool {
        let Some(section) = self.bindings.section(&self.model, key) else {
            return false;
        };
        let judges = section.servers.iter().flat_map(|it| &it.judges);
        let judges: BTreeSet<ServiceId> = judges.map(|it| it.service).collect();
        let passed = now.mono.since(then);
        let fails = |id: &ServiceId| self.states[id.index()].status == Status::Fail;
        let mut checked = judges.iter().map(|&id| {
            let is_checked = self.interval(id).is_some() && self.mode(id) == ServiceMode::InForce;
            let state = &self.states[id.index()];
            let began = state.reported.map(|ended| {
                let took = state.monitor_duration.unwrap_or_default();
                ended.ago(now).saturating_add(took)
            });
            !is_checked || began.is_some_and(|ago| ago <= passed)
        });
        judges.iter().any(fails) && checked.all(|it| it)
    }

    /// Ends a trouble of which people know the end and this director has not seen it.
    fn end_unseen_trouble(
        &mut self,
        now: Now,
        (key, trouble): (VirtualServiceKey, Trouble),
        told: Told,
        actions: &mut Vec<Action>,
    ) {
        self.troubles.remove(&(key, trouble));
        let ours = Candidate {
            number: told.number,
            reached: Reached::End,
        };
        // Of its end nobody knows more than that it began.
        let span = Span {
            began: told.began,
            ended: told.began,
        };
        let ours = (ours, ToldPeriods::default());
        self.keep_end(now, name(key, trouble), ours, span, actions);
        actions.push(trouble::forget(key, trouble));
        self.bindings.look_again(key);
    }

    /// A virtual service was found without a trouble: what the peer said of it before it was lost
    /// is over.
    pub(in crate::engine) fn found_untroubled(&mut self, key: VirtualServiceKey, trouble: Trouble) {
        let is_lost = !self.peer.told.is_linked && !self.peer.told.outages.is_empty();
        if is_lost && is_shared(trouble) {
            self.peer.over.insert(name(key, trouble));
        }
    }

    /// Gives the troubles that go on the peer's numbers, where that is to be.
    pub(super) fn agree_on_troubles(&mut self, now: Now, actions: &mut Vec<Action>) {
        let open: Vec<(VirtualServiceKey, Trouble)> = self.troubles.keys().copied().collect();
        for (key, trouble) in open {
            let Some(told) = self
                .troubles
                .get(&(key, trouble))
                .filter(|_| is_shared(trouble))
            else {
                continue;
            };
            let began = told.began.told(now);
            let ours = Candidate {
                number: told.number,
                reached: told.reached,
            };
            let of = name(key, trouble);
            let taken = self.peer.taken_before(&of, ours, began);
            let found = match self.peer.told.outages.get(&of) {
                Some(peers) if peers.id == ours.number => continue, // `people_know_troubles` below
                Some(_) => self.peers_number(key, trouble).filter(|&peers| {
                    let is_past = self.peer.is_past_there(&of, ours.number) || taken.is_some();
                    let gives_way = is_past || self.peer.gives_way(ours, peers);
                    gives_way && !ours.is_over_before(peers)
                }),
                None => {
                    let over = self.peer.over_there(&of, ours, began);
                    over.or_else(|| taken.map(|taken| self.above(taken, now)))
                }
            };
            let Some(peers) = found else {
                continue;
            };
            let Some(told) = self.troubles.get_mut(&(key, trouble)) else {
                continue;
            };
            told.number = peers.number;
            told.set_reached(peers.reached, now);
            let told = *told;
            self.numbering.outlive(peers.number);
            let name = trouble.name_in(key);
            let outage = |number| format!("{SECTION_GROUP}/{name}/{number}");
            actions.push(self.record_numbering());
            actions.push(trouble::record_of(key, trouble, told, now));
            let (of, began) = (self::name(key, trouble), told.began);
            if self.give_up(now, of, (ours, vec![0]), began, actions) {
                continue;
            }
            actions.push(Action::Renumber(Renumbering {
                from: outage(ours.number),
                to: outage(peers.number),
            }));
        }
        let told = Arc::clone(&self.peer.told.outages);
        self.people_know_troubles(now, actions, |of, number| {
            let same = told.get(of).filter(|it| it.id == number);
            same.map_or(Reached::Nothing, |it| it.reached)
        });
    }

    /// So much of the troubles that go on has reached people, by their names and numbers.
    pub(super) fn people_know_troubles(
        &mut self,
        now: Now,
        actions: &mut Vec<Action>,
        reached: impl Fn(&ServiceName, i64) -> Reached,
    ) {
        let shared = self.troubles.iter_mut();
        for (&(key, trouble), told) in shared.filter(|((_, it), _)| is_shared(*it)) {
            let news = reached(&name(key, trouble), told.number);
            if news > told.reached {
                told.set_reached(news, now);
                actions.push(trouble::record_of(key, trouble, *told, now));
            }
        }
    }

    /// The number that the peer has for a trouble, where it may be that of ours.
    fn peers_number(&self, key: VirtualServiceKey, trouble: Trouble) -> Option<Candidate> {
        if self.peer.told.outages.is_empty() || !is_shared(trouble) {
            return None;
        }
        let name = name(key, trouble);
        let open = self.peer.told.outages.get(&name)?;
        let is_known = !self.peer.over.contains(&name);
        let is_past = self.peer.ended.is_past(&name, open.id);
        let is_sound = !is_past && open.id <= numbering::NUMBER_MAX;
        (is_known && is_sound).then(|| Candidate {
            number: open.id,
            reached: self.peer.reached_there(&name, open.id),
        })
    }
}
