//! What is accepted and yet hardly meant: rules between the lines of a section, and between a
//! section and the rest of the file.

use std::collections::{BTreeMap, BTreeSet};

use crate::config::check::host_word::canonical;
use crate::config::check::section::Compiler;
use crate::config::check::section::said::Said;
use crate::config::check::section::words::listed;
use crate::config::lines::Span;
use crate::lvs::{Family, Weight, port_only_names};
use crate::model::{
    Binding, BoundServers, Creation, DeclaredServer, DeclaredService, MonitorProgram, ServiceId,
    WITNESS_ANSWER_MAX, WeightFrom, Withdraws,
};
use crate::time::Readable;

impl Compiler<'_, '_> {
    /// Looks over a finished section; `places` has the word of each of its servers.
    pub(super) fn sense(
        &mut self,
        declared: &DeclaredService,
        said: &Said,
        name: Span,
        places: &[Span],
    ) {
        self.judges_at_work(declared, said);
        self.witnesses(declared, said, name);
        self.witnesses_agree(declared, said, name);
        self.weights(declared, said, places);
        self.weights_of_zero(declared, said, places);
        self.alert_lines(declared, name, places);
        self.troubles_told(declared, said, name);
        self.families_synchronised(declared, places);
        self.ports_that_only_name(declared, name, places);
        if let Some((_, span)) = said.slow_start
            && declared.settings.scheduler.is_unweighted()
        {
            let scheduler = &declared.settings.scheduler;
            let message =
                format!("slow_start does nothing: scheduler {scheduler} knows no weights");
            let help = "take wlc or wrr, or remove it";
            self.report().warn(span, message, help);
        }
    }

    /// Whoever thinks of the last servers wants to hear when it comes to that.
    fn troubles_told(&mut self, declared: &DeclaredService, said: &Said, name: Span) {
        let min_live = said.min_live.map(|(_, span)| span);
        let what = match (min_live, &declared.fallback) {
            (Some(_), Some(_)) => "min_live holds, or the fallback serves",
            (Some(_), None) => "min_live holds",
            (None, Some(_)) => "the fallback serves",
            (None, None) => return,
        };
        if declared.alerts.is_empty() {
            let message = format!("nobody is told when {what}: it is a line of the log only");
            let help = "write \"alert mail.alert ADDRESS\", and \"upalert\" for its end";
            self.report().warn(min_live.unwrap_or(name), message, help);
        }
    }

    /// Each service that is named decides over somebody, is checked, and oftener than `recheck`.
    fn judges_at_work(&mut self, declared: &DeclaredService, said: &Said) {
        let judges = declared.servers.iter().flat_map(|server| &server.judges);
        let at_work: BTreeSet<ServiceId> = judges.map(|judge| judge.service).collect();
        let lines = said.servers.iter().flat_map(|line| &line.judges.services);
        let mut slow: Vec<ServiceId> = Vec::new();
        for &(id, span) in said.judges.services.iter().chain(lines) {
            let Some(service) = self.services.get(id.index()) else {
                continue;
            };
            let (group, name, interval) = (&service.group, &service.name, service.interval);
            if !at_work.contains(&id) && !declared.servers.is_empty() {
                let message = format!("{group}:{name} decides over no real server of this section");
                let help = "it decides over the hosts of its hostgroup; name it on a \"real\" line \
                            to let it decide as a whole";
                self.report().warn(span, message, help);
            } else if service.monitor.is_none() || interval.is_none() {
                let message = format!(
                    "{group}:{name} is never checked: only traps, and what it said last, decide"
                );
                let help = "give it a monitor and an interval";
                self.report().warn(span, message, help);
            } else if interval.is_some_and(|interval| interval < declared.counts.recheck) {
                slow.push(id);
            }
        }
        if let (Some((recheck, span)), Some(first)) = (said.recheck, slow.first())
            && let Some(service) = self.services.get(first.index())
        {
            let interval = Readable(service.interval.unwrap_or_default());
            let message = format!(
                "recheck {} is longer than the interval of {}:{}, {interval}",
                Readable(recheck),
                service.group,
                service.name
            );
            let help = "the interval counts then: write a shorter time";
            self.report().warn(span, message, help);
        }
    }

