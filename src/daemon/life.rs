//! How does a daemon start, and live until it is told to stop?
//!
//! Signals are taken from the first moment on, so that none kills a daemon that still reads its
//! file. A start that cannot do its work ends at once with a clear error: a wrong file, a state
//! folder in use or not readable. Everything that may come later (no IPVS in the kernel, no
//! relay, a full disk) is said and tried again while the checks go on. How a reload and a stop go
//! is in `reload` and `stop`.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use jiff::tz::TimeZone;
use tokio::sync::{mpsc, watch};

use crate::clock::Clock;
use crate::daemon::applier::{self, Applier};
use crate::daemon::boot::{self, Boot};
use crate::daemon::chronicle::{self, Chronicle};
use crate::daemon::claim::Claim;
use crate::daemon::clients::{self, ClientPort, ClientPortError};
use crate::daemon::control::{ASKS_MAX, Ask};
use crate::daemon::health::{self, Hang, Watchdog};
use crate::daemon::histories::{self, Histories};
use crate::daemon::metrics::Metrics;
use crate::daemon::mistakes::{log_mistakes, log_warnings};
use crate::daemon::monremote::Remote;
use crate::daemon::names::NameKeeper;
use crate::daemon::outbox::{Outbox, OutboxSettings};
use crate::daemon::peer::Peer;
use crate::daemon::permissions::{Permissions, PermissionsError};
use crate::daemon::pidfile::PidFile;
use crate::daemon::readings::Readings;
use crate::daemon::role::{self, RoleSources, Takeover};
use crate::daemon::runner::Runner;
use crate::daemon::scribe::Scribe;
use crate::daemon::signals;
use crate::daemon::statefiles::StateReads;
use crate::daemon::store::{Lock, Opened, Store, StoreError};
use crate::daemon::threads;
use crate::daemon::traps::{self, Traps, TrapsError};
use crate::daemon::tripwire::Tripwire;
use crate::daemon::{Daemon, INBOX_MAX};
use crate::engine::Engine;
use crate::engine::event::{Event, TableOutcome, Wish};
use crate::engine::saved::{Forgotten, StateFile};
use crate::lvs::Desired;
use crate::model::Globals;
use crate::monitor::Tools;
use crate::names::Names;
use crate::program;
use crate::protocol::known_file::KnownFiles;
use crate::site::{self, LoadOptions, Loaded, Manner};
use crate::text::counted;

/// Names that a start lists of what it does not keep; how many there are is said.
const FORGOTTEN_MAX: usize = 20;

/// How long a stop waits for work that cannot be told to end: nothing depends on it any more.
const BLOCKING_LIMIT: Duration = Duration::from_secs(1);

/// How long each look for signals before the start takes: they are taken in at the first turn.
const SIGNAL_LOOK: Duration = Duration::from_millis(1);

/// Deliveries on the way to the peer's link; more of them wait in the outbox.
const TOLD_MAX: usize = 1_024;

