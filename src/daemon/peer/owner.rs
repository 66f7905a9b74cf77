//! Who owns the conversation and the one link that stands?
//!
//! One task: it listens where the file says so, calls while there is no link, and lets in whoever
//! comes from the peer's address and has the key. Nothing is decided here but which link stays.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio::task::{AbortHandle, JoinSet};

use crate::clock::Clock;
use crate::daemon::peer::PeerView;
use crate::daemon::peer::door::{accept, call, listen, nonce, read_key};
use crate::daemon::peer::link::{self, Handshake, LinkId, LinkReport, What};
use crate::daemon::peer::pace::Pace;
use crate::pair::LinkState;
use crate::pair::post::Tidings;
use crate::pair::talk::delivered::DELIVERED_MAX;
use crate::pair::talk::session::{End, Greeting, Key, Life, newer_stays};
use crate::pair::talk::wishes::{StampedWish, WISHES_MAX};
use crate::pair::talk::word::Word;
use crate::pair::talk::{Delivery, Heard, Own, PeerSettings, PeerState, Talk};
use crate::time::Mono;

mod ended;
mod shown;

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

/// Strangers are told of in the log no more often.
const STRANGER_REST: Duration = Duration::from_secs(60);

/// The peer's clock is said to be wrong from here on.
const SKEW_SAID_MICROS: u64 = 2_000_000;

/// A call that has ended, and what came of it.
type Called = (LinkId, Result<TcpStream, String>);

/// The link that stands.
struct OpenLink {
    id: LinkId,
    peer: Life,
    end: End,
    words: mpsc::Sender<Word>,
    task: AbortHandle,
}

/// The task's state.
pub(super) struct LinkOwner {
    clock: Clock,
    life: Life,
    talk: Talk,
    settings: PeerSettings,
    key: Option<Key>,
    listener: Option<TcpListener>,
    /// Connections and the call under way. Dropped, they end.
    tasks: JoinSet<Option<Called>>,
    /// Connections that have not shown the key.
    opening: Vec<(LinkId, AbortHandle)>,
    link: Option<OpenLink>,
    /// The log's last word is that the peer is linked: of this life of the peer.
    said_up: Option<Life>,
    /// The life of the peer of which the log says that words of it are passed over.
    passed_over: Option<Life>,
    /// Why the last link ended that gave way, until something is said of what came of that.
    gave_way: Option<String>,
    last_link: u64,
    /// The call under way.
    call: Option<LinkId>,
    rest: Duration,
    call_at: Option<Mono>,
    setup_at: Option<Mono>,
    view: PeerView,
    /// When the daemon's loop sees it next.
    pace: Pace,
    /// The log's last word is that the clocks differ.
    said_skewed: bool,
    stranger_said: Option<Mono>,
    /// Takes what the peer delivered.
    delivers: mpsc::Sender<Vec<Delivery>>,
    /// What of it waits for room there.
    unheard: Vec<Delivery>,
    /// Takes what the peer's operators wish.
    says_wishes: mpsc::Sender<Vec<StampedWish>>,
    /// What of it waits for room there.
    untaken: Vec<StampedWish>,
    /// What of it had no room.
    cut_off: u64,
    says: watch::Sender<Arc<PeerView>>,
}

impl LinkOwner {
    /// Nothing is set up and nobody is there.
    pub(super) fn new(
        name: &str,
        clock: Clock,
        delivers: mpsc::Sender<Vec<Delivery>>,
        says_wishes: mpsc::Sender<Vec<StampedWish>>,
        says: watch::Sender<Arc<PeerView>>,
    ) -> Self {
        Self {
            delivers,
            says_wishes,
            untaken: Vec::new(),
            cut_off: 0,
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
            said_up: None,
            passed_over: None,
            gave_way: None,
            last_link: 0,
            call: None,
            rest: CALL_REST,
            call_at: None,
            setup_at: None,
            view: PeerView::default(),
            pace: Pace::new(),
            said_skewed: false,
            stranger_said: None,
            says,
        }
    }

