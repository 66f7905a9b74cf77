//! Whether a trap is let in, at a bounded cost, and when.
//!
//! Pure. The rules decide; a password is looked at once, and its outcome is remembered, because a
//! look may take a second by design while packets come by the ten thousand. New passwords share a
//! quarter of one processor. Traps wait for it, each sender in a share of its own, and the senders
//! take turns, as do the users of one: who sends many wrong ones delays itself.
//!
//! Traps of one sender for one service leave in the order in which they came, because a failure
//! and a recovery are no sums: a known password waits behind a new one. A guess waits for itself
//! only: where the right password of a user is known, a new one holds up nobody.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::IpAddr;
use std::ops::Bound::{Excluded, Unbounded};
use std::time::Duration;

use crate::protocol::auth::{TrapRefusal, TrapRules, Verdict};
use crate::protocol::crypt::PasswordHash;
use crate::protocol::trap::Packet;
use crate::time::Mono;

/// After a look at a password none follows for so many times as long as it took: a quarter of a
/// processor lets 90 usual users in within seconds after a start and leaves the checks theirs.
const REST: u32 = 3;

/// Passwords that are remembered as right, and as wrong; a few hundred kB each. There can be no
/// more right ones than there are entries, but for old entries and DES.
const REMEMBERED_MAX: usize = 4_000;

/// A packet that waits counts for so much, in bytes, however short it is: its parts are texts of
/// their own.
const WEIGHT_LEAST: usize = 4 * 1024;

/// What may wait of one user of one sender, in bytes: the largest packet, or 64 usual ones.
const USER_MAX: usize = 256 * 1024;

/// What may wait of one sender, in bytes: 256 usual packets, of four users at least.
const SENDER_MAX: usize = 4 * USER_MAX;

/// What may wait in all, in bytes: 4,096 usual packets.
const ALL_MAX: usize = 16 * SENDER_MAX;

/// A password together with the hash that it was compared with, as a keyed digest.
type Digest = [u8; 32];

/// The rules, what is remembered of passwords, and what waits for a look at one.
#[derive(Debug)]
pub struct Guard {
    rules: TrapRules,
    /// Makes the digests of one daemon unlike those of any other.
    key: [u8; 32],
    right: BTreeSet<Digest>,
    wrong: BTreeSet<Digest>,
    /// Hashes of which the right password is known.
    opened: BTreeSet<Digest>,
    /// Never one without a packet.
    senders: BTreeMap<IpAddr, Queue>,
    /// The senders by what waits of them, so that the heaviest is found.
    weights: BTreeSet<(usize, IpAddr)>,
    /// What waits of all.
    weight: usize,
    /// Senders of whom something may be ready to leave.
    due: BTreeSet<IpAddr>,
    /// Whose turn it was to leave.
    left: Option<IpAddr>,
    /// Whose turn it was to be looked at.
    looked_at: Option<IpAddr>,
    /// What is looked at.
    looking: Option<Pair>,
    rests_until: Mono,
}

/// What waits of one sender, in the order in which it came.
#[derive(Debug, Default)]
struct Queue {
    packets: VecDeque<Waiting>,
    weight: usize,
    /// What waits of each user; none without a packet.
    users: BTreeMap<String, usize>,
    /// Whose turn it was.
    looked_at: String,
}

#[derive(Debug)]
struct Waiting {
    packet: Packet,
    judged: Judged,
}

/// What a sender is to lose of what waits.
#[derive(Clone, Copy, Debug)]
struct Loss {
    /// So many of the newest packets.
    count: usize,
    /// What weight then waits.
    left: usize,
}

/// What the rules say of a packet.
#[derive(Debug)]
enum Judged {
    Welcome,
    Refused(TrapRefusal),
    Verify(Pair, PasswordHash),
}

/// A password and its hash.
#[derive(Clone, Copy, Debug)]
struct Pair {
    both: Digest,
    hash: Digest,
}

/// What is known of a packet.
#[derive(Debug, PartialEq, Eq)]
enum Known {
    Right,
    Refused(TrapRefusal),
    /// It needs a look.
    New,
    /// It needs a look, but the right password is another one.
    Guess,
}

/// What becomes of a packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It is let in.
    Take,
    /// It is dropped for this reason.
    Refuse(TrapRefusal),
    /// It is dropped: too much of its sender waits.
    Full,
}

/// A packet of which is known what becomes of it.
#[derive(Debug, PartialEq, Eq)]
pub struct Decided {
    /// Which.
    pub packet: Packet,
    /// What becomes of it.
    pub fate: Fate,
}

/// A password that is to be looked at. Its `Debug` does not show it.
#[derive(PartialEq, Eq)]
pub struct Look {
    hash: PasswordHash,
    password: Vec<u8>,
}

