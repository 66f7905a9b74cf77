//! Where do checks of hosts go that are names, and who is checked again because a name leads
//! somewhere else now? Which addresses a name has is for the bindings to know.

use crate::engine::Engine;
use crate::engine::binding::Turned;
use crate::engine::event::{HostVerdict, Purpose, Report, Run};
use crate::engine::going::Going;
use crate::lead::Lead;
use crate::model::HostName;
use crate::time::Now;

impl Engine {
    /// The names among the hosts of a run are checked where they lead as far as is known here:
    /// what it finds is then no word on another address.
    pub(super) fn say_where(&self, run: &mut Run) {
        let there = |host: &HostName| match run.purpose {
            Purpose::Former => Some(self.bindings.former(run.service, host)),
            Purpose::Slot
            | Purpose::Recheck
            | Purpose::Trip
            | Purpose::Beside
            | Purpose::Witness => self.bindings.latest(run.service, host),
        };
        let hosts = run.names().into_iter();
        run.leads = hosts
            .filter_map(|host| {
                let known = there(&host).map(Lead::To);
                let lead = known.or_else(|| self.bindings.lead(run.service, &host))?;
                Some((host, lead))
            })
            .collect();
    }

    /// Names got their first address: what failed at them before is no verdict on the real server,
    /// and the next slot may be an hour away.
    pub(super) fn look_where_they_lead(&mut self, now: Now) {
        for (id, host) in self.bindings.take_found() {
            if let Some(interval) = self
                .interval(id)
                .filter(|_| self.is_known_to_all(id, &host))
            {
                self.timetable.bring_forward(id, interval, now.mono);
            }
        }
    }

    /// Whether a failure of this run counts for nothing, since its name had no address then.
    pub(super) fn looked_nowhere(&self, going: &Going, report: &Report) -> bool {
        let (id, answers) = (going.service, going.answers);
        let found = self.found(id, report, &going.hosts);
        found.iter().any(|one| match one.verdict {
            HostVerdict::Down(reason) => {
                let bindings = &self.bindings;
                bindings.may_have_looked_nowhere(id, &one.host, reason, answers)
            }
            HostVerdict::Up | HostVerdict::Unknown(_) => false,
        })
    }

    /// Whoever decides in another family than before has not looked at that address.
    pub(super) fn look_at_other_families(&mut self, now: Now, turned: &Turned) {
        for &id in &turned.behind {
            if let Some(interval) = self.interval(id) {
                self.timetable.bring_forward(id, interval, now.mono);
            }
        }
    }
}
