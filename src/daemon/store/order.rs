//! What may go to the disk or to the outbox next, so that no crash tears them apart (D23).
//!
//! Each service, and each trouble of a `virtual` section, has a line of steps in the order in
//! which the engine said them: records for the journal, calls for the outbox. Which record a
//! call belongs to it says itself.
//!
//! - A call leaves once the journal has kept what was said there before it: the start of the
//!   outage. Sent again after a crash it has the same event id.
//! - A record that follows a call goes to the journal once the outbox has taken the call: it
//!   says "alert sent", and a crash in between must not make that a lie.
//!
//! So a crash costs no alert, and repeats one at most, under its old id. A journal that cannot
//! be written, or hangs ([`CALL_PATIENCE`]), holds up no call. Services do not wait for each
//! other; pure.
//!
//! Where both directors of a pair tell people, a call waits here for the other one's answer, too
//! ([`Answers`]): it has to wait before it is in the spool, and is not lost in a crash.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use crate::engine::event::AlertCall;
use crate::pair::Answers;
use crate::time::Mono;

use super::Batch;

/// Longest time that a call waits for the journal: a disk that hangs must not silence the
/// alerts, one that is merely busy syncs within this time.
const CALL_PATIENCE: Duration = Duration::from_secs(3);

/// Steps that wait, of all services: two for each of the calls that the outbox takes in. What
/// is beyond waits for nothing.
const STEPS_MAX: usize = 20_000;

/// Something the engine said of a service.
#[derive(Debug)]
enum Step {
    /// A record as JSON text.
    Record(String),
    /// And when it came.
    Call(Box<AlertCall>, Mono),
}

/// What the first step of a line waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wait {
    /// So many batches are kept.
    Kept(u64),
    /// The outbox has taken so many calls.
    Taken(u64),
}

#[derive(Debug)]
struct Line {
    wait: Wait,
    steps: VecDeque<Step>,
}

/// Records and calls on their way.
#[derive(Debug, Default)]
pub(super) struct Order {
    /// Records that may be written, newest of each key.
    ready: Batch,
    /// By key of the record; only those that wait for something.
    lines: BTreeMap<String, Line>,
    steps: usize,
    /// Batches that went to the writer, and those of them that are on the disk.
    handed: u64,
    kept: u64,
    /// Calls that went to the outbox, those of them that it took, and those that it had no
    /// room for.
    sent: u64,
    taken: u64,
    refused: u64,
    /// The journal cannot be written; calls do not wait for it.
    is_failing: bool,
    /// Until when the journal may keep calls waiting; none while none waits.
    patience: Option<Mono>,
    /// What the other director has heard of.
    answers: Answers,
    /// When the first of the calls that wait for it need not any longer.
    unanswered: Option<Mono>,
}

impl Order {
    /// Takes a record in.
    pub(super) fn record(&mut self, key: String, text: String) {
        match self.lines.get_mut(&key) {
            Some(line) => {
                // A newer record replaces an older one, but none from before a call.
                if let Some(Step::Record(old)) = line.steps.back_mut() {
                    *old = text;
                } else {
                    line.steps.push_back(Step::Record(text));
                    self.steps += 1;
                }
            }
            None => {
                self.ready.insert(key, text);
            }
        }
    }

    /// Takes a call in, and answers with it where it may leave at once.
    pub(super) fn call(&mut self, now: Mono, call: AlertCall) -> Option<AlertCall> {
        if self.steps >= STEPS_MAX {
            self.sent += 1;
            return Some(call);
        }
        let key = Arc::clone(&call.record);
        let step = Step::Call(Box::new(call), now);
        self.steps += 1;
        match self.lines.get_mut(&*key) {
            Some(line) => line.steps.push_back(step),
            None => {
                let line = Line {
                    wait: self.until_kept(&key),
                    steps: VecDeque::from([step]),
                };
                self.lines.insert(key.to_string(), line);
            }
        }
        None
    }

    /// A call that left found no room in the outbox.
    pub(super) fn refused(&mut self) {
        self.refused += 1;
    }

    /// What is to be kept before a call that follows now.
    fn until_kept(&self, key: &str) -> Wait {
        Wait::Kept(self.handed + u64::from(self.ready.contains_key(key)))
    }

    /// So many batches have gone to the writer once all is there that may be written now.
    pub(super) fn batches(&self) -> u64 {
        self.handed + u64::from(self.has_batch())
    }

    /// Whether there is anything to write.
    pub(super) fn has_batch(&self) -> bool {
        !self.ready.is_empty()
    }

