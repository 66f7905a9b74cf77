//! Files, m4 and includes: a configuration's records from the disk.

use std::fs::{self, Metadata};
use std::io::{self, ErrorKind, Read};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

use crate::config::lines::{SOURCE_MAX, Span};
use crate::config::syntax::Item;
use crate::config::{Diagnostic, Document};
use crate::environment::FOR_THE_DAEMON;
use crate::regular_file::{self, NotRegular};
use crate::site::LoadOptions;

/// Files inside files: deeper than any sane layout, short of any stack.
const DEPTH_MAX: usize = 16;

/// So many looks make 30 s: m4 expands a mon.cf in milliseconds; one that waits for something
/// waits for ever.
const M4_LOOKS: u32 = 300;

/// Between two looks whether somebody still waits for m4: a stop is delayed by less than anybody
/// notices.
const M4_LOOK: Duration = Duration::from_millis(100);

/// The first look whether an m4 that closed its output has ended.
const M4_END_LOOK: Duration = Duration::from_millis(1);

/// So many looks make 1 s, in which a killed m4 is reaped.
const M4_KILL_LOOKS: u32 = 10;

/// What m4 says on standard error is shown up to this length.
const M4_COMPLAINT_MAX: usize = 2_000;

/// Reads a file and all that it includes.
pub(super) fn read(
    path: &Path,
    options: &LoadOptions,
    is_over: &dyn Fn() -> bool,
) -> Result<Document, Vec<Diagnostic>> {
    let mut reader = Reader {
        is_over,
        document: Document::default(),
        open: Vec::new(),
    };
    let m4 = options.m4.as_deref().map(|command| match command.trim() {
        // In mon, -M alone runs the configuration file (C-2).
        "" => "m4",
        command => command,
    });
    match reader.file(path, m4) {
        Ok(items) if items.is_empty() && !reader.document.diagnostics.has_error() => {
            let mut found = reader.document.diagnostics.into_sorted();
            // Else a reload amid writing the file would take every server out of the table.
            found.push(Diagnostic::error(format!(
                "{} is empty: it has neither a setting, a hostgroup nor a watch",
                path.display()
            )));
            Err(found)
        }
        Ok(items) => {
            reader.document.items = items;
            Ok(reader.document)
        }
        Err(error) => {
            let mut found = reader.document.diagnostics.into_sorted();
            found.insert(0, error);
            Err(found)
        }
    }
}

struct Reader<'a> {
    /// Whether nobody waits for it any more.
    is_over: &'a dyn Fn() -> bool,
    document: Document,
    /// The files that are being read, outermost first.
    open: Vec<PathBuf>,
}

impl Reader<'_> {
    /// The records of a file, with those of the files it includes in their places.
    fn file(&mut self, path: &Path, m4: Option<&str>) -> Result<Vec<Item>, Diagnostic> {
        let name = path.display().to_string();
        let refuse = |error: Refused| {
            let message = format!("could not open cf file {name}: {}", error.why);
            Diagnostic::error(message).with_help(error.advice)
        };
        let failed = |error: std::io::Error| refuse(Refused::of(&error));
        // Before it is opened, which may do something to a device, and before m4 waits for a
        // pipe. Also before its real path is asked for: /dev/stdin has none where it is a pipe.
        let found = fs::metadata(path).map_err(failed)?;
        regular(&found, SOURCE_MAX as u64).map_err(refuse)?;
        let real = fs::canonicalize(path).map_err(failed)?;
        let is_m4 = path.extension().is_some_and(|extension| extension == "m4");
        let (name, bytes) = match m4.or(is_m4.then_some("m4")) {
            None => (
                name.clone(),
                read_bounded(path, SOURCE_MAX as u64).map_err(refuse)?,
            ),
            Some(command) => {
                let (bytes, complaint) = run_m4(command, path, self.is_over)
                    .map_err(|why| Diagnostic::error(format!("could not open m4 pipe: {why}")))?;
                if !complaint.is_empty() {
                    let warning = format!("{command} {name} says: {complaint}");
                    self.document.diagnostics.push(Diagnostic::warning(warning));
                }
                (format!("{name} (after {command})"), bytes)
            }
        };
        let items = self.document.read(&name, &bytes)?;
        drop(bytes);
        self.open.push(real);
        let mut all = Vec::with_capacity(items.len());
        for item in items {
            match item {
                Item::Include(include) => self.include(path, include.path, &mut all),
                item @ (Item::Global(_)
                | Item::Hostgroup(_)
                | Item::Alias(_)
                | Item::View(_)
                | Item::Watch(_)
                | Item::Section(_)) => all.push(item),
            }
        }
        self.open.pop();
        Ok(all)
    }

    /// `include FILE|DIR`, from the folder of the file it stands in. Of a folder, the files
    /// whose names end in `.cf` or `.m4` are read in the order of their names.
    fn include(&mut self, from: &Path, span: Span, all: &mut Vec<Item>) {
        let text = self.document.sources.text(span);
        let path = from.parent().unwrap_or(Path::new("")).join(text);
        let files = if path.is_dir() {
            match folder(&path) {
                Ok(files) => files,
                Err(error) => {
                    let message =
                        format!("cannot read folder {}: {}", path.display(), plain(&error));
                    return self
                        .document
                        .error(span, message, "include a folder that can be read");
                }
            }
        } else {
            vec![path]
        };
        for file in files {
            // Asked before the file is read, and said once for a folder.
            if let Err(error) = self.document.sources.next() {
                let place = self.document.sources.place(span);
                return self.document.diagnostics.push(error.at(place));
            }
            self.included(&file, span, all);
        }
    }

    fn included(&mut self, path: &Path, span: Span, all: &mut Vec<Item>) {
        let is_open = fs::canonicalize(path).is_ok_and(|real| self.open.contains(&real));
        if is_open {
            let message = format!("{} includes itself", path.display());
            return self.document.error(span, message, "remove this line");
        }
        if self.open.len() >= DEPTH_MAX {
            let message = format!("more than {DEPTH_MAX} files include each other");
            return self
                .document
                .error(span, message, "include fewer files inside files");
        }
        match self.file(path, None) {
            Ok(items) => all.extend(items),
            Err(error) if error.place.is_some() => self.document.diagnostics.push(error),
            Err(error) => {
                let place = self.document.sources.place(span);
                self.document.diagnostics.push(error.at(place));
            }
        }
    }
}

