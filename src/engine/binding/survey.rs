//! What all bindings of one virtual service say about it at this moment: claims to real
//! servers with what each service says, names without an address, what a person should mend.
//!
//! Reads verdicts, withdrawals and addresses; changes none. What follows from a survey is
//! decided in [`crate::engine::desired`].

use std::net::SocketAddr;

use crate::engine::binding::Bindings;
use crate::engine::binding::judge::{Attendance, Part, Verdict};
use crate::engine::binding::latch::Entry;
use crate::engine::binding::staying::Missing;
use crate::engine::desired::{
    Claim, RealServerView, Stand, Survey, Withdrawal, is_in, server_wish,
};
use crate::engine::section::in_table::named;
use crate::engine::section::live::ServedBy;
use crate::engine::section::memory::Found;
use crate::engine::section::wanted::{Addressless, Held, HeldUntil, ServerRole, until};
use crate::lvs::{
    DesiredService, Forwarding, RealServer, RealServerKey, ServerWish, VirtualServiceKey, Weight,
};
use crate::model::Model;
use crate::model::{Binding, BoundServers, Creation, Ends, HostName, Withdraws};
use crate::options::lvs::check_limits;

impl Bindings {
    /// The `lvs.alert` lines for one virtual service, in file order.
    pub(crate) fn lines_of(&self, key: VirtualServiceKey) -> impl Iterator<Item = &Binding> {
        let lines = self.by_virtual_service.get(&key).into_iter().flatten();
        lines.filter_map(|&index| self.model.bindings.get(index))
    }

    /// All that is said about one virtual service now.
    pub(super) fn survey(&self, key: VirtualServiceKey) -> Survey {
        let mut survey = self.survey_section(key);
        for &index in self.by_virtual_service.get(&key).into_iter().flatten() {
            let Some(binding) = self.model.bindings.get(index) else {
                continue;
            };
            survey.is_declared = true;
            if let (Creation::ByUs(scheduler), None) = (&binding.creation, &survey.creates) {
                survey.creates = Some(scheduler.clone());
            }
            for (host, port, part) in self.parts_of(binding) {
                self.add_claim(&mut survey, index, binding, (host, port), &part);
            }
        }
        survey
    }

    fn add_claim(
        &self,
        survey: &mut Survey,
        index: usize,
        binding: &Binding,
        (host, port): (&HostName, u16),
        part: &Part,
    ) {
        let key = binding.virtual_service;
        let claim = self.claim(index, binding, (host, port), part);
        if let (Stand::Withdraws(withdrawal), Withdraws::VirtualService) =
            (claim.stand, binding.withdraws)
        {
            survey.withdrawn_by.push(withdrawal);
        }
        let (server, problem) = self.place(key, (host, port), binding.forwarding);
        add(survey, key, claim, server, problem);
    }

    /// Where a host word stands in the table, and what a person should mend about it.
    pub(super) fn place(
        &self,
        key: VirtualServiceKey,
        (host, port): (&HostName, u16),
        forwarding: Forwarding,
    ) -> (Option<RealServerKey>, Option<String>) {
        let taken = self.taken(host, key.family());
        let problem = taken.or_else(|| {
            let former = || self.care_for_former(host, key.family());
            let service = |id| self.service_name(id);
            let problem = self.addresses.problem(host, key.family(), service, former);
            let problem = problem.or_else(|| self.waits_for_resting(host, key.family()));
            problem.or_else(|| self.unheeded(key, host))
        });
        let address = self.addresses.current(host, key.family());
        if address.is_some()
            && let Err(text) = check_limits(key, forwarding, address, port)
        {
            return (None, Some(format!("{host}: {text}")));
        }
        let server = address.map(|address| RealServerKey(SocketAddr::new(address, port)));
        (server, problem)
    }

    /// Whether a host word of a section stands in the table.
    pub(super) fn is_placed(
        &self,
        key: VirtualServiceKey,
        (host, port): (&HostName, u16),
        forwarding: Forwarding,
    ) -> bool {
        let address = self.addresses.current(host, key.family());
        address.is_some() && check_limits(key, forwarding, address, port).is_ok()
    }

    /// Until when what the file does not name, or not any more, stays.
    pub(crate) fn held_until(&self, key: VirtualServiceKey) -> Option<&HeldUntil> {
        self.held(key).map(|held| &held.until)
    }

    /// Whether the fallback of a section waits only for those to leave that serve beside its real
    /// servers.
    pub(super) fn fallback_may_follow(&self, key: VirtualServiceKey) -> bool {
        let state = self.sections.state(key);
        let is_held_back = state.and_then(|state| {
            let role = state.roles.get(&state.fallback?)?;
            Some(*role == ServerRole::AsFound && state.by == Some(ServedBy::Nobody))
        });
        is_held_back.unwrap_or_default() && !self.held_serving(key).is_empty()
    }

    /// Those that stay and that new connections reach, as of the latest look.
    pub(crate) fn held_serving(&self, key: VirtualServiceKey) -> &[RealServerKey] {
        self.held(key).map_or(&[], |held| &held.serving)
    }

