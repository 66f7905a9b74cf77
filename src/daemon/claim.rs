//! The daemon's claim on its state folder: the lock, and the control socket beside it.
//!
//! Both are names in the folder, which a person can delete while the files stay open. A lock
//! without its name keeps nobody away, and a socket without its name is heard by nobody, so
//! both are looked at every while and made again. Where another daemon has taken the folder
//! meanwhile there are two writers of one table: the older one ends.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::sync::mpsc;

use crate::daemon::control::{Ask, Control};
use crate::daemon::store::{Lock, StoreError};

/// How often lock and socket are looked at: as long may two daemons be at work on a folder that
/// was deleted, and a socket be missing. Two names in a folder that is in use are looked up in
/// memory, so it is done on the spot: another thread would wake up for nothing.
const LOOK_EVERY: Duration = Duration::from_secs(10);

/// What the daemon holds of its state folder.
#[derive(Debug)]
pub(super) struct Claim {
    folder: PathBuf,
    lock: Lock,
    asks: mpsc::Sender<Ask>,
    /// None while it cannot be opened, which was said.
    control: Option<Control>,
}

impl Claim {
    /// Opens the control socket in a folder that is locked. Without a socket the daemon works
    /// on; it is tried again.
    pub(super) fn start(folder: &Path, lock: Lock, asks: mpsc::Sender<Ask>) -> Self {
        let mut claim = Self {
            folder: folder.to_owned(),
            lock,
            asks,
            control: None,
        };
        if let Err(error) = claim.open_control() {
            claim.say_closed(&error);
        }
        claim
    }

    /// Keeps both for as long as it is awaited; cancel safe.
    ///
    /// Ends when another daemon has locked the folder: ours lost its lock to a person who
    /// deleted it.
    pub(super) async fn keep(&mut self) -> StoreError {
        let mut could_lock = true;
        loop {
            tokio::time::sleep(LOOK_EVERY).await;
            if !self.lock.has_its_name() {
                match Lock::take(&self.folder) {
                    Ok(lock) => {
                        tracing::error!(
                            statedir = %self.folder.display(),
                            "somebody deleted the lock of the running daemon; it is taken again"
                        );
                        self.lock = lock;
                        could_lock = true;
                    }
                    Err(error @ StoreError::Locked { .. }) => return error,
                    Err(error) => {
                        if std::mem::replace(&mut could_lock, false) {
                            tracing::error!(%error, "the lock of the running daemon is gone, trying again");
                        }
                        continue;
                    }
                }
            }
            self.keep_control();
        }
    }

    fn keep_control(&mut self) {
        let was_open = self.control.is_some();
        match self.control.take() {
            Some(control) if control.has_its_name() => {
                self.control = Some(control);
                return;
            }
            Some(control) => control.abandon(),
            None => {}
        }
        match self.open_control() {
            Ok(()) => tracing::warn!(
                path = %self.folder.join("control").display(),
                "the control socket was not there; it is made again"
            ),
            Err(error) if was_open => self.say_closed(&error),
            // Said when it was first missing.
            Err(_) => {}
        }
    }

    fn open_control(&mut self) -> io::Result<()> {
        self.control = Some(Control::start(&self.folder, self.asks.clone())?);
        Ok(())
    }

    fn say_closed(&self, error: &io::Error) {
        let path = self.folder.join("control");
        tracing::error!(path = %path.display(), %error, "no control socket, the daemon cannot be asked; trying again");
    }

    /// Takes the socket away; the lock goes with the value that comes back.
    pub(super) async fn close(self) -> Lock {
        if let Some(control) = self.control {
            control.close().await;
        }
        self.lock
    }
}
