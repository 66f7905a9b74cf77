//! Which synchronisation daemons run in which role (D35)?
//!
//! The active director tells of its connections, the other one takes them in: one daemon on each,
//! which changes with the role. A level: what is wanted is compared with what runs
//! ([`crate::lvs::sync_diff`]), whatever happened before.

use std::net::IpAddr;
use std::str::FromStr;

use crate::lvs::{Interface, SyncDaemon, SyncRole};
use crate::pair::role::Role;

/// What `sync_daemon` says: the daemon of a standby.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SyncSettings(SyncDaemon);

impl SyncSettings {
    /// The daemon of a director of that role.
    #[must_use]
    pub fn daemon(&self, role: Role) -> SyncDaemon {
        SyncDaemon {
            role: match role {
                Role::Alone | Role::Active => SyncRole::Master,
                Role::Standby | Role::Fault => SyncRole::Backup,
            },
            ..self.0.clone()
        }
    }
}

impl FromStr for SyncSettings {
    type Err = String;

    /// `INTERFACE [syncid N] [group ADDRESS] [port N] [ttl N] [maxlen N]`
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut words = text.split_whitespace();
        let name = words.next().unwrap_or_default();
        let interface = Interface::new(name).ok_or_else(|| {
            "write INTERFACE [syncid N] [group ADDRESS] [port N] [ttl N] [maxlen N]".to_owned()
        })?;
        let mut settings = SyncDaemon::new(SyncRole::Backup, interface, 0);
        let mut said = Vec::new();
        while let Some(word) = words.next() {
            let value = words.next().unwrap_or_default();
            if said.contains(&word) {
                return Err(format!("write {word} once"));
            }
            said.push(word);
            let is_good = match word {
                "syncid" => value.parse().is_ok_and(|id| {
                    settings.id = id;
                    true
                }),
                "group" => {
                    let group = value.parse().ok();
                    settings.group = group.filter(IpAddr::is_multicast);
                    settings.group.is_some()
                }
                "port" => {
                    settings.port = value.parse().ok().filter(|&port| port > 0);
                    settings.port.is_some()
                }
                "ttl" => {
                    settings.ttl = value.parse().ok().filter(|&ttl| ttl > 0);
                    settings.ttl.is_some()
                }
                "maxlen" => {
                    settings.length_max = value.parse().ok().filter(|&length| length > 0);
                    settings.length_max.is_some()
                }
                _ => {
                    return Err(format!(
                        "\"{word}\" is none of syncid, group, port, ttl, maxlen"
                    ));
                }
            };
            if !is_good {
                return Err(match word {
                    "syncid" | "ttl" => format!("write a number up to 255 behind {word}"),
                    "group" => "write a multicast address behind group, as 224.0.0.81".to_owned(),
                    _ => format!("write a number up to 65535 behind {word}"),
                });
            }
        }
        Ok(Self(settings))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lvs::sync_diff;

    #[test]
    fn the_words_of_a_sync_daemon_are_read() {
        let read: SyncSettings = "eth0 syncid 7 group 224.0.0.82 port 9 ttl 2 maxlen 1400"
            .parse()
            .unwrap();
        let daemon = read.daemon(Role::Active);
        assert_eq!(daemon.to_string(), "master on eth0, syncid 7");
        assert_eq!(
            (daemon.group, daemon.port, daemon.ttl, daemon.length_max),
            (
                Some("224.0.0.82".parse().unwrap()),
                Some(9),
                Some(2),
                Some(1_400)
            )
        );
        let short: SyncSettings = "eth0".parse().unwrap();
        assert_eq!(
            short.daemon(Role::Standby).to_string(),
            "backup on eth0, syncid 0"
        );
        for wrong in [
            "",
            "eth0/1",
            "eth0 syncid",
            "eth0 syncid 256",
            "eth0 group 10.0.0.1",
            "eth0 port 0",
            "eth0 ttl 0",
            "eth0 maxlen 70000",
            "eth0 speed 7",
            "eth0 ttl 1 ttl 2",
        ] {
            assert!(wrong.parse::<SyncSettings>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_change_of_the_role_stops_one_daemon_and_starts_the_other() {
        let settings: SyncSettings = "eth0 syncid 7".parse().unwrap();
        let changes = |from, to| {
            let changes = sync_diff(&[settings.daemon(to)], &[settings.daemon(from)]);
            changes.iter().map(ToString::to_string).collect::<Vec<_>>()
        };
        assert_eq!(
            changes(Role::Standby, Role::Active),
            [
                "stop connection synchronisation: backup",
                "start connection synchronisation: master on eth0, syncid 7"
            ]
        );
        assert!(changes(Role::Standby, Role::Fault).is_empty());
        assert!(changes(Role::Alone, Role::Active).is_empty());
    }
}
