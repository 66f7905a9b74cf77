//! The tree to a Model: every default, every rule.
//!
//! | Question | File |
//! |---|---|
//! | what do the settings say | `globals` |
//! | which hosts are in which group | `groups` |
//! | which words can stand for a host, which mean the same | `host_word` |
//! | what does a service say | `service` |
//! | what does it depend on | `depend` |
//! | what do the rules of a period say | `period` |
//! | what does a monitor or alert line run | `commands` |
//! | which real servers does a service decide over | `bindings` |
//! | what does a `virtual` section say | `section` |
//! | does one service decide over one name in both families | `one_family` |
//! | how are numbers, times and yes or no written | `values` |
//! | how is a mistake reported | `report` |
//!
//! The result needs no further check. Nothing stops at a mistake: what is wrong is reported
//! and left out, so that one run names everything.

mod bindings;
pub(super) mod commands;
mod depend;
pub(in crate::config) mod globals;
mod groups;
mod host_word;
mod one_family;
mod period;
mod report;
mod section;
mod service;
mod values;

pub(crate) use host_word::is_possible_name;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::config::Document;
use crate::config::check::bindings::TableLine;
use crate::config::check::depend::DependLine;
use crate::config::check::globals::{Defaults, ServiceDefaults};
use crate::config::check::groups::Groups;
use crate::config::check::one_family::OneFamily;
use crate::config::check::report::Report;
use crate::config::diagnostic::Findings;
use crate::config::lines::{Sources, Span};
use crate::config::programs::Programs;
use crate::config::syntax::{self, Item};
use crate::model::{AlertCommand, Globals, Model, MonitorCommand, Service};
use crate::period::{Period, Reading, Remark};

/// Builds the Model of a document; mistakes go to `out`, and with one of them the Model is of
/// no use.
pub(super) fn model(
    document: &Document,
    defaults: &Defaults,
    programs: &Programs,
    out: &mut Findings,
) -> Model {
    let mut report = Report::new(&document.sources, out);
    let globals = globals::read_with(&mut report, &document.items, defaults);
    let groups = Groups::collect(&mut report, &document.items);
    let mut checker = Checker {
        globals: &globals,
        programs,
        groups,
        pool: Pool::default(),
        report,
        defaults: ServiceDefaults::default(),
        services: Vec::new(),
        watches: BTreeMap::new(),
        table_lines: Vec::new(),
        depend_lines: Vec::new(),
        slow_limits: None,
        sections: Vec::new(),
        witness: None,
    };
    let mut aliases = Records::default();
    let mut views = Records::default();
    for item in &document.items {
        match item {
            Item::Global(global) => {
                checker.defaults.set(&mut checker.report, global);
                if checker.text(global.name) == "witness" {
                    checker.witness = Some(global.value);
                }
            }
            Item::Section(section) => checker.sections.push(section),
            Item::Watch(watch) => checker.watch(watch),
            Item::Alias(alias) => {
                let (name, lines) = checker.record(alias.name, &alias.lines);
                aliases.of(name).extend(lines);
            }
            Item::View(view) => {
                let (name, members) = checker.record(view.name, &view.members);
                let before = std::mem::replace(views.of(name), members);
                if !before.is_empty() {
                    let message = "another view has this name";
                    let report = &mut checker.report;
                    report.warn(view.name, message, "the earlier one is dropped");
                }
            }
            Item::Hostgroup(_) | Item::Include(_) => {}
        }
    }
    checker.finish(aliases.list, views.list)
}

/// What is known while the watches are checked.
struct Checker<'a> {
    globals: &'a Globals,
    programs: &'a Programs,
    groups: Groups,
    pool: Pool<'a>,
    report: Report<'a>,
    /// Settings that count for the services behind them.
    defaults: ServiceDefaults,
    services: Vec<Service>,
    /// Watches that have a service, and where they are named.
    watches: BTreeMap<&'a str, Span>,
    table_lines: Vec<TableLine>,
    depend_lines: Vec<DependLine>,
    /// The first service whose executable may run longer than three intervals, and how many.
    slow_limits: Option<(Span, u32)>,
    /// Sections, until all services are known.
    sections: Vec<&'a syntax::Section>,
    /// The value of the setting `witness`.
    witness: Option<Span>,
}

