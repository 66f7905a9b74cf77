//! The daemon: one loop that owns the engine and performs what it says.
//!
//! The loop waits for the next deadline or the next event, whichever comes first, tells the
//! engine, and queues what the engine answers. Performing never waits, so neither a mail
//! server nor a kernel nor a disk can hold up a check. Whoever works beside the loop (runs,
//! names, alerts, table, journal, clients) has its own task and a bounded way back.
//!
//! No decision about services is taken here.
//!
//! | Question | File |
//! |---|---|
//! | how does a daemon start, and live until it is told to stop | `life` |
//! | how does a reload go | `reload` |
//! | which clients wait for a reload, what are they told | `resets` |
//! | how does a stop go | `stop` |
//! | what of a new configuration has to wait for a restart | `lasting` |
//! | how do signals become values | `signals` |
//! | how is a check run | `runner` |
//! | how do addresses of names stay fresh | `names` |
//! | who makes the kernel's table equal to the wanted one | `applier` |
//! | how do alerts leave and not get lost | `outbox` |
//! | what survives a restart | `store` |
//! | was the wall clock set between two lives | `boot` |
//! | how do a person's questions come in | `control` |
//! | what is answered to them | `answer` |
//! | what is a person told who enables a real server | `enable` |
//! | how do mon's clients ask | `clients` |
//! | how are their requests carried out | `requests` |
//! | who may ask for what | `permissions` |
//! | how does one thread read files for all who ask | `readings` |
//! | how do traps come in | `traps` |
//! | who holds the connections that tell of a crash | `tripwire` |
//! | what is logged of mistakes in files | `mistakes` |
//! | what does a reload drop, and when does it drop too much | `gone` |
//! | what if somebody deletes lock or socket | `claim` |
//! | how does work that blocks get a thread | `threads` |
//! | what do the histories on disk get | `histories` |
//! | when are mon's own state files written and read | `statefiles` |
//! | who writes all of these | `scribe` |
//! | who is told what clients enable and disable | `monremote` |
//! | how do the directors of a pair talk | `peer` |
//! | how does another program find this one | `pidfile` |
//! | how is the role of this director learned | `role` |
//! | what does a monitoring system read in numbers | `metrics` |
//! | where does it read them | `scrape` |
//! | is anything stuck, and who is told that nothing is | `health` |
//! | what is said of all this | `chronicle`, `log`, `syslog` |

mod answer;
pub mod applier;
mod boot;
mod chronicle;
mod claim;
mod clients;
mod control;
mod enable;
mod gone;
mod health;
mod histories;
mod lasting;
mod life;
pub mod log;
mod metrics;
mod mistakes;
mod monremote;
mod names;
pub mod outbox;
pub(crate) mod peer;
mod permissions;
mod pidfile;
mod readings;
mod reload;
mod requests;
mod resets;
mod role;
mod runner;
mod scrape;
mod scribe;
mod signals;
mod statefiles;
mod stop;
pub mod store;
mod syslog;
mod threads;
mod traps;
mod tripwire;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use jiff::tz::TimeZone;
use tokio::sync::{mpsc, oneshot, watch};

use crate::clock::Clock;
use crate::daemon::applier::Applier;
use crate::daemon::boot::Boot;
use crate::daemon::chronicle::Chronicle;
use crate::daemon::clients::ClientPort;
use crate::daemon::control::Ask;
use crate::daemon::health::{Hang, Watchdog};
use crate::daemon::histories::Histories;
use crate::daemon::metrics::Metrics;
use crate::daemon::monremote::Remote;
use crate::daemon::names::NameKeeper;
use crate::daemon::outbox::Outbox;
use crate::daemon::peer::Peer;
use crate::daemon::permissions::{Permissions, PermissionsError, Waiting};
use crate::daemon::readings::Readings;
use crate::daemon::reload::Reloaded;
use crate::daemon::resets::Reset;
use crate::daemon::role::{News, RoleSources, Takeover, speaking};
use crate::daemon::runner::{Over, Runner};
use crate::daemon::scribe::Scribe;
use crate::daemon::statefiles::{StateRead, StateReads};
use crate::daemon::store::{Handed, Store, StoreError};
use crate::daemon::traps::Traps;
use crate::daemon::tripwire::Tripwire;
use crate::engine::Engine;
use crate::engine::event::{Action, AlertCall, Event, Note, TableOutcome, Trap, Wish};
use crate::lvs::Desired;
use crate::pair::{Facts, Pulse, RoleKeeper, Way};
use crate::protocol::known_file::KnownFiles;
use crate::site::{Duty, LoadOptions};
use crate::time::Mono;
use crate::wire::reload::RefusedReload;

use life::Signal;
pub use life::{DaemonError, Ready, StartOptions, run};

