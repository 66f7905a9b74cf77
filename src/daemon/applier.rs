//! The one writer of the table: makes the kernel's table agree with what is wanted.
//!
//! Looks at the table when the wish changes and again every while ([`look_again`]), takes the
//! difference ([`diff`]) and carries it out. Decides nothing: what is wanted is the engine's
//! answer, what is touched follows from it. Every refusal is reported, waited out and tried
//! again; none ends the daemon. Source: architecture "levels, not edges".
//!
//! Who else writes there is in `contest`, where it differs for long in `differences`, what is tried
//! again in `rests`, what the kernel refused in `refusals`, what the log says of it all in `said`.

mod contest;
mod differences;
mod refusals;
mod rests;
mod said;

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot, watch};
use tracing::warn;

use crate::clock::{Clock, Stopwatch};
use crate::daemon::applier::differences::Differences;
use crate::effort::visit;
use crate::engine::event::{Event, KeptStranger, TableLook, TableOutcome};
use crate::ipvs::{Backend, IpvsError, Look, Touch};
use crate::lvs::diff::behind::{Behind, Waits};
use crate::lvs::diff::{diff, missing, owned};
use crate::lvs::{
    Command, ConnectionCounts, Connections, Desired, RealServerKey, ServerWish, VirtualServiceKey,
    Weight,
};
use crate::model::Globals;
use crate::site::Duty;
use crate::time::Mono;
use contest::{Asked, Contests, Left, Place, place};
use refusals::Looks;
use rests::{Backoff, Rests};

/// Least time between two looks: what a person who breaks the table by hand has to wait.
const LOOK_MIN: Duration = Duration::from_secs(1);
/// A look that takes long is repeated less often: at most 1 % of a core goes into looking.
const LOOK_SHARE: u32 = 100;

/// And at most: whoever empties the table has it back after this, however slow a look is, such as
/// by way of ipvsadm on a machine that is busy.
const LOOK_MAX: Duration = Duration::from_secs(60);
/// How long the last change of the table may take when the daemon ends: well below the minute
/// and a half that a service manager waits before it kills.
const LAST_LIMIT: Duration = Duration::from_secs(5);

/// The table; of an observer that of whoever works, which it only reads.
pub(super) fn place_of(globals: &Globals, duty: Duty) -> Backend {
    match duty {
        Duty::Work => Backend::open(globals.ipvs_backend, &globals.statedir),
        Duty::Observe => {
            tracing::warn!(
                "observing: nothing in the table is changed, no alert is sent and no program but \
                 checks is run; the log says what would be done"
            );
            let folder = globals.statedir.parent().unwrap_or(&globals.statedir);
            Backend::open(globals.ipvs_backend, folder).with_touch(Touch::OnlyReads)
        }
    }
}

/// The thread that writes the table. One of its own: the kernel carries out a request within the
/// call that makes it, and has each wait for those of others, such as for one that ends a
/// synchronisation daemon. Checks, alerts and whoever asks for the daemon's health do not wait.
#[derive(Debug)]
pub struct Applier {
    stop: oneshot::Sender<Option<Arc<Desired>>>,
    works: watch::Receiver<Option<Mono>>,
    looked: watch::Receiver<Looks>,
    /// Closed when the thread is at its end.
    ended: oneshot::Receiver<()>,
    connections: watch::Receiver<Arc<Connections>>,
    /// What people want to be put right at once.
    asked: watch::Sender<Asked>,
}