impl std::fmt::Debug for Look {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "a password for {:?}", self.hash)
    }
}

impl Look {
    /// Whether the password fits; takes up to a second.
    #[must_use]
    pub fn fits(&self) -> bool {
        self.hash.verify(&self.password)
    }
}

impl Guard {
    /// A guard that remembers nothing yet. The key should be random.
    #[must_use]
    pub const fn new(rules: TrapRules, key: [u8; 32]) -> Self {
        Self {
            rules,
            key,
            right: BTreeSet::new(),
            wrong: BTreeSet::new(),
            opened: BTreeSet::new(),
            senders: BTreeMap::new(),
            weights: BTreeSet::new(),
            weight: 0,
            due: BTreeSet::new(),
            left: None,
            looked_at: None,
            looking: None,
            rests_until: Mono::ZERO,
        }
    }

    /// From now on these rules hold, also for what waits. What is remembered holds for a hash, so
    /// it stays.
    pub fn reload(&mut self, rules: TrapRules) {
        self.rules = rules;
        self.judge_anew();
    }

    /// A name of the rules has these addresses.
    pub fn resolve(&mut self, name: &str, addresses: &[IpAddr]) {
        self.rules.resolve(name, addresses);
        self.judge_anew();
    }

    fn judge_anew(&mut self) {
        for (sender, queue) in &mut self.senders {
            for waiting in &mut queue.packets {
                waiting.judged = judge(&self.rules, &self.key, &waiting.packet);
            }
            self.due.insert(*sender);
        }
    }

    /// A packet came. The answer is what is decided by that: the packet itself, or others that had
    /// to make room for it; one that is not in the answer waits. `has_room` says whether one can be
    /// let in now.
    pub fn offer(&mut self, packet: Packet, has_room: bool) -> Vec<Decided> {
        let judged = judge(&self.rules, &self.key, &packet);
        let fate = match self.known(&judged) {
            Known::Refused(refusal) => Fate::Refuse(refusal),
            Known::Right if has_room && !self.is_held_up(&packet) => Fate::Take,
            known @ (Known::Right | Known::New | Known::Guess) => {
                let weight = weight(&packet);
                if let Some(dropped) = self.make_room(&packet, weight) {
                    if known == Known::Right {
                        self.due.insert(packet.trap.from);
                    }
                    self.put(Waiting { packet, judged }, weight);
                    return dropped;
                }
                // Rather out of its order than not at all.
                if known == Known::Right && has_room {
                    Fate::Take
                } else {
                    Fate::Full
                }
            }
        };
        vec![Decided { packet, fate }]
    }

    /// What has become ready to leave, of which at most `room` are let in.
    pub fn release(&mut self, mut room: usize) -> Vec<Decided> {
        let mut decided = Vec::new();
        for _ in 0..self.due.len() {
            let Some(sender) = turn(&self.due, self.left.as_ref()) else {
                break;
            };
            self.left = Some(sender);
            if !self.release_of(sender, &mut room, &mut decided) {
                break;
            }
            self.due.remove(&sender);
        }
        decided
    }

    /// Whether something may leave, for which there was no room.
    #[must_use]
    pub fn has_ready(&self) -> bool {
        !self.due.is_empty()
    }

    /// The password that is to be looked at now, after which [`Guard::looked`] is told; none while
    /// one is looked at, and while there is no time for one.
    pub fn next_look(&mut self, now: Mono) -> Option<Look> {
        if self.looking.is_some() || now < self.rests_until {
            return None;
        }
        let mut sender = self.looked_at;
        for _ in 0..self.senders.len() {
            sender = next(&self.senders, sender.as_ref());
            let Some(queue) = sender.and_then(|sender| self.senders.get(&sender)) else {
                break;
            };
            if let Some((pair, look, user)) = self.next_of(queue) {
                self.looking = Some(pair);
                self.looked_at = sender;
                if let Some(queue) = sender.and_then(|sender| self.senders.get_mut(&sender)) {
                    queue.looked_at = user;
                }
                return Some(look);
            }
        }
        None
    }

    /// When there is time for the next look, where something waits and there is none now. `now` is
    /// the time that [`Guard::next_look`] was asked with.
    #[must_use]
    pub fn wakes(&self, now: Mono) -> Option<Mono> {
        let waits = self.looking.is_none() && !self.senders.is_empty();
        Some(self.rests_until).filter(|until| waits && now < *until)
    }

    /// What the look at a password found, and how long it took until now.
    pub fn looked(&mut self, fits: bool, took: Duration, now: Mono) {
        self.rests_until = now.after(took.saturating_mul(REST));
        let Some(pair) = self.looking.take() else {
            return;
        };
        if fits {
            remember(&mut self.right, pair.both);
            remember(&mut self.opened, pair.hash);
        } else {
            remember(&mut self.wrong, pair.both);
        }
        for (sender, queue) in &self.senders {
            let waits = |waiting: &Waiting| matches!(&waiting.judged, Judged::Verify(is, _) if is.both == pair.both);
            if queue.packets.iter().any(waits) {
                self.due.insert(*sender);
            }
        }
    }

