//! What is to be said next, and what does the peer's state come to?
//!
//! [`Talk`] outlives the links: what the peer said last still counts when its link is gone, until
//! a new link tells its whole state. It is told of a link's beginning and end, asked for the next
//! word to send, and given every word that came.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use crate::effort::visit;
use crate::pair::SaidRole;
use crate::pair::post::Tidings;
use crate::pair::talk::delivered::{Delivered, Delivery};
use crate::pair::talk::event::EventId;
use crate::pair::talk::session::PeerRefusal;
use crate::pair::talk::skew::{OurClock, Skew};
use crate::pair::talk::wishes::{Stamp, StampedWish};
use crate::pair::talk::withdrawn::{self, WithdrawnServers};
use crate::pair::talk::word::{
    EndedOutage, Here, Lasted, OpenOutage, Past, ServiceName, Word, chunks,
};
use crate::pair::turn::TurnClock;
use crate::text::{cut, one_line};
use crate::time::{Mono, Now, Wall};

/// How often each side says that it is there: a quarter of [`DEAD_LIMIT`], so that a word that
/// comes late ends nothing.
pub const KEEPALIVE: Duration = Duration::from_secs(1);

/// A peer that says nothing for this long is gone: about what keepalived needs to notice a dead
/// director (three advertisements of a second), so that neither knows much before the other.
pub const DEAD_LIMIT: Duration = Duration::from_secs(4);

/// Outages of the peer's that are kept: as many as there may be services.
pub const OUTAGES_MAX: usize = 20_000;

/// Outages of the peer's that are over and are kept, the newest: as many as it tells.
pub const ENDED_MAX: usize = 1_000;

/// Longest name of a peer, in bytes, as it is shown.
const NAME_MAX: usize = 64;

/// Longest comment of an acknowledgement that is told and believed, in bytes.
pub(crate) const COMMENT_MAX: usize = 1_024;

/// Open outages by service.
pub type Outages = BTreeMap<ServiceName, OpenOutage>;

/// Outages that are over, by service and number.
pub type EndedOutages = BTreeMap<ServiceName, BTreeMap<i64, Past>>;

/// What this director tells.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Own {
    /// Its role.
    pub role: SaidRole,
    /// Whether it mails and posts at present.
    pub speaks: bool,
    /// No outage had a greater number.
    pub numbers: i64,
    /// Its open outages.
    pub outages: Arc<Outages>,
    /// Those that ended lately.
    pub ended: Arc<EndedOutages>,
    /// The real servers that it withdraws.
    pub withdrawn: Arc<WithdrawnServers>,
    /// The clock of their turns.
    pub turns: Option<TurnClock>,
    /// All wishes and tombstones that it knows.
    pub wishes: Arc<Vec<StampedWish>>,
}

/// What is known of the peer.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PeerState {
    /// Its name.
    pub name: String,
    /// What it said last of itself; none before the first time.
    pub here: Option<Here>,
    /// By how much its wall clock is ahead of ours, in microseconds, as [`Skew`] makes it out; the
    /// least of a link's latest delays included.
    pub ahead_micros: i64,
    /// Its open outages. Moments by our clock, as both clocks stood when it said them.
    pub outages: Arc<Outages>,
    /// Those that ended lately, by our clock as well; [`ENDED_MAX`] at most.
    pub ended: Arc<EndedOutages>,
    /// The real servers that it withdraws, [`withdrawn::WITHDRAWN_MAX`] at most.
    pub withdrawn: Arc<WithdrawnServers>,
    /// The clock of their turns, as this link said it first; none of an older version.
    pub turns: Option<TurnClock>,
}

/// What a word comes to.
#[derive(Clone, Debug, PartialEq)]
pub enum Heard {
    /// The peer's state is another one: [`Talk::peer`].
    State,
    /// The peer delivered these, or knows that they were; all of them are news, and have the same
    /// name here.
    Delivered(Vec<Delivery>),
    /// The peer knows of these; how far their clocks are ahead, by ours.
    Wishes(Vec<StampedWish>),
}