/// Events that wait for the loop. Senders wait for room, so nothing is lost; the depth only
/// evens out bursts of deliveries.
const INBOX_MAX: usize = 1_024;

/// A turn of the loop that takes this long is followed by one of everybody else. By itself tokio
/// sees to that after 128 ready things in a row, and a client's question and answer take some such
/// rounds: where each thing takes 20 ms, the client's ten seconds are over before.
const LONG: Duration = Duration::from_millis(1);

/// What the loop woke up for.
#[derive(Debug)]
enum Wake {
    Event(Event),
    /// A run ended.
    Over(Over),
    Ask(Ask),
    /// A client of mon asks.
    Client(clients::Ask),
    Signal(Signal),
    /// The file was read again; none where that broke, as below.
    Loaded(Box<Option<Reloaded>>),
    /// Who may what was read again.
    Permissions(Option<Result<Permissions, PermissionsError>>),
    /// The configuration was tried for clients: their answer.
    Tested(Option<String>),
    /// Something about the journal.
    Journal(Result<Handed, StoreError>),
    /// mon's state files were read for a client.
    StateRead(StateRead),
    /// The files that were to be written are.
    Written,
    /// Something about the role, or it is time to settle it.
    Role(Option<News>),
    /// Whether messages may go on leaving is to be looked at.
    Beat,
    /// A call about the kernel's table is one that hangs.
    Hang,
    /// Systemd is told that the loop turns.
    Watchdog,
    /// The peer told something.
    Peer(peer::News),
    /// Nothing else is ready: the changed table is shown to the applier.
    Publish,
    /// The same of what the peer is told.
    TellPeer,
}

/// The loop's state: the engine, and a handle to each worker.
#[derive(Debug)]
struct Daemon {
    clock: Clock,
    engine: Engine,
    chronicle: Chronicle,
    /// The newest look at the kernel's table.
    table: TableOutcome,
    runner: Runner,
    tripwire: Tripwire,
    names: NameKeeper,
    outbox: Outbox,
    /// How many calls the outbox has taken.
    taken: watch::Receiver<u64>,
    store: Store,
    desired: watch::Sender<Arc<Desired>>,
    /// The wanted table differs from the one that the applier was shown.
    is_unpublished: bool,
    applier: Applier,
    inbox: mpsc::Receiver<Event>,
    asks: mpsc::Receiver<Ask>,
    histories: Histories,
    scribe: Scribe,
    state_reads: StateReads,
    /// Texts of state files that the journal is newer than.
    known_files: KnownFiles,
    remote: Remote,
    client_port: ClientPort,
    clients: mpsc::Receiver<clients::Ask>,
    traps: Traps,
    /// Traps that were let in.
    trap_inbox: mpsc::Receiver<Trap>,
    /// Who may ask for what.
    permissions: Arc<Permissions>,
    permission_readings: Readings<Waiting, Result<Permissions, PermissionsError>>,
    /// Clients that said `test config`.
    tests: Readings<oneshot::Sender<String>, String>,
    /// Clients that wait for the file to be read.
    reloads: Readings<Reset, Reloaded>,
    zone: TimeZone,
    signals: mpsc::Receiver<Signal>,
    config: PathBuf,
    /// It was not taken over when it was read last.
    refused_reload: Option<RefusedReload>,
    /// How it is read.
    load: LoadOptions,
    /// The daemon ends: nobody waits for a file that is being read.
    leaving: Arc<AtomicBool>,
    /// What this director is to the other one.
    role: RoleKeeper,
    role_sources: RoleSources,
    /// How many words of the FIFO the keeper has heard.
    heard: u64,
    /// What the journal says of the role.
    role_kept: Facts,
    /// What the log has said last of why nobody is told.
    silence_told: Option<String>,
    watchdog: Watchdog,
    hang: Hang,
    metrics: Metrics,
    pulse: Pulse,
    takeover: Takeover,
    peer: Peer,
    boot: Boot,
}

impl Daemon {
    /// Turns until a signal says stop.
    async fn turn(&mut self) {
        self.tell(Event::Start);
        self.is_unpublished = true;
        self.role_holds();
        loop {
            let wake = self.next().await;
            let began = self.clock.now().mono;
            self.tell_of_a_hang();
            match wake {
                Wake::Hang => {}
                Wake::Event(event) => {
                    self.tell(event);
                }
                Wake::Over(over) => self.run_is_over(over),
                Wake::Ask(ask) => self.answer(ask),
                Wake::Client(ask) => {
                    if !self.serve(ask) {
                        return;
                    }
                }
                Wake::Signal(Signal::Stop) => return,
                Wake::Signal(Signal::Reload) => self.reload(None),
                Wake::Loaded(loaded) => self.finish_loading(*loaded),
                Wake::Permissions(permissions) => self.take_permissions(permissions),
                Wake::Tested(text) => self.tested(text),
                Wake::Journal(news) => self.journal(news),
                Wake::StateRead(read) => self.state_was_read(read),
                Wake::Written => self.scribe.go_on(),
                Wake::Role(news) => self.role_news(news),
                Wake::Beat => self.beat(),
                Wake::Watchdog => self.watchdog.feed(self.clock.now().mono),
                Wake::Peer(news) => self.peer_news(news),
                Wake::Publish => self.publish(),
                Wake::TellPeer => self.tell_peer(),
            }
            self.give_way(began).await;
        }
    }

