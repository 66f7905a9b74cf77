//! What each monitor's and alert's name became on this machine (D1).
//!
//! The first folder of the search path that has an executable of the name decides. A file that
//! is byte for byte one of our stand-ins is the built-in; where there is no file, the built-in
//! of that name is. `lvs.alert` and `ipvs.alert` are built in whatever stands in `alertdir`,
//! because the script the HOWTO puts there loses servers; `external_lvs_alert` gives it back.

use std::fs::{self, Metadata};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use nix::unistd::{AccessFlags, access};

use crate::config::Needs;
use crate::config::programs::{Became, ProgramKind, Programs, Resolution};
use crate::model::Globals;
use crate::options::{AlertOptions, MonitorOptions, Runs};

/// The alerts that decide over the table.
const TABLE_ALERTS: [&str; 2] = ["lvs.alert", "ipvs.alert"];

/// Where distributions and people put check plugins; the folders of `PATH` come last.
const PLUGIN_FOLDERS: [&str; 4] = [
    "/usr/lib/nagios/plugins",
    "/usr/lib64/nagios/plugins",
    "/usr/libexec/monitoring-plugins",
    "/usr/local/lib/nagios/plugins",
];

/// Looks up one program, as if the configuration named it.
pub(super) fn look_up_one(kind: ProgramKind, name: &str, globals: &Globals) -> Resolution {
    let (became, why) = resolve(kind, name, globals);
    Resolution {
        kind,
        name: name.to_owned(),
        became,
        why,
    }
}

/// Looks up every program that the configuration names.
pub(super) fn look_up(needs: &Needs) -> Programs {
    let mut programs = Programs::default();
    for (kind, name) in &needs.programs {
        programs.insert(look_up_one(*kind, name, &needs.globals));
    }
    for runs in &needs.runs {
        if let Some(why) = against_running(runs) {
            programs.hinder(runs.clone(), why);
        }
    }
    programs
}

/// Why a built-in monitor cannot run this; none where nothing is known against it, as of a folder
/// into which whoever asks may not look.
fn against_running(runs: &Runs) -> Option<String> {
    let found = match runs {
        Runs::Program(path) => Ok(path.clone()),
        Runs::Plugin { name, folder } => find_plugin(name, folder.as_deref()),
    };
    let path = match found {
        Ok(path) => path,
        Err(why) => return Some(why),
    };
    match fs::metadata(&path) {
        Ok(file) => against_executing(&path, &file),
        Err(error) if error.kind() == ErrorKind::NotFound => Some(no_file(&path)),
        Err(_) => None,
    }
}

