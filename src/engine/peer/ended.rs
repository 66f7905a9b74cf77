//! What ended here lately, and by which number did the peer tell it?
//!
//! Both directors may see an outage begin and end while they do not hear each other, each under a
//! number of its own. When the link is back, the one that does not speak gives those of its outages
//! that overlap one of the peer's the number of that: what it holds of them is dropped as told, or
//! told by that number. Times are compared by one clock, without any slack: two outages close to
//! each other must not become one. The same holds for an outage that goes on here and is over
//! there, or the other way round. Where people were told under one of both numbers only, that one
//! stays, whoever speaks (`reached`).
//!
//! Each number of the peer's names one outage of ours at most. Ends are remembered for
//! [`ENDED_KEPT`], [`ENDED_MAX`] of them at most, and in the journal: the link may be down across a
//! restart. Those that are still to be told do not age, since their outage goes on, and are the
//! last that are forgotten where there are too many.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::effort::visit;
use crate::engine::event::{Action, Renumbering};
use crate::engine::peer::{Candidate, Peer, alerted, name, troubles};
use crate::engine::saved::{Record, Saved};
use crate::engine::state::{Dated, Moment};
use crate::engine::{Engine, numbering};
use crate::model::{Model, ServiceId};
use crate::pair::talk::conversation::{ENDED_MAX, EndedOutages};
use crate::pair::talk::word::{EndedOutage, Lasted, Past, Reached, ServiceName, ToldPeriods};
use crate::time::{Now, Wall};

/// How long an end is remembered: as long as what was delivered of it
/// ([`DELIVERED_AGE`](crate::pair::talk::delivered::DELIVERED_AGE)).
const ENDED_KEPT: Duration = Duration::from_secs(86_400);

/// Prefix of the journal keys of this file.
const PREFIX: &str = "ended ";

/// The outages of services and the troubles of sections that ended here lately.
#[derive(Debug, Default)]
pub(super) struct EndedHere {
    by_name: BTreeMap<ServiceName, BTreeMap<i64, KeptEnd>>,
    /// The same as they are forgotten: those that are told first, each by their end.
    order: BTreeSet<(EndCall, Moment, ServiceName, i64)>,
    /// Those of which the end is still to be called.
    due: BTreeSet<(ServiceName, i64)>,
}

/// From when to when something lasted, by both clocks.
#[derive(Clone, Copy, Debug)]
pub(super) struct Span {
    pub(super) began: Dated,
    pub(super) ended: Dated,
}

impl Span {
    /// By the clock of today.
    fn lasted(self, now: Now) -> Lasted {
        Lasted {
            began: self.began.told(now),
            ended: self.ended.told(now),
        }
    }
}

/// One of those that are over.
#[derive(Clone, Debug)]
struct KeptEnd {
    span: Span,
    /// What of it has reached people under its number.
    reached: Reached,
    /// For which periods this director alerted people.
    periods: ToldPeriods,
    end: EndCall,
}

/// What is known of the calls that tell the end of what is over here.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum EndCall {
    /// They are out, or there are none.
    #[default]
    Called,
    /// The number was given up while it went on: they are still to come (`given_up`).
    Due,
}

impl EndCall {
    const fn is_called(&self) -> bool {
        matches!(self, Self::Called)
    }
}

/// What is over as the journal has it.
#[derive(Serialize, Deserialize)]
struct SavedEnd {
    #[serde(flatten)]
    ended: EndedOutage,
    #[serde(default, skip_serializing_if = "EndCall::is_called")]
    end: EndCall,
}

impl KeptEnd {
    /// By the clock of today.
    fn past(&self, now: Now) -> Past {
        Past {
            lasted: self.span.lasted(now),
            reached: self.reached,
            periods: self.periods.clone(),
        }
    }
}

