//! What comes of deliveries: messages leave the queue, wait, or are given up; the engine and the
//! log are told.

use std::time::Duration;

use tokio::task::{Id, JoinError};

use crate::alert::webhook::place;
use crate::daemon::outbox::courier::{Courier, Kind, receiver};
use crate::daemon::outbox::jobs::JobReport;
use crate::daemon::outbox::programs::AfterRest;
use crate::daemon::outbox::queue::{Endpoint, Entry, Outcome};
use crate::engine::event::{DeliveryOutcome, Event};
use crate::time::Readable;

impl Courier {
    pub(super) fn report(&mut self, report: JobReport) {
        match report {
            JobReport::Mails(outcomes) => {
                for (number, outcome) in outcomes {
                    self.settle(number, outcome, 0);
                }
            }
            JobReport::RelayDone {
                generation,
                fault,
                known,
            } => {
                // What happened with the relay of before says nothing about the new one.
                let is_current = generation == self.generation;
                if is_current && !known.is_empty() {
                    self.settings.mailer.remember(known);
                }
                let fault = fault.filter(|_| is_current).map(|why| (why, None));
                self.endpoint_done(&Endpoint::Relay, fault);
            }
            JobReport::Webhook {
                number,
                left_out,
                outcome,
                fault,
            } => {
                let endpoint = self.queue.entry(number).map(|entry| entry.lane.endpoint());
                // First, since the message waits as long as its receiver rests.
                if let Some(endpoint) = endpoint {
                    self.endpoint_done(&endpoint, fault);
                }
                self.settle(number, outcome, left_out);
            }
            JobReport::Program {
                key,
                call,
                number,
                fault,
            } => {
                self.needs_no_file(number);
                let rested = self.programs.ended(&key, number);
                if fault.is_none() {
                    if let Some(AfterRest) = rested {
                        tracing::info!(program = %key, "alert program run at last");
                    }
                    self.reached(number);
                } else {
                    self.waited.forget(number);
                    self.post.gone(number);
                }
                if let Some(why) = &fault {
                    tracing::warn!(program = %key, why, "alert program failed");
                }
                // The number of the call says to nobody which alert it was.
                let given_up = |why| DeliveryOutcome::GivenUp(format!("{key}: {why}"));
                let delivery = fault.map_or(DeliveryOutcome::Done, given_up);
                let done = |alert| Event::AlertDone { alert, delivery };
                self.done.extend(call.map(done));
            }
            JobReport::Started { number } => self.needs_no_file(number),
            JobReport::NotNow { call, why } => self.put_back(call, &why),
        }
    }

    pub(super) fn settle(&mut self, number: u64, outcome: Outcome, left_out: u32) {
        let now = self.clock.now();
        let later = match &outcome {
            Outcome::Later(why) => Some(why.clone()),
            Outcome::Delivered | Outcome::Refused(_) | Outcome::Untried => None,
        };
        let may_be_old = !matches!(outcome, Outcome::Delivered);
        if let Some((entry, result)) = self.queue.settle(now, number, outcome, left_out) {
            let to = receiver(&entry.lane);
            match &result {
                Ok(()) => {
                    let after = Readable(entry.came.age(now));
                    tracing::info!(service = &*entry.service, to, %after, "message delivered");
                    self.reached(number);
                }
                Err(why) => {
                    tracing::error!(
                        service = &*entry.service,
                        to,
                        why,
                        "message refused for good and given up"
                    );
                }
            }
            self.finish(number, entry, result.map_err(DeliveryOutcome::GivenUp));
        } else {
            if let (Some(why), Some(entry)) = (later, self.queue.entry(number)) {
                let again_in = Readable(self.queue.again_in(now, number));
                tracing::warn!(
                    service = &*entry.service,
                    to = receiver(&entry.lane),
                    why,
                    %again_in,
                    "message to be tried again"
                );
            }
            let told = self.post.stays(number);
            self.forget(told.into_iter().collect());
        }
        if may_be_old {
            for (number, entry, why) in self.queue.give_up_old(now) {
                let age = Readable(entry.came.age(now));
                tracing::error!(service = &*entry.service, to = receiver(&entry.lane), %age, why, "message given up");
                let why = format!("given up after {age}: {why}");
                self.finish(number, entry, Err(DeliveryOutcome::GivenUp(why)));
            }
        }
    }

