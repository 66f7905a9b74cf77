//! The task behind the outbox: performs what the queues decide, and reports.
//!
//! One task owns everything. It never waits for a delivery, only for the disk; while it does,
//! calls wait in its inbox and deliveries under way go on.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use jiff::tz::TimeZone;
use tokio::sync::{OnceCell, mpsc, watch};
use tokio::task::{Id, JoinError, JoinSet};

use crate::alert::notice::Notice;
use crate::alert::webhook::{Poster, place};
use crate::clock::Clock;
use crate::daemon::outbox::OutboxSettings;
use crate::daemon::outbox::group;
use crate::daemon::outbox::jobs::{self, Content, MailJob, Report, WebhookJob};
use crate::daemon::outbox::programs::{Key, ProgramCall, Programs};
use crate::daemon::outbox::queue::{Bound, Due, Endpoint, Entry, Group, Lane, Outcome, Queue};
use crate::daemon::outbox::spool::{Destination, Found, Item, Spool};
use crate::engine::event::{AlertCall, AlertId, Delivery, Event};
use crate::model::AlertProgram;
use crate::options::AlertOptions;
use crate::options::mail::MailOptions;
use crate::options::webhook::WebhookOptions;
use crate::time::{Mono, Readable};

/// Calls taken in one go: they share one wait for the disk.
const BATCH: usize = 100;
/// Groups settled in one go: each may hold [`group::BYTES_MAX`].
const GROUPS: usize = 16;
/// Reports on the way from the jobs.
const REPORTS: usize = 64;
/// Least time between two clean-ups of the queue.
const TIDY_REST: Duration = Duration::from_secs(60);
const FULL: &str = "left out: the outbox is full";

/// A call that is not finished.
#[derive(Debug)]
struct OpenCall {
    /// Messages of it that wait.
    remaining: usize,
    /// What went wrong with others.
    faults: Vec<String>,
}

/// What a task does, for when it panics.
#[derive(Debug)]
enum Kind {
    Mails(Vec<u64>),
    Webhook(u64),
    Program(Key, AlertId),
}

/// Whether the disk takes messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Disk {
    Works,
    /// It did not; next attempt then.
    Fails(Mono),
}

/// The task's state.
pub(super) struct Courier {
    settings: OutboxSettings,
    /// Counts reloads.
    generation: u64,
    clock: Clock,
    zone: TimeZone,
    spool: Spool,
    queue: Queue,
    programs: Programs,
    /// Contents that are not on the disk (yet).
    memory: BTreeMap<u64, Arc<Item>>,
    /// Files to delete with a message, beside its own: parts of a group whose seal the disk
    /// did not take.
    extra_files: BTreeMap<u64, Vec<u64>>,
    /// Files to delete: not on the runtime's thread, which a hanging disk must not stop.
    trash: Vec<u64>,
    /// Whether the spool has been read; before, nothing is written to it.
    is_loaded: bool,
    next_number: u64,
    calls: BTreeMap<AlertId, OpenCall>,
    done: VecDeque<Event>,
    poster: Arc<OnceCell<Poster>>,
    jobs: JoinSet<()>,
    kinds: Vec<(Id, Kind)>,
    reports: mpsc::Sender<Report>,
    disk: Disk,
    tidied: Mono,
    is_closing: bool,
}

impl Courier {
    /// Runs until the inbox is closed and nothing more can be done now.
    pub(super) async fn run(
        mut inbox: mpsc::Receiver<AlertCall>,
        mut changes: watch::Receiver<OutboxSettings>,
        events: mpsc::Sender<Event>,
    ) {
        let (reports, mut reported) = mpsc::channel(REPORTS);
        let settings = changes.borrow_and_update().clone();
        let mut courier = Self::new(settings, reports);
        courier.load().await;
        let mut batch = Vec::with_capacity(BATCH);
        loop {
            courier.advance().await;
            if courier.is_closing && courier.is_idle() {
                courier.empty_trash().await;
                return;
            }
            let wake = courier.wake();
            // Every branch is cancel-safe: nothing is taken before it is chosen. Biased, so
            // that the report of a job is read before the end of its task is noticed.
            tokio::select! { biased;
                Some(report) = reported.recv() => courier.report(report),
                Some(ended) = courier.jobs.join_next_with_id(), if !courier.jobs.is_empty() => {
                    courier.reap(ended);
                }
                count = inbox.recv_many(&mut batch, BATCH), if !courier.is_closing => {
                    if count == 0 {
                        courier.is_closing = true;
                        courier.queue.hurry();
                    }
                    courier.take(&mut batch).await;
                }
                Ok(()) = changes.changed() => {
                    let settings = changes.borrow_and_update().clone();
                    courier.reload(settings);
                }
                permit = events.reserve(), if !courier.done.is_empty() => {
                    match (permit, courier.done.pop_front()) {
                        (Ok(permit), Some(event)) => permit.send(event),
                        // Nobody listens any more.
                        (Err(_), _) | (_, None) => courier.done.clear(),
                    }
                }
                () = sleep_until(courier.clock, wake), if wake.is_some() => {}
            }
        }
    }

