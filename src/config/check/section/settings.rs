//! Which virtual service a section declares, and how it spreads connections: its name, scheduler
//! with flags, persistence, one_packet.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use crate::config::check::report::Report;
use crate::config::check::section::said::Said;
use crate::config::check::section::words::{Line, number, time};
use crate::config::check::values;
use crate::config::diagnostic::nearest;
use crate::config::lines::Span;
use crate::config::syntax;
use crate::lvs::{
    FOUR_IN_SIX, Family, Protocol, Scheduler, ServiceFlags, VirtualService, VirtualServiceKey,
    four_in_six,
};
use crate::model::{Initial, OnFailure};

/// Longest `drain` and `slow_start`: nobody waits longer for connections to end or to spread.
pub(super) const PATIENCE_MAX: Duration = Duration::from_secs(24 * 3600);

const NAMES: &str = "write virtual ADDRESS:PORT, virtual [IPV6]:PORT or virtual fwmark NUMBER";

/// `persistent` with what stands behind it.
pub(super) struct Persistence {
    seconds: u32,
    granularity: Option<(Granularity, Span)>,
    engine: Option<(String, Span)>,
}

/// Which clients count as one.
#[derive(Clone, Copy)]
enum Granularity {
    Mask(Ipv4Addr),
    Prefix(u8),
}

/// The virtual service that the first line names, with its protocol or family.
pub(super) fn key(report: &mut Report<'_>, name: Span, said: &Said) -> Option<VirtualServiceKey> {
    let words = syntax::words(report.sources, name);
    let [first, rest @ ..] = words.as_slice() else {
        report.error(name, "\"virtual\" names no virtual service", NAMES);
        return None;
    };
    if report.text(*first) == "fwmark" {
        return mark(report, *first, rest, said);
    }
    if let [second, ..] = rest {
        let text = report.text(*second);
        let help = match text {
            "tcp" | "udp" | "sctp" => format!("write \"protocol {text}\" on a line of its own"),
            _ if text.starts_with('#') => "comments stand on lines of their own".to_owned(),
            _ => "write what it is to do on lines of its own".to_owned(),
        };
        let message = format!("\"{text}\" is not understood behind the virtual service");
        report.error(*second, message, help);
        return None;
    }
    let text = report.text(*first);
    let address = match text.parse::<SocketAddr>() {
        Ok(address) => address,
        Err(_) => {
            let message = format!("\"{text}\" is no virtual service");
            report.error(*first, message, address_help(text));
            return None;
        }
    };
    let ip = address.ip();
    let is_scoped = matches!(address, SocketAddr::V6(six) if six.scope_id() != 0);
    let is_broadcast = ip == IpAddr::V4(Ipv4Addr::BROADCAST);
    if ip.is_unspecified() || ip.is_multicast() || is_broadcast || is_scoped {
        let message = format!("{text} is not an address that clients connect to");
        report.error(*first, message, "write the virtual address itself");
        return None;
    }
    if let Some(four) = four_in_six(ip) {
        let message = format!("{text} {FOUR_IN_SIX}");
        let help = format!("write {four}:{}", address.port());
        report.error(*first, message, help);
        return None;
    }
    if let Some((_, span)) = said.family {
        let message = "the address says the family already";
        report.error(span, message, "remove it: it is for firewall marks");
    }
    let protocol = said.protocol.map_or(Protocol::Tcp, |(it, _)| it);
    Some(VirtualServiceKey::Address(protocol, address))
}

fn address_help(text: &str) -> String {
    let bare = text.split_once('/').map_or(text, |(bare, _)| bare);
    match bare.trim_matches(['[', ']']).parse::<IpAddr>() {
        Ok(IpAddr::V4(address)) => format!("the port is missing: write {address}:PORT"),
        Ok(IpAddr::V6(address)) => format!("the port is missing: write [{address}]:PORT"),
        Err(_) if bare.parse::<SocketAddr>().is_ok() => {
            format!("write {bare} and, on a line of its own, protocol tcp, udp or sctp")
        }
        Err(_) if values::number(text).is_some() => format!("write fwmark {text} for a mark"),
        Err(_) => NAMES.to_owned(),
    }
}

