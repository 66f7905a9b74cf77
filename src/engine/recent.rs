//! What happened lately to one service: results, alerts sent, alerts held back, for a person who
//! asks why.
//!
//! Bounded: [`ENTRIES_MAX`] of each kind, equal ones in a row counted as one; of single hosts see
//! `hosts`. A service that was always good has none of it, since most of 10,000 services are. Kept
//! in memory only: after a restart it begins anew. Decides nothing.

mod hosts;

use std::sync::Arc;
use std::time::Duration;

use crate::engine::Engine;
use crate::engine::event::{
    Action, AlertCall, AlertId, AlertKind, HostVerdict, Purpose, Reason, Report, Status,
    Suppressed, Suppression,
};
use crate::engine::state::{EventText, HostState, ServiceState};
use crate::model::{HostName, ServiceId};
use crate::text::cut;
use crate::time::{Now, Wall};

pub use hosts::{About, HOST_ENTRIES_MAX, HostEntry};
pub(super) use hosts::{Weighs, words};

/// Entries of each kind: what a person reads at one glance.
const ENTRIES_MAX: usize = 10;

/// Bytes of a summary that are kept: one line of a terminal or two.
const SUMMARY_MAX: usize = 200;

/// What happened lately to a service, oldest first.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Recent {
    /// What its monitor or a trap reported.
    pub results: Vec<ResultEntry>,
    /// Alerts that were called.
    pub sent: Vec<SentEntry>,
    /// Alerts that a rule held back.
    pub held: Vec<HeldEntry>,
    /// What was said of each host that was not always good.
    hosts: hosts::Hosts,
}

/// Reports that said the same.
#[derive(Clone, Debug, PartialEq)]
pub struct ResultEntry {
    /// The first of them.
    pub first: Wall,
    /// The last of them.
    pub last: Wall,
    /// How many.
    pub count: u32,
    /// What it made of the service.
    pub status: Status,
    /// Exit value; none where no report is known, only its time.
    pub exit: Option<i32>,
    /// Why it failed (D34).
    pub reason: Option<Reason>,
    /// First line, at most 200 bytes.
    pub summary: Box<str>,
    /// How long the last of them took; none for a trap.
    pub took: Option<Duration>,
}

/// An alert that was called.
#[derive(Clone, Debug, PartialEq)]
pub struct SentEntry {
    /// When.
    pub time: Wall,
    /// Which call.
    pub id: AlertId,
    /// Why.
    pub kind: AlertKind,
    /// The name as it stands in the file.
    pub alert: Arc<str>,
    /// The label of the period.
    pub period: Arc<str>,
    /// What it was told, at most 200 bytes.
    pub summary: Box<str>,
}

/// Alerts of one kind and period that the same rule held back, one after the other.
#[derive(Clone, Debug, PartialEq)]
pub struct HeldEntry {
    /// The first of them.
    pub first: Wall,
    /// The last of them.
    pub last: Wall,
    /// How many.
    pub count: u32,
    /// What kind of alert.
    pub kind: AlertKind,
    /// The label of the period; none where a rule of the service objected.
    pub period: Option<Arc<str>>,
    /// The rule, with what was left of it the last time.
    pub why: Suppressed,
}

/// One period of a service at this moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeriodView<'a> {
    /// Its label.
    pub label: &'a str,
    /// Whether it holds.
    pub holds: bool,
    /// When that changes next; none where it does not within ten years.
    pub changes: Option<Wall>,
    /// Problem alerts of the present outage.
    pub alerts_sent: u32,
}

impl Engine {
    /// What happened lately to a service; none where it has always been good.
    #[must_use]
    pub fn recent(&self, id: ServiceId) -> Option<&Recent> {
        self.states.get(id.index())?.recent.as_deref()
    }

