//! How does the daemon learn its role?
//!
//! Two tasks look and listen; what follows from what they find is said in [`crate::pair`]. Both
//! tell levels: who is slow to read finds the newest, and nothing else was lost.
//!
//! | Question | File |
//! |---|---|
//! | what was written into the FIFO | `fifo` |
//! | which addresses are here | `addresses` |
//! | which synchronisation daemons run | `sync` |
//! | what comes of the role that somebody says | `command` |
//! | what is done when the role changes | `change` |
//! | what comes first at a takeover | `takeover` |
//! | may messages go on leaving | `beat` |

mod addresses;
mod beat;
mod change;
mod command;
mod fifo;
mod sync;
mod takeover;

use std::path::PathBuf;
use std::sync::Arc;

use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;

use crate::clock::Clock;
use crate::lvs::SyncDaemon;
use crate::model::Globals;
use crate::pair::{PairSettings, Sight};
use crate::time::Mono;
use crate::wire::role::SyncRow;

pub(super) use beat::first_pulse;
pub(super) use change::{begin, speaking};
use fifo::Heard;
pub(super) use takeover::Takeover;

/// The tasks that look and listen. Dropped, they end.
#[derive(Debug)]
pub(super) struct RoleSources {
    /// Which FIFO is to be listened to.
    path: watch::Sender<Option<PathBuf>>,
    /// Which addresses are to be looked for.
    wanted: watch::Sender<Vec<std::net::IpAddr>>,
    heard: watch::Receiver<Heard>,
    sight: watch::Receiver<Sight>,
    /// When the last look for addresses began that has ended.
    looked: watch::Receiver<Option<Mono>>,
    /// Somebody wants a look now.
    look: Arc<Notify>,
    sync: sync::Steering,
    tasks: [JoinHandle<()>; 2],
}

/// Something new.
#[derive(Debug)]
pub(super) enum News {
    /// About the FIFO.
    Heard(Heard),
    /// About addresses.
    Sight(Sight),
}

impl RoleSources {
    /// Starts both in the current runtime.
    pub(super) fn start(globals: &Globals, clock: Clock) -> Self {
        let settings = &globals.pair;
        let (path, paths) = watch::channel(settings.notify_fifo.clone());
        let (wanted, wishes) = watch::channel(addresses_of(settings));
        let (says, heard) = watch::channel(Heard::default());
        let (shows, sight) = watch::channel(Sight::Unseen);
        let look = Arc::new(Notify::new());
        let (looks, looked) = watch::channel(None);
        let tasks = [
            tokio::spawn(fifo::listen(paths, says, clock)),
            tokio::spawn(addresses::look(wishes, shows, Arc::clone(&look), looks)),
        ];
        Self {
            path,
            wanted,
            heard,
            sight,
            looked,
            look,
            sync: sync::Steering::start(globals.ipvs_backend, globals.statedir.clone()),
            tasks,
        }
    }

    /// Another file holds.
    pub(super) fn reload(&self, settings: &PairSettings) {
        let put = |old: &mut Option<PathBuf>| {
            let is_other = *old != settings.notify_fifo;
            old.clone_from(&settings.notify_fifo);
            is_other
        };
        self.path.send_if_modified(put);
        // Also where they are the same: a reload is a good moment to look.
        self.wanted.send_replace(addresses_of(settings));
    }

    /// The addresses are looked for now.
    pub(super) fn look_now(&self) {
        self.look.notify_one();
    }

    /// When the last look for addresses began that has ended, by the clock of the boot.
    pub(super) fn looked(&self) -> Option<Mono> {
        *self.looked.borrow()
    }

    /// What is new; ends never while nothing is. Cancel safe.
    pub(super) async fn news(&mut self) -> News {
        // The senders live as long as the tasks, which end with this.
        tokio::select! { biased;
            Ok(()) = self.heard.changed() => News::Heard(self.heard.borrow_and_update().clone()),
            Ok(()) = self.sight.changed() => News::Sight(self.sight.borrow_and_update().clone()),
            else => std::future::pending().await,
        }
    }

    /// This synchronisation daemon is to run, or none of ours.
    pub(super) fn want_sync(&self, wanted: Option<SyncDaemon>) {
        self.sync.want(wanted);
    }

    /// What runs of it; none where nothing is wanted.
    pub(super) fn sync(&self) -> Option<SyncRow> {
        self.sync.row()
    }

    /// What the FIFO is like.
    pub(super) fn fifo(&self) -> Heard {
        self.heard.borrow().clone()
    }
}

impl Drop for RoleSources {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}

fn addresses_of(settings: &PairSettings) -> Vec<std::net::IpAddr> {
    settings.vips.iter().map(|vip| vip.address).collect()
}
