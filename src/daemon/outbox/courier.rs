//! The task behind the outbox: performs what the queues decide, and reports.
//!
//! One task owns everything. It never waits for a delivery, only for the disk; while it does,
//! calls wait in its inbox and deliveries under way go on. What comes in is handled in
//! `intake`, what comes of deliveries in `outcome`, what the other director tells, told or calls
//! otherwise in `held`, what was said before the start to wait in `waited`, what was told and must
//! outlive a restart in `ledger`, what waits of programs in `programs`.

mod held;
mod intake;
mod ledger;
mod outcome;
mod programs;
mod waited;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use jiff::tz::TimeZone;
use tokio::sync::{OnceCell, mpsc, watch};
use tokio::task::{Id, JoinSet};

use crate::alert::webhook::{Poster, place};
use crate::clock::Clock;
use crate::daemon::outbox::courier::programs::ProgramFiles;
use crate::daemon::outbox::courier::waited::Waited;
use crate::daemon::outbox::door::Door;
use crate::daemon::outbox::group;
use crate::daemon::outbox::jobs::{self, Content, JobReport, MailJob, WebhookJob};
use crate::daemon::outbox::ledger::Ledger;
use crate::daemon::outbox::programs::{Key, Programs};
use crate::daemon::outbox::queue::{Due, Entry, Group, Lane, Queue};
use crate::daemon::outbox::spool::{Destination, Found, Item, Spool, Unread};
use crate::daemon::outbox::{OutboxSettings, Parcel, Ways};
use crate::engine::event::{AlertId, DeliveryOutcome, Event};
use crate::pair::post::{Came, Origin, Stage, Tidings};
use crate::pair::{Hearing, Letter, Post, Speaking};
use crate::time::Mono;

/// Calls taken in one go: they share one wait for the disk.
const BATCH: usize = 100;
/// Groups settled in one go: each may hold [`group::BYTES_MAX`].
const GROUPS: usize = 16;
/// Reports on the way from the jobs.
const REPORTS: usize = 64;
/// Least time between two clean-ups of the queue.
const TIDY_REST: Duration = Duration::from_secs(60);

/// A call that is not finished.
#[derive(Debug)]
struct OpenCall {
    /// Messages of it that wait.
    remaining: usize,
    /// What went wrong with others.
    faults: Vec<String>,
    /// What became of those that the other director was to tell.
    elsewhere: Option<DeliveryOutcome>,
}

/// What a task does, for when it panics.
#[derive(Debug)]
enum Kind {
    Mails(Vec<u64>),
    Webhook(u64),
    Program(Key, Option<AlertId>, u64),
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
    /// Whether anything may leave.
    door: Door,
    zone: TimeZone,
    spool: Spool,
    queue: Queue,
    programs: Programs,
    /// Those of them that are in the spool, and those that are still to be.
    program_files: ProgramFiles,
    /// Contents that are not on the disk (yet).
    memory: BTreeMap<u64, Arc<Item>>,
    /// What was said before this start to wait.
    waited: Waited,
    /// Files to delete with a message, beside its own: parts of a group whose seal the disk
    /// did not take.
    extra_files: BTreeMap<u64, Vec<u64>>,
    /// What of `post` is on the disk.
    ledger: Ledger,
    /// Whether the disk takes that.
    ledger_disk: Disk,
    /// Files to delete: not on the runtime's thread, which a hanging disk must not stop.
    trash: Vec<u64>,
    /// Whether the spool has been read; before, nothing is written to it.
    is_loaded: bool,
    next_number: u64,
    /// Calls that came in.
    came: u64,
    calls: BTreeMap<AlertId, OpenCall>,
    done: VecDeque<Event>,
    poster: Arc<OnceCell<Poster>>,
    jobs: JoinSet<()>,
    kinds: Vec<(Id, Kind)>,
    reports: mpsc::Sender<JobReport>,
    disk: Disk,
    /// What of all this is told, held and forgotten.
    post: Post,
    /// Who tells the other director of it.
    tidings: Option<mpsc::Sender<Tidings>>,
    tidied: Mono,
    is_closing: bool,
}