    fn new(settings: OutboxSettings, reports: mpsc::Sender<Report>) -> Self {
        let clock = Clock::start();
        Self {
            clock,
            zone: TimeZone::system(),
            spool: Spool::new(&settings.spool),
            queue: Queue::new(
                settings.limits.clone(),
                settings.mailer.group_wait(),
                fastrand::Rng::new(),
            ),
            programs: Programs::default(),
            memory: BTreeMap::new(),
            extra_files: BTreeMap::new(),
            trash: Vec::new(),
            is_loaded: false,
            // Greater than the numbers of a spool that cannot be read yet.
            next_number: u64::try_from(clock.now().wall.as_micros()).unwrap_or(1),
            calls: BTreeMap::new(),
            done: VecDeque::new(),
            poster: Arc::default(),
            jobs: JoinSet::new(),
            kinds: Vec::new(),
            reports,
            disk: Disk::Works,
            tidied: Mono::ZERO,
            is_closing: false,
            generation: 0,
            settings,
        }
    }

    fn reload(&mut self, mut settings: OutboxSettings) {
        if settings.spool != self.settings.spool {
            tracing::warn!(
                spool = %self.settings.spool.display(),
                "the spool folder moves only when the daemon is restarted"
            );
            settings.spool.clone_from(&self.settings.spool);
        }
        self.generation += 1;
        self.zone = TimeZone::system();
        self.poster = Arc::default(); // Certificates may have changed.
        self.queue
            .reload(settings.limits.clone(), settings.mailer.group_wait());
        self.settings = settings;
    }

    /// Puts what the spool holds in line.
    async fn load(&mut self) {
        let spool = self.spool.clone();
        let loaded = tokio::task::spawn_blocking(move || spool.load()).await;
        let found = match loaded.unwrap_or_else(|error| Err(std::io::Error::other(error))) {
            Ok(found) => found,
            Err(error) => {
                self.disk_failed(&error.to_string());
                return;
            }
        };
        let Found {
            items,
            corrupt,
            next,
        } = found;
        self.is_loaded = true;
        self.next_number = self.next_number.max(next);
        for (path, why) in corrupt {
            tracing::error!(file = %path.display(), why, "a message in the spool cannot be read and was set aside");
        }
        if !items.is_empty() {
            tracing::info!(
                messages = items.len(),
                "messages of before are in the spool"
            );
        }
        let now = self.clock.now();
        for (number, bytes, item) in items {
            if let Some(entry) = entry_of(&item, bytes, now.mono) {
                self.queue.insert(number, entry);
            }
        }
    }

    fn is_idle(&self) -> bool {
        // Every message that can be delivered now is under way after `advance`.
        self.kinds.is_empty() && self.programs.is_idle()
    }

    /// When there is something to do without a new event.
    fn wake(&self) -> Option<Mono> {
        let disk = match self.disk {
            Disk::Fails(at) if !self.is_loaded || !self.memory.is_empty() => Some(at),
            Disk::Works | Disk::Fails(_) => None,
        };
        [self.queue.next(self.clock.now()), disk]
            .into_iter()
            .flatten()
            .min()
    }

    /// Does all that is to be done now.
    async fn advance(&mut self) {
        self.empty_trash().await;
        if let Disk::Fails(at) = self.disk
            && at <= self.clock.now().mono
        {
            if !self.is_loaded {
                self.load().await;
            }
            let numbers: Vec<u64> = self.queue.memory().collect();
            if self.is_loaded && !numbers.is_empty() {
                self.store(numbers).await;
            }
        }
        let now = self.clock.now();
        if now.mono.since(self.tidied) > TIDY_REST {
            self.queue.tidy(now);
            self.tidied = now.mono;
        }
        let groups = self.queue.groups(now);
        for chunk in groups.chunks(GROUPS) {
            self.settle_groups(chunk).await;
        }
        for due in self.queue.due(self.clock.now()) {
            match due {
                Due::Mails(transactions) => self.start_mails(&transactions),
                Due::Webhook(number, left_out) => self.start_webhook(number, left_out),
            }
        }
        while let Some(call) = self.programs.start(self.settings.limits.programs) {
            let kind = Kind::Program(call.key(), call.call.id);
            let limit = self.settings.limits.program_limit;
            let job = jobs::program(call, limit, self.reports.clone());
            let id = self.jobs.spawn(job).id();
            self.kinds.push((id, kind));
        }
    }

