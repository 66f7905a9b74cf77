//! What is told by this director, what is held for the other one, and what needs no telling (D26)?
//!
//! The engine's policy runs on both directors alike; only here one of them is silent. Each message
//! is a [`Letter`] with a number; whoever keeps contents and performs deliveries puts it in, says
//! when it leaves and what came of it, and is told which letters are [`Forgotten`]. The other one
//! says itself what it has told. What came while nothing is heard of it, and is older than some
//! time, it is taken to have told.
//!
//! | Question | File |
//! |---|---|
//! | what is known of one message for one receiver | `letter` |
//! | in which words does the post hear, and answer | `words` |
//! | which letters go because what they tell was told | `drop` |
//! | which letters does nobody need any more | `forget` |

mod drop;
mod forget;
mod letter;
mod words;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use crate::effort::visit;
use crate::pair::Speaking;
use crate::pair::ledger::Entry;
pub use crate::pair::post::letter::{Came, Chance, Letter, Origin, Stage, is_given_up};
pub use crate::pair::post::words::{Admission, Hearing, Renumbered, Terms, Tidings, receiver};
pub use crate::pair::renamed::RENAMED_MAX;
use crate::pair::renamed::{Part, Renamed};
use crate::pair::talk::delivered::DELIVERED_MAX;
use crate::pair::talk::{Delivered, Delivery, EventId, EventKind};
use crate::time::{Mono, Now};

/// Why a letter is not needed any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// The other director has told it, or what makes it needless.
    ToldElsewhere,
    /// Nobody has told it: it began and ended before a later outage that the other director told.
    Overtaken,
    /// This director has told it before it was started: the file outlived that.
    ToldBefore,
    /// The other director had so much time to tell it.
    Assumed,
    /// It was to be told here, and nobody wants it any more.
    TooOld,
}

/// [`Why::Overtaken`] for a person, behind what it is about.
pub const OVERTAKEN: &str =
    "began and ended unheard of before a later outage that the other director told";

/// A letter that is not needed any more, and not known here from now on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Forgotten {
    /// Its number.
    pub number: u64,
    /// Why.
    pub why: Why,
}

/// An event, a receiver, and the letter that tells it to that one.
type Place = (Arc<str>, Arc<str>, u64);

/// All letters of one director, and what it knows of the other one's.
#[derive(Debug)]
pub struct Post {
    terms: Terms,
    speaking: Speaking,
    /// Since when that holds.
    turned: Mono,
    hearing: Hearing,
    /// Since when the other director is not heard.
    lost: Mono,
    letters: BTreeMap<u64, Letter>,
    /// All of them by event and receiver.
    events: BTreeSet<Place>,
    /// What the other director has told: it may be asked for here later.
    elsewhere: Delivered,
    /// What this director has told itself.
    here: Delivered,
    /// Outages that have another number than some calls still say.
    renamed: Renamed,
    /// What the other director is still to hear, at most [`DELIVERED_MAX`].
    tidings: VecDeque<Tidings>,
    /// What a restart must not forget and is not on the disk yet, at most [`DELIVERED_MAX`].
    unkept: VecDeque<Entry>,
}

impl Post {
    /// Of a director that speaks, and hears of no other.
    #[must_use]
    pub fn new(now: Mono, terms: Terms) -> Self {
        Self {
            terms,
            speaking: Speaking::Speaks,
            turned: now,
            hearing: Hearing::Never,
            lost: now,
            letters: BTreeMap::new(),
            events: BTreeSet::new(),
            elsewhere: Delivered::default(),
            here: Delivered::default(),
            renamed: Renamed::default(),
            tidings: VecDeque::new(),
            unkept: VecDeque::new(),
        }
    }

    /// Other times.
    pub const fn set_terms(&mut self, terms: Terms) {
        self.terms = terms;
    }

    /// Whether this director tells people.
    #[must_use]
    pub const fn speaking(&self) -> Speaking {
        self.speaking
    }

    /// How many letters there are, under way or not.
    #[must_use]
    pub fn len(&self) -> usize {
        self.letters.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.letters.is_empty()
    }

    /// One of them.
    #[must_use]
    pub fn letter(&self, number: u64) -> Option<&Letter> {
        self.letters.get(&number)
    }