impl Courier {
    /// Runs until the inbox is closed and nothing more can be done now.
    pub(super) async fn run(mut inbox: mpsc::Receiver<Parcel>, ways: Ways) {
        let Ways {
            mut changes,
            mut door,
            mut hearings,
            taken,
            stock,
            tidings,
            events,
        } = ways;
        let (reports, mut reported) = mpsc::channel(REPORTS);
        let settings = changes.borrow_and_update().clone();
        let mut courier = Self::new(settings, door.clone(), reports);
        courier.tidings.clone_from(&tidings);
        courier.hear(*hearings.borrow_and_update());
        courier.load().await;
        courier.speak(courier.door.speaking());
        let mut batch = Vec::with_capacity(BATCH);
        loop {
            courier.close_in_time();
            courier.advance().await;
            is_now(&stock, courier.stock());
            is_now(&taken, courier.taken());
            if courier.is_closing && courier.is_idle() {
                courier.empty_trash().await;
                courier.say_tidings();
                courier.say_lost_programs();
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
                        courier.programs.hurry();
                    }
                    courier.take(&mut batch).await;
                }
                // Behind the inbox: before anything leaves again, all that came is read.
                () = door.changed() => courier.speak(courier.door.speaking()),
                Ok(()) = hearings.changed() => courier.hear(*hearings.borrow_and_update()),
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
                () = has_room(tidings.as_ref()), if courier.post.has_tidings() => courier.say_tidings(),
                () = courier.clock.sleep_until_some(wake) => {}
            }
        }
    }

    fn new(settings: OutboxSettings, door: Door, reports: mpsc::Sender<JobReport>) -> Self {
        let clock = Clock::start();
        Self {
            clock,
            door,
            zone: TimeZone::system(),
            spool: Spool::new(&settings.spool),
            ledger: Ledger::new(&settings.spool),
            ledger_disk: Disk::Works,
            queue: Queue::new(
                settings.limits.clone(),
                settings.mailer.group_wait(),
                fastrand::Rng::new(),
            ),
            programs: Programs::default(),
            program_files: ProgramFiles::default(),
            memory: BTreeMap::new(),
            waited: Waited::default(),
            extra_files: BTreeMap::new(),
            trash: Vec::new(),
            is_loaded: false,
            // Greater than the numbers of a spool that cannot be read yet.
            next_number: u64::try_from(clock.now().wall.as_micros()).unwrap_or(1),
            came: 0,
            calls: BTreeMap::new(),
            done: VecDeque::new(),
            poster: Arc::default(),
            jobs: JoinSet::new(),
            kinds: Vec::new(),
            reports,
            disk: Disk::Works,
            post: Post::new(clock.now().mono, settings.terms()),
            tidings: None,
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
        // The limit that held programs up may have been raised.
        self.programs.hurry();
        self.post.set_terms(settings.terms());
        let had_peer = self.settings.has_peer;
        self.settings = settings;
        if self.settings.has_peer && !had_peer {
            self.got_peer();
        }
    }

    fn hear(&mut self, hearing: Hearing) {
        self.post.hear(self.clock.now().mono, hearing);
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
            not_now,
            next,
        } = found;
        self.is_loaded = true;
        self.next_number = self.next_number.max(next);
        for (path, why) in corrupt {
            tracing::error!(file = %path.display(), why, "a message in the spool cannot be read and was set aside");
        }
        for (path, why) in not_now {
            tracing::error!(file = %path.display(), why, "a message in the spool cannot be read now and waits for the next start");
        }
        if !items.is_empty() {
            tracing::info!(
                messages = items.len(),
                "messages of before are in the spool"
            );
        }
        let now = self.clock.now();
        for (number, bytes, item) in items {
            self.waited.load(number, &item);
            if let Destination::Program(_) = &item.destination {
                self.load_program(number, bytes, item);
            } else if let Some(entry) = entry_of(&item, bytes, now.mono, Origin::Spool) {
                self.post
                    .put(number, letter_of(&item, &entry, Origin::Spool));
                self.queue.insert(number, entry);
            }
        }
        self.recall().await;
    }

    const fn is_idle(&self) -> bool {
        // Every message that can be delivered now is under way after `advance`, and every program
        // that can be started.
        self.kinds.is_empty()
    }

    /// When there is something to do without a new event.
    fn wake(&self) -> Option<Mono> {
        let disk = match self.disk {
            Disk::Fails(at)
                if !self.is_loaded || !self.memory.is_empty() || self.program_files.has_fresh() =>
            {
                Some(at)
            }
            Disk::Works | Disk::Fails(_) => None,
        };
        let programs = match self.post.speaking() {
            Speaking::Speaks => self.programs.next(self.settings.limits.programs),
            Speaking::Silent => None,
        };
        let ledger = match self.ledger_disk {
            Disk::Fails(at) => Some(at),
            Disk::Works => None,
        };
        [self.queue.next(), disk, ledger, programs]
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
            let forgotten = self.post.tidy(now);
            self.forget(forgotten);
            self.tidied = now.mono;
        }
        let groups = self.queue.groups(now);
        for chunk in groups.chunks(GROUPS) {
            self.settle_groups(chunk).await;
        }
        // The disk may have taken its time.
        self.close_in_time();
        for due in self.queue.due(self.clock.now()) {
            match due {
                Due::Mails(transactions) => self.start_mails(&transactions),
                Due::Webhook(number, left_out) => self.start_webhook(number, left_out),
            }
        }
        self.start_programs();
        self.store_programs().await;
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
            let Some(items) = self.load_group(group).await else {
                continue;
            };
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
            self.post.seal(&group.members);
            self.waited.seal(&group.members);
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

    /// The messages of a group but those that are of no use; none where one of them cannot be
    /// read now: then the whole lane rests, so that its order and its groups stay.
    async fn load_group(&mut self, group: &Group) -> Option<Vec<(u64, Item)>> {
        let mut items = Vec::new();
        for &number in &group.members {
            match jobs::load(&self.spool, &self.content(number)).await {
                Ok(item) => items.push((number, Arc::unwrap_or_clone(item))),
                Err(unread) => {
                    let is_over = matches!(unread, Unread::Useless(_));
                    self.settle(number, jobs::outcome_unread(unread), 0);
                    if !is_over {
                        return None;
                    }
                }
            }
        }
        Some(items)
    }

    fn start_mails(&mut self, transactions: &[Vec<u64>]) {
        let one = |&number: &u64| match &*self.queue.entry(number)?.lane {
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
            door: self.door.clone(),
            zone: self.zone.clone(),
        };
        for &number in transactions.iter().flatten() {
            self.post.leaves(number);
        }
        let kind = Kind::Mails(transactions.concat());
        let id = self.jobs.spawn(job.run(self.reports.clone())).id();
        self.kinds.push((id, kind));
    }

    fn start_webhook(&mut self, number: u64, left_out: u32) {
        self.post.leaves(number);
        let job = WebhookJob {
            number,
            left_out,
            content: self.content(number),
            spool: self.spool.clone(),
            door: self.door.clone(),
            poster: Arc::clone(&self.poster),
            director: self.settings.mailer.host().to_owned(),
            clock: self.clock,
        };
        let id = self.jobs.spawn(job.run(self.reports.clone())).id();
        self.kinds.push((id, Kind::Webhook(number)));
    }
}

