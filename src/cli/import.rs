//! `lvsmon import`: the mon.cf that says what ldirectord.cf or keepalived.conf says.
//!
//! The text goes to standard output or to a file, remarks to standard error. Exit code: 0 all of
//! it is said, 1 some of it has no equivalent and the rest is written, 2 wrong usage, 3 nothing is
//! written: the file cannot be read, nothing of it can be imported, or there is no room for it.

use std::fs::{self, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{MetadataExt as _, chown};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, ValueEnum};

use crate::cli::Outcome;
use crate::cli::misuse::misused;
use crate::cli::output::{Form, Output, complain};
use crate::folder;
use crate::import::{self, Format, Include, Reading, Refused, Remark, TEXT_MAX};
use crate::regular_file;
use crate::text::counted;
use crate::text::one_line;

/// Some of it has no equivalent.
const INCOMPLETE: u8 = 1;

/// It cannot be read, nothing of it can be imported, or the text cannot be written.
const NOTHING_WRITTEN: u8 = 3;

/// Files that one `include` may name: a folder with one for each virtual server.
const INCLUDED_MAX: usize = 5_000;

/// Write the mon.cf that says what ldirectord.cf or keepalived.conf says
#[derive(Debug, Args)]
#[command(
    after_help = "Exit status: 0 all of it is said, 1 some of it has no equivalent (the rest \
    is written), 2 wrong usage, 3 nothing is written: the file cannot be read or imported, or the \
    text cannot be written. What has no equivalent stands on standard error and as comments in \
    the text."
)]
pub(super) struct ImportArgs {
    /// ldirectord.cf or keepalived.conf
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Where the text goes instead of standard output
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Write over a file that is there
    #[arg(long, requires = "output")]
    force: bool,
    /// Whose file it is, where its words do not tell
    #[arg(long, value_name = "PROGRAM", value_enum)]
    from: Option<From>,
    /// Which lines of keepalived.conf count that begin with @, as keepalived -i has it
    #[arg(long, value_name = "NAME")]
    id: Option<String>,
}

/// Whose file it is.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum From {
    Ldirectord,
    Keepalived,
}

pub(super) fn import(args: &ImportArgs, out: &mut Output) -> Outcome {
    if let Some(path) = &args.output
        && !args.force
        && path.symlink_metadata().is_ok()
    {
        let path = path.display();
        let why = format!("{path} is there already; --force writes over it");
        return Ok(misused("import", Form::Text, &why));
    }
    let name = args.file.display().to_string();
    let bytes = match read(&args.file) {
        Ok(bytes) => bytes,
        Err(error) => {
            complain(&format!("lvsmon import: {name} cannot be read: {error}"));
            return Ok(ExitCode::from(NOTHING_WRITTEN));
        }
    };
    let reading = Reading {
        format: args.from.map(|from| match from {
            From::Ldirectord => Format::Ldirectord,
            From::Keepalived => Format::Keepalived,
        }),
        config_id: args.id.clone(),
    };
    let imported = match import::import(&reading, &name, &bytes, &mut included) {
        Ok(imported) => imported,
        Err(refused) => {
            if let Refused::Empty { remarks, unsaid } = &refused {
                say(remarks, *unsaid);
            }
            complain(&format!("lvsmon import: {name}: {refused}"));
            return Ok(ExitCode::from(NOTHING_WRITTEN));
        }
    };
    say(&imported.remarks, imported.unsaid);
    let text = &imported.text;
    let (written, name) = match &args.output {
        Some(path) => (write(path, args.force, text), path.display().to_string()),
        None => {
            let written = out.bytes(text.as_bytes()).and_then(|()| out.flush());
            (written, "standard output".to_owned())
        }
    };
    match written {
        Ok(()) => {}
        // Not an error of ours; who calls knows of it.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => return Err(error.into()),
        Err(error) => {
            complain(&format!("lvsmon import: {name} cannot be written: {error}"));
            return Ok(ExitCode::from(NOTHING_WRITTEN));
        }
    }
    Ok(if imported.is_complete() {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(INCOMPLETE)
    })
}

fn say(remarks: &[Remark], unsaid: usize) {
    for remark in remarks {
        complain(&remark.to_string());
    }
    if unsaid > 0 {
        complain(&format!("and {}", counted(unsaid, "more remark")));
    }
}