/// A link that stands.
#[derive(Debug, Default)]
struct Link {
    /// What is to be said next.
    queue: VecDeque<Word>,
    /// The end of the whole state was said.
    is_told: bool,
    /// When `Here` was said last.
    here_at: Option<Mono>,
    here: Option<Here>,
    outages: Arc<Outages>,
    ended: Arc<EndedOutages>,
    withdrawn: Arc<WithdrawnServers>,
    wishes: BTreeMap<String, Stamp>,
    /// All wishes as they were when they were looked through last.
    wished: Arc<Vec<StampedWish>>,
    delivered: u64,
    /// The peer's state as this link has told it so far; it counts when all of it is told.
    coming: Option<PeerState>,
    is_named: bool,
    skew: Skew,
}

/// The conversation with the peer.
#[derive(Debug)]
pub struct Talk {
    name: String,
    own: Own,
    delivered: Delivered,
    link: Option<Link>,
    peer: PeerState,
    clock: OurClock,
    /// Entries for which there was no room: of the peer's, or of ours in a line.
    left_out: u64,
}

impl Talk {
    /// Nobody is there yet. `name` is this director's, for persons.
    #[must_use]
    pub fn new(name: &str) -> Self {
        Self {
            name: shown(name),
            own: Own::default(),
            delivered: Delivered::default(),
            link: None,
            peer: PeerState::default(),
            clock: OurClock::default(),
            left_out: 0,
        }
    }

    /// A link is open, in the place of one before.
    pub fn linked(&mut self) {
        let hello = Word::Hello {
            name: self.name.clone(),
        };
        self.link = Some(Link {
            queue: [hello, Word::Whole].into(),
            ..Link::default()
        });
    }

    /// The link is gone.
    pub fn unlinked(&mut self) {
        self.link = None;
    }

    /// The peer is another one, of which nothing is known. What was delivered stays so, by
    /// whichever director.
    pub fn forget_peer(&mut self) {
        self.peer = PeerState::default();
    }

    /// Whether a link is open that has told the peer's whole state.
    #[must_use]
    pub fn is_heard(&self) -> bool {
        let coming = self.link.as_ref().map(|link| &link.coming);
        coming.is_some_and(Option::is_none) && self.is_named()
    }

    fn is_named(&self) -> bool {
        self.link.as_ref().is_some_and(|link| link.is_named)
    }

    /// What is known of the peer, from this link or the one before.
    #[must_use]
    pub const fn peer(&self) -> &PeerState {
        &self.peer
    }

    /// Entries of the peer's, and of ours on their way to it, that were left out for want of room.
    #[must_use]
    pub const fn left_out(&self) -> u64 {
        self.left_out
    }

    /// Deliveries that are remembered.
    #[must_use]
    pub const fn delivered(&self) -> &Delivered {
        &self.delivered
    }

    /// What holds of this director from now on.
    pub fn tell(&mut self, own: Own) {
        self.own = own;
    }

    /// This director delivered a message.
    pub fn deliver(&mut self, now: Mono, delivery: Delivery) {
        self.delivered.add(now, delivery);
    }

    /// An outage has another number from now on; the peer may know it by the old one.
    pub fn renumber(&mut self, now: Mono, from: &str, to: &str) {
        self.delivered.also(now, from, to);
    }

    /// What this director's messages came to. Of what was delivered the peer hears what both have
    /// one name for; what was delivered of a renumbered outage counts under its new number too, so
    /// that the peer finds it under either.
    pub fn pass_on(&mut self, now: Mono, tidings: Tidings) {
        match tidings {
            Tidings::Delivered(delivery) if is_shared(&delivery) => self.deliver(now, delivery),
            Tidings::Delivered(_) => {}
            Tidings::Renumbered { from, to } => self.renumber(now, &from, &to),
        }
    }