    /// The letters that tell this event to this receiver.
    pub fn telling(&self, event: &str, to: &Arc<str>) -> impl Iterator<Item = u64> + '_ {
        let place = |number| (Arc::from(event), Arc::clone(to), number);
        let places = self.events.range(place(0)..=place(u64::MAX));
        places.map(|(_, _, number)| *number).inspect(|_| visit())
    }

    /// What this event is called now; none where that has not changed.
    #[must_use]
    pub fn now_called(&self, event: &str) -> Option<String> {
        self.renamed.now(event)
    }

    /// Whether the other director has told this, or while it is the one to tell, what makes it
    /// needless.
    #[must_use]
    pub fn is_needless(&self, event: &str, to: &Arc<str>) -> bool {
        match self.speaking {
            Speaking::Silent => self.elsewhere.covers(event, to),
            Speaking::Speaks => self.elsewhere.has(event, to) || self.is_over(event, to),
        }
    }

    /// Whether this receiver has the end of what this is about from the other director. Who fails
    /// on behind that tells it as another outage.
    fn is_over(&self, event: &str, to: &Arc<str>) -> bool {
        let id = EventId::of(event).filter(|id| id.is_shared() && id.kind != EventKind::Up);
        id.is_some_and(|id| self.elsewhere.has_end_for(id.outage, to))
    }

    /// Puts a letter of a call in, under a number that no other one has, unless nobody needs it.
    /// After a crash the engine may call once more what was in the spool before: `is_same` says
    /// which of the letters that tell the same to the same receiver would be such a one.
    pub fn admit(
        &mut self,
        number: u64,
        letter: Letter,
        is_same: impl FnMut(&u64) -> bool,
    ) -> Admission {
        let event = letter.events.first().map_or("", |event| event);
        if let Some(known) = self.telling(event, &letter.to).find(is_same) {
            return Admission::Known(known);
        }
        if self.is_needless(event, &letter.to) {
            return Admission::Needless;
        }
        self.put(number, letter);
        Admission::Taken
    }

    /// Puts a letter in, under a number that no other one has.
    pub fn put(&mut self, number: u64, letter: Letter) {
        let places = letter.events.iter();
        let places = places.map(|event| (Arc::clone(event), Arc::clone(&letter.to), number));
        self.events.extend(places);
        self.letters.insert(number, letter);
    }

    /// A letter is over, however. None where it was forgotten before.
    pub fn gone(&mut self, number: u64) -> Option<Letter> {
        let letter = self.letters.remove(&number)?;
        for event in &letter.events {
            let place = (Arc::clone(event), Arc::clone(&letter.to), number);
            self.events.remove(&place);
        }
        Some(letter)
    }

    /// One is on its way. From its first attempt on it is this director's own.
    pub fn leaves(&mut self, number: u64) {
        self.set_stage(number, Stage::UnderWay);
    }

    /// It did not get there and is to be tried again, unless the other director has told it
    /// meanwhile.
    pub fn stays(&mut self, number: u64) -> Option<Forgotten> {
        self.set_stage(number, Stage::Own);
        let letter = self.letters.get(&number)?;
        let is_told = |event: &Arc<str>| self.is_needless(event, &letter.to);
        let is_told = letter.events.iter().all(is_told);
        is_told.then(|| self.forget(number, Why::ToldElsewhere))
    }

    /// The receiver has it: which events those are, by the ids that they have now.
    pub fn delivered(&mut self, number: u64) -> Vec<Arc<str>> {
        let Some(letter) = self.gone(number) else {
            return Vec::new();
        };
        let events = letter.events.clone();
        for event in letter.events {
            let to = Arc::clone(&letter.to);
            let delivery = Delivery { event, to };
            self.here.add(self.turned, delivery.clone());
            if EventId::of(&delivery.event).is_some_and(EventId::is_shared) {
                self.unkept.push_back(Entry::Delivered(delivery.clone()));
            }
            self.tidings.push_back(Tidings::Delivered(delivery));
        }
        self.bound();
        events
    }

    /// The first of them stands for all from now on, and this director begins to tell it.
    pub fn seal(&mut self, numbers: &[u64]) {
        let Some((&first, others)) = numbers.split_first() else {
            return;
        };
        let mut events = Vec::new();
        for &other in others {
            events.extend(self.gone(other).into_iter().flat_map(|it| it.events));
        }
        let Some(mut letter) = self.gone(first) else {
            return;
        };
        letter.events.extend(events);
        letter.stage = Stage::Own;
        self.put(first, letter);
    }

    fn set_stage(&mut self, number: u64, stage: Stage) {
        if let Some(letter) = self.letters.get_mut(&number) {
            letter.stage = stage;
        }
    }

    /// From now on people are told, or everything is held.
    pub fn speak(&mut self, now: Now, speaking: Speaking) -> Vec<Forgotten> {
        if self.speaking == speaking {
            return Vec::new();
        }
        let mut forgotten = Vec::new();
        if speaking == Speaking::Speaks {
            forgotten = self.forget_old(now);
            forgotten.extend(self.forget_overtaken());
        }
        self.speaking = speaking;
        let spoke = now
            .mono
            .since(std::mem::replace(&mut self.turned, now.mono));
        // After a shorter while the other director has it all, and tells it.
        if speaking == Speaking::Silent && spoke > self.terms.held_most {
            for letter in self.letters.values_mut() {
                if letter.stage == Stage::Held {
                    letter.stage = Stage::Own;
                }
            }
        }
        forgotten
    }

    /// From now on the other director says what it has told, or does not.
    pub fn hear(&mut self, now: Mono, hearing: Hearing) {
        if hearing != Hearing::Linked && self.hearing == Hearing::Linked {
            self.lost = now;
        }
        self.hearing = hearing;
    }

    /// The other director told these, each under the number that it had for the outage. Whatever
    /// number this one gave up for that: to the other one it may be a former outage, of which this
    /// one missed the end, and what was told of that says nothing of the next.
    pub fn told(&mut self, now: Mono, told: &[Delivery]) -> Vec<Forgotten> {
        self.elsewhere.expire(now);
        for delivery in told {
            if self.elsewhere.add(now, delivery.clone()) {
                self.unkept.push_back(Entry::Told(delivery.clone()));
            }
        }
        self.bound();
        let mut forgotten = Vec::new();
        for Delivery { event, to } in told {
            forgotten.extend(self.drop_told(event, to, Why::ToldElsewhere));
            let Some(id) = EventId::of(event) else {
                continue;
            };
            for other in self.of_outage(id.outage, to) {
                let is_covering = match self.speaking {
                    Speaking::Silent => EventId::of(&other).is_some_and(|other| id.covers(other)),
                    Speaking::Speaks => self.is_over(&other, to),
                };
                if is_covering {
                    forgotten.extend(self.drop_told(&other, to, Why::ToldElsewhere));
                }
            }
        }
        forgotten
    }

    /// Outages have other numbers from now on, each from one to another: so have the letters. What
    /// either of the two has told of them is dropped, and what this director itself calls by the
    /// old number later is theirs, too.
    pub fn renumber<'a>(
        &mut self,
        outages: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> Renumbered {
        let mut changed = BTreeSet::new();
        let mut forgotten = Vec::new();
        for (from, to) in outages {
            let (from, to) = (Arc::from(from), Arc::from(to));
            let told = self.told_before(&from, &to);
            changed.extend(self.call(&from, &to));
            for (event, receiver, number) in told {
                let why = Why::ToldBefore;
                forgotten.extend(self.drop_from(vec![number], &event, &receiver, why));
            }
            self.unkept.push_back(Entry::Renumbered { from, to });
        }
        self.bound();
        let mut renumbered = self.renumbered(changed);
        renumbered.forgotten.extend(forgotten);
        renumbered
    }

    /// From now on the one outage is called as the other, also to the other director: which letters
    /// that changes. An end of it that waits for one receiver while another one has it stays the
    /// end of the one that it was: what goes on is the next (as in [`Delivered::also`]).
    fn call(&mut self, from: &Arc<str>, to: &Arc<str>) -> Vec<u64> {
        let has_end = self.elsewhere.has_end(from) || self.here.has_end(from);
        let part = match has_end {
            true => Part::AllButItsEnd,
            false => Part::All,
        };
        self.renamed.add(from, to, part);
        self.here.also(self.turned, from, to);
        let (old, new) = (Arc::clone(from), Arc::clone(to));
        self.tidings
            .push_back(Tidings::Renumbered { from: old, to: new });
        self.rename(from, to, part)
    }

    /// After letters got other ids.
    fn renumbered(&mut self, mut changed: BTreeSet<u64>) -> Renumbered {
        let mut forgotten = Vec::new();
        for &number in &changed {
            forgotten.extend(self.drop_told_of(number));
        }
        changed.retain(|number| self.letters.contains_key(number));
        Renumbered { forgotten, changed }
    }

    /// The events that this director has told, the oldest first, each once for every receiver.
    pub fn delivered_here(&self) -> impl Iterator<Item = &Arc<str>> {
        self.here.from(0).map(|it| &it.event)
    }

    /// What is not on the disk yet, for whoever writes it there.
    pub fn unkept(&mut self) -> Vec<Entry> {
        std::mem::take(&mut self.unkept).into()
    }

    /// The disk did not take these: they come next again.
    pub fn keep_unkept(&mut self, entries: Vec<Entry>) {
        for entry in entries.into_iter().rev() {
            self.unkept.push_front(entry);
        }
        self.bound();
    }

    /// What was on the disk at the start, in order. The other director is told of it as of news; a
    /// letter that is there although it was delivered is one whose file outlived that.
    pub fn recall(&mut self, now: Mono, entries: Vec<Entry>) -> Renumbered {
        let mut changed = BTreeSet::new();
        let mut told = Vec::new();
        for entry in entries {
            match entry {
                Entry::Delivered(delivery) => {
                    told.push((delivery.clone(), Why::ToldBefore));
                    self.here.add(now, delivery.clone());
                    self.tidings.push_back(Tidings::Delivered(delivery));
                }
                Entry::Told(delivery) => {
                    self.elsewhere.add(now, delivery.clone());
                    told.push((delivery, Why::ToldElsewhere));
                }
                Entry::Renumbered { from, to } => changed.extend(self.call(&from, &to)),
            }
        }
        self.bound();
        let mut renumbered = self.renumbered(changed);
        let drop = |(it, why): &(Delivery, Why)| self.drop_told(&it.event, &it.to, *why);
        renumbered.forgotten.extend(told.iter().flat_map(drop));
        renumbered
            .changed
            .retain(|number| self.letters.contains_key(number));
        renumbered
    }

    /// Looks for letters that nobody needs any more, which is to be done now and then.
    pub fn tidy(&mut self, now: Now) -> Vec<Forgotten> {
        match self.speaking {
            Speaking::Speaks => Vec::new(),
            Speaking::Silent => self.forget_old(now),
        }
    }

    /// What the other director is still to hear.
    pub fn next_tidings(&mut self) -> Option<Tidings> {
        self.tidings.pop_front()
    }

    /// There was no room for it: it comes next again.
    pub fn keep_tidings(&mut self, tidings: Tidings) {
        self.tidings.push_front(tidings);
    }

    /// Whether the other director is to hear anything.
    #[must_use]
    pub fn has_tidings(&self) -> bool {
        !self.tidings.is_empty()
    }

    /// What is beyond would be forgotten by the link, and by whoever reads the disk, too.
    fn bound(&mut self) {
        let excess = self.tidings.len().saturating_sub(DELIVERED_MAX);
        self.tidings.drain(..excess);
        let excess = self.unkept.len().saturating_sub(DELIVERED_MAX);
        self.unkept.drain(..excess);
    }

    /// What tells of this outage.
    fn places_of(&self, outage: &str) -> impl Iterator<Item = &Place> + Clone {
        let begin = format!("{outage}/");
        let first: Place = (begin.as_str().into(), "".into(), 0);
        let outage = outage.to_owned();
        let places = self.events.range(first..).inspect(|_| visit());
        let places = places.take_while(move |(event, ..)| event.starts_with(&begin));
        // A longer name of an outage may begin with this one.
        places.filter(move |(event, ..)| EventId::of(event).is_some_and(|id| id.outage == outage))
    }

    /// Events of this outage that wait to be told to this receiver.
    fn of_outage(&self, outage: &str, to: &Arc<str>) -> BTreeSet<Arc<str>> {
        let places = self.places_of(outage).filter(|(_, known, _)| known == to);
        places.map(|(event, ..)| Arc::clone(event)).collect()
    }

    /// Gives the letters of an outage other ids: which those are.
    fn rename(&mut self, from: &str, to: &str, part: Part) -> Vec<u64> {
        let is_meant =
            |(event, ..): &&Place| EventId::of(event).is_some_and(|it| part.has(it.kind));
        let places = self.places_of(from).filter(is_meant);
        let places: Vec<Place> = places.cloned().collect();
        let mut numbers = Vec::new();
        for place in places {
            self.events.remove(&place);
            let (old, receiver, number) = place;
            let Some(new) = EventId::of(&old).map(|id| Arc::<str>::from(id.within(to))) else {
                continue;
            };
            if let Some(letter) = self.letters.get_mut(&number) {
                let events = letter.events.iter_mut().filter(|event| **event == old);
                events.for_each(|event| *event = Arc::clone(&new));
            }
            self.events.insert((new, receiver, number));
            numbers.push(number);
        }
        numbers
    }
}

#[cfg(test)]
mod tests;
