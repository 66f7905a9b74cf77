//! Who may ask for what: `authfile` and `userfile` as they were read last.
//!
//! What the files mean is in [`crate::protocol::auth`], who reads them in [`crate::site`].
//! Reading blocks: it takes place at the start, and on threads beside the loop, which takes over
//! what they found.

use std::net::IpAddr;
use std::sync::Arc;

use nix::unistd::User;
use tokio::sync::oneshot;

use crate::config::Diagnostic;
use crate::daemon::readings::BROKE;
use crate::daemon::resets::{self, Reset};
use crate::daemon::{Daemon, mistakes};
use crate::model::{AuthSettings, AuthType};
use crate::protocol::auth::{self, AuthRules, UserFile};
use crate::protocol::crypt::PasswordHash;
use crate::protocol::{Credentials, Work, refused};
use crate::site::{self, Access};

/// Why the rules cannot be used: a file cannot be read, or has mistakes.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct PermissionsError(String);

impl PermissionsError {
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

/// Who is answered when it was read who may what.
#[derive(Debug)]
pub(super) enum Waiting {
    /// The client that said `reload auth`.
    Reload(oneshot::Sender<String>),
    /// A client of a reload whose file is in force.
    Reset(Reset),
}

/// What both files say.
#[derive(Debug)]
pub(super) struct Permissions {
    rules: AuthRules,
    users: UserFile,
    ways: Vec<AuthType>,
}

impl Permissions {
    /// Reads both files, and logs what is odd in them. Without an authfile that somebody named,
    /// nobody may anything.
    pub(super) fn read(settings: &AuthSettings) -> Result<Self, PermissionsError> {
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
        match PermissionsError::of(&mistakes) {
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
    pub(super) fn authenticate(
        &self,
        credentials: &Credentials,
        peer: IpAddr,
    ) -> Result<(), String> {
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

impl Daemon {
    /// Reads who may what beside the loop, and answers who waits for it.
    pub(super) fn read_permissions(&mut self, waiting: impl IntoIterator<Item = Waiting>) {
        if self.permission_readings.ask(waiting) {
            self.begin_reading_permissions();
        }
    }

    fn begin_reading_permissions(&mut self) {
        let settings = self.engine.model().globals.auth.clone();
        let thread = tokio::task::spawn_blocking(move || Permissions::read(&settings));
        self.permission_readings.begun(thread);
    }

    /// Lets the rules take effect; wrong ones leave the old in force. None where the thread
    /// broke.
    pub(super) fn take_permissions(
        &mut self,
        permissions: Option<Result<Permissions, PermissionsError>>,
    ) {
        let text = match permissions {
            Some(Ok(permissions)) => {
                self.traps.reload(permissions.rules().traps());
                self.permissions = Arc::new(permissions);
                Work::ReloadAuth.reply().to_owned()
            }
            Some(Err(error)) => {
                tracing::error!(%error, "the old rules for clients stay in force");
                refused(&error.to_string())
            }
            None => refused(BROKE),
        };
        let (answered, goes_on) = self.permission_readings.ended();
        let mut resets = Vec::new();
        for waiting in answered {
            match waiting {
                // The client may be gone.
                Waiting::Reload(reply) => drop(reply.send(text.clone())),
                Waiting::Reset(reset) => resets.push(reset),
            }
        }
        resets::answer(resets, true);
        if goes_on {
            self.begin_reading_permissions();
        }
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
