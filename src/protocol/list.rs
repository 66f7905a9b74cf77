//! What does a list say?
//!
//! A list of services or of history comes in parts, each of which is made when the client has
//! taken the one before: nobody's listing holds up the loop or fills the memory. Between two parts
//! only the place is remembered, counted from the first service or line. So a reload goes on at
//! the same place of the new configuration, and where lines leave the front of a history
//! meanwhile, as many of those that follow are passed over.

use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::Arc;

use crate::engine::event::{RunId, Status};
use crate::model::{DependKind, Model, Service, ServiceId};
use crate::protocol::choice::{self, Shown};
use crate::protocol::command::first_word;
use crate::protocol::session::Session;
use crate::protocol::{Process, Sight, Turn, Work, data_line, escape, one_line, status_line};

/// A part is closed with the line that makes it longer than this, in bytes: what a client
/// that does not read can make us hold.
pub const PART_MAX: usize = 16 * 1024;

/// Services or lines of history looked at for one part: well below a millisecond.
const LOOKS_MAX: usize = 200;

/// A list under way.
#[derive(Clone, Debug)]
pub struct Listing {
    what: What,
    shown: Shown,
    /// What is still to be looked at, nearest last.
    left: Vec<Range<u32>>,
    done: &'static str,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum What {
    Status(Wanted),
    Watch,
    Descriptions,
    Dependencies,
    Alerts,
    Failures,
}

/// Services of which status.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wanted {
    All,
    Failures,
    Successes,
    Warnings,
}

impl Wanted {
    const fn has(self, status: Status) -> bool {
        match self {
            Self::All => true,
            Self::Failures => status.is_failure(),
            Self::Successes => status.is_success(),
            Self::Warnings => status.is_warning(),
        }
    }
}

/// `list ...`
pub(super) fn begin(session: &Session, arguments: &str, sight: &Sight<'_>) -> Turn {
    let (what, rest) = first_word(arguments);
    let model = sight.engine.model();
    match what {
        "opstatus" if !rest.is_empty() => match choice::ranges(model, rest) {
            Ok(ranges) => {
                let all = What::Status(Wanted::All);
                named(all, ranges, "220 list opstatus completed\n")
            }
            Err((group, name)) => {
                let unknown = one_line(&format!("{group},{name}"));
                Turn::Say(format!("520 {unknown} does not exist\n"))
            }
        },
        "group" => Turn::Say(group(sight, rest)),
        "disabled" => Turn::Say(disabled(session, sight)),
        "pids" => Turn::Say(processes(sight)),
        "state" => Turn::Say(match sight.engine.stopped_since() {
            Some(since) => format!(
                "scheduler stopped since {}\n220 list state completed\n",
                since.seconds()
            ),
            None => "scheduler running\n220 list state completed\n".to_owned(),
        }),
        "aliases" => Turn::Say(aliases(model, rest)),
        "aliasgroups" => Turn::Say(alias_groups(model)),
        "views" => Turn::Say(views(model)),
        "dtlog" if sight.has_downtime_log => Turn::Work(Work::DowntimeLog),
        "dtlog" => Turn::Say("520 list dtlog error, dtlogging is not turned on\n".to_owned()),
        _ => in_parts(session, what, sight),
    }
}

/// The lists that come in parts.
fn in_parts(session: &Session, what: &str, sight: &Sight<'_>) -> Turn {
    let failures = || sight.engine.failure_history().count();
    let alerts = || sight.engine.alert_history().count();
    let services = sight.engine.model().services.len();
    let (what, count, done) = match what {
        "opstatus" => (
            What::Status(Wanted::All),
            services,
            "220 list opstatus completed\n",
        ),
        "failures" => (
            What::Status(Wanted::Failures),
            services,
            "220 list failures completed\n",
        ),
        "successes" => (
            What::Status(Wanted::Successes),
            services,
            "220 list successes completed\n",
        ),
        "warnings" => (
            What::Status(Wanted::Warnings),
            services,
            // So in mon.
            "220 list successes completed\n",
        ),
        "watch" => (What::Watch, services, "220 list watch completed\n"),
        "descriptions" => (
            What::Descriptions,
            services,
            "220 list descriptions completed\n",
        ),
        "deps" => (What::Dependencies, services, "220 list deps completed\n"),
        "alerthist" => (What::Alerts, alerts(), "220 list alerthist completed\n"),
        "failurehist" => (
            What::Failures,
            failures(),
            "220 list failurehist completed\n",
        ),
        _ => return Turn::Say("520 unknown list command\n".to_owned()),
    };
    let view = match what {
        // Not restricted by a view in mon.
        What::Alerts | What::Failures => None,
        What::Status(_) | What::Watch | What::Descriptions | What::Dependencies => session.view(),
    };
    let end = u32::try_from(count).unwrap_or(u32::MAX);
    Turn::List(Box::new(Listing {
        what,
        shown: Shown::of(sight.engine.model(), view),
        left: std::iter::once(0..end).collect(),
        done,
    }))
}

