//! What a service says: its keywords, and the rules between them.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use crate::config::check::Checker;
use crate::config::check::globals;
use crate::config::check::report::Report;
use crate::config::check::values::{self, Zero};
use crate::config::keywords;
use crate::config::lines::Span;
use crate::config::syntax::{self, Statement, Watch};
use crate::model::{
    AlertProgram, Globals, GroupId, HostName, MonitorProgram, Service, ServiceId, Tripwire,
};
use crate::options::AlertOptions;
use crate::time::Readable;

impl<'a> Checker<'a> {
    /// Reads a watch.
    pub(super) fn watch(&mut self, watch: &Watch) {
        let name = self.text(watch.name);
        if self.watches.contains_key(name) {
            let message = format!("watch \"{name}\" is already defined");
            self.report
                .error(watch.name, message, "write its services into the first one");
        } else if watch.services.is_empty() {
            let message = format!("watch \"{name}\" has no service");
            self.report.warn(watch.name, message, "nothing is checked");
        } else {
            self.watches.insert(name, watch.name);
        }
        let group = self.groups.of_watch(&mut self.report, watch.name);
        let mut names: Vec<&str> = Vec::new();
        for service in &watch.services {
            let name = self.text(service.name);
            if !keywords::is_name(name) {
                let message = format!("invalid service tag \"{name}\"");
                let help = "names are made of letters, digits, \"_\", \".\" and \"-\"";
                self.report.error(service.name, message, help);
            } else if names.contains(&name) {
                let message = format!("service \"{name}\" is already defined in this watch");
                self.report
                    .error(service.name, message, "give it another name");
            }
            names.push(name);
            self.service(group, service);
        }
    }

    fn service(&mut self, group: GroupId, tree: &syntax::Service) {
        let id = ServiceId(u32::try_from(self.services.len()).unwrap_or(u32::MAX));
        let watch_name = self.groups.list()[group.index()].name.clone();
        let name = self.pool.name(self.report.text(tree.name));
        let mut service = Service {
            dep_behavior: self.defaults.dep_behavior,
            dep_memory: self.defaults.dep_memory,
            unack_summary: self.defaults.unack_summary,
            ..Service::new(watch_name, group, name)
        };
        let mut seen: Vec<&str> = Vec::new();
        for statement in &tree.statements {
            self.once(&mut seen, statement, &[]);
            self.service_keyword(&mut service, statement);
        }
        // What `depend` may say hangs on `dep_behavior`, wherever that stands.
        self.depend(id, &mut service, &tree.statements);
        service.environment = self.environment(tree);
        service.periods = self.periods(id, &service, &tree.periods);
        self.sense(&service, tree);
        self.services.push(service);
    }

    /// Warns where a keyword is given again: the later line counts, silently so in mon.
    pub(super) fn once(
        &mut self,
        seen: &mut Vec<&'a str>,
        statement: &Statement,
        repeatable: &[&str],
    ) {
        let word = self.text(statement.keyword);
        if repeatable.contains(&word) {
            return;
        }
        if seen.contains(&word) {
            let message = format!("\"{word}\" is given again, this line counts");
            self.report.warn(
                statement.keyword,
                message,
                "remove the one that is not meant",
            );
        }
        seen.push(word);
    }

