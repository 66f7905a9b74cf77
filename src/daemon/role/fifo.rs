//! What was written into the FIFO?
//!
//! It is opened for reading and writing, so that it has a writer always and never ends. keepalived
//! makes it when it starts and takes it away when it ends: one that is missing is waited for, one
//! that was replaced is read to its end and opened anew. Whoever may write to it says who is
//! active, so that it has to be as safe as the configuration (D27).

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::fcntl::{AT_FDCWD, OFlag};
use tokio::net::unix::pipe;
use tokio::sync::watch;
use tokio::time::sleep;

use crate::clock::Clock;
use crate::fifo_file::{self, Deaf, check, deaf};
use crate::pair::fifo::{Announcement, InstanceName, LineReader, State};
use crate::pair::role::Facts;
use crate::time::Wall;

/// How often a FIFO that is missing or wrong is looked for, and an open one looked at under its
/// name: a VRRP daemon that is started again is heard within this time.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Bytes of one reading.
const READ: usize = 4 * 1_024;

/// Readings at one go: as much as a pipe holds.
const READINGS: usize = 16;

/// Rest after as many: who writes without end gets a percent of a core.
const REST: Duration = Duration::from_millis(50);

/// Lines that are not understood are logged up to this many, each time a FIFO is opened.
const OTHERS_LOGGED: u64 = 20;

/// What was heard, newest of each instance.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::daemon) struct Heard {
    /// At most [`Facts::INSTANCES_MAX`].
    pub(in crate::daemon) words: BTreeMap<InstanceName, Word>,
    /// Words on instances so far.
    pub(in crate::daemon) count: u64,
    /// Lines that say nothing of an instance.
    pub(in crate::daemon) others: u64,
    /// Why nothing can be heard now.
    pub(in crate::daemon) trouble: Option<String>,
}

/// The newest word on an instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::daemon) struct Word {
    /// What it is.
    pub(in crate::daemon) state: State,
    /// When it was read.
    pub(in crate::daemon) at: Wall,
    /// [`Heard::count`] before it: what is greater is newer.
    pub(in crate::daemon) number: u64,
}

impl Heard {
    fn take(&mut self, said: Announcement, at: Wall) {
        match said {
            Announcement::Instance { name, state } => {
                let number = self.count;
                let is_full = self.words.len() >= Facts::INSTANCES_MAX;
                if is_full && !self.words.contains_key(&name) {
                    self.drop_oldest();
                }
                self.count = self.count.saturating_add(1);
                self.words.insert(name, Word { state, at, number });
            }
            Announcement::Other(line) => {
                self.others = self.others.saturating_add(1);
                if self.others <= OTHERS_LOGGED {
                    tracing::info!(
                        line,
                        "a line of the FIFO says nothing of this director's role"
                    );
                }
            }
            Announcement::TooLong => {
                self.others = self.others.saturating_add(1);
                if self.others <= OTHERS_LOGGED {
                    tracing::warn!("a line of the FIFO is too long and was passed over");
                }
            }
        }
    }

    /// The oldest word makes way, which was heard long ago: whose words are kept is not said here.
    fn drop_oldest(&mut self) {
        let oldest = self.words.iter().min_by_key(|(_, word)| word.number);
        if let Some(name) = oldest.map(|(name, _)| name.clone()) {
            self.words.remove(&name);
        }
    }
}

/// Listens for ever to whichever FIFO is wanted.
pub(super) async fn listen(
    mut paths: watch::Receiver<Option<PathBuf>>,
    says: watch::Sender<Heard>,
    clock: Clock,
) {
    loop {
        let path = paths.borrow_and_update().clone();
        let Some(path) = path else {
            says.send_if_modified(|heard| heard.trouble.take().is_some());
            if paths.changed().await.is_err() {
                return;
            }
            continue;
        };
        tokio::select! {
            never = listen_to(&path, &says, clock) => match never {},
            changed = paths.changed() => if changed.is_err() {
                return;
            },
        }
    }
}

async fn listen_to(
    path: &Path,
    says: &watch::Sender<Heard>,
    clock: Clock,
) -> std::convert::Infallible {
    loop {
        match open(path) {
            Ok((pipe, identity)) => {
                tracing::info!(fifo = %path.display(), "listening to the FIFO for this director's role");
                says.send_if_modified(|heard| {
                    heard.others = 0;
                    heard.trouble.take().is_some()
                });
                read(path, &pipe, identity, says, clock).await;
                tracing::info!(fifo = %path.display(), "the FIFO was replaced or taken away");
            }
            Err(deaf) => {
                let why = match &deaf {
                    Deaf::Missing => {
                        "it does not exist; waiting for the VRRP daemon to make it".to_owned()
                    }
                    Deaf::NoFolder => "its folder does not exist, and the VRRP daemon makes none: \
                                       make the folder, and start the VRRP daemon again"
                        .to_owned(),
                    Deaf::Wrong(why) => why.clone(),
                };
                let is_new = says.send_if_modified(|heard| {
                    let is_new = heard.trouble.as_ref() != Some(&why);
                    heard.trouble = Some(why.clone());
                    is_new
                });
                match (is_new, deaf) {
                    (false, _) => {}
                    (true, Deaf::Missing | Deaf::NoFolder) => {
                        tracing::warn!(fifo = %path.display(), why, "cannot listen to the FIFO yet")
                    }
                    (true, Deaf::Wrong(_)) => {
                        tracing::error!(fifo = %path.display(), why, "the FIFO is not listened to")
                    }
                }
                sleep(LOOK_EVERY).await;
            }
        }
    }
}

