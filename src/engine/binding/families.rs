//! Of which families are the addresses of a name that are a service's to judge (D8)?
//!
//! Where a service decides over a real server by its name, its checks go to addresses of that
//! virtual service's family alone: that a machine answers at one of the other family says nothing
//! about the real server. A file in which one service decides over one name in both families is
//! refused (`config::check::one_family`): one verdict cannot speak for two addresses.

use std::collections::{BTreeMap, BTreeSet};

use crate::effort::visit;
use crate::engine::binding::judge::Part;
use crate::engine::binding::{Bindings, addresses, survey};
use crate::engine::event::RunId;
use crate::engine::section::count::judged_part;
use crate::lead::Lead;
use crate::lvs::Family;
use crate::model::{HostName, Model, MonitorProgram, ServiceId};

/// Families in which something is decided.
type Decided = BTreeSet<Family>;

/// Which services decide, in which families: over each name, and as a whole over whatever it is.
#[derive(Clone, Debug, Default)]
pub(crate) struct Families {
    of_name: BTreeMap<HostName, BTreeSet<(ServiceId, Family)>>,
    of_whole: BTreeMap<ServiceId, Decided>,
}

/// Families in which a service found hosts over which it decides nothing by now.
#[derive(Clone, Debug)]
pub(super) struct Led {
    families: Families,
    /// The check that goes on and goes anywhere: what it finds is of none of these.
    anew: Option<RunId>,
}

/// What a reload makes of verdicts where services decide in other families than before.
#[derive(Debug, Default)]
pub(crate) struct Turned {
    /// They were found in none of the families that they are to be of.
    void: BTreeSet<(ServiceId, Part)>,
    /// Services whose check that is under way was not told where to go for what they decide now.
    anywhere: BTreeSet<ServiceId>,
    /// Services that may not have looked at all that they decide over.
    behind: BTreeSet<ServiceId>,
}

impl Turned {
    /// Whether what was found is no verdict on this part of a service, by its number in the new
    /// Model.
    pub(super) fn is_void(&self, service: ServiceId, part: &Part) -> bool {
        self.void.contains(&(service, part.clone()))
    }

    /// Whether a check of this service that is under way may go to another family.
    pub(crate) fn may_be_elsewhere(&self, service: ServiceId) -> bool {
        let mut void = self.void.iter();
        void.any(|&(id, _)| id == service) || self.anywhere.contains(&service)
    }

    /// The services that are to look at once.
    pub(crate) const fn behind(&self) -> &BTreeSet<ServiceId> {
        &self.behind
    }

