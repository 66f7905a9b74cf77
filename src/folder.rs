//! Folders that only their owner may look into, and whose names survive a crash of the system.
//!
//! Blocking. A file that was synced is still lost where the name of its folder is not.

use std::fs::{DirBuilder, File};
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::Path;

use nix::errno::Errno;

/// Makes a folder where it is missing, with those above it, so that it survives a crash.
///
/// # Errors
///
/// It cannot be made, or the disk does not take its name.
pub(crate) fn make(folder: &Path) -> io::Result<()> {
    // Found before it is made: afterwards none is missing.
    let changed: Vec<&Path> = holders(folder).collect();
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)?;
    for holder in changed {
        match sync(holder) {
            // One may be allowed to write into a folder and not to read it.
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {}
            result => result?,
        }
    }
    Ok(())
}

/// The folders that get a new name in them when `folder` is made, the nearest first.
fn holders(folder: &Path) -> impl Iterator<Item = &Path> {
    let missing = folder.ancestors().take_while(|path| !is_there(path));
    missing.filter_map(Path::parent).map(named)
}

fn is_there(path: &Path) -> bool {
    named(path).exists()
}

/// The working folder by a name that can be opened: the parent of `state` is empty.
fn named(path: &Path) -> &Path {
    if path.as_os_str().is_empty() {
        Path::new(".")
    } else {
        path
    }
}

/// Makes the names in a folder survive a crash.
///
/// # Errors
///
/// The folder cannot be opened, or the disk does not take them.
pub(crate) fn sync(folder: &Path) -> io::Result<()> {
    match File::open(folder)?.sync_all() {
        // Some file systems cannot do that and need not.
        Err(error) if error.raw_os_error() == Some(Errno::EINVAL as i32) => Ok(()),
        result => result,
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn held(folder: &Path) -> Vec<&Path> {
        holders(folder).collect()
    }

    #[test]
    fn every_folder_that_gets_a_new_name_is_synced() {
        let top = tempfile::tempdir().unwrap();
        let state = top.path().join("state");
        let spool = state.join("spool");
        assert_eq!(held(&spool), [state.as_path(), top.path()]);
        make(&spool).unwrap();
        assert_eq!(held(&spool), Vec::<&Path>::new());
        let mode = |path: &Path| path.metadata().unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&state), mode(&spool)), (0o700, 0o700));
        make(&spool).unwrap();
        let here = Path::new("no-such-folder");
        assert_eq!(held(here), [Path::new(".")]);
    }

    #[test]
    fn a_file_system_that_cannot_sync_folders_is_no_fault() {
        let folder = Path::new("/proc/self");
        let error = File::open(folder).unwrap().sync_all().unwrap_err();
        assert_eq!(error.raw_os_error(), Some(Errno::EINVAL as i32));
        sync(folder).unwrap();
        let gone = sync(Path::new("/no/such/folder")).unwrap_err();
        assert_eq!(gone.kind(), io::ErrorKind::NotFound);
    }
}
