//! What does the file say of the peer?

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

/// Where a director listens for its peer where the file names no port.
pub const PORT: u16 = 2584;

/// The settings `peer`, `peer_key` and `peer_bind`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PeerSettings {
    /// The other director: called there, and let in from that address only. None: there is none.
    pub address: Option<SocketAddr>,
    /// The file of the shared key.
    pub key: Option<PathBuf>,
    /// Where the peer may call; none: this director calls and is not called.
    pub bind: Option<SocketAddr>,
}

/// Reads where the peer is called.
///
/// # Errors
///
/// What to write instead: as [`address`], and where nobody can be called.
pub fn callable(text: &str) -> Result<SocketAddr, String> {
    let found = address(text)?;
    if found.ip().is_unspecified() || is_of_many(found.ip()) {
        return Err("no director has this address: write that of the other one".to_owned());
    }
    Ok(found)
}

/// Reads where the peer may call; `0.0.0.0` and `::` are all addresses of this director.
///
/// # Errors
///
/// What to write instead: as [`address`], and where nobody can listen.
pub fn bindable(text: &str) -> Result<SocketAddr, String> {
    let found = address(text)?;
    if is_of_many(found.ip()) {
        return Err("no director has this address: write one of this director".to_owned());
    }
    Ok(found)
}

/// Whether an address stands for several machines.
const fn is_of_many(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => address.is_broadcast() || address.is_multicast(),
        IpAddr::V6(address) => address.is_multicast(),
    }
}

/// Reads `ADDRESS` or `ADDRESS:PORT`, with brackets around an IPv6 address that has a port.
///
/// No names: what lets somebody in must not hang on a name server.
///
/// # Errors
///
/// What to write instead.
pub fn address(text: &str) -> Result<SocketAddr, String> {
    let bare = text
        .strip_prefix('[')
        .and_then(|text| text.strip_suffix(']'));
    let alone = bare.unwrap_or(text).parse::<IpAddr>();
    let found = alone.map(|address| SocketAddr::new(address, PORT));
    found
        .or_else(|_| text.parse::<SocketAddr>())
        .ok()
        .filter(|address| address.port() != 0)
        .ok_or_else(|| "write ADDRESS or ADDRESS:PORT, an address and not a name".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peer_has_an_address_of_its_own() {
        for text in ["0.0.0.0", "0.0.0.0:7", "::", "[::]:7"] {
            assert!(callable(text).is_err(), "{text}");
            assert!(bindable(text).is_ok(), "{text}");
        }
        for text in ["255.255.255.255", "224.0.0.18", "[ff02::12]:7"] {
            assert!(callable(text).is_err(), "{text}");
            assert!(bindable(text).is_err(), "{text}");
        }
        assert!(callable("127.0.0.1:7").is_ok());
    }

    #[test]
    fn an_address_may_have_a_port_and_is_no_name() {
        for (text, expected) in [
            ("10.0.0.2", "10.0.0.2:2584"),
            ("10.0.0.2:7", "10.0.0.2:7"),
            ("2001:db8::2", "[2001:db8::2]:2584"),
            ("[2001:db8::2]", "[2001:db8::2]:2584"),
            ("[2001:db8::2]:7", "[2001:db8::2]:7"),
        ] {
            assert_eq!(address(text).unwrap().to_string(), expected);
        }
        for wrong in [
            "",
            "peer",
            "10.0.0.2:",
            "10.0.0.2:0",
            "10.0.0.2:x",
            "10.0.0.2 10.0.0.3",
        ] {
            assert!(address(wrong).is_err(), "{wrong}");
        }
    }
}
