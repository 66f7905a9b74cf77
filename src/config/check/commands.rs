//! What a `monitor` or `alert` line runs: words, host rule, exit range, program.

use std::collections::BTreeSet;
use std::sync::Arc;

use pest::Parser;
use pest::iterators::Pair;

use crate::config::check::Checker;
use crate::config::check::values;
use crate::config::lines::{Sources, Span, is_blank};
use crate::config::programs::{Became, ProgramKind};
use crate::config::syntax::{Grammar, Item, Rule, Service, Statement, part_of};
use crate::config::words::{self, Word};
use crate::model::{AlertCommand, AlertProgram, ExitRange, MonitorCommand, MonitorProgram};
use crate::options::{AlertOptions, MonitorOptions, OptionErrors, Runs};

/// Ends a monitor line to which no hosts are to be appended.
const NO_HOSTS: &str = ";;";

/// Longest monitor or alert line, in bytes: no program can be given more words (Linux takes
/// 2 MB, the environment among them), and the words of a line of 10 MB take 700 MB.
const COMMAND_MAX: usize = 1 << 20;

/// The words that name an alert.
const ALERTS: [&str; 6] = [
    "alert",
    "upalert",
    "startupalert",
    "ackalert",
    "disablealert",
    "redistribute",
];

/// Monitors that run programs for each host.
const RUNNERS: [&str; 2] = ["misc.monitor", "plugin.monitor"];

/// The words of a line.
struct Command {
    name: String,
    args: Vec<String>,
    /// All of the arguments.
    written: Span,
    /// Of the name and of each argument.
    spans: Vec<Span>,
}

/// Every program that the tree names; lines that are wrong name none.
pub(crate) fn names(sources: &Sources, items: &[Item]) -> BTreeSet<(ProgramKind, String)> {
    let mut found = BTreeSet::new();
    let mut take = |statement: &Statement| {
        let keyword = sources.text(statement.keyword);
        let (kind, value) = if keyword == "monitor" {
            (
                ProgramKind::Monitor,
                without_host_rule(sources, statement.argument).0,
            )
        } else if ALERTS.contains(&keyword) {
            (
                ProgramKind::Alert,
                without_exit(sources, statement.argument).1,
            )
        } else {
            return;
        };
        // Most lines name a program without quotes; only the others need the grammar.
        let text = sources.text(value);
        let first = text.split(is_blank).next().unwrap_or_default();
        if first.contains(['"', '\'', '\\']) {
            let words = words::split(text, value).unwrap_or_default();
            found.extend(words.into_iter().next().map(|word| (kind, word.text)));
        } else if !found.contains(&(kind, first.to_owned())) {
            found.insert((kind, first.to_owned()));
        }
    };
    each_statement(items, &mut take);
    found
}

/// All that built-in monitors of the tree are told to run; lines that are wrong name nothing.
pub(crate) fn runs(sources: &Sources, items: &[Item]) -> BTreeSet<Runs> {
    let (mut found, mut seen) = (BTreeSet::new(), BTreeSet::new());
    let mut take = |statement: &Statement| {
        if sources.text(statement.keyword) != "monitor" {
            return;
        }
        let value = without_host_rule(sources, statement.argument).0;
        let text = sources.text(value);
        let name = text.split(is_blank).next().unwrap_or_default();
        // Of 10,000 services most share their line, and most of them run nothing.
        if !RUNNERS.contains(&name) || text.len() > COMMAND_MAX || !seen.insert(text) {
            return;
        }
        let words = words::split(text, value).unwrap_or_default();
        let args: Vec<String> = words.into_iter().skip(1).map(|word| word.text).collect();
        let options = MonitorOptions::parse(name, &args).and_then(Result::ok);
        found.extend(options.and_then(|options| options.runs()));
    };
    each_statement(items, &mut take);
    found
}

/// The statements of sections, services and their periods.
fn each_statement<'a>(items: &'a [Item], take: &mut impl FnMut(&'a Statement)) {
    let sections = items.iter().filter_map(|item| match item {
        Item::Section(section) => Some(section.statements.as_slice()),
        Item::Watch(_)
        | Item::Global(_)
        | Item::Hostgroup(_)
        | Item::Alias(_)
        | Item::View(_)
        | Item::Include(_) => None,
    });
    sections.flatten().for_each(&mut *take);
    let services = items.iter().flat_map(|item| match item {
        Item::Watch(watch) => watch.services.as_slice(),
        Item::Section(_)
        | Item::Global(_)
        | Item::Hostgroup(_)
        | Item::Alias(_)
        | Item::View(_)
        | Item::Include(_) => &[],
    });
    for Service {
        statements,
        periods,
        ..
    } in services
    {
        statements.iter().for_each(&mut *take);
        periods
            .iter()
            .flat_map(|period| &period.statements)
            .for_each(&mut *take);
    }
}