impl Applier {
    /// Starts it. Each new value of `desired` is carried out at once; what came of it is sent
    /// as [`Event::Table`] whenever it differs from what was sent before; connections count as a
    /// difference for real servers wanted with weight 0 only, else a busy director would be told
    /// every second. Nothing is read while nothing is owned. Ends by itself when either channel
    /// is closed.
    ///
    /// # Errors
    ///
    /// The system gives no thread, or nothing to wait with on it.
    pub fn start(
        backend: Backend,
        desired: watch::Receiver<Arc<Desired>>,
        events: mpsc::Sender<Event>,
        clock: Clock,
    ) -> io::Result<Self> {
        let (stop, stopped) = oneshot::channel();
        let (newest, connections) = watch::channel(Arc::default());
        let (working, works) = watch::channel(None);
        let (looks, looked) = watch::channel(Looks::default());
        let (asked, heard) = watch::channel(Asked::default());
        let worker = Worker::new(backend, clock, (working, newest, looks), heard);
        let (over, ended) = oneshot::channel();
        let (begun, is_begun) = std::sync::mpsc::sync_channel(1);
        std::thread::Builder::new()
            .name("applier".to_owned())
            .spawn(move || {
                // Made here: a runtime must not be dropped where another one runs, as it would be
                // with this closure where the system gives no thread.
                let runtime = tokio::runtime::Builder::new_current_thread()
                    .enable_all()
                    .build();
                match runtime {
                    Ok(runtime) => {
                        // Whoever started it waits for this.
                        let _ = begun.send(Ok(()));
                        runtime.block_on(worker.work(desired, events, stopped));
                    }
                    Err(error) => {
                        let _ = begun.send(Err(error));
                    }
                }
                drop(over);
            })?;
        is_begun.recv().map_err(io::Error::other)??;
        Ok(Self {
            stop,
            works,
            looked,
            ended,
            connections,
            asked,
        })
    }

    /// What rests since somebody else writes it too is put right at once, and then again only as
    /// seldom as at the beginning of such a fight: the file was read again.
    pub fn end_all_rests(&self) {
        self.asked.send_modify(Asked::ask_everywhere);
    }

    /// The same for these real servers, each in its virtual service.
    pub fn end_rests(&self, servers: impl Iterator<Item = (VirtualServiceKey, RealServerKey)>) {
        self.asked.send_modify(|asked| {
            for (key, server) in servers {
                asked.ask((key, None));
                asked.ask((key, Some(server)));
            }
        });
    }

    /// The connections of the owned real servers as of the newest look, told or not.
    #[must_use]
    pub fn connections(&self) -> Arc<Connections> {
        Arc::clone(&self.connections.borrow())
    }

    /// Since when it has been at its present call to the kernel, where it is at one.
    #[must_use]
    pub fn works_since(&self) -> Option<Mono> {
        *self.works.borrow()
    }

    /// When the last look at the table began that has ended, with what it took to correct it; also
    /// where there was nothing to look at.
    #[must_use]
    pub fn looked(&self) -> Option<Mono> {
        self.looked.borrow().began
    }

    /// Waits for the end of a look that nobody waited for yet. Cancel safe.
    pub async fn looked_again(&mut self) {
        if self.looked.changed().await.is_err() {
            // Its thread has ended.
            std::future::pending().await
        }
    }

    /// Ends it after the change in progress. The table stays as it is, or is made as `last`
    /// says, once. Waits for no longer than [`LAST_LIMIT`]: a call that hangs in the kernel must
    /// not keep the rest of the daemon from ending in order.
    pub async fn stop(self, last: Option<Arc<Desired>>) {
        self.stop_within(last, LAST_LIMIT).await;
    }

    async fn stop_within(self, last: Option<Arc<Desired>>, limit: Duration) {
        let is_last = last.is_some();
        // It may have ended by itself already.
        let _ = self.stop.send(last);
        // Nothing is ever sent: the other end is dropped.
        if tokio::time::timeout(limit, self.ended).await.is_ok() {
            return;
        }
        if is_last {
            warn!("on_exit was not carried out in time; the table may be as it was");
        } else {
            warn!("a call to the kernel does not end; the daemon ends without waiting for it");
        }
    }
}

/// Where a worker says since when it is at a call, which connections there are, and when its last
/// look began.
type Senders = (
    watch::Sender<Option<Mono>>,
    watch::Sender<Arc<Connections>>,
    watch::Sender<Looks>,
);

