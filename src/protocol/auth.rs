//! Who may say what: `auth.cf`, the user file, and `authtype`.
//!
//! Pure: texts in, rules out; files are read and users of the system are asked elsewhere. What is
//! kept of mon, its quirks included, is in docs/mon.md, "Access".

pub(crate) mod names;
mod remarks;

pub(crate) use remarks::SWAPPED;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::IpAddr;

use crate::model::AuthType;
use crate::protocol::crypt::PasswordHash;

/// Largest `auth.cf` and user file, in bytes: 10,000 users and more.
pub const FILE_MAX: u64 = 4 * 1024 * 1024;

/// Mistakes of one file that are told.
const MISTAKES_MAX: usize = 100;

/// What is wrong in a line of one of these files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake {
    /// Which line, counted from 1.
    pub line: u32,
    /// What is wrong and what would be right; never a password or a hash.
    pub what: String,
}

/// What `auth.cf` says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AuthRules {
    /// For each command in lower case.
    commands: BTreeMap<String, Users>,
    /// Of the trap section.
    traps: TrapRules,
}

/// What one command's line says of users.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Users {
    /// The first line.
    line: u32,
    /// Each with the first line that names it.
    named: BTreeMap<String, u32>,
    denied: BTreeSet<String>,
}

/// The word for everybody, even without a login.
const ALL: &str = "all";
/// The word for everybody who has logged in.
const ANY: &str = "AUTH_ANY";

/// What was read of a file: with mistakes in it, it is not to be used.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Read<T> {
    /// What it means.
    pub rules: T,
    /// Lines that mean nothing.
    pub mistakes: Vec<Mistake>,
    /// Lines that hardly mean what was written.
    pub warnings: Vec<Mistake>,
}

impl AuthRules {
    /// Reads `auth.cf`.
    #[must_use]
    pub fn read(text: &str) -> Read<Self> {
        let mut read = Read::<Self>::default();
        if text.starts_with(remarks::BYTE_ORDER_MARK) {
            let what = "the file begins with a byte order mark, which is taken for a part of the \
                        first word, as in mon; save the file as UTF-8 without one";
            read.warn(1, what.to_owned());
        }
        let mut is_trap_section = false;
        // The first line for it.
        let mut every_host = None;
        for (line, text) in lines(text) {
            if begins(text, "command") {
                is_trap_section = false;
            } else if begins(text, "trap") {
                is_trap_section = true;
            } else if is_trap_section {
                if text.split_whitespace().next() == Some("*") {
                    every_host.get_or_insert(line);
                }
                read.trap(line, text);
            } else {
                read.command(line, text);
            }
        }
        read.unusable();
        if let Some(line) = every_host.filter(|_| read.rules.traps.hides_hosts()) {
            let what = "because of the entry for host \"*\" the entries for other hosts have no \
                        effect, as in mon";
            read.warn(line, what.to_owned());
        }
        read
    }

    /// Whether a client may say this command (its first word, in any case). `user` is the one
    /// it logged in as; none without a login.
    ///
    /// In this order: who is denied may not; `all` may, even without a login; so may, after a
    /// login, `AUTH_ANY` and who is named; nobody else, and nobody at all where the command has
    /// no line.
    #[must_use]
    pub fn may(&self, user: Option<&str>, command: &str) -> bool {
        let Some(users) = self.commands.get(&command.to_ascii_lowercase()) else {
            return false;
        };
        let is_denied = |user| users.denied.contains(user) || users.denied.contains(ANY);
        let is_named = |user| users.named.contains_key(user) || users.named.contains_key(ANY);
        !user.is_some_and(is_denied)
            && (users.named.contains_key(ALL) || user.is_some_and(is_named))
    }

    /// Every user that is let in by name to a command that there is, with the first line that
    /// names it, sorted by name.
    #[must_use]
    pub fn users(&self) -> BTreeMap<&str, u32> {
        let mut users = BTreeMap::new();
        let commands = self.commands.iter();
        let known = commands.filter(|(command, _)| remarks::is_command(command));
        let named = known.flat_map(|(_, entry)| &entry.named);
        for (user, line) in named.filter(|(user, _)| *user != ALL && *user != ANY) {
            if remarks::of_user(0, user, false).is_none() {
                let first = users.entry(user.as_str()).or_insert(*line);
                *first = (*first).min(*line);
            }
        }
        users
    }

    /// What the trap section says.
    #[must_use]
    pub const fn traps(&self) -> &TrapRules {
        &self.traps
    }
}

