//! What each line of a section says, before the lines are set against each other.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use crate::config::check::Checker;
use crate::config::check::section::judges::{self, Judges, Known};
use crate::config::check::section::line::{self, ServerLine};
use crate::config::check::section::settings::{self, PATIENCE_MAX, Persistence};
use crate::config::check::section::words::{Line, number, time};
use crate::config::keywords;
use crate::config::lines::Span;
use crate::config::syntax::{self, Statement};
use crate::lvs::{Family, Forwarding, Protocol, Scheduler, ServiceFlags, Strangers, Weight};
use crate::model::{
    AlertCommand, AlertProgram, Counts, Initial, MinLive, OnExit, OnFailure, ServiceId, WeightFrom,
};
use crate::options::AlertOptions;

/// Keywords that may stand several times: each adds something.
const REPEATABLE: [&str; 4] = ["real", "service", "alert", "upalert"];

/// Longest time between two checks while a count runs; slower than this is what `interval` is for.
const RECHECK_MAX: Duration = Duration::from_secs(3600);

/// The lines of one section. Where a value is needed again with its place, both are kept.
#[derive(Default)]
pub(super) struct Said {
    pub(super) protocol: Option<(Protocol, Span)>,
    pub(super) family: Option<(Family, Span)>,
    pub(super) scheduler: Option<(Scheduler, ServiceFlags)>,
    pub(super) persistent: Option<Persistence>,
    pub(super) one_packet: Option<Span>,
    pub(super) forwarding: Option<Forwarding>,
    pub(super) weight: Option<Weight>,
    pub(super) fall: Option<NonZeroU32>,
    pub(super) rise: Option<NonZeroU32>,
    pub(super) recheck: Option<(Duration, Span)>,
    pub(super) on_failure: Option<(OnFailure, Span)>,
    pub(super) min_live: Option<(MinLive, Span)>,
    pub(super) slow_start: Option<(Duration, Span)>,
    pub(super) weight_from: Option<(WeightFrom, Span)>,
    pub(super) initial: Option<Initial>,
    pub(super) foreign: Option<Strangers>,
    pub(super) on_exit: Option<OnExit>,
    pub(super) witnesses: Option<Vec<(ServiceId, Span)>>,
    /// The line that names them.
    pub(super) witness_line: Option<Span>,
    pub(super) judges: Judges,
    pub(super) servers: Vec<ServerLine>,
    /// A `real` line is there, though it may be wrong.
    pub(super) is_real_given: bool,
    pub(super) fallback: Option<ServerLine>,
    pub(super) alerts: Vec<Arc<AlertCommand>>,
    pub(super) upalerts: Vec<Arc<AlertCommand>>,
}

impl Said {
    /// Reads all lines; what is wrong is reported and left out.
    pub(super) fn read(
        checker: &mut Checker<'_>,
        known: &Known<'_>,
        tree: &syntax::Section,
    ) -> Self {
        let mut said = Self::default();
        let mut seen: Vec<&str> = Vec::new();
        for statement in &tree.statements {
            let word = checker.text(statement.keyword);
            if !REPEATABLE.contains(&word) && seen.contains(&word) {
                let message = format!("\"{word}\" is given again in this section");
                let help = "remove the one that is not meant";
                checker.report.error(statement.keyword, message, help);
                continue;
            }
            seen.push(word);
            if let Some(&(word, _)) = keywords::SECTION.iter().find(|(known, _)| *known == word)
                && keywords::is_idle(&keywords::SECTION, word)
            {
                checker.report.idle(word, statement.keyword);
            }
            match word {
                "alert" => said.alerts.extend(alert(checker, statement)),
                "upalert" => said.upalerts.extend(alert(checker, statement)),
                _ => said.line(known, Line::new(&mut checker.report, statement)),
            }
        }
        said
    }