    /// Somebody has it.
    fn reached(&mut self, number: u64) {
        self.waited.sent(number);
        let events = self.post.delivered(number);
        self.people_know(events);
    }

    fn endpoint_done(&mut self, endpoint: &Endpoint, fault: Option<(String, Option<Duration>)>) {
        let now = self.clock.now();
        let was_closed = self.queue.is_closed(endpoint);
        let why = fault
            .as_ref()
            .map(|(why, _)| why.clone())
            .unwrap_or_default();
        let wait = self.queue.endpoint_done(now, endpoint, fault);
        let to = match endpoint {
            Endpoint::Relay => "the mail relay".to_owned(),
            Endpoint::Webhook(url) => place(url),
        };
        match wait {
            Some(wait) => {
                let (again_in, waiting) = (Readable(wait), self.queue.len());
                tracing::warn!(to, why, %again_in, waiting, "cannot deliver now");
            }
            None if was_closed => tracing::info!(to, "delivering again"),
            None => {}
        }
    }

    /// A message is out of line: its files go, its calls are told.
    pub(super) fn finish(
        &mut self,
        number: u64,
        entry: Entry,
        result: Result<(), DeliveryOutcome>,
    ) {
        self.memory.remove(&number);
        self.waited.forget(number);
        self.post.gone(number);
        let extra = self.extra_files.remove(&number).unwrap_or_default();
        self.trash.extend(extra.into_iter().chain([number]));
        for id in entry.calls {
            let Some(call) = self.calls.get_mut(&id) else {
                continue;
            };
            call.remaining = call.remaining.saturating_sub(1);
            match &result {
                Ok(()) | Err(DeliveryOutcome::Done) => {}
                // Of several messages the worst: one that nobody told, then one of which nobody
                // knows.
                Err(DeliveryOutcome::Overtaken) => {
                    call.elsewhere = Some(DeliveryOutcome::Overtaken)
                }
                Err(DeliveryOutcome::Left)
                    if call.elsewhere != Some(DeliveryOutcome::Overtaken) =>
                {
                    call.elsewhere = Some(DeliveryOutcome::Left);
                }
                Err(
                    it @ (DeliveryOutcome::Left
                    | DeliveryOutcome::Elsewhere
                    | DeliveryOutcome::Observed),
                ) => {
                    call.elsewhere.get_or_insert_with(|| it.clone());
                }
                Err(DeliveryOutcome::GivenUp(why)) => call
                    .faults
                    .push(format!("{}: {why}", receiver(&entry.lane))),
            }
            if call.remaining == 0
                && let Some(call) = self.calls.remove(&id)
            {
                let delivery = if call.faults.is_empty() {
                    call.elsewhere.unwrap_or(DeliveryOutcome::Done)
                } else {
                    DeliveryOutcome::GivenUp(call.faults.join("; "))
                };
                self.done.push_back(Event::AlertDone {
                    alert: id,
                    delivery,
                });
            }
        }
    }

    /// A job's task ended. After a panic its messages go back in line.
    pub(super) fn reap(&mut self, ended: Result<(Id, ()), JoinError>) {
        let id = match &ended {
            Ok((id, ())) => *id,
            Err(error) => error.id(),
        };
        let Some(at) = self.kinds.iter().position(|(other, _)| *other == id) else {
            return;
        };
        let (_, kind) = self.kinds.swap_remove(at);
        let Err(error) = ended else { return };
        let why = format!("internal error: {error}");
        match kind {
            Kind::Mails(numbers) => {
                let later = |number| (number, Outcome::Later(why.clone()));
                self.report(JobReport::Mails(numbers.into_iter().map(later).collect()));
                self.report(JobReport::RelayDone {
                    generation: self.generation,
                    fault: Some(why),
                    known: Vec::new(),
                });
            }
            Kind::Webhook(number) => self.report(JobReport::Webhook {
                number,
                left_out: 0,
                outcome: Outcome::Later(why),
                fault: None,
            }),
            Kind::Program(key, call, number) => self.report(JobReport::Program {
                key,
                call,
                number,
                fault: Some(why),
            }),
        }
    }
}
