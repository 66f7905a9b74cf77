//! Which addresses has a name? Literals, the hosts file, then the name servers.
//!
//! The hosts file and resolv.conf are read again when they change (looked at once a second at
//! most). Answers of name servers are kept for their lifetime within bounds; while the servers
//! are gone the last good answer stays and says so, as does one of the hosts file that has lost
//! the name. A name that the servers say does not exist loses its addresses once they have said
//! so for a minute: when the server that knows it is slow, the next one of resolv.conf answers,
//! and need not know it. Nothing here blocks the runtime.
//! Sources that only nsswitch knows (LDAP, mDNS) are not asked.
//!
//! | Question | File |
//! |---|---|
//! | what do the hosts file and resolv.conf say, and did they change | `files` |
//! | how are the name servers asked | `servers` |
//! | what is known of one name | `slot` |
//! | which of many names have a line of the log | `said` |
//!
//! Not here: which names to look up and how often (the daemon).

mod files;
mod said;
mod servers;
mod slot;

use std::collections::BTreeMap;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use tokio::sync::{OnceCell, Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::clock::Clock;
use crate::lead::Lead;
use crate::lvs::Family;
use crate::names::files::{FileStamp, Hosts};
use crate::names::said::{News, Said};
use crate::names::servers::{LOOKUP_MAX, Outcome, Servers};
use crate::names::slot::{Good, Slot};
use crate::time::Mono;

/// Lifetime of an address literal's answer: it never changes, this is merely long.
const LITERAL_FRESH: Duration = Duration::from_secs(86_400);

/// After a failed look-up the servers are left alone for this long.
const RETRY_AFTER: Duration = Duration::from_secs(5);

/// So many questions in a row must be answered with "no such name" before a name that had
/// addresses loses them: a minute, at one in [`RETRY_AFTER`].
const DENIALS: u32 = 12;

/// How long a caller who has an old answer waits for a new one.
const PATIENCE: Duration = Duration::from_millis(500);

/// The files are looked at once in this time.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// Names kept; a configuration of 10,000 services fits well. The least recently used goes first.
const NAMES_MAX: usize = 20_000;

/// Questions to the name servers at once: where each answer takes 20 ms, 2,000 names are known
/// within a second. One without an answer takes [`LOOKUP_MAX`], so it is 80 s until all of 2,000
/// were asked for in vain; who asks hears after ten of them that there is no answer.
const QUESTIONS_MAX: usize = 256;

/// Longest name (RFC 1035).
const NAME_LENGTH_MAX: usize = 255;

/// The resolver of this process; cheap to clone, all clones share what is known.
#[derive(Clone)]
pub struct Names {
    inner: Arc<Inner>,
    /// Of which names not all addresses are of use.
    leads: Arc<BTreeMap<Box<str>, Lead>>,
}

/// The addresses of a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// At least one; IPv4 before IPv6, as the monitors of mon knew IPv4 only.
    pub addresses: Vec<IpAddr>,
    /// Ask again after this long.
    pub fresh_for: Duration,
    /// Why this is an old answer that is kept because no new one could be had; none for a
    /// fresh one.
    pub kept_because: Option<NameError>,
    /// Of which family the addresses alone are such old ones, since nobody answers for it.
    pub kept_family: Option<Family>,
}

/// Why a name has no address.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("cannot resolve \"{name}\": {why}")]
pub struct NameError {
    /// The name asked for.
    pub name: String,
    /// For a person.
    pub why: String,
}

/// Where answers come from.
#[derive(Clone, Debug)]
pub struct Sources {
    /// The hosts file; `/etc/hosts`.
    pub hosts: PathBuf,
    /// The resolver's configuration; `/etc/resolv.conf`.
    pub resolver: PathBuf,
    /// Where all its name servers are, instead of port 53 of the addresses in that file.
    pub servers: Vec<SocketAddr>,
}

impl Default for Sources {
    fn default() -> Self {
        Self {
            hosts: PathBuf::from("/etc/hosts"),
            resolver: PathBuf::from("/etc/resolv.conf"),
            servers: Vec::new(),
        }
    }
}

struct Inner {
    sources: Sources,
    clock: Clock,
    first_look: OnceCell<()>,
    questions: Arc<Semaphore>,
    state: Mutex<State>,
}

struct State {
    looked: Mono,
    hosts: Hosts,
    hosts_stamp: FileStamp,
    resolver: Result<Servers, String>,
    resolver_stamp: FileStamp,
    known: BTreeMap<Box<str>, Slot>,
    said: Said,
    /// The questions under way; aborted with the last clone of [`Names`].
    asking: JoinSet<()>,
}

