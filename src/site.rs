//! What the configuration needs from this machine: files, m4, includes, programs in the search
//! path.

use std::path::{Path, PathBuf};

use crate::config::Diagnostic;
use crate::model::Model;

/// What the command line says beside the file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LoadOptions {
    /// Read the file through this command (mon's `-M`); a name that ends in `.m4` is read through
    /// `m4` anyway.
    pub m4: Option<String>,
    /// Instead of the file's `basedir`.
    pub basedir: Option<PathBuf>,
    /// Instead of the file's `cfbasedir`.
    pub cfbasedir: Option<PathBuf>,
    /// Instead of the file's `statedir`.
    pub statedir: Option<PathBuf>,
    /// Instead of the file's `logdir`.
    pub logdir: Option<PathBuf>,
    /// Instead of the file's `mondir`; folders separated by colons.
    pub mondir: Option<String>,
    /// Instead of the file's `alertdir`; folders separated by colons.
    pub alertdir: Option<String>,
}

/// A configuration that can be used.
#[derive(Clone, Debug, PartialEq)]
pub struct Loaded {
    /// What it means.
    pub model: Model,
    /// What hardly means what was written, sorted by place.
    pub warnings: Vec<Diagnostic>,
    /// What each monitor's and alert's name became, sorted by kind and name.
    pub programs: Vec<Resolution>,
}

/// What a name of the file became on this machine [D1].
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Resolution {
    /// Where it is named.
    pub kind: ProgramKind,
    /// As written, such as `http.monitor`.
    pub name: String,
    /// What it became.
    pub became: Became,
    /// Why.
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

/// Reads a configuration with everything it needs from this machine.
///
/// # Errors
///
/// All mistakes of the file and of the files it includes.
pub fn load(path: &Path, options: &LoadOptions) -> Result<Loaded, Vec<Diagnostic>> {
    let _ = (path, options);
    Err(vec![Diagnostic::error("not built yet")])
}