/// Opens a FIFO that nobody else may write to.
fn open(path: &Path) -> Result<(pipe::Receiver, (u64, u64)), Deaf> {
    // Looked at before: a device must not even be opened.
    fifo_file::look(path)?;
    let flags = OFlag::O_RDWR | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC | OFlag::O_NOFOLLOW;
    let opened = nix::fcntl::openat(AT_FDCWD, path, flags, nix::sys::stat::Mode::empty());
    let file: fs::File = opened.map_err(|errno| deaf(&errno.into()))?.into();
    // And after: what stands under the name may have changed meanwhile.
    let metadata = file.metadata().map_err(|error| deaf(&error))?;
    check(&metadata)?;
    let identity = (metadata.dev(), metadata.ino());
    let pipe = pipe::Receiver::from_owned_fd_unchecked(file.into());
    Ok((pipe.map_err(|error| deaf(&error))?, identity))
}

/// Reads until another file has the name, or none.
async fn read(
    path: &Path,
    pipe: &pipe::Receiver,
    identity: (u64, u64),
    says: &watch::Sender<Heard>,
    clock: Clock,
) {
    let mut reader = LineReader::default();
    loop {
        let has_its_name = fs::symlink_metadata(path)
            .is_ok_and(|found| (found.dev(), found.ino()) == identity && check(&found).is_ok());
        // After the look: what was written before the name went away is read.
        take_all(pipe, &mut reader, says, clock).await;
        if !has_its_name {
            return;
        }
        tokio::select! {
            _ = pipe.readable() => {}
            () = sleep(LOOK_EVERY) => {}
        }
    }
}

/// Reads what there is, and no more at one go than a pipe holds.
async fn take_all(
    pipe: &pipe::Receiver,
    reader: &mut LineReader,
    says: &watch::Sender<Heard>,
    clock: Clock,
) {
    let mut bytes = [0; READ];
    for _ in 0..READINGS {
        // An end cannot come while we can write ourselves; another error is met again.
        let Ok(length @ 1..) = pipe.try_read(&mut bytes) else {
            return;
        };
        let at = clock.now().wall;
        let read = bytes.get(..length).unwrap_or_default();
        says.send_if_modified(|heard| {
            let before = heard.count;
            reader.take(read, |said| heard.take(said, at));
            heard.count != before
        });
    }
    sleep(REST).await;
}

#[cfg(test)]
mod tests {
    use std::fs::{OpenOptions, Permissions};
    use std::io::Write as _;
    use std::os::unix::fs::PermissionsExt as _;

    use nix::sys::stat::Mode;
    use nix::unistd::mkfifo;

    use super::*;

    /// Longest wait for something that is to happen.
    const LIMIT: Duration = Duration::from_secs(20);

    struct Ear {
        folder: tempfile::TempDir,
        /// The FIFO is to be in this folder within it.
        within: &'static str,
        heard: watch::Receiver<Heard>,
        task: tokio::task::JoinHandle<()>,
        _paths: watch::Sender<Option<PathBuf>>,
    }

    impl Ear {
        fn path(&self) -> PathBuf {
            self.folder.path().join(self.within).join("fifo")
        }

        fn listen() -> Self {
            Self::listen_in("")
        }

        fn listen_in(within: &'static str) -> Self {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join(within).join("fifo");
            let (paths, wanted) = watch::channel(Some(path));
            let (says, heard) = watch::channel(Heard::default());
            let task = tokio::spawn(listen(wanted, says, Clock::start()));
            Self {
                folder,
                within,
                heard,
                task,
                _paths: paths,
            }
        }

        /// Makes one as keepalived does, and holds it open as it does.
        fn make(&self) -> fs::File {
            mkfifo(&self.path(), Mode::S_IRUSR | Mode::S_IWUSR).unwrap();
            let mut options = OpenOptions::new();
            options.read(true).write(true).open(self.path()).unwrap()
        }

        async fn until(&mut self, what: impl Fn(&Heard) -> bool) -> Heard {
            let found = tokio::time::timeout(LIMIT, self.heard.wait_for(what)).await;
            found.expect("it did not happen").unwrap().clone()
        }

        async fn until_state(&mut self, name: &str, state: State) {
            let name: InstanceName = name.parse().unwrap();
            let is_so = |heard: &Heard| heard.words.get(&name).is_some_and(|it| it.state == state);
            self.until(is_so).await;
        }

