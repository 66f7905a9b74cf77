//! What do enable, disable, ack, clear and test ask of the engine?

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::engine::event::{AlertKind, Status, Target, Wish};
use crate::model::HostName;
use crate::protocol::choice;
use crate::protocol::command::first_word;
use crate::protocol::session::Session;
use crate::protocol::{Sight, Turn, Work, escape, one_line};

/// `clear timers GROUP SERVICE`
pub(super) fn clear(arguments: &str, sight: &Sight<'_>) -> Turn {
    let (what, rest) = first_word(arguments);
    let named = choice::service(sight.engine.model(), rest);
    if !what.eq_ignore_ascii_case("timers") || named.name.is_empty() {
        return say("520 unknown clear command");
    }
    match named.id {
        Some(id) => wish(Wish::ClearTimers(id), "220 clear timers completed"),
        None => say("520 unknown group"),
    }
}

/// `ack GROUP SERVICE COMMENT`: one reply, also where the names are wrong (P-11).
pub(super) fn ack(session: &Session, arguments: &str, sight: &Sight<'_>) -> Turn {
    let model = sight.engine.model();
    let named = choice::service(model, arguments);
    let Some(service) = named.id else {
        let mut services = model.services.iter();
        return say(if services.any(|one| &*one.group == named.group) {
            "520 unknown service"
        } else {
            "520 unknown group"
        });
    };
    let status = sight.engine.service(service).map(|view| view.status);
    if matches!(status, None | Some(Status::Ok | Status::Untested)) {
        return say("520 service is in a non-failure state");
    }
    let comment = Wish::Ack {
        service,
        user: session.user().unwrap_or_default().to_owned(),
        comment: escape::value(named.rest),
    };
    wish(comment, "220 ack completed")
}

/// `disable watch|service|host ...`
pub(super) fn disable(session: &Session, arguments: &str, sight: &Sight<'_>) -> Turn {
    let (what, rest) = first_word(arguments);
    let (target, done) = match what {
        "watch" => match watch(sight, rest) {
            Some(group) => (Target::Watch(group), "220 disable watch completed"),
            None => {
                let name = one_line(rest);
                return Turn::Say(format!("520 disable error, unknown watch \"{name}\"\n"));
            }
        },
        "service" => match choice::service(sight.engine.model(), rest) {
            choice::Named {
                id: Some(id),
                rest: "",
                ..
            } => (Target::Service(id), "220 disable service completed"),
            _ => return say("520 disable error, unknown service"),
        },
        "host" => {
            let enabled = enabled_hosts(sight);
            let unknown: Vec<&str> = rest
                .split_ascii_whitespace()
                .filter(|host| !enabled.contains(host))
                .collect();
            if !unknown.is_empty() {
                let unknown = one_line(&unknown.join(" "));
                return Turn::Say(format!(
                    "520 disable host failed, host(s) {unknown} do not exist\n"
                ));
            }
            (Target::Hosts(hosts(rest)), "220 disable host completed")
        }
        _ => return say("520 command could not be executed"),
    };
    let user = session.user().unwrap_or_default().to_owned();
    wish(Wish::Disable { target, user }, done)
}

/// `enable watch|service|host ...`
pub(super) fn enable(arguments: &str, sight: &Sight<'_>) -> Turn {
    let (what, rest) = first_word(arguments);
    let (target, done) = match what {
        "watch" => match watch(sight, rest) {
            Some(group) => (Target::Watch(group), "220 enable watch completed"),
            None => return say("520 enable error, unknown watch"),
        },
        "service" => match choice::service(sight.engine.model(), rest).id {
            Some(id) => (Target::Service(id), "220 enable completed"),
            None => return say("520 enable error, unknown group"),
        },
        "host" => (Target::Hosts(hosts(rest)), "220 enable completed"),
        _ => return say("520 command could not be executed"),
    };
    wish(Wish::Enable(target), done)
}

/// `test monitor|alert|upalert|startupalert|ackalert|disablealert|config ...`
pub(super) fn test(arguments: &str, sight: &Sight<'_>) -> Turn {
    let (what, rest) = first_word(arguments);
    let kind = match what {
        "config" => return Turn::Work(Work::TestConfig),
        "monitor" => return test_monitor(rest, sight),
        "alert" => AlertKind::Test,
        "upalert" => AlertKind::Up,
        "startupalert" => AlertKind::Startup,
        "ackalert" => AlertKind::Ack,
        "disablealert" => AlertKind::Disable,
        _ => return say("520 test error"),
    };
    let named = choice::service(sight.engine.model(), rest);
    let Some(service) = named.id else {
        let (group, name) = (one_line(named.group), one_line(named.name));
        return Turn::Say(format!("520 {group} {name} not defined\n"));
    };
    let (exit, label) = first_word(named.rest);
    let mut periods = sight.engine.model().service(service).periods.iter();
    let Some(period) = periods.position(|period| *period.label == *label) else {
        return say("520 period not defined");
    };
    let test = Wish::TestAlert {
        service,
        period,
        kind,
        exit: exit.parse().unwrap_or(0),
    };
    wish(test, "220 test alert completed")
}

/// The reply is the same for a service that does not exist, but for a line of data.
fn test_monitor(rest: &str, sight: &Sight<'_>) -> Turn {
    let named = choice::service(sight.engine.model(), rest);
    match named.id {
        Some(id) => wish(Wish::TestMonitor(id), "220 test monitor completed"),
        None => {
            let mut reply = String::new();
            let line = format!("{} {} not defined", named.group, named.name);
            super::data_line(&mut reply, &line);
            reply.push_str("220 test monitor completed\n");
            Turn::Say(reply)
        }
    }
}

/// The watch of that name.
fn watch(sight: &Sight<'_>, name: &str) -> Option<Arc<str>> {
    let mut services = sight.engine.model().services.iter();
    let service = services.find(|service| &*service.group == name)?;
    Some(Arc::clone(&service.group))
}

/// Every host that is not disabled in every group: one that is counts as unknown to `disable`.
fn enabled_hosts<'a>(sight: &Sight<'a>) -> BTreeSet<&'a str> {
    let engine = sight.engine;
    let groups = engine.model().hostgroups.iter();
    groups
        .flat_map(|group| {
            let members = group.members.iter();
            members.filter(move |member| !engine.is_member_disabled(group, member))
        })
        .map(|member| member.host.as_str())
        .collect()
}

/// Each once: a line has room for 32,000 words.
fn hosts(words: &str) -> Vec<HostName> {
    let mut seen = BTreeSet::new();
    let words = words.split_ascii_whitespace();
    let words = words.filter(|word| seen.insert(*word));
    words.map(HostName::new).collect()
}

fn say(reply: &str) -> Turn {
    Turn::Say(format!("{reply}\n"))
}

fn wish(wish: Wish, done: &str) -> Turn {
    Turn::Wish {
        wish: Box::new(wish),
        done: format!("{done}\n"),
    }
}
