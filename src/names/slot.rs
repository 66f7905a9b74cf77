//! What is known of one name, and what is answered of it without asking?

use std::net::IpAddr;
use std::time::Duration;

use tokio::sync::watch;

use crate::lvs::Family;
use crate::names::servers::Found;
use crate::names::{Answer, NameError, RETRY_AFTER};
use crate::time::Mono;

/// Lifetime of an answer from the hosts file: how soon an edit is noticed.
const HOSTS_FRESH: Duration = Duration::from_secs(5);

/// What is known of one name.
pub(super) struct Slot {
    pub(super) good: Option<Good>,
    /// The last look-up failed so, and until when that stands.
    pub(super) failed: Option<(NameError, Mono)>,
    /// How many questions in a row were answered with "no such name", silence not counted.
    pub(super) denials: u32,
    /// Closed when the look-up has ended.
    pub(super) asked: Option<watch::Receiver<()>>,
    pub(super) used: Mono,
}

pub(super) struct Good {
    pub(super) addresses: Vec<IpAddr>,
    /// Of which family they are those of before, since nobody answers for it.
    pub(super) kept: Option<Family>,
    pub(super) until: Mono,
}

impl Slot {
    /// Of a name that nobody asked for yet.
    pub(super) fn new(now: Mono) -> Self {
        Self {
            good: None,
            failed: None,
            denials: 0,
            asked: None,
            used: now,
        }
    }

    /// The answer of the hosts file, which is also the last good one, should the file lose it.
    /// Files are emptied for a moment while they are written.
    pub(super) fn found_in_file(&mut self, addresses: &[IpAddr], now: Mono) -> Answer {
        self.good = Some(Good {
            addresses: addresses.to_vec(),
            kept: None,
            until: now,
        });
        self.failed = None;
        self.denials = 0;
        Answer {
            addresses: addresses.to_vec(),
            fresh_for: HOSTS_FRESH,
            kept_because: None,
            kept_family: None,
        }
    }

    /// The answer of the name servers. Of a family that none of them says anything about, what is
    /// known stays, and they are asked again soon. Whether the look-up before had failed.
    pub(super) fn found(&mut self, found: Found, now: Mono) -> bool {
        let (mut addresses, mut lifetime) = (found.addresses, found.lifetime);
        let mut kept = None;
        if let Some(silent) = found.silent {
            let before = self.good.iter().flat_map(|it| &it.addresses);
            let mut before = before.filter(|it| Family::of(**it) == silent).peekable();
            kept = before.peek().map(|_| silent);
            addresses.extend(before);
            addresses.sort_by_key(IpAddr::is_ipv6);
            lifetime = lifetime.min(RETRY_AFTER);
        }
        self.good = Some(Good {
            addresses,
            kept,
            until: now.after(lifetime),
        });
        self.denials = 0;
        self.failed.take().is_some()
    }

    /// Its answer is doubted: it is asked for again.
    pub(super) fn doubt(&mut self, now: Mono) {
        if let Some(good) = &mut self.good {
            good.until = good.until.min(now);
        }
    }

    /// What can be said without asking.
    pub(super) fn at_hand(&self, now: Mono) -> Option<Result<Answer, NameError>> {
        if let Some(good) = self.good.as_ref().filter(|good| good.until > now) {
            return Some(Ok(Answer {
                addresses: good.addresses.clone(),
                fresh_for: good.until.since(now),
                kept_because: None,
                kept_family: good.kept,
            }));
        }
        let (error, _) = self.failed.as_ref().filter(|(_, until)| *until > now)?;
        Some(self.last_resort(error.clone()))
    }

    /// The last good answer, or the error.
    pub(super) fn last_resort(&self, error: NameError) -> Result<Answer, NameError> {
        match &self.good {
            Some(good) => Ok(Answer {
                addresses: good.addresses.clone(),
                fresh_for: RETRY_AFTER,
                kept_because: Some(error),
                kept_family: None,
            }),
            None => Err(error),
        }
    }
}