    /// What the virtual service is, and who is in it.
    fn line(&mut self, known: &Known<'_>, mut line: Line<'_, '_>) {
        let place = line.whole();
        match line.keyword() {
            "protocol" => {
                let words = [
                    ("tcp", Protocol::Tcp),
                    ("udp", Protocol::Udp),
                    ("sctp", Protocol::Sctp),
                ];
                self.protocol = line.choice(&words).map(|it| (it, place));
            }
            "family" => {
                let words = [("v4", Family::V4), ("v6", Family::V6)];
                self.family = line.choice(&words).map(|it| (it, place));
            }
            "scheduler" => self.scheduler = settings::scheduler(&mut line),
            "persistent" => self.persistent = settings::persistence(&mut line),
            "one_packet" => {
                self.one_packet = Some(place);
                line.end();
            }
            "forward" => {
                self.forwarding = line::forwarding(&mut line).map(|(it, _)| it);
                line.end();
            }
            "weight" => self.weight = line.only(line::WEIGHT, line::weight),
            "real" => {
                self.is_real_given = true;
                self.servers.extend(ServerLine::real(line, known));
            }
            "fallback" => self.fallback = ServerLine::fallback(line, known),
            "service" => {
                self.judges.add(&mut line, known);
                line.end();
            }
            "witness" => {
                let found = judges::witness_words(&mut line, known);
                self.witnesses = Some(found);
                self.witness_line = Some(place);
            }
            _ => self.policy(line),
        }
    }

    /// How verdicts are made, and what follows from them.
    fn policy(&mut self, mut line: Line<'_, '_>) {
        let place = line.whole();
        match line.keyword() {
            "fall" => self.fall = count(&mut line),
            "rise" => self.rise = count(&mut line),
            "recheck" => {
                let help = "write a time above zero, up to 1h, such as 500ms or 2s";
                let found = line.only(help, |text| time(text, RECHECK_MAX));
                self.recheck = found.map(|it| (it, place));
            }
            "on_failure" => {
                let found = settings::on_failure(&mut line);
                line.end();
                self.on_failure = found.map(|it| (it, place));
            }
            "min_live" => {
                let help = "write a number of real servers, or a share from 0% to 100%";
                self.min_live = line.only(help, min_live).map(|it| (it, place));
            }
            "slow_start" => {
                let help = "write a time above zero, up to 1d, such as 30s";
                let found = line.only(help, |text| time(text, PATIENCE_MAX));
                self.slow_start = found.map(|it| (it, place));
            }
            "weight_from" => {
                let words = [("check", WeightFrom::Check), ("file", WeightFrom::File)];
                self.weight_from = line.choice(&words).map(|it| (it, place));
            }
            "initial" => {
                self.initial = settings::initial(&mut line);
                line.end();
            }
            "foreign" => {
                let words = [("remove", Strangers::Removed), ("keep", Strangers::Kept)];
                self.foreign = line.choice(&words);
            }
            "on_exit" => {
                self.on_exit = line.choice(&[
                    ("keep", OnExit::Keep),
                    ("quiesce", OnExit::Quiesce),
                    ("remove", OnExit::Remove),
                ]);
            }
            // The syntax lets only keywords of the table through.
            _ => {}
        }
    }
}

fn count(line: &mut Line<'_, '_>) -> Option<NonZeroU32> {
    let help = format!("write a number from 1 to {}", Counts::MAX);
    let count = line.only(&help, |text| number(text, 1, Counts::MAX))?;
    NonZeroU32::new(count)
}

fn min_live(text: &str) -> Option<MinLive> {
    match text.strip_suffix('%') {
        Some(share) => {
            let share = number(share, 0, 100)?;
            u8::try_from(share).ok().map(MinLive::Percent)
        }
        None => number(text, 0, u32::MAX).map(MinLive::Count),
    }
}

/// An alert of the virtual service's own events. It has no exit value to choose by, and an
/// `lvs.alert` would contradict what the section itself says.
fn alert(checker: &mut Checker<'_>, statement: &Statement) -> Option<Arc<AlertCommand>> {
    let span = statement.argument;
    let alert = checker.alert(span)?;
    if matches!(&alert.program, AlertProgram::Native(AlertOptions::Lvs(_))) {
        let message = format!(
            "{} in a \"virtual\" section: the section itself says what the table is to hold",
            alert.name
        );
        let help = "remove it; \"service\" lines say who decides";
        checker.report.error(span, message, help);
        return None;
    }
    if alert.exit.is_some() {
        let message = "events of a virtual service have no exit value";
        checker.report.error(span, message, "leave out exit=");
        return None;
    }
    Some(alert)
}
