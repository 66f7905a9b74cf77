//! Which services does a request name, and which does a view show?

use std::collections::BTreeMap;
use std::ops::Range;

use crate::model::{Model, ServiceId};
use crate::protocol::command::first_word;

/// From so many names on they are looked up in an index, which takes as long to make as a
/// few searches through all services.
const SEARCHES_MAX: usize = 4;

/// What a view lets through: the members of its record.
#[derive(Clone, Debug)]
pub(super) enum Shown {
    /// No view is selected.
    All,
    /// Sorted `GROUP` and `GROUP:SERVICE`. Empty where a reload took the view away.
    Only(Vec<String>),
}

impl Shown {
    /// What the view of that name shows.
    pub(super) fn of(model: &Model, view: Option<&str>) -> Self {
        let Some(view) = view else {
            return Self::All;
        };
        let mut views = model.views.iter();
        let members = views.find(|(name, _)| &**name == view);
        let mut members = members.map(|(_, members)| members.clone());
        if let Some(members) = &mut members {
            members.sort_unstable();
        }
        Self::Only(members.unwrap_or_default())
    }

    /// Whether it shows this service.
    pub(super) fn has_service(&self, group: &str, service: &str) -> bool {
        match self {
            Self::All => true,
            Self::Only(members) => {
                has(members, group) || has(members, &format!("{group}:{service}"))
            }
        }
    }

    /// Whether it shows this group or any service of it.
    pub(super) fn has_group(&self, group: &str) -> bool {
        match self {
            Self::All => true,
            Self::Only(members) => members
                .iter()
                .any(|member| member.split(':').next() == Some(group)),
        }
    }
}

fn has(members: &[String], name: &str) -> bool {
    members
        .binary_search_by(|member| member.as_str().cmp(name))
        .is_ok()
}

/// The service `GROUP SERVICE` at the begin of a text, and what follows.
pub(super) fn service<'a>(model: &Model, text: &'a str) -> Named<'a> {
    let (group, rest) = first_word(text);
    let (name, rest) = first_word(rest);
    Named {
        group,
        name,
        id: model.find(group, name),
        rest,
    }
}

/// A service as a request names it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Named<'a> {
    /// The watch; empty where the request ends before it.
    pub(super) group: &'a str,
    /// Its own name; empty where the request ends before it.
    pub(super) name: &'a str,
    /// The service, where there is one of that name.
    pub(super) id: Option<ServiceId>,
    /// What follows.
    pub(super) rest: &'a str,
}

/// The services that the words of a request mean, each `GROUP` or `GROUP,SERVICE`, in their
/// order. A group that does not exist means nothing.
///
/// # Errors
///
/// Group and name of a service that does not exist. Of several it is the second, or the group
/// behind the first that does not exist either, without a name: as in mon.
pub(super) fn ranges<'a>(
    model: &Model,
    words: &'a str,
) -> Result<Vec<Range<u32>>, (&'a str, &'a str)> {
    let words = || words.split_ascii_whitespace();
    let index = (words().count() > SEARCHES_MAX).then(|| Index::new(model));
    let mut found = Vec::new();
    let mut unknown = None;
    let mut is_second = false;
    for word in words() {
        match word.split_once(',') {
            Some((group, name)) => {
                let id = match &index {
                    Some(index) => index.services.get(&(group, name)).copied(),
                    None => model.find(group, name),
                };
                match id {
                    Some(ServiceId(id)) => found.push(id..id.saturating_add(1)),
                    None if is_second => return Err((group, name)),
                    None => {
                        unknown = Some((group, name));
                        is_second = true;
                    }
                }
            }
            None => {
                let range = match &index {
                    Some(index) => index.groups.get(word).cloned(),
                    None => group(model, word),
                };
                if range.is_none() && unknown.is_some() {
                    unknown = Some((word, ""));
                }
                found.extend(range);
            }
        }
    }
    unknown.map_or(Ok(found), Err)
}

/// Services of one watch stand side by side.
fn group(model: &Model, group: &str) -> Option<Range<u32>> {
    let mut all = model
        .services()
        .filter(|(_, service)| &*service.group == group)
        .map(|(ServiceId(id), _)| id);
    let first = all.next()?;
    Some(first..all.last().unwrap_or(first).saturating_add(1))
}

struct Index<'a> {
    services: BTreeMap<(&'a str, &'a str), ServiceId>,
    groups: BTreeMap<&'a str, Range<u32>>,
}

impl<'a> Index<'a> {
    fn new(model: &'a Model) -> Self {
        let mut groups = BTreeMap::new();
        let mut services = BTreeMap::new();
        for (id, service) in model.services() {
            let range = groups.entry(&*service.group).or_insert(id.0..id.0);
            range.end = id.0.saturating_add(1);
            services.insert((&*service.group, &*service.name), id);
        }
        Self { services, groups }
    }
}