struct Worker {
    /// Since when a call goes on.
    working: watch::Sender<Option<Mono>>,
    looks: watch::Sender<Looks>,
    backend: Backend,
    /// For those who ask for connections between two reports.
    newest: watch::Sender<Arc<Connections>>,
    clock: Clock,
    /// What the last look found and left behind.
    seen: Seen,
    /// Refused commands.
    waiting: Rests,
    /// Places that somebody else writes too.
    contests: Contests,
    /// Which of them people want to be put right at once.
    asked: watch::Receiver<Asked>,
    /// The table could not be read.
    unread: Option<Backoff>,
    /// What an observer would change.
    differences: Differences,
}

/// Whether the same is wanted of a place in both.
fn is_wanted_as_before(before: &Desired, now: &Desired, (key, server): &Place) -> bool {
    let (before, now) = match (before.get(key), now.get(key)) {
        (Some(before), Some(now)) => (before, now),
        (None, None) => return true,
        (Some(_), None) | (None, Some(_)) => return false,
    };
    let is_same = |server| {
        before.strangers == now.strangers && before.servers.get(server) == now.servers.get(server)
    };
    before.service == now.service && server.as_ref().is_none_or(is_same)
}

/// Refused commands, to be found among many.
fn by_place(refused: &[(Command, String)]) -> BTreeMap<Place, &(Command, String)> {
    let seen = refused.iter().inspect(|_| visit());
    seen.map(|it| (place(&it.0), it)).collect()
}

/// What the last look found and left behind.
#[derive(Default)]
struct Seen {
    desired: Arc<Desired>,
    /// Without connections.
    outcome: TableOutcome,
    /// Those of the real servers that are watched.
    watched: Connections,
}

impl Worker {
    /// One that has looked at nothing yet.
    fn new(
        backend: Backend,
        clock: Clock,
        (working, newest, looks): Senders,
        asked: watch::Receiver<Asked>,
    ) -> Self {
        Self {
            working,
            looks,
            backend,
            newest,
            clock,
            seen: Seen::default(),
            waiting: Rests::default(),
            contests: Contests::default(),
            asked,
            unread: None,
            differences: Differences::default(),
        }
    }

    async fn work(
        mut self,
        mut desired: watch::Receiver<Arc<Desired>>,
        events: mpsc::Sender<Event>,
        mut stopped: oneshot::Receiver<Option<Arc<Desired>>>,
    ) {
        let last = loop {
            let began = self.clock.now().mono;
            let wanted = Arc::clone(&desired.borrow_and_update());
            let next_look = if wanted.is_empty() && self.seen.desired.is_empty() {
                self.has_looked(began);
                None
            } else {
                let (report, pause) = self.look(wanted).await;
                self.has_looked(began);
                if let Some(outcome) = report {
                    tokio::select! {
                        told = events.send(Event::Table(outcome)) => if told.is_err() {
                            return;
                        },
                        last = &mut stopped => break last,
                    }
                }
                Some(self.clock.now().mono.after(pause))
            };
            // All branches are cancel-safe; a change that comes meanwhile is seen by `changed`.
            tokio::select! {
                changed = desired.changed() => {
                    if changed.is_err() {
                        return;
                    }
                }
                Ok(()) = self.asked.changed() => {}
                () = self.clock.sleep_until_some(next_look) => {}
                last = &mut stopped => break last,
            }
        };
        if let Ok(Some(last)) = last {
            // Nobody is left to be told.
            let _ = self.look(last).await;
        }
    }

    /// One look, with what it takes to correct the table. Answers with the outcome where it
    /// says something new, and with the pause until the next look.
    async fn look(&mut self, desired: Arc<Desired>) -> (Option<TableOutcome>, Duration) {
        let is_new = desired != self.seen.desired;
        self.heed(&desired);
        let watch = Stopwatch::start();
        let listed = self.list(&desired).await;
        let mut took = watch.elapsed();
        let mut rest = Duration::ZERO;
        let outcome = match listed {
            Ok(look) => {
                self.unread = None;
                let mut outcome = self.correct(&desired, look).await;
                outcome.wanted = Arc::clone(&desired);
                // Comparing belongs to looking, mending does not.
                if outcome.applied.is_empty() && outcome.refused.is_empty() {
                    took = watch.elapsed();
                }
                outcome
            }
            Err(error) => {
                let why = error.refusal.to_string();
                let unread = Backoff::new(self.clock.now().mono, why.clone(), self.unread.as_ref());
                rest = unread.wait;
                self.unread = Some(unread);
                TableOutcome {
                    table: TableLook::Unreadable(why),
                    ..TableOutcome::default()
                }
            }
        };
        self.log(&outcome);
        self.log_differences(&outcome);
        let lasting = TableOutcome {
            connections: Arc::default(),
            applied: Vec::new(),
            drift: 0,
            ..outcome.clone()
        };
        self.newest.send_replace(Arc::clone(&outcome.connections));
        let watched = watched(&desired, &outcome.connections);
        let news = is_new
            || !outcome.applied.is_empty()
            || watched != self.seen.watched
            || lasting != self.seen.outcome;
        self.seen = Seen {
            desired,
            outcome: lasting,
            watched,
        };
        (news.then_some(outcome), look_again(took).max(rest))
    }