fn mark(
    report: &mut Report<'_>,
    first: Span,
    rest: &[Span],
    said: &Said,
) -> Option<VirtualServiceKey> {
    let place = rest.first().copied().unwrap_or(first);
    let mark = values::number(report.text(place)).filter(|&mark| mark != 0);
    let Some(mark) = mark else {
        let message = format!("\"fwmark\" needs the mark, a number from 1 to {}", u32::MAX);
        report.error(place, message, "write virtual fwmark NUMBER");
        return None;
    };
    if let Some(&surplus) = rest.get(1) {
        let message = format!("\"{}\" is not understood here", report.text(surplus));
        report.error(surplus, message, "remove it");
    }
    if let Some((_, span)) = said.protocol {
        let message = "a firewall mark has no protocol";
        report.error(
            span,
            message,
            "remove it: packets of any protocol may be marked",
        );
    }
    let family = said.family.map_or(Family::V4, |(it, _)| it);
    Some(VirtualServiceKey::Mark(family, mark))
}

/// `scheduler NAME [FLAG...]`; `other` before the name is for one that we have never heard of.
pub(super) fn scheduler(line: &mut Line<'_, '_>) -> Option<(Scheduler, ServiceFlags)> {
    let help = "write the name of a scheduler, such as wlc, wrr or sh";
    let (mut span, mut name) = line.need(help)?;
    let is_other = name == "other";
    if is_other {
        (span, name) = line.need(help)?;
    } else if !Scheduler::KNOWN.contains(&name) {
        let help = match nearest(name, Scheduler::KNOWN) {
            Some(known) => format!("did you mean \"{known}\"?"),
            None => format!(
                "write one of {}; for a module of your own \"other {name}\"",
                Scheduler::KNOWN.join(" ")
            ),
        };
        line.invalid(span, "scheduler", &help);
        return None;
    }
    let Some(scheduler) = Scheduler::new(name) else {
        line.invalid(
            span,
            "scheduler",
            "a name has at most 15 letters, digits, \"_\" and \"-\"",
        );
        return None;
    };
    let mut flags = ServiceFlags::NONE;
    while let Some((span, word)) = line.next() {
        let flag = ServiceFlags::of_scheduler(&scheduler, word);
        let known = flag.filter(|&flag| flag.meant_for(&scheduler) == flag);
        let Some(flag) = known else {
            let help = match name {
                "sh" | "mh" => format!("{name} has the flags {name}-fallback and {name}-port"),
                _ if is_other => "write flag-1, flag-2 or flag-3".to_owned(),
                _ => format!("{name} has no flags; sh and mh have"),
            };
            line.invalid(span, "flag", &help);
            return None;
        };
        if !is_other && !["sh", "mh"].contains(&name) {
            let message = format!("scheduler {name} has no flags");
            line.report
                .warn(span, message, "it is set and does nothing");
        }
        flags = flags.with(flag);
    }
    Some((scheduler, flags))
}

/// `persistent SECONDS|TIME [mask MASK | prefix LENGTH] [engine sip]`
pub(super) fn persistence(line: &mut Line<'_, '_>) -> Option<Persistence> {
    let help = "write seconds, or a time such as 5m; at most 31d";
    let mut found = Persistence {
        seconds: line.value("persistence", help, persistence_seconds)?,
        granularity: None,
        engine: None,
    };
    while let Some((option, text)) = line.next() {
        match text {
            "mask" => {
                let help = "write a mask such as 255.255.255.0";
                let mask = line.value("mask", help, mask)?;
                found.granularity = Some((Granularity::Mask(mask), option));
            }
            "prefix" => {
                let help = "write a prefix length from 1 to 128, for IPv4 to 32";
                let length = line.value("prefix", help, |text| number(text, 1, 128))?;
                let length = u8::try_from(length).ok()?;
                found.granularity = Some((Granularity::Prefix(length), option));
            }
            "engine" => {
                let engine = line.value("persistence engine", "write sip", |text| {
                    (text == "sip").then(|| text.to_owned())
                })?;
                found.engine = Some((engine, option));
            }
            _ => {
                line.surplus(option, &["mask", "prefix", "engine"]);
                return None;
            }
        }
    }
    Some(found)
}

