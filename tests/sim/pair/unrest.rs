//! What else goes wrong around two directors: their kernels refuse, a host comes and goes within
//! seconds, a file is rolled out to one director after the other, and the wall clock of one is set.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use fastrand::Rng;
use lvsmon::engine::event::{Event, Memory, TableLook, TableOutcome};
use lvsmon::lvs::Command;
use lvsmon::lvs::diff::{diff, owned};
use lvsmon::lvs::replay;
use lvsmon::model::Model;
use lvsmon::time::Mono;

use super::{About, Coming, World, load, site};

/// Files that are rolled out in turn.
const FILES: u64 = 3;

/// How often a flapping host changes at most.
const FLAPS: u32 = 8;

#[derive(Clone, Debug)]
pub(super) enum Step {
    /// Somebody rolls out another file.
    RollOut,
    /// One director reads it.
    Reload(usize, u64),
    /// The flapping host changes so many times more.
    Flap(u32),
    /// The clock of one is set.
    SetClock,
}

/// How much of it there was.
#[derive(Debug, Default)]
pub(super) struct Unrest {
    files: Vec<Arc<Model>>,
    /// A host that comes and goes: which one, and whether it is there.
    flapping: Option<(usize, bool)>,
    /// Outages with such times in them: which host, which one of it.
    flapped: BTreeSet<(usize, usize)>,
    refused: u64,
    reloads: u64,
    flaps: u64,
    clocks: u64,
    /// When the directors went by two files: from when to when.
    differed: Vec<(Mono, Option<Mono>)>,
}

impl Unrest {
    /// Of a world whose file has this, too.
    pub(super) fn new(seed: u64, first: &Arc<Model>, more: &str) -> Self {
        let others = (1..FILES).map(|variant| {
            let mut random = Rng::with_seed(seed.wrapping_mul(47).wrapping_add(variant));
            let mut text = site(&mut random);
            if random.bool() {
                text = text.replace("    real 10.1.0.2\n", "");
            }
            // Who leaves is no stranger that may stay.
            if random.bool() {
                text += "    foreign keep\n";
            }
            load(&(text + more))
        });
        Self {
            files: [Arc::clone(first)].into_iter().chain(others).collect(),
            ..Self::default()
        }
    }

    /// Whether both directors did not have the same file at some time from then to then.
    pub(super) fn had_two_files(&self, from: Mono, to: Mono) -> bool {
        let mut differed = self.differed.iter();
        differed.any(|(since, until)| *since <= to && until.is_none_or(|it| it >= from))
    }

    /// How often each of it happened.
    pub(super) const fn counts(&self) -> [u64; 4] {
        [self.refused, self.reloads, self.flaps, self.clocks]
    }

    /// Whether a host that comes and goes is there.
    pub(super) fn is_there(&self, host: usize) -> Option<bool> {
        let (flapping, is_there) = self.flapping?;
        (flapping == host).then_some(is_there)
    }

    /// Whether the directors may have seen other outages than one.
    pub(super) fn has_flapped(&self, host: usize, index: usize) -> bool {
        self.flapped.contains(&(host, index))
    }
}

impl World {
    pub(super) fn begin_unrest(&mut self) {
        self.later(300, Coming::Unrest(Step::RollOut));
        self.later(300, Coming::Unrest(Step::SetClock));
    }

    pub(super) fn unrest(&mut self, step: Step) {
        match step {
            Step::RollOut => self.roll_out(),
            Step::Reload(side, life) => self.reload(side, life),
            Step::Flap(left) => self.flap(left),
            Step::SetClock => self.set_clock(),
        }
    }

    /// One director reads it at once, the other one up to half a minute later.
    fn roll_out(&mut self) {
        self.later(300, Coming::Unrest(Step::RollOut));
        let number = self.random.usize(..self.unrest.files.len());
        self.note(format_args!("file {number} is rolled out"));
        let first = self.random.usize(..2);
        for (side, millis) in [(first, 1_000), (1 - first, 30_000)] {
            self.directors[side].file = Arc::clone(&self.unrest.files[number]);
            let life = self.directors[side].life;
            self.soon(millis, Coming::Unrest(Step::Reload(side, life)));
        }
        self.quiet_since = self
            .time
            .after(Duration::from_secs(30))
            .max(self.quiet_since);
    }

    pub(super) fn reload(&mut self, side: usize, life: u64) {
        // Whoever dies reads it when it is back.
        if !self.is_of(side, life) {
            return;
        }
        if self.is_frozen(side) {
            return self.soon(5_000, Coming::Unrest(Step::Reload(side, life)));
        }
        self.note(format_args!("{side} reads its file"));
        self.unrest.reloads += 1;
        self.quiet_since = self.quiet_since.max(self.time);
        self.directors[side].first_look = None;
        let model = Arc::clone(&self.directors[side].file);
        let memory = Memory::Kept;
        self.tell(side, Event::Reload { model, memory });
        self.look_at_files();
    }