    pub(super) async fn run(
        mut self,
        mut own: watch::Receiver<Own>,
        mut changes: watch::Receiver<PeerSettings>,
        mut renews: watch::Receiver<u64>,
        mut tidings: mpsc::Receiver<Tidings>,
    ) {
        let (reports, mut reported) = mpsc::channel(REPORTS_WAITING);
        let settings = changes.borrow_and_update().clone();
        self.set_up(settings).await;
        loop {
            let wakes = [self.setup_at, self.call_at, self.pace.due()];
            let wake = wakes.into_iter().flatten().min();
            let (talk_at, clock) = (self.talk.next(), self.clock);
            let (delivers, wishes) = (self.delivers.clone(), self.says_wishes.clone());
            let words = self.link.as_ref().map(|link| link.words.clone());
            // Every branch is cancel safe: nothing is taken before it is chosen.
            tokio::select! { biased;
                changed = changes.changed() => {
                    if changed.is_err() {
                        return;
                    }
                    let settings = changes.borrow_and_update().clone();
                    self.reload(settings).await;
                }
                Ok(()) = renews.changed() => self.lose("this director stood still"),
                Ok(()) = own.changed() => {
                    let own = own.borrow_and_update().clone();
                    self.talk.tell(own);
                    self.speak();
                }
                Some(news) = tidings.recv() => {
                    // Also while there is no peer: a reload may bring one.
                    self.talk.pass_on(clock.now().mono, news);
                    self.speak();
                }
                Ok(permit) = delivers.reserve(), if !self.unheard.is_empty() => {
                    permit.send(std::mem::take(&mut self.unheard));
                }
                Ok(permit) = wishes.reserve(), if !self.untaken.is_empty() => {
                    permit.send(std::mem::take(&mut self.untaken));
                }
                Some(report) = reported.recv() => self.reported(report).await,
                (id, called) = next_called(&mut self.tasks) => self.called(id, called, &reports),
                accepted = accept(self.listener.as_ref()) => self.accepted(accepted, &reports),
                () = clock.sleep_until_some(wake) => self.woken().await,
                () = room(words, talk_at, clock) => self.speak(),
            }
            self.show();
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

    /// The file was read again: the key may be another one also where the settings are the same.
    async fn reload(&mut self, settings: PeerSettings) {
        if settings != self.settings || self.key.is_none() {
            return self.set_up(settings).await;
        }
        match read_key(&settings).await {
            Ok(key) if self.key.as_ref() == Some(&key) => {}
            Ok(_) => {
                tracing::info!("peer_key is another one: the peer has to have it too");
                self.lose("its key has changed");
                self.set_up(settings).await;
            }
            Err(why) => {
                let help =
                    "the key that was read before stays in force; put the file right and reload";
                tracing::error!(why, help, "cannot read peer_key");
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
        if settings.address != self.settings.address {
            // Of another director nothing is known.
            self.talk.forget_peer();
            self.said_skewed = false;
            self.view.link = LinkState::of(settings.address);
            self.view.fault = None;
        }
        self.settings = settings;
        self.tasks.abort_all();
        self.opening.clear();
        self.gave_way = None;
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
        self.gave_way = None;
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

    /// Plans a call, where none is: who knocks every second puts none off.
    fn call_later(&mut self) {
        let is_planned = self.call.is_some() || self.call_at.is_some();
        if self.link.is_some() || is_planned || self.settings.address.is_none() {
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
        reports: &mpsc::Sender<LinkReport>,
    ) {
        if self.call != Some(id) {
            return; // Of settings that no longer hold.
        }
        let begun = called.and_then(|stream| self.begin(id, stream, End::Caller, reports));
        if let Err(why) = begun {
            self.call = None;
            self.fault(format!("cannot call it: {why}"));
            self.call_later();
        }
    }

    fn accepted(
        &mut self,
        accepted: std::io::Result<(TcpStream, SocketAddr)>,
        reports: &mpsc::Sender<LinkReport>,
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
        if let Err(why) = self.begin(id, stream, End::Called, reports) {
            self.fault(format!("cannot be called: {why}"));
        }
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

    fn begin(
        &mut self,
        id: LinkId,
        stream: TcpStream,
        end: End,
        reports: &mpsc::Sender<LinkReport>,
    ) -> Result<(), String> {
        let key = self.key.clone().ok_or("there is no key yet")?;
        let nonce = nonce()?;
        let life = self.life;
        let handshake = Handshake {
            link: id,
            end,
            key,
            greeting: Greeting { nonce, life },
        };
        let reports = reports.clone();
        let task = self.tasks.spawn(async move {
            link::run(stream, handshake, reports).await;
            None
        });
        self.opening.push((id, task));
        Ok(())
    }

    async fn reported(&mut self, report: LinkReport) {
        let LinkReport { link: id, what } = report;
        match what {
            What::Opened { peer, end, words } => self.opened(id, peer, end, words),
            What::Said(word) => {
                if self.link.as_ref().is_some_and(|link| link.id == id) {
                    self.said(word).await;
                }
            }
            What::PassedOver => self.passed_over(),
            What::Ended(why) => self.ended(id, why),
        }
    }

    /// Once for each life of the peer's: only an update ends it.
    fn passed_over(&mut self) {
        let life = self.link.as_ref().map(|link| link.peer);
        if life.is_some() && self.passed_over != life {
            self.passed_over = life;
            tracing::warn!(
                peer = self.talk.peer().name,
                "the peer has a later version of lvsmon: what only that one understands is passed \
                 over; update this director"
            );
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
            // What is known is of the former link until this one has told everything.
            self.view.link = self.view.link.down(self.clock.now().wall);
        }
        self.talk.linked();
        self.link = Some(OpenLink {
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
            Ok(Some(Heard::Delivered(news))) => {
                self.unheard.extend(news);
                let excess = self.unheard.len().saturating_sub(DELIVERED_MAX);
                self.unheard.drain(..excess);
            }
            Ok(Some(Heard::Wishes(wishes))) => {
                self.untaken.extend(wishes);
                let excess = self.untaken.len().saturating_sub(WISHES_MAX);
                self.cut_off += u64::try_from(self.untaken.drain(..excess).len()).unwrap_or(0);
            }
            Ok(Some(Heard::State) | None) => {}
        }
        self.speak();
        let is_off = |state: &PeerState| state.ahead_micros.unsigned_abs() >= SKEW_SAID_MICROS;
        let known = self.talk.peer();
        let was_off = std::mem::replace(&mut self.said_skewed, is_off(known));
        let name = &known.name;
        if self.said_skewed && !was_off {
            let ahead_ms = known.ahead_micros / 1_000;
            tracing::warn!(peer = name, ahead_ms, "the clocks of the directors differ");
        }
        if self.talk.is_heard() && !was_heard {
            let life = self.link.as_ref().map(|link| link.peer);
            // One that took the place of another from the same life of the peer is no news.
            if self.said_up != life {
                tracing::info!(peer = name, "linked with the peer");
            }
            self.said_up = life;
            self.gave_way = None;
            self.view.link = self.view.link.up(now.wall);
            self.view.fault = None;
        }
    }
}

/// The next call that ends, for ever where there is none; connections that end are reported
/// otherwise. Cancel safe: what was taken before was of no use.
async fn next_called(tasks: &mut JoinSet<Option<Called>>) -> Called {
    loop {
        match tasks.join_next().await {
            Some(Ok(Some(called))) => return called,
            // A connection, or one that was ended from here.
            Some(Ok(None) | Err(_)) => {}
            None => return std::future::pending().await,
        }
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

#[cfg(test)]
mod tests;
