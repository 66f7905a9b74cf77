//! Which hosts are in which group.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::config::check::report::Report;
use crate::config::lines::Span;
use crate::config::syntax::{self, Item};
use crate::model::{GroupId, HostName, Hostgroup, Member};

/// All hostgroups in file order.
#[derive(Debug, Default)]
pub(super) struct Groups {
    list: Vec<Hostgroup>,
    index: BTreeMap<Arc<str>, usize>,
    /// Where each is defined, and whether a watch uses it.
    places: Vec<(Span, bool)>,
}

impl Groups {
    /// Reads the `hostgroup` records; they may stand behind the watches that use them.
    pub(super) fn collect(report: &mut Report<'_>, items: &[Item]) -> Self {
        let mut groups = Self::default();
        for item in items {
            if let Item::Hostgroup(record) = item {
                groups.add(report, record);
            }
        }
        groups
    }

    fn add(&mut self, report: &mut Report<'_>, record: &syntax::Hostgroup) {
        let name = report.text(record.name);
        let members: Vec<Member> = record
            .hosts
            .iter()
            .map(|&host| member(report.text(host)))
            .collect();
        disabled(report, &record.hosts, &members);
        like_a_status(report, record.name);
        match self.index.get(name) {
            Some(&known) => {
                let message = format!("hostgroup \"{name}\" is defined again, this one counts");
                report.warn(record.name, message, "the earlier one is dropped");
                self.list[known].members = members;
                self.places[known].0 = record.name;
            }
            None => {
                self.insert(name, members, (record.name, false));
            }
        }
    }

    fn insert(&mut self, name: &str, members: Vec<Member>, place: (Span, bool)) -> usize {
        let name: Arc<str> = name.into();
        let index = self.list.len();
        self.index.insert(name.clone(), index);
        self.list.push(Hostgroup { name, members });
        self.places.push(place);
        index
    }

    /// The group of a watch; one that nobody defined has the watch's name as its only member.
    pub(super) fn of_watch(&mut self, report: &mut Report<'_>, watch: Span) -> GroupId {
        let name = report.text(watch);
        let index = match self.index.get(name) {
            Some(&index) => index,
            None => {
                let message = format!("watch \"{name}\" has no hostgroup of that name");
                let help = format!("one with the only member \"{name}\" is assumed");
                report.warn(watch, message, help);
                like_a_status(report, watch);
                let host = HostName::new(name);
                let starts_disabled = false;
                self.insert(
                    name,
                    vec![Member {
                        host,
                        starts_disabled,
                    }],
                    (watch, true),
                )
            }
        };
        self.places[index].1 = true;
        GroupId(u32::try_from(index).unwrap_or(u32::MAX))
    }

    /// The group of that name for a `virtual` section, whose real servers its hosts are.
    pub(super) fn used_by_section(&mut self, name: &str) -> Option<&Hostgroup> {
        let &index = self.index.get(name)?;
        self.places.get_mut(index)?.1 = true;
        self.list.get(index)
    }

    /// Warns of groups that neither a watch nor a section uses.
    pub(super) fn unused(&self, report: &mut Report<'_>) {
        for (group, &(place, is_used)) in self.list.iter().zip(&self.places) {
            if !is_used {
                let message = format!("hostgroup \"{}\" has no watch", group.name);
                report.warn(place, message, "its hosts are not checked");
            }
        }
    }

    pub(super) fn list(&self) -> &[Hostgroup] {
        &self.list
    }

    pub(super) fn into_list(self) -> Vec<Hostgroup> {
        self.list
    }
}

fn member(word: &str) -> Member {
    // C-10: mon marks disabled hosts with a star and reads its own mark.
    let name = word.strip_prefix('*');
    Member {
        host: HostName::new(name.unwrap_or(word)),
        starts_disabled: name.is_some(),
    }
}

/// Warns of a name that clients take for the number of a reply (P-2): a line of a listing that
/// begins with it ends the listing for them.
fn like_a_status(report: &mut Report<'_>, name: Span) {
    let text = report.text(name);
    if text.len() == 3 && text.bytes().all(|byte| byte.is_ascii_digit()) {
        let message = format!("group \"{text}\" looks like the number that ends a reply");
        let help = "mon's clients misread listings with it: give it another name";
        report.warn(name, message, help);
    }
}

/// One warning for all hosts of a group that are disabled from the start.
fn disabled(report: &mut Report<'_>, words: &[Span], members: &[Member]) {
    let mut found = words
        .iter()
        .zip(members)
        .filter(|(_, member)| member.starts_disabled);
    let Some((&place, member)) = found.next() else {
        return;
    };
    let name = &member.host;
    let message = match found.count() {
        0 => format!("host \"{name}\" is disabled from the start"),
        others => format!("host \"{name}\" and {others} others are disabled from the start"),
    };
    report.warn(place, message, "so says the \"*\" before it");
}