    fn service_keyword(&mut self, service: &mut Service, statement: &Statement) {
        let Statement { keyword, argument } = *statement;
        let word = self.text(keyword);
        if let Some(&(known, _)) = keywords::SERVICE.iter().find(|(known, _)| *known == word)
            && keywords::is_idle(&keywords::SERVICE, known)
        {
            self.report.idle(known, keyword);
        }
        match word {
            "interval" => service.interval = self.time("time interval", statement),
            "failure_interval" => service.failure_interval = self.time("interval", statement),
            "randskew" => service.randskew = self.time("randskew", statement),
            "traptimeout" => service.traptimeout = self.time("traptimeout interval", statement),
            "trapduration" => service.trapduration = self.time("trapduration interval", statement),
            "dep_memory" => service.dep_memory = self.time("dep_memory", statement),
            "monitor" => service.monitor = self.monitor(argument),
            "redistribute" => {
                service.redistribute = self.alert(argument);
                if let Some(alert) = &service.redistribute {
                    self.changes_nothing(alert, word, argument);
                }
            }
            "description" => service.description = Some(self.text(argument).into()),
            "allow_empty_group" => service.allow_empty_group = self.flag(statement),
            "all_hosts_on_failure" => service.all_hosts_on_failure = self.flag(statement),
            "exclude_hosts" => service.exclude_hosts = self.exclude_hosts(service, argument),
            "exclude_period" => {
                service.exclude_period = Some(self.when(argument, "exclude_period"));
                service.exclude_period_text = Some(self.text(argument).trim().into());
            }
            "dep_behavior" => {
                if let Some(behavior) = globals::dep_behavior(&mut self.report, argument) {
                    service.dep_behavior = behavior;
                }
            }
            "unack_summary" => service.unack_summary = self.unack_summary(argument),
            "trapduration_upalert" => service.trapduration_upalert = self.flag(statement),
            "tripwire" => service.tripwire = self.tripwire(argument),
            // Dependencies are read when all else is known.
            _ => {}
        }
    }

    /// A time value that must not be zero.
    pub(super) fn time(&mut self, what: &str, statement: &Statement) -> Option<Duration> {
        let text = self.text(statement.argument);
        match values::time(text, Zero::Refused) {
            Ok(time) => Some(time),
            Err(help) => {
                // mon loses the text of the value here (C-18).
                let help = match text.strip_prefix('=') {
                    Some(value) => {
                        let word = self.text(statement.keyword);
                        format!("write it without \"=\": {word} {}", value.trim_start())
                    }
                    None => help.to_owned(),
                };
                let message = format!("invalid {what} \"{text}\"");
                self.report.error(statement.argument, message, help);
                None
            }
        }
    }

    /// A keyword whose presence is what counts.
    pub(super) fn flag(&mut self, statement: &Statement) -> bool {
        if !statement.argument.is_empty() {
            let word = self.text(statement.keyword);
            let rest = self.text(statement.argument);
            let message = format!("\"{rest}\" behind \"{word}\" is ignored");
            self.report
                .warn(statement.argument, message, "the word alone turns it on");
        }
        true
    }

    fn unack_summary(&mut self, argument: Span) -> bool {
        let text = self.text(argument);
        if text.is_empty() {
            // The bare form of the manual page, which mon refuses (C-14).
            return true;
        }
        values::unack_summary(text).unwrap_or_else(|| {
            let message = format!("invalid unack_summary value \"{text}\"");
            self.report.error(argument, message, "write yes or no");
            false
        })
    }

    fn tripwire(&mut self, argument: Span) -> Tripwire {
        let text = self.text(argument);
        text.parse().unwrap_or_else(|help: &str| {
            let message = format!("invalid tripwire value \"{text}\"");
            self.report.error(argument, message, help);
            Tripwire::Off
        })
    }

    fn exclude_hosts(&mut self, service: &Service, argument: Span) -> Vec<HostName> {
        let members = &self.groups.list()[service.hostgroup.index()].members;
        let known: BTreeSet<&str> = members.iter().map(|member| member.host.as_str()).collect();
        let words = syntax::words(self.sources(), argument);
        let unknown = |word: &&Span| !known.contains(self.text(**word));
        if let Some(&word) = words.iter().find(unknown) {
            let text = self.text(word);
            let message = format!("\"{text}\" is no host of hostgroup \"{}\"", service.group);
            self.report
                .warn(word, message, "it is excluded without effect");
        }
        let hosts = words.iter().map(|&word| HostName::new(self.text(word)));
        hosts.collect()
    }

    fn environment(&mut self, tree: &syntax::Service) -> Vec<(Arc<str>, Arc<str>)> {
        let mut found: Vec<(Arc<str>, Arc<str>)> = Vec::with_capacity(tree.environment.len());
        for variable in &tree.environment {
            let name = self.text(variable.name);
            let value = self.pool.name(self.report.text(variable.value));
            match found.iter_mut().find(|(known, _)| &**known == name) {
                Some(known) => {
                    let message = format!("variable {name} is set again, this line counts");
                    let help = "variables belong to the service, not to a period";
                    self.report.warn(variable.name, message, help);
                    known.1 = value;
                }
                None => found.push((self.pool.name(name), value)),
            }
        }
        found
    }

