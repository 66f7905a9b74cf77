//! What a person reads of the daemon's life: log lines, and the same for `events`.
//!
//! One line for each change of state; nothing for a healthy check. The message is a constant
//! phrase, everything variable is a field. What came of looking at the table: `table`; of alerts:
//! `alerts`.

mod alerts;
mod table;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use crate::daemon::chronicle::alerts::OpenAlert;
use crate::daemon::chronicle::table::TableTrouble;
use crate::daemon::syslog;
use crate::engine::event::{
    AlertId, Cause, Note, RunId, SectionNews, ServerChange, Suppressed, Suppression, Wish,
};
use crate::engine::manual::EntryKey;
use crate::lvs::{RealServerKey, VirtualServiceKey};
use crate::model::{Model, ServiceId};
use crate::text::{cut, one_line};
use crate::time::{Readable, Wall};
use crate::wire::{EventRow, EventsAnswer, rules, wishes};

/// Events kept for readers: a day of a calm farm, the last minutes of a storm; about 200 kB.
const EVENTS_MAX: usize = 1_000;

/// Bytes of a summary in a log line or an event: a monitor without line ends says 120 kB in one.
const SUMMARY_MAX: usize = 500;

/// Bytes of an event's text: a wish may name 32,000 hosts, and its answer names them again.
const TEXT_MAX: usize = 1_000;

/// The recent past.
#[derive(Debug, Default)]
pub(super) struct Chronicle {
    events: VecDeque<EventRow>,
    number: u64,
    table: TableTrouble,
    /// Alerts that are on their way, and those that were given up with the reason.
    open: BTreeMap<AlertId, OpenAlert>,
    /// Real servers that were said to be out, so that their return is said too.
    out: BTreeSet<(VirtualServiceKey, RealServerKey)>,
    /// Real servers that were said to be kept by `min_live`, so that their recovery is said too.
    kept: BTreeSet<(VirtualServiceKey, RealServerKey)>,
    /// When a real server went in or out; those that never did since the start are not named.
    changed: BTreeMap<(VirtualServiceKey, RealServerKey), Wall>,
}

impl Chronicle {
    /// The events after that number, oldest first.
    pub(super) fn after(&self, number: u64) -> EventsAnswer {
        let rows = self.events.iter().filter(|event| event.number > number);
        EventsAnswer {
            events: rows.cloned().collect(),
        }
    }

    /// When a real server went in or out; none where it did not since the start.
    pub(super) fn since(&self, vs: VirtualServiceKey, rs: RealServerKey) -> Option<Wall> {
        self.changed.get(&(vs, rs)).copied()
    }

    /// Keeps an event that the caller has logged.
    pub(super) fn keep(
        &mut self,
        time: Wall,
        kind: &'static str,
        service: Option<String>,
        text: String,
    ) {
        self.number += 1;
        if self.events.len() == EVENTS_MAX {
            self.events.pop_front();
        }
        self.events.push_back(EventRow {
            number: self.number,
            time: time.as_micros(),
            kind: kind.to_owned(),
            service,
            text: if text.len() > TEXT_MAX {
                format!("{}...", cut(&text, TEXT_MAX))
            } else {
                text
            },
        });
    }

    /// Something the engine noted. `at` is where the file says the name that it is about.
    pub(super) fn note(&mut self, time: Wall, model: &Model, note: &Note, at: Option<&str>) {
        match note {
            Note::ServiceDown {
                service,
                exit,
                summary,
            } => self.service_down(time, model, *service, (*exit, summary)),
            Note::ServiceUp { service, outage } => self.service_up(time, model, *service, *outage),
            Note::AnotherOutage(service) => self.another_outage(time, model, *service),
            // 10,000 of them follow each start; a reader finds the state in `services`.
            Note::ServiceTested(service) => {
                let (group, name) = names(model, *service);
                tracing::debug!(group, service = name, "service tested");
            }
            Note::NoHosts(service) => {
                let (group, name) = names(model, *service);
                tracing::debug!(group, service = name, "no host to check");
            }
            Note::Server {
                virtual_service,
                server,
                change,
                since,
            } => {
                let entry = (*virtual_service, *server);
                self.server((time, *since), model, entry, change);
            }
            Note::Binding { service, text, .. } => self.binding(time, model, *service, text, at),
            Note::Section {
                virtual_service,
                news,
            } => self.section(time, *virtual_service, news, at),
            Note::Throttled {
                limit,
                value,
                waiting,
            } => self.throttled(time, limit, *value, *waiting),
            Note::TrapLost { to, from, count } => {
                tracing::warn!(to, %from, count, "trap for an unknown service");
            }
            Note::NotRestored { key, reason } => self.not_restored(time, key, reason),
            Note::NotLoaded {
                service,
                field,
                why,
            } => self.not_loaded(time, service, field, why),
            Note::CutOff(cut_off) => self.cut_off(time, &cut_off.witnesses),
            Note::Reached { witnesses, lasted } => self.reached(time, witnesses, *lasted),
            Note::Unheeded(witnesses) => self.unheeded(time, witnesses),
            Note::NoWitness(witnesses) => self.no_witness(time, witnesses),
            Note::TableUntouched { service, text } => self.untouched(time, model, *service, text),
            Note::Manual {
                virtual_service: vs,
                server: rs,
                text,
            } => {
                tracing::info!(%vs, %rs, text, "wish of an operator");
                self.keep(time, "wish", None, format!("{rs} in {vs}: {text}"));
            }
            Note::Wish { wish, outcome } => self.wish(time, model, wish, outcome),
            Note::AcknowledgedThere { service, comment } => {
                self.acknowledged_there(time, model, *service, comment);
            }
        }
    }

