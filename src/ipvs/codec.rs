//! Requests and answers of the kernel's IPVS family, in bytes.
//!
//! Pure: no socket. Source: linux/ip_vs.h (`IPVS_CMD_*`, `IPVS_*_ATTR_*`), linux/netlink.h,
//! net/netfilter/ipvs/ip_vs_ctl.c of Linux 6.1. Answers come from the kernel and are still
//! taken as hostile: no bytes may panic, what is unknown is skipped.

mod attribute;
pub(super) mod sync;
mod tunnel;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use netlink_packet_core::{
    NLM_F_ACK, NLM_F_DUMP, NLM_F_DUMP_INTR, NLM_F_REQUEST, NLMSG_DONE, NLMSG_ERROR, NLMSG_NOOP,
    NLMSG_OVERRUN, NetlinkBuffer,
};
use netlink_packet_generic::GenlHeader;
use netlink_packet_generic::constants::{
    CTRL_ATTR_FAMILY_ID, CTRL_ATTR_FAMILY_NAME, CTRL_CMD_GETFAMILY, GENL_HDRLEN, GENL_ID_CTRL,
};

use attribute::{attributes, find, fixed, nest, number, put, text};

use crate::lvs::{
    Command, ConnectionCounts, Family, Forwarding, Protocol, RealServer, RealServerKey, Scheduler,
    ServiceFlags, VirtualService, VirtualServiceKey, Weight,
};

/// Name of the generic netlink family.
const FAMILY_NAME: &[u8] = b"IPVS\0";
/// Version of the family, `IPVS_GENL_VERSION`; that of the controller is ignored.
const VERSION: u8 = 1;

const NEW_SERVICE: u8 = 1;
const SET_SERVICE: u8 = 2;
const DEL_SERVICE: u8 = 3;
const GET_SERVICE: u8 = 4;
const NEW_DEST: u8 = 5;
const SET_DEST: u8 = 6;
const DEL_DEST: u8 = 7;
const GET_DEST: u8 = 8;

const CMD_SERVICE: u16 = 1;
const CMD_DEST: u16 = 2;

const SVC_FAMILY: u16 = 1;
const SVC_PROTOCOL: u16 = 2;
const SVC_ADDRESS: u16 = 3;
const SVC_PORT: u16 = 4;
const SVC_MARK: u16 = 5;
const SVC_SCHEDULER: u16 = 6;
const SVC_FLAGS: u16 = 7;
const SVC_TIMEOUT: u16 = 8;
const SVC_NETMASK: u16 = 9;
const SVC_ENGINE: u16 = 11;

const DEST_ADDRESS: u16 = 1;
const DEST_PORT: u16 = 2;
const DEST_FORWARDING: u16 = 3;
const DEST_WEIGHT: u16 = 4;
const DEST_UPPER: u16 = 5;
const DEST_LOWER: u16 = 6;
const DEST_ACTIVE: u16 = 7;
const DEST_INACTIVE: u16 = 8;
const DEST_PERSISTENT: u16 = 9;
const DEST_FAMILY: u16 = 11;

/// `AF_INET` and `AF_INET6` of Linux.
const AF_INET: u16 = 2;
const AF_INET6: u16 = 10;
/// Length of a netlink message header.
const HEADER_LEN: usize = 16;
/// `IP_VS_CONN_F_FWD_MASK`: the bits of the connection flags that name the forwarding method.
const FORWARDING_MASK: u32 = 7;

/// Bytes that are no answer of this family.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the kernel's answer cannot be understood: {0}")]
pub(crate) struct Malformed(&'static str);

/// One message of a datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer<'a> {
    /// The request was carried out, or refused with this errno.
    Ended(Result<(), i32>),
    /// A part of a dump, or the answer to a plain get.
    Part(&'a [u8]),
    /// Nothing to look at.
    Nothing,
}

/// A message with what its header says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Message<'a> {
    /// The number of the request that it answers.
    pub(crate) sequence: u32,
    /// The dump was disturbed by a change and has to be asked for again.
    pub(crate) interrupted: bool,
    /// What it says.
    pub(crate) answer: Answer<'a>,
}

