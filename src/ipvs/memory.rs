//! A table that changes no kernel: for the demonstration and for trying a configuration.
//!
//! Kept as a file in the form of `ipvsadm -Sn`, so that a person or a test may preset it, look
//! at it and disturb it as `ipvsadm` would a kernel's. The file is the truth: it is looked at
//! each time, but read only where it is another than the one read last, and written once for
//! all changes of a batch.
//!
//! Beside it `connections` says what `ipvsadm -Ln` counts. Only that one may be a pipe: each look
//! then waits for its writer, as a call to a kernel may hang.

use std::fs::{File, Metadata};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::listing::{counts, daemons};
use super::{IpvsRefusal, Look, listing};
use crate::clock::Clock;
use crate::lvs::replay::{self, Conflict};
use crate::lvs::{Command, ConnectionTimeouts, SyncChange, SyncDaemon, Table, VirtualServiceKey};
use crate::regular_file;
use crate::time::Wall;

/// The file in the state folder.
pub(super) const FILE_NAME: &str = "table";
/// The files beside it.
const CONNECTIONS_NAME: &str = "connections";
const DAEMONS_NAME: &str = "daemons";
/// A larger file is no table that a demonstration makes.
const FILE_MAX: u64 = 16 * 1024 * 1024;
/// A file changed twice within a tick of the file system's clock (10 ms at most on Linux, 1 s
/// on old file systems) may look the same both times: what is younger is read once more.
const TIME_DOUBTFUL: Duration = Duration::from_secs(2);

/// What a kernel has unless it was told otherwise.
pub(super) const TIMEOUTS: ConnectionTimeouts = ConnectionTimeouts {
    tcp: Duration::from_secs(900),
    tcp_fin: Duration::from_secs(120),
    udp: Duration::from_secs(300),
};

/// A table in a file.
#[derive(Debug)]
pub(super) struct Memory {
    path: PathBuf,
    clock: Clock,
    /// What the file said last, with the changes that are not written yet.
    table: Table,
    /// The file that said it; none where it has to be read.
    known: Option<FileStamp>,
    /// Changes are not written yet.
    is_changed: bool,
    /// How often the file was read.
    #[cfg(test)]
    reads: u32,
}

/// What tells one state of the file from another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum FileStamp {
    Missing,
    File {
        device: u64,
        inode: u64,
        length: u64,
        /// Seconds and nanoseconds.
        modified: (i64, i64),
    },
}

impl FileStamp {
    fn of(file: &Metadata) -> Self {
        Self::File {
            device: file.dev(),
            inode: file.ino(),
            length: file.len(),
            modified: (file.mtime(), file.mtime_nsec()),
        }
    }

    /// Whether a file of this stamp, read at `now`, cannot have been changed since without
    /// another stamp.
    fn is_sure(self, now: Wall) -> bool {
        match self {
            Self::Missing => true,
            Self::File {
                modified: (seconds, _),
                ..
            } => now.since(Wall::from_seconds(seconds)) >= TIME_DOUBTFUL,
        }
    }
}

impl Memory {
    pub(super) fn new(path: PathBuf) -> Self {
        Self {
            path,
            clock: Clock::start(),
            table: Table::new(),
            known: None,
            is_changed: false,
            #[cfg(test)]
            reads: 0,
        }
    }

    /// The virtual services that `wanted` names. A missing file is an empty table.
    pub(super) fn list(
        &mut self,
        wanted: &impl Fn(&VirtualServiceKey) -> bool,
    ) -> Result<Table, IpvsRefusal> {
        self.settle()?;
        self.refresh()?;
        let entries = self.table.iter().filter(|(key, _)| wanted(key));
        Ok(entries.map(|(key, entry)| (*key, entry.clone())).collect())
    }

    /// The virtual services that `wanted` names, with the connections that the file beside the
    /// table gives them. Nothing here writes that file.
    pub(super) fn look(
        &mut self,
        wanted: &impl Fn(&VirtualServiceKey) -> bool,
    ) -> Result<Look, IpvsRefusal> {
        let table = self.list(wanted)?;
        let path = self.path.with_file_name(CONNECTIONS_NAME);
        let text = beside(&path, File::open(&path))?;
        let mut connections =
            counts::connections(&text).map_err(|error| unreadable(&path, &error.to_string()))?;
        connections.retain(|(key, server), _| {
            let entry = table.get(key);
            entry.is_some_and(|entry| entry.servers.contains_key(server))
        });
        Ok(Look { table, connections })
    }