    fn service_down(
        &mut self,
        time: Wall,
        model: &Model,
        service: ServiceId,
        (exit, summary): (i32, &str),
    ) {
        let (group, name) = names(model, service);
        let summary = cut(summary, SUMMARY_MAX);
        // The names are priorities in syslog, which are mon's: see `syslog`.
        tracing::info!(name: syslog::CRIT, group, service = name, exit, summary, "service down");
        let text = format!("down: {summary}");
        self.keep(time, "service_down", of(model, service), text);
    }

    fn service_up(&mut self, time: Wall, model: &Model, service: ServiceId, outage: Duration) {
        let (group, name) = names(model, service);
        let outage = Readable(outage);
        tracing::info!(group, service = name, %outage, "service up");
        let text = format!("up after {outage}");
        self.keep(time, "service_up", of(model, service), text);
    }

    fn acknowledged_there(&mut self, time: Wall, model: &Model, service: ServiceId, comment: &str) {
        let (group, name) = names(model, service);
        tracing::info!(
            group,
            service = name,
            comment,
            "acknowledged on the other director"
        );
        let text = format!("acknowledged on the other director: {comment}");
        self.keep(time, "wish", of(model, service), text);
    }

    fn another_outage(&mut self, time: Wall, model: &Model, service: ServiceId) {
        let (group, name) = names(model, service);
        tracing::info!(group, service = name, "service goes on as another outage");
        let text = "goes on as another outage".to_owned();
        self.keep(time, "another_outage", of(model, service), text);
    }

    fn untouched(&mut self, time: Wall, model: &Model, service: ServiceId, text: &str) {
        let (group, name) = names(model, service);
        tracing::info!(group, service = name, text, "the table is left alone");
        let text = text.to_owned();
        self.keep(time, "table_untouched", of(model, service), text);
    }

    fn cut_off(&mut self, time: Wall, witnesses: &[Arc<str>]) {
        let witnesses = witnesses.join(" ");
        tracing::error!(
            witnesses,
            "director cut off, failures count for nothing until a witness is good"
        );
        let text = format!("no word from {witnesses}: failures count for nothing");
        self.keep(time, "cut_off", None, text);
    }

    fn reached(&mut self, time: Wall, witnesses: &[Arc<str>], lasted: Duration) {
        let (witnesses, lasted) = (witnesses.join(" "), Readable(lasted));
        tracing::info!(witnesses, %lasted, "director no longer cut off");
        let text = format!("no longer, by the word of {witnesses}, after {lasted}");
        self.keep(time, "cut_off", None, text);
    }

    fn unheeded(&mut self, time: Wall, witnesses: &[Arc<str>]) {
        let witnesses = witnesses.join(" ");
        tracing::error!(
            witnesses,
            "witness never answers in time, failures count again"
        );
        let text = format!("{witnesses} never answers in time: failures count again");
        self.keep(time, "cut_off", None, text);
    }

    fn no_witness(&mut self, time: Wall, witnesses: &[Arc<str>]) {
        let witnesses = witnesses.join(" ");
        tracing::warn!(
            witnesses,
            "witness is not asked at present, failures count again"
        );
        let text = format!("{witnesses} is not asked at present: failures count again");
        self.keep(time, "cut_off", None, text);
    }

