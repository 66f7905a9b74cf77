//! How does a `lvs_method` forward?

use crate::import::{Place, Remarks};
use crate::lvs::{Forwarding, GueChecksum, Tunnel};

/// What the words behind it mean; none, and said so, where they mean nothing that is known here.
pub(super) fn forwarding(
    words: &[String],
    place: &Place,
    remarks: &mut Remarks,
) -> Option<Forwarding> {
    let words: Vec<String> = words.iter().map(|it| it.to_ascii_lowercase()).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let found = match words.as_slice() {
        ["nat"] => Some(Forwarding::Nat),
        ["dr"] => Some(Forwarding::Dr),
        ["tun"] => Some(Forwarding::Tun(Tunnel::Ipip)),
        ["tun", "type", rest @ ..] => tunnel(rest).map(Forwarding::Tun),
        _ => None,
    };
    if found.is_none() {
        remarks.lost(place, "no forwarding method that is known here; left out");
    }
    found
}

fn tunnel(words: &[&str]) -> Option<Tunnel> {
    match *words {
        ["ipip"] | ["ipip", "nocsum"] => Some(Tunnel::Ipip),
        ["gre"] | ["gre", "nocsum"] => Some(Tunnel::Gre { checksum: false }),
        ["gre", "csum"] => Some(Tunnel::Gre { checksum: true }),
        ["gue", "port", port, ref rest @ ..] => {
            let checksum = match *rest {
                [] | ["nocsum"] => GueChecksum::None,
                ["csum"] => GueChecksum::Csum,
                ["remcsum"] => GueChecksum::Remcsum,
                _ => return None,
            };
            let port = port.parse().ok()?;
            Some(Tunnel::Gue { port, checksum })
        }
        _ => None,
    }
}
