//! Who makes the kernel's synchronisation daemons run as the role wants it (D35)?
//!
//! A level: what runs is listed and compared, at each change of the role and every while. All
//! calls are made from a thread of their own: the kernel ends a daemon inside the call, which can
//! take it long, and nothing else here may wait for that. One call is made at a time; one that
//! hangs is said and waited for.

use std::path::PathBuf;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::sleep;

use crate::ipvs::Backend;
use crate::lvs::{SyncChange, SyncDaemon, sync_diff};
use crate::model::IpvsBackend;
use crate::wire::role::SyncRow;

/// How often is looked in any case: as long may a daemon be stopped by others.
const LOOK_EVERY: Duration = Duration::from_secs(10);

/// A look that takes longer hangs in the kernel: it ends daemons within a second or two.
const LOOK_LIMIT: Duration = Duration::from_secs(15);

/// Daemons that may be ours to stop: one at most is, and each reload with another line that could
/// not be carried out leaves two more, one of each role. The oldest are forgotten first.
const OWN_MAX: usize = 16;

/// Which table, and what is wanted of it.
#[derive(Debug)]
pub(super) struct Steering {
    wanted: watch::Sender<Option<SyncDaemon>>,
    row: watch::Receiver<SyncRow>,
    task: JoinHandle<()>,
}

impl Steering {
    /// Starts with nothing wanted: then nothing is looked at.
    pub(super) fn start(backend: IpvsBackend, statedir: PathBuf) -> Self {
        let (wanted, wishes) = watch::channel(None);
        let (shows, row) = watch::channel(SyncRow::default());
        let task = tokio::spawn(steer(backend, statedir, wishes, shows));
        Self { wanted, row, task }
    }

    /// This daemon is to run, or none of ours.
    pub(super) fn want(&self, wanted: Option<SyncDaemon>) {
        self.wanted.send_if_modified(|old| {
            let is_other = *old != wanted;
            *old = wanted;
            is_other
        });
    }

    /// What is wanted and what runs; none where nothing is wanted and nothing went wrong.
    pub(super) fn row(&self) -> Option<SyncRow> {
        let wanted = self.wanted.borrow().as_ref().map(ToString::to_string);
        let row = self.row.borrow().clone();
        let is_shown = wanted.is_some() || row.trouble.is_some();
        let wanted = wanted.unwrap_or_else(|| "none".to_owned());
        is_shown.then_some(SyncRow { wanted, ..row })
    }
}

impl Drop for Steering {
    fn drop(&mut self) {
        // The daemons run on, as the table stays.
        self.task.abort();
    }
}

async fn steer(
    kind: IpvsBackend,
    statedir: PathBuf,
    mut wishes: watch::Receiver<Option<SyncDaemon>>,
    shows: watch::Sender<SyncRow>,
) {
    // What was wanted since everything was right: what is ours to stop.
    let mut own: Vec<SyncDaemon> = Vec::new();
    loop {
        let wanted = wishes.borrow_and_update().clone();
        if wanted.is_none() && own.is_empty() {
            if wishes.changed().await.is_err() {
                return;
            }
            continue;
        }
        let row = look_aside(kind, &statedir, wanted.clone(), own.clone(), &shows).await;
        if row.trouble.is_none() {
            own.clear();
        }
        own.retain(|own| Some(own) != wanted.as_ref());
        own.extend(wanted);
        own.drain(..own.len().saturating_sub(OWN_MAX));
        show(&shows, row);
        tokio::select! {
            changed = wishes.changed() => if changed.is_err() {
                return;
            },
            () = sleep(LOOK_EVERY) => {}
        }
    }
}

/// One look on a thread of its own.
async fn look_aside(
    kind: IpvsBackend,
    statedir: &std::path::Path,
    wanted: Option<SyncDaemon>,
    own: Vec<SyncDaemon>,
    shows: &watch::Sender<SyncRow>,
) -> SyncRow {
    let statedir = statedir.to_owned();
    let mut look = tokio::task::spawn_blocking(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| error.to_string())?;
        let mut backend = Backend::open(kind, &statedir);
        Ok(runtime.block_on(look(&mut backend, wanted.as_ref(), &own)))
    });
    let done = tokio::select! { biased;
        done = &mut look => done,
        () = sleep(LOOK_LIMIT) => {
            let limit = LOOK_LIMIT.as_secs();
            let why = format!("a call to the kernel has taken more than {limit} s; waiting for it");
            show(shows, trouble(why));
            look.await
        }
    };
    match done {
        Ok(Ok(row)) => row,
        Ok(Err(why)) => trouble(why),
        Err(error) => trouble(format!("this is a defect of lvsmon: {error}")),
    }
}

fn trouble(why: String) -> SyncRow {
    SyncRow {
        trouble: Some(why),
        ..SyncRow::default()
    }
}

/// Shows it, and logs a trouble that is new.
fn show(shows: &watch::Sender<SyncRow>, row: SyncRow) {
    shows.send_if_modified(|old| {
        match (&row.trouble, &old.trouble) {
            (Some(why), before) if before.as_ref() != Some(why) => {
                tracing::error!(
                    why,
                    "connection synchronisation is not as the role wants it"
                );
            }
            (None, Some(_)) => tracing::info!("connection synchronisation is as the role wants it"),
            (Some(_) | None, _) => {}
        }
        *old = row;
        true
    });
}

