//! The link to the other director (D26; docs/peer.md).
//!
//! One task owns the conversation and the one link that stands. It listens where the file says
//! so, calls while there is no link, and lets in whoever comes from the peer's address and has
//! the key. Nothing of the daemon waits for it: what is to be told comes as the newest level and
//! through a bounded queue, what was heard goes back the same ways, and each connection is a task
//! of its own (`link`).
//!
//! Nothing is decided here but which link stays; what is said and believed is in
//! [`crate::pair::talk`].

mod deliveries;
mod door;
mod link;
mod told;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio::task::{AbortHandle, JoinHandle, JoinSet};

use crate::alert::mail::Mailer;
use crate::clock::Clock;
use crate::daemon::outbox::Told;
use crate::daemon::peer::door::{accept, call, listen, nonce, read_key};
use crate::daemon::peer::link::{LinkId, Report, Terms, What};
use crate::engine::event::PeerTold;
use crate::model::Globals;
use crate::pair::talk::session::{End, Greeting, Key, Life, newer_stays};
use crate::pair::talk::word::Word;
use crate::pair::talk::{Heard, Own, PeerSettings, PeerState, Talk};
use crate::time::{Mono, Wall};

/// Rest before the first new call, doubled with each one that failed.
const CALL_REST: Duration = Duration::from_millis(500);

/// Longest rest between two calls: a director that comes back is linked well before anybody
/// relies on it.
const CALL_REST_MAX: Duration = Duration::from_secs(8);

/// Rest before a key is read or a port is bound once more.
const SETUP_REST: Duration = Duration::from_secs(5);

/// Connections that have not shown the key, at once: the peer has one, or two that cross.
const OPENING_MAX: usize = 4;

/// Words heard that wait for the task; the connection waits when there are more.
const REPORTS_WAITING: usize = 16;

/// Lists of deliveries that wait for the loop; more are put together.
const DELIVERED_WAITING: usize = 4;

/// Strangers are told of in the log no more often.
const STRANGER_REST: Duration = Duration::from_secs(60);

/// The peer's clock is said to be wrong from here on.
const SKEW_SAID_MICROS: u64 = 2_000_000;

/// What is known of the link, for the loop and for persons.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct PeerView {
    /// Where the peer is; none where the file names none.
    pub(super) address: Option<SocketAddr>,
    /// Since when a link stands that has told the peer's state; none while there is none.
    pub(super) linked: Option<Wall>,
    /// Since when there is none; none while there is, or was none yet.
    pub(super) lost: Option<Wall>,
    /// Why the last link ended or the last try failed.
    pub(super) fault: Option<String>,
    /// What the peer said last.
    pub(super) peer: PeerState,
    /// Deliveries that are remembered.
    pub(super) delivered: usize,
    /// Connections from other addresses, and of those that had no key.
    pub(super) strangers: u64,
}

/// What is heard of the link.
#[derive(Debug)]
pub(super) enum News {
    /// The view is another one.
    View,
    /// The peer delivered these.
    Delivered(Vec<Told>),
}

/// The handle. Dropped, it ends the link at once.
#[derive(Debug)]
pub(super) struct Peer {
    own: watch::Sender<Own>,
    settings: watch::Sender<PeerSettings>,
    view: watch::Receiver<Arc<PeerView>>,
    /// What the peer delivered.
    delivered: mpsc::Receiver<Vec<Told>>,
    /// Since when this director could have heard the peer.
    started: Wall,
    task: JoinHandle<()>,
    /// What the engine was told last.
    told: PeerTold,
    /// Something changed since the peer was told.
    pub(super) is_untold: bool,
}

impl Peer {
    /// Starts it in the current runtime; `told` is what this director delivers.
    pub(super) fn of(globals: &Globals, clock: Clock, told: mpsc::Receiver<Told>) -> Self {
        let settings = globals.peer.clone();
        let mailer = Mailer::new(globals.mail.clone());
        Self::start(settings, mailer.host(), clock, told)
    }

    fn start(settings: PeerSettings, name: &str, clock: Clock, told: mpsc::Receiver<Told>) -> Self {
        let (own, own_changes) = watch::channel(Own::default());
        let (settings, changes) = watch::channel(settings);
        let (says, view) = watch::channel(Arc::default());
        let (delivers, delivered) = mpsc::channel(DELIVERED_WAITING);
        let keeper = Keeper {
            delivers,
            unheard: Vec::new(),
            clock,
            life: Life(fastrand::u64(1..)),
            talk: Talk::new(name),
            settings: PeerSettings::default(),
            key: None,
            listener: None,
            tasks: JoinSet::new(),
            opening: Vec::new(),
            link: None,
            last_link: 0,
            call: None,
            rest: CALL_REST,
            call_at: None,
            setup_at: None,
            view: PeerView::default(),
            stranger_said: None,
            says,
        };
        let task = tokio::spawn(keeper.run(own_changes, changes, told));
        Self {
            own,
            settings,
            view,
            delivered,
            started: clock.now().wall,
            task,
            told: PeerTold::default(),
            is_untold: true,
        }
    }

