//! What the rules of a period say.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crate::config::check::Checker;
use crate::config::check::bindings::{Role, TableLine};
use crate::config::check::commands::parts;
use crate::config::check::values::{self, Zero};
use crate::config::diagnostic::nearest;
use crate::config::keywords;
use crate::config::lines::{Span, is_blank};
use crate::config::syntax::{self, Rule, Statement};
use crate::model::{AlertCommand, AlertPeriod, AlertProgram, Repeat, Service, ServiceId};
use crate::options::AlertOptions;

/// Keywords that may stand several times in a period: each adds something.
const REPEATABLE: [&str; 6] = [
    "alert",
    "upalert",
    "startupalert",
    "ackalert",
    "disablealert",
    "alertafter",
];

/// The modifiers of `alertevery`; `summary` is the old word for what goes without one.
const MODIFIERS: [(&str, Repeat); 4] = [
    ("summary", Repeat::Summary),
    ("observe_detail", Repeat::ObserveDetail),
    ("ignore_summary", Repeat::IgnoreSummary),
    ("strict", Repeat::Strict),
];

/// An `alertafter` value.
enum After {
    Count(u32),
    Time(Duration),
    Window(u32, Duration),
}

impl Checker<'_> {
    /// Reads the periods of a service.
    pub(super) fn periods(
        &mut self,
        id: ServiceId,
        service: &Service,
        trees: &[syntax::Period],
    ) -> Vec<AlertPeriod> {
        let mut names: BTreeMap<Arc<str>, ()> = BTreeMap::new();
        let mut periods = Vec::with_capacity(trees.len());
        for tree in trees {
            let name = tree.label.unwrap_or(tree.specification);
            let label = self.pool.name(self.report.text(name));
            if names.insert(label.clone(), ()).is_some() {
                let message = format!("period \"{label}\" is already defined in this service");
                let help = "give one of them a label: period LABEL: TIMES";
                self.report.error(name, message, help);
            }
            periods.push(self.period(id, service, tree, label));
        }
        periods
    }

    fn period(
        &mut self,
        id: ServiceId,
        service: &Service,
        tree: &syntax::Period,
        label: Arc<str>,
    ) -> AlertPeriod {
        let when = self.when(tree.specification, "period");
        let mut period = AlertPeriod::new(label, when);
        let mut seen: Vec<&str> = Vec::new();
        for statement in &tree.statements {
            self.once(&mut seen, statement, &REPEATABLE);
            self.period_keyword(id, service, &mut period, statement);
        }
        self.lone_upalert(&period, &tree.statements);
        for list in [
            &mut period.alerts,
            &mut period.upalerts,
            &mut period.startupalerts,
            &mut period.ackalerts,
            &mut period.disablealerts,
        ] {
            list.shrink_to_fit();
        }
        period
    }

    fn period_keyword(
        &mut self,
        id: ServiceId,
        service: &Service,
        period: &mut AlertPeriod,
        statement: &Statement,
    ) {
        let Statement { keyword, argument } = *statement;
        let word = self.text(keyword);
        if let Some(&(known, _)) = keywords::PERIOD.iter().find(|(known, _)| *known == word)
            && keywords::is_idle(&keywords::PERIOD, known)
        {
            self.report.idle(known, keyword);
        }
        match word {
            "alert" => {
                let alert = self.table_line(id, Role::Alert, argument);
                period.alerts.extend(alert);
            }
            "upalert" => {
                let alert = self.table_line(id, Role::Upalert, argument);
                period.upalerts.extend(alert);
            }
            "startupalert" => period
                .startupalerts
                .extend(self.other_alert(word, argument)),
            "ackalert" => period.ackalerts.extend(self.other_alert(word, argument)),
            "disablealert" => period
                .disablealerts
                .extend(self.other_alert(word, argument)),
            "alertevery" => period.alertevery = self.alertevery(argument),
            "alertafter" => self.alertafter(service, period, statement),
            "upalertafter" => period.upalertafter = self.time("upalertafter", statement),
            "numalerts" => period.numalerts = self.numalerts(argument),
            "no_comp_alerts" => period.no_comp_alerts = self.flag(statement),
            "alerts_dont_count" => period.alerts_dont_count = self.flag(statement),
            "alertexitrange" => period.alertexitrange = self.exit_range(argument),
            // The syntax lets only keywords of the table through.
            _ => {}
        }
    }

    /// A recovery is told where something was sent before it, or with `no_comp_alerts`.
    fn lone_upalert(&mut self, period: &AlertPeriod, statements: &[Statement]) {
        let sends = |list: &[Arc<AlertCommand>]| {
            let decides = |it: &AlertCommand| {
                matches!(it.program, AlertProgram::Native(AlertOptions::Lvs(_)))
            };
            list.iter().any(|it| !decides(it))
        };
        let earlier = [&period.alerts, &period.startupalerts, &period.disablealerts];
        if period.no_comp_alerts || !sends(&period.upalerts) || earlier.iter().any(|it| sends(it)) {
            return;
        }
        // One that could not be read has its own mistake.
        let words: Vec<&str> = statements.iter().map(|it| self.text(it.keyword)).collect();
        let is_earlier = |it: &&&str| matches!(**it, "alert" | "startupalert" | "disablealert");
        let written = words.iter().filter(is_earlier).count();
        let read: usize = earlier.iter().map(|it| it.len()).sum();
        let first = words.iter().position(|it| *it == "upalert");
        let Some(line) = first
            .and_then(|at| statements.get(at))
            .filter(|_| written == read)
        else {
            return;
        };
        let place = line.keyword;
        let message = "this upalert never runs: nothing is sent in its period before it";
        let help = "add an alert line (lvs.alert sends nothing), or no_comp_alerts, with which the \
                    end of each failure is told";
        self.report.warn(place, message, help);
    }

    /// An alert line that may decide over the table.
    fn table_line(&mut self, id: ServiceId, role: Role, span: Span) -> Option<Arc<AlertCommand>> {
        let alert = self.alert(span)?;
        if matches!(&alert.program, AlertProgram::Native(AlertOptions::Lvs(_))) {
            self.table_lines.push(TableLine {
                service: id,
                role,
                alert: alert.clone(),
                span,
            });
        }
        Some(alert)
    }

    fn other_alert(&mut self, word: &str, span: Span) -> Option<Arc<AlertCommand>> {
        let alert = self.alert(span)?;
        self.changes_nothing(&alert, word, span);
        Some(alert)
    }

    fn alertevery(&mut self, span: Span) -> Option<(Duration, Repeat)> {
        let found = self.behind_junk(span, Rule::every)?;
        let mut repeat = Repeat::Summary;
        let mut time = None;
        for (rule, part) in found {
            let text = self.text(part);
            if rule == Rule::timeval {
                time = self.positive_time(part, "time interval");
            } else if rule == Rule::modifier {
                let known = |(name, _): &&(&str, Repeat)| text.eq_ignore_ascii_case(name);
                match MODIFIERS.iter().find(known) {
                    Some(&(_, found)) => repeat = found,
                    None => self.unknown_modifier(part),
                }
            }
        }
        time.map(|time| (time, repeat))
    }

    fn unknown_modifier(&mut self, part: Span) {
        let text = self.text(part);
        let help = match nearest(text, MODIFIERS.iter().map(|&(name, _)| name)) {
            Some(known) => format!("did you mean \"{known}\"?"),
            None => "write observe_detail, ignore_summary, strict or nothing".to_owned(),
        };
        self.report.error(
            part,
            format!("unknown modifier \"{text}\" of alertevery"),
            help,
        );
    }

    fn positive_time(&mut self, span: Span, what: &str) -> Option<Duration> {
        match values::time(self.text(span), Zero::Refused) {
            Ok(time) => Some(time),
            Err(help) => {
                let message = format!("invalid {what} \"{}\"", self.text(span));
                self.report.error(span, message, help);
                None
            }
        }
    }

    /// Reads a value; words before it that mon passes over are passed over with a warning
    /// (C-16).
    fn behind_junk(&mut self, span: Span, rule: Rule) -> Option<Vec<(Rule, Span)>> {
        let text = self.text(span);
        let starts = std::iter::once(0).chain(
            text.char_indices()
                .filter(|&(_, letter)| is_blank(letter))
                .map(|(at, _)| at + 1),
        );
        // A value has two or three words, so words further ahead cannot begin it.
        const LOOKS_MAX: usize = 8;
        for start in starts.take(LOOKS_MAX) {
            let rest = span.part(start, text.len());
            let Some(found) = parts(self.text(rest), rest, rule) else {
                continue;
            };
            if start > 0 {
                let junk = text[..start].trim_end_matches(is_blank);
                let message = format!("\"{junk}\" is ignored");
                self.report
                    .warn(span.part(0, junk.len()), message, "remove it");
            }
            return Some(found);
        }
        let (what, help) = if rule == Rule::every {
            (
                "time interval",
                "write a time as in 30s or 1.5h, and a modifier",
            )
        } else {
            (
                "interval specification",
                "write a number of failures, a time as in 30m, or both",
            )
        };
        self.report
            .error(span, format!("invalid {what} \"{text}\""), help);
        None
    }

    fn alertafter(&mut self, service: &Service, period: &mut AlertPeriod, statement: &Statement) {
        let span = statement.argument;
        let Some(after) = self.after(span) else {
            return;
        };
        let is_again = match after {
            After::Count(count) => period.alertafter_count.replace(count).is_some(),
            After::Time(time) => period.alertafter_time.replace(time).is_some(),
            After::Window(count, time) => {
                self.sensible(service, span, count, time);
                period.alertafter_window.replace((count, time)).is_some()
            }
        };
        if is_again {
            let message = "\"alertafter\" of this form is given again, this line counts";
            self.report.warn(
                statement.keyword,
                message,
                "remove the one that is not meant",
            );
        }
    }

    fn after(&mut self, span: Span) -> Option<After> {
        let mut count = None;
        let mut time = None;
        for (rule, part) in self.behind_junk(span, Rule::after)? {
            if rule == Rule::number {
                let text = self.text(part);
                // More failures than anybody lives to see.
                count = Some(values::number(text).unwrap_or(u32::MAX));
            } else if rule == Rule::timeval {
                time = Some(self.positive_time(part, "interval specification")?);
            }
        }
        match (count, time) {
            (Some(count), None) => Some(After::Count(count)),
            (None, Some(time)) => Some(After::Time(time)),
            (Some(count), Some(time)) => Some(After::Window(count, time)),
            (None, None) => None,
        }
    }

    /// So many failures must fit into the time at all.
    fn sensible(&mut self, service: &Service, span: Span, count: u32, time: Duration) {
        let Some(interval) = service.interval else {
            return;
        };
        if interval.saturating_mul(count.saturating_sub(1)) >= time {
            let message = format!(
                "interval & alertafter not sensible: {count} failures do not fit into this time"
            );
            let help = "ask for fewer failures, or for a longer time";
            self.report.error(span, message, help);
        }
    }

    fn numalerts(&mut self, span: Span) -> Option<u32> {
        let text = self.text(span);
        match values::number(text) {
            Some(number) => Some(number).filter(|&number| number > 0),
            None => {
                let message = format!("non-numeric arg \"{text}\" of numalerts");
                self.report
                    .error(span, message, "write digits only; 0 means no limit");
                None
            }
        }
    }
}