/// Asks the controller for the number of the family.
pub(crate) fn family_request(sequence: u32) -> Vec<u8> {
    let mut body = Vec::new();
    put(&mut body, CTRL_ATTR_FAMILY_NAME, FAMILY_NAME);
    message(
        GENL_ID_CTRL,
        sequence,
        NLM_F_REQUEST | NLM_F_ACK,
        CTRL_CMD_GETFAMILY,
        &body,
    )
}

/// Asks for all virtual services.
pub(crate) fn services_request(family: u16, sequence: u32) -> Vec<u8> {
    let flags = NLM_F_REQUEST | NLM_F_DUMP;
    message(family, sequence, flags, GET_SERVICE, &[])
}

/// Asks for the real servers of a virtual service.
pub(crate) fn servers_request(family: u16, sequence: u32, key: VirtualServiceKey) -> Vec<u8> {
    let mut body = Vec::new();
    nest(&mut body, CMD_SERVICE, &service_key(key));
    let flags = NLM_F_REQUEST | NLM_F_DUMP;
    message(family, sequence, flags, GET_DEST, &body)
}

/// Asks for one change: the bytes of one netlink message.
pub fn command_request(family: u16, sequence: u32, command: &Command) -> Vec<u8> {
    let mut body = Vec::new();
    let number = match command {
        Command::AddService(key, service) => {
            let mut inner = service_key(*key);
            service_settings(&mut inner, key.family(), service, u32::MAX);
            nest(&mut body, CMD_SERVICE, &inner);
            NEW_SERVICE
        }
        Command::EditService(key, service) => {
            let mut inner = service_key(*key);
            // Flags that this program does not know stay as they are.
            let mask = ServiceFlags::KNOWN.bits() | ServiceFlags::PERSISTENT_BIT;
            service_settings(&mut inner, key.family(), service, mask);
            nest(&mut body, CMD_SERVICE, &inner);
            SET_SERVICE
        }
        Command::DeleteService(key) => {
            nest(&mut body, CMD_SERVICE, &service_key(*key));
            DEL_SERVICE
        }
        Command::AddServer(key, server, to) => {
            server_body(&mut body, *key, *server, Some(*to));
            NEW_DEST
        }
        Command::EditServer(key, server, to) => {
            server_body(&mut body, *key, *server, Some(*to));
            SET_DEST
        }
        Command::DeleteServer(key, server) => {
            server_body(&mut body, *key, *server, None);
            DEL_DEST
        }
    };
    message(family, sequence, NLM_F_REQUEST | NLM_F_ACK, number, &body)
}

fn server_body(
    body: &mut Vec<u8>,
    key: VirtualServiceKey,
    server: RealServerKey,
    to: Option<RealServer>,
) {
    nest(body, CMD_SERVICE, &service_key(key));
    let address = server.0;
    let mut inner = Vec::new();
    put(&mut inner, DEST_ADDRESS, &address_bytes(address.ip()));
    put(&mut inner, DEST_PORT, &address.port().to_be_bytes());
    let family = family_number(Family::of(address.ip()));
    put(&mut inner, DEST_FAMILY, &family.to_ne_bytes());
    if let Some(to) = to {
        let method = forwarding_number(to.forwarding);
        put(&mut inner, DEST_FORWARDING, &method.to_ne_bytes());
        put(&mut inner, DEST_WEIGHT, &to.weight.0.to_ne_bytes());
        put(&mut inner, DEST_UPPER, &to.upper_threshold.to_ne_bytes());
        put(&mut inner, DEST_LOWER, &to.lower_threshold.to_ne_bytes());
        tunnel::write(&mut inner, to.forwarding);
    }
    nest(body, CMD_DEST, &inner);
}

