//! What a `virtual` section says: its lines to a declared virtual service (docs/virtual.md).
//!
//! | Question | File |
//! |---|---|
//! | what does each line say | `said` |
//! | which virtual service is it, how does it spread connections | `settings` |
//! | what does a `real` or `fallback` line say | `line` |
//! | which real servers are these | `servers` |
//! | who decides over them | `judges` |
//! | what is accepted and yet hardly meant | `sense` |
//! | how is a line taken apart | `words` |

mod judges;
mod line;
mod said;
mod sense;
mod servers;
mod settings;
#[cfg(test)]
mod tests;
mod words;

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroU32;

use crate::config::check::Checker;
use crate::config::check::host_word::canonical;
use crate::config::check::one_family::OneFamily;
use crate::config::check::report::Report;
use crate::config::check::section::judges::{Known, Members};
use crate::config::check::section::line::ServerLine;
use crate::config::check::section::said::Said;
use crate::config::check::section::servers::Expanded;
use crate::config::lines::Span;
use crate::config::syntax;
use crate::lvs::{Limit, Protocol, RealServer, Strangers, VirtualServiceKey, Weight};
use crate::model::{
    Binding, Counts, DeclaredServer, DeclaredService, Fallback, HostName, MinLive, OnFailure,
    Service, ServiceId,
};

/// Checks all sections, which are in file order, when everything else is known.
pub(super) fn compile<'a>(
    checker: &mut Checker<'a>,
    sections: &[&'a syntax::Section],
    services: &[Service],
    bindings: &[Binding],
    one_family: OneFamily<'_>,
) -> (Vec<DeclaredService>, Vec<ServiceId>) {
    let known = Known::new(services);
    let witnesses = match checker.witness {
        Some(value) => judges::witnesses(&mut checker.report, &known, value),
        None => Vec::new(),
    };
    let mut compiler = Compiler {
        checker,
        services,
        bindings,
        known,
        members: Members::new(services),
        one_family,
        witnesses: witnesses.iter().map(|&(id, _)| id).collect(),
        places: BTreeMap::new(),
        witnesses_of: BTreeMap::new(),
    };
    for &(id, span) in &witnesses {
        compiler.witness_at_work(id, span);
    }
    compiler.witnesses_by_name(&witnesses);
    let sections = sections.iter();
    let declared = sections
        .filter_map(|section| compiler.section(section))
        .collect();
    (declared, compiler.witnesses)
}

struct Compiler<'c, 'a> {
    checker: &'c mut Checker<'a>,
    services: &'c [Service],
    bindings: &'c [Binding],
    known: Known<'c>,
    /// The hosts of the services that were met so far.
    members: Members<'c>,
    one_family: OneFamily<'c>,
    /// Those of the setting.
    witnesses: Vec<ServiceId>,
    /// Where each virtual service is named.
    places: BTreeMap<VirtualServiceKey, Span>,
    /// The first section that each service decides in, and its witnesses.
    witnesses_of: BTreeMap<ServiceId, (VirtualServiceKey, BTreeSet<ServiceId>)>,
}