    fn known(&self, judged: &Judged) -> Known {
        match judged {
            Judged::Welcome => Known::Right,
            Judged::Refused(refusal) => Known::Refused(refusal.clone()),
            Judged::Verify(pair, _) if self.right.contains(&pair.both) => Known::Right,
            Judged::Verify(pair, _) if self.wrong.contains(&pair.both) => {
                Known::Refused(TrapRefusal::Password)
            }
            Judged::Verify(pair, _) if self.opened.contains(&pair.hash) => Known::Guess,
            Judged::Verify(..) => Known::New,
        }
    }

    /// Whether another packet of its sender for its service has to leave first.
    fn is_held_up(&self, packet: &Packet) -> bool {
        let Some(queue) = self.senders.get(&packet.trap.from) else {
            return false;
        };
        queue.packets.iter().any(|waiting| {
            let other = &waiting.packet.trap;
            other.service == packet.trap.service
                && other.group == packet.trap.group
                && match self.known(&waiting.judged) {
                    Known::Right | Known::New => true,
                    Known::Guess | Known::Refused(_) => false,
                }
        })
    }

    /// Makes room for one more packet, where need be at the cost of senders of whom more waits:
    /// what these lose. None, and nobody loses anything, where that would not be enough.
    fn make_room(&mut self, packet: &Packet, weight: usize) -> Option<Vec<Decided>> {
        let sender = packet.trap.from;
        let (of_sender, of_user) = self.senders.get(&sender).map_or((0, 0), |queue| {
            let of_user = queue.users.get(&packet.user);
            (queue.weight, of_user.copied().unwrap_or_default())
        });
        if of_sender + weight > SENDER_MAX || of_user + weight > USER_MAX {
            return None;
        }
        let losers = self.losers(of_sender + weight, self.weight + weight)?;
        let each = |(sender, loss): (IpAddr, Loss)| std::iter::repeat_n(sender, loss.count);
        let drops = losers.into_iter().flat_map(each);
        Some(
            drops
                .filter_map(|sender| self.drop_last_of(sender))
                .collect(),
        )
    }

    /// Who loses how many of their newest packets, so that no more than [`ALL_MAX`] of `all`
    /// waits; only who has more than `most`, the heaviest first. None where that is not enough.
    fn losers(&self, most: usize, all: usize) -> Option<BTreeMap<IpAddr, Loss>> {
        let mut losers: BTreeMap<IpAddr, Loss> = BTreeMap::new();
        let mut excess = all.saturating_sub(ALL_MAX);
        while excess > 0 {
            let mut others = self.weights.iter().rev();
            let other = others.find(|(_, sender)| !losers.contains_key(sender));
            let known = losers.iter().map(|(sender, loss)| (loss.left, *sender));
            let heaviest = other.copied().into_iter().chain(known).max();
            let (left, sender) = heaviest.filter(|(left, _)| *left > most)?;
            let packets = &self.senders.get(&sender)?.packets;
            let loss = losers.entry(sender).or_insert(Loss { count: 0, left });
            let next = packets.iter().rev().nth(loss.count)?;
            let weight = self::weight(&next.packet);
            loss.count += 1;
            loss.left = loss.left.saturating_sub(weight);
            excess = excess.saturating_sub(weight);
        }
        Some(losers)
    }

    /// The newest goes, so that what is left keeps its order.
    fn drop_last_of(&mut self, sender: IpAddr) -> Option<Decided> {
        let mut queue = self.take_queue(sender)?;
        let last = queue.packets.pop_back();
        if let Some(Waiting { packet, .. }) = &last {
            queue.unweigh(packet);
        }
        self.put_queue(sender, queue);
        last.map(|Waiting { packet, .. }| Decided {
            packet,
            fate: Fate::Full,
        })
    }

    fn put(&mut self, waiting: Waiting, weight: usize) {
        let sender = waiting.packet.trap.from;
        let mut queue = self.take_queue(sender).unwrap_or_default();
        queue.weight += weight;
        *queue.users.entry(waiting.packet.user.clone()).or_default() += weight;
        queue.packets.push_back(waiting);
        self.put_queue(sender, queue);
    }

    /// A queue is taken out to be changed, so that the sums stay those of the queues.
    fn take_queue(&mut self, sender: IpAddr) -> Option<Queue> {
        let queue = self.senders.remove(&sender)?;
        self.weights.remove(&(queue.weight, sender));
        self.weight = self.weight.saturating_sub(queue.weight);
        Some(queue)
    }

