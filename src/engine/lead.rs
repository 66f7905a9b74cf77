//! Where do checks of hosts go that are names, and who is checked again because a name leads
//! somewhere else now? Which addresses a name has is for the bindings to know.

use std::collections::BTreeSet;

use crate::engine::Engine;
use crate::engine::event::{HostVerdict, Purpose, Report, Run};
use crate::engine::going::Going;
use crate::lead::Lead;
use crate::model::{HostName, ServiceId};
use crate::time::Now;

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

    /// A check of these hosts begins: of those whose names lead somewhere it finds out.
    pub(super) fn looks(&mut self, run: &Run) {
        if run.purpose == Purpose::Former || self.nowhere.is_empty() {
            return;
        }
        for host in run.names() {
            if !self.bindings.leads_nowhere(run.service, &host) {
                self.nowhere.remove(&(run.service, host));
            }
        }
    }

    /// A check ended: which of its failures were found at no server, since the name had no address
    /// when it began?
    pub(super) fn note_nowhere(&mut self, going: &Going, report: &Report) {
        if going.purpose == Purpose::Former {
            return;
        }
        let (id, answers) = (going.service, going.answers);
        for one in self.found(id, report, &going.hosts) {
            let (bindings, host) = (&self.bindings, &one.host);
            let was_nowhere = match one.verdict {
                HostVerdict::Down(reason) => {
                    bindings.leads_nowhere(id, host)
                        || bindings.may_have_looked_nowhere(id, host, reason, answers)
                }
                HostVerdict::Up => false,
                HostVerdict::Unknown(_) => continue,
            };
            if was_nowhere {
                self.nowhere.insert((id, one.host));
            } else {
                self.nowhere.remove(&(id, one.host));
            }
        }
    }

    /// What was found at no server is no verdict on one, and the next slot may be an hour away: who
    /// leads somewhere by now is looked at. A service that is at work comes to it when it ends.
    pub(super) fn look_where_they_lead(&mut self, now: Now) {
        let found = self.nowhere.iter();
        let found = found.filter(|(id, host)| !self.bindings.leads_nowhere(*id, host));
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
