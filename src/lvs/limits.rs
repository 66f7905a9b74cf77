//! What the kernel cannot carry: real servers that it would refuse, or drop or change in silence
//! (D12).

use std::fmt;
use std::net::{IpAddr, Ipv4Addr};

use crate::lvs::{FOUR_IN_SIX, Family, Forwarding, VirtualServiceKey, four_in_six};

/// Why the kernel would not carry packets to a real server as it is declared. Its text says what
/// does not work and what does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limit {
    /// `dr` and `tun` leave the port as it is; the kernel would change the declaration silently.
    Port {
        /// The method.
        forwarding: Forwarding,
        /// Port of the virtual service.
        own: u16,
        /// Port of the real server.
        port: u16,
    },
    /// `nat` to the director's own loopback: such packets are dropped.
    Loopback,
    /// The unspecified address, or a multicast one.
    NoHost(IpAddr),
    /// One of IPv4 in IPv6 form, which no packet is sent to.
    FourInSix(IpAddr, Ipv4Addr),
    /// Only tunnels carry packets to another family (`ip_vs_genl_set_cmd`).
    OtherFamily {
        /// The virtual service.
        virtual_service: VirtualServiceKey,
        /// The real server's address.
        address: IpAddr,
    },
}

impl Limit {
    /// The first limit that a real server goes beyond; `address` is none for a name that is not
    /// looked up yet.
    #[must_use]
    pub fn of(
        virtual_service: VirtualServiceKey,
        forwarding: Forwarding,
        address: Option<IpAddr>,
        port: u16,
    ) -> Option<Self> {
        if let Some(address) = address {
            if address.is_unspecified() || address.is_multicast() {
                return Some(Self::NoHost(address));
            }
            if let Some(four) = four_in_six(address) {
                return Some(Self::FourInSix(address, four));
            }
            let is_same = Family::of(address) == virtual_service.family();
            if !is_same && !matches!(forwarding, Forwarding::Tun(_)) {
                return Some(Self::OtherFamily {
                    virtual_service,
                    address,
                });
            }
        }
        match forwarding {
            Forwarding::Dr | Forwarding::Tun(_) => match virtual_service.port() {
                Some(own) if own != port => Some(Self::Port {
                    forwarding,
                    own,
                    port,
                }),
                Some(_) | None => None,
            },
            Forwarding::Nat if address.is_some_and(|address| address.is_loopback()) => {
                Some(Self::Loopback)
            }
            Forwarding::Nat | Forwarding::Local | Forwarding::Bypass => None,
        }
    }
}

/// Whether the port of a real server only names its entry: with a mark, `dr` and `tun` leave
/// packets the port that they have, whatever that of the entry is (`ip_vs_dr_xmit`,
/// `ip_vs_tunnel_xmit`).
#[must_use]
pub fn port_only_names(
    virtual_service: VirtualServiceKey,
    forwarding: Forwarding,
    port: u16,
) -> bool {
    let leaves_port = match forwarding {
        Forwarding::Dr | Forwarding::Tun(_) => true,
        Forwarding::Nat | Forwarding::Local | Forwarding::Bypass => false,
    };
    leaves_port && port != 0 && virtual_service.port().is_none()
}

impl fmt::Display for Limit {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Port {
                forwarding,
                own,
                port,
            } => write!(
                out,
                "{forwarding} cannot change the port: the virtual service has port {own}, the real \
                 server {port}; use nat or the same port"
            ),
            Self::Loopback => out.write_str(
                "nat cannot reach a loopback address: the kernel drops such packets; use dr or \
                 another address of this machine",
            ),
            Self::NoHost(address) => write!(out, "{address} is not the address of a host"),
            Self::FourInSix(address, four) => write!(out, "{address} {FOUR_IN_SIX}: write {four}"),
            Self::OtherFamily {
                virtual_service,
                address,
            } => {
                let wanted = virtual_service.family();
                write!(
                    out,
                    "{address} is of another family than virtual service {virtual_service}: give \
                     the real server's {wanted} address, or use tun"
                )
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lvs::{GueChecksum, Tunnel};

    #[test]
    fn an_ipv4_address_in_ipv6_form_is_nobodys() {
        let key: VirtualServiceKey = "[2001:db8::3]:80/tcp".parse().unwrap();
        let of = |text: &str| Limit::of(key, Forwarding::Nat, text.parse().ok(), 80);
        let said = of("::ffff:10.0.0.7").map(|it| it.to_string());
        assert!(
            said.as_deref()
                .is_some_and(|it| it.contains("write 10.0.0.7")),
            "{said:?}"
        );
        assert_eq!(of("2001:db8::7"), None);
    }

    /// The kernel takes any with a mark, and ldirectord makes its entries so.
    #[test]
    fn with_a_mark_a_port_names_the_entry() {
        let mark: VirtualServiceKey = "fwmark 7".parse().unwrap();
        let web: VirtualServiceKey = "10.0.0.3:80/tcp".parse().unwrap();
        let host = "10.0.0.7".parse().ok();
        for forwarding in [Forwarding::Dr, Forwarding::Tun(Tunnel::Ipip)] {
            assert_eq!(Limit::of(mark, forwarding, host, 8080), None);
            assert!(port_only_names(mark, forwarding, 8080));
            assert!(!port_only_names(mark, forwarding, 0));
            assert!(!port_only_names(web, forwarding, 80));
        }
        assert_eq!(Limit::of(mark, Forwarding::Nat, host, 8080), None);
        assert!(!port_only_names(mark, Forwarding::Nat, 8080));
    }

    #[test]
    fn only_tunnels_carry_packets_to_another_family() {
        let gue = Tunnel::Gue {
            port: std::num::NonZeroU16::MIN,
            checksum: GueChecksum::None,
        };
        for (key, address) in [
            ("10.0.0.3:80/tcp", "2001:db8::7"),
            ("[2001:db8::3]:80/udp", "10.0.0.7"),
        ] {
            let key: VirtualServiceKey = key.parse().unwrap();
            let address: IpAddr = address.parse().unwrap();
            let beyond = |forwarding, port| Limit::of(key, forwarding, Some(address), port);
            let other = Some(Limit::OtherFamily {
                virtual_service: key,
                address,
            });
            assert_eq!(beyond(Forwarding::Dr, 80), other);
            assert_eq!(beyond(Forwarding::Nat, 80), other);
            for tunnel in [Tunnel::Ipip, Tunnel::Gre { checksum: true }, gue] {
                assert_eq!(beyond(Forwarding::Tun(tunnel), 80), None);
                let port = beyond(Forwarding::Tun(tunnel), 81);
                assert!(matches!(port, Some(Limit::Port { .. })), "{port:?}");
            }
        }
    }
}
