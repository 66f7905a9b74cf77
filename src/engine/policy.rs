//! The alert decision: which alerts does one event cause, and if none, why. And: does an
//! outage pass the rules of an `lvs.alert` line, so that it reaches the table.
//!
//! Pure. Rules are functions called by [`decide`] in the order of mon's `do_alert`
//! (docs/mon.md, "The alert decision"); the first that objects names itself in `Suppressed`.
//! Here are the rules of the period; those of the service as a whole (stopped, disabled,
//! dependencies, acknowledgement) stand in `whole`.
//!
//! Messages and the table go separate ways after the rules they share. `alertevery` and
//! `numalerts` limit messages, never the table (D3); since both come before `alertafter`
//! and delay its counting, each way has its own count.
//!
//! Not here: when a monitor runs (schedule), what an alert is told (call), how it is
//! delivered (the outbox).

use std::sync::Arc;
use std::time::Duration;

use jiff::tz::TimeZone;

use crate::engine::binding::Ruling;
use crate::engine::event::{AlertKind, Suppressed};
use crate::engine::state::{EventText, Moment, PeriodMemory, Window};
use crate::model::{AlertCommand, AlertPeriod, AlertProgram, Repeat, Service};
use crate::options::AlertOptions;
use crate::time::Now;

pub(crate) mod whole;

#[cfg(test)]
mod tests;

/// The event that may cause alerts.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Occasion<'a> {
    /// What happened.
    pub(crate) kind: AlertKind,
    /// Of the run; 0 for recoveries and starts.
    pub(crate) exit: i32,
    /// What the event says.
    pub(crate) text: &'a EventText,
    /// What the failure before said; none after a success.
    pub(crate) previous: Option<&'a EventText>,
    /// What the one before that said, where periods that count failures were not told of that one
    /// (`early`).
    pub(crate) untold: Option<&'a EventText>,
    /// When the failure before was, where the check of this one was brought forward for people: who
    /// was told then is not told the same again.
    pub(crate) repeats: Option<Moment>,
    /// Failures in a row, this one included.
    pub(crate) consec_failures: u32,
    /// Those of them that messages no longer count: an acknowledgement ended, or a person
    /// cleared the timers.
    pub(crate) forgiven: u32,
    /// The comment of an acknowledgement that holds messages back, never the table (D10).
    pub(crate) acked: Option<&'a Arc<str>>,
    /// Since the first failure of the outage.
    pub(crate) outage: Duration,
    /// The gate of the service is open already: it stays so until a success (D3).
    pub(crate) gate_open: bool,
    /// The time of the event.
    pub(crate) now: Now,
    /// The zone of the periods.
    pub(crate) zone: &'a TimeZone,
}

/// What one event causes.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Decision {
    /// The alerts to call, in file order.
    pub(crate) calls: Vec<Call>,
    /// What was held back: number of the period, none for a rule of the service, and the rule.
    pub(crate) held_back: Vec<(Option<usize>, Suppressed)>,
    /// Whether some `alert lvs.alert` line passed its rules (D3). What that means while the
    /// gate is open, the bindings know.
    pub(crate) ruling: Ruling,
}

/// An alert to call.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Call {
    /// Number of the period; none for a `redistribute` line.
    pub(crate) period: Option<usize>,
    /// The line.
    pub(crate) command: Arc<AlertCommand>,
}

impl Decision {
    /// Nobody is told, for a reason that the service as a whole gives.
    pub(crate) fn held_back(why: Suppressed, ruling: Ruling) -> Self {
        Self {
            calls: Vec::new(),
            held_back: vec![(None, why)],
            ruling,
        }
    }

    /// Which periods call.
    pub(crate) fn periods(&self) -> Vec<u32> {
        let places = self.calls.iter().filter_map(|call| call.period);
        let mut places: Vec<u32> = places.filter_map(|it| u32::try_from(it).ok()).collect();
        places.dedup();
        places
    }
}

/// What the end of an outage causes in these periods where the other director of a pair has decided
/// that it is told, and by which rules.
pub(crate) fn end_that_was_due(service: &Service, periods: &[u32]) -> Decision {
    let mut decision = Decision {
        calls: Vec::new(),
        held_back: Vec::new(),
        ruling: Ruling::HeldBack,
    };
    let is_due = |index: &usize| u32::try_from(*index).is_ok_and(|it| periods.contains(&it));
    let due = service.periods.iter().enumerate();
    for (index, period) in due.filter(|(index, _)| is_due(index)) {
        let lines = lines(period, AlertKind::Up).iter();
        let lines = lines.filter(|line| !reaches_table(line) && takes_exit(line, 0));
        for line in lines {
            match &line.program {
                AlertProgram::Native(_) | AlertProgram::Executable(_) => {
                    decision.calls.push(Call {
                        period: Some(index),
                        command: Arc::clone(line),
                    });
                }
                AlertProgram::Missing(reason) => {
                    let why = Suppressed::NoProgram(reason.clone());
                    decision.held_back.push((Some(index), why));
                }
            }
        }
    }
    decision
}