    /// A witness is checked, and somebody hears of it.
    pub(super) fn witness_at_work(&mut self, id: ServiceId, place: Span) {
        let Some(service) = self.services.get(id.index()) else {
            return;
        };
        let witness = format!("{}:{}", service.group, service.name);
        if service.monitor.is_none() || service.interval.is_none() {
            let message = format!("witness {witness} is never checked");
            let help = "give it a monitor and an interval";
            self.report().warn(place, message, help);
        } else if service.periods.iter().all(|it| it.alerts.is_empty()) {
            let message = format!("witness {witness} has no alert");
            let help = "its alert is the only one while the director is cut off: give it one";
            self.report().warn(place, message, help);
        }
        self.witness_in_time(id, place);
    }

    /// An answer of a witness that comes too late is none: what failed is hidden meanwhile.
    fn witness_in_time(&mut self, id: ServiceId, place: Span) {
        let Some(service) = self.services.get(id.index()) else {
            return;
        };
        let monitor = service.monitor.as_ref();
        let limit = monitor.and_then(|monitor| match &monitor.program {
            MonitorProgram::Native(options) => Some(options.limit()),
            // How long a program takes is not known.
            MonitorProgram::Executable(_) | MonitorProgram::Missing(_) => None,
        });
        if let Some(limit) = limit.filter(|&limit| limit > WITNESS_ANSWER_MAX) {
            let (group, name) = (&service.group, &service.name);
            let (limit, most) = (Readable(limit), Readable(WITNESS_ANSWER_MAX));
            let message = format!("witness {group}:{name} may take {limit} to answer");
            let help = format!(
                "failures are hidden while it has not answered within {most}: give its monitor \
                 shorter times"
            );
            self.report().warn(place, message, help);
        }
    }

    /// Of several witnesses or hosts one is enough: where all have names, dead name servers or a
    /// mistyped name let all fail.
    pub(super) fn witnesses_by_name(&mut self, witnesses: &[(ServiceId, Span)]) {
        let hosts_of = |id: ServiceId| {
            let service = self.services.get(id.index())?;
            let group = self.checker.groups.list().get(service.hostgroup.index())?;
            Some(group.members.iter().map(|member| member.host.as_str()))
        };
        let hosts = witnesses.iter().filter_map(|&(id, _)| hosts_of(id));
        let names: Vec<&str> = hosts.flatten().collect();
        let is_literal = |host: &str| host.parse::<std::net::IpAddr>().is_ok();
        if names.iter().any(|host| is_literal(host)) {
            return;
        }
        if let (Some(name), Some(&(_, place))) = (names.first(), witnesses.first()) {
            let message = format!("what the witnesses watch is known by name only, such as {name}");
            let help = "while a name has no address the director counts as cut off, and servers that \
                        failed stay in: watch an address too";
            self.report().warn(place, message, help);
        }
    }

    /// A service has all witnesses of all sections that it decides in.
    fn witnesses_agree(&mut self, declared: &DeclaredService, said: &Said, name: Span) {
        let judges = declared.servers.iter().flat_map(|server| &server.judges);
        let judges: BTreeSet<ServiceId> = judges.map(|judge| judge.service).collect();
        let own: BTreeSet<ServiceId> = declared.witnesses.iter().copied().collect();
        let mut differing = None;
        for id in judges {
            let first = (declared.key, own.clone());
            let (key, others) = self.witnesses_of.entry(id).or_insert(first);
            if *others != own {
                differing = differing.or(Some((id, *key)));
            }
        }
        let service = differing.and_then(|(id, key)| Some((self.services.get(id.index())?, key)));
        if let Some((service, key)) = service {
            let (group, name_of) = (&service.group, &service.name);
            let message =
                format!("{group}:{name_of} decides in virtual {key} too, with other witnesses");
            let help = "its failures wait for all of them: name the same in both sections";
            let place = said.witness_line.unwrap_or(name);
            self.report().warn(place, message, help);
        }
    }