    /// The records to write now.
    pub(super) fn hand_over(&mut self) -> Batch {
        self.handed += 1;
        std::mem::take(&mut self.ready)
    }

    /// How far the journal is: batches on the disk, and whether it can be written at all.
    pub(super) fn kept(&mut self, batches: u64, is_failing: bool) {
        if self.kept != batches {
            // It moves: its time begins again with the next look at what waits.
            self.patience = None;
        }
        self.kept = batches;
        self.is_failing = is_failing;
    }

    /// How many calls the outbox has taken; `u64::MAX` for one that takes no more.
    pub(super) fn taken(&mut self, calls: u64) {
        self.taken = calls;
    }

    /// From now on the other director has heard of these numbers.
    pub(super) const fn answered(&mut self, answers: Answers) {
        self.answers = answers;
    }

    /// When calls are let go without the journal, or without an answer.
    pub(super) fn patience(&self) -> Option<Mono> {
        [self.patience, self.unanswered].into_iter().flatten().min()
    }

    /// Moves every line as far as it may go. Answers with the calls that leave, in order for
    /// each service; each is to be sent, and counts as sent.
    pub(super) fn advance(&mut self, now: Mono) -> Vec<AlertCall> {
        let is_late = self.patience.is_some_and(|until| until <= now);
        let mut leaving = Vec::new();
        let mut waits_for_journal = false;
        self.unanswered = None;
        let mut lines = std::mem::take(&mut self.lines);
        lines.retain(|key, line| {
            self.advance_line(key, line, (now, is_late), &mut leaving);
            let is_held = self.is_held(line.wait, is_late);
            let is_before_a_call = matches!(
                (line.wait, line.steps.front()),
                (Wait::Kept(_), Some(Step::Call(..)))
            );
            waits_for_journal |= is_held && is_before_a_call;
            !line.steps.is_empty() || is_held
        });
        self.lines = lines;
        self.patience = if waits_for_journal {
            Some(self.patience.unwrap_or(now.after(CALL_PATIENCE)))
        } else {
            None
        };
        leaving
    }

    fn advance_line(
        &mut self,
        key: &str,
        line: &mut Line,
        (now, is_late): (Mono, bool),
        leaving: &mut Vec<AlertCall>,
    ) {
        while !self.is_held(line.wait, is_late) {
            if let Some(until) = self.awaited(line).filter(|until| *until > now) {
                let first = self.unanswered.map_or(until, |first| first.min(until));
                self.unanswered = Some(first);
                return;
            }
            let Some(step) = line.steps.pop_front() else {
                return;
            };
            self.steps -= 1;
            match step {
                Step::Record(text) => {
                    self.ready.insert(key.to_owned(), text);
                    line.wait = if matches!(line.steps.front(), Some(Step::Call(..))) {
                        self.until_kept(key)
                    } else {
                        Wait::Kept(0)
                    };
                }
                Step::Call(call, _) => {
                    leaving.push(*call);
                    self.sent += 1;
                    // Calls in a row leave together: nothing was recorded between them.
                    if !matches!(line.steps.front(), Some(Step::Call(..))) {
                        line.wait = Wait::Taken(self.sent);
                    }
                }
            }
        }
    }

    /// Until when the first step of a line waits for an answer.
    fn awaited(&self, line: &Line) -> Option<Mono> {
        match line.steps.front()? {
            Step::Record(_) => None,
            Step::Call(call, came) => self.answers.awaited(&call.event, *came),
        }
    }

    const fn is_held(&self, wait: Wait, is_late: bool) -> bool {
        match wait {
            Wait::Kept(batches) => self.kept < batches && !self.is_failing && !is_late,
            Wait::Taken(calls) => self.taken.saturating_add(self.refused) < calls,
        }
    }

    /// Everything that still waits: at a stop, when nothing can be told apart any more. The
    /// records are then in the next batch.
    pub(super) fn let_go(&mut self) -> Vec<AlertCall> {
        let mut leaving = Vec::new();
        for (key, line) in std::mem::take(&mut self.lines) {
            for step in line.steps {
                match step {
                    Step::Record(text) => {
                        self.ready.insert(key.clone(), text);
                    }
                    Step::Call(call, _) => {
                        self.sent += 1;
                        leaving.push(*call);
                    }
                }
            }
        }
        self.steps = 0;
        (self.patience, self.unanswered) = (None, None);
        leaving
    }
}

#[cfg(test)]
mod tests;
