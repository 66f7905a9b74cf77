//! What the configuration needs from this machine: files, m4, includes, programs in the search
//! path.
//!
//! Gathers values and hands them to [`crate::config`], which alone knows what they mean. Five
//! files: `reading` (files, m4, includes), `programs` (the search path and the stand-ins),
//! `services` (the system's port numbers), `user` (who runs
//! programs that check) and `auth` (auth.cf and the user file).

mod auth;
mod programs;
mod reading;
mod services;
mod user;

use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};

use crate::config::{Defaults, Diagnostic, Place};
use crate::model::{Bind, Globals, Model};
use crate::pair::talk::settings::PeerSettings;

pub use crate::config::Overrides;
pub use crate::config::programs::{Became, ProgramKind, Resolution};
pub use auth::{Access, read_access};
pub(crate) use programs::find_plugin;

/// What the command line says beside the file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LoadOptions {
    /// Read the file through this command (mon's `-M`), which may carry options; a name that
    /// ends in `.m4` is read through `m4` anyway.
    pub m4: Option<String>,
    /// Settings instead of those of the file.
    pub overrides: Overrides,
    /// Whose defaults count where the file says nothing.
    pub manner: Manner,
    /// What it is read for.
    pub duty: Duty,
}

/// What a configuration is read for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Duty {
    /// To be carried out.
    #[default]
    Work,
    /// To see what would be carried out, beside whoever does the work (`lvsmon run --observe`):
    /// nothing is changed, sent or run but the checks, and nothing is written but into the
    /// folder [`OBSERVER`] of the state folder.
    Observe,
}

/// The state folder of an observer, in that of the configuration: what it keeps must never be
/// taken for what a daemon did that works.
pub const OBSERVER: &str = "observe";

impl Duty {
    /// Takes out of the settings what an observer does not do. Its ports are any on loopback:
    /// mon's clients, senders of traps and what a VRRP daemon says belong to whoever works.
    fn limit(self, globals: &mut Globals) {
        match self {
            Self::Work => {}
            Self::Observe => {
                globals.statedir.push(OBSERVER);
                globals.process.pidfile = None;
                globals.process.monremote = None;
                globals.history.historicfile = None;
                globals.downtime.dtlogging = false;
                globals.pair.notify_fifo = None;
                globals.pair.sync = None;
                globals.peer = PeerSettings::default();
                globals.server.port = 0;
                globals.server.bind = Bind::Loopback;
                globals.trap.port = 0;
                globals.trap.bind = Bind::Loopback;
            }
        }
    }
}

/// Whose defaults count where the file says nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Manner {
    /// Ours: ports on loopback only (D21), no file with the process id.
    #[default]
    Own,
    /// mon's, for `lvsmon mon`.
    Mon,
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
    /// Where each host first stands in the file.
    pub hosts: BTreeMap<String, Place>,
}

/// Reads a configuration with everything it needs from this machine. Blocks: files are read,
/// and m4 is run where it is asked for.
///
/// # Errors
///
/// All mistakes of the file and of the files it includes, warnings among them, sorted by place.
pub fn load(path: &Path, options: &LoadOptions) -> Result<Loaded, Vec<Diagnostic>> {
    load_unless(path, options, &|| false)
}

/// The same, given up soon after `is_over` says so: it is asked every 0.1 s while m4 is waited
/// for, which may do so for ever.
///
/// # Errors
///
/// The same; a reading that was given up is one with a mistake.
pub fn load_unless(
    path: &Path,
    options: &LoadOptions,
    is_over: &dyn Fn() -> bool,
) -> Result<Loaded, Vec<Diagnostic>> {
    let document = reading::read(path, options, is_over)?;
    let mut defaults = defaults(options);
    let needs = document.needs(&defaults);
    for file in needs.files() {
        if let Err(error) = File::open(file) {
            let why = reading::plain(&error);
            defaults.unreadable.insert(file.to_owned(), why);
        }
    }
    defaults.monitor_user = needs.monitor_user.as_deref().map(user::look_up);
    let programs = programs::look_up(&needs);
    let hosts = document.hosts();
    let (mut model, warnings) = document.check(&defaults, &programs)?;
    options.duty.limit(&mut model.globals);
    Ok(Loaded {
        model,
        warnings,
        programs: programs.into_list(),
        hosts,
    })
}

/// The state folder that a configuration names, whatever else is wrong with it: for a question to
/// the daemon that must not fail over a mistake that is not in force yet. Blocks as [`load`].
///
/// # Errors
///
/// The file cannot be read.
pub fn statedir(path: &Path) -> Result<PathBuf, String> {
    let options = LoadOptions::default();
    let document = reading::read(path, &options, &|| false).map_err(|mistakes| {
        let first = mistakes.first().map(ToString::to_string);
        first.unwrap_or_else(|| format!("cannot read {}", path.display()))
    })?;
    Ok(document.needs(&defaults(&options)).globals.statedir)
}

fn defaults(options: &LoadOptions) -> Defaults {
    let ports = services::ports();
    let (bind, pidfile) = match options.manner {
        Manner::Own => (Bind::Loopback, None),
        Manner::Mon => (Bind::Everywhere, Some(pidfile())),
    };
    Defaults {
        statedir: first_existing(&["/var/state/mon", "/var/lib/mon"], "state.d"),
        logdir: first_existing(&["/var/log/mon"], "log.d"),
        bind,
        serverport: ports.tcp,
        trapport: ports.udp,
        pidfile,
        overrides: options.overrides.clone(),
        ..Defaults::default()
    }
}

/// Where mon puts its process id: the first of these whose folder exists.
fn pidfile() -> PathBuf {
    let folder = first_existing(&["/run/mon"], "");
    match folder.as_os_str().is_empty() {
        false => folder.join("mon.pid"),
        true => first_existing(&["/run"], "/etc").join("mon.pid"),
    }
}

/// What the name of a monitor or alert is on this machine, as if the configuration named it.
#[must_use]
pub fn resolve(kind: ProgramKind, name: &str, globals: &Globals) -> Resolution {
    programs::look_up_one(kind, name, globals)
}

/// The first folder that exists, else the last resort.
fn first_existing(folders: &[&str], otherwise: &str) -> PathBuf {
    let found = folders.iter().find(|folder| Path::new(folder).is_dir());
    PathBuf::from(found.copied().unwrap_or(otherwise))
}
