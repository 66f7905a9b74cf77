//! What is known of one service: status, counters, times, the latest output, its outage and
//! the memory of its periods. Moments are in `moment`, outputs in `text`.
//!
//! Pure values and how a report changes them. What only a failing service needs is boxed:
//! most of 10,000 services are good most of the time. Not here: which alerts follow
//! (policy), when it runs next (schedule), how it is written to the journal (saved).
//!
//! Source: docs/mon.md, "Events".

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use crate::engine::event::{HostVerdict, Report, RunId, Status, Suppression};
use crate::engine::recent::Recent;
use crate::engine::said::Between;
use crate::engine::verdict;
use crate::lvs::GivenWeight;
use crate::model::{AlertPeriod, HostName, Repeat, Service};
use crate::pair::talk::Reached;
use crate::pair::talk::counted::{Counted, Counts, Events};
use crate::time::{Now, Wall};

mod moment;
mod text;

pub(crate) use moment::{Dated, Moment};
pub(crate) use text::{EventText, Kept, NO_SUMMARY};

#[cfg(test)]
mod tests;

/// What is known of one service.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct ServiceState {
    pub(crate) status: Status,
    /// The status before the latest event, also where that did not change it.
    pub(crate) last_status: Status,
    /// Of the latest run.
    pub(crate) exit: Option<i32>,
    /// Start of the latest run.
    pub(crate) last_check: Option<Wall>,
    /// Of the latest run; none before the first.
    pub(crate) monitor_duration: Option<Duration>,
    /// End of the latest run, for spans; behind a restart its start.
    pub(crate) reported: Option<Moment>,
    /// End of the latest good run.
    pub(crate) last_success: Option<Wall>,
    /// Failures since the state was made.
    pub(crate) failure_count: u32,
    /// Alerts since the state was made.
    pub(crate) alert_count: u32,
    /// What the latest event said; none while it said nothing.
    pub(crate) text: Option<Box<EventText>>,
    /// While it fails.
    pub(crate) outage: Option<Box<Outage>>,
    /// Number of the latest outage in its event ids; 0 before the first. Never gets less.
    pub(crate) last_outage: i64,
    /// Number of the latest outage that had its end in this life of the daemon.
    pub(crate) ended_outage: i64,
    /// What checks between two slots found since the latest run; none where there was none.
    pub(crate) between: Option<Box<Between>>,
    /// One for each period; none while there is nothing to remember.
    pub(crate) periods: Option<Box<[PeriodMemory]>>,
    /// What the latest event would have alerted but for a rule.
    pub(crate) suppressed: Box<[Suppression]>,
    /// What happened lately; none while it was always good.
    pub(crate) recent: Option<Box<Recent>>,
    /// That it has no host to check was said.
    pub(crate) no_hosts_said: bool,
    /// A person has disabled it.
    pub(crate) is_disabled: bool,
    /// Hosts that the latest event found good and the table has not heard of, since the
    /// service was disabled or the scheduler stopped (D10). Not in the journal: behind a
    /// restart the next report says it.
    pub(crate) unheard: Option<Box<[HostName]>>,
    /// While it is acknowledged.
    pub(crate) ack: Option<Box<Acked>>,
    /// Result of the latest evaluation of a dependency; none before the first.
    pub(crate) depend_status: Option<bool>,
    /// What holds its alerts back now. `depend_status` says no more than how an evaluation ended:
    /// those for monitors set it too, and one that went too deep leaves it.
    pub(crate) alerts_held_by: Option<Box<Blame>>,
    /// The traps that came for it.
    pub(crate) traps: Option<Box<Traps>>,
    /// What `set` kept aside: variables that mean nothing to us (D31).
    pub(crate) scratch: BTreeMap<String, String>,
}

/// The summary that an event of that exit value leaves: of a failure `(NO SUMMARY)` where it is
/// blank, whatever `trapduration` or a person makes of the status later; none of a success that
/// said nothing.
pub(crate) fn summary_left(text: Option<&EventText>, exit: Option<i32>) -> Option<Cow<'_, str>> {
    let text = text.filter(|text| !text.is_silent());
    if exit.is_some_and(|exit| exit != 0) {
        return Some(text.map_or(Cow::Borrowed(NO_SUMMARY), |text| text.summary(Status::Fail)));
    }
    text.map(|text| text.summary(Status::Ok))
}

/// An acknowledgement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Acked {
    /// By the clock of the director that was told: of two the newer counts. It may be ahead of
    /// ours.
    pub(crate) time: Wall,
    /// `USER: TEXT`
    pub(crate) comment: Arc<str>,
}

impl Acked {
    /// When, for a person: never in the future.
    pub(crate) fn shown(&self, now: Wall) -> Wall {
        self.time.min(now)
    }
}

/// Why a dependency does not hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Blame {
    /// As it stands in the file.
    pub(crate) expression: Arc<str>,
    /// `GROUP:SERVICE`, the first in it that is not good.
    pub(crate) parent: Option<Arc<str>>,
}

