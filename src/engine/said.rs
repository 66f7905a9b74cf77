//! What did the latest check say of a host, be it a run of a slot or a check between two?
//!
//! Checks between two slots change no status and are in no history, but the table follows them:
//! who asks why a real server is out reads their words until the next run of the slot. Not in
//! the journal.

use std::borrow::Cow;

use crate::engine::Engine;
use crate::engine::binding::{Part, Verdict};
use crate::engine::event::{Action, HostVerdict, Note, Status};
use crate::engine::recent::{About, words};
use crate::engine::state::{HostState, ServiceState};
use crate::engine::verdict;
use crate::model::{HostName, ServiceId};
use crate::time::{Mono, Now, Wall};

/// What checks between two slots found since the latest run of a slot.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Between {
    /// When the latest of them ended.
    time: Wall,
    /// What they said, each host once.
    hosts: Vec<HostState>,
}

impl Between {
    /// One more check.
    pub(crate) fn add(before: Option<Box<Self>>, time: Wall, found: &[HostState]) -> Box<Self> {
        let mut hosts = before.map_or_else(Vec::new, |before| before.hosts);
        hosts.retain(|known| found.iter().all(|one| one.host != known.host));
        hosts.extend_from_slice(found);
        Box::new(Self { time, hosts })
    }
}

/// What was said of one host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Said<'a> {
    /// Its verdict; none where it was not checked.
    pub verdict: Option<HostVerdict>,
    /// One line for a person; empty where there is nothing to say.
    pub text: Cow<'a, str>,
    /// What the text is about.
    pub about: About,
    /// When; none before the end of the first check. The start of the run of a slot that ended
    /// last, the end of a check between two.
    pub time: Option<Wall>,
    /// The daemon before this one knew it: since the restart nothing was heard.
    pub is_from_before: bool,
}

/// What a status says of a checked host, of which a failure says this.
pub(super) fn verdict(status: Status, in_failure: Option<HostVerdict>) -> Option<HostVerdict> {
    match status {
        Status::Ok => Some(HostVerdict::Up),
        Status::Fail => in_failure,
        Status::Untested
        | Status::Coldstart
        | Status::Warmstart
        | Status::Linkdown
        | Status::Unknown
        | Status::Timeout
        | Status::Depend
        | Status::Warn => None,
    }
}

impl ServiceState {
    /// What the latest report said of the service as a whole and of those of these hosts that it
    /// judged; nothing where it is neither good nor fails.
    pub(crate) fn last_verdicts(&self, hosts: &[HostName]) -> Vec<(Part, Verdict)> {
        let good = |host: &HostName| (Part::Host(host.clone()), Verdict::Good);
        if self.status == Status::Ok {
            let whole = [(Part::Whole, Verdict::Good)];
            return whole.into_iter().chain(hosts.iter().map(good)).collect();
        }
        let failing = self.outage.as_deref();
        let Some(outage) = failing.filter(|_| self.status == Status::Fail) else {
            return Vec::new();
        };
        let since = outage.began.wall;
        let mut said = Vec::new();
        for one in outage.hosts.iter().filter(|it| hosts.contains(&it.host)) {
            let verdict = match one.verdict {
                HostVerdict::Up => Verdict::Good,
                HostVerdict::Down(reason) => Verdict::Bad { reason, since },
                HostVerdict::Unknown(_) => continue,
            };
            said.push((Part::Host(one.host.clone()), verdict));
        }
        // A report that says nothing about any server fails nobody.
        let mut all = said.iter().map(|(_, verdict)| *verdict);
        let bad = all.find(|it| matches!(it, Verdict::Bad { .. }));
        said.extend(bad.map(|bad| (Part::Whole, bad)));
        said
    }
}

impl Engine {
    /// What the latest check of a service said of a host; with `None`, or of a host that is no
    /// member, of the service as a whole. None where the Model has no such number.
    #[must_use]
    pub fn said(&self, id: ServiceId, host: Option<&HostName>) -> Option<Said<'_>> {
        let state = self.states.get(id.index())?;
        let members = &self.model.hostgroup(id).members;
        let host = host.filter(|host| members.iter().any(|it| it.host == **host));
        let latest = host.and_then(|host| state.recent.as_deref()?.of(host).last());
        let between = host.and_then(|host| {
            let between = state.between.as_deref()?;
            let one = between.hosts.iter().find(|one| one.host == *host)?;
            Some((one, between.time))
        });
        if let Some((one, time)) = between {
            // The summary of that check is not that of the service.
            let has_own = one.verdict == HostVerdict::Up || !one.text.is_empty();
            let (text, about) = match latest.filter(|_| !has_own) {
                Some(latest) => (&*latest.text, latest.about),
                None => (&*one.text, About::Host),
            };
            return Some(Said {
                verdict: Some(one.verdict),
                text: Cow::Borrowed(text),
                about,
                time: Some(time),
                is_from_before: false,
            });
        }
        let outage = state.outage.as_deref().filter(|_| host.is_some());
        let mut known = outage.into_iter().flat_map(|outage| &outage.hosts);
        let known = known.find(|known| host == Some(&known.host));
        let verdict = verdict(state.status, known.map(|known| known.verdict));
        let own = known.map_or("", |known| &known.text);
        let summary = state.summary().unwrap_or_default();
        let (text, about) = match verdict.filter(|_| host.is_some()) {
            Some(verdict) => {
                let is_named = || host.is_some_and(|host| is_named(&summary, host));
                words(verdict, own, &summary, is_named)
            }
            // Behind a restart only the summary is known of a failure.
            None if state.status == Status::Fail
                && host.is_some_and(|it| is_named(&summary, it)) =>
            {
                (&*summary, About::Named)
            }
            None => (&*summary, About::Service),
        };
        Some(Said {
            verdict,
            text: Cow::Owned(text.to_owned()),
            about,
            time: self.last_checked(id),
            is_from_before: self.is_from_before(id),
        })
    }

    /// Whether all that is known of a service is what the daemon before this one knew: since the
    /// restart no check has ended, and no trap came.
    #[must_use]
    pub fn is_from_before(&self, id: ServiceId) -> bool {
        let Some(state) = self.states.get(id.index()) else {
            return false;
        };
        let Now { mono, wall } = self.last;
        let start = wall.before(mono.since(Mono::ZERO));
        let trap = state.traps.as_deref().and_then(|traps| traps.last);
        let is_trapped = trap.is_some_and(|trap| trap >= start);
        state.reported.is_some() && state.monitor_duration.is_none() && !is_trapped
    }

    /// When the run of a slot began that ended last: another one may go on.
    fn last_checked(&self, id: ServiceId) -> Option<Wall> {
        let state = self.states.get(id.index())?;
        let ended = state.reported?;
        if !self.timetable.is_running(id) {
            return state.last_check;
        }
        let took = state.monitor_duration.unwrap_or_default();
        Some(ended.before(took).wall(self.last))
    }

    /// Adds to what withdraws real servers what the checks said.
    pub(super) fn explain(&self, actions: &mut [Action]) {
        for action in actions {
            let Action::Note(Note::Server { change, .. }) = action else {
                continue;
            };
            for cause in change.causes_mut() {
                if let Some(said) = self.said(cause.service, cause.host.as_ref()) {
                    cause.text = said.text.into_owned();
                    cause.about = said.about;
                }
            }
        }
    }
}

fn is_named(summary: &str, host: &HostName) -> bool {
    let found = verdict::named(summary.as_bytes(), std::slice::from_ref(host));
    !found.is_empty()
}
