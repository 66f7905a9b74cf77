//! Which services decide over a real server?

use std::collections::BTreeSet;

use crate::effort::visit;
use crate::engine::Engine;
use crate::engine::desired::RealServerView;
use crate::lvs::RealServerKey;
use crate::model::{BoundServers, HostName, ServiceId};

/// The services that decide over a real server, in file order: not those of another one at its
/// address, with another port. A server may be in thousands of virtual services, and each is asked
/// about: no look at all the others here.
pub(super) fn judges(engine: &Engine, view: &RealServerView) -> Vec<ServiceId> {
    let model = engine.model();
    let is_meant = |host: &HostName, port: u16| {
        let is_port = view
            .server
            .is_none_or(|RealServerKey(key)| key.port() == port);
        is_port && view.hosts.contains(host)
    };
    let bound = engine.lines_of(view.virtual_service).filter(|binding| {
        visit();
        match &binding.real {
            BoundServers::One { host, port } => is_meant(host, *port),
            BoundServers::EachHost { port } => {
                let members = &model.hostgroup(binding.service).members;
                members.iter().any(|member| is_meant(&member.host, *port))
            }
        }
    });
    let bound = bound.map(|binding| binding.service);
    let section = engine.section(view.virtual_service);
    let servers = section.into_iter().flat_map(|section| &section.servers);
    let declared = servers
        .inspect(|_| visit())
        .filter(|server| is_meant(&server.host, server.port))
        .flat_map(|server| server.judges.iter().map(|judge| judge.service));
    let all: BTreeSet<ServiceId> = bound.chain(declared).collect();
    all.into_iter().collect()
}
