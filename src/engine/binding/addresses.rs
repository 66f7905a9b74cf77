//! Which address a host word of a binding stands for (D8).
//!
//! Addresses stand for themselves. Of a name the last usable answer counts: exactly one
//! address of the virtual service's family. It stays when the resolver fails, when the name
//! suddenly has no address or several, and when it changes: the new address is next; when it
//! enters says `ready`. One that is next is dropped when a later answer has no address or
//! several; when the resolver fails, it stays. What reports mean meanwhile says `changing`.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use jiff::Timestamp;

use crate::engine::binding::Part;
use crate::engine::binding::former::Former;
use crate::engine::binding::heard::{Failures, Heard};
use crate::engine::event::{AnswerAge, HostVerdict, Reason};
use crate::engine::section::giving::Giving;
use crate::engine::section::wanted::Lookup;
use crate::lvs::{Family, GivenWeight};
use crate::model::{HostName, ServiceId};
use crate::time::Wall;

/// How many answers had come in: an order in which runs began and answers came.
pub(crate) type Tick = u64;

/// The answers for all names of the file.
#[derive(Debug, Default)]
pub(super) struct Addresses {
    names: BTreeMap<HostName, Name>,
    /// Names that lead elsewhere than to the address that counts: mostly to one that is next.
    changing: BTreeMap<(HostName, Family), Heard>,
    /// Whose address that counts each of these is, of names and of addresses in the file.
    words: BTreeMap<IpAddr, BTreeSet<HostName>>,
}

#[derive(Debug, Default)]
struct Name {
    answer: Option<Result<Vec<IpAddr>, String>>,
    age: AnswerAge,
    /// When somebody began to say it again behind a time in which nobody did.
    heard_again: Tick,
    v4: Usable,
    v6: Usable,
}

/// How a name came by its first address of a family.
#[derive(Clone, Copy, Debug)]
struct Found {
    at: Tick,
    looked: Looked,
}

/// Whether a name was looked up in vain before it had its first address of a family.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Looked {
    /// The first answer had the address: whoever looked it up beside us found it, too.
    AtOnce,
    InVain,
}