/// What is remembered of the traps for a service.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Traps {
    pub(crate) last: Option<Wall>,
    /// The latest good one.
    pub(crate) last_up: Option<Wall>,
    /// Who sent the latest.
    pub(crate) from: Option<IpAddr>,
    /// When the latest no longer counts (`trapduration`); none where nothing hangs on it.
    pub(crate) ends: Option<Moment>,
}

/// What is known of a service only while it fails.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Outage {
    /// First failure.
    pub(crate) began: Dated,
    /// Seconds of the first failure as first recorded, or the next number that was free: part
    /// of every event id, so it stays the same however the wall clock is set later.
    pub(crate) id: i64,
    pub(crate) last_failure: Wall,
    /// Latest failure, for spans.
    pub(crate) latest: Moment,
    pub(crate) consec_failures: u32,
    /// Those of them that messages no longer count.
    pub(crate) forgiven: u32,
    /// What the failure before said, while those who count failures are not told of the latest
    /// until re-checks have decided.
    pub(crate) put_off: Option<Box<EventText>>,
    /// Alert calls so far, of all kinds but the one of its end: the number in their event ids.
    pub(crate) calls: u32,
    /// What the latest of them told.
    pub(crate) events: Events,
    /// What the other director of a pair said last of its own calls, by the same number.
    pub(crate) heard: Option<Box<Counts>>,
    /// The same of its end, which has the same ids on both directors however many repeats each
    /// of them has counted. Not in the journal: it ends with the event.
    pub(crate) ups: u32,
    /// What of it has reached people under its number, told by whichever director. Never gets
    /// less.
    reached: Reached,
    /// The latest run that had begun when this director heard that its end has reached people. Not
    /// in the journal: what runs behind a restart began later.
    end_heard: Option<RunId>,
    /// When the newest acknowledgement of it was said, here or on the other director of a pair: one
    /// that a changed summary has ended (`unack_summary`) does not come back.
    pub(crate) acked: Option<Wall>,
    /// What the latest report said of each host that was checked.
    pub(crate) hosts: Box<[HostState]>,
}

/// What the latest report said of one host.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct HostState {
    pub(crate) host: HostName,
    pub(crate) verdict: HostVerdict,
    pub(crate) text: Box<str>,
    /// As [`HostResult::weight`](crate::engine::event::HostResult::weight).
    pub(crate) weight: Option<GivenWeight>,
}

/// What a period remembers between events.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct PeriodMemory {
    /// Problem alerts sent in this outage (E-15 fixed: no other kind counts).
    pub(crate) alert_sent: u32,
    /// The first of them was about to leave when the journal was written, and may have been
    /// sent. Only behind a crash, until one is sent.
    pub(crate) perhaps_sent: bool,
    /// The latest problem alert; outlives the outage with `alertevery ... strict`.
    pub(crate) last_alert: Option<Moment>,
    /// `alertafter` as messages see it: held up by `alertevery` and `numalerts`.
    pub(crate) messages: Window,
    /// `alertafter` as the table sees it: nothing holds it up (D3).
    pub(crate) gate: Window,
}

/// The failures that `alertafter` counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Window {
    /// mon's `_1stfailtime`.
    pub(crate) first: Option<Moment>,
    /// mon's `_failcount`.
    pub(crate) count: u32,
}

impl ServiceState {
    /// Counts a failing report in, before its alerts are decided. The text comes later, by
    /// [`Self::set_text`]: the decision compares it with the one before. `number` is that of
    /// the outage, where one begins.
    pub(crate) fn fail(&mut self, now: Now, number: i64, exit: i32, hosts: Box<[HostState]>) {
        self.exit = Some(exit);
        self.last_status = self.status;
        self.failure_count = self.failure_count.saturating_add(1);
        // Where `trapduration` ended the failure before, the count goes on (E-2).
        let earlier = self.outage.take_if(|_| self.status != Status::Fail);
        self.status = Status::Fail;
        if self.outage.is_none() {
            let mut outage = Outage::new(now, number);
            if let Some(earlier) = earlier {
                outage.consec_failures = earlier.consec_failures;
                outage.forgiven = earlier.forgiven;
            }
            self.begin(outage);
        }
        let Some(outage) = &mut self.outage else {
            return;
        };
        outage.consec_failures = outage.consec_failures.saturating_add(1);
        outage.last_failure = now.wall;
        outage.latest = Moment::of(now);
        outage.hosts = hosts;
    }

    /// Whether time counts for it: an outage, an alert that waits for the next one, a trap that
    /// ends.
    pub(crate) fn has_spans(&self) -> bool {
        let ends = self.traps.as_deref().and_then(|traps| traps.ends);
        self.outage.is_some() || self.periods.is_some() || ends.is_some()
    }

    /// It is in this outage from now on.
    pub(crate) fn begin(&mut self, outage: Outage) {
        self.last_outage = self.last_outage.max(outage.id);
        self.outage = Some(Box::new(outage));
    }

