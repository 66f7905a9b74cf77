//! What a director needs of its machine: `lvsmon check --host`.
//!
//! Looks, and changes nothing; loads no module and sends no packet but questions to the name
//! servers. Reads below a root folder, so a test shows it a made-up machine. Each finding says
//! what is wrong, where, and what to do.
//!
//! | Question | File |
//! |---|---|
//! | does the kernel have what the table needs, and may it be written | `kernel` |
//! | how long does it remember silent connections | `timeouts` |
//! | who may write the programs that are run, can state be written | `folders` |
//! | which names have no address here, or too many | `names` |
//!
//! Not here: whether the configuration is right ([`crate::config`]).

mod folders;
mod kernel;
pub mod names;
#[cfg(test)]
mod tests;
pub mod timeouts;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::Serialize;

use crate::fifo_file::{self, Deaf, Writers};
use crate::lvs::{Family, Forwarding, Protocol, VirtualServiceKey};
use crate::model::{
    AlertProgram, Creation, Globals, IpvsBackend, MailRelay, Model, MonitorProgram, MonitorUser,
};
use crate::options::{AlertOptions, MonitorOptions};
use crate::wire::server::Expiry;

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// The main job fails.
    Problem,
    /// It works, but will hurt in some cases, or it cannot be told from here.
    Warning,
    /// As it should be.
    Good,
}

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// How bad.
    pub level: Level,
    /// What was found.
    pub what: String,
    /// Where it was seen: a file, a folder, a program.
    pub place: String,
    /// What a person should do; empty where it is good.
    pub advice: String,
}

impl Finding {
    pub(crate) fn good(what: impl Into<String>, place: impl Into<String>) -> Self {
        Self::new(Level::Good, what, place, "")
    }

    pub(crate) fn warning(
        what: impl Into<String>,
        place: impl Into<String>,
        advice: impl Into<String>,
    ) -> Self {
        Self::new(Level::Warning, what, place, advice)
    }

    pub(crate) fn problem(
        what: impl Into<String>,
        place: impl Into<String>,
        advice: impl Into<String>,
    ) -> Self {
        Self::new(Level::Problem, what, place, advice)
    }

    fn new(
        level: Level,
        what: impl Into<String>,
        place: impl Into<String>,
        advice: impl Into<String>,
    ) -> Self {
        Self {
            level,
            what: what.into(),
            place: place.into(),
            advice: advice.into(),
        }
    }
}

/// What a configuration asks of the machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Needs {
    /// A kernel table is written: module and right are needed.
    pub table: bool,
    /// The program ipvsadm writes it.
    pub ipvsadm: bool,
    /// Schedulers of the virtual services that are made here.
    pub schedulers: BTreeSet<String>,
    /// Families in which packets are forwarded by NAT.
    pub nat: BTreeSet<Family>,
    /// Packets are forwarded so that their answers do not come back this way.
    pub one_way: bool,
    /// A virtual service of it takes UDP.
    pub udp: bool,
    /// Hosts are pinged by the built-in fping.
    pub ping: bool,
    /// As whom programs that check run.
    pub monitor_user: Option<Arc<MonitorUser>>,
    /// Those programs.
    pub monitors: BTreeSet<PathBuf>,
    /// The local sendmail, or that it may be absent.
    pub mail: Mail,
    /// Folders that programs come from: keyword and folder.
    pub program_folders: Vec<(&'static str, PathBuf)>,
    /// Where state is kept.
    pub statedir: PathBuf,
    /// Where the VRRP daemon says who is active.
    pub notify_fifo: Option<PathBuf>,
}

/// How mail leaves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mail {
    /// No mail alert in the file.
    None,
    /// Through sendmail, which must be there.
    Sendmail,
    /// Through sendmail where there is one, else localhost:25.
    Default,
    /// To this relay.
    Relay(String),
}

impl Needs {
    /// What every director needs, for a configuration that cannot be read.
    #[must_use]
    pub fn of_any_director() -> Self {
        Self {
            table: true,
            ipvsadm: false,
            schedulers: BTreeSet::new(),
            nat: BTreeSet::new(),
            one_way: false,
            udp: false,
            ping: true,
            monitor_user: None,
            monitors: BTreeSet::new(),
            mail: Mail::Default,
            program_folders: Vec::new(),
            statedir: PathBuf::from("/var/lib/mon"),
            notify_fifo: None,
        }
    }