    /// Readers' views of what the file does not name any more, behind the others. Of what the
    /// kernel does not have, and nobody wants in or wishes anything of, there is none.
    pub(super) fn add_staying(
        &self,
        key: VirtualServiceKey,
        wanted: &DesiredService,
        views: &mut Vec<RealServerView>,
    ) {
        let until = self.held_until(key);
        let problem = until.map(|until| format!("not in the file any more: stays until {until}"));
        for server in self.owned.leaving(key) {
            let wish = wanted.servers.get(&server).copied();
            let wish = match until {
                Some(_) => wish.unwrap_or(ServerWish::AsFound),
                None => ServerWish::Out,
            };
            let entry = (key, server);
            let is_there = is_in(&wish) || self.manual.may_have(entry);
            if until.is_none() || is_there || self.manual.effect(entry).is_some() {
                views.push(RealServerView {
                    server: Some(server),
                    wish,
                    problem: problem.clone(),
                    held: until.cloned(),
                    ..RealServerView::unknown(key, Vec::new())
                });
            }
        }
    }

    fn held(&self, key: VirtualServiceKey) -> Option<&Held> {
        match self.sections.state(key) {
            Some(section) => section.held.as_ref(),
            None => self.grounds.get(&key)?.held.as_ref(),
        }
    }

    /// What the file does not name any more in a virtual service of `lvs.alert` lines, and what
    /// stays for now.
    pub(super) fn held_by_lines(&self, key: VirtualServiceKey, survey: &Survey) -> Option<Held> {
        if !survey.withdrawn_by.is_empty() {
            return None;
        }
        // What is gone from the kernel's table leaves these, too.
        let serving: Vec<RealServerKey> = self.owned.leaving(key).collect();
        let addressless = self.addressless_of_lines(survey);
        let until = match until(&addressless) {
            Some(name) => HeldUntil::Address(name.clone()),
            None if self.owned.has_held(key) => replaced(survey)?,
            None => return None,
        };
        (!serving.is_empty()).then_some(Held { until, serving })
    }

    /// What `lvs.alert` lines name that may get clients and has no usable address.
    pub(super) fn addressless_of_lines<'a>(&self, survey: &'a Survey) -> Vec<Addressless<'a>> {
        let claims = survey.addressless.iter().map(|(claim, _)| claim);
        let of_lines = claims.filter(|claim| claim.binding.is_some());
        let may_serve = of_lines.filter(|claim| claim.settings.weight > Weight(0));
        let addressless = may_serve.map(|claim| Addressless {
            host: &claim.host,
            lookup: self.addresses.lookup(&claim.host),
        });
        addressless.collect()
    }

    /// Whose name has no address, so that what the file does not name any more may be its server.
    pub(super) fn missing(&self, key: VirtualServiceKey) -> Option<Missing> {
        let leads_nowhere = |host| self.addresses.current(host, key.family()).is_none();
        let section = self.sections.section(&self.model, key);
        let mut servers = section.into_iter().flat_map(|it| &it.servers);
        let is_unseen = self.sections.state(key).map(|it| it.found) == Some(Found::Unseen);
        // Before its first look a section holds nothing yet.
        let is_held = || match is_unseen {
            true => self.lines_lead_nowhere(key),
            false => self.held(key).is_some(),
        };
        if servers.any(|it| leads_nowhere(&it.host)) || is_held() {
            return Some(Missing::Server);
        }
        let fallback = section.and_then(|it| it.fallback.as_ref());
        let is_missing = fallback.is_some_and(|it| leads_nowhere(&it.host));
        (is_unseen && is_missing).then_some(Missing::Fallback)
    }

    /// Whether the name of an `lvs.alert` line that may have clients has no address.
    fn lines_lead_nowhere(&self, key: VirtualServiceKey) -> bool {
        let mut lines = self.lines_of(key).filter(|it| it.weight > Weight(0));
        lines.any(|line| {
            let mut parts = self.parts_of(line).into_iter();
            parts.any(|(host, ..)| self.addresses.current(host, key.family()).is_none())
        })
    }

    /// What stays belongs to what a person is told of the name that has no address.
    pub(super) fn say_held(&self, key: VirtualServiceKey, survey: &mut Survey) {
        let Some(held) = self.held(key) else {
            return;
        };
        let HeldUntil::Address(until) = &held.until else {
            return;
        };
        let problem = survey.problems.get_mut(until);
        if let (Some((_, text)), Some(those)) = (problem, named(&held.serving)) {
            text.push_str("; until it has a usable address, what the file does not name stays: ");
            text.push_str(&those);
        }
    }

    /// What one entry of a binding, the one with this index in the Model, claims now.
    pub(super) fn claim(
        &self,
        index: usize,
        binding: &Binding,
        (host, port): (&HostName, u16),
        part: &Part,
    ) -> Claim {
        #[cfg(test)]
        self.looked_at.set(self.looked_at.get() + 1);
        Claim {
            binding: Some(index),
            service: binding.service,
            host: host.clone(),
            port,
            settings: RealServer::new(binding.forwarding, binding.weight),
            stand: self.stand(binding, (host, port), part),
        }
    }

    /// What the service of a binding says about one entry of it.
    pub(super) fn stand(
        &self,
        binding: &Binding,
        (host, port): (&HostName, u16),
        part: &Part,
    ) -> Stand {
        let known = self.judges.get(&binding.service);
        let known = known.and_then(|judge| judge.parts.get(part));
        let known = known.copied().unwrap_or_default();
        let withdraws = |reason, since| {
            Stand::Withdraws(Withdrawal {
                service: binding.service,
                reason,
                since,
                ends: binding.ends,
            })
        };
        if binding.ends == Ends::ByOperator {
            let entry = Entry::new(binding, host, port);
            if let Some(latch) = self.latches.get(&entry) {
                return withdraws(latch.reason, latch.since);
            }
        }
        match (known.verdict, known.attendance) {
            (Some(Verdict::Bad { reason, since }), _) if binding.ends == Ends::WithSuccess => {
                withdraws(reason, since)
            }
            // Bad, but a person has ended this withdrawal: the next bad report renews it.
            (Some(Verdict::Bad { .. } | Verdict::Good), _) => Stand::Content,
            (None, Attendance::LeftOut) => Stand::LeftOut,
            (None, Attendance::Awaited | Attendance::Heard) => Stand::Silent,
        }
    }

    /// The entries of a binding: host word, port, and whose verdict counts.
    pub(super) fn parts_of<'a>(&'a self, binding: &'a Binding) -> Vec<(&'a HostName, u16, Part)> {
        parts_of(&self.model, binding)
    }

    /// The part of a binding that speaks about a host word which it names.
    pub(super) fn part_about(binding: &Binding, word: &HostName) -> Part {
        match &binding.real {
            BoundServers::One { .. } => Part::Whole,
            BoundServers::EachHost { .. } => Part::Host(word.clone()),
        }
    }

    /// The part of a binding that speaks about a host word; none where it does not name it.
    pub(super) fn part_of(&self, binding: &Binding, word: &HostName) -> Option<Part> {
        match &binding.real {
            BoundServers::One { host, .. } => (host == word).then_some(Part::Whole),
            BoundServers::EachHost { .. } => {
                let members = &self.model.hostgroup(binding.service).members;
                let is_member = members.iter().any(|member| member.host == *word);
                is_member.then(|| Part::Host(word.clone()))
            }
        }
    }
}