/// Decides about one event, and remembers in `memory` what the next decision must know:
/// one entry for each period of the service.
pub(crate) fn decide(
    service: &Service,
    memory: &mut [PeriodMemory],
    occasion: &Occasion<'_>,
) -> Decision {
    let mut decision = Decision {
        calls: Vec::new(),
        held_back: Vec::new(),
        ruling: Ruling::HeldBack,
    };
    for ((index, period), memory) in service.periods.iter().enumerate().zip(memory) {
        let lines = lines(period, occasion.kind);
        if lines.is_empty() {
            continue;
        }
        if let Err(why) = in_period(period, occasion).and_then(|()| exit_in_range(period, occasion))
        {
            decision.held_back.push((Some(index), why));
            continue;
        }
        let table = table_way(period, lines, memory, occasion);
        if table == Some(Ok(())) {
            decision.ruling = Ruling::Passed;
        }
        if let Some(comment) = occasion.acked {
            let why = (None, Suppressed::Acknowledged(Arc::clone(comment)));
            if !decision.held_back.contains(&why) {
                decision.held_back.push(why);
            }
            continue;
        }
        let occasion = &Occasion {
            previous: match occasion.untold {
                Some(untold) if counts_failures(period) => Some(untold),
                Some(_) | None => occasion.previous,
            },
            ..*occasion
        };
        match message_way(period, lines, memory, occasion) {
            None => decision
                .held_back
                .extend(table.and_then(Result::err).map(|why| (Some(index), why))),
            Some(Err(why)) => decision.held_back.push((Some(index), why)),
            Some(Ok(found)) => {
                for program in found.missing {
                    let why = Suppressed::NoProgram(program);
                    decision.held_back.push((Some(index), why));
                }
                if !found.calls.is_empty() {
                    remember_sent(memory, occasion);
                }
                let calls = found.calls.into_iter();
                decision.calls.extend(calls.map(|command| Call {
                    period: Some(index),
                    command,
                }));
            }
        }
    }
    decision
}

/// The rules between a failure and the table: `alertafter` and the `exit=` of the lines.
/// None where the period has no such line.
fn table_way(
    period: &AlertPeriod,
    lines: &[Arc<AlertCommand>],
    memory: &mut PeriodMemory,
    occasion: &Occasion<'_>,
) -> Option<Result<(), Suppressed>> {
    let mut to_table = lines.iter().filter(|line| reaches_table(line)).peekable();
    if !occasion.kind.is_problem() || to_table.peek().is_none() {
        return None;
    }
    if occasion.gate_open {
        return Some(Ok(()));
    }
    let ruling =
        alertafter(period, &mut memory.gate, occasion, occasion.consec_failures).and_then(|()| {
            if to_table.clone().any(|line| line_wants(line, occasion)) {
                Ok(())
            } else {
                let ranges = to_table.filter_map(|line| line.exit);
                Err(Suppressed::exit_range(occasion.exit, ranges))
            }
        });
    Some(ruling)
}

/// What the lines that send something come to.
struct Found {
    calls: Vec<Arc<AlertCommand>>,
    missing: Vec<String>,
}

/// The rules between an event and its messages. None where the period has no line that
/// sends one.
fn message_way(
    period: &AlertPeriod,
    lines: &[Arc<AlertCommand>],
    memory: &mut PeriodMemory,
    occasion: &Occasion<'_>,
) -> Option<Result<Found, Suppressed>> {
    let messages = || lines.iter().filter(|line| !reaches_table(line));
    messages().next()?;
    let ruling = alert_was_sent(period, memory, occasion)
        .and_then(|()| upalertafter(period, occasion))
        .and_then(|()| numalerts(period, memory, occasion))
        .and_then(|()| alertevery(period, memory, occasion))
        .and_then(|()| match occasion.kind.is_problem() {
            true => {
                let have = occasion.consec_failures.saturating_sub(occasion.forgiven);
                alertafter(period, &mut memory.messages, occasion, have)
            }
            false => Ok(()),
        })
        .and_then(|()| just_told(period, memory, occasion));
    if let Err(why) = ruling {
        return Some(Err(why));
    }
    let mut found = Found {
        calls: Vec::new(),
        missing: Vec::new(),
    };
    let mut wanted = messages()
        .filter(|line| line_wants(line, occasion))
        .peekable();
    if wanted.peek().is_none() {
        let ranges = messages().filter_map(|line| line.exit);
        return Some(Err(Suppressed::exit_range(occasion.exit, ranges)));
    }
    for line in wanted {
        match &line.program {
            AlertProgram::Native(_) | AlertProgram::Executable(_) => {
                found.calls.push(Arc::clone(line));
            }
            AlertProgram::Missing(reason) => found.missing.push(reason.clone()),
        }
    }
    Some(Ok(found))
}