    /// What holds of this director from now on.
    pub(super) fn tell(&self, own: Own) {
        self.own.send_if_modified(|told| {
            let is_news = *told != own;
            *told = own;
            is_news
        });
    }

    /// From now on these settings hold.
    pub(super) fn reload(&self, settings: PeerSettings) {
        self.settings.send_if_modified(|known| {
            let is_news = *known != settings;
            *known = settings;
            is_news
        });
    }

    /// The newest view.
    pub(super) fn view(&self) -> Arc<PeerView> {
        Arc::clone(&self.view.borrow())
    }

    /// Waits until the peer delivered something, or the view is another one. Cancel safe.
    pub(super) async fn news(&mut self) -> News {
        tokio::select! { biased;
            Some(told) = self.delivered.recv() => News::Delivered(told),
            Ok(()) = self.view.changed() => News::View,
            // The task has ended, which it does with this handle only.
            else => std::future::pending().await,
        }
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// The link that stands.
struct Standing {
    id: LinkId,
    peer: Life,
    end: End,
    words: mpsc::Sender<Word>,
    task: AbortHandle,
}

/// The task's state.
struct Keeper {
    clock: Clock,
    life: Life,
    talk: Talk,
    settings: PeerSettings,
    key: Option<Key>,
    listener: Option<TcpListener>,
    /// Connections and the call under way. Dropped, they end.
    tasks: JoinSet<Option<(LinkId, Result<TcpStream, String>)>>,
    /// Connections that have not shown the key.
    opening: Vec<(LinkId, AbortHandle)>,
    link: Option<Standing>,
    last_link: u64,
    /// The call under way.
    call: Option<LinkId>,
    rest: Duration,
    call_at: Option<Mono>,
    setup_at: Option<Mono>,
    view: PeerView,
    stranger_said: Option<Mono>,
    /// Takes what the peer delivered.
    delivers: mpsc::Sender<Vec<Told>>,
    /// What of it waits for room there.
    unheard: Vec<Told>,
    says: watch::Sender<Arc<PeerView>>,
}

impl Keeper {
    async fn run(
        mut self,
        mut own: watch::Receiver<Own>,
        mut changes: watch::Receiver<PeerSettings>,
        mut told: mpsc::Receiver<Told>,
    ) {
        let (reports, mut reported) = mpsc::channel(REPORTS_WAITING);
        let settings = changes.borrow_and_update().clone();
        self.set_up(settings).await;
        loop {
            let wake = [self.setup_at, self.call_at].into_iter().flatten().min();
            let (talk_at, clock) = (self.talk.next(), self.clock);
            let delivers = self.delivers.clone();
            let words = self.link.as_ref().map(|link| link.words.clone());
            // Every branch is cancel safe: nothing is taken before it is chosen.
            tokio::select! { biased;
                changed = changes.changed() => {
                    if changed.is_err() {
                        return;
                    }
                    let settings = changes.borrow_and_update().clone();
                    self.set_up(settings).await;
                }
                Ok(()) = own.changed() => {
                    let own = own.borrow_and_update().clone();
                    self.talk.tell(own);
                    self.speak();
                }
                Some(told) = told.recv() => {
                    self.delivered(told);
                    self.speak();
                }
                Ok(permit) = delivers.reserve(), if !self.unheard.is_empty() => {
                    permit.send(std::mem::take(&mut self.unheard));
                }
                Some(report) = reported.recv() => self.reported(report).await,
                Some(Ok(Some((id, called)))) = self.tasks.join_next(), if !self.tasks.is_empty() => {
                    self.called(id, called, &reports);
                }
                accepted = accept(self.listener.as_ref()) => self.accepted(accepted, &reports),
                () = clock.sleep_until_some(wake) => self.woken().await,
                () = room(words, talk_at, clock) => self.speak(),
            }
            self.publish();
        }
    }

    /// Says what there is to say, as far as the connection takes it.
    fn speak(&mut self) {
        while let Some(link) = &self.link {
            let Ok(permit) = link.words.try_reserve() else {
                return;
            };
            match self.talk.say(self.clock.now()) {
                Some(word) => permit.send(word),
                None => return,
            }
        }
    }

    /// Takes settings over; a link under others ends.
    async fn set_up(&mut self, settings: PeerSettings) {
        if settings != self.settings {
            if self.link.is_some() {
                self.lose("its settings have changed");
            }
            self.listener = None;
        }
        self.settings = settings;
        self.view.address = self.settings.address;
        self.tasks.abort_all();
        self.opening.clear();
        (self.call, self.call_at, self.setup_at) = (None, None, None);
        self.rest = CALL_REST;
        self.key = None;
        self.go_on_setting_up().await;
    }

    /// Reads the key and listens; what fails is tried again.
    async fn go_on_setting_up(&mut self) {
        self.setup_at = None;
        let Some(address) = self.settings.address else {
            return;
        };
        if self.key.is_none() {
            match read_key(&self.settings).await {
                Ok(key) => self.key = Some(key),
                Err(why) => return self.set_up_later(why),
            }
        }
        if let Some(bind) = self.settings.bind.filter(|_| self.listener.is_none()) {
            match listen(bind) {
                Ok(listener) => {
                    tracing::info!(%bind, peer = %address.ip(), "the peer may call");
                    self.listener = Some(listener);
                }
                Err(error) => self.set_up_later(format!("cannot listen on {bind}: {error}")),
            }
        }
        if self.link.is_none() && self.call.is_none() && self.call_at.is_none() {
            self.call_at = Some(self.clock.now().mono);
        }
    }

    fn set_up_later(&mut self, why: String) {
        self.setup_at = Some(self.clock.now().mono.after(SETUP_REST));
        self.fault(why);
    }

    /// Remembers why there is no link; said once for each reason.
    fn fault(&mut self, why: String) {
        if self.view.fault.as_ref() != Some(&why) && self.link.is_none() {
            let peer = self.settings.address.map(|it| it.to_string());
            tracing::warn!(peer, why, "no link to the peer");
        }
        self.view.fault = Some(why);
    }

    async fn woken(&mut self) {
        let now = self.clock.now().mono;
        if self.setup_at.is_some_and(|at| at <= now) {
            self.go_on_setting_up().await;
        }
        if self.call_at.is_some_and(|at| at <= now) {
            self.call_at = None;
            self.begin_call();
        }
    }

    fn begin_call(&mut self) {
        let (Some(address), true) = (self.settings.address, self.key.is_some()) else {
            return;
        };
        if self.link.is_some() || self.call.is_some() {
            return;
        }
        let from = self.settings.bind.map(|bind| bind.ip());
        let id = self.next_id();
        self.call = Some(id);
        let call = async move { Some((id, call(address, from).await)) };
        self.tasks.spawn(call);
    }

    fn next_id(&mut self) -> LinkId {
        self.last_link += 1;
        LinkId(self.last_link)
    }

    fn call_later(&mut self) {
        if self.link.is_some() || self.call.is_some() || self.settings.address.is_none() {
            return;
        }
        // A little off, so that two directors do not call at the same moment for ever.
        let part = self.rest.mul_f64(0.75 + fastrand::f64() / 2.0);
        self.call_at = Some(self.clock.now().mono.after(part));
        self.rest = (self.rest * 2).min(CALL_REST_MAX);
    }

    fn called(
        &mut self,
        id: LinkId,
        called: Result<TcpStream, String>,
        reports: &mpsc::Sender<Report>,
    ) {
        if self.call != Some(id) {
            return; // Of settings that no longer hold.
        }
        match called {
            Ok(stream) => self.begin(id, stream, End::Caller, reports),
            Err(why) => {
                self.call = None;
                self.fault(format!("cannot call it: {why}"));
                self.call_later();
            }
        }
    }

    fn accepted(
        &mut self,
        accepted: std::io::Result<(TcpStream, SocketAddr)>,
        reports: &mpsc::Sender<Report>,
    ) {
        let (stream, from) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                // No descriptors left, say: not at once again.
                self.listener = None;
                return self.set_up_later(format!("cannot be called: {error}"));
            }
        };
        let peer = self.settings.address.map(|it| it.ip().to_canonical());
        if peer != Some(from.ip().to_canonical()) {
            return self.stranger(&format!("{} is not the peer's address", from.ip()));
        }
        if self.opening.len() >= OPENING_MAX {
            return self.stranger("too many connections from the peer's address");
        }
        let id = self.next_id();
        self.begin(id, stream, End::Called, reports);
    }