impl fmt::Debug for Names {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_tuple("Names").field(&self.inner.sources).finish()
    }
}

impl Default for Names {
    fn default() -> Self {
        Self::system()
    }
}

impl Names {
    /// With `/etc/hosts` and `/etc/resolv.conf`.
    #[must_use]
    pub fn system() -> Self {
        Self::with(Sources::default())
    }

    /// With other sources than the system's.
    #[must_use]
    pub fn with(sources: Sources) -> Self {
        let inner = Arc::new(Inner {
            sources,
            clock: Clock::start(),
            first_look: OnceCell::new(),
            questions: Arc::new(Semaphore::new(QUESTIONS_MAX)),
            state: Mutex::new(State {
                looked: Mono::ZERO,
                hosts: Hosts::default(),
                hosts_stamp: FileStamp::Never,
                resolver: Err("the resolver's configuration was not read yet".to_owned()),
                resolver_stamp: FileStamp::Never,
                known: BTreeMap::new(),
                said: Said::default(),
                asking: JoinSet::new(),
            }),
        });
        Self {
            inner,
            leads: Arc::default(),
        }
    }

    /// The same resolver, which answers with no other addresses of these names.
    #[must_use]
    pub fn led(self, leads: BTreeMap<Box<str>, Lead>) -> Self {
        let leads = Arc::new(leads);
        Self { leads, ..self }
    }

    /// Takes in what a name had in an earlier life of the daemon: an old answer, which serves
    /// while no name server answers and is asked for again at once. What is known since stays.
    pub fn remember(&self, host: &str, address: IpAddr) {
        let name = files::normal(host);
        let now = self.inner.now();
        let mut state = self.inner.state();
        if !state.known.contains_key(name.as_str()) {
            state.make_room();
        }
        let slot = state
            .known
            .entry(name.into())
            .or_insert_with(|| Slot::new(now));
        let old = slot.good.get_or_insert_with(|| Good {
            addresses: Vec::new(),
            kept: None,
            until: now,
        });
        if old.until <= now && !old.addresses.contains(&address) {
            old.addresses.push(address);
        }
    }

    /// Looks a name up: at once for a literal (brackets allowed), a name of the hosts file and a
    /// fresh answer; else within 10 s, or 0.5 s where an old answer is at hand.
    ///
    /// # Errors
    ///
    /// The name does not exist (for a minute, where it had an answer), or no server answered and no
    /// earlier answer is known; or it has no address of the family that is looked for.
    pub async fn lookup(&self, host: &str) -> Result<Answer, NameError> {
        self.lookup_for(host, PATIENCE).await
    }

    /// As [`Names::lookup`], for one whose first answer is to be that of the name servers: an old
    /// one at hand does not end the look-up. Within 10 s.
    ///
    /// # Errors
    ///
    /// The same.
    pub async fn lookup_to_its_end(&self, host: &str) -> Result<Answer, NameError> {
        self.lookup_for(host, LOOKUP_MAX).await
    }

    /// What is known of these names is doubted: the files are looked at again, and the answers are
    /// old from now on. One of just now would not do: name servers may have fallen silent since.
    pub async fn doubt(&self, hosts: impl Iterator<Item = &str>) {
        self.inner.read_files().await;
        let now = self.inner.now();
        let mut state = self.inner.state();
        for host in hosts {
            if let Some(slot) = state.known.get_mut(files::normal(host).as_str()) {
                slot.doubt(now);
            }
        }
    }

    async fn lookup_for(&self, host: &str, patience: Duration) -> Result<Answer, NameError> {
        if let Some(literal) = literal(host) {
            return Ok(Answer {
                addresses: vec![literal],
                fresh_for: LITERAL_FRESH,
                kept_because: None,
                kept_family: None,
            });
        }
        let lead = self.leads.get(host);
        if let Some(Lead::To(there)) = lead {
            return Ok(Answer {
                addresses: there.clone(),
                fresh_for: RETRY_AFTER,
                kept_because: None,
                kept_family: None,
            });
        }
        let mut answer = self.lookup_all(host, patience).await?;
        if let Some(lead) = lead {
            answer.addresses = lead.of(answer.addresses);
        }
        if answer.addresses.is_empty() {
            let why = match lead {
                Some(Lead::Within(Family::V4)) => "it has no IPv4 address",
                Some(Lead::Within(Family::V6)) => "it has no IPv6 address",
                Some(Lead::To(_) | Lead::Rather(_)) | None => "it has no address",
            };
            return Err(NameError {
                name: host.to_owned(),
                why: why.to_owned(),
            });
        }
        Ok(answer)
    }