/// Step 8: a period that does not hold now is skipped.
fn in_period(period: &AlertPeriod, occasion: &Occasion<'_>) -> Result<(), Suppressed> {
    if period.when.holds(occasion.now.wall, occasion.zone) {
        Ok(())
    } else {
        Err(Suppressed::NotInPeriod)
    }
}

/// Step 8.1: no recovery or acknowledgement without an alert, unless `no_comp_alerts`.
///
/// E-13 fixed: with `no_comp_alerts` every recovery is told, not only one per alert. One that may
/// have been sent before a crash counts: an end that nobody waits for harms less than none.
fn alert_was_sent(
    period: &AlertPeriod,
    memory: &PeriodMemory,
    occasion: &Occasion<'_>,
) -> Result<(), Suppressed> {
    let needs_alert = match occasion.kind {
        AlertKind::Up | AlertKind::Ack => !period.no_comp_alerts,
        AlertKind::Failure
        | AlertKind::Trap
        | AlertKind::TrapTimeout
        | AlertKind::Startup
        | AlertKind::Disable
        | AlertKind::Test => false,
    };
    if needs_alert && memory.alert_sent == 0 && !memory.perhaps_sent {
        return Err(Suppressed::NoAlertSent);
    }
    Ok(())
}

/// E-8 fixed: the recovery of an outage shorter than `upalertafter` is not told.
fn upalertafter(period: &AlertPeriod, occasion: &Occasion<'_>) -> Result<(), Suppressed> {
    let Some(least) = period
        .upalertafter
        .filter(|_| occasion.kind == AlertKind::Up)
    else {
        return Ok(());
    };
    let outage = as_counted(occasion.outage, least);
    if outage < least {
        return Err(Suppressed::UpalertAfter { outage, least });
    }
    Ok(())
}

/// Step 8.3a: `alertexitrange`.
fn exit_in_range(period: &AlertPeriod, occasion: &Occasion<'_>) -> Result<(), Suppressed> {
    match period.alertexitrange {
        Some(range) if occasion.kind.is_problem() && !range.contains(occasion.exit) => Err(
            Suppressed::exit_range(occasion.exit, std::iter::once(range)),
        ),
        Some(_) | None => Ok(()),
    }
}

/// Step 8.3b: `numalerts`.
fn numalerts(
    period: &AlertPeriod,
    memory: &PeriodMemory,
    occasion: &Occasion<'_>,
) -> Result<(), Suppressed> {
    match period.numalerts.filter(|&most| most > 0) {
        Some(most) if occasion.kind.is_problem() && memory.alert_sent >= most => {
            Err(Suppressed::NumAlerts(most))
        }
        Some(_) | None => Ok(()),
    }
}

/// Step 8.3c: `alertevery`, and what a changed output does to it.
fn alertevery(
    period: &AlertPeriod,
    memory: &PeriodMemory,
    occasion: &Occasion<'_>,
) -> Result<(), Suppressed> {
    let (Some((every, repeat)), Some(last), true) = (
        period.alertevery,
        memory.last_alert,
        occasion.kind.is_problem(),
    ) else {
        return Ok(());
    };
    let since = as_counted(last.ago(occasion.now), every);
    if since >= every {
        return Ok(());
    }
    if !repeats(repeat, occasion) {
        return Ok(());
    }
    Err(Suppressed::AlertEvery {
        left: every.saturating_sub(since),
    })
}

/// Whether `alertevery` takes what an event says for the same as the failure before said.
fn repeats(repeat: Repeat, occasion: &Occasion<'_>) -> bool {
    let empty = EventText::default();
    let previous = occasion.previous.unwrap_or(&empty);
    match repeat {
        Repeat::Strict | Repeat::IgnoreSummary => true,
        Repeat::ObserveDetail => previous.says_the_same(occasion.text),
        Repeat::Summary => previous.same_summary(occasion.text, str::to_owned),
    }
}

