//! What `virtual` sections add: their claims, their counts, their real servers' addresses.
//!
//! A section's claims stand in the same survey as those of `lvs.alert` lines, before them, so
//! its settings win; what is wanted of it all says [`crate::engine::section::wanted`].

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::effort::visit;
use crate::engine::binding::change::{Presence, server_change};
use crate::engine::binding::judge::Attendance;
use crate::engine::binding::notes::{mend_note, server_note};
use crate::engine::binding::survey::add;
use crate::engine::binding::{Bindings, Part, Verdict};
use crate::engine::desired::{Claim, Place, Places, Stand, Survey, Withdrawal, server_wish};
use crate::engine::event::{Action, TableOutcome};
use crate::engine::section::count::judged_part;
use crate::engine::section::in_table::InTable;
use crate::engine::section::live::ServedBy;
use crate::engine::section::memory::Word;
use crate::engine::section::wanted::{
    Addressless, Arrival, Facts, Health, HeldUntil, Server, ServerRole, Wanted, cannot_quiesce,
    may_serve, wanted,
};
use crate::lvs::clients::ClientOdds;
use crate::lvs::{
    DesiredService, Family, RealServerKey, ServerWish, Table, VirtualServiceKey, Weight,
};
use crate::model::{
    DeclaredJudge, DeclaredServer, DeclaredService, Ends, HostName, Model, OnFailure, ServiceId,
};
use crate::pair::talk::withdrawn::WithdrawnServers;
use crate::pair::turn::TurnClock;

impl Bindings {
    /// Fits judges, words and virtual services to the sections of a Model.
    pub(super) fn adopt_sections(
        &mut self,
        model: &Model,
        wanted: &mut BTreeSet<(ServiceId, Part)>,
        words: &mut Vec<HostName>,
        by_host: &mut BTreeMap<HostName, BTreeSet<VirtualServiceKey>>,
    ) {
        for section in &model.virtual_services {
            let key = section.key;
            self.by_virtual_service.entry(key).or_default();
            let servers = section.servers.iter().map(|server| &server.host);
            for host in servers.chain(section.fallback.as_ref().map(|it| &it.host)) {
                words.push(host.clone());
                by_host.entry(host.clone()).or_default().insert(key);
            }
            for server in &section.servers {
                for judge in &server.judges {
                    wanted.insert(judged_part(judge, &server.host));
                    let judge = self.judges.entry(judge.service).or_default();
                    judge.sections.insert(key);
                }
            }
        }
    }

    /// Whose verdicts count for a changed address of this name.
    pub(super) fn section_parts_about(
        &self,
        host: &HostName,
        family: Family,
    ) -> Vec<(ServiceId, Part)> {
        let servers = self.sections.words.servers(&self.model, host);
        let servers = servers.filter(|(key, _)| key.family() == family);
        let judges = servers.flat_map(|(_, server)| &server.judges);
        judges.map(|judge| judged_part(judge, host)).collect()
    }