    /// Somebody who is not the peer: counted, and said now and then.
    fn stranger(&mut self, why: &str) {
        self.view.strangers += 1;
        let now = self.clock.now().mono;
        let is_rested = |said: Mono| now.since(said) >= STRANGER_REST;
        if self.stranger_said.is_none_or(is_rested) {
            self.stranger_said = Some(now);
            let count = self.view.strangers;
            tracing::warn!(why, count, "a connection to peer_bind was refused");
        }
    }

    fn begin(&mut self, id: LinkId, stream: TcpStream, end: End, reports: &mpsc::Sender<Report>) {
        let (Some(key), Ok(nonce)) = (self.key.clone(), nonce()) else {
            return;
        };
        let life = self.life;
        let terms = Terms {
            link: id,
            end,
            key,
            greeting: Greeting { nonce, life },
        };
        let reports = reports.clone();
        let task = self.tasks.spawn(async move {
            link::run(stream, terms, reports).await;
            None
        });
        self.opening.push((id, task));
    }

    async fn reported(&mut self, report: Report) {
        let Report { link: id, what } = report;
        match what {
            What::Opened { peer, end, words } => self.opened(id, peer, end, words),
            What::Said(word) => {
                if self.link.as_ref().is_some_and(|link| link.id == id) {
                    self.said(word).await;
                }
            }
            What::Ended(why) => self.ended(id, why),
        }
    }

