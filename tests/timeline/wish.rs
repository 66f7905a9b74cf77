//! Reading what a person wishes in a timeline, and traps; names are looked up when it is said.

use std::net::{IpAddr, Ipv4Addr};

use lvsmon::engine::event::{
    Aim, AlertKind, Caution, ManualWish, Order, RealServerName, Target, Trap, Wish,
};
use lvsmon::model::{HostName, Model, ServiceId};
use lvsmon::time::timeval;

use super::step::unquoted;

/// A wish as it stands in a story.
pub(crate) enum Asked {
    EnableServer(String),
    Manual(ManualWish, String, Vec<String>),
    Enable(On),
    Disable(On, String),
    Ack {
        service: String,
        user: String,
        comment: String,
    },
    Stop,
    Start,
    ClearTimers(String),
    TestMonitor(String),
    TestAlert {
        service: String,
        kind: AlertKind,
        exit: i32,
        period: String,
    },
    Set {
        service: String,
        variable: String,
        value: String,
    },
    SetHistoryLength(u32),
}

fn owned(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| unquoted(word)).collect()
}

fn aim(server: &str, within: Option<String>) -> Aim {
    Aim {
        server: RealServerName(server.to_owned()),
        within,
    }
}

/// What follows the server: `in "VIRTUAL"`, `for TIME`, `because "WHY"`, by joe.
fn order(wish: ManualWish, server: &str, rest: &[String]) -> Order {
    let value = |word: &str| {
        let at = rest.iter().position(|it| it == word)?;
        rest.get(at + 1).cloned()
    };
    Order {
        aim: aim(server, value("in")),
        wish,
        span: value("for").map(|span| timeval(&span).unwrap()),
        by: "joe".to_owned(),
        reason: value("because").unwrap_or_default(),
        caution: Caution::Refuse,
    }
}

/// Whom a wish is about.
pub(crate) enum On {
    Watch(String),
    Service(String),
    Hosts(Vec<String>),
}

impl Asked {
    /// What these words ask for; none where they are no wish.
    pub(crate) fn parse(words: &[&str]) -> Result<Option<Self>, String> {
        let own = |word: &str| unquoted(word);
        Ok(Some(match words {
            ["enable", "watch" | "service" | "host", ..] => Self::Enable(on(&words[1..])?),
            ["drain", server, limit, rest @ ..] => {
                let limit = timeval(limit).map_err(|error| error.to_string())?;
                let limit_s = limit.as_secs();
                Self::Manual(ManualWish::Drain { limit_s }, own(server), owned(rest))
            }
            ["quiesce", server, rest @ ..] => {
                Self::Manual(ManualWish::Quiesce, own(server), owned(rest))
            }
            ["disable", "server", server, rest @ ..] => {
                Self::Manual(ManualWish::Disable, own(server), owned(rest))
            }
            ["weight", weight, server, rest @ ..] => {
                let weight = weight.parse().map_err(|_| "no weight".to_owned())?;
                Self::Manual(ManualWish::Weight { weight }, own(server), owned(rest))
            }
            ["enable", server] => Self::EnableServer(own(server)),
            ["disable", ..] => Self::Disable(on(&words[1..])?, "joe".to_owned()),
            ["ack", service, comment] => Self::Ack {
                service: own(service),
                user: String::new(),
                comment: own(comment),
            },
            ["ack", service, "by", user, comment] => Self::Ack {
                service: own(service),
                user: own(user),
                comment: own(comment),
            },
            ["stop"] => Self::Stop,
            ["start"] => Self::Start,
            ["clear", "timers", service] => Self::ClearTimers(own(service)),
            ["test", "monitor", service] => Self::TestMonitor(own(service)),
            ["test", list, service, exit, period] => Self::TestAlert {
                service: own(service),
                kind: kind(list)?,
                exit: exit.parse().map_err(|_| format!("{exit} is no number"))?,
                period: own(period),
            },
            ["set", "maxkeep", number] => {
                Self::SetHistoryLength(number.parse().map_err(|_| "no number".to_owned())?)
            }
            ["set", service, variable, value] => Self::Set {
                service: own(service),
                variable: own(variable),
                value: own(value),
            },
            _ => return Ok(None),
        }))
    }

