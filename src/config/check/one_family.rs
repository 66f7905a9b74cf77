//! Does one service decide over one name in virtual services of both families? It is refused.
//!
//! There the name stands for two real servers, and the service has one verdict for both: the one
//! that is dead would stay in for the other's sake, or take it out. What checks make of the
//! families says `engine::binding::families`.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use crate::config::check::host_word::canonical;
use crate::config::check::report::Report;
use crate::config::lines::Span;
use crate::lvs::VirtualServiceKey;
use crate::model::{Service, ServiceId};

/// Where each service decides over each name.
pub(super) struct OneFamily<'s> {
    services: &'s [Service],
    /// The first virtual service, as the file goes.
    first: BTreeMap<(ServiceId, String), VirtualServiceKey>,
    /// Services that were said to decide in this one and in others of the other family.
    told: BTreeSet<(ServiceId, VirtualServiceKey)>,
}

impl<'s> OneFamily<'s> {
    pub(super) const fn new(services: &'s [Service]) -> Self {
        Self {
            services,
            first: BTreeMap::new(),
            told: BTreeSet::new(),
        }
    }

    /// A service decides over a host in a virtual service, which is named there.
    pub(super) fn decides(
        &mut self,
        report: &mut Report<'_>,
        (id, host): (ServiceId, &str),
        (key, place): (VirtualServiceKey, Span),
    ) {
        if host.parse::<IpAddr>().is_ok() {
            return;
        }
        let first = *self.first.entry((id, canonical(host))).or_insert(key);
        let Some(service) = self.services.get(id.index()) else {
            return;
        };
        if first.family() == key.family() || !self.told.insert((id, key)) {
            return;
        }
        let (group, name) = (&service.group, &service.name);
        let family = key.family();
        let message = format!(
            "service {group}:{name} decides over {host} in {first} and, by its {family} address, \
             in {key}: one verdict cannot speak for two addresses"
        );
        let help = "write the addresses in place of the name, or let another service, such as a \
                    second one of that watch, decide in this family";
        report.error(place, message, help);
    }
}