    /// The next word to send; none while there is nothing to say.
    pub fn say(&mut self, now: Now) -> Option<Word> {
        self.look_at_clock(now);
        self.delivered.expire(now.mono);
        let Self {
            own,
            delivered,
            link,
            left_out,
            ..
        } = self;
        let link = link.as_mut()?;
        if let Some(word) = link.queue.pop_front() {
            return Some(word);
        }
        let here = Here {
            role: own.role,
            speaks: own.speaks,
            numbers: own.numbers,
            time: Wall::default(),
            steps: self.clock.steps(),
            turn: None,
        };
        let is_due = |at: Mono| now.mono.since(at) >= KEEPALIVE;
        let is_other = |told: &Here| (told.role, told.speaks) != (here.role, here.speaks);
        if link.here_at.is_none_or(is_due) || link.here.as_ref().is_none_or(is_other) {
            // Its numbers are said below.
            let numbers = link.here.as_ref().map_or(0, |told| told.numbers);
            return Some(link.here(now, Here { numbers, ..here }, own.turns));
        }
        *left_out += link.look(own, delivered);
        if let Some(word) = link.queue.pop_front() {
            return Some(word);
        }
        // Behind the outages that have these numbers: who heard of the numbers first would give
        // the same outage another one, and take them for the answer that this director knows of
        // no other one (`pair::answers`).
        if link.here.as_ref() != Some(&here) {
            return Some(link.here(now, here, own.turns));
        }
        let is_told = std::mem::replace(&mut link.is_told, true);
        (!is_told).then_some(Word::Told)
    }

    /// When [`Talk::say`] has something to say without further news; none without a link.
    #[must_use]
    pub fn next(&self) -> Option<Mono> {
        let link = self.link.as_ref()?;
        let said = link.here_at.filter(|_| link.queue.is_empty());
        Some(said.map_or(Mono::ZERO, |at| at.after(KEEPALIVE)))
    }

    /// Our clock may have been set: all that is known by it moves with it, and the peer is to hear
    /// of it before any time that is told by it.
    fn look_at_clock(&mut self, now: Now) {
        let step = self.clock.step(now);
        if step == 0 {
            return;
        }
        self.peer.our_clock_was_set(step);
        if let Some(link) = &mut self.link {
            link.here_at = None;
            link.skew.our_clock_was_set(step);
            if let Some(coming) = &mut link.coming {
                coming.our_clock_was_set(step);
            }
        }
    }

    /// Takes in one word of the peer's.
    ///
    /// # Errors
    ///
    /// It does not come first, or comes first and must not: the link has to end.
    pub fn hear(&mut self, now: Now, word: Word) -> Result<Option<Heard>, PeerRefusal> {
        self.look_at_clock(now);
        let link = self.link.as_mut().ok_or(PeerRefusal::Order)?;
        if link.is_named == matches!(word, Word::Hello { .. }) {
            return Err(PeerRefusal::Order);
        }
        let peer = link.coming.as_mut().unwrap_or(&mut self.peer);
        let mut is_heard = true;
        match word {
            Word::Hello { name } => {
                link.is_named = true;
                link.coming = Some(PeerState {
                    name: shown(&name),
                    ..PeerState::default()
                });
                return Ok(None);
            }
            Word::Whole => {
                let name = peer.name.clone();
                link.coming = Some(PeerState {
                    name,
                    ..PeerState::default()
                });
            }
            Word::Told => {
                is_heard = link.coming.is_some();
                if let Some(whole) = link.coming.take() {
                    self.peer = whole;
                }
            }
            Word::Here(here) => {
                let (theirs, ours) = (here.time.as_micros(), now.wall.as_micros());
                let ahead = theirs.saturating_sub(ours);
                link.skew.take(now.mono, ahead, here.steps);
                peer.ahead_micros = link.skew.ahead_micros();
                let shown = here.turn.map(|turn| TurnClock { turn, at: now.mono });
                peer.turns = peer.turns.or(shown);
                let same = |old: &Here| {
                    let (time, turn) = (here.time, here.turn);
                    Here {
                        time,
                        turn,
                        ..old.clone()
                    } == here
                };
                is_heard = !peer.here.as_ref().is_some_and(same);
                peer.here = Some(here);
            }
            Word::Open(entries) => self.left_out += open(peer, entries),
            Word::Over(services) => over(peer, &services),
            Word::Ended(entries) => ended(peer, entries),
            Word::Gone(entries) => gone(peer, &entries),
            Word::Withdrawn(entries) => {
                self.left_out += withdrawn::withdrawn(&mut peer.withdrawn, entries);
            }
            Word::Back(servers) => withdrawn::back(&mut peer.withdrawn, &servers),
            Word::Delivered(deliveries) => {
                let add = |it: &Delivery| self.delivered.add(now.mono, it.clone());
                let news = deliveries.into_iter().filter(add).filter(is_shared);
                let news: Vec<Delivery> = news.collect();
                return Ok((!news.is_empty()).then_some(Heard::Delivered(news)));
            }
            Word::Wishes(mut wishes) => {
                for wish in &mut wishes {
                    wish.ahead_micros = wish.ahead_micros.saturating_add(peer.ahead_micros);
                }
                return Ok(Some(Heard::Wishes(wishes)));
            }
        }
        let is_whole = self.link.as_ref().is_some_and(|link| link.coming.is_none());
        Ok((is_heard && is_whole).then_some(Heard::State))
    }
}