    /// The next thing that happens. Deadlines come first, so that no flood of anything can
    /// starve them; the engine never leaves one in the past, so they starve nothing either.
    /// The journal takes five batches a second at most, the command line asks little, and runs
    /// come late because they can be many. Clients and traps from the network come last: they
    /// can be more than there is time for.
    ///
    /// A changed table is shown when all of these are served, so that a burst of verdicts
    /// costs one copy of it and not one for each. That is never late: tokio lets a task take
    /// some 128 ready things in a row, then calls none of them ready.
    ///
    /// Every branch is cancel safe: each hands over its value in the poll that ends it.
    async fn next(&mut self) -> Wake {
        let clock = self.clock;
        let deadline = self.engine.next_deadline();
        let (role, watchdog) = (self.role_deadline(), self.watchdog.next());
        let (tell_at, pulse) = (self.peer.tell_at(), self.pulse.next());
        let hang = self.hang.due(self.applier.works_since());
        tokio::select! { biased;
            () = clock.sleep_until_some(watchdog) => Wake::Watchdog,
            () = clock.sleep_until_some(deadline) => Wake::Event(Event::Deadline),
            () = clock.sleep_until_some(role) => Wake::Role(None),
            news = self.role_sources.news() => Wake::Role(Some(news)),
            () = self.applier.looked_again(), if self.takeover != Takeover::Over => Wake::Role(None),
            () = clock.sleep_until_some(pulse) => Wake::Beat,
            () = clock.sleep_until_some(hang) => Wake::Hang,
            Some(signal) = self.signals.recv() => Wake::Signal(signal),
            news = self.store.hand_over(&mut self.taken) => Wake::Journal(news),
            loaded = self.reloads.read() => Wake::Loaded(Box::new(loaded)),
            permissions = self.permission_readings.read() => Wake::Permissions(permissions),
            text = self.tests.read() => Wake::Tested(text),
            Some(ask) = self.asks.recv() => Wake::Ask(ask),
            Some(read) = self.state_reads.next() => Wake::StateRead(read),
            answers = self.names.answers() => Wake::Event(Event::Resolved(answers)),
            Some(event) = self.inbox.recv() => Wake::Event(event),
            () = self.scribe.idle() => Wake::Written,
            wire = self.tripwire.ended() => Wake::Event(Event::Tripped(wire)),
            over = self.runner.ended() => Wake::Over(over),
            Some(ask) = self.clients.recv() => Wake::Client(ask),
            Some(trap) = self.trap_inbox.recv() => Wake::Event(Event::Trap(trap)),
            news = self.peer.news() => Wake::Peer(news),
            () = std::future::ready(()), if self.is_unpublished => Wake::Publish,
            () = clock.sleep_until_some(tell_at) => Wake::TellPeer,
        }
    }

    /// Lets everybody else have a turn where that of the loop, which began then, was long.
    async fn give_way(&mut self, began: Mono) {
        if self.clock.now().mono.since(began) < LONG {
            return;
        }
        // All that is ready may take long too, and the table would wait for all of it.
        if self.is_unpublished {
            self.publish();
        }
        tokio::task::yield_now().await;
    }

    /// A run ended; where names lead that it looked up itself is heard before. Who keeps these
    /// fresh tells it once more, and from then on what differs from that.
    fn run_is_over(&mut self, over: Over) {
        let Over {
            run,
            report,
            answers,
        } = over;
        for answer in &answers {
            self.names.want(answer.host.clone());
        }
        if !answers.is_empty() {
            self.tell(Event::Resolved(answers));
        }
        self.tell(Event::RunEnded { run, report });
    }

