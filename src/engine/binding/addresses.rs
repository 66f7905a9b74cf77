//! Which address a host word of a binding stands for (D8).
//!
//! Addresses stand for themselves. Of a name the last usable answer counts: exactly one
//! address of the virtual service's family. It stays when the resolver fails, when the name
//! suddenly has no address or several, and when it changes: the new address is next, and
//! enters when all that is checked under the name has been good since. One that is next is
//! dropped when a later answer has no address or several; when the resolver fails, it stays.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use crate::lvs::Family;
use crate::model::HostName;

/// How many reports had come in: an order in which verdicts and answers happened.
pub(crate) type Tick = u64;

/// The answers for all names of the file.
#[derive(Debug, Default)]
pub(super) struct Addresses {
    names: BTreeMap<HostName, Name>,
    /// Names with an address that is next, and when its answer came.
    changing: BTreeMap<(HostName, Family), Tick>,
}

#[derive(Debug, Default)]
struct Name {
    answer: Option<Result<Vec<IpAddr>, String>>,
    v4: Usable,
    v6: Usable,
}

/// The usable address of one family.
#[derive(Debug, Default)]
struct Usable {
    current: Option<IpAddr>,
    next: Option<IpAddr>,
}

impl Addresses {
    /// Takes exactly these words in, keeps what is known of them, and answers with the names
    /// that are new and must be looked up.
    pub(super) fn declare<'a>(
        &mut self,
        words: impl Iterator<Item = &'a HostName>,
    ) -> Vec<HostName> {
        let mut kept = BTreeSet::new();
        let mut new = Vec::new();
        for host in words.filter(|host| literal(host).is_none()) {
            if kept.insert(host.clone()) && !self.names.contains_key(host) {
                self.names.insert(host.clone(), Name::default());
                new.push(host.clone());
            }
        }
        self.names.retain(|host, _| kept.contains(host));
        self.changing.retain(|(host, _), _| kept.contains(host));
        new
    }

    /// The address a name had before a restart; counts until the name is looked up.
    pub(super) fn restore(&mut self, host: &HostName, address: IpAddr) {
        if let Some(name) = self.names.get_mut(host) {
            let usable = name.family_mut(Family::of(address));
            usable.current.get_or_insert(address);
        }
    }

    /// Takes in an answer; whether the word is one of ours.
    pub(super) fn answered(
        &mut self,
        host: &HostName,
        answer: &Result<Vec<IpAddr>, String>,
        tick: Tick,
    ) -> bool {
        let Some(name) = self.names.get_mut(host) else {
            return false;
        };
        if let Ok(addresses) = answer {
            for family in [Family::V4, Family::V6] {
                let changing = (host.clone(), family);
                let usable = name.family_mut(family);
                let [address] = *of_family(addresses, family) else {
                    usable.next = None;
                    self.changing.remove(&changing);
                    continue;
                };
                match usable.answered(address) {
                    Answered::AsBefore => {}
                    Answered::Settled => {
                        self.changing.remove(&changing);
                    }
                    Answered::Changes => {
                        self.changing.insert(changing, tick);
                    }
                }
            }
        }
        name.answer = Some(answer.clone());
        true
    }

    /// The address that counts.
    pub(super) fn current(&self, host: &HostName, family: Family) -> Option<IpAddr> {
        match literal(host) {
            // Of another family it is meant as it is: a tunnel may lead there, and whether it
            // does is asked with all other limits (D12).
            Some(address) => Some(address),
            None => self.names.get(host)?.family(family).current,
        }
    }

    /// Each name that has an address that counts, once for each family.
    pub(super) fn all_current(&self) -> impl Iterator<Item = (&HostName, IpAddr)> {
        let both = |name: &Name| [name.v4.current, name.v6.current];
        let names = self.names.iter();
        names.flat_map(move |(host, name)| {
            let known = both(name).into_iter().flatten();
            known.map(move |address| (host, address))
        })
    }

    /// Names whose address changed, with the family and when the answer came.
    pub(super) fn changing(&self) -> Vec<(HostName, Family, Tick)> {
        let changing = self.changing.iter();
        changing
            .map(|((host, family), &tick)| (host.clone(), *family, tick))
            .collect()
    }

    /// Lets the changed address of a name enter.
    pub(super) fn change(&mut self, host: &HostName, family: Family) {
        self.changing.remove(&(host.clone(), family));
        if let Some(name) = self.names.get_mut(host) {
            let usable = name.family_mut(family);
            usable.current = usable.next.take().or(usable.current);
        }
    }

    /// What a person should mend about this word; none where all is well, or where the
    /// resolver fails while an earlier answer still serves.
    pub(super) fn problem(&self, host: &HostName, family: Family) -> Option<String> {
        let family_name = match family {
            Family::V4 => "IPv4",
            Family::V6 => "IPv6",
        };
        if literal(host).is_some() {
            return None;
        }
        let name = self.names.get(host)?;
        let has_current = name.family(family).current.is_some();
        match name.answer.as_ref()? {
            Err(why) if !has_current => Some(format!("cannot look up {host}: {why}")),
            Err(_) => None,
            Ok(addresses) => match of_family(addresses, family).as_slice() {
                [] if !has_current => Some(format!("{host} has no {family_name} address")),
                [] | [_] => None,
                several => {
                    let list: Vec<String> = several.iter().map(ToString::to_string).collect();
                    Some(format!(
                        "{host} has {} {family_name} addresses ({}), a real server has one: write the address in place of the name",
                        several.len(),
                        list.join(", ")
                    ))
                }
            },
        }
    }
}

impl Name {
    const fn family(&self, family: Family) -> &Usable {
        match family {
            Family::V4 => &self.v4,
            Family::V6 => &self.v6,
        }
    }

    const fn family_mut(&mut self, family: Family) -> &mut Usable {
        match family {
            Family::V4 => &mut self.v4,
            Family::V6 => &mut self.v6,
        }
    }
}

/// What an answer with one address means.
enum Answered {
    /// Nothing new.
    AsBefore,
    /// The address that counts is this one.
    Settled,
    /// Another address is next.
    Changes,
}

impl Usable {
    fn answered(&mut self, address: IpAddr) -> Answered {
        if self.next == Some(address) {
            return Answered::AsBefore;
        }
        if *self.current.get_or_insert(address) == address {
            self.next = None;
            return Answered::Settled;
        }
        self.next = Some(address);
        Answered::Changes
    }
}

/// The address that a word is, where it is no name.
pub(super) fn literal(host: &HostName) -> Option<IpAddr> {
    host.as_str().parse().ok()
}

fn of_family(addresses: &[IpAddr], family: Family) -> Vec<IpAddr> {
    let fitting = addresses.iter().filter(|it| Family::of(**it) == family);
    let distinct: BTreeSet<IpAddr> = fitting.copied().collect();
    distinct.into_iter().collect()
}
