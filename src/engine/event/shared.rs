//! What do operators wish on both directors of a pair, and how do these write it to each other?
//!
//! A wish has a name and a value that are the same on both. They are read here, once, before
//! anything is done about them: what nobody can have said is refused with the reason.

use std::sync::Arc;

use serde_json::Value;

use crate::engine::manual::{self, EntryKey, SharedOrder};
use crate::model::HostName;
use crate::pair::talk::wishes::StampedWish;

/// What a name begins with.
const SERVICE: &str = "service ";
const WATCH: &str = "watch ";
const HOST: &str = "host ";

/// What an operator said on the other director.
#[derive(Clone, Debug, PartialEq)]
pub struct PeerWish {
    /// What.
    pub wish: SharedWish,
    /// By how much the clock of its times is ahead of ours, in microseconds.
    pub ahead_micros: i64,
}

/// What is wished of something, or no longer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SharedWish {
    /// Of the alerts of a watch.
    Watch {
        /// The group's name.
        group: Arc<str>,
        /// What is said of it.
        said: Alerts,
    },
    /// Of the alerts of a service.
    Service {
        /// The group's name.
        group: Arc<str>,
        /// Its own.
        service: Arc<str>,
        /// What is said of it.
        said: Alerts,
    },
    /// Of a host in a group.
    Host {
        /// The group's name.
        group: Arc<str>,
        /// Its own.
        host: HostName,
        /// Whether it is disabled; none: the file says so, and no person.
        is_disabled: Option<bool>,
    },
    /// Of a real server in a virtual service.
    Server(ServerWord),
}

/// Whether alerts go out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Alerts {
    /// They do.
    Enabled,
    /// A person has disabled them.
    Disabled,
}

/// What is said of a real server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ServerWord {
    /// This is wished of it.
    Wished(Box<SharedOrder>),
    /// Nothing is any more.
    Ended(EntryKey),
}

/// Why something is no wish that operators share.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoWish {
    /// Its name is nobody's.
    #[error("its name is none of a watch, a service, a host or a real server")]
    Name,
    /// So is its value.
    #[error("its value says nothing that this version of lvsmon knows of such a thing")]
    Value,
    /// More than a person may ask for.
    #[error("its weight or its time is greater than any that lvsmon takes")]
    Bounds,
}

impl SharedWish {
    /// Reads a name and a value; none where nothing is wished any more.
    ///
    /// # Errors
    ///
    /// Nobody can have said that.
    pub fn of(name: &str, value: Option<&Value>) -> Result<Self, NoWish> {
        if let Some(rest) = name.strip_prefix(SERVICE) {
            let (group, service) = rest.split_once(' ').ok_or(NoWish::Name)?;
            return Ok(Self::Service {
                group: group.into(),
                service: service.into(),
                said: Alerts::of(value)?,
            });
        }
        if let Some(group) = name.strip_prefix(WATCH) {
            return Ok(Self::Watch {
                group: group.into(),
                said: Alerts::of(value)?,
            });
        }
        if let Some(rest) = name.strip_prefix(HOST) {
            let (group, host) = rest.split_once(' ').ok_or(NoWish::Name)?;
            let is_disabled = value.map(|it| it.as_bool().ok_or(NoWish::Value));
            return Ok(Self::Host {
                group: group.into(),
                host: HostName::new(host),
                is_disabled: is_disabled.transpose()?,
            });
        }
        let entry = manual::entry_named(name).ok_or(NoWish::Name)?;
        Ok(Self::Server(match value {
            None => ServerWord::Ended(entry),
            Some(value) => ServerWord::Wished(Box::new(SharedOrder::of(entry, value)?)),
        }))
    }

    /// The name.
    #[must_use]
    pub fn name(&self) -> String {
        match self {
            Self::Watch { group, .. } => format!("{WATCH}{group}"),
            Self::Service { group, service, .. } => format!("{SERVICE}{group} {service}"),
            Self::Host { group, host, .. } => format!("{HOST}{group} {host}"),
            Self::Server(ServerWord::Wished(order)) => manual::key(order.entry()),
            Self::Server(ServerWord::Ended(entry)) => manual::key(*entry),
        }
    }

