//! The link to the other director (D26; docs/peer.md).
//!
//! Nothing of the daemon waits for it: what is to be told comes as the newest level and through a
//! bounded queue, what was heard goes back the same ways. What is said and believed is in
//! [`crate::pair::talk`].
//!
//! | Question | File |
//! |---|---|
//! | who owns the conversation and the one link that stands | `owner` |
//! | how does one connection go | `link` |
//! | how is the peer called, how does it call, and with which key | `door` |
//! | can this director be linked at all, for `lvsmon check --host` | `look` |
//! | how do operators' wishes get over | `wishes` |
//! | what does the loop tell, and what does it make of what it hears | `told` |

mod door;
mod link;
mod look;
mod owner;
mod pace;
mod told;
mod wishes;

use std::sync::Arc;

use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

use crate::alert::mail::Mailer;
use crate::clock::Clock;
use crate::daemon::peer::link::LinkId;
use crate::daemon::peer::owner::LinkOwner;
use crate::daemon::peer::pace::Pace;
use crate::engine::Engine;
use crate::engine::desk::WishDesk;
use crate::engine::event::PeerTold;
use crate::engine::saved::Saved;
use crate::model::Globals;
use crate::pair::post::Tidings;
use crate::pair::talk::{Delivery, Own, PeerSettings, PeerState, StampedWish};
use crate::pair::{Accord, LinkState};
use crate::time::Mono;
pub(crate) use look::look;

/// Lists of wishes that wait for the loop; more are put together.
const WISHES_WAITING: usize = 4;

/// Lists of deliveries that wait for the loop; more are put together.
const DELIVERED_WAITING: usize = 4;

/// What is known of the link, for the loop and for persons.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct PeerView {
    /// Where the peer is, and whether it is linked.
    pub(super) link: LinkState,
    /// Why the last link ended or the last try failed.
    pub(super) fault: Option<String>,
    /// What the peer said last.
    pub(super) peer: PeerState,
    /// Number of the last link of which the peer's whole state is with the loop, with all that it
    /// delivered; none: there was none yet.
    pub(super) heard: Option<LinkId>,
    /// Deliveries that are remembered.
    pub(super) delivered: usize,
    /// Connections from other addresses, and of those that had no key.
    pub(super) strangers: u64,
    /// What had no room in the link's lists.
    pub(super) left_out: u64,
}

/// What is heard of the link.
#[derive(Debug)]
pub(super) enum News {
    /// The view is another one.
    View,
    /// The peer delivered these.
    Delivered(Vec<Delivery>),
    /// The peer knows of these wishes.
    Wishes(Vec<StampedWish>),
}

/// The handle. Dropped, it ends the link at once.
#[derive(Debug)]
pub(super) struct Peer {
    own: watch::Sender<Own>,
    settings: watch::Sender<PeerSettings>,
    /// Counts how often another link was wanted in the place of the one that stands.
    renewals: watch::Sender<u64>,
    view: watch::Receiver<Arc<PeerView>>,
    /// What the peer delivered.
    delivered: mpsc::Receiver<Vec<Delivery>>,
    /// What the peer's operators wish.
    wishes: mpsc::Receiver<Vec<StampedWish>>,
    /// What is done about that.
    desk: WishDesk,
    task: JoinHandle<()>,
    /// Whether the roles of both go together.
    accord: Accord,
    /// What the engine was told last.
    told: PeerTold,
    /// When it is told what changed.
    pace: Pace,
    /// The last link that the loop heard all of, and when it did.
    heard: Option<(LinkId, Mono)>,
}

impl Peer {
    /// Starts it in the current runtime; `tidings` is what the peer is to hear of
    /// messages.
    pub(super) fn of(
        globals: &Globals,
        saved: &Saved,
        engine: &Engine,
        clock: Clock,
        tidings: mpsc::Receiver<Tidings>,
    ) -> Self {
        let desk = WishDesk::restore(saved, engine, fastrand::u64(..));
        let settings = globals.peer.clone();
        let mailer = Mailer::new(globals.mail.clone());
        Self::start(settings, desk, mailer.host(), clock, tidings)
    }

    fn start(
        settings: PeerSettings,
        desk: WishDesk,
        name: &str,
        clock: Clock,
        tidings: mpsc::Receiver<Tidings>,
    ) -> Self {
        let (own, own_changes) = watch::channel(Own::default());
        let (settings, changes) = watch::channel(settings);
        let (renewals, renews) = watch::channel(0);
        let (says, view) = watch::channel(Arc::default());
        let (delivers, delivered) = mpsc::channel(DELIVERED_WAITING);
        let (says_wishes, wishes) = mpsc::channel(WISHES_WAITING);
        let owner = LinkOwner::new(name, clock, delivers, says_wishes, says);
        let task = tokio::spawn(owner.run(own_changes, changes, renews, tidings));
        Self {
            own,
            settings,
            renewals,
            view,
            delivered,
            wishes,
            desk,
            task,
            accord: Accord::default(),
            told: PeerTold::default(),
            pace: Pace::new(),
            heard: None,
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

    /// From now on these settings hold, and the key as its file has it now.
    pub(super) fn reload(&self, settings: PeerSettings) {
        self.settings.send_replace(settings);
    }

    /// The link that stands is given up for a new one, over which the peer tells everything once
    /// more: what waits in it may be old.
    pub(super) fn renew(&self) {
        self.renewals.send_modify(|count| *count += 1);
    }

    /// What there is to tell may be another than before.
    pub(super) const fn has_news(&mut self) {
        self.pace.changed();
    }

    /// When it is to be told; none where there is nothing to tell.
    pub(super) fn tell_at(&self) -> Option<Mono> {
        self.pace.due()
    }

    /// The newest view.
    pub(super) fn view(&self) -> Arc<PeerView> {
        Arc::clone(&self.view.borrow())
    }

    /// Waits until the peer delivered something, or the view is another one. Cancel safe.
    pub(super) async fn news(&mut self) -> News {
        tokio::select! { biased;
            Some(told) = self.delivered.recv() => News::Delivered(told),
            Some(wishes) = self.wishes.recv() => News::Wishes(wishes),
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
