//! What did a service say of a real server, and is that still being said? Pure.

use serde::{Deserialize, Serialize};

use crate::engine::Engine;
use crate::engine::event::{Reason, Status};
use crate::engine::recent::{About, HostEntry, ResultEntry};
use crate::model::{HostName, ServiceId};
use crate::time::Wall;
use crate::wire::{Verdict, services};

/// Results in an answer of a service that decides as a whole: the last ones, equal ones in a row as
/// one. Of a host there are no more than the engine keeps.
const RESULTS_MAX: usize = 3;

/// What a service said of a real server, equal results in a row as one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SaidRow {
    /// Time of the first.
    pub first: i64,
    /// Time of the last.
    pub last: i64,
    /// How many.
    pub count: u32,
    /// What it says of the host.
    pub verdict: Verdict,
    /// Why; none where it is up.
    pub reason: Option<Reason>,
    /// One line for a person; may be empty.
    pub text: String,
    /// What the text is about.
    pub about: About,
}

impl SaidRow {
    /// Verdict, reason and words: `down (refused): nobody listens`.
    #[must_use]
    pub fn words(&self) -> String {
        let reason = self.reason.map(|reason| format!(" ({reason})"));
        let text = match (self.about, &*self.about.of(&self.text)) {
            (_, "") => String::new(),
            (About::Host, text) => format!(": {text}"),
            (About::Named | About::Service, text) => format!(", {text}"),
        };
        format!(
            "{}{}{text}",
            self.verdict.word(),
            reason.unwrap_or_default()
        )
    }
}

/// What a service said last of one of its hosts; with none, as a whole.
pub(super) fn results(engine: &Engine, id: ServiceId, host: Option<&HostName>) -> Vec<SaidRow> {
    let Some(recent) = engine.recent(id) else {
        return Vec::new();
    };
    match host {
        Some(host) => recent.of(host).iter().map(of_host).collect(),
        None => {
            let first = recent.results.len().saturating_sub(RESULTS_MAX);
            recent.results.iter().skip(first).map(as_whole).collect()
        }
    }
}

/// What a service lacks, so that it never runs and only a trap or a person speaks for it.
pub(in crate::wire) fn lacks(engine: &Engine, id: ServiceId) -> Option<&'static str> {
    let service = engine.model().services.get(id.index())?;
    match (&service.monitor, service.interval) {
        (Some(_), Some(_)) => None,
        (None, _) => Some("monitor"),
        (Some(_), None) => Some("interval"),
    }
}

/// When a service ran last that never does again, and whose verdict of then counts: no trap came
/// since.
pub(super) fn kept_since(engine: &Engine, id: ServiceId) -> Option<Wall> {
    lacks(engine, id)?;
    let service = engine.service(id)?;
    let ran = service.last_check?;
    let is_trapped = service.last_trap.is_some_and(|trap| trap >= ran);
    let has_verdict = service.status == Status::Ok || service.status.is_failure();
    (has_verdict && !is_trapped).then_some(ran)
}

/// What ends [`unnamed`].
pub const NAME_HOSTS: &str =
    "name the failing hosts in the first line of output, or set all_hosts_on_failure";

/// How many of the last reports of a service failed and named no host, so that they say nothing of
/// any (D9): as many as are remembered; none where the latest is another.
pub(in crate::wire) fn unnamed(engine: &Engine, id: ServiceId) -> Option<u32> {
    let service = engine.service(id)?;
    // Who only waits for traps has no report that could name any.
    if lacks(engine, id).is_some() && service.last_trap.is_none() {
        return None;
    }
    let last = engine.recent(id)?.results.iter().rev();
    let last = last.take_while(|it| it.reason == Some(Reason::NoHostNamed));
    let count = last.fold(0, |count: u32, it| count.saturating_add(it.count));
    (count > 0).then_some(count)
}

/// So many of the last reports of a service.
#[must_use]
pub fn last_reports(count: u32) -> String {
    match count {
        1 => "last report".to_owned(),
        count => format!("last {count} reports"),
    }
}

fn of_host(entry: &HostEntry) -> SaidRow {
    let (verdict, reason) = services::verdict(Some(entry.verdict));
    SaidRow {
        first: entry.first.seconds(),
        last: entry.last.seconds(),
        count: entry.count,
        verdict,
        reason,
        text: entry.text.to_string(),
        about: entry.about,
    }
}

fn as_whole(entry: &ResultEntry) -> SaidRow {
    let verdict = if entry.status == Status::Ok {
        Verdict::Up
    } else if entry.status.is_failure() {
        Verdict::Down
    } else {
        Verdict::Unknown
    };
    SaidRow {
        first: entry.first.seconds(),
        last: entry.last.seconds(),
        count: entry.count,
        verdict,
        reason: entry.reason,
        text: entry.summary.to_string(),
        about: About::Service,
    }
}

/// What a daemon of before said nothing about.
pub(super) const fn of_the_host() -> About {
    About::Host
}