    fn throttled(&mut self, time: Wall, limit: &'static str, value: u32, waiting: usize) {
        tracing::warn!(
            limit,
            value,
            waiting,
            "limit on runs reached, services wait"
        );
        let text = format!("{limit} = {value} reached, {waiting} services wait");
        self.keep(time, "throttled", None, text);
    }

    fn not_restored(&mut self, time: Wall, key: &str, reason: &str) {
        tracing::warn!(
            key,
            why = reason,
            "kept state cannot be used, starting anew"
        );
        self.keep(time, "not_restored", None, format!("{key}: {reason}"));
    }

    fn not_loaded(&mut self, time: Wall, service: &str, field: &str, why: &str) {
        tracing::warn!(service, field, why, "left out of the state file");
        let text = format!("{service} {field}: {why}");
        self.keep(time, "not_loaded", None, text);
    }

    fn wish(&mut self, time: Wall, model: &Model, wish: &Wish, outcome: &Result<String, String>) {
        let (said, user) = (wishes::words(model, wish), wishes::user(wish));
        let wish = cut(&said, TEXT_MAX);
        let text = match outcome {
            Ok(text) => {
                tracing::info!(
                    wish,
                    user,
                    outcome = cut(text, TEXT_MAX),
                    "wish carried out"
                );
                text
            }
            Err(text) => {
                tracing::warn!(wish, user, why = cut(text, TEXT_MAX), "wish refused");
                text
            }
        };
        self.keep(time, "wish", None, text.clone());
    }

    fn binding(
        &mut self,
        time: Wall,
        model: &Model,
        service: ServiceId,
        text: &str,
        at: Option<&str>,
    ) {
        let (group, name) = names(model, service);
        tracing::warn!(
            group,
            service = name,
            why = text,
            at,
            "binding needs attention"
        );
        self.keep(time, "binding", of(model, service), text.to_owned());
    }

    fn section(&mut self, time: Wall, vs: VirtualServiceKey, news: &SectionNews, at: Option<&str>) {
        match news {
            SectionNews::Mend { text, .. } => {
                tracing::warn!(%vs, why = text, at, "virtual service needs attention");
                self.keep(time, "binding", None, format!("{vs}: {text}"));
            }
            SectionNews::Began(trouble, text) => {
                tracing::warn!(%vs, trouble = trouble.word(), text, "virtual service in trouble");
                self.keep(time, trouble.word(), None, text.clone());
            }
            SectionNews::Over(trouble, text) => {
                tracing::info!(%vs, trouble = trouble.word(), text, "trouble is over");
                self.keep(time, "trouble_over", None, text.clone());
            }
        }
    }

    /// Follows when a real server went in or out.
    fn follow(&mut self, entry: EntryKey, change: &ServerChange, so_since: Wall) {
        match change {
            ServerChange::In | ServerChange::Kept(_) if !self.out.contains(&entry) => {}
            ServerChange::In
            | ServerChange::Kept(_)
            | ServerChange::Quiesced(_)
            | ServerChange::QuiescedByWish(_)
            | ServerChange::Weightless
            | ServerChange::Out(_)
            | ServerChange::OutByWish(_) => {
                self.changed.insert(entry, so_since);
            }
            ServerChange::Moved { .. } | ServerChange::Dropped => {
                self.changed.remove(&entry);
            }
        }
    }