/// A monitor line without its `;;`, and whether hosts are appended.
fn without_host_rule(sources: &Sources, value: Span) -> (Span, bool) {
    let text = sources.text(value);
    match text.strip_suffix(NO_HOSTS) {
        Some(rest) => (value.part(0, rest.trim_end_matches(is_blank).len()), false),
        None => (value, true),
    }
}

/// The exit range at the beginning of an alert line, and the rest of the line.
fn without_exit(sources: &Sources, value: Span) -> (Option<ExitRange>, Span) {
    let text = sources.text(value);
    if !text
        .get(..4)
        .is_some_and(|word| word.eq_ignore_ascii_case("exit"))
    {
        return (None, value);
    }
    match Grammar::parse(Rule::exit, text)
        .ok()
        .and_then(|mut pairs| pairs.next())
    {
        Some(exit) => {
            let rest = exit.as_span().end();
            let range = exit.into_inner().next().and_then(range);
            (range, value.part(rest, text.len()))
        }
        None => (None, value),
    }
}

/// `N` or `N-M`
fn range(pair: Pair<'_, Rule>) -> Option<ExitRange> {
    let mut ends = pair.into_inner().map(|end| {
        let number = values::number(end.as_str()).unwrap_or(u32::MAX);
        i32::try_from(number).unwrap_or(i32::MAX)
    });
    let low = ends.next()?;
    let high = ends.next().unwrap_or(low);
    Some(ExitRange { low, high })
}

