//! What the settings (`name = value`) say, with their defaults and rebased paths.
//!
//! mon(8), "Global Variables", and docs/mon.md, "Reading". Which settings there are stands in `keywords`.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use crate::config::check::report::Report;
use crate::config::check::values::{self, Zero};
use crate::config::diagnostic::{Findings, nearest};
use crate::config::keywords;
use crate::config::lines::{Sources, Span};
use crate::config::syntax::{self, Item};
use crate::model::{DependBehavior, Globals, IpvsBackend, MailSettings};
use crate::period::Period;

/// Bases and folders where the file says nothing. What depends on the machine (which of
/// several folders exists) is looked up by [`crate::site`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Defaults {
    /// State folder.
    pub statedir: PathBuf,
    /// Log folder.
    pub logdir: PathBuf,
    /// What the command line says instead of the file.
    pub overrides: Overrides,
}

impl Default for Defaults {
    fn default() -> Self {
        Self {
            statedir: PathBuf::from("/var/lib/mon"),
            logdir: PathBuf::from("/var/log/mon"),
            overrides: Overrides::default(),
        }
    }
}

/// Settings that the command line gives instead of the file; folders as in the file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Overrides {
    /// `basedir`
    pub basedir: Option<String>,
    /// `cfbasedir`
    pub cfbasedir: Option<String>,
    /// `statedir`
    pub statedir: Option<String>,
    /// `logdir`
    pub logdir: Option<String>,
    /// `mondir`
    pub mondir: Option<String>,
    /// `alertdir`
    pub alertdir: Option<String>,
}

const BASEDIR: &str = "/usr/lib/mon";
const CFBASEDIR: &str = "/etc/mon";
const MONDIR: &str = "/usr/local/lib/mon/mon.d:mon.d";
const ALERTDIR: &str = "/usr/local/lib/mon/alert.d:alert.d";

/// Events kept for `histlength`: mon's default.
const HISTLENGTH: u32 = 100;

/// Levels of dependencies for `dep_recur_limit`: mon's default.
const DEP_RECUR_LIMIT: u32 = 10;

/// Native checks at once (D22): each holds a socket, and 1024 is the usual limit of a process.
const MAXCHECKS: u32 = 512;

/// Time limit of an executable monitor (D22).
const MONITOR_TIMEOUT: Duration = Duration::from_secs(600);

/// Defaults for the services behind a setting.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct ServiceDefaults {
    pub(super) dep_behavior: DependBehavior,
    pub(super) dep_memory: Option<Duration>,
    pub(super) unack_summary: bool,
}

impl ServiceDefaults {
    /// Takes in one setting; all but three say nothing about services.
    pub(super) fn set(&mut self, report: &mut Report<'_>, global: &syntax::Global) {
        let text = report.text(global.value);
        match report.text(global.name) {
            "dep_behavior" => {
                if let Some(behavior) = dep_behavior(report, global.value) {
                    self.dep_behavior = behavior;
                }
            }
            "dep_memory" => match values::time(text, Zero::Allowed) {
                Ok(time) => self.dep_memory = Some(time).filter(|time| !time.is_zero()),
                Err(help) => {
                    let message = format!("bad value \"{text}\" for dep_memory");
                    report.error(global.value, message, help);
                }
            },
            "unack_summary" => match values::unack_summary(text) {
                Some(yes) => self.unack_summary = yes,
                None => {
                    let message = format!("invalid unack_summary value \"{text}\"");
                    report.error(global.value, message, "write yes or no");
                }
            },
            _ => {}
        }
    }
}

/// Reads a `dep_behavior` value.
pub(super) fn dep_behavior(report: &mut Report<'_>, value: Span) -> Option<DependBehavior> {
    let text = report.text(value);
    let found = values::dep_behavior(text);
    if found.is_none() {
        let message = format!("unknown dependency behavior \"{text}\"");
        report.error(value, message, "write a, m or hm");
    }
    found
}

/// Reads all settings; the mistakes go to `out`.
pub(crate) fn read(
    sources: &Sources,
    items: &[Item],
    defaults: &Defaults,
    out: &mut Findings,
) -> Globals {
    read_with(&mut Report::new(sources, out), items, defaults)
}

/// The same, with a report that goes on.
pub(super) fn read_with(report: &mut Report<'_>, items: &[Item], defaults: &Defaults) -> Globals {
    let mut settings = Settings::new(report);
    for item in items {
        if let Item::Global(global) = item {
            settings.take(global);
        }
    }
    settings.finish(defaults)
}