impl<'a> Compiler<'_, 'a> {
    fn report(&mut self) -> &mut Report<'a> {
        &mut self.checker.report
    }

    /// One section; none where its virtual service cannot be read, which is reported.
    fn section(&mut self, tree: &syntax::Section) -> Option<DeclaredService> {
        let mut said = Said::read(self.checker, &self.known, tree);
        let key = settings::key(self.report(), tree.name, &said)?;
        self.only_once(key, tree.name);
        let settings = settings::virtual_service(self.report(), key, tree.name, &said);
        let expanded = self.servers(key, &said);
        if !said.is_real_given {
            let message = format!("virtual {key} has no real server");
            let help = "write a line \"real HOSTGROUP\" or \"real HOST\"";
            self.report().error(tree.name, message, help);
        }
        self.min_live(&said, expanded.servers.len());
        let fallback = said.fallback.take();
        let fallback = fallback.and_then(|line| self.fallback(key, &said, &line, &expanded));
        let declared = DeclaredService {
            servers: expanded.servers,
            fallback,
            counts: Counts {
                fall: said.fall.unwrap_or(NonZeroU32::MIN),
                rise: said.rise.unwrap_or(NonZeroU32::MIN),
                recheck: said.recheck.map_or(Counts::DEFAULT_RECHECK, |(it, _)| it),
            },
            on_failure: said
                .on_failure
                .map(|asked| self.on_failure(key, asked))
                .unwrap_or_default(),
            min_live: said.min_live.map(|(it, _)| it).unwrap_or_default(),
            slow_start: said.slow_start.map(|(it, _)| it),
            weight_from: said.weight_from.map(|(it, _)| it).unwrap_or_default(),
            initial: said.initial.unwrap_or_default(),
            foreign: said.foreign.unwrap_or(Strangers::Removed),
            on_exit: said.on_exit.unwrap_or_default(),
            witnesses: match &said.witnesses {
                Some(own) => own.iter().map(|&(id, _)| id).collect(),
                None => self.witnesses.clone(),
            },
            alerts: std::mem::take(&mut said.alerts),
            upalerts: std::mem::take(&mut said.upalerts),
            ..DeclaredService::new(key, settings)
        };
        self.one_family(&declared, &expanded.places);
        self.sense(&declared, &said, tree.name, &expanded.places);
        Some(declared)
    }

    fn only_once(&mut self, key: VirtualServiceKey, name: Span) {
        if let Some(&first) = self.places.get(&key) {
            let place = self.checker.sources().place(first);
            let message = format!("virtual service {key} is declared already, at {place}");
            let help = "write all of it into one section";
            self.report().error(name, message, help);
        } else {
            self.places.insert(key, name);
        }
    }

    /// One verdict cannot speak for two addresses of a name.
    fn one_family(&mut self, declared: &DeclaredService, places: &[Span]) {
        for (server, &place) in declared.servers.iter().zip(places) {
            for judge in &server.judges {
                let about = (judge.service, server.host.as_str());
                let report = &mut self.checker.report;
                self.one_family
                    .decides(report, about, (declared.key, place));
            }
        }
    }

    /// UDP knows no end of a connection: a real server with weight 0 would keep its clients for as
    /// long as they send, so it is removed.
    fn on_failure(
        &mut self,
        key: VirtualServiceKey,
        (asked, span): (OnFailure, Span),
    ) -> OnFailure {
        let is_udp = matches!(key, VirtualServiceKey::Address(Protocol::Udp, _));
        if !is_udp || asked == OnFailure::Remove {
            return asked;
        }
        let message = "clients of a UDP service would stay with a failed real server for as long \
                       as they send, so it is removed";
        let help = "write on_failure remove";
        self.report().warn(span, message, help);
        OnFailure::Remove
    }

    fn min_live(&mut self, said: &Said, servers_count: usize) {
        let Some((min_live, span)) = said.min_live else {
            return;
        };
        // What is wrong with the real servers has been reported as such.
        if servers_count == 0 {
            return;
        }
        let count = usize::try_from(u32::MAX).map_or(servers_count, |most| servers_count.min(most));
        match min_live {
            MinLive::Count(least) if least as usize > count => {
                let message =
                    format!("min_live asks for {least} real servers, and the section has {count}");
                let help = "write a smaller number, or a share such as 50%";
                self.report().error(span, message, help);
            }
            MinLive::Count(_) | MinLive::Percent(_) => {
                if min_live.of(count) == count && said.fallback.is_none() {
                    let message = "min_live keeps every real server in: none ever leaves";
                    let help = "write a smaller number";
                    self.report().warn(span, message, help);
                }
            }
        }
    }

    fn fallback(
        &mut self,
        key: VirtualServiceKey,
        said: &Said,
        line: &ServerLine,
        expanded: &Expanded,
    ) -> Option<Fallback> {
        let host = self.fallback_host(line)?;
        let port = line.port.or(key.port()).unwrap_or(0);
        let forwarding = line.forwarding.map(|(it, _)| it).or(said.forwarding);
        let forwarding = forwarding.unwrap_or(DeclaredServer::DEFAULT_FORWARDING);
        if let Some(limit) = Limit::of(key, forwarding, host.as_str().parse().ok(), port) {
            let place = line.forwarding.map_or(line.word, |(_, span)| span);
            self.report().error(place, limit.to_string(), None);
        }
        let own = canonical(host.as_str());
        let is_real = |server: &&DeclaredServer| {
            server.port == port && canonical(server.host.as_str()) == own
        };
        if expanded.servers.iter().any(|server| is_real(&server)) {
            let message = format!("the fallback {host} is a real server of this section too");
            let help = "name another server, or leave one of the two lines out";
            self.report().error(line.word, message, help);
        }
        let weight = line.weight.unwrap_or(Weight(1));
        if weight == Weight(0) {
            let message = "the fallback has weight 0: it takes nobody's place";
            let help = "write a weight above 0, or remove it";
            self.report().warn(line.word, message, help);
        }
        Some(Fallback {
            host,
            port,
            settings: RealServer::new(forwarding, weight),
        })
    }

    /// The one host of a fallback line.
    fn fallback_host(&mut self, line: &ServerLine) -> Option<HostName> {
        let hosts = self.hosts(line)?;
        if let [host] = hosts.as_slice() {
            return Some(host.clone());
        }
        let message = format!("\"{}\" is a hostgroup of {} hosts", line.host, hosts.len());
        let help = "a fallback is one server: write HOST or HOST:PORT";
        self.report().error(line.word, message, help);
        None
    }
}