/// Why a file is not read, and what to do about it.
#[derive(Debug)]
pub(super) struct Refused {
    pub(super) why: String,
    pub(super) advice: &'static str,
}

impl Refused {
    fn other(what: NotRegular) -> Self {
        Self {
            why: what.to_string(),
            advice: match what {
                NotRegular::Folder => "name a file in it, or take it away",
                NotRegular::Pipe | NotRegular::Socket | NotRegular::Device => {
                    "put the text into a regular file"
                }
            },
        }
    }

    fn of(error: &std::io::Error) -> Self {
        // It may have become something else since it was looked at.
        if let Some(what) = NotRegular::in_error(error) {
            return Self::other(what);
        }
        let kind = error.kind();
        let advice = if kind == ErrorKind::NotFound {
            "make this file, or take away what names it"
        } else if kind == ErrorKind::PermissionDenied {
            "let the user of lvsmon read the file and enter its folder"
        } else {
            "make it a file that can be read"
        };
        Self {
            why: plain(error),
            advice,
        }
    }
}

/// The system's word for an error, without the number that std appends.
pub(super) fn plain(error: &std::io::Error) -> String {
    match error.raw_os_error() {
        Some(number) => Errno::from_raw(number).desc().to_ascii_lowercase(),
        None => error.to_string(),
    }
}

/// A file, one byte beyond the limit at most, so that the limit is noticed should it grow.
pub(super) fn read_bounded(path: &Path, limit: u64) -> Result<Vec<u8>, Refused> {
    let failed = |error: std::io::Error| Refused::of(&error);
    let file = regular_file::open(path).map_err(failed)?;
    regular(&file.metadata().map_err(failed)?, limit)?;
    let mut bytes = Vec::new();
    file.take(limit + 1)
        .read_to_end(&mut bytes)
        .map_err(failed)?;
    Ok(bytes)
}

/// Whether it is a file that can be read to its end: all else may wait or go on for ever.
fn regular(file: &Metadata, limit: u64) -> Result<(), Refused> {
    const MB: u64 = 1024 * 1024;
    match NotRegular::of(file.file_type()) {
        Some(other) => Err(Refused::other(other)),
        None if file.len() <= limit => Ok(()),
        None => Err(Refused {
            why: format!("it has {} MB, more than {} MB", file.len() / MB, limit / MB),
            advice: "no file of this kind is that long: write the name of the right one",
        }),
    }
}

