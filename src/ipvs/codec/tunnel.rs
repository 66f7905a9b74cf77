//! The kind of a real server's tunnel, in bytes: `IPVS_DEST_ATTR_TUN_*`.
//!
//! A kernel before 5.2 sends none of these attributes and passes over those it gets: there each
//! tunnel is IP in IP, as [`Forwarding::Tun`] is without them.

use std::num::NonZeroU16;

use super::Malformed;
use super::attribute::{attributes, fixed, put};
use crate::lvs::{Forwarding, GueChecksum, Tunnel};

const TUN_TYPE: u16 = 13;
const TUN_PORT: u16 = 14;
const TUN_FLAGS: u16 = 15;

/// `IP_VS_CONN_F_TUNNEL_TYPE_*`
const IPIP: u8 = 0;
const GUE: u8 = 1;
const GRE: u8 = 2;
/// `IP_VS_TUNNEL_ENCAP_FLAG_*`
const CSUM: u16 = 1;
const REMCSUM: u16 = 2;

/// The attributes of a tunnel that is not IP in IP, which is what the kernel takes their absence
/// for.
pub(super) fn write(out: &mut Vec<u8>, forwarding: Forwarding) {
    let (kind, port, flags) = match forwarding {
        Forwarding::Tun(Tunnel::Gre { checksum }) => (GRE, None, if checksum { CSUM } else { 0 }),
        Forwarding::Tun(Tunnel::Gue { port, checksum }) => {
            let flags = match checksum {
                GueChecksum::None => 0,
                GueChecksum::Csum => CSUM,
                GueChecksum::Remcsum => REMCSUM,
            };
            (GUE, Some(port), flags)
        }
        Forwarding::Tun(Tunnel::Ipip)
        | Forwarding::Nat
        | Forwarding::Local
        | Forwarding::Dr
        | Forwarding::Bypass => return,
    };
    put(out, TUN_TYPE, &[kind]);
    if let Some(port) = port {
        put(out, TUN_PORT, &port.get().to_be_bytes());
    }
    put(out, TUN_FLAGS, &flags.to_ne_bytes());
}

/// The tunnel that a real server's attributes name; none where it is of a kind that this
/// program does not know.
pub(super) fn read(inner: &[u8]) -> Result<Option<Tunnel>, Malformed> {
    let (mut kind, mut port, mut flags) = (IPIP, 0, 0);
    for (attribute, value) in attributes(inner) {
        match attribute {
            TUN_TYPE => [kind] = fixed(value)?,
            TUN_PORT => port = u16::from_be_bytes(fixed(value)?),
            TUN_FLAGS => flags = u16::from_ne_bytes(fixed(value)?),
            _ => {}
        }
    }
    let has_checksum = flags & CSUM != 0;
    Ok(match kind {
        IPIP => Some(Tunnel::Ipip),
        GRE => Some(Tunnel::Gre {
            checksum: has_checksum,
        }),
        GUE => NonZeroU16::new(port).map(|port| Tunnel::Gue {
            port,
            checksum: match flags & (CSUM | REMCSUM) {
                0 => GueChecksum::None,
                CSUM => GueChecksum::Csum,
                _ => GueChecksum::Remcsum,
            },
        }),
        _ => None,
    })
}