    fn put_queue(&mut self, sender: IpAddr, queue: Queue) {
        if queue.packets.is_empty() {
            return;
        }
        self.weights.insert((queue.weight, sender));
        self.weight += queue.weight;
        self.senders.insert(sender, queue);
    }

    /// Lets go what is ready of one sender, and says whether there was room for all of it.
    fn release_of(&mut self, sender: IpAddr, room: &mut usize, decided: &mut Vec<Decided>) -> bool {
        let Some(mut queue) = self.take_queue(sender) else {
            return true;
        };
        let mut held_up = BTreeSet::new();
        let mut is_all = true;
        for waiting in std::mem::take(&mut queue.packets) {
            let trap = &waiting.packet.trap;
            let service = (trap.group.clone(), trap.service.clone());
            let fate = match self.known(&waiting.judged) {
                Known::Refused(refusal) => Fate::Refuse(refusal),
                Known::Right if !held_up.contains(&service) && *room > 0 => {
                    *room -= 1;
                    Fate::Take
                }
                known @ (Known::Right | Known::New | Known::Guess) => {
                    is_all &= known != Known::Right || held_up.contains(&service);
                    if known != Known::Guess {
                        held_up.insert(service);
                    }
                    queue.packets.push_back(waiting);
                    continue;
                }
            };
            let packet = waiting.packet;
            queue.unweigh(&packet);
            decided.push(Decided { packet, fate });
        }
        self.put_queue(sender, queue);
        is_all
    }

    /// What is to be looked at of one sender: the oldest of the user whose turn it is.
    fn next_of(&self, queue: &Queue) -> Option<(Pair, Look, String)> {
        let mut user = Some(queue.looked_at.clone());
        for _ in 0..queue.users.len() {
            user = next(&queue.users, user.as_ref());
            let its = |waiting: &&Waiting| user.as_ref() == Some(&waiting.packet.user);
            for waiting in queue.packets.iter().filter(its) {
                let is_open = match self.known(&waiting.judged) {
                    Known::New | Known::Guess => true,
                    Known::Right | Known::Refused(_) => false,
                };
                if let (true, Judged::Verify(pair, hash)) = (is_open, &waiting.judged) {
                    let look = Look {
                        hash: hash.clone(),
                        password: waiting.packet.password.clone(),
                    };
                    return Some((*pair, look, waiting.packet.user.clone()));
                }
            }
        }
        None
    }
}

impl Queue {
    /// A packet has left.
    fn unweigh(&mut self, packet: &Packet) {
        let weight = weight(packet);
        self.weight = self.weight.saturating_sub(weight);
        if let Some(of_user) = self.users.get_mut(&packet.user) {
            *of_user = of_user.saturating_sub(weight);
            if *of_user == 0 {
                self.users.remove(&packet.user);
            }
        }
    }
}

fn judge(rules: &TrapRules, key: &[u8; 32], packet: &Packet) -> Judged {
    match rules.judge(packet.trap.from, &packet.user) {
        Ok(Verdict::Welcome) => Judged::Welcome,
        Ok(Verdict::Verify(hash)) => {
            let pair = Pair {
                both: hash.digest(key, &packet.password),
                hash: hash.digest(key, &[]),
            };
            Judged::Verify(pair, hash.clone())
        }
        Err(refusal) => Judged::Refused(refusal),
    }
}

/// What a packet that waits counts for, in bytes.
fn weight(packet: &Packet) -> usize {
    let Packet {
        user,
        password,
        trap,
        odd_lines: _,
    } = packet;
    let texts = [
        user,
        &trap.group,
        &trap.service,
        &trap.status,
        &trap.summary,
        &trap.detail,
    ];
    let texts: usize = texts.iter().map(|text| text.len()).sum();
    (texts + password.len()).max(WEIGHT_LEAST)
}

fn remember(memory: &mut BTreeSet<Digest>, digest: Digest) {
    if memory.len() >= REMEMBERED_MAX {
        memory.clear();
    }
    memory.insert(digest);
}

/// The key after this one, the first one behind the last.
fn next<K: Ord + Clone, V>(map: &BTreeMap<K, V>, last: Option<&K>) -> Option<K> {
    let from = last.map_or(Unbounded, Excluded);
    let mut behind = map.range((from, Unbounded));
    let found = behind.next().or_else(|| map.first_key_value());
    found.map(|(key, _)| key.clone())
}

/// The same of a set.
fn turn<K: Ord + Copy>(set: &BTreeSet<K>, last: Option<&K>) -> Option<K> {
    let from = last.map_or(Unbounded, Excluded);
    let mut behind = set.range((from, Unbounded));
    behind.next().or_else(|| set.first()).copied()
}

#[cfg(test)]
mod tests;