    /// A witness stands apart from those it is asked about.
    fn witnesses(&mut self, declared: &DeclaredService, said: &Said, name: Span) {
        let place = |id: ServiceId| {
            let own = said.witnesses.iter().flatten();
            let own = own.into_iter().find(|&&(known, _)| known == id);
            own.map_or(name, |&(_, span)| span)
        };
        for &(id, span) in said.witnesses.iter().flatten() {
            self.witness_at_work(id, span);
        }
        self.witnesses_by_name(said.witnesses.as_deref().unwrap_or_default());
        let hosts: BTreeSet<String> = declared
            .servers
            .iter()
            .map(|server| canonical(server.host.as_str()))
            .collect();
        for &id in &declared.witnesses {
            let Some(service) = self.services.get(id.index()) else {
                continue;
            };
            let witness = format!("{}:{}", service.group, service.name);
            let mut judges = declared.servers.iter().flat_map(|server| &server.judges);
            if judges.any(|judge| judge.service == id) {
                let message = format!("{witness} is a witness and decides over real servers too");
                let help = "name a service that watches the director's own gateway";
                self.report().error(place(id), message, help);
                continue;
            }
            let group = service.hostgroup.index();
            let members = self.checker.groups.list().get(group);
            let members = members.into_iter().flat_map(|group| &group.members);
            let shared = members.map(|member| member.host.as_str());
            let shared = shared
                .map(str::to_owned)
                .find(|host| hosts.contains(&canonical(host)));
            if let Some(host) = shared {
                let message = format!("witness {witness} watches the real server {host}");
                let help = "a witness tells whether the director reaches anything: let it watch \
                            the gateway";
                self.report().warn(place(id), message, help);
            }
        }
    }

    /// The kernel takes no real server of the other family while connections are synchronised.
    fn families_synchronised(&mut self, declared: &DeclaredService, places: &[Span]) {
        if self.checker.globals.pair.sync.is_none() {
            return;
        }
        let family = declared.key.family();
        let is_other = |server: &DeclaredServer| {
            let address = server.host.as_str().parse::<std::net::IpAddr>();
            address.is_ok_and(|address| Family::of(address) != family)
        };
        let other = declared.servers.iter().position(is_other);
        let found = other.and_then(|at| Some((declared.servers.get(at)?, *places.get(at)?)));
        if let Some((server, place)) = found {
            let message = format!(
                "{} is of the other family than virtual {}, and sync_daemon is set",
                server.host, declared.key
            );
            let help = "the kernel synchronises no connections then: remove one of the two";
            self.report().error(place, message, help);
        }
    }

    /// Whoever writes a port there may expect that clients reach it.
    fn ports_that_only_name(&mut self, declared: &DeclaredService, name: Span, places: &[Span]) {
        let servers = declared.servers.iter().zip(places);
        let servers = servers.map(|(it, &place)| (&it.host, it.port, it.settings, place));
        let fallback = declared.fallback.iter();
        let fallback = fallback.map(|it| (&it.host, it.port, it.settings, name));
        let mut all = servers.chain(fallback);
        let found = all.find(|(_, port, settings, _)| {
            port_only_names(declared.key, settings.forwarding, *port)
        });
        if let Some((host, port, settings, place)) = found {
            let forwarding = settings.forwarding;
            let message = format!(
                "port {port} of {host} only names its entry in the table: with a mark, {forwarding} \
                 leaves packets the port that they have"
            );
            let help = "where clients are to reach that port, use nat; else this does no harm";
            self.report().warn(place, message, help);
        }
    }

    /// Weights that the scheduler passes over.
    fn weights(&mut self, declared: &DeclaredService, said: &Said, places: &[Span]) {
        let scheduler = &declared.settings.scheduler;
        if !scheduler.is_unweighted() {
            return;
        }
        if let Some((WeightFrom::Check, span)) = said.weight_from {
            let message =
                format!("weight_from does nothing: scheduler {scheduler} knows no weights");
            let help = "take wlc or wrr, or remove it";
            self.report().warn(span, message, help);
        }
        let weight = |server: &DeclaredServer| server.settings.weight;
        let first = declared.servers.first().map(weight);
        let other = |server: &DeclaredServer| Some(weight(server)) != first;
        let other = declared.servers.iter().position(other);
        if let Some(&place) = other.and_then(|index| places.get(index)) {
            let message = format!("scheduler {scheduler} knows no weights, and these differ");
            let help = "take wlc or wrr, or give all the same";
            self.report().warn(place, message, help);
        }
    }

