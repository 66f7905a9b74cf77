//! Logical lines to a tree of records, without meaning yet.
//!
//! The record structure is mon's (docs/mon.md, "Reading"): six states, and for each
//! line a fixed order of tests. The grammar of one line is `statement.pest`. The sixth state is
//! ours, a `virtual` section; what concerns it alone stands in `section`. Never fails as a
//! whole: the tree holds what could be read, and every other line is named in a diagnostic.
//! Text that mon loses without a word (C-1, C-3 to C-6) is a warning here.

use pest::Parser;
use pest::iterators::Pair;

use crate::config::diagnostic::{Diagnostic, Findings, nearest};
use crate::config::keywords::{self, Level};
use crate::config::lines::{Lines, Sources, Span, is_blank};

#[cfg(test)]
mod tests;

mod section;
mod tree;

/// What `statement.pest` describes.
mod grammar {
    #[derive(pest_derive::Parser)]
    #[grammar = "config/statement.pest"]
    pub(crate) struct Grammar;
}

pub(crate) use grammar::{Grammar, Rule};

pub(crate) use tree::{
    Alias, Environment, Global, Hostgroup, Include, Item, Period, Section, Service, Statement,
    View, Watch,
};

/// Reads the lines of one file.
pub(crate) fn parse(sources: &Sources, lines: &Lines, out: &mut Findings) -> Vec<Item> {
    let mut reader = Reader {
        sources,
        out,
        items: Vec::new(),
        state: State::Top { after: None },
    };
    for &line in &lines.spans {
        reader.line(line);
    }
    reader.close();
    if let Some(line) = lines.unfinished {
        let message = "the last line ends in a backslash and is dropped";
        let help = "remove the backslash, or write the line that belongs to it";
        reader.warn(line, message, help);
    }
    reader.items
}

/// Which record is open.
#[derive(Debug)]
enum State {
    Top {
        /// What a blank line closed, until another record begins.
        after: Option<Ended>,
    },
    Hostgroup(Hostgroup),
    Alias(Alias),
    View(View),
    Watch(Watch),
    Section(Section),
}

/// A record that a blank line ended, by its name.
#[derive(Clone, Copy, Debug)]
enum Ended {
    Watch(Span),
    Section(Span),
}

/// A line as the grammar sees it.
#[derive(Debug)]
struct Line {
    rule: Rule,
    parts: [Option<Span>; 2],
}

struct Reader<'a> {
    sources: &'a Sources,
    out: &'a mut Findings,
    items: Vec<Item>,
    state: State,
}

