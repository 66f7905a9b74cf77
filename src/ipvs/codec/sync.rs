//! The kernel's synchronisation daemons and its timeouts, in bytes: `IPVS_DAEMON_ATTR_*` and
//! `IPVS_CMD_ATTR_TIMEOUT_*` of linux/ip_vs.h.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use netlink_packet_core::{NLM_F_ACK, NLM_F_DUMP, NLM_F_REQUEST};

use super::attribute::{attributes, find, fixed, nest, number, put, text};
use super::{Malformed, message};
use crate::lvs::{ConnectionTimeouts, Interface, SyncChange, SyncDaemon, SyncRole};

const NEW_DAEMON: u8 = 9;
const DEL_DAEMON: u8 = 10;
const GET_DAEMON: u8 = 11;
const GET_CONFIG: u8 = 13;

const CMD_DAEMON: u16 = 3;
const CMD_TIMEOUT_TCP: u16 = 4;
const CMD_TIMEOUT_TCP_FIN: u16 = 5;
const CMD_TIMEOUT_UDP: u16 = 6;

const STATE: u16 = 1;
const INTERFACE: u16 = 2;
const ID: u16 = 3;
const LENGTH_MAX: u16 = 4;
const GROUP: u16 = 5;
const GROUP_V6: u16 = 6;
const PORT: u16 = 7;
const TTL: u16 = 8;

/// `IP_VS_STATE_MASTER` and `IP_VS_STATE_BACKUP`
const MASTER: u32 = 1;
const BACKUP: u32 = 2;

/// Asks for the daemons that run.
pub(crate) fn daemons_request(family: u16, sequence: u32) -> Vec<u8> {
    let flags = NLM_F_REQUEST | NLM_F_DUMP;
    message(family, sequence, flags, GET_DAEMON, &[])
}

/// Asks for one change of them.
pub(crate) fn sync_request(family: u16, sequence: u32, change: &SyncChange) -> Vec<u8> {
    let mut inner = Vec::new();
    let command = match change {
        SyncChange::Start(daemon) => {
            write_daemon(&mut inner, daemon);
            NEW_DAEMON
        }
        SyncChange::Stop(role) => {
            put(&mut inner, STATE, &state(*role).to_ne_bytes());
            DEL_DAEMON
        }
    };
    let mut body = Vec::new();
    nest(&mut body, CMD_DAEMON, &inner);
    message(family, sequence, NLM_F_REQUEST | NLM_F_ACK, command, &body)
}

fn write_daemon(inner: &mut Vec<u8>, daemon: &SyncDaemon) {
    put(inner, STATE, &state(daemon.role).to_ne_bytes());
    let mut name = daemon.interface.as_str().as_bytes().to_vec();
    name.push(0);
    put(inner, INTERFACE, &name);
    put(inner, ID, &u32::from(daemon.id).to_ne_bytes());
    if let Some(length) = daemon.length_max {
        put(inner, LENGTH_MAX, &length.to_ne_bytes());
    }
    match daemon.group {
        Some(IpAddr::V4(group)) => put(inner, GROUP, &group.octets()),
        Some(IpAddr::V6(group)) => put(inner, GROUP_V6, &group.octets()),
        None => {}
    }
    // Unlike the ports of servers, in the machine's order.
    if let Some(port) = daemon.port {
        put(inner, PORT, &port.to_ne_bytes());
    }
    if let Some(ttl) = daemon.ttl {
        put(inner, TTL, &[ttl]);
    }
}

/// A daemon that runs; none for one in a state that this program does not know.
pub(crate) fn read_daemon(body: &[u8]) -> Result<Option<SyncDaemon>, Malformed> {
    let inner = find(body, CMD_DAEMON).ok_or(Malformed("no daemon in an answer"))?;
    let absent = Malformed("a synchronisation daemon has no state");
    let role = match number(find(inner, STATE).ok_or(absent)?)? {
        MASTER => SyncRole::Master,
        BACKUP => SyncRole::Backup,
        _ => return Ok(None),
    };
    let interface = find(inner, INTERFACE).and_then(text);
    let interface = interface
        .and_then(Interface::new)
        .ok_or(Malformed("a synchronisation daemon has no interface"))?;
    let mut daemon = SyncDaemon::new(role, interface, 0);
    for (kind, value) in attributes(inner) {
        match kind {
            // The kernel starts none with a larger number than this.
            ID => daemon.id = u8::try_from(number(value)?).unwrap_or(u8::MAX),
            LENGTH_MAX => daemon.length_max = Some(u16::from_ne_bytes(fixed(value)?)),
            GROUP => daemon.group = Some(Ipv4Addr::from(fixed::<4>(value)?).into()),
            GROUP_V6 => daemon.group = Some(Ipv6Addr::from(fixed::<16>(value)?).into()),
            PORT => daemon.port = Some(u16::from_ne_bytes(fixed(value)?)),
            TTL => {
                let [ttl] = fixed(value)?;
                daemon.ttl = Some(ttl);
            }
            _ => {}
        }
    }
    Ok(Some(daemon))
}

const fn state(role: SyncRole) -> u32 {
    match role {
        SyncRole::Master => MASTER,
        SyncRole::Backup => BACKUP,
    }
}

/// Asks for the timeouts.
pub(crate) fn timeouts_request(family: u16, sequence: u32) -> Vec<u8> {
    message(family, sequence, NLM_F_REQUEST | NLM_F_ACK, GET_CONFIG, &[])
}

/// The timeouts; zero for a protocol that the kernel is built without.
pub(crate) fn read_timeouts(body: &[u8]) -> Result<ConnectionTimeouts, Malformed> {
    let seconds = |kind| -> Result<Duration, Malformed> {
        let seconds = find(body, kind).map_or(Ok(0), number)?;
        Ok(Duration::from_secs(seconds.into()))
    };
    Ok(ConnectionTimeouts {
        tcp: seconds(CMD_TIMEOUT_TCP)?,
        tcp_fin: seconds(CMD_TIMEOUT_TCP_FIN)?,
        udp: seconds(CMD_TIMEOUT_UDP)?,
    })
}