impl Checker<'_> {
    /// `alertexitrange N` or `N-M`
    pub(super) fn exit_range(&mut self, span: Span) -> Option<ExitRange> {
        let text = self.text(span);
        let parsed = Grammar::parse(Rule::exits, text)
            .ok()
            .and_then(|mut pairs| pairs.next());
        let found = parsed
            .and_then(|pair| pair.into_inner().next())
            .and_then(range);
        match found {
            None => {
                let message = format!("invalid exit code range \"{text}\"");
                self.report.error(span, message, "write N or N-M");
            }
            Some(found) => self.check_range(span, found),
        }
        found
    }

    fn check_range(&mut self, span: Span, range: ExitRange) {
        if range.low > range.high {
            let message = format!(
                "no exit value lies between {} and {}",
                range.low, range.high
            );
            self.report
                .warn(span, message, "write the smaller one first");
        }
    }

    /// Reads the value of a `monitor` line.
    pub(super) fn monitor(&mut self, span: Span) -> Option<Arc<MonitorCommand>> {
        let text = self.text(span);
        if let Some(known) = self.pool.monitors.get(text) {
            return Some(known.clone());
        }
        let (value, appends_hosts) = without_host_rule(self.sources(), span);
        let Command {
            name, args, spans, ..
        } = self.command(value, "monitor")?;
        let program = self.monitor_program(&name, &args, &spans)?;
        let monitor = Arc::new(MonitorCommand {
            name: self.pool.name(&name),
            args,
            written: text.into(),
            appends_hosts,
            program,
        });
        self.pool.monitors.insert(text, monitor.clone());
        Some(monitor)
    }

    /// Reads the value of an `alert` line or one of its relatives.
    pub(super) fn alert(&mut self, span: Span) -> Option<Arc<AlertCommand>> {
        let text = self.text(span);
        if let Some(known) = self.pool.alerts.get(text) {
            return Some(known.clone());
        }
        let (exit, value) = without_exit(self.sources(), span);
        if let Some(range) = exit {
            self.check_range(span, range);
        }
        let Command {
            name,
            args,
            written,
            spans,
        } = self.command(value, "alert")?;
        if exit.is_none() && name.to_ascii_lowercase().starts_with("exit=") {
            let message = format!("\"{name}\" is taken as the name of the alert");
            self.report
                .warn(value, message, "write exit=N or exit=N-M before the name");
        }
        let program = self.alert_program(&name, &args, &spans)?;
        let alert = Arc::new(AlertCommand {
            exit,
            name: self.pool.name(&name),
            args,
            written: self.text(written).into(),
            program,
        });
        self.pool.alerts.insert(text, alert.clone());
        Some(alert)
    }

    fn command(&mut self, value: Span, what: &str) -> Option<Command> {
        let text = self.text(value);
        if text.len() > COMMAND_MAX {
            let message = format!(
                "the line of this {what} has {} bytes, more than a program can be given",
                text.len()
            );
            let help = "put what is so long into a file that the program reads";
            self.report.error(value, message, help);
            return None;
        }
        match words::split(text, value) {
            Err(quote) => {
                let (message, help) = if self.text(quote) == "\\" {
                    (
                        "nothing stands behind the backslash",
                        "write \\\\ for a backslash",
                    )
                } else {
                    (
                        "this quote is not closed",
                        "close it, or write \\ before it",
                    )
                };
                self.report.error(quote, message, help);
                None
            }
            Ok(words) => {
                let spans: Vec<Span> = words.iter().map(|word| word.span).collect();
                let written = spans
                    .get(1)
                    .map_or(value.behind(), |first| first.to(value.behind()));
                let mut texts = words.into_iter().map(|Word { text, .. }| text);
                let Some(name) = texts.next().filter(|name| !name.is_empty()) else {
                    let message = format!("this line names no {what}");
                    self.report
                        .error(value, message, format!("write the name of the {what}"));
                    return None;
                };
                Some(Command {
                    name,
                    args: texts.collect(),
                    written,
                    spans,
                })
            }
        }
    }

    fn monitor_program(
        &mut self,
        name: &str,
        args: &[String],
        spans: &[Span],
    ) -> Option<MonitorProgram> {
        match self.became(ProgramKind::Monitor, name, spans) {
            Ok(Became::Executable(path)) => Some(MonitorProgram::Executable(path)),
            Ok(Became::BuiltIn) => match MonitorOptions::parse(name, args) {
                Some(Ok(options)) => {
                    self.look_at_run(name, &options, args, spans);
                    Some(MonitorProgram::Native(options))
                }
                Some(Err(errors)) => self.wrong_options(name, &errors, spans),
                None => Some(MonitorProgram::Missing(format!("{name} is no built-in"))),
            },
            Ok(Became::Missing) => Some(MonitorProgram::Missing(format!("{name} is not there"))),
            Err(why) => Some(MonitorProgram::Missing(why)),
        }
    }

    /// Says where the built-in cannot run what the line tells it to, once for each program: until
    /// it can, nothing is known of any server.
    fn look_at_run(
        &mut self,
        name: &str,
        options: &MonitorOptions,
        args: &[String],
        spans: &[Span],
    ) {
        let Some(runs) = options.runs() else {
            return;
        };
        let programs = self.programs;
        let Some(why) = programs.hindrance(&runs) else {
            return;
        };
        let (word, help) = match &runs {
            Runs::Program(path) => (
                path.to_str().unwrap_or_default(),
                "put it there and make it executable; until then it finds no server bad",
            ),
            Runs::Plugin { name, .. } => (
                name.as_str(),
                "install it, from the packages monitoring-plugins-*, say; until then it finds no \
                 server bad",
            ),
        };
        let at = args.iter().position(|arg| arg == word);
        let Some(&span) = at.and_then(|at| spans.get(at + 1)) else {
            return;
        };
        if self.pool.missing.insert(self.text(span)) {
            let message = format!("{name} cannot run \"{word}\": {why}");
            self.report.warn(span, message, help);
        }
    }

    fn alert_program(
        &mut self,
        name: &str,
        args: &[String],
        spans: &[Span],
    ) -> Option<AlertProgram> {
        match self.became(ProgramKind::Alert, name, spans) {
            Ok(Became::Executable(path)) => Some(AlertProgram::Executable(path)),
            Ok(Became::BuiltIn) => match AlertOptions::parse(name, args) {
                Some(Ok(options)) => Some(AlertProgram::Native(options)),
                Some(Err(errors)) => self.wrong_options(name, &errors, spans),
                None => Some(AlertProgram::Missing(format!("{name} is no built-in"))),
            },
            Ok(Became::Missing) => Some(AlertProgram::Missing(format!("{name} is not there"))),
            Err(why) => Some(AlertProgram::Missing(why)),
        }
    }

    /// What the name became; an error where it became nothing, which is reported once.
    fn became(&mut self, kind: ProgramKind, name: &str, spans: &[Span]) -> Result<Became, String> {
        let (why, help) = match self.programs.get(kind, name) {
            Some(found) if found.became == Became::Missing => (found.why.clone(), None),
            Some(found) => return Ok(found.became.clone()),
            None => ("nobody looked for it".to_owned(), None),
        };
        if let Some(&span) = spans.first() {
            let text = self.text(span);
            if self.pool.missing.insert(text) {
                let what = match kind {
                    ProgramKind::Monitor => "monitor",
                    ProgramKind::Alert => "alert",
                };
                self.report
                    .warn(span, format!("{what} \"{name}\" is missing: {why}"), help);
            }
        }
        Err(why)
    }

    fn wrong_options<T>(&mut self, name: &str, errors: &OptionErrors, spans: &[Span]) -> Option<T> {
        for error in errors.list() {
            let place = match (spans.get(error.index + 1), spans.last()) {
                (Some(&word), _) => word,
                (None, Some(&last)) => last.behind(),
                (None, None) => return None,
            };
            self.report
                .error(place, format!("{name}: {}", error.message), None);
        }
        None
    }
}

/// The parts of a value by their rules, for values with a small grammar of their own.
pub(super) fn parts(text: &str, span: Span, rule: Rule) -> Option<Vec<(Rule, Span)>> {
    let whole = Grammar::parse(rule, text).ok()?.next()?;
    let part = |part: Pair<'_, Rule>| (part.as_rule(), part_of(span, &part));
    Some(whole.into_inner().map(part).collect())
}