    /// Takes calls from the inbox.
    async fn take(&mut self, batch: &mut Vec<AlertCall>) {
        let mut fresh = Vec::new();
        for call in batch.drain(..) {
            match &call.command.program {
                AlertProgram::Native(AlertOptions::Mail(options)) => {
                    fresh.extend(self.take_mail(&call, options));
                }
                AlertProgram::Native(AlertOptions::Webhook(options)) => {
                    fresh.extend(self.take_webhook(&call, options));
                }
                AlertProgram::Native(AlertOptions::Lvs(_)) => {
                    self.refuse(&call, "lvs.alert works on the table and sends nothing");
                }
                AlertProgram::Missing(why) => self.refuse(&call, why),
                AlertProgram::Executable(path) => {
                    let path = path.clone();
                    let most = self.settings.limits.program_queue;
                    if let Some(dropped) = self.programs.push(
                        ProgramCall {
                            path,
                            call: Box::new(call),
                        },
                        most,
                    ) {
                        self.refuse(&dropped.call, "left out: too many alert programs wait");
                    }
                }
            }
        }
        if !fresh.is_empty() {
            self.store(fresh).await;
        }
    }

    fn refuse(&mut self, call: &AlertCall, why: &str) {
        tracing::error!(group = %call.group, service = %call.name, alert = %call.command.name, why, "alert given up");
        self.done.push_back(Event::AlertDone {
            alert: call.id,
            delivery: Delivery::GivenUp(why.to_owned()),
        });
    }

    /// One message for each recipient.
    fn take_mail(&mut self, call: &AlertCall, options: &MailOptions) -> Vec<u64> {
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
            .filter_map(|destination| self.enqueue(call.id, destination, notice.clone()))
            .collect()
    }

    fn take_webhook(&mut self, call: &AlertCall, options: &WebhookOptions) -> Option<u64> {
        self.calls.insert(
            call.id,
            OpenCall {
                remaining: 1,
                faults: Vec::new(),
            },
        );
        let destination = Destination::Webhook(options.clone());
        self.enqueue(call.id, destination, Notice::new(call, None))
    }

    /// Puts a message in line; it is still to be stored.
    fn enqueue(&mut self, call: AlertId, destination: Destination, notice: Notice) -> Option<u64> {
        let now = self.clock.now();
        let mut item = Item {
            version: Item::VERSION,
            accepted: now.wall,
            destination,
            seal: None,
            notices: vec![notice],
        };
        let bytes = item.to_bytes().len() as u64;
        let mut entry = entry_of(&item, bytes, now.mono)?;
        let event = entry.events.first().map(String::as_str).unwrap_or_default();
        if let Some(known) = self.queue.repeated(&entry.lane, event) {
            known.calls.push(call);
            return None;
        }
        let (dropped, left_out) =
            self.queue
                .make_room(Bound::Spool, &entry.lane, &entry.service, bytes);
        self.dropped(dropped);
        add_left_out(&mut item, left_out);
        entry.left_out = left_out;
        entry.calls = vec![call];
        let number = self.next_number;
        self.next_number += 1;
        self.memory.insert(number, Arc::new(item));
        self.queue.insert(number, entry);
        Some(number)
    }

    /// Messages that had to go for others.
    fn dropped(&mut self, dropped: Vec<(u64, Entry)>) {
        for (number, entry) in dropped {
            tracing::error!(
                service = entry.service,
                to = receiver(&entry.lane),
                "message left out, the outbox is full"
            );
            self.finish(number, entry, Err(FULL.to_owned()));
        }
    }

    /// Writes messages to the disk; those that it does not take stay in memory.
    async fn store(&mut self, numbers: Vec<u64>) {
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
        match (fault, self.disk) {
            (Some(why), _) => self.disk_failed(&why),
            (None, Disk::Fails(_)) => {
                self.disk = Disk::Works;
                tracing::info!(spool = %self.settings.spool.display(), "the spool takes messages again");
            }
            (None, Disk::Works) => {}
        }
    }