impl EndedHere {
    /// What the journal has and is not too old; the records that change, or are forgotten.
    pub(super) fn restore(model: &Model, saved: &Saved, now: Now) -> (Self, Vec<Record>) {
        let mut ended = Self::default();
        let mut changed = Vec::new();
        let has_peer = model.globals.peer.address.is_some();
        let records = saved.records.iter();
        for (key, value) in records.filter(|(key, _)| key.starts_with(PREFIX)) {
            let known = serde_json::from_value::<SavedEnd>(value.clone()).ok();
            let known = known.filter(|it| it.ended.id <= numbering::NUMBER_MAX);
            // People wait for the end of what they were told, also where there is no peer any more.
            let is_due = |it: &SavedEnd| it.end == EndCall::Due && is_in_file(model, &it.ended.of);
            let Some(SavedEnd { ended: it, end }) = known.filter(|it| has_peer || is_due(it))
            else {
                changed.push(Record {
                    key: key.clone(),
                    value: serde_json::Value::Null,
                });
                continue;
            };
            let kept = KeptEnd {
                span: Span {
                    began: Dated::restored(it.lasted.began, now),
                    ended: Dated::restored(it.lasted.ended, now),
                },
                reached: it.reached,
                periods: it.periods,
                end,
            };
            ended.put(it.of, it.id, kept);
        }
        changed.extend(ended.reload(model, now));
        changed.extend(ended.drop_old(now));
        (ended, changed)
    }

    /// This is the file from now on, and what it does not have nobody finds good any more: the
    /// records that change.
    pub(super) fn reload(&mut self, model: &Model, now: Now) -> Vec<Record> {
        let due = self.due.iter();
        let lost = due.filter(|(of, _)| !is_in_file(model, of));
        let lost: Vec<(ServiceName, i64)> = lost.cloned().collect();
        let records = lost.into_iter().filter_map(|(of, number)| {
            self.change(now, of, number, |kept| kept.end = EndCall::Called)
        });
        records.collect()
    }

