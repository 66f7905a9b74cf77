//! Which names may have their changed addresses, so that no two of a section are one real server?
//!
//! Two names for one machine are one real server less, and the one that is in is not given for
//! that (D8). Names that change at once may take one another's places, so they are looked at
//! together: each section is walked once, however many of its names change.
//! Where two exchange their addresses, who was in at an address stays in there.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};

use crate::effort::visit;
use crate::engine::binding::{Bindings, Part, Verdict};
use crate::engine::section::count::judged_part;
use crate::lvs::{Family, VirtualServiceKey};
use crate::model::{DeclaredServer, HostName, ServiceId};

/// A real server's place in a section.
type Place = (VirtualServiceKey, SocketAddr);

type Names<'a> = BTreeSet<&'a HostName>;

/// The names of some sections, by where they are and where they are to be.
#[derive(Debug, Default)]
struct Twins<'a> {
    /// With which ports a name stands in which section.
    ports: BTreeMap<&'a HostName, BTreeSet<(VirtualServiceKey, u16)>>,
    /// Who stays where it is.
    stay: BTreeMap<Place, Names<'a>>,
    /// Who comes there.
    come: BTreeMap<Place, Names<'a>>,
}

impl Bindings {
    /// Those of these names that can have their changed addresses at once. The first one that
    /// cannot stays where it is, and is in the way of others there.
    pub(super) fn entering(
        &self,
        mut ready: BTreeSet<(HostName, Family)>,
    ) -> BTreeSet<(HostName, Family)> {
        let mut twins = self.twins(&ready);
        let mut doubtful = ready.clone();
        while let Some(name) = doubtful.pop_first() {
            let (host, family) = (&name.0, name.1);
            let Some(next) = self.addresses.next(host, family) else {
                continue;
            };
            if twins.is_free(host, family, next) {
                continue;
            }
            let current = self.addresses.current(host, family);
            let crossed = twins.stays(host, family, (current, next));
            doubtful.extend(crossed.into_iter().map(|it| (it, family)));
            ready.remove(&name);
        }
        ready
    }

    /// What these names were judged by that come to the address of another name of a section, one
    /// that nobody withdraws: nothing has failed there.
    pub(super) fn exchanged(
        &self,
        entering: &BTreeSet<(HostName, Family)>,
    ) -> Vec<(VirtualServiceKey, (ServiceId, Part))> {
        let mut exchanged = Vec::new();
        for (host, family) in entering {
            let Some(next) = self.addresses.next(host, *family) else {
                continue;
            };
            let others: Vec<&HostName> = self.addresses.words_at(next).collect();
            if others.is_empty() {
                continue;
            }
            let own = self.sections.words.servers(&self.model, host);
            for (key, own) in own.filter(|(key, _)| key.family() == *family) {
                let is_there = |(at, it): (VirtualServiceKey, &DeclaredServer)| {
                    at == key && it.port == own.port && self.is_good_by_all(key, it)
                };
                let mut there = others.iter();
                let is_in = there.any(|other| {
                    let mut servers = self.sections.words.servers(&self.model, other);
                    servers.any(is_there)
                });
                let parts = own.judges.iter().map(|judge| judged_part(judge, host));
                let mut parts: BTreeSet<(ServiceId, Part)> = parts.collect();
                if is_in && self.addresses.is_good(host, *family, &parts) {
                    parts.retain(|part| self.addresses.was_good(host, *family, part));
                    exchanged.extend(parts.into_iter().map(|part| (key, part)));
                }
            }
        }
        exchanged
    }

    /// Whether each service that judges a real server of a section takes it for good.
    fn is_good_by_all(&self, key: VirtualServiceKey, server: &DeclaredServer) -> bool {
        let mut judges = server.judges.iter();
        judges.all(|judge| {
            let (service, part) = judged_part(judge, &server.host);
            self.sections.tally.verdict(key, service, &part) == Some(Verdict::Good)
        })
    }