    /// The periods of a service, in file order.
    #[must_use]
    pub fn periods(&self, id: ServiceId, wall: Wall) -> Vec<PeriodView<'_>> {
        let Some(service) = self.model.services.get(id.index()) else {
            return Vec::new();
        };
        let memory = self.states.get(id.index());
        let memory = memory.and_then(|state| state.periods.as_deref());
        let sent = |index: usize| memory.and_then(|all| all.get(index));
        let periods = service.periods.iter().enumerate();
        periods
            .map(|(index, period)| PeriodView {
                label: &period.label,
                holds: period.when.holds(wall, &self.zone),
                changes: period.when.next_change(wall, &self.zone),
                alerts_sent: sent(index).map_or(0, |memory| memory.alert_sent),
            })
            .collect()
    }

    /// Remembers what a report came to; its text and its hosts are in the state already.
    pub(super) fn remember_result(&mut self, now: Now, id: ServiceId) {
        let state = &mut self.states[id.index()];
        let is_good = state.status == Status::Ok;
        if is_good && state.recent.is_none() {
            return;
        }
        let entry = result(state, now.wall);
        state.recent.get_or_insert_default().add(entry);
    }

    /// Remembers a failing report that counts for nothing, since the director was cut off (D17);
    /// of a check between two slots what it said of the hosts.
    pub(super) fn remember_doubt(
        &mut self,
        now: Now,
        id: ServiceId,
        purpose: Purpose,
        found: &[HostState],
        report: &Report,
    ) {
        let text = EventText::of(report.clone());
        let summary = text.summary(Status::Fail);
        self.remember_hosts(now, id, found, &summary, Weighs::OnlyGood);
        if !purpose.is_slot() {
            return;
        }
        let state = &mut self.states[id.index()];
        let entry = ResultEntry {
            first: now.wall,
            last: now.wall,
            count: 1,
            status: Status::Unknown,
            exit: Some(report.ended.exit()),
            reason: Some(Reason::Witness),
            summary: beginning(&summary),
            took: state.monitor_duration,
        };
        state.recent.get_or_insert_default().add(entry);
    }

    /// Remembers which alerts were called and which were held back.
    pub(super) fn remember_alerts(&mut self, now: Now, actions: &[Action]) {
        for action in actions {
            match action {
                Action::Send(call) => self.remember_sent(call),
                Action::Suppressed(held) => self.remember_held(now, held),
                Action::Start(_)
                | Action::Stop(_)
                | Action::Hold(_)
                | Action::LetGo(_)
                | Action::Resolve(_)
                | Action::ApplyTable
                | Action::Record(_)
                | Action::Renumber { .. }
                | Action::Answer(_)
                | Action::Note(_)
                | Action::History(_)
                | Action::Downtime(_) => {}
            }
        }
    }

    fn remember_sent(&mut self, call: &AlertCall) {
        let index = call.service.map(ServiceId::index);
        let Some(state) = index.and_then(|index| self.states.get_mut(index)) else {
            return;
        };
        let entry = SentEntry {
            time: call.time,
            id: call.id,
            kind: call.kind,
            alert: Arc::clone(&call.command.name),
            period: Arc::clone(&call.period),
            summary: beginning(&call.summary),
        };
        push(&mut state.recent.get_or_insert_default().sent, entry);
    }

    fn remember_held(&mut self, now: Now, held: &Suppression) {
        let Some(state) = self.states.get_mut(held.service.index()) else {
            return;
        };
        let recent = state.recent.get_or_insert_default();
        let is_same = |entry: &&mut HeldEntry| {
            let same_rule = std::mem::discriminant(&entry.why) == std::mem::discriminant(&held.why);
            same_rule && entry.kind == held.kind && entry.period == held.period
        };
        // Several periods take turns, so the latest of each counts, not the latest of all.
        match recent.held.iter_mut().rev().find(is_same) {
            Some(entry) => {
                entry.last = now.wall;
                entry.count = entry.count.saturating_add(1);
                entry.why = held.why.clone();
            }
            None => push(
                &mut recent.held,
                HeldEntry {
                    first: now.wall,
                    last: now.wall,
                    count: 1,
                    kind: held.kind,
                    period: held.period.clone(),
                    why: held.why.clone(),
                },
            ),
        }
        recent.held.sort_by_key(|entry| entry.last);
    }
}

impl Recent {
    /// What the checks said lately of a host, oldest first; nothing where it was always good.
    #[must_use]
    pub fn of(&self, host: &HostName) -> &[HostEntry] {
        self.hosts.get(host).map_or(&[], Vec::as_slice)
    }

    fn add(&mut self, entry: ResultEntry) {
        match self.results.last_mut() {
            Some(last) if last.says_the_same(&entry) => {
                last.last = entry.last;
                last.count = last.count.saturating_add(1);
                last.took = entry.took;
            }
            Some(_) | None => push(&mut self.results, entry),
        }
    }
}

impl ResultEntry {
    fn says_the_same(&self, other: &Self) -> bool {
        (self.status, self.exit, self.reason, &self.summary)
            == (other.status, other.exit, other.reason, &other.summary)
    }
}

/// The report that the state has just taken in.
fn result(state: &ServiceState, time: Wall) -> ResultEntry {
    let summary = state.text.as_deref().map(|text| text.summary(state.status));
    ResultEntry {
        first: time,
        last: time,
        count: 1,
        status: state.status,
        exit: state.exit,
        reason: reason(state),
        summary: beginning(&summary.unwrap_or_default()),
        took: state.monitor_duration,
    }
}

/// Of several hosts the first that is down counts, else the first that nobody knows.
fn reason(state: &ServiceState) -> Option<Reason> {
    let outage = state.outage.as_deref()?;
    let down = |verdict| match verdict {
        HostVerdict::Down(reason) => Some(reason),
        HostVerdict::Up | HostVerdict::Unknown(_) => None,
    };
    let unknown = |verdict| match verdict {
        HostVerdict::Unknown(reason) => Some(reason),
        HostVerdict::Up | HostVerdict::Down(_) => None,
    };
    let verdicts = || outage.hosts.iter().map(|host| host.verdict);
    verdicts()
        .find_map(down)
        .or_else(|| verdicts().find_map(unknown))
        .or(Some(Reason::Exit))
}

fn push<T>(entries: &mut Vec<T>, entry: T) {
    if entries.len() >= ENTRIES_MAX {
        entries.remove(0);
    }
    entries.push(entry);
}

fn beginning(text: &str) -> Box<str> {
    cut(text, SUMMARY_MAX).into()
}
