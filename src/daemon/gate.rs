//! Who may ask for what: `authfile` and `userfile` as they were read last.
//!
//! What the files mean is in [`crate::protocol::auth`]. Everything here blocks, and is called
//! at the start and from threads of its own.

use std::fs::File;
use std::io::{self, Read as _};
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use nix::unistd::User;

use crate::model::{AuthSettings, AuthType};
use crate::protocol::Credentials;
use crate::protocol::auth::{self, AuthRules, FILE_MAX, Mistake, Read, UserFile};
use crate::protocol::crypt::PasswordHash;

/// Why the rules cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum GateError {
    /// A file cannot be read.
    #[error("cannot read {}: {error}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        error: io::Error,
    },
    /// A file has mistakes.
    #[error("{}:{line}: {what}", path.display())]
    Wrong {
        /// The file.
        path: PathBuf,
        /// Line of the first mistake.
        line: u32,
        /// What is wrong.
        what: String,
    },
}

/// What both files say.
#[derive(Debug)]
pub(super) struct Gate {
    rules: AuthRules,
    users: UserFile,
    ways: Vec<AuthType>,
}

impl Gate {
    /// Reads both files. Without an authfile that somebody named, nobody may anything.
    pub(super) fn read(settings: &AuthSettings) -> Result<Self, GateError> {
        let is_named = settings.is_authfile_named;
        let rules = read(&settings.authfile, is_named, AuthRules::read)?;
        let users = if settings.authtype.contains(&AuthType::Userfile) {
            read(&settings.userfile, true, |text| {
                let mut users = UserFile::read(text);
                // One user's line is no matter of the others.
                let mistakes = std::mem::take(&mut users.mistakes);
                users.warnings.extend(mistakes);
                users
            })?
        } else {
            UserFile::default()
        };
        Ok(Self {
            rules,
            users,
            ways: settings.authtype.clone(),
        })
    }

    /// Who may what.
    pub(super) const fn rules(&self) -> &AuthRules {
        &self.rules
    }

    /// Whether the password is right, by any of the ways. May take some seconds.
    pub(super) fn accepts(&self, credentials: &Credentials, peer: IpAddr) -> bool {
        let Credentials { user, password } = credentials;
        self.ways
            .iter()
            .any(|&way| auth::accepts(way, user, password, peer, &self.users, hash_of_system))
    }
}

/// Reads one file. A mistake in it ends the reading of both, a warning is logged.
fn read<T: Default>(
    path: &Path,
    is_needed: bool,
    meaning: impl Fn(&str) -> Read<T>,
) -> Result<T, GateError> {
    let text = match text(path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound && !is_needed => {
            tracing::warn!(path = %path.display(), "no authfile, so clients may ask for nothing");
            return Ok(T::default());
        }
        Err(error) => {
            let path = path.to_owned();
            return Err(GateError::Unreadable { path, error });
        }
    };
    let read = meaning(&text);
    for Mistake { line, what } in &read.warnings {
        tracing::warn!(path = %path.display(), line, what, "who may do what");
    }
    match read.mistakes.into_iter().next() {
        Some(Mistake { line, what }) => Err(GateError::Wrong {
            path: path.to_owned(),
            line,
            what,
        }),
        None => Ok(read.rules),
    }
}

fn text(path: &Path) -> io::Result<String> {
    let mut bytes = Vec::new();
    File::open(path)?
        .take(FILE_MAX + 1)
        .read_to_end(&mut bytes)?;
    if u64::try_from(bytes.len()).unwrap_or(u64::MAX) > FILE_MAX {
        return Err(io::Error::other(format!(
            "it is longer than {FILE_MAX} bytes"
        )));
    }
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// The hash in the system's list of users; nearly everywhere it stands in a shadow file, which
/// `getpwnam` does not read.
fn hash_of_system(user: &str) -> Option<PasswordHash> {
    let known = User::from_name(user).ok().flatten()?;
    PasswordHash::parse(known.passwd.to_str().ok()?).ok()
}
