//! Which role is acted upon, and since when?
//!
//! What is known changes as often as somebody likes; what follows from it is acted upon a few
//! times at once and then at an even pace, always with the newest: a role that changes ten times
//! a second floods neither log nor outbox, and a single takeover is never delayed.

use std::time::Duration;

use crate::pair::fifo::{InstanceName, State};
use crate::pair::post::Hearing;
use crate::pair::pulse::Contact;
use crate::pair::role::{
    self, Facts, Role, RoleStanding, Said, Sight, Source, Uncounted, VipStanding,
};
use crate::pair::settings::{PairSettings, Speak};
use crate::time::{Mono, Now, Wall};

/// How long nothing may be heard before that means something: a VRRP daemon that starts needs
/// three to four advertisements of a second to know what it is, and has to be started first.
const SILENCE: Duration = Duration::from_secs(30);

/// How long what the last look found counts while nobody can look: time for several more looks,
/// and less than a person takes to notice. Then words count alone, and without any the role stays
/// what it was for [`SILENCE`].
const SIGHT_KEPT: Duration = Duration::from_secs(10);

/// Changes that are acted upon at once: a takeover and back, twice.
const CHANGES_AT_ONCE: u32 = 4;

/// One more change is acted upon after this time.
const CHANGE_EVERY: Duration = Duration::from_secs(10);

/// From when on a peer that is not linked is gone, where this director would be silent only because
/// that one speaks: a link that broke is back within this time, and nobody waits for it at night.
const PEER_GRACE: Duration = Duration::from_secs(10);

/// A change of the role that waits for its turn.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Coming {
    /// To what.
    pub role: Role,
    /// Why, in words for a person.
    pub why: String,
    /// Then it is acted upon, where nothing else is said until then.
    pub at: Wall,
}

/// A change of the role that is acted upon now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// Before.
    pub from: Role,
    /// From now on.
    pub to: RoleStanding,
    /// Changes since the last one that were not acted upon, because there were too many.
    pub passed_over: u32,
}

/// What becomes of a word on an instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reception {
    /// It is kept.
    Noted,
    /// It is not: as many instances are known as are kept, and this one does not count.
    NoRoom,
}

/// Keeps what is known, and the role that is acted upon.
#[derive(Clone, Debug)]
pub struct RoleKeeper {
    settings: PairSettings,
    facts: Facts,
    /// Number of the next thing that is said.
    next: u64,
    /// Then nothing was known for long; none where something is, or that time is over.
    silent_at: Option<Mono>,
    /// Then what the last look found counts no more; none where the addresses can be looked for.
    blind_at: Option<Mono>,
    /// What follows from what is known.
    latest: RoleStanding,
    /// What is acted upon.
    standing: RoleStanding,
    since: Wall,
    /// Changes that may be acted upon at once.
    free: u32,
    /// Since then `free` has not grown.
    counted: Mono,
    passed_over: u32,
    /// What was said of more instances than are kept.
    unkept: u64,
    /// Then the other director is gone; none while it is linked, is gone, or there is none.
    lonely_at: Option<Mono>,
    /// The other director is gone.
    is_lonely: bool,
}

impl RoleKeeper {
    /// At a start. `said` is what was kept of before: a VRRP daemon does not repeat itself.
    #[must_use]
    pub fn new(settings: PairSettings, said: Facts, now: Now) -> Self {
        let words = said.said.values().chain(&said.said_of_all);
        let next = words.map(|said| said.number).max();
        let standing = role::of_director(&settings, &said);
        let mut keeper = Self {
            settings,
            facts: said,
            next: next.map_or(0, |number| number.saturating_add(1)),
            silent_at: Some(now.mono.after(SILENCE)),
            blind_at: None,
            latest: standing.clone(),
            standing,
            since: now.wall,
            free: CHANGES_AT_ONCE,
            counted: now.mono,
            passed_over: 0,
            unkept: 0,
            lonely_at: None,
            is_lonely: false,
        };
        keeper.judge();
        keeper
    }

    /// Another file holds from now on. What was said and seen still counts, of the FIFO's words
    /// where this one names a FIFO too; of an address that
    /// nobody has looked for yet the next look says what is so.
    pub fn reload(&mut self, settings: PairSettings) {
        self.settings = settings;
        self.judge();
    }