fn service_key(key: VirtualServiceKey) -> Vec<u8> {
    let mut inner = Vec::new();
    let family = family_number(key.family());
    put(&mut inner, SVC_FAMILY, &family.to_ne_bytes());
    match key {
        VirtualServiceKey::Address(protocol, address) => {
            let protocol = protocol_number(protocol);
            put(&mut inner, SVC_PROTOCOL, &protocol.to_ne_bytes());
            put(&mut inner, SVC_ADDRESS, &address_bytes(address.ip()));
            put(&mut inner, SVC_PORT, &address.port().to_be_bytes());
        }
        VirtualServiceKey::Mark(_, mark) => put(&mut inner, SVC_MARK, &mark.to_ne_bytes()),
    }
    inner
}

/// `flags_mask` has the bits that are said; the others are left as they were.
fn service_settings(
    inner: &mut Vec<u8>,
    family: Family,
    service: &VirtualService,
    flags_mask: u32,
) {
    let mut name = service.scheduler.as_str().as_bytes().to_vec();
    name.push(0);
    put(inner, SVC_SCHEDULER, &name);
    if let Some(engine) = &service.persistence_engine {
        let mut name = engine.as_bytes().to_vec();
        name.push(0);
        put(inner, SVC_ENGINE, &name);
    }
    let persistent = if service.is_persistent() {
        ServiceFlags::PERSISTENT_BIT
    } else {
        0
    };
    let mut flags = (service.flags.bits() | persistent).to_ne_bytes().to_vec();
    flags.extend(flags_mask.to_ne_bytes());
    put(inner, SVC_FLAGS, &flags);
    put(
        inner,
        SVC_TIMEOUT,
        &service.persistence_seconds.to_ne_bytes(),
    );
    put(inner, SVC_NETMASK, &netmask_bytes(family, service.netmask));
}

/// Splits a datagram into its messages; ends at the first one that makes no sense.
pub(crate) fn messages(datagram: &[u8]) -> impl Iterator<Item = Result<Message<'_>, Malformed>> {
    let mut rest = datagram;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let Ok(buffer) = NetlinkBuffer::new_checked(rest) else {
            rest = &[];
            return Some(Err(Malformed("a message is cut off")));
        };
        let length = usize::try_from(buffer.length()).unwrap_or(usize::MAX);
        let message = read_message(&buffer);
        rest = rest.get(length.next_multiple_of(4)..).unwrap_or(&[]);
        Some(message)
    })
}

fn read_message<'a>(buffer: &NetlinkBuffer<&'a [u8]>) -> Result<Message<'a>, Malformed> {
    let payload = buffer.payload();
    let answer = match buffer.message_type() {
        NLMSG_NOOP => Answer::Nothing,
        NLMSG_OVERRUN => return Err(Malformed("data was lost")),
        // Both carry a negative errno; an old kernel leaves it out of the end of a dump.
        NLMSG_DONE if payload.is_empty() => Answer::Ended(Ok(())),
        NLMSG_ERROR | NLMSG_DONE => {
            let code = payload.first_chunk().ok_or(Malformed("no error number"))?;
            Answer::Ended(match i32::from_ne_bytes(*code) {
                code @ ..=-1 => Err(code.saturating_neg()),
                _ => Ok(()),
            })
        }
        _ => {
            GenlHeader::parse(payload).map_err(|_| Malformed("no header of the family"))?;
            Answer::Part(payload.get(GENL_HDRLEN..).unwrap_or(&[]))
        }
    };
    Ok(Message {
        sequence: buffer.sequence_number(),
        interrupted: buffer.flags() & NLM_F_DUMP_INTR != 0,
        answer,
    })
}

/// The number of the family, out of the controller's answer.
pub(crate) fn read_family(body: &[u8]) -> Result<u16, Malformed> {
    let mut family = None;
    for (kind, value) in attributes(body) {
        if kind == CTRL_ATTR_FAMILY_ID {
            family = Some(u16::from_ne_bytes(fixed(value)?));
        }
    }
    family.ok_or(Malformed("the family has no number"))
}