    /// Weights that bring nobody any client, where no check may say another one.
    fn weights_of_zero(&mut self, declared: &DeclaredService, said: &Said, places: &[Span]) {
        if declared.weight_from == WeightFrom::Check || declared.servers.is_empty() {
            return;
        }
        let servers = declared.servers.iter();
        let with_weight = servers.filter(|it| it.settings.weight > Weight(0)).count();
        let least = declared.min_live.of(declared.servers.len());
        match (with_weight, places.first(), said.min_live) {
            (0, Some(&place), _) => {
                let key = declared.key;
                let message =
                    format!("no real server of virtual {key} takes clients: each has weight 0");
                let help = "give one a weight above 0; lvsmon quiesce keeps clients from one for \
                            a while";
                self.report().warn(place, message, help);
            }
            (some, _, Some((_, place))) if some < least => {
                let verb = if some == 1 { "has" } else { "have" };
                let message = format!(
                    "min_live asks for {least} real servers, and {some} {verb} a weight above 0"
                );
                let help = "give more of them a weight above 0, or ask for fewer";
                self.report().warn(place, message, help);
            }
            (_, _, _) => {}
        }
    }

    /// `lvs.alert` lines for the same virtual service: they may decide, the section's settings
    /// count.
    fn alert_lines(&mut self, declared: &DeclaredService, name: Span, places: &[Span]) {
        let bindings = self.bindings;
        let own = |binding: &&Binding| binding.virtual_service == declared.key;
        let mut servers: BTreeMap<(String, u16), usize> = BTreeMap::new();
        for (index, server) in declared.servers.iter().enumerate() {
            servers.insert((canonical(server.host.as_str()), server.port), index);
        }
        for binding in bindings.iter().filter(own) {
            let Some(service) = self.services.get(binding.service.index()) else {
                continue;
            };
            let by = format!("an lvs.alert line of {}:{}", service.group, service.name);
            if let Creation::ByUs(scheduler) = &binding.creation
                && *scheduler != declared.settings.scheduler
            {
                let message = format!("{by} says scheduler {scheduler}");
                let help = format!("{} of the section counts", declared.settings.scheduler);
                self.report().warn(name, message, help);
            }
            if binding.withdraws == Withdraws::VirtualService {
                let message = format!("{by} takes this virtual service away (-D) when it fails");
                let help = "leave it to the section: remove -D";
                self.report().warn(name, message, help);
            }
            let named: Vec<(String, u16)> = match &binding.real {
                BoundServers::One { host, port } => vec![(canonical(host.as_str()), *port)],
                BoundServers::EachHost { port } => {
                    let group = self.checker.groups.list().get(service.hostgroup.index());
                    let members = group.into_iter().flat_map(|group| &group.members);
                    let named = members.map(|member| (canonical(member.host.as_str()), *port));
                    named.collect()
                }
            };
            let differs = named.iter().find_map(|name| {
                let &index = servers.get(name)?;
                let server = declared.servers.get(index)?;
                let settings = &server.settings;
                let is_same =
                    settings.forwarding == binding.forwarding && settings.weight == binding.weight;
                (!is_same).then_some((server, *places.get(index)?))
            });
            if let Some((server, place)) = differs {
                let message = format!(
                    "{by} gives {} as {}, weight {}",
                    server.host, binding.forwarding, binding.weight
                );
                let settings = &server.settings;
                let help = format!(
                    "{} of the section count",
                    listed(
                        &[
                            &settings.forwarding.to_string(),
                            &format!("weight {}", settings.weight)
                        ],
                        "and"
                    )
                );
                self.report().warn(place, message, help);
            }
        }
    }
}