    /// What is wanted anew, or was asked for, is carried out at once.
    fn heed(&mut self, desired: &Desired) {
        let now = self.clock.now().mono;
        let before = &self.seen.desired;
        if *desired != **before {
            self.unread = None;
            let is_new = |place: &Place| !is_wanted_as_before(before, desired, place);
            self.contests.end_rests(now, is_new);
        }
        self.contests.heed(&self.asked.borrow_and_update(), now);
    }

    async fn list(&mut self, desired: &Desired) -> Result<Look, IpvsError> {
        self.working.send_replace(Some(self.clock.now().mono));
        let look = self
            .backend
            .look_where(|key| desired.contains_key(key))
            .await;
        self.working.send_replace(None);
        let Look {
            table,
            mut connections,
        } = look?;
        let table = owned(desired, table);
        connections.retain(|(key, server), _| {
            let entry = table.get(key);
            entry.is_some_and(|entry| entry.servers.contains_key(server))
        });
        Ok(Look { table, connections })
    }

    async fn correct(&mut self, desired: &Desired, look: Look) -> TableOutcome {
        let Look { table, connections } = look;
        let commands = diff(desired, &table);
        // What was refused is tried again in its own time; what is not needed any more is
        // forgotten.
        self.waiting.keep_needed(&commands);
        let now = self.clock.now().mono;
        self.contests.calm(now);
        let mut rests = BTreeMap::new();
        let (held, commands): (Vec<_>, Vec<_>) = commands.into_iter().partition(|command| {
            let until = self
                .contests
                .holds(command, Left::without(command, &table), now);
            rests.extend(until.map(|until| (place(command), until)));
            until.is_some()
        });
        let drifted = self.drifted(desired, &commands);
        let mut outcome = TableOutcome {
            missing: missing(desired, &table),
            drift: drifted.len(),
            ..TableOutcome::default()
        };
        self.carry_out(desired, &held, commands, &mut outcome).await;
        for command in &outcome.applied {
            if drifted.contains(&place(command)) {
                let left = Left::without(command, &table);
                self.contests.repaired(command, left, now);
            }
        }
        self.contests.settled();
        outcome.contested = self.contests.contested(&rests);
        if let Err(refusal) = self.backend.settle() {
            let why = refusal.to_string();
            for command in std::mem::take(&mut outcome.applied) {
                let now = self.clock.now().mono;
                self.waiting.refused(&command, why.clone(), now);
                self.was_refused();
                outcome.refused.push((command, why.clone()));
            }
        }
        if outcome.applied.is_empty() {
            outcome.table = TableLook::Read(Arc::new(table));
            outcome.connections = Arc::new(connections);
            return outcome;
        }
        match self.list(desired).await {
            Ok(look) => {
                outcome.table = TableLook::Read(Arc::new(look.table));
                outcome.connections = Arc::new(look.connections);
            }
            Err(error) => outcome.table = TableLook::Unreadable(error.refusal.to_string()),
        }
        outcome
    }