    /// The synchronisation daemons of the file beside the table.
    pub(super) fn sync_daemons(&self) -> Result<Vec<SyncDaemon>, IpvsRefusal> {
        let path = self.path.with_file_name(DAEMONS_NAME);
        let text = beside(&path, regular_file::open(&path))?;
        daemons::daemons(&text).ok_or_else(|| unreadable(&path, "a line makes no sense"))
    }

    /// Starts or stops one, in that file.
    pub(super) fn apply_sync(&self, change: &SyncChange) -> Result<(), IpvsRefusal> {
        let mut running = self.sync_daemons()?;
        let of = |role| running.iter().position(|daemon| daemon.role == role);
        match change {
            SyncChange::Start(daemon) => match of(daemon.role) {
                Some(_) => return Err(IpvsRefusal::Exists),
                None => running.push(daemon.clone()),
            },
            SyncChange::Stop(role) => {
                let at = of(*role).ok_or(IpvsRefusal::NotRunning)?;
                running.remove(at);
            }
        }
        let path = self.path.with_file_name(DAEMONS_NAME);
        write(&path, &daemons::format_daemons(&running))
            .map_err(|error| refusal(&path, "written", &error))?;
        Ok(())
    }

    /// Makes one change, as the kernel would. It is in the file after [`Memory::settle`].
    pub(super) fn apply(&mut self, command: &Command) -> Result<(), IpvsRefusal> {
        if !self.is_changed {
            self.refresh()?;
        }
        replay::apply(&mut self.table, command)?;
        self.is_changed = true;
        Ok(())
    }

    /// Writes the changes since the last time. Where that fails they are as never made: the
    /// file is read again.
    pub(super) fn settle(&mut self) -> Result<(), IpvsRefusal> {
        if !std::mem::take(&mut self.is_changed) {
            return Ok(());
        }
        self.known = None;
        let stamp = write(&self.path, &listing::format(&self.table))
            .map_err(|error| refusal(&self.path, "written", &error))?;
        self.remember(stamp);
        Ok(())
    }

    /// Reads the file where it is another than the one that is known.
    fn refresh(&mut self) -> Result<(), IpvsRefusal> {
        let now = match std::fs::metadata(&self.path) {
            Ok(file) => FileStamp::of(&file),
            Err(error) if error.kind() == io::ErrorKind::NotFound => FileStamp::Missing,
            Err(error) => return Err(refusal(&self.path, "read", &error)),
        };
        if self.known == Some(now) {
            return Ok(());
        }
        self.known = None;
        #[cfg(test)]
        {
            self.reads += 1;
        }
        let (stamp, text) = match regular_file::open(&self.path).and_then(read) {
            Ok((stamp, text)) => (stamp, text),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                (FileStamp::Missing, String::new())
            }
            Err(error) => return Err(refusal(&self.path, "read", &error)),
        };
        self.table =
            listing::parse(&text).map_err(|error| unreadable(&self.path, &error.to_string()))?;
        self.remember(stamp);
        Ok(())
    }

    fn remember(&mut self, stamp: FileStamp) {
        self.known = Some(stamp).filter(|stamp| stamp.is_sure(self.clock.now().wall));
    }
}

/// The text of a file beside the table; a missing one is empty.
fn beside(path: &Path, file: io::Result<File>) -> Result<String, IpvsRefusal> {
    match file.and_then(read) {
        Ok((_, text)) => Ok(text),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(String::new()),
        Err(error) => Err(refusal(path, "read", &error)),
    }
}

fn read(file: File) -> io::Result<(FileStamp, String)> {
    // Taken before the content: what is written meanwhile gives the next look another one.
    let metadata = file.metadata()?;
    let mut text = String::new();
    file.take(FILE_MAX + 1).read_to_string(&mut text)?;
    if text.len() as u64 > FILE_MAX {
        return Err(io::Error::other("it is larger than 16 MiB"));
    }
    Ok((FileStamp::of(&metadata), text))
}

fn write(path: &Path, text: &str) -> io::Result<FileStamp> {
    let folder = path.parent().unwrap_or(Path::new("."));
    std::fs::create_dir_all(folder)?;
    // Renamed into place, so that nobody reads half of it.
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    file.write_all(text.as_bytes())?;
    let file = file.persist(path)?;
    Ok(FileStamp::of(&file.metadata()?))
}

fn refusal(path: &Path, what: &str, error: &io::Error) -> IpvsRefusal {
    let path = path.display();
    IpvsRefusal::Other(format!("{path} cannot be {what}: {error}"))
}

fn unreadable(path: &Path, why: &str) -> IpvsRefusal {
    let path = path.display();
    IpvsRefusal::Other(format!("{path}: {why}; mend the file or remove it"))
}