    /// All that is to survive a restart.
    pub(super) fn record_all(&self, now: Now) -> impl Iterator<Item = Action> + '_ {
        let all = self.by_name.iter();
        all.flat_map(move |(of, ends)| {
            let record =
                move |(&id, kept): (&i64, &KeptEnd)| Action::record(record_of(of, id, kept, now));
            ends.iter().map(record)
        })
    }

    /// Whether a number names nothing that goes on any more: it was given up, or had its end here,
    /// or a greater one had. A greater one that was given up says nothing of it.
    pub(super) fn is_past(&self, of: &ServiceName, number: i64) -> bool {
        let ends = self.by_name.get(of);
        let mut later = ends.into_iter().flat_map(|it| it.range(number..));
        later.any(|(&it, kept)| it == number || kept.end == EndCall::Called)
    }

    /// What is over under this name, by its numbers.
    pub(super) fn pasts(&self, of: &ServiceName, now: Now) -> BTreeMap<i64, Past> {
        let ends = self.by_name.get(of).into_iter().flatten();
        let pasts = ends.map(|(&number, kept)| (number, kept.past(now)));
        pasts.collect()
    }

    fn has(&self, of: &ServiceName, number: i64) -> bool {
        let ends = self.by_name.get(of);
        ends.is_some_and(|ends| ends.contains_key(&number))
    }

    fn put(&mut self, of: ServiceName, number: i64, kept: KeptEnd) {
        self.remove(&of, number);
        if kept.end == EndCall::Due {
            self.due.insert((of.clone(), number));
        }
        self.order
            .insert((kept.end, kept.span.ended.moment, of.clone(), number));
        self.by_name.entry(of).or_default().insert(number, kept);
    }

    fn remove(&mut self, of: &ServiceName, number: i64) -> Option<KeptEnd> {
        let ends = self.by_name.get_mut(of)?;
        let kept = ends.remove(&number)?;
        if ends.is_empty() {
            self.by_name.remove(of);
        }
        self.order
            .remove(&(kept.end, kept.span.ended.moment, of.clone(), number));
        self.due.remove(&(of.clone(), number));
        Some(kept)
    }

    /// One of them is another one from now on: its record.
    fn change(
        &mut self,
        now: Now,
        of: ServiceName,
        number: i64,
        change: impl FnOnce(&mut KeptEnd),
    ) -> Option<Record> {
        let mut kept = self.remove(&of, number)?;
        change(&mut kept);
        let record = record_of(&of, number, &kept, now);
        self.put(of, number, kept);
        Some(record)
    }

    /// Of what the end is still to be called, by names and numbers.
    pub(super) const fn due(&self) -> &BTreeSet<(ServiceName, i64)> {
        &self.due
    }

    /// The rules have decided for which periods the end of an outage is told; they decide over the
    /// numbers that it gave up, too. The records that change.
    fn decided(&mut self, now: Now, of: &ServiceName, upalerts: &[u32]) -> Vec<Action> {
        let mut records = Vec::new();
        for (&number, kept) in self.by_name.get_mut(of).into_iter().flatten() {
            if kept.end == EndCall::Due {
                kept.periods.upalerts.retain(|it| upalerts.contains(it));
                records.push(Action::record(record_of(of, number, kept, now)));
            }
        }
        records
    }

    /// Forgets what is too old or too much: the records that forget it.
    fn drop_old(&mut self, now: Now) -> Vec<Record> {
        let mut gone = Vec::new();
        while let Some((end, over, of, number)) = self.order.first() {
            let is_old = end.is_called() && over.ago(now) > ENDED_KEPT;
            if !is_old && self.order.len() <= ENDED_MAX {
                break;
            }
            let (of, number) = (of.clone(), *number);
            self.remove(&of, number);
            gone.push(forget(&of, number));
        }
        gone
    }

    /// As the peer is told.
    fn told(&self, now: Now) -> EndedOutages {
        let names = self.by_name.keys();
        let told = names.map(|of| (of.clone(), self.pasts(of, now)));
        told.collect()
    }

    /// So much of these has reached people, by their names and numbers: the records that change.
    pub(super) fn raise_reached(
        &mut self,
        now: Now,
        reached: impl Fn(&ServiceName, i64) -> Reached,
    ) -> Vec<Action> {
        let all = self.by_name.iter();
        let all = all.flat_map(|(of, ends)| ends.iter().map(move |(id, kept)| (of, *id, kept)));
        let raised = all.filter_map(|(of, number, kept)| {
            let news = reached(of, number);
            (news > kept.reached).then(|| (of.clone(), number, news))
        });
        let raised: Vec<(ServiceName, i64, Reached)> = raised.collect();
        let records = raised.into_iter().filter_map(|(of, number, news)| {
            self.change(now, of, number, |kept| {
                kept.reached = news;
                if news == Reached::End {
                    kept.end = EndCall::Called;
                }
            })
        });
        records.map(Action::record).collect()
    }

    /// What the peer says of those that are still to be told: the records that change.
    fn hear_ends(&mut self, now: Now, ended: &EndedOutages) -> Vec<Action> {
        if self.due.is_empty() {
            return Vec::new();
        }
        let due = self.due.clone();
        self.raise_reached(now, |of, number| {
            let there = ended.get(of).and_then(|it| it.get(&number));
            let there = there.filter(|_| due.contains(&(of.clone(), number)));
            there.map_or(Reached::Nothing, |it| it.reached)
        })
    }
}

impl Peer {
    /// The number that the peer had for something of ours that goes on since `began` and is over
    /// there: none that is before an end here.
    pub(super) fn over_there(
        &self,
        of: &ServiceName,
        ours: Candidate,
        began: Wall,
    ) -> Option<Candidate> {
        let ended = self.told.ended.get(of)?;
        if ended.contains_key(&ours.number) {
            return None;
        }
        let ended = ended.iter().filter(|it| !self.ended.is_past(of, *it.0));
        let ended = ended.map(candidate);
        let found = self.nearest(of, Lasted::since(began), ended);
        found.filter(|&peers| self.gives_way_over(ours, peers))
    }

    /// Whether the peer cannot take our number for what goes on: it was told as over there, or a
    /// greater one was.
    pub(super) fn is_past_there(&self, of: &ServiceName, number: i64) -> bool {
        let ended = self.told.ended.get(of);
        let mut later = ended.into_iter().flat_map(|it| it.range(number..));
        later.any(|(_, past)| past.reached == Reached::End)
    }

    /// The greatest number, ours or a greater one, under which something was over there before ours
    /// began, where nobody was told of ours: the peer cannot take it for what it finds of the same.
    pub(super) fn taken_before(
        &self,
        of: &ServiceName,
        ours: Candidate,
        began: Wall,
    ) -> Option<i64> {
        let ended = self.told.ended.get(of)?;
        let there = ended.get(&ours.number).map(|it| it.reached);
        if !ours.reached.max(there.unwrap_or_default()).is_nothing() {
            return None;
        }
        let sound = ended.range(..=numbering::NUMBER_MAX).rev();
        let mut taken = sound.take_while(|it| *it.0 >= ours.number);
        let before = taken.find(|(_, past)| past.lasted.ended <= began);
        before.map(|(&number, _)| number)
    }