impl PeerState {
    /// By so many microseconds.
    fn our_clock_was_set(&mut self, step: i64) {
        self.ahead_micros = self.ahead_micros.saturating_sub(step);
        let moved = |at: Wall| at.by_our_clock(step.saturating_neg());
        for outage in Arc::make_mut(&mut self.outages).values_mut() {
            outage.began = moved(outage.began);
        }
        let ended = Arc::make_mut(&mut self.ended).values_mut();
        for Past { lasted, .. } in ended.flat_map(BTreeMap::values_mut) {
            (lasted.began, lasted.ended) = (moved(lasted.began), moved(lasted.ended));
        }
    }
}

/// Takes outages in; how many had no room.
fn open(peer: &mut PeerState, entries: Vec<(ServiceName, OpenOutage)>) -> u64 {
    let mut left_out = 0;
    let outages = Arc::make_mut(&mut peer.outages);
    for (service, mut outage) in entries {
        outage.began = outage.began.by_our_clock(peer.ahead_micros);
        if let Some(ack) = &mut outage.ack {
            ack.comment = one_line(cut(&ack.comment, COMMENT_MAX));
        }
        if outages.len() < OUTAGES_MAX || outages.contains_key(&service) {
            outages.insert(service, outage);
        } else {
            left_out += 1;
        }
    }
    left_out
}

/// These go on no longer.
fn over(peer: &mut PeerState, services: &[ServiceName]) {
    let outages = Arc::make_mut(&mut peer.outages);
    for service in services {
        outages.remove(service);
    }
}

/// Takes in outages that are over. The oldest make room, those whose end people wait for last: an
/// end that is forgotten here is told by nobody where the peer dies.
fn ended(peer: &mut PeerState, entries: Vec<EndedOutage>) {
    let ended = Arc::make_mut(&mut peer.ended);
    for EndedOutage {
        of,
        id,
        lasted,
        reached,
        periods,
    } in entries
    {
        let lasted = Lasted {
            began: lasted.began.by_our_clock(peer.ahead_micros),
            ended: lasted.ended.by_our_clock(peer.ahead_micros),
        };
        let past = Past {
            lasted,
            reached,
            periods,
        };
        ended.entry(of).or_default().insert(id, past);
    }
    let all = ended.iter().flat_map(|(of, outages)| {
        let outages = outages.iter();
        outages.map(|(&id, past)| (past.is_untold(), past.lasted.ended, of.clone(), id))
    });
    let mut all: Vec<(bool, Wall, ServiceName, i64)> = all.collect();
    let excess = all.len().saturating_sub(ENDED_MAX);
    if excess == 0 {
        return;
    }
    all.sort_unstable();
    for (_, _, of, id) in all.into_iter().take(excess) {
        forget(ended, &of, id);
    }
}

/// These are not among what is over any more.
fn gone(peer: &mut PeerState, entries: &[(ServiceName, i64)]) {
    let ended = Arc::make_mut(&mut peer.ended);
    for (of, id) in entries {
        forget(ended, of, *id);
    }
}

