//! What counts of what a program finds while nobody says where names lead (D8)?
//!
//! A program looks names up itself: in an outage of name servers all that it finds bad may be that,
//! and behind a restart it may have looked elsewhere than the server that is in the table.

use std::cell::OnceCell;
use std::collections::BTreeSet;
use std::net::IpAddr;

use crate::engine::binding::addresses::Tick;
use crate::engine::binding::{Bindings, Part, Verdict};
use crate::engine::section::memory::Found;
use crate::lvs::{RealServerKey, ServerWish, VirtualServiceKey};
use crate::model::{HostName, ServiceId};

impl Bindings {
    /// Whether a name that is this service's to judge had an address before a restart, and nobody
    /// has said since where it leads.
    pub(crate) fn awaits_answers(&self, service: ServiceId) -> bool {
        let members = self.model.hostgroup(service).members.iter();
        let mut awaited = members.filter(|it| self.addresses.is_unanswered(&it.host));
        awaited.any(|it| !self.families_of(service, &it.host).is_empty())
    }

    /// Whether nobody knows where a check of this service looked that failed, or whether it looked
    /// anywhere: a program looks its names up itself, and where this one leads that has an address,
    /// name servers have not said since a restart, or do not say now.
    pub(crate) fn is_unsure(&self, service: ServiceId, host: &HostName) -> bool {
        let families = self.families_of(service, host);
        (self.addresses.is_unanswered(host) || self.addresses.is_kept(host, &families))
            && self.looks_up_itself(service, host)
    }

    /// The same of a check that began when so many answers had been heard: its look-up may have
    /// failed though name servers answer by now.
    pub(crate) fn was_unsure(&self, service: ServiceId, host: &HostName, answers: Tick) -> bool {
        self.is_unsure(service, host)
            || self.addresses.was_kept(host, answers) && self.looks_up_itself(service, host)
    }

    /// Whether what such a check finds bad counts for nothing: nobody has said since a restart
    /// where the name leads, or its real server is not to be lost. Of one that is out anyway,
    /// beside others that serve, people are to hear. Whether `nobody` serves is found out once for
    /// all hosts of a report.
    pub(crate) fn takes_nobody_out(
        &self,
        service: ServiceId,
        host: &HostName,
        answers: Tick,
        nobody: &OnceCell<bool>,
    ) -> bool {
        let is_to_stay = || {
            self.has_found_good(service, host)
                || self.has_a_place(service, host)
                || *nobody.get_or_init(|| self.has_none_who_serves(service))
        };
        self.was_unsure(service, host, answers)
            && (self.addresses.is_unanswered(host) || is_to_stay())
    }

    /// Whether the latest word of this service that counted is that a host is good.
    fn has_found_good(&self, service: ServiceId, host: &HostName) -> bool {
        let Some(judge) = self.judges.get(&service) else {
            return false;
        };
        let parts = [Part::Host(host.clone()), Part::Whole];
        let known = parts
            .iter()
            .filter_map(|part| judge.parts.get(part)?.verdict);
        let keys = judge.sections.iter().copied();
        let tally = &self.sections.tally;
        let of = |key| {
            let verdicts = parts.iter().map(move |part| (key, part));
            verdicts.filter_map(|(key, part)| tally.verdict(key, service, part))
        };
        known.chain(keys.flat_map(of)).any(|it| it == Verdict::Good)
    }

    /// Whether the real server of a name is wanted in, or is in the kernel's table, at a virtual
    /// service that this service decides over, or nobody knows: with weight 0 it may have
    /// connections.
    fn has_a_place(&self, service: ServiceId, host: &HostName) -> bool {
        let addresses = self.addresses_of(service, host);
        self.virtual_services_by(service).into_iter().any(|key| {
            let found = self.sections.state(key).map(|it| it.found);
            let (wanted, kernel) = (self.desired.get(&key), self.sections.kernel(key));
            let has = |ip: &IpAddr| {
                let [first, last] = [0, u16::MAX].map(|it| RealServerKey((*ip, it).into()));
                let wishes = wanted.map(|it| it.servers.range(first..=last));
                let mut wishes = wishes.into_iter().flatten();
                wishes.any(|(_, wish)| matches!(wish, ServerWish::In(_)))
                    || kernel.is_some_and(|it| it.range(first..=last).next().is_some())
            };
            matches!(found, None | Some(Found::Unseen)) || addresses.iter().any(has)
        })
    }

    /// Whether nobody takes clients of a virtual service that this service decides over.
    fn has_none_who_serves(&self, service: ServiceId) -> bool {
        self.virtual_services_by(service).into_iter().any(|key| {
            let mut wanted = self
                .desired
                .get(&key)
                .into_iter()
                .flat_map(|it| &it.servers);
            !wanted.any(|(&server, &wish)| self.takes_clients((key, server), wish))
        })
    }

    /// Whether this service is a program that looks the name of this real server up itself.
    fn looks_up_itself(&self, service: ServiceId, host: &HostName) -> bool {
        !self.goes_where_told(service) && !self.families_of(service, host).is_empty()
    }

    /// Whether what a check of this service finds good there puts nobody in: nobody knows where it
    /// looked, and the journal has the server withdrawn. By lines the journal does not say whom a
    /// failing service withdrew: none of its hosts is put in so.
    pub(crate) fn is_unsure_return(&self, service: ServiceId, host: &HostName) -> bool {
        if !self.addresses.is_unanswered(host) || !self.looks_up_itself(service, host) {
            return false;
        }
        let judge = self.judges.get(&service);
        let parts = [Part::Host(host.clone()), Part::Whole];
        let is_withdrawn = |&key: &VirtualServiceKey| {
            let tally = &self.sections.tally;
            let mut verdicts = parts.iter().map(|part| tally.verdict(key, service, part));
            verdicts.any(|it| matches!(it, Some(Verdict::Bad { .. })))
        };
        judge.is_some_and(|it| it.was_failing || it.sections.iter().any(is_withdrawn))
    }

    /// Nobody says where a name leads that programs look up themselves: what a person should mend.
    pub(super) fn unheeded(&self, key: VirtualServiceKey, host: &HostName) -> Option<String> {
        let family = BTreeSet::from([key.family()]);
        if !self.addresses.is_kept(host, &family) {
            return None;
        }
        let current = self.addresses.current(host, key.family())?;
        let mut judges = self.all_parts_about(host, key.family());
        let (program, _) = judges.find(|&(it, _)| {
            !self.goes_where_told(it)
                && self.model.service(it).monitor.is_some()
                && self.virtual_services_by(it).contains(&key)
        })?;
        let service = self.model.service(program);
        let (group, name) = (&service.group, &service.name);
        Some(format!(
            "no name server says where {host} leads: until one does, {current} counts as before, and what {group}/{name} finds bad does not, since its program looks the name up itself; mend the name servers, or write {current} in place of the name"
        ))
    }
}
