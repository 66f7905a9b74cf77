//! The lock on the state folder, and the folder itself.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};

use super::StoreError;
use crate::folder;
use crate::regular_file::{self, NotRegular};

/// How often the system's list of locks is read before a lock counts as free: it is read a piece at
/// a time, and one that ends meanwhile takes the next one's place, which is then in no piece.
const LIST_READS: usize = 5;

/// The lock on a state folder: one daemon for each. Ends with the process, kill -9 included.
#[derive(Debug)]
pub struct Lock {
    path: PathBuf,
    file: Flock<File>,
}

impl Lock {
    /// Takes the lock of a state folder, which is made where it is missing.
    ///
    /// # Errors
    ///
    /// Another daemon has it, or the folder cannot be written.
    pub fn take(folder: &Path) -> Result<Self, StoreError> {
        make_folder(folder)?;
        let path = folder.join("lock");
        let file = open(&path).map_err(|error| {
            let error = of_a_link(&path, error);
            StoreError::file("open", &path)(error)
        })?;
        match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
            Ok(mut lock) => {
                // The number only serves the message of the next one; a full disk may refuse it.
                let number = format!("{}\n", std::process::id());
                let _ = lock
                    .set_len(0)
                    .and_then(|()| lock.write_all(number.as_bytes()));
                Ok(Self { path, file: lock })
            }
            Err((mut file, Errno::EWOULDBLOCK)) => Err(StoreError::Locked {
                folder: folder.to_owned(),
                who: holder(&mut file),
            }),
            Err((_, errno)) => Err(StoreError::file("lock", &path)(errno.into())),
        }
    }

    /// Whether the locked file is still the one of its name: only then it keeps others away. A
    /// disk that answers with an error is no reason for doubt.
    pub(crate) fn has_its_name(&self) -> bool {
        let Ok(ours) = self.file.metadata() else {
            return true;
        };
        match std::fs::symlink_metadata(&self.path) {
            Ok(named) => (named.dev(), named.ino()) == (ours.dev(), ours.ino()),
            Err(error) => error.kind() != std::io::ErrorKind::NotFound,
        }
    }
}

/// What a person should do about a link whose file cannot even be made.
fn of_a_link(path: &Path, error: io::Error) -> io::Error {
    if error.kind() == io::ErrorKind::NotFound && path.is_symlink() {
        return io::Error::other("it is a link to nothing; remove it");
    }
    error
}

/// Opens the file, and makes it where there is none. What is none has never been a lock, and
/// whoever asks it who holds the lock would wait: it goes, but for a folder.
fn open(path: &Path) -> io::Result<File> {
    let open = || {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false);
        regular_file::open_as(path, options.mode(0o600))
    };
    open().or_else(|error| match NotRegular::in_error(&error) {
        None | Some(NotRegular::Folder) => Err(error),
        Some(what) => {
            std::fs::remove_file(path)?;
            tracing::warn!(file = %path.display(), %what, "what stood in the place of the lock is removed");
            open()
        }
    })
}

/// The process that holds the lock of a state folder, as the system's list of locks says;
/// none where nobody does or that cannot be told. Takes no lock itself, not for a moment: a
/// daemon that starts just then would be refused. Source: proc_locks(5).
pub(crate) fn holder_of(folder: &Path) -> Option<u32> {
    let mut file = regular_file::open(&folder.join("lock")).ok()?;
    let inode = file.metadata().ok()?.ino();
    let number = number_in(&mut file)?;
    let is_listed = || {
        let locks = std::fs::read_to_string("/proc/locks");
        locks.is_ok_and(|it| it.lines().any(|line| is_lock_of(line, number, inode)))
    };
    (0..LIST_READS).any(|_| is_listed()).then_some(number)
}

/// Whether a line of /proc/locks is that of this process on a file of this inode number:
/// `1: FLOCK  ADVISORY  WRITE 708 08:13:2129 0 EOF`.
fn is_lock_of(line: &str, process: u32, inode: u64) -> bool {
    let words: Vec<&str> = line.split_whitespace().collect();
    let [_, "FLOCK", _, "WRITE", holder, file, ..] = words.as_slice() else {
        return false;
    };
    let of = file.rsplit(':').next();
    holder.parse() == Ok(process) && of.and_then(|it| it.parse().ok()) == Some(inode)
}