    /// The section of this key, of the Model in force.
    pub(crate) fn section<'a>(
        &self,
        model: &'a Model,
        key: VirtualServiceKey,
    ) -> Option<&'a DeclaredService> {
        self.sections.section(model, key)
    }

    /// Whether a section of the file says this word for a real server with this port.
    pub(super) fn is_word_of_section(
        &self,
        key: VirtualServiceKey,
        server: RealServerKey,
        host: &HostName,
    ) -> bool {
        let port = server.0.port();
        let section = self.sections.section(&self.model, key);
        let fallback = section.and_then(|section| section.fallback.as_ref());
        let mut servers = self.sections.words.servers(&self.model, host);
        servers.any(|(of, it)| of == key && it.port == port)
            || fallback.is_some_and(|it| it.host == *host && it.port == port)
    }

    /// The part of a survey that a section makes.
    pub(super) fn survey_section(&self, key: VirtualServiceKey) -> Survey {
        let mut survey = Survey::default();
        let Some(section) = self.sections.section(&self.model, key) else {
            return survey;
        };
        survey.is_declared = true;
        let mut places = Places::default();
        for server in &section.servers {
            visit();
            let forwarding = server.settings.forwarding;
            let word = (&server.host, server.port);
            let (address, problem) = self.place(key, word, forwarding);
            places.servers.push(Place {
                word: (server.host.clone(), server.port),
                server: address,
                settings: server.settings,
            });
            if let Some(text) = &problem {
                let problem = (None, text.clone());
                survey.problems.insert(server.host.clone(), problem);
            }
            if let Some(address) = address {
                survey.servers.entry(address).or_default();
            }
            for judge in &server.judges {
                let claim = self.section_claim(key, server, judge);
                add(&mut survey, key, claim, address, problem.clone());
            }
        }
        if let Some(fallback) = &section.fallback {
            let forwarding = fallback.settings.forwarding;
            let (address, problem) = self.place(key, (&fallback.host, fallback.port), forwarding);
            // One that is a real server too is that first.
            places.fallback = address.filter(|address| !survey.servers.contains_key(address));
            if let Some(text) = problem {
                survey.problems.insert(fallback.host.clone(), (None, text));
            }
        }
        say_shared(key, &places, &mut survey);
        survey.section = Some(places);
        survey
    }

    fn section_claim(
        &self,
        key: VirtualServiceKey,
        server: &DeclaredServer,
        judge: &DeclaredJudge,
    ) -> Claim {
        #[cfg(test)]
        self.looked_at.set(self.looked_at.get() + 1);
        let (service, part) = judged_part(judge, &server.host);
        let attendance = || {
            let judge = self.judges.get(&service)?;
            Some(judge.parts.get(&part)?.attendance)
        };
        let stand = match self.sections.tally.verdict(key, service, &part) {
            Some(Verdict::Bad { reason, since }) => Stand::Withdraws(Withdrawal {
                service,
                reason,
                since,
                ends: Ends::WithSuccess,
            }),
            Some(Verdict::Good) => Stand::Content,
            None => match attendance() {
                Some(Attendance::LeftOut) => Stand::LeftOut,
                Some(Attendance::Awaited | Attendance::Heard) | None => Stand::Silent,
            },
        };
        Claim {
            binding: None,
            service,
            host: server.host.clone(),
            port: server.port,
            settings: server.settings,
            stand,
        }
    }

    /// The words that stand for each real server of a virtual service.
    pub(super) fn words_of(
        &self,
        key: VirtualServiceKey,
        survey: &Survey,
    ) -> BTreeMap<RealServerKey, BTreeSet<HostName>> {
        let mut words: BTreeMap<RealServerKey, BTreeSet<HostName>> = BTreeMap::new();
        for (&server, claims) in &survey.servers {
            let hosts = claims.iter().map(|claim| claim.host.clone());
            words.entry(server).or_default().extend(hosts);
        }
        let Some(places) = &survey.section else {
            return words;
        };
        for place in &places.servers {
            if let Some(server) = place.server {
                words
                    .entry(server)
                    .or_default()
                    .insert(place.word.0.clone());
            }
        }
        let section = self.sections.section(&self.model, key);
        let fallback = section.and_then(|section| section.fallback.as_ref());
        if let (Some(server), Some(fallback)) = (places.fallback, fallback) {
            words
                .entry(server)
                .or_default()
                .insert(fallback.host.clone());
        }
        words
    }

    /// What is wanted of the virtual service of a section; none where it has none.
    pub(super) fn decide_section(
        &mut self,
        key: VirtualServiceKey,
        survey: &Survey,
        actions: &mut Vec<Action>,
    ) -> Option<DesiredService> {
        let model = Arc::clone(&self.model);
        let section = self.sections.section(&model, key)?;
        let places = survey.section.as_ref()?;
        self.settle_wishes(key, survey, actions);
        let mut servers: Vec<Server> = Vec::with_capacity(places.servers.len());
        let mut seen = BTreeSet::new();
        let mut judged = Vec::new();
        for (declared, place) in section.servers.iter().zip(&places.servers) {
            let Some(server) = place.server.filter(|server| seen.insert(*server)) else {
                continue;
            };
            let claims = survey.servers.get(&server).map(Vec::as_slice);
            let health = health(claims.unwrap_or_default());
            let arrival = match health {
                Health::Good | Health::Withdrawn => {
                    judged.push(server);
                    Arrival::Known
                }
                Health::Waiting | Health::Unheard if self.owned.is_new(key, server) => Arrival::New,
                Health::Waiting | Health::Unheard => Arrival::Known,
            };
            let mut server = Server {
                key: server,
                settings: place.settings,
                own: declared.own,
                health,
                arrival,
                given: None,
                wished: self.manual.effect((key, server)),
                memory: self.sections.memory(key, &place.word),
                failed_last: false,
            };
            let wanted = self.desired.get(&key);
            let before = wanted.and_then(|it| it.servers.get(&server.key).copied());
            let sections = &mut self.sections;
            sections.follow(section, &place.word, &mut server, before, self.now, actions);
            let failed = server.memory.out.is_some();
            server.failed_last = failed || self.owned.has_failed(key, server.key);
            // What it is given depends on whether it is withdrawn.
            server.given = self.given(section, declared);
            servers.push(server);
        }
        let state = self.sections.state(key);
        let wished = |server| self.manual.effect((key, server));
        let facts = Facts {
            section,
            servers: &servers,
            declared: places.servers.len(),
            addressless: self.addressless(section),
            addressless_of_lines: self.addressless_of_lines(survey),
            fallback: places.fallback,
            addressless_fallback: self.addressless_fallback(section),
            fallback_wished: places.fallback.and_then(wished),
            others: self.wanted_of_others(key, survey, &seen),
            leaving: self.owned.staying(key).collect(),
            has_held: self.owned.has_held(key),
            has_returned: self.owned.has_returned(key),
            is_absent: !survey.withdrawn_by.is_empty(),
            found: state.map(|it| it.found).unwrap_or_default(),
            put_in: &self.put_in(section, places),
            kernel: self.sections.kernel(key),
        };
        let wanted = wanted(&facts, self.now);
        self.say_changes(key, survey, (&wanted.service, &wanted.roles), actions);
        self.take_note_of_usual(key, &servers, &wanted, actions);
        // What is said depends on whether they are new.
        for server in judged {
            self.owned.judged(key, server);
        }
        self.take_note(key, places, &wanted, actions);
        self.decided.insert(key);
        Some(wanted.service)
    }

    /// What is wanted of the real servers that only `lvs.alert` lines name beside these of a
    /// section, as operators wish.
    fn wanted_of_others(
        &self,
        key: VirtualServiceKey,
        survey: &Survey,
        own: &BTreeSet<RealServerKey>,
    ) -> BTreeMap<RealServerKey, ServerWish> {
        let others = survey.servers.iter().filter(|(it, _)| !own.contains(it));
        let wanted = others.map(|(&server, claims)| {
            let wish = self.manual.over((key, server), server_wish(claims));
            (server, wish)
        });
        wanted.collect()
    }

    /// The real servers of sections that are withdrawn.
    pub(crate) fn withdrawn(&self) -> WithdrawnServers {
        self.sections.withdrawn(&self.model)
    }

    /// The clock of their turns.
    pub(crate) const fn turn_clock(&self) -> Option<TurnClock> {
        self.sections.turns.told()
    }

    /// These are withdrawn on the other director, whose clock of turns is this; none without a
    /// link.
    pub(crate) fn peer_withdrew(
        &mut self,
        peers: &Arc<WithdrawnServers>,
        clock: Option<TurnClock>,
    ) -> Vec<Action> {
        let mut actions = Vec::new();
        let (model, now) = (&self.model, self.now);
        let sections = &mut self.sections;
        let keys = sections.peer_withdrew(model, peers, clock, now, &mut actions);
        self.decide(&keys, &mut actions);
        actions
    }

    /// Takes note of what was decided.
    fn take_note(
        &mut self,
        key: VirtualServiceKey,
        places: &Places,
        wanted: &Wanted,
        actions: &mut Vec<Action>,
    ) {
        self.sections.decided(key, wanted);
        for place in &places.servers {
            let role = place.server.and_then(|it| wanted.roles.get(&it));
            if let Some(&role) = role {
                let noted = self.sections.stands(key, &place.word, role, self.now);
                actions.extend(noted);
            }
        }
    }

    /// The declared real servers that may get clients and whose names have no usable address.
    fn addressless<'a>(&self, section: &'a DeclaredService) -> Vec<Addressless<'a>> {
        let servers = section.servers.iter();
        let servers = servers.filter(|it| may_serve(section, it.settings.weight));
        let addressless = servers.filter(|it| {
            let word = (&it.host, it.port);
            !self.is_placed(section.key, word, it.settings.forwarding)
        });
        addressless
            .map(|it| Addressless {
                host: &it.host,
                lookup: self.addresses.lookup(&it.host),
            })
            .collect()
    }

    /// The name of a fallback that may get clients and has no usable address.
    pub(super) fn addressless_fallback<'a>(
        &self,
        section: &'a DeclaredService,
    ) -> Option<&'a HostName> {
        let fallback = section.fallback.as_ref();
        let fallback = fallback.filter(|it| it.settings.weight > Weight(0))?;
        let word = (&fallback.host, fallback.port);
        let is_placed = self.is_placed(section.key, word, fallback.settings.forwarding);
        (!is_placed).then_some(&fallback.host)
    }

    /// A section is to be looked at as if it had been decided over just now.
    pub(crate) fn look_again(&mut self, key: VirtualServiceKey) {
        self.decided.insert(key);
    }

    /// The sections that were decided over since they were last taken.
    pub(crate) const fn decided(&self) -> &BTreeSet<VirtualServiceKey> {
        &self.decided
    }

    /// The same, taken.
    pub(crate) fn take_decided(&mut self) -> BTreeSet<VirtualServiceKey> {
        std::mem::take(&mut self.decided)
    }

    /// Who serves the clients of a section; none while that is not known.
    pub(crate) fn served_by(&self, key: VirtualServiceKey) -> Option<ServedBy> {
        self.sections.state(key)?.by
    }

    /// Who would serve the clients of a section if all without a verdict failed.
    pub(crate) fn served_at_worst(&self, key: VirtualServiceKey) -> Option<ServedBy> {
        Some(self.sections.state(key)?.at_worst)
    }

    /// How many real servers that only `lvs.alert` lines name take clients beside those of a
    /// section.
    pub(crate) fn beside(&self, key: VirtualServiceKey) -> usize {
        let (Some(state), Some(wanted)) = (self.sections.state(key), self.desired.get(&key)) else {
            return 0;
        };
        let leaving: BTreeSet<RealServerKey> = self.owned.leaving(key).collect();
        let is_beside =
            |server: &RealServerKey| !state.roles.contains_key(server) && !leaving.contains(server);
        let beside = wanted.servers.iter().filter(|(it, _)| is_beside(it));
        beside
            .filter(|&(&server, &wish)| self.takes_clients((key, server), wish))
            .count()
    }

    /// Whether the kernel's table serves the clients of a section as is wanted, as far as is known.
    pub(crate) fn in_table(&self, key: VirtualServiceKey) -> InTable {
        let in_table = self.sections.in_table(key, self.desired.get(&key));
        let held = self.sections.state(key).and_then(|it| it.held.as_ref());
        match (in_table, held) {
            (InTable::AsWanted, Some(held)) if !held.serving.is_empty() => match held.until {
                HeldUntil::Address(_) => InTable::Otherwise(ClientOdds {
                    missing: Vec::new(),
                    unwanted: held.serving.clone(),
                }),
                HeldUntil::Served | HeldUntil::Judged => InTable::Stays(held.serving.clone()),
            },
            (in_table, _) => in_table,
        }
    }

    /// The kernel's table as it was when it was read last; none where it never was.
    pub(crate) fn table_last_read(&self) -> Option<&Table> {
        self.sections.table_last_read()
    }

    /// Whether somebody else writes in the virtual service of a section.
    pub(crate) fn is_contested(&self, key: VirtualServiceKey) -> bool {
        self.sections.is_contested(key)
    }

    /// What somebody else does to the virtual service of a section, in words.
    pub(crate) fn who_contests(&self, key: VirtualServiceKey) -> String {
        self.sections.who_contests(key)
    }

    /// Says which real servers are to be elsewhere than before. Who serves in the place of all is
    /// the section's own news. `wanted` is what is wanted now, with the roles in a section.
    pub(super) fn say_changes(
        &self,
        key: VirtualServiceKey,
        survey: &Survey,
        (wanted, roles): (&DesiredService, &BTreeMap<RealServerKey, ServerRole>),
        actions: &mut Vec<Action>,
    ) {
        let before = self.desired.get(&key);
        let roles_before = self.sections.state(key).map(|state| &state.roles);
        let is_fallback = |role| matches!(role, ServerRole::FallbackIn | ServerRole::FallbackOut);
        let own = roles.iter().filter(|&(_, &role)| !is_fallback(role));
        let own = own.map(|(&server, _)| server);
        let bound = survey.servers.keys().copied();
        let bound = bound.filter(|server| !roles.contains_key(server));
        for server in own.chain(bound) {
            let was = before.and_then(|before| before.servers.get(&server));
            let role_before = roles_before.and_then(|roles| roles.get(&server));
            let was = Presence::of(was.copied(), role_before.copied());
            let is = wanted.servers.get(&server).copied();
            let is = Presence::of(is, roles.get(&server).copied());
            let claims = survey.servers.get(&server).map(Vec::as_slice);
            let causes = || survey.causes(claims.unwrap_or_default());
            let wished = |effect| self.manual.reason_for((key, server), effect);
            if let Some(change) = server_change(was, is, causes, wished) {
                let entry = (key, server);
                let since = self.so_since(entry, was, &change, claims.unwrap_or_default());
                actions.push(server_note(entry, change, since));
            }
        }
    }

    /// The kernel's table was looked at; answers with the sections to decide over anew.
    pub(super) fn sections_saw(
        &mut self,
        outcome: &TableOutcome,
        actions: &mut Vec<Action>,
    ) -> BTreeSet<VirtualServiceKey> {
        let addresses = &self.addresses;
        let address = |key: VirtualServiceKey, (host, port): &Word| {
            let address = addresses.current(host, key.family())?;
            Some(RealServerKey((address, *port).into()))
        };
        let (model, now) = (&self.model, self.now);
        self.sections
            .table_seen(model, outcome, address, now, actions)
    }

    /// What the sections of a new Model cannot do as they are written.
    pub(super) fn say_limits(&self, actions: &mut Vec<Action>) {
        for section in &self.model.virtual_services {
            let own = section.servers.iter().filter_map(|it| it.own.on_failure);
            let mut asked = std::iter::once(section.on_failure).chain(own);
            let asked = asked.find(|it| *it != OnFailure::Remove);
            if let Some(asked) = asked.filter(|_| cannot_quiesce(section)) {
                actions.push(mend_note((section.key, None), None, limits(asked)));
            }
        }
    }
}