/// A file, one byte more than is read of any at most.
fn read(path: &Path) -> io::Result<Vec<u8>> {
    let limit = u64::try_from(TEXT_MAX).unwrap_or(u64::MAX);
    let mut bytes = Vec::new();
    regular_file::open(path)?
        .take(limit.saturating_add(1))
        .read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// All of the text under that name, or nothing: it is written beside it first. What is no plain
/// file, `/dev/stdout` say, is written to.
fn write(path: &Path, is_forced: bool, text: &str) -> io::Result<()> {
    let found = fs::metadata(path).ok();
    if found.as_ref().is_some_and(|it| !it.is_file()) {
        let mut file = OpenOptions::new().write(true).open(path)?;
        return file.write_all(text.as_bytes());
    }
    // Behind a symbolic link stands the file that is meant.
    let path = match found {
        Some(_) => fs::canonicalize(path)?,
        None => path.to_owned(),
    };
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{}.new", std::process::id()));
    let new = PathBuf::from(name);
    let mut file = OpenOptions::new().write(true).create_new(true).open(&new)?;
    let written = file.write_all(text.as_bytes()).and_then(|()| {
        if let Some(found) = &found {
            file.set_permissions(found.permissions())?;
            // Where that is not allowed it becomes ours, as that of an editor does.
            let _ = chown(&new, Some(found.uid()), Some(found.gid()));
        }
        file.sync_all()?;
        if is_forced {
            return fs::rename(&new, &path);
        }
        // Unlike a rename it refuses a name that came up meanwhile.
        match fs::hard_link(&new, &path) {
            Ok(()) => fs::remove_file(&new),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Err(error),
            // Not every file system has links.
            Err(_) => fs::rename(&new, &path),
        }
    });
    if written.is_err() {
        let _ = fs::remove_file(&new);
    }
    written?;
    // It is there; a folder that may be written and not read only has its name later on disk.
    let folder = path.parent().filter(|it| !it.as_os_str().is_empty());
    let _ = folder::sync(folder.unwrap_or(Path::new(".")));
    Ok(())
}

/// The files of an `include`: relative to the folder of the file that includes, with `*` and `?`
/// in the last part of the name.
fn included(include: &Include) -> Result<Vec<(String, Vec<u8>)>, String> {
    let folder = Path::new(&*include.from)
        .parent()
        .filter(|it| !it.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    let path = folder.join(&include.pattern);
    let name = path
        .file_name()
        .map(|name| name.to_string_lossy().into_owned());
    let name = name.ok_or("it names no file")?;
    let parent = path.parent().unwrap_or(Path::new("."));
    if parent.to_string_lossy().contains(['*', '?', '{', '[']) || name.contains(['{', '[']) {
        return Err("only * and ? in the name of the file itself are followed".to_owned());
    }
    let mut paths = Vec::new();
    if name.contains(['*', '?']) {
        let entries = fs::read_dir(parent).map_err(|error| error.to_string())?;
        for entry in entries {
            let entry = entry.map_err(|error| error.to_string())?;
            let found = entry.file_name().to_string_lossy().into_owned();
            if fits(&name, &found) && entry.path().is_file() {
                paths.push(entry.path());
            }
        }
        paths.sort();
    } else {
        paths.push(path);
    }
    if paths.len() > INCLUDED_MAX {
        return Err(format!("more than {INCLUDED_MAX} files"));
    }
    let read = |path: &PathBuf| {
        let name = one_line(&path.display().to_string());
        let bytes = read(path).map_err(|error| format!("{name} cannot be read: {error}"))?;
        Ok((name, bytes))
    };
    paths.iter().map(read).collect()
}

/// Whether a name fits a pattern of `*` and `?`, as a shell has it: not a hidden file unless the
/// pattern begins with a dot.
fn fits(pattern: &str, name: &str) -> bool {
    if name.starts_with('.') && !pattern.starts_with('.') {
        return false;
    }
    // The states a reader of the pattern can be in, one letter of the name after the other.
    let pattern: Vec<char> = pattern.chars().collect();
    let mut places = vec![false; pattern.len() + 1];
    let spread = |places: &mut Vec<bool>| {
        for (at, letter) in pattern.iter().enumerate() {
            if *letter == '*' && places.get(at) == Some(&true) {
                places[at + 1] = true;
            }
        }
    };
    places[0] = true;
    spread(&mut places);
    for letter in name.chars() {
        let mut next = vec![false; places.len()];
        for (at, wanted) in pattern.iter().enumerate() {
            if places.get(at) != Some(&true) {
                continue;
            }
            match wanted {
                '*' => next[at] = true,
                '?' => next[at + 1] = true,
                wanted => next[at + 1] |= *wanted == letter,
            }
        }
        places = next;
        spread(&mut places);
    }
    places.last() == Some(&true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_fit_patterns_as_in_a_shell() {
        for (pattern, name, expected) in [
            ("*", "a.conf", true),
            ("*", ".hidden", false),
            ("*.conf", "a.conf", true),
            ("*.conf", "a.conf.bak", false),
            ("a?c", "abc", true),
            ("a?c", "ac", false),
            ("*a*b*", "xxaxxbxx", true),
            ("**", "", true),
            ("a", "b", false),
        ] {
            assert_eq!(fits(pattern, name), expected, "{pattern} {name}");
        }
    }
}