    /// The number that the peer has or had for something of ours that is over; `open` is ours of
    /// the same name that goes on. What has our number there and lasted at another time is another
    /// one: both counted on from one number while they did not hear each other.
    fn known_there(
        &self,
        of: &ServiceName,
        ours: Candidate,
        lasted: Lasted,
        open: Option<i64>,
    ) -> Option<Candidate> {
        let (ended, goes_on) = (self.told.ended.get(of), self.told.outages.get(of));
        let same = ended.and_then(|it| it.get(&ours.number));
        let is_known = same.is_some_and(|it| it.lasted.overlap(lasted).is_some());
        if is_known || goes_on.is_some_and(|it| it.id == ours.number) {
            return None;
        }
        let ended = ended.into_iter().flatten().inspect(|_| visit());
        let ended = ended.map(candidate);
        let goes_on = goes_on.map(|it| (Lasted::since(it.began), Candidate::open(it)));
        let all = ended.chain(goes_on);
        let free = all.filter(|(_, it)| Some(it.number) != open);
        let found = self.nearest(of, lasted, free);
        found.filter(|&peers| self.gives_way_over(ours, peers))
    }

    /// Of these the one that overlaps most, of equals the first.
    fn nearest(
        &self,
        of: &ServiceName,
        lasted: Lasted,
        among: impl Iterator<Item = (Lasted, Candidate)>,
    ) -> Option<Candidate> {
        let is_free = |number: i64| number <= numbering::NUMBER_MAX && !self.ended.has(of, number);
        let free = among.filter(|(_, it)| is_free(it.number));
        let near = free.filter_map(|(there, it)| Some((lasted.overlap(there)?, it)));
        let nearest = near.max_by_key(|(overlap, it)| (*overlap, std::cmp::Reverse(it.number)));
        nearest.map(|(_, found)| found)
    }
}

fn candidate((&number, past): (&i64, &Past)) -> (Lasted, Candidate) {
    (past.lasted, Candidate::past(number, past))
}

/// Whether the file has what this is a name of.
fn is_in_file(model: &Model, of: &ServiceName) -> bool {
    model.find(&of.group, &of.service).is_some() || troubles::place(model, of).is_some()
}

impl Engine {
    /// The outages and troubles that ended here lately.
    #[must_use]
    pub fn ended_outages(&self) -> EndedOutages {
        self.peer.ended.told(self.last)
    }

    /// The outage of a service ends now, if there is one; so many periods called for that.
    pub(in crate::engine) fn outage_ends(
        &mut self,
        now: Now,
        id: ServiceId,
        upalerts: Vec<u32>,
        actions: &mut Vec<Action>,
    ) {
        let state = &self.states[id.index()];
        if let Some(outage) = state.outage.as_deref() {
            let ours = Candidate {
                number: outage.id,
                reached: outage.reached(),
            };
            let periods = ToldPeriods {
                alerts: alerted(state),
                upalerts,
            };
            let span = Span {
                began: outage.began,
                ended: Dated::of(now),
            };
            let of = name(self.model.service(id));
            actions.extend(self.peer.ended.decided(now, &of, &periods.upalerts));
            self.keep_end(now, of, (ours, periods), span, actions);
        }
    }

    /// Remembers what is over: under which number it was, how much of that has reached people and
    /// for which periods, and how long it lasted. No call of its end is still to come.
    pub(super) fn keep_end(
        &mut self,
        now: Now,
        of: ServiceName,
        ours: (Candidate, ToldPeriods),
        span: Span,
        actions: &mut Vec<Action>,
    ) {
        self.keep(now, of, ours, span, EndCall::Called, actions);
    }

