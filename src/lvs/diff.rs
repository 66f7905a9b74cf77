//! What has to be done to a kernel's table so that it agrees with what is wanted.
//!
//! A merge walk over two sorted maps; linear, pure. Only owned keys are ever named: whatever
//! `desired` does not mention is invisible here (D7), but for the strangers in a virtual service
//! that is owned whole.

pub mod behind;

use crate::lvs::{
    Command, Desired, DesiredService, Forwarding, RealServer, RealServerKey, ServerWish,
    ServiceWish, Strangers, Table, TableEntry, VirtualService, VirtualServiceKey, Weight,
};

/// The commands that make `actual` agree with `desired` on every owned key, in order.
///
/// Within a virtual service: make or correct it, put real servers in, change some in place, those
/// that get weight 0 last, take others out, declared or not. So it never loses its last real server
/// while another waits to be added or to get its weight. Real servers of a virtual service that
/// belongs to others and is missing wait: see [`missing`].
#[must_use]
pub fn diff(desired: &Desired, actual: &Table) -> Vec<Command> {
    let mut commands = Vec::new();
    for_each_wanted(desired, actual, |key, wanted, entry| {
        service_diff(key, wanted, entry, &mut commands);
    });
    commands
}

/// Virtual services that belong to others and are missing while real servers of ours are to
/// be in them (D7).
#[must_use]
pub fn missing(desired: &Desired, actual: &Table) -> Vec<VirtualServiceKey> {
    let mut missing = Vec::new();
    for_each_wanted(desired, actual, |key, wanted, entry| {
        let waits = |wish: &ServerWish| matches!(wish, ServerWish::In(_));
        if entry.is_none()
            && wanted.service == ServiceWish::Foreign
            && wanted.servers.values().any(waits)
        {
            missing.push(key);
        }
    });
    missing
}

/// Walks both maps side by side; both are sorted by the same key.
fn for_each_wanted<'a>(
    desired: &'a Desired,
    actual: &'a Table,
    mut visit: impl FnMut(VirtualServiceKey, &'a DesiredService, Option<&'a TableEntry>),
) {
    let mut entries = actual.iter().peekable();
    for (&key, wanted) in desired {
        while entries.next_if(|&(&other, _)| other < key).is_some() {}
        let entry = entries.next_if(|&(&other, _)| other == key);
        visit(key, wanted, entry.map(|(_, entry)| entry));
    }
}

fn service_diff(
    key: VirtualServiceKey,
    wanted: &DesiredService,
    entry: Option<&TableEntry>,
    commands: &mut Vec<Command>,
) {
    match (&wanted.service, entry) {
        (ServiceWish::Absent, Some(_)) => commands.push(Command::DeleteService(key)),
        (ServiceWish::Absent | ServiceWish::Foreign | ServiceWish::AsFound, None) => {}
        (ServiceWish::Present(settings) | ServiceWish::Owned(settings), None) => {
            commands.push(Command::AddService(key, settings.clone()));
            servers_diff(key, wanted, None, commands);
        }
        (ServiceWish::Owned(settings), Some(entry)) => {
            if !service_agrees(settings, &entry.service) {
                commands.push(Command::EditService(key, settings.clone()));
            }
            servers_diff(key, wanted, Some(entry), commands);
        }
        (ServiceWish::Present(_) | ServiceWish::Foreign | ServiceWish::AsFound, Some(entry)) => {
            servers_diff(key, wanted, Some(entry), commands);
        }
    }
}

fn servers_diff(
    key: VirtualServiceKey,
    wanted: &DesiredService,
    entry: Option<&TableEntry>,
    commands: &mut Vec<Command>,
) {
    let mut edits = Vec::new();
    let mut quiesced = Vec::new();
    let mut deletions = Vec::new();
    let found = entry.into_iter().flat_map(|entry| &entry.servers);
    let mut found = found.peekable();
    let stranger = |server: RealServerKey| match wanted.strangers {
        Strangers::Ignored | Strangers::Kept => None,
        Strangers::Removed => Some(Command::DeleteServer(key, server)),
    };
    for (&server, wish) in &wanted.servers {
        while let Some((&other, _)) = found.next_if(|&(&other, _)| other < server) {
            deletions.extend(stranger(other));
        }
        let actual = found.next_if(|&(&other, _)| other == server);
        match (wish, actual) {
            (&ServerWish::In(settings), None) => {
                commands.push(Command::AddServer(key, server, settings));
            }
            (ServerWish::In(settings), Some((_, actual))) if !agrees(settings, actual) => {
                let edit = Command::EditServer(key, server, *settings);
                match settings.weight {
                    Weight(0) => quiesced.push(edit),
                    Weight(_) => edits.push(edit),
                }
            }
            (ServerWish::Out, Some(_)) => deletions.push(Command::DeleteServer(key, server)),
            (ServerWish::In(_) | ServerWish::AsFound, Some(_))
            | (ServerWish::Out | ServerWish::AsFound, None) => {}
        }
    }
    deletions.extend(found.filter_map(|(&other, _)| stranger(other)));
    commands.append(&mut edits);
    commands.append(&mut quiesced);
    commands.append(&mut deletions);
}

/// Whether a virtual service in the table has the wanted settings.
///
/// Flags that mean nothing, or that this program cannot ask for, are not compared: one that a later
/// kernel sets by itself would be drift for ever. Nor is the netmask of a service that is not
/// persistent, where it has no meaning and `ipvsadm -Sn` does not show it.
#[must_use]
fn service_agrees(wanted: &VirtualService, actual: &VirtualService) -> bool {
    let VirtualService {
        scheduler,
        flags,
        persistence_seconds,
        netmask,
        persistence_engine,
    } = wanted;
    *scheduler == actual.scheduler
        && flags.meant_for(scheduler) == actual.flags.meant_for(scheduler)
        && *persistence_seconds == actual.persistence_seconds
        && (*netmask == actual.netmask || !wanted.is_persistent())
        && *persistence_engine == actual.persistence_engine
}

/// Whether a real server in the table has the wanted settings.
///
/// `local` and `bypass` are the kernel's own choice (`IP_VS_CONN_F_LOCALNODE`: the address is
/// one of this machine), made again at every edit, so a difference there is not ours to mend.
#[must_use]
pub fn agrees(wanted: &RealServer, actual: &RealServer) -> bool {
    let forwarding = match actual.forwarding {
        Forwarding::Local | Forwarding::Bypass => wanted.forwarding,
        Forwarding::Nat | Forwarding::Tun(_) | Forwarding::Dr => actual.forwarding,
    };
    RealServer {
        forwarding,
        ..*actual
    } == *wanted
}

/// The part of a table that is owned: what is not named in `desired` is not even seen, except
/// strangers in a virtual service of ours.
#[must_use]
pub fn owned(desired: &Desired, mut table: Table) -> Table {
    table.retain(|key, entry| match desired.get(key) {
        Some(wanted) => {
            match wanted.strangers {
                Strangers::Ignored => {
                    let is_owned = |server: &RealServerKey| wanted.servers.contains_key(server);
                    entry.servers.retain(|server, _| is_owned(server));
                }
                Strangers::Kept | Strangers::Removed => {}
            }
            true
        }
        None => false,
    });
    table
}

#[cfg(test)]
mod tests;