fn persistence_seconds(text: &str) -> Option<u32> {
    let most = VirtualService::PERSISTENCE_MAX_SECONDS;
    if let Some(seconds) = number(text, 1, most) {
        return Some(seconds);
    }
    let time = time(text, std::time::Duration::from_secs(most.into()))?;
    let seconds = u32::try_from(time.as_secs()).ok()?;
    (time.subsec_nanos() == 0 && seconds > 0).then_some(seconds)
}

/// A mask whose ones all stand before its zeros, one of them at least.
fn mask(text: &str) -> Option<Ipv4Addr> {
    let mask: Ipv4Addr = text.parse().ok()?;
    let bits = u32::from(mask);
    (bits != 0 && bits.leading_ones() + bits.trailing_zeros() == 32 || bits == u32::MAX)
        .then_some(mask)
}

/// All settings of the virtual service itself.
pub(super) fn virtual_service(
    report: &mut Report<'_>,
    key: VirtualServiceKey,
    name: Span,
    said: &Said,
) -> VirtualService {
    let (scheduler, mut flags) = match &said.scheduler {
        Some((scheduler, flags)) => (scheduler.clone(), *flags),
        None => (Scheduler::wlc(), ServiceFlags::NONE),
    };
    if let Some(span) = said.one_packet {
        flags = flags.with(ServiceFlags::ONE_PACKET);
        if let VirtualServiceKey::Address(Protocol::Tcp | Protocol::Sctp, _) = key {
            let message = "one_packet is for UDP: it takes each packet as a connection of its own";
            let help = "remove it, or write protocol udp";
            report.error(span, message, help);
        }
    }
    let mut service = VirtualService {
        flags,
        ..VirtualService::plain(key.family(), scheduler)
    };
    let Some(persistence) = &said.persistent else {
        if key.port() == Some(0) {
            let message = "port 0 stands for all ports, which only a persistent service can have";
            report.error(
                name,
                message,
                "add a line \"persistent 300\", or write the port",
            );
        }
        return service;
    };
    service.persistence_seconds = persistence.seconds;
    if let Some((granularity, span)) = persistence.granularity {
        service.netmask = netmask(report, key.family(), granularity, span);
    }
    if let Some((engine, span)) = &persistence.engine {
        service.persistence_engine = Some(engine.as_str().into());
        if let VirtualServiceKey::Address(Protocol::Tcp | Protocol::Sctp, _) = key {
            let message = "the engine sip reads UDP packets only";
            report.warn(*span, message, "it does nothing here: remove it");
        }
    }
    service
}

fn netmask(report: &mut Report<'_>, family: Family, granularity: Granularity, span: Span) -> u32 {
    match (family, granularity) {
        (Family::V4, Granularity::Mask(mask)) => mask.into(),
        (Family::V4, Granularity::Prefix(length @ 1..=32)) => u32::MAX << (32 - length),
        (Family::V6, Granularity::Prefix(length)) => length.into(),
        (Family::V4, Granularity::Prefix(length)) => {
            let message = format!("prefix {length} of an IPv4 service");
            report.error(span, message, "write a prefix length from 1 to 32");
            u32::MAX
        }
        (Family::V6, Granularity::Mask(_)) => {
            let message = "a mask in an IPv6 service";
            report.error(span, message, "write prefix LENGTH, such as prefix 64");
            128
        }
    }
}

/// The words behind `on_failure`, of a section or of one real server.
pub(super) fn on_failure(line: &mut Line<'_, '_>) -> Option<OnFailure> {
    let help = "write remove, quiesce or drain TIME";
    let (span, text) = line.need(help)?;
    Some(match text {
        "remove" => OnFailure::Remove,
        "quiesce" => OnFailure::Quiesce,
        "drain" => {
            let help = "write a time above zero, up to 1d, such as 60s";
            OnFailure::Drain(line.value("drain", help, |text| time(text, PATIENCE_MAX))?)
        }
        _ => {
            line.invalid(span, "on_failure", help);
            return None;
        }
    })
}

/// The word behind `initial`, of a section or of one real server.
pub(super) fn initial(line: &mut Line<'_, '_>) -> Option<Initial> {
    let help = "write in, out or as_found";
    let (span, text) = line.need(help)?;
    Some(match text {
        "in" => Initial::In,
        "out" => Initial::Out,
        "as_found" => Initial::AsFound,
        _ => {
            line.invalid(span, "initial", help);
            return None;
        }
    })
}
