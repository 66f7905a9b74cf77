//! Which watches and hosts are disabled. (Whether a service is, its own state knows.)
//!
//! A host is disabled in each group that has it, by a person or by a `*` in the file (C-10);
//! what a person says wins over the file. A watch is disabled by a person, or with the only
//! host of its group. Lasts across resets and restarts, for as long as the configuration has
//! the names; only a start as mon's forgets it (D20).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::engine::event::Target;
use crate::engine::saved::{ClassicDisabled, Record, Saved};
use crate::model::{HostName, Hostgroup, Member, Model};

/// Prefix of the journal keys of this file.
pub(super) const PREFIX: &str = "disabled ";

/// What operators have disabled.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Disabled {
    watches: BTreeSet<Arc<str>>,
    /// By group and host: whether it is disabled, where a person said so.
    hosts: BTreeMap<(Arc<str>, HostName), bool>,
}

/// One of them in the journal: a watch, or with a host that host of a group.
#[derive(Debug, Serialize, Deserialize)]
struct SavedDisabled {
    group: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    host: Option<String>,
    disabled: bool,
}

impl Disabled {
    /// As the journal has it; names that the configuration does not have are to be forgotten.
    pub(crate) fn restore(saved: &Saved, model: &Model) -> (Self, Vec<Record>) {
        let mut disabled = Self::default();
        let mut unreadable = Vec::new();
        let records = saved.records.iter();
        for (key, value) in records.filter(|(key, _)| key.starts_with(PREFIX)) {
            let Ok(entry) = serde_json::from_value::<SavedDisabled>(value.clone()) else {
                unreadable.push(forget(key.clone()));
                continue;
            };
            let group: Arc<str> = entry.group.into();
            match entry.host {
                Some(host) => {
                    let key = (group, HostName::new(&host));
                    disabled.hosts.insert(key, entry.disabled);
                }
                None => {
                    disabled.watches.insert(group);
                }
            }
        }
        unreadable.extend(disabled.prune(model));
        (disabled, unreadable)
    }

    /// Drops what the configuration no longer has; the records that forget it.
    pub(crate) fn prune(&mut self, model: &Model) -> Vec<Record> {
        let mut gone = Vec::new();
        self.watches.retain(|group| {
            let is_there = model.services.iter().any(|service| service.group == *group);
            if !is_there {
                gone.push(forget(watch_key(group)));
            }
            is_there
        });
        self.hosts.retain(|(group, host), _| {
            let mut groups = model.hostgroups.iter().filter(|known| known.name == *group);
            let is_there = groups.any(|group| has(group, host));
            if !is_there {
                gone.push(forget(host_key(group, host)));
            }
            is_there
        });
        gone
    }

    /// Everything that is to survive a restart.
    pub(crate) fn record_all(&self) -> impl Iterator<Item = Record> + '_ {
        let watches = self.watches.iter().map(|group| watch_record(group));
        let hosts = self.hosts.iter();
        watches.chain(hosts.map(|((group, host), &said)| host_record(group, host, said)))
    }

    /// Whether a person has disabled the watch of this group, or its only host.
    pub(crate) fn has_watch(&self, group: &str) -> bool {
        self.watches.contains(group)
    }

    /// Whether a member of a group is disabled.
    pub(crate) fn has_host(&self, group: &Hostgroup, member: &Member) -> bool {
        if self.hosts.is_empty() {
            return member.starts_disabled;
        }
        let key = (Arc::clone(&group.name), member.host.clone());
        let said = self.hosts.get(&key).copied();
        said.unwrap_or(member.starts_disabled)
    }

    /// The members of a group that are not disabled, in file order.
    pub(crate) fn enabled<'a>(&'a self, group: &'a Hostgroup) -> impl Iterator<Item = &'a Member> {
        let members = group.members.iter();
        members.filter(|member| !self.has_host(group, member))
    }

    /// A person speaks of a watch; the record of it.
    pub(crate) fn set_watch(&mut self, group: &Arc<str>, is_disabled: bool) -> Record {
        if is_disabled {
            self.watches.insert(Arc::clone(group));
            watch_record(group)
        } else {
            self.watches.remove(group);
            forget(watch_key(group))
        }
    }

    /// A person speaks of hosts, in every group that has them; one pass over the groups,
    /// however many there are. A watch of which one is the only host goes with it. Answers
    /// with the records; none where no group has any.
    pub(crate) fn set_hosts<'a>(
        &mut self,
        model: &Model,
        hosts: impl IntoIterator<Item = &'a HostName>,
        is_disabled: bool,
    ) -> Vec<Record> {
        let hosts: BTreeSet<&HostName> = hosts.into_iter().collect();
        let mut records = Vec::new();
        for group in &model.hostgroups {
            let mut seen = BTreeSet::new();
            let meant = group.members.iter().filter(|it| hosts.contains(&it.host));
            for member in meant.filter(|member| seen.insert(&member.host)) {
                let host = &member.host;
                let key = (Arc::clone(&group.name), host.clone());
                if member.starts_disabled == is_disabled {
                    self.hosts.remove(&key);
                    records.push(forget(host_key(&group.name, host)));
                } else {
                    self.hosts.insert(key, is_disabled);
                    records.push(host_record(&group.name, host, is_disabled));
                }
                if group.members.len() == 1 {
                    records.push(self.set_watch(&group.name, is_disabled));
                }
            }
        }
        records
    }

    /// What persons said of hosts: group, host, and whether it is disabled.
    pub(crate) fn hosts(&self) -> impl Iterator<Item = (&str, &HostName, bool)> {
        let hosts = self.hosts.iter();
        hosts.map(|((group, host), said)| (&**group, host, *said))
    }

    /// What a person said of this host of this group on the other director, or none any more;
    /// none where the group has no such host.
    pub(crate) fn share_host(
        &mut self,
        model: &Model,
        group: &str,
        host: &HostName,
        said: Option<bool>,
    ) -> Option<Record> {
        let mut groups = model.hostgroups.iter().filter(|it| *it.name == *group);
        let group = groups.find(|group| has(group, host))?;
        let key = (Arc::clone(&group.name), host.clone());
        Some(match said {
            Some(is_disabled) => {
                self.hosts.insert(key, is_disabled);
                host_record(&group.name, host, is_disabled)
            }
            None => {
                self.hosts.remove(&key);
                forget(host_key(&group.name, host))
            }
        })
    }

    /// What persons have disabled and these lines of a file do not name.
    pub(crate) fn beside(&self, named: &BTreeSet<&ClassicDisabled>) -> Vec<Target> {
        let lines = named.iter();
        let named_hosts: BTreeSet<HostName> = lines
            .filter_map(|line| match line {
                ClassicDisabled::Host(host) => Some(HostName::new(host)),
                ClassicDisabled::Watch(_) | ClassicDisabled::Service(..) => None,
            })
            .collect();
        let said = self.hosts.iter().filter(|(_, is_disabled)| **is_disabled);
        let beside = said.map(|((_, host), _)| host);
        let hosts: BTreeSet<&HostName> =
            beside.filter(|host| !named_hosts.contains(host)).collect();
        let mut targets = Vec::new();
        if !hosts.is_empty() {
            targets.push(Target::Hosts(hosts.into_iter().cloned().collect()));
        }
        let is_named = |group: &str| named.contains(&ClassicDisabled::Watch(group.to_owned()));
        let watches = self.watches.iter().filter(|group| !is_named(group));
        targets.extend(watches.cloned().map(Target::Watch));
        targets
    }

    /// The watches that are disabled.
    pub(crate) fn watches(&self) -> impl Iterator<Item = &str> {
        self.watches.iter().map(|group| &**group)
    }
}