    fn server(
        &mut self,
        (time, so_since): (Wall, Wall),
        model: &Model,
        (vs, rs): EntryKey,
        change: &ServerChange,
    ) {
        let since = self.changed.get(&(vs, rs)).copied();
        let was_kept = self.kept.remove(&(vs, rs));
        self.follow((vs, rs), change, so_since);
        let (kind, text) = match change {
            ServerChange::Kept(reasons) => {
                let why = kept_although(model, reasons);
                self.out.remove(&(vs, rs));
                self.kept.insert((vs, rs));
                tracing::info!(%vs, %rs, why, "real server kept by min_live");
                let text = format!("{rs} of {vs} kept by min_live: {why}");
                ("server_kept", text)
            }
            ServerChange::In if was_kept => {
                let why = "no longer kept by min_live: nothing withdraws it";
                tracing::info!(%vs, %rs, why, "real server in");
                ("server_in", format!("{rs} in {vs}, {why}"))
            }
            ServerChange::In => {
                // The first verdicts after a start are no change that a person waits for, and
                // there may be thousands.
                if !self.out.remove(&(vs, rs)) {
                    tracing::debug!(%vs, %rs, "real server in");
                    return;
                }
                let after = Readable(since.map_or(Duration::ZERO, |since| time.since(since)));
                tracing::info!(%vs, %rs, %after, "real server in");
                ("server_in", format!("{rs} in {vs} after {after}"))
            }
            ServerChange::Quiesced(reasons) => {
                let why = reasons_of(model, reasons);
                self.out.insert((vs, rs));
                tracing::info!(%vs, %rs, why, "real server quiesced");
                ("server_quiesced", format!("{rs} of {vs} quiesced: {why}"))
            }
            ServerChange::QuiescedByWish(why) => {
                self.out.insert((vs, rs));
                tracing::info!(%vs, %rs, why, "real server quiesced");
                ("server_quiesced", format!("{rs} of {vs} quiesced: {why}"))
            }
            ServerChange::Weightless => {
                let why = "its own weight is 0, of the file or by the word of its check";
                self.out.insert((vs, rs));
                tracing::info!(%vs, %rs, why, "real server quiesced");
                ("server_quiesced", format!("{rs} of {vs} quiesced: {why}"))
            }
            ServerChange::Out(reasons) => {
                let why = reasons_of(model, reasons);
                self.out.insert((vs, rs));
                tracing::info!(%vs, %rs, why, "real server out");
                ("server_out", format!("{rs} out of {vs}: {why}"))
            }
            ServerChange::OutByWish(why) => {
                self.out.insert((vs, rs));
                tracing::info!(%vs, %rs, why, "real server out");
                ("server_out", format!("{rs} out of {vs}: {why}"))
            }
            ServerChange::Moved { host, to } => {
                self.out.remove(&(vs, rs));
                tracing::info!(%vs, %rs, %host, %to, "real server left, its name leads elsewhere");
                (
                    "server_dropped",
                    format!("{rs} left {vs}: {host} leads to {to} now"),
                )
            }
            ServerChange::Dropped => {
                self.out.remove(&(vs, rs));
                tracing::info!(%vs, %rs, "real server no longer declared");
                ("server_dropped", format!("{rs} no longer declared in {vs}"))
            }
        };
        self.keep(time, kind, None, text);
    }
}

/// Why one that `min_live` keeps would not be in without it.
fn kept_although(model: &Model, reasons: &[Cause]) -> String {
    match reasons {
        [] => "its check gives it weight 0".to_owned(),
        reasons => reasons_of(model, reasons),
    }
}

/// A run ended; only with `LVSMON_LOG=debug`.
pub(super) fn run_ended(run: RunId, report: &crate::engine::event::Report) {
    let took_ms = report.took.as_millis();
    tracing::debug!(run = run.0, took_ms, ended = %report.ended, "run ended");
}

/// An alert was held back; only with `LVSMON_LOG=debug`, else every failing check would log.
pub(super) fn suppressed(model: &Model, suppression: &Suppression) {
    let (group, name) = names(model, suppression.service);
    let period = suppression.period.as_deref();
    let kind = suppression.kind.word();
    match &suppression.why {
        // The one that a person must mend.
        Suppressed::NoProgram(why) => {
            tracing::warn!(
                name: syslog::ERR,
                group,
                service = name,
                period,
                kind,
                why,
                "alert has no program"
            );
        }
        why @ (Suppressed::NotInPeriod
        | Suppressed::ExitRange { .. }
        | Suppressed::NumAlerts(_)
        | Suppressed::AlertEvery { .. }
        | Suppressed::AlertAfterCount { .. }
        | Suppressed::AlertAfterTime { .. }
        | Suppressed::UpalertAfter { .. }
        | Suppressed::StillCounted
        | Suppressed::JustTold
        | Suppressed::NoAlertSent
        | Suppressed::Stopped
        | Suppressed::Disabled
        | Suppressed::DependFailed { .. }
        | Suppressed::Acknowledged(_)) => {
            let why = rules::sentence(why);
            tracing::debug!(group, service = name, period, kind, why, "alert held back");
        }
    }
}

fn names(model: &Model, service: ServiceId) -> (&str, &str) {
    // A service of the configuration before a reload may be named here for a moment.
    model
        .services
        .get(service.index())
        .map_or(("?", "?"), |service| (&service.group, &service.name))
}

fn of(model: &Model, service: ServiceId) -> Option<String> {
    let (group, name) = names(model, service);
    Some(format!("{group}/{name}"))
}

