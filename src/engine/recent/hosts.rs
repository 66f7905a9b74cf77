//! What did the checks say lately of a single host, be it a run of a slot or one between two?
//!
//! Bounded: [`HOST_ENTRIES_MAX`] of each member of the hostgroup, equal ones in a row counted as
//! one. A host that was always good has none. Decides nothing.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::engine::Engine;
use crate::engine::event::{HostVerdict, Reason};
use crate::engine::recent::beginning;
use crate::engine::state::HostState;
use crate::engine::verdict::named;
use crate::model::{HostName, ServiceId};
use crate::time::{Now, Wall};

/// Results of each host: a failure, its re-checks, and what came before and behind them.
pub const HOST_ENTRIES_MAX: usize = 5;

/// What the words are about that a check left of a host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum About {
    /// That host.
    Host,
    /// The whole service, and they name the host.
    Named,
    /// The whole service, without a word about the host.
    Service,
}

/// Results of a host that said the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostEntry {
    /// The first of them.
    pub first: Wall,
    /// The last of them.
    pub last: Wall,
    /// How many.
    pub count: u32,
    /// What it said of the host.
    pub verdict: HostVerdict,
    /// For a person; may be empty, at most 200 bytes.
    pub text: Box<str>,
    /// What the text is about.
    pub about: About,
}

/// Whether what was found counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::engine) enum Weighs {
    /// As it is.
    Fully,
    /// Only where it is good: the director was cut off (D17).
    OnlyGood,
}

/// What is known of each host that was not always good.
pub(super) type Hosts = BTreeMap<HostName, Vec<HostEntry>>;

/// The words about one host where its check has these of its own, and the summary of the whole
/// service says that.
pub(in crate::engine) fn words<'a>(
    verdict: HostVerdict,
    own: &'a str,
    summary: &'a str,
    is_named: impl FnOnce() -> bool,
) -> (&'a str, About) {
    match verdict {
        // The others' failure is none of its own.
        HostVerdict::Up => (own, About::Host),
        HostVerdict::Down(_) | HostVerdict::Unknown(_) if !own.is_empty() => (own, About::Host),
        HostVerdict::Down(_) if is_named() => (summary, About::Named),
        HostVerdict::Down(_) | HostVerdict::Unknown(_) => (summary, About::Service),
    }
}

impl Engine {
    /// Remembers what a check said of each host; `summary` is that of the whole.
    pub(in crate::engine) fn remember_hosts(
        &mut self,
        now: Now,
        id: ServiceId,
        found: &[HostState],
        summary: &str,
        weighs: Weighs,
    ) {
        let state = &mut self.states[id.index()];
        let is_known = state.recent.as_ref().is_some_and(|it| !it.hosts.is_empty());
        let is_good = |one: &HostState| one.verdict == HostVerdict::Up;
        if !is_known && found.iter().all(is_good) {
            return;
        }
        let members = &self.model.hostgroup(id).members;
        let members: BTreeSet<&HostName> = members.iter().map(|member| &member.host).collect();
        let names: Vec<HostName> = found.iter().map(|one| one.host.clone()).collect();
        let named = match found.iter().any(|one| one.text.is_empty() && !is_good(one)) {
            true => named(summary.as_bytes(), &names),
            false => BTreeSet::new(),
        };
        let hosts = &mut state.recent.get_or_insert_default().hosts;
        // What a reload took out of the hostgroup.
        hosts.retain(|host, _| members.contains(host));
        for one in found.iter().filter(|one| members.contains(&one.host)) {
            if is_good(one) && !hosts.contains_key(&one.host) {
                continue;
            }
            let is_named = || named.contains(&one.host);
            let (text, about) = words(one.verdict, &one.text, summary, is_named);
            let entry = HostEntry {
                first: now.wall,
                last: now.wall,
                count: 1,
                verdict: match weighs {
                    Weighs::OnlyGood if !is_good(one) => HostVerdict::Unknown(Reason::Witness),
                    Weighs::OnlyGood | Weighs::Fully => one.verdict,
                },
                text: beginning(text),
                about,
            };
            add(hosts.entry(one.host.clone()).or_default(), entry);
        }
    }
}

fn add(entries: &mut Vec<HostEntry>, entry: HostEntry) {
    match entries.last_mut() {
        Some(last) if last.says_the_same(&entry) => {
            last.last = entry.last;
            last.count = last.count.saturating_add(1);
        }
        Some(_) | None => {
            if entries.len() >= HOST_ENTRIES_MAX {
                entries.remove(0);
            }
            entries.push(entry);
        }
    }
}

impl About {
    /// A text of this kind, with what it is about.
    #[must_use]
    pub fn of(self, text: &str) -> String {
        match (self, text) {
            (Self::Service, "") => "of the whole service".to_owned(),
            (Self::Host | Self::Named, _) if text.is_empty() => String::new(),
            (Self::Host, text) => text.to_owned(),
            (Self::Named, text) => format!("named in \"{text}\""),
            (Self::Service, text) => format!("of the whole service: {text}"),
        }
    }
}

impl HostEntry {
    fn says_the_same(&self, other: &Self) -> bool {
        (self.verdict, &self.text, self.about) == (other.verdict, &other.text, other.about)
    }
}