/// What has been set so far.
struct Settings<'r, 'a> {
    report: &'r mut Report<'a>,
    /// Where each setting was set last.
    seen: BTreeMap<&'a str, Span>,
    globals: Globals,
}

impl<'r, 'a> Settings<'r, 'a> {
    fn new(report: &'r mut Report<'a>) -> Self {
        let globals = Globals {
            alertdir: Vec::new(),
            mondir: Vec::new(),
            basedir: PathBuf::new(),
            cfbasedir: PathBuf::new(),
            statedir: PathBuf::new(),
            logdir: PathBuf::new(),
            maxprocs: None,
            maxchecks: MAXCHECKS,
            monitor_timeout: MONITOR_TIMEOUT,
            randstart: None,
            exclude_period: None,
            histlength: HISTLENGTH,
            dep_recur_limit: DEP_RECUR_LIMIT,
            startupalerts_on_reset: false,
            ipvs_backend: IpvsBackend::default(),
            external_lvs_alert: false,
            mail: MailSettings::default(),
            kept: BTreeMap::new(),
        };
        Self {
            report,
            seen: BTreeMap::new(),
            globals,
        }
    }

    fn take(&mut self, global: &syntax::Global) {
        let name = self.report.text(global.name);
        let Some(&(known, _)) = keywords::GLOBALS.iter().find(|(known, _)| *known == name) else {
            let help = nearest(name, keywords::GLOBALS.iter().map(|&(known, _)| known))
                .map(|known| format!("did you mean \"{known}\"?"));
            let message = format!("unknown variable \"{name}\"");
            self.report.error(global.name, message, help);
            return;
        };
        if keywords::is_idle(&keywords::GLOBALS, name) {
            self.report.idle(known, global.name);
        }
        let for_services = ["dep_behavior", "dep_memory", "unack_summary"].contains(&name);
        let before = self.seen.insert(name, global.value);
        if before.is_some() && !for_services {
            let message = format!("\"{name}\" is set again, this line counts");
            self.report
                .warn(global.name, message, "remove the one that is not meant");
        }
        if !for_services {
            self.set(name, global.value);
        }
        self.globals
            .kept
            .insert(name.to_owned(), self.report.text(global.value).to_owned());
    }

    fn set(&mut self, name: &str, value: Span) {
        match name {
            "maxprocs" => {
                let number = self.number(name, value);
                self.globals.maxprocs = Some(number).filter(|&number| number > 0);
            }
            "maxchecks" => {
                if let Some(number) = self.positive(name, value) {
                    self.globals.maxchecks = number;
                }
            }
            "histlength" => self.globals.histlength = self.number(name, value),
            "dep_recur_limit" => self.globals.dep_recur_limit = self.number(name, value),
            "serverport" | "trapport" => {
                self.number(name, value);
            }
            "randstart" => {
                let time = self.time(name, value, Zero::Allowed);
                self.globals.randstart = time.filter(|time| !time.is_zero());
            }
            "historictime" | "cltimeout" => {
                self.time(name, value, Zero::Allowed);
            }
            "monitor_timeout" => {
                if let Some(time) = self.time(name, value, Zero::Refused) {
                    self.globals.monitor_timeout = time;
                }
            }
            "exclude_period" => self.globals.exclude_period = Some(self.period(value)),
            "startupalerts_on_reset" => {
                let text = self.report.text(value);
                self.globals.startupalerts_on_reset = values::startupalerts_on_reset(text);
            }
            "ipvs_backend" => self.backend(value),
            "external_lvs_alert" => match values::yes_or_no(self.report.text(value)) {
                Some(yes) => self.globals.external_lvs_alert = yes,
                None => self.bad(name, value, "write yes or no"),
            },
            _ => self.set_mail(name, value),
        }
    }

    fn set_mail(&mut self, name: &str, value: Span) {
        let text = self.report.text(value);
        let one_word = !text.is_empty() && !text.contains(char::is_whitespace);
        match name {
            "mail_relay" => match text.parse() {
                Ok(relay) => self.globals.mail.relay = relay,
                Err(why) => self.bad(name, value, &why),
            },
            "mail_from" | "mail_domain" if !one_word => {
                self.bad(name, value, "write one word");
            }
            "mail_from" => self.globals.mail.from = Some(text.to_owned()),
            "mail_domain" => self.globals.mail.domain = Some(text.to_owned()),
            "mail_login" if text.is_empty() => {
                self.bad(
                    name,
                    value,
                    "write the name of a file with user and password lines",
                );
            }
            "mail_login" => self.globals.mail.login = Some(PathBuf::from(text)),
            "mail_group_wait" => {
                if let Some(time) = self.time(name, value, Zero::Allowed) {
                    self.globals.mail.group_wait = time;
                }
            }
            _ => {}
        }
    }