/// Why a daemon does not start.
#[derive(Debug, thiserror::Error)]
pub enum DaemonError {
    /// The file has mistakes; they were logged.
    #[error("{} has {}; lvsmon check shows them all", .0.display(), counted(*.1, "mistake"))]
    Config(PathBuf, usize),
    /// The state folder is in use or cannot be read.
    #[error(transparent)]
    State(#[from] StoreError),
    /// Somebody deleted the lock of a running daemon, and another one was started.
    #[error(
        "another lvsmon was started after the lock of this one was deleted, and this one ends: {0}"
    )]
    Replaced(StoreError),
    /// The authfile or the userfile is missing or wrong.
    #[error(transparent)]
    Permissions(#[from] PermissionsError),
    /// Nobody could send traps.
    #[error(transparent)]
    Traps(#[from] TrapsError),
    /// Nobody could ask.
    #[error(transparent)]
    ClientPort(#[from] ClientPortError),
    /// The system does not let us start.
    #[error("cannot start: {}{}", .0, program::shortage(.0))]
    System(#[from] std::io::Error),
}

/// How a daemon is started.
#[derive(Debug, Default)]
pub struct StartOptions {
    /// The configuration.
    pub config: PathBuf,
    /// How it is read, at every reload too (C-26).
    pub load: LoadOptions,
    /// No run starts before a client says `start` (mon's `-S`).
    pub is_stopped: bool,
    /// Which of mon's state files are loaded (mon's `-l`).
    pub load_state: Vec<StateFile>,
    /// Called when every port is open and the checks begin.
    pub ready: Option<Ready>,
}

/// What is to be done once when the daemon is ready.
pub struct Ready(Box<dyn FnOnce(&Globals)>);

impl Ready {
    /// Wraps what is to be done.
    pub fn new(what: impl FnOnce(&Globals) + 'static) -> Self {
        Self(Box::new(what))
    }
}

impl fmt::Debug for Ready {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Ready")
    }
}

/// What a daemon can be told from outside, beside requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Signal {
    /// SIGTERM, SIGINT: leave; the second one does not wait for alerts.
    Stop,
    /// SIGHUP: read the file again.
    Reload,
}

/// Runs a daemon until a signal of the process ends it. Blocks the thread; call it outside of any
/// runtime.
///
/// # Errors
///
/// It could not start. What goes wrong later is logged and tried again.
pub fn run(options: StartOptions) -> Result<(), DaemonError> {
    program::keep_ends()?;
    let runtime = threads::runtime()?;
    // Before anything that takes time: a signal that nobody handles would end the process. What
    // comes until the loop turns waits for it.
    let leaving = Arc::new(AtomicBool::new(false));
    let signals = {
        let _context = runtime.enter();
        signals::of_process(Arc::clone(&leaving))?
    };
    // On this thread, unlike a reload: what another one frees stays in a heap of its own, which
    // would cost more than the configuration itself.
    let is_over = || {
        // Nothing else turns the runtime yet, which knows of the signals.
        runtime.block_on(async { tokio::time::sleep(SIGNAL_LOOK).await });
        leaving.load(Ordering::Relaxed)
    };
    let loaded = match site::load_unless(&options.config, &options.load, &is_over) {
        Ok(loaded) => loaded,
        Err(_) if leaving.load(Ordering::Relaxed) => {
            tracing::info!("stopped before the configuration was read");
            return Ok(());
        }
        Err(mistakes) => {
            let count = log_mistakes(&mistakes);
            return Err(DaemonError::Config(options.config, count));
        }
    };
    let statedir = &loaded.model.globals.statedir;
    let is_new = !statedir.exists();
    let lock = Lock::take(statedir)?;
    if is_new {
        // A misspelt one would be made in silence, and nothing that was kept be found.
        tracing::warn!(statedir = %statedir.display(), "state folder was not there and is made");
    }
    let result = runtime.block_on(live(options, loaded, signals, lock, leaving));
    // Blocking look-ups of names may hang for a while in the system's resolver.
    runtime.shutdown_timeout(BLOCKING_LIMIT);
    result.map(drop)
}

/// The lock comes back, so that it is held until all threads have ended.
async fn live(
    mut options: StartOptions,
    loaded: Loaded,
    signals: mpsc::Receiver<Signal>,
    lock: Lock,
    leaving: Arc<AtomicBool>,
) -> Result<Lock, DaemonError> {
    let statedir = loaded.model.globals.statedir.clone();
    let (asks, asks_inbox) = mpsc::channel(ASKS_MAX);
    let ready = options.ready.take();
    let is_stopped = options.is_stopped;
    let load_state = options.load_state.clone();
    let inbox = (asks.clone(), asks_inbox);
    let mut daemon = start(options, loaded, signals, inbox, leaving)?;
    let mut claim = Claim::start(&statedir, lock, asks);
    let model = Arc::clone(daemon.engine.model());
    // Taken away when this function ends, whatever ends it.
    let _pidfile = model
        .globals
        .process
        .pidfile
        .as_deref()
        .and_then(PidFile::write);
    daemon.read_histories();
    if !load_state.is_empty() {
        daemon.load_at_start(&load_state);
    }
    if daemon.load.manner == Manner::Own {
        // The file may be another one. A start as mon's forgets what persons wished (D20).
        daemon.carry_out_shared();
    }
    if is_stopped {
        daemon.tell(Event::Operator(Wish::Stop));
    }
    if let Some(Ready(ready)) = ready {
        ready(&model.globals);
    }
    health::say(health::READY);
    drop(model);
    tokio::select! {
        () = daemon.turn() => {}
        // As in a crash: everything in the folder belongs to the other daemon now.
        error = claim.keep() => return Err(DaemonError::Replaced(error)),
    }
    health::say(health::STOPPING);
    if daemon.engine.at_exit().is_some() {
        tracing::info!("stopping, the kernel's table becomes what on_exit says");
    } else {
        tracing::info!("stopping, the kernel's table stays as it is");
    }
    let lock = claim.close().await;
    daemon.stop().await;
    tracing::info!("stopped");
    Ok(lock)
}

/// Opens the journal. A start as mon's forgets what persons wished unless it is to load that
/// (D20), and says what it was.
fn open_store(options: &StartOptions, globals: &Globals) -> Result<Opened, StoreError> {
    let mut opened = Store::open(&globals.statedir)?;
    if options.load.manner == Manner::Mon {
        let forgotten = opened.saved.forget_wishes(&options.load_state);
        say_forgotten(&forgotten);
        for record in forgotten.records {
            opened.store.record(record);
        }
    }
    for remark in &opened.remarks {
        tracing::warn!(remark, "journal mended");
    }
    Ok(opened)
}

fn say_forgotten(forgotten: &Forgotten) {
    let listed = |names: &[String]| {
        let listed = names.get(..FORGOTTEN_MAX).unwrap_or(names).join(", ");
        (names.len(), listed)
    };
    let (disabled, disabled_names) = listed(&forgotten.disabled);
    let (acks, acknowledged_names) = listed(&forgotten.acknowledged);
    let was_stopped = forgotten.was_stopped;
    if disabled + acks > 0 || was_stopped {
        tracing::warn!(
            disabled,
            disabled_names,
            acknowledged = acks,
            acknowledged_names,
            was_stopped,
            "what persons wished before this start is not in force any more, as with mon; a start \
             with -l all keeps it, and lvsmon run does so by itself"
        );
    }
}

fn start(
    options: StartOptions,
    loaded: Loaded,
    signals: mpsc::Receiver<Signal>,
    (asks, asks_inbox): (mpsc::Sender<Ask>, mpsc::Receiver<Ask>),
    leaving: Arc<AtomicBool>,
) -> Result<Daemon, DaemonError> {
    log_warnings(&loaded.warnings);
    let (model, duty) = (Arc::new(loaded.model), options.load.duty);
    let globals = &model.globals;
    log_unbound_ports(globals);
    let opened = open_store(&options, globals)?;
    let permissions = Permissions::read(&globals.auth)?;
    let (clock, seed, zone) = (Clock::start(), fastrand::u64(..), TimeZone::system());
    let (saved, records) = (&opened.saved, opened.saved.records.len());
    chronicle::started(&options.config, &model, records, seed, &zone);
    let (clients, clients_inbox) = mpsc::channel(clients::ASKS_MAX);
    let client_port = ClientPort::start(globals, clients)?;
    let (traps, trap_inbox) = mpsc::channel(traps::WAITING_MAX);
    let traps = Traps::start(&globals.trap, permissions.rules().traps(), clock, traps)?;
    let (events, inbox) = mpsc::channel(INBOX_MAX);
    let (names, settings) = (Names::system(), OutboxSettings::new(globals));
    let (desired, wanted) = watch::channel(Arc::new(Desired::new()));
    let (role, role_kept) = role::begin(globals, saved, clock.now());
    let (tidings, deliveries) = mpsc::channel(TOLD_MAX);
    let outbox = Outbox::of(duty, settings, role::speaking(&role), tidings, &events);
    let then = boot::as_journal_has_it(saved, clock);
    let engine = Engine::new(Arc::clone(&model), saved, seed, zone.clone(), then);
    (engine.addresses()).for_each(|(host, address)| names.remember(host.as_str(), address));
    Ok(Daemon {
        role,
        pulse: role::first_pulse(globals, &outbox),
        takeover: Takeover::default(),
        role_sources: RoleSources::start(globals, clock),
        role_kept,
        silence_told: None,
        heard: 0,
        watchdog: Watchdog::of_systemd(clock.now().mono),
        hang: Hang::default(),
        clock,
        zone,
        chronicle: Chronicle::default(),
        table: TableOutcome::default(),
        runner: Runner::new(Tools::new(names.clone()), events.clone()),
        tripwire: Tripwire::new(names.clone()),
        names: NameKeeper::new(clock, names, loaded.hosts),
        taken: outbox.taken(),
        peer: Peer::of(globals, saved, &engine, clock, deliveries),
        engine,
        outbox,
        store: opened.store,
        desired,
        is_unpublished: false,
        applier: Applier::start(applier::place_of(globals, duty), wanted, events, clock)?,
        inbox,
        metrics: Metrics::start(globals, asks),
        asks: asks_inbox,
        histories: Histories::default(),
        scribe: Scribe::default(),
        state_reads: StateReads::default(),
        known_files: KnownFiles::restore(saved),
        remote: Remote::start(),
        boot: Boot::default(),
        client_port,
        clients: clients_inbox,
        traps,
        trap_inbox,
        permissions: Arc::new(permissions),
        permission_readings: Readings::default(),
        tests: Readings::default(),
        signals,
        config: options.config,
        refused_reload: None,
        load: options.load,
        leaving,
        reloads: Readings::default(),
    })
}

impl Daemon {
    /// Reads the alert history back, and begins the logs of this life.
    fn read_histories(&mut self) {
        let model = Arc::clone(self.engine.model());
        let now = self.clock.now().wall;
        if let Some(lines) = histories::read_back(&model.globals) {
            self.tell(Event::HistoryRead(lines));
        }
        self.histories.begin(&model.globals, now, &mut self.scribe);
    }
}

/// `lvsmon mon` has every address for its default, and nothing to say.
fn log_unbound_ports(globals: &Globals) {
    if let Some(unset) = globals.unbound_ports() {
        tracing::info!("{unset} not set: only 127.0.0.1 is listened on there");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_mistake_is_not_more() {
        let said = |count| DaemonError::Config(PathBuf::from("x.cf"), count).to_string();
        assert_eq!(said(1), "x.cf has 1 mistake; lvsmon check shows them all");
        assert_eq!(said(2), "x.cf has 2 mistakes; lvsmon check shows them all");
    }
}