impl Reader<'_> {
    fn line(&mut self, span: Span) {
        if span.is_empty() {
            let after = match &self.state {
                State::Watch(watch) => Some(Ended::Watch(watch.name)),
                State::Section(section) => Some(Ended::Section(section.name)),
                State::Top { after } => *after,
                State::Hostgroup(_) | State::Alias(_) | State::View(_) => None,
            };
            self.close();
            self.state = State::Top { after };
            return;
        }
        let line = match self.state {
            State::Watch(_) => self.classify(span, Rule::inside),
            State::Section(_) => self.classify(span, Rule::in_section),
            State::Top { .. } | State::Hostgroup(_) | State::Alias(_) | State::View(_) => {
                self.classify(span, Rule::outside)
            }
        };
        // mon's order of tests; what a state does not take falls through to the next test.
        match (line.rule, &self.state) {
            (Rule::global, State::Section(_)) => self.setting_in_section(&line),
            (Rule::global, _) => self.global(&line),
            (Rule::hostgroup, _) => self.hostgroup(&line),
            (Rule::section, State::Hostgroup(_) | State::Alias(_) | State::View(_))
                if self.is_section(&line) =>
            {
                self.section_within(span, &line);
            }
            (_, State::Hostgroup(_)) => self.hosts(span, line.rule),
            (Rule::alias, _) => self.alias(&line),
            (_, State::Alias(_)) => self.alias_text(span, line.rule),
            (Rule::view, _) => self.view(&line),
            (_, State::View(_)) => self.members(span, line.rule),
            (Rule::watch, _) => self.watch(span, &line),
            (Rule::section, State::Top { .. }) => self.section(&line),
            (Rule::section, _) => self.section_within(span, &line),
            (Rule::statement, State::Section(_)) => self.section_statement(span, &line),
            (_, State::Section(_)) => self.no_statement(span, line.rule),
            (Rule::environment, State::Watch(_)) => self.environment(&line),
            (Rule::statement, State::Watch(_)) => self.statement(span, &line),
            (_, State::Watch(_)) => {
                self.error(
                    span,
                    "unknown syntax: this line starts with no keyword",
                    None,
                );
            }
            (Rule::include, State::Top { .. }) => self.include(&line),
            (_, State::Top { after }) => {
                let after = *after;
                self.lost(span, after);
            }
        }
    }

    fn classify(&mut self, span: Span, rule: Rule) -> Line {
        let text = self.sources.text(span);
        let mut line = Line {
            rule: Rule::other,
            parts: [None; 2],
        };
        // `other` takes any line, so the grammar cannot refuse one.
        let parsed = Grammar::parse(rule, text)
            .ok()
            .and_then(|mut pairs| pairs.next());
        if let Some(found) = parsed.and_then(|pair| pair.into_inner().next()) {
            line.rule = found.as_rule();
            for (slot, part) in line.parts.iter_mut().zip(found.into_inner()) {
                *slot = Some(part_of(span, &part));
            }
        }
        line
    }

    fn close(&mut self) {
        match std::mem::replace(&mut self.state, State::Top { after: None }) {
            State::Top { .. } => {}
            State::Hostgroup(group) => self.items.push(Item::Hostgroup(group)),
            State::Alias(alias) => self.items.push(Item::Alias(alias)),
            State::View(view) => self.items.push(Item::View(view)),
            State::Watch(watch) => self.items.push(Item::Watch(watch)),
            State::Section(section) => self.items.push(Item::Section(section)),
        }
    }

    fn open(&mut self, state: State) {
        self.close();
        self.state = state;
    }

    fn global(&mut self, line: &Line) {
        let [Some(name), Some(value)] = line.parts else {
            unreachable!("the grammar gives a global a name and a value");
        };
        self.items.push(Item::Global(Global { name, value }));
    }

    fn hostgroup(&mut self, line: &Line) {
        let [Some(name), Some(rest)] = line.parts else {
            unreachable!("the grammar gives a hostgroup a name and a rest");
        };
        let hosts = self.words(rest);
        if let Some(&first) = hosts.first()
            && self.adjoin(name, first)
        {
            let message = format!(
                "hostgroup name \"{}\" ends before \"{}\", which is taken as a host",
                self.sources.text(name),
                self.sources.text(first),
            );
            let help = "names are made of letters, digits, \"_\", \".\" and \"-\"";
            self.warn(first, message, help);
        }
        self.open(State::Hostgroup(Hostgroup { name, hosts }));
    }

    /// Whether nothing stands between two spans of one line.
    fn adjoin(&self, first: Span, second: Span) -> bool {
        let both = self.sources.text(first).len() + self.sources.text(second).len();
        self.sources.text(first.to(second)).len() == both
    }

    fn hosts(&mut self, span: Span, rule: Rule) {
        self.swallowed(span, rule, "hostgroup", "host names");
        let words = self.words(span);
        if let State::Hostgroup(group) = &mut self.state {
            group.hosts.extend(words);
        }
    }

    fn alias(&mut self, line: &Line) {
        let [Some(name), _] = line.parts else {
            unreachable!("the grammar gives an alias a name");
        };
        let lines = Vec::new();
        self.open(State::Alias(Alias { name, lines }));
    }

    fn alias_text(&mut self, span: Span, rule: Rule) {
        if !matches!(rule, Rule::view | Rule::section) {
            self.swallowed(span, rule, "alias", "its text");
        }
        if let State::Alias(alias) = &mut self.state {
            alias.lines.push(span);
        }
    }

    fn view(&mut self, line: &Line) {
        let [Some(name), Some(rest)] = line.parts else {
            unreachable!("the grammar gives a view a name and a rest");
        };
        let members = self.words(rest);
        self.open(State::View(View { name, members }));
    }

    fn members(&mut self, span: Span, rule: Rule) {
        self.swallowed(span, rule, "view", "members");
        let words = self.words(span);
        if let State::View(view) = &mut self.state {
            view.members.extend(words);
        }
    }

    /// C-5: a record that begins without a blank line before it belongs to the one above.
    fn swallowed(&mut self, span: Span, rule: Rule, record: &str, what: &str) {
        // "include" alone may be a host; with a path behind it, it is hardly one.
        let swallows = matches!(rule, Rule::watch | Rule::view | Rule::alias | Rule::section)
            || self.is_empty_view(span)
            || rule == Rule::include && self.sources.text(span).contains(['/', '.']);
        if swallows {
            let line = self.sources.text(span);
            let message = format!("\"{line}\" is taken as {what} of the {record} above it");
            self.warn(span, message, "put a blank line before it");
        }
    }

    /// Whether the line is a view without members, which opens no record.
    fn is_empty_view(&self, span: Span) -> bool {
        let behind = self.sources.text(span).strip_prefix("view");
        behind.is_some_and(|rest| {
            rest.starts_with(is_blank) && keywords::is_name(rest.trim_matches(is_blank))
        })
    }

    fn watch(&mut self, span: Span, line: &Line) {
        let [Some(name), Some(rest)] = line.parts else {
            unreachable!("the grammar gives a watch a name and a rest");
        };
        if !rest.is_empty() {
            let text = self.sources.text(rest);
            let message = format!("\"{text}\" after the name of the watch is ignored");
            self.warn(rest, message, "a watch has one name, that of a hostgroup");
        }
        debug_assert!(!span.is_empty());
        let services = Vec::new();
        self.open(State::Watch(Watch { name, services }));
    }

    fn include(&mut self, line: &Line) {
        let [Some(path), _] = line.parts else {
            unreachable!("the grammar gives an include a path");
        };
        self.items.push(Item::Include(Include { path }));
    }

    fn environment(&mut self, line: &Line) {
        let [Some(name), Some(value)] = line.parts else {
            unreachable!("the grammar gives a variable a name and a value");
        };
        match self.service() {
            Some(service) => service.environment.push(Environment { name, value }),
            None => {
                let help = "write it behind the \"service\" line it belongs to";
                let message = "environment variable defined without a service";
                self.error(name, message, Some(help.to_owned()));
            }
        }
    }

    fn service(&mut self) -> Option<&mut Service> {
        match &mut self.state {
            State::Watch(watch) => watch.services.last_mut(),
            State::Top { .. }
            | State::Hostgroup(_)
            | State::Alias(_)
            | State::View(_)
            | State::Section(_) => None,
        }
    }

    fn statement(&mut self, span: Span, line: &Line) {
        let [Some(keyword), Some(argument)] = line.parts else {
            unreachable!("the grammar gives a statement a keyword and an argument");
        };
        let word = self.sources.text(keyword);
        if word == "service" {
            let State::Watch(watch) = &mut self.state else {
                unreachable!("statements are read in a watch only");
            };
            watch.services.push(Service {
                name: argument,
                statements: Vec::new(),
                environment: Vec::new(),
                periods: Vec::new(),
            });
            return;
        }
        let level = keywords::level(word);
        if self.service().is_none() {
            self.needs_service(span, keyword, level);
            return;
        }
        if word == "period" {
            self.period(argument);
            return;
        }
        let statement = Statement { keyword, argument };
        let Some(service) = self.service() else {
            unreachable!("looked at a few lines above");
        };
        match (level, service.periods.last_mut()) {
            (Some(Level::Service), None) => service.statements.push(statement),
            (Some(Level::Period), Some(period)) => period.statements.push(statement),
            (level, _) => self.unknown(&statement, level),
        }
    }

    fn needs_service(&mut self, span: Span, keyword: Span, level: Option<Level>) {
        if level.is_none() {
            self.unknown_word(keyword, Span::behind(span), "here");
            return;
        }
        let message = format!(
            "need to specify service before \"{}\"",
            self.sources.text(keyword)
        );
        self.error(
            keyword,
            message,
            Some("write \"service NAME\" above it".to_owned()),
        );
    }

    fn period(&mut self, argument: Span) {
        let text = self.sources.text(argument);
        let mut period = Period {
            label: None,
            specification: argument,
            statements: Vec::new(),
        };
        let parsed = Grammar::parse(Rule::period, text)
            .ok()
            .and_then(|mut pairs| pairs.next());
        for part in parsed.into_iter().flat_map(Pair::into_inner) {
            if part.as_rule() == Rule::label {
                period.label = Some(part_of(argument, &part));
            } else if part.as_rule() == Rule::rest {
                period.specification = part_of(argument, &part);
            }
        }
        if let Some(service) = self.service() {
            service.periods.push(period);
        }
    }

    fn unknown(&mut self, statement: &Statement, level: Option<Level>) {
        let Statement { keyword, argument } = *statement;
        let in_period = self.period_name();
        let word = self.sources.text(keyword);
        match (level, in_period) {
            (Some(Level::Service), Some(period)) => {
                let message = format!("\"{word}\" belongs to the service, not to period {period}");
                let help = "write it above the first \"period\" of the service";
                self.error(keyword, message, Some(help.to_owned()));
            }
            (Some(Level::Period), None) => {
                let message = format!("\"{word}\" belongs to a period");
                let help = "write a \"period\" line above it; one without times means always";
                self.error(keyword, message, Some(help.to_owned()));
            }
            (_, Some(period)) => {
                self.unknown_word(keyword, argument, &format!("in period {period}"));
            }
            (_, None) => {
                let service = self.service().map(|service| service.name);
                let name = service.map_or("", |name| self.sources.text(name));
                self.unknown_word(keyword, argument, &format!("in service \"{name}\""));
            }
        }
    }

    /// The open period as messages name it.
    fn period_name(&mut self) -> Option<String> {
        let service = self.service()?;
        let period = service.periods.last()?;
        let name = period.label.unwrap_or(period.specification);
        Some(match self.sources.text(name) {
            "" => "of all times".to_owned(),
            name => format!("\"{name}\""),
        })
    }

    fn unknown_word(&mut self, keyword: Span, argument: Span, place: &str) {
        let word = self.sources.text(keyword);
        let argument = self.sources.text(argument);
        let message = format!("unknown keyword \"{word}\" {place}");
        let help = if let Some(value) = argument.strip_prefix('=') {
            let value = value.trim_start();
            if keywords::is_global(word) {
                Some("settings stand outside of a watch, after a blank line".to_owned())
            } else if word
                .bytes()
                .all(|b| b.is_ascii_uppercase() || b == b'_' || b.is_ascii_digit())
            {
                Some(format!(
                    "variables are written without blanks: {word}={value}"
                ))
            } else {
                Some("settings stand outside of a watch, variables are in capitals".to_owned())
            }
        } else if keywords::RECORDS.contains(&word) {
            Some(record_help(word, argument))
        } else if keywords::is_of_section(word) {
            Some("it belongs into a \"virtual\" section".to_owned())
        } else {
            nearest(word, keywords::in_watch()).map(|known| format!("did you mean \"{known}\"?"))
        };
        self.error(keyword, message, help);
    }

    /// C-4, C-6: text that mon ignores.
    fn lost(&mut self, span: Span, after: Option<Ended>) {
        let text = self.sources.text(span);
        let word = text.split(is_blank).next().unwrap_or_default();
        let level = keywords::level(word);
        match (after, level) {
            (Some(Ended::Section(name)), _) if keywords::is_of_section(word) => {
                self.behind_section(span, name);
                return;
            }
            (Some(Ended::Watch(watch)), Some(_)) => {
                let name = self.sources.text(watch);
                let message = format!("\"{word}\" is ignored: a blank line ended watch \"{name}\"");
                self.warn(span, message, "remove the blank line above");
                return;
            }
            (Some(Ended::Watch(_) | Ended::Section(_)) | None, _) => {}
        }
        if self.is_misspelt_section(word, text) {
            let message = format!("unknown record \"{word}\"");
            self.error(span, message, Some("did you mean \"virtual\"?".to_owned()));
            return;
        }
        let shown: String = text.chars().take(60).collect();
        let message = format!("\"{shown}\" is ignored: it belongs to no record");
        let help = match level {
            Some(_) => "it belongs into a watch".to_owned(),
            None if keywords::is_of_section(word) => {
                "it belongs into a \"virtual\" section".to_owned()
            }
            None => record_help(word, text.get(word.len()..).unwrap_or_default()),
        };
        self.warn(span, message, help);
    }

    fn words(&self, span: Span) -> Vec<Span> {
        words(self.sources, span)
    }

    fn error(&mut self, span: Span, message: impl Into<String>, help: Option<String>) {
        let mut error = Diagnostic::error(message).at(self.sources.place(span));
        if let Some(help) = help {
            error = error.with_help(help);
        }
        self.out.push(error);
    }

    fn warn(&mut self, span: Span, message: impl Into<String>, help: impl Into<String>) {
        let place = self.sources.place(span);
        self.out
            .push(Diagnostic::warning(message).with_help(help).at(place));
    }
}