/// The usable address of one family.
#[derive(Debug, Default)]
struct Usable {
    current: Option<IpAddr>,
    next: Option<IpAddr>,
    /// When the name last began to lead elsewhere.
    turned: Tick,
    /// How it came by its first address.
    found: Option<Found>,
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
        self.words.clear();
        for host in words {
            if let Some(address) = literal(host) {
                self.words.entry(address).or_default().insert(host.clone());
            } else if kept.insert(host.clone()) && !self.names.contains_key(host) {
                self.names.insert(host.clone(), Name::default());
                new.push(host.clone());
            }
        }
        self.names.retain(|host, _| kept.contains(host));
        self.changing.retain(|(host, _), _| kept.contains(host));
        for (host, name) in &self.names {
            for address in name.current().into_iter().flatten() {
                self.words.entry(address).or_default().insert(host.clone());
            }
        }
        new
    }

    /// The address a name had before a restart; counts until the name is looked up.
    pub(super) fn restore(&mut self, host: &HostName, address: IpAddr) {
        if let Some(name) = self.names.get_mut(host) {
            let before = name.current();
            let usable = name.family_mut(Family::of(address));
            usable.current.get_or_insert(address);
            usable.found.get_or_insert(Found {
                at: 0,
                looked: Looked::AtOnce,
            });
            self.moved(host, before);
        }
    }

    /// Takes in an answer; whether the word is one of ours.
    pub(super) fn answered(
        &mut self,
        host: &HostName,
        (answer, age): (&Result<Vec<IpAddr>, String>, AnswerAge),
        tick: Tick,
    ) -> bool {
        let Some(name) = self.names.get_mut(host) else {
            return false;
        };
        let before = name.current();
        if let Ok(addresses) = answer {
            let looked = match name.answer {
                None => Looked::AtOnce,
                Some(_) => Looked::InVain,
            };
            for family in [Family::V4, Family::V6] {
                let changing = (host.clone(), family);
                let usable = name.family_mut(family);
                let before = (usable.next, self.changing.contains_key(&changing));
                match usable.answered(addresses, family) {
                    Answered::AsBefore => {}
                    Answered::Settled => {
                        self.changing.remove(&changing);
                    }
                    Answered::Changes => {
                        self.changing.entry(changing.clone()).or_default().turned();
                    }
                }
                if (usable.next, self.changing.contains_key(&changing)) != before {
                    usable.turned = tick;
                }
                if usable.current.is_some() {
                    usable.found.get_or_insert(Found { at: tick, looked });
                }
            }
        }
        name.answer = Some(answer.clone());
        if name.age != AnswerAge::Fresh && age != name.age {
            name.heard_again = tick;
        }
        name.age = age;
        self.moved(host, before);
        true
    }

    /// A name had these addresses, of which others may count by now.
    fn moved(&mut self, host: &HostName, before: [Option<IpAddr>; 2]) {
        let now = self.names.get(host).map_or([None; 2], Name::current);
        for (before, now) in before.into_iter().zip(now) {
            if before == now {
                continue;
            }
            if let Some(before) = before
                && let Some(words) = self.words.get_mut(&before)
            {
                words.remove(host);
                if words.is_empty() {
                    self.words.remove(&before);
                }
            }
            if let Some(now) = now {
                self.words.entry(now).or_default().insert(host.clone());
            }
        }
    }

    /// What was heard of a name that has no address.
    pub(super) fn lookup(&self, host: &HostName) -> Lookup {
        let name = self.names.get(host);
        match name.is_some_and(|name| name.answer.is_none()) {
            true => Lookup::GoesOn,
            false => Lookup::Failed,
        }
    }

    /// Whether a name has an address from before a restart, and no answer has come yet.
    pub(super) fn is_unanswered(&self, host: &HostName) -> bool {
        let name = self.names.get(host);
        name.is_some_and(|it| it.answer.is_none() && it.current().iter().any(Option::is_some))
    }

    /// Whether nobody says now where a name leads, in one of these families, that has an address.
    pub(super) fn is_kept(&self, host: &HostName, families: &BTreeSet<Family>) -> bool {
        let name = self.names.get(host);
        let keeps = |it: &Name| families.iter().any(|&family| it.age.keeps(family));
        name.is_some_and(|it| keeps(it) && it.current().iter().any(Option::is_some))
    }

    /// Whether it came to be said again since so many answers had been heard.
    pub(super) fn was_kept(&self, host: &HostName, tick: Tick) -> bool {
        let name = self.names.get(host);
        name.is_some_and(|it| it.heard_again > tick)
    }

    /// Whether a name of ours never had an address of these families.
    pub(super) fn is_addressless(&self, host: &HostName, families: &BTreeSet<Family>) -> bool {
        let is_found = |name: &Name| {
            let mut of_families = families.iter().map(|&family| name.family(family));
            of_families.any(|usable| usable.found.is_some())
        };
        self.names.get(host).is_some_and(|name| !is_found(name))
    }

    /// Whether a check that began at that time and failed for this reason may have looked at no
    /// server, since the name had no address of these families yet. While the first look-up went
    /// on, a check that got beyond its own was at a server.
    pub(super) fn may_have_looked_nowhere(
        &self,
        (host, families): (&HostName, &BTreeSet<Family>),
        reason: Reason,
        tick: Tick,
    ) -> bool {
        let Some(name) = self.names.get(host) else {
            return false;
        };
        let found = families.iter().map(|&family| name.family(family).found);
        let first = found.flatten().min_by_key(|found| found.at);
        first.is_some_and(|found| {
            found.at > tick && (found.looked == Looked::InVain || reason == Reason::Dns)
        })
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

    /// The words whose address that counts is this one.
    pub(super) fn words_at(&self, address: IpAddr) -> impl Iterator<Item = &HostName> {
        self.words.get(&address).into_iter().flatten()
    }

    /// The address that is next.
    pub(super) fn next(&self, host: &HostName, family: Family) -> Option<IpAddr> {
        self.names.get(host)?.family(family).next
    }

    /// Each name that has an address that counts, once for each family.
    pub(super) fn all_current(&self) -> impl Iterator<Item = (&HostName, IpAddr)> {
        let names = self.names.iter();
        names.flat_map(move |(host, name)| {
            let known = name.current().into_iter().flatten();
            known.map(move |address| (host, address))
        })
    }

    /// The addresses that count, of these families.
    pub(super) fn current_of(&self, host: &HostName, families: &BTreeSet<Family>) -> Vec<IpAddr> {
        let Some(name) = self.names.get(host) else {
            return Vec::new();
        };
        let counts = families.iter().map(|&family| name.family(family).current);
        counts.flatten().collect()
    }

    /// Those of them whose name leads elsewhere now.
    pub(super) fn former_of(&self, host: &HostName, families: &BTreeSet<Family>) -> Vec<IpAddr> {
        let families = families.iter().copied();
        let changing = families.filter(|&family| self.changes_in(host, family));
        self.current_of(host, &changing.collect())
    }

    /// Where a name of virtual services of these families is to be checked: where it leads by what
    /// was heard last, by what a restart left of it, or, where it leads nowhere any more, by what
    /// was heard before that; none for all else. Where it has several addresses, or has left these
    /// families, that is the one that counts: another one that is good says nothing about the real
    /// server.
    pub(super) fn latest(
        &self,
        host: &HostName,
        families: &BTreeSet<Family>,
    ) -> Option<Vec<IpAddr>> {
        let name = self.names.get(host)?;
        let before = || [&name.v4, &name.v6].map(|it| it.next.or(it.current));
        let addresses = match &name.answer {
            Some(Ok(addresses)) => addresses.clone(),
            Some(Err(_)) | None => before().into_iter().flatten().collect(),
        };
        let is_of_use = |it: &&IpAddr| families.contains(&Family::of(**it));
        let counts = |it: &&IpAddr| match name.family(Family::of(**it)).current {
            Some(current) if addresses.contains(&current) => **it == current,
            Some(_) | None => true,
        };
        let found = addresses.iter().filter(is_of_use).filter(counts);
        let found: Vec<IpAddr> = found.copied().collect();
        let found = if found.is_empty() {
            self.current_of(host, families)
        } else {
            found
        };
        Some(found).filter(|found| !found.is_empty())
    }

    /// Whether a name led elsewhere in one of these families at that time.
    pub(super) fn led_elsewhere(
        &self,
        host: &HostName,
        families: &BTreeSet<Family>,
        tick: Tick,
    ) -> bool {
        let name = self.names.get(host);
        name.is_some_and(|name| {
            let mut of_families = families.iter().map(|&family| name.family(family));
            of_families.any(|usable| usable.turned > tick)
        })
    }

    /// Names whose address changed, with the family.
    pub(super) fn changing(&self) -> Vec<(HostName, Family)> {
        self.changing.keys().cloned().collect()
    }

    /// Whether any name leads elsewhere.
    pub(super) fn is_any_changing(&self) -> bool {
        !self.changing.is_empty()
    }

    /// Whether the address of the name changed in one of these families, so that its checks there
    /// are not about the one that counts.
    pub(super) fn changes(&self, host: &HostName, families: &BTreeSet<Family>) -> bool {
        let mut families = families.iter();
        families.any(|&family| self.changes_in(host, family))
    }

    /// The same of one family.
    pub(super) fn changes_in(&self, host: &HostName, family: Family) -> bool {
        !self.changing.is_empty() && self.changing.contains_key(&(host.clone(), family))
    }

    /// Takes in what a check says of the changed address of a name in these families; whether other
    /// services fail there than before.
    pub(super) fn hear(
        &mut self,
        (host, families): (&HostName, &BTreeSet<Family>),
        place: (ServiceId, Part),
        verdict: HostVerdict,
        now: Wall,
    ) -> bool {
        let mut is_news = false;
        for &family in families {
            let next = self.next(host, family);
            if let Some(heard) = self.changing.get_mut(&(host.clone(), family)) {
                is_news |= heard.hear(next, place.clone(), verdict, now);
            }
        }
        is_news
    }

    /// A check gives the changed address of a name in these families this weight, or none; whether
    /// it has one.
    pub(super) fn weigh(
        &mut self,
        (host, families): (&HostName, &BTreeSet<Family>),
        service: ServiceId,
        given: Option<GivenWeight>,
        now: Wall,
    ) -> bool {
        let mut changes = false;
        for &family in families {
            if let Some(heard) = self.changing.get_mut(&(host.clone(), family)) {
                heard.weigh(service, given, now);
                changes = true;
            }
        }
        changes
    }

    /// Whether all of this was good at the changed address of a name. A service as a whole may
    /// fail for another host: what it found of this one is enough.
    pub(super) fn is_good(
        &self,
        host: &HostName,
        family: Family,
        parts: &BTreeSet<(ServiceId, Part)>,
    ) -> bool {
        parts.iter().all(|part| {
            let of_host = || (part.0, Part::Host(host.clone()));
            self.was_good(host, family, part)
                || (part.1 == Part::Whole && self.was_good(host, family, &of_host()))
        })
    }

    /// Whether this was good at the changed address of a name.
    pub(super) fn was_good(
        &self,
        host: &HostName,
        family: Family,
        part: &(ServiceId, Part),
    ) -> bool {
        let heard = self.changing.get(&(host.clone(), family));
        heard.is_some_and(|heard| heard.was_good(part))
    }

    /// Whose checks fail at the changed address of a name; none where none does.
    pub(super) fn failures(&self, host: &HostName, family: Family) -> Option<&Failures> {
        let next = self.next(host, family)?;
        let heard = self.changing.get(&(host.clone(), family))?;
        heard.failures(next)
    }

    /// Services have these numbers now, or what they said is void: what was good is heard again.
    pub(super) fn renumber(&mut self, number: impl Fn(ServiceId) -> Option<ServiceId>) {
        for heard in self.changing.values_mut() {
            heard.renumber(&number);
        }
    }

    /// Lets the changed address of a name enter; answers with the weights that it was given.
    pub(super) fn change(
        &mut self,
        host: &HostName,
        family: Family,
    ) -> BTreeMap<ServiceId, Giving> {
        let heard = self.changing.remove(&(host.clone(), family));
        if let Some(name) = self.names.get_mut(host) {
            let before = name.current();
            let usable = name.family_mut(family);
            usable.current = usable.next.take().or(usable.current);
            self.moved(host, before);
        }
        heard.map(Heard::into_given).unwrap_or_default()
    }

    /// What a person should mend about this word; none where all is well.
    pub(super) fn problem(
        &self,
        host: &HostName,
        family: Family,
        service: impl Fn(ServiceId) -> String,
        former: impl Fn() -> Former,
    ) -> Option<String> {
        if literal(host).is_some() {
            return None;
        }
        let name = self.names.get(host)?;
        if let Some(text) = self.fails_elsewhere(host, name, (family, &service), &former) {
            return Some(text);
        }
        let current = name.family(family).current;
        let has_current = current.is_some();
        match name.answer.as_ref()? {
            Err(why) => {
                let counts =
                    current.map(|it| format!("; until then its address of before, {it}, counts"));
                let counts = counts.unwrap_or_default();
                Some(format!("cannot look up {host}: {why}{counts}"))
            }
            Ok(addresses) => match of_family(addresses, family).as_slice() {
                [] if !has_current => Some(format!("{host} has no {family} address")),
                [] if self.changing.contains_key(&(host.clone(), family)) => Some(format!(
                    "{host} has no {family} address any more: the one of before {}",
                    former().stays()
                )),
                [] | [_] => None,
                several => {
                    let list: Vec<String> = several.iter().map(ToString::to_string).collect();
                    let counts = current.filter(|it| several.contains(it));
                    let counts = counts.map(|it| format!(", here {it}, which is checked"));
                    Some(format!(
                        "{host} has {} {family} addresses ({}), a real server has one{}: write the address in place of the name",
                        several.len(),
                        list.join(", "),
                        counts.unwrap_or_default()
                    ))
                }
            },
        }
    }

    /// The name has another address, whose checks fail: a person may see at once that the name
    /// is wrong, or that the machine of before is to go.
    fn fails_elsewhere(
        &self,
        host: &HostName,
        name: &Name,
        (family, service): (Family, impl Fn(ServiceId) -> String),
        former: impl Fn() -> Former,
    ) -> Option<String> {
        let Usable { current, next, .. } = name.family(family);
        let (current, next) = ((*current)?, (*next)?);
        let failures = self.failures(host, family)?;
        let since = failures.values().map(|it| it.since).min()?;
        let since = Timestamp::from_second(since.seconds()).unwrap_or_default();
        let services: Vec<String> = failures.keys().map(|&id| service(id)).collect();
        let (fail, are) = match services.len() {
            1 => ("fails", "it is"),
            _ => ("fail", "they are"),
        };
        Some(format!(
            "{host} has the address {next} now, where {} {fail} since {since}: until {are} good there {current} {}; mend the name or {next}, or disable {host} where {current} is to go",
            services.join(" and "),
            former().stays()
        ))
    }
}

impl Name {
    /// The addresses that count.
    const fn current(&self) -> [Option<IpAddr>; 2] {
        [self.v4.current, self.v6.current]
    }

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

/// What an answer means.
enum Answered {
    /// Nothing new.
    AsBefore,
    /// It leads to the address that counts.
    Settled,
    /// It leads elsewhere; where there is one address only, that is next.
    Changes,
}

impl Usable {
    fn answered(&mut self, addresses: &[IpAddr], family: Family) -> Answered {
        let fitting = of_family(addresses, family);
        let [address] = *fitting else {
            self.next = None;
            let is_left = |current| !fitting.contains(&current);
            return if !addresses.is_empty() && self.current.is_some_and(is_left) {
                Answered::Changes
            } else {
                Answered::Settled
            };
        };
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