        async fn until_trouble(&mut self, text: &str) {
            let is_so =
                |heard: &Heard| heard.trouble.as_ref().is_some_and(|why| why.contains(text));
            self.until(is_so).await;
        }
    }

    impl Drop for Ear {
        fn drop(&mut self) {
            self.task.abort();
        }
    }

    #[tokio::test]
    async fn a_fifo_is_waited_for_read_and_opened_anew_when_it_is_replaced() {
        let mut ear = Ear::listen();
        ear.until_trouble("does not exist").await;
        let mut writer = ear.make();
        writer.write_all(b"INSTANCE \"a\" BACKUP 100\n").unwrap();
        ear.until_state("a", State::Backup).await;
        assert_eq!(ear.heard.borrow().trouble, None);
        // The daemon ends: it says so and takes the FIFO away.
        writer.write_all(b"INSTANCE \"a\" STOP 100\n").unwrap();
        fs::remove_file(ear.path()).unwrap();
        drop(writer);
        ear.until_state("a", State::Stop).await;
        ear.until_trouble("does not exist").await;
        // A writer that comes and goes is no end either.
        let keeps = ear.make();
        ear.until(|heard| heard.trouble.is_none()).await;
        let mut writer = OpenOptions::new().write(true).open(ear.path()).unwrap();
        writer.write_all(b"INSTANCE \"a\" MASTER 100\n").unwrap();
        drop((writer, keeps));
        ear.until_state("a", State::Master).await;
        let mut writer = OpenOptions::new().write(true).open(ear.path()).unwrap();
        writer
            .write_all(b"GROUP \"g\" FAULT 0\nINSTANCE \"a\" FAULT 0\n")
            .unwrap();
        ear.until_state("a", State::Fault).await;
    }

    #[tokio::test]
    async fn a_folder_that_is_missing_is_said_and_a_fifo_in_it_heard_once_both_are_there() {
        let mut ear = Ear::listen_in("run");
        ear.until_trouble("folder does not exist").await;
        fs::create_dir(ear.path().parent().unwrap()).unwrap();
        ear.until_trouble("it does not exist").await;
        let mut writer = ear.make();
        writer.write_all(b"INSTANCE \"a\" MASTER 100\n").unwrap();
        ear.until_state("a", State::Master).await;
    }

    #[tokio::test]
    async fn what_is_no_fifo_or_others_may_write_to_is_refused_and_taken_once_it_is_right() {
        let mut ear = Ear::listen();
        fs::write(ear.path(), "INSTANCE \"a\" MASTER 100\n").unwrap();
        ear.until_trouble("no FIFO").await;
        fs::remove_file(ear.path()).unwrap();
        let mut writer = ear.make();
        fs::set_permissions(ear.path(), Permissions::from_mode(0o622)).unwrap();
        ear.until_trouble("others may write").await;
        fs::set_permissions(ear.path(), Permissions::from_mode(0o600)).unwrap();
        writer.write_all(b"INSTANCE \"a\" MASTER 100\n").unwrap();
        ear.until_state("a", State::Master).await;
        // It is made unsafe while it is open.
        fs::set_permissions(ear.path(), Permissions::from_mode(0o606)).unwrap();
        ear.until_trouble("others may write").await;
        fs::remove_file(ear.path()).unwrap();
        std::os::unix::fs::symlink("/dev/null", ear.path()).unwrap();
        ear.until_trouble("symbolic link").await;
        assert_eq!(ear.heard.borrow().count, 1);
    }

    #[tokio::test]
    async fn a_new_instance_is_heard_behind_any_number_of_others() {
        let mut ear = Ear::listen();
        let mut writer = ear.make();
        for number in 0..1_000 {
            let line = format!("INSTANCE \"x{number}\" MASTER 1\n");
            writer.write_all(line.as_bytes()).unwrap();
        }
        ear.until(|heard| heard.count + heard.others == 1_000).await;
        writer.write_all(b"INSTANCE \"a\" FAULT 0\n").unwrap();
        ear.until_state("a", State::Fault).await;
        assert!(ear.heard.borrow().words.len() <= Facts::INSTANCES_MAX);
    }

    #[tokio::test]
    async fn a_flood_keeps_nobody_from_hearing_the_newest_word() {
        let mut ear = Ear::listen();
        let mut writer = ear.make();
        let flood = std::thread::spawn(move || {
            for number in 0..2_000 {
                let lines = format!("INSTANCE \"x{number}\" MASTER 1\nINSTANCE \"a\" BACKUP 1\n");
                writer.write_all(lines.as_bytes()).unwrap();
                writer.write_all(&[b'z'; 100]).unwrap();
                writer.write_all(b"\n").unwrap();
            }
            writer.write_all(b"INSTANCE \"x1\" STOP 1\n").unwrap();
            writer
        });
        ear.until_state("x1", State::Stop).await;
        assert!(ear.heard.borrow().words.len() <= Facts::INSTANCES_MAX);
        drop(flood.join().unwrap());
    }
}
