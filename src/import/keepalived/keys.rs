//! For which virtual services is a `virtual_server`, and for which of them are its real servers?

use std::collections::BTreeMap;
use std::net::SocketAddr;

use crate::import::keepalived::blocks::Block;
use crate::import::keepalived::globals::{Globals, Target, family};
use crate::import::plan::{Plan, Server};
use crate::import::{Place, Remarks, shown};
use crate::lvs::{Family, Protocol, VirtualServiceKey};

/// The virtual services that are not in the file already; each that is has a remark.
pub(super) fn keys(
    block: &Block,
    globals: &Globals,
    plan: &Plan,
    remarks: &mut Remarks,
) -> Vec<VirtualServiceKey> {
    let place = &block.place;
    let targets = targets(block, globals, remarks);
    let protocol = protocol(block, &targets, remarks);
    let own_family = line_of(block, "ip_family").and_then(|it| family(it.word(1)));
    let mut keys = Vec::new();
    for target in targets {
        let key = match target {
            Target::Address(address, port) => {
                VirtualServiceKey::Address(protocol, SocketAddr::new(address, port))
            }
            Target::Mark(mark, family) => {
                let family = family.or(own_family);
                let family = family.unwrap_or_else(|| family_of_servers(block));
                VirtualServiceKey::Mark(family, mark)
            }
        };
        let is_known = keys.contains(&key) || plan.sections.iter().any(|it| it.keys.contains(&key));
        if is_known {
            remarks.lost(
                place,
                format!("{key} is in the file already; the first one counts"),
            );
        } else {
            keys.push(key);
        }
    }
    keys
}

/// The service whose address family the settings, and the real servers, are read for: that of the
/// first one, unless a real server could be in others only.
pub(super) fn leading(block: &Block, keys: &[VirtualServiceKey]) -> Option<VirtualServiceKey> {
    let is_forwarding = |it: &&Block| matches!(it.name(), "lvs_method" | "lb_kind");
    let forwarding = block.inner.iter().rfind(is_forwarding);
    let is_tunnel = forwarding.and_then(|it| it.word(1)) == Some("TUN");
    let family = family_of_servers(block);
    let fitting = keys.iter().find(|key| is_tunnel || key.family() == family);
    fitting.or_else(|| keys.first()).copied()
}

/// Those of a group that have real servers of their own address family, or such as a tunnel leads
/// to. Each of the others has a remark.
pub(super) fn reachable<'s, S: Iterator<Item = &'s Server>>(
    keys: Vec<VirtualServiceKey>,
    servers: impl Fn() -> S,
    place: &Place,
    remarks: &mut Remarks,
) -> Vec<VirtualServiceKey> {
    // It is the same for all of a family.
    let mut found: BTreeMap<Family, Option<String>> = BTreeMap::new();
    let mut obstacle = |key: VirtualServiceKey| {
        let first = || servers().find_map(|server| server.obstacle(key));
        found.entry(key.family()).or_insert_with(first).clone()
    };
    let mut kept = Vec::new();
    for key in keys {
        match obstacle(key) {
            None => kept.push(key),
            Some(why) => remarks.lost(place, format!("{key} is left out: {why}")),
        }
    }
    kept
}

/// That of the first one, as it is written.
fn family_of_servers(block: &Block) -> Family {
    let first = line_of(block, "real_server").and_then(|it| it.word(1));
    match first.is_some_and(|word| word.contains(':')) {
        true => Family::V6,
        false => Family::V4,
    }
}

fn line_of<'b>(block: &'b Block, name: &str) -> Option<&'b Block> {
    block.inner.iter().find(|it| it.name() == name)
}

/// The last one that keepalived knows; UDP where there is none. A firewall mark has none.
fn protocol(block: &Block, targets: &[Target], remarks: &mut Remarks) -> Protocol {
    let mut found: Option<Protocol> = None;
    for line in block.inner.iter().filter(|it| it.name() == "protocol") {
        let text = line.word(1).unwrap_or_default();
        let protocol = match text.to_ascii_uppercase().as_str() {
            "UDP" => Protocol::Udp,
            "SCTP" => Protocol::Sctp,
            "TCP" => Protocol::Tcp,
            _ => {
                let text = format!(
                    "\"{}\" is no protocol: keepalived passes over the line; write protocol TCP, \
                     UDP or SCTP",
                    shown(text)
                );
                remarks.tolerated(&line.place, text);
                continue;
            }
        };
        if found.is_some_and(|before| before != protocol) {
            let text = format!("another protocol stands above; {protocol}, the last one, counts");
            remarks.tolerated(&line.place, text);
        }
        found = Some(protocol);
    }
    let has_address = targets.iter().any(|it| matches!(it, Target::Address(..)));
    if found.is_none() && has_address {
        let text = "no protocol: keepalived takes UDP; write protocol TCP where that is meant";
        remarks.tolerated(&block.place, text);
    }
    found.unwrap_or(Protocol::Udp)
}

fn targets(block: &Block, globals: &Globals, remarks: &mut Remarks) -> Vec<Target> {
    let place = &block.place;
    match (block.word(1), block.word(2)) {
        (Some("group"), Some(name)) => match globals.groups.get(name) {
            Some(list) => list.clone(),
            None => {
                remarks.lost(
                    place,
                    format!("there is no virtual_server_group {}", shown(name)),
                );
                Vec::new()
            }
        },
        (Some("fwmark"), Some(mark)) => match mark.parse().ok().filter(|it| *it > 0) {
            Some(mark) => vec![Target::Mark(mark, None)],
            None => {
                remarks.lost(place, "a firewall mark is a number above 0");
                Vec::new()
            }
        },
        (Some(address), port) => {
            let port = port.map_or(Some(0), |it| it.parse().ok());
            match (address.parse(), port) {
                (Ok(address), Some(port)) => Target::address(address, port, place, remarks)
                    .into_iter()
                    .collect(),
                _ => {
                    remarks.lost(place, format!("{}: no address and port", block.title()));
                    Vec::new()
                }
            }
        }
        (None, _) => {
            remarks.lost(place, "virtual_server without an address");
            Vec::new()
        }
    }
}