/// Who withdraws a real server, and why.
fn reasons_of(model: &Model, causes: &[Cause]) -> String {
    if causes.is_empty() {
        return "no verdict yet (initial out)".to_owned();
    }
    let why = causes.iter().map(|cause| {
        let (group, name) = names(model, cause.service);
        let text = one_line(&cause.text);
        match &*cause.about.of(cut(&text, SUMMARY_MAX).trim()) {
            "" => format!("{group}/{name}: {}", cause.reason),
            text => format!("{group}/{name}: {} ({text})", cause.reason),
        }
    });
    why.collect::<Vec<String>>().join(", ")
}

/// A daemon begins, with so many records of before.
pub(super) fn started(
    config: &std::path::Path,
    model: &Model,
    kept: usize,
    seed: u64,
    zone: &jiff::tz::TimeZone,
) {
    tracing::info!(
        version = env!("CARGO_PKG_VERSION"),
        config = %config.display(),
        statedir = %model.globals.statedir.display(),
        services = model.services.len(),
        bindings = model.bindings.len(),
        backend = %model.globals.ipvs_backend,
        kept,
        seed,
        zone = zone.iana_name(),
        "daemon started"
    );
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::event::Reason;
    use crate::engine::recent::About;
    use crate::model::HostName;

    #[test]
    fn an_event_keeps_no_more_of_a_text_than_its_bound() {
        let mut chronicle = Chronicle::default();
        let said = "ä".repeat(40_000);
        let time = Wall::from_seconds(1);
        let (model, _) = crate::config::load_text("").expect("an empty file is good");
        chronicle.wish(time, &model, &Wish::Stop, &Err(said));
        let text = &chronicle.after(0).events[0].text;
        assert_eq!(*text, format!("{}...", "ä".repeat(TEXT_MAX / 2)));
    }

    #[test]
    fn a_real_server_leaves_with_the_reason_and_its_words_and_comes_back_with_how_long() {
        let (model, _) = crate::config::load_text(
            "hostgroup web h1\n\nwatch web\n service http\n  interval 10s\n  monitor x\n",
        )
        .expect("a good file");
        let mut chronicle = Chronicle::default();
        let mut tell = |second, change| {
            let note = Note::Server {
                virtual_service: "10.0.0.3:80/tcp".parse().expect("a key"),
                server: RealServerKey(([192, 168, 0, 1], 80).into()),
                change,
                since: Wall::from_seconds(second),
            };
            let last = chronicle.number;
            chronicle.note(Wall::from_seconds(second), &model, &note, None);
            let events = chronicle.after(last).events;
            events.into_iter().map(|it| it.text).collect::<Vec<_>>()
        };
        let cause = |text: &str, about| Cause {
            service: ServiceId(0),
            host: None,
            reason: Reason::Refused,
            text: text.to_owned(),
            about,
        };
        let own = cause("nobody\nlistens", About::Host);
        let out = tell(1, ServerChange::Out(vec![own, cause("", About::Host)]));
        assert_eq!(
            out,
            [
                "192.168.0.1:80 out of 10.0.0.3:80/tcp: web/http: refused (nobody listens), web/http: refused"
            ]
        );
        let whole = vec![
            cause("it broke", About::Service),
            cause("h1 h2", About::Named),
        ];
        assert_eq!(
            tell(2, ServerChange::Out(whole)),
            [
                "192.168.0.1:80 out of 10.0.0.3:80/tcp: web/http: refused (of the whole service: \
                 it broke), web/http: refused (named in \"h1 h2\")"
            ]
        );
        assert_eq!(
            tell(64, ServerChange::In),
            ["192.168.0.1:80 in 10.0.0.3:80/tcp after 1m2s"]
        );
        let quiesced = "192.168.0.1:80 of 10.0.0.3:80/tcp quiesced";
        assert_eq!(
            tell(
                65,
                ServerChange::QuiescedByWish("the quiesce by ann".to_owned())
            ),
            [format!("{quiesced}: the quiesce by ann")]
        );
        assert_eq!(
            tell(66, ServerChange::Weightless),
            [format!(
                "{quiesced}: its own weight is 0, of the file or by the word of its check"
            )]
        );
        assert_eq!(
            tell(70, ServerChange::In),
            ["192.168.0.1:80 in 10.0.0.3:80/tcp after 4s"]
        );
        // Before its first verdict nobody withdraws it, and nobody wishes it.
        assert_eq!(
            tell(71, ServerChange::Out(Vec::new())),
            ["192.168.0.1:80 out of 10.0.0.3:80/tcp: no verdict yet (initial out)"]
        );
    }

    #[test]
    fn how_long_one_was_out_counts_from_before_the_start() {
        let (model, _) = crate::config::load_text("").expect("an empty file is good");
        let mut chronicle = Chronicle::default();
        let wish = "the disable by ann".to_owned();
        for (second, change, since) in [
            (100, ServerChange::OutByWish(wish), 40),
            (101, ServerChange::In, 101),
        ] {
            let note = Note::Server {
                virtual_service: "10.0.0.3:80/tcp".parse().expect("a key"),
                server: RealServerKey(([192, 168, 0, 1], 80).into()),
                change,
                since: Wall::from_seconds(since),
            };
            chronicle.note(Wall::from_seconds(second), &model, &note, None);
        }
        let last = chronicle.after(1).events.remove(0).text;
        assert_eq!(last, "192.168.0.1:80 in 10.0.0.3:80/tcp after 1m1s");
    }

    #[test]
    fn one_that_min_live_keeps_is_said_to_be_kept_and_in_only_when_it_recovers() {
        let (model, _) = crate::config::load_text("").expect("an empty file is good");
        let mut chronicle = Chronicle::default();
        let rs = RealServerKey(([192, 168, 0, 1], 80).into());
        let vs: VirtualServiceKey = "10.0.0.3:80/tcp".parse().expect("a key");
        let cause = Cause {
            service: ServiceId(0),
            host: None,
            reason: Reason::Refused,
            text: String::new(),
            about: About::Host,
        };
        let causes = || vec![cause.clone()];
        let mut tell = |second, change| {
            let time = Wall::from_seconds(second);
            let note = Note::Server {
                virtual_service: vs,
                server: rs,
                change,
                since: time,
            };
            let last = chronicle.number;
            chronicle.note(time, &model, &note, None);
            let events = chronicle.after(last).events;
            let said: Vec<String> = events.into_iter().map(|it| it.text).collect();
            let changed = chronicle.changed.get(&(vs, rs)).copied();
            (said.join("; "), changed.map(Wall::seconds))
        };
        let kept = "192.168.0.1:80 of 10.0.0.3:80/tcp kept by min_live:";
        let recovered =
            "192.168.0.1:80 in 10.0.0.3:80/tcp, no longer kept by min_live: nothing withdraws it";
        let refused = format!("{kept} ?/?: refused");
        // It is in all the while.
        let found = tell(1, ServerChange::Kept(causes()));
        assert_eq!(found, (refused.clone(), None));
        assert_eq!(tell(2, ServerChange::In), (recovered.to_owned(), None));
        // It comes in to be kept.
        tell(3, ServerChange::Out(causes()));
        assert_eq!(tell(4, ServerChange::Kept(causes())), (refused, Some(4)));
        assert_eq!(tell(9, ServerChange::In), (recovered.to_owned(), Some(4)));
        let weightless = format!("{kept} its check gives it weight 0");
        let found = tell(10, ServerChange::Kept(Vec::new()));
        assert_eq!(found, (weightless, Some(4)));
        // Not kept any more, and out: it comes in as every other.
        tell(11, ServerChange::Out(causes()));
        let found = tell(13, ServerChange::In);
        let said = "192.168.0.1:80 in 10.0.0.3:80/tcp after 2s".to_owned();
        assert_eq!(found, (said, Some(13)));
    }

    #[test]
    fn a_real_server_whose_name_leads_elsewhere_is_said_to_have_left_for_that() {
        let (model, _) = crate::config::load_text("").expect("an empty file is good");
        let mut chronicle = Chronicle::default();
        let address = |last| RealServerKey(([192, 168, 0, last], 80).into());
        let mut text_of = |change| {
            let note = Note::Server {
                virtual_service: "10.0.0.3:80/tcp".parse().expect("a key"),
                server: address(1),
                change,
                since: Wall::from_seconds(1),
            };
            let last = chronicle.number;
            chronicle.note(Wall::from_seconds(1), &model, &note, None);
            chronicle.after(last).events[0].text.clone()
        };
        let moved = ServerChange::Moved {
            host: HostName::new("web1"),
            to: address(2),
        };
        assert_eq!(
            text_of(moved),
            "192.168.0.1:80 left 10.0.0.3:80/tcp: web1 leads to 192.168.0.2:80 now"
        );
        assert_eq!(
            text_of(ServerChange::Dropped),
            "192.168.0.1:80 no longer declared in 10.0.0.3:80/tcp"
        );
    }
}
