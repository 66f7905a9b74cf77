//! What the settings (`name = value`) say, with their defaults and rebased paths.
//!
//! mon(8), "Global Variables", and docs/mon.md, "Reading". Which settings there are stands in
//! `keywords`.

mod defaults;
mod metrics;
mod pair;
mod peer;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::config::check::globals::defaults::{
    ALERTDIR, AUTHFILE, BASEDIR, CFBASEDIR, DEP_RECUR_LIMIT, DTLOGFILE, HISTLENGTH, MAXCHECKS,
    MONDIR, MONERRFILE, MONITOR_TIMEOUT, PAMSERVICE, USERFILE,
};
use crate::config::check::report::Report;
use crate::config::check::values::{self, Zero};
use crate::config::diagnostic::{Findings, nearest};
use crate::config::keywords;
use crate::config::lines::{Sources, Span};
use crate::config::syntax::{self, Item};
use crate::model::{
    AuthSettings, AuthType, Bind, Clients, DependBehavior, DowntimeSettings, Globals,
    HistorySettings, IpvsBackend, Listener, MailSettings, MetricsSettings, ProcessSettings,
};
use crate::pair::PairSettings;
use crate::pair::talk::PeerSettings;
use crate::period::Period;

pub use defaults::{Defaults, Overrides};

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
    let mut settings = Settings::new(report, defaults);
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
    fn new(report: &'r mut Report<'a>, defaults: &Defaults) -> Self {
        let listener = |port| Listener {
            bind: defaults.bind.clone(),
            port,
        };
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
            monitor_user: None,
            randstart: None,
            exclude_period: None,
            histlength: HISTLENGTH,
            dep_recur_limit: DEP_RECUR_LIMIT,
            startupalerts_on_reset: false,
            ipvs_backend: IpvsBackend::default(),
            external_lvs_alert: false,
            mail: MailSettings::default(),
            server: listener(defaults.serverport),
            trap: listener(defaults.trapport),
            clients: Clients::default(),
            metrics: MetricsSettings::default(),
            pair: PairSettings::default(),
            auth: AuthSettings {
                authfile: PathBuf::from(AUTHFILE),
                is_authfile_named: false,
                authtype: vec![AuthType::Getpwnam],
                userfile: PathBuf::from(USERFILE),
                pamservice: PAMSERVICE.to_owned(),
            },
            history: HistorySettings::default(),
            downtime: DowntimeSettings {
                dtlogging: false,
                dtlogfile: PathBuf::from(DTLOGFILE),
            },
            process: ProcessSettings {
                pidfile: defaults.pidfile.clone(),
                monerrfile: PathBuf::from(MONERRFILE),
                monremote: None,
                syslog_facility: defaults.overrides.syslog_facility.unwrap_or_default(),
            },
            peer: PeerSettings::default(),
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
            "randstart" => {
                let time = self.time(name, value, Zero::Allowed);
                self.globals.randstart = time.filter(|time| !time.is_zero());
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
            _ => self.set_access(name, value),
        }
    }

    /// Who reaches the daemon, and how.
    fn set_access(&mut self, name: &str, value: Span) {
        let text = self.report.text(value);
        match name {
            "serverbind" => self.globals.server.bind = self.bind(name, value),
            "trapbind" => self.globals.trap.bind = self.bind(name, value),
            "serverport" => {
                if let Some(port) = self.port(name, value) {
                    self.globals.server.port = port;
                }
            }
            "trapport" => {
                if let Some(port) = self.port(name, value) {
                    self.globals.trap.port = port;
                }
            }
            "clientallow" => self.clientallow(value),
            "cltimeout" => {
                if let Some(time) = self.time(name, value, Zero::Allowed) {
                    self.globals.clients.cltimeout = time;
                }
            }
            "authfile" => {
                self.globals.auth.authfile = PathBuf::from(text);
                self.globals.auth.is_authfile_named = true;
            }
            "userfile" => self.globals.auth.userfile = PathBuf::from(text),
            "authtype" => self.authtype(value),
            "pamservice" => self.globals.auth.pamservice = text.to_owned(),
            _ => self.set_records(name, value),
        }
    }

    /// What the daemon keeps of its life.
    fn set_records(&mut self, name: &str, value: Span) {
        let text = self.report.text(value);
        let file = || Some(PathBuf::from(text)).filter(|_| !text.is_empty());
        match name {
            "historicfile" => self.globals.history.historicfile = file(),
            "historictime" => {
                let time = self.time(name, value, Zero::Allowed);
                self.globals.history.historictime = time.filter(|time| !time.is_zero());
            }
            // As in mon: nothing but these words turns it on.
            "dtlogging" => {
                self.globals.downtime.dtlogging = ["1", "yes", "true"].contains(&text);
            }
            "dtlogfile" if text.is_empty() => self.bad(name, value, "write the name of a file"),
            "dtlogfile" => self.globals.downtime.dtlogfile = PathBuf::from(text),
            "pidfile" => self.globals.process.pidfile = file(),
            "monerrfile" => {
                self.globals.process.monerrfile =
                    file().unwrap_or_else(|| PathBuf::from(MONERRFILE));
            }
            "monremote" => {
                self.globals.process.monremote =
                    Some(text.to_owned()).filter(|text| !text.is_empty());
            }
            "syslog_facility" => match text.parse() {
                Ok(facility) => self.globals.process.syslog_facility = facility,
                Err::<_, String>(help) => self.bad(name, value, &help),
            },
            _ => self.set_mail(name, value),
        }
    }

    fn bind(&mut self, name: &str, value: Span) -> Bind {
        let text = self.report.text(value);
        if text.is_empty() || text.contains(char::is_whitespace) {
            self.bad(name, value, "write one address or name");
        }
        Bind::Host(text.to_owned())
    }

    fn port(&mut self, name: &str, value: Span) -> Option<u16> {
        let number = values::number(self.report.text(value));
        let port = number.and_then(|number| u16::try_from(number).ok());
        match port {
            None => self.bad(name, value, "write a port from 1 to 65535"),
            Some(0) => {
                let message = format!("{name} = 0 takes another free port at each start");
                let help = "write a port from 1 to 65535, else no client knows where to go";
                self.report.warn(value, message, help);
            }
            Some(_) => {}
        }
        port
    }

    fn clientallow(&mut self, value: Span) {
        let text = self.report.text(value);
        let mut patterns = Vec::new();
        for word in text.split_whitespace() {
            match word.parse() {
                Ok(pattern) => patterns.push(pattern),
                Err::<_, String>(help) => {
                    let message = format!("bad pattern \"{word}\" in clientallow");
                    self.report.error(value, message, help);
                }
            }
        }
        if text.is_empty() {
            let message = "clientallow without a pattern turns every client away";
            self.report.warn(value, message, "write addresses");
        }
        self.globals.clients.clientallow = Some(patterns);
    }

    fn authtype(&mut self, value: Span) {
        let text = self.report.text(value);
        let mut types = Vec::new();
        for word in text.split_whitespace() {
            let found = match word {
                "getpwnam" => AuthType::Getpwnam,
                "userfile" => AuthType::Userfile,
                "trustlocal" => AuthType::Trustlocal,
                "pam" => {
                    let message = "could not use PAM authentication: lvsmon has none";
                    let help = "write getpwnam, userfile or trustlocal";
                    self.report.error(value, message, help);
                    continue;
                }
                _ => {
                    let message = format!("authtype \"{word}\" never lets anybody in");
                    let help = "write getpwnam, userfile or trustlocal";
                    self.report.warn(value, message, help);
                    continue;
                }
            };
            types.push(found);
        }
        self.globals.auth.authtype = types;
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
            _ => self.set_pair(name, value),
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

    /// Fills in defaults, lets the command line have its word, and rebases paths
    /// (docs/mon.md, "Reading").
    fn finish(mut self, defaults: &Defaults) -> Globals {
        self.override_values(&defaults.overrides);
        self.rebase(defaults);
        self.look_at_files(defaults);
        self.look_at_user(defaults);
        self.look_at_pair();
        self.look_at_peer();
        self.look_at_metrics();
        self.globals
    }

    fn override_values(&mut self, overrides: &Overrides) {
        let globals = &mut self.globals;
        if let Some(file) = &overrides.authfile {
            globals.auth.authfile = PathBuf::from(file);
            globals.auth.is_authfile_named = true;
        }
        if let Some(file) = &overrides.pidfile {
            globals.process.pidfile = Some(PathBuf::from(file)).filter(|_| !file.is_empty());
        }
        if let Some(length) = overrides.histlength {
            globals.histlength = length;
        }
        globals.maxprocs = overrides.maxprocs.or(globals.maxprocs);
        globals.randstart = overrides.randstart.or(globals.randstart);
        if let Some(port) = overrides.serverport {
            globals.server.port = port;
        }
        if let Some(port) = overrides.trapport {
            globals.trap.port = port;
        }
    }

    fn rebase(&mut self, defaults: &Defaults) {
        let overrides = &defaults.overrides;
        let own = |name: &str| -> Option<String> {
            let text = self.report.text(*self.seen.get(name)?);
            Some(text.to_owned())
        };
        let set = |instead: &Option<String>, name: &str| instead.clone().or_else(|| own(name));
        let or = |value: Option<String>, default: &str| {
            PathBuf::from(value.unwrap_or_else(|| default.to_owned()))
        };
        let basedir = or(set(&overrides.basedir, "basedir"), BASEDIR);
        let cfbasedir = or(
            own("cfbasedir").or_else(|| overrides.cfbasedir.clone()),
            CFBASEDIR,
        );
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
        let globals = &mut self.globals;
        globals.mail.login = globals.mail.login.take().map(|file| cfbasedir.join(file));
        globals.peer.key = globals.peer.key.take().map(|file| cfbasedir.join(file));
        globals.auth.authfile = cfbasedir.join(&globals.auth.authfile);
        globals.auth.userfile = cfbasedir.join(&globals.auth.userfile);
        let historicfile = globals.history.historicfile.take();
        globals.history.historicfile = historicfile.map(|file| logdir.join(file));
        globals.downtime.dtlogfile = logdir.join(&globals.downtime.dtlogfile);
        globals.alertdir = alertdir;
        globals.mondir = mondir;
        globals.basedir = basedir;
        globals.cfbasedir = cfbasedir;
        globals.statedir = statedir;
        globals.logdir = logdir;
    }

    /// The user of programs that check has to be there: whoever named it does not want them to
    /// run as the daemon's.
    fn look_at_user(&mut self, defaults: &Defaults) {
        let Some(&place) = self.seen.get("monitor_user") else {
            return;
        };
        match &defaults.monitor_user {
            // The first reading, which finds out who is to be looked up.
            None => {}
            Some(Err(why)) => {
                let text = self.report.text(place);
                let message = format!("bad value \"{text}\" for monitor_user: {why}");
                let help = "write the name of a user of this machine (getent passwd), or make it: \
                            useradd --system --shell /usr/sbin/nologin NAME";
                self.report.error(place, message, help);
            }
            Some(Ok(user)) => {
                if user.uid == 0 {
                    let message = format!("monitor_user {} takes no rights away", user.name);
                    let help = "name a user who may do nothing else, or remove the line";
                    self.report.warn(place, message, help);
                }
                self.globals.monitor_user = Some(Arc::new(user.clone()));
            }
        }
    }

    /// A file of passwords that is named has to be there; of mon's own names it need not (then
    /// nobody may do anything). mon tests before it rebases (C-11).
    fn look_at_files(&mut self, defaults: &Defaults) {
        let auth = &self.globals.auth;
        for (name, path, is_named) in [
            ("authfile", &auth.authfile, auth.is_authfile_named),
            (
                "userfile",
                &auth.userfile,
                self.seen.contains_key("userfile"),
            ),
        ] {
            let Some(why) = defaults.unreadable.get(path).filter(|_| is_named) else {
                continue;
            };
            let path = path.display();
            let message = format!("{name} {path} does not exist or is not readable: {why}");
            let help = "make the file, or take away what names it";
            match self.seen.get(name) {
                Some(&place) => self.report.error(place, message, help),
                None => self.report.error_without_place(message, help),
            }
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