/// Tells a count where it is another one.
fn is_now<T: Copy + PartialEq>(count: &watch::Sender<T>, now: T) {
    count.send_if_modified(|count| std::mem::replace(count, now) != now);
}

/// Waits until one more can be told, or nobody listens any more.
async fn has_room(tidings: Option<&mpsc::Sender<Tidings>>) {
    if let Some(tidings) = tidings {
        drop(tidings.reserve().await);
    }
}

/// The entry of an item; none where it tells nothing, which reading has ruled out, or is a
/// program's.
fn entry_of(item: &Item, bytes: u64, since: Mono, origin: Origin) -> Option<Entry> {
    let service: Arc<str> = item.notices.first()?.key().into();
    let lane = match &item.destination {
        Destination::Mail { to, from, .. } => Lane::Mail {
            to: to.clone(),
            from: from.clone(),
        },
        Destination::Webhook(options) => Lane::Webhook {
            url: options.url.as_str().into(),
            service: service.to_string(),
        },
        Destination::Program(_) => return None,
    };
    Some(Entry {
        lane: Arc::new(lane),
        service,
        came: Came::new(origin, item.accepted, since),
        since,
        bytes,
        message_id: item.seal.as_ref().map(|seal| seal.message_id.clone()),
        calls: Vec::new(),
        left_out: 0,
        in_memory: false,
    })
}

/// What the pair has to know of an item.
fn letter_of(item: &Item, entry: &Entry, origin: Origin) -> Letter {
    let events = item.notices.iter();
    Letter {
        to: item.destination.receiver(),
        events: events.map(|notice| notice.event.as_str().into()).collect(),
        accepted: item.accepted,
        since: entry.since,
        origin,
        stage: if item.held { Stage::Held } else { Stage::Own },
    }
}

/// Whom a message is for, as it may be logged.
fn receiver(lane: &Lane) -> String {
    match lane {
        Lane::Mail { to, .. } => to.clone(),
        Lane::Webhook { url, .. } => place(url),
    }
}
