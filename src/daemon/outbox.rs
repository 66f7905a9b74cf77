//! The outbox: takes alert calls, spools what must not be lost, delivers, tries again (D23).
//!
//! | Question | File |
//! |---|---|
//! | what waits, what is due, what goes when it is full | `queue` (pure) |
//! | which events become one mail | `group` (pure) |
//! | which program runs next | `programs` (pure) |
//! | how is a message kept over a crash | `spool` |
//! | how does what was told outlive a restart | `ledger` |
//! | what is held for the other director, and what did that one tell | [`crate::pair::post`] (pure) |
//! | what is done about all that | `courier` |
//! | how is one delivery made | `jobs` |
//! | what does a file of the spool come to | `retold` |
//! | how much waits | `stock` |
//! | may anything leave at this moment | [`crate::pair::lease`] (pure) |
//! | how do deliveries hear of that at once | `door` |
//!
//! Mail and webhooks are delivered at least once: a message whose acceptance was not noticed
//! (a crash at the wrong moment) goes out again, with the same Message-ID and event id. They
//! are tried until they are accepted, refused for good, or [`Limits::give_up_after`] old.
//! While the other director of a pair speaks, all of it is held: nothing leaves, and what it has
//! told is dropped. Programs are run once; one that the system cannot start for now is tried again
//! for as long as a message. What is not started at once is in the spool, too, until it is, and
//! none counts as taken before either: a crash between the start and that word, or the end of its
//! file, runs it twice rather than never. Nothing here decides whether there is an alert: the
//! engine does.

mod courier;
mod door;
mod group;
mod jobs;
mod ledger;
mod programs;
mod queue;
mod retold;
mod spool;
mod stock;

use std::path::PathBuf;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

use crate::alert::exec::ALERT_LIMIT;
use crate::alert::mail::Mailer;
use crate::clock::boot_moment;
use crate::daemon::outbox::courier::Courier;
use crate::daemon::outbox::door::Door;
use crate::engine::event::{AlertCall, DeliveryOutcome, Event, Renumbering};
use crate::model::Globals;
use crate::pair::post::{RENAMED_MAX, Terms, Tidings};
use crate::pair::talk;
use crate::pair::talk::delivered::DELIVERED_MAX;
use crate::pair::{Hearing, Lease, Speaking};
use crate::site::Duty;
use crate::time::Mono;

pub use crate::daemon::outbox::retold::retold;
pub use crate::daemon::outbox::stock::Stock;

/// What the configuration says about delivery.
#[derive(Clone, Debug)]
pub struct OutboxSettings {
    /// `STATEDIR/spool`. A reload does not move it.
    pub spool: PathBuf,
    /// The mail globals (D24).
    pub mailer: Mailer,
    /// Bounds and times.
    pub limits: Limits,
    /// What was held for longer, and the other director did not say anything about, counts as
    /// told by it; none: nothing does.
    pub held_most: Option<Duration>,
    /// Whether there is another director that hears of what was delivered. It is remembered, and
    /// written down, in any case: a reload may bring one in the middle of an outage.
    pub has_peer: bool,
}

impl OutboxSettings {
    /// Those of a configuration.
    #[must_use]
    pub fn new(globals: &Globals) -> Self {
        Self {
            spool: globals.statedir.join("spool"),
            mailer: Mailer::new(globals.mail.clone()),
            limits: Limits::default(),
            held_most: Some(Terms::default().held_most),
            has_peer: globals.peer.address.is_some(),
        }
    }

    /// The times by which held messages go.
    fn terms(&self) -> Terms {
        let give_up_after = self.limits.give_up_after;
        Terms {
            held_most: self.held_most.unwrap_or(give_up_after),
            give_up_after,
        }
    }
}

/// Bounds and times of the outbox.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Messages in the spool; beyond, repeats collapse (D23).
    pub messages: usize,
    /// Bytes in the spool; beyond, repeats collapse (D23). Programs that wait may take as much
    /// again; beyond, they wait in memory alone.
    pub bytes: u64,
    /// Messages kept in memory while the disk takes none.
    pub memory_messages: usize,
    /// Their bytes.
    pub memory_bytes: u64,
    /// Rest before the disk is tried again.
    pub disk_rest: Duration,
    /// Rest after the first failed attempt; doubled with each further one.
    pub retry_first: Duration,
    /// Longest rest between two attempts.
    pub retry_most: Duration,
    /// Older messages are given up, once they have been tried a few times.
    pub give_up_after: Duration,
    /// Mails to one recipient in an hour; beyond, digests (D25).
    pub mails_per_hour: usize,
    /// Time that a digest collects.
    pub digest_wait: Duration,
    /// Alert programs at once.
    pub programs: usize,
    /// Alert programs that wait.
    pub program_queue: usize,
    /// Time limit of one alert program.
    pub program_limit: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            messages: 10_000,
            bytes: 100_000_000,
            // A thousand alerts of usual size; the daemon's own memory is the lesser part.
            memory_messages: 1_000,
            memory_bytes: 10_000_000,
            // A full disk is tried six times a minute, and used soon after it has room again.
            disk_rest: Duration::from_secs(10),
            // A relay that restarts is back within seconds; a longer outage is not hammered.
            retry_first: Duration::from_secs(5),
            retry_most: Duration::from_secs(600),
            give_up_after: Terms::default().give_up_after,
            mails_per_hour: 60,
            // Six more mails an hour, and no recovery is told later than this.
            digest_wait: Duration::from_secs(600),
            // A process each: a storm of alerts leaves the machine to the checks.
            programs: 32,
            // As many as the spool holds of messages; they are in memory, too, a few kB each.
            program_queue: 10_000,
            program_limit: ALERT_LIMIT,
        }
    }
}

