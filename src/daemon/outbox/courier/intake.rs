//! What comes in: a call becomes messages, messages become files.

use std::path::PathBuf;
use std::sync::Arc;

use crate::alert::notice::Notice;
use crate::daemon::outbox::Parcel;
use crate::daemon::outbox::courier::{Courier, Disk, OpenCall, entry_of, letter_of, receiver};
use crate::daemon::outbox::queue::{Bound, Entry};
use crate::daemon::outbox::spool::{Destination, Item};
use crate::engine::event::{AlertCall, AlertId, DeliveryOutcome, Event};
use crate::model::AlertProgram;
use crate::options::AlertOptions;
use crate::options::mail::MailOptions;
use crate::options::webhook::WebhookOptions;
use crate::pair::Speaking;
use crate::pair::post::{Admission, Origin};

/// What the log and the engine hear of a message that had to go for others.
const FULL: &str = "left out: the outbox is full";

impl Courier {
    /// Takes what is in the inbox.
    pub(super) async fn take(&mut self, batch: &mut Vec<Parcel>) {
        let mut fresh = Vec::new();
        for parcel in batch.drain(..) {
            let (mut call, speaking) = match parcel {
                Parcel::Call(call, speaking) => (*call, speaking),
                Parcel::Renumber(renumberings) => {
                    fresh.extend(self.renumber(&renumberings).await);
                    continue;
                }
                Parcel::Told(told) => {
                    self.told_elsewhere(&told);
                    continue;
                }
            };
            self.came += 1;
            self.rename(&mut call);
            match &call.command.program {
                AlertProgram::Native(AlertOptions::Mail(options)) => {
                    fresh.extend(self.take_mail(&call, options, speaking));
                }
                AlertProgram::Native(AlertOptions::Webhook(options)) => {
                    fresh.extend(self.take_webhook(&call, options, speaking));
                }
                AlertProgram::Native(AlertOptions::Lvs(_)) => {
                    self.refuse(&call, "lvs.alert works on the table and sends nothing");
                }
                AlertProgram::Missing(why) => self.refuse(&call, why),
                AlertProgram::Native(AlertOptions::Trap(_)) => {
                    self.take_program(PathBuf::from(&*call.command.name), call, speaking);
                }
                AlertProgram::Executable(path) => self.take_program(path.clone(), call, speaking),
            }
        }
        if !fresh.is_empty() {
            self.store(fresh).await;
        }
        // What starts at once needs no file.
        self.start_programs();
        self.store_programs().await;
    }

    /// How many of the calls that came would outlive a crash, with all before them.
    pub(super) fn taken(&self) -> u64 {
        let before = |first: u64| first.saturating_sub(1);
        self.program_files
            .first_in_doubt()
            .map_or(self.came, before)
    }

    pub(super) fn refuse(&mut self, call: &AlertCall, why: &str) {
        tracing::error!(group = %call.group, service = %call.name, alert = %call.command.name, why, "alert given up");
        self.done.push_back(Event::AlertDone {
            alert: call.id,
            delivery: DeliveryOutcome::GivenUp(why.to_owned()),
        });
    }

    /// One message for each recipient.
    fn take_mail(
        &mut self,
        call: &AlertCall,
        options: &MailOptions,
        speaking: Speaking,
    ) -> Vec<u64> {
        let mailer = &self.settings.mailer;
        let from = match mailer.sender(options.from.as_deref()) {
            Ok(from) => from,
            Err(why) => {
                self.refuse(call, &why);
                return Vec::new();
            }
        };
        let mut faults = Vec::new();
        let mut recipients: Vec<String> = Vec::new();
        for word in &options.recipients {
            match mailer.complete(word) {
                Ok(to) if recipients.contains(&to) => {}
                Ok(to) => recipients.push(to),
                Err(why) => {
                    tracing::error!(group = %call.group, service = %call.name, why, "mail recipient left out");
                    faults.push(why);
                }
            }
        }
        if recipients.is_empty() {
            self.refuse(call, &faults.join("; "));
            return Vec::new();
        }
        let notice = Notice::new(call, options.subject.as_deref());
        self.calls.insert(
            call.id,
            OpenCall {
                remaining: recipients.len(),
                faults,
                elsewhere: None,
            },
        );
        let to_item = |to: &String| Destination::Mail {
            to: to.clone(),
            from: from.clone(),
            header_to: recipients.clone(),
        };
        let destinations: Vec<Destination> = recipients.iter().map(to_item).collect();
        destinations
            .into_iter()
            .filter_map(|destination| self.enqueue(call.id, destination, notice.clone(), speaking))
            .collect()
    }

    fn take_webhook(
        &mut self,
        call: &AlertCall,
        options: &WebhookOptions,
        speaking: Speaking,
    ) -> Option<u64> {
        self.calls.insert(
            call.id,
            OpenCall {
                remaining: 1,
                faults: Vec::new(),
                elsewhere: None,
            },
        );
        let destination = Destination::Webhook(options.clone());
        self.enqueue(call.id, destination, Notice::new(call, None), speaking)
    }

