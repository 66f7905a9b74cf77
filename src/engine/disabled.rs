//! Which watches and hosts are disabled. (Whether a service is, its own state knows.)
//!
//! A host is disabled in each group that has it, on its own or by a `*` in the file (C-10);
//! what a person says wins over the file. A watch is disabled on its own, or because the only
//! host of its group is. Lasts across resets and restarts; names that the configuration no
//! longer has are kept in mind for as long as the daemon lives.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::model::{HostName, Hostgroup, Member};

/// What operators have disabled.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Disabled {
    pub(super) watches: BTreeSet<Arc<str>>,
    /// By group and host: whether it is disabled, where a person said so.
    pub(super) hosts: BTreeMap<(Arc<str>, HostName), bool>,
}

impl Disabled {
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
        group
            .members
            .iter()
            .filter(|member| !self.has_host(group, member))
    }
}
