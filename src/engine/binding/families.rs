//! Of which families are the addresses of a name that are a service's to judge (D8)?
//!
//! Where a service decides over a real server by its name, its checks go to addresses of that
//! virtual service's family alone: that a machine answers at one of the other family says nothing
//! about the real server. A file in which one service decides over one name in both families is
//! refused (`config::check::one_family`): one verdict cannot speak for two addresses.

use std::collections::{BTreeMap, BTreeSet};

use crate::engine::binding::judge::Part;
use crate::engine::binding::{Bindings, addresses, survey};
use crate::engine::section::count::place;
use crate::lead::Lead;
use crate::lvs::Family;
use crate::model::{HostName, Model, ServiceId};

/// Families in which something is decided.
type Decided = BTreeSet<Family>;

/// Which services decide, in which families: over each name, and as a whole over whatever it is.
#[derive(Debug, Default)]
pub(crate) struct Families {
    of_name: BTreeMap<HostName, BTreeSet<(ServiceId, Family)>>,
    of_whole: BTreeMap<ServiceId, Decided>,
}

/// What a reload makes of verdicts where services decide in other families than before.
#[derive(Debug, Default)]
pub(crate) struct Turned {
    /// They were found in none of the families that they are to be of.
    void: BTreeSet<(ServiceId, Part)>,
    /// Services that have not looked at all that they decide over.
    pub(crate) behind: BTreeSet<ServiceId>,
}

impl Turned {
    /// Whether what was found is no verdict on this part of a service, by its number in the new
    /// Model.
    pub(super) fn is_void(&self, service: ServiceId, part: &Part) -> bool {
        self.void.contains(&(service, part.clone()))
    }

    fn see(&mut self, (service, part): (ServiceId, Part), was: &Decided, is: &Decided) {
        if was != is {
            self.behind.insert(service);
        }
        // Who decided nothing has looked at whatever answered, at the same server as a rule.
        if !was.is_empty() && was.is_disjoint(is) {
            self.void.insert((service, part));
        }
    }
}

impl Families {
    /// Those of a Model.
    pub(crate) fn of(model: &Model) -> Self {
        let mut families = Self::default();
        for binding in &model.bindings {
            for (host, _, part) in survey::parts_of(model, binding) {
                let family = binding.virtual_service.family();
                families.add(host, (binding.service, &part), family);
            }
        }
        for section in &model.virtual_services {
            for server in &section.servers {
                for judge in &server.judges {
                    let (service, part) = place(judge, &server.host);
                    families.add(&server.host, (service, &part), section.key.family());
                }
            }
        }
        families
    }

    fn add(&mut self, host: &HostName, (service, part): (ServiceId, &Part), family: Family) {
        if *part == Part::Whole {
            self.of_whole.entry(service).or_default().insert(family);
        }
        if addresses::literal(host).is_none() {
            let of_host = self.of_name.entry(host.clone()).or_default();
            of_host.insert((service, family));
        }
    }

    /// The services that decide over a name in a family.
    pub(super) fn judges(
        &self,
        host: &HostName,
        family: Family,
    ) -> impl Iterator<Item = ServiceId> {
        let here = self.of_name.get(host).into_iter().flatten();
        here.filter(move |&&(_, of)| of == family)
            .map(|&(id, _)| id)
    }

    /// Those in which a service decides over a host by its name.
    fn by_name(&self, service: ServiceId, host: &HostName) -> Decided {
        let here = self.of_name.get(host).into_iter();
        let here = here.flat_map(|of| of.range((service, Family::V4)..=(service, Family::V6)));
        here.map(|&(_, family)| family).collect()
    }

    /// The same, or where it does so in none, those in which it decides as a whole.
    fn decided(&self, service: ServiceId, host: &HostName) -> Decided {
        let by_name = self.by_name(service, host);
        if by_name.is_empty() {
            return self.of_whole.get(&service).cloned().unwrap_or_default();
        }
        by_name
    }

    /// Which addresses of a host the checks of a service are to go to, where that can be said. What
    /// decides as a whole may look at others than the real servers, which have addresses of their
    /// own.
    pub(crate) fn lead(&self, service: ServiceId, host: &HostName) -> Option<Lead> {
        if let Some(family) = only(&self.by_name(service, host)) {
            return Some(Lead::Within(family));
        }
        only(&self.decided(service, host)).map(Lead::Rather)
    }
}

fn only(families: &Decided) -> Option<Family> {
    let mut families = families.iter().copied();
    families.next().filter(|_| families.next().is_none())
}

impl Bindings {
    /// What a reload to this Model makes of verdicts.
    pub(crate) fn turned(&self, model: &Model) -> Turned {
        let (before, after) = (&self.families, Families::of(model));
        let names = model.service_names();
        let olds = self.model.services();
        let places = olds.filter_map(|(old, it)| Some((names.find(&it.group, &it.name)?, old)));
        let places: BTreeMap<ServiceId, ServiceId> = places.collect();
        let mut turned = Turned::default();
        for (host, deciders) in &after.of_name {
            for &(id, _) in deciders {
                if let Some(was) = places.get(&id).map(|&old| before.decided(old, host)) {
                    let part = Part::Host(host.clone());
                    turned.see((id, part), &was, &after.decided(id, host));
                }
            }
        }
        for (&id, is) in &after.of_whole {
            let was = places.get(&id).and_then(|old| before.of_whole.get(old));
            if let Some(was) = was {
                turned.see((id, Part::Whole), was, is);
            }
        }
        turned
    }

    /// Which addresses of a host the checks of a service are to go to, before any is known.
    pub(crate) fn lead(&self, service: ServiceId, host: &HostName) -> Option<Lead> {
        self.families.lead(service, host)
    }

    /// Those in which a service decides over a host: none where it decides nothing about it.
    pub(super) fn families_of(&self, service: ServiceId, host: &HostName) -> Decided {
        self.families.decided(service, host)
    }
}
