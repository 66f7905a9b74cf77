//! What operators ask for, in the words of mon's clients.

use crate::engine::event::{Aim, ManualWish, Target, Wish};
use crate::model::{HostName, Model, ServiceId};
use crate::text;

/// What was asked, such as `disable service web/http`; who asked: [`user`].
#[must_use]
pub fn words(model: &Model, wish: &Wish) -> String {
    let name = |id: ServiceId| name(model, id);
    match wish {
        Wish::EnableServer(aim) => format!("enable server {}", aimed(aim)),
        Wish::Manual(order) => {
            let what = match order.wish {
                ManualWish::Drain { .. } => "drain".to_owned(),
                ManualWish::Quiesce => "quiesce".to_owned(),
                ManualWish::Disable => "disable".to_owned(),
                ManualWish::Weight { weight } => format!("weight {weight}"),
            };
            let reason = text::one_line(&order.reason);
            format!("{what} server {} {reason}", aimed(&order.aim))
        }
        Wish::Enable(target) => format!("enable {}", aim(model, target)),
        Wish::Disable { target, user: _ } => format!("disable {}", aim(model, target)),
        Wish::Ack {
            service,
            user: _,
            comment,
        } => format!("ack {} {comment}", name(*service)),
        Wish::Stop => "stop".to_owned(),
        Wish::Start => "start".to_owned(),
        Wish::ClearTimers(service) => format!("clear timers {}", name(*service)),
        Wish::TestMonitor(service) => format!("test monitor {}", name(*service)),
        Wish::TestAlert {
            service,
            period,
            kind,
            exit,
        } => {
            let periods = model.services.get(service.index());
            let period = periods.and_then(|service| service.periods.get(*period));
            let period = period.map_or("", |period| &*period.label);
            format!(
                "test {} {} {exit} {period}",
                kind.history_word(),
                name(*service)
            )
        }
        Wish::Set {
            service,
            variable,
            value,
        } => format!("set {} {variable} {value}", name(*service)),
        Wish::SetHistoryLength(length) => format!("set maxkeep {length}"),
        Wish::LoadState(_) => "loadstate".to_owned(),
    }
    .trim_end()
    .to_owned()
}

/// Who asked, where the wish says it.
#[must_use]
pub fn user(wish: &Wish) -> Option<&str> {
    match wish {
        Wish::Disable { user, .. } | Wish::Ack { user, .. } if !user.is_empty() => Some(user),
        Wish::Manual(order) => Some(&order.by),
        Wish::Disable { .. }
        | Wish::Ack { .. }
        | Wish::EnableServer(_)
        | Wish::Enable(_)
        | Wish::Stop
        | Wish::Start
        | Wish::ClearTimers(_)
        | Wish::TestMonitor(_)
        | Wish::TestAlert { .. }
        | Wish::Set { .. }
        | Wish::SetHistoryLength(_)
        | Wish::LoadState(_) => None,
    }
}

fn aimed(aim: &Aim) -> String {
    match &aim.within {
        Some(within) => format!("{} in {within}", aim.server.0),
        None => aim.server.0.clone(),
    }
}

fn aim(model: &Model, target: &Target) -> String {
    match target {
        Target::Watch(group) => format!("watch {group}"),
        Target::Service(id) => format!("service {}", name(model, *id)),
        Target::Hosts(hosts) => {
            let hosts: Vec<&str> = hosts.iter().map(HostName::as_str).collect();
            format!("host {}", hosts.join(" "))
        }
    }
}

fn name(model: &Model, id: ServiceId) -> String {
    // A service of the configuration before a reload may be named here for a moment.
    let service = model.services.get(id.index());
    service.map_or_else(
        || "?/?".to_owned(),
        |service| format!("{}/{}", service.group, service.name),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config;
    use crate::engine::event::{AlertKind, Caution, Order, RealServerName};

    #[test]
    fn wishes_are_said_in_the_words_of_clients() {
        let text = "hostgroup web h1 h2\n\nwatch web\n service http\n  interval 1m\n  \
                    monitor x\n  period p: wd {Sun-Sat}\n   alert y\n";
        let (model, _) = config::load_text(text).expect("a good file");
        let service = ServiceId(0);
        let hosts = vec![HostName::new("h1"), HostName::new("h2")];
        let aim = |within: Option<&str>| Aim {
            server: RealServerName("10.0.0.7".to_owned()),
            within: within.map(str::to_owned),
        };
        for (wish, expected, by) in [
            (Wish::Stop, "stop", None),
            (
                Wish::Disable {
                    target: Target::Service(service),
                    user: "ann".to_owned(),
                },
                "disable service web/http",
                Some("ann"),
            ),
            (
                Wish::Enable(Target::Hosts(hosts)),
                "enable host h1 h2",
                None,
            ),
            (
                Wish::Ack {
                    service,
                    user: String::new(),
                    comment: "on it".to_owned(),
                },
                "ack web/http on it",
                None,
            ),
            (
                Wish::TestAlert {
                    service,
                    period: 0,
                    kind: AlertKind::Up,
                    exit: 0,
                },
                "test upalert web/http 0 p",
                None,
            ),
            (Wish::TestMonitor(ServiceId(7)), "test monitor ?/?", None),
            (
                Wish::EnableServer(aim(Some("fwmark 7"))),
                "enable server 10.0.0.7 in fwmark 7",
                None,
            ),
            (
                Wish::Manual(Order {
                    aim: aim(None),
                    wish: ManualWish::Weight { weight: 3 },
                    span: None,
                    by: "ann".to_owned(),
                    reason: "new\nkernel".to_owned(),
                    caution: Caution::Refuse,
                }),
                "weight 3 server 10.0.0.7 new kernel",
                Some("ann"),
            ),
        ] {
            assert_eq!(words(&model, &wish), expected);
            assert_eq!(user(&wish), by);
        }
    }
}