    /// Those of a configuration.
    #[must_use]
    pub fn of(model: &Model) -> Self {
        let globals = &model.globals;
        let is_real = globals.ipvs_backend != IpvsBackend::Memory;
        let bindings = if is_real { &*model.bindings } else { &[] };
        let sections = if is_real {
            &*model.virtual_services
        } else {
            &[]
        };
        let has_table = !bindings.is_empty() || !sections.is_empty();
        let schedulers = bindings
            .iter()
            .filter_map(|binding| match &binding.creation {
                Creation::ByUs(scheduler) => Some(scheduler.to_string()),
                Creation::ByOthers => None,
            });
        let declared = sections.iter().map(|it| it.settings.scheduler.to_string());
        let of_bindings = bindings
            .iter()
            .map(|binding| (binding.forwarding, binding.virtual_service.family()));
        let of_sections = sections.iter().flat_map(|section| {
            let servers = section.servers.iter().map(|it| it.settings);
            let fallback = section.fallback.iter().map(|it| it.settings);
            let all = servers.chain(fallback);
            all.map(|it| (it.forwarding, section.key.family()))
        });
        let all: Vec<(Forwarding, Family)> = of_bindings.chain(of_sections).collect();
        let nat = all
            .iter()
            .copied()
            .filter_map(|(forwarding, family)| match forwarding {
                Forwarding::Nat => Some(family),
                Forwarding::Dr | Forwarding::Tun(_) | Forwarding::Local | Forwarding::Bypass => {
                    None
                }
            });
        let keys = bindings.iter().map(|binding| binding.virtual_service);
        let mut keys = keys.chain(sections.iter().map(|section| section.key));
        let is_udp = |key| matches!(key, VirtualServiceKey::Address(Protocol::Udp, _));
        let monitors = || {
            let services = model.services.iter();
            services.filter_map(|service| service.monitor.as_ref())
        };
        Self {
            table: has_table,
            ipvsadm: has_table && globals.ipvs_backend == IpvsBackend::Ipvsadm,
            schedulers: schedulers.chain(declared).collect(),
            nat: nat.collect(),
            one_way: all.iter().any(|(forwarding, _)| match forwarding {
                Forwarding::Dr | Forwarding::Tun(_) => true,
                Forwarding::Nat | Forwarding::Local | Forwarding::Bypass => false,
            }),
            udp: keys.any(is_udp),
            ping: monitors().any(|monitor| {
                matches!(
                    monitor.program,
                    MonitorProgram::Native(MonitorOptions::Fping(_))
                )
            }),
            monitor_user: globals.monitor_user.clone(),
            monitors: monitors().filter_map(|it| program(&it.program)).collect(),
            mail: mail(model, globals),
            program_folders: program_folders(globals),
            statedir: globals.statedir.clone(),
            notify_fifo: globals.pair.notify_fifo.clone(),
        }
    }
}

/// The program that a monitor is, or that the built-in of this name runs for each host.
fn program(monitor: &MonitorProgram) -> Option<PathBuf> {
    match monitor {
        MonitorProgram::Executable(path) => Some(path.clone()),
        MonitorProgram::Native(MonitorOptions::Misc(options)) => {
            Some(options.program.clone()).filter(|it| it.is_absolute())
        }
        MonitorProgram::Native(_) | MonitorProgram::Missing(_) => None,
    }
}

fn mail(model: &Model, globals: &Globals) -> Mail {
    let periods = model.services.iter().flat_map(|service| &service.periods);
    let of_sections = model
        .virtual_services
        .iter()
        .flat_map(|section| section.alerts.iter().chain(&section.upalerts));
    let of_periods = periods.flat_map(|period| {
        [
            &period.alerts,
            &period.upalerts,
            &period.startupalerts,
            &period.ackalerts,
            &period.disablealerts,
        ]
        .into_iter()
        .flatten()
    });
    let mut lines = of_periods.chain(of_sections);
    if !lines.any(|line| matches!(line.program, AlertProgram::Native(AlertOptions::Mail(_)))) {
        return Mail::None;
    }
    match &globals.mail.relay {
        MailRelay::Default => Mail::Default,
        MailRelay::Sendmail => Mail::Sendmail,
        MailRelay::Smtp { host, port } => Mail::Relay(format!("smtp://{host}:{port}")),
        MailRelay::Smtps { host, port } => Mail::Relay(format!("smtps://{host}:{port}")),
    }
}