    /// All addresses of a name that is no literal; where an old answer is at hand it is waited for
    /// so long.
    async fn lookup_all(&self, host: &str, patience: Duration) -> Result<Answer, NameError> {
        let name = files::normal(host);
        let error = |why: &str| NameError {
            name: host.to_owned(),
            why: why.to_owned(),
        };
        if name.is_empty() || name.len() > NAME_LENGTH_MAX {
            return Err(error("a name has 1 to 255 characters"));
        }
        if name.contains(|c: char| c.is_whitespace() || c.is_control() || c == '/') {
            return Err(error("this cannot be a host name"));
        }
        self.inner.look_at_files().await;
        let waiter = match self.inner.state().ask(&name, self.inner.now(), &self.inner) {
            Known::Answer(answer) => return answer,
            Known::Asked(waiter) => waiter,
        };
        let patience = patience.max(waiter.patience);
        let ended = timeout(patience, self.inner.ended(&name, waiter.done))
            .await
            .is_ok();
        let why = if ended {
            "the look-up was given up"
        } else {
            "no answer from the name servers in time"
        };
        self.inner
            .state()
            .answer(&name, self.inner.now(), error(why))
    }
}

fn literal(host: &str) -> Option<IpAddr> {
    let inner = host
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'));
    match inner {
        Some(inner) => inner.parse().ok().filter(IpAddr::is_ipv6),
        None => host.parse().ok(),
    }
}

enum Known {
    Answer(Result<Answer, NameError>),
    Asked(Waiter),
}

struct Waiter {
    done: watch::Receiver<()>,
    patience: Duration,
}