    fn see(&mut self, (service, part): (ServiceId, Part), was: &Decided, is: &Decided) {
        if was != is {
            self.behind.insert(service);
        }
        // Who has looked at whatever answered: that counts until it has looked again.
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
                    let (service, part) = judged_part(judge, &server.host);
                    families.add(&server.host, (service, &part), section.key.family());
                }
            }
        }
        families
    }

    /// What of others, of a Model before this one, is of hosts over which their services decide
    /// nothing now, by service. `place` is the number of a service in this Model.
    pub(super) fn left_behind(
        &self,
        before: &Self,
        place: impl Fn(ServiceId) -> Option<ServiceId>,
    ) -> BTreeMap<ServiceId, Self> {
        let mut left: BTreeMap<ServiceId, Self> = BTreeMap::new();
        for (host, of) in &before.of_name {
            for &(old, family) in of {
                if let Some(id) = place(old).filter(|&id| self.decided(id, host).is_empty()) {
                    let of_host = left.entry(id).or_default().of_name.entry(host.clone());
                    of_host.or_default().insert((id, family));
                }
            }
        }
        let deciding = self.by_service();
        for (&old, families) in &before.of_whole {
            if let Some(id) = place(old).filter(|id| !deciding.contains_key(id)) {
                let of_service = &mut left.entry(id).or_default().of_whole;
                of_service.insert(id, families.clone());
            }
        }
        left
    }

    /// Those of hosts, and those as a whole, where all are of one service, whatever its number.
    fn of_one(&self) -> (BTreeMap<&HostName, Decided>, Decided) {
        let families = |of: &BTreeSet<(ServiceId, Family)>| of.iter().map(|it| it.1).collect();
        let of_hosts = self.of_name.iter().map(|(host, of)| (host, families(of)));
        let of_whole = self.of_whole.values().flatten().copied();
        (of_hosts.collect(), of_whole.collect())
    }

    /// Those of others, too.
    fn add_all(&mut self, others: &Self) {
        for (host, of) in &others.of_name {
            self.of_name.entry(host.clone()).or_default().extend(of);
        }
        for (&id, families) in &others.of_whole {
            self.of_whole.entry(id).or_default().extend(families);
        }
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

    /// Those in which each service decides over anything.
    fn by_service(&self) -> BTreeMap<ServiceId, Decided> {
        let mut all = self.of_whole.clone();
        for &(id, family) in self.of_name.values().flatten() {
            visit();
            all.entry(id).or_default().insert(family);
        }
        all
    }

    /// Whether what a service found of a part in this family, in an earlier life of the daemon, is
    /// a verdict on what it decides over by this Model.
    pub(super) fn takes(
        &self,
        model: &Model,
        (service, part): (ServiceId, &Part),
        was: Family,
    ) -> bool {
        let is = match part {
            Part::Host(host) if addresses::literal(host).is_some() => return true,
            Part::Host(host) => self.decided(service, host),
            Part::Whole => self.of_whole.get(&service).cloned().unwrap_or_default(),
        };
        is.contains(&was) || !looks_names_up(model, service)
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

/// Whether the checks of a service find the addresses of hosts by their names. What comes by trap
/// is of the machine.
fn looks_names_up(model: &Model, id: ServiceId) -> bool {
    let members = &model.hostgroup(id).members;
    let is_name = |host: &HostName| addresses::literal(host).is_none();
    let Some(monitor) = &model.service(id).monitor else {
        return false;
    };
    let own = match &monitor.program {
        MonitorProgram::Native(options) => options.own_hosts(),
        MonitorProgram::Executable(_) | MonitorProgram::Missing(_) => &[],
    };
    let mut own = own.iter().map(|word| HostName::new(word));
    members.iter().any(|member| is_name(&member.host)) || own.any(|host| is_name(&host))
}

fn only(families: &Decided) -> Option<Family> {
    let mut families = families.iter().copied();
    families.next().filter(|_| families.next().is_none())
}

impl Bindings {
    /// In which families the latest verdicts were found, as far as is known.
    pub(super) fn found_in(&self) -> Families {
        let mut found_in = self.families.clone();
        for led in self.led.values() {
            found_in.add_all(&led.families);
        }
        found_in
    }

    /// A check of all that a service checks begins: where it decides nothing, it goes anywhere.
    pub(crate) fn looks(&mut self, service: ServiceId, run: RunId) {
        if let Some(led) = self.led.get_mut(&service) {
            led.anew = Some(run);
        }
    }

    /// What such a check found counts from now on.
    pub(crate) fn looked(&mut self, service: ServiceId, run: RunId) {
        let is_anew = |led: &Led| led.anew == Some(run);
        if self.led.get(&service).is_some_and(is_anew) {
            self.led.remove(&service);
        }
    }

    /// What services decide nothing over since a reload, of that which was `found_in` families.
    /// `place` is the number of a service of before in the Model in force.
    pub(super) fn leave_behind(
        &mut self,
        found_in: &Families,
        place: impl Fn(ServiceId) -> Option<ServiceId>,
    ) {
        let before = std::mem::take(&mut self.led).into_iter();
        let before = before.filter_map(|(old, led)| Some((place(old)?, led)));
        let before: BTreeMap<ServiceId, Led> = before.collect();
        let left = self.families.left_behind(found_in, place).into_iter();
        let left = left.map(|(id, families)| {
            // The check that goes on was told where to go for what it decided over then.
            let same = before.get(&id);
            let same = same.filter(|it| it.families.of_one() == families.of_one());
            let anew = same.and_then(|it| it.anew);
            (id, Led { families, anew })
        });
        self.led = left.collect();
    }

    /// Whether a check of a service goes on that may go to any family.
    fn looks_anywhere(&self, service: ServiceId) -> bool {
        self.led.get(&service).is_some_and(|led| led.anew.is_some())
    }

    /// What a reload to this Model makes of verdicts.
    pub(crate) fn turned(&self, model: &Model) -> Turned {
        let (before, after) = (self.found_in(), Families::of(model));
        let names = model.service_names();
        let olds = self.model.services();
        let places = olds.filter_map(|(old, it)| Some((names.find(&it.group, &it.name)?, old)));
        let mut places: BTreeMap<ServiceId, ServiceId> = places.collect();
        places.retain(|&id, _| looks_names_up(model, id));
        let mut turned = Turned::default();
        for (host, deciders) in &after.of_name {
            for &(id, _) in deciders {
                if let Some(&old) = places.get(&id) {
                    let (was, is) = (before.decided(old, host), after.decided(id, host));
                    let part = Part::Host(host.clone());
                    turned.see((id, part), &was, &is);
                }
            }
        }
        let all = before.by_service();
        for (&id, is) in &after.of_whole {
            if let Some(old) = places.get(&id) {
                let was = all.get(old).cloned().unwrap_or_default();
                turned.see((id, Part::Whole), &was, is);
            }
        }
        let decides = after.by_service();
        let anywhere = places.iter().filter(|&(_, &old)| self.looks_anywhere(old));
        let anywhere = anywhere.map(|(&id, _)| id);
        let anywhere = anywhere.filter(|id| decides.contains_key(id));
        turned.anywhere.extend(anywhere);
        turned
    }

    /// Where the checks of a host are to go: where its name leads as far as is known here, else to
    /// what the service decides over; what they find is then no word on another address. None
    /// where that may be any.
    pub(crate) fn lead(&self, service: ServiceId, host: &HostName) -> Option<Lead> {
        let known = self.latest(service, host).map(Lead::To);
        known.or_else(|| self.families.lead(service, host))
    }

    /// Those in which a service decides over a host, by its name or else as a whole; none where it
    /// does neither.
    pub(super) fn families_of(&self, service: ServiceId, host: &HostName) -> Decided {
        self.families.decided(service, host)
    }
}
