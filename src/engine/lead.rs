//! Where do checks of hosts go that are names, and who is checked at once because a name leads
//! somewhere else now? Which addresses a name has is for the bindings to know.

use std::cell::OnceCell;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::engine::Engine;
use crate::engine::event::{HostVerdict, Purpose, Report, Resolved, Run};
use crate::engine::going::{Began, Going};
use crate::engine::state::HostState;
use crate::lead::Lead;
use crate::model::{HostName, ServiceId};
use crate::time::{Mono, Now};

/// So long the first check after a restart waits for where names lead that had an address before:
/// as long as one who has an old answer waits for a new one (`names`).
const FIRST_ANSWERS_WITHIN: Duration = Duration::from_millis(500);

/// Which checks are owed to what name servers answer.
#[derive(Debug, Default)]
pub(super) struct Owed {
    /// Hosts that no check has looked at where their names lead now: found at no server, since the
    /// name led nowhere, or at the address of before.
    unlooked: BTreeSet<(ServiceId, HostName)>,
    /// First runs that wait for answers, each with the time for which it was planned.
    waiting: BTreeMap<ServiceId, Mono>,
}

impl Owed {
    /// The services of another file have other places. What waits for answers comes by itself.
    pub(super) fn renumber(&mut self, place: impl Fn(ServiceId) -> Option<ServiceId>) {
        let unlooked = std::mem::take(&mut self.unlooked).into_iter();
        let unlooked = unlooked.filter_map(|(old, host)| Some((place(old)?, host)));
        self.unlooked = unlooked.collect();
        self.waiting.clear();
    }
}

impl Engine {
    /// The names among the hosts of a run are checked where they lead as far as is known here:
    /// what it finds is then no word on another address.
    pub(super) fn say_where(&self, run: &mut Run) {
        let lead = |host: &HostName| match run.purpose {
            Purpose::Former => Some(Lead::To(self.bindings.former(run.service, host))),
            Purpose::Slot
            | Purpose::Recheck
            | Purpose::Trip
            | Purpose::Beside
            | Purpose::Witness => self.bindings.lead(run.service, host),
        };
        let hosts = run.names().into_iter();
        let led = hosts.filter_map(|host| lead(&host).map(|lead| (host, lead)));
        run.leads = led.collect();
    }

    /// When a service is to run first that was planned for this time: what it finds at the address
    /// that a name had before a restart would be taken for what it finds where the name leads now.
    pub(super) fn behind_first_answers(&mut self, id: ServiceId, planned: Mono, now: Mono) -> Mono {
        if !self.bindings.awaits_answers(id) {
            return planned;
        }
        self.owed.waiting.insert(id, planned);
        planned.max(now.after(FIRST_ANSWERS_WITHIN))
    }

    /// A check of these hosts begins: of those whose names lead somewhere it finds out.
    pub(super) fn looks(&mut self, run: &Run) {
        if run.purpose == Purpose::Former {
            return;
        }
        if run.purpose.is_slot() {
            return self.slot_looks(run.service);
        }
        for host in run.names() {
            self.found_out(run.service, host);
        }
    }

    /// The slot of a service has come, whatever runs in it: nothing is owed to it but what leads
    /// nowhere. Also of hosts that it has not among its own: disabled ones, or of other hostgroups.
    pub(super) fn slot_looks(&mut self, id: ServiceId) {
        let Self { bindings, owed, .. } = self;
        owed.waiting.remove(&id);
        owed.unlooked
            .retain(|(it, host)| *it != id || bindings.leads_nowhere(*it, host));
    }

    /// A check between two slots looks at this host. What it finds lets no changed address enter.
    fn found_out(&mut self, id: ServiceId, host: HostName) {
        let bindings = &self.bindings;
        if !self.owed.unlooked.is_empty()
            && !bindings.leads_nowhere(id, &host)
            && !bindings.changes(id, &host)
            && !bindings.is_unsure(id, &host)
        {
            self.owed.unlooked.remove(&(id, host));
        }
    }

    /// A check ended: what did it not look at, since the name had no address when it began, or led
    /// elsewhere?
    pub(super) fn note_unlooked(&mut self, going: &Going, report: &Report) {
        if going.purpose == Purpose::Former {
            return;
        }
        let (id, answers, began) = (going.service, going.answers, going.began());
        for one in self.found(id, report, &going.hosts) {
            let (bindings, host) = (&self.bindings, &one.host);
            let was_nowhere = match one.verdict {
                HostVerdict::Down(_) | HostVerdict::Unknown(_)
                    if bindings.was_unsure(id, host, answers) =>
                {
                    true
                }
                HostVerdict::Down(reason) => {
                    bindings.leads_nowhere(id, host)
                        || bindings.may_have_looked_nowhere(id, host, reason, answers)
                }
                HostVerdict::Up => bindings.is_unsure_return(id, host),
                HostVerdict::Unknown(_) => continue,
            };
            if was_nowhere || self.was_elsewhere(id, host, &began) {
                self.owed.unlooked.insert((id, one.host));
            } else if going.purpose.is_slot() || !bindings.changes(id, host) {
                self.owed.unlooked.remove(&(id, one.host));
            }
        }
    }