impl Read<AuthRules> {
    /// `COMMAND: USER, !USER`
    fn command(&mut self, line: u32, text: &str) {
        let Some((command, users)) = text.split_once(':') else {
            let what = "no colon behind the command; write \"COMMAND: USER, USER\"";
            return self.err(line, what.to_owned());
        };
        let word = command.trim();
        let command = word.to_ascii_lowercase();
        let is_known = remarks::is_command(&command);
        if !is_known && let Some(what) = remarks::of_line(word, users) {
            self.warn(line, what);
        }
        let entry = self.rules.commands.entry(command).or_insert(Users {
            line,
            ..Users::default()
        });
        let mut odd = Vec::new();
        for (index, word) in users.split(',').map(str::trim).enumerate() {
            let denied = word.strip_prefix('!');
            let user = denied.unwrap_or(word);
            if user.is_empty() {
                continue;
            }
            odd.extend(remarks::of_user(index, user, denied.is_some()));
            if denied.is_some() {
                entry.denied.insert(user.to_owned());
            } else {
                entry.named.entry(user.to_owned()).or_insert(line);
            }
        }
        // One reason why a line has no effect is enough.
        for what in odd.into_iter().filter(|_| is_known) {
            self.warn(line, what);
        }
    }

    /// Commands with lines that let nobody in.
    fn unusable(&mut self) {
        let commands = self.rules.commands.iter();
        let nobody = commands
            .filter(|(command, users)| users.named.is_empty() && remarks::is_command(command));
        let told: Vec<(u32, String)> = nobody
            .map(|(command, users)| {
                let what = if super::command::needs_no_right(command) {
                    format!(
                        "everybody may say \"{command}\", whatever its lines say, as in mon; \
                         clientallow keeps hosts away"
                    )
                } else {
                    format!(
                        "nobody may say \"{command}\": its lines name nobody who may, as in mon; \
                         add users, or {ANY} for everybody who has logged in"
                    )
                };
                (users.line, what)
            })
            .collect();
        for (line, what) in told {
            self.warn(line, what);
        }
    }

    /// `HOST USER HASH`
    fn trap(&mut self, line: u32, text: &str) {
        let words: Vec<&str> = text.split_whitespace().collect();
        let [host, user, hash] = words[..] else {
            let what = "a line of the trap section has three words: host, user, hash of the \
                        password; this one has no effect, as in mon";
            return self.warn(line, what.to_owned());
        };
        let hash = PasswordHash::parse(hash);
        if host != "*"
            && host.parse::<IpAddr>().is_err()
            && let Some(what) = remarks::of_host(host)
        {
            self.warn(line, what);
        }
        let sender = match (host, host.parse::<IpAddr>()) {
            ("*", _) => Sender::Any,
            (_, Ok(address)) => Sender::Address(address.to_canonical()),
            (_, Err(_)) => Sender::Name(host.to_owned()),
        };
        if user == "*" {
            self.rules.traps.entry(sender).everybody = true;
            return;
        }
        if let Err(why) = &hash {
            // mon takes it and never lets the user in.
            let user = match names::name(user) {
                Some(name) => format!("user \"{name}\""),
                None => "the user, who is the second word,".to_owned(),
            };
            self.warn(line, format!("traps of {user} are refused: {why}"));
        }
        let users = &mut self.rules.traps.entry(sender).users;
        users.insert(user.to_owned(), hash);
    }

    fn err(&mut self, line: u32, what: String) {
        if self.mistakes.len() < MISTAKES_MAX {
            self.mistakes.push(Mistake { line, what });
        }
    }
}

impl<T> Read<T> {
    fn warn(&mut self, line: u32, what: String) {
        if self.warnings.len() < MISTAKES_MAX {
            self.warnings.push(Mistake { line, what });
        }
    }
}

/// Whether the line begins this section; between its words are blanks, as many as there are.
fn begins(line: &str, section: &str) -> bool {
    line.strip_prefix(section).is_some_and(|rest| {
        rest.starts_with(char::is_whitespace) && rest.trim_start().starts_with("section")
    })
}

/// Lines with their numbers, without those that say nothing.
fn lines(text: &str) -> impl Iterator<Item = (u32, &str)> {
    let numbered = (1..).zip(text.lines());
    numbered
        .map(|(number, line)| (number, line.trim()))
        .filter(|(_, line)| !line.is_empty() && !line.starts_with('#'))
}

/// Whose traps are taken.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TrapRules {
    senders: BTreeMap<Sender, Senders>,
}

/// The first word of a line of the trap section.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Sender {
    /// `*`
    Any,
    /// An address.
    Address(IpAddr),
    /// A name that has yet to be looked up.
    Name(String),
}

/// Which users a sender may name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Senders {
    /// `*`: all, without a password.
    everybody: bool,
    users: BTreeMap<String, Result<PasswordHash, String>>,
}

/// Why a trap is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TrapRefusal {
    /// No line names the sender.
    #[error("no entry of the trap section is for this host")]
    Host,
    /// No line of the sender names the user.
    #[error("no entry of the trap section for this host names this user")]
    User,
    /// The password is another one.
    #[error("wrong password")]
    Password,
    /// No password can fit.
    #[error("the entry of this user cannot be used: {0}")]
    Hash(String),
}

/// What the trap section says about one packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict<'a> {
    /// Taken as it is.
    Welcome,
    /// Taken where the password fits this hash.
    Verify(&'a PasswordHash),
}