    /// Something was said of an instance, or of all. One that counts always finds a place.
    pub fn hear(
        &mut self,
        name: Option<InstanceName>,
        state: State,
        source: Source,
        at: Wall,
    ) -> Reception {
        let number = self.next;
        self.next = self.next.saturating_add(1);
        let said = Said {
            state,
            at,
            source,
            number,
        };
        match name {
            None if state == State::Deleted => self.facts.said_of_all = None,
            None => self.facts.said_of_all = Some(said),
            Some(name) if state == State::Deleted => {
                self.facts.said.remove(&name);
            }
            Some(name) => {
                if !self.make_room(&name) {
                    self.unkept = self.unkept.saturating_add(1);
                    return Reception::NoRoom;
                }
                self.facts.said.insert(name, said);
            }
        }
        self.judge();
        Reception::Noted
    }

    /// Whether there is a place for an instance: for one that counts that of the one of which
    /// nothing was said for longest, of those that do not.
    fn make_room(&mut self, name: &InstanceName) -> bool {
        let said = &self.facts.said;
        if said.len() < Facts::INSTANCES_MAX || said.contains_key(name) {
            return true;
        }
        if !self.counts(name) {
            return false;
        }
        let counts = |other, word: &Said| word.counts(&self.settings) && self.counts(other);
        let others = said.iter().filter(|(other, word)| !counts(other, word));
        let oldest = others.min_by_key(|(_, said)| said.number);
        let oldest = oldest.map(|(other, _)| other.clone());
        oldest.is_some_and(|oldest| self.facts.said.remove(&oldest).is_some())
    }

    /// Why no role follows from a word on an instance, or on all; none where one may.
    #[must_use]
    pub fn uncounted(&self, name: Option<&InstanceName>, said: &Said) -> Option<Uncounted> {
        if !said.counts(&self.settings) {
            return Some(Uncounted::NoFifo);
        }
        name.filter(|name| !self.counts(name))?;
        Some(match self.settings.notify_instance {
            Some(_) => Uncounted::OthersNamed,
            None => Uncounted::NotFirst,
        })
    }

    /// Whether a role may follow from what is said of an instance: the file names it, or names
    /// none and it is the first by name.
    #[must_use]
    pub fn counts(&self, name: &InstanceName) -> bool {
        let has_first = self.settings.notify_instance.is_none();
        let is_first = || {
            self.facts
                .first(&self.settings)
                .is_none_or(|first| name <= first)
        };
        self.settings.instances().any(|it| it == name) || has_first && is_first()
    }

    /// Somebody looked for the addresses. One look that fails means nothing: they are listed
    /// while they change, and then a list may break off.
    pub fn see(&mut self, sight: Sight) {
        match &sight {
            Sight::Seen(found) => self.facts.found.clone_from(found),
            Sight::Unseen => self.facts.found.clear(),
            Sight::Blind(_) => {}
        }
        self.facts.sight = sight;
        self.judge();
    }

    /// The other director is linked, is not, or is none.
    pub fn hear_peer(&mut self, now: Mono, hearing: Hearing) {
        match hearing {
            Hearing::Never | Hearing::Linked => {
                self.lonely_at = None;
                self.is_lonely = false;
            }
            Hearing::Lost if self.is_lonely => {}
            Hearing::Lost => {
                self.lonely_at.get_or_insert(now.after(PEER_GRACE));
            }
        }
    }

    /// The change to act upon at `now`, if there is one.
    pub fn settle(&mut self, now: Now) -> Option<Change> {
        if self.lonely_at.is_some_and(|at| at <= now.mono) {
            self.lonely_at = None;
            self.is_lonely = true;
        }
        self.go_blind(now.mono);
        self.wait(now.mono);
        self.refill(now.mono);
        if self.latest.role == self.standing.role {
            // The reason may have changed, which nobody has to act upon.
            self.standing.clone_from(&self.latest);
            return None;
        }
        self.free = match self.latest.role {
            // It is said when the director must not be used, and never waits (D27): the way back
            // does.
            Role::Fault => self.free.saturating_sub(1),
            Role::Alone | Role::Active | Role::Standby => self.free.checked_sub(1)?,
        };
        let from = self.standing.role;
        self.standing.clone_from(&self.latest);
        self.since = now.wall;
        Some(Change {
            from,
            to: self.standing.clone(),
            passed_over: std::mem::take(&mut self.passed_over),
        })
    }