    /// Carries out what is not refused; `held` waits, since somebody else writes it too.
    async fn carry_out(
        &mut self,
        desired: &Desired,
        held: &[Command],
        commands: Vec<Command>,
        outcome: &mut TableOutcome,
    ) {
        let mut behind = Behind::new(desired, held);
        let is_observer = self.backend.touch() == Touch::OnlyReads;
        // A reason that holds for all the rest of this look.
        let mut general: Option<String> = None;
        for command in commands {
            match behind.waits(&command) {
                Some(Waits::ForService) => continue,
                // Nobody reads of an observer what stays: it changes nothing at all.
                Some(Waits::ForServer(until_in)) if !is_observer => {
                    if let (key, Some(stranger)) = place(&command) {
                        outcome.kept.push(KeptStranger {
                            virtual_service: key,
                            stranger,
                            until_in,
                        });
                    }
                    continue;
                }
                Some(Waits::ForServer(_)) | None => {}
            }
            let now = self.clock.now().mono;
            let too_early = || self.waiting.not_yet(&command, now);
            let done = match general.clone().or_else(too_early) {
                Some(why) => Err(why),
                None => self.apply(&command, &mut general).await,
            };
            match done {
                Ok(()) => outcome.applied.push(command),
                Err(why) => {
                    behind.is_undone(&command);
                    outcome.refused.push((command, why));
                }
            }
        }
    }

    /// Where the commands repair what others changed: the wish for the place is the same, and
    /// they were neither refused or put off before nor waited for a virtual service.
    fn drifted(&self, desired: &Desired, commands: &[Command]) -> BTreeSet<Place> {
        let before = &self.seen.outcome;
        // An observer leaves every difference as it is.
        let is_observer = self.backend.touch() == Touch::OnlyReads;
        if before.table.read().is_none() || is_observer {
            return BTreeSet::new();
        }
        let refusals = by_place(&before.refused);
        let kept = before.kept.iter();
        let kept: BTreeSet<Place> = kept
            .map(|it| (it.virtual_service, Some(it.stranger)))
            .collect();
        let refused = |command: &Command| {
            let place = place(command);
            let found = refusals.get(&place);
            found.is_some_and(|(it, _)| it == command) || kept.contains(&place)
        };
        let waited = |command: &Command| {
            let key = command.service();
            let service = refusals.get(&(key, None));
            // In the order of their keys.
            before.missing.binary_search(&key).is_ok()
                || service.is_some_and(|(it, _)| matches!(it, Command::AddService(..)))
        };
        commands
            .iter()
            .filter(|command| !refused(command) && !waited(command))
            .map(place)
            .filter(|place| is_wanted_as_before(&self.seen.desired, desired, place))
            .filter(|place| !self.contests.is_asked_for(place))
            .collect()
    }

    async fn apply(
        &mut self,
        command: &Command,
        general: &mut Option<String>,
    ) -> Result<(), String> {
        self.working.send_replace(Some(self.clock.now().mono));
        let applied = self.backend.apply(command).await;
        self.working.send_replace(None);
        match applied {
            Ok(()) => {
                self.waiting.done(command);
                Ok(())
            }
            Err(error) => {
                let why = error.refusal.to_string();
                let now = self.clock.now().mono;
                self.waiting.refused(command, why.clone(), now);
                self.was_refused();
                if error.refusal.is_general() {
                    *general = Some(why.clone());
                }
                Err(why)
            }
        }
    }
}

/// The connections of real servers that get no new ones: somebody waits for their end. Those
/// without any are left out, whether the kernel names them or not.
fn watched(desired: &Desired, connections: &Connections) -> Connections {
    let is_quiesced = |key: &VirtualServiceKey, server: &RealServerKey| {
        let wish = desired.get(key).and_then(|it| it.servers.get(server));
        matches!(wish, Some(ServerWish::In(settings)) if settings.weight == Weight(0))
    };
    let counts = connections.iter();
    counts
        .filter(|((key, server), count)| {
            **count != ConnectionCounts::default() && is_quiesced(key, server)
        })
        .map(|(server, count)| (*server, *count))
        .collect()
}

/// Pause between two looks.
fn look_again(took: Duration) -> Duration {
    took.saturating_mul(LOOK_SHARE).clamp(LOOK_MIN, LOOK_MAX)
}

#[cfg(test)]
mod tests;
