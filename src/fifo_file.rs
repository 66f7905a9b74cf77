//! Is it a FIFO that nobody else may write to?
//!
//! Whoever may write to it says who is active, so that it has to be as safe as the configuration
//! (D27). The daemon asks before it listens, `lvsmon check --host` before there is a daemon.

use std::fs::{self, Metadata};
use std::io;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::Path;

use nix::unistd::{getegid, geteuid};

/// Who may write into a FIFO that is listened to, root apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Writers {
    /// The user to whom it belongs, who is root or lvsmon's own.
    User,
    /// Its group too, which is root's or lvsmon's own.
    UserAndGroup,
}

/// Why a file is not listened to.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Deaf {
    /// It may be made later: nobody's mistake.
    Missing,
    /// Nor is there the folder in which it would be made.
    NoFolder,
    /// Somebody has to do something.
    Wrong(String),
}

/// Looks at what has this name, without opening it.
pub(crate) fn look(path: &Path) -> Result<Writers, Deaf> {
    let has_no_folder = || path.parent().is_some_and(|folder| !folder.exists());
    match fs::symlink_metadata(path) {
        Ok(named) => check(&named),
        Err(error) if error.kind() == io::ErrorKind::NotFound && has_no_folder() => {
            Err(Deaf::NoFolder)
        }
        Err(error) => Err(deaf(&error)),
    }
}

/// What the system's refusal means.
pub(crate) fn deaf(error: &io::Error) -> Deaf {
    if error.kind() == io::ErrorKind::NotFound {
        return Deaf::Missing;
    }
    Deaf::Wrong(if error.kind() == io::ErrorKind::PermissionDenied {
        "permission denied; lvsmon opens it for reading and writing: name lvsmon's user behind \
         notify_fifo in keepalived.conf"
            .to_owned()
    } else {
        error.to_string()
    })
}

/// Whether what was opened, or has the name, is such a FIFO.
pub(crate) fn check(metadata: &Metadata) -> Result<Writers, Deaf> {
    let wrong = |why: &str| Err(Deaf::Wrong(why.to_owned()));
    let kind = metadata.file_type();
    if kind.is_symlink() {
        return wrong("it is a symbolic link; name the FIFO itself");
    }
    if !kind.is_fifo() {
        return wrong(
            "it is no FIFO; take it away, and the VRRP daemon makes one when it is started",
        );
    }
    let (user, group) = (geteuid().as_raw(), getegid().as_raw());
    if ![0, user].contains(&metadata.uid()) {
        return wrong("it belongs to another user, who could say who is active; chown it");
    }
    let mode = metadata.mode();
    let has_group = mode & 0o020 != 0;
    let is_group_safe = !has_group || [0, group].contains(&metadata.gid());
    if mode & 0o002 != 0 || !is_group_safe {
        return wrong("others may write to it and say who is active; chmod 600 it");
    }
    Ok(match has_group {
        false => Writers::User,
        true => Writers::UserAndGroup,
    })
}
