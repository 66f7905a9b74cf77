//! One director stands still for a while: a stopped process, a machine that slept.
//!
//! What comes to it waits, the other one loses the link and takes its place, and it goes on with
//! what it knew. Until it has heard its role and the other one again, nothing leaves it
//! (`pair::pulse`).

use std::time::Duration;

use lvsmon::pair::talk::EventId;

use super::link::DEAD;
use super::{Coming, World};

/// No other director takes the place of one that stands still for less.
const TAKEOVER: Duration = Duration::from_millis(3_100);

/// What was said before gets to the other one within this time.
pub(super) const ON_THE_WAY: Duration = Duration::from_millis(50);

impl World {
    pub(super) fn is_frozen(&self, side: usize) -> bool {
        self.frozen
            .as_ref()
            .is_some_and(|(frozen, _)| *frozen == side)
    }

    /// Whether both are at work and know their roles.
    pub(super) fn is_settled(&self) -> bool {
        let are_alive = self.directors.iter().all(|it| it.is_alive);
        are_alive && self.frozen.is_none() && self.unsettled <= self.time
    }

    /// Lets through what does not come to one that stands still.
    pub(super) fn not_to_a_frozen_one(&mut self, what: Coming) -> Option<Coming> {
        let to = match &what {
            Coming::Ends(side, ..)
            | Coming::Resolved(side, ..)
            | Coming::Look(side, _)
            | Coming::Relay(side, _)
            | Coming::Taken(side, ..)
            | Coming::Word(side, ..)
            | Coming::Unlinked(side, _)
            | Coming::Role(side, ..) => *side,
            Coming::Flip
            | Coming::FlipApart
            | Coming::FlipOneWay
            | Coming::Cut
            | Coming::Lost(_)
            | Coming::Heal
            | Coming::HandOver
            | Coming::Die
            | Coming::Back(_)
            | Coming::Wish
            | Coming::Unrest(_)
            | Coming::Freeze
            | Coming::Silent(_)
            | Coming::Thaw(_) => return Some(what),
        };
        match &mut self.frozen {
            Some((side, waiting)) if *side == to => {
                waiting.push(what);
                None
            }
            Some(_) | None => Some(what),
        }
    }

    pub(super) fn freeze(&mut self) {
        let side = self.random.usize(..2);
        if self.is_settled() {
            self.freeze_one(side);
        }
    }

    fn freeze_one(&mut self, side: usize) {
        let millis = self.random.u64(500..30_000);
        self.freeze_for(side, Duration::from_millis(millis));
    }

    fn freeze_for(&mut self, side: usize, length: Duration) {
        self.freezes += 1;
        self.note(format_args!("{side} stands still for {length:?}"));
        self.frozen = Some((side, Vec::new()));
        let thaws = self.time.after(length);
        self.at(thaws, Coming::Thaw(side));
        self.unsettled = thaws.after(Duration::from_secs(15));
        let other = 1 - side;
        if length > TAKEOVER && self.directors[side].is_active {
            // What it did last may be unheard.
            self.turned();
            let life = self.directors[other].life;
            let at = self.time.after(TAKEOVER);
            self.at(at, Coming::Role(other, life, true));
        }
        if length > DEAD && self.is_linked {
            let at = self.time.after(ON_THE_WAY);
            self.at(at, Coming::Silent(self.link));
        }
    }

    /// Lives until the next message of this service is told. Who tells it stands still for so long
    /// behind that: the other one has heard of the outage, and not that it was told.
    pub(super) fn stands_still_behind(&mut self, service: String, length: Duration) {
        self.stall = Some((service, length));
        while self.stall.is_some() {
            self.live(1);
        }
    }

    /// The relay has taken a message. Whether who told it stands still just then: it hears of what
    /// the relay said when it goes on.
    pub(super) fn stalls_behind(&mut self, side: usize, number: u64, event: &str) -> bool {
        let may_stall = !self.is_calm && self.is_settled();
        let (place, _) = EventId::of(event).and_then(EventId::place).unwrap();
        if let Some((_, length)) = self.stall.take_if(|(it, _)| it == place) {
            self.freeze_for(side, length);
        } else if may_stall && self.random.u8(..) < 3 {
            self.freeze_one(side);
        } else {
            return false;
        }
        let life = self.directors[side].life;
        self.soon(5, Coming::Taken(side, life, number));
        true
    }

    /// It goes on where it stood, hears its role a little later, and the other one some time after
    /// that: by then it may have found what the other one has told, and named it anew. Whether it
    /// gets the address back is for the VRRP daemons to say.
    pub(super) fn thaw(&mut self, side: usize) {
        let Some((_, waiting)) = self.frozen.take_if(|(frozen, _)| *frozen == side) else {
            return;
        };
        self.note(format_args!("{side} goes on"));
        self.quiet_since = self.time;
        for what in waiting {
            self.at(self.time, what);
        }
        let life = self.directors[side].life;
        let (other, is_free) = (1 - side, !self.directors[1 - side].is_active);
        let takes_over = self.random.bool();
        let asked = Duration::from_millis(self.random.u64(1..3_000));
        let mut told = self.time.after(asked);
        if takes_over && !is_free {
            let life = self.directors[other].life;
            self.at(told, Coming::Role(other, life, false));
            told = told.after(Duration::from_millis(self.random.u64(1..1_000)));
        }
        self.at(told, Coming::Role(side, life, is_free || takes_over));
        self.soon(8_000, Coming::Heal);
    }
}