    /// The same with what is known of its calls. Only who has a peer remembers.
    pub(super) fn keep(
        &mut self,
        now: Now,
        of: ServiceName,
        (Candidate { number, reached }, periods): (Candidate, ToldPeriods),
        span: Span,
        end: EndCall,
        actions: &mut Vec<Action>,
    ) {
        let kept = KeptEnd {
            span,
            reached,
            periods,
            end,
        };
        if self.model.globals.peer.address.is_none() {
            // From before a reload: that it was still to be told does not outlive that it was.
            if self.peer.ended.remove(&of, number).is_some() {
                actions.push(Action::record(forget(&of, number)));
            }
            return;
        }
        actions.push(Action::record(record_of(&of, number, &kept, now)));
        self.peer.ended.put(of, number, kept);
        let gone = self.peer.ended.drop_old(now).into_iter();
        actions.extend(gone.map(Action::record));
    }

    /// Gives what is over here the peer's numbers, where that is to be.
    pub(super) fn agree_on_ended(&mut self, now: Now, actions: &mut Vec<Action>) {
        let gone = self.peer.ended.drop_old(now).into_iter();
        actions.extend(gone.map(Action::record));
        actions.extend(self.peer.ended.hear_ends(now, &self.peer.told.ended));
        let (ended, outages) = (&self.peer.told.ended, &self.peer.told.outages);
        let is_there = |of: &&ServiceName| ended.contains_key(*of) || outages.contains_key(*of);
        let ours = self.peer.ended.by_name.keys().filter(is_there);
        let ours: Vec<ServiceName> = ours.cloned().collect();
        if ours.is_empty() {
            return;
        }
        let (open, _) = self.outages();
        let before = self.numbering;
        for of in ours {
            let open = open.get(&of).map(|it| it.id);
            let ends = self.peer.ended.by_name.get(&of).into_iter().flatten();
            // What people know the end of waits for nothing any more.
            let ends = ends.filter(|(_, kept)| kept.reached != Reached::End);
            let numbers: Vec<i64> = ends.map(|(&number, _)| number).collect();
            // What one gives up may be the number that the next one gets, on either side of it.
            for &number in numbers.iter().chain(numbers.iter().rev()) {
                let ends = self.peer.ended.by_name.get(&of);
                let Some(kept) = ends.and_then(|it| it.get(&number)).cloned() else {
                    continue;
                };
                let ours = Candidate {
                    number,
                    reached: kept.reached,
                };
                let lasted = kept.span.lasted(now);
                let Some(peers) = self.peer.known_there(&of, ours, lasted, open) else {
                    continue;
                };
                let is_known = ours.reached == Reached::Failure;
                let kept = KeptEnd {
                    reached: peers.reached,
                    periods: match is_known {
                        true => ToldPeriods::default(),
                        false => kept.periods,
                    },
                    end: EndCall::Called,
                    ..kept
                };
                let peers = peers.number;
                actions.push(Action::record(record_of(&of, peers, &kept, now)));
                self.peer.ended.put(of.clone(), peers, kept);
                self.numbering.outlive(peers);
                if is_known {
                    continue; // By both numbers people wait for an end: this one has its own.
                }
                self.peer.ended.remove(&of, number);
                let outage = |number| format!("{}/{}/{number}", of.group, of.service);
                actions.push(Action::record(forget(&of, number)));
                actions.push(Action::Renumber(Renumbering {
                    from: outage(number),
                    to: outage(peers),
                }));
            }
        }
        if self.numbering != before {
            actions.push(self.record_numbering());
        }
    }
}

fn key_of(of: &ServiceName, number: i64) -> String {
    format!("{PREFIX}{} {} {number}", of.group, of.service)
}

fn record_of(of: &ServiceName, id: i64, kept: &KeptEnd, now: Now) -> Record {
    let Past {
        lasted,
        reached,
        periods,
    } = kept.past(now);
    let ended = EndedOutage {
        of: of.clone(),
        id,
        lasted,
        reached,
        periods,
    };
    let end = kept.end;
    Record {
        key: key_of(of, id),
        // A struct of texts and numbers has no way to fail here.
        value: serde_json::to_value(SavedEnd { ended, end }).unwrap_or_default(),
    }
}

fn forget(of: &ServiceName, number: i64) -> Record {
    Record {
        key: key_of(of, number),
        value: serde_json::Value::Null,
    }
}

#[cfg(test)]
mod tests;