    /// Ends the outage, after the upalerts have been decided (docs/mon.md, "Events").
    pub(crate) fn end_outage(&mut self, service: &Service) {
        if let Some(outage) = self.outage.take() {
            self.ended_outage = self.ended_outage.max(outage.id);
        }
        self.ack = None;
        let Some(memory) = &mut self.periods else {
            return;
        };
        for (period, memory) in service.periods.iter().zip(memory.iter_mut()) {
            let last_alert = memory.last_alert.filter(|_| is_strict(period));
            *memory = PeriodMemory {
                last_alert,
                ..PeriodMemory::default()
            };
        }
        self.drop_blank_memory();
    }

    /// The summary that the latest event left: see [`summary_left`].
    pub(crate) fn summary(&self) -> Option<Cow<'_, str>> {
        summary_left(self.text.as_deref(), self.exit)
    }

    /// What people know of: what the latest event said, or the one before while that is put off.
    /// Behind a restart the next report is compared with it.
    pub(crate) fn known_text(&self) -> Option<&EventText> {
        let put_off = self.outage.as_deref().and_then(|it| it.put_off.as_deref());
        match put_off {
            Some(before) => Some(before).filter(|text| !text.is_silent()),
            None => self.text.as_deref(),
        }
    }

    /// Remembers what an event said.
    pub(crate) fn set_text(&mut self, text: EventText) {
        self.text = (!text.is_silent()).then(|| Box::new(text));
    }

    /// The memory of the periods of `service`, made when it is first needed.
    pub(crate) fn memory(&mut self, service: &Service) -> &mut [PeriodMemory] {
        self.periods
            .get_or_insert_with(|| vec![PeriodMemory::default(); service.periods.len()].into())
    }

    /// Whether there is anything that a restart must not lose.
    pub(crate) fn is_known(&self) -> bool {
        self.status != Status::Untested
            || self.is_disabled
            || !self.scratch.is_empty()
            || self.traps.is_some()
            || self.last_outage != 0
            || self.periods.is_some()
    }

    /// Gives the memory of the periods back where there is nothing to remember.
    pub(crate) fn drop_blank_memory(&mut self) {
        let blank = PeriodMemory::default();
        if let Some(memory) = &self.periods
            && memory.iter().all(|memory| *memory == blank)
        {
            self.periods = None;
        }
    }
}

impl Outage {
    /// An outage that begins now under this number, with no failure counted yet.
    pub(crate) fn new(now: Now, number: i64) -> Self {
        Self {
            began: Dated::of(now),
            id: number,
            last_failure: now.wall,
            latest: Moment::of(now),
            consec_failures: 0,
            forgiven: 0,
            put_off: None,
            calls: 0,
            events: Events::default(),
            heard: None,
            ups: 0,
            reached: Reached::Nothing,
            end_heard: None,
            acked: None,
            hosts: Box::default(),
        }
    }

    /// What of it has reached people.
    pub(crate) const fn reached(&self) -> Reached {
        self.reached
    }

    /// The latest run that had begun when its end was heard of; none where every one that ends
    /// from now on began later.
    pub(crate) const fn end_heard(&self) -> Option<RunId> {
        self.end_heard
    }

    /// So much of it, at least, had reached people when this director learned of the outage: every
    /// check that ends from now on counts as begun later.
    pub(crate) fn had_reached(&mut self, reached: Reached) {
        self.reached = self.reached.max(reached);
    }

    /// So much of it has reached people; `latest` is the newest run that has begun.
    pub(crate) fn set_reached(&mut self, reached: Reached, latest: RunId) {
        if reached == Reached::End && self.reached != Reached::End {
            self.end_heard = Some(latest);
        }
        self.reached = reached;
    }

    /// The calls of one event came behind so many others.
    pub(crate) fn add_calls(&mut self, event: Counted) {
        self.calls = event.before.saturating_add(event.said.calls);
        self.events.add(event);
    }

    /// Failures in a row as mon counts them: `clear timers` begins anew.
    pub(crate) fn counted_failures(&self) -> u32 {
        self.consec_failures.saturating_sub(self.forgiven)
    }
}

/// What a report says of each host that was checked: from a native check its own results,
/// from an executable what its output names (D9).
pub(crate) fn hosts_of(
    report: &Report,
    checked: &[HostName],
    service: &Service,
) -> Box<[HostState]> {
    if !report.hosts.is_empty() {
        let own = report.hosts.iter().map(|result| HostState {
            host: result.host.clone(),
            verdict: result.verdict,
            text: result.text.as_str().into(),
            weight: result.weight,
        });
        return own.collect();
    }
    let verdicts = verdict::hosts(report, checked, service.all_hosts_on_failure);
    let named = checked.iter().filter_map(|host| {
        verdicts.get(host).map(|&verdict| HostState {
            host: host.clone(),
            verdict,
            text: Box::default(),
            weight: None,
        })
    });
    named.collect()
}

/// The verdicts alone, as bindings read them.
pub(crate) fn verdicts(hosts: &[HostState]) -> BTreeMap<HostName, HostVerdict> {
    hosts
        .iter()
        .map(|state| (state.host.clone(), state.verdict))
        .collect()
}

fn is_strict(period: &AlertPeriod) -> bool {
    matches!(period.alertevery, Some((_, Repeat::Strict)))
}