    /// When to settle without a new fact.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Mono> {
        let waits = self.latest.role != self.standing.role;
        let pace = waits.then(|| self.turn());
        let all = [self.silent_at, self.blind_at, self.lonely_at, pace];
        all.into_iter().flatten().min()
    }

    /// When one more change may be acted upon.
    fn turn(&self) -> Mono {
        match self.free {
            0 => self.counted.after(CHANGE_EVERY),
            _ => self.counted,
        }
    }

    /// The change that waits for its turn; none where what is acted upon follows from what is
    /// known.
    #[must_use]
    pub fn coming(&self, now: Now) -> Option<Coming> {
        (!self.settled()).then(|| Coming {
            role: self.latest.role,
            why: self.latest.why.clone(),
            at: now.wall.after(self.turn().since(now.mono)),
        })
    }

    /// The role that is acted upon.
    #[must_use]
    pub const fn standing(&self) -> &RoleStanding {
        &self.standing
    }

    /// Whether what is acted upon follows from what is known: nothing waits for its turn.
    #[must_use]
    pub fn settled(&self) -> bool {
        self.latest.role == self.standing.role
    }

    /// Whether the role was heard, where somebody looked for the addresses then: what is not acted
    /// upon yet does not count, and without addresses there is nothing to look for.
    #[must_use]
    pub fn contact(&self, looked: Option<Mono>) -> Contact {
        match (self.settled(), self.settings.vips.is_empty()) {
            (false, _) => Contact::Waits,
            (true, true) => Contact::Unneeded,
            (true, false) => Contact::of(looked),
        }
    }

    /// Since when.
    #[must_use]
    pub const fn since(&self) -> Wall {
        self.since
    }

    /// The role for each address of the file, as of what is known now.
    #[must_use]
    pub fn vips(&self) -> Vec<VipStanding> {
        role::of_vips(&self.settings, &self.facts)
    }

    /// What is known; what was said of it is to be kept over a restart.
    #[must_use]
    pub const fn facts(&self) -> &Facts {
        &self.facts
    }

    /// What the file says.
    #[must_use]
    pub const fn settings(&self) -> &PairSettings {
        &self.settings
    }

    /// Words on more instances than are kept.
    #[must_use]
    pub const fn unkept(&self) -> u64 {
        self.unkept
    }

    /// Whether people are told by this director now.
    #[must_use]
    pub const fn speaks(&self) -> bool {
        self.settings.speak.allows(self.standing.role) || self.speaks_because().is_some()
    }

    /// Why it does although the file leaves it to the other one; none where it does not, or the
    /// role says so. With `speak = active` the role decides: whoever has the addresses tells.
    #[must_use]
    pub const fn speaks_because(&self) -> Option<&'static str> {
        match self.settings.speak {
            Speak::Standby if self.is_lonely && !Speak::Standby.allows(self.standing.role) => {
                Some("the peer is gone")
            }
            Speak::Standby | Speak::Active | Speak::Both => None,
        }
    }

    /// Why nobody is told by a director whose file says nothing of a pair, and how to end that;
    /// none where people are told, or the file does.
    #[must_use]
    pub fn silence(&self) -> Option<String> {
        let silence = role::silence(&self.settings, &self.facts);
        silence.filter(|_| !self.speaks())
    }

    /// Where nobody can look: whether that lasts too long to count on the last look.
    fn go_blind(&mut self, now: Mono) {
        let is_blind = matches!(self.facts.sight, Sight::Blind(_));
        if !is_blind || self.facts.found.is_empty() {
            self.blind_at = None;
        } else if *self.blind_at.get_or_insert(now.after(SIGHT_KEPT)) <= now {
            self.blind_at = None;
            self.facts.found.clear();
            self.judge();
        }
    }

    /// Where nothing is known: whether that lasts long.
    fn wait(&mut self, now: Mono) {
        if self.facts.has_waited || role::is_known(&self.settings, &self.facts) {
            return;
        }
        let silent_at = *self.silent_at.get_or_insert(now.after(SILENCE));
        if silent_at <= now {
            self.silent_at = None;
            self.facts.has_waited = true;
            self.judge();
        }
    }

    fn judge(&mut self) {
        let is_known = role::is_known(&self.settings, &self.facts);
        if is_known {
            self.silent_at = None;
            self.facts.has_waited = false;
        }
        let latest = role::of_director(&self.settings, &self.facts);
        if is_known {
            self.facts.before = Some(latest.role);
        }
        if latest.role != self.latest.role && self.latest.role != self.standing.role {
            self.passed_over = self.passed_over.saturating_add(1);
        }
        self.latest = latest;
    }

    fn refill(&mut self, now: Mono) {
        while self.free < CHANGES_AT_ONCE && self.counted.after(CHANGE_EVERY) <= now {
            self.counted = self.counted.after(CHANGE_EVERY);
            self.free += 1;
        }
        if self.free == CHANGES_AT_ONCE {
            self.counted = now;
        }
    }
}

#[cfg(test)]
mod tests;
