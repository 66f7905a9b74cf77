//! What is done about messages that the other director tells, or told (D26)?
//!
//! Which those are is said by [`crate::pair::post`]. What is held is in the spool like everything,
//! so that it outlives a restart and is bounded.

use std::collections::BTreeSet;
use std::sync::Arc;

use tokio::sync::mpsc::error::TrySendError;

use crate::daemon::outbox::courier::{Courier, Disk, receiver};
use crate::daemon::outbox::jobs;
use crate::daemon::outbox::queue::Entry;
use crate::engine::event::{AlertCall, AlertId, DeliveryOutcome, Event, Renumbering};
use crate::pair::Speaking;
use crate::pair::post::{Forgotten, OVERTAKEN, Renumbered, Why};
use crate::pair::talk;

/// What the log and the engine hear of what became too old while the other director spoke.
const TOO_OLD: &str = "too old: it could not be told before the other director's turn came";

impl Courier {
    /// Holds everything as soon as nothing may leave any more. That it may again is heard in turn.
    pub(super) fn close_in_time(&mut self) {
        if self.door.speaking() == Speaking::Silent {
            self.speak(Speaking::Silent);
        }
    }

    /// From now on people are told, or everything is held.
    pub(super) fn speak(&mut self, speaking: Speaking) {
        if self.post.speaking() == speaking {
            return;
        }
        let forgotten = self.post.speak(self.clock.now(), speaking);
        self.forget(forgotten);
        let waiting = self.post.len();
        match speaking {
            Speaking::Speaks => {
                tracing::info!(waiting, "this director tells people from now on");
                self.queue.release();
            }
            Speaking::Silent => {
                let why = if self.door.is_stale() {
                    "this director stood still or was away, and does not know yet what happened \
                     meanwhile"
                } else {
                    "the other director tells people"
                };
                tracing::info!(waiting, why, "messages are held");
                self.queue.hold();
            }
        }
    }

    /// Messages and programs that wait or are under way.
    pub(in crate::daemon::outbox) fn waiting_count(&self) -> u64 {
        (self.queue.len() + self.programs.len()) as u64
    }

    /// Whether the disk took what was written last.
    pub(in crate::daemon::outbox) const fn is_disk_good(&self) -> bool {
        matches!(self.disk, Disk::Works)
    }

    /// How many messages are held.
    pub(in crate::daemon::outbox) fn held_count(&self) -> u64 {
        match self.post.speaking() {
            Speaking::Speaks => 0,
            Speaking::Silent => self.post.len() as u64,
        }
    }

    /// The other director told these.
    pub(super) fn told_elsewhere(&mut self, told: &[talk::Delivery]) {
        let forgotten = self.post.told(self.clock.now().mono, told);
        self.forget(forgotten);
    }

    /// Takes out what is not needed any more; its calls are told why.
    pub(super) fn forget(&mut self, forgotten: Vec<Forgotten>) {
        let is_assumed = |it: &&Forgotten| it.why == Why::Assumed;
        let assumed = forgotten.iter().filter(is_assumed).count();
        if assumed > 0 {
            tracing::info!(
                count = assumed,
                "held messages dropped: the other director was to tell them"
            );
        }
        for Forgotten { number, why } in forgotten {
            if let Some(entry) = self.queue.remove(number) {
                self.forget_message(number, entry, why);
            } else if let Some(call) = self.programs.take_out(number) {
                self.needs_no_file(number);
                self.waited.forget(number);
                let over = |delivery| {
                    let done = |alert| Event::AlertDone { alert, delivery };
                    call.waiting.map(done)
                };
                match why {
                    Why::ToldElsewhere => self.done.extend(over(DeliveryOutcome::Elsewhere)),
                    Why::Overtaken => self.done.extend(over(DeliveryOutcome::Overtaken)),
                    Why::Assumed => self.done.extend(over(DeliveryOutcome::Left)),
                    Why::ToldBefore => self.done.extend(over(DeliveryOutcome::Done)),
                    Why::TooOld => self.refuse(&call.call, TOO_OLD),
                }
            }
        }
    }

    fn forget_message(&mut self, number: u64, entry: Entry, why: Why) {
        let (service, to) = (Arc::clone(&entry.service), receiver(&entry.lane));
        let delivery = match why {
            Why::ToldElsewhere => {
                let why = "the other director told it";
                tracing::info!(service = &*service, to, why, "message dropped");
                DeliveryOutcome::Elsewhere
            }
            Why::Overtaken => {
                tracing::info!(service = &*service, to, why = OVERTAKEN, "message dropped");
                DeliveryOutcome::Overtaken
            }
            Why::ToldBefore => {
                let why = "this director told it before its start";
                tracing::info!(service = &*service, to, why, "message dropped");
                DeliveryOutcome::Done
            }
            Why::Assumed => DeliveryOutcome::Left,
            Why::TooOld => {
                tracing::error!(service = &*service, to, why = TOO_OLD, "message given up");
                DeliveryOutcome::GivenUp(TOO_OLD.to_owned())
            }
        };
        self.finish(number, entry, Err(delivery));
    }

    /// Gives what waits of these outages another number. The messages are to be stored.
    pub(super) async fn renumber(&mut self, renumberings: &[Renumbering]) -> BTreeSet<u64> {
        let outages = renumberings.iter();
        let outages = outages.map(|it| (it.from.as_str(), it.to.as_str()));
        let renumbered = self.post.renumber(outages);
        self.rename_contents(renumbered).await
    }

    /// The new ids in messages and calls. The messages are to be stored.
    pub(super) async fn rename_contents(&mut self, renumbered: Renumbered) -> BTreeSet<u64> {
        self.forget(renumbered.forgotten);
        let mut messages = BTreeSet::new();
        for number in renumbered.changed {
            if self.queue.entry(number).is_some() {
                self.rename_content(number).await;
                messages.insert(number);
            } else if let Some(call) = self.programs.waiting_call(number) {
                if let Some(event) = self.post.now_called(&call.call.event) {
                    call.call.event = event;
                }
                self.program_files.is_other(number);
            }
        }
        messages
    }

    /// The id under which a call is taken.
    pub(super) fn rename(&self, call: &mut AlertCall) {
        if let Some(event) = self.post.now_called(&call.event) {
            call.event = event;
        }
    }

    /// The new ids in what a message says. Where its file cannot be read now it goes out under its
    /// old id, and the directors know it under the new one.
    async fn rename_content(&mut self, number: u64) {
        let Ok(item) = jobs::load(&self.spool, &self.content(number)).await else {
            return;
        };
        let mut item = Arc::unwrap_or_clone(item);
        for notice in &mut item.notices {
            if let Some(event) = self.post.now_called(&notice.event) {
                notice.event = event;
            }
        }
        self.memory.insert(number, Arc::new(item));
    }

    /// Tells the other director as much as there is room for.
    pub(super) fn say_tidings(&mut self) {
        while let Some(next) = self.post.next_tidings() {
            let Some(tidings) = &self.tidings else {
                continue; // There is none.
            };
            if let Err(TrySendError::Full(next)) = tidings.try_send(next) {
                self.post.keep_tidings(next);
                return;
            }
        }
    }
}

pub(super) const fn elsewhere(alert: AlertId) -> Event {
    Event::AlertDone {
        alert,
        delivery: DeliveryOutcome::Elsewhere,
    }
}