fn named(what: What, mut ranges: Vec<Range<u32>>, done: &'static str) -> Turn {
    ranges.reverse();
    Turn::List(Box::new(Listing {
        what,
        shown: Shown::All,
        left: ranges,
        done,
    }))
}

impl Listing {
    /// The next part, and whether it is the last one.
    pub fn part(&mut self, sight: &Sight<'_>) -> (String, bool) {
        let mut out = String::new();
        let mut looks = 0;
        while let Some(range) = self.left.last_mut() {
            if looks >= LOOKS_MAX || out.len() >= PART_MAX {
                return (out, false);
            }
            looks += 1;
            match range.next() {
                Some(index) => self.line(&mut out, index, sight),
                None => {
                    self.left.pop();
                }
            }
        }
        out.push_str(self.done);
        (out, true)
    }

    /// The lines of one service or of one entry of a history.
    fn line(&self, out: &mut String, index: u32, sight: &Sight<'_>) {
        let engine = sight.engine;
        let nth = usize::try_from(index).unwrap_or(usize::MAX);
        match self.what {
            What::Alerts => {
                if let Some(line) = engine.alert_history().nth(nth) {
                    // As a whole (P-7).
                    escape::plain(out, &line.text());
                    out.push('\n');
                }
            }
            What::Failures => {
                if let Some(line) = engine.failure_history().nth(nth) {
                    let (group, service) = (&line.group, &line.service);
                    let time = line.time.seconds();
                    let text = format!("{group} {service} {time} {}", line.summary);
                    escape::plain(out, &text);
                    out.push('\n');
                }
            }
            What::Status(_) | What::Watch | What::Descriptions | What::Dependencies => {
                let id = ServiceId(index);
                if let Some(service) = engine.model().services.get(id.index())
                    && self.shown.has_service(&service.group, &service.name)
                {
                    self.service(out, id, service, sight);
                }
            }
        }
    }

    fn service(&self, out: &mut String, id: ServiceId, service: &Service, sight: &Sight<'_>) {
        let (group, name) = (&service.group, &service.name);
        match self.what {
            What::Status(wanted) => {
                if let Some(view) = sight.engine.service(id)
                    && wanted.has(view.status)
                {
                    status_line::append(out, service, &view, sight.now);
                }
            }
            What::Watch => out.push_str(&format!("{group} {name}\n")),
            What::Descriptions => {
                out.push_str(&format!("{group} {name} "));
                escape::field(out, service.description.as_deref().unwrap_or_default());
                out.push('\n');
            }
            What::Dependencies => dependencies(out, service),
            What::Alerts | What::Failures => {}
        }
    }
}

/// What `depend` says, and the services in it in their order.
fn dependencies(out: &mut String, service: &Service) {
    let (group, name) = (&service.group, &service.name);
    let Some(dependency) = service.dependency(DependKind::Depend) else {
        out.push_str(&format!(
            "exp {group} {name} 'NONE'\ncmp {group} {name} NONE\n"
        ));
        return;
    };
    out.push_str(&format!("exp {group} {name} '"));
    escape::field(out, &dependency.written);
    out.push_str(&format!("'\ncmp {group} {name}"));
    let mut parents = dependency.expression.mentions().peekable();
    if parents.peek().is_none() {
        out.push_str(" NONE");
    }
    for parent in parents {
        out.push_str(&format!(" {parent}"));
    }
    out.push('\n');
}