    async fn write(&self, files: Vec<(u64, Vec<u8>)>) -> Vec<(u64, Result<(), String>)> {
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

    async fn empty_trash(&mut self) {
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

    fn disk_failed(&mut self, why: &str) {
        let rest = self.settings.limits.disk_rest;
        self.disk = Disk::Fails(self.clock.now().mono.after(rest));
        tracing::error!(
            spool = %self.settings.spool.display(),
            why,
            in_memory = self.memory.len(),
            "cannot write to the spool; messages are kept in memory and are lost if the daemon ends"
        );
    }

    fn content(&self, number: u64) -> Content {
        match self.memory.get(&number) {
            Some(item) => Content::Memory(Arc::clone(item)),
            None => Content::Disk(number),
        }
    }

    /// Makes each group one mail whose content and Message-ID no longer change.
    async fn settle_groups(&mut self, groups: &[Group]) {
        let mut files = Vec::new();
        let mut settled = Vec::new();
        for group in groups {
            let mut items = Vec::new();
            for &number in &group.members {
                match jobs::load(&self.spool, &self.content(number)).await {
                    Ok(item) => items.push((number, Arc::unwrap_or_clone(item))),
                    Err(why) => self.give_up(number, &why),
                }
            }
            let group = Group {
                members: items.iter().map(|(number, _)| *number).collect(),
                left_out: group.left_out,
            };
            let sealed = group::seal(items, group.left_out, self.settings.mailer.domain());
            if let (Some(item), Some(&first)) = (sealed, group.members.first()) {
                files.push((first, item.to_bytes()));
                settled.push((group, item));
            }
        }
        let sizes: Vec<u64> = files.iter().map(|(_, bytes)| bytes.len() as u64).collect();
        let results = self.write(files).await;
        for (((number, result), (group, item)), bytes) in
            results.into_iter().zip(settled).zip(sizes)
        {
            let Some(seal) = &item.seal else { continue };
            for member in &group.members {
                self.memory.remove(member);
            }
            let others = seal.replaces.clone();
            let is_kept = result.is_err();
            self.queue.sealed(&group, &seal.message_id, bytes, is_kept);
            match result {
                Ok(()) => self.trash.extend(others),
                Err(why) => {
                    self.disk_failed(&why);
                    self.extra_files.insert(number, others);
                    self.memory.insert(number, Arc::new(item));
                }
            }
        }
    }

    fn start_mails(&mut self, transactions: &[Vec<u64>]) {
        let one = |&number: &u64| match &self.queue.entry(number)?.lane {
            Lane::Mail { to, .. } => Some((number, to.clone(), self.content(number))),
            Lane::Webhook { .. } => None,
        };
        let job = MailJob {
            transactions: transactions
                .iter()
                .map(|numbers| numbers.iter().filter_map(one).collect())
                .collect(),
            mailer: self.settings.mailer.clone(),
            generation: self.generation,
            spool: self.spool.clone(),
            zone: self.zone.clone(),
        };
        let kind = Kind::Mails(transactions.concat());
        let id = self.jobs.spawn(job.run(self.reports.clone())).id();
        self.kinds.push((id, kind));
    }

    fn start_webhook(&mut self, number: u64, left_out: u32) {
        let job = WebhookJob {
            number,
            left_out,
            content: self.content(number),
            spool: self.spool.clone(),
            poster: Arc::clone(&self.poster),
            director: self.settings.mailer.host().to_owned(),
            clock: self.clock,
        };
        let id = self.jobs.spawn(job.run(self.reports.clone())).id();
        self.kinds.push((id, Kind::Webhook(number)));
    }

    fn report(&mut self, report: Report) {
        match report {
            Report::Mails(outcomes) => {
                for (number, outcome) in outcomes {
                    self.settle(number, outcome, 0);
                }
            }
            Report::RelayDone {
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
            Report::Webhook {
                number,
                left_out,
                outcome,
                fault,
            } => {
                let endpoint = self.queue.entry(number).map(|entry| entry.lane.endpoint());
                self.settle(number, outcome, left_out);
                if let Some(endpoint) = endpoint {
                    self.endpoint_done(&endpoint, fault);
                }
            }
            Report::Program { key, call, fault } => {
                self.programs.ended(&key);
                if let Some(why) = &fault {
                    tracing::warn!(program = %key, why, "alert program failed");
                }
                let delivery = fault.map_or(Delivery::Done, Delivery::GivenUp);
                self.done.push_back(Event::AlertDone {
                    alert: call,
                    delivery,
                });
            }
        }
    }

    fn settle(&mut self, number: u64, outcome: Outcome, left_out: u32) {
        let now = self.clock.now();
        if let (Outcome::Later(why), Some(entry)) = (&outcome, self.queue.entry(number)) {
            tracing::warn!(
                service = entry.service,
                to = receiver(&entry.lane),
                why,
                "message to be tried again"
            );
        }
        let may_be_old = !matches!(outcome, Outcome::Delivered);
        if let Some((entry, result)) = self.queue.settle(now, number, outcome, left_out) {
            let to = receiver(&entry.lane);
            match &result {
                Ok(()) => {
                    let after = Readable(now.wall.since(entry.accepted));
                    tracing::info!(service = entry.service, to, %after, "message delivered");
                }
                Err(why) => {
                    tracing::error!(
                        service = entry.service,
                        to,
                        why,
                        "message refused for good and given up"
                    );
                }
            }
            self.finish(number, entry, result);
        }
        if may_be_old {
            for (number, entry, why) in self.queue.give_up_old(now) {
                let age = Readable(now.wall.since(entry.accepted));
                tracing::error!(service = entry.service, to = receiver(&entry.lane), %age, why, "message given up");
                self.finish(number, entry, Err(format!("given up after {age}: {why}")));
            }
        }
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

    /// A message that cannot be delivered by any attempt.
    fn give_up(&mut self, number: u64, why: &str) {
        if let Some(entry) = self.queue.remove(number) {
            tracing::error!(
                service = entry.service,
                to = receiver(&entry.lane),
                why,
                "message given up"
            );
            self.finish(number, entry, Err(why.to_owned()));
        }
    }

    /// A message is out of line: its files go, its calls are told.
    fn finish(&mut self, number: u64, entry: Entry, result: Result<(), String>) {
        self.memory.remove(&number);
        let extra = self.extra_files.remove(&number).unwrap_or_default();
        self.trash.extend(extra.into_iter().chain([number]));
        for id in entry.calls {
            let Some(call) = self.calls.get_mut(&id) else {
                continue;
            };
            call.remaining = call.remaining.saturating_sub(1);
            if let Err(why) = &result {
                call.faults
                    .push(format!("{}: {why}", receiver(&entry.lane)));
            }
            if call.remaining == 0
                && let Some(call) = self.calls.remove(&id)
            {
                let delivery = if call.faults.is_empty() {
                    Delivery::Done
                } else {
                    Delivery::GivenUp(call.faults.join("; "))
                };
                self.done.push_back(Event::AlertDone {
                    alert: id,
                    delivery,
                });
            }
        }
    }

    /// A job's task ended. After a panic its messages go back in line.
    fn reap(&mut self, ended: Result<(Id, ()), JoinError>) {
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
                self.report(Report::Mails(numbers.into_iter().map(later).collect()));
                self.report(Report::RelayDone {
                    generation: self.generation,
                    fault: Some(why),
                    known: Vec::new(),
                });
            }
            Kind::Webhook(number) => self.report(Report::Webhook {
                number,
                left_out: 0,
                outcome: Outcome::Later(why),
                fault: None,
            }),
            Kind::Program(key, call) => self.report(Report::Program {
                key,
                call,
                fault: Some(why),
            }),
        }
    }
}

async fn sleep_until(clock: Clock, moment: Option<Mono>) {
    match moment {
        Some(moment) => clock.sleep_until(moment).await,
        None => std::future::pending().await,
    }
}

fn add_left_out(item: &mut Item, count: u32) {
    if let Some(notice) = item.notices.first_mut() {
        notice.left_out = notice.left_out.saturating_add(count);
    }
}

/// The entry of an item; none where it tells nothing, which reading has ruled out.
fn entry_of(item: &Item, bytes: u64, since: Mono) -> Option<Entry> {
    let service = item.notices.first()?.key();
    let lane = match &item.destination {
        Destination::Mail { to, from, .. } => Lane::Mail {
            to: to.clone(),
            from: from.clone(),
        },
        Destination::Webhook(options) => Lane::Webhook {
            url: options.url.as_str().into(),
            service: service.clone(),
        },
    };
    Some(Entry {
        lane,
        service,
        events: item.notices.iter().map(|n| n.event.clone()).collect(),
        accepted: item.accepted,
        since,
        bytes,
        message_id: item.seal.as_ref().map(|seal| seal.message_id.clone()),
        calls: Vec::new(),
        left_out: 0,
        in_memory: false,
    })
}

/// Whom a message is for, as it may be logged.
fn receiver(lane: &Lane) -> String {
    match lane {
        Lane::Mail { to, .. } => to.clone(),
        Lane::Webhook { url, .. } => place(url),
    }
}
