//! What a kernel answers to a command, on a table in memory.
//!
//! The rules of linux/net/netfilter/ipvs/ip_vs_ctl.c that decide about yes or no; nothing of
//! connections. For the memory backend, the simulation and the tests of [`crate::lvs::diff`].

use std::collections::BTreeMap;

use crate::lvs::{Command, Table, TableEntry};

/// Why a command does not fit the table, in ipvsadm's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Conflict {
    /// `EEXIST` for a virtual service.
    #[error("Service already exists")]
    ServiceExists,
    /// `ESRCH`
    #[error("Service not defined")]
    NoService,
    /// `EEXIST` for a real server.
    #[error("Destination already exists")]
    ServerExists,
    /// `ENOENT` for a real server.
    #[error("No such destination")]
    NoServer,
}

/// Carries out one command, or leaves the table as it is.
///
/// # Errors
///
/// What the kernel would refuse it for.
pub fn apply(table: &mut Table, command: &Command) -> Result<(), Conflict> {
    match command {
        Command::AddService(key, settings) => {
            if table.contains_key(key) {
                return Err(Conflict::ServiceExists);
            }
            let entry = TableEntry {
                service: settings.clone(),
                servers: BTreeMap::new(),
            };
            table.insert(*key, entry);
        }
        Command::EditService(key, settings) => {
            table.get_mut(key).ok_or(Conflict::NoService)?.service = settings.clone();
        }
        Command::DeleteService(key) => {
            table.remove(key).ok_or(Conflict::NoService)?;
        }
        Command::AddServer(key, server, settings) => {
            let entry = table.get_mut(key).ok_or(Conflict::NoService)?;
            if entry.servers.contains_key(server) {
                return Err(Conflict::ServerExists);
            }
            entry.servers.insert(*server, *settings);
        }
        Command::EditServer(key, server, settings) => {
            let entry = table.get_mut(key).ok_or(Conflict::NoService)?;
            *entry.servers.get_mut(server).ok_or(Conflict::NoServer)? = *settings;
        }
        Command::DeleteServer(key, server) => {
            let entry = table.get_mut(key).ok_or(Conflict::NoService)?;
            entry.servers.remove(server).ok_or(Conflict::NoServer)?;
        }
    }
    Ok(())
}