fn program_folders(globals: &Globals) -> Vec<(&'static str, PathBuf)> {
    let monitors = globals
        .mondir
        .iter()
        .map(|folder| ("mondir", folder.clone()));
    let alerts = globals
        .alertdir
        .iter()
        .map(|folder| ("alertdir", folder.clone()));
    monitors.chain(alerts).collect()
}

/// Looks at the machine whose files lie below `root` (`/` but for tests), worst findings first.
#[must_use]
pub fn look(root: &Path, needs: &Needs) -> Vec<Finding> {
    let mut findings = kernel::look(root, needs);
    findings.extend(programs(root, needs));
    findings.extend(folders::look(root, needs));
    findings.extend(needs.notify_fifo.as_deref().map(|path| fifo(root, path)));
    // Stable: of one level they stay in the order of the checks.
    findings.sort_by_key(|finding| finding.level);
    findings
}

/// Where programs for administrators are, as ipvsadm and sendmail are looked for.
const PROGRAM_FOLDERS: [&str; 6] = [
    "/usr/sbin",
    "/sbin",
    "/usr/bin",
    "/bin",
    "/usr/lib",
    "/usr/local/sbin",
];

/// What the kernel does about connections of real servers that leave: for whoever drains one.
#[must_use]
pub fn expiry() -> Expiry {
    kernel::expiry(Path::new("/"))
}

fn programs(root: &Path, needs: &Needs) -> Vec<Finding> {
    let mut findings = Vec::new();
    if needs.ipvsadm {
        findings.push(match find_program(root, "ipvsadm") {
            Some(path) => Finding::good("ipvsadm is there", path),
            None => Finding::problem(
                "the program ipvsadm is missing",
                PROGRAM_FOLDERS.join(", "),
                "install ipvsadm, or use ipvs_backend = netlink",
            ),
        });
    }
    match &needs.mail {
        Mail::None => {}
        Mail::Relay(relay) => {
            findings.push(Finding::good("mail goes to a relay", relay.clone()));
        }
        Mail::Sendmail | Mail::Default => findings.push(match find_program(root, "sendmail") {
            Some(path) => Finding::good("mail goes through sendmail", path),
            None if needs.mail == Mail::Sendmail => Finding::problem(
                "the program sendmail is missing, no mail can leave",
                PROGRAM_FOLDERS.join(", "),
                "install one, or set mail_relay = smtp://HOST:25",
            ),
            None => Finding::warning(
                "no sendmail here, mail goes to localhost:25",
                PROGRAM_FOLDERS.join(", "),
                "set mail_relay = smtp://HOST:25 unless a mail server runs on this machine",
            ),
        }),
    }
    findings
}

/// Whether the daemon would listen to it.
fn fifo(root: &Path, path: &Path) -> Finding {
    let place = path.display().to_string();
    match fifo_file::look(&below(root, path)) {
        Ok(Writers::User) => {
            Finding::good("notify_fifo is a FIFO that only its user may write", place)
        }
        Ok(Writers::UserAndGroup) => Finding::good(
            "notify_fifo is a FIFO that only its user and its group may write",
            place,
        ),
        Err(Deaf::NoFolder) => Finding::warning(
            "the folder of notify_fifo does not exist: no VRRP daemon can make one there",
            place,
            "make the folder before the VRRP daemon is started, at each boot where it is in /run",
        ),
        Err(Deaf::Missing) => Finding::warning(
            "notify_fifo is not there yet",
            place,
            "start the VRRP daemon with the same notify_fifo: it makes it, lvsmon waits for it",
        ),
        Err(Deaf::Wrong(why)) => Finding::problem(
            format!("notify_fifo is not listened to: {why}"),
            place,
            "until then nobody hears who is active",
        ),
    }
}

fn find_program(root: &Path, name: &str) -> Option<String> {
    use std::os::unix::fs::PermissionsExt;
    PROGRAM_FOLDERS.iter().find_map(|folder| {
        let path = below(root, &Path::new(folder).join(name));
        let found = std::fs::metadata(path).ok()?;
        let runs = found.is_file() && found.permissions().mode() & 0o111 != 0;
        runs.then(|| format!("{folder}/{name}"))
    })
}

/// An absolute path of the machine, below the root it is looked at from.
fn below(root: &Path, path: &Path) -> PathBuf {
    root.join(path.strip_prefix("/").unwrap_or(path))
}