impl TrapRules {
    fn entry(&mut self, sender: Sender) -> &mut Senders {
        self.senders.entry(sender).or_default()
    }

    /// Whether there is no rule, so that no trap can be taken.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.senders.is_empty()
    }

    /// Names that have to be looked up; the rules of one without an address hold for nobody. What
    /// can be no name, and may be a secret, is not among them.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.senders.keys().filter_map(|sender| match sender {
            Sender::Name(name) => Some(name.as_str()).filter(|name| remarks::is_host_name(name)),
            Sender::Any | Sender::Address(_) => None,
        })
    }

    /// The same rules with addresses in place of a name; none leaves the name.
    pub fn resolve(&mut self, name: &str, addresses: &[IpAddr]) {
        let key = Sender::Name(name.to_owned());
        let Some(rules) = self
            .senders
            .get(&key)
            .filter(|_| !addresses.is_empty())
            .cloned()
        else {
            return;
        };
        self.senders.remove(&key);
        for address in addresses {
            let entry = self.entry(Sender::Address(address.to_canonical()));
            entry.everybody |= rules.everybody;
            entry.users.extend(rules.users.clone());
        }
    }

    fn hides_hosts(&self) -> bool {
        self.senders.contains_key(&Sender::Any) && self.senders.len() > 1
    }

    /// What is to be done about a trap of this user from this address.
    ///
    /// The user `*` is none: its line lets every user in, a packet that names it is refused as
    /// any unknown one (P-16 fixed).
    ///
    /// # Errors
    ///
    /// Why it is refused whatever its password is.
    pub fn judge(&self, from: IpAddr, user: &str) -> Result<Verdict<'_>, TrapRefusal> {
        let any = self.senders.get(&Sender::Any);
        let own = || self.senders.get(&Sender::Address(from.to_canonical()));
        let rules = any.or_else(own).ok_or(TrapRefusal::Host)?;
        if rules.everybody {
            return Ok(Verdict::Welcome);
        }
        match rules.users.get(user) {
            Some(Ok(hash)) => Ok(Verdict::Verify(hash)),
            Some(Err(why)) => Err(TrapRefusal::Hash(why.clone())),
            None => Err(TrapRefusal::User),
        }
    }
}

/// Whether a way to log in lets this user in. `users` and `system` answer with the user's hash.
/// May take up to a second.
#[must_use]
pub fn accepts(
    way: AuthType,
    user: &str,
    password: &str,
    peer: IpAddr,
    users: &UserFile,
    system: impl Fn(&str) -> Option<PasswordHash>,
) -> bool {
    if user.is_empty() {
        return false;
    }
    let fits = |hash: Option<&PasswordHash>| {
        !password.is_empty() && hash.is_some_and(|hash| hash.verify(password.as_bytes()))
    };
    match way {
        AuthType::Trustlocal => peer.to_canonical() == IpAddr::from([127, 0, 0, 1]),
        AuthType::Userfile => fits(users.hash(user)),
        AuthType::Getpwnam => fits(system(user).as_ref()),
    }
}

/// What the file that `userfile` names says: `USER: HASH` a line.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct UserFile(BTreeMap<String, Result<PasswordHash, String>>);

impl fmt::Debug for UserFile {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let can_log_in = self.0.values().filter(|hash| hash.is_ok());
        write!(out, "{} users", can_log_in.count())
    }
}

impl UserFile {
    /// Reads it. A line that lets nobody in is a warning: one user's line is no matter of the
    /// others.
    #[must_use]
    pub fn read(text: &str) -> Read<Self> {
        let mut read = Read::<Self>::default();
        for (line, text) in lines(text) {
            let Some((user, hash)) = text.split_once(':') else {
                let what = "no colon behind the user, so nobody logs in by this line; write \
                            \"USER: HASH\"";
                read.warn(line, what.to_owned());
                continue;
            };
            // htpasswd and /etc/shadow put more fields behind the hash.
            let hash = hash.split(':').next().unwrap_or(hash).trim();
            let (user, hash) = (user.trim(), PasswordHash::parse(hash));
            if let Err(why) = &hash {
                let user = match names::name(user) {
                    Some(name) => format!("\"{name}\""),
                    None => "the user in front of the colon".to_owned(),
                };
                read.warn(line, format!("no login for {user}: {why}"));
            }
            read.rules.0.insert(user.to_owned(), hash);
        }
        read
    }

    /// The hash of a user.
    #[must_use]
    pub fn hash(&self, user: &str) -> Option<&PasswordHash> {
        self.0.get(user)?.as_ref().ok()
    }

    /// Whether it has a line of that user, be its hash of use or not.
    #[must_use]
    pub fn knows(&self, user: &str) -> bool {
        self.0.contains_key(user)
    }

    /// Why no password of a user can be right; none where one can, and for an unknown user.
    #[must_use]
    pub fn unusable(&self, user: &str) -> Option<&str> {
        let why = self.0.get(user)?.as_ref().err()?;
        Some(why)
    }
}

#[cfg(test)]
mod tests;
