//! What is done about programs that wait for their turn: taken, kept, started, tried again.
//!
//! Which is next says [`crate::daemon::outbox::programs`]. Whatever is not started at once has a
//! file in the spool until it is. Until then, or until it is started, the outbox has not taken it:
//! a crash must not lose what the journal calls sent.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::Duration;

use crate::alert::notice::Notice;
use crate::daemon::outbox::courier::held::elsewhere;
use crate::daemon::outbox::courier::{BATCH, Courier, Disk, Kind};
use crate::daemon::outbox::jobs::{self, JobReport};
use crate::daemon::outbox::programs::{ProgramCall, REST_FIRST, attempts_before};
use crate::daemon::outbox::spool::program::{KeptProgram, receiver};
use crate::daemon::outbox::spool::{Destination, Item};
use crate::engine::event::AlertCall;
use crate::model::AlertProgram;
use crate::pair::post::{self, Admission, Chance, Origin, Stage};
use crate::pair::{Letter, Speaking};
use crate::time::Readable;

/// What the log and the engine hear of a call that had to go for others.
const TOO_MANY: &str = "left out: too many alert programs wait";

/// Which waiting calls have a file.
#[derive(Debug, Default)]
pub(super) struct ProgramFiles {
    /// By number: the sizes of their files.
    kept: BTreeMap<u64, u64>,
    /// Of all of them.
    bytes: u64,
    /// Calls that are to have one.
    fresh: BTreeSet<u64>,
    /// Those for which there was no room, with the sizes that their files would have.
    without_room: BTreeMap<u64, u64>,
    /// Calls that are neither started nor kept yet, with their place among all calls that came.
    in_doubt: BTreeMap<u64, u64>,
}

impl ProgramFiles {
    /// Whether calls wait for the disk.
    pub(super) fn has_fresh(&self) -> bool {
        !self.fresh.is_empty()
    }

    /// The first call that a crash would lose; none where there is none.
    pub(super) fn first_in_doubt(&self) -> Option<u64> {
        // Numbers and places grow together.
        self.in_doubt.first_key_value().map(|(_, place)| *place)
    }

    /// Calls that had no room and have it now are to have a file, the oldest first.
    fn make_fresh(&mut self, bytes_most: u64) {
        let mut room = bytes_most.saturating_sub(self.bytes);
        while let Some((&number, &bytes)) = self.without_room.first_key_value()
            && bytes <= room
        {
            room -= bytes;
            self.without_room.remove(&number);
            self.fresh.insert(number);
        }
    }

    /// What the file says is no longer so.
    pub(super) fn is_other(&mut self, number: u64) {
        self.fresh.insert(number);
    }

    fn keep(&mut self, number: u64, bytes: u64) {
        let before = self.kept.insert(number, bytes);
        self.bytes = self.bytes.saturating_sub(before.unwrap_or(0)) + bytes;
    }

    /// Whether there is a file to delete.
    fn forget(&mut self, number: u64) -> bool {
        self.fresh.remove(&number);
        self.without_room.remove(&number);
        self.in_doubt.remove(&number);
        let bytes = self.kept.remove(&number);
        self.bytes = self.bytes.saturating_sub(bytes.unwrap_or(0));
        bytes.is_some()
    }
}

impl Courier {
    /// Puts a program in line, or what waits its turn like one.
    pub(super) fn take_program(&mut self, path: PathBuf, call: AlertCall, speaking: Speaking) {
        let to = receiver(&call.command);
        let (number, now) = (self.number(), self.clock.now());
        let letter = Letter {
            to,
            events: vec![call.event.as_str().into()],
            accepted: now.wall,
            since: now.mono,
            origin: Origin::Call,
            stage: Stage::of(speaking),
        };
        let programs = &mut self.programs;
        let is_same = |number: &u64| {
            let known = programs.waiting_call(*number);
            known.is_some_and(|it| it.waiting.is_none())
        };
        match self.post.admit(number, letter, is_same) {
            Admission::Taken => {}
            Admission::Known(known) => {
                self.waited.forget(known);
                if let Some(known) = self.programs.waiting_call(known) {
                    known.waiting = Some(call.id);
                }
                return;
            }
            Admission::Needless => return self.done.push_back(elsewhere(call.id)),
        }
        self.program_files.fresh.insert(number);
        self.program_files.in_doubt.insert(number, self.came);
        self.push_program(ProgramCall {
            path,
            waiting: Some(call.id),
            call: Box::new(call),
            number,
        });
    }

    /// Puts a call in line that was in the spool.
    pub(super) fn load_program(&mut self, number: u64, bytes: u64, item: Item) {
        let to = item.destination.receiver();
        let (Destination::Program(kept), Some(notice)) =
            (item.destination, item.notices.into_iter().next())
        else {
            return;
        };
        let letter = Letter {
            to,
            events: vec![notice.event.as_str().into()],
            accepted: item.accepted,
            since: self.clock.now().mono,
            origin: Origin::Spool,
            stage: if item.held { Stage::Held } else { Stage::Own },
        };
        self.post.put(number, letter);
        self.program_files.keep(number, bytes);
        self.push_program(kept.into_call(number, notice));
    }

    fn push_program(&mut self, call: ProgramCall) {
        let most = self.settings.limits.program_queue;
        if let Some(dropped) = self.programs.push(call, most) {
            self.post.gone(dropped.number);
            self.waited.forget(dropped.number);
            self.needs_no_file(dropped.number);
            self.refuse(&dropped.call, TOO_MANY);
        }
    }