/// Several names with one address are one real server, which nobody sees in the file.
fn say_shared(key: VirtualServiceKey, places: &Places, survey: &mut Survey) {
    let mut words: BTreeMap<RealServerKey, Vec<&HostName>> = BTreeMap::new();
    for place in &places.servers {
        if let Some(server) = place.server {
            words.entry(server).or_default().push(&place.word.0);
        }
    }
    for (server, hosts) in words {
        let [first, _, ..] = hosts.as_slice() else {
            continue;
        };
        let text = format!(
            "{} have one address, {}: they are one real server of {key}, not {}; mend the names, or write addresses in their place",
            listed(&hosts),
            server.0.ip(),
            hosts.len()
        );
        let problems = &mut survey.problems;
        problems.entry((*first).clone()).or_insert((None, text));
    }
}

fn listed(hosts: &[&HostName]) -> String {
    let names: Vec<&str> = hosts.iter().map(|host| host.as_str()).collect();
    match names.split_last() {
        Some((last, [])) => (*last).to_owned(),
        Some((last, others)) => format!("{} and {last}", others.join(", ")),
        None => String::new(),
    }
}

/// What all claims to a real server come to (D5).
fn health(claims: &[Claim]) -> Health {
    if claims.is_empty() {
        // `service none`: nobody judges it, so it is always in.
        return Health::Good;
    }
    let is_waiting = claims.iter().any(|claim| claim.stand == Stand::Silent);
    match server_wish(claims) {
        ServerWish::Out => Health::Withdrawn,
        ServerWish::In(_) => Health::Good,
        ServerWish::AsFound if is_waiting => Health::Waiting,
        ServerWish::AsFound => Health::Unheard,
    }
}

fn limits(asked: OnFailure) -> String {
    let word = match asked {
        OnFailure::Remove => "remove",
        OnFailure::Quiesce => "quiesce",
        OnFailure::Drain(_) => "drain",
    };
    format!(
        "on_failure {word} would leave the clients of a failed server with it: to a server of weight 0 the kernel goes on sending the datagrams of a client that it knows; it is removed instead: write on_failure remove"
    )
}
