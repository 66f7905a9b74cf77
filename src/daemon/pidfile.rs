//! How another program finds this one: a file with the number of the process.

use std::fs;
use std::path::{Path, PathBuf};

/// The file; taken away when this is dropped, unless it speaks of another process by then.
#[derive(Debug)]
pub(super) struct PidFile {
    path: PathBuf,
    text: String,
}

impl PidFile {
    /// Writes it, in place: its folder often belongs to somebody else. As in mon, a daemon that
    /// cannot write it goes on; it is said.
    pub(super) fn write(path: &Path) -> Option<Self> {
        let text = format!("{}\n", std::process::id());
        match fs::write(path, &text) {
            Ok(()) => Some(Self {
                path: path.to_owned(),
                text,
            }),
            Err(error) => {
                tracing::warn!(path = %path.display(), %error, "cannot write the pidfile");
                None
            }
        }
    }
}

impl Drop for PidFile {
    fn drop(&mut self) {
        let is_ours = fs::read(&self.path).is_ok_and(|bytes| bytes == self.text.as_bytes());
        if !is_ours {
            return;
        }
        if let Err(error) = fs::remove_file(&self.path) {
            let path = self.path.display();
            tracing::warn!(%path, %error, "cannot take the pidfile away");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pidfile_goes_with_its_process_and_leaves_that_of_another() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("own.pid");
        let file = PidFile::write(&path).unwrap();
        let text = fs::read_to_string(&path).unwrap();
        assert_eq!(text, format!("{}\n", std::process::id()));
        drop(file);
        assert!(!path.exists());

        let file = PidFile::write(&path).unwrap();
        fs::write(&path, "1\n").unwrap();
        drop(file);
        assert_eq!(fs::read_to_string(&path).unwrap(), "1\n");
    }

    #[test]
    fn a_pidfile_that_cannot_be_written_hinders_nobody() {
        assert!(PidFile::write(Path::new("/nowhere/own.pid")).is_none());
    }
}