    /// Starts what may start now.
    pub(super) fn start_programs(&mut self) {
        let now = self.clock.now().mono;
        while self.post.speaking() == Speaking::Speaks
            && self.door.speaking() == Speaking::Speaks
            && let Some(call) = self.programs.start(now, self.settings.limits.programs)
        {
            self.post.leaves(call.number);
            if let AlertProgram::Native(_) = &call.call.command.program {
                // A datagram that nobody acknowledges; its look-up must not hold up other services.
                self.program_files.in_doubt.remove(&call.number);
            }
            let kind = Kind::Program(call.key(), call.waiting, call.number);
            let limit = self.settings.limits.program_limit;
            let job = jobs::program(call, limit, self.reports.clone());
            let id = self.jobs.spawn(job).id();
            self.kinds.push((id, kind));
        }
    }

    /// A call was started, or is over otherwise: its file goes.
    pub(super) fn needs_no_file(&mut self, number: u64) {
        if self.program_files.forget(number) {
            self.trash.push(number);
        }
    }

    /// Keeps the calls that wait. Only those that are being started are in doubt from then on.
    pub(super) async fn store_programs(&mut self) {
        self.write_programs().await;
        let is_started = |number: &u64| !self.programs.is_waiting(*number);
        self.program_files
            .in_doubt
            .retain(|number, _| is_started(number));
    }

    /// Writes the calls that wait and have no file yet; those for which the spool has no room stay
    /// in memory alone until it has.
    async fn write_programs(&mut self) {
        if let Disk::Fails(at) = self.disk
            && at > self.clock.now().mono
        {
            return;
        }
        let most = self.settings.limits.bytes;
        self.program_files.make_fresh(most);
        let fresh: Vec<u64> = std::mem::take(&mut self.program_files.fresh)
            .into_iter()
            .collect();
        for numbers in fresh.chunks(BATCH) {
            self.write_some(numbers, most).await;
        }
    }

    /// Some of them: their texts are in memory twice meanwhile.
    async fn write_some(&mut self, numbers: &[u64], most: u64) {
        let mut files = Vec::new();
        let mut bytes = self.program_files.bytes;
        for &number in numbers {
            let Some(item) = self.kept_item(number) else {
                continue; // It was started at once.
            };
            let text = item.to_bytes();
            let size = text.len() as u64;
            let before = self.program_files.kept.get(&number).copied().unwrap_or(0);
            let after = bytes.saturating_sub(before).saturating_add(size);
            if after > most {
                tracing::warn!("an alert program that waits is in memory alone: the spool is full");
                self.program_files.without_room.insert(number, size);
                continue;
            }
            bytes = after;
            files.push((number, text));
        }
        if files.is_empty() {
            return;
        }
        let sizes: Vec<u64> = files.iter().map(|(_, text)| text.len() as u64).collect();
        let mut fault = None;
        for ((number, result), bytes) in self.write(files).await.into_iter().zip(sizes) {
            match result {
                Ok(()) => self.program_files.keep(number, bytes),
                Err(why) => {
                    self.program_files.fresh.insert(number);
                    fault = Some(why);
                }
            }
        }
        match fault {
            Some(why) => self.disk_failed(&why),
            None => self.disk_works(),
        }
    }

    /// What the spool is to hold of a call that waits; none where it does not.
    fn kept_item(&mut self, number: u64) -> Option<Item> {
        let letter = self.post.letter(number)?;
        let (accepted, held) = (letter.accepted, letter.stage == Stage::Held);
        let call = self.programs.waiting_call(number)?;
        Some(Item {
            version: Item::VERSION,
            accepted,
            destination: Destination::Program(Box::new(KeptProgram::of(call))),
            seal: None,
            notices: vec![Notice::new(&call.call, None)],
            held,
        })
    }

    /// A program could not be started for now: it is tried again, as long as a message would be.
    pub(super) fn put_back(&mut self, mut call: ProgramCall, why: &str) {
        let (number, now) = (call.number, self.clock.now());
        let most = self.settings.limits.give_up_after;
        let letter = self.post.letter(number).cloned();
        // It may have another number by now.
        let event = letter.as_ref().and_then(|letter| letter.events.first());
        if let Some(event) = event {
            call.call.event = event.to_string();
        }
        let key = call.key();
        let waiting = call.waiting;
        let wait = self.programs.put_back(now.mono, call);
        let chance = Chance::Tried(attempts_before(wait));
        let age = letter.as_ref().map_or(Duration::ZERO, |it| it.age(now));
        if post::is_given_up(age, chance, most) {
            self.programs.take_out(number);
            let end = format!("given up after {}", Readable(age));
            self.report(JobReport::Program {
                key,
                call: waiting,
                number,
                fault: Some(format!("{why}; {end}")),
            });
            return;
        }
        if !self.program_files.kept.contains_key(&number) {
            self.program_files.fresh.insert(number);
        }
        let again_in = Readable(wait);
        if self.is_closing {
            tracing::warn!(
                program = %key,
                why,
                "alert program not started yet; the next start of lvsmon tries it again"
            );
        } else if wait == REST_FIRST {
            tracing::warn!(program = %key, why, %again_in, "alert program not started yet");
        } else {
            tracing::debug!(program = %key, why, %again_in, "alert program not started yet");
        }
        let told = self.post.stays(number);
        self.forget(told.into_iter().collect());
    }

    /// At the end: names what the disk did not take.
    pub(super) fn say_lost_programs(&mut self) {
        let mut lost = std::mem::take(&mut self.program_files.fresh);
        lost.extend(std::mem::take(&mut self.program_files.without_room).into_keys());
        for number in lost {
            if let Some(call) = self.programs.take_out(number) {
                let why = "lvsmon stops, and the spool did not take it";
                self.refuse(&call.call, why);
            }
        }
    }
}