/// A virtual service; none for one of a kind that this program does not know.
pub(crate) fn read_service(
    body: &[u8],
) -> Result<Option<(VirtualServiceKey, VirtualService)>, Malformed> {
    let inner = find(body, CMD_SERVICE).ok_or(Malformed("no virtual service in an answer"))?;
    let Some(key) = read_service_key(inner)? else {
        return Ok(None);
    };
    let name = find(inner, SVC_SCHEDULER).and_then(text);
    let scheduler = name
        .and_then(Scheduler::new)
        .ok_or(Malformed("a virtual service has no scheduler"))?;
    let mut service = VirtualService::plain(key.family(), scheduler);
    let mut is_persistent = false;
    for (kind, value) in attributes(inner) {
        match kind {
            // A pair, of which the second is a mask without meaning in an answer.
            SVC_FLAGS => {
                let bits = number(value)?;
                is_persistent = bits & ServiceFlags::PERSISTENT_BIT != 0;
                service.flags = ServiceFlags::from_bits(bits);
            }
            SVC_TIMEOUT => service.persistence_seconds = number(value)?,
            SVC_NETMASK => service.netmask = read_netmask(key.family(), fixed(value)?),
            SVC_ENGINE => service.persistence_engine = text(value).map(Into::into),
            _ => {}
        }
    }
    if !is_persistent {
        // The kernel keeps the last time of a service that is persistent no more.
        service.persistence_seconds = 0;
    }
    Ok(Some((key, service)))
}

fn read_service_key(inner: &[u8]) -> Result<Option<VirtualServiceKey>, Malformed> {
    let family = find(inner, SVC_FAMILY).ok_or(Malformed("a virtual service has no family"))?;
    let Some(family) = read_family_number(u16::from_ne_bytes(fixed(family)?)) else {
        return Ok(None);
    };
    if let Some(mark) = find(inner, SVC_MARK) {
        return Ok(Some(VirtualServiceKey::Mark(family, number(mark)?)));
    }
    let absent = Malformed("a virtual service has no address");
    let protocol = find(inner, SVC_PROTOCOL).ok_or(absent.clone())?;
    let protocol = match u16::from_ne_bytes(fixed(protocol)?) {
        6 => Protocol::Tcp,
        17 => Protocol::Udp,
        132 => Protocol::Sctp,
        _ => return Ok(None),
    };
    let address = find(inner, SVC_ADDRESS).ok_or(absent.clone())?;
    let port = find(inner, SVC_PORT).ok_or(absent)?;
    let address = SocketAddr::new(
        read_address(family, address)?,
        u16::from_be_bytes(fixed(port)?),
    );
    Ok(Some(VirtualServiceKey::Address(protocol, address)))
}

/// A real server of a virtual service of that family; none for one of a kind that this
/// program does not know.
pub(crate) fn read_server(
    body: &[u8],
    service_family: Family,
) -> Result<Option<(RealServerKey, RealServer)>, Malformed> {
    let inner = find(body, CMD_DEST).ok_or(Malformed("no real server in an answer"))?;
    // Kernels before 3.18 do not say it: there a real server has the family of its service.
    let family = match find(inner, DEST_FAMILY) {
        Some(value) => read_family_number(u16::from_ne_bytes(fixed(value)?)),
        None => Some(service_family),
    };
    let Some(family) = family else {
        return Ok(None);
    };
    let absent = Malformed("a real server has no address");
    let address = find(inner, DEST_ADDRESS).ok_or(absent.clone())?;
    let port = find(inner, DEST_PORT).ok_or(absent)?;
    let key = SocketAddr::new(
        read_address(family, address)?,
        u16::from_be_bytes(fixed(port)?),
    );
    let mut server = RealServer::new(Forwarding::Nat, Weight(0));
    for (kind, value) in attributes(inner) {
        match kind {
            DEST_FORWARDING => match read_forwarding(number(value)?, inner)? {
                Some(forwarding) => server.forwarding = forwarding,
                None => return Ok(None),
            },
            DEST_WEIGHT => server.weight = Weight(number(value)?),
            DEST_UPPER => server.upper_threshold = number(value)?,
            DEST_LOWER => server.lower_threshold = number(value)?,
            _ => {}
        }
    }
    Ok(Some((RealServerKey(key), server)))
}

