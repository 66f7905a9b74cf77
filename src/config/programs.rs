//! What the names of monitors and alerts became: values that [`crate::site`] finds out and
//! that the check puts into the Model.

use std::collections::BTreeMap;
use std::path::PathBuf;

use crate::options::Runs;

/// What a name of the file became on this machine (D1).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Resolution {
    /// Where it is named.
    pub kind: ProgramKind,
    /// As written, such as `http.monitor`.
    pub name: String,
    /// What it became.
    pub became: Became,
    /// Why, as a person should read it.
    pub why: String,
}

/// Where a program is named.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ProgramKind {
    /// `monitor NAME`
    Monitor,
    /// `alert NAME` and its relatives.
    Alert,
}

/// What a name became.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Became {
    /// The built-in of that name.
    BuiltIn,
    /// This program.
    Executable(PathBuf),
    /// Nothing.
    Missing,
}

/// What every name of a file became.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Programs {
    by_name: BTreeMap<(ProgramKind, String), Resolution>,
    /// What built-in monitors are told to run and cannot, and why.
    hindered: BTreeMap<Runs, String>,
}

impl Programs {
    /// Adds one.
    pub fn insert(&mut self, found: Resolution) {
        self.by_name.insert((found.kind, found.name.clone()), found);
    }

    /// This cannot be run.
    pub fn hinder(&mut self, runs: Runs, why: String) {
        self.hindered.insert(runs, why);
    }

    /// Why this cannot be run; none where nothing is known against it.
    #[must_use]
    pub fn hindrance(&self, runs: &Runs) -> Option<&str> {
        self.hindered.get(runs).map(String::as_str)
    }

    /// What the name became; none where nobody looked.
    #[must_use]
    pub fn get(&self, kind: ProgramKind, name: &str) -> Option<&Resolution> {
        self.by_name.get(&(kind, name.to_owned()))
    }

    /// All, sorted by kind and name.
    #[must_use]
    pub fn into_list(self) -> Vec<Resolution> {
        self.by_name.into_values().collect()
    }
}
