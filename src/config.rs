//! How mon.cf is read: text in, a [`crate::model::Model`] or all mistakes out.
//!
//! | Step | File |
//! |---|---|
//! | physical lines to logical lines, with the place of every byte | `lines` |
//! | a logical line to words and values | `statement.pest` |
//! | logical lines to a tree of records | `syntax` |
//! | which words there are, and which of them have an effect yet | `keywords` |
//! | the words of a `monitor` or `alert` line, as a shell splits them | `words` |
//! | what the names of monitors and alerts became | `programs` |
//! | the tree to a Model: every default, every rule | `check` |
//! | how a mistake is shown | `diagnostic` |
//!
//! Pure. What the machine has to say (files, m4, programs) comes in as values from
//! [`crate::site`].

mod check;
pub mod diagnostic;
mod keywords;
pub(crate) mod lines;
pub mod programs;
pub(crate) mod syntax;
mod words;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

pub use diagnostic::{Diagnostic, Place, Severity};

pub use check::globals::{Defaults, Overrides};
pub(crate) use check::is_possible_name;

use crate::config::check::globals;
use crate::config::diagnostic::Findings;
use crate::config::lines::{Sources, Span};
use crate::config::programs::{Became, ProgramKind, Programs, Resolution};
use crate::config::syntax::Item;
use crate::model::{Globals, Model, MonitorUser};
use crate::options::{AlertOptions, MonitorOptions, Runs};

/// The records of a configuration, from one file or several, and what was noticed so far.
#[derive(Debug, Default)]
pub struct Document {
    pub(crate) sources: Sources,
    pub(crate) items: Vec<Item>,
    pub(crate) diagnostics: Findings,
}

/// What a configuration asks of the machine before it can be checked.
#[derive(Clone, Debug, PartialEq)]
pub struct Needs {
    /// The settings, for the search paths.
    pub globals: Globals,
    /// The user that `monitor_user` names.
    pub monitor_user: Option<String>,
    /// The programs that are named.
    pub programs: BTreeSet<(ProgramKind, String)>,
    /// What built-in monitors are told to run.
    pub runs: BTreeSet<Runs>,
}

impl Needs {
    /// The files that have to be readable where they are named.
    #[must_use]
    pub fn files(&self) -> [&Path; 2] {
        [&self.globals.auth.authfile, &self.globals.auth.userfile]
    }
}

impl Document {
    /// Takes a file apart. Its records are returned, not yet part of the document, because an
    /// `include` among them stands for the records of other files.
    pub(crate) fn read(&mut self, name: &str, bytes: &[u8]) -> Result<Vec<Item>, Diagnostic> {
        let lines = self.sources.add(name, bytes, &mut self.diagnostics)?;
        Ok(syntax::parse(&self.sources, &lines, &mut self.diagnostics))
    }

    /// Adds an error at a place.
    pub(crate) fn error(&mut self, span: Span, message: String, help: &str) {
        let error = Diagnostic::error(message).with_help(help);
        self.diagnostics.push(error.at(self.sources.place(span)));
    }

    /// Where each host, in small letters, first stands: as the member of a hostgroup, or in a
    /// `virtual` section.
    #[must_use]
    pub fn hosts(&self) -> BTreeMap<String, Place> {
        let mut words: Vec<(&str, Span)> = Vec::new();
        for item in &self.items {
            match item {
                Item::Hostgroup(group) => words.extend(group.hosts.iter().map(|&span| {
                    let word = self.sources.text(span);
                    (word.strip_prefix('*').unwrap_or(word), span)
                })),
                Item::Section(section) => {
                    for line in &section.statements {
                        if matches!(self.sources.text(line.keyword), "real" | "fallback") {
                            let argument = self.sources.text(line.argument);
                            let word = argument.split_whitespace().next().unwrap_or_default();
                            let host = word.split_once(':').map_or(word, |(host, _)| host);
                            words.push((host, line.argument));
                        }
                    }
                }
                Item::Global(_)
                | Item::Alias(_)
                | Item::View(_)
                | Item::Watch(_)
                | Item::Include(_) => {}
            }
        }
        let mut hosts = BTreeMap::new();
        for (word, span) in words {
            let place = || self.sources.place(span);
            hosts.entry(word.to_ascii_lowercase()).or_insert_with(place);
        }
        hosts
    }

