//! Files with passwords and keys: read at each use, refused when others could have read them.

use std::fmt;
use std::io::Read as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

/// A password, a key or a token; its `Debug` shows nothing.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Secret(String);

impl Secret {
    /// A secret that did not come from a file.
    pub(crate) const fn new(text: String) -> Self {
        Self(text)
    }

    /// The text itself, for the one place that needs it.
    pub(crate) fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("***")
    }
}

/// Largest secret: a key of any kind is far smaller.
const SECRET_MAX: u64 = 64 * 1024;
/// Who else may not read: everybody. A group may, so that the daemon need not own the file.
const FORBIDDEN_MODE: u32 = 0o027;

/// Reads a file with a secret; line ends at its end are left out.
///
/// # Errors
///
/// A file that is absent, empty, too large, not a plain file, or that others may read or change.
pub(crate) async fn read(path: &Path) -> Result<Secret, String> {
    let owned: PathBuf = path.to_owned();
    let result = tokio::task::spawn_blocking(move || read_now(&owned)).await;
    result
        .unwrap_or_else(|error| Err(error.to_string()))
        .map_err(|reason| format!("cannot use {}: {reason}", path.display()))
}

fn read_now(path: &Path) -> Result<Secret, String> {
    // Before it is opened: opening a FIFO would wait for a writer.
    if !std::fs::metadata(path)
        .map_err(|error| error.to_string())?
        .is_file()
    {
        return Err("it is not a plain file".to_owned());
    }
    let file = std::fs::File::open(path).map_err(|error| error.to_string())?;
    let found = file.metadata().map_err(|error| error.to_string())?;
    if found.mode() & FORBIDDEN_MODE != 0 {
        return Err(format!(
            "its mode {:04o} lets others read or change it; say chmod 0600",
            found.mode() & 0o7777
        ));
    }
    let own = nix::unistd::geteuid().as_raw();
    if found.uid() != 0 && found.uid() != own {
        return Err(format!(
            "it belongs to user {}, neither to root nor to this process",
            found.uid()
        ));
    }
    let mut text = String::new();
    let count = file
        .take(SECRET_MAX + 1)
        .read_to_string(&mut text)
        .map_err(|error| error.to_string())?;
    if count as u64 > SECRET_MAX {
        return Err("it is larger than 64 KiB".to_owned());
    }
    let text = text.trim_end_matches(['\r', '\n']);
    if text.is_empty() {
        return Err("it is empty".to_owned());
    }
    Ok(Secret(text.to_owned()))
}

/// The user and the password of a `mail_login` file: lines `user NAME` and `password WORD`;
/// blank lines and lines that start with `#` are skipped.
pub(crate) fn login(text: &Secret) -> Result<(String, Secret), String> {
    let mut user = None;
    let mut password = None;
    for line in text.reveal().lines() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        match line.split_once(|c: char| c.is_whitespace()) {
            Some(("user", name)) => user = Some(name.trim().to_owned()),
            Some(("password", word)) => password = Some(Secret(word.trim().to_owned())),
            _ => {
                return Err("it must hold the lines \"user NAME\" and \"password WORD\"".to_owned());
            }
        }
    }
    match (user, password) {
        (Some(user), Some(password)) => Ok((user, password)),
        (None, _) => Err("it has no line \"user NAME\"".to_owned()),
        (_, None) => Err("it has no line \"password WORD\"".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn file(content: &[u8], mode: u32) -> tempfile::NamedTempFile {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), content).unwrap();
        let mode = std::fs::Permissions::from_mode(mode);
        std::fs::set_permissions(file.path(), mode).unwrap();
        file
    }

    #[test]
    fn a_private_file_is_read_without_its_line_end() {
        for mode in [0o600, 0o400, 0o640] {
            let file = file(b"s3cret word\r\n", mode);
            assert_eq!(read_now(file.path()).unwrap().reveal(), "s3cret word");
        }
    }

    #[test]
    fn a_file_that_others_may_read_or_change_is_refused() {
        for mode in [0o644, 0o604, 0o660, 0o602] {
            let error = read_now(file(b"x", mode).path()).unwrap_err();
            assert!(error.contains("chmod 0600"), "{error}");
        }
    }

    #[test]
    fn what_is_no_secret_is_refused() {
        assert!(
            read_now(Path::new("/dev/zero"))
                .unwrap_err()
                .contains("plain")
        );
        assert!(read_now(Path::new("/no/such")).is_err());
        assert!(
            read_now(file(b"\n", 0o600).path())
                .unwrap_err()
                .contains("empty")
        );
        let large = vec![b'x'; 70_000];
        assert!(
            read_now(file(&large, 0o600).path())
                .unwrap_err()
                .contains("64")
        );
    }

    #[test]
    fn a_secret_is_not_shown() {
        assert_eq!(format!("{:?}", Secret("x".to_owned())), "***");
    }

    #[test]
    fn login_lines_are_read() {
        let text = Secret("# relay\n\nuser mon\npassword  a b \n".to_owned());
        let (user, password) = login(&text).unwrap();
        assert_eq!((user.as_str(), password.reveal()), ("mon", "a b"));
        for bad in ["user x", "password y", "mon:secret", "user x\npasswort y"] {
            assert!(login(&Secret(bad.to_owned())).is_err(), "{bad}");
        }
    }
}