/// The process number that a lock file holds.
fn number_in(file: &mut File) -> Option<u32> {
    let mut text = String::new();
    file.take(32).read_to_string(&mut text).ok()?;
    text.trim().parse().ok()
}

fn holder(file: &mut File) -> String {
    number_in(file).map_or_else(String::new, |number| format!(" (process {number})"))
}

/// Makes the state folder where it is missing; only its owner may look into it.
pub(super) fn make_folder(path: &Path) -> Result<(), StoreError> {
    folder::make(path).map_err(StoreError::file("make the state folder", path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_holds_the_lock_can_be_asked_without_taking_it() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(holder_of(folder.path()), None);
        let lock = Lock::take(folder.path()).unwrap();
        assert_eq!(holder_of(folder.path()), Some(std::process::id()));
        drop(lock);
        assert_eq!(holder_of(folder.path()), None);
    }

    /// The list moves up under whoever reads it.
    #[test]
    fn who_holds_the_lock_is_found_while_others_take_and_leave_theirs() {
        let folder = tempfile::tempdir().unwrap();
        let is_over = std::sync::atomic::AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let others = tempfile::tempdir().unwrap();
                while !is_over.load(std::sync::atomic::Ordering::Relaxed) {
                    let all = (0..200).map(|n| Lock::take(&others.path().join(n.to_string())));
                    drop(all.collect::<Result<Vec<_>, _>>().unwrap());
                }
            });
            let is_found = |_: &u32| {
                let _lock = Lock::take(folder.path()).unwrap();
                holder_of(folder.path()).is_some()
            };
            let found = (0..2_000).filter(is_found).count();
            is_over.store(true, std::sync::atomic::Ordering::Relaxed);
            assert_eq!(found, 2_000);
        });
    }

    /// A pipe would hold up who asks for ever.
    #[test]
    fn what_is_no_file_is_put_out_of_the_way_and_nobody_waits_for_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lock");
        let pipe = || nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRWXU).unwrap();
        pipe();
        assert_eq!(holder_of(folder.path()), None);
        let lock = Lock::take(folder.path()).unwrap();
        assert!(std::fs::symlink_metadata(&path).unwrap().is_file());
        assert_eq!(holder_of(folder.path()), Some(std::process::id()));
        let refused = Lock::take(folder.path()).unwrap_err();
        assert!(matches!(refused, StoreError::Locked { .. }), "{refused}");
        drop(lock);
        std::fs::remove_file(&path).unwrap();
        std::os::unix::fs::symlink("/dev/null", &path).unwrap();
        drop(Lock::take(folder.path()).unwrap());
        assert!(std::fs::symlink_metadata(&path).unwrap().is_file());
        std::fs::remove_file(&path).unwrap();
        std::os::unix::fs::symlink("/nowhere/lock", &path).unwrap();
        let error = Lock::take(folder.path()).unwrap_err().to_string();
        let said = format!(
            "cannot open {}: it is a link to nothing; remove it",
            path.display()
        );
        assert_eq!(error, said);
        std::fs::remove_file(&path).unwrap();
        std::fs::create_dir(&path).unwrap();
        let error = Lock::take(folder.path()).unwrap_err().to_string();
        let path = path.display();
        assert_eq!(
            error,
            format!(
                "cannot open {path}: it is a folder; remove it, or set \"statedir\" to another folder"
            )
        );
    }

    #[test]
    fn lines_of_other_locks_are_told_apart() {
        let line = "1: FLOCK  ADVISORY  WRITE 708 08:13:2129 0 EOF";
        assert!(is_lock_of(line, 708, 2129));
        assert!(!is_lock_of(line, 709, 2129));
        assert!(!is_lock_of(line, 708, 129));
        assert!(!is_lock_of(&line.replace("FLOCK", "POSIX"), 708, 2129));
        assert!(!is_lock_of("", 708, 2129));
    }
}