/// Until when `lvs.alert` lines let those stay that were kept for a name which has its address
/// now: until all are judged, and one of them is good. None where that is so, and where the lines
/// have nobody who may get clients.
fn replaced(survey: &Survey) -> Option<HeldUntil> {
    let may_serve = |claims: &&Vec<Claim>| {
        let settings = claims.first().map(|it| it.settings);
        settings.is_some_and(|it| it.weight > Weight(0))
    };
    let servers = || survey.servers.values().filter(may_serve);
    let is_waiting = |claims: &Vec<Claim>| {
        let is_silent = claims.iter().any(|claim| claim.stand == Stand::Silent);
        is_silent && server_wish(claims) == ServerWish::AsFound
    };
    servers().next()?;
    if servers().any(is_waiting) {
        return Some(HeldUntil::Judged);
    }
    let is_served = servers().any(|claims| is_in(&server_wish(claims)));
    (!is_served).then_some(HeldUntil::Served)
}

/// The entries of a binding of a Model.
pub(super) fn parts_of<'a>(
    model: &'a Model,
    binding: &'a Binding,
) -> Vec<(&'a HostName, u16, Part)> {
    match &binding.real {
        BoundServers::One { host, port } => vec![(host, *port, Part::Whole)],
        BoundServers::EachHost { port } => {
            let members = &model.hostgroup(binding.service).members;
            let entry = |host: &'a HostName| (host, *port, Part::Host(host.clone()));
            members.iter().map(|member| entry(&member.host)).collect()
        }
    }
}

/// Adds a claim where its real server is, with what a person should mend about it.
pub(super) fn add(
    survey: &mut Survey,
    key: VirtualServiceKey,
    claim: Claim,
    server: Option<RealServerKey>,
    mut problem: Option<String>,
) {
    let host = claim.host.clone();
    let line = claim.binding.map(|_| claim.service);
    match server {
        Some(server) => {
            let claims = survey.servers.entry(server).or_default();
            if let Some(first) = claims.first()
                && first.settings != claim.settings
            {
                let text = differing(server, key, first, &claim);
                problem.get_or_insert(text);
            }
            claims.push(claim);
        }
        None => {
            let why = problem.clone();
            let why = why.unwrap_or_else(|| format!("{host} is not looked up yet"));
            survey.addressless.push((claim, why));
        }
    }
    if let Some(text) = problem {
        survey.problems.entry(host).or_insert((line, text));
    }
}

fn differing(
    server: RealServerKey,
    key: VirtualServiceKey,
    first: &Claim,
    second: &Claim,
) -> String {
    format!(
        "real server {server} of {key} is {} with {} weight {} and {} with {} weight {}: the first counts; make them equal",
        first.host,
        first.settings.forwarding,
        first.settings.weight,
        second.host,
        second.settings.forwarding,
        second.settings.weight
    )
}