/// One of those that are over is not known any more.
fn forget(ended: &mut EndedOutages, of: &ServiceName, id: i64) {
    if let Some(outages) = ended.get_mut(of) {
        outages.remove(&id);
        if outages.is_empty() {
            ended.remove(of);
        }
    }
}

impl Link {
    /// What is said of the director.
    fn here(&mut self, now: Now, here: Here, turns: Option<TurnClock>) -> Word {
        self.here_at = Some(now.mono);
        self.here = Some(here.clone());
        let (time, turn) = (now.wall, turns.map(|it| it.read(now.mono)));
        Word::Here(Here { time, turn, ..here })
    }

    /// Puts in line what differs from what was told; how many entries are too large for a line.
    fn look(&mut self, own: &Own, delivered: &Delivered) -> u64 {
        let mut left_out = 0;
        // Before what is over: a number that is neither open nor ended is unknown to the peer.
        if self.ended != own.ended {
            let told = std::mem::replace(&mut self.ended, Arc::clone(&own.ended));
            // First: until it hears by which number one is known now, the peer knows none.
            let gone = told.iter().flat_map(|(of, outages)| {
                let own = own.ended.get(of);
                let is_gone = move |id: &&i64| !own.is_some_and(|own| own.contains_key(*id));
                let gone = outages.keys().filter(is_gone);
                gone.map(|&id| (of.clone(), id))
            });
            self.queue
                .extend(chunks(gone, &mut left_out).into_iter().map(Word::Gone));
            let all = own.ended.iter().flat_map(|(of, outages)| {
                let told = told.get(of);
                let is_news = move |(id, past): &(&i64, &Past)| {
                    told.and_then(|told| told.get(*id)) != Some(*past)
                };
                let news = outages.iter().filter(is_news);
                news.map(|(&id, past)| EndedOutage {
                    of: of.clone(),
                    id,
                    lasted: past.lasted,
                    reached: past.reached,
                    periods: past.periods.clone(),
                })
            });
            self.queue
                .extend(chunks(all, &mut left_out).into_iter().map(Word::Ended));
        }
        if !Arc::ptr_eq(&self.outages, &own.outages) {
            let told = std::mem::replace(&mut self.outages, Arc::clone(&own.outages));
            let gone = told.keys().filter(|name| !own.outages.contains_key(*name));
            let gone = chunks(gone.cloned(), &mut left_out)
                .into_iter()
                .map(Word::Over);
            self.queue.extend(gone);
            let open = own.outages.iter();
            let open = open.filter(|(name, outage)| told.get(*name) != Some(*outage));
            let open = open.map(|(name, outage)| (name.clone(), outage.clone()));
            self.queue
                .extend(chunks(open, &mut left_out).into_iter().map(Word::Open));
        }
        if !Arc::ptr_eq(&self.withdrawn, &own.withdrawn) {
            let told = std::mem::replace(&mut self.withdrawn, Arc::clone(&own.withdrawn));
            let news = withdrawn::news(&told, &own.withdrawn, &mut left_out);
            self.queue.extend(news);
        }
        if !Arc::ptr_eq(&self.wished, &own.wishes) {
            self.wished = Arc::clone(&own.wishes);
            let wishes = own.wishes.iter().inspect(|_| visit());
            let wishes = wishes.filter(|it| self.wishes.get(&it.key) != Some(&it.stamp));
            let wishes: Vec<StampedWish> = wishes.cloned().collect();
            let stamps = wishes.iter().map(|it| (it.key.clone(), it.stamp));
            self.wishes.extend(stamps);
            self.queue
                .extend(chunks(wishes, &mut left_out).into_iter().map(Word::Wishes));
        }
        let news = chunks(delivered.from(self.delivered).cloned(), &mut left_out);
        self.queue.extend(news.into_iter().map(Word::Delivered));
        self.delivered = delivered.end();
        left_out
    }
}

fn is_shared(delivery: &Delivery) -> bool {
    EventId::of(&delivery.event).is_some_and(EventId::is_shared)
}

/// What the peer says, as a person may see it.
fn shown(text: &str) -> String {
    one_line(cut(text, NAME_MAX))
}

#[cfg(test)]
mod tests;