    fn bad(&mut self, name: &str, value: Span, help: &str) {
        let text = self.report.text(value);
        let message = format!("bad value \"{text}\" for {name}");
        self.report.error(value, message, help);
    }

    /// A number as mon takes it: anything else acts as 0, said here and not there.
    fn number(&mut self, name: &str, value: Span) -> u32 {
        let text = self.report.text(value);
        values::number(text).unwrap_or_else(|| {
            let message = format!("\"{text}\" is not a number, {name} is taken as 0");
            self.report.warn(value, message, "write digits only");
            0
        })
    }

    fn positive(&mut self, name: &str, value: Span) -> Option<u32> {
        let number = values::number(self.report.text(value)).filter(|&number| number > 0);
        if number.is_none() {
            self.bad(name, value, "write a number from 1 on");
        }
        number
    }

    fn time(&mut self, name: &str, value: Span, zero: Zero) -> Option<Duration> {
        match values::time(self.report.text(value), zero) {
            Ok(time) => Some(time),
            Err(help) => {
                self.bad(name, value, help);
                None
            }
        }
    }

    fn period(&mut self, value: Span) -> Period {
        let read = Period::parse(self.report.text(value));
        super::read_period(self.report, &read, value, "exclude_period")
    }

    fn backend(&mut self, value: Span) {
        match self.report.text(value).parse() {
            Ok(backend) => self.globals.ipvs_backend = backend,
            Err::<_, String>(help) => self.bad("ipvs_backend", value, &help),
        }
    }

    /// Fills in defaults and rebases paths (docs/mon.md, "Reading").
    fn finish(self, defaults: &Defaults) -> Globals {
        let overrides = &defaults.overrides;
        let mut globals = self.globals;
        let set = |instead: &Option<String>, name: &str| -> Option<String> {
            instead.clone().or_else(|| globals.kept.get(name).cloned())
        };
        let or = |value: Option<String>, default: &str| {
            PathBuf::from(value.unwrap_or_else(|| default.to_owned()))
        };
        let basedir = or(set(&overrides.basedir, "basedir"), BASEDIR);
        let cfbasedir = or(set(&overrides.cfbasedir, "cfbasedir"), CFBASEDIR);
        let folder = |value: Option<String>, default: &PathBuf| {
            basedir.join(value.map_or_else(|| default.clone(), PathBuf::from))
        };
        let statedir = folder(set(&overrides.statedir, "statedir"), &defaults.statedir);
        let logdir = folder(set(&overrides.logdir, "logdir"), &defaults.logdir);
        // C-13: mon's separator also eats a letter "s" beside the colon.
        let list = |value: Option<String>, default: &str| {
            let value = value.unwrap_or_else(|| default.to_owned());
            let folders = value
                .split(':')
                .map(str::trim)
                .filter(|folder| !folder.is_empty());
            folders
                .map(|folder| basedir.join(folder))
                .collect::<Vec<PathBuf>>()
        };
        let mondir = list(set(&overrides.mondir, "mondir"), MONDIR);
        let alertdir = list(set(&overrides.alertdir, "alertdir"), ALERTDIR);
        globals.mail.login = globals.mail.login.map(|file| cfbasedir.join(file));
        Globals {
            alertdir,
            mondir,
            basedir,
            cfbasedir,
            statedir,
            logdir,
            ..globals
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::model::MailRelay;

    #[test]
    fn a_relay_is_a_program_or_a_host() {
        let smtp = |host: &str, port| MailRelay::Smtp {
            host: host.to_owned(),
            port,
        };
        let cases = [
            ("sendmail", MailRelay::Sendmail),
            ("smtp://mx:2525", smtp("mx", 2525)),
            ("smtp://mx.example.org", smtp("mx.example.org", 25)),
            ("smtp://[2001:db8::1]:587", smtp("2001:db8::1", 587)),
            (
                "smtps://[::1]",
                MailRelay::Smtps {
                    host: "::1".to_owned(),
                    port: 465,
                },
            ),
        ];
        for (text, expected) in cases {
            assert_eq!(text.parse::<MailRelay>().unwrap(), expected, "{text}");
        }
        for text in [
            "",
            "mx:25",
            "smtp://",
            "smtp://mx:0",
            "smtp://mx:x",
            "http://mx",
            "smtp://[x]",
            "smtp://a b",
        ] {
            assert!(text.parse::<MailRelay>().is_err(), "{text}");
        }
    }
}
