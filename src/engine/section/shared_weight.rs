//! Which weight has a withdrawn real server that `min_live` keeps, where the checks of either
//! director of a pair gave it one before?
//!
//! The lesser of both counts, on both, as long as the withdrawal lasts and for its section alone:
//! of a healthy server each director goes by what its own checks gave. What a check gives just now
//! counts in place of both.

use crate::engine::binding::Part;
use crate::engine::section::count::judged_part;
use crate::engine::section::giving::Giving;
use crate::engine::section::memory::{Sections, Word};
use crate::lvs::{GivenWeight, VirtualServiceKey, Weight};
use crate::model::{DeclaredJudge, DeclaredServer, HostName, Model, ServiceId, WeightFrom};
use crate::pair::talk::withdrawn::Gave;
use crate::pair::talk::word::ServiceName;
use crate::time::Wall;

/// The least weight that checks of a service on the other director gave a withdrawn real server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Shared {
    of: ServiceName,
    weight: GivenWeight,
    /// When this director heard of it first.
    since: Wall,
}

/// Takes in what is heard; whether that is less than what was known.
pub(crate) fn take(shared: &mut Vec<Shared>, gave: &[Gave], own: Weight, now: Wall) -> bool {
    let mut is_less = false;
    for Gave { of, weight } in gave {
        match shared.iter_mut().find(|it| it.of == *of) {
            None => shared.push(Shared {
                of: of.clone(),
                weight: *weight,
                since: now,
            }),
            Some(known) if weight.of(own) < known.weight.of(own) => known.weight = *weight,
            Some(_) => continue,
        }
        is_less = true;
    }
    is_less
}

impl Sections {
    /// The checks of the other director gave this one these weights; whether that changes
    /// anything. It is withdrawn here.
    pub(crate) fn take_shared(
        &mut self,
        model: &Model,
        key: VirtualServiceKey,
        word: &Word,
        gave: &[Gave],
        now: Wall,
    ) -> bool {
        if gave.is_empty() {
            return false;
        }
        let Some(own) = self.weighed(model, key, word).map(|it| it.settings.weight) else {
            return false;
        };
        let shared = self.shared_mut(key);
        shared.is_some_and(|it| take(it.entry(word.clone()).or_default(), gave, own, now))
    }

    /// The weight that a judge's checks give a real server of a section; none where none ever did.
    pub(crate) fn giving(
        &self,
        model: &Model,
        key: VirtualServiceKey,
        server: &DeclaredServer,
        judge: &DeclaredJudge,
    ) -> Option<Giving> {
        let (service, part) = judged_part(judge, &server.host);
        let own = self.tally.given(key, service, &part);
        let shared = self.state(key).map(|it| &it.shared);
        let shared = shared.filter(|it| !it.is_empty() && matches!(part, Part::Host(_)));
        let shared = shared.and_then(|it| it.get(&(server.host.clone(), server.port)));
        let Some(shared) = shared else {
            return own;
        };
        let of = service_name(model, service);
        match shared.iter().find(|it| it.of == of) {
            Some(it) => Giving::shared(own, (it.weight, it.since), server.settings.weight),
            None => own,
        }
    }

    /// The weights that the checks of a withdrawn real server gave it before, on whichever
    /// director, of those that give none now.
    pub(crate) fn gave(&self, model: &Model, key: VirtualServiceKey, word: &Word) -> Vec<Gave> {
        let Some(server) = self.weighed(model, key, word) else {
            return Vec::new();
        };
        let gave = server.judges.iter().filter_map(|judge| {
            let (service, part) = judged_part(judge, &server.host);
            let giving = self.giving(model, key, server, judge)?;
            matches!(part, Part::Host(_)).then_some(Gave {
                of: service_name(model, service),
                weight: giving.before()?,
            })
        });
        gave.collect()
    }

    /// The sections in which a real server of this word has a weight of the other director's.
    pub(crate) fn sharing(&self, model: &Model, host: &HostName) -> Vec<VirtualServiceKey> {
        let servers = self.words.servers(model, host);
        let keys = servers.filter_map(|(key, server)| {
            let shared = &self.state(key)?.shared;
            let is_shared = !shared.is_empty() && shared.contains_key(&(host.clone(), server.port));
            is_shared.then_some(key)
        });
        keys.collect()
    }

    /// A real server of a section that asks its checks for weights.
    fn weighed<'a>(
        &self,
        model: &'a Model,
        key: VirtualServiceKey,
        (host, port): &Word,
    ) -> Option<&'a DeclaredServer> {
        match self.section(model, key)?.weight_from {
            WeightFrom::File => None,
            WeightFrom::Check => {
                let at = self.state(key)?.index();
                self.words.server_of(model, at, (host, *port))
            }
        }
    }
}

fn service_name(model: &Model, id: ServiceId) -> ServiceName {
    let service = model.service(id);
    ServiceName {
        group: service.group.to_string(),
        service: service.name.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_least_weight_that_was_told_counts_whichever_was_told_last() {
        let gave = |weight| Gave {
            of: ServiceName {
                group: "web".to_owned(),
                service: "http".to_owned(),
            },
            weight,
        };
        let (mut shared, own) = (Vec::new(), Weight(40));
        let told = [
            GivenWeight::Absolute(50),
            GivenWeight::Percent(50),
            GivenWeight::Absolute(30),
            GivenWeight::Absolute(20),
        ];
        let now = Wall::default();
        let is_less = told.map(|weight| take(&mut shared, &[gave(weight)], own, now));
        assert_eq!(is_less, [true, true, false, false]);
        let known: Vec<u32> = shared.iter().map(|it| it.weight.of(own).0).collect();
        assert_eq!(known, [20]);
    }
}