/// `hostgroup G h1 *h2`: a star before what is disabled.
fn group(sight: &Sight<'_>, name: &str) -> String {
    let mut groups = sight.engine.model().hostgroups.iter();
    let Some(group) = groups.find(|group| &*group.name == name) else {
        return "520 list group error, undefined group\n".to_owned();
    };
    let mut reply = format!("hostgroup {}", group.name);
    for member in &group.members {
        reply.push(' ');
        if sight.engine.is_member_disabled(group, member) {
            reply.push('*');
        }
        reply.push_str(member.host.as_str());
    }
    reply.push_str("\n220 list group completed\n");
    reply
}

/// The daemon and the running checks, in the order of the file; a view hides none, as in mon.
/// As long as runs go on at once, so it needs no parts.
fn processes(sight: &Sight<'_>) -> String {
    let mut reply = format!("server {}\n", sight.pid);
    let mut runs: Vec<(ServiceId, RunId)> = sight
        .engine
        .runs()
        .map(|(run, service)| (service, run))
        .collect();
    runs.sort_unstable();
    for (service, run) in runs {
        let service = sight.engine.model().service(service);
        let pid = match sight.processes.of(run) {
            Process::Daemon => sight.pid,
            Process::Child(pid) => pid,
            // The daemon's own would be that of something else.
            Process::None => continue,
        };
        reply.push_str(&format!("{} {} {pid}\n", service.group, service.name));
    }
    reply.push_str("220 list pids completed\n");
    reply
}

/// Hosts, watches, services.
fn disabled(session: &Session, sight: &Sight<'_>) -> String {
    let engine = sight.engine;
    let model = engine.model();
    let shown = Shown::of(model, session.view());
    let mut reply = String::new();
    for group in &model.hostgroups {
        let members = group.members.iter();
        let hosts: Vec<&str> = members
            .filter(|member| engine.is_member_disabled(group, member))
            .map(|member| member.host.as_str())
            .collect();
        if !hosts.is_empty() && shown.has_group(&group.name) {
            reply.push_str(&format!("group {}: {}\n", group.name, hosts.join(" ")));
        }
    }
    let mut last: Option<&Arc<str>> = None;
    for service in &model.services {
        let is_new = last.replace(&service.group) != Some(&service.group);
        if is_new && engine.is_watch_disabled(&service.group) && shown.has_group(&service.group) {
            reply.push_str(&format!("watch {}\n", service.group));
        }
    }
    for (id, service) in model.services() {
        let (group, name) = (&service.group, &service.name);
        if engine.is_service_disabled(id) && shown.has_service(group, name) {
            reply.push_str(&format!("watch {group} service {name}\n"));
        }
    }
    reply.push_str("220 list disabled completed\n");
    reply
}

/// Each named alias, or all: its name, its lines, an empty line.
fn aliases(model: &Model, names: &str) -> String {
    let mut reply = String::new();
    let mut alias = |name: &str, lines: &[String]| {
        data_line(&mut reply, &format!("alias {name}"));
        for line in lines {
            data_line(&mut reply, line);
        }
        reply.push('\n');
    };
    if names.is_empty() {
        for (name, lines) in said(model) {
            alias(name, lines);
        }
    }
    // Each once: a name said a thousand times makes no reply a thousand times as long.
    let mut seen = BTreeSet::new();
    for name in names.split_ascii_whitespace() {
        if !seen.insert(name) {
            continue;
        }
        let mut known = model.aliases.iter();
        let known = known.find(|(known, _)| &**known == name);
        alias(name, known.map_or(&[], |(_, lines)| lines));
    }
    reply.push_str("220 list aliases completed\n");
    reply
}

/// The aliases that are listed: those with any text.
fn said(model: &Model) -> impl Iterator<Item = &(Arc<str>, Vec<String>)> {
    let aliases = model.aliases.iter();
    aliases.filter(|(_, lines)| !lines.is_empty())
}

fn alias_groups(model: &Model) -> String {
    let names: Vec<&str> = said(model).map(|(name, _)| &**name).collect();
    let mut reply = String::new();
    if !names.is_empty() {
        data_line(&mut reply, &names.join(" "));
    }
    reply.push_str("220 list aliasgroups completed\n");
    reply
}

/// Sorted; the last line speaks of a group in mon too.
fn views(model: &Model) -> String {
    let mut names: Vec<&str> = model.views.iter().map(|(name, _)| &**name).collect();
    names.sort_unstable();
    format!("views {}\n220 list group completed\n", names.join(" "))
}