fn has(group: &Hostgroup, host: &HostName) -> bool {
    group.members.iter().any(|member| member.host == *host)
}

fn watch_key(group: &str) -> String {
    format!("{PREFIX}watch {group}")
}

fn host_key(group: &str, host: &HostName) -> String {
    format!("{PREFIX}host {group} {host}")
}

fn watch_record(group: &str) -> Record {
    record(watch_key(group), group, None, true)
}

fn host_record(group: &str, host: &HostName, is_disabled: bool) -> Record {
    record(host_key(group, host), group, Some(host), is_disabled)
}

fn record(key: String, group: &str, host: Option<&HostName>, disabled: bool) -> Record {
    let entry = SavedDisabled {
        group: group.to_owned(),
        host: host.map(ToString::to_string),
        disabled,
    };
    // A struct of texts and a truth value has no way to fail here.
    let value = serde_json::to_value(entry).unwrap_or_default();
    Record { key, value }
}

fn forget(key: String) -> Record {
    Record {
        key,
        value: serde_json::Value::Null,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::fixture::{model_of, service};

    /// Groups `pair` (h1 h2) and `single` (h1).
    fn site() -> Model {
        let mut model = model_of(vec![service("pair", "s"), service("single", "s")], &["h1"]);
        model.hostgroups[0].members.push(Member {
            host: HostName::new("h2"),
            starts_disabled: true,
        });
        model
    }

    fn enabled(disabled: &Disabled, model: &Model, group: usize) -> Vec<String> {
        let members = disabled.enabled(&model.hostgroups[group]);
        members.map(|member| member.host.to_string()).collect()
    }

    #[test]
    fn a_host_goes_and_comes_in_every_group_and_takes_a_watch_of_its_own_along() {
        let model = site();
        let mut disabled = Disabled::default();
        assert_eq!(enabled(&disabled, &model, 0), ["h1"]);
        let host = HostName::new("h1");
        assert_eq!(disabled.set_hosts(&model, [&host], true).len(), 3);
        assert_eq!(enabled(&disabled, &model, 0), [""; 0]);
        assert_eq!(enabled(&disabled, &model, 1), [""; 0]);
        assert!(disabled.has_watch("single") && !disabled.has_watch("pair"));
        disabled.set_hosts(&model, [&host], false);
        assert_eq!(disabled, Disabled::default());
    }

    #[test]
    fn a_person_may_enable_what_the_file_disables() {
        let model = site();
        let mut disabled = Disabled::default();
        disabled.set_hosts(&model, [&HostName::new("h2")], false);
        assert_eq!(enabled(&disabled, &model, 0), ["h1", "h2"]);
        let unknown = HostName::new("h");
        assert!(disabled.set_hosts(&model, [&unknown], true).is_empty());
    }

    #[test]
    fn the_journal_says_the_same_and_forgets_what_the_file_no_longer_has() {
        let model = site();
        let mut disabled = Disabled::default();
        disabled.set_hosts(&model, [&HostName::new("h1")], true);
        disabled.set_hosts(&model, [&HostName::new("h2")], false);
        disabled.set_watch(&"pair".into(), true);
        let mut saved = Saved::default();
        for record in disabled.record_all() {
            saved.records.insert(record.key, record.value);
        }
        let key = "disabled watch odd".to_owned();
        saved.records.insert(key.clone(), serde_json::json!(7));
        let (restored, forgotten) = Disabled::restore(&saved, &model);
        assert_eq!(restored, disabled);
        assert_eq!(forgotten, [forget(key)]);
        let small = model_of(vec![service("single", "s")], &["h1"]);
        let (restored, forgotten) = Disabled::restore(&saved, &small);
        assert_eq!(restored.record_all().count(), 2);
        assert_eq!(forgotten.len(), 4);
    }
}
