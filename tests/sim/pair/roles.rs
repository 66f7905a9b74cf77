//! Which director is active, and which one is there at all?

use std::time::Duration;

use lvsmon::engine::event::Event;
use lvsmon::time::Mono;

use super::{Cause, Coming, World};

/// A director got or lost its role.
#[derive(Clone, Copy, Debug)]
pub(super) struct Turned {
    pub(super) at: Mono,
    /// Both had it from then on.
    are_both: bool,
}

impl World {
    /// A director got or lost its role just now, or what it did last may be unheard.
    pub(super) fn turned(&mut self) {
        self.turns.push(Turned {
            at: self.time,
            are_both: self.directors.iter().all(|it| it.is_active),
        });
    }

    /// Whether both had the role at some time between these.
    pub(super) fn were_both_active(&self, from: Mono, to: Mono) -> bool {
        let ends = self.turns.iter().skip(1).map(|next| next.at);
        let spans = self.turns.iter().zip(ends.chain([self.time]));
        let mut both = spans.filter(|(turned, _)| turned.are_both);
        both.any(|(turned, end)| turned.at <= to && end >= from)
    }

    pub(super) fn hand_over(&mut self) {
        if self.is_settled() {
            let active = usize::from(!self.directors[0].is_active);
            let life = self.directors[1 - active].life;
            self.unsettled = self.time.after(Duration::from_secs(2));
            self.role(active, false);
            self.soon(1_000, Coming::Role(1 - active, life, true));
        }
        self.later(300, Coming::HandOver);
    }

    pub(super) fn role(&mut self, side: usize, is_active: bool) {
        self.note(format_args!("{side} is active: {is_active}"));
        let actions = self.directors[side].role(self.time, is_active);
        self.turned();
        self.perform(side, actions);
    }

    pub(super) fn die(&mut self, side: usize) {
        if !self.is_settled() {
            return;
        }
        self.note(format_args!("{side} dies"));
        self.unsettled = self.time.after(Duration::from_secs(4));
        self.cut(Cause::Death);
        let was_active = std::mem::take(&mut self.directors[side].is_active);
        self.directors[side].is_alive = false;
        self.turned();
        let other = 1 - side;
        if was_active || !self.directors[other].is_active {
            let life = self.directors[other].life;
            let at = self.time.after(Duration::from_secs(3));
            self.at(at, Coming::Role(other, life, true));
        }
        self.later(40, Coming::Back(side));
    }

    pub(super) fn come_back(&mut self, side: usize) {
        if !self.directors[side].is_alive {
            self.note(format_args!("{side} is back"));
            self.directors[side].restart(self.time);
            self.look_at_files();
            self.quiet_since = self.time;
            self.tell(side, Event::Start);
            self.soon(2_000, Coming::Heal);
        }
    }
}