impl Inner {
    fn now(&self) -> Mono {
        self.clock.now().mono
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Held for a few lines without await; a panic inside leaves nothing half done that matters.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn look_at_files(&self) {
        self.first_look.get_or_init(|| self.read_files()).await;
        let now = self.now();
        let due = {
            let mut state = self.state();
            let due = now.since(state.looked) >= LOOK_AGAIN;
            if due {
                state.looked = now;
            }
            due
        };
        if due {
            self.read_files().await;
        }
    }

    /// Waits until the look-up of a name has ended, or the hosts file has the name: who mends a
    /// dead name server with a line there waits for neither.
    async fn ended(&self, name: &str, mut done: watch::Receiver<()>) {
        loop {
            // The sender is dropped when the look-up has ended, in whatever way.
            if timeout(LOOK_AGAIN, done.changed()).await.is_ok() {
                return;
            }
            self.look_at_files().await;
            if self.state().hosts.addresses(name).is_some() {
                return;
            }
        }
    }

    /// Reads the files that changed.
    async fn read_files(&self) {
        let (hosts_known, resolver_known) = {
            let state = self.state();
            (state.hosts_stamp.clone(), state.resolver_stamp.clone())
        };
        let hosts_stamp = FileStamp::of(&self.sources.hosts).await;
        let hosts = if hosts_stamp == hosts_known {
            None
        } else {
            Some(files::read(&self.sources.hosts).await)
        };
        let resolver_stamp = FileStamp::of(&self.sources.resolver).await;
        let resolver = if resolver_stamp == resolver_known {
            None
        } else {
            Some(self.read_resolver().await)
        };
        let mut state = self.state();
        state.looked = self.now();
        if let Some(text) = hosts {
            state.hosts = text.map(|text| Hosts::parse(&text)).unwrap_or_default();
            state.hosts_stamp = hosts_stamp;
        }
        if let Some(resolver) = resolver {
            state.resolver = resolver;
            state.resolver_stamp = resolver_stamp;
            // Other servers may know better.
            for slot in state.known.values_mut() {
                slot.failed = None;
            }
        }
    }

    async fn read_resolver(&self) -> Result<Servers, String> {
        let path = &self.sources.resolver;
        let shown = path.display();
        let text = files::read(path)
            .await
            .map_err(|error| format!("no name server is known ({shown}: {error})"))?;
        let (config, options) = hickory_resolver::system_conf::parse_resolv_conf(&text)
            .map_err(|error| format!("no name server is known ({shown}: {error})"))?;
        Servers::new(&config, options, &self.sources.servers).map_err(|error| error.to_string())
    }

    /// Takes in what a look-up came to and wakes those who wait.
    fn learn(&self, name: &str, outcome: Outcome) {
        let now = self.now();
        let mut state = self.state();
        let State {
            hosts, known, said, ..
        } = &mut *state;
        said.say_the_rest(now);
        let Some(slot) = known.get_mut(name) else {
            return;
        };
        if hosts.addresses(name).is_some() {
            // It came there meanwhile, and comes first.
            slot.asked = None;
            return;
        }
        let error = |why| NameError {
            name: name.to_owned(),
            why,
        };
        match outcome {
            Outcome::Found(found) => {
                let was_known = slot.good.is_some();
                if slot.found(found, now) && was_known {
                    said.say(now, name, News::Again);
                }
            }
            Outcome::NoSuchName(why) => {
                slot.denials = slot.denials.saturating_add(1);
                if slot.denials < DENIALS {
                    if slot.denials == 1 && slot.good.is_some() {
                        said.say(now, name, News::Denied(&why));
                    }
                } else if slot.good.take().is_some() {
                    said.say(now, name, News::Gone(&why));
                }
                slot.failed = Some((error(why), now.after(RETRY_AFTER)));
            }
            Outcome::NoAnswer(why) => {
                if slot.good.is_some() && slot.failed.is_none() {
                    said.say(now, name, News::Silent(&why));
                }
                slot.failed = Some((error(why), now.after(RETRY_AFTER)));
            }
        }
        slot.asked = None;
    }
}

impl State {
    /// The answer, if one is at hand; otherwise the look-up is under way when this returns.
    fn ask(&mut self, name: &str, now: Mono, inner: &Arc<Inner>) -> Known {
        if !self.known.contains_key(name) {
            self.make_room();
        }
        let slot = self
            .known
            .entry(name.into())
            .or_insert_with(|| Slot::new(now));
        slot.used = now;
        if let Some(addresses) = self.hosts.addresses(name) {
            return Known::Answer(Ok(slot.found_in_file(addresses, now)));
        }
        if let Some(answer) = slot.at_hand(now) {
            return Known::Answer(answer);
        }
        let under_way = slot
            .asked
            .take()
            .filter(|asked| asked.has_changed().is_ok());
        let done = match under_way {
            Some(done) => done,
            None => {
                let resolver = match &self.resolver {
                    Ok(resolver) => resolver.clone(),
                    Err(why) => {
                        let error = NameError {
                            name: name.to_owned(),
                            why: format!("not in the hosts file, and {why}"),
                        };
                        return Known::Answer(slot.last_resort(error));
                    }
                };
                let (ended, done) = watch::channel(());
                while self.asking.try_join_next().is_some() {}
                let question = question(name.to_owned(), resolver, inner);
                self.asking.spawn(async move {
                    question.await;
                    drop(ended);
                });
                done
            }
        };
        slot.asked = Some(done.clone());
        let patience = if slot.good.is_some() {
            PATIENCE
        } else {
            LOOKUP_MAX
        };
        Known::Asked(Waiter { done, patience })
    }

    /// The answer after waiting; `error` where nothing came.
    fn answer(&mut self, name: &str, now: Mono, error: NameError) -> Result<Answer, NameError> {
        let Some(slot) = self.known.get_mut(name) else {
            return Err(error);
        };
        match self.hosts.addresses(name) {
            Some(addresses) => Ok(slot.found_in_file(addresses, now)),
            None => slot.at_hand(now).unwrap_or_else(|| slot.last_resort(error)),
        }
    }

    fn make_room(&mut self) {
        if self.known.len() < NAMES_MAX {
            return;
        }
        let oldest = self
            .known
            .iter()
            .filter(|(_, slot)| slot.asked.is_none())
            .min_by_key(|(_, slot)| slot.used)
            .map(|(name, _)| name.clone());
        if let Some(name) = oldest {
            self.known.remove(&name);
        }
    }
}

/// Asks the name servers and tells [`Inner::learn`], unless the last [`Names`] is gone by then.
fn question(
    name: String,
    resolver: Servers,
    inner: &Arc<Inner>,
) -> impl Future<Output = ()> + Send + 'static {
    let questions = Arc::clone(&inner.questions);
    let inner: Weak<Inner> = Arc::downgrade(inner);
    async move {
        // Fails only when the semaphore is closed, which nobody does.
        let _permit = questions.acquire().await;
        let outcome = resolver.ask(&name).await;
        if let Some(inner) = inner.upgrade() {
            inner.learn(&name, outcome);
        }
    }
}

#[cfg(test)]
mod tests;
