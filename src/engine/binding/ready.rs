//! When may the changed address of a name enter (D8)?
//!
//! A name has one address for all its virtual services of a family. Where it is good for all of
//! them, it enters. Else it does as soon as one of them wins by it and no other one loses. It wins
//! where all its services found the name good there, and the real server at the address of before
//! takes no clients, by its own checks or by what a person wishes, or by `lvs.alert` lines may be
//! dead unheard (while the alerts of its service do not count). It loses nothing where that one
//! takes none, and what is not good at the next address keeps it out there too.

use std::collections::{BTreeMap, BTreeSet};

use crate::engine::binding::judge::Attendance;
use crate::engine::binding::{Bindings, Part, Verdict};
use crate::engine::desired::Stand;
use crate::engine::section::count::judged_part;
use crate::lvs::{Family, RealServerKey, ServerWish, VirtualServiceKey};
use crate::model::{BoundServers, HostName, ServiceId};

/// The virtual service and the port of a real server.
type Place = (VirtualServiceKey, u16);

/// What is said of one real server: whose verdicts, and whether they withdraw it now.
#[derive(Debug, Default)]
struct Judged {
    parts: BTreeSet<(ServiceId, Part)>,
    withdrawing: BTreeSet<(ServiceId, Part)>,
    heard: Heard,
}

/// What of that which its checks find counts.
#[derive(Debug, Default, PartialEq, Eq)]
enum Heard {
    #[default]
    All,
    /// By a line: the alerts of its service do not count yet (D3).
    WhatIsGood,
}

impl Bindings {
    /// Whether nothing but another name of its section keeps the changed address of a name out.
    pub(super) fn is_ready(&self, host: &HostName, family: Family) -> bool {
        if self.addresses.next(host, family).is_none() {
            return false;
        }
        if self.is_unjudged(host, family) {
            return true;
        }
        let is_good = |judged: &Judged| self.addresses.is_good(host, family, &judged.parts);
        let places = self.places_judged(host, family);
        let (good, others): (Vec<_>, Vec<_>) =
            places.iter().partition(|(_, judged)| is_good(judged));
        let wins = |(place, judged): &(&Place, &Judged)| {
            self.is_out(host, **place, judged) || judged.heard == Heard::WhatIsGood
        };
        let loses_nothing =
            |(place, judged): &(&Place, &Judged)| self.loses_nothing(host, **place, judged);
        match others.is_empty() {
            true => !good.is_empty(),
            false => good.iter().any(wins) && others.iter().all(loses_nothing),
        }
    }

    /// Whether nobody is to judge what a name stands for: it is a fallback, or its section has
    /// `service none`.
    fn is_unjudged(&self, host: &HostName, family: Family) -> bool {
        self.all_parts_about(host, family).next().is_none()
    }

    /// Whether a real server at the address of before, one that is not good at the next one, has
    /// no clients to lose and gets none there by what was found elsewhere.
    fn loses_nothing(&self, host: &HostName, place: Place, judged: &Judged) -> bool {
        let family = place.0.family();
        let stays_out = |part: &(ServiceId, Part)| {
            let parts = BTreeSet::from([part.clone()]);
            judged.withdrawing.contains(part)
                || self.addresses.is_good(host, family, &parts)
                || self.fails_next(host, family, part)
        };
        self.is_out(host, place, judged) && judged.parts.iter().all(stays_out)
    }

    /// Whether the real server at the address of before is withdrawn, or takes no clients anyway.
    fn is_out(&self, host: &HostName, (key, port): Place, judged: &Judged) -> bool {
        let takes_no_clients = || {
            let current = self.addresses.current(host, key.family());
            let server = current.map(|it| RealServerKey((it, port).into()));
            let wanted = self.desired.get(&key);
            let wish = server.and_then(|server| Some((server, *wanted?.servers.get(&server)?)));
            wish.is_some_and(|(server, wish)| {
                wish != ServerWish::AsFound && !self.takes_clients((key, server), wish)
            })
        };
        !judged.withdrawing.is_empty() || takes_no_clients()
    }

    /// Whether the checks of a host fail at its changed address.
    fn fails_next(&self, host: &HostName, family: Family, (id, part): &(ServiceId, Part)) -> bool {
        let failures = self.addresses.failures(host, family);
        *part != Part::Whole && failures.is_some_and(|it| it.contains_key(id))
    }

    /// The real servers of a name, each with those whose verdicts it waits for. Of nobody's there
    /// is none.
    fn places_judged(&self, host: &HostName, family: Family) -> BTreeMap<Place, Judged> {
        let mut places: BTreeMap<Place, Judged> = BTreeMap::new();
        let mut unheard: Vec<Place> = Vec::new();
        let mut add = |place: Place, part: (ServiceId, Part), withdraws: bool| {
            if self.is_waited_for(&part) {
                let judged = places.entry(place).or_default();
                if withdraws {
                    judged.withdrawing.insert(part.clone());
                }
                judged.parts.insert(part);
            }
        };
        let servers = self.sections.words.servers(&self.model, host);
        for (key, server) in servers.filter(|(key, _)| key.family() == family) {
            for judge in &server.judges {
                let (id, part) = judged_part(judge, host);
                let verdict = self.sections.tally.verdict(key, id, &part);
                let withdraws = matches!(verdict, Some(Verdict::Bad { .. }));
                add((key, server.port), (id, part), withdraws);
            }
        }
        let keys = self.by_host.get(host).into_iter().flatten();
        for &key in keys.filter(|key| key.family() == family) {
            for line in self.lines_of(key) {
                if let Some(part) = self.part_of(line, host) {
                    let (BoundServers::One { port, .. } | BoundServers::EachHost { port }) =
                        line.real;
                    let stand = self.stand(line, (host, port), &part);
                    let withdraws = matches!(stand, Stand::Withdraws(_));
                    add((key, port), (line.service, part), withdraws);
                    unheard.extend((!self.is_gate_open(line.service)).then_some((key, port)));
                }
            }
        }
        for place in unheard {
            if let Some(judged) = places.get_mut(&place) {
                judged.heard = Heard::WhatIsGood;
            }
        }
        places
    }

    /// Whose verdicts a changed address of this name waits for.
    pub(super) fn parts_about(
        &self,
        host: &HostName,
        family: Family,
    ) -> BTreeSet<(ServiceId, Part)> {
        let all = self.all_parts_about(host, family);
        all.filter(|part| self.is_waited_for(part)).collect()
    }

    fn is_waited_for(&self, (service, part): &(ServiceId, Part)) -> bool {
        let judge = self.judges.get(service);
        let known = judge.and_then(|judge| judge.parts.get(part));
        known.is_some_and(|known| known.attendance != Attendance::LeftOut)
    }
}