    /// Rules between keywords: what is accepted and yet cannot work as it stands.
    fn sense(&mut self, service: &Service, tree: &syntax::Service) {
        self.tripwire_holds(service, tree);
        let name = &service.name;
        // What is given and wrong has been reported as such.
        let is_given = |keyword| {
            let mut statements = tree.statements.iter();
            statements.any(|statement| self.report.text(statement.keyword) == keyword)
        };
        let Some(monitor) = &service.monitor else {
            if service.interval.is_some() && service.traptimeout.is_none() && !is_given("monitor") {
                let message = format!("service \"{name}\" has an interval but no monitor");
                self.report.warn(tree.name, message, "it is never checked");
            }
            return;
        };
        let Some(interval) = service.interval else {
            if is_given("interval") {
                return;
            }
            let message = format!("service \"{name}\" has a monitor but no interval");
            self.report.warn(tree.name, message, "it is never checked");
            return;
        };
        let hosts = &self.groups.list()[service.hostgroup.index()].members;
        if hosts.is_empty() && monitor.appends_hosts && !service.allow_empty_group {
            let message = format!("hostgroup \"{}\" has no host", service.group);
            let help = "the monitor is not run without \"allow_empty_group\"";
            self.report.warn(tree.name, message, help);
        }
        let executable = matches!(monitor.program, MonitorProgram::Executable(_));
        if executable && self.globals.monitor_timeout > interval.saturating_mul(3) {
            self.slow_limits.get_or_insert((tree.name, 0)).1 += 1;
        }
    }

    /// Warns where `tripwire on` finds no port to hold a connection to.
    fn tripwire_holds(&mut self, service: &Service, tree: &syntax::Service) {
        let mut statements = tree.statements.iter().rev();
        let mut line = |name| statements.find(|it| self.report.text(it.keyword) == name);
        let Some(line) = line("tripwire").filter(|_| service.tripwire == Tripwire::On) else {
            return;
        };
        let program = service.monitor.as_deref().map(|monitor| &monitor.program);
        let why = match program {
            Some(MonitorProgram::Native(options)) if options.tcp_port().is_some() => return,
            // That is reported as such.
            Some(MonitorProgram::Missing(_)) => return,
            Some(MonitorProgram::Native(_)) => {
                "this monitor has no port to hold a connection to".to_owned()
            }
            Some(MonitorProgram::Executable(path)) => format!(
                "{} is a program, and lvsmon does not know which port it checks",
                path.display()
            ),
            None => "the service has no monitor".to_owned(),
        };
        let message = format!("tripwire does nothing: {why}; a crash is noticed by the next check");
        let help = "use it with the built-in tcp, http or ftp, or remove it";
        self.report.warn(line.keyword, message, help);
    }

    /// Warns of an `lvs.alert` line on which the table does not depend.
    pub(super) fn changes_nothing(
        &mut self,
        alert: &crate::model::AlertCommand,
        keyword: &str,
        span: Span,
    ) {
        if matches!(&alert.program, AlertProgram::Native(AlertOptions::Lvs(_))) {
            let message = format!("\"{keyword}\" with {} changes no table", alert.name);
            let help = "\"alert\" takes a real server out, \"upalert\" puts it back";
            self.report.warn(span, message, help);
        }
    }
}

/// One warning for all services whose monitor may hang for longer than three intervals (D22).
pub(super) fn report_slow_limits(
    report: &mut Report<'_>,
    globals: &Globals,
    span: Span,
    count: u32,
) {
    let limit = Readable(globals.monitor_timeout);
    let name = report.text(span);
    let others = match count {
        0 | 1 => String::new(),
        2 => " and of one other service".to_owned(),
        _ => format!(" and of {} other services", count - 1),
    };
    let message = format!(
        "the monitor of service \"{name}\"{others} may hang for {limit}, more than three intervals"
    );
    report.warn(
        span,
        message,
        "set \"monitor_timeout\" to a time in which it surely answers",
    );
}