    /// Remembers whether both directors go by the same file.
    pub(super) fn look_at_files(&mut self) {
        let [one, other] = self.directors.each_ref().map(|it| it.engine.model());
        let is_same = Arc::ptr_eq(one, other);
        match self.unrest.differed.last_mut() {
            Some((_, until @ None)) if is_same => *until = Some(self.time),
            Some((_, Some(_))) | None if !is_same => {
                self.unrest.differed.push((self.time, None));
            }
            Some(_) | None => {}
        }
    }

    fn set_clock(&mut self) {
        self.later(300, Coming::Unrest(Step::SetClock));
        let side = self.random.usize(..2);
        if !self.directors[side].is_alive || self.is_frozen(side) {
            return;
        }
        let millis = match self.random.u8(..4) {
            0 => 3_600_000,
            1 => -3_600_000,
            2 => self.random.i64(-7_200_000..7_200_000),
            _ => self.random.i64(-60_000..60_000),
        };
        self.unrest.clocks += 1;
        self.clock_is_set(side, millis);
    }

    /// Somebody sets the wall clock of a director that is at work.
    pub(super) fn clock_is_set(&mut self, side: usize, millis: i64) {
        self.note(format_args!("the clock of {side} is set by {millis} ms"));
        self.directors[side].set_clock(millis);
        self.tell(side, Event::Deadline);
    }

    /// A host that went down or came back just now does not stay so.
    pub(super) fn may_flap(&mut self, host: usize) {
        if self.random.u8(..) < 60 {
            let last = self.outages[host].len() - 1;
            self.unrest.flapped.insert((host, last));
            self.unrest.flaps += 1;
            let is_there = self.outages[host][last].1.is_some();
            self.unrest.flapping = Some((host, is_there));
            let left = self.random.u32(1..=FLAPS);
            self.soon(2_000, Coming::Unrest(Step::Flap(left)));
        }
    }

    fn flap(&mut self, left: u32) {
        let Some((host, is_there)) = &mut self.unrest.flapping else {
            return;
        };
        *is_there = !*is_there;
        let (host, is_there) = (*host, *is_there);
        self.note(format_args!("host {host} is there: {is_there}"));
        self.quiet_since = self.time;
        if left > 0 {
            return self.soon(2_000, Coming::Unrest(Step::Flap(left - 1)));
        }
        self.unrest.flapping = None;
        if let Some((_, end)) = self.outages[host].last_mut() {
            *end = is_there.then_some(self.time);
        }
    }

    /// What only the director that does not speak saw, nobody is told: what a host does between two
    /// checks of the other one, and what goes wrong with a section while their files differ.
    pub(super) fn forget_what_one_saw(&mut self) {
        let (mails, unrest) = (&self.mails, &self.unrest);
        self.ended.retain(|about| {
            let is_one_sided = match about {
                About::Outage(host, index) => unrest.has_flapped(*host, *index),
                About::Section(_) => unrest.reloads > 0,
                About::Apart(_) | About::OneWay => false,
            };
            !is_one_sided || mails.iter().any(|mail| mail.about == *about)
        });
    }

    /// The applier: what the kernel refuses is tried again.
    pub(super) fn look(&mut self, side: usize) {
        let (is_calm, life) = (self.is_calm, self.directors[side].life);
        let director = &mut self.directors[side];
        let desired = Arc::new(director.engine.desired().clone());
        let mut outcome = TableOutcome {
            wanted: Arc::clone(&desired),
            ..TableOutcome::default()
        };
        let is_unreadable = !is_calm && self.random.u8(..) < 8;
        outcome.table = if is_unreadable {
            TableLook::Unreadable("too many open files".to_owned())
        } else {
            for command in diff(&desired, &director.kernel) {
                let chance = match matches!(command, Command::DeleteServer(..)) {
                    true => 128,
                    false => 16,
                };
                if !is_calm && self.random.u8(..) < chance {
                    outcome.refused.push((command, "not permitted".to_owned()));
                    continue;
                }
                match replay::apply(&mut director.kernel, &command) {
                    Ok(()) => outcome.applied.push(command),
                    Err(why) => outcome.refused.push((command, format!("{why:?}"))),
                }
            }
            TableLook::Read(Arc::new(owned(&desired, director.kernel.clone())))
        };
        director.is_refused = is_unreadable || !outcome.refused.is_empty();
        if !director.is_refused {
            director.nobody_is_left_behind();
        } else {
            self.unrest.refused += 1;
            self.soon(4_000, Coming::Look(side, life));
        }
        self.tell(side, Event::Table(outcome));
    }
}