/// Lists the daemons and makes them as wanted; `own` are those that were wanted before.
async fn look(backend: &mut Backend, wanted: Option<&SyncDaemon>, own: &[SyncDaemon]) -> SyncRow {
    let actual = match backend.sync_daemons().await {
        Ok(actual) => actual,
        Err(error) => return trouble(error.to_string()),
    };
    let changes = match wanted {
        Some(wanted) => sync_diff(std::slice::from_ref(wanted), &actual),
        // The file does not speak of them any more: only what we have started is stopped.
        None => {
            let ours = actual
                .iter()
                .filter(|it| own.iter().any(|own| own.agrees(it)));
            ours.map(|it| SyncChange::Stop(it.role)).collect()
        }
    };
    let mut fault = None;
    for change in &changes {
        match backend.apply_sync(change).await {
            Ok(()) => tracing::info!(%change, "connection synchronisation changed"),
            Err(error) => {
                fault = Some(error.to_string());
                break;
            }
        }
    }
    let running = match backend.sync_daemons().await {
        Ok(running) => Some(running.iter().map(ToString::to_string).collect()),
        Err(error) => {
            fault = fault.or_else(|| Some(error.to_string()));
            None
        }
    };
    SyncRow {
        running,
        trouble: fault,
        ..SyncRow::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pair::{Role, SyncSettings};

    const LIMIT: Duration = Duration::from_secs(60);

    async fn until(steering: &mut Steering, expected: &[&str]) {
        let is_so = |row: &SyncRow| {
            row.running
                .as_ref()
                .is_some_and(|running| running.iter().eq(expected.iter()))
        };
        let found = tokio::time::timeout(LIMIT, steering.row.wait_for(is_so));
        let is_found = found.await.is_ok();
        assert!(is_found, "{expected:?}, but {:?}", steering.row());
    }

    #[tokio::test]
    async fn one_daemon_runs_and_follows_the_role_and_ends_with_the_line_of_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let settings: SyncSettings = "eth0 syncid 7".parse().unwrap();
        let mut steering = Steering::start(IpvsBackend::Memory, folder.path().to_owned());
        assert_eq!(steering.row(), None);
        steering.want(Some(settings.daemon(Role::Standby)));
        until(&mut steering, &["backup on eth0, syncid 7"]).await;
        steering.want(Some(settings.daemon(Role::Active)));
        until(&mut steering, &["master on eth0, syncid 7"]).await;
        assert_eq!(steering.row().unwrap().wanted, "master on eth0, syncid 7");
        assert_eq!(steering.row().unwrap().trouble, None);
        // Somebody else's daemon of the other role stays when ours is not wanted any more.
        let mut backend = Backend::open(IpvsBackend::Memory, folder.path());
        let other: SyncSettings = "eth1 syncid 9".parse().unwrap();
        let start = SyncChange::Start(other.daemon(Role::Standby));
        backend.apply_sync(&start).await.unwrap();
        steering.want(None);
        until(&mut steering, &["backup on eth1, syncid 9"]).await;
        assert_eq!(steering.row(), None);
    }

    #[tokio::test]
    async fn a_daemon_that_could_not_be_stopped_is_stopped_later() {
        let folder = tempfile::tempdir().unwrap();
        let settings: SyncSettings = "eth0 syncid 7".parse().unwrap();
        let mut steering = Steering::start(IpvsBackend::Memory, folder.path().to_owned());
        steering.want(Some(settings.daemon(Role::Standby)));
        until(&mut steering, &["backup on eth0, syncid 7"]).await;
        // Nothing can be read in its place, and nothing stopped.
        let (file, aside) = (folder.path().join("daemons"), folder.path().join("aside"));
        std::fs::rename(&file, &aside).unwrap();
        std::fs::create_dir(&file).unwrap();
        steering.want(None);
        let has_trouble = |row: &SyncRow| row.trouble.is_some();
        let found = tokio::time::timeout(LIMIT, steering.row.wait_for(has_trouble));
        assert!(found.await.is_ok());
        assert_eq!(steering.row().unwrap().wanted, "none");
        std::fs::remove_dir(&file).unwrap();
        std::fs::rename(&aside, &file).unwrap();
        // The next look, now.
        steering.wanted.send_replace(None);
        until(&mut steering, &[]).await;
        assert_eq!(steering.row(), None);
    }

    #[tokio::test]
    async fn what_cannot_be_read_is_said() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("daemons")).unwrap();
        let settings: SyncSettings = "eth0 syncid 7".parse().unwrap();
        let mut steering = Steering::start(IpvsBackend::Memory, folder.path().to_owned());
        steering.want(Some(settings.daemon(Role::Active)));
        let has_trouble = |row: &SyncRow| row.trouble.is_some();
        let found = tokio::time::timeout(LIMIT, steering.row.wait_for(has_trouble)).await;
        assert!(found.is_ok());
    }
}
