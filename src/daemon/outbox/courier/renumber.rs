//! What becomes of what waits when its outage gets another number (D26)?
//!
//! Both directors found an outage before either heard of the other's, and this one takes the
//! other's number: what is held is that outage's from then on, in the queue and in the spool. What
//! the other one has told of it is dropped, and what comes later under the old number, too.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::daemon::outbox::courier::Courier;
use crate::daemon::outbox::courier::held::{PROGRAM, elsewhere};
use crate::daemon::outbox::jobs;
use crate::engine::event::{AlertCall, Renumbering};
use crate::pair::talk::EventId;

impl Courier {
    /// Gives what waits of these outages another number. The messages are to be stored.
    pub(super) async fn renumber(&mut self, renumberings: Vec<Renumbering>) -> BTreeSet<u64> {
        let now = self.clock.now().mono;
        let mut numbers = BTreeSet::new();
        for renumbering in &renumberings {
            let Renumbering { from, to } = renumbering;
            self.renamed.add(renumbering);
            // Whom the outage has reached under its old number, it has reached.
            self.elsewhere.also(now, from, to);
            self.programs.each_waiting(|call| {
                if let Some(id) = EventId::of(&call.event).filter(|id| id.outage == from) {
                    call.event = id.within(to);
                }
            });
            numbers.extend(self.queue.renumber(from, to));
        }
        self.drop_told_programs();
        for &number in &numbers {
            self.drop_told_events(number);
        }
        numbers.retain(|&number| self.queue.entry(number).is_some());
        for &number in &numbers {
            self.rename_content(number).await;
        }
        numbers
    }

    /// The id under which a call is taken.
    pub(super) fn rename(&self, call: &mut AlertCall) {
        if let Some(event) = self.renamed.now(&call.event) {
            call.event = event;
        }
    }

    /// What of a message the other director has told.
    fn drop_told_events(&mut self, number: u64) {
        let Some(entry) = self.queue.entry(number) else {
            return;
        };
        let (lane, events) = (Arc::clone(&entry.lane), entry.events.clone());
        for event in events {
            if self.is_told_elsewhere(&event, lane.receiver()) {
                self.drop_told(&event, lane.receiver());
            }
        }
    }

    fn drop_told_programs(&mut self) {
        let program: Arc<str> = PROGRAM.into();
        let told = &self.elsewhere;
        let is_told = |event: &str| told.has(event, &program);
        let calls = self.programs.take_out(|call| is_told(&call.call.event));
        let calls = calls.into_iter().map(|call| elsewhere(call.call.id));
        self.done.extend(calls);
    }

    /// The same in what a message says. Where its file cannot be read now it goes out under its
    /// old id, and the directors know it under the new one.
    async fn rename_content(&mut self, number: u64) {
        let Ok(item) = jobs::load(&self.spool, &self.content(number)).await else {
            return;
        };
        let mut item = Arc::unwrap_or_clone(item);
        for notice in &mut item.notices {
            if let Some(event) = self.renamed.now(&notice.event) {
                notice.event = event;
            }
        }
        self.memory.insert(number, Arc::new(item));
    }
}