    /// What the machine is asked for.
    #[must_use]
    pub fn needs(&self, defaults: &Defaults) -> Needs {
        Needs {
            globals: globals::read(
                &self.sources,
                &self.items,
                defaults,
                &mut Findings::default(),
            ),
            monitor_user: self.monitor_user(),
            programs: check::commands::names(&self.sources, &self.items),
            runs: check::commands::runs(&self.sources, &self.items),
        }
    }

    /// As the last line says that sets it.
    fn monitor_user(&self) -> Option<String> {
        let mut lines = self.items.iter().rev().filter_map(|item| match item {
            Item::Global(global) => Some(global),
            Item::Hostgroup(_)
            | Item::Alias(_)
            | Item::View(_)
            | Item::Watch(_)
            | Item::Section(_)
            | Item::Include(_) => None,
        });
        let line = lines.find(|line| self.sources.text(line.name) == "monitor_user")?;
        Some(self.sources.text(line.value).to_owned())
    }

    /// What the configuration means, with its warnings.
    ///
    /// # Errors
    ///
    /// All mistakes, warnings among them, sorted by place.
    pub fn check(
        mut self,
        defaults: &Defaults,
        programs: &Programs,
    ) -> Result<(Model, Vec<Diagnostic>), Vec<Diagnostic>> {
        let mut found = std::mem::take(&mut self.diagnostics);
        let model = check::model(&self, defaults, programs, &mut found);
        if found.has_error() {
            Err(found.into_sorted())
        } else {
            Ok((model, found.into_sorted()))
        }
    }
}

/// Reads a configuration from a text, for tests and benches: built-in names are the built-ins,
/// every other program is taken to exist in the first folder of its path, and every user to be
/// one without rights.
///
/// # Errors
///
/// All mistakes of the text.
pub fn load_text(text: &str) -> Result<(Model, Vec<Diagnostic>), Vec<Diagnostic>> {
    load_bytes("mon.cf", text.as_bytes())
}

/// The same for bytes that may be no text at all; `name` is how messages call the file.
///
/// # Errors
///
/// All mistakes of the file.
pub fn load_bytes(name: &str, bytes: &[u8]) -> Result<(Model, Vec<Diagnostic>), Vec<Diagnostic>> {
    let mut document = Document::default();
    let items = document.read(name, bytes).map_err(|error| vec![error])?;
    for item in items {
        match item {
            Item::Include(include) => {
                let message = "include is not followed here".to_owned();
                document.error(include.path, message, "load the file, not its text");
            }
            item @ (Item::Global(_)
            | Item::Hostgroup(_)
            | Item::Alias(_)
            | Item::View(_)
            | Item::Watch(_)
            | Item::Section(_)) => document.items.push(item),
        }
    }
    let mut defaults = Defaults::default();
    let needs = document.needs(&defaults);
    defaults.monitor_user = needs.monitor_user.as_deref().map(assumed_user);
    document.check(&defaults, &assumed(&needs))
}

/// A user as it is on a machine that has everybody but those without a name.
fn assumed_user(name: &str) -> Result<MonitorUser, String> {
    /// The number of "nobody" on most machines.
    const NOBODY: u32 = 65_534;
    if name.is_empty() || name.contains(char::is_whitespace) {
        return Err("there is no such user".to_owned());
    }
    Ok(MonitorUser {
        name: name.into(),
        uid: NOBODY,
        gid: NOBODY,
        groups: vec![NOBODY],
        home: "/nonexistent".into(),
    })
}

/// Programs as they are on a machine that has everything.
fn assumed(needs: &Needs) -> Programs {
    let mut programs = Programs::default();
    for (kind, name) in &needs.programs {
        let (built_in, folders) = match kind {
            ProgramKind::Monitor => (&MonitorOptions::NAMES[..], &needs.globals.mondir),
            ProgramKind::Alert => (&AlertOptions::NAMES[..], &needs.globals.alertdir),
        };
        let became = match folders.first() {
            _ if built_in.contains(&name.as_str()) => Became::BuiltIn,
            Some(folder) => Became::Executable(folder.join(name)),
            None => Became::Missing,
        };
        programs.insert(Resolution {
            kind: *kind,
            name: name.clone(),
            became,
            why: "taken to be there".to_owned(),
        });
    }
    programs
}