    /// Of the sections that these names stand in.
    fn twins(&self, ready: &BTreeSet<(HostName, Family)>) -> Twins<'_> {
        let keys_of = |(host, family): &(HostName, Family)| {
            let (keys, family) = (self.by_host.get(host), *family);
            let keys = keys.into_iter().flatten().copied();
            keys.filter(move |key| key.family() == family)
        };
        let keys: BTreeSet<VirtualServiceKey> = ready.iter().flat_map(keys_of).collect();
        let mut twins = Twins::default();
        for key in keys {
            let Some(section) = self.sections.section(&self.model, key) else {
                continue;
            };
            let servers = section.servers.iter().map(|it| (&it.host, it.port));
            let fallback = section.fallback.iter().map(|it| (&it.host, it.port));
            for (host, port) in servers.chain(fallback) {
                visit();
                let family = key.family();
                twins.ports.entry(host).or_default().insert((key, port));
                let comes = ready.contains(&(host.clone(), family));
                let next = self.addresses.next(host, family).filter(|_| comes);
                let (there, address) = match next {
                    Some(next) => (&mut twins.come, Some(next)),
                    None => (&mut twins.stay, self.addresses.current(host, family)),
                };
                if let Some(address) = address {
                    let place = (key, SocketAddr::new(address, port));
                    there.entry(place).or_default().insert(host);
                }
            }
        }
        twins
    }

    /// The changed address of a name is good and another name of the section has it: what a person
    /// should mend.
    pub(super) fn taken(&self, host: &HostName, family: Family) -> Option<String> {
        let next = self.addresses.next(host, family)?;
        let current = self.addresses.current(host, family)?;
        if !self.is_ready(host, family) {
            return None;
        }
        let other = self.taken_by(host, family)?;
        Some(format!(
            "{host} has the address {next} now, as {other} has, so they would be one real server: {current} {}; mend the name, or take {host} out of the file",
            self.care_for_former(host, family).stays()
        ))
    }

    /// Another word of the same section that has the address which is next for this one. Who may
    /// enter says [`Bindings::entering`]; this is for the one who stays.
    fn taken_by(&self, host: &HostName, family: Family) -> Option<&HostName> {
        let next = self.addresses.next(host, family)?;
        let own = self.places_of(host, family);
        let mut there = self.addresses.words_at(next).filter(|it| *it != host);
        there.find(|it| !self.places_of(it, family).is_disjoint(&own))
    }

    /// In which sections of this family a word stands, with which ports.
    fn places_of(&self, host: &HostName, family: Family) -> BTreeSet<(VirtualServiceKey, u16)> {
        let servers = self.sections.words.servers(&self.model, host);
        let servers = servers.map(|(key, it)| (key, it.port));
        let keys = self.by_host.get(host).into_iter().flatten();
        let fallbacks = keys.filter_map(|&key| {
            let fallback = self.sections.section(&self.model, key)?.fallback.as_ref()?;
            (fallback.host == *host).then_some((key, fallback.port))
        });
        let all = servers.chain(fallbacks);
        all.filter(|(key, _)| key.family() == family).collect()
    }
}

impl<'a> Twins<'a> {
    /// Whether no other name is at this address with a port that this one has in its section.
    fn is_free(&self, host: &HostName, family: Family, address: IpAddr) -> bool {
        self.places(host, family, address).iter().all(|place| {
            let here = [self.stay.get(place), self.come.get(place)];
            let mut names = here.into_iter().flatten().flatten();
            names.all(|it| *it == host)
        })
    }

    /// A name does not come to the second of these addresses and stays at the first; in whose way
    /// it is there.
    fn stays(
        &mut self,
        host: &HostName,
        family: Family,
        (current, next): (Option<IpAddr>, IpAddr),
    ) -> BTreeSet<HostName> {
        let mut crossed = BTreeSet::new();
        let Some((&host, _)) = self.ports.get_key_value(host) else {
            return crossed;
        };
        for place in self.places(host, family, next) {
            if let Some(names) = self.come.get_mut(&place) {
                names.remove(host);
            }
        }
        for place in current.map_or_else(Vec::new, |it| self.places(host, family, it)) {
            let here = self.stay.entry(place).or_default();
            // Behind the first one that stays here, all who come are in doubt already.
            if here.is_empty() {
                let come = self.come.get(&place).into_iter().flatten();
                crossed.extend(come.map(|&it| it.clone()));
            }
            here.insert(host);
        }
        crossed
    }

    /// The places of a name in its sections, with this address.
    fn places(&self, host: &HostName, family: Family, address: IpAddr) -> Vec<Place> {
        let ports = self.ports.get(host).into_iter().flatten();
        let ports = ports.filter(|(key, _)| key.family() == family);
        ports
            .map(|&(key, port)| (key, SocketAddr::new(address, port)))
            .collect()
    }
}
