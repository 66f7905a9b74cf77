//! What is a variable's value, and what may be set?
//!
//! mon lets clients read and write any key of its own tables. Here the engine knows the
//! variables that count, and keeps others aside (P-10, D31); what only the file knows is read
//! from the configuration (docs/mon.md, "Variables").

use crate::engine::event::Wish;
use crate::model::{DependBehavior, DependKind, Service, ServiceId};
use crate::protocol::choice::{self, Named};
use crate::protocol::command::first_word;
use crate::protocol::{Sight, Turn, escape, one_line, status_line};

/// Words that `set GROUP SERVICE opstatus` takes, those of mon.
const STATUS_WORDS: [&str; 8] = [
    "fail",
    "ok",
    "coldstart",
    "warmstart",
    "linkdown",
    "unknown",
    "timeout",
    "untested",
];

/// `set maxkeep N`, `set GROUP SERVICE VARIABLE VALUE`
pub(super) fn set(arguments: &str, sight: &Sight<'_>) -> Turn {
    let words: Vec<&str> = arguments.split_ascii_whitespace().take(3).collect();
    match words.as_slice() {
        // The library asks so for the value (P-15).
        ["maxkeep"] => return Turn::Say(maxkeep(sight)),
        // Words behind the number mean nothing.
        ["maxkeep", number, ..] if number.bytes().all(|byte| byte.is_ascii_digit()) => {
            // More than any history may hold is as much as it may.
            let length = number.parse().unwrap_or(u32::MAX);
            return wish(Wish::SetHistoryLength(length), String::new());
        }
        _ => {}
    }
    let named = choice::service(sight.engine.model(), arguments);
    let Some(service) = named.id else {
        return undefined(&named);
    };
    let (variable, rest) = first_word(named.rest);
    if variable == "opstatus" {
        let known = STATUS_WORDS.contains(&rest);
        return if known {
            let change = change(service, variable, rest.to_owned());
            wish(change, String::new())
        } else {
            Turn::Say("520 undefined opstatus\n".to_owned())
        };
    }
    let value = escape::value(rest);
    // Raw in mon, so that a line end in it breaks the reply.
    let shown = one_line(&value);
    let (group, name) = (named.group, named.name);
    let line = format!("{group} {name} {}='{shown}'\n", one_line(variable));
    wish(change(service, variable, value), line)
}

fn change(service: ServiceId, variable: &str, value: String) -> Wish {
    Wish::Set {
        service,
        variable: variable.to_owned(),
        value,
    }
}

fn wish(wish: Wish, mut data: String) -> Turn {
    data.push_str("220 set completed\n");
    Turn::Wish {
        wish: Box::new(wish),
        done: data,
    }
}

/// `get maxkeep`, `get GROUP SERVICE VARIABLE`
pub(super) fn get(arguments: &str, sight: &Sight<'_>) -> Turn {
    if arguments == "maxkeep" {
        return Turn::Say(maxkeep(sight));
    }
    let named = choice::service(sight.engine.model(), arguments);
    let Some(id) = named.id else {
        return undefined(&named);
    };
    // A name of two words is no variable's.
    let variable = named.rest;
    let (group, name) = (named.group, named.name);
    let mut reply = format!("{group} {name} {}='", one_line(variable));
    escape::field(&mut reply, &value(id, variable, sight));
    reply.push_str("'\n220 get completed\n");
    Turn::Say(reply)
}

/// The end of the reply speaks of `set` in mon too.
fn maxkeep(sight: &Sight<'_>) -> String {
    let length = sight.engine.history_length();
    format!("maxkeep = {length}\n220 set completed\n")
}

fn undefined(named: &Named<'_>) -> Turn {
    let (group, name) = (one_line(named.group), one_line(named.name));
    Turn::Say(format!("520 {group},{name} not defined\n"))
}

/// The value of a variable; empty where there is none.
fn value(id: ServiceId, variable: &str, sight: &Sight<'_>) -> String {
    let service = sight.engine.model().services.get(id.index());
    service
        .and_then(|service| written(service, variable))
        .or_else(|| sight.engine.variable(id, variable))
        .or_else(|| zero(variable))
        .unwrap_or_default()
}

/// What the file says in its own words, which nobody can change.
fn written(service: &Service, variable: &str) -> Option<String> {
    let depends = |kind| status_line::expression(service, kind).map(str::to_owned);
    match variable {
        "service" => Some(service.name.to_string()),
        "monitor" => service.monitor.as_deref().map(|it| it.written.to_string()),
        "redistribute" => service.redistribute.as_deref().map(|alert| {
            let line = format!("{} {}", alert.name, alert.shown());
            line.trim_end().to_owned()
        }),
        "exclude_period" => service.exclude_period_text.as_deref().map(str::to_owned),
        "depend" => depends(DependKind::Depend),
        "alertdepend" => depends(DependKind::Alert),
        "monitordepend" => depends(DependKind::Monitor),
        "hostdepend" => depends(DependKind::Host),
        "dep_behavior" => Some(
            match service.dep_behavior {
                DependBehavior::Alerts => "a",
                DependBehavior::Monitor => "m",
                DependBehavior::Hosts => "hm",
            }
            .to_owned(),
        ),
        _ => None,
    }
}

/// What mon shows as 0 where the file says nothing.
fn zero(variable: &str) -> Option<String> {
    ["randskew", "dep_memory", "unack_summary"]
        .contains(&variable)
        .then(|| "0".to_owned())
}