    fn opened(&mut self, id: LinkId, peer: Life, end: End, words: mpsc::Sender<Word>) {
        let Some(at) = self.opening.iter().position(|(known, _)| *known == id) else {
            return; // Of settings that no longer hold.
        };
        let (_, task) = self.opening.swap_remove(at);
        if self.call == Some(id) {
            self.call = None;
        }
        if let Some(old) = &self.link {
            if !newer_stays(self.life, (old.peer, old.end), (peer, end)) {
                task.abort();
                return;
            }
            old.task.abort();
        }
        self.talk.linked();
        self.link = Some(Standing {
            id,
            peer,
            end,
            words,
            task,
        });
        self.call_at = None;
        self.rest = CALL_REST;
        self.speak();
    }

    async fn said(&mut self, word: Word) {
        let was_heard = self.talk.is_heard();
        let now = self.clock.now();
        match self.talk.hear(now, word) {
            Err(why) => return self.lose(&why.to_string()),
            Ok(Some(Heard::Delivered(news))) => self.peer_delivered(news),
            // What persons wish is not shared yet.
            Ok(Some(Heard::Wishes(_) | Heard::State) | None) => {}
        }
        self.speak();
        let is_off = |state: &PeerState| state.ahead_micros.unsigned_abs() >= SKEW_SAID_MICROS;
        let was_off = is_off(&self.view.peer);
        self.view.peer = self.talk.peer().clone();
        let name = &self.view.peer.name;
        if is_off(&self.view.peer) && !was_off {
            let ahead_ms = self.view.peer.ahead_micros / 1_000;
            tracing::warn!(peer = name, ahead_ms, "the clocks of the directors differ");
        }
        if self.talk.is_heard() && !was_heard {
            tracing::info!(peer = name, "linked with the peer");
            self.view.linked = Some(now.wall);
            (self.view.lost, self.view.fault) = (None, None);
        }
    }

    /// Ends the link that stands.
    fn lose(&mut self, why: &str) {
        let Some(link) = self.link.take() else {
            return;
        };
        link.task.abort();
        self.talk.unlinked();
        let name = &self.view.peer.name;
        tracing::warn!(peer = name, why, "the link to the peer is gone");
        self.view.fault = Some(why.to_owned());
        self.view.linked = None;
        self.view.lost = Some(self.clock.now().wall);
        self.call_later();
    }

    fn ended(&mut self, id: LinkId, why: String) {
        if self.link.as_ref().is_some_and(|link| link.id == id) {
            return self.lose(&why);
        }
        let Some(at) = self.opening.iter().position(|(known, _)| *known == id) else {
            return;
        };
        self.opening.swap_remove(at);
        if self.call == Some(id) {
            self.call = None;
        } else {
            self.view.strangers += 1;
        }
        if self.link.is_none() {
            self.fault(why);
            self.call_later();
        }
    }

    fn publish(&mut self) {
        self.view.delivered = self.talk.delivered().len();
        let view = &self.view;
        self.says.send_if_modified(|known| {
            let is_news = **known != *view;
            if is_news {
                *known = Arc::new(view.clone());
            }
            is_news
        });
    }
}

/// Waits until there is something to say and room for it; for ever without a link.
async fn room(words: Option<mpsc::Sender<Word>>, at: Option<Mono>, clock: Clock) {
    let Some(words) = words else {
        return std::future::pending().await;
    };
    clock.sleep_until_some(at).await;
    if words.reserve().await.is_err() {
        // The link ends; its report is on its way.
        std::future::pending().await
    }
}