    /// The wish, with names looked up in the configuration in force.
    pub(crate) fn of(&self, model: &Model) -> Wish {
        match self {
            Self::EnableServer(server) => Wish::EnableServer(aim(server, None)),
            Self::Manual(wish, server, rest) => Wish::Manual(order(*wish, server, rest)),
            Self::Enable(on) => Wish::Enable(on.of(model)),
            Self::Disable(on, user) => Wish::Disable {
                target: on.of(model),
                user: user.clone(),
            },
            Self::Ack {
                service,
                user,
                comment,
            } => Wish::Ack {
                service: find(model, service),
                user: user.clone(),
                comment: comment.clone(),
            },
            Self::Stop => Wish::Stop,
            Self::Start => Wish::Start,
            Self::ClearTimers(service) => Wish::ClearTimers(find(model, service)),
            Self::TestMonitor(service) => Wish::TestMonitor(find(model, service)),
            Self::TestAlert {
                service,
                kind,
                exit,
                period,
            } => {
                let service = find(model, service);
                let mut periods = model.service(service).periods.iter();
                Wish::TestAlert {
                    service,
                    period: periods
                        .position(|known| *known.label == **period)
                        .unwrap_or_else(|| panic!("no period {period:?}")),
                    kind: *kind,
                    exit: *exit,
                }
            }
            Self::Set {
                service,
                variable,
                value,
            } => Wish::Set {
                service: find(model, service),
                variable: variable.clone(),
                value: value.clone(),
            },
            Self::SetHistoryLength(length) => Wish::SetHistoryLength(*length),
        }
    }
}

impl On {
    fn of(&self, model: &Model) -> Target {
        match self {
            Self::Watch(name) => Target::Watch(name.as_str().into()),
            Self::Service(name) => Target::Service(find(model, name)),
            Self::Hosts(names) => {
                Target::Hosts(names.iter().map(|name| HostName::new(name)).collect())
            }
        }
    }
}

fn on(words: &[&str]) -> Result<On, String> {
    let names = || words[1..].iter().map(|&word| word.to_owned());
    match words {
        ["watch", name] => Ok(On::Watch((*name).to_owned())),
        ["service", name] => Ok(On::Service((*name).to_owned())),
        ["host", _, ..] => Ok(On::Hosts(names().collect())),
        _ => Err("watch NAME, service NAME or host NAME...".to_owned()),
    }
}

fn kind(list: &str) -> Result<AlertKind, String> {
    Ok(match list {
        "alert" => AlertKind::Test,
        "upalert" => AlertKind::Up,
        "startupalert" => AlertKind::Startup,
        "ackalert" => AlertKind::Ack,
        "disablealert" => AlertKind::Disable,
        _ => return Err(format!("{list} cannot be tested")),
    })
}

/// A trap: `trap GROUP/SERVICE STATUS "summary" "detail"`, from 192.0.2.7.
pub(crate) fn trap(words: &[&str]) -> Option<Trap> {
    let (name, status, rest) = match words {
        ["trap", name, status, rest @ ..] => (name, status, rest),
        _ => return None,
    };
    let (group, service) = name.split_once('/')?;
    let text = |index: usize| {
        rest.get(index)
            .map_or_else(String::new, |word| unquoted(word))
    };
    Some(Trap {
        group: group.to_owned(),
        service: service.to_owned(),
        status: unquoted(status),
        summary: text(0),
        detail: text(1),
        from: IpAddr::V4(Ipv4Addr::new(192, 0, 2, 7)),
    })
}

/// The service of this name, with or without its group.
pub(crate) fn find(model: &Model, name: &str) -> ServiceId {
    let mut services = model.services();
    let found = services.find(|(_, known)| {
        *known.name == *name || format!("{}/{}", known.group, known.name) == name
    });
    found.unwrap_or_else(|| panic!("no service {name}")).0
}