/// Calls between the daemon's loop and the outbox: as many as the spool holds, so that the
/// bound is only met when the disk hangs.
const INBOX: usize = 10_000;

/// What goes to the task.
#[derive(Debug)]
enum Parcel {
    /// A call, and who was to speak when it was sent.
    Call(Box<AlertCall>, Speaking),
    /// What the other director has told.
    Told(Vec<talk::Delivery>),
    /// Outages that have another number from now on.
    Renumber(Vec<Renumbering>),
}

/// What found no room in the inbox: refused, one outage would be told under two ids, or one message
/// twice.
#[derive(Debug, Default)]
struct Untaken {
    renumberings: Vec<Renumbering>,
    told: Vec<talk::Delivery>,
}

/// Drops the oldest of what is beyond `most`.
fn bound<T>(all: &mut Vec<T>, most: usize) {
    all.drain(..all.len().saturating_sub(most));
}

/// What connects the task with the others.
struct Ways {
    changes: watch::Receiver<OutboxSettings>,
    door: Door,
    hearings: watch::Receiver<Hearing>,
    /// How many calls were taken.
    taken: watch::Sender<u64>,
    /// What waits.
    stock: watch::Sender<Stock>,
    tidings: Option<mpsc::Sender<Tidings>>,
    events: mpsc::Sender<Event>,
}

/// The handle to the outbox. Dropped, it stops at once, as in a crash: what is in the spool
/// stays there, programs are killed.
#[derive(Debug)]
pub struct Outbox {
    parcels: mpsc::Sender<Parcel>,
    untaken: Untaken,
    lease: watch::Sender<Lease>,
    hearing: watch::Sender<Hearing>,
    stock: watch::Receiver<Stock>,
    taken: watch::Receiver<u64>,
    settings: watch::Sender<OutboxSettings>,
    events: mpsc::Sender<Event>,
    duty: Duty,
    task: JoinHandle<()>,
}

impl Outbox {
    /// Starts it in the current runtime. What the spool holds from before is delivered first;
    /// the end of each call comes as [`Event::AlertDone`].
    #[must_use]
    pub fn start(settings: OutboxSettings, events: mpsc::Sender<Event>) -> Self {
        Self::start_as(settings, Speaking::Speaks, None, events)
    }

    /// The same, holding everything at first or not. What the other director is to hear is said to
    /// `tidings`, in order, and waits where that is full.
    #[must_use]
    pub fn start_as(
        settings: OutboxSettings,
        speaking: Speaking,
        tidings: Option<mpsc::Sender<Tidings>>,
        events: mpsc::Sender<Event>,
    ) -> Self {
        Self::with(Duty::Work, settings, speaking, events, |inbox, mut ways| {
            ways.tidings = tidings;
            tokio::spawn(Courier::run(inbox, ways))
        })
    }

    /// That of a daemon that is there for this.
    pub(super) fn of(
        duty: Duty,
        settings: OutboxSettings,
        speaking: Speaking,
        tidings: mpsc::Sender<Tidings>,
        events: &mpsc::Sender<Event>,
    ) -> Self {
        match duty {
            Duty::Work => Self::start_as(settings, speaking, Some(tidings), events.clone()),
            Duty::Observe => Self::observe(settings, events.clone()),
        }
    }

    /// One that says what would be sent, for an observer: nobody is behind it who reads a spool or
    /// delivers anything.
    #[must_use]
    pub fn observe(settings: OutboxSettings, events: mpsc::Sender<Event>) -> Self {
        let speaking = Speaking::Speaks;
        Self::with(Duty::Observe, settings, speaking, events, |_, _| {
            tokio::spawn(async {})
        })
    }

