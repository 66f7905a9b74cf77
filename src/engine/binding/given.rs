//! Which weight do its checks give a real server, and does it have that one?

use crate::engine::binding::{Bindings, Part};
use crate::engine::desired::{Given, GivenBy, ZeroBy};
use crate::engine::section::wanted::ServerRole;
use crate::lvs::{GivenWeight, VirtualServiceKey, Weight};
use crate::model::{DeclaredServer, DeclaredService, HostName, ServiceId, WeightFrom};
use crate::time::Now;

impl Bindings {
    /// A report gives a host this weight, or speaks of it and gives none: part of what follows
    /// from it, which is told next.
    pub(crate) fn weigh(
        &mut self,
        now: Now,
        service: ServiceId,
        host: &HostName,
        given: Option<GivenWeight>,
    ) {
        // Most checks give no weight, ever.
        if given.is_none() && !self.has_given(service, host) && !self.addresses.is_any_changing() {
            return;
        }
        let families = self.families_of(service, host);
        let addresses = &mut self.addresses;
        if addresses.weigh((host, &families), service, given, now.wall) {
            return;
        }
        let tally = &mut self.sections.tally;
        let keys = tally.weigh((service, host), given, now.wall);
        self.weighed.extend(keys);
        // Whether a weight of the other director's counts depends on whether a check gives one.
        let keys = self.sections.sharing(&self.model, host);
        self.weighed.extend(keys);
    }

    /// Whether checks of a service ever gave a host a weight.
    fn has_given(&self, service: ServiceId, host: &HostName) -> bool {
        let part = Part::Host(host.clone());
        self.sections.tally.has_given(service, &part)
    }

    /// The weight that its checks give a real server, the smallest where they differ; none where
    /// the section does not ask for it.
    pub(super) fn given(
        &self,
        section: &DeclaredService,
        server: &DeclaredServer,
    ) -> Option<Weight> {
        match section.weight_from {
            WeightFrom::File => return None,
            WeightFrom::Check => {}
        }
        let own = server.settings.weight;
        let given = self.all_given(section.key, server);
        given.map(|it| it.of(own)).min()
    }

    /// The weights that its checks give a real server, in file order.
    fn all_given<'a>(
        &'a self,
        section: VirtualServiceKey,
        server: &'a DeclaredServer,
    ) -> impl Iterator<Item = Given> + 'a {
        server.judges.iter().filter_map(move |judge| {
            let giving = self.sections.giving(&self.model, section, server, judge)?;
            let service = judge.service;
            Some(Given { service, giving })
        })
    }

    /// Where a real server with this role has its weight from; none where its section does not ask
    /// the checks, and where it has none, or 0 since they withdraw it.
    pub(super) fn given_by(
        &self,
        section: &DeclaredService,
        server: &DeclaredServer,
        role: ServerRole,
    ) -> Option<GivenBy> {
        match section.weight_from {
            WeightFrom::File => return None,
            WeightFrom::Check => {}
        }
        let configured = server.settings.weight;
        let given: Vec<Given> = self.all_given(section.key, server).collect();
        let least = given.iter().map(|it| it.of(configured)).min();
        let checks = |least: Weight| {
            let those = given.iter().filter(|it| it.of(configured) == least);
            GivenBy::Checks(those.copied().collect())
        };
        match (role, least) {
            (ServerRole::Serves { .. }, Some(least)) => Some(checks(least)),
            (ServerRole::Serves { .. }, None) => Some(GivenBy::File),
            (ServerRole::Kept, Some(least)) if least > Weight(0) => Some(checks(least)),
            (ServerRole::Kept | ServerRole::InUntested, _) => Some(GivenBy::FileAtMost),
            (
                ServerRole::Unseen
                | ServerRole::Quiesced
                | ServerRole::Draining { .. }
                | ServerRole::Out
                | ServerRole::OutUntested
                | ServerRole::AsFound
                | ServerRole::FallbackIn
                | ServerRole::FallbackOut,
                _,
            ) => None,
        }
    }

    /// Who gives a healthy real server of a section weight 0.
    pub(super) fn zero_by(
        &self,
        section: &DeclaredService,
        server: &DeclaredServer,
    ) -> Option<ZeroBy> {
        let given: Vec<Given> = match section.weight_from {
            WeightFrom::File => Vec::new(),
            WeightFrom::Check => self.all_given(section.key, server).collect(),
        };
        // A share of nothing is the file's word, and not that of the check.
        let checks = given.iter().filter(|it| it.of(Weight(1)) == Weight(0));
        let checks: Vec<Given> = checks.copied().collect();
        let least = given.iter().map(|it| it.of(server.settings.weight));
        let weight = least.min().unwrap_or(server.settings.weight);
        match (weight, checks.is_empty()) {
            (Weight(0), true) => Some(ZeroBy::File),
            (Weight(0), false) => Some(ZeroBy::Checks(checks)),
            (Weight(_), _) => None,
        }
    }
}
