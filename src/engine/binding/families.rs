//! Of which families are the addresses of a name that are a service's to judge (D8)?
//!
//! Where a service decides over a real server by its name, its checks go to addresses of that
//! virtual service's family alone: that a machine answers at one of the other family says nothing
//! about the real server. A file in which one service decides over one name in both families is
//! refused (`config::check::families`): one verdict cannot speak for two addresses.

use std::collections::{BTreeMap, BTreeSet};

use crate::engine::binding::{Bindings, addresses};
use crate::lvs::Family;
use crate::model::{HostName, Model, ServiceId};

/// Which services decide over each name, in which families.
#[derive(Debug, Default)]
pub(super) struct Families {
    of: BTreeMap<HostName, BTreeSet<(ServiceId, Family)>>,
}

impl Families {
    fn add(&mut self, host: &HostName, service: ServiceId, family: Family) {
        if addresses::literal(host).is_none() {
            let of_host = self.of.entry(host.clone()).or_default();
            of_host.insert((service, family));
        }
    }

    /// Those in which a service decides over a name.
    fn judged(&self, service: ServiceId, host: &HostName) -> BTreeSet<Family> {
        let here = self.of.get(host).into_iter();
        let here = here.flat_map(|of| of.range((service, Family::V4)..=(service, Family::V6)));
        here.map(|&(_, family)| family).collect()
    }
}

impl Bindings {
    /// Fits the families to a Model.
    pub(super) fn families_in(&self, model: &Model) -> Families {
        let mut families = Families::default();
        for binding in &model.bindings {
            for (host, _, _) in self.parts_of(binding) {
                families.add(host, binding.service, binding.virtual_service.family());
            }
        }
        for section in &model.virtual_services {
            for server in &section.servers {
                for judge in &server.judges {
                    families.add(&server.host, judge.service, section.key.family());
                }
            }
        }
        families
    }

    /// The family in which alone a service decides over a name.
    pub(crate) fn only_family(&self, service: ServiceId, host: &HostName) -> Option<Family> {
        let mut judged = self.families.judged(service, host).into_iter();
        judged.next().filter(|_| judged.next().is_none())
    }

    /// Those of the virtual services in which a service decides over a name; where it decides over
    /// it in none, those of all that have it.
    pub(super) fn families_of(&self, service: ServiceId, host: &HostName) -> BTreeSet<Family> {
        let judged = self.families.judged(service, host);
        if !judged.is_empty() {
            return judged;
        }
        let keys = self.by_host.get(host).into_iter().flatten();
        keys.map(|key| key.family()).collect()
    }
}
