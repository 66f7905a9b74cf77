//! Which director is active, and which one is there at all?

use std::time::Duration;

use lvsmon::engine::event::Event;

use super::{Cause, Coming, World};

impl World {
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
        self.turns.push(self.time);
        let actions = self.directors[side].role(self.time, is_active);
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
        self.turns.push(self.time);
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
