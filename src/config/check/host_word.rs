//! Which words can stand for a host, and which of them mean the same one?

use std::net::{IpAddr, Ipv4Addr};

/// A host under one name, however it is written.
pub(super) fn canonical(host: &str) -> String {
    match host.parse::<IpAddr>() {
        Ok(address) => address.to_string(),
        Err(_) => host.to_ascii_lowercase(),
    }
}

/// Whether a name service could know it.
pub(super) fn is_host_name(word: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_');
    !word.is_empty() && word.bytes().all(plain)
}

/// Whether a name service could know it; digits and dots alone are a mistyped address.
pub(crate) fn is_possible_name(word: &str) -> bool {
    let is_of_address = |byte: u8| byte.is_ascii_digit() || byte == b'.';
    is_host_name(word) && !word.bytes().all(is_of_address) && !is_range(word)
}

/// Whether it looks like several addresses: `10.0.0.1-10.0.0.5` or `10.0.0.1-5`.
pub(super) fn is_range(word: &str) -> bool {
    let is_of_address = |byte: u8| byte.is_ascii_digit() || byte == b'.';
    word.split_once('-').is_some_and(|(first, last)| {
        first.parse::<Ipv4Addr>().is_ok() && last.bytes().all(is_of_address)
    })
}
