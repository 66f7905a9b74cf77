//! The one writer of the table: makes the kernel's table agree with what is wanted.
//!
//! Looks at the table when the wish changes and again every while ([`look_again`]), takes the
//! difference ([`diff`]) and carries it out. Decides nothing: what is wanted is the engine's
//! answer, what is touched follows from it. Every refusal is reported, waited out and tried
//! again; none ends the daemon. Source: architecture "levels, not edges".

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinSet;
use tracing::{error, info, warn};

use crate::clock::{Clock, Stopwatch};
use crate::engine::event::{Event, TableOutcome};
use crate::ipvs::{Backend, IpvsError};
use crate::lvs::diff::{diff, missing, owned};
use crate::lvs::{Command, Desired, Table};
use crate::time::Mono;

/// Least time between two looks: what a person who breaks the table by hand has to wait.
const LOOK_MIN: Duration = Duration::from_secs(1);
/// A look that takes long is repeated less often: at most 1 % of a core goes into looking.
const LOOK_SHARE: u32 = 100;
/// First wait after a refusal; doubled with each further one.
const BACKOFF_MIN: Duration = Duration::from_secs(1);
/// Longest wait after a refusal: a module that was loaded late is noticed within this time.
const BACKOFF_MAX: Duration = Duration::from_secs(30);

/// The task that writes the table.
#[derive(Debug)]
pub struct Applier {
    stop: oneshot::Sender<()>,
    tasks: JoinSet<()>,
}

impl Applier {
    /// Starts it. Each new value of `desired` is carried out at once; what came of it is sent
    /// as [`Event::Table`] whenever it differs from what was sent before. Nothing is read
    /// while nothing is owned. Ends by itself when either channel is closed.
    #[must_use]
    pub fn start(
        backend: Backend,
        desired: watch::Receiver<Arc<Desired>>,
        events: mpsc::Sender<Event>,
        clock: Clock,
    ) -> Self {
        let (stop, stopped) = oneshot::channel();
        let worker = Worker {
            backend,
            clock,
            seen: Seen::default(),
            waiting: Vec::new(),
        };
        let mut tasks = JoinSet::new();
        tasks.spawn(worker.work(desired, events, stopped));
        Self { stop, tasks }
    }

    /// Ends it after the change in progress; the table stays as it is.
    pub async fn stop(mut self) {
        // It may have ended by itself already.
        let _ = self.stop.send(());
        while self.tasks.join_next().await.is_some() {}
    }
}

struct Worker {
    backend: Backend,
    clock: Clock,
    /// What the last look found and left behind.
    seen: Seen,
    /// Refused commands and the table that could not be read.
    waiting: Vec<Waiting>,
}

/// What the last look found and left behind.
#[derive(Default)]
struct Seen {
    desired: Arc<Desired>,
    outcome: TableOutcome,
}

/// Something that did not work and is tried again later.
struct Waiting {
    /// None for reading the table.
    command: Option<Command>,
    why: String,
    due: Mono,
    wait: Duration,
}

