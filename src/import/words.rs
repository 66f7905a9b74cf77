//! What does a word mean that both files may have: a host, a port, a weight, a netmask, a sender?

use std::net::{IpAddr, Ipv4Addr};

use crate::config::is_possible_name;
use crate::import::plan::Server;
use crate::import::{Place, Remarks, shown};
use crate::lvs::{Family, Forwarding, VirtualServiceKey, Weight};
use crate::options::mail::MailOptions;

/// Whether a word can stand in a hostgroup.
pub(super) fn is_host(word: &str) -> bool {
    word.parse::<IpAddr>().is_ok() || is_possible_name(word)
}

/// Where checks go: to the port of the line, else to that of the virtual service. Only `masq` can
/// change the port (D12); the program corrects it as well, and says nothing with a firewall mark.
pub(super) fn fit_port(
    server: &mut Server,
    key: VirtualServiceKey,
    place: &Place,
    remarks: &mut Remarks,
) {
    server.check_port = server.port;
    let Some(own) = key.port() else {
        return;
    };
    if server.port == 0 {
        server.check_port = own;
    }
    let keeps_port = server.settings.forwarding != Forwarding::Nat;
    if keeps_port && server.check_port != own && own != 0 {
        let forwarding = server.settings.forwarding;
        let text = format!(
            "{forwarding} cannot change the port: packets reach {} at port {own}, not {}",
            server.host, server.port
        );
        remarks.tolerated(place, text);
    }
}

/// A weight, at most what a file may ask for.
pub(super) fn weight(text: &str, place: &Place, remarks: &mut Remarks) -> Weight {
    let number = text.parse().ok().filter(|it| *it <= Weight::MAX);
    Weight(number.unwrap_or_else(|| {
        let text = format!("a weight above {} is taken as {}", Weight::MAX, Weight::MAX);
        remarks.lost(place, text);
        Weight::MAX
    }))
}

/// A netmask as persistence granularity: dotted for IPv4, a prefix length for IPv6.
pub(super) fn granularity(text: &str, family: Family) -> Option<u32> {
    match family {
        Family::V4 => {
            let mask: u32 = text.parse::<Ipv4Addr>().ok()?.into();
            let is_mask = mask != 0 && mask.leading_ones() + mask.trailing_zeros() == 32;
            is_mask.then_some(mask)
        }
        Family::V6 => text.parse().ok().filter(|bits| (1..=128).contains(bits)),
    }
}

/// The address in a word or a From line: what stands in `<>`, or all of it. None where `mail.alert`
/// would not take it, and for what no mailbox is called: a definition that nobody gave, a file or a
/// program.
pub(super) fn address_of(text: &str) -> Option<String> {
    let text = unquoted(text);
    let inner = text.rsplit_once('<').map_or(text, |(_, rest)| rest);
    let inner = inner.strip_suffix('>').unwrap_or(inner).trim();
    // A letter that was not in UTF-8 was another one.
    let is_address = MailOptions::takes_address(inner) && !inner.contains('\u{fffd}');
    let is_mailbox = !inner.starts_with(['$', '/', '|']) && has_possible_domain(inner);
    (is_address && is_mailbox).then(|| inner.to_owned())
}

/// Whether no part of its domain begins or ends with a hyphen, or is empty.
fn has_possible_domain(address: &str) -> bool {
    let Some((_, domain)) = address.split_once('@') else {
        return true;
    };
    let is_possible =
        |part: &str| !part.is_empty() && !part.starts_with('-') && !part.ends_with('-');
    domain.split('.').all(is_possible)
}

/// The recipients in a list with commas between them, or none; each that is none has a remark.
pub(super) fn recipients(
    word: &str,
    text: &str,
    place: &Place,
    remarks: &mut Remarks,
) -> Vec<String> {
    let mut list = Vec::new();
    for part in text.split([',', ' ']).filter(|it| !it.is_empty()) {
        match address_of(part) {
            Some(address) => list.push(address),
            None => {
                let part = shown(part);
                let text = format!("{word}: \"{part}\" is no mail address and is left out");
                remarks.lost(place, text);
            }
        }
    }
    list
}

/// A value without the quotes around it.
pub(super) fn unquoted(text: &str) -> &str {
    let text = text.trim();
    let inner = text.strip_prefix('"').unwrap_or(text);
    inner.strip_suffix('"').unwrap_or(inner)
}
