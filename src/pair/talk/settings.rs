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