/// What is right instead of a line that begins as a record and is none, or as no record.
fn record_help(word: &str, rest: &str) -> String {
    let name = rest.trim_matches(is_blank);
    match word {
        "view" if keywords::is_name(name) => {
            format!("a view needs members behind its name: view {name} GROUP...")
        }
        "alias" if !name.is_empty() => {
            "the name of an alias stands alone on its line, its text below".to_owned()
        }
        "virtual" => "write it outside of a watch, after a blank line".to_owned(),
        "include" if name.is_empty() => {
            "write the name of a file or of a folder behind it".to_owned()
        }
        "include" => "write it outside of a watch, after a blank line".to_owned(),
        _ if keywords::RECORDS.contains(&word) => {
            format!("\"{word}\" needs a name of letters, digits, \"_\", \".\" and \"-\"")
        }
        _ => nearest(word, keywords::RECORDS).map_or_else(
            || "remove it, or begin it with \"#\"".to_owned(),
            |known| format!("did you mean \"{known}\"?"),
        ),
    }
}

/// Where a part of a line stands.
pub(crate) fn part_of(line: Span, part: &Pair<'_, Rule>) -> Span {
    let span = part.as_span();
    line.part(span.start(), span.end())
}

/// The words of a span, split at white space only.
pub(crate) fn words(sources: &Sources, span: Span) -> Vec<Span> {
    let text = sources.text(span);
    let mut found = Vec::new();
    let mut rest = text;
    loop {
        rest = rest.trim_start_matches(is_blank);
        if rest.is_empty() {
            return found;
        }
        let start = text.len() - rest.len();
        let length = rest.find(is_blank).unwrap_or(rest.len());
        found.push(span.part(start, start + length));
        rest = &rest[length..];
    }
}