    /// Whether a check that began then may have looked at another server than the one to which the
    /// name of a host leads now.
    pub(super) fn was_elsewhere(&self, id: ServiceId, host: &HostName, began: &Began) -> bool {
        self.bindings.led_elsewhere(id, host, began.answers)
            && !self.bindings.is_there(id, host, began.there(host))
    }

    /// Whether what a check found bad may be about another server than that of before a restart, or
    /// about name servers. A trap comes from the machine itself.
    pub(super) fn takes_nobody_out(
        &self,
        id: ServiceId,
        host: &HostName,
        began: &Began,
        nobody: &OnceCell<bool>,
    ) -> bool {
        let bindings = &self.bindings;
        began.run.is_some() && bindings.takes_nobody_out(id, host, began.answers, nobody)
    }

    /// The same of what a check found good, where the server was withdrawn before the restart.
    pub(super) fn is_unsure_return(&self, id: ServiceId, host: &HostName, began: &Began) -> bool {
        began.run.is_some() && self.bindings.is_unsure_return(id, host)
    }

    /// Whether a good report is about nobody else than such servers: it is none of the service as
    /// a whole either.
    pub(super) fn are_unsure_returns(
        &self,
        id: ServiceId,
        hosts: &[HostState],
        began: &Began,
    ) -> bool {
        let is_return = |it: &HostState| self.is_unsure_return(id, &it.host, began);
        !hosts.is_empty() && hosts.iter().all(is_return)
    }

    /// Whether a failing report is about the service as a whole: not where all that failed are
    /// hosts whose names lead, or led when it began, elsewhere than to their real servers, or may.
    pub(super) fn is_about_whole(&self, id: ServiceId, hosts: &[HostState], began: &Began) -> bool {
        let nobody = OnceCell::new();
        let is_elsewhere = |host: &HostName| {
            self.bindings.changes(id, host)
                || self.was_elsewhere(id, host, began)
                || self.takes_nobody_out(id, host, began, &nobody)
        };
        let failed = hosts.iter().filter(|it| it.verdict != HostVerdict::Up);
        let mut failed = failed.peekable();
        began.run.is_none() || failed.peek().is_none() || failed.any(|it| !is_elsewhere(&it.host))
    }

    /// Names were looked up, `before` so many answers had been heard. What is found where a name
    /// leads from now on lets the changed address enter, and the one of before may be dead: the
    /// next slot may be an hour away. Where it leads back, a failure of the other address stands
    /// for as long.
    pub(super) fn note_where(&mut self, now: Now, answers: &[Resolved], before: u64) {
        for Resolved { host, .. } in answers {
            let turned = self.bindings.judges_of_turned(host, before);
            let turned = turned.into_iter().map(|id| (id, host.clone()));
            self.owed.unlooked.extend(turned);
        }
        let (bindings, waiting) = (&self.bindings, &self.owed.waiting);
        let answered = waiting
            .iter()
            .filter(|&(&id, _)| !bindings.awaits_answers(id));
        let answered: Vec<(ServiceId, Mono)> = answered.map(|(&id, &at)| (id, at)).collect();
        for (id, planned) in answered {
            self.owed.waiting.remove(&id);
            self.timetable.bring_first_forward(id, planned);
        }
        self.look_where_they_lead(now);
    }

    /// What was found at no server, or where a name led before, is no verdict on the one where it
    /// leads now: who leads somewhere by now is looked at. A service that is at work comes to it
    /// when it ends.
    pub(super) fn look_where_they_lead(&mut self, now: Now) {
        let found = self.owed.unlooked.iter();
        let bindings = &self.bindings;
        let is_known =
            |id, host| !bindings.leads_nowhere(id, host) && !bindings.is_unsure(id, host);
        let found = found.filter(|(id, host)| is_known(*id, host));
        let behind: BTreeSet<ServiceId> = found.map(|&(id, _)| id).collect();
        self.check_at_once(now, &behind);
    }

    /// Brings the next run of these services forward.
    pub(super) fn check_at_once(&mut self, now: Now, behind: &BTreeSet<ServiceId>) {
        for &id in behind {
            if let Some(interval) = self.interval(id) {
                self.timetable.bring_forward(id, interval, now.mono);
            }
        }
    }
}
