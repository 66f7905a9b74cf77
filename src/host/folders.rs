//! Who may write the programs that the daemon runs, and whether state can be written.

use std::collections::BTreeSet;
use std::fs::{self, Metadata};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use nix::unistd::{AccessFlags, access, geteuid};

use crate::host::{Finding, Needs, below};
use crate::model::MonitorUser;

/// Programs of one folder that are looked at; a folder with more is a mistake of its own.
const FILES_MAX: usize = 10_000;

pub(super) fn look(root: &Path, needs: &Needs) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut seen = BTreeSet::new();
    for (keyword, folder) in &needs.program_folders {
        findings.extend(program_folder(root, keyword, folder, &mut seen));
    }
    findings.push(state_folder(root, &needs.statedir));
    findings
}

/// One folder of programs: itself, everything above it, and the files in it.
fn program_folder(
    root: &Path,
    keyword: &str,
    folder: &Path,
    seen: &mut BTreeSet<PathBuf>,
) -> Vec<Finding> {
    let place = folder.display().to_string();
    // A link is followed: what counts is who may change what is at its end.
    let Ok(real) = fs::canonicalize(below(root, folder)) else {
        return vec![Finding::warning(
            format!("the {keyword} folder is missing"),
            place,
            "make it, or leave it out of the file; built-ins need no folder",
        )];
    };
    let mut findings = Vec::new();
    for part in real.ancestors().filter(|part| part.starts_with(root)) {
        if seen.insert(part.to_owned())
            && let Some(why) = unsafe_because(part)
        {
            findings.push(unsafe_finding(keyword, "folder", root, part, why));
        }
    }
    let files = fs::read_dir(&real).into_iter().flatten().flatten();
    for file in files.take(FILES_MAX) {
        let path = file.path();
        if path.is_file()
            && seen.insert(path.clone())
            && let Some(why) = unsafe_because(&path)
        {
            findings.push(unsafe_finding(keyword, "program", root, &path, why));
        }
    }
    if findings.is_empty() {
        findings.push(Finding::good(
            format!("only root and this user may change the programs of {keyword}"),
            place,
        ));
    }
    findings
}

/// Which of these programs that user cannot get to, or may not run: by owner, group and mode, as
/// an access control list is not looked at. What is missing is said elsewhere.
pub(super) fn closed_to(
    user: &MonitorUser,
    root: &Path,
    programs: &BTreeSet<PathBuf>,
) -> Vec<Finding> {
    let mut seen = BTreeSet::new();
    let mut findings = Vec::new();
    for program in programs {
        let written = below(root, program);
        let Ok(real) = fs::canonicalize(&written) else {
            continue;
        };
        // A link is followed through the folders above it, then through those above its end.
        let of = |path: &Path| -> Vec<PathBuf> {
            let parts = path
                .ancestors()
                .filter(|it| it.starts_with(root) && *it != root);
            parts.map(Path::to_owned).collect()
        };
        let mut parts: Vec<PathBuf> = of(&written).into_iter().rev().collect();
        parts.extend(of(&real).into_iter().rev());
        let closed = parts.into_iter().find(|part| !may_pass(user, part));
        if let Some(part) = closed.filter(|part| seen.insert(part.clone())) {
            findings.push(closed_finding(user, root, &part));
        }
    }
    findings
}

/// Whether the mode lets a user through a folder, or run a program; true where nobody can tell.
fn may_pass(user: &MonitorUser, path: &Path) -> bool {
    let Ok(found) = fs::metadata(path) else {
        return true;
    };
    let bit = if found.uid() == user.uid {
        0o100
    } else if found.gid() == user.gid || user.groups.contains(&found.gid()) {
        0o010
    } else {
        0o001
    };
    user.uid == 0 || found.permissions().mode() & bit != 0
}

fn closed_finding(user: &MonitorUser, root: &Path, part: &Path) -> Finding {
    let name = &user.name;
    let shown = part.strip_prefix(root).unwrap_or(part);
    let (what, advice) = if part.is_dir() {
        (
            format!("monitor_user {name} may not enter a folder of its monitors"),
            format!("chmod o+x, or give it to a group of {name}: no monitor below it can run"),
        )
    } else {
        (
            format!("monitor_user {name} may not run this monitor"),
            format!("chmod o+rx, or give it to a group of {name}"),
        )
    };
    Finding::problem(what, format!("/{}", shown.display()), advice)
}

fn unsafe_finding(keyword: &str, kind: &str, root: &Path, path: &Path, why: String) -> Finding {
    let shown = path.strip_prefix(root).unwrap_or(path);
    Finding::problem(
        format!("a {kind} of {keyword} is unsafe: {why}"),
        format!("/{}", shown.display()),
        "chmod go-w and chown root: whoever may write here becomes the daemon's user",
    )
}

/// Why others than root and we may change what is there; none where they may not.
fn unsafe_because(path: &Path) -> Option<String> {
    let found = fs::metadata(path).ok()?;
    let mode = found.permissions().mode();
    // In a sticky folder nobody may replace the files of others.
    let is_sticky_folder = found.is_dir() && mode & 0o1000 != 0;
    if mode & 0o002 != 0 && !is_sticky_folder {
        return Some("everybody may write it".to_owned());
    }
    if mode & 0o020 != 0 && found.gid() != 0 && !is_sticky_folder {
        return Some(format!("group {} may write it", found.gid()));
    }
    is_strange(&found).then(|| format!("it belongs to user {}", found.uid()))
}

fn is_strange(found: &Metadata) -> bool {
    found.uid() != 0 && found.uid() != geteuid().as_raw()
}

fn state_folder(root: &Path, statedir: &Path) -> Finding {
    let place = statedir.display().to_string();
    let path = below(root, statedir);
    match fs::metadata(&path) {
        Ok(found) if !found.is_dir() => Finding::problem(
            "the state folder is no folder",
            place,
            "move it away, or set statedir to another folder",
        ),
        Ok(_) if !may_write(&path) => Finding::problem(
            "the state folder cannot be written",
            place,
            "give it to the user of the daemon",
        ),
        Ok(_) => match unsafe_because(&path) {
            Some(why) => Finding::problem(
                format!("the state folder is unsafe: {why}"),
                place,
                "chmod go-w and chown it to the user of the daemon",
            ),
            None => Finding::good("the state folder can be written", place),
        },
        Err(_) => {
            let parent = path.ancestors().skip(1).find(|parent| parent.exists());
            if parent.is_some_and(may_write) {
                Finding::good("the state folder will be made", place)
            } else {
                Finding::problem(
                    "the state folder is missing and cannot be made",
                    place,
                    "make it and give it to the user of the daemon",
                )
            }
        }
    }
}

fn may_write(path: &Path) -> bool {
    access(path, AccessFlags::W_OK | AccessFlags::X_OK).is_ok()
}