/// Equal values are kept once: of 10,000 services most share their period, their commands and
/// their names.
#[derive(Default)]
struct Pool<'a> {
    names: BTreeSet<Arc<str>>,
    periods: BTreeMap<&'a str, Result<Reading, Vec<Remark>>>,
    monitors: BTreeMap<&'a str, Arc<MonitorCommand>>,
    alerts: BTreeMap<&'a str, Arc<AlertCommand>>,
    missing: BTreeSet<&'a str>,
}

impl Pool<'_> {
    fn name(&mut self, text: &str) -> Arc<str> {
        if let Some(name) = self.names.get(text) {
            return name.clone();
        }
        let name: Arc<str> = text.into();
        self.names.insert(name.clone());
        name
    }
}

type Record = (Arc<str>, Vec<String>);

/// Aliases or views, each name once and in the order of the file: of two aliases of one name the
/// texts follow each other, of two views the later one counts.
#[derive(Default)]
struct Records {
    list: Vec<Record>,
    places: BTreeMap<Arc<str>, usize>,
}

impl Records {
    /// The text of the record of that name, empty where there was none.
    fn of(&mut self, name: Arc<str>) -> &mut Vec<String> {
        let next = self.list.len();
        let place = *self.places.entry(Arc::clone(&name)).or_insert(next);
        if place == next {
            self.list.push((name, Vec::new()));
        }
        &mut self.list[place].1
    }
}

impl<'a> Checker<'a> {
    fn sources(&self) -> &'a Sources {
        self.report.sources
    }

    fn text(&self, span: Span) -> &'a str {
        self.report.text(span)
    }

    fn record(&mut self, name: Span, lines: &[Span]) -> Record {
        let text = |line: &Span| self.text(*line).to_owned();
        let lines = lines.iter().map(text).collect();
        (self.pool.name(self.report.text(name)), lines)
    }

    /// Reads a period; a malformed one is reported and never holds.
    fn when(&mut self, span: Span, what: &str) -> Period {
        let text = self.text(span);
        let read = self
            .pool
            .periods
            .entry(text)
            .or_insert_with(|| Period::parse(text));
        read_period(&mut self.report, read, span, what)
    }

    fn finish(mut self, aliases: Vec<Record>, views: Vec<Record>) -> Model {
        if let Some((span, count)) = self.slow_limits {
            service::report_slow_limits(&mut self.report, self.globals, span, count);
        }
        depend::resolve(&mut self.report, &mut self.services, &self.depend_lines);
        let services = std::mem::take(&mut self.services);
        let mut one_family = OneFamily::new(&services);
        let bindings = bindings::compile(
            &mut self.report,
            &services,
            self.groups.list(),
            &self.table_lines,
            &mut one_family,
        );
        let sections = std::mem::take(&mut self.sections);
        let (virtual_services, witnesses) =
            section::compile(&mut self, &sections, &services, &bindings, one_family);
        self.services = services;
        self.services.shrink_to_fit();
        self.groups.unused(&mut self.report);
        let model = Model {
            globals: self.globals.clone(),
            hostgroups: self.groups.into_list(),
            services: self.services,
            bindings,
            witnesses,
            virtual_services,
            aliases,
            views,
        };
        depend::report_depths(&mut self.report, &model, &self.depend_lines);
        self.report.finish();
        model
    }
}

/// Reports what was found in a period's text.
fn read_period(
    report: &mut Report<'_>,
    read: &Result<Reading, Vec<Remark>>,
    span: Span,
    what: &str,
) -> Period {
    let at = |remark: &Remark| span.part(remark.start, remark.end);
    match read {
        Ok(reading) => {
            for fault in &reading.faults {
                let message = format!("malformed {what}: {}", fault.message);
                report.warn(at(fault), message, "this part never holds");
            }
            for doubt in &reading.doubts {
                report.warn(at(doubt), format!("in {what}: {}", doubt.message), None);
            }
            reading.period.clone()
        }
        Err(faults) => {
            for fault in faults {
                report.error(
                    at(fault),
                    format!("malformed {what}: {}", fault.message),
                    None,
                );
            }
            Period::NEVER
        }
    }
}
