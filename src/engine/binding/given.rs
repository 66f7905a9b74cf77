//! Which weight do its checks give a real server?

use crate::engine::binding::Bindings;
use crate::engine::desired::ZeroBy;
use crate::engine::section::count::place;
use crate::engine::section::memory::Word;
use crate::lvs::{GivenWeight, RealServer, Weight};
use crate::model::{DeclaredServer, DeclaredService, HostName, ServiceId, WeightFrom};

impl Bindings {
    /// A report gives these hosts a weight: part of what follows from it, which is told next.
    pub(crate) fn weigh(&mut self, service: ServiceId, host: &HostName, weight: GivenWeight) {
        let families = self.families_of(service, host);
        if self.addresses.weigh((host, &families), service, weight) {
            return;
        }
        let keys = self.sections.tally.weigh(service, host, weight);
        self.weighed.extend(keys);
    }

    /// The weight that its checks give a real server, the smallest where they differ; none where
    /// the section does not ask for it.
    pub(super) fn given(
        &self,
        section: &DeclaredService,
        (host, port): &Word,
        settings: RealServer,
    ) -> Option<Weight> {
        match section.weight_from {
            WeightFrom::File => return None,
            WeightFrom::Check => {}
        }
        let servers = section.servers.iter();
        let mut servers = servers.filter(|it| it.host == *host && it.port == *port);
        let given = servers.next().into_iter().flat_map(|it| self.given_by(it));
        given.map(|(_, given)| given.of(settings.weight)).min()
    }

    /// The weights that its checks give a real server, in file order.
    fn given_by<'a>(
        &'a self,
        server: &'a DeclaredServer,
    ) -> impl Iterator<Item = (ServiceId, GivenWeight)> + 'a {
        server.judges.iter().filter_map(|judge| {
            let (service, part) = place(judge, &server.host);
            Some((service, self.sections.tally.given(service, &part)?))
        })
    }

    /// Who gives a healthy real server of a section weight 0.
    pub(super) fn zero_by(
        &self,
        section: &DeclaredService,
        server: &DeclaredServer,
    ) -> Option<ZeroBy> {
        let given: Vec<(ServiceId, GivenWeight)> = match section.weight_from {
            WeightFrom::File => Vec::new(),
            WeightFrom::Check => self.given_by(server).collect(),
        };
        // A share of nothing is the file's word, and not that of the check.
        let says_zero = |it: GivenWeight| it.of(Weight(1)) == Weight(0);
        let checks = given.iter().filter(|(_, it)| says_zero(*it));
        let checks: Vec<ServiceId> = checks.map(|&(service, _)| service).collect();
        let least = given.iter().map(|(_, it)| it.of(server.settings.weight));
        let weight = least.min().unwrap_or(server.settings.weight);
        match (weight, checks.is_empty()) {
            (Weight(0), true) => Some(ZeroBy::File),
            (Weight(0), false) => Some(ZeroBy::Checks(checks)),
            (Weight(_), _) => None,
        }
    }
}
