//! What happens, and when?

use std::time::Duration;

use lvsmon::engine::event::{Event, Report, Resolved, RunId};
use lvsmon::model::HostName;
use lvsmon::pair::talk::Word;
use lvsmon::time::Mono;

use super::unrest::Step;
use super::{Cause, World};

/// What happens.
#[derive(Clone, Debug)]
pub(super) enum Coming {
    Ends(usize, u64, RunId, Report),
    Resolved(usize, u64, HostName),
    Look(usize, u64),
    Relay(usize, u64),
    Taken(usize, u64, u64),
    Word(usize, u64, Word),
    Flip,
    FlipApart,
    FlipOneWay,
    Cut,
    Lost(u64),
    Unlinked(usize, u64),
    Heal,
    HandOver,
    Role(usize, u64, bool),
    Die,
    Back(usize),
    Wish,
    Unrest(Step),
    Freeze,
    /// Nothing more comes of one that stands still.
    Silent(u64),
    Thaw(usize),
}

impl World {
    /// Lives for so many seconds.
    pub(super) fn live(&mut self, seconds: u64) {
        let end = self.time.after(Duration::from_secs(seconds));
        loop {
            let due = |side: usize| {
                let director = Some(&self.directors[side]).filter(|_| !self.is_frozen(side));
                Some((director?.due()?, side))
            };
            let due = [due(0), due(1)].into_iter().flatten().min();
            let coming = self.coming.first_key_value().map(|(&(at, _), _)| at);
            match (due, coming) {
                (Some((at, side)), other) if at <= end && other.is_none_or(|it| at <= it) => {
                    self.time = self.time.max(at);
                    self.tell(side, Event::Deadline);
                }
                (_, Some(at)) if at <= end => {
                    self.time = self.time.max(at);
                    let (_, what) = self.coming.pop_first().unwrap();
                    self.happen(what);
                }
                _ => break,
            }
        }
        self.time = end;
    }

    pub(super) fn at(&mut self, at: Mono, what: Coming) {
        self.count += 1;
        self.coming.insert((at, self.count), what);
    }

    pub(super) fn soon(&mut self, millis: u64, what: Coming) {
        let delay = Duration::from_micros(self.random.u64(1..millis * 1_000));
        self.at(self.time.after(delay), what);
    }

    pub(super) fn later(&mut self, seconds: u64, what: Coming) {
        self.soon(seconds * 2_000, what);
    }

    pub(super) fn is_of(&self, side: usize, life: u64) -> bool {
        self.directors[side].is_alive && self.directors[side].life == life
    }

    fn happen(&mut self, what: Coming) {
        let Some(what) = self.not_to_a_frozen_one(what) else {
            return;
        };
        match what {
            Coming::Ends(side, life, run, report) if self.is_of(side, life) => {
                self.tell(side, Event::RunEnded { run, report });
            }
            Coming::Resolved(side, life, host) if self.is_of(side, life) => {
                let answer = Ok(vec![host.as_str().parse().unwrap()]);
                self.tell(side, Event::Resolved(vec![Resolved::fresh(host, answer)]));
            }
            Coming::Look(side, life) if self.is_of(side, life) => self.look(side),
            Coming::Relay(side, life) if self.is_of(side, life) => self.relay(side),
            Coming::Taken(side, life, number) if self.is_of(side, life) => {
                let actions = self.directors[side].delivered(self.time, number);
                self.perform(side, actions);
            }
            Coming::Ends(..)
            | Coming::Resolved(..)
            | Coming::Look(..)
            | Coming::Relay(..)
            | Coming::Taken(..) => {}
            Coming::Word(side, link, word) => self.hear(side, link, &word),
            Coming::Flip => self.flip(),
            Coming::FlipApart => self.flip_apart(),
            Coming::FlipOneWay => self.flip_one_way(),
            Coming::Cut => {
                self.cut(Cause::Cut);
                self.later(30, Coming::Heal);
                self.later(400, Coming::Cut);
            }
            Coming::Lost(link) if link == self.link => self.lost(),
            Coming::Lost(_) => {}
            Coming::Unlinked(side, life) if self.is_of(side, life) => self.unlinked(side),
            Coming::Unlinked(..) => {}
            Coming::Heal => self.heal(),
            Coming::HandOver => self.hand_over(),
            Coming::Role(side, life, is_active) if self.is_of(side, life) => {
                self.role(side, is_active);
            }
            Coming::Role(..) => {}
            Coming::Die => {
                let active = usize::from(!self.directors[0].is_active);
                let side = if self.random.bool() {
                    active
                } else {
                    1 - active
                };
                self.die(side);
                self.later(400, Coming::Die);
            }
            Coming::Back(side) => self.come_back(side),
            Coming::Wish => {
                self.wish();
                self.later(120, Coming::Wish);
            }
            Coming::Unrest(step) => self.unrest(step),
            Coming::Freeze => {
                self.freeze();
                self.later(250, Coming::Freeze);
            }
            Coming::Silent(link) if link == self.link => self.cut(Cause::Stall),
            Coming::Silent(_) => {}
            Coming::Thaw(side) => self.thaw(side),
        }
    }
}
