//! How is a file opened whose name a person wrote, so that nobody waits for it?
//!
//! A pipe under that name would hold up who opens it for ever, and a device may do anything.

use std::fmt;
use std::fs::{File, FileType, Metadata, OpenOptions};
use std::io;
use std::os::unix::fs::{FileTypeExt as _, OpenOptionsExt as _};
use std::path::Path;

use nix::fcntl::OFlag;

/// Opens a file for reading, and waits for nobody. It may be as long as it likes: who reads it
/// has a bound of their own.
///
/// # Errors
///
/// It cannot be opened, or is none, [`NotRegular::in_error`]. It is looked at when it is open:
/// what stands under the name may change between a look and the opening.
pub(crate) fn open(path: &Path) -> io::Result<File> {
    open_as(path, OpenOptions::new().read(true))
}

/// Opens a file for adding to its end, makes it where there is none, and waits for nobody.
///
/// # Errors
///
/// As of [`open`].
pub(crate) fn open_to_append(path: &Path) -> io::Result<File> {
    open_as(path, OpenOptions::new().append(true).create(true))
}

/// Opens a file as the options say, and waits for nobody.
///
/// # Errors
///
/// As of [`open`].
pub(crate) fn open_as(path: &Path, options: &mut OpenOptions) -> io::Result<File> {
    let what = |found: &Metadata| NotRegular::of(found.file_type());
    let file = match options.custom_flags(OFlag::O_NONBLOCK.bits()).open(path) {
        Ok(file) => file,
        // Of a pipe without a reader the system says that it is no such device.
        Err(error) => {
            let found = std::fs::metadata(path).ok();
            let found = found.as_ref().and_then(what);
            return Err(found.map_or(error, io::Error::other));
        }
    };
    match what(&file.metadata()?) {
        None => Ok(file),
        Some(what) => Err(io::Error::other(what)),
    }
}

/// What it is, where it is not a regular file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NotRegular {
    /// One can be opened, and not read.
    Folder,
    /// It waits for a writer.
    Pipe,
    /// It cannot be opened.
    Socket,
    /// Of blocks or of characters.
    Device,
}

impl NotRegular {
    /// None where it is a regular file.
    pub(crate) fn of(file: FileType) -> Option<Self> {
        if file.is_file() {
            None
        } else if file.is_dir() {
            Some(Self::Folder)
        } else if file.is_fifo() {
            Some(Self::Pipe)
        } else if file.is_socket() {
            Some(Self::Socket)
        } else {
            Some(Self::Device)
        }
    }

    /// What [`open`] found, where its error is that and not the system's.
    pub(crate) fn in_error(error: &io::Error) -> Option<Self> {
        error.get_ref()?.downcast_ref().copied()
    }
}

impl fmt::Display for NotRegular {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Folder => "it is a folder",
            Self::Pipe => "it is a pipe (FIFO), not a regular file",
            Self::Socket => "it is a socket, not a regular file",
            Self::Device => "it is a device, not a regular file",
        })
    }
}

impl std::error::Error for NotRegular {}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};

    use nix::sys::stat::Mode;

    use super::*;

    #[test]
    fn what_is_no_regular_file_is_named_and_nobody_waits_for_a_pipe() {
        let folder = tempfile::tempdir().unwrap();
        let pipe = folder.path().join("pipe");
        nix::unistd::mkfifo(&pipe, Mode::S_IRWXU).unwrap();
        for open in [open, open_to_append] {
            let found = |path: &Path| NotRegular::in_error(&open(path).unwrap_err());
            assert_eq!(found(&pipe), Some(NotRegular::Pipe));
            assert_eq!(found(folder.path()), Some(NotRegular::Folder));
            assert_eq!(found(Path::new("/dev/null")), Some(NotRegular::Device));
            assert_eq!(found(&folder.path().join("nowhere/nothing")), None);
        }
        let file = folder.path().join("file");
        open_to_append(&file).unwrap().write_all(b"te").unwrap();
        open_to_append(&file).unwrap().write_all(b"xt").unwrap();
        let mut text = String::new();
        open(&file).unwrap().read_to_string(&mut text).unwrap();
        assert_eq!(text, "text");
    }
}