    /// The value; none where nothing is wished any more.
    #[must_use]
    pub fn value(&self) -> Option<Value> {
        match self {
            Self::Watch { said, .. } | Self::Service { said, .. } => said.value(),
            Self::Host { is_disabled, .. } => is_disabled.map(Value::Bool),
            Self::Server(ServerWord::Wished(order)) => Some(order.value()),
            Self::Server(ServerWord::Ended(_)) => None,
        }
    }
}

impl Alerts {
    /// Whether a person has disabled them.
    #[must_use]
    pub const fn is_disabled(self) -> bool {
        matches!(self, Self::Disabled)
    }

    fn of(value: Option<&Value>) -> Result<Self, NoWish> {
        match value {
            None => Ok(Self::Enabled),
            Some(Value::Bool(true)) => Ok(Self::Disabled),
            Some(_) => Err(NoWish::Value),
        }
    }

    fn value(self) -> Option<Value> {
        self.is_disabled().then_some(Value::Bool(true))
    }
}

impl TryFrom<StampedWish> for PeerWish {
    type Error = NoWish;

    fn try_from(stamped: StampedWish) -> Result<Self, NoWish> {
        Ok(Self {
            wish: SharedWish::of(&stamped.key, stamped.value.as_ref())?,
            ahead_micros: stamped.ahead_micros,
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_read_is_written_as_it_was() {
        let drain = json!({
            "virtual_service": "10.0.0.3:80/tcp", "server": "10.1.0.1:80",
            "wish": "drain", "limit_s": 600, "by": "ann", "since": 7,
        });
        for (name, value) in [
            ("watch web", Some(json!(true))),
            ("watch web", None),
            ("service web http", Some(json!(true))),
            ("service web http", None),
            ("host web www1", Some(json!(true))),
            ("host web www1", Some(json!(false))),
            ("host web www1", None),
            ("wish 10.0.0.3:80/tcp 10.1.0.1:80", None),
            ("wish fwmark 7/v6 [2001:db8::1]:0", None),
            ("wish 10.0.0.3:80/tcp 10.1.0.1:80", Some(drain)),
        ] {
            let wish = SharedWish::of(name, value.as_ref()).unwrap();
            assert_eq!((wish.name().as_str(), wish.value()), (name, value));
        }
    }

    #[test]
    fn what_nobody_can_have_said_is_refused_with_the_reason() {
        let order = |virtual_service: &str, wish: &str, weight: u32| {
            json!({
                "virtual_service": virtual_service, "server": "10.1.0.1:80",
                "wish": wish, "weight": weight, "by": "ann", "since": 7,
            })
        };
        let server = "wish 10.0.0.3:80/tcp 10.1.0.1:80";
        let fine = order("10.0.0.3:80/tcp", "weight", 7);
        assert!(SharedWish::of(server, Some(&fine)).is_ok());
        for (name, value, why) in [
            ("", None, NoWish::Name),
            ("odd", Some(json!(true)), NoWish::Name),
            ("host", None, NoWish::Name),
            ("service web", None, NoWish::Name),
            ("wish", None, NoWish::Name),
            ("wish nonsense", None, NoWish::Name),
            ("wish fwmark 7/v6", None, NoWish::Name),
            // It is written in one way.
            ("wish fwmark 7/v6 [2001:db8:0::1]:0", None, NoWish::Name),
            ("watch web", Some(json!(false)), NoWish::Value),
            ("service web http", Some(json!("yes")), NoWish::Value),
            ("host web www1", Some(json!(null)), NoWish::Value),
            (server, Some(json!(true)), NoWish::Value),
            (
                server,
                Some(order("10.0.0.3:80/tcp", "dance", 7)),
                NoWish::Value,
            ),
            // Of another entry than the name says.
            (
                server,
                Some(order("10.0.0.4:80/tcp", "weight", 7)),
                NoWish::Value,
            ),
            (
                server,
                Some(order("10.0.0.3:80/tcp", "weight", 65_536)),
                NoWish::Bounds,
            ),
        ] {
            assert_eq!(
                SharedWish::of(name, value.as_ref()),
                Err(why),
                "{name} {value:?}"
            );
        }
    }
}
