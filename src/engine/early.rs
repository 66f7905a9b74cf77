//! When are people told at once of what the checks between two slots have decided?
//!
//! A section counts failures in seconds, `alertafter NUM` in intervals. So that those whom it makes
//! wait hear of withdrawals with them, and of nothing that a re-check took back:
//!
//! - Where a section with `fall` above 1 withdraws a server between slots while a period waits for
//!   more failures, the next run of the slot comes at once.
//! - While failures of a host that a report finds down are still being counted, no period with
//!   `alertafter NUM` tells of the report. The next run comes as soon as the count is over, and
//!   what it finds is told: the text of a program cannot be told without one of its hosts.
//!
//! A report is put off once: the next one is told whatever is still being counted, so that nothing
//! waits for ever and no run follows the other. A run that comes early counts as any other, but a
//! period that told of the report before does not tell of it. Nothing is kept across a restart:
//! what was put off is unheard then, as it was ([`ServiceState::known_text`]).
//!
//! [`ServiceState::known_text`]: crate::engine::state::ServiceState::known_text

use std::collections::BTreeSet;
use std::time::Duration;

use crate::engine::Engine;
use crate::engine::binding::Part;
use crate::engine::event::{HostVerdict, Status, Suppressed};
use crate::engine::policy::{self, Decision};
use crate::engine::state::{EventText, Outage, PeriodMemory};
use crate::model::{HostName, ServiceId};
use crate::time::Now;

/// The runs that come early.
#[derive(Debug, Default)]
pub(super) struct Early {
    /// Services that owe one.
    owed: BTreeSet<ServiceId>,
    /// Services of which one was brought forward and has not begun.
    coming: BTreeSet<ServiceId>,
}

impl Early {
    /// Of the services under their new numbers, none where one is gone.
    pub(super) fn renumber(&mut self, place: impl Fn(ServiceId) -> Option<ServiceId>) {
        for set in [&mut self.owed, &mut self.coming] {
            *set = set.iter().filter_map(|&id| place(id)).collect();
        }
    }

    /// The next run of a service was brought forward, and has nothing to tell to who was told just
    /// now.
    pub(super) fn comes(&mut self, id: ServiceId) {
        self.coming.insert(id);
    }

    /// The slot of a service has come: whether its run is one that was brought forward for people.
    pub(super) fn begins(&mut self, id: ServiceId) -> bool {
        self.coming.remove(&id)
    }

    /// The service is good: there is nothing to tell.
    pub(super) fn is_good(&mut self, id: ServiceId) {
        self.owed.remove(&id);
    }
}

impl Engine {
    /// A section has withdrawn a server between two slots, or a crash was seen that it is to count:
    /// those who wait for more failures are to hear of it.
    pub(super) fn tell_of_withdrawal(&mut self, id: ServiceId) {
        if self.waits_for_failures(id) {
            self.early.owed.insert(id);
        }
    }

    /// Brings the next run of a service forward where one is owed and would find out what to tell.
    /// Behind the end of each of its checks, when all else is planned.
    pub(super) fn bring_what_is_owed(&mut self, now: Now, id: ServiceId) {
        let state = &self.states[id.index()];
        if !self.early.owed.contains(&id) || state.status != Status::Fail {
            return;
        }
        let outage = state.outage.as_deref();
        let is_due = if outage.is_some_and(|outage| outage.put_off.is_some()) {
            self.still_counted(id).is_none()
        } else if self.waits_for_failures(id) {
            self.bindings.has_withdrawn(id)
        } else {
            self.early.owed.remove(&id);
            false
        };
        if let Some(interval) = self.interval(id).filter(|_| is_due)
            && self.timetable.bring_forward(id, interval, now.mono)
        {
            self.early.owed.remove(&id);
            self.early.coming.insert(id);
        }
    }

    /// A failing report was decided over and counted: where a host is still being counted, the
    /// calls of periods that wait for failures are put off. `before` is what the failure before
    /// said, `memory` that of the periods before the decision.
    pub(super) fn put_off(
        &mut self,
        now: Now,
        id: ServiceId,
        may_wait: bool,
        (before, memory): (Option<&EventText>, Option<&[PeriodMemory]>),
        decision: &mut Decision,
    ) {
        // What holds the whole service back: nobody has heard of anything. Who acknowledged has.
        let mut held_back = decision.held_back.iter();
        let is_acked = |why: &Suppressed| matches!(why, Suppressed::Acknowledged(_));
        if held_back.any(|(period, why)| period.is_none() && !is_acked(why)) {
            return;
        }
        let service = self.model.service(id);
        let waits = |period: Option<usize>| {
            let period = period.and_then(|it| service.periods.get(it));
            period.is_some_and(policy::counts_failures)
        };
        let put_off = decision.calls.iter().map(|it| it.period);
        let put_off: BTreeSet<usize> = put_off.filter(|&it| waits(it)).flatten().collect();
        let outage = self.states[id.index()].outage.as_deref_mut();
        let was_put_off = outage.and_then(|outage| outage.put_off.take()).is_some();
        if put_off.is_empty() || was_put_off || !may_wait || !self.waits_for_rechecks(now, id) {
            return;
        }
        decision.calls.retain(|it| !waits(it.period));
        let state = &mut self.states[id.index()];
        for &period in &put_off {
            let earlier = memory.and_then(|it| it.get(period));
            let earlier = earlier.cloned().unwrap_or_default();
            if let Some(memory) = state.memory(service).get_mut(period) {
                memory.alert_sent = earlier.alert_sent;
                memory.perhaps_sent = earlier.perhaps_sent;
                memory.last_alert = earlier.last_alert;
            }
            let why = (Some(period), Suppressed::StillCounted);
            decision.held_back.push(why);
        }
        state.drop_blank_memory();
        if let Some(outage) = &mut state.outage {
            outage.put_off = Some(Box::new(before.cloned().unwrap_or_default()));
        }
        self.early.owed.insert(id);
    }

    /// Whether re-checks are to come that decide over a host which the latest report found down.
    fn waits_for_rechecks(&self, now: Now, id: ServiceId) -> bool {
        let is_idle = self.witnesses.has_doubts(id) || self.witnesses.is_cut_off(id);
        let gap = self.still_counted(id);
        let gap = gap.filter(|_| !is_idle && self.may_start(now, id));
        let interval = self.interval(id);
        gap.zip(interval)
            .is_some_and(|(gap, interval)| gap < interval)
    }

    /// How soon a host that the latest report found down is to be looked at again, since its
    /// failures are still being counted; none where none is.
    fn still_counted(&self, id: ServiceId) -> Option<Duration> {
        let outage = self.states[id.index()].outage.as_deref()?;
        let is_down = |host: &HostName| {
            let mut found = outage.hosts.iter().filter(|it| it.host == *host);
            found.any(|it| matches!(it.verdict, HostVerdict::Down(_)))
        };
        let is_asked = |part: &Part| match part {
            Part::Whole => true,
            Part::Host(host) => is_down(host),
        };
        self.bindings.still_counted(id, is_asked)
    }

    /// Whether a period holds back what it says until more failures were counted.
    fn waits_for_failures(&self, id: ServiceId) -> bool {
        let outage = self.states[id.index()].outage.as_deref();
        let have = outage.map_or(0, Outage::counted_failures);
        let mut periods = self.model.service(id).periods.iter();
        periods.any(|period| policy::needed_failures(period).is_some_and(|need| have < need))
    }
}
