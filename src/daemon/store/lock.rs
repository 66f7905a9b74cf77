//! The lock on the state folder, and the folder itself.

use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};

use super::StoreError;
use crate::folder;

/// The lock on a state folder: one daemon for each. Ends with the process, kill -9 included.
#[derive(Debug)]
pub struct Lock {
    _file: Flock<File>,
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
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&path)
            .map_err(StoreError::file("open", &path))?;
        match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
            Ok(mut lock) => {
                // The number only serves the message of the next one; a full disk may refuse it.
                let number = format!("{}\n", std::process::id());
                let _ = lock
                    .set_len(0)
                    .and_then(|()| lock.write_all(number.as_bytes()));
                Ok(Self { _file: lock })
            }
            Err((mut file, Errno::EWOULDBLOCK)) => Err(StoreError::Locked {
                folder: folder.to_owned(),
                who: holder(&mut file),
            }),
            Err((_, errno)) => Err(StoreError::file("lock", &path)(errno.into())),
        }
    }
}

fn holder(file: &mut File) -> String {
    let mut text = String::new();
    let read = file.take(32).read_to_string(&mut text);
    match (read, text.trim().parse::<u32>()) {
        (Ok(_), Ok(number)) => format!(" (process {number})"),
        (Ok(_) | Err(_), _) => String::new(),
    }
}

/// Makes the state folder where it is missing; only its owner may look into it.
pub(super) fn make_folder(path: &Path) -> Result<(), StoreError> {
    folder::make(path).map_err(StoreError::file("make the state folder", path))
}