/// How many connections a real server has.
pub(crate) fn read_counts(body: &[u8]) -> Result<ConnectionCounts, Malformed> {
    let inner = find(body, CMD_DEST).ok_or(Malformed("no real server in an answer"))?;
    let mut counts = ConnectionCounts::default();
    for (kind, value) in attributes(inner) {
        match kind {
            DEST_ACTIVE => counts.active = number(value)?,
            DEST_INACTIVE => counts.inactive = number(value)?,
            DEST_PERSISTENT => counts.persistent = number(value)?,
            _ => {}
        }
    }
    Ok(counts)
}

fn message(kind: u16, sequence: u32, flags: u16, command: u8, body: &[u8]) -> Vec<u8> {
    let length = HEADER_LEN + GENL_HDRLEN + body.len();
    let mut out = Vec::with_capacity(length);
    out.extend(u32::try_from(length).unwrap_or(u32::MAX).to_ne_bytes());
    out.extend(kind.to_ne_bytes());
    out.extend(flags.to_ne_bytes());
    out.extend(sequence.to_ne_bytes());
    // The sender's port: the kernel fills in its own.
    out.extend([0; 4]);
    out.extend([command, VERSION, 0, 0]);
    out.extend(body);
    out
}

fn address_bytes(address: IpAddr) -> [u8; 16] {
    match address {
        IpAddr::V4(address) => {
            let mut bytes = [0; 16];
            bytes[..4].copy_from_slice(&address.octets());
            bytes
        }
        IpAddr::V6(address) => address.octets(),
    }
}

fn read_address(family: Family, value: &[u8]) -> Result<IpAddr, Malformed> {
    Ok(match family {
        Family::V4 => Ipv4Addr::from(fixed::<4>(value)?).into(),
        Family::V6 => Ipv6Addr::from(fixed::<16>(value)?).into(),
    })
}

/// An address mask stands in network order, a prefix length in that of the machine.
fn netmask_bytes(family: Family, netmask: u32) -> [u8; 4] {
    match family {
        Family::V4 => netmask.to_be_bytes(),
        Family::V6 => netmask.to_ne_bytes(),
    }
}

fn read_netmask(family: Family, bytes: [u8; 4]) -> u32 {
    match family {
        Family::V4 => u32::from_be_bytes(bytes),
        Family::V6 => u32::from_ne_bytes(bytes),
    }
}

const fn family_number(family: Family) -> u16 {
    match family {
        Family::V4 => AF_INET,
        Family::V6 => AF_INET6,
    }
}

const fn read_family_number(number: u16) -> Option<Family> {
    match number {
        AF_INET => Some(Family::V4),
        AF_INET6 => Some(Family::V6),
        _ => None,
    }
}

const fn protocol_number(protocol: Protocol) -> u16 {
    match protocol {
        Protocol::Tcp => 6,
        Protocol::Udp => 17,
        Protocol::Sctp => 132,
    }
}

const fn forwarding_number(forwarding: Forwarding) -> u32 {
    match forwarding {
        Forwarding::Nat => 0,
        Forwarding::Local => 1,
        Forwarding::Tun(_) => 2,
        Forwarding::Dr => 3,
        Forwarding::Bypass => 4,
    }
}

/// The method that a real server's flags name, with the tunnel that its attributes name.
fn read_forwarding(number: u32, inner: &[u8]) -> Result<Option<Forwarding>, Malformed> {
    Ok(match number & FORWARDING_MASK {
        0 => Some(Forwarding::Nat),
        1 => Some(Forwarding::Local),
        2 => tunnel::read(inner)?.map(Forwarding::Tun),
        3 => Some(Forwarding::Dr),
        4 => Some(Forwarding::Bypass),
        _ => None,
    })
}

#[cfg(test)]
mod tests;