    /// Tells the engine one event and performs what it says. The answer is what came of a
    /// person's wish, where the event was one.
    fn tell(&mut self, event: Event) -> Option<Result<String, String>> {
        let now = self.clock.now();
        let is_said = matches!(event, Event::Operator(_));
        match &event {
            Event::Table(outcome) => {
                let source = self.source();
                self.chronicle.table(now.wall, source, outcome);
                self.metrics.looked(outcome);
                self.table = outcome.clone();
            }
            Event::AlertDone { alert, delivery } => {
                self.chronicle.delivered(now.wall, alert.0, delivery);
                self.metrics.delivered(delivery);
            }
            Event::RunEnded { run, report } => chronicle::run_ended(*run, report),
            Event::JournalLost => self.boot.forget(),
            Event::Start
            | Event::Deadline
            | Event::Tripped(_)
            | Event::HostChecked { .. }
            | Event::Operator(_)
            | Event::Trap(_)
            | Event::Resolved(_)
            | Event::Reload { .. }
            | Event::Peer(_)
            | Event::PeerDelivered(_)
            | Event::Delivered(_)
            | Event::PeerWishes(_)
            | Event::HistoryRead(_) => {}
        }
        let actions = self.engine.handle(now, event);
        let answer = self.perform(actions);
        if is_said {
            // In one batch of the journal with what was said, so that a crash parts them never.
            self.stamp_wishes();
        }
        if let Some(record) = self.boot.look(self.clock, now) {
            self.store.record(record);
        }
        answer
    }

    /// Queues every action; waits for none.
    fn perform(&mut self, actions: Vec<Action>) -> Option<Result<String, String>> {
        let wall = self.clock.now().wall;
        let (mut answer, mut renumberings) = (None, Vec::new());
        for action in actions {
            match action {
                Action::Start(run) => {
                    let way = self.tripwire.closed(&run.let_go);
                    self.runner.start(run, way);
                }
                Action::Stop(run) => self.runner.stop(run),
                Action::Hold(wire) => self.tripwire.hold(wire),
                Action::LetGo(wire) => self.tripwire.let_go(wire),
                Action::Send(call) => {
                    self.chronicle.sent(wall, &call, self.way());
                    if let Some(call) = self.store.call(*call) {
                        self.send(call);
                    }
                }
                Action::Resolve(host) => self.names.want(host),
                Action::ApplyTable => self.is_unpublished = true,
                Action::Record(record) => {
                    self.peer.has_news();
                    self.store.record(*record);
                }
                Action::Renumber(renumbering) => renumberings.push(renumbering),
                Action::Suppressed(suppression) => {
                    chronicle::suppressed(self.engine.model(), &suppression);
                }
                Action::History(line) => self.histories.history(&line, &mut self.scribe),
                Action::Downtime(line) => self.histories.downtime(&line, &mut self.scribe),
                Action::Note(note) => {
                    let at = note.host().and_then(|host| self.names.place(host));
                    let model = self.engine.model();
                    self.chronicle.note(wall, model, &note, at.as_deref());
                    if let Note::Wish { wish, outcome } = note {
                        self.wish_came_to(&wish, &outcome);
                    }
                }
                Action::Answer(outcome) => answer = Some(outcome),
            }
        }
        if !renumberings.is_empty() {
            self.renumber(renumberings);
        }
        answer
    }

    /// What others are told of a wish that was carried out.
    fn wish_came_to(&mut self, wish: &Wish, outcome: &Result<String, String>) {
        if outcome.is_err() {
            return;
        }
        self.remote.tell(self.engine.model(), wish);
        if matches!(wish, Wish::Enable(_) | Wish::Disable { .. }) {
            self.save_disabled();
        }
    }

    fn send(&mut self, call: AlertCall) {
        if !self.outbox.send(call) {
            self.store.refused();
        }
    }

    /// Everything that is to outlive this process, the engine's part and the loop's: all that comes
    /// out of it is the journal.
    fn record_all(&mut self) {
        self.tell(Event::JournalLost);
        self.record_peer_wishes();
        self.record_known_files();
        self.record_role();
    }

    /// What the journal's writer says. Without a journal the checks go on all the same.
    fn journal(&mut self, news: Result<Handed, StoreError>) {
        match news {
            Ok(Handed::Batch) => {}
            Ok(Handed::Calls(calls)) => calls.into_iter().for_each(|call| self.send(call)),
            Ok(Handed::Lost) => {
                self.record_all();
            }
            Err(error) => {
                tracing::error!(%error, "state is no longer kept");
                let wall = self.clock.now().wall;
                self.chronicle
                    .keep(wall, "journal", None, error.to_string());
            }
        }
    }

    /// Shows the wanted table to the applier, which sees the newest one only.
    fn publish(&mut self) {
        self.is_unpublished = false;
        self.desired
            .send_replace(Arc::new(self.engine.desired().clone()));
    }

    /// Where an alert goes that is called now.
    fn way(&self) -> Way {
        match self.load.duty {
            Duty::Observe => Way::Nowhere,
            Duty::Work => Way::of(speaking(&self.role), self.outbox.speaking_now()),
        }
    }
}