    fn with(
        duty: Duty,
        settings: OutboxSettings,
        speaking: Speaking,
        events: mpsc::Sender<Event>,
        start: impl FnOnce(mpsc::Receiver<Parcel>, Ways) -> JoinHandle<()>,
    ) -> Self {
        let (parcels, inbox) = mpsc::channel(INBOX);
        let (settings, changes) = watch::channel(settings);
        let (lease, leases) = watch::channel(Lease::of(speaking));
        let (hearing, hears) = watch::channel(Hearing::default());
        let (says, taken) = watch::channel(0);
        let (counts, stock) = watch::channel(Stock::default());
        let ways = Ways {
            changes,
            door: Door::new(leases),
            hearings: hears,
            taken: says,
            stock: counts,
            tidings: None,
            events: events.clone(),
        };
        let task = start(inbox, ways);
        Self {
            parcels,
            untaken: Untaken::default(),
            lease,
            hearing,
            stock,
            taken,
            settings,
            events,
            duty,
            task,
        }
    }

    /// How many calls it took so far: they are in the spool or, where the disk takes nothing,
    /// in memory, and programs are that or started. The sender is gone when the outbox is.
    #[must_use]
    pub fn taken(&self) -> watch::Receiver<u64> {
        self.taken.clone()
    }

    /// Takes one call. Never waits; a call for which there is no room is given up, loudly, and
    /// the answer is false. So it is where everything is only said.
    pub fn send(&self, call: AlertCall) -> bool {
        match self.duty {
            Duty::Work => self.put(call),
            Duty::Observe => {
                self.only_say(&call);
                false
            }
        }
    }

    fn put(&self, call: AlertCall) -> bool {
        let speaking = self.lease.borrow().speaking(boot_moment());
        let parcel = Parcel::Call(Box::new(call), speaking);
        let result = self.parcels.try_send(parcel);
        let is_sent = result.is_ok();
        if let Err(refused) = result
            && let Parcel::Call(call, _) = refused.into_inner()
        {
            let why = "the outbox is full or has ended";
            tracing::error!(group = %call.group, service = %call.name, alert = %call.command.name, why, "alert given up");
            // Without room there either, the engine hears nothing, which it can bear.
            let _ = self.events.try_send(Event::AlertDone {
                alert: call.id,
                delivery: DeliveryOutcome::GivenUp(why.to_owned()),
            });
        }
        is_sent
    }

    /// From now on people are told, or everything is held for the other director. What was taken
    /// before by one that spoke stays its own.
    pub fn speak(&self, speaking: Speaking) {
        self.lease
            .send_if_modified(|lease| std::mem::replace(&mut lease.speaking, speaking) != speaking);
    }

    /// Whether people are to be told, as it was said last.
    #[must_use]
    pub fn speaking(&self) -> Speaking {
        self.lease.borrow().speaking
    }

    /// Whether people are told at this moment: not while the lease is over.
    #[must_use]
    pub fn speaking_now(&self) -> Speaking {
        self.lease.borrow().speaking(boot_moment())
    }

    /// Messages may leave until then, by [`boot_moment`]; none: at any time.
    /// Later on everything is held until there is another such word.
    pub fn lease(&self, until: Option<Mono>) {
        self.lease.send_if_modified(|lease| {
            // A new lease is always told: the one before may be over, and all be held.
            let is_news = until.is_some() || lease.until.is_some();
            lease.until = until;
            is_news
        });
    }

    /// From now on the other director says what it has told, or does not.
    pub fn hear(&self, hearing: Hearing) {
        self.hearing.send_replace(hearing);
    }

    /// The other director has told these: they are dropped here, where they wait, and count as
    /// delivered, also where they come only later. Their ids are ours.
    pub fn told_elsewhere(&mut self, told: Vec<talk::Delivery>) {
        self.untaken.told.extend(told);
        bound(&mut self.untaken.told, DELIVERED_MAX);
        self.hand_over();
    }

    /// These outages have another number from now on: what waits of them, and what comes later
    /// under the old one, is told under the new one.
    pub fn renumber(&mut self, renumberings: Vec<Renumbering>) {
        self.untaken.renumberings.extend(renumberings);
        bound(&mut self.untaken.renumberings, RENAMED_MAX);
        self.hand_over();
    }

    /// Hands over what found no room before; to be called now and then. Whether it comes before or
    /// after calls of the same outages makes no difference.
    pub fn hand_over(&mut self) {
        for parcel in self.parcels_untaken() {
            match (self.parcels.try_send(parcel), &mut self.untaken) {
                (Ok(()), _) => {}
                (Err(refused), untaken) => match refused.into_inner() {
                    Parcel::Renumber(renumberings) => untaken.renumberings = renumberings,
                    Parcel::Told(told) => untaken.told = told,
                    Parcel::Call(..) => {}
                },
            }
        }
    }