fn folder(path: &Path) -> std::io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(path)? {
        let path = entry?.path();
        let is_hidden = path
            .file_name()
            .is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
        let is_ours = path
            .extension()
            .is_some_and(|extension| extension == "cf" || extension == "m4");
        if is_ours && !is_hidden {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

/// What m4 makes of a file, and what it says on standard error. The command may carry options,
/// so a shell starts it, as in mon.
fn run_m4(
    command: &str,
    path: &Path,
    is_over: &dyn Fn() -> bool,
) -> Result<(Vec<u8>, String), String> {
    let mut shell = Command::new("/bin/sh");
    for name in FOR_THE_DAEMON {
        shell.env_remove(name);
    }
    let mut child = shell
        .process_group(0)
        .arg("-c")
        .arg(format!("exec {command} \"$0\""))
        .arg(path)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| plain(&error))?;
    let result = collect(&mut child, is_over);
    if result.is_err() {
        // With what it started. It may be gone already; then there is nothing to end.
        if let Ok(leader) = i32::try_from(child.id()) {
            let _ = killpg(Pid::from_raw(leader), Signal::SIGKILL);
        }
        // What the kernel cannot end (a dead disk) is left behind.
        let mut looks = M4_KILL_LOOKS;
        let _ = end(&mut child, &mut looks, &|| false);
    }
    let (status, output, complaint) = result?;
    if status.success() {
        return Ok((output, complaint));
    }
    let why = match complaint.is_empty() {
        true => String::new(),
        false => format!(": {complaint}"),
    };
    Err(format!(
        "{command} {} ended with {status}{why}",
        path.display()
    ))
}

fn collect(
    child: &mut Child,
    is_over: &dyn Fn() -> bool,
) -> Result<(ExitStatus, Vec<u8>, String), String> {
    let output = drain(child.stdout.take(), SOURCE_MAX + 1)?;
    let complaint = drain(child.stderr.take(), M4_COMPLAINT_MAX)?;
    let mut looks = M4_LOOKS;
    let output = wait(&output, &mut looks, is_over)?;
    let complaint = wait(&complaint, &mut looks, is_over)?;
    if output.len() > SOURCE_MAX {
        return Err(format!(
            "it printed more than {} MB",
            SOURCE_MAX / 1024 / 1024
        ));
    }
    let status = end(child, &mut looks, is_over)?;
    let complaint = String::from_utf8_lossy(&complaint).trim().to_owned();
    Ok((status, output, complaint))
}

/// What the thread has read, unless m4 takes too long or nobody waits for it any more.
fn wait(
    read: &mpsc::Receiver<Vec<u8>>,
    looks: &mut u32,
    is_over: &dyn Fn() -> bool,
) -> Result<Vec<u8>, String> {
    loop {
        match read.recv_timeout(M4_LOOK) {
            Ok(bytes) => return Ok(bytes),
            Err(RecvTimeoutError::Disconnected) => return Err("its output was lost".to_owned()),
            Err(RecvTimeoutError::Timeout) => one_less(looks, is_over)?,
        }
    }
}

/// How m4 ended, which may be long after it closed its output; the same conditions.
#[expect(
    clippy::disallowed_methods,
    reason = "no runtime turns on this thread: a start has none yet, a reload has its own thread"
)]
fn end(
    child: &mut Child,
    looks: &mut u32,
    is_over: &dyn Fn() -> bool,
) -> Result<ExitStatus, String> {
    let mut pause = M4_END_LOOK;
    loop {
        if let Some(status) = child.try_wait().map_err(|error| plain(&error))? {
            return Ok(status);
        }
        std::thread::sleep(pause);
        if pause < M4_LOOK {
            // Nearly always it is about to end.
            pause = pause.saturating_mul(2);
        } else {
            one_less(looks, is_over)?;
        }
    }
}

/// One look was in vain.
fn one_less(looks: &mut u32, is_over: &dyn Fn() -> bool) -> Result<(), String> {
    if is_over() {
        return Err("it was ended".to_owned());
    }
    *looks = looks.checked_sub(1).ok_or_else(|| {
        let limit = M4_LOOK.saturating_mul(M4_LOOKS).as_secs();
        format!("it did not end within {limit} s")
    })?;
    Ok(())
}

/// Reads a pipe in a thread of its own, so that the wait for it can have a limit. What goes beyond
/// the bound is read and dropped, until the writer ends or is killed at its limit.
///
/// # Errors
///
/// The system refuses the thread.
fn drain(
    pipe: Option<impl Read + Send + 'static>,
    bound: usize,
) -> Result<mpsc::Receiver<Vec<u8>>, String> {
    let (sender, receiver) = mpsc::sync_channel(1);
    let read = move || {
        let mut bytes = Vec::new();
        if let Some(pipe) = pipe {
            let mut pipe = pipe.take(bound as u64);
            // A broken pipe ends the text; the exit status tells the rest.
            let _ = pipe.read_to_end(&mut bytes);
            // The receiver is gone where the limit has passed.
            let _ = sender.send(bytes);
            // Whoever writes on must not be ended for it.
            let _ = io::copy(&mut pipe.into_inner(), &mut io::sink());
        }
    };
    let begun = std::thread::Builder::new().spawn(read);
    let refused = |error| format!("no thread can read its output: {error}");
    begun.map(|_| receiver).map_err(refused)
}