    /// Puts a message in line; it is still to be stored.
    fn enqueue(
        &mut self,
        call: AlertId,
        destination: Destination,
        notice: Notice,
        speaking: Speaking,
    ) -> Option<u64> {
        let now = self.clock.now();
        let mut item = Item {
            version: Item::VERSION,
            accepted: now.wall,
            destination,
            seal: None,
            notices: vec![notice],
            held: speaking == Speaking::Silent,
        };
        let bytes = item.to_bytes().len() as u64;
        let mut entry = entry_of(&item, bytes, now.mono, Origin::Call)?;
        let letter = letter_of(&item, &entry, Origin::Call);
        let number = self.number();
        let is_same =
            |number: &u64| self.queue.entry(*number).map(|it| &it.lane) == Some(&entry.lane);
        match self.post.admit(number, letter, is_same) {
            Admission::Taken => {}
            Admission::Known(known) => {
                self.waited.forget(known);
                self.queue.add_call(known, call);
                return None;
            }
            Admission::Needless => {
                entry.calls = vec![call];
                self.finish(number, entry, Err(DeliveryOutcome::Elsewhere));
                return None;
            }
        }
        let (dropped, left_out) =
            self.queue
                .make_room(Bound::Spool, &entry.lane, &entry.service, bytes);
        self.dropped(dropped);
        add_left_out(&mut item, left_out);
        entry.left_out = left_out;
        entry.calls = vec![call];
        self.memory.insert(number, Arc::new(item));
        self.queue.insert(number, entry);
        Some(number)
    }

    /// One that nothing else has, of a message or a call.
    pub(super) const fn number(&mut self) -> u64 {
        let number = self.next_number;
        self.next_number += 1;
        number
    }

    /// Messages that had to go for others.
    fn dropped(&mut self, dropped: Vec<(u64, Entry)>) {
        for (number, entry) in dropped {
            tracing::error!(
                service = &*entry.service,
                to = receiver(&entry.lane),
                "message left out, the outbox is full"
            );
            self.finish(
                number,
                entry,
                Err(DeliveryOutcome::GivenUp(FULL.to_owned())),
            );
        }
    }

    /// Writes messages to the disk; those that it does not take stay in memory.
    pub(super) async fn store(&mut self, numbers: Vec<u64>) {
        let is_there = |number: &u64| self.queue.entry(*number).is_some();
        let numbers: Vec<u64> = numbers.into_iter().filter(is_there).collect();
        let bytes = |number: &u64| {
            let item = self.memory.get(number)?;
            Some((*number, item.to_bytes()))
        };
        let files: Vec<(u64, Vec<u8>)> = numbers.iter().filter_map(bytes).collect();
        let results = self.write(files).await;
        let mut fault = None;
        for (number, result) in results {
            match result {
                Ok(()) => {
                    self.memory.remove(&number);
                    self.queue.set_in_memory(number, false);
                    if let Some(extra) = self.extra_files.remove(&number) {
                        self.trash.extend(extra);
                    }
                }
                Err(error) => {
                    fault = Some(error);
                    self.keep_in_memory(number);
                }
            }
        }
        match fault {
            Some(why) => self.disk_failed(&why),
            None => self.disk_works(),
        }
    }

    pub(super) async fn write(&self, files: Vec<(u64, Vec<u8>)>) -> Vec<(u64, Result<(), String>)> {
        let numbers: Vec<u64> = files.iter().map(|(number, _)| *number).collect();
        if !self.is_loaded {
            let failed = |number| (number, Err("it could not be read yet".to_owned()));
            return numbers.into_iter().map(failed).collect();
        }
        let spool = self.spool.clone();
        let written = tokio::task::spawn_blocking(move || spool.write(&files)).await;
        match written {
            Ok(results) => {
                let text = |result: std::io::Result<()>| result.map_err(|error| error.to_string());
                numbers
                    .into_iter()
                    .zip(results.into_iter().map(text))
                    .collect()
            }
            Err(error) => {
                let failed = |number| (number, Err(error.to_string()));
                numbers.into_iter().map(failed).collect()
            }
        }
    }

    /// Deletes the files of messages that are over, behind what was told on the disk. Where that
    /// takes no line they go all the same: a file that stays is told twice at the next start for
    /// certain, a line that is missing only where the roles change while the link is down.
    pub(super) async fn empty_trash(&mut self) {
        self.keep().await;
        if self.trash.is_empty() {
            return;
        }
        let (spool, numbers) = (self.spool.clone(), std::mem::take(&mut self.trash));
        // A file that stays is a message that is delivered twice, which is allowed.
        let _ = tokio::task::spawn_blocking(move || spool.delete(numbers)).await;
    }

    fn keep_in_memory(&mut self, number: u64) {
        let Some(entry) = self.queue.entry(number) else {
            return;
        };
        if entry.in_memory {
            return;
        }
        let (lane, service, bytes) = (entry.lane.clone(), entry.service.clone(), entry.bytes);
        let Some(mut entry) = self.queue.remove(number) else {
            return;
        };
        let (dropped, left_out) = self.queue.make_room(Bound::Memory, &lane, &service, bytes);
        self.dropped(dropped);
        if let Some(item) = self.memory.get_mut(&number) {
            add_left_out(Arc::make_mut(item), left_out);
        }
        entry.left_out = entry.left_out.saturating_add(left_out);
        entry.in_memory = true;
        self.queue.insert(number, entry);
    }

    /// The disk took something: what it did not take before goes next.
    pub(super) fn disk_works(&mut self) {
        if self.disk == Disk::Works {
            return;
        }
        if self.queue.memory().next().is_some() {
            self.disk = Disk::Fails(self.clock.now().mono);
            return;
        }
        self.disk = Disk::Works;
        tracing::info!(spool = %self.settings.spool.display(), "the spool takes messages again");
    }

    pub(super) fn disk_failed(&mut self, why: &str) {
        let rest = self.settings.limits.disk_rest;
        self.disk = Disk::Fails(self.clock.now().mono.after(rest));
        tracing::error!(
            spool = %self.settings.spool.display(),
            why,
            in_memory = self.memory.len(),
            "cannot write to the spool; messages are kept in memory and are lost if the daemon ends"
        );
    }
}

fn add_left_out(item: &mut Item, count: u32) {
    if let Some(notice) = item.notices.first_mut() {
        notice.left_out = notice.left_out.saturating_add(count);
    }
}