    /// What found no room, taken out.
    fn parcels_untaken(&mut self) -> Vec<Parcel> {
        let Untaken { renumberings, told } = std::mem::take(&mut self.untaken);
        let renumberings = (!renumberings.is_empty()).then_some(Parcel::Renumber(renumberings));
        let told = (!told.is_empty()).then_some(Parcel::Told(told));
        renumberings.into_iter().chain(told).collect()
    }

    /// Says what would be sent and sends nothing. The call is over with that.
    fn only_say(&self, call: &AlertCall) {
        tracing::info!(
            group = %call.group,
            service = %call.name,
            alert = %call.command.name,
            summary = call.summary,
            "observing: this alert would be sent"
        );
        // Without room the engine hears nothing, which it can bear.
        let _ = self.events.try_send(Event::AlertDone {
            alert: call.id,
            delivery: DeliveryOutcome::Observed,
        });
    }

    /// From now on these settings hold; a relay that was away is tried at once.
    pub fn reload(&self, settings: OutboxSettings) {
        let _ = self.settings.send(settings);
    }

    /// Takes no more calls, waits at most `limit` for what is under way or due, and leaves
    /// the rest in the spool.
    pub async fn close(self, limit: Duration) {
        let mut outbox = self;
        let now = boot_moment();
        outbox
            .lease
            .send_modify(|lease| lease.extend(now, now.after(limit)));
        for parcel in outbox.parcels_untaken() {
            let _ = outbox.parcels.send_timeout(parcel, limit).await;
        }
        let (nothing, _) = mpsc::channel(1);
        drop(std::mem::replace(&mut outbox.parcels, nothing));
        if tokio::time::timeout(limit, &mut outbox.task).await.is_err() {
            tracing::warn!(
                limit_s = limit.as_secs(),
                "deliveries under way were cut off"
            );
        }
    }
}

impl Drop for Outbox {
    fn drop(&mut self) {
        self.task.abort();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[tokio::test]
    async fn an_observer_says_its_calls_and_has_no_spool() {
        let folder = tempfile::tempdir().unwrap();
        let (events, mut inbox) = mpsc::channel(1);
        let text = format!("statedir = {}\n", folder.path().display());
        let (model, _) = crate::config::load_text(&text).unwrap();
        let outbox = Outbox::observe(OutboxSettings::new(&model.globals), events);
        let call = crate::alert::notice::tests::call();
        let alert = call.id;
        assert!(!outbox.send(call), "no record may wait for it");
        let Some(Event::AlertDone {
            alert: over,
            delivery,
        }) = inbox.recv().await
        else {
            panic!("nothing is said of the call")
        };
        assert_eq!((over, delivery), (alert, DeliveryOutcome::Observed));
        outbox.close(ALERT_LIMIT).await;
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[tokio::test]
    async fn what_an_inbox_has_no_room_for_waits_and_is_handed_over_later() {
        let (events, _inbox) = mpsc::channel(1);
        let (model, _) = crate::config::load_text("statedir = /nonexistent/lvsmon\n").unwrap();
        let settings = OutboxSettings::new(&model.globals);
        let mut outbox = Outbox::start(settings, events);
        // Nobody reads the inbox, and it is full.
        outbox.task.abort();
        let (parcels, mut inbox) = mpsc::channel(1);
        outbox.parcels = parcels;
        outbox.parcels.try_send(Parcel::Told(Vec::new())).unwrap();
        let renumbering = |number: usize| Renumbering {
            from: format!("g/s/{number}"),
            to: "g/s/1".to_owned(),
        };
        let told = |number: usize| talk::Delivery {
            event: format!("g/s/{number}/up/1").into(),
            to: Arc::from("ops@x"),
        };
        outbox.renumber(vec![renumbering(3)]);
        outbox.told_elsewhere(vec![told(1)]);
        outbox.renumber(vec![renumbering(2)]);
        outbox.hand_over();
        inbox.recv().await.unwrap();
        outbox.hand_over();
        let Some(Parcel::Renumber(taken)) = inbox.recv().await else {
            panic!("no renumberings")
        };
        assert_eq!(taken, [renumbering(3), renumbering(2)]);
        outbox.hand_over();
        let Some(Parcel::Told(taken)) = inbox.recv().await else {
            panic!("no deliveries")
        };
        assert_eq!(taken, [told(1)]);
        outbox.hand_over();
        assert!(inbox.try_recv().is_err());
        // Bounded, the oldest go.
        outbox.parcels.try_send(Parcel::Told(Vec::new())).unwrap();
        outbox.renumber((0..=RENAMED_MAX).map(renumbering).collect());
        outbox.told_elsewhere((0..=DELIVERED_MAX).map(told).collect());
        assert_eq!(outbox.untaken.renumberings.len(), RENAMED_MAX);
        assert_eq!(outbox.untaken.renumberings[0], renumbering(1));
        assert_eq!(outbox.untaken.told.len(), DELIVERED_MAX);
    }
}