/// Steps 8.3d to f: the three forms of `alertafter`. The first must hold; of the other two
/// the one with a count goes before. `have` are the failures in a row that count.
fn alertafter(
    period: &AlertPeriod,
    window: &mut Window,
    occasion: &Occasion<'_>,
    have: u32,
) -> Result<(), Suppressed> {
    if let Some(need) = period.alertafter_count
        && have < need
    {
        return Err(Suppressed::AlertAfterCount { have, need });
    }
    if let Some((need, span)) = period.alertafter_window {
        return failures_in_window(need, span, window, occasion.now);
    }
    match period.alertafter_time {
        Some(span) => failing_for(span, window, occasion.now),
        None => Ok(()),
    }
}

/// A check that comes early for others: who was told of the one before hears of the next slot. Of
/// news at once, where `alertevery` would take the next slot for a repeat of it.
fn just_told(
    period: &AlertPeriod,
    memory: &PeriodMemory,
    occasion: &Occasion<'_>,
) -> Result<(), Suppressed> {
    let was_told = occasion.repeats.is_some() && memory.last_alert == occasion.repeats;
    let rule = period.alertevery;
    match was_told && rule.is_none_or(|(_, repeat)| repeats(repeat, occasion)) {
        true => Err(Suppressed::JustTold),
        false => Ok(()),
    }
}

/// Whether the period waits for more failures than one.
pub(crate) fn counts_failures(period: &AlertPeriod) -> bool {
    needed_failures(period).is_some_and(|need| need > 1)
}

/// The failures in a row that the period waits for at least; none where it counts none.
pub(crate) fn needed_failures(period: &AlertPeriod) -> Option<u32> {
    let in_window = period.alertafter_window.map(|(need, _)| need);
    period.alertafter_count.max(in_window)
}

/// `alertafter NUM TIMEVAL`: that many failures in a window that begins with a failure and
/// begins anew with the first failure after its end.
fn failures_in_window(
    need: u32,
    span: Duration,
    window: &mut Window,
    now: Now,
) -> Result<(), Suppressed> {
    let open = window
        .first
        .is_some_and(|first| as_counted(first.ago(now), span) <= span);
    if open {
        window.count = window.count.saturating_add(1);
    } else {
        *window = Window {
            first: Some(Moment::of(now)),
            count: 1,
        };
    }
    if window.count < need {
        return Err(Suppressed::AlertAfterCount {
            have: window.count,
            need,
        });
    }
    Ok(())
}

/// `alertafter TIMEVAL`: failing for longer than that, since the first failure that the
/// period saw.
fn failing_for(span: Duration, window: &mut Window, now: Now) -> Result<(), Suppressed> {
    let first = *window.first.get_or_insert(Moment::of(now));
    let lasted = as_counted(first.ago(now), span);
    if lasted <= span {
        return Err(Suppressed::AlertAfterTime {
            left: span.saturating_sub(lasted),
        });
    }
    Ok(())
}

/// Step 8.5. Only problems count (E-15 fixed), and a recovery leaves the time of the last
/// alert to `strict` (E-12 fixed).
fn remember_sent(memory: &mut PeriodMemory, occasion: &Occasion<'_>) {
    if occasion.kind.is_problem() {
        memory.alert_sent = memory.alert_sent.saturating_add(1);
        memory.perhaps_sent = false;
        memory.last_alert = Some(Moment::of(occasion.now));
    }
}

/// The lines of a period for that kind, in file order.
pub(crate) fn lines(period: &AlertPeriod, kind: AlertKind) -> &[Arc<AlertCommand>] {
    match kind {
        AlertKind::Failure | AlertKind::Trap | AlertKind::TrapTimeout | AlertKind::Test => {
            &period.alerts
        }
        AlertKind::Up => &period.upalerts,
        AlertKind::Startup => &period.startupalerts,
        AlertKind::Ack => &period.ackalerts,
        AlertKind::Disable => &period.disablealerts,
    }
}

/// Whether the line is a binding, not a message (D2).
pub(crate) fn reaches_table(line: &AlertCommand) -> bool {
    matches!(line.program, AlertProgram::Native(AlertOptions::Lvs(_)))
}

/// Step 8.4: the `exit=` of a line.
fn line_wants(line: &AlertCommand, occasion: &Occasion<'_>) -> bool {
    takes_exit(line, occasion.exit)
}

fn takes_exit(line: &AlertCommand, exit: i32) -> bool {
    line.exit.is_none_or(|range| range.contains(exit))
}

/// A span as it is compared with a limit. A limit in whole seconds is compared with the
/// nearest whole second, as mon does: the time a run takes differs by some milliseconds from
/// one to the next, and must not decide whether the sixth failure or the seventh alerts.
fn as_counted(span: Duration, limit: Duration) -> Duration {
    const HALF: Duration = Duration::from_millis(500);
    if limit.subsec_nanos() == 0 {
        Duration::from_secs(span.saturating_add(HALF).as_secs())
    } else {
        span
    }
}