impl From<Conflict> for IpvsRefusal {
    fn from(conflict: Conflict) -> Self {
        match conflict {
            Conflict::ServiceExists | Conflict::ServerExists => Self::Exists,
            Conflict::NoService => Self::NoSuchService,
            Conflict::NoServer => Self::NoSuchServer,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lvs::{
        ConnectionCounts, Family, Forwarding, Interface, RealServer, RealServerKey, Scheduler,
        SyncRole, VirtualService, Weight,
    };

    fn web() -> VirtualServiceKey {
        "10.0.0.3:80/tcp".parse().unwrap()
    }

    fn real() -> RealServerKey {
        RealServerKey("192.168.0.1:80".parse().unwrap())
    }

    #[test]
    fn it_refuses_what_a_kernel_refuses() {
        let folder = tempfile::tempdir().unwrap();
        let mut memory = Memory::new(folder.path().join("state/table"));
        let service = VirtualService::plain(Family::V4, Scheduler::wlc());
        let to = RealServer::new(Forwarding::Dr, Weight(5));
        let add = Command::AddService(web(), service);
        let put = Command::AddServer(web(), real(), to);
        let take = Command::DeleteServer(web(), real());
        let edit = Command::EditServer(web(), real(), to);
        let steps = [
            (&put, Err(IpvsRefusal::NoSuchService)),
            (&take, Err(IpvsRefusal::NoSuchService)),
            (
                &Command::DeleteService(web()),
                Err(IpvsRefusal::NoSuchService),
            ),
            (&add, Ok(())),
            (&add, Err(IpvsRefusal::Exists)),
            (&edit, Err(IpvsRefusal::NoSuchServer)),
            (&put, Ok(())),
            (&put, Err(IpvsRefusal::Exists)),
            (&edit, Ok(())),
            (&take, Ok(())),
            (&take, Err(IpvsRefusal::NoSuchServer)),
            (&put, Ok(())),
        ];
        for (command, outcome) in steps {
            assert_eq!(memory.apply(command), outcome, "{command}");
        }
        assert_eq!(memory.settle(), Ok(()));
        let text = std::fs::read_to_string(folder.path().join("state/table")).unwrap();
        let expected = "-A -t 10.0.0.3:80 -s wlc\n-a -t 10.0.0.3:80 -r 192.168.0.1:80 -g -w 5\n";
        assert_eq!(text, expected);
        let again = Memory::new(folder.path().join("state/table")).list(&|key| *key == web());
        assert_eq!(again.unwrap()[&web()].servers[&real()], to);
        assert_eq!(memory.list(&|_| false), Ok(Table::new()));
    }

    /// A memory whose file holds this table and was written long ago.
    fn old_file(text: &str) -> (tempfile::TempDir, Memory) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("table");
        std::fs::write(&path, text).unwrap();
        let file = File::options().append(true).open(&path).unwrap();
        let long_ago = file.metadata().unwrap().modified().unwrap() - TIME_DOUBTFUL * 2;
        file.set_modified(long_ago).unwrap();
        let memory = Memory::new(path);
        (folder, memory)
    }

    const ONE: &str = "-A -t 10.0.0.3:80 -s wlc\n-a -t 10.0.0.3:80 -r 192.168.0.1:80 -g -w 5\n";

    fn weight(memory: &mut Memory) -> u32 {
        let table = memory.list(&|_| true).unwrap();
        table[&web()].servers[&real()].weight.0
    }

    #[test]
    fn a_pipe_in_place_of_the_file_is_refused_and_nobody_waits_for_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("table");
        nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRWXU).unwrap();
        let (done, listed) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            let _ = done.send(Memory::new(path).list(&|_| true));
        });
        let listed = listed.recv_timeout(Duration::from_secs(10));
        let Ok(Err(IpvsRefusal::Other(why))) = listed else {
            panic!("{listed:?}");
        };
        assert!(why.contains("table cannot be read: "), "{why}");
    }

    #[test]
    fn a_file_that_nobody_touched_is_read_once() {
        let (_folder, mut memory) = old_file(ONE);
        for _ in 0..100 {
            assert_eq!(weight(&mut memory), 5);
        }
        assert_eq!(memory.reads, 1);
    }

    #[test]
    fn an_edit_is_seen_even_if_only_the_content_differs() {
        let (folder, mut memory) = old_file(ONE);
        let path = folder.path().join("table");
        assert_eq!(weight(&mut memory), 5);
        std::fs::write(&path, ONE.replace("-w 5", "-w 7")).unwrap();
        let modified = std::fs::metadata(&path).unwrap().modified().unwrap();
        assert_eq!(weight(&mut memory), 7);
        // Same length, same file, and within the same tick of the file system's clock.
        std::fs::write(&path, ONE.replace("-w 5", "-w 8")).unwrap();
        let file = File::options().append(true).open(&path).unwrap();
        file.set_modified(modified).unwrap();
        assert_eq!(weight(&mut memory), 8);
        std::fs::remove_file(&path).unwrap();
        assert_eq!(memory.list(&|_| true), Ok(Table::new()));
    }

    #[test]
    fn a_batch_is_one_write() {
        let (folder, mut memory) = old_file(ONE);
        let path = folder.path().join("table");
        let inode = std::fs::metadata(&path).unwrap().ino();
        for weight in 6..1_000 {
            let to = RealServer::new(Forwarding::Dr, Weight(weight));
            let edit = Command::EditServer(web(), real(), to);
            assert_eq!(memory.apply(&edit), Ok(()));
        }
        assert_eq!(memory.reads, 1);
        assert_eq!(std::fs::metadata(&path).unwrap().ino(), inode);
        assert_eq!(memory.settle(), Ok(()));
        assert!(
            std::fs::read_to_string(&path)
                .unwrap()
                .ends_with("-w 999\n")
        );
        assert_eq!(weight(&mut memory), 999);
    }

    #[test]
    fn what_cannot_be_written_was_never_changed() {
        let (folder, mut memory) = old_file(ONE);
        let path = folder.path().join("table");
        assert_eq!(memory.apply(&Command::DeleteService(web())), Ok(()));
        std::fs::remove_file(&path).unwrap();
        std::fs::create_dir(&path).unwrap();
        let refusal = memory.settle().unwrap_err().to_string();
        assert!(refusal.contains("cannot be written: "), "{refusal}");
        std::fs::remove_dir(&path).unwrap();
        std::fs::write(&path, ONE).unwrap();
        assert_eq!(weight(&mut memory), 5);
    }

    #[test]
    fn connections_stand_in_a_file_beside_it() {
        let (folder, mut memory) = old_file(ONE);
        let look = memory.look(&|_| true).unwrap();
        assert_eq!((look.table.len(), look.connections.len()), (1, 0));
        let text = "TCP 10.0.0.3:80\n -> 192.168.0.1:80 5 2 3 1\n -> 192.168.0.2:80 5 0 1 1\n";
        std::fs::write(folder.path().join("connections"), text).unwrap();
        let look = memory.look(&|_| true).unwrap();
        let counts = ConnectionCounts {
            active: 3,
            inactive: 1,
            persistent: 2,
        };
        // The other real server is not in the table.
        assert_eq!(look.connections, [((web(), real()), counts)].into());
        std::fs::write(folder.path().join("connections"), " -> ?").unwrap();
        let refusal = memory.look(&|_| true).unwrap_err().to_string();
        assert!(refusal.contains("mend the file or remove it"), "{refusal}");
    }

    #[test]
    fn one_daemon_of_each_role_runs_and_outlives_us() {
        let folder = tempfile::tempdir().unwrap();
        let memory = || Memory::new(folder.path().join("table"));
        let daemon = |role| SyncDaemon::new(role, Interface::new("eth0").unwrap(), 7);
        let (master, backup) = (daemon(SyncRole::Master), daemon(SyncRole::Backup));
        let start = SyncChange::Start(master.clone());
        let stop = SyncChange::Stop(SyncRole::Master);
        assert_eq!(memory().sync_daemons(), Ok(Vec::new()));
        assert_eq!(memory().apply_sync(&stop), Err(IpvsRefusal::NotRunning));
        assert_eq!(memory().apply_sync(&start), Ok(()));
        assert_eq!(memory().apply_sync(&start), Err(IpvsRefusal::Exists));
        assert_eq!(
            memory().apply_sync(&SyncChange::Start(backup.clone())),
            Ok(())
        );
        assert_eq!(memory().sync_daemons(), Ok(vec![master, backup.clone()]));
        assert_eq!(memory().apply_sync(&stop), Ok(()));
        assert_eq!(memory().sync_daemons(), Ok(vec![backup]));
        std::fs::write(folder.path().join("daemons"), "?").unwrap();
        let refusal = memory().sync_daemons().unwrap_err().to_string();
        assert!(refusal.contains("mend the file or remove it"), "{refusal}");
    }

    #[test]
    fn a_folder_in_its_place_is_said() {
        let folder = tempfile::tempdir().unwrap();
        let mut memory = Memory::new(folder.path().to_owned());
        let refusal = memory.list(&|_| true).unwrap_err().to_string();
        assert!(refusal.contains("cannot be read: "), "{refusal}");
    }
}
