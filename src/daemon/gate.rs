//! Who may ask for what: `authfile` and `userfile` as they were read last.
//!
//! What the files mean is in [`crate::protocol::auth`], who reads them in [`crate::site`].
//! Everything here blocks, and is called at the start and from threads of its own.

use std::net::IpAddr;

use nix::unistd::User;

use crate::config::Diagnostic;
use crate::daemon::mistakes;
use crate::model::{AuthSettings, AuthType};
use crate::protocol::Credentials;
use crate::protocol::auth::{self, AuthRules, UserFile};
use crate::protocol::crypt::PasswordHash;
use crate::site::{self, Access};

/// Why the rules cannot be used: a file cannot be read, or has mistakes.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct GateError(String);

impl GateError {
    /// The first mistake, and how many there are.
    fn of(mistakes: &[&Diagnostic]) -> Option<Self> {
        let first = mistakes.first()?;
        let place = first.place.as_ref().map(|place| format!("{place}: "));
        let more = match mistakes.len() {
            1 => String::new(),
            count => format!("; {count} mistakes in all, lvsmon check shows them"),
        };
        let place = place.unwrap_or_default();
        Some(Self(format!("{place}{}{more}", first.message)))
    }
}

/// What both files say.
#[derive(Debug)]
pub(super) struct Gate {
    rules: AuthRules,
    users: UserFile,
    ways: Vec<AuthType>,
}

impl Gate {
    /// Reads both files, and logs what is odd in them. Without an authfile that somebody named,
    /// nobody may anything.
    pub(super) fn read(settings: &AuthSettings) -> Result<Self, GateError> {
        let access = site::read_access(settings);
        let Access {
            rules,
            users,
            has_authfile,
            findings,
        } = access;
        if !has_authfile {
            let path = settings.authfile.display();
            tracing::warn!(%path, "no authfile, so clients may ask for nothing");
        }
        let (mistakes, warnings): (Vec<&Diagnostic>, Vec<&Diagnostic>) =
            findings.iter().partition(|finding| finding.is_error());
        mistakes::log_warnings(&warnings);
        match GateError::of(&mistakes) {
            Some(error) => Err(error),
            None => Ok(Self {
                rules,
                users,
                ways: settings.authtype.clone(),
            }),
        }
    }

    /// Who may what.
    pub(super) const fn rules(&self) -> &AuthRules {
        &self.rules
    }

    /// Whether the password is right, by any of the ways, else why the user is not let in, for
    /// the log. May take some seconds.
    pub(super) fn look(&self, credentials: &Credentials, peer: IpAddr) -> Result<(), String> {
        let Credentials { user, password } = credentials;
        let system = |user: &str| hash_of_system(user).and_then(Result::ok);
        let is_right =
            |way: &AuthType| auth::accepts(*way, user, password, peer, &self.users, system);
        if self.ways.iter().any(is_right) {
            return Ok(());
        }
        let unusable = |way: &AuthType| match way {
            AuthType::Userfile => self.users.unusable(user).map(str::to_owned),
            AuthType::Getpwnam => hash_of_system(user)?.err(),
            AuthType::Trustlocal => None,
        };
        let why = self.ways.iter().find_map(unusable);
        Err(why.unwrap_or_else(|| "unknown user or wrong password".to_owned()))
    }
}

/// The hash in the system's list of users, or why it is of no use; nearly everywhere it stands in
/// a shadow file, which `getpwnam` does not read.
fn hash_of_system(user: &str) -> Option<Result<PasswordHash, String>> {
    let known = User::from_name(user).ok().flatten()?;
    let text = known.passwd.to_str().ok()?;
    Some(match text {
        "x" => Err(
            "the system keeps this user's hash in a shadow file, which authtype getpwnam does \
             not read; use authtype userfile"
                .to_owned(),
        ),
        text => PasswordHash::parse(text),
    })
}