impl Worker {
    async fn work(
        mut self,
        mut desired: watch::Receiver<Arc<Desired>>,
        events: mpsc::Sender<Event>,
        mut stopped: oneshot::Receiver<()>,
    ) {
        loop {
            let wanted = Arc::clone(&desired.borrow_and_update());
            let next_look = if wanted.is_empty() && self.seen.desired.is_empty() {
                None
            } else {
                let (report, pause) = self.look(wanted).await;
                if let Some(outcome) = report {
                    let told = tokio::select! {
                        told = events.send(Event::Table(outcome)) => told.is_ok(),
                        _ = &mut stopped => false,
                    };
                    if !told {
                        return;
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
                () = sleep_until(self.clock, next_look) => {}
                _ = &mut stopped => return,
            }
        }
    }

    /// One look, with what it takes to correct the table. Answers with the outcome where it
    /// says something new, and with the pause until the next look.
    async fn look(&mut self, desired: Arc<Desired>) -> (Option<TableOutcome>, Duration) {
        let is_new = desired != self.seen.desired;
        if is_new {
            self.waiting.clear();
        }
        let watch = Stopwatch::start();
        let listed = self.list(&desired).await;
        let pause = look_again(watch.elapsed());
        let outcome = match listed {
            Ok(table) => {
                self.waiting.retain(|waiting| waiting.command.is_some());
                self.correct(&desired, is_new, table).await
            }
            Err(error) => self.unreadable(&error),
        };
        let pause = self
            .waiting
            .iter()
            .filter(|waiting| waiting.command.is_none())
            .map(|waiting| waiting.wait)
            .fold(pause, Duration::max);
        self.log(&outcome);
        let lasting = TableOutcome {
            applied: Vec::new(),
            drift: 0,
            ..outcome.clone()
        };
        let news = is_new || !outcome.applied.is_empty() || lasting != self.seen.outcome;
        self.seen = Seen {
            desired,
            outcome: lasting,
        };
        (news.then_some(outcome), pause)
    }

    async fn list(&mut self, desired: &Desired) -> Result<Table, IpvsError> {
        let table = self.backend.list_where(|key| desired.contains_key(key));
        Ok(owned(desired, table.await?))
    }

    fn unreadable(&mut self, error: &IpvsError) -> TableOutcome {
        let why = error.refusal.to_string();
        self.put_off(None, why.clone());
        TableOutcome {
            unreadable: Some(why),
            ..TableOutcome::default()
        }
    }

    async fn correct(&mut self, desired: &Desired, is_new: bool, table: Table) -> TableOutcome {
        let commands = diff(desired, &table);
        // What was refused is tried again in its own time; what is not needed any more is forgotten.
        self.waiting.retain(|waiting| {
            commands
                .iter()
                .any(|it| Some(it) == waiting.command.as_ref())
        });
        let mut outcome = TableOutcome {
            missing: missing(desired, &table),
            drift: self.drift(is_new, &commands),
            ..TableOutcome::default()
        };
        let mut blocked = BTreeSet::new();
        // A reason that holds for all the rest of this look.
        let mut general: Option<String> = None;
        for command in commands {
            // Without its virtual service a real server would only be refused once more.
            if blocked.contains(&command.service()) {
                continue;
            }
            let done = match general.clone().or_else(|| self.not_yet(&command)) {
                Some(why) => Err(why),
                None => self.apply(&command, &mut general).await,
            };
            match done {
                Ok(()) => outcome.applied.push(command),
                Err(why) => {
                    if matches!(command, Command::AddService(..)) {
                        blocked.insert(command.service());
                    }
                    outcome.refused.push((command, why));
                }
            }
        }
        if outcome.applied.is_empty() {
            outcome.actual = Some(Arc::new(table));
            return outcome;
        }
        match self.list(desired).await {
            Ok(table) => outcome.actual = Some(Arc::new(table)),
            Err(error) => outcome.unreadable = Some(error.refusal.to_string()),
        }
        outcome
    }

    /// How many of the commands repair what others changed: the wish is the same, and they
    /// were neither refused before nor waited for a virtual service.
    fn drift(&self, is_new: bool, commands: &[Command]) -> usize {
        let before = &self.seen.outcome;
        if is_new || before.actual.is_none() {
            return 0;
        }
        let refused = |command: &Command| before.refused.iter().any(|(it, _)| it == command);
        let waited = |command: &Command| {
            let key = command.service();
            let blocked =
                |it: &Command| matches!(it, Command::AddService(..)) && it.service() == key;
            before.missing.contains(&key) || before.refused.iter().any(|(it, _)| blocked(it))
        };
        commands
            .iter()
            .filter(|command| !refused(command) && !waited(command))
            .count()
    }

    /// The reason of the last refusal, where it is too early to try again.
    fn not_yet(&self, command: &Command) -> Option<String> {
        let now = self.clock.now().mono;
        self.waiting
            .iter()
            .find(|waiting| waiting.command.as_ref() == Some(command) && waiting.due > now)
            .map(|waiting| waiting.why.clone())
    }

    async fn apply(
        &mut self,
        command: &Command,
        general: &mut Option<String>,
    ) -> Result<(), String> {
        match self.backend.apply(command).await {
            Ok(()) => {
                self.waiting
                    .retain(|waiting| waiting.command.as_ref() != Some(command));
                Ok(())
            }
            Err(error) => {
                let why = error.refusal.to_string();
                self.put_off(Some(command.clone()), why.clone());
                if error.refusal.is_general() {
                    *general = Some(why.clone());
                }
                Err(why)
            }
        }
    }

    fn put_off(&mut self, command: Option<Command>, why: String) {
        let now = self.clock.now().mono;
        let old = self.waiting.iter().find(|it| it.command == command);
        let wait = old.map_or(BACKOFF_MIN, |old| {
            old.wait.saturating_mul(2).min(BACKOFF_MAX)
        });
        self.waiting.retain(|it| it.command != command);
        self.waiting.push(Waiting {
            command,
            why,
            due: now.after(wait),
            wait,
        });
    }

    /// One line for each change, and for each trouble that is new.
    fn log(&self, outcome: &TableOutcome) {
        let before = &self.seen.outcome;
        match (&outcome.unreadable, &before.unreadable) {
            (Some(why), old) if old.as_ref() != Some(why) => {
                error!(%why, "cannot read the virtual server table");
            }
            (None, Some(_)) => info!("the virtual server table can be read again"),
            _ => {}
        }
        for command in &outcome.applied {
            info!(%command, "table changed");
        }
        if outcome.drift > 0 {
            let changes = outcome.drift;
            warn!(changes, "the table was changed by others; put right again");
        }
        for (command, why) in &outcome.refused {
            if !before
                .refused
                .iter()
                .any(|(it, old)| it == command && old == why)
            {
                error!(%command, %why, "the kernel refused a change of the table");
            }
        }
        for key in &outcome.missing {
            if !before.missing.contains(key) {
                warn!(
                    virtual_service = %key,
                    "virtual service is not in the table; its real servers wait until whoever \
                     makes it has made it, or -B lets lvsmon make it",
                );
            }
        }
        for key in before
            .missing
            .iter()
            .filter(|_| outcome.unreadable.is_none())
        {
            if !outcome.missing.contains(key) {
                info!(virtual_service = %key, "virtual service is in the table");
            }
        }
    }
}

/// Pause between two looks.
fn look_again(took: Duration) -> Duration {
    LOOK_MIN.max(took.saturating_mul(LOOK_SHARE))
}

async fn sleep_until(clock: Clock, moment: Option<Mono>) {
    match moment {
        Some(moment) => clock.sleep_until(moment).await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests;