/// The check plugin of that name: as it stands where it has a `/`, else the first in the folders.
pub(crate) fn find_plugin(name: &str, folder: Option<&Path>) -> Result<PathBuf, String> {
    if name.contains('/') {
        return Ok(PathBuf::from(name));
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    let own = folder.map(Path::to_owned).into_iter();
    let usual = PLUGIN_FOLDERS.iter().map(PathBuf::from);
    let mut files = own
        .chain(usual)
        .chain(std::env::split_paths(&path))
        .map(|folder| folder.join(name));
    files.find(|file| file.is_file()).ok_or_else(|| {
        format!(
            "there is no plugin {name} in {} or PATH; name its folder with -d",
            PLUGIN_FOLDERS.join(", ")
        )
    })
}

/// What keeps a thing that is there from being executed.
fn against_executing(path: &Path, file: &Metadata) -> Option<String> {
    if !file.is_file() {
        Some(format!("{} is not a file", path.display()))
    } else if access(path, AccessFlags::X_OK).is_err() {
        Some(format!("{} may not be executed", path.display()))
    } else {
        None
    }
}

fn no_file(path: &Path) -> String {
    format!("there is no file {}", path.display())
}

fn resolve(kind: ProgramKind, name: &str, globals: &Globals) -> (Became, String) {
    let (folders, setting) = match kind {
        ProgramKind::Monitor => (&globals.mondir, "mondir"),
        ProgramKind::Alert => (&globals.alertdir, "alertdir"),
    };
    let found = find(name, folders);
    if kind == ProgramKind::Alert && TABLE_ALERTS.contains(&name) {
        return table_alert(found, globals.external_lvs_alert, setting);
    }
    let stand_in = stand_in(kind, name);
    match found {
        Found::Program(path) => match stand_in {
            Some(bytes) if is_same(&path, bytes) => {
                let why = format!("built in; {} is its stand-in", path.display());
                (Became::BuiltIn, why)
            }
            Some(_) => {
                let why = format!("this file wins over the built-in {name}");
                (Became::Executable(path), why)
            }
            None => (Became::Executable(path), format!("found in {setting}")),
        },
        Found::Nothing { hindrance } => match (stand_in, hindrance) {
            (Some(_), None) => {
                let why = format!("built in; no file of that name in {setting}");
                (Became::BuiltIn, why)
            }
            (Some(_), Some(hindrance)) => (Became::BuiltIn, format!("built in; {hindrance}")),
            (None, Some(hindrance)) => (Became::Missing, hindrance),
            (None, None) => (Became::Missing, nowhere(folders, setting)),
        },
    }
}

fn table_alert(found: Found, is_external: bool, setting: &str) -> (Became, String) {
    match (is_external, found) {
        (true, Found::Program(path)) => (
            Became::Executable(path),
            "external_lvs_alert asks for it".to_owned(),
        ),
        (true, Found::Nothing { hindrance }) => {
            let reason = hindrance.unwrap_or_else(|| format!("no such file in {setting}"));
            let why = format!("external_lvs_alert asks for a program, but {reason}");
            (Became::Missing, why)
        }
        (false, Found::Program(path)) => {
            let why = format!("built in, always; {} is not used", path.display());
            (Became::BuiltIn, why)
        }
        (false, Found::Nothing { .. }) => (Became::BuiltIn, "built in, always".to_owned()),
    }
}

fn nowhere(folders: &[PathBuf], setting: &str) -> String {
    let folders: Vec<String> = folders
        .iter()
        .map(|folder| match folder.is_dir() {
            true => folder.display().to_string(),
            false => format!("{} (no such folder)", folder.display()),
        })
        .collect();
    format!("no such file in {setting}: {}", folders.join(", "))
}

/// The bytes of our stand-in for a built-in; none where there is no built-in of that name.
fn stand_in(kind: ProgramKind, name: &str) -> Option<&'static [u8]> {
    let all: &[(&str, &'static [u8])] = match kind {
        ProgramKind::Monitor => &MonitorOptions::STAND_INS,
        ProgramKind::Alert => &AlertOptions::STAND_INS,
    };
    all.iter()
        .find(|(known, _)| *known == name)
        .map(|&(_, bytes)| bytes)
}

fn is_same(path: &Path, bytes: &[u8]) -> bool {
    let is_as_long = fs::metadata(path).is_ok_and(|file| file.len() == bytes.len() as u64);
    is_as_long && fs::read(path).is_ok_and(|found| found == bytes)
}

/// What the search path holds.
enum Found {
    /// A program that may be executed.
    Program(PathBuf),
    /// None; there may be something of that name that cannot be executed.
    Nothing { hindrance: Option<String> },
}

/// The first executable of that name. An absolute name is looked up as it stands, which is ours
/// (C-24).
fn find(name: &str, folders: &[PathBuf]) -> Found {
    let mut hindrance = None;
    let absolute = Path::new(name).is_absolute().then(|| PathBuf::from(name));
    let relative = folders
        .iter()
        .filter(|_| absolute.is_none())
        .map(|folder| folder.join(name));
    for path in absolute.iter().cloned().chain(relative) {
        let Ok(file) = fs::metadata(&path) else {
            continue;
        };
        match against_executing(&path, &file) {
            Some(why) => {
                hindrance.get_or_insert(why);
            }
            None => return Found::Program(path),
        }
    }
    if let (Some(path), None) = (absolute, &hindrance) {
        hindrance = Some(no_file(&path));
    }
    Found::Nothing { hindrance }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plugin_with_a_path_is_taken_as_it_stands() {
        assert_eq!(
            find_plugin("./check_x", None).unwrap(),
            Path::new("./check_x")
        );
        let why = find_plugin("check_no_such", None).unwrap_err();
        assert!(why.contains("-d"), "{why}");
    }
}
